"""The canvas in the studio: the colours that stand for regions, and the quick look after each stroke.

What is drawn becomes a painting through `sketch`. A look is its first pass and nothing else: no work, no shelf, no
labels, and the painter stays in memory from one look to the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from danqing.arts.sketch import REGION_COLOURS
from danqing.errors import BadRequest
from danqing.interfaces import _requests

if TYPE_CHECKING:
    from danqing.interfaces._worker import JobContext

router = APIRouter(tags=["canvas"])

TITLES = {
    "sky": "天空", "cloud": "云", "light": "光", "mountain": "山", "tree": "树", "ground": "草地", "water": "水",
    "snow": "雪", "sand": "沙", "building": "房屋", "boat": "船", "flower": "花", "rock": "石",
}  # fmt: skip
SHAPES = {**TITLES, "ground": "地", "roof": "屋顶", "sail": "帆", "trunk": "树干", "object": "物件"}  # what is guessed
LOOKED_AT = ("drawing", "prompt", "style", "plain", "model", "seed")  # what a look may be asked for


@router.get("/canvas/regions")
def regions() -> dict[str, Any]:
    """The regions that a drawing can be a map of: name, titles, colour as #rrggbb."""
    found = [
        {"name": name, "title": {"en": name, "zh": TITLES[name]}, "colour": "#{:02x}{:02x}{:02x}".format(*colour)}
        for name, colour in REGION_COLOURS.items()
    ]
    return {"regions": found}


def check(request: dict[str, Any]) -> dict[str, Any]:
    """A look's request, {"drawing": {"upload": ID}, …}; raises BadRequest."""
    if unknown := sorted(set(request) - set(LOOKED_AT)):
        raise BadRequest(f"a look has no {unknown[0]!r}; it has {', '.join(LOOKED_AT)}")
    if "drawing" not in request:
        raise BadRequest('a look is at a drawing, and none was given: {"drawing": {"upload": ID}}')
    return request


def look(context: JobContext) -> None:
    """The first pass over a drawing, shown as the job's preview; it reports what the shapes were taken for."""
    from danqing import arts
    from danqing.arts import sketch
    from danqing.catalog import styles
    from danqing.compute import device

    asked = _requests.build("sketch", {**context.request, "draft": True}, context.find)
    made = sketch.create(asked, arts.Tools(device.choose(), styles.shipped(), context.on_step))
    context.preview(made.content)  # type: ignore[arg-type]
    context.done(report={"shapes": [{"en": name, "zh": SHAPES[name]} for name in sketch.taken_for(made)]})


JOBS = {"look": look}
CHECKS = {"look": check}
