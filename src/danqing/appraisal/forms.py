"""The rules of Chinese verse, stated once more for judging: which form a text has, and where it breaks which rule.

Decoding promises a form (danqing.encode.forms); whether the promise was kept is found out here, from the characters
alone, by a statement of the rules of its own that shares no code with that one. Regulated verse as in Wang Li 1958
(汉语诗律学): tones alternate within a line, oppose within a couplet and agree across couplets; even lines rhyme on one
level group. A character with readings of both tones counts as whichever keeps the rules.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

State = Literal["kept", "broken", "note", "unknown"]

SHAPES = {(4, 5): "五绝", (4, 7): "七绝", (8, 5): "五律", (8, 7): "七律"}  # lines, characters a line
REGULATED = frozenset(SHAPES.values())
LEVEL, OBLIQUE = "平", "仄"
MARKS = {LEVEL: "○", OBLIQUE: "●", "both": "◐", None: "？"}
SURELY = 0.75  # share of the tone rules that a poem keeps, from which on it is regulated verse with faults
_BREAK = re.compile(r"[^\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff〇□]+")


class Sounds(Protocol):
    """What is asked of a rhyme book; `encode.prosody.Prosody` is one."""

    book: str

    def tone(self, char: str) -> str | None:
        """平, 仄, "both", None where unknown."""

    def rhymes(self, char: str, tone: str | None = None) -> frozenset[str]:
        """Its rhyme groups, of all readings or of those of one tone."""

    def ci_rhymes(self, char: str, tone: str | None = None) -> frozenset[str]:
        """The wider classes in which it rhymes in ci."""


@dataclass(frozen=True)
class Finding:
    """One rule at one line, in both languages."""

    rule: str  # "length", "rhyme", "alternation", …
    line: int  # counted from 1; 0 is the whole text
    state: State  # "unknown" where a character is in no rhyme book
    zh: str
    en: str


@dataclass(frozen=True)
class Form:
    """The form of a text and how it keeps to it."""

    name: str  # 五律, 古诗, 词:浣溪沙, 对联, sonnet, verse, …
    lines: tuple[str, ...]  # those of verse: what stands between two punctuation marks
    tones: tuple[str, ...] = ()  # under each line: ○ level ● oblique ◐ both ？ unknown
    pattern: tuple[str, ...] = ()  # what the form asks for: 平 仄, 中 for either; empty where it asks nothing
    rhymes: tuple[str, ...] = ()  # the group in which each line rhymes, "" where it does not
    findings: tuple[Finding, ...] = ()

    @property
    def kept(self) -> bool:
        """Whether no rule of the form is broken."""
        return not self.broken

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The rules that are broken."""
        return tuple(finding for finding in self.findings if finding.state == "broken")


@dataclass(frozen=True)
class Tune:
    """The usual pattern of a ci tune, one entry for each line of verse."""

    name: str
    patterns: tuple[str, ...]  # 平 仄 中 for each character
    rhymes: tuple[str, ...]  # for each line the mark of its rhyme: lines with one mark rhyme together; "" for none


def read_tunes(path: Path) -> dict[str, Tune]:
    """The tunes of a table, under each of their names. A line there is its tones, the letter of its rhyme, its mark."""
    found: dict[str, Tune] = {}
    for name, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
        lines = [re.fullmatch(r"([平仄中]+)([a-z]?).?", line) for line in entry["lines"]]
        rows = [(line[1], line[2]) for line in lines if line]
        tune = Tune(name, tuple(tones for tones, _ in rows), tuple(mark for _, mark in rows))
        for other in (name, *entry.get("aliases", ())):
            found.setdefault(other, tune)
    return found


def verses(text: str) -> tuple[str, ...]:
    """The lines of verse in a text: its runs of Chinese characters."""
    return tuple(part for part in _BREAK.split(text) if part)


