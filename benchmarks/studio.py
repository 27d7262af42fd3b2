"""The studio under load: many clients with small jobs, the server killed in the middle; how quick it answers meanwhile.

    python benchmarks/studio.py [--clients 50] [--jobs 20] [--out FOLDER]

Each client asks for its jobs one after another without waiting for them to be done: 对联 (a Chinese couplet) by the
model that ships, each with a seed of its own, half of them in each lane. The same content is the same work, so the
shelf must hold exactly the works that the jobs tell of, and the queue every job that was answered with. When a third
is done the server is killed (-9) and started again. While two workers are busy, one more client asks for the page and
the lists in turn; the p50 and p95 of its answers are what a person would feel.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ASKED = ("/", "/api/about", "/api/jobs?limit=100", "/api/works?limit=60", "/api/arts", "/api/styles", "/api/tags")
KILLED_AT = 1 / 3  # of the jobs


class Server:
    """A studio of its own."""

    def __init__(self, home: Path) -> None:
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "danqing", "studio", "--port", "0", "--no-open", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "DANQING_HOME": str(home), "OMP_NUM_THREADS": "1"},
        )
        assert self.process.stdout is not None
        address = json.loads(self.process.stdout.readline())["address"]
        self.port = int(address.rstrip("/").rpartition(":")[2])
        self.seconds = time.perf_counter() - began

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            data = json.dumps(body) if body is not None else None
            connection.request(method, path, data, {"content-type": "application/json"} if data else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def percentile(values: list[float], part: float) -> float:
    """Of sorted values."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def ask_for_all(server: Server, clients: int, jobs: int) -> tuple[list[str], list[float]]:
    """Every client's jobs; the ids that were answered with, and how long each took."""

    def client(number: int) -> list[tuple[str, float]]:
        found = []
        for job in range(jobs):
            began = time.perf_counter()
            body = {
                "verb": "write",
                "request": {"form": "对联", "seed": number * jobs + job},
                "lane": "quick" if (number + job) % 2 else "long",
            }
            status, answer = server.ask("POST", "/api/jobs", body)
            assert status == 201, answer
            found.append((json.loads(answer)["id"], time.perf_counter() - began))
        return found

    with ThreadPoolExecutor(clients) as pool:
        told = [one for each in pool.map(client, range(clients)) for one in each]
    return [name for name, _ in told], [seconds for _, seconds in told]


def states(home: Path) -> dict[str, int]:
    """How many jobs are in each state, read past the server."""
    from danqing.sessions.jobs import Queue

    counted: dict[str, int] = {}
    for job in Queue(home).jobs(100_000):
        counted[job.state] = counted.get(job.state, 0) + 1
    return counted


def watch(server: Server, seconds: list[float], stop: threading.Event) -> None:
    """One more client, who looks around."""
    number = 0
    while not stop.is_set():
        began = time.perf_counter()
        with contextlib.suppress(OSError, http.client.HTTPException):
            status, _ = server.ask("GET", ASKED[number % len(ASKED)])
            if status == 200:
                seconds.append(time.perf_counter() - began)
        number += 1
        stop.wait(0.05)


def work_off(server: Server, home: Path, until: int, looked: list[float]) -> float:
    """Wait until so many jobs are done, looking around meanwhile; the seconds it took."""
    stop = threading.Event()
    looking = threading.Thread(target=watch, args=(server, looked, stop))
    looking.start()
    began = time.perf_counter()
    try:
        while (now := states(home)).get("done", 0) < until and now.get("failed", 0) == 0:
            time.sleep(0.5)
    finally:
        stop.set()
        looking.join()
    return time.perf_counter() - began


def main() -> int:
    """Run it and print the figures; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=20, help="of each client")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    from danqing.artwork.shelf import Shelf
    from danqing.sessions.jobs import Queue

    with tempfile.TemporaryDirectory(prefix="danqing-") as folder:
        home = Path(folder) / "home"
        server = Server(home)
        names, posted = ask_for_all(server, asked.clients, asked.jobs)
        looked: list[float] = []
        first = work_off(server, home, max(1, int(len(names) * KILLED_AT)), looked)
        server.process.send_signal(signal.SIGKILL)
        server.process.communicate()
        at_kill = states(home)
        again = Server(home)
        second = work_off(again, home, len(names), looked)
        jobs, shelf = Queue(home).jobs(100_000), Shelf(home)
        again.process.send_signal(signal.SIGINT)
        again.process.communicate(timeout=30)
        told = {name for job in jobs for name in job.works}
        figures = {
            "clients": asked.clients,
            "jobs": len(names),
            "lost": len(set(names) - {job.id for job in jobs if job.state == "done"}),
            "works": shelf.count(),
            "done_twice": shelf.count() - len(told),  # a work that no job tells of was made for nothing
            "killed_with": at_kill,
            "jobs_per_second": round(len(names) / (first + second), 2),
            "start_s": [round(server.seconds, 2), round(again.seconds, 2)],
            "post_ms": {"p50": round(1e3 * percentile(posted, 0.5)), "p95": round(1e3 * percentile(posted, 0.95))},
            "get_ms": {
                "answers": len(looked),
                "p50": round(1e3 * percentile(looked, 0.5)),
                "p95": round(1e3 * percentile(looked, 0.95)),
                "max": round(1e3 * max(looked)),
            },
        }
    print(json.dumps(figures, indent=2))
    if asked.out:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "studio.json").write_text(json.dumps(figures, indent=2))
    return int(figures["lost"] != 0 or figures["done_twice"] != 0)


if __name__ == "__main__":
    sys.exit(main())
