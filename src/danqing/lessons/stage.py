"""What a lesson shows: a scene of panels, and frames that fill them, as plain JSON.

The first frame is the scene: `{"scene": {"panels": […], "figures": {name: {en, zh}}, "pace": frames a second}}`. Every
other is `{"step", "of", "panels": {id: data}, "figures": {name: number}, "say": {en, zh}}`; a panel that a frame leaves
out stays as it was, and so does each entry of a panel's data. Kinds of panels:

plane     a square of the plane: sets of points, a field behind them, arrows, paths; `atlas`: pictures by place
curves    figures over the frames
pictures  pictures with a word under each
rolls     melodies as bars on a grid
verse     characters of a poem in cells, with what their places ask for
bars      likely next characters, and why some may not come
matrix    who looks at whom, for each head

`stage.js` draws them in a browser, `film` in a file. Coordinates are sent in thousandths, fields as bytes.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from danqing.lessons import Frame, Text

THOUSAND = 1000


def scene(panels: Sequence[dict[str, Any]], figures: Mapping[str, Text], pace: float) -> Frame:
    """The first frame. pace: frames a second at which the rest is best watched."""
    said = {name: text.as_dict() for name, text in figures.items()}
    return {"scene": {"panels": list(panels), "figures": said, "pace": pace}}


def frame(
    step: int,
    of: int,
    panels: Mapping[str, Any],
    figures: Mapping[str, float] | None = None,
    say: Text | None = None,
) -> Frame:
    """One frame after `step` of `of` steps."""
    told: Frame = {"step": step, "of": of, "panels": dict(panels)}
    if figures:
        told["figures"] = {name: round(float(value), 4) for name, value in figures.items()}
    if say:
        told["say"] = say.as_dict()
    return told


# --- panels -----------------------------------------------------------------------------------------------------------


def plane(name: str, title: Text, reach: float, sets: Mapping[str, tuple[Text, str]], **static: Any) -> dict[str, Any]:
    """A square from -reach to reach. sets: id → (name, role); roles: real, made, other, class (coloured by number)."""
    shown = [{"id": key, "name": text.as_dict(), "role": role} for key, (text, role) in sets.items()]
    return {"id": name, "kind": "plane", "title": title.as_dict(), "reach": reach, "sets": shown, **static}


def curves(name: str, title: Text, of: Sequence[str], **static: Any) -> dict[str, Any]:
    """Figures over the frames. static: low, high: a fixed range."""
    return {"id": name, "kind": "curves", "title": title.as_dict(), "of": list(of), **static}


def pictures(name: str, title: Text, items: Mapping[str, Text], columns: int, **static: Any) -> dict[str, Any]:
    """Pictures in rows. static: crisp=True shows every pixel as a square."""
    shown = [{"id": key, "label": label.as_dict()} for key, label in items.items()]
    return {"id": name, "kind": "pictures", "title": title.as_dict(), "items": shown, "columns": columns, **static}


# --- data -------------------------------------------------------------------------------------------------------------


def points(xy: ArrayLike) -> list[int]:
    """Points (N, 2) as x, y, x, y … in thousandths."""
    flat: list[int] = np.rint(np.asarray(xy, dtype=np.float64) * THOUSAND).astype(int).ravel().tolist()
    return flat


def field(values: NDArray[np.floating[Any]]) -> dict[str, Any]:
    """Values (n, n) in [0, 1], first row at the bottom (y = -reach), as bytes in base64."""
    levels = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return {"n": len(levels), "data": base64.b64encode(levels.tobytes()).decode()}


def png(levels: NDArray[np.uint8]) -> str:
    """A picture (H, W) or (H, W, 3) as a data URL."""
    out = io.BytesIO()
    Image.fromarray(levels).save(out, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def webp(levels: NDArray[np.uint8]) -> str:
    """A picture (H, W) or (H, W, 3) as a data URL, smaller than `png` and not exact."""
    out = io.BytesIO()
    Image.fromarray(levels).convert("RGB").save(out, "WEBP", quality=88)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()
