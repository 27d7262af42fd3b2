"""The queue of jobs: what was asked for, how far it is, what came of it. It outlives page, server and power.

Everything is in one SQLite file, `jobs.db`, so a page that is opened again, a server that was killed and a worker of
its own process all see the same. This file keeps the books only: it knows no art, starts no process and reads no
clock but to write down when something happened.

Whoever watches asks for what has changed since a revision. Each job and each work has one row in `changes`, which takes
the next revision whenever something happens to it: the list never grows beyond the number of things there are.

A worker owns the job that it has claimed, by its name in the row. When it is taken for dead its job goes to another,
and from then on it is told `Lost` whatever it reports: nothing is written twice.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from danqing.artwork import database
from danqing.errors import BadRequest, DanqingError, NotWritable, Unavailable, UnknownName

LANES = ("long", "quick", "training")  # each has one worker: a training of hours holds up no painting
STATES = ("queued", "running", "done", "failed", "cancelled")
FINISHED = ("done", "failed", "cancelled")
MOST_DEATHS = 2  # workers that a job may take down with it: the second one says that it is the job's doing
MOST_WAITING = 10_000
NEAR = 5  # so many of those who wait are told when they move up; the page works out the rest from `place`

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS jobs (
        id TEXT PRIMARY KEY, verb TEXT NOT NULL, title TEXT NOT NULL, request TEXT NOT NULL, lane TEXT NOT NULL,
        keep INTEGER NOT NULL, state TEXT NOT NULL, place REAL NOT NULL, done INTEGER NOT NULL DEFAULT 0,
        total INTEGER NOT NULL DEFAULT 0, stage TEXT NOT NULL DEFAULT '', preview INTEGER NOT NULL DEFAULT 0,
        frames INTEGER NOT NULL DEFAULT 0, works TEXT NOT NULL DEFAULT '[]', report TEXT NOT NULL DEFAULT 'null',
        error TEXT NOT NULL DEFAULT 'null', created TEXT NOT NULL, started TEXT, ended TEXT, worker TEXT,
        deaths INTEGER NOT NULL DEFAULT 0, cancelling TEXT)""",
    "CREATE INDEX IF NOT EXISTS jobs_waiting ON jobs (state, lane, place)",
    "CREATE INDEX IF NOT EXISTS jobs_created ON jobs (created)",
    """CREATE TABLE IF NOT EXISTS frames (
        job TEXT NOT NULL, number INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (job, number)) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS changes (subject TEXT PRIMARY KEY, kind TEXT NOT NULL, revision INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS changes_revision ON changes (revision)",
)
_JSON = ("request", "works", "report", "error")


class Lost(DanqingError):
    """The job is no longer this worker's: it was taken for dead, or the job was removed."""


@dataclass(frozen=True)
class Job:
    """One job as it stands."""

    id: str  # 16 hex digits
    verb: str
    title: str  # a few words for lists
    request: Mapping[str, Any]  # as it came, its seed fixed
    lane: str  # one of LANES
    keep: bool  # whether its works go on the shelf
    state: str  # one of STATES
    place: float  # those that wait in a lane go by this
    position: int | None  # 1 is next in its lane; None unless it waits
    done: int
    total: int
    stage: str
    preview: int  # how many there have been; 0 none
    frames: int  # how many it has told
    works: Sequence[str]  # ids on the shelf
    report: Any
    error: Mapping[str, str] | None  # kind, message
    created: str  # ISO 8601, UTC
    started: str | None
    ended: str | None


@dataclass(frozen=True)
class Change:
    """Something that happened: to a job ("job", "job-removed") or a work ("work", "work-removed")."""

    revision: int
    kind: str
    id: str


