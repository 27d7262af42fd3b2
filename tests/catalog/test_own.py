"""A run is a model: found by its name or its folder, used in the place of what ships, and never by a page's path."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import music_models
import pytest
import toy_generators as toys

from danqing.arts import Tools, explore, spaces
from danqing.arts.compose import Compose, create_all
from danqing.catalog import own
from danqing.catalog.catalog import Catalog
from danqing.catalog.styles import Styles
from danqing.compute import device
from danqing.compute.checkpoint import sha256_of
from danqing.errors import BadRequest, UnknownName
from danqing.interfaces import _requests


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DANQING_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def ships(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return music_models.catalog(tmp_path_factory.mktemp("models") / "catalog")


def run(folder: Path, recipe: str, weights: Path | None = None, **config: Any) -> Path:
    """A finished run, or one without weights."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"recipe": recipe, "config": config}), encoding="utf-8")
    if weights is not None:
        shutil.copy(weights, folder / "weights.safetensors")
        (folder / "result.json").write_text("{}", encoding="utf-8")
    return folder


def test_a_song_by_ones_own_model_says_by_which_and_nothing_of_where_it_lies(home: Path, ships: Catalog):
    folder = run(home / "runs" / "songs", "pop", ships.path("pop"))
    with (folder / "weights.safetensors").open("r+b") as file:  # other bytes than what ships: a number more or less
        file.seek(-4, 2)
        file.write(b"\x00\x00\x00\x00")
    tools = Tools(device.choose("cpu"), Styles(ships))
    by_name = create_all(Compose(model="run:songs", bars=8, seed=1), tools)[0].provenance
    by_folder = create_all(Compose(style="pop", model=str(folder), bars=8, seed=1), tools)[0].provenance
    assert by_name.request["model"] == "run:songs"
    assert by_folder.request["model"] == "songs"
    assert str(home) not in by_folder.to_json()
    assert by_name.models["pop"] == by_folder.models["pop"] == sha256_of(folder / "weights.safetensors")
    assert by_name.models["pop"] != ships.sha256("pop")
    assert create_all(Compose(style="pop", bars=8, seed=1), tools)[0].provenance.models["pop"] == ships.sha256("pop")


def test_a_model_is_used_for_what_it_learned_only(home: Path, ships: Catalog):
    run(home / "runs" / "songs", "pop", ships.path("pop"))
    tools = Tools(device.choose("cpu"), Styles(ships))
    with pytest.raises(BadRequest, match="does not write chorale"):
        create_all(Compose(style="chorale", model="run:songs", seed=1), tools)
    with pytest.raises(BadRequest, match="it is for danqing compose, not for write"):
        own.check("run:songs", "write")


def test_what_is_no_finished_run_is_refused(home: Path, tmp_path: Path):
    run(home / "runs" / "half", "pop")
    with pytest.raises(BadRequest, match="is not finished"):
        own.find("run:half")
    with pytest.raises(UnknownName):
        own.find("run:nothing")
    with pytest.raises(UnknownName):
        own.find("run:../../etc")
    with pytest.raises(BadRequest, match="is no model of yours"):
        own.find(str(tmp_path))
    assert own.listed(home) == []


def test_a_retrained_run_is_read_anew(home: Path, ships: Catalog):
    folder = run(home / "runs" / "tunes", "folk", ships.path("folk"))
    before = own.in_place(ships, own.find("run:tunes"))
    assert own.in_place(ships, own.find("run:tunes")) is before
    shutil.copy(ships.path("pop"), folder / "weights.safetensors")
    after = own.in_place(ships, own.find("run:tunes"))
    assert after.sha256("folk") == ships.sha256("pop") != before.sha256("folk")
    assert after.check("folk") == folder / "weights.safetensors"


def test_a_generator_is_explored_by_its_name(home: Path, ships: Catalog, monkeypatch: pytest.MonkeyPatch):
    toys.known(monkeypatch)
    weights = toys.save(home / "toy.safetensors", "plain")
    run(home / "runs" / "seas", "dcgan", weights)
    space = spaces.open_space("run:seas", ships)
    assert space.name == "run:seas"
    work = explore.create(explore.Explore("run:seas", "picture"), Tools(device.choose("cpu"), Styles(ships)))
    assert work.provenance.request["model"] == "run:seas"


@pytest.mark.parametrize(
    ("verb", "given"),
    [
        ("compose", {"model": "/etc"}),
        ("write", {"model": "../runs/x"}),
        ("sketch", {"model": "runs/x", "drawing": {"upload": "0a0a"}}),
        ("explore", {"model": "/etc", "what": "picture"}),
        ("compose", {"model": "run:../x"}),
        ("compose", {"model": "run:nothing"}),
    ],
)
def test_no_path_to_a_model_comes_from_a_page(home: Path, verb: str, given: dict[str, Any]):
    with pytest.raises((BadRequest, UnknownName), match="model"):
        _requests.build(verb, given, lambda file: home / "drawing.png")


def test_a_page_names_a_run(home: Path, ships: Catalog):
    run(home / "runs" / "songs", "pop", ships.path("pop"))
    asked = _requests.build("compose", {"style": "pop", "model": "run:songs"}, lambda file: home)
    assert asked.model == "run:songs"
