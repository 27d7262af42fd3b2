"""Rounds on the command line and in the room: what a program is given, what is learned, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import music_models
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from danqing import arts
from danqing.arts import compose as art
from danqing.artwork.artwork import Artwork
from danqing.artwork.music import Key, Score, Tempo
from danqing.artwork.provenance import Provenance, describe
from danqing.artwork.shelf import Shelf
from danqing.errors import BadRequest, DanqingError
from danqing.interfaces import rooms as all_rooms
from danqing.interfaces.rooms import evolve as room
from danqing.sessions.taste import TasteBook

Danqing = Callable[..., tuple[int, str, str]]
LINE = (60, 62, 64, 65, 67, 65, 64, 62, 60, 64, 67, 72, 67, 64, 62, 60)


@pytest.fixture(autouse=True)
def composer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A composer that is quick: one tune, at the key and tempo that were asked for."""

    def create_all(request: art.Compose, tools: arts.Tools) -> tuple[Artwork, ...]:
        flat = 1 if request.key.endswith("minor") else 0
        notes = music_models.line(tuple(pitch - flat * (pitch % 12 == 4) for pitch in LINE))
        score = Score(notes, keys=(Key(Fraction(0), "C"),), tempos=(Tempo(Fraction(0), request.tempo or 100.0),))
        return (Artwork(score, Provenance("compose", describe(request), request.seed), f"Tune {request.seed}"),)

    monkeypatch.setattr(art, "create_all", create_all)


def _round(danqing: Danqing, *words: str) -> dict[str, Any]:
    code, out, err = danqing("evolve", "compose", *words, "--json")
    assert code == 0, err
    return dict(json.loads(out))


def test_a_program_goes_through_rounds_by_naming_what_it_likes(danqing: Danqing, home: Path):
    first = _round(danqing, "--candidates", "3")
    assert [one["number"] for one in first["candidates"]] == [1, 2, 3]
    assert all(Path(one["path"]).is_file() for one in first["candidates"])
    second = _round(danqing, "--resume", first["session"], "--liked", "1", "--disliked", "2,3")
    assert (second["round"], [one["number"] for one in second["candidates"]]) == (2, [4, 5, 6])
    assert TasteBook(home).taste("music").count == 2


def test_what_is_settled_by_flags_is_settled(danqing: Danqing):
    made = _round(danqing, "--candidates", "3", "--tempo", "77")
    shelf = Shelf()
    assert {shelf.get(one["id"]).provenance.request["tempo"] for one in made["candidates"]} == {77.0}


