"""Flat shapes dressed as what they are: leaves on a tree, ripples and mirrors on water, light on a mountain's side.

Each shape keeps its place and its colour, which was a person's decision; what changes is its border and its surface.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from danqing.encode.scenes import Rgb
from danqing.techniques.scenery import sky, trees
from danqing.techniques.scenery.guess import Named
from danqing.techniques.scenery.stage import BARK, GRASS, LABEL, ROCK, SAND, SNOW, Stage

TINY = 0.0025  # share of the picture below which a shape has no surface
CLUMPS = 90  # of leaves, that one shape has at most
BY_WORDS = 0.6  # how far words of light and season move colours that were drawn
BACKS = frozenset({"sky", "mountain", "ground", "snow", "sand", "water"})
TALL = 2.6  # times as wide as high: from there on trees are a row, without trunks
USUAL: dict[str, Rgb] = {
    **{"cloud": (0.96, 0.96, 0.95), "mountain": (0.42, 0.46, 0.50), "water": (0.24, 0.40, 0.50), "snow": SNOW},
    **{"sand": SAND, "building": (0.80, 0.66, 0.54), "boat": (0.34, 0.23, 0.18), "flower": (0.86, 0.38, 0.46)},
    **{"rock": ROCK, "trunk": BARK},
    **{"roof": (0.62, 0.34, 0.26), "sail": (0.94, 0.89, 0.79)},
}


def dress(stage: Stage, named: Sequence[Named]) -> float:
    """Draw the shapes upon each other, the first ones first. They part the canvas. Returns where the horizon lies."""
    skies = [one for one in named if one.name == "sky"]
    seen = skies[0].shape.mask.mean(1) > 0.2 if skies else np.zeros(1, bool)
    horizon = (int(np.flatnonzero(seen)[-1]) + 1) / stage.canvas.height if seen.any() else 0.5
    _fill(stage, named)
    for one in named:
        if one.name == "sky":
            _sky(stage, one, horizon, {other.name for other in named})
        elif one.name == "light":
            _light(stage, one)
        else:
            draw: Callable[[Stage, Named], None] = _HANDS.get(one.name, _object)
            (draw if one.shape.share > TINY or one.name in BACKS | {"flower"} else _speck)(stage, one)
    return horizon


def _speck(stage: Stage, one: Named) -> None:
    """What is too small to have a surface, and may be there in hundreds."""
    if one.colour is not None:
        _lay(stage, one, _soft(stage, one), _colour(stage, one) * stage.canvas.uniform(0.93, 1.07))


def _fill(stage: Stage, named: Sequence[Named]) -> None:
    """Behind ragged borders lies what is around them, never an empty canvas."""
    canvas = stage.canvas
    known = np.zeros((canvas.height, canvas.width), bool)
    for one in named:
        if one.name in BACKS:
            known |= one.shape.mask
            colour = stage.horizon_colour if one.name == "sky" and one.colour is None else _colour(stage, one)
            canvas.lay(torch.from_numpy(one.shape.mask).float(), colour, LABEL[one.name])
    if not known.any():  # then each stands before the others
        for one in named:
            known |= one.shape.mask
            canvas.lay(torch.from_numpy(one.shape.mask).float(), _colour(stage, one), _label(one))
    if known.any():
        rows, columns = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
        y, x = torch.from_numpy(rows), torch.from_numpy(columns)
        canvas.colours, canvas.labels = canvas.colours[:, y, x], canvas.labels[y, x]


def _lay(stage: Stage, one: Named, mask: Tensor, colour: Tensor) -> None:
    """Lay what was made of a shape where it is, its own shades upon it."""
    if one.shape.shades is not None:
        colour = (colour[:, None, None] if colour.ndim == 1 else colour) * one.shape.shades
    stage.canvas.lay(mask, colour, _label(one))


def _label(one: Named) -> int:
    return LABEL["tree" if one.name == "trunk" else one.name]


def _colour(stage: Stage, one: Named, depth: float = 0.15) -> Tensor:
    """What a person gave it, in the light that words ask for; or else what it usually has."""
    usual: Rgb = GRASS[stage.season] if one.name == "ground" else USUAL.get(one.name, ROCK)
    if one.name in stage.scene.colours:
        return stage.shown(one.name, usual, depth)
    if one.colour is None:
        own = trees.leaf(stage) if one.name == "tree" else stage.colour(one.name, usual)
        return stage.lit(own, 0.6 if one.name == "mountain" else depth)
    colour = one.colour
    if one.name == "tree" and stage.scene.season:
        colour = torch.lerp(colour, trees.leaf(stage), 0.5)
    if stage.scene.time or stage.time == "night":
        colour = torch.lerp(colour, stage.lit(colour, 0.0), BY_WORDS)
    return colour


def _soft(stage: Stage, one: Named, wander: float = 0.0, waves: float = 9.0) -> Tensor:
    """Its area (H, W) in [0, 1] with a soft border that wanders by about that share of the picture's height."""
    canvas = stage.canvas
    mask = torch.from_numpy(one.shape.mask).float()[None, None]
    mask = F.avg_pool2d(F.pad(mask, (1, 1, 1, 1), mode="replicate"), 3, 1)
    if wander:
        moved = [wander * canvas.noise(waves, waves * canvas.wide, 4, 0.6) for _ in range(2)]
        grid = torch.stack(
            [(canvas.x + moved[0]) / canvas.wide * 2 - 1, (canvas.y + moved[1]) * 2 - 1], -1
        )[None]  # fmt: skip
        mask = F.grid_sample(mask, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return mask[0, 0]


def _box(stage: Stage, one: Named) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) in units of the canvas."""
    left, top, right, bottom = one.shape.box
    return left * stage.canvas.wide, top, right * stage.canvas.wide, bottom


def _top(stage: Stage, one: Named) -> Tensor:
    """y of its upper border in each column (W,), smoothed; where it has none, that of the nearest column."""
    mask = one.shape.mask
    columns = np.flatnonzero(mask.any(0))
    first = np.interp(np.arange(mask.shape[1]), columns, mask.argmax(0)[columns]) / stage.canvas.height
    return F.avg_pool1d(F.pad(torch.from_numpy(first).float()[None], (2, 2), mode="replicate"), 5, 1)[0]


# --- above ------------------------------------------------------------------------------------------------------------


def _sky(stage: Stage, one: Named, horizon: float, drawn: Collection[str]) -> None:
    canvas = stage.canvas
    mask = _soft(stage, one)
    if one.colour is None or "sky" in stage.scene.colours:
        before, labels = canvas.colours, canvas.labels.clone()
        sky.paint(stage, horizon, drawn)
        drawn = canvas.colours
        canvas.colours, canvas.labels = before, labels
        canvas.lay(mask, drawn, LABEL["sky"])
        return
    base = _colour(stage, one, 0.0)
    light = float(base.mean())
    down = (canvas.y / max(horizon, 0.1)).clamp(0, 1) ** 1.4
    pale = torch.lerp(base, torch.tensor((1.0, 0.97, 0.92)), 0.42 * min(1.0, 1.3 * light))
    colour = torch.lerp((0.93 * base)[:, None, None], pale[:, None, None], (0.8 * down)[None])
    colour = colour * (1 + 0.035 * canvas.noise(4, 3, 5)[None])
    if "cloud" not in drawn and light > 0.4:  # thin ones, that change no colour much
        wisps = torch.sigmoid((canvas.noise(5, 1.6, 6) - 0.7) * 3) * (0.3 + 0.7 * down)
        colour = torch.lerp(colour, torch.lerp(base, torch.ones(3), 0.6)[:, None, None], (0.36 * wisps)[None])
    _lay(stage, one, mask, colour)
    if "light" not in drawn and stage.has("moon", "sun"):
        sky.disc(stage, horizon)
    if "cloud" not in drawn and (stage.has("clouds") or stage.weather in ("cloudy", "storm", "rain")):
        sky.clouds(stage, horizon)
    if stage.has("stars"):
        sky.stars(stage, horizon)


def _light(stage: Stage, one: Named) -> None:
    """The sun or the moon with its glow."""
    canvas = stage.canvas
    left, top, right, bottom = _box(stage, one)
    x, y, radius = (left + right) / 2, (top + bottom) / 2, (right - left + bottom - top) / 4
    stage.disc = (x, y)
    colour = one.colour if one.colour is not None else stage.colour("light", stage.air.disc)
    distance = ((canvas.x - x).square() + (canvas.y - y).square()).sqrt()
    above = (canvas.labels == LABEL["sky"]).float()
    colour = torch.lerp(colour, torch.ones(3), 0.2)
    canvas.lay(0.45 * torch.exp(-(distance - radius).clamp_min(0) / (2.2 * radius + 0.03)) * above, colour)
    _lay(stage, one, _soft(stage, one, 0.0015), colour)


def _cloud(stage: Stage, one: Named) -> None:
    """Heaped, light above, shaded below."""
    canvas = stage.canvas
    _, top, _, bottom = _box(stage, one)
    mask = torch.from_numpy(one.shape.mask).float()[None, None]
    side = max(3, int(0.4 * (bottom - top) * canvas.height)) | 1
    for _ in range(2):
        mask = F.avg_pool2d(F.pad(mask, (side // 2,) * 4, mode="replicate"), side, 1)
    heap = 1 / max(0.02, bottom - top)
    field = mask[0, 0] + 0.16 * canvas.noise(1.6 * heap, 1.1 * heap * canvas.wide, 5, 0.62)
    density = torch.sigmoid((field - 0.42) * 9)
    down = ((canvas.y - top) / (bottom - top)).clamp(0, 1)
    shift = max(1, canvas.height // 40)
    above = torch.cat([field[:1].expand(shift, -1), field[:-shift]])
    shade = (0.55 * down + 0.45 * torch.sigmoid((above - field) * -9)).clamp(0, 1) ** 1.5
    colour = _colour(stage, one, 0.0)
    around = canvas.colours[:, torch.from_numpy(one.shape.mask)].mean(1)
    dark = torch.lerp(0.86 * colour, around, 0.3)
    canvas.lay(density, torch.lerp(colour[:, None, None], dark[:, None, None], shade[None]), LABEL["cloud"])


# --- land -------------------------------------------------------------------------------------------------------------


def _mountain(stage: Stage, one: Named) -> None:
    canvas = stage.canvas
    colour, top = _colour(stage, one), _top(stage, one)
    relief = canvas.noise(6, 9, 6, 0.62)
    smooth = F.avg_pool1d(F.pad(top[None], (4, 4), mode="replicate"), 9, 1)[0]
    slope = torch.gradient(smooth)[0][None] * canvas.height
    under = ((canvas.y - top[None]) / max(0.08, one.shape.tall)).clamp(0, 1)
    # A face turned to the light is bright, one turned away dark; ridges that run down from the line part them.
    ridge = torch.tanh(2.2 * canvas.noise(2.2, 11, 5, 0.6) + 1.4 * slope.clamp(-1, 1))
    light = (0.14 * ridge + 0.07 * torch.tanh(relief)) * (1.1 - 0.5 * under)
    drawn = stage.textured(colour, light)
    if float(colour.min()) > 0.72:  # snow lies on it, and rock shows through where it is steep
        rock = stage.textured(0.5 * colour * torch.tensor((0.92, 0.95, 1.05)), 0.3 * relief)
        bare = torch.sigmoid((0.8 * relief + ridge * -0.5 + 1.2 * under - 1.35) * 5)
        drawn = torch.lerp(stage.textured(colour, (1.3 * light).clamp_max(0.05)), rock, (0.75 * bare)[None])
    mist = 0.28 * under**2
    drawn = torch.lerp(drawn, stage.far[:, None, None] if one.colour is None else _beyond(stage), mist[None])
    _lay(stage, one, _soft(stage, one, 0.008, 14), drawn)


def _beyond(stage: Stage) -> Tensor:
    """The sky's mean colour as it is drawn, (3, 1, 1)."""
    seen = stage.canvas.labels == LABEL["sky"]
    colours = stage.canvas.colours
    return (colours[:, seen].mean(1) if bool(seen.any()) else colours.mean((1, 2)))[:, None, None]


