"""How well the poets know Chinese poems, keep to forms and vary: the figures on the cards of `poet` and `poet_lstm`.

    python benchmarks/poems.py --data ../shared/data                  # everything; about half an hour on two cores
    python benchmarks/poems.py --data ../shared/data --only perplexity,forms,thousand --poems 200

perplexity  of a Chinese character of the held-out poems that share no line with the training part (marks, titles and
            controls are read but not counted): Transformer, LSTM, and an interpolated Kneser-Ney trigram of the same
            characters (Chen & Goodman 1999, three discounts). The trigram is counted twice: as it is, and with the
            marks' share given back to the characters, which favours it, as it need not know where a line ends.
forms       rules kept by poems written with and without the form's constraint, beside real held-out poems.
thousand    regulated poems through `danqing.write`: form kept by the independent judge, distinct-2, repeated
            characters and copied lines against real poems, the topic or one of its ten nearest words present.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from danqing.appraisal import forms as judge
from danqing.artwork.literature import Writing
from danqing.catalog import catalog
from danqing.compute import seed
from danqing.encode import forms
from danqing.encode.prosody import Prosody
from danqing.encode.text import END, UNKNOWN, Characters, Controls, prompt
from danqing.techniques import decoding, sequence
from danqing.training import language, texts, verse
from danqing.training.texts import Poem

FILES = "tang-shi,song-shi-regulated,song-ci"
TOPICS = re.split(  # fifty
    r"\s+",
    "明月 秋 春 雪 梅花 边塞 送别 思乡 怀古 山水 田园 饮酒 中秋 重阳 相思 隐居 江南 长安 西湖 洞庭 "
    "夕阳 落花 杨柳 芙蓉 桃花 菊 竹 松 雁 鹤 杜鹃 扁舟 渔父 僧 剑 琴 酒 笛 梦 泪 "
    "春雨 秋风 夜 寒食 登楼 故人 将军 英雄 白发 天涯",
)
MARKS = "，。、！？；："


# --- the trigram ------------------------------------------------------------------------------------------------------


class Trigram:
    """An interpolated Kneser-Ney model over tokens, with three discounts an order, in numpy."""

    def __init__(self, sequences: Iterable[Sequence[int]], vocabulary: int) -> None:
        self.size = vocabulary
        padded = [token for s in sequences for token in (vocabulary, vocabulary, *s)]
        self.base = vocabulary + 1
        x = np.array(padded, np.int64)
        real = x[2:] < vocabulary  # no n-gram ends in the padding
        grams = ((x[:-2] * self.base + x[1:-1]) * self.base + x[2:])[real]
        keys, counts = np.unique(grams, return_counts=True)
        self.orders = [_Order(keys, counts, self.base)]
        for _ in range(2):  # lower orders count in how many contexts a gram was seen
            last = self.orders[-1]
            shorter, kinds = np.unique(last.keys % self.base ** (2 if len(self.orders) == 1 else 1), return_counts=True)
            self.orders.append(_Order(shorter, kinds, self.base))

    def probability(
        self, one: NDArray[np.int64], two: NDArray[np.int64], word: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """p(word | one two); arrays of tokens, `vocabulary` for the padding before a text."""
        unigram = self.orders[2].discounted(word) + self.orders[2].backoff(np.zeros_like(word)) / self.size
        bigram = self.orders[1].discounted(two * self.base + word) + self.orders[1].backoff(two) * unigram
        context = one * self.base + two
        return self.orders[0].discounted(context * self.base + word) + self.orders[0].backoff(context) * bigram


class _Order:
    """The counts of one length of gram."""

    def __init__(self, keys: NDArray[np.int64], counts: NDArray[np.int64], base: int) -> None:
        self.keys, self.counts = keys, counts
        n = [int((counts == k).sum()) for k in (1, 2, 3, 4)]
        y = n[0] / max(1, n[0] + 2 * n[1])
        discounts = [max(0.0, k + 1 - (k + 2) * y * n[k + 1] / max(1, n[k])) for k in range(3)]
        self.discount = np.array([0.0, *discounts])[np.minimum(counts, 3)]
        self.contexts, where = np.unique(keys // base, return_inverse=True)
        self.totals = np.bincount(where, counts)
        self.kept_back = np.bincount(where, self.discount) / self.totals
        self.shares = (counts - self.discount) / self.totals[where]

    def discounted(self, grams: NDArray[np.int64]) -> NDArray[np.float64]:
        """What is left of the observed share after the discount; 0 where it was never seen."""
        return _looked_up(self.keys, self.shares, grams, 0.0)

    def backoff(self, contexts: NDArray[np.int64]) -> NDArray[np.float64]:
        """The share that goes to the shorter context; all of it where the context was never seen."""
        return _looked_up(self.contexts, self.kept_back, contexts, 1.0)


def _looked_up(
    keys: NDArray[np.int64], values: NDArray[np.float64], asked: NDArray[np.int64], otherwise: float
) -> NDArray[np.float64]:
    place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where(keys[place] == asked, values[place], otherwise)


def trigram_perplexities(book: verse.Anthology, poems: Sequence[Poem], context: int) -> dict[str, float]:
    """The same characters that the networks are measured on: perplexity as it is, and without the marks' share."""
    v = book.vocabulary
    end = v.id(END)
    model = Trigram(([*v.encode(p.text), end] for p in book.training), len(v))
    marks = [v.id(m) for m in MARKS if v.has(m)] + [end]
    nats, nats_given, count = 0.0, 0.0, 0
    for sample in verse.fixed(book, poems, context, controlled=False):
        first = sample.tokens.index(v.id("<text>"))
        text = np.array([len(v), len(v), *sample.tokens[first + 1 :]], np.int64)
        counted = np.array(sample.weights[first:]) > 0
        one, two, word = text[:-2][counted], text[1:-1][counted], text[2:][counted]
        p = model.probability(one, two, word)
        of_marks = sum(model.probability(one, two, np.full_like(one, m)) for m in marks)
        nats -= float(np.log(p).sum())
        nats_given -= float(np.log(p / (1 - of_marks)).sum())
        count += len(p)
    return {"trigram": float(np.exp(nats / count)), "trigram_marks_known": float(np.exp(nats_given / count))}


