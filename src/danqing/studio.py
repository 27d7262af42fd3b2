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

if TYPE_CHECKING:
    from danqing.arts.evaluation import Evaluation
    from danqing.artwork.artwork import Artwork
    from danqing.artwork.shelf import Shelf, Work


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
    verb = arts.verb_of(request)
    from danqing.artwork.shelf import Shelf
    from danqing.catalog import styles
    from danqing.compute import device

    place = shelf if shelf is not None else Shelf()
    tools = arts.Tools(device.choose(), styles.shipped(), on_step)
    artwork: Artwork = arts.module(verb).create(request, tools)
    return Creation(artwork, place.add(artwork))


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


def train(
    recipe: str,
    data: str | Path,
    run: str | Path,
    settings: Mapping[str, str] | None = None,
    *,
    resume: bool = False,
    on_step: OnStep = ignore,
) -> dict[str, float]:
    """Train a model by its recipe on a folder of works; returns what was measured on the held-out part.

    run: the folder of this run; with `resume` it goes on from its last checkpoint. settings: fields of the recipe's
    config as text, {"steps": "500"}. Raises UnknownName, BadRequest, TrainingFailed; Cancelled leaves a checkpoint.
    """
    from danqing import recipes
    from danqing.training.run import Run

    chosen = recipes.get(recipe)
    config = recipes.configure(chosen, settings or {})
    opened = Run.open(Path(run), recipe, dataclasses.asdict(config), resume, seed=config.seed, data=str(data))
    return chosen.train(config, Path(data), opened, on_step)


def evaluate(run: str | Path, data: str | Path) -> dict[str, float]:
    """Measure a finished run again on the held-out part of `data`."""
    from danqing import recipes
    from danqing.training.run import Run

    opened = Run.at(Path(run))
    return recipes.get(opened.recipe).evaluate(opened, Path(data))


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
