"""Water with what it mirrors, boats, waterfalls, reeds."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from danqing.techniques.scenery.stage import LABEL, ROCK, SNOW, Stage


def water(stage: Stage, top: float, bottom: float = 1.2) -> None:
    """Water from `top` to `bottom`: a mirror of what is above, broken by ripples, over its own colour."""
    canvas = stage.canvas
    first = max(1, int(top * canvas.height))
    rows = canvas.height - first
    steps = torch.linspace(0, 1, rows)[:, None]
    mirror = canvas.colours[:, :first].flip(1)[:, (torch.arange(rows) * 0.85).long().clamp(max=first - 1)]
    mirror = F.avg_pool2d(F.pad(mirror[None], (2, 2, 6, 6), mode="replicate"), (13, 5), 1)[0]
    rough = 2.0 if stage.weather == "storm" or "dramatic" in stage.scene.moods else 1.0
    sway = (canvas.noise(24, 3, 3)[first:] * 6 * rough * (0.3 + 1.2 * steps)).long()
    across = (torch.arange(canvas.width)[None] + sway).clamp(0, canvas.width - 1)
    mirror = torch.gather(mirror, 2, across[None].expand(3, -1, -1))
    own = stage.shown("water", (0.20, 0.37, 0.46))
    share = 0.7 if stage.told("water") else 0.36 if rough == 1 else 0.6
    ripples = canvas.noise(34, 4, 4, 0.7)[first:]
    colour = torch.lerp(mirror, own[:, None, None].expand_as(mirror), share)
    colour = colour * (1 + 0.10 * rough * ripples * (0.5 + 0.8 * steps)) * (1.03 - 0.2 * steps)
    crests = 0.34 * rough * torch.sigmoid((ripples - 1.35) * 6)
    foam = stage.lit(SNOW, 0.2) if stage.has("sea") else stage.horizon_colour
    colour = torch.lerp(colour, foam[:, None, None].expand_as(colour), crests.clamp(0, 0.9)[None])
    line = bottom + 0.03 * canvas.curve(1.2, 4)
    mask = torch.zeros(canvas.height, canvas.width)
    mask[first:] = 1
    if bottom < 1:
        mask = mask * (1 - canvas.below(line))
    layer = canvas.colours.clone()
    layer[:, first:] = colour
    if stage.disc:
        away = (canvas.x - stage.disc[0]).abs() / (0.03 + 0.12 * (canvas.y - top).clamp_min(0))
        streak = 0.72 * torch.exp(-away) * torch.sigmoid(canvas.noise(45, 6, 3) * 4 - 0.2)
        disc = stage.colour("light", stage.air.disc)
        layer = torch.lerp(layer, disc[:, None, None].expand_as(layer), streak[None])
    canvas.lay(mask, layer, LABEL["water"])
    if bottom < 1 and stage.has("sea", "beach"):  # the last wave runs out in foam
        edge = torch.exp(-((canvas.y - line[None] + 0.012).abs() / 0.012)) * (canvas.y > top)
        canvas.lay(0.7 * edge, stage.lit(SNOW))


def swell(stage: Stage, top: float, bottom: float) -> None:
    """Waves that roll toward the one who looks, the near ones higher: each dark under its crest, with foam on it."""
    canvas = stage.canvas
    own = stage.shown("water", (0.17, 0.33, 0.42))
    rows = 7
    for row in range(rows):
        near = (row + canvas.uniform(0.2, 0.8)) / rows
        high = 0.015 + 0.085 * near**1.3
        crest = top + 0.03 + (bottom - top) * near - high * (0.5 + 0.5 * canvas.curve(2.5 - near, 3).abs())
        down = ((canvas.y - crest[None]) / (1.6 * high)).clamp(0, 1)
        face = canvas.below(crest) * (1 - down)
        streaks = 0.12 * canvas.noise(30, 7, 4)
        dark = stage.textured(own * (0.62 + 0.2 * canvas.uniform()), streaks)
        canvas.lay((0.85 * face).clamp(0, 1), dark, LABEL["water"])
        edge = torch.exp(-((canvas.y - crest[None]) / (0.16 * high)).abs()) * torch.sigmoid(canvas.noise(26, 9, 4) * 3)
        canvas.lay(0.9 * edge, stage.lit(SNOW, 0.1), LABEL["water"])


def boats(stage: Stage, top: float, bottom: float) -> None:
    """One to four boats; a single one where the words say so."""
    canvas = stage.canvas
    count = 1 + int(canvas.uniform(0, 3.4))
    for number in range(1 if "alone" in stage.scene.composition else count):
        near = (number + canvas.uniform()) / 4
        if stage.has("boat", "sail"):  # then it is what the picture is about
            near = 0.4 + 0.6 * near
        y, size = top + 0.05 + 0.8 * (bottom - top) * near, 0.06 + 0.2 * near
        _boat(stage, canvas.uniform(0.15, 0.85) * canvas.wide, y, size, 0.5 * (1 - near))


def _boat(stage: Stage, x: float, y: float, size: float, depth: float) -> None:
    canvas = stage.canvas
    hull = stage.shown("boat", (0.34, 0.23, 0.18), depth)
    sail = stage.shown("sail", (0.94, 0.89, 0.79), depth)
    side = 1 if canvas.chance(0.5) else -1
    shapes = [
        ([(-0.012, 0.1), (-0.012, 1.1), (0.012, 1.1), (0.012, 0.1)], 0.8 * hull, "boat"),
        ([(-0.5, 0.2), (-0.38, 0), (0.38, 0), (0.55, 0.22)], hull, "boat"),
    ]
    if canvas.chance(0.75) or stage.has("sail"):
        shapes.append(([(0.03 * side, 1.08), (0.05 * side, 0.22), (0.5 * side, 0.26)], sail, "sail"))
    if canvas.chance(0.4):
        shapes.append(([(-0.02 * side, 0.9), (-0.04 * side, 0.26), (-0.34 * side, 0.3)], 0.94 * sail, "sail"))
    row = min(canvas.height - 1, int(y * canvas.height))
    for outline, colour, name in shapes:
        mask = canvas.figure(x, y, size, outline)
        mirrored = torch.zeros_like(mask)
        below = mask[:row].flip(0)[: canvas.height - row]
        mirrored[row : row + len(below)] = below
        canvas.lay(0.4 * mirrored * torch.sigmoid(canvas.noise(40, 4, 3) * 3 + 0.6), 0.8 * colour)
        canvas.lay(mask, colour, LABEL[name])


def waterfall(stage: Stage, horizon: float) -> None:
    """A fall over a cliff."""
    canvas = stage.canvas
    x, wide = canvas.uniform(0.35, 0.65) * canvas.wide, canvas.uniform(0.05, 0.09)
    tall = canvas.uniform(0.24, 0.34)
    foot = horizon + 0.03
    jagged = [(-1.5, 0.0), (-1.3, 0.6), (-0.9, 0.75), (-0.4, 1.1), (0.3, 1.05), (0.7, 0.8), (1.2, 0.7), (1.5, 0.0)]
    outline = [(a + canvas.uniform(-0.12, 0.12), b * canvas.uniform(0.9, 1.1)) for a, b in jagged]
    relief = 0.25 * canvas.noise(6, 22, 5)
    canvas.lay(canvas.figure(x, foot, tall, outline), stage.textured(stage.lit(ROCK, 0.25), relief), LABEL["rock"])
    sides = [(x - wide, foot), (x - 0.6 * wide, foot - tall), (x + 0.6 * wide, foot - tall), (x + wide, foot)]
    streaks = 0.12 * canvas.noise(4, 60, 3)
    canvas.lay(canvas.polygon(sides), stage.textured(stage.lit(SNOW, 0.1), streaks), LABEL["water"])
    canvas.lay(0.6 * canvas.ellipse(x, foot, 2.2 * wide, 0.05, 0.9), stage.lit(SNOW, 0.3))


def reeds(stage: Stage, base: float) -> None:
    """Reeds at a bank."""
    canvas = stage.canvas
    colour = stage.shown("tree", (0.52, 0.50, 0.28))
    for _ in range(70):
        x, foot, tall = canvas.uniform(0, canvas.wide), base + canvas.uniform(-0.02, 0.1), canvas.uniform(0.08, 0.2)
        lean = canvas.uniform(-0.04, 0.04)
        blade = [(x - 0.003, foot), (x + lean, foot - tall), (x + 0.004, foot)]
        canvas.lay(canvas.polygon(blade), colour * canvas.uniform(0.7, 1.2), LABEL["tree"])
