"""A GAN whose layers are each told a style: a mapping network turns latents into styles that modulate convolutions.

Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN" (modulation with demodulation, skip to-RGB
layers, a residual discriminator, lazy R1, path lengths); Karras et al. 2019, "A Style-Based Generator Architecture"
(mapping network, noise, style mixing, truncation).
Departures: maps are doubled before a convolution by a bilinear filter (which is the paper's [1, 3, 3, 1]) instead of
inside a transposed convolution; modulation scales the inputs and demodulation the outputs of one shared convolution,
which gives the same numbers as a kernel for each picture and is fast on a CPU; the average style is taken from 4,096
latents of the finished mapping network instead of being tracked; a class is joined to the latent as an embedding and
judged by a projection. Channels are few enough for two CPU cores.
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
GAIN = 2**0.5  # that keeps the variance behind it
MAPPING_SPEED = 0.01  # of the mapping network's learning rate


@dataclass(frozen=True)
class Config:
    """What defines the nets; saved in the weights' header and enough to rebuild them."""

    size: int = 64  # picture side, px, a power of two
    latent: int = 128  # numbers that a picture is made from, and of a style
    width: int = 16  # channels at the full size; twice as many at half of it, and so on, up to 8 times
    classes: int = 0  # that can be asked for; 0: none
    mapping: int = 4  # layers of the mapping network

    def __post_init__(self) -> None:
        if self.size < 8 or self.size & (self.size - 1):
            raise BadRequest(f"size is {self.size}; a GAN's pictures have 8, 16, 32, 64, 128 … px")
        if min(self.latent, self.width, self.mapping) < 1:
            raise BadRequest("latent, width and mapping are whole numbers of 1 or more")

    @property
    def sides(self) -> list[int]:
        """Sides of the maps, px: 4, 8, … size."""
        return [2**k for k in range(2, int(math.log2(self.size)) + 1)]

    @property
    def layers(self) -> int:
        """How many styles a picture has: one for each convolution, the last to-RGB layer having its own."""
        return 2 * len(self.sides)

    def channels(self, side: int) -> int:
        """Channels of the maps of that side."""
        return self.width * min(8, self.size // side)


class Mapping(nn.Module):
    """Latents → styles."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.latent
        self.classes = Classes(config.classes, width) if config.classes else None
        inputs = [width * (2 if config.classes else 1)] + [width] * (config.mapping - 1)
        self.layers = nn.ModuleList(Linear(n, width, speed=MAPPING_SPEED) for n in inputs)

    def forward(self, z: Tensor, classes: Tensor | None = None) -> Tensor:
        """z (B, latent), classes (B,) int64 or None → (B, W), W = latent."""
        w = pixel_norm(z)
        if self.classes is not None:
            w = torch.cat([w, pixel_norm(self.classes(classes, z.shape[0])).to(w.dtype)], dim=1)
        for layer in self.layers:
            w = F.leaky_relu(layer(w), SLOPE) * GAIN
        return w


class Modulated(nn.Module):
    """A convolution whose input channels a style scales; demodulated, each output channel has unit variance again."""

    def __init__(self, inputs: int, outputs: int, kernel: int, styles: int, demodulate: bool = True) -> None:
        super().__init__()
        self.style = Linear(styles, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.scale = (inputs * kernel**2) ** -0.5
        self.demodulate = demodulate

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x (B, inputs, H, W), w (B, styles) → (B, outputs, H, W)."""
        style = self.style(w)  # (B, inputs)
        weight = self.weight * self.scale
        x = F.conv2d(x * style[:, :, None, None], weight, padding=weight.shape[2] // 2)
        if self.demodulate:
            power = style.float().square() @ weight.float().square().sum((2, 3)).T  # (B, outputs)
            x = x * torch.rsqrt(power + 1e-8).to(x.dtype)[:, :, None, None]
        return x


class Layer(nn.Module):
    """A modulated convolution, noise and a leaky ReLU. The noise of evaluation mode is always the same."""

    noise: Tensor

    def __init__(self, inputs: int, outputs: int, side: int, styles: int) -> None:
        super().__init__()
        self.conv = Modulated(inputs, outputs, 3, styles)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("noise", torch.randn(1, 1, side, side))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x (B, inputs, side, side), w (B, styles) → (B, outputs, side, side)."""
        x = self.conv(x, w)
        noise = torch.randn_like(x[:, :1]) if self.training else self.noise
        return F.leaky_relu(x + self.strength * noise + self.bias[:, None, None], SLOPE) * GAIN


class Generator(nn.Module):
    """Mapping network and synthesis: latents → styles → pictures."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.mapping = Mapping(config)
        self.constant = nn.Parameter(torch.randn(1, config.channels(4), 4, 4))
        layers, to_rgb = [Layer(config.channels(4), config.channels(4), 4, config.latent)], []
        for side in config.sides:
            here = config.channels(side)
            if side > 4:
                layers.append(Layer(config.channels(side // 2), here, side, config.latent))
                layers.append(Layer(here, here, side, config.latent))
            to_rgb.append(Modulated(here, 3, 1, config.latent, demodulate=False))
        self.layers, self.to_rgb = nn.ModuleList(layers), nn.ModuleList(to_rgb)
        self.shade = nn.Parameter(torch.zeros(3, 1, 1))  # bias of all to-RGB layers together

    def forward(self, z: Tensor, classes: Tensor | None = None) -> Tensor:
        """z (B, latent) standard normal, classes (B,) int64 or None → (B, 3, S, S), about [-1, 1]."""
        return self.synthesise(self.spread(self.mapping(z, classes)))

    def spread(self, w: Tensor) -> Tensor:
        """One style for all layers: (B, W) → (B, layers, W)."""
        return w[:, None].expand(-1, self.config.layers, -1)

    def synthesise(self, styles: Tensor) -> Tensor:
        """styles (B, layers, W) → pictures (B, 3, S, S), about [-1, 1]. A to-RGB layer has the next layer's style."""
        x = self.layers[0](self.constant.expand(styles.shape[0], -1, -1, -1), styles[:, 0])
        pictures: Tensor = self.to_rgb[0](x, styles[:, 1]) + self.shade
        for number in range(1, len(self.to_rgb)):
            first = 2 * number - 1
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear")
            x = self.layers[first](x, styles[:, first])
            x = self.layers[first + 1](x, styles[:, first + 1])
            pictures = F.interpolate(pictures, scale_factor=2.0, mode="bilinear")
            pictures = pictures + self.to_rgb[number](x, styles[:, first + 2])
        return pictures

    def matrices(self) -> list[Tensor]:
        """What turns each of the styles into its modulation: `layers` of (inputs, W), coarse to fine."""
        told = [layer.conv for layer in self.layers if isinstance(layer, Layer)]
        last = self.to_rgb[-1]
        assert isinstance(last, Modulated)
        return [conv.style.matrix.detach() for conv in (*told, last)]


def mixed(generator: Generator, z: Tensor, other: Tensor, share: float, classes: Tensor | None = None) -> Tensor:
    """Styles of which a share of the pictures has those of another latent from some layer on.

    z, other (B, latent); crossovers come from PyTorch's global generator. Returns (B, layers, W).
    """
    layers = generator.config.layers
    styles, others = (generator.spread(generator.mapping(x, classes)) for x in (z, other))
    begins = torch.randint(1, layers, (len(z),))
    begins = torch.where(torch.rand(len(z)) < share, begins, layers).to(z.device)
    return torch.where((torch.arange(layers, device=z.device) >= begins[:, None])[..., None], others, styles)


@torch.no_grad()
def average_style(generator: Generator, count: int = 4096) -> Tensor:
    """The mean style of latents that are always the same, classes in turn: (1, W)."""
    weight = generator.mapping.layers[0].weight
    z = torch.randn(count, generator.config.latent, generator=torch.Generator().manual_seed(0)).to(weight)  # type: ignore[arg-type]
    classes = torch.arange(count, device=z.device) % generator.config.classes if generator.config.classes else None
    mean: Tensor = generator.mapping(z, classes).mean(0, keepdim=True)
    return mean


class PathLength(nn.Module):
    """How evenly a step in style space changes the picture: lengths are kept near their running mean."""

    mean: Tensor

    def __init__(self, decay: float = 0.01) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, pictures: Tensor, styles: Tensor) -> Tensor:
        """Mean squared deviation of the lengths. pictures (B, 3, S, S) made from styles (B, layers, W); a scalar."""
        noise = torch.randn_like(pictures) / pictures.shape[-1]
        (slope,) = torch.autograd.grad((pictures * noise).sum(), styles, create_graph=True)
        lengths = slope.float().square().sum(2).mean(1).sqrt()
        with torch.no_grad():
            self.mean.lerp_(lengths.mean(), self.decay)
        return (lengths - self.mean).square().mean()


class Residual(nn.Module):
    """Two convolutions and a shortcut, to half the side."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = Conv(inputs, inputs, 3), Conv(inputs, outputs, 3)
        self.short = Conv(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, inputs, H, W) → (B, outputs, H / 2, W / 2)."""
        h = F.leaky_relu(self.first(x), SLOPE) * GAIN
        h = F.leaky_relu(self.second(halved(h)), SLOPE) * GAIN
        y: Tensor = (h + self.short(halved(x))) * 0.5**0.5
        return y


def halved(x: Tensor) -> Tensor:
    """(B, C, H, W) → (B, C, H / 2, W / 2) through the filter [1, 3, 3, 1], which lets no grid show."""
    line = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype, device=x.device) / 8
    kernel = (line[:, None] * line).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(x, kernel, stride=2, padding=1, groups=x.shape[1])


class Discriminator(nn.Module):
    """Pictures → how real each looks."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        widths = [config.channels(side) for side in reversed(config.sides)]
        self.from_rgb = Conv(3, widths[0], 1)
        self.blocks = nn.ModuleList(Residual(a, b) for a, b in pairwise(widths))
        self.last = Conv(widths[-1] + 1, widths[-1], 3)
        self.features = Linear(widths[-1] * 16, widths[-1])
        self.end = Linear(widths[-1], 1)
        self.classes = Classes(config.classes, widths[-1]) if config.classes else None

    def forward(self, pictures: Tensor, classes: Tensor | None = None) -> Tensor:
        """pictures (B, 3, S, S) in [-1, 1], classes (B,) int64 or None → (B,) float32."""
        x = F.leaky_relu(self.from_rgb(pictures), SLOPE) * GAIN
        for block in self.blocks:
            x = block(x)
        x = F.leaky_relu(self.last(with_deviation(x)), SLOPE) * GAIN
        h = F.leaky_relu(self.features(x.flatten(1)), SLOPE) * GAIN  # (B, F)
        score: Tensor = self.end(h)[:, 0].float()
        if self.classes is not None:
            rows = self.classes(classes, len(h)).float()
            score = score + (rows * h.float()).sum(1) * h.shape[1] ** -0.5
        return score


def build(config: Config) -> tuple[Generator, Discriminator]:
    """Both nets with fresh weights from PyTorch's global generator, fp32, in training mode."""
    return Generator(config), Discriminator(config)
