"""Whole views, put together from back to front; the light and the hand that go over all of it."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from danqing.encode.canvas import Canvas
from danqing.encode.scenes import Scene
from danqing.techniques.scenery import buildings, land, sky, trees, water
from danqing.techniques.scenery.stage import LABEL, SNOW, WATERS, Stage


def outdoors(scene: Scene) -> bool:
    """Whether the scene has a place under the sky."""
    return any(place != "still-life" for place in scene.places)


def landscape(stage: Stage) -> None:
    """A view out of doors."""
    canvas = stage.canvas
    horizon = _horizon(stage)
    sky.paint(stage, horizon)
    if stage.has("mountain", "glacier", "snowcap", "waterfall"):
        land.mountains(
            stage, horizon, 3, 2.0 if stage.has("mountain", "snowcap", "glacier") and not stage.has("sea") else 1.5
        )
    elif not stage.has("sea", "beach", "desert") and canvas.chance(0.55):
        land.mountains(stage, horizon, 2, 0.4)
    if stage.has(*WATERS, "beach"):
        _waterside(stage, horizon)
    elif stage.has("forest"):
        _woods(stage, horizon)
    elif stage.has("town", "village"):
        _settlement(stage, horizon)
    else:
        _open_land(stage, horizon)
    if stage.may("birds", 0.12) and stage.time != "night":
        sky.birds(stage, horizon)
    weather(stage, horizon, canvas.chance(0.7))


def weather(stage: Stage, horizon: float, falling: bool = True) -> None:
    """What lies between the view and the one who looks: fog, rain, and snow where it is falling."""
    canvas = stage.canvas
    if stage.weather == "fog":  # banks of it lie where land and sky meet
        bank = torch.exp(-((canvas.y - horizon) / 0.2).square()) * torch.sigmoid(canvas.noise(4, 1.5, 4) + 1)
        canvas.lay(0.6 * bank, stage.far)
    if stage.weather == "snow" and falling:
        sky.snowfall(stage)
    if stage.weather in ("rain", "storm") and (stage.weather == "rain" or canvas.chance(0.4)):
        sky.rainfall(stage)


def _horizon(stage: Stage) -> float:
    """Where sky and land meet, as a share of the height."""
    canvas, composition = stage.canvas, stage.scene.composition
    if "low-horizon" in composition:
        return canvas.uniform(0.70, 0.82)
    if "high-horizon" in composition:
        return canvas.uniform(0.22, 0.32)
    skyward = stage.has("sky", "clouds", "stars") and not stage.scene.places
    if skyward:
        return canvas.uniform(0.62, 0.78)
    if stage.has("forest"):
        return canvas.uniform(0.5, 0.62)
    if stage.has("mountain", "glacier", "snowcap", "waterfall"):
        return canvas.uniform(0.58, 0.72)
    return canvas.uniform(0.42, 0.60)


def _waterside(stage: Stage, horizon: float) -> None:
    canvas = stage.canvas
    open_sea = stage.has("sea", "beach") and not stage.has("harbour", "town", "village", "house")
    shore = horizon + 0.012
    if not open_sea:
        land.ground(stage, horizon - 0.018, depth=0.7)
        if stage.has("forest"):  # that comes down to the water on all sides
            trees.treeline(stage, horizon, 0.36, 0.7, 0.0)
            trees.treeline(stage, horizon + 0.008, 0.24, 0.45, 0.1)
        elif "tree" not in stage.scene.without:
            trees.treeline(stage, horizon + 0.008, canvas.uniform(0.06, 0.12), 0.6, 0.2)
        if stage.has("town", "village", "harbour", "house"):
            buildings.houses(stage, shore, 7 if stage.has("town", "harbour") else 4, 0.07, 0.35, stage.has("town"))
    _built(stage, shore, 0.35)
    if stage.has("waterfall"):
        water.waterfall(stage, horizon)
    rough = stage.has("waves") or (open_sea and (stage.weather == "storm" or "dramatic" in stage.scene.moods))
    rough = rough and not stage.without("waves")
    bank = stage.has("river", "beach") or (not rough and canvas.chance(0.3 if stage.has("sea") else 0.5))
    bottom = canvas.uniform(0.78, 0.88) if bank else 1.2
    water.water(stage, shore, bottom)
    if rough:
        water.swell(stage, shore, min(bottom, 1.05))
    if bank:
        _shore(stage, bottom)
    if stage.has("bridge"):
        buildings.bridge(stage, horizon + 0.16)
    if stage.has("boat", "sail", "harbour") or (stage.may("boat", 0.25)):
        water.boats(stage, shore, min(bottom, 0.98))
    if stage.has("rocks") or (stage.has("sea") and canvas.chance(0.3)):
        land.rocks(stage, 0.84, 1.0, 5)
    if stage.has("reeds"):
        water.reeds(stage, 0.93)
    if stage.has("flowers", "garden"):
        land.flowers(stage, max(bottom + 0.03, 0.85) if bank else 0.9, True)
    if stage.has("forest"):
        for side in (-1, 1):
            _frame(stage, side)
    trees.near_trees(stage, 0.0 if rough else 0.05 if open_sea else 0.4)


def _shore(stage: Stage, bottom: float) -> None:
    """The near bank: what the water does not cover."""
    canvas = stage.canvas
    bank = (canvas.labels != LABEL["water"]) & (canvas.y > bottom - 0.12)
    base, label = land.floor(stage)
    relief = 0.12 * canvas.noise(10, 4, 5, 0.6)
    canvas.lay(bank.float(), stage.textured(0.86 * stage.lit(base), relief), label)


def _woods(stage: Stage, horizon: float) -> None:
    """A wood seen from within: undergrowth and trunks row by row, the canopy above, light where it opens."""
    canvas = stage.canvas
    land.ground(stage, horizon - 0.02)
    opening, rows = canvas.uniform(0.35, 0.65) * canvas.wide, 4
    for row in range(rows):
        near = row / (rows - 1)
        foot = horizon + 0.02 + 0.19 * near
        trees.treeline(stage, foot, 0.56 - 0.28 * near, 0.85 - 0.65 * near, 0.02 + 0.5 * near)
        trees.trunks(stage, foot + 0.02, 9 - 2 * row, 0.8 - 0.65 * near, opening)
    if stage.may("path", 0.5):
        land.path(stage, horizon + 0.14)
    if stage.has("house"):
        buildings.house(stage, canvas.uniform(0.35, 0.65) * canvas.wide, horizon + 0.22, 0.13, 0.1, False)
    _built(stage, horizon + 0.15, 0.2)
    if stage.may("flowers", 0.0 if stage.cold else 0.15):
        land.flowers(stage, horizon + 0.25, False)
    trees.canopy(stage, opening)
    for side in (-1, 1):
        _frame(stage, side)


def _frame(stage: Stage, side: int) -> None:
    """A tree of a wood, near by at the left (-1) or right (1), that leaves the picture above."""
    canvas = stage.canvas
    x = canvas.wide * (0.5 + side * canvas.uniform(0.3, 0.5))
    tall = canvas.uniform(0.9, 1.2) if stage.kind in ("pine", "bamboo") else canvas.uniform(1.1, 1.7)
    trees.tree(stage, x, canvas.uniform(0.88, 1.02), tall, -side * canvas.uniform(0, 0.12))


def _settlement(stage: Stage, horizon: float) -> None:
    town = stage.has("town")
    land.ground(stage, horizon)
    trees.treeline(stage, horizon + 0.015, 0.1, 0.55, 0.3)
    buildings.houses(stage, horizon + 0.035, 11 if town else 6, 0.09, 0.4, town)
    _built(stage, horizon + 0.05, 0.3)
    if town:
        _street(stage, horizon)
    else:
        buildings.houses(stage, horizon + 0.14, 4, 0.15, 0.12)
        land.path(stage, horizon + 0.08)
    if stage.has("flowers", "garden"):
        land.flowers(stage, horizon + 0.2, True)
    trees.near_trees(stage, 0.15 if town else 0.5)


def _street(stage: Stage, horizon: float) -> None:
    """Two rows of houses that run toward a point on the horizon, the far ones first."""
    canvas = stage.canvas
    end = canvas.uniform(0.38, 0.62) * canvas.wide
    road = stage.lit(SNOW if stage.snowy else (0.62, 0.57, 0.52)) * (0.9 if stage.snowy else 1.0)
    corners = [(end - 0.01, horizon + 0.03), (end + 0.01, horizon + 0.03), (end + 0.42, 1.02), (end - 0.42, 1.02)]
    canvas.lay(canvas.polygon(corners), stage.textured(road, 0.1 * canvas.noise(20, 8, 4)), LABEL["ground"])
    for step in range(9):
        near = (step / 8) ** 1.6
        for side in (-1, 1):
            x = end + side * (0.05 + 0.60 * near) * canvas.uniform(0.97, 1.06)
            foot = horizon + 0.03 + 0.45 * near
            buildings.house(stage, x, foot, (0.07 + 0.36 * near) * canvas.uniform(0.85, 1.15), 0.5 * (1 - near), True)


def _open_land(stage: Stage, horizon: float) -> None:
    canvas = stage.canvas
    if stage.has("desert"):
        land.dunes(stage, horizon)
        return
    land.ground(stage, horizon)
    if stage.has("glacier"):  # where nothing grows and nobody lives
        land.ice(stage, horizon)
        land.rocks(stage, 0.8, 1.0, 3)
        if stage.has("house"):
            buildings.houses(stage, horizon + 0.05, 2, 0.08, 0.25)
        _built(stage, horizon + 0.03, 0.3)
        trees.near_trees(stage, 0.0)
        return
    if "tree" not in stage.scene.without:
        trees.treeline(stage, horizon + 0.012, canvas.uniform(0.05, 0.13), 0.6, canvas.uniform(0.1, 0.5))
    _built(stage, horizon + 0.03, 0.3)
    if stage.may("house", 0.2):
        buildings.houses(stage, horizon + 0.05, 1 + int(canvas.uniform(0, 2.5)), 0.1, 0.25)
    if stage.may("path", 0.3):
        land.path(stage, horizon + 0.02)
    if stage.may("flowers", 0.0 if stage.cold else 0.2) or stage.has("garden"):
        land.flowers(stage, horizon + 0.08, stage.has("garden", "flowers"))
    if stage.may("rocks", 0.1):
        land.rocks(stage, 0.8, 1.0, 4)
    trees.near_trees(stage, 0.45)


def _built(stage: Stage, foot: float, depth: float) -> None:
    """Towers and pagodas that were asked for."""
    for name, draw in (("tower", buildings.tower), ("pagoda", buildings.pagoda)):
        if stage.has(name):
            build: Callable[[Stage, float, float, float], None] = draw
            build(stage, foot + 0.015, stage.canvas.uniform(0.28, 0.42), depth)


def still_life(stage: Stage) -> None:
    """A table with fruit and a vase before a wall, the light from one side."""
    canvas = stage.canvas
    wall = stage.colour("sky", (0.46, 0.42, 0.36))
    canvas.colours = stage.textured(wall, 0.14 * canvas.noise(3, 3, 5), 0.25 * (0.6 - canvas.x / canvas.wide))
    canvas.labels[:] = LABEL["sky"]
    edge = canvas.uniform(0.58, 0.68)
    cloth = stage.colour("cloth", (0.78, 0.72, 0.62) if canvas.chance(0.5) else (0.50, 0.34, 0.24))
    folds = 0.12 * canvas.noise(3, 7, 4)
    canvas.lay(canvas.below(edge), stage.textured(cloth, folds), LABEL["cloth"])
    if stage.may("vase", 0.6) or stage.has("flowers"):
        _vase(stage, canvas.uniform(0.3, 0.6) * canvas.wide, edge + 0.12)
    if stage.may("fruit", 0.8):
        kinds = [(0.80, 0.24, 0.18), (0.92, 0.66, 0.22), (0.62, 0.68, 0.26), (0.90, 0.50, 0.24)]
        for _ in range(4 + int(canvas.uniform(0, 5))):
            x, y, r = (
                canvas.uniform(0.15, 0.85) * canvas.wide,
                canvas.uniform(edge + 0.1, 0.9),
                canvas.uniform(0.05, 0.075),
            )
            _ball(stage, x, y, r, stage.colour("object", kinds[int(canvas.uniform(0, 3.99))]))


def _ball(stage: Stage, x: float, y: float, radius: float, colour: Tensor) -> None:
    canvas = stage.canvas
    canvas.lay(
        0.45 * canvas.ellipse(x + 0.5 * radius, y + 0.85 * radius, 1.3 * radius, 0.3 * radius, 0.6),
        torch.tensor((0.12, 0.09, 0.08)),
    )
    light = 0.35 - 1.1 * ((canvas.x - x + 0.4 * radius).square() + (canvas.y - y + 0.4 * radius).square()).sqrt() / (
        2 * radius
    )
    canvas.lay(canvas.ellipse(x, y, radius, 0.95 * radius, 0.08), stage.textured(colour, light), LABEL["object"])


def _vase(stage: Stage, x: float, foot: float) -> None:
    canvas = stage.canvas
    tall = canvas.uniform(0.22, 0.3)
    colour = stage.colour("object", (0.34, 0.46, 0.58))
    profile = [(0.10, 0), (0.26, 0.25), (0.30, 0.5), (0.16, 0.8), (0.12, 0.92), (0.18, 1.0)]
    left = [(x - w * tall, foot - h * tall) for w, h in profile]
    right = [(x + w * tall, foot - h * tall) for w, h in reversed(profile)]
    light = (0.3 - 1.6 * (canvas.x - x + 0.1 * tall).abs() / tall).clamp(-0.5, 0.3)
    canvas.lay(canvas.polygon([*left, *right]), stage.textured(colour, light), LABEL["object"])
    if stage.may("flowers", 0.75):
        blooms = [(0.86, 0.30, 0.32), (0.95, 0.82, 0.42), (0.95, 0.92, 0.90), (0.72, 0.52, 0.78)]
        mouth = foot - tall
        spots = [(x + canvas.uniform(-0.2, 0.2), mouth - canvas.uniform(0.02, 0.26)) for _ in range(16)]
        trees.foliage(stage, [(px, py + 0.02, 0.06) for px, py in spots], torch.tensor((0.26, 0.40, 0.22)), 0.3)
        for px, py in spots:
            bloom = stage.colour("flower", blooms[int(canvas.uniform(0, 3.99))])
            size = canvas.uniform(0.022, 0.045)
            canvas.lay(canvas.ellipse(px, py, size, size, 0.4), bloom * canvas.uniform(0.85, 1.1), LABEL["flower"])


def by_hand(canvas: Canvas) -> None:
    """No straight line stays quite straight: everything is moved by smooth noise, a hundredth of the height at most."""
    moved = [0.0035 * canvas.noise(9, 9 * canvas.wide, 3) for _ in range(2)]
    across = (canvas.x + moved[0]) / canvas.wide * 2 - 1
    down = (canvas.y + moved[1]) * 2 - 1
    grid = torch.stack([across, down], -1)[None]
    both = torch.cat([canvas.colours, canvas.labels[None].float()])[None]
    smooth = F.grid_sample(both[:, :3], grid, mode="bilinear", padding_mode="border", align_corners=False)
    exact = F.grid_sample(both[:, 3:], grid, mode="nearest", padding_mode="border", align_corners=False)
    canvas.colours, canvas.labels = smooth[0], exact[0, 0].long()


def tint(stage: Stage) -> None:
    """Moods and a colour that was asked for as such shift the whole picture a little."""
    canvas, moods = stage.canvas, stage.scene.moods
    colours = canvas.colours
    grey = colours.mean(0, keepdim=True)
    saturation = 1.0 + 0.22 * ("joyful" in moods) - 0.3 * ("melancholy" in moods) - 0.12 * ("dreamy" in moods)
    colours = grey + (colours - grey) * saturation
    warmth = 0.05 * ("warm" in moods) - 0.05 * ("cool" in moods)
    colours = colours + warmth * torch.tensor((1.0, 0.2, -1.0))[:, None, None]
    contrast = 1.0 + 0.2 * ("dramatic" in moods) - 0.15 * ("dreamy" in moods)
    colours = 0.5 + (colours - 0.5) * contrast + 0.05 * ("dreamy" in moods) - 0.05 * ("melancholy" in moods)
    if "" in stage.scene.colours:
        told = torch.tensor(stage.scene.colours[""])
        light = colours.mean(0, keepdim=True)
        colours = torch.lerp(colours, light * told[:, None, None] / told.mean().clamp_min(0.2), 0.45)
    canvas.colours = colours
