"""Bar lines as a file has them, turned into metres: short bars, cut bars and pickups keep their places."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction

from danqing.artwork.music import ZERO, Meter, Tempo

LONGEST = Fraction(64)  # quarter notes; a longer bar is a cadenza or a file without bar lines, and is left unmarked


def metered(lines: Sequence[Fraction], meters: Sequence[Meter]) -> tuple[tuple[Meter, ...], Fraction]:
    """The metres with which `Score.bars` finds these bar lines again, and the pickup.

    lines: where bars end, in quarter notes from the beginning, ascending; meters: the time signatures of the file. Two
    parts of a bar that a repeat sign cuts count as one; other short or long bars become time signatures of their own.
    """
    ends = [line for line in dict.fromkeys(lines) if line > 0]
    given = sorted(meters, key=lambda meter: meter.onset) or [Meter(ZERO, 4, 4)]
    if given[0].onset > 0:
        given.insert(0, replace(given[0], onset=ZERO))
    pickup = ends[0] if len(ends) > 1 and ends[0] < given[0].bar and not _cut(ends, given) else ZERO
    marks: list[Meter] = [given[0]]
    here = ends.pop(0) if pickup else ZERO
    while ends:
        while ends and ends[0] <= here:
            ends.pop(0)
        if not ends:
            break
        nominal = next((meter for meter in reversed(given) if meter.onset <= here), given[0])
        stop = here + nominal.bar
        end = stop if stop in ends[:4] or (len(ends) == 1 and ends[0] < stop) else ends[0]
        bar = end - here
        wanted = nominal if bar == nominal.bar else _odd_bar(bar, nominal)
        if (wanted.beats, wanted.unit) != (marks[-1].beats, marks[-1].unit):
            marks.append(replace(wanted, onset=here))
        here = end
    return tuple(_tidy(marks)), pickup


def _cut(ends: Sequence[Fraction], given: Sequence[Meter]) -> bool:
    """Whether the first bar is not a pickup but one that a repeat sign cuts: its rest follows at once."""
    return len(ends) > 2 and ends[1] == given[0].bar and ends[0] * 2 >= given[0].bar


def _odd_bar(length: Fraction, nominal: Meter) -> Meter:
    """A time signature of that length, in the nominal unit where that goes."""
    unit = nominal.unit
    while (length * unit / 4).denominator > 1 and unit < 64:
        unit *= 2
    beats = length * unit / 4
    if beats.denominator > 1 or length > LONGEST:
        return nominal
    return Meter(ZERO, int(beats), unit)


def _tidy(marks: Sequence[Meter]) -> list[Meter]:
    kept: list[Meter] = []
    for mark in marks:
        if kept and kept[-1].onset == mark.onset:
            kept[-1] = mark
        else:
            kept.append(mark)
    return kept


def from_zero(tempos: Iterable[Tempo]) -> tuple[Tempo, ...]:
    """The tempos in order, each a change, the first from the beginning: 120 where nobody says."""
    kept: list[Tempo] = []
    for tempo in sorted(tempos, key=lambda one: one.onset):
        if not kept and tempo.onset > 0:
            kept.append(Tempo(ZERO, 120.0))
        if not kept or tempo.bpm != kept[-1].bpm:
            kept.append(tempo)
    return tuple(kept) or (Tempo(ZERO, 120.0),)
