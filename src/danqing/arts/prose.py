"""Stories and scripts, by the story models.

A story grows sentence by sentence, a script line by line: twelve ways to go on are written side by side, and the one
goes on that keeps to the topic and says something new; it is shown as it is written. A text given with --start stands
first, unchanged; a plot given as --topic becomes the first sentence, and everything after it has read it. The people of
a plot take the roles of the model (`encode.cast`); they may meet somebody, and nobody else comes in. The last part of a
story is asked for as an ending.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from danqing.appraisal import imagery
from danqing.arts import plots, writers
from danqing.artwork.literature import Writing, is_han, language_of
from danqing.artwork.request import Step
from danqing.encode.cast import ROLES, Cast, Others
from danqing.encode.script import to_simplified
from danqing.encode.text import Controls
from danqing.errors import BadRequest, DanqingError
from danqing.training.verse import EMPTY

if TYPE_CHECKING:
    from danqing.arts.writers import Desk, Writer
    from danqing.techniques.decoding import Sample, Sampling

WAYS, SENTENCE_TOKENS = 12, 90  # how many ways to go on are compared, of how many tokens at most
TEMPERATURE = 0.8
REPETITION = 0.5  # what a token that stands there already loses of its logit: it keeps small models from circling
KEYWORDS = 5
COMPANY, COMPANIONS = 3, 4  # people in a story where the plot has fewer; how many of the likeliest they are drawn from
TOPIC_WORTH = 0.5  # what naming the topic is worth against a candidate's likelihood
# Of a sentence: likelier than LIKELY is no better; a share of words that stood in the last RECENT characters already
# costs so much, and being cut off.
LIKELY, RECENT, STALE_COST, CUT_COST = -1.6, 400, 1.5, 1.0
LONG, LONG_COST = {"en": 22, "zh": 60}, 0.5  # words, characters of a sentence; what as many again cost
NAMED, NAMED_COST = 2, 0.3  # people are named so often in a sentence; what once more costs
LOUD_COST = 0.5  # a question that nobody asks, speech without marks
UNMARKED = re.compile(r"\b(?:said|cried|asked|answered|replied|exclaimed|thought)\b[^,.]*, [A-Z]")
TALK = 160  # so many characters after a speech nobody speaks
THREAD = 0.5  # what it is worth, in nats a token, that a sentence is likelier after the story than by itself
SEEN = 150  # tokens of what was written last that are read again, after the first sentence
ENDING = 0.6  # share of the length from which on an ending is asked for
LATELY = {"en": 160, "zh": 50}  # characters
WISH = 3.0  # what a word of the topic that has not been named lately gains on its logit
SPEAKER_COST = 0.7  # a sentence that begins with the person with whom the one before began
# How long where nothing was said: characters in Chinese, words in English.
LENGTHS = {("story", "zh"): 400, ("story", "en"): 250, ("script", "zh"): 300, ("script", "en"): 180}
STOP = frozenset(
    ["the", "and", "who", "that", "which", "wanted", "was", "were", "had", "has", "his", "her", "its", "for", "with"]
)
PER_WORD = 1.6  # tokens of an English word
FORMULAS = ("下回", "分解", "不在话")  # with which the novels end a chapter or leave a matter; a story has neither
SPEAKERS = {"zh": r"^[^：:]{1,8}[：:].+", "en": r"^[A-Z][\w' .-]{0,30}: ?\S.*"}
SPEAKING = re.compile(r"(?m)^[那这]?([\u4e00-\u9fff]{2,3}?)[应答笑喝叫]?：")
SENTENCE = re.compile(r"[.!?。！？…]+[\"'”’」』）)]*")


@dataclass(frozen=True)
class _Plan:
    """A text before it is written."""

    kind: str  # story or script
    language: str
    controls: Controls
    cast: Cast  # the vocabulary, with those who are in the story
    people: tuple[str, ...]  # whom the plot names
    given: str  # what the person wrote, which stands first
    about: tuple[str, ...]  # words whose being there shows that it is
    length: int  # characters or words
    tokens: int  # at most


def write(desk: Desk) -> list[Writing]:
    """As many stories or scripts as were asked for."""
    request = desk.request
    kind, language = request.kind, request.tongue
    writer = desk.writer(writers.STORY[language])
    made: list[Writing] = []
    for number in range(request.count):
        plan = _plan(desk, writer, kind, language, number)
        rows = tuple(_told(desk, writer, plan, number).split("\n"))
        writing = Writing(rows, titled(request.topic), form=kind, language=language)
        made.append(writers.in_script(writing, request.script))
    if len({writing.lines for writing in made}) < request.count:
        raise DanqingError("two of the works came out the same; raise --temperature or ask for fewer")
    return made


# --- what is asked ----------------------------------------------------------------------------------------------------


def _plan(desk: Desk, writer: Writer, kind: str, language: str, number: int) -> _Plan:
    request = desk.request
    given = start(desk, writer, kind)
    length = request.length or LENGTHS[kind, language]
    tokens = int(length * (PER_WORD if language == "en" else 1)) + SENTENCE_TOKENS
    topic = desk.words(request.topic) if language == "zh" else request.topic or ""
    plot = plots.first_sentence(topic, language)
    first = given or (plot if kind == "story" else "")
    if language == "zh" and not given and writer.vocabulary.unknown_in(first):
        first = ""
    people = plots.who(f"{given} {topic}", writer.about.get("people", {}), language)[: len(ROLES)]
    names = _cast(desk, writer, people, number) if kind == "story" else ()
    words = tuple(word for word in keywords(desk, writer, language) if word not in names)
    return _Plan(
        kind,
        language,
        Controls(kind, start="" if given else "opening", cast=names, topics=words),
        Cast(writer.vocabulary, names),
        tuple(people),
        first + ("\n" if first and kind != "story" else ""),
        _named(request.topic or "", words, language, names),
        length,
        tokens,
    )


def start(desk: Desk, writer: Writer, kind: str) -> str:
    """What the person gave as a beginning; raises BadRequest where it is not in the language of the text."""
    request, language = desk.request, desk.request.tongue
    given = desk.words(request.start) if language == "zh" else (request.start or "").strip()
    if language == "zh":
        writers.check_known(writer, "start", re.sub(r"\s", "", given))
    if given and language_of(given) != language:
        raise BadRequest(
            f"--start is {_called(language_of(given))} and the {kind} {_called(language)}; use one language"
        )
    return given


def _cast(desk: Desk, writer: Writer, people: Sequence[str], number: int) -> tuple[str, ...]:
    """Who is in a story: those of the plot, and one or two whom they meet; () where the model has no roles."""
    from danqing.compute import seed as seeds

    if not writer.about.get("people") or not writer.vocabulary.has(ROLES[0]):
        return ()
    others = plots.company(people, writer.about.get("companions", {}))[:COMPANIONS]
    order = torch.randperm(len(others), generator=seeds.generator(desk.seed, stream=50 + number)).tolist()
    return (*people, *[others[i] for i in order][: max(0, COMPANY - len(people))])


def _named(topic: str, words: tuple[str, ...], language: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """What a story about the topic names: who is in it, and the topic's words but for empty ones, taught or not."""
    words = (*names, *words)
    if language == "zh":
        own = [char for char in to_simplified(topic) if is_han(char) and char not in EMPTY]
        return tuple(dict.fromkeys([*words, *(char for char in own if not any(char in word for word in words))]))
    own = [word for word in re.findall(r"[a-z]{3,}", topic.lower()) if word not in STOP]
    return tuple(dict.fromkeys([*words, *own]))


