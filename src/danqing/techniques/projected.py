"""Projected GAN: the discriminator looks through a frozen network, so that it need not learn to see first.

Sauer et al. 2021, "Projected GANs Converge Faster": pictures are seen through a frozen network at several depths; fixed
random 1×1 convolutions mix the channels of each depth and fixed random ones carry the deep maps up into the finer ones,
so that no single channel can be attended to; a small discriminator of its own judges each depth; hinge loss
(`gan.LOSSES["hinge"]`). Liu et al. 2021, "Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image
Synthesis" (FastGAN): the generator, one convolution with a gated linear unit for each side, and gates by which maps of
4 px weigh the channels of those eight times as large (skip-layer excitation).
Departures, for one CPU core at 64 px: four depths of our own slim backbone, the finest at the full side, where a
quarter of each picture is looked at (a generator that was seen from half the side on alone and ended in a pixel
shuffle kept a lattice of two pixels, which pooling does not let through); the way up is mixed by 1×1 instead of 3×3
convolutions; the discriminators have batch norm alone, not spectral norm beside it, and each depth has as many votes;
the generator adds no noise, so that a latent is a picture, and does most of its work at half the side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danqing.compute.blocks import Classes
from danqing.errors import BadRequest

LAYERS = ("relu1_2", "relu2_2", "relu3_2", "relu4_1")  # of the frozen network, at 1, 1/2, 1/4 and 1/8 of the side
CHANNELS = (32, 64, 128, 256)  # that these have in our own backbone
HALVINGS = (2, 2, 1, 0)  # of what is seen of each, down to an eighth of the side; the first is half as large already
SLOPE = 0.2  # of the leaky ReLU below 0
FINE = 12  # channels at the full size
LEAP = 8  # how many times larger the maps are that a gate opens


@dataclass(frozen=True)
class Config:
    """What defines the nets; saved in the weights' header and enough to rebuild them."""

    size: int = 64  # picture side, px, a power of two
    latent: int = 128  # numbers that a picture is made from
    width: int = 32  # channels at half the picture's side; twice as many at half of that, up to 8 times
    classes: int = 0  # that can be asked for; 0: none
    mixed: int = 64  # channels that the discriminator sees of each depth
    judge: int = 64  # channels of the discriminators

    def __post_init__(self) -> None:
        if self.size < 16 or self.size & (self.size - 1):
            raise BadRequest(f"size is {self.size}; a projected GAN's pictures have 16, 32, 64, 128 … px")
        if min(self.latent, self.width, self.mixed, self.judge) < 1:
            raise BadRequest("latent, width, mixed and judge are whole numbers of 1 or more")

    @property
    def sides(self) -> list[int]:
        """Sides of the generator's maps: 4, 8, … size / 2."""
        return [2**k for k in range(2, int(math.log2(self.size)))]

    def channels(self, side: int) -> int:
        """Channels of the generator's maps of that side."""
        return self.width * min(8, self.size // (2 * side))


class Gate(nn.Module):
    """Skip-layer excitation: small maps say how much of each channel of large ones is let through."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), nn.Conv2d(inputs, outputs, 4), nn.SiLU(),
            nn.Conv2d(outputs, outputs, 1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, small: Tensor, large: Tensor) -> Tensor:
        """small (B, inputs, h, w), large (B, outputs, H, W) → the shape of large."""
        let: Tensor = large * self.body(small)
        return let


class Generator(nn.Module):
    """Latents → pictures."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        wide = config.channels(4)
        self.classes = Classes(config.classes, config.latent) if config.classes else None
        inputs = config.latent * (2 if config.classes else 1)
        self.begin = nn.Sequential(nn.Linear(inputs, 2 * wide * 16, bias=False), nn.Unflatten(1, (2 * wide, 4, 4)),
                                   nn.BatchNorm2d(2 * wide), nn.GLU(1))  # fmt: skip
        self.up, self.gates = nn.ModuleDict(), nn.ModuleDict()
        for side in config.sides[1:]:
            here, there = config.channels(side // 2), config.channels(side)
            self.up[str(side)] = nn.Sequential(
                nn.Upsample(scale_factor=2.0), nn.Conv2d(here, 2 * there, 3, padding=1, bias=False),
                nn.BatchNorm2d(2 * there), nn.GLU(1),
            )  # fmt: skip
            if side // LEAP in config.sides:
                self.gates[str(side)] = Gate(config.channels(side // LEAP), there)
        # Enlarged smoothly and padded by what is there: no lattice and no frame to begin with.
        self.end = nn.Sequential(
            nn.Conv2d(config.width, FINE, 3, padding=1, padding_mode="replicate"), nn.LeakyReLU(SLOPE, inplace=True),
            nn.Upsample(scale_factor=2.0, mode="bilinear"),
            nn.Conv2d(FINE, FINE, 3, padding=1, padding_mode="replicate"), nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(FINE, 3, 3, padding=1, padding_mode="replicate"),
        )  # fmt: skip

    def forward(self, z: Tensor, classes: Tensor | None = None) -> Tensor:
        """z (B, latent) standard normal, classes (B,) int64 or None → (B, 3, S, S) in [-1, 1]."""
        if self.classes is not None:
            z = torch.cat([z, self.classes(classes, z.shape[0]).to(z.dtype)], dim=1)
        x = self.begin(z).contiguous(memory_format=torch.channels_last)  # (B, C, 4, 4)
        maps = {4: x}
        for name, layer in self.up.items():
            x = layer(x)
            if name in self.gates:
                x = self.gates[name](maps[int(name) // LEAP], x)
            maps[int(name)] = x
        return torch.tanh(self.end(x))


class Discriminator(nn.Module):
    """A frozen network's maps of pictures → how real each of their places looks."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        for number, count in enumerate(CHANNELS):  # never trained, but part of what the discriminator is
            self.register_buffer(f"across_{number}", torch.randn(config.mixed, count, 1, 1) * count**-0.5)
            self.register_buffer(f"upward_{number}", torch.randn(config.mixed, config.mixed, 1, 1) * config.mixed**-0.5)
        self.heads = nn.ModuleList(_head(config, depth) for depth in range(len(CHANNELS)))
        self.classes = Classes(config.classes, config.judge) if config.classes else None

    def see(self, maps: Mapping[str, Tensor]) -> list[Tensor]:
        """What is looked at, mixed at random: {layer: (B, C, h, w)} of LAYERS → (B, mixed, h, w) for each,

        of the first a quarter of each picture: (B, mixed, h / 2, w / 2).
        """
        seen: list[Tensor] = []
        for number in reversed(range(len(LAYERS))):
            across, upward = (getattr(self, f"{name}_{number}") for name in ("across", "upward"))
            own = maps[LAYERS[number]].to(across.dtype)
            x = F.conv2d(own if number else quarters(own), across)
            if seen:
                deeper = F.conv2d(seen[0] if number else quarters(seen[0]), upward)
                x = (x + F.interpolate(deeper, size=x.shape[-2:], mode="bilinear")) * 0.5**0.5
            seen.insert(0, x)
        return seen

    def forward(self, seen: list[Tensor], classes: Tensor | None = None) -> Tensor:
        """What `see` gives; classes (B,) int64 or None → (B, P) float32, a score for each place of each depth."""
        scores = []
        for head, x in zip(self.heads, seen, strict=True):
            h = head[:-1](x)  # type: ignore[index]
            score = head[-1](h)  # type: ignore[index]
            if self.classes is not None:
                wanted = self.classes(classes, len(x)).to(h.dtype)
                score = score + (h * wanted[:, :, None, None]).mean(1, keepdim=True)
            scores.append(score.flatten(1).float())
        return torch.cat(scores, 1)


def quarters(x: Tensor) -> Tensor:
    """One quarter of each map, the four of them in turn: (B, C, h, w) → (B, C, h / 2, w / 2)."""
    h, w = x.shape[-2] // 2, x.shape[-1] // 2
    corners = [(n // 2 % 2 * h, n % 2 * w) for n in range(len(x))]
    return torch.stack([x[n, :, top : top + h, left : left + w] for n, (top, left) in enumerate(corners)])


def _head(config: Config, depth: int) -> nn.Sequential:
    """From what is seen at this depth to scores."""
    layers: list[nn.Module] = []
    before = config.mixed
    for _ in range(HALVINGS[depth]):
        layers += [nn.Conv2d(before, config.judge, 4, 2, 1, bias=False), nn.BatchNorm2d(config.judge),
                   nn.LeakyReLU(SLOPE, inplace=True)]  # fmt: skip
        before = config.judge
    layers += [nn.Conv2d(before, config.judge, 3, padding=1, bias=False), nn.BatchNorm2d(config.judge),
               nn.LeakyReLU(SLOPE, inplace=True), nn.Conv2d(config.judge, 1, 3, padding=1)]  # fmt: skip
    return nn.Sequential(*layers)


def build(config: Config) -> tuple[Generator, Discriminator]:
    """Both nets with fresh weights from PyTorch's global generator, fp32, in training mode."""
    return Generator(config), Discriminator(config)
