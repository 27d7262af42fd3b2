"""Single melodies as tokens: key, metre, bar lines, repeats, durations, chord symbols; every sequence decodes.

A tune is written as

    <4/4> <dorian> <on D> <reel> <chords> <pickup 12> <chord 0 m> <+7> <12> … <bar> … <repeat> … <double> <end>

Pitches and chord roots are counted in semitones from the tonic (the one between MIDI 60 and 71), so a tune reads the
same in every key. A note is its pitch, then its length in ticks, 24 to a quarter note; a triplet is three notes of a
length that stands for a third. Bars are exact: a note that sounds on over a bar line is tied. A section ends where a
bar stands as far from its end as the pickup is long, so that whatever follows, the same section once more or the next
one, fits without a gap. `Grammar` says at each place which tokens keep all this, and a tune's range and ending.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from danqing.artwork import pitches
from danqing.artwork.music import ZERO, Chord, Key, Meter, Note, Part, Score, Tempo
from danqing.artwork.pitches import MODES
from danqing.encode.text import END, Characters
from danqing.errors import BadRequest

TICKS = 24  # of a quarter note
METRES = ((2, 4), (3, 4), (4, 4), (3, 8), (6, 8), (9, 8), (12, 8), (3, 2))
KINDS = ("reel", "jig", "hornpipe", "slip jig", "waltz", "march", "polka", "strathspey", "air", "carol")
LENGTHS = (3, 6, 9, 12, 15, 18, 21, 24, 30, 36, 42, 48, 54, 60, 66, 72, 84, 90, 96, 108, 120, 144)  # ticks
THIRDS = (4, 8, 16)  # ticks of a note of a triplet
PICKUPS = (0, 6, 12, 18, 24, 30, 36, 42, 48, 54, 60, 72, 84, 96)  # ticks
BELOW, ABOVE = -12, 24  # semitones from the tonic
QUALITIES = ("", "m", "7", "m7", "dim")
RANGE = (55, 88)  # MIDI: a fiddle in first position and a little more
FIDDLE = 40  # General MIDI

_NAMES = (
    *(f"<{beats}/{unit}>" for beats, unit in METRES),
    *(f"<{mode}>" for mode in MODES),
    *(f"<on {number}>" for number in range(12)),
    *(f"<{kind}>" for kind in KINDS),
    "<chords>",
    "<plain>",
    *(f"<pickup {ticks}>" for ticks in PICKUPS),
    "<bar>",
    "<repeat>",  # the section before is heard twice
    "<double>",  # it is heard once
    "<tie>",  # the note before sounds on
    "<rest>",
    *(f"<{offset:+d}>" for offset in range(BELOW, ABOVE + 1)),
    *(f"<{ticks}>" for ticks in (*LENGTHS, *THIRDS)),
    *(f"<chord {offset} {quality}>" for offset in range(12) for quality in QUALITIES),
)
VOCABULARY = Characters("", _NAMES)
_FLATS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
_SHARPS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def _token(name: str) -> int:
    return VOCABULARY.id(name)


BAR, REPEAT, DOUBLE, TIE, REST = map(_token, ("<bar>", "<repeat>", "<double>", "<tie>", "<rest>"))
PITCH = _token(f"<{BELOW:+d}>") - BELOW  # token of the tonic
LAST = _token(END)
_PITCHES = {PITCH + offset: offset for offset in range(BELOW, ABOVE + 1)}
_LENGTHS = {_token(f"<{ticks}>"): ticks for ticks in (*LENGTHS, *THIRDS)}
_PICKUPS = {_token(f"<pickup {ticks}>"): ticks for ticks in PICKUPS}
_CHORDS = {_token(f"<chord {o} {q}>"): (o, q) for o in range(12) for q in QUALITIES}
_OF_LENGTH = {ticks: token for token, ticks in _LENGTHS.items()}
_OF_CHORD = {value: token for token, value in _CHORDS.items()}


# --- tunes ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """A note, a rest, or the going on of the note before."""

    ticks: int
    pitch: int | None = None  # MIDI; None: a rest, or tied
    tied: bool = False
    chord: str = ""  # a symbol that begins here: "Dm"; "" where none does


@dataclass(frozen=True)
class Section:
    """A part of a tune, a whole number of bars long; it begins with the pickup and ends that much before a bar line."""

    events: tuple[Event, ...]
    repeated: bool = False

    @property
    def ticks(self) -> int:
        """How long it is, heard once."""
        return sum(event.ticks for event in self.events)


@dataclass(frozen=True)
class Tune:
    """A melody with all that its tokens say."""

    beats: int
    unit: int
    key: Key
    sections: tuple[Section, ...]
    pickup: int = 0  # ticks
    kind: str = ""  # one of KINDS, or unknown
    title: str = ""

    @property
    def bar(self) -> int:
        """Ticks in a bar."""
        return bar_ticks(self.beats, self.unit)

    @property
    def tonic(self) -> int:
        """The tonic's pitch, MIDI 60 to 71."""
        return tonic_of(self.key)

    @property
    def has_chords(self) -> bool:
        """Whether chord symbols stand over it."""
        return any(event.chord for section in self.sections for event in section.events)

    @cached_property
    def melody(self) -> list[int]:
        """Its pitches, repeated ones once, heard once through."""
        line = [e.pitch for s in self.sections for e in s.events if e.pitch is not None]
        return [pitch for i, pitch in enumerate(line) if i == 0 or pitch != line[i - 1]]

    def unrolled(self) -> Tune:
        """The same with its repeats written out, in one section."""
        events = [e for s in self.sections for _ in range(1 + s.repeated) for e in s.events]
        return replace(self, sections=(Section(tuple(events)),))


