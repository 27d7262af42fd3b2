"""A worker: a process that takes jobs of one lane from the queue and makes what they ask for.

It ends with the studio that started it: the studio holds the other end of its standard input, which closes whichever
way the studio goes. What it had begun stays in the queue and is begun again by the next one. Models stay loaded from
one job to the next. It can reach nothing beyond this machine.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from danqing import arts
from danqing.artwork.request import Step
from danqing.errors import Cancelled, DanqingError
from danqing.interfaces import _requests
from danqing.sessions.jobs import Job, Lost, Queue

if TYPE_CHECKING:
    from danqing.artwork.image import Picture
    from danqing.artwork.shelf import Shelf

PREVIEW_SIDE = 512  # px, the longer side
PREVIEW_EVERY_S = 0.5
REPORT_EVERY_S = 0.1  # progress is written this often, and whether to stop is asked
IDLE_S = 1.0  # how long a worker that nobody wakes waits before it looks
NICENESS = 5  # the page is answered first

log = logging.getLogger(__name__)


class JobContext:
    """What a job is run with: what was asked, and whom to tell."""

    def __init__(self, queue: Queue, job: Job, worker: str) -> None:
        self.id, self.verb, self.request, self.keep = job.id, job.verb, dict(job.request), job.keep
        self.home = queue.home
        self.finished = False
        self._queue, self._worker = queue, worker
        self._reported = 0.0  # when progress was last written
        self._shown = 0.0  # when a preview was last written

    @cached_property
    def shelf(self) -> Shelf:
        """Where works are kept."""
        from danqing.artwork.shelf import Shelf

        return Shelf(self.home)

    def find(self, given: Mapping[str, Any]) -> Path:
        """The file that {"upload": id} or {"work": id} stands for; raises BadRequest, UnknownName."""
        from danqing.interfaces import rooms

        return rooms.find(self.home, given)

    def upload(self, name: str) -> Path:
        """The file, or the folder of a collection, that was uploaded under an id."""
        return self.find({"upload": name})

    def on_step(self, step: Step) -> None:
        """Say how far it is; raises Cancelled as soon as the person wants it stopped."""
        if step.line is not None:
            self.frame({"line": step.line})
            return
        now = time.monotonic()
        if step.preview is not None and now - self._shown >= PREVIEW_EVERY_S:
            self.preview(step.preview())
        if now - self._reported >= REPORT_EVERY_S or step.done == 0:
            self._reported = now
            self._stop_if(self._queue.progress(self.id, self._worker, step.done, step.total, step.stage))

    def frame(self, told: Any) -> None:
        """Tell something, as JSON; whoever watches reads it in order. Raises Cancelled."""
        self._stop_if(self._queue.frame(self.id, self._worker, told))

    def preview(self, picture: Picture) -> None:
        """Show how it looks so far."""
        from danqing.artwork import files

        folder = self._queue.folder(self.id)
        folder.mkdir(parents=True, exist_ok=True)
        files.write(_small(picture), folder / "preview.webp", force=True)
        self._shown = time.monotonic()
        self._queue.progress(self.id, self._worker, preview=True)

    def done(self, works: Sequence[Any] = (), report: Any = None) -> None:
        """It is done: these works (`shelf.Work`, or their ids) are on the shelf, this is what it found."""
        names = [work if isinstance(work, str) else work.id for work in works]
        self._queue.finish(self.id, self._worker, names, report)
        self.finished = True

    def _stop_if(self, asked: bool) -> None:
        if asked:
            raise Cancelled("stopped")


def _small(picture: Picture) -> bytes:
    import io

    import numpy as np
    from PIL import Image

    image = Image.fromarray(np.rint(picture.pixels * np.float32(255)).astype(np.uint8))
    image.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    out = io.BytesIO()
    image.save(out, "WEBP", quality=80, method=2)
    return out.getvalue()


# --- kinds of jobs ----------------------------------------------------------------------------------------------------


def run_art(context: JobContext) -> None:
    """Any art: its works go on the shelf; what only a glance was wanted of is shown as the job's preview."""
    from danqing import studio

    asked = _requests.build(context.verb, context.request, context.find)
    context.on_step(Step(0, 0, "reading"))
    if context.verb in arts.REPORTS:
        found = studio.report(asked, on_step=context.on_step)
        language = str(context.request.get("language") or "")
        told = [{**report.as_dict(), "lines": list(report.lines(language))} for report in found]
        context.done(report={"reports": told})
        return
    if context.keep:
        context.done([creation.work for creation in studio.create_all(asked, on_step=context.on_step)])
        return
    import tempfile

    from danqing.artwork.shelf import Shelf

    with tempfile.TemporaryDirectory(prefix="danqing-") as folder:  # a shelf of its own, thrown away
        made = studio.create_all(asked, on_step=context.on_step, shelf=Shelf(Path(folder)))
    for creation in made:
        if creation.artwork.media == "picture":
            context.preview(creation.artwork.content)  # type: ignore[arg-type]
        elif creation.artwork.media == "text":
            context.frame({"text": str(creation.artwork.content)})
    context.done()


