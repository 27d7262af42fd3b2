"""`styles`: the named styles, each as statistics for the fast method and as one synthesised exemplar for the others.

Data: a folder of paintings with metadata.jsonl (`style`, `artist`, `year`). For each style the training pictures that
match it are measured, `works` typical and different ones are chosen (k-medoids over their feature statistics), and a
new picture is painted with their patches: an invented scene in which each rules soft regions. No painting ships, and
every exemplar is compared with the paintings that it was made of: a window of it that follows a painting more closely
than these paintings follow each other would show as a copy.

Budget: a quarter of an hour on 2 CPU cores; on one data-centre GPU a few minutes.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from danqing.artwork.image import write
from danqing.artwork.request import OnStep, Step
from danqing.compute import checkpoint, seed
from danqing.compute.blocks import Features
from danqing.encode.image import fit, to_picture
from danqing.errors import BadRequest
from danqing.recipes import Recipe, shipped
from danqing.techniques import fast_style, patch_style, style_transfer
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
    method: str = "patch"  # how exemplars are made: "patch" or "neural"
    quality: int = 90  # of the exemplars' WebP
    backbone: str = ""  # a weights file; empty is the shipped backbone
    seed: int = 3

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(presets="style", works=2, size=64)


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


def likeness(picture: Tensor, painting: Tensor, window: int = 48, step: int = 40) -> float:
    """The closest that any window of `picture` comes to any place in `painting`: normalised correlation, in [-1, 1].

    Both (1, 3, H, W) in [0, 1]; compared in grey, mirrored as well, without what is wider than about 16 px:
    any two slopes from light to dark correlate, only drawing and brushwork tell a copy. Windows with hardly any are
    passed over: two pieces of plain sky say nothing.
    """
    grey, other = _drawing(picture), _drawing(painting)
    if min(*grey.shape[-2:], *other.shape[-2:]) < window:
        return 0.0
    queries = F.unfold(grey, window, stride=step)[0].T  # (N, window²)
    queries = queries[queries.std(1) > 0.03]
    if not len(queries):
        return 0.0
    queries = queries - queries.mean(1, keepdim=True)
    queries = (queries / queries.norm(dim=1, keepdim=True)).view(-1, 1, window, window)
    best = -1.0
    for flipped in (other, other.flip(3)):
        area = torch.ones(1, 1, window, window)
        mean = F.conv2d(flipped, area) / window**2
        energy = (F.conv2d(flipped.square(), area) - window**2 * mean.square()).clamp_min(1e-4).sqrt()
        busy = (energy > 0.03 * window)[0, 0]
        if busy.any():
            score = _correlate(flipped, queries) / energy[0, 0]
            best = max(best, float(score[:, busy].amax()))
    return best


def _drawing(x: Tensor) -> Tensor:
    """What is finer than about 16 px: x (1, 3, H, W) in [0, 1] to (1, 1, H, W) around 0."""
    grey = x.mean(1, keepdim=True)
    if min(grey.shape[-2:]) < 16:
        return grey
    small = F.interpolate(grey, scale_factor=1 / 8, mode="bilinear", antialias=True)
    return grey - F.interpolate(small, grey.shape[-2:], mode="bicubic")


def _correlate(x: Tensor, queries: Tensor) -> Tensor:
    """x (1, 1, H, W) with each of queries (N, 1, w, w), by FFT: (N, H - w + 1, W - w + 1)."""
    height, width = x.shape[-2:]
    window = queries.shape[-1]
    spectrum = torch.fft.rfft2(x[0, 0])
    out = torch.fft.irfft2(spectrum * torch.fft.rfft2(queries[:, 0], s=(height, width)).conj(), s=(height, width))
    found: Tensor = out[:, : height - window + 1, : width - window + 1]
    return found


def train(config: Config, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Make every style; those that the run folder already has are left as they are."""
    folder = root / "paintings" if (root / "paintings").is_dir() else root
    entries, _ = data.split(data.index(folder))
    wanted = presets(config, entries)
    extractor = shipped.backbone(config.backbone)
    inner = fast_style.Config()
    state = run.load() or {"step": 0, "statistics": {}, "facts": {}}
    for number, (name, preset) in enumerate(wanted.items()):
        if number < state["step"]:
            continue
        own = [entries[i] for i in members(preset, entries)]
        if not own:
            raise BadRequest(f"no training picture matches the style {name!r}: {preset.match}")
        pixels = data.Pixels(own, 256)
        pictures = [torch.from_numpy(p.copy()).permute(2, 0, 1)[None].float() / 255 for p in pixels.pixels]
        measured = torch.cat([fast_style.statistics(extractor(p, inner.layers), inner).cpu() for p in pictures])
        chosen = medoids(measured / measured.std(0).clamp_min(1e-3) if len(measured) > 1 else measured, config.works)
        exemplar = synthesise([pictures[i] for i in chosen], config, extractor, number)
        path = run.folder / "exemplars" / f"{name}.webp"
        path.parent.mkdir(parents=True, exist_ok=True)
        write(to_picture(exemplar), path, quality=config.quality, force=True)
        state["statistics"][name] = measured[chosen].mean(0)
        state["facts"][name] = facts(preset, own, exemplar, [pictures[i] for i in chosen])
        state["step"] = number + 1
        run.save(state)
        run.log(number + 1, {k: v for k, v in state["facts"][name].items() if k.startswith("likeness")})
        on_step(Step(number + 1, len(wanted), name))
    return finish(run, wanted, state)


