"""The canvas's look: the first pass over a drawing as a preview, with nothing left on a shelf."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from danqing.artwork.image import Picture, read, write
from danqing.artwork.shelf import Shelf
from danqing.errors import BadRequest
from danqing.interfaces.rooms import canvas


class Context:
    """What a worker hands to a job."""

    def __init__(self, drawing: Path, **request: Any) -> None:
        self.drawing, self.request = drawing, {"drawing": {"upload": "0a0a"}, **request}
        self.shown: list[Picture] = []
        self.ended = False
        self.report: Any = None

    def find(self, given: Any) -> Path:
        assert given == {"upload": "0a0a"}
        return self.drawing

    def on_step(self, step: Any) -> None: ...

    def preview(self, picture: Picture) -> None:
        self.shown.append(picture)

    def done(self, report: Any = None) -> None:
        self.ended, self.report = True, report


@pytest.fixture
def drawing(tmp_path: Path) -> Path:
    pixels = np.full((96, 144, 3), (0.5, 0.7, 0.9), np.float32)
    pixels[60:] = (0.3, 0.5, 0.2)
    write(Picture(pixels), tmp_path / "drawing.png")
    return tmp_path / "drawing.png"


def looked(drawing: Path, **request: Any) -> Picture:
    context = Context(drawing, **request)
    assert canvas.check(dict(context.request)) == context.request
    canvas.look(context)  # type: ignore[arg-type]
    assert context.ended
    return context.shown[0]


def test_a_look_is_the_first_pass_of_the_painting_and_leaves_no_work(drawing: Path, home: Path):
    from danqing import studio

    shown = looked(drawing, seed=7, style="monet")
    assert Shelf(home).count() == 0
    made = studio.sketch(drawing, draft=True, seed=7, style="monet")
    assert np.abs(read(made.work.path).pixels - shown.pixels).max() <= 1.01 / 255
    assert np.array_equal(looked(drawing, seed=7, style="monet").pixels, shown.pixels)  # the painter was kept


def test_a_look_tells_what_the_shapes_were_taken_for_unless_they_stay_as_they_are(drawing: Path):
    guessed, plain = Context(drawing, seed=7), Context(drawing, seed=7, plain=True)
    for context in (guessed, plain):
        canvas.look(context)  # type: ignore[arg-type]
    assert guessed.report == {"shapes": [{"en": "sky", "zh": "天空"}, {"en": "ground", "zh": "地"}]}
    assert plain.report == {"shapes": []}


@pytest.mark.parametrize(
    "request_", [{}, {"drawing": {"upload": "0a0a"}, "size": 4096}, {"drawing": 1, "draft": False}]
)
def test_a_look_can_ask_for_nothing_dearer(request_: dict[str, Any]):
    with pytest.raises(BadRequest):
        canvas.check(request_)
