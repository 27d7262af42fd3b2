"""Piano music after a composer: new pieces, pieces gone on with, bars written anew, melodies set for two hands.

New pieces have a plan, AABA or ABA, AABB in rags and Scarlatti: a phrase that comes again is the same bars, and the
last bars are written to end at home. How bars are written and chosen: `pianism`. A melody that is set keeps every note;
the model writes the left hand to it, bar by bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from danqing.arts import composers, pianism, sources
from danqing.arts.compose import MOODS, STYLES, read_metre
from danqing.arts.composers import Desk
from danqing.arts.pianism import HANDS, LEFT, RIGHT, Chart, Fixed, Measure, Page, Writer
from danqing.artwork import engraving
from danqing.artwork.music import ZERO, Key, Note, Part, Score
from danqing.encode import events, theory
from danqing.errors import BadRequest
from danqing.training import repertoire

USUAL_BARS = 24
# Quarter notes a minute of pieces that do not say.
TEMPOS = {"polonaise": 96.0, "etude": 126.0, "ballade": 100.0, "scherzo": 176.0, "march": 108.0, "waltz": 160.0,
          "nocturne": 72.0, "mazurka": 126.0, "prelude": 92.0, "rag": 84.0, "sonata": 116.0}  # fmt: skip
USUAL_TEMPO = 112.0
COMMON = ("4/4", "3/4", "2/4", "6/8")  # metres of pieces of which nothing is known
ALIKE = {1: "A", 2: "AB", 3: "ABA", 4: "AABA", 5: "ABACA", 6: "AABABA", 7: "AABACAA", 8: "AABACABA"}
PAIRED = {2: "AB", 3: "AAB", 4: "AABB", 5: "AABBA", 6: "AABBCC", 7: "AABBACC", 8: "AABBACCA"}  # strains come twice
CLOSE = 2  # bars that are written to end a piece
ENDINGS = 6  # drafts of them
AT_ONCE = 4  # bars that are written in one go, where a choice is made after each


# --- new pieces -------------------------------------------------------------------------------------------------------


def new(desk: Desk) -> tuple[Score, ...]:
    """New pieces, with a plan and an ending."""
    page = _asked(desk)
    bars = desk.request.bars or USUAL_BARS
    span, plan = planned(bars, paired=page.label in ("joplin", "scarlatti"))
    if len(set(plan)) < len(plan):
        desk.note(f"form: {plan}, phrases of {span} bars; letters that come again are the same bars")

    def draw() -> list[Score]:
        measures = composed(desk, page, span, plan, bars)
        score = pianism.phrased(pianism.to_score(measures, page), span)
        name = (page.form or "piece").capitalize()
        return [replace(score, title=f"{name} in {page.key}", composer=f"after {page.label.capitalize()}")]

    return tuple(desk.drawn(draw, lambda score: copied(desk, score), "pieces"))


def planned(bars: int, paired: bool = False) -> tuple[int, str]:
    """How many bars a phrase has, and the plan of phrases that fill the piece, or nearly: (8, "AABA") for 32."""
    span = 8 if bars >= 24 and bars % 8 == 0 else 4 if bars >= 8 else bars
    count = min(8, bars // span)
    return span, (PAIRED if paired and count > 1 else ALIKE)[count]


def _asked(desk: Desk) -> Page:
    """What the request says of the piece; the rest as one of the composer's own pieces has it, by chance."""
    request, label, kinds = desk.request, desk.manner, STYLES[desk.manner].kinds
    row = heading(desk, composers.PIANO)
    form = row.form if row else request.kind or desk.chosen(tuple(kinds))
    if request.metre or row is None:
        metre = read_metre(request.metre or desk.chosen([m for m in kinds[form] if m in COMMON] or kinds[form]))
    else:
        metre = events.METRES[row.metre]
    # A mood says how fast, by the usual tempo of the form and not by what one piece happened to have.
    usual = row.tempo if row and not request.feeling else 0.0
    return Page(
        label, form, events.METRES.index(metre), desk.tempo(usual or TEMPOS.get(form, USUAL_TEMPO)), key_of(desk, row)
    )


def heading(desk: Desk, name: str) -> repertoire.Heading | None:
    """How one of the pieces in this style begins that a model learned from: one as near to the request as there are.

    None where it learned from none of the kind that was asked for.
    """
    request, mode = desk.request, _mode(desk)
    metre = read_metre(request.metre) if request.metre else None
    known = desk.headings(name)
    label = desk.manner if any(row.label == desk.manner for row in known) else ""  # a person's own say no composer
    rows = [row for row in known if row.label == label and request.kind in ("", row.form)]
    for fits in (
        lambda row: not metre or events.METRES[row.metre] == metre,
        lambda row: not mode or row.mode == mode,
    ):
        rows = list(filter(fits, rows)) or rows
    return desk.chosen(rows) if rows else None