# --- the sections -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bench:
    """What every section needs."""

    book: verse.Anthology
    fair: list[Poem]  # held out, sharing no line with the training part
    models: dict[str, tuple[sequence.Model, Characters]]  # with the vocabulary of each: controls may differ
    poems: int  # how many are written


def perplexity(bench: Bench) -> dict[str, object]:
    """See the top of the file."""
    found: dict[str, object] = {
        "held_out_poems": len(bench.fair),
        "held_out_sha256": texts.fingerprint(bench.fair),
        **trigram_perplexities(bench.book, bench.fair, 192),
    }
    for name, (model, own) in bench.models.items():
        book = dataclasses.replace(bench.book, vocabulary=own)
        for controlled in (False, True):
            score = language.score(model, verse.fixed(book, bench.fair, 192, controlled))
            found[f"{name}_{'controls' if controlled else 'form_only'}"] = score.perplexity
            found["characters"] = score.count
    return found


def forms_kept(bench: Bench) -> dict[str, object]:
    """Shares of poems that keep each group of rules: real ones, and ours with and without the constraint."""
    sounds, (model, v) = Prosody.load(), bench.models["poet"]
    found: dict[str, object] = {}
    each = max(8, min(bench.poems, 400) // len(verse.REGULATED))
    for form in verse.REGULATED:
        real = [p.text for p in bench.fair if p.form == form][:each]
        free = _written(model, v, form, None, each)
        held = _written(model, v, form, forms.constraint(form, v, sounds), each)
        for name, poems in (("real", real), ("free", free), ("constrained", held)):
            found[f"{form}_{name}"] = rules_kept([judge.judge(text, sounds, form=form) for text in poems])
    return found


def rules_kept(judged: Sequence[judge.Form]) -> dict[str, float]:
    """The share of poems that break none of the rules of a kind, by the kind; "all" is every rule."""
    kinds = sorted({finding.rule for form in judged for finding in form.findings if finding.state == "broken"})
    broken = [{finding.rule for finding in form.broken} for form in judged]
    return {"all": _share(not b for b in broken)} | {k: _share(k not in b for b in broken) for k in kinds}


def _share(answers: Iterable[bool]) -> float:
    told = list(answers)
    return round(sum(told) / max(1, len(told)), 4)


def _written(
    model: sequence.Model, v: object, form: str, constraint: decoding.Constraint | None, count: int
) -> list[str]:
    assert isinstance(v, Characters)
    rule = constraint or decoding.Without(len(v), frozenset({v.id(UNKNOWN)}))
    found: list[str] = []
    for start in range(0, count, 8):
        asked = Controls(form, topics=(TOPICS[start // 8 % len(TOPICS)],))
        samples = decoding.sample(
            model, prompt(v, asked), rule, decoding.Sampling(0.85), 8, seed.generator(1, start), v.id(END), 150
        )
        found += [v.decode(sample.tokens) for sample in samples]
    return found[:count]


def thousand(bench: Bench) -> dict[str, object]:
    """Poems through the door that people use, two and more of each topic and form, seeds counted from 1."""
    import danqing

    sounds = Prosody.load()
    lines = {s for part in (bench.book.training, bench.book.held) for p in part for s in p.segments}
    near = {topic: neighbours(bench.book, topic) for topic in TOPICS}
    written: list[tuple[str, str, str]] = []  # (form, topic, text)
    began = time.perf_counter()
    for number in range(bench.poems):
        topic, form = TOPICS[number % len(TOPICS)], verse.REGULATED[number // len(TOPICS) % 4]
        work = danqing.write(form=form, topic=topic, seed=number + 1)
        content = work.artwork.content
        assert isinstance(content, Writing)
        written.append((form, topic, "".join(content.lines)))
        if number % 50 == 49:
            print(f"  {number + 1} poems, {(time.perf_counter() - began) / (number + 1):.2f} s each", file=sys.stderr)
    judged = [judge.judge(text, sounds, form=form) for form, _, text in written]
    ours = [text for _, _, text in written]
    real = [p.text for p in bench.fair if p.form in verse.REGULATED][: bench.poems]
    return {
        "poems": len(ours),
        "form_kept": _share(form.kept for form in judged),
        "distinct_2": distinct(ours),
        "distinct_2_real": distinct(real),
        "a_character_repeated": _share(map(repeats, ours)),
        "a_character_repeated_real": _share(map(repeats, real)),
        "topic_or_near": _share(any(w in text for w in (topic, *near[topic])) for _, topic, text in written),
        "topic_itself": _share(topic in text for _, topic, text in written),
        "copied_lines": sum(segment in lines for text in ours for segment in texts.segments(text)),
        "seconds_each": round((time.perf_counter() - began) / len(ours), 3),
    }


def distinct(poems: Sequence[str]) -> float:
    """Different pairs of neighbouring characters, as a share of all pairs."""
    pairs = [s[i : i + 2] for text in poems for s in texts.segments(text) for i in range(len(s) - 1)]
    return round(len(set(pairs)) / max(1, len(pairs)), 4)


def repeats(text: str) -> bool:
    """Whether a character stands twice, doubled words (悠悠) aside."""
    plain = re.sub(r"(.)\1", r"\1", "".join(texts.segments(text)))
    return len(set(plain)) < len(plain)


def neighbours(book: verse.Anthology, topic: str, count: int = 10) -> list[str]:
    """The words most bound to the training poems that name the topic in title or text, or have it as their theme.

    Bound: by the log-likelihood ratio of their being there against being in the rest (Dunning 1993).
    """
    pattern = verse.THEMES.get(topic, (re.escape(topic), "", 99))[0]
    inside: Counter[str] = Counter()
    outside: Counter[str] = Counter()
    totals = [0, 0]
    for poem in book.training[:: 1 + len(book.training) // 40_000]:
        there = topic in poem.text or re.search(pattern, poem.title) is not None
        totals[not there] += 1
        (inside if there else outside).update(verse.words_of(poem.text, book.words))
    scores = {}
    for word, seen in inside.items():
        share, rest = seen / totals[0], (outside[word] + 0.5) / max(1, totals[1])
        if word != topic and share > rest:
            scores[word] = seen * np.log(share / rest)
    return sorted(scores, key=lambda w: -scores[w])[:count]


SECTIONS: dict[str, Callable[[Bench], dict[str, object]]] = {
    "perplexity": perplexity,
    "forms": forms_kept,
    "thousand": thousand,
}


def main() -> None:
    """Print one JSON object for each section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default=",".join(SECTIONS))
    parser.add_argument("--poems", type=int, default=1000)
    parser.add_argument("--poet", type=Path, help="a weights file instead of the one that ships")
    parser.add_argument("--lstm", type=Path, help="the same for the LSTM")
    asked = parser.parse_args()
    torch.set_grad_enabled(False)
    book = verse.Anthology.load(asked.data, FILES)
    models = {}
    for name, path in (("poet", asked.poet), ("poet_lstm", asked.lstm)):
        opened = language.load(path) if path else language.restore(*catalog.weights(name))
        models[name] = opened[:2]
        if opened[1].characters != book.vocabulary.characters:
            sys.exit(f"the characters of {name} are not those of {asked.data}; measure it on the data it learned from")
    bench = Bench(book, book.fair(), models, asked.poems)
    for name in asked.only.split(","):
        print(json.dumps({name: SECTIONS[name](bench)}, ensure_ascii=False, indent=1), flush=True)


if __name__ == "__main__":
    main()
