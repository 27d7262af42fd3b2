"""`pop`: songs for a melody, a bridge and a piano, by a small Transformer over events.

Data: POP909, people's arrangements of 909 songs in MIDI with their beats; the songs are in copyright, so the tier is
`research`. A song is on one side of the split, a tenth is held out. What is trained and measured: see `piano`.

Budget: ≤ 25 min on one CPU core; the larger variant (width=384 depth=8 heads=8 tokens=32768 steps=4000) ≤ 15 min on one
data-centre GPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from danqing.artwork.request import OnStep
from danqing.recipes import Recipe, piano
from danqing.training import pop, repertoire
from danqing.training.run import Run


@dataclass(frozen=True)
class Config:
    """Settings of one training run: the fields of `piano.Config`, which mean the same."""

    files: str = "pop909-pop"  # a .zip archive in --data or its `music`
    width: int = 128
    depth: int = 4
    heads: int = 2
    context: int = 512
    dropout: float = 0.05
    tokens: int = 4096  # of a batch
    steps: int = 1000
    minutes: float = 30.0
    checkpoint_s: float = 120.0  # seconds between checkpoints
    rate: float = 5e-3  # peak learning rate
    storage: str = "int8"
    seed: int = 18

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(files="songs", width=32, depth=1, heads=2, context=128, tokens=512, steps=4, checkpoint_s=0)


def train(config: Any, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Train and save. Returns what `evaluate` returns."""
    book = pop.load(root, config.files, run.folder / "pieces.npz")
    heads = {repertoire.HEADINGS: repertoire.headings(book.training, unsaid=0.0)}
    return piano.taught(config, book, pop.vocabulary(), run, on_step, about=heads)


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """Nats of one token of the held-out songs, from the saved weights."""
    book = pop.load(root, run.config["files"], run.folder / "pieces.npz")
    return piano.measure(run, book, pop.vocabulary())


RECIPE = Recipe(
    name="pop",
    purpose="Pop songs for a melody, a bridge and a piano",
    data="a folder with pop909-pop.zip: MIDI files of the parts MELODY, BRIDGE and PIANO, each with its beats",
    config=Config,
    train=train,
    evaluate=evaluate,
)
