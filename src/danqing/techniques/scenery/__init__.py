"""Scenes drawn as underpaintings: what a prompt asks for, in perspective, light and colour, from back to front.

Landscape painters block a picture in before they paint it: sky, far hills paler and bluer than near ones (aerial
perspective), water that mirrors what stands above it, trees and houses against the light. This package does that by
rules and chance, so that each seed is another composition and every thing that was asked for is in it. No picture was
used. The shapes are those of procedural landscapes: fractal noise and ridges (Musgrave 1993, "Methods for Realistic
Landscape Imaging"), branching trees (Honda 1971). Beside the colours it gives a label for each pixel.
`stage` holds a scene's light, `views` puts whole views together, the others draw what is in them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from danqing.encode.canvas import Canvas
from danqing.encode.scenes import Rgb, Scene
from danqing.techniques.scenery import sky, trees, views
from danqing.techniques.scenery.stage import GRASS, LABEL, REGIONS, ROCK, SAND, SNOW, Stage

__all__ = ["REGIONS", "compose", "wash"]


def compose(scene: Scene, height: int, width: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw a scene. Returns colours (1, 3, H, W) float32 sRGB in [0, 1] and labels (H, W) int64 into REGIONS."""
    stage = Stage(scene, Canvas(height, width, generator))
    if stage.has("still-life", "fruit", "vase") and not views.outdoors(scene):
        views.still_life(stage)
    else:
        views.landscape(stage)
    views.tint(stage)
    views.by_hand(stage.canvas)
    return stage.canvas.colours.clamp(0, 1)[None], stage.canvas.labels


def wash(shares: Tensor, names: Sequence[str], scene: Scene, generator: torch.Generator) -> Tensor:
    """A map of regions in the colours of a scene's light. Returns (1, 3, H, W) float32 sRGB in [0, 1].

    shares (R, H, W) in [0, 1]: how much of each pixel each region has; names: the regions, of REGIONS.
    """
    height, width = shares.shape[1:]
    stage = Stage(scene, Canvas(height, width, generator))
    canvas = stage.canvas
    above = shares[list(names).index("sky")] if "sky" in names else torch.zeros(height, width)
    rows = torch.nonzero(above.mean(1) > 0.2)
    horizon = (int(rows[-1]) + 1) / height if len(rows) else 0.5
    sky.paint(stage, horizon)
    ground = {"ground": GRASS[stage.season], "water": (0.24, 0.40, 0.50)}
    usual: dict[str, Rgb] = {
        **{"cloud": (0.96, 0.96, 0.95), "light": stage.air.disc, "mountain": (0.42, 0.46, 0.50), **ground},
        **{"snow": SNOW, "sand": SAND, "building": (0.80, 0.66, 0.54), "boat": (0.34, 0.23, 0.18)},
        **{"flower": (0.86, 0.38, 0.46), "rock": ROCK, "object": (0.70, 0.40, 0.24), "cloth": (0.72, 0.66, 0.56)},
    }
    for name, share in zip(names, shares, strict=True):
        if name != "sky":
            far = 0.6 if name == "mountain" else 0.15
            own = trees.leaf(stage) if name == "tree" else stage.colour(name, usual[name])
            colour = stage.lit(own, far if name not in ("light", "cloud") else 0.0)
            canvas.lay(share, stage.textured(colour, 0.12 * canvas.noise(9, 6, 5)), LABEL[name])
    views.tint(stage)
    return canvas.colours.clamp(0, 1)[None]
