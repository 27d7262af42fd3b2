"""Pictures made simple, as a person would sketch them: flat shapes of colour, or lines. For learning the way back.

Whoever learns to paint from a sketch needs pairs, and every painting is half of one: its sketch is computed. So that
one painter serves a child's five blobs, a drawn underpainting and a line drawing, three kinds of simplification take
turns, each of a strength drawn at random.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from danqing.encode.image import luminance

KINDS = 3


def simplified(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture as a colour layout: means of a grid, flat blobs, or soft shapes with their borders kept.

    pictures (B, 3, S, S) float32 in [0, 1]; returns the same shape and range.
    """
    made = []
    for picture in pictures:
        kind = int(torch.randint(KINDS, (), generator=generator))
        draw = float(torch.rand((), generator=generator))
        one = picture[None]
        if kind == 0:
            made.append(grid(one, 10 + int(30 * draw)))
        elif kind == 1:
            made.append(blobs(one, 4 + int(14 * draw), generator))
        else:
            made.append(soft(one, 2 + int(4 * draw)))
    return torch.cat(made)


def grid(picture: Tensor, cells: int) -> Tensor:
    """Mean colours of `cells` × `cells` places with smooth passages between them. (1, 3, S, S) → the same."""
    size = (picture.shape[2], picture.shape[3])
    small = F.adaptive_avg_pool2d(picture, cells)
    return F.interpolate(small, size, mode="bicubic", align_corners=False).clamp(0, 1)


def blobs(picture: Tensor, colours: int, generator: torch.Generator) -> Tensor:
    """Flat shapes of few colours: k-means over a small version, islands smoothed away. (1, 3, S, S) → the same."""
    size = (picture.shape[2], picture.shape[3])
    small = F.interpolate(picture, (48, 48), mode="bilinear", antialias=True, align_corners=False)
    points = small[0].flatten(1).T  # (2304, 3)
    centres = points[torch.randperm(len(points), generator=generator)[:colours]]
    for _ in range(6):
        nearest = torch.cdist(points, centres).argmin(1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        counts = torch.bincount(nearest, minlength=colours).clamp_min(1)
        centres = sums / counts[:, None]
    share = F.one_hot(torch.cdist(points, centres).argmin(1), colours).float().T.reshape(1, colours, 48, 48)
    share = F.avg_pool2d(F.pad(share, (3, 3, 3, 3), mode="replicate"), 7, 1)
    large = F.interpolate(share, size, mode="bicubic", align_corners=False)
    flat = centres[large[0].argmax(0)].permute(2, 0, 1)[None]
    return F.avg_pool2d(F.pad(flat, (1, 1, 1, 1), mode="replicate"), 3, 1)


def soft(picture: Tensor, rounds: int) -> Tensor:
    """Texture smoothed away, borders kept: a Kuwahara filter, some times. (1, 3, S, S) → the same."""
    for _ in range(rounds):
        padded = F.pad(picture, (4, 4, 4, 4), mode="replicate")
        mean = F.avg_pool2d(padded, 5, 1)  # (1, 3, S + 4, S + 4)
        square = F.avg_pool2d(padded.square(), 5, 1)
        spread = (square - mean.square()).sum(1, keepdim=True)
        height, width = picture.shape[2:]
        corners = [(0, 0), (0, 4), (4, 0), (4, 4)]
        means = torch.stack([mean[..., y : y + height, x : x + width] for y, x in corners])
        spreads = torch.stack([spread[..., y : y + height, x : x + width] for y, x in corners])
        choice = spreads.argmin(0, keepdim=True).expand(1, *picture.shape)
        picture = means.gather(0, choice)[0]
    return picture


def lines(picture: Tensor) -> Tensor:
    """A line drawing: where brightness changes most. (B, 3, S, S) → (B, 1, S, S) float32 in [0, 1], 1 is a line."""
    grey = luminance(picture)
    near = F.avg_pool2d(F.pad(grey, (1, 1, 1, 1), mode="replicate"), 3, 1)
    wide = F.avg_pool2d(F.pad(grey, (4, 4, 4, 4), mode="replicate"), 9, 1)
    return ((wide - near - 0.02) * 14).clamp(0, 1)
