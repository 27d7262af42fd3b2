"""The one door: a request goes in, a finished work that stands on the shelf comes out.

import danqing
work = danqing.stylize("photo.jpg", style="ukiyo-e")
work.save("out.png")
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from danqing import arts
from danqing.artwork.request import OnStep, ignore
from danqing.errors import BadRequest

if TYPE_CHECKING:
    from danqing.arts.evaluation import Evaluation
    from danqing.artwork.artwork import Artwork
    from danqing.artwork.shelf import Shelf, Work
    from danqing.recipes.laboratory import Judged
    from danqing.sessions.rounds import Candidate, Session
    from danqing.training.engine import Estimate
    from danqing.training.exporting import Exported
    from danqing.training.stability import Warning as StabilityWarning
    from danqing.training.tuning import Study


@dataclass(frozen=True)
class Creation:
    """A work that was just made: in memory as `artwork`, on the shelf as `work`."""

    artwork: Artwork
    work: Work

    def save(self, path: str | Path, *, force: bool = False, quality: int = 92) -> Path:
        """Write it to a file of the suffix's format as well; raises OutputExists unless `force`, NotWritable."""
        return self.artwork.save(path, force=force, quality=quality)


def create(request: object, *, on_step: OnStep = ignore, shelf: Shelf | None = None) -> Creation:
    """Meet a request of any art: check it, make the work, put it on the shelf.

    request: a dataclass of `danqing.arts`, `arts.stylize.Stylize` for example. on_step: told where the work stands;
    stops it by raising `errors.Cancelled`. shelf: where the work is kept, the person's own unless given.
    Raises what is in `danqing.errors`; nothing is on the shelf then.
    """
    arts.verb_of(request)
    count = getattr(request, "count", 1)
    if count != 1:
        raise BadRequest(f"count is {count} and create() makes one work; create_all() makes several")
    return create_all(request, on_step=on_step, shelf=shelf)[0]


def create_all(request: object, *, on_step: OnStep = ignore, shelf: Shelf | None = None) -> tuple[Creation, ...]:
    """As `create`, for a request that asks for several works (`count`); none is on the shelf unless all were made."""
    verb = arts.verb_of(request)
    if verb in arts.REPORTS:
        raise BadRequest(f"{type(request).__name__} asks for a report, not for a work; studio.report gives it")
    from danqing.artwork.shelf import Shelf

    place = shelf if shelf is not None else Shelf()
    art = arts.module(verb)
    tools = _tools(on_step)
    made: Sequence[Artwork] = (
        art.create_all(request, tools) if hasattr(art, "create_all") else (art.create(request, tools),)
    )
    return tuple(Creation(artwork, place.add(artwork)) for artwork in made)


def report(request: object, *, on_step: OnStep = ignore) -> tuple[arts.Report, ...]:
    """Meet a request whose result is a report (`arts.appraise.Appraise`): one for each file. Nothing is kept."""
    verb = arts.verb_of(request)
    if verb not in arts.REPORTS:
        raise BadRequest(f"{type(request).__name__} asks for a work, not for a report; studio.create makes it")
    found: tuple[arts.Report, ...] = arts.module(verb).report(request, _tools(on_step))
    return found


def _tools(on_step: OnStep) -> arts.Tools:
    from danqing.catalog import styles
    from danqing.compute import device

    return arts.Tools(device.choose(), styles.shipped(), on_step)


def stylize(
    photo: str | Path,
    style: str | Path | Sequence[str | Path],
    *,
    on_step: OnStep = ignore,
    shelf: Shelf | None = None,
    **options: Any,
) -> Creation:
    """A photo in the style of one or more paintings.

    photo: a picture file. style: the name of a style or a picture file, or several of them. options: the other fields
    of `danqing.arts.stylize.Stylize`: mix, method, strength, size, keep_colors, masks, backbone, seed.
    """
    from danqing.arts.stylize import Stylize

    several = [style] if isinstance(style, str | Path) else style
    return create(Stylize(Path(photo), tuple(map(str, several)), **options), on_step=on_step, shelf=shelf)


def paint(
    prompt: str | None = None, *, on_step: OnStep = ignore, shelf: Shelf | None = None, **options: Any
) -> Creation:
    """A painting from words, from a style, or from the colours of another picture.

    prompt: what it shows, 中文 or English; a scene of chance unless given. options: the other fields of
    `danqing.arts.paint.Paint`: style, size, like, seed. For several at once: `create_all(Paint(…, count=4))`.
    """
    from danqing.arts.paint import Paint

    options = {name: Path(value) if name == "like" and value else value for name, value in options.items()}
    return create(Paint(prompt, **options), on_step=on_step, shelf=shelf)


