"""Writing in the studio: the wall of forms, and a form as a page shows it, place by place, with what was written in it.

The patterns are those that decoding keeps (`encode.patterns`, `encode.meter`). A text is laid over the one of a form's
templates that it fits best, so that the page can say of every character which tone was asked for and which it has.
"""

from __future__ import annotations

import functools
import json
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter

from danqing.arts.write import CHINESE, ENGLISH, FORMS, LINES, MOODS, MOODS_ZH
from danqing.catalog import catalog
from danqing.encode import english, forms, meter, patterns
from danqing.encode.patterns import Line, Option, Plan
from danqing.encode.prosody import Prosody
from danqing.encode.script import to_simplified
from danqing.errors import BadRequest, UnknownName

router = APIRouter(tags=["writing"])

LONGEST_TEXT = 4000  # characters that are laid over a pattern
MARKS = "，。、！？；：,.!?;:"
READINGS = {  # of names whose characters are read in more than one way
    "朝中措": "zhao zhong cuo",
    "清平乐": "qing ping yue",
    "卜算子": "bu suan zi",
    "长相思": "chang xiang si",
    "小重山": "xiao chong shan",
}
GROUPS = (  # of the wall: name, English, 中文
    ("shi", "Chinese verse", "诗与对联"),
    ("song", "Songs to a tune", "词"),
    ("english", "English forms", "英文格律"),
    ("free", "Free forms", "自由体裁"),
)
TITLES = {  # form → English, 中文, then what it is in both
    "五绝": ("Jueju, five", "五言绝句", "four lines of five characters", "四句，每句五字"),
    "七绝": ("Jueju, seven", "七言绝句", "four lines of seven characters", "四句，每句七字"),
    "五律": ("Lüshi, five", "五言律诗", "eight lines of five characters", "八句，每句五字，中间两联对仗"),
    "七律": ("Lüshi, seven", "七言律诗", "eight lines of seven characters", "八句，每句七字，中间两联对仗"),
    "古诗": ("Gushi", "古诗", "even lines rhyme, tones are free", "偶句押韵，平仄不拘"),
    "对联": ("Couplet", "对联", "a lower line that mirrors the upper one", "上下联平仄相对"),
    "sonnet": ("Sonnet", "十四行诗", "fourteen iambic lines, ABAB CDCD EFEF GG", "抑扬格十四行，ABAB CDCD EFEF GG"),
    "quatrain": ("Quatrain", "四行诗", "8, 6, 8 and 6 syllables, ABCB", "八、六、八、六音节，ABCB"),
    "ballad": ("Ballad", "歌谣体", "three ballad stanzas", "三节歌谣"),
    "couplet": ("English couplet", "英文双行诗", "two iambic lines that rhyme", "抑扬格两行，同韵"),
    "haiku": ("Haiku", "俳句", "5, 7 and 5 syllables", "五、七、五音节"),
    "verse": ("Free verse", "自由诗", "lines, and nothing else", "分行而已，不拘格律"),
    "story": ("Story", "故事", "prose, from a plot or an opening", "散文叙事，可给情节或开头"),
    "script": ("Script", "剧本", "a scene in dialogue", "一场戏，以对白写成"),
}


# --- the wall ---------------------------------------------------------------------------------------------------------


@router.get("/writing/forms")
def known() -> dict[str, Any]:
    """Every form that can be written, in groups, with moods, poets and rhymes; titles in both languages."""
    return {
        "groups": [{"name": name, "title": {"en": en, "zh": zh}} for name, en, zh in GROUPS],
        "forms": _wall(),
        "moods": [{"name": name, "title": {"en": name, "zh": _mood_zh(name)}} for name in MOODS],
        "poets": [{"name": name, "title": {"en": _reading(name, apart=True), "zh": name}} for name in _poets()],
        "rhymes": {book: list(Prosody.load(book=book).groups("平")) for book in ("pingshui", "modern")},
    }


@functools.cache
def _wall() -> list[dict[str, Any]]:
    found = [_entry(name, "shi", "zh") for name in (*LINES, "古诗", "对联")]
    found += [_entry(f"词:{name}", "song", "zh") for name in patterns.tunes()]
    found += [_entry(name, "english", "en") for name in ENGLISH]
    found += [_entry(name, "free", language) for name in ("verse", "story", "script") for language in ("zh", "en")]
    return found


