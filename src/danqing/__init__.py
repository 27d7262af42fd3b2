"""Danqing 丹青: an AI art studio for one person's machine.

Every verb of the command line is one call here: `danqing.stylize("photo.jpg", style="ukiyo-e").save("out.png")`.
Nothing is imported before it is used (PEP 562), so `import danqing` costs no more than a moment.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from danqing.artwork.artwork import Artwork
    from danqing.artwork.request import Step
    from danqing.artwork.shelf import Shelf
    from danqing.errors import DanqingError
    from danqing.studio import (
        Creation,
        appraise,
        compose,
        create,
        create_all,
        explore,
        paint,
        sketch,
        stylize,
        suite,
        translate,
        write,
    )

__all__ = [
    "Artwork",
    "Creation",
    "DanqingError",
    "Shelf",
    "Step",
    "__version__",
    "appraise",
    "compose",
    "create",
    "create_all",
    "explore",
    "paint",
    "sketch",
    "stylize",
    "suite",
    "translate",
    "write",
]

_HOMES = {
    "Artwork": "danqing.artwork.artwork",
    "Creation": "danqing.studio",
    "DanqingError": "danqing.errors",
    "Shelf": "danqing.artwork.shelf",
    "Step": "danqing.artwork.request",
    "appraise": "danqing.studio",
    "compose": "danqing.studio",
    "create": "danqing.studio",
    "create_all": "danqing.studio",
    "explore": "danqing.studio",
    "paint": "danqing.studio",
    "sketch": "danqing.studio",
    "stylize": "danqing.studio",
    "suite": "danqing.studio",
    "translate": "danqing.studio",
    "write": "danqing.studio",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib import metadata

        return metadata.version("danqing")
    if name not in _HOMES:
        raise AttributeError(f"module 'danqing' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
