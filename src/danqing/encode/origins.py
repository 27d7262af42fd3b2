"""Filters that know every line of a collection of poems, and every eight characters in a row across its lines.

Bloom 1970, "Space/Time Trade-offs in Hash Coding with Allowable Errors": a filter never misses what was put in, and now
and then takes something else for it. A run of eight that holds a whole line is not stored a second time: the line
is known already. Hashes are of code points, so that the filters serve every vocabulary; they are computed for whole
arrays at once, since a writer asks about every character that could come next.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from danqing.encode.text import Characters

GRAM = 8  # characters in a row, across lines
SHORTEST = 4  # characters of a line that is looked for; a shorter one belongs to nobody
HASHES = 8  # bits set for each entry
_CHINESE = re.compile(r"[^\u3400-\u9fff\U00020000-\U0003ffff]+")
_FACTORS = np.random.default_rng(1970).integers(0, 2**63, 64, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


@dataclass(frozen=True)
class Filter:
    """A Bloom filter over 64-bit hashes."""

    bits: NDArray[np.uint8]

    @classmethod
    def of(cls, hashes: NDArray[np.uint64], bits_each: float) -> Filter:
        """A filter with these hashes in it, of about `bits_each` bits for each."""
        size = max(64, int(len(hashes) * bits_each) // 8)
        flags = np.zeros(size * 8, np.bool_)
        for number in range(HASHES):
            flags[_place(hashes, number, size * 8)] = True
        return cls(np.packbits(flags, bitorder="little"))

    def has(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Whether each was put in: always True where it was, now and then where it was not. hashes (N,)."""
        found = np.arange(len(hashes))
        for number in range(HASHES):  # most of what is not there is out after one or two looks
            place = _place(hashes[found], number, len(self.bits) * 8)
            found = found[(self.bits[place >> np.uint64(3)] >> (place & np.uint64(7)).astype(np.uint8)) & 1 == 1]
            if not len(found):
                break
        answer = np.zeros(len(hashes), np.bool_)
        answer[found] = True
        return answer


def _place(hashes: NDArray[np.uint64], number: int, size: int) -> NDArray[np.uint64]:
    """The place of the `number`-th bit of each, in [0, size): double hashing (Kirsch and Mitzenmacher 2006)."""
    step = (hashes >> np.uint64(32)) | np.uint64(1)
    mixed = (hashes + np.uint64(number) * step) & np.uint64(0xFFFFFFFF)
    return (mixed * np.uint64(size)) >> np.uint64(32)


