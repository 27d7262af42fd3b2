"""Autoencoders: the KL is the KL, codes hand gradients through and are all used, and reconstructions get better."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from danqing.errors import BadRequest
from danqing.techniques import vae
from danqing.training import pictures

SMALL = {"size": 16, "width": 8, "halvings": 2}
KINDS = [
    vae.Config(**SMALL, latents=6),
    vae.Config(**SMALL, shape="map", latents=3),
    vae.Config(**SMALL, shape="map", latents=3, bottleneck="codes", codes=16),
]


def test_the_divergence_is_that_of_the_two_normal_distributions():
    torch.manual_seed(0)
    posterior = vae.Posterior(torch.randn(4, 6), torch.randn(4, 6))
    wanted = kl_divergence(Normal(posterior.mean, (0.5 * posterior.log_variance).exp()), Normal(0.0, 1.0))
    assert torch.allclose(vae.divergence(posterior), wanted, atol=1e-6)


def test_free_bits_cost_nothing_and_pull_at_nothing():
    nats = torch.tensor([[0.1, 2.0], [0.1, 4.0]], requires_grad=True)
    held = vae.held_up(nats, 0.5)
    assert held == 0.5 + 3.0
    held.backward()
    assert torch.equal(nats.grad, torch.tensor([[0.0, 0.5], [0.0, 0.5]]))
    assert float(vae.held_up(nats.detach(), 0.0)) == pytest.approx(3.1)


def test_the_likelihood_is_that_of_the_best_variance():
    torch.manual_seed(0)
    made, real = torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8)
    spread = (made - real).square().mean().sqrt()
    exact = -Normal(made, spread).log_prob(real).sum() / 4
    constant = 0.5 * 192 * (torch.log(torch.tensor(2 * torch.pi)) + 1)
    assert vae.negative_log_likelihood(made, real) == pytest.approx(float(exact - constant), rel=1e-4)


@pytest.mark.parametrize("config", KINDS)
def test_latents_have_the_shape_that_is_said_and_decode_to_pictures(config):
    model = vae.VAE(config)
    latents = model.encode(torch.rand(2, 3, 16, 16) * 2 - 1)
    assert latents.shape == (2, *config.latent_shape)
    assert model.decode(latents).shape == (2, 3, 16, 16)


def test_standardised_latents_are_centred_and_of_one_spread():
    torch.manual_seed(0)
    model = vae.VAE(KINDS[1]).eval()
    shown = torch.rand(16, 3, 16, 16) * 2 - 1
    before = model.decode(model.encode(shown))
    model.standardise(shown)
    latents = model.encode(shown)
    assert torch.allclose(latents.mean((0, 2, 3)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(latents.std((0, 2, 3)), torch.ones(3), atol=1e-3)
    assert torch.allclose(model.decode(latents), before, atol=1e-4)


def test_codes_hand_their_gradient_straight_through():
    book = vae.Codebook(8, 2)
    latents = torch.randn(2, 2, 3, 3, requires_grad=True)
    chosen, codes = book(latents)
    assert torch.allclose(chosen, book.vectors[codes].movedim(-1, 1), atol=1e-6)
    weight = torch.randn_like(chosen)
    (chosen * weight).sum().backward()
    assert torch.equal(latents.grad, weight)


def test_each_place_gets_the_nearest_code():
    book = vae.Codebook(32, 4)
    latents = torch.randn(2, 4, 3, 3)
    apart = torch.cdist(latents.movedim(1, -1).reshape(-1, 4), book.vectors)
    assert torch.equal(book.nearest(latents).flatten(), apart.argmin(1))


def test_the_codebook_finds_the_clusters_and_leaves_no_code_dead():
    """Far from every cluster at first, so that all but one code would die."""
    generator = torch.Generator().manual_seed(0)
    book = vae.Codebook(8, 2)
    centres = torch.tensor([[10.0, 10.0], [10.0, 14.0], [14.0, 10.0], [14.0, 14.0]])
    for _ in range(200):
        places = centres[torch.randint(4, (64,), generator=generator)] + 0.1 * torch.randn(64, 2, generator=generator)
        latents = places.T.reshape(1, 2, 8, 8)
        _, codes = book(latents)
        book.follow(latents, codes, generator, decay=0.9)
    assert torch.cdist(centres, book.vectors).min(1).values.max() < 0.15
    _, codes = book(latents)
    assert len(codes.unique()) >= 6


@pytest.mark.parametrize("config", KINDS)
def test_reconstructions_of_digits_get_better(config):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    digits = pictures.load("digits", 16)
    model = vae.VAE(config)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    errors = []
    for step in range(80):
        shown = digits.training.centre(range(step * 16 % 800, step * 16 % 800 + 16))
        if model.codebook is None:
            posterior = model.posterior(shown)
            made = model.decode(posterior.sample(generator))
            loss = vae.negative_log_likelihood(made, shown) + vae.held_up(vae.divergence(posterior), 0.0)
        else:
            raw = model.encoder(shown)
            chosen, codes = model.codebook(raw)
            made = model.decoder(chosen)
            loss = 768 * ((made - shown).square().mean() + 0.25 * vae.commitment(raw, chosen))
            model.codebook.follow(raw, codes, generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        errors.append(float((made - shown).square().mean().detach()))
    assert sum(errors[-10:]) < 0.5 * sum(errors[:3]) / 3 * 10


def test_the_discriminator_is_least_wrong_where_it_should_be():
    high, low = torch.full((2, 3, 3), 2.0), torch.full((2, 3, 3), -2.0)
    assert vae.judged(high, low) == 0
    assert vae.judged(low, high) == 3
    assert vae.Discriminator(4)(torch.zeros(2, 3, 16, 16)).shape[0] == 2


@pytest.mark.parametrize(
    "wrong",
    [{"shape": "list"}, {"bottleneck": "codes"}, {"size": 20, "halvings": 3}, {"latents": 0}],
)
def test_what_cannot_be_built_is_refused(wrong):
    with pytest.raises(BadRequest):
        vae.Config(**wrong)
