"""Neural style transfer: change a picture until a network sees the photo's content and the paintings' texture in it.

Gatys, Ecker & Bethge 2016, "Image Style Transfer Using Convolutional Neural Networks"; texture synthesis after their
"Texture Synthesis Using Convolutional Neural Networks" (2015); regions after Gatys et al. 2017, "Controlling Perceptual
Factors in Neural Style Transfer" (guided Gram matrices); sliced Wasserstein loss after Heitz et al. 2021, "A Sliced
Wasserstein Loss for Neural Texture Synthesis".

content loss: mean squared error between the feature maps of the picture and of the photo, position by position.
style loss:   distance between distributions of features, wherever in the picture they occur: squared distance of Gram
              matrices ("gram") or of sorted random projections ("sliced").

Departures. Each layer's loss is divided by the energy of its target, so that the weights below mean the same for every
network and size. Strength blends the target between the photo's own statistics and the paintings'. The picture starts
as the photo in the paintings' colours (linear optimal transport) and grows from coarse to fine; every ROUND steps it is
laid elsewhere on the grid of the network's poolings, whose pattern it would otherwise take on. Above `Config.tile` px
it is worked on in tiles whose gradient is that of the whole: a first pass without gradients measures the statistics of
all tiles, their loss is differentiated once, and a second pass carries that derivative back through each tile. Tiles
overlap by the network's whole reach, so nothing changes at their joints; they move at every step all the same, because
bf16 rounds differently at different places.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from danqing.artwork.request import OnStep, Step, ignore
from danqing.compute.blocks import Features
from danqing.encode.image import fit, match_colors, resize, to_picture
from danqing.errors import BadRequest

if TYPE_CHECKING:
    from danqing.artwork.image import Picture

Weights = tuple[tuple[str, float], ...]  # (layer, weight)
Window = tuple[int, int, int, int]  # top, bottom, left, right
OPTIMISERS, STYLE_LOSSES, STARTS = ("auto", "adam", "lbfgs"), ("gram", "sliced"), ("colors", "photo", "noise")
DENSE = 2**22  # pixels up to which L-BFGS remembers its last ten steps, 240 bytes a pixel
LEAN = 2**24  # pixels above which Adam's moments are kept in bf16, to save 12 bytes a pixel
NARROW = 32  # px, the shorter side of the smallest scale and painting: two neurons of the fifth block
EDGE = 16  # px of mirror image around a picture, a multiple of every stride
TINY = 1e-12
ROUND = 40  # steps before the picture is moved on the network's grid
SETS = 8  # of random directions, one for each step; with 64 each, as many as the widest layer has channels
ALL = slice(None)
SCALE = 1e4  # of the loss for L-BFGS, which takes a curvature below 1e-10 for none


@dataclass(frozen=True)
class Config:
    """How a picture is optimised. Weights are relative: each layer's loss is 1 where its features are all zero."""

    content_weight: float = 1.0
    style_weight: float = 10.0
    tv_weight: float = 0.0  # of the mean squared difference between neighbouring pixels
    content_layers: Weights = (("relu4_2", 1.0),)
    style_layers: Weights = (("relu1_1", 1.0), ("relu2_1", 1.0), ("relu3_1", 1.0), ("relu4_1", 1.0), ("relu5_1", 1.0))
    style_loss: str = "gram"
    strength: float = 1.0  # 0: the photo's own statistics are the target, 1: the paintings'
    start: str = "colors"  # the photo in the paintings' colours; "photo"; "noise" in the paintings' colours
    optimiser: str = "auto"  # "lbfgs" for the Gram loss up to DENSE pixels, "adam" beyond and for the sliced loss
    rate: float = 0.02  # Adam's step, of a range of 1
    coarsest: int = 96  # longer side of the first scale, px; each next is twice as large
    iterations: int = 160  # at each scale up to `settled` px, half as many at each scale beyond
    settled: int = 512  # px
    tile: int = 1024  # px, side of a tile without its margin
    directions: int = 64  # of the sliced loss, at each step
    samples: int = 8192  # positions of a layer that the sliced loss looks at, at each step

    def __post_init__(self) -> None:
        for name, value, known in (
            ("style_loss", self.style_loss, STYLE_LOSSES),
            ("optimiser", self.optimiser, OPTIMISERS),
            ("start", self.start, STARTS),
        ):
            if value not in known:
                raise BadRequest(f"{name} is {value!r}; it is one of {', '.join(known)}")
        if not 0 <= self.strength <= 1:
            raise BadRequest(f"strength is {self.strength}; it lies between 0 (the photo) and 1 (the full style)")
        if min(self.iterations, self.tile, self.coarsest, self.directions, self.samples) < 1:
            raise BadRequest("iterations, tile, coarsest, directions and samples are at least 1")


