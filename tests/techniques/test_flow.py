"""Flows: samplers have the order they claim, guidance does what it says, and a small field learns what it is shown."""

import math

import pytest
import torch

from danqing.errors import BadRequest
from danqing.techniques import flow

DIT = flow.Config(side=8, width=32, depth=2, patch=2, heads=2, classes=3)
UNET = flow.Config(side=8, network="unet", width=8, depth=2, classes=3)


def woken(config):
    """A field that is not 0 everywhere, as fresh ones are."""
    torch.manual_seed(0)
    model = flow.Velocity(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return model


@pytest.mark.parametrize("sampler", [flow.euler, flow.heun])
def test_a_constant_field_is_followed_exactly(sampler):
    noise = torch.randn(2, 3, 4, 4)
    assert torch.allclose(sampler(lambda x, t: torch.full_like(x, 0.7), noise, 3), noise + 0.7, atol=1e-6)


def test_heun_follows_a_field_that_is_linear_in_time_exactly():
    noise = torch.zeros(1, 1, 2, 2)
    made = flow.heun(lambda x, t: (2 * t).view(-1, 1, 1, 1).expand_as(x), noise, 4)
    assert torch.allclose(made, torch.ones_like(noise), atol=1e-6)


@pytest.mark.parametrize(("sampler", "order"), [(flow.euler, 1), (flow.heun, 2)])
def test_halving_the_steps_costs_what_the_order_says(sampler, order):
    """dx/dt = x, whose solution is known."""
    noise = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    errors = [abs(float(sampler(lambda x, t: x, noise, steps)) - math.e) for steps in (20, 40)]
    assert errors[0] / errors[1] == pytest.approx(2**order, rel=0.06)


@pytest.mark.parametrize("config", [DIT, UNET])
def test_guidance_of_one_is_the_field_as_it_was_learned(config):
    model = woken(config)
    x, times, classes = torch.randn(2, 3, 8, 8), torch.tensor([0.2, 0.7]), torch.tensor([0, 2])
    plain = model(x, times, classes)
    assert torch.equal(flow.guided(model, classes, 1.0)(x, times), plain)
    none = model(x, times)
    assert not torch.allclose(plain, none)
    assert torch.allclose(flow.guided(model, classes, 3.0)(x, times), none + 3 * (plain - none), atol=1e-4)
    assert torch.equal(flow.guided(model, None, 3.0)(x, times), none)


@pytest.mark.parametrize("config", [DIT, UNET])
def test_the_field_has_the_shape_of_what_flows_and_looks_at_all_of_it(config):
    model = woken(config)
    x = torch.randn(1, 3, 8, 8, requires_grad=True)
    velocity = model(x, torch.tensor([0.5]))
    assert velocity.shape == x.shape
    (slope,) = torch.autograd.grad(velocity[0, 0, 0, 0], x)
    assert slope[0, :, -1, -1].abs().max() > 0
    assert not torch.allclose(velocity, model(x, torch.tensor([0.1])))


@pytest.mark.parametrize("config", [DIT, UNET])
def test_gradients_flow_back_to_the_noise(config):
    noise = torch.randn(1, 3, 8, 8, requires_grad=True)
    flow.heun(flow.guided(woken(config), torch.tensor([1]), 2.0), noise, 2).sum().backward()
    assert noise.grad.abs().min() > 0


@pytest.mark.parametrize("config", [DIT, UNET])
def test_a_field_learns_plain_pictures_of_the_colour_of_their_class(config):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = flow.Velocity(config)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    colours = torch.tensor([[0.8, -0.8, 0.0], [-0.8, 0.8, 0.0], [0.0, -0.8, 0.8]])
    for _ in range(200):
        classes = torch.randint(3, (16,), generator=generator)
        shown = colours[classes][:, :, None, None].expand(-1, -1, 8, 8)
        loss = flow.loss(model, shown, classes, 0.1, generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    classes = torch.arange(3).repeat(4)
    with torch.no_grad():
        made = flow.heun(flow.guided(model.eval(), classes), torch.randn(12, 3, 8, 8, generator=generator), 10)
    nearest = torch.cdist(made.mean((2, 3)), colours).argmin(1)
    assert (nearest == classes).float().mean() >= 0.75  # by chance a third
    assert (made.mean((2, 3)) - colours[classes]).abs().mean() < 0.35


def test_classes_left_out_of_the_loss_teach_the_field_without_classes():
    model = woken(DIT)
    generator = torch.Generator().manual_seed(0)
    flow.loss(model, torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, -1]), 1.0, generator).backward()
    touched = model.net.condition.kinds.weight.grad.abs().sum(1) > 0
    assert touched.tolist() == [False, False, False, True]


@pytest.mark.parametrize("wrong", [{"network": "mlp"}, {"side": 30}, {"width": 30}])
def test_what_cannot_be_built_is_refused(wrong):
    with pytest.raises(BadRequest):
        flow.Config(**wrong)
