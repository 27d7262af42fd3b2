"""Rounds of candidates that move toward what a person likes.

A session is an art and what a person has settled; all else is a genome: the style, words of light and weather, the key,
the tempo, the temperature, the seed of the composition. The first round is spread as widely as it can be. Each later
one is drawn from many children of works that were liked (mutated, crossed) and from strangers; the taste that was
learned so far chooses among them, half by what it believes and half by a draw from what it does not rule out, and no
two of a round are alike. What a work will measure before it is made is foreseen from those that were made.

The making is the caller's: `propose` hands out requests, `made` takes back works, `choose` takes the person's word.
Every step is in `taste.db`, so a session goes on where it stood.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args, get_origin

import numpy as np
import sqlalchemy as sql

from danqing import arts
from danqing.errors import BadRequest, UnknownName
from danqing.sessions import features, taste
from danqing.sessions.taste import Qualities, Taste, TasteBook

Genome = Mapping[str, Any]  # gene → its value
FEWEST, MOST = 2, 12  # candidates in a round
TRIES = 50  # genomes among which there is one that the art takes, if it takes any
POOL = 240  # children and strangers among which a round is chosen
STRANGERS = 0.3  # the share of them in a pool
MUTATED = 0.25  # how likely a gene of a child is a new one
ALIKE = 0.25  # candidates of one round differ in more than this share of their genes
NEAR = 0.25  # how soon, in shares of genes, one work says nothing of another
SEED = "seed"


@dataclass(frozen=True)
class Gene:
    """One setting that may vary: names to choose from, or numbers between two ends."""

    names: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    kind: str = ""  # which named feature it is, of features.SETTINGS
    word: bool = False  # its value is a word that goes into the prompt

    def draw(self, random: np.random.Generator) -> Any:
        """A value by chance."""
        if self.names:
            return self.names[int(random.integers(len(self.names)))]
        return round(float(random.uniform(self.low, self.high)), 2)

    def near(self, value: Any, random: np.random.Generator) -> Any:
        """A value not far from this one; of names another one."""
        if self.names:
            return self.draw(random)
        moved = float(value) + float(random.normal()) * 0.2 * (self.high - self.low)
        return round(min(self.high, max(self.low, moved)), 2)

    def apart(self, one: Any, other: Any) -> float:
        """0 the same … 1 as far as can be."""
        if self.names:
            return float(one != other)
        return abs(float(one) - float(other)) / (self.high - self.low)


@dataclass(frozen=True)
class Candidate:
    """One proposal of a round, and what came of it."""

    number: int  # within the session, from 1
    round: int
    genome: Genome
    parents: tuple[int, ...]
    work: str | None = None  # id on the shelf
    features: Qualities | None = None
    verdict: str | None = None  # "liked", "disliked" or "passed"; None before the person spoke


def spaces(art: str) -> dict[str, Gene]:
    """What may vary in an art. Raises BadRequest for one that has no rounds."""
    if art not in _SPACES:
        if art in arts.names() or art in arts.REPORTS or art in arts.SUITES:
            raise BadRequest(f"{art} has no rounds; evolve goes with {', '.join(_SPACES)}")
        raise UnknownName("art", art, _SPACES, see="danqing evolve --help")
    return _SPACES[art]()


def arts_with_rounds() -> tuple[str, ...]:
    """The arts that can be evolved."""
    return tuple(_SPACES)


def _styles() -> tuple[str, ...]:
    from danqing.catalog import styles

    return tuple(style.name for style in styles.styles())


def _paint() -> dict[str, Gene]:
    return {
        "style": Gene(_styles(), kind="style"),
        "time": Gene(("", "dawn", "day", "dusk", "night"), kind="time", word=True),
        "weather": Gene(("", "clear", "cloudy", "fog", "rain", "storm", "snow"), kind="weather", word=True),
        "season": Gene(("", "spring", "summer", "autumn", "winter"), kind="season", word=True),
        "mood": Gene(
            ("", "calm", "joyful", "melancholy", "dramatic", "warm", "cool", "dreamy"), kind="mood", word=True
        ),
        "composition": Gene(("", "low-horizon", "high-horizon"), kind="composition", word=True),
    }


def _stylize() -> dict[str, Gene]:
    return {
        "styles": Gene(_styles(), kind="style"),
        "strength": Gene(low=0.3, high=1.0),
        "keep_colors": Gene((False, False, True)),
    }


def _sketch() -> dict[str, Gene]:
    space = _paint()
    return {name: space[name] for name in ("style", "time", "weather", "season", "mood")}


def _compose() -> dict[str, Gene]:
    from danqing.arts.compose import STYLES

    manners = tuple(name for name in STYLES if name != "folk")
    kinds = tuple(f"folk:{kind}" for kind in STYLES["folk"].kinds)
    tonics = ("C", "D", "E", "F", "G", "A", "Bb")
    return {
        "style": Gene(manners + kinds, kind="style"),
        "key": Gene(tuple(f"{tonic}-{mode}" for mode in ("major", "minor") for tonic in tonics)),
        "tempo": Gene(low=50.0, high=150.0),
        "temperature": Gene(low=0.6, high=1.2),
    }


def _write() -> dict[str, Gene]:
    from danqing.arts.write import MOODS

    return {
        "form": Gene(("五绝", "七绝", "五律", "七律", "古诗", "词:浣溪沙", "词:如梦令", "词:卜算子"), kind="form"),
        "mood": Gene(("", *MOODS), kind="mood"),
        "dynasty": Gene(("", "唐", "宋"), kind="dynasty"),
        "temperature": Gene(low=0.6, high=1.2),
    }


_SPACES = {"paint": _paint, "compose": _compose, "write": _write, "stylize": _stylize, "sketch": _sketch}
_ENGLISH_FORMS = ("quatrain", "couplet", "haiku", "ballad", "sonnet")


class Session:
    """One person's rounds of one art. `begin` or `resume` opens one."""

    def __init__(self, book: TasteBook, row: Mapping[str, Any]) -> None:
        self.book, self.id, self.art = book, str(row["id"]), str(row["art"])
        self.fixed: dict[str, Any] = json.loads(row["request"])
        self.size, self.seed = int(row["candidates"]), int(row["seed"])
        self.space = _free(self.art, self.fixed)

    @property
    def media(self) -> str:
        """What the works are: "picture", "text" or "music"."""
        return arts.media(self.art)

    def candidates(self, round: int | None = None) -> list[Candidate]:
        """All of the session's, or those of one round, in order."""
        query = sql.text("SELECT * FROM candidates WHERE session = :session ORDER BY number")
        with self.book.reading() as connection:
            rows = connection.execute(query, {"session": self.id}).mappings().all()
        found = [
            Candidate(
                row["number"], row["round"], json.loads(row["genome"]), tuple(json.loads(row["parents"])), row["work"],
                json.loads(row["features"]) if row["features"] else None, row["verdict"],
            )
            for row in rows
        ]  # fmt: skip
        return found if round is None else [one for one in found if one.round == round]

    @property
    def round(self) -> int:
        """The number of the latest round; 0 before the first."""
        return max((one.round for one in self.candidates()), default=0)

    def propose(self) -> list[Candidate]:
        """The round that waits for works or choices, or, where none does, a new one."""
        every = self.candidates()
        last = max((one.round for one in every), default=0)
        waiting = [one for one in every if one.round == last and one.verdict is None]
        if waiting:
            return [one for one in every if one.round == last]
        random = np.random.default_rng([self.seed, last + 1])
        known = self.book.taste(self.media)

        def fits(genome: Genome) -> bool:
            return _fits(self.art, self.fixed, genome)

        proposed = propose(self.space, every, known, self.size, random, fits)
        rows = [
            {
                "session": self.id, "number": len(every) + place + 1, "round": last + 1,
                "genome": json.dumps(genome, ensure_ascii=False), "parents": json.dumps(parents),
            }
            for place, (genome, parents) in enumerate(proposed)
        ]  # fmt: skip
        insert = sql.text(
            "INSERT INTO candidates (session, number, round, genome, parents) "
            "VALUES (:session, :number, :round, :genome, :parents)"
        )
        with self.book.writing() as connection:
            connection.execute(insert, rows)
        return self.candidates(last + 1)

    def request(self, candidate: Candidate) -> Any:
        """The request dataclass that makes a candidate."""
        return request_of(self.art, self.fixed, candidate.genome)

    def made(self, number: int, work: str, qualities: Qualities) -> None:
        """Note the work that was made of a candidate, and what was measured on it."""
        with self.book.writing() as connection:
            connection.execute(
                sql.text("UPDATE candidates SET work = :work, features = :features WHERE session = :s AND number = :n"),
                {"work": work, "features": json.dumps(dict(qualities)), "s": self.id, "n": number},
            )

    def choose(
        self,
        liked: Sequence[int] = (),
        disliked: Sequence[int] = (),
        between: Sequence[tuple[int, int, float]] = (),
    ) -> Taste:
        """Take a person's word on the latest round, by the candidates' numbers; returns what is known now.

        between: (a, b, share): where a slider between two stands, 1 at a.
        """
        shown = {one.number: one for one in self.candidates(self.round)}
        ready = {number: one.features for number, one in shown.items() if one.features is not None}
        for number in (*liked, *disliked, *(n for a, b, _ in between for n in (a, b))):
            if number not in ready:
                raise BadRequest(f"{number} is none of this round; it has {', '.join(map(str, ready)) or 'no works'}")
        if both := set(liked) & set(disliked):
            raise BadRequest(f"{min(both)} cannot be liked and disliked at once")
        if all(one.verdict is not None for one in shown.values()):
            raise BadRequest(f"round {self.round} has been chosen from already; the next one comes first")
        choices = taste.choices_of(ready, liked, disliked, between)
        self.book.learn(self.media, self.id, choices)
        with self.book.writing() as connection:
            for number in shown:
                verdict = "liked" if number in liked else "disliked" if number in disliked else "passed"
                connection.execute(
                    sql.text("UPDATE candidates SET verdict = :v WHERE session = :s AND number = :n"),
                    {"v": verdict, "s": self.id, "n": number},
                )
        return self.book.taste(self.media)