def bar_ticks(beats: int, unit: int) -> int:
    """Ticks in a bar of beats/unit."""
    return 4 * TICKS * beats // unit


def tonic_of(key: Key) -> int:
    """The tonic's pitch between MIDI 60 and 71."""
    return 60 + pitches.pitch_class(key.tonic)


def signature(key: Key) -> int:
    """Sharps of a key, flats counted below 0."""
    return pitches.signature(key.tonic, key.mode)


def chord_code(name: str, tonic: int) -> tuple[int, str] | None:
    """A chord symbol as root above the tonic and the nearest of QUALITIES; bass notes and tensions are left out.

    None for what is no chord ("N", a remark).
    """
    found = re.fullmatch(r"\(?\s*([A-G][#b]?)\s*([majindsugo°ø+b#M0-9-]*(?:/.*)?)\)?", name.strip())
    if not found:
        return None
    root, rest = found[1], found[2].partition("/")[0].strip()
    offset = (pitches.pitch_class(root) - tonic) % 12
    if rest.startswith(("dim", "o", "°", "d", "m7b5", "ø")):
        return offset, "dim"
    if rest.startswith(("maj", "M", "6", "add", "sus", "+", "aug")):
        return offset, ""
    minor = rest.startswith(("m", "-"))
    return offset, ("m" if minor else "") + ("7" if "7" in rest else "")


def chord_name(offset: int, quality: str, key: Key) -> str:
    """A chord symbol in a key, spelled with its signature's kind of accidentals."""
    names = _FLATS if signature(key) < 0 else _SHARPS
    return names[(pitches.pitch_class(key.tonic) + offset) % 12] + quality


# --- tokens -----------------------------------------------------------------------------------------------------------


def prompt(
    beats: int, unit: int, mode: str, tonic: int | None = None, kind: str = "", chords: bool = False
) -> list[int]:
    """What stands before a tune. tonic: pitch class, kind: one of KINDS; both may be unknown.

    Raises BadRequest for a metre, mode or kind that has no token.
    """
    if (beats, unit) not in METRES:
        raise BadRequest(f"a metre of {beats}/{unit} is not known; those that are: {_listed(METRES)}")
    if mode not in MODES:
        raise BadRequest(f"the mode {mode!r} is not known; those that are: {', '.join(MODES)}")
    if kind and kind not in KINDS:
        raise BadRequest(f"tunes of the kind {kind!r} are not known; those that are: {', '.join(KINDS)}")
    names = [f"<{beats}/{unit}>", f"<{mode}>"]
    names += [f"<on {tonic % 12}>"] if tonic is not None else []
    names += [f"<{kind}>"] if kind else []
    return [_token(name) for name in (*names, "<chords>" if chords else "<plain>")]


