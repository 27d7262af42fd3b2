"""Domains picked by their labels, pairs made from pictures, and translators that come back from their files."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from danqing.compute import checkpoint
from danqing.errors import BadRequest, UnknownName
from danqing.techniques import cycle
from danqing.training import translation
from danqing.training.translation import Translator


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """60 plain pictures: 50 red ones by "a, b", 10 blue ones of two other painters."""
    folder = tmp_path_factory.mktemp("plain")
    rows = []
    for i in range(60):
        pixels = np.zeros((40, 60, 3), np.uint8)
        pixels[..., 0 if i < 50 else 2] = 200
        pixels[0, 0, 1] = i  # no two files the same
        Image.fromarray(pixels).save(folder / f"{i}.png")
        rows.append(json.dumps({"file_name": f"{i}.png", "artist": "a, b" if i < 50 else f"c{i % 2}"}))
    (folder / "metadata.jsonl").write_text("\n".join(rows))
    return folder


def test_kinds_are_picked_by_labels_and_drawn_equally_often(folder):
    found = translation.domain(folder, "red:artist=a, b;blue:artist=c0|artist=c1", "", (32, 16))
    assert found.names == ("red", "blue")
    pictures, kinds = found.draw(200, torch.Generator().manual_seed(0))
    assert pictures.shape == (200, 3, 16, 16)
    assert 70 < int((kinds == 1).sum()) < 130
    red = pictures[:, 0].mean((1, 2)) > 0
    assert torch.equal(red, kinds == 0)


def test_without_rules_a_domain_is_the_whole_folder(folder):
    found = translation.domain(folder, "", "photo", (32, 16))
    assert found.names == ("photo",)
    assert len(found.training) + len(found.held) == 60


@pytest.mark.parametrize(
    ("rules", "sides", "says"),
    [
        ("monet", (32, 16), "NAME:KEY=VALUE"),
        ("a:artist=monet;b:artist=c0|artist=a, b", (32, 16), "no pictures for 'a'"),
        ("a:artist=monet", (32, 16), "too few"),
        ("", (32, 64), "between 16"),
    ],
)
def test_what_picks_no_pictures_is_refused(folder, rules, sides, says):
    with pytest.raises(BadRequest, match=says):
        translation.domain(folder, rules, "photo", sides)


def test_edges_are_dark_lines_on_white_where_brightness_changes():
    pictures = torch.full((1, 3, 64, 64), -0.6)
    pictures[..., 32:] = 0.6
    drawn = translation.degrade(pictures, "edges")
    assert drawn.shape == pictures.shape
    assert drawn[..., 29:33].min() < -0.5  # on the dark side of the edge
    assert drawn[..., :20].min() > 0.9
    assert drawn[..., 44:].min() > 0.9


def test_a_plain_picture_has_no_edges():
    assert translation.degrade(torch.zeros(1, 3, 32, 32), "edges").min() > 0.99


def test_a_layout_keeps_mean_colours_and_nothing_finer():
    pictures = torch.rand(2, 3, 64, 48) * 2 - 1
    layout = translation.degrade(pictures, "layout")
    assert layout.shape == pictures.shape
    assert torch.allclose(layout.mean((2, 3)), pictures.mean((2, 3)), atol=1e-5)
    assert all(len(torch.unique(layout[0, c])) <= translation.LAYOUT**2 for c in range(3))


def test_an_unknown_input_is_refused():
    with pytest.raises(UnknownName, match="edges"):
        translation.degrade(torch.zeros(1, 3, 32, 32), "edge")


def test_a_translator_comes_back_from_its_file(tmp_path):
    torch.manual_seed(0)
    forth = cycle.Generator(cycle.Config(width=4, blocks=1, targets=2)).eval()
    back = cycle.Generator(cycle.Config(width=4, blocks=1)).eval()
    for net in (forth, back):
        torch.nn.init.normal_(net.net.output.weight, 0, 0.05)
    kept = Translator(forth, back, ("monet", "ukiyo-e"), "photo", 64)
    translation.save(tmp_path / "w.safetensors", kept, "float32")
    found = translation.restore(*checkpoint.load_weights(tmp_path / "w.safetensors"))
    assert found.names == ("monet", "ukiyo-e", "photo")
    pictures = torch.rand(2, 3, 21, 34) * 2 - 1
    for name in found.names:
        made = found.translate(pictures, name)
        assert torch.equal(made, kept.translate(pictures, name))
        assert made.abs().max() <= 1
    assert not torch.equal(found.translate(pictures, "photo"), found.translate(pictures, "monet"))
    with pytest.raises(UnknownName, match="'monet'"):
        found.translate(pictures, "monnet")


def test_what_goes_one_way_offers_no_way_back(tmp_path):
    net = cycle.Generator(cycle.Config("unet", 4, 2, residual=False)).eval()
    translation.save(tmp_path / "w.safetensors", Translator(net, None, ("picture",), "edges", 64), "int8")
    found = translation.restore(*checkpoint.load_weights(tmp_path / "w.safetensors"))
    assert found.names == ("picture",)
    with pytest.raises(UnknownName, match="picture"):
        found.translate(torch.zeros(1, 3, 16, 16), "edges")


def test_weights_of_something_else_are_refused():
    with pytest.raises(BadRequest, match="'gan'"):
        translation.restore({}, {"architecture": "gan"})