def begin(
    home: Path | None, art: str, values: Mapping[str, Any], candidates: int = 6, seed: int | None = None
) -> Session:
    """A new session. values: fields of the art's request; what differs from its default is settled, all else may vary.

    Raises BadRequest, UnknownName for what the art itself would refuse.
    """
    if not FEWEST <= candidates <= MOST:
        raise BadRequest(f"a round has {FEWEST} to {MOST} candidates, not {candidates}")
    spaces(art)
    settled = _settled(art, values)
    free = _free(art, settled)
    if not free:
        raise BadRequest("every setting is given, so nothing is left to vary; leave a style, a form or a key open")
    random = np.random.default_rng(0)
    request_of(
        art, settled, min((_stranger(free, random) for _ in range(TRIES)), key=lambda g: not _fits(art, settled, g))
    )
    book = TasteBook(home)
    row = {
        "id": secrets.token_hex(4),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "art": art,
        "request": json.dumps(settled, ensure_ascii=False),
        "candidates": candidates,
        "seed": secrets.randbits(31) if seed is None else seed,
    }
    with book.writing() as connection:
        connection.execute(
            sql.text("INSERT INTO sessions VALUES (:id, :created, :art, :request, :candidates, :seed)"), row
        )
    return Session(book, row)


def resume(home: Path | None, name: str) -> Session:
    """The session of this id; raises UnknownName."""
    book = TasteBook(home)
    with book.reading() as connection:
        rows = connection.execute(sql.text("SELECT * FROM sessions ORDER BY created DESC")).mappings().all()
    found = next((row for row in rows if row["id"] == name), None)
    if found is None:
        raise UnknownName("session", name, [row["id"] for row in rows], see="danqing evolve taste")
    return Session(book, dict(found))


