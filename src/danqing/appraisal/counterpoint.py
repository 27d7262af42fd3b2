"""The rules of four-part writing, one function each: where a piece breaks them, and how often it could have.

As harmony is taught (Aldwell & Schachter, "Harmony and Voice Leading"): parallel and hidden fifths and octaves, crossed
voices, spacing, ranges, leaps, the leading note. Shared with nothing that writes. Bach himself breaks each of them now
and then: `docs/guide/compose.md` says how often.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, pairwise

from danqing.artwork import pitches
from danqing.artwork.music import Key, Note
from danqing.errors import BadRequest

NAMES = ("soprano", "alto", "tenor", "bass")
NAMES_ZH = ("女高音", "女低音", "男高音", "男低音")
RANGES = ((60, 81), (53, 74), (47, 69), (36, 64))  # MIDI
RULES = {  # rule → its name in Chinese and English, in the order of the report
    "parallel-fifths": ("平行五度", "parallel fifths"),
    "parallel-octaves": ("平行八度", "parallel octaves"),
    "hidden": ("隐伏五八度", "hidden fifths and octaves"),
    "crossing": ("声部交叉", "crossed voices"),
    "spacing": ("声部间距", "spacing"),
    "range": ("音域", "range"),
    "leap": ("大跳", "leaps"),
    "leading-note": ("导音解决", "leading note resolved"),
    "doubled-leading-note": ("导音重复", "leading note doubled"),
}


@dataclass(frozen=True)
class Fault:
    """One place where a rule is broken."""

    rule: str  # one of RULES
    bar: int  # counted from 1; a pickup is bar 0
    beat: float  # quarter notes from the bar's beginning, counted from 1
    voices: tuple[int, ...]  # 0 soprano … 3 bass
    en: str
    zh: str


@dataclass(frozen=True)
class Judgement:
    """How four voices keep the rules."""

    faults: tuple[Fault, ...]  # in the order of time
    chances: Mapping[str, int]  # rule → places where it could have been broken

    def broken(self, rule: str) -> list[Fault]:
        """The places where one rule is broken."""
        return [fault for fault in self.faults if fault.rule == rule]


@dataclass(frozen=True)
class Moment:
    """All voices from one onset to the next."""

    onset: Fraction
    notes: tuple[Note | None, ...]  # of each voice, None where it is silent
    key: Key | None

    def pitch(self, voice: int) -> int | None:
        """MIDI; None for silence."""
        note = self.notes[voice]
        return None if note is None else note.pitch

    @property
    def sounding(self) -> list[int]:
        """All pitches."""
        return [note.pitch for note in self.notes if note is not None]


Found = tuple[Moment, tuple[int, ...], str, str]  # where, which voices, in English, in Chinese
Rule = Callable[[Sequence[Moment]], Iterator["Found | None"]]  # None: a chance that was not taken


def judge(voices: Sequence[Sequence[Note]], bars: Sequence[Fraction], keys: Sequence[Key], pickup: bool) -> Judgement:
    """Judge four voices, soprano to bass, each one note at a time.

    bars: where bars begin, and, last, the end; keys: of each bar, may be fewer; pickup: whether the first bar is one.
    """
    if len(voices) != len(NAMES):
        raise BadRequest(f"the rules are for {len(NAMES)} voices; there are {len(voices)}")
    moments = _moments(voices, bars, keys)
    faults: list[Fault] = []
    chances: dict[str, int] = {}
    for name, rule in _RULES.items():
        chances[name] = 0
        for found in rule(moments):
            chances[name] += 1
            if found is not None:
                moment, who, en, zh = found
                number = max(0, bisect.bisect_right(bars, moment.onset) - 1)
                beat = float(moment.onset - bars[number]) + 1
                faults.append(Fault(name, number + (0 if pickup else 1), beat, who, en, zh))
    order = list(RULES)
    faults.sort(key=lambda fault: (fault.bar, fault.beat, order.index(fault.rule)))
    return Judgement(tuple(faults), chances)


def _moments(voices: Sequence[Sequence[Note]], bars: Sequence[Fraction], keys: Sequence[Key]) -> list[Moment]:
    onsets = sorted({note.onset for voice in voices for note in voice})
    at = [0] * len(voices)
    found: list[Moment] = []
    for onset in onsets:
        now: list[Note | None] = []
        for v, voice in enumerate(voices):
            while at[v] + 1 < len(voice) and voice[at[v] + 1].onset <= onset:
                at[v] += 1
            note = voice[at[v]] if voice else None
            now.append(note if note is not None and note.onset <= onset < note.end else None)
        number = max(0, bisect.bisect_right(bars, onset) - 1)
        found.append(Moment(onset, tuple(now), keys[min(number, len(keys) - 1)] if keys else None))
    return found


# --- the rules --------------------------------------------------------------------------------------------------------


def _both(before: Moment, now: Moment, a: int, b: int) -> tuple[int, int, int, int] | None:
    """The pitches of two voices that both move from one moment to the next; None where one does not, or is silent."""
    was, here = (before.pitch(a), before.pitch(b)), (now.pitch(a), now.pitch(b))
    if None in (*was, *here) or was[0] == here[0] or was[1] == here[1]:
        return None
    return was[0], was[1], here[0], here[1]  # type: ignore[return-value]


def _names(a: int, b: int) -> tuple[str, str]:
    return f"{NAMES[a]} and {NAMES[b]}", f"{NAMES_ZH[a]}与{NAMES_ZH[b]}"


def _parallel(interval: int, moments: Sequence[Moment]) -> Iterator[Found | None]:
    """Two voices that move from one fifth, or octave, to another, in the same direction."""
    for before, now in pairwise(moments):
        for a, b in combinations(range(len(NAMES)), 2):
            moved = _both(before, now, a, b)
            if moved is None:
                continue
            was, then = moved[0] - moved[1], moved[2] - moved[3]
            same = (moved[2] - moved[0]) * (moved[3] - moved[1]) > 0
            if same and was % 12 == interval and then % 12 == interval:
                en, zh = _names(a, b)
                yield now, (a, b), en, zh
            else:
                yield None


def _parallel_fifths(moments: Sequence[Moment]) -> Iterator[Found | None]:
    return _parallel(7, moments)


def _parallel_octaves(moments: Sequence[Moment]) -> Iterator[Found | None]:
    return _parallel(0, moments)


def _hidden(moments: Sequence[Moment]) -> Iterator[Found | None]:
    """Soprano and bass that come into a fifth or octave from the same side, the soprano by leap."""
    soprano, bass = 0, len(NAMES) - 1
    for before, now in pairwise(moments):
        moved = _both(before, now, soprano, bass)
        if moved is None:
            continue
        up, low = moved[2] - moved[0], moved[3] - moved[1]
        arrives, left = (moved[2] - moved[3]) % 12, (moved[0] - moved[1]) % 12
        if up * low > 0 and abs(up) > 2 and arrives in (0, 7) and arrives != left:
            en, zh = ("an octave", "八度") if arrives == 0 else ("a fifth", "五度")
            yield now, (soprano, bass), f"soprano and bass come into {en}", f"外声部同向进入{zh}"
        else:
            yield None


def _entering(
    moments: Sequence[Moment], wrong: Callable[[Moment, int], bool], count: int
) -> Iterator[tuple[Moment, int, bool]]:
    """(moment, which, whether it goes wrong there and did not before), for each of `count` things at each moment."""
    before = [False] * count
    for moment in moments:
        for which in range(count):
            now = wrong(moment, which)
            yield moment, which, now and not before[which]
            before[which] = now


def _crossing(moments: Sequence[Moment]) -> Iterator[Found | None]:
    """A voice above the one that should be over it."""

    def crossed(moment: Moment, upper: int) -> bool:
        over, under = moment.pitch(upper), moment.pitch(upper + 1)
        return over is not None and under is not None and over < under

    for moment, upper, wrong in _entering(moments, crossed, len(NAMES) - 1):
        en, zh = _names(upper, upper + 1)
        yield (moment, (upper, upper + 1), en, zh) if wrong else None


def _spacing(moments: Sequence[Moment]) -> Iterator[Found | None]:
    """More than an octave between soprano and alto, or alto and tenor."""

    def wide(moment: Moment, upper: int) -> bool:
        over, under = moment.pitch(upper), moment.pitch(upper + 1)
        return over is not None and under is not None and over - under > 12

    for moment, upper, wrong in _entering(moments, wide, len(NAMES) - 2):
        en, zh = _names(upper, upper + 1)
        yield (moment, (upper, upper + 1), f"more than an octave between {en}", f"{zh}相距超过八度") if wrong else None


def _begun(now: Moment, voice: int) -> Note | None:
    """The note that a voice begins at this moment."""
    note = now.notes[voice]
    return note if note is not None and note.onset == now.onset else None


def _range(moments: Sequence[Moment]) -> Iterator[Found | None]:
    """A note that its voice does not sing."""
    for moment in moments:
        for voice, (low, high) in enumerate(RANGES):
            note = _begun(moment, voice)
            if note is None:
                continue
            if low <= note.pitch <= high:
                yield None
                continue
            far = ("low", "过低") if note.pitch < low else ("high", "过高")
            yield moment, (voice,), f"{NAMES[voice]} too {far[0]}", f"{NAMES_ZH[voice]}{far[1]}"


def _leap(moments: Sequence[Moment]) -> Iterator[Found | None]:
    """A seventh, or more than an octave, from one note to the next."""
    last: list[Note | None] = [None] * len(NAMES)
    for moment in moments:
        for voice in range(len(NAMES)):
            note = _begun(moment, voice)
            if note is None:
                continue
            before, last[voice] = last[voice], note
            if before is None or before.end != note.onset or before.pitch == note.pitch:
                continue
            size = abs(note.pitch - before.pitch)
            wrong = size in (10, 11) or size > 12
            told = f"{NAMES[voice]} leaps {size} semitones", f"{NAMES_ZH[voice]}跳进 {size} 个半音"
            yield (moment, (voice,), *told) if wrong else None


def _dominant(moment: Moment) -> int | None:
    """The leading note's pitch class where the chord is a dominant, V or vii°, of the key; None otherwise."""
    if moment.key is None:
        return None
    tonic = pitches.pitch_class(moment.key.tonic)
    above = {(pitch - tonic) % 12 for pitch in moment.sounding}
    if 11 in above and 2 in above and above <= {7, 11, 2, 5, 8, 9} and 0 not in above:
        return (tonic + 11) % 12
    return None


