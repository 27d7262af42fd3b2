"""The piano-roll GAN: rolls there and back, its losses by hand, a penalty that knows a slope of one."""

from __future__ import annotations

import pytest
import torch

from danqing.encode.notes import CODES
from danqing.errors import BadRequest
from danqing.techniques import pianoroll_gan as gan


def test_what_is_made_is_a_roll_of_which_each_voice_sings_one_note():
    torch.manual_seed(1)
    generator, critic = gan.build(gan.Config(noise=4, width=6))
    roll = generator(torch.randn(3, 4))
    assert roll.shape == (3, gan.CHANNELS, gan.STEPS)
    assert torch.allclose(roll.view(3, 4, CODES, gan.STEPS).sum(2), torch.ones(3, 4, gan.STEPS), atol=1e-5)
    assert critic(roll).shape == (3,)
    with pytest.raises(BadRequest, match="1 or more"):
        gan.Config(noise=0)


def test_a_roll_goes_back_to_its_notes():
    codes = torch.randint(0, CODES, (2, gan.STEPS, 4), generator=torch.Generator().manual_seed(2))
    assert torch.equal(gan.binary(gan.rolled(codes)), codes)


def test_the_same_generator_gives_the_same_passages():
    torch.manual_seed(1)
    net, _ = gan.build(gan.Config(noise=4, width=6))
    one, two, other = (gan.sample(net, 2, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_losses_and_penalty():
    real, made = torch.tensor([3.0, 1.0]), torch.tensor([0.0, 1.0])
    assert float(gan.critic_loss(real, made)) == -1.5
    assert float(gan.generator_loss(made)) == -0.5
    way = torch.zeros(5, 2, 3)
    share = torch.rand(5, generator=torch.Generator().manual_seed(1))
    for slope, penalty in ((1.0, 0.0), (3.0, 4.0)):
        direction = torch.full((2, 3), slope / 6**0.5)
        found = gan.gradient_penalty(lambda x, d=direction: (x * d).sum((1, 2)), way, way + 1, share)
        assert float(found) == pytest.approx(penalty, abs=1e-4)


def test_the_penalty_teaches_the_critic():
    torch.manual_seed(3)
    _, critic = gan.build(gan.Config(noise=4, width=6))
    real, made = torch.rand(2, 4, gan.CHANNELS, gan.STEPS)
    gan.gradient_penalty(critic, real, made, torch.rand(4)).backward()
    assert float(critic.eighths.weight.grad.abs().sum()) > 0
