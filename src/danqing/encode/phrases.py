"""Phrases of a melody: two bars, or four short ones, on a grid of sixteenths; and what can be measured of them.

A step holds a pitch that is struck, a rest that begins, or HOLD: what was before goes on. Pitches are counted in
semitones from the tonic (the one between MIDI 60 and 71), so that a phrase reads the same in every key. A phrase may
begin with an upbeat: `pickup` steps before its first bar line, and end as much before its last one.

Syncopation is after Longuet-Higgins and Lee 1984: a note that is struck on a weak place and sounds on over a stronger
one counts by how much stronger that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from danqing.artwork import pitches
from danqing.artwork.music import Key, Note
from danqing.errors import BadRequest

STEP = Fraction(1, 4)  # quarter notes
LOWEST, HIGHEST = -12, 24  # semitones from the tonic
HOLD, REST = 0, 1
PITCH = 2 - LOWEST  # token of the tonic
TOKENS = PITCH + HIGHEST + 1
START = TOKENS  # what sounded before a phrase that begins a piece
METRES = ((4, 4), (3, 4), (6, 8), (2, 4), (3, 8))
BARS = (2, 2, 2, 4, 4)  # in a phrase, by metre
LENGTH = 32  # steps of the longest phrase
WIDEST = 16  # steps of the longest bar
PLACES = len(METRES) * WIDEST
MODES = 3  # with a major third, with a minor one, unknown
MAJOR, MINOR, UNKNOWN = range(MODES)
ATTRIBUTES = ("density", "span", "syncopation", "register")
_STRENGTHS = (  # of each step of a bar: the bar line, half bars, beats, eighths, sixteenths
    (4, 0, 1, 0, 2, 0, 1, 0, 3, 0, 1, 0, 2, 0, 1, 0),
    (4, 0, 1, 0, 2, 0, 1, 0, 2, 0, 1, 0),
    (4, 0, 1, 0, 1, 0, 3, 0, 1, 0, 1, 0),
    (4, 0, 1, 0, 2, 0, 1, 0),
    (4, 0, 1, 0, 1, 0),
)
STRENGTH = np.array([[*row, *[0] * (WIDEST - len(row))] for row in _STRENGTHS]).ravel()  # by place, see `places`


@dataclass(frozen=True)
class Shape:
    """The bars of a phrase."""

    metre: int = 0  # index into METRES
    pickup: int = 0  # steps before the first bar line

    @property
    def bar(self) -> int:
        """Steps in a bar."""
        beats, unit = METRES[self.metre]
        return 16 * beats // unit

    @property
    def length(self) -> int:
        """Steps in a phrase: 24 or 32."""
        return self.bar * BARS[self.metre]

    @property
    def places(self) -> NDArray[np.int64]:
        """Which step of which kind of bar each step is: (T,) in [0, PLACES)."""
        return self.metre * WIDEST + (np.arange(self.length) - self.pickup) % self.bar


@dataclass(frozen=True)
class Phrase:
    """Two bars of a melody, or four short ones."""

    tokens: NDArray[np.int64] = field(repr=False)  # (T,), the first never HOLD
    shape: Shape = Shape()
    mode: int = UNKNOWN
    before: int = START  # the token of the pitch that was heard last before it

    def __post_init__(self) -> None:
        if self.tokens.shape != (self.shape.length,) or self.tokens[0] == HOLD:
            raise BadRequest(f"a phrase has {self.shape.length} steps, the first a pitch or a rest: {self.tokens}")


def shape_of(beats: int, unit: int, pickup: int = 0) -> Shape:
    """The shape of phrases in a metre. Raises BadRequest for a metre that has none."""
    metre = {(2, 2): (4, 4), (1, 1): (4, 4)}.get((beats, unit), (beats, unit))
    if metre not in METRES:
        known = ", ".join(f"{b}/{u}" for b, u in METRES)
        raise BadRequest(f"phrases are known in {known}, not in {beats}/{unit}")
    found = Shape(METRES.index(metre))
    return Shape(found.metre, pickup % found.bar)


def mode_of(key: Key) -> int:
    """MAJOR or MINOR, by the third of the key's mode."""
    return MAJOR if key.mode in ("major", "lydian", "mixolydian") else MINOR


