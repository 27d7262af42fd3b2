"""What the Chinese forms are: lines, tones, rhymes and marks, as data. `forms` makes decoding of it that keeps them.

A tone pattern is a string of 平 (level), 仄 (oblique) and 中 (either), one for each character of a line. Regulated
verse follows from four kinds of line (Wang Li 1958, 汉语诗律学): the even places alternate, odd places are free but for
three faults: a lone level tone (孤平), three level or three oblique tones at the end (三平尾, 三仄尾).
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from danqing.errors import BadRequest, UnknownName

TUNES = Path(__file__).parents[1] / "catalog" / "tunes.toml"
REGULATED = {"五绝": (4, 5), "七绝": (4, 7), "五律": (8, 5), "七律": (8, 7)}  # lines, characters of a line
OLD = {"古诗": (8, 5), "五古": (8, 5), "七古": (8, 7)}
FLIPS = (0, 1, 1, 0)  # which of four lines have the opposite even places of the first: 对 within a couplet, 粘 between

# Every form by name: what it is.
FORMS: Mapping[str, str] = {
    "五绝": "four lines of five characters, regulated",
    "七绝": "four lines of seven characters, regulated",
    "五律": "eight lines of five characters, regulated",
    "七律": "eight lines of seven characters, regulated",
    "古诗": "old-style verse: lines of five or seven characters, the even ones rhyme, tones are free",
    "词": "a song to a tune, 词:浣溪沙 for example; every tune has lines, tones and rhymes of its own",
    "对联": "a couplet whose lower line mirrors the upper one",
    "藏头诗": "a poem whose lines begin with the characters of --acrostic",
    "自由诗": "free verse: only the number and length of the lines is kept",
}

# The second half of a line by (tone of its second character, tone of its last): the four kinds of line.
_HALVES = {
    ("仄", "仄"): ("中仄中平仄",),
    ("平", "平"): ("平平中仄平", "仄平平仄平"),  # not 仄平仄仄平: its one level tone would stand alone
    ("平", "仄"): ("中平平仄仄",),  # not 仄仄仄 at the end
    ("仄", "平"): ("中仄仄平平",),  # not 平平平 at the end
}
OTHER = {"平": "仄", "仄": "平"}


@dataclass(frozen=True)
class Option:
    """One way in which a line may go."""

    tones: str  # one of 平仄中 for each character
    rhyme: int = -1  # number of the set of rhymes that its end belongs to, -1 for none
    templates: int = 1  # bits of the templates in which it stands
    firm: bool = False  # the last character must not be readable as level: an unrhymed end that cannot be taken for one


@dataclass(frozen=True)
class Line:
    """One line of a form and the mark after it."""

    options: tuple[Option, ...]
    mark: str
    copies: Mapping[int, int] | None = None  # place → place counted from the form's beginning, whose character returns
    verse: bool = True  # an acrostic's characters go to these; a line after 、 only continues the one before

    @property
    def length(self) -> int:
        """Characters, without the mark."""
        return len(self.options[0].tones)


@dataclass(frozen=True)
class Plan:
    """A form: its lines, and the templates (level or oblique start, first line rhymed or not) that it may follow."""

    name: str
    lines: tuple[Line, ...]
    templates: tuple[str, ...] = ("",)
    song: bool = False  # rhymes by the classes of ci, not by single groups
    no_repeat: bool = False  # unless asked otherwise

    @property
    def sets(self) -> int:
        """How many sets of rhymes it has."""
        return 1 + max((o.rhyme for line in self.lines for o in line.options), default=-1)


def line_patterns(width: int, second: str, last: str) -> tuple[str, ...]:
    """The patterns of a regulated line of 5 or 7 whose second and last characters have these tones."""
    if width == 5:
        return _HALVES[second, last]
    return tuple(f"中{second}{half}" for half in _HALVES[OTHER[second], last])


def regulated(name: str, count: int, width: int) -> Plan:
    """绝句 or 律诗: four templates, 平起 or 仄起, first line rhymed or not."""
    templates = tuple(f"{start}起首句{'' if rhymed else '不'}入韵" for start in "平仄" for rhymed in (True, False))
    lines = []
    for i in range(count):
        found: dict[tuple[str, bool], int] = {}
        for number, template in enumerate(templates):
            start, rhymed = template[0], i % 2 == 1 or (i == 0 and "不" not in template)
            second = OTHER[start] if FLIPS[i % 4] else start
            for tones in line_patterns(width, second, "平" if rhymed else "仄"):
                found[tones, rhymed] = found.get((tones, rhymed), 0) | 1 << number
        options = (Option(t, 0 if rhymed else -1, bits, firm=not rhymed) for (t, rhymed), bits in found.items())
        lines.append(Line(tuple(options), "，。"[i % 2]))
    return Plan(name, tuple(lines), templates, no_repeat=True)


def old_style(name: str, count: int, width: int) -> Plan:
    """Old-style verse: the even lines rhyme, and that is all."""
    lines = (Line((Option("中" * width, 0 if i % 2 else -1),), "，。"[i % 2]) for i in range(count))
    return Plan(name, tuple(lines))


def couplet(width: int) -> Plan:
    """对联 without a given upper line: two lines of regulated verse that answer one another."""
    rows = []
    for i, last in enumerate("仄平"):
        options = []
        for number, start in enumerate("平仄"):
            second = OTHER[start] if i else start
            tones = line_patterns(width, second, last) if width in (5, 7) else (_alternating(width, second, last),)
            options += [Option(t, templates=1 << number, firm=last == "仄") for t in tones]
        rows.append(Line(tuple(options), "，。"[i]))
    return Plan("对联", tuple(rows), ("平起", "仄起"), no_repeat=True)


def _alternating(width: int, second: str, last: str) -> str:
    tones = ["中"] * width
    for place in range(1, width - 1, 2):
        tones[place] = second if place % 4 == 1 else OTHER[second]
    tones[-1] = last
    return "".join(tones)


# --- ci ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tune:
    """A ci tune: how most of its poems go."""

    name: str
    lines: tuple[str, ...]  # as in tunes.toml: tones, a letter after an end that rhymes, the mark
    aliases: tuple[str, ...]
    poems: int  # of the training part that have this pattern
    share: float  # of all poems to the tune that have it
    copies: Mapping[int, int]  # character, counted from the beginning → the earlier one that returns there

    @property
    def length(self) -> int:
        """Characters, without marks."""
        return sum(c in "平仄中" for line in self.lines for c in line)


@functools.cache
def tunes(path: Path = TUNES) -> Mapping[str, Tune]:
    """Every tune of the table, by name. Raises BadRequest where the table is damaged."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        return {
            name: Tune(
                name,
                tuple(entry["lines"]),
                tuple(entry["aliases"]),
                entry["poems"],
                entry["share"],
                {int(k): v for k, v in entry.get("copies", {}).items()},
            )
            for name, entry in table.items()
        }
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError) as error:
        raise BadRequest(f"{path} is not a table of tunes ({error}); install Danqing again") from error


def tune(name: str, path: Path = TUNES) -> Tune:
    """The tune of this name or alias. Raises UnknownName with the nearest one."""
    known = tunes(path)
    names = {alias: t for t in known.values() for alias in (*t.aliases, t.name)}
    if name not in names:
        raise UnknownName("tune", name, names, f"the tunes: {' '.join(known)}")
    return names[name]


def song(tune: Tune) -> Plan:
    """The plan of a tune."""
    lines = []
    first = 0
    after_pause = False
    for text in tune.lines:
        tones = "".join(c for c in text if c in "平仄中")
        letter, mark = text[len(tones) : -1], text[-1]
        copies = {k - first: v for k, v in tune.copies.items() if first <= k < first + len(tones)}
        option = Option(tones, ord(letter) - ord("a") if letter else -1)
        lines.append(Line((option,), mark, copies or None, verse=not after_pause))
        first += len(tones)
        after_pause = mark == "、"
    return Plan(f"词:{tune.name}", tuple(lines), song=True)