def _ground(stage: Stage, one: Named) -> None:
    """Grass, earth, sand or snow: features larger and darker the nearer they are."""
    canvas = stage.canvas
    base = _colour(stage, one)
    top = float(_top(stage, one).median())
    away = ((1 - canvas.y) / max(0.05, 1 - top)).clamp(0, 1)
    ripple = 0.5 * canvas.noise(9, 3.5, 5, 0.6) + 0.5 * canvas.noise(18, 3, 3)
    rough = {"snow": 0.06, "sand": 0.08}.get(one.name, 0.13)
    tone = rough * ripple + 0.10 * (away - 0.5)
    other = torch.lerp(base * torch.tensor((1.08, 1.02, 0.8)), base.mean() * torch.ones(3), 0.1)
    if one.name == "snow":
        other = base * torch.tensor((0.86, 0.92, 1.0))
    patches = 0.5 * torch.sigmoid(canvas.noise(6, 2.2, 5) * 3 - 0.8)
    colour = torch.lerp(base[:, None, None], other[:, None, None], patches[None])
    if one.name == "ground" and float(base[1]) > float(base[0]):  # blades, seen near by
        tone = tone + (1 - away) * 0.16 * canvas.noise(16, 70 * canvas.wide, 2)
    _lay(stage, one, _soft(stage, one, 0.006), colour * (1 + tone[None]).clamp(0.4, 1.6))


