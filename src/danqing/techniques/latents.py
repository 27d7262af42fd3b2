"""Moving about in the latent space of a trained generator: walks, projection of a given picture, directions.

Everything here is a plain function of tensors and callables and knows no network. A code is whatever a picture is made
from: a latent, or one style vector for each layer.

- `slerp`: Shoemake 1985, "Animating Rotation with Quaternion Curves"; for latents White 2016, "Sampling Generative
  Networks". Departure: lengths are interpolated as well, so that codes of different lengths need no special case.
- `project`: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", appendix D: Adam, a rate that
  rises and falls, noise that fades. Departures: several starts go side by side, and each keeps its best code without
  noise; there are no noise maps to regularise. One style for each layer, not one for all: Abdal et al. 2019,
  "Image2StyleGAN", here as a second search that starts where the first one ended.
- `principal` and `explained_by`: Härkönen et al. 2020, "GANSpace". Departure: where a generator has no styles, the
  components are those of its pictures, not of a layer inside.
- `factorise`: Shen & Zhou 2021, "Closed-Form Factorization of Latent Semantics in GANs" (SeFa).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from danqing.artwork.request import OnStep, Step, ignore
from danqing.errors import BadRequest

PARALLEL = 1e-4  # radians; an arc shorter than this, or as near to half a turn, is drawn as a straight line

# --- walks ------------------------------------------------------------------------------------------------------------


def slerp(a: Tensor, b: Tensor, shares: Tensor) -> Tensor:
    """Points on the arc from a to b at even angles, lengths in between: between equal lengths the length stays.

    a, b: (…) float32 of one shape, taken as vectors; shares: (T,) in [0, 1]. Returns (T, …): a at 0 and b at 1.
    """
    start, end = a.flatten().double(), b.flatten().double()
    lengths = torch.stack([start.norm(), end.norm()]).clamp_min(1e-12)
    unit = torch.stack([start, end]) / lengths[:, None]
    angle = 2 * torch.atan2((unit[0] - unit[1]).norm(), (unit[0] + unit[1]).norm())  # exact for small ones as well
    t = shares.double()[:, None]  # (T, 1)
    if float(angle) < PARALLEL or math.pi - float(angle) < PARALLEL:  # opposite codes have no shortest arc
        points = torch.lerp(start, end, t)
    else:
        arc = (torch.sin((1 - t) * angle) * unit[0] + torch.sin(t * angle) * unit[1]) / torch.sin(angle)
        points = arc * torch.lerp(lengths[0], lengths[1], t)
    return points.to(a.dtype).view(-1, *a.shape)


def walk(keys: Tensor, leg: int, *, closed: bool = False, spherical: bool = True) -> Tensor:
    """A way through codes, `leg` steps from each to the next.

    keys: (K, …) float32, two or more. Open: ((K - 1) * leg + 1, …), from the first key to the last. Closed: (K * leg,
    …), the last step being the one before the first key again, so that it can be shown round and round.
    spherical: along arcs, which suits latents that were drawn from a normal; styles lie in no shell: straight lines.
    """
    shares = torch.arange(leg, dtype=torch.float64) / leg
    following = [*range(1, len(keys)), *([0] if closed else [])]
    legs = []
    for start, end in zip(keys, keys[following], strict=False):
        t = shares.view(-1, *(1,) * start.ndim).to(start.dtype)
        legs.append(slerp(start, end, shares) if spherical else torch.lerp(start, end, t))
    return torch.cat([*legs, *([] if closed else [keys[-1:]])])


# --- projection -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Search:
    """How a code is looked for. The defaults are the paper's, but for the number of steps (its 1000)."""

    steps: int = 300
    rate: float = 0.1  # Adam's, at its highest
    rise: float = 0.05  # share of the steps over which the rate grows from nothing
    fall: float = 0.25  # share of the steps, the last ones, over which it goes back to nothing
    noise: float = 0.05  # added to the code at first, as a share of how far codes are spread
    quiet: float = 0.75  # from this share of the steps on there is none


@dataclass(frozen=True)
class Found:
    """Where each start of a search ended."""

    codes: Tensor  # (B, …) float32, the best one of each start
    losses: Tensor  # (B,) float32, theirs

    @property
    def best(self) -> Tensor:
        """The best code of all, (1, …)."""
        return self.codes[int(self.losses.argmin())][None]


