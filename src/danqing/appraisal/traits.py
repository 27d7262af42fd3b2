"""What a piece is like in numbers: how its notes are spread over the scale, the bar and the page, and what comes again.

Traits serve to compare sets of pieces and to tell composers apart; none says whether a piece is good. Histograms and
their use after Yang & Lerch 2018, "On the evaluation of generative models in music" (MGEval); scale consistency after
Mogren 2016, "C-RNN-GAN". Departures: pitch classes are counted from the tonic that is found, so that two pieces in
different keys may be alike; onsets are places in the bar instead of intervals between onsets. numpy only.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from danqing.artwork import pitches
from danqing.artwork.music import ZERO, Note, Score
from danqing.encode import theory
from danqing.errors import BadRequest

Histogram = NDArray[np.float64]  # sums to 1; all 0 where there was nothing to count

WIDEST = 12  # semitones of a melodic interval; wider ones count as this
PLACES = 24  # of a bar
LENGTHS = (1 / 8, 1 / 6, 1 / 4, 1 / 3, 3 / 8, 1 / 2, 2 / 3, 3 / 4, 1.0, 3 / 2, 2.0, 3.0, 4.0)  # quarter notes
MOST = 6  # notes at once; more count as this
CHORDS = ("", "m", "7", "m7", "maj7", "dim", "m7b5", "dim7", "aug", "sus4", "5")  # kinds that are told apart
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 11))  # major, harmonic minor


@dataclass(frozen=True)
class Traits:
    """A piece, looked at from several sides. Raises BadRequest for a piece without notes."""

    score: Score

    def __post_init__(self) -> None:
        if not self._notes:
            raise BadRequest("the piece has no pitched notes; there is nothing to compare")

    @cached_property
    def _notes(self) -> tuple[Note, ...]:
        drums = {i for i, part in enumerate(self.score.parts) if part.drums}
        return tuple(note for note in self.score.notes if note.part not in drums)

    @cached_property
    def _top(self) -> tuple[Note, ...]:
        return theory.skyline(self._notes)

    @cached_property
    def _bars(self) -> list[Fraction]:
        return self.score.bars()

    @cached_property
    def _moments(self) -> list[list[int]]:
        """What sounds at each onset, pitches from low to high."""
        found: list[list[int]] = []
        sounding: list[Note] = []
        last = Fraction(-1)
        for note in self._notes:
            if note.onset > last:
                last = note.onset
                sounding = [held for held in sounding if held.end > last]
                found.append([])
            sounding.append(note)
            found[-1] = sorted(held.pitch for held in sounding)
        return found

    # histograms

    @cached_property
    def pitch_classes(self) -> Histogram:
        """(12,): how long each pitch class sounds, from the tonic on."""
        tonic = pitches.pitch_class(theory.find_key(self._notes).tonic)
        return _shares(np.roll(theory.pitch_weights(self._notes), -tonic))

    @cached_property
    def intervals(self) -> Histogram:
        """(2 · WIDEST + 1,): moves of the top line, from down to up."""
        moves = np.diff([note.pitch for note in self._top]).astype(np.int64)
        return _counted(np.clip(moves, -WIDEST, WIDEST) + WIDEST, 2 * WIDEST + 1)

    @cached_property
    def durations(self) -> Histogram:
        """(len(LENGTHS),): lengths of notes, each as the nearest of LENGTHS by ratio."""
        long = np.array([float(note.duration) for note in self._notes])
        apart = np.abs(np.log(long[:, None] / np.array(LENGTHS)))
        return _counted(apart.argmin(axis=1), len(LENGTHS))

    @cached_property
    def onsets(self) -> Histogram:
        """(PLACES,): where in the bar notes begin."""
        return _counted(np.array([place for _, place, _ in self._placed]), PLACES)

    @cached_property
    def textures(self) -> Histogram:
        """(MOST,): how many notes sound where one begins, 1 to MOST."""
        return _counted(np.array([min(len(now), MOST) - 1 for now in self._moments]), MOST)

    @cached_property
    def basses(self) -> Histogram:
        """(12,): intervals above the lowest note, octaves taken off, where three notes or more sound."""
        above = [pitch - now[0] for now in self._moments if len(now) > 2 for pitch in now[1:]]
        return _counted(np.array(above, dtype=np.int64) % 12, 12)

    @cached_property
    def chords(self) -> Histogram:
        """(len(CHORDS) + 1,): kinds of chords, in any position, where three notes or more sound; others last."""
        kinds = [_kind(frozenset(pitch % 12 for pitch in now)) for now in self._moments if len(now) > 2]
        return _counted(np.array(kinds, dtype=np.int64), len(CHORDS) + 1)

    # single numbers

    @property
    def numbers(self) -> dict[str, float]:
        """Density, register and the like, each by its name."""
        height = np.array([note.pitch for note in self._notes], dtype=np.float64)
        moves = np.abs(np.diff([note.pitch for note in self._top]))
        length = max(1.0, float(self.score.length))
        sounding = np.array([len(now) for now in self._moments], dtype=np.float64)
        return {
            "notes_per_quarter": len(self._notes) / length,
            "onsets_per_quarter": len(self._moments) / length,
            "at_once": float(sounding.mean()),
            "pitch_mean": float(height.mean()),
            "pitch_spread": float(height.std()),
            "compass": float(np.ptp(height)),
            "step_share": float((moves <= 2).mean()) if len(moves) else 0.0,
            "scale_consistency": self.scale_consistency,
            "self_similarity": self.self_similarity,
            "off_beat": self.off_beat,
        }

    @cached_property
    def scale_consistency(self) -> float:
        """Share of the sounding time in the major or harmonic minor scale that holds most of it."""
        weights = theory.pitch_weights(self._notes)
        scales = [np.isin((np.arange(12) - tonic) % 12, scale) for scale in _SCALES for tonic in range(12)]
        return float(max(weights[inside].sum() for inside in scales) / weights.sum())

    @cached_property
    def self_similarity(self) -> float:
        """How like an earlier bar each bar is at best, mean over bars; 0 where there is but one.

        Of two bars: the share of their notes, by place and pitch above the bar's first top note, that both have.
        """
        bars = self._shapes
        best = [max(_overlap(bar, one) for one in bars[:i]) for i, bar in enumerate(bars) if i]
        return float(np.mean(best)) if best else 0.0

    @cached_property
    def off_beat(self) -> float:
        """Share of the notes that begin on no quarter of their bar."""
        starts = self._bars
        apart = [
            (note.onset - starts[bar]) % 1 != 0 for note, (bar, _, _) in zip(self._notes, self._placed, strict=True)
        ]
        return float(np.mean(apart))

    @cached_property
    def _placed(self) -> list[tuple[int, int, Note]]:
        """(bar, place in it in [0, PLACES), note) of every note; places of a pickup are counted from its bar's end."""
        starts, found = self._bars, []
        for note in self._notes:
            bar = min(max(0, bisect.bisect_right(starts, note.onset) - 1), len(starts) - 2)
            long = self.score.meter_at(note.onset).bar
            here = note.onset - starts[bar] + (long - (starts[1] - starts[0]) if not bar else ZERO)
            found.append((bar, min(PLACES - 1, max(0, int(PLACES * here / long + Fraction(1, 2)))), note))
        return found

    @cached_property
    def _shapes(self) -> list[frozenset[tuple[int, int]]]:
        bars: dict[int, list[tuple[int, Note]]] = {}
        for bar, place, note in self._placed:
            bars.setdefault(bar, []).append((place, note))
        found = []
        for own in bars.values():
            first = max(note.pitch for place, note in own if place == own[0][0])
            found.append(frozenset((place, note.pitch - first) for place, note in own))
        return found

    @cached_property
    def histograms(self) -> dict[str, Histogram]:
        """All of them by their names."""
        names = ("pitch_classes", "intervals", "durations", "onsets", "textures", "basses", "chords")
        return {name: getattr(self, name) for name in names}

    @cached_property
    def vector(self) -> NDArray[np.float64]:
        """Everything in one row, for telling composers apart: histograms as square roots, then the numbers."""
        rows = [np.sqrt(histogram) for histogram in self.histograms.values()]
        return np.concatenate([*rows, list(self.numbers.values())])

    @property
    def moves(self) -> list[int]:
        """Semitones from each note of the top line to the next, notes that are struck again once."""
        steps = [int(b.pitch - a.pitch) for a, b in pairwise(self._top)]
        return [step for step in steps if step]


