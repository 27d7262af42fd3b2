"""A painting from words.

The words become a scene (`encode.scenes`: places, things, light, weather, colours, styles, in Chinese and English), the
scene an underpainting (`techniques.scenery`: another composition for each seed), the underpainting a painting
(`arts.brushwork`). Words that are not known are told, not hidden.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from danqing.arts import Flag, Tools
from danqing.artwork.request import Step
from danqing.errors import BadRequest

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from danqing.artwork.artwork import Artwork
    from danqing.encode.scenes import Scene

SMALLEST, LARGEST = 128, 4096  # px, the longer side of a result
LONGEST = 1000  # characters of a prompt
MOST = 16
SHAPES = {"upright": 3 / 4, "panorama": 5 / 2}  # width / height; else USUAL
USUAL = 4 / 3
UNDERPAINTING, FIRST_PASS = "underpainting", "first pass"  # stages of a work that can be looked at


@dataclass(frozen=True)
class Paint:
    """A painting from words (中文 or English), from a style, or from the colours of another picture."""

    prompt: Annotated[
        str | None,
        Flag(
            "what it shows: 蓝色的天空，白色的云朵 or 'a quiet harbour at dusk'; a scene of its own unless given",
            "PROMPT",
            argument=True,
        ),
    ] = None
    style: Annotated[str | None, Flag("a style's name (danqing models --styles) or a picture of it", "NAME|FILE")] = (
        None
    )
    size: Annotated[int, Flag("longer side of the result, 128 to 4096 px", "N")] = 768
    count: Annotated[int, Flag("how many, each another composition", "N")] = 1
    like: Annotated[
        Path | None,
        Flag("a picture whose colours it takes; without a prompt, its composition too", "FILE"),
    ] = None
    model: Annotated[
        str | None,
        Flag("own unless given; hf:NAME is a text-to-image model through the diffusers library (extra hub)", "hf:NAME"),
    ] = None
    seed: Annotated[int | None, Flag("the same seed gives the same picture; a fresh one unless given", "N")] = None

    def __post_init__(self) -> None:
        if self.prompt is not None and not self.prompt.strip():
            raise BadRequest("the prompt is empty; say what to paint, or leave it out for a scene of chance")
        if self.prompt is not None and len(self.prompt) > LONGEST:
            raise BadRequest(f"the prompt has {len(self.prompt)} characters; {LONGEST} are read at most")
        if not SMALLEST <= self.size <= LARGEST:
            raise BadRequest(f"--size is {self.size}; it lies between {SMALLEST} and {LARGEST} px")
        if not 1 <= self.count <= MOST:
            raise BadRequest(f"--count is {self.count}; it lies between 1 and {MOST}")
        if self.model is not None and (not self.prompt or self.like):
            raise BadRequest("--model hf:NAME paints from words: it goes with a prompt and without --like")
        if self.seed is not None and not 0 <= self.seed < 2**31:
            raise BadRequest(f"--seed is {self.seed}; it lies between 0 and {2**31 - 1}")


def create(request: Paint, tools: Tools) -> Artwork:
    """One painting."""
    return create_all(replace(request, count=1), tools)[0]


def create_all(request: Paint, tools: Tools) -> tuple[Artwork, ...]:
    """Meet the request. Raises BadRequest, UnknownName or InvalidMedia before any long work begins."""
    from danqing.arts import policy
    from danqing.compute import seed as seeds

    if request.prompt:
        policy.check(request.prompt)
    seed = seeds.fresh() if request.seed is None else request.seed
    if request.model:
        return _by_guest(request, request.model, seed, tools)
    scene = understood(request, tools)
    return tuple(_one(request, scene, (seed + number) % 2**31, tools) for number in range(request.count))


def _by_guest(request: Paint, model: str, seed: int, tools: Tools) -> tuple[Artwork, ...]:
    """By a model from elsewhere: the prompt goes to it as it is written, with the style's name."""
    from danqing.artwork.artwork import Artwork
    from danqing.artwork.provenance import Provenance, describe
    from danqing.compute.seed import generator
    from danqing.encode.image import to_picture
    from danqing.encode.scenes import Scene
    from danqing.techniques import hub_pictures

    assert request.prompt is not None
    words = request.prompt
    if request.style:
        words = f"{words}, {tools.styles.style(request.style).title}"
    pipeline = hub_pictures.load(model, tools.compute)
    works = []
    for number in range(request.count):
        own = (seed + number) % 2**31
        picture = hub_pictures.paint(pipeline, words, _sides(request, Scene()), generator(own), tools.on_step)
        facts = {**describe(request), "count": 1, "seed": own}
        notes = (f"painted by {model}, a model from elsewhere; what it learned from is on its own card",)
        works.append(Artwork(to_picture(picture), Provenance("paint", facts, own, {}, (), notes), title=request.prompt))
    return tuple(works)


