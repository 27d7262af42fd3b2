"""English poems in a form, line by line.

For every line twenty-four are written side by side, each within the form (`encode.meter`), and the one goes on that is
likeliest as a whole, and likelier after the poem than by itself. Chosen as whole poems, the least bad rhyme of twelve
was kept: "I see no trace of tame". Chosen by the line, what does not end well is left.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from danqing.arts import prose, writers
from danqing.artwork.literature import Writing
from danqing.artwork.request import Step
from danqing.encode.english import UNSTRESSED
from danqing.encode.text import Controls
from danqing.errors import DanqingError

if TYPE_CHECKING:
    from danqing.arts.writers import Desk, Writer
    from danqing.encode.meter import Meter, MeterState
    from danqing.encode.origins import Origins
    from danqing.techniques.decoding import Sample, Sampling

WAYS, TOKENS = 24, 160  # lines that are compared, of how many tokens at most
# What words that stand there already lose of their logits, but for the small ones.
REPETITION = 2.0
# Of a line, in nats a token: likelier than LIKELY is no better; what its least likely token is worth; what it is worth
# to be likelier after the poem than by itself.
LIKELY, SLIP, THREAD = -1.8, 0.15, 0.5
TOPIC_WORTH, LATELY = 0.5, 120  # a word of the topic that the last so many characters have not
STALE_COST = 1.0  # words that the poem has already, as a share of the line's
# A line that begins with the same two words as an earlier one; with the same word as the one before; as an earlier one.
ALIKE_COST, SAME_COST, OFTEN_COST = 0.4, 0.3, 0.15
COPIED_COST = 100.0


def write(desk: Desk) -> list[Writing]:
    """As many English poems of a form as were asked for: its syllables, beat and rhymes kept word by word."""
    from danqing.compute import seed as seeds
    from danqing.encode import meter

    request = desk.request
    writer = desk.writer(writers.STORY["en"])
    rule = meter.Meter(meter.form(request.kind), writer.vocabulary, (request.acrostic or "").strip())
    known, made = writers.origins(desk.catalog), []
    for number in range(request.count):
        title = prose.titled(request.topic)
        poem = _Poem(desk, writer, rule, prose.keywords(desk, writer, "en"), title)
        desk.tools.on_step(Step(0, len(rule.form.lines), "beginning"))
        for row in [title, ""] if title else []:
            poem.tell(row)
        poem.write(seeds.generator(desk.seed, stream=100 + number), known)
        if request.count > 1:
            poem.tell("")
        made.append(Writing(tuple(poem.text.strip().split("\n")), title, form=request.kind, language="en"))
    if len({writing.lines for writing in made}) < request.count:
        raise DanqingError("two of the poems came out the same; raise --temperature or ask for fewer")
    return made


class _Poem:
    """One poem while it is written."""

    def __init__(self, desk: Desk, writer: Writer, rule: Meter, words: tuple[str, ...], title: str) -> None:
        self.desk, self.writer, self.rule, self.words = desk, writer, rule, words
        lead = f"{title}\n" if title else ""
        self.before = writer.before(Controls("verse", start="opening", topics=words), lead)
        self.bare = writer.before(Controls("verse"))
        self.tokens: list[int] = []
        self.text = ""
        self.state = rule.start()

    def write(self, generator: Any, known: Origins | None) -> None:
        """Line after line. Raises DanqingError where none comes to its end."""
        from danqing.techniques import decoding

        v, sampling = self.writer.vocabulary, self._sampling()

        def whole(state: MeterState, token: int) -> bool:
            return state.line > self.state.line

        while not self.rule.finished(self.state):
            found = decoding.sample(
                self.writer.model,
                [*self.before, *self.tokens],
                decoding.Until(self.rule, self.state, whole),
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
        done = min(self.state.line, len(self.rule.form.lines))
        self.desk.tools.on_step(Step(done, len(self.rule.form.lines), "writing", line=row))

    def _sampling(self) -> Sampling:
        plain = prose.sampling(self.desk, "en", self.writer)
        small = frozenset(self.writer.vocabulary.encode(" " + " ".join(sorted(UNSTRESSED))))
        return replace(plain, repetition=REPETITION, free=plain.free | small)

    def _worth(self, way: Sample, alone: float, known: Origins | None) -> float:
        """How good a line is after those that stand."""
        line = self.writer.vocabulary.decode(way.tokens).strip()
        worth: float = min(way.likelihood, LIKELY) + SLIP * min(way.log_likelihood) + THREAD * (way.likelihood - alone)
        lately = self.text.lower()[-LATELY:]
        worth += TOPIC_WORTH * any(word in line.lower() and word not in lately for word in self.words)
        own, said = _said(line), set(_said(self.text))
        worth -= STALE_COST * (sum(word in said for word in own) + len(own) - len(set(own))) / max(1, len(own))
        rows = [row.lower().split() for row in self.text.split("\n") if row.strip()]
        first = line.lower().split()
        worth -= ALIKE_COST * sum(row[:2] == first[:2] for row in rows)
        worth -= SAME_COST * (rows[-1:] != [] and rows[-1][0] == first[0])
        worth -= OFTEN_COST * sum(row[0] == first[0] for row in rows)
        return worth - COPIED_COST * (known is not None and known.has_verse(line))


def _said(text: str) -> list[str]:
    """The words, the small ones aside."""
    words: Sequence[str] = re.findall(r"[a-z']+", text.lower())
    return [word for word in words if word not in UNSTRESSED and word != "i"]
