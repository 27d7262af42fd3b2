"""The verbs `suite`, one idea as several works, and `evolve`, rounds of candidates that follow a person's taste."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from danqing.arts import Flag, request_class
from danqing.errors import BadRequest
from danqing.interfaces._flags import parameters, request_from, with_signature
from danqing.interfaces._verbs import Common, Voice, app, later, verb

if TYPE_CHECKING:
    from danqing.sessions.rounds import Candidate, Session
    from danqing.sessions.taste import Taste

ARTS = (
    "paint",
    "compose",
    "write",
    "stylize",
    "sketch",
    "explore",
)  # those of sessions.rounds, which is not imported for help
VARIED = ("count", "seed")  # fields of an art that rounds decide
OFFERED = {"explore": ("model", "class_", "truncation", "size")}  # what can be settled, where it is not all the others


@dataclass(frozen=True)
class KeepingSuite:
    """Where a suite goes."""

    output: Annotated[
        Path | None,
        Flag("the folder for it; one beside the shelf unless given", "FOLDER", "-o,--output"),
    ] = None
    force: Annotated[bool, Flag("replace files that are there already")] = False


@dataclass(frozen=True)
class Evolving:
    """How rounds go on."""

    rounds: Annotated[int | None, Flag("end after so many; when you say so unless given", "N")] = None
    candidates: Annotated[int, Flag("works in a round, 2 to 12", "N")] = 6
    resume: Annotated[str | None, Flag("go on with a session; danqing evolve taste lists them", "ID")] = None
    liked: Annotated[tuple[int, ...], Flag("with --resume: the numbers of what you like in its last round", "N,N")] = ()
    disliked: Annotated[tuple[int, ...], Flag("with --resume: the numbers of what you do not like", "N,N")] = ()

    def __post_init__(self) -> None:
        if self.rounds is not None and self.rounds < 1:
            raise BadRequest(f"--rounds is {self.rounds}; it is 1 or more")
        if (self.liked or self.disliked) and self.resume is None:
            raise BadRequest("--liked and --disliked are about the last round of a session; name it with --resume ID")


@dataclass(frozen=True)
class Remembered:
    """What to do with what was learned."""

    reset: Annotated[bool, Flag("forget everything that was learned")] = False
    export: Annotated[Path | None, Flag("write it to a file", "FILE.json")] = None
    load: Annotated[Path | None, Flag("add what was exported", "FILE.json", "--import")] = None


def register() -> None:
    """Make the verbs."""
    group = typer.Typer(
        help="Rounds of candidates that move toward what you like; danqing evolve paint 'a lake'",
        rich_markup_mode=None,
        no_args_is_help=True,
    )

    def fill() -> None:
        for name in ARTS:
            _evolving(group, name)
        told = "What was learned of your taste, and the sessions there were."
        _command(group, "taste", told, [Remembered], remembered)

    app.add_typer(group, name="evolve")
    later("evolve", fill)
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


# --- rounds -----------------------------------------------------------------------------------------------------------


def _command(group: typer.Typer, name: str, told: str, kinds: Sequence[type[Any]], run: Any) -> None:
    """A command of a group, its options made of dataclasses as those of a verb are."""

    def command(**given: Any) -> None:
        common: Common = request_from(Common, given)
        run(Voice(common, Console(file=sys.stdout), Console(file=sys.stderr)), given)

    parts = [part for kind in (*kinds, Common) for part in parameters(kind)]
    group.command(name, help=told)(with_signature(command, parts))


def _evolving(group: typer.Typer, name: str) -> None:
    kind = request_class(name)
    open_kind = _open(kind, name)

    def run(voice: Voice, given: dict[str, Any]) -> None:
        asked = request_from(open_kind, given)
        evolve(voice, name, dataclasses.asdict(asked), request_from(Evolving, given))

    _command(group, name, f"Rounds of {name}: {(kind.__doc__ or '').strip()}", [open_kind, Evolving], run)


def _open(kind: type[Any], verb: str) -> type[Any]:
    """The art's request with every field left open: nothing required, nothing checked before a round needs it."""
    hints = {field.name: field.type for field in dataclasses.fields(kind)}
    offered = OFFERED.get(verb, tuple(name for name in hints if name not in VARIED))
    resolved = {name: hint for name, hint in _annotated(kind).items() if name in offered}
    fields = []
    for field in dataclasses.fields(kind):
        if field.name not in offered:
            continue
        hint = resolved.get(field.name, hints[field.name])
        missing = field.default is dataclasses.MISSING
        if missing and not str(hint.__args__[0]).startswith("tuple"):
            hint = Annotated[hint.__args__[0] | None, hint.__metadata__[0]]
        default = (() if str(hint.__args__[0]).startswith("tuple") else None) if missing else field.default
        fields.append((field.name, hint, dataclasses.field(default=default)))
    return dataclasses.make_dataclass(f"Open{kind.__name__}", fields, frozen=True)


