"""A drawing turned into a painting: blobs of colour, a line drawing, both, or a map of regions.

What the drawing is, is read from it: a map of regions where its pixels have the colours of REGION_COLOURS; a line
drawing where it is mostly paper with dark strokes; shapes of flat colour; else a layout of colours as a photo would be
one, whose lines are kept where it has some. Flat shapes, and what lines enclose, are taken for what they seem to be
(`techniques.scenery.guess`) and dressed as that. Then `arts.brushwork` paints it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from danqing.arts import Flag, Tools
from danqing.errors import BadRequest, InvalidMedia

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from danqing.arts.brushwork import Brush
    from danqing.artwork.artwork import Artwork
    from danqing.artwork.image import Picture
    from danqing.encode.scenes import Scene
    from danqing.techniques.scenery import Named

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


LONG_SIDE = 1024  # px, at most, of what is read and dressed
TAKEN = "; taken for "  # in the note of a work, before what its shapes were taken for
INKED = 0.35  # how dark a line drawing's strokes lie upon its colours


@dataclass(frozen=True)
class _Reading:
    """layout (1, 3, h, w); lines (1, 1, h, w) or None; what the drawing is, and what its shapes were taken for."""

    layout: Tensor
    lines: Tensor | None
    kind: str
    shapes: tuple[str, ...] = ()


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
    plain: Annotated[bool, Flag("leave flat shapes as they are: guess no trees, no water, no sky in them")] = False
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
    reading = _read(source, scene, request.plain, brush)
    longer = request.size or max(source.width, source.height)
    if not SMALLEST <= longer <= LARGEST:
        raise BadRequest(f"{request.drawing} has {longer} px and --size 0 keeps that; name a --size up to {LARGEST}")
    factor = longer / max(source.width, source.height)
    height, width = (max(16, round(side * factor)) for side in (source.height, source.width))
    picture = brush.blocked_in(reading.layout, reading.lines)
    result = brush.drafted(picture) if request.draft else brush.finished(picture, height, width)
    files = [parent("drawing", request.drawing), *([] if brush.style.named else [parent("style", brush.style.file)])]
    facts = {**describe(request), "seed": seed, "style": brush.style.name, "model": mine.name if mine else ""}
    unknown = (f"not known, and left out: {'、'.join(scene.unknown)}",) if scene.unknown else ()
    meant = TAKEN + ", ".join(reading.shapes) if reading.shapes else ""
    notes = (f"the drawing was read as {reading.kind}{meant}", *unknown)
    provenance = Provenance("sketch", facts, seed, brush.models, tuple(files), notes)
    return Artwork(to_picture(result), provenance, title=f"{request.drawing.stem}, painted in {brush.style.name}")


def taken_for(work: Artwork) -> list[str]:
    """What the shapes of a work's drawing were taken for, the largest first; none where nothing was guessed."""
    _, told, names = work.provenance.notes[0].partition(TAKEN)
    return names.split(", ") if told else []


def _read(source: Picture, scene: Scene, plain: bool, brush: Brush) -> _Reading:
    """What the drawing is, its short side at about 256 px."""
    import torch
    from torch.nn.functional import interpolate

    from danqing.arts.brushwork import SHORT_SIDE
    from danqing.compute.seed import generator
    from danqing.encode import layouts, shapes
    from danqing.encode.image import luminance, resize, to_tensor
    from danqing.techniques import scenery

    x = to_tensor(source)
    if source.alpha is not None:  # what is transparent is paper
        clear = torch.from_numpy(source.alpha)
        x = x * clear + (1 - clear)
    factor = min(SHORT_SIDE / min(x.shape[2:]), LONG_SIDE / max(x.shape[2:]))
    size = (round(x.shape[2] * factor), round(x.shape[3] * factor))
    chance = generator(brush.seed, stream=1)
    plainly = interpolate(x, size, mode="nearest")  # no colour in it that was not in the drawing
    regions = _regions(plainly)
    if regions is not None:
        named = [
            scenery.Named(name, part)
            for number, name in enumerate(REGION_COLOURS)
            for part in ([shapes.Shape(regions == number)] if name == "sky" else shapes.parts(regions == number))
            if part.mask.any()
        ]
        if named:
            washed = scenery.wash(scenery.ordered(named), scene, chance)
            return _Reading(brush.toned(washed), None, "a map of regions")
    small = resize(x, size).clamp(0, 1)
    # What is enlarged keeps its hard borders: softened ones would ring, and rings be shapes.
    hard = plainly if factor > 1 else small
    blank = (small.amin(1) > 0.92).float().mean()
    ink = small[:, :, (small.amin(1) < 0.6)[0]]
    grey = float((ink.amax(1) - ink.amin(1)).mean()) if ink.numel() else 1.0
    if blank > PAPER and grey < GREYEST:
        strokes = (1 - luminance(small)).clamp(0, 1)
        enclosed = () if plain else shapes.of_lines(strokes)
        named = scenery.named(enclosed, scene) if len(enclosed) > 1 else []
        if named:
            wash = scenery.wash(named, scene, chance)
        else:
            colours, _ = scenery.compose(scene, *size, chance)
            wash = layouts.grid(colours, 6)
        return _Reading(brush.toned(wash * (1 - INKED * strokes)), strokes, "a line drawing", _told(named))
    drawing = None if plain else shapes.of_colours(hard)
    if drawing is None or len(drawing.shapes) < 2:
        return _Reading(small, layouts.lines(small), "a layout of colours")
    named = scenery.named(drawing.shapes, scene)
    lines = torch.cat([hard[0], torch.from_numpy(drawing.strokes)[None].float()])
    return _Reading(scenery.wash(named, scene, chance, lines), None, "shapes of colour", _told(named))


def _told(named: list[Named]) -> tuple[str, ...]:
    """What the shapes were taken for, the largest first, each once."""
    return tuple(dict.fromkeys(one.name for one in sorted(named, key=lambda one: -one.shape.share)))


def _regions(x: Tensor) -> NDArray[np.int64] | None:
    """The number of each pixel's region (H, W) where all but a few pixels have the colour of one, else None."""
    import torch

    colours = torch.tensor(list(REGION_COLOURS.values())).float() / 255
    apart = (x[:, None] - colours[None, :, :, None, None]).abs().amax(2)  # (1, R, H, W)
    near, which = apart.min(1)
    if float((near < 3 / 255).float().mean()) < 0.97 or int(which.min()) == int(which.max()):
        return None
    numbers: NDArray[np.int64] = which[0].numpy()
    return numbers
