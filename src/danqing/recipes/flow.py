"""`flow`: pictures from noise along straight lines (rectified flow), with classes to ask for where there are labels.

In pixels, or with `latents=FILE` on the maps of an autoencoder (recipe `autoencoder`), whose decoder then goes into the
weights file, so that it needs no other.

Data: a folder of pictures, or `digits`. Budget: 2 h on 2 CPU cores at 32 px or on maps of 16 × 16; the larger variant
(size=128 latents=… width=512 depth=12 patch=1 batch=128 steps=60000) ≤ 25 min on one data-centre GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from danqing.artwork.image import Picture
from danqing.artwork.request import OnStep
from danqing.compute import checkpoint, device
from danqing.errors import BadRequest
from danqing.recipes import Recipe
from danqing.techniques import flow, vae
from danqing.training import autoencoders, data, engine, flows, language, pictures, translation
from danqing.training.flows import Flow
from danqing.training.generators import samples
from danqing.training.metrics import cosine
from danqing.training.run import Run


@dataclass(frozen=True)
class Config:
    """Settings of one training run."""

    size: int = 32  # side of the pictures, px; with latents it is the autoencoder's
    label: str = ""  # key of metadata.jsonl whose values can be asked for; empty: nothing can
    latents: str = ""  # weights file of an autoencoder, on whose maps to work; empty works on pixels
    network: str = "dit"  # dit or unet
    width: int = 192  # channels of a token (dit), or at full size (unet: 32 will do)
    depth: int = 6  # blocks (dit), or halvings (unet: 3 will do)
    patch: int = 2  # side of what a token stands for (dit)
    heads: int = 4  # of attention
    dropout: float = 0.1  # share of classes left out, which guidance needs
    guidance: float = 2.0  # how far sampling goes toward a class; 1 is as it was learned
    batch: int = 32  # pictures
    rate: float = 5e-4  # Adam's peak learning rate
    ema: float = 0.999  # decay of the averaged weights
    steps: int = 60_000  # at most
    minutes: float = 120.0  # at most
    look_every: int = 500  # steps between sheets
    checkpoint_s: float = 120.0  # seconds between checkpoints
    storage: str = "bfloat16"  # of the weights: float32, bfloat16 or int8
    seed: int = 41

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(size=16, label="style", width=16, depth=1, patch=4, heads=2, batch=4, steps=4, checkpoint_s=0)


def train(config: Config, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Train and save. Returns what `evaluate` returns."""
    decoder = _decoder(config)
    size = config.size if decoder is None else decoder.config.size
    collection = pictures.load(root, size, label=config.label)
    torch.manual_seed(config.seed)
    compute = translation.compute()
    side, channels = (size, 3) if decoder is None else (decoder.config.side, decoder.config.latents)
    shape = flow.Config(
        side, channels, len(collection.classes), config.network, config.width, config.depth, config.patch, config.heads
    )
    field = cast(flow.Velocity, engine.cast(flow.Velocity(shape), compute))
    optimiser = torch.optim.Adam(field.parameters(), lr=config.rate, betas=(0.9, 0.99))

    def sampler(own: Mapping[str, nn.Module]) -> Flow:
        return Flow.of(cast(flow.Velocity, own["field"]), decoder, size, collection.classes, config.guidance)

    def step(moment: engine.Moment) -> Mapping[str, Tensor]:
        place = moment.index * moment.world + moment.rank
        numbers = data.draw_order(len(collection.training), config.batch, place, config.seed)
        shown = collection.training.batch(numbers, moment.generator).to(compute.device)
        classes = collection.training.classes(numbers).to(compute.device) if collection.classes else None
        if decoder is not None:
            with torch.no_grad():
                shown = decoder.encode(shown)
        loss = flow.loss(field, compute.tensor(shown), classes, config.dropout, moment.generator)
        moment.backward(loss)
        slope = translation.gradient_norm(field)
        moment.update("field", cosine(moment.progress))
        return {"loss": loss.detach(), "gradient": slope}

    def watch(own: dict[str, nn.Module]) -> Mapping[str, float]:
        return autoencoders.figures(sampler(own), collection)

    def look(own: dict[str, nn.Module]) -> Picture:
        made = samples(sampler(own), 32, 0).cpu()
        return translation.sheet(torch.split(made, 8))

    trainee = engine.Trainee({"field": field}, {"field": optimiser}, step, look, watch, ("field",))
    budget = engine.Budget(config.steps, config.minutes, 20, config.look_every, config.checkpoint_s, config.ema)
    final = sampler(engine.fit(run, trainee, budget, config.seed, on_step))
    flows.save(run.folder / "weights.safetensors", final, config.storage)
    measured = evaluate(run, root)
    language.report(
        run,
        measured,
        held_out_sha256=collection.fingerprint,
        training_pictures=len(collection.training),
        parameters=sum(p.numel() for p in final.modules.parameters()),
    )
    return measured


def _decoder(config: Config) -> vae.VAE | None:
    """The autoencoder that `latents` names, frozen."""
    if not config.latents:
        return None
    found = autoencoders.restore(*checkpoint.load_weights(Path(config.latents))).model
    if found.config.shape != "map":
        raise BadRequest(f"{config.latents} has latents that are a vector; a flow works on maps (recipe autoencoder)")
    return found.to(device.choose().device)


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """How near what the saved weights make comes to held-out pictures."""
    sampler = flows.restore(*checkpoint.load_weights(run.folder / "weights.safetensors"))
    return autoencoders.figures(sampler, pictures.load(root, sampler.size))


RECIPE = Recipe(
    name="flow",
    purpose="Pictures from noise along straight lines, in pixels or on an autoencoder's maps (rectified flow)",
    data="a folder of pictures, a .zip of one, or digits",
    config=Config,
    train=train,
    evaluate=evaluate,
)
