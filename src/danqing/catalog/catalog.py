"""What models there are, what they are made of, and their weights: the one door to every weight that is used.

A model is a card (`cards/<name>.toml`) and a file. Files that ship lie in `weights/`; the card of the others carries a
URL, and the file is fetched into $DANQING_HOME/downloads when it is first asked for. Either way the file's sha256 has
to be the one on the card before a tensor is taken out of it, checked once per process and file.
"""

from __future__ import annotations

import dataclasses
import functools
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from danqing.artwork.request import OnStep, ignore
from danqing.errors import BadCard, CorruptWeights, Unavailable, UnknownName

if TYPE_CHECKING:
    from torch import Tensor

RIGHTS = ("open", "research")
STORAGES = ("float32", "bfloat16", "int8")
HASH_DIGITS = 64

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """A collection that a model learned from."""

    name: str
    works: int  # how many of them
    rights: str


@dataclass(frozen=True)
class Making:
    """How a model was made, enough to make it again."""

    command: str
    hours: float
    hardware: str
    seed: int


@dataclass(frozen=True)
class Measure:
    """One figure of a model, and how it was come by."""

    value: float
    split: str  # what it was measured on
    command: str


@dataclass(frozen=True)
class Card:
    """Everything there is to know about a model before it is used."""

    name: str
    purpose: str
    rights: str  # "open": only public-domain or openly licensed data behind it; "research": otherwise
    licence: str  # of the weights
    data: tuple[Source, ...]
    parameters: int
    storage: str  # float32, bfloat16 or int8
    sha256: str  # of the file, 64 hex digits
    architecture: Mapping[str, Any]  # the technique's Config, as in the file's header
    layers: tuple[str, ...]  # those it can be asked for by name; empty where that means nothing
    limits: tuple[str, ...]  # what it does badly or not at all
    made: Making | None  # None: made elsewhere, see `source`
    measured: Mapping[str, Measure]
    file: str  # the file's name
    url: str = ""  # where it is fetched from; empty: it ships with Danqing
    size_bytes: int = 0  # of a fetched file
    source: str = ""  # who made a fetched file, and where it is described

    def as_dict(self) -> dict[str, Any]:
        """The card as plain lists, dicts, strings and numbers."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        plain["data"] = [dataclasses.asdict(source) for source in self.data]
        plain["made"] = dataclasses.asdict(self.made) if self.made else None
        plain["measured"] = {name: dataclasses.asdict(measure) for name, measure in self.measured.items()}
        return plain


class Catalog:
    """The cards and weights under one folder.

    root: holds `cards/` and `weights/`. downloads: where fetched files go; $DANQING_HOME/downloads unless given.
    """

    def __init__(self, root: Path, downloads: Path | None = None) -> None:
        self.root = root
        self._downloads = downloads
        self._checked: set[tuple[Path, int, int]] = set()  # (file, size, time of its last change)

    @functools.cached_property
    def _cards(self) -> dict[str, Card]:
        found = {path.stem: read_card(path) for path in sorted((self.root / "cards").glob("*.toml"))}
        for stem, entry in found.items():
            if entry.name != stem:
                raise BadCard(f"{stem}.toml is the card of {entry.name!r}; a card's file carries the model's name")
        return found

    def with_cards(self, cards: Mapping[str, Card]) -> Catalog:
        """The same catalog with some cards in the place of its own; their files are named by whole paths."""
        found = Catalog(self.root, self._downloads)
        found._cards = {**self._cards, **cards}
        return found

    def cards(self) -> tuple[Card, ...]:
        """Every card, by name."""
        return tuple(self._cards.values())

    def card(self, name: str) -> Card:
        """One card; raises UnknownName with the nearest one."""
        if name not in self._cards:
            raise UnknownName("model", name, self._cards, see="danqing models")
        return self._cards[name]

    def path(self, name: str) -> Path:
        """Where the model's file is, or would be."""
        card = self.card(name)
        return (self.downloads if card.url else self.root / "weights") / card.file

    def available(self, name: str) -> bool:
        """Whether the model can be used without a download; the file's hash is checked when it is loaded."""
        return self.path(name).is_file()

    def sha256(self, name: str) -> str:
        """The sha256 on the card: what a work's provenance names the model by."""
        return self.card(name).sha256

    def check(self, name: str, on_step: OnStep = ignore) -> Path:
        """The model's file, there and untouched; fetched first if it is one of those that are.

        Raises Unavailable (not here, or the download failed), CorruptWeights (another sha256 than the card's).
        """
        card, path = self.card(name), self.path(name)
        if not path.is_file():
            if not card.url:
                raise Unavailable(f"the weights of {name!r} are missing: {path} is not there. Install Danqing again.")
            self._fetch(card, path, on_step)
        known = (path, path.stat().st_size, path.stat().st_mtime_ns)
        if known not in self._checked:
            from danqing.compute.checkpoint import sha256_of  # brings PyTorch in, which a list of models can do without

            found = sha256_of(path)
            if found != card.sha256:
                raise CorruptWeights(
                    f"{path} is not the file on the card of {name!r}: its sha256 begins {found[:8]}, the card's "
                    f"{card.sha256[:8]}. Delete it and {'run again' if card.url else 'install Danqing again'}."
                )
            self._checked.add(known)
        return path

    def weights(self, name: str, on_step: OnStep = ignore) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The model's tensors on the CPU in the dtype of their storage, and the file's metadata; see `check`."""
        from danqing.compute.checkpoint import load_torch, load_weights

        path = self.check(name, on_step)
        if path.suffix == ".safetensors":
            return load_weights(path)
        return dict(load_torch(path)), {}

    @property
    def downloads(self) -> Path:
        """The folder that fetched files are kept in."""
        if self._downloads is None:
            from danqing.artwork.shelf import default_home

            self._downloads = default_home() / "downloads"
        return self._downloads

    def _fetch(self, card: Card, path: Path, on_step: OnStep) -> None:
        from danqing.catalog.download import Wanted, fetch

        fetch(Wanted(card.name, card.url, card.sha256, card.size_bytes), path, on_step)


@functools.cache
def default() -> Catalog:
    """The catalog that ships with Danqing."""
    return Catalog(Path(__file__).parent)


def cards() -> tuple[Card, ...]:
    """Every card of the catalog that ships with Danqing, by name."""
    return default().cards()


def card(name: str) -> Card:
    """One card of the catalog that ships with Danqing."""
    return default().card(name)


def available(name: str) -> bool:
    """Whether the model can be used without a download."""
    return default().available(name)


def sha256(name: str) -> str:
    """The sha256 on the model's card."""
    return default().sha256(name)


