"""What a piece of music is: key, metre, chords, cadences, form, melody, ranges, mood; the rules of four parts.

Measures are counted from the notes, each with what it is made of, so that a person can see why. The rules of four-part
writing are in `counterpoint`, what is printed in `music_page`. Nothing here shares code with what composes.
Mood: valence and arousal from mode, tempo, register, density and loudness, the features that listeners follow most
(Gabrielsson & Lindström 2010); a rule of thumb, not a model of a listener.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, Protocol

from danqing.appraisal import counterpoint
from danqing.appraisal.counterpoint import Judgement
from danqing.artwork.music import ZERO, Chord, Key, Note, Score
from danqing.encode import theory
from danqing.encode.melodies import Line, Passage

LONG = 1.75  # times the usual note: a note of the melody on which a phrase may end
FORM_BARS = 4  # bars of a section that is named by a letter
ALIKE = 0.6  # share of a section's notes that make it the same as an earlier one
PARTS = 4  # voices that the rules are for
# Weights of the mood; each feature lies in −1 to 1.
VALENCE = {"mode": 0.6, "tempo": 0.25, "register": 0.15}
AROUSAL = {"tempo": 0.45, "density": 0.4, "loudness": 0.15}


class Tunes(Protocol):
    """The tunes that the models learned from; `encode.melodies.Known` is one."""

    def longest(self, line: Line) -> Passage | None:
        """The longest stretch of a melody that is known."""


@dataclass(frozen=True)
class Cadence:
    """How a phrase ends."""

    bar: int
    kind: str  # "authentic", "half", "plagal", "deceptive"
    chords: str  # "V7 I"


@dataclass(frozen=True)
class Melody:
    """What the top line does."""

    notes: int
    lowest: int  # MIDI
    highest: int
    steps: float  # share of its moves by one or two semitones
    leaps: float  # share of its moves by more than four
    repeats: float  # share of its moves that stay
    returning: float  # share of its bars whose rhythm and intervals were there before
    longest_rest: float  # quarter notes in which nothing at all sounds


@dataclass(frozen=True)
class Mood:
    """Where a piece lies between sad and glad, calm and stirred."""

    valence: float  # −1 to 1
    arousal: float  # −1 to 1
    features: Mapping[str, float]  # each −1 to 1
    name: str  # "joyful", "calm", "sad" or "agitated"


@dataclass(frozen=True)
class Known:
    """The longest stretch of the melody that stands in the training tunes as well."""

    first: int  # bar
    last: int
    bars: float  # how many it spans


@dataclass(frozen=True)
class Report:
    """Everything that is said of one piece."""

    title: str
    composer: str
    bars: int
    seconds: float
    key: Key
    given_key: Key | None  # what the file says
    metre: str  # "3/4"; "4/4, 3/4" where it changes
    tempo: float  # quarter notes a minute, at the beginning
    keys: tuple[tuple[int, Key], ...]  # where the key changes: bar, key
    chords: tuple[tuple[int, str, str], ...]  # bar, symbol, roman numeral
    cadences: tuple[Cadence, ...]
    form: str  # a letter for each four bars: "AABA"
    parts: tuple[tuple[str, int, int], ...]  # name, lowest and highest MIDI
    melody: Melody
    rules: Judgement | None  # None where there are not four voices
    mood: Mood
    known: Known | None
    compared: bool  # whether the training tunes were at hand

    def as_dict(self) -> dict[str, Any]:
        """Plain lists, dicts, strings and numbers."""
        plain = dataclasses.asdict(self)
        plain["key"], plain["given_key"] = str(self.key), str(self.given_key) if self.given_key else None
        plain["keys"] = [[bar, str(key)] for bar, key in self.keys]
        return plain

    def lines(self, language: str = "") -> list[str]:
        """The report for people, in "zh" or "en"; English unless given."""
        from danqing.appraisal import music_page

        return music_page.lines(self, chinese=language == "zh")


def appraise(score: Score, tunes: Tunes | None = None) -> Report:
    """Judge a piece. tunes: those that the models learned from."""
    bars = Bars.of(score)
    pitched = [note for note in score.notes if not score.parts[note.part].drums] or list(score.notes)
    key = theory.find_key(pitched)
    local = theory.local_keys(score) if len(bars.starts) > 2 else [key]
    voices = _voices(score)
    top = theory.skyline(voices[0] if voices else pitched)
    chords = _chords(score, local, key, bars, fine=voices is not None)
    names = {f"{meter.beats}/{meter.unit}": None for meter in score.meters}
    rules = counterpoint.judge(voices, bars.starts, _told(local, key), bool(score.pickup)) if voices else None
    return Report(
        title=score.title,
        composer=score.composer,
        bars=len(bars.starts) - 1 - bool(score.pickup),
        seconds=round(score.seconds(score.length), 1),
        key=key,
        given_key=score.key_at(ZERO),
        metre=", ".join(list(names)[:4]),
        tempo=score.tempos[0].bpm if score.tempos else 120.0,
        keys=tuple(_changes(_told(local, key), bars)),
        chords=tuple((bars.number(c.onset), c.name, theory.roman(c.name, key)) for c in chords if c.name != "N"),
        cadences=tuple(_cadences(top, chords, key, bars)),
        form=_form(top, bars),
        parts=tuple(_ranges(score)),
        melody=_melody(top, score, bars),
        rules=rules,
        mood=_mood(score, pitched, key),
        known=_known(top, score, bars, tunes) if tunes is not None else None,
        compared=tunes is not None,
    )


@dataclass(frozen=True)
class Bars:
    """Where bars begin and how they are counted: a pickup is bar 0."""

    starts: list[Fraction]  # and, last, the end
    first: int

    @classmethod
    def of(cls, score: Score) -> Bars:
        """Of a piece."""
        return cls(score.bars(), 0 if score.pickup else 1)

    def place(self, onset: Fraction) -> int:
        """Which of the bars an onset is in, from 0."""
        import bisect

        return min(max(0, bisect.bisect_right(self.starts, onset) - 1), max(0, len(self.starts) - 2))

    def number(self, onset: Fraction) -> int:
        """The number of the bar that an onset is in."""
        return self.place(onset) + self.first


def _voices(score: Score) -> list[tuple[Note, ...]] | None:
    """The four voices, the highest first; None where there are not four that sing one note at a time."""
    lines = [score.of(i) for i, part in enumerate(score.parts) if not part.drums and score.of(i)]
    if len(lines) != PARTS or any(a.end > b.onset for line in lines for a, b in pairwise(line)):
        return None
    return sorted(lines, key=lambda line: -sum(note.pitch for note in line) / len(line))


# --- harmony ----------------------------------------------------------------------------------------------------------


def _told(local: Sequence[Key], key: Key) -> list[Key]:
    """The key of each bar; where a piece of few bars says little, that of the whole."""
    return list(local) or [key]


def _changes(keys: Sequence[Key], bars: Bars) -> list[tuple[int, Key]]:
    found: list[tuple[int, Key]] = []
    for place, key in enumerate(keys):
        if not found or str(found[-1][1]) != str(key):
            found.append((place + bars.first, key))
    return found


def _chords(score: Score, local: Sequence[Key], key: Key, bars: Bars, *, fine: bool) -> list[Chord]:
    """The symbols that the file has; else those that are found, at every beat where four voices say it."""
    if score.chords:
        return [chord for chord in score.chords if _is_chord(chord.name)]
    keyed = dataclasses.replace(score, keys=(key,))
    return list(theory.find_chords(keyed, Fraction(1) if fine else None))


def _is_chord(name: str) -> bool:
    from danqing.errors import BadRequest

    try:
        return theory.chord_symbol(name) is not None
    except BadRequest:
        return False


def _cadences(top: Sequence[Note], chords: Sequence[Chord], key: Key, bars: Bars) -> list[Cadence]:
    """At the long notes of the melody and at its end: how the two chords there follow each other."""
    if len(top) < 2 or len(chords) < 2:
        return []
    usual = sorted(note.duration for note in top)[len(top) // 2]
    found: list[Cadence] = []
    for note in top:
        last = note is top[-1]
        if not last and note.duration < LONG * usual:
            continue
        there = [i for i, chord in enumerate(chords) if chord.onset < note.end]
        if len(there) < 2:
            continue
        before, now = chords[there[-2]], chords[there[-1]]
        romans = theory.roman(before.name, key), theory.roman(now.name, key)
        kind = _kind(*romans, last=last)
        number = bars.number(now.onset)
        if kind and not (found and found[-1].bar == number):
            found.append(Cadence(number, kind, " ".join(romans)))
    return found


def _kind(before: str, now: str, *, last: bool) -> str:
    """What musicians call it when the second roman numeral follows the first; "" for no cadence."""

    def degree(roman: str) -> str:
        return roman.partition("/")[0].rstrip("0123456789°ø+majb#").upper() if "/" not in roman else ""

    if now.endswith(("6", "64", "65", "43", "42")):  # a phrase comes to rest on a root
        return ""
    root, goal = degree(before), degree(now)
    if root in ("V", "VII") and goal == "I":
        return "authentic"
    if root == "V" and goal == "VI":
        return "deceptive"
    if root == "IV" and goal == "I" and last:
        return "plagal"
    return "half" if goal == "V" and root in ("I", "II", "IV", "VI") else ""


# --- melody and form --------------------------------------------------------------------------------------------------


def _melody(top: Sequence[Note], score: Score, bars: Bars) -> Melody:
    moves = [abs(b.pitch - a.pitch) for a, b in pairwise(top)]
    count = max(1, len(moves))
    seen: set[tuple[tuple[Fraction, int], ...]] = set()
    returning = 0
    shapes = [shape for shape in _shapes(top, bars) if len(shape) > 1]
    for shape in shapes:
        returning += shape in seen
        seen.add(shape)
    return Melody(
        notes=len(top),
        lowest=min(note.pitch for note in top),
        highest=max(note.pitch for note in top),
        steps=sum(move in (1, 2) for move in moves) / count,
        leaps=sum(move > 4 for move in moves) / count,
        repeats=sum(move == 0 for move in moves) / count,
        returning=returning / max(1, len(shapes)),
        longest_rest=_silence(score),
    )


def _shapes(top: Sequence[Note], bars: Bars) -> list[tuple[tuple[Fraction, int], ...]]:
    """Each bar's rhythm and pitches above its first note."""
    found: list[list[Note]] = [[] for _ in range(max(1, len(bars.starts) - 1))]
    for note in top:
        found[bars.place(note.onset)].append(note)
    starts = bars.starts
    return [tuple((n.onset - starts[i], n.pitch - bar[0].pitch) for n in bar) for i, bar in enumerate(found)]


