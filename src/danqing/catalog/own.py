"""A person's own models: what `danqing train` left in a run's folder, used in the place of a model that ships.

On the command line a model is a run's folder or the weights in it; everywhere it may be `run:NAME`, which is the run of
that name in $DANQING_HOME/runs. A page sends nothing else, so that no path comes from a page, and a work's provenance
says no more than the name either.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from danqing.artwork import files
from danqing.artwork.shelf import default_home
from danqing.catalog.catalog import Card, Catalog
from danqing.errors import BadRequest, UnknownName

RUN = "run:"
RUNS = "runs"  # the folder of the home that runs are kept in
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}")
MANIFEST, WEIGHTS, RESULT = "run.json", "weights.safetensors", "result.json"  # in a run's folder
# Recipe → the art that its models are used in, and the models of the catalog whose place they take there. Of several
# the art uses the first one that is installed. A generator takes nobody's place.
PLACES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "poet": ("write", ("poet",)),
    "poet_lstm": ("write", ("poet",)),
    "story": ("write", ("story_en", "story_zh")),
    "chorale": ("compose", ("chorale", "chorale_tuned")),
    "chorale_tuned": ("compose", ("chorale", "chorale_tuned")),
    "folk": ("compose", ("folk",)),
    "folk_lstm": ("compose", ("folk",)),
    "folk_tuned": ("compose", ("folk",)),
    "piano": ("compose", ("piano",)),
    "pop": ("compose", ("pop",)),
    "jazz": ("compose", ("jazz",)),
    "sketch": ("sketch", ("sketch",)),
}
GENERATORS = (
    *("gan", "dcgan", "wgan_gp", "lsgan", "cgan", "progan", "stylegan", "r3gan", "projected"),
    *("vae", "autoencoder", "flow"),
)


@dataclass(frozen=True)
class Own:
    """A finished run."""

    name: str  # "run:NAME" where it is one of the home's, else the name of its folder
    recipe: str
    config: Mapping[str, Any]
    path: Path  # its weights

    @property
    def art(self) -> str:
        """The art that it is used in; "" for what is used in none."""
        return art_of(self.recipe)

    @property
    def places(self) -> tuple[str, ...]:
        """Whose place it takes."""
        if self.recipe == "story":
            return (f"story_{self.config.get('language', 'en')}",)
        return PLACES.get(self.recipe, ("", ()))[1]


def art_of(recipe: str) -> str:
    """The art that a recipe's models are used in; "" for none."""
    return "explore" if recipe in GENERATORS else PLACES.get(recipe, ("", ()))[0]


def listed(home: Path | None = None) -> list[Own]:
    """The finished runs in a home that an art can use, by name."""
    folders = sorted((home or default_home()).joinpath(RUNS).glob(f"*/{MANIFEST}"))
    found = [_read(path.parent, RUN + path.parent.name) for path in folders if NAME.fullmatch(path.parent.name)]
    return [own for own in found if own is not None and own.art]


def find(model: str, home: Path | None = None) -> Own:
    """The run that a person means: run:NAME, its folder, or the weights in it. Raises UnknownName, BadRequest."""
    if model.startswith(RUN):
        name = model.removeprefix(RUN)
        folder = (home or default_home()) / RUNS / name
        if not NAME.fullmatch(name) or not (folder / MANIFEST).is_file():
            known = [own.name for own in listed(home)]
            raise UnknownName("model", model, known, see="danqing train RECIPE --run $DANQING_HOME/runs/NAME makes one")
    else:
        folder = Path(model) if Path(model).is_dir() else Path(model).parent
        if not (folder / MANIFEST).is_file():
            raise BadRequest(
                f"{model} is no model of yours; give a run's folder, its {WEIGHTS} or run:NAME; what else "
                "it takes, the verb's --help says"
            )
        model = folder.resolve().name
    own = _read(folder, model)
    if own is None:
        raise BadRequest(f"{model} is not finished; go on with it: danqing train RECIPE --run {folder} --resume")
    return own


def _read(folder: Path, name: str) -> Own | None:
    """The run in a folder, or None where it has no weights yet or says nothing that can be read."""
    try:
        about = json.loads((folder / MANIFEST).read_text("utf-8"))
        recipe, config = str(about["recipe"]), dict(about["config"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    weights = folder / WEIGHTS
    return Own(name, recipe, config, weights) if weights.is_file() and (folder / RESULT).is_file() else None


def check(model: str, art: str) -> Own:
    """As `find`; raises BadRequest where an art has no use for it."""
    own = find(model)
    if own.art != art:
        use = f"it is for danqing {own.art}" if own.art else "no art uses such a model"
        raise BadRequest(f"{model} is a model of the recipe {own.recipe}: {use}, not for {art}")
    return own


def in_place(catalog: Catalog, own: Own) -> Catalog:
    """The catalog with a person's own model in the place of those that it stands for."""
    state = own.path.stat()
    return _in_place(catalog, own.path, own.name, own.places, (state.st_size, state.st_mtime_ns))


@functools.lru_cache(maxsize=4)  # so that what the arts keep opened by catalog and name is found again
def _in_place(catalog: Catalog, path: Path, name: str, places: tuple[str, ...], _state: tuple[int, int]) -> Catalog:
    there = {card.name: card for card in catalog.cards()}
    digest = files.sha256(path)
    taken = [place for place in places if place in there] or list(places[:1])
    own = {place: _card(there.get(place), place, name, digest, path) for place in taken}
    return catalog.with_cards(own)


def _card(card: Card | None, place: str, name: str, digest: str, path: Path) -> Card:
    if card is not None:
        return dataclasses.replace(card, sha256=digest, file=str(path.absolute()), url="", purpose=f"own model: {name}")
    return Card(
        place, f"own model: {name}", "research", "its maker's", (), 1, "float32", digest, {}, (), (), None, {},
        str(path.absolute()),
    )  # fmt: skip