def _called(language: str) -> str:
    return {"zh": "Chinese", "en": "English"}[language]


def keywords(desk: Desk, writer: Writer, language: str) -> tuple[str, ...]:
    """The words of the topic and the mood that the model was taught, in their order."""
    from danqing.arts.write import MOODS, MOODS_ZH

    text = desk.request.topic or ""
    if text and language_of(text) != language:
        given = _called(language_of(text))
        if language == "zh" and (found := imagery.translated(text)):
            desk.note(f"the topic {text!r} is English, the text Chinese: written about {'、'.join(found)}")
            text = "".join(found)
        else:
            raise BadRequest(f"--topic {text!r} is {given} and the text {_called(language)}; name it in one language")
    known = frozenset(writer.about.get("topics", ()))
    if language == "en":
        found = [_taught(word, known) for word in re.findall(r"[a-z]{3,}", text.lower()) if word not in STOP]
        mood = [MOODS[MOODS_ZH.get(desk.request.mood, desk.request.mood)][1]] if desk.request.mood else []
        return tuple(dict.fromkeys(word for word in [*found, *mood] if word))[:KEYWORDS]
    simple = desk.words(text)
    parts = [simple[i : i + n] for i in range(len(simple)) for n in (2, 1) if simple[i : i + n] in known]
    pairs = [part for part in parts if len(part) == 2]
    alone = [part for part in parts if len(part) == 1 and not any(part in pair for pair in pairs)]
    return tuple(dict.fromkeys([*pairs, *alone]))[:KEYWORDS]


