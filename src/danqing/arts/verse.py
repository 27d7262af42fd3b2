"""Chinese poems: written couplet by couplet under their form's rules, each the best of several; and revised.

The form is a constraint on the characters that may come next (`encode.forms`). What comes out is judged by the rules of
`appraisal.forms`, which share no code with that, and compared with the poems that the model learned from: a poem with a
whole line of theirs, or with eight of their characters in a row, is thrown away unless the person gave it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from danqing.appraisal import forms as rules
from danqing.appraisal import imagery
from danqing.appraisal.forms import Form
from danqing.appraisal.literature import GRAM, SHORTEST
from danqing.arts import writers
from danqing.arts.write import LINES
from danqing.artwork.literature import Writing, is_han
from danqing.artwork.request import Step
from danqing.encode.prosody import BOOKS, Prosody
from danqing.encode.script import to_traditional
from danqing.encode.text import END, TEXT, TITLE, Controls, prompt
from danqing.errors import BadRequest, DanqingError, InvalidMedia, UnknownName
from danqing.training.verse import MASK, THEMES

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from danqing.arts.writers import Desk, Writer
    from danqing.encode.origins import Origins
    from danqing.techniques.decoding import Constraint, Sampling

CANDIDATES = 8  # couplets, sentences of a 词, titles, revisions written side by side; one of them goes on
ROOM = 100  # tokens of one, at most; its form ends it long before
ROUNDS = 8  # poems that are tried, at most, before we say that it cannot be done
TEMPERATURE, MIN_P = 1.0, 0.02  # what the model itself thinks, but for its slips
REVISIONS = 12  # batches of proposals for the lines of a revised poem, a half of them by each of the two models
LONGEST_TITLE = 8  # characters
SAME = 0.4  # share of two poems' pairs of neighbours, from which on they are one poem twice
# What a candidate's mean log-likelihood is worth against what we want of it besides (nats a character): the nearer to
# TYPICAL the better (after Meister et al. 2023), since the likeliest poems are made of what everybody wrote.
TYPICAL = -2.8
TOPIC_WORTH, REPEAT_COST, PARALLEL_WORTH = 0.35, 0.08, 0.03
COPIED_COST = 100.0
THREAD = 0.5  # what it is worth, in nats a token, that a couplet is likelier after the poem than by itself


@dataclass(frozen=True)
class _Plan:
    """A poem before it is written."""

    form: str  # 七绝, 词:浣溪沙, …
    controls: Controls
    constraint: Constraint  # the form
    strict: Constraint  # and no known line or run: it asks about every character, which takes as long as the model
    sounds: Prosody
    topics: tuple[str, ...]
    given: str  # the words that the person gave for the text itself
    origins: Origins | None
    temperature: float


@dataclass(frozen=True)
class _Candidate:
    """A poem that was written and found good."""

    text: str  # with its punctuation
    own: tuple[str, ...]  # its lines, without those that the person gave
    score: float


def write(desk: Desk) -> list[Writing]:
    """As many poems as were asked for, no two alike. Raises BadRequest for what cannot be met."""
    request = desk.request
    writer = _writer(desk)
    plan = _plan(desk, writer)
    title = _title(desk, writer, plan)
    found = _candidates(desk, writer, plan, title)
    chosen = _distinct(found, request.count)
    if len(chosen) < request.count:
        raise DanqingError(
            f"{len(chosen)} of {request.count} poems came out that keep the form and copy nothing; loosen --start, "
            "--acrostic or --rhyme, raise --temperature, or ask for fewer"
        )
    made = []
    for candidate in chosen:
        writing = Writing(_rows(candidate.text, plan.form), title, form=plan.form, language="zh")
        made.append(writers.in_script(writing, request.script))
        tell(desk, made[-1], several=request.count > 1)
    return made


def tell(desk: Desk, writing: Writing, *, several: bool = False) -> None:
    """Pass a finished text on, row by row."""
    head = [writing.title, ""] if writing.title else []
    rows = [*head, *writing.lines, *([""] if several else [])]
    for number, row in enumerate(rows):
        desk.tools.on_step(Step(number + 1, len(rows), "writing", line=row))


# --- what is written --------------------------------------------------------------------------------------------------


def _writer(desk: Desk) -> Writer:
    name = desk.request.model
    return desk.writer({"lstm": writers.LSTM}.get(name, writers.POET))


def _plan(desk: Desk, writer: Writer) -> _Plan:
    """Put the request into controls and a constraint; raises BadRequest for what contradicts itself."""
    from danqing.encode import forms
    from danqing.encode.origins import NoCopies
    from danqing.techniques import decoding

    request = desk.request
    kind = request.kind or "七绝"
    tune = writers.known_tune(desk.words(request.tune)) if kind == "词" else ""
    book, group = _rhyme(request.rhyme)
    sounds = Prosody.load(book=book)
    start, acrostic = desk.words(request.start), desk.words(request.acrostic)
    for flag, text in (("start", start), ("acrostic", acrostic)):
        writers.check_known(writer, flag, "".join(rules.verses(text)))
    topics = writers.topics(desk, writer)
    group = sounds.group(group) if group else ""
    controls = Controls(
        kind,
        dynasty=_dynasty(request.dynasty),
        poet=desk.words(request.poet),
        tune=tune if writer.vocabulary.has(f"<tune:{tune}>") else "",
        rhyme=group if writer.vocabulary.has(f"<rhyme:{group}>") else "",
        topics=topics,
    )
    _check_poet(controls.poet, writer)
    given: dict[str, Any] = {"upper": start} if kind == "对联" else {"opening": start}
    if request.length:
        given["lines"] = request.length
    constraint = forms.constraint(
        kind, writer.vocabulary, sounds, rhyme=group or None, acrostic=acrostic, tune=tune or None, **given
    )
    for remark in constraint.notes:
        desk.note(remark)
    known = writers.origins(desk.catalog)
    rule: Constraint = constraint
    if known is not None and not writer.guest:
        rule = decoding.All((constraint, NoCopies(writer.vocabulary, known, rules.verses(start))))
    form = f"词:{tune}" if tune else kind
    temperature = request.temperature or TEMPERATURE
    return _Plan(form, controls, constraint, rule, sounds, topics, start, known, temperature)


def _rhyme(text: str) -> tuple[str, str]:
    """The book and the group of --rhyme: "modern", "东", "modern:东"."""
    book, _, group = text.strip().partition(":") if ":" in text else ("", "", text.strip())
    if group in BOOKS:
        return group, ""
    return book or BOOKS[0], group


def _dynasty(name: str) -> str:
    if not name:
        return ""
    known = writers.DYNASTIES.get(name.casefold())
    if known is None:
        raise BadRequest(f"--dynasty is {name!r}; the poems that were learned from are of 唐 (tang) and 宋 (song)")
    return known


def _check_poet(name: str, writer: Writer) -> None:
    specials = [] if writer.guest else [special.strip("<>") for special in writer.vocabulary.specials]
    known = [special.removeprefix("poet:") for special in specials if special.startswith("poet:")]
    if name and name not in known and not writer.guest:
        raise UnknownName("poet", name, known, see=f"the poets that can be followed: {' '.join(known)}")


def _sampling(plan: _Plan) -> Sampling:
    from danqing.techniques import decoding

    return decoding.Sampling(temperature=plan.temperature, min_p=MIN_P)


def _title(desk: Desk, writer: Writer, plan: _Plan) -> str:
    """A title: what was asked about, or one of the model's own where nothing was."""
    words = desk.words(desk.request.topic)
    name = plan.form.partition(":")[2]
    if plan.form == "对联":
        return ""
    if words and all(map(is_han, words)) and len(words) <= LONGEST_TITLE:
        own = words
    else:
        own = "".join(plan.topics)[:LONGEST_TITLE] or _invented(desk, writer, plan)
    return f"{name}·{own}" if name and own else name or own


