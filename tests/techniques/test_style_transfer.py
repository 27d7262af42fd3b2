from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danqing.compute import seed
from danqing.compute.device import Compute
from danqing.errors import BadRequest, Cancelled
from danqing.techniques import style_transfer as st
from danqing.techniques.style_transfer import Config

WEIGHTS = (("relu1_1", 1.0), ("relu2_1", 1.0))
SMALL = Config(
    content_layers=(("relu2_2", 1.0),), style_layers=WEIGHTS, coarsest=32, iterations=6, directions=8, samples=512
)


class Tiny:
    """Four random convolutions as `Features`, in float32: exact enough to compare gradients."""

    def __init__(self) -> None:
        self.compute = Compute(torch.device("cpu"), torch.float32, torch.channels_last, "test")
        self.layers = ("relu1_1", "relu1_2", "relu2_1", "relu2_2")
        draw = torch.Generator().manual_seed(5)
        sides = ((3, 8), (8, 8), (8, 12), (12, 12))
        self.weights = [torch.randn(o, i, 3, 3, generator=draw) / (3 * i**0.5) for i, o in sides]

    def __call__(self, x: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        found = {}
        x = self.compute.tensor(x) - 0.5
        for name, weight in zip(self.layers, self.weights, strict=True):
            x = F.avg_pool2d(x, 2) if name == "relu2_1" else x
            x = F.relu(F.conv2d(x, weight, padding=1))
            found[name] = x
        return {name: found[name] for name in layers}


@pytest.fixture
def features() -> Tiny:
    return Tiny()


def picture(number: int, height: int = 48, width: int = 56) -> Tensor:
    """Smooth noise, (1, 3, height, width) in [0, 1]; each number has colours of its own."""
    draw = torch.Generator().manual_seed(number)
    rough = torch.rand(1, 3, height // 4 + 1, width // 4 + 1, generator=draw)
    tint = torch.rand(1, 3, 1, 1, generator=draw)
    return (0.6 * F.interpolate(rough, (height, width), mode="bilinear") + 0.4 * tint).clamp(0, 1)


def even(count: int, height: int = 48, width: int = 56) -> Tensor:
    return torch.full((count, height, width), 1 / count)


def halves(height: int = 48, width: int = 56) -> Tensor:
    share = torch.zeros(2, height, width)
    share[0, :, : width // 2] = 1
    share[1, :, width // 2 :] = 1
    return share


def style_distance(x: Tensor, style: Tensor, features: Tiny) -> float:
    config = replace(SMALL, content_weight=0.0)
    goal = st.set_goal(None, [style], even(1, *x.shape[2:]), features, config, seed.generator(0))
    return st.gradient(x, goal, features, seed.generator(0))[0]


def content_distance(x: Tensor, photo: Tensor, features: Tiny) -> float:
    return float(st.content_loss(features(x, ["relu2_2"])["relu2_2"], features(photo, ["relu2_2"])["relu2_2"]))


# --- the losses -------------------------------------------------------------------------------------------------------


def test_content_loss_compares_position_by_position():
    f = torch.rand(1, 4, 6, 6)
    moved = f.roll(1, dims=3)
    assert st.content_loss(f, f) == 0
    assert st.content_loss(torch.zeros_like(f), f) == pytest.approx(1)
    assert st.content_loss(moved, f) > 0.1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_style_losses_do_not_care_where_a_feature_occurs(dtype):
    f = torch.rand(1, 4, 96, 96).to(dtype)
    shuffled = f.flatten(2)[:, :, torch.randperm(96 * 96)].view_as(f)
    other = f.square()
    count = 96 * 96

    target = st.gram(f) / count
    assert st.gram_loss(st.gram(shuffled) / count, target) < 1e-5
    assert st.gram_loss(st.gram(other) / count, target) > 0.01

    along = torch.eye(4)
    project = lambda x: (along @ x.float().flatten(2)[0]).contiguous()  # noqa: E731
    ordered = project(f).sort(dim=1).values
    assert st.sliced_loss(project(shuffled), ordered) == 0
    assert st.sliced_loss(project(other), ordered) > 0.01


def test_gram_is_the_sum_of_products_and_its_gradient_is_right():
    f = torch.rand(1, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.rand(5, 4, dtype=torch.float64)
    flat = f.flatten(2)[0]
    torch.testing.assert_close(st.gram(f), (flat @ flat.T).float())
    torch.testing.assert_close(st.gram(f, mask), (flat * mask.flatten() @ flat.T).float())

    slope = torch.randn(3, 3, dtype=torch.float64).float()
    (ours,) = torch.autograd.grad((st.gram(f, mask) * slope).sum(), f)
    (theirs,) = torch.autograd.grad(((flat * mask.flatten()) @ flat.T * slope).sum(), f)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_quantiles_keep_a_distribution_when_its_number_of_samples_changes():
    ordered = torch.linspace(0, 1, 101)[None]
    again = st.quantiles(ordered, 50)
    assert again.shape == (1, 50)
    assert again.mean() == pytest.approx(0.5, abs=1e-3)
    assert again.std() == pytest.approx(float(ordered.std()), rel=0.02)


# --- tiles ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", st.STYLE_LOSSES)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("height", "width"), [(48, 56), (45, 61)])
def test_tiles_give_the_gradient_of_the_whole(features, loss, masked, height, width):
    """The Gram loss to rounding; the sliced loss where every position is looked at, to its sampling otherwise."""
    config = replace(SMALL, style_loss=loss, tv_weight=0.3, samples=100_000)
    share = halves(height, width) if masked else even(2, height, width)
    styles = [picture(1), picture(2, 40, 44)]
    goal = st.set_goal(picture(0, height, width), styles, share, features, config, seed.generator(0))
    x = picture(3, height, width)

    whole, expected = st.gradient(x, goal, features, seed.generator(1))
    tiles = st.tiled(goal.size, goal.layers, features, 16)
    assert len(tiles) >= 9
    parts, found = st.gradient(x, replace(goal, tile=16), features, seed.generator(1))

    close = {"rtol": 1e-3, "atol": 1e-3 * float(expected.abs().max())} if loss == "gram" else {}
    if loss == "gram":
        assert parts == pytest.approx(whole, rel=1e-4)
        torch.testing.assert_close(found, expected, **close)
    else:
        assert parts == pytest.approx(whole, rel=0.05)
        assert F.cosine_similarity(found.flatten(), expected.flatten(), dim=0) > 0.9


def test_the_gradient_is_the_slope_of_the_loss(features):
    goal = st.set_goal(picture(0), [picture(1)], even(1), features, replace(SMALL, tv_weight=0.3), seed.generator(0))
    x = picture(3)
    draw = torch.Generator().manual_seed(3)
    way = torch.randn(x.shape, generator=draw) * 1e-3
    _, g = st.gradient(x, goal, features, seed.generator(1))
    after, _ = st.gradient(x + way, goal, features, seed.generator(1))
    before, _ = st.gradient(x - way, goal, features, seed.generator(1))
    assert after - before == pytest.approx(2 * float((g * way).sum()), rel=0.02)


@pytest.mark.parametrize("jitter", [(0.0, 0.0), (1.0, -1.0), (-0.7, 0.3)])
def test_tiles_cover_every_pixel_once(features, jitter):
    seen = torch.zeros(1, 61, 93)
    for tile in st.tiled((61, 93), features.layers, features, 20, jitter):
        tile.part(seen, 1).add_(1)
        assert tile.core[0] % 2 == tile.core[2] % 2 == 0
    assert (seen == 1).all()


# --- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", st.STYLE_LOSSES)
@pytest.mark.parametrize("optimiser", st.OPTIMISERS)
def test_the_result_has_more_of_the_style_than_its_start(features, loss, optimiser):
    photo, style = picture(0), picture(1)
    config = replace(SMALL, style_loss=loss, optimiser=optimiser, start="photo", iterations=20, content_weight=0.01)
    result = st.stylize(photo, [style], even(1), features, config, seed.generator(0))
    assert result.shape == photo.shape
    assert result.dtype == torch.float32
    assert 0 <= result.min() <= result.max() <= 1
    assert style_distance(result, style, features) < 0.5 * style_distance(photo, style, features)


def test_strength_goes_from_the_photo_to_the_style(features):
    photo, style = picture(0), picture(1)
    distances = []
    for strength in (0.0, 0.3, 0.6, 1.0):
        config = replace(SMALL, strength=strength, iterations=20)
        result = st.stylize(photo, [style], even(1), features, config, seed.generator(0))
        distances.append(style_distance(result, style, features))
        if strength == 0:
            assert torch.equal(result, photo)
    assert distances == sorted(distances, reverse=True)


def test_more_content_weight_keeps_more_of_the_photo(features):
    photo, style = picture(0), picture(1)
    results = [
        st.stylize(
            photo, [style], even(1), features, replace(SMALL, content_weight=w, iterations=20), seed.generator(0)
        )
        for w in (0.01, 100.0)
    ]
    assert content_distance(results[1], photo, features) < content_distance(results[0], photo, features)


def test_masks_say_which_style_rules_where(features):
    first, second = picture(1) * 0.5, picture(2) * 0.5 + 0.5
    config = replace(SMALL, iterations=20, content_weight=0.01)
    result = st.stylize(picture(0), [first, second], halves(), features, config, seed.generator(0))
    left, right = result[..., :24], result[..., 32:]
    assert left.mean() < 0.5 < right.mean()
    assert style_distance(left, first, features) < style_distance(left, second, features)
    assert style_distance(right, second, features) < style_distance(right, first, features)


def test_a_style_without_share_has_no_say(features):
    share = torch.stack([torch.ones(48, 56), torch.zeros(48, 56)])
    alone = st.stylize(picture(0), [picture(1)], even(1), features, SMALL, seed.generator(0))
    beside = st.stylize(picture(0), [picture(1), picture(2)], share, features, SMALL, seed.generator(0))
    torch.testing.assert_close(alone, beside)


@pytest.mark.parametrize("loss", st.STYLE_LOSSES)
def test_the_same_seed_gives_the_same_bytes(features, loss):
    config = replace(SMALL, style_loss=loss, start="noise", tile=24)
    once, again = (st.stylize(picture(0), [picture(1)], even(1), features, config, seed.generator(7)) for _ in range(2))
    assert torch.equal(once, again)


@pytest.mark.parametrize(("height", "width"), [(33, 61), (64, 17), (2, 50)])
def test_any_size_goes(features, height, width):
    result = st.stylize(
        picture(0, height, width), [picture(1, 30, 9)], even(1, height, width), features, SMALL, seed.generator(0)
    )
    assert result.shape == (1, 3, height, width)


def test_a_texture_needs_no_photo(features):
    result = st.texture([picture(1), picture(2)], halves(40, 60), (40, 60), features, SMALL, seed.generator(0))
    assert result.shape == (1, 3, 40, 60)
    assert style_distance(result[..., :28], picture(1), features) < style_distance(
        result[..., 32:], picture(1), features
    )


def test_steps_are_reported_and_a_raise_stops_the_work(features):
    steps = []
    st.stylize(picture(0), [picture(1)], even(1), features, SMALL, seed.generator(0), steps.append)
    assert [s.done for s in steps] == list(range(1, steps[-1].total + 1))
    assert steps[-1].preview is not None
    assert steps[-1].preview().pixels.shape == (48, 56, 3)

    def stop(step):
        if step.done == 2:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        st.stylize(picture(0), [picture(1)], even(1), features, SMALL, seed.generator(0), stop)


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("style_loss is 'mean'", lambda: Config(style_loss="mean")),
        ("optimiser is 'sgd'", lambda: Config(optimiser="sgd")),
        ("strength is 2", lambda: Config(strength=2)),
        ("no layer relu9_1", lambda: run(replace(SMALL, content_layers=(("relu9_1", 1.0),)))),
        ("share is", lambda: run(SMALL, share=even(2))),
        ("too small", lambda: run(SMALL, styles=[picture(1, 1, 40)])),
        ("no style", lambda: run(SMALL, styles=[])),
    ],
)
def test_what_cannot_be_met_is_said(message, change):
    with pytest.raises(BadRequest, match=message):
        change()


def run(config: Config, styles: Sequence[Tensor] | None = None, share: Tensor | None = None) -> Tensor:
    styles = [picture(1)] if styles is None else styles
    return st.stylize(picture(0), styles, even(1) if share is None else share, Tiny(), config, seed.generator(0))


def test_gradients_reach_the_picture_and_not_the_network(features):
    assert not any(isinstance(weight, nn.Parameter) for weight in features.weights)
    goal = st.set_goal(picture(0), [picture(1)], even(1), features, SMALL, seed.generator(0))
    _, g = st.gradient(picture(3), goal, features, seed.generator(1))
    assert g.abs().sum() > 0


def test_lbfgs_thrown_off_by_rounding_comes_back_to_the_best_picture():
    """Two gradients that differ by rounding alone ask for a step of astronomic length."""
    target = torch.full((1, 3, 8, 8), 0.6)
    calls = []

    def slope(x):
        calls.append(float((x - target).square().sum()))
        gradient = 2 * (x - target)
        if len(calls) == 2:
            gradient = 2 * (start - target) * (1 - 1e-6)
        return calls[-1], gradient * 1e-3

    start = torch.full((1, 3, 8, 8), 0.55).to(memory_format=torch.channels_last)
    x = start.clone()
    config = st.Config(rate=0.01)
    for _ in st.lbfgs(x, slope, 12, config):
        pass
    assert max(calls) > 1.5 * calls[0]  # it was thrown off
    assert float((x - target).square().sum()) < 0.1 * calls[0]