def weights(name: str, on_step: OnStep = ignore) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The model's tensors on the CPU in the dtype of their storage, and the file's metadata; see `Catalog.weights`."""
    return default().weights(name, on_step)


def read_card(path: Path) -> Card:
    """Read and check one card; raises BadCard naming the file, the field and what it should be."""
    where = path.name
    try:
        entry = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadCard(f"{where} is not TOML: {error}") from error
    url = _take(entry, "url", str, where, "")
    card = Card(
        name=_take(entry, "name", str, where),
        purpose=_take(entry, "purpose", str, where),
        rights=_one_of(_take(entry, "rights", str, where), RIGHTS, "rights", where),
        licence=_take(entry, "licence", str, where),
        data=tuple(_part(Source, item, f"{where}, data") for item in _take(entry, "data", list, where)),
        parameters=_take(entry, "parameters", int, where),
        storage=_one_of(_take(entry, "storage", str, where), STORAGES, "storage", where),
        sha256=_take(entry, "sha256", str, where),
        architecture=_take(entry, "architecture", dict, where, {}),
        layers=tuple(_take(entry, "layers", list, where, [])),
        limits=tuple(_take(entry, "limits", list, where)),
        made=_part(Making, entry.pop("made"), f"{where}, made") if "made" in entry else None,
        measured={
            name: _part(Measure, item, f"{where}, measured.{name}")
            for name, item in _take(entry, "measured", dict, where, {}).items()
        },
        file=_take(entry, "file", str, where, url.rpartition("/")[2] or f"{path.stem}.safetensors"),
        url=url,
        size_bytes=_take(entry, "size_bytes", int, where, 0),
        source=_take(entry, "source", str, where, ""),
    )
    if entry:
        raise BadCard(f"{where}: no card has a field {sorted(entry)[0]!r}")
    _check_card(card, where)
    return card


def _check_card(card: Card, where: str) -> None:
    if len(card.sha256) != HASH_DIGITS or not set(card.sha256) <= set("0123456789abcdef"):
        raise BadCard(f"{where}: sha256 is {card.sha256!r}; it is 64 hex digits in lower case")
    if card.parameters <= 0:
        raise BadCard(f"{where}: parameters is {card.parameters}; it is how many there are")
    if card.url and not (card.size_bytes > 0 and card.source):
        raise BadCard(f"{where}: a model with a url also has size_bytes and source")
    if not card.url and card.made is None:
        raise BadCard(f"{where}: a model that ships says how it was made, in [made]")


def _take(entry: dict[str, Any], field: str, kind: type[T], where: str, default: T | None = None) -> T:
    if field not in entry:
        if default is None:
            raise BadCard(f"{where} has no {field!r}")
        return default
    value = entry.pop(field)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BadCard(f"{where}: {field} is {value!r}; it is of type {kind.__name__}")
    return value


def _one_of(value: str, allowed: tuple[str, ...], field: str, where: str) -> str:
    if value not in allowed:
        raise BadCard(f"{where}: {field} is {value!r}; it is one of {', '.join(allowed)}")
    return value


def _part(kind: Callable[..., T], item: object, where: str) -> T:
    """One of the small tables of a card: all fields of the dataclass, each of its type, none besides."""
    if not isinstance(item, dict):
        raise BadCard(f"{where} is {item!r}; it is a table")
    kinds: dict[str, type[Any]] = {"str": str, "int": int, "float": float}
    fields = {field.name: kinds[str(field.type)] for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(item.keys() - fields.keys()):
        raise BadCard(f"{where} has no field {unknown[0]!r}; it has {', '.join(fields)}")
    given = {
        name: float(value) if fields.get(name) is float and type(value) is int else value
        for name, value in item.items()
    }
    return kind(**{name: _take(given, name, expected, where) for name, expected in fields.items()})
