"""The independent measures of style transfer behave as their names say."""

import pytest
import torch

from danqing.compute import seed
from danqing.training.metrics import RandomPyramid, cosine


@pytest.fixture(scope="module")
def pyramid():
    return RandomPyramid()


def noise(number, size=64):
    x = torch.rand(1, 3, size // 8, size // 8, generator=seed.generator(number))
    return torch.nn.functional.interpolate(x, size, mode="bicubic").clamp(0, 1)


def test_style_distance_ignores_where_things_are_and_sees_colour_and_texture(pyramid):
    x = noise(1)
    mirrored = x.flip(3).flip(2)
    assert pyramid.style_distance(x, x) == 0
    # Filters are not symmetric, so a mirrored picture is near, not equal.
    assert pyramid.style_distance(x, mirrored) < 0.5 * pyramid.style_distance(x, 1 - x * 0.5)


def test_content_distance_ignores_colour_and_sees_structure(pyramid):
    x = noise(2)
    tinted = x * torch.tensor([0.9, 0.8, 0.7]).view(1, 3, 1, 1)
    assert pyramid.content_distance(x, x) == pytest.approx(0, abs=1e-5)
    assert pyramid.content_distance(tinted, x) < 0.2
    assert pyramid.content_distance(noise(3), x) > 0.6


def test_the_learning_rate_rises_then_falls():
    values = [cosine(p / 100, warmup=0.1) for p in range(101)]
    assert max(values) == pytest.approx(1, abs=1e-3)
    assert values[0] < 0.1
    assert values[-1] == pytest.approx(0.02)
    assert values[10:] == sorted(values[10:], reverse=True)
