"""A plot in a sentence: the sentence that a story begins with, and who is in it."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Mapping, Sequence

import torch

from danqing.encode import cast, english

# Words that no verb follows, so that what stands after them in -s or -ed is a noun or an adjective.
LINKS = frozenset(
    ["a", "an", "the", "of", "in", "on", "and", "with", "for", "at", "two", "three", "some", "his", "her"]
)
# Words that end what is said of somebody: "a small robot | who wanted to sing".
_AFTER = """
who that which whose and or is was has had with in of on at to from into by goes finds meets wants loves lost found
wanted became went met lives lived sings dreams learns
"""
AFTER = frozenset(_AFTER.split())
_SOMEBODY = re.compile(r"(?i)\b(?:an?|the|my|one|two|three|some)\s+((?:[a-z-]+\s*)+)")


def first_sentence(plot: str, language: str) -> str:
    """A plot as the sentence that a story begins with; "" for mere words.

    "a fox who wanted the moon" → "There was once a fox who wanted the moon."; "一只想要月亮的狐狸" has "从前有"
    put before it; "a knight loses his sword" is a sentence already.
    """
    words = re.sub(r"\s+", " ", plot).strip().rstrip(".。!?！？")
    if language == "zh":
        if len(words) < 5 or " " in words:
            return ""
        named = re.match(r"[一两三][只个位条匹名头对群座]", words) and re.search(r"的[^，]{1,5}$", words)
        return f"{'从前有' if named else '话说'}{words}。"
    found = re.match(r"(?i)(an?|two|three|some|the|my|one)\b", words)
    if not found or len(words.split()) < 3:
        return ""
    low = words[0].lower() + words[1:]
    if _is_clause(low):
        return f"{words[0].upper()}{words[1:]}."
    if found[0].lower() in ("the", "my"):
        return f"This is the story of {low}."
    return f"There {'were' if found[0].lower() in ('two', 'three', 'some') else 'was'} once {low}."


def _is_clause(plot: str) -> bool:
    """Whether words that begin with an article are a sentence: they have a verb outside any "who …" or "that …"."""
    words = re.split(r"\b(?:who|that|which|whose|where|when)\b", plot)[0].split()
    pairs = itertools.pairwise(words[1:])
    verbs = {"is", "was", "has", "had", "goes", "finds", "found", "lost", "wanted", "became", "went", "met", "meets"}
    return any(
        word in verbs or (re.fullmatch(r"[a-z]{3,}(?:[^s]s|ed)", word) and before not in LINKS)
        for before, word in pairs
    )


def who(plot: str, people: Mapping[str, bool], language: str) -> list[str]:
    """The people and animals that a plot names, in its order: those known as such, and whom it begins with."""
    if language == "zh":
        found = cast.known_among(plot, {*people, *cast.CALLED}, "zh")
        named = re.search(r"的([\u4e00-\u9fff]{1,4})$", plot.strip("。！？ "))
        return found or ([named[1]] if named and first_sentence(plot, "zh") else [])
    words = re.findall(r"[A-Za-z-]+", plot)
    ordinary = {*_words(), *people, *LINKS}  # has a capital only because a plot or title begins so
    names = [
        word
        for before, word in itertools.pairwise(["", *words])
        if len(words) > 1
        and word[0].isupper()
        and word.lower() not in ordinary
        and before.lower() not in ("a", "an", "the")
    ]
    heads = [head] if not names and (head := _head(plot)) else []
    known = cast.known_among(plot, {*(name for name, common in people.items() if common), *names, *heads}, "en")
    return list(dict.fromkeys(known))


@functools.cache
def _words() -> frozenset[str]:
    """The words of the English lexicon, in small letters."""
    return frozenset(word for listed in english.table()["words"].values() for word in listed.split())


def _head(plot: str) -> str:
    """The noun of the first "a …" of a plot: "robot" of "a small robot who wanted to sing"; "" for none."""
    found = _SOMEBODY.search(plot)
    if not found:
        return ""
    said = itertools.takewhile(lambda word: word.lower() not in AFTER and word[-2:] != "ed", found[1].split())
    words = list(itertools.islice(said, 4))
    return words[-1].lower() if words else ""


def company(cast_of_plot: Sequence[str], companions: Mapping[str, Sequence[str]]) -> list[str]:
    """Whom those of a plot may meet: in the texts they were seen with them; else those whom most are seen with."""
    met = [other for one in cast_of_plot for other in companions.get(one, ())]
    if not met:
        often: dict[str, int] = {}
        for others in companions.values():
            for other in others:
                often[other] = often.get(other, 0) + 1
        met = sorted(often, key=lambda name: -often[name])[:8]
    return [name for name in dict.fromkeys(met) if not any(name in one or one in name for one in cast_of_plot)]


# How a story goes: from which share of its length on, with one of which words its next sentence begins. Small models
# lose the thread; that something happens, turns, and is over has to be planned.
COURSE = {
    "en": (
        (0.0, ("One day", "One night", "One morning")),
        (0.3, ("But", "Suddenly", "Just then")),
        (0.5, ("So", "The next day", "Then")),
        (0.7, ("At last", "When")),
        (0.88, ("And from that day", "And so", "Ever after")),
    ),
    "zh": (
        (0.0, ("一日", "这日", "这夜")),
        (0.3, ("忽然", "谁知", "不想")),
        (0.5, ("次日", "于是")),
        (0.7, ("后来", "到了")),
        (0.88, ("从此", "自此")),
    ),
}


class Course:
    """The turns of one story, in their order."""

    def __init__(self, language: str, generator: torch.Generator) -> None:
        """generator: by which one of several words is chosen."""
        self._apart = " " if language == "en" else ""
        self._turns = [
            (share, words[int(torch.randint(len(words), (), generator=generator))]) for share, words in COURSE[language]
        ]

    @property
    def ended(self) -> bool:
        """Whether its last turn is written."""
        return not self._turns

    def turn(self, share: float, text: str) -> str:
        """The words with which the next sentence begins, after this text; "" where it begins as it likes.

        share: of the length that has been written. Of turns that have been missed only the last one comes.
        """
        due = [words for start, words in self._turns if share >= start]
        if not due:
            return ""
        self._turns = self._turns[len(due) :]
        return due[-1] if not text or text[-1].isspace() else f"{self._apart}{due[-1]}"


SPEAKERS_MOST = 4  # people in a script
_NEW, _BACK = 0.15, 0.6  # how often somebody new speaks; how often, of the others, who spoke before the last one


class Dialogue:
    """Who speaks next in a script."""

    def __init__(self, names: Sequence[str], generator: torch.Generator) -> None:
        """names: those of the plot, who speak first; generator: by which the others are chosen."""
        self._names, self._generator = tuple(names[:SPEAKERS_MOST]), generator

    def turn(self, speakers: Sequence[str]) -> str:
        """The next speaker, after these; "" for somebody who has not spoken yet."""
        chance, other = torch.rand(2, generator=self._generator).tolist()
        silent = [name for name in self._names if name not in speakers]
        if silent:
            return silent[0]
        heard = list(dict.fromkeys(reversed([name for name in speakers if name != speakers[-1]])))
        few = len(heard) < 1 or (len(heard) + 1 < SPEAKERS_MOST and chance < _NEW and len(self._names) < 2)
        if few:
            return ""
        return heard[0] if len(heard) == 1 or other < _BACK else heard[1 + int(chance * (len(heard) - 1))]
