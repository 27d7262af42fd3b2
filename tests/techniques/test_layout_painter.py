"""The painter of layouts: sizes, seeds, styles, and that it learns."""

import pytest
import torch

from danqing.encode import layouts
from danqing.errors import BadRequest
from danqing.techniques import layout_painter
from danqing.techniques.layout_painter import Config, Critic, LayoutPainter

TINY = Config(widths=(8, 16), blocks=(1, 1), numbers=6, code=8)


def built(seed=0):
    torch.manual_seed(seed)
    painter = LayoutPainter(TINY)
    for parameter in painter.parameters():  # away from the start, where a painter leaves the layout as it is
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return painter


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("size", [(64, 64), (50, 71), (17, 33)])
def test_any_size_comes_back_at_its_size(size):
    painted = layout_painter.paint(built(), torch.rand(1, 3, *size), None, torch.zeros(6), generator())
    assert painted.shape == (1, 3, *size)
    assert painted.min() >= 0
    assert painted.max() <= 1


def test_a_fresh_painter_leaves_the_layout_nearly_as_it_is():
    torch.manual_seed(0)
    x = torch.rand(1, 3, 32, 32)
    painted = layout_painter.paint(LayoutPainter(TINY), x, None, torch.zeros(6), generator())
    assert torch.allclose(painted, x, atol=0.05)


def test_style_lines_and_seed_each_change_the_painting():
    painter, x = built(), torch.rand(1, 3, 32, 32)
    base = layout_painter.paint(painter, x, None, torch.zeros(6), generator(1))
    assert torch.equal(base, layout_painter.paint(painter, x, None, torch.zeros(6), generator(1)))
    assert not torch.equal(base, layout_painter.paint(painter, x, None, torch.ones(6), generator(1)))
    assert not torch.equal(
        base, layout_painter.paint(painter, x, torch.ones(1, 1, 32, 32), torch.zeros(6), generator(1))
    )
    assert not torch.equal(base, layout_painter.paint(painter, x, None, torch.zeros(6), generator(2)))


def test_widths_and_blocks_of_unequal_length_are_refused():
    with pytest.raises(BadRequest, match="of one length"):
        Config(widths=(8, 16), blocks=(1,))


def test_the_hinge_is_zero_beyond_its_margins_and_r1_sees_the_slope():
    assert layout_painter.critic_loss(torch.tensor([2.0]), torch.tensor([-2.0])) == 0
    assert layout_painter.critic_loss(torch.tensor([0.0]), torch.tensor([0.0])) == 2

    class Steep(Critic):
        def forward(self, picture, numbers):
            return (3 * picture).sum((1, 2, 3), keepdim=True)

    assert layout_painter.r1(Steep(TINY), torch.rand(2, 3, 4, 4), torch.zeros(2, 6)) == pytest.approx(9 * 48)


def test_it_learns_to_paint_what_a_style_asks_for():
    """Two styles, one darkens and one lightens: told apart after a few steps."""
    torch.manual_seed(0)
    painter = LayoutPainter(TINY)
    optimiser = torch.optim.Adam(painter.parameters(), lr=1e-2)
    numbers = torch.stack([torch.zeros(6), torch.ones(6)])
    x = torch.full((2, 3, 16, 16), 0.5)
    goal = torch.stack([torch.full((3, 16, 16), 0.3), torch.full((3, 16, 16), 0.7)])
    for _ in range(60):
        noise = layout_painter.draw_noise(TINY, 2, 16, 16, generator())
        loss = (painter(x, torch.zeros(2, 1, 16, 16), numbers, noise) - goal).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.06


def test_simplified_pictures_keep_their_broad_colours_and_lose_their_texture():
    torch.manual_seed(0)
    x = torch.rand(3, 3, 64, 64) * 0.4
    x[:, 0, :32] += 0.5
    plain = layouts.simplified(x, generator(3))
    assert plain.shape == x.shape
    assert torch.allclose(plain.mean((2, 3)), x.mean((2, 3)), atol=0.06)
    rough, smooth = ((y[..., 1:] - y[..., :-1]).abs().mean() for y in (x, plain))
    assert smooth < 0.5 * rough
    assert (plain[:, 0, :28].mean() - plain[:, 0, 36:].mean()) > 0.3


def test_lines_are_found_where_brightness_changes():
    x = torch.ones(1, 3, 32, 32)
    x[..., 15:17] = 0.0
    drawn = layouts.lines(x)
    assert drawn[..., 15:17].mean() > 0.8
    assert drawn[..., :8].max() == 0
