"""The room of suites: an idea's mood, a suite as a job, its page and its ZIP."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict

from danqing.errors import BadRequest
from danqing.interfaces import _requests
from danqing.interfaces.rooms import Refused, Studio, studio

if TYPE_CHECKING:
    from danqing.interfaces._worker import JobContext

router = APIRouter(tags=["suite"])
Here = Annotated[Studio, Depends(studio)]
NAME = re.compile("[0-9a-f]{8}")


class Idea(BaseModel):
    """An idea, and what a person set of its mood."""

    model_config = ConfigDict(extra="forbid")

    idea: str
    valence: float | None = None
    arousal: float | None = None
    density: float | None = None
    season: str | None = None
    time: str | None = None


@router.post("/suite/mood")
def mood(idea: Idea) -> dict[str, Any]:
    """The mood that is read from an idea, with what was set instead, in numbers and in words."""
    from danqing.arts.suite import Suite

    found = Suite(**idea.model_dump()).mood()
    words = {language: found.words(language) for language in ("en", "zh")}
    return {"mood": found.as_dict(), "words": words, "says": {name: found.sentence(name) for name in ("en", "zh")}}


@router.get("/suite/{name}/zip", response_class=FileResponse)
def packed(name: str, here: Here) -> FileResponse:
    """Everything of a suite as one ZIP."""
    return _file(here, name, "suite.zip", "application/zip")


@router.get("/suite/{name}/page", response_class=FileResponse)
def page(name: str, here: Here) -> FileResponse:
    """The suite's page, to be kept: one file that needs nothing else."""
    return _file(here, name, "index.html", "text/html")


def _file(here: Studio, name: str, what: str, kind: str) -> FileResponse:
    path = here.home / "suites" / name / what
    if not NAME.fullmatch(name) or not path.is_file():
        raise Refused(404, "NotFound", f"there is no suite {name!r} here any more; make it again")
    return FileResponse(path, media_type=kind, filename=what, content_disposition_type="attachment")


def check(request: dict[str, Any]) -> dict[str, Any]:
    """A job's request with a seed; raises BadRequest, UnknownName for what cannot be made."""
    seeded = _requests.with_seed("suite", request)
    _requests.build("suite", seeded, _no_file)
    return seeded


def _no_file(given: Any) -> Any:
    raise BadRequest("a suite takes no files; give it an idea in words")


def run_job(context: JobContext) -> None:
    """Make the works, put them on the shelf and the folder beside it."""
    from danqing import studio as door
    from danqing.arts import suite, suite_page

    asked = _requests.build("suite", context.request, _no_file)
    made = door.create_all(asked, on_step=context.on_step, shelf=context.shelf)
    works = suite.parts([creation.artwork for creation in made])
    told = works["poem"].provenance.request["suite"]
    suite_page.publish(works, context.home / "suites" / told["name"], force=True)
    ids = {role: made[number].work.id for number, role in enumerate(suite.ROLES)}
    report = {"name": told["name"], "mood": told["mood"], "works": ids}
    context.done([creation.work for creation in made], report)


JOBS = {"suite": run_job}
CHECKS = {"suite": check}