def _invented(desk: Desk, writer: Writer, plan: _Plan) -> str:
    """The title that the model would give: the shortest of several."""
    from danqing.compute import seed as seeds
    from danqing.techniques import decoding

    if writer.guest:
        return ""
    before = [*prompt(writer.vocabulary, plan.controls)[:-1], writer.vocabulary.id(TITLE)]
    samples = decoding.sample(
        writer.model,
        before,
        None,
        _sampling(plan),
        CANDIDATES,
        seeds.generator(desk.seed, stream=2),
        end=writer.vocabulary.id(TEXT),
        limit=LONGEST_TITLE + 1,
    )
    titles = [writer.vocabulary.decode(sample.tokens) for sample in samples]
    fine = [t for t in titles if 2 <= len(t) < LONGEST_TITLE and all(map(is_han, t))]
    return fine[0] if fine else "无题"


def _candidates(desk: Desk, writer: Writer, plan: _Plan, title: str) -> list[_Candidate]:
    """Poems that keep the form and copy nothing, as many tries as it takes."""
    from danqing.compute import seed as seeds
    from danqing.techniques import decoding

    count = desk.request.count
    generator: torch.Generator = seeds.generator(desk.seed, stream=1)
    own = title.partition("·")[2] if ":" in plan.form else title
    controls = replace(plan.controls, title=own) if own and not writer.vocabulary.unknown_in(own) else plan.controls
    before = writer.before(controls, f"{own}。" if own else "")
    bare = writer.before(replace(plan.controls, topics=(), title=""))
    found: list[_Candidate] = []
    stuck: DanqingError | None = None
    for number in range(ROUNDS + count):
        desk.tools.on_step(Step(number, ROUNDS + count, "writing"))
        try:
            # Few copy, and those are thrown away: first without asking about every character.
            rule = plan.strict if number else plan.constraint
            tokens = _grown(writer, plan, rule, (before, bare), generator)
        except decoding.DeadEnd as error:
            stuck = error
            continue
        found += [one] if (one := _judged(writer, plan, tokens)) is not None else []
        enough = [one for one in found if all(_about(one.text, topic) for topic in plan.topics)]
        if len(_distinct(enough, count)) == count:
            break
    if stuck and not found:
        raise stuck
    return found