def judge(
    text: str, sounds: Sounds, *, form: str = "", title: str = "", tunes: Mapping[str, Tune] | None = None
) -> Form:
    """The form of a Chinese text and every rule of it. `form`: the one it was meant to have; found out unless given."""
    lines = verses(text)
    tunes = tunes or {}
    if not lines:
        return Form("verse", ())
    if form.startswith("词:") or form == "词":
        name = form.removeprefix("词").removeprefix(":")
        return _ci(lines, sounds, tunes[name]) if name in tunes else _ancient(lines, sounds, form)
    if form in REGULATED or form.endswith("排律"):
        return _regulated(lines, sounds, form)
    if form == "对联":
        return _couplet(lines, sounds)
    return _ancient(lines, sounds, form) if form else _found(lines, sounds, title, tunes)


def _found(lines: tuple[str, ...], sounds: Sounds, title: str, tunes: Mapping[str, Tune]) -> Form:
    """The form that fits best, where nobody said which it is."""
    lengths = tuple(map(len, lines))
    named = [tune for name, tune in tunes.items() if title.startswith(name)]
    named += [tune for name, tune in tunes.items() if name in title and tune not in named]
    if named:
        return _ci(lines, sounds, named[0])
    shape = SHAPES.get((len(lines), lengths[0])) if len(set(lengths)) == 1 else None
    if shape:
        regulated = _regulated(lines, sounds, shape)
        return regulated if _share_kept(regulated) >= SURELY else _ancient(lines, sounds, "古诗")
    if len(lines) == 2 and lengths[0] == lengths[1] >= 3:
        return _couplet(lines, sounds)
    fitting = [tune for tune in tunes.values() if tuple(map(len, tune.patterns)) == lengths]
    if fitting:
        return max((_ci(lines, sounds, tune) for tune in fitting), key=_share_kept)
    half = len(lines) // 2
    if len(lines) in (4, 6) and lengths[:half] == lengths[half:] and len(set(lengths)) > 1:
        return _couplet(lines, sounds)
    if len(set(lengths)) == 1 and lengths[0] in (5, 7) and len(lines) >= 10 and len(lines) % 2 == 0:
        long = _regulated(lines, sounds, "五言排律" if lengths[0] == 5 else "七言排律")
        return long if _share_kept(long) >= SURELY else _ancient(lines, sounds, "古诗")
    return _ancient(lines, sounds, "古诗" if len(set(lengths)) <= 2 else "verse")


def _share_kept(form: Form) -> float:
    """Share of the rules about tones and rhymes that are kept."""
    rules = ("rhyme", "alternation", "ending", "opposition", "agreement", "pattern")
    told = [finding.state == "kept" for finding in form.findings if finding.rule in rules and finding.state != "note"]
    return sum(told) / len(told) if told else 0.0


# --- sounds -----------------------------------------------------------------------------------------------------------


def marks(line: str, sounds: Sounds) -> str:
    """○ ● ◐ ？ for each character."""
    return "".join(MARKS[sounds.tone(char)] for char in line)


def _opposite(tone: str) -> str:
    return OBLIQUE if tone == LEVEL else LEVEL


def _may(char: str, tone: str, sounds: Sounds) -> bool:
    """Whether the character can be read in this tone; what is in no book can."""
    return sounds.tone(char) in (tone, "both", None)


def _name(tone: str) -> str:
    return "level" if tone == LEVEL else "oblique"


def _best_group(chars: Iterable[str], sounds: Sounds, tone: str | None, *, ci: bool = False) -> str:
    """The rhyme group that most of these share; "" where none of them is in any."""
    ask = sounds.ci_rhymes if ci else sounds.rhymes
    counts = Counter(group for char in chars for group in sorted(ask(char, tone)))
    return max(counts, key=lambda group: counts[group]) if counts else ""


# --- regulated verse --------------------------------------------------------------------------------------------------


