"""A suite as a short film: the painting comes out of its underpainting to the music, and the poem's lines fade in.

The stages are those that the painter went through: layout, first pass, strokes. One gives way to the next under brush
strokes that follow the forms of the picture, from the background to the front. The poem stands beside it, Chinese from
top to bottom and right to left. Where no font of this system has its characters the lines are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from danqing.artwork import audio, lettering
from danqing.artwork.image import Picture
from danqing.artwork.literature import Writing
from danqing.artwork.music import Score
from danqing.artwork.request import OnStep, Step, ignore
from danqing.artwork.video import Video

WIDTH, HEIGHT = 852, 480
FPS = 12
MARGIN = 30  # px
COLUMN = 250  # px, where the poem stands, at least
LONGEST_S = 75.0
FADE_S = 2.0  # of the sound at the end, and of a line that appears
PAINTED_BY = 0.72  # the share of the film after which the painting is finished
VERSE = (0.2, 0.88)  # the shares between which lines appear
STROKES = 900  # in which one stage gives way to the next
SOFT = 0.05  # how long a stroke takes, as a share of its stage
PAPER = (248, 244, 236)
INK = (44, 40, 37)
SEAL = (178, 58, 46)

Levels = NDArray[np.uint8]
Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Film:
    """The film, and whether the poem is to be seen in it."""

    video: Video
    lettered: bool


def film(stages: Sequence[Picture], poem: Writing, score: Score, seed: int, on_step: OnStep = ignore) -> Film:
    """Stages of a painting, the last one finished; the music decides how long it lasts."""
    sound = _sound(score)
    count = math.ceil(len(sound) / audio.RATE * FPS)
    width, height = _fitted(stages[-1])
    layers = [_resized(stage, width, height) for stage in stages]
    page = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    page[:] = PAPER
    place = (MARGIN, (HEIGHT - height) // 2)
    lines = _lines(poem, (MARGIN * 2 + width, WIDTH - MARGIN))
    frames = np.empty((count, HEIGHT, WIDTH, 3), np.uint8)
    brush = _Brush(layers, np.random.default_rng(seed))
    for number in range(count):
        share = number / max(1, count - 1)
        frame = frames[number]
        frame[:] = page
        frame[place[1] : place[1] + height, place[0] : place[0] + width] = brush.at(min(1.0, share / PAINTED_BY))
        for line in lines or ():
            line.onto(frame, number / FPS, count / FPS)
        if number % FPS == 0:
            on_step(Step(number, count, "film", lambda f=frame: Picture(f.astype(np.float32) / 255)))  # type: ignore[misc]
    shown = tuple(sorted({0, count // 6, count // 3, count // 2, 2 * count // 3, count - 1}))
    ordered = (count - 1, *(n for n in shown if n != count - 1))
    return Film(Video(frames, FPS, ordered, sound), bool(lines))


def _sound(score: Score) -> Plane:
    """The music, cut where it is too long, fading out at the end."""
    samples = audio.render(score)[: round(LONGEST_S * audio.RATE)].copy()
    fade = min(len(samples), round(FADE_S * audio.RATE))
    samples[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)[:, None]
    return samples


def _fitted(picture: Picture) -> tuple[int, int]:
    """(width, height) of the painting on the page."""
    room = (WIDTH - COLUMN - 3 * MARGIN, HEIGHT - 2 * MARGIN)
    scale = min(room[0] / picture.width, room[1] / picture.height)
    return round(picture.width * scale), round(picture.height * scale)


def _resized(picture: Picture, width: int, height: int) -> Plane:
    levels = np.rint(picture.pixels * np.float32(255)).astype(np.uint8)
    small = Image.fromarray(levels).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(small, np.float32)


# --- the painting -----------------------------------------------------------------------------------------------------


class _Brush:
    """The painting at any moment: paper, then one stage over the other, stroke by stroke."""

    def __init__(self, layers: Sequence[Plane], random: np.random.Generator) -> None:
        paper = np.empty_like(layers[0])
        paper[:] = PAPER
        self._layers = [paper, *layers]
        self._orders = [_order(layer, random, 1 / (1 + n)) for n, layer in enumerate(layers)]

    def at(self, share: float) -> Levels:
        """The picture after a share of the time."""
        steps = len(self._orders)
        number = min(steps - 1, int(share * steps))
        within = share * steps - number
        gone = np.clip((within * (1 + SOFT) - self._orders[number]) / SOFT, 0, 1)[:, :, None]
        below, above = self._layers[number], self._layers[number + 1]
        picture: Levels = np.rint(below + gone * (above - below)).astype(np.uint8)
        return picture


def _order(layer: Plane, random: np.random.Generator, coarse: float) -> Plane:
    """(H, W) in [0, 1]: when a stroke comes to each place. Strokes lie along the picture's forms."""
    height, width = layer.shape[:2]
    grey = np.asarray(Image.fromarray(layer.mean(2).astype(np.uint8)).resize((width // 4, height // 4)), np.float32)
    down, across = np.gradient(grey)
    angles = np.arctan2(down, across) + math.pi / 2
    canvas = Image.new("F", (width, height), 1.0)
    draw = ImageDraw.Draw(canvas)
    size = max(5, round(height * (0.02 + 0.05 * coarse)))
    xs, ys = random.uniform(0, width, STROKES), random.uniform(0, height, STROKES)
    when = 0.55 * ys / height + 0.45 * random.uniform(0, 1, STROKES)  # a sky first, the ground last
    when = when.argsort().argsort() / STROKES * (1 - SOFT)
    for number in np.argsort(-when):  # the earliest is drawn last: it is the first to come to a place
        x, y = float(xs[number]), float(ys[number])
        row, column = min(len(angles) - 1, int(y / 4)), min(angles.shape[1] - 1, int(x / 4))
        dx, dy = math.cos(angles[row, column]) * size * 2.2, math.sin(angles[row, column]) * size * 2.2
        draw.line((x - dx, y - dy, x + dx, y + dy), float(when[number]), size)
    return np.asarray(canvas, np.float32)


# --- the poem ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Line:
    """A line of the poem as it stands on the page."""

    mask: Plane  # (h, w, 1) in [0, 1]
    left: int
    top: int
    colour: tuple[int, int, int]
    appears: float  # the share of the film

    def onto(self, frame: Levels, now_s: float, lasts_s: float) -> None:
        """Draw it as far as it has appeared."""
        seen = min(1.0, (now_s - self.appears * lasts_s) / FADE_S)
        if seen <= 0:
            return
        height, width = self.mask.shape[:2]
        part = frame[self.top : self.top + height, self.left : self.left + width]
        share = self.mask[: part.shape[0], : part.shape[1]] * np.float32(seen)
        part[:] = np.rint(part + share * (np.asarray(self.colour, np.float32) - part)).astype(np.uint8)


def _lines(poem: Writing, column: tuple[int, int]) -> list[_Line] | None:
    """The poem in its column (left, right); None where no font has its characters or it does not fit."""
    return _upright(poem, column) if poem.language == "zh" else _level(poem, column)


def _appears(number: int, count: int) -> float:
    first, last = VERSE
    return first + (last - first) * number / max(1, count - 1)


def _upright(poem: Writing, column: tuple[int, int]) -> list[_Line] | None:
    """Chinese: from top to bottom, from right to left; a comma ends a column."""
    rows = [part for line in poem.lines if line for part in _clauses(line)]
    longest = max(map(len, rows))
    room = column[1] - column[0]
    size = min(30, (HEIGHT - 2 * MARGIN) // (longest + 1), int(room / (len(rows) + 1.6) / 1.45))
    title = poem.title[: (HEIGHT - 2 * MARGIN) // max(1, size)]
    face = lettering.font(size, "".join(rows) + title) if size >= 11 else None
    if face is None:
        return None
    step, pitch = round(size * 1.16), round(size * 1.5)
    top = (HEIGHT - longest * step) // 2
    right = column[1] - (room - pitch * (len(rows) + 1)) // 2
    placed = [(title, SEAL, 0.06)] if title else []
    placed += [(row, INK, _appears(number, len(rows))) for number, row in enumerate(rows)]
    found = []
    for number, (row, colour, appears) in enumerate(placed):
        canvas = Image.new("L", (pitch, step * len(row) + size // 2), 0)
        draw = ImageDraw.Draw(canvas)
        for place, char in enumerate(row):
            draw.text((pitch / 2, place * step), char, 255, face, anchor="ma")
        mask = np.asarray(canvas, np.float32)[:, :, None] / np.float32(255)
        found.append(_Line(mask, right - pitch * (number + 1), top, colour, appears))
    return found


def _clauses(line: str) -> list[str]:
    """A couplet's two halves, without the points between them: a column of its own says the same."""
    for point in "，。！？；：、":
        line = line.replace(point, "\n")
    return [part for part in line.split("\n") if part]


def _level(poem: Writing, column: tuple[int, int]) -> list[_Line] | None:
    """English: below one another, as large as the longest line lets them be."""
    rows = list(poem.lines)
    room = column[1] - column[0]
    told = [row for row in (poem.title, *rows) if row]
    for size in range(22, 9, -1):
        face = lettering.font(size, "".join(told))
        if face is None:
            return None
        pitch = round(size * 1.5)
        if max(map(face.getlength, told)) <= room and pitch * (len(rows) + 2) <= HEIGHT - 2 * MARGIN:
            break
    else:
        return None
    top = (HEIGHT - pitch * (len(rows) + 2)) // 2
    words = [row for row in rows if row]
    found = [_written(poem.title, face, (column[0], top), SEAL, 0.06)] if poem.title else []
    for number, row in enumerate(rows):
        if row:
            when = _appears(words.index(row), len(words))
            found.append(_written(row, face, (column[0], top + pitch * (number + 2)), INK, when))
    return found


def _written(
    text: str, face: lettering.Font, place: tuple[int, int], colour: tuple[int, int, int], appears: float
) -> _Line:
    _, _, width, height = face.getbbox(text)
    canvas = Image.new("L", (math.ceil(width) + 2, math.ceil(height) + 4), 0)
    ImageDraw.Draw(canvas).text((0, 0), text, 255, face)
    return _Line(np.asarray(canvas, np.float32)[:, :, None] / np.float32(255), *place, colour, appears)
