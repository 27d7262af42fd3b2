"""Forms that a poem cannot leave: which tokens may come next, at every place, so that it is kept and can be ended.

A form's plan (patterns.py) becomes a line of slots; a state says how far a poem has come, which patterns its tones
still fit, and in which rhyme groups it can still go on. A character with both tones fits either, so several patterns
stay possible until one is left over. Nothing is tried and taken back: a group is open only while it has enough unused
characters for all the rhymes to come, and no other place may use the last of these, so a poem never gets stuck.

Decoding keeps to the readings that poets used (`usual_tone`, `usual_rhymes`), a part of those that a reader accepts.
What the person gives is kept as it is, whatever it breaks: `notes` says what that was.

No character comes twice in regulated verse and couplets, but for doubled words (悠悠); `no_repeat` changes it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from danqing.encode import patterns
from danqing.encode.patterns import FORMS, OTHER, Line, Option, Plan
from danqing.encode.prosody import CI_CLASSES, Prosody
from danqing.errors import BadRequest, UnknownName

__all__ = ["FORMS", "Asked", "FormConstraint", "State", "constraint", "deviations", "plan_of"]

Mask = NDArray[np.bool_]
_LEVEL, _OBLIQUE = 1, 2
_BITS: Mapping[str | None, int] = {"平": _LEVEL, "仄": _OBLIQUE, "both": _LEVEL | _OBLIQUE, None: 0}
_START = {"level": "平", "oblique": "仄", "平": "平", "仄": "仄", "平起": "平", "仄起": "仄"}
_NAMES = {"平": "level", "仄": "oblique"}
_MISSING = "囗□"  # stand for lost characters in the collections


class Vocabulary(Protocol):
    """What is needed of a vocabulary: encode/text.py's have more."""

    def __len__(self) -> int: ...
    def __hash__(self) -> int: ...
    def has(self, special: str) -> bool: ...
    def id(self, special: str) -> int: ...
    def decode(self, ids: Iterable[int]) -> str: ...


class Asked(TypedDict, total=False):
    """What may be asked of a form; all of it optional."""

    rhyme: str | None  # a group: 一东 or 东
    first_line_rhyme: bool | None  # of regulated verse
    start_tone: str | None  # of the second character of line 1: level or oblique
    acrostic: str  # the lines' first characters
    opening: str  # how the poem begins: kept as it is
    upper: str  # the upper line of a couplet
    tune: str | None  # of 词
    no_repeat: bool | None  # no character twice; None: as the form has it
    lines: int  # of 古诗 and 自由诗
    width: int  # characters of a line of 古诗 and of a couplet without an upper line; the most of one of 自由诗


@dataclass(frozen=True)
class Slot:
    """One place of a poem: a character or a mark."""

    line: int
    place: int  # in the line, from 0
    token: int = -1  # the only token that fits: a mark, or what the person gave; -1 where there is a choice
    given: bool = False  # by the person
    copy: int = -1  # the slot whose character returns here


class State(NamedTuple):
    """How far a poem has come. Immutable, so that candidates of a batch share their past."""

    at: int  # number of the next slot
    tokens: tuple[int, ...]
    templates: int  # bits of the templates that still fit
    options: int  # bits of the current line's options that still fit
    groups: tuple[int, ...]  # for each set of rhymes, bits of the groups in which it can go on


class Tones:
    """A vocabulary seen with a rhyme book: which tokens have which tones and rhymes. Made once, shared by forms."""

    def __init__(self, vocabulary: Vocabulary, prosody: Prosody, song: bool) -> None:
        self.prosody, self.song, self.size = prosody, song, len(vocabulary)
        self.ids = characters(vocabulary)
        self.chars = {i: c for c, i in self.ids.items()}
        self.chinese = np.zeros(self.size, np.bool_)
        self.bits = np.zeros(self.size, np.uint8)  # tones in use
        self.groups: dict[str, int] = {}  # name → number
        self.of: dict[tuple[str, int], int] = {}  # (tone, token) → bits of its groups
        for char, token in self.ids.items():
            if is_chinese(char) and char not in _MISSING:
                self.chinese[token] = True
                self.bits[token] = _BITS[prosody.usual_tone(char)]
                for tone in "平仄":
                    if names := self.names(char, tone, usual=True):
                        self.of[tone, token] = self._number(names)
        self.members: dict[tuple[str, int], Mask] = {}
        self.sets: dict[tuple[str, int], frozenset[int]] = {}
        for tone in "平仄":
            for number in range(len(self.groups)):
                tokens = [i for (t, i), bits in self.of.items() if t == tone and bits >> number & 1]
                self.sets[tone, number] = frozenset(tokens)
                mask = np.zeros(self.size, np.bool_)
                mask[tokens] = True
                self.members[tone, number] = mask
        self.by_tone = {
            "平": (self.bits & _LEVEL) > 0,
            "仄": (self.bits & _OBLIQUE) > 0,
            "中": self.chinese,
            "firm": self.bits == _OBLIQUE,
        }

    def names(self, char: str, tone: str, usual: bool) -> frozenset[str]:
        """The groups in which a character of this tone rhymes, as this kind of form sees them."""
        p = self.prosody
        if self.song:
            classes = p.usual_ci_rhymes(char, tone) if usual else p.ci_rhymes(char, tone)
            return frozenset(c[:-1] for c in classes)  # level and oblique of one class may rhyme: 西江月
        found = p.usual_rhymes(char, tone) if usual else p.rhymes(char, tone)
        return frozenset(f"{g}{tone}" for g in found) if p.book == "modern" else found

    def given(self, char: str, tone: str) -> int:
        """Bits of the groups of a character that the person gave: all that the book knows."""
        return sum(1 << self.groups[n] for n in self.names(char, tone, usual=False) if n in self.groups)

    def _number(self, names: Iterable[str]) -> int:
        return sum(1 << self.groups.setdefault(n, len(self.groups)) for n in sorted(names))


