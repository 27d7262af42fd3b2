"""How near a set of pieces is to another: overlapping distances (MGEval), copied moves, a classifier of composers.

Yang & Lerch 2018, "On the evaluation of generative models in music": the distances between the pieces of one set, and
between those of two sets, are each made a density by a Gaussian kernel; two sets are alike in a feature as far as the
two densities overlap.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import distance
from scipy.stats import gaussian_kde
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Rows = NDArray[np.float64]  # (pieces, bins)
POINTS = 1000  # at which densities are compared


def within(rows: Rows) -> Rows:
    """The distances between any two pieces of a set."""
    return distance.pdist(rows)


def across(rows: Rows, others: Rows) -> Rows:
    """The distances between each piece of one set and each of the other."""
    return distance.cdist(rows, others).ravel()


def overlap(one: Rows, other: Rows) -> float:
    """The area under both of two densities of distances, in [0, 1]."""
    if min(len(one), len(other)) < 2 or min(np.ptp(one), np.ptp(other)) == 0:
        return float(np.array_equal(np.unique(one), np.unique(other)))
    low, high = min(one.min(), other.min()), max(one.max(), other.max())
    room = 0.2 * (high - low)
    x = np.linspace(low - room, high + room, POINTS)
    return float(np.trapezoid(np.minimum(gaussian_kde(one)(x), gaussian_kde(other)(x)), x))


def likeness(real: Rows, made: Rows) -> float:
    """How alike made pieces are to real ones: the overlap of distances within the real set with those across."""
    return overlap(within(real), across(made, real))


def halves(real: Rows, rng: np.random.Generator, rounds: int = 10) -> float:
    """The same of one half of the real set to the other, a mean over several ways of halving it."""
    found = []
    for _ in range(rounds):
        order = rng.permutation(len(real))
        found.append(likeness(real[order[: len(real) // 2]], real[order[len(real) // 2 :]]))
    return float(np.mean(found))


@dataclass
class Moves:
    """Rows of moves that stand in a set of lines, looked up by length."""

    lines: Sequence[Sequence[int]]
    known: dict[int, set[tuple[int, ...]]] = field(default_factory=dict)

    def longest(self, line: Sequence[int]) -> int:
        """How many moves in a row of this line stand in the set."""
        low, high = 0, len(line)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._shared(line, middle) else (low, middle - 1)
        return low

    def _shared(self, line: Sequence[int], size: int) -> bool:
        if size not in self.known:
            self.known[size] = {tuple(one[i : i + size]) for one in self.lines for i in range(len(one) - size + 1)}
        return any(tuple(line[i : i + size]) in self.known[size] for i in range(len(line) - size + 1))


def classifier() -> object:
    """Multinomial logistic regression on standardised traits; composers weigh alike however many pieces they have."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.03, class_weight="balanced", max_iter=3000))


@dataclass(frozen=True)
class Examples:
    """Excerpts of real pieces."""

    rows: Rows
    composers: NDArray[np.str_]  # (N,)
    works: NDArray[np.str_]  # (N,): excerpts of one work are never on two sides
    pieces: NDArray[np.str_]  # (N,)


def foretold(examples: Examples, folds: int = 5) -> tuple[NDArray[np.str_], Rows]:
    """The composer of every excerpt, and of every piece by its excerpts' mean, told from other works alone.

    Returns the excerpts' composers, (N,), and the probabilities, (N, composers in alphabetical order).
    """
    names = np.unique(examples.composers)
    chances = np.zeros((len(examples.rows), len(names)))
    for learned, asked in GroupKFold(folds).split(examples.rows, groups=examples.works):
        model = fitted(examples.rows[learned], examples.composers[learned])
        places = np.searchsorted(names, model.classes_)
        chances[np.ix_(asked, places)] = model.predict_proba(examples.rows[asked])
    return names[chances.argmax(axis=1)], chances


def fitted(rows: Rows, composers: NDArray[np.str_]) -> object:
    """A classifier that learned from these."""
    model = classifier()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return model.fit(rows, composers)
