"""The rooms of the studio, one file each: its routes on `router`, mounted under /api by `danqing.interfaces.api`.

A room may bring jobs of its own kind beside the arts': `JOBS = {"lesson": run_job}` says what a worker runs, with a
`danqing.interfaces._worker.JobContext`, and `CHECKS = {"lesson": check}` what a request must be: it is called with the
request when the job is added, raises BadRequest, and returns the request as it is kept. `import danqing.interfaces.api`
imports every room, so a room imports PyTorch inside its functions only, and does nothing long in a route.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request

from danqing.errors import DanqingError, UnknownName
from danqing.interfaces._requests import HEX

if TYPE_CHECKING:
    from danqing.artwork.shelf import Shelf
    from danqing.interfaces._desk import Desk
    from danqing.sessions.jobs import Queue


class Refused(DanqingError):
    """An answer with a status of its own: `Refused(413, "TooLarge", "one line")`."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        self.status, self.kind = status, kind
        super().__init__(message)


@dataclass
class Studio:
    """What every room works with: `studio(request)` gives it."""

    home: Path
    wake: Callable[[], None] = field(default=lambda: None)  # tells the workers and the watchers that something is new

    @cached_property
    def shelf(self) -> Shelf:
        """The works."""
        from danqing.artwork.shelf import Shelf

        return Shelf(self.home)

    @cached_property
    def queue(self) -> Queue:
        """The jobs."""
        from danqing.sessions.jobs import Queue

        return Queue(self.home)

    @cached_property
    def desk(self) -> Desk:
        """Where jobs are asked for."""
        from danqing.interfaces._desk import Desk

        return Desk(self)

    def find(self, given: Mapping[str, Any]) -> Path:
        """The file that {"upload": id} or {"work": id} stands for; raises BadRequest, UnknownName."""
        return find(self.home, given, self.shelf)

    def told(self, kind: str, name: str) -> None:
        """Tell everybody who watches that a work is new or was changed ("work") or has gone ("work-removed")."""
        self.queue.tell(kind, name)
        self.wake()


async def studio(request: Request) -> Studio:
    """The studio that a request came to. It waits for nothing: FastAPI would look a plain function up in a thread."""
    found: Studio = request.app.state.studio
    return found


def find(home: Path, given: Mapping[str, Any], shelf: Shelf | None = None) -> Path:
    """As `Studio.find`, where there is no server: in a worker."""
    from danqing.interfaces import _uploads

    if set(given) == {"upload"}:
        return _uploads.get(home, str(given["upload"])).path
    if set(given) == {"work"} and isinstance(given["work"], str) and HEX.fullmatch(given["work"]):
        from danqing.artwork.shelf import Shelf

        return (shelf or Shelf(home)).get(given["work"]).path
    raise UnknownName("file", str(dict(given))[:80], (), 'it is {"upload": ID} or {"work": ID}')


@cache
def modules() -> tuple[Any, ...]:
    """Every room, sorted by name."""
    return tuple(importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))


@cache
def job_kinds() -> dict[str, Callable[[Any], None]]:
    """Every kind of job that a room brings: what runs it."""
    return {verb: run for module in modules() for verb, run in getattr(module, "JOBS", {}).items()}


@cache
def job_checks() -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
    """Every kind of job that a room brings: what checks its request."""
    return {verb: check for module in modules() for verb, check in getattr(module, "CHECKS", {}).items()}
