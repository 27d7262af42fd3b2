"""What a text or a piece of music is: judged by rules that are stated here once more, not by the code that made it.

Of a text the form is found, every rule of it is said to be kept or broken line by line, with tones and rhymes under the
text; then images and moods, what of it stands in the poems that the poet learned from, and how likely the poet finds
it. Of music key, metre, chords, cadences, form, melody and mood, the rules of four parts with the bars that break them,
and what of its melody stands in the tunes that the models learned from. The suffix says which of the two a file is.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from danqing.arts import Flag, Tools, check_choices
from danqing.artwork.request import Step
from danqing.errors import BadRequest

if TYPE_CHECKING:
    from danqing.arts import Report
    from danqing.encode.prosody import Prosody

MUSIC = (".mid", ".midi", ".musicxml", ".xml", ".mxl", ".abc", ".krn", ".json")  # every other file is a text


@dataclass(frozen=True)
class Appraise:
    """What a text or a piece of music is: its form, the rules kept and broken, what of it was there before."""

    files: Annotated[
        tuple[Path, ...],
        Flag("texts (.txt .md .docx) or music (.mid .musicxml .abc …) to judge", "FILE", argument=True),
    ]
    form: Annotated[
        str, Flag("the form that a text is meant to have, 七律 or 词:浣溪沙 or sonnet; found out unless given", "FORM")
    ] = ""
    rhyme: Annotated[
        Literal["pingshui", "modern"], Flag("the rhyme book: 平水韵, by which poets wrote, or today's 中华新韵")
    ] = "pingshui"
    language: Annotated[
        Literal["zh", "en"] | None, Flag("the report's language: zh or en; the text's own unless given", "zh|en")
    ] = None

    def __post_init__(self) -> None:
        check_choices(self)
        if not self.files:
            raise BadRequest("no file was given; name a text or a piece of music: danqing appraise poem.txt")
        music = next((path for path in self.files if path.suffix.lower() in MUSIC), None)
        if music is not None and (self.form or self.rhyme != "pingshui"):
            flag = "--form" if self.form else "--rhyme"
            raise BadRequest(f"{flag} is for texts and {music.name} is music; leave one of them out")


def report(request: Appraise, tools: Tools) -> tuple[Report, ...]:
    """One report for each file. Raises InvalidMedia where one is neither, UnknownName for an unknown form."""
    judge = _Judge(request, tools)
    found: list[Report] = []
    for number, path in enumerate(request.files):
        tools.on_step(Step(number, len(request.files), f"reading {path.name}"))
        found.append(judge.music(path) if path.suffix.lower() in MUSIC else judge.text(path))
    return tuple(found)


@dataclass
class _Judge:
    request: Appraise
    tools: Tools

    @cached_property
    def sounds(self) -> Prosody:
        """The rhyme book, opened when the first text comes."""
        from danqing.encode.prosody import Prosody

        return Prosody.load(book=self.request.rhyme)

    def text(self, path: Path) -> Report:
        from danqing.appraisal import literature
        from danqing.arts import writers
        from danqing.artwork.literature import read

        asked, catalog = self.request, self.tools.styles.catalog
        form = writers.known_form(asked.form) if asked.form else ""
        told = literature.appraise(
            writers.simplified(read(path)),
            self.sounds,
            form=form,
            tunes=writers.tunes(),
            origins=writers.origins(catalog),
        )
        return dataclasses.replace(told, perplexity=writers.perplexity(catalog, told))

    def music(self, path: Path) -> Report:
        from danqing.appraisal import music
        from danqing.arts import composers
        from danqing.artwork import scores

        return music.appraise(scores.read(path), composers.known(self.tools.styles.catalog))
