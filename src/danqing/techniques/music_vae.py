"""A variational autoencoder of two-bar phrases: a phrase becomes a point, points between two phrases become phrases.

Roberts et al. 2018, "A Hierarchical Latent Vector Model for Learning Long-Term Structure in Music" (MusicVAE), its flat
model for two bars: a bidirectional recurrent encoder, a recurrent decoder that sees the point at every step, β with
free bits (Kingma et al. 2016) and a warm-up. Attributes are tied to axes of the space by the attribute-regularised loss
of Pati & Lerch 2020, so that an axis is a slider. Departures: GRUs of a few hundred units instead of LSTMs of
thousands; the encoder reads a beat at a time and its states at all beats make the point; their conductor, which gives
longer pieces a plan bar by bar, is one matrix here and gives each beat its own part of the point, with which a small
network learns in minutes what took them days; steps know their place in the bar and phrases their mode, which the point
then need not hold and which may be others when it is decoded; the decoder hears the pitch before the phrase; tokens
that it reads are hidden at random (Bowman et al. 2016), so that it relies on the point.
Tokens, places and modes are those of `encode.phrases`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danqing.encode.phrases import ATTRIBUTES, HOLD, LENGTH, MODES, PLACES, START, TOKENS
from danqing.errors import BadRequest

BLANK = START + 1  # a token that is not shown
BEAT = 4  # steps of a quarter, whatever the metre
BEATS = LENGTH // BEAT
NEVER = float("-inf")


@dataclass(frozen=True)
class Config:
    """What defines a model; saved in the weights' header and enough to rebuild it."""

    latent: int = 48  # numbers of a point; the first ones belong to ATTRIBUTES
    encoder: int = 128  # units of each direction
    decoder: int = 256  # units
    plan: int = 64  # channels of a beat's part of the point
    token: int = 48  # channels of a token
    place: int = 16  # channels of a place
    mode: int = 8  # channels of a mode

    def __post_init__(self) -> None:
        if (
            self.latent <= len(ATTRIBUTES)
            or min(self.encoder, self.decoder, self.plan, self.token, self.place, self.mode) < 1
        ):
            raise BadRequest(f"latent is above {len(ATTRIBUTES)}, the number of sliders; all else is 1 or more")


@dataclass(frozen=True)
class Known:
    """What is known of phrases besides their notes."""

    places: Tensor  # (B, T) int64 in [0, PLACES)
    mode: Tensor  # (B,) int64 in [0, MODES)
    before: Tensor  # (B,) int64 in [0, START]: what was heard last

    def repeated(self, count: int) -> Known:
        """Each phrase `count` times, in a row."""
        return Known(*(x.repeat_interleave(count, 0) for x in (self.places, self.mode, self.before)))


