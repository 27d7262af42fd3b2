"""What a text is: its form and how it keeps it, its sounds, its images and moods, and whether it was there before.

Rules and sounds come from `forms` and `english`, images from `imagery`. Originality asks two filters that ship with the
poet: the lines and the runs of eight characters of the poems it learned from. A filter never misses what is in it, and
now and then takes for known what is not (its card says how often).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from danqing.appraisal import forms, imagery
from danqing.appraisal.forms import Finding, Form, Sounds
from danqing.appraisal.imagery import Imagery
from danqing.artwork.literature import Writing

GRAM = 8  # characters in a row, across lines, that are too many to share with a poem of the collection
SHORTEST = 4  # characters; a shorter line belongs to nobody

RULES = {  # rule → its name in Chinese and English, in the order of the report
    "lines": ("句数", "lines"),
    "length": ("字数", "length"),
    "rhyme": ("押韵", "rhyme"),
    "rhyme-repeated": ("韵脚重复", "rhyme repeated"),
    "alternation": ("平仄相间", "alternation"),
    "ending": ("句脚", "ending"),
    "opposition": ("对", "opposition"),
    "agreement": ("粘", "agreement"),
    "lone-level": ("孤平", "lone level"),
    "three-level": ("三平尾", "three level"),
    "three-oblique": ("三仄尾", "three oblique"),
    "pattern": ("词谱", "pattern"),
    "mirror": ("平仄相对", "mirrored tones"),
    "shared": ("联间重字", "shared"),
    "syllables": ("音节", "syllables"),
    "meter": ("抑扬", "meter"),
    "scheme": ("韵式", "rhyme scheme"),
    "opening": ("起式", "opening"),
    "repeated": ("重字", "repeated"),
    "parallel": ("对仗", "parallelism"),
}
SIGNS = {"kept": "✓", "broken": "✗", "unknown": "?", "note": "~"}
_WORDS = {
    "form": ("体裁", "form"),
    "rules": ("格律", "rules"),
    "kept": ("合", "kept"),
    "broken": ("出律", "broken"),
    "unknown": ("未能判断", "not judged"),
    "images": ("意象", "images"),
    "moods": ("情调", "moods"),
    "lines": ("成句", "known lines"),
    "span": ("连同文字", "longest span"),
    "perplexity": ("困惑度", "perplexity"),
    "notes": ("附注", "notes"),
}


class Origins(Protocol):
    """What is known of the poems that the poet learned from; `encode.origins.Origins` is one."""

    def has_line(self, line: str) -> bool:
        """Whether a poem of the collection has this line, punctuation aside."""

    def copied(self, lines: Sequence[str]) -> NDArray[np.bool_]:
        """For each character of the lines in one row: does it stand in a known line, or in GRAM known in a row?"""


@dataclass(frozen=True)
class Originality:
    """What of a text stands in the collection as well."""

    lines: tuple[int, ...]  # those that are there whole, counted from 1
    longest: str  # the longest run of characters of which each stands in a known line or GRAM; "" where none does
    judged: int  # how many lines were long enough to be looked for


@dataclass(frozen=True)
class Report:
    """Everything that is said of one text."""

    writing: Writing
    form: Form
    imagery: Imagery
    originality: Originality | None  # None where no collection is at hand in this language
    perplexity: float | None  # of a character under the poet; None where it has no say

    def as_dict(self) -> dict[str, Any]:
        """Plain lists, dicts, strings and numbers."""
        plain = dataclasses.asdict(self)
        plain["form"]["kept"] = self.form.kept
        return plain

    def lines(self, language: str = "") -> list[str]:
        """The report for people, in "zh" or "en"; the text's own language unless given."""
        return _Page(self, language or self.writing.language).lines()


def appraise(
    writing: Writing,
    sounds: Sounds,
    *,
    form: str = "",
    tunes: Mapping[str, forms.Tune] | None = None,
    origins: Origins | None = None,
) -> Report:
    """Judge a text. form: the one it was written in, found out unless given; perplexity is for those with a model."""
    if writing.language == "zh":
        judged = forms.judge(writing.text, sounds, form=form or writing.form, title=writing.title, tunes=tunes)
        original = originality(judged.lines, origins) if origins is not None else None
    else:
        from danqing.appraisal import english

        judged, original = english.judge(writing.lines, form=form or writing.form), None
    return Report(writing, judged, imagery.found_in(writing.text, writing.language), original, None)


def originality(lines: Sequence[str], origins: Origins) -> Originality:
    """Which lines are in the collection whole, and the longest run across lines."""
    long = [number for number, line in enumerate(lines, 1) if len(line) >= SHORTEST]
    whole = tuple(number for number in long if origins.has_line(lines[number - 1]))
    text, best, start, run = "".join(lines), 0, 0, 0
    for i, hit in enumerate(origins.copied(lines)):
        run = run + 1 if hit else 0
        if run > best:
            best, start = run, i - run + 1
    return Originality(whole, text[start : start + best], len(long))