def _silence(score: Score) -> float:
    """The longest time between two notes in which nothing sounds, in quarter notes."""
    longest, end = ZERO, score.notes[0].onset if score.notes else ZERO
    for note in score.notes:
        longest, end = max(longest, note.onset - end), max(end, note.end)
    return float(longest)


def _form(top: Sequence[Note], bars: Bars) -> str:
    """A letter for each FORM_BARS bars, the same where the melody is much the same."""
    sections: list[Counter[tuple[Fraction, int]]] = []
    offset = 0 if bars.first else 1
    full = bars.starts[offset:]
    for start, stop in zip(full[::FORM_BARS], [*full[FORM_BARS::FORM_BARS], bars.starts[-1]], strict=False):
        if stop > start:
            sections.append(Counter((n.onset - start, n.pitch) for n in top if start <= n.onset < stop))
    letters, known = "", list[Counter[tuple[Fraction, int]]]()
    for section in sections:
        size = max(1, section.total())
        same = next(
            (i for i, one in enumerate(known) if (one & section).total() / max(size, one.total()) >= ALIKE), None
        )
        if same is None:
            same = len(known)
            known.append(section)
        letters += chr(ord("A") + same) if same < 26 else "…"
    return letters


def _ranges(score: Score) -> list[tuple[str, int, int]]:
    found = []
    for i, part in enumerate(score.parts):
        own = [note.pitch for note in score.of(i)]
        if own and not part.drums:
            found.append((part.name or f"part {i + 1}", min(own), max(own)))
    return found


