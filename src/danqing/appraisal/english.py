"""English verse: how many syllables a line has, where its beat falls, what rhymes with what, and the forms of these.

What a word sounds like is `encode.english` and `encode.stress`, as the rhyme books are `encode.prosody`; which form
lines have and which rules they break is judged here, by rules that share no code with those that keep the form while it
is written. Poets elide, so a line of metre may be one syllable off without being called wrong; a haiku may not.

The beat is judged by words of several syllables that the lexicon has: one of them, stressed on an odd place, breaks an
iambic line. At its beginning and after a pause poets turn a foot round, and so may anyone. Where a line has a syllable
more or less than its form, a stress off the beat may be the count's mistake; it is then said to be unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from danqing.appraisal.forms import Finding, Form
from danqing.encode import stress
from danqing.encode.english import rhyme_key, syllables, word_syllables, words

SLACK = 1  # syllables that a line of metre may be off


@dataclass(frozen=True)
class Shape:
    """An English form."""

    syllables: tuple[int, ...]  # of each line
    schemes: tuple[str, ...] = ()  # rhyme letters of each line, any of these; "x" is free
    slack: int = SLACK
    iambic: bool = True  # even places have the beat


_SHAKESPEARE, _PETRARCH = "ababcdcdefefgg", ("abbaabbacdecde", "abbaabbacdcdcd", "abbaabbacddcee")
SHAPES = {
    "sonnet": Shape((10,) * 14, (_SHAKESPEARE, *_PETRARCH)),
    "quatrain": Shape((8, 6, 8, 6), ("xaxa", "abab")),
    "ballad": Shape((8, 6, 8, 6), ("xaxa", "abab")),  # of each of its stanzas
    "couplet": Shape((10, 10), ("aa",)),
    "haiku": Shape((5, 7, 5), slack=0, iambic=False),
}


def rhymes(one: str, other: str) -> bool:
    """Whether two words rhyme, by their spelling. A word does not rhyme with itself."""
    return one.lower() != other.lower() and rhyme_key(one) == rhyme_key(other) != ""


def judge(rows: Sequence[str], *, form: str = "") -> Form:
    """The form of an English text: sonnet, ballad, haiku, verse; story and script for prose."""
    lines = tuple(row for row in rows if row.strip())
    stanzas = _stanzas(rows)
    name = form if form in (*SHAPES, "verse", "story", "script") else _found(lines, stanzas)
    if name not in SHAPES:
        if name != "verse":
            return Form(name, lines)
        scheme = _scheme(lines)
        return Form(name, lines, rhymes=scheme, findings=(_said(lines),))
    shape = SHAPES[name]
    parts = [lines[i : i + len(shape.syllables)] for i in range(0, len(lines), len(shape.syllables))]
    parts = parts if name == "ballad" else [lines]
    findings, letters = [], list[str]()
    for number, part in enumerate(parts):
        findings += _judged(part, shape, number * len(shape.syllables))
        letters += [chr(ord(mark) + 4 * number) if mark else "" for mark in _scheme(part)]
    return Form(name, lines, rhymes=tuple(letters), findings=tuple(findings))


def _stanzas(rows: Sequence[str]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for row in rows:
        if row.strip():
            found[-1].append(row)
        elif found[-1]:
            found.append([])
    return [stanza for stanza in found if stanza]


def _found(lines: tuple[str, ...], stanzas: list[list[str]]) -> str:
    """The form that the lines have, by their number and length."""
    if sum(map(len, lines)) > 90 * len(lines):
        return "story"
    if len(lines) >= 3 and sum(bool(re.match(r"[A-Z][\w' .-]{0,30}: ", line)) for line in lines) * 2 > len(lines):
        return "script"
    counts = [syllables(line) for line in lines]
    if len(lines) == 3 and sum(abs(a - b) for a, b in zip(counts, (5, 7, 5), strict=True)) <= 3:
        return "haiku"
    if len(lines) == 14 and sum(abs(count - 10) for count in counts) <= 20:
        return "sonnet"
    if all(len(stanza) == 4 for stanza in stanzas):
        wanted = (8, 6, 8, 6) * len(stanzas)
        if sum(abs(a - b) for a, b in zip(counts, wanted, strict=True)) <= 4 * len(stanzas):
            return "ballad" if len(stanzas) > 1 else "quatrain"
    ends = [words(line)[-1] for line in lines if words(line)]
    if len(ends) == 2 and rhymes(*ends) and sum(counts) in range(18, 23):
        return "couplet"
    return "verse"


def _judged(lines: Sequence[str], shape: Shape, offset: int) -> list[Finding]:
    """Lines against a shape; `offset` lines stand before them."""
    wanted = len(shape.syllables)
    if len(lines) != wanted:
        there = f"{len(lines)} lines; the form has {wanted}"
        return [Finding("lines", 0, "broken", f"{len(lines)} 行，应为 {wanted} 行", there)]
    found = [Finding("lines", 0, "kept", f"{wanted} 行", f"{wanted} lines")]
    for number, (line, count) in enumerate(zip(lines, shape.syllables, strict=True), offset + 1):
        here = syllables(line)
        fine = abs(here - count) <= shape.slack
        zh, en = f"{here} 音节", f"{here} syllables"
        if not fine:
            zh, en = f"{zh}，应为 {count}", f"{en}; the form has {count}"
        found.append(Finding("syllables", number, "kept" if fine else "broken", zh, en))
        if shape.iambic and fine:
            found.append(_meter(line, number, here == count))
    if shape.schemes:
        found += min((_against(lines, scheme, offset) for scheme in shape.schemes), key=_faults)
    return found


_PART = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|[^\w\s'’\"“”-]|--")  # a word, or a mark that pauses


def off_beat(line: str) -> tuple[str, ...]:
    """The words of an iambic line that the lexicon has and whose stress falls between two beats."""
    found, sounded, pause = list[str](), 0, True  # syllables before the word; whether it may turn its foot round
    for part in _PART.findall(line):
        if not part[0].isalpha():
            pause = True
            continue
        size, where = word_syllables(part), stress.place(part)
        if size > 1 and where and stress.is_known(part):
            between = (sounded + where) % 2 == 1  # beats are the 2nd, 4th … syllable of the line
            if between and not (pause and where == 1):
                found.append(part)
        sounded, pause = sounded + size, False
    return tuple(found)


def _meter(line: str, number: int, counted: bool) -> Finding:
    """Whether the stress of a line's words falls on its beats. counted: it has as many syllables as its form."""
    off = off_beat(line)
    if not off:
        return Finding("meter", number, "kept", "重音合拍", "stresses fall on the beat")
    zh, en = f"{'、'.join(off)} 重音不在拍上", f"the stress of {', '.join(off)} falls off the beat"
    if counted:
        return Finding("meter", number, "broken", zh, en)
    return Finding("meter", number, "unknown", f"{zh}，或音节数有误", f"{en}, or the count of syllables is wrong")


