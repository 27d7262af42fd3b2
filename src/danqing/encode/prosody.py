"""Tones and rhymes of Chinese characters: what a form can be kept by, and checked against.

Two books. `pingshui` (平水韵) is what poets from the Tang on wrote by: 106 rhyme groups in four tones, of which 平 is
level and 上 去 入 together are oblique, 仄. `modern` (中华新韵) has 14 groups and today's tones: 入 is gone.

Many characters have several readings. `tone` and `rhymes` take all that the book knows, so that a reader accepts what
a poet may have meant; `usual_tone` and `usual_rhymes` keep those that poets did use, so that a writer does not rhyme
不 as a level word because the book lists a rare reading. Characters that the book lacks were estimated from regulated
verse (danqing.recipes.prosody, which made the table): `confidence` says how much of the evidence agreed.
"""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from danqing.errors import BadRequest, UnknownName

TABLE = Path(__file__).parents[1] / "catalog" / "prosody.json"
BOOKS = ("pingshui", "modern")
Tone = Literal["平", "仄", "both"]

# 词林正韵, after Ge Zai 1821: which Pingshui groups rhyme together in ci. A group marked * is shared between two
# classes; the table says which of its characters belong to which.
CI_CLASSES: Mapping[int, str] = {
    1: "一东 二冬 一董 二肿 一送 二宋",
    2: "三江 七阳 三讲 二十二养 三绛 二十三漾",
    3: "四支 五微 八齐 十灰* 四纸 五尾 八荠 十贿* 四寘 五未 八霁 九泰* 十一队*",
    4: "六鱼 七虞 六语 七麌 六御 七遇",
    5: "九佳* 十灰* 九蟹 十贿* 九泰* 十卦* 十一队*",
    6: "十一真 十二文 十三元* 十一轸 十二吻 十三阮* 十二震 十三问 十四愿*",
    7: "十三元* 十四寒 十五删 一先 十三阮* 十四旱 十五潸 十六铣 十四愿* 十五翰 十六谏 十七霰",
    8: "二萧 三肴 四豪 十七筱 十八巧 十九皓 十八啸 十九效 二十号",
    9: "五歌 二十哿 二十一箇",
    10: "九佳* 六麻 二十一马 十卦* 二十二祃",
    11: "八庚 九青 十蒸 二十三梗 二十四迥 二十四敬 二十五径",
    12: "十一尤 二十五有 二十六宥",
    13: "十二侵 二十六寝 二十七沁",
    14: "十三覃 十四盐 十五咸 二十七感 二十八琰 二十九豏 二十八勘 二十九艳 三十陷",
    15: "一屋 二沃",
    16: "三觉 十药",
    17: "四质 十一陌 十二锡 十三职 十四缉",
    18: "五物 六月 七曷 八黠 九屑 十六叶",
    19: "十五合 十七洽",
}
_RARE = 0.06  # a reading in a smaller share of the evidence is known, but not used; violations of the rules reach 0.05
_ENOUGH = 20  # pieces of evidence by which a reading may be called rare


@dataclass(frozen=True)
class Estimate:
    """What the corpus says of one character."""

    level: float  # share of tone positions, in regulated verse, at which it was level
    count: int  # how many positions
    groups: Mapping[str, float]  # rhyme group → share of the rhymes it was seen in
    rhymes: int  # how many rhymes