# --- mood and originality ---------------------------------------------------------------------------------------------


def _mood(score: Score, notes: Sequence[Note], key: Key) -> Mood:
    seconds = max(1.0, score.seconds(score.length))
    minutes = seconds / 60
    bpm = float(score.length) / minutes
    features = {
        "mode": 1.0 if key.mode == "major" else -1.0,
        "tempo": _bounded(math.log2(bpm / 100)),  # 100 is neither slow nor fast
        "register": _bounded((sum(note.pitch for note in notes) / len(notes) - 62) / 12),
        "density": _bounded(math.log2(len({n.onset for n in notes}) / seconds / 2)),  # two onsets a second are usual
        "loudness": _bounded((sum(note.velocity for note in notes) / len(notes) - 75) / 40),
    }
    valence = sum(weight * features[name] for name, weight in VALENCE.items())
    arousal = sum(weight * features[name] for name, weight in AROUSAL.items())
    name = ("joyful" if arousal >= 0 else "calm") if valence >= 0 else ("agitated" if arousal >= 0 else "sad")
    return Mood(round(valence, 2), round(arousal, 2), {k: round(v, 2) for k, v in features.items()}, name)


def _bounded(value: float) -> float:
    return max(-1.0, min(1.0, value))


def _known(top: Sequence[Note], score: Score, bars: Bars, tunes: Tunes) -> Known | None:
    bar = score.meter_at(ZERO).bar
    found = tunes.longest(Line(tuple(top), bar))
    if found is None:
        return None
    last = max(note.onset for note in top if note.onset < found.stop)
    return Known(bars.number(found.start), bars.number(last), round(float(found.length / bar), 1))
