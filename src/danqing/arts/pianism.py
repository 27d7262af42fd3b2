"""How piano music is written bar by bar: the rules of two hands, drafts side by side, the best of them.

A piece is a list of bars, each the event tokens of its notes (`encode.events`). The model reads the last bars and goes
on (`techniques.decoding.sample`), guided toward its composer, under `events.Grammar` and what hands can hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from danqing.arts import composers
from danqing.arts.composers import Desk
from danqing.artwork.music import ZERO, Key, Meter, Note, Part, Score, Tempo
from danqing.encode import events, theory
from danqing.encode.events import STEPS, Grammar, State, kind_of
from danqing.encode.text import END
from danqing.techniques import decoding
from danqing.training import repertoire

Measure = tuple[int, ...]  # the tokens of a bar's notes
RIGHT, LEFT = 0, 1  # hands: parts of a score
HANDS = (Part("Right hand"), Part("Left hand"))
FINGERS = 5  # notes that one hand holds at once
SPAN = 19  # semitones between the outer notes of a hand
GUIDANCE = 2.5
# Nats a token of piano music that the model has not heard. The likeliest drafts repeat a note bar after bar; the nearer
# to this, the better (after Meister et al. 2023).
TYPICAL = -0.74
LABELLED = 8.0  # what it is worth, in nats a token, that a draft is likelier under its composer than under nobody
DRAFTS = 4
CUT = 2.0  # nats a token that a draft loses which did not come to its last bar
READ = 0.55  # share of the model's context that is filled with what was written before
TRIADS = ({0, 4, 7}, {0, 3, 7})


@dataclass(frozen=True)
class Players:
    """Who plays, and what each of them can."""

    parts: tuple[Part, ...]
    fingers: tuple[int, ...]  # notes that each holds at once
    spans: tuple[int, ...]  # semitones between the outer notes of each
    ranges: tuple[tuple[int, int], ...] = ()  # the lowest and the highest pitch of each; all there are unless given
    chords: bool = False  # whether bars begin with their chords
    guidance: float = 0.0  # toward the label; 0 for a model that has one label
    typical: float = 0.0  # nats a token near which drafts are best; 0: the likelier the better
    tokens: int = 100  # of a bar at most, about
    leap: int = 0  # semitones from one note to the next, for one that plays single notes; 0 for any
    hands: tuple[int, int] = (RIGHT, LEFT)  # whose are the upper and the lower notes of a chord by rule


PIANIST = Players(HANDS, (FINGERS, FINGERS), (SPAN, SPAN), guidance=GUIDANCE, typical=TYPICAL)
Chart = Sequence[tuple[int, ...]]  # of each bar the tokens of its chords


@dataclass(frozen=True)
class Page:
    """What is said of a piece at its head."""

    label: str  # composer or style
    form: str
    metre: int  # in events.METRES
    tempo: float  # quarter notes a minute
    key: Key
    players: Players = PIANIST

    @property
    def bar(self) -> Fraction:
        """Quarter notes."""
        return Fraction(events.bar_steps(self.metre), STEPS)


@dataclass(frozen=True)
class Fixed:
    """A melody note that is there already, in the right hand."""

    bar: int  # of the window
    step: int
    pitch: int
    length: int  # its token


class Place(NamedTuple):
    """Where a passage stands."""

    here: State  # of the grammar
    came: int = 0  # notes of the given melody
    struck: tuple[int, ...] = ()  # pitches, by this hand at this place
    pitch: int = 0  # the last note; 0 for none


@dataclass(frozen=True)
class Passage:
    """A `decoding.Constraint`: the grammar from a state on, what a hand can strike; a melody, chords, where given."""

    grammar: Grammar
    begin: State
    until: int  # bars of the window; a further bar line ends the passage, unless the piece ends there
    melody: tuple[Fixed, ...] = ()
    given: bool = False  # whether the right hand, or the first part, plays the melody and nothing else
    players: Players = PIANIST
    chart: Chart = ()  # of the bars after the first `skipped`; beyond it the model names its chords
    skipped: int = 0
    tones: Sequence[frozenset[int]] = ()  # pitch classes of notes on the beats, for each half of those bars
    last: int = 0  # pitch of the note before
    _never: NDArray[np.bool_] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        kinds = [kind_of(token)[0] for token in range(self.grammar.size)]
        object.__setattr__(self, "_never", np.array([kind in ("tempo", "metre", "loud") for kind in kinds]))

    def start(self) -> Place:
        """See `decoding.Constraint.start`."""
        return Place(self.begin, pitch=self.last)

    def finished(self, state: Place) -> bool:
        """See `decoding.Constraint.finished`."""
        return state.here.done or state.here.bars > self.until

    def advance(self, state: Place, token: int) -> Place:
        """See `decoding.Constraint.advance`."""
        before, here = state.here, self.grammar.advance(state.here, token)
        if before.last == "note":
            came = self.given and before.part == RIGHT
            return Place(here, state.came + came, (*state.struck, before.pitch), before.pitch)
        return Place(here, state.came, () if here.last != "note" else state.struck, state.pitch)

    def allowed(self, state: Place) -> NDArray[np.bool_]:
        """See `decoding.Constraint.allowed`."""
        mask = self.grammar.allowed(state.here) & ~self._never
        if self.given:
            self._with_melody(state.here, state.came, mask)
        here, players = state.here, self.players
        part = max(0, here.part)
        if here.last in ("bar", "metre", "tempo", "chord"):
            self._with_chords(here, mask)
        if players.ranges and not (self.given and part == RIGHT):
            low, high = players.ranges[part]
            mask[events.note_token(events.LOW) : events.note_token(low)] = False
            mask[events.note_token(high) + 1 : events.note_token(events.HIGH) + 1] = False
        if here.last == "at" and not self.given:
            self._in_line(state, mask)
        if state.struck and here.last == "for":
            full = len(state.struck) >= players.fingers[part]
            most = events.LOW - 1 if full else min(events.HIGH, min(state.struck) + players.spans[part])
            mask[events.note_token(most) + 1 : events.note_token(events.HIGH) + 1] = False
        return mask

    def _in_line(self, state: Place, mask: NDArray[np.bool_]) -> None:
        """Where a place begins: no leap beyond what the player likes, on beats the tones given; where any are left."""
        here, first, leap = state.here, events.note_token(events.LOW), self.players.leap
        pitches = np.arange(events.LOW, events.HIGH + 1)
        notes = mask[first : first + len(pitches)]
        bar = here.bars - 1 - self.skipped
        half = events.HALVES * bar + here.step * events.HALVES // events.bar_steps(here.metre)
        if here.step % STEPS == 0 and 0 <= half < len(self.tones):
            fits = notes & np.isin(pitches % 12, list(self.tones[half]))
            notes &= fits if fits.any() else True
        if leap and state.pitch:
            fits = notes & (abs(pitches - state.pitch) <= leap)
            notes &= fits if fits.any() else True

    def _with_chords(self, here: State, mask: NDArray[np.bool_]) -> None:
        """The chord of the chart, where one is due."""
        bar = here.bars - 1 - self.skipped
        if 0 <= bar < len(self.chart) and here.halves < len(self.chart[bar]) and self.players.chords:
            mask[:] = False
            mask[self.chart[bar][here.halves]] = True

    def _with_melody(self, here: State, count: int, mask: NDArray[np.bool_]) -> None:
        """Nothing passes by the melody's next note, and the right hand plays no other."""
        note = self.melody[count] if count < len(self.melody) else None
        first, last = events.note_token(events.LOW), events.note_token(events.HIGH)
        now = note is not None and note.bar == here.bars - 1
        if here.last == "note" and here.part == RIGHT and note is not None:
            mask[:] = False
            mask[note.length] = True
            return
        if here.last == "part" and here.part == RIGHT and note is not None:
            mask[:] = False
            mask[events.note_token(note.pitch)] = True
            return
        if now and note is not None:
            due = here.step == note.step and here.last == "at"
            if due:
                mask[:] = False
                mask[events.part_token(RIGHT)] = True
                return
            mask[events.BAR] = mask[events.LAST] = False
            mask[events.at_token(note.step) + 1 : events.at_token(events.LONGEST_BAR - 1) + 1] = False
        mask[events.part_token(RIGHT)] = False
        if here.part == RIGHT:
            mask[first : last + 1] = False


