"""A collection of pictures for generators: squares of one size, with classes where there are labels, and a split.

A collection is a folder (with labels in metadata.jsonl, or without), a .zip of one, or `digits`, the 1,797 written
digits that scikit-learn carries: small enough for a test, real enough to see a generator fail. The split into training
and held-out pictures is made from each picture's own bytes, see `training.data`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from danqing.errors import BadRequest
from danqing.training import data

DIGITS = "digits"
MARGIN = 1.5  # pictures are kept this much larger than they are trained at, for crops closer than the whole


@dataclass(frozen=True)
class Pictures:
    """One side of the split, decoded."""

    pixels: data.Pixels
    numbers: tuple[int, ...]  # class of each picture, -1 for none
    size: int  # px, side of what `batch` and `centre` give
    closest: float  # smallest side of a training crop, as a share of the picture's short side
    mirrored: bool = True  # whether a mirrored picture is a picture of this collection: a mirrored digit is none

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, numbers: Sequence[int], generator: torch.Generator) -> Tensor:
        """Random crops, half of them mirrored where that is allowed: (B, 3, size, size) float32 in [-1, 1]."""
        crops = self.pixels.batch(numbers, self.size, (self.closest, 1.0), generator, self.mirrored)
        return crops.mul_(2).sub_(1)

    def centre(self, numbers: Sequence[int]) -> Tensor:
        """The middle squares of these pictures: (B, 3, size, size) float32 in [-1, 1]."""
        return self.pixels.centre(numbers, self.size).mul_(2).sub_(1)

    def classes(self, numbers: Sequence[int]) -> Tensor:
        """(B,) int64 class numbers, -1 for pictures that have none."""
        return torch.tensor([self.numbers[n] for n in numbers])


@dataclass(frozen=True)
class Collection:
    """Pictures to learn from and pictures that no training run sees."""

    training: Pictures
    held: Pictures
    classes: tuple[str, ...]  # names of the classes; empty where no label was asked for
    broken: tuple[Path, ...]  # files that could not be read

    @property
    def fingerprint(self) -> str:
        """The sha256 of the held-out set."""
        return data.fingerprint(self.held.pixels.entries)


def load(root: Path, size: int, *, label: str = "", closest: float = 0.8, least: int = 8) -> Collection:
    """Read a collection at `size` px.

    label: the key of metadata.jsonl whose values are the classes; those with fewer than `least` training pictures are
    no class. closest: smallest side of a training crop, as a share of the short side.
    Raises BadRequest for what is no collection, holds too few pictures or has no such label.
    """
    if size < 8:
        raise BadRequest(f"size is {size}; pictures have 8 px or more")
    if str(root) == DIGITS:
        return _digits(size)
    train, held = data.split(data.index(root))
    if not train or not held:
        raise BadRequest(f"{root} has too few pictures to hold some back; it needs about 40 or more")
    sides = [data.Pixels(part, round(size * MARGIN)) for part in (train, held)]
    classes: tuple[str, ...] = ()
    if label:
        counts = Counter(str(e.labels[label]) for e in train if label in e.labels)
        classes = tuple(sorted(name for name, n in counts.items() if n >= least))
        if len(classes) < 2:
            raise BadRequest(f"{root} has no two classes of {least} pictures or more under the label {label!r}")
    place = {name: number for number, name in enumerate(classes)}
    parts = [
        Pictures(p, tuple(place.get(str(e.labels.get(label)), -1) for e in p.entries), size, closest) for p in sides
    ]
    return Collection(parts[0], parts[1], classes, tuple(sides[0].broken + sides[1].broken))


def _digits(size: int) -> Collection:
    from sklearn.datasets import load_digits  # type: ignore[import-untyped, unused-ignore]

    found = load_digits()
    entries: list[data.Entry] = []
    pixels: list[NDArray[np.uint8]] = []
    for image, target in zip(found.images, found.target, strict=True):
        grey = (image * (255 / 16)).astype(np.uint8)
        large = np.asarray(Image.fromarray(grey).resize((size, size), Image.Resampling.BICUBIC))
        pixels.append(np.repeat(large[:, :, None], 3, axis=2))
        entries.append(data.Entry(Path(f"digits/{len(entries)}"), hashlib.sha256(grey.tobytes()).hexdigest(),
                                  {"digit": int(target)}))  # fmt: skip
    sides = []
    for held in (False, True):
        chosen = [i for i, e in enumerate(entries) if e.held_out is held]
        kept = data.Pixels.of([entries[i] for i in chosen], [pixels[i] for i in chosen])
        sides.append(Pictures(kept, tuple(int(found.target[i]) for i in chosen), size, 1.0, False))
    return Collection(sides[0], sides[1], tuple(map(str, range(10))), ())
