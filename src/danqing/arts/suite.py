"""One idea as a poem, a painting and a piece of music that belong together, and a film of the three.

What makes them belong is one explicit mood (`encode.mood`): read from the idea's words, changed by whoever likes, and
turned into the settings of `write`, `paint` and `compose`. Of several poems and pieces the one that comes nearest to
the mood is kept, as it is measured by `appraisal`, which shares no code with what made them. The film shows the
painting as it came to be (`suite_film`); the page lays all of it out (`suite_page`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from danqing.arts import Flag, Tools, check_choices
from danqing.artwork.request import OnStep, Step
from danqing.errors import BadRequest

if TYPE_CHECKING:
    from danqing.artwork.artwork import Artwork
    from danqing.artwork.image import Picture
    from danqing.artwork.literature import Writing
    from danqing.artwork.provenance import Provenance
    from danqing.encode.mood import Mood

LONGEST = 200  # characters of an idea
SMALLEST, LARGEST = 256, 2048  # px
TRIES = 3  # poems and pieces of music of which the nearest to the mood is kept
GRAIN = 0.1  # mean difference of neighbouring pixels above which a picture is noise
STAGES = 5  # pictures of a painting on its way, at most
ROLES = ("poem", "painting", "music", "film")  # in the order in which they are made
_SHARES = {"poem": (0.0, 0.2), "painting": (0.2, 0.65), "music": (0.65, 0.8), "film": (0.8, 1.0)}


@dataclass(frozen=True)
class Suite:
    """One idea as a poem, a painting, a piece of music and a film that share one mood."""

    idea: Annotated[
        str, Flag("what it is about, 中文 or English: 秋夜江上的孤舟, 'a quiet harbour at dusk'", "IDEA", argument=True)
    ]
    language: Annotated[
        Literal["zh", "en"] | None, Flag("of the poem: zh or en; that of the idea unless given", "zh|en")
    ] = None
    valence: Annotated[float | None, Flag("from -1 (sorrow) to 1 (joy); read from the idea unless given", "N")] = None
    arousal: Annotated[float | None, Flag("from -1 (still) to 1 (stirred); read from the idea unless given", "N")] = (
        None
    )
    density: Annotated[float | None, Flag("from -1 (bare) to 1 (full); read from the idea unless given", "N")] = None
    season: Annotated[
        Literal["spring", "summer", "autumn", "winter"] | None, Flag("read from the idea unless given")
    ] = None
    time: Annotated[Literal["dawn", "day", "dusk", "night"] | None, Flag("read from the idea unless given")] = None
    style: Annotated[
        str | None, Flag("of the painting: a style's name; one that suits the mood unless given", "NAME")
    ] = None
    music: Annotated[str, Flag("of the music, as in compose --style; one that suits the mood unless given", "NAME")] = (
        ""
    )
    form: Annotated[str, Flag("of the poem, as in write --form; one that suits the mood unless given", "FORM")] = ""
    size: Annotated[int, Flag(f"longer side of the painting, {SMALLEST} to {LARGEST} px", "N")] = 768
    seed: Annotated[int | None, Flag("the same seed gives the same suite; a fresh one unless given", "N")] = None

    def __post_init__(self) -> None:
        check_choices(self)
        if not any(char.isalnum() for char in self.idea):
            raise BadRequest("the idea is empty; say in a few words what the suite is about: 秋夜江上的孤舟")
        if len(self.idea) > LONGEST:
            raise BadRequest(f"the idea has {len(self.idea)} characters; {LONGEST} are read at most. Shorten it")
        if not SMALLEST <= self.size <= LARGEST:
            raise BadRequest(f"--size is {self.size}; it lies between {SMALLEST} and {LARGEST} px")
        if self.seed is not None and not 0 <= self.seed < 2**31:
            raise BadRequest(f"--seed is {self.seed}; it lies between 0 and {2**31 - 1}")
        self.mood()  # refuses numbers that lie outside
        self._parts(0)  # refuses a style of music, a form or words that its art refuses

    @property
    def tongue(self) -> str:
        """The language of the poem: "zh" or "en"."""
        from danqing.artwork.literature import language_of

        return self.language or language_of(self.idea)

    def mood(self) -> Mood:
        """The mood that the works share: the idea's, with what was given instead."""
        from danqing.appraisal import imagery
        from danqing.artwork.literature import language_of
        from danqing.encode import mood

        found = imagery.found_in(self.idea, language_of(self.idea))
        given = {name: getattr(self, name) for name in (*mood.NUMBERS, "season", "time")}
        return mood.read(self.idea, found.moods).changed(**given)

    def _parts(self, seed: int) -> tuple[Any, Any, Any]:
        """The requests to write, paint and compose."""
        from danqing.arts.compose import Compose
        from danqing.arts.paint import Paint
        from danqing.arts.write import Write
        from danqing.encode import mood as moods

        mood = self.mood()
        words = moods.writing(self.idea, mood, self.tongue)
        picture = moods.painting(self.idea, mood, self.tongue)
        notes = moods.music(mood)
        if self.form:
            words["form"] = self.form
        if self.music:
            notes = {"style": self.music, "key": notes["key"], "tempo": notes["tempo"], "bars": notes["bars"]}
        if self.style:
            picture["style"] = self.style
        return (
            Write(**words, count=TRIES, seed=seed),
            Paint(**picture, size=self.size, seed=seed),
            Compose(**notes, count=TRIES, seed=seed),
        )


