"""How the poems to each ci tune go. Part of the recipe `prosody`, which writes tunes.toml with it.

Poets kept the sentences of a tune and moved its pauses, so poems count as one pattern by the lengths of their
sentences; a place has a tone where nine poems in ten agree, ends rhyme where six in ten have them in one class.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from danqing.encode.prosody import Prosody
from danqing.training.texts import Poem

_SEGMENT = re.compile("([^，。、！？；：]+)([，。、！？；：])")


@dataclass(frozen=True)
class Song:
    """A ci as segments and the marks after them."""

    segments: tuple[str, ...]
    marks: str

    @property
    def sentences(self) -> tuple[int, ...]:
        """Characters of each sentence: what poets kept, while they paused now here, now there inside (4，7 or 6，5)."""
        parts = re.findall("[^。]*。", "".join(s + m for s, m in zip(self.segments, self.marks, strict=True)))
        return tuple(sum(c not in "，。、！？；：" for c in part) for part in parts)

    def cut(self, lengths: Sequence[int], marks: str) -> Song:
        """The same characters with the pauses of another."""
        text, starts = "".join(self.segments), [sum(lengths[:k]) for k in range(len(lengths))]
        return Song(tuple(text[a : a + n] for a, n in zip(starts, lengths, strict=True)), marks)


def songs(ci: Iterable[Poem]) -> dict[str, tuple[set[str], list[Song]]]:
    """Tune → (its other names, its poems). `酹江月・念奴娇` is a 念奴娇 under another name."""
    found: dict[str, tuple[set[str], list[Song]]] = {}
    for poem in ci:
        *others, name = poem.tune.split("・")
        parts = _SEGMENT.findall(poem.text)
        if name and name != "失调名" and "".join(a + b for a, b in parts) == poem.text:
            aliases, own = found.setdefault(name, (set(), []))
            aliases |= {other for other in others if "□" not in other}
            own.append(Song(tuple(a for a, _ in parts), "".join(b for _, b in parts)))
    return found


def derive(ci: Iterable[Poem], prosody: Prosody, least: int = 30) -> dict[str, dict[str, Any]]:
    """The pattern of every tune of which at least `least` poems share one, most frequent first."""
    found: dict[str, dict[str, Any]] = {}
    for name, (aliases, every) in songs(ci).items():
        sentences, _ = Counter(s.sentences for s in every).most_common(1)[0]
        same = [s for s in every if s.sentences == sentences]
        (lengths, marks), _ = Counter((tuple(map(len, s.segments)), s.marks) for s in same).most_common(1)[0]
        same = _alike([s.cut(lengths, marks) for s in same], prosody)
        if len(same) < least or len(lengths) < 3:
            continue
        same, sets = _rhymes(same, prosody)
        tones = _even(_tones(same, prosody), sets)
        if 0 not in sets.values() or len(same) < least:
            continue
        lines = []
        for k, (pattern, mark) in enumerate(zip(tones, same[0].marks, strict=True)):
            letter = chr(ord("a") + sets[k]) if k in sets else ""
            lines.append(f"{pattern}{letter}{mark}")
        entry = {
            "aliases": sorted(aliases),
            "poems": len(same),
            "share": round(len(same) / len(every), 3),
            "lines": lines,
        }
        if copies := _copies(same):
            entry["copies"] = copies
        found[name] = entry
    return dict(sorted(found.items(), key=lambda item: -item[1]["poems"]))


def _alike(same: list[Song], prosody: Prosody) -> list[Song]:
    """Those that begin in the commoner of two ways, where a tune may begin with a level or an oblique second tone."""
    tones = [prosody.usual_tone(s.segments[0][1:2]) for s in same]
    counts = Counter(t for t in tones if t in ("平", "仄"))
    tone, most = counts.most_common(1)[0] if counts else ("", 0)
    if most > 0.7 * counts.total() or most < 0.4 * len(same):
        return same
    return [s for s, t in zip(same, tones, strict=True) if t == tone]


def _classes(char: str, prosody: Prosody) -> frozenset[str]:
    return frozenset(c[:-1] for c in prosody.usual_ci_rhymes(char))


def _rhymes(same: list[Song], prosody: Prosody) -> tuple[list[Song], dict[int, int]]:
    """Which segments' ends rhyme: segment → number of the set. Also the poems whose rhymes have the commoner tone.

    Two ends belong to one set where in at least 0.6 of the poems they are of one class; chance gives about 0.1.
    """
    count = len(same[0].segments)
    ends = [[_classes(s.segments[k][-1], prosody) for s in same] for k in range(count)]

    def together(a: int, b: int) -> float:
        known = [bool(x & y) for x, y in zip(ends[a], ends[b], strict=True) if x and y]
        return sum(known) / max(len(known), 1)

    groups: list[list[int]] = []
    for marks in ("。", "，、"):  # sentence ends make the sets, other ends may join one
        for k in (k for k in range(count) if same[0].marks[k] in marks):
            near = [(sum(together(k, other) for other in g) / len(g), g) for g in groups]
            best = max(near, default=(0.0, []), key=lambda pair: pair[0])
            if best[0] >= 0.6:
                best[1].append(k)
            elif marks == "。":
                groups.append([k])
    groups = sorted(sorted(g) for g in groups if len(g) > 1)
    sets = {k: number for number, g in enumerate(groups) for k in g}
    if not sets:
        return same, sets
    tone = [_share([s.segments[k][-1] for k in groups[0]], prosody) for s in same]
    level = [s for s, share in zip(same, tone, strict=True) if share >= 0.5]
    oblique = [s for s, share in zip(same, tone, strict=True) if share < 0.5]
    return (level if len(level) > len(oblique) else oblique), sets


def _share(chars: Iterable[str], prosody: Prosody) -> float:
    """How many of these are level, of those that are level or oblique and not both. 0.5 where none is."""
    tones = [t for t in map(prosody.usual_tone, chars) if t in ("平", "仄")]
    return sum(t == "平" for t in tones) / len(tones) if tones else 0.5


def _tones(same: Sequence[Song], prosody: Prosody, sure: float = 0.9) -> list[str]:
    """平 or 仄 where at least this share of the poems agree, 中 elsewhere; one string for each segment."""
    found = []
    for k, segment in enumerate(same[0].segments):
        shares = [_share((s.segments[k][place] for s in same), prosody) for place in range(len(segment))]
        found.append("".join("平" if x >= sure else "仄" if x <= 1 - sure else "中" for x in shares))
    return found


def _even(tones: list[str], sets: Mapping[int, int]) -> list[str]:
    """Rhymes whose tone is uncertain take that of their set, where the others agree on one."""
    found = list(tones)
    for number in set(sets.values()):
        own = {tones[k][-1] for k in sets if sets[k] == number} - {"中"}
        for k in (k for k in sets if sets[k] == number and tones[k][-1] == "中" and len(own) == 1):
            found[k] = tones[k][:-1] + next(iter(own))
    return found


def _copies(same: Sequence[Song]) -> dict[str, int]:
    """Characters that return: a segment that repeats the end of the one before it, in at least 0.6 of the poems."""
    found: dict[str, int] = {}
    lengths = tuple(map(len, same[0].segments))
    for k in range(1, len(lengths)):
        width = lengths[k]
        if width <= lengths[k - 1] and sum(s.segments[k - 1].endswith(s.segments[k]) for s in same) >= 0.6 * len(same):
            first = sum(lengths[:k])
            found |= {str(first + place): first - width + place for place in range(width)}
    return found


def as_toml(tunes: Mapping[str, Mapping[str, Any]]) -> str:
    """tunes.toml: one table for each tune."""
    lines = [
        "# Made by: danqing train prosody. How most poems to a ci tune go: 平 level, 仄 oblique, 中 either;",
        "# a letter marks an end that rhymes with the others of that letter; `copies` are characters that return.",
    ]
    for name, entry in tunes.items():
        lines += ["", f"[{name}]" if name.isascii() else f'["{name}"]']
        for key, value in entry.items():
            if key == "copies":
                pairs = ", ".join(f"{k} = {v}" for k, v in value.items())
                lines.append(f"copies = {{ {pairs} }}")
            else:
                lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"
