"""What is done with any recipe or its result: a generator is judged, settings are searched, networks are exported."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from danqing import recipes
from danqing.artwork import image
from danqing.artwork.request import OnStep, Step
from danqing.catalog import catalog
from danqing.compute import checkpoint
from danqing.errors import BadRequest
from danqing.recipes import shipped
from danqing.techniques.backbone import Backbone
from danqing.techniques.backbone import Config as BackboneConfig
from danqing.training import exporting, generators, image_metrics, nearness, pictures, stability, tuning
from danqing.training.run import Run, write_atomically

if TYPE_CHECKING:
    from torch import Tensor

SHEET = 8  # pictures a row
WATCHED = ("sliced_wasserstein", "loss", "loss_generator")  # by which trials are pruned where the metric is not logged


@dataclass(frozen=True)
class Judged:
    """A generator's figures, and where its sheets are."""

    evaluation: image_metrics.Evaluation
    warnings: tuple[stability.Warning, ...]
    files: tuple[Path, ...]


def weights(what: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a finished run's folder, a weights file or a model of the catalog."""
    path = Path(what)
    if path.is_dir():
        Run.at(path)
        if not (path / "weights.safetensors").exists():
            raise BadRequest(f"{path} is not finished: it has no weights yet. Go on with it: danqing train --resume")
        path = path / "weights.safetensors"
    return checkpoint.load_weights(path) if path.is_file() else catalog.weights(what)


def is_generator(about: Mapping[str, Any]) -> bool:
    """Whether a weights file's header is of something that paints from latents."""
    return about.get("architecture") in generators.ARCHITECTURES


def judge(what: str, root: Path, count: int, output: Path | None, on_step: OnStep) -> Judged | None:
    """Measure a generator on the held-out part of a collection; None where `what` is no generator.

    Writes samples.png, nearest.png (the made pictures nearest to training pictures) and evaluation.json to `output`,
    to `evaluation/` in a run's own folder unless given, and nowhere for a model without one.
    """
    tensors, about = weights(what)
    if not is_generator(about):
        return None
    if count < 16:
        raise BadRequest(f"count is {count}; 16 pictures or more are measured, 1000 by usage")
    sampler = generators.restore(tensors, about)
    run = Run.at(Path(what)) if Path(what).is_dir() else None
    only = str(run.config.get("only", "")) if run else ""
    collection = pictures.load(root, sampler.size, only=only)
    reference = image_metrics.Reference.of(collection, shipped.space(), count, on_step=on_step)
    made = generators.samples(sampler, count, seed=0)
    found = image_metrics.measure(made, reference, on_step)
    folder = output or (run.folder / "evaluation" if run else None)
    files = _written(folder, found, made, reference) if folder else ()
    return Judged(found, tuple(stability.warnings(run.metrics())) if run else (), files)


def _written(
    folder: Path, found: image_metrics.Evaluation, made: Tensor, reference: image_metrics.Reference
) -> tuple[Path, ...]:
    samples, nearest, figures = (folder / n for n in ("samples.png", "nearest.png", "evaluation.json"))
    folder.mkdir(parents=True, exist_ok=True)
    image.write(nearness.grid(made[: SHEET * SHEET], SHEET), samples, force=True)
    pairs = nearness.sheet(found.copies, made, reference.training, reference.held)
    image.write(pairs, nearest, force=True)
    about = {"space": found.space, "sha256": found.sha256, "counts": found.counts, "measured": found.flat()}
    write_atomically(figures, json.dumps(about, indent=1).encode())
    return samples, nearest, figures


def export(what: str, path: Path) -> exporting.Exported:
    """Write a generator or a backbone as ONNX. Raises BadRequest for a model that is neither."""
    tensors, about = weights(what)
    if is_generator(about):
        return exporting.export_sampler(generators.restore(tensors, about), path)
    if about.get("architecture") == "backbone":
        net = Backbone(BackboneConfig(**about["config"]))
        net.load_state_dict(checkpoint.unpack(tensors))
        return exporting.export_backbone(net, path)
    raise BadRequest(
        f"{what} is a {about.get('architecture', 'model')}; ONNX is written of generators and the backbone"
    )


def tune(
    name: str, root: Path, file: Path, given: Mapping[str, str], trials: int, metric: str, on_step: OnStep
) -> tuning.Study:
    """Search settings of a recipe. given: KEY → LOW..HIGH or a,b,c (searched) or one value (fixed)."""
    recipe = recipes.get(name)
    space = {key: found for key, text in given.items() if (found := tuning.parse(key, text))}
    fixed = {key: text for key, text in given.items() if key not in space}
    base = recipes.configure(recipe, fixed)
    for key, text in tuning.default_space(base).items() if not space else ():
        if key not in fixed and (found := tuning.parse(key, text)):
            space[key] = found
    for key, part in space.items():  # a misspelt setting or value is refused before anything is trained
        for text in part.words or ((str(int(part.low)) if part.whole else str(part.low)),):
            recipes.configure(recipe, {**fixed, key: text})
    done = 0

    def objective(settings: Mapping[str, str], folder: Path, look: Callable[[int, float], None]) -> Mapping[str, float]:
        nonlocal done
        config = recipes.configure(recipe, {**fixed, **settings})
        run = Run.open(folder, name, dataclasses.asdict(config), True, seed=config.seed, data=str(root))
        seen = 0

        def step(now: Step) -> None:
            nonlocal seen
            on_step(dataclasses.replace(now, stage=f"trial {done + 1} of {trials}: {now.stage}"))
            rows = [row for row in run.metrics() if any(k.startswith("held_") for k in row)]
            for row in rows[seen:]:
                names = [f"held_{k}" for k in (metric, *WATCHED) if f"held_{k}" in row]
                if names:
                    look(int(row["step"]), row[names[0]])
            seen = len(rows)

        measured = recipe.train(config, root, run, step)
        done += 1
        if metric not in measured and (judged := judge(str(folder), root, 1000, None, on_step)):
            return judged.evaluation.flat()
        return measured

    return tuning.search(file, name, space, metric, trials, objective)