def sketch(drawing: str | Path, *, on_step: OnStep = ignore, shelf: Shelf | None = None, **options: Any) -> Creation:
    """A drawing, a colour layout or a map of regions turned into a painting.

    options: the other fields of `danqing.arts.sketch.Sketch`: prompt, style, size, draft, seed.
    """
    from danqing.arts.sketch import Sketch

    return create(Sketch(Path(drawing), **options), on_step=on_step, shelf=shelf)


def translate(
    image: str | Path, to: str, *, on_step: OnStep = ignore, shelf: Shelf | None = None, size: int = 0
) -> Creation:
    """A photo as a painting of another kind ("monet", "ukiyo-e", "shanshui"), or a painting as a "photo".

    size: longer side of the result, px; 0 keeps the picture's own size.
    """
    from danqing.arts.translate import Translate

    return create(Translate(Path(image), to, size), on_step=on_step, shelf=shelf)


def write(*, on_step: OnStep = ignore, shelf: Shelf | None = None, **options: Any) -> Creation:
    """A poem, a couplet, a story or a script.

    options: the fields of `danqing.arts.write.Write`: form, topic, start, acrostic, revise, lines, language, length,
    temperature, poet, dynasty, mood, rhyme, script, model, seed. For several at once: `create_all(Write(count=3, …))`.
    """
    from danqing.arts.write import Write

    if isinstance(options.get("revise"), str):
        options["revise"] = Path(options["revise"])
    return create(Write(**options), on_step=on_step, shelf=shelf)


def compose(*, on_step: OnStep = ignore, shelf: Shelf | None = None, **options: Any) -> Creation:
    """Music: a new piece, or one gone on with (`continue_`), harmonised, filled in, restyled.

    options: the fields of `danqing.arts.compose.Compose`: style, bars, key, metre, tempo, mood, continue_, harmonize,
    infill, bars_range, restyle, blend, temperature, seed. For several at once: `create_all(Compose(count=3, …))`.
    """
    from danqing.arts.compose import TASKS, Compose

    for task in TASKS:
        if isinstance(options.get(task), str):
            options[task] = Path(options[task])
    if options.get("blend"):
        first, second = options["blend"]
        options["blend"] = (Path(first), Path(second))
    return create(Compose(**options), on_step=on_step, shelf=shelf)


def suite(idea: str, *, on_step: OnStep = ignore, shelf: Shelf | None = None, **options: Any) -> tuple[Creation, ...]:
    """One idea as a poem, a painting, a piece of music and a film of them, in this order, which share one mood.

    options: the other fields of `danqing.arts.suite.Suite`: language, valence, arousal, density, season, time, style,
    music, form, size, seed.
    """
    from danqing.arts.suite import Suite

    return create_all(Suite(idea, **options), on_step=on_step, shelf=shelf)


def make_round(session: Session, *, on_step: OnStep = ignore, shelf: Shelf | None = None) -> list[Candidate]:
    """Make the works of a session's next round, or those that a round still lacks; returns its candidates.

    Each work goes on the shelf and its features into the session; stopped in the middle it goes on where it was.
    """
    from danqing.artwork.request import Step
    from danqing.sessions import features, rounds

    proposed = session.propose()
    for place, candidate in enumerate(proposed):
        if candidate.work is not None:
            continue

        def step(now: Step, place: int = place) -> None:
            share = now.done / now.total if now.total else 0.0
            stage = f"{place + 1}/{len(proposed)}"
            on_step(Step(round(100 * (place + share)), 100 * len(proposed), stage, now.preview))

        made = create(session.request(candidate), on_step=step, shelf=shelf)
        settings = rounds.settings_of(session.art, session.fixed, candidate.genome)
        session.made(candidate.number, made.work.id, features.measure(made.artwork, settings))
    return session.candidates(session.round)


def explore(
    model: str | Path, what: str, *, on_step: OnStep = ignore, shelf: Shelf | None = None, **options: Any
) -> Creation:
    """What a trained generator can make: a sheet of samples, a walk, a mix, a given picture in its latent space.

    model: a run's folder, a .safetensors file or the name of a shipped generator. what: samples, interpolate, mix,
    truncate, project, directions or edit. options: the other fields of `danqing.arts.explore.Explore`.
    """
    from danqing.arts.explore import Explore

    if isinstance(options.get("file"), str):
        options["file"] = Path(options["file"])
    if "latents" in options:
        options["latents"] = tuple(map(Path, options["latents"]))
    return create(Explore(str(model), what, **options), on_step=on_step, shelf=shelf)  # type: ignore[arg-type]


