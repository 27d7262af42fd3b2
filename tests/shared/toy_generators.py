"""Small generators with fixed weights that answer as trained ones do: with styles, without, with a way back."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from danqing.compute import checkpoint
from danqing.training import generators

SIZE, LATENT, LAYERS, STYLE = 32, 12, 4, 8


def patterns(count: int, size: int, seed: int) -> Tensor:
    """Soft coloured waves (count, 3, size, size), the first ones the widest."""
    chance = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")
    found = []
    for number in range(count):
        wave = torch.rand(4, generator=chance)
        pitch = 1 + number * 6 / count
        phase = 2 * torch.pi * (wave[2] + pitch * (x * (wave[0] - 0.5) * 2 + y * (wave[1] - 0.5) * 2))
        colour = torch.randn(3, generator=chance)
        found.append(colour[:, None, None] / colour.norm() * torch.sin(phase))
    return torch.stack(found)


class Plain:
    """Pictures that are sums of patterns: the inverse of it is known."""

    def __init__(self, modules: nn.Module, classes: tuple[str, ...] = ()) -> None:
        self.size, self.classes, self.modules = SIZE, classes, modules

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.randn(count, LATENT, generator=generator)

    def pictures(self, latents: Tensor, classes: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        made = self.modules["linear"](latents * truncation).view(-1, 3, SIZE, SIZE)
        return made if classes is None else made + (classes.view(-1, 1, 1, 1) - 0.5) * 0.6


class Encoding(Plain):
    """As Plain, and it knows the way back."""

    def encode(self, pictures: Tensor) -> Tensor:
        weight = self.modules["linear"].weight
        return torch.linalg.lstsq(weight, pictures.flatten(1).T).solution.T


class Styled(Plain):
    """A style for each layer: the first layers draw wide shapes, the last ones fine ones."""

    def styles(self, latents: Tensor, classes: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        style = self.modules["mapping"](latents)
        if classes is not None:
            style = style + classes[:, None] * 0.5
        average = self.modules["mapping"](torch.zeros_like(latents[:1]))
        return torch.lerp(average, style, truncation)[:, None].expand(-1, LAYERS, -1)

    def from_styles(self, styles: Tensor) -> Tensor:
        made = [self.modules[f"layer{n}"](styles[:, n]) for n in range(LAYERS)]
        return torch.tanh(torch.stack(made).sum(dim=0)).view(-1, 3, SIZE, SIZE)

    def style_weights(self) -> list[Tensor]:
        return [self.modules[f"layer{n}"].weight for n in range(LAYERS)]

    def pictures(self, latents: Tensor, classes: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        return self.from_styles(self.styles(latents, classes, truncation))


KINDS = {"plain": Plain, "encoding": Encoding, "styled": Styled}


def networks(kind: str) -> nn.ModuleDict:
    """The networks of a kind, their weights fixed by its name."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        if kind != "styled":
            linear = nn.Linear(LATENT, 3 * SIZE * SIZE, bias=False)
            linear.weight.data = (patterns(LATENT, SIZE, 3).flatten(1) * 0.35).T.contiguous()
            return nn.ModuleDict({"linear": linear})
        nets: dict[str, nn.Module] = {
            "mapping": nn.Sequential(nn.Linear(LATENT, STYLE), nn.Tanh(), nn.Linear(STYLE, STYLE))
        }
        nets["mapping"][2].weight.data *= 3
        waves = patterns(LAYERS * STYLE, SIZE, 4).flatten(1)
        for n in range(LAYERS):
            nets[f"layer{n}"] = nn.Linear(STYLE, 3 * SIZE * SIZE, bias=False)
            nets[f"layer{n}"].weight.data = (waves[n * STYLE : (n + 1) * STYLE] * 0.4).T.contiguous()
        return nn.ModuleDict(nets)


def restore(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> Plain:
    kind = str(about["config"]["kind"])
    nets = networks(kind)
    nets.load_state_dict(checkpoint.unpack(tensors))
    return KINDS[kind](nets.eval(), tuple(about["classes"]))


def save(path: Path, kind: str, classes: tuple[str, ...] = ()) -> Path:
    """A weights file as a recipe writes it."""
    about = {"architecture": "toy", "config": {"kind": kind}, "classes": list(classes), "size": SIZE}
    checkpoint.save_weights(path, checkpoint.pack(networks(kind).state_dict(), "float32"), about)
    return path


def known(patch: pytest.MonkeyPatch) -> None:
    """Let `training.generators` know the toys."""
    module = ModuleType("danqing.training.toys")
    module.restore = restore  # type: ignore[attr-defined]
    patch.setitem(sys.modules, "danqing.training.toys", module)
    patch.setitem(generators.ARCHITECTURES, "toy", "toys")