def project(
    starts: Tensor,
    loss: Callable[[Tensor], Tensor],
    search: Search,
    generator: torch.Generator,
    spread: Tensor | float = 1.0,
    on_step: OnStep = ignore,
) -> Found:
    """Go downhill from every start at once.

    starts: (B, …) float32. loss: codes (B, …) → (B,), differentiable; each code's own, none weighs on another's.
    spread: the standard deviation of codes, broadcast to them; the noise is a share of it. generator: on the CPU.
    """
    codes = starts.detach().clone().requires_grad_(True)
    optimiser = torch.optim.Adam([codes], lr=search.rate)
    with torch.no_grad():
        best, least = starts.detach().clone(), loss(starts).detach().clone()
    for number in range(search.steps):
        done = number / search.steps
        optimiser.param_groups[0]["lr"] = search.rate * ramp(done, search)
        strength = search.noise * max(0.0, 1 - done / search.quiet) ** 2
        noise = torch.randn(codes.shape, generator=generator).to(codes) * spread * strength
        losses = loss(codes + noise)
        if strength == 0:
            better = losses.detach() < least
            least = torch.where(better, losses.detach(), least)
            best[better] = codes.detach()[better]
        codes.grad = torch.autograd.grad(losses.sum(), codes)[0]
        optimiser.step()
        on_step(Step(number + 1, search.steps, "searching"))
    return Found(best, least)


def ramp(done: float, search: Search) -> float:
    """The rate's factor in [0, 1] when a share `done` of the steps is behind: up in a line, down in a cosine."""
    down = min(1.0, (1 - done) / search.fall) if search.fall else 1.0
    up = min(1.0, (done + 1 / search.steps) / search.rise) if search.rise else 1.0
    return up * (0.5 - 0.5 * math.cos(math.pi * down))


# --- directions -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Axes:
    """Directions in a space, the most telling first."""

    vectors: Tensor  # (K, …) float32
    shares: Tensor  # (K,) float32: of the variance, or of the squared effect, that each accounts for


def principal(samples: Tensor, count: int) -> Axes:
    """The directions in which samples vary most, each as long as one standard deviation along it.

    samples: (N, D) float32, N > 1; count ≤ min(N - 1, D). Signs are fixed: the largest number of each is positive.
    """
    if not 1 <= count <= min(len(samples) - 1, samples.shape[1]):
        most = min(len(samples) - 1, samples.shape[1])
        raise BadRequest(f"{count} directions were asked for; in this space there are 1 to {most}")
    centred = (samples - samples.mean(dim=0)).double()
    values, vectors = torch.linalg.eigh(centred.T @ centred / (len(samples) - 1))  # ascending
    top = values.flip(0)[:count].clamp_min(0)
    axes = _signed(vectors.T.flip(0)[:count]) * top.sqrt()[:, None]
    return Axes(axes.float(), (top / values.clamp_min(0).sum().clamp_min(1e-12)).float())


def explained_by(latents: Tensor, seen: Tensor, count: int) -> Axes:
    """Unit directions in latent space that move what is seen along its principal components.

    The least-squares fit of the latents to the components' standardised coordinates (GANSpace, section 3.2).
    latents: (N, …) float32, standard normal; seen: (N, D) float32, what was made of them.
    """
    axes = principal(seen, count)
    scale = axes.vectors.pow(2).sum(dim=1).clamp_min(1e-12)  # squared standard deviations
    coordinates = (seen - seen.mean(dim=0)) @ axes.vectors.T / scale  # (N, K), uncorrelated, of variance 1
    fitted = coordinates.T @ latents.flatten(1) / len(latents)  # (K, L)
    unit = fitted / fitted.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return Axes(_signed(unit).view(count, *latents.shape[1:]), axes.shares)


def factorise(weights: Sequence[Tensor], count: int) -> Axes:
    """Unit directions that the layers' weights answer to most: the top right singular vectors of all stacked.

    weights: matrices (O, D) float32 that take a style to each layer's modulation; count ≤ D.
    """
    stacked = torch.cat([w.detach().flatten(1) for w in weights]).double()  # (ΣO, D)
    if not 1 <= count <= stacked.shape[1]:
        raise BadRequest(f"{count} directions were asked for; in this space there are 1 to {stacked.shape[1]}")
    values, vectors = torch.linalg.eigh(stacked.T @ stacked)
    top = values.flip(0)[:count].clamp_min(0)
    return Axes(_signed(vectors.T.flip(0)[:count]).float(), (top / values.clamp_min(0).sum()).float())


def _signed(vectors: Tensor) -> Tensor:
    """Each (K, D) vector with its largest number positive: an eigenvector's own sign means nothing."""
    largest = vectors.gather(1, vectors.abs().argmax(dim=1, keepdim=True))
    return vectors * torch.where(largest < 0, -1.0, 1.0).to(vectors)
