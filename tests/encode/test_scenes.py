"""What the painter understands of words."""

import pytest
import torch

from danqing.encode import inventions, scenes

STYLES = {"monet": "monet", "印象派": "impressionism", "ink": "shanshui-ink"}


def read(prompt):
    return scenes.read(prompt, STYLES.get)


def reddish(rgb):
    return rgb[0] > rgb[1] and rgb[0] > rgb[2]


def bluish(rgb):
    return rgb[2] > rgb[0] and rgb[2] > rgb[1]


def test_colours_go_to_the_things_they_are_said_of_in_chinese():
    scene = read("蓝色的天空，白色的云朵")
    assert {"sky", "clouds"} <= set(scene.things)
    assert bluish(scene.colours["sky"])
    assert min(scene.colours["cloud"]) > 0.9
    assert not scene.unknown


@pytest.mark.parametrize("prompt", ["a red boat on a blue lake", "a boat that is red on a lake that is blue"])
def test_colours_go_to_the_things_they_are_said_of_in_english(prompt):
    scene = read(prompt)
    assert reddish(scene.colours["boat"])
    assert bluish(scene.colours["water"])


@pytest.mark.parametrize(
    ("prompt", "field", "value"),
    [
        ("a quiet harbour at dusk", "time", "dusk"),
        ("黄昏的港口", "time", "dusk"),
        ("a village in the snow", "weather", "snow"),
        ("枫叶满山", "season", "autumn"),
        ("stormy seas", "weather", "storm"),
    ],
)
def test_light_weather_and_season_are_read(prompt, field, value):
    assert getattr(read(prompt), field) == value


def test_mixed_scripts_are_one_prompt():
    scene = read("A lake 在 黄昏, with 白色的 clouds, in the manner of Monet")
    assert scene.places == ("lake",)
    assert scene.time == "dusk"
    assert "cloud" in scene.colours
    assert scene.styles == ("monet",)


def test_what_is_ruled_out_is_not_there():
    assert read("a meadow without trees").without == ("tree",)
    assert read("没有云的天空").without == ("clouds",)


def test_words_that_mean_nothing_are_given_back():
    scene = read("a unicorn in a meadow")
    assert scene.unknown == ("unicorn",)
    assert scene.places == ("field",)


def test_a_prompt_of_unknown_words_says_nothing():
    assert read("quantum blockchain").says_nothing
    assert read("…").says_nothing


def test_no_word_stands_for_two_things_of_one_language():
    """A form that two entries share would silently mean the first."""
    import importlib.resources
    import tomllib

    table = tomllib.loads(importlib.resources.files("danqing.encode").joinpath("scenes.toml").read_text("utf-8"))
    forms = [f for names in table.values() for entry in names.values() for f in (*entry["zh"], *entry["en"])]
    assert sorted({f for f in forms if forms.count(f) > 1}) == []


def test_invented_scenes_repeat_with_their_seed():
    one, two = (inventions.scene(torch.Generator().manual_seed(3)) for _ in range(2))
    assert one == two


@pytest.mark.parametrize(
    ("prompt", "places", "things"),
    [
        ("松林", ("forest",), ("pine",)),
        ("竹林中的小路", ("forest",), ("bamboo", "path")),
        ("白桦林", ("forest",), ("birch",)),
        ("birches in a pine forest", ("forest",), ("birch", "pine")),
        ("垂柳，湖", ("lake",), ("willow",)),
        ("巨浪", (), ("waves",)),
        ("金色的麦浪", ("field",), ()),
        ("山，没有松树", ("mountain",), ()),
        ("waves on the lake", ("lake",), ("waves",)),
    ],
)
def test_kinds_of_trees_and_waves_are_told(prompt, places, things):
    scene = scenes.read(prompt)
    assert (scene.places, scene.things, scene.unknown) == (places, things, ())
