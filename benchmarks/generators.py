"""Measures generators of pictures: ours and the reference side by side in one run, ratios printed.

    python benchmarks/generators.py [speed] [--only dcgan32] [--json]

speed  images/s of training with the networks that PyTorch-GAN publishes, written anew from its description: `dcgan32`
       (its default side) and `dcgan64` (batch 64, 100 latents, one channel), `wgan_gp` (fully connected, 28 px, five
       critic steps). The reference is its loop as a plain one: fp32, contiguous memory, Adam, cross-entropy after
       a sigmoid, the critic's steps undetached from the generator. Ours is `danqing.training.adversarial` with the
       engine's masters where the processor has bf16. Both take turns in one process and draw from the same pictures
       in memory. `wgan_gp` gains least: multiplying 64 rows in bf16 takes a third of fp32's time at best (AMX, one
       core), and the rest of its steps is many small calls. `torch.compile` was tried on ours and left out: its
       steps are no shorter (`dcgan32`'s generator, forward and backward, 96 ms of one core against 83) and it
       compiles for over a minute.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BATCH, LATENT, CRITICS = 64, 100, 5

Result = dict[str, Any]
Step = Callable[[int], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="section", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--rounds", type=int, default=5, help="turns that each side takes")
    parser.add_argument("--only", choices=tuple(NETWORKS), help="one network of speed")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no section is called {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    results: Result = {"machine": machine()}
    for name in options.sections or ("speed",):
        results[name] = SECTIONS[name](options)
        if not options.json:
            print(f"\n{name} ({results['machine']})")
            for key, value in results[name].items():
                print(f"  {key:<44}{value:.2f}" if isinstance(value, float) else f"  {key:<44}{value}")
    if options.json:
        print(json.dumps(results, indent=1))


def machine() -> str:
    from danqing.compute import device

    return f"{device.choose()}, {torch.get_num_threads()} threads, torch {torch.__version__}"


# --- speed: the networks of PyTorch-GAN -------------------------------------------------------------------------------


class ConvGenerator(nn.Module):
    """A linear layer to a quarter of the side, twice doubled by nearest neighbours with a convolution behind."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.begin, self.side = nn.Linear(LATENT, 128 * (size // 4) ** 2), size // 4
        layers: list[nn.Module] = [nn.BatchNorm2d(128)]
        for inputs, outputs in ((128, 128), (128, 64)):
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1)]
            layers += [nn.BatchNorm2d(outputs, 0.8), nn.LeakyReLU(0.2, inplace=True)]
        self.body = nn.Sequential(*layers, nn.Conv2d(64, 1, 3, padding=1), nn.Tanh())

    def forward(self, z: Tensor, classes: None = None) -> Tensor:
        return self.body(self.begin(z).view(len(z), 128, self.side, self.side))


class ConvDiscriminator(nn.Module):
    """Four strided convolutions with dropout, norm behind two of them; gives logits."""

    def __init__(self, size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs, norm in ((1, 16, False), (16, 32, True), (32, 64, True), (64, 128, True)):
            layers += [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.LeakyReLU(0.2, inplace=True), nn.Dropout2d(0.25)]
            layers += [nn.BatchNorm2d(outputs, 0.8)] if norm else []
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * (size // 16) ** 2, 1))

    def forward(self, x: Tensor, classes: None = None) -> Tensor:
        return self.body(x)[:, 0].float()


class DenseGenerator(nn.Module):
    """128, 256, 512 and 1,024 units, norm behind the last three."""

    def __init__(self, size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(LATENT, 128), nn.LeakyReLU(0.2, inplace=True)]
        for inputs, outputs in ((128, 256), (256, 512), (512, 1024)):
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs, 0.8), nn.LeakyReLU(0.2, inplace=True)]
        self.body = nn.Sequential(*layers, nn.Linear(1024, size**2), nn.Tanh(), nn.Unflatten(1, (1, size, size)))

    def forward(self, z: Tensor, classes: None = None) -> Tensor:
        return self.body(z)


