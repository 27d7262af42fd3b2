"""English forms that a poem cannot leave: syllables, beat and rhymes kept word by word, over any byte-pair vocabulary.

While a form is kept, words come from a lexicon (some 9,000 from public-domain verse and prose) whose syllables, rhymes
and stress `english` and `stress` know; their pieces form a trie, so that a model still chooses freely among all words
that can stand next. A word may stand where the rest of its line can still be filled, the last one where its rhyme has
words left: nothing gets stuck. What is guaranteed holds by those rules, which say how often they are right.

The beat of an iambic line falls on its even places. A word of several syllables stands where its stressed syllable has
a beat (the syllables two away from it then have one too); the first foot may be turned round (`heavy the`, `out of
the`). Of function words that lean away from the beat no two have one in a row, and the lightest (the, a, my) have none.
Other words of one syllable may stand anywhere but right after a weak beat (`and I feel like`), where a light one may:
some word of one syllable fits every place, which is why every line can be filled.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from danqing.encode import english, stress
from danqing.errors import BadRequest, UnknownName

Mask = NDArray[np.bool_]
_MIDDLE, _FINAL, _LAST = ",;:", ",.;:!?", ".!?"  # marks inside a line, at its end, at the end of the poem
_ENOUGH = 3  # words of one syllable, told apart by ear, that a rhyme must have, beyond those it needs
_RHYMES = 20  # rhymes that have to be open where pieces are read as the words they are (_Trie.sincere)


@dataclass(frozen=True)
class Requirement:
    """What one line has to be."""

    syllables: int  # exactly; 0 for free verse
    rhyme: str = ""  # lines with the same letter rhyme
    gap: bool = False  # an empty line comes before it
    iambic: bool = False  # even places have the beat


@dataclass(frozen=True)
class EnglishForm:
    """A form: its name, what it is, its lines."""

    name: str
    about: str
    lines: tuple[Requirement, ...]


def _lines(
    scheme: str, counts: Sequence[int], gaps: Sequence[int] = (), iambic: bool = True
) -> tuple[Requirement, ...]:
    """One line for each letter of the scheme; `-` rhymes with none."""
    return tuple(
        Requirement(counts[i % len(counts)], "" if letter == "-" else letter, i in gaps, iambic)
        for i, letter in enumerate(scheme)
    )


_SONNET = _lines("ABABCDCDEFEFGG", (10,), (4, 8, 12))
FORMS: Mapping[str, EnglishForm] = {
    form.name: form
    for form in (
        EnglishForm("sonnet", "fourteen iambic lines of ten syllables, ABAB CDCD EFEF GG", _SONNET),
        EnglishForm("quatrain", "a ballad stanza: 8, 6, 8 and 6 syllables, iambic, ABCB", _lines("-A-A", (8, 6))),
        EnglishForm("ballad", "three ballad stanzas", _lines("-A-A-B-B-C-C", (8, 6), (4, 8))),
        EnglishForm("couplet", "two iambic lines of ten syllables that rhyme", _lines("AA", (10,))),
        EnglishForm("haiku", "three lines of 5, 7 and 5 syllables", _lines("---", (5, 7, 5), iambic=False)),
        EnglishForm("verse", "free verse: nothing but its lines", (Requirement(0),)),
    )
}


def form(name: str) -> EnglishForm:
    """The form of this name. Raises UnknownName with the nearest one."""
    if name not in FORMS:
        raise UnknownName("form", name, FORMS, f"the English forms: {', '.join(FORMS)}")
    return FORMS[name]


def fits(line: str, wanted: Requirement, rhymes_with: Sequence[str] = ()) -> tuple[str, ...]:
    """What keeps a line from being what is wanted, in words; nothing where it is.

    rhymes_with: the lines of the same letter that stand already.
    """
    found = []
    count = english.syllables(line)
    if wanted.syllables and count != wanted.syllables:
        found.append(f"it has {count} syllables, not {wanted.syllables}")
    elif wanted.iambic:
        found += [f"{word} is stressed off the beat" for word in _off_beat(line)]
    own = english.words(line)[-1:]
    for other in rhymes_with if wanted.rhyme else ():
        last = english.words(other)[-1:]
        if not own or not last or english.rhyme_key(own[0]) != english.rhyme_key(last[0]):
            found.append(f"{''.join(own)} does not rhyme with {''.join(last)}")
        elif own[0].casefold() == last[0].casefold():
            found.append(f"{own[0]} comes twice at the end")
    return tuple(found)


def _off_beat(line: str) -> list[str]:
    """The words of an iambic line whose stress has no beat."""
    found, start = [], 1
    for word in english.words(line):
        count, place = english.word_syllables(word), stress.place(word)
        if count > 1 and not _stands(count, place, start):
            found.append(word)
        start += count
    return found


def _stands(count: int, place: int, start: int) -> bool:
    """Whether a word of several syllables, stressed at `place` (0: anywhere), may begin at this place of its line."""
    turned = start == 1 and place == 1 and count <= 3  # longer words have a second stress, which would be off the beat
    return not place or (start + place) % 2 == 1 or turned


def faults(lines: Sequence[str], form: EnglishForm) -> tuple[str, ...]:
    """Where a poem leaves its form, in words; empty lines are passed over."""
    filled = [line for line in lines if line.strip()]
    if form.lines[0].syllables and len(filled) != len(form.lines):
        return (f"{form.name} has {len(form.lines)} lines, not {len(filled)}",)
    found = []
    for i, (line, wanted) in enumerate(zip(filled, form.lines, strict=False)):
        earlier = [filled[k] for k in range(i) if form.lines[k].rhyme == wanted.rhyme]
        found += [f"line {i + 1}: {fault}" for fault in fits(line, wanted, earlier)]
    return tuple(found)


# --- decoding ---------------------------------------------------------------------------------------------------------


class Vocabulary(Protocol):
    """What is needed of a vocabulary of pieces."""

    def __len__(self) -> int: ...
    def __hash__(self) -> int: ...
    def has(self, special: str) -> bool:
        """Whether this special token is there."""
        ...

    def id(self, special: str) -> int:
        """The token of a special."""
        ...

    def encode(self, text: str) -> list[int]:
        """The pieces of a text."""
        ...


@dataclass
class _Node:
    """A place in the trie: a run of pieces that some words begin with."""

    children: dict[int, int] = field(default_factory=dict)
    word: int = -1  # the word that ends here
    first: int = 0  # the words below it, as a range of the trie's order
    last: int = 0
    tokens: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    ranges: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))


class _Trie:
    """The pieces of all words of the lexicon."""

    def __init__(self, words: Sequence[str], spelled: Sequence[Sequence[int]]) -> None:
        self.nodes = [_Node()]
        for number, pieces in enumerate(spelled):
            at = 0
            for piece in pieces:
                if piece not in self.nodes[at].children:
                    self.nodes[at].children[piece] = len(self.nodes)
                    self.nodes.append(_Node())
                at = self.nodes[at].children[piece]
            self.nodes[at].word = number
        self.order: list[int] = []  # words, in the order in which the trie is walked
        self.within: NDArray[np.int64] = np.full(
            len(words), -1
        )  # the longest other word that a word's pieces go through
        self._walk(0, -1)

    def _walk(self, at: int, through: int) -> None:
        node = self.nodes[at]
        node.first = len(self.order)
        if node.word >= 0:
            self.order.append(node.word)
            self.within[node.word] = through
            through = node.word
        for child in node.children.values():
            self._walk(child, through)
        node.last = len(self.order)
        below = [(token, self.nodes[child].first, self.nodes[child].last) for token, child in node.children.items()]
        node.tokens = np.array([token for token, _, _ in below], np.int64)
        node.ranges = np.array([[a, b] for _, a, b in below], np.int64).reshape(-1, 2)

    def sincere(self, good: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The good words whose pieces go through no word that is not good.

        A model that begins with the piece `the` means the article; where it may not stand, it should not be made to
        write `theory` instead.
        """
        while True:
            kept: NDArray[np.bool_] = good & ((self.within < 0) | good[self.within])
            if (kept == good).all():
                return kept
            good = kept


