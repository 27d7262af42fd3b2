"""A lesson's run as a file: a page that plays it (.html), or moving pictures of it (.gif, .mp4).

The page holds everything it needs, the drawing included (`stage.js`), and asks for nothing from anywhere.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from danqing.artwork import files
from danqing.errors import BadRequest
from danqing.lessons import Asked, Frame, Lesson

if TYPE_CHECKING:
    from danqing.artwork.request import OnStep
    from danqing.artwork.video import Video

SUFFIXES = (".html", ".gif", ".mp4")
INK, SOFT, PAPER, SEAL = "#211d19", "#7b7266", "#fbf8f1", "#b23a2e"
LINES = (SEAL, "#2f6f8f", "#b07a1e", "#5b7f4a")
KINDS = (SEAL, "#2f6f8f", "#c08a2d", "#5b7f4a", "#7a5195", "#a8577e", "#3f8f86", "#8c6d46", "#566573", "#d2691e")
# The first that is there is used; without any, Chinese characters come out as boxes and a page is the better file.
FONTS = ("Noto Serif CJK SC", "Noto Serif CJK JP", "Noto Sans CJK SC", "Noto Sans CJK JP", "Songti SC", "PingFang SC",
         "Microsoft YaHei", "SimSun")  # fmt: skip
MOST = 150  # frames of a film


def check_output(path: Path, *, force: bool = False) -> None:
    """Says before any work is done whether the file can be written; raises BadRequest, OutputExists, NotWritable."""
    if path.suffix.lower() not in SUFFIXES:
        raise BadRequest(f"{path} ends in {path.suffix or 'no suffix'!r}; a lesson is written as {', '.join(SUFFIXES)}")
    files.check_output(path, force=force)


def page(lesson: Lesson, frames: Sequence[Frame], asked: Asked, seed: int) -> str:
    """The run as one HTML page."""
    here = Path(__file__).parent
    told = {"lesson": lesson.as_dict(), "frames": list(frames), "asked": dict(asked), "seed": seed}
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    drawing = (here / "stage.js").read_text("utf-8").replace("export function", "function")
    return (here / "page.html").read_text("utf-8").replace("@STAGE@", drawing).replace("@TOLD@", text)


# --- moving pictures --------------------------------------------------------------------------------------------------


def film(frames: Sequence[Frame], language: str, on_step: OnStep) -> Video:
    """The run as a video. language: "en" or "zh", of the words in it."""
    from danqing.artwork.request import Step
    from danqing.artwork.video import Video

    scene = frames[0]["scene"]
    chosen = sorted(set(np.linspace(1, len(frames) - 1, min(MOST, len(frames) - 1)).round().astype(int).tolist()))
    seen = []
    for number, at in enumerate(chosen):
        seen.append(_drawn(scene, frames, at, language))
        on_step(Step(number + 1, len(chosen), "drawing"))
    fps = max(1, round(scene["pace"]))
    hold = [seen[-1]] * round(2 * fps)  # the end stands for two seconds
    return Video(np.stack([*seen, *hold]), fps, (len(seen) - 1,))


def fold(frames: Sequence[Frame], at: int) -> tuple[dict[str, dict[str, Any]], dict[str, list[tuple[int, float]]], Any]:
    """What is on the stage after frames 1 … at: each panel's data, each figure's course, and what was said last."""
    panels: dict[str, dict[str, Any]] = {
        panel["id"]: {"points": panel["points"]} if "points" in panel else {} for panel in frames[0]["scene"]["panels"]
    }
    series: dict[str, list[tuple[int, float]]] = {}
    say = None
    for number in range(1, at + 1):
        frame = frames[number]
        for name, data in frame["panels"].items():
            old = panels.setdefault(name, {})
            for key, value in data.items():
                old[key] = {**old.get(key, {}), **value} if key in ("points", "pictures", "classes") else value
        for name, value in frame.get("figures", {}).items():
            series.setdefault(name, []).append((number, value))
        say = frame.get("say", say)
    return panels, series, say


def _drawn(scene: Mapping[str, Any], frames: Sequence[Frame], at: int, language: str) -> NDArray[np.uint8]:
    """One frame as a picture (H, W, 3)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import font_manager, pyplot

    known = {font.name for font in font_manager.fontManager.ttflist}
    fonts = [name for name in FONTS if name in known]
    panels, series, say = fold(frames, at)
    shown = scene["panels"]
    rows = _rows(shown)
    with matplotlib.rc_context({"font.family": [*fonts, "DejaVu Sans"], "font.size": 9}):
        heights = [max(_share(panel) for panel in row) for row in rows]
        figure = pyplot.figure(figsize=(7.2, sum(heights) + 0.7), dpi=100, facecolor=PAPER)
        grid = figure.add_gridspec(len(rows), 1, height_ratios=heights, hspace=0.42, left=0.07, right=0.97,
                                   top=1 - 0.62 / (sum(heights) + 0.7), bottom=0.04)  # fmt: skip
        for row, place in zip(rows, grid, strict=True):
            inner = place.subgridspec(1, len(row), wspace=0.16)
            for panel, cell in zip(row, inner, strict=True):
                axes = figure.add_subplot(cell)
                axes.set_title(panel["title"][language], fontsize=9, color=SOFT, pad=4)
                _DRAWERS[panel["kind"]](
                    axes, panel, panels.get(panel["id"], {}), (series, scene, len(frames), language)
                )
        if say:
            figure.text(0.5, 0.985, _wrapped(say[language]), ha="center", va="top", fontsize=9, color=INK)
        figure.canvas.draw()
        levels = np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]
        pyplot.close(figure)
    return levels


