"""Traditional and simplified script, through OpenCC."""

from __future__ import annotations

import functools
from collections.abc import Callable

from danqing.errors import Unavailable, UnknownName

SCRIPTS = ("simplified", "traditional")


def to_simplified(text: str) -> str:
    """學而時習之 → 学而时习之. Text that is simplified already stays as it is."""
    return _converter("t2s")(text)


def to_traditional(text: str) -> str:
    """学而时习之 → 學而時習之. Words decide where a character stands for several: 头发 is 頭髮, 出发 is 出發."""
    return _converter("s2t")(text)


def to_script(text: str, script: str) -> str:
    """The text in one of SCRIPTS. Raises UnknownName for another."""
    if script not in SCRIPTS:
        raise UnknownName("script", script, SCRIPTS, "danqing write --script simplified|traditional")
    return to_traditional(text) if script == "traditional" else to_simplified(text)


@functools.cache
def _converter(direction: str) -> Callable[[str], str]:
    try:
        from opencc import OpenCC
    except ImportError as error:
        raise Unavailable("converting script takes OpenCC, which is not installed: pip install opencc") from error
    convert: Callable[[str], str] = OpenCC(direction).convert
    return convert
