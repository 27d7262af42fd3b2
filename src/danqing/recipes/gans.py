"""Generative adversarial networks for one's own pictures: one config, and a preset for each paper.

`gan` (fully connected, 2014), `dcgan`, `wgan_gp`, `lsgan`, `cgan` (asked for a class), `progan` (grows), `stylegan`
(styles, mixing, truncation), `r3gan` (the modern baseline) and `projected` (judged through the frozen backbone: the one
for few pictures and few minutes). A preset is only defaults: every setting of every preset can be given, so
`dcgan loss=hinge augment=diff` is a recipe too.

Data: a folder of pictures, a .zip of one, or `digits`. Measured on held-out pictures.
Budget: an hour on one core at 64 px; steps, minutes, batch and width grow with a GPU.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from danqing.artwork.request import OnStep
from danqing.compute import checkpoint
from danqing.errors import BadRequest
from danqing.recipes import Recipe, shipped
from danqing.training import adversarial, engine, generators, pictures
from danqing.training.run import Run, write_atomically


@dataclass(frozen=True)
class Config:
    """Settings of one training run."""

    family: str = "gan"  # the nets: gan, progan, stylegan, r3gan or projected
    net: str = "conv"  # of the family gan: conv (DCGAN) or dense (fully connected)
    norm: bool = True  # of the family gan: batch norm in the discriminator
    size: int = 64  # picture side, px: 8, 16, 32, 64, 128 …
    width: int = 64  # channels of the finest maps
    latent: int = 100  # numbers that a picture is made from
    depth: int = 1  # of r3gan: residual blocks at each side
    patch: int = 2  # of r3gan: px that the finest maps have one place for; 1, 2 or 4
    only: str = ""  # pictures with these labels alone, as in style=impressionism,tonalism
    label: str = ""  # the key of metadata.jsonl whose classes can be asked for; none unless given
    loss: str = "nonsaturating"  # or minimax, least_squares, hinge, wasserstein, relativistic
    critics: int = 1  # steps of the discriminator for one of the generator
    between: float = 0.0  # weight of the gradient penalty between real and made pictures
    r1: float = 0.0  # weight of the squared slope at real pictures
    r2: float = 0.0  # weight of the squared slope at made pictures
    every: int = 1  # steps from one R1 and R2 to the next
    drift: float = 0.0  # weight of the squared scores of real pictures
    path: float = 0.0  # of stylegan: weight of the path lengths
    mixing: float = 0.0  # of stylegan: share of pictures made from two latents
    augment: str = "none"  # diff (DiffAugment), adaptive (ADA) or window, for small collections
    target: float = 0.6  # of adaptive: mean sign of the decisions on real pictures that it keeps to
    ramp: float = 50_000.0  # of adaptive: pictures in which its probability could go from 0 to 1
    rate: float = 2e-4  # the generator's learning rate
    rate_discriminator: float = 2e-4  # the discriminator's learning rate
    beta1: float = 0.5  # Adam's memory of gradients
    beta2: float = 0.999  # Adam's memory of their squares
    decay: bool = False  # whether the learning rates fall along half a cosine
    batch: int = 64  # pictures a step
    steps: int = 100_000  # of the generator, at most
    minutes: float = 60.0  # at most
    average: float = 0.999  # decay of the averaged generator that is saved
    sheet_every: int = 500  # steps from one sheet to the next
    checkpoint_s: float = 120.0  # seconds between checkpoints
    storage: str = "bfloat16"  # of the saved weights: float32, bfloat16 or int8
    seed: int = 7  # the same seed gives the same weights on the same machine

    def __post_init__(self) -> None:
        if self.storage not in checkpoint.STORAGES:
            raise BadRequest(f"storage is {self.storage!r}; it is one of {', '.join(checkpoint.STORAGES)}")
        if self.steps < 1 or self.minutes <= 0:
            raise BadRequest("steps is 1 or more and minutes is more than 0")
        self.play(), self.technique(0)  # say what is wrong with them now, before pictures are read

    def play(self) -> adversarial.Play:
        """The rules of the game."""
        return adversarial.Play(
            **{f.name: getattr(self, f.name) for f in fields(adversarial.Play) if hasattr(self, f.name)}
        )

    def technique(self, classes: int) -> Any:
        """The nets' config."""
        config = adversarial.FAMILIES[self.family].Config
        own = {f.name: getattr(self, f.name) for f in fields(config) if hasattr(self, f.name)}
        return config(**own, classes=classes)


