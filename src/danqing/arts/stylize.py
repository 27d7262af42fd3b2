"""A photo in the style of one or more paintings, by one of three methods.

patch (Elad & Milanfar 2017) builds the photo anew out of pieces of the paintings and needs no weights; neural (Gatys et
al. 2016) changes the photo until a network sees the paintings' texture in it; fast does the same in one pass of a
network that was trained for it. What all three share is here: which pixels are painted (masks), how much each style has
to say there (mix), what becomes of the photo's colours and of its transparency.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from danqing.arts import Flag, Tools, check_choices
from danqing.errors import BadRequest, InvalidMedia

if TYPE_CHECKING:
    from torch import Tensor

    from danqing.artwork.artwork import Artwork
    from danqing.artwork.image import Picture
    from danqing.artwork.provenance import Provenance
    from danqing.artwork.request import OnStep
    from danqing.catalog.styles import Styles
    from danqing.compute.blocks import Features
    from danqing.compute.device import Compute

SMALLEST, LARGEST = 64, 8192  # px, the longer side of a result
FAST_COLOURS = 0.7  # how far the fast method's colours are those of the transported photo; by eye, on ten styles
FAST_STROKES = 2.5  # times: how much smaller the fast method's draft is, and how much larger its strokes come out
NARROWEST = 16  # px, any side of a photo, a style or a result: below it there is no brush stroke to show


@dataclass(frozen=True)
class Stylize:
    """A photo in the style of one or more paintings."""

    photo: Annotated[Path, Flag("the picture to paint: PNG, JPEG, WebP or TIFF", "PHOTO", argument=True)]
    styles: Annotated[
        tuple[str, ...],
        Flag(
            "a style's name (danqing models --styles) or a picture of it; repeat to mix several", "NAME|FILE", "--style"
        ),
    ]
    mix: Annotated[
        tuple[float, ...], Flag("how much each style has to say, in their order: 0.7,0.3; equally unless given", "W,W")
    ] = ()
    method: Annotated[
        Literal["patch", "neural", "fast"],
        Flag("patch: pieces of the paintings, no network; neural: slower, through a network; fast: one pass"),
    ] = "patch"
    strength: Annotated[float, Flag("0 keeps the photo, 1 gives the style its full say", "0..1")] = 1.0
    size: Annotated[int, Flag("longer side of the result, 64 to 8192 px; 0 keeps the photo's own size", "N")] = 768
    keep_colors: Annotated[bool, Flag("take the style's brushwork and keep the photo's colours")] = False
    masks: Annotated[
        tuple[Path, ...],
        Flag(
            "a picture as large as the photo: white is painted, black stays photo; with one for each style, where that "
            "style goes",
            "FILE",
            "--mask",
        ),
    ] = ()
    backbone: Annotated[
        Literal["own", "vgg19"],
        Flag("the network of method neural: own ships with Danqing, vgg19 is downloaded (575 MB)"),
    ] = "own"
    seed: Annotated[int | None, Flag("the same seed gives the same picture; a fresh one unless given", "N")] = None

    def __post_init__(self) -> None:
        check_choices(self)
        if not self.styles:
            raise BadRequest("no style was given; name one with --style (all of them: danqing models --styles)")
        if self.mix and len(self.mix) != len(self.styles):
            raise BadRequest(
                f"--mix has {len(self.mix)} numbers for {len(self.styles)} styles; give one for each --style"
            )
        if self.mix and not (all(0 <= part < float("inf") for part in self.mix) and sum(self.mix) > 0):
            raise BadRequest(
                f"--mix is {','.join(map(str, self.mix))}; its numbers are 0 or more, at least one above 0"
            )
        if not 0 <= self.strength <= 1:
            raise BadRequest(f"--strength is {self.strength}; it lies between 0 (the photo) and 1 (the full style)")
        if self.size != 0 and not SMALLEST <= self.size <= LARGEST:
            raise BadRequest(
                f"--size is {self.size}; it lies between {SMALLEST} and {LARGEST} px, or is 0 (the photo's own)"
            )
        if len(self.masks) not in (0, 1, len(self.styles)):
            raise BadRequest(
                f"{len(self.masks)} masks for {len(self.styles)} styles; one says where to paint, or each style has one"
            )
        if self.backbone == "vgg19" and self.method != "neural":
            raise BadRequest(f"--backbone vgg19 goes with --method neural, not with {self.method}")
        if self.seed is not None and not 0 <= self.seed < 2**31:
            raise BadRequest(f"--seed is {self.seed}; it lies between 0 and {2**31 - 1}")


def create(request: Stylize, tools: Tools) -> Artwork:
    """Meet the request. Raises InvalidMedia, UnknownName, BadRequest or Unavailable before any long work begins."""
    from danqing.artwork import image
    from danqing.artwork.artwork import Artwork
    from danqing.compute import seed as seeds
    from danqing.encode.image import to_picture

    chosen = [_choose(label, tools.styles) for label in request.styles]
    source = image.read(request.photo)
    _check_sides(request, source.width, source.height)
    masks = [_read_mask(path, request.photo, source) for path in request.masks]
    seed = seeds.fresh() if request.seed is None else request.seed
    scene = _arrange(request, source, masks)
    tools = replace(tools, on_step=scene.finishing(tools.on_step, request.keep_colors))
    models: dict[str, str] = {}
    result = scene.photo
    if request.strength > 0:
        painted = _METHODS[request.method](_Job(request, scene, chosen, seed, tools, models))
        result = scene.finished(painted, request.keep_colors)
    return Artwork(
        to_picture(result, scene.alpha, source.bits),
        _provenance(request, chosen, seed, models, tools.compute),
        title=f"{request.photo.stem}, in the style of {' and '.join(style.name for style in chosen)}",
    )


# --- what was asked for -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Chosen:
    """A style that was asked for."""

    name: str  # of the style, or of the file without its ending
    file: Path  # the picture itself, or the exemplar of a named style
    named: bool


def _choose(label: str, styles: Styles) -> _Chosen:
    """A named style, or a picture file; a name goes before a file that happens to be called so."""
    path = Path(label)
    is_file = path.suffix != "" or len(path.parts) > 1 or path.exists()
    if is_file and not styles.knows(label):
        return _Chosen(path.stem, path, named=False)
    return _Chosen(styles.style(label).name, styles.exemplar(label), named=True)


def _check_sides(request: Stylize, width: int, height: int) -> None:
    """Raises InvalidMedia for a photo too small to paint, BadRequest for a result too narrow or too large."""
    if min(width, height) < NARROWEST:
        raise InvalidMedia(
            f"{request.photo} is {width}×{height} px; a photo to paint has {NARROWEST} px a side or more"
        )
    longer = request.size or max(width, height)
    shorter = round(longer * min(width, height) / max(width, height))
    if shorter < NARROWEST:
        raise BadRequest(
            f"{request.photo} is {width}×{height} px; at --size {longer} its shorter side would be {shorter} px, below "
            f"{NARROWEST}. Crop it or choose a larger --size"
        )
    if not SMALLEST <= longer <= LARGEST:
        raise BadRequest(
            f"{request.photo} is {width}×{height} px and --size 0 keeps that; a result has {SMALLEST} to {LARGEST} px "
            "on its longer side. Name a --size"
        )


def _read_mask(path: Path, photo: Path, source: Picture) -> Tensor:
    """A mask as (1, 1, H, W) of the photo's own size; raises InvalidMedia, BadRequest when it has another size."""
    import torch

    from danqing.artwork import image

    mask = image.read_mask(path)
    height, width = mask.shape
    if (height, width) != (source.height, source.width):
        raise BadRequest(
            f"mask {path} is {width}×{height} px and {photo} {source.width}×{source.height} px; they have the same size"
        )
    return torch.from_numpy(mask)[None, None]


