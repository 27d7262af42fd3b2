"""Variational autoencoders: pictures as a few numbers that can be drawn, walked between and turned back into pictures.

Kingma & Welling 2014, "Auto-Encoding Variational Bayes", and its discrete cousin, van den Oord et al. 2017, "Neural
Discrete Representation Learning" (VQ-VAE). Two uses, one file:
- latents that are a vector: the generative model. β of Higgins et al. 2017, free bits of Kingma et al. 2016. Departure:
  the decoder's variance is the best one for the batch (Rybkin et al. 2021, "σ-VAE"), so that β = 1 is in balance
  whatever the size and the kind of pictures.
- latents that are a map: the autoencoder under a latent flow (Rombach et al. 2022), either with a slight pull to the
  normal distribution ("kl") or made of the entries of a codebook ("codes"), trained with a feature loss and a small
  patch discriminator besides. Departures: the codebook follows the encoder by moving averages, and entries that nobody
  uses are begun anew from the batch (Dhariwal et al. 2020, "Jukebox"); the discriminator's weight is a setting, not
  balanced by gradients.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danqing.errors import BadRequest

SHAPES = ("vector", "map")
BOTTLENECKS = ("kl", "codes")
LOG_VARIANCE = (-12.0, 6.0)  # range of the posterior's: beyond, exp is of no use to anyone
SLOPE = 0.2  # of the discriminator's leaky ReLU below 0


@dataclass(frozen=True)
class Config:
    """What defines the networks; saved in the weights' header and enough to rebuild them."""

    size: int = 64  # picture side, px
    shape: str = "vector"  # of the latents: vector (B, latents) or map (B, latents, side, side)
    bottleneck: str = "kl"  # or "codes", for maps
    latents: int = 64  # numbers of a vector; channels of a map
    width: int = 32  # channels at full size; twice as many at each halving, up to eight times
    halvings: int = 3  # of the side, down to the map of latents (or the map before the vector)
    codes: int = 512  # entries of the codebook

    def __post_init__(self) -> None:
        if self.shape not in SHAPES or self.bottleneck not in BOTTLENECKS:
            raise BadRequest(f"shape is one of {', '.join(SHAPES)}, bottleneck one of {', '.join(BOTTLENECKS)}")
        if self.shape == "vector" and self.bottleneck == "codes":
            raise BadRequest("codes stand for the places of a map; take shape=map with them")
        if min(self.latents, self.width, self.halvings, self.codes) < 1 or self.size % 2**self.halvings:
            raise BadRequest(f"size is {self.size}; it has to be a multiple of {2**self.halvings} (2 to the halvings)")

    @property
    def side(self) -> int:
        """Of the map, in places."""
        return self.size // int(2**self.halvings)

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Of one picture's latents."""
        return (self.latents,) if self.shape == "vector" else (self.latents, self.side, self.side)

    @property
    def widths(self) -> list[int]:
        """Channels at full size, at half the size, …"""
        return [self.width * min(8, 2**level) for level in range(self.halvings + 1)]


def _normed(norm: nn.Module, x: Tensor) -> Tensor:
    """Norms are taken in fp32, whatever the network computes in."""
    return F.silu(norm(x.float())).to(x.dtype)


class Residual(nn.Module):
    """Two convolutions with norms before them, beside a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        groups = math.gcd(channels, 8)
        self.norms = nn.ModuleList(nn.GroupNorm(groups, channels) for _ in range(2))
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        nn.init.zeros_(self.convs[1].weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W), and so the result."""
        y = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            y = conv(_normed(norm, y))
        return x + y


