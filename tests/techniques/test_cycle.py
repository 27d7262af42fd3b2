"""CycleGAN and pix2pix: any size goes in and comes out, targets differ, old pictures come again, losses mean it."""

import pytest
import torch

from danqing.encode.image import luminance
from danqing.errors import BadRequest
from danqing.techniques import cycle

SMALL = {"width": 4, "blocks": 2}


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (32, 32), (33, 47), (20, 101)])
@pytest.mark.parametrize("config", [cycle.Config(**SMALL), cycle.Config("unet", 4, 3, residual=False)])
def test_pictures_of_any_size_are_translated_at_their_size(config, size):
    pictures = torch.rand(2, 3, *size) * 2 - 1
    made = cycle.Generator(config).eval()(pictures)
    assert made.shape == pictures.shape
    assert torch.isfinite(made).all()


def test_a_residual_generator_begins_as_the_identity():
    pictures = torch.rand(2, 3, 24, 24) * 2 - 1
    assert torch.equal(cycle.Generator(cycle.Config(**SMALL))(pictures), pictures)


def test_padding_at_the_far_edges_leaves_the_near_corner_alone():
    """A U-Net's or a ResNet's answer for a padded picture begins like the one for the picture that needs no padding."""
    torch.manual_seed(0)
    net = cycle.Generator(cycle.Config("unet", 4, 2, residual=False)).eval()
    whole = torch.rand(1, 3, 32, 32)
    whole[..., 30:] = whole[..., 29:30]  # what padding by the edge makes of the cut one
    assert torch.allclose(net(whole)[..., :30], net(whole[..., :30]), atol=1e-6)


def test_each_target_has_its_own_way():
    torch.manual_seed(0)
    net = cycle.Generator(cycle.Config(**SMALL, targets=2, residual=False))
    pictures = torch.rand(1, 3, 16, 16).repeat(2, 1, 1, 1)
    both = net(pictures, torch.tensor([0, 1]))
    assert not torch.allclose(both[0], both[1])
    assert torch.allclose(both[0], net(pictures[:1])[0], atol=1e-5)  # no target is the first


def test_a_discriminator_judges_patches_under_the_wanted_target():
    net = cycle.Discriminator(4, halvings=2, targets=3)
    pictures = torch.rand(2, 3, 48, 32)
    scores = net(pictures, torch.tensor([2, 2]))
    assert scores.ndim == 3
    assert scores.shape[1] > scores.shape[2] > 1
    with torch.no_grad():
        net.last.bias[2] += 5
    assert torch.allclose(net(pictures, torch.tensor([2, 0]))[0], scores[0] + 5, atol=1e-5)
    assert not torch.allclose(net(pictures, torch.tensor([2, 0]))[1], scores[1] + 5)


