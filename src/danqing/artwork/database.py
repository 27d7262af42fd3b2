"""SQLite files of one home, as the shelf, the queue of jobs and the taste keep them.

Readers never wait for a writer (WAL); a transaction that writes takes the one write lock from its first moment, because
one that reads first and writes later fails at once when another has written in between. Several processes may use a
file at once.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from danqing.errors import NotWritable, Unavailable, WriteFailed

BUSY_S = 30.0  # how long a process waits for another one's write


def connect(path: Path) -> sql.Engine:
    """An engine for the file. Transactions begin by themselves; `writing` makes those that write."""
    # NullPool: a connection opens in under a millisecond and none is left to a forked worker, a thread or the end.
    engine = sql.create_engine(
        sql.URL.create("sqlite", database=str(path)), poolclass=sql.NullPool, connect_args={"timeout": BUSY_S}
    )
    sql.event.listen(engine, "connect", _configure)
    sql.event.listen(engine, "begin", _begin)
    return engine


@contextlib.contextmanager
def writing(engine: sql.Engine, what: str, *, light: bool = False) -> Iterator[sql.Connection]:
    """A transaction that holds the write lock; `light` does not wait for the disk.

    what: begins the message of an error, "the shelf /home/…". Raises WriteFailed when the disk is full or broken,
    NotWritable when the file may not be written or is damaged.
    """
    try:
        with engine.execution_options(write=True, light=light).begin() as connection:
            yield connection
    except sql.exc.DatabaseError as error:
        if isinstance(error, sql.exc.IntegrityError | sql.exc.ProgrammingError):  # a mistake of ours, not of the disk
            raise
        told = str(error.orig)
        full = "disk is full" in told or "disk I/O" in told  # SQLITE_FULL, SQLITE_IOERR
        raise (WriteFailed if full else NotWritable)(f"{what} cannot be written: {told}") from error


def migrate(engine: sql.Engine, path: Path, migrations: Sequence[Sequence[str]], what: str, advice: str) -> None:
    """Run the migrations that the file has not seen; their number is its version.

    what: as of `writing`. advice: what to do about a file that is no database. Raises Unavailable where a newer Danqing
    wrote it, NotWritable where it cannot be used.
    """
    try:
        with engine.begin() as connection:  # to look is no write: whoever watches the file is not told of it
            if _version(connection) == len(migrations):
                return
        with engine.execution_options(write=True).begin() as connection:
            version = _version(connection)
            if version > len(migrations):
                raise Unavailable(
                    f"{what} was written by a newer Danqing (schema {version}); this one knows up to "
                    f"{len(migrations)}: install the newer one or set DANQING_HOME"
                )
            for statement in (statement for statements in migrations[version:] for statement in statements):
                connection.exec_driver_sql(statement)
            connection.exec_driver_sql(f"PRAGMA user_version = {len(migrations)}")
    except sql.exc.DatabaseError as error:
        raise NotWritable(f"{path} cannot be used: {error.orig}; {advice}") from error


def _version(connection: sql.Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


class Watch:
    """Tells whether anybody, this process or another, has written to a file: a look costs microseconds."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False)
        weakref.finalize(self, self._connection.close)
        self._turn = threading.Lock()
        self._seen = self._version()

    def changed(self) -> bool:
        """Whether something was written since this was last asked, or since the watch began."""
        with self._turn:
            before, self._seen = self._seen, self._version()
            return before != self._seen

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])


def _configure(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where `_begin` says, not where the driver guesses
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: sql.Connection) -> None:
    options = connection.get_execution_options()
    # FULL: a row that was reported is there after a power cut.
    connection.exec_driver_sql(f"PRAGMA synchronous = {'NORMAL' if options.get('light') else 'FULL'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("write") else "BEGIN")
