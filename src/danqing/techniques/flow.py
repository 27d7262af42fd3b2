"""Rectified flow: learn a velocity field that carries noise to pictures along straight lines, then follow it.

Liu et al. 2022, "Flow Straight and Fast"; times drawn from the logit-normal distribution after Esser et al. 2024,
"Scaling Rectified Flow Transformers"; classifier-free guidance after Ho & Salimans 2022. The field is a small DiT
(Peebles & Xie 2023, adaLN-Zero) or a small U-Net (Ho et al. 2020), over pixels or over an autoencoder's latents.
Departures: time runs from 0, noise, to 1, pictures, so that samplers go forward; no reflow; sizes for a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danqing.artwork.request import OnStep, Step, ignore
from danqing.errors import BadRequest

NETWORKS = ("dit", "unet")
Field = Callable[[Tensor, Tensor], Tensor]  # (B, C, S, S) at times (B,) in [0, 1] → velocity (B, C, S, S)


@dataclass(frozen=True)
class Config:
    """What defines the field; saved in the weights' header and enough to rebuild it."""

    side: int = 64  # of what flows, pixels or places of a latent map
    channels: int = 3  # of what flows
    classes: int = 0  # that can be asked for; 0: none
    network: str = "dit"  # or "unet"
    width: int = 192  # channels of a token (dit), or at full size (unet)
    depth: int = 6  # blocks (dit), or halvings (unet)
    patch: int = 4  # side of what a token stands for (dit)
    heads: int = 4  # of attention

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise BadRequest(f"network is {self.network!r}; it is one of {', '.join(NETWORKS)}")
        step = self.patch if self.network == "dit" else 2**self.depth
        if self.side % step:
            raise BadRequest(f"a side of {self.side} does not divide into {step}; change size, patch or depth")
        if self.network == "dit" and self.width % (4 * self.heads):
            raise BadRequest(f"width is {self.width}; it has to be a multiple of {4 * self.heads}, 4 times the heads")


# --- the field --------------------------------------------------------------------------------------------------------


class Condition(nn.Module):
    """Time and class as one vector. One class more than there are stands for none."""

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        self.none = config.classes
        self.time = nn.Sequential(nn.Linear(128, width), nn.SiLU(), nn.Linear(width, width))
        self.kinds = nn.Embedding(config.classes + 1, width)
        nn.init.normal_(self.kinds.weight, std=0.3)

    def forward(self, times: Tensor, classes: Tensor | None) -> Tensor:
        """times (B,) in [0, 1], classes (B,) int64 or None → (B, width)."""
        frequencies = torch.exp(torch.linspace(0, math.log(1000), 64, device=times.device))
        angles = times.float()[:, None] * frequencies
        waves = torch.cat([angles.cos(), angles.sin()], dim=1).to(self.kinds.weight.dtype)
        if classes is None:
            classes = torch.full(times.shape, self.none, device=times.device)
        out: Tensor = F.silu(self.time(waves) + self.kinds(classes))
        return out


