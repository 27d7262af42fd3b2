"""Near-copies: does a generator give its training pictures back?

A picture is judged by a ratio: its distance to the nearest training picture, over its distance to the nearest held-out
one. A generator that has learned what the pictures have in common is about as far from both; one that has learned them
by heart sits on the training side. The nearest is looked for in pixels, small ones, under flips and crops; the crop
that was found is then compared in features, beside whatever is nearest there. A blurred copy gives itself away in
pixels, one with other colours in features, so either is enough.

What is near is not decided by us: real held-out pictures, which nobody copied, have ratios as well (each against the
training pictures and against the other held-out ones), and only one in 200 of them lies below either threshold. The
score is the ratio as a share of its threshold, the smaller of the two: below 1 it is a near-copy. A ratio of 0.1 or
less is one in any case: where many held-out pictures have that, pictures are on both sides of the split in two files.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from danqing.artwork.image import Picture
from danqing.training.pictures import Pictures

Features = NDArray[Any]  # (N, D) float64; of thumbnails float32

THUMB = 12  # px: composition and colour, no brush work, so that a slightly moved copy is still near
QUANTILE = 0.005  # of held-out pictures that may lie below each threshold
WORTH_A_LOOK = 0.7  # ratio in pixels
DOUBTFUL = 0.6  # a ratio that means no copy, where few held-out pictures make for a threshold above
SURE = 0.1  # a ratio that means a copy wherever the threshold lies


@dataclass(frozen=True)
class Side:
    """One side of the split, ready to be searched."""

    source: Pictures
    numbers: tuple[int, ...]  # which pictures of `source`, in the order of all that follows
    pictures: Tensor  # (N, 3, S, S) in [-1, 1]: one crop of each
    features: Features  # (N, D) of these crops
    windows: tuple[Window, ...]  # several crops of each
    thumbs: Features  # (windows, 3 · 12 · 12) float32 in [-1, 1]: how these look, small

    @classmethod
    def of(cls, source: Pictures, numbers: list[int], pictures: Tensor, features: Features) -> Side:
        """numbers: which pictures of `source`; pictures, features: one crop of each, in this order."""
        windows = [window for place, number in enumerate(numbers) for window in _windows(source, number, place)]
        thumbs = torch.cat([w.cut(source, numbers[w.place], THUMB) for w in windows]).flatten(1)
        return cls(source, tuple(numbers), pictures, features, tuple(windows), thumbs.numpy())

    def __len__(self) -> int:
        return len(self.pictures)

    @functools.cached_property
    def owners(self) -> NDArray[np.int64]:
        """(windows,) which picture of this side each window is of."""
        return np.array([w.place for w in self.windows])

    def cut(self, window: Window, size: int, mirrored: bool = False) -> Tensor:
        """(1, 3, size, size) float32 in [-1, 1]."""
        crop = window.cut(self.source, self.numbers[window.place], size)
        return crop.flip(3) if mirrored else crop

    def nearest(self, thumb: Features, window: Window) -> tuple[float, Window]:
        """The window near this one that is most like `thumb`, (3 · 12 · 12,), and its distance."""
        best = (self._distance(thumb, window), window)
        for step in (0.25, 0.12, 0.06):
            for closer, down, right in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)):
                scale = best[1].scale + closer * step * (1 - self.source.closest)
                place = (best[1].top + down * step, best[1].left + right * step)
                top, left = (min(1.0, max(0.0, x)) for x in place)
                moved = Window(window.place, min(1.0, max(self.source.closest, scale)), top, left)
                best = min(best, (self._distance(thumb, moved), moved), key=lambda found: found[0])
        return best

    def _distance(self, thumb: Features, window: Window) -> float:
        return float(np.linalg.norm(self.cut(window, THUMB).flatten().numpy() - thumb))


@dataclass(frozen=True)
class Window:
    """A square of a picture of one side."""

    place: int  # of the picture in the side
    scale: float  # side of the square, as a share of the picture's short side
    top: float  # 0: at the upper edge, 1: at the lower one
    left: float

    def cut(self, source: Pictures, number: int, size: int) -> Tensor:
        """(1, 3, size, size) float32 in [-1, 1]."""
        draw = np.array([0.0, self.top, self.left, 1.0])  # not mirrored; the pictures in question are
        crop = source.pixels.crop(number, size, (self.scale, self.scale), draw)
        return torch.from_numpy(crop.copy()).permute(2, 0, 1)[None] / 127.5 - 1


def _windows(source: Pictures, number: int, place: int) -> Iterator[Window]:
    """As large as the picture allows, as close as training cuts it and half way, at either end and in the middle."""
    height, width = source.pixels.pixels[number].shape[:2]
    for scale in sorted({1.0, (1 + source.closest) / 2, source.closest}):
        side = min(height, width) * scale
        for top in (0.0, 0.5, 1.0) if height - side >= 1 else (0.5,):
            for left in (0.0, 0.5, 1.0) if width - side >= 1 else (0.5,):
                yield Window(place, scale, top, left)


@dataclass(frozen=True)
class Pair:
    """A made picture and the training picture nearest to it."""

    made: int
    training: int  # place in the training side
    held: int  # the nearest held-out picture, for comparison
    score: float


@dataclass(frozen=True)
class Nearness:
    """How many made pictures are near-copies, and by what measure."""

    rate: float  # share of made pictures whose score is below 1
    floor: float  # share of held-out pictures of which that is so
    thresholds: tuple[float, float]  # of the ratio in pixels and of that in features
    pairs: tuple[Pair, ...]  # of every made picture, the nearest to a copy first


Space = Callable[[Tensor], Features]


def search(made: Tensor, made_features: Features, space: Space, training: Side, held: Side) -> Nearness:
    """Compare made pictures, (N, 3, S, S) in [-1, 1], with both sides. space: what all features were made by."""
    real = _ratios(held.pictures, held.features, space, (training, held), among_held=True)
    found = _ratios(made, made_features, space, (training, held))
    thresholds = np.quantile(real.values, QUANTILE, axis=1, method="lower").clip(SURE, DOUBTFUL)
    scores, floor = ((ratios.values / thresholds[:, None]).min(axis=0) for ratios in (found, real))
    pairs = [Pair(i, *places, float(score)) for i, (places, score) in enumerate(zip(found.places, scores, strict=True))]
    pairs.sort(key=lambda pair: pair.score)
    in_pixels, in_features = map(float, thresholds)
    return Nearness(float((scores < 1).mean()), float((floor < 1).mean()), (in_pixels, in_features), tuple(pairs))


@dataclass(frozen=True)
class _Ratios:
    values: Features  # (2, N): in pixels, in features
    places: tuple[tuple[int, int], ...]  # of the nearest training and the nearest held-out picture of each


def _ratios(
    pictures: Tensor, own: Features, space: Space, sides: tuple[Side, Side], among_held: bool = False
) -> _Ratios:
    """sides: training, held out. among_held: the pictures are the held-out ones, in order."""
    near, far = (_nearest(pictures, side, among_held and side is sides[1]) for side in sides)
    in_pixels = _ratio(near.distances, far.distances)
    # Only the crops of pictures that might be copies are worth a look through the backbone.
    chosen = np.flatnonzero(in_pixels < WORTH_A_LOOK)
    features = []
    for side, found in zip(sides, (near, far), strict=True):
        apart = distances(own, side.features)
        if among_held and side is sides[1]:
            np.fill_diagonal(apart, np.inf)
        nearest = apart.min(axis=1)
        if len(chosen):
            crops = [side.cut(found.windows[i], side.source.size, found.mirrored[i]) for i in chosen]
            at_window = np.sqrt(((own[chosen] - space(torch.cat(crops))) ** 2).sum(axis=1))
            nearest[chosen] = np.minimum(nearest[chosen], at_window)
        features.append(nearest)
    places = tuple((t.place, h.place) for t, h in zip(near.windows, far.windows, strict=True))
    return _Ratios(np.stack([in_pixels, _ratio(*features)]), places)


def _ratio(near: Features, far: Features) -> Features:
    ratio: Features = near / (far + 1e-9)  # a picture that is on both sides is no copy of either
    return ratio


@dataclass(frozen=True)
class _Nearest:
    """Of each picture the window of one side that is nearest in pixels."""

    distances: Features  # (N,)
    windows: list[Window]
    mirrored: list[bool]  # whether the picture is like the mirrored window


def _nearest(pictures: Tensor, side: Side, itself: bool) -> _Nearest:
    """itself: picture i is picture i of the side, which does not count."""
    thumbs = [_thumbs(x) for x in (pictures, pictures.flip(3))]
    by_flip = [distances(x, side.thumbs) for x in thumbs]  # (N, windows) each
    if itself:
        for apart in by_flip:
            apart[np.arange(len(pictures))[:, None] == side.owners[None]] = np.inf
    mirrored = np.stack([apart.min(axis=1) for apart in by_flip]).argmin(axis=0).tolist()
    found = [side.nearest(thumbs[flip][i], side.windows[by_flip[flip][i].argmin()]) for i, flip in enumerate(mirrored)]
    return _Nearest(np.array([distance for distance, _ in found]), [w for _, w in found], list(map(bool, mirrored)))


def _thumbs(x: Tensor) -> Features:
    thumbs: Features = F.interpolate(x, size=(THUMB, THUMB), mode="bilinear", antialias=True).flatten(1).numpy()
    return thumbs


def distances(a: Features, b: Features) -> Features:
    """Euclidean distances between rows: (N, D), (M, D) → (N, M)."""
    squares: Features = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0, out=squares), out=squares)


def sheet(found: Nearness, made: Tensor, training: Side, held: Side, count: int = 12) -> Picture:
    """The pairs that are nearest to copies, one row each: made, nearest training picture, nearest held-out one."""
    rows = [
        torch.cat([made[p.made], training.pictures[p.training], held.pictures[p.held]], dim=2)
        for p in found.pairs[:count]
    ]
    return _picture(torch.cat(rows, dim=1))


def grid(pictures: Tensor, columns: int) -> Picture:
    """Pictures, (N, 3, S, S) in [-1, 1], in rows of `columns`; what is left over of the last row is left out."""
    rows = [torch.cat(list(pictures[i : i + columns]), dim=2) for i in range(0, len(pictures) - columns + 1, columns)]
    return _picture(torch.cat(rows, dim=1))


def _picture(x: Tensor) -> Picture:
    pixels = x.permute(1, 2, 0).mul(0.5).add(0.5).clamp(0, 1)
    return Picture(np.ascontiguousarray(pixels.numpy(), dtype=np.float32))