def _regulated(lines: tuple[str, ...], sounds: Sounds, name: str) -> Form:
    """Every rule of regulated verse, line by line."""
    wanted = next((shape for shape, known in SHAPES.items() if known == name), (len(lines), 5 if "五" in name else 7))
    findings = _shape(lines, wanted)
    length = wanted[1]
    whole = [line for line in lines if len(line) == length]
    tones = tuple(marks(line, sounds) for line in lines)
    if len(whole) < len(lines) or not lines:
        return Form(name, lines, tones, findings=(*findings, *_repeated(lines)))
    group = _best_group([line[-1] for line in lines[1::2]], sounds, LEVEL)
    joins = _joins(lines[0][-1], lines[1::2], group, sounds)
    firsts = (True, False) if joins and sounds.tone(lines[0][-1]) == "both" else (joins,)
    readings = [_reading(lines, sounds, group, start, first) for start in (LEVEL, OBLIQUE) for first in firsts]
    first, skeleton, told = min(
        readings, key=lambda one: (sum(finding.state == "broken" for finding in one[2]), _misses(lines, one[1], sounds))
    )
    findings += told
    findings += _repeated(lines)
    if len(lines) >= 8:
        findings += [_parallel(lines, tones, number) for number in range(2, len(lines) - 2, 2)]
    rhymes = tuple(
        group if (n % 2 or (n == 0 and first)) and group in sounds.rhymes(line[-1], LEVEL) else ""
        for n, line in enumerate(lines)
    )
    return Form(name, lines, tones, tuple(skeleton), rhymes, tuple(findings))


def _reading(
    lines: Sequence[str], sounds: Sounds, group: str, start: str, first: bool
) -> tuple[bool, list[str], list[Finding]]:
    """The poem read as one that opens in tone `start` with a first line that rhymes or does not: what that breaks."""
    skeleton = _skeleton(len(lines), len(lines[0]), start, first)
    read = [_resolved(line, row, sounds) for line, row in zip(lines, skeleton, strict=True)]
    findings = [_opening(start, first), *_rhyme(lines, sounds, group, first)]
    for number, line in enumerate(read, 1):
        findings += _within(line, number, rhyming=number % 2 == 0 or (number == 1 and first))
    return first, skeleton, [*findings, *_between(read)]


def _shape(lines: Sequence[str], wanted: tuple[int, int]) -> list[Finding]:
    count, length = wanted
    found = [
        Finding(
            "lines",
            0,
            "kept" if len(lines) == count else "broken",
            f"{len(lines)} 句" + ("" if len(lines) == count else f"，应为 {count} 句"),
            f"{len(lines)} lines" + ("" if len(lines) == count else f"; the form has {count}"),
        )
    ]
    for number, line in enumerate(lines, 1):
        fine = len(line) == length
        zh, en = f"{len(line)} 字", f"{len(line)} characters"
        if not fine:
            zh, en = f"{zh}，应为 {length} 字", f"{en}; the form has {length} a line"
        found.append(Finding("length", number, "kept" if fine else "broken", zh, en))
    return found


def _skeleton(count: int, length: int, start: str, first: bool) -> list[str]:
    """平 仄 中 for each place of each line. `start`: the tone of the second character; `first`: the first line rhymes.

    The last five characters of a line have one of four shapes; lines of seven have two more before them, in the
    opposite tone. A shape's free places are those where neither 孤平 nor three level tones at the end can arise alone.
    """
    rows = []
    for line in range(count):
        second = start if line % 4 in (0, 3) else _opposite(start)
        ending = LEVEL if line % 2 == 1 or (line == 0 and first) else OBLIQUE
        core = second if length == 5 else _opposite(second)
        row = {
            (OBLIQUE, OBLIQUE): "中仄中平仄",
            (LEVEL, LEVEL): "中平中仄平",
            (LEVEL, OBLIQUE): "中平中仄仄",
            (OBLIQUE, LEVEL): "中仄仄平平",
        }[core, ending]
        rows.append(row if length == 5 else f"中{second}{row}")
    return rows


def _misses(lines: Sequence[str], skeleton: Sequence[str], sounds: Sounds) -> int:
    """How many places of the skeleton are not met."""
    pairs = ((c, t) for line, row in zip(lines, skeleton, strict=True) for c, t in zip(line, row, strict=True))
    return sum(1 for char, tone in pairs if tone != "中" and not _may(char, tone, sounds))


def _resolved(line: str, row: str, sounds: Sounds) -> str:
    """The tone of each character: 平 仄; 中 where either reading will do, ？ where none is known."""
    tones = []
    for char, wanted in zip(line, row, strict=True):
        tone = sounds.tone(char)
        tones.append(wanted if tone == "both" else (tone or "？"))
    return "".join(tones)


