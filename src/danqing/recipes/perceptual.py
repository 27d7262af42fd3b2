"""`perceptual`: our own backbone, trained to tell objects, styles and painters apart, all at once.

`objective=contrast` learns without labels instead, two crops of one picture from the crops of all others (Chen et al.
2020, "A Simple Framework for Contrastive Learning of Visual Representations", at the scale of one core: 32 pictures a
step); `both` adds the two losses. Which serves style transfer was measured: docs/decisions/0005-backbone.md.

Data: a folder with metadata.jsonl, or a folder of such folders (`collections` names the ones to use). If labels are
asked for, every text label of metadata.jsonl that has enough classes becomes a classification head. The shipped one
learns from objects (CC BY 4.0) and paintings (public domain) only: the photographs' licence is not stated upstream, and
one picture of them would move the backbone, and all that is built on it, from the `open` to the `research` tier.

Budget: ≤ 2.5 h on 2 CPU cores at 112 px; the larger variant (size=160 steps=60000 batch=256)
≤ 25 min on one data-centre GPU.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danqing.artwork.request import OnStep
from danqing.compute import checkpoint, device, seed
from danqing.errors import BadRequest
from danqing.recipes import Recipe
from danqing.techniques import backbone
from danqing.training import data, engine
from danqing.training.metrics import cosine
from danqing.training.run import Run, write_atomically

OBJECTIVES = ("labels", "contrast", "both")
PROJECTION = "projection"  # the head whose numbers the contrast compares


@dataclass(frozen=True)
class Config:
    """Settings of one training run."""

    collections: str = "objects,paintings"  # folders of --data, comma separated; "." is --data itself
    labels: str = "label,style,artist"  # keys of metadata.jsonl that are learned where a collection has them
    least: int = 8  # training pictures that a class must have to be one
    objective: str = "labels"  # "labels" (classes), "contrast" (two crops of one picture, no labels) or "both"
    temperature: float = 0.2  # of the contrast; lower looks harder at the most similar other pictures
    embedding: int = 128  # numbers that describe a crop in the contrast
    blocks: tuple[tuple[int, int], ...] = backbone.Config.blocks  # channels x convolutions, shallow to deep
    size: int = 112  # side of the training crops, px
    batch: int = 64  # crops a step, shared out over the collections
    steps: int = 6000  # at most
    minutes: float = 150.0  # at most
    checkpoint_s: float = 120.0  # seconds between checkpoints
    rate: float = 2e-3  # AdamW's peak learning rate
    decay: float = 0.05  # weight decay
    smoothing: float = 0.1  # of the labels
    seed: int = 7  # the same seed gives the same weights on the same machine

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise BadRequest(f"objective is '{self.objective}'; it is one of {', '.join(OBJECTIVES)}")

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(
            collections=".",
            objective="both",
            least=2,
            blocks=((8, 1), (16, 1)),
            size=32,
            batch=8,
            steps=4,
            checkpoint_s=0,
        )


@dataclass
class Collection:
    """One folder's pictures in memory and their labels as class numbers."""

    name: str
    train: data.Pixels
    held: data.Pixels
    classes: dict[str, list[str]]  # head → class names

    def targets(self, pixels: data.Pixels, numbers: Sequence[int]) -> dict[str, Tensor]:
        """{head: (B,) int64 class numbers}; -1 where a picture has no such label, which the loss leaves out."""
        found = {}
        for head, names in self.classes.items():
            place = {name: i for i, name in enumerate(names)}
            key = head.rpartition("-")[2]
            values = [place.get(str(pixels.entries[n].labels.get(key)), -1) for n in numbers]
            found[head] = torch.tensor(values)
        return found


def collect(root: Path, config: Config) -> list[Collection]:
    """Read the collections. Classes with fewer than `least` training pictures are left out of their head."""
    found = []
    for name in config.collections.split(","):
        train, held = data.split(data.index(root / name))
        if not train or not held:
            raise BadRequest(f"{root / name} has too few pictures to hold some back; it needs about 40 or more")
        classes = {}
        for key in config.labels.split(","):
            counts = Counter(str(e.labels[key]) for e in train if isinstance(e.labels.get(key), str))
            kept = sorted(c for c, n in counts.items() if n >= config.least and c != "unknown")
            if len(kept) > 1:
                head = f"{name}-{key}" if name != "." else key  # names a module, so it holds no dot
                classes[head] = kept
        side = config.size * 2
        found.append(Collection(name, data.Pixels(train, side), data.Pixels(held, side), classes))
    if config.objective != "contrast" and not any(c.classes for c in found):
        raise BadRequest(f"{root} has no labels to learn: metadata.jsonl needs one of {config.labels}")
    return found