class Vae(nn.Module):
    """Encoder and decoder, which share how they read tokens."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.token = nn.Embedding(BLANK + 1, config.token)
        self.place = nn.Embedding(PLACES, config.place)
        self.mode = nn.Embedding(MODES, config.mode)
        read = config.token + config.place + config.mode
        self.beat = nn.Linear(BEAT * read, 2 * config.encoder)
        self.reader = nn.GRU(2 * config.encoder, config.encoder, batch_first=True, bidirectional=True)
        self.point = nn.Linear(BEATS * 2 * config.encoder, 2 * config.latent)
        self.begin = nn.Linear(config.latent + config.mode, config.decoder)
        self.conductor = nn.Linear(config.decoder, BEATS * config.plan)
        self.writer = nn.GRU(read + config.plan, config.decoder, batch_first=True)
        self.output = nn.Linear(config.decoder, TOKENS)

    def encode(self, tokens: Tensor, known: Known) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of each phrase's point: tokens (B, T) int64 → two of (B, latent) float32."""
        steps = self._read(tokens, known)
        beats = F.relu(self.beat(steps.reshape(len(tokens), tokens.shape[1] // BEAT, -1)))
        states, _ = self.reader(beats)  # (B, beats, 2·E)
        states = F.pad(states, (0, 0, 0, BEATS - states.shape[1]))
        mean, spread = self.point(states.flatten(1)).float().chunk(2, 1)
        return mean, spread.clamp(-8, 4)

    def decode(self, tokens: Tensor, z: Tensor, known: Known) -> Tensor:
        """Logits of every step, given the steps before: tokens (B, T) as they are read, BLANK where hidden, and
        z (B, latent) → (B, T, TOKENS) float32.
        """
        before = torch.cat([known.before[:, None], tokens[:, :-1]], 1)
        begin, plan = self.plan(z, known)
        seen = torch.cat([self._read(before, known), plan.repeat_interleave(BEAT, 1)[:, : tokens.shape[1]]], 2)
        states, _ = self.writer(seen, begin[None])
        logits: Tensor = self.output(states).float()
        return logits

    def plan(self, z: Tensor, known: Known) -> tuple[Tensor, Tensor]:
        """The decoder's first state (B, D), and what each beat gets of the point (B, BEATS, plan)."""
        mode = self.mode(known.mode)
        begin = torch.tanh(self.begin(torch.cat([z.to(mode.dtype), mode], 1)))
        return begin, torch.tanh(self.conductor(begin)).view(len(z), BEATS, -1)

    def step(self, token: Tensor, state: Tensor, plan: Tensor, known: Known, step: int) -> tuple[Tensor, Tensor]:
        """One step of writing: token (B,), the one before; state (1, B, D). Returns logits (B, TOKENS) and state."""
        here = Known(known.places[:, step : step + 1], known.mode, known.before)
        seen = torch.cat([self._read(token[:, None], here), plan[:, step // BEAT, None]], 2)
        states, state = self.writer(seen, state)
        return self.output(states[:, 0]), state

    def _read(self, tokens: Tensor, known: Known) -> Tensor:
        mode = self.mode(known.mode)[:, None].expand(-1, tokens.shape[1], -1)
        return torch.cat([self.token(tokens), self.place(known.places), mode], 2)


def build(config: Config) -> Vae:
    """A model of this config with fresh weights from PyTorch's global generator, fp32, in training mode."""
    return Vae(config)


# --- losses -----------------------------------------------------------------------------------------------------------


def sample(mean: Tensor, spread: Tensor, noise: Tensor) -> Tensor:
    """A point from each posterior: mean, log-variance and standard normal noise, each (B, latent), → (B, latent)."""
    return mean + noise * (0.5 * spread).exp()


def divergence(mean: Tensor, spread: Tensor) -> Tensor:
    """KL of each posterior from the standard normal prior, for each axis, in nats: (B, latent)."""
    return 0.5 * (mean.square() + spread.exp() - 1 - spread)


def surprise(model: Vae, tokens: Tensor, z: Tensor, known: Known, hidden: Tensor) -> Tensor:
    """−log p of each phrase in nats, (B,). hidden (B, T) bool: tokens that the decoder does not read."""
    logits = model.decode(tokens.masked_fill(hidden, BLANK), z, known)
    found = F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), reduction="none")
    return found.view(tokens.shape).sum(1)


def regularised(z: Tensor, attributes: Tensor, sharpness: float = 1.0) -> Tensor:
    """Pati & Lerch's loss: of each two phrases the one with more of an attribute lies further along its axis.

    z (B, latent), of which the first axes count; attributes (B, A). Mean over attributes and pairs; a scalar.
    """
    own = z[:, : attributes.shape[1]]
    apart = torch.tanh(sharpness * (own[:, None] - own[None]))  # (B, B, A)
    order = (attributes[:, None] - attributes[None]).sign()
    return (apart - order).abs().mean()


# --- writing ----------------------------------------------------------------------------------------------------------

Bias = Callable[[int, Tensor], Tensor]  # (step, the tokens so far (B, step)) → what is added to the logits (B, TOKENS)


@torch.no_grad()
def write(
    model: Vae,
    z: Tensor,
    known: Known,
    temperature: float = 0.0,
    generator: torch.Generator | None = None,
    bias: Bias | None = None,
) -> tuple[Tensor, Tensor]:
    """Phrases from points, step after step: z (B, latent) → tokens (B, T) int64 and their mean log p a step (B,).

    temperature: 0 takes the likeliest token of every step; above it tokens are drawn, and a generator is needed.
    bias: rules, as additions to the logits; −inf forbids a token.
    """
    if temperature > 0 and generator is None:
        raise BadRequest("drawing at a temperature above 0 needs a generator")
    tokens = torch.zeros(len(z), 0, dtype=torch.int64)
    begin, plan = model.plan(z, known)
    state, token = begin[None], known.before
    likely = torch.zeros(len(z))
    for step in range(known.places.shape[1]):
        logits, state = model.step(token, state, plan, known, step)
        logits = logits.float()
        if step == 0:
            logits[:, HOLD] = NEVER
        ruled = logits + bias(step, tokens) if bias else logits
        if temperature > 0:
            token = torch.multinomial(torch.softmax(ruled / temperature, 1), 1, generator=generator)[:, 0]
        else:
            token = ruled.argmax(1)
        likely += torch.log_softmax(logits, 1).gather(1, token[:, None])[:, 0]
        tokens = torch.cat([tokens, token[:, None]], 1)
    return tokens, likely / known.places.shape[1]


def between(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """The points that lie at `share` of the way from a to b, on the great circle (Shoemake 1985): their lengths too.

    a, b (B, latent); share (B,) in [0, 1]; 0 gives a, 1 gives b. Opposite or tiny points are joined by a straight line.
    """
    size_a, size_b = (x.norm(dim=1, keepdim=True).clamp_min(1e-6) for x in (a, b))
    t = share[:, None]
    angle = (a / size_a * (b / size_b)).sum(1, keepdim=True).clamp(-1, 1).acos()
    straight = (1 - t) * a + t * b
    sine = angle.sin()
    along = ((1 - t) * angle).sin() / sine * a / size_a + (t * angle).sin() / sine * b / size_b
    length = (1 - t) * size_a + t * size_b
    return torch.where(sine.abs() < 1e-3, straight, along * length)


def slid(z: Tensor, by: tuple[float, ...]) -> Tensor:
    """Points moved along the attributes' axes, `by` in units of the prior's deviation: (B, latent) → (B, latent)."""
    moved = z.clone()
    moved[:, : len(by)] += torch.tensor(by, dtype=z.dtype)
    return moved
