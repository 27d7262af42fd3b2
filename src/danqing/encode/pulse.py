"""Beats in what a musician played, from when notes begin and an average tempo alone; and notes put onto them.

Beats by dynamic programming over onsets, after Ellis 2007, "Beat Tracking by Dynamic Programming". Departures: the
tempo is given; in jazz the second of two eighths comes late, so a beat is also worth the onset two thirds of a beat
after it, and less for one that comes a third after it: the longer of two eighths begins the beat. Inside a beat notes
go to two eighths, whose second is expected where this musician plays it, to a triplet or to sixteenths, whichever lies
nearest. Written eighths are even; a score's `swing` delays them again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from danqing.errors import BadRequest

Floats = NDArray[np.float64]

FRAMES = 200  # a second
BLUR_S = 0.02  # standard deviation of an onset
STEADY = 300.0  # what a beat loses whose length differs, times the square of the ratio's logarithm
EARLY = 0.12  # of a beat: a note so early belongs to the next one
LATE_EIGHTH, SHORT = 0.62, 0.38  # of a beat
STEPS = 12  # of a beat
GRIDS = ((0, 6), (0, 4, 8), (0, 3, 6, 9), (0, 2, 4, 6, 8, 10))  # steps; the simplest first
SHARED = ((0, 3, 6, 9), (0, 4, 8))  # grids of players together
COST = (0.0, 0.03, 0.03, 0.1)  # of a grid, in beats a note
RELAXED = 0.25  # of a beat: a rest shorter than this is the way of playing, not a rest


class Placed(NamedTuple):
    """A note on the beats."""

    onset: int  # steps from the first beat
    pitch: int
    length: int  # steps


def find_beats(onsets_s: Floats, tempo_bpm: float) -> Floats:
    """When the beats are, in seconds, from the one before the first onset to the one after the last.

    onsets_s (N,), ascending. Raises BadRequest for fewer than two onsets or a tempo outside 20 to 500.
    """
    if len(onsets_s) < 2 or not 20 <= tempo_bpm <= 500:
        raise BadRequest(f"{len(onsets_s)} onsets at {tempo_bpm:g} beats a minute; two onsets and 20 to 500 are needed")
    beat = 60 / tempo_bpm
    start = float(onsets_s[0]) - 2 * beat
    worth = _worth(onsets_s - start, beat)
    period = beat * FRAMES
    steps = np.arange(round(0.75 * period), round(1.33 * period) + 1)
    loss = STEADY * np.log(steps / period) ** 2
    total, came = worth.copy(), np.full(len(worth), -1)
    for here in range(int(steps[-1]), len(worth)):
        values = total[here - steps] - loss
        best = int(values.argmax())
        if here > 3 * period or values[best] > 0:  # a first beat comes from nowhere
            total[here] += values[best]
            came[here] = here - steps[best]
    last = len(worth) - int(period) + int(total[len(worth) - int(period) :].argmax())
    found = [last]
    while came[found[-1]] >= 0:
        found.append(int(came[found[-1]]))
    times = start + np.array(found[::-1]) / FRAMES
    ahead = max(0, int(np.ceil((times[0] - onsets_s[0]) / beat)) + 1)
    after = max(0, int(np.ceil((onsets_s[-1] - times[-1]) / beat)) + 1)
    return np.concatenate(
        [times[0] - beat * np.arange(ahead, 0, -1), times, times[-1] + beat * np.arange(1, after + 1)]
    )


def _worth(onsets_s: Floats, beat_s: float) -> Floats:
    """What a beat in each frame is worth: (T,)."""
    count = round((float(onsets_s[-1]) + 3 * beat_s) * FRAMES)
    times = np.arange(count + round(beat_s * FRAMES)) / FRAMES
    struck = np.zeros(len(times))
    for onset in onsets_s.tolist():
        first, stop = np.searchsorted(times, (onset - 4 * BLUR_S, onset + 4 * BLUR_S))
        struck[first:stop] = np.maximum(struck[first:stop], np.exp(-0.5 * ((times[first:stop] - onset) / BLUR_S) ** 2))
    late, short = round(LATE_EIGHTH * beat_s * FRAMES), round(SHORT * beat_s * FRAMES)
    found: Floats = struck[:count] + 0.5 * struck[late : late + count] - 0.3 * struck[short : short + count]
    return found


def places(times_s: Floats, beats_s: Floats) -> Floats:
    """Times as numbers of beats from the first one: (N,)."""
    return np.interp(times_s, beats_s, np.arange(len(beats_s)))


def swing(positions: Floats) -> float:
    """Where the second of two eighths is played, in beats after the first: 0.5 is even, 0.67 a triplet's third.

    positions (N,): of the onsets, in beats. The median over beats that hold two notes.
    """
    inside = _by_beat(positions)
    seconds = [own[1][1] for own in inside.values() if len(own) == 2 and own[0][1] < 0.2 and 0.4 < own[1][1] < 0.8]
    return float(np.clip(np.median(seconds), 0.5, 0.7)) if len(seconds) >= 8 else 0.58


def _by_beat(positions: Floats) -> dict[int, list[tuple[int, float]]]:
    """For each beat its notes: (number, how far into the beat)."""
    found: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for number, position in enumerate(positions.tolist()):
        beat = int(np.floor(position + EARLY))
        found[beat].append((number, position - beat))
    return found


def placed(pitches: Sequence[int], onsets_s: Floats, lengths_s: Floats, beats_s: Floats) -> list[Placed]:
    """A melody on its beats, one note at a time; notes that fall onto one place are the last of them, an ornament.

    pitches, onsets_s and lengths_s (N,), by onset.
    """
    starts, stops = places(onsets_s, beats_s), places(onsets_s + lengths_s, beats_s)
    late = swing(starts)
    steps: dict[int, int] = {}
    for beat, own in _by_beat(starts).items():
        for (number, _), step in zip(own, _steps([inside for _, inside in own], late), strict=True):
            steps[number] = STEPS * beat + step
    found: dict[int, tuple[int, float, float]] = {}
    for number, step in sorted(steps.items()):
        if step >= 0:
            found[step] = (pitches[number], float(starts[number]), float(stops[number]))
    onsets = sorted(found)
    notes = []
    for step, after in zip(onsets, [*onsets[1:], onsets[-1] + 4 * STEPS], strict=True):
        pitch, start, stop = found[step]
        length = max(1, round((stop - start) * STEPS))
        if after - step - length < RELAXED * STEPS:
            length = after - step
        notes.append(Placed(step, pitch, min(length, after - step)))
    return notes


def together(positions: Floats) -> NDArray[np.int64]:
    """The steps of what several players struck: in each beat sixteenths, or a triplet that lies clearly nearer.

    positions (N,): onsets, in beats, in any order; those of one place are a chord.
    """
    steps = np.zeros(len(positions), dtype=np.int64)
    for beat, own in _by_beat(positions).items():
        away = [np.abs(np.array([inside for _, inside in own])[:, None] - np.array(grid) / STEPS) for grid in SHARED]
        best = min(range(len(SHARED)), key=lambda i: float(away[i].min(axis=1).mean()) + COST[i] * (i > 0))
        for (number, _), place in zip(own, away[best].argmin(axis=1).tolist(), strict=True):
            steps[number] = STEPS * beat + SHARED[best][place]
    return steps


def _steps(inside: Sequence[float], late: float) -> list[int]:
    """The steps of a beat's notes, on the grid that they lie nearest."""
    best: tuple[float, list[int]] | None = None
    for grid, cost in zip(GRIDS, COST, strict=True):
        expected = np.array([late if grid == (0, 6) and step == 6 else step / STEPS for step in grid])
        away = np.abs(np.array(inside)[:, None] - expected)
        chosen = away.argmin(axis=1)
        if len(set(chosen.tolist())) < len(inside):
            continue  # two notes on one place
        error = float(away.min(axis=1).mean()) + cost
        if best is None or error < best[0]:
            best = (error, [grid[i] for i in chosen])
    return best[1] if best else [max(0, min(STEPS - 1, round(one * STEPS))) for one in inside]
