"""What passes between a person and an art while a work is being made: one callback, used for everything.

The terminal's bar, the web preview and cancellation all hang on the same `on_step`: it is told where the work stands,
and it stops the work by raising `errors.Cancelled`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from danqing.artwork.image import Picture


@dataclass(frozen=True)
class Step:
    """Where a work stands: `done` of `total` steps, and how it looks so far."""

    done: int
    total: int
    stage: str = ""  # what is being done, in a word or two: "512 px", "reading"
    preview: Callable[[], Picture] | None = None  # called only by those who want to look; it costs a conversion
    line: str | None = None  # of a text: a row that was just written, "" between two stanzas


OnStep = Callable[[Step], None]


def ignore(step: Step) -> None:
    """The callback of those who do not want to know."""
