"""The fast painter: what a style is, how it is mixed, how large pictures are painted."""

import pytest
import torch

from danqing.compute import device, seed
from danqing.errors import Cancelled
from danqing.techniques import backbone, fast_style


@pytest.fixture(scope="module")
def artist():
    torch.manual_seed(0)
    net = backbone.equalise(backbone.Backbone(backbone.Config()), torch.rand(2, 3, 64, 64))
    extractor = backbone.Extractor(net, device.choose())
    painter = fast_style.Painter(fast_style.Config())
    torch.nn.init.normal_(painter.out.weight, std=0.02)  # untrained, but its units must matter
    for unit in painter.units.values():
        torch.nn.init.normal_(unit.style.weight, std=0.1)
    return fast_style.FastStyle(painter, extractor)


def picture(number, height=72, width=56):
    x = torch.rand(1, 3, height // 8, width // 8, generator=seed.generator(number))
    return torch.nn.functional.interpolate(x, (height, width), mode="bilinear")


def whole(x, k=1):
    return torch.ones(k, *x.shape[-2:]) / k


def test_a_style_is_960_numbers_that_do_not_depend_on_where_things_are(artist):
    x = picture(1, 256, 256)
    numbers = artist.style_of(x)
    assert numbers.shape == (960,)
    assert numbers.dtype == torch.float32
    turned = artist.style_of(x.roll(64, dims=3))
    darker = artist.style_of(x * 0.4)
    assert (numbers - turned).abs().mean() < 0.1 * (numbers - darker).abs().mean()


def test_statistics_are_means_and_deviations_in_the_order_unpack_reads():
    config = fast_style.Config(channels=(2, 3, 4, 5))
    maps = {layer: torch.randn(1, c, 6, 7) for layer, c in zip(config.layers, config.channels, strict=True)}
    found = fast_style.unpack(fast_style.statistics(maps, config), config)
    for layer, x in maps.items():
        mean, deviation = found[layer]
        assert torch.allclose(mean, x.mean((2, 3)), atol=1e-5)
        expected = (x.var((2, 3), unbiased=False) + fast_style.EPSILON**2).sqrt()
        assert torch.allclose(deviation, expected, atol=1e-4)


def test_adain_gives_the_styles_statistics():
    x = torch.randn(1, 3, 32, 32) * 2 + 1
    own = fast_style.moments(x)
    wanted = (torch.tensor([[[0.0, 1.0, 2.0]]]), torch.tensor([[[1.0, 2.0, 3.0]]]))
    mean, deviation = fast_style.moments(fast_style.adain(x, own, wanted, None))
    assert torch.allclose(mean, wanted[0][0], atol=1e-4)
    assert torch.allclose(deviation, wanted[1][0], atol=1e-2)


@pytest.mark.parametrize("size", [(72, 56), (61, 97), (33, 40)])
def test_any_size_comes_back_at_its_size_and_in_range(artist, size):
    x = picture(3, 104, 104)[..., : size[0], : size[1]]
    out = artist.paint(x, [artist.style_of(picture(4))], whole(x))
    assert out.shape == x.shape
    assert out.dtype == torch.float32
    assert 0 <= out.min() <= out.max() <= 1


def test_folding_a_style_into_the_convolutions_changes_nothing_to_see(artist):
    x, style = picture(5), artist.style_of(picture(6))
    alone = artist.paint(x, [style], whole(x))
    share = torch.stack([torch.linspace(0, 1, x.shape[-1]).expand(x.shape[-2:])] * 2)
    share[1] = 1 - share[0]  # two maps that differ, of one style: the unfolded path
    assert (artist.paint(x, [style, style], share) - alone).abs().mean() < 0.02


def test_masks_give_each_region_its_own_style(artist):
    x = picture(7, 64, 256)
    one, two = artist.style_of(picture(8)), artist.style_of(picture(9) * 0.2)
    left = torch.zeros(1, 64, 256)
    left[..., :128] = 1
    both = artist.paint(x, [one, two], torch.cat([left, 1 - left]))
    only = [artist.paint(x, [s], whole(x)) for s in (one, two)]
    assert (both[..., :48] - only[0][..., :48]).abs().mean() < (both[..., :48] - only[1][..., :48]).abs().mean()
    assert (both[..., 208:] - only[1][..., 208:]).abs().mean() < (both[..., 208:] - only[0][..., 208:]).abs().mean()


def test_tiles_agree_with_the_whole_picture(artist):
    x, style = picture(10, 320, 400), artist.style_of(picture(11))
    one = artist.paint(x, [style], whole(x), tile=1024)
    tiled = artist.paint(x, [style], whole(x), tile=256)
    assert (one - tiled).abs().mean() < 0.01


def test_the_same_call_gives_the_same_bytes_and_strength_matters(artist):
    x, style = picture(12), artist.style_of(picture(13) * 0.3)
    full, again = (artist.paint(x, [style], whole(x)) for _ in range(2))
    assert torch.equal(full, again)
    none, half = (artist.paint(x, [style], whole(x), strength=s) for s in (0.0, 0.5))
    assert 0 < (half - none).abs().mean() < (full - none).abs().mean()


def test_it_can_be_stopped(artist):
    def stop(step):
        raise Cancelled("enough")

    x = picture(14)
    with pytest.raises(Cancelled):
        artist.paint(x, [artist.style_of(x)], whole(x), on_step=stop)


def test_gradients_of_the_fused_parts_are_those_of_plain_ones():
    x = torch.randn(2, 3, 4, 6, dtype=torch.float64, requires_grad=True)
    gain = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    shift = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(fast_style._Told.apply, (x, gain, shift))
