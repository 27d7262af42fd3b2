"""Fetching a model's file: resumed where it broke off, checked by its sha256, put in its place whole or not at all.

Until it is whole the file lies beside its place with the ending `.part`; that one is kept on purpose when a download is
interrupted, so that the next try goes on from there.
"""

from __future__ import annotations

import hashlib
import http.client
import shutil
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from danqing.artwork.request import OnStep, Step, ignore
from danqing.errors import CorruptWeights, Unavailable

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30.0  # without a byte
MB = 1_000_000


@dataclass(frozen=True)
class Wanted:
    """A file on a public host, known by its size and hash."""

    name: str
    url: str
    sha256: str
    size_bytes: int


def fetch(wanted: Wanted, target: Path, on_step: OnStep = ignore) -> Path:
    """Download `wanted` to `target` and return it; goes on from a `.part` file that an earlier try left.

    Raises Unavailable when the host cannot be reached or the disk is full, CorruptWeights when what came has another
    sha256. on_step is told bytes; when it raises, the part that has come so far stays for the next time.
    """
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        have = part.stat().st_size if part.is_file() else 0
        _must_fit(wanted, target, wanted.size_bytes - have)
        while have < wanted.size_bytes:
            before = have
            have = _receive(wanted, part, on_step)
            if have <= before:  # a connection that broke is tried again as long as it brings something
                raise Unavailable(
                    _offline(wanted, target, f"the connection ended at {have:,} of {wanted.size_bytes:,} bytes")
                )
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(_offline(wanted, target, _reason(error))) from error
    return _accept(wanted, part, target)


def _receive(wanted: Wanted, part: Path, on_step: OnStep) -> int:
    """One request; returns how many bytes the part file has afterwards."""
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(wanted.url, headers={"User-Agent": "danqing"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        resumed = answer.status == http.client.PARTIAL_CONTENT and _starts_at(answer) == have
        with part.open("ab" if resumed else "wb") as file:
            return _copy(answer, file, have if resumed else 0, wanted, on_step)


def _copy(answer: http.client.HTTPResponse, file: BinaryIO, done: int, wanted: Wanted, on_step: OnStep) -> int:
    stage = f"downloading {wanted.name}"
    on_step(Step(done, wanted.size_bytes, stage))
    while done < wanted.size_bytes:
        try:
            chunk = answer.read(min(CHUNK_BYTES, wanted.size_bytes + 1 - done))
        except (http.client.IncompleteRead, ConnectionError, TimeoutError):
            break
        if not chunk:
            break
        file.write(chunk)
        done += len(chunk)
        on_step(Step(min(done, wanted.size_bytes), wanted.size_bytes, stage))
    return done


def _accept(wanted: Wanted, part: Path, target: Path) -> Path:
    """Put the whole file in its place if it is the right one; throw it away if it is not."""
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted.sha256:
        size = part.stat().st_size
        part.unlink()
        raise CorruptWeights(
            f"what came from {wanted.url} ({size:,} bytes) is not {wanted.name}: its sha256 begins {found[:8]}, "
            f"{wanted.sha256[:8]} was expected. It was thrown away; run again."
        )
    part.replace(target)
    return target


def _starts_at(answer: http.client.HTTPResponse) -> int:
    """Where the bytes of a partial answer begin: 5 for `Content-Range: bytes 5-9/10`; -1 when it does not say."""
    start = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(start) if start.isdigit() else -1


def _must_fit(wanted: Wanted, target: Path, missing: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if free < missing:
        raise Unavailable(
            f"{wanted.name} needs {missing / MB:.0f} MB in {target.parent}, where {free / MB:.0f} MB are free. "
            "Make room, or set $DANQING_HOME to another disk."
        )


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the host answered {error.code} {error.reason}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, socket.gaierror):
        return "the host's name was not found (is this machine online?)"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return str(cause) or type(cause).__name__


def _offline(wanted: Wanted, target: Path, reason: str) -> str:
    return (
        f"{wanted.name} ({wanted.size_bytes / MB:.0f} MB) could not be fetched from {wanted.url}: {reason}. "
        f"Run again, or put the file at {target} by hand, or use --backbone own, which needs no download."
    )
