"""How good the pictures of a generator are, without Inception: measured in our own frozen feature space.

Each figure compares made pictures with held-out ones that no training run saw, and stands beside three more, since none
of them means anything alone: the floor (training pictures against held-out pictures: what a perfect generator would
get) and two controls (those training pictures blurred, and with noise on them).

KID (Bińkowski et al. 2018, "Demystifying MMD GANs") comes first: it is unbiased at any number of pictures, so it takes
them all. Fréchet distance (Heusel et al. 2017), precision and recall (Kynkäänniemi et al. 2019), density and coverage
(Naeem et al. 2020), the nearest-neighbour two-sample test (Lopez-Paz & Oquab 2017) and the sliced Wasserstein distance
of pixel patches (Karras et al. 2018) all move with the number of pictures, so they are taken at equal counts: the made
pictures are cut, in the order they were drawn, into as many sets of the held-out set's size as there are, and the
figure is the mean over these sets; the training pictures of the floor likewise, in an order drawn from the seed.

A generator that was judged through our backbone while it learned is flattered by figures in its space. KID stands there
a second time, in a space that nobody was trained in: means and deviations of the maps of the same graph with random
filters (Naeem et al. 2020 found such features to do where pictures are unlike ImageNet's), each standardised by the
training pictures. The sliced Wasserstein distance knows nothing of either.

Departures: the features are the means of our backbone's maps over the picture, of the last layers of its third, fourth
and fifth blocks, not Inception's; figures cannot be compared with those of papers, only with one another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from danqing.artwork.request import OnStep, Step, ignore
from danqing.techniques.backbone import Backbone
from danqing.techniques.backbone import Config as BackboneConfig
from danqing.training import data, nearness
from danqing.training.generators import Sampler, samples
from danqing.training.nearness import Features, distances
from danqing.training.pictures import Collection, Pictures

LEAST_SIDE = 64  # px; smaller pictures are enlarged to it, since the backbone's fifth block has a sixteenth of the side
BATCH = 32
FIGURES = (
    *("kid", "frechet", "precision", "recall"),
    *("density", "coverage", "nn_accuracy", "sliced_wasserstein"),
)  # in this order, KID first
CONTROLS = ("floor", "blurred", "noised")
NEIGHBOURS_PRECISION = 3  # as in the papers
NEIGHBOURS_DENSITY = 5
BLOCKS = 20  # of the jackknife
PROBES = 500  # made pictures that are searched for near-copies; each costs two more looks through the backbone


@dataclass(frozen=True)
class Space:
    """A frozen feature space: whose it is, and how pictures get there."""

    name: str
    sha256: str  # of the weights
    extractor: Callable[[Tensor, Sequence[str]], dict[str, Tensor]]  # pictures in [0, 1], layers → maps
    layers: tuple[str, ...] = ("relu3_3", "relu4_3", "relu5_1")

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Features:
        """(N, 3, S, S) in [-1, 1] → (N, D) float64, one number for each channel of each layer."""
        found = []
        for x in torch.split(pictures, BATCH):
            if x.shape[-1] < LEAST_SIDE:
                x = F.interpolate(x, size=(LEAST_SIDE, LEAST_SIDE), mode="bicubic").clamp(-1, 1)
            maps = self.extractor(x * 0.5 + 0.5, self.layers)
            found.append(torch.cat([maps[layer].float().mean(dim=(2, 3)) for layer in self.layers], dim=1).cpu())
        return torch.cat(found).double().numpy()


DEAD = 1e-4  # of the median deviation: a number that varies less says nothing of pictures


class Untrained:
    """A feature space of random filters, the same for everybody, standardised by pictures that are given."""

    layers = ("relu1_2", "relu2_2", "relu3_3")

    def __init__(self, pictures: Tensor) -> None:
        """pictures (N, 3, S, S) in [-1, 1], those that features are standardised by."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.net = Backbone(BackboneConfig()).eval().requires_grad_(False)
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        plain = self._plain(pictures)
        # Some filters answer to none of these pictures; by their deviation the first answer would be millions.
        spread = plain.std(axis=0)
        self.mean, self.deviation = plain.mean(axis=0), np.where(spread > DEAD * np.median(spread), spread, np.inf)

    def __call__(self, pictures: Tensor) -> Features:
        """(N, 3, S, S) in [-1, 1] → (N, D) float64, two numbers for each channel of each layer."""
        found: Features = (self._plain(pictures) - self.mean) / self.deviation
        return found

    @torch.no_grad()
    def _plain(self, pictures: Tensor) -> Features:
        found = []
        for x in torch.split(pictures, BATCH):
            maps = self.net(x.contiguous(memory_format=torch.channels_last) * 0.5 + 0.5, self.layers)
            numbers = [f(m, dim=(2, 3)) for m in maps.values() for f in (torch.mean, torch.std)]
            found.append(torch.cat(numbers, dim=1))
        return torch.cat(found).double().numpy()


