"""English and 中文 are both complete: every sentence of the page, every field of every art."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from danqing import arts
from danqing.catalog import catalog

WEB = Path(__file__).parents[2] / "web"


@pytest.fixture(scope="module")
def words() -> dict[str, Any]:
    if shutil.which("node") is None or not (WEB / "node_modules" / "svelte").is_dir():
        pytest.skip("the page's sentences are read where Node is and `npm ci` was run in web/")
    command = ["node", str(Path(__file__).with_name("words.mjs")), str(WEB)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_sentence_of_the_page_is_in_both_languages(words: dict[str, Any]) -> None:
    assert words["count"] > 300
    assert words["gaps"] == []


def test_every_art_and_every_field_has_chinese_words(words: dict[str, Any]) -> None:
    verbs = [*arts.names(), *getattr(arts, "SUITES", ()), *arts.REPORTS]
    assert [verb for verb in verbs if verb not in words["ARTS"]] == []
    for verb in verbs:
        for name, (_, flag) in arts.flags(arts.request_class(verb)).items():
            assert name in words["FIELDS"], f"{verb}: {name} has no name in web/src/lib/words.ts"
            assert flag.help in words["HELP_ZH"], f"{verb}: {flag.help!r} is not in Chinese in web/src/lib/words.ts"


def test_every_model_that_ships_stands_among_its_kind(words: dict[str, Any]) -> None:
    """In the Models room; what is not told there would stand among the pictures."""
    assert {card.name for card in catalog.default().cards()} <= set(words["SHELF"])
