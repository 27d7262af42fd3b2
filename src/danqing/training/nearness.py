"""Near-copies: does a generator give its training pictures back?

A picture is judged by a ratio: its distance to the nearest training picture, over its distance to the nearest held-out
one. A generator that has learned what the pictures have in common is about as far from both; one that has learned them
by heart sits on the training side. The nearest is looked for in pixels, small ones, under flips and crops; the crop
that was found is then compared in features, beside whatever is nearest there. The score is the larger of the two
ratios: a copy is near in both.

What is near is not decided by us: real held-out pictures, which nobody copied, have scores as well (each against the
training pictures and against the other held-out ones), and only one in a hundred of them lies below the threshold.
A score of 0.1 or less is a copy in any case: there, some picture is on both sides of the split in two files.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
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
QUANTILE = 0.01  # of held-out pictures that may lie below the threshold
SURE = 0.1  # a score that is a copy wherever the threshold lies


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

    def crops(self, chosen: Iterable[int]) -> Tensor:
        """These windows at the size of the collection: (B, 3, S, S) float32 in [-1, 1]."""
        windows = [self.windows[i] for i in chosen]
        return torch.cat([w.cut(self.source, self.numbers[w.place], self.source.size) for w in windows])


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

    rate: float  # share of made pictures below the threshold
    floor: float  # share of held-out pictures below it
    threshold: float
    pairs: tuple[Pair, ...]  # of every made picture, the nearest to a copy first


Space = Callable[[Tensor], Features]


def search(made: Tensor, made_features: Features, space: Space, training: Side, held: Side) -> Nearness:
    """Compare made pictures, (N, 3, S, S) in [-1, 1], with both sides. space: what all features were made by."""
    real = _scores(held.pictures, held.features, space, (training, held), among_held=True)
    threshold = max(float(np.quantile([pair.score for pair in real], QUANTILE, method="lower")), SURE)
    found = _scores(made, made_features, space, (training, held))
    rate, floor = (sum(pair.score < threshold for pair in pairs) / len(pairs) for pairs in (found, real))
    return Nearness(rate, floor, threshold, tuple(sorted(found, key=lambda pair: pair.score)))


def _scores(
    pictures: Tensor, own: Features, space: Space, sides: tuple[Side, Side], among_held: bool = False
) -> list[Pair]:
    """Every picture's pair. sides: training, held out. among_held: the pictures are the held-out ones, in order."""
    apart = [_apart(pictures, own, space, side, among_held and number == 1) for number, side in enumerate(sides)]
    (near_pixels, near_features, training), (far_pixels, far_features, held) = apart
    tiny = 1e-9  # a picture of both sides is no copy of either
    scores = np.maximum(near_pixels / (far_pixels + tiny), near_features / (far_features + tiny))
    return [Pair(i, int(training[i]), int(held[i]), float(score)) for i, score in enumerate(scores)]


def _apart(
    pictures: Tensor, own: Features, space: Space, side: Side, itself: bool
) -> tuple[Features, Features, NDArray[np.int64]]:
    """Distances to the nearest picture of a side in pixels and in features, (N,) each, and which it is in pixels.

    itself: picture i is picture i of the side, which does not count.
    """
    by_flip = [distances(_thumbs(x), side.thumbs) for x in (pictures, pictures.flip(3))]  # (N, windows) each
    in_features = distances(own, side.features)
    if itself:
        for apart in by_flip:
            apart[np.arange(len(pictures))[:, None] == side.owners[None]] = np.inf
        np.fill_diagonal(in_features, np.inf)
    best = [apart.argmin(axis=1) for apart in by_flip]
    nearest = np.stack([apart.min(axis=1) for apart in by_flip])  # (2, N)
    mirrored = nearest.argmin(axis=0).astype(bool)
    window = np.where(mirrored, best[1], best[0])
    crops = side.crops(window)
    crops[torch.from_numpy(mirrored)] = crops[torch.from_numpy(mirrored)].flip(3)
    at_window = np.sqrt(((own - space(crops)) ** 2).sum(axis=1))
    return nearest.min(axis=0), np.minimum(in_features.min(axis=1), at_window), side.owners[window]


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
    pixels = torch.cat(rows, dim=1).permute(1, 2, 0).mul(0.5).add(0.5).clamp(0, 1)
    return Picture(np.ascontiguousarray(pixels.numpy(), dtype=np.float32))