def kid_untrained(made: Tensor, training: Tensor, held: Tensor, most: int = 500, seed: int = 0) -> dict[str, float]:
    """KID to held-out pictures in the space of `Untrained`, its error, its floor and its controls.

    All (N, 3, S, S) in [-1, 1]; of each the first `most` are looked at.
    """
    space = Untrained(training[:most])
    real, seen = space(held[:most]), space(training[:most])
    n = min(len(training), len(held), most)
    grain = noised(training[:n], torch.Generator().manual_seed(seed))
    value, error = kid(space(made[:most]), real)
    return {
        "kid_untrained": value,
        "kid_untrained_error": error,
        "kid_untrained_floor": kid(seen, real)[0],
        "kid_untrained_blurred": kid(space(blurred(training[:n])), real)[0],
        "kid_untrained_noised": kid(space(grain), real)[0],
    }


# --- the figures: arrays of features in, a number out -----------------------------------------------------------------


def kid(made: Features, real: Features) -> tuple[float, float]:
    """Kernel distance, the unbiased estimate, and its standard error. made (N, D), real (M, D), N and M ≥ 2.

    MMD² with the kernel (x·y / D + 1)³; it may come out below 0, where the two are as alike as two sets can be. The
    error is the two-sample jackknife's: each side left out in up to 20 blocks in turn, the variances added.
    """
    d = made.shape[1]
    xx, yy, xy = ((a @ b.T / d + 1) ** 3 for a, b in ((made, made), (real, real), (made, real)))
    np.fill_diagonal(xx, 0)
    np.fill_diagonal(yy, 0)

    def estimate(keep_x: NDArray[np.bool_], keep_y: NDArray[np.bool_]) -> float:
        n, m = keep_x.sum(), keep_y.sum()
        x, y = keep_x.astype(float), keep_y.astype(float)
        return float(x @ xx @ x / (n * (n - 1)) + y @ yy @ y / (m * (m - 1)) - 2 * (x @ xy @ y) / (n * m))

    all_x, all_y = np.ones(len(made), bool), np.ones(len(real), bool)
    variance = 0.0
    for side, keep in enumerate((all_x, all_y)):
        blocks = min(BLOCKS, len(keep) // 3)  # what is left still has a pair
        place = np.arange(len(keep)) * max(blocks, 1) // len(keep)
        values = np.array([estimate(*((place != b, all_y), (all_x, place != b))[side]) for b in range(blocks)])
        if blocks > 1:
            variance += (blocks - 1) * float(values.var())
    return estimate(all_x, all_y), variance**0.5


def frechet(made: Features, real: Features) -> float:
    """Fréchet distance between Gaussians of the two sets' means and covariances. (N, D) and (M, D).

    The trace of the covariances' root is the nuclear norm of A Bᵀ, A and B the centred sets: exact, and steady where
    there are fewer pictures than dimensions. Biased upwards there, so only figures at equal counts compare.
    """
    (a, mean_a), (b, mean_b) = (((x - x.mean(axis=0)) / np.sqrt(len(x) - 1), x.mean(axis=0)) for x in (made, real))
    root = np.linalg.svd(np.linalg.qr(a).R @ np.linalg.qr(b).R.T, compute_uv=False).sum()
    return float(((mean_a - mean_b) ** 2).sum() + (a**2).sum() + (b**2).sum() - 2 * root)


def _radii(within: Features, neighbours: int) -> Features:
    """Distance of each point to its k-th nearest other point, from a distance matrix: (N, N) → (N,)."""
    # The point itself is the nearest of all, at 0. Of fewer points the last one counts.
    return np.sort(within, axis=1)[:, min(neighbours, len(within) - 1)]


def precision_recall(made: Features, real: Features, neighbours: int = NEIGHBOURS_PRECISION) -> tuple[float, float]:
    """(share of made pictures that lie among real ones, share of real ones that lie among made ones). Both in [0, 1].

    A picture lies among others where it is within one of theirs' distance to its k-th nearest neighbour.
    """
    across = distances(made, real)
    real_radii, made_radii = _radii(distances(real, real), neighbours), _radii(distances(made, made), neighbours)
    precision = (across <= real_radii[None]).any(axis=1).mean()
    recall = (across <= made_radii[:, None]).any(axis=0).mean()
    return float(precision), float(recall)


def density_coverage(made: Features, real: Features, neighbours: int = NEIGHBOURS_DENSITY) -> tuple[float, float]:
    """(how many real neighbourhoods a made picture lies in, by k; share of these that hold a made picture).

    Density is 1 on average for equal distributions and may exceed it; coverage lies in [0, 1]. One outlier among the
    real pictures moves neither much, unlike precision.
    """
    inside = distances(made, real) <= _radii(distances(real, real), neighbours)[None]
    return float(inside.sum() / (neighbours * len(made))), float(inside.any(axis=0).mean())


def nn_accuracy(made: Features, real: Features) -> float:
    """Leave-one-out accuracy of telling made from real by the nearest other picture: 0.5 cannot, 1 always can.

    Below 0.5 each made picture sits beside a real one of its own: a sign of copies. Wants equal counts.
    """
    both = np.concatenate([made, real])
    apart = distances(both, both)
    np.fill_diagonal(apart, np.inf)
    is_made = np.arange(len(both)) < len(made)
    return float((is_made[apart.argmin(axis=1)] == is_made).mean())


@torch.no_grad()
def sliced_wasserstein(made: Tensor, real: Tensor, seed: int = 0, patches: int = 32, directions: int = 128) -> float:
    """How far apart the pixels are: mean over the levels of a Laplacian pyramid. Both (N, 3, S, S) in [-1, 1].

    7×7 patches drawn at random from each level down to 16 px, their channels brought to the real ones' mean and
    spread, projected on random directions. The larger set gives its first N.
    """
    count = min(len(made), len(real))
    generator = torch.Generator().manual_seed(seed)
    apart = []
    for one, other in zip(_laplacian(made[:count]), _laplacian(real[:count]), strict=True):
        side = one.shape[-1] - 6
        top, left = torch.randint(side, (2, count, patches), generator=generator)
        mean, spread = other.mean(dim=(0, 2, 3)), other.std(dim=(0, 2, 3)).clamp_min(1e-6)
        axes = F.normalize(torch.randn(3 * 49, directions, generator=generator), dim=0)
        sides = []
        for level in (one, other):
            level = (level - mean[:, None, None]) / spread[:, None, None]
            windows = level.unfold(2, 7, 1).unfold(3, 7, 1)  # (N, 3, side, side, 7, 7), a view
            rows = torch.arange(count)[:, None]
            cut = windows[rows, :, top, left].reshape(count * patches, -1)  # (N · patches, 147)
            sides.append((cut @ axes).sort(dim=0).values)
        apart.append(float((sides[0] - sides[1]).abs().mean()))
    return sum(apart) / len(apart)


def _laplacian(x: Tensor) -> list[Tensor]:
    """Differences between a picture and its enlarged half, fine to coarse, the last the remainder of 16 px or less."""
    levels = []
    while x.shape[-1] >= 32:
        half = F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)
        levels.append(x - F.interpolate(half, size=x.shape[-2:], mode="bilinear"))
        x = half
    return [*levels, x]


