"""`phrases`: a variational autoencoder of two-bar phrases of melody, for blending pieces and for attribute sliders.

Data: the sopranos of the JSB chorales (their own split; of the test part the pieces whose melody is in no other part)
and the folk tunes of the recipe `folk` (a tenth of them held out, with all variants), in 4/4, 3/4, 6/8, 2/4 and 3/8;
every phrase from each bar on, some transposed; all of it is public domain or traditional, so that what ships is open.
Measured on the held-out phrases: how much of a phrase comes back, what the point holds (KL, active axes: Burda et al.
2016), whether sliders move what they are named after, how even the way from phrase to phrase is beside a crossfade.

Budget: ≤ 15 CPU-minutes on one core; the larger variant (encoder=320 decoder=768 batch=512 steps=12000) ≤ 10 min on
one data-centre GPU.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from danqing.artwork.request import OnStep
from danqing.compute import checkpoint
from danqing.recipes import Recipe
from danqing.techniques import music_vae
from danqing.techniques.music_vae import Known, Vae
from danqing.training import language, phrase_metrics, phrases
from danqing.training.phrases import Book, Stream
from danqing.training.run import Run

EMA = 0.99  # of the averaged weights: a run has few steps
PROBES = 256  # validation phrases that are looked at while training goes on


@dataclass(frozen=True)
class Config:
    """Settings of one training run."""

    chorales: str = "jsb-chorales-json"  # in --data or its `music`, a .zip or .json; "" for none
    folk: str = "nottingham-folk-abc,music21"  # ABC, as for the folk recipe; "" for none
    latent: int = 48
    encoder: int = 128  # units of each direction
    decoder: int = 256  # units
    batch: int = 64  # phrases
    steps: int = 1800
    minutes: float = 60.0
    checkpoint_s: float = 120.0  # seconds between checkpoints
    rate: float = 3e-3  # peak learning rate
    beta: float = 0.15  # weight of the KL at the end
    free: float = 16.0  # nats of KL of a phrase that cost nothing
    warmup: float = 0.3  # share of the steps over which the KL's weight rises
    sliders: float = 8.0  # weight of the loss that ties attributes to axes
    hidden: float = 0.25  # share of the tokens that the decoder does not get to read
    storage: str = "int8"
    seed: int = 17

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(chorales="chorales", folk="", latent=6, encoder=8, decoder=16, batch=8, steps=4, checkpoint_s=0)


def train(config: Config, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Train and save. Returns what `evaluate` returns."""
    book = _book(root, config.chorales, config.folk)
    torch.manual_seed(config.seed)
    model = music_vae.build(music_vae.Config(config.latent, config.encoder, config.decoder))
    stream = Stream(book.training, config.batch, config.seed)
    probes = book.valid.at(np.random.default_rng(config.seed).permutation(len(book.valid))[:PROBES])

    def draw(step: int) -> tuple[Tensor, ...]:
        batch = stream.draw(step)
        generator = torch.Generator().manual_seed(config.seed * 2**32 + step)
        noise = torch.randn(len(batch[0]), config.latent, generator=generator)
        hidden = torch.rand(batch[0].shape, generator=generator) < config.hidden
        weight = config.beta * min(1.0, step / max(1.0, config.warmup * config.steps))
        return (*batch, noise, hidden, torch.tensor(weight))

    def loss(net: Vae, batch: tuple[Tensor, ...]) -> Tensor:
        tokens, places, mode, before, attributes, noise, hidden, weight = batch
        known = Known(places, mode, before)
        mean, spread = net.encode(tokens, known)
        z = music_vae.sample(mean, spread, noise)
        nats = music_vae.surprise(net, tokens, z, known, hidden)
        cost = (music_vae.divergence(mean, spread).sum(1) - config.free).clamp_min(0)
        return nats.mean() + weight * cost.mean() + config.sliders * music_vae.regularised(z, attributes)

    def watch(net: Vae) -> Mapping[str, float]:
        return phrase_metrics.rebuilt(net, probes)

    plan = replace(language.plan(config), watch_every=200, ema=EMA)
    final = language.fit(run, model, language.Lesson(draw, loss, watch), plan, on_step)
    phrases.save(run.folder / "weights.safetensors", final, config.storage)
    measured = evaluate(run, root)
    about: dict[str, Any] = {
        "held_out_sha256": book.fingerprint,
        "tunes": dict(book.counts),
        "phrases": {part: len(getattr(book, part)) for part in ("training", "valid", "held")},
        "parameters": sum(p.numel() for p in final.parameters()),
    }
    language.report(run, measured, **about)
    return measured


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """What the saved weights do with the held-out phrases, see `training.phrase_metrics`."""
    book = _book(root, run.config["chorales"], run.config["folk"])
    model = phrases.restore(*checkpoint.load_weights(run.folder / "weights.safetensors"))
    return phrase_metrics.measure(model, book)


_book = functools.lru_cache(maxsize=1)(Book.load)  # reading the tunes takes most of a minute


RECIPE = Recipe(
    name="phrases",
    purpose="Two-bar phrases of melody as points between which one can blend, with sliders for their attributes",
    data="a folder with jsb-chorales-json.zip and nottingham-folk-abc.zip, music21 installed or its wheel there; "
    "chorales= and folk= for collections of one's own",
    config=Config,
    train=train,
    evaluate=evaluate,
)
