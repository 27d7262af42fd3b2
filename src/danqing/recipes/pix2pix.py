"""`pix2pix`: a drawing or a layout of colours into a picture, learned from pairs made of one collection.

Data: a folder of pictures; no pairs have to be collected. The input of each is made from it: `input=edges` draws its
lines, `input=layout` keeps 8 × 8 mean colours (`training.translation.degrade`).

Budget: 60 min on 2 CPU cores at 64 px; the larger variant (width=64 blocks=6 size=256 crop=256 steps=60000 batch=16)
≤ 25 min on one data-centre GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from danqing.artwork.image import Picture
from danqing.artwork.request import OnStep
from danqing.compute import checkpoint, device
from danqing.recipes import Recipe
from danqing.techniques import cycle
from danqing.training import data, engine, language, metrics, translation
from danqing.training.run import Run
from danqing.training.translation import Domain, Translator

HELD = 64  # held-out pictures that are measured; a look takes a quarter of them


@dataclass(frozen=True)
class Config:
    """Settings of one training run."""

    input: str = "edges"  # what pictures are made from: edges (lines) or layout (8 x 8 mean colours)
    collection: str = "."  # folder of --data; "." is --data itself
    only: str = ""  # which of its pictures: NAME:KEY=VALUE|KEY=VALUE; empty takes all
    size: int = 96  # short side of the pictures, px
    crop: int = 64  # side of the squares of them that are trained on, px
    network: str = "unet"  # of the generator: unet or resnet
    width: int = 24  # channels of the generator at full size
    blocks: int = 4  # of a U-Net, how often it halves the picture; residual blocks of a ResNet
    dropout: float = 0.2  # of the U-Net's deepest layers, the only noise while it learns
    judge: int = 32  # channels of the discriminator's first layer
    halvings: int = 2  # of the discriminator: 2 judges patches of 34 px, 3 of 70 px
    batch: int = 4  # pairs
    likeness: float = 100.0  # weight of the mean absolute difference from the picture
    rate: float = 2e-4  # Adam's; falls in a straight line over the second half
    ema: float = 0.998  # decay of the averaged generator
    steps: int = 60_000  # at most
    minutes: float = 60.0  # at most
    look_every: int = 250  # steps between sheets
    checkpoint_s: float = 120.0  # seconds between checkpoints
    storage: str = "int8"  # of the weights: float32, bfloat16 or int8
    seed: int = 29

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(size=40, crop=32, width=4, blocks=3, judge=4, batch=2, steps=4, checkpoint_s=0)


def collect(config: Config, root: Path) -> Domain:
    """The pictures, read."""
    return translation.domain(root / config.collection, config.only, "picture", (config.size, config.crop))


def train(config: Config, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Train and save. Returns what `evaluate` returns."""
    pictures = collect(config, root)
    torch.manual_seed(config.seed)
    compute = translation.compute()
    generator = cycle.Config(
        config.network, config.width, config.blocks, residual=False,
        dropout=config.dropout if config.network == "unet" else 0.0,
    )  # fmt: skip
    networks = {
        "generator": cycle.Generator(generator),
        "discriminator": cycle.Discriminator(config.judge, config.halvings, inputs=6),
    }
    nets = {name: engine.cast(net, compute) for name, net in networks.items()}
    optimisers = {
        name: torch.optim.Adam(net.parameters(), lr=config.rate, betas=(0.5, 0.999)) for name, net in nets.items()
    }
    held = pictures.held.centre(range(min(HELD // 4, len(pictures.held))))
    given = translation.degrade(held, config.input)

    def step(moment: engine.Moment) -> Mapping[str, Tensor]:
        return _step(config, nets, compute, pictures, moment)

    def watch(own: dict[str, nn.Module]) -> Mapping[str, float]:
        made = _translator(own, pictures, config).translate(given, pictures.names[0]).cpu()
        with torch.no_grad():
            real, shown = (
                own["discriminator"](compute.tensor(torch.cat([given, x], 1))).float().mean(dim=(1, 2))
                for x in (held, made)
            )
        return {
            "accuracy_real": float((real > 0.5).float().mean()),
            "accuracy_made": float((shown < 0.5).float().mean()),
            "diversity": metrics.diversity(made),
            "diversity_real": metrics.diversity(held),
            "sliced_wasserstein": metrics.sliced_wasserstein(made, held),
        }

    def look(own: dict[str, nn.Module]) -> Picture:
        made = _translator(own, pictures, config).translate(given[:8], pictures.names[0]).cpu()
        return translation.sheet([given[:8], made, held[:8]])

    trainee = engine.Trainee(nets, dict(optimisers), step, sheet=look, watch=watch, averaged=("generator",))
    budget = engine.Budget(config.steps, config.minutes, 20, config.look_every, config.checkpoint_s, config.ema)
    final = engine.fit(run, trainee, budget, config.seed, on_step)
    translation.save(run.folder / "weights.safetensors", _translator(final, pictures, config), config.storage)
    measured = evaluate(run, root)
    language.report(
        run,
        measured,
        held_out_sha256=data.fingerprint(pictures.held.pixels.entries),
        training_pictures=len(pictures.training),
        parameters=sum(p.numel() for p in final["generator"].parameters()),
    )
    return measured


def _translator(nets: Mapping[str, nn.Module], pictures: Domain, config: Config) -> Translator:
    return Translator(cast(cycle.Generator, nets["generator"]).eval(), None, pictures.names, config.input, config.size)


def _step(
    config: Config, nets: Mapping[str, nn.Module], compute: device.Compute, pictures: Domain, moment: engine.Moment
) -> Mapping[str, Tensor]:
    """The generator, then the discriminator."""
    wanted, _ = pictures.draw(config.batch, moment.generator)
    given = compute.tensor(translation.degrade(wanted, config.input))
    wanted = compute.tensor(wanted)
    generator, discriminator = nets["generator"], nets["discriminator"]
    factor = max(0.02, min(1.0, 2 * (1 - moment.progress)))

    discriminator.requires_grad_(False)  # it judges here and does not learn
    made = generator(given)
    fooled = cycle.fooled(discriminator(torch.cat([given, made], 1)))
    unlike = cycle.apart(made, wanted)
    moment.backward(fooled + config.likeness * unlike)
    slopes = {"gradient_generator": translation.gradient_norm(generator)}
    moment.update("generator", factor)

    discriminator.requires_grad_(True)
    pairs = torch.cat([torch.cat([given, wanted], 1), torch.cat([given, made.detach()], 1)])
    real, shown = discriminator(pairs).chunk(2)
    judged = cycle.judged(real, shown)
    moment.backward(judged)
    slopes["gradient_discriminator"] = translation.gradient_norm(discriminator)
    moment.update("discriminator", factor)
    return {
        "loss_generator": fooled.detach(),
        "loss_discriminator": judged.detach(),
        "loss_likeness": unlike.detach(),
        **slopes,
    }


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """The saved generator on held-out pictures: their inputs turned into pictures again.

    error: mean absolute difference from the picture, in [0, 2]; error_input: the input's own. sliced_wasserstein: of
    what was made to the held-out pictures; *_control: of the inputs as they are.
    """
    config = replace(Config(), **run.config)
    pictures = collect(config, root)
    translator = translation.restore(*checkpoint.load_weights(run.folder / "weights.safetensors"))
    held = pictures.held.centre(range(min(HELD, len(pictures.held))))
    given = translation.degrade(held, config.input)
    made = translator.translate(given, translator.targets[0])
    return {
        "error": float(cycle.apart(made, held)),
        "error_input": float(cycle.apart(given, held)),
        "sliced_wasserstein": metrics.sliced_wasserstein(made, held),
        "sliced_wasserstein_control": metrics.sliced_wasserstein(given, held),
    }


RECIPE = Recipe(
    name="pix2pix",
    purpose="A drawing or a layout of colours into a picture, learned from pairs made of one collection (pix2pix)",
    data="a folder of pictures, or a folder that holds one as collection=",
    config=Config,
    train=train,
    evaluate=evaluate,
)
