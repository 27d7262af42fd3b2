"""The room of writing: which forms the wall has, and a form as a pattern with what was written in it."""

from __future__ import annotations

from typing import Any

import pytest

from danqing.arts.write import FORMS, MOODS, Write
from danqing.encode import patterns
from danqing.errors import BadRequest, UnknownName
from danqing.interfaces.rooms import canvas, writing

SPRING = "国破山河在，城春草木深。感时花溅泪，恨别鸟惊心。烽火连三月，家书抵万金。白头搔更短，浑欲不胜簪。"
WEST_RIVER = (
    "明月别枝惊鹊，清风半夜鸣蝉。稻花香里说丰年，听取蛙声一片。"
    "七八个星天外，两三点雨山前。旧时茅店社林边，路转溪桥忽见。"
)


def chars(told: dict[str, Any]) -> list[str]:
    """What stands in a pattern, line by line."""
    return ["".join(cell["char"] for cell in line["cells"]) for line in told["lines"]]


def test_every_form_that_can_be_asked_for_is_on_the_wall_in_both_languages() -> None:
    told = writing.known()
    names = {entry["form"] for entry in told["forms"]}
    assert {name.partition(":")[0] for name in names} == set(FORMS)
    assert {f"词:{tune}" for tune in patterns.tunes()} <= names
    assert {entry["group"] for entry in told["forms"]} == {group["name"] for group in told["groups"]}
    for entry in told["forms"]:
        assert Write(form=entry["form"], language=entry["language"]).tongue == entry["language"]
        assert entry["title"]["en"].isascii() or "ü" in entry["title"]["en"]
        assert any("\u4e00" <= char <= "\u9fff" for char in entry["title"]["zh"] + entry["about"]["zh"])
    assert {mood["name"] for mood in told["moods"]} == set(MOODS)
    assert {"李白", "苏轼"} <= {poet["name"] for poet in told["poets"]}


@pytest.mark.parametrize("entry", writing.known()["forms"], ids=lambda entry: entry["id"])
def test_every_form_of_the_wall_has_the_pattern_that_its_card_shows(entry: dict[str, Any]) -> None:
    told = writing.pattern(entry["form"])
    assert len(told["lines"]) == len(entry["shape"])
    for line, small in zip(told["lines"], entry["shape"], strict=True):
        assert len(line["cells"]) == sum(char in "平仄中-^" for char in small)
        assert line["rhyme"] in small


def test_a_poem_chooses_the_template_that_it_keeps_and_every_place_of_it_is_kept() -> None:
    told = writing.pattern("五律", text=SPRING)
    assert told["templates"][told["template"]] == "仄起首句不入韵"
    assert told["rhymes"] == {"a": "十二侵"}
    assert chars(told)[1] == "城春草木深"
    assert all(cell["kept"] for line in told["lines"] for cell in line["cells"])


def test_a_character_of_the_wrong_tone_and_an_end_that_does_not_rhyme_are_marked() -> None:
    told = writing.pattern("五律", text=SPRING.replace("草木深", "草花东"))
    broken = [(n, p) for n, line in enumerate(told["lines"]) for p, c in enumerate(line["cells"]) if not c["kept"]]
    assert broken == [(1, 3), (1, 4)]  # 花 is level where 木 was oblique; 东 rhymes with none of the others


def test_a_song_rhymes_by_classes_and_keeps_its_tune() -> None:
    told = writing.pattern("词:西江月", text=WEST_RIVER)
    assert told["rhymes"] == {"a": "第7部"}
    assert all(cell["kept"] for line in told["lines"] for cell in line["cells"])


def test_traditional_characters_are_laid_over_as_well() -> None:
    told = writing.pattern("词:西江月", text="明月別枝驚鵲，清風半夜鳴蟬。")
    assert chars(told)[1] == "清风半夜鸣蝉"
    assert all(cell["kept"] for cell in told["lines"][1]["cells"])


def test_an_acrostic_and_an_opening_stand_in_their_places_before_anything_is_written() -> None:
    told = writing.pattern("七绝", acrostic="春夏秋冬", rhyme="modern:麻")
    assert [line["cells"][0]["char"] for line in told["lines"]] == list("春夏秋冬")
    assert told["rhymes"] == {"a": "一麻"}
    assert all(line["cells"][0]["given"] and not line["cells"][1]["given"] for line in told["lines"])
    assert writing.pattern("对联", start="海内存知己")["lines"][0]["cells"][4]["char"] == "己"


def test_english_forms_say_beats_and_rhymes_and_whether_a_line_keeps_them() -> None:
    told = writing.pattern("haiku", text="An old silent pond\nA frog jumps into the pond\nsilence")
    assert [line["kept"] for line in told["lines"]] == [True, True, False]
    assert told["lines"][2]["syllables"] == 2
    sonnet = writing.pattern("sonnet", acrostic="FOX")
    assert "".join(line["rhyme"] for line in sonnet["lines"]) == "ABABCDCDEFEFGG"
    assert [cell["beat"] for cell in sonnet["lines"][0]["cells"]] == [False, True] * 5
    assert [line["given"] for line in sonnet["lines"][:4]] == ["F", "O", "X", ""]


def test_what_contradicts_itself_is_said_in_one_line() -> None:
    with pytest.raises(UnknownName, match="七绝"):
        writing.pattern("七觉")
    with pytest.raises(BadRequest, match="5 characters"):
        writing.pattern("五绝", acrostic="春夏秋冬雪")
    with pytest.raises(BadRequest, match="4,001"):
        writing.pattern("七绝", text="春" * 4001)
    with pytest.raises(UnknownName, match="rhyme"):
        writing.pattern("七绝", rhyme="无此韵")


def test_the_canvas_is_told_the_colours_that_sketch_reads_as_regions() -> None:
    from danqing.arts.sketch import REGION_COLOURS

    told = {entry["name"]: entry for entry in canvas.regions()["regions"]}
    assert {name: tuple(bytes.fromhex(e["colour"][1:])) for name, e in told.items()} == dict(REGION_COLOURS)
    assert len({entry["title"]["zh"] for entry in told.values()}) == len(told)
