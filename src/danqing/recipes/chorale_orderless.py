"""`chorale_orderless`: fills gaps in chorales, whole voices or passages, in any order (after Coconet and DeepBach).

It harmonises a melody and rewrites bars. Data and split are `chorale`'s. In training half of the pieces have Coconet's
masks, a number of hidden notes drawn uniformly, the others hide voices or passages. Measured on the test part: nats of
one note in a random order of the piece's notes. Budget: ≤ 30 min on one CPU core; the larger variant (width=384 depth=8
batch=64 steps=8000) ≤ 15 min on one data-centre GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

from danqing.recipes import Recipe, chorale


@dataclass(frozen=True)
class Config:
    """Settings of one training run: the fields of `chorale.Config`, which reads them."""

    files: str = "jsb-chorales-json"  # in --data or its `music`, a .zip or .json
    kind: str = "filler"
    width: int = 192
    depth: int = 5
    heads: int = 6
    dropout: float = 0.1
    batch: int = 8  # pieces
    length: int = 256  # steps of a piece that are read at once, 16 to a whole note
    steps: int = 2000
    minutes: float = 25.0
    checkpoint_s: float = 120.0  # seconds between checkpoints
    rate: float = 4e-3  # peak learning rate
    storage: str = "int8"
    seed: int = 12

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(files="chorales", width=32, depth=1, heads=2, batch=4, length=48, steps=4, checkpoint_s=0)


RECIPE = Recipe(
    name="chorale_orderless",
    purpose="Harmonises melodies in four parts and rewrites bars of chorales",
    data=chorale.RECIPE.data,
    config=Config,
    train=chorale.train,
    evaluate=chorale.evaluate,
)