class Encoder(nn.Module):
    """Pictures → what the posterior is made of."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        outs = config.latents * (2 if config.bottleneck == "kl" else 1)
        w = config.widths
        self.first = nn.Conv2d(3, w[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, 2, padding=1) for a, b in pairwise(w))
        self.around = nn.ModuleList(Residual(b) for b in w[1:])
        self.norm = nn.GroupNorm(math.gcd(w[-1], 8), w[-1])
        self.last: nn.Module = nn.Conv2d(w[-1], outs, 3, padding=1)
        if config.shape == "vector":
            self.last = nn.Sequential(nn.Flatten(), nn.Linear(w[-1] * config.side**2, outs))

    def forward(self, pictures: Tensor) -> Tensor:
        """pictures (B, 3, S, S) in [-1, 1] → (B, outs) or (B, outs, side, side)."""
        x = self.first(pictures)
        for down, around in zip(self.down, self.around, strict=True):
            x = around(F.silu(down(x)))
        out: Tensor = self.last(_normed(self.norm, x))
        return out


class Decoder(nn.Module):
    """Latents → pictures; enlarged by nearest neighbour, then convolved, which leaves no checkerboards."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        w = config.widths
        self.first: nn.Module = nn.Conv2d(config.latents, w[-1], 3, padding=1)
        if config.shape == "vector":
            map_ = (w[-1], config.side, config.side)
            self.first = nn.Sequential(nn.Linear(config.latents, math.prod(map_)), nn.Unflatten(1, map_))
        self.around = nn.ModuleList(Residual(b) for b in w[:0:-1])
        self.up = nn.ModuleList(nn.Conv2d(b, a, 3, padding=1) for b, a in pairwise(w[::-1]))
        self.norm = nn.GroupNorm(math.gcd(w[0], 8), w[0])
        self.last = nn.Conv2d(w[0], 3, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        """latents of `config.latent_shape` → (B, 3, S, S), in or a little beyond [-1, 1]."""
        x = self.first(latents)
        for around, up in zip(self.around, self.up, strict=True):
            x = up(F.interpolate(around(x), scale_factor=2.0, mode="nearest"))
        out: Tensor = self.last(_normed(self.norm, x))
        return out


@dataclass(frozen=True)
class Posterior:
    """A normal distribution over the latents of each picture, independent in every number; fp32."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, generator: torch.Generator) -> Tensor:
        """One draw, with gradients to both (the reparameterisation trick). generator: on the CPU."""
        noise = torch.randn(self.mean.shape, generator=generator).to(self.mean.device)
        return self.mean + torch.exp(0.5 * self.log_variance) * noise


class Codebook(nn.Module):
    """Vectors that stand for the places of a map; all state that training changes is in buffers, so none is lost."""

    vectors: Tensor  # (codes, C) float32
    counts: Tensor  # (codes,) moving average of how many places of a batch chose it
    sums: Tensor  # (codes, C) moving average of the sum of these places

    def __init__(self, codes: int, channels: int) -> None:
        super().__init__()
        vectors = torch.randn(codes, channels)
        self.register_buffer("vectors", vectors)
        self.register_buffer("counts", torch.ones(codes))
        self.register_buffer("sums", vectors.clone())

    def nearest(self, latents: Tensor) -> Tensor:
        """Which entry is nearest to each place: (B, C, h, w) → (B, h, w) int64."""
        places = latents.detach().float().movedim(1, -1)  # (B, h, w, C)
        far = self.vectors.square().sum(1) - 2 * places @ self.vectors.T  # the places' own length changes no order
        return far.argmin(-1)

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest entries, their gradient handed straight through to `latents`; and their numbers (B, h, w)."""
        codes = self.nearest(latents)
        chosen = self.vectors[codes].movedim(-1, 1).to(latents.dtype)
        return latents + (chosen - latents).detach(), codes

    @torch.no_grad()
    def follow(self, latents: Tensor, codes: Tensor, generator: torch.Generator, decay: float = 0.98) -> None:
        """Move the entries to the mean of what chose them of late; those that hardly anything chose begin anew.

        A forgotten entry takes the place of a random place of this batch. latents (B, C, h, w), codes (B, h, w).
        """
        places = latents.detach().float().movedim(1, -1).flatten(0, 2)  # (N, C)
        chosen = F.one_hot(codes.flatten(), len(self.vectors)).to(places.dtype)  # (N, codes)
        self.counts.lerp_(chosen.sum(0), 1 - decay)
        self.sums.lerp_(chosen.T @ places, 1 - decay)
        anew = torch.randint(len(places), (len(self.vectors),), generator=generator).to(places.device)
        dead = self.counts < 0.1 * len(places) / len(self.vectors)  # a tenth of an even share
        self.counts.masked_fill_(dead, len(places) / len(self.vectors))
        self.sums.copy_(torch.where(dead[:, None], places[anew] * self.counts[:, None], self.sums))
        self.vectors.copy_(self.sums / self.counts[:, None])


class VAE(nn.Module):
    """Encoder, decoder and, for codes, the codebook.

    Outside, latents are standardised: `centre` and `spread`, per number of a vector or per channel of a map, are
    measured once training is over (`standardise`). For vectors under the KL they stay 0 and 1.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.codebook = Codebook(config.codes, config.latents) if config.bottleneck == "codes" else None
        shape = (config.latents,) + (1,) * (len(config.latent_shape) - 1)
        self.register_buffer("centre", torch.zeros(shape))
        self.register_buffer("spread", torch.ones(shape))

    def posterior(self, pictures: Tensor) -> Posterior:
        """For the KL bottleneck. pictures (B, 3, S, S) in [-1, 1]."""
        mean, log_variance = self.encoder(pictures).float().chunk(2, dim=1)
        return Posterior(mean, log_variance.clamp(*LOG_VARIANCE))

    def encode(self, pictures: Tensor) -> Tensor:
        """The standardised latents of pictures (B, 3, S, S) in [-1, 1]: posterior means, or what codes stand for."""
        raw = self.encoder(pictures).float() if self.codebook is not None else self.posterior(pictures).mean
        return (raw - self.centre) / self.spread

    def decode(self, latents: Tensor) -> Tensor:
        """The opposite: (B, 3, S, S), in or a little beyond [-1, 1]; gradients flow back."""
        raw = latents * self.spread + self.centre
        if self.codebook is not None:
            raw, _ = self.codebook(raw)
        out: Tensor = self.decoder(raw)
        return out

    @torch.no_grad()
    def standardise(self, pictures: Tensor) -> None:
        """Measure `centre` and `spread` on pictures (B, 3, S, S) in [-1, 1]."""
        latents = self.encode(pictures) * self.spread + self.centre
        axes = (0, 2, 3) if latents.ndim == 4 else (0,)
        self.centre.copy_(latents.mean(axes).view_as(self.centre))
        self.spread.copy_(latents.std(axes).clamp_min(1e-4).view_as(self.spread))


class Discriminator(nn.Module):
    """Judges patches of 34 px, each on its own; three convolutions without norms."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        ends = (3, width, 2 * width, 4 * width)
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 4, 2 if level < 2 else 1, padding=1) for level, (a, b) in enumerate(pairwise(ends))
        )
        self.last = nn.Conv2d(ends[-1], 1, 4, padding=1)

    def forward(self, pictures: Tensor) -> Tensor:
        """pictures (B, 3, S, S) in [-1, 1], 16 px or more → a map of scores (B, h, w), above 0 for what looks real."""
        x = pictures
        for conv in self.convs:
            x = F.leaky_relu(conv(x), SLOPE)
        scores: Tensor = self.last(x)[:, 0]
        return scores