def _provenance(
    request: Stylize, chosen: Sequence[_Chosen], seed: int, models: dict[str, str], compute: Compute
) -> Provenance:
    """All it takes to make the work again: files by name and hash, styles by name, models by hash."""
    from danqing.artwork.provenance import Provenance, describe, parent

    files = [parent("style", style.file) for style in chosen]
    facts = describe(request)
    facts["styles"] = [
        style.name if style.named else {"name": file.name, "sha256": file.sha256}
        for style, file in zip(chosen, files, strict=True)
    ]
    parents = (parent("photo", request.photo), *files, *(parent("mask", path) for path in request.masks))
    notes = (f"computed on {compute.device.type} in {str(compute.dtype).removeprefix('torch.')}",)
    return Provenance("stylize", {**facts, "seed": seed}, seed, models, parents, notes)


# --- where and how it is painted --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scene:
    """The photo at the asked size, and what is to happen where."""

    photo: Tensor  # (1, 3, H, W) float32 in [0, 1]
    alpha: Tensor | None  # (H, W) float32 in [0, 1]
    share: Tensor  # (S, H, W) float32, how much of each style where; sums to 1
    cover: Tensor | None  # (H, W) float32 in [0, 1], where it is painted at all; None: everywhere

    def finished(self, painted: Tensor, keep_colors: bool) -> Tensor:
        """The painting, (1, 3, H, W), with the photo's colours if they are kept, and the photo where it stays."""
        import torch

        from danqing.encode import image

        if keep_colors:
            painted = image.keep_colors(painted, self.photo)
        return painted if self.cover is None else torch.lerp(self.photo, painted, self.cover)

    def finishing(self, on_step: OnStep, keep_colors: bool) -> OnStep:
        """The same callback, shown previews that look as the work will: colours kept, masks applied, any size."""
        if not keep_colors and self.cover is None:
            return on_step

        def finish(draw: Callable[[], Picture]) -> Picture:
            from danqing.encode.image import resize, to_picture, to_tensor

            x = to_tensor(draw())
            size = (x.shape[-2], x.shape[-1])
            cover = None if self.cover is None else resize(self.cover[None, None], size)[0, 0]
            small = _Scene(resize(self.photo, size), None, self.share, cover)
            return to_picture(small.finished(x, keep_colors))

        return lambda step: on_step(replace(step, preview=partial(finish, step.preview) if step.preview else None))


