"""`vae`: pictures as a vector of numbers, to draw from, walk between and take apart (variational autoencoder).

Data: a folder of pictures, or `digits`. Budget: 30 min on 2 CPU cores at 64 px; the larger variant (size=128 width=96
latents=256 halvings=4 batch=128 steps=40000) ≤ 25 min on one data-centre GPU.
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
from danqing.compute import checkpoint
from danqing.recipes import Recipe
from danqing.techniques import vae
from danqing.training import autoencoders, data, engine, language, pictures, translation
from danqing.training.autoencoders import Autoencoder
from danqing.training.generators import samples
from danqing.training.metrics import cosine
from danqing.training.run import Run


@dataclass(frozen=True)
class Config:
    """Settings of one training run."""

    size: int = 64  # side of the pictures, px
    latents: int = 64  # numbers that a picture becomes
    width: int = 24  # channels at full size
    halvings: int = 4  # of the side, before the map becomes a vector
    beta: float = 1.0  # weight of the KL divergence; more makes numbers that mean one thing each, and blur
    warmup: float = 0.2  # share of the run over which beta grows from 0
    free: float = 0.0  # nats that each number may carry at no cost
    batch: int = 32  # pictures
    rate: float = 1e-3  # Adam's peak learning rate
    ema: float = 0.998  # decay of the averaged weights
    steps: int = 20_000  # at most
    minutes: float = 30.0  # at most
    look_every: int = 250  # steps between sheets
    checkpoint_s: float = 120.0  # seconds between checkpoints
    storage: str = "bfloat16"  # of the weights: float32, bfloat16 or int8
    seed: int = 31

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(size=16, latents=4, width=4, halvings=2, batch=4, steps=4, checkpoint_s=0)


def train(config: Config, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Train and save. Returns what `evaluate` returns."""
    collection = pictures.load(root, config.size)
    torch.manual_seed(config.seed)
    compute = translation.compute()
    shape = vae.Config(config.size, latents=config.latents, width=config.width, halvings=config.halvings)
    model = cast(vae.VAE, engine.cast(vae.VAE(shape), compute))
    optimiser = torch.optim.Adam(model.parameters(), lr=config.rate)

    def step(moment: engine.Moment) -> Mapping[str, Tensor]:
        place = moment.index * moment.world + moment.rank
        numbers = data.draw_order(len(collection.training), config.batch, place, config.seed)
        shown = compute.tensor(collection.training.batch(numbers, moment.generator))
        posterior = model.posterior(shown)
        made = model.decode(posterior.sample(moment.generator).to(shown.dtype))
        likelihood = vae.negative_log_likelihood(made, shown)
        nats = vae.divergence(posterior)
        beta = config.beta * min(1.0, moment.progress / max(config.warmup, 1e-9))
        # By the pixel, so that one learning rate serves all sizes.
        moment.backward((likelihood + beta * vae.held_up(nats, config.free)) / shown[0].numel())
        slope = translation.gradient_norm(model)
        moment.update("model", cosine(moment.progress))
        return {
            "loss_reconstruction": (made.detach().float() - shown.float()).square().mean(),
            "loss_kl": nats.detach().flatten(1).sum(1).mean(),
            "gradient": slope,
        }

    def watch(own: dict[str, nn.Module]) -> Mapping[str, float]:
        return _figures(Autoencoder(cast(vae.VAE, own["model"]), config.size), collection)

    def look(own: dict[str, nn.Module]) -> Picture:
        return _sheet(Autoencoder(cast(vae.VAE, own["model"]), config.size), collection)

    trainee = engine.Trainee({"model": model}, {"model": optimiser}, step, look, watch, ("model",))
    budget = engine.Budget(config.steps, config.minutes, 20, config.look_every, config.checkpoint_s, config.ema)
    final = cast(vae.VAE, engine.fit(run, trainee, budget, config.seed, on_step)["model"])
    autoencoders.save(run.folder / "weights.safetensors", final, config.storage)
    measured = evaluate(run, root)
    language.report(
        run,
        measured,
        held_out_sha256=collection.fingerprint,
        training_pictures=len(collection.training),
        parameters=sum(p.numel() for p in final.parameters()),
    )
    return measured


def _figures(sampler: Autoencoder, collection: pictures.Collection) -> dict[str, float]:
    held = collection.held.centre(range(min(autoencoders.MEASURED, len(collection.held))))
    return {**autoencoders.reconstruction(sampler, held), **autoencoders.figures(sampler, collection)}


@torch.no_grad()
def _sheet(sampler: Autoencoder, collection: pictures.Collection) -> Picture:
    """Held-out pictures, how they come back, a walk from the first to the last of them, and pictures from noise."""
    count = min(8, len(collection.held))
    held = collection.held.centre(range(count))
    ends = sampler.encode(held[[0, -1]]).cpu()
    walk = torch.stack([torch.lerp(ends[0], ends[1], share) for share in torch.linspace(0, 1, count)])
    made = samples(sampler, 2 * count, 0).cpu()
    return translation.sheet([held, sampler.again(held), sampler.pictures(walk).cpu(), made[:count], made[count:]])


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """The saved weights on held-out pictures: how they come back, and how near pictures from noise come to them."""
    sampler = autoencoders.restore(*checkpoint.load_weights(run.folder / "weights.safetensors"))
    return _figures(sampler, pictures.load(root, sampler.size))


RECIPE = Recipe(
    name="vae",
    purpose="Pictures as a vector of numbers, to draw from and to walk between (variational autoencoder)",
    data="a folder of pictures, a .zip of one, or digits",
    config=Config,
    train=train,
    evaluate=evaluate,
)
