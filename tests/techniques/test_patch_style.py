"""Photos painted with patches: what comes back, and what it is made of."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from danqing.artwork.request import Step
from danqing.compute.device import choose
from danqing.compute.seed import generator
from danqing.errors import BadRequest, Cancelled
from danqing.techniques.patch_style import Config, stylize

QUICK = Config(patch_sizes=(13, 9), passes=1, coarsest=48)


def scene(height: int, width: int, seed: int = 0) -> Tensor:
    """A picture with flat areas, edges and texture: discs of one colour on a slope, and stripes."""
    draw = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    picture = torch.stack([0.2 + 0.5 * x, 0.7 - 0.4 * y, 0.3 + 0.3 * x * y])
    for _ in range(8):
        cy, cx, radius, *colour = torch.rand(6, generator=draw).tolist()
        inside = (y - cy) ** 2 + (x - cx) ** 2 < (0.05 + 0.15 * radius) ** 2
        picture = torch.where(inside, torch.tensor(colour)[:, None, None], picture)
    return (picture + 0.08 * torch.sin(60 * (x + y))).clamp(0, 1)[None]


def tinted(colour: tuple[float, float, float], seed: int) -> Tensor:
    """A textured picture of nearly one colour."""
    draw = torch.Generator().manual_seed(seed)
    return (torch.tensor(colour)[:, None, None] + 0.1 * torch.randn(3, 72, 80, generator=draw)).clamp(0, 1)[None]


def one(photo: Tensor) -> Tensor:
    """All of one style everywhere."""
    return torch.ones(1, 1, 1).expand(1, *photo.shape[2:])


def paint(
    photo: Tensor, styles: list[Tensor], share: Tensor | None = None, config: Config = QUICK, seed: int = 0
) -> Tensor:
    return stylize(photo, styles, one(photo) if share is None else share, config, choose("cpu"), generator(seed))


@pytest.mark.parametrize("size", [(64, 64), (97, 61), (16, 130)])
def test_the_painting_has_the_photos_size_whatever_it_is(size):
    painted = paint(scene(*size), [scene(80, 50, seed=1)])
    assert painted.shape == (1, 3, *size)
    assert painted.dtype == torch.float32
    assert 0 <= painted.min() <= painted.max() <= 1


@pytest.mark.parametrize("size", [(16, 16), (30, 300), (400, 520)])
def test_a_painting_to_learn_from_may_be_tiny_long_or_large(size):
    assert paint(scene(64, 64), [scene(*size, seed=1)]).isfinite().all()


def test_the_same_seed_paints_the_same_picture_and_another_seed_another():
    photo, style = scene(72, 64), scene(64, 72, seed=1)
    first = paint(photo, [style], seed=5)
    assert torch.equal(first, paint(photo, [style], seed=5))
    assert not torch.equal(first, paint(photo, [style], seed=6))


def test_a_picture_painted_with_its_own_patches_stays_nearly_itself():
    photo = scene(96, 96)
    other = scene(96, 96, seed=3)
    own = (paint(photo, [photo]) - photo).abs().mean()
    assert own < 0.04
    assert own < 0.5 * (paint(photo, [other]) - photo).abs().mean()


def test_more_strength_moves_further_from_the_photo():
    photo, style = scene(80, 80), tinted((0.7, 0.3, 0.2), seed=1)
    away = [
        float((paint(photo, [style], config=Config(strength, (13, 9), passes=1)) - photo).abs().mean())
        for strength in (0.05, 0.35, 0.7, 1.0)
    ]
    assert away == sorted(away)
    assert away[0] < 0.03
    assert away[-1] > 0.1


def test_each_style_stays_where_its_share_is():
    photo = scene(64, 96)
    left = torch.zeros(64, 96)
    left[:, :48] = 1
    red, blue = tinted((0.8, 0.2, 0.2), seed=1), tinted((0.2, 0.2, 0.8), seed=2)
    painted = paint(photo, [red, blue], torch.stack([left, 1 - left]))
    assert (painted[0, 0, :, :40] - painted[0, 2, :, :40]).mean() > 0.4
    assert (painted[0, 2, :, 56:] - painted[0, 0, :, 56:]).mean() > 0.4


def test_a_style_with_the_larger_share_has_more_to_say():
    photo = scene(64, 64)
    red, blue = tinted((0.8, 0.2, 0.2), seed=1), tinted((0.2, 0.2, 0.8), seed=2)

    def redness(part: float) -> float:
        share = torch.tensor([part, 1 - part]).view(2, 1, 1).expand(2, 64, 64)
        painted = paint(photo, [red, blue], share)
        return float((painted[0, 0] - painted[0, 2]).mean())

    assert redness(0.9) > redness(0.5) + 0.1 > redness(0.1) + 0.2


def test_a_picture_that_has_the_styles_colours_already_is_matched_as_it_is():
    # Two halves, one in each style's colour: carried to each style, the picture's own spread would be added again.
    styles = [tinted((0.7, 0.4, 0.3), 1), tinted((0.3, 0.4, 0.7), 2)]
    photo = torch.cat([styles[0][..., :64, :36], styles[1][..., :64, :36]], 3)
    share = torch.zeros(2, 64, 72)
    share[0, :, :36], share[1, :, 36:] = 1, 1

    def error(palette: float) -> float:
        painted = paint(photo, styles, share, replace(QUICK, palette=palette))
        return float((painted.mean((0, 2)) - photo.mean((0, 2))).abs().mean())

    assert error(0.0) < 0.5 * error(1.0)


def test_nothing_of_a_style_that_has_no_share():
    photo = scene(64, 64)
    share = torch.stack([torch.ones(64, 64), torch.zeros(64, 64)])
    painted = paint(photo, [tinted((0.8, 0.2, 0.2), seed=1), tinted((0.2, 0.2, 0.8), seed=2)], share)
    assert (painted[0, 0] - painted[0, 2]).mean() > 0.4


def test_progress_ends_at_its_total_and_can_show_the_picture():
    steps: list[Step] = []
    photo = scene(64, 80)
    stylize(photo, [scene(64, 64, seed=1)], one(photo), QUICK, choose("cpu"), generator(0), steps.append)
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert done[-1] == steps[-1].total
    assert steps[-1].preview is not None
    shown = steps[-1].preview()
    assert (shown.width, shown.height) == (80, 64)


def test_it_stops_when_told_to():
    def stop(step: Step) -> None:
        raise Cancelled("stopped")

    photo = scene(64, 64)
    with pytest.raises(Cancelled):
        stylize(photo, [photo], one(photo), QUICK, choose("cpu"), generator(0), stop)


@pytest.mark.parametrize(
    ("photo", "style", "config", "said"),
    [
        (scene(15, 64), scene(64, 64), QUICK, "64×15 px; each side has 16 px or more"),
        (scene(64, 64), scene(64, 9), QUICK, "9×64 px; each side has 16 px or more"),
        (scene(64, 64), scene(64, 64), Config(strength=0), "strength is 0"),
        (scene(64, 64), scene(64, 64), Config(strength=1.5), "strength is 1.5"),
    ],
)
def test_what_cannot_be_painted_is_said_before_anything_begins(photo, style, config, said):
    with pytest.raises(BadRequest, match=said):
        paint(photo, [style], config=config)


def test_shares_of_another_shape_are_refused():
    with pytest.raises(BadRequest, match="shares"):
        paint(scene(64, 64), [scene(64, 64)], torch.ones(2, 64, 64))
