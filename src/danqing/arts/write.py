"""Poems, couplets, stories and scripts by the language models that ship with Danqing, in Chinese and English.

This file says what can be asked for and refuses what contradicts itself; `verse` writes and revises Chinese poems,
`lyric` writes English ones and free verse, `prose` stories and scripts, and `writers` opens what they need. A poem's
form is kept while it is written. Chinese poems are judged afterwards by rules that share no code with that, and no line
of theirs is one of the poems that the model learned from.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from danqing.arts import Flag, Tools, check_choices
from danqing.errors import BadRequest, UnknownName

if TYPE_CHECKING:
    from danqing.arts.writers import Desk
    from danqing.artwork.artwork import Artwork
    from danqing.artwork.literature import Writing

LINES = {"五绝": 4, "七绝": 4, "五律": 8, "七律": 8}  # regulated verse: how many lines
CHINESE = (*LINES, "古诗", "词", "对联")
ENGLISH = ("sonnet", "quatrain", "ballad", "couplet", "haiku")  # whose syllables, beat and rhymes are kept
EITHER = ("verse", "story", "script")  # in the language of the request
FORMS = (*CHINESE, *ENGLISH, *EITHER)
PROSE = ("story", "script")
# What a mood is called → the theme that the poet was taught, and the word for an English text.
MOODS = {
    "joyful": ("欢喜", "joy"),
    "sad": ("忧愁", "sorrow"),
    "bold": ("豪放", "courage"),
    "longing": ("相思", "longing"),
    "calm": ("禅意", "peace"),
    "lonely": ("闺怨", "alone"),
}
MOODS_ZH = {"欢喜": "joyful", "忧愁": "sad", "豪放": "bold", "相思": "longing", "禅意": "calm", "孤独": "lonely"}
LONGEST_TOPIC, LONGEST_START = 200, 2000  # characters
MOST = 20  # works in one request
SCRIPTS = ("LATIN", "CJK", "DIGIT", "IDEOGRAPHIC")  # how Unicode names the letters that we read begin


@dataclass(frozen=True)
class Write:
    """A poem, a couplet, a story or a script, in Chinese or English."""

    form: Annotated[
        str,
        Flag(
            "五绝 七绝 五律 七律 古诗 词:浣溪沙 对联; sonnet quatrain ballad couplet haiku; verse story script; 七绝 "
            "or verse unless given",
            "FORM",
        ),
    ] = ""
    topic: Annotated[str | None, Flag("what it is about: words, or a plot in one sentence", "TEXT")] = None
    start: Annotated[
        str | None, Flag("how it begins: an opening line, the upper line of a 对联, a story to go on with", "TEXT")
    ] = None
    acrostic: Annotated[
        str | None, Flag("藏头: how its lines begin, one character for each: 春夏秋冬, or SEA", "TEXT")
    ] = None
    revise: Annotated[Path | None, Flag("a poem of yours to revise: .txt, .md or .docx", "FILE")] = None
    lines: Annotated[tuple[int, ...], Flag("which lines of it, 2,4; all others stay as they are", "N,N")] = ()
    language: Annotated[
        Literal["zh", "en"] | None, Flag("zh or en; that of the form or the topic unless given", "zh|en")
    ] = None
    length: Annotated[
        int | None, Flag("how long: lines of 古诗 and verse; characters (zh) or words (en) of a story or script", "N")
    ] = None
    temperature: Annotated[
        float | None, Flag("0.1 plays it safe, 1 is as varied as the model, up to 2; chosen for the form", "T")
    ] = None
    poet: Annotated[str, Flag("in the manner of a poet of the Tang or Song: 李白", "NAME")] = ""
    dynasty: Annotated[str, Flag("in the manner of 唐 or 宋 (tang, song)", "NAME")] = ""
    mood: Annotated[str, Flag("joyful, sad, bold, longing, calm or lonely", "NAME")] = ""
    rhyme: Annotated[
        str, Flag("a rhyme book, pingshui or modern, or the group to rhyme in: 东, modern:东", "BOOK|GROUP")
    ] = "pingshui"
    script: Annotated[Literal["simplified", "traditional"], Flag("the characters that Chinese is written in")] = (
        "simplified"
    )
    model: Annotated[
        str,
        Flag(
            "own: the Transformer that ships; lstm: the recurrent one; a run's folder or run:NAME: one that you "
            "trained; hf:NAME: one from Hugging Face",
            "NAME",
        ),
    ] = "own"
    count: Annotated[int, Flag("how many different works, up to 20", "N")] = 1
    seed: Annotated[int | None, Flag("the same seed gives the same text; a fresh one unless given", "N")] = None

    def __post_init__(self) -> None:
        check_choices(self)
        _check_numbers(self)
        _check_words(self)
        _check_together(self)

    @property
    def tongue(self) -> str:
        """The language it is written in: "zh" or "en"."""
        from danqing.artwork.literature import language_of

        if self.language:
            return self.language
        if self.form in ENGLISH:
            return "en"
        if self.kind in CHINESE or self.poet or self.dynasty:
            return "zh"
        words = self.start or self.topic or self.acrostic or ""
        return language_of(words) if any(char.isalpha() for char in words) else "zh"

    @property
    def kind(self) -> str:
        """The form without the tune: 词 for 词:浣溪沙; "" where none was given."""
        return "词" if self.form.startswith("词") else self.form

    @property
    def tune(self) -> str:
        """The tune of a 词."""
        return self.form.removeprefix("词").lstrip(":：") if self.kind == "词" else ""


def create(request: Write, tools: Tools) -> Artwork:
    """Meet a request for one work."""
    return create_all(request, tools)[0]


def create_all(request: Write, tools: Tools) -> tuple[Artwork, ...]:
    """Meet the request: `count` works. Raises BadRequest, InvalidMedia or Unavailable before any long work begins."""
    from danqing.arts import lyric, prose, verse, writers
    from danqing.artwork.artwork import Artwork
    from danqing.artwork.provenance import Provenance, describe, parent
    from danqing.compute import seed as seeds

    seed = seeds.fresh() if request.seed is None else request.seed
    desk = writers.Desk(request, tools, seed)
    _check_own(request, desk)
    if request.revise is not None:
        made = verse.revise(desk)
    elif request.kind in ("story", "script"):
        made = prose.write(desk)
    elif request.kind in (*ENGLISH, "verse") or request.tongue == "en":
        made = lyric.write(desk)
    else:
        made = verse.write(desk)
    parents = (parent("text", request.revise),) if request.revise else ()
    facts = {**describe(request), "seed": seed, **({"model": desk.own.name} if desk.own else {})}
    works = []
    for number, writing in enumerate(made):
        own = {**facts, "number": number + 1} if request.count > 1 else facts
        provenance = Provenance("write", own, seed, desk.models, parents, tuple(desk.notes))
        works.append(Artwork(writing, provenance, title=_title(writing)))
    return tuple(works)


def _check_own(request: Write, desk: Desk) -> None:
    """Raises BadRequest where a model of a person's own does not write what is asked for."""
    from danqing.arts import writers

    if desk.own is None:
        return
    prose = request.kind in (*EITHER, *ENGLISH) or request.tongue == "en"
    wanted = writers.STORY["en" if request.kind in ENGLISH else request.tongue] if prose else writers.POET
    if wanted not in desk.own.places:
        writes = {"poet": "Chinese poems", "story_en": "English", "story_zh": "Chinese prose and verse"}
        raise BadRequest(f"{request.model} writes {writes[desk.own.places[0]]}, and that is not what was asked for")
    desk.note("by a model of your own; of its training only what ships is known, so copies of the rest go unseen")


