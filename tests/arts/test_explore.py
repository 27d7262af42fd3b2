"""What a person gets out of a trained generator: each picture by its seed, walks, mixes, directions, projections."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import toy_generators as toys

from danqing.arts import Tools, explore, spaces
from danqing.arts.explore import Explore
from danqing.artwork import image
from danqing.artwork.image import Picture
from danqing.artwork.video import Video
from danqing.catalog import styles
from danqing.compute import device
from danqing.errors import BadRequest, InvalidMedia, UnknownName


@pytest.fixture(autouse=True)
def toy_family(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    toys.known(monkeypatch)
    monkeypatch.setenv("DANQING_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(explore, "CANDIDATES", 6)
    monkeypatch.setattr(explore, "SHALLOWEST", toys.SIZE)
    monkeypatch.setattr(explore, "LAYERS", ("relu1_1", "relu2_1"))
    monkeypatch.setattr(spaces, "DRAWN", 128)


@pytest.fixture
def tools() -> Tools:
    return Tools(device.choose("cpu"), styles.shipped())


@pytest.fixture
def styled(tmp_path: Path) -> str:
    return str(toys.save(tmp_path / "styled.safetensors", "styled"))


@pytest.fixture
def plain(tmp_path: Path) -> str:
    return str(toys.save(tmp_path / "runs" / "plain" / "weights.safetensors", "plain").parent)


def shown(space: spaces.Space, codes: torch.Tensor, side: int, truncation: float = 1.0) -> np.ndarray:
    return space.show(codes, [space.class_number("")], side, [truncation])


def opened(model: str) -> spaces.Space:
    return spaces.open_space(model, styles.shipped().catalog)


def made(request: Explore, tools: Tools) -> Picture:
    content = explore.create(request, tools).content
    assert isinstance(content, Picture)
    return content


@pytest.mark.parametrize("model", ["styled", "plain"])
def test_a_walk_begins_and_ends_at_its_pictures(request: pytest.FixtureRequest, tools: Tools, model: str):
    name = request.getfixturevalue(model)
    work = explore.create(Explore(name, "interpolate", from_=3, to=8, seconds=0.5, fps=10), tools)
    assert isinstance(work.content, Video)
    space = opened(name)
    ends = shown(space, space.codes([3, 8], None), 256)
    assert work.content.frames.shape == (6, 256, 256, 3)
    assert np.abs(work.content.frames[[0, -1]].astype(int) - ends).max() <= 1
    assert work.content.stills[-1] == 5
    assert "from seed 3 to seed 8" in work.title


def test_a_loop_comes_back_without_a_halt(tools: Tools, plain: str):
    request = Explore(plain, "interpolate", seeds=(1, 2, 3), seconds=0.4, fps=10, loop=True, size=32)
    work = explore.create(request, tools).content
    assert isinstance(work, Video)
    assert len(work.frames) == 12
    steps = np.abs(np.diff(work.frames[[*range(12), 0]].astype(int), axis=0)).mean(axis=(1, 2, 3))
    assert steps[-1] > 0.3 * steps[-2]


def stands_on(sheet: Picture, levels: np.ndarray) -> bool:
    """Whether a picture (H, W, 3) is somewhere on a sheet, but for rounding in batches of another size."""
    found = np.rint(sheet.pixels * 255).astype(int)
    height, width = levels.shape[:2]
    corners = np.abs(found[: sheet.height - height + 1, : sheet.width - width + 1] - levels[0, 0]).max(axis=2) <= 1
    return any(
        np.abs(found[y : y + height, x : x + width] - levels).max() <= 1
        for y, x in zip(*corners.nonzero(), strict=True)
    )


def test_the_same_seed_is_the_same_picture_on_every_sheet(tools: Tools, plain: str):
    first = explore.create(Explore(plain, "samples", how_many=4), tools)
    assert first.encode(".png") == explore.create(Explore(plain, "samples", how_many=4), tools).encode(".png")
    space = opened(plain)
    third = shown(space, space.codes([2], None), 128)[0]
    assert isinstance(first.content, Picture)
    assert stands_on(first.content, third)
    assert stands_on(made(Explore(plain, "samples", seeds=(7, 2)), tools), third)
    assert not stands_on(made(Explore(plain, "samples", seeds=(7, 3)), tools), third)


def test_samples_take_the_classes_in_turn_or_one(tools: Tools, tmp_path: Path):
    model = str(toys.save(tmp_path / "two.safetensors", "plain", ("moon", "sun")))
    space = opened(model)
    moon, sun = (space.show(space.codes([1], n), [n], 128)[0] for n in (0, 1))
    assert not np.array_equal(moon, sun)
    turns = made(Explore(model, "samples", how_many=2), tools)
    assert stands_on(turns, sun)
    assert not stands_on(turns, moon)
    assert stands_on(made(Explore(model, "samples", how_many=2, class_="moon"), tools), moon)
    with pytest.raises(UnknownName, match=r"class 'sum' is not known\. Did you mean 'sun'"):
        made(Explore(model, "samples", class_="sum"), tools)


def test_no_truncation_is_the_average_for_every_seed(tools: Tools, styled: str, plain: str):
    for model in (styled, plain):
        space = opened(model)
        codes = space.codes([0, 1], None)
        averages = shown(space, codes, 32, 0.0)
        assert np.abs(averages[0].astype(int) - averages[1]).max() <= 1
        assert not np.array_equal(*shown(space, codes, 32, 0.5))
        sheet = made(Explore(model, "truncate", seeds=(0, 1), values=(0, 0.5)), tools)
        assert stands_on(sheet, shown(space, codes[:1], 128, 0.5)[0])


def test_a_mix_takes_its_layers_from_above_and_the_others_from_the_left(tools: Tools, styled: str):
    space = opened(styled)
    left, above = space.codes([0], None), space.codes([1], None)
    sheet = made(Explore(styled, "mix", seeds=(0, 1), layers="2:3"), tools)
    mixed = torch.cat([left[:, :1], above[:, 1:3], left[:, 3:]], dim=1)
    for codes in (left, above, mixed):
        assert stands_on(sheet, shown(space, codes, 128)[0])
    with pytest.raises(BadRequest, match="has 4 layers"):
        made(Explore(styled, "mix", layers="2:5"), tools)


def test_directions_get_names_that_edits_know(tools: Tools, styled: str, tmp_path: Path):
    explore.create(Explore(styled, "directions", how_many=2, name=("2=温暖", "1=calm")), tools)
    kept = json.loads((tmp_path / "styled.directions.json").read_text("utf-8"))
    assert kept["names"] == {"温暖": {"by": "pca", "number": 2}, "calm": {"by": "pca", "number": 1}}
    space = opened(styled)
    far = space.codes([4], None) + 1.5 * space.axes("pca", 2)[1]
    named = explore.create(Explore(styled, "edit", seed=4, along=("温暖=1.5",)), tools)
    assert isinstance(named.content, Picture)
    assert stands_on(named.content, shown(space, far, 128)[0])
    assert named.title == "styled: seed 4, 温暖 +1.5"
    with pytest.raises(BadRequest, match="'calm' is direction 1 by pca already"):
        explore.create(Explore(styled, "directions", name=("3=calm",)), tools)
    explore.create(Explore(styled, "directions", name=("1=",)), tools)
    with pytest.raises(UnknownName, match="direction 'calm' is not known"):
        explore.create(Explore(styled, "edit", along=("calm=1",)), tools)


def test_names_are_not_taken_over_by_other_weights(tools: Tools, plain: str):
    explore.create(Explore(plain, "directions", how_many=1, name=("1=warmth",)), tools)
    toys.save(Path(plain) / "weights.safetensors", "encoding")
    with pytest.raises(BadRequest, match="are of other weights"):
        explore.create(Explore(plain, "edit", along=("warmth=1",)), tools)


def test_directions_are_those_that_change_most(styled: str, plain: str):
    space = opened(styled)
    by_weights = space.axes("sefa", 2)
    assert by_weights.shape == (2, 1, toys.STYLE)
    assert space.axes("pca", 3).shape == (3, 1, toys.STYLE)
    other = opened(plain)
    axes = other.axes("pca", toys.LATENT)
    change = [float((other.pictures(a[None], None) - other.pictures(0 * a[None], None)).norm()) for a in axes]
    assert change[0] > 1.05 * change[-1]
    with pytest.raises(BadRequest, match="--by sefa takes a generator with styles"):
        other.axes("sefa", 2)


@pytest.mark.parametrize(("kind", "steps", "bound"), [("styled", 25, 0.03), ("plain", 25, 0.04), ("encoding", 2, 0.01)])
def test_a_picture_is_found_again_and_its_latent_serves_as_a_seed_does(
    tools: Tools, tmp_path: Path, kind: str, steps: int, bound: float
):
    model = str(toys.save(tmp_path / f"{kind}.safetensors", kind))
    space = opened(model)
    wanted = shown(space, space.codes([99], None) * 0.8, 32)[0].astype(np.float32) / 255
    image.write(Picture(wanted), tmp_path / "given.png")
    work = explore.create(Explore(model, "project", tmp_path / "given.png", starts=2, steps=steps), tools)
    assert work.provenance.models.keys() == {kind, "perceptual"}
    assert [parent.name for parent in work.provenance.parents] == ["given.png"]
    work.save(tmp_path / "found.png")
    code, _ = space.read_code(tmp_path / "found.latent.safetensors")
    off = np.abs(shown(space, code, 32)[0].astype(np.float32) / 255 - wanted).mean()
    assert off < bound
    walk = Explore(model, "interpolate", latents=(tmp_path / "found.latent.safetensors",), seeds=(2,), seconds=0.2)
    video = explore.create(walk, tools).content
    assert isinstance(video, Video)
    assert np.abs(video.frames[0].astype(int) - shown(space, code, 256)[0]).max() <= 1


def test_a_latent_of_another_generator_is_refused(tools: Tools, styled: str, plain: str, tmp_path: Path):
    explore.create(Explore(plain, "edit", along=("1=1",)), tools).save(tmp_path / "a.png")
    latent = tmp_path / "a.latent.safetensors"
    with pytest.raises(BadRequest, match="is a latent of 'plain'"):
        explore.create(Explore(styled, "samples", latents=(latent,)), tools)
    with pytest.raises(InvalidMedia, match="holds no latent"):
        explore.create(Explore(plain, "samples", latents=(Path(styled),)), tools)
    (tmp_path / "b.safetensors").write_bytes(b"nothing")
    with pytest.raises(InvalidMedia, match="is no latent file"):
        explore.create(Explore(plain, "samples", latents=(tmp_path / "b.safetensors",)), tools)


def test_provenance_names_the_generator_without_its_place(tools: Tools, plain: str):
    origin = explore.create(Explore(plain, "samples", how_many=1), tools).provenance
    assert origin.request["model"] == "plain"
    assert list(origin.models) == ["plain"]
    assert "runs" not in origin.to_json()


@pytest.mark.parametrize("model", ["styled", "plain"])
def test_a_picture_of_two_seeds_is_one_on_the_way_between_them(
    request: pytest.FixtureRequest, tools: Tools, model: str
):
    name = request.getfixturevalue(model)
    alone = made(Explore(name, "picture", seed=3), tools).pixels
    assert np.array_equal(alone, made(Explore(name, "picture", of="3=5"), tools).pixels)  # only ratios count
    both = made(Explore(name, "picture", of="3=0.8,8=0.6"), tools).pixels
    other = made(Explore(name, "picture", seed=8), tools).pixels
    assert 0 < np.abs(both - alone).mean() < np.abs(other - alone).mean()


def test_a_latent_of_many_seeds_is_as_long_as_one_that_was_drawn(plain: str):
    space = opened(plain)
    many = space.mixture(dict.fromkeys(range(50), 1.0), None)
    drawn = space.codes(range(200), None).flatten(1).norm(dim=1)
    assert drawn.min() < many.norm() < drawn.max()


def test_a_picture_keeps_the_latent_it_came_from(tools: Tools, plain: str, tmp_path: Path):
    work = explore.create(Explore(plain, "picture", of="3=0.8,8=0.6"), tools)
    file = tmp_path / "kept.latent.safetensors"
    file.write_bytes(work.beside[explore.LATENT])
    again = made(Explore(plain, "picture", latents=(file,)), tools)
    assert isinstance(work.content, Picture)
    assert np.array_equal(again.pixels, work.content.pixels)


@pytest.mark.parametrize("of", ["17", "17=", "a=1", "17=0", "17=1,17=2", "99999999999=1", "17=nan"])
def test_seeds_without_weights_are_refused(of: str):
    with pytest.raises(BadRequest, match="--of is"):
        Explore("landscapes", "picture", of=of)
