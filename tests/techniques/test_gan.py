"""Losses against values worked out by hand, slopes against autograd, nets of every size."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from danqing.errors import BadRequest
from danqing.techniques import gan, progan

REAL, MADE = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 1.0])


def softplus(*values):
    return sum(math.log1p(math.exp(v)) for v in values) / len(values)


BY_HAND = {
    "nonsaturating": (softplus(-2, 1) + softplus(0.5, 1), softplus(-0.5, -1)),
    "minimax": (softplus(-2, 1) + softplus(0.5, 1), -softplus(0.5, 1)),
    "least_squares": (0.5 * ((1 + 4) / 2 + (0.25 + 1) / 2), 0.5 * (0.25 + 0) / 2),
    "hinge": ((0 + 2) / 2 + (1.5 + 2) / 2, -0.75),
    "wasserstein": (0.75 - 0.5, -0.75),
    "relativistic": (softplus(-1.5, 2), softplus(1.5, -2)),
}


@pytest.mark.parametrize("name", gan.LOSSES)
def test_each_loss_is_what_its_paper_says(name):
    loss, (discriminator, generator) = gan.LOSSES[name], BY_HAND[name]
    assert float(loss.discriminator(REAL, MADE)) == pytest.approx(discriminator)
    assert float(loss.generator(REAL, MADE)) == pytest.approx(generator)


@pytest.mark.parametrize("name", gan.LOSSES)
def test_each_loss_pulls_real_and_made_scores_apart_and_the_generators_pulls_back(name):
    real, made = REAL.clone().requires_grad_(), MADE.clone().requires_grad_()
    of_real, of_made = torch.autograd.grad(gan.LOSSES[name].discriminator(real, made), (real, made))
    assert of_real.sum() < 0 < of_made.sum()
    (pulled,) = torch.autograd.grad(gan.LOSSES[name].generator(real, made), made)
    assert pulled.sum() < 0


def test_decisions_are_held_against_the_middle_or_against_a_made_picture():
    assert gan.correct(gan.LOSSES["hinge"], REAL, MADE).tolist() == [1, -1]
    assert gan.correct(gan.LOSSES["least_squares"], torch.tensor([0.6, 0.4]), MADE).tolist() == [1, -1]
    assert gan.correct(gan.LOSSES["relativistic"], torch.tensor([0.6, 0.9]), MADE).tolist() == [1, -1]


class Quadratic(nn.Module):
    """score = Σ a · x², whose slope 2 a x is known."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(0.3))

    def forward(self, x):
        return self.a * x.square().sum((1, 2, 3))


def test_steepness_and_its_gradient_are_those_worked_out_by_hand():
    net, x = Quadratic(), torch.randn(3, 3, 4, 4, requires_grad=True)
    steepness = gan.steepness(net(x), x)
    power = x.detach().square().sum((1, 2, 3)).mean()
    assert float(steepness.detach()) == pytest.approx(4 * 0.3**2 * float(power), rel=1e-5)
    steepness.backward()
    assert float(net.a.grad) == pytest.approx(8 * 0.3 * float(power), rel=1e-5)


def test_the_penalty_looks_between_real_and_made_and_wants_a_slope_of_one():
    weight = nn.Parameter(torch.full((3, 4, 4), 0.5))
    real, made, share = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4), torch.tensor([0.0, 0.25])
    penalty = gan.penalty_between(lambda x: (x * weight).sum((1, 2, 3)), real, made, share)
    norm = 0.5 * 48**0.5
    assert float(penalty.detach()) == pytest.approx((norm - 1) ** 2, rel=1e-5)
    penalty.backward()
    assert torch.allclose(weight.grad, torch.full_like(weight, 2 * (norm - 1) * 0.5 / norm), rtol=1e-4)
    seen = []
    gan.penalty_between(lambda x: (seen.append(x.detach()), x.sum((1, 2, 3)))[1], real, made, share)
    assert torch.allclose(seen[0], torch.stack([real[0], 0.75 * real[1] + 0.25 * made[1]]))


