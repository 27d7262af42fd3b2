"""What makes music good, as far as counting can tell: named functions of tunes and of four-voice grids, each in [0, 1].

Rewards to tune models by, and figures to judge them by: 1 is as a master would have it, which is not the most that
could be had (a tune on two notes has no leaps), so each is full where real music is. None tells music from noise
alone; `docs/decisions/0009-rewards.md` has each on held-out pieces, on the same pieces shuffled, and on one bar going
round. After the rules in Jaques et al. 2017 ("Sequence Tutor": key, endings, repeats, motifs, leaps), which are taken
from Gauldin's counterpoint, and the usual rules of four-part writing. numpy only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from danqing.encode import notes, theory, tunes
from danqing.encode.notes import Grid
from danqing.encode.tunes import TICKS, Tune
from danqing.errors import BadRequest

GRAM = 10  # intervals in a row by which a tune is found in another, as where variants are found (`training.music`)
LEAP = 7  # semitones: a fifth or more is a leap
_SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10), "dorian": (0, 2, 3, 5, 7, 9, 10),
           "phrygian": (0, 1, 3, 5, 7, 8, 10), "lydian": (0, 2, 4, 6, 7, 9, 11), "mixolydian": (0, 2, 4, 5, 7, 9, 10),
           "locrian": (0, 1, 3, 5, 6, 8, 10)}  # fmt: skip


# --- tunes ------------------------------------------------------------------------------------------------------------


Chord = tuple[int, str]  # semitones of the root above the tonic, quality: see `tunes.chord_code`


@dataclass(frozen=True)
class Line:
    """A tune's notes, ties joined, each section once; all arrays (n,)."""

    onset: NDArray[np.int64]  # ticks
    ticks: NDArray[np.int64]  # how long each sounds
    pitch: NDArray[np.int64]  # MIDI
    chords: tuple[Chord | None, ...]  # in force at each note; None before the first
    changes: tuple[tuple[int, Chord], ...]  # (tick, chord) where a new one begins; remarks are passed over
    length: int  # ticks, rests included
    bar: int  # ticks
    beat: int  # ticks: a quarter, a dotted quarter in 6/8 and its kin, a half in 3/2
    pickup: int  # ticks

    @classmethod
    def of(cls, tune: Tune) -> Line:
        """The tune as arrays."""
        onset: list[int] = []
        ticks: list[int] = []
        pitch: list[int] = []
        chords: list[Chord | None] = []
        changes: list[tuple[int, Chord]] = []
        here, chord, tied = 0, None, False
        for event in (event for section in tune.sections for event in section.events):
            new = tunes.chord_code(event.chord, tune.tonic) if event.chord else None
            if new is not None and new != chord:
                chord = new
                changes.append((here, new))
            if event.pitch is not None:
                onset.append(here)
                ticks.append(event.ticks)
                pitch.append(event.pitch)
                chords.append(chord)
            elif event.tied and tied:
                ticks[-1] += event.ticks
            tied = event.pitch is not None or (event.tied and tied)
            here += event.ticks
        compound = tune.unit == 8 and tune.beats % 3 == 0
        beat = 36 if compound else 4 * TICKS // tune.unit
        at, long, high = (np.asarray(x, dtype=np.int64) for x in (onset, ticks, pitch))
        return cls(at, long, high, tuple(chords), tuple(changes), here, tune.bar, beat, tune.pickup)

    @property
    def strong(self) -> NDArray[np.bool_]:
        """(n,): the notes that begin on a beat."""
        on_beat: NDArray[np.bool_] = (self.onset - self.pickup) % self.beat == 0
        return on_beat

    @property
    def moves(self) -> NDArray[np.int64]:
        """(n − 1,): semitones from each note to the next."""
        return np.diff(self.pitch)

    def bars(self) -> list[slice]:
        """The notes of each bar that has any, the pickup with the first."""
        number = np.maximum(0, (self.onset - self.pickup) // self.bar)
        starts = np.flatnonzero(np.diff(number, prepend=-1))
        return [slice(int(a), int(b)) for a, b in zip(starts, np.append(starts[1:], len(number)), strict=True)]


def _share(flags: NDArray[np.bool_], weights: NDArray[np.int64] | None = None) -> float:
    """How many of these are so, by weight; 1 where there are none."""
    if not len(flags):
        return 1.0
    return float(np.average(flags, weights=weights))


def _full(value: float, at: float) -> float:
    """Rises to 1 at what real music has."""
    return float(np.clip(value / at, 0.0, 1.0))


def in_key(tune: Tune) -> float:
    """Share of the sounding time in the scale of the key; in minor the raised sixth and seventh belong to it."""
    line = Line.of(tune)
    scale = set(_SCALES[tune.key.mode]) | ({9, 11} if tune.key.mode == "minor" else set())
    above = (line.pitch - tune.tonic) % 12
    return _share(np.isin(above, list(scale)), line.ticks)


def chord_tones(tune: Tune) -> float:
    """Share of the notes on beats that belong to the chord in force, full at 0.8.

    A tune without chord symbols: share of its bars that begin on a note of the tonic's triad, full at 0.7.
    """
    line = Line.of(tune)
    above = (line.pitch - tune.tonic) % 12
    if not line.changes:
        scale = _SCALES[tune.key.mode]
        first = (line.onset - line.pickup) % line.bar == 0
        return _full(_share(np.isin(above[first], [scale[0], scale[2], scale[4]])), 0.7)
    told = [(a, chord) for a, chord, strong in zip(above, line.chords, line.strong, strict=True) if strong and chord]
    return _full(_share(np.asarray([a in _tones(chord) for a, chord in told], dtype=np.bool_)), 0.8)


@lru_cache(256)
def _tones(chord: Chord) -> frozenset[int]:
    """Semitones above the tonic."""
    root, quality = chord
    return frozenset((root + step) % 12 for step in theory.QUALITIES[quality])


def accompaniment(tune: Tune) -> float:
    """Chords that change on beats, no more than twice a bar on average, and on roots of the scale: mean of the three.

    1 for a tune without chords. Without it a model may please `chord_tones` by a new chord for every note.
    """
    line = Line.of(tune)
    if not line.changes:
        return 1.0
    on_beat = [(tick - line.pickup) % line.beat == 0 for tick, _ in line.changes]
    rooted = [root in _SCALES[tune.key.mode] for _, (root, _) in line.changes]
    rate = len(line.changes) * line.bar / max(line.length, 1)
    return (float(np.mean(on_beat)) + float(np.mean(rooted)) + min(1.0, 2 / rate)) / 3


def ending(tune: Tune) -> float:
    """Ends on the tonic (½), on a beat and for a beat or more (¼), from a step away or the fifth (¼)."""
    line = Line.of(tune)
    if not len(line.pitch):
        return 0.0
    home = (line.pitch[-1] - tune.tonic) % 12 == 0
    still = bool(line.strong[-1]) and line.ticks[-1] >= line.beat
    near = False
    moved = np.flatnonzero(line.pitch != line.pitch[-1])
    if len(moved):
        before = int(line.pitch[moved[-1]])
        near = 1 <= abs(before - int(line.pitch[-1])) <= 2 or (before - tune.tonic) % 12 == 7
    return 0.5 * float(home) + 0.25 * float(still) + 0.25 * float(near)


def leaps_resolved(tune: Tune) -> float:
    """Share of the leaps (a fifth or more) after which the line turns back by a step or a third, full at 0.6.

    1 without leaps. Pitches that are struck again count once, the last note's leap not at all.
    """
    back = _after_leaps(tune)
    return _full(_share((back > 0) & (back <= 4)), 0.6)


def leaps_turned(tune: Tune) -> tuple[int, int]:
    """(leaps after which the line turns back, however far; leaps): what RL-Tuner's table counts as resolved."""
    back = _after_leaps(tune)
    return int((back > 0).sum()), len(back)


def _after_leaps(tune: Tune) -> NDArray[np.int64]:
    """How far the line turns back after each leap (below 0: it goes on), in semitones."""
    moves = Line.of(tune).moves
    moves = moves[moves != 0]
    leaps = np.flatnonzero(np.abs(moves[:-1]) >= LEAP)
    back: NDArray[np.int64] = -moves[leaps + 1] * np.sign(moves[leaps])
    return back


def stepwise(tune: Tune) -> float:
    """Share of the moves that are steps or thirds, full at 0.8."""
    moves = np.abs(Line.of(tune).moves)
    return _full(_share(moves[moves > 0] <= 4), 0.8)


def unrepeated(tune: Tune) -> float:
    """1 where at most one note in fifty is `repeated` in excess, as in real tunes; falls to 0 at one in five."""
    return float(np.interp(repeated(tune), [0.02, 0.2], [1.0, 0.0]))


def repeated(tune: Tune) -> float:
    """Share of the notes that are the third or later in a row of one pitch: RL-Tuner's "notes excessively repeated"."""
    same = Line.of(tune).moves == 0
    return _share(same[1:] & same[:-1]) if len(same) > 1 else 0.0


def span(tune: Tune) -> float:
    """Whether it sings: 1 for a compass of a sixth to an octave and a sixth, falling to 0 at a third and two and a half
    octaves.
    """
    line = Line.of(tune)
    if not len(line.pitch):
        return 0.0
    return float(np.interp(np.ptp(line.pitch), [4, 9, 21, 30], [0, 1, 1, 0]))


def metre(tune: Tune) -> float:
    """Share of the beats on which a note begins, full at 0.85."""
    line = Line.of(tune)
    beats = np.arange(line.pickup % line.beat, line.length, line.beat)
    return _full(_share(np.isin(beats, line.onset)), 0.85) if len(line.onset) else 0.0


def motif(tune: Tune) -> float:
    """How like an earlier bar each bar is, in rhythm and in shape, whatever its pitch; mean over bars, full at 0.85."""
    bars = _cells(Line.of(tune))
    if len(bars) < 2:
        return 0.0
    best = [max(_likeness(bars[j], bars[i]) for i in range(j)) for j in range(1, len(bars))]
    return _full(float(np.mean(best)), 0.85)


def variety(tune: Tune) -> float:
    """Share of the bars that are no literal copy of an earlier one, full at 0.6."""
    bars = _cells(Line.of(tune))
    return _full(len({tuple(sorted(bar.items())) for bar in bars}) / len(bars), 0.6) if bars else 0.0


def _cells(line: Line) -> list[dict[int, int]]:
    """Of each bar: place in the bar → pitch. Without the pickup."""
    at = (line.onset - line.pickup) % line.bar
    first = line.onset >= line.pickup
    return [{int(at[i]): int(line.pitch[i]) for i in range(bar.start, bar.stop) if first[i]} for bar in line.bars()]


def _likeness(one: Mapping[int, int], other: Mapping[int, int]) -> float:
    """Half the share of common onsets, half that of the notes there that moved along, to a semitone."""
    both = sorted(one.keys() & other.keys())
    if not both:
        return 0.0
    apart = np.asarray([one[place] - other[place] for place in both])
    along = np.abs(apart - np.median(apart)) <= 1
    rhythm = len(both) / len(one.keys() | other.keys())
    return 0.5 * rhythm + 0.5 * rhythm * float(along.mean()) * float(len(both) > 1)


@dataclass(frozen=True, eq=False)
class Corpus:
    """What a model learned from, as the rows of GRAM intervals that stand in it."""

    known: NDArray[np.uint64]  # sorted, a hash of each

    @classmethod
    def of(cls, learned: Iterable[Tune]) -> Corpus:
        """Every row of these tunes."""
        return cls.of_melodies(tune.melody for tune in learned)

    @classmethod
    def of_melodies(cls, learned: Iterable[Sequence[int]]) -> Corpus:
        """Every row of these, MIDI numbers, pitches that are struck again counted once."""
        return cls(np.unique(np.concatenate([_hashes(melody) for melody in learned] or [_NONE])))

    def share(self, melody: Sequence[int]) -> float:
        """Share of a melody's rows that stand in the corpus, in any key; 0 for one that is too short."""
        own = _hashes(melody)
        if not len(own) or not len(self.known):
            return 0.0
        place = np.minimum(np.searchsorted(self.known, own), len(self.known) - 1)
        return float((self.known[place] == own).mean())


_NONE = np.zeros(0, dtype=np.uint64)


def _hashes(melody: Sequence[int]) -> NDArray[np.uint64]:
    """One number for each row of GRAM intervals."""
    row = np.diff(melody)
    if len(row) < GRAM:
        return _NONE
    rows = np.lib.stride_tricks.sliding_window_view(row + 128, GRAM).astype(np.uint64)
    weights = np.uint64(0x9E3779B97F4A7C15) ** np.arange(1, GRAM + 1, dtype=np.uint64)
    hashes: NDArray[np.uint64] = rows @ weights  # modulo 2⁶⁴
    return hashes


def novelty(tune: Tune, corpus: Corpus) -> float:
    """Share of its rows of GRAM intervals that are in no tune of the corpus, in any key; full at 0.9."""
    return _new(tune.melody, corpus)


def _new(melody: Sequence[int], corpus: Corpus) -> float:
    return _full(1.0 - corpus.share(melody), 0.9) if len(melody) > GRAM else 0.0


def distinct(written: Sequence[Tune], size: int = 5) -> float:
    """How differently several tunes go: different rows of `size` intervals, as a share of all (Li et al. 2016)."""
    return different([np.diff(tune.melody).tolist() for tune in written], size)


def different(works: Sequence[Sequence[object]], size: int) -> float:
    """Different rows of `size` things in a row in any of these works, as a share of all such rows."""
    every = [tuple(work[i : i + size]) for work in works for i in range(len(work) - size + 1)]
    return len(set(every)) / max(1, len(every))


FOLK: dict[str, Callable[[Tune], float]] = {
    "in_key": in_key, "chord_tones": chord_tones, "accompaniment": accompaniment, "ending": ending,
    "leaps_resolved": leaps_resolved, "stepwise": stepwise, "unrepeated": unrepeated, "span": span, "metre": metre,
    "motif": motif, "variety": variety,
}  # fmt: skip


def of_tune(tune: Tune, corpus: Corpus | None = None) -> dict[str, float]:
    """Every reward of a tune by its name; novelty where there is a corpus. A tune without notes has none."""
    if not any(event.pitch is not None for section in tune.sections for event in section.events):
        return dict.fromkeys((*FOLK, *(("novelty",) if corpus else ())), 0.0)
    found = {name: reward(tune) for name, reward in FOLK.items()}
    return found | ({"novelty": novelty(tune, corpus)} if corpus else {})


# --- four voices ------------------------------------------------------------------------------------------------------

CONSONANT = (0, 3, 4, 7, 8, 9)  # semitones, octaves taken off


def voice_errors(grid: Grid) -> dict[str, int]:
    """How often the rules of four-part writing are broken, by rule.

    fifths, octaves: two voices move the same way from one to another of these. crossing, spacing: passages in which a
    voice lies above its upper neighbour, or upper neighbours more than an octave apart. overlap: a voice moves past
    where its neighbour just was. leading: the seventh degree over a dominant bass does not go to the tonic when the
    bass does; in an inner voice it may fall a third. The key is that of the piece.
    """
    pitch = grid.pitches.astype(np.int64)
    before, now = pitch[:-1], pitch[1:]
    sounds = (before != notes.SILENCE) & (now != notes.SILENCE)
    found = Counter(dict.fromkeys(("fifths", "octaves", "crossing", "overlap", "spacing", "leading"), 0))
    for upper in range(4):
        for lower in range(upper + 1, 4):
            both = sounds[:, upper] & sounds[:, lower]
            apart, then = before[:, upper] - before[:, lower], now[:, upper] - now[:, lower]
            along = both & ((now[:, upper] - before[:, upper]) * (now[:, lower] - before[:, lower]) > 0)
            same = along & (apart % 12 == then % 12)
            found["fifths"] += int((same & (apart % 12 == 7)).sum())
            found["octaves"] += int((same & (apart % 12 == 0)).sum())
    for upper in range(3):
        both = (pitch[:, upper : upper + 2] != notes.SILENCE).all(1)
        apart = pitch[:, upper] - pitch[:, upper + 1]
        found["crossing"] += _passages(both & (apart < 0))
        found["spacing"] += _passages(both & (apart > 12)) if upper < 2 else 0
        heard = sounds[:, upper] & sounds[:, upper + 1]
        moved = (now != before)[:, upper : upper + 2]
        over = heard & moved[:, 1] & (now[:, upper + 1] > before[:, upper])
        under = heard & moved[:, 0] & (now[:, upper] < before[:, upper + 1])
        found["overlap"] += int((over | under).sum())
    found["leading"] = _unresolved(before, now, notes.final_key(grid.pitches) % 12)
    return dict(found)


def _passages(flags: NDArray[np.bool_]) -> int:
    """How many runs of True there are."""
    return int((np.diff(flags.astype(np.int8), prepend=0) == 1).sum())


def _unresolved(before: NDArray[np.int64], now: NDArray[np.int64], tonic: int) -> int:
    """See `voice_errors`; before, now (T, 4)."""
    sounds = (before != notes.SILENCE) & (now != notes.SILENCE)
    above, then = (before - tonic) % 12, (now - tonic) % 12
    cadence = sounds[:, 3] & np.isin(above[:, 3], (7, 11)) & (then[:, 3] == 0)
    wrong = 0
    for voice in range(4):
        leads = cadence & sounds[:, voice] & (above[:, voice] == 11)
        step = now[:, voice] - before[:, voice]
        right = (step == 1) | (np.isin(step, (-4, -3)) if voice in (1, 2) else False)
        wrong += int((leads & ~right).sum())
    return wrong


def errors_per_bar(grid: Grid) -> float:
    """All of `voice_errors` together, in a bar of four quarters."""
    return sum(voice_errors(grid).values()) / max(1.0, len(grid) / 16)


def voice_leading(grid: Grid) -> float:
    """exp(−errors per bar / 2): 1 without any, 0.61 at one a bar."""
    return float(np.exp(-errors_per_bar(grid) / 2))


def consonance(grid: Grid) -> float:
    """Share of the pairs of voices that are consonant on beats, full at 0.9. A fourth is, but not with the bass."""
    pitch = grid.pitches[grid.pickup % 4 :: 4].astype(np.int64)
    good = total = 0
    for upper in range(4):
        for lower in range(upper + 1, 4):
            both = (pitch[:, upper] != notes.SILENCE) & (pitch[:, lower] != notes.SILENCE)
            apart = np.abs(pitch[:, upper] - pitch[:, lower])[both] % 12
            good += int(np.isin(apart, CONSONANT if lower == 3 else (*CONSONANT, 5)).sum())
            total += len(apart)
    return _full(good / total, 0.9) if total else 0.0


def cadence(grid: Grid) -> float:
    """Ends on a triad in root position (½; 0 in all otherwise) to which the bass comes by a fifth or a fourth (¼) and
    another voice by a leading note or a whole tone from above (¼).
    """
    pitch = grid.pitches.astype(np.int64)
    if not len(pitch) or (pitch[-1] == notes.SILENCE).any():
        return 0.0
    last = pitch[-1]
    tonic = last[3] % 12
    above = {int(p - tonic) % 12 for p in last}
    if not above <= {0, 3, 4, 7} or len(above & {3, 4}) != 1:
        return 0.0
    value = 0.5
    moved = np.flatnonzero(pitch[:, 3] % 12 != tonic)
    if len(moved):
        before = pitch[moved[-1]]
        value += 0.25 * float(int(before[3] - tonic) % 12 in (7, 5))
        steps = last[:3] - before[:3]
        to_tonic = (last[:3] % 12 == tonic) & (before[:3] != notes.SILENCE)
        value += 0.25 * float((to_tonic & np.isin(steps, (1, -2))).any())
    return value


def movement(grid: Grid) -> float:
    """New pitches in a beat, those of the four voices together, full at 3.4: voices that stay break no rule.

    Bach has 3.65 (test part); a quarter of his chorales have fewer than 3.26.
    """
    pitch = grid.pitches
    return _full(4 * float((pitch[1:] != pitch[:-1]).sum()) / max(1, len(pitch)), 3.4)


CHORALE: dict[str, Callable[[Grid], float]] = {
    "voice_leading": voice_leading, "consonance": consonance, "cadence": cadence, "movement": movement,
}  # fmt: skip


@lru_cache(1)
def _profiles() -> NDArray[np.float64]:
    """(24, 12): how well each pitch class belongs to each key of `notes.key_number`, of mean 0 and length 1."""
    levels = [np.roll(theory.PROFILES["kostka-payne"][mode], tonic) for mode in (0, 1) for tonic in range(12)]
    rows = np.stack(levels) - np.mean(levels, axis=1, keepdims=True)
    found: NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


def at_home(grid: Grid, key: int) -> float:
    """1 where a key (`notes.key_number`) is the one that is heard, see `theory.rank_keys`; falls to 0 where another is
    heard that is ahead of it by 0.8 of correlation, about as much as a key two fifths away.
    """
    sounding = grid.pitches[grid.pitches != notes.SILENCE].astype(np.int64) % 12
    if not len(sounding):
        return 0.0
    share = np.bincount(sounding, minlength=12) - len(sounding) / 12
    ranks = _profiles() @ (share / (np.linalg.norm(share) or 1.0))
    bass = grid.pitches[grid.pitches[:, 3] != notes.SILENCE, 3]
    if len(bass):
        ranks[[int(bass[-1]) % 12, int(bass[-1]) % 12 + 12]] += theory.ENDING
    return float(np.interp(ranks.max() - ranks[key], [0.0, 0.8], [1.0, 0.0]))


def of_grid(grid: Grid, corpus: Corpus | None = None, key: int | None = None) -> dict[str, float]:
    """Every reward of a chorale by its name; the soprano's novelty where there is a corpus.

    key: the one that was asked for; that of its end unless given.
    """
    found = {name: reward(grid) for name, reward in CHORALE.items()}
    found["at_home"] = at_home(grid, notes.final_key(grid.pitches) if key is None else key)
    return found | ({"novelty": _new(grid.line(0), corpus)} if corpus else {})


# --- together ---------------------------------------------------------------------------------------------------------

WEIGHTS: dict[str, dict[str, float]] = {
    "folk": {"in_key": 2, "chord_tones": 2, "accompaniment": 1, "ending": 2, "leaps_resolved": 2, "stepwise": 1,
             "unrepeated": 2, "span": 1, "metre": 1, "motif": 2, "variety": 2, "novelty": 2},
    "harmony": {"in_key": 1, "chord_tones": 2, "accompaniment": 1, "ending": 1},
    "motif": {"motif": 2, "variety": 1, "unrepeated": 1, "novelty": 1},
    "chorale": {"voice_leading": 2, "consonance": 1, "cadence": 2, "at_home": 2, "movement": 1, "novelty": 1},
}  # fmt: skip


def mixed(values: Mapping[str, float], mix: str) -> float:
    """The mean of the rewards in a mix of WEIGHTS, by weight, in [0, 1]; those that were not measured do not count."""
    if mix not in WEIGHTS:
        raise BadRequest(f"rewards are mixed as one of {', '.join(WEIGHTS)}; {mix!r} is none of them")
    weights = {name: weight for name, weight in WEIGHTS[mix].items() if name in values}
    if not weights:
        raise BadRequest(f"none of the rewards of {mix!r} was measured: {', '.join(WEIGHTS[mix])}")
    return sum(weight * values[name] for name, weight in weights.items()) / sum(weights.values())
