from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from danqing import recipes
from danqing.artwork.image import Picture
from danqing.artwork.request import Step
from danqing.artwork.shelf import default_home
from danqing.catalog import catalog
from danqing.errors import BadRequest, Cancelled, DanqingError, UnknownName
from danqing.interfaces.rooms import Studio
from danqing.interfaces.rooms import models as room

WEB = Path(__file__).parents[2] / "web" / "src"
SMALL = {"size": 8, "latents": 2, "width": 4, "halvings": 2, "batch": 4, "steps": 12, "look_every": 4}


class Context:
    """What a worker hands to a job, kept for looking at."""

    def __init__(self, request: dict[str, Any], until: int = 10**9) -> None:
        self.request, self.until = request, until
        self.home = default_home()
        self.steps: list[Step] = []
        self.previews: list[Picture] = []
        self.report: Any = None

    def on_step(self, step: Step) -> None:
        self.steps.append(step)
        if len(self.steps) >= self.until:
            raise Cancelled("stopped")

    def preview(self, picture: Picture) -> None:
        self.previews.append(picture)

    def done(self, works: tuple[Any, ...] = (), report: Any = None) -> None:
        self.report = report

    def upload(self, number: str) -> Path:
        raise UnknownName("upload", number, (), "POST /api/uploads")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DANQING_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def client(home: Path) -> TestClient:
    from fastapi.responses import JSONResponse

    app = FastAPI()
    app.state.studio = Studio(home)
    app.include_router(room.router, prefix="/api")
    app.add_exception_handler(DanqingError, lambda _, error: JSONResponse({"error": {"message": str(error)}}, 404))
    return TestClient(app)


def train(**request: Any) -> Context:
    context = Context({"recipe": "vae", "run": "mine", "data": "digits", "settings": SMALL, **request})
    room.train_job(context)  # type: ignore[arg-type]
    return context


# --- what ships -------------------------------------------------------------------------------------------------------


def test_every_card_is_shown_with_its_size_and_its_limits(client: TestClient):
    found = {card["name"]: card for card in client.get("/api/models").json()["models"]}
    assert set(found) == {card.name for card in catalog.cards()}
    for card in found.values():
        assert card["rights"] in ("open", "research")
        assert card["limits"]
        assert card["bytes"] > 0
    assert found["poet"]["here"]
    assert not found["vgg19"]["here"]


def test_collections_name_the_models_that_learned_from_them(client: TestClient):
    found = {entry["name"]: entry for entry in client.get("/api/data").json()["data"]}
    assert "poet" in found["Tang poems"]["models"]
    assert all(entry["rights"] and entry["works"] >= 0 for entry in found.values())


def test_what_the_shelf_says_of_shipped_models_is_there_in_chinese():
    known = (WEB / "parts" / "models-zh.ts").read_text("utf-8")
    said = {json.loads(f'"{key}"') for key in re.findall(r'^  "((?:[^"\\]|\\.)*)": "', known, re.MULTILINE)}
    for card in catalog.cards():
        for text in (card.purpose, *card.limits):
            assert text in said, f"{card.name}: {text!r} is not in web/src/parts/models-zh.ts"


# --- recipes ----------------------------------------------------------------------------------------------------------


def test_recipes_come_with_settings_defaults_and_meanings_and_the_server_loads_no_pytorch():
    code = (
        "import json, sys; from danqing.interfaces.rooms import models; found = models.recipes()['recipes']; "
        "print(json.dumps([found, 'torch' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    found, torch = json.loads(done.stdout)
    assert not torch
    assert [recipe["name"] for recipe in found] == list(recipes.names())
    assert {recipe["name"] for recipe in found if recipe["pictures"]} == set(room.TRAINABLE)
    vae = next(recipe for recipe in found if recipe["name"] == "vae")
    fields = {field["name"]: field for field in vae["fields"]}
    assert fields["beta"]["kind"] == "float"
    assert fields["minutes"]["first"]
    assert "KL" in fields["beta"]["meaning"]


def test_settings_of_picture_recipes_are_explained_in_chinese():
    known = (WEB / "parts" / "models-zh.ts").read_text("utf-8")
    for name in room.TRAINABLE:
        told = room.described(recipes.get(name))
        for text in (told["purpose"], *(field["meaning"] for field in told["fields"] if field["meaning"])):
            assert json.dumps(text, ensure_ascii=False)[1:-1] in known, f"{name}: {text!r}"


# --- training ---------------------------------------------------------------------------------------------------------


def test_a_run_trains_shows_its_sheets_and_can_be_looked_at(client: TestClient, home: Path):
    context = train()
    assert context.previews
    assert context.report["run"] == "mine"
    assert context.report["measured"]["error"] >= 0
    (run,) = client.get("/api/runs").json()["runs"]
    assert (run["name"], run["recipe"], run["state"], run["step"]) == ("mine", "vae", "finished", 12)
    detail = client.get("/api/runs/mine").json()
    assert detail["series"]["loss_reconstruction"][-1][0] == 12
    assert detail["sheets"][-1] == 12
    assert detail["settings"]["size"] == 8
    sheet = client.get(detail["sheet"])
    assert sheet.headers["content-type"] == "image/png"
    assert sheet.content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "request_", [{"resume": True}, {"data": "digits", "settings": SMALL}], ids=["gone on with", "tried again"]
)
def test_a_cancelled_run_leaves_a_checkpoint_and_goes_on_from_it(client: TestClient, request_: dict[str, Any]):
    context = Context({"recipe": "vae", "run": "mine", "data": "digits", "settings": SMALL}, until=5)
    with pytest.raises(Cancelled):
        room.train_job(context)  # type: ignore[arg-type]
    stopped = client.get("/api/runs/mine").json()
    assert stopped["checkpoint"]
    assert stopped["state"] == "stopped"
    again = Context({"recipe": "vae", "run": "mine", **request_})
    room.train_job(again)  # type: ignore[arg-type]
    assert again.steps[0].done == 6  # it stood after five
    assert client.get("/api/runs/mine").json()["state"] == "finished"


