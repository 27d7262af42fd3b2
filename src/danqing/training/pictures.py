"""A collection of pictures for generators: squares of one size, with classes where there are labels, and a split.

A collection is a folder (with labels in metadata.jsonl, or without), a .zip of one, or `digits`, the 1,797 written
digits that scikit-learn carries: small enough for a test, real enough to see a generator fail. The split into training
and held-out pictures is made from each picture's own bytes, see `training.data`.

Sizes: a picture is kept with its short side at 1.5 times the training size (never enlarged when read), reduced by
Lanczos. In training a random square of 0.8 to 1 of the short side is cut anywhere in it, brought to the size (pictures
smaller than that are enlarged) and mirrored half of the time; held-out figures see it likewise, or its middle square.

Decoded pictures are kept in the person's cache folder, named by their content and side, so that the second run begins
at once. What is cut off or changed there is decoded anew; the oldest files go when there are more than 4 GB of them.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from danqing.compute import checkpoint
from danqing.errors import BadRequest, CorruptWeights, UnknownName
from danqing.training import data

DIGITS = "digits"
CACHE_BYTES = 4 * 10**9
ZIP_BYTES = 40 * 10**9  # most that a .zip may hold
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


def load(root: Path, size: int, *, label: str = "", only: str = "", closest: float = 0.8, least: int = 8) -> Collection:
    """Read a collection at `size` px.

    label: the key of metadata.jsonl whose values are the classes; those with fewer than `least` training pictures are
    no class. only: pictures with these labels alone, "style=impressionism,tonalism" or "style=cubism;year=1910".
    closest: smallest side of a training crop, as a share of the short side. Files that cannot be read are left out and
    named in the log. Raises BadRequest for what is no collection, holds too few pictures or has no such label.
    """
    if size < 8:
        raise BadRequest(f"size is {size}; pictures have 8 px or more")
    if str(root) == DIGITS:
        return _digits(size, only)
    entries = _only(data.index(_unzipped(root) if root.suffix.lower() == ".zip" else root), only)
    train, held = data.split(entries)
    if not train or not held:
        raise BadRequest(f"{root} has too few pictures to hold some back; it needs about 40 or more")
    sides = [_decoded(part, round(size * MARGIN)) for part in (train, held)]
    broken = tuple(sides[0].broken + sides[1].broken)
    if broken:
        names = ", ".join(path.name for path in broken[:5]) + (", …" if len(broken) > 5 else "")
        logging.getLogger(__name__).warning("%d of %d pictures cannot be read: %s", len(broken), len(entries), names)
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
    return Collection(parts[0], parts[1], classes, broken)


def _only(entries: list[data.Entry], only: str) -> list[data.Entry]:
    """The pictures whose labels are among those that `only` names: KEY=A,B;KEY=C."""
    for part in filter(None, only.split(";")):
        key, equals, values = part.partition("=")
        if not equals or not values:
            raise BadRequest(f"only is {only!r}; it is written KEY=VALUE,VALUE, as in style=impressionism,tonalism")
        keys = {k for e in entries for k in e.labels}
        if key not in keys:
            raise UnknownName("label", key, keys, f"the labels of this collection: {', '.join(sorted(keys)) or 'none'}")
        known = {str(e.labels[key]) for e in entries if key in e.labels}
        wanted = values.split(",")
        for value in wanted:
            if value not in known:
                raise UnknownName(key, value, known, f"metadata.jsonl; there are {len(known)}")
        entries = [e for e in entries if str(e.labels.get(key)) in wanted]
    return entries


# --- the cache --------------------------------------------------------------------------------------------------------


def cache() -> Path:
    """Where decoded pictures are kept: in $DANQING_HOME where that is set, else in the person's cache folder."""
    import platformdirs

    home = os.environ.get("DANQING_HOME")
    return (Path(home) / "cache" if home else Path(platformdirs.user_cache_dir("danqing"))) / "pictures"


