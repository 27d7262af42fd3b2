"""`folk`: single melodies with chord symbols, reels, jigs, hornpipes, waltzes, airs, by a Transformer over tokens.

Data: ABC collections: the Nottingham database and, from music21's corpus (installed, or its wheel beside the other
data), O'Neill 1850, Ryan and Aird. A tune and its variants (by shared runs of intervals, in whatever key) are on one
side of the split; a tenth of the tunes is held out. What a sequence looks like: `encode.tunes`. Measured: nats of one
token, controls not counted, chords included where the tune has them; told neither tonic nor kind, and told both.

Budget: ≤ 1 h on one CPU core; the larger variant (width=384 depth=8 heads=8 tokens=32768 steps=4000) ≤ 15 min on one
data-centre GPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from danqing.artwork.request import OnStep
from danqing.encode import tunes
from danqing.recipes import Recipe
from danqing.techniques import sequence
from danqing.training import folk, language, texts
from danqing.training.run import Run

EMA = 0.99  # of the averaged weights: a run has few steps
PROBES = 120  # held-out tunes that are looked at while training goes on


@dataclass(frozen=True)
class Config:
    """Settings of one training run."""

    files: str = "nottingham-folk-abc,music21"  # in --data or its `music`; "." is every .abc, .zip and .whl in it
    architecture: str = "transformer"  # | "lstm" | "gru"
    width: int = 192
    depth: int = 5
    heads: int = 6
    context: int = 512
    dropout: float = 0.1
    tokens: int = 4096  # of a batch
    steps: int = 1500
    minutes: float = 60.0
    checkpoint_s: float = 120.0  # seconds between checkpoints
    rate: float = 5e-3  # peak learning rate
    storage: str = "int8"
    seed: int = 13

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(files=".", width=32, depth=1, heads=2, tokens=512, steps=4, checkpoint_s=0)


def train(config: Any, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Train and save. Returns what `evaluate` returns."""
    book = folk.Tunes.load(root, config.files)
    torch.manual_seed(config.seed)
    about = sequence.Config(
        len(tunes.VOCABULARY),
        config.width,
        config.depth,
        config.heads,
        config.context,
        architecture=config.architecture,
        dropout=config.dropout,
    )
    stream = texts.Stream(folk.Sequencer(book.training, config.context), len(book.training), config.tokens, config.seed)
    probes = folk.fixed(book.held[:PROBES], config.context, told=False)

    def loss(net: sequence.Model, batch: tuple[Tensor, ...]) -> Tensor:
        return sequence.loss(net, batch[0], batch[1])

    def watch(net: sequence.Model) -> Mapping[str, float]:
        score = language.score(net, probes)
        return {"nats_per_token": score.nats / max(1, score.count)}

    plan = replace(language.plan(config), watch_every=200, ema=EMA)
    lesson = language.Lesson(stream.batch, loss, watch)
    final = language.fit(run, sequence.build(about), lesson, plan, on_step)
    language.save(run, final, tunes.VOCABULARY, {}, config.storage)
    measured = evaluate(run, root)
    language.report(
        run,
        measured,
        held_out_sha256=book.fingerprint,
        held_out_tunes=len(book.held),
        training_tunes=len(book.training),
        left_out=book.left_out,
        parameters=sum(p.numel() for p in final.parameters()),
    )
    return measured


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """Nats of one token of the held-out tunes, from the saved weights."""
    model, _, _ = language.load(run.folder / "weights.safetensors")
    book = folk.Tunes.load(root, run.config["files"])
    return nats(model, book.held, run.config["context"])


def nats(model: sequence.Model, held: Sequence[tunes.Tune], context: int) -> dict[str, float]:
    """{"nats_per_token", "nats_per_token_told"} of these tunes."""
    scores = {told: language.score(model, folk.fixed(held, context, told)) for told in (False, True)}
    names = {False: "nats_per_token", True: "nats_per_token_told"}
    return {names[told]: score.nats / max(1, score.count) for told, score in scores.items()}


RECIPE = Recipe(
    name="folk",
    purpose="Folk tunes with chord symbols: reels, jigs, hornpipes, waltzes and more, in any key and mode",
    data="a folder with nottingham-folk-abc.zip, music21 installed or its wheel there, or files=. for ABC of one's own",
    config=Config,
    train=train,
    evaluate=evaluate,
)
