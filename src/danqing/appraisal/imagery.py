"""What a poem shows and the moods it calls up, by a small lexicon of our own (imagery.toml)."""

from __future__ import annotations

import functools
import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LEXICON = Path(__file__).parent / "imagery.toml"
_ONE_THING = ("sky", "weather", "season", "time", "water", "land", "frontier", "feeling")  # words for much the same
MOODS_ZH = {
    "joy": "喜",
    "sorrow": "悲",
    "longing": "思",
    "calm": "静",
    "solitude": "孤",
    "grandeur": "壮",
    "courage": "勇",
    "love": "情",
}


@dataclass(frozen=True)
class Imagery:
    """The images and moods of a text, the most frequent first."""

    images: Mapping[str, tuple[str, ...]]  # image → the words it was found by
    moods: Mapping[str, tuple[str, ...]]


def found_in(text: str, language: str) -> Imagery:
    """Every image and mood of the lexicon that a text holds."""
    images, moods, _ = _lexicon()
    return Imagery(_hits(text, images[language]), _hits(text, moods[language]))


def words_of_mood(mood: str, language: str) -> tuple[str, ...]:
    """The words that a mood is known by; empty for a mood that is not in the lexicon."""
    _, moods, _ = _lexicon()
    return tuple(word for word, name in moods[language] if name == mood)


def moods() -> tuple[str, ...]:
    """The moods that the lexicon knows."""
    return tuple(MOODS_ZH)


def neighbours(word: str, language: str) -> tuple[str, ...]:
    """Other words for the same image: moon → moonlight, 月 → 婵娟."""
    images, _, _ = _lexicon()
    names = {name for other, name in images[language] if other == word or (language == "zh" and other in word)}
    return tuple(other for other, name in images[language] if name in names and other != word)


def translated(text: str) -> list[str]:
    """The Chinese words for the images of an English text, in the order in which they stand in it."""
    names = _translations()
    found = []
    for word in re.findall(r"[a-z]+", text.casefold()):
        stem = next((w for w in (word, word.removesuffix("s"), word.removesuffix("es")) if w in names), "")
        if stem and names[stem] not in found:
            found.append(names[stem])
    return found


@functools.cache
def _translations() -> dict[str, str]:
    """English word → Chinese word; where an image gathers many kinds of things (a fox, a lion), only its first word."""
    images = tomllib.loads(LEXICON.read_text(encoding="utf-8"))["images"]
    found: dict[str, str] = {}
    for entry in images.values():
        words = entry["en"].split()
        for word in words if entry["kind"] in _ONE_THING else words[:1]:
            found.setdefault(word, entry["zh"].split()[0])
    return found


def parallel(upper: str, lower: str) -> tuple[int, int, int]:
    """Places of two lines whose characters are of one kind, places where both are known, lines with a doubled word.

    Two characters of one kind (sky and sky, number and number) are a match; the lexicon knows a few hundred characters,
    so this says what is parallel more surely than what is not.
    """
    _, _, kinds = _lexicon()
    matched = known = 0
    for a, b in zip(upper, lower, strict=False):
        one, other = kinds.get(a, frozenset()), kinds.get(b, frozenset())
        if one and other and a != b:
            known += 1
            matched += bool(one & other)
    doubled = [{i for i in range(len(s) - 1) if s[i] == s[i + 1]} for s in (upper, lower)]
    return matched, known, 2 if doubled[0] and doubled[0] == doubled[1] else int(bool(doubled[0] or doubled[1]))


def _hits(text: str, words: tuple[tuple[str, str], ...]) -> dict[str, tuple[str, ...]]:
    """Name → the words it was found by, longer words first, no character counted for two of them."""
    left, found, counts = text.casefold(), dict[str, list[str]](), Counter[str]()
    for word, name in words:
        pattern = word if not word.isascii() else rf"\b{re.escape(word)}(?:s|es|ed|ing|'s)?\b"
        count = len(re.findall(pattern, left))
        if count:
            found.setdefault(name, []).append(word)
            counts[name] += count
            if len(word) > 1 and not word.isascii():  # 白发 is one image, not also 发
                left = left.replace(word, "\n")
    return {name: tuple(found[name]) for name, _ in counts.most_common()}


@functools.cache
def _lexicon() -> tuple[
    dict[str, tuple[tuple[str, str], ...]], dict[str, tuple[tuple[str, str], ...]], dict[str, frozenset[str]]
]:
    """(word, image) pairs by language, (word, mood) pairs by language, the kinds of each character."""
    raw = tomllib.loads(LEXICON.read_text(encoding="utf-8"))
    tables = []
    for part in ("images", "moods"):
        by_language = {}
        for language in ("zh", "en"):
            pairs = [(word, name) for name, entry in raw[part].items() for word in entry[language].split()]
            by_language[language] = tuple(sorted(pairs, key=lambda pair: -len(pair[0])))
        tables.append(by_language)
    kinds: dict[str, set[str]] = {}
    for entry in raw["images"].values():
        for word in entry["zh"].split():
            if len(word) == 1:
                kinds.setdefault(word, set()).add(entry["kind"])
    for kind, chars in raw["kinds"].items():
        for char in chars.split():
            kinds.setdefault(char, set()).add(kind)
    return tables[0], tables[1], {char: frozenset(own) for char, own in kinds.items()}