class Prosody:
    """The tones and rhymes of one book."""

    def __init__(self, table: Mapping[str, Any], book: str = "pingshui") -> None:
        if book not in BOOKS:
            raise UnknownName("rhyme book", book, BOOKS, f"the books: {', '.join(BOOKS)}")
        self.book = book
        self.about: Mapping[str, Any] = table["about"]
        self._readings: dict[str, set[tuple[str, str]]] = defaultdict(set)  # character → {(tone, group)}
        self._tones: dict[str, set[str]] = defaultdict(set)
        self._usual: dict[str, frozenset[str]] = {}  # tones in use, where they are fewer than the book's
        self._confidence: dict[str, float] = {}
        self._estimates: dict[str, Estimate] = {}
        self._groups: dict[str, frozenset[str]] = {}  # group → its tones
        self._classes: dict[tuple[str, str], int] = {}  # (group, character) → ci class, for the groups that are shared
        if book == "modern":
            self._read_modern(table["modern"])
        else:
            self._read_pingshui(table)

    @classmethod
    def load(cls, path: Path = TABLE, book: str = "pingshui") -> Prosody:
        """The table at `path`. Raises UnknownName for another book, BadRequest where the file is not such a table."""
        return _loaded(path, book)

    # --- what is asked ----------------------------------------------------------------------------------------------

    def tone(self, char: str) -> Tone | None:
        """平, 仄, or both where it has readings of both; None where nothing is known."""
        return _tone(self._tones.get(char, ()))

    def usual_tone(self, char: str) -> Tone | None:
        """As `tone`, without readings that poets hardly ever used. Never more than `tone` allows."""
        return _tone(self._usual.get(char, self._tones.get(char, ())))

    def rhymes(self, char: str, tone: str | None = None) -> frozenset[str]:
        """The rhyme groups of its readings: of all, or of the level (平) or the oblique (仄) ones."""
        return frozenset(g for t, g in self._readings.get(char, ()) if tone in (None, t))

    def usual_rhymes(self, char: str, tone: str | None = None) -> frozenset[str]:
        """As `rhymes`, without groups in which poets hardly ever rhymed it. Never more than `rhymes` allows."""
        tones = self._usual.get(char)
        found = {(t, g) for t, g in self._readings.get(char, ()) if tone in (None, t) and (not tones or t in tones)}
        seen = self._estimates.get(char)
        if seen and seen.rhymes >= _ENOUGH:
            used = {(t, g) for t, g in found if t == "仄" or seen.groups.get(g, 0) >= _RARE}
            found = used if any(t == "平" for t, _ in used) else found
        return frozenset(g for _, g in found)

    def ci_rhymes(self, char: str, tone: str | None = None) -> frozenset[str]:
        """The classes in which it rhymes in ci: 第3部平, 第3部仄, 第18部入 … In the modern book a class is a group.

        A group that two classes share gives both: many poets rhymed 回 with 来, as in shi.
        """
        pairs = ((t, g) for t, g in self._readings.get(char, ()) if tone in (None, t))
        return frozenset(c for t, g in pairs for c in self._both_classes(t, g))

    def usual_ci_rhymes(self, char: str, tone: str | None = None) -> frozenset[str]:
        """As `ci_rhymes`, of the groups that `usual_rhymes` keeps, each character in its own half of a shared group."""
        kept = self.usual_rhymes(char, tone)
        pairs = ((t, g) for t, g in self._readings.get(char, ()) if tone in (None, t) and g in kept)
        return frozenset(self._class(t, g, char) for t, g in pairs)

    def confidence(self, char: str) -> float:
        """1 where the book has it, the share of the evidence that agreed where it was estimated, 0 where unknown."""
        if char in self._confidence:
            return self._confidence[char]
        return 1.0 if char in self._tones else 0.0

    def estimate(self, char: str) -> Estimate | None:
        """What the corpus says of a character that has several readings, or that the book lacks."""
        return self._estimates.get(char)

    def shared(self, chars: Iterable[str], tone: str | None = None) -> frozenset[str]:
        """The groups in which all of these rhyme, empty where there is none. Unknown characters join any."""
        common: frozenset[str] | None = None
        for char in chars:
            own = self.rhymes(char, tone)
            if own:
                common = own if common is None else common & own
        return common or frozenset()

    def groups(self, tone: str | None = None) -> tuple[str, ...]:
        """The names of the rhyme groups, in the book's order: all, or those that have characters of this tone."""
        return tuple(g for g, tones in self._groups.items() if tone is None or tone in tones)

    def group(self, name: str) -> str:
        """The full name of a group given by it or by its character: 东 is 一东. Raises UnknownName with the nearest."""
        known = [g for g in self._groups if name in (g, g[-1], g.removesuffix("韵"), f"{g[-1]}韵", f"{g}韵")]
        level = [g for g in known if "平" in self._groups[g]]
        if len(known) == 1 or level:
            return (level or known)[0]
        raise UnknownName("rhyme", name, self._groups, f"the groups of {self.book}: {' '.join(self.groups('平'))} …")

    def characters(self) -> tuple[str, ...]:
        """Every character whose tone is known."""
        return tuple(self._tones)

    # --- how the table is read --------------------------------------------------------------------------------------

    def _both_classes(self, tone: str, group: str) -> set[str]:
        if self.book == "modern":
            return {f"{group}{tone}"}
        numbers = (n for n, groups in CI_CLASSES.items() if group in groups.replace("*", "").split())
        return {f"第{n}部{'入' if n >= 15 else tone}" for n in numbers}

    def _class(self, tone: str, group: str, char: str) -> str:
        if self.book == "modern":
            return f"{group}{tone}"
        number = self._classes.get((group, char)) or self._classes.get((group, "")) or 0
        return f"第{number}部{'入' if number >= 15 else tone}"

    def _read_modern(self, groups: Mapping[str, Mapping[str, str]]) -> None:
        for group, tones in groups.items():
            self._groups[group] = frozenset(tones)
            for tone, chars in tones.items():
                for char in chars:
                    self._readings[char].add((tone, group))
                    self._tones[char].add(tone)

    def _read_pingshui(self, table: Mapping[str, Any]) -> None:
        for group, (tone, chars) in table["pingshui"].items():
            self._groups[group] = frozenset(tone)
            for char in chars:
                self._readings[char].add((tone, group))
                self._tones[char].add(tone)
        for number, groups in CI_CLASSES.items():
            for group in groups.split():
                if not group.endswith("*"):
                    self._classes[group, ""] = number
        for group, halves in table["halves"].items():
            for number, chars in halves.items():
                self._classes.setdefault((group, ""), int(number))  # the larger half comes first
                for char in chars:
                    self._classes[group, char] = int(number)
        for char, (level, count, groups, rhymes) in table["evidence"].items():
            self._estimates[char] = Estimate(level, count, groups, rhymes)
            tones = self._tones.get(char, set())
            if len(tones) == 2 and count >= _ENOUGH:
                self._usual[char] = _used(level)
        for char, (tone, confidence, group) in table["estimated"].items():
            if char in self._tones and tone != "both":  # the corpus has a reading that the book lacks
                self._usual[char] = frozenset(tone)
            else:
                self._confidence[char] = confidence
            self._tones[char] |= set("平仄" if tone == "both" else tone)
            for name in group:
                self._readings[char].add((next(iter(self._groups[name])), name))


@functools.cache
def _loaded(path: Path, book: str) -> Prosody:
    try:
        return Prosody(json.loads(path.read_text("utf-8")), book)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError) as error:
        raise BadRequest(f"{path} is not a table of tones and rhymes ({error}); install Danqing again") from error


def _tone(tones: Iterable[str]) -> Tone | None:
    found = set(tones)
    if len(found) == 2:
        return "both"
    return ("平" if "平" in found else "仄") if found else None


def _used(level: float) -> frozenset[str]:
    """The tones in use, of a character with both."""
    return frozenset(t for t, share in (("平", level), ("仄", 1 - level)) if share >= _RARE)