def _joins(char: str, even: Sequence[str], group: str, sounds: Sounds) -> bool:
    """Whether the first line's last character rhymes: in the group itself, or in one of its neighbours."""
    if not group or sounds.tone(char) == OBLIQUE:
        return False
    wide = _best_group([line[-1] for line in even], sounds, LEVEL, ci=True)
    return group in sounds.rhymes(char, LEVEL) or wide in sounds.ci_rhymes(char, LEVEL)


def _opening(start: str, first: bool) -> Finding:
    zh = f"{start}起" + ("首句入韵" if first else "首句不入韵")
    en = f"opens {_name(start)}, first line {'rhymes' if first else 'does not rhyme'}"
    return Finding("opening", 1, "note", zh, en)


def _rhyme(lines: Sequence[str], sounds: Sounds, group: str, first: bool) -> list[Finding]:
    """One group, level, at every even line; no rhyme word twice."""
    found = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if number % 2 and not (number == 1 and first):
            continue
        char = line[-1]
        level, every = sounds.rhymes(char, LEVEL), sounds.rhymes(char)
        if group and group in level:
            found.append(Finding("rhyme", number, "kept", f"“{char}”押{group}", f"{char} rhymes in {group}"))
        elif not every:
            found.append(Finding("rhyme", number, "unknown", f"“{char}”不在韵书中", f"{char} is in no rhyme book"))
        elif number == 1:
            near = "、".join(sorted(level))
            zh, en = f"首句“{char}”借邻韵{near}", f"the first line borrows {char} from the neighbouring {near}"
            found.append(Finding("rhyme", number, "note", zh, en))
        elif not level:
            zh, en = f"“{char}”是仄声字，不押平声韵", f"{char} is oblique; a rhyme here is level"
            found.append(Finding("rhyme", number, "broken", zh, en))
        else:
            there = "、".join(sorted(level))
            zh, en = f"“{char}”属{there}，出韵（全诗押{group}）", f"{char} rhymes in {there}, the poem in {group}"
            found.append(Finding("rhyme", number, "broken", zh, en))
        if char in seen:
            zh, en = f"韵脚“{char}”与第 {seen[char]} 句重复", f"the rhyme word {char} stands in line {seen[char]} too"
            found.append(Finding("rhyme-repeated", number, "broken", zh, en))
        seen.setdefault(char, number)
    return found


def _within(line: str, number: int, rhyming: bool) -> list[Finding]:
    """One line by itself. line: its tones, 平 仄 中 ？."""
    found = []
    core = line[-5:]
    points = [line[i] for i in range(1, len(line) - 1, 2)]
    licensed = re.fullmatch("平[仄中]平[仄中]", core[1:]) and not rhyming
    special = bool(licensed)  # 平平仄平仄 stands for 平平平仄仄: as good as regular
    if special:
        points = points[:-1]
    wrong = any(a == b and a in (LEVEL, OBLIQUE) for a, b in itertools.pairwise(points))
    places = "、".join(str(i + 1) for i in range(1, len(line) - 1, 2))
    shown = "".join(line[i] for i in range(1, len(line) - 1, 2))
    state: State = "broken" if wrong else "unknown" if "？" in shown else "kept"
    zh = f"第 {places} 字 {shown}" + ("，失替" if wrong else "（平平仄平仄，特拗）" if special else "")
    en = f"places {places.replace('、', ', ')}: {shown}" + (
        ": tones do not alternate" if wrong else " (the licensed 平平仄平仄)" if special else ""
    )
    found.append(Finding("alternation", number, state, zh, en))
    last = line[-1]
    if not rhyming:
        state = {OBLIQUE: "kept", "中": "kept", "？": "unknown"}.get(last, "broken")  # type: ignore[assignment]
        bad = state == "broken"
        zh = "句脚仄声" if not bad else "句脚平声，不押韵的句子应以仄声收"
        en = "ends oblique" if not bad else "ends level; a line that does not rhyme ends oblique"
        found.append(Finding("ending", number, state, zh, en))
    if core[2:] == LEVEL * 3:
        found.append(Finding("three-level", number, "broken", "三平尾", "three level tones at the end"))
    else:
        found.append(Finding("three-level", number, "kept", "无三平尾", "no three level tones at the end"))
    if core[2:] == OBLIQUE * 3:
        found.append(Finding("three-oblique", number, "note", "三仄尾（古人不避）", "three oblique tones at the end"))
    if rhyming and core[1] == LEVEL and core[3:] == OBLIQUE + LEVEL:
        if core[0] == core[2] == OBLIQUE:
            zh, en = "除韵脚外只有一个平声", "but for the rhyme, one level tone is left"
            found.append(Finding("lone-level", number, "broken", zh, en))
        else:
            found.append(Finding("lone-level", number, "kept", "不犯孤平", "no lone level tone"))
    return found