def _grown(
    writer: Writer, plan: _Plan, rule: Constraint, leads: tuple[list[int], list[int]], generator: torch.Generator
) -> list[int]:
    """The tokens of a poem that grew by couplets, or by the sentences of a 词: of several ways to go on, the best one.

    leads: what the poem follows, and what a couplet follows that is read by itself. Raises DeadEnd.
    """
    from danqing.encode.forms import characters
    from danqing.techniques import decoding

    (before, bare), v, tokens = leads, writer.vocabulary, list[int]()
    state, stop = rule.start(), characters(v).get("。", -1)
    while not rule.finished(state):
        only = np.flatnonzero(rule.allowed(state))
        if len(only) == 1:  # what the person gave
            tokens.append(int(only[0]))
            state = rule.advance(state, tokens[-1])
            continue
        part = decoding.Until(rule, state, lambda _, token: token == stop)
        read = [*before, *tokens]
        ways = decoding.sample(
            writer.model, read, part, _sampling(plan), CANDIDATES, generator, end=writer.end, limit=ROOM
        )
        text = v.decode(tokens)
        worths = [
            _worth(plan, text, v.decode(way.tokens), way.likelihood) + THREAD * gain
            for way, gain in zip(ways, writer.gains(bare, ways), strict=True)
        ]
        best = ways[max(range(len(ways)), key=worths.__getitem__)]
        for token in best.tokens:
            state = rule.advance(state, token)
        tokens += best.tokens
        if not best.tokens or not best.finished:
            break
    return tokens