@dataclass(frozen=True)
class Asked:
    """What `Queue.add_all` is given. Raises BadRequest for a lane that there is none of, a request that is no JSON."""

    verb: str
    request: Mapping[str, Any]
    title: str = ""
    lane: str = "long"
    keep: bool = True
    text: str = field(init=False)  # the request as JSON

    def __post_init__(self) -> None:
        if self.lane not in LANES:
            raise BadRequest(f"lane is {self.lane!r}; it is one of {', '.join(LANES)}")
        object.__setattr__(self, "text", _text(dict(self.request)))


class Queue:
    """The jobs of one home. Any number of processes may open it at once."""

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()
        self._turn = threading.Lock()
        try:
            (self.home / "jobs").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NotWritable(
                f"the queue in {self.home} cannot be made: {error.strerror}; set DANQING_HOME to a folder of yours"
            ) from error
        path = self.home / "jobs.db"
        self._engine = database.connect(path)
        database.migrate(self._engine, path, (_SCHEMA,), f"the queue {path}", "move it away or set DANQING_HOME")
        # It stays open: when the last one closes, SQLite puts the log away and flushes the disk twice for it.
        self.watch = database.Watch(path)

    # --- asking ---------------------------------------------------------------------------------------------------

    def add(
        self, verb: str, request: Mapping[str, Any], *, title: str = "", lane: str = "long", keep: bool = True
    ) -> Job:
        """Put a job at the end of its lane; it is on the disk when this returns. Raises BadRequest, Unavailable."""
        (added,) = self.add_all([Asked(verb, request, title, lane, keep)])
        if isinstance(added, Unavailable):
            raise added
        return added

    def add_all(self, asked: Sequence[Asked]) -> list[Job | Unavailable]:
        """Put jobs at the ends of their lanes, in this order; all are on the disk when this returns.

        One transaction, one wait for the disk, however many they are. One that there is no room for any more has its
        error in its place.
        """
        now = _now()
        with self._writing() as connection:
            counted = connection.execute(
                sql.text("SELECT lane, count(*) AS waiting FROM jobs WHERE state = 'queued' GROUP BY lane")
            )
            waiting = {row.lane: row.waiting for row in counted}
            room = max(0, MOST_WAITING - sum(waiting.values()))
            place = _one(connection, "SELECT coalesce(max(place), 0) FROM jobs")
            revision = _one(connection, _LATEST)
            rows: dict[str, dict[str, Any]] = {}
            for number, each in enumerate(asked[:room], 1):
                waiting[each.lane] = waiting.get(each.lane, 0) + 1
                name = secrets.token_hex(8)
                rows[name] = {
                    "id": name, "verb": each.verb, "title": each.title, "request": each.text, "lane": each.lane,
                    "keep": int(each.keep), "place": place + number, "now": now, "position": waiting[each.lane],
                    "subject": f"job:{name}", "revision": revision + number,
                }  # fmt: skip
            if rows:
                connection.execute(_ADD, list(rows.values()))
                connection.execute(_ADD_CHANGE, list(rows.values()))
            kept = {
                row["id"]: _job({**row, "position": rows[row["id"]]["position"]})
                for row in connection.execute(_NAMED, {"names": list(rows)}).mappings()
            }
        full = Unavailable(f"{MOST_WAITING:,} jobs wait already, as many as are kept; cancel some first")
        return [*(kept[name] for name in rows), *([full] * (len(asked) - len(rows)))]

    def get(self, name: str) -> Job:
        """One job; raises UnknownName."""
        with self._engine.begin() as connection:
            return _get(connection, name)

    def jobs(self, limit: int = 100, *, states: Collection[str] = STATES) -> list[Job]:
        """The newest first, those that wait with their position."""
        if limit < 0:
            raise BadRequest(f"limit is {limit}; it is not below 0")
        asked = sql.text(
            f"SELECT jobs.*, {_POSITION} FROM jobs WHERE state IN :states "
            "ORDER BY created DESC, jobs.rowid DESC LIMIT :limit"
        ).bindparams(sql.bindparam("states", expanding=True))
        with self._engine.begin() as connection:
            rows = connection.execute(asked, {"states": list(states), "limit": limit}).mappings()
            return [_job(row) for row in rows]

    def named(self, names: Collection[str]) -> dict[str, Job]:
        """Those of these jobs that there are, by their id."""
        with self._engine.begin() as connection:
            rows = connection.execute(_NAMED_WHOLE, {"names": list(names)}).mappings()
            return {row["id"]: _job(row) for row in rows}

    def frames(self, name: str, first: int = 0) -> list[Any]:
        """What a job has told so far, from the frame numbered `first` on; raises UnknownName."""
        with self._engine.begin() as connection:
            _get(connection, name)
            rows = connection.execute(
                sql.text("SELECT body FROM frames WHERE job = :job AND number >= :first ORDER BY number"),
                {"job": name, "first": first},
            )
            return [json.loads(row.body) for row in rows]

    def folder(self, name: str) -> Path:
        """Where a job keeps its preview; made by whoever writes there."""
        return self.home / "jobs" / name

    # --- steering -------------------------------------------------------------------------------------------------

    def cancel(self, name: str) -> Job:
        """Stop a job: at once if it waits, within one step if it runs. Raises Unavailable where it has ended."""
        with self._writing() as connection:
            job = _get(connection, name)
            if job.state in FINISHED:
                raise Unavailable(f"job {name} is {job.state} already; only one that waits or runs can be cancelled")
            if job.state == "queued":
                _end(connection, name, "cancelled")
            else:
                _set(connection, name, "cancelling = coalesce(cancelling, :now), stage = 'stopping'", now=_now())
            return _get(connection, name)

    def retry(self, name: str) -> Job:
        """Queue a failed or cancelled job again, with the same seed. Raises Unavailable for any other."""
        with self._writing() as connection:
            job = _get(connection, name)
            if job.state not in ("failed", "cancelled"):
                raise Unavailable(f"job {name} is {job.state}; one that has failed or was cancelled is tried again")
            _set(connection, name, "deaths = 0, place = (SELECT max(place) + 1 FROM jobs)")
            _requeue(connection, name)
            return _get(connection, name)

    def move(self, name: str, before: str | None) -> Job:
        """Put a waiting job before another one of its lane, or at its end. Raises Unavailable where one has begun."""
        with self._writing() as connection:
            job = _get(connection, name)
            other = _get(connection, before) if before is not None else None
            for each in (job, *((other,) if other else ())):
                if each.state != "queued":
                    raise Unavailable(f"job {each.id} is {each.state}; only those that wait have a place to change")
            if other is not None and other.lane != job.lane:
                raise BadRequest(f"job {name} waits in lane {job.lane} and {before} in {other.lane}; they never meet")
            if other is None or other.id != job.id:
                self._put(connection, job, other)
            return _get(connection, name)

    def _put(self, connection: sql.Connection, job: Job, before: Job | None) -> None:
        """Give out the places that a lane has anew, in the wanted order."""
        waiting = connection.execute(
            sql.text("SELECT id, place FROM jobs WHERE state = 'queued' AND lane = :lane ORDER BY place, id"),
            {"lane": job.lane},
        ).all()
        order = [row.id for row in waiting if row.id != job.id]
        order.insert(order.index(before.id) if before else len(order), job.id)
        for name, row in zip(order, waiting, strict=True):
            if name != row.id:
                _set(connection, name, "place = :place", place=row.place)

    def remove(self, name: str) -> None:
        """Forget a finished job. Its works stay on the shelf. Raises Unavailable while it waits or runs."""
        with self._writing() as connection:
            job = _get(connection, name)
            if job.state not in FINISHED:
                raise Unavailable(f"job {name} is {job.state}; cancel it before it is removed")
            _forget(connection, name)
        shutil.rmtree(self.folder(name), ignore_errors=True)

    def clear(self) -> int:
        """Forget all finished jobs; returns how many."""
        with self._writing() as connection:
            names = [row.id for row in connection.execute(sql.text("SELECT id FROM jobs WHERE ended IS NOT NULL"))]
            for name in names:
                _forget(connection, name)
        for name in names:
            shutil.rmtree(self.folder(name), ignore_errors=True)
        return len(names)

    # --- working --------------------------------------------------------------------------------------------------

    def claim(self, lane: str, worker: str) -> Job | None:
        """Take the next job of a lane, by one atomic update: no two workers get the same. None where none waits."""
        waiting = "SELECT id FROM jobs WHERE state = 'queued' AND lane = :lane ORDER BY place, id LIMIT 1"
        with self._engine.begin() as connection:  # looking costs no write lock
            if connection.execute(sql.text(waiting), {"lane": lane}).first() is None:
                return None
        with self._writing() as connection:
            taken = connection.execute(
                sql.text(
                    "UPDATE jobs SET state = 'running', worker = :worker, started = :now "
                    f"WHERE id = ({waiting}) AND state = 'queued' RETURNING id"
                ),
                {"lane": lane, "worker": worker, "now": _now()},
            ).scalar()
            if taken is None:
                return None
            near = sql.text(
                "SELECT id FROM jobs WHERE state = 'queued' AND lane = :lane ORDER BY place, id LIMIT :near"
            )
            for row in connection.execute(near, {"lane": lane, "near": NEAR}).all():
                _touch(connection, row.id)
            _touch(connection, str(taken))
            return _get(connection, str(taken))

    def progress(
        self,
        name: str,
        worker: str,
        done: int | None = None,
        total: int | None = None,
        stage: str | None = None,
        *,
        preview: bool = False,
    ) -> bool:
        """Say how far a job is; returns whether the person wants it stopped. Raises Lost.

        preview: a new one has just been written. Survives a kill, though perhaps not a power cut: it is on its way to
        the disk when this returns, which spares a wait at every step.
        """
        with self._writing(light=True) as connection:
            return self._report(
                connection, name, worker,
                "done = coalesce(:done, done), total = coalesce(:total, total), stage = CASE WHEN cancelling IS NULL "
                "THEN coalesce(:stage, stage) ELSE stage END, preview = preview + :preview",
                done=done, total=total, stage=stage, preview=int(preview),
            )  # fmt: skip

    def frame(self, name: str, worker: str, body: Any) -> bool:
        """Keep something that a job tells, as JSON; returns whether the person wants it stopped. Raises Lost."""
        told = _text(body)
        with self._writing(light=True) as connection:
            asked = self._report(connection, name, worker, "frames = frames + 1")
            connection.execute(
                sql.text(
                    "INSERT INTO frames (job, number, body) VALUES (:job, "
                    "(SELECT frames - 1 FROM jobs WHERE id = :job), :body)"
                ),
                {"job": name, "body": told},
            )
            return asked

    def asked_to_stop(self, name: str, worker: str) -> bool:
        """Whether the person wants a running job stopped; raises Lost. Costs a read only."""
        with self._engine.begin() as connection:
            row = connection.execute(
                sql.text("SELECT cancelling FROM jobs WHERE id = :id AND worker = :worker AND state = 'running'"),
                {"id": name, "worker": worker},
            ).first()
        if row is None:
            raise Lost(f"job {name} is not {worker}'s any more")
        return row.cancelling is not None

    def finish(self, name: str, worker: str, works: Sequence[str] = (), report: Any = None) -> None:
        """A job is done, and these works of it are on the shelf. Raises Lost."""
        with self._writing() as connection:
            self._report(
                connection, name, worker, "works = :works, report = :report, done = max(done, total), stage = ''",
                works=_text(list(works)), report=_text(report),
            )  # fmt: skip
            _end(connection, name, "done")
            for work in works:
                _touch(connection, work, "work")

    def fail(self, name: str, worker: str, kind: str, message: str) -> None:
        """A job has failed, for a reason that a person can read. Raises Lost."""
        with self._writing() as connection:
            told = _text({"kind": kind, "message": message})
            self._report(connection, name, worker, "error = :error, stage = ''", error=told)
            _end(connection, name, "failed")

    def stopped(self, name: str, worker: str) -> None:
        """A job has stopped because the person wanted it to. Raises Lost."""
        with self._writing() as connection:
            self._report(connection, name, worker, "stage = ''")
            _end(connection, name, "cancelled")

    def recover(self, alive: Collection[str], *, died: bool = True) -> list[str]:
        """Queue again what is held by a worker that is not among `alive`; returns the jobs' ids.

        died: the worker fell while the studio stood, so its job may be to blame: the second time, it has failed. A
        studio that begins passes False, since then the studio was what ended. Their place in the lane is the old one.
        """
        with self._writing() as connection:
            running = connection.execute(sql.text("SELECT id, worker, deaths, cancelling FROM jobs WHERE state = "
                                                  "'running'")).all()  # fmt: skip
            found = [row for row in running if row.worker not in alive]
            for row in found:
                deaths = row.deaths + int(died)
                _set(connection, row.id, "deaths = :deaths, worker = NULL", deaths=deaths)
                if row.cancelling is not None:
                    _end(connection, row.id, "cancelled")
                elif deaths >= MOST_DEATHS:
                    words = "its process ended twice without a word, most likely for want of memory; try a smaller size"
                    told = _text({"kind": "WorkerDied", "message": words})
                    _set(connection, row.id, "error = :error", error=told)
                    _end(connection, row.id, "failed")
                else:
                    _requeue(connection, row.id)
            return [row.id for row in found]

    def overdue(self, grace_s: float) -> list[tuple[str, str]]:
        """Jobs that were asked to stop more than `grace_s` ago and still run: (job, worker)."""
        with self._engine.begin() as connection:
            rows = connection.execute(
                sql.text(
                    "SELECT id, worker FROM jobs WHERE state = 'running' AND cancelling IS NOT NULL "
                    "AND julianday('now') - julianday(cancelling) > :days"
                ),
                {"days": grace_s / 86400},
            )
            return [(row.id, row.worker) for row in rows]

    def _report(self, connection: sql.Connection, name: str, worker: str, what: str, **values: Any) -> bool:
        """Update a job that is this worker's; whether it is to stop. Raises Lost."""
        row = connection.execute(
            sql.text(
                f"UPDATE jobs SET {what} WHERE id = :id AND worker = :worker AND state = 'running' RETURNING cancelling"
            ),
            {"id": name, "worker": worker, **values},
        ).first()
        if row is None:
            raise Lost(f"job {name} is not {worker}'s any more")
        _touch(connection, name)
        return row.cancelling is not None

    # --- watching -------------------------------------------------------------------------------------------------

    def tell(self, kind: str, name: str) -> int:
        """Note that something happened to a work; returns the revision."""
        with self._writing(light=True) as connection:
            return _touch(connection, name, kind)

    def revision(self) -> int:
        """The number of the latest change."""
        with self._engine.begin() as connection:
            return int(_one(connection, _LATEST))

    def since(self, revision: int) -> list[Change]:
        """What has changed after a revision, each thing once, in the order of its last change."""
        with self._engine.begin() as connection:
            rows = connection.execute(
                sql.text("SELECT subject, kind, revision FROM changes WHERE revision > :after ORDER BY revision"),
                {"after": revision},
            )
            return [Change(row.revision, row.kind, row.subject.partition(":")[2]) for row in rows]

    @contextlib.contextmanager
    def _writing(self, *, light: bool = False) -> Iterator[sql.Connection]:
        """A transaction that holds the one write lock from its first moment; `light` does not wait for the disk."""
        # One after another within a process: SQLite would let them sleep and try again, in no fair order.
        with (
            self._turn,
            database.writing(self._engine, f"the queue {self.home / 'jobs.db'}", light=light) as connection,
        ):
            yield connection