def _arrange(request: Stylize, source: Picture, masks: Sequence[Tensor]) -> _Scene:
    """Bring photo, alpha and masks to the asked size, and styles and masks to one share for each style and pixel."""
    import torch

    from danqing.encode.image import fit, resize, resize_visible, to_tensor

    photo = fit(to_tensor(source), request.size or max(source.width, source.height))
    size = (photo.shape[-2], photo.shape[-1])
    height, width = size

    def sized(flat: Tensor) -> Tensor:
        return resize(flat, (height, width))[0, 0].clamp(0, 1)

    alpha = None
    if source.alpha is not None:
        clear = torch.from_numpy(source.alpha)[None, None]
        photo, seen = resize_visible(to_tensor(source), clear, size)
        alpha = seen[0, 0]
    mix = torch.tensor(request.mix or [1.0] * len(request.styles))
    share = (mix / mix.sum()).view(-1, 1, 1).expand(-1, height, width)
    if not masks:
        return _Scene(photo, alpha, share, None)
    painted = torch.stack([sized(mask) for mask in masks])  # (1 or S, H, W)
    if len(masks) > 1:
        wanted = share * painted
        total = wanted.sum(0)
        # Where no style is wanted nothing is painted; what is looked up there must still be a mix.
        share = torch.where(total > 0, wanted / total.clamp_min(1e-12), share)
    return _Scene(photo, alpha, share, painted.sum(0).clamp(max=1))


