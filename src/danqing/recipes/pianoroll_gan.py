"""`pianoroll_gan`: two bars for four voices from noise, a small Wasserstein GAN after MuseGAN; for comparison.

Data: the JSB chorales in four quarters, brought to the tonic C, two bars from each bar line on; their own split.
Measured: MuseGAN's figures of 512 made passages; beside real ones and the Transformer's: docs/decisions/0011, by
`benchmarks/music_families.py`. The distance that the critic sees on the test part is logged as training goes on.

Budget: ≤ 12 CPU-minutes on one core.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from danqing.artwork.request import OnStep
from danqing.compute import checkpoint, device
from danqing.recipes import Recipe
from danqing.techniques import pianoroll_gan
from danqing.techniques.pianoroll_gan import Critic, Generator
from danqing.training import engine, language, pianorolls
from danqing.training.run import Run

SAMPLES = 512  # passages that are measured
PROBES = 256  # passages of the test part that the critic is asked about


@dataclass(frozen=True)
class Config:
    """Settings of one training run."""

    files: str = "jsb-chorales-json"  # in --data or its `music`, a .zip or .json
    noise: int = 64
    width: int = 96
    batch: int = 32  # passages
    critics: int = 3  # steps of the critic for one of the generator
    penalty: float = 10.0  # weight of the gradient penalty
    rate: float = 5e-4  # learning rate of both
    steps: int = 2000
    minutes: float = 60.0
    checkpoint_s: float = 120.0  # seconds between checkpoints
    storage: str = "int8"
    seed: int = 19

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(files="chorales", noise=8, width=8, batch=4, critics=2, steps=4, checkpoint_s=0)


def train(config: Config, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Train and save. Returns what `evaluate` returns."""
    training, test, fingerprint = pianorolls.split(root, config.files)
    torch.manual_seed(config.seed)
    generator, critic = (
        net.to(device.choose().device) for net in pianoroll_gan.build(pianoroll_gan.Config(config.noise, config.width))
    )
    nets = cast(dict[str, nn.Module], {"generator": generator, "critic": critic})
    optimisers = {
        name: torch.optim.Adam(net.parameters(), lr=config.rate, betas=(0.5, 0.9)) for name, net in nets.items()
    }
    probes = pianoroll_gan.rolled(pianorolls.codes(test[:PROBES]))

    def step(moment: engine.Moment) -> Mapping[str, Tensor]:
        return _step(config, training, cast(Generator, nets["generator"]), cast(Critic, nets["critic"]), moment)

    def watch(own: dict[str, nn.Module]) -> Mapping[str, float]:
        made = pianoroll_gan.sample(cast(Generator, own["generator"].cpu()), PROBES, torch.Generator().manual_seed(1))
        with torch.no_grad():
            here = next(own["critic"].parameters()).device
            scores = [own["critic"](rolls.to(here)).mean() for rolls in (probes, pianoroll_gan.rolled(made))]
        return {"distance": float(scores[0] - scores[1]), **pianorolls.measure(pianorolls.pitches(made[:64]))}

    trainee = engine.Trainee(nets, dict(optimisers), step, watch=watch, averaged=("generator",))
    budget = engine.Budget(config.steps, config.minutes, 20, 200, config.checkpoint_s, ema=0.99)
    final = cast(Generator, engine.fit(run, trainee, budget, config.seed, on_step)["generator"].cpu())
    pianorolls.save(run.folder / "weights.safetensors", final, config.storage)
    measured = evaluate(run, root)
    language.report(
        run,
        measured,
        test_sha256=fingerprint,
        training_passages=len(training),
        test_passages=len(test),
        parameters=sum(p.numel() for p in final.parameters()),
    )
    return measured


def _step(
    config: Config, training: pianorolls.Passages, generator: Generator, critic: Critic, moment: engine.Moment
) -> Mapping[str, Tensor]:
    """Some steps of the critic, then one of the generator."""
    here = next(critic.parameters()).device

    def noise() -> Tensor:
        return torch.randn(config.batch, config.noise, generator=moment.generator).to(here)

    for number in range(config.critics):
        place = (moment.index * config.critics + number) * moment.world + moment.rank
        real = pianorolls.draw(training, config.batch, place, config.seed).to(here)
        with torch.no_grad():
            made = generator(noise())
        share = torch.rand(config.batch, generator=moment.generator).to(here)
        penalty = pianoroll_gan.gradient_penalty(critic, real, made, share)
        wasserstein = pianoroll_gan.critic_loss(critic(real), critic(made))
        moment.backward(wasserstein + config.penalty * penalty)
        moment.update("critic", 1.0)
    critic.requires_grad_(False)  # it judges here and does not learn
    loss = pianoroll_gan.generator_loss(critic(generator(noise())))
    moment.backward(loss)
    critic.requires_grad_(True)
    moment.update("generator", 1.0)
    return {"distance": -wasserstein.detach(), "penalty": penalty.detach(), "loss": loss.detach()}


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """MuseGAN's figures of what the saved weights make."""
    model = pianorolls.restore(*checkpoint.load_weights(run.folder / "weights.safetensors"))
    made = pianoroll_gan.sample(model, SAMPLES, torch.Generator().manual_seed(run.config["seed"]))
    return pianorolls.measure(pianorolls.pitches(made))


RECIPE = Recipe(
    name="pianoroll_gan",
    purpose="Two bars for four voices from noise: a generative adversarial network, for comparison",
    data="a folder with jsb-chorales-json (.zip or .json), or files= for another JSON of four-voice grids",
    config=Config,
    train=train,
    evaluate=evaluate,
)