# --- a whole evaluation -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reference:
    """Real pictures and what is known of them once: for several evaluations on one collection."""

    space: Space
    held: nearness.Side
    training: nearness.Side
    controls: Mapping[str, Mapping[str, float]]  # "floor", "blurred", "noised" → the figures

    @classmethod
    def of(
        cls, collection: Collection, space: Space, count: int = 1000, seed: int = 0, on_step: OnStep = ignore
    ) -> Reference:
        """The reference for evaluations of `count` made pictures: the floor is taken at the same counts.

        Pictures are cut as in training (a seeded crop, mirrored half of the time where training does that). Where there
        are more held-out pictures than `count`, the first `count` of their seeded order are taken.
        """
        held = _side(collection.held, space, count, seed)
        on_step(Step(1, 4, "held-out pictures"))
        training = _side(collection.training, space, len(collection.training), seed + 1)
        on_step(Step(2, 4, "training pictures"))
        real, part = training.pictures[:count], training.features[:count]
        controls = {"floor": compare(real, held.pictures, part, held.features)}
        generator = torch.Generator().manual_seed(seed)
        n = min(len(held), len(training))
        for number, (name, spoiled) in enumerate(
            (("blurred", blurred(real[:n])), ("noised", noised(real[:n], generator)))
        ):
            controls[name] = compare(spoiled, held.pictures, space(spoiled), held.features)
            on_step(Step(3 + number, 4, "controls"))
        return cls(space, held, training, controls)