def _rows(panels: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """Wide panels alone, two others side by side."""
    rows: list[list[Any]] = []
    for panel in panels:
        wide = panel["kind"] in ("pictures", "matrix")
        if not wide and rows and len(rows[-1]) == 1 and rows[-1][0]["kind"] not in ("pictures", "matrix"):
            rows[-1].append(panel)
        else:
            rows.append([panel])
    return rows


def _share(panel: Mapping[str, Any]) -> float:
    """A panel's height, inches."""
    kinds = {"plane": 3.3, "curves": 1.1, "rolls": 1.3, "verse": 2.2, "bars": 2.2, "matrix": 1.8}
    return kinds.get(panel["kind"], 1.0 if panel.get("crisp") is not None else 6.6 / panel.get("columns", 3) * 0.82)


def _wrapped(words: str) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(words, 96 if words.isascii() else 52))


def _picture(url: str) -> NDArray[np.uint8]:
    data = base64.b64decode(url.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def _bare(axes: Any) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#d8cfbf")


Context = tuple[dict[str, list[tuple[int, float]]], Mapping[str, Any], int, str]


def _plane(axes: Any, panel: Mapping[str, Any], data: Mapping[str, Any], context: Context) -> None:
    reach = panel["reach"]
    _bare(axes)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", facecolor=PAPER)
    whole = (-reach, reach, -reach, reach)
    if "image" in data:
        axes.imshow(_picture(data["image"]), extent=whole)
    if "field" in data:
        n = data["field"]["n"]
        levels = np.frombuffer(base64.b64decode(data["field"]["data"]), dtype=np.uint8).reshape(n, n)
        axes.imshow(levels, extent=whole, origin="lower", cmap="copper", alpha=0.45, vmin=0, vmax=255,
                    interpolation="bilinear")  # fmt: skip
    for path in data.get("paths", ()):
        xy = np.reshape(path, (-1, 2)) / 1000
        axes.plot(xy[:, 0], xy[:, 1], color=LINES[1], lw=0.6, alpha=0.45)
    for kind in panel["sets"]:
        if kind["id"] in data.get("points", {}):
            xy = np.reshape(data["points"][kind["id"]], (-1, 2)) / 1000
            classes = data.get("classes", {}).get(kind["id"])
            colour: Any = [KINDS[c % 10] for c in classes] if classes else {"real": INK}.get(kind["role"], SEAL)
            axes.scatter(xy[:, 0], xy[:, 1], s=7, c=colour, alpha=0.3 if kind["role"] == "real" else 0.85, lw=0)
    if data.get("arrows"):
        a = np.reshape(data["arrows"], (-1, 4)) / 1000
        axes.quiver(*a.T, angles="xy", scale_units="xy", scale=1, width=0.003, color=INK, alpha=0.5)
    if data.get("path"):
        xy = np.reshape(data["path"], (-1, 2)) / 1000
        axes.plot(xy[:, 0], xy[:, 1], "o-", color=SEAL, lw=1.5, ms=3)


def _curves(axes: Any, panel: Mapping[str, Any], data: Mapping[str, Any], context: Context) -> None:
    series, scene, total, language = context
    for number, name in enumerate(panel["of"]):
        xy = np.array(series.get(name, [(0, np.nan)]))
        axes.plot(xy[:, 0], xy[:, 1], color=LINES[number], lw=1.5, label=scene["figures"][name][language])
    axes.set_xlim(1, max(2, total - 1))
    axes.set_ylim(panel.get("low"), panel.get("high"))
    axes.set_xticks([])
    axes.tick_params(colors=SOFT, labelsize=7)
    axes.set_facecolor(PAPER)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if len(panel["of"]) > 1:
        axes.legend(fontsize=7, frameon=False)


def _pictures(axes: Any, panel: Mapping[str, Any], data: Mapping[str, Any], context: Context) -> None:
    axes.axis("off")
    columns = panel["columns"]
    rows = math.ceil(len(panel["items"]) / columns)
    for number, item in enumerate(panel["items"]):
        url = data.get("pictures", {}).get(item["id"])
        row, column = divmod(number, columns)
        inner = axes.inset_axes((column / columns, 1 - (row + 1) / rows, 0.96 / columns, 0.88 / rows))
        _bare(inner)
        inner.set_facecolor(PAPER)
        if url:
            inner.imshow(_picture(url))
        inner.set_xlabel(item["label"][context[3]], fontsize=7, color=SOFT, labelpad=2)


def _rolls(axes: Any, panel: Mapping[str, Any], data: Mapping[str, Any], context: Context) -> None:
    _bare(axes)
    axes.set_facecolor("#f3eee2")
    for number, melody in enumerate(data.get("rolls", ())[:4]):
        left = number * (panel["length"] + 2)
        for onset, length, pitch in melody:
            axes.barh(pitch, length - 0.2, left=left + onset, height=1.0, color=SEAL if panel.get("now") else INK)
    axes.set(xlim=(-1, 4 * (panel["length"] + 2)), ylim=(panel["low"] - 1, panel["high"] + 1))


def _verse(axes: Any, panel: Mapping[str, Any], data: Mapping[str, Any], context: Context) -> None:
    axes.axis("off")
    lines = data.get("lines", ())
    longest = max([5, *map(len, lines)])
    for row, line in enumerate(lines):
        for column, cell in enumerate(line):
            glow = cell.get("weight", 0) if panel.get("glow") else 0
            face = (0.7, 0.23, 0.18, 0.1 + 0.7 * math.sqrt(glow)) if glow > 0.004 else "none"
            edge = SEAL if cell["state"] == "now" or cell["rhyme"] else "#d8cfbf"
            axes.add_patch(_square(column + 0.05, -row, face, edge))
            if cell["c"]:
                colour = SOFT if cell["state"] == "todo" else INK
                axes.text(column + 0.5, -row + 0.5, cell["c"], ha="center", va="center", fontsize=14, color=colour)
            elif cell["want"]:
                axes.text(column + 0.5, -row + 0.45, cell["want"], ha="center", va="center", fontsize=9, color=LINES[2])
    axes.set(xlim=(0, longest), ylim=(1 - max(4, len(lines)), 1.05), aspect="equal")


def _square(x: float, y: float, face: Any, edge: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), 0.9, 0.9, facecolor=face, edgecolor=edge, lw=0.8)


