"""Generators that ship: the same picture for the same seed, and another for another, without a network or data."""

import pytest
import torch

from danqing.catalog import catalog
from danqing.training import generators, metrics

SHIPPED = [card.name for card in catalog.cards() if card.architecture.get("architecture") in generators.ARCHITECTURES]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_generator_paints_the_same_for_a_seed_and_differently_for_others(name):
    own = generators.restore(*catalog.weights(name))
    made = generators.samples(own, 16, seed=1)
    assert made.shape == (16, 3, own.size, own.size)
    assert torch.equal(made, generators.samples(own, 16, seed=1))
    assert not torch.equal(made, generators.samples(own, 16, seed=2))
    assert metrics.diversity(made) > 0.2
    flat = made.flatten(1)
    assert float(torch.pdist(flat).min()) > 0.05 * flat.shape[1] ** 0.5  # no two of them are one picture