def _entry(form: str, group: str, language: str) -> dict[str, Any]:
    """A card of the wall. `shape` is its pattern in small: tones or beats a line, the rhyme's letter, the mark."""
    chinese = group in ("shi", "song")
    if group == "song":
        tune = patterns.tunes()[form.partition(":")[2]]
        en, zh = _reading(tune.name), tune.name
        about = f"{len(tune.lines)} lines, {tune.length} characters", f"{len(tune.lines)}句，{tune.length}字"
    else:
        en, zh, *rest = TITLES[form]
        about = rest[0], rest[1]
    length = {"verse": (2, 40, "lines"), "古诗": (2, 40, "lines"), "story": (50, 4000, ""), "script": (50, 4000, "")}
    limits = length.get(form)
    unit = (limits[2] or ("characters" if language == "zh" else "words")) if limits else ""
    return {
        "id": f"{form}:{language}" if group == "free" else form,
        "form": form,
        "group": group,
        "language": language,
        "title": {"en": en, "zh": zh},
        "about": {"en": about[0], "zh": about[1]},
        "shape": _shape(form),
        "length": {"least": limits[0], "most": limits[1], "unit": unit} if limits else None,
        "acrostic": form not in ("对联", "verse", "story", "script"),
        "start": group != "english",
        "poet": chinese and form != "对联",
        "rhyme": chinese and form != "对联",
        "revise": chinese,
    }


def _shape(form: str) -> list[str]:
    """A pattern in small, a string a line: 平仄中 or -^ (weak, beat), then a letter where it rhymes, then its mark."""
    if form in ("verse", "story", "script"):
        return []
    if form in meter.FORMS:
        return ["".join("^" if beat else "-" for beat in _beats(line)) + line.rhyme for line in meter.FORMS[form].lines]
    plan = forms.plan_of(form, {})
    options = [line.options[0] for line in plan.lines]
    letters = ["" if option.rhyme < 0 else chr(ord("a") + option.rhyme) for option in options]
    return [
        option.tones + letter + line.mark for option, letter, line in zip(options, letters, plan.lines, strict=True)
    ]


def _mood_zh(name: str) -> str:
    return next(zh for zh, en in MOODS_ZH.items() if en == name)


def _reading(name: str, apart: bool = False) -> str:
    """A Chinese name in Latin letters: "Huanxisha"; apart, as persons write theirs, "Li Bai"."""
    from pypinyin import lazy_pinyin

    syllables = READINGS[name].split() if name in READINGS else lazy_pinyin(name)
    if apart and len(syllables) > 1:
        return f"{syllables[0].capitalize()} {''.join(syllables[1:]).capitalize()}"
    return "".join(syllables).capitalize()


@functools.cache
def _poets() -> tuple[str, ...]:
    """The poets that the poet can follow, from the header of its weights alone: no tensor is read."""
    path = catalog.default().path("poet")
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(size, 2**24)))
        about = json.loads(header["__metadata__"]["danqing"])
        specials = about["vocabulary"]["specials"]
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return ()  # without the model there is nobody to follow
    return tuple(name[6:-1] for name in specials if name.startswith("<poet:"))


# --- a pattern --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """What a pattern is asked of."""

    form: str
    rhyme: str = "pingshui"
    acrostic: str = ""
    start: str = ""
    text: str = ""
    lines: int = 0


@router.get("/writing/pattern")
def pattern(
    form: str, rhyme: str = "", acrostic: str = "", start: str = "", text: str = "", lines: int = 0
) -> dict[str, Any]:
    """A form line by line and place by place: tones or beats, rhymes, marks; and a text laid over it.

    form, rhyme, acrostic, start: as `write` has them; what is given is shown in its places while no text is there.
    text: what was written so far; it chooses among the form's templates. lines: how many, of 古诗.
    Raises UnknownName for the form, BadRequest for what contradicts it.
    """
    if len(text) > LONGEST_TEXT:
        raise BadRequest(f"the text has {len(text):,} characters; up to {LONGEST_TEXT:,} are laid over a pattern")
    kind = "词" if form.startswith("词") else form
    if kind not in FORMS:
        raise UnknownName("form", form, FORMS, "GET /api/writing/forms")
    asked = Asked(form, rhyme or "pingshui", acrostic.strip(), start.strip(), text.strip(), lines)
    if form in ENGLISH:
        return _metered(asked)
    if kind in CHINESE:
        return _toned(asked)
    return {"form": form, "kind": "free", "templates": [], "template": 0, "rhymes": {}, "lines": []}


# --- tones ------------------------------------------------------------------------------------------------------------