def _worth(plan: _Plan, text: str, more: str, likelihood: float) -> float:
    """What it is worth to go on from a text with some more of it: typical, on topics not yet named, nothing twice."""
    lines = rules.verses(text + more)
    missing = [topic for topic in plan.topics if _about(text, topic) < 1]
    about = sum(_about(more, topic) for topic in missing) / max(1, len(plan.topics))
    worth = -abs(likelihood - TYPICAL) + TOPIC_WORTH * about - REPEAT_COST * repeats(lines)
    worth += PARALLEL_WORTH * _parallel(plan.form, lines)
    return worth - COPIED_COST * copied(lines, plan.origins, plan.given)


def _judged(writer: Writer, plan: _Plan, tokens: Sequence[int]) -> _Candidate | None:
    """The poem as a candidate; None where it breaks its form or copies."""
    text = writer.vocabulary.decode(tokens)
    form = rules.judge(text, plan.sounds, form=plan.form, tunes=writers.tunes())
    if not form.lines or not _kept(form, plan.given) or copied(form.lines, plan.origins, plan.given):
        return None
    about = sum(_about(text, topic) for topic in plan.topics) / max(1, len(plan.topics))
    own = tuple(line for line in form.lines if line not in plan.given)
    return _Candidate(text, own, TOPIC_WORTH * about - REPEAT_COST * repeats(form.lines))


def _kept(form: Form, given: str) -> bool:
    """Whether no rule is broken but by what the person gave, which stays as it is."""
    left, own = len("".join(rules.verses(given))), 0
    for line in form.lines:
        own += left > 0
        left -= len(line)
    between = ("opposition", "agreement", "mirror")
    return all(
        0 < finding.line <= own or (finding.line == own + 1 and own and finding.rule in between)
        for finding in form.broken
    )


def copied(lines: Sequence[str], origins: Origins | None, given: str = "") -> bool:
    """Whether a line of the collection or GRAM of its characters in a row stand there, not given by the person."""
    if origins is None:
        return False
    own = "".join(rules.verses(given))
    text = "".join(lines)
    grams = [text[i : i + GRAM] for i in range(len(text) - GRAM + 1)]
    if any(len(line) >= SHORTEST and line not in own and origins.has_line(line) for line in lines):
        return True
    return any(gram not in own and origins.has_gram(gram) for gram in grams)


def repeats(lines: Sequence[str]) -> int:
    """How many characters stand a second time, doubled words aside."""
    text = re.sub(r"(.)\1", r"\1", "".join(lines))
    return sum(count - 1 for count in Counter(text).values())


def _about(text: str, topic: str) -> float:
    """1 where the topic stands in the text, another word for it or one that goes with a theme; half for a character."""
    cues = (*THEMES[topic][1],) if topic in THEMES else (topic,)
    if any(word in text for word in (*cues, *imagery.neighbours(topic, "zh"))):
        return 1.0
    return 0.5 if any(char in text for char in topic) else 0.0


def _parallel(form: str, lines: Sequence[str]) -> int:
    """How many places of the last two lines are known to match, where they should: a 对联, a middle couplet."""
    middle = LINES.get(form, 0) == 8 and len(lines) in (4, 6)
    return imagery.parallel(lines[-2], lines[-1])[0] if middle or (form == "对联" and len(lines) == 2) else 0


def _distinct(found: Sequence[_Candidate], count: int) -> list[_Candidate]:
    """The best that share no line and few pairs of neighbouring characters."""
    chosen: list[_Candidate] = []
    for candidate in sorted(found, key=lambda one: -one.score):
        if len(chosen) == count:
            break
        if all(_alike(candidate.own, other.own) < SAME for other in chosen):
            chosen.append(candidate)
    return chosen


def _alike(lines: Sequence[str], others: Sequence[str]) -> float:
    """Share of pairs of neighbouring characters that two poems have in common."""
    one, other = ({line[i : i + 2] for line in part for i in range(len(line) - 1)} for part in (lines, others))
    return len(one & other) / max(1, min(len(one), len(other)))