def _title(writing: Writing) -> str:
    first = next(line for line in writing.lines if line)
    name = writing.title or re.split(r"[，。！？；：,.!?;:]", first)[0][:40]
    return f"{name}, {writing.form}" if writing.form else name


# --- what is refused --------------------------------------------------------------------------------------------------


def _check_numbers(request: Write) -> None:
    if not 1 <= request.count <= MOST:
        raise BadRequest(f"--count is {request.count}; it lies between 1 and {MOST}")
    if request.temperature is not None and not 0 < request.temperature <= 2:
        raise BadRequest(f"--temperature is {request.temperature}; it lies above 0 (safe) and up to 2 (wild)")
    if request.seed is not None and not 0 <= request.seed < 2**31:
        raise BadRequest(f"--seed is {request.seed}; it lies between 0 and {2**31 - 1}")
    if request.length is not None:
        if request.kind in LINES or request.kind in ("词", "对联", *ENGLISH):
            raise BadRequest(
                f"--length is {request.length} and --form {request.form} has its own; leave one of them out"
            )
        low, high = (50, 4000) if request.kind in PROSE else (2, 40)
        if not low <= request.length <= high:
            raise BadRequest(f"--length is {request.length}; for this form it lies between {low} and {high}")
    if any(number < 1 for number in request.lines):
        raise BadRequest(f"--lines is {','.join(map(str, request.lines))}; lines are counted from 1")