def _listed(metres: Iterable[tuple[int, int]]) -> str:
    return ", ".join(f"{beats}/{unit}" for beats, unit in metres)


def to_tokens(tune: Tune) -> list[int]:
    """From the pickup to the end, without `prompt`. Raises BadRequest for what has no token or does not fill its bars.

    The tune's chord symbols are written where `has_chords`.
    """
    if tune.pickup not in PICKUPS or tune.pickup >= tune.bar:
        raise BadRequest(f"a pickup of {tune.pickup} ticks has no token; those that have: {PICKUPS}")
    tokens = [_token(f"<pickup {tune.pickup}>")]
    for section in tune.sections:
        if not section.ticks or section.ticks % tune.bar:
            raise BadRequest(f"a section of {section.ticks} ticks has no whole number of bars of {tune.bar}")
        here = 0
        for event in section.events:
            at = (here - tune.pickup) % tune.bar
            tokens += [BAR] if at == 0 and here else []
            if at + event.ticks > tune.bar:
                raise BadRequest(f"a note of {event.ticks} ticks crosses the bar line; it is to be tied there")
            tokens += event_tokens(event, tune.tonic)
            here += event.ticks
        tokens.append(REPEAT if section.repeated else DOUBLE)
    _check_triplets(tokens)
    return [*tokens, LAST]


def event_tokens(event: Event, tonic: int) -> list[int]:
    """A chord symbol, where one stands over it, the sound, its length. Raises BadRequest for what has no token."""
    code = chord_code(event.chord, tonic) if event.chord else None
    head = [_OF_CHORD[code]] if code is not None else []
    length = _OF_LENGTH.get(event.ticks)
    if length is None:
        raise BadRequest(f"a note of {event.ticks} ticks has no token")
    if event.tied or event.pitch is None:
        return [*head, TIE if event.tied else REST, length]
    if not BELOW <= event.pitch - tonic <= ABOVE:
        raise BadRequest(f"MIDI {event.pitch} is too far from the tonic, {tonic}")
    return [*head, PITCH + event.pitch - tonic, length]


def _check_triplets(tokens: Sequence[int]) -> None:
    """Thirds come in threes, with neither a tie, a rest nor a chord symbol between them, inside a bar."""
    left, ticks = 0, 0
    for before, token in itertools.pairwise(tokens):
        length = _LENGTHS.get(token, 0)
        if left and ((length and length != ticks) or token in (BAR, REPEAT, DOUBLE, TIE, REST) or token in _CHORDS):
            raise BadRequest(f"a triplet of {ticks} ticks is broken by {VOCABULARY.token(token)}")
        if length in THIRDS:
            if before in (TIE, REST):
                raise BadRequest("a triplet begins with a tie or a rest")
            left, ticks = (left or 3) - 1, length


def from_tokens(tokens: Sequence[int], key: Key, beats: int, unit: int, kind: str = "", title: str = "") -> Tune:
    """The tune that was written, from its pickup on; what `Grammar` allowed always decodes. `<end>` may be missing."""
    sections: list[Section] = []
    events: list[Event] = []
    pickup, chord, tonic = 0, "", tonic_of(key)
    sound: int | None = None
    tied = False
    for token in tokens:
        if token in _PICKUPS:
            pickup = _PICKUPS[token]
        elif token in _CHORDS:
            chord = chord_name(*_CHORDS[token], key)
        elif token in (TIE, REST) or token in _PITCHES:
            tied, sound = token == TIE, tonic + _PITCHES[token] if token in _PITCHES else None
        elif token in _LENGTHS:
            events.append(Event(_LENGTHS[token], sound, tied, chord))
            chord = ""
        elif token in (REPEAT, DOUBLE):
            sections.append(Section(tuple(events), token == REPEAT))
            events = []
    if events:
        sections.append(Section(tuple(events)))
    return Tune(beats, unit, key, tuple(sections), pickup, kind, title)


