"""A picture divided into touches of the brush: each in one colour, next to others that are warmer, cooler, lighter.

Broken colour is what impressionists and divisionists share: a green meadow is yellow and blue dabs that the eye mixes
again. Here the picture is divided into cells around scattered points (Haeberli 1990, "Paint by Numbers"); each cell has
the colour of its point, moved at random in OKLab about what it was; then the cells are drawn out along the forms,
the direction in which brightness changes least (after line integral convolution, Cabral & Leedom 1993), as a hand
follows what it paints.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from danqing.encode.image import from_oklab, luminance, to_oklab

STEPS = 5  # places on either side over which a touch is drawn out
LEVEL = 0.02  # squared steepness, in brightness a picture's side, below which there is no form to follow
COARSE = 4  # px of a side that share a direction
SMOOTH = 6.0  # touches: over which the direction of forms is averaged
MOVED = (0.9, 1.4, 2.0)  # how far L, a and b are moved, in units of strength: most between warm and cool


def divided(picture: Tensor, size: float, length: float, strength: float, generator: torch.Generator) -> Tensor:
    """The picture in touches. picture (1, 3, H, W) float32 sRGB in [0, 1]; returns the same shape and range.

    size: px, across a touch; length: of a touch in units of its size, 1 or more; strength: the standard deviation in
    OKLab by which its colour is moved, MOVED times as much in each direction.
    """
    height, width = picture.shape[2:]
    cells = _cells(height, width, size, generator)
    colours = to_oklab(picture)[0][:, cells[0], cells[1]]  # (3, H, W)
    moved = torch.randn(3, height, width, generator=generator)[:, cells[0], cells[1]]
    spread = strength * torch.tensor(MOVED)[:, None, None]
    room = (4 * colours[:1] * (1 - colours[:1])).clamp(0, 1)  # neither black nor white is broken
    touched = from_oklab((colours + spread * room * moved)[None]).clamp(0, 1)
    return _drawn_out(touched, _flow(picture, size), size * (length - 1) / 2)


def _cells(height: int, width: int, size: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Of each pixel the point that it belongs to: rows (H, W), columns (H, W)."""
    rows, columns = math.ceil(height / size), math.ceil(width / size)
    jitter = torch.rand(2, rows, columns, generator=generator)
    y = ((torch.arange(rows)[:, None] + jitter[0]) * size).long().clamp(max=height - 1)
    x = ((torch.arange(columns)[None] + jitter[1]) * size).long().clamp(max=width - 1)
    empty = np.ones((height, width), bool)
    empty[y.numpy(), x.numpy()] = False
    nearest = ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)
    return torch.from_numpy(nearest[0].astype(np.int64)), torch.from_numpy(nearest[1].astype(np.int64))


def _flow(picture: Tensor, size: float) -> Tensor:
    """Along the forms: unit vectors (1, 2, H, W), right and down; level where nothing changes."""
    grey = luminance(picture)
    gy, gx = (g * min(grey.shape[2:]) for g in torch.gradient(grey[0, 0]))  # as steep at any size
    double = torch.stack([gx * gx - gy * gy, 2 * gx * gy])[None]  # the gradient's angle, doubled: opposite sides agree
    height, width = grey.shape[2:]
    small = F.adaptive_avg_pool2d(double, (max(1, height // COARSE), max(1, width // COARSE)))
    side = max(3, round(size * SMOOTH / COARSE)) | 1
    for _ in range(2):
        small = F.avg_pool2d(F.pad(small, (side // 2,) * 4, mode="replicate"), side, 1)
    double = F.interpolate(small, (height, width), mode="bilinear", align_corners=False)
    double[:, 0] -= LEVEL  # where there is no form, touches lie level
    angle = 0.5 * torch.atan2(double[:, 1], double[:, 0]) + math.pi / 2
    return torch.stack([torch.cos(angle), torch.sin(angle)], 1)


def _drawn_out(picture: Tensor, flow: Tensor, reach: float) -> Tensor:
    """The mean along the flow, `reach` px to both sides. A touch is short and nearly straight."""
    if reach <= 0:
        return picture
    height, width = picture.shape[2:]
    y, x = torch.meshgrid((torch.arange(height) + 0.5) * 2 / height - 1, (torch.arange(width) + 0.5) * 2 / width - 1,
                          indexing="ij")  # fmt: skip
    start = torch.stack([x, y], -1)[None]
    step = flow.permute(0, 2, 3, 1) * torch.tensor((2 / width, 2 / height)) * (reach / STEPS)
    total = torch.zeros_like(picture)
    for place in range(-STEPS, STEPS + 1):
        total += F.grid_sample(
            picture, start + place * step, mode="nearest", padding_mode="border", align_corners=False
        )
    return total / (2 * STEPS + 1)