def create_all(request: Suite, tools: Tools) -> tuple[Artwork, ...]:
    """The poem, the painting, the music and the film, in this order. Raises BadRequest before any long work begins."""
    from danqing.arts import policy
    from danqing.compute import seed as seeds

    policy.check(request.idea)
    seed = seeds.fresh() if request.seed is None else request.seed
    if request.style:
        tools.styles.style(request.style)  # refuses an unknown one now, not after the poem
    made = _Making(replace(request, seed=seed), tools)
    made.poem()
    made.painting()
    made.music()
    made.film()
    return tuple(made.works)


class _Making:
    """The works as they come, each knowing those before it."""

    def __init__(self, request: Suite, tools: Tools) -> None:
        assert request.seed is not None
        self.request, self.tools, self.seed = request, tools, request.seed
        self.mood = request.mood()
        self.asked = request._parts(self.seed)
        self.works: list[Artwork] = []
        self.stages: list[Picture] = []

    def poem(self) -> None:
        """Of some poems the one that says most of the idea and feels most like it."""
        from danqing.arts import write

        poems = write.create_all(self.asked[0], self._tools("poem"))
        best = max(poems, key=lambda work: _told(str(work.content), self.request, self.mood))
        titled = replace(cast("Writing", best.content), title=self.request.idea.strip(" 。.，,"))
        self._keep("poem", replace(best, content=titled, title=self.request.idea))

    def painting(self) -> None:
        """The painting, and the pictures on its way."""
        from danqing.arts import paint

        self._keep("painting", paint.create(self.asked[1], self._tools("painting", self._look)))
        self.stages = [*self.stages[:STAGES], self.works[-1].content]  # type: ignore[list-item]

    def music(self) -> None:
        """Of some pieces the one whose measured mood is nearest."""
        from danqing.arts import compose

        pieces = compose.create_all(self.asked[2], self._tools("music"))
        self._keep("music", min(pieces, key=lambda work: _apart(work.content, self.mood)))

    def film(self) -> None:
        """The film of the three."""
        from danqing.arts.suite_film import film
        from danqing.artwork.artwork import Artwork
        from danqing.artwork.provenance import Provenance, describe

        poem, _, music = (work.content for work in self.works)
        made = film(self.stages, poem, music, self.seed, self._tools("film").on_step)  # type: ignore[arg-type]
        models = {name: digest for work in self.works for name, digest in work.provenance.models.items()}
        notes = () if made.lettered else ("no font of this system has the poem's characters: the film leaves them out",)
        origin = Provenance("suite", {**describe(self.request)}, self.seed, models, (), notes)
        self._keep("film", Artwork(made.video, origin, title=self.request.idea))

    def _keep(self, role: str, work: Artwork) -> None:
        """Note in a work's history that it is part of a suite, in which mood, and with which others."""
        from danqing.artwork.provenance import Parent

        told = {
            "role": role,
            "seed": self.seed,
            # without the words that it was read from: who leaves the prompt out leaves them out
            "mood": {key: value for key, value in self.mood.as_dict().items() if key != "heard"},
            "name": suite_name(self.request),
        }
        origin = work.provenance
        siblings = tuple(
            Parent("sibling", f"{ROLES[n]}{SUFFIXES[ROLES[n]]}", _digest(other)) for n, other in enumerate(self.works)
        )
        note = f"{role} of the suite {told['name']}: {self.mood.sentence('en')}"
        self.works.append(
            replace(
                work,
                provenance=replace(
                    origin,
                    request={**origin.request, "idea": self.request.idea, "suite": told},
                    parents=(*origin.parents, *siblings),
                    notes=(*origin.notes, note),
                ),
            )
        )

    def _tools(self, role: str, look: Callable[[Step], None] | None = None) -> Tools:
        return replace(self.tools, on_step=_part(self.tools.on_step, role, look))

    def _look(self, step: Step) -> None:
        """Keep a picture of each stage of the painting."""
        import numpy as np

        if step.preview is None or len(self.stages) > STAGES:
            return
        picture = step.preview()
        if np.abs(np.diff(picture.pixels, axis=1)).mean() > GRAIN:  # the strokes' first guess is noise, no picture
            return
        last = self.stages[-1].pixels if self.stages else None
        if last is None or last.shape != picture.pixels.shape or np.abs(last - picture.pixels).mean() >= 1e-3:
            self.stages.append(picture)