@functools.lru_cache(maxsize=6)
def _tones(vocabulary: Vocabulary, prosody: Prosody, song: bool) -> Tones:
    return Tones(vocabulary, prosody, song)


def characters(vocabulary: Vocabulary) -> dict[str, int]:
    """The tokens that are exactly one character: character → token, the first where several are."""
    found: dict[str, int] = {}
    for token in range(len(vocabulary)):
        text = vocabulary.decode([token])
        if len(text) == 1 and text not in found:
            found[text] = token
    return found


def is_chinese(char: str) -> bool:
    """Whether it is a Chinese character, no mark and no letter."""
    return "\u3400" <= char <= "\u9fff" or "\U00020000" <= char <= "\U0003ffff"


# --- what is asked ----------------------------------------------------------------------------------------------------


def plan_of(form: str, asked: Asked) -> Plan:
    """The plan of a form: 七绝, 词:浣溪沙, 对联 … Raises UnknownName, and BadRequest for 词 without a tune."""
    name, _, tune = form.partition(":")
    tune = tune or asked.get("tune") or ""
    if tune and name != "词":
        raise BadRequest(f"tune {tune!r} and form {form!r} contradict each other: only 词 has a tune; leave one out")
    if name == "词":
        if not tune:
            raise BadRequest(f"词 needs a tune, as in 词:浣溪沙; the tunes: {' '.join(patterns.tunes())}")
        return patterns.song(patterns.tune(tune))
    if name == "藏头诗":
        count = len(asked.get("acrostic", ""))
        name = {4: "七绝", 8: "七律"}.get(count, "古诗")
        if name == "古诗":
            return patterns.old_style("古诗", max(count + count % 2, 2), asked.get("width") or 7)
    if name in patterns.REGULATED:
        return patterns.regulated(name, *patterns.REGULATED[name])
    if name in patterns.OLD:
        count, width = patterns.OLD[name]
        count, width = asked.get("lines") or count, asked.get("width") or width
        if not 2 <= count <= 40 or count % 2 or width not in (4, 5, 6, 7):
            raise BadRequest(
                f"古诗 of {count} lines of {width}: it has 2 to 40 lines, an even number, of 4 to 7 characters"
            )
        return patterns.old_style(name, count, width)
    if name == "对联":
        return _couplet(asked)
    raise UnknownName("form", form, [*FORMS, *patterns.OLD], f"the Chinese forms: {' '.join(FORMS)}")


def _couplet(asked: Asked) -> Plan:
    if asked.get("upper", "").strip():
        return Plan("对联", (), no_repeat=True)  # filled in by `_answer`, which needs the tones of the upper line
    width = asked.get("width") or 7
    if not 2 <= width <= 40:
        raise BadRequest(f"a couplet's line has {width} characters; it has 2 to 40")
    return patterns.couplet(width)


def constraint(
    form: str, vocabulary: Vocabulary, prosody: Prosody, **asked: Unpack[Asked]
) -> FormConstraint | FreeVerse:
    """Decoding that keeps a form, for tokens of this vocabulary.

    The tokens of the poem begin after `<text>`: what the person gave (opening, upper line) is part of them, the marks
    too, and `<end>`, where the vocabulary has one, comes last. Raises BadRequest for what contradicts, naming both, and
    for characters outside the vocabulary, naming them; UnknownName for an unknown form, tune, rhyme or tone.
    """
    if form == "自由诗":
        return _free(vocabulary, asked)
    plan = plan_of(form, asked)
    tones = _tones(vocabulary, prosody, plan.song)
    notes: list[str] = []
    upper = asked.get("upper", "").strip()
    if upper and plan.name != "对联":
        raise BadRequest(f"an upper line and the form {form!r} contradict each other: only 对联 answers an upper line")
    if upper and asked.get("opening"):
        raise BadRequest(
            "an upper line and an opening contradict each other: the upper line is the opening; leave one out"
        )
    if upper:
        plan, notes = _answer(upper, tones)
        asked = {**asked, "opening": upper}
    return _Builder(plan, tones, vocabulary, asked, notes).build(form)


