"""The studio's server: the page, the rooms' routes under /api, and one stream of what goes on.

It answers and keeps books, no more: works are made by the workers (`_crew`, `_worker`), files are decoded and encoded
in processes of their own (`_isolated`), so that it answers at once however much is being made. Whatever it
says it reads from SQLite, so it can be killed at any time: the next one says the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

import danqing
from danqing import arts
from danqing.artwork.shelf import default_home
from danqing.errors import DanqingError, OutputExists, Unavailable, UnknownName, WriteFailed
from danqing.interfaces import rooms
from danqing.interfaces._guard import Guard
from danqing.interfaces._page import Page
from danqing.interfaces.rooms import Refused, Studio
from danqing.sessions.jobs import Change, Job

PAGE = Path(__file__).parent / "web"
LOOK_S = 0.05  # how often the stream looks for news
HEARTBEAT_S = 15.0
REMEMBERED = 4096  # events that a page which comes back is given without asking the disk

log = logging.getLogger(__name__)
Living = Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]

NOT_BUILT = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Danqing 丹青</title></head><body>
<h1>Danqing 丹青</h1><p>The studio's server runs, and its page has not been built here. Build it once with Node 20:
<code>cd web &amp;&amp; npm ci &amp;&amp; npm run build</code>, then reload.</p>
<p>服务已在运行，但页面尚未构建。请用 Node 20 构建一次：
<code>cd web &amp;&amp; npm ci &amp;&amp; npm run build</code>，再刷新本页。</p>
</body></html>"""


def create_app(
    home: Path | None = None,
    *,
    workers: bool = True,
    host: str = "127.0.0.1",
    token: str | None = None,
    ready: Callable[[], None] = lambda: None,
) -> FastAPI:
    """The application. workers: False leaves the jobs lying, for tests of the routes; ready: told when it runs."""
    place = (home or default_home()).absolute()
    app = FastAPI(
        title="Danqing", version=danqing.__version__, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json",
        lifespan=_living(workers, ready),
    )  # fmt: skip
    app.state.studio = Studio(place)
    app.state.hub = Hub(app.state.studio)
    app.state.host_only = token is None
    _errors(app)
    app.get("/api/about", tags=["studio"])(_about)
    told: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}
    app.get("/api/events", tags=["studio"], response_class=StreamingResponse, responses=told)(events)
    for module in rooms.modules():
        app.include_router(module.router, prefix="/api")
    built = (PAGE / "index.html").is_file()
    app.get("/api/docs", include_in_schema=False)(_docs if built else _not_built)
    app.api_route("/api/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)(
        _nothing_here
    )
    if built:
        app.mount("/", Page(directory=PAGE, html=True))
    else:
        app.get("/", include_in_schema=False)(_not_built)
    app.add_middleware(Guard, host=host, token=token)
    return app


def _living(workers: bool, ready: Callable[[], None]) -> Living:
    @contextlib.asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[None]:
        from danqing.interfaces import _isolated
        from danqing.interfaces._crew import Crew

        here: Studio = app.state.studio
        hub: Hub = app.state.hub
        crew = Crew(here.home) if workers else None
        if crew is not None:
            await asyncio.to_thread(crew.start)
        app.state.crew = crew
        loop = asyncio.get_running_loop()

        def wake() -> None:
            if crew is not None:
                crew.wake()
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(hub.news.set)

        here.wake = wake
        watch = asyncio.create_task(hub.watch())
        try:
            with _isolated.at_hand():
                ready()
                yield
        finally:
            hub.close()
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
            if crew is not None:
                await asyncio.to_thread(crew.stop)

    return living


def _about(request: Request) -> dict[str, Any]:
    """Which Danqing this is, whether only this machine reaches it, and what it can make."""
    alone = bool(request.app.state.host_only)
    return {
        "version": danqing.__version__,
        "host_only": alone,
        "arts": [*arts.names(), *getattr(arts, "SUITES", ()), *arts.REPORTS],
    }


def _docs() -> Response:
    """The routes, readable: a page of our own that draws /api/openapi.json."""
    return RedirectResponse("/docs.html")


def _not_built() -> Response:
    return HTMLResponse(NOT_BUILT)


def _nothing_here(path: str) -> None:
    raise Refused(404, "NotFound", f"there is nothing at /api/{path[:80]}; what there is: /api/openapi.json")


# --- what goes wrong --------------------------------------------------------------------------------------------------


def status_of(error: DanqingError) -> int:
    """The HTTP status that an error of ours is told with."""
    if isinstance(error, Refused):
        return error.status
    if isinstance(error, UnknownName):
        return 404
    if isinstance(error, OutputExists | Unavailable):
        return 409
    if isinstance(error, WriteFailed):
        return 503
    return 400 if error.exit_code == 2 else 500


def _fault(status: int, kind: str, message: str) -> JSONResponse:
    return JSONResponse({"error": {"kind": kind, "message": message}}, status)