def kinds() -> dict[str, Callable[[JobContext], None]]:
    """Every kind of job: the arts, and what the rooms bring."""
    from danqing.interfaces import rooms

    verbs = [*arts.names(), *arts.REPORTS, *arts.SUITES]
    return {**dict.fromkeys(verbs, run_art), **rooms.job_kinds()}


# --- the process ------------------------------------------------------------------------------------------------------


def run(queue: Queue, job: Job, worker: str, known: dict[str, Callable[[JobContext], None]]) -> None:
    """Run one job and write down how it ended; whatever it raises is its own end and not the worker's."""
    context = JobContext(queue, job, worker)
    try:
        try:
            if job.verb not in known:
                raise DanqingError(f"no room of this studio does {job.verb!r} any more")
            known[job.verb](context)
            if not context.finished:
                context.done()
        except Lost:
            raise
        except Cancelled:
            queue.stopped(job.id, worker)
        except DanqingError as error:
            queue.fail(job.id, worker, type(error).__name__, str(error))
        except MemoryError:
            queue.fail(job.id, worker, "MemoryError", "there is not memory enough for this; try a smaller size")
        except Exception as error:
            log.exception("job %s (%s)", job.id, job.verb)
            words = " ".join(str(error).split()) or type(error).__name__
            queue.fail(job.id, worker, type(error).__name__, f"{type(error).__name__}: {words}")
    except Lost:  # the job was given to another: what was made here is that one's to tell
        log.warning("job %s was given to another worker", job.id)


def work(queue: Queue, lane: str, worker: str, awake: threading.Event) -> None:
    """Take jobs for ever."""
    known = kinds()
    while True:
        awake.clear()
        job = queue.claim(lane, worker)
        if job is None:
            awake.wait(IDLE_S)
            continue
        run(queue, job, worker, known)


def _listen(awake: threading.Event) -> None:
    """Wake at every line of the studio's; end at once when the studio has gone."""
    while os.read(0, 4096):
        awake.set()
    os._exit(0)


def main(argv: Sequence[str]) -> None:
    """`python -m danqing.interfaces._worker '{"home": …, "lane": …, "worker": …}'`."""
    asked = json.loads(argv[0])
    from danqing.interfaces import _guard

    _guard.keep_inside()
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    home = Path(asked["home"])
    os.environ["DANQING_HOME"] = str(home)
    logging.basicConfig(filename=home / "studio.log", format="%(asctime)s %(process)d %(message)s", level="WARNING")
    awake = threading.Event()
    threading.Thread(target=_listen, args=(awake,), daemon=True).start()
    work(Queue(home), asked["lane"], asked["worker"], awake)


if __name__ == "__main__":
    main(sys.argv[1:])