SUFFIXES: Mapping[str, str] = {"poem": ".txt", "painting": ".png", "music": ".musicxml", "film": ".mp4"}  # on the shelf


_KEPT = {"text": ".txt", "picture": ".png", "music": ".musicxml", "video": ".mp4"}  # by medium


def suite_name(request: Suite) -> str:
    """A short name that the works of a suite share, of its request and seed."""
    from danqing.artwork.provenance import describe

    return hashlib.sha256(json.dumps(describe(request), sort_keys=True).encode()).hexdigest()[:8]


def _digest(work: Artwork) -> str:
    """The SHA-256 of the work's file as the shelf keeps it."""
    return hashlib.sha256(work.encode(_KEPT[work.media])).hexdigest()


def _part(on_step: OnStep, role: str, look: Callable[[Step], None] | None) -> OnStep:
    """Steps of one work as steps of the whole suite."""
    first, last = _SHARES[role]
    furthest = first

    def step(now: Step) -> None:
        nonlocal furthest
        if look is not None:
            look(now)
        share = now.done / now.total if now.total else 0.0
        furthest = max(furthest, first + (last - first) * min(1.0, share))
        stage = f"{role}: {now.stage}" if now.stage and now.stage != role else role
        on_step(Step(round(1000 * furthest), 1000, stage, now.preview, now.line if role == "poem" else None))

    return step


# --- which of several ------------------------------------------------------------------------------------------------


def _told(text: str, request: Suite, mood: Mood) -> float:
    """How much of the idea a poem says, and how near its words are to the mood."""
    from danqing.appraisal import imagery
    from danqing.encode import mood as moods

    language = request.tongue
    wanted, found = imagery.found_in(request.idea, language), imagery.found_in(text, language)
    said = sum(image in found.images for image in wanted.images) / max(1, len(wanted.images))
    felt = moods.read(text, found.moods)
    apart = abs(felt.valence - mood.valence) + abs(felt.arousal - mood.arousal)
    astray = felt.season != mood.season and "season" in felt.heard
    return said - 0.3 * apart - 0.4 * astray


def _apart(score: Any, mood: Mood) -> float:
    """How far the measured mood of a piece is from the one that was asked for."""
    from danqing.appraisal import music

    report = music.appraise(score)
    density = report.mood.features.get("density", 0.0)
    rest = max(0.0, report.melody.longest_rest - 4) / 4  # a bar of silence is a hole
    return (
        abs(report.mood.valence - mood.valence)
        + abs(report.mood.arousal - mood.arousal)
        + 0.5 * abs(density - mood.density)
        + rest
    )


def mood_of(provenance: Provenance) -> Mapping[str, Any] | None:
    """The mood of a suite's work as it was noted; None where the work is of no suite."""
    told = provenance.request.get("suite")
    return told["mood"] if isinstance(told, dict) else None


def parts(works: Sequence[Artwork]) -> dict[str, Artwork]:
    """The works of a suite by role."""
    return {work.provenance.request["suite"]["role"]: work for work in works}