def synthesise(pictures: Sequence[Tensor], config: Config, features: Features, stream: int) -> Tensor:
    """One exemplar (1, 3, size, size) in [0, 1], made of the pictures, each (1, 3, h, w).

    An invented scene says where there are edges, plains and clutter; the paintings say how each is painted, each in
    soft regions of its own. `neural` takes no scene: it grows one texture of all pictures (see decision 0005).
    """
    generator = seed.generator(config.seed, stream)
    if config.method == "neural":
        size = (config.size, config.size)
        even = torch.full((len(pictures), *size), 1 / len(pictures))
        layers = (("relu1_1", 1.0), ("relu1_2", 1.0), ("relu2_1", 1.0), ("relu3_1", 1.0), ("relu4_1", 1.0))
        settings = style_transfer.Config(style_layers=layers, content_layers=())
        return style_transfer.texture(pictures, even, size, features, settings, generator)
    where = torch.randn(1, len(pictures), 4, 4, generator=generator)
    share = torch.softmax(F.interpolate(where, config.size, mode="bicubic")[0] * 6, dim=0)
    # Strokes are to be seen, not the scene: it binds little, noise wakes its plains, and worn places are left alone.
    settings_patch = patch_style.Config(structure=0.3, ground=0.02, noise=0.3, grain=0.3, wear=1.0)
    layout = scene(config.size, generator)
    return patch_style.stylize(layout, pictures, share, settings_patch, features.compute, generator)


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

    `likeness_exemplar` is the closest of the exemplar, at its own and at half size, to any painting it was made of;
    `likeness_floor` the closest that these paintings come to each other.
    """
    near = [likeness(x, p) for x in (exemplar, fit(exemplar, exemplar.shape[-1] // 2)) for p in made_of]
    floor = [likeness(a, b) for i, a in enumerate(made_of) for b in made_of[i + 1 :]]
    years = [y for e in own if isinstance(y := e.labels.get("year"), int)]
    painters = {str(e.labels.get("artist", "unknown")) for e in own}
    return {
        "painters": sorted(_readable(p) for p in painters if p != "unknown"),
        "years": [min(years), max(years)] if years else list(preset.years),
        "works": len(own),
        "likeness_exemplar": max(near),
        "likeness_floor": max(floor, default=0.0),
    }


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
