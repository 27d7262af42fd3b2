"""A lesson's run as a file: a page that plays it (.html), or moving pictures of it (.gif, .mp4).

The page holds everything it needs, the drawing included (`stage.js`), and asks for nothing from anywhere.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import json
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont

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
# The first that is on the system is used; without any, Chinese characters come out as boxes and a page is better.
FONTS = ("NotoSerifCJK-Regular.ttc", "NotoSansCJK-Regular.ttc", "NotoSerifSC-Regular.otf", "wqy-zenhei.ttc",
         "Songti.ttc", "PingFang.ttc", "msyh.ttc", "simsun.ttc")  # fmt: skip
FAINT, SHADE = "#d8cfbf", "#f3eee2"
WIDE = 720  # px of a film's frame
LARGE = 2  # times larger it is drawn, so that edges are smooth
GAP = 18  # px around a panel
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
        seen.append(_drawn(frames, at, language))
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


@dataclass(frozen=True)
class _Pen:
    """A part of the page, drawn on in px of the film; x to the right and y down from its corner."""

    draw: ImageDraw.ImageDraw
    page: Image.Image
    left: float
    top: float
    width: float
    height: float
    language: str

    def part(self, left: float, top: float, width: float, height: float) -> _Pen:
        return replace(self, left=self.left + left, top=self.top + top, width=width, height=height)

    def at(self, *xy: float) -> list[float]:
        """x, y, x, y … on the page."""
        corner = (self.left, self.top)
        return [LARGE * (value + corner[number % 2]) for number, value in enumerate(xy)]

    def line(self, xy: Sequence[float], colour: Any, width: float = 1.0) -> None:
        if len(xy) >= 4:
            self.draw.line(self.at(*xy), colour, max(1, round(LARGE * width)), joint="curve")

    def box(self, xy: Sequence[float], fill: Any = None, outline: Any = None, width: float = 1.0) -> None:
        x0, y0, x1, y1 = self.at(*xy)
        self.draw.rectangle((x0, y0, max(x0, x1), max(y0, y1)), fill, outline, max(1, round(LARGE * width)))

    def dot(self, x: float, y: float, radius: float, colour: Any) -> None:
        self.draw.ellipse(self.at(x - radius, y - radius, x + radius, y + radius), colour)

    def text(self, x: float, y: float, words: str, size: float, colour: Any = SOFT, anchor: str = "la") -> None:
        place = self.at(x, y)
        self.draw.text((place[0], place[1]), words, colour, _font(round(LARGE * size)), anchor)

    def picture(self, levels: NDArray[np.uint8], x: float, y: float, width: float, height: float) -> None:
        """A picture in a box, its sides in proportion."""
        image = Image.fromarray(levels)
        scale = LARGE * min(width / image.width, height / image.height)
        image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
        left, top = self.at(x + width / 2, y + height / 2)
        self.page.paste(image, (round(left - image.width / 2), round(top - image.height / 2)))


@functools.lru_cache(32)
def _font(size: int) -> Any:
    for name in FONTS:
        with contextlib.suppress(OSError):  # not on this system
            return ImageFont.truetype(name, size)
    return ImageFont.load_default(size)


def _drawn(frames: Sequence[Frame], at: int, language: str) -> NDArray[np.uint8]:
    """One frame as a picture (H, W, 3)."""
    scene = frames[0]["scene"]
    panels, series, say = fold(frames, at)
    rows = _rows(scene["panels"])
    heights = [max(_tall(panel, WIDE / len(row)) for panel in row) for row in rows]
    high = round(64 + sum(heights) + (GAP + 20) * len(rows))
    page = Image.new("RGB", (WIDE * LARGE, high * LARGE), PAPER)
    pen = _Pen(ImageDraw.Draw(page, "RGBA"), page, 0, 0, WIDE, high, language)
    for number, words in enumerate(_lines(say[language]) if say else ()):
        pen.text(WIDE / 2, 14 + 19 * number, words, 14, INK, "ma")
    top = 64.0
    for row, tall in zip(rows, heights, strict=True):
        wide = (WIDE - GAP * (len(row) + 1)) / len(row)
        for number, panel in enumerate(row):
            left = GAP + number * (wide + GAP)
            pen.text(left, top, panel["title"][language], 12)
            context = (series, scene["figures"], len(frames))
            own = min(tall, _tall(panel, WIDE / len(row)))
            _DRAWERS[panel["kind"]](pen.part(left, top + 20, wide, own), panel, panels.get(panel["id"], {}), context)
        top += tall + GAP + 20
    return np.asarray(page.resize((WIDE, high), Image.Resampling.BOX))


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


def _tall(panel: Mapping[str, Any], wide: float) -> float:
    """A panel's height, px."""
    if panel["kind"] == "plane":
        return min(360, wide - GAP)
    if panel["kind"] == "pictures":
        return float((WIDE - 2 * GAP) / panel["columns"] * 0.86 + 20)
    kinds: dict[str, float] = {"curves": 120, "rolls": 150, "verse": 250, "bars": 250, "matrix": 190}
    return kinds[panel["kind"]]


