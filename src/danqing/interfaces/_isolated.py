"""Work on files in a process of its own: what strangers made is decoded there, what takes long is encoded there.

The process has a bound of memory and of time and no way out of the machine, so a picture that is made to fill a
decoder's memory, or a score that is made to take for ever, costs one refusal. The server never decodes anything
itself, and stays quick while a score becomes sound.

To start Python and read its libraries takes longer than to look at a picture. So while a studio is open, a process that
has read them waits and is forked for each task; where there is no fork, each task is started anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from danqing.errors import DanqingError, InvalidMedia, Unavailable

MEMORY_BYTES = 5 * 2**30  # address space: 64 megapixels at 50 bytes each, and the libraries
MAX_PIXELS = 64_000_000
INSPECT_S, ENCODE_S = 60, 180
FORK_S = 30.0
PREVIEW_SIDE = 512  # px
MOST_ENTRIES, MOST_UNPACKED = 20_000, 2 * 2**30  # of a collection
COLLECTED = (
    ".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".mid", ".midi", ".musicxml", ".mxl", ".abc", ".krn", ".json",
    ".txt", ".md",
)  # fmt: skip
MUSIC = (".mid", ".midi", ".musicxml", ".xml", ".mxl", ".abc", ".krn", ".json")


def inspect(path: Path, preview: Path) -> dict[str, Any]:
    """What an uploaded file is: {media, suffix, width, height}; writes a preview where it is a picture.

    Raises InvalidMedia for whatever is none of what we read, is damaged, or takes more than it may.
    """
    return _run(["inspect", str(path), str(preview)], path.name, INSPECT_S)


def unpack(path: Path, folder: Path) -> dict[str, Any]:
    """Unpack a collection: pictures, music and texts, nothing else. {media, files}. Raises InvalidMedia."""
    return _run(["unpack", str(path), str(folder)], path.name, ENCODE_S)


def encode(path: Path, media: str, output: Path) -> None:
    """Write a work of the shelf in the format of the output's suffix, with its provenance. Raises BadRequest."""
    _run(["encode", str(path), media, str(output)], path.name, ENCODE_S)


@contextlib.contextmanager
def at_hand() -> Iterator[None]:
    """Within it, a task begins at once."""
    global _parent
    if not hasattr(os, "fork"):
        yield
        return
    mine, theirs = socket.socketpair()
    with mine:
        with theirs:
            command = [sys.executable, "-m", "danqing.interfaces._isolated", "wait", str(theirs.fileno())]
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_alone(),
                pass_fds=[theirs.fileno()], start_new_session=True,
            )  # fmt: skip
        mine.settimeout(FORK_S)
        _parent = mine
        try:
            yield
        finally:
            _parent = None
            with contextlib.suppress(OSError):  # it has fallen
                mine.shutdown(socket.SHUT_RDWR)
            process.wait()


_parent: socket.socket | None = None  # of the process that is forked
_turn = threading.Lock()


def _alone() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _run(asked: Sequence[str], name: str, limit_s: int) -> dict[str, Any]:
    try:
        answer = _forked(asked, limit_s)
        if answer is None:
            answer = _started(asked, limit_s)
    except TimeoutError:
        raise InvalidMedia(f"{name} takes more than {limit_s} s to read; it is too large or damaged") from None
    try:
        told: dict[str, Any] = json.loads(answer.decode("utf-8").splitlines()[-1])
    except (ValueError, IndexError):
        raise InvalidMedia(
            f"{name} cannot be read within {MEMORY_BYTES // 2**30} GiB; it is damaged or too large"
        ) from None
    if "error" in told:
        from danqing import errors

        kind = getattr(errors, str(told["kind"]), InvalidMedia)
        if kind is errors.UnknownName or not issubclass(kind, DanqingError):
            kind = InvalidMedia
        raise kind(str(told["error"]))
    return told


