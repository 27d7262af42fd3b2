"""What at least three techniques share: how they ask a network for its features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from danqing.compute.device import Compute


class Features(Protocol):
    """A frozen network seen through its layers: VGG19, our own backbone, or anything else that answers like this."""

    compute: Compute  # where it runs and in which dtype and layout it wants its pictures
    layers: tuple[str, ...]  # every layer it can be asked for, shallow to deep: "relu1_1", "relu1_2", …

    def __call__(self, x: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Feature maps of a picture batch.

        x: (B, 3, H, W) sRGB in [0, 1], any float dtype; gradients flow back to it.
        Returns {layer: (B, C, h, w)} in the compute dtype, h = H / 2**(block - 1) rounded down.
        """
        ...
