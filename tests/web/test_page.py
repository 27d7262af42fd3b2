"""The studio's page in a real browser, with the real server and the real arts behind it."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
BUILT = ROOT / "src" / "danqing" / "interfaces" / "web"
DRIVER = Path(__file__).with_name("drive.mjs")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FIRST_LOAD_BYTES = 300_000

needs_page = pytest.mark.skipif(not (BUILT / "index.html").is_file(), reason="the page has not been built")


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no browser: the page is driven where Chromium is installed (apt-get install chromium)")
    if shutil.which("node") is None or not (WEB / "node_modules" / "playwright-core").is_dir():
        pytest.skip("no driver: the page is driven where Node is and `npm ci` was run in web/")
    return found


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, browser: str) -> Iterator[str]:
    home = tmp_path_factory.mktemp("studio")
    environment = {**os.environ, "DANQING_HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "danqing", "studio", "--port", "0", "--no-open"]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert server.stdout is not None
    try:
        told = ""
        for line in server.stdout:
            told += line
            if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
                break
        else:
            pytest.fail(f"the studio did not start: {told}")
        drain = threading.Thread(target=server.stdout.read, daemon=True)  # so that it never waits for a reader
        drain.start()
        yield found.group()
    finally:
        server.terminate()
        server.wait(timeout=60)
        drain.join(timeout=10)
        server.stdout.close()


def drive(browser: str, address: str, scenario: str) -> dict[str, Any]:
    command = ["node", str(DRIVER), str(WEB), address, browser, scenario]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=280)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@needs_page
@pytest.mark.parametrize(
    "scenario",
    [
        "a-work-survives-a-refresh",
        "nothing-typed-is-overwritten",
        "a-job-can-be-stopped-and-tried-again",
        "jobs-that-wait-can-change-places",
        "a-photo-is-brought-restyled-and-compared",
        "the-gallery-keeps-and-gives-back",
        "both-languages-are-whole",
        "every-room-opens-at-phone-width",
    ],
)
def test_a_person_finds_that(scenario: str, browser: str, address: str) -> None:
    drive(browser, address, scenario)


@needs_page
def test_the_page_loads_little_and_is_ready_soon(browser: str, address: str) -> None:
    found = drive(browser, address, "the-page-is-light-and-quick")
    packed = sum(len(gzip.compress((BUILT / path.lstrip("/")).read_bytes())) for path, _ in found["files"])
    assert packed + len(gzip.compress((BUILT / "index.html").read_bytes())) < FIRST_LOAD_BYTES
    # The bound is ten times what an idle machine takes (docs/guide/studio.md), so that a busy one does not fail it.
    assert found["interactive"] < 3000


@needs_page
def test_the_built_page_asks_nobody_else_for_anything() -> None:
    page = (BUILT / "index.html").read_text(encoding="utf-8")
    names = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert names
    for name in names:
        assert name.startswith("/"), name
        assert (BUILT / name.lstrip("/")).is_file(), name
    inline = re.search(r"<style|\sstyle=|<script(?![^>]*\bsrc=)|\son\w+=", page)
    assert inline is None, "a script or style stands in the page"
