"""The shelf: every work that was made, kept by its content and found again by a short name.

Files lie under their SHA-256 (`files/ab/abcd….png`), so the same content is one file however often it is added; what is
known of them is in SQLite. The file comes first and the row second: a power cut in between leaves a file that no row
names, which `sweep` removes, and never a row without a file. Several processes may use one shelf at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import sqlalchemy as sql
from PIL import Image

from danqing.artwork import database, files, literature
from danqing.artwork.artwork import Artwork
from danqing.artwork.image import Picture
from danqing.artwork.provenance import Provenance
from danqing.artwork.video import Video
from danqing.errors import BadRequest, NotWritable, UnknownName

PREVIEW_SIDE = 384  # px, longer side
STARS = 5  # the best rating; 0 is none
MOST_TAGS, LONGEST_TAG = 32, 60  # of one work; characters
SHORT = 8  # hex digits of a work's name; more where two works share them
_SUFFIXES = {"picture": ".png", "text": ".txt", "music": ".musicxml", "video": ".mp4"}  # what a work is kept as
ORPHAN_AGE_S = 3600.0  # a file without a row is somebody's unfinished add until it is this old

# One entry for each version of the schema, oldest first; a shelf runs those that it has not seen. Never edit an entry.
_MIGRATIONS = (
    (
        """CREATE TABLE works (
            sha256 TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, created TEXT NOT NULL, verb TEXT NOT NULL,
            title TEXT NOT NULL, media TEXT NOT NULL, suffix TEXT NOT NULL, width INTEGER, height INTEGER,
            seed INTEGER, provenance TEXT NOT NULL)""",
        "CREATE INDEX works_created ON works (created)",
        "CREATE INDEX works_verb ON works (verb)",
    ),
    (
        "ALTER TABLE works ADD COLUMN rating INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE works ADD COLUMN trashed TEXT",
        """CREATE TABLE tags (
            sha256 TEXT NOT NULL REFERENCES works (sha256) ON DELETE CASCADE, name TEXT NOT NULL,
            PRIMARY KEY (sha256, name)) WITHOUT ROWID""",
        "CREATE INDEX tags_name ON tags (name)",
    ),
)
_WORKS = sql.table(
    "works",
    *(
        sql.column(name)
        for name in (
            "sha256 id created verb title media suffix width height seed provenance rating trashed".split()  # noqa: SIM905
        )
    ),
)
_TAGS = sql.table("tags", sql.column("sha256"), sql.column("name"))
_OWN_TAGS = sql.literal_column(
    "(SELECT json_group_array(name) FROM tags WHERE tags.sha256 = works.sha256)", sql.Text
).label("tags")
_WHOLE = sql.select(_WORKS, _OWN_TAGS)


@dataclass(frozen=True)
class Work:
    """A work on the shelf."""

    id: str  # the first digits of the SHA-256, enough to name it
    sha256: str  # of the file's bytes
    created: datetime  # UTC
    verb: str
    title: str
    media: str  # "picture", "text", "music" or "video"
    width: int | None  # px; None for a text or music
    height: int | None  # px; None for a text or music
    seed: int | None
    provenance: Provenance
    path: Path  # the file, lossless and with provenance inside, or beside it where the format has no room
    preview: Path | None  # WebP, at most PREVIEW_SIDE px a side; None for a text or music
    rating: int = 0  # 1 to STARS; 0 is none
    tags: tuple[str, ...] = ()  # sorted
    trashed: datetime | None = None  # UTC; None unless it lies in the trash


def default_home() -> Path:
    """Where a person's works are kept: $DANQING_HOME, or the system's place for a program's data."""
    given = os.environ.get("DANQING_HOME")
    return Path(given).expanduser() if given else platformdirs.user_data_path("danqing", appauthor=False)


