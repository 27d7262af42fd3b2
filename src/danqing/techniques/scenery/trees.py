"""Woods and single trees: leafy, pine, birch, bamboo, willow, in blossom, in snow."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from danqing.encode.scenes import Rgb
from danqing.techniques.scenery.stage import (
    BAMBOO,
    BARK,
    BARKS,
    KINDS,
    LABEL,
    LEAVES,
    PINE,
    PINK,
    SNOW,
    WATERS,
    Stage,
)

LARGE = 0.16  # of the picture's height: a fir that is taller has boughs


def foliage(stage: Stage, blobs: Sequence[tuple[float, float, float]], colour: Tensor, rough: float = 0.2) -> None:
    """Leaves around points (x, y, radius): ragged, lighter above, with the sky seen through."""
    canvas = stage.canvas
    cover = torch.zeros(canvas.height, canvas.width)
    tone = torch.zeros_like(cover)
    for x, y, radius in blobs:
        blob = canvas.ellipse(x, y, 1.25 * radius, radius, 0.5)
        lit = (canvas.uniform(-0.16, 0.16) + 0.28 * (y - canvas.y) / max(radius, 1e-3)).clamp(-0.4, 0.4)
        tone = torch.lerp(tone, lit, blob)
        cover = torch.maximum(cover, blob)
    leaves = canvas.noise(30, 30 * canvas.wide, 4, 0.8)
    mask = torch.sigmoid((cover - 0.5 + rough * leaves) * 11) * (cover > 0.12)
    canvas.lay(mask, stage.textured(colour, tone, 0.2 * leaves), LABEL["tree"])
    if stage.snowy:
        canvas.lay(mask * torch.sigmoid((tone + 0.3 * leaves - 0.12) * 9) * 0.8, stage.lit(SNOW))


def leaf(stage: Stage) -> Tensor:
    """The colour of its leaves, before light falls on it."""
    own: dict[str, Rgb] = {"pine": PINE, "bamboo": BAMBOO}
    usual = PINK if stage.has("blossom") else own.get(stage.kind, LEAVES[stage.season])
    return stage.colour("tree", usual)


def _bark(stage: Stage, depth: float = 0.0) -> Tensor:
    return stage.lit(BARKS.get(stage.kind, BARK), depth)


def leafless(stage: Stage) -> bool:
    """Whether its trees stand bare."""
    return stage.season == "winter" and not stage.evergreen and not stage.has("blossom")


def treeline(stage: Stage, base: float, height: float, depth: float, gaps: float) -> None:
    """A row of trees that stand on `base`, seen from afar."""
    canvas = stage.canvas
    colour = leaf(stage) if canvas.chance(0.8) or stage.told("tree") else torch.tensor(LEAVES["summer"])
    pointed = 0.7 if stage.snowy or stage.has("mountain", "snowcap") else 0.2
    stage.another()
    if stage.kind or stage.without("pine"):
        pointed = 1.0 if stage.kind == "pine" else 0.0
    blobs: list[tuple[float, float, float]] = []
    cones = []
    x = -0.05
    while x < canvas.wide + 0.05:
        tall = height * canvas.uniform(0.5, 1.25)
        foot = base + canvas.uniform(-0.008, 0.012)
        if not canvas.chance(gaps):
            if canvas.chance(pointed):
                cones.append((x, foot, tall))
            elif canvas.chance(0.15):  # a poplar
                blobs += [(x, foot - tall * k / 8, 0.13 * tall * (1.1 - k / 14)) for k in range(1, 12)]
            else:
                blobs += [
                    (
                        x + tall * canvas.uniform(-0.3, 0.3),
                        foot - tall * canvas.uniform(0.2, 0.75),
                        tall * canvas.uniform(0.18, 0.34),
                    )
                    for _ in range(4)
                ]
        x += tall * canvas.uniform(0.25, 0.9) * (1 + gaps)
    for x, foot, tall in cones:
        if tall > LARGE:
            _pine(stage, x, foot, tall, 0.0, depth)
        else:
            _fir(stage, x, foot, tall, depth)
    if blobs:
        foliage(stage, blobs, stage.lit(colour, depth), 0.16)


def _fir(stage: Stage, x: float, foot: float, tall: float, depth: float) -> None:
    canvas = stage.canvas
    colour = stage.shown("tree", (0.20, 0.32, 0.24), depth)
    for tier in range(4):
        half, top, low = 0.1 + 0.07 * tier, 1 - 0.2 * tier, 0.62 - 0.2 * tier
        boughs = [(0.0, top), (-half, low), (-0.3 * half, low + 0.03), (0.3 * half, low + 0.03), (half, low)]
        canvas.lay(canvas.figure(x, foot, tall, boughs), colour * canvas.uniform(0.85, 1.15), LABEL["tree"])
        if stage.snowy:
            snow = canvas.figure(x, foot, tall, [(0.0, top), (-0.7 * half, low + 0.12), (0.4 * half, low + 0.14)])
            canvas.lay(0.8 * snow, stage.lit(SNOW, depth))


def trunks(stage: Stage, foot: float, count: int, depth: float, opening: float) -> None:
    """Trunks that stand on a row and leave the picture above, farther apart where the wood opens."""
    canvas = stage.canvas
    colour = _bark(stage, depth)
    slim = {"bamboo": 0.45, "birch": 0.75}.get(stage.kind, 1.0)
    for _ in range(count * (3 if stage.kind == "bamboo" else 1)):
        x = canvas.uniform(-0.02, canvas.wide + 0.02)
        if abs(x - opening) < canvas.uniform(0.04, 0.2) * canvas.wide:
            continue
        width, lean = slim * (0.006 + 0.016 * (1 - depth)) * canvas.uniform(0.7, 1.3), canvas.uniform(-0.05, 0.05)
        base = foot + canvas.uniform(-0.012, 0.02)
        outline = [(x - 1.4 * width, base), (x - width, base - 0.05), (x + lean - 0.7 * width, -0.02)]
        outline += [(x + lean + 0.7 * width, -0.02), (x + width, base - 0.05), (x + 1.4 * width, base)]
        mask = canvas.polygon(outline)
        canvas.lay(mask, colour * canvas.uniform(0.8, 1.25), LABEL["tree"])
        if stage.kind in ("birch", "bamboo"):
            _rings(stage, mask, base, 0.05 + 0.06 * (1 - depth), depth)


def _rings(stage: Stage, mask: Tensor, foot: float, apart: float, depth: float) -> None:
    """The dark marks of birches, the joints of bamboo, `apart` from each other on a trunk."""
    canvas = stage.canvas
    wavy = 0.3 * canvas.noise(9, 30, 3) if stage.kind == "birch" else torch.zeros(())
    place = ((foot - canvas.y) / apart + wavy) % 1
    marks = torch.sigmoid((0.13 - place) * 50) * (torch.sigmoid(canvas.noise(20, 24, 3) * 4) if wavy.ndim else 1)
    dark = stage.lit((0.16, 0.15, 0.14) if wavy.ndim else (0.27, 0.36, 0.16), depth)
    canvas.lay(0.8 * mask * marks, dark)


def canopy(stage: Stage, opening: float) -> None:
    """Leaves that hang into the picture from above, thinner where the wood opens; none in winter."""
    canvas = stage.canvas
    if leafless(stage):
        return
    for depth in (0.45, 0.1):
        blobs = []
        for _ in range(22):
            x = canvas.uniform(-0.05, canvas.wide + 0.05)
            low = 0.26 * min(1.0, abs(x - opening) / (0.35 * canvas.wide)) - 0.04
            blobs.append((x, canvas.uniform(-0.08, low), canvas.uniform(0.05, 0.11)))
        foliage(stage, blobs, stage.lit(leaf(stage), depth), 0.35)


def tree(stage: Stage, x: float, foot: float, tall: float, lean: float) -> None:
    """A tree near by, of the kind that was asked for."""
    stage.another()
    if stage.kind == "willow":
        _willow(stage, x, foot, tall)
    elif stage.kind == "pine":
        _pine(stage, x, foot, tall, lean)
    elif stage.kind == "bamboo":
        _culms(stage, x, foot, tall)
    else:
        _leafy(stage, x, foot, tall, lean)


def _pine(stage: Stage, x: float, foot: float, tall: float, lean: float, depth: float = 0.0) -> None:
    """A trunk with boughs that hang in tiers, the lower the longer."""
    canvas = stage.canvas
    trunk = [(-0.035, 0.0), (0.5 * lean - 0.012, 0.9), (0.5 * lean + 0.012, 0.9), (0.035, 0.0)]
    canvas.lay(canvas.figure(x, foot, tall, trunk), _bark(stage, depth), LABEL["tree"])
    boughs: list[tuple[float, float, float]] = []
    tiers = 9
    for tier in range(tiers):
        up = 0.2 + 0.79 * tier / (tiers - 1)
        half = 0.34 * (1.05 - up) * canvas.uniform(0.8, 1.15)
        middle = x + 0.5 * lean * tall * up
        for side in (-1, 1):
            reach, sag = half * canvas.uniform(0.75, 1.1), canvas.uniform(0.10, 0.22)
            boughs += [
                (middle + side * reach * tall * t, foot - tall * (up - sag * reach * t), tall * (0.034 - 0.016 * t))
                for t in (0.05, 0.35, 0.6, 0.85)
            ]
    foliage(stage, boughs, stage.shown("tree", PINE, depth), 0.3)


def _culms(stage: Stage, x: float, foot: float, tall: float) -> None:
    """A clump of bamboo: slim jointed stems that bend outward, leaves in sprays on them."""
    canvas = stage.canvas
    stem, sprays = _bark(stage), []
    for _ in range(7):
        root, bend = x + canvas.uniform(-0.12, 0.12), canvas.uniform(-0.16, 0.16)
        high, half = tall * canvas.uniform(0.9, 1.3), 0.008 * canvas.uniform(0.8, 1.3)
        spine = [(root + bend * (k / 8) ** 2, foot - high * k / 8) for k in range(9)]
        sides = [[(a + side * half, b) for a, b in spine] for side in (-1, 1)]
        mask = canvas.polygon([*sides[0], *sides[1][::-1]])
        canvas.lay(mask, stem * canvas.uniform(0.8, 1.2), LABEL["tree"])
        _rings(stage, mask, foot, 0.09, 0.0)
        for a, b in spine[4:]:
            if canvas.chance(0.7):
                sprays.append((a + canvas.uniform(-0.06, 0.06), b + canvas.uniform(-0.03, 0.05), 0.045))
    foliage(stage, sprays, stage.lit(leaf(stage)), 0.5)


def _leafy(stage: Stage, x: float, foot: float, tall: float, lean: float) -> None:
    """A trunk that branches (Honda 1971), and leaves at the ends of its twigs."""
    canvas = stage.canvas
    bark = _bark(stage)
    tips: list[tuple[float, float, float]] = []

    def branch(x: float, y: float, angle: float, length: float, width: float, left: int) -> None:
        x1, y1 = x + length * math.sin(angle), y - length * math.cos(angle)
        end = 0.68 * width
        mask = canvas.polygon([(x - width, y), (x1 - end, y1), (x1 + end, y1), (x + width, y)])
        canvas.lay(mask, bark * canvas.uniform(0.85, 1.15), LABEL["tree"])
        if stage.kind == "birch" and left > 1:
            _rings(stage, mask, y, 0.07, 0.0)
        if left == 0:
            tips.append((x1, y1, tall * canvas.uniform(0.06, 0.11)))
            return
        if left <= 2:
            tips.append((x1, y1, tall * canvas.uniform(0.05, 0.09)))
        for side in (-1, 1):
            spread = canvas.uniform(0.25, 0.62)
            branch(x1, y1, angle * 0.75 + side * spread, length * canvas.uniform(0.62, 0.82), end, left - 1)

    branch(x, foot, lean, 0.34 * tall, 0.026 * tall, 4)
    if not leafless(stage):
        foliage(stage, [tip for tip in tips if canvas.chance(0.85)], stage.lit(leaf(stage)), 0.3)


def _willow(stage: Stage, x: float, foot: float, tall: float) -> None:
    """A trunk, a crown, and strands of leaves that hang from it."""
    canvas = stage.canvas
    trunk = [(-0.03, 0.0), (-0.012, 0.7), (0.012, 0.7), (0.035, 0.0)]
    canvas.lay(canvas.figure(x, foot, tall, trunk), _bark(stage), LABEL["tree"])
    colour = stage.lit(leaf(stage))
    crown = []
    for _ in range(26):
        side = canvas.uniform(-1, 1)
        top = (x + 0.3 * tall * side, foot - tall * (0.9 - 0.3 * side * side))
        reach = tall * canvas.uniform(0.3, 0.7)
        crown += [(top[0] + 0.05 * tall * side * t, top[1] + reach * t, 0.034 * tall) for t in (0, 0.3, 0.6, 0.9)]
    foliage(stage, crown, colour, 0.45)


def near_trees(stage: Stage, share: float) -> None:
    """One or two trees at the sides, partly outside the picture, as painters frame a view."""
    canvas = stage.canvas
    if not stage.may("tree", share) and not stage.has("blossom", *KINDS):
        return
    sides = [-1, 1] if canvas.chance(0.2) else [1 if canvas.chance(0.5) else -1]
    shown = stage.disc[0] if stage.disc and stage.has("moon", "sun") else stage.built
    if shown is not None:  # not before what was asked for
        sides = [-1 if shown > canvas.wide / 2 else 1]
    willows = stage.has(*WATERS) and stage.season in ("spring", "summer") and not stage.has("blossom", *KINDS)
    willows = willows and not stage.without("willow")
    for number, side in enumerate(sides):
        x = canvas.wide * (0.5 + side * canvas.uniform(0.34, 0.5))
        foot, tall = canvas.uniform(0.86, 1.02), canvas.uniform(0.6, 0.95)
        if willows and not number and canvas.chance(0.3):
            _willow(stage, x, foot, tall)
        else:
            tree(stage, x, foot, tall, -side * canvas.uniform(0.0, 0.22))
