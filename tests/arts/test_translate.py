"""`translate`: sizes, targets, transparency, provenance. The network here is small and untrained."""

import numpy as np
import pytest
import torch
from PIL import Image

from danqing.arts import translate
from danqing.arts.translate import Translate
from danqing.errors import BadRequest, InvalidMedia, UnknownName
from danqing.techniques import cycle
from danqing.training import translation


@pytest.fixture
def model(monkeypatch, tmp_path):
    """A translator that knows one kind of painting and the way back."""
    torch.manual_seed(0)
    forth, back = (cycle.Generator(cycle.Config(width=4, blocks=1)).eval() for _ in range(2))
    for parameter in (*forth.parameters(), *back.parameters()):
        parameter.data.add_(0.3 * torch.randn_like(parameter))
    made = translation.Translator(forth, back, ("ukiyo-e",), "photo", 32)
    translation.save(tmp_path / "w.safetensors", made, "float32")
    return tmp_path / "w.safetensors"


@pytest.fixture
def tools(tools, model, monkeypatch):
    from danqing.compute import checkpoint

    catalog = type(tools.styles.catalog)
    monkeypatch.setattr(catalog, "weights", lambda self, name, on_step=None: checkpoint.load_weights(model))
    monkeypatch.setattr(catalog, "sha256", lambda self, name: "0" * 64)
    return tools


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def made(tools, photo, to="ukiyo-e", **options):
    return translate.create(Translate(photo, to, **options), tools)


def test_a_photo_keeps_its_size_and_becomes_another_picture(tools, photo):
    work = made(tools, photo)
    assert work.content.pixels.shape == (90, 120, 3)
    assert abs(work.content.pixels - np.asarray(Image.open(photo)) / 255).mean() > 0.01
    assert work.provenance.verb == "translate"
    assert work.provenance.parents[0].role == "photo"
    assert np.array_equal(work.content.pixels, made(tools, photo).content.pixels)


def test_it_goes_back_and_to_any_asked_size(tools, photo):
    assert made(tools, photo, "photo", size=61).content.pixels.shape == (46, 61, 3)
    assert made(tools, photo, size=200).content.pixels.shape == (150, 200, 3)


def test_transparency_stays(tools, tmp_path):
    pixels = np.zeros((40, 40, 4), np.uint8)
    pixels[:20, :, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    alpha = made(tools, tmp_path / "a.png").content.alpha
    assert alpha[5, 5] == 1
    assert alpha[35, 5] == 0


def test_an_unknown_target_a_bad_size_and_a_tiny_picture_are_refused(tools, photo, tmp_path):
    with pytest.raises(UnknownName, match="ukiyo-e"):
        made(tools, photo, "ukiyoe")
    with pytest.raises(BadRequest, match="--size is 5"):
        Translate(photo, "photo", 5)
    Image.new("RGB", (4, 4)).save(tmp_path / "b.png")
    with pytest.raises(InvalidMedia, match="4×4"):
        made(tools, tmp_path / "b.png")
