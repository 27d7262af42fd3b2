"""Songs by a model that knows nothing: form, chords, an ending; what a person gave stays to the note."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import music_models
import pop_songs
import pytest

from danqing.arts import Tools, pianism, pop
from danqing.arts.compose import Compose, create_all
from danqing.artwork import scores
from danqing.artwork.artwork import Artwork
from danqing.artwork.music import Key, Note, Score
from danqing.artwork.provenance import Provenance
from danqing.catalog.styles import Styles
from danqing.compute import device
from danqing.encode import theory
from danqing.errors import BadRequest

F = Fraction
Works = Callable[..., tuple[Artwork, ...]]


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Works:
    catalog = music_models.catalog(tmp_path_factory.mktemp("models") / "catalog")
    tools = Tools(device.choose("cpu"), Styles(catalog))
    return lambda **fields: create_all(Compose(**{"seed": 1, "style": "pop", **fields}), tools)


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """Eight bars in the form of a song, saved."""
    path = tmp_path / "song.mid"
    scores.save(pop_songs.score(4, bars=8), path, Provenance("compose"))
    return path


def content(work: Artwork) -> Score:
    assert isinstance(work.content, Score)
    return work.content


def of_bars(score: Score, first: int, stop: int) -> set[tuple[Fraction, int, int]]:
    return {(n.onset - 4 * first, n.pitch, n.part) for n in score.between(F(4 * first), F(4 * stop))}


def test_a_song_has_its_bars_three_parts_chords_a_form_and_an_ending(works: Works):
    score = content(works(bars=16, key="C-major")[0])
    assert len(score.bars()) - 1 == 16
    assert [part.name for part in score.parts] == ["Melody", "Bridge", "Piano"]
    assert len(score.chords) > 1
    assert score.chords[-1].name == "C"
    assert of_bars(score, 0, 4) == of_bars(score, 4, 8)  # AABA
    assert pianism.ends_at_home(score, Key(F(0), "C"))
    melody = score.of(pop.MELODY)
    assert all(a.end <= b.onset for a, b in pairwise(melody))


def test_a_song_is_written_over_the_chords_that_are_given(works: Works):
    score = content(works(bars=8, chart="| C | Am7 | F G | C |")[0])
    assert [(c.onset, c.name) for c in score.chords[:6]] == [
        (0, "C"), (4, "Am7"), (8, "F"), (10, "G"), (12, "C"), (20, "Am7"),
    ]  # fmt: skip
    assert str(score.keys[0]) == "C major"


def test_a_song_is_gone_on_with_and_nothing_of_it_changes(song: Path, works: Works):
    score = content(works(continue_=song, bars=4)[0])
    assert len(score.bars()) - 1 == 12
    before = scores.read(song)
    assert set(before.notes) <= set(score.notes)
    assert score.between(F(32), F(48))


def test_bars_are_written_anew_and_all_else_stays(song: Path, works: Works):
    score, before = content(works(infill=song, bars_range="3:4")[0]), scores.read(song)
    kept = {n for n in before.notes if n.onset < 8 or n.end > 16}
    assert kept <= set(score.notes)
    assert all(n in kept or 8 <= n.onset < 16 for n in score.notes)


def test_a_tune_is_accompanied_and_every_note_of_it_stays(tmp_path: Path, works: Works):
    tune = [
        Note(F(i), pitch, F(1))
        for i, pitch in enumerate((60, 64, 67, 64, 65, 69, 67, 65, 67, 71, 74, 71, 72, 67, 64, 60))
    ]
    path = tmp_path / "tune.mid"
    scores.save(Score(tuple(tune)), path, Provenance("compose"))
    score = content(works(harmonize=path)[0])
    assert [(n.onset, n.pitch, n.duration) for n in score.of(0)] == [(n.onset, n.pitch, n.duration) for n in tune]
    assert score.of(pop.BRIDGE) or score.of(pop.PIANO)
    assert score.chords[-1].name == "C"
    assert {"G", "C"} <= {c.name for c in score.chords}
    assert all(theory.chord_symbol(c.name) for c in score.chords)


def test_a_waltz_is_no_song(tmp_path: Path, works: Works):
    path = tmp_path / "waltz.abc"
    path.write_text("X:1\nM:3/4\nL:1/4\nK:C\nCEG|FED|CEG|C3|]\n")
    with pytest.raises(BadRequest, match="songs are written in 4/4"):
        works(harmonize=path)