def appraise(file: str | Path, *, on_step: OnStep = ignore, **options: Any) -> arts.Report:
    """What a text or a piece of music is: its form and the rules of it, kept or broken, what of it was there before.

    options: the other fields of `danqing.arts.appraise.Appraise`: form, rhyme, language.
    """
    from danqing.arts.appraise import Appraise

    return report(Appraise((Path(file),), **options), on_step=on_step)[0]


def train(
    recipe: str,
    data: str | Path | None,
    run: str | Path,
    settings: Mapping[str, str] | None = None,
    *,
    resume: bool = False,
    on_step: OnStep = ignore,
) -> dict[str, float]:
    """Train a model by its recipe on a folder of works; returns what was measured on the held-out part.

    run: the folder of this run; with `resume` it goes on from its last checkpoint, by its own settings, and on the data
    it was begun with where `data` is None. settings: fields of the recipe's config as text, {"steps": "500"}. Raises
    UnknownName, BadRequest, TrainingFailed; Cancelled leaves a checkpoint.
    """
    from danqing import recipes
    from danqing.training.run import Run, data_of

    chosen = recipes.get(recipe)
    begun = Run.at(Path(run)) if resume and (Path(run) / "run.json").exists() else None
    own = begun.config if begun and begun.recipe == chosen.name else None
    config = recipes.configure(chosen, settings or {}, own)
    if data is None:
        data = data_of(begun, Path(run), chosen.data)
    opened = Run.open(Path(run), chosen.name, dataclasses.asdict(config), resume, seed=config.seed, data=str(data))
    return chosen.train(config, Path(data), opened, on_step)


def evaluate(run: str | Path, data: str | Path) -> dict[str, float]:
    """Measure a finished run again on the held-out part of `data`."""
    from danqing import recipes
    from danqing.training.run import Run

    opened = Run.at(Path(run))
    return recipes.get(opened.recipe).evaluate(opened, Path(data))


def judge(
    what: str | Path, data: str | Path, count: int = 1000, *, output: str | Path | None = None, on_step: OnStep = ignore
) -> Judged | None:
    """Measure a generator (a run, a weights file, a model's name) on held-out pictures; None where it is none.

    Every figure comes with its floor and its controls, see `danqing.training.image_metrics`. output: a folder for the
    sheets; `evaluation` in a run's own folder unless given.
    """
    from danqing.recipes import laboratory

    return laboratory.judge(str(what), Path(data), count, Path(output) if output else None, on_step)


def warnings(run: str | Path) -> list[StabilityWarning]:
    """What the log of a run shows to go wrong, each with what to do; nothing for a folder without a log."""
    from danqing.training import stability
    from danqing.training.run import Run

    return stability.warnings(Run(Path(run), "", {}).metrics())


def estimate(recipe: str, data: str | Path, settings: Mapping[str, str] | None = None) -> Estimate:
    """What a training would cost, measured over a few steps; leaves nothing behind."""
    import tempfile

    from danqing import recipes
    from danqing.training import engine
    from danqing.training.run import Run

    chosen = recipes.get(recipe)
    config = recipes.configure(chosen, settings or {})
    with tempfile.TemporaryDirectory(prefix="danqing-") as folder:
        run = Run.open(Path(folder) / "run", recipe, dataclasses.asdict(config), False)
        return engine.estimate(lambda: chosen.train(config, Path(data), run, ignore))


def tune(
    recipe: str,
    data: str | Path,
    study: str | Path,
    settings: Mapping[str, str] | None = None,
    trials: int = 20,
    metric: str = "kid",
    *,
    on_step: OnStep = ignore,
) -> Study:
    """Search settings of a recipe for the best `metric`; goes on where the study's file stands.

    settings: {"rate": "1e-4..1e-2", "batch": "16,32"} are searched, {"steps": "500"} is fixed.
    """
    from danqing.recipes import laboratory

    return laboratory.tune(recipe, Path(data), Path(study), settings or {}, trials, metric, on_step)


def export(what: str | Path, output: str | Path) -> Exported:
    """Write a generator or the backbone as ONNX; refused where onnxruntime's numbers are not PyTorch's."""
    from danqing.recipes import laboratory

    return laboratory.export(str(what), Path(output))


def evaluate_stylize(
    photos: Sequence[str | Path] = (), styles: Sequence[str] = (), *, size: int = 384, on_step: OnStep = ignore
) -> Evaluation:
    """Measure every method of `stylize` over photos × styles (fixed ones unless given)."""
    from danqing.arts import evaluation
    from danqing.catalog import styles as shelf_of_styles
    from danqing.compute import device

    tools = arts.Tools(device.choose(), shelf_of_styles.shipped(), on_step)
    chosen = tuple(styles) or evaluation.STYLES
    return evaluation.evaluate_stylize(tools, [Path(p) for p in photos], chosen, size=size)