_POSITION = (
    "CASE WHEN state = 'queued' THEN (SELECT count(*) FROM jobs AS ahead WHERE ahead.state = 'queued' "
    "AND ahead.lane = jobs.lane AND (ahead.place, ahead.id) <= (jobs.place, jobs.id)) END AS position"
)

_LATEST = "SELECT coalesce(max(revision), 0) FROM changes"
_ADD = sql.text(
    "INSERT INTO jobs (id, verb, title, request, lane, keep, state, place, created) "
    "VALUES (:id, :verb, :title, :request, :lane, :keep, 'queued', :place, :now)"
)
_ADD_CHANGE = sql.text("INSERT INTO changes (subject, kind, revision) VALUES (:subject, 'job', :revision)")
_NAMES: sql.BindParameter[Any] = sql.bindparam("names", expanding=True)
_NAMED = sql.text("SELECT * FROM jobs WHERE id IN :names").bindparams(_NAMES)
_NAMED_WHOLE = sql.text(f"SELECT jobs.*, {_POSITION} FROM jobs WHERE id IN :names").bindparams(_NAMES)


def _touch(connection: sql.Connection, name: str, kind: str = "job") -> int:
    """Give a job or a work the next revision."""
    subject = f"{kind.partition('-')[0]}:{name}"
    return int(
        connection.execute(
            sql.text(
                "INSERT INTO changes (subject, kind, revision) VALUES (:subject, :kind, "
                f"({_LATEST}) + 1) "
                "ON CONFLICT (subject) DO UPDATE SET kind = excluded.kind, revision = excluded.revision "
                "RETURNING revision"
            ),
            {"subject": subject, "kind": kind},
        ).scalar_one()
    )


