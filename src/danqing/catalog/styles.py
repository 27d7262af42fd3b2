"""The styles that have a name: `--style ukiyo-e`, `--style 浮世绘`.

`styles.toml` says what each one is and what it was learned from. A style has two faces: its statistics (tensors in the
weights file of the model `styles`, under its name), which the fast method reads, and one exemplar, a picture that was
synthesised from several paintings of its group, for the methods that look at a picture. No painting itself ships.
"""

from __future__ import annotations

import functools
import tomllib
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from danqing.catalog.catalog import Catalog, default
from danqing.errors import BadCard, Unavailable, UnknownName

if TYPE_CHECKING:
    from torch import Tensor

STATISTICS = "styles"  # the model whose weights file holds the statistics
FIELDS = {"zh": str, "title": str, "aliases": list, "painters": list, "years": list, "works": int, "rights": str}


@dataclass(frozen=True)
class Style:
    """A named style and what it was learned from."""

    name: str  # English, kebab-case: what is written after --style
    zh: str  # its Chinese name, understood as well
    title: str  # as a person would write it
    aliases: tuple[str, ...]  # further names that are understood
    painters: tuple[str, ...]
    years: tuple[int, int]  # the earliest and the latest of the works
    works: int  # how many it was learned from
    rights: str

    @property
    def labels(self) -> tuple[str, ...]:
        """Everything that can be written for it."""
        return (self.name, self.zh, self.title, *self.aliases)


class Styles:
    """The styles of one catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    @functools.cached_property
    def _styles(self) -> dict[str, Style]:
        path = self.catalog.root / "styles.toml"
        return read_styles(path) if path.is_file() else {}

    @functools.cached_property
    def _labels(self) -> dict[str, str]:
        labels: dict[str, str] = {}
        for style in self._styles.values():
            for label in map(plain, style.labels):
                if labels.setdefault(label, style.name) != style.name:
                    raise BadCard(f"styles.toml: {label!r} stands for both {labels[label]!r} and {style.name!r}")
        return labels

    def all(self) -> tuple[Style, ...]:
        """Every style, in the order of styles.toml."""
        return tuple(self._styles.values())

    def knows(self, label: str) -> bool:
        """Whether a style goes by this name, Chinese name, title or alias."""
        return plain(label) in self._labels

    def style(self, label: str) -> Style:
        """The style that goes by this name, Chinese name, title or alias; raises UnknownName with the nearest one."""
        if not self.knows(label):
            raise UnknownName("style", label, self._labels, see="danqing models --styles")
        return self._styles[self._labels[plain(label)]]

    def exemplar(self, label: str) -> Path:
        """The picture that stands for the style; raises UnknownName, or Unavailable when it is not there."""
        path = self.catalog.root / "exemplars" / f"{self.style(label).name}.webp"
        if not path.is_file():
            raise Unavailable(
                f"the exemplar of style {label!r} is missing: {path} is not there. Install Danqing again."
            )
        return path

    def statistics(self, label: str) -> Tensor:
        """The style as numbers, (N,) float32: what the weights file of the model `styles` holds under its name."""
        tensors, _ = self.catalog.weights(STATISTICS)
        name = self.style(label).name
        if name not in tensors:
            raise Unavailable(f"style {label!r} has no statistics; use --method patch or --method neural")
        return tensors[name].float()


@functools.cache
def shipped() -> Styles:
    """The styles that ship with Danqing."""
    return Styles(default())


def styles() -> tuple[Style, ...]:
    """Every style that ships with Danqing."""
    return shipped().all()


def style(label: str) -> Style:
    """One style that ships with Danqing, by name, Chinese name, title or alias."""
    return shipped().style(label)


def plain(label: str) -> str:
    """How two spellings of one name become the same: width, case, spaces and underscores."""
    return "-".join(unicodedata.normalize("NFKC", label).casefold().replace("_", " ").replace("-", " ").split())


def read_styles(path: Path) -> dict[str, Style]:
    """Read and check styles.toml: one table for each style. Raises BadCard naming the style and the field."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadCard(f"{path.name} is not TOML: {error}") from error
    return {name: _style(name, entry, path.name) for name, entry in entries.items()}


def _style(name: str, entry: object, where: str) -> Style:
    if plain(name) != name or not name.isascii():
        raise BadCard(f"{where}: a style's name is English in lower case with hyphens, not {name!r}")
    if not isinstance(entry, dict):
        raise BadCard(f"{where}: {name} is {entry!r}; it is a table")
    if unknown := sorted(entry.keys() - FIELDS.keys()):
        raise BadCard(f"{where}: {name} has no field {unknown[0]!r}; it has {', '.join(FIELDS)}")
    for field, kind in FIELDS.items():
        if not isinstance(entry.get(field), kind):
            raise BadCard(f"{where}: {name}.{field} is {entry.get(field)!r}; it is of type {kind.__name__}")
    years: list[Any] = entry["years"]
    if len(years) != 2 or not all(isinstance(year, int) for year in years) or years[0] > years[1]:
        raise BadCard(f"{where}: {name}.years is {years!r}; it is the earliest and the latest year")
    return Style(
        name=name,
        zh=entry["zh"],
        title=entry["title"],
        aliases=tuple(map(str, entry["aliases"])),
        painters=tuple(map(str, entry["painters"])),
        years=(years[0], years[1]),
        works=entry["works"],
        rights=entry["rights"],
    )