def test_a_round_that_was_made_is_not_made_again(danqing: Danqing):
    first = _round(danqing, "--candidates", "3")
    again = _round(danqing, "--resume", first["session"])
    assert again["candidates"] == first["candidates"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("compose", "--candidates", "99"), "2 to 12 candidates"),
        (("compose", "--liked", "1"), "--resume ID"),
        (("compose", "--resume", "nope"), "session 'nope' is not known"),
        (("compose", "--tempo", "9999"), "20 and 300|20 to 300"),
        (("compose", "--rounds", "0"), "--rounds is 0"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(danqing: Danqing, words: tuple[str, ...], says: str):
    import re

    code, _, err = danqing("evolve", *words)
    assert code == 2
    assert re.search(says, err)
    assert err.count("\n") == 1


def test_taste_is_shown_exported_read_back_and_forgotten(danqing: Danqing, home: Path):
    first = _round(danqing, "--candidates", "3")
    _round(danqing, "--resume", first["session"], "--liked", "1")
    assert danqing("evolve", "taste", "--export", "mine.json")[0] == 0
    assert json.loads(danqing("evolve", "taste", "--reset", "--json")[1]) == {"forgotten": 2}
    assert json.loads(danqing("evolve", "taste", "--import", "mine.json", "--json")[1]) == {"added": 2}
    told = json.loads(danqing("evolve", "taste", "--json")[1])
    assert told["taste"]["music"]["choices"] == 2
    Path("broken.json").write_text("{", encoding="utf-8")
    code, _, err = danqing("evolve", "taste", "--import", "broken.json")
    assert (code, "is no JSON" in err) == (2, True)


def test_suite_refuses_a_folder_that_holds_one_before_it_begins(danqing: Danqing):
    Path("there").mkdir()
    Path("there/poem.txt").write_text("x", encoding="utf-8")
    code, _, err = danqing("suite", "海", "-o", "there")
    assert code == 2
    assert "poem.txt" in err
    assert "--force" in err


# --- the room ---------------------------------------------------------------------------------------------------------


class Context:
    """What a worker hands to a job."""

    def __init__(self, home: Path, request: dict[str, Any]) -> None:
        self.home, self.request = home, request
        self.shelf = Shelf(home)
        self.steps: list[Any] = []
        self.works: list[str] = []
        self.report: Any = None

    def on_step(self, step: Any) -> None:
        self.steps.append(step)

    def done(self, works: Any = (), report: Any = None) -> None:
        self.works, self.report = list(works), report


@pytest.fixture
def client(home: Path) -> TestClient:
    app = FastAPI()
    app.state.studio = all_rooms.Studio(home)
    app.include_router(room.router, prefix="/api")
    return TestClient(app)


def _make(client: TestClient, home: Path, session: dict[str, Any]) -> dict[str, Any]:
    """What the worker does with the job that was queued."""
    job = app_queue(client).get(session["job"])
    room.run_job(Context(home, dict(room.check(dict(job.request)))))  # type: ignore[arg-type]
    return dict(client.get(f"/api/evolve/{session['id']}").json())


def app_queue(client: TestClient) -> Any:
    return client.app.state.studio.queue  # type: ignore[attr-defined]


def test_three_rounds_by_the_page(client: TestClient, home: Path):
    asked = {"art": "compose", "request": {"tempo": 90}, "candidates": 4}
    session = client.post("/api/evolve", json=asked).json()
    for number in (1, 2, 3):
        made = _make(client, home, session)
        latest = [one for one in made["candidates"] if one["round"] == number]
        assert len(latest) == 4
        assert all(one["work"] for one in latest)
        choice = {"liked": [latest[0]["number"]], "disliked": [latest[1]["number"]]}
        choice["between"] = [{"one": latest[2]["number"], "other": latest[3]["number"], "share": 0.8}]  # type: ignore[list-item]
        session = client.post(f"/api/evolve/{session['id']}/choices", json=choice).json()
        assert session["round"] == number
    assert session["taste"]["choices"] == 3 * 6
    assert client.get("/api/evolve").json()["sessions"][0]["rounds"] == 3


def test_a_round_that_is_being_made_is_not_made_twice(client: TestClient, home: Path):
    session = client.post("/api/evolve", json={"art": "compose", "candidates": 3}).json()
    assert client.get(f"/api/evolve/{session['id']}").json()["job"] == session["job"]
    assert client.post(f"/api/evolve/{session['id']}/make").json()["job"] == session["job"]
    app_queue(client).cancel(session["job"])
    assert client.get(f"/api/evolve/{session['id']}").json()["job"] is None
    assert client.post(f"/api/evolve/{session['id']}/make").json()["job"] not in (None, session["job"])


def test_taste_is_told_exported_forgotten_and_taken_back_by_the_page(client: TestClient, home: Path):
    session = client.post("/api/evolve", json={"art": "compose", "candidates": 3}).json()
    _make(client, home, session)
    client.post(f"/api/evolve/{session['id']}/choices", json={"liked": [1]})
    exported = client.get("/api/taste/export")
    assert "attachment" in exported.headers["content-disposition"]
    assert client.delete("/api/taste").json() == {"forgotten": 2}
    assert client.post("/api/taste/import", json=exported.json()).json() == {"added": 2}
    told = client.get("/api/taste").json()["taste"]["music"]
    assert told["choices"] == 2
    assert all(one["en"] and one["zh"] for one in told["sure"])


@pytest.mark.parametrize(
    "asked",
    [
        {"art": "paint", "request": {"like": "/etc/passwd"}},
        {"art": "paint", "request": {"style": "/etc/passwd"}},
        {"art": "paint", "request": {"model": "hf:someone/model"}},
        {"art": "compose", "request": {"nothing": 1}},
        {"art": "translate"},
        {"art": "nonsense"},
        {"art": "compose", "candidates": 1},
    ],
)
def test_no_path_nothing_to_fetch_and_nothing_unknown_comes_from_a_page(client: TestClient, asked: dict[str, Any]):
    with pytest.raises(DanqingError):  # the server makes an answer of it
        client.post("/api/evolve", json=asked)
    assert client.get("/api/evolve").json()["sessions"] == []


def test_a_job_of_another_shape_is_refused():
    with pytest.raises(BadRequest):
        room.check({"session": 7})
    with pytest.raises(BadRequest):
        room.check({"session": "a", "path": "/etc"})


def test_the_mood_of_an_idea_is_told_in_both_languages():
    from danqing.interfaces.rooms import suite

    told = suite.mood(suite.Idea(idea="江南春雨", arousal=0.9))
    assert told["mood"]["season"] == "spring"
    assert told["mood"]["arousal"] == 0.9
    assert told["words"]["zh"]["season"] == "春"
    assert told["says"]["en"].startswith("spring")
    with pytest.raises(BadRequest, match="the idea is empty"):
        suite.check({"idea": ""})
    assert 0 <= suite.check({"idea": "海"})["seed"] < 2**31
