"""Stories, plays and free verse as training sequences: passages with key words before them.

    <story> <opening> <topic> fox <topic> moon <text> A hungry Fox … <end>

`<opening>` says that a work or chapter begins here; `<end>` that one ends. Key words are drawn from the passage, so
that the words of a plot steer what is written. Scripts are lines of the form `Speaker: what is said`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from danqing.encode.text import END, Characters, Controls, Pieces, Vocabulary, prompt
from danqing.errors import BadRequest
from danqing.training import texts, verse
from danqing.training.texts import Sample, Work

KINDS = ("story", "prose", "verse", "script")
LANGUAGES = ("en", "zh")
SPECIALS = tuple(f"<{name}>" for name in (*KINDS, "opening"))
_SPEECH = re.compile(r"^([A-Z][\w' .-]{1,30}):\n(.+)$", re.DOTALL)
_SAYS = "笑怒大喝叫答问听骂哭叹又便忙却乃急悄暗高厉冷微连先方才就只随即"
_SAID = re.compile(rf"([\u4e00-\u9fff]{{2,3}}?)[{_SAYS}了]{{0,3}}(?:说道|道|曰)：“([^“”]{{2,90}})”")
_EMPTY = verse.EMPTY | frozenset("的了么着吗呢吧罢都就还很或却说们我你他她它是在有没要会能想做叫问什样面把被这那罢不")
_NOTE = re.compile(r"[〔［\[][0-9０-９]+[〕］\]]")
_SPACE = re.compile(r"[ \t　]+")


@dataclass(frozen=True)
class Passages:
    """Works as tokens, paragraph by paragraph, with what can be asked for."""

    kind: str  # one of KINDS
    works: list[Work]
    joint: str  # what stands between two paragraphs


@dataclass(frozen=True)
class Library:
    """What a story model reads: passages of several kinds, split, with a vocabulary and key words."""

    training: list[Passages]
    held: list[Passages]
    vocabulary: Vocabulary
    words: dict[str, float]  # key word → how much it says

    @classmethod
    def load(cls, root: Path, files: str, language: str, pieces: int) -> Library:
        """Read `files` (name:kind, joined by commas; "." for every text of the folder, as stories)."""
        if language not in LANGUAGES:
            raise BadRequest(f"language is {language!r}; it is one of {', '.join(LANGUAGES)}")
        training: list[Passages] = []
        held: list[Passages] = []
        for kind, found in _collections(root, files, language):
            joint = "\n\n" if kind == "verse" and language == "en" else "\n"
            for part, into in zip(texts.split(found), (training, held), strict=True):
                into.append(Passages(kind, part, joint))
        if not any(p.works for p in training):
            raise BadRequest(f"{root} holds too little text: no work is left to train on")
        if not any(p.works for p in held):
            held = training
        every = [paragraph for p in training for work in p.works for paragraph in work.paragraphs]
        if language == "en":
            return cls(training, held, Pieces.learn(every, pieces, SPECIALS), english_words(every))
        counts = Counter(c for paragraph in every for c in paragraph)
        kept = sorted(c for c, n in counts.items() if n >= verse.LEAST and c != "\n")
        words = chinese_words(every)
        return cls(training, held, Characters(["\n", *kept], SPECIALS), words)


def _collections(root: Path, files: str, language: str) -> Iterator[tuple[str, list[Work]]]:
    """(kind, works) of everything that `files` names, and what is made of it: scripts and free verse in Chinese."""
    if files == ".":
        names = [(path, "story") for path in texts.find(root, ".", (".txt", ".txt.xz"))]
    else:
        pairs = [name.partition(":") for name in files.split(",")]
        names = [(texts.find(root, name)[0], kind or "story") for name, _, kind in pairs]
    for path, kind in names:
        if kind not in KINDS:
            raise BadRequest(f"files gives {path.name} the kind {kind!r}; it is one of {', '.join(KINDS)}")
        if language == "en":
            found = [_english(work) for work in texts.works(path, least=60 if kind == "verse" else 200)]
            yield kind, [_script(work) for work in found] if kind == "script" else found
            continue
        chapter = _TITLE_LINE if kind == "prose" else texts.CHAPTER
        found = [
            w
            for w in map(_chinese, texts.works(path, chapter))
            if len("".join(w.paragraphs)) > 100 and "注释" not in w.title
        ]
        yield kind, found
        if kind == "story" and (plays := [p for w in found if (p := _dialogue(w))]):
            yield "script", plays
        if kind == "prose":
            free = (Work(tuple(filter(None, map(_broken, w.paragraphs))), w.title, w.sha256) for w in found)
            yield "verse", [work for work in free if work.paragraphs]


# An essay's title: a short line without a full stop; notes and paragraphs are longer or end in one.
_TITLE_LINE = re.compile(r"^[^。！？，：；…“”〔]{2,24}(?:〔[0-9０-９]+〕)?$")


def _english(work: Work) -> Work:
    """One kind of spaces; no marks of emphasis."""
    cleaned = ("\n".join(_SPACE.sub(" ", line).strip() for line in p.split("\n")) for p in work.paragraphs)
    return Work(tuple(p.replace("_", "").replace("*", "") for p in cleaned if p), work.title, work.book)


def _script(work: Work) -> Work:
    """ "NAME:\\nverse\\nverse" as one line, "Name: verse verse"."""
    lines = []
    for paragraph in work.paragraphs:
        speech = _SPEECH.match(paragraph)
        lines.append(f"{speech[1].title()}: {speech[2]}".replace("\n", " ") if speech else paragraph.replace("\n", " "))
    return Work(tuple(lines), work.title, work.book)


def _chinese(work: Work) -> Work:
    """Without editors' notes, with one kind of colon, without spaces."""
    kept = []
    for paragraph in work.paragraphs:
        if _NOTE.match(paragraph):
            continue
        line = _SPACE.sub("", _NOTE.sub("", paragraph)).replace("∶", "：").replace("．", "。").replace("\n", "")
        if line and not (len(line) > 50 and "，" not in line):  # a paragraph that has lost its commas
            kept.append(line)
    return Work(tuple(kept), work.title, work.sha256)


