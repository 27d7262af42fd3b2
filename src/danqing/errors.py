"""Everything that can go wrong and that a person can do something about.

Each message is one line in three parts: what was given, what is allowed, what to do. The command line prints it without
a traceback and exits with the class's `exit_code`; `--debug` shows the traceback as well.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DanqingError(Exception):
    """The parent of every error that Danqing raises on purpose."""

    exit_code = 1


class BadRequest(DanqingError, ValueError):
    """The request itself cannot be met: a value out of range, two flags that contradict each other."""

    exit_code = 2


class UnknownName(BadRequest):
    """A name that is in no list of ours; the message suggests the nearest one."""

    def __init__(self, kind: str, given: str, known: Iterable[str], see: str) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(given.casefold(), names, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(f"{kind} {given!r} is not known.{hint} See: {see}")


class InvalidMedia(BadRequest):
    """A file that is not what it should be: missing, truncated, mislabelled, too large, of a format we do not read."""


class OutputExists(BadRequest):
    """The output file is there already and `--force` was not given."""


class NotWritable(BadRequest):
    """The place for the output cannot be written to."""


class WriteFailed(DanqingError):
    """The disk is full or fails: the request was right, and nothing half-written is left."""


class Unavailable(DanqingError):
    """Something that is not on this machine: weights to download, a library of an extra."""


class CorruptWeights(DanqingError):
    """A weights file whose sha256 is not the one on its card."""


class BadCard(DanqingError):
    """A model's card or a style's entry that lacks something, or says what it cannot mean."""


class TrainingFailed(DanqingError):
    """Training stopped by itself: a loss that is not finite, a run folder of another recipe."""


class Cancelled(DanqingError):
    """The person stopped it; nothing was written."""

    exit_code = 130