def _free(vocabulary: Vocabulary, asked: Asked) -> FreeVerse:
    for name in ("rhyme", "first_line_rhyme", "start_tone", "acrostic", "upper", "tune"):
        if asked.get(name):
            raise BadRequest(f"{name} and the form '自由诗' contradict each other: free verse has lines and no more")
    return FreeVerse(vocabulary, asked.get("lines") or 12, asked.get("width") or 14, asked.get("opening", "").strip())


def deviations(
    form: str, text: str, vocabulary: Vocabulary, prosody: Prosody, **asked: Unpack[Asked]
) -> tuple[str, ...]:
    """Where a whole poem leaves its form, in words; nothing where it keeps it. Raises as `constraint` does."""
    whole = asked.copy()
    whole["opening"] = text
    return constraint(form, vocabulary, prosody, **whole).notes


# --- the couplet's answer ---------------------------------------------------------------------------------------------


def _answer(upper: str, tones: Tones) -> tuple[Plan, list[str]]:
    """The plan of a couplet with this upper line, and what is odd about the line."""
    parts = [p for p in re.split(r"[，。、！？；：,.!?;:\s]+", upper) if p]
    inner = re.findall(r"[，、！？；：]", upper.rstrip("，。、！？；："))
    chars = "".join(parts)
    if not 1 <= len(chars) <= 40 or len(inner) != len(parts) - 1:
        raise BadRequest(
            f"the upper line has {len(chars):,} characters; a couplet's line has 1 to 40, in parts joined by ，"
        )
    last = tones.prosody.tone(chars[-1])
    notes = []
    if last == "平":
        notes.append(f"the upper line ends level ({chars[-1]}); it commonly ends oblique, so the answer ends oblique")
    first = {c: chars.index(c) for c in chars}
    marks = [*inner, "；" if inner and "；" in tones.ids else "，"]
    lines = [Line((Option("中" * len(p)),), m) for p, m in zip(parts, marks, strict=True)]
    wanted = _mirrored(parts, tones.prosody, "平" if last != "平" else "仄")
    start = 0
    for part, mark in zip(parts, [*inner, "。"], strict=True):
        own = range(start, start + len(part))
        copies = {i - start: len(chars) + first[chars[i]] for i in own if first[chars[i]] != i}
        tone = "".join(wanted[i] for i in own)
        firm = start + len(part) == len(chars) and tone.endswith("仄")
        lines.append(Line((Option(tone, firm=firm),), mark, copies or None))
        start += len(part)
    return Plan("对联", tuple(lines), no_repeat=True), notes


def _mirrored(parts: Sequence[str], prosody: Prosody, last: str) -> list[str]:
    """The tones of the answer: opposite at even places and at the ends of parts, free elsewhere."""
    chars = "".join(parts)
    wanted: list[str] = []
    for part in parts:
        for place, char in enumerate(part):
            strict = place % 2 == 1 or place == len(part) - 1
            wanted.append(OTHER.get(prosody.tone(char) or "", "中") if strict else "中")
    wanted[-1] = last
    for i, char in enumerate(chars):  # a character that comes again must fit all its places
        same = [wanted[k] for k in range(len(chars)) if chars[k] == char and wanted[k] != "中"]
        wanted[i] = wanted[-1] if chars[-1] == char else same[0] if same else "中"
    if len(chars) >= 3 and wanted[-3] == "中" and wanted[-2] == wanted[-1] != "中" and chars.count(chars[-3]) == 1:
        wanted[-3] = OTHER[wanted[-1]]  # not three of one tone at the end
    return wanted


# --- from a plan to a constraint --------------------------------------------------------------------------------------