def _check_words(request: Write) -> None:
    """Every word the person gave: there, not too long, in letters that the models read."""
    limits = {"topic": LONGEST_TOPIC, "start": LONGEST_START, "acrostic": 40}
    for name, limit in limits.items():
        text = getattr(request, name)
        if text is None:
            continue
        if not any(char.isalnum() for char in text):
            raise BadRequest(
                f"--{name} is {'empty' if not text.strip() else repr(text)}; give it words or leave it out"
            )
        if len(text) > limit:
            raise BadRequest(f"--{name} has {len(text):,} characters; up to {limit:,} are read. Shorten it")
        foreign = next((c for c in text if c.isalpha() and not _readable(c)), "")
        if foreign:
            kind = unicodedata.name(foreign, "an unknown letter").split()[0].capitalize()
            raise BadRequest(f"--{name} holds {foreign!r} ({kind}); Danqing writes and reads Chinese and English only")
    if request.form and request.kind not in FORMS:
        raise UnknownName("form", request.form, FORMS, see="danqing write --help")
    if request.mood and request.mood not in (*MOODS, *MOODS_ZH):
        raise UnknownName("mood", request.mood, [*MOODS, *MOODS_ZH], see="danqing write --help")
    if not request.model or (request.model.startswith("hf:") and not re.fullmatch(r"hf:\S+", request.model)):
        raise BadRequest(
            f"--model is {request.model!r}; it is own, lstm, a run's folder, run:NAME or hf:NAME, as in "
            "hf:uer/gpt2-chinese-poem"
        )


def _readable(char: str) -> bool:
    return unicodedata.name(char, "").startswith(SCRIPTS)


def _check_together(request: Write) -> None:
    """Flags that contradict each other; the message names the two."""
    form, kind = request.form, request.kind
    if request.language == "en" and (kind in CHINESE):
        raise BadRequest(f"--form {form} is Chinese and --language is en; leave one of them out")
    if request.language == "zh" and kind in ENGLISH:
        raise BadRequest(f"--form {form} is English and --language is zh; leave one of them out")
    _check_revise(request)
    if request.start and kind in ENGLISH:
        raise BadRequest(f"--start and --form {form} contradict each other: its meter is kept from the first word on")
    if request.acrostic and (kind in (*PROSE, "verse", "对联") or (not kind and request.tongue == "en")):
        raise BadRequest(
            f"--acrostic and {f'--form {form}' if form else 'free verse'} contradict each other: an acrostic is made "
            "of lines of a form, such as sonnet, quatrain, haiku, 五绝 or 七绝"
        )
    chinese = {"poet": request.poet, "dynasty": request.dynasty}
    for name, value in chinese.items():
        if value and (request.tongue == "en" or kind in (*PROSE, "verse", "对联")):
            what = f"--form {form}" if form else "--language en"
            raise BadRequest(f"--{name} goes with Chinese poems, not with {what}; leave one of them out")
    if request.rhyme != "pingshui" and (request.tongue == "en" or kind in (*PROSE, "verse", "对联")):
        raise BadRequest(
            f"--rhyme goes with Chinese poems that rhyme, not with {form or '--language en'}; leave one out"
        )
    if request.acrostic and request.start:
        first, given = request.start.strip()[0], request.acrostic.strip()[0]
        if first != given:
            raise BadRequest(
                f"--start begins with {first} and --acrostic with {given}; the first line cannot begin with both"
            )
    lines = LINES.get(kind or "七绝")
    if request.acrostic and lines and len(request.acrostic) > lines:
        raise BadRequest(
            f"--acrostic has {len(request.acrostic)} characters and {form or '七绝'} {lines} lines; "
            "give at most one for each line, or choose a longer form"
        )
    if request.model == "lstm" and (kind in (*PROSE, "verse") or request.tongue == "en"):
        raise BadRequest(f"--model lstm writes Chinese poems, not {form or 'English'}; use --model own")


def _check_revise(request: Write) -> None:
    if request.revise is None:
        if request.lines:
            raise BadRequest("--lines says which lines of --revise FILE to write anew, and no --revise was given")
        return
    for name in ("start", "acrostic", "length"):
        if getattr(request, name) is not None:
            raise BadRequest(
                f"--revise keeps the poem that is there and --{name} asks for a new one; leave one of them out"
            )
    if request.kind in (*PROSE, *ENGLISH, "verse") or request.language == "en":
        raise BadRequest("--revise works on Chinese poems; stories and English are written anew with --start")
    if request.model != "own":
        raise BadRequest(f"--revise has a model of its own, so --model {request.model} cannot be met; leave it out")
