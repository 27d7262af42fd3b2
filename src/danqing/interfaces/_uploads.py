"""What a person has uploaded: `uploads/ID/file/NAME`, its facts and preview beside it. The ID is of the content."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import unicodedata
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from danqing.errors import DanqingError, InvalidMedia, UnknownName
from danqing.interfaces import _isolated

DIGITS = re.compile("[0-9a-f]{24}")
LONGEST_STEM = 80  # characters of a file's name
PICTURE_BYTES, OTHER_BYTES, COLLECTION_BYTES = 256 * 2**20, 16 * 2**20, 2**30
LARGEST = max(PICTURE_BYTES, COLLECTION_BYTES)


@dataclass(frozen=True)
class Upload:
    """One uploaded file, or a collection of them."""

    id: str
    name: str
    media: str  # picture, music, text or collection
    width: int | None
    height: int | None
    path: Path  # a collection's is the folder that it was unpacked in
    preview: Path | None

    def as_dict(self) -> dict[str, Any]:
        """As a page sees it."""
        facts = {key: value for key, value in asdict(self).items() if key not in ("path", "preview")}
        shown = f"/api/uploads/{self.id}/preview" if self.preview else None
        return {**facts, "url": f"/api/uploads/{self.id}", "preview": shown}


def most_bytes(head: bytes, name: str) -> int:
    """How large a file may be that begins like this."""
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"II", b"MM")):
        return PICTURE_BYTES
    return COLLECTION_BYTES if head.startswith(b"PK") and name.lower().endswith(".zip") else OTHER_BYTES


def clean(name: str) -> str:
    """A file's name that is good on every system: no folder, nothing hidden, nothing that a shell would see."""
    base = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    base = re.sub(r'[\x00-\x1f\x7f<>:"|?*\u202a-\u202e\u2066-\u2069\ud800-\udfff]', "", base).strip(". ")
    stem, dot, suffix = base.rpartition(".")
    if not dot:
        stem, suffix = base, ""
    stem = stem[:LONGEST_STEM].strip(". ")
    while len(stem.encode()) > 200:  # a name has 255 bytes
        stem = stem[:-1]
    return (stem or "upload") + ("." + suffix.lower() if suffix and re.fullmatch("[A-Za-z0-9]{1,10}", suffix) else "")


def keep(home: Path, part: Path, given: str) -> Upload:
    """Look at a file that has come, in a process of its own, and keep it. Raises InvalidMedia. `part` is taken away."""
    name = clean(given)
    work = part.with_name(part.name + ".d")  # where it lies under its name while it is looked at
    try:
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        digest.update(b"\0" + name.encode())
        known = digest.hexdigest()[:24]
        if (home / "uploads" / known / "facts.json").is_file():
            return get(home, known)
        if part.stat().st_size == 0:
            raise InvalidMedia(f"{name} is empty (0 bytes)")
        (work / "file").mkdir(parents=True)
        placed = part.rename(work / "file" / name)
        preview = work / "preview.webp"
        if name.endswith(".zip"):
            facts = _isolated.unpack(placed, work / "collection")
            placed.unlink()
        else:
            facts = _inspect(placed, preview)
            if placed.suffix.lower() != facts["suffix"]:
                name = placed.rename(placed.with_name(placed.name + facts["suffix"])).name
        told = {"id": known, "name": name, "media": facts["media"]}
        told |= {side: facts.get(side) for side in ("width", "height")}
        (work / "facts.json").write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
        try:
            work.rename(home / "uploads" / known)  # in one step: it is there, or it is not
        except OSError:
            if not (home / "uploads" / known / "facts.json").is_file():  # else another request was faster
                raise
        return get(home, known)
    finally:
        part.unlink(missing_ok=True)
        shutil.rmtree(work, ignore_errors=True)


def _inspect(placed: Path, preview: Path) -> dict[str, Any]:
    try:
        return _isolated.inspect(placed, preview)
    except DanqingError as error:  # its name is the person's; where it lies meanwhile is nobody's business
        raise type(error)(str(error).replace(f"{placed.parent}{os.sep}", "")) from error


def get(home: Path, name: str) -> Upload:
    """An upload by its id; raises UnknownName. The id is checked: no path comes from outside."""
    folder = home / "uploads" / name
    if not DIGITS.fullmatch(name) or not (folder / "facts.json").is_file():
        raise UnknownName("upload", name[:80], (), "POST /api/uploads")
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    preview = folder / "preview.webp"
    place = folder / ("collection" if facts["media"] == "collection" else f"file/{facts['name']}")
    return Upload(**facts, path=place, preview=preview if preview.is_file() else None)