def understood(request: Paint, tools: Tools) -> Scene | None:
    """The scene of a prompt, None without one; raises BadRequest where none of its words is known."""
    from danqing.encode import scenes

    if not request.prompt:
        return None

    def style_of(words: str) -> str | None:
        return tools.styles.style(words).name if tools.styles.knows(words) else None

    scene = scenes.read(request.prompt, style_of)
    if scene.says_nothing:
        raise BadRequest(
            f"none of these words is known to the painter: {request.prompt[:60]!r}. It knows places, things, light, "
            "weather, seasons, colours and styles: 山 湖 黄昏 雪 蓝色, mountain lake dusk snow blue"
        )
    return scene


def _one(request: Paint, scene: Scene | None, seed: int, tools: Tools) -> Artwork:
    from danqing.arts import brushwork
    from danqing.artwork.artwork import Artwork
    from danqing.artwork.provenance import Provenance, describe, parent
    from danqing.compute.seed import generator
    from danqing.encode import inventions
    from danqing.encode.image import to_picture

    asked = scene if scene is not None else inventions.scene(generator(seed, stream=4))
    label = request.style or (asked.styles[0] if asked.styles else brushwork.USUAL_STYLE)
    brush = brushwork.Brush(tools, brushwork.choose(label, tools), seed)
    height, width = _sides(request, asked)
    layout, told = _layout(request, asked, scene is None, brush, height / width)
    tools.on_step(Step(0, 2, UNDERPAINTING, lambda: to_picture(layout)))
    blocked = brush.blocked_in(layout)
    if told is not None:  # what was named keeps its colour
        blocked = brush.recoloured(blocked, layout, told)
    tools.on_step(Step(1, 2, FIRST_PASS, lambda: to_picture(blocked)))
    result = brush.finished(blocked, height, width, told)
    files = [] if brush.style.named else [parent("style", brush.style.file)]
    if request.like:
        files.append(parent("like", request.like))
    facts: dict[str, Any] = {**describe(request), "count": 1, "seed": seed, "style": brush.style.name}
    notes = (
        *((f"not known, and left out: {'、'.join(asked.unknown)}",) if asked.unknown else ()),
        *((f"of several styles the first was used: {asked.styles[0]}",) if len(asked.styles) > 1 else ()),
    )
    title = request.prompt or f"a scene of chance, {brush.style.name}"
    return Artwork(to_picture(result), Provenance("paint", facts, seed, brush.models, tuple(files), notes), title=title)


def composing(request: Paint, seed: int) -> torch.Generator:
    """What chance decides in the composition: by the seed and the words, so that one seed is not one composition."""
    from danqing.compute.seed import generator

    return generator(seed, stream=10 + zlib.crc32((request.prompt or "").encode()))


def _sides(request: Paint, scene: Scene) -> tuple[int, int]:
    """(height, width) of the result."""
    ratio = next((SHAPES[name] for name in scene.composition if name in SHAPES), USUAL)
    if request.like and not request.prompt:
        from danqing.artwork import image

        picture = image.read(request.like)
        ratio = picture.width / picture.height
    longer = request.size
    return (round(longer / ratio), longer) if ratio >= 1 else (longer, round(longer * ratio))


def _layout(request: Paint, scene: Scene, free: bool, brush: Any, ratio: float) -> tuple[Tensor, Tensor | None]:
    """The underpainting at about 256 px in its final colours, and where colours were named."""
    import torch
    import torch.nn.functional as F

    from danqing.arts.brushwork import SHORT_SIDE
    from danqing.artwork import image
    from danqing.encode import layouts
    from danqing.encode.image import match_colors, resize, to_tensor
    from danqing.techniques import scenery

    height, width = (SHORT_SIDE, round(SHORT_SIDE / ratio)) if ratio <= 1 else (round(SHORT_SIDE * ratio), SHORT_SIDE)
    liked = to_tensor(image.read(request.like)) if request.like else None
    if liked is not None and free:
        return layouts.soft(resize(liked, (height, width)), 4), None
    colours, labels = scenery.compose(scene, height, width, composing(request, brush.seed))
    named = torch.zeros(height, width)
    blooming = {"tree"} if "blossom" in scene.things else set()  # pink is what was asked for, without being said
    for region in {*scene.colours} | blooming:
        if region in scenery.REGIONS:
            named[labels == scenery.REGIONS.index(region)] = 1
    # Grown before its border is softened: flowers and boats are a few pixels wide.
    named = F.avg_pool2d(F.max_pool2d(named[None, None], 7, 1, 3), 7, 1, 3)[0, 0]
    if liked is not None:
        moved = match_colors(colours, resize(liked, (height, width)))
        return torch.lerp(moved, colours, named[None, None]), named
    return brush.toned(colours, named), named
