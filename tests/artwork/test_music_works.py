from __future__ import annotations

import pytest
from tunes import ORIGIN, bag, quartet

from danqing.artwork import literature, scores
from danqing.artwork.artwork import Artwork
from danqing.artwork.shelf import Shelf
from danqing.errors import BadRequest


def test_music_is_kept_and_found_again(tmp_path):
    work = Artwork(quartet(), ORIGIN, "Four")
    assert work.media == "music"
    kept = Shelf(tmp_path / "home").add(work)
    assert (kept.media, kept.title, kept.width, kept.preview) == ("music", "Four", None, None)
    assert bag(scores.read(kept.path)) == bag(quartet())
    assert literature.read_provenance(kept.path) == ORIGIN
    assert Shelf(tmp_path / "home").add(work) == kept


@pytest.mark.parametrize("suffix", [".mid", ".musicxml", ".abc", ".json", ".svg", ".png", ".wav", ".mp3"])
def test_music_is_saved_as_notes_pages_and_sound(suffix, tmp_path):
    path = Artwork(quartet(), ORIGIN).save(tmp_path / f"four{suffix}")
    assert path.stat().st_size > 300
    assert Artwork(quartet(), ORIGIN).encode(suffix) == path.read_bytes()


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(BadRequest, match="musicxml"):
        Artwork(quartet(), ORIGIN).save(tmp_path / "four.docx")