def _between(read: Sequence[str]) -> list[Finding]:
    """Opposition within a couplet, agreement between two."""
    found = []
    for number in range(2, len(read) + 1):
        above, here = read[number - 2][1], read[number - 1][1]
        if {above, here} & {"中", "？"}:
            fine, state = True, "unknown"
        else:
            fine = (above != here) if number % 2 == 0 else (above == here)
            state = "kept" if fine else "broken"
        rule, kept, bad = ("opposition", "对", "失对") if number % 2 == 0 else ("agreement", "粘", "失粘")
        zh = f"第 2 字 {above}/{here}，{kept if fine else bad}"
        asked = "opposed to" if number % 2 == 0 else "the same as"
        en = f"second character {here} after {above}; it is {'' if fine else 'not '}{asked} the line before"
        found.append(Finding(rule, number, state, zh, en))  # type: ignore[arg-type]
    return found


def _repeated(lines: Sequence[str]) -> list[Finding]:
    """Characters that stand twice; a doubled one (萧萧) is one word, not a repetition."""
    text = "\n".join(re.sub(r"(.)\1", r"\1", line) for line in lines)
    twice = [char for char, count in Counter(text.replace("\n", "")).items() if count > 1]
    if not twice:
        return [Finding("repeated", 0, "note", "无", "none")]
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        here = [char for char in dict.fromkeys(line) if char in twice]
        if here:
            listed = "、".join(here)
            found.append(Finding("repeated", number, "note", listed, listed.replace("、", ", ")))
    return found


def _parallel(lines: Sequence[str], tones: Sequence[str], number: int) -> Finding:
    """How far a middle couplet (lines number + 1 and + 2) is parallel: an estimate from a lexicon of kinds."""
    from danqing.appraisal.imagery import parallel

    upper, lower = lines[number], lines[number + 1]
    matched, known, doubled = parallel(upper, lower)
    opposed = sum(1 for a, b in zip(tones[number], tones[number + 1], strict=True) if a != b or a == "◐")
    same = [a for a, b in zip(upper, lower, strict=True) if a == b]
    zh = f"估计：{known} 处可比，{matched} 处同类；{opposed}/{len(upper)} 处平仄不同"
    en = f"an estimate: of {known} places known, {matched} are of one kind; tones differ at {opposed}"
    if doubled:
        zh, en = zh + "；叠字相对" if doubled == 2 else zh, en + "; doubled words match" if doubled == 2 else en
    if same:
        zh, en = f"{zh}；同位重字 {'、'.join(same)}", f"{en}; {', '.join(same)} faces itself"
    return Finding("parallel", number + 2, "note", zh, en)


# --- ancient verse, couplets, ci --------------------------------------------------------------------------------------


def _ancient(lines: tuple[str, ...], sounds: Sounds, name: str) -> Form:
    """No tone rules; which lines rhyme is said, not asked for."""
    ends = [line[-1] for line in lines]
    rhymes = [""] * len(lines)
    findings = [Finding("lines", 0, "note", f"{len(lines)} 句", f"{len(lines)} lines")]
    for number in range(1, len(lines), 2):
        near = [ends[i] for i in (number - 2, number, number + 2) if 0 <= i < len(lines)]
        group = _best_group(near, sounds, None)
        partners = [i for i in (number - 2, number + 2) if 0 <= i < len(lines) and group in sounds.rhymes(ends[i])]
        if group and group in sounds.rhymes(ends[number]) and partners:
            rhymes[number] = group
            zh, en = f"“{ends[number]}”押{group}", f"{ends[number]} rhymes in {group}"
        else:
            zh, en = f"“{ends[number]}”不押韵", f"{ends[number]} does not rhyme"
        findings.append(Finding("rhyme", number + 1, "note", zh, en))
    findings += _repeated(lines)
    return Form(name, lines, tuple(marks(line, sounds) for line in lines), (), tuple(rhymes), tuple(findings))


