"""`poet_lstm`: the poet as a recurrent network, LSTM layers for attention; data, controls and measures are `poet`'s.

It writes a token in the same time however long the poem is. Budget: ≤ 30 min on one CPU core; the larger variant
(width=1024 depth=3 tokens=32768 steps=8000) ≤ 25 min on one data-centre GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

from danqing.recipes import Recipe, poet


@dataclass(frozen=True)
class Config:
    """Settings of one training run: the fields of `poet.Config`, which reads them, with values for an LSTM."""

    files: str = "tang-shi,song-shi-regulated,song-ci"  # in --data or its `text`; "." is every text in it
    start: str = ""  # weights to go on from: a file, or the name of a model that ships
    architecture: str = "lstm"  # | "gru"
    width: int = 256
    depth: int = 2
    heads: int = 1  # has no meaning here
    context: int = 192  # longer poems are cut in training
    dropout: float = 0.0
    tokens: int = 4096  # of a batch
    steps: int = 2000
    minutes: float = 30.0
    checkpoint_s: float = 120.0  # seconds between checkpoints
    rate: float = 4e-3  # peak learning rate
    storage: str = "int8"
    seed: int = 5

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(files=".", width=32, depth=2, tokens=256, steps=4, checkpoint_s=0)


RECIPE = Recipe(
    name="poet_lstm",
    purpose="Classical Chinese poems by an LSTM: the recurrent counterpart of `poet`",
    data=poet.RECIPE.data,
    config=Config,
    train=poet.train,
    evaluate=poet.evaluate,
)
