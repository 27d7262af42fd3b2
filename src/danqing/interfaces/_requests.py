"""From what a page sends to a request of an art, and from an art to what a page shows: its form.

Both are made from the request's dataclass, as the command line's options are, so that a field, its default and its
meaning are written once. No path ever comes from a page: a file is named by an upload or by a work on the shelf.
"""

from __future__ import annotations

import dataclasses
import re
import secrets
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from danqing import arts
from danqing.arts import Flag, flag_name, flags
from danqing.errors import BadRequest, UnknownName

HEX = re.compile("[0-9a-f]{4,64}")
SEEDS = 2**31
LONGEST_TITLE = 60  # characters
TOLD = ("prompt", "idea", "topic", "start", "acrostic", "form", "style", "styles", "to", "what")  # what names a job

Find = Callable[[Mapping[str, Any]], Path]


def describe(verb: str) -> dict[str, Any]:
    """An art as its form is drawn: fields with their kinds, defaults, choices and help."""
    request = arts.request_class(verb)
    defaults = {field.name: field.default for field in dataclasses.fields(request)}
    return {
        "verb": verb,
        "media": arts.media(verb),
        "result": "report" if verb in arts.REPORTS else "work",
        "help": " ".join((request.__doc__ or "").split()),
        "fields": [_field(name, kind, flag, defaults[name]) for name, (kind, flag) in flags(request).items()],
    }


def _field(name: str, kind: Any, flag: Flag, default: Any) -> dict[str, Any]:
    plain = _plain(kind)
    required = default is dataclasses.MISSING
    return {
        "name": name,
        "flag": flag_name(name, flag),
        "kind": kind_of(kind),
        "required": required,
        "default": None if required else (list(default) if isinstance(default, tuple) else default),
        "choices": list(get_args(plain)) if get_origin(plain) is Literal else None,
        "optional": plain is not kind,  # may be left empty
        "file": "FILE" in flag.metavar,  # takes {"upload": …} or {"work": …}, where it is a style besides its name
        "help": flag.help,
    }


def kind_of(kind: Any) -> str:
    """A field's type in a word of the page's: text, int, float, bool, choice, file, files, names, ints or floats."""
    plain = _plain(kind)
    if get_origin(plain) is Literal:
        return "choice"
    if get_origin(plain) is tuple:
        item = get_args(plain)[0]
        return {Path: "files", int: "ints", float: "floats"}.get(item, "names")
    return {Path: "file", int: "int", float: "float", bool: "bool"}.get(plain, "text")


def _plain(kind: Any) -> Any:
    """The type without its None."""
    if get_origin(kind) in (Union, types.UnionType):
        return next(part for part in get_args(kind) if part is not type(None))
    return kind


def with_seed(verb: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The same with a seed where the art takes one and none was given: made twice, it is the same work."""
    defaults = {field.name: field.default for field in dataclasses.fields(arts.request_class(verb))}
    if "seed" in defaults and given.get("seed", defaults["seed"]) is None:
        return {**given, "seed": secrets.randbelow(SEEDS)}
    return dict(given)


def build(verb: str, given: Mapping[str, Any], find: Find) -> Any:
    """The request that a page's values ask for; `find` gives the file of an upload or a work.

    Raises BadRequest, UnknownName for a field, a style or a file that there is none of.
    """
    request = arts.request_class(verb)
    known = flags(request)
    if unknown := sorted(set(given) - set(known)):
        raise BadRequest(f"{verb} has no field {unknown[0]!r}; it has {', '.join(known)}")
    values = {
        name: _value(given[name], kind, flag_name(name, flag), flag, find)
        for name, (kind, flag) in known.items()
        if name in given
    }
    for field in dataclasses.fields(request):
        if field.default is dataclasses.MISSING and field.name not in values:
            raise BadRequest(f"{verb} needs {flag_name(field.name, known[field.name][1])}: {known[field.name][1].help}")
    _check_named(verb, values)
    return request(**values)


def _value(given: Any, kind: Any, name: str, flag: Flag, find: Find) -> Any:
    plain = _plain(kind)
    if given is None and plain is not kind:
        return None
    if get_origin(plain) is tuple:
        if not isinstance(given, list):
            raise BadRequest(f"{name} is {_said(given)}; it is a list")
        items = tuple(_single(one, get_args(plain)[0], name, flag, find) for one in given)
        wanted = get_args(plain)
        if Ellipsis not in wanted and len(items) != len(wanted):
            raise BadRequest(f"{name} has {len(items)} values; it takes {len(wanted)}")
        return items
    return _single(given, plain, name, flag, find)


def _single(given: Any, kind: Any, name: str, flag: Flag, find: Find) -> Any:
    if kind is Path:
        if not isinstance(given, Mapping):
            raise BadRequest(f'{name} is {_said(given)}; a file is {{"upload": ID}} or {{"work": ID}}')
        return find(given)
    if kind is str and "FILE" in flag.metavar:
        return str(find(given)) if isinstance(given, Mapping) else _style(given, name)
    if get_origin(kind) is Literal:
        if given not in get_args(kind):
            raise BadRequest(f"{name} is {_said(given)}; it is one of {', '.join(map(str, get_args(kind)))}")
        return given
    if kind is float and isinstance(given, int) and not isinstance(given, bool):
        return float(given)
    if not isinstance(given, kind) or (kind is int and isinstance(given, bool)):
        words = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
        raise BadRequest(f"{name} is {_said(given)}; it is {words.get(kind, kind.__name__)}")
    return given


def _style(given: Any, name: str) -> str:
    """A style by its name: never a path, which would let a page read any file."""
    from danqing.catalog import styles

    if not isinstance(given, str):
        raise BadRequest(f"{name} is {_said(given)}; it is a style's name, an upload or a work")
    return styles.style(given).name


def _check_named(verb: str, values: Mapping[str, Any]) -> None:
    """A model is one of this machine, by its name: no path, nothing to fetch."""
    model = values.get("model")
    if isinstance(model, str) and model.startswith("hf:"):
        raise BadRequest(f"model {model!r} would be fetched from elsewhere; the studio sends nothing out: leave it out")
    if isinstance(model, str) and model:
        from danqing.catalog import catalog, own

        if model.startswith(own.RUN):
            own.check(model, verb)
        elif model not in (names := [card.name for card in catalog.cards()] if verb == "explore" else ["own", "lstm"]):
            raise UnknownName("model", model, [*names, *(one.name for one in own.listed())], "danqing models")
    if values.get("backbone") == "vgg19":
        from danqing.catalog import catalog

        if not catalog.available("vgg19"):
            raise BadRequest("backbone 'vgg19' is not here, and the studio fetches nothing; choose own, or fetch it by "
                             "danqing stylize … --backbone vgg19")  # fmt: skip


def title(verb: str, given: Mapping[str, Any]) -> str:
    """A few words for a list of jobs: what was asked for, as far as it was in words."""
    parts = []
    for name in TOLD:
        value = given.get(name)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str) and one.strip() and one not in parts:
                parts.append(" ".join(one.split()))
    told = " · ".join(parts[:3])
    return told if len(told) <= LONGEST_TITLE else told[: LONGEST_TITLE - 1].rstrip() + "…"


def _said(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
