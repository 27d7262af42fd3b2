"""What a person sees while a work is being made: a bar with the stage and the time left, and a preview picture.

Both go by the one callback `on_step`. The bar is drawn on the standard error, so that `--json` keeps the standard
output to itself, and only where a person is looking: not with `--quiet`, not into a file.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from danqing.artwork.request import OnStep, Step
from danqing.errors import Cancelled
from danqing.interfaces import _stop

PREVIEW_EVERY_S = 2.0
LINE_EVERY_S = 15.0  # where no bar can be drawn


class Watch:
    """Shows steps as they come: `with Watch(console, …) as on_step`. A preview stays only if the work was finished."""

    def __init__(
        self,
        console: Console,
        *,
        bar: bool,
        quiet: bool = False,
        preview: Path | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """say: given the rows of a text as they are written; nobody is unless it is given."""
        self._say = say
        self._preview = preview  # the caller has seen to it that the name may be taken
        self._quiet = quiet
        self._lines = bar and not console.is_terminal  # a log file is told now and then that all is well
        self._told = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            redirect_stdout=say is None,  # rows of a text go to the standard output as they are, not above the bar
            disable=not (bar and console.is_terminal),
        )
        self._task = self._bar.add_task("starting", total=None)
        self._drawn = 0.0  # when the preview was last drawn
        self._written = False

    def __enter__(self) -> Callable[[Step], None]:
        self._bar.start()
        return self.step

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if kind is not None and self._written and self._preview is not None:
            self._preview.unlink(missing_ok=True)

    def step(self, step: Step) -> None:
        """Move the bar; draw the preview if it is time to; pass a row of a text on."""
        if _stop.asked.is_set():
            raise KeyboardInterrupt
        if step.line is not None and self._say is not None:
            self._bar.stop()  # the text has begun: it needs no bar any more
            self._say(step.line)
            return
        self._bar.update(self._task, description=step.stage or "working", completed=step.done, total=step.total or None)
        now = time.monotonic()
        if self._lines and now - self._told >= LINE_EVERY_S:
            done = f" {step.done / step.total:.0%}" if step.total else ""
            self._line(f"{step.stage or 'working'}{done}")
            self._told = now
        if self._preview is not None and step.preview is not None and now - self._drawn >= PREVIEW_EVERY_S:
            from danqing.artwork import image

            image.write(step.preview(), self._preview, force=True)
            if not (self._written or self._quiet):
                self._line(f"preview: {self._preview}")
            self._written = True
            self._drawn = time.monotonic()  # after the drawing, so that a slow disk does not eat the work's time

    def _line(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def stopped_between_steps(on_step: OnStep) -> Iterator[OnStep]:
    """While this lasts, a first Ctrl-C lets training end its step and save it; a second one stops at once."""
    asked = False

    def ask(number: int, frame: object) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    def step(now: Step) -> None:
        on_step(now)
        if asked:
            raise Cancelled("stopped; a checkpoint of the last step is in the run's folder: go on with --resume")

    if threading.current_thread() is not threading.main_thread():
        yield step
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield step
    finally:
        signal.signal(signal.SIGINT, before)