def _lines(words: str) -> list[str]:
    return textwrap.wrap(words, 92 if sum(map(str.isascii, words)) > len(words) / 2 else 48)[:2]


def _picture(url: str) -> NDArray[np.uint8]:
    data = base64.b64decode(url.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def _bytes(table: Mapping[str, Any]) -> NDArray[np.uint8]:
    """A field's values, first row first."""
    return np.frombuffer(base64.b64decode(table["data"]), dtype=np.uint8).reshape(table["n"], table["n"])


def _tinted(share: NDArray[np.floating[Any]], low: str, high: str) -> NDArray[np.uint8]:
    """Between two colours: (n, m) in [0, 1] → (n, m, 3)."""
    a, b = (np.array(ImageColor.getrgb(colour), dtype=np.float64) for colour in (low, high))
    return np.rint(a + share[..., None] * (b - a)).astype(np.uint8)


Context = tuple[dict[str, list[tuple[int, float]]], Mapping[str, Any], int]


def _plane(pen: _Pen, panel: Mapping[str, Any], data: Mapping[str, Any], context: Context) -> None:
    side = min(pen.width, pen.height)
    pen = pen.part((pen.width - side) / 2, 0, side, side)

    def places(flat: Any) -> NDArray[np.float64]:
        xy = np.reshape(np.asarray(flat, dtype=np.float64), (-1, 2)) / 1000 / panel["reach"]
        at: NDArray[np.float64] = np.clip(np.stack([1 + xy[:, 0], 1 - xy[:, 1]], axis=1), 0, 2) * side / 2
        return at

    pen.box((0, 0, side, side), PAPER, FAINT)
    if "image" in data:
        pen.picture((127 + _picture(data["image"]) // 2).astype(np.uint8), 0, 0, side, side)
    if "field" in data:
        pen.picture(_tinted(_bytes(data["field"])[::-1] / 255, "#ab9f8c", PAPER), 0, 0, side, side)
    for path in data.get("paths", ()):
        pen.line(places(path).ravel().tolist(), "#2f6f8f70")
    for kind in panel["sets"]:
        classes = data.get("classes", {}).get(kind["id"])
        for number, (x, y) in enumerate(places(data.get("points", {}).get(kind["id"], ())).tolist()):
            colour = KINDS[classes[number] % 10] if classes else INK + "50" if kind["role"] == "real" else SEAL + "d8"
            pen.dot(x, y, 2.2, colour)
    arrows = np.reshape(data.get("arrows", ()), (-1, 4))
    for start, end in zip(places(arrows[:, :2]).tolist(), places(arrows[:, :2] + arrows[:, 2:]).tolist(), strict=True):
        pen.line((*start, *end), INK + "80")
        pen.dot(end[0], end[1], 1.4, INK + "80")
    if data.get("path"):
        pen.line(places(data["path"]).ravel().tolist(), SEAL, 2)


def _curves(pen: _Pen, panel: Mapping[str, Any], data: Mapping[str, Any], context: Context) -> None:
    series, figures, total = context
    high = pen.height - 16 * len(panel["of"]) - 6
    values = [value for name in panel["of"] for _, value in series.get(name, ())]
    low, most = panel.get("low", min(values, default=0)), panel.get("high", max(values, default=1))
    most = most if most > low else low + 1
    pen.box((0, 0, pen.width, high), None, FAINT)
    for number, name in enumerate(panel["of"]):
        xy: list[float] = []
        for step, value in series.get(name, ()):
            xy += [pen.width * (step - 1) / max(1, total - 2), high * (1 - (value - low) / (most - low))]
        pen.line(xy, LINES[number], 2)
        last = f" {series[name][-1][1]:.3g}" if name in series else ""
        pen.box((0, high + 12 + 16 * number, 10, high + 15 + 16 * number), LINES[number])
        pen.text(16, high + 6 + 16 * number, figures[name][pen.language] + last, 11)


def _pictures(pen: _Pen, panel: Mapping[str, Any], data: Mapping[str, Any], context: Context) -> None:
    wide, high = pen.width / panel["columns"], pen.height - 18
    for number, item in enumerate(panel["items"]):
        if url := data.get("pictures", {}).get(item["id"]):
            pen.picture(_picture(url), number * wide + 3, 0, wide - 6, high)
        pen.text(number * wide + wide / 2, high + 2, item["label"][pen.language], 11, SOFT, "ma")


def _rolls(pen: _Pen, panel: Mapping[str, Any], data: Mapping[str, Any], context: Context) -> None:
    wide, high = pen.width / 2 - 4, pen.height / 2 - 4
    for number, melody in enumerate(data.get("rolls", ())[:4]):
        left, top = number % 2 * (wide + 8), number // 2 * (high + 8)
        pen.box((left, top, left + wide, top + high), SHADE)
        for onset, length, pitch in melody:
            x, y = left + wide * onset / panel["length"], top + high * (panel["high"] - pitch) / 25
            pen.box((x + 1, y, x + wide * length / panel["length"] - 1, y + 4), SEAL if panel.get("now") else INK)


def _verse(pen: _Pen, panel: Mapping[str, Any], data: Mapping[str, Any], context: Context) -> None:
    lines = data.get("lines", ())
    side = min(46.0, pen.height / max(4, len(lines)), pen.width / max([5, *map(len, lines)]))
    for row, line in enumerate(lines):
        for column, cell in enumerate(line):
            x, y, inner = column * side, row * side, side - 4
            glow = math.sqrt(cell.get("weight", 0)) if panel.get("glow") else 0
            face = f"{SEAL}{round(255 * (0.1 + 0.7 * glow)):02x}" if glow > 0.06 else None
            pen.box((x, y, x + inner, y + inner), face, SEAL if cell["state"] == "now" or cell["rhyme"] else FAINT)
            words, colour = (cell["c"], INK) if cell["c"] else (cell["want"], LINES[2])
            size = inner * (0.6 if cell["c"] and len(words) == 1 else 0.36)
            colour = SOFT if cell["state"] == "todo" and cell["c"] else colour
            pen.text(x + inner / 2, y + inner / 2, words, size, colour, "mm")


def _bars(pen: _Pen, panel: Mapping[str, Any], data: Mapping[str, Any], context: Context) -> None:
    shown = data.get("candidates", ())
    most = max([0.02, *(one["p"] for one in shown)])
    row = pen.height / max(10, len(shown))
    for number, one in enumerate(shown):
        y = (number + 0.5) * row
        colour = SEAL if one["chosen"] else FAINT if one["why"] else "#8f8677"
        pen.text(12, y, one["c"].strip() or "␣", 15, SOFT if one["why"] else INK, "mm")
        long = max(2, (pen.width - 150) * one["p"] / most)
        pen.box((30, y - 4, 30 + long, y + 4), colour)
        words = panel["whys"].get(one["why"], {}).get(pen.language, f"{one['p']:.0%}")
        pen.text(36 + long, y, words, 10, SOFT, "lm")


def _matrix(pen: _Pen, panel: Mapping[str, Any], data: Mapping[str, Any], context: Context) -> None:
    for number, table in enumerate(data.get("tables", ())):
        side = min(pen.width / 4 - 8, pen.height - 18)
        left = number * pen.width / 4
        levels = _tinted(_bytes(table) / 255, SHADE, SEAL).repeat(8, axis=0).repeat(8, axis=1)
        pen.picture(levels, left, 0, side, side)
        if "row" in data:
            y = side * data["row"] / table["n"]
            pen.box((left, y, left + side, y + side / table["n"]), None, INK)
        pen.text(left + side / 2, side + 2, table["label"], 11, SOFT, "ma")


_DRAWERS: dict[str, Callable[[_Pen, Mapping[str, Any], Mapping[str, Any], Context], None]] = {
    "plane": _plane, "curves": _curves, "pictures": _pictures, "rolls": _rolls, "verse": _verse, "bars": _bars,
    "matrix": _matrix,
}  # fmt: skip
