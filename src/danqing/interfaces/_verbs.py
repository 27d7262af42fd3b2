"""What every verb of the command line is made with: its options from dataclasses, its voice for people or programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from danqing.arts import Flag
from danqing.interfaces._flags import parameters, request_from, with_signature

HELP = "Danqing 丹青: an AI art studio for this machine. Every work is kept on the shelf: danqing gallery."

app = typer.Typer(
    name="danqing", help=HELP, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)


_LATER: dict[str, Callable[[], None]] = {}  # verb → what gives its command the options


def later(name: str, fill: Callable[[], None]) -> None:
    """Have `fill` called once the verb `name` is asked for: making every verb's options would slow down the help."""
    _LATER[name] = fill


def complete(name: str | None = None) -> None:
    """Give the command of a verb its options, or those of every verb."""
    for each in [name] if name is not None else list(_LATER):
        _LATER.pop(each, lambda: None)()


@dataclass(frozen=True)
class Common:
    """What every verb understands."""

    json: Annotated[bool, Flag("print one JSON object and nothing else")] = False
    quiet: Annotated[bool, Flag("print nothing but errors")] = False
    verbose: Annotated[bool, Flag("say which device, precision and layout were chosen")] = False
    debug: Annotated[bool, Flag("show the traceback of an error")] = False


@dataclass(frozen=True)
class Voice:
    """How one run speaks: to people or to programs."""

    common: Common
    out: Console
    err: Console

    def result(self, value: dict[str, Any], show: Callable[[], None]) -> None:
        """Give the result: as one JSON object, or as `show` prints it for people."""
        if self.common.json:
            print_json(value)
        elif not self.common.quiet:
            show()

    def say(self, line: str) -> None:
        """One line for people."""
        self.out.print(line, markup=False, highlight=False, soft_wrap=True)

    def note(self, line: str) -> None:
        """A remark on the standard error, not part of the result."""
        if not self.common.quiet:
            self.err.print(line, markup=False, highlight=False, soft_wrap=True)


def print_json(value: dict[str, Any]) -> None:
    """One object on one line of the standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


Run = Callable[..., None]


def verb(name: str, *groups: type[Any], help: str) -> Callable[[Run], Run]:
    """Make a command of a function that takes a Voice and one object of each group: their fields are its options."""

    def register(run: Run) -> Run:
        def command(**given: Any) -> None:
            common: Common = request_from(Common, given)
            voice = Voice(common, Console(file=sys.stdout), Console(file=sys.stderr))
            run(voice, *(request_from(group, given) for group in groups))

        def fill() -> None:
            with_signature(command, [part for group in (*groups, Common) for part in parameters(group)])

        app.command(name, help=help)(with_signature(command, []))
        later(name, fill)
        return run

    return register


def table(voice: Voice, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns without lines: easy to read, easy to cut. The last column takes what room there is."""
    grid = Table(*heads, box=None, pad_edge=False, header_style="bold")
    for index in range(len(heads) - 1):
        grid.columns[index].no_wrap = True
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    voice.out.print(grid)