def _water(stage: Stage, one: Named) -> None:
    """A mirror of what lies behind its upper border, broken by ripples, over its own colour."""
    canvas = stage.canvas
    height, width = canvas.height, canvas.width
    own, top = _colour(stage, one), _top(stage, one)
    row = torch.arange(height)[:, None]
    source = ((2 * top[None] * height - row) * 1.0).long().clamp(0, height - 1)
    sway = (canvas.noise(24, 3, 3) * 5).long()
    across = (torch.arange(width)[None] + sway).clamp(0, width - 1)
    mirror = canvas.colours[:, source.gather(1, across), across]
    mirror = F.avg_pool2d(F.pad(mirror[None], (2, 2, 4, 4), mode="replicate"), (9, 5), 1)[0]
    near = ((canvas.y - top[None]) / max(0.05, one.shape.tall)).clamp(0, 1)
    share = 0.58 + 0.27 * near
    ripples = canvas.noise(34, 4, 4, 0.7)
    colour = torch.lerp(mirror, own[:, None, None].expand_as(mirror), share[None])
    colour = colour * (1 + 0.11 * ripples * (0.5 + 0.8 * near))[None] * (1.04 - 0.12 * near)
    crests = 0.3 * torch.sigmoid((ripples - 1.3) * 6)
    colour = torch.lerp(colour, torch.lerp(own, torch.ones(3), 0.55)[:, None, None].expand_as(colour), crests[None])
    if stage.disc:
        gone = (canvas.x - stage.disc[0]).abs() / (0.025 + 0.10 * (canvas.y - float(top.median())).clamp_min(0))
        streak = 0.6 * torch.exp(-gone) * torch.sigmoid(canvas.noise(45, 6, 3) * 4 - 0.2)
        disc = _disc_colour(stage)
        colour = torch.lerp(colour, disc[:, None, None].expand_as(colour), streak[None])
    _lay(stage, one, _soft(stage, one, 0.003), colour)