class _Builder:
    """Puts together what was asked, refusing what cannot be."""

    def __init__(
        self, plan: Plan, tones: Tones, vocabulary: Vocabulary, asked: Asked, notes: Iterable[str] = ()
    ) -> None:
        self.plan, self.tones, self.asked = plan, tones, asked
        self.notes = list(notes)
        self.end = vocabulary.id("<end>") if vocabulary.has("<end>") else -1
        self.templates = (1 << len(plan.templates)) - 1
        self.slots: list[Slot] = []
        self.groups = [0] * plan.sets
        repeat = asked.get("no_repeat")
        self.no_repeat = plan.no_repeat if repeat is None else repeat

    def build(self, form: str) -> FormConstraint:
        """The constraint."""
        self._lay()
        opening = self._opening()
        self._acrostic()
        asked = self._asked_templates(form)
        self._fit(opening, asked)
        self._rhymes(form)
        return FormConstraint(self)

    def _lay(self) -> None:
        """One slot for each character and mark."""
        where: list[int] = []  # character → slot
        for number, line in enumerate(self.plan.lines):
            for place in range(line.length):
                copy = (line.copies or {}).get(place, -1)
                where.append(len(self.slots))
                self.slots.append(Slot(number, place, copy=where[copy] if copy >= 0 else -1))
            if line.mark not in self.tones.ids:
                raise BadRequest(f"the model's vocabulary has no {line.mark}, which {self.plan.name} needs")
            self.slots.append(Slot(number, line.length, token=self.tones.ids[line.mark]))

    def _tokens(self, text: str, what: str) -> list[int]:
        unknown = list(dict.fromkeys(c for c in text if c not in self.tones.ids or not is_chinese(c)))
        if unknown:
            shown = " ".join(unknown[:8]) + (f" and {len(unknown) - 8} more" if len(unknown) > 8 else "")
            raise BadRequest(f"the {what} has characters that the model does not know: {shown}; use others")
        return [self.tones.ids[c] for c in text]

    def _opening(self) -> list[int]:
        """Give the opening's characters to the first slots; returns these slots."""
        parts = [p for p in re.split(r"[，。、！？；：,.!?;:\s]+", self.asked.get("opening", "")) if p]
        what = "upper line" if self.asked.get("upper") else "opening"
        free = [i for i, slot in enumerate(self.slots) if slot.token < 0]
        count = sum(map(len, parts))
        if count > len(free):
            raise BadRequest(
                f"the {what} has {count:,} characters; {self.plan.name} has {len(free)} in all; shorten it"
            )
        ends = {sum(line.length for line in self.plan.lines[: n + 1]) for n in range(len(self.plan.lines))}
        at = 0
        for number, part in enumerate(parts):
            whole = at + len(part) in ends
            crosses = any(at < end < at + len(part) for end in ends)
            if (crosses and not (whole and len(parts) == 1)) or not (whole or number == len(parts) - 1):
                lengths = "，".join(str(line.length) for line in self.plan.lines[:6])
                raise BadRequest(
                    f"the {what}'s {part[:20]!r} has {len(part)} characters, which is not how the lines of "
                    f"{self.plan.name} go: {lengths} …"
                )
            at += len(part)
        text = "".join(parts)
        for i, token in zip(free, self._tokens(text, what), strict=False):
            self.slots[i] = replace(self.slots[i], token=token, given=True, copy=-1)
        return free[:count]

    def _acrostic(self) -> None:
        text = "".join(c for c in self.asked.get("acrostic", "") if not c.isspace() and c not in "，。、！？；：")
        starts = [i for i, s in enumerate(self.slots) if s.place == 0 and self.plan.lines[s.line].verse]
        if len(text) > len(starts):
            raise BadRequest(
                f"the acrostic has {len(text):,} characters and {self.plan.name} {len(starts)} lines; "
                f"shorten the one or choose a longer form"
            )
        for number, (i, token) in enumerate(zip(starts, self._tokens(text, "acrostic"), strict=False)):
            slot, char = self.slots[i], text[number]
            if slot.given and slot.token != token:
                raise BadRequest(
                    f"the acrostic and the opening contradict each other: line {number + 1} begins with {char} in "
                    f"the one, with {self.tones.chars[slot.token]} in the other"
                )
            options = self.plan.lines[slot.line].options
            if not slot.given and not any(self._fits(char, o.tones[0]) for o in options):
                wanted = options[0].tones[0]
                raise BadRequest(
                    f"the acrostic's {char} cannot begin line {number + 1} of {self.plan.name}: it is "
                    f"{_NAMES[OTHER[wanted]]}, the tune wants {_NAMES[wanted]} there; choose another word or tune"
                )
            self.slots[i] = replace(slot, token=token, given=True, copy=-1)

    def _fits(self, char: str, tone: str) -> bool:
        """Whether some reading of a given character has this tone; unknown ones fit any."""
        own = self.tones.prosody.tone(char)
        return tone == "中" or own is None or own == "both" or own == tone

    def _asked_templates(self, form: str) -> int:
        """Bits of the templates that were asked for by name."""
        bits = self.templates
        names = self.plan.templates
        start, rhymed = self.asked.get("start_tone"), self.asked.get("first_line_rhyme")
        if start is not None:
            if start not in _START:
                raise UnknownName("start tone", start, ("level", "oblique"), "level (平起) or oblique (仄起)")
            bits &= sum(1 << n for n, name in enumerate(names) if name.startswith(_START[start]))
        if rhymed is not None:
            bits &= sum(1 << n for n, name in enumerate(names) if "句" in name and ("不" not in name) == rhymed)
        if not bits:
            what = "a start tone" if start is not None else "a choice of first-line rhyme"
            raise BadRequest(f"{what} and the form {form!r} contradict each other: only regulated verse has one")
        return bits

    def _fit(self, opening: Sequence[int], asked: int) -> None:
        """Keep the templates that what was given breaks least, and say what it breaks."""
        given = [i for i, slot in enumerate(self.slots) if slot.given]
        faults = {n: self._faults(given, n) for n in range(len(self.plan.templates))}
        least = min(len(f) for f in faults.values())
        best = min(len(f) for n, f in faults.items() if asked >> n & 1)
        if best > least:
            kind = "start tone" if self.asked.get("start_tone") is not None else "first-line rhyme"
            fault = next(f for n, f in faults.items() if asked >> n & 1 and len(f) == best)[0]
            raise BadRequest(f"the {kind} asked for and the opening contradict each other: {fault}; leave one out")
        self.templates = sum(1 << n for n, f in faults.items() if asked >> n & 1 and len(f) == best)
        chosen = [n for n in faults if self.templates >> n & 1]
        ends = [i for i in opening if self._rhyme_of(i, chosen[0]) != self._rhyme_of(i, chosen[-1])]
        if ends and len(chosen) > 1:  # an end that can be read either way: as poets mostly did
            char = self.tones.chars[self.slots[ends[0]].token]
            seen = self.tones.prosody.estimate(char)
            rhymed = seen is None or seen.level >= 0.5
            kept = [n for n in chosen if (self._rhyme_of(ends[0], n) >= 0) == rhymed]
            self.templates = sum(1 << n for n in kept)
            chosen = kept
        if opening:
            self.notes += faults[chosen[0]]

    def _option(self, line: int, template: int, given: Mapping[int, str]) -> Option:
        """The option of a line that the given characters (place → character) break least."""
        options = [o for o in self.plan.lines[line].options if o.templates >> template & 1]
        return min(options, key=lambda o: sum(not self._fits(c, o.tones[p]) for p, c in given.items()))

    def _rhyme_of(self, slot: int, template: int) -> int:
        """The set of rhymes that a slot belongs to under a template, -1 for none."""
        s = self.slots[slot]
        line = self.plan.lines[s.line]
        if s.place != line.length - 1:
            return -1
        return next(o.rhyme for o in line.options if o.templates >> template & 1)

    def _faults(self, given: Sequence[int], template: int) -> list[str]:
        """What the given characters break under a template, in words."""
        found = []
        name = self.plan.templates[template] or self.plan.name
        by_line: dict[int, dict[int, str]] = {}
        for i in given:
            by_line.setdefault(self.slots[i].line, {})[self.slots[i].place] = self.tones.chars[self.slots[i].token]
        heard: dict[int, list[tuple[str, int]]] = {}
        for line, chars in by_line.items():
            option = self._option(line, template, chars)
            found += [
                f"line {line + 1}: {char} ({place + 1}) is {_NAMES[OTHER[option.tones[place]]]}, "
                f"{name} has {_NAMES[option.tones[place]]} there"
                for place, char in chars.items()
                if not self._fits(char, option.tones[place])
            ]
            end = chars.get(len(option.tones) - 1)
            if end is None or option.rhyme < 0:
                continue
            earlier = heard.setdefault(option.rhyme, [])
            own = self._bits(end, option.tones[-1])
            if any(end == c for c, _ in earlier) and not self.plan.lines[line].copies:
                found.append(f"line {line + 1}: the rhyme {end} comes twice")
            elif own and earlier and not own & earlier[-1][1]:
                found.append(f"line {line + 1}: {end} does not rhyme with {earlier[-1][0]}")
            common = own & earlier[-1][1] if earlier and own & earlier[-1][1] else own
            if own:
                earlier.append((end, common))
        return found

    def _bits(self, char: str, tone: str) -> int:
        """Bits of the groups of a given character at a rhyme of this tone."""
        bits = 0
        for t in "平仄" if tone == "中" else tone:
            bits |= self.tones.given(char, t)
        return bits

    def _rhymes(self, form: str) -> None:
        """Which groups each set of rhymes begins with."""
        name = self.asked.get("rhyme")
        if name and not self.plan.sets:
            raise BadRequest(f"the rhyme {name!r} and the form {form!r} contradict each other: it has no rhyme")
        first = next(n for n in range(len(self.plan.templates)) if self.templates >> n & 1)
        asked = self._asked_groups(name, form) if name else -1
        for number in range(self.plan.sets):
            bits = -1
            for i, slot in enumerate(self.slots):
                if not slot.given or self._rhyme_of(i, first) != number:
                    continue
                char = self.tones.chars[slot.token]
                own = self._bits(char, self.plan.lines[slot.line].options[0].tones[-1] if self.plan.song else
                                 "平" if self.plan.name in patterns.REGULATED else "中")  # fmt: skip
                if number == 0 and own and name and not own & asked:
                    groups = " or ".join(sorted(self.tones.prosody.rhymes(char)))
                    raise BadRequest(
                        f"the rhyme {name!r} and the opening contradict each other: its {char} is of {groups}"
                    )
                bits = bits & own if bits & own else own or bits
            self.groups[number] = bits if number or asked == -1 else bits & asked

    def _asked_groups(self, name: str, form: str) -> int:
        """Bits of the groups that a rhyme asked for by name stands for."""
        prosody = self.tones.prosody
        group = prosody.group(name)
        tones = {o.tones[-1] for line in self.plan.lines for o in line.options if o.rhyme == 0}
        own = {t for t in "平仄" if group in prosody.groups(t)}
        if "中" not in tones and not own & tones:
            raise BadRequest(f"the rhyme {group} and the form {form!r} contradict each other: {group} is "
                             f"{_NAMES[min(own)]}, the form rhymes in {_NAMES[min(tones)]}")  # fmt: skip
        if prosody.book == "modern":
            names = {group} if self.plan.song else {f"{group}{t}" for t in "平仄"}
        elif self.plan.song:
            names = {f"第{n}部" for n, groups in CI_CLASSES.items() if group in groups.replace("*", "").split()}
        else:
            names = {group}
        return sum(1 << self.tones.groups[n] for n in names if n in self.tones.groups)


