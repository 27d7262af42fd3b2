"""A drawing turned into a painting: blobs of colour, a line drawing, both, or a map of regions.

What the drawing is, is read from it: a map of regions where its pixels have the colours of REGION_COLOURS; a line
drawing where it is mostly paper with dark strokes, whose broad colours then come from a scene of the words; else a
layout of colours, whose lines are kept where it has some. Then `arts.brushwork` paints it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from danqing.arts import Flag, Tools
from danqing.errors import BadRequest, InvalidMedia

if TYPE_CHECKING:
    from torch import Tensor

    from danqing.arts.brushwork import Brush
    from danqing.artwork.artwork import Artwork
    from danqing.artwork.image import Picture
    from danqing.encode.scenes import Scene

SMALLEST, LARGEST = 64, 4096  # px, the longer side of a result
NARROWEST = 8  # px, any side of a drawing
PAPER = 0.5  # share of a line drawing that is blank
GREYEST = 0.06  # the most that a line drawing's strokes differ between red, green and blue, on average
REGION_COLOURS = {
    "sky": (135, 190, 235),
    "cloud": (240, 240, 245),
    "light": (255, 240, 150),
    "mountain": (120, 110, 130),
    "tree": (40, 110, 50),
    "ground": (150, 180, 80),
    "water": (40, 90, 170),
    "snow": (225, 235, 250),
    "sand": (225, 200, 140),
    "building": (180, 80, 60),
    "boat": (110, 60, 30),
    "flower": (230, 90, 150),
    "rock": (90, 90, 90),
}


@dataclass(frozen=True)
class Sketch:
    """A drawing or a colour layout turned into a painting."""

    drawing: Annotated[
        Path, Flag("colours, lines, both, or a map of regions: PNG, JPEG, WebP or TIFF", "DRAWING", argument=True)
    ]
    prompt: Annotated[str | None, Flag("light, season, colours and style in words: 'autumn, dusk', 黄昏", "TEXT")] = (
        None
    )
    style: Annotated[str | None, Flag("a style's name (danqing models --styles) or a picture", "NAME|FILE")] = None
    size: Annotated[int, Flag("longer side of the result, 64 to 4096 px; 0 keeps the drawing's own size", "N")] = 768
    draft: Annotated[bool, Flag("stop after the first pass, at about 256 px: a second instead of many")] = False
    model: Annotated[
        str, Flag("one of your own: a run's folder or run:NAME; the one that ships unless given", "RUN")
    ] = ""
    seed: Annotated[int | None, Flag("the same seed gives the same picture; a fresh one unless given", "N")] = None

    def __post_init__(self) -> None:
        from danqing.arts.paint import LONGEST

        if self.prompt is not None and not self.prompt.strip():
            raise BadRequest("the prompt is empty; say something of the light or the style, or leave it out")
        if self.prompt is not None and len(self.prompt) > LONGEST:
            raise BadRequest(f"the prompt has {len(self.prompt)} characters; {LONGEST} are read at most")
        if self.size != 0 and not SMALLEST <= self.size <= LARGEST:
            raise BadRequest(f"--size is {self.size}; it lies between {SMALLEST} and {LARGEST} px, or is 0")
        if self.seed is not None and not 0 <= self.seed < 2**31:
            raise BadRequest(f"--seed is {self.seed}; it lies between 0 and {2**31 - 1}")


def create(request: Sketch, tools: Tools) -> Artwork:
    """Meet the request. Raises InvalidMedia, BadRequest or UnknownName before any long work begins."""
    from danqing.arts import brushwork, policy
    from danqing.artwork import image
    from danqing.artwork.artwork import Artwork
    from danqing.artwork.provenance import Provenance, describe, parent
    from danqing.catalog import own
    from danqing.compute import seed as seeds
    from danqing.encode import scenes
    from danqing.encode.image import to_picture

    if request.prompt:
        policy.check(request.prompt)
    scene = scenes.read(request.prompt or "", lambda w: tools.styles.style(w).name if tools.styles.knows(w) else None)
    source = image.read(request.drawing)
    if min(source.width, source.height) < NARROWEST:
        raise InvalidMedia(
            f"{request.drawing} is {source.width}×{source.height} px; a drawing has {NARROWEST} px a side or more"
        )
    seed = seeds.fresh() if request.seed is None else request.seed
    label = request.style or (scene.styles[0] if scene.styles else brushwork.USUAL_STYLE)
    mine = own.check(request.model, "sketch") if request.model else None
    brush = brushwork.Brush(tools, brushwork.choose(label, tools), seed)
    if mine:
        brush.catalog = own.in_place(tools.styles.catalog, mine)
    layout, lines, kind = _read(source, scene, brush)
    longer = request.size or max(source.width, source.height)
    if not SMALLEST <= longer <= LARGEST:
        raise BadRequest(f"{request.drawing} has {longer} px and --size 0 keeps that; name a --size up to {LARGEST}")
    factor = longer / max(source.width, source.height)
    height, width = (max(16, round(side * factor)) for side in (source.height, source.width))
    picture = brush.blocked_in(layout, lines)
    result = picture if request.draft else brush.finished(picture, height, width)
    files = [parent("drawing", request.drawing), *([] if brush.style.named else [parent("style", brush.style.file)])]
    facts = {**describe(request), "seed": seed, "style": brush.style.name, "model": mine.name if mine else ""}
    unknown = (f"not known, and left out: {'、'.join(scene.unknown)}",) if scene.unknown else ()
    notes = (f"the drawing was read as {kind}", *unknown)
    provenance = Provenance("sketch", facts, seed, brush.models, tuple(files), notes)
    return Artwork(to_picture(result), provenance, title=f"{request.drawing.stem}, painted in {brush.style.name}")


def _read(source: Picture, scene: Scene, brush: Brush) -> tuple[Tensor, Tensor | None, str]:
    """(layout (1, 3, h, w), lines (1, 1, h, w) or None, what it is), the short side at about 256 px."""
    import torch

    from danqing.arts.brushwork import SHORT_SIDE
    from danqing.compute.seed import generator
    from danqing.encode import layouts
    from danqing.encode.image import luminance, resize, to_tensor
    from danqing.techniques import scenery

    x = to_tensor(source)
    if source.alpha is not None:  # what is transparent is paper
        clear = torch.from_numpy(source.alpha)
        x = x * clear + (1 - clear)
    factor = SHORT_SIDE / min(x.shape[2:])
    size = (round(x.shape[2] * factor), round(x.shape[3] * factor))
    regions = _regions(x)
    if regions is not None:
        shares = resize(regions, size)[0].clamp(0, 1)
        washed = scenery.wash(shares, tuple(REGION_COLOURS), scene, generator(brush.seed, stream=1))
        return brush.toned(washed), None, "a map of regions"
    small = resize(x, size)
    blank = (small.amin(1) > 0.92).float().mean()
    ink = small[:, :, (small.amin(1) < 0.6)[0]]
    grey = float((ink.amax(1) - ink.amin(1)).mean()) if ink.numel() else 1.0
    if blank > PAPER and grey < GREYEST:
        strokes = (1 - luminance(small)).clamp(0, 1)
        colours, _ = scenery.compose(scene, *size, generator(brush.seed, stream=1))
        wash = layouts.grid(colours, 6)
        return brush.toned(wash * (1 - 0.35 * strokes)), strokes, "a line drawing"
    return small, layouts.lines(small), "a layout of colours"


def _regions(x: Tensor) -> Tensor | None:
    """Shares of each region (1, R, H, W) where all but a few pixels have the colour of one, else None."""
    import torch

    colours = torch.tensor(list(REGION_COLOURS.values())).float() / 255
    apart = (x[:, None] - colours[None, :, :, None, None]).abs().amax(2)  # (1, R, H, W)
    near, which = apart.min(1)
    if float((near < 3 / 255).float().mean()) < 0.97 or int(which.min()) == int(which.max()):
        return None
    return torch.nn.functional.one_hot(which, len(colours)).permute(0, 3, 1, 2).float()
