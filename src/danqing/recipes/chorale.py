"""`chorale`: four-part chorales after Bach, written step after step by a Transformer.

Data: the JSB chorales on a grid of sixteenths with their own split of 229, 76 and 77 pieces, transposed in training
wherever all voices stay in their ranges. Measured on the test part: nats of one note (each of the four voices at each
sixteenth), a micro average; a note is foretold from all earlier steps and the voices already written in its step. Place
in the bar is given (from the piece's length, see `encode.notes`), key and end are not.

Budget: ≤ 30 min on one CPU core; the larger variant (width=384 depth=8 batch=64 steps=8000) ≤ 15 min on one
data-centre GPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from danqing.artwork.request import OnStep
from danqing.compute import checkpoint
from danqing.recipes import Recipe
from danqing.techniques import chorale
from danqing.training import language, music
from danqing.training.run import Run

EMA = 0.99  # of the averaged weights: a run has few steps
DRAWS = 4  # masks a piece, where the filler is measured
PROBES = 24  # validation pieces that are looked at while training goes on


@dataclass(frozen=True)
class Config:
    """Settings of one training run."""

    files: str = "jsb-chorales-json"  # in --data or its `music`, a .zip or .json
    kind: str = "writer"  # | "filler"
    width: int = 192
    depth: int = 4
    heads: int = 6
    dropout: float = 0.35
    forget: float = 0.15  # of a writer: share of the beats of each voice that go unheard
    batch: int = 8  # pieces
    length: int = 256  # steps of a piece that are read at once, 16 to a whole note
    steps: int = 600
    minutes: float = 25.0
    checkpoint_s: float = 120.0  # seconds between checkpoints
    rate: float = 3e-3  # peak learning rate
    storage: str = "int8"
    seed: int = 11

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(files="chorales", width=32, depth=1, heads=2, batch=4, length=48, steps=4, checkpoint_s=0)


def network(config: Any) -> chorale.Config:
    """The network that a recipe's settings ask for."""
    shape = chorale.Config(config.kind, config.width, config.depth, config.heads, dropout=config.dropout)
    return replace(shape, relative=True, forget=config.forget) if config.kind == "writer" else shape


def train(config: Any, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Train and save. Returns what `evaluate` returns."""
    pieces = music.chorales(root, config.files)
    torch.manual_seed(config.seed)
    model = chorale.build(network(config))
    stream = music.GridStream(pieces.training, config.batch, config.length, config.seed)
    probes = pieces.valid[:PROBES]

    def loss(net: chorale.Model, batch: tuple[Tensor, ...]) -> Tensor:
        notes, place, beats, key, valid, *masks = batch
        known = chorale.Frame(place, beats, key)
        if isinstance(net, chorale.Writer):
            return (chorale.surprise(net, notes, known) * valid).sum() / valid.sum()
        hidden = masks[0]
        found = chorale.masked_surprise(cast(chorale.Filler, net), notes, hidden, known)
        each = found.flatten(1).sum(1) / hidden.flatten(1).sum(1).clamp_min(1)  # every count of gaps weighs the same
        return each.mean()

    def draw(step: int) -> tuple[Tensor, ...]:
        batch = stream.draw(step)
        if config.kind == "writer":
            return batch
        generator = torch.Generator().manual_seed(config.seed * 2**32 + step)
        valid, half = batch[-1], config.batch // 2
        masks = [chorale.orderless(valid[:half], generator), chorale.asked(valid[half:], generator)]
        return (*batch, torch.cat(masks))

    def watch(net: chorale.Model) -> Mapping[str, float]:
        return {"nats_per_note": nats(net, probes)}

    lesson = language.Lesson[chorale.Model](draw, loss, watch, lowest="nats_per_note")
    plan = replace(language.plan(config), watch_every=100, ema=EMA)
    final = language.fit(run, cast(chorale.Model, model), lesson, plan, on_step)
    music.save(run.folder / "weights.safetensors", final, config.storage)
    measured = evaluate(run, root)
    language.report(
        run,
        measured,
        test_sha256=music.fingerprint([p.sha256 for p in pieces.test]),
        test_pieces=len(pieces.test),
        unheard_pieces=len(pieces.unheard),
        parameters=sum(p.numel() for p in final.parameters()),
    )
    return measured


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """Nats of one note of the test part, from the saved weights, and of the pieces whose tune was never heard."""
    pieces = music.chorales(root, run.config["files"])
    model = music.restore(*checkpoint.load_weights(run.folder / "weights.safetensors"))
    test = surprises(model, pieces.test)
    new = {piece.sha256 for piece in pieces.unheard}
    unheard = [found for piece, found in zip(pieces.test, test, strict=True) if piece.sha256 in new]
    measured = {"nats_per_note": _mean(test), "nats_per_note_valid": nats(model, pieces.valid)}
    if unheard:
        measured["nats_per_note_unheard"] = _mean(unheard)
    if isinstance(model, chorale.Writer):
        measured["nats_per_note_told"] = _mean(surprises(model, pieces.test, told=True))
    return measured


def nats(model: chorale.Model, pieces: Sequence[music.Piece]) -> float:
    """−log p of a note, mean over all notes of all pieces."""
    return _mean(surprises(model, pieces))


def _mean(found: Sequence[tuple[float, int]]) -> float:
    return sum(nats for nats, _ in found) / sum(count for _, count in found)


@torch.no_grad()
def surprises(model: chorale.Model, pieces: Sequence[music.Piece], told: bool = False) -> list[tuple[float, int]]:
    """(Σ −log p, number of notes) of each piece. told: key and end are given.

    Of the filler: in an order drawn at random among all notes of the piece. Its expectation over orders is that of the
    mean over hidden notes where their count is uniform (Uria et al. 2014), drawn DRAWS times, the same each time.
    """
    model.eval()
    sums: list[tuple[float, int]] = []
    for piece, notes, frame in music.whole(pieces):
        known = frame if told else frame.unknown()
        if isinstance(model, chorale.Writer):
            total = float(chorale.surprise(model, notes, known).sum())
        else:
            rows = notes.expand(DRAWS, -1, -1)
            generator = torch.Generator().manual_seed(int(piece.sha256[:8], 16))
            hidden = chorale.orderless(torch.ones_like(rows, dtype=torch.bool), generator)
            frames = chorale.Frame(*(x.expand(DRAWS, -1) for x in (known.place, known.beats, known.key)))
            found = chorale.masked_surprise(cast(chorale.Filler, model), rows, hidden, frames)
            total = float((found.sum((1, 2)) / hidden.sum((1, 2))).mean()) * notes.numel()
        sums.append((total, notes.numel()))
    return sums


RECIPE = Recipe(
    name="chorale",
    purpose="Four-part chorales after Bach, written step after step",
    data="a folder with jsb-chorales-json (.zip or .json), or files= for another JSON of four-voice grids",
    config=Config,
    train=train,
    evaluate=evaluate,
)
