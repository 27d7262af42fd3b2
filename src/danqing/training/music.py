"""Music from files, ready for training: chorales on a grid, split before anything else, transposed and cut by step.

Chorales come as JSON, {"train": [piece, …], "valid": […], "test": […]}, a piece being [[soprano, alto, tenor, bass], …]
in MIDI numbers, sixteen steps to a whole note, −1 for silence: the JSB collection's own form and its own split. A list
of pieces without a split is split by the tune (see `families`).
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from danqing.compute import checkpoint
from danqing.encode import notes
from danqing.encode.notes import Grid
from danqing.errors import BadRequest
from danqing.techniques import chorale
from danqing.training.data import draw_order

HELD_OUT = 0.1  # share of the tunes that no training run sees, where the data has no split of its own
GRAM = 10  # intervals in a row by which tunes are compared
ALIKE = 0.25  # share of such rows in common that makes two tunes variants of one
UNTOLD = 0.5  # share of training samples whose key, and whose end, is not told


def families(melodies: Sequence[Sequence[int]]) -> list[str]:
    """A name for the tune behind each melody: one for all its variants, in whatever key.

    melodies: pitches, repeated ones counted once. Two are variants where of the shorter one's rows of GRAM intervals a
    share of ALIKE is in the other too; variants of variants belong together. The name is the least of the sha256 of the
    family's interval sequences: copies and other tunes in the collection do not change it.
    """
    rows = [np.diff([p for i, p in enumerate(m) if i == 0 or p != m[i - 1]]).tolist() for m in melodies]
    grams = [{tuple(r[i : i + GRAM]) for i in range(max(1, len(r) - GRAM + 1))} for r in rows]
    above = list(range(len(rows)))

    def root(i: int) -> int:
        while above[i] != i:
            above[i] = above[above[i]]
            i = above[i]
        return i

    where: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for i, own in enumerate(grams):
        shared: dict[int, int] = defaultdict(int)
        for gram in own:
            for other in where[gram]:
                shared[other] += 1
            where[gram].append(i)
        for other, count in shared.items():
            if count >= ALIKE * min(len(own), len(grams[other])):
                above[root(i)] = root(other)
    names: dict[int, str] = {}
    for i, row in enumerate(rows):
        name = hashlib.sha256(",".join(map(str, row)).encode()).hexdigest()
        names[root(i)] = min(name, names.get(root(i), name))
    return [names[root(i)] for i in range(len(rows))]


def held_out(family: str) -> bool:
    """Whether a tune is kept away from training. Decided by its own content, and that of its variants."""
    return int(family[:8], 16) / 2**32 < HELD_OUT


def fingerprint(names: Sequence[str]) -> str:
    """One sha256 for a set of pieces, whatever their order."""
    return hashlib.sha256("".join(sorted(names)).encode()).hexdigest()


def find(root: Path, name: str, kinds: Sequence[str]) -> Path:
    """A file called `name`, with one of these endings, in a folder or its `music`; or `root`, where it is a file."""
    if root.is_file():
        return root
    places = [folder / f"{name}{kind}" for folder in (root, root / "music") for kind in kinds]
    path = next((p for p in places if p.is_file()), None)
    if path is None:
        raise BadRequest(f"{root} holds no {' or '.join(name + kind for kind in kinds)}, nor does {root / 'music'}")
    return path


# --- chorales ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Piece:
    """A chorale for training."""

    grid: Grid

    @cached_property
    def codes(self) -> NDArray[np.int64]:
        """(T, 4), see `notes.codes`."""
        return notes.codes(self.grid.pitches)

    @cached_property
    def key(self) -> int:
        """See `notes.key_number`."""
        return notes.final_key(self.grid.pitches)

    @cached_property
    def melody(self) -> list[int]:
        """The soprano's pitches, repeated ones once."""
        return self.grid.line(0)

    @cached_property
    def sha256(self) -> str:
        """Of its pitches."""
        return hashlib.sha256(self.grid.pitches.astype("<i2").tobytes()).hexdigest()

    @cached_property
    def room(self) -> tuple[int, int]:
        """The least and the greatest transposition, in semitones, that leaves every voice in its range."""
        low, high = -notes.HIGH, notes.HIGH
        for voice, (bottom, top) in enumerate(notes.RANGES):
            line = self.grid.pitches[:, voice]
            line = line[line != notes.SILENCE]
            if len(line):
                low, high = max(low, bottom - int(line.min())), min(high, top - int(line.max()))
        return min(low, 0), max(high, 0)


@dataclass(frozen=True)
class Chorales:
    """A collection, split."""

    training: tuple[Piece, ...]
    valid: tuple[Piece, ...]
    test: tuple[Piece, ...]

    @cached_property
    def unheard(self) -> tuple[Piece, ...]:
        """The test pieces whose melody, or a variant of it, is in neither of the other parts."""
        others = [*self.training, *self.valid]
        names = families([p.melody for p in (*others, *self.test)])
        known = set(names[: len(others)])
        return tuple(p for p, name in zip(self.test, names[len(others) :], strict=True) if name not in known)