def mixed(sums: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread sums over 64 bits (the finaliser of SplitMix64)."""
    x = (sums ^ (sums >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def sums(codes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The sums that `mixed` takes, of texts of one length. codes (N, n) code points; returns (N,)."""
    n = codes.shape[1]
    places = _FACTORS[np.arange(n) % len(_FACTORS)]
    found: NDArray[np.uint64] = (codes * places).sum(axis=1, dtype=np.uint64) + np.uint64(n)
    return found


def hashes(texts: Sequence[str]) -> NDArray[np.uint64]:
    """A hash of each text, (N,)."""
    found = np.zeros(len(texts), np.uint64)
    by_length: dict[int, list[int]] = {}
    for i, text in enumerate(texts):
        by_length.setdefault(len(text), []).append(i)
    for length, numbers in by_length.items():
        joined = "".join(texts[i] for i in numbers).encode("utf-32-le")
        codes = np.frombuffer(joined, np.uint32).reshape(len(numbers), length).astype(np.uint64)
        found[numbers] = mixed(sums(codes))
    return found


def runs(poems: Iterable[Sequence[str]]) -> NDArray[np.uint64]:
    """The hashes of every GRAM characters in a row of each poem (its lines, without marks) that hold no whole line."""
    text: list[str] = []
    lengths: list[int] = []
    ends: list[bool] = []
    for lines in poems:
        text += lines
        lengths += [len(line) for line in lines]
        ends += [False] * (len(lines) - 1) + [True] * bool(lines)
    codes = np.frombuffer("".join(text).encode("utf-32-le"), np.uint32).astype(np.uint64)
    if len(codes) < GRAM:
        return np.zeros(0, np.uint64)
    size = np.array(lengths)
    stop = np.cumsum(size)  # of each line
    line = np.repeat(np.arange(len(size)), size)  # of each character
    poem = np.concatenate([[0], np.cumsum(ends)])[line]
    first = np.arange(len(codes) - GRAM + 1)
    inside = poem[first] == poem[first + GRAM - 1]
    begins = line[first] + (first > (stop - size)[line[first]])  # the first line that begins in the run
    whole = (begins < len(size)) & (stop[np.minimum(begins, len(size) - 1)] <= first + GRAM)
    kept = first[inside & ~whole]
    parts = [kept[i : i + 2**18] for i in range(0, len(kept), 2**18)]
    return np.concatenate([mixed(sums(codes[p[:, None] + np.arange(GRAM)])) for p in parts] or [np.zeros(0, np.uint64)])


def english_line(line: str) -> str:
    """An English line as it is compared: words in lower case with one space between, no marks."""
    return " ".join(re.findall(r"[a-z]+(?:'[a-z]+)?", line.lower().replace("’", "'")))


class Origins:
    """What stands in the collection."""

    def __init__(self, filters: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """filters: "lines", "runs" and "verse", each (N,) uint8; about: what the header of the file says."""
        self.lines, self.runs, self.verse = (
            Filter(np.asarray(filters[name], np.uint8)) for name in ("lines", "runs", "verse")
        )
        self.about = dict(about)

    def has_line(self, line: str) -> bool:
        """Whether a poem of the collection has this line, its marks aside; never for one that is too short."""
        bare = _CHINESE.sub("", line)
        return len(bare) >= SHORTEST and bool(self.lines.has(hashes([bare]))[0])

    def has_gram(self, gram: str) -> bool:
        """Whether these GRAM characters stand in a row, across lines, in a poem of the collection.

        A run that holds a whole line of the poem it stands in is not known as a run: its line is known.
        """
        bare = _CHINESE.sub("", gram)
        return len(bare) == GRAM and bool(self.runs.has(hashes([bare]))[0])

    def has_verse(self, line: str) -> bool:
        """Whether the English verse of the collection has this line of four words or more, marks and case aside."""
        bare = english_line(line)
        return bare.count(" ") >= 3 and bool(self.verse.has(hashes([bare]))[0])

    def copied(self, lines: Sequence[str]) -> NDArray[np.bool_]:
        """For each character of the lines in one row, marks aside: does it stand in a known line or run?"""
        bare = [_CHINESE.sub("", line) for line in lines]
        text = "".join(bare)
        marked = np.zeros(len(text), np.bool_)
        start = 0
        for line in bare:
            if self.has_line(line):
                marked[start : start + len(line)] = True
            start += len(line)
        if len(text) >= GRAM:
            grams = [text[i : i + GRAM] for i in range(len(text) - GRAM + 1)]
            for i in np.nonzero(self.runs.has(hashes(grams)))[0]:
                marked[i : i + GRAM] = True
        return marked


@dataclass(frozen=True)
class State:
    """What was written since the last mark, and the last GRAM - 1 characters, marks aside."""

    line: str = ""
    tail: str = ""


@dataclass(frozen=True)
class NoCopies:
    """Constraint: no character that would complete a known line or run. `decoding.All` joins it with a form's rules."""

    vocabulary: Characters
    origins: Origins
    given: tuple[str, ...] = ()  # lines that the person gave: they may be written, and begun

    @cached_property
    def _codes(self) -> NDArray[np.uint64]:
        """The code point of each token; 0 for specials."""
        first = len(self.vocabulary.specials)
        return np.array([0] * first + [ord(c) for c in self.vocabulary.characters], np.uint64)

    @cached_property
    def _chinese(self) -> NDArray[np.bool_]:
        """Whether each token is a Chinese character."""
        return np.array([c > 0 and not _CHINESE.match(chr(int(c))) for c in self._codes])

    @cached_property
    def _own(self) -> str:
        return "".join(_CHINESE.sub("", line) for line in self.given)

    def start(self) -> State:
        """Nothing is written yet."""
        return State()

    def allowed(self, state: State) -> NDArray[np.bool_]:
        """(V,) bool: marks and specials always; characters that complete nothing known."""
        allowed = np.ones(len(self._codes), np.bool_)
        if len(state.line) + 1 >= SHORTEST and not self._given_line(state.line):
            allowed &= ~self.origins.lines.has(self._completed(state.line)) | ~self._chinese
        if len(state.tail) == GRAM - 1 and state.tail not in self._own:
            allowed &= ~self.origins.runs.has(self._completed(state.tail)) | ~self._chinese
        return allowed

    def advance(self, state: State, token: int) -> State:
        """The state after this token: a mark ends the line."""
        if not self._chinese[token]:
            return State("", state.tail)
        c = chr(int(self._codes[token]))
        return State(state.line + c, (state.tail + c)[-(GRAM - 1) :])

    def finished(self, state: State) -> bool:
        """Never: others say when a poem is whole."""
        return False

    def _given_line(self, line: str) -> bool:
        return bool(line) and any(_CHINESE.sub("", given).startswith(line) for given in self.given)

    def _completed(self, before: str) -> NDArray[np.uint64]:
        """The hash of `before` and each token, (V,)."""
        codes = np.array([[*map(ord, before), 0]], np.uint64)
        return mixed(sums(codes) + self._codes * _FACTORS[len(before) % len(_FACTORS)])
