"""The verbs `suite`, one idea as several works, and `evolve`, rounds of candidates that follow a person's taste."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from danqing.arts import Flag, request_class
from danqing.interfaces._verbs import Voice, verb


@dataclass(frozen=True)
class KeepingSuite:
    """Where a suite goes."""

    output: Annotated[
        Path | None,
        Flag("the folder for it; one beside the shelf unless given", "FOLDER", "-o,--output"),
    ] = None
    force: Annotated[bool, Flag("replace files that are there already")] = False


def register() -> None:
    """Make the verbs."""
    asked = request_class("suite")
    verb("suite", asked, KeepingSuite, help=(asked.__doc__ or "").strip())(suite)


def suite(voice: Voice, asked: Any, keeping: KeepingSuite) -> None:
    """Make a suite, put its works on the shelf and the folder where it is wanted."""
    from danqing.arts import suite as art
    from danqing.arts import suite_page
    from danqing.artwork.shelf import default_home

    if keeping.output is not None:
        suite_page.check_folder(keeping.output, force=keeping.force)
    mood = asked.mood()
    quiet = voice.common.quiet or voice.common.json
    if not quiet:
        voice.note(_heard(mood, asked.tongue))
    from danqing import studio
    from danqing.compute import memory
    from danqing.interfaces._progress import Watch

    memory.keep_freed()
    start = time.perf_counter()
    with Watch(voice.err, bar=not quiet, quiet=voice.common.quiet) as on_step:
        made = studio.create_all(asked, on_step=on_step)
    works = art.parts([creation.artwork for creation in made])
    name = works["poem"].provenance.request["suite"]["name"]
    folder = keeping.output or default_home() / "suites" / name
    written = suite_page.publish(works, folder, force=keeping.force or keeping.output is None)
    facts = {
        "folder": str(folder),
        "page": str(folder / "index.html"),
        "files": [str(path) for path in written],
        "mood": mood.as_dict(),
        "works": {role: made[number].work.id for number, role in enumerate(art.ROLES)},
        "text": str(works["poem"].content),
        "seed": made[0].artwork.provenance.seed,
        "seconds": round(time.perf_counter() - start, 1),
    }

    def show() -> None:
        voice.say(facts["text"] + "\n")
        for work in works.values():
            for remark in work.provenance.notes[:-1]:  # the last one names the suite
                voice.note(remark)
        voice.say(facts["page"])
        on_shelf = ", ".join(f"{role} {ident}" for role, ident in facts["works"].items())
        voice.note(f"seed {facts['seed']}, {facts['seconds']} s, on the shelf: {on_shelf}")

    voice.result(facts, show)


def _heard(mood: Any, language: str) -> str:
    """The mood in a line, with the words of the idea that it was read from."""
    numbers = ", ".join(f"{name} {getattr(mood, name):+.2f}" for name in ("valence", "arousal", "density"))
    words = dict.fromkeys(word for found in mood.heard.values() for word in found)
    read = f", from: {'、'.join(words) if language == 'zh' else ', '.join(words)}" if words else ""
    return f"mood: {mood.sentence(language)} ({numbers}){read}"