def tonic_of(key: Key) -> int:
    """The tonic's pitch between MIDI 60 and 71."""
    return 60 + pitches.pitch_class(key.tonic)


# --- notes and tokens -------------------------------------------------------------------------------------------------


def lay(notes: Iterable[Note], length: int, tonic: int) -> NDArray[np.int64]:
    """A line as one token a step, each note at the nearest; of notes in one step the later is heard. (length,)

    tonic: MIDI; a pitch outside LOWEST to HIGHEST from it is moved inside by octaves.
    """
    tokens = np.full(length, HOLD, np.int64)
    end = 0
    for note in notes:
        first = round(note.onset / STEP)
        after = min(length, max(first + 1, round(note.end / STEP)))
        if first >= length:
            break
        if first > end:
            tokens[end] = REST
        tokens[first] = PITCH + _inside(note.pitch - tonic)
        tokens[first + 1 : after] = HOLD
        end = after
    if end < length:
        tokens[end] = REST
    return tokens


def _inside(offset: int) -> int:
    while offset > HIGHEST:
        offset -= 12
    while offset < LOWEST:
        offset += 12
    return offset


def cut(tokens: NDArray[np.int64], start: int, shape: Shape, mode: int = UNKNOWN) -> Phrase:
    """The phrase that begins at a step of a line; filled up with a rest where the line ends before it does."""
    own = tokens[start : start + shape.length].copy()
    if len(own) < shape.length:
        own = np.concatenate([own, [REST], np.full(shape.length - len(own) - 1, HOLD)])
    own[0] = own[0] if own[0] != HOLD else _sounding(tokens[: start + 1])
    earlier = tokens[:start]
    struck = earlier[earlier > REST]
    return Phrase(own, shape, mode, int(struck[-1]) if len(struck) else START)


def _sounding(tokens: NDArray[np.int64]) -> int:
    changes = tokens[tokens != HOLD]
    return int(changes[-1]) if len(changes) else REST


def notes_of(tokens: Sequence[int], tonic: int, start: int = 0, part: int = 0) -> list[Note]:
    """The notes of a line of tokens that begins at step `start` of a piece. tonic: MIDI."""
    found: list[Note] = []
    begins = [i for i, token in enumerate(tokens) if token != HOLD]
    for first, after in zip(begins, [*begins[1:], len(tokens)], strict=True):
        if tokens[first] > REST:
            pitch = tonic + int(tokens[first]) - PITCH
            found.append(Note((start + first) * STEP, pitch, (after - first) * STEP, part))
    return found


# --- attributes -------------------------------------------------------------------------------------------------------


def attributes(tokens: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.float32]:
    """What the sliders move, of phrases of one length: tokens and places (B, T) → (B, 4), in the order of ATTRIBUTES.

    density: notes struck in a quarter. span: semitones from the lowest to the highest. syncopation: see above, for a
    quarter. register: the mean pitch, semitones from the tonic. 0 where a phrase is silent.
    """
    rows, length = tokens.shape
    struck = tokens > REST
    quarters = length / 4
    any_ = struck.any(1)
    pitch = tokens - PITCH
    low = np.where(struck, pitch, HIGHEST).min(1)
    high = np.where(struck, pitch, LOWEST).max(1)
    strength = STRENGTH[places]
    sound = np.full(rows, np.nan)
    total, heard, moved = np.zeros(rows), np.zeros(rows), np.zeros(rows)
    begun, over = np.full(rows, WIDEST), np.zeros(rows)
    for step in range(length):
        fresh = tokens[:, step] != HOLD
        moved += np.where(fresh, np.maximum(0, over - begun), 0)
        sound = np.where(fresh, np.where(struck[:, step], pitch[:, step], np.nan), sound)
        begun = np.where(fresh, np.where(struck[:, step], strength[:, step], WIDEST), begun)
        over = np.where(fresh, 0, np.maximum(over, strength[:, step]))
        heard += ~np.isnan(sound)
        total += np.nan_to_num(sound)
    moved += np.maximum(0, over - begun)
    columns = (struck.sum(1) / quarters, np.where(any_, high - low, 0), moved / quarters, total / np.maximum(1, heard))
    return np.stack(columns, 1).astype(np.float32)
