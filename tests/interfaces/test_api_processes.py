"""The studio as it runs: a server and its workers, killed in the middle, lose nothing and do nothing twice."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from danqing.artwork.shelf import Shelf
from danqing.errors import Unavailable
from danqing.interfaces import _crew, _serve
from danqing.sessions.jobs import Queue

STORY = {"verb": "write", "request": {"form": "story", "language": "en", "length": 200, "seed": 5}}  # takes seconds
COUPLET = {"verb": "write", "request": {"form": "对联", "seed": 5}}
PATIENCE_S = 120


class Server:
    """A studio in a process of its own."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "danqing", "studio", "--port", "0", "--no-open", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "DANQING_HOME": str(home), "OMP_NUM_THREADS": "1"},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "address" in line, line + self.process.communicate()[1]
        self.address = json.loads(line)["address"].rstrip("/")

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """One request, its answer."""
        data = json.dumps(body).encode() if body is not None else None
        asked = urllib.request.Request(
            self.address + path,
            data,
            {"content-type": "application/json"},
            method=method or ("POST" if data else "GET"),
        )
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.load(answer)

    def workers(self) -> list[int]:
        """The processes of its workers."""
        return [pid for pid in self.children() if b"_worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def children(self) -> list[int]:
        """All processes that it has started: its workers, and the one that looks at files."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError, ValueError):
                if int((path / "stat").read_text().rpartition(")")[2].split()[1]) == self.process.pid:
                    found.append(int(path.name))
        return found

    def end(self, number: int = signal.SIGINT) -> int:
        """Send it a signal and wait for its end; its exit code."""
        self.process.send_signal(number)
        self.process.communicate(timeout=30)
        return self.process.returncode


@pytest.fixture
def studio(tmp_path) -> Iterator[Callable[[], Server]]:
    begun: list[Server] = []

    def begin() -> Server:
        begun.append(Server(tmp_path / "home"))
        return begun[-1]

    yield begin
    for server in begun:
        if server.process.poll() is None:
            server.end(signal.SIGKILL)


def until(true: Callable[[], Any]) -> Any:
    """Wait until something is so; its value."""
    end = time.monotonic() + PATIENCE_S
    while not (value := true()):
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)
    return value


def gone(process: int) -> bool:
    try:
        return "Z" in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")


@needs_proc
def test_a_studio_killed_in_the_middle_goes_on_where_it_was(studio, tmp_path):
    first = studio()
    long, waiting = first.ask("/api/jobs", STORY), first.ask("/api/jobs", COUPLET)
    until(lambda: first.ask(f"/api/jobs/{long['id']}")["done"] >= 1)
    children = first.children()
    assert (len(first.workers()), len(children)) == (2, 3)
    first.end(signal.SIGKILL)
    until(lambda: all(gone(child) for child in children))  # they end with it
    assert Queue(tmp_path / "home").get(long["id"]).state == "running"
    second = studio()
    found = {
        job["id"]: until(lambda job=job: (now := second.ask(f"/api/jobs/{job['id']}"))["state"] == "done" and now)
        for job in (long, waiting)
    }
    works = second.ask("/api/works")
    assert works["total"] == 2  # nothing lost, nothing made twice
    assert {work["id"] for work in works["works"]} == {name for job in found.values() for name in job["works"]}
    again = second.ask("/api/jobs", COUPLET)  # the same seed is the same work
    until(lambda: second.ask(f"/api/jobs/{again['id']}")["state"] == "done")
    assert second.ask("/api/works")["total"] == 2
    assert second.end() == 0


def test_no_job_that_was_answered_for_is_lost_when_the_server_is_killed_while_many_ask(studio, tmp_path):
    server, answered = studio(), []

    def ask() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):  # until it is killed
            while True:
                answered.append(server.ask("/api/jobs", COUPLET)["id"])

    asking = [threading.Thread(target=ask) for _ in range(8)]
    for each in asking:
        each.start()
    until(lambda: len(answered) > 60)
    server.end(signal.SIGKILL)
    for each in asking:
        each.join()
    assert set(answered) <= {job.id for job in Queue(tmp_path / "home").jobs(10_000)}


@needs_proc
def test_a_killed_worker_is_replaced_and_a_job_that_kills_two_has_failed(studio):
    server = studio()
    job = server.ask("/api/jobs", STORY)

    def killed() -> None:
        until(lambda: server.ask(f"/api/jobs/{job['id']}")["done"] >= 1)
        before = server.workers()
        busy = max(before, key=lambda pid: int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11]))
        os.kill(busy, signal.SIGKILL)
        until(lambda: len(now := server.workers()) == 2 and busy not in now)

    killed()
    until(lambda: server.ask(f"/api/jobs/{job['id']}")["state"] == "running")
    killed()
    failed = until(lambda: (now := server.ask(f"/api/jobs/{job['id']}"))["state"] == "failed" and now)
    assert failed["error"]["kind"] == "WorkerDied"
    after = server.ask("/api/jobs", COUPLET)
    assert until(lambda: (now := server.ask(f"/api/jobs/{after['id']}"))["state"] == "done" and now)["works"]


def test_a_cancelled_job_stops_and_keeps_what_it_has_shown(studio, tmp_path):
    server = studio()
    photo = Path(__file__).parents[2] / "docs" / "images" / "photo.jpg"
    asked = urllib.request.Request(server.address + "/api/uploads?name=photo.jpg", photo.read_bytes())
    with urllib.request.urlopen(asked, timeout=60) as answer:
        upload = json.load(answer)["id"]
    style = {"photo": {"upload": upload}, "styles": ["monet"], "size": 1024}
    job = server.ask("/api/jobs", {"verb": "stylize", "request": style})
    until(lambda: server.ask(f"/api/jobs/{job['id']}")["preview"] >= 1)
    server.ask(f"/api/jobs/{job['id']}/cancel", {})
    stopped = until(lambda: (now := server.ask(f"/api/jobs/{job['id']}"))["state"] == "cancelled" and now)
    assert stopped["works"] == []
    with urllib.request.urlopen(f"{server.address}/api/jobs/{job['id']}/preview", timeout=30) as answer:
        assert answer.read()[8:12] == b"WEBP"
    assert Shelf(tmp_path / "home").count() == 0


def listen(server: Server, last: int | None = None) -> Iterator[tuple[int, str, Any]]:
    """What the stream of events tells: revision, kind, body."""
    heads = {"last-event-id": str(last)} if last is not None else {}
    asked = urllib.request.Request(server.address + "/api/events", headers=heads)
    with urllib.request.urlopen(asked, timeout=60) as stream:
        event: dict[str, str] = {}
        for raw in stream:
            key, _, value = raw.decode().rstrip("\n").partition(": ")
            if key in ("id", "event", "data"):
                event[key] = value
            elif not key and event:
                yield int(event["id"]), event["event"], json.loads(event["data"])
                event = {}


def test_whoever_listens_is_told_and_can_take_up_where_it_broke_off(studio):
    server = studio()

    job = server.ask("/api/jobs", COUPLET)
    seen = []
    for revision, kind, body in listen(server):
        seen.append((revision, kind, body))
        if kind == "work":
            break
    states = [body["state"] for _, kind, body in seen if kind == "job"]
    assert (states[0] in ("queued", "running"), states[-1]) == (True, "done")
    assert [number for number, _, _ in seen] == sorted(number for number, _, _ in seen)
    work = seen[-1][2]
    assert work["text"]
    server.ask(f"/api/works/{work['id']}", {"rating": 3}, "PATCH")
    server.ask(f"/api/works/{work['id']}", method="DELETE")
    server.ask("/api/jobs/clear", {})
    told = []
    for _, kind, body in listen(server, seen[-1][0]):
        if kind.endswith("-removed"):
            told.append((kind, body["id"]))
        if len(told) == 2:
            break
    assert told == [("work-removed", work["id"]), ("job-removed", job["id"])]


def test_whoever_listens_is_told_of_what_another_program_does_to_the_shelf(studio, tmp_path):
    server, shelf = studio(), Shelf(tmp_path / "home")
    assert server.ask("/api/works")["total"] == 0
    told = listen(server, 0)  # the terminal makes the first thing that there is to tell
    terminal = threading.Thread(
        target=danqing, args=["write", "--form", "五绝", "--seed", "1"], kwargs={"home": shelf.home}
    )
    terminal.start()
    first, kind, _ = next(told)
    terminal.join()
    (work,) = shelf.works()
    shelf.rate(work.id, 4)
    second, again, _ = next(told)
    assert (kind, again, second > first) == ("shelf", "shelf", True)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_ctrl_c_closes_it_cleanly_while_somebody_listens(studio):
    server = studio()
    with urllib.request.urlopen(server.address + "/api/events", timeout=30):
        assert server.end() == 0


def test_two_studios_never_share_a_home(studio, tmp_path):
    studio()
    with pytest.raises(Unavailable, match="open on"):
        _crew.Home(tmp_path / "home")


def danqing(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "danqing", *words], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "DANQING_HOME": str(home)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--host", "0.0.0.0"], 2, "--token auto"),
        (["--host", "example.org"], 2, "--token auto"),
        (["--host", "0.0.0.0", "--token", "short"], 2, "12 or more"),
        (["--port", "70000"], 2, "65535"),
        (["--host", "203.0.113.9", "--token", "auto"], 2, "cannot be listened on"),
    ],
)
def test_what_it_will_not_begin_with(tmp_path, words, code, message):
    done = danqing("studio", "--no-open", *words, home=tmp_path)
    assert (done.returncode, message in done.stderr, done.stderr.count("\n")) == (code, True, 1), done.stderr


def test_a_taken_port_is_one_clear_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = danqing("studio", "--no-open", "--port", str(port), home=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"port {port} is taken; add --port {port + 1}" in done.stderr


def test_nothing_in_the_studio_reaches_another_machine():
    program = (
        "import socket, urllib.request\nfrom danqing.errors import Unavailable\nfrom danqing.interfaces import _guard\n"
        "_guard.keep_inside()\n"
        "door = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(door.getsockname()).close()\n"
        "for ask in (lambda: urllib.request.urlopen('http://example.org/'),\n"
        "            lambda: socket.create_connection(('1.1.1.1', 80)),\n"
        "            lambda: socket.getaddrinfo('example.org', 80), lambda: socket.gethostbyname('example.org')):\n"
        "    try:\n        ask()\n    except Unavailable:\n        continue\n    raise SystemExit('it went out')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_help_needs_neither_server_nor_database_nor_pytorch():
    program = (
        "import sys\nfrom danqing.interfaces.cli import main\nassert main(['--help']) == 0\n"
        "heavy = {'torch', 'fastapi', 'uvicorn', 'sqlalchemy', 'starlette', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_an_address_is_what_a_browser_takes():
    assert _serve._address("127.0.0.1", 7373) == "http://127.0.0.1:7373/"
    assert _serve._address("::1", 7373) == "http://[::1]:7373/"
    assert [_serve.is_own(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "192.168.1.2")] == [
        True, True, True, False, False,
    ]  # fmt: skip
