"""Shapes of a drawing are taken for what they seem to be, keep their place and colour, and get a surface."""

import time

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from danqing.encode import scenes, shapes
from danqing.techniques import scenery
from danqing.techniques.scenery import guess

SIZE = (200, 150)
BLUE, GREEN, DARK, YELLOW, BROWN = (120, 180, 240), (110, 160, 70), (30, 100, 40), (255, 225, 90), (100, 60, 30)
RED, WHITE, SAND, PURPLE = (190, 50, 40), (250, 250, 250), (220, 180, 120), (90, 80, 120)


def drawn(*marks, ground=BLUE):
    """(kind, box or points, colour) drawn one upon the other: (1, 3, H, W) in [0, 1]."""
    image = Image.new("RGB", SIZE, ground)
    draw = ImageDraw.Draw(image)
    for kind, where, colour in marks:
        getattr(draw, kind)(where, fill=colour)
    return torch.from_numpy(np.asarray(image, np.float32) / 255).permute(2, 0, 1)[None]


def named(picture, words=""):
    return scenery.named(shapes.of_colours(picture).shapes, scenes.read(words))


def names(picture, words=""):
    return sorted(one.name for one in named(picture, words))


def washed(picture, words="", seed=0):
    return scenery.wash(named(picture, words), scenes.read(words), torch.Generator().manual_seed(seed))


LAND = ("rectangle", (0, 90, 200, 150), GREEN)
SEA = ("rectangle", (0, 90, 200, 150), (60, 80, 140))


@pytest.mark.parametrize(
    ("marks", "found"),
    [
        ([LAND], ["ground", "sky"]),
        ([SEA], ["sky", "water"]),
        ([LAND, ("ellipse", (150, 15, 175, 40), YELLOW)], ["ground", "light", "sky"]),
        ([LAND, ("ellipse", (20, 15, 90, 40), WHITE)], ["cloud", "ground", "sky"]),
        ([LAND, ("ellipse", (90, 110, 180, 135), (50, 100, 190))], ["ground", "sky", "water"]),
        ([LAND, ("ellipse", (25, 45, 70, 105), DARK)], ["ground", "sky", "tree"]),
        ([LAND, ("ellipse", (25, 45, 70, 105), (200, 100, 30))], ["ground", "sky", "tree"]),  # in autumn
        ([LAND, ("rectangle", (45, 80, 51, 110), BROWN), ("ellipse", (25, 35, 70, 82), DARK)],
         ["ground", "sky", "tree", "trunk"]),
        ([("polygon", [(0, 92), (50, 40), (100, 85), (150, 30), (200, 92)], PURPLE), LAND],
         ["ground", "mountain", "sky"]),
        ([LAND, ("rectangle", (80, 70, 130, 115), SAND), ("polygon", [(72, 71), (105, 40), (138, 71)], RED)],
         ["building", "ground", "roof", "sky"]),
        ([LAND, ("rectangle", (90, 105, 125, 125), WHITE), ("polygon", [(85, 106), (107, 88), (130, 106)], RED)],
         ["building", "ground", "roof", "sky"]),
        ([SEA, ("polygon", [(120, 108), (160, 108), (152, 118), (128, 118)], BROWN),
          ("polygon", [(140, 106), (140, 75), (160, 104)], WHITE)], ["boat", "sail", "sky", "water"]),
        ([LAND, ("ellipse", (60, 120, 68, 128), RED), ("ellipse", (90, 125, 98, 133), (200, 90, 180))],
         ["flower", "flower", "ground", "sky"]),
        ([("rectangle", (0, 90, 200, 150), WHITE)], ["sky", "snow"]),
        ([SEA, ("rectangle", (0, 130, 200, 150), SAND)], ["sand", "sky", "water"]),
    ],
)  # fmt: skip
def test_shapes_are_taken_for_what_they_seem_to_be(marks, found):
    assert names(drawn(*marks)) == found


@pytest.mark.parametrize(
    ("marks", "ground", "name"),
    [
        ([LAND, *(("ellipse", (20 + 30 * k, 20, 30 + 30 * k, 30), YELLOW) for k in range(5))], BLUE, "flower"),
        ([LAND, *(("ellipse", (20 + 30 * k, 20, 30 + 30 * k, 30), YELLOW) for k in range(5))], (15, 20, 50), "light"),
        ([SEA, ("ellipse", (70, 20, 110, 60), (250, 248, 225))], (15, 20, 50), "light"),  # a full moon
        ([LAND, ("rectangle", (60, 30, 100, 110), (60, 60, 75)),
          *(("rectangle", (66 + 10 * a, 38 + 14 * b, 70 + 10 * a, 44 + 14 * b), YELLOW) for a in range(3)
            for b in range(4))], (15, 20, 50), "building"),
        ([SEA, ("rectangle", (95, 60, 99, 150), BROWN)], BLUE, "water"),  # though a pole cuts its upper line
    ],
)  # fmt: skip
def test_number_size_and_neighbours_count(marks, ground, name):
    found = names(drawn(*marks, ground=ground))
    assert name in found
    assert ("light" in found) == (name == "light")
    assert "mountain" not in found


