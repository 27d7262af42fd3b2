"""The figures of made pictures, against what is known in closed form and against pictures made worse on purpose."""

from pathlib import Path

import numpy as np
import pytest
import torch

from danqing.training import image_metrics as metrics
from danqing.training import pictures


def gaussian(count, seed, mean=0.0, spread=1.0, dimensions=8):
    return mean + spread * np.random.default_rng(seed).standard_normal((count, dimensions))


def test_kid_is_unbiased_whatever_the_count():
    """Over 200 pairs of sets from one distribution its mean is 0 within its error, for 8 pictures as for 60."""
    for count in (8, 60):
        values = np.array([metrics.kid(gaussian(count, 2 * s), gaussian(count, 2 * s + 1))[0] for s in range(200)])
        assert abs(values.mean()) < 3 * values.std() / 200**0.5
        assert (values < 0).any()  # what is never below 0 would be biased


def test_the_standard_error_of_kid_is_what_it_varies_by():
    found = [metrics.kid(gaussian(100, 2 * s, mean=0.3), gaussian(80, 2 * s + 1)) for s in range(100)]
    values, errors = np.array(found).T
    assert errors.mean() == pytest.approx(values.std(), rel=0.3)


def test_kid_grows_with_the_distance():
    real = gaussian(200, 0)
    values = [metrics.kid(gaussian(200, 1, mean=shift), real)[0] for shift in (0.0, 0.3, 1.0)]
    assert values == sorted(values)
    assert values[2] > 10 * abs(values[0])


def test_the_frechet_distance_of_two_gaussians_is_the_closed_form():
    """Spreads 1 and 2, means 0 and 1, in 8 dimensions: 8 · (1² + (2 - 1)²) = 16."""
    found = metrics.frechet(gaussian(20_000, 0), gaussian(20_000, 1, mean=1.0, spread=2.0))
    assert found == pytest.approx(16, rel=0.03)


def test_the_frechet_distance_is_exact_with_fewer_pictures_than_dimensions():
    x = gaussian(10, 0, dimensions=40)
    assert metrics.frechet(x, x) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet(x + 1, x) == pytest.approx(40)  # the same covariance, means 1 apart in each dimension


def test_precision_and_recall_of_a_set_with_itself_are_1_and_of_disjoint_sets_0():
    x = gaussian(50, 0)
    assert metrics.precision_recall(x, x) == (1, 1)
    assert metrics.density_coverage(x, x)[1] == 1
    assert metrics.precision_recall(x + 100, x) == (0, 0)
    assert metrics.density_coverage(x + 100, x) == (0, 0)


def test_a_generator_that_knows_one_of_two_kinds_is_precise_and_recalls_half():
    real = np.concatenate([gaussian(100, 0), gaussian(100, 1, mean=50)])
    precision, recall = metrics.precision_recall(gaussian(200, 2), real)
    assert precision > 0.8
    assert 0.35 < recall < 0.55
    assert metrics.density_coverage(gaussian(200, 2), real)[1] < 0.55


def test_density_of_equal_distributions_is_1_on_average():
    values = [metrics.density_coverage(gaussian(100, 2 * s), gaussian(100, 2 * s + 1))[0] for s in range(50)]
    assert np.mean(values) == pytest.approx(1, abs=0.05)


def test_the_nearest_neighbour_test_tells_apart_what_differs_and_nothing_else():
    assert metrics.nn_accuracy(gaussian(400, 0), gaussian(400, 1)) == pytest.approx(0.5, abs=0.06)
    assert metrics.nn_accuracy(gaussian(100, 0, mean=50), gaussian(100, 1)) == 1
    x = gaussian(100, 0)
    assert metrics.nn_accuracy(x + 1e-6, x) == 0  # each beside its copy


def test_sliced_wasserstein_is_0_for_the_same_pictures_and_grows_with_blur():
    x = torch.rand(40, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    y = torch.rand(40, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    assert metrics.sliced_wasserstein(x, x) == 0
    assert 0 < metrics.sliced_wasserstein(y, x) < 0.2 * metrics.sliced_wasserstein(metrics.blurred(y), x)


class Repeats:
    """A sampler that paints what it is given, in turn."""

    classes = ()
    modules = torch.nn.Module()

    def __init__(self, made):
        self.made, self.size = made, made.shape[-1]

    def draw(self, count, generator):
        return torch.arange(count) % len(self.made)

    def pictures(self, latents, classes=None, truncation=1.0):
        return self.made[latents]


@pytest.fixture(scope="module")
def space():
    """Features by fixed random filters: quick, and enough to see blur and noise by."""
    weight = torch.randn(24, 3, 5, 5, generator=torch.Generator().manual_seed(3))

    def extractor(x, layers):
        return {"maps": torch.relu(torch.nn.functional.conv2d(x - 0.5, weight, stride=2))}

    return metrics.Space("random filters", "0" * 64, extractor, ("maps",))


@pytest.fixture(scope="module")
def digits():
    return pictures.load(Path("digits"), 16)


def test_a_summary_has_every_figure_with_its_floor_and_its_controls(space, digits):
    made = digits.training.centre(range(60))
    found = metrics.summary(Repeats(made), digits, space, count=60)
    assert next(iter(found)) == "kid"
    for figure in metrics.FIGURES:
        assert {figure, f"{figure}_floor", f"{figure}_blurred", f"{figure}_noised"} <= found.keys()
    assert found["kid_error"] > 0
    assert found["kid_floor"] < found["kid_blurred"]
    assert found["kid_floor"] < found["kid_noised"]
    assert found["kid_untrained_floor"] < found["kid_untrained_blurred"]
    assert found["kid_untrained_floor"] < found["kid_untrained_noised"]
    assert found["near_copies"] == 1
    assert found == metrics.summary(Repeats(made), digits, space, count=60)


def test_an_evaluation_names_its_feature_space(space, digits):
    reference = metrics.Reference.of(digits, space, count=40)
    found = metrics.measure(digits.held.centre(range(30)), reference)
    assert found.space == "random filters"
    assert found.sha256 == "0" * 64
    assert found.counts == {"made": 30, "held": 40, "training": len(digits.training)}


def test_a_filter_that_answers_to_no_real_picture_does_not_count(monkeypatch):
    """Its deviation is 0, and what is made was millions of deviations away where it answered."""
    real = np.random.default_rng(0).normal(1, 0.1, (20, 3)) * [1, 1, 0]
    monkeypatch.setattr(
        metrics.Untrained, "_plain", lambda self, pictures: real if len(pictures) == 20 else real[:4] + 0.3
    )
    space = metrics.Untrained(torch.zeros(20, 3, 8, 8))
    away = space(torch.zeros(4, 3, 8, 8))
    assert np.abs(away).max() < 10
    assert (away[:, :2] != 0).all()
    assert (away[:, 2] == 0).all()
