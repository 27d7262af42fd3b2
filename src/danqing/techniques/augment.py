"""Augmentation that a small collection needs: real and made pictures are changed alike before they are judged.

Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training" (colour, translation, cutout); Karras et
al. 2020, "Training Generative Adversarial Networks with Limited Data" (each change with a probability that is steered
so that the discriminator does not learn the collection by heart).
Departures: of the adaptive method's changes there are those of the plane and of colour that mattered there (flips,
quarter turns, shifts, scaling, turning, brightness, contrast, saturation), all of the plane in one bilinear warp. The
probability's speed is counted in pictures of our budgets, not in half millions.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

AUGMENTS = ("none", "diff", "adaptive", "window")


def diff(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """DiffAugment: colours changed, shifted by up to an eighth, a square of half the side blanked.

    pictures (B, 3, S, S) in [-1, 1] in any float dtype; a CPU generator. Gradients flow through; same shape.
    """
    return cut(shift(recolour(pictures, generator), generator), generator)


def window(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """A square of three quarters of the side, anywhere; nearly half of what judging the whole costs is saved.

    pictures (B, 3, S, S) in any float dtype; a CPU generator. Gradients flow through; returns (B, 3, 3S/4, 3S/4).
    """
    side = pictures.shape[-1] * 3 // 4
    corners = torch.randint(0, pictures.shape[-1] - side + 1, (len(pictures), 2), generator=generator).tolist()
    cut_out = [pictures[i, :, y : y + side, x : x + side] for i, (y, x) in enumerate(corners)]
    return torch.stack(cut_out).contiguous(memory_format=torch.channels_last)


def recolour(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Brightness ± 0.5, saturation × [0, 2], contrast × [0.5, 1.5]."""
    draw = torch.rand(3, len(pictures), 1, 1, 1, generator=generator).to(pictures)
    x = pictures + (draw[0] - 0.5)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (2 * draw[1])
    middle = x.mean((1, 2, 3), keepdim=True)
    return middle + (x - middle) * (draw[2] + 0.5)


def shift(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Moved by up to an eighth of the side each way; what comes in is 0."""
    side = pictures.shape[-1]
    most = max(1, round(side / 8))
    moves = torch.randint(-most, most + 1, (len(pictures), 2), generator=generator).tolist()
    padded = F.pad(pictures, (most,) * 4)
    return torch.stack([padded[i, :, most + dy : most + dy + side, most + dx : most + dx + side]
                        for i, (dy, dx) in enumerate(moves)])  # fmt: skip


def cut(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """A square of half the side, its middle anywhere in the picture, set to 0."""
    side = pictures.shape[-1]
    middles = torch.randint(0, side, (len(pictures), 2, 1), generator=generator)
    near = (torch.arange(side) - middles).abs() <= side // 4  # (B, 2, S)
    keep = ~(near[:, 0, :, None] & near[:, 1, None, :])
    return pictures * keep[:, None].to(pictures)


class Adaptive(nn.Module):
    """Changes with a probability that rises while the discriminator is too sure of the real pictures.

    Its buffers, the probability and the decisions since it last moved, are all of its state.
    """

    probability: Tensor
    decided: Tensor

    def __init__(self, target: float = 0.6, pictures: float = 50_000, every: int = 4) -> None:
        """target: mean sign of the decisions on real pictures to keep to; `pictures` seen move p from 0 to 1."""
        super().__init__()
        self.target, self.pictures, self.every = target, pictures, every
        self.register_buffer("probability", torch.zeros(()))
        self.register_buffer("decided", torch.zeros(3))  # sum of signs, pictures, batches

    @torch.no_grad()
    def watch(self, signs: Tensor) -> None:
        """Hear what the discriminator decided on real training pictures: (B,), 1 right and -1 wrong."""
        self.decided += torch.tensor([float(signs.sum()), float(len(signs)), 1.0])
        if self.decided[2] >= self.every:
            step = torch.sign(self.decided[0] / self.decided[1] - self.target) * self.decided[1] / self.pictures
            self.probability.copy_((self.probability + step).clamp(0, 1))
            self.decided.zero_()

    def forward(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """pictures (B, 3, S, S) in [-1, 1] → the same shape; each change is made with the present probability."""
        p = float(self.probability)
        return _coloured(_warped(pictures, p, generator), p, generator)


def _happens(count: int, p: float, generator: torch.Generator) -> Tensor:
    return (torch.rand(count, generator=generator) < p).float()


def _warped(pictures: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """Flips, quarter turns, shifts by an eighth, scaling and turning, in one bilinear warp with mirrored edges."""
    count = len(pictures)

    def chosen(value: Tensor) -> Tensor:
        return value * _happens(count, p, generator)

    flip = 1 - 2 * chosen(torch.randint(0, 2, (count,), generator=generator).float())
    quarters = chosen(torch.randint(0, 4, (count,), generator=generator).float()) * (math.pi / 2)
    turn = chosen((torch.rand(count, generator=generator) * 2 - 1) * math.pi)
    scale = torch.exp2(chosen(torch.randn(count, generator=generator) * 0.2))
    move = (torch.rand(2, count, generator=generator) * 2 - 1) * 0.25 * _happens(count, p, generator)
    if p == 0:
        return pictures  # the draws above are made all the same, so that what follows does not depend on p
    angle = quarters + turn
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    rows = [torch.stack([cos * flip, -sin, move[0]], 1), torch.stack([sin * flip, cos, move[1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1).to(pictures), list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)


def _coloured(pictures: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """Brightness, contrast and saturation, each with probability p."""
    count = len(pictures)
    draw = torch.randn(3, count, generator=generator)
    happens = torch.stack([_happens(count, p, generator) for _ in range(3)])
    if p == 0:
        return pictures
    brightness, contrast, saturation = (draw * happens).view(3, count, 1, 1, 1).to(pictures)
    x = (pictures + 0.2 * brightness) * torch.exp2(0.5 * contrast)
    grey = x.mean(1, keepdim=True)
    return torch.lerp(grey, x, torch.exp2(saturation))
