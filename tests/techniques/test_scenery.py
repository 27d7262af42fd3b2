"""Underpaintings: what was asked for is there, in its colour, another composition for each seed."""

import numpy as np
import pytest
import torch

from danqing.encode import scenes
from danqing.encode.canvas import Canvas
from danqing.encode.shapes import Shape
from danqing.techniques import scenery
from danqing.techniques.scenery import trees, water

SIZE = (96, 128)


def draw(prompt, seed=0):
    colours, labels = scenery.compose(scenes.read(prompt), *SIZE, torch.Generator().manual_seed(seed))
    return colours, labels


def share(labels, region):
    return float((labels == scenery.REGIONS.index(region)).float().mean())


@pytest.mark.parametrize(
    ("prompt", "region", "least"),
    [
        ("大海", "water", 0.2),
        ("a lake with a boat", "boat", 0.001),
        ("高山", "mountain", 0.05),
        ("a forest", "tree", 0.15),
        ("雪地", "snow", 0.2),
        ("desert", "sand", 0.2),
        ("a town", "building", 0.03),
        ("white houses by the sea", "building", 0.003),
        ("花园里的花", "flower", 0.005),
        ("clouds in the sky", "cloud", 0.05),
        ("moonlit river", "light", 0.002),
        ("still life with apples", "object", 0.02),
        ("小桥流水", "building", 0.005),
        ("a waterfall", "rock", 0.02),
    ],
)
def test_what_was_asked_for_is_in_every_composition(prompt, region, least):
    for seed in range(4):
        _, labels = draw(prompt, seed)
        assert share(labels, region) > least, seed


@pytest.mark.parametrize(("prompt", "region", "channel"), [("红色的天空", "sky", 0), ("a green sea", "water", 1)])
def test_a_named_colour_is_the_colour_of_its_region(prompt, region, channel):
    colours, labels = draw(prompt)
    mean = colours[0][:, labels == scenery.REGIONS.index(region)].mean(1)
    assert int(mean.argmax()) == channel


@pytest.mark.parametrize("prompt", ["a white village, night", "white houses, sunset"])
def test_light_leaves_a_named_colour_recognisable(prompt):
    """White walls are nearly grey, and lighter than those of a house of whose colour nothing was said."""
    named, unnamed = (draw(p, 1) for p in (prompt, prompt.replace("white ", "")))
    walls = [colours[0][:, labels == scenery.REGIONS.index("building")].mean(1) for colours, labels in (named, unnamed)]
    assert float(walls[0].mean()) > 1.15 * float(walls[1].mean())
    assert float(walls[0].max() - walls[0].min()) < 0.2


