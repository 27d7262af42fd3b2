"""`sketch`: a colour layout or a drawing → a painting in a style, in one pass; what `sketch` and `paint` paint with.

Data: a folder of paintings with metadata.jsonl. Every painting is a pair, its layout and its lines being computed from
it (`encode.layouts`); the style it is told is that of another painting of its group. Beside them stand drawn scenes
(`techniques.scenery`) that have no painting: there only the critic and the colours speak. Figures are beyond so few
pictures: by default the groups are those that paint landscapes, and only paintings are used, so that the model is open.

Budget: ≤ 2.5 h on one CPU core at 128 px; the larger variant (size=192 batch=32 steps=20000 widths=64,128,256)
≤ 25 min on one data-centre GPU.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danqing.artwork.image import Picture
from danqing.artwork.request import OnStep, Step
from danqing.compute import checkpoint, device, seed
from danqing.encode import inventions, layouts
from danqing.encode.image import to_picture
from danqing.errors import BadRequest
from danqing.recipes import Recipe, shipped
from danqing.techniques import fast_style, layout_painter, scenery
from danqing.techniques.backbone import Extractor
from danqing.techniques.layout_painter import Critic, LayoutPainter
from danqing.training import data, engine
from danqing.training.metrics import cosine
from danqing.training.run import Run, write_atomically

STYLES = (
    "landscape-masters,impressionism,tonalism,naturalism,realism,ukiyo-e,shin-hanga,divisionism,synthetism,symbolism,"
    "japonism,shanshui,biedermeier"
)
LAYERS = ("relu2_1", "relu3_1")  # of the backbone, compared where there is a painting
JUDGED = ("relu2_1", "relu3_1", "relu4_1")  # that the critic looks at
COARSE = 8  # px: colours are compared over squares of this side
PROBES = 32  # held-out paintings that are looked at
SHIFT = 16  # px: the critic's window begins anywhere in a square of this side


@dataclass(frozen=True)
class Config:
    """Settings of one training run."""

    collection: str = "paintings"  # folder of --data; "." is --data itself
    group: str = "style"  # key of metadata.jsonl whose values are the styles
    styles: str = STYLES  # the values that are learned from; empty: all
    widths: tuple[int, ...] = layout_painter.Config.widths  # channels of the painter, from half the size down
    blocks: tuple[int, ...] = layout_painter.Config.blocks  # residual blocks at each
    size: int = 128  # side of the training crops, px
    closest: float = 0.5  # smallest side of a crop, as a share of the picture's short side
    batch: int = 8  # pictures a step
    drawn: int = 2  # of them drawn scenes without a painting
    scenes: int = 250  # drawn scenes that are made beforehand
    lines: float = 0.5  # share of the pictures whose lines are told
    steps: int = 3000  # at most
    minutes: float = 150.0  # at most
    checkpoint_s: float = 120.0  # seconds between checkpoints
    rate: float = 5e-4  # Adam's peak learning rate, of painter and critic
    colour: float = 10.0  # weight of the colours' absolute error
    features: float = 1.0  # weight of the feature maps' absolute error
    likeness: float = 0.3  # the same for drawn scenes, which are held to themselves
    adversary: float = 0.7  # weight of the critic's judgement
    storage: str = "bfloat16"
    seed: int = 23  # the same seed gives the same weights on the same machine

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(
            collection=".", styles="", widths=(8, 16), blocks=(1, 1), size=32, batch=4, drawn=1, scenes=3, steps=4,
            checkpoint_s=0,
        )  # fmt: skip


@dataclass
class Material:
    """Paintings with the statistics of their styles, and drawn scenes."""

    train: data.Pixels
    held: data.Pixels
    numbers: dict[str, Tensor]  # sha256 → (960,) statistics
    groups: dict[str, list[str]]  # style → sha256 of its training paintings
    drawn: Tensor  # (N, 3, S, S) uint8 layouts, a half larger than they are shown

    def style(self, entry: data.Entry, key: str, generator: torch.Generator) -> Tensor:
        """The statistics of a training painting of the same group, (960,)."""
        members = self.groups.get(str(entry.labels.get(key, "")), [entry.sha256])
        return self.numbers[members[int(torch.randint(len(members), (), generator=generator))]]


def load(root: Path, config: Config, extractor: Extractor, on_step: OnStep) -> Material:
    """Read and measure the paintings, draw the scenes."""
    wanted = {name for name in config.styles.split(",") if name}
    entries = data.index(root / config.collection)
    if wanted:
        entries = [e for e in entries if str(e.labels.get(config.group)) in wanted]
    train, held = data.split(entries)
    if not train or not held:
        raise BadRequest(f"{root / config.collection} has too few pictures of these styles; it needs about 40 or more")
    sides = [data.Pixels(part, 2 * config.size) for part in (train, held)]
    numbers: dict[str, Tensor] = {}
    settings = fast_style.Config()
    for pixels in sides:
        for at in data.batches(range(len(pixels)), 16):
            on_step(Step(0, config.steps, "reading the styles"))
            with torch.no_grad():
                maps = extractor(pixels.centre(at, config.size), settings.layers)
                for n, row in zip(at, fast_style.statistics(maps, settings).cpu(), strict=True):
                    numbers[pixels.entries[n].sha256] = row
    groups: dict[str, list[str]] = defaultdict(list)
    for entry in sides[0].entries:
        groups[str(entry.labels.get(config.group, ""))].append(entry.sha256)
    drawn = []
    for number in range(config.scenes):
        on_step(Step(0, config.steps, "drawing scenes"))
        generator = seed.generator(config.seed, stream=20_000_000 + number)
        side = config.size * 3 // 2
        colours, _ = scenery.compose(inventions.scene(generator), side, side, generator)
        drawn.append((colours[0] * 255).round().to(torch.uint8))
    return Material(sides[0], sides[1], numbers, dict(groups), torch.stack(drawn))


@dataclass(frozen=True)
class Batch:
    """What one step sees. Pictures in [0, 1]; the first ones have a painting, the last ones are drawn scenes."""

    paintings: Tensor  # (B − D, 3, S, S)
    layouts: Tensor  # (B, 3, S, S)
    lines: Tensor  # (B, 1, S, S)
    numbers: Tensor  # (B, 960)


def draw(material: Material, config: Config, step: int) -> Batch:
    """The batch of one step, from its number alone."""
    generator = seed.generator(config.seed, stream=10_000_000 + step)
    paired = config.batch - config.drawn
    order = data.draw_order(len(material.train), paired, step, config.seed)
    paintings = material.train.batch(order, config.size, (config.closest, 1.0), generator)
    scenes = [_scene(material.drawn, config.size, generator) for _ in range(config.drawn)]
    plain = torch.cat([layouts.simplified(paintings, generator), *scenes])
    lines = torch.cat([layouts.lines(paintings), *(layouts.lines(s) for s in scenes)])
    told = torch.rand(config.batch, 1, 1, 1, generator=generator) < config.lines
    entries = [material.train.entries[n] for n in order]
    some = torch.randint(len(material.train), (config.drawn,), generator=generator).tolist()
    numbers = [material.style(e, config.group, generator) for e in entries]
    numbers += [material.numbers[material.train.entries[n].sha256] for n in some]
    return Batch(paintings, plain, lines * told, torch.stack(numbers))


def _scene(drawn: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """A part of a drawn scene, mirrored half of the time: (1, 3, size, size)."""
    number, top, left, mirrored = torch.rand(4, generator=generator).tolist()
    room = drawn.shape[2] - size
    y, x = int(top * (room + 1)), int(left * (room + 1))
    part = drawn[int(number * len(drawn)), :, y : y + size, x : x + size].float()[None] / 255
    return part.flip(3) if mirrored < 0.5 else part


class Lesson:
    """The losses of one step."""

    def __init__(self, config: Config, inner: layout_painter.Config, extractor: Extractor) -> None:
        self.config, self.inner, self.extractor = config, inner, extractor

    def paint(self, painter: LayoutPainter, batch: Batch, generator: torch.Generator) -> Tensor:
        """What the painter makes of the batch, fp32."""
        compute = self.extractor.compute
        height, width = batch.layouts.shape[2:]
        noise = layout_painter.draw_noise(self.inner, len(batch.layouts), height, width, generator)
        made = painter(
            compute.tensor(batch.layouts),
            compute.tensor(batch.lines),
            batch.numbers.to(compute.device),
            [compute.tensor(n) for n in noise],
        )
        return cast(Tensor, made.float())

    def kept(
        self, made: Tensor, batch: Batch, seen: Mapping[str, Tensor], real: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Weighted errors of colours and features. seen, real: layers of what was made, and of paintings and scenes."""
        paired = len(batch.paintings)
        goal = torch.cat([batch.paintings, batch.layouts[paired:]]).to(made.device)
        coarse = [F.avg_pool2d(x, COARSE) for x in (made, goal)]
        losses = {"colour": self.config.colour * F.l1_loss(coarse[0], coarse[1])}
        if paired:
            apart = [F.l1_loss(seen[layer][:paired].float(), real[layer][:paired].float()) for layer in LAYERS]
            losses["features"] = self.config.features * torch.stack(apart).mean()
        if paired < len(made):
            apart = [F.l1_loss(seen[layer][paired:].float(), real[layer][paired:].float()) for layer in LAYERS]
            losses["scenes"] = self.config.likeness * torch.stack(apart).mean()
        # Values outside [0, 1] are lost when the picture is saved.
        losses["range"] = 10 * (made - made.clamp(0, 1)).square().mean()
        return losses


