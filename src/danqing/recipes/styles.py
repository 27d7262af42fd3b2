"""`styles`: the named styles, each as statistics for the fast method and as one synthesised exemplar for the others.

Data: a folder of paintings with metadata.jsonl (`style`, `artist`, `year`). For each style the training pictures that
match it are measured, and `works` typical and different ones are chosen (k-medoids over their feature statistics). A
new picture is made of them in two stages. Neural texture synthesis (Gram matrices of the backbone, L-BFGS) turns an
invented scene, in which each work rules soft regions, into a small draft: forms as this painter makes them, none of
them a motif, since Gram matrices do not know where anything was. Then the draft is painted over at full size with
patches too small to carry a motif. No painting ships, and every exemplar is compared with the paintings that it was
made of: a window of it that follows a painting more closely than these paintings follow each other would be a copy.

A new backbone asks for new statistics, not for new exemplars: `keep=RUN` leaves those of an earlier run as they are.

Budget: a quarter of an hour on 2 CPU cores; on one data-centre GPU a few minutes.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from danqing.artwork.image import write
from danqing.artwork.request import OnStep, Step
from danqing.compute import checkpoint, seed
from danqing.encode.image import fit, resize, to_picture
from danqing.errors import BadRequest
from danqing.recipes import Recipe, shipped
from danqing.techniques import fast_style, patch_style, style_transfer
from danqing.techniques.backbone import Extractor
from danqing.training import data
from danqing.training.run import Run, write_atomically


@dataclass(frozen=True)
class Preset:
    """A style that has a name, and which paintings it is learned from."""

    zh: str
    title: str
    match: dict[str, tuple[str, ...]]  # metadata key → values, any of which will do; all keys must agree
    years: tuple[int, int]  # of the painter's work or the movement, where the paintings are not dated
    aliases: tuple[str, ...] = ()


def shipped_presets() -> dict[str, Preset]:
    """The styles that ship: the table in presets.toml."""
    table = tomllib.loads(Path(__file__).with_name("presets.toml").read_text("utf-8"))
    return {name: _preset(entry) for name, entry in table.items()}


def _preset(entry: dict[str, Any]) -> Preset:
    match = {key: tuple(values) for key, values in entry["match"].items()}
    first, last = entry["years"]
    return Preset(entry["zh"], entry["title"], match, (first, last), tuple(entry.get("aliases", ())))


@dataclass(frozen=True)
class Config:
    """Settings of one run."""

    presets: str = "shipped"  # "shipped": those of presets.toml; or a metadata key: one style for each of its values
    works: int = 4  # paintings that a style is made of
    size: int = 768  # side of an exemplar, px
    draft: int = 192  # side of what neural synthesis makes of the invented scene, px; patches paint the rest
    iterations: int = 60  # of neural synthesis, at 96 px and again at each doubling up to `draft`
    quality: int = 90  # of the exemplars' WebP
    keep: str = ""  # an earlier run, whose exemplars and works are kept: only the statistics are measured anew
    backbone: str = ""  # a weights file; empty is the shipped backbone
    seed: int = 3

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(presets="style", works=2, size=64, draft=32, iterations=4)


def presets(config: Config, entries: Sequence[data.Entry]) -> dict[str, Preset]:
    """The styles to make."""
    if config.presets == "shipped":
        return shipped_presets()
    values = sorted({str(e.labels[config.presets]) for e in entries if config.presets in e.labels})
    if not values:
        raise BadRequest(f"no picture has the key {config.presets!r} in metadata.jsonl; presets= names such a key")
    return {v: Preset(v, v, {config.presets: (v,)}, (0, 0)) for v in values}


def members(preset: Preset, entries: Sequence[data.Entry]) -> list[int]:
    """Numbers of the pictures that match."""
    return [
        i
        for i, entry in enumerate(entries)
        if all(str(entry.labels.get(key, "")).strip() in values for key, values in preset.match.items())
    ]


def medoids(points: Tensor, count: int) -> list[int]:
    """Numbers of `count` points that stand for the others: k-medoids, begun greedily, improved by swaps.

    points (N, D) float32.
    """
    apart = torch.cdist(points, points)
    chosen = [int(apart.sum(1).argmin())]
    while len(chosen) < min(count, len(points)):
        nearest = apart[:, chosen].amin(1)
        chosen.append(int((nearest[:, None] - apart).clamp_min(0).sum(0).argmax()))
    for _ in range(10):
        groups = apart[:, chosen].argmin(1)
        moved = []
        for g, old in enumerate(chosen):
            inside = torch.nonzero(groups == g).flatten()
            moved.append(int(inside[apart[inside][:, inside].sum(1).argmin()]) if len(inside) else old)
        if moved == chosen:
            break
        chosen = moved
    return chosen


SIZES = (1, 1 / 2, 1 / 3, 1 / 4)  # of a picture, at which it is compared: a painting may have been enlarged
WINDOW = 48  # px
FLAT = 0.25  # share of the strongest possible drawing below which a window counts as plain


def likeness(picture: Tensor, paintings: Sequence[Tensor]) -> float:
    """The closest that any window of `picture`, at any of SIZES, comes to any place in any painting: in [0, 1].

    All (1, 3, H, W) in [0, 1]. Normalised correlation of drawings (see `_drawing`), mirrored as well; 1 is a copy.
    Windows with hardly any drawing are passed over: two pieces of plain sky say nothing. Windows overlap by half; at
    the larger sizes there are 13 by 13 of them, with gaps at the largest. 0 where nothing can be compared.
    """
    window = WINDOW // 2  # drawings have half the size
    sheets = [_Sheet.of(p, window) for p in paintings if min(p.shape[-2:]) >= WINDOW]
    best = 0.0
    for size in SIZES:
        drawing = _drawing(fit(picture, max(1, round(max(picture.shape[-2:]) * size))))
        short = min(drawing.shape[-2:])
        if short < window:
            continue
        queries = F.unfold(drawing, window, stride=max(window // 2, (short - window) // 12))[0].T  # (N, window²)
        queries = queries - queries.mean(1, keepdim=True)
        queries = queries[queries.square().mean(1) > FLAT]
        queries = F.normalize(queries, dim=1).view(-1, window, window)
        for sheet in sheets if len(queries) else ():
            best = max(best, sheet.closest(queries), sheet.closest(queries.flip(2)))
    return best


def _drawing(x: Tensor) -> Tensor:
    """Where a picture has lines and strokes, as strong in pale places as in others: (1, 1, H / 2, W / 2) around 0.

    x (1, 3, H, W) in [0, 1], in grey at half its size. What is wider than about 16 px is taken away: any two slopes
    from light to dark correlate. Then each place is divided by its contrast, so that one strong edge does not outweigh
    the rest of a window: in a copy everything agrees.
    """

    def blurred(y: Tensor) -> Tensor:
        small = F.interpolate(y, scale_factor=1 / 4, mode="bilinear", antialias=True)
        return F.interpolate(small, y.shape[-2:], mode="bilinear")

    if min(x.shape[-2:]) < 8:
        return x.new_zeros(1, 1, 1, 1)
    grey = F.avg_pool2d(x.mean(1, keepdim=True), 2)
    fine = grey - blurred(grey)
    return fine / (blurred(fine.square()).clamp_min(0).sqrt() + 0.02)


@dataclass(frozen=True)
class _Sheet:
    """A painting's drawing, ready to be compared with many windows."""

    spectrum: Tensor  # of the drawing (H, W)
    size: tuple[int, int]
    scale: Tensor  # (H - w + 1, W - w + 1): one over the norm of the window there; 0 where it is plain

    @classmethod
    def of(cls, painting: Tensor, window: int) -> _Sheet:
        drawing = _drawing(painting)
        mean = F.avg_pool2d(drawing, window, 1)
        power = (F.avg_pool2d(drawing.square(), window, 1) - mean.square())[0, 0]  # a window's mean square
        scale = torch.where(power > FLAT, (power.clamp_min(FLAT) * window**2).rsqrt(), power.new_zeros(()))
        return cls(torch.fft.rfft2(drawing[0, 0]), (drawing.shape[2], drawing.shape[3]), scale)

    def closest(self, queries: Tensor) -> float:
        """The highest normalised correlation with any of queries (N, w, w), each of mean 0 and norm 1; by FFT."""
        height, width = self.scale.shape
        best = 0.0
        for some in torch.split(queries, 32):
            spectra = self.spectrum * torch.fft.rfft2(some, s=self.size).conj()
            found = torch.fft.irfft2(spectra, s=self.size)[:, :height, :width]
            best = max(best, float((found * self.scale).amax()))
        return best


