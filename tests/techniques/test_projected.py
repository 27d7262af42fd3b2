"""A generator of gated convolutions, and a discriminator that looks through a frozen network's maps."""

import pytest
import torch

from danqing.errors import BadRequest
from danqing.techniques import projected


def maps_of(side, count=4, seed=0):
    """Maps as a frozen backbone gives them for pictures of this side."""
    generator = torch.Generator().manual_seed(seed)
    return {
        layer: torch.rand(count, channels, side // 2**depth, side // 2**depth, generator=generator)
        for depth, (layer, channels) in enumerate(zip(projected.LAYERS, projected.CHANNELS, strict=True))
    }


@pytest.mark.parametrize("size", [16, 32, 64])
@pytest.mark.parametrize("classes", [0, 3])
def test_nets_of_every_size(size, classes):
    config = projected.Config(size, 6, 4, classes, mixed=8, judge=8)
    generator, discriminator = projected.build(config)
    asked = torch.tensor([2, -1]) if classes else None
    made = generator(torch.randn(2, 6), asked)
    assert made.shape == (2, 3, size, size)
    assert made.abs().max() <= 1
    scores = discriminator(discriminator.see(maps_of(size, 2)), asked)
    assert scores.shape == (2, 4 * (size // 8) ** 2)  # as many votes for each depth
    assert scores.dtype == torch.float32


def test_what_the_discriminator_sees_is_mixed_over_channels_and_depths_and_never_trained():
    torch.manual_seed(0)
    net = projected.Discriminator(projected.Config(32, mixed=8, judge=8))
    plain = maps_of(32)
    seen = net.see(plain)
    assert [tuple(x.shape) for x in seen] == [(4, 8, 16, 16), (4, 8, 16, 16), (4, 8, 8, 8), (4, 8, 4, 4)]
    changed = {**plain, "relu4_1": plain["relu4_1"] + 1}
    assert all(not torch.equal(a, b) for a, b in zip(seen, net.see(changed), strict=True))  # deep maps reach the finest
    changed = {**plain, "relu2_2": plain["relu2_2"] + 1}
    again = net.see(changed)
    assert [torch.equal(a, b) for a, b in zip(seen, again, strict=True)] == [
        False,
        False,
        True,
        True,
    ]  # never downwards
    one = {**plain, "relu2_2": plain["relu2_2"].clone()}
    one["relu2_2"][:, 5] += 1
    assert ((net.see(one)[1] - seen[1]).abs().amax((0, 2, 3)) > 0).all()  # one channel is in all that is seen
    assert not any("across" in name or "upward" in name for name, _ in net.named_parameters())
    assert {"across_0", "upward_1"} <= set(net.state_dict())  # but a run that goes on sees as it did


def test_of_the_finest_maps_each_picture_shows_a_quarter_in_turn():
    x = torch.arange(16.0).view(1, 1, 4, 4).expand(5, 1, 4, 4)
    seen = [part.flatten().tolist() for part in projected.quarters(x)]
    assert seen[:4] == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    assert seen[4] == seen[0]


def test_fresh_pictures_have_no_lattice():
    torch.manual_seed(3)
    made = projected.Generator(projected.Config(64, 16, 16))(torch.randn(16, 16)).detach()
    halves = torch.nn.functional.interpolate(torch.nn.functional.avg_pool2d(made, 2), scale_factor=2.0)
    assert (made - halves).square().mean() < 0.1 * made.var()


def test_small_maps_open_and_shut_the_channels_of_large_ones():
    torch.manual_seed(1)
    generator = projected.Generator(projected.Config(64, 8, 4))
    assert list(generator.gates) == ["32"]  # eight times the side of the first maps
    gate = generator.gates["32"]
    large = torch.ones(2, 4, 32, 32)
    let = gate(torch.randn(2, generator.config.channels(4), 4, 4), large).detach()
    assert let.shape == large.shape
    assert 0 < float(let.min()) < float(let.max()) < 1
    assert not torch.equal(let[0], let[1])


def test_discriminators_learn_to_tell_two_kinds_of_maps_apart():
    torch.manual_seed(2)
    net = projected.Discriminator(projected.Config(32, mixed=16, judge=16))
    real, made = maps_of(32, 8, seed=1), {k: v**2 for k, v in maps_of(32, 8, seed=2).items()}
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(30):
        scores = net(net.see(real)), net(net.see(made))
        loss = torch.relu(1 - scores[0]).mean() + torch.relu(1 + scores[1]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 1.0  # 2 where it knows nothing


@pytest.mark.parametrize("wrong", [{"size": 20}, {"size": 8}, {"width": 0}, {"judge": 0}])
def test_nets_that_cannot_be_built_are_refused(wrong):
    with pytest.raises(BadRequest):
        projected.Config(**wrong)
