"""What a trained generator can make, whatever family it is of: samples, walks, mixes, sweeps, projections, directions.

Each picture has a number of its own, its seed: what is liked on a sheet of samples is walked to (`--seeds 3,17`), moved
along a direction (`edit --seed 17`) or mixed by it; `picture --of 17=0.8,29=0.6` has two for parents, which is what the
rounds of `evolve` breed. A picture from elsewhere gets a latent file by `project`, which stands wherever a seed does
(`--latent FILE`).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from danqing.arts import Flag, Tools, check_choices, flag_name, flags
from danqing.errors import BadRequest, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from danqing.arts.spaces import Levels, Space
    from danqing.artwork.artwork import Artwork
    from danqing.artwork.image import Picture
    from danqing.artwork.provenance import Parent
    from danqing.artwork.video import Video
    from danqing.compute.blocks import Features

MOST = 256  # pictures on a sheet
LARGEST = 2048  # px, side of one picture
CELL, FRAME = 128, 256  # px: pictures are enlarged to this or more on a sheet; in a video, or alone
LONGEST_S = 60.0  # of one leg of a walk
SWEEP = (0.0, 0.25, 0.5, 0.75, 1.0)  # truncations; shares of an edit
STEPS = (-3, -2, -1, 0, 1, 2, 3)  # along a direction
LATENT = ".latent.safetensors"  # what stands for the suffix in the name of a latent file beside a picture
BREADTH = 0.4  # share of a projection's steps in which all starts are followed
CANDIDATES = 64  # draws among which a projection looks for its starts
LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")  # of the backbone, at which a projection is compared
SHALLOWEST = 64  # px: smaller pictures are enlarged for the backbone, which would see next to nothing
TOO_FAR = 0.1  # weight of a latent being longer than drawn ones are, where no picture was ever learned

_EVERYWHERE = ("model", "what", "class_", "size", "seed")
_USES = {  # which flags go with what, besides those that go everywhere
    "picture": ("of", "latents", "truncation"),
    "samples": ("how_many", "seeds", "latents", "truncation"),
    "interpolate": ("how_many", "seeds", "from_", "to", "latents", "truncation", "seconds", "fps", "loop"),
    "mix": ("how_many", "seeds", "latents", "truncation", "layers"),
    "truncate": ("how_many", "seeds", "latents", "values"),
    "project": ("file", "starts", "steps"),
    "directions": ("how_many", "latents", "truncation", "by", "name"),
    "edit": ("latents", "truncation", "by", "along"),
}
_COUNTS = {"samples": 16, "interpolate": 4, "mix": 8, "truncate": 4, "directions": 6}  # unless --count is given


@dataclass(frozen=True)
class Explore:
    """What a trained generator can make: samples, a walk, a mix, a sweep, a given picture in it, its directions."""

    model: Annotated[
        str, Flag("a run's folder, a .safetensors file or the name of a shipped generator", "MODEL", argument=True)
    ]
    what: Annotated[
        Literal["picture", "samples", "interpolate", "mix", "truncate", "project", "directions", "edit"],
        Flag(
            "picture: one alone; samples: a sheet; interpolate: a video from picture to picture; mix: shapes of one "
            "with colours of another; truncate: from the average outward; project: find a given picture; directions: "
            "what changes most; edit: along them",
            "WHAT",
            argument=True,
        ),
    ]
    file: Annotated[Path | None, Flag("the picture that project looks for", "FILE", argument=True)] = None
    how_many: Annotated[
        int | None,
        Flag("how many pictures, stations of a walk or directions; one for each seed, from --seed on", "N", "--count"),
    ] = None
    seed: Annotated[int, Flag("of the first picture; the same seed always gives the same picture", "N")] = 0
    seeds: Annotated[tuple[int, ...], Flag("these pictures: 3,17,5", "N,N")] = ()
    of: Annotated[
        str, Flag("of a picture: the seeds that it comes from, and how much of each: 17=0.8,29=0.6", "SEED=N,…")
    ] = ""
    from_: Annotated[int | None, Flag("seed that a walk begins at", "N", "--from")] = None
    to: Annotated[int | None, Flag("seed that a walk ends at", "N")] = None
    latents: Annotated[
        tuple[Path, ...], Flag("a latent file, before any seeds; repeat for several", "FILE", "--latent")
    ] = ()
    truncation: Annotated[float, Flag("1 as drawn; smaller is nearer to the average", "0..2")] = 1.0
    values: Annotated[tuple[float, ...], Flag("truncations of a sweep; 0 to 1 in quarters unless given", "N,N")] = ()
    class_: Annotated[
        str, Flag("of a generator with classes; samples take all in turn, everything else the first", "NAME", "--class")
    ] = ""
    layers: Annotated[
        str, Flag("of a mix: the layers whose styles come from the picture above; the first half unless given", "A:B")
    ] = ""
    seconds: Annotated[float, Flag("from one station of a walk to the next", "S")] = 2.0
    fps: Annotated[int, Flag("frames a second of a walk, 1 to 50", "N")] = 25
    loop: Annotated[bool, Flag("a walk goes back to where it began, to be shown round and round")] = False
    by: Annotated[
        Literal["pca", "sefa"],
        Flag("directions that change most: pca, of drawn pictures; sefa, of the weights (styles only)"),
    ] = "pca"
    name: Annotated[tuple[str, ...], Flag("give a direction a name: 3=warmth; repeat for several", "N=NAME")] = ()
    along: Annotated[
        tuple[str, ...], Flag("how far to move along a direction: warmth=1.5, 3=-2; repeat for several", "NAME=N")
    ] = ()
    starts: Annotated[int, Flag("how many searches project makes at once, 1 to 32", "N")] = 4
    steps: Annotated[int, Flag("how long project looks", "N")] = 300
    size: Annotated[
        int,
        Flag(
            f"side of each picture, px; its own, or enlarged to {CELL} ({FRAME} in a video or alone), unless given", "N"
        ),
    ] = 0

    def __post_init__(self) -> None:
        check_choices(self)
        _check_together(self)
        _check_numbers(self)
        self.moves, self.given_names, self.span, self.shares  # noqa: B018 - they raise

    @property
    def media(self) -> str:
        """What comes back: "video" for a walk, otherwise "picture"."""
        return "video" if self.what == "interpolate" else "picture"

    @property
    def beside(self) -> tuple[str, ...]:
        """What is kept beside the picture."""
        return (LATENT,) if self.what in ("picture", "project", "edit") else ()

    @property
    def wanted(self) -> tuple[int, ...]:
        """The seeds of the pictures that are shown, walked to or mixed; none where latent files stand for all."""
        if self.from_ is not None and self.to is not None:
            return (self.from_, self.to)
        if self.seeds or (self.latents and self.how_many is None):
            return self.seeds
        return tuple(range(self.seed, self.seed + self.many))

    @property
    def many(self) -> int:
        """How many, given or not."""
        return self.how_many or _COUNTS.get(self.what, 1)

    @property
    def shares(self) -> dict[int, float]:
        """--of, as seed → weight; empty where it was not given."""
        return read_shares(self.of) if self.of else {}

    @property
    def moves(self) -> tuple[tuple[str, float], ...]:
        """--along, as direction and how far."""
        found = []
        for text in self.along:
            name, _, value = text.rpartition("=")
            try:
                found.append((name.strip(), float(value)))
            except ValueError:
                name = ""
            if not name.strip() or not abs(found[-1][1]) <= 100:
                raise BadRequest(f"--along is {text!r}; it is a direction and how far: warmth=1.5, or 3=-2")
        return tuple(found)

    @property
    def given_names(self) -> tuple[tuple[int, str], ...]:
        """--name, as number and name."""
        found = []
        for text in self.name:
            match = re.fullmatch(r"\s*([1-9]\d{0,3})\s*=\s*([^=\s][^=]{0,39})?\s*", text)
            if not match or (match[2] or "").strip().isdigit():
                raise BadRequest(f"--name is {text!r}; it is a direction's number and its name: 3=warmth")
            found.append((int(match[1]), (match[2] or "").strip()))
        return tuple(found)

    @property
    def span(self) -> tuple[int, int] | None:
        """--layers as the first and the last one, from 1."""
        match = re.fullmatch(r"([1-9]\d{0,2}):([1-9]\d{0,2})", self.layers)
        if not self.layers:
            return None
        if not match or int(match[1]) > int(match[2]):
            raise BadRequest(f"--layers is {self.layers!r}; it is the first and the last layer, from 1: 1:4")
        return int(match[1]), int(match[2])


def read_shares(text: str) -> dict[int, float]:
    """ "17=0.8,29=0.6" as seed → weight. Raises BadRequest."""
    found: dict[int, float] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,10})\s*=\s*(-?\d{0,3}\.?\d{1,9})\s*", part)
        if not match or int(match[1]) >= 2**31 or int(match[1]) in found:
            raise BadRequest(f"--of is {text!r}; it is seeds, each once, and how much of each: 17=0.8,29=0.6")
        found[int(match[1])] = float(match[2])
    if not any(found.values()):
        raise BadRequest(f"--of is {text!r}, nothing of anything; give a seed more than 0 of it")
    return found


def create(request: Explore, tools: Tools) -> Artwork:
    """Meet the request. Raises BadRequest, UnknownName or InvalidMedia before any long work begins."""
    from danqing.arts import spaces
    from danqing.artwork.artwork import Artwork
    from danqing.artwork.provenance import Provenance, describe, parent
    from danqing.errors import InvalidMedia

    space = spaces.open_space(request.model, tools.styles.catalog)
    job = _Job(request, tools, space)
    content, title, found = _MAKERS[request.what](job)
    facts = {**describe(request), "model": space.name}
    parents: list[Parent] = [parent("latent", path) for path in request.latents]
    if request.file is not None:
        parents.append(parent("picture", request.file))
    provenance = Provenance(
        "explore", facts, request.seed, {space.name: space.sha256, **job.models}, tuple(parents), tuple(job.notes)
    )
    beside = {} if found is None else {LATENT: space.encode_code(found, job.number)}
    try:
        return Artwork(content, provenance, title, beside)
    except BadRequest as error:  # not finite: a generator that was trained to pieces
        raise InvalidMedia(f"{request.model} makes no pictures: {error}") from error


class _Job:
    """One request at an opened generator."""

    def __init__(self, request: Explore, tools: Tools, space: Space) -> None:
        self.request, self.tools, self.space = request, tools, space
        self.models: dict[str, str] = {}  # those used besides the generator
        self.notes: list[str] = []
        self._kept = [space.read_code(path) for path in request.latents]
        own = next((name for _, name in self._kept if name), "")
        self.number = space.class_number(request.class_ or own)

    def side(self, least: int) -> int:
        """Px of a picture: what was asked for, or the generator's own, enlarged by a whole factor to `least`."""
        own = int(self.space.sampler.size)
        return self.request.size or own * max(1, math.ceil(least / own))

    def points(self, most: int | None = None) -> tuple[Tensor, list[str]]:
        """The codes that were asked for, latent files first, (B, …), and what they are called."""
        import torch

        seeds = self.request.wanted
        codes = [code for code, _ in self._kept]
        if seeds:
            codes.append(self.space.codes(seeds, self.number))
        names = [*(path.name.removesuffix(LATENT) for path in self.request.latents), *(f"seed {s}" for s in seeds)]
        return torch.cat(codes)[:most], names[:most]

    def show(self, codes: Tensor, truncations: Sequence[float] = (), side: int = 0) -> Levels:
        """Codes as pictures."""
        return self.space.show(
            codes,
            [self.number],
            side or self.side(CELL),
            truncations or [self.request.truncation],
            self.tools.on_step,
        )


