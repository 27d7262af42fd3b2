"""A GAN that grows: it learns pictures of 4 px first, and finer layers fade in as training goes on.

Karras et al. 2018, "Progressive Growing of GANs for Improved Quality, Stability, and Variation": equalised learning
rates, pixel norm, a channel of the batch's deviation, nearest-neighbour doubling, faded to-RGB layers.
Departures: the optimiser keeps its state when a layer joins; growth is told by the share of the budget that is used,
so that any budget ends at the full size; a batch is as large at 4 px as at the end; a class is joined to the latent as
an embedding and judged by a projection.
`level` says how far the nets have grown: 0 is 4 px, 1 is 8 px, and 0.3 is 8 px of which 0.3 have faded in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danqing.compute.blocks import Classes
from danqing.compute.equalised import Conv, Linear, pixel_norm, with_deviation
from danqing.errors import BadRequest

SLOPE = 0.2  # of the leaky ReLU below 0
GROWN = 0.6  # share of the budget after which nothing is left to grow


@dataclass(frozen=True)
class Config:
    """What defines the nets; saved in the weights' header and enough to rebuild them."""

    size: int = 64  # picture side, px, a power of two
    latent: int = 128  # numbers that a picture is made from
    width: int = 16  # channels at the full size; twice as many at half of it, and so on, up to 8 times
    classes: int = 0  # that can be asked for; 0: none

    def __post_init__(self) -> None:
        if self.size < 8 or self.size & (self.size - 1):
            raise BadRequest(f"size is {self.size}; a GAN's pictures have 8, 16, 32, 64, 128 … px")
        if min(self.latent, self.width) < 1:
            raise BadRequest("latent and width are whole numbers of 1 or more")

    @property
    def levels(self) -> int:
        """The level of the full size."""
        return self.size.bit_length() - 3

    def channels(self, level: int) -> int:
        """Channels of the maps of that level."""
        return self.width * min(8, 1 << (self.levels - level))


def level_at(progress: float, levels: int) -> float:
    """How far to have grown: each level fades in over as long as it then stands; level 0 only stands.

    progress in [0, 1] of the budget; returns a level in [0, levels].
    """
    place = min(progress / GROWN, 1.0) * (2 * levels + 1)  # stand, fade, stand, …, fade, stand
    whole, part = divmod(place, 2)
    return min(float(levels), whole + max(0.0, part - 1))


def faded(pictures: Tensor, level: float) -> Tensor:
    """Real pictures as nets of that level see them: (B, 3, S, S) → (B, 3, s, s), blurred while a layer fades in."""
    above = math.ceil(level)
    x = F.adaptive_avg_pool2d(pictures, 4 * 2**above)
    if above == level:
        return x
    coarse = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2.0)
    return torch.lerp(coarse, x, level - (above - 1))


class Finer(nn.Module):
    """Maps of twice the side: doubled, and two convolutions with pixel norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = Conv(inputs, outputs, 3), Conv(outputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, inputs, H, W) → (B, outputs, 2H, 2W)."""
        x = pixel_norm(F.leaky_relu(self.first(F.interpolate(x, scale_factor=2.0)), SLOPE))
        return pixel_norm(F.leaky_relu(self.second(x), SLOPE))


class Coarser(nn.Module):
    """Maps of half the side: two convolutions, and the mean of four places."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = Conv(inputs, inputs, 3), Conv(inputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, inputs, H, W) → (B, outputs, H / 2, W / 2)."""
        x = F.leaky_relu(self.first(x), SLOPE)
        return F.avg_pool2d(F.leaky_relu(self.second(x), SLOPE), 2)


class Generator(nn.Module):
    """Latents → pictures of the side that `level` has reached."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, self.level = config, float(config.levels)
        width = [config.channels(i) for i in range(config.levels + 1)]
        self.classes = Classes(config.classes, config.latent) if config.classes else None
        self.begin = Linear(config.latent * (2 if config.classes else 1), width[0] * 16)
        self.first = Conv(width[0], width[0], 3)
        self.blocks = nn.ModuleList(Finer(a, b) for a, b in pairwise(width))
        self.to_rgb = nn.ModuleList(Conv(c, 3, 1) for c in width)

    def forward(self, z: Tensor, classes: Tensor | None = None) -> Tensor:
        """z (B, latent), classes (B,) int64 or None → (B, 3, s, s), about [-1, 1]; s = 4 · 2^⌈level⌉."""
        if self.classes is not None:
            z = torch.cat([z, self.classes(classes, z.shape[0]).to(z.dtype)], dim=1)
        x = self.begin(pixel_norm(z)).unflatten(1, (-1, 4, 4))
        x = pixel_norm(F.leaky_relu(x, SLOPE))
        x = pixel_norm(F.leaky_relu(self.first(x), SLOPE))
        above = math.ceil(self.level)
        coarse = x
        for block in list(self.blocks)[:above]:
            coarse, x = x, block(x)
        pictures: Tensor = self.to_rgb[above](x)
        if above == self.level:
            return pictures
        before = F.interpolate(self.to_rgb[above - 1](coarse), scale_factor=2.0)
        return torch.lerp(before, pictures, self.level - (above - 1))


class Discriminator(nn.Module):
    """Pictures of the side that `level` has reached → how real each looks."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, self.level = config, float(config.levels)
        width = [config.channels(i) for i in range(config.levels + 1)]
        self.from_rgb = nn.ModuleList(Conv(3, c, 1) for c in width)
        self.blocks = nn.ModuleList(Coarser(b, a) for a, b in pairwise(width))
        self.last = Conv(width[0] + 1, width[0], 3)
        self.features = Linear(width[0] * 16, width[0])
        self.end = Linear(width[0], 1)
        self.classes = Classes(config.classes, width[0]) if config.classes else None

    def forward(self, pictures: Tensor, classes: Tensor | None = None) -> Tensor:
        """pictures (B, 3, s, s), s = 4 · 2^⌈level⌉, classes (B,) int64 or None → (B,) float32."""
        above = math.ceil(self.level)
        x = F.leaky_relu(self.from_rgb[above](pictures), SLOPE)
        for number in reversed(range(above)):
            x = self.blocks[number](x)
            if number == above - 1 and above != self.level:
                before = F.leaky_relu(self.from_rgb[number](F.avg_pool2d(pictures, 2)), SLOPE)
                x = torch.lerp(before, x, self.level - number)
        x = F.leaky_relu(self.last(with_deviation(x)), SLOPE)
        h = F.leaky_relu(self.features(x.flatten(1)), SLOPE)  # (B, F)
        score: Tensor = self.end(h)[:, 0].float()
        if self.classes is not None:
            score = score + (self.classes(classes, len(h)).float() * h.float()).sum(1)
        return score


def build(config: Config) -> tuple[Generator, Discriminator]:
    """Both nets, grown, with fresh weights from PyTorch's global generator, fp32, in training mode."""
    return Generator(config), Discriminator(config)
