"""The verb `lesson`: an explanation in steps, run in the terminal or written as a page or a film."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from danqing.arts import Flag
from danqing.interfaces._flags import settings
from danqing.interfaces._verbs import Voice, table, verb

if TYPE_CHECKING:
    from danqing.lessons import Control, Frame, Lesson, Text

HEADS = {
    "en": {"see": "What you see", "try": "What to try", "means": "What it means", "paper": "Where it is from"},
    "zh": {"see": "你看到的", "try": "试一试", "means": "这说明什么", "paper": "出处"},
}
LINES = 12  # that a run is told in, at most


def register() -> None:
    """Add the verb to the command line."""
    verb("lesson", Ask, help="An interactive explanation: how the machine makes what it makes, shown on small things.")(
        lesson
    )


@dataclass(frozen=True)
class Ask:
    """Which lesson, how its controls stand, and where it goes."""

    name: Annotated[str, Flag("which lesson; a list of them unless given", "[NAME]", argument=True)] = ""
    set: Annotated[tuple[str, ...], Flag("a control of the lesson; repeat: penalty=0", "KEY=VALUE", "--set")] = ()
    seed: Annotated[int | None, Flag("the same seed shows the same", "N")] = None
    language: Annotated[Literal["en", "zh"], Flag("of what is said")] = "en"
    output: Annotated[
        Path | None, Flag("write the run as a page that plays it (.html) or a film (.gif, .mp4)", "FILE", "-o,--output")
    ] = None
    force: Annotated[bool, Flag("replace a file that is there already")] = False


def lesson(voice: Voice, asked: Ask) -> None:
    """List the lessons, or give one."""
    from danqing import lessons

    if not asked.name:
        _list(voice, [lessons.get(name) for name in lessons.names()], asked.language)
        return
    chosen = lessons.get(asked.name)
    controls = chosen.read(settings(asked.set, "--set", "penalty=0"))
    seed = lessons.SEED if asked.seed is None else asked.seed
    if asked.output:
        from danqing.lessons import film

        film.check_output(asked.output, force=asked.force)
    _explain(voice, chosen, asked.language)
    frames = _run(voice, chosen, controls, seed, asked.language)
    if asked.output:
        _write(voice, chosen, frames, (controls, seed), asked)
    last: Frame = next((frame for frame in reversed(frames) if "figures" in frame), {"figures": {}})
    names = {name: said[asked.language] for name, said in frames[0]["scene"]["figures"].items()}

    def show() -> None:
        rows = [(names[name], f"{value:.4g}") for name, value in last["figures"].items()]
        table(voice, ("figure", "at the end"), rows)
        if asked.output:
            voice.say(str(asked.output))

    told = {"lesson": chosen.name, "controls": controls, "seed": seed, "frames": len(frames) - 1,
            "figures": last["figures"], "path": str(asked.output) if asked.output else None}  # fmt: skip
    voice.result(told, show)


def _list(voice: Voice, known: list[Lesson], language: str) -> None:
    def show() -> None:
        rows = [(each.name, _in(each.title, language), _in(each.summary, language)) for each in known]
        table(voice, ("lesson", "title", "what it shows"), rows)
        voice.note("one of them: danqing lesson NAME; as a page that plays it: danqing lesson NAME -o FILE.html")

    voice.result({"lessons": [each.as_dict() for each in known]}, show)


def _explain(voice: Voice, chosen: Lesson, language: str) -> None:
    """Title, passages and controls, for people."""
    if voice.common.json or voice.common.quiet:
        return
    voice.say(_in(chosen.title, language))
    for part in chosen.passages:
        voice.say(f"\n{HEADS[language][part.kind]}: {_in(part.text, language)}")
    voice.say("")
    rows = [(c.name, str(c.as_dict()["default"]), _range(c), _in(c.label, language)) for c in chosen.controls]
    table(voice, ("--set", "default", "values", "what it is"), rows)
    voice.say("")


def _range(control: Control) -> str:
    from danqing.lessons import Choice

    if isinstance(control, Choice):
        return ", ".join(value for value, _ in control.options)
    return f"{control.low:g} to {control.high:g}"


def _run(voice: Voice, chosen: Lesson, controls: dict[str, Any], seed: int, language: str) -> list[Frame]:
    """The frames of a run, a few of them told as they come."""
    from danqing import lessons
    from danqing.artwork.request import Step
    from danqing.interfaces._progress import Watch

    frames: list[Frame] = []
    told = -1
    watching = not (voice.common.quiet or voice.common.json)
    with Watch(voice.err, bar=watching, quiet=voice.common.quiet) as on_step:

        def on_frame(frame: Frame) -> None:
            nonlocal told
            frames.append(frame)
            if "scene" in frame:
                return
            on_step(Step(frame["step"], frame["of"], chosen.name))
            part = LINES * frame["step"] // max(1, frame["of"])
            if watching and part > told and "say" in frame:
                told = part
                voice.say(f"{frame['step']:>6}  {frame['say'][language]}")

        lessons.run(chosen.name, controls, seed, on_frame)
    return frames


def _write(voice: Voice, chosen: Lesson, frames: list[Frame], asked: tuple[dict[str, Any], int], ask: Ask) -> None:
    """The run as a file."""
    from danqing.artwork import files, video
    from danqing.artwork.provenance import Provenance
    from danqing.interfaces._progress import Watch
    from danqing.lessons import film

    assert ask.output is not None
    controls, seed = asked
    suffix = ask.output.suffix.lower()
    if suffix == ".html":
        data = film.page(chosen, frames, controls, seed).encode()
    else:
        watching = not (voice.common.quiet or voice.common.json)
        with Watch(voice.err, bar=watching, quiet=voice.common.quiet) as on_step:
            seen = film.film(frames, ask.language, on_step)
        provenance = Provenance("lesson", {"name": chosen.name, **controls, "seed": seed}, seed)
        data = video.encode_bytes(seen, suffix, provenance, title=_in(chosen.title, ask.language))
    files.write(data, ask.output, force=ask.force)


def _in(text: Text, language: str) -> str:
    return text.zh if language == "zh" else text.en