class FormConstraint:
    """Keeps one form: a `Constraint` as techniques/decoding.py asks for, and what was found out about the request."""

    def __init__(self, made: _Builder) -> None:
        self.name, self.lines, self.tones = made.plan.name, made.plan.lines, made.tones
        self.slots, self.end, self.no_repeat = tuple(made.slots), made.end, made.no_repeat
        self.template_names = made.plan.templates
        self.notes = tuple(made.notes)  # where what the person gave leaves the form
        self._templates = made.templates
        self._reserved = frozenset(s.token for s in self.slots if s.given)
        self._unions: dict[frozenset[tuple[str, int]], Mask] = {}
        self._single: dict[int, Mask] = {}
        self._rhymed: list[list[tuple[int, str]]] = [[] for _ in made.groups]  # (slot, tone) of each set's rhymes
        for i, slot in enumerate(self.slots):
            for option in self.lines[slot.line].options:
                if slot.place == len(option.tones) - 1 and option.rhyme >= 0:
                    entry = (i, option.tones[-1])
                    if entry not in self._rhymed[option.rhyme]:
                        self._rhymed[option.rhyme].append(entry)
        self._either = [any(tone == "中" for _, tone in rhymed) for rhymed in self._rhymed]
        self._need = [[self._needed(r, i) for i in range(len(self.slots) + 1)] for r in range(len(made.groups))]
        self._groups = tuple(self._rich(r, bits) for r, bits in enumerate(made.groups))

    # --- what sampling asks -------------------------------------------------------------------------------------------

    def start(self) -> State:
        """The state before the first token."""
        return State(0, (), self._templates, self._options(0, self._templates), self._groups)

    def finished(self, state: State) -> bool:
        """Whether the poem is complete; all that may follow is `<end>`."""
        return state.at >= len(self.slots)

    def allowed(self, state: State) -> Mask:
        """The tokens that may come next: (V,) bool, never empty. Not to be written to."""
        if state.at >= len(self.slots):
            return self._one(self.end)
        slot = self.slots[state.at]
        if slot.token >= 0:
            return self._one(slot.token)
        if slot.copy >= 0:
            return self._one(state.tokens[slot.copy])
        line = self.lines[slot.line]
        wanted: set[tuple[str, int]] = set()
        rhyme = -1
        for k, option in enumerate(line.options):
            if state.options >> k & 1:
                last = slot.place == len(option.tones) - 1
                tone = option.tones[slot.place]
                if last and option.rhyme >= 0:
                    rhyme = option.rhyme
                    wanted.add((tone, self._open(state, rhyme)))
                else:
                    wanted.add(("firm" if last and option.firm else tone, 0))
        mask = self._union(frozenset(wanted)).copy()
        self._withhold(mask, state, slot, rhyme)
        return mask

    def advance(self, state: State, token: int) -> State:
        """The state after `token`, which must be one that `allowed` has."""
        if state.at >= len(self.slots):
            return state
        slot = self.slots[state.at]
        options, templates, groups = state.options, state.templates, state.groups
        line = self.lines[slot.line]
        if slot.place < line.length:
            kept = self._consistent(state, slot, token)
            options = kept or options
            if slot.place == line.length - 1 and not slot.given:
                groups = self._narrowed(state, slot, options, token)
        else:  # the mark: on to the next line
            templates = 0
            for k, option in enumerate(line.options):
                if options >> k & 1:
                    templates |= option.templates
            templates &= state.templates
            options = self._options(slot.line + 1, templates)
        return State(state.at + 1, (*state.tokens, token), templates, options, groups)

    def template(self, state: State) -> str:
        """The template that the poem has come to follow: 平起首句入韵 …, empty where the form has but one."""
        return next(name for n, name in enumerate(self.template_names) if state.templates >> n & 1)

    # --- how it is worked out -----------------------------------------------------------------------------------------

    def _options(self, line: int, templates: int) -> int:
        if line >= len(self.lines):
            return 0
        return sum(1 << k for k, o in enumerate(self.lines[line].options) if o.templates & templates)

    def _consistent(self, state: State, slot: Slot, token: int) -> int:
        """Bits of the options that the character at this slot leaves."""
        kept = 0
        bits = int(self.tones.bits[token])
        if slot.given:
            own = self.tones.prosody.tone(self.tones.chars[token])
            bits = _BITS[own] or _LEVEL | _OBLIQUE
        for k, option in enumerate(self.lines[slot.line].options):
            if not state.options >> k & 1:
                continue
            tone = option.tones[slot.place]
            last = slot.place == len(option.tones) - 1
            if tone == "中" or bits & _BITS[tone]:
                if last and option.firm and not slot.given and bits != _OBLIQUE:
                    continue
                if last and option.rhyme >= 0 and not slot.given and not self._joins(state, option, token):
                    continue
                kept |= 1 << k
        return kept

    def _joins(self, state: State, option: Option, token: int) -> int:
        """Bits of the open groups of a set that a character rhymes in."""
        own = 0
        for tone in "平仄" if option.tones[-1] == "中" else option.tones[-1]:
            own |= self.tones.of.get((tone, token), 0)
        return own & self._open(state, option.rhyme)

    def _narrowed(self, state: State, slot: Slot, options: int, token: int) -> tuple[int, ...]:
        """The groups after a rhyme."""
        for k, option in enumerate(self.lines[slot.line].options):
            if options >> k & 1 and option.rhyme >= 0 and (joined := self._joins(state, option, token)):
                return (*state.groups[: option.rhyme], joined, *state.groups[option.rhyme + 1 :])
        return state.groups

    def _needed(self, rhyme: int, index: int) -> dict[str, int]:
        """How many rhymes of each tone a set still needs from a slot on; given and repeated ones are there already."""
        free = [(i, t) for i, t in self._rhymed[rhyme] if i >= index and self.slots[i].token < 0 > self.slots[i].copy]
        return {tone: sum(t in (tone, "中") for _, t in free) for tone in "平仄"}

    def _rich(self, rhyme: int, bits: int) -> int:
        """Of these groups, those with enough characters for the whole poem. Raises BadRequest where none is."""
        start = State(0, (), 0, 0, ())
        kept = 0
        for number in range(len(self.tones.groups)):
            if bits >> number & 1 and self._slack(start, rhyme, number) >= 0:
                kept |= 1 << number
        if not kept:
            need = sum(self._need[rhyme][0].values())
            raise BadRequest(f"the rhyme asked for has too few characters in the model's vocabulary for {self.name}, "
                             f"which needs {need}; choose another rhyme")  # fmt: skip
        return kept

    def _slack(self, state: State, rhyme: int, group: int) -> int:
        """How many characters of a group may be spent on other places and still leave enough for its rhymes."""
        least = len(self.slots)
        for tone, need in self._need[rhyme][state.at].items():
            members = self.tones.sets[tone, group]
            if self._either[rhyme]:
                members |= self.tones.sets[OTHER[tone], group]
            if need and len(members) - need < len(self.slots):  # else there is plenty, whatever was used
                least = min(least, len(members - self._spent(state, rhyme)) - need)
        return least

    def _spent(self, state: State, rhyme: int) -> frozenset[int]:
        """The characters that a rhyme of this set may not use again."""
        if self.no_repeat:
            return frozenset(state.tokens) | self._reserved
        ends = {state.tokens[i] for i, _ in self._rhymed[rhyme] if i < state.at}
        return frozenset(ends | {self.slots[i].token for i, _ in self._rhymed[rhyme] if self.slots[i].given})

    def _open(self, state: State, rhyme: int) -> int:
        """Bits of the groups in which a set can go on to its end."""
        bits = state.groups[rhyme]
        kept = 0
        for number in range(len(self.tones.groups)):
            if bits >> number & 1 and self._slack(state, rhyme, number) >= 0:
                kept |= 1 << number
        return kept

    def _withhold(self, mask: Mask, state: State, slot: Slot, rhyme: int) -> None:
        """Take out what was used already, and what later rhymes need."""
        if not self.no_repeat:
            if rhyme >= 0:
                mask[list(self._spent(state, rhyme))] = False
            return
        previous = state.tokens[-1] if slot.place else -1
        doubled = slot.place > 0 and bool(mask[previous]) and state.tokens.count(previous) == 1
        mask[list(self._reserved)] = False
        mask[list(state.tokens)] = False
        if doubled:
            mask[previous] = True
        if rhyme < 0:
            for number in range(len(state.groups)):
                self._protect(mask, state, number)

    def _protect(self, mask: Mask, state: State, rhyme: int) -> None:
        """Keep other places from using up the last group in which a set can rhyme."""
        need = self._need[rhyme][state.at]
        tight = []
        for number in range(len(self.tones.groups)):
            if state.groups[rhyme] >> number & 1:
                if self._slack(state, rhyme, number) > 0:
                    return
                tight.append(number)
        for number in tight:
            for tone in "平仄":
                if need[tone]:
                    mask &= ~self.tones.members[tone, number]

    def _union(self, wanted: frozenset[tuple[str, int]]) -> Mask:
        """The characters of these kinds: (tone, 0), or (tone, bits of groups) at a rhyme."""
        if wanted not in self._unions:
            if len(self._unions) > 2000:
                self._unions.clear()
            mask = np.zeros(self.tones.size, np.bool_)
            for tone, bits in wanted:
                if not bits:
                    mask |= self.tones.by_tone[tone]
                for number in range(len(self.tones.groups)):
                    for t in "平仄" if tone == "中" else tone:
                        if bits >> number & 1:
                            mask |= self.tones.members[t, number]
            self._unions[wanted] = mask
        return self._unions[wanted]

    def _one(self, token: int) -> Mask:
        if token not in self._single:
            mask = np.zeros(self.tones.size, np.bool_)
            if token >= 0:
                mask[token] = True
            mask.setflags(write=False)
            self._single[token] = mask
        return self._single[token]


