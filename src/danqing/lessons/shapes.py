"""Points in the plane for lessons to learn: shapes that are told apart at a glance, and small nets that learn them.

A point stands where a picture would: as (B, 2, 1, 1), "two channels, one pixel", so that the losses of `techniques`
take it as it is.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from danqing.errors import UnknownName

REACH = 2.2  # of the plane that is shown, each way
NOISE = 0.05  # standard deviation around a shape

# 山 and 大 as strokes: (x, y) from one end to the other.
_STROKES = {
    "mountain": (((0, -1.1), (0, 1.4)), ((-1.2, -1.1), (1.2, -1.1)), ((-1.2, -1.1), (-1.2, 0.3)),
                 ((1.2, -1.1), (1.2, 0.3))),
    "great": (((-1.4, 0.45), (1.4, 0.45)), ((0, 1.5), (0, 0.45), (-0.25, -0.3), (-1.3, -1.4)),
              ((0.02, 0.4), (0.45, -0.45), (1.3, -1.4))),
}  # fmt: skip
SHAPES = ("ring", "grid", "moons", "spiral", "mountain", "great")


def centres(shape: str) -> NDArray[np.float64]:
    """The middles of the clusters of a ring (8) or a grid (25): (M, 2)."""
    if shape == "ring":
        angles = np.arange(8) * math.pi / 4
        return 1.5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    lines = np.linspace(-1.6, 1.6, 5)
    return np.stack(np.meshgrid(lines, lines), axis=-1).reshape(-1, 2)


def draw(shape: str, count: int, generator: torch.Generator) -> Tensor:
    """Points of a shape: (count, 2, 1, 1) float32 in about [-2, 2]."""
    u = torch.rand(count, 2, generator=generator).double().numpy()
    if shape in ("ring", "grid"):
        middles = centres(shape)
        xy = middles[(u[:, 0] * len(middles)).astype(int)]
    elif shape == "moons":
        angle, second = math.pi * u[:, 0], u[:, 1] < 0.5
        xy = np.stack([np.cos(angle), np.sin(angle)], axis=1) * np.where(second, -1, 1)[:, None]
        xy = (xy + np.where(second[:, None], [0.5, 0.25], [-0.5, -0.25])) * 1.25
    elif shape == "spiral":
        turn = np.sqrt(u[:, 0]) * 3.2 * math.pi
        xy = np.stack([np.cos(turn), np.sin(turn)], axis=1) * (turn / (3.2 * math.pi) * 1.8)[:, None]
    elif shape in _STROKES:
        xy = _along(_STROKES[shape], u[:, 0])
    else:
        raise UnknownName("shape", shape, SHAPES, f"one of {', '.join(SHAPES)}")
    noise = torch.randn(count, 2, generator=generator) * NOISE
    return (torch.from_numpy(xy).float() + noise)[:, :, None, None]


def _along(strokes: tuple[tuple[tuple[float, float], ...], ...], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places along strokes, by share of their whole length: (N, 2)."""
    starts = np.array([a for line in strokes for a in line[:-1]], dtype=np.float64)
    ends = np.array([b for line in strokes for b in line[1:]], dtype=np.float64)
    lengths = np.linalg.norm(ends - starts, axis=1)
    past = np.concatenate([[0], np.cumsum(lengths)])
    at = share * past[-1]
    piece = np.clip(np.searchsorted(past, at, side="right") - 1, 0, len(lengths) - 1)
    within = ((at - past[piece]) / lengths[piece])[:, None]
    found: NDArray[np.float64] = starts[piece] + within * (ends[piece] - starts[piece])
    return found


def net(inputs: int, outputs: int, width: int = 64, slope: float = 0.2) -> nn.Sequential:
    """Two hidden layers, from (B, inputs, …) to (B, outputs)."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, width), nn.LeakyReLU(slope), nn.Linear(width, width), nn.LeakyReLU(slope),
        nn.Linear(width, outputs),
    )  # fmt: skip


def lattice(side: int, reach: float = REACH) -> Tensor:
    """The middles of side × side cells of the plane, row by row from the bottom: (side², 2, 1, 1)."""
    lines = torch.linspace(-reach, reach, side)
    y, x = torch.meshgrid(lines, lines, indexing="ij")
    return torch.stack([x, y], dim=-1).view(-1, 2, 1, 1)


def covered(made: Tensor, shape: str) -> tuple[int, float]:
    """How many clusters of a ring or grid are hit, and the share of points that lie on one.

    made (N, 2, 1, 1). A point lies on a cluster within 4 standard deviations of its middle; a cluster is hit by a
    fifth of its fair share of all points, or more.
    """
    middles = torch.from_numpy(centres(shape)).float()
    far = torch.cdist(made.flatten(1), middles)  # (N, M)
    near, which = far.min(dim=1)
    on = near < 4 * NOISE
    hits = torch.bincount(which[on], minlength=len(middles))
    return int((hits >= 0.2 * len(made) / len(middles)).sum()), float(on.float().mean())
