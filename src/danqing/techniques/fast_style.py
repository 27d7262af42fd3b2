"""Any style in one forward pass: a decoder that is told a style by the statistics of its features.

Huang & Belongie 2017, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization" (AdaIN), with the
conditioning of Dumoulin et al. 2017, "A Learned Representation for Artistic Style".
Departures: AdaIN acts on three depths instead of one, so that small brush work survives; a style is the mean and
standard deviation of four layers (960 numbers), and a small network turns these into a gain and a shift for every
decoder stage; the style loss compares Gram matrices beside means and deviations; the identity term of Park & Lee 2019
keeps edges crisp. The decoder holds no normalisation of its own: the photo's statistics come in as numbers, so that a
picture of any size can be painted in tiles that agree at their borders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danqing.artwork.request import OnStep, Step, ignore
from danqing.compute.blocks import Features
from danqing.encode.image import fit, tiles, to_picture

EPSILON = 1e-3  # on standard deviations: channels that are dead in the photo must not be blown up


@dataclass(frozen=True)
class Config:
    """What defines the decoder; saved in the weights' header and enough to rebuild it."""

    layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")  # shallow to deep, one a block
    channels: tuple[int, ...] = (32, 64, 128, 256)  # of these layers
    mapping: int = 256  # width of the network that reads the style's statistics
    residual: int = 2  # residual blocks at the deepest stage

    def __post_init__(self) -> None:
        """Back from JSON, the lists are tuples again."""
        object.__setattr__(self, "layers", tuple(self.layers))
        object.__setattr__(self, "channels", tuple(self.channels))

    @property
    def numbers(self) -> int:
        """How many numbers describe a style: a mean and a deviation for each channel."""
        return 2 * sum(self.channels)


def statistics(maps: Mapping[str, Tensor], config: Config) -> Tensor:
    """A picture's style: each channel's mean and standard deviation over the picture, layer by layer.

    maps: {layer: (B, C, h, w)}. Returns (B, numbers) float32: all means of a layer, then its deviations, and so on.
    """
    parts = []
    for layer in config.layers:
        flat = maps[layer].float().flatten(2)  # (B, C, h·w)
        parts += [flat.mean(2), flat.var(2, unbiased=False).add(EPSILON**2).sqrt()]
    return torch.cat(parts, dim=1)


def unpack(numbers: Tensor, config: Config) -> dict[str, tuple[Tensor, Tensor]]:
    """The opposite of `statistics`. numbers (..., N); returns {layer: (mean, deviation)}, each (..., C)."""
    parts = torch.split(numbers, [c for c in config.channels for _ in range(2)], dim=-1)
    return {layer: (parts[2 * i], parts[2 * i + 1]) for i, layer in enumerate(config.layers)}


class Stage(nn.Module):
    """Two convolutions, each followed by the style's gain and shift."""

    def __init__(self, inside: int, outside: int, mapping: int, residual: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, padding=1, padding_mode="reflect")
        self.second = nn.Conv2d(outside, outside, 3, padding=1, padding_mode="reflect")
        self.style = nn.Linear(mapping, 4 * outside)
        self.residual = residual
        nn.init.zeros_(self.style.bias)
        nn.init.normal_(self.style.weight, std=0.02)

    def forward(self, x: Tensor, code: Tensor, share: Tensor) -> Tensor:
        """x (B, C, H, W), code (B, K, M), share (B, K, H, W) in x's dtype; returns (B, C', H, W)."""
        gains = (
            torch.einsum("bkc,bkhw->bchw", self.style(code), share)
            if share.shape[1] > 1
            else (self.style(code[:, 0])[:, :, None, None])
        )
        gain1, shift1, gain2, shift2 = gains.to(x.dtype).chunk(4, dim=1)
        y = F.relu(torch.addcmul(shift1, self.first(x), 1 + gain1))
        y = torch.addcmul(shift2, self.second(y), 1 + gain2)
        return x + y if self.residual else F.relu(y)


