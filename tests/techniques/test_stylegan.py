"""Modulation as a kernel for each picture, mixing, truncation's average, path lengths."""

import pytest
import torch
import torch.nn.functional as F

from danqing.techniques import stylegan


@pytest.fixture
def generator():
    torch.manual_seed(4)
    return stylegan.Generator(stylegan.Config(size=16, latent=8, width=4))


@pytest.mark.parametrize("size", [8, 16, 64])
@pytest.mark.parametrize("classes", [0, 3])
def test_nets_of_every_size(size, classes):
    config = stylegan.Config(size, latent=6, width=2, classes=classes, mapping=2)
    generator, discriminator = stylegan.build(config)
    asked = torch.tensor([1, -1, 0, 2]) if classes else None
    made = generator(torch.randn(4, 6), asked)
    assert made.shape == (4, 3, size, size)
    assert discriminator(made, asked).shape == (4,)
    assert generator.spread(torch.zeros(2, 6)).shape == (2, config.layers, 6)
    assert [m.shape[1] for m in generator.matrices()] == [6] * config.layers


@pytest.mark.parametrize("demodulate", [True, False])
def test_a_modulated_convolution_is_a_kernel_for_each_picture(demodulate):
    torch.manual_seed(5)
    conv = stylegan.Modulated(3, 5, 3, 4, demodulate)
    x, w = torch.randn(2, 3, 6, 6), torch.randn(2, 4)
    expected = []
    for picture, style in zip(x, conv.style(w), strict=True):
        kernel = conv.weight * conv.scale * style[None, :, None, None]
        if demodulate:
            kernel = kernel / (kernel.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        expected.append(F.conv2d(picture[None], kernel, padding=1))
    assert torch.allclose(conv(x, w), torch.cat(expected), atol=1e-5)


def test_mixing_takes_the_fine_layers_from_the_other_latent(generator):
    z, other = torch.randn(64, 8), torch.randn(64, 8)
    own, theirs = generator.mapping(z), generator.mapping(other)
    torch.manual_seed(6)
    styles = stylegan.mixed(generator, z, other, 0.9)
    is_own = (styles == own[:, None]).all(2)
    assert is_own[:, 0].all()  # the coarsest layer is never the other's
    assert ((styles == theirs[:, None]).all(2) | is_own).all()
    assert (is_own[:, :-1] >= is_own[:, 1:]).all()  # from the crossover on, never back
    assert 0.75 < (~is_own).any(1).float().mean() < 1
    assert torch.equal(stylegan.mixed(generator, z, other, 0.0), generator.spread(own))


def test_in_evaluation_the_same_styles_give_the_same_picture_and_in_training_new_noise(generator):
    with torch.no_grad():
        for layer in generator.layers:
            layer.strength.fill_(0.5)
    z = torch.randn(2, 8)
    assert not torch.equal(generator(z), generator(z))
    generator.eval()
    assert torch.equal(generator(z), generator(z))


def test_a_layers_style_moves_what_is_made_of_it_and_nothing_coarser(generator):
    generator.eval()
    styles = generator.spread(generator.mapping(torch.randn(1, 8)))
    changed = styles.clone()
    changed[:, -1] += 1
    difference = (generator.synthesise(changed) - generator.synthesise(styles)).abs()
    assert difference.max() > 0
    seen = []
    for layer in generator.layers:
        layer.register_forward_hook(lambda _m, _i, out: seen.append(out.detach()))
    generator.synthesise(styles)
    generator.synthesise(changed)
    half = len(seen) // 2
    assert all(torch.equal(a, b) for a, b in zip(seen[:half], seen[half:], strict=True))


def test_the_average_style_is_that_of_many_latents(generator):
    average = stylegan.average_style(generator)
    assert torch.equal(average, stylegan.average_style(generator))
    with torch.no_grad():
        many = generator.mapping(torch.randn(20_000, 8)).mean(0)
    assert torch.allclose(average[0], many, atol=0.05)


def test_path_lengths_are_those_of_the_jacobian():
    lengths = stylegan.PathLength(decay=1.0)
    styles = torch.randn(2, 3, 4, requires_grad=True)
    scale = torch.tensor(2.0, requires_grad=True)
    pictures = (scale * styles).sum((1, 2)).view(2, 1, 1, 1).expand(2, 3, 8, 8)
    torch.manual_seed(7)
    noise = torch.randn(2, 3, 8, 8) / 8
    torch.manual_seed(7)
    off = lengths(pictures, styles)
    expected = 2 * noise.sum((1, 2, 3)).abs() * 4**0.5  # each of 4 numbers of a style has the slope 2 · Σ noise
    assert float(lengths.mean) == pytest.approx(float(expected.mean()), rel=1e-4)
    assert float(off.detach()) == pytest.approx(float((expected - expected.mean()).square().mean()), rel=1e-3)
    off.backward()
    assert scale.grad.abs() > 0


def test_halving_keeps_flat_pictures_flat_and_hides_a_grid():
    flat = torch.full((1, 2, 8, 8), 0.7)
    assert torch.allclose(stylegan.halved(flat)[:, :, 1:-1, 1:-1], flat[:, :, :2, :2])
    checks = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 2.0 - 1
    assert stylegan.halved(checks.expand(1, 2, 8, 8))[:, :, 1:-1, 1:-1].abs().max() < 1e-6
