"""Collections of pictures for generators."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from danqing.errors import BadRequest
from danqing.training import pictures


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for i in range(80):
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
        rows.append(json.dumps({"file_name": f"{i}.png", "style": ["night", "day"][i % 2]}))
    (tmp_path / "metadata.jsonl").write_text("\n".join(rows), "utf-8")
    return tmp_path


def test_a_folder_gives_squares_of_one_size_with_classes_and_a_held_out_part(folder):
    found = pictures.load(folder, 16, label="style")
    assert len(found.training) + len(found.held) == 80
    assert 0 < len(found.held) < len(found.training)
    assert found.classes == ("day", "night")
    x = found.training.batch([0, 1, 2], torch.Generator().manual_seed(1))
    assert x.shape == (3, 3, 16, 16)
    assert -1 <= x.min() < 0 < x.max() <= 1
    assert set(found.training.classes(range(len(found.training))).tolist()) == {0, 1}


def test_the_same_generator_gives_the_same_crops(folder):
    found = pictures.load(folder, 16)
    one, two = (found.training.batch([3, 4], torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, two)


def test_the_digits_need_no_folder():
    found = pictures.load(Path("digits"), 16)
    assert len(found.training) + len(found.held) == 1797
    assert len(found.classes) == 10


def test_a_label_that_is_not_there_is_refused(folder):
    with pytest.raises(BadRequest, match="no two classes"):
        pictures.load(folder, 16, label="painter")


def test_digits_are_not_mirrored_and_pictures_are():
    digits = pictures.load(Path("digits"), 16)
    plain = pictures.Pictures(digits.training.pixels, digits.training.numbers, 16, 1.0)
    for side, kinds in ((digits.training, 1), (plain, 2)):
        assert len(torch.unique(side.batch([0] * 16, torch.Generator().manual_seed(0)), dim=0)) == kinds


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("DANQING_HOME", str(home))
    return home / "cache" / "pictures"


def same(one, two):
    return [e.sha256 for e in one.pixels.entries] == [e.sha256 for e in two.pixels.entries] and all(
        np.array_equal(a, b) for a, b in zip(one.pixels.pixels, two.pixels.pixels, strict=True)
    )


def test_the_second_time_pictures_come_from_the_cache(folder, cache, monkeypatch):
    (folder / "bad.png").write_bytes(b"\x89PNG no picture")
    first = pictures.load(folder, 16, label="style")
    monkeypatch.setattr(pictures.data, "_decode", lambda *_: pytest.fail("decoded again"))
    second = pictures.load(folder, 16, label="style")
    assert same(first.training, second.training)
    assert same(first.held, second.held)
    assert first.training.numbers == second.training.numbers
    assert [p.name for p in first.broken] == [p.name for p in second.broken] == ["bad.png"]


@pytest.mark.parametrize("harm", ["cut", "changed", "no file at all"])
def test_a_broken_cache_is_made_again(folder, cache, harm):
    first = pictures.load(folder, 16)
    for path in cache.glob("*.safetensors"):
        content = path.read_bytes()
        spoiled = {"cut": content[: len(content) // 2], "changed": content[:-9] + b"\0" * 9, "no file at all": b""}
        path.write_bytes(spoiled[harm])
    assert same(first.training, pictures.load(folder, 16).training)
    assert same(first.training, pictures.load(folder, 16).training)


def test_a_picture_that_changes_is_read_anew(folder):
    before = pictures.load(folder, 16)
    Image.new("RGB", (40, 60), "red").save(folder / "0.png")
    after = pictures.load(folder, 16)
    shas = [{e.sha256 for side in (c.training, c.held) for e in side.pixels.entries} for c in (before, after)]
    assert len(shas[0] - shas[1]) == len(shas[1] - shas[0]) == 1


def test_the_oldest_files_go_when_the_cache_is_full(folder, cache, monkeypatch):
    monkeypatch.setattr(pictures, "CACHE_BYTES", 1)
    pictures.load(folder, 16)
    pictures.load(folder, 24)
    assert len(list(cache.glob("*.safetensors"))) == 1


def test_broken_files_are_named(folder, caplog):
    (folder / "bad.png").write_bytes(b"\x89PNG no picture")
    pictures.load(folder, 16)
    assert "1 of 81 pictures cannot be read: bad.png" in caplog.text


@pytest.mark.parametrize("inside", ["", "works/"])
def test_a_zip_is_what_its_folder_is(folder, cache, tmp_path_factory, inside):
    path = tmp_path_factory.mktemp("zips") / "works.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"{inside}{file.name}")
        archive.writestr("../../escaped.png", (folder / "0.png").read_bytes())
        archive.writestr("__MACOSX/._0.png", b"")
    plain, zipped = pictures.load(folder, 16, label="style"), pictures.load(path, 16, label="style")
    assert same(plain.training, zipped.training)
    assert plain.training.numbers == zipped.training.numbers
    assert all((cache / "zips") in file.parents for file in cache.parents[1].rglob("escaped.png"))
    assert same(zipped.training, pictures.load(path, 16).training)


def test_what_is_no_zip_is_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK no")
    with pytest.raises(BadRequest, match=r"a\.zip cannot be unpacked"):
        pictures.load(tmp_path / "a.zip", 16)
    with pytest.raises(BadRequest, match="not there"):
        pictures.load(tmp_path / "b.zip", 16)


def test_only_some_labels(folder):
    found = pictures.load(folder, 16, only="style=night")
    assert len(found.training) + len(found.held) == 40
    assert {e.labels["style"] for e in found.training.pixels.entries} == {"night"}
    digits = pictures.load(Path("digits"), 16, only="digit=3,5")
    assert set(digits.training.numbers) == {3, 5}


@pytest.mark.parametrize(
    ("only", "message"),
    [("style", "KEY=VALUE"), ("stile=night", "Did you mean 'style'"), ("style=nihgt", "Did you mean 'night'")],
)
def test_labels_that_are_not_there_are_refused(folder, only, message):
    with pytest.raises(BadRequest, match=message):
        pictures.load(folder, 16, only=only)


def test_two_files_of_one_picture_are_found(folder):
    Image.open(folder / "7.png").save(folder / "again.jpg", quality=95)
    found = pictures.load(folder, 16)
    pairs = [pair for side in (found.training, found.held) for pair in pictures.near_duplicates(side)]
    across = {e.path.name for e in found.held.pixels.entries} & {"7.png", "again.jpg"}
    assert len(across) == 1 or [{p.name for p in pair} for pair in pairs] == [{"7.png", "again.jpg"}]
