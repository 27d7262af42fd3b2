"""Collections of pictures for generators."""

import json
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
