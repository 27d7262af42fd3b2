from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import danqing
from danqing import studio
from danqing.artwork.image import Picture, read, write
from danqing.artwork.request import Step
from danqing.artwork.shelf import Shelf
from danqing.errors import BadRequest, Cancelled


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    write(Picture(np.random.default_rng(0).random((48, 64, 3), np.float32)), path)
    return path


def test_one_call_makes_a_work_and_keeps_it(tmp_path: Path, photo: Path):
    shelf = Shelf(tmp_path / "home")
    work = danqing.stylize(photo, style=photo, size=64, seed=4, shelf=shelf)
    assert work.artwork.provenance.seed == 4
    assert shelf.get(work.work.id).path.is_file()
    assert read(work.save(tmp_path / "out.png")).width == 64


def test_progress_is_told_and_can_cancel(tmp_path: Path, photo: Path):
    steps: list[Step] = []
    danqing.stylize(photo, photo, size=64, shelf=Shelf(tmp_path / "home"), on_step=steps.append)
    assert steps
    assert all(0 <= step.done <= step.total for step in steps)

    def stop(step: Step) -> None:
        raise Cancelled("enough")

    shelf = Shelf(tmp_path / "other")
    with pytest.raises(Cancelled):
        danqing.stylize(photo, photo, size=64, shelf=shelf, on_step=stop)
    assert shelf.count() == 0


def test_only_requests_are_met():
    with pytest.raises(BadRequest, match="str is no request of an art; there are Stylize"):
        studio.create("paint me something")


def test_importing_danqing_imports_next_to_nothing():
    code = (
        "import sys, danqing; sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'sqlalchemy', 'typer')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_is_there():
    for name in danqing.__all__:
        assert getattr(danqing, name) is not None
    assert set(danqing.__all__) <= set(dir(danqing))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        danqing.nonsense  # noqa: B018
