"""The stress of English words, heard in iambic verse. Part of the recipe `prosody`.

Lines of ten, eight and six syllables have their beats on even places. A line whose other words fit tells of each of
its words whether its odd or its even syllables are stressed, each time without the word's own say, as tones are
estimated from regulated verse; works in which too few words fit (Whitman, trochees, dactyls) are left out. Who votes is
decided by what is known so far, so that it takes a few rounds, from the rules of spelling on.

At the beginning of a line and after a pause poets turn a foot round: votes from there count for less. A word that poets
set both ways is free to stand anywhere.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from danqing.encode import english, stress

LENGTHS = (10, 8, 6)  # syllables of the lines that vote
ROUNDS = 4
FIT = 0.85  # share of a work's words that have to fall on the beat, for its lines to vote
FIRST, PAUSED = 0.1, 0.5  # what a vote is worth at the beginning of a line, after a pause
PRIOR = 2.0  # votes that the rule of spelling has
SURE = 0.72  # share of the votes from which on a word has one place
FEW = 4.0  # votes from which on a word that is not sure is free
WEAK, FAINT = 0.55, 0.25  # share of beats below which a function word of one syllable is weak, hardly has a beat
OFTEN = 60  # places of a word of one syllable, for it to be called weak
_TOKEN = re.compile(r"[A-Za-zÀ-ÿ]+(?:['’][A-Za-z]+)*|[,.;:!?()—]|--+")


@dataclass(frozen=True)
class Placed:
    """A word in its line."""

    word: str
    start: int  # the place of its first syllable, from 1
    count: int  # syllables
    paused: bool  # a mark stands before it


@dataclass
class Votes:
    """What verse says of the words of several syllables, and of those of one."""

    odd: dict[str, float] = field(default_factory=lambda: defaultdict(float))  # for the 1st, 3rd, 5th being stressed
    even: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    beats: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # words of one syllable on even places
    places: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # and anywhere


def placed(line: str) -> list[Placed]:
    """The words of a line where they stand."""
    found, at, paused = list[Placed](), 1, False
    for token in _TOKEN.findall(line):
        if not token[0].isalpha():
            paused = bool(found)
            continue
        count = english.word_syllables(token)
        found.append(Placed(token.lower().replace("’", "'"), at, count, paused))
        at, paused = at + count, False
    return found


def lines(work: Sequence[str]) -> list[list[Placed]]:
    """The lines of a work that have a length that votes."""
    rows = [placed(row) for row in work]
    return [row for row in rows if sum(word.count for word in row) in LENGTHS]


def count(works: Iterable[Sequence[list[Placed]]], known: Mapping[str, int]) -> Votes:
    """One round. known: the stressed syllable of each word as it is believed now; 0 for either."""
    votes = Votes()
    for work in works:
        fits = [[(w, _fit(w, known.get(w.word, 0))) for w in row] for row in work]
        told = [fit for row in fits for _, fit in row if fit is not None]
        if sum(told) < FIT * len(told) or len(told) < 3:
            continue
        for row in fits:
            for number, (word, _) in enumerate(row):
                others = [fit for k, (_, fit) in enumerate(row) if k != number and fit is not None]
                if all(others):
                    _vote(votes, word)
    return votes


def _fit(word: Placed, place: int) -> bool | None:
    """Whether a word has its stress on the beat; None where that says nothing."""
    if word.count == 1 or not place or ((word.start == 1 or word.paused) and place == 1):
        return None
    return (word.start + place) % 2 == 1


def _vote(votes: Votes, word: Placed) -> None:
    if word.count == 1:
        votes.places[word.word] += word.start > 1
        votes.beats[word.word] += word.start % 2 == 0
        return
    worth = FIRST if word.start == 1 else PAUSED if word.paused else 1.0
    (votes.even if word.start % 2 else votes.odd)[word.word] += worth


def decide(word: str, votes: Votes, known: Mapping[str, int]) -> int:
    """The stressed syllable of a word: what its votes and the rule of spelling agree on; 0 for either."""
    rule, total = stress.by_rule(word, known), english.word_syllables(word)
    odd, even = votes.odd.get(word, 0.0), votes.even.get(word, 0.0)
    if odd + even >= FEW and max(odd, even) < SURE * (odd + even):
        return 0
    lean = odd - even + (PRIOR if rule % 2 else -PRIOR)
    if not lean or (lean > 0) == rule % 2:
        return rule
    near = [place for place in range(1, total + 1) if place % 2 == (lean > 0)]
    return min(near, key=lambda place: (abs(place - rule), place))


def derive(works: Sequence[Sequence[str]], lexicon: Iterable[str]) -> tuple[dict[str, int], dict[str, float]]:
    """(stressed syllable of each word, 0 for either; share of beats of each frequent word of one syllable)."""
    verse = [lines(work) for work in works]
    words = {w.word for work in verse for row in work for w in row if w.count > 1}
    words |= {word for word in lexicon if english.word_syllables(word) > 1}
    ordered = sorted(words, key=lambda word: (len(word), word))  # stems before what is made of them
    known = {word: stress.by_rule(word) for word in ordered}
    votes = Votes()
    for _ in range(ROUNDS):
        votes = count(verse, known)
        known = {word: decide(word, votes, {}) for word in ordered}
    shares = {word: votes.beats[word] / n for word, n in votes.places.items() if n >= OFTEN}
    return known, shares