def _side(source: Pictures, space: Space, most: int, seed: int) -> nearness.Side:
    numbers = np.random.default_rng(seed).permutation(len(source))[:most].tolist()
    generator = torch.Generator().manual_seed(seed)
    crops = torch.cat([source.batch(part, generator) for part in data.batches(numbers, 256)])
    return nearness.Side.of(source, numbers, crops, space(crops))


def blurred(x: Tensor) -> Tensor:
    """A quarter of the side, and back: as a generator that knows no detail. (B, 3, S, S) in [-1, 1]."""
    small = F.interpolate(x, scale_factor=0.25, mode="bilinear", antialias=True)
    return F.interpolate(small, size=x.shape[-2:], mode="bicubic").clamp(-1, 1)


def noised(x: Tensor, generator: torch.Generator) -> Tensor:
    """Grain of a tenth of the range: as a generator that never settles. (B, 3, S, S) in [-1, 1]."""
    return (x + 0.2 * torch.randn(x.shape, generator=generator)).clamp(-1, 1)


def compare(made: Tensor, real: Tensor, made_features: Features, real_features: Features) -> dict[str, float]:
    """Every figure of FIGURES and `kid_error`. Pictures (N, 3, S, S) and (M, 3, S, S), features beside them."""
    n = min(len(made), len(real))
    value, error = kid(made_features, real_features)
    rows = []
    for start in range(0, len(made) - n + 1, n):
        x, y = made_features[start : start + n], real_features[:n]
        rows.append(
            (
                frechet(x, y),
                *precision_recall(x, y),
                *density_coverage(x, y),
                nn_accuracy(x, y),
                sliced_wasserstein(made[start : start + n], real[:n]),
            )
        )
    means = np.mean(rows, axis=0)
    return {"kid": value, "kid_error": error, **dict(zip(FIGURES[1:], map(float, means), strict=True))}


@dataclass(frozen=True)
class Evaluation:
    """What was measured, and in which space."""

    space: str
    sha256: str
    counts: Mapping[str, int]  # made, held, training
    figures: Mapping[str, float]  # of the made pictures
    controls: Mapping[str, Mapping[str, float]]
    copies: nearness.Nearness
    untrained: Mapping[str, float] = field(default_factory=dict)  # of `kid_untrained`

    def flat(self) -> dict[str, float]:
        """One mapping: kid, kid_error, kid_floor, kid_blurred, kid_noised, frechet, …, near_copies."""
        found = {"kid": self.figures["kid"], "kid_error": self.figures["kid_error"]}
        for figure in FIGURES:
            found[figure] = self.figures[figure]
            found |= {f"{figure}_{name}": control[figure] for name, control in self.controls.items()}
        return {**found, **self.untrained, "near_copies": self.copies.rate, "near_copies_floor": self.copies.floor}


def measure(made: Tensor, reference: Reference, on_step: OnStep = ignore) -> Evaluation:
    """Measure pictures, (N, 3, S, S) float32 in [-1, 1], N ≥ 4."""
    held, training = reference.held, reference.training
    features = reference.space(made)
    on_step(Step(1, 3, "made pictures"))
    figures = compare(made, held.pictures, features, held.features)
    on_step(Step(2, 3, "near-copies"))
    copies = nearness.search(made[:PROBES], features[:PROBES], reference.space, training, held)
    on_step(Step(3, 3, "near-copies"))
    counts = {"made": len(made), "held": len(held), "training": len(training)}
    untrained = kid_untrained(made, training.pictures, held.pictures)
    space = reference.space
    return Evaluation(space.name, space.sha256, counts, figures, reference.controls, copies, untrained)


def summary(
    sampler: Sampler, collection: Collection, space: Space, count: int = 1000, seed: int = 0, on_step: OnStep = ignore
) -> dict[str, float]:
    """Everything about a generator as one flat mapping, see `Evaluation.flat`: what recipes' `evaluate` returns."""
    reference = Reference.of(collection, space, count, seed, on_step)
    return measure(samples(sampler, count, seed), reference, on_step).flat()
