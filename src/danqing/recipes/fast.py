"""`fast`: the painter that takes any style in one forward pass, trained on paintings with our own backbone.

Data: a folder with `paintings` (styles, and contents as well: landscapes and rooms are photos to the backbone) and
`objects` (contents). Styles are drawn group by group, so that 8 ink landscapes weigh as much as 300 Renaissance panels.

Budget: ≤ 2.5 h on 2 CPU cores at 112 px; the larger variant (size=256 batch=32 steps=40000)
≤ 25 min on one data-centre GPU.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danqing.artwork.image import Picture
from danqing.artwork.request import OnStep
from danqing.compute import checkpoint, device, seed
from danqing.encode.image import to_picture
from danqing.recipes import Recipe, shipped
from danqing.techniques import backbone, fast_style
from danqing.training import data, engine
from danqing.training.metrics import cosine
from danqing.training.run import Run, write_atomically


@dataclass(frozen=True)
class Config:
    """Settings of one training run."""

    styles: str = "paintings"  # folder of --data whose pictures are styles; "." is --data itself
    contents: str = "paintings,objects"  # folders whose pictures are painted
    group: str = "style"  # key of metadata.jsonl by which styles are drawn evenly
    backbone: str = ""  # a weights file; empty is the shipped backbone
    start: str = ""  # a painter's weights file to go on from; empty begins anew
    closest: float = 0.2  # smallest share of a style picture's area in a crop: the closer, the larger the strokes
    widest: float = 0.6  # and the largest
    size: int = 112  # side of the training crops, px
    batch: int = 8  # crops a step
    steps: int = 12000  # at most
    minutes: float = 150.0  # at most
    checkpoint_s: float = 120.0  # seconds between checkpoints
    rate: float = 1e-3  # Adam's peak learning rate
    content_weight: float = fast_style.Weights.content  # of the photo's features at each place
    style_weight: float = fast_style.Weights.style  # of the style's means and deviations
    gram_weight: float = fast_style.Weights.gram  # of the style's Gram matrices
    identity_weight: float = fast_style.Weights.identity  # of a picture in its own style staying as it is
    variation_weight: float = fast_style.Weights.variation  # against noise: differences between neighbours
    seed: int = 11  # the same seed gives the same weights on the same machine

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(styles=".", contents=".", size=32, batch=2, steps=4, checkpoint_s=0)


@dataclass
class Groups:
    """Pictures by group; a style is drawn by its group first."""

    pixels: data.Pixels
    members: list[list[int]]

    @classmethod
    def of(cls, pixels: data.Pixels, key: str) -> Groups:
        """Group by a label; pictures without it are a group of their own."""
        found: dict[str, list[int]] = defaultdict(list)
        for number, entry in enumerate(pixels.entries):
            found[str(entry.labels.get(key, ""))].append(number)
        return cls(pixels, [found[name] for name in sorted(found)])

    def draw(self, count: int, generator: torch.Generator) -> list[int]:
        """Picture numbers: groups evenly at random, then one of each. Square-root weights soften tiny groups."""
        weights = torch.tensor([len(m) ** 0.5 for m in self.members])
        groups = torch.multinomial(weights, count, replacement=True, generator=generator)
        members = [self.members[int(g)] for g in groups]
        return [m[int(torch.randint(len(m), (), generator=generator))] for m in members]


class Judge:
    """The losses of one step: the painter's work and its reading by the backbone."""

    def __init__(self, config: Config, extractor: backbone.Extractor, inner: fast_style.Config) -> None:
        self.config, self.extractor, self.inner = config, extractor, inner

    def losses(self, painter: nn.Module, photo: Tensor, style: Tensor) -> dict[str, Tensor]:
        """Weighted losses. photo, style (B, 3, S, S) in [0, 1]."""
        c, layers = self.config, self.inner.layers
        with torch.no_grad():
            photo_maps, style_maps = self.extractor(photo, layers), self.extractor(style, layers)
            own = fast_style.statistics(photo_maps, self.inner)
            wanted = fast_style.statistics(style_maps, self.inner)
        painted = painter(photo_maps, own, wanted[:, None], None)
        parts = fast_style.losses(self.extractor(painted, layers), photo_maps, style_maps, self.inner)
        # A picture in its own style is itself: a quarter of the batch is enough to teach it.
        few = max(1, len(photo) // 4)
        first = {layer: maps[:few] for layer, maps in style_maps.items()}
        same = painter(first, wanted[:few], wanted[:few, None], None)
        total = {
            "content": c.content_weight * parts["content"],
            "style": c.style_weight * parts["style"],
            "gram": c.gram_weight * parts["gram"],
            "identity": c.identity_weight * F.l1_loss(same, style[:few]),
            "variation": c.variation_weight * _variation(painted),
        }
        # Values outside [0, 1] are lost when the picture is saved; this keeps the painter from using them.
        total["range"] = 10 * (painted - painted.clamp(0, 1)).square().mean()
        return total


def _variation(x: Tensor) -> Tensor:
    return (x[..., 1:, :] - x[..., :-1, :]).abs().mean() + (x[..., 1:] - x[..., :-1]).abs().mean()


def _load(root: Path, config: Config) -> tuple[list[data.Pixels], list[data.Pixels], Groups, Groups]:
    """(contents to train on, contents held out, styles to train on, styles held out)."""
    side = config.size * 2
    names = list(dict.fromkeys([config.styles, *config.contents.split(",")]))
    loaded = {}
    for name in names:
        train, held = data.split(data.index(root / name))
        loaded[name] = (data.Pixels(train, side), data.Pixels(held or train[:8], side))
    contents = [loaded[name] for name in config.contents.split(",")]
    styles = loaded[config.styles]
    return (
        [t for t, _ in contents],
        [h for _, h in contents],
        Groups.of(styles[0], config.group),
        Groups.of(styles[1], config.group),
    )


def train(config: Config, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Train and save. Returns held-out losses, unweighted by nothing: the weighted ones that were trained."""
    contents, held_contents, styles, held_styles = _load(root, config)
    extractor = shipped.backbone(config.backbone)
    compute = device.choose()
    torch.manual_seed(config.seed)
    inner = fast_style.Config()
    painter = fast_style.Painter(inner)
    if config.start:
        tensors, _ = checkpoint.load_weights(Path(config.start))
        painter.load_state_dict(checkpoint.unpack(tensors))
    engine.cast(painter, compute)
    optimiser = torch.optim.Adam(painter.parameters(), lr=config.rate, betas=(0.9, 0.99))
    judge = Judge(config, extractor, inner)

    def draw(step: int) -> tuple[Tensor, Tensor]:
        generator = seed.generator(config.seed, stream=10_000_000 + step)
        halves = []
        for i, pixels in enumerate(contents):
            count = config.batch // len(contents) + (i < config.batch % len(contents))
            numbers = data.draw_order(len(pixels), count, step, config.seed)
            halves.append(pixels.batch(numbers, config.size, (0.5, 1.0), generator))
        near = (config.closest, config.widest)
        style = styles.pixels.batch(styles.draw(config.batch, generator), config.size, near, generator)
        return torch.cat(halves), style

    ahead: data.Prefetch[tuple[Tensor, Tensor]] | None = None

    def step(moment: engine.Moment) -> Mapping[str, Tensor]:
        nonlocal ahead
        ahead = ahead or data.Prefetch(draw, moment.index)
        photo, style = ahead.get(moment.index)
        parts = judge.losses(painter, photo.to(compute.device), style.to(compute.device))
        moment.backward(torch.stack(list(parts.values())).sum())
        moment.update("painter", cosine(moment.progress))
        return {name: value.detach() for name, value in parts.items()}

    def watch(nets: dict[str, nn.Module]) -> Mapping[str, float]:
        return held_losses(nets["painter"], judge, held_contents, held_styles)

    def sheet(nets: dict[str, nn.Module]) -> Picture:
        return contact_sheet(nets["painter"], extractor, held_contents, held_styles)

    trainee = engine.Trainee(
        {"painter": painter}, {"painter": optimiser}, step, sheet=sheet, watch=watch, averaged=("painter",)
    )
    budget = engine.Budget(config.steps, config.minutes, sheet_every=500, checkpoint_every_s=config.checkpoint_s)
    final = engine.fit(run, trainee, budget, config.seed, on_step)["painter"]
    assert isinstance(final, fast_style.Painter)
    result = held_losses(final, judge, held_contents, held_styles)
    tensors = checkpoint.pack(final.cpu().state_dict(), "bfloat16")
    about = {"architecture": "fast_style", "config": asdict(inner)}
    checkpoint.save_weights(run.folder / "weights.safetensors", tensors, about)
    held = data.fingerprint([e for p in [*held_contents, held_styles.pixels] for e in p.entries])
    report = {**result, "held_out_sha256": held, "parameters": sum(p.numel() for p in final.parameters())}
    write_atomically(run.folder / "result.json", json.dumps(report, indent=1).encode())
    return result


@torch.no_grad()
def held_losses(
    painter: nn.Module, judge: Judge, contents: Sequence[data.Pixels], styles: Groups, count: int = 48
) -> dict[str, float]:
    """Mean weighted losses over fixed pairs of held-out pictures, in the compute's dtype as in use."""
    twin = fast_style.Painter(judge.inner)
    twin.load_state_dict(painter.state_dict())
    judge.extractor.compute.frozen(twin)
    generator = seed.generator(0)
    sums: dict[str, float] = defaultdict(float)
    for start in range(0, count, 8):
        pixels = contents[start // 8 % len(contents)]
        photo = pixels.centre([(start + i) % len(pixels) for i in range(8)], judge.config.size)
        style = styles.pixels.centre(styles.draw(8, generator), judge.config.size)
        for name, value in judge.losses(twin, photo, style).items():
            sums[name] += float(value) * 8 / count
    return dict(sums)


@torch.no_grad()
def contact_sheet(
    painter: nn.Module, extractor: backbone.Extractor, contents: Sequence[data.Pixels], styles: Groups
) -> Picture:
    """Held-out pictures (left column) in held-out styles (top row), always the same ones."""
    assert isinstance(painter, fast_style.Painter)
    twin = fast_style.Painter(painter.config)
    twin.load_state_dict(painter.state_dict())
    artist = fast_style.FastStyle(twin, extractor)
    photos = [p.centre([n % len(p)], 192) for p in contents for n in (1, 4)]
    chosen = [members[0] for members in styles.members[:: max(1, len(styles.members) // 6)]][:6]
    exemplars = [styles.pixels.centre([n], 192) for n in chosen]
    whole = torch.ones(1, 192, 192)
    rows = [torch.cat([torch.ones_like(photos[0]), *exemplars], dim=3)]
    for photo in photos:
        painted = [artist.paint(photo, [artist.style_of(e)], whole) for e in exemplars]
        rows.append(torch.cat([photo, *painted], dim=3))
    return to_picture(torch.cat(rows, dim=2))


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """Held-out losses of a finished run, from its saved weights."""
    tensors, about = checkpoint.load_weights(run.folder / "weights.safetensors")
    config = Config(**run.config)
    inner = fast_style.Config(**about["config"])
    painter = fast_style.Painter(inner)
    painter.load_state_dict(checkpoint.unpack(tensors))
    _, held_contents, _, held_styles = _load(root, config)
    return held_losses(painter, Judge(config, shipped.backbone(config.backbone), inner), held_contents, held_styles)


RECIPE = Recipe(
    name="fast",
    purpose="Any style in one forward pass: the painter behind `stylize --method fast`",
    data="a folder with `paintings` and `objects`, or styles=. contents=. for one folder of pictures",
    config=Config,
    train=train,
    evaluate=evaluate,
)
