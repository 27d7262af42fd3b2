"""Who acts in a story: people and animals, found in texts by their speaking, and the roles that stand for them.

A language model of a few million weights forgets whom it writes about and falls back on the people of its books. So the
people of a passage are named once, before it, and stand in it as roles:

    <story> <opening> <1> fox <2> crow <text> A hungry <1> saw a <2> …

To write about others is to give the roles other names. This is the entity anonymisation of Hermann et al. 2015,
"Teaching Machines to Read and Comprehend", with the names kept in sight, so that a fox may have a tail.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from danqing.artwork.literature import is_han
from danqing.encode.text import Pieces, Vocabulary

ROLES = ("<1>", "<2>", "<3>", "<4>")
LEAST = 3  # times that somebody has to speak in the texts to be somebody
_SPEAKS = (
    "said|cried|answered|replied|asked|exclaimed|called|whispered|thought|shouted|laughed|remarked|returned|continued|"
    "inquired|growled|added|declared|repeated|sighed|began|went on"
)
_OLD = "old|little|young|poor|good|great|big|wise|first|second|third|other|eldest|youngest|worthy|kind"
_NOUN = re.compile(rf"[\"'] (?:{_SPEAKS}) (?:the|a|an) (?:(?:{_OLD}) )?([A-Za-z][a-z]+(?:-[a-z]+)?)(?=[,.;:!?])")
_NAME = re.compile(rf"[\"'] (?:{_SPEAKS}) ([A-Z][a-z]{{2,}})(?=[,.;:!?])")
_WORD = re.compile(r"[A-Za-z]+(?:-[a-z]+)?")
_NOBODY = frozenset(["other", "others", "voice", "first", "second", "third", "one", "time", "latter", "former", "last"])
_HOW = "笑怒大喝叫答问听骂哭叹又便忙却乃急悄暗高厉冷微连先方才就只随即因也说应奏告谏惊喜泣嘱禀劝都皆"
_SAID = re.compile(rf"(?:^|[。！？”])([\u4e00-\u9fff]{{2,4}}?)[{_HOW}了]{{0,3}}(?:说道|道|曰)：?“", re.MULTILINE)
_NO_NAME = re.compile(
    rf"[{_HOW}众两二三四七后自其又个心人诗书略回文]$|^[众两二三四其又因便忽且有一后自常].*|.*[听得想报]"
)
# What people and animals are called in Chinese whatever they are named: those that a plot is likely to be about.
_CALLED = """
书生 秀才 举人 状元 先生 老师 学生 和尚 老僧 小沙弥 道士 尼姑 将军 士兵 皇帝 皇后 公主 王子 太子
大臣 县官 丞相 刺客 侠客 剑客 强盗 小偷 商人 掌柜 店小二 樵夫 渔夫 渔翁 渔人 猎人 猎户 农夫 农民
牧童 铁匠 木匠 石匠 裁缝 厨子 画家 画师 诗人 琴师 医生 郎中 老人 老翁 老头 老婆婆 老妇 老太太 妇人
妻子 丈夫 媳妇 寡妇 新娘 姑娘 少女 女子 女孩 男孩 少年 孩子 小孩 孤儿 乞丐 父亲 母亲 儿子 女儿 哥哥
弟弟 姐姐 妹妹 祖父 祖母 奶奶 爷爷 邻居 朋友 陌生人 客人 旅人 神仙 仙女 仙人 妖怪 妖精 女鬼 鬼魂
水鬼 狐仙 狐女 狐狸精 龙王 龙女 土地 阎王 菩萨 机器人 狐狸 老虎 狮子 狼 熊 猴子 兔子 乌龟 青蛙 老鼠
猫 小猫 狗 小狗 马 白马 牛 老牛 驴子 羊 小羊 猪 公鸡 母鸡 鸭子 鹅 天鹅 麻雀 燕子 乌鸦 喜鹊 老鹰 鹤
白鹤 蛇 白蛇 鱼 小鱼 金鱼 蝴蝶 蜜蜂 蚂蚁 蟋蟀 萤火虫 鬼 狐 虎 龙 猿 鹿
"""
CALLED = tuple(_CALLED.split())


def people(paragraphs: Iterable[str], language: str) -> dict[str, bool]:
    """Who speaks in the texts: name → whether it is what one is called (fox, 和尚) and not a name (Alice, 宋江).

    English names of the first kind are in small letters.
    """
    text = "\n".join(paragraphs)
    if language == "en":
        nouns = Counter(m[1].lower() for m in _NOUN.finditer(text))
        found = {noun: True for noun, n in nouns.items() if n >= LEAST and noun not in _NOBODY}
        named = Counter(m[1] for m in _NAME.finditer(text))
        return found | {name: False for name, n in named.items() if n >= LEAST and name.lower() not in found}
    spoke = Counter(m[1].removeprefix("那") for m in _SAID.finditer(text))
    often = [name for name, n in spoke.items() if n >= LEAST and len(name) >= 2 and not _NO_NAME.search(name)]
    # What begins with another's name is that and what he does: 宋江寻思.
    names = [name for name in often if not any(name[:cut] in often for cut in range(2, len(name)))]
    told = {name: len(re.findall(f"(?:那|个|位|这){name}", text)) > 0.2 * text.count(name) for name in names}
    return told | dict.fromkeys((name for name in CALLED if len(name) > 1 and name in text), True)


class Names:
    """Finds people in a text, the longest name first."""

    def __init__(self, names: Sequence[str], language: str) -> None:
        """language: "en", where small letters match either case, or "zh"."""
        self.names, self._language = tuple(names), language
        self._number = {name: i for i, name in enumerate(names)}
        longest = sorted(map(re.escape, names), key=len, reverse=True)
        self._han = re.compile("|".join(longest)) if language == "zh" and names else None

    def split(self, text: str) -> list[str | int]:
        """The text in pieces: what is no name, and the numbers of those who are named; a space before one is its."""
        parts: list[str | int] = []
        end = 0
        for start, stop, number in self._found(text):
            if self._language == "en" and text[end:start].endswith(" "):
                start -= 1
            if start > end:
                parts.append(text[end:start])
            parts.append(number)
            end = stop
        return [*parts, text[end:]] if end < len(text) else parts

    def _found(self, text: str) -> Iterable[tuple[int, int, int]]:
        if self._language == "zh":
            matches = self._han.finditer(text) if self._han else iter(())
            return ((m.start(), m.end(), self._number[m[0]]) for m in matches)
        found = ((m, self._number.get(m[0], self._number.get(m[0].lower()))) for m in _WORD.finditer(text))
        return ((m.start(), m.end(), number) for m, number in found if number is not None)


def companions(passages: Iterable[Sequence[int]], common: Mapping[int, bool], most: int = 6) -> dict[int, list[int]]:
    """Who is with whom: number → those of `common` that stand with it in more passages than chance would have."""
    alone: Counter[int] = Counter()
    pairs: Counter[tuple[int, int]] = Counter()
    count = 0
    for passage in passages:
        here = sorted(set(passage))
        alone.update(here)
        pairs.update(itertools.permutations(here, 2))
        count += 1
    found: dict[int, list[tuple[float, int]]] = {}
    for (one, other), n in pairs.items():
        lift = n * count / (alone[one] * alone[other])
        if n >= 2 and lift > 1.5 and common.get(other):
            found.setdefault(one, []).append((n * min(lift, 8.0), other))
    return {one: [other for _, other in sorted(others, reverse=True)[:most]] for one, others in found.items()}


class Cast:
    """A vocabulary with the people of one text: their names stand for roles in what is read, roles for them in it."""

    def __init__(self, vocabulary: Vocabulary, names: Sequence[str]) -> None:
        """names: of as many roles as there are names, in their order."""
        self.vocabulary, self.names = vocabulary, tuple(names[: len(ROLES)])
        self._english = isinstance(vocabulary, Pieces)
        self._finder = Names(self.names, "en" if self._english else "zh")
        self._roles = {vocabulary.id(role): name for role, name in zip(ROLES, self.names, strict=False)}

    def __len__(self) -> int:
        return len(self.vocabulary)

    def id(self, special: str) -> int:
        """As the vocabulary's."""
        return self.vocabulary.id(special)

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, its people as roles."""
        if not self.names:
            return self.vocabulary.encode(text)
        tokens: list[int] = []
        for part in self._finder.split(text):
            tokens += self.vocabulary.encode(part) if isinstance(part, str) else [self.id(ROLES[part])]
        return tokens

    def decode(self, ids: Iterable[int]) -> str:
        """The text, its roles as their names: with a capital where a sentence begins."""
        text = ""
        for is_role, run in itertools.groupby(ids, lambda i: i in self._roles):
            if not is_role:
                text += self.vocabulary.decode(run)
                continue
            for i in run:
                name = self._roles[i]
                apart = self._english and not re.search(r"(?:^|[\s(\[—-])[\"'“‘]*$", text)
                if self._english and re.search(r"(?:^|[.!?][\"']*\s|\n)[\"']*$", text):
                    name = name[0].upper() + name[1:]
                text += f" {name}" if apart else name
        return text


def kin(names: Sequence[str]) -> list[int]:
    """The number of who is meant by each name: 林黛玉 and 黛玉 are one, and she is 黛玉."""
    number = {name: i for i, name in enumerate(names)}
    return [
        next((number[name[cut:]] for cut in range(1, len(name) - 1) if is_han(name[0]) and name[cut:] in number), i)
        for i, name in enumerate(names)
    ]


def known_among(text: str, people: Iterable[str], language: str) -> list[str]:
    """Those of these people that a text names, each once, in its order."""
    finder = Names(list(people), language)
    found = (finder.names[part] for part in finder.split(text) if isinstance(part, int))
    return list(dict.fromkeys(found))


# What stands before one who has no name, at once or with a word or two between: the poor old fox.
_BEFORE = (
    "the a an this that these those his her its my your our their another every each no some one any which what two "
    "three first second third"
)


class Others:
    """A constraint: nobody is named who is not in the cast, and who is not called by a name has an article.

    In Chinese no name is written to its end; in English no word that is one of them whole, since what begins like a
    name may be another word.
    """

    def __init__(self, cast: Cast, people: Iterable[str]) -> None:
        """people: those that the model knows; a name that has part of a cast's name in it may be written."""
        v = cast.vocabulary
        self._all = np.ones(len(v), dtype=np.bool_)
        for role in ROLES[len(cast.names) :]:
            if v.has(role):
                self._all[v.id(role)] = False
        self._last: dict[tuple[int, ...], list[int]] = {}
        self._grammar = _Articles(cast) if isinstance(v, Pieces) and cast.names else None
        for name in people:
            if any(name in own or own in name for own in cast.names):
                continue
            for written in (f" {name}", f" {name.capitalize()}") if isinstance(v, Pieces) else (name,):
                *first, last = v.encode(written)
                if not isinstance(v, Pieces):
                    self._last.setdefault(tuple(first), []).append(last)
                elif not first:
                    self._all[last] = False
        self._longest = max([3 * bool(self._grammar), *map(len, self._last)], default=0)

    def start(self) -> tuple[int, ...]:
        """Nothing written yet."""
        return ()

    def allowed(self, state: tuple[int, ...]) -> NDArray[np.bool_]:
        """Every token but those that would name somebody."""
        ends = [self._last.get(state[-n:], ()) for n in range(1, self._longest + 1)] if self._last else []
        banned = [token for end in ends for token in end]
        banned += self._grammar.banned(state) if self._grammar else []
        if not banned:
            return self._all
        allowed = self._all.copy()
        allowed[banned] = False
        return allowed

    def advance(self, state: tuple[int, ...], token: int) -> tuple[int, ...]:
        """One more token; only as many are kept as a name has."""
        return (*state, token)[-self._longest :] if self._longest else ()

    def finished(self, state: tuple[int, ...]) -> bool:
        """Never by itself."""
        return False


class _Articles:
    """Which roles may not come next in English: a fox only after an article or the like, Alice not right after one."""

    def __init__(self, cast: Cast) -> None:
        v = cast.vocabulary
        self._roles = {v.id(role): name for role, name in zip(ROLES, cast.names, strict=False)}
        self._before: dict[int, str] = {}  # token → the word that it is
        for word in _BEFORE.split():
            for written in (f" {word}", word.capitalize(), f" {word.capitalize()}"):
                tokens = v.encode(written)
                if len(tokens) == 1:
                    self._before[tokens[0]] = word

    def banned(self, state: tuple[int, ...]) -> list[int]:
        """The roles that may not come next."""
        last = self._before.get(state[-1], "") if state else ""
        led = any(token in self._before for token in state) and not any(token in self._roles for token in state)
        found = []
        for role, name in self._roles.items():
            vowel = name[0].lower() in "aeiou"
            misled = not led or (last == "a" and vowel) or (last == "an" and not vowel)
            if bool(last) if name[0].isupper() else misled:
                found.append(role)
        return found