@dataclass(frozen=True)
class Preset:
    """A paper's settings. It is called as `Config` is, and `tiny` as there."""

    changes: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self) -> Config:
        """The config with the paper's settings."""
        return Config(**self.changes)

    def tiny(self) -> Config:
        """A few seconds on a CPU, for tests."""
        small = {"size": 16, "width": 8, "latent": 8, "batch": 8, "steps": 4, "checkpoint_s": 0}
        return Config(**{**self.changes, **small})


def train(config: Config, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Train and save. Returns what `evaluate` returns."""
    collection = pictures.load(root, config.size, label=config.label, only=config.only)
    technique = config.technique(len(collection.classes) if config.label else 0)
    budget = engine.Budget(
        config.steps,
        config.minutes,
        sheet_every=config.sheet_every,
        checkpoint_every_s=config.checkpoint_s,
        ema=config.average,
    )
    eyes = shipped.backbone() if config.family == "projected" else None
    made = adversarial.train(config.play(), technique, collection, run, budget, eyes, on_step=on_step)
    adversarial.save(run.folder / "weights.safetensors", made, config.storage)
    measured = evaluate(run, root)
    report = {
        **measured,
        "held_out_sha256": collection.fingerprint,
        "training_pictures": len(collection.training),
        "parameters": sum(p.numel() for p in made.modules.parameters()),
    }
    write_atomically(run.folder / "result.json", json.dumps(report, indent=1).encode())
    return measured


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """The saved generator beside held-out pictures."""
    own = generators.restore(*checkpoint.load_weights(run.folder / "weights.safetensors"))
    collection = pictures.load(root, own.size, label=run.config["label"], only=run.config.get("only", ""))
    return adversarial.measure(own, collection)


DATA = "a folder of pictures, a .zip of one, or digits"
LABELLED = f"{DATA}; with classes under label= in metadata.jsonl"
_CONV = {"size": 64, "width": 64, "latent": 100}
_KARRAS = {"beta1": 0.0, "beta2": 0.99, "latent": 128, "width": 16, "batch": 32}

PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "gan": (
        "Pictures from noise by fully connected nets: the first GAN, of 2014",
        {"net": "dense", "size": 32},
    ),
    "dcgan": ("Pictures from noise by convolutions: DCGAN", _CONV),
    "wgan_gp": (
        "Pictures from noise by a Wasserstein GAN with gradient penalty",
        _CONV | {"norm": False, "loss": "wasserstein", "critics": 5, "between": 10.0, "rate": 1e-4,
                 "rate_discriminator": 1e-4, "beta1": 0.0, "beta2": 0.9},
    ),
    "lsgan": ("Pictures from noise by a GAN that minimises least squares", _CONV | {"loss": "least_squares"}),
    "cgan": ("Pictures of a class that is asked for: a conditional GAN", _CONV | {"label": "style", "loss": "hinge"}),
    "progan": (
        "Pictures from noise by nets that grow from 4 px to the full size",
        _KARRAS | {"family": "progan", "loss": "wasserstein", "between": 10.0, "drift": 1e-3, "rate": 1e-3,
                   "rate_discriminator": 1e-3},
    ),
    "stylegan": (
        "Pictures from styles that can be mixed and truncated: StyleGAN2 for a CPU",
        _KARRAS | {"family": "stylegan", "r1": 1.0, "every": 16, "mixing": 0.9, "rate": 2.5e-3,
                   "rate_discriminator": 2.5e-3, "augment": "adaptive"},
    ),
    "r3gan": (
        "Pictures from noise by the modern baseline: relativistic loss, R1 and R2, residual nets",
        {"family": "r3gan", "loss": "relativistic", "r1": 0.5, "r2": 0.5, "every": 4, "latent": 64, "width": 32,
         "batch": 16, "beta1": 0.0, "beta2": 0.99, "augment": "adaptive", "decay": True},
    ),
    "projected": (
        "Pictures from noise, judged through the frozen backbone: for few pictures and few minutes",
        {"family": "projected", "loss": "hinge", "latent": 128, "width": 32, "batch": 8, "beta1": 0.0, "beta2": 0.99,
         "augment": "window", "rate": 3e-4, "rate_discriminator": 3e-4, "average": 0.998},
    ),
}  # fmt: skip

RECIPES = {
    name: Recipe(
        name=name,
        purpose=purpose,
        data=LABELLED if name == "cgan" else DATA,
        config=Preset(changes),
        train=train,
        evaluate=evaluate,
    )
    for name, (purpose, changes) in PRESETS.items()
}
