"""The arts as forms, and the named styles with pictures of them."""

from __future__ import annotations

import functools
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse

from danqing import arts as known
from danqing.interfaces import _requests

router = APIRouter(tags=["arts"])

DAY_S = 86_400


@router.get("/arts")
@functools.cache
def arts() -> dict[str, Any]:
    """Every art with the fields of its request."""
    verbs = [*known.names(), *known.SUITES, *known.REPORTS]
    return {"arts": [_requests.describe(verb) for verb in verbs]}


@router.get("/styles")
@functools.cache
def styles() -> dict[str, Any]:
    """Every named style, its title in both languages, and where its picture is."""
    from danqing.catalog import styles as catalog

    return {
        "styles": [
            {
                "name": style.name,
                "title": {"en": style.title, "zh": style.zh},
                "thumbnail": f"/api/styles/{style.name}/thumbnail",
                "painters": list(style.painters),
                "years": list(style.years),
            }
            for style in catalog.styles()
        ]
    }


@router.get("/styles/{name}/thumbnail", response_class=FileResponse)
def thumbnail(name: str) -> FileResponse:
    """The exemplar that ships for a style; raises UnknownName."""
    from danqing.catalog import styles as catalog

    heads = {"cache-control": f"public, max-age={DAY_S}"}
    return FileResponse(catalog.shipped().exemplar(name), media_type="image/webp", headers=heads)
