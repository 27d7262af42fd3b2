"""Layers with an equalised learning rate, and the discriminator's look at a whole batch.

Karras et al. 2018, "Progressive Growing of GANs for Improved Quality, Stability, and Variation": weights are drawn from
N(0, 1) and scaled at each use by He's constant, so that Adam moves every layer at the same relative speed. `progan` and
`stylegan` are built of these.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Linear(nn.Module):
    """A fully connected layer; `speed` multiplies its learning rate (StyleGAN's mapping network learns at 0.01)."""

    def __init__(self, inputs: int, outputs: int, speed: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / speed)
        self.bias = nn.Parameter(torch.full((outputs,), bias / speed))
        self.speed = speed
        self.scale = speed * inputs**-0.5

    @property
    def matrix(self) -> Tensor:
        """The weights as they are used: (outputs, inputs)."""
        matrix: Tensor = self.weight * self.scale
        return matrix

    def forward(self, x: Tensor) -> Tensor:
        """x (B, inputs) → (B, outputs)."""
        return F.linear(x, self.matrix, self.bias * self.speed)


class Conv(nn.Module):
    """A convolution that keeps the size of its maps."""

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = (inputs * kernel**2) ** -0.5
        self.padding = kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        """x (B, inputs, H, W) → (B, outputs, H, W)."""
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


def pixel_norm(x: Tensor) -> Tensor:
    """Each pixel's channels (or each latent's numbers) scaled to a mean square of 1. x (B, C, …)."""
    return x * torch.rsqrt(x.float().square().mean(1, keepdim=True) + 1e-8).to(x.dtype)


def with_deviation(x: Tensor, group: int = 4) -> Tensor:
    """One more channel: how much the pictures of a group differ, for pictures alike are a sign of collapse.

    x (B, C, H, W) → (B, C + 1, H, W). Groups have `group` pictures where the batch divides so, else the whole batch is
    one.
    """
    size = group if len(x) % group == 0 else len(x)
    groups = x.float().view(size, -1, *x.shape[1:])  # (group, B / group, C, H, W)
    deviation = (groups.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))  # (B / group,)
    plane = deviation.repeat(size).view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])
    return torch.cat([x, plane.to(x.dtype)], dim=1)
