"""Words → a scene: what a picture is to show, where, in which light and in which colours. Chinese and English.

The words are those of `scenes.toml`, found longest first; English ones between word borders and in the plural as well.
A colour belongs to the thing that follows it (蓝色的天空, white clouds), or else to the one before it (the sky is
blue); standing alone it tints the whole picture. Names of styles are looked up by the caller's `styles`, since they
are of the catalog. Words that mean nothing here are given back, so that a person can be told.
"""

from __future__ import annotations

import functools
import importlib.resources
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

KINDS = ("place", "thing", "time", "weather", "season", "mood", "composition", "colour", "shade", "none")
Rgb = tuple[float, float, float]  # sRGB in [0, 1]
_ENGLISH = re.compile(r"[a-z]+(?:['-][a-z]+)*")
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_BREAK = re.compile(r"[,.;:，。；：、\n!?！？]")
_COLOURED = {  # one word for a thing and its colour
    "蓝天": "蓝", "青天": "蓝", "白云": "白", "乌云": "灰", "青山": "绿", "红日": "红", "白帆": "白",
    "poppies": "红", "poppy": "红", "罂粟": "红", "向日葵": "黄", "sunflower": "黄", "sunflowers": "黄",
    "油菜花": "黄", "薰衣草": "紫", "lavender": "紫", "荷花": "粉", "tulips": "红", "玫瑰": "红", "daisies": "白",
}  # fmt: skip
_COPULA = ("is", "are", "是")
REACH = 3  # words of no meaning that may stand between a colour and its thing


@dataclass(frozen=True)
class Scene:
    """What a picture is to show. Every name is one of `scenes.toml`."""

    places: tuple[str, ...] = ()
    things: tuple[str, ...] = ()
    time: str = ""
    weather: str = ""
    season: str = ""
    moods: tuple[str, ...] = ()
    composition: tuple[str, ...] = ()
    colours: Mapping[str, Rgb] = field(default_factory=dict)  # region → its colour; "" is the whole picture's
    styles: tuple[str, ...] = ()  # names of the catalog
    without: tuple[str, ...] = ()  # places and things that shall not be there
    unknown: tuple[str, ...] = ()  # words that meant nothing

    @property
    def says_nothing(self) -> bool:
        """Whether no word was understood."""
        return not any(
            (self.places, self.things, self.time, self.weather, self.season, self.moods, self.composition,
             self.colours, self.styles)
        )  # fmt: skip


@dataclass(frozen=True)
class Word:
    """One entry of the lexicon."""

    kind: str
    name: str
    region: str = ""
    rgb: Rgb | None = None


@dataclass(frozen=True)
class _Found:
    """A word at its place in the text; `word` is None where it means nothing."""

    text: str
    word: Word | None
    clause: int


@functools.cache
def lexicon() -> Mapping[str, Word]:
    """Every written form, Chinese or English in lower case → what it stands for."""
    table = tomllib.loads(importlib.resources.files("danqing.encode").joinpath("scenes.toml").read_text("utf-8"))
    found: dict[str, Word] = {}
    for kind, names in table.items():
        for name, entry in names.items():
            rgb = tuple(v / 255 for v in entry["rgb"]) if "rgb" in entry else None
            word = Word(kind, name, entry.get("region", ""), rgb)
            for form in (*entry["zh"], *entry["en"]):
                found.setdefault(form, word)
    return found


def read(prompt: str, styles: Callable[[str], str | None] = lambda words: None) -> Scene:
    """What a prompt asks for. styles: words → the name of the style that is called so, or None."""
    text = unicodedata.normalize("NFKC", prompt).lower()
    found = list(_words(text, styles))
    places: list[str] = []
    things: list[str] = []
    single: dict[str, str] = {}
    several: dict[str, list[str]] = {"mood": [], "composition": [], "style": []}
    without: list[str] = []
    unknown: list[str] = []
    negated, ruled_out = False, -1
    for one in found:
        word = one.word
        if word is None:
            unknown.append(one.text)
        elif word.name == "negation":
            negated = True
            continue
        elif word.kind in ("place", "thing"):
            negated = negated or (word.region == "tree" and one.clause == ruled_out)  # without pine trees
            ruled_out = one.clause if negated else -1
            into = without if negated else places if word.kind == "place" else things
            into += [word.name] if word.name not in into else []
        elif word.kind in ("time", "weather", "season"):
            single.setdefault(word.kind, word.name)
        elif word.kind in several:
            several[word.kind].append(word.name)
        if word is None or word.name != "filler":
            negated = False
    return Scene(
        tuple(places),
        tuple(things),
        single.get("time", ""),
        single.get("weather", ""),
        single.get("season", ""),
        tuple(dict.fromkeys(several["mood"])),
        tuple(dict.fromkeys(several["composition"])),
        _colours(found),
        tuple(dict.fromkeys(several["style"])),
        tuple(without),
        tuple(dict.fromkeys(unknown)),
    )


