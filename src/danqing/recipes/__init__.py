"""One file for each model that we train and ship: its data, its config, how it is trained and how it is measured."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from danqing.errors import BadRequest, UnknownName

if TYPE_CHECKING:
    from danqing.artwork.request import OnStep
    from danqing.training.run import Run

NAMES = (
    *("perceptual", "fast", "styles", "poet", "poet_lstm", "story", "reviser", "origins"),
    *("chorale", "chorale_orderless", "chorale_tuned", "folk", "folk_lstm", "folk_tuned", "tune_origins"),
    *("phrases", "pianoroll_gan"),
    *("piano", "pop", "jazz"),
    "sketch",
    *("gan", "dcgan", "wgan_gp", "lsgan", "cgan", "progan", "stylegan", "r3gan", "projected"),
    *("vae", "autoencoder", "flow", "cyclegan", "pix2pix"),
)
TABLES = ("prosody",)  # recipes that derive tables instead of training weights
# Recipes that share a module, which then holds them in `RECIPES`; every other has a module of its name, with `RECIPE`.
MODULES = dict.fromkeys(
    ("gan", "dcgan", "wgan_gp", "lsgan", "cgan", "progan", "stylegan", "r3gan", "projected"), "gans"
)


class Settings(Protocol):
    """What makes a recipe's config, a frozen dataclass: the dataclass itself, or a preset of one."""

    def __call__(self) -> Any:
        """The config with its defaults."""
        ...

    def tiny(self) -> Any:
        """The one that tests train in seconds."""
        ...


@dataclass(frozen=True)
class Recipe:
    """A recipe as the doors see it."""

    name: str
    purpose: str
    data: str  # what `--data` has to be
    config: Settings
    train: Callable[[Any, Path, Run, OnStep], dict[str, float]]  # → what was measured on held-out data
    evaluate: Callable[[Run, Path], dict[str, float]]  # a finished run, measured again


def names() -> tuple[str, ...]:
    """Every recipe that trains weights, without importing any."""
    return NAMES


def get(name: str) -> Recipe:
    """The recipe, imported now. A hyphen in its name may be written for a line."""
    name = name.replace("-", "_")
    if name not in (*NAMES, *TABLES):
        raise UnknownName("recipe", name, (*NAMES, *TABLES), "danqing train --help")
    module = importlib.import_module(f"danqing.recipes.{MODULES.get(name, name)}")
    recipe: Recipe = module.RECIPES[name] if name in MODULES else module.RECIPE
    return recipe


def configure(recipe: Recipe, settings: Mapping[str, str], begun: Mapping[str, Any] | None = None) -> Any:
    """The recipe's config with these fields changed, each given as text. `tiny=yes` begins from the tiny config.

    begun: the config of a run that is gone on with, from which all that is not given is taken.

    Raises UnknownName for a field the recipe does not have, BadRequest for a value that is not of its type.
    """
    given = dict(settings)
    config = recipe.config.tiny() if given.pop("tiny", "no") == "yes" else recipe.config()
    config = dataclasses.replace(config, **{key: _tuples(value) for key, value in (begun or {}).items()})
    values = {}
    for key, text in given.items():
        if key not in {f.name for f in dataclasses.fields(config)}:
            known = [f.name for f in dataclasses.fields(config)]
            raise UnknownName("setting", key, known, f"the settings of {recipe.name}: {', '.join(known)}")
        now = getattr(config, key)
        try:
            values[key] = _parsed(text, now)
        except ValueError:
            raise BadRequest(f"{key} is {text!r}; it is a {type(now).__name__} like {shown(now)}") from None
    return dataclasses.replace(config, **values)


def _tuples(value: Any) -> Any:
    """Lists, as JSON has them, as the tuples that configs hold."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def meanings(recipe: Recipe) -> dict[str, str]:
    """What each setting is for: the comment that stands beside its field, so that it is written once."""
    config = type(recipe.config())
    source = inspect.getsource(config)
    found = re.findall(r"^    (\w+): .*?(?:  # (.*))?$", source, re.MULTILINE)
    said = dict(found)
    return {field.name: said.get(field.name, "") for field in dataclasses.fields(config)}


def _parsed(text: str, like: object) -> object:
    """A value of the type of `like`. Nested tuples of whole numbers are written 32x2,64x2."""
    if isinstance(like, tuple):
        return tuple(tuple(int(n) for n in part.split("x")) for part in text.split(","))
    if isinstance(like, bool):
        if text not in ("yes", "no"):
            raise ValueError(text)
        return text == "yes"
    for kind in (int, float, str):
        if isinstance(like, kind):
            return kind(text)
    raise ValueError(text)


def shown(value: object) -> str:
    """A setting as it is written on the command line."""
    if isinstance(value, tuple):
        return ",".join("x".join(map(str, part)) for part in value)
    return str(value)