def _toned(asked: Asked) -> dict[str, Any]:
    book, group = _book(asked.rhyme)
    sounds = Prosody.load(book=book)
    plan = _plan(asked)
    written = [to_simplified(line) for line in _verses(asked.text)]
    given = _given(asked, plan)
    chars = _placed(written, plan) if written else given
    template = _best(plan, chars, sounds)
    options = [_option(line, template, chars, number, sounds) for number, line in enumerate(plan.lines)]
    groups = _rhymed(plan, options, chars, sounds)
    if group and not written:
        groups.setdefault("a", sounds.group(group))
    lines = [_line(number, plan, options[number], chars, given, groups, sounds) for number in range(len(plan.lines))]
    return {
        "form": asked.form,
        "kind": "tones",
        "templates": list(plan.templates) if len(plan.templates) > 1 else [],
        "template": template,
        "rhymes": groups,
        "lines": lines,
        "more": written[len(plan.lines) :],
    }


def _plan(asked: Asked) -> Plan:
    """The form's plan; of an upper line that is given, one as long as it is."""
    if asked.form == "对联":
        parts = _verses(asked.start or asked.text)
        width = sum(map(len, parts)) if asked.start else len(parts[0]) if parts else 7
        if len(parts) > 1 and asked.start:
            rows = [*parts, *parts]
            marks = "，" * (len(parts) - 1) + "；" + "，" * (len(parts) - 1) + "。"
            return Plan("对联", tuple(Line((Option("中" * len(r)),), m) for r, m in zip(rows, marks, strict=True)))
        return forms.plan_of("对联", {"width": width})
    if asked.form == "古诗":
        written = _verses(asked.text)
        width = len(written[0]) if written and 4 <= len(written[0]) <= 7 else 5
        count = asked.lines or (len(written) + len(written) % 2 if len(written) >= 2 else 8)
        return forms.plan_of("古诗", {"lines": min(count, 40), "width": width})
    return forms.plan_of(asked.form.replace("：", ":"), {})


def _given(asked: Asked, plan: Plan) -> dict[tuple[int, int], str]:
    """What the person gave, by line and place: the opening, then the acrostic."""
    found = _placed([to_simplified(line) for line in _verses(asked.start)], plan) if asked.start else {}
    letters = [char for char in to_simplified(asked.acrostic) if not char.isspace() and char not in MARKS]
    places = [number for number, line in enumerate(plan.lines) if line.verse]
    if len(letters) > len(places):
        raise BadRequest(
            f"the acrostic has {len(letters)} characters and {asked.form} {len(places)} lines; "
            "shorten it or choose a longer form"
        )
    for number, char in zip(places, letters, strict=False):
        if found.setdefault((number, 0), char) != char:
            raise BadRequest(
                f"line {number + 1} begins with {char} in the acrostic and with {found[number, 0]} in the opening; "
                "leave one of them out"
            )
    return found


def _placed(written: Sequence[str], plan: Plan) -> dict[tuple[int, int], str]:
    """The characters of lines by line and place; a line that is too long is cut."""
    return {
        (number, place): char
        for number, (line, wanted) in enumerate(zip(written, plan.lines, strict=False))
        for place, char in enumerate(line[: wanted.length])
    }


def _verses(text: str) -> list[str]:
    """The runs of Chinese characters of a text."""
    return "".join(char if forms.is_chinese(char) else " " for char in text).split()


def _fits(char: str, tone: str, sounds: Prosody) -> bool:
    own = sounds.tone(char)
    return tone == "中" or own in (None, "both", tone)


def _option(line: Line, template: int, chars: Mapping[tuple[int, int], str], number: int, sounds: Prosody) -> Option:
    """The way a line may go under a template that its characters break least."""
    own = [(place, char) for (n, place), char in chars.items() if n == number]
    fitting = [option for option in line.options if option.templates >> template & 1]
    return min(fitting, key=lambda option: sum(not _fits(char, option.tones[place], sounds) for place, char in own))


def _best(plan: Plan, chars: Mapping[tuple[int, int], str], sounds: Prosody) -> int:
    """The template that the characters break least; of a rhymed first line more is right than of an unrhymed one."""

    def faults(template: int) -> tuple[int, int]:
        options = [_option(line, template, chars, n, sounds) for n, line in enumerate(plan.lines)]
        broken = sum(not _fits(char, options[n].tones[place], sounds) for (n, place), char in chars.items())
        apart = 0
        ends = [(n, chars.get((n, len(o.tones) - 1))) for n, o in enumerate(options) if o.rhyme == 0]
        common = _common([end for _, end in ends if end], plan, "中", sounds)
        for _, end in ends:
            apart += bool(end and common and common not in _groups(end, plan, "中", sounds))
        return broken + apart, -sum(option.rhyme >= 0 for option in options)

    return min(range(len(plan.templates)), key=faults) if chars else 0