# --- scores -----------------------------------------------------------------------------------------------------------


def to_score(tune: Tune, tempo_bpm: float = 112.0) -> Score:
    """One part, repeats written out, tied notes joined. tempo_bpm: quarter notes a minute."""
    notes: list[Note] = []
    chords: list[Chord] = []
    here, name = 0, ""
    for event in tune.unrolled().sections[0].events:
        onset, length = Fraction(here, TICKS), Fraction(event.ticks, TICKS)
        if event.chord and event.chord != name:
            name = event.chord
            chords.append(Chord(onset, name))
        if event.pitch is not None:
            notes.append(Note(onset, event.pitch, length))
        elif event.tied and notes:
            notes[-1] = replace(notes[-1], duration=notes[-1].duration + length)
        here += event.ticks
    return Score(
        notes=tuple(notes),
        parts=(Part("melody", FIDDLE),),
        tempos=(Tempo(ZERO, tempo_bpm),),
        meters=(Meter(ZERO, tune.beats, tune.unit),),
        keys=(tune.key,),
        chords=tuple(chords),
        pickup=Fraction(tune.pickup, TICKS),
        title=tune.title,
        length=Fraction(here, TICKS),
    )


def from_score(score: Score, key: Key | None = None, part: int = 0, rounded: bool = False) -> Tune:
    """One part of a score as a tune in a single section, filled up with a rest to whole bars.

    key: where the score names none. Where notes overlap, the later one ends the earlier, of those that begin at once
    the highest is heard. rounded: times that have no ticks go to the nearest sixteenth. Raises BadRequest for such
    times otherwise, for a metre that is not in METRES and for a key that is unknown.
    """
    key = key or score.key_at(ZERO)
    if key is None:
        raise BadRequest("the score names no key; give one")
    metres = {(m.beats, m.unit) for m in score.meters}
    beats, unit = metres.pop() if len(metres) == 1 else (0, 0)
    beats, unit = {(2, 2): (4, 4), (1, 1): (4, 4)}.get((beats, unit), (beats, unit))
    if (beats, unit) not in METRES:
        raise BadRequest(f"the score's metre changes or is {beats}/{unit}; tunes have one of {_listed(METRES)}")
    bar, pickup = bar_ticks(beats, unit), int(score.pickup * TICKS)
    names = {_ticks(chord.onset, rounded): chord.name for chord in score.chords}
    spans = _line(score, part, rounded)
    end = max((after for _, after, _ in spans), default=0)
    spans.append((end, -(-max(end, 1) // bar) * bar, None)) if end % bar or not end else None
    events: list[Event] = []
    for first, after, pitch in spans:
        for start, stop, tied in _cut(first, after, pickup, bar):
            events.append(
                Event(stop - start, None if tied else pitch, tied and pitch is not None, names.get(start, ""))
            )
    return Tune(beats, unit, replace(key, onset=ZERO), (Section(tuple(events)),), pickup, title=score.title)


def _ticks(time: Fraction, rounded: bool) -> int:
    ticks = time * TICKS
    if ticks.denominator != 1 or (ticks % 3 and ticks % 4):
        if not rounded:
            raise BadRequest(f"quarter {float(time):g} falls on no tick of a tune; round it to sixteenths")
        return round(time * 4) * TICKS // 4
    return int(ticks)


def _line(score: Score, part: int, rounded: bool) -> list[tuple[int, int, int | None]]:
    """(first, after, pitch) without gaps or overlaps, from 0 on."""
    starts: dict[int, Note] = {}
    for note in score.of(part):
        starts[_ticks(note.onset, rounded)] = note  # sorted by pitch within an onset: the highest comes last
    spans: list[tuple[int, int, int | None]] = []
    here = 0
    for i, first in enumerate(onsets := sorted(starts)):
        if first > here:
            spans.append((here, first, None))
        after = max(first + 1, _ticks(starts[first].end, rounded))
        after = min(after, onsets[i + 1]) if i + 1 < len(onsets) else after
        spans.append((first, after, starts[first].pitch))
        here = after
    return spans


def _cut(first: int, after: int, pickup: int, bar: int) -> Iterator[tuple[int, int, bool]]:
    """A span cut at bar lines and into lengths that have tokens: (start, stop, whether it goes on from before)."""
    start = first
    while start < after:
        line = start + bar - (start - pickup) % bar
        left = min(after, line) - start
        known = (*LENGTHS, *THIRDS)
        length = left if left in known else max((n for n in known if n < left), default=left)
        yield start, start + length, start > first
        start += length


# --- grammar ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class State:
    """Where a tune stands."""

    stage: str = "pickup"  # | "event" | "voice" (after a chord) | "length" | "marked" (after a section)
    pickup: int = 0
    at: int = 0  # ticks since the section began
    before: int = 0  # bars of the sections before
    lined: bool = True  # the bar line at this place is written
    what: int = REST  # token of the note that is being written, or was
    sounding: int | None = None  # offset of the last note, None after a rest or before all
    thirds: tuple[int, int] = (0, 0)  # notes that a triplet lacks, and their ticks
    done: bool = False


@dataclass(frozen=True)
class Grammar:
    """A `decoding.Constraint`: every bar exact, every pitch in range, sections of whole phrases, an end on the tonic.

    From every state that it leads to it also leads to the end, so it never meets a dead end. As given it is strict in
    what is asked of new tunes; `Grammar.of` is what a tune that exists keeps.
    """

    bar: int  # ticks
    tonic: int = 62  # MIDI, 60 to 71
    chords: bool = False
    bars: int = 16  # exactly so many are written, repeats counted once
    exact: bool = True  # False: `bars` at most
    phrase: int = 4  # sections are multiples of so many bars, but for the last
    least: int = 4  # bars of a section
    ends_on_tonic: bool = True
    longest_rest: int = 24  # ticks
    low: int = RANGE[0]
    high: int = RANGE[1]
    _cache: dict[State, NDArray[np.bool_]] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.bars < 1 or not self.bar or self.bar % 12:
            raise BadRequest(f"{self.bars} bars of {self.bar} ticks: a tune has a bar or more, of whole eighths")
        if self.low > self.tonic or self.high < self.tonic + 12:
            raise BadRequest(f"the range {self.low} to {self.high} must hold the octave above the tonic, {self.tonic}")

    @classmethod
    def of(cls, tune: Tune) -> Grammar:
        """What a tune that exists keeps: its bars, nothing more."""
        bars = sum(s.ticks for s in tune.sections) // tune.bar
        low, high = tune.tonic + BELOW, tune.tonic + ABOVE
        free = {"phrase": 1, "least": 1, "ends_on_tonic": False, "longest_rest": 144}
        return cls(tune.bar, tune.tonic, True, max(1, bars), False, low=low, high=high, **free)  # type: ignore[arg-type]

    def start(self) -> State:
        """See `decoding.Constraint.start`."""
        return State()

    def finished(self, state: State) -> bool:
        """See `decoding.Constraint.finished`; a tune is whole with `<end>`, which `sample` is given as its end."""
        return state.done

    def advance(self, state: State, token: int) -> State:
        """See `decoding.Constraint.advance`."""
        if token in _PICKUPS:
            return replace(state, stage="event", pickup=_PICKUPS[token])
        if token == BAR:
            return replace(state, lined=True)
        if token in (REPEAT, DOUBLE):
            bars = state.before + state.at // self.bar
            return replace(state, stage="marked", at=0, before=bars, lined=True, thirds=(0, 0), sounding=None)
        if token == LAST:
            return replace(state, done=True)
        if token in _CHORDS:
            return replace(state, stage="voice")
        if token in _LENGTHS:
            return self._lengthened(state, _LENGTHS[token])
        sounding = state.sounding if token == TIE else _PITCHES.get(token)
        return replace(state, stage="length", what=token, sounding=sounding)

    def _lengthened(self, state: State, ticks: int) -> State:
        thirds = (0, 0)
        if ticks in THIRDS:
            left = state.thirds[0] or 3
            thirds = (left - 1, ticks) if left > 1 else (0, 0)
        at = state.at + ticks
        moved = replace(state, stage="event", at=at, thirds=thirds, lined=False)
        return replace(moved, lined=not self._at_line(moved))

    def _at_line(self, state: State) -> bool:
        return (state.at - state.pickup) % self.bar == 0 and state.at > 0 and not state.lined

    def allowed(self, state: State) -> NDArray[np.bool_]:
        """See `decoding.Constraint.allowed`."""
        found = self._cache.get(state)
        if found is None:
            found = np.zeros(len(VOCABULARY), dtype=np.bool_)
            found[list(self._next(state))] = True
            if len(self._cache) > 20_000:
                self._cache.clear()
            self._cache[state] = found
        return found

    def _next(self, state: State) -> Iterator[int]:
        if state.stage == "pickup":
            room = min(TICKS, self.bar) if self.ends_on_tonic else 1  # between the last bar line and the end
            yield from (token for token, ticks in _PICKUPS.items() if ticks <= self.bar - room)
            return
        if state.stage == "length":
            yield from self._next_length(state)
            return
        if state.stage == "marked" and self._may_end(state):
            yield LAST
        if state.stage == "marked" and state.before >= self.bars:
            return
        if state.stage == "event" and self._may_mark(state):
            yield from (REPEAT, DOUBLE)
        if state.stage == "event" and self._at_line(state):
            if state.at < self._left(state):
                yield BAR
            return
        if state.at >= self._left(state):
            return
        if self.chords and state.stage != "voice" and not state.thirds[0]:
            yield from _CHORDS
        yield from self._next_voice(state)

    def _left(self, state: State) -> int:
        """Ticks that this section may have at most."""
        return (self.bars - state.before) * self.bar

    def _may_end(self, state: State) -> bool:
        return state.before == self.bars if self.exact else state.before > 0

    def _may_mark(self, state: State) -> bool:
        bars, over = divmod(state.at, self.bar)
        if over or not bars or state.thirds[0]:
            return False
        left = self.bars - state.before - bars
        return left == 0 or (bars >= self.least and bars % self.phrase == 0 and (left >= self.least or not self.exact))

    def _next_voice(self, state: State) -> Iterator[int]:
        """Pitches, a rest or a tie."""
        last = self.ends_on_tonic and self._left(state) - state.at <= self._close(state)
        if last:  # nothing but this note is left
            yield from (t for t, o in _PITCHES.items() if o % 12 == 0 and self.low <= self.tonic + o <= self.high)
            return
        yield from (t for t, o in _PITCHES.items() if self.low <= self.tonic + o <= self.high)
        rested = state.what == REST and state.at > 0
        if not state.thirds[0] and (not rested or self.longest_rest > TICKS):
            yield REST
        if state.sounding is not None and state.at > 0 and not state.thirds[0]:
            yield TIE

    def _close(self, state: State) -> int:
        """Ticks that the last note has at least: a quarter, as in 19 of 20 tunes, where the bar holds it."""
        return min(TICKS, self.bar - state.pickup)

    def _next_length(self, state: State) -> Iterator[int]:
        if state.thirds[0]:
            yield _token(f"<{state.thirds[1]}>")
            return
        to_line = self.bar - (state.at - state.pickup) % self.bar
        to_end = self._left(state) - state.at
        home = state.sounding is not None and state.sounding % 12 == 0
        for token, ticks in _LENGTHS.items():
            whole = 3 * ticks if ticks in THIRDS else ticks
            if whole > min(to_line, to_end):
                continue
            left = to_end - whole
            if self.ends_on_tonic and (0 < left < self._close(state) or (left == 0 and not home)):
                continue
            if state.what == REST and (ticks > self.longest_rest or ticks in THIRDS):
                continue
            if ticks in THIRDS and (state.what == TIE or (self.ends_on_tonic and left == 0)):
                continue
            yield token
