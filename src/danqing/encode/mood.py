"""One mood for several arts: how glad, how stirred, how full, in which season and at what time of day.

A poem, a painting and a piece of music belong together when they are told the same thing, so the thing is made
explicit: five quantities, read from an idea's words in Chinese or English, shown, changed by whoever likes, and turned
into the settings of each art. Valence and arousal are the circumplex of Russell 1980; which mode, tempo and register
stand for which mood is after Gabrielsson & Lindström 2010. The words and what they feel like: `mood.toml`.
"""

from __future__ import annotations

import functools
import importlib.resources
import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from danqing.encode import scenes
from danqing.errors import BadRequest, UnknownName

SEASONS = ("spring", "summer", "autumn", "winter")
TIMES = ("dawn", "day", "dusk", "night")
NUMBERS = ("valence", "arousal", "density")
# Name → where it lies in (valence, arousal); the names are those that `write` and `compose` know.
NAMES = {
    "joyful": (0.8, 0.45),
    "bold": (0.15, 0.85),
    "calm": (0.35, -0.65),
    "longing": (-0.3, -0.05),
    "sad": (-0.8, -0.2),
    "lonely": (-0.45, -0.6),
}
# Where chance would decide: a season and a time that feel like (valence, arousal).
_SEASON_AT = {"spring": (0.5, -0.1), "summer": (0.5, 0.5), "autumn": (-0.4, 0.0), "winter": (-0.5, -0.6)}
_TIME_AT = {"dawn": (0.4, -0.3), "day": (0.5, 0.4), "dusk": (-0.2, 0.0), "night": (-0.4, -0.5)}
_IMPLIED = {"thing.moon": "night", "thing.stars": "night", "weather.snow": "winter", "thing.blossom": "spring"}
_CALENDAR = {  # a word of a person's → the season and the time of day that it stands for
    "元宵": ("spring", "night"), "除夕": ("winter", "night"), "中秋": ("autumn", "night"), "重阳": ("autumn", ""),
    "清明": ("spring", ""), "端午": ("summer", ""), "七夕": ("autumn", "night"), "christmas": ("winter", ""),
    "easter": ("spring", ""), "harvest": ("autumn", ""), "lantern": ("", "night"), "fireworks": ("", "night"),
    "春": ("spring", ""), "夏": ("summer", ""), "秋": ("autumn", ""), "冬": ("winter", ""), "夜": ("", "night"),
}  # fmt: skip
_SAID_ZH = {
    "spring": "春", "summer": "夏", "autumn": "秋", "winter": "冬", "dawn": "清晨", "day": "白天", "dusk": "黄昏",
    "night": "夜", "joyful": "欢喜", "bold": "豪放", "calm": "宁静", "longing": "相思", "sad": "忧愁", "lonely": "孤独",
}  # fmt: skip
_SCALES = {  # −1 … 1 in five words
    "valence": (("sorrowful", "wistful", "even", "bright", "glad"), ("悲", "怅惘", "平和", "明朗", "欢喜")),
    "arousal": (("still", "quiet", "flowing", "lively", "stirred"), ("静", "舒缓", "从容", "活泼", "激荡")),
    "density": (("bare", "sparse", "balanced", "rich", "full"), ("空", "疏朗", "匀称", "繁密", "满")),
}
_STRONGEST = 0.6  # the share of the strongest word in a number; the rest is the mean's