def _groups(char: str, plan: Plan, tone: str, sounds: Prosody) -> frozenset[str]:
    """The groups in which a character rhymes in this kind of form."""
    asked = None if tone == "中" else tone
    if plan.song:
        return frozenset(name[:-1] for name in sounds.ci_rhymes(char, asked))
    return sounds.rhymes(char, asked)


def _common(ends: Iterable[str], plan: Plan, tone: str, sounds: Prosody) -> str:
    """The group that most of these characters rhyme in."""
    counted = Counter(group for char in ends for group in sorted(_groups(char, plan, tone, sounds)))
    return counted.most_common(1)[0][0] if counted else ""


def _rhymed(
    plan: Plan, options: Sequence[Option], chars: Mapping[tuple[int, int], str], sounds: Prosody
) -> dict[str, str]:
    """Letter → the group that its lines rhyme in, as far as they are written."""
    found: dict[str, str] = {}
    for rhyme in sorted({option.rhyme for option in options if option.rhyme >= 0}):
        own = [(n, o) for n, o in enumerate(options) if o.rhyme == rhyme]
        ends = [char for n, o in own if (char := chars.get((n, len(o.tones) - 1)))]
        tone = own[0][1].tones[-1] if not plan.song else "中"
        if ends and (group := _common(ends, plan, tone, sounds)):
            found[chr(ord("a") + rhyme)] = group
    return found


def _line(
    number: int,
    plan: Plan,
    option: Option,
    chars: Mapping[tuple[int, int], str],
    given: Mapping[tuple[int, int], str],
    groups: Mapping[str, str],
    sounds: Prosody,
) -> dict[str, Any]:
    """One line as the page shows it."""
    line = plan.lines[number]
    letter = "" if option.rhyme < 0 else chr(ord("a") + option.rhyme)
    cells = []
    for place, tone in enumerate(option.tones):
        char = chars.get((number, place), "")
        rhymes = letter if place == len(option.tones) - 1 else ""
        kept = _fits(char, tone, sounds) if char else None
        if kept and rhymes and (group := groups.get(letter)) and (own := _groups(char, plan, "中", sounds)):
            kept = group in own
        cells.append(
            {
                "tone": tone,
                "char": char,
                "own": sounds.tone(char) if char else None,
                "kept": kept,
                "given": bool(char) and given.get((number, place)) == char,
                "rhyme": rhymes,
            }
        )
    return {"cells": cells, "mark": line.mark, "rhyme": letter, "verse": line.verse, "gap": False}


def _book(rhyme: str) -> tuple[str, str]:
    """The book and the group of a rhyme: "modern", "东", "modern:东"."""
    book, colon, group = rhyme.partition(":")
    if colon:
        return book, group
    return (rhyme, "") if rhyme in ("pingshui", "modern") else ("pingshui", rhyme)


# --- beats ------------------------------------------------------------------------------------------------------------


def _beats(line: meter.Requirement) -> list[bool]:
    """Where the beat of a line is: on its even places where it is iambic."""
    return [line.iambic and place % 2 == 1 for place in range(line.syllables)]


def _metered(asked: Asked) -> dict[str, Any]:
    known = meter.form(asked.form)
    written = [line.strip() for line in asked.text.splitlines() if line.strip()]
    letters = [char for char in asked.acrostic.upper() if char.isalpha()]
    if len(letters) > len(known.lines):
        raise BadRequest(
            f"the acrostic has {len(letters)} letters and a {asked.form} {len(known.lines)} lines; "
            "shorten it or choose a longer form"
        )
    lines = []
    for number, wanted in enumerate(known.lines):
        text = written[number] if number < len(written) else ""
        earlier = [written[k] for k in range(min(number, len(written))) if known.lines[k].rhyme == wanted.rhyme]
        letter = letters[number] if number < len(letters) else ""
        lines.append(
            {
                "cells": [{"beat": beat} for beat in _beats(wanted)],
                "words": [{"text": word, "syllables": english.word_syllables(word)} for word in english.words(text)],
                "text": text,
                "syllables": english.syllables(text) if text else 0,
                "kept": not meter.fits(text, wanted, earlier) if text else None,
                "given": letter,
                "rhyme": wanted.rhyme,
                "mark": "",
                "verse": True,
                "gap": wanted.gap,
            }
        )
    return {
        "form": asked.form,
        "kind": "beats",
        "templates": [],
        "template": 0,
        "rhymes": {},
        "lines": lines,
        "more": written[len(known.lines) :],
    }
