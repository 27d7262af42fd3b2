"""The verbs of one's own models: train, tune, evaluate, export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from danqing.arts import Flag
from danqing.errors import BadRequest
from danqing.interfaces._flags import settings
from danqing.interfaces._verbs import Voice, table, verb

if TYPE_CHECKING:
    from danqing.recipes import Recipe
    from danqing.recipes.laboratory import Judged


def register() -> None:
    """Add these verbs to the command line."""
    verb("train", Train, help="Train a model by its recipe on one's own collection.")(train)
    verb("tune", Tune, help="Search good settings of a recipe by training it many times; goes on where it stopped.")(
        tune
    )
    verb("evaluate", Evaluate, help="Measure a training run or a generator on held-out data, or an art.")(evaluate)
    verb("export", Export, help="Write a trained generator or the backbone as ONNX, checked against PyTorch.")(export)


@dataclass(frozen=True)
class Train:
    """What to train, on what."""

    recipe: Annotated[str, Flag("which model: perceptual, fast, styles", "RECIPE", argument=True)]
    settings: Annotated[
        tuple[str, ...],
        Flag("settings of the recipe: steps=500 size=96 (list: --settings)", "[KEY=VALUE]…", argument=True),
    ] = ()
    data: Annotated[Path | None, Flag("the folder of works to learn from; with --resume, as the run has it", "DIR")] = (
        None
    )
    run: Annotated[Path | None, Flag("the folder of this run; runs/RECIPE unless given", "DIR")] = None
    resume: Annotated[bool, Flag("go on from the run's last checkpoint")] = False
    list: Annotated[bool, Flag("list the recipe's settings and what each is for", name="--settings")] = False
    dry_run: Annotated[bool, Flag("say how large, how costly and how long it would be, and train nothing")] = False


def train(voice: Voice, asked: Train) -> None:
    """Train; Ctrl-C ends the step at hand, saves a checkpoint and stops."""
    from danqing import recipes, studio
    from danqing.interfaces._progress import Watch, stopped_between_steps

    recipe = recipes.get(asked.recipe)
    if asked.list:
        _list_settings(voice, recipe)
        return
    if asked.data is None and (asked.dry_run or not asked.resume):
        raise BadRequest(f"no --data was given; {recipe.name} takes {recipe.data}")
    chosen = settings(asked.settings, "setting", "steps=500")
    if asked.dry_run:
        _dry_run(voice, asked, chosen)
        return
    folder = asked.run or Path("runs") / asked.recipe
    watching = not (voice.common.quiet or voice.common.json)
    with Watch(voice.err, bar=watching, quiet=voice.common.quiet) as on_step, stopped_between_steps(on_step) as steps:
        measured = studio.train(asked.recipe, asked.data, folder, chosen, resume=asked.resume, on_step=steps)
    _measured(voice, folder, measured)


def _list_settings(voice: Voice, recipe: Recipe) -> None:
    from danqing import recipes

    defaults = recipe.config()
    rows = [(name, recipes.shown(getattr(defaults, name)), use) for name, use in recipes.meanings(recipe).items()]
    settings = {name: {"default": default, "meaning": use} for name, default, use in rows}
    about = {"recipe": recipe.name, "purpose": recipe.purpose, "data": recipe.data, "settings": settings}
    voice.result(about, lambda: table(voice, ("setting", "default", "what it is for"), rows))


def _dry_run(voice: Voice, asked: Train, chosen: Mapping[str, str]) -> None:
    from danqing import studio

    assert asked.data is not None
    estimate = studio.estimate(asked.recipe, asked.data, chosen)

    def show() -> None:
        rows = [(f"parameters of {name}", f"{count:,}") for name, count in estimate.parameters.items()]
        rows += [
            ("floating-point operations a step", f"{estimate.flops:.3g}"),
            ("seconds a step", f"{estimate.seconds_a_step:.3g}"),
            ("memory", f"{estimate.memory_bytes / 2**20:,.0f} MiB"),
            ("computing on", estimate.device),
            ("steps", f"{estimate.steps:,} at most {estimate.minutes:g} minutes"),
            ("expected", f"{estimate.expected_steps:,} steps in {estimate.expected_minutes:.1f} minutes"),
        ]
        table(voice, ("what", "how much"), rows)

    voice.result({"recipe": asked.recipe, **estimate.as_dict()}, show)


@dataclass(frozen=True)
class Tune:
    """What to search, and how long."""

    recipe: Annotated[str, Flag("which model", "RECIPE", argument=True)]
    settings: Annotated[
        tuple[str, ...],
        Flag(
            "what is searched: rate=1e-4..1e-2 batch=16,32,64; what is fixed: steps=500", "[KEY=RANGE]…", argument=True
        ),
    ] = ()
    trials: Annotated[int, Flag("how many trainings the study has in all", "N")] = 20
    data: Annotated[Path | None, Flag("the folder of works to learn from", "DIR")] = None
    study: Annotated[Path | None, Flag("the study's file; runs/tune-RECIPE.db unless given", "FILE")] = None
    metric: Annotated[str, Flag("the figure that is to be best: kid, frechet, precision…", "NAME")] = "kid"


def tune(voice: Voice, asked: Tune) -> None:
    """Search."""
    from danqing import recipes, studio
    from danqing.interfaces._progress import Watch, stopped_between_steps

    recipe = recipes.get(asked.recipe)
    if asked.data is None:
        raise BadRequest(f"no --data was given; {recipe.name} takes {recipe.data}")
    file = asked.study or Path("runs") / f"tune-{asked.recipe}.db"
    watching = not (voice.common.quiet or voice.common.json)
    with Watch(voice.err, bar=watching, quiet=voice.common.quiet) as on_step, stopped_between_steps(on_step) as steps:
        found = studio.tune(
            asked.recipe,
            asked.data,
            file,
            settings(asked.settings, "setting", "rate=1e-4..1e-2"),
            asked.trials,
            asked.metric,
            on_step=steps,
        )

    def show() -> None:
        keys = sorted({key for trial in found.trials for key in trial.settings})
        heads = ("trial", "state", asked.metric, *keys)
        rows = [
            (
                str(trial.number),
                trial.state,
                "" if trial.value is None else f"{trial.value:.4g}",
                *(trial.settings.get(key, "") for key in keys),
            )
            for trial in found.trials
        ]
        table(voice, heads, rows)
        if found.best is not None:
            words = " ".join(f"{key}={value}" for key, value in found.best.settings.items())
            voice.say(f"best: danqing train {asked.recipe} {words} --data {asked.data}")

    best = vars(found.best) if found.best else None
    voice.result({"study": str(file), "best": best, "trials": [vars(trial) for trial in found.trials]}, show)


@dataclass(frozen=True)
class Evaluate:
    """What to measure."""

    what: Annotated[str, Flag("a run's folder, a generator's name or file, or an art: stylize", "RUN|MODEL|ART",
                              argument=True)]  # fmt: skip
    data: Annotated[Path | None, Flag("the folder of works whose held-out part is used", "DIR")] = None
    count: Annotated[int, Flag("how many pictures a generator makes to be measured", "N")] = 1000
    photos: Annotated[tuple[Path, ...], Flag("photos to measure stylize on; repeat", "FILE", "--photo")] = ()
    styles: Annotated[tuple[str, ...], Flag("styles to measure stylize with; repeat", "NAME|FILE", "--style")] = ()
    size: Annotated[int, Flag("longer side of stylize's results, px", "N")] = 384
    output: Annotated[
        Path | None, Flag("where to save stylize's contact sheet, or a generator's folder", "FILE", "-o,--output")
    ] = None
    force: Annotated[bool, Flag("replace a file that is there already")] = False


def evaluate(voice: Voice, asked: Evaluate) -> None:
    """Measure."""
    from danqing import studio
    from danqing.interfaces._progress import Watch

    if asked.what == "stylize":
        _evaluate_stylize(voice, asked)
        return
    if asked.data is None:
        raise BadRequest("no --data was given; a run is measured on the held-out part of the data it was trained on")
    watching = not (voice.common.quiet or voice.common.json)
    with Watch(voice.err, bar=watching, quiet=voice.common.quiet) as on_step:
        judged = studio.judge(asked.what, asked.data, asked.count, output=asked.output, on_step=on_step)
    if judged is None:
        _measured(voice, Path(asked.what), studio.evaluate(asked.what, asked.data))
        return
    _judged(voice, asked.what, judged)


def _judged(voice: Voice, what: str, judged: Judged) -> None:
    """A generator's figures, its floor and its controls side by side."""
    found = judged.evaluation

    def show() -> None:
        heads = ("figure", "made", *found.controls)
        rows = []
        for name, value in found.figures.items():
            if name != "kid_error":
                error = f" ± {found.figures['kid_error']:.2g}" if name == "kid" else ""
                beside = [f"{control[name]:.4g}" for control in found.controls.values()]
                rows.append((name, f"{value:.4g}{error}", *beside))
        kid = "kid_untrained"
        first = f"{found.untrained[kid]:.4g} ± {found.untrained[f'{kid}_error']:.2g}"
        rows.insert(1, (kid, first, *(f"{found.untrained[f'{kid}_{name}']:.4g}" for name in found.controls)))
        rows.append(("near_copies", f"{found.copies.rate:.1%}", f"{found.copies.floor:.1%}", "", ""))
        table(voice, heads, rows)
        counts = ", ".join(f"{count:,} {side}" for side, count in found.counts.items())
        voice.say(f"{counts}; features: {found.space}, sha256 {found.sha256}")
        for warning in judged.warnings:
            voice.note(f"warning, {warning}")
        for path in judged.files:
            voice.say(str(path))

    voice.result(
        {"what": what, "measured": found.flat(), "space": found.space, "sha256": found.sha256, "counts": found.counts,
         "warnings": [str(warning) for warning in judged.warnings], "files": judged.files}, show,
    )  # fmt: skip


