"""Files that a person brings: bounded while they come, looked at in a process of its own, known by what they hold."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from danqing.artwork import files
from danqing.errors import BadRequest
from danqing.interfaces import _uploads
from danqing.interfaces.rooms import Refused, Studio, studio

router = APIRouter(tags=["uploads"])
Here = Annotated[Studio, Depends(studio)]

FRAME_BYTES = 64 * 1024  # what a form may have around its file
PIECE_BYTES = 1 << 20
TYPES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".tif": "image/tiff",
    ".tiff": "image/tiff", ".svg": "image/svg+xml", ".gif": "image/gif", ".mp4": "video/mp4", ".wav": "audio/wav",
    ".mp3": "audio/mpeg", ".mid": "audio/midi", ".midi": "audio/midi", ".txt": "text/plain; charset=utf-8",
    ".json": "application/json",
}  # fmt: skip


PART = {"type": "string", "format": "binary"}
FORM = {
    "multipart/form-data": {"schema": {"type": "object", "properties": {"file": PART}, "required": ["file"]}},
}


@router.post("/uploads", status_code=201, openapi_extra={"requestBody": {"content": FORM}})
async def add(request: Request, here: Here, name: str = "") -> dict[str, Any]:
    """Keep a file: the body itself, its name in ?name= or the header X-Name, or the part `file` of a form.

    Raises InvalidMedia for what is none of the formats that are read here, TooLarge (413).
    """
    folder = here.home / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{secrets.token_hex(8)}.part"
    if int(request.headers.get("content-length", "0") or 0) > _uploads.LARGEST + FRAME_BYTES:
        raise _too_large(_uploads.LARGEST)
    try:
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            name = await _from_form(request, part)
        else:
            name = name or unquote(request.headers.get("x-name", "")) or "upload"
            await _save(request.stream(), part, name)
        kept = await run_in_threadpool(_uploads.keep, here.home, part, name)
    finally:
        part.unlink(missing_ok=True)
    return kept.as_dict()


@router.get("/uploads/{name}", response_class=FileResponse)
def one(name: str, here: Here) -> FileResponse:
    """The file as it came."""
    kept = _uploads.get(here.home, name)
    if kept.media == "collection":
        raise Refused(409, "Unavailable", f"{kept.name} is a collection; it was unpacked and is not kept as one file")
    heads = {"content-security-policy": "sandbox; default-src 'none'"}
    kind = TYPES.get(kept.path.suffix.lower(), "application/octet-stream")
    return FileResponse(kept.path, media_type=kind, headers=heads)


@router.get("/uploads/{name}/preview", response_class=FileResponse)
def preview(name: str, here: Here) -> FileResponse:
    """A small picture of it."""
    kept = _uploads.get(here.home, name)
    if kept.preview is None:
        raise Refused(404, "NotFound", f"{kept.name} is no picture and has no preview")
    return FileResponse(kept.preview, media_type="image/webp")


async def _save(pieces: AsyncIterator[bytes], part: Path, name: str) -> None:
    """Write what comes, and stop as soon as it is more than a file of its kind may be."""
    had, most = 0, 0
    with part.open("wb") as file:
        async for piece in pieces:
            if piece and not had:
                most = _uploads.most_bytes(piece[:16], name)
            had += len(piece)
            if had > most and piece:
                raise _too_large(most)
            file.write(piece)


async def _from_form(request: Request, part: Path) -> str:
    async def bounded() -> AsyncIterator[bytes]:
        had = 0
        async for piece in request.stream():
            had += len(piece)
            if had > _uploads.LARGEST + FRAME_BYTES:
                raise _too_large(_uploads.LARGEST)
            yield piece

    try:
        form = await MultiPartParser(request.headers, bounded(), max_files=1, max_fields=8).parse()  # type: ignore[arg-type]
    except MultiPartException as error:
        raise BadRequest(f"the form cannot be read: {error.message}") from error
    try:
        found = form.get("file")
        if not isinstance(found, UploadFile):
            raise BadRequest("the form has no part named 'file'; send the file as that")
        name = str(form.get("name") or found.filename or "upload")

        async def pieces() -> AsyncIterator[bytes]:
            while piece := await found.read(PIECE_BYTES):
                yield piece

        await _save(pieces(), part, name)
    finally:
        await form.close()
    return name


def _too_large(most: int) -> Refused:
    return Refused(413, "TooLarge", f"the file is larger than {files.size_text(most)}, the most for one of its kind")
