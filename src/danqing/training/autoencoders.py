"""Trained autoencoders as samplers, and what their recipes log and are measured by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from danqing.compute import checkpoint
from danqing.errors import BadRequest
from danqing.techniques import vae
from danqing.training import metrics
from danqing.training.generators import Sampler, samples
from danqing.training.pictures import Collection

MEASURED = 128  # held-out pictures, and as many made ones, that `figures` looks at
BATCH = 32


@dataclass
class Autoencoder:
    """A `generators.Sampler` that can also say which latents a picture has.

    Latents are those of `vae.VAE`: standardised, a vector or a map. Maps drawn at random make no pictures worth
    looking at: their places hang together, and it takes a flow (recipe `flow`, latents=) to draw them.
    """

    modules: nn.Module  # a vae.VAE
    size: int
    classes: tuple[str, ...] = ()

    @property
    def model(self) -> vae.VAE:
        """The network under its own type."""
        return cast(vae.VAE, self.modules)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """(count, latents) or (count, latents, side, side) float32, standard normal."""
        return torch.randn(count, *self.model.config.latent_shape, generator=generator)

    def pictures(self, latents: Tensor, classes: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """(B, 3, S, S) float32 in [-1, 1]; truncation pulls the latents toward 0, the average of all pictures."""
        here = next(self.model.parameters()).device
        made = self.model.decode(latents.to(here) * truncation)
        return made.clamp(-1, 1)

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """The latents' means for pictures (B, 3, S, S) float32 in [-1, 1]."""
        if pictures.shape[1:] != (3, self.size, self.size):
            raise BadRequest(
                f"pictures are {tuple(pictures.shape[1:])}; this model takes (3, {self.size}, {self.size})"
            )
        return self.model.encode(pictures.to(next(self.model.parameters()).device))

    def again(self, pictures: Tensor) -> Tensor:
        """Encoded and decoded: (B, 3, S, S) float32 in [-1, 1], on the CPU."""
        with torch.no_grad():
            parts = [self.pictures(self.encode(part)).cpu() for part in torch.split(pictures, BATCH)]
        return torch.cat(parts)


def header(model: vae.VAE) -> dict[str, Any]:
    """What a weights file has to say of it."""
    return {"architecture": "vae", "config": asdict(model.config), "classes": [], "size": model.config.size}


def save(path: Path, model: vae.VAE, storage: str) -> None:
    """Write the weights file. storage: see `checkpoint.pack`."""
    checkpoint.save_weights(path, checkpoint.pack(model.state_dict(), storage), header(model))


def restore(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> Autoencoder:
    """The sampler of a weights file's content. Raises BadRequest where it is another's."""
    if about.get("architecture") != "vae":
        raise BadRequest(f"these weights are of {about.get('architecture')!r}, not of an autoencoder")
    model = vae.VAE(vae.Config(**about["config"]))
    model.load_state_dict(checkpoint.unpack(tensors))
    return Autoencoder(model.eval().requires_grad_(False), model.config.size)


def reconstruction(sampler: Autoencoder, pictures: Tensor) -> dict[str, float]:
    """How near pictures (B, 3, S, S) in [-1, 1] come back.

    error: mean absolute difference, in [0, 2]; error_mean: of the pictures' own mean, which knows nothing of each.
    """
    return {
        "error": float((sampler.again(pictures) - pictures).abs().mean()),
        "error_mean": float((pictures.mean(0, keepdim=True) - pictures).abs().mean()),
    }


def figures(sampler: Sampler, collection: Collection, seed: int = 0) -> dict[str, float]:
    """What any sampler makes, against held-out pictures and against the training pictures as a control.

    sliced_wasserstein: of made pictures to held-out ones; *_floor: of as many training pictures to them.
    """
    count = min(MEASURED, len(collection.held), len(collection.training))
    held, seen = collection.held.centre(range(count)), collection.training.centre(range(count))
    made = samples(sampler, count, seed).cpu()
    return {
        "sliced_wasserstein": metrics.sliced_wasserstein(made, held),
        "sliced_wasserstein_floor": metrics.sliced_wasserstein(seen, held),
        "diversity": metrics.diversity(made),
        "diversity_real": metrics.diversity(held),
    }
