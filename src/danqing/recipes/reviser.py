"""`reviser`: fills gaps in classical poems, a Transformer that sees both sides of a gap (after Devlin et al. 2019).

It proposes another line where a person wants one revised, or the missing characters of a line. Data, vocabulary and
controls are `poet`'s. In training one or two whole lines are hidden most of the time, else a short span or single
characters. Measured on the held-out poems that share no line with the training part: perplexity of a character of one
hidden line, all of its characters hidden at once, the rest of the poem and its form known. start=poet begins with the
poet's embedding and first blocks: from nothing, a masked model of this size learns little in the time.

Budget: ≤ 30 min on one CPU core; the larger variant (width=512 depth=8 heads=8 tokens=32768 steps=8000) ≤ 25 min on one
data-centre GPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from danqing.artwork.request import OnStep
from danqing.encode.text import PAD, TEXT, Controls
from danqing.recipes import Recipe, shipped
from danqing.techniques import sequence
from danqing.training import language, texts, verse
from danqing.training.run import Run
from danqing.training.texts import Poem, Sample

PROBES = 400  # held-out poems that are looked at while training goes on


@dataclass(frozen=True)
class Config:
    """Settings of one training run."""

    files: str = "tang-shi,song-shi-regulated,song-ci"  # in --data or its `text`; "." is every text in it
    start: str = ""  # weights to go on from: a file, or the name of a model that ships, such as poet
    width: int = 256
    depth: int = 3
    heads: int = 4
    context: int = 160
    tokens: int = 4096  # of a batch
    steps: int = 2000
    minutes: float = 30.0
    checkpoint_s: float = 120.0  # seconds between checkpoints
    rate: float = 6e-3  # peak learning rate
    storage: str = "int8"
    seed: int = 8

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(files=".", width=32, depth=2, heads=2, tokens=256, steps=4, checkpoint_s=0)


@dataclass(frozen=True)
class Hider:
    """Makes samples whose weights are 1 at the characters that are hidden."""

    sequencer: verse.Sequencer

    def __call__(self, number: int, rng: np.random.Generator) -> list[Sample]:
        """One poem with some of its controls and something hidden."""
        poem = self.sequencer.book.training[number]
        controls = self.sequencer.thinned(self.sequencer.controls(poem), rng)
        if rng.random() < 0.5:
            topics = self.sequencer.topics(poem.text, poem.title, verse.themes_of(poem), rng)
            controls = replace(controls, topics=topics)
        sample = self.sequencer.sample(controls, poem.lines)
        lines = self.lines(sample)
        kind = rng.random()
        if kind < 0.65:  # whole lines
            count = min(len(lines), int(rng.integers(1, 3)))
            chosen = np.concatenate([lines[i] for i in rng.choice(len(lines), count, replace=False)])
        elif kind < 0.85:  # a span within a line
            line = lines[int(rng.integers(len(lines)))]
            length = int(rng.integers(1, len(line) + 1))
            start = int(rng.integers(0, len(line) - length + 1))
            chosen = line[start : start + length]
        else:  # single characters
            every = np.concatenate(lines)
            chosen = every[rng.random(len(every)) < rng.uniform(0.1, 0.4)]
        return [hidden(sample, chosen if len(chosen) else lines[0])]

    def lines(self, sample: Sample) -> list[NDArray[np.int64]]:
        """The places of the tokens of each line of the text: runs of Chinese characters."""
        v = self.sequencer.book.vocabulary
        first = sample.tokens.index(v.id(TEXT)) + 1
        found: list[list[int]] = [[]]
        for place in range(first, len(sample.tokens)):
            token = v.token(sample.tokens[place])
            if len(token) == 1 and texts.segments(token):
                found[-1].append(place)
            elif found[-1]:
                found.append([])
        return [np.array(places) for places in found if places] or [np.array([len(sample.tokens) - 1])]


def hidden(sample: Sample, places: NDArray[np.int64]) -> Sample:
    """The sample with weight 1 at these places and 0 elsewhere."""
    weights = np.zeros(len(sample.tokens) - 1)
    weights[places - 1] = 1.0
    return Sample(sample.tokens, weights.tolist())


def _loss(model: sequence.Model, tokens: Tensor, weights: Tensor, mask: int, empty: int) -> Tensor:
    """tokens (B, T + 1) int64; weights (B, T), above 0 where a token is hidden."""
    gaps = torch.zeros(tokens.shape, dtype=torch.bool, device=tokens.device)
    gaps[:, 1:] = weights > 0
    return sequence.masked_loss(model, tokens, gaps, mask, tokens != empty)


def train(config: Config, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Train and save. Returns what `evaluate` returns."""
    book = verse.Anthology.load(root, config.files)
    v = book.vocabulary
    torch.manual_seed(config.seed)
    model = sequence.build(
        sequence.Config(len(v), config.width, config.depth, config.heads, config.context + 1, causal=False)
    )
    if config.start:
        shipped.go_on_from(config.start, model, v)
    hider = Hider(verse.Sequencer(book, config.context))
    stream = texts.Stream(hider, len(book.training), config.tokens, config.seed)
    mask, empty = v.id(verse.MASK), v.id(PAD)
    probes = list(_one_line_hidden(hider, book.fair()[:PROBES]))

    def loss(net: sequence.Model, batch: tuple[Tensor, ...]) -> Tensor:
        return _loss(net, batch[0], batch[1], mask, empty)

    def watch(net: sequence.Model) -> Mapping[str, float]:
        return {"perplexity_line": _score(net, probes, mask, empty).perplexity}

    final = language.fit(run, model, language.Lesson(stream.batch, loss, watch), language.plan(config), on_step)
    language.save(run, final, v, {"mask": verse.MASK}, config.storage)
    measured = evaluate(run, root)
    language.report(
        run,
        measured,
        held_out_sha256=texts.fingerprint(book.fair()),
        held_out_poems=len(book.fair()),
        parameters=sum(p.numel() for p in final.parameters()),
    )
    return measured


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """Perplexity of one character of a hidden line, from the saved weights."""
    config = Config(**run.config)
    model, vocabulary, _ = language.load(run.folder / "weights.safetensors")
    book = replace(verse.Anthology.load(root, config.files), vocabulary=vocabulary)
    hider = Hider(verse.Sequencer(book, config.context))
    samples = list(_one_line_hidden(hider, book.fair()))
    score = _score(model, samples, vocabulary.id(verse.MASK), vocabulary.id(PAD))
    return {"perplexity_line": score.perplexity}


def _one_line_hidden(hider: Hider, poems: Sequence[Poem]) -> Iterator[Sample]:
    """Each poem, its form before it, with one of its lines hidden: which, follows from its content."""
    for poem in poems:
        sample = hider.sequencer.sample(Controls(poem.form), poem.lines)
        lines = hider.lines(sample)
        yield hidden(sample, lines[int(poem.sha256[8:16], 16) % len(lines)])


@torch.no_grad()
def _score(model: sequence.Model, samples: Sequence[Sample], mask: int, empty: int) -> language.Score:
    model.eval()
    nats, count = 0.0, 0
    ordered = sorted(samples, key=lambda s: len(s.tokens))
    for start in range(0, len(ordered), 64):
        tokens, weights = texts.pad(ordered[start : start + 64])
        here = int(weights.sum())
        nats += float(_loss(model, tokens, weights, mask, empty)) * here
        count += here
    return language.Score(nats, count)


RECIPE = Recipe(
    name="reviser",
    purpose="Fills gaps in classical Chinese poems: revises lines that a person names",
    data="a folder with tang-shi, song-shi-regulated and song-ci (.jsonl.xz), or files=. for poems of one's own",
    config=Config,
    train=train,
    evaluate=evaluate,
)
