"""From notes to what stands on paper: staves, voices, note values, ties and tuplets.

A score knows when a note sounds; a page needs to know in which voice it stands, which values tied together make its
length, and which tuplet it belongs to. Both writers of notation (`artwork.musicxml`, `artwork.abc`) ask this file.

Whatever lies on thirds, fifths, sevenths, … of a beat is written exactly, as tuplets. Only what no page can show (a
pianist's milliseconds) is moved to the nearest sixteenth or triplet first: `snapped`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import groupby, pairwise
from math import lcm

from danqing.artwork.music import ZERO, Meter, Note, Score

VALUES = tuple(Fraction(8) / 2**power for power in range(10))  # quarter notes: breve to 256th
ODD = frozenset({1, 3, 5, 7, 9, 11, 13})  # tuplets that a page may hold
FINEST = 32  # parts of a quarter note, a 128th: the shortest that is written as it is
PERFORMED = 0.1  # the share of notes on 128ths from which on a score is a performance, not a page
VOICES = 8  # on one staff
MIDDLE_C = 60
_GRIDS = ((Fraction(1, 4), 0.0), (Fraction(1, 3), 0.02), (Fraction(1, 8), 0.03), (Fraction(1, 6), 0.04))


@dataclass(frozen=True)
class Sign:
    """A chord (one note or more) or a rest, as it stands in a bar."""

    start: Fraction  # quarter notes from the beginning of the score
    duration: Fraction  # quarter notes that it lasts
    value: Fraction  # the note value that is written, without dots: 1 is a quarter note
    dots: int
    notes: tuple[Note, ...] = ()  # lowest first; none is a rest
    tied_from: bool = False  # goes on from the sign before
    tied_to: bool = False  # goes on in the next sign
    tuplet: tuple[int, int] | None = None  # (3, 2): three in the time of two
    opens: bool = False  # the first of its tuplet
    closes: bool = False  # the last of its tuplet
    hidden: bool = False  # a gap in a further voice: nothing is printed


Bar = tuple[tuple[Sign, ...], ...]  # the voices of a bar, the first one filled throughout


def snapped(score: Score) -> Score:
    """The score as a page can hold it: itself but for notes that no tuplet holds, or, a performance, all on grids.

    Grids are sixteenths, triplet eighths, 32nds and triplet sixteenths; a note keeps at least one step.
    """
    wrong = {place for place, note in enumerate(score.notes) if not (_shown(note.onset) and _shown(note.end))}
    fine = {place for place, note in enumerate(score.notes) if note.onset.denominator % FINEST == 0}
    if len(wrong | fine) > PERFORMED * len(score.notes):
        wrong = set(range(len(score.notes)))
    if not wrong:
        return score
    onsets: dict[int, list[Fraction]] = {}
    for note in score.notes:
        onsets.setdefault(int(note.onset), []).append(note.onset % 1)
    grids = {beat: _best_grid(places) for beat, places in onsets.items()}
    kept: dict[tuple[int, int, Fraction], Note] = {}
    exact: list[Note] = []
    for place, note in enumerate(score.notes):
        if place not in wrong:
            exact.append(note)
            continue
        grid = grids[int(note.onset)]
        onset = round(note.onset / grid) * grid
        last = grids.get(int(note.end), _GRIDS[0][0])
        end = max(round(note.end / last) * last, onset + grid)
        kept[note.part, note.pitch, onset] = replace(note, onset=onset, duration=end - onset)
    if exact:
        return replace(score, notes=(*exact, *kept.values()))
    chords = tuple(replace(chord, onset=Fraction(round(chord.onset * 4), 4)) for chord in score.chords)
    pickup = Fraction(round(score.pickup * 4), 4)
    return replace(score, notes=tuple(kept.values()), chords=chords, pickup=pickup)


@lru_cache(4096)
def spelled_value(duration: Fraction) -> tuple[Fraction, int] | None:
    """The note value and dots (up to two) that make up a duration in quarter notes; None where one sign cannot."""
    for value in VALUES:
        for dots in (0, 1, 2):
            if value * (2 - Fraction(1, 2**dots)) == duration:
                return value, dots
    return None


def staff(notes: Iterable[Note], score: Score, cuts: Sequence[Fraction] = ()) -> list[Bar]:
    """The bars of one staff. `notes`: those that stand on it; `score`: a snapped one, which says where bars begin.

    cuts: where the first voice's notes are cut and tied, so that something can stand there.
    """
    starts = score.bars()
    voices = [_through(voice, starts) for voice in _voices(sorted(notes))] or [{}]
    bars: list[Bar] = []
    for place, (start, stop) in enumerate(pairwise(starts)):
        meter = score.meter_at(start)
        if place == len(starts) - 2 and score.pickup and stop - score.length == score.pickup:
            stop = score.length  # the last bar makes the pickup whole
        zero = stop - meter.bar if place == 0 and score.pickup else start
        found = [
            _signs(voice.get(place, ()), (start, stop), meter, zero, None if number else cuts)
            for number, voice in enumerate(voices)
            if number == 0 or place in voice
        ]
        bars.append(tuple(found))
    return bars


def _through(voice: Sequence[tuple[Note, ...]], starts: Sequence[Fraction]) -> dict[int, list[tuple[Note, ...]]]:
    """The chords of a voice that sound in each bar, by the bar's number."""
    found: dict[int, list[tuple[Note, ...]]] = {}
    place = 0
    for chord in voice:
        while place + 2 < len(starts) and starts[place + 1] <= chord[0].onset:
            place += 1
        end, last = chord[0].end, place
        found.setdefault(last, []).append(chord)
        while last + 2 < len(starts) and starts[last + 1] < end:
            last += 1
            found.setdefault(last, []).append(chord)
    return found