def _taught(word: str, known: frozenset[str]) -> str:
    """The word, or its stem, where the model was taught it; every word where nobody says what it was taught."""
    if not known:
        return word
    return next((form for form in (word, word.removesuffix("s"), word.removesuffix("ed")) if form in known), "")


def titled(topic: str | None) -> str:
    """What a text about this is called; "" where that would be too long."""
    words = (topic or "").strip().rstrip(".。!?！？")
    if not words or len(words) > 60:
        return ""
    return words if language_of(words) == "zh" else words[:1].upper() + words[1:]


# --- writing ----------------------------------------------------------------------------------------------------------


def sampling(desk: Desk, language: str, writer: Writer) -> Sampling:
    """How tokens are drawn."""
    from danqing.techniques import decoding

    marks = "，。！？：“”、；\n" if language == "zh" else ",.!?\"':;\n the a of to and in it he she was"
    free = frozenset(writer.vocabulary.encode(marks))
    return decoding.Sampling(
        temperature=desk.request.temperature or TEMPERATURE, repetition=REPETITION, free=free, top_p=0.95, min_p=0.02
    )


def _told(desk: Desk, writer: Writer, plan: _Plan, number: int) -> str:
    """One story or script, told row by row as it comes."""
    from danqing.compute import seed as seeds
    from danqing.techniques import decoding

    v = plan.cast
    generator = seeds.generator(desk.seed, stream=100 + number)
    plain, end = sampling(desk, plan.language, writer), writer.end
    people = Others(v, [*writer.about.get("people", {}), *FORMULAS] if plan.controls.cast else ())
    never = (writer.never | {end}) - {v.id(role) for role in ROLES[: len(v.names)]}
    if plan.language == "en" and v.names:
        opened = v.encode(" '")  # speech stands between double marks, as in what it has read
        never |= frozenset(opened if len(opened) == 1 else ())
    cues = (_Turns if plan.kind == "story" else _Speakers)(plan, generator)
    bare = _before(desk, writer, plan, Controls(plan.kind, cast=plan.controls.cast))
    told = _Teller(desk, plan)
    desk.tools.on_step(Step(0, plan.tokens, "beginning"))
    parts: list[tuple[int, ...]] = []  # sentences, or lines of a script
    while True:
        written = [token for part in parts for token in part]
        text = plan.given + v.decode(written)
        if cues.ended(text) or len(written) > plan.tokens:
            break
        cue = cues.next(text)
        allowed = decoding.Without(len(v), never | cue.never)
        rule = decoding.All((allowed, people, _Sentence(v, plan, cue.first)))
        before = [*_before(desk, writer, plan, _controls(plan, text)), *_seen(plan, parts), *cue.tokens]
        wishing = replace(plain, wanted=_tokens(v, _missing(text, plan)), wish=WISH)
        ways = decoding.sample(writer.model, before, rule, wishing, WAYS, generator, end, SENTENCE_TOKENS)
        worths = [
            _worth(way, v.decode(way.tokens), text, plan) + THREAD * gain
            for way, gain in zip(ways, writer.gains([*bare, *cue.tokens], ways), strict=True)
        ]
        best = ways[max(range(len(ways)), key=worths.__getitem__)]
        parts.append((*cue.tokens, *best.tokens))
        told.hear(v.decode([*written, *parts[-1]]), len(written) + len(parts[-1]))
        if not best.tokens:
            break
    text = _trimmed(plan.given + v.decode([token for part in parts for token in part]), plan)
    told.finish(text)
    return text


