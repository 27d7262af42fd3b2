"""The built page: sent compressed and from memory, and asked for again only where it may have changed."""

from __future__ import annotations

import gzip
import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

FOREVER = "public, max-age=31536000, immutable"  # what has a hash in its name never changes
WORTH_BYTES = 512  # a smaller file is not packed: what it saves, the head of the answer costs


class Page(StaticFiles):
    """The files of the built page, which are few and small."""

    def file_response(
        self, full_path: Any, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """One of them; 304 where the browser has it already."""
        data, packed, tag = _read(Path(full_path), stat_result.st_mtime_ns)
        asked = Headers(scope=scope)
        squeezed = packed is not None and _takes_gzip(asked.get("accept-encoding", ""))
        heads = {
            "cache-control": FOREVER if "/assets/" in scope["path"] else "no-cache",
            "etag": f'"{tag}-gzip"' if squeezed else f'"{tag}"',
            "vary": "accept-encoding",
        }
        if self.is_not_modified(Headers(heads), asked):
            return NotModifiedResponse(Headers(heads))
        if squeezed:
            heads["content-encoding"] = "gzip"
        return Response(packed if squeezed else data, status_code, heads, _media_type(Path(full_path)))


@lru_cache(maxsize=256)
def _read(path: Path, _changed_ns: int) -> tuple[bytes, bytes | None, str]:
    """A file, the same packed where that makes it smaller, and its tag."""
    data = path.read_bytes()
    packed = gzip.compress(data, 9, mtime=0) if len(data) >= WORTH_BYTES else data
    return data, packed if len(packed) < len(data) else None, hashlib.sha256(data).hexdigest()[:16]


def _takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding header names gzip, and does not name it to refuse it (q=0)."""
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _media_type(path: Path) -> str:
    return {
        ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
        ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".json": "application/json",
    }.get(path.suffix, "application/octet-stream")  # fmt: skip