Made = tuple["Picture | Video", str, "Tensor | None"]  # the work, its title, a code to keep beside it

# --- one picture ------------------------------------------------------------------------------------------------------


def _picture(job: _Job) -> Made:
    from danqing.artwork.image import Picture

    request, space = job.request, job.space
    code = space.mixture(request.shares, job.number) if request.shares else job.points(1)[0]
    levels = job.show(code, side=job.side(FRAME))[0]
    return Picture(levels.astype("float32") / 255), f"{space.name}: a picture", code


# --- pictures side by side --------------------------------------------------------------------------------------------


def _samples(job: _Job) -> Made:
    import torch

    from danqing.artwork.sheet import Labels, arrange

    space, request = job.space, job.request
    codes, names = job.points()
    classes = space.sampler.classes
    if not classes or request.class_ or request.latents:
        shown = job.show(codes)
    else:  # all classes in turn
        turns = [n % len(classes) for n in range(len(request.wanted))]
        codes = torch.cat([space.codes([s], turn) for s, turn in zip(request.wanted, turns, strict=True)])
        shown = space.show(codes, turns, job.side(CELL), [request.truncation], job.tools.on_step)
        names = [f"{name} · {classes[turn]}" for name, turn in zip(names, turns, strict=True)]
    return arrange(list(shown), _columns(len(shown)), Labels(captions=names)), f"{space.name}: samples", None