# --- losses -----------------------------------------------------------------------------------------------------------


def divergence(posterior: Posterior) -> Tensor:
    """KL from the posterior to the standard normal of each number, nats: as the posterior's shape."""
    mean, log_variance = posterior.mean, posterior.log_variance
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def held_up(nats: Tensor, free: float) -> Tensor:
    """Nats a picture, of which the first `free` of each number cost nothing (Kingma et al. 2016). nats (B, …); scalar.

    The clamp is on the batch's mean: a number that carries less than that is not pushed to carry nothing.
    """
    return nats.mean(0).clamp_min(free).sum()


def negative_log_likelihood(made: Tensor, pictures: Tensor) -> Tensor:
    """Nats a picture under a normal distribution with the batch's best variance, up to a constant; scalar fp32.

    made, pictures (B, 3, S, S). A floor of 1e-5 keeps a perfect copy from being worth endlessly much.
    """
    error = (made.float() - pictures.float()).square().mean()
    return 0.5 * pictures[0].numel() * (error + 1e-5).log()


def commitment(latents: Tensor, quantised: Tensor) -> Tensor:
    """Keeps the encoder near the entries it chose: mean squared distance; scalar fp32."""
    return (latents.float() - quantised.detach().float()).square().mean()


def judged(real: Tensor, made: Tensor) -> Tensor:
    """The discriminator's hinge loss; scalar fp32."""
    return 0.5 * (F.relu(1 - real.float()).mean() + F.relu(1 + made.float()).mean())