def _leading_note(moments: Sequence[Moment]) -> Iterator[Found | None]:
    """A leading note in an outer voice that does not rise to the tonic when the dominant is resolved."""
    for before, now in pairwise(moments):
        leading = _dominant(before)
        if leading is None or before.key is None:
            continue
        tonic = (leading + 1) % 12
        if tonic not in {pitch % 12 for pitch in now.sounding} or _dominant(now) is not None:
            continue
        for voice in (0, len(NAMES) - 1):
            was, here = before.pitch(voice), now.pitch(voice)
            if was is None or here is None or was % 12 != leading:
                continue
            up = here - was == 1
            yield None if up or here == was else (now, (voice,), f"in the {NAMES[voice]}", f"在{NAMES_ZH[voice]}")


def _doubled(moments: Sequence[Moment]) -> Iterator[Found | None]:
    """A leading note that two voices have at once."""
    for moment in moments:
        leading = _dominant(moment)
        if leading is None or all(_begun(moment, voice) is None for voice in range(len(NAMES))):
            continue
        who = tuple(v for v in range(len(NAMES)) if (p := moment.pitch(v)) is not None and p % 12 == leading)
        if len(who) < 2:
            yield None
            continue
        en, zh = _names(who[0], who[1])
        yield moment, who, en, zh


_RULES: Mapping[str, Rule] = {
    "parallel-fifths": _parallel_fifths,
    "parallel-octaves": _parallel_octaves,
    "hidden": _hidden,
    "crossing": _crossing,
    "spacing": _spacing,
    "range": _range,
    "leap": _leap,
    "leading-note": _leading_note,
    "doubled-leading-note": _doubled,
}
