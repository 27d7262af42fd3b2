"""The rooms of canvas, music and writing: their small modules run by Node, the rooms in a browser with real works."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ROOT / "web" / "src" / "parts"
TYPESCRIPT = ROOT / "web" / "node_modules" / "typescript"
MODULES = ("canvas/geometry", "canvas/pixels", "canvas/history", "music/roll", "writing/lay")
TRANSLATE = """
import { readFileSync, writeFileSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
const [typescript, from, to, ...names] = process.argv.slice(1);
const ts = (await import(typescript + "/lib/typescript.js")).default;
const compilerOptions = { module: "esnext", target: "es2022", verbatimModuleSyntax: true };
for (const name of names) {
  const { outputText } = ts.transpileModule(readFileSync(`${from}/${name}.ts`, "utf8"), { compilerOptions });
  mkdirSync(dirname(`${to}/${name}`), { recursive: true });
  writeFileSync(`${to}/${name}.mjs`, outputText.replace(/from "(\\.[^"]*)"/g, 'from "$1.mjs"'));
}
"""


def test_drawing_and_undo_and_pattern_filling_do_what_they_say(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None or not TYPESCRIPT.is_dir():
        pytest.skip("the page's modules are tested where Node is and `npm ci` was run in web/")
    command = [node, "--input-type=module", "-e", TRANSLATE, str(TYPESCRIPT), str(PARTS), str(tmp_path), *MODULES]
    subprocess.run(command, check=True, timeout=120)
    tests = Path(__file__).with_name("modules.test.mjs")
    environment = {**os.environ, "MODULES": str(tmp_path)}
    done = subprocess.run([node, "--test", str(tests)], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "# pass 20" in done.stdout


@pytest.mark.parametrize(
    "scenario",
    [
        "a-drawing-survives-a-refresh-and-each-stroke-can-be-taken-back",
        "a-line-of-a-poem-is-written-anew-and-the-old-one-comes-back",
        "bars-that-are-chosen-on-the-roll-are-written-anew-and-only-they",
    ],
)
def test_in_the_room(browser: str, address: str, scenario: str) -> None:
    driver = Path(__file__).with_name("rooms_m.mjs")
    command = ["node", str(driver), str(ROOT / "web"), address, browser, scenario]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=280)
    assert done.returncode == 0, done.stderr[-4000:]
