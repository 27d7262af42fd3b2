"""The GAN's game on points: the losses and the penalties are those of `techniques.gan`, only the nets are smaller."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from danqing.lessons import shapes
from danqing.techniques import gan

LATENT = 4  # numbers that a point is made from
FIELD = 40  # cells of the field along each side
SHOWN = 300  # points shown of each kind
CLEAR = 3.0  # times: how much more decided the field is shown than the judge is, for the eye


@dataclass(frozen=True)
class Rules:
    """How a game is played."""

    shape: str
    loss: str = "nonsaturating"  # of gan.LOSSES
    r1: float = 0.0  # weight of the discriminator's squared steepness at real points
    between: float = 0.0  # weight of the penalty between real and made points
    turns: int = 1  # of the discriminator for each of the generator
    rate: float = 1e-3  # of both
    swift: float = 1.0  # times: how much faster the discriminator learns
    batch: int = 128
    width: int = 64


class Duel:
    """Two nets that play."""

    def __init__(self, rules: Rules, generator: torch.Generator) -> None:
        self.rules, self.random = rules, generator
        self.loss = gan.LOSSES[rules.loss]
        self.maker = shapes.net(LATENT, 2, rules.width)
        self.judge = shapes.net(2, 1, rules.width)
        betas = (0.5, 0.9)
        self.adam_maker = torch.optim.Adam(self.maker.parameters(), rules.rate, betas)
        self.adam_judge = torch.optim.Adam(self.judge.parameters(), rules.rate * rules.swift, betas)

    def make(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Points from noise: (count, 2, 1, 1)."""
        z = torch.randn(count, LATENT, generator=generator or self.random)
        made: Tensor = self.maker(z)[:, :, None, None]
        return made

    def score(self, x: Tensor) -> Tensor:
        """How real points (N, 2, 1, 1) look: (N,)."""
        scores: Tensor = self.judge(x)[:, 0]
        return scores

    def round(self, pace: float = 1.0) -> dict[str, float]:
        """The judge's turns, then the maker's. Returns the losses, and how often the judge was right.

        pace: a factor of both learning rates, to let a game come to rest.
        """
        rules = self.rules
        self.adam_maker.param_groups[0]["lr"] = rules.rate * pace
        self.adam_judge.param_groups[0]["lr"] = rules.rate * rules.swift * pace
        for _ in range(rules.turns):
            real = shapes.draw(rules.shape, rules.batch, self.random).requires_grad_(rules.r1 > 0)
            made = self.make(rules.batch).detach()
            told_real, told_made = self.score(real), self.score(made)
            judged = self.loss.discriminator(told_real, told_made)
            total = judged
            if rules.r1:
                total = total + 0.5 * rules.r1 * gan.steepness(told_real, real)
            if rules.between:
                share = torch.rand(rules.batch, generator=self.random)
                total = total + rules.between * gan.penalty_between(self.score, real.detach(), made, share)
            self.adam_judge.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]
            self.adam_judge.step()
        told = self.score(self.make(rules.batch))
        beside = self.score(shapes.draw(rules.shape, rules.batch, self.random)).detach()
        fooled = self.loss.generator(beside, told)
        self.adam_maker.zero_grad(set_to_none=True)
        fooled.backward()  # type: ignore[no-untyped-call]
        self.adam_maker.step()
        found = {"judge": float(judged.detach()), "maker": float(fooled.detach())}
        if self.loss.middle is not None:
            right = (told_real > self.loss.middle).float().mean() + (told_made < self.loss.middle).float().mean()
            found["right"] = float(right) / 2
        return found

    @torch.no_grad()
    def field(self) -> NDArray[np.float32]:
        """The judge's opinion over the plane, (FIELD, FIELD) in [0, 1]: ½ where it is in two minds.

        Scores without a middle are stretched between their 5 % and 95 % quantiles.
        """
        scores = self.score(shapes.lattice(FIELD))
        if self.loss.middle is None:
            low, high = torch.quantile(scores, torch.tensor([0.05, 0.95]))
            share = (scores - low) / (high - low).clamp_min(1e-6)
        else:
            share = torch.sigmoid(CLEAR * (scores - self.loss.middle))
        levels: NDArray[np.float32] = share.view(FIELD, FIELD).numpy()
        return levels

    def pushes(self, made: Tensor, count: int = 40) -> list[list[float]]:
        """What the maker hears of its first points: x, y and a way of at most 0.5 down its loss."""
        x = made[:count].detach().requires_grad_()
        beside = self.score(shapes.draw(self.rules.shape, len(x), torch.Generator().manual_seed(0))).detach()
        (slope,) = torch.autograd.grad(self.loss.generator(beside, self.score(x)) * len(x), x)
        way = -slope.flatten(1)
        far = way.norm(dim=1, keepdim=True)
        way = way / far.clamp_min(1e-9) * torch.tanh(far) * 0.5
        found: list[list[float]] = torch.cat([x.detach().flatten(1), way], dim=1).tolist()
        return found

    @torch.no_grad()
    def shown(self, seed: int, count: int = SHOWN) -> Tensor:
        """Points of the same noise each time: (count, 2, 1, 1)."""
        return self.make(count, torch.Generator().manual_seed(seed))