@dataclass(frozen=True)
class _Lexicon:
    """The words and their pieces in one vocabulary."""

    words: tuple[str, ...]
    syllables: NDArray[np.int64]
    loose: NDArray[np.bool_]  # may not end a line
    weak: NDArray[np.bool_]  # of one syllable, that have no two beats in a row
    faint: NDArray[np.bool_]  # those that have none
    places: NDArray[np.int64]  # the stressed syllable, 0 for either
    stands: tuple[NDArray[np.bool_], ...]  # on even places, on odd ones, at the beginning, by their own stress
    keys: Mapping[str, NDArray[np.bool_]]  # rhyme → which words have it
    begin: _Trie  # with a capital, at the beginning of a line
    inside: _Trie  # after a space


@functools.lru_cache(maxsize=4)
def _lexicon(vocabulary: Vocabulary) -> _Lexicon:
    table = english.table()
    counts = {word: int(n) for n, listed in table["words"].items() for word in listed.split() if int(n) <= 4}
    counts["I"] = 1
    words = tuple(sorted(counts))
    ends = {key: frozenset(listed.split()) for key, listed in table["ends"].items()}
    weak, faint = stress.weak(), stress.faint()
    places = [stress.place(w) for w in words]
    return _Lexicon(
        words,
        np.array([counts[w] for w in words]),
        np.array([w in english.UNSTRESSED or w == "I" for w in words]),
        np.array([w.lower() in weak for w in words]),
        np.array([w in faint for w in words]),
        np.array(places),
        tuple(
            np.array(
                [counts[w] == 1 or _stands(counts[w], place, start) for w, place in zip(words, places, strict=True)]
            )
            for start in (2, 3, 1)
        ),
        {key: np.array([w in listed for w in words]) for key, listed in ends.items()},
        _Trie(words, [vocabulary.encode(w[0].upper() + w[1:]) for w in words]),
        _Trie(words, [vocabulary.encode(" " + w) for w in words]),
    )


