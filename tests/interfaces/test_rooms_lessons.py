from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from danqing import lessons
from danqing.artwork.request import Step
from danqing.errors import BadRequest, Cancelled, UnknownName
from danqing.interfaces.rooms import lessons as room


class Context:
    """What a worker hands to a job, kept for looking at."""

    def __init__(self, request: dict[str, Any], until: int = 10**9) -> None:
        self.request, self.until = request, until
        self.frames: list[dict[str, Any]] = []
        self.steps: list[Step] = []
        self.report: Any = None

    def frame(self, told: dict[str, Any]) -> None:
        self.frames.append(json.loads(json.dumps(told, allow_nan=False)))

    def on_step(self, step: Step) -> None:
        self.steps.append(step)
        if len(self.steps) >= self.until:
            raise Cancelled("stopped")

    def done(self, works: tuple[Any, ...] = (), report: Any = None) -> None:
        self.report = report


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    app.include_router(room.router, prefix="/api")
    return TestClient(app)


def test_the_list_has_everything_that_the_page_shows(client: TestClient):
    found = client.get("/api/lessons").json()["lessons"]
    assert [entry["name"] for entry in found] == list(lessons.names())
    for entry in found:
        assert set(entry["title"]) == {"en", "zh"}
        assert [part["kind"] for part in entry["passages"]] == ["see", "try", "means", "paper"]
        for control in entry["controls"]:
            if control["kind"] == "choice":
                assert control["default"] in [choice["value"] for choice in control["choices"]]
            else:
                assert control["low"] <= control["default"] <= control["high"]


def test_a_job_tells_the_scene_then_frames_and_reports_what_was_asked():
    context = Context({"name": "form", "controls": {"form": "对联"}, "seed": 3})
    room.run_job(context)  # type: ignore[arg-type]
    assert "scene" in context.frames[0]
    assert len(context.steps) == len(context.frames) - 1
    assert context.steps[-1].done == context.steps[-1].total
    assert context.report["controls"]["form"] == "对联"
    assert context.report["controls"]["temperature"] == 0.9


def test_a_cancelled_job_stops_at_its_next_frame_and_keeps_the_others():
    context = Context({"name": "attention"}, until=3)
    with pytest.raises(Cancelled):
        room.run_job(context)  # type: ignore[arg-type]
    assert len(context.frames) == 4  # the scene and three frames


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"name": "gann"}, "Did you mean 'gan'?"),
        ({}, "lesson '' is not known"),
        ({"name": "gan", "controls": []}, "controls is []"),
        ({"name": "gan", "controls": {"turns": 99}}, "turns is 99"),
        ({"name": "gan", "seed": "7"}, "seed is '7'"),
        ({"name": "gan", "seed": -1}, "seed is -1"),
    ],
)
def test_a_request_that_cannot_be_is_refused_at_once(request_: dict[str, Any], words: str):
    with pytest.raises((BadRequest, UnknownName)) as refused:
        room.check(request_)
    assert words in str(refused.value)


def test_a_lesson_goes_through_the_queue_and_its_frames_are_told_in_order(tmp_path: Path):
    from danqing.interfaces import _worker
    from danqing.interfaces.api import create_app

    app = create_app(tmp_path, workers=False)
    client = TestClient(app, base_url="http://127.0.0.1:7373")
    refused = client.post("/api/jobs", json={"verb": "lesson", "request": {"name": "gann"}})
    assert refused.status_code == 400
    assert "Did you mean 'gan'?" in refused.json()["error"]["message"]
    asked = {"name": "form", "controls": {"form": "对联"}, "seed": 3}
    job = client.post("/api/jobs", json={"verb": "lesson", "request": asked, "lane": "quick", "keep": False}).json()
    queue = app.state.studio.queue
    claimed = queue.claim("quick", "worker")
    assert claimed is not None
    _worker.run(queue, claimed, "worker", _worker.kinds())
    done = client.get(f"/api/jobs/{job['id']}").json()
    assert (done["state"], done["error"]) == ("done", None)
    frames = client.get(f"/api/jobs/{job['id']}/frames?from=0").json()["frames"]
    assert len(frames) == done["frames"]
    assert "scene" in frames[0]
    assert client.get(f"/api/jobs/{job['id']}/frames?from={len(frames) - 1}").json()["frames"] == frames[-1:]