# --- writing ----------------------------------------------------------------------------------------------------------


@dataclass
class Writer:
    """The model at work on one piece."""

    desk: Desk
    page: Page
    name: str = composers.PIANO  # of the model in the catalog
    silent_bars: int = 0  # in a row that new music may have
    on_beats: Callable[[str], frozenset[int]] | None = None  # pitch classes that stand on beats over a chord of a chart
    opening: bool = True  # whether the first bars are told that they open a piece

    def passages(
        self,
        before: Sequence[Measure],
        count: int,
        left: int = 0,
        melody: Sequence[Sequence[Fixed]] | None = None,
        drafts: int = DRAFTS,
        stage: str = "writing",
        chart: Chart = (),
    ) -> list[tuple[list[Measure], float]]:
        """Drafts of `count` more bars, and how likely, or typical and like its composer, each is in nats a token.

        left: bars to the end of the piece; where it is `count`, the passage ends it. melody: of each new bar, counted
        as bar 0, what the right hand plays. chart: the chords of each new bar.
        """
        model, words = self.desk.model(self.name), self.desk.words(self.name)
        prompt, window = self.read(before, left)
        ends = left == count
        players = self.page.players
        grammar = Grammar(
            len(words),
            len(window) + count + (not ends),
            len(players.parts),
            self.page.metre,
            64 if melody is not None else self.silent_bars,
            players.chords,
        )
        state = grammar.start()
        for token in self._opened(window):
            state = grammar.advance(state, token)
        fixed = tuple(
            replace(note, bar=len(window) + number) for number, own in enumerate(melody or ()) for note in own
        )
        tones = [self.on_beats(events.chord_name(chord)) for bar in chart for chord in bar] if self.on_beats else ()
        pitches = [value for own in window for token in own for kind, value in [kind_of(token)] if kind == "note"]
        rules = Passage(
            grammar,
            state,
            len(window) + count,
            fixed,
            melody is not None,
            players,
            tuple(chart),
            len(window),
            tones,
            pitches[-1] if pitches else 0,
        )
        limit = players.tokens * count
        tell = self.desk.step(stage)
        sampling = decoding.Sampling(temperature=self.desk.request.temperature or 0.95, min_p=0.03)
        guide = players.guidance if words.has(f"<{self.page.label}>") else 0.0
        guided: Any = decoding.Guided(model, guide) if guide else model
        found = decoding.sample(
            guided, prompt, rules, sampling, drafts, self.desk.generator, words.id(END), limit,
            lambda number, own: tell(min(len(own), limit), limit) if number == 0 else None,
        )  # fmt: skip
        usual = players.typical
        likely = [-abs(one.likelihood - usual) if usual else one.likelihood for one in found]
        if guide:  # the label is the first token of the prompt
            rows = [one.tokens for one in found]
            told, untold = (decoding.likelihoods(model, lead, rows) for lead in (prompt, prompt[1:]))
            likely = [value + LABELLED * (a - b) for value, a, b in zip(likely, told, untold, strict=True)]
        return [
            (_measures(one.tokens, count), value - CUT * (not one.finished))
            for one, value in zip(found, likely, strict=True)
        ]

    def read(self, before: Sequence[Measure], left: int = 0) -> tuple[list[int], list[Measure]]:
        """What the model is given: controls, the last bars and the line of the next; and those bars."""
        words, room = self.desk.words(self.name), int(self.desk.model(self.name).config.context * READ)
        window = self._window(before, left, room)
        number, opening = repertoire.key_number(self.page.key), self.opening and len(window) == len(before)
        shown = len(window) + left if left else 0
        prompt = repertoire.head(words, self.page.label, self.page.form, number, opening, shown)
        return [*prompt, *self._opened(window)], window

    def _window(self, before: Sequence[Measure], left: int, most: int) -> list[Measure]:
        """The last bars that are read."""
        size, start = 0, len(before)
        while start and size + len(before[start - 1]) + 1 <= most:
            if left and len(before) - start + 1 + left > repertoire.CLOSING:
                break
            start -= 1
            size += len(before[start]) + 1
        return list(before[start:])

    def _opened(self, window: Sequence[Measure]) -> list[int]:
        """The tokens of these bars and the line of the next."""
        said = [events.metre_token(self.page.metre), events.tempo_token(self.page.tempo)]
        tokens = [events.BAR, *said]
        for measure in window:
            tokens += [*measure, events.BAR]
        return tokens

    def best(self, drafts: Sequence[tuple[list[Measure], float]], worth: Callable[[Score], float]) -> list[Measure]:
        """The draft that is likeliest, its worth added."""
        return max(drafts, key=lambda draft: draft[1] + worth(to_score(draft[0], self.page)))[0]