def _errors(app: FastAPI) -> None:
    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, DanqingError)
        kind = error.kind if isinstance(error, Refused) else type(error).__name__
        return _fault(status_of(error), kind, str(error))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = {404: "NotFound", 405: "NotAllowed"}.get(error.status_code, "Http")
        return _fault(error.status_code, kind, f"{request.method} {request.url.path[:80]}: {error.detail}")

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
        return _fault(400, "BadRequest", f"{where}: {first['msg']}")

    async def mistake(request: Request, error: Exception) -> Response:
        log.error("%s %s", request.method, request.url.path, exc_info=error)
        return _fault(500, type(error).__name__, "a mistake of the studio's own; what happened is in studio.log")

    app.exception_handler(DanqingError)(ours)
    app.exception_handler(HTTPException)(http)
    app.exception_handler(RequestValidationError)(invalid)
    app.exception_handler(Exception)(mistake)


# --- what goes on -----------------------------------------------------------------------------------------------------


class Hub:
    """Looks for news in one place and hands them to every page that listens; while none does it looks at nothing."""

    def __init__(self, here: Studio) -> None:
        self.news = asyncio.Event()  # something is known to have changed: look now
        self.closed = False
        self._here = here
        self._told: deque[tuple[int, str]] = deque(maxlen=REMEMBERED)
        self._from = 0  # everything after this revision is in `_told`
        self._now = 0
        self._arrived = asyncio.Condition()
        self._listeners = 0

    async def watch(self) -> None:
        """Look for news for ever."""
        await asyncio.to_thread(
            lambda: self._here.shelf.watch
        )  # what changes from now on is told to the first who comes
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.news.wait(), LOOK_S if self._listeners else None)
            self.news.clear()
            if not self._listeners:
                continue
            try:
                found = await asyncio.to_thread(self._look)
            except Exception:  # the disk is full, or jobs.db was taken away: say so once it is back
                log.exception("the stream of events")
                await asyncio.sleep(1.0)
                continue
            if found:
                for event in found:
                    if len(self._told) == REMEMBERED:
                        self._from = self._told[0][0]
                    self._told.append(event)
                self._now = found[-1][0]
                async with self._arrived:
                    self._arrived.notify_all()
            await asyncio.sleep(LOOK_S / 2)  # many changes within this time are one look

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """While somebody listens. The first one begins with what is now: before, nobody looked."""
        if self._listeners == 0:
            self._told.clear()
            self._now = self._from = await asyncio.to_thread(self._here.queue.revision)
        self._listeners += 1
        self.news.set()
        try:
            yield
        finally:
            self._listeners -= 1

    def close(self) -> None:
        """End every stream."""
        self.closed = True

    async def since(self, revision: int) -> list[tuple[int, str]]:
        """The events after a revision; waits for one, or for the heartbeat."""
        if revision < self._from or revision > self._now:  # older than what is remembered, or of another jobs.db
            return await asyncio.to_thread(self._read, revision if revision < self._from else 0)
        if revision == self._now:
            with contextlib.suppress(TimeoutError):
                async with self._arrived:
                    await asyncio.wait_for(self._arrived.wait(), HEARTBEAT_S)
        return [event for event in self._told if event[0] > revision]

    async def current(self) -> tuple[int, list[str]]:
        """The revision of now, and an event for each job that waits or runs: for a page that has just come."""
        here = self._here.queue

        def look() -> tuple[int, list[str]]:
            now = here.revision()
            return now, [_event(now, "job", vars(job)) for job in here.jobs(200, states=("queued", "running"))]

        return await asyncio.to_thread(look)

    def _look(self) -> list[tuple[int, str]]:
        if self._here.shelf.watch.changed():  # by the studio, or by another program: the terminal, a script
            self._here.queue.tell("shelf", "")
        return self._read(self._now) if self._here.queue.watch.changed() else []

    def _read(self, revision: int) -> list[tuple[int, str]]:
        changes = self._here.queue.since(revision)
        jobs = self._here.queue.named([change.id for change in changes if change.kind == "job"])
        return [(change.revision, self._event(change, jobs)) for change in changes]

    def _event(self, change: Change, jobs: Mapping[str, Job]) -> str:
        """One change as it stands now; what has gone in the meantime is told as gone."""
        from danqing.interfaces.rooms import works

        if change.kind == "job" and change.id in jobs:
            return _event(change.revision, "job", vars(jobs[change.id]))
        if change.kind == "work":
            with contextlib.suppress(DanqingError):
                return _event(change.revision, "work", works.as_dict(self._here.shelf.get(change.id)))
        gone = "-removed" if change.kind in ("job", "work") else ""
        return _event(change.revision, change.kind + gone, {"id": change.id})


def _event(revision: int, kind: str, body: Any) -> str:
    return f"id: {revision}\nevent: {kind}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n"


async def events(request: Request) -> StreamingResponse:
    """Server-sent events. Last-Event-ID resumes where it broke off.

    `job` and `work` tell one as it stands, `job-removed` and `work-removed` its id; `shelf` tells that something has
    changed among the works, perhaps by another program: a list of them is to be asked for again.
    """
    hub: Hub = request.app.state.hub
    last = request.headers.get("last-event-id") or request.query_params.get("since", "")

    async def stream() -> AsyncIterator[str]:
        async with hub.listening():
            if last.isascii() and last.isdigit():
                now = int(last)
                yield ": again\n\n"
            else:
                now, first = await hub.current()
                yield "retry: 1000\n\n" + "".join(first)
            while not hub.closed:
                found = await hub.since(now)
                if not found:
                    yield ": still here\n\n"
                    continue
                now = found[-1][0]
                yield "".join(text for _, text in found)

    return StreamingResponse(stream(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})