def _dialogue(work: Work) -> Work | None:
    """Who says what in a chapter, as a script; None where there is little."""
    said = [(m[1].strip(_SAYS), m[2]) for p in work.paragraphs for m in _SAID.finditer(p)]
    often = Counter(name for name, _ in said)
    lines = [f"{name}：{words}" for name, words in said if often[name] >= 3 and len(name) >= 2]
    return Work(tuple(lines), work.title, work.sha256) if len(lines) >= 8 else None


def _broken(paragraph: str) -> str:
    """A paragraph as free verse: a line for each clause, the marks at its end left out. "" where none comes of it."""
    clauses = re.split(r"(?<=[，。；：！？])(?![”’」』）])", paragraph)
    lines = [clause.rstrip("，。；") for clause in clauses if clause]
    fit = 3 <= len(lines) <= 24 and max(map(len, lines)) <= 20 and not re.search(r"[0-9A-Za-z０-９（《〔○]", paragraph)
    return "\n".join(lines) if fit else ""


def english_words(paragraphs: Sequence[str]) -> dict[str, float]:
    """Words that tell paragraphs apart, with what a mention of each says, in bits."""
    counts = Counter(w for p in paragraphs for w in set(re.findall(r"[a-z]{3,}", p.lower())))
    least = 2 if len(paragraphs) < 5000 else 12
    most = len(paragraphs) / 40 if len(paragraphs) > 400 else len(paragraphs) / 4 + 1
    return {w: float(np.log2(len(paragraphs) / n)) for w, n in sorted(counts.items()) if least <= n <= most}


def chinese_words(paragraphs: Sequence[str]) -> dict[str, float]:
    """The same for Chinese: one or two characters, none of them empty, in few of the paragraphs."""
    words = verse.topic_words(paragraphs, 8000, least=10)
    most = len(paragraphs) / 50 if len(paragraphs) > 400 else len(paragraphs)
    rare = float(np.log2(len(paragraphs) / most))
    told = {w: bits * (2 if len(w) == 1 else 1) for w, bits in words.items() if not _EMPTY & set(w)}
    return {w: bits for w, bits in told.items() if bits >= rare}