def _couplet(lines: tuple[str, ...], sounds: Sounds) -> Form:
    """Two lines of one length, each of one part or more; tones mirrored where they weigh, nothing shared."""
    half = len(lines) // 2
    if len(lines) < 2 or len(lines) % 2:
        zh, en = f"{len(lines)} 句，对联有上下两联", f"{len(lines)} lines; a couplet has two"
        bad = Finding("lines", 0, "broken", zh, en)
        return Form("对联", lines, tuple(marks(line, sounds) for line in lines), findings=(bad,))
    upper, lower = "".join(lines[:half]), "".join(lines[half:])
    same = [len(part) for part in lines[:half]] == [len(part) for part in lines[half:]]
    zh, en = f"上联 {len(upper)} 字，下联 {len(lower)} 字", f"{len(upper)} and {len(lower)} characters"
    findings = [Finding("length", 2, "kept" if same else "broken", zh, en)]
    findings += _couplet_ends(upper, lower, sounds)
    start = 0
    for part in lines[:half] if same else ():
        for place in range(start, start + len(part)):
            inner = place - start
            if inner % 2 == 1 or (inner == len(part) - 1 and place != len(upper) - 1):
                findings += _mirror(upper, lower, place, sounds)
        start += len(part)
    shared = [char for char in dict.fromkeys(lower) if char in upper]
    zh = f"上下联都有：{'、'.join(shared)}" if shared else "上下联没有重字"
    en = f"both lines hold {', '.join(shared)}" if shared else "no character stands in both lines"
    findings.append(Finding("shared", 2, "broken" if shared else "kept", zh, en))
    tones = (marks(upper, sounds), marks(lower, sounds))
    if same:
        findings.append(_parallel((upper, lower), tones, 0))
    return Form("对联", (upper, lower), tones, findings=tuple(findings))


def _couplet_ends(upper: str, lower: str, sounds: Sounds) -> list[Finding]:
    """The upper line ends oblique and the lower one level; where the upper is level, the lower is at least opposed."""
    answer = LEVEL if _may(upper[-1], OBLIQUE, sounds) else OBLIQUE
    found = []
    for number, line, tone in ((1, upper, OBLIQUE), (2, lower, answer)):
        fine = _may(line[-1], tone, sounds)
        zh = f"“{line[-1]}”联脚{'' if fine else '应为'}{tone}"
        en = f"ends {_name(tone)}" if fine else f"{line[-1]} should be {_name(tone)}"
        found.append(Finding("ending", number, "kept" if fine else "broken", zh, en))
    return found


def _mirror(upper: str, lower: str, place: int, sounds: Sounds) -> list[Finding]:
    """One place at which the tones of both lines are opposed. The last is judged as an ending."""
    if place == len(upper) - 1:
        return []
    one, other = sounds.tone(upper[place]), sounds.tone(lower[place])
    equal = one == other and one not in ("both", None)
    state: State = "unknown" if None in (one, other) else "broken" if equal else "kept"
    if equal and upper.count(upper[place]) > 1:  # the answer repeats where the upper line does, as far as it can
        state = "note"
    zh = f"第 {place + 1} 字 {upper[place]}/{lower[place]} {'平仄相同' if equal else '平仄相对'}"
    en = f"place {place + 1}, {upper[place]}/{lower[place]}: tones {'are equal' if equal else 'mirror'}"
    return [Finding("mirror", 2, state, zh, en)]