class DenseCritic(nn.Module):
    """512 and 256 units."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Flatten(), nn.Linear(size**2, 512), nn.LeakyReLU(0.2, inplace=True), nn.Linear(512, 256),
            nn.LeakyReLU(0.2, inplace=True), nn.Linear(256, 1),
        )  # fmt: skip

    def forward(self, x: Tensor, classes: None = None) -> Tensor:
        return self.body(x)[:, 0].float()


NETWORKS: dict[str, tuple[int, Callable[[int], nn.Module], Callable[[int], nn.Module]]] = {
    "dcgan32": (32, ConvGenerator, ConvDiscriminator),
    "dcgan64": (64, ConvGenerator, ConvDiscriminator),
    "wgan_gp": (28, DenseGenerator, DenseCritic),
}


def plain(name: str, pictures: Tensor) -> Step:
    """The published loop."""
    size, make_generator, make_discriminator = NETWORKS[name]
    torch.manual_seed(0)
    generator, discriminator = make_generator(size), make_discriminator(size)
    adam = [torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (generator, discriminator)]
    valid, fake = torch.ones(BATCH), torch.zeros(BATCH)

    def real() -> Tensor:
        return pictures[torch.randint(len(pictures), (BATCH,))]

    def dcgan(number: int) -> None:
        adam[0].zero_grad()
        made = generator(torch.randn(BATCH, LATENT))
        F.binary_cross_entropy(discriminator(made).sigmoid(), valid).backward()
        adam[0].step()
        adam[1].zero_grad()
        of_real = F.binary_cross_entropy(discriminator(real()).sigmoid(), valid)
        of_made = F.binary_cross_entropy(discriminator(made.detach()).sigmoid(), fake)
        (0.5 * (of_real + of_made)).backward()
        adam[1].step()

    def wgan(number: int) -> None:
        for _ in range(CRITICS):
            adam[1].zero_grad()
            x, made = real(), generator(torch.randn(BATCH, LATENT))
            share = torch.rand(BATCH, 1, 1, 1)
            mixed = (share * x + (1 - share) * made.detach()).requires_grad_()
            scores = discriminator(mixed)
            (slope,) = torch.autograd.grad(scores, mixed, torch.ones_like(scores), create_graph=True)
            penalty = (slope.flatten(1).norm(2, dim=1) - 1).square().mean()
            (discriminator(made).mean() - discriminator(x).mean() + 10 * penalty).backward()
            adam[1].step()
        adam[0].zero_grad()
        (-discriminator(generator(torch.randn(BATCH, LATENT))).mean()).backward()
        adam[0].step()

    return wgan if name == "wgan_gp" else dcgan


def ours(name: str, pictures: Tensor) -> Step:
    """The same networks, trained by `danqing.training.adversarial`."""
    from danqing.training import adversarial, engine

    size, make_generator, make_discriminator = NETWORKS[name]
    torch.manual_seed(0)
    critics = CRITICS if name == "wgan_gp" else 1
    play = adversarial.Play(critics=critics, batch=BATCH)
    if name == "wgan_gp":
        play = adversarial.Play(loss="wasserstein", between=10.0, critics=critics, batch=BATCH)
    config: Any = SimpleNamespace(latent=LATENT, classes=0)
    nets = make_generator(size), make_discriminator(size)
    game = adversarial.Game(play, config, nets, collection=None)  # type: ignore[arg-type]  # draws from `pictures`
    trainee = game.trainee()
    masters = {name: engine._mastered(optimiser) for name, optimiser in trainee.optimisers.items()}

    def draw(step: int, rank: int, world: int) -> list[tuple[Tensor, None]]:
        generator = torch.Generator().manual_seed(step)
        numbers = torch.randint(len(pictures), (critics, BATCH), generator=generator)
        return [(pictures[n], None) for n in numbers]

    game.draw = draw  # type: ignore[method-assign, assignment]

    def update(which: str, factor: float) -> None:
        masters[which].pull_gradients()
        trainee.optimisers[which].step()
        trainee.optimisers[which].zero_grad(set_to_none=True)
        masters[which].push_values()

    def step(number: int) -> None:
        generator = torch.Generator().manual_seed(number)
        game.step(engine.Moment(number, 0.5, generator, 0, 1, Tensor.backward, update))

    return step


def speed(options: argparse.Namespace) -> Result:
    """Images/s: real pictures that the discriminator has seen, over the time of whole steps."""
    result: Result = {}
    for name in [options.only] if options.only else NETWORKS:
        pictures = torch.rand(512, 1, NETWORKS[name][0], NETWORKS[name][0]) * 2 - 1
        sides = {"plain": plain(name, pictures), "ours": ours(name, pictures)}
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        number = 0
        for turn in range(options.rounds + 1):  # the first one warms up
            for side, step in sides.items():
                for _ in range(3):
                    start = time.perf_counter()
                    step(number)
                    if turn:
                        seconds[side].append(time.perf_counter() - start)
                    number += side == "ours"
        seen = BATCH * (CRITICS if name == "wgan_gp" else 1)
        best = {side: seen / min(s) for side, s in seconds.items()}
        median = {side: seen / statistics.median(s) for side, s in seconds.items()}
        for side in sides:
            result[f"{name}, {side}, images/s, best (median)"] = f"{best[side]:,.0f} ({median[side]:,.0f})"
        result[f"{name}, ours / plain, best"] = best["ours"] / best["plain"]
        result[f"{name}, ours / plain, median"] = median["ours"] / median["plain"]
    return result


SECTIONS: dict[str, Callable[[argparse.Namespace], Result]] = {
    "speed": speed,
}

if __name__ == "__main__":
    main()
