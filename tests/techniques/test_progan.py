"""Growing without a jump, and what the equalised layers promise."""

from itertools import pairwise

import pytest
import torch

from danqing.compute import equalised
from danqing.techniques import progan


@pytest.fixture
def nets():
    torch.manual_seed(2)
    return progan.build(progan.Config(size=32, latent=6, width=4))


@pytest.mark.parametrize("size", [8, 16, 64])
@pytest.mark.parametrize("classes", [0, 3])
def test_nets_of_every_size_at_every_level(size, classes):
    config = progan.Config(size, latent=6, width=2, classes=classes)
    generator, discriminator = progan.build(config)
    asked = torch.tensor([1, -1]) if classes else None
    for level in (0.0, 0.4, float(config.levels)):
        generator.level = discriminator.level = level
        made = generator(torch.randn(2, 6), asked)
        assert made.shape[-1] == (4 if level == 0 else 8 if level == 0.4 else size)
        assert progan.faded(torch.rand(2, 3, size, size), level).shape == made.shape
        assert discriminator(made, asked).shape == (2,)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_new_layer_comes_in_without_a_jump(nets, level):
    generator, discriminator = nets
    z, real = torch.randn(4, 6), torch.rand(4, 3, 32, 32)
    generator.level = discriminator.level = float(level)
    before, seen = generator(z), progan.faded(real, level)
    judged = discriminator(seen)
    generator.level = discriminator.level = level + 1e-6
    after, faint = generator(z), progan.faded(real, level + 1e-6)
    assert after.shape[-1] == 2 * before.shape[-1]
    assert torch.allclose(after, before.repeat_interleave(2, 2).repeat_interleave(2, 3), atol=1e-4)
    assert torch.allclose(faint, seen.repeat_interleave(2, 2).repeat_interleave(2, 3), atol=1e-4)
    assert torch.allclose(discriminator(faint), judged, atol=1e-3)


def test_a_layer_that_has_faded_in_stands_alone(nets):
    generator, _ = nets
    z = torch.randn(2, 6)
    generator.level = 2 - 1e-6
    almost = generator(z)
    generator.level = 2.0
    assert torch.allclose(almost, generator(z), atol=1e-4)


def test_levels_rise_from_nothing_to_all_before_the_budget_ends():
    levels = [progan.level_at(i / 1000, 3) for i in range(1001)]
    assert levels[0] == 0
    assert levels == sorted(levels)
    assert all(level == 3 for level in levels[601:])
    assert max(b - a for a, b in pairwise(levels)) < 0.02  # no jumps
    assert {0.0, 1.0, 2.0, 3.0} <= set(levels)  # each stands for a while


def test_equalised_layers_keep_the_variance_and_normalised_pixels_have_it():
    torch.manual_seed(0)
    x = torch.randn(64, 32, 8, 8)
    assert float(equalised.Conv(32, 48, 3)(x)[:, :, 1:-1, 1:-1].detach().std()) == pytest.approx(1, abs=0.05)
    slow = equalised.Linear(32, 48, speed=0.01)
    assert float(slow(x[:, :, 0, 0]).detach().std()) == pytest.approx(1, abs=0.1)
    assert torch.allclose(equalised.pixel_norm(3 * x).square().mean(1), torch.ones(64, 8, 8), atol=1e-4)


def test_pictures_that_are_alike_show_in_the_deviation():
    same = torch.randn(1, 5, 4, 4).expand(4, -1, -1, -1)
    assert float(equalised.with_deviation(same)[:, -1].max()) < 2e-4
    different = torch.randn(8, 5, 4, 4)
    planes = equalised.with_deviation(different)[:, -1, 0, 0]
    assert torch.allclose(planes[:2], planes[2:4])  # groups are every second picture: 0, 2, 4, 6 and 1, 3, 5, 7
    expected = (different[::2].var(0, correction=0) + 1e-8).sqrt().mean()
    assert float(planes[0]) == pytest.approx(float(expected), rel=1e-4)
    assert len(equalised.with_deviation(different[:3])) == 3