def _rows(text: str, form: str) -> tuple[str, ...]:
    """The text as rows of a page: a sentence to a row; the two lines of a 对联 without their marks."""
    if form == "对联":
        return rules.verses(text)
    return tuple(part for part in re.split(r"(?<=[。！？])", text) if part)


# --- revising ---------------------------------------------------------------------------------------------------------


def revise(desk: Desk) -> list[Writing]:
    """The poem in the file with the named lines written anew, its form kept and all else as it was."""
    from danqing.artwork.literature import read

    request = desk.request
    assert request.revise is not None
    original = read(request.revise)
    if original.language != "zh":
        raise BadRequest(f"{request.revise} is English; --revise works on Chinese poems")
    plain = writers.simplified(original)
    book, _ = _rhyme(request.rhyme)
    sounds = Prosody.load(book=book)
    wanted = writers.known_form(request.form) if request.form else ""
    form = rules.judge(plain.text, sounds, form=wanted, title=plain.title, tunes=writers.tunes())
    numbers = _named_lines(desk, form)
    made = []
    for lines in _revised(desk, sounds, form, plain.title, numbers):
        text = _with_lines(original, plain, numbers, lines, request.script)
        made.append(text)
        tell(desk, text, several=request.count > 1)
    return made


def _named_lines(desk: Desk, form: Form) -> list[int]:
    """Which lines are written anew, counted from 0: those named, or those that break a rule."""
    request, count = desk.request, len(form.lines)
    if not count or max(map(len, form.lines)) > 30 or count > 60:
        raise InvalidMedia(f"{request.revise} is no poem; --revise takes one of up to 60 lines of up to 30 characters")
    beyond = [number for number in request.lines if number > count]
    if beyond:
        raise BadRequest(
            f"--lines names line {beyond[0]} and {request.revise} has {count}; lines end at ，。 and the like"
        )
    if request.lines:
        return sorted({number - 1 for number in request.lines})
    broken = sorted({finding.line - 1 for finding in form.broken if finding.line})
    if not broken:
        raise BadRequest(f"{request.revise} breaks no rule of {form.name}; say which lines to write anew: --lines 2,4")
    desk.note(f"lines that broke a rule were written anew: {', '.join(str(n + 1) for n in broken)}")
    return broken


