"""A sheet of pictures: rows and columns on paper, with what each is called written beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from danqing.artwork.image import Picture
from danqing.errors import BadRequest

if TYPE_CHECKING:
    Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

Levels = NDArray[np.uint8]

PAPER = (250, 248, 244)
INK = (58, 54, 50)
FAINT = (132, 126, 118)  # of what stands for a whole row or column
# Pillow's own font has Latin letters only; the systems' usual ones for 中文, found by their names.
_HAN_FONTS = (
    "NotoSansCJK-Regular.ttc", "NotoSansSC-Regular.otf", "wqy-microhei.ttc", "PingFang.ttc", "Hiragino Sans GB.ttc",
    "msyh.ttc", "simhei.ttf",
)  # fmt: skip


@dataclass(frozen=True)
class Labels:
    """What is written: beside the rows, above the columns, under each picture; any of them may be empty."""

    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    captions: Sequence[str] = ()  # in the pictures' order


def arrange(pictures: Sequence[Levels | None], columns: int, labels: Labels = Labels()) -> Picture:
    """Pictures (H, W, 3) uint8 of one size in rows of `columns`; None leaves its place empty."""
    first = next((p for p in pictures if p is not None), None)
    if first is None or columns < 1:
        raise BadRequest("a sheet needs a picture and a column")
    height, width = first.shape[:2]
    rows = -(-len(pictures) // columns)
    font, every = _font(max(12, min(28, round(width / 11))), not all(map(_latin, _all(labels))))
    if not every:
        labels = Labels(*(tuple(map(_latin_part, texts)) for texts in (labels.rows, labels.columns, labels.captions)))
    line = _height(font)
    margin, gap = max(12, width // 8), max(4, width // 24)
    left = margin + (max(_width(font, text) for text in labels.rows) + gap * 2 if labels.rows else 0)
    top = margin + (line + gap if labels.columns else 0)
    step_x, step_y = width + gap, height + gap + (line + gap if labels.captions else 0)
    size = (left + columns * step_x - gap + margin, top + rows * step_y - gap + margin)
    page = Image.new("RGB", size, PAPER)
    for number, picture in enumerate(pictures):
        if picture is not None:
            page.paste(Image.fromarray(picture), (left + number % columns * step_x, top + number // columns * step_y))
    draw = ImageDraw.Draw(page)
    for number, text in enumerate(labels.columns):
        middle = left + number * step_x + width / 2
        draw.text((middle, top - gap), _cut(font, text, width), FAINT, font, anchor="md")
    for number, text in enumerate(labels.rows):
        draw.text((left - gap * 2, top + number * step_y + height / 2), text, FAINT, font, anchor="rm")
    for number, text in enumerate(labels.captions):
        place = (left + number % columns * step_x + width / 2, top + number // columns * step_y + height + gap)
        draw.text(place, _cut(font, text, width), INK, font, anchor="ma")
    return Picture(np.asarray(page, np.float32) / np.float32(255))


def _all(labels: Labels) -> tuple[str, ...]:
    return (*labels.rows, *labels.columns, *labels.captions)


def _latin(text: str) -> bool:
    return all(ord(char) < 0x250 or char in "–…" for char in text)


def _latin_part(text: str) -> str:
    """What is left of a label where no font has the rest: its numbers, mostly, which beat a row of empty boxes."""
    return " ".join("".join(char for char in text if _latin(char)).split()).strip(" ·")


@lru_cache(8)
def _font(size: int, han: bool) -> tuple[Font, bool]:
    """A font of `size` px, with Chinese characters where they are asked for and the system has some; whether it has."""
    for name in _HAN_FONTS if han else ():
        with contextlib.suppress(OSError):  # not on this system
            return ImageFont.truetype(name, size), True
    return ImageFont.load_default(size), not han


def _width(font: Font, text: str) -> int:
    return round(font.getlength(text))


def _height(font: Font) -> int:
    _, top, _, bottom = font.getbbox("Ag中")
    return round(bottom - top) + 2


def _cut(font: Font, text: str, width: int) -> str:
    """The text, or as much of it as fits."""
    if _width(font, text) <= width:
        return text
    while text and _width(font, text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"
