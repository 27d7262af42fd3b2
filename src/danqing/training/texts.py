"""Texts from files, ready for training: read, checked, deduplicated, split by content, and drawn by step.

Poems come as `.jsonl` (an object with `lines` on each line; `title`, `author`, `dynasty`, `form`, `tune` where known)
or as `.txt` (poems separated by empty lines); prose comes as `.txt`. Each may be compressed (`.xz`). The split is made
from the text itself (sha256), so a poem or a chapter stays on its side of it wherever it is copied and whatever else
joins it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import lzma
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from danqing.errors import BadRequest
from danqing.training.data import draw_order

SUFFIXES = (".jsonl", ".jsonl.xz", ".txt", ".txt.xz")
HELD_OUT = 0.05  # share of the poems, and of the works of prose, that no training run sees
FORMS = {(4, 5): "五绝", (4, 7): "七绝", (8, 5): "五律", (8, 7): "七律"}  # by count and length of the segments
_BREAK = re.compile(r"[^\u3400-\u9fff\U00020000-\U0003ffff]+")


def sha256(text: str) -> str:
    """64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


class Hashed(Protocol):
    """A text with a hash of its own."""

    @property
    def sha256(self) -> str:
        """64 hex digits of its content."""
        ...


def held_out(item: Hashed) -> bool:
    """Whether a text is kept away from training. Decided by its content alone."""
    return int(item.sha256[:8], 16) / 2**32 < HELD_OUT


@dataclass(frozen=True)
class Poem:
    """One poem. Its lines are as in the collection: a couplet with its punctuation to a line."""

    lines: tuple[str, ...]
    form: str  # 五绝 七绝 五律 七律 古诗 词
    title: str = ""
    author: str = ""
    dynasty: str = ""
    tune: str = ""

    @property
    def text(self) -> str:
        """The lines in one string, punctuation and all."""
        return "".join(self.lines)

    @cached_property
    def sha256(self) -> str:
        """Of the lines in one string."""
        return sha256(self.text)

    @property
    def segments(self) -> list[str]:
        """The lines in the sense of prosody: what stands between two punctuation marks."""
        return segments(self.text)


def segments(text: str) -> list[str]:
    """The runs of Chinese characters in a text, without what is between them."""
    return [part for part in _BREAK.split(text) if part]


@dataclass(frozen=True)
class Work:
    """A work of prose or verse, or a chapter of one."""

    paragraphs: tuple[str, ...]  # paragraphs or stanzas, without empty lines
    title: str = ""
    book: str = ""  # sha256 of the book that it is a chapter of, where the split goes by books

    @cached_property
    def sha256(self) -> str:
        """Of its book, or of its own paragraphs: what decides the split."""
        return self.book or sha256("\n".join(self.paragraphs))


def find(root: Path, names: str, kinds: Sequence[str] = SUFFIXES) -> list[Path]:
    """The text files of a folder that a recipe asked for.

    names: file names without their endings, joined by commas, looked for in `root` and in `root/text`; "." means every
    text file of the folder at any depth. `root` may itself be one file. Raises BadRequest where something is missing.
    """
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise BadRequest(f"{root} is neither a folder nor a file; --data takes texts ({', '.join(kinds)})")
    if names == ".":
        paths = sorted(p for p in root.rglob("*") if p.is_file() and p.name.endswith(tuple(kinds)))
        if not paths:
            raise BadRequest(f"{root} holds no texts ({', '.join(kinds)})")
        return paths
    found = []
    for name in names.split(","):
        places = [folder / f"{name}{suffix}" for folder in (root, root / "text") for suffix in kinds]
        path = next((p for p in places if p.is_file()), None)
        if path is None:
            raise BadRequest(
                f"{root} holds no {name}{kinds[0]} (nor one of {', '.join(kinds[1:])}); "
                f"files=. trains on every text in the folder"
            )
        found.append(path)
    return found


def read(path: Path) -> str:
    """A text file's content, decompressed. Raises BadRequest where it is damaged or not UTF-8."""
    try:
        raw = path.read_bytes()
        raw = lzma.decompress(raw) if path.suffix == ".xz" else raw
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"{path} is not UTF-8 text (byte {error.start:,}); save it as UTF-8") from None
    except (lzma.LZMAError, EOFError) as error:
        raise BadRequest(f"{path} cannot be decompressed ({error}); fetch or make it again") from None
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror}") from None


def poems(paths: Iterable[Path]) -> list[Poem]:
    """Every poem of these files once, sorted by content. Raises BadRequest for a broken line, with its number."""
    found: dict[str, Poem] = {}
    for path in paths:
        text = read(path)
        rows = _from_jsonl(text, path) if ".jsonl" in path.name else _from_plain(text)
        for poem in rows:
            found.setdefault(poem.sha256, poem)
    if not found:
        raise BadRequest("the data holds no poem: a .jsonl has an object with `lines` on each line, a .txt poems "
                         "separated by empty lines")  # fmt: skip
    return [found[sha] for sha in sorted(found)]


