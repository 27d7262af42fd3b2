"""`paint` and `sketch`: what comes back, what is refused, and that requests repeat.

The first pass and the strokes are left out here: whether the pictures are good is measured by benchmarks/paint.py.
"""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from danqing.arts import Tools, brushwork, paint, policy, sketch
from danqing.arts.paint import Paint
from danqing.arts.sketch import Sketch
from danqing.catalog import styles
from danqing.compute import device
from danqing.encode.image import resize
from danqing.errors import BadRequest, InvalidMedia, UnknownName


@pytest.fixture
def tools() -> Tools:
    """The styles that ship."""
    return Tools(device.choose("cpu"), styles.shipped())


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """No second and third hand: the underpainting itself is what is looked at."""
    monkeypatch.setattr(brushwork.Brush, "blocked_in", lambda self, layout, lines=None: layout)
    monkeypatch.setattr(
        brushwork.Brush, "finished", lambda self, x, height, width, told=None: resize(x, (height, width))
    )


def make(tools: Tools, prompt=None, **options):
    return paint.create_all(Paint(prompt, **{"seed": 5, "size": 160, **options}), tools)


def pixels(work):
    return work.content.pixels


def test_a_prompt_gives_a_picture_of_the_asked_size_with_all_it_was_made_from(tools):
    (work,) = make(tools, "蓝色的天空，白色的云朵")
    assert pixels(work).shape == (120, 160, 3)
    assert work.provenance.verb == "paint"
    assert work.provenance.request["prompt"] == "蓝色的天空，白色的云朵"
    assert work.provenance.seed == 5
    sky = pixels(work)[:20].reshape(-1, 3).mean(0)
    assert sky[2] > sky[0]


def test_a_seed_repeats_a_picture_and_count_gives_other_compositions(tools):
    one, two, three = make(tools, "a lake", count=3)
    (again,) = make(tools, "a lake")
    assert np.array_equal(pixels(one), pixels(again))
    assert abs(pixels(one) - pixels(two)).mean() > 0.02
    assert abs(pixels(two) - pixels(three)).mean() > 0.02
    (second,) = make(tools, "a lake", seed=6)
    assert np.array_equal(pixels(two), pixels(second))


def test_without_a_prompt_it_paints_a_scene_of_chance(tools):
    assert pixels(make(tools)[0]).std() > 0.02


def test_the_words_choose_the_format_and_the_style(tools):
    (work,) = make(tools, "竖幅 水墨 山")
    assert pixels(work).shape == (160, 120, 3)
    assert work.provenance.request["style"] == "shanshui-ink"


def test_unknown_words_are_told(tools):
    (work,) = make(tools, "a unicorn in a meadow")
    assert any("unicorn" in note for note in work.provenance.notes)


def test_like_takes_the_colours_of_a_picture(tools, tmp_path):
    red = np.zeros((40, 60, 3), np.uint8)
    red[..., 0] = np.linspace(120, 250, 60)
    Image.fromarray(red).save(tmp_path / "red.png")
    (work,) = make(tools, "a lake", like=tmp_path / "red.png")
    mean = pixels(work).reshape(-1, 3).mean(0)
    assert mean[0] > 2 * mean[2]
    assert work.provenance.parents[-1].role == "like"
    (free,) = make(tools, like=tmp_path / "red.png")
    assert pixels(free).shape[1] == 160
    assert abs(pixels(free).shape[0] - 107) <= 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prompt": " "}, "empty"),
        ({"prompt": "山" * 10_000}, "10000 characters"),
        ({"prompt": "a lake", "size": 10}, "--size is 10"),
        ({"prompt": "a lake", "count": 0}, "--count is 0"),
        ({"prompt": "a lake", "seed": -1}, "--seed is -1"),
    ],
)
def test_bad_requests_are_refused_in_a_line(options, said):
    with pytest.raises(BadRequest, match=said):
        Paint(**options)


def test_a_prompt_of_unknown_words_is_refused(tools):
    with pytest.raises(BadRequest, match="none of these words"):
        make(tools, "quantum blockchain")


def test_an_unknown_style_names_the_nearest(tools):
    with pytest.raises(UnknownName, match="monet"):
        make(tools, "a lake", style="monnet")


@pytest.mark.parametrize("prompt", ["hentai by the sea", "血腥的虐杀场面"])
def test_what_is_on_the_list_is_refused_with_its_reason(tools, prompt):
    with pytest.raises(BadRequest, match="not made here"):
        make(tools, prompt)


def test_a_person_may_keep_a_list_of_their_own(tools, tmp_path, monkeypatch):
    own = tmp_path / "policy.toml"
    own.write_text('[boats]\nreason = "no boats"\nwords = ["boat"]\n', "utf-8")
    monkeypatch.setattr(policy, "own_list", lambda: own)
    with pytest.raises(BadRequest, match="no boats"):
        policy.check("a boat")
    policy.check("boatswain")  # a word, not a part of one
    own.write_text("[boats]\n", "utf-8")
    with pytest.raises(BadRequest, match="mend it"):
        policy.check("a lake")


# --- drawings ---------------------------------------------------------------------------------------------------------