@dataclass(frozen=True)
class Mood:
    """A mood, all of it explicit."""

    valence: float = 0.0  # −1 sad … 1 glad
    arousal: float = 0.0  # −1 calm … 1 stirred
    density: float = 0.0  # −1 sparse … 1 full
    season: str = "summer"  # one of SEASONS
    time: str = "day"  # one of TIMES
    heard: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # quantity → the words it was read from

    def __post_init__(self) -> None:
        for name in NUMBERS:
            value = getattr(self, name)
            if not -1 <= value <= 1:  # NaN too
                raise BadRequest(f"{name} is {value}; it lies between -1 ({_ends(name)[0]}) and 1 ({_ends(name)[1]})")
        for name, known in (("season", SEASONS), ("time", TIMES)):
            if getattr(self, name) not in known:
                raise UnknownName(name, str(getattr(self, name)), known, see="danqing suite --help")

    @property
    def name(self) -> str:
        """The nearest of NAMES."""
        here = (self.valence, self.arousal)
        return min(NAMES, key=lambda name: math.dist(here, NAMES[name]))

    def changed(self, **given: Any) -> Mood:
        """With what a person set instead; None leaves what is there."""
        told = {name: value for name, value in given.items() if value is not None}
        heard = {name: words for name, words in self.heard.items() if name not in told}
        return replace(self, **told, heard={**heard, **dict.fromkeys(told, ("set by hand",))})

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and names, and the words they came from."""
        plain = asdict(self)
        plain["heard"] = {name: list(words) for name, words in self.heard.items()}
        return {**plain, "name": self.name}

    def words(self, language: str) -> dict[str, str]:
        """Each quantity as a person would say it, in "zh" or "en"."""
        chinese = language == "zh"
        told = {name: said(name, getattr(self, name), language) for name in NUMBERS}
        named = {"season": self.season, "time": self.time, "name": self.name}
        return {**told, **{key: _SAID_ZH[value] if chinese else value for key, value in named.items()}}

    def sentence(self, language: str) -> str:
        """The whole mood in one line."""
        told = self.words(language)
        if language == "zh":
            return f"{told['season']}，{told['time']}；{told['valence']}、{told['arousal']}、{told['density']}"
        return f"{told['season']}, {told['time']}; {told['valence']}, {told['arousal']}, {told['density']}"


def said(name: str, value: float, language: str) -> str:
    """A number of the vector as a word: valence −0.4 is "wistful", 怅惘."""
    english, chinese = _SCALES[name]
    return (chinese if language == "zh" else english)[min(4, int((value + 1) / 2 * 5))]


def _ends(name: str) -> tuple[str, str]:
    return _SCALES[name][0][0], _SCALES[name][0][-1]


# --- read from words --------------------------------------------------------------------------------------------------


def read(idea: str, feelings: Mapping[str, Sequence[str]] | None = None) -> Mood:
    """The mood of an idea's words. feelings: moods that a richer lexicon found, and by which words: {"joy": ["笑"]}."""
    table = _table()
    touched = list(_touched(idea, table, feelings or {}))
    numbers: dict[str, float] = {}
    heard: dict[str, tuple[str, ...]] = {}
    for place, name in enumerate(("valence", "arousal", "density")):
        felt = [(word, values[place]) for word, values in touched if values[place]]
        if felt:
            strongest = max((value for _, value in felt), key=abs)
            mean = sum(value for _, value in felt) / len(felt)
            numbers[name] = round(max(-1.0, min(1.0, _STRONGEST * strongest + (1 - _STRONGEST) * mean)), 2)
            heard[name] = tuple(dict.fromkeys(word for word, value in felt if abs(value) >= 0.2))
    felt_at = numbers or {"valence": 0.2, "arousal": -0.2}  # an idea that says nothing is at ease
    mood = Mood(felt_at.get("valence", 0.0), felt_at.get("arousal", 0.0), felt_at.get("density", 0.0))
    season, time = _when(idea)
    named = {"season": season, "time": time}
    heard |= {kind: (_written(idea.lower(), f"{kind}.{name}"),) for kind, name in named.items() if name}
    here = (mood.valence, mood.arousal)
    return replace(
        mood,
        season=season or min(SEASONS, key=lambda name: math.dist(here, _SEASON_AT[name])),
        time=time or min(TIMES, key=lambda name: math.dist(here, _TIME_AT[name])),
        heard=heard,
    )