def _disc_colour(stage: Stage) -> Tensor:
    seen = stage.canvas.labels == LABEL["light"]
    colours = stage.canvas.colours
    return colours[:, seen].mean(1) if bool(seen.any()) else stage.colour("light", stage.air.disc)


def _rock(stage: Stage, one: Named) -> None:
    canvas = stage.canvas
    _, top, _, bottom = _box(stage, one)
    relief = 0.2 * canvas.noise(14, 14, 4) + 0.45 * (0.5 - (canvas.y - top) / (bottom - top)).clamp(-0.5, 0.5)
    _lay(stage, one, _soft(stage, one, 0.006, 14), stage.textured(_colour(stage, one), relief))


# --- trees and flowers ------------------------------------------------------------------------------------------------


def _tree(stage: Stage, one: Named) -> None:
    """Clumps of leaves in three layers, dark behind and light where the light falls; a trunk where it stands alone."""
    canvas = stage.canvas
    left, top, right, bottom = _box(stage, one)
    wide, tall = right - left, bottom - top
    colour = _colour(stage, one)
    mask = one.shape.mask
    alone = wide < TALL * tall and wide < 0.55 * canvas.wide and bottom < 0.99
    row = min(canvas.height - 1, int(bottom * canvas.height) + 2)
    below = int(canvas.labels[row, min(canvas.width - 1, int((left + right) / 2 * canvas.height))])
    stands = alone and below in (LABEL["ground"], LABEL["snow"], LABEL["sand"], LABEL["mountain"])
    crown = mask.copy()
    if stands:
        middle, foot = (left + right) / 2, bottom
        _shadow(stage, middle + 0.25 * wide, foot, 0.55 * wide)
        crown[round((bottom - 0.2 * tall) * canvas.height) :] = False
        half = 0.045 * min(wide, tall) + 0.004
        trunk = [(middle - 1.5 * half, foot), (middle - 0.7 * half, foot - 0.55 * tall)]
        trunk += [(middle + 0.7 * half, foot - 0.55 * tall), (middle + 1.5 * half, foot)]
        canvas.lay(canvas.polygon(trunk), stage.lit(BARK), LABEL["tree"])
    elif below == LABEL["water"]:
        _mirrored(stage, one)
    if one.shape.peaked > 2.2 and one.shape.aspect < 1.1:
        _boughs(stage, mask, colour)
        return
    spots = _spots(stage, crown if crown.any() else mask)
    size = max(0.016, 0.13 * math.sqrt(wide * tall))
    middle_y, middle_x = (top + bottom) / 2, (left + right) / 2
    for tone, higher, likely in ((0.62, 0.0, 1.0), (0.9, 0.14, 0.8), (1.1, 0.2, 0.7)):
        blobs = []
        for x, y in spots:
            lit = tone < 1 or y - middle_y + 0.5 * (x - middle_x) < 0.1 * tall
            if lit and canvas.chance(likely):
                radius = size * canvas.uniform(0.75, 1.2) * (0.8 if tone > 1 else 1.05)
                blobs.append((x - higher * size, y - higher * size, radius))
        if blobs:
            warm = torch.tensor((1.06, 1.02, 0.86)) if tone > 1 else torch.ones(3)
            trees.foliage(stage, blobs, (colour * tone * warm).clamp(0, 1), 0.34)


