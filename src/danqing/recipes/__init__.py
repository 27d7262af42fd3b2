"""One file for each model that we train and ship: its data, its config, how it is trained and how it is measured."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from danqing.errors import UnknownName

if TYPE_CHECKING:
    from danqing.artwork.request import OnStep
    from danqing.training.run import Run

NAMES = ("perceptual", "fast", "styles")


@dataclass(frozen=True)
class Recipe:
    """A recipe as the doors see it. Each recipe's module holds one as `RECIPE`."""

    name: str
    purpose: str
    data: str  # what `--data` has to be
    config: type[Any]  # a frozen dataclass; `tiny()` gives the one that tests train in seconds
    train: Callable[[Any, Path, Run, OnStep], dict[str, float]]  # → what was measured on held-out data
    evaluate: Callable[[Run, Path], dict[str, float]]  # a finished run, measured again


def names() -> tuple[str, ...]:
    """Every recipe, without importing any."""
    return NAMES


def get(name: str) -> Recipe:
    """The recipe, imported now."""
    if name not in NAMES:
        raise UnknownName("recipe", name, NAMES, "danqing train --help")
    recipe: Recipe = importlib.import_module(f"danqing.recipes.{name}").RECIPE
    return recipe