def test_a_sky_in_parts_has_one_moon():
    mask = np.zeros((150, 200), bool)
    mask[:90] = True
    mask[:, 60:70] = mask[:, 130:140] = False
    trees = np.zeros_like(mask)
    trees[:, 60:70] = trees[:, 130:140] = True
    whole = [scenery.Named(n, shapes.Shape(m)) for n, m in (("sky", mask), ("tree", trees), ("ground", ~mask & ~trees))]
    scene = scenes.read("moon, night")
    for seed in range(6):
        made = scenery.wash(whole, scene, torch.Generator().manual_seed(seed))[0]
        bright = (made.mean(0) > 0.85) & torch.from_numpy(mask)
        assert shapes.parts(grown(bright)).__len__() <= 1


def grown(mask):
    return shapes.grown(mask.numpy(), 3)


@pytest.mark.parametrize("words", ["fog", "rain", "snow", "moon", "autumn"])
def test_words_of_weather_and_season_show_in_a_coloured_drawing(words):
    picture = drawn(LAND, ("ellipse", (25, 45, 70, 105), DARK))
    assert float((washed(picture, words) - washed(picture)).abs().mean()) > 0.004


def test_hundreds_of_dots_do_not_take_long():
    marks = [("ellipse", (x, y, x + 4, y + 4), WHITE) for x in range(4, 196, 9) for y in range(4, 146, 11)]
    start = time.process_time()
    washed(drawn(*marks, SEA))
    assert time.process_time() - start < 20  # it took 40 s when every border was looked for in the whole picture


def test_a_map_without_land_leaves_no_black_canvas():
    left = np.zeros((60, 80), bool)
    left[:, :40] = True
    made = scenery.wash(
        [scenery.Named("tree", shapes.Shape(left)), scenery.Named("building", shapes.Shape(~left))],
        scenes.read(""), torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert float((made.sum(1) < 0.1).float().mean()) < 0.02


def test_a_thing_before_one_backdrop_stands_between_sky_and_water():
    one = {one.name: one for one in named(drawn(("ellipse", (60, 50, 140, 120), DARK)))}
    assert set(one) == {"sky", "tree", "water"}
    assert one["sky"].shape.mask[:60].any()
    assert not one["sky"].shape.mask[115:].any()


def test_what_something_cuts_off_is_what_the_larger_part_is():
    marks = [LAND, ("rectangle", (60, 0, 70, 110), BROWN), ("rectangle", (130, 0, 140, 110), BROWN)]
    assert names(drawn(*marks)).count("sky") == 1
    assert set(names(drawn(*marks))) == {"ground", "sky", "trunk"}


def test_blank_paper_becomes_the_sky_of_the_words():
    paper = drawn(LAND, ground=(255, 255, 255))
    day, dusk = washed(paper), washed(paper, "dusk, red sky")
    assert day[0, :, :60].mean((1, 2)).argmax() == 2
    assert dusk[0, :, :60].mean((1, 2)).argmax() == 0


@pytest.mark.parametrize(("region", "colour"), [((60, 145, 10, 190), GREEN), ((5, 60, 60, 190), BLUE)])
def test_a_dressed_shape_keeps_its_place_and_colour_but_is_flat_no_more(region, colour):
    top, bottom, left, right = region
    top = 100 if colour is GREEN else top
    part = washed(drawn(LAND))[0, :, top:bottom, left:right]
    assert torch.allclose(part.mean((1, 2)), torch.tensor(colour) / 255, atol=0.12)
    assert float(part.std((1, 2)).mean()) > 0.01


def test_a_tree_gets_leaves_a_ragged_border_and_a_trunk():
    picture = drawn(LAND, ("ellipse", (25, 45, 70, 105), DARK))
    stage = washed(picture)
    inside = stage[0, :, 55:85, 38:58]
    assert inside.mean((1, 2)).argmax() == 1
    assert float(inside.std((1, 2)).mean()) > 0.03
    trunk = stage[0, :, 99:103, 46:49].mean((1, 2))
    assert trunk[0] > trunk[2]  # brown, where the drawing was green


def test_water_mirrors_what_stands_above_it():
    plain = washed(drawn(SEA))
    peak = washed(drawn(("polygon", [(60, 92), (100, 20), (140, 92)], (20, 20, 20)), SEA))
    under = (slice(None), slice(96, 120), slice(90, 110))
    aside = (slice(None), slice(96, 120), slice(5, 25))
    assert plain[0][under].mean() - peak[0][under].mean() > 2 * (plain[0][aside].mean() - peak[0][aside].mean()).abs()


def test_the_same_seed_dresses_alike_and_another_differently():
    picture = drawn(LAND, ("ellipse", (25, 45, 70, 105), DARK))
    assert torch.equal(washed(picture, seed=3), washed(picture, seed=3))
    assert not torch.equal(washed(picture, seed=3), washed(picture, seed=4))


def test_words_of_light_move_drawn_colours_and_leave_them_recognisable():
    day, night = washed(drawn(LAND)), washed(drawn(LAND), "night")
    assert night.mean() < 0.8 * day.mean()
    assert night[0, :, 100:].mean((1, 2)).argmax() == 1


@pytest.mark.parametrize(
    ("rgb", "name"),
    [(WHITE, "white"), ((128, 128, 128), "grey"), ((15, 15, 15), "black"), (RED, "red"), ((230, 120, 40), "orange"),
     (BROWN, "brown"), (SAND, "sand"), (YELLOW, "yellow"), (DARK, "green"), (BLUE, "blue"), ((130, 60, 170), "purple")],
)  # fmt: skip
def test_colours_have_their_everyday_names(rgb, name):
    assert guess.hue(torch.tensor(rgb) / 255) == name


def test_a_colour_that_nobody_gave_has_no_name():
    assert guess.hue(None) == ""