class Painter(nn.Module):
    """The decoder: a photo's feature maps and a style's numbers to a painting."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        c1, c2, c3, c4 = config.channels
        width = config.mapping
        self.mapping = nn.Sequential(nn.Linear(config.numbers, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.deep = nn.ModuleList(Stage(c4, c4, width, residual=True) for _ in range(config.residual))
        self.to3 = nn.Conv2d(c4, c3, 3, padding=1, padding_mode="reflect")
        self.stage3 = Stage(2 * c3, c3, width)
        self.to2 = nn.Conv2d(c3, c2, 3, padding=1, padding_mode="reflect")
        self.stage2 = Stage(2 * c2, c2, width)
        self.to1 = nn.Conv2d(c2, c1, 3, padding=1, padding_mode="reflect")
        self.stage1 = Stage(c1, c1, width)
        self.out = nn.Conv2d(c1, 3, 3, padding=1, padding_mode="reflect")
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.out.weight, std=0.02)

    def forward(self, maps: Mapping[str, Tensor], photo: Tensor, styles: Tensor, share: Tensor) -> Tensor:
        """Paint.

        maps: the photo's {layer: (B, C, h, w)}, of a whole picture or one tile of it.
        photo: (B, N) float32, the whole photo's statistics; styles: (B, K, N) float32; share: (B, K, H, W), how much of
        each style where, at any resolution, summing to 1. Returns (B, 3, 8·h4, 8·w4) float32, sRGB, not clamped.
        """
        _, deep2, deep3, deep4 = self.config.layers
        dtype = maps[deep4].dtype
        # Deviations and means have long tails across layers; their square roots are close to normal.
        code: Tensor = self.mapping(styles.clamp_min(0).sqrt().to(dtype))  # (B, K, M)
        own, wanted = unpack(photo, self.config), unpack(styles, self.config)

        def painted(layer: str) -> tuple[Tensor, Tensor]:
            part = F.interpolate(share.to(dtype), maps[layer].shape[-2:], mode="area") if share.shape[1] > 1 else share
            return adain(maps[layer], own[layer], wanted[layer], part), part

        x, part = painted(deep4)
        for stage in self.deep:
            x = stage(x, code, part)
        for layer, to, stage in ((deep3, self.to3, self.stage3), (deep2, self.to2, self.stage2)):
            skip, part = painted(layer)
            x = F.interpolate(F.relu(to(x)), skip.shape[-2:], mode="nearest")
            x = stage(torch.cat([x, skip], dim=1), code, part)
        x = F.interpolate(F.relu(self.to1(x)), maps[self.config.layers[0]].shape[-2:], mode="nearest")
        full = F.interpolate(share.to(dtype), x.shape[-2:], mode="area") if share.shape[1] > 1 else share
        painting: Tensor = self.out(self.stage1(x, code, full)).float() + 0.5
        return painting


def adain(x: Tensor, own: tuple[Tensor, Tensor], wanted: tuple[Tensor, Tensor], share: Tensor) -> Tensor:
    """Give each channel the style's mean and deviation in place of the photo's.

    x (B, C, H, W); own: photo's mean and deviation, each (B, C); wanted: styles', each (B, K, C); share (B, K, H, W).
    """
    gain = wanted[1] / own[1][:, None]  # (B, K, C)
    shift = wanted[0] - own[0][:, None] * gain
    if share.shape[1] == 1:
        return torch.addcmul(shift[:, 0, :, None, None].to(x.dtype), x, gain[:, 0, :, None, None].to(x.dtype))
    gains = torch.einsum("bkc,bkhw->bchw", gain.to(x.dtype), share)
    shifts = torch.einsum("bkc,bkhw->bchw", shift.to(x.dtype), share)
    return torch.addcmul(shifts, x, gains)


@dataclass(frozen=True)
class Weights:
    """How much each loss counts while training."""

    content: float = 1.0
    style: float = 6.0
    gram: float = 6.0
    identity: float = 8.0
    variation: float = 0.3


def losses(
    painted: Mapping[str, Tensor], photo: Mapping[str, Tensor], style: Mapping[str, Tensor], config: Config
) -> dict[str, Tensor]:
    """What a painting should keep of the photo and take from the style, unweighted.

    Each argument is {layer: (B, C, h, w)}.

    content: mean squared error of the deepest layer's features, each channel normalised in both pictures, so that the
    style's own means and deviations cost nothing. style: mean squared error of means and deviations. gram: mean squared
    difference of Gram matrices. Style and gram are each divided by the style's own energy in that layer.
    """
    deep = config.layers[-1]
    content = F.mse_loss(_normal(painted[deep]), _normal(photo[deep]))
    style_loss = gram_loss = torch.zeros(())
    for layer in config.layers:
        got, want = painted[layer], style[layer]
        got_mean, got_std = _moments(got)
        want_mean, want_std = _moments(want)
        energy = want_std.square().mean(1).clamp_min(1e-4)  # (B,)
        apart = (got_mean - want_mean).square().mean(1) + (got_std - want_std).square().mean(1)
        style_loss = style_loss + (apart / energy).mean()
        got_gram, want_gram = _gram(got), _gram(want)
        size = want_gram.square().mean((1, 2)).clamp_min(1e-6)
        gram_loss = gram_loss + ((got_gram - want_gram).square().mean((1, 2)) / size).mean()
    count = len(config.layers)
    return {"content": content, "style": style_loss / count, "gram": gram_loss / count}


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    flat = x.float().flatten(2)
    return flat.mean(2), flat.var(2, unbiased=False).add(EPSILON**2).sqrt()


def _normal(x: Tensor) -> Tensor:
    mean, deviation = _moments(x)
    return (x.float() - mean[:, :, None, None]) / (deviation[:, :, None, None] + 0.05)


def _gram(x: Tensor) -> Tensor:
    flat = x.flatten(2)  # (B, C, h·w), in the compute dtype: the product is where the time goes
    return (flat @ flat.transpose(1, 2)).float() / flat.shape[2]


class FastStyle:
    """A trained painter with the features it reads; frozen, in the features' compute."""

    def __init__(self, painter: Painter, features: Features) -> None:
        self.config = painter.config
        self.features = features
        self.painter = features.compute.frozen(painter)

    @torch.no_grad()
    def style_of(self, picture: Tensor) -> Tensor:
        """The numbers that describe a picture's style. picture (1, 3, H, W) in [0, 1]; returns (N,) float32.

        Measured at the scale that training saw: short side 256 px.
        """
        height, width = picture.shape[-2:]
        picture = fit(picture, round(256 * max(height, width) / min(height, width)))
        return statistics(self.features(picture, self.config.layers), self.config)[0].cpu()

    @torch.no_grad()
    def paint(
        self,
        photo: Tensor,
        styles: Sequence[Tensor],
        share: Tensor,
        strength: float = 1.0,
        tile: int = 1024,
        on_step: OnStep = ignore,
    ) -> Tensor:
        """A photo in these styles. Above `tile` px a side it is painted in tiles with the whole photo's statistics.

        photo (1, 3, H, W) in [0, 1]; styles: K of (N,) float32; share (K, H, W) float32 summing to 1; strength in
        [0, 1] goes from the photo's own statistics to the styles'. Returns (1, 3, H, W) float32 in [0, 1].
        """
        _, _, height, width = photo.shape
        small = fit(photo, 1024) if max(height, width) > 1024 else photo
        own = statistics(self.features(_padded(small), self.config.layers), self.config)
        wanted = torch.stack([s.to(own.device) for s in styles])[None]  # (1, K, N)
        wanted = own[:, None] + strength * (wanted - own[:, None])
        constant = bool((share.amax((1, 2)) - share.amin((1, 2))).max() < 1e-6)
        if constant:  # the same mix everywhere: mix the numbers, and one style is left
            wanted = torch.einsum("k,bkn->bn", share[:, 0, 0].to(own.device), wanted)[:, None]
            share = share[:1, :1, :1]
        windows = list(tiles(height, width, tile, TILE_OVERLAP if max(height, width) > tile else 0))
        canvas = torch.zeros(1, 3, height, width)
        for done, window in enumerate(windows, 1):
            part = window.cut(photo)
            padded = _padded(part)
            here = share[None] if constant else _like(window.cut(share[None]), padded)
            maps = self.features(padded, self.config.layers)
            out = self.painter(maps, own, wanted, here.to(own.device)).cpu()
            out = out[..., BORDER : BORDER + part.shape[-2], BORDER : BORDER + part.shape[-1]].clamp(0, 1)
            window.cut(canvas).addcmul_(out, window.weight)
            on_step(Step(done, len(windows), f"tile {done} of {len(windows)}", lambda: to_picture(canvas)))
        return canvas.clamp_(0, 1)


BORDER = 16  # px of mirrored picture around what is painted: the backbone pads with zeros, which darkens its border
TILE_OVERLAP = 96  # px: the painter sees about 90 px around each pixel


def _padded(x: Tensor) -> Tensor:
    """The picture with a mirrored border of BORDER px, and as much more below and right as multiples of 8 need."""
    height, width = x.shape[-2:]
    right, bottom = BORDER + (-(width + 2 * BORDER)) % 8, BORDER + (-(height + 2 * BORDER)) % 8
    mode = "reflect" if min(height, width) > BORDER + 8 else "replicate"
    return F.pad(x, (BORDER, right, BORDER, bottom), mode=mode)


def _like(share: Tensor, padded: Tensor) -> Tensor:
    """share (1, K, h, w) of a picture, for the same picture padded."""
    bottom, right = padded.shape[-2] - BORDER - share.shape[-2], padded.shape[-1] - BORDER - share.shape[-1]
    return F.pad(share, (BORDER, right, BORDER, bottom), mode="replicate")