class _Page:
    """A report as lines of a terminal."""

    def __init__(self, report: Report, language: str) -> None:
        self.report, self.zh = report, language == "zh"

    def lines(self) -> list[str]:
        """The whole page."""
        report, form = self.report, self.report.form
        head = " ".join(part for part in (report.writing.title, report.writing.author) if part)
        page = [*([head, ""] if head else []), *self._map(), ""]
        page += [*self._row("form", self._form()), *self._rules(), ""]
        told = [finding for finding in form.findings if finding.state == "broken"]
        page += [line for finding in told for line in self._row("broken", self._told(finding))]
        notes = [f for f in form.findings if f.state in ("note", "unknown") and f.rule not in ("opening", "lines")]
        page += [line for finding in notes for line in self._row("notes", self._told(finding))]
        page += self._row("images", self._found(report.imagery.images))
        page += self._row("moods", self._found(report.imagery.moods, names=imagery.MOODS_ZH if self.zh else {}))
        return page + self._origin()

    def _map(self) -> list[str]:
        """Each line with its tones under it and its rhyme behind it."""
        form, page = self.report.form, list[str]()
        for number, line in enumerate(form.lines):
            rhyme = form.rhymes[number] if number < len(form.rhymes) else ""
            if not form.tones:
                page.append(f"{number + 1:3}  {line}" + (f"  [{rhyme}]" if rhyme else ""))
                continue
            page.append(f"{number + 1:3}  {' '.join(line)}" + (f"   {rhyme}" if rhyme else ""))
            page.append(f"     {'  '.join(form.tones[number])}")
        return page

    def _form(self) -> str:
        form = self.report.form
        opening = next((self._text(finding) for finding in form.findings if finding.rule == "opening"), "")
        return form.name + (("，" if self.zh else ", ") + opening if opening else "")

    def _rules(self) -> list[str]:
        """One row for each rule, one sign for each line."""
        findings = [f for f in self.report.form.findings if f.state != "note"]
        count = len(self.report.form.lines)
        states = [f.state for f in findings]
        said = [f"{states.count(s)} {self._word(s)}" for s in ("kept", "broken", "unknown") if s in states]
        page = self._row("rules", ("，" if self.zh else ", ").join(said) or "-")
        if not findings:
            return page
        width = max(2, len(str(count))) + 1
        page.append(self._indent("") + "".join(f"{n:>{width}}" for n in range(1, count + 1)))
        for rule in RULES:
            own = [f for f in findings if f.rule == rule and f.line]
            if own:
                signs = []
                for number in range(1, count + 1):
                    here = [f.state for f in own if f.line == number]
                    sign = next((SIGNS[s] for s in ("broken", "unknown", "kept") if s in here), "·")
                    signs.append(f"{sign:>{width}}")
                page.append(self._indent(RULES[rule][not self.zh]) + "".join(signs))
        return page

    def _told(self, finding: Finding) -> str:
        where = "" if not finding.line else f"第 {finding.line} 句 " if self.zh else f"line {finding.line}, "
        rule = RULES.get(finding.rule, (finding.rule, finding.rule))[not self.zh]
        return f"{where}{rule}{'：' if self.zh else ': '}{self._text(finding)}"

    def _found(self, found: Mapping[str, tuple[str, ...]], names: Mapping[str, str] | None = None) -> str:
        named = names or {}
        shown = [
            " ".join(words) if self.zh and not named else f"{named.get(name, name)} ({' '.join(words)})"
            for name, words in found.items()
        ]
        return ("、" if self.zh else ", ").join(shown)

    def _origin(self) -> list[str]:
        report, page = self.report, list[str]()
        if report.originality is not None:
            known, judged = report.originality.lines, report.originality.judged
            if known:
                listed = "、".join(map(str, known))
                zh = f"{judged} 句中有 {len(known)} 句见于训练语料：第 {listed} 句"
                en = f"{len(known)} of {judged} lines stand in the training poems: {listed.replace('、', ', ')}"
            else:
                zh, en = "没有一句见于训练语料", "no line stands in the training poems"
            page += self._row("lines", zh if self.zh else en)
            span = report.originality.longest
            none = f"不到 {GRAM} 字" if self.zh else f"under {GRAM} characters"
            page += self._row("span", f"{len(span)}: {span}" if span else none)
        if report.perplexity is not None:
            en = f"{report.perplexity:.1f} a character, under the poet"
            page += self._row("perplexity", f"每字 {report.perplexity:.1f}（诗人模型）" if self.zh else en)
        return page

    def _row(self, name: str, value: str) -> list[str]:
        return [self._indent(self._word(name)) + value] if value else []

    def _indent(self, name: str) -> str:
        """A name in a column of 16, as wide as it is on a terminal."""
        return name + " " * (16 - sum(2 if forms_wide(char) else 1 for char in name))

    def _word(self, name: str) -> str:
        return _WORDS[name][not self.zh]

    def _text(self, finding: Finding) -> str:
        return finding.zh if self.zh else finding.en


def forms_wide(char: str) -> bool:
    """Whether a character takes two columns."""
    return char >= "\u1100" and not ("\u2000" <= char < "\u2e80")