def _revised(desk: Desk, sounds: Prosody, form: Form, title: str, numbers: Sequence[int]) -> list[list[str]]:
    """All lines of the poem, those with these numbers written anew: as many ways as were asked for, the best first.

    The reviser, which sees both sides of a gap, and the poet, which knows more, propose lines; the poet then judges the
    whole poem with each of them in it.
    """
    from danqing.compute import seed as seeds
    from danqing.techniques import decoding

    count, generator = desk.request.count, seeds.generator(desk.seed, stream=1)
    poet = _Sheet(desk, desk.writer(writers.POET), sounds, form, title, numbers)
    reviser = _Sheet(desk, desk.writer(writers.REVISER), sounds, form, "", numbers)
    kept = "".join(line for n, line in enumerate(form.lines) if n not in numbers)
    if strange := poet.writer.vocabulary.unknown_in(kept):
        desk.note(f"the poet has never seen {' '.join(strange)}; the new lines were written around it")
    sampling = decoding.Sampling(temperature=desk.request.temperature or TEMPERATURE, min_p=MIN_P)
    origins = writers.origins(desk.catalog)
    found: dict[tuple[str, ...], float] = {}
    for number in range(REVISIONS * (1 + count // 4)):
        desk.tools.on_step(Step(number, REVISIONS * (1 + count // 4), "writing"))
        try:
            proposals = poet.written(sampling, generator) if number % 2 else reviser.filled(sampling, generator)
        except decoding.DeadEnd:
            continue
        for lines in proposals:
            if lines not in found and _fits(list(lines), form, sounds, numbers, origins):
                found[lines] = poet.likelihood(lines)
    if len(found) < count:
        which = ", ".join(str(n + 1) for n in numbers)
        raise DanqingError(
            f"{len(found)} of {count} ways were found to write lines {which} anew that keep {form.name}; name more "
            "lines, raise --temperature or ask for fewer"
        )
    return [list(lines) for lines in sorted(found, key=lambda lines: -found[lines])[:count]]


class _Sheet:
    """A poem with gaps as one model's tokens."""

    def __init__(
        self, desk: Desk, writer: Writer, sounds: Prosody, form: Form, title: str, numbers: Sequence[int]
    ) -> None:
        self.writer, self._form = writer, form
        v, kind = writer.vocabulary, form.name.partition(":")[0]
        known = title if title and not v.unknown_in(title) else ""
        controls = Controls(kind if v.has(f"<{kind}>") else "古诗", topics=writers.topics(desk, writer), title=known)
        self._before = prompt(v, controls)
        lengths = [len(line) + 1 for line in form.lines]
        self._starts = [len(self._before) + sum(lengths[:n]) for n in range(len(form.lines))]
        self._tokens = self._with(form.lines)
        self._holes = {self._starts[n] + i: (n, i) for n in numbers for i in range(len(form.lines[n]))}
        self._allowed = _Holes(v, sounds, form, self._holes)

    def _with(self, lines: Sequence[str]) -> list[int]:
        v = self.writer.vocabulary
        return [*self._before, *v.encode(writers.punctuated(lines)), v.id(END)]

    def _lines(self, tokens: Sequence[int]) -> tuple[str, ...]:
        v, named = self.writer.vocabulary, {n for n, _ in self._holes.values()}
        parts = [tokens[start : start + len(line)] for start, line in zip(self._starts, self._form.lines, strict=True)]
        return tuple(
            v.decode(p) if n in named else line for n, (p, line) in enumerate(zip(parts, self._form.lines, strict=True))
        )

    def filled(self, sampling: Sampling, generator: torch.Generator) -> list[tuple[str, ...]]:
        """A proposal by a masked model. Raises DeadEnd."""
        from danqing.techniques import decoding

        mask = self.writer.vocabulary.id(MASK)
        holes = list(self._holes)
        filled = decoding.fill(self.writer.model, self._tokens, holes, mask, sampling, generator, self._allowed)
        return [self._lines(filled.tokens)]

    def written(self, sampling: Sampling, generator: torch.Generator) -> list[tuple[str, ...]]:
        """Proposals by a model that reads from left to right. Raises DeadEnd."""
        from danqing.techniques import decoding

        first, last = min(self._holes), max(self._holes)
        mask = self.writer.vocabulary.id(MASK)
        text = [mask if i in self._holes else token for i, token in enumerate(self._tokens)]
        rule = _Gaps(text, first, self._holes, self._allowed)
        samples = decoding.sample(
            self.writer.model, text[:first], rule, sampling, CANDIDATES, generator, self.writer.end, last + 1 - first
        )
        return [self._lines([*text[:first], *one.tokens, *text[last + 1 :]]) for one in samples]

    def likelihood(self, lines: Sequence[str]) -> float:
        """Mean log-likelihood of a token of the whole poem, in nats."""
        from danqing.techniques import decoding

        own = self._with(lines)[len(self._before) :]
        return decoding.likelihoods(self.writer.model, self._before, [own])[0]


@dataclass(frozen=True)
class _Gaps:
    """A constraint: gaps are filled with what is allowed there, between them stands what stood."""

    text: list[int]  # the whole poem, masked in its gaps
    first: int  # where writing begins
    holes: dict[int, tuple[int, int]]
    there: _Holes

    def start(self) -> tuple[int, ...]:
        """Nothing written yet."""
        return ()

    def allowed(self, state: tuple[int, ...]) -> NDArray[np.bool_]:
        """What may come next: (V,) bool."""
        place = self.first + len(state)
        if place in self.holes:
            return self.there([*self.text[: self.first], *state, *self.text[place:]], place)
        mask = np.zeros(self.there.size, np.bool_)
        mask[self.text[place]] = True
        return mask

    def advance(self, state: tuple[int, ...], token: int) -> tuple[int, ...]:
        """One more token."""
        return (*state, token)

    def finished(self, state: tuple[int, ...]) -> bool:
        """Whether the last gap is filled."""
        return self.first + len(state) > max(self.holes)


def _fits(lines: list[str], form: Form, sounds: Prosody, numbers: Sequence[int], origins: Origins | None) -> bool:
    """Whether every named line is new, of its length and without fault, and nothing else is worse than it was."""
    new = [lines[n] for n in numbers]
    if any(line == form.lines[n] or len(line) != len(form.lines[n]) for line, n in zip(new, numbers, strict=True)):
        return False
    judged = rules.judge("\n".join(lines), sounds, form=form.name, tunes=writers.tunes())
    before = {(f.rule, f.line) for f in form.broken}
    after = {(f.rule, f.line) for f in judged.broken}
    if any(line - 1 in numbers for _, line in after if line) or not after <= before:
        return False
    return not copied(lines, origins, "".join(line for n, line in enumerate(form.lines) if n not in numbers))


class _Holes:
    """What may stand in the gaps of a poem: characters of the tone and the rhyme that its form asks for there."""

    def __init__(self, vocabulary: Any, sounds: Prosody, form: Form, holes: dict[int, tuple[int, int]]) -> None:
        self._form, self._holes, self.size = form, holes, len(vocabulary)
        chars = [vocabulary.token(i) for i in range(len(vocabulary))]
        self._known = np.array([is_han(char) for char in chars])
        self._tones = {t: np.array([sounds.usual_tone(c) in (t, "both") for c in chars]) for t in ("平", "仄")}
        ask = sounds.usual_ci_rhymes if form.name.startswith("词") else sounds.usual_rhymes
        self._rhymes = {g: np.array([is_han(c) and g in ask(c) for c in chars]) for g in set(form.rhymes) if g}
        self._group = next(iter(Counter(g for g in form.rhymes if g)), "")
        self._single = form.name in LINES or form.name == "对联"

    def __call__(self, text: Sequence[int], hole: int) -> NDArray[np.bool_]:
        """(V,) bool; text: the tokens as they stand, hole: the position asked about."""
        line, place = self._holes[hole]
        form, last = self._form, place == len(self._form.lines[line]) - 1
        mask = self._known.copy()
        tone = form.pattern[line][place] if form.pattern and place < len(form.pattern[line]) else "中"
        if tone in self._tones:
            mask &= self._tones[tone]
        rhyme = form.rhymes[line] if line < len(form.rhymes) else ""
        if last and not rhyme and tone == "平" and line % 2 and form.name in LINES:
            rhyme = self._group  # the line that is written anew had lost its rhyme
        if last and rhyme:
            mask &= self._rhymes[rhyme]
        if self._single:
            mask[list(text)] = False
        return mask


def _with_lines(
    original: Writing, plain: Writing, numbers: Sequence[int], lines: Sequence[str], script: str
) -> Writing:
    """The original text with these of its verse lines replaced; titles, marks and all other lines stay."""
    import dataclasses

    traditional = original.lines != plain.lines or script == "traditional"
    text, spans = original.text, list(re.finditer(r"[^\W\d_a-zA-Z]+", original.text))
    spans = [span for span in spans if rules.verses(span[0])]
    for number in reversed(numbers):
        start, end = spans[number].span()
        new = to_traditional(lines[number]) if traditional else lines[number]
        text = text[:start] + new + text[end:]
    changed = dataclasses.replace(original, lines=tuple(text.split("\n")))
    return writers.in_script(changed, script)