def chorales(root: Path, name: str = "jsb-chorales-json") -> Chorales:
    """Every chorale of a JSON file, or of the first JSON in a zip. Raises BadRequest where it holds something else."""
    path = find(root, name, (".zip", ".json"))
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                inner = next(n for n in sorted(archive.namelist()) if n.endswith(".json"))
                found = json.loads(archive.read(inner))
        else:
            found = json.loads(path.read_bytes())
    except (OSError, zipfile.BadZipFile, StopIteration, ValueError) as error:
        raise BadRequest(f"{path} cannot be read as chorales in JSON ({error}); fetch or make it again") from None
    try:
        if isinstance(found, list):
            return _split([_piece(frames) for frames in found])
        parts = [tuple(_piece(frames) for frames in found[side]) for side in ("train", "valid", "test")]
    except (KeyError, TypeError, ValueError) as error:
        raise BadRequest(
            f"{path} holds no chorales: pieces are lists of [soprano, alto, tenor, bass] in MIDI numbers, in a list or "
            f"under train, valid and test ({type(error).__name__}: {error})"
        ) from None
    if not all(parts):
        raise BadRequest(f"{path} has an empty part; train, valid and test hold a piece each at least")
    return Chorales(*parts)


def _piece(frames: Any) -> Piece:
    piece = Piece(notes.from_frames(frames))
    if not len(piece.codes):
        raise ValueError("a piece without notes")
    return piece


def _split(pieces: list[Piece]) -> Chorales:
    names = families([p.melody for p in pieces])
    kept = [p for p, n in zip(pieces, names, strict=True) if not held_out(n)]
    out = [p for p, n in zip(pieces, names, strict=True) if held_out(n)]
    if not kept or not out:
        raise BadRequest(f"{len(pieces)} chorales are too few to hold a tenth of their tunes back; give more")
    return Chorales(tuple(kept), tuple(out), tuple(out))


@dataclass(frozen=True)
class GridStream:
    """Batches of chorales, each following from its step alone: transposed within the voices' ranges, cut to length."""

    pieces: tuple[Piece, ...]
    batch: int  # pieces at once
    length: int  # steps of a cut
    seed: int

    def draw(self, step: int) -> tuple[Tensor, ...]:
        """notes (B, T, 4), place, beats, key (B, T) int64, valid (B, T, 4) bool."""
        rng = np.random.default_rng([self.seed, step])
        rows = []
        for number in draw_order(len(self.pieces), self.batch, step, self.seed):
            piece = self.pieces[number]
            low, high = piece.room
            rows.append(self._row(piece, int(rng.integers(low, high + 1)), rng))
        return tuple(torch.stack(column) for column in zip(*rows, strict=True))

    def _row(self, piece: Piece, shift: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
        grid, count = piece.grid, len(piece.grid)
        key = piece.key // 12 * 12 + (piece.key + shift) % 12 if rng.random() > UNTOLD else notes.KEYS
        known = chorale.frame(count, grid.pickup, grid.bar, key, ends=rng.random() > UNTOLD)
        start = int(rng.integers(0, max(1, count - self.length + 1)))
        cut = slice(start, start + self.length)
        codes = torch.from_numpy(np.where(piece.codes > 0, piece.codes + shift, 0))[cut]
        short = self.length - len(codes)
        pad = torch.nn.functional.pad
        held = torch.ones(len(codes), chorale.VOICES, dtype=torch.bool)
        parts = [pad(x[0, cut], (0, short)) for x in (known.place, known.beats, known.key)]
        return (pad(codes, (0, 0, 0, short)), *parts, pad(held, (0, 0, 0, short)))


def whole(pieces: Sequence[Piece]) -> Iterator[tuple[Piece, Tensor, chorale.Frame]]:
    """Each piece as it is: itself, its notes (1, T, 4), its frame with key and end."""
    for piece in pieces:
        grid = piece.grid
        yield piece, torch.from_numpy(piece.codes)[None], chorale.frame(len(grid), grid.pickup, grid.bar, piece.key)


def save(path: Path, model: chorale.Model, storage: str = "int8") -> None:
    """Write a weights file: the weights, and in the header the model's config."""
    about = {"architecture": "chorale", "config": asdict(model.config)}
    checkpoint.save_weights(path, checkpoint.pack(model.state_dict(), storage), about)


def restore(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> chorale.Writer | chorale.Filler:
    """The model of a weights file, as `catalog.weights` gives it, in evaluation mode, fp32."""
    if about.get("architecture") != "chorale":
        raise BadRequest(f"these weights are of {about.get('architecture')!r}, not of a chorale model")
    model = chorale.build(chorale.Config(**about["config"]))
    model.load_state_dict(checkpoint.unpack(tensors))
    return model.eval()
