"""The room of music: what can be composed, and the notes of a work for a piano roll and a cursor."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from danqing.arts.compose import STYLES, Compose
from danqing.artwork.artwork import Artwork
from danqing.artwork.literature import Writing
from danqing.artwork.music import ZERO, Key, Meter, Note, Part, Score, Tempo
from danqing.artwork.provenance import Provenance
from danqing.catalog.catalog import cards
from danqing.errors import BadRequest, UnknownName
from danqing.interfaces.rooms import Studio, music


def waltz() -> Score:
    """A quarter's pickup, two bars of 3/4; half as fast from the second bar on."""
    notes = [Note(Fraction(n), 60 + n, Fraction(1), n % 2, 70 + n) for n in range(7)]
    tempos = (Tempo(ZERO, 120.0), Tempo(Fraction(4), 60.0))
    keys, meters = (Key(ZERO, "G", "minor"),), (Meter(ZERO, 3, 4),)
    parts = (Part("melody", 40), Part("", 0))
    return Score(tuple(notes), parts, tempos, meters, keys, pickup=Fraction(1), title="A waltz")


def test_notes_and_bars_come_in_seconds_as_they_are_heard() -> None:
    told = music.told(waltz())
    assert told["bars"] == [0.0, 0.5, 2.0, 5.0]
    assert told["duration_s"] == 5.0
    assert [note[:2] for note in told["notes"]] == [[n * 0.5, 0.5] for n in range(4)] + [
        [2.0 + n, 1.0] for n in range(3)
    ]
    assert told["notes"][3] == [1.5, 0.5, 63, 1, 73]
    assert (told["pickup"], told["metre"], told["key"]) == (True, "3/4", {"tonic": "G", "mode": "minor"})
    assert [part["title"]["zh"] for part in told["parts"]] == ["旋律", "声部 2"]


def test_the_notes_of_a_work_on_the_shelf_are_told_and_those_of_a_text_are_not(home: Path) -> None:
    here = Studio(home)
    shelf = here.shelf
    work = shelf.add(Artwork(waltz(), Provenance("compose", {}, 1, {}, (), ()), title="A waltz"))
    assert music.notes(work.id, here) == music.told(waltz())
    text = shelf.add(Artwork(Writing(("床前明月光",)), Provenance("write", {}, 1, {}, (), ()), title="静夜思"))
    with pytest.raises(BadRequest, match="text"):
        music.notes(text.id, here)
    with pytest.raises(UnknownName):
        music.notes("ffffffff", here)


def test_every_style_on_a_card_is_one_that_can_be_composed(home: Path) -> None:
    told = music.styles(Studio(home))
    without = {"pop", "jazz"} - {card.name for card in cards()}  # their models are not in every installation
    assert {style["name"] for style in told["styles"]} == set(STYLES) - without
    for style in told["styles"]:
        assert style["title"]["zh"] != style["name"]
        for kind in style["kinds"]:
            assert Compose(style=f"{style['name']}:{kind['name']}", metre=kind["metres"][0]).kind == kind["name"]
            assert kind["title"]["zh"] != kind["name"]
        for mode in style["modes"]:
            assert Compose(style=style["name"], key=f"D-{mode['name']}").key
            assert mode["title"]["zh"] != mode["name"]
    assert all(Compose(mood=mood["title"]["zh"]).feeling == mood["name"] for mood in told["moods"])


def test_a_model_of_ones_own_is_offered_with_its_style_and_brings_one_that_does_not_ship(home: Path) -> None:
    folder = home / "runs" / "songs"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"recipe": "pop", "config": {}}', encoding="utf-8")
    before = {style["name"]: style["models"] for style in music.styles(Studio(home))["styles"]}
    assert not any(models["own"] for models in before.values())
    for name in ("weights.safetensors", "result.json"):
        (folder / name).write_text("{}", encoding="utf-8")
    told = {style["name"]: style["models"] for style in music.styles(Studio(home))["styles"]}
    assert told["pop"] == {"ships": "pop" in {card.name for card in cards()}, "own": ["run:songs"]}
    assert told["chorale"]["own"] == []
