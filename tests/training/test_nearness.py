"""Near-copies: training pictures given back are caught, under flips and crops too; pictures of one's own are not."""

import numpy as np
import pytest
import torch
from PIL import Image

from danqing.training import image_metrics as metrics
from danqing.training import nearness, pictures


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """200 landscapes of coloured blobs, wider than high."""
    folder = tmp_path_factory.mktemp("blobs")
    rng = np.random.default_rng(4)
    for i in range(200):
        small = rng.integers(0, 255, (6, 9, 3), dtype=np.uint8)
        Image.fromarray(small).resize((54, 36), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return pictures.load(folder, 24)


@pytest.fixture(scope="module")
def space():
    weight = torch.randn(32, 3, 9, 9, generator=torch.Generator().manual_seed(3))

    def extractor(x, layers):
        maps = torch.relu(torch.nn.functional.conv2d(x - 0.5, weight, stride=4))
        return {"maps": torch.nn.functional.adaptive_avg_pool2d(maps, 4).flatten(2).flatten(1)[:, :, None, None]}

    return metrics.Space("random filters", "0" * 64, extractor, ("maps",))


@pytest.fixture(scope="module")
def reference(collection, space):
    return metrics.Reference.of(collection, space, count=100)


def near_copies(made, reference):
    return nearness.search(made, reference.space(made), reference.space, reference.training, reference.held)


def test_training_pictures_given_back_are_all_caught(collection, reference):
    found = near_copies(collection.training.centre(range(60)), reference)
    assert found.rate == 1
    for pair in found.pairs:
        assert reference.training.numbers[pair.training] == pair.made


def test_mirrored_copies_are_caught(collection, reference):
    assert near_copies(collection.training.centre(range(60)).flip(3), reference).rate == 1


def test_nine_in_ten_random_crops_are_caught(collection, reference):
    made = collection.training.batch(range(60), torch.Generator().manual_seed(2))
    assert near_copies(made, reference).rate >= 0.9


def test_held_out_pictures_and_new_ones_are_not(collection, reference):
    assert near_copies(collection.held.centre(range(len(collection.held))), reference).rate <= 0.02
    x = collection.training.centre(range(100))
    assert near_copies((x[:50] + x[50:]) / 2, reference).rate <= 0.02
    assert near_copies(collection.held.centre([0, 1]), reference).floor <= 0.02


def test_the_sheet_shows_the_worst_pairs_first(collection, reference):
    made = torch.cat([collection.held.centre([0]), collection.training.centre([3])])
    found = near_copies(made, reference)
    assert [pair.made for pair in found.pairs] == [1, 0]
    sheet = nearness.sheet(found, made, reference.training, reference.held)
    assert (sheet.height, sheet.width) == (2 * 24, 3 * 24)
    assert np.allclose(sheet.pixels[:24, :24], made[1].permute(1, 2, 0).numpy() / 2 + 0.5, atol=0.01)
