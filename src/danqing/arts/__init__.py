"""One file for each thing a person can ask for: the request and how it is met.

A request is a frozen dataclass. Its fields are annotated with a `Flag`, from which the command line makes its options
and their help, so that a field, its default, its meaning and its flag are written once. `create(request, tools)` in the
same file meets the request; `tools` is what it works with. The files here import nothing heavy before `create` is
called, because the command line reads every request to print its help.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args, get_origin, get_type_hints

from danqing.artwork.request import OnStep, ignore
from danqing.errors import BadRequest, UnknownName

if TYPE_CHECKING:
    from danqing.artwork.artwork import Artwork
    from danqing.catalog.styles import Styles
    from danqing.compute.device import Compute

# Verb, which is also the module here → its request's class.
REQUESTS: Mapping[str, str] = {  # what comes back is a work, or several
    "stylize": "Stylize",
    "paint": "Paint",
    "sketch": "Sketch",
    "translate": "Translate",
    "write": "Write",
    "compose": "Compose",
    "explore": "Explore",
}
REPORTS: Mapping[str, str] = {"appraise": "Appraise"}  # what comes back is a report for each file
SUITES: Mapping[str, str] = {"suite": "Suite"}  # what comes back are works of several kinds
MEDIA: Mapping[str, str] = {"write": "text", "compose": "music"}  # what an art's works are; all others make pictures

_ALL = {**REQUESTS, **REPORTS, **SUITES}


@dataclass(frozen=True)
class Flag:
    """How a field of a request is asked for on the command line and in a form."""

    help: str
    metavar: str = ""  # what stands for the value in the help: "N", "FILE"
    name: str = ""  # "--style" for a field `styles`; the field's own name with hyphens unless given
    argument: bool = False  # given by its place, not by a name


_FLAGS: dict[type[Any], Mapping[str, tuple[Any, Flag]]] = {}


class Art(Protocol):
    """What every file here offers whose result is a work."""

    def create(self, request: Any, tools: Tools) -> Artwork:
        """Meet the request. An art that can make several at once has `create_all`, which gives a tuple, beside it."""


class Report(Protocol):
    """What comes back for each file from an art that judges. Its file here offers `report(request, tools)`."""

    def as_dict(self) -> dict[str, Any]:
        """Plain lists, dicts, strings and numbers."""

    def lines(self, language: str = "") -> list[str]:
        """The report for people, in "zh" or "en"; in the work's own language unless given."""


@dataclass(frozen=True)
class Tools:
    """What an art works with, chosen once for a request."""

    compute: Compute
    styles: Styles  # the named styles, and through `styles.catalog` the models
    on_step: OnStep = ignore


def names() -> tuple[str, ...]:
    """Every art that makes works, by its verb."""
    return tuple(REQUESTS)


def media(verb: str) -> str:
    """What an art's works are: "picture", "text" or "music"."""
    return MEDIA.get(verb, "picture")


def media_of(request: object) -> str:
    """What the work of this very request is; "video" as well, where the request says so."""
    return getattr(request, "media", None) or media(verb_of(request))


def module(verb: str) -> Any:
    """The file of one art; raises UnknownName."""
    if verb not in _ALL:
        raise UnknownName("art", verb, _ALL, see="danqing --help")
    return importlib.import_module(f"{__name__}.{verb}")


def request_class(verb: str) -> type[Any]:
    """The request dataclass of one art; raises UnknownName."""
    found: type[Any] = getattr(module(verb), _ALL[verb])
    return found


def verb_of(request: object) -> str:
    """The verb a request belongs to; raises BadRequest for anything that is not a request of an art."""
    kind = type(request)
    for verb, name in _ALL.items():
        if kind.__name__ == name and kind.__module__ == f"{__name__}.{verb}":
            return verb
    raise BadRequest(f"{kind.__name__} is no request of an art; there are {', '.join(_ALL.values())}")


def flags(request: type[Any]) -> Mapping[str, tuple[Any, Flag]]:
    """Each field of a request class with its type and its Flag."""
    if request not in _FLAGS:  # reading annotations costs 0.5 ms, and each request that comes in asks for them twice
        hints = get_type_hints(request, include_extras=True)
        found: dict[str, tuple[Any, Flag]] = {}
        for field in dataclasses.fields(request):
            kind, *extras = get_args(hints[field.name])
            found[field.name] = (kind, next(extra for extra in extras if isinstance(extra, Flag)))
        _FLAGS[request] = found
    return _FLAGS[request]


def flag_name(field: str, flag: Flag) -> str:
    """What the person types: `--keep-colors`, or `PHOTO` where the place alone says it."""
    if flag.argument:
        return flag.metavar or field.upper()
    return flag.name or "--" + field.replace("_", "-")


def check_choices(request: object) -> None:
    """Raises BadRequest when a field with a fixed set of values has another one."""
    for field, (kind, flag) in flags(type(request)).items():
        value = getattr(request, field)
        literal = next((part for part in (kind, *get_args(kind)) if get_origin(part) is Literal), None)
        if literal is not None and value not in get_args(literal) and (literal is kind or value is not None):
            raise BadRequest(
                f"{flag_name(field, flag)} is {value!r}; it is one of {', '.join(map(str, get_args(literal)))}"
            )