def _decoded(entries: list[data.Entry], side: int) -> data.Pixels:
    """The pictures at this side, from the cache if they are there and whole."""
    path = cache() / f"{data.fingerprint(entries)[:32]}-{side}.safetensors"
    known = {e.sha256: e for e in entries}
    if path.exists():
        try:
            tensors, about = checkpoint.load_weights(path)
            if zlib.crc32(tensors["pixels"].numpy().data) != about["crc32"]:
                raise CorruptWeights(f"{path} was changed")
        except (CorruptWeights, KeyError):
            path.unlink(missing_ok=True)
        else:
            path.touch()  # used just now: the last to go
            parts = tensors["pixels"].split([3 * h * w for h, w in tensors["shapes"].tolist()])  # type: ignore[no-untyped-call]
            shapes = tensors["shapes"].tolist()
            arrays = [part.numpy().reshape(h, w, 3) for part, (h, w) in zip(parts, shapes, strict=True)]
            found = data.Pixels.of([known[sha] for sha in about["pictures"]], arrays)
            found.broken = [known[sha].path for sha in about["broken"]]
            return found
    found = data.Pixels(entries, side)
    flat = np.concatenate([p.reshape(-1) for p in found.pixels])
    tensors = {"pixels": torch.from_numpy(flat), "shapes": torch.tensor([p.shape[:2] for p in found.pixels])}
    good = [e.sha256 for e in found.entries]
    about = {"pictures": good, "broken": sorted(known.keys() - set(good)), "crc32": zlib.crc32(flat.data)}
    try:
        checkpoint.save_weights(path, tensors, about)
        _make_room(path.parent)
    except OSError:  # a full or read-only disk: the pictures are in memory all the same
        pass
    return found


def _make_room(folder: Path) -> None:
    """Delete the files that were not used for the longest time, until the rest fits in CACHE_BYTES."""
    files = sorted(folder.glob("*.safetensors"), key=lambda p: p.stat().st_mtime, reverse=True)
    total = 0
    for path in files:
        total += path.stat().st_size
        if total > CACHE_BYTES and path != files[0]:
            path.unlink(missing_ok=True)


def _unzipped(path: Path) -> Path:
    """The folder of a .zip's pictures, unpacked into the cache once."""
    if not path.is_file():
        raise BadRequest(f"{path} is not there; --data takes a folder or a .zip of pictures")
    folder = cache() / "zips" / checkpoint.sha256_of(path)[:32]
    if not folder.exists():
        try:
            with zipfile.ZipFile(path) as archive:
                _unpack(archive, path, folder)
        except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
            raise BadRequest(f"{path} cannot be unpacked: {error}. Make the .zip again") from None
    # A zip of a folder has everything one level down; the labels say where the names begin.
    labels = sorted(folder.rglob("metadata.jsonl"), key=lambda p: len(p.parts))
    return labels[0].parent if labels else folder


def _unpack(archive: zipfile.ZipFile, path: Path, folder: Path) -> None:
    """Pictures and labels only, each under its own name within `folder`; all of them or none."""
    wanted = [
        member
        for member in archive.infolist()
        if not member.is_dir()
        and not stat.S_ISLNK(member.external_attr >> 16)
        and (Path(member.filename).suffix.lower() in data.SUFFIXES or Path(member.filename).name == "metadata.jsonl")
        and "__MACOSX" not in member.filename
    ]
    if sum(member.file_size for member in wanted) > ZIP_BYTES:
        raise BadRequest(f"{path} holds more than {ZIP_BYTES / 1e9:.0f} GB of pictures; unpack it and give the folder")
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
        for member in wanted:
            archive.extract(member, part)  # leaves no room for names like ../../x
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def near_duplicates(side: Pictures, apart: float = 0.04) -> list[tuple[Path, Path]]:
    """Pairs of pictures that look the same at 12 px though their files differ: two scans of one painting.

    apart: largest root mean square difference, of a range of 1.
    """
    small = np.stack([side.pixels.crop(n, 12, (1.0, 1.0), np.array([1.0, 0.5, 0.5, 1.0])) for n in range(len(side))])
    flat = small.reshape(len(small), -1).astype(np.float32) / 255
    squares = (flat**2).sum(axis=1)
    means = (squares[:, None] + squares[None] - 2 * flat @ flat.T) / flat.shape[1]
    pairs = np.argwhere(np.triu(means <= apart**2, k=1))
    return [(side.pixels.entries[i].path, side.pixels.entries[j].path) for i, j in pairs]


def _digits(size: int, only: str) -> Collection:
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
    kept_names = {e.path for e in _only(entries, only)}
    for held in (False, True):
        chosen = [i for i, e in enumerate(entries) if e.held_out is held and e.path in kept_names]
        kept = data.Pixels.of([entries[i] for i in chosen], [pixels[i] for i in chosen])
        sides.append(Pictures(kept, tuple(int(found.target[i]) for i in chosen), size, 1.0, False))
    return Collection(sides[0], sides[1], tuple(map(str, range(10))), ())
