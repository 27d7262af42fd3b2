"""Residual nets that start as the identity and keep the scale."""

import pytest
import torch

from danqing.errors import BadRequest
from danqing.techniques import r3gan


@pytest.mark.parametrize("size", [8, 16, 32, 64])
@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize("classes", [0, 3])
def test_nets_of_every_size(size, patch, classes):
    generator, discriminator = r3gan.build(r3gan.Config(size, 6, 8, classes, patch=patch))
    asked = torch.tensor([2, -1]) if classes else None
    made = generator(torch.randn(2, 6), asked)
    assert made.shape == (2, 3, size, size)
    assert discriminator(made, asked).shape == (2,)


def test_blocks_begin_as_the_identity_and_learn():
    torch.manual_seed(0)
    config = r3gan.Config(16, width=8, group=8)
    block = r3gan.Block(8, config)
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(block(x), x)
    block(x).square().sum().backward()
    assert block.body[-1].weight.grad.abs().max() > 0


def test_fresh_nets_keep_the_scale_of_what_they_are_given():
    torch.manual_seed(1)
    generator, discriminator = r3gan.build(r3gan.Config(32, latent=64, width=48))
    made = generator(torch.randn(256, 64))
    assert 0.2 < float(made.detach().std()) < 2
    assert 0.1 < float(discriminator(torch.randn(256, 3, 32, 32)).detach().std()) < 3


def test_each_group_of_channels_is_convolved_alone():
    config = r3gan.Config(16, width=16, group=8)
    middle = r3gan.Block(16, config).body[2]
    assert middle.groups == 4
    assert middle.weight.shape == (32, 8, 3, 3)


@pytest.mark.parametrize("wrong", [{"size": 20}, {"patch": 3}, {"width": 20}, {"size": 8, "patch": 4}])
def test_nets_that_cannot_be_built_are_refused(wrong):
    with pytest.raises(BadRequest):
        r3gan.Config(**wrong)
