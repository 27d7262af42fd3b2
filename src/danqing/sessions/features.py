"""What a work is like, in quantities that have names: what a person's taste is learned on and said in.

Every feature is measured on the finished work and has a word for each direction in both languages: warmer and cooler,
更暖 and 更冷. Each is brought to a common scale by the mean and spread that small works of Danqing have, written down
here once, so that what was learned yesterday means the same today. Settings that are names (a style, a form, a mode)
are features as well: 1 where a work has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from danqing.artwork.artwork import Artwork
from danqing.artwork.image import Picture
from danqing.artwork.literature import Writing
from danqing.artwork.music import Score

SIDE = 96  # px, the longer side at which a picture is measured
FARTHEST = 3.0  # spreads from the mean; what lies beyond counts as this
SETTINGS = ("style", "form", "mode", "kind", "poet", "dynasty", "time", "weather", "season", "mood", "composition")
_DISSONANT = frozenset({1, 2, 6, 10, 11})  # semitones, octaves taken off


@dataclass(frozen=True)
class Feature:
    """A measurable quality of a work."""

    more: tuple[str, str]  # what more of it is called, English and Chinese
    less: tuple[str, str]
    usual: float  # mean over small works
    spread: float  # standard deviation over them


FEATURES: Mapping[str, Feature] = {
    # pictures
    "warmth": Feature(("warmer colours", "更暖的色彩"), ("cooler colours", "更冷的色彩"), 0.02, 0.12),
    "brightness": Feature(("lighter", "更明亮"), ("darker", "更深暗"), 0.48, 0.15),
    "contrast": Feature(("more contrast", "对比更强"), ("softer contrast", "对比更柔"), 0.16, 0.06),
    "saturation": Feature(("stronger colours", "色彩更浓"), ("muted colours", "色彩更淡"), 0.20, 0.10),
    "green": Feature(("more green", "更多绿意"), ("less green", "更少绿意"), 0.0, 0.04),
    "fineness": Feature(("finer strokes", "笔触更细密"), ("fewer strokes", "笔触更简"), 0.035, 0.014),
    "symmetry": Feature(("more symmetrical", "更对称"), ("less symmetrical", "更不对称"), 0.45, 0.2),
    "horizon": Feature(("a lower horizon", "地平线更低"), ("a higher horizon", "地平线更高"), 0.55, 0.18),
    "sky": Feature(("a lighter sky than ground", "天比地亮"), ("a darker sky", "天色更暗"), 0.12, 0.17),
    # music
    "major": Feature(("major keys", "大调"), ("minor keys", "小调"), 0.2, 1.0),
    "tempo": Feature(("faster", "更快"), ("slower", "更慢"), 0.0, 0.5),
    "notes": Feature(("more notes", "音更密"), ("fewer notes", "音更疏"), 1.2, 0.6),
    "compass": Feature(("a wider range", "音域更宽"), ("a narrower range", "音域更窄"), 30.0, 11.0),
    "register": Feature(("higher", "音更高"), ("lower", "音更低"), 64.0, 5.0),
    "syncopation": Feature(("more against the beat", "切分更多"), ("steadier beats", "节拍更稳"), 0.4, 0.2),
    "dissonance": Feature(("more dissonance", "更多不协和"), ("more consonance", "更协和"), 0.2, 0.1),
    "leaps": Feature(("more leaps", "更多跳进"), ("smoother melodies", "旋律更平顺"), 0.3, 0.15),
    "voices": Feature(("more voices", "声部更多"), ("fewer voices", "声部更少"), 2.6, 1.1),
    # texts
    "length": Feature(("longer", "更长"), ("shorter", "更短"), 3.6, 0.9),
    "lines": Feature(("longer lines", "句子更长"), ("shorter lines", "句子更短"), 2.0, 0.4),
    "images": Feature(("more images", "意象更多"), ("plainer", "更平白"), 0.9, 0.5),
    "gladness": Feature(("gladder", "更欢喜"), ("sadder", "更忧伤"), -0.15, 0.4),
    "stir": Feature(("more stirred", "更激荡"), ("calmer", "更宁静"), -0.1, 0.4),
    "fullness": Feature(("fuller scenes", "景物更繁"), ("emptier scenes", "景物更空"), -0.1, 0.3),
    "nature": Feature(("more nature", "更多山水"), ("more people and things", "更多人事"), 0.6, 0.25),
}
_NATURE = frozenset((
    "moon", "sun", "stars", "clouds", "sky", "wind", "rain", "snow", "spring", "summer", "autumn", "winter", "river",
    "sea", "lake", "mountain", "field", "willow", "flowers", "trees", "grass", "wildgeese", "birds",
))  # fmt: skip
_NAMED = {  # kinds of settings: how a work that has one is spoken of
    "style": ("in the style {}", "{}风格"), "form": ("the form {}", "体裁：{}"), "mode": ("{} keys", "调式：{}"),
    "kind": ("the dance {}", "曲种：{}"), "poet": ("after {}", "仿{}"), "dynasty": ("the {} dynasty", "{}代"),
    "time": ("at {}", "时辰：{}"), "weather": ("the weather {}", "天气：{}"), "season": ("in {}", "季节：{}"),
    "mood": ("the mood {}", "情绪：{}"), "composition": ("the layout {}", "构图：{}"),
}  # fmt: skip


def measure(work: Artwork, settings: Mapping[str, str] | None = None) -> dict[str, float]:
    """The features of a work on the common scale. settings: names that it was made with, {"style": "monet"}."""
    if isinstance(work.content, Picture):
        raw = picture(work.content)
    elif isinstance(work.content, Score):
        raw = music(work.content)
    elif isinstance(work.content, Writing):
        raw = text(work.content)
    else:
        raw = picture(work.content.cover)
    return scaled(raw) | named(settings or {})


def scaled(raw: Mapping[str, float]) -> dict[str, float]:
    """Measured values on the common scale: 0 is usual, ±1 a spread away from it."""
    found = {}
    for name, value in raw.items():
        feature = FEATURES[name]
        found[name] = round(max(-FARTHEST, min(FARTHEST, (value - feature.usual) / feature.spread)), 4)
    return found


def named(settings: Mapping[str, str]) -> dict[str, float]:
    """Settings that are names as features: {"style": "monet"} → {"style:monet": 1}."""
    return {f"{kind}:{name}": 1.0 for kind, name in settings.items() if kind in SETTINGS and name}


def said(name: str, more: bool, language: str) -> str:
    """A direction in words: said("warmth", True, "zh") is 更暖的色彩."""
    zh = language == "zh"
    if name in FEATURES:
        feature = FEATURES[name]
        return (feature.more if more else feature.less)[zh]
    kind, _, value = name.partition(":")
    told = _NAMED.get(kind, ("{}", "{}"))[zh].format(_word(kind, value, zh))
    return told if more else (f"不要{told}" if zh else f"not {told}")


def _word(kind: str, value: str, zh: bool) -> str:
    """A setting's name in the language, where there is one."""
    if not zh:
        return value
    if kind == "style":
        from danqing.catalog import styles

        return next((style.zh for style in styles.styles() if style.name == value), value)
    if kind in ("time", "weather", "season", "mood", "composition"):
        from danqing.encode import scenes

        forms = [form for form, word in scenes.lexicon().items() if word.kind == kind and word.name == value]
        return next((form for form in forms if not form.isascii()), value)
    return value


