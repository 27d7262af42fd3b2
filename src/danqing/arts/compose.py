"""Music by the models that ship with Danqing: new pieces, and pieces of one's own gone on with, harmonised, mended.

This file says what can be asked for and refuses what contradicts itself; `chorales` and `folk` make the music of their
styles, `sources` reads what a person brings, `composers` opens the models and knows the tunes that they learned from. A
piece that shares more than two bars of melody with one of those, in whatever key, is drawn again and never handed out.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from danqing.arts import Flag, Tools, check_choices
from danqing.arts.write import MOODS_ZH
from danqing.artwork.pitches import MODES, TONICS
from danqing.errors import BadRequest, UnknownName

if TYPE_CHECKING:
    from danqing.artwork.artwork import Artwork
    from danqing.artwork.music import Key, Score

MOST = 20  # works in one request
LEAST_BARS, MOST_BARS = 2, 64  # of a new piece, or of what is added to one
SLOWEST, FASTEST = 20.0, 300.0  # quarter notes a minute
TASKS = ("continue_", "harmonize", "infill", "restyle", "blend")  # what is done with a piece that is there
SLIDERS = ("density", "span", "syncopation")  # of a blend


@dataclass(frozen=True)
class Style:
    """A kind of music that can be asked for. One entry here and one file beside this one make a style."""

    module: str  # the file in `arts` that makes it: a function for each task, named as in `tasks`
    tasks: tuple[str, ...]  # "new" and those of TASKS
    modes: tuple[str, ...]
    metres: tuple[str, ...]
    kinds: Mapping[str, tuple[str, ...]]  # dances and the like: "jig" → the metres it is in


FOLK_METRES = ("2/4", "3/4", "4/4", "3/8", "6/8", "9/8", "12/8", "3/2")
DUPLE = ("2/4", "4/4")
PIANO_METRES = ("2/4", "3/4", "4/4", "6/4", "2/2", "3/2", "3/8", "6/8", "9/8", "12/8")
PIANO_TASKS = ("new", "continue_", "harmonize", "infill", "restyle")


def _piano(**kinds: tuple[str, ...]) -> Style:
    """Piano music after a composer; kinds: the forms that the composer wrote, and their metres."""
    return Style("piano", PIANO_TASKS, ("major", "minor"), PIANO_METRES, kinds)


STYLES: Mapping[str, Style] = {
    "chorale": Style(
        "chorales",
        ("new", "continue_", "harmonize", "infill", "restyle", "blend"),
        ("major", "minor"),
        ("4/4", "3/4"),
        {},
    ),
    "folk": Style(
        "folk",
        ("new", "continue_", "infill", "blend"),
        MODES,
        FOLK_METRES,
        {
            "reel": ("4/4", "2/4"), "jig": ("6/8",), "hornpipe": ("4/4", "2/4"), "slip-jig": ("9/8",),
            "waltz": ("3/4",), "march": ("4/4", "2/4", "6/8"), "polka": ("2/4",), "strathspey": ("4/4",),
            "air": FOLK_METRES, "carol": FOLK_METRES,
        },
    ),
    "mozart": _piano(sonata=PIANO_METRES),
    "haydn": _piano(sonata=PIANO_METRES),
    "beethoven": _piano(sonata=PIANO_METRES),
    "scarlatti": _piano(sonata=PIANO_METRES),
    "chopin": _piano(
        mazurka=("3/4",), waltz=("3/4",), polonaise=("3/4",), nocturne=("4/4", "6/8", "12/8", "2/4", "3/4"),
        prelude=PIANO_METRES, etude=PIANO_METRES, ballade=("6/8", "6/4"), scherzo=("3/4",),
    ),
    "pop": Style("pop", ("new", "continue_", "harmonize", "infill"), ("major", "minor"), ("4/4",), {}),
    "jazz": Style(
        "jazz",
        ("new",),
        ("major", "minor"),
        ("4/4",),
        dict.fromkeys(("blues", "minor-blues", "rhythm", "cycle", "modal", "minor"), ("4/4",)),
    ),
    "joplin": _piano(rag=("2/4",), march=("2/4", "6/8", "4/4"), waltz=("3/4",)),
}  # fmt: skip
CHARTED = ("jazz", "pop")  # styles that play from a chart of chords
ALIASES = {"bach": "chorale", "ragtime": "joplin", "rag": "joplin"} | {
    kind: f"folk:{kind}" for kind in STYLES["folk"].kinds
}
# What a mood asks for, where nothing else is said: mode, tempo (times the usual), kind of folk tune.
MOODS = {
    "joyful": ("major", 1.2, "jig"),
    "sad": ("minor", 0.75, "air"),
    "bold": ("major", 1.1, "march"),
    "longing": ("minor", 0.85, "air"),
    "calm": ("major", 0.8, "waltz"),
    "lonely": ("minor", 0.7, "air"),
}


@dataclass(frozen=True)
class Compose:
    """Music: a new piece, or one of yours gone on with, harmonised, filled in, restyled."""

    style: Annotated[
        str,
        Flag(
            "chorale (bach), folk, a dance: folk:jig, or piano music: mozart, haydn, beethoven, scarlatti, chopin, "
            "joplin, chopin:nocturne; pop; jazz, jazz:blues; that of the piece, or chorale, unless given",
            "NAME",
        ),
    ] = ""
    bars: Annotated[
        int | None,
        Flag(
            f"how many bars, {LEAST_BARS} to {MOST_BARS}; with --continue how many more, with --blend in all, 16", "N"
        ),
    ] = None
    key: Annotated[str, Flag("g-minor, Bb, d-dorian; one that suits style and mood unless given", "KEY")] = ""
    chart: Annotated[
        str, Flag('the chords of jazz and pop, "| Dm7 G7 | Cmaj7 |", or a text file of them', "CHORDS|FILE")
    ] = ""
    metre: Annotated[str, Flag("4/4, 3/4, 6/8 …; that of the style unless given", "BEATS/UNIT")] = ""
    tempo: Annotated[float | None, Flag("quarter notes a minute, 20 to 300", "BPM")] = None
    mood: Annotated[str, Flag("joyful, sad, bold, longing, calm or lonely", "NAME")] = ""
    continue_: Annotated[
        Path | None, Flag("a piece to go on with: MIDI, MusicXML, ABC, kern", "FILE", "--continue")
    ] = None
    harmonize: Annotated[Path | None, Flag("a melody to set for four voices", "FILE")] = None
    infill: Annotated[Path | None, Flag("a piece some bars of which are written anew", "FILE")] = None
    bars_range: Annotated[str, Flag("which bars --infill writes; all else stays as it is", "A:B")] = ""
    restyle: Annotated[Path | None, Flag("a piece to set in the style; its melody stays", "FILE")] = None
    blend: Annotated[tuple[Path, Path] | None, Flag("a new piece that goes from A to B", "FILE_A FILE_B")] = None
    density: Annotated[float | None, Flag("of a blend: fewer notes (-1) or more (1)", "N")] = None
    span: Annotated[float | None, Flag("of a blend: a narrower (-1) or a wider (1) melody", "N")] = None
    syncopation: Annotated[float | None, Flag("of a blend: less (-1) or more (1) against the beat", "N")] = None
    temperature: Annotated[
        float | None, Flag("0.1 plays it safe, 1 is as varied as the model, up to 2; chosen for the style", "T")
    ] = None
    model: Annotated[
        str, Flag("one of your own: a run's folder or run:NAME; the one that ships for the style unless given", "RUN")
    ] = ""
    count: Annotated[int, Flag("how many different works, up to 20", "N")] = 1
    seed: Annotated[int | None, Flag("the same seed gives the same music; a fresh one unless given", "N")] = None

    def __post_init__(self) -> None:
        check_choices(self)
        _check_numbers(self)
        _check_names(self)
        _check_together(self)

    @property
    def task(self) -> str:
        """ "new", or one of TASKS."""
        return next((task for task in TASKS if getattr(self, task) is not None), "new")

    @property
    def source(self) -> Path | None:
        """The piece that is worked on."""
        return None if self.task in ("new", "blend") else getattr(self, self.task)

    @property
    def manner(self) -> str:
        """The style without its kind; "" where none was given."""
        return self._named.partition(":")[0]

    @property
    def kind(self) -> str:
        """The kind of dance: "slip-jig"; "" where none was given."""
        return self._named.partition(":")[2]

    @property
    def feeling(self) -> str:
        """The mood in English: one of MOODS, or ""."""
        return MOODS_ZH.get(self.mood, self.mood)

    @property
    def range(self) -> tuple[int, int]:
        """The first and the last bar of --bars-range, counted from 1."""
        first, _, last = self.bars_range.partition(":")
        return int(first), int(last or first)

    @property
    def _named(self) -> str:
        name = self.style.strip().casefold().replace(" ", "-")
        return ALIASES.get(name, name)


def styles_of(model: str) -> tuple[str, ...]:
    """The styles that a model of the catalog writes."""
    module = {"chorale": "chorales"}.get(model, model)
    return tuple(name for name, style in STYLES.items() if style.module == module)


def create(request: Compose, tools: Tools) -> Artwork:
    """Meet a request for one work."""
    return create_all(request, tools)[0]


def create_all(request: Compose, tools: Tools) -> tuple[Artwork, ...]:
    """Meet the request: `count` works. Raises BadRequest, InvalidMedia or Unavailable before any long work begins."""
    from danqing.arts import composers
    from danqing.artwork.artwork import Artwork
    from danqing.artwork.provenance import Provenance, describe, parent
    from danqing.compute import seed as seeds

    seed = seeds.fresh() if request.seed is None else request.seed
    desk = composers.Desk(request, tools, seed)
    module = "blend" if request.blend else STYLES[desk.manner].module
    if desk.own:
        if request.blend or desk.manner not in styles_of(desk.own.places[0]):
            raise BadRequest(
                f"{request.model} is a model of the recipe {desk.own.recipe}, which "
                f"{'blends nothing' if request.blend else f'does not write {desk.manner}'}; leave --model out"
            )
        desk.note("by a model of your own; of its training only what ships is known, so copies of the rest go unseen")
    make = getattr(importlib.import_module(f"danqing.arts.{module}"), request.task)
    made: tuple[Score, ...] = make(desk)
    parents = tuple(parent("music", path) for path in request.blend or (request.source,) if path)
    facts = {**describe(request), "seed": seed, "model": desk.own.name if desk.own else ""}
    works = []
    for number, score in enumerate(made):
        own = {**facts, "number": number + 1} if request.count > 1 else facts
        provenance = Provenance("compose", own, seed, desk.models, parents, tuple(desk.notes))
        works.append(Artwork(score, provenance, title=score.title))
    return tuple(works)


# --- keys -------------------------------------------------------------------------------------------------------------


def read_key(text: str) -> Key:
    """A key as people write it: "g-minor", "G minor", "Gm", "Bb", "d-dorian", "降B大调". Raises BadRequest."""
    from danqing.artwork.music import ZERO, Key  # a score's many dataclasses would slow `--help` down

    plain = text.strip().replace("♭", "b").replace("♯", "#").replace("大调", " major").replace("小调", " minor")
    plain = re.sub(r"^([降升])([A-Ga-g])", lambda m: m[2] + {"降": "b", "升": "#"}[m[1]], plain)
    found = re.fullmatch(r"([A-Ga-g])(#|b|[\s-]?sharp|[\s-]?flat)?[\s_-]*([A-Za-z]*)", plain)
    how = "a key is a tonic and a mode, g-minor, Bb-major, d-dorian"
    if not found:
        raise BadRequest(f"--key is {text!r}; {how}")
    tonic = found[1].upper() + {"s": "#", "#": "#", "f": "b", "b": "b"}.get((found[2] or " ").strip("- ")[:1], "")
    word = found[3]
    mode = {"": "major", "m": "minor", "M": "major"}.get(word, "")
    mode = mode or next((m for m in MODES if len(word) > 2 and m.startswith(word.casefold())), "")
    if not mode:
        raise UnknownName("mode", word, MODES, see=f"{how}; modes are {', '.join(MODES)}")
    if tonic not in TONICS:
        raise BadRequest(f"--key is {text!r}; tonics are {', '.join(TONICS)}")
    return Key(ZERO, tonic, mode)


def read_metre(text: str) -> tuple[int, int]:
    """ "6/8" → (6, 8)."""
    beats, _, unit = text.partition("/")
    return int(beats), int(unit)


def bar_length(metre: tuple[int, int]) -> Fraction:
    """Quarter notes in a bar."""
    return Fraction(4 * metre[0], metre[1])


# --- what is refused --------------------------------------------------------------------------------------------------


def _check_numbers(request: Compose) -> None:
    if not 1 <= request.count <= MOST:
        raise BadRequest(f"--count is {request.count}; it lies between 1 and {MOST}")
    if request.bars is not None and not LEAST_BARS <= request.bars <= MOST_BARS:
        raise BadRequest(f"--bars is {request.bars}; it lies between {LEAST_BARS} and {MOST_BARS}")
    if request.tempo is not None and not SLOWEST <= request.tempo <= FASTEST:
        raise BadRequest(
            f"--tempo is {request.tempo:g}; it lies between {SLOWEST:g} and {FASTEST:g} quarter notes a minute"
        )
    if request.temperature is not None and not 0 < request.temperature <= 2:
        raise BadRequest(f"--temperature is {request.temperature}; it lies above 0 (safe) and up to 2 (wild)")
    for name in SLIDERS:
        value = getattr(request, name)
        if value is not None and request.blend is None:
            raise BadRequest(f"--{name} moves a blend, and no --blend FILE_A FILE_B was given")
        if value is not None and not -1 <= value <= 1:
            raise BadRequest(f"--{name} is {value:g}; it lies between -1 (less) and 1 (more)")
    if request.seed is not None and not 0 <= request.seed < 2**31:
        raise BadRequest(f"--seed is {request.seed}; it lies between 0 and {2**31 - 1}")
    if request.bars_range:
        if not re.fullmatch(r"\d{1,6}(:\d{1,6})?", request.bars_range.strip()):
            raise BadRequest(f"--bars-range is {request.bars_range!r}; it is the first and the last bar: 5:8")
        first, last = request.range
        if not 1 <= first <= last:
            raise BadRequest(
                f"--bars-range is {request.bars_range}; bars are counted from 1, the first is not after the last"
            )


def _check_names(request: Compose) -> None:
    if request.style:
        names = [*STYLES, *ALIASES]
        if request.manner not in STYLES:
            raise UnknownName("style", request.style, names, see="danqing compose --help")
        kinds = STYLES[request.manner].kinds
        if request.kind and request.kind not in kinds:
            raise UnknownName(f"kind of {request.manner}", request.kind, kinds, see="danqing compose --help")
    if request.mood and request.feeling not in MOODS:
        raise UnknownName("mood", request.mood, [*MOODS, *MOODS_ZH], see="danqing compose --help")
    if request.key:
        key, manner = read_key(request.key), request.manner or "chorale"
        if request.style and key.mode not in STYLES[manner].modes:
            raise BadRequest(
                f"--key {request.key} and --style {request.style} contradict each other: a {manner} is in "
                f"{' or '.join(STYLES[manner].modes)}"
            )
    if request.metre:
        known = STYLES[request.manner or "folk"].metres
        if request.metre not in known:
            raise BadRequest(f"--metre is {request.metre!r}; with this style it is one of {', '.join(known)}")
        if request.kind and request.metre not in STYLES[request.manner].kinds[request.kind]:
            fits = " or ".join(STYLES[request.manner].kinds[request.kind])
            raise BadRequest(f"--metre is {request.metre} and a {request.kind} is in {fits}; leave one of them out")


def _check_together(request: Compose) -> None:
    """Flags that contradict each other; the message names the two."""
    given = [f"--{task.rstrip('_')}" for task in TASKS if getattr(request, task) is not None]
    if len(given) > 1:
        raise BadRequest(f"{given[0]} and {given[1]} are two things to do; ask for one at a time")
    if request.bars_range and request.infill is None:
        raise BadRequest("--bars-range says which bars --infill FILE writes anew, and no --infill was given")
    if request.infill is not None and not request.bars_range:
        raise BadRequest("--infill was given without --bars-range A:B, the bars to write anew: --bars-range 5:8")
    if request.chart and request.manner not in CHARTED:
        style = f"--style {request.style}" if request.style else "no --style"
        raise BadRequest(f"--chart was given with {style}; charts go with --style {' or '.join(CHARTED)}")
    if request.task == "new":
        return
    if request.chart and request.task == "infill":
        raise BadRequest("--infill keeps the chords of the bars and --chart was given; leave one of them out")
    name = f"--{request.task.rstrip('_')}"
    if request.bars is not None and request.task not in ("continue_", "blend"):
        raise BadRequest(f"{name} keeps the piece as long as it is and --bars is {request.bars}; leave one of them out")
    for flag in ("metre", "mood"):
        if getattr(request, flag):
            raise BadRequest(f"{name} keeps the metre and mood of the piece, and --{flag} was given; leave one out")
    if request.manner and request.task not in STYLES[request.manner].tasks:
        able = [style for style, entry in STYLES.items() if request.task in entry.tasks]
        raise BadRequest(f"{name} does not go with --style {request.style}; it goes with --style {' or '.join(able)}")
