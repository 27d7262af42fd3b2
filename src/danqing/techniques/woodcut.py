"""A picture as a colour woodblock print: few flat colours, gradations wiped by hand, a dark key block, grain and paper.

Each colour of a print has its block; areas are flat but for bokashi, the gradation that a printer wipes onto a block,
most often across a sky. The key block prints the contours. The baren, with which paper is rubbed onto a block, leaves
the grain of the wood, and the paper is never white.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from danqing.encode import layouts
from danqing.encode.image import from_oklab, luminance, to_oklab

BLOCKS = 14  # colours
SEEN = 64  # px, side of the version in which they are found
ROUNDS = 12  # of k-means
SMOOTH = 3  # px at 512: islands that are smaller are cut away
WIPED, SLOW = 25, 0.0045  # px at 512; the most by which brightness changes from px to px over them in a gradation
INK = (0.13, 0.14, 0.19)
KEY = 1.0  # how dark contours are
GRAIN, FIBRES = 0.006, 0.006  # of the wood, of the paper: parts of lightness
PAPER = (0.965, 0.935, 0.865)


def printed(picture: Tensor, generator: torch.Generator) -> Tensor:
    """picture (1, 3, H, W) float32 sRGB in [0, 1] → the same shape and range."""
    height, width = picture.shape[2:]
    unit = min(height, width) / 512
    calm = layouts.soft(picture, 2)
    flat = _blocks(calm, generator, max(1, round(SMOOTH * unit)))
    # A sky that changes slowly is wiped; what changes faster is cut from several blocks.
    down, right = torch.gradient(luminance(calm)[0, 0])
    pace = _mean((down.square() + right.square()).sqrt()[None, None], max(3, round(WIPED * unit)) | 1) * unit
    flat = torch.lerp(flat, calm, (1.5 - pace / SLOW).clamp(0, 1))
    key = layouts.lines(_mean(flat, max(1, round(1.5 * unit)) | 1))
    ink = torch.tensor(INK)[None, :, None, None]
    inked = torch.lerp(flat, ink, KEY * key)
    return (inked * torch.tensor(PAPER)[None, :, None, None] * _surface(height, width, unit, generator)).clamp(0, 1)


def _blocks(picture: Tensor, generator: torch.Generator, smooth: int) -> Tensor:
    """The picture in few colours, each area of one."""
    lab = to_oklab(picture)
    small = F.interpolate(lab, (SEEN, SEEN), mode="area")[0].flatten(1).T  # (N, 3)
    centres = small[torch.randperm(len(small), generator=generator)[:BLOCKS]]
    for _ in range(ROUNDS):
        nearest = torch.cdist(small, centres).argmin(1)
        counts = torch.bincount(nearest, minlength=BLOCKS)
        sums = torch.zeros_like(centres).index_add_(0, nearest, small)
        centres = torch.where(counts[:, None] > 0, sums / counts.clamp_min(1)[:, None], centres)
    height, width = picture.shape[2:]
    own = torch.cdist(lab[0].flatten(1).T, centres).argmin(1).reshape(height, width)
    share = F.one_hot(own, BLOCKS).permute(2, 0, 1)[None].float()
    largest = _mean(_mean(share, 2 * smooth + 1), 2 * smooth + 1).argmax(1)[0]
    return from_oklab(centres[largest].permute(2, 0, 1)[None]).clamp(0, 1)


def _mean(x: Tensor, side: int) -> Tensor:
    return F.avg_pool2d(F.pad(x, (side // 2,) * 4, mode="replicate"), side, 1)


def _surface(height: int, width: int, unit: float, generator: torch.Generator) -> Tensor:
    """Grain and fibres (1, 1, H, W), around 1."""
    grain = torch.randn(
        1, 1, max(2, round(height / (2.5 * unit))), max(2, round(width / (60 * unit))), generator=generator
    )
    fibres = torch.randn(
        1, 1, max(2, round(height / (3 * unit))), max(2, round(width / (3 * unit))), generator=generator
    )
    waves, threads = (F.interpolate(x, (height, width), mode="bicubic", align_corners=False) for x in (grain, fibres))
    return 1 + GRAIN * waves + FIBRES * threads