# --- free verse -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FreeState:
    """How far free verse has come."""

    line: int
    length: int  # characters of the line so far
    marked: bool = True  # the last token was a mark: none may follow


class FreeVerse:
    """自由诗: so many lines of 2 to so many characters, no more. A line ends with a line break, else with 。"""

    name = "自由诗"

    def __init__(self, vocabulary: Vocabulary, lines: int = 12, longest: int = 14, opening: str = "") -> None:
        if not 1 <= lines <= 100 or not 4 <= longest <= 60:
            raise BadRequest(f"free verse of {lines} lines of {longest}: it has 1 to 100 lines of 4 to 60 characters")
        ids = characters(vocabulary)
        self.count, self.longest, self.notes = lines, longest, ()
        self.size, self.end = len(vocabulary), vocabulary.id("<end>") if vocabulary.has("<end>") else -1
        if "\n" not in ids and "。" not in ids:
            raise BadRequest("the model's vocabulary has neither a line break nor 。, which free verse needs")
        self.stop = ids.get("\n", ids.get("。", -1))
        self._chinese = np.zeros(self.size, np.bool_)
        self._chinese[[i for c, i in ids.items() if is_chinese(c) and c not in _MISSING]] = True
        self._marks = np.zeros(self.size, np.bool_)
        self._marks[[ids[c] for c in "，、？！" if c in ids]] = True
        if unknown := list(dict.fromkeys(c for c in opening if c not in ids)):
            raise BadRequest(
                f"the opening has characters that the model does not know: {' '.join(unknown[:8])}; use others"
            )
        if len(opening) > longest:
            raise BadRequest(f"the opening has {len(opening):,} characters, a line at most {longest}; shorten it")
        self._opening = [ids[c] for c in opening]

    def start(self) -> FreeState:
        """The state before the first token."""
        return FreeState(0, 0)

    def finished(self, state: FreeState) -> bool:
        """Whether all lines are there."""
        return state.line >= self.count

    def allowed(self, state: FreeState) -> Mask:
        """The tokens that may come next: (V,) bool, never empty."""
        mask = np.zeros(self.size, np.bool_)
        if self.finished(state):
            mask[self.end] = self.end >= 0
        elif not state.line and state.length < len(self._opening):
            mask[self._opening[state.length]] = True
        else:
            if state.length < self.longest:
                mask |= self._chinese
                if not state.marked and state.length < self.longest - 1:
                    mask |= self._marks
            if state.length >= self.longest or (state.length >= 2 and not state.marked):
                mask[self.stop] = True
        return mask

    def advance(self, state: FreeState, token: int) -> FreeState:
        """The state after `token`."""
        if self.finished(state):
            return state
        if token == self.stop:
            return FreeState(state.line + 1, 0)
        return FreeState(state.line, state.length + 1, bool(self._marks[token]))
