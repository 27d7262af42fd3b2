"""`poet`: classical Chinese poems of every form, a Transformer that reads one character at a time.

Data: collections of poems (tang-shi, song-shi-regulated, song-ci in the folder or its `text`), or files=. for every
.jsonl and .txt of one's own folder. What a sequence looks like and which controls stand before it: `encode.text`,
`training.verse`. One poem in twenty, by its content, is held out; perplexity is of Chinese characters only (marks are
nearly certain) on the held-out poems that share no line with the training part.

Budget: ≤ 1.5 h on one CPU core; the larger variant (width=512 depth=12 heads=8 tokens=32768 steps=12000) ≤ 25 min on
one data-centre GPU.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from danqing.artwork.request import OnStep
from danqing.recipes import Recipe, shipped
from danqing.techniques import sequence
from danqing.training import language, texts, verse
from danqing.training.run import Run

PROBES = 400  # held-out poems that are looked at while training goes on


@dataclass(frozen=True)
class Config:
    """Settings of one training run."""

    files: str = "tang-shi,song-shi-regulated,song-ci"  # in --data or its `text`; "." is every text in it
    start: str = ""  # weights to go on from: a file, or the name of a model that ships
    architecture: str = "transformer"  # | "lstm" | "gru"
    width: int = 256
    depth: int = 6
    heads: int = 4
    context: int = 192
    dropout: float = 0.0
    tokens: int = 4096  # of a batch
    steps: int = 4000
    minutes: float = 90.0
    checkpoint_s: float = 120.0  # seconds between checkpoints
    rate: float = 6e-3  # peak learning rate
    storage: str = "int8"
    seed: int = 5

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(files=".", width=32, depth=2, heads=2, tokens=256, steps=4, checkpoint_s=0)


def train(config: Config, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Train and save. Returns what `evaluate` returns."""
    book = verse.Anthology.load(root, config.files)
    torch.manual_seed(config.seed)
    model = sequence.build(
        sequence.Config(
            len(book.vocabulary),
            config.width,
            config.depth,
            config.heads,
            config.context,
            architecture=config.architecture,
            dropout=config.dropout,
        )
    )
    if config.start:
        shipped.go_on_from(config.start, model, book.vocabulary)
    stream = texts.Stream(verse.Sequencer(book, config.context), len(book.training), config.tokens, config.seed)
    probes = book.fair()[:PROBES]

    def loss(net: sequence.Model, batch: tuple[Tensor, ...]) -> Tensor:
        return sequence.loss(net, batch[0], batch[1])

    def watch(net: sequence.Model) -> Mapping[str, float]:
        samples = verse.fixed(book, probes, config.context, controlled=False)
        return {"perplexity": language.score(net, samples).perplexity}

    final = language.fit(run, model, language.Lesson(stream.batch, loss, watch), language.plan(config), on_step)
    about = {"topics": sorted(book.words), "themes": sorted(verse.THEMES)}
    language.save(run, final, book.vocabulary, about, config.storage)
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
    """Perplexity of one Chinese character of the held-out poems, from the saved weights: given the form alone, and
    given every control and the title."""
    config = Config(**run.config)
    model, vocabulary, _ = language.load(run.folder / "weights.safetensors")
    book = dataclasses.replace(verse.Anthology.load(root, config.files), vocabulary=vocabulary)
    return perplexities(model, book, book.fair(), config.context)


def perplexities(
    model: sequence.Model, book: verse.Anthology, poems: Sequence[texts.Poem], context: int
) -> dict[str, float]:
    """{"perplexity", "perplexity_controlled"} of these poems."""
    return {
        name: language.score(model, verse.fixed(book, poems, context, controlled)).perplexity
        for name, controlled in (("perplexity", False), ("perplexity_controlled", True))
    }


RECIPE = Recipe(
    name="poet",
    purpose="Classical Chinese poems: regulated verse, ci, old verse, couplets",
    data="a folder with tang-shi, song-shi-regulated and song-ci (.jsonl.xz), or files=. for poems of one's own",
    config=Config,
    train=train,
    evaluate=evaluate,
)
