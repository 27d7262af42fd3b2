"""Pictures from a folder, ready for training: indexed, checked, split, decoded once, and drawn by step.

A folder holds pictures at any depth and, if it has labels, `metadata.jsonl` with one object per picture: `file_name`
(relative to the folder) and any labels. The split is made from each file's own bytes (sha256), so a picture stays on
its side of the split wherever it is copied and whatever else joins the folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from danqing.artwork.image import read
from danqing.errors import BadRequest, InvalidMedia

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")
HELD_OUT = 0.1  # share of a folder's pictures that no training run sees


@dataclass(frozen=True)
class Entry:
    """One picture of a folder."""

    path: Path
    sha256: str
    labels: Mapping[str, object]  # its line of metadata.jsonl

    @property
    def held_out(self) -> bool:
        """Whether it is kept away from training. Decided by its bytes alone."""
        return int(self.sha256[:8], 16) / 2**32 < HELD_OUT


def index(folder: Path) -> list[Entry]:
    """Every picture of a folder once: sorted by content, exact duplicates dropped."""
    if not folder.is_dir():
        raise BadRequest(f"{folder} is not a folder; --data takes a folder of pictures")
    labels: dict[str, dict[str, object]] = {}
    metadata = folder / "metadata.jsonl"
    if metadata.exists():
        for number, line in enumerate(metadata.read_text("utf-8").splitlines(), 1):
            try:
                row = json.loads(line)
                labels[row["file_name"]] = row
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise BadRequest(
                    f"{metadata} line {number} is not an object with a file_name ({error}); mend that line"
                ) from None
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise BadRequest(f"{folder} holds no pictures ({', '.join(SUFFIXES)})")
    entries: dict[str, Entry] = {}
    for path in paths:
        sha = hashlib.sha256(path.read_bytes()).hexdigest()
        entries.setdefault(sha, Entry(path, sha, labels.get(path.relative_to(folder).as_posix(), {})))
    return [entries[sha] for sha in sorted(entries)]


def split(entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """(training, held out)."""
    return [e for e in entries if not e.held_out], [e for e in entries if e.held_out]


def fingerprint(entries: Sequence[Entry]) -> str:
    """One sha256 for a set of pictures, whatever their names and order."""
    return hashlib.sha256("".join(sorted(e.sha256 for e in entries)).encode()).hexdigest()


class Pixels:
    """Decoded pictures in memory, uint8, longer than needed on no side: short side ≤ `side`.

    Decoding a JPEG costs 20 times what cropping it does; a few thousand pictures at 256 px fit in 1 GB.
    """

    def __init__(self, entries: Sequence[Entry], side: int) -> None:
        with ThreadPoolExecutor(4) as pool:
            decoded = list(pool.map(lambda e: _decode(e.path, side), entries))
        broken = [e.path for e, pixels in zip(entries, decoded, strict=True) if pixels is None]
        self.broken = broken
        self.entries = [e for e, pixels in zip(entries, decoded, strict=True) if pixels is not None]
        self.pixels: list[NDArray[np.uint8]] = [p for p in decoded if p is not None]
        if not self.pixels:
            raise BadRequest(f"none of the {len(entries)} pictures can be read; the first is {entries[0].path}")

    @classmethod
    def of(cls, entries: Sequence[Entry], pixels: Sequence[NDArray[np.uint8]]) -> Pixels:
        """Pictures that are in memory already, (H, W, 3) uint8 each."""
        made = cls.__new__(cls)
        made.broken, made.entries, made.pixels = [], list(entries), list(pixels)
        return made

    def __len__(self) -> int:
        return len(self.pixels)

    def crop(self, number: int, size: int, scale: tuple[float, float], draw: NDArray[np.float64]) -> NDArray[np.uint8]:
        """A random square of a picture, resized to `size` px and flipped half of the time.

        scale: smallest and largest side of the square, as shares of the short side. draw: (4,) uniform in [0, 1).
        Returns (size, size, 3) uint8.
        """
        pixels = self.pixels[number]
        height, width = pixels.shape[:2]
        low, high = scale
        side = max(1.0, min(height, width) * (low + (high - low) * draw[0]))
        top, left = draw[1] * (height - side), draw[2] * (width - side)
        # Cut first, resize afterwards: PIL converts the whole array it is given.
        y0, x0 = int(top), int(left)
        y1, x1 = min(height, int(np.ceil(top + side))), min(width, int(np.ceil(left + side)))
        cut = Image.fromarray(pixels[y0:y1, x0:x1])
        box = (left - x0, top - y0, min(left - x0 + side, x1 - x0), min(top - y0 + side, y1 - y0))
        out = np.asarray(cut.resize((size, size), Image.Resampling.BILINEAR, box=box))
        return out[:, ::-1] if draw[3] < 0.5 else out

    def batch(
        self,
        numbers: Sequence[int],
        size: int,
        scale: tuple[float, float],
        generator: torch.Generator,
        mirrored: bool = True,
    ) -> Tensor:
        """Random crops of these pictures, half of them mirrored: (B, 3, size, size) float32 in [0, 1]."""
        draws = torch.rand(len(numbers), 4, generator=generator, dtype=torch.float64).numpy()
        if not mirrored:
            draws[:, 3] = 1.0
        crops = np.stack([self.crop(n, size, scale, d) for n, d in zip(numbers, draws, strict=True)])
        return torch.from_numpy(crops).permute(0, 3, 1, 2).float().div_(255)

    def centre(self, numbers: Sequence[int], size: int) -> Tensor:
        """The middle squares of these pictures, for held-out figures: (B, 3, size, size) float32 in [0, 1]."""
        middle = np.array([1.0, 0.5, 0.5, 1.0])
        crops = np.stack([self.crop(n, size, (1.0, 1.0), middle) for n in numbers])
        return torch.from_numpy(crops).permute(0, 3, 1, 2).float().div_(255)


def _decode(path: Path, side: int) -> NDArray[np.uint8] | None:
    try:
        picture = read(path)
    except InvalidMedia:
        return None
    image = Image.fromarray((picture.pixels * 255 + 0.5).astype(np.uint8))
    short = min(image.size)
    if short > side:
        image = image.resize(
            tuple(max(1, round(n * side / short)) for n in image.size),  # type: ignore[arg-type]
            Image.Resampling.LANCZOS,
        )
    return np.asarray(image)


def draw_order(count: int, batch: int, step: int, run_seed: int) -> list[int]:
    """The picture numbers of one step: epochs are seeded permutations, so a step's batch follows from its number.

    Returns `batch` numbers in [0, count).
    """
    numbers: list[int] = []
    position = step * batch
    while len(numbers) < batch:
        epoch, offset = divmod(position + len(numbers), count)
        order = _permutation(count, epoch, run_seed)
        numbers.extend(order[offset : offset + batch - len(numbers)].tolist())
    return numbers


def _permutation(count: int, epoch: int, run_seed: int) -> NDArray[np.int64]:
    return np.random.default_rng([run_seed, epoch]).permutation(count)


T = TypeVar("T")


class Prefetch(Generic[T]):
    """Makes the next steps' batches on a thread while this one is computed; each depends on its step alone."""

    def __init__(self, make: Callable[[int], T], first: int, ahead: int = 2) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._make = make
        self._queue = {first + i: self._pool.submit(make, first + i) for i in range(ahead)}

    def get(self, step: int) -> T:
        """The batch of `step`."""
        future = self._queue.pop(step, None)
        batch = self._make(step) if future is None else future.result()
        last = max(self._queue, default=step)
        self._queue[last + 1] = self._pool.submit(self._make, last + 1)
        return batch


def batches(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """`numbers` in runs of `size`, the last one shorter."""
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]
