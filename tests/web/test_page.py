"""The studio's page in a real browser, with the real server and the real arts behind it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from danqing.catalog import catalog, own

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
BUILT = ROOT / "src" / "danqing" / "interfaces" / "web"
DRIVER = Path(__file__).with_name("drive.mjs")
FIRST_LOAD_BYTES = 300_000


def drive(browser: str, address: str, scenario: str, **environment: str) -> dict[str, Any]:
    command = ["node", str(DRIVER), str(WEB), address, browser, scenario]
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", timeout=280, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


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
        "the-api-is-described-and-what-it-prints-can-be-run",
        "what-goes-wrong-is-told-in-chinese-with-the-english-beneath",
        "rounds-go-where-a-person-points",
        "one-idea-becomes-a-suite-of-one-mood",
        "a-mask-is-painted-taken-back-saved-and-brought-again",
        "two-fingers-move-the-sheet-and-one-draws",
    ],
)
def test_a_person_finds_that(scenario: str, browser: str, address: str) -> None:
    drive(browser, address, scenario)


def test_an_open_gallery_shows_what_the_terminal_makes(browser: str, address: str, home: Path) -> None:
    python = {"DANQING_HOME": str(home), "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    drive(browser, address, "the-gallery-shows-what-the-terminal-makes", **python)


def test_the_canvas_works_with_a_model_of_ones_own(browser: str, address: str, home: Path) -> None:
    """A run of the recipe `sketch`; its weights are those that ship."""
    run, known = home / own.RUNS / "mine", catalog.default()
    run.mkdir(parents=True)
    about = {"recipe": "sketch", "config": known.weights("sketch")[1]["config"]}
    (run / own.MANIFEST).write_text(json.dumps(about), encoding="utf-8")
    (run / own.WEIGHTS).symlink_to(known.path("sketch"))
    (run / own.RESULT).write_text("{}", encoding="utf-8")
    found = drive(browser, address, "the-canvas-works-with-a-model-of-ones-own")
    assert found["models"]


def test_the_page_loads_little_and_is_ready_soon(browser: str, address: str) -> None:
    found = drive(browser, address, "the-page-is-light-and-quick")
    assert 20_000 < found["transferred"] < FIRST_LOAD_BYTES  # on the wire, the answers of the server with it
    assert all(packed < size / 2 for _, size, packed in found["files"] if size > 4000)
    # Many times what an idle machine takes (docs/guide/studio.md), so that a busy one does not fail it.
    assert found["interactive"] < 3000
    assert found["shown"] < 8000


def test_the_preview_follows_the_stroke(browser: str, address: str) -> None:
    found = drive(browser, address, "the-preview-follows-the-stroke")
    assert found["pictures"] == [384, 256]
    assert len(found["after"]) == 8
    assert found["median"] < 5000  # ms; what it is on a machine that does little else: docs/guide/studio.md


def test_the_built_page_asks_nobody_else_for_anything() -> None:
    page = (BUILT / "index.html").read_text(encoding="utf-8")
    names = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert names
    for name in names:
        assert name.startswith("/"), name
        assert (BUILT / name.lstrip("/")).is_file(), name
    inline = re.search(r"<style|\sstyle=|<script(?![^>]*\bsrc=)|\son\w+=", page)
    assert inline is None, "a script or style stands in the page"