def _when(idea: str) -> tuple[str, str]:
    """The season and the time of day that an idea names or implies; "" where it does neither."""
    scene = scenes.read(idea)
    named = {f"thing.{n}" for n in scene.things} | {f"weather.{scene.weather}"}
    implied = [_IMPLIED[name] for name in sorted(named) if name in _IMPLIED]
    days = [days for word, days in _CALENDAR.items() if word in idea.lower()]
    season = [scene.season, *(season for season, _ in days), *(i for i in implied if i in SEASONS)]
    time = [scene.time, *(time for _, time in days), *(i for i in implied if i in TIMES)]
    return next(filter(None, season), ""), next(filter(None, time), "")


def _touched(
    idea: str, table: Mapping[str, Any], feelings: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, Sequence[float]]]:
    """(what was found, how it feels)."""
    left = idea.lower()
    for word, values in sorted(table["words"]["zh"].items(), key=lambda pair: -len(pair[0])):
        if word in left:
            yield word, values
    for word, values in table["words"]["en"].items():
        if re.search(rf"\b{re.escape(word)}\b", left):
            yield word, values
    for name in feelings:
        if name in table["feeling"]:
            yield feelings[name][0], table["feeling"][name]
    scene = scenes.read(idea)
    names = [*(f"place.{n}" for n in scene.places), *(f"thing.{n}" for n in scene.things)]
    names += [f"{kind}.{getattr(scene, kind)}" for kind in ("time", "weather", "season")]
    names += [*(f"mood.{n}" for n in scene.moods), *(f"composition.{n}" for n in scene.composition)]
    for name in names:
        if name in table["scene"]:
            yield _written(left, name), table["scene"][name]


def _written(idea: str, name: str) -> str:
    """How the idea writes a name of the scenes' lexicon, "weather.rain" as 雨; the bare name where it implies it."""
    kind, _, own = name.partition(".")
    forms = [form for form, word in scenes.lexicon().items() if (word.kind, word.name) == (kind, own) and form in idea]
    return max(forms, key=len, default=own)


@functools.cache
def _table() -> dict[str, Any]:
    text = importlib.resources.files("danqing.encode").joinpath("mood.toml").read_text("utf-8")
    return tomllib.loads(text)


# --- turned into the settings of each art -----------------------------------------------------------------------------

_WEATHER = {"storm": ("storm", "暴风雨"), "fog": ("mist", "薄雾"), "rain": ("rain", "细雨"), "clear": ("clear", "晴朗")}
_PAINTED = {  # words of scenes.toml that shift colours, and the mood that they stand for
    "joyful": ("joyful", "欢快"), "bold": ("dramatic", "壮丽"), "calm": ("calm, dreamy", "宁静，柔和"),
    "longing": ("dreamy", "柔和"), "sad": ("melancholy", "忧伤"), "lonely": ("melancholy, cool", "寂寞，清冷"),
}  # fmt: skip
_TIMES_TOLD = {
    "dawn": ("at dawn", "清晨"),
    "day": ("by day", "白天"),
    "dusk": ("at dusk", "黄昏"),
    "night": ("at night", "夜晚"),
}
_SEASONS_TOLD = {name: (name, zh) for name, zh in zip(SEASONS, ("春天", "夏天", "秋天", "冬天"), strict=True)}
LASTS_S = 36.0  # what a suite's music lasts, about


def painting(idea: str, mood: Mood, language: str) -> dict[str, Any]:
    """Settings of `paint`: the idea's own words, and those of season, time, weather and palette it does not name."""
    zh = language == "zh"
    scene = scenes.read(idea)
    told = [] if scene.season else [_SEASONS_TOLD[mood.season][zh]]
    told += [] if scene.time else [_TIMES_TOLD[mood.time][zh]]
    if not scene.weather and (weather := _weather(mood)):
        told.append(_WEATHER[weather][zh])
    if not scene.moods:
        told.append(_PAINTED[mood.name][zh])
    if mood.density <= -0.4 and not {*scene.composition} - {"alone"}:
        told.append(("wide, open", "辽阔")[zh])
    base = _without(idea, scene, mood)
    return {"prompt": ("，" if zh else ", ").join([base, *told]), "style": _style(mood, scene.styles, zh)}


