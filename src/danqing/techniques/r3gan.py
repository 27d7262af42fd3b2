"""R3GAN: a relativistic loss with R1 and R2, and plain modern residual nets; no tricks.

Huang et al. 2024, "The GAN is dead; long live the GAN! A Modern GAN Baseline": residual blocks of a 1×1, a grouped 3×3
and a 1×1 convolution (an inverted bottleneck), leaky ReLU with a bias and no norm anywhere, fix-up initialisation,
bilinear resampling, a basis of 4×4 maps that the latent weighs.
Departures, for two CPU cores at 64 px: fewer channels; both nets work on patches of `patch` px, as vision Transformers
do, so that the finest maps have half the picture's side; a class is joined to the latent as an embedding and judged by
a projection. The loss and the penalties are `gan.LOSSES["relativistic"]` and `gan.steepness`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danqing.compute.blocks import Classes
from danqing.errors import BadRequest

SLOPE = 0.2  # of the leaky ReLU below 0
GAIN = (2 / (1 + SLOPE**2)) ** 0.5  # that keeps the variance behind it


@dataclass(frozen=True)
class Config:
    """What defines the nets; saved in the weights' header and enough to rebuild them."""

    size: int = 64  # picture side, px, a power of two
    latent: int = 64  # numbers that a picture is made from
    width: int = 48  # channels of the finest maps; twice as many at half the side, and so on, up to 8 times
    classes: int = 0  # that can be asked for; 0: none
    depth: int = 1  # residual blocks at each side
    expansion: int = 2  # of a block's channels inside
    group: int = 16  # channels that a 3×3 convolution joins, all where there are fewer
    patch: int = 2  # px of a picture that the finest maps have one place for

    def __post_init__(self) -> None:
        if self.size < 8 or self.size & (self.size - 1):
            raise BadRequest(f"size is {self.size}; a GAN's pictures have 8, 16, 32, 64, 128 … px")
        if min(self.latent, self.width, self.depth, self.expansion, self.group) < 1:
            raise BadRequest("latent, width, depth, expansion and group are whole numbers of 1 or more")
        if self.patch not in (1, 2, 4) or self.size // self.patch < 4:
            raise BadRequest(f"patch is {self.patch}; it is 1, 2 or 4, and leaves maps of 4 px or more")
        if self.width * self.expansion % min(self.group, self.width * self.expansion):
            raise BadRequest(
                f"width {self.width} × expansion {self.expansion} cannot be split into groups of {self.group}"
            )

    @property
    def sides(self) -> list[int]:
        """Sides of the maps: 4, 8, … size / patch."""
        return [2**k for k in range(2, int(math.log2(self.size // self.patch)) + 1)]

    def channels(self, side: int) -> int:
        """Channels of the maps of that side."""
        return self.width * min(8, self.size // self.patch // side)

    @property
    def blocks(self) -> int:
        """Residual blocks of a net."""
        return self.depth * len(self.sides)


def _conv(inputs: int, outputs: int, kernel: int, groups: int = 1, gain: float = 1.0, bias: bool = False) -> nn.Conv2d:
    """A convolution whose output has `gain` times the deviation of its input; a bias begins at 0."""
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=bias)
    nn.init.normal_(conv.weight, 0, gain * (inputs // groups * kernel**2) ** -0.5)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


class Block(nn.Module):
    """x + f(x), where f widens, looks around and narrows; at first f is 0 (fix-up: Zhang et al. 2019)."""

    def __init__(self, channels: int, config: Config) -> None:
        super().__init__()
        inner = channels * config.expansion
        small = GAIN * config.blocks**-0.25  # L^(-1/(2m-2)) for L blocks of m = 3 convolutions
        self.body = nn.Sequential(
            _conv(channels, inner, 1, gain=small, bias=True),
            nn.LeakyReLU(SLOPE, inplace=True),
            _conv(inner, inner, 3, groups=max(1, inner // config.group), gain=small, bias=True),
            nn.LeakyReLU(SLOPE, inplace=True),
            _conv(inner, channels, 1, gain=0.0),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W), same shape back."""
        y: Tensor = x + self.body(x)
        return y


class Resample(nn.Module):
    """Maps of twice or half the side with other channels, bilinear; the 1×1 convolution works at the smaller side."""

    def __init__(self, inputs: int, outputs: int, factor: float) -> None:
        super().__init__()
        self.conv = _conv(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """x (B, inputs, H, W) → (B, outputs, H · factor, W · factor)."""
        if self.factor > 1:
            return F.interpolate(self.conv(x), scale_factor=self.factor, mode="bilinear")
        # Bilinear with antialiasing would be [1, 3, 3, 1] / 8; the mean of four is half as dear and hides as much here.
        y: Tensor = self.conv(F.avg_pool2d(x, 2))
        return y


class Generator(nn.Module):
    """Latents → pictures."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        wide = config.channels(4)
        self.classes = Classes(config.classes, config.latent) if config.classes else None
        self.weigh = nn.Linear(config.latent * (2 if config.classes else 1), wide, bias=False)
        nn.init.normal_(self.weigh.weight, std=self.weigh.in_features**-0.5)
        self.basis = nn.Parameter(torch.randn(wide, 4, 4))
        layers: list[nn.Module] = []
        for side in config.sides:
            if side > 4:
                layers.append(Resample(config.channels(side // 2), config.channels(side), 2.0))
            layers += [Block(config.channels(side), config) for _ in range(config.depth)]
        self.body = nn.Sequential(*layers)
        self.to_rgb = _conv(config.width, 3 * config.patch**2, 1)

    def forward(self, z: Tensor, classes: Tensor | None = None) -> Tensor:
        """z (B, latent) standard normal, classes (B,) int64 or None → (B, 3, S, S), about [-1, 1]."""
        if self.classes is not None:
            z = torch.cat([z, self.classes(classes, z.shape[0]).to(z.dtype)], dim=1)
        x = self.weigh(z)[:, :, None, None] * self.basis  # (B, C, 4, 4)
        x = x.contiguous(memory_format=torch.channels_last)
        return F.pixel_shuffle(self.to_rgb(self.body(x)), self.config.patch)


class Discriminator(nn.Module):
    """Pictures → how real each looks."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        wide = config.channels(4)
        self.from_rgb = _conv(3 * config.patch**2, config.width, 1)
        layers: list[nn.Module] = []
        for side in reversed(config.sides):
            layers += [Block(config.channels(side), config) for _ in range(config.depth)]
            if side > 4:
                layers.append(Resample(config.channels(side), config.channels(side // 2), 0.5))
        self.body = nn.Sequential(*layers)
        self.basis = nn.Parameter(torch.randn(wide, 4, 4) / 4)
        self.end = nn.Linear(wide, 1, bias=False)
        nn.init.normal_(self.end.weight, std=wide**-0.5)
        self.classes = Classes(config.classes, wide) if config.classes else None

    def forward(self, pictures: Tensor, classes: Tensor | None = None) -> Tensor:
        """pictures (B, 3, S, S) in [-1, 1], classes (B,) int64 or None → (B,) float32."""
        x = self.from_rgb(F.pixel_unshuffle(pictures, self.config.patch))
        h = (self.body(x) * self.basis).sum((2, 3))  # (B, F)
        score: Tensor = self.end(h)[:, 0].float()
        if self.classes is not None:
            rows = self.classes(classes, len(h)).float()
            score = score + (rows * h.float()).sum(1) * h.shape[1] ** -0.5
        return score


def build(config: Config) -> tuple[Generator, Discriminator]:
    """Both nets with fresh weights from PyTorch's global generator, fp32, in training mode."""
    return Generator(config), Discriminator(config)
