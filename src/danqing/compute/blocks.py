"""What at least three techniques share: how they ask a network for its features, and how generators hear of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

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


class Classes(nn.Module):
    """An embedding of class numbers in which "no class" has a row of its own, the last."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.randn(count + 1, width))

    def forward(self, classes: Tensor | None, count: int) -> Tensor:
        """classes (B,) int64, -1 for no class; None: no class for all of `count` pictures. Returns (B, width)."""
        none = len(self.rows) - 1
        if classes is None:
            return self.rows[none].expand(count, -1)
        return self.rows[torch.where(classes < 0, none, classes)]
