"""Patch texture optimisation: a photo rebuilt, scale by scale, out of overlapping patches of the paintings.

Elad & Milanfar 2017, "Style Transfer via Texture Synthesis", IEEE TIP 26(5). For each scale of a pyramid, coarse to
fine, and for each patch size, large to small: find for every patch of the picture the nearest patch of the style; let
the found patches vote for each pixel, near matches more (one step of iteratively reweighted least squares for the
r-norm, r < 2); let the photo have its say where it has structure; bring the colours back to the style's.

Departures, each of them looked at or measured in docs/decisions/0003-patch-style.md:
- A match may be taken over from a neighbour, moved along (coherence, after Ashikhmin 2001), unless it is clearly worse:
  whole strokes are copied as they were painted, and what overlaps agrees instead of blurring.
- After each pass the octaves that averaging has flattened are amplified back to the contrast they have in the style;
  before the first, the photo's are brought toward it too, so that ink draws lines.
- Matching is blurred by a little noise, neighbours may not lay the very same patch side by side, and places of the
  painting that were used more than their share cost more: nothing repeats in a lattice or marches across a sky.
- Votes count most near a patch's middle (a Gaussian window), and the grid moves at every pass.
- The last pass is not fused with the photo: every pixel at full strength comes from a painting.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from danqing.artwork.request import OnStep, Step, ignore
from danqing.compute.device import Compute
from danqing.encode.image import color_transport, luminance, match_colors, resize, to_picture
from danqing.errors import BadRequest

MIN_SIDE = 16  # px; below it there is no patch to match
_GROUP = 32  # style patches whose best score is kept before the exact search among them
_LARGEST = 2**21  # px of a painting that patches are taken from; their components then have 240 MB
_CELLS = 24  # a painting is divided into 24×24 places to count how often each was used
_ROUNDS = 4
_AROUND = ((0, 1), (1, 0), (0, -1), (-1, 0))
_STRIP = 2**21  # patch pixels handled at a time; four such tensors in float32 are 100 MB


@dataclass(frozen=True)
class Config:
    """How a photo is painted; the defaults were chosen by eye on pairs of two photos and eight paintings."""

    strength: float = 1.0  # (0, 1]: near the photo … the style's full say
    patch_sizes: tuple[int, ...] = (33, 21, 13, 9)  # px, at each of the three coarsest scales
    fine_sizes: tuple[int, ...] = (13, 9)  # px, at further scales, which only sharpen what is there
    passes: int = 2  # for each patch size; one at the scales beyond the third
    coarsest: int = 96  # px, about the shorter side at the coarsest scale
    robustness: float = 0.8  # r of the r-norm: 2 is the mean, below 1 outliers hardly count
    components: int = 57  # principal components compared; with 1 for lines and 6 for norms two rows of AMX tiles
    candidates: int = 20_000  # style patches searched for each patch size; the rest is reached by coherence
    coherence: float = 2.5  # how much worse (squared distance) a neighbour's match may be and still be taken over
    drift: float = 1.6  # how much worse again, when it passes from neighbour to neighbour
    window: float = 0.2  # width (sigma) of a patch's voting window, of its side
    guide: float = 0.2  # of 1, the difference of colour that counts as much as a line where the photo has none
    structure: float = 4.0  # the photo's weight against the votes where it has edges; halved at each further scale
    ground: float = 0.05  # the same where it has none, from the third scale on; twice and four times that before
    noise: float = 0.3  # of 1, added to the coarsest scale, so that flat areas find brushwork and not a flat patch
    grain: float = 0.15  # of 1, added to the flat areas of each further scale, likewise
    jitter: float = 0.2  # noise in the matching, of the squared distance of a typical match
    wear: float = 0.25  # cost of places in the painting used e times their share, in typical match distances
    contrast: float = (
        2.0  # the most that an octave of the photo is amplified or damped toward the style's; 1: not at all
    )
    lift: float = 1.4  # the most that a pass amplifies an octave of the picture back to the style's; 1: not at all
    palette: float = 1.0  # how far the photo's colours are carried to the style's beforehand; 0: it has them already
    recolor: float = 1.2  # the most that a pass stretches the colours back to the style's; 1: their mean only


def stylize(
    photo: Tensor,
    styles: Sequence[Tensor],
    share: Tensor,
    config: Config,
    compute: Compute,
    generator: torch.Generator,
    on_step: OnStep = ignore,
) -> Tensor:
    """The photo painted with patches of the styles.

    photo (1, 3, H, W) and styles, each (1, 3, h, w) of any size, float32 in [0, 1]; share (K, H, W) float32, how much
    of each of the K styles there is at each pixel, sums to 1. Returns (1, 3, H, W) float32 in [0, 1] on the CPU.
    Raises BadRequest for pictures below MIN_SIDE or a strength outside (0, 1], Cancelled through `on_step`.
    """
    _check(photo, styles, share, config)
    height, width = photo.shape[2:]
    count = max(1, round(math.log2(min(height, width) / config.coarsest)) + 1)
    plan = [_Scale.of(level, count, height, width, config) for level in reversed(range(count))]
    progress = _Progress(on_step, sum(scale.work() for scale in plan))
    with torch.no_grad():
        scene = _Scene.of(photo, styles, config, compute)
        picture: Tensor | None = None
        usage = _Usage()
        for scale in plan:
            content, weight, lines = scene.content(scale, share)
            picture = _started(picture, content, weight, scale, config, generator)
            wanted = scene.contrasts(scale, share)
            sheets = scene.sheets(scale)
            usage.wear = config.wear / (count - scale.level)  # composing needs variety; strokes need to stay whole
            for size in scale.sizes:
                bank = _Bank(sheets, size, config, compute, generator)
                for turn in range(scale.passes):
                    progress.show(picture, f"{max(scale.height, scale.width)} px")
                    last = scale.level == 0 and size == scale.sizes[-1] and turn == scale.passes - 1
                    picture = _repaint(picture, lines, bank, scale.small(share), usage, generator, progress)
                    picture = _fuse(picture, content, (1 / config.strength - 1) / 2 + (0 if last else weight))
                    _lift(picture[None], wanted, (1.0, config.lift ** (config.strength / (2 if last else 1))))
                    _restore_colors(picture, content, config.recolor)
    assert picture is not None
    return picture[None].to("cpu", torch.float32).contiguous()


def _started(
    before: Tensor | None, content: Tensor, weight: Tensor, scale: _Scale, config: Config, generator: torch.Generator
) -> Tensor:
    """What a scale starts from, (3, h, w): the scale before, or the content, with noise where it is flat."""
    size = (scale.height, scale.width)
    draw = torch.randn(content.shape, generator=generator).to(content.device)
    if before is None:
        return draw.mul_(config.noise * config.strength).add_(content).clamp_(0, 1)
    flat = config.ground / (weight - scale.ground + config.ground)  # 1 where there is no edge, near 0 at edges
    return draw.mul_(flat * (config.grain * config.strength)).add_(resize(before[None], size)[0]).clamp_(0, 1)


def _check(photo: Tensor, styles: Sequence[Tensor], share: Tensor, config: Config) -> None:
    if not 0 < config.strength <= 1:
        raise BadRequest(f"strength is {config.strength}; it lies above 0 (the photo) and up to 1 (the full style)")
    if not styles:
        raise BadRequest("no style was given; method patch needs at least one painting")
    if share.shape != (len(styles), *photo.shape[2:]):
        raise BadRequest(f"shares have the shape {tuple(share.shape)}; it is (styles, height, width) of the photo")
    for name, x in (("photo", photo), *(("style", style) for style in styles)):
        if min(x.shape[2:]) < MIN_SIDE:
            raise BadRequest(f"the {name} is {x.shape[3]}×{x.shape[2]} px; each side has {MIN_SIDE} px or more")


# --- scales and what is painted at them -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scale:
    """One scale of the pyramid and how it is painted."""

    level: int  # 0 is the size of the result, each further one half of it
    height: int
    width: int
    sizes: tuple[int, ...]
    passes: int
    ground: float  # the photo's least weight against the votes
    structure: float  # its further weight where it has edges

    @classmethod
    def of(cls, level: int, count: int, height: int, width: int, config: Config) -> _Scale:
        height, width = max(1, round(height / 2**level)), max(1, round(width / 2**level))
        turn = count - 1 - level  # 0 at the coarsest scale
        fine = turn > 2
        ground = config.ground * 2.0 ** max(0, 2 - turn)
        structure = config.structure * 0.5 ** max(0, turn - 2)
        room = min(height, width) // 2
        sizes = tuple(n for n in (config.fine_sizes if fine else config.patch_sizes) if n <= max(room, 7))
        return cls(level, height, width, sizes or (7,), 1 if fine else config.passes, ground, structure)

    def work(self) -> int:
        """Patches to be matched at this scale."""
        return sum(self.passes * math.prod(_grid(self.height, self.width, n)) for n in self.sizes)

    def small(self, share: Tensor) -> Tensor:
        """Shares (K, H, W) at this scale."""
        if share.shape[0] == 1:
            return share[:, :1, :1].expand(1, self.height, self.width)
        return F.interpolate(share[None], (self.height, self.width), mode="bilinear", align_corners=False)[0]


@dataclass(frozen=True)
class _Scene:
    """The photo, the paintings at their working size, and the maps of colour between them."""

    photo: Tensor  # (1, 3, H, W)
    styles: tuple[Tensor, ...]  # (1, 3, h, w) each
    colors: tuple[tuple[Tensor, Tensor], ...]  # one map (matrix, offset) from the photo to each style
    maps: tuple[Tensor, ...]  # (1, 2, h, w) in [0, 1]: edges and lines of the photo, then of each style
    config: Config

    @classmethod
    def of(cls, photo: Tensor, styles: Sequence[Tensor], config: Config, compute: Compute) -> _Scene:
        s = config.strength
        eye = torch.eye(3, dtype=torch.float64)
        colors, sized = [], []
        for style in styles:
            matrix, offset = color_transport(photo, style)
            moved = s * config.palette
            matrix, offset = moved * matrix + (1 - moved) * eye, moved * offset
            # Below full strength the palette lies between the photo's and the painting's, and so must the patches.
            if s < 1:
                style = match_colors(style, _moved(photo, matrix, offset))
            colors.append((matrix, offset))
            sized.append(style.to(compute.device))
        maps = tuple(_structure(picture).to(compute.device) for picture in (photo, *styles))
        return cls(photo.to(compute.device), tuple(sized), tuple(colors), maps, config)

    def content(self, scale: _Scale, share: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is painted at this scale: (3, h, w) in the style's colours; its weight and its lines, (1, h, w)."""
        config = self.config
        size = (scale.height, scale.width)
        photo = resize(self.photo, size)
        share = scale.small(share).to(photo.device)
        content = torch.zeros_like(photo)
        for k, color in enumerate(self.colors):
            drawn = _moved(photo, *color)
            if config.contrast > 1:
                limit = config.contrast**config.strength
                _lift(drawn, _contrasts(self._sheet(k, scale), 4), (1 / limit, limit))
            content.addcmul_(drawn, share[k])
        edges, lines = torch.split(resize(self.maps[0], size)[0], 1)
        return content[0].clamp_(0, 1), scale.ground + scale.structure * edges, lines

    def contrasts(self, scale: _Scale, share: Tensor) -> list[float]:
        """The contrast of each octave that the picture should have at this scale, finest first."""
        found = [_contrasts(self._sheet(k, scale), 3) for k in range(len(self.styles))]
        parts = share.mean((1, 2)).tolist()
        return [sum(p * c for p, c in zip(parts, octave, strict=True)) for octave in zip(*found, strict=False)]

    def sheets(self, scale: _Scale) -> list[Tensor]:
        """The paintings at the size patches are taken from, (4, h, w) each; the fourth channel is their lines."""
        found = [self._sheet(k, scale) for k in range(len(self.styles))]
        lines = [resize(maps[:, 1:], (x.shape[2], x.shape[3])) for maps, x in zip(self.maps[1:], found, strict=True)]
        return [torch.cat(pair, 1)[0] for pair in zip(found, lines, strict=True)]

    def _sheet(self, k: int, scale: _Scale) -> Tensor:
        """A painting at the size its patches are taken from, (1, 3, h, w).

        As large as the result, so that a stroke is as large in it as in the painting; but no more than twice as large
        as it is, which would blur, and no more than _LARGEST pixels: finer scales then paint with strokes within the
        strokes that coarser ones laid.
        """
        style = self.styles[k]
        height, width = style.shape[2:]
        short = min(height, width)
        factor = min(min(scale.height, scale.width) / short, 2.0, math.sqrt(_LARGEST / (height * width)))
        factor = max(factor, 1.5 * max(scale.sizes) / short)  # room for some patches, however small the painting
        return resize(style, (round(height * factor), round(width * factor)))


