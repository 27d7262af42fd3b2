"""Augmentation that lets gradients through, and a probability that follows the discriminator."""

import pytest
import torch

from danqing.techniques import augment


@pytest.fixture
def pictures():
    return torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("change", [augment.diff, augment.recolour, augment.shift, augment.cut])
def test_diffaugment_changes_pictures_the_same_way_for_a_seed_and_lets_gradients_through(change, pictures):
    x = pictures.clone().requires_grad_()
    out = change(x, seeded())
    assert out.shape == x.shape
    assert torch.equal(out, change(pictures, seeded()))
    assert not torch.equal(out, x)
    out.square().sum().backward()
    assert x.grad.abs().flatten(1).max(1).values.min() > 0  # of every picture


def test_a_shift_moves_by_an_eighth_at_most_and_a_cut_blanks_half_the_side():
    x = torch.ones(200, 3, 16, 16)
    x[:, :, 8, 8] = 5
    places = (augment.shift(x, seeded())[:, 0] == 5).nonzero()[:, 1:]
    assert places.min() == 6
    assert places.max() == 10
    blank = (augment.cut(x, seeded()) == 0).float().mean((1, 2, 3))
    assert blank.max() == pytest.approx((9 / 16) ** 2)  # the square's middle in the middle
    assert blank.min() < 0.12  # and in a corner


def test_a_window_is_three_quarters_of_the_side_from_anywhere_and_lets_gradients_through(pictures):
    x = pictures.clone().requires_grad_()
    out = augment.window(x, seeded())
    assert out.shape == (6, 3, 12, 12)
    assert torch.equal(out, augment.window(pictures, seeded()))
    places = {
        (y, z)
        for part, whole in zip(out, x, strict=True)
        for y in range(5)
        for z in range(5)
        if torch.equal(part, whole[:, y : y + 12, z : z + 12])
    }
    assert len(places) > 2
    out.sum().backward()
    assert float(x.grad.sum()) == 6 * 3 * 12 * 12


def test_adaptive_augmentation_leaves_pictures_alone_at_first_and_changes_them_later(pictures):
    net = augment.Adaptive()
    assert torch.equal(net(pictures, seeded()), pictures)
    net.probability.fill_(1.0)
    x = pictures.clone().requires_grad_()
    out = net(x, seeded())
    assert out.shape == x.shape
    assert not torch.allclose(out, x, atol=0.05)
    out.sum().backward()
    assert x.grad.abs().sum() > 0


def test_the_probability_rises_while_the_discriminator_is_too_sure_and_falls_after():
    net = augment.Adaptive(target=0.6, pictures=1000, every=2)
    for _ in range(10):
        net.watch(torch.ones(20))
    assert float(net.probability) == pytest.approx(10 * 20 / 1000)
    half = torch.tensor([1.0] * 10 + [-1.0] * 10)
    for _ in range(4):
        net.watch(half)
    assert float(net.probability) == pytest.approx(6 * 20 / 1000)
    for _ in range(100):
        net.watch(half)
    assert float(net.probability) == 0


def test_all_of_its_state_is_in_its_buffers():
    one, two = augment.Adaptive(every=3), augment.Adaptive(every=3)
    for _ in range(4):
        one.watch(torch.ones(8))
    two.load_state_dict(one.state_dict())
    for net in (one, two):
        net.watch(torch.ones(8))
        net.watch(-torch.ones(8))
    assert torch.equal(one.probability, two.probability)
    assert torch.equal(one.decided, two.decided)


def test_a_flip_or_turn_moves_pixels_and_keeps_them():
    x = torch.rand(400, 1, 8, 8).expand(-1, 3, -1, -1)
    out = augment._warped(x, 0.2, seeded())
    kept = (out - x).abs().amax((1, 2, 3)) < 1e-5
    assert 0.2 < kept.float().mean() < 0.7  # four in five of each of five changes are not made
    assert out.min() >= -1e-5
    assert out.max() <= 1 + 1e-5
