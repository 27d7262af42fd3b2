"""Music as notes: one score type that every reader, writer, model and judge shares.

Times are in quarter notes, as fractions, so that triplets and whatever a file holds come back exactly. Pitches are MIDI
numbers (60 is middle C). How a score is read and written: `artwork.scores`; printed: `artwork.notation`; heard:
`artwork.audio`.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TypeVar

from danqing.errors import BadRequest

ZERO, EVEN = Fraction(0), Fraction(1, 2)


@dataclass(frozen=True, order=True)
class Note:
    """One sounding note; tied notes are one."""

    onset: Fraction  # quarter notes from the beginning
    pitch: int  # MIDI number, 0 to 127
    duration: Fraction  # quarter notes, above 0
    part: int = 0  # index into the score's parts
    velocity: int = 80  # 1 to 127
    lyric: str = ""

    @property
    def end(self) -> Fraction:
        """When it stops, in quarter notes."""
        return self.onset + self.duration


@dataclass(frozen=True)
class Part:
    """Who plays: a voice or an instrument."""

    name: str = ""
    program: int = 0  # General MIDI, 0 to 127; 0 is the piano
    drums: bool = False


@dataclass(frozen=True)
class Tempo:
    """So many quarter notes a minute from here on."""

    onset: Fraction
    bpm: float


@dataclass(frozen=True)
class Meter:
    """A time signature from here on: beats of 1/unit."""

    onset: Fraction
    beats: int
    unit: int

    @property
    def bar(self) -> Fraction:
        """Quarter notes in a bar."""
        return Fraction(4 * self.beats, self.unit)


@dataclass(frozen=True)
class Key:
    """A key from here on."""

    onset: Fraction
    tonic: str  # one of TONICS
    mode: str = "major"  # one of MODES

    def __str__(self) -> str:
        return f"{self.tonic} {self.mode}"


@dataclass(frozen=True)
class Chord:
    """A chord symbol from here on: "C", "Dm7", "G7/B"; "N" is none."""

    onset: Fraction
    name: str


T = TypeVar("T", Tempo, Meter, Key)


@dataclass(frozen=True)
class Score:
    """A piece of music. Notes are kept sorted by onset, then pitch."""

    notes: tuple[Note, ...]
    parts: tuple[Part, ...] = (Part(),)
    tempos: tuple[Tempo, ...] = (Tempo(ZERO, 120.0),)
    meters: tuple[Meter, ...] = (Meter(ZERO, 4, 4),)
    keys: tuple[Key, ...] = ()
    chords: tuple[Chord, ...] = ()
    pickup: Fraction = ZERO  # quarter notes before the first full bar
    title: str = ""
    composer: str = ""
    length: Fraction = field(default=ZERO)  # quarter notes, rests at the end included; at least to the last note's end
    swing: Fraction = (
        EVEN  # where the second of two eighths is played, in quarter notes after the first; written evenly
    )

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.notes))
        object.__setattr__(self, "notes", ordered)
        last = max((note.end for note in ordered), default=ZERO)
        if not EVEN <= self.swing <= Fraction(3, 4):
            raise BadRequest(f"swing is {self.swing}; it lies between 1/2 (even eighths) and 3/4 of a quarter note")
        object.__setattr__(self, "length", max(last, self.length))
        for note in ordered:
            if not (0 <= note.pitch <= 127 and note.duration > 0 and note.onset >= 0):
                raise BadRequest(f"{note} is no note: pitch lies in 0 to 127, onset is 0 or later, duration above 0")
            if not 0 <= note.part < len(self.parts):
                raise BadRequest(f"{note} is of part {note.part}; the score has parts 0 to {len(self.parts) - 1}")

    def of(self, part: int) -> tuple[Note, ...]:
        """The notes of one part, in order."""
        return tuple(note for note in self.notes if note.part == part)

    def meter_at(self, onset: Fraction) -> Meter:
        """The time signature in force."""
        return _at(self.meters, onset) or Meter(ZERO, 4, 4)

    def key_at(self, onset: Fraction) -> Key | None:
        """The key in force; None where none is given."""
        return _at(self.keys, onset)

    def bars(self) -> list[Fraction]:
        """Where every bar begins, and, last, where the final one ends. A pickup is the first bar."""
        starts, here = [ZERO], ZERO
        if self.pickup:
            here = self.pickup
            starts.append(here)
        while here < self.length:
            here += self.meter_at(here).bar
            starts.append(here)
        return starts if len(starts) > 1 else [ZERO, self.meter_at(ZERO).bar]

    def seconds(self, onset: Fraction) -> float:
        """When a time in quarter notes is heard, in seconds from the beginning."""
        passed, here, bpm = 0.0, ZERO, 120.0
        for tempo in self.tempos:
            if tempo.onset >= onset:
                break
            passed += float(tempo.onset - here) * 60 / bpm
            here, bpm = tempo.onset, tempo.bpm
        return passed + float(onset - here) * 60 / bpm

    def played(self) -> Score:
        """The score with its notes where they are heard: late eighths where it swings, as written where not."""
        if self.swing == EVEN:
            return self
        notes = []
        for note in self.notes:
            start, end = _swung(note.onset, self.swing), _swung(note.end, self.swing)
            notes.append(replace(note, onset=start, duration=max(end - start, Fraction(1, 480))))
        return replace(self, notes=tuple(notes), swing=EVEN)

    def transposed(self, semitones: int) -> Score:
        """Every note and key moved; chord symbols too. Raises BadRequest where a note leaves 0 to 127."""
        from danqing.artwork import pitches

        return replace(
            self,
            notes=tuple(replace(n, pitch=n.pitch + semitones) for n in self.notes),
            keys=tuple(replace(k, tonic=pitches.moved(k.tonic, semitones, k.mode)) for k in self.keys),
            chords=tuple(replace(c, name=pitches.moved_chord(c.name, semitones)) for c in self.chords),
        )

    def between(self, start: Fraction, stop: Fraction) -> tuple[Note, ...]:
        """The notes that begin in [start, stop)."""
        onsets = [note.onset for note in self.notes]
        return self.notes[bisect.bisect_left(onsets, start) : bisect.bisect_left(onsets, stop)]

    def with_notes(self, notes: Iterable[Note]) -> Score:
        """The same score with other notes."""
        return replace(self, notes=tuple(notes), length=ZERO)


def _swung(time: Fraction, late: Fraction) -> Fraction:
    """When a written time is heard, to a 480th: the halves of its quarter are stretched; a triplet's places stay."""
    inside = time % 1
    if (inside * 3).denominator == 1:
        return time
    heard = 2 * inside * late if inside <= EVEN else late + (2 * inside - 1) * (1 - late)
    return time - inside + Fraction(round(heard * 480), 480)


def _at(marks: Sequence[T], onset: Fraction) -> T | None:
    found = None
    for mark in marks:
        if mark.onset > onset:
            break
        found = mark
    return found or (marks[0] if marks else None)
