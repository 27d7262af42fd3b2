"""The words of English verse: their syllables, their rhymes and their stress. Part of the recipe `prosody`.

Words of the lexicon occur often in verse and prose of the public domain; rhymes are those that were seen; stress comes
from `scansion`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from danqing.encode import english, stress
from danqing.recipes import scansion

Works = Sequence[Sequence[str]]  # the lines of each work


def derive(verse: Works, prose: Works, plays: Works = (), least: int = 12) -> dict[str, Any]:
    """What english.json holds, from the training part of the texts. plays: verse that only tells of stress.

    Words of the lexicon occur `least` times in prose and verse; those that may end a rhyming line have their stress on
    the last syllable and were seen to rhyme, by their key, within three lines of one another.
    """
    rows, told = [row for work in verse for row in work], [row for work in prose for row in work]
    table = _words(rows, told, least)
    listed = [word for words in table["words"].values() for word in words.split()]
    known, shares = scansion.derive([*verse, *plays], listed)
    places: dict[str, list[str]] = defaultdict(list)
    for word in listed:
        if known.get(word, 1) != stress.by_rule(word):
            places[str(known[word])].append(word)
    leaning = sorted(english.UNSTRESSED & shares.keys(), key=lambda word: (shares[word], word))
    table["stress"] = {place: " ".join(words) for place, words in sorted(places.items())}
    table["beats"] = {
        "faint": " ".join(word for word in leaning if shares[word] < scansion.FAINT),
        "weak": " ".join(word for word in leaning if shares[word] < scansion.WEAK),
    }
    return table


def _words(verse: Sequence[str], prose: Sequence[str], least: int) -> dict[str, Any]:
    """Everything but the stress."""
    seen = Counter(w.lower().replace("’", "'") for line in [*verse, *prose] for w in english.words(line))
    lower = Counter(w.replace("’", "'") for line in [*verse, *prose] for w in english.words(line) if w.islower())
    ends = [(english.words(line) or [""])[-1].lower().replace("’", "'") for line in verse]
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    base: Counter[str] = Counter()
    for i, word in enumerate(ends):
        base[english.spelled_key(word) if word else ""] += 1
        for other in ends[i + 1 : i + 4]:
            if word and other and word != other:
                votes[word][english.rhyme_key(other)] += 1
                votes[other][english.rhyme_key(word)] += 1
    rhymes = {}
    for word, keys in votes.items():
        own = english.rhyme_key(word)
        best, count = max(keys.items(), key=lambda item: (item[1] / (base[item[0]] + 5), item[0]))
        chance = keys.total() * base[best] / base.total()
        if (
            "-" not in best + own
            and keys[own] <= chance
            and count >= 5
            and count >= 8 * chance
            and count >= 0.15 * keys.total()
        ):
            rhymes[word] = best
    words = sorted(w for w, n in lower.items() if n >= least and n >= 0.5 * seen[w] and "'" not in w and w.isascii())
    usual = Counter(w for line in prose for w in english.words(line) if w.islower())
    words = [w for w in words if (len(w) > 1 and usual[w] >= least // 2) or w == "a"]  # no spellings of Milton's day
    rhyming: dict[str, list[str]] = defaultdict(list)
    for word in words:
        key = rhymes.get(word, english.rhyme_key(word))
        if word not in english.UNSTRESSED and "-" not in key and english.word_syllables(word) <= 2 and votes[word][key]:
            rhyming[key].append(word)
    by_count: dict[str, list[str]] = defaultdict(list)
    for word in words:
        by_count[str(english.word_syllables(word))].append(word)
    return {
        "about": {"made_by": "danqing train prosody", "lines": len(verse), "texts": "public domain in the US"},
        "rhymes": dict(sorted(rhymes.items())),
        "words": {n: " ".join(found) for n, found in sorted(by_count.items())},
        "ends": {key: " ".join(found) for key, found in sorted(rhyming.items()) if len(found) >= 4},
    }
