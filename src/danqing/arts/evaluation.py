"""How well an art does: `danqing evaluate stylize`.

Fixed pairs of photo and style go through every method; what comes back is measured in a feature space that no method
has seen or optimised (`training.metrics.RandomPyramid`), beside three controls that say what the figures mean:
the photo as it was, the photo with the style's colours only, and the style's own other half.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from danqing.arts.stylize import Stylize, create
from danqing.artwork.request import Step

if TYPE_CHECKING:
    from torch import Tensor

    from danqing.arts import Tools
    from danqing.artwork.image import Picture
    from danqing.training.metrics import RandomPyramid

METHODS = ("patch", "neural", "fast")
STYLES = ("van-gogh", "ukiyo-e", "monet", "shanshui-ink")


@dataclass(frozen=True)
class Row:
    """One result, or one control, over all pairs or for one of them."""

    photo: str
    style: str
    method: str  # or "photo itself", "colours only", "style's other half"
    content: float  # structure lost: 0 none, near 1 all (RandomPyramid.content_distance)
    style_left: float  # style distance as a share of the untouched photo's: 1 nothing was taken on, 0 all
    seconds: float


@dataclass(frozen=True)
class Evaluation:
    """The table and the sheet of one evaluation."""

    rows: tuple[Row, ...]
    sheet: Picture

    def means(self) -> list[Row]:
        """One row a method: means over all pairs."""
        methods = dict.fromkeys(row.method for row in self.rows)
        return [self._mean(m) for m in methods]

    def _mean(self, method: str) -> Row:
        rows = [row for row in self.rows if row.method == method]

        def over(field: str) -> float:
            return sum(float(getattr(row, field)) for row in rows) / len(rows)

        return Row("all", "all", method, over("content"), over("style_left"), over("seconds"))


def sample_photos() -> list[Path]:
    """The two photographs that scikit-learn carries: a palace and a flower."""
    import sklearn.datasets

    folder = Path(sklearn.datasets.__file__).parent / "images"
    return [folder / "china.jpg", folder / "flower.jpg"]


def evaluate_stylize(
    tools: Tools,
    photos: Sequence[Path] = (),
    styles: Sequence[str] = STYLES,
    methods: Sequence[str] = METHODS,
    size: int = 384,
) -> Evaluation:
    """Every photo in every style by every method, seed 0, longer side `size` px; `photos`: the samples unless given."""
    import torch

    from danqing.artwork.image import Picture
    from danqing.encode.image import fit, match_colors, resize, to_picture, to_tensor
    from danqing.training.metrics import RandomPyramid

    pyramid = RandomPyramid()
    rows: list[Row] = []
    lines: list[Tensor] = []
    paths = list(photos) or sample_photos()
    total, done = len(paths) * len(styles) * len(methods), 0
    for path in paths:
        for label in styles:
            photo, style = _pair(path, label, tools, size)
            whole = pyramid.style_distance(photo, style)
            left, right = style.chunk(2, dim=3)
            coloured = match_colors(photo, style)
            rows.append(Row(path.stem, label, "photo itself", 0.0, 1.0, 0.0))
            rows.append(_row(pyramid, (path.stem, label, "colours only"), coloured, (photo, style), whole))
            floor = pyramid.style_distance(left, right) / whole
            rows.append(Row(path.stem, label, "style's other half", 1.0, floor, 0.0))
            line = [photo, resize(style, (photo.shape[2], photo.shape[2])), coloured]
            for method in methods:
                on_step = _within(tools, done, total)
                start = time.perf_counter()
                request = Stylize(path, (label,), method=method, size=size, seed=0)  # type: ignore[arg-type]
                work = create(request, dataclasses.replace(tools, on_step=on_step))
                spent = time.perf_counter() - start
                assert isinstance(work.content, Picture)
                result = to_tensor(work.content)
                row = _row(pyramid, (path.stem, label, method), result, (photo, style), whole)
                rows.append(dataclasses.replace(row, seconds=spent))
                line.append(result)
                done += 1
            lines.append(fit(torch.cat(line, dim=3), 256 * len(line)))
    width = min(line.shape[3] for line in lines)
    sheet = torch.cat([fit(line, width) for line in lines], dim=2)
    return Evaluation(tuple(rows), to_picture(sheet))


def _pair(path: Path, label: str, tools: Tools, size: int) -> tuple[Tensor, Tensor]:
    """The photo at the result's size and the style's picture."""
    from danqing.artwork import image
    from danqing.encode.image import fit, to_tensor

    file = Path(label) if Path(label).suffix else tools.styles.exemplar(label)
    return fit(to_tensor(image.read(path)), size), to_tensor(image.read(file))


def _row(
    pyramid: RandomPyramid, names: tuple[str, str, str], result: Tensor, pair: tuple[Tensor, Tensor], whole: float
) -> Row:
    photo, style = pair
    content = pyramid.content_distance(result, photo)
    return Row(*names, content, pyramid.style_distance(result, style) / whole, 0.0)


def _within(tools: Tools, done: int, total: int) -> Callable[[Step], None]:
    """One request's steps as a part of the whole evaluation's."""

    def on_step(step: Step) -> None:
        tools.on_step(Step(100 * done + 100 * step.done // max(1, step.total), 100 * total, step.stage, step.preview))

    return on_step