def _ci(lines: tuple[str, ...], sounds: Sounds, tune: Tune) -> Form:
    """A ci against the usual pattern of its tune."""
    name = f"词:{tune.name}"
    tones = tuple(marks(line, sounds) for line in lines)
    fine = len(lines) == len(tune.patterns)
    zh = f"{len(lines)} 句" + ("" if fine else f"，{tune.name}通常 {len(tune.patterns)} 句（或为别体）")
    en = f"{len(lines)} lines" + (
        "" if fine else f"; {tune.name} usually has {len(tune.patterns)}, this may be a variant"
    )
    findings = [Finding("lines", 0, "kept" if fine else "broken", zh, en)]
    if not fine:
        return Form(name, lines, tones, findings=(*findings, *_repeated(lines)))
    for number, (line, pattern) in enumerate(zip(lines, tune.patterns, strict=True), 1):
        findings += _against(line, pattern, number, sounds)
    rhymes = [""] * len(lines)
    for mark in dict.fromkeys(filter(None, tune.rhymes)):
        places = [i for i, own in enumerate(tune.rhymes) if own == mark]
        findings += _ci_rhyme(lines, places, tune, rhymes, sounds)
    findings += _repeated(lines)
    return Form(name, lines, tones, tune.patterns, tuple(rhymes), tuple(findings))


def _against(line: str, pattern: str, number: int, sounds: Sounds) -> list[Finding]:
    """A line's length and tones against the pattern's."""
    if len(line) != len(pattern):
        zh, en = f"{len(line)} 字，应为 {len(pattern)} 字", f"{len(line)} characters; the tune has {len(pattern)}"
        return [Finding("length", number, "broken", zh, en)]
    wrong = [
        i + 1
        for i, (char, tone) in enumerate(zip(line, pattern, strict=True))
        if tone != "中" and not _may(char, tone, sounds)
    ]
    found = [Finding("length", number, "kept", f"{len(line)} 字", f"{len(line)} characters")]
    if wrong:
        places = "、".join(map(str, wrong))
        zh, en = f"第 {places} 字不合 {pattern}", f"places {places.replace('、', ', ')} do not fit {pattern}"
        return [*found, Finding("pattern", number, "broken", zh, en)]
    return [*found, Finding("pattern", number, "kept", f"合 {pattern}", f"fits {pattern}")]


def _ci_rhyme(
    lines: Sequence[str], places: Sequence[int], tune: Tune, rhymes: list[str], sounds: Sounds
) -> list[Finding]:
    """The lines of one rhyme; enters their class into `rhymes`.

    A class is called 第11部平 or 第11部仄; in tunes that rhyme in both tones at once, 西江月, its number is the rhyme.
    """
    ends = [(i, lines[i][-1], tune.patterns[i][-1]) for i in places]
    both = len({tone for _, _, tone in ends if tone != "中"}) > 1

    def classes(char: str, tone: str) -> set[str]:
        own = sounds.ci_rhymes(char, None if tone == "中" else tone)
        return {name.rstrip("平仄") for name in own} if both else set(own)

    counts = Counter(g for _, char, tone in ends for g in classes(char, tone))
    group = max(sorted(counts), key=lambda name: counts[name]) if counts else ""
    # Early ci rhymes by the groups of shi, some of which the classes cut in two: 杯 and 来 are both 十灰.
    narrow = {g for _, char, _ in ends if group in sounds.ci_rhymes(char) for g in sounds.rhymes(char, LEVEL)}
    found = []
    for i, char, tone in ends:
        own = classes(char, tone)
        if group in own or (tone == LEVEL and narrow & sounds.rhymes(char, LEVEL)):
            rhymes[i] = group
            found.append(Finding("rhyme", i + 1, "kept", f"“{char}”押{group}", f"{char} rhymes in {group}"))
        elif not sounds.ci_rhymes(char):
            found.append(Finding("rhyme", i + 1, "unknown", f"“{char}”不在韵书中", f"{char} is in no rhyme book"))
        else:
            there = "、".join(sorted(own or sounds.ci_rhymes(char)))
            zh, en = f"“{char}”属{there}，应押{group}", f"{char} rhymes in {there}, not in {group}"
            found.append(Finding("rhyme", i + 1, "broken", zh, en))
    return found
