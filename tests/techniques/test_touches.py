"""Broken colour: touches have one colour each, the mean of a place stays, and they follow the forms."""

import math

import pytest
import torch
import torch.nn.functional as F

from danqing.techniques import touches

GREEN = torch.tensor((0.35, 0.5, 0.25))[None, :, None, None]


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def test_an_area_is_broken_and_keeps_its_mean():
    flat = GREEN.expand(1, 3, 96, 128)
    made = touches.divided(flat, 5, 1.5, 0.02, gen())
    assert made.shape == flat.shape
    assert 0 <= made.min() <= made.max() <= 1
    assert float(made.std((2, 3)).mean()) > 0.02
    assert torch.allclose(made.mean((2, 3)), flat.mean((2, 3)), atol=0.03)


def test_a_touch_without_length_has_one_colour():
    made = touches.divided(torch.rand(1, 3, 60, 60, generator=gen()), 10, 1, 0.02, gen())
    assert 30 <= len(made[0].flatten(1).T.unique(dim=0)) <= 36


def test_black_and_white_stay_whole():
    for value in (0.0, 1.0):
        made = touches.divided(torch.full((1, 3, 40, 40), value), 5, 1, 0.05, gen())
        assert torch.allclose(made, torch.full_like(made, value), atol=0.02)


@pytest.mark.parametrize("upright", [True, False])
def test_touches_are_drawn_out_along_the_forms(upright):
    line = torch.sigmoid(torch.linspace(-6, 6, 96))
    picture = (line[None, :] if upright else line[:, None]).expand(1, 3, 96, 96)
    change = touches.divided(0.25 + 0.5 * picture, 4, 6, 0.03, gen()) - F.avg_pool2d(0.25 + 0.5 * picture, 5, 1, 2)
    middle = change[..., 40:56, 20:76] if not upright else change[..., 20:76, 40:56]
    down, across = (middle.diff(dim=d).abs().mean() for d in (2, 3))
    assert (down < 0.7 * across) if upright else (across < 0.7 * down)


@pytest.mark.parametrize("side", [128, 512])
def test_shallow_forms_are_followed_at_any_size(side):
    y, x = torch.meshgrid(torch.linspace(0, 1, side), torch.linspace(0, 1, side), indexing="ij")
    tilted = math.radians(60)  # stripes that stand at 60°
    wave = 0.5 + 0.1 * torch.sin(6 * math.tau * (x * math.sin(tilted) - y * math.cos(tilted)))
    flow = touches._flow(wave.expand(1, 3, side, side), 5 * side / 512)[
        0, :, side // 4 : -side // 4, side // 4 : -side // 4
    ]
    along = (flow[0] * math.cos(tilted) + flow[1] * math.sin(tilted)).abs()
    assert float(along.mean()) > 0.95


def test_a_seed_repeats_its_touches():
    picture = torch.rand(1, 3, 50, 70, generator=gen())
    assert torch.equal(touches.divided(picture, 5, 2, 0.02, gen(3)), touches.divided(picture, 5, 2, 0.02, gen(3)))
    assert not torch.equal(touches.divided(picture, 5, 2, 0.02, gen(3)), touches.divided(picture, 5, 2, 0.02, gen(4)))
