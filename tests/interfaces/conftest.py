from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from danqing.artwork.image import Picture, write
from danqing.interfaces import cli

Ran = tuple[int, str, str]  # exit code, standard output, standard error


def picture(height: int, width: int, seed: int = 0, alpha: bool = False) -> Picture:
    """Soft coloured noise."""
    random = np.random.default_rng(seed)
    small = random.random((height // 8 + 2, width // 8 + 2, 3), np.float32)
    pixels = np.ascontiguousarray(small.repeat(8, 0).repeat(8, 1)[:height, :width])
    return Picture(pixels, random.random((height, width), np.float32) if alpha else None)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shelf of the test's own, and a folder to work in."""
    monkeypatch.setenv("DANQING_HOME", str(tmp_path / "home"))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return tmp_path / "home"


@pytest.fixture
def photo(home: Path) -> Path:
    path = Path("photo.png")
    write(picture(64, 96), path)
    return path


@pytest.fixture
def painting(home: Path) -> Path:
    path = Path("painting.png")
    write(picture(80, 80, seed=1), path)
    return path


@pytest.fixture
def danqing(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs a command in this process."""

    def run(*argv: object) -> Ran:
        code = cli.main([str(word) for word in argv])
        out, err = capfd.readouterr()
        return code, out, err

    return run