def _measures(tokens: Sequence[int], count: int) -> list[Measure]:
    """The bars of a passage, those that were not reached empty."""
    found: list[list[int]] = [[]]
    for token in tokens:
        if token == events.BAR:
            found.append([])
        else:
            found[-1].append(token)
    bars = [tuple(own) for own in found[:count]]
    return [*bars, *[()] * (count - len(bars))]


def to_score(measures: Sequence[Measure], page: Page) -> Score:
    """The bars as a score of the page's players, all notes of one loudness."""
    tokens: list[int] = []
    for number, measure in enumerate(measures):
        tokens += [events.BAR, *([events.metre_token(page.metre)] if number == 0 else []), *measure]
    players = page.players
    score = events.to_score(tokens, players.parts)
    notes = [
        note
        for part, (fingers, span) in enumerate(zip(players.fingers, players.spans, strict=True))
        for note in _let_go(score.of(part), fingers, span)
    ]
    return replace(
        score,
        notes=tuple(notes),
        tempos=(Tempo(ZERO, page.tempo),),
        meters=(Meter(ZERO, *events.METRES[page.metre]),),
        keys=(page.key,),
    )


def _let_go(notes: Sequence[Note], fingers: int = FINGERS, reach: int = SPAN) -> list[Note]:
    """The notes of a hand, the older ones let go where it could not hold them and strike what comes."""
    found: list[Note] = []
    down: list[int] = []  # places in `found` of what the hand holds
    for onset, group in groupby(notes, key=lambda note: note.onset):
        struck = list(group)
        down = [i for i in down if found[i].end > onset]
        for i in list(down):
            keys = [note.pitch for note in struck] + [found[i].pitch]
            if len(down) + len(struck) > fingers or max(keys) - min(keys) > reach:
                found[i] = replace(found[i], duration=onset - found[i].onset)
                down.remove(i)
        down += range(len(found), len(found) + len(struck))
        found += struck
    return found


