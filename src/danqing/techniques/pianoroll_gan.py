"""Two bars for four voices at once, from noise: a convolutional Wasserstein GAN over piano rolls.

Dong et al. 2018, "MuseGAN: Multi-track Sequential Generative Adversarial Networks", trained with the Wasserstein loss
and gradient penalty of Gulrajani et al. 2017. Departures: chorales for four voices, two bars, a step a sixteenth; each
voice sings one note or none, so a step of a voice is a softmax over pitches and silence (as in the language models of
Gulrajani et al.) and made binary by its largest value, where MuseGAN thresholds pixels; convolutions run along time and
see all pitches at once, since every piece is brought to the tonic C first; one generator writes all voices (MuseGAN's
"composer"), which are what has to fit together; no batch norm in either net.
A roll is (B, VOICES · CODES, STEPS) float32: of each voice, soprano to bass, the share of each of `encode.notes.CODES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danqing.encode.notes import CODES, VOICES
from danqing.errors import BadRequest

STEPS = 32  # sixteenths: two bars of four quarters
CHANNELS = len(VOICES) * CODES
SLOPE = 0.2  # of the leaky ReLU below 0


@dataclass(frozen=True)
class Config:
    """What defines the nets; saved in the weights' header and enough to rebuild them."""

    noise: int = 64  # numbers that a passage is made from
    width: int = 96  # channels of a step; beats and bars have more

    def __post_init__(self) -> None:
        if min(self.noise, self.width) < 1:
            raise BadRequest("noise and width are whole numbers of 1 or more")


class Generator(nn.Module):
    """Noise → half bars → beats → eighths → sixteenths."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        w = config.width
        self.config = config
        self.begin = nn.Linear(config.noise, 2 * w * 4)
        self.beats = nn.ConvTranspose1d(2 * w, 2 * w, 2, 2)
        self.around = nn.Conv1d(2 * w, 2 * w, 3, padding=1)
        self.eighths = nn.ConvTranspose1d(2 * w, w, 2, 2)
        self.steps = nn.ConvTranspose1d(w, w, 2, 2)
        self.output = nn.Conv1d(w, CHANNELS, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """z (B, noise) standard normal → a roll (B, CHANNELS, STEPS) whose voices each sum to 1 at every step."""
        x = F.leaky_relu(self.begin(z), SLOPE).view(len(z), -1, 4)
        x = F.leaky_relu(self.beats(x), SLOPE)
        x = F.leaky_relu(x + self.around(x), SLOPE)
        x = F.leaky_relu(self.eighths(x), SLOPE)
        x = F.leaky_relu(self.steps(x), SLOPE)
        logits = self.output(x).view(len(z), len(VOICES), CODES, STEPS)
        return torch.softmax(logits, 2).flatten(1, 2)


class Critic(nn.Module):
    """How real a roll is: sixteenths → beats → half bars → a number."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        w = config.width
        self.eighths = nn.Conv1d(CHANNELS, w, 2, 2)
        self.around = nn.Conv1d(w, w, 3, padding=1)
        self.beats = nn.Conv1d(w, 2 * w, 2, 2)
        self.halves = nn.Conv1d(2 * w, 2 * w, 4, 2, padding=1)
        self.end = nn.Linear(2 * w * 4, 1)

    def forward(self, roll: Tensor) -> Tensor:
        """roll (B, CHANNELS, STEPS) → (B,), higher for what looks real."""
        x = F.leaky_relu(self.eighths(roll), SLOPE)
        x = F.leaky_relu(x + self.around(x), SLOPE)
        x = F.leaky_relu(self.beats(x), SLOPE)
        x = F.leaky_relu(self.halves(x), SLOPE)
        score: Tensor = self.end(x.flatten(1))[:, 0]
        return score


def build(config: Config) -> tuple[Generator, Critic]:
    """Both nets with fresh weights from PyTorch's global generator, fp32, in training mode."""
    return Generator(config), Critic(config)


# --- losses -----------------------------------------------------------------------------------------------------------


def critic_loss(real: Tensor, made: Tensor) -> Tensor:
    """The Wasserstein critic's: its scores (B,) of real and of made ones; the scalar is −(distance)."""
    return made.mean() - real.mean()


def generator_loss(made: Tensor) -> Tensor:
    """The generator's: the critic's scores (B,) of what it made; a scalar."""
    return -made.mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, made: Tensor, share: Tensor) -> Tensor:
    """Mean squared distance from 1 of the critic's slope between real and made ones. share (B,) in [0, 1]: where."""
    at = share.view(-1, *[1] * (real.ndim - 1))
    mixed = (real + at * (made - real)).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    off: Tensor = slope.flatten(1).norm(dim=1) - 1
    return off.square().mean()


# --- rolls ------------------------------------------------------------------------------------------------------------


def rolled(codes: Tensor) -> Tensor:
    """Notes as a roll: codes (B, STEPS, VOICES) int64 → (B, CHANNELS, STEPS) float32 of zeros and ones."""
    return F.one_hot(codes, CODES).permute(0, 2, 3, 1).flatten(1, 2).float()


def binary(roll: Tensor) -> Tensor:
    """The likeliest code of each voice at each step: (B, CHANNELS, STEPS) → (B, STEPS, VOICES) int64."""
    return roll.view(len(roll), len(VOICES), CODES, STEPS).argmax(2).permute(0, 2, 1)


@torch.no_grad()
def sample(model: Generator, count: int, generator: torch.Generator) -> Tensor:
    """New passages: (count, STEPS, VOICES) int64 codes."""
    return binary(model(torch.randn(count, model.config.noise, generator=generator)))