_STRONG, _WEAK, _OPENED = 0, 1, 2  # the last beat; _OPENED: a word of one syllable began the line and may turn its foot


class MeterState(NamedTuple):
    """How far a poem has come."""

    line: int
    left: int  # syllables that the line still wants, without the word that is being written
    trie: int  # 0: a capital comes, 1: words after a space
    node: int  # place in the trie, 0 before a word
    keys: tuple[tuple[str, str], ...] = ()  # letter → rhyme
    used: frozenset[int] = frozenset()  # words that rhymed already
    ended: int = 0  # 1: a mark closed the line, 2: the line is broken and an empty one comes
    paused: bool = False  # the last token was a mark inside the line
    beat: int = _STRONG  # what has the last beat before the word that is being written


class Meter:
    """Keeps an English form: a `Constraint` as techniques/decoding.py asks for."""

    def __init__(self, form: EnglishForm, vocabulary: Vocabulary, acrostic: str = "") -> None:
        if not form.lines[0].syllables:
            raise BadRequest(f"{form.name} has no form to keep; write it without one")
        letters = [c for c in acrostic if not c.isspace()]
        if len(letters) > len(form.lines):
            raise BadRequest(f"the acrostic has {len(letters):,} letters and a {form.name} {len(form.lines)} lines; "
                             f"shorten the one or choose a longer form")  # fmt: skip
        self.form, self.size, self.name, self.count = form, len(vocabulary), form.name, len(form.lines)
        self.lexicon = _lexicon(vocabulary)
        self._letters = [c.casefold() for c in letters]
        self.end = vocabulary.id("<end>") if vocabulary.has("<end>") else -1
        self._break = vocabulary.encode("\n")[0]
        self._middle = [vocabulary.encode(c)[0] for c in _MIDDLE]
        self._final = [vocabulary.encode(c)[0] for c in _FINAL]
        self._last = [vocabulary.encode(c)[0] for c in _LAST]
        self._tries = (self.lexicon.begin, self.lexicon.inside)
        self._order = [np.array(trie.order) for trie in self._tries]
        short = self.lexicon.syllables == 1
        plain = short & (self.lexicon.inside.within < 0)
        open_ = sum(self._sounds(m & plain) >= 2 + _ENOUGH for m in self.lexicon.keys.values())
        self._sincere = open_ >= _RHYMES  # a vocabulary of hardly more than letters has too few
        fit = plain if self._sincere else short
        self._short = {k: self._sounds(m & fit) for k, m in self.lexicon.keys.items()}
        self._sums: dict[tuple[object, ...], NDArray[np.int64]] = {}
        self.notes: tuple[str, ...] = ()
        opening = self.lexicon.stands[2] | np.bool_(not form.lines[0].iambic)
        opening = self.lexicon.begin.sincere(opening) if self._sincere else opening
        first = {w[0].casefold() for w, good in zip(self.lexicon.words, opening, strict=True) if good}
        if unknown := [c for c in self._letters if c not in first]:
            raise BadRequest(
                f"no line can begin with {' '.join(dict.fromkeys(unknown))}: no word that the model knows does so in "
                f"this metre. Lines can begin with: {' '.join(sorted(c for c in first if c.isalpha()))}"
            )

    def start(self) -> MeterState:
        """The state before the first token."""
        return MeterState(0, self.form.lines[0].syllables, 0, 0)

    def finished(self, state: MeterState) -> bool:
        """Whether all lines are there."""
        return state.line >= len(self.form.lines)

    def allowed(self, state: MeterState) -> Mask:
        """The tokens that may come next: (V,) bool, never empty."""
        mask = np.zeros(self.size, np.bool_)
        if self.finished(state):
            mask[self.end] = self.end >= 0
            return mask
        if state.ended:
            mask[self._break] = True
            return mask
        trie = self._tries[state.trie]
        node = trie.nodes[state.node]
        self._open(mask, node, self._feasible(state))
        if node.word >= 0 and self._can_end(state, node.word):
            after = self._after(state, node.word)
            if after.left:
                self._open(mask, self.lexicon.inside.nodes[0], self._feasible(after))
                mask[self._middle] = (
                    after.left > 1 and not self.lexicon.loose[node.word]
                )  # not "the, sea", nor "the sea, bee"
            else:
                mask[self._final if state.line < len(self.form.lines) - 1 else self._last] = True
                mask[self._break] |= state.line < len(self.form.lines) - 1  # the last line ends in a mark
        return mask

    def advance(self, state: MeterState, token: int) -> MeterState:
        """The state after `token`, one of those that `allowed` has."""
        if self.finished(state):
            return state
        if state.ended:
            return self._next_line(state, broken=True)
        node = self._tries[state.trie].nodes[state.node]
        if token in node.children:
            return state._replace(node=node.children[token], paused=False)
        after = self._after(state, node.word)
        if after.left:
            if token in self._middle:
                return after._replace(paused=True)
            return after._replace(node=self.lexicon.inside.nodes[0].children[token])
        closed = self._rhymed(state, node.word)
        if token in self._final:
            if state.line == len(self.form.lines) - 1:
                return closed._replace(line=state.line + 1)
            return closed._replace(ended=1)
        return self._next_line(closed, broken=True)

    # --- how it is worked out -----------------------------------------------------------------------------------------

    def _next_line(self, state: MeterState, broken: bool) -> MeterState:
        line = state.line + 1
        if line >= len(self.form.lines):
            return state._replace(line=line)
        if self.form.lines[line].gap and broken and state.ended != 2:
            return state._replace(ended=2)
        return MeterState(line, self.form.lines[line].syllables, 0, 0, state.keys, state.used)

    def _open(self, mask: Mask, node: _Node, sums: NDArray[np.int64]) -> None:
        """Allow the pieces below a node that lead to a word that may stand here."""
        good = sums[node.ranges[:, 1]] > sums[node.ranges[:, 0]]
        mask[node.tokens[good]] = True

    def _can_end(self, state: MeterState, word: int) -> bool:
        """Whether this word, which just came to an end, may stand here."""
        order = self._order[state.trie]
        sums = self._feasible(state)
        place = int(np.flatnonzero(order == word)[0])
        return bool(sums[place + 1] > sums[place])

    def _after(self, state: MeterState, word: int) -> MeterState:
        """The state where this word has come to its end and the next one is to begin."""
        count, lexicon = int(self.lexicon.syllables[word]), self.lexicon
        start = self.form.lines[state.line].syllables - state.left + 1
        beat = state.beat
        if count > 1:
            last = count - (start + count - 1) % 2  # the syllable that has the word's last beat
            beat = _STRONG if lexicon.places[word] in (0, last) else _WEAK  # a second stress, or a turned foot
        elif start % 2 == 0:
            beat = _WEAK if lexicon.weak[word] else _STRONG
        elif start == 1 and not lexicon.weak[word]:
            beat = _OPENED
        return state._replace(left=state.left - count, trie=1, node=0, beat=beat, paused=False)

    def _feasible(self, state: MeterState) -> NDArray[np.int64]:
        """Running count, in the trie's order, of the words that may stand where the line has come to."""
        wanted, trie = self.form.lines[state.line], state.trie
        known = dict(state.keys).get(wanted.rhyme, "")
        taken = tuple(sorted(key for _, key in state.keys)) if wanted.rhyme and not known else ()
        used = state.used if wanted.rhyme else frozenset()
        letter = self._letters[state.line] if trie == 0 and state.line < len(self._letters) else ""
        start = wanted.syllables - state.left + 1
        place = 0 if not wanted.iambic else 1 if start == 1 else 2 + start % 2
        about = (state.left, trie, bool(wanted.rhyme), known, taken, used, letter, place, state.beat)
        if about not in self._sums:
            if len(self._sums) > 3000:
                self._sums.clear()
            good = self._words(state.left, wanted, known, taken, used)
            if wanted.iambic:
                good = good & self._on_beat(start, state.beat)
            if self._sincere:
                good = self._tries[trie].sincere(good)
            if letter:
                good = good & np.array([w[0].casefold() == letter for w in self.lexicon.words])
            self._sums[about] = np.concatenate([[0], np.cumsum(good[self._order[trie]])])
        return self._sums[about]

    def _words(
        self, left: int, wanted: Requirement, known: str, taken: Sequence[str], used: frozenset[int]
    ) -> NDArray[np.bool_]:
        """Which words may stand where so many syllables are left."""
        lexicon = self.lexicon
        last = lexicon.syllables == left
        if wanted.rhyme:
            ends = np.zeros(len(lexicon.words), np.bool_)
            need = sum(line.rhyme == wanted.rhyme for line in self.form.lines)
            for key in (known,) if known else self._short:
                if known or (key not in taken and self._short[key] >= need + _ENOUGH):
                    ends |= lexicon.keys[key]
            ends[list(used)] = False
        else:
            ends = ~lexicon.loose
        good: NDArray[np.bool_] = (lexicon.syllables < left) | (last & ends)
        return good

    def _on_beat(self, start: int, beat: int) -> NDArray[np.bool_]:
        """Which words the beat lets begin at this place of a line."""
        lexicon = self.lexicon
        good = lexicon.stands[2 if start == 1 else start % 2]
        if start % 2 == 0:
            return good & ~(lexicon.weak if beat == _WEAK else lexicon.faint & (beat != _OPENED))
        if beat == _WEAK:
            return good & (lexicon.weak | (lexicon.syllables > 1))
        return good

    def _rhymed(self, state: MeterState, word: int) -> MeterState:
        """The state after a line's last word: its rhyme is chosen, the word used."""
        letter = self.form.lines[state.line].rhyme
        if not letter:
            return state
        keys = dict(state.keys)
        if letter not in keys:
            keys[letter] = next(k for k, m in self.lexicon.keys.items() if m[word])
        alike = self._alike(word, keys[letter])
        return state._replace(keys=tuple(sorted(keys.items())), used=state.used | alike)

    def _sounds(self, words: NDArray[np.bool_]) -> int:
        """How many of the words of one rhyme the ear tells apart."""
        return len({english.onset(self.lexicon.words[n]) for n in np.flatnonzero(words)})

    def _alike(self, word: int, key: str) -> frozenset[int]:
        """The word and those that the ear does not tell from it where they rhyme: sea and see."""
        words = self.lexicon.words
        own = english.onset(words[word])
        return frozenset(n for n in np.flatnonzero(self.lexicon.keys[key]).tolist() if english.onset(words[n]) == own)


