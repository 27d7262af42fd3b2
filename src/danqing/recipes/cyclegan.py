"""`cyclegan`: photos into paintings of several kinds and back, learned from two folders without pairs.

Data: a folder that holds both collections (`source`, `target`), each with metadata.jsonl where only some pictures, or
several kinds, are wanted. One generator serves all kinds and one leads back, see `techniques.cycle`: a CycleGAN for
each kind would triple the cost, and a kind of eight pictures could not carry a generator of its own.

Departures from Zhu et al. besides the technique's: what each kind has everywhere is asked for directly, and that a
picture goes on showing what it shows; what ships is a moving average of the generators; each kind of painting is drawn
as often as the others.

Budget: 45 min of one CPU core with bf16; the larger variant (width=64 blocks=9 size=256 crop=192) ≤ 25 min
on one data-centre GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from danqing.artwork.image import Picture
from danqing.artwork.request import OnStep
from danqing.compute import checkpoint, device
from danqing.compute import seed as seeds
from danqing.errors import BadRequest
from danqing.recipes import Recipe, shipped
from danqing.techniques import cycle
from danqing.training import data, engine, language, metrics, translation
from danqing.training.run import Run
from danqing.training.translation import Domain, Translator

SHIPPED = (
    "monet:artist=claude-monet|artist=MONET, Claude|artist=Клод Моне;"
    "ukiyo-e:style=ukiyo-e|style=shin-hanga;shanshui:style=shanshui"
)
JUDGES = ("features", "patches")
EXAMPLES = 192  # crops of each kind, of which it is found what the kind has everywhere
HELD = 64  # held-out pictures of a side that are measured; a look takes a quarter of them
ENOUGH = 4  # held-out paintings that a kind needs, to be measured against them


@dataclass(frozen=True)
class Config:
    """Settings of one training run."""

    source: str = "photos"  # folder of --data; "." is --data itself
    target: str = "paintings"  # folder of --data
    name: str = "photo"  # what the source's pictures are called
    only: str = ""  # which of the source's: NAME:KEY=VALUE|KEY=VALUE; empty takes all
    kinds: str = SHIPPED  # which of the target's, under which names: NAME:KEY=VALUE|…;NAME:…; empty takes all as one
    size: int = 128  # short side of the pictures, px
    crop: int = 96  # side of the squares of them that are trained on, px
    width: int = 32  # channels of the generators at full size
    blocks: int = 6  # residual blocks of the generators
    tint: float = 4.0  # px, over which the generators' change of colour is blurred, see `cycle.tinted`
    judges: str = "features"  # discriminators see through the frozen backbone (features) or learn to see (patches)
    judge: int = 32  # channels of the discriminators
    halvings: int = 2  # of discriminators that learn to see: 2 judges patches of 34 px, 3 of 70 px
    backbone: str = ""  # a weights file for judges=features; empty is the shipped backbone
    batch: int = 2  # pictures of each side
    cycle: float = 1.5  # weight of the cycle loss
    warmup: float = 0.1  # share of the run over which that weight grows from a tenth
    manner: float = 0.9  # weight of the distance from what each kind of pictures has everywhere, see `cycle.Manner`
    content: float = 1.0  # weight of the distance from what the original shows, in both directions
    identity: float = (
        0.0  # weight of the identity loss, as a share of the cycle's; above 0 a step takes half as long again
    )
    replay: int = 50  # older pictures that the discriminators are shown
    rate: float = 3e-4  # Adam's; falls in a straight line over the second half
    ema: float = 0.995  # decay of the averaged generators
    steps: int = 2200  # at most
    minutes: float = 60.0  # at most
    look_every: int = 250  # steps between sheets
    checkpoint_s: float = 120.0  # seconds between checkpoints
    storage: str = "int8"  # of the weights: float32, bfloat16 or int8
    seed: int = 23

    def __post_init__(self) -> None:
        if self.judges not in JUDGES:
            raise BadRequest(f"judges is {self.judges!r}; it is one of {', '.join(JUDGES)}")

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(
            source=".",
            target=".",
            only="photo:style=dark|style=dim",
            kinds="light:style=light;pale:style=pale",
            size=40,
            crop=32,
            width=4,
            blocks=1,
            judge=4,
            replay=2,
            steps=4,
            checkpoint_s=0,
        )


def domains(config: Config, root: Path) -> tuple[Domain, Domain]:
    """Both sides, read."""
    source = translation.domain(root / config.source, config.only, config.name, (config.size, config.crop))
    target = translation.domain(root / config.target, config.kinds, "painting", (config.size, config.crop))
    return source, target


def train(config: Config, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Train and save. Returns what `evaluate` returns."""
    source, target = domains(config, root)
    torch.manual_seed(config.seed)
    compute = translation.compute()
    count = len(target.names)
    networks = {
        "forth": cycle.Generator(
            cycle.Config(width=config.width, blocks=config.blocks, targets=count, tint=config.tint)
        ),
        "back": cycle.Generator(cycle.Config(width=config.width, blocks=config.blocks, tint=config.tint)),
        "judge_target": _judge(config, count),
        "judge_source": _judge(config, 1),
    }
    nets = {name: engine.cast(net, compute) for name, net in networks.items()}
    shape = (3, config.crop, config.crop)
    replays = {f"replay_{side}": cycle.Replay(config.replay, shape) for side in ("target", "source")}
    nets |= replays
    optimisers = {
        name: torch.optim.Adam([p for n in parts for p in nets[n].parameters()], lr=config.rate, betas=(0.5, 0.999))
        for name, parts in (("generators", ("forth", "back")), ("judges", ("judge_target", "judge_source")))
    }

    manner = _manner(config, target)

    def step(moment: engine.Moment) -> Mapping[str, Tensor]:
        return _step(config, nets, manner, compute, source, target, moment)

    photos, paintings = (_held(side, HELD // 4) for side in (source, target))

    def watch(own: dict[str, nn.Module]) -> Mapping[str, float]:
        translator = _translator(own, source, target, config)
        made, kinds = _made(translator, photos)
        with torch.no_grad():
            scores = [
                own["judge_target"](compute.tensor(x), k.to(compute.device)).float().mean(dim=(1, 2))
                for x, k in ((paintings, target.held.classes(range(len(paintings)))), (made, kinds))
            ]
        return {
            "accuracy_real": float((scores[0] > 0.5).float().mean()),
            "accuracy_made": float((scores[1] < 0.5).float().mean()),
            "diversity": metrics.diversity(made),
            "diversity_real": metrics.diversity(paintings),
            "sliced_wasserstein": metrics.sliced_wasserstein(made, paintings),
        }

    def look(own: dict[str, nn.Module]) -> Picture:
        return _sheet(_translator(own, source, target, config), photos[:8], paintings[:8])

    trainee = engine.Trainee(nets, dict(optimisers), step, sheet=look, watch=watch, averaged=("forth", "back"))
    budget = engine.Budget(config.steps, config.minutes, 20, config.look_every, config.checkpoint_s, config.ema)
    final = engine.fit(run, trainee, budget, config.seed, on_step)
    translator = _translator(final, source, target, config)
    translation.save(run.folder / "weights.safetensors", translator, config.storage)
    measured = evaluate(run, root)
    language.report(
        run,
        measured,
        held_out_sha256={side.names[0]: data.fingerprint(side.held.pixels.entries) for side in (source, target)},
        training_pictures={n: side.training.numbers.count(i) for side in (source, target)
                           for i, n in enumerate(side.names)},
        parameters=sum(p.numel() for n in ("forth", "back") for p in final[n].parameters()),
    )  # fmt: skip
    return measured


def _judge(config: Config, targets: int) -> nn.Module:
    if config.judges == "features":
        return cycle.FeatureDiscriminator(shipped.backbone(config.backbone), config.judge, targets)
    return cycle.Discriminator(config.judge, config.halvings, targets)


def _manner(config: Config, target: Domain) -> cycle.Manner:
    """Of the target's kinds. What photos have everywhere is what they show: they have none."""
    crops, kinds = target.draw(EXAMPLES * len(target.names), seeds.generator(config.seed))
    examples = [crops[kinds == number] for number in range(len(target.names))]
    return cycle.Manner(shipped.backbone(config.backbone), examples)


def _translator(nets: Mapping[str, nn.Module], source: Domain, target: Domain, config: Config) -> Translator:
    forth, back = (cast(cycle.Generator, nets[n]).eval() for n in ("forth", "back"))
    return Translator(forth, back, target.names, source.names[0], config.size)


def _held(side: Domain, count: int) -> Tensor:
    """Held-out pictures, always the same: (B, 3, S, S) in [-1, 1]."""
    return side.held.centre(range(min(count, len(side.held))))


def _made(translator: Translator, photos: Tensor) -> tuple[Tensor, Tensor]:
    """The photos as each kind of painting in turn, and which: (B, 3, S, S) in [-1, 1] on the CPU, (B,) int64."""
    kinds = torch.arange(len(photos)) % len(translator.targets)
    made = torch.empty_like(photos)
    for number, name in enumerate(translator.targets):
        if (kinds == number).any():
            made[kinds == number] = translator.translate(photos[kinds == number], name).cpu()
    return made, kinds


def _sheet(translator: Translator, photos: Tensor, paintings: Tensor) -> Picture:
    """Photos, the photos as each kind and back again from it; then paintings and the paintings as photos."""
    count = min(len(photos), len(paintings))
    photos, paintings = photos[:count], paintings[:count]
    rows = [photos, *(translator.translate(photos, name).cpu() for name in translator.targets)]
    rows.append(translator.translate(rows[-1], translator.source).cpu())
    rows += [paintings, translator.translate(paintings, translator.source).cpu()]
    return translation.sheet(rows)


def _step(
    config: Config,
    nets: Mapping[str, nn.Module],
    manner: cycle.Manner,
    compute: device.Compute,
    source: Domain,
    target: Domain,
    moment: engine.Moment,
) -> Mapping[str, Tensor]:
    """Both generators, then both discriminators."""
    count = config.batch
    photos = compute.tensor(source.draw(count, moment.generator)[0])
    paintings, kinds = target.draw(count, moment.generator)
    paintings, kinds = compute.tensor(paintings), kinds.to(compute.device)
    forth, back, judge_target, judge_source = (nets[n] for n in ("forth", "back", "judge_target", "judge_source"))
    factor = max(0.02, min(1.0, 2 * (1 - moment.progress)))

    for judge in (judge_target, judge_source):
        judge.requires_grad_(False)  # they judge here and do not learn
    passes = 1 + (config.identity > 0)
    # What is to be translated and what is to stay as it is go through a generator together.
    as_painting, *same_painting = forth(torch.cat([photos, paintings][:passes]), kinds.repeat(passes)).split(count)
    as_photo, *same_photo = back(torch.cat([paintings, photos][:passes])).split(count)
    fooled = cycle.fooled(judge_target(as_painting, kinds)) + cycle.fooled(judge_source(as_photo))
    again = cycle.returned(back(as_painting), photos) + cycle.returned(forth(as_photo, kinds), paintings)
    same = again.new_zeros(())
    if passes > 1:
        same = cycle.returned(same_painting[0], paintings) + cycle.returned(same_photo[0], photos)
    # In full from the start it would press the change to the pictures to 0 before the discriminators know anything, and
    # ReLUs that died over this do not come back (seen after 100 steps).
    weight = config.cycle * min(1.0, 0.1 + 0.9 * moment.progress / max(config.warmup, 1e-9))
    apart = manner(as_painting, kinds)
    content = manner.content(as_painting, photos) + manner.content(as_photo, paintings)
    perceived = config.manner * apart + config.content * content
    moment.backward(fooled + perceived + weight * (again + config.identity * same))
    slopes = {"generator": torch.stack([translation.gradient_norm(n) for n in (forth, back)]).norm()}
    moment.update("generators", factor)

    for judge in (judge_target, judge_source):
        judge.requires_grad_(True)
    shown, of_kind = cast(cycle.Replay, nets["replay_target"]).exchange(as_painting, kinds, moment.generator)
    old, _ = cast(cycle.Replay, nets["replay_source"]).exchange(as_photo, torch.zeros_like(kinds), moment.generator)
    judged = cycle.judged(judge_target(paintings, kinds), judge_target(shown, of_kind))
    judged = judged + cycle.judged(judge_source(photos), judge_source(old))
    moment.backward(judged)
    slopes["discriminator"] = torch.stack([translation.gradient_norm(n) for n in (judge_target, judge_source)]).norm()
    moment.update("judges", factor)
    return {
        "loss_generator": fooled.detach(),
        "loss_discriminator": judged.detach(),
        "loss_cycle": again.detach(),
        "loss_identity": same.detach(),
        "loss_manner": apart.detach(),
        "loss_content": content.detach(),
        **{f"gradient_{name}": value for name, value in slopes.items()},
    }


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """The saved generators on held-out pictures.

    cycle_error, identity_error: mean absolute differences in [0, 2]. sliced_wasserstein: of the translated photos to
    held-out paintings, per kind; *_control: of the photos as they are. A kind with fewer than four held-out paintings
    is measured against those it was trained on, and its figures end in _trained.
    """
    config = Config(**run.config)
    source, target = domains(config, root)
    translator = translation.restore(*checkpoint.load_weights(run.folder / "weights.safetensors"))
    photos, paintings = _held(source, HELD), _held(target, HELD)
    back = translator.translate(paintings, translator.source)
    kinds = target.held.classes(range(len(paintings)))
    found: dict[str, list[float]] = {"cycle": [], "identity": [], "distance": [], "control": []}
    figures: dict[str, float] = {}
    for number, name in enumerate(target.names):
        made = translator.translate(photos, name)
        found["cycle"].append(float(cycle.apart(translator.translate(made, translator.source), photos)))
        own = kinds == number
        if own.any():
            found["cycle"].append(float(cycle.apart(translator.translate(back[own], name), paintings[own])))
            found["identity"].append(float(cycle.apart(translator.translate(paintings[own], name), paintings[own])))
        seen = target.held if target.held.numbers.count(number) >= ENOUGH else target.training
        real = seen.centre([i for i, k in enumerate(seen.numbers) if k == number][:HELD])
        suffix = name if seen is target.held else f"{name}_trained"
        for key, pictures in (("distance", made), ("control", photos)):
            found[key].append(metrics.sliced_wasserstein(pictures, real))
        figures[f"sliced_wasserstein_{suffix}"] = found["distance"][-1]
        figures[f"sliced_wasserstein_{suffix}_control"] = found["control"][-1]
    found["identity"].append(float(cycle.apart(translator.translate(photos, translator.source), photos)))
    means = {key: sum(values) / len(values) for key, values in found.items()}
    return {
        "cycle_error": means["cycle"],
        "identity_error": means["identity"],
        "sliced_wasserstein": means["distance"],
        "sliced_wasserstein_control": means["control"],
        "sliced_wasserstein_photo": metrics.sliced_wasserstein(back, photos),
        "sliced_wasserstein_photo_control": metrics.sliced_wasserstein(paintings, photos),
        **figures,
    }


RECIPE = Recipe(
    name="cyclegan",
    purpose="Photos into paintings of several kinds and back, learned without pairs (CycleGAN)",
    data="a folder with the folders `photos` and `paintings`, or source= and target= for others",
    config=Config,
    train=train,
    evaluate=evaluate,
)