def excerpt(score: Score, first: int, bars: int) -> Score:
    """Bars `first` to `first` + `bars` − 1 of a piece, counted from 0 and a pickup as a bar; what sounds on is cut.

    Raises BadRequest where the piece has no such bar.
    """
    starts = score.bars()
    if not 0 <= first < len(starts) - 1:
        raise BadRequest(f"bar {first} is not in a piece of {len(starts) - 1} bars")
    start, stop = starts[first], starts[min(first + bars, len(starts) - 1)]
    cut = [
        Note(note.onset - start, note.pitch, min(note.end, stop) - note.onset, note.part, note.velocity)
        for note in score.between(start, stop)
    ]
    meter = score.meter_at(start)
    return Score(
        tuple(cut),
        score.parts,
        meters=(type(meter)(ZERO, meter.beats, meter.unit),),
        pickup=score.pickup if not first else ZERO,
        title=score.title,
        length=stop - start,
    )


def _shares(weights: NDArray[np.float64]) -> Histogram:
    total = weights.sum()
    return weights / total if total else weights


def _counted(numbers: NDArray[np.int64], size: int) -> Histogram:
    return _shares(np.bincount(numbers.astype(np.int64), minlength=size).astype(np.float64))


def _overlap(one: frozenset[tuple[int, int]], other: frozenset[tuple[int, int]]) -> float:
    return len(one & other) / len(one | other)


@lru_cache(4096)
def _kind(sounding: frozenset[int]) -> int:
    """The place of a chord's kind in CHORDS; their number for any other."""
    for root in sounding:
        above = tuple(sorted((pitch - root) % 12 for pitch in sounding))
        for place, suffix in enumerate(CHORDS):
            if above == theory.QUALITIES[suffix]:
                return place
    return len(CHORDS)
