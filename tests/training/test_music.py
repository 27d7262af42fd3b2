"""Chorales from files: read, split, transposed within range, cut; tunes and their variants on one side."""

import json
import zipfile

import numpy as np
import pytest
import torch

from danqing.encode import notes
from danqing.errors import BadRequest
from danqing.techniques import chorale
from danqing.training import music


def frames(seed, steps=64):
    rng = np.random.default_rng(seed)
    beats = [[int(rng.integers(low + 4, high - 3)) for low, high in notes.RANGES] for _ in range(steps // 4)]
    return [beat for beat in beats for _ in range(4)]


@pytest.fixture
def collection(tmp_path):
    found = {"train": [frames(i) for i in range(6)], "valid": [frames(10)], "test": [frames(20), frames(3)]}
    with zipfile.ZipFile(tmp_path / "jsb-chorales-json.zip", "w") as archive:
        archive.writestr("Jsb16thSeparated.json", json.dumps(found))
    return tmp_path


def test_the_collections_own_split_is_kept_and_known_tunes_are_told_apart(collection):
    pieces = music.chorales(collection)
    assert [len(p) for p in (pieces.training, pieces.valid, pieces.test)] == [6, 1, 2]
    assert [p.sha256 for p in pieces.unheard] == [pieces.test[0].sha256]


def test_a_list_without_a_split_is_split_by_its_tunes(tmp_path):
    (tmp_path / "own.json").write_text(json.dumps([frames(i) for i in range(40)]))
    pieces = music.chorales(tmp_path, "own")
    assert len(pieces.training) + len(pieces.test) == 40
    assert not {p.sha256 for p in pieces.training} & {p.sha256 for p in pieces.test}


@pytest.mark.parametrize("content", ["{}", "[1, 2]", "nothing", '{"train": [], "valid": [], "test": []}'])
def test_what_holds_no_chorales_is_refused(tmp_path, content):
    (tmp_path / "own.json").write_text(content)
    with pytest.raises(BadRequest, match=r"own\.json|chorales"):
        music.chorales(tmp_path, "own")


def test_a_missing_collection_is_named(tmp_path):
    with pytest.raises(BadRequest, match="jsb-chorales-json"):
        music.chorales(tmp_path)


def test_variants_of_a_tune_in_any_key_are_one_family():
    rng = np.random.default_rng(1)
    one, other = (rng.integers(55, 80, 60).tolist() for _ in range(2))
    moved = [p + 5 for p in one]
    altered = [*one[:20], 60, 61, *one[22:]]
    names = music.families([one, other, moved, altered])
    assert names[0] == names[2] == names[3] != names[1]
    assert music.families([other, one])[1] != music.families([other])[0]


def test_batches_follow_from_their_step_and_stay_in_range(collection):
    pieces = music.chorales(collection)
    stream = music.GridStream(pieces.training, 4, 48, seed=1)
    one, again, later = stream.draw(3), stream.draw(3), stream.draw(4)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one[0], later[0])
    codes, place, beats, key, valid = one
    assert codes.shape == (4, 48, 4)
    assert valid.all()
    assert place.max() < chorale.PLACES
    assert beats.max() <= chorale.BEATS
    assert key.max() <= notes.KEYS
    for voice, (low, high) in enumerate(notes.RANGES):
        sung = codes[..., voice]
        assert ((sung >= low - notes.LOW + 1) & (sung <= high - notes.LOW + 1)).all()


def test_a_piece_shorter_than_the_cut_is_filled_up_and_marked(collection):
    codes, *_, valid = music.GridStream(music.chorales(collection).training, 2, 80, seed=1).draw(0)
    assert codes.shape == (2, 80, 4)
    assert valid[:, :64].all()
    assert not valid[:, 64:].any()
