"""Works: the gallery, its boards, its trash, and every work in each format that it can be had in."""

from __future__ import annotations

import json
import re
import secrets
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict

from danqing.artwork import literature, publishing
from danqing.artwork.shelf import Work
from danqing.errors import BadRequest, UnknownName
from danqing.interfaces import _isolated
from danqing.interfaces.rooms import Studio, studio
from danqing.interfaces.rooms.uploads import TYPES

router = APIRouter(tags=["works"])
Here = Annotated[Studio, Depends(studio)]

FORMATS = {  # what a work of each kind can be had as
    "picture": (".png", ".jpg", ".webp", ".tif"),
    "text": literature.SUFFIXES,
    "music": publishing.WRITTEN,
    "video": (".mp4",),
}
MOST_EXPORTED = 1000
PIECE_BYTES = 1 << 18
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
YEAR_S = 31_536_000


class Changes(BaseModel):
    """What can be changed of a work."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"rating": 4, "tags": ["boats", "港"]}]})

    rating: int | None = None
    tags: list[str] | None = None


class Chosen(BaseModel):
    """Which works."""

    ids: list[str]


@router.get("/works")
def listed(  # noqa: PLR0913 - each is a part of the address
    here: Here,
    search: str | None = None,
    verb: str | None = None,
    media: str | None = None,
    tag: str | None = None,
    rating: int = 0,
    limit: Annotated[int, Query(ge=0, le=500)] = 60,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> dict[str, Any]:
    """The latest first."""
    only: dict[str, Any] = {"search": search, "verb": verb, "media": media, "tag": tag, "rating": rating}
    works = here.shelf.works(limit, offset, **only)
    return {"works": [as_dict(work) for work in works], "total": here.shelf.count(**only)}


@router.post("/works/export")
def export(chosen: Chosen, here: Here) -> StreamingResponse:
    """The works as one ZIP, each with its record."""
    if not 0 < len(chosen.ids) <= MOST_EXPORTED:
        raise BadRequest(f"{len(chosen.ids)} works were named; 1 to {MOST_EXPORTED} go into one ZIP")
    works = [here.shelf.get(name) for name in dict.fromkeys(chosen.ids)]
    heads = {"content-disposition": 'attachment; filename="danqing.zip"'}
    return StreamingResponse(_zipped(works), media_type="application/zip", headers=heads)


@router.get("/works/{name}")
def one(name: str, here: Here) -> dict[str, Any]:
    """One work."""
    return as_dict(here.shelf.get(name))


@router.patch("/works/{name}")
def change(name: str, changes: Changes, here: Here) -> dict[str, Any]:
    """Rate it, tag it."""
    work = here.shelf.get(name)
    if changes.rating is not None:
        work = here.shelf.rate(work.sha256, changes.rating)
    if changes.tags is not None:
        work = here.shelf.tag(work.sha256, changes.tags)
    here.told("work", work.id)
    return as_dict(work)


@router.delete("/works/{name}")
def discard(name: str, here: Here) -> dict[str, str]:
    """Into the trash, from which it can be taken again."""
    work = here.shelf.discard(name)
    here.told("work-removed", work.id)
    return {"id": work.id}


@router.post("/works/{name}/restore")
def restore(name: str, here: Here) -> dict[str, Any]:
    """Out of the trash."""
    work = here.shelf.restore(name)
    here.told("work", work.id)
    return as_dict(work)


@router.get("/trash")
def trash(here: Here) -> dict[str, Any]:
    """What lies in the trash."""
    return {"works": [as_dict(work) for work in here.shelf.trash()]}


@router.delete("/trash")
def empty(here: Here) -> dict[str, int]:
    """Remove what lies in the trash for good."""
    return {"removed": here.shelf.empty_trash()}


@router.get("/tags")
def tags(here: Here) -> dict[str, Any]:
    """Every tag with how many works have it."""
    return {"tags": [{"name": name, "works": count} for name, count in here.shelf.tags().items()]}


@router.get("/works/{name}/preview", response_class=FileResponse)
def preview(name: str, here: Here) -> FileResponse:
    """A small picture of it."""
    work = here.shelf.get(name)
    if work.preview is None or not work.preview.is_file():
        raise UnknownName("preview", name, (), f"/api/works/{work.id}/file")
    return _sent(work.preview, work, ".webp")


@router.get("/works/{name}/file", response_class=FileResponse)
def file(
    name: str,
    here: Here,
    suffix: Annotated[str, Query(alias="format")] = "",
    download: bool = False,
    page: Annotated[int, Query(ge=1, le=999)] = 1,
) -> FileResponse:
    """The work itself, or in another format that its kind can be had in; what had to be made is kept."""
    work = here.shelf.get(name)
    own = work.path.suffix
    wanted = suffix.lower() or own
    wanted = wanted if wanted.startswith(".") else "." + wanted
    if wanted != own and wanted not in FORMATS[work.media]:
        raise BadRequest(f"format is {suffix!r}; a {work.media} can be had as {', '.join(FORMATS[work.media])}")
    path = work.path if wanted == own else _made(here.home, work, wanted)
    if page > 1:
        path = path.with_name(f"{path.stem}-{page}{path.suffix}")
    if not path.is_file():
        raise UnknownName("page" if page > 1 else "file", f"{work.id} {page}", (), f"/api/works/{work.id}")
    return _sent(path, work, wanted, download=download)


def _made(home: Path, work: Work, suffix: str) -> Path:
    """The work in another format, from the cache where it has been made before."""
    folder = home / "cache" / "works" / work.sha256[:2]
    path = folder / f"{work.sha256}{suffix}"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        own = folder / f"{work.sha256}.{secrets.token_hex(4)}"  # two may ask at once: each makes its own
        own.mkdir()
        try:
            _isolated.encode(work.path, work.media, own / path.name)
            for made in sorted(own.iterdir(), reverse=True):  # the first page last: where it is, all are
                made.replace(folder / made.name)
        finally:
            for left in own.iterdir():
                left.unlink()
            own.rmdir()
    return path


def _sent(path: Path, work: Work, suffix: str, *, download: bool = False) -> FileResponse:
    name = file_name(work, suffix)
    plain = re.sub(r"[^A-Za-z0-9 ._-]", "_", name)
    where = "attachment" if download else "inline"
    heads = {
        "cache-control": f"private, max-age={YEAR_S}, immutable",  # a work's bytes never change
        "content-disposition": f"{where}; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}",
        "content-security-policy": SANDBOX,
    }
    return FileResponse(path, media_type=TYPES.get(suffix, _media_type(suffix)), headers=heads)


def _media_type(suffix: str) -> str:
    return {
        ".musicxml": "application/vnd.recordare.musicxml+xml", ".xml": "application/vnd.recordare.musicxml+xml",
        ".mxl": "application/vnd.recordare.musicxml", ".abc": "text/vnd.abc", ".md": "text/markdown; charset=utf-8",
        ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    }.get(suffix, "application/octet-stream")  # fmt: skip


def file_name(work: Work, suffix: str) -> str:
    """What a work is called when it is saved: its title and its id."""
    words = re.sub(r"[^\w\- ]+", "", work.title).strip()[:60].strip() or work.verb
    return f"{words}-{work.id}{suffix}".replace(" ", "-")


def as_dict(work: Work) -> dict[str, Any]:
    """A work as a page sees it."""
    made = json.loads(work.provenance.to_json())
    where = f"/api/works/{work.id}"
    return {
        **{key: getattr(work, key) for key in ("id", "sha256", "verb", "title", "media", "width", "height", "seed")},
        "created": work.created.isoformat(),
        "rating": work.rating,
        "tags": list(work.tags),
        "request": made["request"],
        "models": made["models"],
        "parents": made["parents"],
        "notes": made["notes"],
        "text": _text(work.path) if work.media == "text" else None,
        "file": f"{where}/file",
        "preview": f"{where}/preview" if work.preview else None,
    }


@lru_cache(maxsize=2048)
def _text(path: Path) -> str | None:
    """What a text says; a path on the shelf always holds the same."""
    try:
        return str(literature.read(path))
    except BadRequest:  # it was deleted by hand
        return None


class _Pieces:
    """A file that is written in pieces which are taken at once: what `zipfile` needs of a file to write to."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Take a piece."""
        self.pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is open."""

    def taken(self) -> bytes:
        """What has come since the last time."""
        data, self.pieces = b"".join(self.pieces), []
        return data


def _zipped(works: list[Work]) -> Iterator[bytes]:
    """A ZIP of works while it is being made; nothing of it is held in memory or on the disk."""
    out = _Pieces()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for work in works:
            if not work.path.is_file():
                continue
            name = file_name(work, work.path.suffix)
            with work.path.open("rb") as source, archive.open(name, "w", force_zip64=True) as target:
                while piece := source.read(PIECE_BYTES):
                    target.write(piece)
                    yield out.taken()
            archive.writestr(name + ".json", work.provenance.to_json())
            yield out.taken()
    yield out.taken()