def _faults(findings: Iterable[Finding]) -> int:
    return sum(finding.state == "broken" for finding in findings)


def _against(lines: Sequence[str], scheme: str, offset: int) -> list[Finding]:
    """Each line that has to answer an earlier one."""
    found, first = [], dict[str, int]()
    for number, letter in enumerate(scheme):
        if letter == "x":
            continue
        if letter not in first:
            first[letter] = number
            continue
        one, other = (words(lines[i])[-1] if words(lines[i]) else "" for i in (first[letter], number))
        fine = rhymes(one, other)
        where = offset + first[letter] + 1
        zh = f"{other} 与第 {where} 行 {one} {'押韵' if fine else '不押韵'}（{scheme.upper()}）"
        en = f"{other} {'rhymes' if fine else 'does not rhyme'} with {one} in line {where} ({scheme.upper()})"
        found.append(Finding("scheme", offset + number + 1, "kept" if fine else "broken", zh, en))
    return found


def _scheme(lines: Sequence[str]) -> tuple[str, ...]:
    """A letter for each line that rhymes with another, "" for the others."""
    ends = [words(line)[-1] if words(line) else "" for line in lines]
    letters, marks = [""] * len(lines), dict[str, str]()
    for i, end in enumerate(ends):
        sound = rhyme_key(end) if end else ""
        if any(j != i and rhymes(end, other) for j, other in enumerate(ends) if other):
            letters[i] = marks.setdefault(sound, chr(ord("A") + len(marks) % 26))
    return tuple(letters)


def _said(lines: Sequence[str]) -> Finding:
    counts = " ".join(str(syllables(line)) for line in lines)
    return Finding("syllables", 0, "note", f"每行音节：{counts}", f"a line: {counts}")
