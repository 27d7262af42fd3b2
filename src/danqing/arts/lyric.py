"""English poems in a form, and free verse in both languages, line by line.

For every line twenty-four are written side by side, each within the form (`encode.meter`), and the one goes on that is
likely enough, has no forced word, and is likelier after the poem than by itself. Chosen as whole poems, the least bad
rhyme of twelve was kept: "I see no trace of tame". Chosen by the line, what does not end well is left.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from danqing.appraisal.literature import SHORTEST
from danqing.arts import prose, writers
from danqing.arts.write import ENGLISH
from danqing.artwork.literature import Writing
from danqing.artwork.request import Step
from danqing.encode import meter
from danqing.encode.english import UNSTRESSED
from danqing.encode.forms import FreeVerse
from danqing.encode.script import to_traditional
from danqing.encode.text import Controls
from danqing.errors import DanqingError

if TYPE_CHECKING:
    from danqing.arts.writers import Desk, Writer
    from danqing.encode.origins import Origins
    from danqing.techniques.decoding import Sample

WAYS, TOKENS = 24, 160  # lines that are compared, of how many tokens at most
LINES = 10  # of free verse, where nothing was said
# What tokens that stand already lose of their logits, but for the small words: in a form, which is made of whole words,
# and in free verse, where pieces of words would take their place.
REPETITION, FREE_REPETITION = 2.0, 0.5
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
    writer = desk.writer(writers.STORY[request.tongue])
    given = () if request.kind in ENGLISH else tuple(prose.start(desk, writer, "verse").split("\n"))
    given = given if any(given) else ()
    rule, known, made = _rule(desk, writer, given), writers.origins(desk.catalog), []
    title = prose.titled(request.topic)
    for number in range(request.count):
        poem = _Poem(desk, writer, rule, given)
        for row in [title, ""] if title else []:
            poem.tell(row)
        poem.write(seeds.generator(desk.seed, stream=100 + number), known)
        if request.count > 1:
            poem.tell("")
        writing = Writing(tuple(poem.rows), title, form=request.kind or "verse", language=request.tongue)
        made.append(writers.in_script(writing, request.script))
    if len({writing.lines for writing in made}) < request.count:
        raise DanqingError("two of the poems came out the same; raise --temperature or ask for fewer")
    return made


def _rule(desk: Desk, writer: Writer, given: tuple[str, ...]) -> meter.Meter | meter.FreeLines | FreeVerse:
    """What the lines are to be. Raises BadRequest for what cannot be met."""
    request = desk.request
    if request.kind in ENGLISH:
        return meter.Meter(meter.form(request.kind), writer.vocabulary, (request.acrostic or "").strip())
    lines = max(1, (request.length or LINES) - sum(map(bool, given)))
    if request.tongue == "zh":
        return FreeVerse(writer.vocabulary, lines)
    return meter.FreeLines(writer.vocabulary, lines, writer.never | {writer.end})


class _Poem:
    """One poem while it is written."""

    def __init__(self, desk: Desk, writer: Writer, rule: Any, given: tuple[str, ...]) -> None:
        """rule: a constraint whose state has a `line`; given: the rows that the person gave, which come first."""
        self.desk, self.writer, self.rule, self.language = desk, writer, rule, desk.request.tongue
        self.rows: list[str] = []
        self.tokens: list[int] = []
        self.state = rule.start()
        self.words = prose.keywords(desk, writer, self.language)
        title = prose.titled(desk.request.topic)
        controls = Controls("verse", start="" if given else "opening", topics=self.words)
        begun = "".join(f"{row}\n" for row in given)
        self.before = writer.before(controls, f"{title}\n" if title and not begun else "")
        self.before += writer.vocabulary.encode(begun)
        self.bare = writer.before(Controls("verse"))
        self.given = given
        plain = prose.sampling(desk, self.language, writer)
        small = writer.vocabulary.encode(" " + " ".join(sorted(UNSTRESSED))) if self.language == "en" else ()
        repetition = REPETITION if isinstance(rule, meter.Meter) else FREE_REPETITION
        self.sampling = replace(plain, repetition=repetition, free=plain.free | frozenset(small))

    def write(self, generator: Any, known: Origins | None) -> None:
        """Line after line. Raises DanqingError where none comes to its end."""
        from danqing.techniques import decoding

        for row in self.given:
            self._add(row)
        v = self.writer.vocabulary
        while not self.rule.finished(self.state):
            found = decoding.sample(
                self.writer.model,
                [*self.before, *self.tokens],
                decoding.Until(self.rule, self.state, lambda state, token: state.line > self.state.line),
                replace(self.sampling, stood=frozenset(self.tokens)),
                WAYS,
                generator,
                self.writer.end,
                TOKENS,
            )
            ways = [way for way in found if way.finished and v.decode(way.tokens).strip()]
            if not ways:
                raise DanqingError("no line came to its end; ask for another topic, or another --seed")
            gains = self.writer.gains(self.bare, ways)
            worths = [self._worth(way, gain, known) for way, gain in zip(ways, gains, strict=True)]
            best = ways[max(range(len(ways)), key=worths.__getitem__)]
            for token in best.tokens:
                self.state = self.rule.advance(self.state, token)
            self.tokens += best.tokens
            line = v.decode(best.tokens)
            self._add(self._row(line))
            if line.endswith("\n\n"):
                self._add("")

    def tell(self, row: str) -> None:
        """Pass a row on."""
        shown = to_traditional(row) if self.desk.request.script == "traditional" and self.language == "zh" else row
        done = len([row for row in self.rows if row])
        self.desk.tools.on_step(Step(done, max(done, self.rule.count + len(self.given)), "writing", line=shown))

    def _add(self, row: str) -> None:
        self.rows.append(row)
        self.tell(row)

    def _row(self, line: str) -> str:
        """A line without its break, and without bytes that are no character."""
        return line.replace("\ufffd", "").strip().rstrip("。" if self.language == "zh" else " ")

    def _worth(self, way: Sample, gain: float, known: Origins | None) -> float:
        """How good a line is after those that stand."""
        line, text = self._row(self.writer.vocabulary.decode(way.tokens)), "\n".join(self.rows)
        worth = SLIP * min(way.log_likelihood) - abs(way.likelihood - TYPICAL[self.language]) + THREAD * gain
        lately = text.lower()[-LATELY[self.language] :]
        worth += TOPIC_WORTH * any(word in line.lower() and word not in lately for word in self.words)
        own, said = self._said(line), set(self._said(text))
        worth -= STALE_COST * (sum(word in said for word in own) + len(own) - len(set(own))) / max(1, len(own))
        rows, first = [self._split(row) for row in self.rows if row.strip()], self._split(line)
        worth -= SHORT_COST * (len(first) < SHORT[self.language])
        worth -= ALIKE_COST * sum(row[:2] == first[:2] for row in rows)
        worth -= SAME_COST * (rows[-1:] != [] and rows[-1][:1] == first[:1])
        worth -= OFTEN_COST * sum(row[:1] == first[:1] for row in rows)
        copied = known is not None and (known.has_verse(line) or (len(line) >= SHORTEST and known.has_line(line)))
        return worth - COPIED_COST * copied

    def _split(self, row: str) -> list[str]:
        """The words of a row; in Chinese, its characters."""
        return row.lower().split() if self.language == "en" else list(row)

    def _said(self, text: str) -> list[str]:
        """What a text says: its words, the small ones aside; in Chinese, pairs of characters."""
        if self.language == "zh":
            return prose.content(text, "zh")
        return [word for word in re.findall(r"[a-z']+", text.lower()) if word not in UNSTRESSED and word != "i"]
