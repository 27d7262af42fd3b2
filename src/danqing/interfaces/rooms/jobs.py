"""Jobs: asked for, looked at, cancelled, put in another order, cleared away."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict

from danqing.interfaces._desk import Wish
from danqing.interfaces.rooms import Refused, Studio, studio
from danqing.sessions.jobs import Job

router = APIRouter(tags=["jobs"])
Here = Annotated[Studio, Depends(studio)]


class Asked(BaseModel):
    """What a job is to do."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"verb": "write", "request": {"form": "五绝", "topic": "秋江夜泊"}}]},
    )

    verb: str
    request: dict[str, Any] = {}
    lane: str | None = None
    keep: bool = True


class Moved(BaseModel):
    """Where a job is to wait: before another one, or last."""

    before: str | None = None


@router.post("/jobs", status_code=201)
async def add(asked: Asked, here: Here) -> dict[str, Any]:
    """Queue a job; it is on the disk when the answer comes. Raises BadRequest for a request that cannot be met."""
    return as_dict(await here.desk.add(Wish(asked.verb, asked.request, asked.lane, asked.keep)))


@router.get("/jobs")
def listed(here: Here, limit: Annotated[int, Query(ge=0, le=1000)] = 100) -> dict[str, Any]:
    """The newest first."""
    return {"jobs": [as_dict(job) for job in here.queue.jobs(limit)]}


@router.post("/jobs/clear")
def clear(here: Here) -> dict[str, int]:
    """Forget all finished jobs; their works stay."""
    removed = here.queue.clear()
    here.wake()
    return {"removed": removed}


@router.get("/jobs/{name}")
def one(name: str, here: Here) -> dict[str, Any]:
    """One job."""
    return as_dict(here.queue.get(name))


@router.post("/jobs/{name}/cancel")
def cancel(name: str, here: Here) -> dict[str, Any]:
    """Stop it, within one step; what it looked like last stays."""
    job = here.queue.cancel(name)
    here.wake()
    return as_dict(job)


@router.post("/jobs/{name}/retry")
def retry(name: str, here: Here) -> dict[str, Any]:
    """Try a failed or cancelled one again."""
    job = here.queue.retry(name)
    here.wake()
    return as_dict(job)


@router.post("/jobs/{name}/move")
def move(name: str, moved: Moved, here: Here) -> dict[str, Any]:
    """Let a waiting one wait somewhere else in its lane."""
    job = here.queue.move(name, moved.before)
    here.wake()
    return as_dict(job)


@router.delete("/jobs/{name}")
def remove(name: str, here: Here) -> dict[str, str]:
    """Forget a finished one."""
    here.queue.remove(name)
    here.wake()
    return {"id": name}


@router.get("/jobs/{name}/preview", response_class=FileResponse)
def preview(name: str, here: Here) -> FileResponse:
    """How it looked last."""
    job = here.queue.get(name)
    path = here.queue.folder(job.id) / "preview.webp"
    if not path.is_file():
        raise Refused(404, "NotFound", f"job {name} has shown nothing yet")
    return FileResponse(path, media_type="image/webp")


@router.get("/jobs/{name}/frames")
def frames(
    name: str, here: Here, first: Annotated[int, Query(alias="from", ge=0, le=2**31)] = 0
) -> dict[str, list[Any]]:
    """What it has told so far, from a frame on."""
    return {"frames": here.queue.frames(name, first)}


def as_dict(job: Job) -> dict[str, Any]:
    """A job as a page sees it."""
    return dict(vars(job))  # what is in it is never changed: nothing is copied
