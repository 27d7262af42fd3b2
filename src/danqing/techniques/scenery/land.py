"""Mountains, ground, dunes, paths, flowers, rocks."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from danqing.techniques.scenery.stage import GRASS, LABEL, ROCK, SAND, SNOW, WATERS, Stage


def mountains(stage: Stage, horizon: float, count: int, steep: float) -> None:
    """Ranges one behind the other, paler the farther they are."""
    canvas = stage.canvas
    usual = (0.50, 0.40, 0.36) if stage.season == "autumn" else (0.40, 0.44, 0.46)
    white = stage.has("snowcap", "glacier") or stage.snowy
    for number in range(count):
        nearness = (number + 1) / count
        depth = (1.05 - 0.75 * nearness) * (0.5 if stage.told("mountain") else 1.0)
        rise = 0.4 + 1.1 * _peaks(stage) if steep > 1 else 1.0 + 0.55 * canvas.curve(1.6 + 0.8 * number, 7, 0.52)
        height = 0.13 * steep * (1.35 - 0.75 * nearness) * canvas.uniform(0.8, 1.25)
        top = horizon + 0.01 - height * rise
        mask = canvas.below(top, 0.9)
        under = ((canvas.y - top[None]) / 0.3).clamp(0, 1)
        slope = F.avg_pool1d(torch.gradient(top)[0][None, None], 7, 1, 3)[0, 0] * canvas.width * 0.9
        relief = canvas.noise(5, 8, 6, 0.6)
        light = 0.17 * torch.tanh(0.9 * relief + slope[None].clamp(-1, 1)) * (0.35 + 0.65 * nearness)
        colour = stage.textured(stage.shown("mountain", usual, depth), light - 0.06)
        if white:
            snow = torch.sigmoid((0.42 - under + 0.14 * relief) * 12)
            bright = stage.textured(stage.lit(SNOW, 0.6 * depth), 0.8 * light)
            colour = torch.lerp(colour, bright, snow[None])
        mist = 0.45 * under * (0.4 + 0.6 * depth) * (0.5 if stage.told("mountain") else 1.0)
        canvas.lay(mask, torch.lerp(colour, stage.far[:, None, None].expand_as(colour), mist[None]), LABEL["mountain"])


def _peaks(stage: Stage) -> Tensor:
    """A skyline of summits, some higher than others: (W,), mostly between 0 and 1.3."""
    canvas = stage.canvas
    x = canvas.x[0]
    line = 0.1 + 0.1 * canvas.curve(2, 3)
    for _ in range(3 + int(canvas.uniform(0, 2.99))):
        at, half = canvas.uniform(-0.1, canvas.wide + 0.1), canvas.uniform(0.24, 0.6)
        line = torch.maximum(line, canvas.uniform(0.5, 1.25) * (1 - (x - at).abs() / half))
    return line + 0.1 * canvas.curve(7, 6, 0.6)


def floor(stage: Stage) -> tuple[Tensor, int]:
    """The colour and the label of the ground."""
    if stage.has("beach", "desert"):
        return stage.colour("sand", SAND), LABEL["sand"]
    if stage.has("town") and not stage.snowy and not stage.has(*WATERS, "field", "garden"):
        return stage.colour("ground", (0.66, 0.60, 0.53)), LABEL["ground"]
    if stage.snowy or stage.has("glacier"):
        return stage.colour("snow", SNOW), LABEL["snow"]
    return stage.colour("ground", GRASS[stage.season]), LABEL["ground"]


def ground(stage: Stage, top: float, wavy: float = 0.02, depth: float = 0.45, near: bool = False) -> None:
    """Land from a wavy line on down to the lower edge, darker and with larger features the nearer it is."""
    canvas = stage.canvas
    base, label = floor(stage)
    line = top + wavy * canvas.curve(1.3, 5)
    mask = canvas.below(line)
    away = ((1 - canvas.y) / max(1e-3, 1 - top)).clamp(0, 1)
    ripple = 0.5 * canvas.noise(9, 3.5, 5, 0.6) + 0.5 * canvas.noise(18, 3, 3)
    front, back = stage.lit(base) * (0.72 if near else 0.86), stage.lit(base, depth) * 1.06
    colour = torch.lerp(front[:, None, None], back[:, None, None], away[None])
    other = stage.lit(base * torch.tensor((0.82, 0.84, 0.78)) + 0.03, 0.15)
    patches = 0.5 * torch.sigmoid(canvas.noise(6, 2.2, 5) * 3 - 0.8)
    colour = torch.lerp(colour, other[:, None, None].expand_as(colour), patches[None])
    canvas.lay(mask, colour * (1 + (0.07 if label == LABEL["snow"] else 0.15) * ripple), label)


def ice(stage: Stage, top: float) -> None:
    """A glacier that comes down toward the one who looks, torn by crevasses, with a band of rubble along its middle."""
    canvas = stage.canvas
    end, spread = canvas.uniform(0.35, 0.65) * canvas.wide, canvas.uniform(0.5, 0.75)
    down = ((canvas.y - top) / (1 - top)).clamp(0, 1)
    across = (canvas.x - end) / (0.08 + spread * down)
    edge = 1 + 0.12 * canvas.noise(5, 4, 4)
    tongue = torch.sigmoid((edge - across.abs()) * 9) * canvas.below(top + 0.005)
    # Crevasses bow downstream and lie closer together the farther away they are.
    bow = torch.log(0.12 + down) * 13 + 1.6 * across.square() + 0.8 * canvas.noise(5, 5, 4)
    torn = torch.sigmoid((torch.sin(bow * 2) + 0.45 * canvas.noise(9, 12, 4) - 0.45) * 4)
    white = stage.colour("snow", SNOW)
    near = 0.45 * (1 - down)
    light, dark = stage.lit(white, 0.3), stage.lit(white * torch.tensor((0.56, 0.72, 0.84)), 0.25)
    colour = torch.lerp(light[:, None, None], dark[:, None, None], torn[None] * (0.85 - near))
    colour = colour * (1 + 0.05 * canvas.noise(24, 24, 4))
    canvas.lay(0.95 * tongue, colour, LABEL["snow"])
    rubble = torch.sigmoid((0.1 - (across - 0.35).abs() + 0.05 * canvas.noise(9, 9, 4)) * 22) * tongue
    canvas.lay(0.55 * rubble, stage.textured(stage.lit(ROCK, 0.2), 0.3 * canvas.noise(40, 40, 3)), LABEL["rock"])


def dunes(stage: Stage, horizon: float) -> None:
    """Dunes one before the other."""
    for number in range(4):
        ground(stage, horizon + 0.13 * number, wavy=0.035 + 0.012 * number, depth=0.5 - 0.13 * number)


def path(stage: Stage, top: float) -> None:
    """A path that winds away from the one who looks."""
    canvas = stage.canvas
    start, end = (canvas.uniform(0.3, 0.7) * canvas.wide for _ in range(2))
    swing = canvas.uniform(-0.22, 0.22)
    left, right = [], []
    for step in range(15):
        t = step / 14
        x = end + (start - end) * t + swing * math.sin(3.1 * t)
        half = 0.006 + 0.15 * t**1.5
        left.append((x - half, top + (1.03 - top) * t))
        right.append((x + half, top + (1.03 - top) * t))
    colour = stage.lit(SNOW if stage.snowy else (0.78, 0.69, 0.54), 0.05) * (0.88 if stage.snowy else 1.0)
    canvas.lay(0.85 * canvas.polygon([*left, *right[::-1]]), stage.textured(colour, 0.1 * canvas.noise(22, 8, 4)))


def flowers(stage: Stage, top: float, dense: bool) -> None:
    """Flowers, a meadow of them where `dense`."""
    canvas = stage.canvas
    told = stage.told("flower")
    kinds = [(0.86, 0.26, 0.26), (0.95, 0.82, 0.36), (0.95, 0.92, 0.92), (0.62, 0.44, 0.74), (0.93, 0.62, 0.70)]
    chosen = [stage.colour("flower", kind) for kind in kinds] if not told else [stage.colour("flower", kinds[0])]
    drift = canvas.noise(4, 3, 3)
    for _ in range(420 if dense else 200):
        near = canvas.uniform() ** 1.6
        x, y = canvas.uniform(0, canvas.wide), top + 0.02 + (1 - top) * near
        row, column = min(canvas.height - 1, int(y * canvas.height)), min(canvas.width - 1, int(x * canvas.height))
        if float(drift[row, column]) < -0.2:
            continue
        radius = 0.004 + 0.013 * near
        colour = stage.lit(chosen[int(canvas.uniform(0, len(chosen) - 0.01))], 0.3 * (1 - near))
        canvas.lay(canvas.ellipse(x, y, 1.2 * radius, radius, 0.3), colour, LABEL["flower"])


def rocks(stage: Stage, low: float, high: float, count: int) -> None:
    """Rocks whose feet stand between two heights."""
    canvas = stage.canvas
    for _ in range(count):
        y = canvas.uniform(low, high)
        size = 0.03 + 0.11 * (y - low) / max(0.05, 1 - low) * canvas.uniform(0.6, 1.2)
        x = canvas.uniform(0, canvas.wide)
        points = [
            (
                x + size * math.cos(a) * canvas.uniform(0.7, 1.2),
                y + 0.55 * size * math.sin(a) * canvas.uniform(0.7, 1.1),
            )
            for a in (k * math.tau / 9 for k in range(9))
        ]
        mask = canvas.polygon(points)
        relief = 0.3 * canvas.noise(14, 14, 4) + 1.4 * (y - canvas.y) / size * 0.3
        canvas.lay(mask, stage.textured(stage.shown("rock", ROCK), relief.clamp(-0.45, 0.5)), LABEL["rock"])