@pytest.mark.parametrize(("halvings", "reach"), [(2, 34), (3, 70)])
def test_a_score_depends_on_a_patch_of_the_size_that_is_said(halvings, reach):
    """Seen through the gradient of the middle score, with norms out of the way: they see the whole picture."""
    net = cycle.Discriminator(4, halvings)
    net.norms = torch.nn.ModuleList(_Still() for _ in net.norms)
    pictures = torch.rand(1, 3, 160, 160, requires_grad=True)
    scores = net(pictures)
    (slope,) = torch.autograd.grad(scores[0, scores.shape[1] // 2, scores.shape[2] // 2], pictures)
    rows = torch.nonzero(slope.abs().sum((0, 1, 3)) > 0).flatten()
    assert int(rows[-1] - rows[0]) + 1 == reach


class _Still(torch.nn.Module):
    def forward(self, x, target):
        return x


def test_replay_fills_then_shows_old_pictures_half_of_the_time():
    replay = cycle.Replay(4, (1, 2, 2))
    generator = torch.Generator().manual_seed(0)

    def picture(number):
        return torch.full((1, 1, 2, 2), float(number)), torch.tensor([number])

    for number in range(4):  # while there is room, what goes in comes out
        shown, kinds = replay.exchange(*picture(number), generator)
        assert shown.flatten()[0] == kinds[0] == number
    shown = [replay.exchange(*picture(number), generator) for number in range(4, 104)]
    values = [int(pictures.flatten()[0]) for pictures, _ in shown]
    assert all(value == int(kinds[0]) for value, (_, kinds) in zip(values, shown, strict=True))
    old = sum(value < number for number, value in enumerate(values, 4))
    assert 30 < old < 70
    assert len(set(values)) == len(values)  # an old picture is shown once: the new one takes its place


def test_replay_goes_on_exactly_from_its_state():
    one, two = cycle.Replay(2, (3, 4, 4)), cycle.Replay(2, (3, 4, 4))
    pictures, kinds = torch.rand(6, 3, 4, 4), torch.arange(6)
    one.exchange(pictures[:3], kinds[:3], torch.Generator().manual_seed(1))
    two.load_state_dict(one.state_dict())
    shown = [r.exchange(pictures[3:], kinds[3:], torch.Generator().manual_seed(2)) for r in (one, two)]
    assert torch.equal(shown[0][0], shown[1][0])
    assert torch.equal(shown[0][1], shown[1][1])


def test_losses_are_least_where_they_should_be():
    ones, zeros = torch.ones(2, 3, 3), torch.zeros(2, 3, 3)
    assert cycle.fooled(ones) == 0
    assert cycle.fooled(zeros) == 1
    assert cycle.judged(ones, zeros) == 0
    assert cycle.judged(zeros, ones) == 1
    assert cycle.apart(ones, zeros) == 1


def test_an_unknown_network_is_refused():
    with pytest.raises(BadRequest, match="resnet, unet"):
        cycle.Config(network="vit")


def test_a_discriminator_with_frozen_eyes_learns_and_hands_gradients_to_pictures():
    """Plain pictures against noise: a few steps of its heads tell them apart; what it sees through does not change."""
    torch.manual_seed(0)
    eyes = _Eyes()
    net = cycle.FeatureDiscriminator(eyes, width=4, targets=2)
    before = eyes.weight.clone()
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    kinds = torch.tensor([0, 1, 0, 1])
    for _ in range(60):
        noise, plain = torch.randn(4, 3, 32, 32), torch.rand(4, 3, 1, 1).expand(-1, -1, 32, 32)
        loss = cycle.judged(net(noise, kinds), net(plain, kinds))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.1  # 0.25 for one that cannot tell
    pictures = plain.clone().requires_grad_()
    assert net(pictures, kinds).shape == (4, 3 * net.GRID, net.GRID)
    cycle.fooled(net(pictures, kinds)).backward()
    assert pictures.grad.abs().max() > 0
    assert torch.equal(eyes.weight, before)


def test_a_manner_asks_for_no_more_than_its_pictures_have():
    """Dark plain pictures and loud noise: each is at home in its own kind and far from the other."""
    torch.manual_seed(0)
    dark, noise = torch.rand(12, 3, 1, 1).expand(-1, -1, 32, 32) - 1, torch.rand(12, 3, 32, 32) * 2 - 1
    manner = cycle.Manner(_Eyes(), [dark, noise])
    first, second = torch.zeros(12, dtype=torch.int64), torch.ones(12, dtype=torch.int64)
    assert manner(noise, second) < manner(dark, second)
    assert manner(dark, first) < manner(noise, first)
    alike = [float(manner(one[None], torch.ones(1, dtype=torch.int64))) for one in noise]
    assert sum(away < 1e-5 for away in alike) >= 6  # half of a kind's own are near enough
    pictures = dark.clone().requires_grad_()
    manner(pictures, second).backward()
    assert pictures.grad.abs().max() > 0
    assert manner.content(noise, noise) == 0
    assert 0 < manner.content(noise * 0.9, noise) < manner.content(noise * 0.5, noise) < manner.content(dark, noise)


class _Eyes:
    """Three layers of fixed filters, each at half the size of the one before."""

    layers = cycle.FeatureDiscriminator.LAYERS

    def __init__(self):
        self.weight = torch.randn(8, 3, 3, 3)

    def __call__(self, x, layers):
        found = {}
        for level, layer in enumerate(layers):
            small = torch.nn.functional.avg_pool2d(x, 2**level)
            found[layer] = torch.relu(torch.nn.functional.conv2d(small, self.weight, padding=1))
        return found


def test_a_small_change_is_pulled_back_less_than_a_large_one():
    change = torch.tensor([0.01, 0.4, 2.0], requires_grad=True)
    cycle.returned(change, torch.zeros(3)).backward()
    assert torch.allclose(change.grad * 3, torch.tensor([0.02, 0.8, 1.0]))


def test_a_tinted_change_is_sharp_in_light_and_broad_in_colour():
    change = torch.zeros(1, 3, 40, 40)
    change[:, :, :, 20:] = torch.tensor([0.8, -0.2, 0.3])[None, :, None, None]
    made = cycle.tinted(change, 4.0)
    grey, colour = luminance(made), made - luminance(made)
    assert torch.allclose(grey, luminance(change), atol=1e-5)
    assert colour.diff(dim=3).abs().amax() < 0.2 * (change - luminance(change)).diff(dim=3).abs().amax()
    low = cycle.tinted(change.bfloat16().contiguous(memory_format=torch.channels_last), 4.0)
    assert low.dtype == torch.bfloat16
    assert torch.allclose(low.float(), made, atol=0.02)


def test_what_leaves_the_range_turns_pale_and_keeps_its_hue():
    sky = torch.tensor([0.2, 0.7, 1.4])[None, :, None, None].expand(1, 3, 4, 4)
    made = cycle.within(sky)
    assert made.abs().max() <= 1 + 1e-6
    before, after = ((x - luminance(x))[0, :, 0, 0] for x in (sky, made))
    assert torch.allclose(before / before.norm(), after / after.norm(), atol=1e-4)
    inside = torch.rand(1, 3, 4, 4) - 0.5
    assert torch.allclose(cycle.within(inside), inside, atol=1e-6)
    assert cycle.within(torch.full((1, 3, 2, 2), 3.0)).max() <= 1