# --- judging ----------------------------------------------------------------------------------------------------------


def worth(page: Page, key: float = 1.5, home: bool = False) -> Callable[[Score], float]:
    """What a draft is worth beside its likelihood, in nats a token: its key, few clusters, gaps and bare repeats.

    key: how much it counts that the key is the one asked for; home: the draft ends the piece.
    """

    def of(score: Score) -> float:
        if not score.notes:
            return -10.0
        ranks = theory.rank_keys(score.notes, ending=False)
        own = next((s for k, s in ranks if repertoire.key_number(k) == repertoire.key_number(page.key)), -1.0)
        total = key * (own - ranks[0][1])
        total -= 2.0 * clusters(score) + 1.0 * silence(score, page) + 0.4 * sameness(score, page)
        total -= 0.05 * max(0.0, leaps(score) - 5)
        if home:
            total += 2.0 * ends_at_home(score, page.key)
        return total

    return of


def clusters(score: Score) -> float:
    """The share of places where three struck notes lie within a tone, or two a semitone apart."""
    crowded = places = 0
    for _, group in groupby(score.notes, key=lambda note: note.onset):
        struck = sorted({note.pitch for note in group})
        places += 1
        crowded += any(b - a == 1 for a, b in pairwise(struck)) or any(
            c - a <= 2 for a, c in zip(struck, struck[2:], strict=False)
        )
    return crowded / max(1, places)


def silence(score: Score, page: Page) -> float:
    """The share of time in which nothing sounds."""
    if not score.notes:
        return 1.0
    covered, reach = ZERO, ZERO
    for note in score.notes:
        covered += max(ZERO, note.end - max(reach, note.onset))
        reach = max(reach, note.end)
    return 1 - float(covered / max(score.length, page.bar))


def sameness(score: Score, page: Page) -> float:
    """The share of bars that say what the bar before said."""
    bars: dict[int, list[tuple[Fraction, int]]] = {}
    for note in score.notes:
        bars.setdefault(int(note.onset / page.bar), []).append((note.onset % page.bar, note.pitch))
    same = sum(bars.get(n) == bars.get(n - 1) for n in range(1, int(score.length / page.bar)))
    return same / max(1, int(score.length / page.bar) - 1)


def leaps(score: Score) -> float:
    """The mean interval of the melody, in semitones."""
    line = theory.skyline(score.of(RIGHT))
    return sum(abs(b.pitch - a.pitch) for a, b in pairwise(line)) / max(1, len(line) - 1)


def ends_at_home(score: Score, key: Key) -> bool:
    """Whether the last sounds are the tonic's triad over the tonic, struck on a beat and held for half of one."""
    tonic = repertoire.key_number(key) % 12
    last = max(note.onset for note in score.notes)
    meter = score.meter_at(last)
    beat = Fraction(12 if meter.unit == 8 and meter.beats > 3 else 4, meter.unit)
    place = (last - meter.onset) % beat
    if place or max(note.duration for note in score.notes if note.onset == last) < beat / 2:
        return False
    sounding = [note for note in score.notes if note.onset == last or note.end > last]
    bass = min(sounding, key=lambda note: note.pitch)
    above = {(note.pitch - tonic) % 12 for note in sounding}
    return bass.pitch % 12 == tonic and any(above <= triad for triad in TRIADS)


def phrased(score: Score, bars: int) -> Score:
    """With loudness: the melody before the rest, beats before what lies between, a rise and a fall in every phrase.

    bars: of a phrase.
    """
    bar = score.meters[0].bar
    span = bar * bars
    tops = {(note.onset, note.pitch) for note in theory.skyline(score.of(RIGHT))}
    notes: list[Note] = []
    for note in score.notes:
        place = float((note.onset % span) / span)
        loud = 64 + 14 * ((note.onset, note.pitch) in tops and note.part == RIGHT)
        loud += round(10 * np.sin(np.pi * place))
        loud += 5 if note.onset % bar == 0 else -3 if note.onset.denominator > 1 else 0
        notes.append(replace(note, velocity=int(np.clip(loud, 20, 112))))
    return replace(score, notes=tuple(notes))
