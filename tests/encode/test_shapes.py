"""Shapes of a drawing: flat areas by their colours, what lines enclose, and what is left out."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw

from danqing.encode import shapes

SKY, GRASS, SUN = (120, 180, 240), (110, 160, 70), (255, 230, 100)


def picture(paint, ground=(255, 255, 255), size=(160, 120)):
    """What `paint` draws, (1, 3, H, W) in [0, 1]."""
    image = Image.new("RGB", size, ground)
    paint(ImageDraw.Draw(image))
    return torch.from_numpy(np.asarray(image, np.float32) / 255).permute(2, 0, 1)[None]


def landscape(draw):
    draw.rectangle((0, 70, 160, 120), fill=GRASS)
    draw.ellipse((110, 15, 134, 39), fill=SUN)


def strokes(paint):
    return 1 - picture(paint).mean(1, keepdim=True)


def test_flat_areas_are_shapes_with_their_colours_and_part_the_picture():
    found = shapes.of_colours(picture(landscape, SKY))
    assert [tuple((s.colour * 255).round().int().tolist()) for s in found.shapes] == [SKY, GRASS, SUN]
    assert np.array_equal(sum(s.mask.astype(int) for s in found.shapes), np.ones((120, 160), int))
    sun = found.shapes[2]
    assert sun.aspect == pytest.approx(1, abs=0.1)
    assert sun.fill == pytest.approx(np.pi / 4, abs=0.05)
    assert sun.near(found.shapes[0].mask) == 1
    assert not found.strokes.any()


def test_soft_borders_and_compression_make_no_shapes_of_their_own(tmp_path):
    soft = F.avg_pool2d(F.pad(picture(landscape, SKY), (2, 2, 2, 2), mode="replicate"), 5, 1)
    Image.fromarray((soft[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)).save(tmp_path / "a.jpg", quality=80)
    again = torch.from_numpy(np.asarray(Image.open(tmp_path / "a.jpg"), np.float32) / 255).permute(2, 0, 1)[None]
    assert len(shapes.of_colours(again).shapes) == 3


def test_a_photo_has_no_flat_shapes():
    assert shapes.of_colours(torch.rand(1, 3, 120, 160, generator=torch.Generator().manual_seed(0))) is None


def test_a_gradient_is_one_shape_that_keeps_its_shades():
    x = picture(landscape, SKY)
    x[:, :, :70] = (
        torch.linspace(0.45, 1.0, 70)[None, None, :, None] * torch.tensor([0.9, 0.7, 0.6])[None, :, None, None]
    )
    found = shapes.of_colours(x)
    assert len(found.shapes) == 2
    sky = found.shapes[0]
    assert sky.shades[0, 5, 80] < 0.85 < 1.15 < sky.shades[0, 64, 80]
    back = sky.shades[:, 35, 80] * sky.colour
    assert torch.allclose(back, x[0, :, 35, 80], atol=0.03)


def test_thin_lines_on_areas_are_strokes():
    def birds(draw):
        landscape(draw)
        draw.line((30, 30, 44, 38), fill=(20, 20, 20), width=2)

    found = shapes.of_colours(picture(birds, SKY))
    assert len(found.shapes) == 3
    assert 15 < found.strokes.sum() < 90
    assert found.strokes[33:36, 36:39].any()


def test_what_a_brush_left_bare_at_the_edge_belongs_to_its_neighbour():
    def painted(draw):
        draw.rectangle((3, 70, 160, 120), fill=GRASS)

    sky, grass = shapes.of_colours(picture(painted, SKY)).shapes
    assert grass.mask[100, 0]
    assert not sky.mask[80:].any()


def test_a_pole_that_reaches_the_edge_stays():
    def pole(draw):
        landscape(draw)
        draw.rectangle((40, 30, 45, 120), fill=(100, 60, 30))

    found = shapes.of_colours(picture(pole, SKY))
    assert [s for s in found.shapes if s.aspect < 0.2 and s.tall > 0.7]


@pytest.mark.parametrize("upright", [True, False])
def test_stripes_are_no_shapes_or_part_the_picture(upright):
    for step in (2, 4, 7, 12):
        x = torch.zeros(1, 3, 120, 160)
        for place in range(0, 160, 2 * step):
            x[(..., slice(place, place + step)) if upright else (..., slice(place, place + step), slice(None))] = 0.8
        found = shapes.of_colours(x)
        assert found is None or np.array_equal(sum(s.mask.astype(int) for s in found.shapes), np.ones((120, 160), int))


def test_windows_do_not_make_a_block_less_of_one():
    block = np.zeros((60, 60), bool)
    block[10:50, 20:40] = True
    block[20:24, 24:28] = block[30:34, 24:28] = False
    assert shapes.Shape(block).fill == 1


def test_a_trunk_between_two_lines_and_a_frame_around_the_sheet():
    def house(draw):
        draw.rectangle((1, 1, 158, 118), outline=(0, 0, 0), width=2)
        draw.line((0, 80, 160, 80), fill=(0, 0, 0), width=2)
        draw.rectangle((60, 30, 70, 95), outline=(0, 0, 0), width=2)

    found = shapes.of_lines(strokes(house))
    assert any(s.aspect < 0.3 and s.tall > 0.4 for s in found)
    assert all(s.wide < 1 or s.tall < 1 for s in found)


def test_paper_that_shows_between_two_areas_is_no_shape_but_a_white_sail_is():
    def painted(draw):
        draw.rectangle((0, 0, 160, 60), fill=SKY)
        draw.polygon([(0, 66), (160, 60), (160, 120), (0, 120)], fill=GRASS)
        draw.polygon([(80, 80), (120, 80), (100, 50)], fill=(255, 255, 255))

    found = shapes.of_colours(picture(painted))
    assert len(found.shapes) == 3
    assert not found.strokes.any()
    assert found.shapes[2].peaked > 2


def test_lines_enclose_shapes_without_a_colour():
    def lines(draw):
        draw.line((6, 70, 152, 70), fill=(0, 0, 0), width=2)  # almost from side to side
        draw.ellipse((110, 15, 134, 39), outline=(0, 0, 0), width=2)

    found = shapes.of_lines(strokes(lines))
    assert len(found) == 3
    assert all(s.colour is None for s in found)
    assert np.array_equal(sum(s.mask.astype(int) for s in found), np.ones((120, 160), int))


def test_a_line_that_runs_through_a_disc_does_not_part_it():
    def lines(draw):
        draw.line((0, 60, 160, 60), fill=(0, 0, 0), width=2)
        draw.ellipse((60, 35, 100, 85), outline=(0, 0, 0), width=2)

    found = shapes.of_lines(strokes(lines))
    assert len(found) == 3
    assert found[-1].tall > 0.35


def test_open_lines_enclose_nothing():
    assert len(shapes.of_lines(strokes(lambda draw: draw.line((60, 40, 90, 60), fill=(0, 0, 0), width=2)))) == 1
