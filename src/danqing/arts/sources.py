"""What a person brings to `compose`: its melody, its voices, its metre, and which notes of it are to stay.

Nothing here changes a note. What networks see of a piece is a grid made from it; what is handed out is made from the
piece's own notes and the new ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from danqing.artwork.music import ZERO, Key, Meter, Note, Score
from danqing.encode import notes as grids
from danqing.encode import theory
from danqing.encode.notes import HIGH, LOW, SILENCE, STEP, VOICES
from danqing.errors import BadRequest

MOST_STEPS = 2560  # sixteenths of a piece that is worked on at once: 160 bars of four quarters
OCTAVE = 12
NAMED = ("melody", "soprano", "voice", "vocal", "lead", "tune", "cantus", "旋律")  # parts called so hold the melody

Line = tuple[Note, ...]


@dataclass(frozen=True)
class Melody:
    """The line that a piece is known by."""

    notes: Line
    remark: str = ""  # what was passed over to find it


# --- finding lines ----------------------------------------------------------------------------------------------------


def parts(score: Score) -> list[int]:
    """The parts that sound and are no drums. Raises BadRequest where there is none."""
    found = [i for i, part in enumerate(score.parts) if not part.drums and score.of(i)]
    if not found:
        raise BadRequest("the piece holds drums only; give one with pitches")
    return found


def melody(score: Score) -> Melody:
    """The part that is called a melody, or the highest; of notes at once the top one. Raises BadRequest for drums."""
    sounding = parts(score)
    named = [i for i in sounding if any(word in score.parts[i].name.casefold() for word in NAMED)]
    best = max(named or sounding, key=lambda i: sum(note.pitch for note in score.of(i)) / len(score.of(i)))
    own = score.of(best)
    line = theory.skyline(own)
    if line == own:
        return Melody(own)
    share = len({note.onset for note in own if _chord(own, note)}) / len({note.onset for note in own})
    if share > 0.9:
        return Melody(line, "the piece holds chords and no line of its own; the top notes of the chords are its melody")
    return Melody(line, "the melody's part sounds several notes at once; its top line is taken")


def _chord(notes: Sequence[Note], note: Note) -> bool:
    return sum(other.onset == note.onset for other in notes) > 1


def voices(score: Score) -> list[Line]:
    """The piece as one to four lines, the highest first, every note in one. Raises BadRequest where there are more."""
    lines = [score.of(i) for i in parts(score)]
    if len(lines) <= len(VOICES) and all(_single(line) for line in lines):
        return sorted(lines, key=lambda line: -sum(note.pitch for note in line) / len(line))
    every = [note for line in lines for note in line]
    found = [line for line in theory.separate(every) if line]
    if len(found) > len(VOICES) or sum(map(len, found)) != len(every):
        raise BadRequest(
            f"the piece has {len(lines)} parts and up to {len(found)} notes at once; one to {len(VOICES)} voices are "
            "worked on: take out parts, or give --harmonize its melody"
        )
    return found


def _single(line: Line) -> bool:
    return all(a.end <= b.onset for a, b in pairwise(line))


def meter(score: Score) -> Meter:
    """The metre that most of the piece is in."""
    held: Counter[tuple[int, int]] = Counter()
    stops = [*(mark.onset for mark in score.meters[1:]), score.length]
    for mark, stop in zip(score.meters, stops, strict=True):
        held[mark.beats, mark.unit] += int(max(ZERO, stop - mark.onset) * 16)
    beats, unit = held.most_common(1)[0][0] if held else (4, 4)
    return Meter(ZERO, beats, unit)


def key(score: Score, notes: Sequence[Note]) -> Key:
    """The key that the piece names; else the likeliest."""
    named = score.key_at(ZERO)
    return replace(named or theory.find_key(notes), onset=ZERO)


def bar_span(score: Score, first: int, last: int) -> tuple[Fraction, Fraction]:
    """Where bars `first` to `last` begin and end, in quarter notes; a pickup is bar 0. Raises BadRequest."""
    starts = score.bars()
    offset = 1 if score.pickup else 0
    count = len(starts) - 1 - offset
    if last > count:
        raise BadRequest(
            f"--bars-range is {first}:{last} and the piece has {count} bars; give A:B with B up to {count}"
        )
    return starts[first - 1 + offset], min(starts[last + offset], score.length)


# --- the grid ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frame:
    """The grid that a piece is laid on."""

    length: int  # steps
    pickup: int  # steps
    bar: int  # steps

    @classmethod
    def of(cls, score: Score, length: Fraction) -> Frame:
        """For so many quarter notes of a piece. Raises BadRequest for one that is too long, or has no sixteenths."""
        steps = -(-length // STEP)
        if steps > MOST_STEPS:
            bars = length / meter(score).bar
            most = int(MOST_STEPS * STEP / meter(score).bar)
            raise BadRequest(f"the piece has {int(bars):,} bars; up to {most} are worked on at once: cut it")
        bar = meter(score).bar / STEP
        if bar.denominator != 1:
            named = meter(score)
            raise BadRequest(f"the piece is in {named.beats}/{named.unit}; a bar of whole sixteenths is needed")
        return cls(int(steps), round(score.pickup / STEP) % int(bar), int(bar))


def reach(note: Note) -> tuple[int, int]:
    """The steps that a note touches: first, after."""
    first = int(note.onset / STEP)
    return first, max(first + 1, int(-(-note.end // STEP)))


def laid(lines: Sequence[Iterable[Note]], length: int, shift: int = 0) -> NDArray[np.int16]:
    """(T, 4) MIDI of lines on the grid, each note at the nearest step; SILENCE where nobody sings.

    shift: semitones; what lies outside LOW to HIGH then is folded into it by octaves.
    """
    pitches = np.full((length, len(VOICES)), SILENCE, dtype=np.int16)
    for voice, line in enumerate(lines):
        for note in line:
            first = round(note.onset / STEP)
            after = max(first + 1, round(note.end / STEP))
            pitches[first:after, voice] = folded(note.pitch + shift)
    return pitches


def folded(pitch: int) -> int:
    """The pitch by octaves between LOW and HIGH."""
    while pitch > HIGH:
        pitch -= OCTAVE
    while pitch < LOW:
        pitch += OCTAVE
    return pitch


def octaves(lines: Sequence[Line]) -> int:
    """The shift by octaves, in semitones, that leaves the fewest notes outside LOW to HIGH."""
    every = [note.pitch for line in lines for note in line]

    def outside(shift: int) -> tuple[int, int]:
        return sum(not LOW <= pitch + shift <= HIGH for pitch in every), abs(shift)

    return min((-24, -12, 0, 12, 24), key=outside)


def singable(line: Line) -> tuple[int, str]:
    """How far a melody is moved to be a soprano's, in semitones, and what the person is told of it ("" for 0).

    Octaves are preferred, which leave the key. Raises BadRequest for a melody that is wider than all voices together.
    """
    low, high = grids.RANGES[0]
    pitches = np.array([note.pitch for note in line], dtype=np.int16)
    least, most = int(pitches.min()), int(pitches.max())
    for shift in (0, -12, 12, -24, 24, -36, 36):
        if low <= least + shift and most + shift <= high:
            return shift, _moved(shift)
    if most - least <= high - low:
        shift = grids.shift_into(pitches, 0)
        return shift, _moved(shift)
    if most - least > HIGH - LOW:
        raise BadRequest(
            f"the melody spans {most - least} semitones and a choir {HIGH - LOW}; give one that a single voice sings"
        )
    shift = min(-(-(most - high) // OCTAVE) * -OCTAVE, 0) if most > high else (high - most) // OCTAVE * OCTAVE
    if least + shift < LOW:
        shift = high - most
    told = _moved(shift)
    return shift, (
        told + "; " if told else ""
    ) + f"it spans {most - least} semitones, more than a soprano's {high - low}"


def _moved(shift: int) -> str:
    if not shift:
        return ""
    whole = abs(shift) % OCTAVE == 0
    size = f"{abs(shift) // OCTAVE} octave{'s' * (abs(shift) > OCTAVE)}" if whole else f"{abs(shift)} semitones"
    return f"the melody was moved {'up' if shift > 0 else 'down'} by {size}, into a soprano's range"


# --- what is new ------------------------------------------------------------------------------------------------------


def struck_notes(
    pitches: NDArray[np.int16], held: NDArray[np.bool_], open_: NDArray[np.bool_], part: int, like: Note | None = None
) -> list[Note]:
    """The notes of one voice that lie in its open steps. All (T,); like: whose loudness they have."""
    found: list[Note] = []
    steps = np.flatnonzero(open_)
    for step in steps:
        if pitches[step] == SILENCE:
            continue
        goes_on = held[step] and found and found[-1].end == int(step) * STEP and found[-1].pitch == pitches[step]
        if goes_on:
            found[-1] = replace(found[-1], duration=found[-1].duration + STEP)
        else:
            velocity = like.velocity if like else 80
            found.append(Note(int(step) * STEP, int(pitches[step]), STEP, part, velocity))
    return found
