"""Pop songs for a melody, a bridge and a piano: new ones, songs gone on with, bars written anew, tunes accompanied.

A song has verses (A) and choruses (B): phrases of four or eight bars, each written over chords that the model names or
a chart gives; a letter that comes again is the same bars, and the last bars come home. The model is `recipes.pop`; how
bars are written and chosen: `pianism`. A tune that is accompanied keeps every note: chords are found under it
(`encode.changes`), bridge and piano are written to both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

from danqing.arts import charts, composers, pianism, piano, sources
from danqing.arts.composers import Desk
from danqing.arts.pianism import Measure, Page, Players, Writer
from danqing.arts.piano import AT_ONCE, CLOSE, Reading
from danqing.artwork.music import ZERO, Chord, Key, Note, Part, Score
from danqing.encode import changes, events, theory
from danqing.encode.events import HALVES, STEPS
from danqing.encode.pulse import Placed
from danqing.errors import BadRequest
from danqing.training import pop, repertoire

USUAL_BARS, USUAL_TEMPO = 32, 84.0
TYPICAL = -1.02  # nats a token of songs that the model has not heard, see `pianism.TYPICAL`
METRE = events.METRES.index((4, 4))
MELODY, BRIDGE, PIANO = 0, 1, 2
BAND = Players(
    (Part("Melody", 73), Part("Bridge", 25), Part("Piano", 0)),
    (1, 2, 8), (0, 16, 60), ((57, 84), (48, 88), (33, 88)),
    chords=True, typical=TYPICAL, tokens=140, hands=(MELODY, PIANO),
)  # fmt: skip
# Verses and choruses, by how many phrases there are.
SONGS = {1: "A", 2: "AB", 3: "AAB", 4: "AABA", 5: "AABAB", 6: "AABAAB", 7: "AABAABB", 8: "AABBAABB"}


def new(desk: Desk) -> tuple[Score, ...]:
    """New songs, with a plan and an ending."""
    row = piano.heading(desk, composers.POP)
    key = piano.key_of(desk, row)
    chart = charts.read(desk.request.chart) if desk.request.chart else None
    if chart and not desk.request.key:
        key = chart.key
    tempo = desk.tempo(row.tempo if row and row.tempo and not desk.request.feeling else USUAL_TEMPO)
    page = Page(pop.LABEL, "", METRE, tempo, key, BAND)
    bars = desk.request.bars or USUAL_BARS
    span, plan = planned(bars)
    if chart is None and len(set(plan)) < len(plan):
        desk.note(f"form: {plan}, phrases of {span} bars; letters that come again are the same bars")
    given = chart.tokens(bars) if chart else []

    def draw() -> list[Score]:
        measures = _composed(desk, page, span, plan, bars, given)
        score = pianism.phrased(pianism.to_score(measures, page), span)
        return [replace(_balanced(score), title=f"Song in {page.key}")]

    return tuple(desk.drawn(draw, lambda score: piano.copied(desk, score), "songs"))


def planned(bars: int) -> tuple[int, str]:
    """How many bars a phrase has, and the letters of the phrases: (8, "AABA") for 32."""
    span, plan = piano.planned(bars)
    return span, SONGS[len(plan)]


def _writer(desk: Desk, page: Page) -> Writer:
    return Writer(desk, page, composers.POP, opening=False)


def _composed(
    desk: Desk, page: Page, span: int, plan: str, bars: int, given: Sequence[tuple[int, ...]]
) -> list[Measure]:
    """The bars of a song of this plan; where chords are given, a letter comes again only over the same ones."""
    writer = _writer(desk, page)
    known: dict[tuple[str, tuple[tuple[int, ...], ...]], list[Measure]] = {}
    piece: list[Measure] = []
    close = min(CLOSE, max(1, bars // 4))
    for number, letter in enumerate(plan):
        over = tuple(given[len(piece) : len(piece) + span])
        if (letter, over) not in known:
            stage = f"phrase {number + 1} of {len(plan)}"
            known[letter, over] = _phrase(writer, piece, span, over, stage)
        piece += known[letter, over]
    rest = bars - len(piece)
    if rest:
        piece += _phrase(writer, piece, rest, given[len(piece) : len(piece) + rest], "coda")
    return piano.ended(writer, piece[:-close], close, given[-close:] if given else _cadence(page.key, close))


def _phrase(
    writer: Writer, before: Sequence[Measure], bars: int, chart: Sequence[tuple[int, ...]], stage: str
) -> list[Measure]:
    """A phrase, four bars at a time."""
    found: list[Measure] = []
    while len(found) < bars:
        size = min(AT_ONCE, bars - len(found))
        drafts = writer.passages(
            [*before, *found], size, drafts=6, stage=stage, chart=chart[len(found) : len(found) + size]
        )
        found += writer.best(drafts, _worth(writer.page))
    return found


def _cadence(key: Key, count: int) -> list[tuple[int, ...]]:
    """Chords of the last bars: subdominant and dominant, then home."""
    minor = key.mode == "minor"
    tonic = repertoire.key_number(key) % 12
    names = charts.Chart((("Fm", "G") if minor else ("F", "G"), ("Cm",) if minor else ("C",))).moved(tonic)
    return names.tokens(2)[2 - min(2, count) :]


def _worth(page: Page) -> Callable[[Score], float]:
    """As `pianism.worth`; a song besides has a tune in most bars, and plays the chords that it names."""
    judge = pianism.worth(page, key=2.0)

    def of(score: Score) -> float:
        tune = score.of(MELODY)
        bars = max(1, round(score.length / page.bar))
        sung = len({int(note.onset / page.bar) for note in tune}) / bars
        return judge(score) - 2.0 * max(0.0, 0.9 - sung) + 1.5 * agreement(score) + 0.6 * agreement(score, MELODY)

    return of


def agreement(score: Score, part: int = PIANO) -> float:
    """The share of what a part sounds on beats that is of the chord named there; 0.5 where it is silent."""
    right = count = 0
    for note in score.of(part):
        if note.onset.denominator > 1:
            continue
        name = next((chord.name for chord in reversed(score.chords) if chord.onset <= note.onset), "N")
        if theory.chord_symbol(name) is None:
            continue
        count += 1
        right += note.pitch % 12 in theory.chord_pitches(name)
    return right / count if count else 0.5


def _balanced(score: Score) -> Score:
    """The tune before bridge and piano."""
    less = {BRIDGE: 14, PIANO: 6}
    notes = (replace(note, velocity=max(20, note.velocity - less.get(note.part, 0))) for note in score.notes)
    return replace(score, notes=tuple(notes))


# --- songs that are there ---------------------------------------------------------------------------------------------


def continue_(desk: Desk) -> tuple[Score, ...]:
    """The song as it is, and after it more bars that end it at home."""
    reading = _read(desk)
    count = desk.request.bars or 8
    given = charts.read(desk.request.chart).tokens(count) if desk.request.chart else []
    return piano.gone_on(desk, reading, given, _cadence(reading.writer.page.key, CLOSE))


def infill(desk: Desk) -> tuple[Score, ...]:
    """The song with some bars written anew over the chords that they had; all else stays as it is."""
    return piano.filled(desk, _read(desk), keep_chords=True)


def _read(desk: Desk) -> Reading:
    """The song as the model reads it: melody, bridge, piano, and its chords."""
    source = desk.source
    piano.one_metre(source)
    page = _page(desk, source, source.notes)
    parts = _parts(source)
    band = replace(
        source,
        notes=tuple(replace(n, part=role) for n in source.notes for role in [_role(n.part, parts)] if role >= 0),
        parts=BAND.parts,
        chords=source.chords or theory.find_chords(source, Fraction(2)),
    )
    try:
        bars = repertoire.bars_of(band, [page.key], named=True, chords=True)
    except BadRequest as error:
        raise BadRequest(f"the piece cannot be read as a song: {error}") from None
    return Reading(_writer(desk, page), parts, [bar.tokens for bar in bars])


def _parts(source: Score) -> tuple[int, int, int]:
    """The parts of a piece that hold melody, bridge and piano; one part may be more than one of them."""
    sounding = sources.parts(source)
    tune = sources.melody(source).notes[0].part
    others = sorted((part for part in sounding if part != tune), key=lambda part: len(source.of(part)))
    return tune, others[0] if len(others) > 1 else (others or [tune])[-1], (others or [tune])[-1]


def _role(part: int, parts: tuple[int, int, int]) -> int:
    """Who in the band plays a part's notes; −1 for drums, the bridge for parts beyond three."""
    if part in (parts[MELODY], parts[PIANO]):
        return MELODY if part == parts[MELODY] else PIANO
    return BRIDGE