def stylize(
    photo: Tensor,
    styles: Sequence[Tensor],
    share: Tensor,
    features: Features,
    config: Config,
    generator: torch.Generator,
    on_step: OnStep = ignore,
) -> Tensor:
    """The photo with the texture and colours of the paintings.

    photo: (1, 3, H, W) float32 in [0, 1]; styles: each (1, 3, h, w) likewise, of any size; share: (K, H, W), how much
    each style has to say at each pixel, summing to 1. Returns (1, 3, H, W) float32 in [0, 1] on the CPU.
    Raises BadRequest when shapes do not fit or the network lacks a layer.
    """
    _check(styles, share, (photo.shape[2], photo.shape[3]), features, config)
    if config.strength == 0:
        return photo.clone()
    return _grow(photo, styles, share, features, config, generator, on_step)


def texture(
    styles: Sequence[Tensor],
    share: Tensor,
    size: tuple[int, int],
    features: Features,
    config: Config,
    generator: torch.Generator,
    on_step: OnStep = ignore,
) -> Tensor:
    """A new picture with the texture and colours of the paintings and no content of its own.

    styles: each (1, 3, h, w) float32 in [0, 1]; share: (K, H, W), whose statistics rule where, summing to 1;
    size: (H, W) in px. Returns (1, 3, H, W) float32 in [0, 1] on the CPU. Raises BadRequest as `stylize` does.
    """
    _check(styles, share, size, features, config)
    return _grow(None, styles, share, features, config, generator, on_step)


def _check(styles: Sequence[Tensor], share: Tensor, size: tuple[int, int], features: Features, config: Config) -> None:
    if not styles:
        raise BadRequest("no style was given; at least one picture is needed")
    if tuple(share.shape) != (len(styles), *size):
        raise BadRequest(f"share is {tuple(share.shape)}; for these styles and this size it is {(len(styles), *size)}")
    wanted = [name for name, _ in (*config.content_layers, *config.style_layers)]
    if lacking := [name for name in wanted if name not in features.layers]:
        raise BadRequest(f"the network has no layer {', '.join(lacking)}; it has {', '.join(features.layers)}")
    least = max(_stride(name) for name in wanted)
    if narrow := [f"{w}×{h}" for h, w in (size, *(style.shape[-2:] for style in styles)) if min(h, w) < least]:
        raise BadRequest(f"a picture of {narrow[0]} px is too small; the layers asked for need {least} px a side")


# --- from coarse to fine ----------------------------------------------------------------------------------------------


def _grow(
    photo: Tensor | None,
    styles: Sequence[Tensor],
    share: Tensor,
    features: Features,
    config: Config,
    generator: torch.Generator,
    on_step: OnStep,
) -> Tensor:
    """Optimise at each scale, starting from the scale before."""
    plan = _plan(share.shape[1], share.shape[2], config)
    total = sum(steps for _, steps in plan)
    done, x, before = 0, None, None
    for size, steps in plan:
        regions = F.interpolate(share[None], size, mode="area")[0] if size != tuple(share.shape[1:]) else share
        here = None if photo is None else resize(photo, size)
        paintings = [_at_scale(style, size) for style in styles]
        start = _start(here, paintings, regions, config, generator)
        # What the coarser scale could not hold of the start comes back as it was; the loss then works on it.
        x = start if x is None or before is None else resize(x, size) + (start - resize(before, size))
        before, x = start, x.clamp(0, 1)
        stage = f"{max(size)} px"
        rounds = _rounds(steps)
        for length in rounds:
            place = _Place.draw(generator) if len(rounds) > 1 else _Place()
            wider = None if here is None else place.wider(here)
            goal = set_goal(wider, paintings, place.wider(regions[None])[0], features, config, generator)

            def report(i: int, picture: Tensor, done: int = done, stage: str = stage, place: _Place = place) -> None:
                on_step(Step(done + i, total, stage, partial(_preview, place.back(picture))))

            x = place.back(_optimise(place.wider(x), goal, length, features, config, generator, report))
            done += length
    assert x is not None
    return x.contiguous()


