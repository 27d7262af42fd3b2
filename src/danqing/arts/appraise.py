"""What a text is: judged by rules that are stated here once more, not by the code that wrote it.

The form is found, every rule of it is said to be kept or broken line by line, with tones and rhymes under the text;
then images and moods, what of it stands in the poems that the poet learned from, and how likely the poet finds it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from danqing.arts import Flag, Tools, check_choices
from danqing.artwork.request import Step
from danqing.errors import BadRequest

if TYPE_CHECKING:
    from danqing.appraisal.literature import Report


@dataclass(frozen=True)
class Appraise:
    """What a text is: its form and every rule of it, kept or broken; its images; what of it was there before."""

    files: Annotated[tuple[Path, ...], Flag("texts to judge: .txt, .md or .docx", "FILE", argument=True)]
    form: Annotated[
        str, Flag("the form it is meant to have, 七律 or 词:浣溪沙 or sonnet; found out unless given", "FORM")
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
            raise BadRequest("no file was given; name a text to judge: danqing appraise poem.txt")


def report(request: Appraise, tools: Tools) -> tuple[Report, ...]:
    """One report for each file. Raises InvalidMedia where one is no text, UnknownName for an unknown form."""
    from danqing.appraisal import literature
    from danqing.arts import writers
    from danqing.artwork.literature import read
    from danqing.encode.prosody import Prosody

    sounds = Prosody.load(book=request.rhyme)
    tunes = writers.tunes()
    form = writers.known_form(request.form) if request.form else ""
    catalog = tools.styles.catalog
    found = []
    for number, path in enumerate(request.files):
        tools.on_step(Step(number, len(request.files), f"reading {path.name}"))
        plain = writers.simplified(read(path))
        told = literature.appraise(plain, sounds, form=form, tunes=tunes, origins=writers.origins(catalog))
        found.append(dataclasses.replace(told, perplexity=writers.perplexity(catalog, told)))
    return tuple(found)
