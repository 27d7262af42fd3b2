"""The studio's page in a browser: where there is one, and the server that the page comes from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "web"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no browser: the page is driven where Chromium is installed (apt-get install chromium)")
    if shutil.which("node") is None or not (WEB / "node_modules" / "playwright-core").is_dir():
        pytest.skip("no driver: the page is driven where Node is and `npm ci` was run in web/")
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studio")


@pytest.fixture(scope="module")
def address(home: Path, browser: str) -> Iterator[str]:
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
