"""Lessons in the studio: what there is to learn, and a job that runs one and tells its frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from danqing import lessons
from danqing.artwork.request import Step
from danqing.errors import BadRequest

if TYPE_CHECKING:
    from danqing.interfaces._worker import JobContext

router = APIRouter(tags=["lessons"])


@router.get("/lessons")
def known() -> dict[str, Any]:
    """Every lesson: its titles, explanations and controls, in both languages."""
    return {"lessons": [lessons.get(name).as_dict() for name in lessons.names()]}


def check(request: dict[str, Any]) -> dict[str, Any]:
    """A job's request with every control set; raises UnknownName, BadRequest."""
    controls, seed = request.get("controls", {}), request.get("seed", lessons.SEED)
    if not isinstance(controls, dict):
        raise BadRequest(f"controls is {controls!r}; it is an object of the lesson's controls, {{'steps': 4}}")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
        raise BadRequest(f"seed is {seed!r}; it is a whole number between 0 and {2**31 - 1}")
    lesson = lessons.get(str(request.get("name", "")))
    return {"name": lesson.name, "controls": lesson.read(controls), "seed": seed}


def run_job(context: JobContext) -> None:
    """Run the lesson; a cancelled one stops at its next frame and keeps those it has told."""
    asked = check(context.request)

    def on_frame(frame: lessons.Frame) -> None:
        context.frame(frame)
        if "scene" not in frame:
            context.on_step(Step(frame["step"], frame["of"], asked["name"]))

    lessons.run(asked["name"], asked["controls"], asked["seed"], on_frame)
    context.done(report=asked)


JOBS = {"lesson": run_job}
CHECKS = {"lesson": check}