@dataclass(frozen=True)
class _Place:
    """Where a picture lies on the network's grid: what is added to it above and on its left, px.

    Pooling looks at the picture through a grid of 2, 4, 8, 16 px. A picture that always lies on it in the same way
    takes its pattern on, rows of dashes 16 px apart; one that lies elsewhere in every round does not.
    """

    above: int = 0
    before: int = 0
    side: int = 0  # px added to height and width in all

    @classmethod
    def draw(cls, generator: torch.Generator) -> _Place:
        above, before = torch.randint(EDGE, (2,), generator=generator).tolist()
        return cls(above, before, EDGE)

    def wider(self, x: Tensor) -> Tensor:
        """x (1, C, H, W) continued as a mirror would to (1, C, H + side, W + side)."""
        if self.side == 0:
            return x
        return F.pad(x, (self.before, self.side - self.before, self.above, self.side - self.above), mode="reflect")

    def back(self, x: Tensor) -> Tensor:
        """What `wider` was given, out of its place."""
        height, width = x.shape[2] - self.side, x.shape[3] - self.side
        return x[..., self.above : self.above + height, self.before : self.before + width]


def _rounds(steps: int) -> list[int]:
    """Steps divided into rounds of about ROUND."""
    count = max(1, round(steps / ROUND))
    return [steps * (k + 1) // count - steps * k // count for k in range(count)]


def _plan(height: int, width: int, config: Config) -> list[tuple[tuple[int, int], int]]:
    """Sizes from coarse to fine, each about twice the one before, and the steps at each."""
    longer, shorter = max(height, width), min(height, width)
    count = 1 + max(0, min(round(math.log2(longer / config.coarsest)), math.floor(math.log2(shorter / NARROW))))
    plan = []
    for k in reversed(range(count)):
        size = (max(1, round(height / 2**k)), max(1, round(width / 2**k)))
        beyond = max(0.0, math.log2(max(size) / config.settled))
        plan.append((size, max(min(4, config.iterations), round(config.iterations / 2**beyond))))
    return plan


def _at_scale(style: Tensor, size: tuple[int, int]) -> Tensor:
    """A painting with as many pixels as the picture has at this scale, or its own if those are fewer."""
    height, width = style.shape[-2:]
    factor = max(math.sqrt(size[0] * size[1] / (height * width)), NARROW / min(height, width))
    return style if factor >= 1 else fit(style, round(max(height, width) * factor))


def _start(
    photo: Tensor | None, styles: Sequence[Tensor], share: Tensor, config: Config, generator: torch.Generator
) -> Tensor:
    """Where a scale begins, (1, 3, H, W)."""
    if photo is not None and config.start == "photo":
        return photo
    if photo is None or config.start == "noise":
        base = torch.randn(1, 3, *share.shape[1:], generator=generator) * 0.25 + 0.5
        amount = 1.0
    else:
        base, amount = photo, config.strength
    coloured = torch.zeros_like(base)
    for style, part in zip(styles, share, strict=True):
        coloured += match_colors(base, style, amount=amount) * part
    return coloured


def _preview(x: Tensor) -> Picture:
    return to_picture(resize(x.detach().to("cpu", torch.float32), _within(x, 512)))


def _within(x: Tensor, longer: int) -> tuple[int, int]:
    scale = min(1.0, longer / max(x.shape[-2:]))
    return max(1, round(x.shape[-2] * scale)), max(1, round(x.shape[-1] * scale))


# --- the losses -------------------------------------------------------------------------------------------------------


def content_loss(f: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of feature maps over the target's energy. f, target (1, C, h, w); returns a scalar float32."""
    wanted = target.float()
    return F.mse_loss(f.float(), wanted) / wanted.square().mean().clamp_min(TINY)


def gram(f: Tensor, mask: Tensor | None = None, window: Window | None = None) -> Tensor:
    """Sums of products of features over positions, Σ m · f fᵀ: (C, C) float32, not yet divided by their number.

    f (1, C, h, w) of any float dtype; window, the positions that count; mask, how much each of them counts.
    """
    whole = (0, f.shape[2], 0, f.shape[3])
    return cast(Tensor, _Gram.apply(f, mask, window or whole))  # type: ignore[no-untyped-call]


def gram_loss(g: Tensor, target: Tensor) -> Tensor:
    """Squared distance of two Gram matrices over the target's energy. Both (C, C) float32, means over positions."""
    return (g - target).square().sum() / target.square().sum().clamp_min(TINY)


def sliced_loss(projected: Tensor, target: Tensor) -> Tensor:
    """Mean squared distance of distributions, direction by direction, over the target's energy.

    projected (P, n) float32, features along P directions; target (P, m) float32, sorted along m.
    """
    wanted = quantiles(target, projected.shape[1])
    return (_in_order(projected) - wanted).square().mean() / wanted.square().mean().clamp_min(TINY)


def quantiles(ordered: Tensor, count: int) -> Tensor:
    """The same distribution with another number of samples. ordered (P, m), sorted along m; returns (P, count)."""
    if ordered.shape[1] == count:
        return ordered
    return F.interpolate(ordered[None], count, mode="linear", align_corners=False)[0]


def _in_order(x: Tensor) -> Tensor:
    """x (P, n) sorted along n; the gradient goes back to where each value came from."""
    if x.device.type != "cpu":
        return x.sort(dim=1).values
    order = np.argsort(x.detach().numpy(), axis=1)  # five times faster than torch.sort on one core
    return x.gather(1, torch.from_numpy(order))


class _Gram(torch.autograd.Function):
    """Σ m · f fᵀ by matrix products in f's dtype; long sums are cut into pieces that are added in float32."""

    @staticmethod
    def forward(ctx: Any, f: Tensor, mask: Tensor | None, window: Window) -> Tensor:
        channels = f.shape[1]
        ctx.save_for_backward(f, mask)
        ctx.window = window
        top, bottom, left, right = window
        flat = f[0, :, top:bottom, left:right].permute(1, 2, 0).reshape(-1, channels)  # (n, C)
        weighted = flat if mask is None else flat * mask.reshape(-1, 1).to(flat)
        pieces = 1 if f.dtype == torch.float32 else max(1, min(16, len(flat) // 2048))
        long = len(flat) // pieces * pieces
        first, second = (part[:long].view(pieces, -1, channels) for part in (weighted, flat))
        total = torch.bmm(first.transpose(1, 2), second).float().sum(dim=0)
        return total + (weighted[long:].T @ flat[long:]).float() if long < len(flat) else total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        f, mask = ctx.saved_tensors
        both = (gradients[0] + gradients[0].T).to(f.dtype)  # (C, C)
        _, channels, height, width = f.shape
        # The product is taken over the whole map and what lies outside the window is cleared: cheaper than a cut-out,
        # and the gradient has the memory layout that the convolution below wants.
        back = (f.permute(0, 2, 3, 1).reshape(-1, channels) @ both).view(height, width, channels)
        top, bottom, left, right = ctx.window
        for outside in (back[:top], back[bottom:], back[top:bottom, :left], back[top:bottom, right:]):
            outside.zero_()
        if mask is not None:
            back[top:bottom, left:right] *= mask[..., None].to(back)
        return back[None].permute(0, 3, 1, 2), None, None


class _Core(torch.autograd.Function):
    """A window of a feature map, whose gradient keeps the map's channels-last memory; a plain slice's does not."""

    @staticmethod
    def forward(ctx: Any, f: Tensor, window: Window) -> Tensor:
        top, bottom, left, right = window
        ctx.shape, ctx.window = f.shape, window
        return f[..., top:bottom, left:right].clone(memory_format=torch.channels_last)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        _, channels, height, width = ctx.shape
        top, bottom, left, right = ctx.window
        back = gradients[0].new_zeros(1, height, width, channels).permute(0, 3, 1, 2)
        back[..., top:bottom, left:right] = gradients[0]
        return back, None


# --- tiles ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tile:
    """A window [top, bottom) × [left, right) px of a picture, and the larger one that the network has to see for it."""

    core: Window  # top and left are multiples of the deepest stride
    outer: Window  # may reach over the picture's edges

    def cut(self, x: Tensor) -> Tensor:
        """As much of the outer window as there is of a picture (1, 3, H, W), a view."""
        top, bottom, left, right = self.outer
        return x[..., max(0, top) : max(0, bottom), max(0, left) : max(0, right)]

    def over(self, part: Tensor) -> Tensor:
        """What `cut` gave, continued over the picture's edges as a mirror would.

        The network pads with zeros and takes them for a dark frame; behind a mirrored strip it is out of sight.
        """
        top, bottom, left, right = self.outer
        above, before = max(0, -top), max(0, -left)
        below = bottom - top - above - part.shape[2]
        after = right - left - before - part.shape[3]
        if not (above or below or before or after):
            return part
        mirror = max(above, below) < part.shape[2] and max(before, after) < part.shape[3]
        return F.pad(part, (before, after, above, below), mode="reflect" if mirror else "replicate")

    def seen(self, x: Tensor) -> Tensor:
        """The outer window of a picture (1, 3, H, W)."""
        return self.over(self.cut(x))

    def within(self, stride: int) -> Window:
        """The core's place in a feature map (1, C, h, w) of the outer window."""
        top, bottom, left, right = (n // stride for n in self.core)
        above, before = self.outer[0] // stride, self.outer[2] // stride
        return top - above, bottom - above, left - before, right - before

    def part(self, whole: Tensor, stride: int) -> Tensor:
        """The core of a map (…, h, w) of the whole picture, a view."""
        top, bottom, left, right = (n // stride for n in self.core)
        return whole[..., top:bottom, left:right]


def tiled(
    size: tuple[int, int], layers: Sequence[str], features: Features, side: int, jitter: tuple[float, float] = (0, 0)
) -> list[Tile]:
    """Tiles of about `side` px whose cores cover a picture of `size` (H, W) once, one tile if it is no larger.

    Each sees as far around its core as a neuron of the deepest of `layers` does, so that the core's features are those
    of the whole picture. jitter (down, right) in [-1, 1] moves the joints by up to a quarter of a tile.
    """
    deepest = max(_block(name) for name in layers)
    grid, margin = 1 << (deepest - 1), reach(layers, features)
    edge = max(grid, EDGE)
    spans = []
    for length, shift in zip(size, jitter, strict=True):
        count = max(1, math.ceil(length / side))
        step = length / count
        moved = (step * (k + shift / 4) for k in range(1, count))
        edges = [0, *(round(at / grid) * grid for at in moved), length]
        spans.append(
            [
                (a, b, max(-edge, a - margin), min(length + edge, b + margin))
                for a, b in itertools.pairwise(edges)
                if a < b
            ]
        )
    return [Tile((a, b, c, d), (oa, ob, oc, od)) for a, b, oa, ob in spans[0] for c, d, oc, od in spans[1]]


def reach(layers: Sequence[str], features: Features) -> int:
    """How far a neuron of the deepest of `layers` sees to each side, px, rounded up to its stride."""
    last = max(features.layers.index(name) for name in layers)
    blocks = [_block(name) for name in features.layers[: last + 1]]
    # A 3×3 convolution sees one neuron further, each pooling one neuron of the block above.
    seen = sum(1 << (block - 1) for block in blocks) + sum(1 << (block - 1) for block in range(1, blocks[-1]))
    grid = 1 << (blocks[-1] - 1)
    return math.ceil(seen / grid) * grid


def _block(name: str) -> int:
    return int(name.removeprefix("relu").partition("_")[0])


def _stride(name: str) -> int:
    return 1 << (_block(name) - 1)


# --- what the picture should become -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measure:
    """One layer's style: how its statistics are taken, and what they should be.

    Regions are the styles with their shares as masks, or one region where the shares are the same everywhere.
    """

    name: str
    weight: float
    size: tuple[int, int]  # of the layer's map of the whole picture
    masks: Tensor | None  # (R, h, w) float32; None: one region, everywhere
    directions: Tensor | None  # sliced: (C, SETS * P) in the compute dtype; None: Gram matrices
    samples: int
    targets: tuple[
        Tensor, ...
    ] = ()  # per region; gram (C, C), sliced (SETS * P, samples) sorted along samples; float32

    def regions(self) -> range:
        """Their numbers."""
        return range(1 if self.masks is None else len(self.masks))

    def area(self, region: int) -> float:
        """How many of the layer's positions a region has, counted with its mask."""
        return float(math.prod(self.size)) if self.masks is None else max(1.0, float(self.masks[region].sum()))

    def mask(self, region: int, tile: Tile) -> Tensor | None:
        """A region's mask within a tile's core, (h, w)."""
        return None if self.masks is None else tile.part(self.masks[region], _stride(self.name))

    def draw(self, region: int, tile: Tile, generator: torch.Generator) -> Tensor | None:
        """Positions (n,) of the tile's core that the sliced loss looks at; a tile gets as many as its area is worth."""
        if self.directions is None:
            return None
        mask = self.mask(region, tile)
        top, bottom, left, right = (n // _stride(self.name) for n in tile.core)
        inside = float((bottom - top) * (right - left)) if mask is None else float(mask.sum())
        count = round(self.samples * inside / self.area(region))
        if mask is None:
            return torch.randint(max(1, int(inside)), (count,), generator=generator)
        if count == 0:
            return torch.zeros(0, dtype=torch.int64)
        return torch.multinomial(mask.flatten(), count, replacement=True, generator=generator)

    def take(self, f: Tensor, region: int, tile: Tile, at: Tensor | None, some: slice) -> Tensor:
        """The tile's part of the statistics. f (1, C, h, w), what the tile sees; `some` of the directions."""
        window = tile.within(_stride(self.name))
        if self.directions is None or at is None:
            return gram(f, self.mask(region, tile), window)
        wide = window[3] - window[2]
        place = (at // wide + window[0]) * f.shape[3] + at % wide + window[2]
        chosen = f.permute(0, 2, 3, 1).reshape(-1, f.shape[1])[place.to(f.device)]  # (n, C)
        return (chosen @ self.directions[:, some]).float().T.contiguous()  # (P, n)

    def join(self, parts: tuple[Tensor, ...] | list[Tensor], region: int) -> Tensor:
        """The whole picture's statistics out of those of its tiles."""
        return torch.stack(parts).sum(dim=0) / self.area(region) if self.directions is None else torch.cat(parts, 1)

    def settle(self, joined: Tensor) -> Tensor:
        """Statistics in the form of a target."""
        return joined if self.directions is None else quantiles(_in_order(joined), self.samples)

    def loss(self, joined: Tensor, region: int, some: slice) -> Tensor:
        """The weighted distance to the target, a scalar; regions count by their area."""
        far = gram_loss if self.directions is None else sliced_loss
        target = self.targets[region] if self.directions is None else self.targets[region][some]
        share = self.area(region) / sum(self.area(r) for r in self.regions())
        return self.weight * share * far(joined, target)


@dataclass(frozen=True)
class Goal:
    """The targets of one scale."""

    size: tuple[int, int]  # of the picture, px
    style: tuple[Measure, ...]
    content: dict[
        str, tuple[float, Tensor]
    ]  # weight over the target's energy; features (1, C, h, w) of the whole photo
    tv_weight: float
    tile: int

    @property
    def layers(self) -> list[str]:
        """Every layer that is looked at."""
        return sorted({m.name for m in self.style} | set(self.content))


def set_goal(
    photo: Tensor | None,
    styles: Sequence[Tensor],
    share: Tensor,
    features: Features,
    config: Config,
    generator: torch.Generator,
) -> Goal:
    """Measure the photo and the paintings at one scale; share is (K, H, W), the rest as in `stylize`."""
    size = (share.shape[1], share.shape[2])
    even = share.mean(dim=(1, 2))  # (K,)
    constant = bool((share - even[:, None, None]).abs().max() < 1e-3)
    blends = even[None] if constant else torch.eye(len(styles))  # (R, K)
    measures = _measures(size, None if constant else share, features, config, generator)
    theirs = [_statistics(x, _measures_of(x, measures), features, config, generator) for x in styles]
    own = None
    if photo is not None and config.strength < 1:
        own = _statistics(photo, measures, features, config, generator)
    style = []
    for m in measures:
        targets = []
        for region, row in enumerate(blends.tolist()):
            target = torch.stack([part * t[m.name][0] for part, t in zip(row, theirs, strict=True)]).sum(dim=0)
            targets.append(target if own is None else torch.lerp(own[m.name][region], target, config.strength))
        style.append(replace(m, targets=tuple(targets)))
    content = {} if photo is None else _content(photo, features, config)
    return Goal(size, tuple(style), content, config.tv_weight, config.tile)


def _measures(
    size: tuple[int, int], share: Tensor | None, features: Features, config: Config, generator: torch.Generator
) -> list[Measure]:
    """How each layer is measured, still without targets. share (K, H, W); None: the same everywhere."""
    layers = [(name, weight) for name, weight in config.style_layers if weight > 0]
    names, total = [name for name, _ in layers], sum(weight for _, weight in layers)
    directions: dict[str, Tensor] = {}
    if config.style_loss == "sliced":
        with torch.no_grad():
            widths = {name: f.shape[1] for name, f in features(torch.zeros(1, 3, 64, 64), names).items()}
        for name in names:
            drawn = F.normalize(torch.randn(widths[name], SETS * config.directions, generator=generator), dim=0)
            directions[name] = drawn.to(features.compute.device, features.compute.dtype)
    found = []
    for name, weight in layers:
        inside = (size[0] // _stride(name), size[1] // _stride(name))
        masks = (
            None if share is None else F.interpolate(share[None], inside, mode="area")[0].to(features.compute.device)
        )
        part = config.style_weight * weight / total
        found.append(Measure(name, part, inside, masks, directions.get(name), config.samples))
    return found


def _measures_of(x: Tensor, measures: Sequence[Measure]) -> list[Measure]:
    """The same measures, taken everywhere on another picture."""
    sizes = [(x.shape[2] // _stride(m.name), x.shape[3] // _stride(m.name)) for m in measures]
    return [replace(m, size=size, masks=None) for m, size in zip(measures, sizes, strict=True)]


@torch.no_grad()
def _survey(
    x: Tensor, names: Sequence[str], features: Features, config: Config
) -> Iterator[tuple[Tile, dict[str, Tensor]]]:
    """The features of a picture (1, 3, H, W), tile by tile: {layer: (1, C, h, w) of what the tile sees}."""
    for tile in tiled((x.shape[2], x.shape[3]), names, features, config.tile):
        yield tile, features(tile.seen(x).to(features.compute.device), names)


def _statistics(
    x: Tensor, measures: Sequence[Measure], features: Features, config: Config, generator: torch.Generator
) -> dict[str, list[Tensor]]:
    """A picture's own statistics in the form of targets, by layer and region."""
    parts: dict[str, list[list[Tensor]]] = {m.name: [[] for _ in m.regions()] for m in measures}
    for tile, found in _survey(x, [m.name for m in measures], features, config):
        for m in measures:
            for region in m.regions():
                at = m.draw(region, tile, generator)
                parts[m.name][region].append(m.take(found[m.name], region, tile, at, ALL))
    return {m.name: [m.settle(m.join(parts[m.name][region], region)) for region in m.regions()] for m in measures}


def _content(photo: Tensor, features: Features, config: Config) -> dict[str, tuple[float, Tensor]]:
    """The photo's own features, and the factor that makes a sum of squared differences the weighted relative error."""
    weights = {name: weight for name, weight in config.content_layers if weight > 0 and config.content_weight > 0}
    maps: dict[str, Tensor] = {}
    for tile, found in _survey(photo, list(weights), features, config) if weights else ():
        for name, f in found.items():
            if name not in maps:
                height, width = (n // _stride(name) for n in photo.shape[2:])
                maps[name] = f.new_empty(1, height, width, f.shape[1]).permute(0, 3, 1, 2)
            top, bottom, left, right = tile.within(_stride(name))
            tile.part(maps[name], _stride(name)).copy_(f[..., top:bottom, left:right])
    total = sum(weights.values())
    energy = {name: float(torch.linalg.vector_norm(f, dtype=torch.float32)) ** 2 for name, f in maps.items()}
    return {
        name: (config.content_weight * weights[name] / total / max(energy[name], TINY), f) for name, f in maps.items()
    }


# --- how it gets there ------------------------------------------------------------------------------------------------


def gradient(x: Tensor, goal: Goal, features: Features, generator: torch.Generator) -> tuple[float, Tensor]:
    """The loss of a picture (1, 3, H, W) in [0, 1] and its derivative by the picture, (1, 3, H, W) float32.

    Large pictures are worked on tile by tile; the derivative is that of the whole, up to rounding.
    """
    directions = next((m.directions.shape[1] for m in goal.style if m.directions is not None), SETS)
    chosen, count = int(torch.randint(SETS, (1,), generator=generator)), directions // SETS
    some = slice(chosen * count, (chosen + 1) * count)
    jitter = (torch.rand(2, generator=generator) * 2 - 1).tolist()
    tiles = tiled(goal.size, goal.layers, features, goal.tile, (jitter[0], jitter[1]))
    looks = [{(m.name, r): m.draw(r, tile, generator) for m in goal.style for r in m.regions()} for tile in tiles]

    def take(tile: Tile, look: dict[tuple[str, int], Tensor | None], found: dict[str, Tensor]) -> list[Tensor]:
        return [m.take(found[m.name], r, tile, look[m.name, r], some) for m in goal.style for r in m.regions()]

    def style_loss(parts: Sequence[Sequence[Tensor]]) -> Tensor:  # parts[tile][layer and region]
        each = zip(((m, r) for m in goal.style for r in m.regions()), zip(*parts, strict=True), strict=True)
        return torch.stack([m.loss(m.join(column, r), r, some) for (m, r), column in each]).sum()

    loss, slopes = 0.0, None
    if len(tiles) > 1:
        names = [m.name for m in goal.style]
        with torch.no_grad():
            parts = [take(tile, look, features(tile.seen(x), names)) for tile, look in zip(tiles, looks, strict=True)]
        leaves = [[part.requires_grad_() for part in row] for row in parts]
        whole = style_loss(leaves)
        flat = torch.autograd.grad(whole, [part for row in leaves for part in row])
        width = len(leaves[0])
        slopes = [flat[i * width : (i + 1) * width] for i in range(len(tiles))]
        loss += float(whole.detach())
    total = torch.zeros_like(x) if len(tiles) > 1 else None
    for i, (tile, look) in enumerate(zip(tiles, looks, strict=True)):
        part = tile.cut(x).detach().clone(memory_format=torch.channels_last).requires_grad_()
        found = features(tile.over(part), goal.layers)
        taken = take(tile, look, found)
        own = _content_of(found, tile, goal) + _roughness(part, tile, goal)
        if slopes is None:
            own = own + style_loss([taken])
            loss += float(own.detach())
            own.backward()  # type: ignore[no-untyped-call]
        else:
            loss += float(own.detach())
            linear = torch.stack([(slope * value).sum() for slope, value in zip(slopes[i], taken, strict=True)]).sum()
            (own + linear).backward()  # type: ignore[no-untyped-call]
        assert part.grad is not None
        if total is None:
            return loss, part.grad
        tile.cut(total).add_(part.grad)
    assert total is not None
    return loss, total


def _content_of(found: dict[str, Tensor], tile: Tile, goal: Goal) -> Tensor:
    """The tile's part of the content loss, a scalar."""
    loss = torch.zeros((), device=next(iter(found.values())).device)
    for name, (factor, target) in goal.content.items():
        f = cast(Tensor, _Core.apply(found[name], tile.within(_stride(name))))  # type: ignore[no-untyped-call]
        loss = loss + factor * (f.float() - tile.part(target, _stride(name)).float()).square().sum()
    return loss


def _roughness(x: Tensor, tile: Tile, goal: Goal) -> Tensor:
    """The tile's part of the mean squared difference between neighbours, weighted. x, what `tile.cut` gave."""
    if goal.tv_weight == 0:
        return torch.zeros((), device=x.device)
    top, bottom, left, right = tile.core
    above, before = max(0, tile.outer[0]), max(0, tile.outer[2])
    rows, columns = slice(top - above, bottom - above), slice(left - before, right - before)
    down = x[..., top - above : bottom - above + 1, columns].diff(dim=2)
    across = x[..., rows, left - before : right - before + 1].diff(dim=3)
    return goal.tv_weight * (down.square().sum() + across.square().sum()) / math.prod(goal.size)


def _optimise(
    x: Tensor,
    goal: Goal,
    steps: int,
    features: Features,
    config: Config,
    generator: torch.Generator,
    report: Callable[[int, Tensor], None],
) -> Tensor:
    """`steps` steps down the loss from x (1, 3, H, W) in [0, 1]; returns the picture, float32 on the CPU."""
    x = x.to(features.compute.device, torch.float32).clone(memory_format=torch.channels_last)
    slope = partial(gradient, goal=goal, features=features, generator=generator)
    dense = config.style_loss == "gram" and math.prod(goal.size) <= DENSE  # sampled losses have no curvature to learn
    chosen = config.optimiser if config.optimiser != "auto" else "lbfgs" if dense else "adam"
    walk = adam if chosen == "adam" else lbfgs
    for i, picture in enumerate(walk(x, slope, steps, config), 1):
        report(i, picture)
    return x.to("cpu").contiguous()


Slope = Callable[[Tensor], tuple[float, Tensor]]


def adam(x: Tensor, slope: Slope, steps: int, config: Config) -> Iterator[Tensor]:
    """Kingma & Ba 2015, in place; the rate falls along a half cosine, which averages the last steps' noise away."""
    lean = x.shape[2] * x.shape[3] > LEAN
    first, second = (torch.zeros_like(x, dtype=torch.bfloat16 if lean else torch.float32) for _ in range(2))
    for i in range(steps):
        _, g = slope(x)
        rate = config.rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * i / steps)))
        scale = rate / (1 - 0.9 ** (i + 1))
        for at in range(0, x.shape[2], 512):  # in strips, so that no temporary is as large as the picture
            rows = (slice(None), slice(None), slice(at, at + 512))
            m, v = first[rows], second[rows]
            m.lerp_(g[rows].to(m), 0.1)
            v.lerp_(g[rows].square().to(v), 0.01)
            spread = (v.float() / (1 - 0.99 ** (i + 1))).sqrt_().add_(TINY)
            x[rows].addcdiv_(m.float(), spread, value=-scale).clamp_(0, 1)
        yield x


def lbfgs(x: Tensor, slope: Slope, steps: int, config: Config) -> Iterator[Tensor]:
    """Limited-memory BFGS without line search (Gatys et al. used it with one).

    Without one it can be thrown off, by bf16's rounding above all: a loss half as large again as the best so far sends
    it back there, and Adam goes on. What comes back is the best picture that was seen.
    """
    # A flat copy, because L-BFGS takes the gradient for one vector and the picture is in channels-last memory.
    flat = torch.nn.Parameter(x.permute(0, 2, 3, 1).flatten().clone())
    height, width = x.shape[2:]
    optimiser = torch.optim.LBFGS([flat], lr=1.0, max_iter=1, history_size=10, tolerance_grad=0, tolerance_change=0)

    best, kept, now = math.inf, x.clone(), 0.0

    def closure() -> float:
        nonlocal now
        now, g = slope(x)
        flat.grad = g.permute(0, 2, 3, 1).flatten() * SCALE
        return now * SCALE

    for i in range(steps):
        optimiser.step(closure)  # type: ignore[no-untyped-call]
        if not now <= 1.5 * best:
            x.copy_(kept)
            yield from adam(x, slope, steps - i, config)
            return
        if now < best:
            best = now
            kept.copy_(x)
        with torch.no_grad():
            flat.clamp_(0, 1)
            x.copy_(flat.view(1, height, width, 3).permute(0, 3, 1, 2))
        yield x
    if not slope(x)[0] <= best:
        x.copy_(kept)