def picture(content: Picture) -> dict[str, float]:
    """Colour, light, strokes and layout of a picture."""
    from PIL import Image

    levels = np.rint(content.pixels * np.float32(255)).astype(np.uint8)
    scale = SIDE / max(levels.shape[:2])
    size = (max(8, round(levels.shape[1] * scale)), max(8, round(levels.shape[0] * scale)))
    x = np.asarray(Image.fromarray(levels).resize(size, Image.Resampling.BOX), np.float64) / 255
    grey = x @ (0.299, 0.587, 0.114)
    rows = grey.mean(1)
    smooth = np.convolve(rows, np.ones(5) / 5, "valid")
    edges = np.abs(np.diff(smooth))
    inner = slice(len(edges) // 8, max(len(edges) // 8 + 1, len(edges) - len(edges) // 8))
    half = len(rows) // 2
    return {
        "warmth": float((x[..., 0] - x[..., 2]).mean()),
        "brightness": float(grey.mean()),
        "contrast": float(grey.std()),
        "saturation": float((x.max(2) - x.min(2)).mean()),
        "green": float((x[..., 1] - (x[..., 0] + x[..., 2]) / 2).mean()),
        "fineness": float((np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()) / 2),
        "symmetry": float(1 - np.abs(grey - grey[:, ::-1]).mean() / max(1e-3, 2 * grey.std())),
        "horizon": float((inner.start + int(np.argmax(edges[inner])) + 3) / len(rows)),
        "sky": float(rows[:half].mean() - rows[half:].mean()),
    }


def music(content: Score) -> dict[str, float]:
    """Mode, tempo, density, range, rhythm and harmony of a piece."""
    from danqing.appraisal.traits import Traits
    from danqing.encode import theory

    traits = Traits(content)
    numbers = traits.numbers
    notes = [note for note in content.notes if not content.parts[note.part].drums]
    seconds = max(1.0, content.seconds(content.length))
    return {
        "major": 1.0 if theory.find_key(notes).mode == "major" else -1.0,
        "tempo": float(np.log2(float(content.length) / seconds * 60 / 100)),
        "notes": float(np.log2(max(0.25, len({note.onset for note in notes}) / seconds))),
        "compass": numbers["compass"],
        "register": numbers["pitch_mean"],
        "syncopation": numbers["off_beat"],
        "dissonance": _dissonance(content),
        "leaps": 1 - numbers["step_share"],
        "voices": numbers["at_once"],
    }


def _dissonance(content: Score) -> float:
    """Share of dissonant pairs among the notes that begin together."""
    together: dict[Any, list[int]] = {}
    for note in content.notes:
        if not content.parts[note.part].drums:
            together.setdefault(note.onset, []).append(note.pitch)
    pairs = [abs(a - b) % 12 for pitches in together.values() for a, b in combinations(pitches, 2)]
    return sum(pair in _DISSONANT for pair in pairs) / len(pairs) if pairs else 0.0


def text(content: Writing) -> dict[str, float]:
    """Length, imagery and mood of a text."""
    from danqing.appraisal import imagery
    from danqing.encode import mood

    rows = [line for line in content.lines if line]
    chinese = content.language == "zh"
    sizes = [len([c for c in row if c.isalpha()]) if chinese else len(row.split()) for row in rows]
    found = imagery.found_in(content.text, content.language)
    felt = mood.read(content.text, found.moods)
    hits = sum(map(len, found.images.values()))
    wild = sum(len(words) for name, words in found.images.items() if name in _NATURE)
    return {
        "length": float(np.log(max(1, sum(sizes)))),
        "lines": float(np.log(max(1.0, float(np.mean(sizes))))),
        "images": hits / max(1, len(rows)),
        "gladness": felt.valence,
        "stir": felt.arousal,
        "fullness": felt.density,
        "nature": wild / hits if hits else 0.6,
    }
