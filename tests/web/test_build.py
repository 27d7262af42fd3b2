"""The page in the package is the one that its source makes."""

from __future__ import annotations

import filecmp
import shutil
import subprocess
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "web"
BUILT = WEB.parent / "src" / "danqing" / "interfaces" / "web"


def test_building_the_page_again_gives_the_same_files(tmp_path: Path) -> None:
    npx = shutil.which("npx")
    if npx is None or not (WEB / "node_modules" / "vite").is_dir():
        pytest.skip("the page is built again where npm is and `npm ci` was run in web/")
    command = [npx, "vite", "build", "--outDir", str(tmp_path / "web"), "--logLevel", "warn"]
    done = subprocess.run(command, cwd=WEB, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    fresh, kept = (sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_file())
                   for top in (tmp_path / "web", BUILT))  # fmt: skip
    assert fresh == kept, "build it and commit the result: cd web && npm run build"
    same, differ, lost = filecmp.cmpfiles(tmp_path / "web", BUILT, fresh, shallow=False)
    assert (differ, lost) == ([], [])
    assert len(same) == len(fresh)