def _annotated(kind: type[Any]) -> dict[str, Any]:
    from typing import get_type_hints

    return get_type_hints(kind, include_extras=True)


def evolve(voice: Voice, art: str, values: dict[str, Any], asked: Evolving) -> None:
    """Rounds in the terminal, or one step of them for a program."""
    from danqing.sessions import rounds

    if asked.resume is not None:
        session = rounds.resume(None, asked.resume)
        if session.art != art:
            right = f"danqing evolve {session.art} --resume {session.id}"
            raise BadRequest(f"session {session.id} is of {session.art}, not of {art}: {right}")
    else:
        session = rounds.begin(None, art, values, asked.candidates)
    if asked.liked or asked.disliked:
        session.choose(asked.liked, asked.disliked)
    if voice.common.json or not sys.stdin.isatty():
        made = _made(voice, session)
        voice.result(_facts(session, made), lambda: _shown(voice, session, made))
        return
    done = 0
    while asked.rounds is None or done < asked.rounds:
        made = _made(voice, session)
        _shown(voice, session, made)
        liked, disliked, more = _asked(voice, made)
        if liked or disliked:
            _told(voice, session.choose(liked, disliked))
        done += 1
        if not more:
            break
    voice.note(f"to go on: danqing evolve {art} --resume {session.id}")


def _made(voice: Voice, session: Session) -> list[Candidate]:
    """The works of the round that waits, made as far as they are not there."""
    from danqing import studio
    from danqing.compute import memory
    from danqing.interfaces._progress import Watch

    memory.keep_freed()
    with Watch(voice.err, bar=not (voice.common.quiet or voice.common.json), quiet=voice.common.quiet) as on_step:
        return studio.make_round(session, on_step=on_step)


def _facts(session: Session, made: Sequence[Candidate]) -> dict[str, Any]:
    from danqing.artwork.shelf import Shelf

    shelf, taste = Shelf(), session.book.taste(session.media)
    works = [
        {"number": one.number, "id": one.work, "path": str(shelf.get(one.work).path), "settings": dict(one.genome)}
        for one in made
        if one.work
    ]
    sheet = _sheet(session, made)
    return {
        "session": session.id,
        "art": session.art,
        "round": session.round,
        "candidates": works,
        **({"sheet": str(sheet)} if sheet else {}),
        "taste": {"en": taste.words("en"), "zh": taste.words("zh")},
        "next": f"danqing evolve {session.art} --resume {session.id} --liked N,N --disliked N",
    }


def _shown(voice: Voice, session: Session, made: Sequence[Candidate]) -> None:
    """The round for people: numbers and paths, texts in full, pictures on one sheet."""
    from danqing.artwork import literature
    from danqing.artwork.shelf import Shelf

    shelf = Shelf()
    voice.say(f"round {session.round} of session {session.id}")
    for one in made:
        if one.work is None:
            continue
        work = shelf.get(one.work)
        voice.say(f"{one.number:>3}  {work.path}")
        if work.media == "text":
            voice.say("     " + str(literature.read(work.path)).replace("\n", "\n     ") + "\n")
    sheet = _sheet(session, made)
    if sheet is not None:
        voice.say(f"all of them on one sheet: {sheet}")
    _told(voice, session.book.taste(session.media))


def _told(voice: Voice, taste: Taste) -> None:
    if words := taste.words("en"):
        voice.note(f"you seem to like: {', '.join(words)}")


