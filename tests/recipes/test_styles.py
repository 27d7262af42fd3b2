"""The styles recipe: what counts as a copy, and exemplars that outlive a backbone."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from danqing.artwork.request import ignore
from danqing.compute import seed
from danqing.encode.image import resize
from danqing.errors import BadRequest
from danqing.recipes import styles
from danqing.training.run import Run


def painted(number: int, side: int = 160) -> torch.Tensor:
    """A picture of blots and strokes of several widths, (1, 3, side, side)."""
    generator = seed.generator(7, number)
    layers = [resize(torch.rand(1, 3, side // n, side // n, generator=generator), side) for n in (3, 6, 12, 30)]
    return torch.stack(layers).mean(0)


@pytest.mark.parametrize("enlarged", [1, 2, 3])
def test_a_piece_of_a_painting_is_found_enlarged_and_mirrored(enlarged):
    painting = painted(1)
    piece = painting[..., 30:110, 20:100].flip(3)
    picture = resize(painted(2), 320)
    side = 80 * enlarged
    picture[..., 40 : 40 + side, 60 : 60 + side] = resize(piece, side)
    assert styles.likeness(picture, [painted(3), painting]) > 0.8


def test_pictures_that_have_nothing_to_do_with_each_other_are_unlike():
    assert styles.likeness(resize(painted(2), 320), [painted(1), painted(3)]) < 0.6


def test_plains_and_pictures_too_small_to_tell_are_like_nothing():
    assert styles.likeness(torch.full((1, 3, 200, 200), 0.5), [painted(1)]) == 0
    assert styles.likeness(painted(1), [painted(1)[..., :40, :40]]) == 0
    assert styles.likeness(painted(1)[..., :6, :6], [painted(1)]) == 0


def test_regions_share_every_pixel_out():
    share = styles.regions(3, 96, seed.generator(1, 0))
    assert share.shape == (3, 96, 96)
    assert torch.allclose(share.sum(0), torch.ones(96, 96), atol=1e-5)
    assert share.amax(0).mean() > 0.6  # each place has one hand, not an even mixture of all


@pytest.fixture
def paintings(tmp_path):
    folder = tmp_path / "paintings"
    folder.mkdir()
    rows = []
    for i in range(8):
        pixels = (painted(i, 64)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        rows.append(f'{{"file_name": "{i}.png", "style": "{("wet", "dry")[i % 2]}"}}')
    (folder / "metadata.jsonl").write_text("\n".join(rows), "utf-8")
    return folder


def run(folder, config):
    return Run.open(folder, "styles", dataclasses.asdict(config), resume=False)


def test_a_new_backbone_keeps_the_exemplars_of_an_earlier_run(paintings, tmp_path):
    config = styles.Config.tiny()
    first = run(tmp_path / "first", config)
    measured = styles.train(config, paintings, first, ignore)
    keeping = dataclasses.replace(config, keep=str(first.folder), iterations=9)
    second = run(tmp_path / "second", keeping)
    assert styles.train(keeping, paintings, second, ignore) == measured
    for name in ("wet", "dry"):
        exemplars = [r.folder / "exemplars" / f"{name}.webp" for r in (first, second)]
        assert exemplars[0].read_bytes() == exemplars[1].read_bytes()
    weights = [(r.folder / "weights.safetensors").read_bytes() for r in (first, second)]
    assert weights[0] == weights[1]  # the same backbone on the same works


def test_keep_wants_a_run_that_has_every_style(paintings, tmp_path):
    config = styles.Config.tiny()
    unfinished = run(tmp_path / "unfinished", config)
    keeping = dataclasses.replace(config, keep=str(unfinished.folder))
    with pytest.raises(BadRequest, match="has not made the exemplar of 'dry'"):
        styles.train(keeping, paintings, run(tmp_path / "second", keeping), ignore)