def test_an_estimate_leaves_nothing_behind(home: Path):
    context = Context({"recipe": "vae", "data": "digits", "settings": SMALL})
    room.estimate_job(context)  # type: ignore[arg-type]
    assert context.report["expected_steps"] == 12
    assert context.report["seconds_a_step"] > 0
    assert not (home / "runs").exists()


def test_warnings_are_told_in_words(client: TestClient, home: Path):
    folder = home / "runs" / "bad"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"recipe": "gan", "config": {"steps": 100}, "data": "digits"}')
    rows = [{"step": step, "held_diversity": 0.05, "held_diversity_real": 0.5} for step in (10, 20, 30, 40)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 50, "he')
    detail = client.get("/api/runs/bad").json()
    (warning,) = detail["warnings"]
    assert warning["name"] == "collapse"
    assert "only 10% as much" in warning["text"]
    assert "WARNINGS" in (WEB / "parts" / "models-zh.ts").read_text("utf-8")


def test_every_warning_is_there_in_chinese():
    source = (Path(room.__file__).parents[2] / "training" / "stability.py").read_text("utf-8")
    names = set(re.findall(r'Warning\(\s*"([a-z ]+)"', source))
    known = (WEB / "parts" / "models-zh.ts").read_text("utf-8").partition("WARNINGS")[2]
    assert names
    for name in names:
        assert re.search(rf'"?{name}"?: \[', known), name


def test_curves_are_thinned_and_what_is_not_a_number_is_left_out(client: TestClient, home: Path):
    folder = home / "runs" / "long"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"recipe": "gan", "config": {}}')
    rows = [{"step": step, "loss": float(step), "odd": float("nan")} for step in range(1, 3001)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    series = client.get("/api/runs/long").json()["series"]
    assert "odd" not in series
    assert len(series["loss"]) == room.POINTS
    assert (series["loss"][0], series["loss"][-1]) == ([1, 1.0], [3000, 3000.0])


@pytest.mark.parametrize("name", ["..", "%2e%2e", "a%2fb", ".hidden", "nothing"])
def test_a_run_is_named_never_a_path(client: TestClient, home: Path, name: str):
    (home / "run.json").write_text("{}")
    assert client.get(f"/api/runs/{name}").status_code == 404
    assert client.get(f"/api/runs/{name}/sheet").status_code == 404


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"recipe": "vea"}, "Did you mean 'vae'?"),
        ({"recipe": "poet"}, "recipe 'poet' is not known"),
        ({"recipe": "vae", "run": "../out"}, "no path"),
        ({"recipe": "vae", "settings": [1]}, "settings is [1]"),
        ({"recipe": "vae", "settings": {"seed": [1]}}, "setting seed is [1]"),
        ({"recipe": "vae", "settings": {"storage": "/etc/passwd"}}, "no files"),
        ({"recipe": "autoencoder", "settings": {"backbone": "weights"}}, "no files"),
        ({"recipe": "flow", "settings": {"latents": "other.safetensors"}}, "no files"),
        ({"recipe": "vae", "data": "/home"}, "data is '/home'"),
        ({"recipe": "vae", "run": "new", "resume": True}, "nothing to go on with"),
    ],
)
def test_a_training_that_cannot_be_is_refused_at_once(request_: dict[str, Any], words: str):
    with pytest.raises((BadRequest, UnknownName)) as refused:
        room.check(request_)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_name_that_is_taken_is_refused_and_settings_are_written_as_on_the_command_line(home: Path):
    asked = room.check({"recipe": "vae", "settings": {"rate": 1e-4, "steps": 50, "storage": "int8"}})
    assert asked["settings"] == {"rate": "0.0001", "steps": "50", "storage": "int8"}
    assert (asked["run"], asked["data"]) == ("vae", "digits")
    (home / "runs" / "vae").mkdir(parents=True)
    (home / "runs" / "vae" / "run.json").write_text("{}")
    with pytest.raises(BadRequest, match="is there already"):
        room.check({"recipe": "vae"})
