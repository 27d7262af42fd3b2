"""Jazz: a solo over a chart of chords, with a rhythm section.

The model (`recipes.jazz`) is told the chords of each bar and writes the solo four bars at a time, drafts side by side;
of these the one is kept that is likeliest and fits best: chord tones on the beats, room to breathe, no bar twice. The
last bar is one note of the chord. Bass, piano and cymbal play by rule: `rhythm_section`. Charts: `charts`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from danqing.arts import charts, composers, pianism, rhythm_section
from danqing.arts.charts import Chart
from danqing.arts.composers import Desk
from danqing.arts.pianism import Measure, Page, Players, Writer
from danqing.artwork.music import EVEN, ZERO, Key, Note, Part, Score
from danqing.encode import events, theory
from danqing.errors import BadRequest
from danqing.training import jazz, repertoire

METRE = events.METRES.index((4, 4))
USUAL_TEMPOS = (132.0, 152.0, 168.0, 184.0)
LEAP = 9  # semitones between neighbours: the solos that the model learned from leap further in 2 of 100 steps
HOMES = ("C", "D", "Eb", "F", "G", "Ab", "Bb")  # keys that horn players like
AT_ONCE = 4  # bars that are written in one go
DRAFTS = 6
# Who plays the solo: General MIDI program, and the sounding pitches that the horn is written for.
HORNS = {
    "tenor": (Part("Tenor saxophone", 66), (44, 76)),
    "alto": (Part("Alto saxophone", 65), (50, 82)),
    "trumpet": (Part("Trumpet", 56), (53, 82)),
    "clarinet": (Part("Clarinet", 71), (52, 86)),
}
SCALE = 0.6  # how much a note of the chord's scale counts on a beat, a chord tone being 1


def new(desk: Desk) -> tuple[Score, ...]:
    """A solo over the chart that was asked for, or one of ours, with piano, bass and cymbal."""
    chart, key = _asked(desk)
    bars = desk.request.bars or (24 if len(chart.bars) == 12 else 32)
    names = _closing(chart, key, bars) if not desk.request.chart else chart.names(bars)
    tempo = desk.tempo(desk.chosen(USUAL_TEMPOS))

    def draw() -> list[Score]:
        horn = desk.chosen(tuple(HORNS))
        part, reach = HORNS[horn]
        players = Players((part,), (1,), (0,), (reach,), chords=True, tokens=64, leap=LEAP)
        page = Page(jazz.LABEL, horn, METRE, tempo, key, players)
        measures = _improvised(desk, page, names)
        solo = _rested(pianism.to_score(measures, page).notes, names)
        return [_together(desk, page, solo, names)]

    return tuple(desk.drawn(draw, lambda score: _copied(desk, score), "solos"))


def _copied(desk: Desk, score: Score) -> bool:
    return desk.copied(score.of(0), score.meters[0].bar) is not None


def _asked(desk: Desk) -> tuple[Chart, Key]:
    """The chart and its key: as given; else a progression, by name or by chance, in the key asked for."""
    from danqing.arts.compose import read_key

    request = desk.request
    if request.chart:
        chart = charts.read(request.chart)
        return chart, read_key(request.key) if request.key else chart.key
    asked = desk.key
    fits = [name for name, (mode, _) in charts.PROGRESSIONS.items() if mode == asked.mode]
    if request.kind and request.key and request.kind not in fits:
        raise BadRequest(f"--key is {request.key} and jazz:{request.kind} is in {charts.PROGRESSIONS[request.kind][0]}")
    name = request.kind or desk.chosen(fits)
    if not request.key:
        asked = replace(asked, tonic=desk.chosen(HOMES))
    chart, key = charts.progression(name, asked)
    desk.note(f"chart: {name} in {key}, {len(chart.bars)} bars")
    return chart, key


def _closing(chart: Chart, key: Key, bars: int) -> list[tuple[str, ...]]:
    """The chart over so many bars, its last two made to end at home."""
    names = chart.names(bars)
    home = Chart((("Cm6",) if key.mode == "minor" else ("C6",), ("Dm7b5" if key.mode == "minor" else "Dm7", "G7")))
    last, turn = home.moved(repertoire.key_number(key) % 12).bars
    names[-1] = last
    if bars > 2 and len(set(names)) > 2:
        names[-2] = turn
    return names


# --- the solo ---------------------------------------------------------------------------------------------------------


def _improvised(desk: Desk, page: Page, names: Sequence[tuple[str, ...]]) -> list[Measure]:
    """The solo, four bars at a time."""
    writer = Writer(desk, page, composers.JAZZ, silent_bars=1, on_beats=stable, opening=False)
    piece: list[Measure] = []
    while len(piece) < len(names):
        size = min(AT_ONCE, len(names) - len(piece))
        here = names[len(piece) : len(piece) + size]
        stage = f"bars {len(piece) + 1} to {len(piece) + size} of {len(names)}"
        drafts = writer.passages(piece, size, drafts=DRAFTS, stage=stage, chart=[charts.halves(bar) for bar in here])
        piece += writer.best(drafts, _worth(here, page))
    return piece


def stable(name: str) -> frozenset[int]:
    """The pitch classes of a chord's scale, without what rubs against the chord."""
    symbol = theory.chord_symbol(name)
    if symbol is None:
        return frozenset(range(12))
    steps = [s for s in rhythm_section.scale(symbol) if s in symbol.intervals or s - 1 not in symbol.intervals]
    return frozenset((symbol.root + step) % 12 for step in steps)


