"""Houses, towers, pagodas, bridges."""

from __future__ import annotations

import torch
from torch import Tensor

from danqing.techniques.scenery.stage import LABEL, SNOW, Stage


def houses(stage: Stage, base: float, count: int, size: float, depth: float, narrow: bool = False) -> None:
    """Houses in a row, left to right."""
    canvas = stage.canvas
    for place in sorted(canvas.uniform(0.04, 0.96) for _ in range(count)):
        house(
            stage,
            place * canvas.wide,
            base + canvas.uniform(-0.01, 0.02),
            size * canvas.uniform(0.7, 1.3),
            depth,
            narrow,
        )


def house(stage: Stage, x: float, foot: float, size: float, depth: float, narrow: bool) -> None:
    """One house with its roof, its windows, its light."""
    canvas = stage.canvas
    tone, shade = canvas.uniform(0.82, 1.1), 0.74
    if stage.told("building"):  # then its shades are of that colour as well
        tone, shade = 1.0, 0.88
    wall = (stage.shown("building", (0.88, 0.81, 0.70), depth) * tone).clamp(0, 1)
    tiles = SNOW if stage.snowy else (0.66, 0.38, 0.28) if canvas.chance(0.6) else (0.40, 0.40, 0.45)
    roof = stage.lit(tiles, depth)
    tall = size * (canvas.uniform(1.1, 1.9) if narrow else 0.62)
    half = 0.5 * size * (canvas.uniform(0.6, 0.85) if narrow else canvas.uniform(0.9, 1.45))
    peak = tall + 0.42 * size
    part = canvas.uniform(0.1, 0.35) * half

    def block(x0: float, x1: float, y0: float, y1: float, colour: Tensor, name: str = "building") -> None:
        canvas.lay(canvas.polygon([(x0, y0), (x0, y1), (x1, y1), (x1, y0)]), colour, LABEL[name])

    block(x - half, x + half, foot, foot - tall, wall)
    block(x + part, x + half, foot, foot - tall, shade * wall)
    ridge = 0.45 * half
    eaves = foot - 0.97 * tall
    gable = [(x - 1.12 * half, eaves), (x - ridge, foot - peak), (x + ridge, foot - peak), (x + 1.12 * half, eaves)]
    canvas.lay(canvas.polygon(gable), roof, LABEL["roof"])
    if canvas.chance(0.5):
        block(x + 0.3 * half, x + 0.46 * half, foot - 0.9 * peak, foot - 1.15 * peak, 0.8 * roof, "roof")
    glows = stage.time in ("night", "dusk")
    pane = torch.tensor((1.0, 0.82, 0.46)) if glows else 0.45 * wall
    rows, columns = (max(2, round(tall / (0.48 * size))), 3) if narrow else (1, 2)
    for row in range(rows):
        for column in range(columns):
            x0 = x - 0.78 * half + (1.1 / columns) * column * half
            y0 = foot - tall * (0.12 + 0.9 * row / rows) - (0.0 if narrow else 0.18 * tall)
            if not glows or canvas.chance(0.7):
                block(x0, x0 + 0.2 * half, y0, y0 - min(0.2 * size, 0.5 * tall / rows), pane, "object")


def tower(stage: Stage, foot: float, tall: float, depth: float) -> None:
    """A church tower."""
    canvas = stage.canvas
    x = stage.built = canvas.uniform(0.3, 0.7) * canvas.wide
    wall = stage.shown("building", (0.84, 0.79, 0.70), depth)
    shaft, shade = (0.1, 0.65), [(0.03, 0.0), (0.03, 0.65), (0.1, 0.65), (0.1, 0.0)]
    canvas.lay(canvas.box(x, foot, shaft[0] * tall, shaft[1] * tall), wall, LABEL["building"])
    canvas.lay(canvas.figure(x, foot, tall, shade), 0.75 * wall, LABEL["building"])
    spire = canvas.figure(x, foot, tall, [(-0.12, 0.64), (0.0, 1.0), (0.12, 0.64)])
    canvas.lay(spire, stage.lit((0.42, 0.42, 0.48), depth), LABEL["building"])


def pagoda(stage: Stage, foot: float, tall: float, depth: float) -> None:
    """A pagoda, storey upon storey."""
    canvas = stage.canvas
    x = stage.built = canvas.uniform(0.25, 0.75) * canvas.wide
    wall = stage.shown("building", (0.70, 0.34, 0.24), depth)
    roof = stage.lit((0.26, 0.27, 0.30), depth)
    for tier in range(5):
        half, low = 0.17 - 0.022 * tier, 0.172 * tier
        canvas.lay(canvas.box(x, foot - low * tall, 0.7 * half * tall, 0.12 * tall), wall, LABEL["building"])
        right = [(1.35 * half, low + 0.135), (0.9 * half, low + 0.1)]  # eaves that curve upward
        right = [(0.4 * half, low + 0.195), (half, low + 0.15), *right]
        outline = [*right, *[(-a, b) for a, b in reversed(right)]]
        canvas.lay(canvas.figure(x, foot, tall, outline), roof, LABEL["building"])
    canvas.lay(canvas.figure(x, foot, tall, [(-0.008, 0.86), (0.0, 1.02), (0.008, 0.86)]), roof, LABEL["building"])


def bridge(stage: Stage, y: float) -> None:
    """A stone bridge from side to side, lightly bent, the water seen through its arches."""
    canvas = stage.canvas
    colour = stage.shown("building", (0.66, 0.60, 0.52), 0.15)
    count, bend, tall = int(canvas.uniform(2, 4.99)), canvas.uniform(0.02, 0.06), canvas.uniform(0.09, 0.13)
    across = torch.linspace(-1, 1, canvas.width)
    deck = y - tall - bend * (1 - across.square())
    body = canvas.below(deck) * (1 - canvas.below(y))
    span = canvas.wide / count
    for arch in range(count):
        opening = canvas.ellipse((arch + 0.5) * span, y, 0.4 * span, 0.85 * tall, 0.05)
        body = body * (1 - opening)
    canvas.lay(body, stage.textured(colour, 0.12 * canvas.noise(20, 20, 3)), LABEL["building"])
    canvas.lay(canvas.below(deck - 0.018) * (1 - canvas.below(deck + 0.006)), 0.78 * colour, LABEL["building"])