# --- the methods ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Job:
    """What every method is given. It enters the models it uses, with their hashes, into `models`."""

    request: Stylize
    scene: _Scene
    chosen: Sequence[_Chosen]
    seed: int
    tools: Tools
    models: dict[str, str]

    @property
    def photo(self) -> Tensor:
        """What is painted, (1, 3, H, W): the photo, or its brightness alone where its colours are kept."""
        from danqing.encode.image import luminance

        whole = self.scene.photo
        return luminance(whole).expand(-1, 3, -1, -1).contiguous() if self.request.keep_colors else whole

    def picture(self, style: _Chosen) -> Tensor:
        """A style's picture, (1, 3, h, w) in [0, 1], no larger than the painting needs; raises InvalidMedia.

        Where the photo's colours are kept it is grey, as bright and as contrasted as the photo (Gatys et al. 2016,
        "Preserving Color in Neural Artistic Style Transfer", luminance-only transfer).
        """
        import torch

        from danqing.artwork import image
        from danqing.encode.image import fit, luminance, to_tensor

        found = image.read(style.file)
        if min(found.width, found.height) < NARROWEST:
            raise InvalidMedia(
                f"{style.file} is {found.width}×{found.height} px; a style's picture has {NARROWEST} px a side or more"
            )
        x = to_tensor(found)
        if (
            found.alpha is not None
        ):  # what is transparent holds no style: it is laid on white, as in a file without alpha
            clear = torch.from_numpy(found.alpha)
            x = x * clear + (1 - clear)
        needed = max(self.scene.photo.shape[-2:])
        if min(x.shape[-2:]) > needed:
            x = fit(x, round(needed * max(x.shape[-2:]) / min(x.shape[-2:])))
        if not self.request.keep_colors:
            return x
        bright, wanted = luminance(x), luminance(self.scene.photo)
        matched = (bright - bright.mean()) * (wanted.std() / bright.std().clamp_min(1e-4)) + wanted.mean()
        return matched.clamp(0, 1).expand(-1, 3, -1, -1).contiguous()

    def weights(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """A model's tensors as float32 and its metadata; its hash goes into the provenance."""
        from danqing.compute.checkpoint import unpack

        catalog = self.tools.styles.catalog
        tensors, metadata = catalog.weights(name, self.tools.on_step)
        self.models[name] = catalog.sha256(name)
        return unpack(tensors), metadata

    def features(self) -> Features:
        """The backbone that was asked for."""
        from danqing.techniques.backbone import VGG19, Backbone, Config, Extractor, from_torchvision

        if self.request.backbone == "vgg19":
            network = Backbone(VGG19)
            network.load_state_dict(from_torchvision(self.weights("vgg19")[0]))
        else:
            tensors, metadata = self.weights("perceptual")
            network = Backbone(Config(**metadata["config"]))
            network.load_state_dict(tensors)
        return Extractor(network, self.tools.compute)


def _patch(job: _Job) -> Tensor:
    from danqing.compute.seed import generator
    from danqing.techniques import patch_style

    pictures = [job.picture(style) for style in job.chosen]
    config = patch_style.Config(strength=job.request.strength)
    return patch_style.stylize(
        job.photo, pictures, job.scene.share, config, job.tools.compute, generator(job.seed), job.tools.on_step
    )


def _neural(job: _Job) -> Tensor:
    from danqing.compute.seed import generator
    from danqing.techniques import style_transfer

    pictures = [job.picture(style) for style in job.chosen]
    config = style_transfer.Config(strength=job.request.strength)
    return style_transfer.stylize(
        job.photo, pictures, job.scene.share, job.features(), config, generator(job.seed), job.tools.on_step
    )


def _fast(job: _Job) -> Tensor:
    import torch

    from danqing.catalog.styles import STATISTICS
    from danqing.encode.image import fit, keep_colors, match_colors, resize
    from danqing.techniques.fast_style import Config, FastStyle, Painter

    tensors, metadata = job.weights("fast")
    painter = Painter(Config(**metadata["config"]))
    painter.load_state_dict(tensors)
    model = FastStyle(painter, job.features())
    styles, pictures = [], [job.picture(style) for style in job.chosen]
    for style, picture in zip(job.chosen, pictures, strict=True):
        if style.named and not job.request.keep_colors:  # the numbers of a named style include its colours
            styles.append(job.tools.styles.statistics(style.name))
            job.models[STATISTICS] = job.tools.styles.catalog.sha256(STATISTICS)
        else:
            styles.append(model.style_of(picture))
    # The painter alone is shy of the style's colours and leaves fringes of others along edges. So the photo goes in
    # with its colours carried over already, and these outweigh what the painter makes of them.
    coloured = torch.zeros_like(job.photo)
    for picture, share in zip(pictures, job.scene.share, strict=True):
        coloured += match_colors(job.photo, picture, amount=job.request.strength) * share
    # The painter knows strokes of a few px. So it paints a small draft first and then over it at full size: the draft's
    # strokes come out larger, where one pass over the photo would only tint it.
    size = (coloured.shape[-2], coloured.shape[-1])
    draft = fit(coloured, max(SMALLEST, round(max(size) / FAST_STROKES)))
    small = resize(job.scene.share[None], (draft.shape[-2], draft.shape[-1]))[0]
    draft = resize(model.paint(draft, styles, small / small.sum(0), job.request.strength), size)
    painted = model.paint(draft, styles, job.scene.share, job.request.strength, on_step=job.tools.on_step)
    return painted.lerp_(keep_colors(painted, coloured), FAST_COLOURS)


_METHODS: dict[str, Callable[[_Job], Tensor]] = {"patch": _patch, "neural": _neural, "fast": _fast}
