"""Melodies as they are known again: by their intervals and their rhythm, in whatever key, more than two bars at a time.

A melody is the notes at which its pitch changes (a repeated note belongs to the one before), each with the interval and
the time to the next. A passage is the shortest that spans two bars and SHORTEST intervals or more, one from every note
on; a Bloom filter (`encode.origins`) holds those of the tunes that the models learned from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from danqing.artwork.music import Note
from danqing.encode import origins
from danqing.encode.origins import Filter

BARS = 2  # that a passage spans, from onset to onset: with its last note it is longer
SHORTEST = 8  # intervals of a passage; fewer are found in everything
TICKS = 24  # of a quarter note
LONGEST = 64  # intervals of a passage; one with more in two bars is cut there


@dataclass(frozen=True)
class Line:
    """A melody and the length of its bars."""

    notes: tuple[Note, ...]  # one at a time, in order
    bar: Fraction  # quarter notes


@dataclass(frozen=True)
class Passage:
    """A stretch of a melody, in quarter notes from the piece's beginning."""

    start: Fraction
    stop: Fraction

    @property
    def length(self) -> Fraction:
        """Quarter notes."""
        return self.stop - self.start


def turns(notes: Sequence[Note]) -> list[Note]:
    """The notes at which the pitch changes."""
    return [note for i, note in enumerate(notes) if i == 0 or note.pitch != notes[i - 1].pitch]


def evened(line: Line) -> Line:
    """The melody with its onsets on sixteenths: what was played, not written, never begins twice in quite one place."""
    return Line(tuple(replace(note, onset=Fraction(round(4 * note.onset), 4)) for note in line.notes), line.bar)


def passages(line: Line) -> tuple[NDArray[np.uint64], list[Passage]]:
    """The hash of every passage of a melody, (N,), and where each is."""
    known = turns(line.notes)
    if len(known) <= SHORTEST:
        return np.zeros(0, np.uint64), []
    onsets = [note.onset for note in known]
    ticks = np.array([round(onset * TICKS) for onset in onsets])
    steps = np.diff([note.pitch for note in known]) + 128
    codes = (steps * 4096 + np.minimum(np.diff(ticks), 4095)).astype(np.uint64)
    first = np.arange(len(known) - SHORTEST)
    after = np.searchsorted(ticks, ticks[first] + round(BARS * line.bar * TICKS))
    last = np.minimum(np.maximum(after, first + SHORTEST), first + LONGEST)
    first, last = first[last < len(known)], last[last < len(known)]
    found = np.zeros(len(first), np.uint64)
    for count in np.unique(last - first):
        rows = np.flatnonzero(last - first == count)
        found[rows] = origins.sums(codes[first[rows, None] + np.arange(count)])
    places = [Passage(onsets[a], known[b].end) for a, b in zip(first, last, strict=True)]
    return origins.mixed(found), places


def entries(lines: Iterable[Line]) -> NDArray[np.uint64]:
    """The hashes of all passages of many melodies, each once."""
    every = [passages(line)[0] for line in lines]
    return np.unique(np.concatenate(every)) if every else np.zeros(0, np.uint64)


class Known:
    """The passages of the tunes that models learned from."""

    def __init__(self, filters: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """filters: "passages", (N,) uint8; about: what the header of the file says."""
        self.filter = Filter(np.asarray(filters["passages"], np.uint8))
        self.about = dict(about)

    def within(self, line: Line) -> list[Passage]:
        """The stretches of a melody that are known, joined where they overlap, in order."""
        hashes, places = passages(line)
        joined: list[Passage] = []
        for hit, place in zip(self.filter.has(hashes), places, strict=True):
            if hit and joined and place.start <= joined[-1].stop:
                joined[-1] = Passage(joined[-1].start, max(place.stop, joined[-1].stop))
            elif hit:
                joined.append(place)
        return joined

    def longest(self, line: Line) -> Passage | None:
        """The longest of them; None where none is known."""
        return max(self.within(line), key=lambda passage: passage.length, default=None)