def _page(desk: Desk, source: Score, notes: Sequence[Note]) -> Page:
    meter = sources.meter(source)
    if (meter.beats, meter.unit) != (4, 4):
        raise BadRequest(f"the piece is in {meter.beats}/{meter.unit}; songs are written in 4/4")
    key = desk.key if desk.request.key else sources.key(source, notes)
    key = replace(key, mode="minor" if repertoire.key_number(key) > 11 else "major")
    return Page(pop.LABEL, "", METRE, source.tempos[0].bpm, key, BAND)


def harmonize(desk: Desk) -> tuple[Score, ...]:
    """A tune with chords, a bridge and a piano; every note of the tune stays."""
    source = desk.source
    melody = sources.melody(source)
    if melody.remark:
        desk.note(melody.remark)
    page = _page(desk, source, melody.notes)
    piano.one_metre(source)
    line = replace(source, notes=tuple(replace(n, part=MELODY, lyric="") for n in melody.notes), parts=BAND.parts)
    given = [piano.fixed(bar.tokens) for bar in repertoire.bars_of(line, [page.key], named=True)]
    early = page.bar - source.pickup if source.pickup else ZERO
    chart = _chords(desk, melody.notes, page.key, early, len(given))

    def draw() -> list[Score]:
        writer = _writer(desk, page)
        piece: list[Measure] = []
        while len(piece) < len(given):
            size, left = min(AT_ONCE, len(given) - len(piece)), len(given) - len(piece)
            here = slice(len(piece), len(piece) + size)
            drafts = writer.passages(piece, size, left, given[here], stage="accompaniment", chart=chart[here])
            piece += writer.best(drafts, _worth(page))
        score = _balanced(pianism.phrased(pianism.to_score(piece, page), 4))
        new = [replace(n, onset=n.onset - early) for n in score.notes if n.part != MELODY and n.onset >= early]
        tune = [replace(note, part=MELODY) for note in melody.notes]
        chords = tuple(Chord(max(ZERO, chord.onset - early), chord.name) for chord in score.chords)
        part = source.parts[melody.notes[0].part]
        whole = replace(source, notes=(*tune, *new), parts=(part, *BAND.parts[1:]), chords=chords, length=source.length)
        return [replace(whole, composer="")]

    return tuple(desk.with_tempo(score) for score in desk.drawn(draw, lambda score: False, "settings"))


def _chords(desk: Desk, melody: Sequence[Note], key: Key, early: Fraction, bars: int) -> list[tuple[int, ...]]:
    """Of each bar the tokens of its chords: the chart's, or those found under the tune."""
    if desk.request.chart:
        return charts.read(desk.request.chart).tokens(bars)
    placed = [Placed(round((n.onset + early) * STEPS), n.pitch, max(1, round(n.duration * STEPS))) for n in melody]
    names = changes.under(placed, key)
    names += [names[-1]] * (HALVES * bars - len(names))
    tokens = [events.chord_token(name) for name in names]
    return [tuple(tokens[HALVES * i : HALVES * (i + 1)]) for i in range(bars)]
