"""Blends: from A to B in A's metre and key, as many bars as asked for, home at the end; both pieces are parents."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import music_models
import numpy as np
import pytest
import torch

from danqing.arts import Tools, blend, composers
from danqing.arts.compose import Compose, create_all
from danqing.artwork import pitches, scores
from danqing.artwork.artwork import Artwork
from danqing.artwork.music import Key, Meter, Note, Part, Score
from danqing.artwork.provenance import Provenance
from danqing.catalog.catalog import Catalog
from danqing.catalog.styles import Styles, shipped
from danqing.compute import device
from danqing.encode import phrases
from danqing.errors import BadRequest, DanqingError, InvalidMedia, Unavailable

F = Fraction
UP = (67, 69, 71, 72, 74, 72, 71, 69) * 4  # eight bars of quarters around G
DOWN = (74, 72, 70, 69, 67, 65, 64, 62) * 6
Make = Callable[..., tuple[Artwork, ...]]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return music_models.catalog(tmp_path_factory.mktemp("models") / "catalog")


@pytest.fixture
def make(catalog: Catalog) -> Make:
    def run(**fields: Any) -> tuple[Artwork, ...]:
        return create_all(Compose(**{"seed": 1, **fields}), Tools(device.choose("cpu"), Styles(catalog)))

    return run


def keep(score: Score, path: Path) -> Path:
    scores.save(score, path, Provenance("compose"))
    return path


def tune(line: tuple[int, ...], metre: tuple[int, int], key: Key) -> Score:
    notes = tuple(Note(F(i), pitch, F(1)) for i, pitch in enumerate(line))
    return Score(notes, (Part("flute", 73),), meters=(Meter(F(0), *metre),), keys=(key,))


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    a = keep(tune(UP, (4, 4), Key(F(0), "G")), tmp_path / "a.mid")
    return a, keep(tune(DOWN, (3, 4), Key(F(0), "D", "minor")), tmp_path / "b.mid")


@pytest.mark.parametrize("bars", [2, 5, 16])
@pytest.mark.parametrize("key", ["", "e-minor", "D"])
def test_a_blend_has_its_bars_metre_and_key_and_ends_on_the_tonic(
    make: Make, pair: tuple[Path, Path], bars: int, key: str
):
    (work,) = make(blend=pair, bars=bars, key=key, style="folk", temperature=2.0)
    score = work.content
    assert isinstance(score, Score)
    tonic = pitches.pitch_class({"": "G", "e-minor": "E", "D": "D"}[key])
    assert (score.meters[0].beats, score.meters[0].unit, score.length) == (4, 4, 4 * bars)
    assert pitches.pitch_class(score.keys[0].tonic) == tonic
    assert score.notes[-1].pitch % 12 == tonic
    assert (score.notes[-1].end, score.notes[-1].duration) == (score.length, 2)
    assert max(b.onset - a.end for a, b in pairwise(score.notes)) <= F(1, 2)
    assert max(abs(b.pitch - a.pitch) for a, b in pairwise(score.notes)) <= 12
    assert score.parts[0].program == 73


def test_both_pieces_are_its_parents_and_the_notes_say_what_was_moved(make: Make, pair: tuple[Path, Path]):
    (work,) = make(blend=pair, bars=4)
    assert len({one.sha256 for one in work.provenance.parents}) == 2
    assert [one.role for one in work.provenance.parents] == ["music", "music"]
    assert any("from D minor to G major" in note for note in work.provenance.notes)
    assert any("from 3/4 to 4/4" in note for note in work.provenance.notes)
    assert "phrases" in work.provenance.models
    (again,) = make(blend=pair, bars=4)
    (other,) = make(blend=pair, bars=4, seed=2)
    assert again.content == work.content != other.content


def test_two_pieces_for_several_voices_give_one_for_four(make: Make, tmp_path: Path):
    chords = [(67, 62, 59, 43), (69, 64, 60, 45), (71, 62, 55, 43), (72, 64, 55, 48)] * 4
    notes = [Note(F(i), pitch, F(1), v) for i, chord in enumerate(chords) for v, pitch in enumerate(chord)]
    parts = tuple(Part(name) for name in ("soprano", "alto", "tenor", "bass"))
    path = keep(Score(tuple(notes), parts, keys=(Key(F(0), "G"),)), tmp_path / "a.json")
    (work,) = make(blend=(path, path), bars=4)
    score = work.content
    assert isinstance(score, Score)
    assert len(score.parts) == 4
    assert score.length == 16
    soprano = score.of(0)
    assert all(60 <= note.pitch <= 81 for note in soprano)
    assert sum(note.duration for note in soprano) == 16
    assert soprano[-1].pitch % 12 == 7
    (alone,) = make(blend=(path, path), bars=4, style="folk")
    assert len(alone.content.parts) == 1  # type: ignore[union-attr]


def test_the_points_go_from_one_piece_to_the_other_and_sliders_move_them(catalog: Catalog, pair: tuple[Path, Path]):
    tools = Tools(device.choose("cpu"), Styles(catalog))
    plain, dense = (composers.Desk(Compose(blend=pair, density=density), tools, 1) for density in (None, 1.0))
    model = plain.model(composers.PHRASES)
    a, b = (blend.Source.read(path) for path in pair)
    course = blend._course(plain, model, a, b, 6)
    ends = [blend._points(model, piece) for piece in (a, b)]
    assert (course[0] - ends[0][0]).norm() < (course[0] - ends[1][0]).norm()
    assert (course[-1] - ends[1][-1]).norm() < (course[-1] - ends[0][-1]).norm()
    moved = blend._course(dense, model, a, b, 6) - course
    assert moved[:, 0].tolist() == pytest.approx([blend.PULL] * 6)
    assert not moved[:, 1:].any()


@pytest.mark.parametrize("slider", ["span", "syncopation"])
def test_the_sliders_move_what_they_are_named_after(make: Make, pair: tuple[Path, Path], slider: str):
    measured = []
    for by in (-1.0, 0.0, 1.0):
        (work,) = make(blend=pair, bars=32, style="folk", temperature=1.0, **{slider: by})
        score = work.content
        assert isinstance(score, Score)
        tokens = phrases.lay(score.notes, 32 * 16, 67).reshape(-1, 32)
        tokens[:, 0] = np.where(tokens[:, 0] == phrases.HOLD, phrases.REST, tokens[:, 0])
        places = np.repeat(phrases.shape_of(4, 4).places[None], len(tokens), 0)
        column = phrases.ATTRIBUTES.index(slider)
        measured.append(float(phrases.attributes(tokens, places)[:, column].mean()))
    assert measured[0] < measured[1] < measured[2]


def test_a_blend_that_holds_a_known_tune_is_withheld_unless_it_is_one_of_the_two(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    famous = tune(music_models.FAMOUS, (4, 4), Key(F(0), "C"))
    own = keep(famous, tmp_path / "famous.mid")
    pair = [keep(tune(line, (4, 4), Key(F(0), "C")), tmp_path / f"{line[0]}.mid") for line in (UP, DOWN)]
    monkeypatch.setattr(blend, "_score", lambda *_: famous)
    with pytest.raises(DanqingError, match="more than two bars"):
        make(blend=(pair[0], pair[1]), bars=4, style="folk")
    assert make(blend=(own, pair[1]), bars=4, style="folk")[0].content == famous


def test_what_cannot_be_blended_is_refused(make: Make, pair: tuple[Path, Path], tmp_path: Path):
    five = keep(tune(UP, (5, 4), Key(F(0), "G")), tmp_path / "five.mid")
    with pytest.raises(BadRequest, match=r"five.mid: phrases are known in 4/4, .*, not in 5/4"):
        make(blend=(pair[0], five))
    drums = keep(Score((Note(F(0), 40, F(1)),), (Part("drums", 0, True),)), tmp_path / "d.json")
    with pytest.raises(BadRequest, match="drums only"):
        make(blend=(drums, pair[1]))
    with pytest.raises(InvalidMedia, match="is not there"):
        make(blend=(pair[0], tmp_path / "none.mid"))
    long = keep(tune(UP * 80, (4, 4), Key(F(0), "G")), tmp_path / "long.mid")
    with pytest.raises(BadRequest, match="up to 160"):
        make(blend=(long, pair[1]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"density": 0.5}, "--density moves a blend"),
        ({"blend": (Path("a"), Path("b")), "span": 1.5}, "--span is 1.5; it lies between -1"),
        ({"blend": (Path("a"), Path("b")), "syncopation": float("nan")}, "--syncopation is nan"),
        ({"blend": (Path("a"), Path("b")), "bars": 1}, "--bars is 1"),
        ({"blend": (Path("a"), Path("b")), "restyle": Path("c")}, "--restyle and --blend"),
    ],
)
def test_flags_that_do_not_fit_are_refused(fields: dict[str, Any], message: str):
    with pytest.raises(BadRequest, match=message):
        Compose(**fields)


def test_without_the_model_it_says_so(pair: tuple[Path, Path], tmp_path: Path):
    (tmp_path / "cards").mkdir()
    empty = Tools(device.choose("cpu"), Styles(Catalog(tmp_path, tmp_path)))
    with pytest.raises(Unavailable, match="'phrases' is not in this installation"):
        create_all(Compose(blend=pair), empty)


def test_a_broken_off_phrase_and_one_begun_late():
    frame = blend._Frame(Key(F(0), "C"), phrases.shape_of(4, 4), 48, 0, 12, 2)
    line = np.zeros((1, 32), np.int64)
    line[0, 0] = blend.PITCH
    assert frame.count == 2
    row = frame.fitted([line, line + (line > 0)])
    assert (row.shape, np.flatnonzero(row[0]).tolist()) == ((1, 48), [0, 16])
    assert blend._begun(line, 16)[0, 0] == blend.PITCH
    assert torch.from_numpy(blend._begun(line, 16)).shape == (1, 16)


def test_with_the_model_that_ships_a_blend_opens_like_a_and_closes_like_b(pair: tuple[Path, Path]):
    tools = Tools(device.choose("cpu"), shipped())
    desk = composers.Desk(Compose(blend=pair), tools, 1)
    model = desk.model(composers.PHRASES)
    a, b = (blend.Source.read(path) for path in pair)
    (work,) = create_all(Compose(blend=pair, style="folk", seed=1, temperature=0.1), tools)
    assert isinstance(work.content, Score)
    made = blend._points(model, blend.Source("c", work.content, work.content.notes, 1, a.meter, a.key))
    ends = [blend._points(model, piece) for piece in (a, b)]
    assert (made[0] - ends[0][0]).norm() < (made[0] - ends[1][0]).norm()
    assert (made[-1] - ends[1][-1]).norm() < (made[-1] - ends[0][-1]).norm()