def _worth(names: Sequence[Sequence[str]], page: Page) -> Callable[[Score], float]:
    """What a draft over these bars is worth beside its likelihood, in nats a token."""

    def of(score: Score) -> float:
        notes = score.of(0)
        if len(notes) < 2 * len(names):
            return -3.0
        gaps = [max(ZERO, b.onset - a.end) for a, b in pairwise(notes)]
        rest = 1 - float(sum(note.duration for note in notes)) / (4 * len(names))
        breath = any(gap >= 1 for gap in gaps) or notes[0].onset >= 1 or score.length - notes[-1].end >= 1
        same = sum(a.pitch == b.pitch for a, b in pairwise(notes)) / len(notes)
        total = 2.5 * _agreement(notes, names) + 0.3 * breath - 2.0 * max(0.0, rest - 0.4)
        total -= 1.0 * same + 0.6 * pianism.sameness(score, page) + 0.1 * max(0.0, pianism.leaps(score) - 3.5)
        return total - 1.0 * (len({note.pitch for note in notes}) < 6)

    return of


def _agreement(notes: Sequence[Note], names: Sequence[Sequence[str]]) -> float:
    """The share of notes on beats, and of long ones, that are of the chord there; those of its scale count less."""
    right = count = 0.0
    for note in notes:
        if note.onset.denominator > 1 and note.duration < 1:
            continue
        weight = float(min(note.duration, Fraction(2)))
        steps = _steps(note, names)
        count += weight
        right += weight * (1.0 if steps[0] else SCALE if steps[1] else 0.0)
    return right / count if count else 0.5


def _steps(note: Note, names: Sequence[Sequence[str]]) -> tuple[bool, bool]:
    """Whether the note is of the chord at its place, and whether of the chord's scale."""
    bar = names[min(len(names) - 1, int(note.onset // 4))]
    symbol = theory.chord_symbol(bar[0] if note.onset % 4 < 2 else bar[-1])
    if symbol is None:
        return True, True
    above = (note.pitch - symbol.root) % 12
    return above in symbol.intervals, above in rhythm_section.scale(symbol)


def _rested(notes: Sequence[Note], names: Sequence[Sequence[str]]) -> list[Note]:
    """The solo with its last bar one note: the chord tone nearest to the note before, struck on one."""
    start = Fraction(4 * (len(names) - 1))
    before = [replace(note, duration=min(note.duration, start - note.onset)) for note in notes if note.onset < start]
    symbol = theory.chord_symbol(names[-1][0])
    near = before[-1].pitch if before else 65
    stable = symbol.intervals[:3] if symbol else (0,)
    root = symbol.root if symbol else near % 12
    pitch = min(
        (p for p in range(near - 8, near + 9) if (p - root) % 12 in stable),
        key=lambda p: (abs(p - near), p),
        default=near,
    )
    return [*before, Note(start, pitch, Fraction(3))]


# --- the band ---------------------------------------------------------------------------------------------------------


def _together(desk: Desk, page: Page, solo: Sequence[Note], names: Sequence[tuple[str, ...]]) -> Score:
    """Solo, piano, bass and cymbal, swinging."""
    piano, bass, drums = rhythm_section.play(names, desk.chance)
    title = f"{page.form.capitalize()} solo in {page.key}"
    base = pianism.to_score([() for _ in names], page)
    return replace(
        base,
        notes=(*_accented(solo), *piano, *bass, *drums),
        parts=(page.players.parts[0], rhythm_section.PIANO, rhythm_section.BASS, rhythm_section.DRUMS),
        chords=charts.marks(names, Fraction(4)),
        title=title,
        swing=late(page.tempo),
    )


def late(tempo_bpm: float) -> Fraction:
    """Where the second of two eighths falls, in quarters: 0.66 in slow pieces, nearly even in the fastest."""
    return max(EVEN, Fraction(round(24 * min(0.66, max(0.54, 0.70 - 0.0006 * tempo_bpm))), 24))


def _accented(notes: Sequence[Note]) -> list[Note]:
    """The solo with loudness: tops of the line and notes off the beat before a rest or a fall come out."""
    found = []
    for i, note in enumerate(notes):
        before = notes[i - 1].pitch if i else note.pitch
        after = notes[i + 1].pitch if i + 1 < len(notes) else note.pitch
        loud = 86 + 8 * (note.pitch > before and note.pitch >= after) + 4 * (note.onset.denominator == 2)
        loud -= 8 * (note.duration < Fraction(1, 3)) + 4 * (note.pitch < before and note.pitch < after)
        found.append(replace(note, velocity=loud))
    return found
