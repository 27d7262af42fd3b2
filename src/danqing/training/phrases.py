"""Phrases of chorale melodies and folk tunes for training and measuring: cut, split by tune, drawn in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from danqing.artwork.music import Note
from danqing.compute import checkpoint
from danqing.encode import notes as grids
from danqing.encode import phrases, tunes
from danqing.encode.phrases import HIGHEST, HOLD, LENGTH, LOWEST, PITCH, REST, START, STEP, UNKNOWN, Phrase, Shape
from danqing.errors import BadRequest
from danqing.techniques import music_vae
from danqing.techniques.music_vae import Known, Vae
from danqing.training import folk, music

CHORALE_SHARE = 0.25  # of a batch: there are few chorales
SYNCOPATED_SHARE = 0.2  # of a batch: one phrase in eighteen is syncopated
SHARES = (CHORALE_SHARE, SYNCOPATED_SHARE, 1 - CHORALE_SHARE - SYNCOPATED_SHARE)
MOVED = 0.3  # share of training phrases that are transposed
EVERY = 20  # of the training tunes one in so many is looked at while training goes on, and never learned
LEAST = 3  # notes in a phrase
QUIET = 0.25  # share of a phrase that may be silent
SOURCES = ("chorale", "folk")


@dataclass(frozen=True)
class Melody:
    """One tune, as it is cut."""

    notes: tuple[Note, ...]
    length: int  # steps
    shape: Shape
    tonic: int  # MIDI
    mode: int
    source: int  # index into SOURCES


@dataclass(frozen=True)
class Phrases:
    """Many phrases in arrays; those of 24 steps are filled up with HOLD."""

    tokens: NDArray[np.int64]  # (N, LENGTH)
    places: NDArray[np.int64]  # (N, LENGTH)
    length: NDArray[np.int64]  # (N,)
    mode: NDArray[np.int64]  # (N,)
    before: NDArray[np.int64]  # (N,)
    source: NDArray[np.int64]  # (N,) index into SOURCES
    attributes: NDArray[np.float32]  # (N, A)

    def __len__(self) -> int:
        return len(self.tokens)

    def at(self, rows: NDArray[np.int64]) -> Phrases:
        """Some of them."""
        return Phrases(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def batches(self, size: int) -> Iterator[tuple[Tensor, Known, Tensor, NDArray[np.int64]]]:
        """All of them, those of one length together: tokens (B, T), what is known, attributes (B, A), their rows."""
        for length in np.unique(self.length):
            every = np.flatnonzero(self.length == length)
            for start in range(0, len(every), size):
                rows = every[start : start + size]
                own = self.at(rows)
                yield own.tokens_of(int(length)), own.known(int(length)), torch.from_numpy(own.attributes), rows

    def tokens_of(self, length: int) -> Tensor:
        """(N, length) int64."""
        return torch.from_numpy(self.tokens[:, :length])

    def known(self, length: int) -> Known:
        """What is known of them, cut to `length` steps."""
        parts = (self.places[:, :length], self.mode, self.before)
        return Known(*(torch.from_numpy(part) for part in parts))


@dataclass(frozen=True)
class Book:
    """All phrases, split by tune: to learn from, to look at while learning, to measure at the end."""

    training: Phrases
    valid: Phrases
    held: Phrases
    counts: Mapping[str, int]  # tunes of each part and source
    fingerprint: str  # of the held-out phrases

    @classmethod
    def load(cls, root: Path, chorales: str, tunes_: str) -> Book:
        """From chorales in JSON and tunes in ABC, see `music.chorales` and `folk.Tunes.load`; either may be "".

        Of chorales the test pieces whose melody is in no other part are held out, of tunes a tenth with all variants.
        Raises BadRequest where a part is left empty.
        """
        parts: dict[str, list[Melody]] = {"training": [], "valid": [], "held": []}
        if chorales:
            pieces = music.chorales(root, chorales)
            parts["training"] += map(_soprano, pieces.training)
            parts["valid"] += map(_soprano, pieces.valid)
            parts["held"] += map(_soprano, pieces.unheard)
        if tunes_:
            book = folk.Tunes.load(root, tunes_)
            own = [tune for tune in book.training if (tune.beats, tune.unit) in phrases.METRES]
            parts["training"] += [_tune(tune) for i, tune in enumerate(own) if i % EVERY]
            parts["valid"] += [_tune(tune) for tune in own[::EVERY]]
            parts["held"] += [_tune(tune) for tune in book.held if (tune.beats, tune.unit) in phrases.METRES]
        cuts = {name: gathered(own, every=name == "training") for name, own in parts.items()}
        if not all(map(len, cuts.values())):
            raise BadRequest(f"{root} has too few melodies in {', '.join(f'{b}/{u}' for b, u in phrases.METRES)}")
        counts = {
            f"{part}_{name}": sum(m.source == i for m in own)
            for part, own in parts.items()
            for i, name in enumerate(SOURCES)
        }
        names = ["".join(map(chr, row + 32)) for row in cuts["held"].tokens]
        return cls(cuts["training"], cuts["valid"], cuts["held"], counts, music.fingerprint(names))


def _soprano(piece: music.Piece) -> Melody:
    score = grids.to_score(piece.grid)
    key = grids.key_of(piece.key)
    shape = phrases.shape_of(score.meters[0].beats, score.meters[0].unit, piece.grid.pickup)
    return Melody(score.of(0), len(piece.grid), shape, phrases.tonic_of(key), phrases.mode_of(key), 0)


def _tune(tune: tunes.Tune) -> Melody:
    once = replace(tune, sections=tuple(replace(section, repeated=False) for section in tune.sections))
    score = tunes.to_score(once)
    shape = phrases.shape_of(tune.beats, tune.unit, round(score.pickup / STEP))
    length = int(score.length / STEP)
    return Melody(score.notes, length, shape, tune.tonic, phrases.mode_of(tune.key), 1)


def cut(melody: Melody, *, every: bool = False) -> Iterator[Phrase]:
    """Phrases of a melody, upbeat to upbeat, one after the other; what has finer notes than sixteenths is left out.

    every: one from each bar on, and besides those from bar line to bar line.
    """
    tokens = phrases.lay(melody.notes, melody.length, melody.tonic)
    fine = np.zeros(melody.length + 1, np.int64)
    for note in melody.notes:
        fine[min(melody.length, int(note.onset / STEP))] |= (note.onset / STEP).denominator != 1
    sums = np.append(0, np.cumsum(fine))
    shapes = {melody.shape} | ({replace(melody.shape, pickup=0)} if every else set())
    for shape in sorted(shapes, key=lambda s: -s.pickup):
        first = 0 if shape.pickup else melody.shape.pickup
        for start in range(first, melody.length - shape.length + 1, shape.bar if every else shape.length):
            if sums[start + shape.length] == sums[start]:
                found = phrases.cut(tokens, start, shape, melody.mode)
                if _usable(found.tokens):
                    yield found


def _usable(tokens: NDArray[np.int64]) -> bool:
    changes = np.flatnonzero(tokens != HOLD)
    spans = np.diff(np.append(changes, len(tokens)))
    silent = spans[tokens[changes] == REST].sum()
    return bool((tokens > REST).sum() >= LEAST and silent <= QUIET * len(tokens))


def gathered(melodies: Iterable[Melody], *, every: bool = False) -> Phrases:
    """The phrases of many melodies, each once."""
    found: dict[bytes, tuple[Phrase, int]] = {}
    for melody in melodies:
        for phrase in cut(melody, every=every):
            name = phrase.tokens.tobytes() + bytes((phrase.shape.metre, phrase.shape.pickup, phrase.mode))
            found.setdefault(name, (phrase, melody.source))
    return packed([phrase for phrase, _ in found.values()], [source for _, source in found.values()])


def packed(own: Sequence[Phrase], sources: Sequence[int] | None = None) -> Phrases:
    """Phrases as arrays."""
    length = np.array([p.shape.length for p in own], np.int64)
    tokens = np.full((len(own), LENGTH), HOLD, np.int64)
    places = np.zeros((len(own), LENGTH), np.int64)
    measured = np.zeros((len(own), len(phrases.ATTRIBUTES)), np.float32)
    for i, phrase in enumerate(own):
        tokens[i, : length[i]], places[i, : length[i]] = phrase.tokens, phrase.shape.places
    for size in np.unique(length):
        rows = np.flatnonzero(length == size)
        measured[rows] = phrases.attributes(tokens[rows, :size], places[rows, :size])
    mode = np.array([p.mode for p in own], np.int64)
    before = np.array([p.before for p in own], np.int64)
    return Phrases(tokens, places, length, mode, before, np.array(sources or [1] * len(own), np.int64), measured)


@dataclass(frozen=True)
class Stream:
    """Batches of phrases of one length, each following from its step alone, some of them transposed."""

    phrases: Phrases
    batch: int
    seed: int

    @cached_property
    def pools(self) -> dict[int, list[NDArray[np.int64]]]:
        """Which phrases of each length are of chorales, are syncopated tunes', are other tunes'."""
        own = self.phrases
        odd = own.attributes[:, phrases.ATTRIBUTES.index("syncopation")] > 0
        chorale = own.source == SOURCES.index("chorale")
        kinds = (chorale, ~chorale & odd, ~chorale & ~odd)
        return {int(n): [np.flatnonzero((own.length == n) & kind) for kind in kinds] for n in np.unique(own.length)}

    def draw(self, step: int) -> tuple[Tensor, ...]:
        """tokens, places (B, T), mode, before (B,) int64 and attributes (B, A) float32."""
        rng = np.random.default_rng([self.seed, step])
        lengths, counts = np.unique(self.phrases.length, return_counts=True)
        length = int(rng.choice(lengths, p=counts / counts.sum()))
        pools = self.pools[length]
        weights = np.array([share if len(pool) else 0.0 for share, pool in zip(SHARES, pools, strict=True)])
        which = rng.choice(len(pools), self.batch, p=weights / weights.sum())
        rows = np.array([rng.choice(pools[number]) for number in which])
        own = self.phrases.at(rows)
        tokens, before, mode, attributes = own.tokens[:, :length], own.before, own.mode, own.attributes
        shift = _shifts(tokens, before, rng)
        tokens = np.where(tokens > REST, tokens + shift[:, None], tokens)
        before = np.where((before > REST) & (before < START), before + shift, before)
        mode = np.where(shift % 12, UNKNOWN, mode)
        attributes = attributes + np.stack([np.zeros_like(shift)] * 3 + [shift], 1).astype(np.float32)
        arrays = (tokens, own.places[:, :length], mode, before, attributes)
        return tuple(torch.from_numpy(np.ascontiguousarray(a)) for a in arrays)


def _shifts(tokens: NDArray[np.int64], before: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """By how much each phrase is transposed: most by nothing, none out of LOWEST to HIGHEST."""
    heard = np.concatenate([tokens, np.where(before < START, before, REST)[:, None]], 1)
    low = np.where(heard > REST, heard - PITCH, HIGHEST).min(1)
    high = np.where(heard > REST, heard - PITCH, LOWEST).max(1)
    wanted = rng.integers(-6, 7, len(tokens))
    moved = rng.random(len(tokens)) < MOVED
    fits = (low + wanted >= LOWEST) & (high + wanted <= HIGHEST)
    return np.where(moved & fits, wanted, 0)


def save(path: Path, model: Vae, storage: str = "int8") -> None:
    """Write a weights file: the weights, and in the header the model's config."""
    about = {"architecture": "music_vae", "config": asdict(model.config)}
    checkpoint.save_weights(path, checkpoint.pack(model.state_dict(), storage), about)


def restore(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> Vae:
    """The model of a weights file, as `catalog.weights` gives it, in evaluation mode, fp32."""
    if about.get("architecture") != "music_vae":
        raise BadRequest(f"these weights are of {about.get('architecture')!r}, not of a music VAE")
    model = music_vae.build(music_vae.Config(**about["config"]))
    model.load_state_dict(checkpoint.unpack(tensors))
    return model.eval()