class FreeState(NamedTuple):
    """How far free verse has come."""

    line: int
    length: int = 0  # tokens of the line


class FreeLines:
    """Free verse over pieces, as a `Constraint`: so many lines of LEAST to LONGEST pieces, none of them mere space."""

    LEAST, LONGEST = 3, 20

    def __init__(self, vocabulary: Any, count: int, never: frozenset[int]) -> None:
        """never: tokens that are no text."""
        self.count = count
        text = np.array([token not in never for token in range(len(vocabulary))])
        breaks, blank = _breaks(vocabulary)
        self._words: Mask = text & ~blank
        self._ends: Mask = text & breaks

    def start(self) -> FreeState:
        """Nothing written yet."""
        return FreeState(0)

    def finished(self, state: FreeState) -> bool:
        """Whether all lines are there."""
        return state.line >= self.count

    def allowed(self, state: FreeState) -> Mask:
        """The tokens that may come next: (V,) bool, never empty."""
        if state.length >= self.LONGEST:
            return self._ends
        return self._words if state.length < self.LEAST else np.logical_or(self._words, self._ends)

    def advance(self, state: FreeState, token: int) -> FreeState:
        """The state after `token`."""
        return FreeState(state.line + 1) if self._ends[token] else FreeState(state.line, state.length + 1)


@functools.lru_cache(maxsize=4)
def _breaks(vocabulary: Any) -> tuple[Mask, Mask]:
    """The tokens that break a line, and those that are nothing but space."""
    texts = [vocabulary.decode([token]) for token in range(len(vocabulary))]
    return np.array(["\n" in text for text in texts]), np.array([not text.strip() for text in texts])