def _spots(stage: Stage, mask: np.ndarray) -> list[tuple[float, float]]:
    """Points spread over an area, in units of the canvas, from below upward."""
    height = stage.canvas.height
    inner = ndimage.binary_erosion(mask, iterations=max(1, round(0.12 * math.sqrt(mask.sum()))))
    inner = inner if inner.any() else mask
    step = max(3.0, math.sqrt(inner.sum() / CLUMPS))
    spots = []
    y = stage.canvas.uniform(0, step)
    while y < mask.shape[0]:
        x = stage.canvas.uniform(0, step)
        while x < mask.shape[1]:
            row, column = int(y), int(x)
            if inner[row, column]:
                spots.append(((x + stage.canvas.uniform(-0.3, 0.3) * step) / height, y / height))
            x += step
        y += step
    if not spots:
        rows, columns = np.nonzero(mask)
        spots = [(float(columns.mean()) / height, float(rows.mean()) / height)]
    return spots[::-1]


def _boughs(stage: Stage, mask: np.ndarray, colour: Tensor) -> None:
    """A conifer: boughs in tiers from side to side that hang at their ends."""
    canvas = stage.canvas
    rows = np.flatnonzero(mask.any(1))
    tiers = 9
    thick = 0.55 * len(rows) / tiers / canvas.height
    boughs = []
    for tier in range(tiers):
        row = rows[min(len(rows) - 1, int((tier + 0.7) / tiers * len(rows)))]
        runs, count = ndimage.label(mask[row])
        ends = [np.flatnonzero(runs == k)[[0, -1]] for k in range(1, count + 1)]
        boughs += [
            ((middle + side * half * t) / canvas.height, row / canvas.height + 0.5 * thick * t - 0.3 * thick,
             thick * (1.1 - 0.5 * t))
            for left, right in ends
            for middle, half in [((left + right) / 2, (right - left) / 2)]
            for side in (-1, 1) for t in (0.1, 0.4, 0.7, 0.95)
        ]  # fmt: skip
    trees.foliage(stage, boughs, 0.8 * colour, 0.3)
    trees.foliage(stage, [(x - 0.004, y - 0.008, 0.8 * r) for x, y, r in boughs], (1.12 * colour).clamp(0, 1), 0.4)