def _words(text: str, styles: Callable[[str], str | None]) -> Iterator[_Found]:
    """The words of a text from left to right, the longest first."""
    for clause, part in enumerate(_BREAK.split(text)):
        place = 0
        while place < len(part):
            if english := _ENGLISH.match(part, place):
                length, word = _english(part, place, styles)
                if not length:
                    length = english.end() - place
                yield _Found(part[place : place + length], word, clause)
            elif _CHINESE.match(part, place):
                length, word = _chinese(part, place, styles)
                yield _Found(part[place : place + length], word, clause)
            else:
                length = 1
            place += length


def _english(text: str, place: int, styles: Callable[[str], str | None]) -> tuple[int, Word | None]:
    """(length, word) of the longest entry that begins here: up to four words."""
    spans = []
    end = place
    for _ in range(4):
        step = _ENGLISH.match(text, end)
        if not step:
            break
        spans.append(step.end())
        gap = re.compile(r"\s+").match(text, step.end())
        if not gap:
            break
        end = gap.end()
    for stop in reversed(spans):
        written = " ".join(text[place:stop].split())
        for form in dict.fromkeys((written, written.removesuffix("s"), written.removesuffix("es"))):
            if name := styles(form):
                return stop - place, Word("style", name)
            if word := lexicon().get(form):
                return stop - place, word
    return 0, None


def _chinese(text: str, place: int, styles: Callable[[str], str | None]) -> tuple[int, Word | None]:
    """(length, word) of the longest entry that begins here; one character of no meaning where there is none."""
    for length in range(min(8, len(text) - place), 0, -1):
        form = text[place : place + length]
        if name := styles(form):
            return length, Word("style", name)
        if word := lexicon().get(form):
            return length, word
    return 1, None


def _colours(found: list[_Found]) -> dict[str, Rgb]:
    """Region → colour: each colour goes to the thing after it, or before it, in its clause; else to the whole."""
    told: dict[str, Rgb] = {}
    for i, one in enumerate(found):
        if one.word is None or one.word.rgb is None:
            continue
        shade = found[i - 1].word if i else None
        rgb = _shaded(one.word.rgb, shade.name if shade and shade.kind == "shade" else "")
        ahead = [f for f in found[i + 1 : i + 2 + REACH] if f.clause == one.clause]
        behind = [f for f in reversed(found[max(0, i - 1 - REACH) : i]) if f.clause == one.clause]
        said_of = behind and behind[0].text in _COPULA  # the sky is blue
        region = (said_of and _first_region(behind)) or _first_region(ahead) or _first_region(behind)
        told.setdefault(region, rgb)
    for one in found:
        if one.text in _COLOURED and one.word is not None:
            rgb_of = lexicon()[_COLOURED[one.text]].rgb
            assert rgb_of is not None
            told.setdefault(one.word.region, rgb_of)
    return told


def _first_region(found: list[_Found]) -> str:
    """The region of the first thing or place, unless another colour comes before it."""
    for one in found:
        if one.word and one.word.region:
            return one.word.region
        if one.word and one.word.rgb is not None:
            return ""
    return ""


def _shaded(rgb: Rgb, shade: str) -> Rgb:
    target, share = {"light": (1.0, 0.5), "dark": (0.0, 0.4)}.get(shade, (0.0, 0.0))
    r, g, b = (value + (target - value) * share for value in rgb)
    return r, g, b
