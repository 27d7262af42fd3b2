"""Chorales as a grid: four voices, soprano to bass, sixteen steps to a whole note.

A step of a voice holds a pitch, or silence, and whether it goes on from the step before or is struck anew. Models read
the pitches alone as codes (0 is silence, then one code for each semitone from LOW to HIGH): the collection that they
are measured on (JSB chorales, Boulanger-Lewandowski et al. 2012, in its 16th-note form) knows no repeated notes. Where
a pitch stays, `struck` says whether it is sung again. In the 316 of its 382 chorales that stand among the engraved ones
too, a pitch that stays over a bar line was struck again in 82 of 100 cases (soprano 94), in the middle of a bar of four
in 57, at the other beats in 42, between beats in fewer than one (`python benchmarks/music.py struck`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from danqing.artwork.music import ZERO, Key, Meter, Note, Part, Score, Tempo
from danqing.errors import BadRequest

VOICES = ("soprano", "alto", "tenor", "bass")
LOW, HIGH = 36, 81  # MIDI; what the voices of Bach's chorales cover
CODES = HIGH - LOW + 2  # silence and the pitches
SILENCE = -1  # the pitch of a step in which a voice is silent
RANGES = ((60, 81), (52, 74), (46, 69), (36, 66))  # MIDI, lowest and highest of each voice in the same collection
STEP = Fraction(1, 4)  # quarter notes in a step
CHOIR = 52  # General MIDI
MAJOR_TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MINOR_TONICS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
KEYS = 24  # 0 to 11: major on C, C#, …; 12 to 23: minor


@dataclass(frozen=True)
class Grid:
    """Four voices in steps of a sixteenth."""

    pitches: NDArray[np.int16]  # (T, 4) MIDI numbers; SILENCE where a voice is silent
    held: NDArray[np.bool_]  # (T, 4): the note goes on from the step before
    pickup: int = 0  # steps before the first full bar
    bar: int = 16  # steps in a bar

    def __post_init__(self) -> None:
        if self.pitches.ndim != 2 or self.pitches.shape[1] != len(VOICES) or self.held.shape != self.pitches.shape:
            raise BadRequest(f"a grid is (steps, 4) pitches and as many holds; got {self.pitches.shape}")
        if self.bar < 1 or not 0 <= self.pickup < self.bar:
            raise BadRequest(f"a pickup of {self.pickup} steps does not fit a bar of {self.bar}")

    def __len__(self) -> int:
        return len(self.pitches)

    @property
    def places(self) -> NDArray[np.int64]:
        """Which step of its bar each step is: (T,) in [0, bar)."""
        return (np.arange(len(self)) - self.pickup) % self.bar

    def line(self, voice: int) -> list[int]:
        """The pitches of a voice, MIDI, those that stay or are struck again once, silence left out."""
        pitch = self.pitches[:, voice]
        pitch = pitch[pitch != SILENCE]
        return pitch[np.append(True, pitch[1:] != pitch[:-1])].tolist() if len(pitch) else []

    def steps(self, first: int, last: int) -> slice:
        """The steps of bars `first` to `last`, counted from 1, both included. A pickup belongs to no bar."""
        bars = -(-(len(self) - self.pickup) // self.bar)
        if not 1 <= first <= last <= bars:
            raise BadRequest(f"bars {first}:{last} are not in a piece of {bars} bars; give A:B with 1 ≤ A ≤ B ≤ {bars}")
        return slice(self.pickup + (first - 1) * self.bar, min(len(self), self.pickup + last * self.bar))


def struck(pitches: NDArray[np.int16], pickup: int = 0, bar: int = 16) -> NDArray[np.bool_]:
    """(T, 4) bool, whether a note goes on from the step before, where only pitches are known.

    A pitch that stays is struck again at the bar line and, in a bar of 16, in its middle, but not within the last
    chord: what Bach does most often (see above).
    """
    held = np.zeros(pitches.shape, dtype=np.bool_)
    held[1:] = (pitches[1:] == pitches[:-1]) & (pitches[1:] != SILENCE)
    place = (np.arange(len(pitches)) - pickup) % bar
    again = (place == 0) | ((bar == 16) & (place == 8))
    moved = np.flatnonzero(~held[:, 3])
    again[moved[-1] + 1 if len(moved) else 1 :] = False
    goes_on: NDArray[np.bool_] = held & ~again[:, None]
    return goes_on


def from_frames(frames: Sequence[Sequence[int]]) -> Grid:
    """A chorale of the 16th-note JSB collection: [[soprano, alto, tenor, bass], …], −1 for silence.

    The collection names neither metre nor pickup, but its lengths tell: 16n + 4 steps have a pickup of a quarter, 16n
    none, all others are in three. So it is in 286 of the 316 chorales whose engraved score is known; most of the rest
    are in three and of a length that a piece in four may have.
    """
    pitches = np.asarray(frames, dtype=np.int16).reshape(-1, len(VOICES))
    pitches = np.where(pitches < 0, np.int16(SILENCE), pitches)
    over = len(pitches) % 16
    pickup, bar = (over, 16) if over in (0, 4) else (0, 12)
    return Grid(pitches, struck(pitches, pickup, bar), pickup, bar)


def to_frames(grid: Grid) -> list[list[int]]:
    """The opposite of `from_frames`, pitches alone."""
    frames: list[list[int]] = grid.pitches.tolist()
    return frames


def codes(pitches: NDArray[np.int16]) -> NDArray[np.int64]:
    """What models read: (T, 4) in [0, CODES). Raises BadRequest for a pitch outside LOW to HIGH."""
    sounding = pitches[pitches != SILENCE]
    if len(sounding) and not LOW <= sounding.min() <= sounding.max() <= HIGH:
        raise BadRequest(
            f"the voices span MIDI {sounding.min()} to {sounding.max()}; a choir sings {LOW} to {HIGH}: transpose them"
        )
    return np.where(pitches == SILENCE, 0, pitches.astype(np.int64) - LOW + 1)


def pitches_of(numbers: NDArray[np.int64]) -> NDArray[np.int16]:
    """The opposite of `codes`."""
    return np.where(numbers == 0, SILENCE, numbers + LOW - 1).astype(np.int16)


def from_codes(numbers: NDArray[np.int64], pickup: int = 0, bar: int = 16) -> Grid:
    """A grid from what a model wrote; repeated notes after `struck`."""
    pitches = pitches_of(numbers)
    return Grid(pitches, struck(pitches, pickup, bar), pickup, bar)


def gaps(grid: Grid, steps: slice, voices: Sequence[int] = (0, 1, 2, 3)) -> NDArray[np.bool_]:
    """(T, 4) bool: the steps of those notes of these voices that lie wholly inside `steps`; silence counts too.

    What sounds into the passage from before, or on after it, is left out, so that no note outside is touched.
    """
    first, after, _ = steps.indices(len(grid))
    found = np.zeros(grid.pitches.shape, dtype=np.bool_)
    for voice in voices:
        begins = np.flatnonzero(~grid.held[:, voice])
        ends = np.append(begins[1:], len(grid))
        for start, stop in zip(begins, ends, strict=True):
            silent = grid.pitches[start, voice] == SILENCE
            if silent or (start >= first and stop <= after):
                found[max(start, first) : min(stop, after), voice] = True
    return found


def filled(grid: Grid, numbers: NDArray[np.int64], open_: NDArray[np.bool_]) -> Grid:
    """The grid with what a model wrote where `open_`; every note outside it stays as it is. numbers (T, 4), codes.

    Repeated notes inside are after `struck`; none is joined to a note outside.
    """
    pitches = np.where(open_, pitches_of(numbers), grid.pitches).astype(np.int16)
    inside = struck(pitches, grid.pickup, grid.bar)
    inside[1:] &= open_[:-1]
    return Grid(pitches, np.where(open_, inside, grid.held), grid.pickup, grid.bar)


def to_score(grid: Grid, key: Key | None = None, tempo_bpm: float = 80.0, title: str = "") -> Score:
    """Four parts, soprano to bass."""
    notes: list[Note] = []
    for voice in range(len(VOICES)):
        pitch, held = grid.pitches[:, voice], grid.held[:, voice]
        begins = np.flatnonzero(~held)
        for first, after in zip(begins, [*begins[1:], len(grid)], strict=True):
            if pitch[first] != SILENCE:
                notes.append(Note(int(first) * STEP, int(pitch[first]), int(after - first) * STEP, voice))
    return Score(
        notes=tuple(notes),
        parts=tuple(Part(name, CHOIR) for name in VOICES),
        tempos=(Tempo(ZERO, tempo_bpm),),
        meters=(Meter(ZERO, grid.bar // 4, 4) if grid.bar % 4 == 0 else Meter(ZERO, grid.bar, 16),),
        keys=(key,) if key else (),
        pickup=grid.pickup * STEP,
        title=title,
        length=len(grid) * STEP,
    )


def from_score(score: Score, parts: Mapping[int, int] | None = None, rounded: bool = False) -> Grid:
    """A score on the grid.

    parts: {voice: part of the score}; those that are missing are silent. Left out, the score's four sounding parts,
    highest first. Where a part sounds several notes at once, upper voices sing its highest, the bass its lowest.
    rounded: times that lie between steps go to the nearest. Raises BadRequest for such times otherwise, for a metre
    that changes or has no whole number of steps, and for a count of parts other than four.
    """
    parts = _four(score) if parts is None else parts
    bars = {meter.bar / STEP for meter in score.meters}
    if len(bars) != 1 or (bar := bars.pop()).denominator != 1 or (score.pickup / STEP).denominator != 1:
        raise BadRequest("the score's metre changes or has no whole number of sixteenths in a bar; give one metre")
    length = -(-score.length // STEP)
    pitches = np.full((length, len(VOICES)), SILENCE, dtype=np.int16)
    held = np.zeros((length, len(VOICES)), dtype=np.bool_)
    for voice, part in parts.items():
        notes = sorted(score.of(part), key=lambda n: n.pitch, reverse=voice == len(VOICES) - 1)
        for note in notes:  # the one that shall be heard comes last
            first, after = _steps(note, rounded)
            first = min(first, length - 1)
            pitches[first:after, voice], held[first:after, voice] = note.pitch, True
            held[first, voice] = False
            if after < length:
                held[after, voice] = False
    held[0] = False
    held[1:] &= (pitches[1:] == pitches[:-1]) & (pitches[1:] != SILENCE)
    return Grid(pitches, held, int(score.pickup / STEP) % int(bar), int(bar))


def _four(score: Score) -> dict[int, int]:
    sounding = [i for i, part in enumerate(score.parts) if score.of(i) and not part.drums]
    if len(sounding) != len(VOICES):
        raise BadRequest(f"the score has {len(sounding)} parts that sound; a chorale has four")
    sounding.sort(key=lambda i: -sum(n.pitch for n in score.of(i)) / len(score.of(i)))
    return dict(enumerate(sounding))


def _steps(note: Note, rounded: bool) -> tuple[int, int]:
    first, after = note.onset / STEP, note.end / STEP
    if not rounded and (first.denominator != 1 or after.denominator != 1):
        raise BadRequest(f"a note at quarter {float(note.onset):g} lies between sixteenths; round it to use the grid")
    start = int(first + Fraction(1, 2))
    return start, max(start + 1, int(after + Fraction(1, 2)))


def shift_into(pitches: NDArray[np.int16], voice: int) -> int:
    """The least transposition, in semitones, that brings a voice's notes into its range. (T,) MIDI.

    Raises BadRequest where they span more than the voice does.
    """
    low, high = RANGES[voice]
    sounding = pitches[pitches != SILENCE]
    if not len(sounding):
        return 0
    least, most = low - int(sounding.min()), high - int(sounding.max())
    if least > most:
        raise BadRequest(f"the melody spans {int(np.ptp(sounding))} semitones; a {VOICES[voice]} has {high - low}")
    return min(max(0, least), most) if least > 0 else max(min(0, most), least)


def key_number(key: Key) -> int:
    """A key as models know it: 0 to 11 major by pitch class, 12 to 23 minor; other modes by their third."""
    letter = "C D EF G A B".index(key.tonic[0]) + key.tonic.count("#") - key.tonic.count("b")
    return letter % 12 + (0 if key.mode in ("major", "lydian", "mixolydian") else 12)


def key_of(number: int) -> Key:
    """The opposite of `key_number`, in the usual spelling."""
    names = MINOR_TONICS if number >= 12 else MAJOR_TONICS
    return Key(ZERO, names[number % 12], "minor" if number >= 12 else "major")


def final_key(pitches: NDArray[np.int16]) -> int:
    """The key of a chorale, by the bass's last note and the commoner third above it. (T, 4) → `key_number`."""
    bass = pitches[pitches[:, 3] != SILENCE, 3]
    if not len(bass):
        return 0
    tonic = int(bass[-1]) % 12
    moved = np.flatnonzero((pitches[1:] != pitches[:-1]).any(axis=1))
    before = pitches[: moved[-1] + 1 if len(moved) else len(pitches)]  # the last chord's third is often raised
    above = (before[before != SILENCE] - tonic) % 12
    return tonic + (12 if (above == 3).sum() > (above == 4).sum() else 0)
