"""What benchmarks/music.py compares: real pieces, split as the recipes split them, and pieces that Danqing makes."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from danqing import arts
from danqing.appraisal import traits
from danqing.arts import compose
from danqing.arts.compose import Compose
from danqing.artwork import kern
from danqing.artwork.music import Score
from danqing.catalog import styles
from danqing.compute import device
from danqing.encode import notes, tunes
from danqing.errors import DanqingError, InvalidMedia, Unavailable
from danqing.training import folk, music, repertoire

ARCHIVES = {  # composer → archives of **kern
    "bach": ("bach-kern",),
    "mozart": ("mozart-kern",),
    "beethoven": ("beethoven-kern",),
    "chopin": ("chopin-kern", "chopin-preludes-kern"),
    "haydn": ("haydn-kern",),
    "scarlatti": ("scarlatti-kern",),
    "joplin": ("joplin-kern",),
}
SUNG = ("pop", "jazz")  # styles whose collections are one archive each, read as their recipes read them
BARS = 16  # of a piece that is made, and of an excerpt
LEAST = 8  # bars of a piece that is looked at


@dataclass(frozen=True)
class Real:
    """Pieces that people made."""

    training: tuple[Score, ...]
    held: tuple[Score, ...]


@dataclass(frozen=True)
class Data:
    """Where the collections are."""

    root: Path
    folk: Path  # a folder with the folk recipe's files
    folk_files: str
    keep: Path  # for what takes long to read

    @functools.cached_property
    def chorales(self) -> music.Chorales:
        """The JSB collection."""
        return music.chorales(self.root)

    @functools.cached_property
    def pieces(self) -> dict[str, dict[str, Score]]:
        """Every piece of ARCHIVES that can be read: composer → name → piece."""
        return {
            composer: {name: score for archive in names for name, score in _read(self.root, archive).items()}
            for composer, names in ARCHIVES.items()
        }

    def real(self, style: str) -> Real:
        """The pieces of a style, split by its model's recipe. Raises Unavailable for a style without one."""
        if style in ("chorale", "bach"):
            known = [notes.to_score(p.grid) for p in (*self.chorales.training, *self.chorales.valid)]
            return Real(tuple(known), tuple(notes.to_score(p.grid) for p in self.chorales.test))
        if style == "folk":
            book = folk.Tunes.load(self.folk, self.folk_files)
            return Real(tuple(map(tunes.to_score, book.training)), tuple(map(tunes.to_score, book.held)))
        if style in SUNG:
            recipe, reader = (importlib.import_module(f"danqing.{name}.{style}") for name in ("recipes", "training"))
            book = reader.load(self.root, recipe.Config().files, self.keep / f"{style}.npz")
            return Real(tuple(map(repertoire.to_score, book.training)), tuple(map(repertoire.to_score, book.held)))
        held = self._held_piano.get(style)
        if style not in ARCHIVES or held is None:
            raise Unavailable(f"no recipe here says which pieces of {style!r} are held out")
        own = self.pieces[style].items()
        return Real(
            tuple(score for name, score in own if name not in held), tuple(s for name, s in own if name in held)
        )

    @functools.cached_property
    def _held_piano(self) -> dict[str, set[str]]:
        """Composer → the names of the pieces that the recipe `piano` holds out; empty where there is no such recipe."""
        if importlib.util.find_spec("danqing.training.piano") is None:
            return {}
        recipe, reader = (importlib.import_module(f"danqing.{name}.piano") for name in ("recipes", "training"))
        book = reader.load(self.root, recipe.Config().files, self.keep / "piano.npz")
        learned = {piece.work for piece in book.training}
        found: dict[str, set[str]] = {}
        for piece in book.held:
            if piece.work not in learned:
                found.setdefault(piece.label, set()).add(piece.name)
        return found


def _read(root: Path, archive: str) -> dict[str, Score]:
    found: dict[str, Score] = {}
    with zipfile.ZipFile(music.find(root, archive, (".zip",))) as file:
        for name in sorted(file.namelist()):
            try:
                score = kern.decode(file.read(name).decode("utf-8", "replace"), name)
            except InvalidMedia:
                continue
            if len(score.bars()) > LEAST and score.notes:
                found[Path(name).stem] = score
    return found


def work_of(name: str) -> str:
    """What the movements of one sonata, and the pieces of one opus, have in common."""
    return re.sub(r"-\d+[a-z]?$", "", name)


def heads(scores: Sequence[Score]) -> list[Score]:
    """The first BARS bars of each."""
    return [traits.excerpt(score, 0, BARS) for score in scores if score.notes]


# --- pieces that are made ---------------------------------------------------------------------------------------------


@functools.cache
def tools() -> arts.Tools:
    """As the one door has them."""
    return arts.Tools(device.choose(), styles.shipped())


def known_style(style: str) -> bool:
    """Whether `compose --style` knows it."""
    return style in compose.STYLES or style in compose.ALIASES


def made(style: str, count: int) -> tuple[Score, ...]:
    """Pieces of BARS bars with the seeds 1 to `count`. Raises Unavailable where the style's model is not installed."""
    if not known_style(style):
        raise Unavailable(f"{style!r} is no style of danqing compose yet")
    return _made(compose.ALIASES.get(style, style), count)


@functools.cache
def _made(style: str, count: int) -> tuple[Score, ...]:
    found: list[Score] = []
    for seed in range(1, count + 1):
        try:
            content = compose.create(Compose(style=style, bars=BARS, seed=seed), tools()).content
        except Unavailable:
            raise
        except DanqingError:  # every draft was a copy, and said so: there is no such piece
            continue
        assert isinstance(content, Score)
        found.append(content.with_notes(content.of(0)) if style == "jazz" else content)
    return tuple(found)
