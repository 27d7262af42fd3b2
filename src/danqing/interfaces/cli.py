"""The command line: what a person types becomes a request, what comes back is printed.

The results go to the standard output and everything else to the standard error. With `--json` the standard output holds
one object and nothing else, for an error as well. Exit codes: 0 done, 1 failed, 2 bad input, 130 stopped by the person.

Nothing here imports PyTorch before a work is to be made, so that help and lists answer at once.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from danqing import arts
from danqing.arts import Flag
from danqing.errors import BadRequest, Cancelled, DanqingError
from danqing.interfaces import _evolve, _lessons, _serve, _stop, _training
from danqing.interfaces._verbs import Voice, app, complete, print_json, table, verb


@dataclass(frozen=True)
class Keeping:
    """What every verb that makes a work understands."""

    output: Annotated[Path | None, Flag("where to save the work as well as on the shelf", "FILE", "-o,--output")] = None
    force: Annotated[bool, Flag("replace files that are there already")] = False
    preview: Annotated[Path | None, Flag("a picture file that shows the work while it is made", "FILE")] = None


@dataclass(frozen=True)
class KeepingText:
    """What every verb that makes a text understands."""

    output: Annotated[
        Path | None,
        Flag("where to save the text as well as on the shelf: .txt, .md or .docx", "FILE", "-o,--output"),
    ] = None
    force: Annotated[bool, Flag("replace files that are there already")] = False


@dataclass(frozen=True)
class KeepingMusic:
    """What every verb that makes music understands."""

    output: Annotated[
        Path | None,
        Flag(
            "where to save the music as well as on the shelf: .mid .musicxml .mxl .abc .json, printed .svg .png, heard "
            ".wav .mp3",
            "FILE",
            "-o,--output",
        ),
    ] = None
    force: Annotated[bool, Flag("replace files that are there already")] = False


KEEPING: dict[str, type[Any]] = {"picture": Keeping, "text": KeepingText, "music": KeepingMusic}  # by the art's media


TELLING = ("compose", "paint", "sketch")  # the verbs whose remarks on a work are for people


# --- making works -----------------------------------------------------------------------------------------------------


def make(voice: Voice, request: object, keeping: Keeping | KeepingText | KeepingMusic) -> None:
    """Any verb that makes a work: check where it goes, make it while the person watches, save it, say where it is."""
    outputs = _outputs(keeping.output, getattr(request, "count", 1))
    media = arts.media_of(request)
    _check_places(keeping, outputs, media, getattr(request, "beside", ()))
    from danqing import studio  # from here on it takes as long as it takes: PyTorch comes in
    from danqing.compute import device, memory
    from danqing.interfaces._progress import Watch

    memory.keep_freed()  # this process is ours alone, and it ends with the work
    if voice.common.verbose:
        voice.note(f"computing on {device.choose()}")
    start = time.perf_counter()
    watching = not (voice.common.quiet or voice.common.json)
    told = voice.say if watching and media == "text" else None
    preview = getattr(keeping, "preview", None)
    with Watch(voice.err, bar=watching, quiet=voice.common.quiet, preview=preview, say=told) as on_step:
        creations = studio.create_all(request, on_step=on_step)
    results = []
    seconds = time.perf_counter() - start
    for creation, output in zip(creations, outputs, strict=True):
        if output:
            creation.save(output, force=keeping.force)
        work = creation.work
        facts = {**_as_dict(work), "path": str(output or work.path), "shelf_path": str(work.path)}
        text: dict[str, Any] = {"text": str(creation.artwork.content)} if media == "text" else {}
        if creation.artwork.beside:
            kept = Path(facts["path"])
            text["beside"] = [str(kept.with_name(kept.stem + ending)) for ending in creation.artwork.beside]
        results.append({**facts, **text, "seconds": round(seconds, 2)})

    def show() -> None:
        for creation, facts in zip(creations, results, strict=True):
            work = creation.work
            if media == "text":
                _tell_text(voice, work, facts["path"], seconds)
                continue
            for remark in work.provenance.notes if work.verb in TELLING else ():
                voice.note(remark)
            for path in (facts["path"], *facts.get("beside", ())):
                voice.say(path)
            voice.note(f"{work.title}, {_size(work)}, seed {work.seed}, {seconds:.1f} s, on the shelf: {work.id}")

    voice.result(results[0] if len(results) == 1 else {"works": results}, show)


def _tell_text(voice: Voice, work: Any, path: str, seconds: float) -> None:
    """Where a text was saved; the text itself was printed while it was written."""
    for remark in work.provenance.notes:
        voice.note(remark)
    voice.note(f"{path}\n{work.title}, seed {work.seed}, {seconds:.1f} s, on the shelf: {work.id}")


def _outputs(output: Path | None, count: int) -> list[Path | None]:
    """A place for each work: out.txt alone, out-1.txt, out-2.txt … for several."""
    if output is None or count == 1:
        return [output] * count
    return [output.with_name(f"{output.stem}-{number}{output.suffix}") for number in range(1, count + 1)]


def _check_places(
    keeping: Keeping | KeepingText | KeepingMusic,
    outputs: Sequence[Path | None],
    media: str = "picture",
    beside: Sequence[str] = (),
) -> None:
    """Before any work is done: can the outputs be written? beside: what stands for a suffix in names of files by it."""
    from danqing.artwork import files, image, literature, publishing, video

    for path in outputs:
        if path is not None and media == "text":
            literature.check_output(path, force=keeping.force)
        if path is not None and media == "music":
            publishing.check_output(path, force=keeping.force)
        if path is not None and media == "video":
            video.check_output(path, force=keeping.force)
        if path is not None:
            for ending in beside:
                files.check_output(path.with_name(path.stem + ending), force=keeping.force)
    for path in [*(outputs if media == "picture" else ()), getattr(keeping, "preview", None)]:
        if path is not None:
            image.output_format(path)
            files.check_output(path, force=keeping.force)


def _making(name: str) -> None:
    request = arts.request_class(name)

    @verb(name, request, KEEPING[arts.media(name)], help=(request.__doc__ or "").strip())
    def run(voice: Voice, asked: object, keeping: Keeping | KeepingText | KeepingMusic) -> None:
        make(voice, asked, keeping)


for _name in arts.names():
    _making(_name)


# --- judging works ----------------------------------------------------------------------------------------------------


def _reporting(name: str) -> None:
    request = arts.request_class(name)

    @verb(name, request, help=(request.__doc__ or "").strip())
    def run(voice: Voice, asked: Any) -> None:
        from danqing import studio
        from danqing.interfaces._progress import Watch

        watching = not (voice.common.quiet or voice.common.json)
        with Watch(voice.err, bar=watching, quiet=voice.common.quiet) as on_step:
            reports = studio.report(asked, on_step=on_step)

        def show() -> None:
            for number, report in enumerate(reports):
                voice.say(("\n" if number else "") + "\n".join(report.lines(asked.language or "")))

        voice.result({"reports": [report.as_dict() for report in reports]}, show)


for _name in arts.REPORTS:
    _reporting(_name)


# --- looking at works -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gallery:
    """Which works to list."""

    limit: Annotated[int, Flag("how many, the latest first", "N")] = 20
    search: Annotated[str | None, Flag("only works with this in their title or request", "TEXT")] = None


@verb("gallery", Gallery, help="The works on the shelf, the latest first.")
def gallery(voice: Voice, asked: Gallery) -> None:
    """List works."""
    from danqing.artwork.shelf import Shelf

    shelf = Shelf()
    works, total = shelf.works(asked.limit, search=asked.search), shelf.count()

    def show() -> None:
        if not works:
            voice.say("No works yet." if total == 0 else f"None of the {total} works has {asked.search!r}.")
            return
        rows = [
            (
                work.id,
                f"{work.created.astimezone():%Y-%m-%d %H:%M}",
                work.verb,
                _size(work),
                work.title,
            )
            for work in works
        ]
        table(voice, ("id", "made", "verb", "size", "title"), rows)
        voice.note(f"{len(works)} of {total} works in {shelf.home}; one of them in full: danqing show ID")

    voice.result({"works": [_as_dict(work) for work in works], "total": total, "home": str(shelf.home)}, show)


@dataclass(frozen=True)
class Show:
    """Which work to show."""

    id: Annotated[str, Flag("a work's id in the gallery, or the first digits of it", "ID", argument=True)]


@verb("show", Show, help="One work of the shelf: its file, and everything it was made from.")
def show(voice: Voice, asked: Show) -> None:
    """Show a work."""
    from danqing.artwork.shelf import Shelf

    work = Shelf().get(asked.id)
    facts = _as_dict(work)

    def lines() -> None:
        for key in ("id", "title", "verb", "created", "seed", "path", "sha256"):
            voice.say(f"{key:10} {facts[key]}")
        voice.say(f"{'size':10} {_size(work)}")
        for key, value in sorted(work.provenance.request.items()):
            voice.say(f"{'request':10} {key} = {json.dumps(value, ensure_ascii=False)}")
        for parent in work.provenance.parents:
            voice.say(f"{'from':10} {parent.role}: {parent.name} (sha256 {parent.sha256})")
        for name, digest in work.provenance.models.items():
            voice.say(f"{'model':10} {name} (sha256 {digest})")
        for note in (*work.provenance.notes, work.provenance.software):
            voice.say(f"{'note':10} {note}")
        if work.media == "text":
            voice.say(f"\n{facts['text']}")

    if work.media == "text":
        from danqing.artwork import literature

        facts["text"] = str(literature.read(work.path))
    voice.result(facts, lines)


def _size(work: Any) -> str:
    """How large a work is, in a word: 768×512 px; of what is no picture its kind."""
    return str(work.media) if work.width is None else f"{work.width}×{work.height} px"


def _as_dict(work: Any) -> dict[str, Any]:
    facts = {key: getattr(work, key) for key in ("id", "verb", "title", "media", "width", "height", "seed", "sha256")}
    provenance = json.loads(work.provenance.to_json())
    return {**facts, "created": work.created.isoformat(), "path": str(work.path), "provenance": provenance}


# --- what there is ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Models:
    """What to list."""

    styles: Annotated[bool, Flag("list the named styles instead")] = False


@verb("models", Models, help="The models that works are made with: purpose, rights, size; or the named styles.")
def models(voice: Voice, asked: Models) -> None:
    """List models or styles."""
    if asked.styles:
        _styles(voice)
        return
    from danqing.catalog import catalog

    cards = catalog.cards()

    def show() -> None:
        rows = [
            (card.name, card.rights, f"{card.parameters / 1e6:.1f} M", _place(card.name, card.url), card.purpose)
            for card in cards
        ]
        table(voice, ("name", "rights", "parameters", "here", "purpose"), rows)

    voice.result({"models": [{**card.as_dict(), "here": catalog.available(card.name)} for card in cards]}, show)


def _place(name: str, url: str) -> str:
    from danqing.catalog import catalog

    if catalog.available(name):
        return "yes"
    return "when asked for" if url else "missing"


def _styles(voice: Voice) -> None:
    from dataclasses import asdict

    from danqing.catalog.styles import styles

    known = styles()

    def show() -> None:
        rows = [
            (
                style.name,
                style.zh,
                f"{style.years[0]}–{style.years[1]}",
                str(style.works),
                ", ".join(style.painters[:3]),
            )
            for style in known
        ]
        table(voice, ("name", "中文", "years", "works", "painters"), rows)
        voice.note("a picture file is a style as well: --style painting.jpg")

    voice.result({"styles": [asdict(style) for style in known]}, show)


@verb("data", help="The collections that the models learned from, and their rights.")
def data(voice: Voice) -> None:
    """List data."""
    from danqing.catalog import catalog

    used = [(source, card.name) for card in catalog.cards() for source in card.data]

    def show() -> None:
        rows = [(source.name, f"{source.works:,}", model, source.rights) for source, model in used]
        table(voice, ("collection", "works", "model", "rights"), rows)

    entries = [{"name": s.name, "works": s.works, "model": model, "rights": s.rights} for s, model in used]
    voice.result({"data": entries}, show)


@verb("doctor", help="What this machine offers, what is missing, and whether everything that shipped is whole.")
def doctor(voice: Voice) -> None:
    """Examine the machine."""
    from danqing.artwork.shelf import default_home
    from danqing.catalog import catalog
    from danqing.interfaces._doctor import examine

    marks = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "broken": "[red]broken[/]"}
    findings = []
    for finding in examine(catalog.default(), default_home()):
        findings.append(finding)
        if not (voice.common.json or voice.common.quiet):
            voice.out.print(f"{marks[finding.state]:6}", end=" ")
            voice.say(f"{finding.name}: {finding.value}" + (f" ({finding.advice})" if finding.advice else ""))
    broken = [finding.name for finding in findings if finding.state == "broken"]
    voice.result({"healthy": not broken, "findings": [vars(finding) for finding in findings]}, lambda: None)
    if broken:
        raise typer.Exit(1)


# --- one's own models -------------------------------------------------------------------------------------------------

_training.register()
_lessons.register()
_evolve.register()
_serve.register()


# --- the frame --------------------------------------------------------------------------------------------------------


@app.callback(invoke_without_command=True)
def frame(
    version: Annotated[bool, typer.Option("--version", help="print the version", show_default=False)] = False,
) -> None:
    """What stands before the verb."""
    if version:
        import danqing

        sys.stdout.write(f"danqing {danqing.__version__}\n")
        raise typer.Exit(0)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Every error is one line on the standard error."""
    given = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # Chinese names on a Windows console, file names that are no UTF-8
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        with _stoppable():
            line = _hoist(given) or ["--help"]
            complete(line[0])
            code = app(line, prog_name="danqing", standalone_mode=False)
        if code == Cancelled.exit_code:  # typer makes this of Ctrl-C
            raise KeyboardInterrupt
        return int(code or 0)
    except KeyboardInterrupt as error:
        return _fail(Cancelled("stopped; nothing was left half-written"), given, error)
    except TyperException as error:
        return _fail(_usage(error), given, error)
    except DanqingError as error:
        return _fail(error, given, error)
    except BrokenPipeError:  # the reader of a list has seen enough: danqing gallery | head
        sys.stdout = None  # or Python complains once more when it closes it
        return 0
    except Exception as error:  # a mistake of ours, or of the machine: no memory
        if _stop.asked.is_set():
            return _fail(Cancelled("stopped; nothing was left half-written"), given, error)
        words = " ".join(str(error).split()) or type(error).__name__
        return _fail(
            DanqingError(f"{type(error).__name__}: {words}. The traceback: the same with --debug"), given, error
        )


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """While this lasts, being asked to end (SIGTERM) is the same as Ctrl-C: everything is cleaned up on the way out."""
    _stop.asked.clear()
    if threading.current_thread() is not threading.main_thread():  # only there may Python set a signal's handler
        yield
        return

    def stop(number: int, frame: object) -> None:
        _stop.asked.set()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _hoist(argv: list[str]) -> list[str]:
    """`danqing --verbose gallery` is `danqing gallery --verbose`: what every verb understands may stand before it."""
    common = {"--json", "--quiet", "--verbose", "--debug"}
    first = next((index for index, word in enumerate(argv) if word not in common), len(argv))
    return [*argv[first : first + 1], *argv[:first], *argv[first + 1 :]]


def _usage(error: TyperException) -> DanqingError:
    """Typer's complaint about the words themselves, in our form: one line, exit code 2."""
    words = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "danqing"
    stop = "" if words.endswith("?") else "."
    return BadRequest(f"{words[:1].lower()}{words[1:]}{stop} See: {path} --help")


def _fail(error: DanqingError, argv: Sequence[str], cause: BaseException) -> int:
    """Say what went wrong in one line, and as an object where one was asked for; returns the exit code."""
    line = " ".join(str(error).split())
    if "--debug" in argv:
        traceback.print_exception(cause)
    sys.stderr.write(f"danqing: {line}\n")
    if "--json" in argv:
        kind = type(cause).__name__ if isinstance(cause, DanqingError) else type(error).__name__
        print_json({"error": {"kind": kind, "message": line}, "exit_code": error.exit_code})
    return error.exit_code
