"""A command's options, made from a request dataclass: what the person types becomes the request.

A field becomes an option by its type: a `Literal` a choice, a tuple of names or files an option that can be repeated, a
tuple of numbers one option with commas, a bool a switch, a field with `argument=True` a word in its place.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer

from danqing.arts import Flag, flag_name, flags
from danqing.errors import BadRequest


def parameters(request: type[Any]) -> list[inspect.Parameter]:
    """One keyword parameter, as typer reads them, for each field of the request."""
    defaults = {field.name: field.default for field in dataclasses.fields(request)}
    found = []
    for name, (kind, flag) in flags(request).items():
        default = defaults[name]
        required = default is dataclasses.MISSING
        asked, typed_default = _asked(kind, None if required else default)
        if flag.argument:
            info: Any = typer.Argument(help=flag.help, metavar=flag.metavar or name.upper(), show_default=False)
        else:
            info = typer.Option(
                *flag_name(name, flag).split(","),
                help=flag.help + ("" if required or not _worth_showing(typed_default) else f" [{_shown(default)}]"),
                metavar=_metavar(kind, flag),
                show_default=False,
            )
        parameter = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[asked, info])
        found.append(parameter if required else parameter.replace(default=typed_default))
    return found


def request_from(request: type[Any], given: Mapping[str, Any]) -> Any:
    """The request that these typed values ask for; raises BadRequest."""
    values = {}
    for name, (kind, flag) in flags(request).items():
        values[name] = _value(given[name], kind, flag_name(name, flag))
    return request(**values)


def settings(given: Sequence[str], what: str, example: str) -> dict[str, str]:
    """KEY=VALUE words as a mapping; raises BadRequest. what: what a word is called, example: one that is right."""
    chosen = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise BadRequest(f"{what} {text!r} has no value; write KEY=VALUE, as in {example}")
        chosen[key] = value
    return chosen


def with_signature(function: Callable[..., Any], parts: list[inspect.Parameter]) -> Callable[..., Any]:
    """The function, shown to typer as one that takes these parameters."""
    function.__signature__ = inspect.Signature(parts)  # type: ignore[attr-defined]
    function.__annotations__ = {part.name: part.annotation for part in parts}
    return function


def _asked(kind: Any, default: Any) -> tuple[Any, Any]:
    """The type that typer parses for a field's type, and the default in that type."""
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        if item in (int, float):
            return (str, ",".join(map(str, default or ())))
        item = Path if item is Path else str
        return (list[item], list(default or ()))  # type: ignore[valid-type]
    if get_origin(kind) in (Union, types.UnionType):
        plain = next(part for part in get_args(kind) if part is not type(None))
        return (plain | None, default)
    return (kind, default)


def _value(given: Any, kind: Any, name: str) -> Any:
    if get_origin(kind) is not tuple:
        return given
    item = get_args(kind)[0]
    if item not in (int, float):
        return tuple(given or ())
    try:
        return tuple(item(part) for part in given.split(",")) if given else ()
    except ValueError:
        raise BadRequest(f"{name} is {given!r}; it is numbers with commas between them: 0.7,0.3") from None


def _metavar(kind: Any, flag: Flag) -> str | None:
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    return flag.metavar or None


def _worth_showing(default: Any) -> bool:
    return default not in (None, False, "", []) and not isinstance(default, list)


def _shown(default: Any) -> str:
    return f"default: {default:g}" if isinstance(default, float) else f"default: {default}"