def train(config: Config, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Train and save. Returns what `evaluate` returns."""
    extractor = shipped.backbone()
    material = load(root, config, extractor, on_step)
    compute = device.choose()
    inner = layout_painter.Config(config.widths, config.blocks)
    torch.manual_seed(config.seed)
    painter, critic = LayoutPainter(inner), Critic(inner, _channels(extractor))
    known = torch.stack([material.numbers[e.sha256] for e in material.train.entries])
    painter.mean.copy_(known.mean(0))
    painter.deviation.copy_(known.std(0).clamp_min(0.05))
    for net in (painter, critic):
        engine.cast(net, compute)
    nets: dict[str, nn.Module] = {"painter": painter, "critic": critic}
    optimisers: dict[str, torch.optim.Optimizer] = {
        name: torch.optim.Adam(net.parameters(), lr=config.rate, betas=(0.5, 0.99)) for name, net in nets.items()
    }
    lesson = Lesson(config, inner, extractor)
    ahead: data.Prefetch[Batch] | None = None

    def step(moment: engine.Moment) -> Mapping[str, Tensor]:
        nonlocal ahead
        ahead = ahead or data.Prefetch(lambda n: draw(material, config, n), moment.index)
        return _step(config, lesson, painter, critic, ahead.get(moment.index), moment)

    def watch(own: dict[str, nn.Module]) -> Mapping[str, float]:
        return held_errors(cast(LayoutPainter, own["painter"]), lesson, material)

    def sheet(own: dict[str, nn.Module]) -> Picture:
        return contact_sheet(cast(LayoutPainter, own["painter"]), material, config)

    trainee = engine.Trainee(nets, optimisers, step, sheet=sheet, watch=watch, averaged=("painter",))
    budget = engine.Budget(config.steps, config.minutes, 20, 150, config.checkpoint_s, ema=0.995)
    final = cast(LayoutPainter, engine.fit(run, trainee, budget, config.seed, on_step)["painter"].cpu().float())
    about = {"architecture": "layout_painter", "config": asdict(inner)}
    checkpoint.save_weights(
        run.folder / "weights.safetensors", checkpoint.pack(final.state_dict(), config.storage), about
    )
    measured = held_errors(restored(run.folder / "weights.safetensors"), lesson, material)
    report = {
        **measured,
        "held_out_sha256": data.fingerprint(material.held.entries),
        "parameters": sum(p.numel() for p in final.parameters()),
    }
    write_atomically(run.folder / "result.json", json.dumps(report, indent=1).encode())
    return measured


def _step(
    config: Config, lesson: Lesson, painter: LayoutPainter, critic: Critic, batch: Batch, moment: engine.Moment
) -> Mapping[str, Tensor]:
    """One step of the critic and one of the painter, over the same paintings."""
    device_ = lesson.extractor.compute.device
    paired = len(batch.paintings)
    told = ((batch.numbers.to(device_) - painter.mean) / painter.deviation).float()
    made = lesson.paint(painter, batch, moment.generator)
    # The frozen network sees in squares of 2, 4 and 8 pixels. Were they always the same ones, what pleases them would
    # show as a lattice; so the window moves.
    room = min(SHIFT, made.shape[-1] // 4)
    top, left = torch.randint(room + 1, (2,), generator=moment.generator).tolist()
    window = (..., slice(top, made.shape[-2] - room + top), slice(left, made.shape[-1] - room + left))
    seen = lesson.extractor(made[window], JUDGED)
    with torch.no_grad():
        real = lesson.extractor(torch.cat([batch.paintings, batch.layouts[paired:]])[window], JUDGED)
    shown = {layer: maps.detach() for layer, maps in seen.items()}
    painted = {layer: maps[:paired] for layer, maps in real.items()}
    judged = layout_painter.critic_loss(critic(painted, told[:paired]), critic(shown, told))
    factor = cosine(moment.progress, floor=0.1)
    moment.backward(judged)
    moment.update("critic", factor)
    critic.requires_grad_(False)
    losses = lesson.kept(made, batch, seen, real)
    losses["adversary"] = config.adversary * layout_painter.painter_loss(critic(seen, told))
    moment.backward(torch.stack(list(losses.values())).sum())
    critic.requires_grad_(True)
    moment.update("painter", factor)
    return {**{name: value.detach() for name, value in losses.items()}, "critic": judged.detach()}


def _channels(extractor: Extractor) -> dict[str, int]:
    """How many channels each judged layer has."""
    with torch.no_grad():
        maps = extractor(torch.zeros(1, 3, 32, 32), JUDGED)
    return {layer: maps[layer].shape[1] for layer in JUDGED}


@torch.no_grad()
def held_errors(painter: LayoutPainter, lesson: Lesson, material: Material) -> dict[str, float]:
    """Errors of held-out paintings from their layouts: colour in [0, 1], features in mean activations."""
    twin = LayoutPainter(painter.config)
    twin.load_state_dict(painter.state_dict())
    twin = twin.to(lesson.extractor.compute.device, lesson.extractor.compute.dtype).eval()
    generator = seed.generator(0)
    sums: dict[str, float] = defaultdict(float)
    count = min(PROBES, len(material.held))
    for at in data.batches(range(count), 8):
        paintings = material.held.centre(at, lesson.config.size)
        numbers = torch.stack([material.numbers[material.held.entries[n].sha256] for n in at])
        plain = layouts.simplified(paintings, generator)
        batch = Batch(paintings, plain, layouts.lines(paintings), numbers)
        made = lesson.paint(twin, batch, generator)
        seen, real = (lesson.extractor(x, LAYERS) for x in (made, paintings))
        for name, value in lesson.kept(made, batch, seen, real).items():
            sums[name] += float(value) * len(at) / count
    return {f"error_{name}": value for name, value in sums.items()}


@torch.no_grad()
def contact_sheet(painter: LayoutPainter, material: Material, config: Config) -> Picture:
    """Pairs of layout and painting: held-out pictures above, drawn scenes below, always the same ones."""
    generator = seed.generator(0)
    twin = LayoutPainter(painter.config)
    twin.load_state_dict(painter.state_dict())
    twin = twin.float().cpu().eval()
    held = material.held.centre(range(min(6, len(material.held))), config.size)
    shown = list(torch.split(layouts.simplified(held, generator), 1))
    shown += [_scene(material.drawn, config.size, generator) for _ in range(6)]
    every = list(material.numbers.values())
    rows: list[Tensor] = []
    for number, layout in enumerate(shown):
        numbers = every[number * 37 % len(every)]
        lines = layouts.lines(layout) if number % 2 else None
        rows.append(torch.cat([layout, layout_painter.paint(twin, layout, lines, numbers, generator)], 2))
    half: Sequence[Tensor] = rows[:6] + [torch.ones_like(rows[0])] * (6 - min(6, len(rows)))
    return to_picture(torch.cat([torch.cat(list(half[:6]), 3), torch.cat(rows[-6:], 3)], 2))


def restored(path: Path) -> LayoutPainter:
    """The painter of a weights file, fp32."""
    tensors, about = checkpoint.load_weights(path)
    painter = LayoutPainter(layout_painter.Config(**about["config"]))
    painter.load_state_dict(checkpoint.unpack(tensors))
    return painter.eval()


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """Held-out errors of a finished run, from its saved weights."""
    config = Config(**{**run.config, **{k: tuple(run.config[k]) for k in ("widths", "blocks")}})
    extractor = shipped.backbone()
    material = load(root, config, extractor, lambda step: None)
    inner = layout_painter.Config(config.widths, config.blocks)
    return held_errors(restored(run.folder / "weights.safetensors"), Lesson(config, inner, extractor), material)


RECIPE = Recipe(
    name="sketch",
    purpose="A colour layout or a drawing turned into a painting in one pass",
    data="a folder with `paintings`, or collection=. for one folder of pictures with metadata.jsonl",
    config=Config,
    train=train,
    evaluate=evaluate,
)