def key_of(desk: Desk, row: repertoire.Heading | None) -> Key:
    """The key that was asked for; that of a heading, unless the mood wants the other mode."""
    return desk.key if row is None or desk.request.key or _mode(desk) not in ("", row.mode) else row.named


def _mode(desk: Desk) -> str:
    """The mode that was asked for, by key or mood; "" where either will do."""
    if desk.request.key:
        return desk.key.mode
    return MOODS[desk.request.feeling][0] if desk.request.feeling else ""


def composed(desk: Desk, page: Page, span: int, plan: str, bars: int) -> list[Measure]:
    """The bars of a piece of this plan; what the plan leaves over is written on."""
    writer = Writer(desk, page)
    known: dict[str, list[Measure]] = {}
    piece: list[Measure] = []
    close = min(CLOSE, max(1, bars // 4))
    for number, letter in enumerate(plan):
        if letter not in known:
            judge = pianism.worth(page, key=2.0 if letter == "A" else 0.7)
            stage = f"phrase {number + 1} of {len(plan)}"
            known[letter] = writer.best(writer.passages(piece, span, stage=stage), judge)
        piece += known[letter]
    rest = bars - len(piece)
    if rest:
        piece += writer.best(writer.passages(piece, rest, stage="coda"), pianism.worth(page))
    return ended(writer, piece[:-close], close)


def ended(writer: Writer, before: Sequence[Measure], count: int, chart: Chart = ()) -> list[Measure]:
    """The piece with bars that end it on its tonic; where no draft does, its last bar is a chord by rule."""
    drafts = writer.passages(before, count, left=count, drafts=ENDINGS, stage="ending", chart=chart)
    best = writer.best(drafts, pianism.worth(writer.page, home=True))
    score = pianism.to_score(best, writer.page)
    if score.notes and pianism.ends_at_home(score, writer.page.key):
        return [*before, *best]
    last = [note.pitch for note in score.of(RIGHT)][-1:] or [72]
    return [*released([*before, *best[:-1]], writer.page), final(writer.page, last[0])]


def released(measures: Sequence[Measure], page: Page) -> list[Measure]:
    """The bars with every note let go at the end of the last of them."""
    found = []
    for number, measure in enumerate(measures):
        room, step = (len(measures) - number) * events.bar_steps(page.metre), 0
        tokens = []
        for token in measure:
            kind, value = events.kind_of(token)
            step = value if kind == "at" else step
            over = kind == "for" and value > room - step
            most = max(length for length in events.LENGTHS if length <= room - step)
            tokens.append(events.length_token(most) if over else token)
        found.append(tuple(tokens))
    return found


def final(page: Page, near: int) -> Measure:
    """A bar with the tonic chord, its top near a pitch."""
    tonic = repertoire.key_number(page.key) % 12
    third = 3 if page.key.mode == "minor" else 4
    bass = 36 + (tonic - 36) % 12
    tops = [p for p in range(60, 85) if (p - tonic) % 12 in (0, third, 7)]
    top = min(tops, key=lambda pitch: (abs(pitch - near), pitch))
    right = sorted(p for p in range(top - 9, top + 1) if (p - tonic) % 12 in (0, third, 7))[-3:]
    length = events.length_token(max(n for n in events.LENGTHS if n <= events.bar_steps(page.metre)))
    upper, lower = page.players.hands
    low = [bass, bass + 12]
    if page.players.fingers[upper] == 1:
        low += [p - 12 for p in right if p - 12 > bass + 12]
        right = [top]
    name = f"{page.key.tonic}{'m' if third == 3 else ''}"
    tokens = [events.chord_token(name)] * events.HALVES if page.players.chords else []
    tokens.append(events.at_token(0))
    for part, pitches in ((upper, right), (lower, low)):
        tokens.append(events.part_token(part))
        for pitch in pitches:
            tokens += [events.note_token(pitch), length]
    return tuple(tokens)


def copied(desk: Desk, score: Score, since: Fraction = ZERO) -> bool:
    """Whether the tune shares more than two bars with one that the models learned from."""
    return desk.copied(theory.skyline(score.of(RIGHT)), score.meters[0].bar, since) is not None


# --- pieces that are there --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """A piece that is there, as a model reads it."""

    writer: Writer
    hands: tuple[int, ...]  # the part of the piece that new notes of each player go to
    measures: Sequence[Measure]


def continue_(desk: Desk) -> tuple[Score, ...]:
    """The piece as it is, and after it more bars that end it at home."""
    return gone_on(desk, _read(desk))


def gone_on(desk: Desk, reading: Reading, chart: Chart = (), close: Chart = ()) -> tuple[Score, ...]:
    """What was read, and after it more bars that end it. chart: chords of those; close: of the last ones."""
    source, page, hands, measures = desk.source, reading.writer.page, reading.hands, reading.measures
    writer = reading.writer
    count = desk.request.bars or 8
    start = source.bars()[-1]

    def draw() -> list[Score]:
        piece, left = list(measures), count
        while left > CLOSE:
            size = min(AT_ONCE, left - CLOSE)
            here = chart[count - left :][:size]
            drafts = writer.passages(piece, size, left, stage="going on", chart=here)
            piece += writer.best(drafts, pianism.worth(page, key=1.0))
            left -= size
        fresh = ended(writer, piece, left, chart[count - left :] or close)[len(measures) :]
        return [joined(source, hands, pianism.phrased(pianism.to_score(fresh, page), 4), start)]

    def known(score: Score) -> bool:
        line = theory.skyline(note for note in score.notes if note.onset >= start)
        return desk.copied(line, page.bar) is not None

    return tuple(desk.with_tempo(score) for score in desk.drawn(draw, known, "continuations"))


def infill(desk: Desk) -> tuple[Score, ...]:
    """The piece with the notes that lie wholly inside some bars written anew; every other note stays as it is.

    The model knows what comes before; of the drafts the one is kept after which what follows is likeliest.
    """
    return filled(desk, _read(desk))


def filled(desk: Desk, reading: Reading, keep_chords: bool = False) -> tuple[Score, ...]:
    """What was read with some bars written anew. keep_chords: over the chords that they had."""
    source, page, hands, measures = desk.source, reading.writer.page, reading.hands, reading.measures
    writer = reading.writer
    first, last = desk.request.range
    start, stop = sources.bar_span(source, first, last)
    first, last = (n - 1 + bool(source.pickup) for n in (first, last))
    kept = [note for note in source.notes if note.onset < start or note.end > stop]

    def draw() -> list[Score]:
        found = []
        chart = [own[: events.HALVES] for own in measures[first : last + 1]] if keep_chords else ()
        for fresh, likelihood in writer.passages(measures[:first], last + 1 - first, stage="filling in", chart=chart):
            after = measures[last + 1 :][:4]
            score = pianism.phrased(pianism.to_score(fresh, page), 4)
            whole = joined(replace(source, notes=tuple(kept)), hands, score, start, stop)
            fits = likelihood + pianism.worth(page)(score) + follows(writer, [*measures[:first], *fresh], after)
            found.append((fits, whole))
        return [score for _, score in sorted(found, key=lambda pair: -pair[0])]

    def known(score: Score) -> bool:
        return desk.copied(theory.skyline(score.between(start, stop)), page.bar) is not None

    return tuple(desk.with_tempo(score) for score in desk.drawn(draw, known, "fillings"))


def harmonize(desk: Desk) -> tuple[Score, ...]:
    """A melody with a left hand in the composer's manner; every note of the melody stays."""
    return _set(desk)


def restyle(desk: Desk) -> tuple[Score, ...]:
    """The melody of a piece with a left hand in another composer's manner."""
    return _set(desk)


def _set(desk: Desk) -> tuple[Score, ...]:
    source = desk.source
    melody = sources.melody(source)
    if melody.remark:
        desk.note(melody.remark)
    own = tuple(replace(note, part=RIGHT, lyric="") for note in melody.notes)
    line = replace(source, notes=own, parts=HANDS)
    page = _page(desk, source, melody.notes)
    given = [fixed(bar.tokens) for bar in repertoire.bars_of(line, [page.key], named=True)]
    if len(given) != len(source.bars()) - 1:
        raise BadRequest("the metre of some bars has no token; give a piece in one metre, such as 4/4, 3/4 or 6/8")
    part = source.parts[melody.notes[0].part]
    early = page.bar - source.pickup if source.pickup else ZERO

    def draw() -> list[Score]:
        writer = Writer(desk, page)
        piece: list[Measure] = []
        while len(piece) < len(given):
            size = min(AT_ONCE, len(given) - len(piece))
            left = len(given) - len(piece)
            drafts = writer.passages(piece, size, left, given[len(piece) : len(piece) + size], stage="left hand")
            piece += writer.best(drafts, pianism.worth(page, key=0.7, home=left == size))
        score = pianism.phrased(pianism.to_score(piece, page), 4)
        new = [note for note in score.notes if note.part == LEFT]
        moved = [replace(n, onset=n.onset - early) for n in new if n.onset >= early]
        tune = [replace(note, part=0) for note in melody.notes]
        whole = replace(source, notes=(*tune, *moved), parts=(part, Part("Left hand")), chords=(), length=source.length)
        return [replace(whole, title=source.title, composer=f"set after {page.label.capitalize()}")]

    return tuple(desk.with_tempo(score) for score in desk.drawn(draw, lambda score: False, "settings"))


def fixed(tokens: Sequence[int]) -> list[Fixed]:
    """The notes of a bar of one line, as they are given to a writer."""
    found, step, pitch = [], 0, 0
    for token in tokens:
        kind, value = events.kind_of(token)
        if kind == "at":
            step = value
        elif kind == "note":
            pitch = value
        elif kind == "for":
            found.append(Fixed(0, step, pitch, token))
    return found


def _page(desk: Desk, source: Score, notes: Sequence[Note]) -> Page:
    """What is said of a piece that is there: its own metre, tempo and key."""
    meter = sources.meter(source)
    if (meter.beats, meter.unit) not in events.METRES:
        known = ", ".join(f"{beats}/{unit}" for beats, unit in events.METRES)
        raise BadRequest(f"the piece is in {meter.beats}/{meter.unit}; piano music is written in {known}")
    key = desk.key if desk.request.key else sources.key(source, notes)
    key = replace(key, mode="minor" if repertoire.key_number(key) > 11 else "major")
    form = desk.request.kind or next(iter(STYLES[desk.manner].kinds), "")
    return Page(desk.manner, form, events.METRES.index((meter.beats, meter.unit)), source.tempos[0].bpm, key)


def one_metre(source: Score) -> None:
    """Raises BadRequest where a piece changes its metre."""
    if len({(m.beats, m.unit) for m in source.meters}) > 1:
        raise BadRequest("the piece changes its metre; one in a single metre is gone on with and filled in")


def _read(desk: Desk) -> Reading:
    """The piece as the model reads it: two hands, and the parts that new notes of each go to."""
    source = desk.source
    page = _page(desk, source, source.notes)
    one_metre(source)
    two, hands = _hands(source)
    try:
        bars = repertoire.bars_of(two, [page.key], named=True)
    except BadRequest as error:
        raise BadRequest(f"the piece is no piano music: {error}") from None
    return Reading(Writer(desk, page), hands, [bar.tokens for bar in bars])


def _hands(source: Score) -> tuple[Score, tuple[int, int]]:
    """The piece in two parts, and the part of it that each hand's new notes go to."""
    parts = sources.parts(source)
    notes = [note for part in parts for note in source.of(part)]
    if len(parts) == 2:
        height = [sum(n.pitch for n in source.of(part)) / len(source.of(part)) for part in parts]
        right, left = (parts[0], parts[1]) if height[0] >= height[1] else (parts[1], parts[0])
        uppers, lowers = source.of(right), source.of(left)
    elif all(a.end <= b.onset for a, b in pairwise(sorted(notes))):
        right, left, uppers, lowers = parts[0], parts[0], tuple(notes), ()
    else:
        right, left = parts[0], parts[-1]
        uppers, lowers = engraving.hands(notes)
    own = [*(replace(n, part=RIGHT) for n in uppers), *(replace(n, part=LEFT) for n in lowers)]
    return replace(source, notes=tuple(own), parts=HANDS), (right, left)


def joined(source: Score, hands: tuple[int, ...], fresh: Score, start: Fraction, stop: Fraction | None = None) -> Score:
    """The piece with new notes from `start` on, none of them beyond `stop` or on a key that is down."""
    old = [(note.pitch, note.onset, note.end) for note in source.notes]
    notes = []
    for note in fresh.notes:
        moved = replace(note, onset=note.onset + start, part=hands[note.part])
        if stop is not None:
            moved = replace(moved, duration=min(moved.duration, stop - moved.onset))
            clash = [o for p, o, e in old if p == note.pitch and o < moved.end and e > moved.onset]
            if any(onset <= moved.onset for onset in clash):
                continue
            if clash:
                moved = replace(moved, duration=min(clash) - moved.onset)
        notes.append(moved)
    length = source.length if stop is not None else start + fresh.length
    return replace(source, notes=(*source.notes, *notes), length=length)


def follows(writer: Writer, before: Sequence[Measure], after: Sequence[Measure]) -> float:
    """How likely what follows is, in nats a token."""
    from danqing.training import language
    from danqing.training.texts import Sample

    if not after:
        return 0.0
    model = writer.desk.model(writer.name)
    head, tail = writer.read(before)[0], [token for measure in after for token in (*measure, events.BAR)]
    tokens = [*head, *tail][: model.config.context + 1]
    weights = [0.0] * (len(head) - 1) + [1.0] * (len(tokens) - len(head))
    score = language.score(model, [Sample(tokens, weights)])
    return -score.nats / max(1, score.count)