def _evaluate_stylize(voice: Voice, asked: Evaluate) -> None:
    from danqing import studio
    from danqing.artwork import files, image
    from danqing.interfaces._progress import Watch

    if asked.output:
        image.output_format(asked.output)
        files.check_output(asked.output, force=asked.force)
    watching = not (voice.common.quiet or voice.common.json)
    with Watch(voice.err, bar=watching, quiet=voice.common.quiet) as on_step:
        found = studio.evaluate_stylize(asked.photos, asked.styles, size=asked.size, on_step=on_step)
    if asked.output:
        image.write(found.sheet, asked.output, force=asked.force)
    rows = [*found.rows, *found.means()]

    def show() -> None:
        cells = [
            (row.photo, row.style, row.method, f"{row.content:.3f}", f"{row.style_left:.3f}", f"{row.seconds:.1f}")
            for row in rows
        ]
        table(voice, ("photo", "style", "method", "lost", "style left", "seconds"), cells)

    voice.result({"rows": [vars(row) for row in found.rows], "means": [vars(row) for row in found.means()]}, show)


def _measured(voice: Voice, folder: Path, measured: dict[str, float]) -> None:
    from danqing.studio import warnings

    found = warnings(folder)

    def show() -> None:
        table(voice, ("measure", "held out"), [(name, f"{value:.4g}") for name, value in measured.items()])
        for warning in found:
            voice.note(f"warning, {warning}")
        voice.say(f"{folder}")

    said = {"warnings": [str(warning) for warning in found]} if found else {}
    voice.result({"run": str(folder), "measured": measured, **said}, show)


@dataclass(frozen=True)
class Export:
    """What to write, and as what."""

    what: Annotated[str, Flag("a run's folder, a model's name, or a weights file", "RUN|MODEL", argument=True)]
    format: Annotated[Literal["onnx"], Flag("the format")] = "onnx"
    output: Annotated[Path | None, Flag("the file; MODEL.onnx unless given", "FILE", "-o,--output")] = None
    force: Annotated[bool, Flag("replace a file that is there already")] = False


def export(voice: Voice, asked: Export) -> None:
    """Export."""
    from danqing import studio
    from danqing.artwork import files

    name = Path(asked.what).with_suffix("").name if Path(asked.what).suffix == ".safetensors" else Path(asked.what).name
    output = asked.output or Path(f"{name}.onnx")
    files.check_output(output, force=asked.force)
    found = studio.export(asked.what, output)

    def show() -> None:
        voice.say(str(output))
        voice.note(
            f"{output.stat().st_size / 2**20:.1f} MiB, inputs {', '.join(found.inputs)}; largest difference from "
            f"PyTorch {found.error:.2g}"
        )

    voice.result(
        {"path": str(output), "inputs": found.inputs, "outputs": found.outputs, "max_abs_error": found.error}, show
    )
