"""Trained flows as samplers: noise in, the field followed, pictures out, in pixels or through an autoencoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from danqing.compute import checkpoint
from danqing.errors import BadRequest
from danqing.techniques import flow, vae

STEPS = 16  # of Heun's method
GUIDANCE = 2.0  # toward a class, where one is asked for


@dataclass
class Flow:
    """A `generators.Sampler`. Its latents are the noise that the field carries to pictures."""

    modules: nn.Module  # a ModuleDict: `field`, and `decoder` where it works on an autoencoder's latents
    size: int
    classes: tuple[str, ...]
    steps: int = STEPS
    guidance: float = GUIDANCE

    @classmethod
    def of(
        cls, field: flow.Velocity, decoder: vae.VAE | None, size: int, classes: Sequence[str], guidance: float
    ) -> Flow:
        """From its networks, in evaluation mode."""
        nets = {"field": field} if decoder is None else {"field": field, "decoder": decoder}
        return cls(nn.ModuleDict(nets).eval(), size, tuple(classes), guidance=guidance)

    @property
    def field(self) -> flow.Velocity:
        """What is followed."""
        return cast(flow.Velocity, cast(nn.ModuleDict, self.modules)["field"])

    @property
    def decoder(self) -> vae.VAE | None:
        """What turns latents of an autoencoder into pictures, where the field works on such."""
        nets = cast(nn.ModuleDict, self.modules)
        return cast(vae.VAE, nets["decoder"]) if "decoder" in nets else None

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Noise: (count, C, side, side) float32, standard normal."""
        config = self.field.config
        return torch.randn(count, config.channels, config.side, config.side, generator=generator)

    def pictures(self, latents: Tensor, classes: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """(B, 3, S, S) float32 in [-1, 1]; gradients flow back through every step of the sampler.

        truncation scales the noise: below 1 it begins nearer to the middle, where there is less to choose from.
        """
        here = next(self.modules.parameters()).device
        wanted = None if classes is None else classes.to(here)
        field = flow.guided(self.field, wanted, self.guidance)
        return self.seen(flow.heun(field, latents.to(here) * truncation, self.steps))

    def step(self, latents: Tensor, time: Tensor, length: Tensor, classes: Tensor | None = None) -> Tensor:
        """One of Heun's steps from `time` on, of a `length` in (0, 1], both () float32: what an export repeats."""
        field = flow.guided(self.field, classes, self.guidance)
        slope = field(latents, time.expand(latents.shape[0]))
        ahead = field(latents + length * slope, (time + length).expand(latents.shape[0]))
        return latents + length * (slope + ahead) / 2

    def seen(self, latents: Tensor) -> Tensor:
        """What latents at time 1 look like: (B, 3, S, S) float32 in [-1, 1]."""
        return (latents if self.decoder is None else self.decoder.decode(latents)).clamp(-1, 1)


def save(path: Path, sampler: Flow, storage: str) -> None:
    """Write the weights file, which holds the decoder as well and so needs no other. storage: `checkpoint.pack`."""
    about: dict[str, Any] = {
        "architecture": "flow",
        "config": asdict(sampler.field.config),
        "decoder": None if sampler.decoder is None else asdict(sampler.decoder.config),
        "classes": list(sampler.classes),
        "size": sampler.size,
        "guidance": sampler.guidance,
    }
    checkpoint.save_weights(path, checkpoint.pack(sampler.modules.state_dict(), storage), about)


def restore(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> Flow:
    """The sampler of a weights file's content. Raises BadRequest where it is another's."""
    if about.get("architecture") != "flow":
        raise BadRequest(f"these weights are of {about.get('architecture')!r}, not of a flow")
    decoder = vae.VAE(vae.Config(**about["decoder"])) if about["decoder"] else None
    sampler = Flow.of(
        flow.Velocity(flow.Config(**about["config"])), decoder, about["size"], about["classes"], about["guidance"]
    )
    sampler.modules.load_state_dict(checkpoint.unpack(tensors))
    sampler.modules.requires_grad_(False)
    return sampler