def _moved(x: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    """A linear map of colours, not clamped. x (B, 3, H, W)."""
    return torch.einsum("ij,bjhw->bihw", matrix.to(x), x) + offset.to(x)[:, None, None]


def _lift(x: Tensor, wanted: Sequence[float], limits: tuple[float, float]) -> None:
    """Bring the contrast of x's octaves, (1, 3, H, W) in place, toward `wanted` (finest first), by limited factors."""
    if not wanted or min(x.shape[2:]) < 8:
        return
    low, band = _octave(x)
    gain = min(max(wanted[0] / max(float(luminance(band).std()), 1e-3), limits[0]), limits[1])
    x.add_(band, alpha=gain - 1)
    del band  # at 8192 px it has 800 MB
    lifted = low.clone()
    _lift(lifted, wanted[1:], limits)
    x.add_(F.interpolate(lifted.sub_(low), x.shape[2:], mode="bicubic", align_corners=False))


def _contrasts(x: Tensor, count: int) -> list[float]:
    """Standard deviation of the brightness in the octaves of (1, 3, H, W), finest first."""
    found: list[float] = []
    while len(found) < count and min(x.shape[2:]) >= 8:
        x, band = _octave(x)
        found.append(float(luminance(band).std()))
    return found


def _octave(x: Tensor) -> tuple[Tensor, Tensor]:
    """x (1, 3, H, W) at half its size, and what that lacks of x."""
    low = F.interpolate(x, (x.shape[2] // 2, x.shape[3] // 2), mode="bilinear", antialias=True)
    band = F.interpolate(low, x.shape[2:], mode="bicubic", align_corners=False)
    return low, torch.sub(x, band, out=band)


def _structure(picture: Tensor) -> Tensor:
    """Edges and lines of (1, 3, H, W), as (1, 2, h, w) in [0, 1], 512 px or less on the shorter side.

    Edges are where the picture must stay legible: gradients as strong as its strongest tenth, spread over a few pixels.
    Lines are what stands out from its usual texture: gradients beyond three times the median. A picture that is all
    brushwork has hardly any, a woodcut all its contours, its signature and its seals.
    """
    small = min(1.0, 512 / min(picture.shape[2:]))
    x = resize(picture, (round(picture.shape[2] * small), round(picture.shape[3] * small)))
    s = min(x.shape[2:]) / 512
    x = _blur(x, max(0.6, 1.5 * s))
    dx = F.pad(x[..., 2:] - x[..., :-2], (1, 1, 0, 0)) / 2
    dy = F.pad(x[..., 2:, :] - x[..., :-2, :], (0, 0, 1, 1)) / 2
    slope = _blur((dx.square() + dy.square()).sum(1, keepdim=True), max(1.0, 3 * s)).sqrt()
    usual, strong = torch.quantile(
        slope.flatten()[:: max(1, slope.numel() // 2**18)], torch.tensor([0.5, 0.9])
    ).tolist()
    edges = _blur((slope / max(strong, 0.01)).clamp(0, 1), max(0.7, 2 * s))
    lines = slope / max(3 * usual, 0.01) - 1
    return torch.cat([edges, lines], 1).clamp(0, 1)


def _blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (1, C, H, W)."""
    reach = math.ceil(3 * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=x.device) / sigma) ** 2)
    kernel /= kernel.sum()
    channels = x.shape[1]
    x = F.pad(x, (reach,) * 4, mode="replicate")
    x = F.conv2d(x, kernel.expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(x, kernel[:, None].expand(channels, 1, -1, 1), groups=channels)


# --- the paintings' patches -------------------------------------------------------------------------------------------


class _Bank:
    """All patches of one size of the paintings at one scale, reduced to their principal components.

    Patches are numbered along rows of one width that all paintings share, with room between them that no move crosses:
    the patch r steps down and c right of patch i is i + r * columns + c. Numbers in that room are no patches; their
    cost is infinite.
    """

    def __init__(
        self, sheets: Sequence[Tensor], size: int, config: Config, compute: Compute, generator: torch.Generator
    ) -> None:
        self.size, self.config, self.dtype = size, config, compute.dtype
        self.step = _step(size)
        self.apart = _stride(size) // self.step  # the longest move, in steps
        device = sheets[0].device
        shapes = [(sheet.shape[1], sheet.shape[2]) for sheet in sheets]
        self.grids = [((h - size) // self.step + 1, (w - size) // self.step + 1) for h, w in shapes]
        self.columns = max(columns for _, columns in self.grids) + self.apart
        self.pixels = torch.cat([sheet[:3].reshape(3, -1) for sheet in sheets], dim=1)  # (3, P)
        self.middle = self.pixels.mean(1)[:, None, None]
        self.width = torch.tensor([w for _, w in shapes], device=device)
        tops = torch.tensor([self.apart, *(self.apart + rows for rows, _ in self.grids)]).cumsum(0)
        self.top = tops[:-1].to(device)  # the row of numbers at which each painting begins
        total = (int(tops[-1]) + self.apart) * self.columns
        self.place = torch.zeros(total, dtype=torch.int64, device=device)  # (N,) first pixel of each patch
        self.cell = torch.zeros(total, dtype=torch.int64, device=device)  # (N,) where in its painting it lies
        self.void = torch.full((total,), torch.inf, device=device)  # (N,) 0 where there is a patch
        first = 0
        for k, ((rows, columns), (h, w)) in enumerate(zip(self.grids, shapes, strict=True)):
            top = torch.arange(rows, device=device)[:, None] * self.step
            left = torch.arange(columns, device=device) * self.step
            self._part(self.place, k).copy_(first + top * w + left)
            self._part(self.cell, k).copy_((k * _CELLS + top * _CELLS // h) * _CELLS + left * _CELLS // w)
            self._part(self.void, k).zero_()
            first += h * w
        self.basis = self._principal(generator)
        self.features = torch.zeros(total, len(self.basis) + 1, dtype=self.dtype, device=device)  # (N, d)
        for k, sheet in enumerate(sheets):
            self._part(self.features, k).copy_(self.reduced(sheet, self.step))
        self.looked = [self._thinned(k) for k in range(len(sheets))]

    def _part(self, values: Tensor, style: int) -> Tensor:
        """One painting's share, (rows, columns, …), of values that are numbered like the patches."""
        rows, columns = self.grids[style]
        first = int(self.top[style]) * self.columns
        whole = values[first : first + rows * self.columns]
        return whole.view(rows, self.columns, *values.shape[1:])[:, :columns]

    def _principal(self, generator: torch.Generator) -> Tensor:
        """The leading principal directions, (d, 3, n, n), of a sample of patches, by subspace iteration."""
        n = self.size
        patches = (self.void == 0).nonzero()[:, 0]
        some = patches[torch.randint(len(patches), (1500,), generator=generator).to(patches.device)]
        sample = self.take(some).view(3 * n * n, -1).T
        sample = sample - sample.mean(0)
        width = min(self.config.components, sample.shape[1])
        basis = torch.randn(sample.shape[1], width, generator=generator).to(sample.device)
        for _ in range(2):
            basis, _ = torch.linalg.qr(sample.T @ (sample @ basis))
        return basis.T.reshape(width, 3, n, n).to(self.dtype).contiguous(memory_format=torch.channels_last)

    def reduced(self, picture: Tensor, stride: int) -> Tensor:
        """Every patch of a picture (4, H, W) that starts at multiples of `stride`: components and lines (R, C, d)."""
        # In channels-last this convolution is 4 times faster than unfolding and multiplying.
        x = (picture[:3] - self.middle).to(self.dtype)[None].contiguous(memory_format=torch.channels_last)
        components = F.conv2d(x, self.basis, stride=stride)
        lines = F.avg_pool2d(picture[None, 3:].square(), self.size, stride).sqrt_()
        lines *= self.config.guide * math.sqrt(3) * self.size  # so that it counts like a colour at every pixel
        return torch.cat([components, lines.to(self.dtype)], 1)[0].permute(1, 2, 0)

    def _thinned(self, style: int) -> Tensor:
        """Those patches of a style that every search looks at: a regular choice, a multiple of _GROUP of them."""
        rows, columns = self.grids[style]
        between = max(1, round(math.sqrt(rows * columns * len(self.grids) / self.config.candidates)))
        down, across = torch.arange(0, rows, between), torch.arange(0, columns, between)
        some = ((int(self.top[style]) + down[:, None]) * self.columns + across).flatten()
        return torch.cat([some, some[-1:].expand(-len(some) % _GROUP)]).to(self.place.device)

    def take(self, patches: Tensor) -> Tensor:
        """The pixels (3, n·n, Q) of patches (Q,) given by number."""
        n = self.size
        down = torch.arange(n, device=patches.device).repeat_interleave(n)[:, None]
        across = torch.arange(n, device=patches.device).repeat(n)[:, None]
        at = self.place[patches] + down * self.width[self.style(patches)] + across
        # index_select, here and below, is several times faster than indexing with brackets.
        return torch.index_select(self.pixels, 1, at.flatten()).view(3, n * n, -1)

    def style(self, patches: Tensor) -> Tensor:
        """The style (Q,) that each patch is of."""
        return torch.bucketize(patches // self.columns, self.top, right=True) - 1

    def price(self, patches: Tensor, queries: Tensor, cost: Tensor) -> Tensor:
        """Squared distance of each patch (Q,) to its query (Q, d) float32, plus its cost: (Q,)."""
        patches = patches.clamp(0, len(self.place) - 1)
        distance = [
            torch.index_select(self.features, 0, some).float().sub_(query).square_().sum(1)  # in cache
            for some, query in zip(torch.split(patches, 2048), torch.split(queries, 2048), strict=True)
        ]
        return torch.cat(distance).add_(torch.index_select(cost, 0, patches))

    def searched(self, style: int, cost: Tensor) -> Tensor:
        """What the patches of a style that are searched look like to `nearest`: groups (G, 32, d + 6)."""
        looked = self.looked[style]
        some = torch.index_select(self.features, 0, looked)
        ones = torch.ones(len(looked), 3, device=some.device, dtype=self.dtype)
        halves = _split(-0.5 * (some.float().square().sum(1) + cost[looked]), self.dtype)
        return torch.cat([some, halves, ones], 1).view(-1, _GROUP, some.shape[1] + 6)

    def nearest(self, queries: Tensor, style: int, searched: Tensor) -> tuple[Tensor, Tensor]:
        """For each query (Q, d) the number (Q,) and cost (Q,) of the cheapest patch of a style.

        Minus half the squared distance is one matrix product if both sides carry their norms along, each split into
        three so that bfloat16 holds it; and being near zero for near patches, it is rounded least where it matters. Of
        each group of 32 only the best is kept, and the winning group is compared again.
        """
        ones = torch.ones(len(queries), 3, device=queries.device, dtype=self.dtype)
        full = torch.cat([queries, ones, _split(-0.5 * queries.float().square().sum(1), self.dtype)], 1)
        flat = searched.flatten(0, 1)
        found, costs = [], []
        for some in torch.split(full, 1024):
            best = [(part @ some.T).view(-1, _GROUP, len(some)).amax(1) for part in torch.split(flat, 8192)]
            group = torch.cat(best).max(0).indices
            within = torch.bmm(torch.index_select(searched, 0, group), some[:, :, None])[..., 0]  # (q, 32)
            value, which = within.max(1)
            found.append(torch.index_select(self.looked[style], 0, group * _GROUP + which))
            costs.append(-2 * value.float())
        return torch.cat(found), torch.cat(costs).clamp_min(0)


def _split(x: Tensor, dtype: torch.dtype) -> Tensor:
    """x (N,) float32 as three numbers of a shorter type (N, 3) that sum to it."""
    parts = []
    for _ in range(3):
        part = x.to(dtype)
        parts.append(part)
        x = x - part.float()
    return torch.stack(parts, 1)


def _step(size: int) -> int:
    """Distance of neighbouring patches in a painting, px: large patches need not be known at every pixel."""
    return max(1, round(size / 11))


def _stride(size: int) -> int:
    """Distance of neighbouring patches in the picture, px: a multiple of the step, so that matches can move along."""
    return max(1, size // 3 // _step(size)) * _step(size)


def _grid(height: int, width: int, size: int) -> tuple[int, int]:
    """Rows and columns of patches that cover a picture however the grid is shifted."""
    stride = _stride(size)
    return tuple((side + stride - 1 + 2 * (size // 2) - size) // stride + 2 for side in (height, width))  # type: ignore[return-value]


# --- one pass over the picture ----------------------------------------------------------------------------------------


def _repaint(
    picture: Tensor,
    lines: Tensor,
    bank: _Bank,
    share: Tensor,
    usage: _Usage,
    generator: torch.Generator,
    progress: _Progress,
) -> Tensor:
    """The votes of the nearest patches for every pixel of a picture (3, H, W) with its lines (1, H, W): (3, H, W).

    Band by band, in whole rows of patches, so that memory does not grow with the number of patches. share (K, H, W).
    """
    size, stride = bank.size, _stride(bank.size)
    height, width = picture.shape[1:]
    rows, columns = _grid(height, width, size)
    shift = torch.randint(stride, (2,), generator=generator)  # no two passes have their joints in the same places
    top, left = (size // 2 + shift).tolist()
    wide = (columns - 1) * stride + size
    votes = torch.zeros(3, (rows - 1) * stride + size, wide, device=picture.device)
    weights = torch.zeros_like(votes[:1])
    window = _window(size, bank.config.window).to(picture.device)
    middle = torch.arange(max(rows, columns), device=share.device) * stride + size // 2
    share = share[:, (middle[:rows] - top).clamp(0, height - 1)][:, :, (middle[:columns] - left).clamp(0, width - 1)]
    cost = usage.cost(bank)
    searched = [bank.searched(k, cost) for k in range(len(share))]
    above: Tensor | None = None
    band = max(1, _STRIP // (columns * size**2))
    for first in range(0, rows, band):
        count = min(band, rows - first)
        part = slice(first * stride, (first + count - 1) * stride + size)
        canvas = torch.cat([_mirrored(x, part, top, (left, wide - width - left)) for x in (picture, lines)])
        queries = bank.reduced(canvas, stride).flatten(0, 1)  # (Q, d)
        blur = math.sqrt(bank.config.jitter * usage.typical * 3 * size**2 / queries.shape[1])
        noisy = torch.randn(queries.shape, generator=generator).mul_(blur).to(queries).add_(queries)
        found = _choose(bank, noisy, share[:, first : first + count].flatten(1), searched)
        found, total = _spread(bank, queries.float(), found, cost, (columns, above), generator)
        above = found[-columns:]
        usage.count(bank, found, total)
        # The r-norm's weight, distance^(r-2); the floor is a difference no eye sees, 1/100 of the range at each pixel.
        trust = (total / (3 * size**2) + 1e-4) ** ((bank.config.robustness - 2) / 2)
        weight = window[:, None] * trust  # (n·n, Q)
        area = (part.stop - part.start, wide)
        voted = (bank.take(found) * weight).view(1, -1, len(found))
        votes[:, part] += F.fold(voted, area, size, stride=stride)[0]
        weights[:, part] += F.fold(weight[None], area, size, stride=stride)[0]
        progress.advance(len(found))
    usage.settle()
    return votes.div_(weights)[:, top : top + height, left : left + width]


def _mirrored(x: Tensor, rows: slice, top: int, sides: tuple[int, int]) -> Tensor:
    """Rows of x (C, H, W) as if it went on, mirrored, `top` rows above itself, below, and `sides` px left and right."""
    at = (torch.arange(rows.start, rows.stop, device=x.device) - top).abs()
    last = x.shape[1] - 1
    return F.pad(x.index_select(1, last - (last - at).abs()), sides, mode="reflect")


def _choose(bank: _Bank, queries: Tensor, share: Tensor, searched: Sequence[Tensor]) -> Tensor:
    """The best match (Q,) among all styles; share (K, Q) says how much of each is wanted where.

    Styles compete at every patch by the ratio of their distances. A price for each style, found by a few corrections,
    makes them win as often as their share says; where a share is 0 the style cannot win.
    """
    if len(share) == 1:
        return bank.nearest(queries, 0, searched[0])[0]
    matches = [bank.nearest(queries, k, some) for k, some in enumerate(searched)]
    found, total = torch.stack([m[0] for m in matches]), torch.stack([m[1] for m in matches])  # (K, Q)
    share = share.to(total.device)
    bid = share.clamp_min(1e-9).log() - total.clamp_min(1e-6).log()
    wanted = share.mean(1)
    price = torch.zeros_like(wanted)
    for turn in range(24):
        won = torch.bincount((bid - price[:, None]).argmax(0), minlength=len(share)) / bid.shape[1]
        price += 0.5 * 0.9**turn * ((won + 1e-3) / (wanted + 1e-3)).log()
    winner = torch.where(share > 1e-6, bid - price[:, None], -torch.inf).argmax(0)
    return found.gather(0, winner[None])[0]


def _spread(
    bank: _Bank,
    queries: Tensor,
    found: Tensor,
    cost: Tensor,
    grid: tuple[int, Tensor | None],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Take over the neighbours' matches, moved along, where they are hardly worse; then look one step around each.

    found (Q,): a band of whole rows; grid: its columns, and the matches (columns,) of the row before it. Returns the
    matches (Q,) and their costs (Q,).
    """
    columns, above = grid
    config = bank.config
    every = torch.arange(len(found), device=found.device)
    styles = bank.style(found) if len(bank.looked) > 1 else None
    total = bank.price(found, queries, cost)
    bound = total * config.coherence
    for turn in range(_ROUNDS):
        for down, across in _AROUND:
            near = found.view(-1, columns).roll((down, across), (0, 1))
            if down == 1 and above is not None:
                near[0] = above
            # Half of them at a time: if all moved along at once, neighbours that were alike would stay alike.
            half = every[(torch.rand(len(found), generator=generator) < 0.5).to(found.device)]
            near, limit = near.flatten()[half], bound[half]
            candidate = near + (down * bank.columns + across) * bank.apart
            offered = bank.price(candidate, queries[half], cost)
            # The same patch twice, side by side, is the beginning of a lattice: then nearly anything else is better.
            better = (offered < limit) | ((near == found[half]) & (offered < 4 * limit))
            if styles is not None:
                better &= bank.style(near) == styles[half]
            half, offered = half[better], offered[better]
            found[half], total[half], bound[half] = candidate[better], offered, offered * config.drift
        for down, across in _AROUND if turn % 2 else ():
            candidate = found + down * bank.columns + across
            offered = bank.price(candidate, queries, cost)
            better = offered < total
            found, total = torch.where(better, candidate, found), torch.where(better, offered, total)
    return found, total


def _window(size: int, width: float) -> Tensor:
    """How much each pixel of a patch counts in the vote, (n·n,)."""
    x = (torch.arange(size) - (size - 1) / 2) / (width * size)
    bell = torch.exp(-0.5 * x.square())
    return (bell[:, None] * bell).flatten()


def _fuse(voted: Tensor, content: Tensor, weight: Tensor | float) -> Tensor:
    """The least-squares mean of votes (weight 1) and photo (`weight`), in place of the votes."""
    if isinstance(weight, Tensor):
        return voted.lerp_(content, (weight / (1 + weight)).expand_as(voted))
    return voted.lerp_(content, weight / (1 + weight))


def _restore_colors(picture: Tensor, content: Tensor, limit: float) -> None:
    """Move the colours of the picture, in place, toward the statistics of the content: averaging has narrowed them.

    No direction is stretched by more than `limit` at a time: what has no colour is grain.
    """
    matrix, _ = color_transport(picture[None], content[None])
    values, vectors = torch.linalg.eigh(matrix)
    matrix = (vectors @ torch.diag(values.clamp(1 / limit, limit)) @ vectors.T).to(picture)
    offset = content.mean((1, 2)) - matrix @ picture.mean((1, 2))
    for rows in torch.split(picture, 1 + _STRIP // picture.shape[2], 1):
        rows.copy_((matrix @ rows.flatten(1) + offset[:, None]).clamp_(0, 1).view(rows.shape))


class _Usage:
    """How often each place of the paintings was used, and what a patch from there costs extra."""

    def __init__(self) -> None:
        self.wear = 0.0
        self.typical = 0.0  # mean squared difference of a match, per value
        self.counts: Tensor | None = None
        self._fresh: list[tuple[Tensor, float]] = []

    def cost(self, bank: _Bank) -> Tensor:
        """The extra cost (N,) of each patch of the bank: `wear` typical distances for each e times its fair share."""
        if self.counts is None:
            return bank.void
        fair = self.counts.sum() / self.counts.numel()
        extra = (self.counts / fair).clamp_min(1).log() * (self.wear * self.typical * 3 * bank.size**2)
        return bank.void + extra[bank.cell]

    def count(self, bank: _Bank, found: Tensor, total: Tensor) -> None:
        """Note the matches of one band."""
        cells = torch.bincount(bank.cell[found], minlength=len(bank.width) * _CELLS**2).float()
        self._fresh.append((cells, float(total.sum()) / (3 * bank.size**2)))

    def settle(self) -> None:
        """Make the bands noted since the last call count."""
        counts = torch.stack([cells for cells, _ in self._fresh]).sum(0)
        self.typical = sum(total for _, total in self._fresh) / float(counts.sum())
        counts = counts / counts.sum()
        self.counts = counts if self.counts is None else (self.counts + counts) / 2
        self._fresh.clear()


class _Progress:
    """Counts matched patches and shows the picture, as it was before this pass, to whoever asks."""

    def __init__(self, on_step: OnStep, total: int) -> None:
        self.on_step, self.total, self.done, self.stage = on_step, total, 0, ""
        self.small: Tensor | None = None  # a preview, so that the picture itself can be given up

    def show(self, picture: Tensor, stage: str) -> None:
        factor = min(1.0, 512 / max(picture.shape[1:]))
        size = (max(1, int(picture.shape[1] * factor)), max(1, int(picture.shape[2] * factor)))
        self.small, self.stage = F.interpolate(picture[None], size, mode="area"), stage

    def advance(self, patches: int) -> None:
        self.done += patches
        small = self.small
        assert small is not None
        self.on_step(Step(self.done, self.total, self.stage, lambda: to_picture(small)))
