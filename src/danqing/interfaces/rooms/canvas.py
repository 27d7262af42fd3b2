"""The canvas in the studio: the colours that stand for regions. What is drawn becomes a painting through `sketch`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from danqing.arts.sketch import REGION_COLOURS

router = APIRouter(tags=["canvas"])

TITLES = {
    "sky": "天空", "cloud": "云", "light": "光", "mountain": "山", "tree": "树", "ground": "草地", "water": "水",
    "snow": "雪", "sand": "沙", "building": "房屋", "boat": "船", "flower": "花", "rock": "石",
}  # fmt: skip


@router.get("/canvas/regions")
def regions() -> dict[str, Any]:
    """The regions that a drawing can be a map of: name, titles, colour as #rrggbb."""
    found = [
        {"name": name, "title": {"en": name, "zh": TITLES[name]}, "colour": "#{:02x}{:02x}{:02x}".format(*colour)}
        for name, colour in REGION_COLOURS.items()
    ]
    return {"regions": found}