class Block(nn.Module):
    """A Transformer block whose norms are scaled and shifted, and whose branches are gated, by the condition."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.modulation = nn.Linear(width, 6 * width)
        self.mix = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width))
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """x (B, T, C), condition (B, C)."""
        shift_a, scale_a, gate_a, shift_f, scale_f, gate_f = self.modulation(condition)[:, None].chunk(6, dim=-1)
        y = _layer_norm(x) * (1 + scale_a) + shift_a
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.mix(y).chunk(3, dim=-1))
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)  # (B, T, C)
        x = x + gate_a * self.out(y)
        out: Tensor = x + gate_f * self.feed(_layer_norm(x) * (1 + scale_f) + shift_f)
        return out


def _layer_norm(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


class DiT(nn.Module):
    """Patches as tokens, at places that fixed waves tell."""

    places: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        w, p = config.width, config.patch
        self.patch = p
        self.condition = Condition(config, w)
        self.tokens = nn.Conv2d(config.channels, w, p, p)
        self.blocks = nn.ModuleList(Block(w, config.heads) for _ in range(config.depth))
        self.modulation = nn.Linear(w, 2 * w)
        self.output = nn.Linear(w, config.channels * p * p)
        for layer in (self.modulation, self.output):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.register_buffer("places", _waves(config.side // p, w), persistent=False)

    def forward(self, x: Tensor, times: Tensor, classes: Tensor | None) -> Tensor:
        """x (B, C, S, S) → the velocity, the like."""
        condition = self.condition(times, classes)
        tokens = self.tokens(x)
        rows = tokens.shape[-1]
        y = tokens.flatten(2).transpose(1, 2) + self.places.to(x.dtype)  # (B, T, width)
        for block in self.blocks:
            y = block(y, condition)
        shift, scale = self.modulation(condition)[:, None].chunk(2, dim=-1)
        patches = self.output(_layer_norm(y) * (1 + scale) + shift)  # (B, T, C·p·p)
        out: Tensor = F.pixel_shuffle(patches.transpose(1, 2).unflatten(2, (rows, rows)), self.patch)
        return out


def _waves(side: int, width: int) -> Tensor:
    """Sines and cosines of row and column: (side², width) float32."""
    frequencies = torch.exp(-math.log(1000) * torch.arange(width // 4) / (width // 4))
    angles = torch.arange(side)[:, None] * frequencies  # (side, width / 4)
    along = torch.cat([angles.sin(), angles.cos()], dim=1)  # (side, width / 2)
    rows, columns = along.repeat_interleave(side, 0), along.repeat(side, 1)
    return torch.cat([rows, columns], dim=1)


class Residual(nn.Module):
    """Two convolutions beside a shortcut, the second norm scaled and shifted by the condition."""

    def __init__(self, ins: int, outs: int, condition: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(ins, outs, 3, padding=1)
        self.second = nn.Conv2d(outs, outs, 3, padding=1)
        self.modulation = nn.Linear(condition, 2 * outs)
        self.short = nn.Identity() if ins == outs else nn.Conv2d(ins, outs, 1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """x (B, ins, H, W), condition (B, C) → (B, outs, H, W)."""
        scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, dim=1)
        y = self.first(F.silu(_group_norm(x)))
        y = self.second(F.silu(_group_norm(y) * (1 + scale) + shift))
        out: Tensor = self.short(x) + y
        return out


def _group_norm(x: Tensor) -> Tensor:
    return F.group_norm(x, math.gcd(x.shape[1], 8))


class Attention(nn.Module):
    """Every place looks at every other."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads if channels % heads == 0 else 1
        self.mix = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W), and so the result."""
        q, k, v = (part.flatten(2).unflatten(1, (self.heads, -1)).transpose(2, 3)
                   for part in self.mix(_group_norm(x)).chunk(3, dim=1))  # fmt: skip
        y = F.scaled_dot_product_attention(q, k, v).transpose(2, 3).flatten(1, 2).view_as(x)
        out: Tensor = self.out(y)
        return x + out


class UNet(nn.Module):
    """A residual block at each size downwards and upwards; attention at the smallest."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        widths = [config.width * min(4, 2**level) for level in range(config.depth + 1)]
        c = 4 * config.width
        self.condition = Condition(config, c)
        self.first = nn.Conv2d(config.channels, widths[0], 3, padding=1)
        self.down = nn.ModuleList(Residual(a, b, c) for a, b in pairwise(widths))
        self.middle = Residual(widths[-1], widths[-1], c)
        self.attention = Attention(widths[-1], config.heads)
        self.up = nn.ModuleList(Residual(2 * b, a, c) for b, a in pairwise(widths[::-1]))
        self.output = nn.Conv2d(2 * widths[0], config.channels, 3, padding=1)
        nn.init.zeros_(self.output.weight)

    def forward(self, x: Tensor, times: Tensor, classes: Tensor | None) -> Tensor:
        """x (B, C, S, S) → the velocity, the like."""
        condition = self.condition(times, classes)
        x = self.first(x)
        seen = [x]
        for block in self.down:
            x = block(x, condition)
            seen.append(x)
            x = F.avg_pool2d(x, 2)
        x = self.attention(self.middle(x, condition))
        for block in self.up:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = block(torch.cat([x, seen.pop()], dim=1), condition)
        out: Tensor = self.output(F.silu(torch.cat([x, seen.pop()], dim=1)))
        return out