def _trunk(stage: Stage, one: Named) -> None:
    canvas = stage.canvas
    left, _, right, bottom = _box(stage, one)
    _shadow(stage, right, bottom, 2.5 * (right - left))
    across = ((canvas.x - left) / max(1e-3, right - left)).clamp(0, 1)
    tone = 0.25 - 0.5 * across
    bark = stage.textured(_colour(stage, one), tone, 0.14 * canvas.noise(8, 60, 3))
    _lay(stage, one, _soft(stage, one, 0.003, 12), bark)


def _flower(stage: Stage, one: Named) -> None:
    """Petals around a heart; what is farther away is a dab."""
    canvas = stage.canvas
    left, top, right, bottom = _box(stage, one)
    x, y, radius = (left + right) / 2, (top + bottom) / 2, (right - left + bottom - top) / 4
    colour = _colour(stage, one, 0.0)
    if radius < 0.013:
        canvas.lay(canvas.ellipse(x, y, 1.15 * radius, radius, 0.4), colour * canvas.uniform(0.9, 1.1), LABEL["flower"])
        return
    turn = canvas.uniform(0, math.tau)
    for petal in range(5):
        angle = turn + petal * math.tau / 5
        px, py = x + 0.55 * radius * math.cos(angle), y + 0.45 * radius * math.sin(angle)
        tone = (colour * canvas.uniform(0.82, 1.14)).clamp(0, 1)
        canvas.lay(canvas.ellipse(px, py, 0.62 * radius, 0.56 * radius, 0.35), tone, LABEL["flower"])
    heart = torch.lerp(colour, torch.tensor((0.45, 0.32, 0.12)), 0.6)
    canvas.lay(canvas.ellipse(x, y, 0.24 * radius, 0.2 * radius, 0.4), heart, LABEL["flower"])


# --- what people built ------------------------------------------------------------------------------------------------


def _building(stage: Stage, one: Named) -> None:
    canvas = stage.canvas
    left, _, right, bottom = _box(stage, one)
    within = int(canvas.labels[torch.from_numpy(one.shape.mask)].mode().values) == LABEL["building"]
    colour = _colour(stage, one)
    if not within:
        _shadow(stage, right, bottom, 0.4 * (right - left))
    across = ((canvas.x - left) / max(1e-3, right - left)).clamp(0, 1)
    tone = 0.07 - 0.17 * torch.sigmoid((across - 0.62) * 30)  # two walls, one of them in the shade
    if within:
        tone = -0.05 * across
    wall = stage.textured(colour, tone, 0.05 * canvas.noise(12, 12, 4))
    _lay(stage, one, _soft(stage, one, 0.002), wall)


