"""Pictures for training: what is read, how it is split, what each step draws."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from danqing.compute import seed
from danqing.errors import BadRequest
from danqing.training import data


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for i in range(60):
        name = f"{'ab'[i % 2]}/{i}.png"
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40 + i % 7, 50, 3), dtype=np.uint8)).save(path)
        rows.append(json.dumps({"file_name": name, "style": "ab"[i % 2]}))
    (tmp_path / "metadata.jsonl").write_text("\n".join(rows), "utf-8")
    return tmp_path


def test_a_picture_keeps_its_side_of_the_split_when_it_is_renamed_or_joined_by_others(folder):
    _, held = data.split(data.index(folder))
    assert 0 < len(held) < 30
    moved = held[0].path.rename(folder / "renamed.png")
    Image.new("RGB", (20, 20)).save(folder / "another.png")
    again = {e.path: e for e in data.index(folder)}
    assert again[moved].held_out


def test_exact_duplicates_count_once_and_labels_are_read(folder):
    before = data.index(folder)
    (folder / "copy.png").write_bytes(before[0].path.read_bytes())
    assert len(data.index(folder)) == len(before)
    assert {e.labels["style"] for e in before} == {"a", "b"}


def test_broken_pictures_are_left_out_and_named(folder):
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    pixels = data.Pixels(data.index(folder), 32)
    assert [p.name for p in pixels.broken] == ["broken.png"]
    assert len(pixels) == 60


def test_pictures_are_held_no_larger_than_asked(folder):
    pixels = data.Pixels(data.index(folder), 32)
    assert {min(p.shape[:2]) for p in pixels.pixels} == {32}


def test_a_step_always_draws_the_same_crops_and_an_epoch_every_picture_once(folder):
    pixels = data.Pixels(data.index(folder), 32)
    orders = [data.draw_order(60, 7, step, 3) for step in range(9)]
    flat = [n for order in orders for n in order]
    assert sorted(flat[:60]) == list(range(60))
    assert flat[:60] != sorted(flat[:60])
    one, two = (pixels.batch(orders[2], 16, (0.5, 1.0), seed.generator(3, 2)) for _ in range(2))
    assert one.shape == (7, 3, 16, 16)
    assert torch.equal(one, two)
    assert 0 <= one.min() <= one.max() <= 1


def test_a_small_collection_still_fills_a_large_batch():
    assert sorted(data.draw_order(4, 8, 5, 0)) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_prefetching_gives_what_was_asked_for_also_after_a_jump():
    ahead = data.Prefetch(lambda step: step * 10, first=3)
    assert [ahead.get(s) for s in (3, 4, 5, 9, 10)] == [30, 40, 50, 90, 100]


@pytest.mark.parametrize(("metadata", "says"), [("{", "line 1"), ('{"style": "a"}', "file_name"), ("[1]", "line 1")])
def test_unreadable_metadata_is_refused_with_its_line(folder, metadata, says):
    (folder / "metadata.jsonl").write_text(metadata)
    with pytest.raises(BadRequest, match=says):
        data.index(folder)


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(BadRequest, match="holds no pictures"):
        data.index(tmp_path)
    with pytest.raises(BadRequest, match="not a folder"):
        data.index(tmp_path / "missing")