def drawn(path, paint_on, size=(120, 90), mode="RGB", ground=(255, 255, 255)):
    image = Image.new(mode, size, ground)
    paint_on(ImageDraw.Draw(image))
    image.save(path)
    return path


def sketched(tools, path, **options):
    return sketch.create(Sketch(path, **{"seed": 1, "size": 160, **options}), tools)


def kind(work):
    return work.provenance.notes[0]


def test_blobs_of_colour_stay_where_they_were_put(tools, tmp_path):
    def blobs(draw):
        draw.rectangle((0, 0, 120, 45), fill=(70, 120, 220))
        draw.rectangle((0, 45, 120, 90), fill=(60, 140, 50))

    work = sketched(tools, drawn(tmp_path / "a.png", blobs))
    assert "sky, ground" in kind(work)
    assert sketch.taken_for(work) == ["sky", "ground"]
    upper, lower = pixels(work)[:50].mean((0, 1)), pixels(work)[70:].mean((0, 1))
    assert upper.argmax() == 2
    assert lower.argmax() == 1
    assert pixels(work).shape == (120, 160, 3)


def test_shapes_stay_plain_and_a_photo_is_a_layout_where_nothing_is_to_be_guessed(tools, tmp_path):
    path = drawn(tmp_path / "a.png", lambda draw: draw.ellipse((10, 10, 60, 60), fill=(200, 40, 40)))
    work = sketched(tools, path, plain=True)
    assert "layout" in kind(work)
    assert sketch.taken_for(work) == []
    noise = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "b.png")
    assert "layout" in kind(sketched(tools, tmp_path / "b.png"))


def test_what_lines_enclose_gets_the_colours_of_what_it_seems_to_be(tools, tmp_path):
    def lines(draw):
        draw.line((0, 55, 120, 55), fill=(0, 0, 0), width=2)
        draw.ellipse((80, 8, 100, 28), outline=(0, 0, 0), width=2)

    work = sketched(tools, drawn(tmp_path / "a.png", lines, ground=(255, 255, 255)), prompt="clear")
    assert sketch.taken_for(work) == ["sky", "ground", "light"]
    upper, lower = pixels(work)[:20, :60].mean((0, 1)), pixels(work)[90:].mean((0, 1))
    assert upper.argmax() == 2
    assert lower.argmin() == 2  # grass, in the style's greens


def test_a_line_drawing_gets_colours_from_the_words(tools, tmp_path):
    def lines(draw):
        draw.line((0, 60, 60, 20), fill=(0, 0, 0), width=2)
        draw.line((60, 20, 120, 60), fill=(0, 0, 0), width=2)

    path = drawn(tmp_path / "a.png", lines)
    work = sketched(tools, path, prompt="红色的天空")
    assert "line drawing" in kind(work)
    assert pixels(work)[:20].mean((0, 1)).argmax() == 0


def test_a_map_of_regions_is_read_as_one(tools, tmp_path):
    def regions(draw):
        draw.rectangle((0, 0, 120, 45), fill=sketch.REGION_COLOURS["sky"])
        draw.rectangle((0, 45, 120, 90), fill=sketch.REGION_COLOURS["water"])

    day, night = (sketched(tools, drawn(tmp_path / "a.png", regions), prompt=p) for p in ("day", "night"))
    assert "regions" in kind(day)
    assert pixels(night).mean() < 0.7 * pixels(day).mean()


def test_transparent_parts_of_a_drawing_are_paper(tools, tmp_path):
    def line(draw):
        draw.line((0, 45, 120, 45), fill=(0, 0, 0, 255), width=3)

    work = sketched(tools, drawn(tmp_path / "a.png", line, mode="RGBA", ground=(0, 0, 0, 0)))
    assert "line drawing" in kind(work)


def test_size_0_keeps_the_drawings_size_and_a_drawing_of_a_few_pixels_is_refused(tools, tmp_path):
    path = drawn(tmp_path / "a.png", lambda draw: draw.ellipse((10, 10, 60, 60), fill=(200, 40, 40)))
    assert pixels(sketched(tools, path, size=0)).shape == (90, 120, 3)
    with pytest.raises(InvalidMedia, match="4×4"):
        sketched(tools, drawn(tmp_path / "b.png", lambda draw: None, size=(4, 4)))


def test_a_file_that_is_no_picture_is_refused(tools, tmp_path):
    (tmp_path / "a.png").write_text("not a picture")
    with pytest.raises(InvalidMedia):
        sketched(tools, tmp_path / "a.png")


def test_broad_colours_are_taken_back_where_they_were_named(tools):
    brush = brushwork.Brush(tools, brushwork.choose("monet", tools), 1)
    layout = torch.zeros(1, 3, 64, 64)
    layout[:, 2] = 0.8
    grey, told = torch.full((1, 3, 64, 64), 0.4), torch.zeros(64, 64)
    told[:32] = 1
    back = brush.recoloured(grey, layout, told)
    assert torch.allclose(back[0, :, 10, 30], layout[0, :, 10, 30], atol=0.02)
    assert torch.equal(back[0, :, 50, 30], grey[0, :, 50, 30])


def test_requests_are_plain_dataclasses():
    assert dataclasses.replace(Paint("a lake", seed=1), seed=2).seed == 2
