"""`autoencoder`: pictures as a small map of numbers and back, for a flow that is to work on maps instead of pixels.

Trained with absolute error, distance in the frozen backbone's features and, over the second half, a small patch
discriminator, which keeps edges from blurring. `bottleneck=kl` pulls the map slightly to the normal distribution,
`bottleneck=codes` makes it of the entries of a codebook.

Data: a folder of pictures, or `digits`. Budget: 45 min on 2 CPU cores at 64 px; the larger variant (size=256 width=96
halvings=3 batch=32 steps=40000) ≤ 25 min on one data-centre GPU.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danqing.artwork.image import Picture
from danqing.artwork.request import OnStep
from danqing.compute import checkpoint
from danqing.recipes import Recipe, shipped
from danqing.techniques import vae
from danqing.techniques.backbone import Extractor
from danqing.training import autoencoders, data, engine, language, metrics, pictures, translation
from danqing.training.autoencoders import Autoencoder
from danqing.training.run import Run

LAYERS = ("relu1_2", "relu2_2", "relu3_3")  # of the backbone


@dataclass(frozen=True)
class Config:
    """Settings of one training run."""

    size: int = 64  # side of the pictures, px
    bottleneck: str = "kl"  # of a place of the map: kl (numbers) or codes (an entry of a codebook)
    latents: int = 4  # numbers of a place
    codes: int = 512  # entries of the codebook
    width: int = 24  # channels at full size
    halvings: int = 2  # of the side, down to the map
    pull: float = 1e-4  # weight of the KL divergence
    features: float = 0.5  # weight of the distance in the backbone's features; 0 leaves it out
    fooling: float = 0.05  # weight of the patch discriminator's opinion
    judged: float = 0.5  # share of the run after which there is a discriminator
    judge: int = 16  # channels of its first layer
    backbone: str = ""  # a weights file; empty is the shipped backbone
    batch: int = 16  # pictures
    rate: float = 1e-3  # Adam's peak learning rate
    ema: float = 0.998  # decay of the averaged weights; with codes the last weights are kept, not their average
    steps: int = 20_000  # at most
    minutes: float = 45.0  # at most
    look_every: int = 250  # steps between sheets
    checkpoint_s: float = 120.0  # seconds between checkpoints
    storage: str = "bfloat16"  # of the weights: float32, bfloat16 or int8
    seed: int = 37

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(size=16, bottleneck="codes", codes=8, width=4, halvings=1, judge=4, batch=4, steps=4, checkpoint_s=0)


def train(config: Config, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Train, standardise the latents, save. Returns what `evaluate` returns."""
    collection = pictures.load(root, config.size)
    torch.manual_seed(config.seed)
    compute = translation.compute()
    shape = vae.Config(
        config.size, "map", config.bottleneck, config.latents, config.width, config.halvings, config.codes
    )
    model = cast(vae.VAE, engine.cast(vae.VAE(shape), compute))
    if model.codebook is not None:
        model.codebook.float()  # moving averages take small steps that bf16 would round away
    nets = {"model": model, "discriminator": engine.cast(vae.Discriminator(config.judge), compute)}
    optimisers = {
        name: torch.optim.Adam(net.parameters(), lr=config.rate, betas=(0.5, 0.9)) for name, net in nets.items()
    }
    extractor = shipped.backbone(config.backbone) if config.features else None

    def step(moment: engine.Moment) -> Mapping[str, Tensor]:
        place = moment.index * moment.world + moment.rank
        numbers = data.draw_order(len(collection.training), config.batch, place, config.seed)
        shown = compute.tensor(collection.training.batch(numbers, moment.generator))
        return _step(config, nets, extractor, shown, moment)

    def plain(own: dict[str, nn.Module]) -> Autoencoder:
        """The model in fp32, be it averaged or not, without touching the one that learns."""
        return Autoencoder(cast(vae.VAE, copy.deepcopy(own["model"]).float().eval()), config.size)

    def watch(own: dict[str, nn.Module]) -> Mapping[str, float]:
        sampler = plain(own)
        measured = _figures(sampler, collection)
        held = collection.held.centre(range(min(64, len(collection.held))))
        with torch.no_grad():
            real, made = (
                own["discriminator"](compute.tensor(x)).float().mean((1, 2)) for x in (held, sampler.again(held))
            )
        return {
            **measured,
            "accuracy_real": float((real > 0).float().mean()),
            "accuracy_made": float((made < 0).float().mean()),
        }

    def look(own: dict[str, nn.Module]) -> Picture:
        held = collection.held.centre(range(min(8, len(collection.held))))
        return translation.sheet([held, plain(own).again(held)])

    averaged = ("model",) if config.bottleneck == "kl" else ()  # an average of codebooks holds no one's entries
    trainee = engine.Trainee(nets, dict(optimisers), step, look, watch, averaged)
    budget = engine.Budget(config.steps, config.minutes, 20, config.look_every, config.checkpoint_s, config.ema)
    final = cast(vae.VAE, engine.fit(run, trainee, budget, config.seed, on_step)["model"]).float().cpu().eval()
    final.standardise(collection.training.centre(range(min(256, len(collection.training)))))
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


