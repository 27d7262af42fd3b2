"""Folk tunes, one voice with chord symbols: new, gone on with, with bars written anew.

A tune is written token by token (`techniques.decoding.sample`) under `encode.tunes.Grammar`, which keeps its bars, its
range and its last note; of several drafts side by side the most typical is kept, and its last bars are written anew.
New tunes have sections that come twice: AABB.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from danqing.arts import composers, sources
from danqing.arts.compose import MOODS, STYLES, bar_length, read_metre
from danqing.arts.composers import Desk
from danqing.artwork import pitches
from danqing.artwork.music import Chord, Key, Note, Score
from danqing.encode import tunes
from danqing.encode.text import END
from danqing.encode.tunes import BAR, DOUBLE, LAST, REPEAT, TICKS, TIE, VOCABULARY, Grammar, State, Tune
from danqing.errors import BadRequest
from danqing.techniques import decoding

DRAFTS = 6
# Nats a token of tunes that the model has not heard. The likeliest drafts go round in one bar; the nearer to this, the
# better (after Meister et al. 2023).
TYPICAL = -0.62
BEST = 2  # of the drafts are ended; the second is for where the first is a copy
CLOSE = 2  # bars that are written to end a tune
ENDINGS = 12  # drafts of them
HOME = 0.5  # nats a token that an ending gains for the tonic's chord at last, and for a last note on a strong beat
BARE = 0.5  # nats a token that a draft without chord symbols loses; with some, for the share of bars that have none
USUAL_BARS = 32  # sixteen, each section heard twice
TEMPOS = {"jig": 168.0, "slip-jig": 168.0, "reel": 180.0, "polka": 132.0, "hornpipe": 160.0, "waltz": 138.0,
          "march": 112.0, "strathspey": 120.0, "air": 84.0, "carol": 96.0, "": 120.0}  # fmt: skip
TOKENS_A_BAR = 40  # at most, about
CHORDS = {VOCABULARY.id(f"<chord {root} {quality}>"): root for root in range(12) for quality in tunes.QUALITIES}
NAMES = np.isin(np.arange(len(VOCABULARY)), list(CHORDS))
LENGTHS = {VOCABULARY.id(f"<{ticks}>"): ticks for ticks in (*tunes.LENGTHS, *tunes.THIRDS)}


@dataclass(frozen=True)
class Within:
    """A grammar from a state on, without some tokens, until a place: for passages of tunes that are there."""

    grammar: Grammar
    begin: State
    banned: frozenset[int] = frozenset()
    until: int = 0  # ticks since the section began at which all is written; 0: the grammar says
    first: frozenset[int] = frozenset()  # tokens that may not come first
    strong: int = 1  # ticks from one place to the next where a last note begins well
    named: bool = False  # whether a chord symbol stands over the first whole bar; a tune that begins with none has none
    _masks: dict[State, NDArray[np.bool_]] = field(default_factory=dict, compare=False, repr=False)

    def start(self) -> State:
        """See `decoding.Constraint.start`."""
        return self.begin

    def allowed(self, state: State) -> NDArray[np.bool_]:
        """See `decoding.Constraint.allowed`."""
        if state not in self._masks:
            mask = self.grammar.allowed(state).copy()
            mask[list(self.banned)] = False
            if state == self.begin:
                mask[list(self.first)] = False
            if self.named and state.before == 0 and state.at == state.pickup and (mask & NAMES).any():
                mask &= NAMES
            if self.until and state.stage == "length":
                for token, ticks in LENGTHS.items():
                    whole = ticks * ((state.thirds[0] or 3) if ticks in tunes.THIRDS else 1)
                    mask[token] &= whole <= self.until - state.at
            self._masks[state] = mask
        return self._masks[state]

    def advance(self, state: State, token: int) -> State:
        """See `decoding.Constraint.advance`."""
        return self.grammar.advance(state, token)

    def finished(self, state: State) -> bool:
        """See `decoding.Constraint.finished`."""
        if self.until:
            return state.stage == "event" and state.at >= self.until
        return self.grammar.finished(state)


# --- new tunes --------------------------------------------------------------------------------------------------------


def new(desk: Desk) -> tuple[Score, ...]:
    """New tunes; of 32 bars, 48 or 64 each section comes twice."""
    request = desk.request
    kind = request.kind or _suits(desk)
    kinds = STYLES["folk"].kinds
    metre = read_metre(
        request.metre or desk.chosen(kinds[kind] if kind not in ("", "air", "carol") else ("4/4", "3/4", "6/8"))
    )
    key = desk.key
    bars = request.bars or USUAL_BARS
    twice = bars >= 32 and bars % 16 == 0
    written = bars // 2 if twice else bars
    tonic = pitches.pitch_class(key.tonic)
    prompt = tunes.prompt(*metre, key.mode, tonic, kind.replace("-", " "), True)
    bar = int(bar_length(metre) * TICKS)
    phrase = 8 if written % 8 == 0 else 4
    grammar = Grammar(bar, tunes.tonic_of(key), True, written, phrase=phrase, least=min(phrase, written))
    rules = Within(
        grammar, grammar.start(), frozenset({DOUBLE if twice else REPEAT}), strong=_strong(*metre), named=True
    )
    tempo = desk.tempo(TEMPOS[kind])

    def draw() -> list[Score]:
        found = []
        for tokens in _written(desk, prompt, rules, written)[:BEST]:
            tune = tunes.from_tokens(_ended(desk, prompt, rules, tokens), key, *metre, kind.replace("-", " "))
            found.append(_titled(tunes.to_score(tune, tempo), kind, key))
        return found

    def copied(score: Score) -> bool:
        return desk.copied(score.notes, score.meters[0].bar) is not None

    return tuple(desk.drawn(draw, copied, "tunes"))


def _suits(desk: Desk) -> str:
    """A kind of tune that suits the mood, and the metre where one was given."""
    kinds, metre = STYLES["folk"].kinds, desk.request.metre
    if desk.request.feeling:
        kind = MOODS[desk.request.feeling][2]
        return kind if not metre or metre in kinds[kind] else "air"
    fits = [kind for kind in ("reel", "jig", "hornpipe", "waltz") if not metre or metre in kinds[kind]]
    return desk.chosen(fits) if fits else "air"


def _titled(score: Score, kind: str, key: Key) -> Score:
    return replace(score, title=f"{(kind or 'tune').replace('-', ' ').capitalize()} in {key}")


def _written(desk: Desk, prompt: Sequence[int], rules: Within, bars: int) -> list[tuple[int, ...]]:
    """The tokens of several drafts, the most typical first."""
    drafts = _drafts(desk, prompt, rules, bars, DRAFTS)

    def worth(draft: decoding.Sample) -> float:
        return -abs(draft.likelihood - TYPICAL) - BARE * rules.grammar.chords * _bare(draft.tokens)

    return [draft.tokens for draft in sorted(drafts, key=worth, reverse=True)]


def _drafts(desk: Desk, prompt: Sequence[int], rules: Within, bars: int, count: int) -> list[decoding.Sample]:
    """Those of `count` drafts that came to their end."""
    sampling = decoding.Sampling(temperature=desk.request.temperature or 0.95, min_p=0.03)
    limit = TOKENS_A_BAR * bars
    tell = desk.step("writing")
    drafts = decoding.sample(
        desk.model(composers.FOLK), prompt, rules, sampling, count, desk.generator, VOCABULARY.id(END), limit,
        lambda number, tokens: tell(min(len(tokens), limit), limit) if number == 0 else None,
    )  # fmt: skip
    return [draft for draft in drafts if draft.finished]


def _strong(beats: int, unit: int) -> int:
    """Ticks between strong places: the bar in threes, a group of three eighths, else half a bar."""
    bar = tunes.bar_ticks(beats, unit)
    if beats == 3:
        return bar
    return 3 * TICKS // 2 if unit == 8 else bar // 2


def _bare(tokens: Sequence[int]) -> float:
    """The share of bars without a chord symbol."""
    bars: list[list[bool]] = [[]]
    for token in tokens:
        bars[-1].append(token in CHORDS)
        bars += [[]] if token == BAR else []
    return 1 - sum(map(any, bars)) / len(bars)


def _ended(desk: Desk, prompt: Sequence[int], rules: Within, tokens: Sequence[int]) -> tuple[int, ...]:
    """A draft, its last bars written anew: as the likeliest of ENDINGS drafts, and the tonic's chord last.

    Who writes a tune from its beginning does not know when it ends; that its last note is the tonic is a rule that the
    bars before it know nothing of.
    """
    lines = [place + 1 for place, token in enumerate(tokens) if token == BAR]
    if len(lines) < CLOSE:
        return tuple(tokens)
    head = tuple(tokens[: lines[-CLOSE]])
    state = rules.start()
    for token in head:
        state = rules.advance(state, token)
    drafts = _drafts(desk, [*prompt, *head], replace(rules, begin=state, first=frozenset()), CLOSE, ENDINGS)

    def worth(draft: decoding.Sample) -> float:
        place, at, chord = state, state.at, -1
        for token in draft.tokens:
            place, chord = rules.advance(place, token), CHORDS.get(token, chord)
            at = place.at if place.stage == "length" and place.what != TIE else at
        strong = (at - place.pickup) % rules.strong == 0
        return draft.likelihood + HOME * ((chord == 0) + strong)

    return (*head, *max(drafts, key=worth).tokens) if drafts else tuple(tokens)


# --- tunes that are there ---------------------------------------------------------------------------------------------


def continue_(desk: Desk) -> tuple[Score, ...]:
    """The tune, and after it more bars that end it on its tonic."""
    source, line = _single(desk)
    bars = desk.request.bars or 8
    end = max(note.end for note in line)
    tune, key, shift = _tune(desk, source, line)
    past = _ticks(end)
    total = -(-past // tune.bar) + bars
    grammar = _grammar(tune, key, total)
    prompt, state = _before(desk, tune, grammar, past)
    begin, strong = replace(state, sounding=None), _strong(tune.beats, tune.unit)
    rules = Within(grammar, begin, frozenset({REPEAT}), first=frozenset({TIE}), strong=strong)

    def draw() -> list[Score]:
        found = []
        for tokens in _written(desk, prompt, rules, bars)[:BEST]:
            notes, chords = _heard(_ended(desk, prompt, rules, tokens), tune, past)
            stop = Fraction(total * tune.bar, TICKS)
            names = (*(c for c in source.chords if c.onset < end), *chords)
            found.append(
                replace(source, notes=(*source.notes, *_played(notes, line, shift)), chords=names, length=stop)
            )
        return found

    def copied(score: Score) -> bool:
        return desk.copied(score.notes, sources.meter(source).bar, since=end) is not None

    made = desk.drawn(draw, copied, "continuations")
    return tuple(desk.with_tempo(replace(score, title=score.title or f"Tune in {key}")) for score in made)


def infill(desk: Desk) -> tuple[Score, ...]:
    """The tune with the notes that lie wholly inside some bars written anew; every other note stays as it is.

    The model knows what comes before; of the drafts the one is kept after which what follows is likeliest.
    """
    source, line = _single(desk)
    start, stop = sources.bar_span(source, *desk.request.range)
    kept = tuple(note for note in line if note.onset < start or note.end > stop)
    before = [note for note in kept if note.onset < start]
    after = [note for note in kept if note.onset >= start]
    start = max([start, *(note.end for note in before)])
    stop = min([stop, *(note.onset for note in after)])
    first, until = _ticks(start), _ticks(stop, up=False)
    if until - first < TICKS // 2:
        raise BadRequest(
            f"--bars-range is {desk.request.bars_range}, and notes from outside sound through all of it; give more bars"
        )
    tune, key, shift = _tune(desk, source, line)
    bars = -(-(until - first) // tune.bar)
    grammar = _grammar(tune, key, -(-until // tune.bar) + bool(after or until % tune.bar))
    grammar = replace(grammar, ends_on_tonic=not (after or until % tune.bar))
    prompt, state = _before(desk, tune, grammar, first)
    never = frozenset({REPEAT, DOUBLE, LAST})
    rules = Within(grammar, replace(state, sounding=None), never, until, frozenset({TIE}))

    def draw() -> list[Score]:
        found = []
        for tokens in _written(desk, prompt, rules, bars):
            notes, _ = _heard(tokens, tune, first)
            found.append(source.with_notes((*kept, *_played(notes, line, shift))))
        return sorted(found, key=lambda score: -_fit(desk, score, key))

    def copied(score: Score) -> bool:
        return desk.copied(score.between(start, stop), sources.meter(source).bar) is not None

    return tuple(desk.with_tempo(score) for score in desk.drawn(draw, copied, "fillings"))


def _single(desk: Desk) -> tuple[Score, sources.Line]:
    """The piece and its one line. Raises BadRequest where it has more."""
    lines = sources.voices(desk.source)
    if len(lines) != 1:
        raise BadRequest(
            f"--style folk is for one voice and the piece has {len(lines)}; use --style chorale, or give its melody"
        )
    return desk.source, lines[0]


def _ticks(time: Fraction, up: bool = True) -> int:
    """The sixteenth at a time or, where it lies between two, the one after (or before)."""
    quarters = time * 4
    whole = -(-quarters // 1) if up else quarters // 1
    return int(whole) * TICKS // 4


def _tune(desk: Desk, source: Score, line: sources.Line) -> tuple[Tune, Key, int]:
    """What the model reads of a piece: one section, sixteenths, whole bars; and by how many octaves it was moved."""
    key = desk.key if desk.request.key else sources.key(source, line)
    plain = Score(line, source.parts, meters=(sources.meter(source),), keys=(key,), chords=source.chords,
                  pickup=source.pickup)  # fmt: skip
    shift = 12 * round((tunes.tonic_of(key) + 5 - np.median([note.pitch for note in line])) / 12)
    low, high = tunes.tonic_of(key) + tunes.BELOW, tunes.tonic_of(key) + tunes.ABOVE
    fits = [replace(n, pitch=int(np.clip(n.pitch + shift, low, high))) for n in plain.notes]
    try:
        return tunes.from_score(plain.with_notes(fits), key, line[0].part, rounded=True), key, shift
    except BadRequest as error:
        raise BadRequest(f"{error}; give a tune in one metre, or --style chorale") from None


def _grammar(tune: Tune, key: Key, bars: int) -> Grammar:
    tonic = tunes.tonic_of(key)
    low, high = tunes.RANGE
    return Grammar(
        tune.bar, tonic, tune.has_chords, bars, phrase=1, least=1, low=min(low, tonic), high=max(high, tonic + 12)
    )


def _before(desk: Desk, tune: Tune, grammar: Grammar, ticks: int) -> tuple[list[int], State]:
    """The controls and what is read of the tune up to a place, and the grammar's state there."""
    pickup = tune.pickup if tune.pickup in tunes.PICKUPS else 0
    events, here = [], 0
    for event in tune.sections[0].events:
        if here + event.ticks > ticks:
            break
        events.append(event)
        here += event.ticks
    part = replace(tune, pickup=pickup, sections=(tunes.Section(tuple(events)),))
    tokens = _readable(part)
    kind = desk.request.kind.replace("-", " ")
    prompt = tunes.prompt(
        tune.beats, tune.unit, tune.key.mode, pitches.pitch_class(tune.key.tonic), kind, tune.has_chords
    )
    state = State("event", pickup, ticks, 0, False, tunes.REST if not events else tunes.PITCH)
    at_line = (ticks - pickup) % tune.bar == 0 and ticks > 0
    return [*prompt, *tokens], replace(state, lined=not at_line)


