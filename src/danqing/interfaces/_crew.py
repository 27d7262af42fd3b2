"""The workers of a studio, seen from the server: started, woken, watched, replaced when they fall.

Whether a worker lives is known from its process, not from a clock: a laptop that slept is no worker that died. The
lock on `studio.lock` says the same of the studio itself: the system lets go of it however the studio ends, so whoever
gets it knows that no other studio and no worker of one is at this home, and queues again what they had begun.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from danqing.errors import Unavailable
from danqing.sessions.jobs import LANES, Queue

log = logging.getLogger(__name__)

WATCH_S = 0.2
STOP_GRACE_S = 20.0  # a job that does not stop by itself is stopped with its worker
FALLS = 5  # a lane whose worker falls so often in a row, each within SOON_S, rests longer and longer
SOON_S = 10.0
STANDING = ("long", "quick")  # lanes whose worker is there from the start; the others' comes with their first job


@dataclass
class _Worker:
    name: str
    process: subprocess.Popen[bytes]
    since: float


class Home:
    """The right to be the one studio of a home. Raises Unavailable where another one has it."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._lock = sqlite3.connect(home / "studio.lock", timeout=1.0, isolation_level=None, check_same_thread=False)
        try:
            self._lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            self._lock.close()
            raise Unavailable(
                f"a studio is open on {home} already; go on there, close it, or set DANQING_HOME to another folder"
            ) from None

    def close(self) -> None:
        """Give it up."""
        self._lock.close()


class Crew:
    """One worker for each lane. `start` begins, `stop` ends all of it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._queue = Queue(home)
        self._workers: dict[str, _Worker] = {}
        self._falls = dict.fromkeys(LANES, 0)
        self._rest = dict.fromkeys(LANES, 0.0)  # until when a lane rests
        self._wanted = set(STANDING)
        self._ending = threading.Event()
        self._awake = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="crew", daemon=True)

    def start(self) -> None:
        """Queue again what an earlier studio left half done, and start the workers."""
        self._lock = Home(self.home)
        self._queue.recover((), died=False)
        for lane in self._wanted:
            self._hire(lane)
        self._thread.start()

    def stop(self) -> None:
        """End the workers; what they are at stays in the queue."""
        self._ending.set()
        self._awake.set()
        self._thread.join(timeout=5)
        for worker in self._workers.values():
            _dismiss(worker)
        self._queue.recover((), died=False)
        self._lock.close()

    def wake(self) -> None:
        """Something is new in the queue."""
        for worker in list(self._workers.values()):
            try:
                assert worker.process.stdin is not None
                worker.process.stdin.write(b"\n")
                worker.process.stdin.flush()
            except (OSError, ValueError):  # it has just fallen; the watch sees it
                continue
        self._awake.set()

    def pids(self) -> dict[str, int]:
        """The worker's process of each lane."""
        return {lane: worker.process.pid for lane, worker in self._workers.items()}

    def _watch(self) -> None:
        while not self._ending.is_set():
            try:
                self._look()
            except Exception:  # a full disk, for example: the watch goes on, and is there when it is over
                log.exception("the watch over the workers")
            self._awake.wait(WATCH_S)
            self._awake.clear()

    def _look(self) -> None:
        fallen = [lane for lane, worker in self._workers.items() if worker.process.poll() is not None]
        for lane in fallen:
            worker = self._workers.pop(lane)
            _dismiss(worker)
            soon = time.monotonic() - worker.since < SOON_S
            self._falls[lane] = self._falls[lane] + 1 if soon else 1
            if self._falls[lane] >= FALLS:
                self._rest[lane] = time.monotonic() + min(60.0, 2.0 ** (self._falls[lane] - FALLS))
            log.warning("the worker of lane %s ended with %s", lane, worker.process.returncode)
        if fallen:
            self._queue.recover({worker.name for worker in self._workers.values()})
        for job in self._queue.jobs(len(LANES), states=("queued",)) if len(self._workers) < len(LANES) else ():
            self._wanted.add(job.lane)
        for lane in self._wanted - set(self._workers):
            if time.monotonic() >= self._rest[lane]:
                self._hire(lane)
        for job_id, name in self._queue.overdue(STOP_GRACE_S):
            log.warning("job %s does not stop; its worker is ended", job_id)
            for worker in self._workers.values():
                if worker.name == name:
                    worker.process.kill()

    def _hire(self, lane: str) -> None:
        name = f"{lane}-{secrets.token_hex(4)}"
        asked = json.dumps({"home": str(self.home), "lane": lane, "worker": name})
        process = subprocess.Popen(
            [sys.executable, "-m", "danqing.interfaces._worker", asked],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=(self.home / "studio.log").open("ab"),
            env={**os.environ, "DANQING_HOME": str(self.home)},
            start_new_session=True,  # Ctrl-C in the terminal is the studio's to hear
        )
        self._workers[lane] = _Worker(name, process, time.monotonic())


def _dismiss(worker: _Worker) -> None:
    process = worker.process
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()  # it ends by itself
    try:
        process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
