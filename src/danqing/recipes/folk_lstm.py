"""`folk_lstm`: `folk` as a recurrent network (after Sturm et al. 2016, "Music transcription modelling and composition
using deep learning"); data, controls and measures are `folk`'s.

Budget: ≤ 1 h on one CPU core; the larger variant (width=512 depth=3 tokens=32768 steps=4000) ≤ 15 min on one
data-centre GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

from danqing.recipes import Recipe, folk


@dataclass(frozen=True)
class Config:
    """Settings of one training run: the fields of `folk.Config`, which reads them, with values for an LSTM."""

    files: str = "nottingham-folk-abc,music21"  # in --data or its `music`; "." is every .abc, .zip and .whl in it
    architecture: str = "lstm"  # | "gru"
    width: int = 256
    depth: int = 2
    heads: int = 1  # has no meaning here
    context: int = 512  # longer tunes are cut in training
    dropout: float = 0.1
    tokens: int = 4096  # of a batch
    steps: int = 1500
    minutes: float = 60.0
    checkpoint_s: float = 120.0  # seconds between checkpoints
    rate: float = 4e-3  # peak learning rate
    storage: str = "int8"
    seed: int = 13

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(files=".", width=32, depth=1, tokens=512, steps=4, checkpoint_s=0)


RECIPE = Recipe(
    name="folk_lstm",
    purpose="Folk tunes by an LSTM: the recurrent counterpart of `folk`",
    data=folk.RECIPE.data,
    config=Config,
    train=folk.train,
    evaluate=folk.evaluate,
)
