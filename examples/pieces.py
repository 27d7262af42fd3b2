"""Writes docs/gallery/compose.md: ten pieces of each style, seeds 1 to 10, none left out, as one sheet and as MIDI.

python examples/pieces.py docs/gallery/compose.md            # every style whose model is installed
python examples/pieces.py docs/gallery/compose.md bach folk  # these alone; the others' files stay, the page names all
"""

from __future__ import annotations

import argparse
import io
import shlex
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

import danqing
from danqing.artwork import notation, scores
from danqing.artwork.artwork import Artwork
from danqing.artwork.music import Score
from danqing.errors import DanqingError, Unavailable, UnknownName

# What is asked for, as the command line says it; every one with the seeds 1 to 10.
ASKED = {
    "bach": "--style bach --bars 12",
    "folk": "--style folk --bars 16",
    "jig": "--style jig --bars 16",
    "chopin": "--style chopin --bars 12",
    "mozart": "--style mozart --bars 12",
    "beethoven": "--style beethoven --bars 12",
    "haydn": "--style haydn --bars 12",
    "scarlatti": "--style scarlatti --bars 12",
    "joplin": "--style joplin --bars 12",
    "pop": "--style pop --bars 16",
    "jazz": "--style jazz --bars 12",
}
COUNT = 10
COLUMNS = 2
WIDTH = 760  # px of one piece
GAP = 24  # px around it
GREYS = 8  # that a sheet has, so that it stays small
LAYOUT = notation.Layout(scale=0.6, width_px=WIDTH)
HEAD = """# Music

The first ten pieces of each style, seeds 1 to 10, none left out and nothing changed, by the models that ship. Each is
made again by the command above it with its seed; all of them by `python examples/pieces.py docs/gallery/compose.md`.
"""


def pieces(asked: str) -> dict[int, Artwork]:
    """Seed → the piece, those left out that were withheld. Raises Unavailable, UnknownName for the whole style."""
    words = shlex.split(asked)
    options = {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}
    found: dict[int, Artwork] = {}
    for seed in range(1, COUNT + 1):
        try:
            found[seed] = danqing.compose(seed=seed, style=options["style"], bars=int(options["bars"])).artwork
        except (Unavailable, UnknownName):
            raise
        except DanqingError as error:
            sys.stderr.write(f"  seed {seed}: {error}\n")
    return found


def page(number: int, score: Score) -> Image.Image:
    """One piece in print, its margins cut off, with its seed beside it."""
    with Image.open(io.BytesIO(notation.png_pages(score, LAYOUT)[0])) as whole:
        grey = whole.convert("L")
    box = grey.point(lambda level: 255 - level).getbbox() or (0, 0, WIDTH, 1)
    found = Image.new("L", (WIDTH + GAP, box[3] - box[1] + GAP), 255)
    found.paste(grey.crop((0, box[1], grey.width, box[3])), (GAP, GAP))
    ImageDraw.Draw(found).text((4, 4), str(number), 0, ImageFont.load_default(20))
    return found


def sheet(scores_: dict[int, Score]) -> bytes:
    """All of them on one PNG, COLUMNS side by side, in GREYS."""
    pages = [page(number, score) for number, score in scores_.items()]
    rows = [pages[start : start + COLUMNS] for start in range(0, len(pages), COLUMNS)]
    heights = [max(one.height for one in row) for row in rows]
    whole = Image.new("L", (COLUMNS * (WIDTH + GAP), sum(heights)), 255)
    for place, row in enumerate(rows):
        for column, one in enumerate(row):
            whole.paste(one, (column * (WIDTH + GAP), sum(heights[:place])))
    out = io.BytesIO()
    whole.quantize(GREYS).save(out, "PNG", optimize=True)
    return out.getvalue()


def write(name: str, folder: Path) -> None:
    """The sheet and the MIDI files of one style."""
    works = pieces(ASKED[name])
    found = {seed: _score(work) for seed, work in works.items()}
    (folder / f"{name}.png").write_bytes(sheet(found))
    for seed in range(1, COUNT + 1):
        place = folder / f"{name}-{seed}.mid"
        place.unlink(missing_ok=True)
        if seed in found:
            place.write_bytes(scores.encode_bytes(found[seed], ".mid", works[seed].provenance))


def told(name: str, folder: Path) -> str:
    """The part of the page that shows one style, from the files that are there."""
    links = []
    for seed in range(1, COUNT + 1):
        place = folder / f"{name}-{seed}.mid"
        there = place.exists()
        title = f"[{scores.read(place).title}]({folder.name}/{place.name})" if there else "withheld: it was a copy"
        links.append(f"**{seed}** {title}")
    picture = f"![Ten pieces, {name}]({folder.name}/{name}.png)"
    return f"## `danqing compose {ASKED[name]}`\n\n{picture}\n\n" + " · ".join(links)


def _score(work: Artwork) -> Score:
    assert isinstance(work.content, Score)
    return work.content


def main() -> None:
    """Make the pieces and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("styles", nargs="*", metavar="style", help=f"of {', '.join(ASKED)}; all unless given")
    asked = parser.parse_args()
    if unknown := set(asked.styles) - set(ASKED):
        parser.error(f"no style is called {', '.join(sorted(unknown))}; there are {', '.join(ASKED)}")
    target, names = asked.page, asked.styles
    folder = target.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or ASKED:
        sys.stderr.write(f"{ASKED[name]}\n")
        try:
            write(name, folder)
        except (Unavailable, UnknownName) as error:
            sys.stderr.write(f"  left out: {error}\n")
    parts = [HEAD, *(told(name, folder) for name in ASKED if (folder / f"{name}.png").exists())]
    target.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