def _roof(stage: Stage, one: Named) -> None:
    canvas = stage.canvas
    left, top, right, bottom = _box(stage, one)
    tiles = 0.05 * torch.sin(math.tau * (canvas.y - top) / max(0.012, 0.11 * (bottom - top)))
    across = ((canvas.x - left) / max(1e-3, right - left)).clamp(0, 1)
    light = 0.1 - 0.2 * torch.sigmoid((across - 0.62) * 30) + tiles
    _lay(
        stage, one, _soft(stage, one, 0.003), stage.textured(_colour(stage, one), light, 0.08 * canvas.noise(30, 20, 3))
    )


def _boat(stage: Stage, one: Named) -> None:
    canvas = stage.canvas
    _, top, _, bottom = _box(stage, one)
    _mirrored(stage, one)
    down = ((canvas.y - top) / (bottom - top)).clamp(0, 1)
    hull = stage.textured(_colour(stage, one), 0.15 - 0.35 * down, 0.08 * canvas.noise(6, 14, 3))
    _lay(stage, one, _soft(stage, one, 0.002), hull)


def _sail(stage: Stage, one: Named) -> None:
    canvas = stage.canvas
    _mirrored(stage, one)
    left, _, right, _ = _box(stage, one)
    belly = 0.06 - 0.2 * ((canvas.x - left) / max(1e-3, right - left) - 0.4).square()
    _lay(
        stage, one, _soft(stage, one, 0.002), stage.textured(_colour(stage, one), belly, 0.03 * canvas.noise(8, 20, 3))
    )


def _mirrored(stage: Stage, one: Named) -> None:
    """Its image in the water below, broken by ripples."""
    canvas = stage.canvas
    mask = torch.from_numpy(one.shape.mask).float()
    row = min(canvas.height - 1, int(one.shape.box[3] * canvas.height))
    below = mask[:row].flip(0)[: canvas.height - row]
    image = torch.zeros_like(mask)
    image[row : row + len(below)] = below
    wet = (canvas.labels == LABEL["water"]).float()
    canvas.lay(0.45 * image * wet * torch.sigmoid(canvas.noise(40, 4, 3) * 3 + 0.6), 0.8 * _colour(stage, one))


def _shadow(stage: Stage, x: float, y: float, half: float) -> None:
    """What a thing that stands at (x, y) throws to the right."""
    canvas = stage.canvas
    floor = sum((canvas.labels == LABEL[name]).float() for name in ("ground", "snow", "sand"))
    shade = canvas.ellipse(x, y - 0.002, half, 0.1 * half + 0.006, 0.7) * floor
    canvas.lay(0.38 * shade, canvas.colours * torch.tensor((0.42, 0.46, 0.6))[:, None, None])


def _object(stage: Stage, one: Named) -> None:
    """Whatever it is, round and lit from the upper left; what has no colour stays what lies behind it."""
    canvas = stage.canvas
    if one.colour is None:
        return
    left, top, right, bottom = _box(stage, one)
    across, down = (canvas.x - left) / max(1e-3, right - left), (canvas.y - top) / max(1e-3, bottom - top)
    light = (0.22 - 0.42 * ((across - 0.35).square() + (down - 0.3).square()).sqrt()).clamp(-0.3, 0.25)
    colour = stage.textured(_colour(stage, one), light, 0.05 * canvas.noise(10, 10, 4))
    _lay(stage, one, _soft(stage, one, 0.003), colour)


_HANDS: dict[str, Callable[[Stage, Named], None]] = {
    **{"cloud": _cloud, "mountain": _mountain, "ground": _ground, "snow": _ground, "sand": _ground, "water": _water},
    **{"rock": _rock, "tree": _tree, "trunk": _trunk, "flower": _flower, "building": _building, "roof": _roof},
    **{"boat": _boat, "sail": _sail},
}