class Velocity(nn.Module):
    """The field."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.net = DiT(config) if config.network == "dit" else UNet(config)

    def forward(self, x: Tensor, times: Tensor, classes: Tensor | None = None) -> Tensor:
        """x (B, C, S, S) at times (B,) in [0, 1], as classes (B,) int64 (`config.classes`: none) → velocity."""
        out: Tensor = self.net(x, times, classes)
        return out


# --- learning ---------------------------------------------------------------------------------------------------------


def loss(
    model: Velocity, targets: Tensor, classes: Tensor | None, dropout: float, generator: torch.Generator
) -> Tensor:
    """Mean squared error of the velocity at random times on random lines; scalar float32.

    targets (B, C, S, S) of a standard deviation around 1; classes (B,) int64, -1 or left out (a share `dropout` of
    them, for guidance) as none. generator: on the CPU.
    """
    here, count = targets.device, len(targets)
    noise = torch.randn(targets.shape, generator=generator).to(here)
    times = torch.randn(count, generator=generator).sigmoid().to(here)
    left_out = torch.rand(count, generator=generator).to(here) < dropout
    if classes is not None:
        classes = torch.where(left_out | (classes < 0), model.config.classes, classes)
    along = times.view(-1, 1, 1, 1)
    x = noise + along * (targets.float() - noise)
    velocity: Tensor = model(x.to(targets.dtype), times, classes)
    return (velocity.float() - (targets.float() - noise)).square().mean()


# --- sampling ---------------------------------------------------------------------------------------------------------


def guided(model: Velocity, classes: Tensor | None, guidance: float = 1.0) -> Field:
    """The field toward these classes: 1 is the field as it was learned, more goes further from what no class asks for.

    classes (B,) int64; None leaves nothing to be guided by.
    """

    def field(x: Tensor, times: Tensor) -> Tensor:
        if classes is None or guidance == 1:
            plain: Tensor = model(x, times, classes)
            return plain
        none = torch.full_like(classes, model.config.classes)
        both = model(torch.cat([x, x]), torch.cat([times, times]), torch.cat([classes, none]))
        toward, away = both.unflatten(0, (2, -1)).unbind()  # not chunk(2), which would fix the batch in an export
        further: Tensor = away + guidance * (toward - away)
        return further

    return field


def euler(field: Field, noise: Tensor, steps: int, on_step: OnStep = ignore) -> Tensor:
    """First order: one look at the field a step. noise (B, C, S, S) at time 0 → time 1; gradients flow back."""
    x = noise
    for number in range(steps):
        x = x + field(x, _times(x, number / steps)) / steps
        on_step(Step(number + 1, steps, "flow"))
    return x


def heun(field: Field, noise: Tensor, steps: int, on_step: OnStep = ignore) -> Tensor:
    """Second order: two looks at the field a step. noise (B, C, S, S) at time 0 → time 1; gradients flow back."""
    x = noise
    for number in range(steps):
        slope = field(x, _times(x, number / steps))
        ahead = field(x + slope / steps, _times(x, (number + 1) / steps))
        x = x + (slope + ahead) / (2 * steps)
        on_step(Step(number + 1, steps, "flow"))
    return x


def _times(x: Tensor, at: float) -> Tensor:
    return torch.full((x.shape[0],), at, device=x.device)
