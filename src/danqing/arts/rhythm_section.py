"""Bass, piano and cymbal under a jazz solo, by rule: what a rhythm section plays from a chart at sight.

The bass walks: the root where a chord begins, chord tones or steps of the scale on the way, on the last beat a note
that leads into the next root. The piano lays shells (third and seventh, a fifth, ninth or sixth above or between them)
where the hand is nearest to the chord before, in rhythms off the beat. The cymbal keeps time and the hats close on two
and four. All of it is written in even eighths; the score's `swing` delays them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from danqing.artwork.music import ZERO, Note, Part
from danqing.encode import theory

PIANO, BASS, DRUMS = Part("Piano", 0), Part("Double bass", 32), Part("Drums", 0, drums=True)
BEATS = 4
LOWEST, HIGHEST = 28, 50  # of the bass: E1 to D3
DEEP = 34  # below it the line goes only where it must
SHELL = (52, 69)  # lowest and highest note of the piano's chords
LEADS = (-1, 1, -2, 2, 7)  # semitones from the next root to the note before it
RIDE, HAT, KICK = 51, 44, 36  # General MIDI
HALF = Fraction(1, 2)
# When the piano strikes in a bar, and for how long, in quarters; a stroke on the last eighth belongs to the next chord.
COMPING = (
    ((ZERO, Fraction(3, 2)), (Fraction(3, 2), HALF)),
    ((Fraction(3, 2), Fraction(1)), (Fraction(7, 2), HALF)),
    ((Fraction(1, 2), HALF), (Fraction(2), Fraction(1))),
    ((Fraction(1), HALF), (Fraction(5, 2), Fraction(1))),
    ((ZERO, Fraction(1)), (Fraction(7, 2), HALF)),
    ((Fraction(3, 2), Fraction(2)),),
)


@dataclass(frozen=True)
class Span:
    """A chord and the beats that it lasts."""

    name: str
    start: int  # beats from the beginning
    stop: int


def spans(chart: Sequence[Sequence[str]]) -> list[Span]:
    """The chords of a chart, each bar's apart: a bar of one chord is one span, a bar of two is two of half a bar."""
    found = []
    for number, names in enumerate(chart):
        for place, name in enumerate(names):
            start = BEATS * number + place * BEATS // len(names)
            found.append(Span(name, start, start + BEATS // len(names)))
    return found


def play(chart: Sequence[Sequence[str]], chance: Callable[[], float]) -> tuple[list[Note], list[Note], list[Note]]:
    """Piano, bass and drums for a chart, parts 1, 2 and 3; the last bar is struck once and rings."""
    return _piano(chart, chance), _bass(spans(chart), BEATS * len(chart), chance), _drums(len(chart), chance)


# --- bass -------------------------------------------------------------------------------------------------------------


def _bass(chords: Sequence[Span], beats: int, chance: Callable[[], float]) -> list[Note]:
    pitches: dict[int, int] = {}
    here = 40
    for own, after in zip(chords, [*chords[1:], chords[-1]], strict=True):
        root = _near(_root(own.name), here)
        target = _near(_root(after.name), root)
        line = [root, *_walk(own, root, target, chance)]
        for number, pitch in enumerate(line):
            pitches[own.start + number] = pitch
        here = line[-1]
    last = beats - BEATS
    notes = []
    for beat, pitch in sorted(pitches.items()):
        if beat > last:
            break
        length = Fraction(BEATS if beat == last else 1)
        notes.append(Note(Fraction(beat), pitch, length, 2, 84 if beat % BEATS == 0 else 78))
    return notes


def _walk(own: Span, root: int, target: int, chance: Callable[[], float]) -> list[int]:
    """The bass after a root on its way to the next one: one note a beat, the last one a step from the target."""
    count = own.stop - own.start - 1
    tones = {(_root(own.name) + step) % 12 for step in _intervals(own.name)}
    scale = {(_root(own.name) + step) % 12 for step in _scale(own.name)}
    line = [root]
    for left in range(count, 0, -1):
        aim = line[-1] + (target - line[-1]) / left
        if left == 1:
            fits = [target + step for step in LEADS if LOWEST <= target + step <= HIGHEST and target + step != line[-1]]
            weighed = [(abs(p - line[-1]) + (0.0 if abs(p - target) == 1 or p % 12 in scale else 4.0), p) for p in fits]
        else:
            near = range(max(LOWEST, line[-1] - 7), min(HIGHEST, line[-1] + 7) + 1)
            wanted = tones if left == count else scale
            fits = [p for p in near if p % 12 in wanted and p != line[-1] and p not in line[-2:-1]]
            weighed = [(abs(p - aim) * 0.6 + abs(p - line[-1]) * 0.3, p) for p in fits]
        weighed = weighed or [(0.0, line[-1])]
        line.append(min((cost + 3 * chance() + max(0, DEEP - pitch), pitch) for cost, pitch in weighed)[1])
    return line[1:]


def _near(pitch_class: int, here: int) -> int:
    """The pitch of a class nearest to `here` that the bass likes."""
    options = [p for p in range(LOWEST, HIGHEST - 3) if p % 12 == pitch_class]
    return min(options, key=lambda pitch: abs(pitch - here) + 0.6 * abs(pitch - 39))


# --- piano ------------------------------------------------------------------------------------------------------------


def _piano(chart: Sequence[Sequence[str]], chance: Callable[[], float]) -> list[Note]:
    notes: list[Note] = []
    hand: tuple[int, ...] = (55, 59, 62)
    names = [(bar[0], bar[-1]) for bar in chart]
    for number, (first, second) in enumerate(names):
        start = Fraction(BEATS * number)
        after = names[min(number + 1, len(names) - 1)][0]
        strokes: Sequence[tuple[Fraction, Fraction]] = COMPING[int(chance() * len(COMPING))]
        if number == len(names) - 1:
            strokes = ((ZERO, Fraction(BEATS)),)
        elif first != second:
            strokes = ((ZERO, Fraction(3, 2)), (Fraction(5, 2) if chance() < 0.5 else Fraction(2), Fraction(1)))
        for place, length in strokes:
            late = place >= Fraction(7, 2)
            hand = voiced(after if late else first if place < 2 else second, hand)
            loud = 54 + round(8 * chance()) + (4 if place.denominator > 1 else 0)
            notes += [Note(start + place, pitch, length, 1, loud) for pitch in hand]
    return _apart(notes)


def _apart(notes: Sequence[Note]) -> list[Note]:
    """The notes, each let go before its key is struck again."""
    found: list[Note] = []
    for pitch in sorted({note.pitch for note in notes}):
        own = sorted(note for note in notes if note.pitch == pitch)
        for note, after in pairwise([*own, None]):
            assert note is not None
            room = note.duration if after is None else min(note.duration, after.onset - note.onset)
            found.append(Note(note.onset, pitch, room, note.part, note.velocity))
    return found


def voiced(name: str, hand: Sequence[int]) -> tuple[int, ...]:
    """A chord for one hand without its root: third, seventh and a colour, as near as may be to the hand before."""
    root, steps = _root(name), set(_intervals(name))
    third = next((step for step in (4, 3, 5, 2) if step in steps), 4)
    top = next((step for step in (10, 11, 9) if step in steps), 9 if 6 not in steps else 6)
    colour = 6 if 6 in steps else 8 if 8 in steps else 2 if third in (3, 4) and 1 not in steps else 7
    wanted = [(root + step) % 12 for step in (third, top, colour)]
    low, high = SHELL
    rows = [(p, q, r) for p in _all(wanted[0], low, high) for q in _all(wanted[1], low, high)
            for r in _all(wanted[2], low, high) if max(p, q, r) - min(p, q, r) <= 13]  # fmt: skip
    chords = [tuple(sorted(row)) for row in rows if min(abs(a - b) for a, b in pairwise(sorted(row))) > 0]
    centre = sum(hand) / len(hand)
    return min(chords, key=lambda c: abs(sum(c) / len(c) - centre) + 0.1 * abs(sum(c) / len(c) - 60) + 3 * _rubs(c))


def _rubs(chord: Sequence[int]) -> int:
    """Semitones at the top of a chord, which hide its highest note."""
    return chord[-1] - chord[-2] == 1


def _all(pitch_class: int, low: int, high: int) -> list[int]:
    return [p for p in range(low, high + 1) if p % 12 == pitch_class]


# --- drums ------------------------------------------------------------------------------------------------------------


def _drums(bars: int, chance: Callable[[], float]) -> list[Note]:
    notes = []
    for bar in range(bars - 1):
        start = Fraction(BEATS * bar)
        for place in (ZERO, Fraction(1), Fraction(3, 2), Fraction(2), Fraction(3), Fraction(7, 2)):
            off = place.denominator > 1
            if off and chance() < 0.12:
                continue
            loud = 44 if off else 62 if place % 2 == 1 else 54
            notes.append(Note(start + place, RIDE, HALF, 3, loud + round(6 * chance())))
        notes += [Note(start + beat, HAT, HALF, 3, 58) for beat in (Fraction(1), Fraction(3))]
    end = Fraction(BEATS * (bars - 1))
    return [*notes, Note(end, RIDE, Fraction(BEATS), 3, 64), Note(end, KICK, Fraction(1), 3, 60)]


# --- chords -----------------------------------------------------------------------------------------------------------


def _root(name: str) -> int:
    symbol = theory.chord_symbol(name)
    return symbol.root if symbol else 0


def _intervals(name: str) -> tuple[int, ...]:
    symbol = theory.chord_symbol(name)
    return symbol.intervals if symbol else (0, 4, 7)


def scale(symbol: theory.Symbol) -> tuple[int, ...]:
    """Steps above the root that a line over the chord goes through."""
    steps = set(symbol.intervals)
    if 6 in steps:
        return (0, 1, 3, 5, 6, 8, 10) if 10 in steps else (0, 2, 3, 5, 6, 8, 9, 11)
    if 3 in steps:
        return (0, 2, 3, 5, 7, 9, 10)
    return (0, 2, 4, 5, 7, 9, 11) if 11 in steps or 10 not in steps else (0, 2, 4, 5, 7, 9, 10)


def _scale(name: str) -> tuple[int, ...]:
    symbol = theory.chord_symbol(name)
    return scale(symbol) if symbol else (0, 2, 4, 5, 7, 9, 11)
