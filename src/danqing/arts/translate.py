"""A photo as a painting of another kind, and a painting as a photo: CycleGAN (`techniques.cycle`).

The network was trained on small pictures. So a copy of the picture at about that size is translated, and the picture
itself, with its fine detail, takes on the difference. What `stylize` does with strokes, this does with what a whole
school of pictures has in common: paper tones, flat water, hazy distance; docs/guide/paint.md says when to use which.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from danqing.arts import Flag, Tools
from danqing.errors import BadRequest, InvalidMedia, UnknownName

if TYPE_CHECKING:
    from danqing.artwork.artwork import Artwork

MODEL = "translate"
NARROWEST = 16  # px, any side
LARGEST = 8192  # px, the longer side of a result
ZOOM = 2.0  # how much larger than in training a picture is translated: strokes twice as fine
DETAIL = 0.6  # of the picture's own fine detail that the result keeps


@dataclass(frozen=True)
class Translate:
    """A photo as a painting of another kind, or a painting as a photo."""

    image: Annotated[Path, Flag("the picture to translate: PNG, JPEG, WebP or TIFF", "IMAGE", argument=True)]
    to: Annotated[str, Flag("monet, ukiyo-e, shanshui or photo", "NAME")]
    size: Annotated[int, Flag("longer side of the result, 16 to 8192 px; 0 keeps the picture's own size", "N")] = 0

    def __post_init__(self) -> None:
        if self.size != 0 and not NARROWEST <= self.size <= LARGEST:
            raise BadRequest(f"--size is {self.size}; it lies between {NARROWEST} and {LARGEST} px, or is 0")


def create(request: Translate, tools: Tools) -> Artwork:
    """Meet the request. Raises InvalidMedia, UnknownName or BadRequest before any long work begins."""
    from danqing.artwork import image
    from danqing.artwork.artwork import Artwork
    from danqing.artwork.provenance import Provenance, describe, parent
    from danqing.artwork.request import Step
    from danqing.encode.image import fit, resize, to_picture, to_tensor
    from danqing.training import translation

    catalog = tools.styles.catalog
    translator = translation.restore(*catalog.weights(MODEL, tools.on_step))
    if request.to not in translator.names:
        raise UnknownName("target", request.to, translator.names, f"it is one of {', '.join(translator.names)}")
    source = image.read(request.image)
    if min(source.width, source.height) < NARROWEST:
        raise InvalidMedia(
            f"{request.image} is {source.width}×{source.height} px; a picture has {NARROWEST} px a side or more"
        )
    longer = request.size or max(source.width, source.height)
    if longer > LARGEST:
        raise BadRequest(f"{request.image} has {longer} px and --size 0 keeps that; name a --size up to {LARGEST}")
    large = fit(to_tensor(source), longer)
    alpha = None
    if source.alpha is not None:
        import torch

        alpha = resize(torch.from_numpy(source.alpha)[None, None], (large.shape[2], large.shape[3]))[0, 0].clamp(0, 1)
    tools.on_step(Step(0, 1, request.to))
    factor = min(1.0, ZOOM * translator.size / min(large.shape[2:]))
    size = (max(8, round(large.shape[2] * factor)), max(8, round(large.shape[3] * factor)))
    small = resize(large, size).clamp(0, 1)
    made = (translator.translate(small * 2 - 1, request.to).cpu() + 1) / 2
    whole = (large.shape[2], large.shape[3])
    result = (resize(made, whole) + DETAIL * (large - resize(small, whole))).clamp(0, 1)
    tools.on_step(Step(1, 1, request.to))
    provenance = Provenance(
        "translate", describe(request), None, {MODEL: catalog.sha256(MODEL)}, (parent("photo", request.image),)
    )
    return Artwork(to_picture(result, alpha, source.bits), provenance, title=f"{request.image.stem} as {request.to}")
