"""Sizes, colours and tiles: what techniques build on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from danqing.artwork.image import Picture
from danqing.encode import image
from danqing.errors import BadRequest


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_picture_survives_the_way_there_and_back():
    levels = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.float32) / np.float32(255)
    x = image.to_tensor(Picture(levels))
    assert x.shape == (1, 3, 5, 7)
    assert x.is_contiguous()
    back = image.to_picture(x, alpha=torch.ones(5, 7), bits=16)
    assert np.array_equal(back.pixels, levels)
    assert back.bits == 16
    x.zero_()
    assert levels.max() > 0  # the tensor is a copy


def test_what_is_no_picture_is_refused_and_what_runs_over_is_clamped():
    assert image.to_picture(torch.full((3, 2, 2), 1.5, dtype=torch.bfloat16)).pixels.max() == 1
    for shape in ((1, 1, 4, 4), (2, 3, 4, 4), (4, 4)):
        with pytest.raises(BadRequest, match="shape"):
            image.to_picture(torch.zeros(shape))
    with pytest.raises(BadRequest):
        image.to_picture(torch.full((3, 2, 2), float("nan")))


def test_shrinking_keeps_the_light():
    """A fine chessboard seen from afar is as bright as half its white: 188 of 255, not 128."""
    board = ((torch.arange(64)[:, None] + torch.arange(64)) % 2).float().expand(1, 3, 64, 64)
    small = image.resize(board, (8, 8))
    assert small * 255 == pytest.approx(torch.full_like(small, 187.5), abs=0.6)


def test_shrinking_draws_no_outlines():
    """Between a dark and a bright half, nothing darker or brighter than both."""
    halves = torch.full((1, 3, 64, 64), 0.1)
    halves[..., 32:] = 0.9
    for size in ((20, 20), (64, 21)):
        small = image.resize(halves, size)
        assert small.min() >= 0.1 - 1e-4
        assert small.max() <= 0.9 + 1e-4


@pytest.mark.parametrize(("height", "width"), [(64, 64), (63, 17), (200, 90), (1, 1), (64, 16)])
def test_resizing_keeps_flat_colours_and_range(height, width):
    flat = torch.tensor([0.2, 0.5, 1.0])[None, :, None, None].expand(1, 3, 64, 48)
    assert torch.allclose(image.resize(flat, (height, width)), flat[..., :1, :1].expand(1, 3, height, width), atol=2e-3)
    out = image.resize(noise(1, 3, 64, 48), (height, width))
    assert out.shape == (1, 3, height, width)
    assert 0 <= out.min() <= out.max() <= 1


def test_resizing_lets_gradients_through_even_at_black_and_white():
    x = torch.cat([torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8), noise(1, 3, 8, 8)]).requires_grad_()
    for size in ((4, 4), (16, 16)):
        (gradient,) = torch.autograd.grad(image.resize(x, size).sum(), x)
        assert gradient.isfinite().all()
        assert gradient[2].abs().sum() > 0


def test_masks_are_resized_as_numbers():
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., ::2] = 1
    assert image.resize(mask, 8) == pytest.approx(torch.full((1, 1, 8, 8), 0.5), abs=0.05)


@pytest.mark.parametrize(
    ("height", "width", "longer", "expected"),
    [
        (300, 400, 200, (150, 200)),
        (400, 300, 800, (800, 600)),
        (1, 3000, 512, (1, 512)),
        (3, 2000, 100, (1, 100)),
        (5, 5, 1, (1, 1)),
    ],
)
def test_fit_sets_the_longer_side_and_keeps_the_other_alive(height, width, longer, expected):
    assert image.fit(noise(1, 3, height, width), longer).shape[-2:] == expected


@pytest.mark.parametrize("size", [0, (0, 5), (5, -1)])
def test_sizes_that_cannot_be(size):
    with pytest.raises(BadRequest, match="at least 1"):
        image.resize(noise(1, 3, 4, 4), size)


def test_light_and_code_are_inverse():
    x = torch.linspace(0, 1, 1001)
    assert torch.allclose(image.to_coded(image.to_light(x)), x, atol=1e-4)
    assert torch.allclose(image.to_light(x), image.to_light(x.double()).float(), atol=3e-5)  # table against formula
    assert image.to_light(torch.tensor([0.5])).item() == pytest.approx(0.21404, abs=1e-4)


def test_oklab_has_its_published_values():
    red = torch.tensor([1.0, 0, 0])[None, :, None, None]
    assert image.to_oklab(red).flatten().tolist() == pytest.approx([0.62796, 0.22486, 0.12585], abs=1e-4)
    x = noise(2, 3, 9, 9)
    assert torch.allclose(image.from_oklab(image.to_oklab(x)), x, atol=1e-3)


def test_keep_colors_takes_light_from_one_and_colour_from_the_other():
    result, photo = noise(1, 3, 33, 21), 0.4 + 0.2 * noise(1, 3, 33, 21, seed=1)
    kept = image.keep_colors(result, photo)
    lab, wanted = image.to_oklab(kept), image.to_oklab(result)
    assert torch.allclose(lab[:, :1], wanted[:, :1], atol=0.02)  # lightness holds even where chroma must give way
    middle = (wanted[:, :1] > 0.45) & (wanted[:, :1] < 0.75)
    difference = (lab - image.to_oklab(photo))[:, 1:].abs().amax(dim=1, keepdim=True)
    assert difference[middle].max() < 0.01
    assert torch.allclose(image.keep_colors(photo, photo), photo, atol=2e-3)


def test_black_lines_stay_black_on_coloured_ground():
    blue = torch.tensor([0.0, 0.1, 0.6])[None, :, None, None].expand(1, 3, 4, 4)
    assert image.keep_colors(torch.zeros(1, 3, 4, 4), blue).max() < 0.01
    assert image.keep_colors(torch.ones(1, 3, 4, 4), blue).min() > 0.98


def test_keep_colors_wants_one_size():
    with pytest.raises(BadRequest, match="one size"):
        image.keep_colors(noise(1, 3, 4, 4), noise(1, 3, 4, 5))


def test_matched_colours_have_the_mean_and_spread_of_the_target():
    x = 0.5 + 0.1 * (noise(1, 3, 60, 60) - 0.5)
    target = noise(1, 3, 40, 50, seed=1) @ torch.eye(50) * 0.3 + 0.4
    target[:, 1] = (target[:, 0] + target[:, 1]) / 2  # correlated channels
    matched = image.match_colors(x, target)
    flat, wanted = matched.flatten(2)[0].double(), target.flatten(2)[0].double()
    assert flat.mean(dim=1).tolist() == pytest.approx(wanted.mean(dim=1).tolist(), abs=1e-3)
    assert torch.allclose(torch.cov(flat), torch.cov(wanted), atol=1e-5)


def test_the_transport_is_the_shortest_one():
    """The map is symmetric and positive definite, which among all maps of these moments only the optimal one is."""
    matrix, _ = image.color_transport(noise(1, 3, 30, 30), noise(1, 3, 30, 30, seed=1) ** 2)
    assert matrix.dtype == torch.float64
    assert torch.allclose(matrix, matrix.T)
    assert torch.linalg.eigvalsh(matrix).min() > 0
    same, offset = image.color_transport(noise(1, 3, 30, 30), noise(1, 3, 30, 30))
    assert torch.allclose(same, torch.eye(3, dtype=torch.float64))
    assert torch.allclose(offset, torch.zeros(3, dtype=torch.float64), atol=1e-9)


def test_a_picture_without_colour_does_not_have_its_grain_blown_up():
    flat = torch.full((1, 3, 50, 50), 0.5) + 0.002 * (noise(1, 3, 50, 50) - 0.5)
    matched = image.match_colors(flat, noise(1, 3, 50, 50, seed=1))
    assert matched.std() < 0.02
    assert image.match_colors(flat, flat.new_full((1, 3, 2, 2), 0.25)).mean() == pytest.approx(0.25, abs=1e-3)


def test_half_the_amount_goes_half_the_way():
    x, target = 0.3 + 0.2 * noise(1, 3, 20, 20), 0.4 + 0.3 * noise(1, 3, 20, 20, seed=1)
    whole, half = image.match_colors(x, target), image.match_colors(x, target, amount=0.5)
    assert torch.allclose(half, (x + whole) / 2, atol=1e-5)
    assert torch.allclose(image.match_colors(x, target, amount=0), x, atol=1e-6)


@pytest.mark.parametrize(
    ("height", "width", "tile", "overlap", "shift"),
    [
        (100, 130, 32, 8, (0, 0)),
        (100, 130, 32, 8, (5, 11)),
        (31, 300, 64, 16, (3, 100)),
        (97, 97, 32, 30, (7, -2)),
        (200, 64, 64, 0, (9, 0)),
        (64, 64, 64, 8, (3, 3)),
        (1, 1, 64, 16, (0, 0)),
    ],
)
def test_tiles_put_together_are_the_picture(height, width, tile, overlap, shift):
    x = noise(1, 3, height, width)
    whole, total = torch.zeros_like(x), torch.zeros(1, 1, height, width)
    for window in image.tiles(height, width, tile, overlap, shift):
        cut = window.cut(x)
        assert cut.shape[-2:] == (min(tile, height), min(tile, width)) == (window.height, window.width)
        assert window.weight.min() > 0
        window.cut(whole).add_(window.weight * cut)
        window.cut(total).add_(window.weight)
    assert torch.allclose(total, torch.ones_like(total), atol=1e-6)
    assert torch.allclose(whole, x, atol=1e-6)


def test_shifted_tiles_have_their_joints_elsewhere():
    plain = {(window.top, window.left) for window in image.tiles(200, 200, 64, 16)}
    moved = {(window.top, window.left) for window in image.tiles(200, 200, 64, 16, (24, 24))}
    inside = {place for place in plain & moved if 0 < place[0] < 136 and 0 < place[1] < 136}
    assert not inside


def test_no_seam_shows_where_neighbours_disagree():
    """Tiles that come back a little brighter or darker blend over the whole overlap: no step above 1/overlap."""
    whole = torch.zeros(1, 1, 64, 300)
    for number, window in enumerate(image.tiles(64, 300, 64, 32)):
        window.cut(whole).add_(window.weight * float(number % 2))
    assert (whole[..., 1:] - whole[..., :-1]).abs().max() < 2.5 / 32


@pytest.mark.parametrize(("tile", "overlap"), [(0, 0), (16, 16), (16, -1)])
def test_tiles_that_cannot_be(tile, overlap):
    with pytest.raises(BadRequest, match="tiles of"):
        list(image.tiles(10, 10, tile, overlap))


def test_hidden_colours_do_not_seep_out_of_transparent_pixels():
    """A red disc on transparent green, made smaller and larger: its edge stays red."""
    down, across = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    alpha = (((down - 31.5) ** 2 + (across - 31.5) ** 2) < 20**2).float()[None, None]
    red, green = (torch.tensor(c).view(1, 3, 1, 1) for c in ([1.0, 0, 0], [0, 1.0, 0]))
    picture = red * alpha + green * (1 - alpha)
    for size in ((40, 40), (100, 100)):
        made, share = image.resize_visible(picture, alpha, size)
        assert made.shape == (1, 3, *size)
        assert share.shape == (1, 1, *size)
        edge = ((share > 0.05) & (share < 0.95))[0, 0]
        assert edge.any()
        assert float(made[0, 1][edge].max()) < 0.02