def _bars(axes: Any, panel: Mapping[str, Any], data: Mapping[str, Any], context: Context) -> None:
    shown = list(reversed(data.get("candidates", ())))
    colours = [SEAL if one["chosen"] else "#d8cfbf" if one["why"] else "#8f8677" for one in shown]
    axes.barh(range(len(shown)), [one["p"] for one in shown], color=colours, height=0.6)
    axes.set_yticks(range(len(shown)), [one["c"].strip() or "␣" for one in shown], fontsize=11)
    for place, one in enumerate(shown):
        words = panel["whys"].get(one["why"], {}).get(context[3], "")
        axes.text(one["p"], place, f" {words}", va="center", fontsize=7, color=SOFT)
    axes.set_xticks([])
    axes.set_facecolor(PAPER)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _matrix(axes: Any, panel: Mapping[str, Any], data: Mapping[str, Any], context: Context) -> None:
    axes.axis("off")
    tables = data.get("tables", ())
    for number, table in enumerate(tables):
        n = table["n"]
        inner = axes.inset_axes((number / len(tables), 0, 0.9 / len(tables), 0.92))
        _bare(inner)
        levels = np.frombuffer(base64.b64decode(table["data"]), dtype=np.uint8).reshape(n, n)
        inner.imshow(levels, cmap="Reds", vmin=0, vmax=255)
        inner.set_xlabel(table["label"], fontsize=7, color=SOFT, labelpad=2)


_DRAWERS: dict[str, Callable[[Any, Mapping[str, Any], Mapping[str, Any], Context], None]] = {
    "plane": _plane, "curves": _curves, "pictures": _pictures, "rolls": _rolls, "verse": _verse, "bars": _bars,
    "matrix": _matrix,
}  # fmt: skip