def _without(idea: str, scene: scenes.Scene, mood: Mood) -> str:
    """The idea. What it says of season and time goes first in a prompt, so a person's own choice is put before it."""
    put = [_SEASONS_TOLD[mood.season][1]] if scene.season and scene.season != mood.season else []
    put += [_TIMES_TOLD[mood.time][1]] if scene.time and scene.time != mood.time else []
    return "，".join([*put, idea])


def _weather(mood: Mood) -> str:
    if mood.valence <= -0.25 and mood.arousal >= 0.5:
        return "storm"
    if mood.valence <= -0.5:
        return "rain" if mood.season != "winter" else "fog"
    if mood.valence < 0 and mood.arousal < -0.3:
        return "fog"
    return "clear" if mood.valence >= 0.4 else ""


def _style(mood: Mood, named: Sequence[str], zh: bool) -> str | None:
    """A style whose palette is the mood's; None where the idea names one itself."""
    if named:
        return None
    if zh:
        if mood.arousal >= 0.5:
            return "hokusai"
        return "shanshui-blue-green" if mood.valence >= 0.2 else "shanshui-ink" if mood.valence < -0.45 else "hiroshige"
    if mood.arousal >= 0.5:
        return "van-gogh"
    if mood.valence >= 0.25:
        return "impressionism" if mood.arousal >= -0.3 else "monet"
    return "whistler" if mood.arousal < -0.3 else "tonalism"


def writing(idea: str, mood: Mood, language: str) -> dict[str, Any]:
    """Settings of `write`: form by how full it is, topic with the season and time of day, mood by name."""
    zh = language == "zh"
    forms = ("五绝", "七绝", "七律") if zh else ("haiku", "quatrain", "ballad")
    form = forms[0] if mood.density < (-0.35 if zh else -0.6) else forms[2] if mood.density > 0.65 else forms[1]
    season, time = _when(idea)
    told = [] if season == mood.season else [_SAID_ZH[mood.season] if zh else mood.season]
    told += [] if time == mood.time else [_SAID_ZH[mood.time] if zh else _TIMES_TOLD[mood.time][0].split()[-1]]
    return {
        "form": form,
        "topic": f"{idea}，{'，'.join(told)}" if zh and told else ", ".join([idea, *told]),
        "mood": mood.name,
        "language": language,
    }


def music(mood: Mood) -> dict[str, Any]:
    """Settings of `compose`: mode by valence, tempo by arousal, manner by both and density, bars to last LASTS_S."""
    minor = mood.valence < -0.05
    if mood.arousal >= 0.45:
        style, metre, usual = ("folk:reel", "4/4", 116) if mood.valence >= 0.2 else ("beethoven", "4/4", 112)
    elif mood.density >= 0.5:
        style, metre, usual = ("mozart", "4/4", 96) if not minor else ("chopin:nocturne", "4/4", 66)
    elif mood.density <= -0.35:
        style, metre, usual = ("folk:air", "3/4", 76)
    elif minor:
        style, metre, usual = ("chopin:nocturne", "4/4", 66) if mood.valence < -0.4 else ("chorale", "4/4", 72)
    else:
        style, metre, usual = ("chorale", "4/4", 84) if mood.arousal < 0 else ("folk:waltz", "3/4", 112)
    tempo = round(usual * (1 + 0.25 * mood.arousal))
    bars = round(LASTS_S * tempo / 60 / int(metre[0]) / 4) * 4
    keys = {False: ("G-major", "D-major", "F-major", "C-major"), True: ("D-minor", "A-minor", "G-minor", "E-minor")}
    return {
        "style": style,
        "metre": metre,
        "key": keys[minor][SEASONS.index(mood.season)],
        "tempo": float(tempo),
        "bars": max(8, min(32, bars)),
    }
