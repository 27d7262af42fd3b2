"""Measuring stylize: the controls mean what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from danqing.arts import Tools, evaluation
from danqing.artwork.image import Picture, write


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    paths = []
    for name, tone in (("photo", 0.2), ("painting", 0.7)):
        pixels = np.clip(rng.random((12, 16, 3), np.float32).repeat(8, 0).repeat(8, 1) * 0.3 + tone, 0, 1)
        paths.append(tmp_path / f"{name}.png")
        write(Picture(np.ascontiguousarray(pixels)), paths[-1])
    return paths[0], paths[1]


def test_methods_stand_beside_controls_in_a_table_and_on_a_sheet(tools: Tools, files: tuple[Path, Path]):
    photo, painting = files
    steps = []
    watched = Tools(tools.compute, tools.styles, lambda step: steps.append(step.done / step.total))
    found = evaluation.evaluate_stylize(watched, [photo], [str(painting)], methods=["patch"], size=96)
    rows = {row.method: row for row in found.rows}
    assert list(rows) == ["photo itself", "colours only", "style's other half", "patch"]
    assert rows["photo itself"].content == 0
    assert rows["photo itself"].style_left == 1
    assert rows["colours only"].style_left < 1
    assert 0 < rows["patch"].content < 1
    assert rows["patch"].style_left < 1
    assert rows["patch"].seconds > 0
    assert found.sheet.width == 4 * 256
    assert [row.method for row in found.means()] == list(rows)
    assert steps == sorted(steps)
    assert steps[-1] <= 1
