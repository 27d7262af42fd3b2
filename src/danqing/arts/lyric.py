"""English poems in a form, and free verse in both languages, line by line.

For every line twenty-four are written side by side, each within the form (`encode.meter`), and the one goes on that is
likely enough, has no forced word, and is likelier after the poem than by itself. Chosen as whole poems, the least bad
rhyme of twelve was kept: "I see no trace of tame". Chosen by the line, what does not end well is left.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from danqing.arts import prose, writers
from danqing.artwork.literature import Writing
from danqing.artwork.request import Step
from danqing.encode.english import UNSTRESSED
from danqing.encode.text import Controls
from danqing.errors import DanqingError

if TYPE_CHECKING:
    from danqing.arts.writers import Desk, Writer
    from danqing.encode.origins import Origins
    from danqing.techniques.decoding import Sample, Sampling

WAYS, TOKENS = 24, 160  # lines that are compared, of how many tokens at most
LINES = 10  # of free verse, where nothing was said
REPETITION = {"en": 2.0, "zh": 1.0}  # what tokens that stand already lose of their logits, but for the small words
# Of a line, in nats a token: the nearer to TYPICAL the better; what its least likely token is worth, and that it is
# likelier after the poem than by itself.
TYPICAL, SLIP, THREAD = {"en": -1.8, "zh": -3.2}, 0.15, 0.5
SHORT, SHORT_COST = {"en": 3, "zh": 5}, 0.5  # words or characters of a line; what fewer cost
TOPIC_WORTH, LATELY = 0.5, {"en": 120, "zh": 40}  # a word of the topic that the last so many characters have not
STALE_COST = 1.0  # words that the poem has already, as a share of the line's
# A line that begins with the same two words as an earlier one; with the same word as the one before; as an earlier one.
ALIKE_COST, SAME_COST, OFTEN_COST = 0.4, 0.3, 0.15
COPIED_COST = 100.0


def write(desk: Desk) -> list[Writing]:
    """As many poems as were asked for: in an English form, syllables, beat and rhymes kept word by word; or free."""
    from danqing.compute import seed as seeds

    request = desk.request
    known, made = writers.origins(desk.catalog), []
    for number in range(request.count):
        poem = _poem(desk)
        desk.tools.on_step(Step(0, poem.lines, "beginning"))
        title = prose.titled(request.topic)
        for row in [*([title, ""] if title else []), *poem.given]:
            poem.tell(row)
        poem.write(seeds.generator(desk.seed, stream=100 + number), known)
        if request.count > 1:
            poem.tell("")
        rows = (*poem.given, *poem.text.strip().split("\n"))
        writing = Writing(rows, title, form=request.kind or "verse", language=request.tongue)
        made.append(writers.in_script(writing, request.script))
    if len({writing.lines for writing in made}) < request.count:
        raise DanqingError("two of the poems came out the same; raise --temperature or ask for fewer")
    return made


def _poem(desk: Desk) -> _Poem:
    """A poem before its first line. Raises BadRequest for what cannot be met."""
    from danqing.encode import meter
    from danqing.encode.forms import FreeVerse

    request, language = desk.request, desk.request.tongue
    writer = desk.writer(writers.STORY[language])
    if request.kind not in ("", "verse"):
        form = meter.form(request.kind)
        rule: Any = meter.Meter(form, writer.vocabulary, (request.acrostic or "").strip())
        return _Poem(desk, writer, rule, len(form.lines), ())
    given = tuple(filter(None, prose.start(desk, writer, "verse").split("\n")))
    lines = max(1, (request.length or LINES) - len(given))
    if language == "zh":
        return _Poem(desk, writer, FreeVerse(writer.vocabulary, lines), lines, given)
    return _Poem(desk, writer, meter.FreeLines(writer.vocabulary, lines, writer.never | {writer.end}), lines, given)


@dataclass
class _Poem:
    """One poem while it is written."""

    desk: Desk
    writer: Writer
    rule: Any  # a constraint whose state has a `line`
    lines: int  # that are to be written
    given: tuple[str, ...]  # the lines that the person gave, which come first

    def __post_init__(self) -> None:
        self.language = self.desk.request.tongue
        self.words = prose.keywords(self.desk, self.writer, self.language)
        title = prose.titled(self.desk.request.topic)
        controls = Controls("verse", start="" if self.given else "opening", topics=self.words)
        begun = "".join(f"{row}\n" for row in self.given)
        self.before = self.writer.before(controls, f"{title}\n" if title and not begun else "")
        self.before += self.writer.vocabulary.encode(begun)
        self.bare = self.writer.before(Controls("verse"))
        self.tokens: list[int] = []
        self.text = ""
        self.state = self.rule.start()

    def write(self, generator: Any, known: Origins | None) -> None:
        """Line after line. Raises DanqingError where none comes to its end."""
        from danqing.techniques import decoding

        v, sampling = self.writer.vocabulary, self._sampling()
        while not self.rule.finished(self.state):
            rule = decoding.Until(self.rule, self.state, lambda state, token: state.line > self.state.line)
            found = decoding.sample(
                self.writer.model,
                [*self.before, *self.tokens],
                rule,
                sampling,
                WAYS,
                generator,
                self.writer.end,
                TOKENS,
            )
            ways = [way for way in found if way.finished]
            if not ways:
                raise DanqingError("no line came to its end; ask for another topic, or another --seed")
            alone = [way.likelihood for way in ways]
            if not self.writer.guest:
                alone = decoding.likelihoods(self.writer.model, self.bare, [way.tokens for way in ways])
            worths = [self._worth(way, single, known) for way, single in zip(ways, alone, strict=True)]
            best = ways[max(range(len(ways)), key=worths.__getitem__)]
            for token in best.tokens:
                self.state = self.rule.advance(self.state, token)
            self.tokens += best.tokens
            line = v.decode(best.tokens)
            self.text += line
            for row in (line.strip(), "") if line.endswith("\n\n") else (line.strip(),):
                self.tell(row)

    def tell(self, row: str) -> None:
        """Pass a row on."""
        from danqing.encode.script import to_traditional

        shown = to_traditional(row) if self.desk.request.script == "traditional" and self.language == "zh" else row
        self.desk.tools.on_step(Step(min(self.state.line, self.lines), self.lines, "writing", line=shown))

    def _sampling(self) -> Sampling:
        plain = prose.sampling(self.desk, self.language, self.writer)
        small = self.writer.vocabulary.encode(" " + " ".join(sorted(UNSTRESSED))) if self.language == "en" else ()
        return replace(plain, repetition=REPETITION[self.language], free=plain.free | frozenset(small))

    def _worth(self, way: Sample, alone: float, known: Origins | None) -> float:
        """How good a line is after those that stand."""
        line, text = self.writer.vocabulary.decode(way.tokens).strip(), "\n".join((*self.given, self.text))
        worth = SLIP * min(way.log_likelihood) - abs(way.likelihood - TYPICAL[self.language])
        worth += THREAD * (way.likelihood - alone)
        lately = text.lower()[-LATELY[self.language] :]
        worth += TOPIC_WORTH * any(word in line.lower() and word not in lately for word in self.words)
        own, said = self._said(line), set(self._said(text))
        worth -= STALE_COST * (sum(word in said for word in own) + len(own) - len(set(own))) / max(1, len(own))
        rows = [self._split(row) for row in text.split("\n") if row.strip()]
        first = self._split(line)
        worth -= SHORT_COST * (len(first) < SHORT[self.language])
        worth -= ALIKE_COST * sum(row[:2] == first[:2] for row in rows)
        worth -= SAME_COST * (rows[-1:] != [] and rows[-1][0] == first[0])
        worth -= OFTEN_COST * sum(row[0] == first[0] for row in rows)
        return worth - COPIED_COST * (known is not None and known.has_verse(line))

    def _split(self, row: str) -> list[str]:
        """The words of a row; in Chinese, its characters."""
        return row.lower().split() if self.language == "en" else list(row)

    def _said(self, text: str) -> list[str]:
        """What a text says: its words, the small ones aside; in Chinese, pairs of characters."""
        if self.language == "zh":
            return prose.content(text, "zh")
        return [word for word in re.findall(r"[a-z']+", text.lower()) if word not in UNSTRESSED and word != "i"]