def _step(
    config: Config, nets: Mapping[str, nn.Module], extractor: Extractor | None, shown: Tensor, moment: engine.Moment
) -> Mapping[str, Tensor]:
    """The autoencoder, then, once it is time, the discriminator."""
    model, discriminator = cast(vae.VAE, nets["model"]), nets["discriminator"]
    factor = metrics.cosine(moment.progress)
    if model.codebook is None:
        posterior = model.posterior(shown)
        latents = posterior.sample(moment.generator).to(shown.dtype)
        pull = config.pull * vae.divergence(posterior).mean()
    else:
        raw = model.encoder(shown)
        latents, codes = model.codebook(raw)
        pull = 0.25 * vae.commitment(raw, latents)
        model.codebook.follow(raw, codes, moment.generator)
    made = model.decoder(latents)
    losses = {"loss_reconstruction": (made.float() - shown.float()).abs().mean(), "loss_pull": pull}
    total = losses["loss_reconstruction"] + pull
    if extractor is not None:
        losses["loss_features"] = _unlike(extractor, made, shown)
        total = total + config.features * losses["loss_features"]
    begun = moment.progress >= config.judged
    if begun:
        discriminator.requires_grad_(False)  # it judges here and does not learn
        losses["loss_generator"] = -discriminator(made).float().mean()
        total = total + config.fooling * losses["loss_generator"]
    moment.backward(total)
    losses["gradient_generator"] = translation.gradient_norm(model)
    moment.update("model", factor)
    if begun:
        discriminator.requires_grad_(True)
        real, judged = discriminator(torch.cat([shown, made.detach()])).chunk(2)
        losses["loss_discriminator"] = vae.judged(real, judged)
        moment.backward(losses["loss_discriminator"])
        losses["gradient_discriminator"] = translation.gradient_norm(discriminator)
        moment.update("discriminator", factor)
    return {name: value.detach() for name, value in losses.items()}


def _unlike(extractor: Extractor, made: Tensor, shown: Tensor) -> Tensor:
    """Mean squared distance of features brought to length 1 at each place, over LAYERS; scalar fp32."""
    mine, theirs = (extractor((x.float() + 1) / 2, LAYERS) for x in (made, shown))
    apart = [
        (F.normalize(mine[layer].float(), dim=1) - F.normalize(theirs[layer].float(), dim=1)).square().sum(1).mean()
        for layer in LAYERS
    ]
    return torch.stack(apart).mean()


def _figures(sampler: Autoencoder, collection: pictures.Collection) -> dict[str, float]:
    """How held-out pictures come back; with codes, the share of the codebook that they use."""
    held = collection.held.centre(range(min(autoencoders.MEASURED, len(collection.held))))
    found = autoencoders.reconstruction(sampler, held)
    found["sliced_wasserstein"] = metrics.sliced_wasserstein(sampler.again(held), held)
    model = sampler.model
    if model.codebook is not None:
        with torch.no_grad():
            codes = model.codebook.nearest(model.encoder(held.to(model.centre.device)))
        found["codes_used"] = float((torch.bincount(codes.flatten()) > 0).sum()) / model.config.codes
    return found


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """The saved weights on held-out pictures."""
    sampler = autoencoders.restore(*checkpoint.load_weights(run.folder / "weights.safetensors"))
    return _figures(sampler, pictures.load(root, sampler.size))


RECIPE = Recipe(
    name="autoencoder",
    purpose="Pictures as a small map of numbers or codes and back, for a flow over such maps",
    data="a folder of pictures, a .zip of one, or digits",
    config=Config,
    train=train,
    evaluate=evaluate,
)
