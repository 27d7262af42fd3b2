"""`piano`: piano music after Mozart, Beethoven, Chopin, Haydn, Scarlatti and Joplin, by a Transformer over events.

Data: **kern editions of sonatas, mazurkas, preludes, nocturnes, études, rags. A work, with its movements and editions,
is on one side of the split; a tenth of each composer's works is held out. What a sequence looks like:
`encode.events`, `training.repertoire`. The composer's token is hidden in 15 % of the training windows, so that writing
can be guided toward a composer (`techniques.decoding.Guided`). Measured on the held-out pieces: nats of one token, with
all controls told and with none, and how often the true composer is the one under whom the first windows are likeliest.

Budget: ≤ 45 min on one CPU core; the larger variant (width=384 depth=8 heads=8 tokens=32768 steps=4000) ≤ 15 min on one
data-centre GPU.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from danqing.artwork.request import OnStep
from danqing.encode.text import Characters
from danqing.recipes import Recipe
from danqing.techniques import sequence
from danqing.training import language, piano, repertoire
from danqing.training.repertoire import Hidden, Piece, Repertoire
from danqing.training.run import Run

EMA = 0.99  # of the averaged weights: a run has few steps
PROBES = 24  # held-out windows that are looked at while training goes on
HEARD = 2  # windows of a piece by which its composer is told
MEASURED = 6  # windows of a held-out piece, at most


@dataclass(frozen=True)
class Config:
    """Settings of one training run."""

    files: str = piano.FILES  # .zip archives of **kern in --data or its `music`; "." is every one there
    width: int = 128
    depth: int = 4
    heads: int = 2
    context: int = 384
    dropout: float = 0.05
    tokens: int = 4096  # of a batch
    steps: int = 2400
    minutes: float = 60.0
    checkpoint_s: float = 120.0  # seconds between checkpoints
    rate: float = 5e-3  # peak learning rate
    storage: str = "int8"
    seed: int = 17

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(files=".", width=32, depth=1, heads=2, context=128, tokens=512, steps=4, checkpoint_s=0)


def train(config: Any, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Train and save. Returns what `evaluate` returns."""
    book = piano.load(root, config.files, run.folder / "pieces.npz")
    heads = {repertoire.HEADINGS: repertoire.headings(book.training)}
    return taught(config, book, piano.vocabulary(), run, on_step, about=heads)


Measure = Callable[[Run, Repertoire], dict[str, float]]


def taught(
    config: Any,
    book: Repertoire,
    words: Characters,
    run: Run,
    on_step: OnStep,
    more: Measure | None = None,
    about: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """Train on windows of these pieces and save: what `piano`, `pop` and `jazz` have in common.

    more: what is measured besides. about: what the weights file says besides.
    """
    torch.manual_seed(config.seed)
    shape = sequence.Config(
        len(words), config.width, config.depth, config.heads, config.context, dropout=config.dropout
    )
    stream = repertoire.Windows(book.training, words, config.context, config.tokens, config.seed)
    probes = repertoire.fixed(book.held, words, config.context, most=1)[:PROBES]

    def loss(net: sequence.Model, batch: tuple[Tensor, ...]) -> Tensor:
        return sequence.loss(net, batch[0], batch[1])

    def watch(net: sequence.Model) -> Mapping[str, float]:
        score = language.score(net, probes)
        return {"nats_per_token": score.nats / max(1, score.count)}

    plan = replace(language.plan(config), watch_every=100, ema=EMA)
    final = language.fit(run, sequence.build(shape), language.Lesson(stream.batch, loss, watch), plan, on_step)
    language.save(run, final, words, {"made": run.recipe, **(about or {})}, config.storage)
    measured = measure(run, book, words) | (more(run, book) if more else {})
    language.report(
        run,
        measured,
        held_out_sha256=book.fingerprint,
        held_out_pieces=len(book.held),
        training_pieces=len(book.training),
        pieces=dict(Counter(piece.label for piece in (*book.training, *book.held))),
        training_tokens=round(stream.tokens),
        left_out=dict(book.left_out),
        parameters=sum(p.numel() for p in final.parameters()),
    )
    return measured


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """Nats of one token of the held-out pieces, and the composers recognised, from the saved weights."""
    book = piano.load(root, run.config["files"], run.folder / "pieces.npz")
    return measure(run, book, piano.vocabulary())


def measure(run: Run, book: Repertoire, words: Characters) -> dict[str, float]:
    """{"nats_per_token", "nats_per_token_untold"}, and "labels_recognised" where there are several labels."""
    model, _, _ = language.load(run.folder / "weights.safetensors")
    context = run.config["context"]
    nothing = Hidden(True, True, True, True)
    sides = {"nats_per_token": None, "nats_per_token_untold": nothing}
    measured = {}
    for name, hidden in sides.items():
        score = language.score(model, repertoire.fixed(book.held, words, context, hidden, MEASURED))
        measured[name] = score.nats / max(1, score.count)
    labels = sorted({piece.label for piece in book.training if piece.label})
    known = [piece for piece in book.held if piece.label in labels]
    if len(labels) > 1 and known:
        right = [_recognised(model, piece, labels, words, context) == piece.label for piece in known]
        measured["labels_recognised"] = sum(right) / len(right)
    return measured


def _recognised(model: sequence.Model, piece: Piece, labels: Sequence[str], words: Characters, context: int) -> str:
    """The label under which the beginning of a piece is likeliest, told nothing else."""

    hidden = Hidden(form=True, key=True, place=True)

    def nats(label: str) -> float:
        windows = repertoire.fixed([replace(piece, label=label)], words, context, hidden, HEARD)
        return language.score(model, windows).nats

    return min(labels, key=nats)


RECIPE = Recipe(
    name="piano",
    purpose="Piano music after Mozart, Beethoven, Chopin, Haydn, Scarlatti and Joplin",
    data="a folder with .zip archives of **kern named after their composers: chopin-kern.zip; files=. for all in it",
    config=Config,
    train=train,
    evaluate=evaluate,
)