@pytest.mark.parametrize("bend", [nn.LeakyReLU(0.2), nn.LeakyReLU(0.2, inplace=True), nn.ReLU(inplace=True), nn.Tanh()])
def test_the_penaltys_gradient_is_autograds_own_whatever_bends_the_critic(bend):
    torch.manual_seed(0)
    critic = nn.Sequential(
        nn.Conv2d(3, 4, 3), bend, nn.Flatten(), nn.Linear(16, 8), bend, nn.Linear(8, 1), nn.Flatten(0)
    )
    real, made, share = torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4), torch.rand(5)
    mixed = torch.lerp(real, made, share.view(-1, 1, 1, 1)).requires_grad_()
    (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    weights = [critic[i].weight for i in (0, 3, 5)]
    expected = torch.autograd.grad((slope.flatten(1).norm(dim=1) - 1).square().mean(), weights)
    found = torch.autograd.grad(gan.penalty_between(critic, real, made, share), weights)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_score_of_its_own_is_told_from_one_that_looks_at_the_batch():
    torch.manual_seed(0)
    pictures = torch.randn(2, 3, 8, 8)
    own, normed = (gan.build(gan.Config(size=16, width=4, norm=norm))[1] for norm in (False, True))
    assert gan.apart(own, pictures.repeat(1, 1, 2, 2))
    assert not gan.apart(normed, pictures.repeat(1, 1, 2, 2))
    assert gan.apart(normed.eval(), pictures.repeat(1, 1, 2, 2))
    _, with_deviation = progan.build(progan.Config(size=8))
    assert not gan.apart(with_deviation, pictures)


def test_the_slope_of_a_convolutional_critic_agrees_with_finite_differences():
    torch.manual_seed(3)
    _, critic = gan.build(gan.Config(size=8, width=4, norm=False))
    critic.double()
    x = torch.rand(2, 3, 8, 8, dtype=torch.double, requires_grad=True)
    found = float(gan.steepness(critic(x).double(), x).detach())
    squares = 0.0
    with torch.no_grad():
        for i in range(3 * 8 * 8):
            step = torch.zeros(3 * 8 * 8, dtype=torch.double)
            step[i] = 0.02  # scores are float32
            up, down = (critic(x + s * step.view(3, 8, 8)).double() for s in (1, -1))
            squares += float(((up - down) / 0.04).square().mean())
    assert found == pytest.approx(squares, rel=0.02)


@pytest.mark.parametrize("size", [8, 16, 32, 64, 128])
@pytest.mark.parametrize("net", gan.NETS)
@pytest.mark.parametrize("classes", [0, 3])
def test_nets_of_every_size(size, net, classes):
    generator, discriminator = gan.build(gan.Config(size, latent=5, width=4, classes=classes, net=net))
    asked = torch.tensor([0, -1]) if classes else None
    pictures = generator(torch.randn(2, 5), asked)
    assert pictures.shape == (2, 3, size, size)
    assert pictures.abs().max() <= 1
    scores = discriminator(pictures, asked)
    assert scores.shape == (2,)
    assert scores.dtype == torch.float32


def test_a_class_changes_the_picture_and_the_judgement():
    torch.manual_seed(1)
    generator, discriminator = (net.eval() for net in gan.build(gan.Config(16, 8, 8, classes=2)))
    z = torch.randn(1, 8)
    one, two, none = (generator(z, c) for c in (torch.tensor([0]), torch.tensor([1]), None))
    assert not torch.allclose(one, two)
    assert torch.equal(none, generator(z, torch.tensor([-1])))
    assert discriminator(one, torch.tensor([0])) != discriminator(one, torch.tensor([1]))


def test_a_maxout_unit_takes_its_largest_piece():
    unit = gan.Maxout(4, 2)
    x = torch.randn(3, 4)
    pieces = F.linear(x, unit.linear.weight, unit.linear.bias).view(3, 2, gan.PIECES)
    assert torch.equal(unit(x), pieces.max(2).values)


def test_a_critic_without_norm_judges_each_picture_for_itself():
    _, critic = gan.build(gan.Config(16, width=4, norm=False))
    pictures = torch.randn(4, 3, 16, 16)
    assert torch.allclose(critic(pictures)[:2], critic(pictures[:2]), atol=1e-6)


@pytest.mark.parametrize("wrong", [{"size": 48}, {"size": 4}, {"latent": 0}, {"net": "transformer"}])
def test_nets_that_cannot_be_built_are_refused(wrong):
    with pytest.raises(BadRequest, match=str(next(iter(wrong.values())))[:3] if "latent" not in wrong else "latent"):
        gan.Config(**wrong)