def hands(notes: Iterable[Note]) -> tuple[tuple[Note, ...], tuple[Note, ...]]:
    """The notes for the upper and the lower staff of a keyboard: cut at the widest gap near middle C."""
    upper: list[Note] = []
    lower: list[Note] = []
    for _, group in groupby(sorted(notes), key=lambda note: note.onset):
        chord = list(group)
        pitches = [note.pitch for note in chord]
        cut = MIDDLE_C
        if len(pitches) > 1 and pitches[-1] - pitches[0] > 12:
            gaps = [(high - low, high) for low, high in pairwise(pitches)]
            near = [gap for gap in gaps if abs(gap[1] - gap[0] / 2 - MIDDLE_C) <= 9]
            cut = max(near)[1] if near else cut
        for note in chord:
            (upper if note.pitch >= cut else lower).append(note)
    return tuple(upper), tuple(lower)


def _best_grid(places: Sequence[Fraction]) -> Fraction:
    """The grid that moves the notes of a beat least, finer ones only where they are worth it."""

    def cost(grid: tuple[Fraction, float]) -> float:
        step = grid[0]
        return sum(abs(float(place - round(place / step) * step)) for place in places) / len(places) + grid[1]

    return min(_GRIDS, key=cost)[0]


def _shown(time: Fraction) -> bool:
    """Whether a page can show something that begins or ends then."""
    odd = _odd(time.denominator)
    return odd in ODD and time.denominator // odd <= FINEST


def _odd(number: int) -> int:
    """The odd factor: 12 → 3."""
    return number // (number & -number)


def _voices(notes: Sequence[Note]) -> list[list[tuple[Note, ...]]]:
    """Chords (notes that begin and end together) dealt to voices, none of which sounds two at once."""
    chords = [
        tuple(sorted(group, key=lambda note: note.pitch))
        for _, group in groupby(sorted(notes, key=lambda n: (n.onset, n.end)), key=lambda n: (n.onset, n.end))
    ]
    voices: list[list[tuple[Note, ...]]] = []
    ends: list[Fraction] = []
    for chord in sorted(chords, key=lambda c: (c[0].onset, -c[-1].pitch)):
        onset = chord[0].onset
        free = next((number for number, end in enumerate(ends) if end <= onset), len(ends))
        if free == VOICES:  # a pedalled performance: the note that ends first gives way
            free = min(range(VOICES), key=lambda number: (voices[number][-1][0].onset == onset, ends[number]))
            if voices[free][-1][0].onset == onset:
                continue
            voices[free][-1] = tuple(replace(note, duration=onset - note.onset) for note in voices[free][-1])
        if free == len(voices):
            voices.append([])
            ends.append(ZERO)
        voices[free].append(chord)
        ends[free] = chord[0].end
    return voices


def _signs(
    chords: Sequence[tuple[Note, ...]],
    bar: tuple[Fraction, Fraction],
    meter: Meter,
    zero: Fraction,
    cuts: Sequence[Fraction] | None,
) -> tuple[Sign, ...]:
    """One voice of one bar: gaps become rests, chords are cut into values, tuplets are put around what needs them.

    cuts: as of `staff`; None for a further voice, whose gaps are hidden.
    """
    start, stop = bar
    hidden = cuts is None
    inside = [cut for cut in cuts or () if start < cut < stop and _odd((cut - start).denominator) == 1]
    spans: list[tuple[Fraction, Fraction, tuple[Note, ...]]] = []
    here = start
    for chord in chords:
        first, last = max(chord[0].onset, start), min(chord[0].end, stop)
        if first > here:
            spans.append((here, first, ()))
        spans.append((first, last, chord))
        here = last
    if here < stop:
        spans.append((here, stop, ()))
    regions = _regions([span[0] - start for span in spans] + [stop - start], stop - start)
    compound = meter.unit >= 8 and meter.beats % 3 == 0 and meter.beats > 3
    signs: list[Sign] = []
    for first, last, chord in spans:
        if not chord and (first, last) == bar and not hidden and not inside:
            value, dots = spelled_value(last - first) or (Fraction(4), 0)  # a bar's rest is a whole rest
            signs.append(Sign(first, last - first, value, dots))
            continue
        for left, right, ratio in regions:
            a, b = max(first, start + left), min(last, start + right)
            edges = [a, *(cut for cut in inside if a < cut < b and not ratio), b] if a < b else []
            for from_, to in pairwise(edges):
                signs += _values(
                    from_, to, chord, ratio, (start + left if ratio else zero), compound and not ratio, hidden
                )
    return tuple(_bracketed(signs, [(start + left, start + right) for left, right, ratio in regions if ratio]))