def test_a_wood_is_seen_from_within():
    for seed in range(4):
        _, labels = draw("a forest", seed)
        assert share(labels[: SIZE[0] // 2], "tree") > 0.6, seed


def test_a_seed_is_a_composition():
    one, again, other = draw("a lake", 1)[0], draw("a lake", 1)[0], draw("a lake", 2)[0]
    assert torch.equal(one, again)
    assert float((one - other).abs().mean()) > 0.02


def contrast(prompt):
    """How far the mountains stand out from the sky, over some seeds."""
    total = 0.0
    for seed in range(4):
        colours, labels = draw(prompt, seed)
        means = [colours[0][:, labels == scenery.REGIONS.index(r)].mean(1) for r in ("sky", "mountain")]
        total += float((means[0] - means[1]).abs().mean())
    return total


def test_night_is_darker_than_day_and_fog_pales_what_is_far():
    assert draw("mountains at night")[0].mean() < 0.6 * draw("mountains by day")[0].mean()
    assert contrast("mountains in fog") < 0.7 * contrast("mountains, clear")


@pytest.mark.parametrize("prompt", ["cherry blossoms and a pagoda", "湖边的塔，柳树", "a church tower, autumn trees"])
def test_no_near_tree_hides_a_tower_that_was_asked_for(prompt):
    for seed in range(12):
        assert share(draw(prompt, seed)[1], "building") > 0.006, seed


def test_what_was_ruled_out_is_not_drawn():
    for seed in range(4):
        _, labels = draw("a field without trees", seed)
        assert share(labels, "tree") == 0


def test_a_map_of_regions_gets_the_colours_of_its_light():
    sky = np.zeros(SIZE, bool)
    sky[:40] = True
    named = [scenery.Named("sky", Shape(sky)), scenery.Named("water", Shape(~sky))]
    washed = scenery.wash(named, scenes.read("dusk, red water"), torch.Generator().manual_seed(0))
    water = washed[0, :, 48:].mean((1, 2))
    assert water.argmax() == 0
    day = scenery.wash(named, scenes.read("day"), torch.Generator().manual_seed(0))
    assert day[0, :, :40].mean() > washed[0, :, :40].mean()


def test_the_canvas_lays_colours_and_labels_where_the_mask_is():
    canvas = Canvas(20, 30, torch.Generator().manual_seed(0))
    canvas.lay(canvas.box(0.75, 1.0, 0.25, 0.5), torch.tensor((1.0, 0.0, 0.0)), 3)
    assert canvas.labels[15, 15] == 3
    assert canvas.labels[2, 2] == 0
    assert canvas.colours[0, 15, 15] == 1
    assert canvas.noise(3, 3).std() == pytest.approx(1, abs=0.7)


def test_a_lone_boat_is_one_boat():
    """孤舟: of many compositions, none has a fleet."""
    several, lone = (
        [share(draw(prompt, seed)[1], "boat") for seed in range(8)] for prompt in ("江上的舟", "江上的孤舟")
    )
    assert min(lone) > 0
    assert sum(lone) < 0.7 * sum(several)


def of_trees(prompt, seed):
    """Mean colour of what is a tree, and how far its lightness is spread."""
    colours, labels = draw(prompt, seed)
    own = colours[0][:, labels == scenery.REGIONS.index("tree")]
    return own.mean(1), float(own.mean(0).std())


def test_kinds_of_trees_look_their_kind():
    for seed in range(3):
        (birch, spread), (plain, usual) = (of_trees(p, seed) for p in ("a birch forest in summer", "a forest"))
        assert birch.mean() > plain.mean()
        assert spread > usual  # light trunks before dark leaves
        above = [share(draw(p, seed)[1][: SIZE[0] // 5], "tree") for p in ("竹林，冬天", "松林，冬天", "森林，冬天")]
        assert min(above[:2]) > above[2]  # they keep their leaves


def test_a_wood_by_a_river_stands_on_both_banks():
    for seed in range(4):
        _, labels = draw("a river in the forest", seed)
        assert share(labels, "water") > 0.1
        assert share(labels, "tree") > 0.2


def test_waves_are_of_the_sea_and_rougher_than_calm_water():
    for seed in range(4):
        spread = {}
        for prompt in ("calm sea, clear", "big waves"):
            colours, labels = draw(prompt, seed)
            assert share(labels, "water") > 0.2
            assert share(labels, "ground") == 0 or prompt == "calm sea, clear"  # no lawn at a rough sea
            water = (labels == scenery.REGIONS.index("water")) & (torch.arange(SIZE[0]) > 0.6 * SIZE[0])[:, None]
            spread[prompt] = float(colours[0].mean(0)[water].std())
        assert spread["big waves"] > 1.3 * spread["calm sea, clear"]


def test_a_storm_brings_waves_unless_they_are_ruled_out(monkeypatch):
    drawn = []
    monkeypatch.setattr(water, "swell", lambda *at: drawn.append(at))
    for seed in range(4):
        draw("a stormy sea", seed)
    assert len(drawn) == 4
    draw("a stormy sea, no waves")
    assert len(drawn) == 4


def test_kinds_that_were_ruled_out_are_not_drawn(monkeypatch):
    drawn = []
    for name in ("_fir", "_pine", "_willow"):
        monkeypatch.setattr(trees, name, lambda *at, name=name: drawn.append(name))
    for seed in range(6):
        draw("snowy mountains without pines", seed)
        draw("a forest without pine trees", seed)
        draw("a lake in summer, no willows", seed)
    assert drawn.count("_pine") == drawn.count("_willow") == 0


@pytest.mark.parametrize(
    ("prompt", "both"), [("松树和竹子的森林", ("_pine", "_culms")), ("willow forest", ("_willow",))]
)
def test_every_kind_that_was_asked_for_is_drawn(monkeypatch, prompt, both):
    drawn = set()
    for name in ("_pine", "_culms", "_willow"):
        monkeypatch.setattr(trees, name, lambda *at, name=name: drawn.add(name))
    draw(prompt)
    assert drawn == {*both}


def test_nothing_blooms_in_snow_unasked():
    blooming = [share(draw(prompt, seed)[1], "flower") for prompt in ("松林，大雪", "a glacier") for seed in range(8)]
    assert max(blooming) == 0
    assert share(draw("flowers in the snow")[1], "flower") > 0
