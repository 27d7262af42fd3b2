"""Music goes out in every form that its suffix names, whole, with its origin, and onto the shelf."""

from __future__ import annotations

from pathlib import Path

import pytest
from tunes import ORIGIN, bag, song

from danqing.artwork import publishing, scores
from danqing.artwork.artwork import Artwork
from danqing.artwork.shelf import Shelf
from danqing.errors import BadRequest, OutputExists


@pytest.mark.parametrize("suffix", [".mid", ".musicxml", ".mxl", ".abc", ".json", ".svg", ".png", ".wav", ".mp3"])
def test_every_form_holds_its_origin_and_is_never_replaced(tmp_path: Path, suffix: str):
    work = Artwork(song(), ORIGIN, "a song")
    path = work.save(tmp_path / f"a{suffix}")
    assert publishing.read_provenance(path) == ORIGIN
    with pytest.raises(OutputExists):
        work.save(path)
    if suffix in publishing.NOTES:
        assert bag(scores.read(path)) == bag(song())
        assert path.with_name(path.name + ".json").exists()
    assert work.encode(suffix) == work.encode(suffix)


def test_a_form_that_is_none_of_ours_is_refused(tmp_path: Path):
    with pytest.raises(BadRequest, match=r"music is written as \.mid, .* \.svg, \.png, \.wav, \.mp3"):
        Artwork(song(), ORIGIN).save(tmp_path / "a.txt")
    with pytest.raises(BadRequest, match="no suffix"):
        publishing.check_output(tmp_path / "a")


def test_the_shelf_keeps_music_as_musicxml_and_gives_all_of_it_back(tmp_path: Path):
    shelf = Shelf(tmp_path / "home")
    work = shelf.add(Artwork(song(), ORIGIN, "a song"))
    assert (work.media, work.width, work.preview, work.path.suffix) == ("music", None, None, ".musicxml")
    assert bag(scores.read(work.path)) == bag(song())
    assert [found.title for found in shelf.works(search="song")] == ["a song"]
    assert shelf.add(Artwork(song(), ORIGIN, "a song")).id == work.id
    shelf.remove(work.id)
    assert not list((tmp_path / "home" / "files").rglob("*.*"))
