"""Prints: few colours in areas, wiped skies, dark contours, paper that is never white."""

import torch

from danqing.encode.image import luminance
from danqing.techniques import woodcut


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def printed(picture, seed=0):
    return woodcut.printed(picture, gen(seed))


def view():
    """A sky that pales downward over a dark hill with grain: (1, 3, 128, 160)."""
    x = torch.empty(1, 3, 128, 160)
    x[:, :, :80] = torch.linspace(0.4, 0.6, 80)[:, None] * torch.tensor([0.8, 1.0, 1.3])[None, :, None, None]
    x[:, :, 80:] = torch.tensor([0.2, 0.3, 0.15])[None, :, None, None]
    x[:, :, 80:] += 0.12 * torch.rand(1, 1, 48, 160, generator=gen(1))
    return x


def test_grain_becomes_areas_and_a_gradation_stays_one():
    x = view()
    made = printed(x)
    assert made.shape == x.shape
    hill, sky = luminance(made)[0, 0, 96:], luminance(made)[0, 0, 4:70].mean(1)
    assert hill.diff(dim=1).abs().mean() < 0.5 * luminance(x)[0, 0, 96:].diff(dim=1).abs().mean()
    assert float(sky.diff().max()) < 0.05
    assert sky[-1] > sky[0] + 0.1


def test_contours_are_dark_and_paper_is_not_white():
    made = printed(view())
    border = luminance(made)[0, 0, 74:86].amin(0).mean()
    assert border < luminance(view())[0, 0, 90:].mean()
    white = printed(torch.ones(1, 3, 64, 64))
    assert 0.85 < float(white.mean()) < 0.97
    assert white[:, 0].mean() > white[:, 2].mean()


def test_a_seed_repeats_its_print():
    assert torch.equal(printed(view(), 3), printed(view(), 3))


def test_small_and_plain_pictures_can_be_printed():
    for size in ((16, 16), (16, 90)):
        made = printed(torch.full((1, 3, *size), 0.5))
        assert bool(torch.isfinite(made).all())
