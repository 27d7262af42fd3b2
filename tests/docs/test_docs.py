"""The documents say what is there: links lead somewhere, commands exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from danqing.interfaces import cli

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
FENCED = re.compile(r"^```[a-z]*\n(.*?)^```", re.M | re.S)


def commands(text: str, program: str) -> list[list[str]]:
    """The words of every line in a fenced block that calls `program`."""
    lines = [line.strip().removeprefix("$ ") for block in FENCED.findall(text) for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(f"{program} ")]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_that_are_there(path: Path):
    text = FENCED.sub("", path.read_text(encoding="utf-8"))
    targets = re.findall(r"\]\(([^)\s]+)", text) + re.findall(r'<img[^>]*src="([^"]+)"', text)
    missing = [
        target
        for target in targets
        if not re.match(r"[a-z]+:|#", target) and not (path.parent / target.partition("#")[0]).exists()
    ]
    assert not missing


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_and_flags_that_are_shown_exist(path: Path, capsys: pytest.CaptureFixture[str]):
    verbs = {command.name for command in cli.app.registered_commands}
    for words in commands(path.read_text(encoding="utf-8"), "danqing"):
        verb, *rest = words[1:]
        if verb.startswith("-"):
            continue
        assert verb in verbs, f"{path.name} shows danqing {verb}"
        cli.main([verb, "--help"])
        help_text = capsys.readouterr().out
        for flag in (word.partition("=")[0] for word in rest if word.startswith("-") and word.strip("-")):
            assert re.search(rf"(^|[\s,]){re.escape(flag)}\b", help_text), f"{path.name} shows danqing {verb} {flag}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_targets_that_are_shown_exist(path: Path):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for words in commands(path.read_text(encoding="utf-8"), "make"):
        assert re.search(rf"^{re.escape(words[1])}:", makefile, re.M), f"{path.name} shows make {words[1]}"


def test_every_dependency_is_pinned():
    """Each package that pyproject.toml names has its version in constraints.txt, and torch the one it is built on."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [*project["dependencies"], *(name for extra in project["optional-dependencies"].values() for name in extra)]
    pins = dict(
        line.casefold().replace("_", "-").split("==")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    )
    for requirement in named:
        match = re.match(r"[A-Za-z0-9_.-]+", requirement)
        assert match
        assert match[0].casefold().replace("_", "-") in pins, requirement
    assert pins["torch"] == "2.13.0"