def recent(home: Path | None, limit: int = 20) -> list[dict[str, Any]]:
    """The latest sessions: id, created, art, request, rounds."""
    query = sql.text(
        "SELECT s.*, (SELECT max(round) FROM candidates c WHERE c.session = s.id) AS rounds FROM sessions s "
        "ORDER BY created DESC LIMIT :limit"
    )
    with TasteBook(home).reading() as connection:
        rows = connection.execute(query, {"limit": limit}).mappings().all()
    return [
        {"id": r["id"], "created": r["created"], "art": r["art"], "request": json.loads(r["request"]),
         "rounds": r["rounds"] or 0}
        for r in rows
    ]  # fmt: skip


# --- genomes and requests ---------------------------------------------------------------------------------------------


def _settled(art: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that differ from their defaults, as JSON."""
    known = {field.name: field.default for field in dataclasses.fields(arts.request_class(art))}
    if unknown := sorted(set(values) - set(known)):
        raise BadRequest(f"{art} has no field {unknown[0]!r}; it has {', '.join(known)}")
    return {
        name: _plain(value)
        for name, value in values.items()
        if value != known[name] and value not in (None, "", ()) and name not in ("count", SEED)
    }


def _fits(art: str, fixed: Mapping[str, Any], genome: Genome) -> bool:
    """Whether an art would take a genome with what is settled: a key that its style does not know, it would not."""
    try:
        request_of(art, fixed, genome)
    except BadRequest:
        return False
    return True


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value.absolute()) if isinstance(value, Path) else value


def _free(art: str, fixed: Mapping[str, Any]) -> dict[str, Gene]:
    """The genes that a person has not settled; in English only English forms."""
    space = {name: gene for name, gene in spaces(art).items() if name not in fixed}
    if art in ("paint", "sketch") and fixed.get("prompt"):
        from danqing.encode import scenes

        scene = scenes.read(fixed["prompt"])
        told = {"time": scene.time, "weather": scene.weather, "season": scene.season, "mood": scene.moods,
                "composition": scene.composition, "style": scene.styles}  # fmt: skip
        space = {name: gene for name, gene in space.items() if not told.get(name)}
    if art == "write" and arts.request_class("write")(**fixed).tongue == "en":
        space.pop("dynasty", None)
        if "form" in space:
            space["form"] = dataclasses.replace(space["form"], names=_ENGLISH_FORMS)
    if art == "compose" and "key" in space and fixed.get("mood"):
        space.pop("key")
    return space


def request_of(art: str, fixed: Mapping[str, Any], genome: Genome) -> Any:
    """The request dataclass of what is settled and a genome."""
    kind = arts.request_class(art)
    hints = {name: hint for name, (hint, _) in arts.flags(kind).items()}
    values = {name: _restored(value, hints[name]) for name, value in fixed.items()}
    words = []
    for name, gene in spaces(art).items():
        if name not in genome:
            continue
        value = genome[name]
        if gene.word:
            words += [_painted(name, value)] if value else []
        elif name == "styles":
            values["styles"] = (value,)
        else:
            values[name] = value
    values[SEED] = int(genome[SEED])
    if words:
        values["prompt"] = ", ".join([*([values["prompt"]] if values.get("prompt") else []), *words])
    return kind(**values)


def _painted(kind: str, name: str) -> str:
    """The first English word of the scenes' lexicon for a name."""
    from danqing.encode import scenes

    forms = [form for form, word in scenes.lexicon().items() if word.kind == kind and word.name == name]
    return next((form for form in forms if form.isascii()), name)


def _restored(value: Any, hint: Any) -> Any:
    if isinstance(value, list):
        inner = next((arg for arg in get_args(hint) if arg is not Ellipsis), str)
        return tuple(_restored(item, inner) for item in value)
    if value is not None and (hint is Path or (get_origin(hint) is not tuple and Path in get_args(hint))):
        return Path(value)
    return value


def settings_of(art: str, fixed: Mapping[str, Any], genome: Genome) -> dict[str, str]:
    """The named settings of a candidate, for its features."""
    found: dict[str, str] = {}
    for name, gene in spaces(art).items():
        value = genome.get(name, fixed.get(name))
        if gene.kind and isinstance(value, str) and value:
            found[gene.kind] = value
    key = str(genome.get("key", ""))
    return found | ({"mode": key.partition("-")[2]} if art == "compose" and key else {})


# --- which to propose -------------------------------------------------------------------------------------------------


def propose(
    space: Mapping[str, Gene],
    past: Sequence[Candidate],
    known: Taste,
    count: int,
    random: np.random.Generator,
    fits: Callable[[Genome], bool] = lambda genome: True,
) -> list[tuple[dict[str, Any], tuple[int, ...]]]:
    """Genomes of a new round and whose children they are. fits: whether the art would take one."""
    measured = [one for one in past if one.features is not None]
    if not measured or not known.count:
        strangers = [(genome, ()) for genome in (_stranger(space, random) for _ in range(POOL)) if fits(genome)]
        return _spread(space, strangers, count, random)
    pool = [one for one in _pool(space, measured, known, random) if fits(one[0])]
    foreseen = [foresee(space, genome, measured) for genome, _ in pool]
    x = np.array([known.row(qualities) for qualities in foreseen])
    believed = x @ known.mean
    chosen: list[int] = []
    for place in range(count):
        scores = believed if place % 2 == 0 else x @ known.draw(random)
        for number in np.argsort(-scores):
            if all(_apart(space, pool[number][0], pool[other][0]) > ALIKE for other in chosen):
                chosen.append(int(number))
                break
        else:  # a space of very few settings: what is not there yet will do
            rest = [number for number in range(len(pool)) if number not in chosen]
            chosen.append(rest[int(random.integers(len(rest)))])
    return [pool[number] for number in chosen]


def foresee(space: Mapping[str, Gene], genome: Genome, measured: Sequence[Candidate]) -> dict[str, float]:
    """What a genome's work will measure: as those near it did, and its own names."""
    near = np.array([np.exp(-((_apart(space, genome, one.genome) / NEAR) ** 2)) for one in measured])
    names = {name for one in measured for name in one.features or {} if ":" not in name}
    found: dict[str, float] = {}
    for name in names:
        values = np.array([(one.features or {}).get(name, 0.0) for one in measured])
        found[name] = float((near * values).sum() / (near.sum() + 0.3))  # far from all of them the usual, which is 0
    own = {gene.kind: genome[name] for name, gene in space.items() if gene.kind and genome.get(name)}
    if "key" in genome:
        own["mode"] = str(genome["key"]).partition("-")[2]
    return found | features.named(own)


def _pool(
    space: Mapping[str, Gene], measured: Sequence[Candidate], known: Taste, random: np.random.Generator
) -> list[tuple[dict[str, Any], tuple[int, ...]]]:
    """Children of the best works so far, and strangers."""
    worth, _ = known.utility([one.features or {} for one in measured])
    worth = worth + np.array([{"liked": 0.5, "disliked": -0.5}.get(one.verdict or "", 0.0) for one in measured])
    best = [measured[place] for place in np.argsort(-worth)[: max(4, len(measured) // 4)]]
    pool: list[tuple[dict[str, Any], tuple[int, ...]]] = []
    seen = {_key(one.genome) for one in measured}
    for number in range(POOL):
        if number < STRANGERS * POOL:
            pool.append((_stranger(space, random), ()))
            continue
        one, other = (best[int(random.integers(len(best)))] for _ in range(2))
        child = _child(space, one.genome, other.genome, random)
        if _key(child) not in seen:
            seen.add(_key(child))
            parents = (one.number,) if one.number == other.number else (one.number, other.number)
            pool.append((child, parents))
    return pool


def _stranger(space: Mapping[str, Gene], random: np.random.Generator) -> dict[str, Any]:
    return {name: gene.draw(random) for name, gene in space.items()} | {SEED: int(random.integers(2**31))}


def _child(space: Mapping[str, Gene], one: Genome, other: Genome, random: np.random.Generator) -> dict[str, Any]:
    """Genes of both, some of them changed; the composition of one of them, or a new one."""
    child: dict[str, Any] = {}
    for name, gene in space.items():
        value = (one if random.random() < 0.5 else other)[name]
        child[name] = gene.near(value, random) if random.random() < MUTATED else value
    kept = random.random() < 0.5
    child[SEED] = int((one if random.random() < 0.5 else other)[SEED]) if kept else int(random.integers(2**31))
    return child


def _key(genome: Genome) -> str:
    return json.dumps(dict(genome), sort_keys=True)


def _apart(space: Mapping[str, Gene], one: Genome, other: Genome) -> float:
    """The share of their genes in which two genomes differ; the seed counts as one."""
    told = sum(gene.apart(one[name], other[name]) for name, gene in space.items())
    return float(told + (one[SEED] != other[SEED])) / (len(space) + 1)


def _spread(
    space: Mapping[str, Gene],
    pool: Sequence[tuple[dict[str, Any], tuple[int, ...]]],
    count: int,
    random: np.random.Generator,
) -> list[tuple[dict[str, Any], tuple[int, ...]]]:
    """As different from one another as can be found: each the farthest from those taken before it."""
    chosen = [int(random.integers(len(pool)))]
    while len(chosen) < count:
        far = [min(_apart(space, one[0], pool[other][0]) for other in chosen) for one in pool]
        chosen.append(int(np.argmax(far)))
    return [pool[number] for number in chosen]