class _Cue(NamedTuple):
    """How the next part begins, and what does not stand in it."""

    tokens: Sequence[int] = ()
    never: frozenset[int] = frozenset()
    first: frozenset[int] = frozenset()  # what it does not begin with


class _Turns:
    """What is said of the next sentence of a story: its turn, and whether anybody may speak."""

    def __init__(self, plan: _Plan, generator: torch.Generator) -> None:
        self._plan, self._course = plan, plots.Course(plan.language, generator)

    def ended(self, text: str) -> bool:
        """Whether the last turn is written."""
        return self._course.ended

    def next(self, text: str) -> _Cue:
        """After this text."""
        said = text.rstrip()
        if said.endswith((":", "：")):  # somebody has just been announced
            return _Cue()
        last = SENTENCE.search(said, max(0, len(said) - 8))
        whole = not said or (last is not None and last.end() == len(said) and said[-1] != '"')  # who said it may follow
        turn = self._course.turn(_share(text, self._plan), text) if whole else ""
        silent = turn or _speaks(text[-TALK:])
        return _Cue(self._plan.cast.encode(turn), _speech(self._plan.cast.vocabulary) if silent else frozenset())


@functools.lru_cache(maxsize=4)
def _speech(vocabulary: Any) -> frozenset[int]:
    """The tokens with which speech begins: marks, and the Chinese verbs that a mark has to follow."""
    marks = set('"“”:：道曰')
    return frozenset(token for token in range(len(vocabulary)) if marks & set(vocabulary.decode([token])))


class _Speakers:
    """Who speaks the next line of a script."""

    def __init__(self, plan: _Plan, generator: torch.Generator) -> None:
        self._plan, self._colon = plan, ":" if plan.language == "en" else "："
        self._dialogue = plots.Dialogue([name[0].upper() + name[1:] for name in plan.people], generator)

    def ended(self, text: str) -> bool:
        """Whether the script is long enough."""
        return _share(text, self._plan) >= 1

    def next(self, text: str) -> _Cue:
        """After this text."""
        v, break_ = self._plan.cast, "" if not text or text.endswith("\n") else "\n"
        told = _cleaned(text, self._plan.language).split("\n")
        rows = (row for row in told if re.match(SPEAKERS[self._plan.language], row))
        speakers = [row.partition(":" if ":" in row[:40] else "：")[0] for row in rows]
        if name := self._dialogue.turn(speakers):
            return _Cue(v.encode(f"{break_}{name}{self._colon}"))
        # Somebody else begins otherwise.
        return _Cue(v.encode(break_), first=frozenset(v.encode(name)[0] for name in speakers))


def _before(desk: Desk, writer: Writer, plan: _Plan, controls: Controls) -> list[int]:
    """The controls; for models that know none, the title."""
    return writer.before(controls, "" if plan.given or not desk.request.topic else f"{titled(desk.request.topic)}\n")


