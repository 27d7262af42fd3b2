"""Any music as events, after REMI (Huang and Yang 2020): bars, places in the bar, notes; every sequence decodes.

    <bar> <metre 4/4> <tempo 112> <at 0> <loud 5> <part 0> <note 60> <for 12> <part 1> … <at 12> … <bar> … <end>

A quarter note has 12 steps, enough for sixteenths and triplets. Notes of one place stand by part, then by pitch, each
part named only where there are several; loudness and tempo hold until they change. A vocabulary with chords has two of
them at the head of each bar, one for each half: <bar> <chord Dm7> <chord G7> <at 0> … Departures from REMI: no separate
velocity for every note; metre is said, so that bars may be of any length; a part may not strike a note that it still
sounds. `Grammar` says at each place which tokens may come.
"""

from __future__ import annotations

import bisect
import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from danqing.artwork.music import ZERO, Chord, Meter, Note, Part, Score, Tempo
from danqing.encode import theory
from danqing.encode.text import END, Characters
from danqing.errors import BadRequest

STEPS = 12  # of a quarter note
LOW, HIGH = 21, 108  # MIDI: the keys of a piano
PARTS = 4
METRES = ((2, 4), (3, 4), (4, 4), (6, 4), (2, 2), (3, 2), (3, 8), (6, 8), (9, 8), (12, 8))
LENGTHS = (1, 2, 3, 4, 6, 8, 9, 12, 15, 18, 24, 30, 36, 42, 48, 60, 72, 96, 120, 144)  # steps
UNSAID = 120.0  # quarter notes a minute of a piece that does not say
TEMPOS = (44, 52, 60, 69, 80, 92, 104, 112, 120, 132, 144, 160, 176, 192, 208)  # quarter notes a minute
LOUDNESS = (20, 36, 50, 62, 74, 86, 98, 112)  # MIDI velocities
QUALITIES = ("", "m", "7", "maj7", "m7", "m7b5", "dim7", "sus4", "aug")  # suffixes of chords that have a token
CHORDS = 12 * len(QUALITIES) + 1  # by quality, then root; the last one is none
HALVES = 2  # chords of a bar
LONGEST_BAR = max(4 * STEPS * beats // unit for beats, unit in METRES)

_NAMES = (
    "<bar>",
    *(f"<metre {beats}/{unit}>" for beats, unit in METRES),
    *(f"<tempo {bpm}>" for bpm in TEMPOS),
    *(f"<at {step}>" for step in range(LONGEST_BAR)),
    *(f"<loud {i}>" for i in range(len(LOUDNESS))),
    *(f"<part {i}>" for i in range(PARTS)),
    *(f"<note {pitch}>" for pitch in range(LOW, HIGH + 1)),
    *(f"<for {steps}>" for steps in LENGTHS),
)


_ROOTS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_SYMBOLS = (*(f"{root}{suffix}" for suffix in QUALITIES for root in _ROOTS), "N")


def vocabulary(controls: Sequence[str] = (), chords: bool = False) -> Characters:
    """The tokens; controls: names in angle brackets of what may stand before a piece, such as <bach>.

    chords: whether bars begin with chords, whose tokens come before the controls.
    """
    names = [f"<chord {name}>" for name in _SYMBOLS] if chords else []
    return Characters("", (*_NAMES, *names, *controls))


_V = vocabulary()
BAR, LAST = _V.id("<bar>"), _V.id(END)
_METRE, _TEMPO, _AT, _LOUD, _PART, _NOTE, _FOR = (
    _V.id(f"<{name}>")
    for name in ("metre 2/4", f"tempo {TEMPOS[0]}", "at 0", "loud 0", "part 0", f"note {LOW}", "for 1")
)
_CHORD = _FOR + len(LENGTHS)


def kind_of(token: int) -> tuple[str, int]:
    """What a token of a piece is and which: ("at", 6), ("note", 60), ("for", 12), ("metre", its number in METRES) …

    In a vocabulary without chords the first controls, which stand before a piece and never in it, are told as chords.
    """
    if token in (BAR, LAST):
        return ("bar" if token == BAR else "end"), 0
    firsts = (_METRE, _TEMPO, _AT, _LOUD, _PART, _NOTE, _FOR, _FOR + len(LENGTHS))
    place = bisect.bisect_right(firsts, token) - 1
    if place == len(firsts) - 1 and token < _CHORD + CHORDS:
        return "chord", token - _CHORD
    if not 0 <= place < len(firsts) - 1:
        return "control", token
    number = token - firsts[place]
    kind = ("metre", "tempo", "at", "loud", "part", "note", "for")[place]
    return kind, number + LOW if kind == "note" else LENGTHS[number] if kind == "for" else number


def bar_steps(metre: int) -> int:
    """Steps in a bar of METRES[metre]."""
    beats, unit = METRES[metre]
    return 4 * STEPS * beats // unit


def metre_token(metre: int) -> int:
    """Of METRES[metre]."""
    return _METRE + metre


def tempo_token(bpm: float) -> int:
    """Of the tempo that is nearest by ratio."""
    return _TEMPO + _nearest(bpm, TEMPOS)


def note_token(pitch: int) -> int:
    """Of a MIDI number from LOW to HIGH."""
    return _NOTE + pitch - LOW


def part_token(part: int) -> int:
    """Of a part, 0 to PARTS - 1."""
    return _PART + part


def at_token(step: int) -> int:
    """Of a place in the bar, in steps."""
    return _AT + step


def chord_token(name: str) -> int:
    """Of a chord symbol: that of the nearest quality, the bass left out; of none where it is not understood."""
    symbol = theory.chord_symbol(name)
    if symbol is None:
        return _CHORD + CHORDS - 1
    tones = set(symbol.intervals)
    known = [set(theory.QUALITIES[suffix]) for suffix in QUALITIES]
    nearest = min(range(len(QUALITIES)), key=lambda i: (len(known[i] ^ tones), i))
    return _CHORD + 12 * nearest + symbol.root


def chord_name(token: int) -> str:
    """The symbol of a chord's token; "N" for none."""
    return _SYMBOLS[token - _CHORD]


def length_token(steps: int) -> int:
    """Of the length that is nearest by ratio."""
    return _FOR + _nearest(steps, LENGTHS)


def moved(tokens: NDArray[np.int64], semitones: int) -> NDArray[np.int64]:
    """The tokens with notes and chords that many semitones higher. Raises BadRequest where one leaves the keyboard."""
    notes = (tokens >= _NOTE) & (tokens < _FOR)
    found = np.where(notes, tokens + semitones, tokens)
    if ((found[notes] < _NOTE) | (found[notes] >= _FOR)).any():
        raise BadRequest(f"moved by {semitones} semitones, notes leave the piano's keys, MIDI {LOW} to {HIGH}")
    chords = (tokens >= _CHORD) & (tokens < _CHORD + CHORDS - 1)
    number = tokens - _CHORD
    return np.where(chords, _CHORD + number // 12 * 12 + (number + semitones) % 12, found)


def _nearest(value: float, values: Sequence[int]) -> int:
    """The index of the value that is nearest by ratio."""
    return min(range(len(values)), key=lambda i: abs(np.log(value / values[i])))


# --- scores -----------------------------------------------------------------------------------------------------------


def from_score(score: Score) -> list[int]:
    """The tokens of a score, `<end>` included.

    Times go to the nearest step, lengths, tempi and loudness to the nearest that has a token; a note is cut short where
    its part strikes it again; drums are left out; a pickup becomes a whole bar that begins with silence. Raises
    BadRequest for a metre without a token, pitches outside a piano's and more than PARTS parts.
    """
    metres = [(m.onset, _metre(m)) for m in score.meters]
    strokes, parts = _strokes(score)
    onsets = [stroke.step for stroke in strokes]
    starts = score.bars()
    tokens: list[int] = []
    said: dict[str, int] = {}
    for number, (start, stop) in enumerate(itertools.pairwise(starts)):
        metre = next(m for onset, m in reversed(metres) if onset <= start or onset == metres[0][0])
        first, after = round(start * STEPS), round(stop * STEPS)
        early = bar_steps(metre) - (after - first) if number == 0 and score.pickup else 0
        tempo = next((t.bpm for t in reversed(score.tempos) if t.onset <= start), UNSAID)
        tokens.append(BAR)
        for kind, value, token in (("metre", metre, _METRE), ("tempo", _nearest(tempo, TEMPOS), _TEMPO)):
            if said.get(kind) != value:
                tokens.append(token + value)
                said[kind] = value
        inside = strokes[bisect.bisect_left(onsets, first) : bisect.bisect_left(onsets, after)]
        tokens += _bar_tokens(inside, first - early, parts > 1, said)
    return [*tokens, LAST]


def bars(score: Score, spans: Sequence[tuple[Fraction, Fraction]], named: bool = False) -> list[list[int]]:
    """The tokens of what begins in each of these spans of quarter notes, as a bar's: from the first `<at>` on.

    No bar lines, metres, tempi or loudness; parts are named where several sound, or `named` is set. Raises what
    `from_score` does, but for metres.
    """
    strokes, parts = _strokes(score)
    onsets = [stroke.step for stroke in strokes]
    found = []
    for start, stop in spans:
        first, after = round(start * STEPS), round(stop * STEPS)
        inside = strokes[bisect.bisect_left(onsets, first) : bisect.bisect_left(onsets, after)]
        found.append([t for t in _bar_tokens(inside, first, named or parts > 1, {}) if not _LOUD <= t < _PART])
    return found


def _metre(meter: Meter) -> int:
    if (meter.beats, meter.unit) not in METRES:
        known = ", ".join(f"{beats}/{unit}" for beats, unit in METRES)
        raise BadRequest(f"a metre of {meter.beats}/{meter.unit} has no token; those that have: {known}")
    return METRES.index((meter.beats, meter.unit))


class _Stroke(NamedTuple):
    """A note in steps from the beginning; in the order in which notes are written."""

    step: int
    part: int
    pitch: int
    length: int  # index in LENGTHS
    velocity: int


def _strokes(score: Score) -> tuple[list[_Stroke], int]:
    """Every note, and how many parts there are. The order is that of time, part and pitch."""
    parts = [i for i, part in enumerate(score.parts) if not part.drums and score.of(i)]
    if len(parts) > PARTS:
        raise BadRequest(f"the score has {len(parts)} parts that sound; events hold {PARTS}: join some of them")
    held: dict[tuple[int, int], list[tuple[int, int, int]]] = defaultdict(list)
    for note in score.notes:
        if note.part in parts:
            if not LOW <= note.pitch <= HIGH:
                raise BadRequest(f"MIDI {note.pitch} is on no piano; events hold {LOW} to {HIGH}: transpose the score")
            row = (round(note.onset * STEPS), round(note.end * STEPS), note.velocity)
            held[parts.index(note.part), note.pitch].append(row)
    found = []
    for (part, pitch), rows in held.items():
        rows.sort()
        for i, (step, end, velocity) in enumerate(rows):
            again = next((other for other, _, _ in rows[i + 1 :] if other > step), None)
            if i and rows[i - 1][0] == step:
                continue  # struck twice at once
            room = (end if again is None else min(end, again)) - step
            length = _nearest(max(1, room), LENGTHS)
            while again is not None and LENGTHS[length] > again - step:
                length -= 1  # it may not reach the next stroke
            found.append(_Stroke(step, part, pitch, length, velocity))
    return sorted(found), len(parts)


def _bar_tokens(inside: Sequence[_Stroke], start: int, named: bool, said: dict[str, int]) -> Iterator[int]:
    """A bar's notes; start: the bar's first step; named: whether parts are; said: what holds from before."""
    for step, group in itertools.groupby(inside, key=lambda stroke: stroke.step):
        together = list(group)
        yield _AT + step - start
        loud = _nearest(max(1, *(stroke.velocity for stroke in together)), LOUDNESS)
        if said.get("loud") != loud:
            yield _LOUD + loud
            said["loud"] = loud
        part = -1
        for stroke in together:
            if named and stroke.part != part:
                yield _PART + stroke.part
                part = stroke.part
            yield _NOTE + stroke.pitch - LOW
            yield _FOR + stroke.length


def to_score(tokens: Sequence[int], parts: Sequence[Part] = (Part("piano"),)) -> Score:
    """The score of what `Grammar` allowed, or `from_score` wrote; `<end>` may be missing. parts: who plays."""
    notes: list[Note] = []
    meters: list[Meter] = []
    tempos: list[Tempo] = []
    bar, length, step, part, loud = -1, 0, 0, 0, 4
    pitch = LOW
    begins, ends = 0, 0  # of the bar, in steps
    chords: list[Chord] = []
    half = 0
    for kind, value in map(kind_of, tokens):
        if kind == "bar":
            bar, begins, step, part, half = bar + 1, ends, 0, 0, 0
            ends = begins + length
        elif kind == "metre":
            length = bar_steps(value)
            ends = begins + length
            meter = Meter(Fraction(begins, STEPS), *METRES[value])
            meters += [] if meters and (meters[-1].beats, meters[-1].unit) == METRES[value] else [meter]
        elif kind == "tempo":
            tempos.append(Tempo(Fraction(begins, STEPS), float(TEMPOS[value])))
        elif kind == "chord" and bar >= 0:
            if not chords or chords[-1].name != _SYMBOLS[value]:
                chords.append(Chord(Fraction(2 * begins + half * length, 2 * STEPS), _SYMBOLS[value]))
            half += 1
        elif kind == "at":
            step, part = value, 0
        elif kind == "loud":
            loud = value
        elif kind == "part":
            part = value
        elif kind == "note":
            pitch = value
        elif kind == "for":
            onset = Fraction(begins + step, STEPS)
            notes.append(Note(onset, pitch, Fraction(value, STEPS), part, LOUDNESS[loud]))
    end = Fraction(ends, STEPS)
    notes = [replace(n, duration=min(n.duration, end - n.onset)) for n in notes]  # nothing sounds on after the last bar
    most = max((n.part for n in notes), default=0)
    played = (*parts, *(Part() for _ in range(most + 1 - len(parts))))
    return Score(
        tuple(notes),
        parts=played,
        tempos=tuple(tempos) or (Tempo(ZERO, UNSAID),),
        meters=tuple(meters) or (Meter(ZERO, 4, 4),),
        chords=tuple(chords),
        length=end,
    )


# --- grammar ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class State:
    """Where a piece stands."""

    last: str = "start"  # kind of the last token
    bars: int = 0
    metre: int = -1
    step: int = -1  # of the bar
    part: int = -1
    pitch: int = 0
    empty: int = 0  # bars without a note, the present one included
    sounding: tuple[tuple[int, int, int], ...] = ()  # (part, pitch, steps from the bar's beginning to its end)
    halves: int = 0  # chords of the bar that were named
    done: bool = False


@dataclass(frozen=True)
class Grammar:
    """A `decoding.Constraint`: notes in order, nothing struck that still sounds, no dead silence, exact bars.

    From every state that it leads to it also leads to the end.
    """

    size: int  # of the vocabulary
    bars: int  # exactly so many
    parts: int = 1
    metre: int = -1  # in METRES; -1: whichever, and it may change
    silent_bars: int = 1  # in a row, at most
    chords: bool = False  # whether bars begin with theirs

    def __post_init__(self) -> None:
        if self.bars < 1 or not 1 <= self.parts <= PARTS:
            raise BadRequest(f"{self.bars} bars in {self.parts} parts: at least one bar, 1 to {PARTS} parts")

    def start(self) -> State:
        """See `decoding.Constraint.start`."""
        return State()

    def finished(self, state: State) -> bool:
        """See `decoding.Constraint.finished`."""
        return state.done

    def advance(self, state: State, token: int) -> State:
        """See `decoding.Constraint.advance`."""
        kind, value = kind_of(token)
        state = replace(state, last=kind)
        if kind == "bar":
            length = bar_steps(state.metre) if state.metre >= 0 else 0
            left = tuple((p, n, end - length) for p, n, end in state.sounding if end > length)
            return replace(state, bars=state.bars + 1, step=-1, part=-1, empty=state.empty + 1, sounding=left, halves=0)
        if kind == "metre":
            return replace(state, metre=value)
        if kind == "chord":
            return replace(state, halves=state.halves + 1)
        if kind == "at":
            left = tuple(one for one in state.sounding if one[2] > value)
            return replace(state, step=value, part=-1 if self.parts > 1 else 0, pitch=0, sounding=left)
        if kind == "part":
            return replace(state, part=value, pitch=0)
        if kind == "note":
            return replace(state, pitch=value, empty=0)
        if kind == "for":
            return replace(state, sounding=(*state.sounding, (state.part, state.pitch, state.step + value)))
        return replace(state, done=kind == "end")

    def allowed(self, state: State) -> NDArray[np.bool_]:
        """See `decoding.Constraint.allowed`."""
        found = np.zeros(self.size, dtype=np.bool_)
        last = state.last
        if last == "note":
            found[_FOR : _FOR + len(LENGTHS)] = True
        elif last == "start":
            found[BAR] = True
        elif last in ("at", "loud", "part"):
            self._voices(state, found)
            if last == "at":
                found[_LOUD : _LOUD + len(LOUDNESS)] = True
        else:
            self._onwards(state, found)
        return found

    def _onwards(self, state: State, found: NDArray[np.bool_]) -> None:
        """After a bar line, a metre, a tempo, a chord or a note."""
        if state.last == "bar" and (self.metre < 0 or state.metre < 0):
            found[_METRE : _METRE + len(METRES)] = self.metre < 0
            found[_METRE + max(0, self.metre)] = True
        if state.metre < 0:
            return
        if state.last in ("bar", "metre"):
            found[_TEMPO : _TEMPO + len(TEMPOS)] = True
        if self.chords and state.halves < HALVES:
            found[_CHORD : _CHORD + CHORDS] = True
            return
        if state.last == "for":
            self._voices(state, found)
        if len(state.sounding) < HIGH - LOW:  # so that a key is always free
            found[_AT + state.step + 1 : _AT + bar_steps(state.metre)] = True
        stuck = not found[_AT : _AT + LONGEST_BAR].any()
        if state.empty <= self.silent_bars or stuck:
            found[BAR] = state.bars < self.bars
        if state.empty == 0 or stuck:
            found[LAST] = state.bars == self.bars

    def _voices(self, state: State, found: NDArray[np.bool_]) -> None:
        """Notes above the last one of this part that do not sound, and later parts."""
        if state.part >= 0:
            first = max(LOW, state.pitch + 1)
            found[_NOTE + first - LOW : _NOTE + HIGH + 1 - LOW] = True
            for part, pitch, _ in state.sounding:
                if part == state.part:
                    found[_NOTE + pitch - LOW] = False
        if self.parts > 1 and state.last != "part":
            found[_PART + state.part + 1 : _PART + self.parts] = True
