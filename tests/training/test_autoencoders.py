"""Trained autoencoders and flows come back from their files as the samplers that everything else asks."""

import dataclasses

import pytest
import torch

from danqing import recipes
from danqing.compute import checkpoint
from danqing.errors import BadRequest
from danqing.techniques import flow, vae
from danqing.training import autoencoders, flows, generators, metrics
from danqing.training.flows import Flow
from danqing.training.run import Run

VECTOR = vae.Config(16, latents=4, width=4, halvings=2)
MAP = vae.Config(16, "map", "codes", latents=2, width=4, halvings=2, codes=8)


def field(side, channels, classes=0):
    torch.manual_seed(0)
    made = flow.Velocity(flow.Config(side, channels, classes, width=16, depth=1, patch=2, heads=2)).eval()
    torch.nn.init.normal_(made.net.output.weight, std=0.2)
    return made


@pytest.mark.parametrize("config", [VECTOR, MAP])
def test_an_autoencoder_comes_back_from_its_file(config, tmp_path):
    torch.manual_seed(0)
    model = vae.VAE(config).eval()
    shown = torch.rand(4, 3, 16, 16) * 2 - 1
    model.standardise(shown)
    autoencoders.save(tmp_path / "w.safetensors", model, "float32")
    found = generators.restore(*checkpoint.load_weights(tmp_path / "w.safetensors"))
    latents = found.encode(shown)
    assert latents.shape == found.draw(4, torch.Generator()).shape
    assert torch.equal(found.pictures(latents), model.decode(model.encode(shown)).clamp(-1, 1))
    assert torch.equal(found.pictures(latents, truncation=0.0)[0], found.pictures(torch.zeros_like(latents))[0])
    with pytest.raises(BadRequest, match="16"):
        found.encode(torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize("decoder", [None, MAP])
def test_a_flow_comes_back_from_its_file_with_its_decoder(decoder, tmp_path):
    net = None if decoder is None else vae.VAE(decoder).eval()
    kept = Flow.of(field(16, 3, 2) if net is None else field(4, 2, 2), net, 16, ("one", "two"), 2.0)
    flows.save(tmp_path / "w.safetensors", kept, "float32")
    found = generators.restore(*checkpoint.load_weights(tmp_path / "w.safetensors"))
    assert found.classes == ("one", "two")
    made = generators.samples(found, 4, seed=1)
    assert made.shape == (4, 3, 16, 16)
    assert torch.equal(made, generators.samples(kept, 4, seed=1))


def test_gradients_flow_from_pictures_back_to_what_they_were_made_of():
    latents = torch.randn(1, 3, 16, 16, requires_grad=True)
    Flow.of(field(16, 3), None, 16, (), 1.0).pictures(0.1 * latents).sum().backward()
    assert latents.grad.abs().max() > 0


def test_a_flow_is_trained_on_the_maps_of_an_autoencoder(tmp_path):
    """By the recipes, as a person would: the flow's file needs the autoencoder's no more."""
    for name, changes in (("autoencoder", {"bottleneck": "kl"}), ("flow", {"label": "", "patch": 2})):
        recipe = recipes.get(name)
        if name == "flow":
            changes["latents"] = str(tmp_path / "autoencoder" / "weights.safetensors")
        config = dataclasses.replace(recipe.config.tiny(), **changes)
        run = Run.open(tmp_path / name, name, dataclasses.asdict(config), resume=False)
        recipe.train(config, "digits", run, lambda step: None)
    (tmp_path / "autoencoder" / "weights.safetensors").unlink()
    sampler = generators.restore(*checkpoint.load_weights(tmp_path / "flow" / "weights.safetensors"))
    assert sampler.draw(1, torch.Generator()).shape == (1, 4, 8, 8)
    assert generators.samples(sampler, 2, 0).shape == (2, 3, 16, 16)


def test_distances_are_0_for_the_same_pictures_and_grow_with_the_difference():
    torch.manual_seed(0)
    shown = torch.rand(8, 3, 32, 32) - 0.5
    assert metrics.sliced_wasserstein(shown, shown.flip(0)) == pytest.approx(0, abs=1e-6)
    near, far = (metrics.sliced_wasserstein(shown, shown + shift) for shift in (0.1, 0.4))
    assert 0 < near < far
    assert metrics.diversity(shown[:1].repeat(4, 1, 1, 1)) == 0
    assert metrics.diversity(shown) == pytest.approx((1 / 6) ** 0.5, rel=0.05)  # of uniform numbers