def _readable(tune: Tune) -> list[int]:
    """The tokens of a part of a tune, which may end in the middle of a bar; notes without a token are passed over."""
    tokens = [VOCABULARY.id(f"<pickup {tune.pickup}>")]
    here = 0
    for event in tune.sections[0].events:
        if (here - tune.pickup) % tune.bar == 0 and here:
            tokens.append(tunes.BAR)
        with contextlib.suppress(BadRequest):
            tokens += tunes.event_tokens(event, tune.tonic)
        here += event.ticks
    return tokens


def _heard(tokens: Iterable[int], tune: Tune, ticks: int) -> tuple[list[Note], list[Chord]]:
    """The notes and chord symbols of what was written from a place on, in the piece's own octave."""
    written = tunes.to_score(tunes.from_tokens(list(tokens), tune.key, tune.beats, tune.unit))
    move = Fraction(ticks, TICKS)
    notes = [replace(note, onset=note.onset + move) for note in written.notes]
    return notes, [replace(chord, onset=chord.onset + move) for chord in written.chords]


def _played(notes: Iterable[Note], line: sources.Line, shift: int) -> list[Note]:
    """New notes for the part that the line is of, moved back by `shift`, as loud as the line is."""
    last = line[-1]
    moved = ((note, min(127, max(0, note.pitch - shift))) for note in notes)
    return [replace(note, pitch=pitch, part=last.part, velocity=last.velocity) for note, pitch in moved]


def _fit(desk: Desk, score: Score, key: Key) -> float:
    """How likely the whole tune is, in nats a token."""
    from danqing.training import language
    from danqing.training.texts import Sample

    line = sources.voices(score)[0]
    tune, _, _ = _tune(desk, score, line)
    tokens = [*tunes.prompt(tune.beats, tune.unit, key.mode, pitches.pitch_class(key.tonic)), *_readable(tune)]
    model = desk.model(composers.FOLK)
    tokens = tokens[: model.config.context + 1]
    return -language.score(model, [Sample(tokens, [1.0] * (len(tokens) - 1))]).nats
