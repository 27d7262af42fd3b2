"""What a person has come to like, learned from their choices: a preference model, kept, told in words, forgotten.

Utility is linear in the features of `features`; a choice of one work over another has the probability of Bradley &
Terry 1952, σ(u(a) − u(b)); a slider between two works gives it as a share. The weights have a Gaussian prior and their
posterior is taken by Laplace's approximation (MacKay 1992), so that what is not known is known not to be known: words
are said only of what is sure, and a proposal can be drawn by Thompson's rule (Thompson 1933).

Choices are kept in `taste.db`, one row for each comparison; the model is made from them anew whenever it is asked for,
which takes milliseconds. Pictures, texts and music have a taste each.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sql
from numpy.typing import NDArray

from danqing.artwork import database
from danqing.errors import BadRequest, NotWritable
from danqing.sessions import features

Vector = NDArray[np.float64]
Qualities = Mapping[str, float]  # feature → its value on the common scale

PRIOR = 0.7  # standard deviation of a weight before anything is known; of names half as much again is rare
SURE = 1.5  # posterior standard deviations from 0 at which a direction is said: about 93 %
MOST_SAID = 8
ROUNDS = 40  # of Newton's method, at most
MEDIA = ("picture", "text", "music")
VERSION = 1  # of the exported file

_MIGRATIONS = (
    (
        """CREATE TABLE choices (
            id INTEGER PRIMARY KEY, created TEXT NOT NULL, media TEXT NOT NULL, session TEXT NOT NULL,
            one TEXT NOT NULL, other TEXT NOT NULL, share REAL NOT NULL, weight REAL NOT NULL)""",
        "CREATE INDEX choices_media ON choices (media)",
        """CREATE TABLE sessions (
            id TEXT PRIMARY KEY, created TEXT NOT NULL, art TEXT NOT NULL, request TEXT NOT NULL,
            candidates INTEGER NOT NULL, seed INTEGER NOT NULL)""",
        """CREATE TABLE candidates (
            session TEXT NOT NULL, number INTEGER NOT NULL, round INTEGER NOT NULL, genome TEXT NOT NULL,
            parents TEXT NOT NULL, work TEXT, features TEXT, verdict TEXT, PRIMARY KEY (session, number))""",
    ),
    (
        """CREATE TABLE leanings (
            session TEXT NOT NULL, round INTEGER NOT NULL, one INTEGER NOT NULL, other INTEGER NOT NULL,
            share REAL NOT NULL)""",
    ),
)
_CHOICES = sql.table(
    "choices", *map(sql.column, ("id", "created", "media", "session", "one", "other", "share", "weight"))
)


@dataclass(frozen=True)
class Choice:
    """One work against another: share 1 is the one, 0 the other, between them a slider."""

    one: Qualities
    other: Qualities
    share: float = 1.0
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise BadRequest(f"a choice between two works lies between 0 and 1, not at {self.share}")


def choices_of(
    shown: Mapping[int, Qualities],
    liked: Sequence[int] = (),
    disliked: Sequence[int] = (),
    between: Sequence[tuple[int, int, float]] = (),
) -> list[Choice]:
    """What a round says: liked works over all others of it, all others over the disliked ones; sliders as they stand.

    between: (a, b, share), share 1 is all a's. One work's pairs weigh as much as a few, since they are not independent.
    """
    pairs = [(good, rest) for good in liked for rest in shown if rest not in liked]
    pairs += [(rest, bad) for bad in disliked for rest in shown if rest not in disliked and rest not in liked]
    weight = min(1.0, 2 * len(shown) / len(pairs)) if pairs else 1.0
    found = [Choice(shown[a], shown[b], 1.0, weight) for a, b in pairs]
    return found + [Choice(shown[a], shown[b], share) for a, b, share in between]


class Taste:
    """A posterior over what a person likes."""

    def __init__(self, choices: Sequence[Choice], prior: float = PRIOR) -> None:
        self.count = len(choices)
        self.names = tuple(sorted({name for choice in choices for name in (*choice.one, *choice.other)}))
        self.prior = prior
        self._place = {name: place for place, name in enumerate(self.names)}
        self.mean, self.covariance = self._fit(choices)

    def row(self, qualities: Qualities) -> Vector:
        """A work's features in the model's order; those that it has never met count for nothing."""
        found = np.zeros(len(self.names))
        for name, value in qualities.items():
            if name in self._place:
                found[self._place[name]] = value
        return found

    def utility(self, works: Sequence[Qualities]) -> tuple[Vector, Vector]:
        """(mean, standard deviation) of how much each work is liked, (N,) each; 0 is indifference."""
        x = np.array([self.row(work) for work in works]).reshape(len(works), len(self.names))
        unknown = np.array([sum(v * v for n, v in w.items() if n not in self._place) for w in works])
        variance: Vector = np.einsum("ij,jk,ik->i", x, self.covariance, x) + self.prior**2 * unknown
        spread: Vector = np.sqrt(np.maximum(variance, 0.0))
        mean: Vector = x @ self.mean
        return mean, spread

    def draw(self, random: np.random.Generator) -> Vector:
        """Weights (D,) that could be this person's: a draw from the posterior, for Thompson's rule."""
        return self.mean + self._root @ random.standard_normal(len(self.mean))

    @cached_property
    def _root(self) -> Vector:
        values, vectors = np.linalg.eigh(self.covariance)
        root: Vector = vectors * np.sqrt(np.maximum(values, 0.0))
        return root

    def expected_improvement(self, works: Sequence[Qualities], best: float) -> Vector:
        """How much more each work is liked than `best`, where it is; (N,), 0 or more."""
        from scipy.stats import norm

        mean, spread = self.utility(works)
        spread = np.maximum(spread, 1e-9)
        z = (mean - best) / spread
        gain: Vector = (mean - best) * norm.cdf(z) + spread * norm.pdf(z)
        return gain

    def sure(self) -> list[tuple[str, float, float]]:
        """(feature, weight, standard deviations from 0) of what is sure, the weightiest first."""
        spread = np.sqrt(np.diag(self.covariance)) if len(self.names) else np.zeros(0)
        found = [(n, float(m), float(abs(m) / s)) for n, m, s in zip(self.names, self.mean, spread, strict=True)]
        return sorted((one for one in found if one[2] >= SURE), key=lambda one: -abs(one[1]))[:MOST_SAID]

    def words(self, language: str) -> list[str]:
        """What is sure, in "zh" or "en": ["warmer colours", "fewer strokes"]; nothing where nothing is."""
        return [features.said(name, weight > 0, language) for name, weight, _ in self.sure()]

    def _fit(self, choices: Sequence[Choice]) -> tuple[Vector, Vector]:
        """Mode and inverse curvature of the posterior, by Newton's method with halved steps."""
        size = len(self.names)
        precision = np.eye(size) / self.prior**2
        mean: Vector = np.zeros(size)
        covariance: Vector = np.eye(size) * self.prior**2
        if not choices:
            return mean, covariance
        x = np.array([self.row(choice.one) - self.row(choice.other) for choice in choices])
        share = np.array([choice.share for choice in choices])
        weight = np.array([choice.weight for choice in choices])

        def loss(w: Vector) -> float:
            z = x @ w
            return float((weight * (np.logaddexp(0, z) - share * z)).sum() + 0.5 * w @ precision @ w)

        for _ in range(ROUNDS):
            p = 1 / (1 + np.exp(-np.clip(x @ mean, -40, 40)))
            gradient = x.T @ (weight * (p - share)) + precision @ mean
            curvature = (x.T * (weight * p * (1 - p))) @ x + precision
            step = np.linalg.solve(curvature, gradient)
            length = 1.0
            while loss(mean - length * step) > loss(mean) and length > 1e-3:
                length /= 2
            mean = mean - length * step
            if float(np.abs(step).max(initial=0.0)) < 1e-6:
                break
        p = 1 / (1 + np.exp(-np.clip(x @ mean, -40, 40)))
        covariance = np.linalg.inv((x.T * (weight * p * (1 - p))) @ x + precision)
        return mean, covariance