def jitter(x: Tensor, generator: torch.Generator) -> Tensor:
    """Brightness, contrast and saturation changed a little, a tenth turned grey. x (B, 3, H, W) in [0, 1]."""
    draw = torch.rand(4, len(x), 1, 1, 1, generator=generator)
    grey = x.mean(dim=1, keepdim=True)
    saturation = (0.6 + 0.8 * draw[0]) * (draw[3] > 0.1)
    x = grey + (x - grey) * saturation
    middle = x.mean(dim=(1, 2, 3), keepdim=True)
    x = middle + (x - middle) * (0.7 + 0.6 * draw[1])
    return (x * (0.7 + 0.6 * draw[2])).clamp_(0, 1)


def contrast(embeddings: Tensor, temperature: float) -> Tensor:
    """NT-Xent (Chen et al. 2020): each crop has to find the other crop of its picture among all crops of the step.

    embeddings (2N, D) float32, rows i and i + N from one picture; returns a scalar.
    """
    unit = F.normalize(embeddings, dim=1)
    likeness = unit @ unit.T / temperature  # (2N, 2N)
    likeness.fill_diagonal_(float("-inf"))  # a crop is not its own partner
    half = len(unit) // 2
    partner = torch.arange(2 * half, device=unit.device).roll(half)
    return F.cross_entropy(likeness, partner)


