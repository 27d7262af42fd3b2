"""The one door: a request goes in, a finished work that stands on the shelf comes out.

import danqing
work = danqing.stylize("photo.jpg", style="ukiyo-e")
work.save("out.png")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from danqing import arts
from danqing.artwork.request import OnStep, ignore

if TYPE_CHECKING:
    from danqing.artwork.artwork import Artwork
    from danqing.artwork.shelf import Shelf, Work


@dataclass(frozen=True)
class Creation:
    """A work that was just made: in memory as `artwork`, on the shelf as `work`."""

    artwork: Artwork
    work: Work

    def save(self, path: str | Path, *, force: bool = False, quality: int = 92) -> Path:
        """Write it to a file of the suffix's format as well; raises OutputExists unless `force`, NotWritable."""
        return self.artwork.save(path, force=force, quality=quality)


def create(request: object, *, on_step: OnStep = ignore, shelf: Shelf | None = None) -> Creation:
    """Meet a request of any art: check it, make the work, put it on the shelf.

    request: a dataclass of `danqing.arts`, `arts.stylize.Stylize` for example. on_step: told where the work stands;
    stops it by raising `errors.Cancelled`. shelf: where the work is kept, the person's own unless given.
    Raises what is in `danqing.errors`; nothing is on the shelf then.
    """
    verb = arts.verb_of(request)
    from danqing.artwork.shelf import Shelf
    from danqing.catalog import styles
    from danqing.compute import device

    place = shelf if shelf is not None else Shelf()
    tools = arts.Tools(device.choose(), styles.shipped(), on_step)
    artwork: Artwork = arts.module(verb).create(request, tools)
    return Creation(artwork, place.add(artwork))


def stylize(
    photo: str | Path,
    style: str | Path | Sequence[str | Path],
    *,
    on_step: OnStep = ignore,
    shelf: Shelf | None = None,
    **options: Any,
) -> Creation:
    """A photo in the style of one or more paintings.

    photo: a picture file. style: the name of a style or a picture file, or several of them. options: the other fields
    of `danqing.arts.stylize.Stylize`: mix, method, strength, size, keep_colors, masks, backbone, seed.
    """
    from danqing.arts.stylize import Stylize

    several = [style] if isinstance(style, str | Path) else style
    return create(Stylize(Path(photo), tuple(map(str, several)), **options), on_step=on_step, shelf=shelf)
