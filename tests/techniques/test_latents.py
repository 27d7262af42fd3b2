"""Walks, projection and directions, against spaces whose truth is known."""

from __future__ import annotations

import math

import pytest
import torch

from danqing.errors import BadRequest
from danqing.techniques import latents


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(512,), (4, 8, 8)])
def test_a_walk_between_codes_of_one_length_keeps_the_length(shape: tuple[int, ...]):
    a, b = drawn(*shape, seed=1), drawn(*shape, seed=2)
    b = b * a.norm() / b.norm()
    points = latents.slerp(a, b, torch.linspace(0, 1, 11))
    assert points.shape == (11, *shape)
    torch.testing.assert_close(points.flatten(1).norm(dim=1), a.norm().expand(11))
    torch.testing.assert_close(points[[0, -1]], torch.stack([a, b]))


def test_a_walk_turns_by_even_angles():
    a, b = torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 0])
    points = latents.slerp(a, b, torch.linspace(0, 1, 4))
    angles = torch.atan2(points[:, 1], points[:, 0])
    torch.testing.assert_close(angles, torch.tensor([0, math.pi / 6, math.pi / 3, math.pi / 2]))


@pytest.mark.parametrize("factor", [1.0, 2.0, -1.0])
def test_codes_in_one_line_are_joined_by_it(factor: float):
    a = drawn(16)
    points = latents.slerp(a, a * factor, torch.tensor([0.0, 0.5, 1.0]))
    torch.testing.assert_close(points, torch.stack([a, a * (1 + factor) / 2, a * factor]))


@pytest.mark.parametrize("spherical", [True, False])
def test_an_open_walk_begins_and_ends_at_its_keys_and_a_closed_one_comes_round(spherical: bool):
    keys = drawn(3, 6)
    way = latents.walk(keys, 5, spherical=spherical)
    assert way.shape == (11, 6)
    torch.testing.assert_close(way[[0, 5, 10]], keys)
    round_ = latents.walk(keys, 5, closed=True, spherical=spherical)
    assert round_.shape == (15, 6)
    torch.testing.assert_close(round_[[0, 5, 10]], keys)
    last = (round_[0] - round_[14]).norm()  # the step that closes it is as long as the one before
    assert float(last) == pytest.approx(float((round_[14] - round_[13]).norm()), rel=0.35)


def test_projection_recovers_the_latent_of_a_linear_generator():
    matrix = drawn(40, 6, seed=3)
    wanted = drawn(1, 6, seed=4)
    seen = wanted @ matrix.T

    def loss(codes: torch.Tensor) -> torch.Tensor:
        return (codes @ matrix.T - seen).pow(2).mean(dim=1)

    found = latents.project(drawn(3, 6, seed=5), loss, latents.Search(steps=200), torch.Generator().manual_seed(0))
    assert float((found.best - wanted).abs().max()) < 0.02
    assert float(found.losses.max()) < 1e-3  # each start arrives, not one alone
    torch.testing.assert_close(found.losses, loss(found.codes))


def test_a_projection_never_ends_worse_than_it_began_and_repeats_itself():
    start = torch.zeros(1, 4)

    def loss(codes: torch.Tensor) -> torch.Tensor:
        return codes.pow(2).sum(dim=1)

    search = latents.Search(steps=3, rate=5.0)
    ends = [latents.project(start, loss, search, torch.Generator().manual_seed(1)).losses for _ in range(2)]
    assert float(ends[0]) == 0.0
    start = drawn(2, 4)
    pair = [latents.project(start, loss, search, torch.Generator().manual_seed(1)).codes for _ in range(2)]
    assert torch.equal(*pair)


def test_the_rate_rises_and_falls():
    search = latents.Search(steps=100)
    rates = [latents.ramp(n / 100, search) for n in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == 1.0
    assert rates[30] == 1.0
    assert rates[99] < 0.01
    assert rates[75:] == sorted(rates[75:], reverse=True)


def test_principal_finds_a_planted_direction_as_long_as_its_deviation():
    planted = drawn(20, seed=7)
    planted /= planted.norm()
    samples = drawn(2000, 20, seed=8) * 0.3 + drawn(2000, 1, seed=9) * 4 * planted + 5
    axes = latents.principal(samples, 3)
    assert float((axes.vectors[0] / axes.vectors[0].norm()) @ planted) ** 2 > 0.99
    assert float(axes.vectors[0].norm()) == pytest.approx(4, rel=0.05)
    assert float(axes.shares[0]) > 0.85
    assert axes.shares.tolist() == sorted(axes.shares.tolist(), reverse=True)


def test_directions_of_latents_move_what_is_seen_most():
    """Of a generator that shows one latent number far more than the others, that number is the first direction."""
    codes = drawn(800, 3, 4, seed=10)
    seen = codes.flatten(1) @ torch.diag(torch.tensor([0.1] * 5 + [3.0] + [0.1] * 6))
    axes = latents.explained_by(codes, seen, 2)
    assert axes.vectors.shape == (2, 3, 4)
    assert float(axes.vectors[0].flatten()[5]) > 0.98
    torch.testing.assert_close(axes.vectors.flatten(1).norm(dim=1), torch.ones(2))


def test_factorise_finds_the_top_singular_vectors_of_all_layers_together():
    weights = [drawn(30, 8, seed=11), drawn(12, 8, seed=12) * 2]
    axes = latents.factorise(weights, 8)
    _, values, right = torch.linalg.svd(torch.cat(weights))
    torch.testing.assert_close((axes.vectors * right).sum(dim=1).abs(), torch.ones(8), atol=1e-4, rtol=0)
    torch.testing.assert_close(axes.shares, values.pow(2) / values.pow(2).sum(), atol=1e-5, rtol=0)
    assert (axes.vectors.gather(1, axes.vectors.abs().argmax(dim=1, keepdim=True)) > 0).all()


@pytest.mark.parametrize("count", [0, 9])
def test_a_direction_that_is_not_there_is_refused(count: int):
    with pytest.raises(BadRequest, match="there are 1 to 8"):
        latents.factorise([drawn(30, 8)], count)
    with pytest.raises(BadRequest, match="there are 1 to 8"):
        latents.principal(drawn(30, 8), count)