def train(config: Config, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Make every style; those that the run folder already has are left as they are."""
    folder = root / "paintings" if (root / "paintings").is_dir() else root
    entries, _ = data.split(data.index(folder))
    wanted = presets(config, entries)
    extractor = shipped.backbone(config.backbone)
    earlier = _earlier(config, wanted)
    state = run.load() or {"step": 0, "statistics": {}, "facts": {}}
    path = run.folder / "exemplars"
    path.mkdir(parents=True, exist_ok=True)
    for number, (name, preset) in enumerate(wanted.items()):
        if number < state["step"]:
            continue
        own = [entries[i] for i in members(preset, entries)]
        if not own:
            raise BadRequest(f"no training picture matches the style {name!r}: {preset.match}")
        works = _Works.of(own, extractor)
        chosen = works.typical(config.works) if earlier is None else works.find(earlier["facts"][name]["made_of"], name)
        pictures = [works.pictures[i] for i in chosen]
        if earlier is None:
            exemplar = synthesise([inner(p) for p in pictures], config, extractor, number)
            write(to_picture(exemplar), path / f"{name}.webp", quality=config.quality, force=True)
            made_of = [works.entries[i].sha256 for i in chosen]
            state["facts"][name] = facts(preset, own, exemplar, pictures) | {"made_of": made_of}
        else:
            write_atomically(path / f"{name}.webp", (Path(config.keep) / "exemplars" / f"{name}.webp").read_bytes())
            state["facts"][name] = earlier["facts"][name]
        state["statistics"][name] = works.measured[chosen].mean(0)
        state["step"] = number + 1
        run.save(state)
        run.log(number + 1, {k: v for k, v in state["facts"][name].items() if k.startswith("likeness")})
        on_step(Step(number + 1, len(wanted), name))
    return finish(run, wanted, state)


def _earlier(config: Config, wanted: dict[str, Preset]) -> dict[str, Any] | None:
    """The state of the run whose exemplars are kept."""
    if not config.keep:
        return None
    state = Run.at(Path(config.keep)).load() or {"facts": {}}
    if lacking := [name for name in wanted if "made_of" not in state["facts"].get(name, {})]:
        raise BadRequest(
            f"the run {config.keep} has not made the exemplar of {lacking[0]!r}; keep= takes a finished run"
        )
    return state


@dataclass(frozen=True)
class _Works:
    """The pictures of one group, and what the backbone sees in them."""

    entries: Sequence[data.Entry]
    pictures: Sequence[Tensor]  # (1, 3, h, w) in [0, 1], 256 px on the short side or less
    measured: Tensor  # (N, D): statistics as the fast method takes them

    @classmethod
    def of(cls, entries: Sequence[data.Entry], features: Extractor) -> _Works:
        pixels, settings = data.Pixels(entries, 256), fast_style.Config()
        pictures = [torch.from_numpy(p.copy()).permute(2, 0, 1)[None].float() / 255 for p in pixels.pixels]
        measured = [fast_style.statistics(features(p, settings.layers), settings).cpu() for p in pictures]
        return cls(pixels.entries, pictures, torch.cat(measured))

    def typical(self, count: int) -> list[int]:
        """Numbers of `count` works that stand for the others."""
        spread = self.measured.std(0).clamp_min(1e-3) if len(self.measured) > 1 else 1.0
        return medoids(self.measured / spread, count)

    def find(self, hashes: Sequence[str], name: str) -> list[int]:
        """Numbers of the works that have these sha256."""
        places = {entry.sha256: i for i, entry in enumerate(self.entries)}
        if any(sha not in places for sha in hashes):
            raise BadRequest(f"the exemplar of {name!r} was made of works that --data no longer holds; make it anew")
        return [places[sha] for sha in hashes]


def inner(painting: Tensor) -> Tensor:
    """A painting (1, 3, h, w) without its outermost twenty-fifth on each side.

    Half of our groups have scans with paper margins, mounts or frames, up to 10 of 256 px wide as a rule; in an
    exemplar they came back as white bars.
    """
    height, width = painting.shape[-2:]
    edge = min(height, width) // 25
    return painting[..., edge : height - edge, edge : width - edge]


LAYERS = (("relu1_1", 1.0), ("relu1_2", 1.0), ("relu2_1", 1.0), ("relu3_1", 1.0), ("relu4_1", 1.0))
DRAFT = style_transfer.Config(
    content_weight=0.1,  # a tenth of the usual: the scene is a beginning and not a subject
    content_layers=(("relu4_2", 1.0),),
    style_weight=10.0,
    style_layers=LAYERS,
    tv_weight=1.0,
    coarsest=96,
)
# At 384 and 768 px, where the paintings are enlarged 1.5 and 2 times: 13 px of the exemplar are 7 to 9 of a painting.
PAINT = patch_style.Config(
    patch_sizes=(13, 9),
    passes=1,
    coarsest=384,
    structure=0.3,  # strokes are to be seen, not the draft
    ground=0.02,
    noise=0.1,
    coherence=1.5,  # long runs taken over from one place are how a motif would come back
    drift=1.3,
    palette=0.0,  # the draft has the paintings' colours, each region its own
)


def synthesise(pictures: Sequence[Tensor], config: Config, features: Extractor, stream: int) -> Tensor:
    """One exemplar (1, 3, size, size) in [0, 1], made of the pictures, each (1, 3, h, w).

    An invented scene says where there are edges, plains and clutter; neural synthesis makes of it what the paintings
    have there, each in soft regions of its own; their patches give it paint.
    """
    generator = seed.generator(config.seed, stream)
    share = regions(len(pictures), config.size, generator)
    small = (min(config.draft, config.size),) * 2
    settings = replace(DRAFT, iterations=config.iterations)
    layout = resize(scene(config.size, generator), small)
    part = F.interpolate(share[None], small, mode="area")[0]
    draft = style_transfer.stylize(layout, pictures, part, features, settings, generator)
    draft = resize(draft, config.size)
    return patch_style.stylize(draft, pictures, share, PAINT, features.compute, generator)


def regions(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Soft regions without a preferred direction, about a third of the picture wide: (count, size, size), sums to 1."""
    at = torch.arange(48.0)
    bell = torch.exp(-0.5 * ((at[:, None] - at) / 5.3).square())
    bell = F.normalize(bell, dim=1)
    where = bell @ torch.randn(count, 48, 48, generator=generator) @ bell.T
    return torch.softmax(F.interpolate(where[None], size, mode="bicubic")[0] * 3, dim=0)


def scene(size: int, generator: torch.Generator) -> Tensor:
    """An invented view, sky over six ranges of hills with bushes: (1, 3, size, size) in [0, 1].

    No picture was used for it. It has edges of every direction, plains and textures of several widths, lighter above
    and darker below, as landscapes do.
    """

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    def clouds(*octaves: tuple[int, float]) -> Tensor:
        total = torch.zeros(size, size)
        for cells, amount in octaves:
            draw = torch.randn(1, 1, cells, cells, generator=generator)
            total += amount * F.interpolate(draw, (size, size), mode="bicubic", align_corners=True)[0, 0]
        return total

    def line(cells: int) -> Tensor:
        draw = torch.randn(1, 1, cells, generator=generator)
        return F.interpolate(draw, size, mode="linear", align_corners=True)[0, 0]

    down = torch.linspace(0, 1, size).view(-1, 1)
    x = (uniform(3, 1, 1) * 0.2 + 0.7) * (1 - 0.25 * down) + 0.1 * clouds((3, 1.0), (8, 0.6), (20, 0.4))
    for k in range(6):
        ridge = 0.28 + 0.13 * k + 0.1 * line(7) + 0.02 * line(40)
        hill = (down > ridge).float()
        hill = F.avg_pool2d(F.pad(hill[None, None], (1, 1, 1, 1), mode="replicate"), 3, 1)[0]  # an edge, not a step
        colour = uniform(3, 1, 1) * 0.3 + 0.15 + 0.5 * uniform(1) * (1 - k / 12)
        x = torch.lerp(x, colour + 0.13 * clouds((6, 0.5), (16, 0.7), (48, 0.8)), hill)
    bushes = ((clouds((10, 1.0), (24, 0.5)) > 1.1) & (down > 0.35)).float()
    bushes = F.avg_pool2d(bushes[None, None], 5, 1, 2)[0]
    return torch.lerp(x, uniform(3, 1, 1) * 0.5 + 0.05 + 0.1 * clouds((48, 1.0)), bushes).clamp(0, 1)[None]


def facts(preset: Preset, own: Sequence[data.Entry], exemplar: Tensor, made_of: Sequence[Tensor]) -> dict[str, object]:
    """What the catalog says of a style, and how near its exemplar comes to a painting.

    `likeness_exemplar` is the closest of the exemplar to any painting it was made of; `likeness_floor` is what a
    picture by the same hands has without being a copy: each of these paintings, seen as large as the exemplar, against
    the others, on average.
    """
    floor = [
        likeness(_enlarged(x, exemplar.shape[-1]), [*made_of[:i], *made_of[i + 1 :]]) for i, x in enumerate(made_of)
    ]
    years = [y for e in own if isinstance(y := e.labels.get("year"), int)]
    painters = {str(e.labels.get("artist", "unknown")) for e in own}
    return {
        "painters": sorted(_readable(p) for p in painters if p != "unknown"),
        "years": [min(years), max(years)] if years else list(preset.years),
        "works": len(own),
        "likeness_exemplar": likeness(exemplar, made_of),
        "likeness_floor": sum(floor) / len(floor),
    }


def _enlarged(x: Tensor, side: int) -> Tensor:
    """The middle square of a picture (1, 3, H, W), at `side` px."""
    height, width = x.shape[-2:]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    return resize(x[..., top : top + short, left : left + short], side)


def _readable(name: str) -> str:
    """`claude-monet` and `MONET, Claude` as a person writes them."""
    if ", " in name:
        family, _, given = name.partition(", ")
        return f"{given} {family.title()}"
    return name if " " in name or not name.islower() else name.replace("-", " ").title()


def finish(run: Run, wanted: dict[str, Preset], state: dict[str, dict[str, dict[str, object]]]) -> dict[str, float]:
    """Write the statistics, styles.toml and the result."""
    tensors = {name: torch.as_tensor(value).bfloat16() for name, value in state["statistics"].items()}
    about = {"architecture": "styles", "config": {"layers": list(fast_style.Config().layers)}}
    checkpoint.save_weights(run.folder / "weights.safetensors", tensors, about)
    lines = ["# Made by: danqing train styles. One table a style; what each was learned from."]
    for name, preset in wanted.items():
        known = state["facts"][name]
        fields = {
            "zh": preset.zh,
            "title": preset.title,
            "aliases": list(preset.aliases),
            # A painter's own style needs no list, and metadata spells one name in several ways and scripts.
            "painters": [preset.title] if "artist" in preset.match else known["painters"],
            "years": known["years"],
            "works": known["works"],
            "rights": "works public domain",
        }
        # JSON's strings, lists and numbers are TOML's as well.
        lines += ["", f"[{name}]", *(f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in fields.items())]
    write_atomically(run.folder / "styles.toml", ("\n".join(lines) + "\n").encode())
    near = np.array([float(str(f["likeness_exemplar"])) for f in state["facts"].values()])
    floor = np.array([float(str(f["likeness_floor"])) for f in state["facts"].values()])
    result = {
        "styles": float(len(wanted)),
        "likeness_mean": float(near.mean()),
        "likeness_worst": float(near.max()),
        "likeness_floor_mean": float(floor.mean()),
        "likeness_floor_worst": float(floor.max()),
    }
    write_atomically(run.folder / "result.json", json.dumps(result, indent=1).encode())
    return result


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """The result as it was measured when the styles were made: exemplars are not trained further."""
    result: dict[str, float] = json.loads((run.folder / "result.json").read_text("utf-8"))
    return result


RECIPE = Recipe(
    name="styles",
    purpose="The named styles: statistics for `fast`, a synthesised exemplar each for `patch` and `neural`",
    data="a folder of paintings with metadata.jsonl, or a folder that holds one as `paintings`",
    config=Config,
    train=train,
    evaluate=evaluate,
)
