"""Stories, scripts, free verse and English poems, by the story models.

Six openings are written side by side and the best one goes on, so that a text is about its topic from the first line
and is shown as it is written. A text given with --start stands first, unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from danqing.appraisal import imagery
from danqing.arts import writers
from danqing.arts.verse import tell
from danqing.artwork.literature import Writing, language_of
from danqing.artwork.request import Step
from danqing.encode.forms import FreeVerse
from danqing.encode.text import Controls
from danqing.errors import BadRequest, DanqingError

if TYPE_CHECKING:
    from danqing.arts.writers import Desk, Writer
    from danqing.techniques.sequence import Sampling

OPENINGS, OPENING = 6, 40  # how many are compared, of how many tokens
TEMPERATURE = 0.8
REPETITION = 0.4  # what a token that stands there already loses of its logit: it keeps small models from circling
KEYWORDS = 5
ROUNDS, METERED = 6, 500  # batches of poems in a form at most; tokens of one
TOPIC_WORTH, FAULT_COST = 0.5, 0.2  # what a candidate's likelihood is worth against its topic and the judge's doubts
# How long where nothing was said: characters in Chinese, words in English; lines of free verse.
LENGTHS = {("story", "zh"): 400, ("story", "en"): 250, ("script", "zh"): 300, ("script", "en"): 180}
LINES = 10
PER_WORD, PER_LINE = 1.6, 14  # tokens of an English word, of a line of verse in either language
SPEAKERS = {"zh": r"^[^：:]{1,8}[：:].+", "en": r"^[A-Z][\w' .-]{0,30}: ?\S.*"}
SENTENCE = re.compile(r"[.!?。！？…]+[\"'”’」』）)]*")


@dataclass(frozen=True)
class _Plan:
    """A text before it is written."""

    kind: str  # story, script or verse
    language: str
    prompt: list[int]
    given: str  # what the person wrote, which stands first
    words: tuple[str, ...]  # what it is to be about
    lines: int  # of verse; 0 where length counts
    length: int  # characters or words
    tokens: int  # at most


def write(desk: Desk) -> list[Writing]:
    """As many stories, scripts or free poems as were asked for."""
    request = desk.request
    kind, language = request.kind or "verse", request.tongue
    writer = desk.writer(writers.STORY[language])
    plan = _plan(desk, writer, kind, language)
    made: list[Writing] = []
    for number in range(request.count):
        text = _written(desk, writer, plan, number)
        rows = tuple(text.split("\n"))
        writing = Writing(rows, _title(request.topic), form=kind, language=language)
        made.append(writers.in_script(writing, request.script))
    if len({writing.lines for writing in made}) < request.count:
        raise DanqingError("two of the works came out the same; raise --temperature or ask for fewer")
    return made


def metered(desk: Desk) -> list[Writing]:
    """As many English poems of a form as were asked for: its syllables, beat and rhymes kept word by word."""
    from danqing.appraisal import english
    from danqing.compute import seed as seeds
    from danqing.encode import meter
    from danqing.techniques import sequence

    request = desk.request
    writer = desk.writer(writers.STORY["en"])
    v, words = writer.vocabulary, keywords(desk, writer, "en")
    rule = meter.Meter(meter.form(request.kind), v, (request.acrostic or "").strip())
    before = writer.before(Controls("verse", start="opening", topics=words), f"{_title(request.topic)}\n")
    sampling = _sampling(desk, "en", writer)
    generator, known = seeds.generator(desk.seed, stream=1), writers.origins(desk.catalog)
    found: dict[tuple[str, ...], float] = {}
    for number in range(ROUNDS + request.count):
        desk.tools.on_step(Step(number, ROUNDS + request.count, "writing"))
        samples = sequence.sample(writer.model, before, rule, sampling, OPENINGS, generator, writer.end, METERED)
        for one in samples:
            text = v.decode(one.tokens).strip()
            rows = tuple(row.strip() for row in text.split("\n"))
            faults = len(english.judge(rows, form=request.kind).broken)
            if one.finished and not any(known is not None and known.has_verse(row) for row in rows):
                found[rows] = one.likelihood + TOPIC_WORTH * _present(text, words) - FAULT_COST * faults
        if len(found) >= max(OPENINGS, 2 * request.count):
            break
    chosen = sorted(found, key=lambda rows: -found[rows])[: request.count]
    if len(chosen) < request.count:
        raise DanqingError(f"{len(chosen)} of {request.count} poems came out; ask for fewer, or raise --temperature")
    made = [Writing(rows, _title(request.topic), form=request.kind, language="en") for rows in chosen]
    for writing in made:
        tell(desk, writing, several=request.count > 1)
    return made


# --- what is asked ----------------------------------------------------------------------------------------------------


def _plan(desk: Desk, writer: Writer, kind: str, language: str) -> _Plan:
    request = desk.request
    given = desk.words(request.start) if language == "zh" else (request.start or "").strip()
    if language == "zh":
        writers.check_known(writer, "start", re.sub(r"\s", "", given))
    if given and language_of(given) != language:
        raise BadRequest(
            f"--start is {_called(language_of(given))} and the {kind} {_called(language)}; use one language"
        )
    words = keywords(desk, writer, language)
    v = writer.vocabulary
    controls = Controls(kind, start="" if given else "opening", topics=words)
    verse = kind == "verse"
    lines = (request.length or LINES) if verse else 0
    length = 0 if verse else request.length or LENGTHS[kind, language]
    tokens = lines * PER_LINE * 2 if verse else int(length * (PER_WORD if language == "en" else 1)) + OPENING
    lead = "" if given or not request.topic else f"{_title(request.topic)}\n"
    before = writer.before(controls, lead)
    joint = "\n" if given and kind != "story" else ""
    return _Plan(kind, language, [*before, *v.encode(given + joint)], given + joint, words, lines, length, tokens)


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
        found = [_taught(word, known) for word in re.findall(r"[a-z]{3,}", text.lower())]
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


def _title(topic: str | None) -> str:
    words = (topic or "").strip().rstrip(".。!?！？")
    if not words or len(words) > 60:
        return ""
    return words if language_of(words) == "zh" else words[:1].upper() + words[1:]


# --- writing ----------------------------------------------------------------------------------------------------------


def _sampling(desk: Desk, language: str, writer: Writer) -> Sampling:
    from danqing.techniques import sequence

    marks = "，。！？：“”、；\n" if language == "zh" else ",.!?\"':;\n the a of to and in it he she was"
    free = frozenset(writer.vocabulary.encode(marks))
    return sequence.Sampling(
        temperature=desk.request.temperature or TEMPERATURE, repetition=REPETITION, free=free, top_p=0.95, min_p=0.02
    )


def _written(desk: Desk, writer: Writer, plan: _Plan, number: int) -> str:
    """One text, told row by row as it comes."""
    from danqing.compute import seed as seeds
    from danqing.techniques import sequence

    v = writer.vocabulary
    generator = seeds.generator(desk.seed, stream=100 + number)
    sampling, end = _sampling(desk, plan.language, writer), writer.end
    never = sequence.Without(len(v), writer.never)
    told = _Teller(desk, plan, number)
    desk.tools.on_step(Step(0, plan.tokens, "beginning"))
    if plan.lines:  # a poem is short: six are written to the end and the best is kept
        enough = FreeVerse(v, plan.lines) if plan.language == "zh" else _Enough(v, plan, ())
        rule = sequence.All((never, enough))
        poems = sequence.sample(writer.model, plan.prompt, rule, sampling, OPENINGS, generator, end, plan.tokens)
        best = max(poems, key=lambda one: one.likelihood + TOPIC_WORTH * _present(v.decode(one.tokens), plan.words))
        text = _trimmed(plan.given + v.decode(best.tokens), plan)
        told.finish(text)
        return text
    openings = sequence.sample(writer.model, plan.prompt, never, sampling, OPENINGS, generator, end, OPENING)
    first = max(openings, key=lambda one: one.likelihood + TOPIC_WORTH * _present(v.decode(one.tokens), plan.words))

    def watch(candidate: int, tokens: Sequence[int]) -> None:
        told.hear(v.decode([*first.tokens, *tokens]), len(tokens))

    tokens: tuple[int, ...] = first.tokens
    if not (first.finished and len(first.tokens) < OPENING):
        rest = sequence.sample(
            writer.model,
            [*plan.prompt, *first.tokens],
            sequence.All((never, _Enough(v, plan, first.tokens))),
            sampling,
            1,
            generator,
            end,
            max(1, plan.tokens - OPENING),
            watch,
        )
        tokens = (*first.tokens, *rest[0].tokens)
    text = _trimmed(plan.given + v.decode(tokens), plan)
    told.finish(text)
    return text


def _present(text: str, words: Sequence[str]) -> float:
    """Share of the words that stand in the text."""
    low = text.lower()
    return sum(word in low for word in words) / max(1, len(words))


class _Enough:
    """A constraint that allows everything and ends the text at the first sentence after its length."""

    def __init__(self, vocabulary: Any, plan: _Plan, before: Sequence[int]) -> None:
        self._v, self._plan, self._before = vocabulary, plan, list(before)
        import numpy as np

        self._all = np.ones(len(vocabulary), dtype=np.bool_)

    def start(self) -> tuple[int, ...]:
        """Nothing written yet."""
        return ()

    def allowed(self, state: tuple[int, ...]) -> Any:
        """Every token."""
        return self._all

    def advance(self, state: tuple[int, ...], token: int) -> tuple[int, ...]:
        """One more token."""
        return (*state, token)

    def finished(self, state: tuple[int, ...]) -> bool:
        """Whether it is long enough and a sentence, or a line of verse, has just ended."""
        tail = self._v.decode(state[-2:])
        if not ("\n" in tail if self._plan.lines else SENTENCE.search(tail)):
            return False
        return _long_enough(self._v.decode([*self._before, *state]), self._plan)


def _long_enough(text: str, plan: _Plan) -> bool:
    if plan.lines:
        return len([row for row in text.split("\n")[:-1] if row.strip()]) >= plan.lines
    size = len(text.split()) if plan.language == "en" else len(re.sub(r"\s", "", text))
    return size >= plan.length


def _trimmed(text: str, plan: _Plan) -> str:
    """Without a last sentence that was cut off; a script without rows that nobody speaks; verse of its lines."""
    text = re.sub(r"\n{3,}", "\n\n", text.replace("\ufffd", "")).strip()
    if plan.lines:
        rows = [row.strip() for row in text.split("\n")]
        filled = [i for i, row in enumerate(rows) if row][: plan.lines]
        return "\n".join(rows[: filled[-1] + 1]) if filled else text
    if plan.kind == "script":
        spoken = [row for row in text.split("\n") if re.match(SPEAKERS[plan.language], row)]
        text = "\n".join(spoken) or text
    ends = [match.end() for match in SENTENCE.finditer(text)]
    kept = text[: ends[-1]] if ends and ends[-1] > len(plan.given) else text
    return kept.strip()


class _Teller:
    """Passes rows on as soon as they are whole; what was told stays as it is."""

    def __init__(self, desk: Desk, plan: _Plan, number: int) -> None:
        self._desk, self._plan, self._told = desk, plan, 0
        self._number, self._script = number, desk.request.script == "traditional"

    def hear(self, text: str, done: int) -> None:
        """The text so far."""
        rows = (self._plan.given + text).split("\n")[:-1]
        if self._plan.kind == "script":
            rows = [row for row in rows if re.match(SPEAKERS[self._plan.language], row)]
        if self._plan.lines:
            rows = rows[: self._plan.lines]
        self._tell(rows, done)

    def finish(self, text: str) -> None:
        """The whole text."""
        self._tell(text.split("\n"), self._plan.tokens)
        if self._desk.request.count > 1:
            self._desk.tools.on_step(Step(self._plan.tokens, self._plan.tokens, "writing", line=""))

    def _tell(self, rows: Sequence[str], done: int) -> None:
        if not self._told and rows and (title := _title(self._desk.request.topic)):
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