def shares(total: int, count: int) -> list[int]:
    """`total` crops shared out over `count` collections, the first ones getting the remainder."""
    return [total // count + (i < total % count) for i in range(count)]


def partners(net: backbone.Backbone, pictures: data.Pixels, numbers: Sequence[int], size: int) -> Tensor:
    """Whether each picture's first crop finds its second one among those of all the others. (B,) bool."""
    generator = seed.generator(0)
    device_ = next(net.parameters()).device
    crops = [pictures.batch(numbers, size, (0.35, 1.0), generator) for _ in range(2)]
    first, second = (F.normalize(net.classify(x.to(device_))[PROJECTION], dim=1) for x in crops)
    return (first @ second.T).argmax(dim=1).cpu() == torch.arange(len(first))


def accuracy(net: backbone.Backbone, collections: Sequence[Collection], size: int) -> dict[str, float]:
    """Share of held-out pictures whose class is right on centre crops, per head; of those found again, for contrast."""
    right: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    compute = device.choose()
    with torch.no_grad():
        for collection in collections:
            for numbers in data.batches(range(len(collection.held)), 64):
                x = collection.held.centre(numbers, size).to(compute.device)
                logits = net.classify(x)
                for head, target in collection.targets(collection.held, numbers).items():
                    if head in logits:
                        known = target >= 0
                        right[head] += int((logits[head].argmax(1).cpu() == target)[known].sum())
                        seen[head] += int(known.sum())
                if PROJECTION in logits:
                    right[PROJECTION] += int(partners(net, collection.held, numbers, size).sum())
                    seen[PROJECTION] += len(numbers)
    return {f"accuracy_{head}": right[head] / max(1, seen[head]) for head in seen}


def train(config: Config, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Train, fold, equalise, save. Returns held-out accuracies."""
    collections = collect(root, config)
    heads = {head: len(names) for c in collections for head, names in c.classes.items()}
    if config.objective == "contrast":
        heads = {}
    if config.objective != "labels":
        heads[PROJECTION] = config.embedding
    torch.manual_seed(config.seed)
    net = backbone.Backbone(backbone.Config(blocks=config.blocks, heads=heads), norm=True)
    compute = device.choose()
    engine.cast(net, compute)
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.rate, weight_decay=config.decay, fused=False)
    views = 1 if config.objective == "labels" else 2  # crops a picture
    counts = shares(config.batch // views, len(collections))

    def draw(step: int) -> tuple[Tensor, list[dict[str, Tensor]]]:
        """The step's crops (all first views, then all second ones) and their classes, per collection."""
        generator = seed.generator(config.seed, stream=10_000_000 + step)
        order = [data.draw_order(len(c.train), n, step, config.seed) for c, n in zip(collections, counts, strict=True)]
        crops = [
            collection.train.batch(numbers, config.size, (0.35, 1.0), generator)
            for _ in range(views)
            for collection, numbers in zip(collections, order, strict=True)
        ]
        targets = [c.targets(c.train, numbers) for c, numbers in zip(collections, order, strict=True)]
        return jitter(torch.cat(crops), generator), targets

    ahead: data.Prefetch[tuple[Tensor, list[dict[str, Tensor]]]] | None = None

    def step(moment: engine.Moment) -> Mapping[str, Tensor]:
        nonlocal ahead
        ahead = ahead or data.Prefetch(draw, moment.index)
        pictures, targets = ahead.get(moment.index)
        logits = net.classify(compute.tensor(pictures))
        losses: dict[str, Tensor] = {}
        if PROJECTION in logits:
            losses["contrast"] = contrast(logits.pop(PROJECTION), config.temperature)
        start = 0
        for count, wanted in zip(counts, targets, strict=True):
            for head in [h for h in wanted if h in logits]:
                target = wanted[head]
                if (target >= 0).any():
                    losses[head] = F.cross_entropy(
                        logits[head][start : start + count],
                        target.to(compute.device),
                        ignore_index=-1,
                        label_smoothing=config.smoothing,
                    )
            start += count
        moment.backward(torch.stack(list(losses.values())).sum())
        moment.update("net", cosine(moment.progress, warmup=0.03))
        return {f"loss_{head}": loss.detach() for head, loss in losses.items()}

    def watch(nets: dict[str, nn.Module]) -> Mapping[str, float]:
        averaged = nets["net"]
        assert isinstance(averaged, backbone.Backbone)
        return accuracy(averaged, collections, config.size)

    trainee = engine.Trainee({"net": net}, {"net": optimiser}, step, watch=watch, averaged=("net",))
    budget = engine.Budget(config.steps, config.minutes, sheet_every=500, checkpoint_every_s=config.checkpoint_s)
    final = engine.fit(run, trainee, budget, config.seed, on_step)["net"]
    assert isinstance(final, backbone.Backbone)
    result = accuracy(final, collections, config.size)
    ship(final.cpu(), collections, run, result)
    return result


def ship(net: backbone.Backbone, collections: Sequence[Collection], run: Run, result: Mapping[str, float]) -> None:
    """Write what is shipped: the folded, equalised network in bf16, and beside it the heads as they were trained."""
    sample = torch.cat([c.train.centre(range(min(96, len(c.train))), 128) for c in collections])
    folded = backbone.equalise(backbone.fold(net), sample)
    config = {k: v for k, v in asdict(folded.config).items() if k != "heads"}
    tensors = {k: v.bfloat16() for k, v in folded.state_dict().items()}
    checkpoint.save_weights(run.folder / "weights.safetensors", tensors, {"architecture": "backbone", "config": config})
    classes = {head: names for c in collections for head, names in c.classes.items()}
    checkpoint.save_weights(
        run.folder / "classifier.safetensors",
        {k: v.contiguous() for k, v in net.state_dict().items()},
        {"architecture": "backbone", "config": asdict(net.config), "classes": classes},
    )
    held = data.fingerprint([e for c in collections for e in c.held.entries])
    report = {**result, "held_out_sha256": held, "parameters": sum(p.numel() for p in folded.parameters())}
    write_atomically(run.folder / "result.json", json.dumps(report, indent=1).encode())


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """Held-out accuracies of a finished run, from its saved classifier."""
    tensors, about = checkpoint.load_weights(run.folder / "classifier.safetensors")
    config = Config(**{**run.config, "blocks": tuple(tuple(b) for b in run.config["blocks"])})
    net = backbone.Backbone(backbone.Config(**about["config"]), norm=True)
    net.load_state_dict(tensors)
    return accuracy(net.eval(), collect(root, config), config.size)


RECIPE = Recipe(
    name="perceptual",
    purpose="The backbone that style transfer, textures, evaluation and likeness see pictures through",
    data="a folder of labelled pictures with metadata.jsonl, or a folder of such folders",
    config=Config,
    train=train,
    evaluate=evaluate,
)