class Shelf:
    """The works in one folder. Opening it creates or upgrades what is missing."""

    def __init__(self, home: Path | None = None) -> None:
        self.home = (home or default_home()).absolute()
        try:
            for name in ("files", "previews"):
                (self.home / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NotWritable(
                f"the shelf {self.home} cannot be made: {error.strerror}; set DANQING_HOME to a folder of yours"
            ) from error
        path = self.home / "shelf.db"
        self._engine = database.connect(path)
        advice = "move it away (the works in files/ stay) or set DANQING_HOME"
        database.migrate(self._engine, path, _MIGRATIONS, f"the shelf {self.home}", advice)

    @cached_property
    def watch(self) -> database.Watch:
        """Tells whether the shelf was changed, by whichever program."""
        return database.Watch(self.home / "shelf.db")

    def add(self, artwork: Artwork, *, suffix: str = "") -> Work:
        """Keeps a work and returns it as it stands on the shelf; the same content again gives the same work.

        One that lies in the trash comes out of it.

        suffix: the file's format; .png for a picture, .txt for a text, .musicxml for music and .mp4 for a video
        unless given.
        Raises WriteFailed when the disk is full, NotWritable when the shelf may not be written.
        """
        suffix = suffix or _SUFFIXES[artwork.media]
        data = artwork.encode(suffix)
        digest = hashlib.sha256(data).hexdigest()
        parts = self._parts(artwork, digest, suffix, data)
        self._store(parts)
        provenance = artwork.provenance
        picture = artwork.content if isinstance(artwork.content, Picture | Video) else None
        row = {
            "sha256": digest,
            "created": datetime.now(UTC).isoformat(timespec="microseconds"),
            "verb": provenance.verb,
            "title": artwork.title,
            "media": artwork.media,
            "suffix": suffix,
            "width": picture.width if picture else None,
            "height": picture.height if picture else None,
            "seed": provenance.seed,
            "provenance": provenance.to_json(),
        }
        with self._writing() as connection:
            # Again, now that nobody else can remove it: between the file and the row another process may have done so.
            self._store(parts)
            if connection.execute(sql.select(_WORKS).where(_WORKS.c.sha256 == digest)).first() is None:
                row["id"] = _short_name(connection, digest)
                connection.execute(sql.insert(_WORKS).values(**row))
            connection.execute(sql.update(_WORKS).where(_WORKS.c.sha256 == digest).values(trashed=None))
            kept = connection.execute(_WHOLE.where(_WORKS.c.sha256 == digest)).mappings().one()
        return self._work(kept)

    def works(
        self,
        limit: int = 50,
        offset: int = 0,
        *,
        verb: str | None = None,
        search: str | None = None,
        media: str | None = None,
        tag: str | None = None,
        rating: int = 0,
    ) -> list[Work]:
        """The latest works first, without those in the trash.

        search: looked for in titles, tags and in what was asked for; case does not matter. rating: this or better.
        """
        if limit < 0 or offset < 0:
            raise BadRequest(f"limit is {limit} and offset {offset}; neither is below 0")
        query = _narrowed(_WHOLE, verb=verb, search=search, media=media, tag=tag, rating=rating)
        query = query.order_by(_WORKS.c.created.desc(), _WORKS.c.sha256).limit(limit).offset(offset)
        with self._engine.begin() as connection:
            return [self._work(row) for row in connection.execute(query).mappings()]

    def count(
        self,
        *,
        verb: str | None = None,
        search: str | None = None,
        media: str | None = None,
        tag: str | None = None,
        rating: int = 0,
    ) -> int:
        """How many works there are, narrowed as in `works`; those in the trash are not counted."""
        query = sql.select(sql.func.count()).select_from(_WORKS)
        query = _narrowed(query, verb=verb, search=search, media=media, tag=tag, rating=rating)
        with self._engine.begin() as connection:
            return int(connection.execute(query).scalar_one())

    def get(self, name: str) -> Work:
        """The work whose id or SHA-256 begins with `name`; one in the trash is not found.

        Raises UnknownName, with the nearest id, where there is none; BadRequest where there are several.
        """
        with self._engine.begin() as connection:
            return self._work(self._find(connection, name))

    def rate(self, name: str, rating: int) -> Work:
        """Give a work 1 to STARS stars, or none (0). Raises BadRequest, and as `get` does."""
        if isinstance(rating, bool) or not isinstance(rating, int) or not 0 <= rating <= STARS:
            raise BadRequest(f"rating is {rating!r}; it is a whole number from 0 (none) to {STARS}")
        return self._change(name, rating=rating)

    def tag(self, name: str, tags: Iterable[str]) -> Work:
        """Give a work these tags and no others. Raises BadRequest for one that is no tag, and as `get` does."""
        wanted = sorted({_tag(tag) for tag in tags})
        if len(wanted) > MOST_TAGS:
            raise BadRequest(f"{len(wanted)} tags were given; a work has up to {MOST_TAGS}")
        with self._writing() as connection:
            digest = self._find(connection, name)["sha256"]
            connection.execute(sql.delete(_TAGS).where(_TAGS.c.sha256 == digest))
            for tag in wanted:
                connection.execute(sql.insert(_TAGS).values(sha256=digest, name=tag))
            return self._work(connection.execute(_WHOLE.where(_WORKS.c.sha256 == digest)).mappings().one())

    def tags(self) -> dict[str, int]:
        """Every tag, with how many works have it; those in the trash are not counted."""
        query = (
            sql.select(_TAGS.c.name, sql.func.count())
            .join_from(_TAGS, _WORKS, _TAGS.c.sha256 == _WORKS.c.sha256)
            .where(_WORKS.c.trashed.is_(None))
            .group_by(_TAGS.c.name)
            .order_by(_TAGS.c.name)
        )
        with self._engine.begin() as connection:
            return {name: int(count) for name, count in connection.execute(query)}

    def discard(self, name: str) -> Work:
        """Put a work into the trash: no list shows it, and `restore` brings it back. Raises as `get` does."""
        return self._change(name, trashed=datetime.now(UTC).isoformat(timespec="microseconds"))

    def restore(self, name: str) -> Work:
        """Take a work out of the trash, with its rating and tags; one that is not in it stays as it is."""
        return self._change(name, trash=True, trashed=None)

    def trash(self) -> list[Work]:
        """What lies in the trash, the latest first."""
        query = _WHOLE.where(_WORKS.c.trashed.is_not(None)).order_by(_WORKS.c.trashed.desc(), _WORKS.c.sha256)
        with self._engine.begin() as connection:
            return [self._work(row) for row in connection.execute(query).mappings()]

    def empty_trash(self) -> int:
        """Remove all that lies in the trash, for good; returns how many works that were."""
        return len([self.remove(work.sha256) for work in self.trash()])

    def remove(self, name: str) -> Work:
        """Takes a work off the shelf or out of the trash, with its files; returns what it was. Raises as `get` does."""
        with self._writing() as connection:
            work = self._work(self._find(connection, name, trash=True))
            connection.execute(sql.delete(_WORKS).where(_WORKS.c.sha256 == work.sha256))
        with self._writing() as connection:  # the row is gone for good; now the files, unless they were added again
            if connection.execute(sql.select(_WORKS).where(_WORKS.c.sha256 == work.sha256)).first() is None:
                for path in (*work.path.parent.glob(f"{work.sha256}.*"), work.preview):  # with what lies beside it
                    if path is not None:
                        path.unlink(missing_ok=True)
        return work

    def _change(self, name: str, *, trash: bool = False, **values: Any) -> Work:
        with self._writing() as connection:
            digest = self._find(connection, name, trash=trash)["sha256"]
            connection.execute(sql.update(_WORKS).where(_WORKS.c.sha256 == digest).values(**values))
            return self._work(connection.execute(_WHOLE.where(_WORKS.c.sha256 == digest)).mappings().one())

    def sweep(self, older_than_s: float = ORPHAN_AGE_S) -> int:
        """Removes files that no row names and unfinished ones, if older than `older_than_s`; returns how many."""
        before = time.time() - older_than_s
        removed = 0
        with self._writing() as connection:
            known = set(connection.execute(sql.select(_WORKS.c.sha256)).scalars())
            for path in [*self.home.glob("files/*/*"), *self.home.glob("previews/*/*")]:
                if path.name.partition(".")[0] in known:
                    continue
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_mtime <= before:
                        path.unlink()
                        removed += 1
        return removed

    def _find(self, connection: sql.Connection, name: str, *, trash: bool = False) -> Any:
        """The row that a name stands for; `trash`: those in the trash as well."""
        wanted = name.strip().lower()
        if not wanted:
            raise BadRequest("the name of a work is empty; see: danqing gallery")
        whole = _WHOLE if trash else _WHOLE.where(_WORKS.c.trashed.is_(None))
        exact = connection.execute(whole.where(_WORKS.c.id == wanted)).mappings().first()
        if exact is not None:  # an id stays good even when a later work's name begins with it
            return exact
        latest = whole.order_by(_WORKS.c.created.desc())
        matching = latest.where(_WORKS.c.sha256.startswith(wanted, autoescape=True)).limit(5)
        rows = connection.execute(matching).mappings().all()
        if not rows:
            ids = [row.id for row in connection.execute(latest.limit(1000))]  # near names cost time on a full shelf
            raise UnknownName("work", name, ids, "danqing gallery")
        if len(rows) > 1:
            which = ", ".join(f"{row['id']} ({row['title'] or row['verb']})" for row in rows[:4])
            raise BadRequest(f"{name!r} begins several works: {which}{', …' if len(rows) > 4 else ''}; add digits")
        return rows[0]

    def _work(self, row: Any) -> Work:
        digest = row["sha256"]
        return Work(
            id=row["id"],
            sha256=digest,
            created=datetime.fromisoformat(row["created"]),
            verb=row["verb"],
            title=row["title"],
            media=row["media"],
            width=row["width"],
            height=row["height"],
            seed=row["seed"],
            provenance=Provenance.from_json(row["provenance"]),
            path=self._place("files", digest, row["suffix"]),
            preview=self._place("previews", digest, ".webp") if row["media"] in ("picture", "video") else None,
            rating=row["rating"],
            tags=tuple(sorted(json.loads(row["tags"]))),
            trashed=datetime.fromisoformat(row["trashed"]) if row["trashed"] else None,
        )

    def _place(self, kind: str, digest: str, suffix: str) -> Path:
        return self.home / kind / digest[:2] / f"{digest}{suffix}"

    def _parts(self, artwork: Artwork, digest: str, suffix: str, data: bytes) -> list[tuple[Path, bytes]]:
        """Every file that a work is kept in, with its bytes."""
        path = self._place("files", digest, suffix)
        if isinstance(artwork.content, Picture | Video):
            shown = artwork.content.cover if isinstance(artwork.content, Video) else artwork.content
            kept = [(self._place("files", digest, ending), own) for ending, own in artwork.beside.items()]
            return [(path, data), *kept, (self._place("previews", digest, ".webp"), _preview(shown))]
        beside = literature.encode_sidecar(data, suffix, artwork.provenance)
        return [(path, data), *([(literature.sidecar(path), beside)] if beside else [])]

    def _store(self, parts: list[tuple[Path, bytes]]) -> None:
        for path, content in parts:
            if not path.is_file():
                try:
                    path.parent.mkdir(exist_ok=True)
                except OSError as error:
                    raise NotWritable(f"the shelf {self.home} cannot be written: {error.strerror}") from error
                files.write(content, path, force=True)  # two processes may write it at once: the same bytes

    def _writing(self) -> contextlib.AbstractContextManager[sql.Connection]:
        return database.writing(self._engine, f"the shelf {self.home}")


def _narrowed(
    query: Any, *, verb: str | None, search: str | None, media: str | None, tag: str | None, rating: int
) -> Any:
    """A query over the works, without the trash, narrowed by what is given."""
    query = query.where(_WORKS.c.trashed.is_(None))
    for column, wanted in ((_WORKS.c.verb, verb), (_WORKS.c.media, media)):
        if wanted is not None:
            query = query.where(column == wanted)
    if tag is not None:
        query = query.where(_WORKS.c.sha256.in_(sql.select(_TAGS.c.sha256).where(_TAGS.c.name == _tag(tag))))
    if rating > 0:
        query = query.where(_WORKS.c.rating >= rating)
    if search:
        tagged = sql.select(_TAGS.c.sha256).where(_TAGS.c.name.icontains(search, autoescape=True))
        found = (column.icontains(search, autoescape=True) for column in (_WORKS.c.title, _WORKS.c.provenance))
        query = query.where(sql.or_(*found, _WORKS.c.sha256.in_(tagged)))
    return query


def _tag(given: str) -> str:
    """A tag as it is kept: one line, its spaces single. Raises BadRequest."""
    tag = " ".join(str(given).split())
    if not tag or len(tag) > LONGEST_TAG or not tag.isprintable():
        raise BadRequest(f"tag {str(given)[:80]!r} is none; a tag is 1 to {LONGEST_TAG} characters on one line")
    return tag


def _short_name(connection: sql.Connection, digest: str) -> str:
    """The fewest digits, SHORT or more, that no other work's name begins with."""
    for length in range(SHORT, len(digest)):
        taken = sql.select(_WORKS.c.id).where(_WORKS.c.sha256.startswith(digest[:length]))
        if connection.execute(taken).first() is None:
            return digest[:length]
    return digest


def _preview(picture: Picture) -> bytes:
    """A WebP of at most PREVIEW_SIDE px a side for lists and the browser."""
    planes = [picture.pixels] if picture.alpha is None else [picture.pixels, picture.alpha[:, :, None]]
    levels = np.concatenate([np.rint(plane * np.float32(255)).astype(np.uint8) for plane in planes], axis=2)
    image = Image.fromarray(levels)
    image.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    out = io.BytesIO()
    image.save(out, "WEBP", quality=85, method=4)
    return out.getvalue()