def _set(connection: sql.Connection, name: str, what: str, **values: Any) -> None:
    connection.execute(sql.text(f"UPDATE jobs SET {what} WHERE id = :id"), {"id": name, **values})
    _touch(connection, name)


def _end(connection: sql.Connection, name: str, state: str) -> None:
    _set(connection, name, "state = :state, ended = :now, cancelling = NULL, stage = ''", state=state, now=_now())


def _requeue(connection: sql.Connection, name: str) -> None:
    """From the beginning, with nothing told; its last preview stays to be looked at."""
    connection.execute(sql.text("DELETE FROM frames WHERE job = :job"), {"job": name})
    _set(
        connection, name,
        "state = 'queued', worker = NULL, started = NULL, ended = NULL, done = 0, total = 0, stage = '', frames = 0, "
        "error = 'null', cancelling = NULL",
    )  # fmt: skip


def _forget(connection: sql.Connection, name: str) -> None:
    for statement in ("DELETE FROM frames WHERE job = :job", "DELETE FROM jobs WHERE id = :job"):
        connection.execute(sql.text(statement), {"job": name})
    _touch(connection, name, "job-removed")


def _get(connection: sql.Connection, name: str) -> Job:
    asked = sql.text(f"SELECT jobs.*, {_POSITION} FROM jobs WHERE id = :id")
    row = connection.execute(asked, {"id": name}).mappings().first()
    if row is None:
        raise UnknownName("job", name, (), "GET /api/jobs")
    return _job(row)


def _job(row: Any) -> Job:
    facts = {field: row[field] for field in Job.__dataclass_fields__}
    facts.update({field: json.loads(facts[field]) for field in _JSON})
    return Job(**{**facts, "keep": bool(facts["keep"])})


def _one(connection: sql.Connection, statement: str, **values: Any) -> Any:
    return connection.execute(sql.text(statement), values).scalar_one()


def _text(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadRequest(f"this is no JSON: {error}") from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