def _started(asked: Sequence[str], limit_s: int) -> bytes:
    """What a process that is started for the task says; raises TimeoutError."""
    command = [sys.executable, "-m", "danqing.interfaces._isolated", *asked]
    try:
        ended = subprocess.run(
            command, capture_output=True, timeout=limit_s, stdin=subprocess.DEVNULL, check=False, env=_alone()
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    return ended.stdout


def _forked(asked: Sequence[str], limit_s: int) -> bytes | None:
    """What a forked process says; None where there is none to fork. Raises TimeoutError."""
    if _parent is None:
        return None
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as answer:
        try:
            with _turn:
                socket.send_fds(_parent, [json.dumps([limit_s, *asked]).encode()], [theirs])
                begun = _parent.recv(1)
        except OSError:
            begun = b""
        finally:
            os.close(theirs)
        if not begun:  # it has fallen
            return None
        since = time.monotonic()
        told = answer.read()
    if not told and time.monotonic() - since >= limit_s:
        raise TimeoutError
    return told


# --- in the process ---------------------------------------------------------------------------------------------------


def _inspect(path: Path, preview: Path) -> dict[str, Any]:
    from danqing.artwork import image, literature, scores

    with path.open("rb") as file:
        head = file.read(16)
    if kind := image._sniff(head):
        picture = image.read(path, max_pixels=MAX_PIXELS)
        preview.write_bytes(_preview(picture))
        suffix = path.suffix.lower() if path.suffix.lower() in image.SUFFIXES else f".{kind.lower()}"
        return {"media": "picture", "suffix": suffix, "width": picture.width, "height": picture.height}
    suffix = path.suffix.lower()
    if suffix in MUSIC or head.startswith(b"MThd"):
        scores.read(path)
        return {"media": "music", "suffix": suffix or ".mid", "width": None, "height": None}
    if suffix in literature.SUFFIXES:
        literature.read(path)
        return {"media": "text", "suffix": suffix, "width": None, "height": None}
    if suffix in image.SUFFIXES or image._other(head):
        image.read(path)  # says what it is instead
    raise InvalidMedia(
        f"{path.name} is nothing that is read here; pictures are PNG, JPEG, WebP, TIFF, music is {' '.join(MUSIC)}, "
        f"texts are {' '.join(literature.SUFFIXES)}"
    )


def _preview(picture: Any) -> bytes:
    import io

    import numpy as np
    from PIL import Image

    planes = [picture.pixels] if picture.alpha is None else [picture.pixels, picture.alpha[:, :, None]]
    levels = [np.rint(plane * np.float32(255)).astype(np.uint8) for plane in planes]
    shown = Image.fromarray(np.concatenate(levels, axis=2))
    shown.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    out = io.BytesIO()
    shown.save(out, "WEBP", quality=85, method=4)
    return out.getvalue()


def _unpack(path: Path, folder: Path) -> dict[str, Any]:
    """Every entry under a name of our own making: no path of the archive's reaches the disk."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) > MOST_ENTRIES or sum(entry.file_size for entry in entries) > MOST_UNPACKED:
                raise InvalidMedia(
                    f"{path.name} holds {len(entries):,} files; a collection has up to {MOST_ENTRIES:,}, "
                    f"{MOST_UNPACKED // 2**30} GiB unpacked"
                )
            folder.mkdir(parents=True)
            count, had = 0, 0
            for entry in entries:
                suffix = Path(entry.filename).suffix.lower()
                if suffix not in COLLECTED or "__MACOSX" in entry.filename:
                    continue
                stem = re.sub(r"[^\w.-]+", "-", Path(entry.filename).stem)[:60].lstrip(".-")
                with archive.open(entry) as source, (folder / f"{count:05d}-{stem}{suffix}").open("wb") as target:
                    while piece := source.read(1 << 20):
                        had += len(piece)
                        if had > MOST_UNPACKED:  # whatever its directory says
                            raise InvalidMedia(f"{path.name} unpacks to more than {MOST_UNPACKED // 2**30} GiB")
                        target.write(piece)
                count += 1
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise InvalidMedia(f"{path.name} is no ZIP that can be unpacked: {error}") from error
    if count == 0:
        raise InvalidMedia(f"{path.name} holds nothing to learn from; a collection has {' '.join(COLLECTED)}")
    return {"media": "collection", "suffix": ".zip", "files": count, "width": None, "height": None}


def _encode(path: Path, media: str, output: Path) -> dict[str, Any]:
    from danqing.artwork import image, literature, publishing, scores

    suffix = output.suffix
    if media == "picture":
        data = image.encode_bytes(image.read(path), suffix, image.read_provenance(path))
    elif media == "music":
        score, provenance = scores.read(path), scores.read_provenance(path)
        if suffix in (".svg", ".png"):
            from danqing.artwork import notation

            pages = notation.encode_pages(score, suffix, provenance)
            for number, page in enumerate(pages[1:], 2):
                output.with_name(f"{output.stem}-{number}{suffix}").write_bytes(page)
            data = pages[0]
        else:
            data = publishing.encode_bytes(score, suffix, provenance)
    elif media == "text":
        data = literature.encode_bytes(literature.read(path), suffix, literature.read_provenance(path))
    else:
        raise Unavailable(f"a {media} is kept in one format; {suffix} is not made of it here")
    from danqing.artwork import files

    files.write(data, output, force=True)
    return {"pages": len(pages) if media == "music" and suffix in (".svg", ".png") else 1}


def _bounded() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (ENCODE_S, ENCODE_S))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except ImportError:  # Windows has no such bounds; the time limit and the checks of sizes remain
        pass


def _told(asked: Sequence[str]) -> bytes:
    """One task, its answer as one line of JSON."""
    tasks = {"inspect": _inspect, "unpack": _unpack, "encode": _encode}
    places = [Path(word) if index != 1 or asked[0] != "encode" else word for index, word in enumerate(asked[1:])]
    _bounded()
    try:
        told = tasks[asked[0]](*places)  # type: ignore[operator]
    except DanqingError as error:
        told = {"kind": type(error).__name__, "error": str(error)}
    except MemoryError:
        told = {"kind": "InvalidMedia", "error": "the file needs more memory than it may have; make it smaller first"}
    return json.dumps(told).encode() + b"\n"


def _wait(door: socket.socket) -> None:
    """Fork for each task that comes through the door; end when the studio has gone."""
    from danqing.artwork import image, literature, scores  # noqa: F401  read once, here

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a child that has ended
    while True:
        asked, given, _, _ = socket.recv_fds(door, 1 << 16, 1)
        if not asked:
            return
        if os.fork() == 0:
            try:
                door.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                limit_s, *task = json.loads(asked)
                signal.alarm(limit_s)
                with os.fdopen(given[0], "wb") as answer:
                    answer.write(_told(task))
            finally:
                os._exit(0)
        os.close(given[0])
        door.send(b"\n")


def main(asked: Sequence[str]) -> int:
    """One task, or all that come: `wait DOOR`."""
    from danqing.interfaces import _guard

    _guard.keep_inside()
    if asked[0] == "wait":
        with socket.socket(fileno=int(asked[1])) as door:
            _wait(door)
        return 0
    sys.stdout.write(_told(asked).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
