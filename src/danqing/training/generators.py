"""Trained generators as everything else sees them: latent numbers in, pictures out.

Whatever made it (a GAN, a VAE, a flow), a weights file of a generator is restored to a `Sampler`, so that evaluation,
walks through latent space, export and the arts are written once. Its header holds `architecture` (a name of
`ARCHITECTURES`), `config` (of the technique), `classes` (their names) and `size` (px).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from danqing.errors import BadRequest

# architecture → the module of this room whose `restore` knows it
ARCHITECTURES = {
    "gan": "adversarial",
    "vae": "autoencoders",
    "flow": "flows",
}


class Sampler(Protocol):
    """A generator with its trained (averaged) weights, in evaluation mode, fp32."""

    size: int  # px, side of its pictures
    classes: tuple[str, ...]  # what can be asked for by name; empty: nothing can
    modules: torch.nn.Module  # all of its networks, for export and for counting

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Latents as they are drawn in training: (count, …) float32, standard normal, from a CPU generator."""
        ...

    def pictures(self, latents: Tensor, classes: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """The pictures of these latents: (B, 3, size, size) float32 in [-1, 1]; gradients flow back to `latents`.

        classes: (B,) int64, for generators that know classes; None draws none. truncation: 1 leaves the latents as
        they are, smaller pulls them toward the average, for fewer surprises and more likeness.
        """
        ...


def restore(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> Sampler:
    """The sampler of a weights file's content. Raises BadRequest where it is no generator's."""
    name = str(about.get("architecture", ""))
    if name not in ARCHITECTURES:
        raise BadRequest(f"these are weights of {name or 'nothing known'!r}, not of a generator of pictures")
    module = importlib.import_module(f"danqing.training.{ARCHITECTURES[name]}")
    return cast(Sampler, module.restore(tensors, about))


@torch.no_grad()
def samples(sampler: Sampler, count: int, seed: int, batch: int = 32, truncation: float = 1.0) -> Tensor:
    """Always the same pictures for a seed, classes in turn where it has some: (count, 3, S, S) float32 in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    latents = sampler.draw(count, generator)
    classes = torch.arange(count) % len(sampler.classes) if sampler.classes else None
    made = [
        sampler.pictures(latents[i : i + batch], None if classes is None else classes[i : i + batch], truncation)
        for i in range(0, count, batch)
    ]
    return torch.cat(made).clamp_(-1, 1)