def _values(
    a: Fraction,
    b: Fraction,
    chord: tuple[Note, ...],
    ratio: tuple[int, int] | None,
    zero: Fraction,
    compound: bool,
    hidden: bool,
) -> list[Sign]:
    """A sounding stretch as written values, tied to each other and to what lies outside."""
    scale = Fraction(*ratio) if ratio else Fraction(1)
    signs = []
    for left, right in _pieces((a - zero) * scale, (b - zero) * scale, compound, not chord):
        value, dots = spelled_value(right - left) or (VALUES[-1], 0)
        begin, end = left / scale + zero, right / scale + zero
        notes = chord
        signs.append(
            Sign(
                begin,
                end - begin,
                value,
                dots,
                notes,
                tied_from=bool(notes) and begin > notes[0].onset,
                tied_to=bool(notes) and end < notes[0].end,
                tuplet=ratio,
                hidden=hidden and not notes,
            )
        )
    return signs


def _bracketed(signs: Iterable[Sign], brackets: Sequence[tuple[Fraction, Fraction]]) -> list[Sign]:
    found = list(signs)
    for left, right in brackets:
        inside = [i for i, sign in enumerate(found) if sign.tuplet and left <= sign.start < right]
        if inside:
            found[inside[0]] = replace(found[inside[0]], opens=True)
            found[inside[-1]] = replace(found[inside[-1]], closes=True)
    return found


def _regions(edges: Sequence[Fraction], length: Fraction) -> list[tuple[Fraction, Fraction, tuple[int, int] | None]]:
    """The bar cut into plain stretches and tuplets: (from, to, (actual, normal) or None), relative to its beginning."""
    known = set(edges)
    found: list[tuple[Fraction, Fraction, tuple[int, int] | None]] = []
    here = ZERO
    for edge in edges:
        if edge < here or _odd(edge.denominator) == 1:
            continue
        left, right = floor_to(edge, Fraction(1)), min(floor_to(edge, Fraction(1)) + 1, length)
        for size in (Fraction(1, 2), Fraction(1), Fraction(2), Fraction(4)):
            begin = floor_to(edge, size)
            if begin >= here and begin in known and begin + size in known and begin + size <= length:
                left, right = begin, begin + size
                break
        left = max(left, here)
        if left > here:
            found.append((here, left, None))
        many = lcm(*(_odd((place - left).denominator) for place in known if left <= place <= right))
        if many == 1:
            many = _odd((right - left).denominator)
        found.append((left, right, (many, 2 ** (many.bit_length() - 1)) if many > 1 else None))
        here = right
    if here < length:
        found.append((here, length, None))
    return found


def floor_to(place: Fraction, step: Fraction) -> Fraction:
    """The last multiple of a step that is not above a place."""
    return place // step * step


@lru_cache(4096)
def _pieces(a: Fraction, b: Fraction, compound: bool, rest: bool) -> tuple[tuple[Fraction, Fraction], ...]:
    """A stretch cut where a reader looks for beats, until each piece is one note value."""
    value = spelled_value(b - a)
    cut = _strongest(a, b, compound)
    if value is not None:
        reach = 1 if rest else 2
        plain = value[1] == 0 or (value[1] == 1 and (compound or not rest))
        ends = max(_strength(a, compound) * reach, _strength(b, compound))
        if cut is None or (plain and ends >= _strength(cut, compound)):
            return ((a, b),)
    if cut is None or b - a < VALUES[-1]:
        return ((a, b),)
    return _pieces(a, cut, compound, rest) + _pieces(cut, b, compound, rest)


def _strongest(a: Fraction, b: Fraction, compound: bool) -> Fraction | None:
    """The strongest place between a and b; None where nothing as long as a 256th lies between."""
    step = Fraction(8)
    beats = [Fraction(3), Fraction(3, 2)] if compound else []
    while step >= VALUES[-1]:
        beats.append(step if not compound else step / 8)
        step /= 2
    for beat in beats:
        place = floor_to(a, beat) + beat
        if place < b:
            return place
    return None


def _strength(place: Fraction, compound: bool) -> Fraction:
    if place == 0:
        return Fraction(64)
    if compound:
        if place % Fraction(3, 2) == 0:
            return Fraction(16 if place % 3 == 0 else 8)
        place = place % Fraction(3, 2)
    return Fraction(place.numerator & -place.numerator, place.denominator)