class TasteBook:
    """The choices of one person, in `taste.db` of their home. Opening it creates or upgrades what is missing."""

    def __init__(self, home: Path | None = None) -> None:
        from danqing.artwork.shelf import default_home

        self.home = (home or default_home()).absolute()
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NotWritable(
                f"{self.home} cannot be made: {error.strerror}; set DANQING_HOME to a folder of yours"
            ) from error
        path = self.home / "taste.db"
        self._engine = database.connect(path)
        database.migrate(
            self._engine, path, _MIGRATIONS, f"the taste in {self.home}", "move it away or set DANQING_HOME"
        )

    def learn(self, media: str, session: str, choices: Sequence[Choice]) -> None:
        """Keep what a person chose."""
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        rows = [
            {
                "created": now, "media": media, "session": session, "one": _json(choice.one),
                "other": _json(choice.other), "share": choice.share, "weight": choice.weight,
            }
            for choice in choices
        ]  # fmt: skip
        if rows:
            with self.writing() as connection:
                connection.execute(sql.insert(_CHOICES), rows)

    def taste(self, media: str) -> Taste:
        """What is known of a person's taste in "picture", "text" or "music"."""
        query = sql.select(_CHOICES).where(_CHOICES.c.media == media).order_by(_CHOICES.c.id)
        with self._engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return Taste([Choice(json.loads(r["one"]), json.loads(r["other"]), r["share"], r["weight"]) for r in rows])

    def reset(self) -> int:
        """Forget every choice, and the sessions with them; returns how many choices there were."""
        with self.writing() as connection:
            count = int(connection.execute(sql.select(sql.func.count()).select_from(_CHOICES)).scalar_one())
            for name in ("choices", "candidates", "leanings", "sessions"):
                connection.execute(sql.delete(sql.table(name)))
        return count

    def export(self) -> dict[str, Any]:
        """Everything that was learned, as JSON values; `load` takes it."""
        with self._engine.connect() as connection:
            rows = connection.execute(sql.select(_CHOICES).order_by(_CHOICES.c.id)).mappings().all()
        kept = [
            {"created": r["created"], "media": r["media"], "share": r["share"], "weight": r["weight"],
             "one": json.loads(r["one"]), "other": json.loads(r["other"])}
            for r in rows
        ]  # fmt: skip
        return {"danqing_taste": VERSION, "choices": kept, "words": {m: self.taste(m).words("en") for m in MEDIA}}

    def load(self, exported: Any) -> int:
        """Add what `export` gave, of this person or another; returns how many choices. Raises BadRequest."""
        if not isinstance(exported, dict) or exported.get("danqing_taste") != VERSION:
            raise BadRequest("this is no exported taste of Danqing; one is written by: danqing evolve taste --export")
        try:
            by_media: dict[str, list[Choice]] = {}
            for row in exported["choices"]:
                if row["media"] not in MEDIA:
                    raise ValueError(f"media {row['media']!r}")
                one, other = (
                    {str(name): float(value) for name, value in row[side].items()} for side in ("one", "other")
                )
                if not all(np.isfinite(value) for value in (*one.values(), *other.values())):
                    raise ValueError("a feature is not finite")
                choice = Choice(one, other, float(row["share"]), min(1.0, max(0.0, float(row["weight"]))))
                by_media.setdefault(row["media"], []).append(choice)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadRequest(f"the exported taste is damaged: {error}; nothing was taken from it") from error
        for media, choices in by_media.items():
            self.learn(media, "import", choices)
        return sum(map(len, by_media.values()))

    def writing(self) -> contextlib.AbstractContextManager[sql.Connection]:
        """A transaction that holds the file's write lock from its first moment."""
        return database.writing(self._engine, f"the taste in {self.home}")

    @contextlib.contextmanager
    def reading(self) -> Iterator[sql.Connection]:
        """A connection that only reads."""
        with self._engine.connect() as connection:
            yield connection


def _json(qualities: Qualities) -> str:
    return json.dumps(dict(qualities), ensure_ascii=False, sort_keys=True)