def _controls(plan: _Plan, text: str) -> Controls:
    """What the next sentence is asked for as: an ending, where a story has gone on for long enough."""
    late = plan.kind == "story" and _share(text, plan) >= ENDING
    return replace(plan.controls, start="ending") if late and plan.cast.names else plan.controls


def _seen(plan: _Plan, parts: Sequence[Sequence[int]]) -> list[int]:
    """What a sentence follows: what was given, and as many of the last sentences as SEEN tokens hold."""
    last: list[int] = []
    for part in reversed(parts):
        if len(last) + len(part) > SEEN:
            break
        last = [*part, *last]
    return [*plan.cast.encode(plan.given), *last]


def _worth(way: Sample, text: str, before: str, plan: _Plan) -> float:
    """How good a way to go on it is: likely enough, about the topic where that has not been named lately, not stale."""
    recent = before[-RECENT:]
    worth = min(way.likelihood, LIKELY) + TOPIC_WORTH * sum(word in text.lower() for word in _missing(before, plan))
    own = content(text, plan.language)
    worth -= STALE_COST * sum(word in recent for word in own) / max(4, len(own))
    worth -= STALE_COST * (len(own) - len(set(own))) / max(4, len(own))
    if plan.cast.names:
        length = len(text.split()) if plan.language == "en" else len(text)
        worth -= LONG_COST * max(0.0, length / LONG[plan.language] - 1)
        worth -= SPEAKER_COST * _same_first(text, before, plan.cast.names)
        worth -= NAMED_COST * max(0, sum(text.lower().count(name.lower()) for name in plan.cast.names) - NAMED)
        loud = text.rstrip().endswith(("?", "？")) or UNMARKED.search(text)
        worth -= LOUD_COST * (not _speaks(text) and bool(loud))
    return worth - CUT_COST * (not way.finished or not _balanced(text))


def _speaks(text: str) -> bool:
    return bool(re.search('["“]', text))


def _same_first(text: str, before: str, names: Sequence[str]) -> bool:
    """Whether a sentence begins with the person with whom the one before it began."""
    last = next((part for part in reversed(SENTENCE.split(before)) if part.strip()), "")
    return any(text.lstrip().startswith(name) and last.lstrip().startswith(name) for name in names)


def _balanced(text: str) -> bool:
    """Whether every quotation is closed."""
    return text.count('"') % 2 == 0 and text.count("“") == text.count("”")


def _missing(text: str, plan: _Plan) -> list[str]:
    """The words of the topic that have not been named lately."""
    lately = text.lower()[-LATELY[plan.language] :]
    return [word for word in plan.about if word not in lately]


def _tokens(vocabulary: Cast, words: Sequence[str]) -> frozenset[int]:
    """The tokens that are these words, or their characters in Chinese; the roles of those who have one."""
    found = [
        vocabulary.encode(part if is_han(part[0]) else f" {part}")
        for word in words
        for part in (word if is_han(word[0]) and word not in vocabulary.names else [word])
    ]
    return frozenset(tokens[0] for tokens in found if len(tokens) == 1)


def content(text: str, language: str) -> list[str]:
    """The words that carry a sentence: English ones of four letters and more, pairs of Chinese characters."""
    if language == "en":
        return re.findall(r"[A-Za-z]{4,}", text)
    return [text[i : i + 2] for i in range(len(text) - 1) if all(map(is_han, text[i : i + 2]))]