def _from_jsonl(text: str, path: Path) -> Iterable[Poem]:
    for number, row in enumerate(text.splitlines(), 1):
        if not row.strip():
            continue
        try:
            poem = _poem(json.loads(row))
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise BadRequest(
                f"{path} line {number} is not an object with `lines`, a list of texts ({error}); mend that line"
            ) from None
        if poem.lines:
            yield poem


def _poem(row: dict[str, Any]) -> Poem:
    lines = row["lines"]
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise TypeError("`lines` is no list of texts")
    kept = tuple(line.strip() for line in lines if line.strip())
    labels = {key: str(row.get(key) or "") for key in ("title", "author", "dynasty", "tune")}
    form = str(row.get("form") or "")
    return Poem(kept, form if form in (*FORMS.values(), "词") else form_of(kept), **labels)


def _from_plain(text: str) -> Iterable[Poem]:
    """Poems separated by empty lines. A first line without punctuation before lines that have it is the title."""
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        lines = [line.strip() for line in block.splitlines() if line.strip()]
        marked = [bool(_BREAK.search(line)) for line in lines]
        title = ""
        if len(lines) > 1 and not marked[0] and all(marked[1:]):
            title, lines = lines[0], lines[1:]
        if not segments("".join(lines)):
            continue
        if not any(marked):  # no punctuation: it is the classical one
            lines = [line + "，。"[i % 2] for i, line in enumerate(lines)]
        yield Poem(tuple(lines), form_of(lines), title)


def form_of(lines: Sequence[str]) -> str:
    """五绝 七绝 五律 七律 by the number and length of the segments, 古诗 for everything else."""
    parts = segments("".join(lines))
    lengths = {len(p) for p in parts}
    return FORMS.get((len(parts), lengths.pop()), "古诗") if len(lengths) == 1 else "古诗"


_BOOK = re.compile(r"^# Title: ")
CHAPTER = re.compile(r"^(?:#{1,4} .*|\*\*[^*]+\*\*|第[一二三四五六七八九十百零〇○]{1,7}回[\s　].*|《[^》]+》\S{2,8})$")
_ASIDE = re.compile(r"[-*_ ]{3,}|_.*_|\[.*\]|## (?:Author|Year): .*")  # rules, remarks, what is known of the book
_BLOCK = 20_000  # characters of a work that has neither chapters nor headings
_BOOKS = 20  # a file of so many books is split by books, one of fewer by chapters


def works(path: Path, chapter: re.Pattern[str] = CHAPTER, least: int = 200) -> list[Work]:
    """A file of prose or verse as works: cut at its headings; what has none is cut into blocks of 20,000 characters.

    A heading is a line that `chapter` matches: a Markdown title, one in bold, or 第…回. It is the title of what
    follows. Works of fewer than `least` characters are left out.
    """
    books: list[list[str]] = [[]]
    for line in read(path).replace("\r\n", "\n").split("\n"):
        if _BOOK.match(line):
            books.append([])
        books[-1].append(line.strip(" 　\t\ufeff"))
    found = []
    for lines in books:
        own = sha256("\n".join(lines)) if len(books) > _BOOKS else ""
        for title, paragraphs in _chapters(lines, chapter):
            if sum(map(len, paragraphs)) >= least:
                found += [Work(tuple(block), title, own) for block in _blocks(paragraphs)]
    return found


def _chapters(lines: Sequence[str], chapter: re.Pattern[str]) -> Iterator[tuple[str, list[str]]]:
    """(title, paragraphs) of each chapter; the lines of a stanza stay together."""
    title = ""
    gathered: list[str] = []
    stanza: list[str] = []
    for line in [*lines, "# end"]:
        heading = chapter.match(line) and not _ASIDE.fullmatch(line)
        if (heading or not line) and stanza:
            gathered.append("\n".join(stanza))
            stanza = []
        if heading:
            yield title, gathered
            title, gathered = line.strip("#*_ 　"), []
        elif line and not _ASIDE.fullmatch(line):
            stanza.append(line)


def _blocks(paragraphs: Sequence[str]) -> list[list[str]]:
    """The paragraphs in one block, or in several where they are longer than two."""
    if sum(map(len, paragraphs)) < 2 * _BLOCK:
        return [list(paragraphs)]
    blocks: list[list[str]] = [[]]
    for paragraph in paragraphs:
        if sum(map(len, blocks[-1])) >= _BLOCK:
            blocks.append([])
        blocks[-1].append(paragraph)
    return blocks


T = TypeVar("T", bound=Hashed)