class Sequencer:
    """Draws passages: from a paragraph on, as many as fit the context."""

    def __init__(self, library: Library, part: Sequence[Passages], context: int) -> None:
        self.library, self.context = library, context
        vocabulary = library.vocabulary
        self.tokens: list[list[list[int]]] = []  # work → paragraph → tokens, the joint included
        self.texts: list[tuple[str, ...]] = []
        self.kinds: list[str] = []
        self.places: list[tuple[int, int]] = []  # (work, paragraph) where a passage may begin
        for passages in part:
            for work in passages.works:
                self._add(work, passages, _encoder(vocabulary))

    def _add(self, work: Work, passages: Passages, encode: Callable[[list[str]], list[list[int]]]) -> None:
        number = len(self.tokens)
        tokens = encode([p + passages.joint for p in work.paragraphs[:-1]] + [work.paragraphs[-1]])
        self.tokens.append(tokens)
        self.texts.append(work.paragraphs)
        self.kinds.append(passages.kind)
        self.places += [(number, 0)] * 2  # openings are what is asked for most
        filled = 0
        for i, paragraph in enumerate(tokens):
            filled += len(paragraph)
            if filled > self.context * 0.8 and i + 1 < len(tokens):
                self.places.append((number, i + 1))
                filled = 0

    def __call__(self, number: int, rng: np.random.Generator) -> list[Sample]:
        """One passage; those not at an opening begin up to three paragraphs away from their place."""
        work, paragraph = self.places[number]
        if paragraph:
            paragraph = max(1, min(len(self.tokens[work]) - 1, paragraph + int(rng.integers(-3, 4))))
        keep = rng.random(2)
        return [self.sample(work, paragraph, self.draw_words(work, paragraph, rng), bool(keep[0] < 0.8))]

    def draw_words(self, work: int, paragraph: int, rng: np.random.Generator) -> tuple[str, ...]:
        """None to five key words of the passage's first paragraphs, in the order of the text."""
        count = int(rng.choice(6, p=[0.2, 0.2, 0.2, 0.2, 0.1, 0.1]))
        words = self.library.words
        text = "".join(self.texts[work][paragraph : paragraph + 4])[:600]
        found = re.findall(r"[a-z]{3,}", text.lower()) if self.english else verse.words_of(text, words)
        often = Counter(w for w in found if w in words)
        if not often or not count:
            return ()
        names = list(often)
        p = np.array([words[n] * often[n] for n in names])
        chosen = rng.choice(len(names), size=min(count, len(names)), replace=False, p=p / p.sum())
        return tuple(names[i] for i in sorted(chosen))

    @property
    def english(self) -> bool:
        """Whether key words are words between spaces."""
        return isinstance(self.library.vocabulary, Pieces)

    def sample(self, work: int, paragraph: int, words: tuple[str, ...], opening: bool = True) -> Sample:
        """The sequence of a passage: as many tokens as fit; `<end>` where the work ends within it."""
        v = self.library.vocabulary
        start = "opening" if opening and paragraph == 0 else ""
        before = prompt(v, Controls(self.kinds[work], start=start, topics=words))
        tokens = list(before)
        for part in self.tokens[work][paragraph:]:
            tokens += part
            if len(tokens) > self.context:
                break
        else:
            tokens.append(v.id(END))
        tokens = tokens[: self.context + 1]
        weights = np.ones(len(tokens) - 1)
        weights[: len(before) - 1] = 0.0
        if isinstance(v, Characters):
            weights[np.array(tokens[1:]) == v.id("<unknown>")] = 0.0
        return Sample(tokens, weights.tolist())


def _encoder(vocabulary: Vocabulary) -> Callable[[list[str]], list[list[int]]]:
    if isinstance(vocabulary, Pieces):
        return vocabulary.encode_many
    return lambda parts: [vocabulary.encode(part) for part in parts]