def _columns(count: int) -> int:
    """As many as make a sheet a little wider than high, all its rows full where that can be."""
    least = math.ceil(math.sqrt(count))
    return next((n for n in range(least, 2 * least) if count % n == 0), least)


def _truncate(job: _Job) -> Made:
    from danqing.artwork.sheet import Labels, arrange

    codes, names = job.points()
    values = job.request.values or SWEEP
    shown = job.show(codes.repeat_interleave(len(values), dim=0), list(values) * len(codes))
    heads = [f"{value:g}" for value in values]
    return arrange(list(shown), len(values), Labels(names, heads)), f"{job.space.name}: truncation", None


def _mix(job: _Job) -> Made:
    from danqing.artwork.sheet import Labels, arrange

    if not job.space.styled:
        raise BadRequest(f"{job.space.name} has no styles to mix; mix takes a style-based GAN (danqing train stylegan)")
    codes, names = job.points()
    rows = len(codes) // 2
    if rows < 1:
        raise BadRequest("mix takes two pictures or more: half of them stand at the left, half above")
    depth = codes.shape[1]
    first, last = job.request.span or (1, max(1, depth // 2))
    if last > depth:
        raise BadRequest(f"--layers is {first}:{last} and {job.space.name} has {depth} layers")
    own, above = codes[:rows], codes[rows:]
    mixed = own[:, None].repeat(1, len(above), 1, 1)  # (R, C, L, W)
    mixed[:, :, first - 1 : last] = above[None, :, first - 1 : last]
    left, top, inner = job.show(own), job.show(above), job.show(mixed.flatten(0, 1))
    cells: list[Levels | None] = [None, *top]
    for row in range(rows):
        cells += [left[row], *inner[row * len(above) : (row + 1) * len(above)]]
    labels = Labels(["", *names[:rows]], ["", *names[rows:]])
    title = f"{job.space.name}: layers {first} to {last} of {depth} from above, the others from the left"
    return arrange(cells, len(above) + 1, labels), title, None


# --- a walk -----------------------------------------------------------------------------------------------------------


def _interpolate(job: _Job) -> Made:
    from danqing.artwork.video import MOST_BYTES, Video
    from danqing.techniques.latents import walk

    request, side = job.request, job.side(FRAME)
    keys, names = job.points()
    if len(keys) < 2:
        raise BadRequest("a walk goes from one picture to another: give --from and --to, --seeds 3,17 or --count 4")
    leg = max(1, round(request.seconds * request.fps))
    legs = len(keys) - (not request.loop)
    if (legs * leg + 1) * side * side * 3 > MOST_BYTES:
        raise BadRequest(
            f"a walk of {legs * leg / request.fps:.0f} s at {request.fps} frames a second and {side} px is too large "
            "for memory; choose a smaller --size, --fps or --seconds"
        )
    way = walk(keys, leg, closed=request.loop, spherical=not job.space.styled)
    frames = job.show(way, side=side)
    parts = 2 if legs <= 4 else 1  # stills for each leg
    stills = [leg * n // parts for n in range(legs * parts + (not request.loop))]
    title = f"{job.space.name}: from {names[0]} to {names[-1]}{' and back' if request.loop else ''}"
    return Video(frames, request.fps, tuple(dict.fromkeys(stills))), title, None


# --- a given picture --------------------------------------------------------------------------------------------------


def _project(job: _Job) -> Made:
    import torch

    from danqing.artwork import image
    from danqing.artwork.sheet import Labels, arrange
    from danqing.encode.image import resize, to_tensor

    assert job.request.file is not None
    given = to_tensor(image.read(job.request.file))
    side = min(given.shape[-2:])
    top, left = (given.shape[-2] - side) // 2, (given.shape[-1] - side) // 2
    square = given[..., top : top + side, left : left + side]
    target = resize(square, int(job.space.sampler.size))  # (1, 3, S, S) in [0, 1]
    loss = _likeness(job, target)
    begun, best, least = _search(job, target, loss)
    cell = job.side(CELL)
    shown = job.show(torch.cat([begun, best]), [1.0])
    wanted = resize(square, cell).mul(255).round().to(torch.uint8)[0].permute(1, 2, 0).numpy()
    own = resize(target, cell).mul(255).round().to(torch.uint8)[0].permute(1, 2, 0).numpy()
    error = float((job.space.pictures(best, job.number).detach().add(1).div(2).clamp(0, 1) - target).abs().mean())
    job.notes.append(f"mean difference {error:.4f} of full brightness, loss {least:.4f}")
    captions = ["given", f"at {target.shape[-1]} px", "the start", f"found, {error:.1%} off"]
    sheet = arrange([wanted, own, *shown], 4, Labels(captions=captions))
    return sheet, f"{job.request.file.stem} in {job.space.name}", best


def _likeness(job: _Job, target: Tensor) -> Callable[[Tensor], Tensor]:
    """Pictures (B, 3, S, S) in [-1, 1] → (B,): how far from the target, in pixels and in what the backbone sees.

    Features are brought to length 1 at each place, as Zhang et al. 2018 (LPIPS) do, without their learned weights.
    """
    import torch.nn.functional as F

    from danqing.encode.image import resize

    features = _features(job)

    def seen(x: Tensor) -> list[Tensor]:
        x = resize(x, max(SHALLOWEST, x.shape[-1]))
        return [F.normalize(maps.float(), dim=1) for maps in features(x, LAYERS).values()]

    known = seen(target)

    def loss(pictures: Tensor) -> Tensor:
        x = (pictures + 1) / 2
        pixels = (x - target).pow(2).mean(dim=(1, 2, 3))
        apart = [(a - b).pow(2).sum(dim=1).mean(dim=(1, 2)) for a, b in zip(seen(x), known, strict=True)]
        return 4 * pixels + sum(apart) / len(apart)

    return loss


def _features(job: _Job) -> Features:
    from danqing.compute.checkpoint import unpack
    from danqing.techniques.backbone import Backbone, Config, Extractor

    catalog = job.tools.styles.catalog
    tensors, about = catalog.weights("perceptual", job.tools.on_step)
    job.models["perceptual"] = catalog.sha256("perceptual")
    network = Backbone(Config(**about["config"]))
    network.load_state_dict(unpack(tensors))
    return Extractor(network, job.tools.compute)


def _search(job: _Job, target: Tensor, loss: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, float]:
    """The best start, the best code found, (1, …) each, and its loss.

    All starts at first, of styles one for all layers; then the best of them alone, with a style for each layer.
    """
    import dataclasses

    import torch

    from danqing.artwork.request import Step
    from danqing.compute.seed import generator
    from danqing.encode.image import resize, to_picture
    from danqing.techniques.latents import Search, project

    space, request, number = job.space, job.request, job.number
    chance = generator(request.seed)
    first = max(1, round(request.steps * BREADTH))
    passed, latest = 0, target

    def of(codes: Tensor) -> Tensor:
        nonlocal latest
        pictures = space.pictures(codes.expand(-1, depth, -1) if space.styled else codes, number)
        latest = pictures.detach()
        found = loss(pictures)
        if space.styled:
            return found
        length = codes.flatten(1).pow(2).mean(dim=1)  # about 1 for what is drawn
        return found + TOO_FAR * (length - 1).clamp_min(0).pow(2)

    def preview() -> Picture:
        return to_picture(resize(((latest[:1] + 1) / 2).clamp(0, 1), job.side(FRAME)))

    def told(step: Step) -> None:
        job.tools.on_step(dataclasses.replace(step, done=passed + step.done, total=request.steps, preview=preview))

    drawn = space.codes(range(request.seed, request.seed + CANDIDATES), number)
    depth = drawn.shape[1]
    if space.styled:
        drawn = torch.cat([drawn.mean(dim=0, keepdim=True), drawn]).mean(dim=1, keepdim=True)  # one style for all
    if hasattr(space.sampler, "encode"):
        with torch.no_grad():
            drawn = torch.cat([space.sampler.encode(target * 2 - 1), drawn])
    with torch.no_grad():
        losses = torch.cat([of(part) for part in torch.split(drawn, 16)])
    starts = drawn[losses.argsort()[: request.starts]]
    found = project(starts, of, Search(steps=first), chance, space.spread, told)
    begun, best = starts[:1], found.best
    if space.styled:
        begun, best = begun.repeat(1, depth, 1), best.repeat(1, depth, 1)
    passed = first
    if request.steps > first:
        found = project(best, of, Search(steps=request.steps - first), chance, 0.0, told)
    return begun, found.best, float(found.losses.min())


# --- directions -------------------------------------------------------------------------------------------------------


def _directions(job: _Job) -> Made:
    import torch

    from danqing.artwork.sheet import Labels, arrange

    request, space = job.request, job.space
    names = space.named()
    asked = max([request.many, *(number for number, _ in request.given_names)])
    axes = space.axes(request.by, asked, job.tools.on_step)
    if request.given_names:
        space.rename(request.given_names, request.by)
        names = space.named()
        job.notes.append(f"names are kept in {space.names.name}")
    codes, _ = job.points(1)
    reach = torch.tensor(STEPS, dtype=torch.float32)
    moved = codes[None] + torch.einsum("s,d...->ds...", reach, axes)  # (D, S, …)
    shown = job.show(moved.flatten(0, 1).expand(-1, *codes.shape[1:]))
    called = {(d.by, d.number): name for name, d in names.items()}
    rows = [f"{n}  {called.get((request.by, n), '')}".strip() for n in range(1, asked + 1)]
    heads = [f"{step:+d}" if step else "0" for step in STEPS]
    return arrange(list(shown), len(STEPS), Labels(rows, heads)), f"{space.name}: directions by {request.by}", None


def _edit(job: _Job) -> Made:
    import torch

    from danqing.arts.spaces import Direction
    from danqing.artwork.sheet import Labels, arrange

    request, space = job.request, job.space
    names = space.named()
    chosen = []
    for name, far in request.moves:
        if name not in names and not (name.isdigit() and int(name) > 0):
            see = f"danqing explore {request.model} directions --name 3=NAME gives a direction a name"
            raise UnknownName("direction", name, names, see=see)
        chosen.append((names.get(name) or Direction(request.by, int(name)), far))
    codes, called = job.points(1)
    step = torch.zeros_like(codes)
    for by in dict.fromkeys(direction.by for direction, _ in chosen):
        wanted = [(direction.number, far) for direction, far in chosen if direction.by == by]
        axes = space.axes(by, max(number for number, _ in wanted), job.tools.on_step)
        for number, far in wanted:
            step = step + far * axes[number - 1]
    moved = torch.cat([codes + share * step for share in SWEEP])
    if len(request.moves) == 1:
        name, far = request.moves[0]
        captions = [called[0], *(f"{name} {share * far:+.3g}" for share in SWEEP[1:])]
    else:
        captions = [called[0], *(f"{share:.0%}" for share in SWEEP[1:])]
    whole = ", ".join(f"{name} {far:+g}" for name, far in request.moves)
    sheet = arrange(list(job.show(moved)), len(SWEEP), Labels(captions=captions))
    return sheet, f"{space.name}: {called[0]}, {whole}", moved[-1:]


_MAKERS = {
    "picture": _picture,
    "samples": _samples,
    "interpolate": _interpolate,
    "mix": _mix,
    "truncate": _truncate,
    "project": _project,
    "directions": _directions,
    "edit": _edit,
}

# --- what is refused --------------------------------------------------------------------------------------------------


def _check_together(request: Explore) -> None:
    known = flags(Explore)
    for field in fields(Explore):
        name = field.name
        if name in (*_EVERYWHERE, *_USES[request.what]) or getattr(request, name) == field.default:
            continue
        able = [what for what, uses in _USES.items() if name in uses]
        raise BadRequest(
            f"{flag_name(name, known[name][1])} goes with {' or '.join(able)}, and {request.what} was asked for"
        )
    if request.what == "project" and request.file is None:
        raise BadRequest("project looks for a picture, and none was given: danqing explore MODEL project FILE")
    if request.what == "edit" and not request.along:
        raise BadRequest("edit moves along directions, and none was given: --along 1=2, or --along NAME=2")
    if (request.from_ is None) != (request.to is None):
        raise BadRequest("--from and --to go together; for more than two stations: --seeds 3,17,5")
    if request.from_ is not None and (request.seeds or request.how_many is not None):
        raise BadRequest("--from and --to name the stations of a walk; leave --seeds and --count out")
    if request.seeds and request.how_many is not None:
        raise BadRequest("--seeds names the pictures one by one; leave --count out")
    if request.of and request.latents:
        raise BadRequest("--of says what the picture comes from, and so does --latent; leave one of them out")
    if request.what in ("picture", "directions", "edit") and len(request.latents) > 1:
        raise BadRequest(f"{request.what} begins at one picture, and {len(request.latents)} latent files were given")


def _check_numbers(request: Explore) -> None:
    for name, low, high in (
        ("how_many", 1, MOST),
        ("fps", 1, 50),
        ("starts", 1, 32),
        ("steps", 1, 10_000),
        ("truncation", 0, 2),
    ):
        value = getattr(request, name)
        if value is not None and not low <= value <= high:
            raise BadRequest(
                f"{flag_name(name, flags(Explore)[name][1])} is {value:g}; it lies between {low} and {high}"
            )
    for seed in (request.seed, *request.seeds, request.from_, request.to):
        if seed is not None and not 0 <= seed < 2**31:
            raise BadRequest(f"seed {seed} was asked for; seeds lie between 0 and {2**31 - 1}")
    if len(request.seeds) > MOST or len(request.values) > MOST:
        raise BadRequest(f"a sheet has at most {MOST} pictures")
    if not all(0 <= value <= 2 for value in request.values):
        raise BadRequest(f"--values is {','.join(map(str, request.values))}; truncations lie between 0 and 2")
    if not 0 < request.seconds <= LONGEST_S:
        raise BadRequest(f"--seconds is {request.seconds:g}; it lies above 0 and up to {LONGEST_S:g}")
    if request.size and not 16 <= request.size <= LARGEST:
        raise BadRequest(f"--size is {request.size}; it lies between 16 and {LARGEST} px, or is 0 (chosen)")