def _sheet(session: Session, made: Sequence[Candidate]) -> Path | None:
    """A contact sheet of a round of pictures, beside the shelf."""
    import numpy as np
    from PIL import Image

    from danqing.artwork import image, sheet
    from danqing.artwork.shelf import Shelf

    if session.media != "picture":
        return None
    shelf = Shelf()
    small = []
    for one in made:
        if one.work is None:
            continue
        with Image.open(shelf.get(one.work).path) as opened:
            tile = opened.convert("RGB")
        tile.thumbnail((320, 320))
        page = Image.new("RGB", (320, 320), sheet.PAPER)
        page.paste(tile, ((320 - tile.width) // 2, (320 - tile.height) // 2))
        small.append(np.asarray(page))
    captions = tuple(str(one.number) for one in made if one.work is not None)
    path = shelf.home / "evolve" / f"{session.id}-{session.round}.png"
    path.parent.mkdir(exist_ok=True)
    image.write(sheet.arrange(small, min(3, len(small)), sheet.Labels(captions=captions)), path, force=True)
    return path


def _asked(voice: Voice, made: Sequence[Candidate]) -> tuple[list[int], list[int], bool]:
    """(liked, disliked, whether to go on), asked until it can be read."""
    known = {one.number for one in made}
    voice.say("Which do you like? Numbers, with a minus for those you do not: 1 4 -2. Return: none; q: enough.")
    while True:
        try:
            words = input("> ").replace(",", " ").split()
        except EOFError:
            return [], [], False
        more = not any(word.casefold() in ("q", "quit") for word in words)
        try:
            numbers = [int(word) for word in words if word.casefold() not in ("q", "quit")]
        except ValueError:
            voice.say("Only numbers, a minus before those you do not like, and q to stop: 1 4 -2")
            continue
        if wrong := [number for number in numbers if abs(number) not in known]:
            voice.say(f"{abs(wrong[0])} is none of this round; it has {', '.join(map(str, sorted(known)))}")
            continue
        liked, disliked = [n for n in numbers if n > 0], [-n for n in numbers if n < 0]
        return liked, disliked, more


# --- what was learned -------------------------------------------------------------------------------------------------


def remembered(voice: Voice, given: dict[str, Any]) -> None:
    """Say, write, read or forget what was learned."""
    from danqing.artwork import files
    from danqing.sessions import rounds
    from danqing.sessions.taste import MEDIA, TasteBook

    asked: Remembered = request_from(Remembered, given)
    book = TasteBook()
    if asked.reset:
        count = book.reset()
        voice.result({"forgotten": count}, lambda: voice.say(f"forgotten: {count} choices"))
        return
    if asked.load is not None:
        try:
            count = book.load(json.loads(files.read(asked.load)))
        except ValueError as error:
            raise error if isinstance(error, BadRequest) else BadRequest(f"{asked.load} is no JSON: {error}") from error
        voice.result({"added": count}, lambda: voice.say(f"added: {count} choices"))
        return
    if asked.export is not None:
        text = json.dumps(book.export(), ensure_ascii=False, indent=1)
        files.write(text.encode("utf-8"), asked.export)
        voice.result({"path": str(asked.export)}, lambda: voice.say(str(asked.export)))
        return
    tastes = {media: book.taste(media) for media in MEDIA}
    facts: dict[str, Any] = {
        "taste": {
            media: {"choices": one.count, "en": one.words("en"), "zh": one.words("zh")} for media, one in tastes.items()
        },
        "sessions": rounds.recent(None),
    }

    def show() -> None:
        for media, one in tastes.items():
            if one.count:
                sure = "; ".join((", ".join(one.words("en")), "、".join(one.words("zh"))))
                voice.say(f"{media}: {sure if one.sure() else 'nothing sure'} ({one.count} comparisons)")
        if not any(one.count for one in tastes.values()):
            voice.say("Nothing was learned yet; it begins with: danqing evolve paint 'a lake'")
        for one in facts["sessions"]:
            voice.note(f"session {one['id']}: {one['art']}, {one['rounds']} rounds, {one['created']}")

    voice.result(facts, show)
