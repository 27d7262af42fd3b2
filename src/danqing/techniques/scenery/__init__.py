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
from danqing.encode.scenes import Scene
from danqing.techniques.scenery import views
from danqing.techniques.scenery.dress import dress
from danqing.techniques.scenery.guess import Named, named, ordered
from danqing.techniques.scenery.stage import REGIONS, Stage

__all__ = ["REGIONS", "Named", "compose", "named", "ordered", "wash"]


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


def wash(shapes: Sequence[Named], scene: Scene, generator: torch.Generator, strokes: Tensor | None = None) -> Tensor:
    """Named shapes that part a picture, dressed as what they are. Returns (1, 3, H, W) float32 sRGB in [0, 1].

    A shape without a colour gets the one that it usually has in the scene's light. strokes (4, H, W): colours and
    cover of lines that lie upon all of it.
    """
    height, width = shapes[0].shape.mask.shape
    stage = Stage(scene, Canvas(height, width, generator))
    horizon = dress(stage, shapes)
    if scene.weather:
        views.weather(stage, horizon)
    if strokes is not None:
        stage.canvas.lay(strokes[3], strokes[:3])
    views.tint(stage)
    views.by_hand(stage.canvas)
    return stage.canvas.colours.clamp(0, 1)[None]
