"""One file for each lesson: a technique of this project at work on something small enough to watch, explained in steps.

A lesson has a title and an explanation in English and Chinese, controls to turn, and `run(asked, seed, on_frame)`,
which tells what happens in frames of plain JSON (`stage`): points, fields, curves, pictures, notes, characters. The
page, the terminal and the writer of files (`film`) show the same frames. Nothing heavy is imported before one runs.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from danqing.errors import BadRequest, UnknownName

NAMES = ("gan", "collapse", "latent", "style-layers", "flow", "reward", "form", "attention")
SEED = 7  # of a lesson that nobody gave another

Frame = dict[str, Any]  # see `stage`
OnFrame = Callable[[Frame], None]  # stops the run by raising `errors.Cancelled`
Asked = Mapping[str, Any]  # every control by its name


@dataclass(frozen=True)
class Text:
    """Something said in both languages."""

    en: str
    zh: str

    def as_dict(self) -> dict[str, str]:
        """As JSON."""
        return {"en": self.en, "zh": self.zh}


@dataclass(frozen=True)
class Passage:
    """One part of an explanation."""

    kind: str  # "see", "try", "means" or "paper"
    text: Text


@dataclass(frozen=True)
class Slider:
    """A control that is a number."""

    name: str
    label: Text
    default: float
    low: float
    high: float
    step: float  # 1 with a whole `low`: whole numbers only
    help: Text = Text("", "")
    log: bool = False  # whether equal ways on the slider are equal ratios

    @property
    def whole(self) -> bool:
        """Whether it is a whole number."""
        return all(float(value).is_integer() for value in (self.step, self.low, self.default))

    def read(self, given: Any) -> float | int:
        """The value that was given, as a number or as text; raises BadRequest."""
        try:
            value = float(given)
        except (TypeError, ValueError):
            value = math.nan
        fits = self.low <= value <= self.high and (not self.whole or value.is_integer())
        if isinstance(given, bool) or not fits:
            kind = "a whole number" if self.whole else "a number"
            raise BadRequest(f"{self.name} is {given!r}; it is {kind} between {self.low:g} and {self.high:g}")
        return int(value) if self.whole else value

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        kind = "int" if self.whole else "float"
        default = int(self.default) if self.whole else self.default
        return {
            "name": self.name, "kind": kind, "label": self.label.as_dict(), "help": self.help.as_dict(),
            "default": default, "low": self.low, "high": self.high, "step": self.step, "log": self.log,
        }  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """A control that is one of a few words."""

    name: str
    label: Text
    default: str
    options: tuple[tuple[str, Text], ...]
    help: Text = Text("", "")

    def read(self, given: Any) -> str:
        """The value that was given; raises BadRequest with the nearest."""
        known = [value for value, _ in self.options]
        if str(given) not in known:
            raise UnknownName(self.name, str(given), known, f"one of {', '.join(known)}")
        return str(given)

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        options = [{"value": value, "label": label.as_dict()} for value, label in self.options]
        return {
            "name": self.name, "kind": "choice", "label": self.label.as_dict(), "help": self.help.as_dict(),
            "default": self.default, "choices": options,
        }  # fmt: skip


Control = Slider | Choice


@dataclass(frozen=True)
class Lesson:
    """A lesson as the doors see it."""

    name: str
    title: Text
    summary: Text  # one sentence for the list
    passages: tuple[Passage, ...]
    controls: tuple[Control, ...]
    run: Callable[[Asked, int, OnFrame], None]  # every control, a seed, who watches

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Every control: as given, else as it is by default. Raises UnknownName, BadRequest."""
        known = {control.name: control for control in self.controls}
        for name in given:
            if name not in known:
                raise UnknownName("control", name, known, f"the controls of {self.name}: {', '.join(known)}")
        return {name: c.read(given.get(name, c.default)) for name, c in known.items()}

    def as_dict(self) -> dict[str, Any]:
        """Everything but the run, as JSON."""
        return {
            "name": self.name,
            "title": self.title.as_dict(),
            "summary": self.summary.as_dict(),
            "passages": [{"kind": part.kind, "text": part.text.as_dict()} for part in self.passages],
            "controls": [control.as_dict() for control in self.controls],
            "seed": SEED,
        }


def passages(see: Text, attempt: Text, means: Text, paper: Text) -> tuple[Passage, ...]:
    """What one sees, what to try, what it means, which paper it is from."""
    return (Passage("see", see), Passage("try", attempt), Passage("means", means), Passage("paper", paper))


def names() -> tuple[str, ...]:
    """Every lesson, in the order in which they are best taken."""
    return NAMES


def get(name: str) -> Lesson:
    """The lesson of this name; raises UnknownName with the nearest."""
    if name not in NAMES:
        raise UnknownName("lesson", name, NAMES, "danqing lesson")
    lesson: Lesson = importlib.import_module(f"danqing.lessons.{name.replace('-', '_')}").LESSON
    return lesson


def run(name: str, given: Mapping[str, Any], seed: int, on_frame: OnFrame) -> None:
    """Run a lesson: its first frame is the scene, the others what happens on it. The same seed tells the same.

    Raises UnknownName or BadRequest before anything is computed; whatever `on_frame` raises stops the run.
    """
    lesson = get(name)
    asked = lesson.read(given)
    if not 0 <= seed < 2**31:
        raise BadRequest(f"seed is {seed}; it lies between 0 and {2**31 - 1}")
    import torch

    with torch.random.fork_rng(devices=[]):  # nets draw their first weights from the global generator
        torch.manual_seed(seed)
        lesson.run(asked, seed, on_frame)
