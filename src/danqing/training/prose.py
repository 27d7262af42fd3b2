"""Stories, plays and free verse as training sequences: passages with their people and key words before them.

    <story> <opening> <1> fox <2> crow <topic> cheese <text> A hungry <1> saw a <2> … <end>

`<opening>` says that a work or chapter begins here, `<ending>` that it ends within the passage, `<end>` that it has.
Key words are drawn from the passage, so that the words of a plot steer what is written; its people stand in it as roles
(`encode.cast`), so that those of a plot can take them. Scripts are lines of the form `Speaker: what is said`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from danqing.encode import cast
from danqing.encode.text import END, Characters, Controls, Pieces, Vocabulary, prompt
from danqing.errors import BadRequest
from danqing.training import texts, verse
from danqing.training.texts import Sample, Work

KINDS = ("story", "prose", "verse", "script")
TOLD = ("story", "prose")  # the kinds that have people in them
LANGUAGES = ("en", "zh")
SPECIALS = (*(f"<{name}>" for name in (*KINDS, "opening", "ending")), *cast.ROLES)
_SPEECH = re.compile(r"^([A-Z][\w' .-]{1,30}):\n(.+)$", re.DOTALL)
_SAYS = "笑怒大喝叫答问听骂哭叹又便忙却乃急悄暗高厉冷微连先方才就只随即"
_SAID = re.compile(rf"([\u4e00-\u9fff]{{2,3}}?)[{_SAYS}了]{{0,3}}(?:说道|道|曰)：“([^“”]{{2,90}})”")
_EMPTY = verse.EMPTY | frozenset("的了么着吗呢吧罢都就还很或却说们我你他她它是在有没要会能想做叫问什样面把被这那罢不")
_NOTE = re.compile(r"[〔［\[][0-9０-９]+[〕］\]]")
_SPACE = re.compile(r"[ \t　]+")
_STRAIGHT = str.maketrans("“”‘’", "\"\"''")


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
    people: dict[str, bool]  # who speaks in the stories → whether it is no name but what one is called: fox, 和尚

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
        told = [x for p in training if p.kind in TOLD for work in p.works for x in work.paragraphs]
        people = cast.people(told, language)
        if language == "en":
            return cls(training, held, Pieces.learn(every, pieces, SPECIALS), english_words(every), people)
        counts = Counter(c for paragraph in every for c in paragraph)
        kept = sorted(c for c, n in counts.items() if n >= verse.LEAST and c != "\n")
        words = chinese_words(every)
        return cls(training, held, Characters(["\n", *kept], SPECIALS), words, people)


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
            yield kind, [(_script if kind == "script" else _quoted)(work) for work in found]
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


# Speech between single marks, as in some of the books: what opens after a space ends after a mark of its own.
_SPOKEN = re.compile(r"(?<![^\s(\"—-])'(?=[A-Z])(.+?[,.!?;:—-])'(?![a-z])")


def _quoted(work: Work) -> Work:
    """One kind of quotation marks, "…"; the split stays that of the text as it was."""
    straight = (p.translate(_STRAIGHT) for p in work.paragraphs)
    return Work(tuple(_SPOKEN.sub(r'"\1"', p) for p in straight), work.title, work.sha256)


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

    def __init__(self, library: Library, part: Sequence[Passages], context: int, plain: float = 1.0) -> None:
        """plain: the share of the passages of stories that is drawn from, those of the commonest words."""
        self.library, self.context = library, context
        self.people = cast.Names(list(library.people), "en" if self.english else "zh")
        self.kin = cast.kin(self.people.names)
        self.spelled = [self._spell(name) for name in self.people.names]
        self.tokens: list[list[list[int]]] = []  # work → paragraph → tokens, the joint included; −1 − n: see `_marked`
        self.texts: list[tuple[str, ...]] = []
        self.kinds: list[str] = []
        self.places: list[tuple[int, int]] = []  # (work, paragraph) where a passage may begin
        self.endings: list[int] = []  # work → the first paragraph from which its end is in sight
        for passages in part:
            for work in passages.works:
                self._add(work, passages)
        if plain < 1:
            self._keep_plain(plain)

    def _spell(self, name: str) -> tuple[list[int], list[int]]:
        encode = self.library.vocabulary.encode
        return encode(f" {name}" if self.english else name), encode(name)

    def _add(self, work: Work, passages: Passages) -> None:
        number = len(self.tokens)
        texts = [p + passages.joint for p in work.paragraphs[:-1]] + [work.paragraphs[-1]]
        tokens = self._marked(texts) if passages.kind in TOLD else _encoder(self.library.vocabulary)(texts)
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
        left, ending = 0.0, len(tokens)
        while ending and (left := left + 1.1 * len(tokens[ending - 1])) < 0.85 * self.context:
            ending -= 1
        self.endings.append(ending)
        if passages.kind in TOLD and 0 < ending < len(tokens):
            self.places.append((number, ending))

    def _marked(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens, with −1 − 2n for the person n, −2 − 2n where no space stands before the name."""
        split = [self.people.split(text) for text in texts]
        encode = _encoder(self.library.vocabulary)
        encoded = iter(encode([part for parts in split for part in parts if isinstance(part, str)]))
        found = []
        for parts, text in zip(split, texts, strict=True):
            tokens: list[int] = []
            place = 0
            for part in parts:
                if isinstance(part, str):
                    tokens += next(encoded)
                    place += len(part)
                else:
                    apart = self.english and text[place] == " "
                    tokens.append(-1 - 2 * part - (not apart))
                    place += apart + len(self.people.names[part])
            found.append(tokens)
        return found

    def _keep_plain(self, share: float) -> None:
        """Leave out the places of stories whose words are the rarest."""
        counts = Counter(t for work in self.tokens for paragraph in work for t in paragraph)
        total = sum(counts.values())
        bits = {token: float(-np.log2(n / total)) for token, n in counts.items()}

        def rarity(place: tuple[int, int]) -> float:
            passage = [t for p in self.tokens[place[0]][place[1] : place[1] + 6] for t in p][: self.context]
            return sum(bits[t] for t in passage if t >= 0) / max(1, len(passage))

        told = {place: rarity(place) for place in set(self.places) if self.kinds[place[0]] == "story"}
        if told:
            limit = float(np.quantile(list(told.values()), share))
            self.places = [place for place in self.places if told.get(place, 0.0) <= limit]

    def __call__(self, number: int, rng: np.random.Generator) -> list[Sample]:
        """One passage; those at neither an opening nor an ending begin up to three paragraphs away from their place."""
        work, paragraph = self.places[number]
        if paragraph and paragraph != self.endings[work]:
            paragraph = max(1, min(len(self.tokens[work]) - 1, paragraph + int(rng.integers(-3, 4))))
        keep = rng.random(2)
        words = self.draw_words(work, paragraph, rng)
        return [self.sample(work, paragraph, words, bool(keep[0] < 0.8), bool(keep[1] < 0.9))]

    def draw_words(self, work: int, paragraph: int, rng: np.random.Generator) -> tuple[str, ...]:
        """None to five key words of the passage's first paragraphs, in the order of the text."""
        count = int(rng.choice(6, p=[0.2, 0.2, 0.2, 0.2, 0.1, 0.1]))
        words = self.library.words
        text = "".join(self.texts[work][paragraph : paragraph + 4])[:600]
        found = re.findall(r"[a-z]{3,}", text.lower()) if self.english else verse.words_of(text, words)
        often = Counter(w for w in found if w in words and w not in self.library.people)
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

    def who(self, tokens: Sequence[int]) -> list[int]:
        """Those who are named most, as many as there are roles, in the order in which they come."""
        met = Counter(self.kin[(-1 - token) // 2] for token in tokens if token < 0)
        return [n for n in met if n in dict(met.most_common(len(cast.ROLES)))]

    def sample(
        self, work: int, paragraph: int, words: tuple[str, ...], opening: bool = True, roles: bool = False
    ) -> Sample:
        """The sequence of a passage: as many tokens as fit; `<end>` where the work ends within it.

        opening: an opening or an ending is said to be one. roles: its people stand in it as roles.
        """
        v = self.library.vocabulary
        passage: list[int] = []
        for part in self.tokens[work][paragraph:]:
            passage += part
            if len(passage) > self.context:
                break
        else:
            passage.append(v.id(END))
        people = self.who(passage[: self.context]) if roles else []
        start = "opening" if paragraph == 0 else "ending" if paragraph >= self.endings[work] else ""
        names = tuple(self.people.names[n] for n in people)
        kind = self.kinds[work]
        before = prompt(v, Controls(kind, start=start if opening else "", cast=names, topics=words))
        role = {n: v.id(name) for n, name in zip(people, cast.ROLES, strict=False)}
        tokens = [*before, *self._told(passage, role)][: self.context + 1]
        weights = np.ones(len(tokens) - 1)
        weights[: len(before) - 1] = 0.0
        if isinstance(v, Characters):
            weights[np.array(tokens[1:]) == v.id("<unknown>")] = 0.0
        return Sample(tokens, weights.tolist())

    def _told(self, passage: Sequence[int], role: Mapping[int, int]) -> Iterator[int]:
        """The tokens of a passage: of its people, the role of those who have one, the names of the others."""
        for token in passage:
            number, together = divmod(-1 - token, 2)
            if token >= 0:
                yield token
            elif self.kin[number] in role:
                yield role[self.kin[number]]
            else:
                yield from self.spelled[number][together]

    def companions(self) -> dict[str, list[str]]:
        """Who is with whom, of those who are not called by a name: {"fox": ["wolf", "crow"], …}."""
        places = [place for place in dict.fromkeys(self.places) if self.kinds[place[0]] in TOLD]
        met = ([t for p in self.tokens[work][i : i + 4] for t in p][: self.context] for work, i in places)
        common = {i: self.library.people[name] for i, name in enumerate(self.people.names)}
        found = cast.companions(([self.kin[(-1 - t) // 2] for t in m if t < 0] for m in met), common)
        names = self.people.names
        return {names[one]: [names[other] for other in others] for one, others in found.items() if common[one]}


def _encoder(vocabulary: Vocabulary) -> Callable[[list[str]], list[list[int]]]:
    if isinstance(vocabulary, Pieces):
        return vocabulary.encode_many
    return lambda parts: [vocabulary.encode(part) for part in parts]