def split(items: Sequence[T]) -> tuple[list[T], list[T]]:
    """(training, held out)."""
    return [i for i in items if not held_out(i)], [i for i in items if held_out(i)]


def fingerprint(items: Iterable[Hashed]) -> str:
    """One sha256 for a set of texts, whatever their order."""
    return sha256("".join(sorted(i.sha256 for i in items)))


def apart(held: Sequence[Poem], training: Sequence[Poem]) -> list[Poem]:
    """The held-out poems that share no line (segment of four characters or more) with any poem of the training part."""
    known = {s for poem in training for s in poem.segments if len(s) >= 4}
    return [poem for poem in held if not any(s in known for s in poem.segments)]


@dataclass(frozen=True)
class Sample:
    """One training sequence: `tokens` and, for each but the first, how much its prediction counts."""

    tokens: list[int]
    weights: list[float]  # one fewer than the tokens


class Stream:
    """Batches of about equal numbers of tokens and little padding, each a function of its step alone.

    The items are drawn in pools: epochs are seeded permutations, a pool is a run of them. A pool's samples, made with
    the pool's own generator, are sorted by length, cut into batches, and the batches shuffled.
    """

    def __init__(
        self,
        make: Callable[[int, np.random.Generator], list[Sample]],
        count: int,
        tokens: int,
        run_seed: int,
        pool: int = 1024,
    ) -> None:
        """make: the samples of item `number`, in [0, count). tokens: how many a batch has, about, padding included."""
        self.make, self.count, self.seed, self.pool = make, count, run_seed, min(pool, max(8, count))
        trial = self._samples(0)
        self.tokens_per_item = sum(len(s.tokens) for s in trial) / self.pool
        self.parts = max(1, round(self.tokens_per_item * self.pool / tokens))
        self._last: tuple[int, list[list[Sample]]] = (-1, [])

    @property
    def steps_per_epoch(self) -> float:
        """How many steps show every item once."""
        return self.count / self.pool * self.parts

    def _samples(self, number: int) -> list[Sample]:
        generator = np.random.default_rng([self.seed, 20, number])
        items = draw_order(self.count, self.pool, number, self.seed)
        return [sample for item in items for sample in self.make(item, generator)]

    def _batches(self, number: int) -> list[list[Sample]]:
        if self._last[0] != number:
            samples = sorted(self._samples(number), key=lambda s: len(s.tokens))
            ends = np.cumsum([len(s.tokens) for s in samples])
            marks = np.searchsorted(ends, np.linspace(0, ends[-1], self.parts + 1)[1:-1])
            cuts = [0, *(int(m) for m in marks), len(samples)]
            order = np.random.default_rng([self.seed, 21, number]).permutation(self.parts)
            cut = [samples[a:b] or samples[:1] for a, b in itertools.pairwise(cuts)]
            self._last = (number, [cut[i] for i in order])
        return self._last[1]

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """tokens (B, T + 1) int64 padded with 0, weights (B, T) float32, 0 where there is padding."""
        number, part = divmod(step, self.parts)
        return pad(self._batches(number)[part])


def pad(samples: Sequence[Sample]) -> tuple[Tensor, Tensor]:
    """Samples side by side: tokens (B, T + 1) int64 filled up with 0, weights (B, T) float32 filled up with 0."""
    length = max(len(s.tokens) for s in samples)
    tokens = np.zeros((len(samples), length), np.int64)
    weights = np.zeros((len(samples), length - 1), np.float32)
    for row, sample in enumerate(samples):
        tokens[row, : len(sample.tokens)] = sample.tokens
        weights[row, : len(sample.weights)] = sample.weights
    return torch.from_numpy(tokens), torch.from_numpy(weights)


def count_words(texts: Iterable[str]) -> tuple[dict[str, int], dict[str, int]]:
    """How many texts hold each character, and each pair of neighbours, within runs of Chinese characters."""
    singles: dict[str, int] = {}
    pairs: dict[str, int] = {}
    for text in texts:
        parts = segments(text)
        for c in {c for part in parts for c in part}:
            singles[c] = singles.get(c, 0) + 1
        for pair in {part[i : i + 2] for part in parts for i in range(len(part) - 1)}:
            pairs[pair] = pairs.get(pair, 0) + 1
    return singles, pairs


def association(pairs: dict[str, int], singles: dict[str, int], places: int, least: int) -> dict[str, float]:
    """Pointwise mutual information of pairs that occur in at least `least` texts: log2 of observed over expected.

    places: how many pairs of neighbours there are in all.
    """
    names = [p for p, n in pairs.items() if n >= least]
    seen: NDArray[np.float64] = np.array([pairs[p] for p in names], np.float64)
    expected = np.array([singles[p[0]] * singles[p[1]] / max(places, 1) for p in names])
    return dict(zip(names, np.log2(seen / np.maximum(expected, 1e-9)).tolist(), strict=True))
