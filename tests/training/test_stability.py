"""Warnings from logs made by hand, on both sides of each threshold."""

import pytest
import torch

from danqing.training import stability


def looks(*values, **names):
    """Log rows, one look every 100 steps: looks(held_accuracy_real=[…], …)."""
    count = len(next(iter(names.values())))
    return [{"step": 100 * i, **{name: column[i] for name, column in names.items()}} for i in range(count)]


def found(rows):
    return [(w.name, w.step) for w in stability.warnings(rows)]


def test_a_discriminator_that_is_always_right_has_won():
    right = looks(held_accuracy_real=[0.8, 0.95, 0.96, 0.99], held_accuracy_made=[0.8, 0.99, 0.99, 0.95])
    assert found(right) == [("discriminator wins", 100)]


@pytest.mark.parametrize("last", [0.94, 0.5])
def test_a_discriminator_that_errs_at_times_has_not(last):
    assert not found(looks(held_accuracy_real=[0.99, 0.99, 0.99, last], held_accuracy_made=[0.99] * 4))


def test_two_looks_are_not_enough_to_say_so():
    assert not found(looks(held_accuracy_real=[0.5, 0.99, 0.99], held_accuracy_made=[0.99] * 3))


def test_a_discriminator_that_takes_held_out_pictures_for_made_ones_knows_its_own_by_heart():
    made = [0.99] * 4
    assert found(looks(held_accuracy_real=[0.8, 0.25, 0.2, 0.1], held_accuracy_made=made)) == [("memorises", 100)]
    assert not found(looks(held_accuracy_real=[0.8, 0.25, 0.2, 0.26], held_accuracy_made=made))


def test_pictures_half_as_diverse_as_real_ones_are_a_collapse():
    real = [0.5] * 5
    assert found(looks(held_diversity=[0.0, 0.4, 0.24, 0.2, 0.1], held_diversity_real=real)) == [("collapse", 200)]
    assert not found(looks(held_diversity=[0.0, 0.4, 0.24, 0.2, 0.25], held_diversity_real=real))


def test_an_untrained_generator_has_not_collapsed():
    assert not found(looks(held_diversity=[0.0, 0.1, 0.2], held_diversity_real=[0.5] * 3))


@pytest.mark.parametrize("name", ["generator", "discriminator"])
def test_a_gradient_a_hundred_times_the_usual_has_exploded(name):
    usual = [2.0] * 12
    assert found(looks(**{f"gradient_{name}": [*usual, 201.0, 2.0]})) == [("exploding gradients", 1200)]
    assert not found(looks(**{f"gradient_{name}": [*usual, 199.0, 2.0]}))


def test_a_gradient_a_thousandth_of_what_it_was_has_vanished():
    assert found(looks(gradient_generator=[1.0] * 10 + [0.5] * 10 + [9e-4] * 10)) == [("vanishing gradients", 2000)]
    assert not found(looks(gradient_generator=[1.0] * 10 + [0.5] * 10 + [1.1e-3] * 10))


def test_a_log_of_another_recipe_says_nothing():
    assert not found([{"step": i, "loss": 1.0} for i in range(50)])


def test_a_warning_says_what_is_wrong_and_what_to_do():
    (warning,) = stability.warnings(looks(held_diversity=[0.1] * 4, held_diversity_real=[0.5] * 4))
    assert "20%" in str(warning)
    assert "learning rate" in str(warning)


def test_diversity_is_0_for_one_picture_over_and_over_and_blind_to_grain():
    generator = torch.Generator().manual_seed(0)
    one = torch.zeros(8, 3, 64, 64)
    assert stability.diversity(one) == 0
    plain = torch.linspace(-1, 1, 8).view(8, 1, 1, 1).expand(8, 3, 64, 64)
    assert stability.diversity(plain) == pytest.approx(6 / 7, rel=1e-5)  # mean distance of 8 even places on [-1, 1]
    grain = torch.randn(one.shape, generator=generator) * 0.2
    assert stability.diversity(grain) < 0.15 * stability.diversity(plain)