class _Sentence:
    """A constraint that allows everything and ends with a sentence of a story, or a line of a script."""

    def __init__(self, vocabulary: Any, plan: _Plan, first: frozenset[int]) -> None:
        """first: the tokens that it does not begin with."""
        import numpy as np

        self._v, self._script = vocabulary, plan.kind == "script"
        self._all = np.ones(len(vocabulary), dtype=np.bool_)
        self._first = self._all.copy()
        self._first[list(first)] = False

    def start(self) -> tuple[int, ...]:
        """Nothing written yet."""
        return ()

    def allowed(self, state: tuple[int, ...]) -> Any:
        """Every token, but for the first one."""
        return self._all if state else self._first

    def advance(self, state: tuple[int, ...], token: int) -> tuple[int, ...]:
        """One more token."""
        return (*state, token)

    def finished(self, state: Sequence[int]) -> bool:
        """Whether it has ended, and is more than its marks."""
        tail = self._v.decode(state[-2:])
        if not ("\n" in tail if self._script else SENTENCE.search(tail)):
            return False
        text = self._v.decode(state)
        return sum(map(str.isalpha, text)) > 3 and (self._script or _balanced(text))


def _share(text: str, plan: _Plan) -> float:
    """How much of the length that was asked for has been written: what was given counts, up to two thirds."""
    given, size = _size(plan.given, plan.language), _size(text, plan.language)
    return (min(given, plan.length * 2 / 3) + size - given) / plan.length


def _size(text: str, language: str) -> int:
    return len(text.split()) if language == "en" else len(re.sub(r"\s", "", text))


def _cleaned(text: str, language: str) -> str:
    """Without bytes that are no character; with “” closed where a straight mark did, as in some of the novels.

    Of a script kings have their numbers as numbers (it has read "King Richard Iii"), and names nothing but the name
    (那妇人, 妇人应).
    """
    text = text.replace("\ufffd", "")
    text = re.sub(r"(?m)^([\w ]+ )(I[iv]+|Vi*)(?=:)", lambda found: found[1] + found[2].upper(), text)
    text = SPEAKING.sub(r"\1：", text)
    return re.sub(r"“([^“”\"\n]*)\"", r"“\1”", text).replace("`", "") if language == "zh" else text


def _trimmed(text: str, plan: _Plan) -> str:
    """Without a last sentence that was cut off; a script without rows that nobody speaks."""
    text = re.sub(r"\n{3,}", "\n\n", _cleaned(text, plan.language)).strip()
    if plan.kind == "script":
        given = plan.given.split("\n")
        spoken = [row for row in text.split("\n") if row in given or re.match(SPEAKERS[plan.language], row)]
        text = "\n".join(spoken) or text
    ends = [match.end() for match in SENTENCE.finditer(text)]
    kept = text[: ends[-1]] if ends and ends[-1] > len(plan.given) else text
    return kept.strip()


class _Teller:
    """Passes rows on as soon as they are whole; what was told stays as it is."""

    def __init__(self, desk: Desk, plan: _Plan) -> None:
        self._desk, self._plan, self._told = desk, plan, 0
        self._script = desk.request.script == "traditional"

    def hear(self, text: str, done: int) -> None:
        """The text so far."""
        rows = _cleaned(self._plan.given + text, self._plan.language).split("\n")[:-1]
        if self._plan.kind == "script":
            rows = [row for row in rows if re.match(SPEAKERS[self._plan.language], row)]
        self._tell(rows, done)

    def finish(self, text: str) -> None:
        """The whole text."""
        self._tell(text.split("\n"), self._plan.tokens)
        if self._desk.request.count > 1:
            self._desk.tools.on_step(Step(self._plan.tokens, self._plan.tokens, "writing", line=""))

    def _tell(self, rows: Sequence[str], done: int) -> None:
        if not self._told and rows and (title := titled(self._desk.request.topic)):
            self._step(title, done)
            self._step("", done)
        for row in rows[self._told :]:
            self._step(row, done)
        self._told = max(self._told, len(rows))
        self._desk.tools.on_step(Step(min(done, self._plan.tokens), self._plan.tokens, "writing"))

    def _step(self, row: str, done: int) -> None:
        from danqing.encode.script import to_traditional

        shown = to_traditional(row) if self._script and self._plan.language == "zh" else row
        self._desk.tools.on_step(Step(min(done, self._plan.tokens), self._plan.tokens, "writing", line=shown))
