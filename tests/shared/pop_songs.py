"""Invented songs in the form of POP909's files."""

from __future__ import annotations

import zipfile
from fractions import Fraction

import numpy as np

from danqing.artwork import scores
from danqing.artwork.music import ZERO, Note, Part, Score, Tempo

F = Fraction
PARTS = (Part("MELODY"), Part("BRIDGE"), Part("PIANO"))


def score(seed: int, bars: int = 12) -> Score:
    """Twelve bars of four quarters at 120: a melody in eighths, a bridge note and a chord a bar."""
    rng = np.random.default_rng(seed)
    notes = [Note(F(i, 2), 60 + int(rng.integers(20)), F(1, 2), 0) for i in range(8 * bars)]
    for bar in range(bars):
        notes.append(Note(F(4 * bar + 2), 55 + int(rng.integers(5)), F(2), 1))
        notes += [Note(F(4 * bar), pitch, F(4), 2) for pitch in (36, 43, 48)]
    return Score(tuple(notes), PARTS, (Tempo(ZERO, 120.0),))


def beats(count: int, bar: int = 4, first: float = 0.0) -> str:
    """A beat each half second, every `bar`-th of them a downbeat."""
    return "\n".join(f"{first + i / 2} {float(i % 2 == 0)} {float(i % bar == 0)}" for i in range(count))


def write(archive: zipfile.ZipFile, name: str, seed: int) -> None:
    """A song into an archive."""
    archive.writestr(f"{name}/{name}.mid", scores.encode_bytes(score(seed), ".mid"))
    archive.writestr(f"{name}/beat_midi.txt", beats(48))
    archive.writestr(f"{name}/key_audio.txt", "0.0 24.0 A:min")
