"""Rounds of candidates that move toward what a person likes.

A session is an art and what a person has settled; all else is a genome: the style, words of light and weather, the key,
the tempo, the temperature, the seed of the composition; of a trained generator a point in its latent space. The first
round is spread as widely as it can be. Each later one is drawn from many children of works that were liked (mutated,
crossed) and from strangers; the taste that was learned so far chooses among them, half by what it believes and half by
a draw from what it does not rule out, and no two of a round are alike. What a work will measure before it is made is
foreseen from those that were made; a generator's pictures are quick, so that all children are made and measured, and
nothing need be foreseen. Where a person leaned between two works, one of the next round stands there.

The making is the caller's: `propose` hands out requests, `made` takes back works, `choose` takes the person's word.
Every step is in `taste.db`, so a session goes on where it stood.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
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
Proposal = tuple[dict[str, Any], tuple[int, ...]]  # a genome, and the numbers of whose child it is
Look = Callable[[Sequence[Genome]], list[dict[str, float]]]  # genomes → the features of their works
FEWEST, MOST = 2, 12  # candidates in a round
TRIES = 50  # genomes among which there is one that the art takes, if it takes any
POOL = 240  # children and strangers among which a round is chosen
STRANGERS = 0.3  # the share of them in a pool
MUTATED = 0.25  # how likely a gene of a child is a new one
TURN = 0.2  # how far a latent is turned by a mutation, in right angles
MOST_SEEDS = 16  # that a latent comes from; the faintest are left out
ALIKE = 0.25  # candidates of one round differ in more than this share of their genes
GRAIN = 0.3  # variance of what a measure owes to nothing that is in the genes
NEAR = 0.25  # how soon, in shares of genes, one work says nothing of another
SEED = "seed"
LATENT_ARTS = ("explore",)  # where a latent stands for all chance
ASIDE = {"explore": {"what": "picture"}}  # fields that rounds settle themselves


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

    def child(self, one: Any, other: Any, random: np.random.Generator) -> Any:
        """A value of either's, or one not far from it."""
        value = one if random.random() < 0.5 else other
        return self.near(value, random) if random.random() < MUTATED else value

    def between(self, one: Any, other: Any, share: float) -> Any:
        """Where share, in [0, 1], is the one's: of numbers in between, of names the nearer one."""
        if self.names:
            return one if share >= 0.5 else other
        return round(share * float(one) + (1 - share) * float(other), 2)

    def apart(self, one: Any, other: Any) -> float:
        """0 the same … 1 as far as can be."""
        if self.names:
            return float(one != other)
        return abs(float(one) - float(other)) / (self.high - self.low)


@dataclass(frozen=True)
class Chance(Gene):
    """The seed of a composition: nothing lies near it or between two."""

    def draw(self, random: np.random.Generator) -> int:
        """A fresh seed."""
        return int(random.integers(2**31))

    def child(self, one: Any, other: Any, random: np.random.Generator) -> int:
        """The composition of one of them, or a new one."""
        kept = random.random() < 0.5
        return int(one if random.random() < 0.5 else other) if kept else self.draw(random)

    def between(self, one: Any, other: Any, share: float) -> int:
        """The nearer one's."""
        return int(one if share >= 0.5 else other)

    def apart(self, one: Any, other: Any) -> float:
        """0 or 1."""
        return float(one != other)


@dataclass(frozen=True)
class Latent(Gene):
    """A point in a generator's latent space, told by the seeds that it comes from: "17=0.8,29=0.6".

    A point is a vector of length 1 whose axes are seeds: latents are independent normals, so a sum of them whose
    squared weights add up to 1 is one as well, and a picture of it as likely as any. Crossing and leaning go along the
    arc from one point to another; a mutation turns a point toward a seed that was not in it.
    """

    def draw(self, random: np.random.Generator) -> str:
        """One fresh seed."""
        return f"{int(random.integers(2**31))}=1"

    def near(self, value: Any, random: np.random.Generator) -> str:
        """Turned by chance toward a fresh seed."""
        turn = min(1.0, TURN * (0.5 + abs(float(random.normal()))))
        return self.between(value, self.draw(random), 1 - turn)

    def child(self, one: Any, other: Any, random: np.random.Generator) -> str:
        """Somewhere on the arc between both, and not far from there."""
        return self.near(self.between(one, other, float(random.uniform(0.2, 0.8))), random)

    def between(self, one: Any, other: Any, share: float) -> str:
        """On the arc from the other (0) to the one (1)."""
        a, b = _point(one), _point(other)
        angle = _angle(a, b)
        if math.sin(angle) < 1e-6:
            return str(one if share >= 0.5 else other)
        here, there = math.sin(share * angle) / math.sin(angle), math.sin((1 - share) * angle) / math.sin(angle)
        found = {seed: here * a.get(seed, 0.0) + there * b.get(seed, 0.0) for seed in {**a, **b}}
        kept = sorted(found, key=lambda seed: -abs(found[seed]))[:MOST_SEEDS]
        length = math.sqrt(sum(found[seed] ** 2 for seed in kept))
        return ",".join(f"{seed}={found[seed] / length:.4f}" for seed in kept if abs(found[seed]) > 1e-3 * length)

    def apart(self, one: Any, other: Any) -> float:
        """Their angle; 1 is a right one, as two seeds have."""
        return min(1.0, _angle(_point(one), _point(other)) / (math.pi / 2))


@functools.lru_cache(maxsize=4096)
def _point(text: str) -> dict[int, float]:
    from danqing.arts.explore import read_shares

    found = read_shares(text)
    length = math.sqrt(sum(weight**2 for weight in found.values()))
    return {seed: weight / length for seed, weight in found.items()}


def _angle(one: Mapping[int, float], other: Mapping[int, float]) -> float:
    cosine = sum(weight * other.get(seed, 0.0) for seed, weight in one.items())
    return math.acos(max(-1.0, min(1.0, cosine)))


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


Leaning = tuple[Candidate, Candidate, float]  # share 1 is the first one's


def spaces(art: str) -> dict[str, Gene]:
    """What may vary in an art. Raises BadRequest for one that has no rounds."""
    if art not in _SPACES:
        if art in arts.names() or art in arts.REPORTS or art in arts.SUITES:
            raise BadRequest(f"{art} has no rounds; evolve goes with {', '.join(_SPACES)}")
        raise UnknownName("art", art, _SPACES, see="danqing evolve --help")
    space = _SPACES[art]()
    return space if art in LATENT_ARTS else {**space, SEED: Chance()}


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


def _explore() -> dict[str, Gene]:
    return {"of": Latent()}


_SPACES = {
    "paint": _paint, "compose": _compose, "write": _write, "stylize": _stylize, "sketch": _sketch, "explore": _explore,
}  # fmt: skip
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

        leaned = self._leaned(last, {one.number: one for one in every})
        look = functools.partial(_looked_at, self.fixed) if self.art in LATENT_ARTS else None
        proposed = propose(self.space, every, known, self.size, random, Terms(fits, leaned, look))
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

    def _leaned(self, round: int, known: Mapping[int, Candidate]) -> list[Leaning]:
        """Where a person leaned between two works of a round."""
        query = sql.text("SELECT one, other, share FROM leanings WHERE session = :s AND round = :r")
        with self.book.reading() as connection:
            rows = connection.execute(query, {"s": self.id, "r": round}).all()
        return [(known[one], known[other], share) for one, other, share in rows]

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

        between: (a, b, share): where a slider between two stands, 1 at a; a work of the next round stands there too.
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
            for one, other, share in between:
                connection.execute(
                    sql.text("INSERT INTO leanings VALUES (:s, :r, :one, :other, :share)"),
                    {"s": self.id, "r": self.round, "one": one, "other": other, "share": share},
                )
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
    settled = {**_settled(art, values), **ASIDE.get(art, {})}
    free = _free(art, settled)
    if set(free) <= {SEED}:
        raise BadRequest("every setting is given, so nothing is left to vary; leave a style, a form or a key open")
    _check_given(art, {*settled, *free})
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


def _check_given(art: str, there: set[str]) -> None:
    """Raises BadRequest where a field that the art cannot do without is neither settled nor varied."""
    known = arts.flags(arts.request_class(art))
    for field in dataclasses.fields(arts.request_class(art)):
        if field.default is dataclasses.MISSING and field.name not in there:
            flag = known[field.name][1]
            raise BadRequest(f"{art} needs {arts.flag_name(field.name, flag)}: {flag.help}")


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
        elif name == SEED:
            values[SEED] = int(value)
        else:
            values[name] = value
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


@dataclass(frozen=True)
class Terms:
    """What else holds for a round."""

    fits: Callable[[Genome], bool] = lambda genome: True  # whether the art would take a genome
    leaned: Sequence[Leaning] = ()  # pairs between which the round begins
    look: Look | None = None  # measures works that are quick to make; without it they are foreseen


_NONE = Terms()


def propose(
    space: Mapping[str, Gene],
    past: Sequence[Candidate],
    known: Taste,
    count: int,
    random: np.random.Generator,
    terms: Terms = _NONE,
) -> list[Proposal]:
    """Genomes of a new round and whose children they are."""
    fits = terms.fits
    measured = [one for one in past if one.features is not None]
    if not measured or not known.count:
        strangers = [(genome, ()) for genome in (_stranger(space, random) for _ in range(POOL)) if fits(genome)]
        return _spread(space, strangers, count, random)
    begun = [one for one in _betweens(space, past, terms.leaned) if fits(one[0])][: count // 2]
    pool = [*begun, *(one for one in _pool(space, measured, known, random) if fits(one[0]))]
    foreseen = (terms.look or foresight(space, measured))([genome for genome, _ in pool])
    x = np.array([known.row(qualities) for qualities in foreseen])
    believed = x @ known.mean
    chosen = list(range(len(begun)))
    for place in range(len(begun), count):
        scores = believed if place % 2 == 0 else x @ known.draw(random)
        for number in np.argsort(-scores):
            if all(_apart(space, pool[number][0], pool[other][0]) > ALIKE for other in chosen):
                chosen.append(int(number))
                break
        else:  # a space of very few settings: what is not there yet will do
            rest = [number for number in range(len(pool)) if number not in chosen]
            chosen.append(rest[int(random.integers(len(rest)))])
    return [pool[number] for number in chosen]


def _betweens(space: Mapping[str, Gene], past: Sequence[Candidate], leaned: Sequence[Leaning]) -> list[Proposal]:
    """What stands where a person leaned, as far as it was not there before."""
    seen = {_key(one.genome) for one in past}
    found: list[Proposal] = []
    for one, other, share in leaned:
        genome = {name: gene.between(one.genome[name], other.genome[name], share) for name, gene in space.items()}
        if _key(genome) not in seen:
            found.append((genome, (one.number, other.number)))
    return found


def _looked_at(fixed: Mapping[str, Any], genomes: Sequence[Genome]) -> list[dict[str, float]]:
    """What the pictures of a generator measure, made small."""
    import torch

    from danqing.arts import spaces as generators
    from danqing.artwork.image import Picture
    from danqing.catalog import styles

    wanted = [request_of("explore", fixed, genome) for genome in genomes]
    space = generators.open_space(wanted[0].model, styles.shipped().catalog)
    number = space.class_number(wanted[0].class_)
    codes = torch.cat([space.mixture(one.shares, number) for one in wanted])
    shown = space.show(codes, [number], features.SIDE, [wanted[0].truncation])
    return [features.scaled(features.picture(Picture(levels.astype(np.float32) / 255))) for levels in shown]


def foresight(space: Mapping[str, Gene], measured: Sequence[Candidate]) -> Look:
    """What works of genomes will measure, learned from those that were made.

    A Gaussian process (Rasmussen & Williams 2006) whose kernel is half a sum over genes, so that what a style does to
    warmth is known of every work in it, and half a product of them, for what only works near one another share. Far
    from all that was made it says the usual, which is 0.
    """
    names = sorted({name for one in measured for name in one.features or {} if ":" not in name})
    values = np.array([[(one.features or {}).get(name, 0.0) for name in names] for one in measured])
    made = [one.genome for one in measured]
    kernel = _kernel(space, made, made) + GRAIN * np.eye(len(made))
    weights = np.linalg.solve(kernel, values)

    def foreseen(genomes: Sequence[Genome]) -> list[dict[str, float]]:
        told = _kernel(space, genomes, made) @ weights
        return [
            dict(zip(names, map(float, row), strict=True)) | features.named(_named(space, genome))
            for row, genome in zip(told, genomes, strict=True)
        ]

    return foreseen


def _kernel(space: Mapping[str, Gene], some: Sequence[Genome], others: Sequence[Genome]) -> Any:
    """How much each work says of each other, (N, M) in [0, 1]."""
    apart = np.array([[_apart(space, one, other) for other in others] for one in some])
    return (1 - apart) / 2 + np.exp(-((apart / NEAR) ** 2)) / 2


def _named(space: Mapping[str, Gene], genome: Genome) -> dict[str, str]:
    own = {gene.kind: str(genome[name]) for name, gene in space.items() if gene.kind and genome.get(name)}
    return own | ({"mode": str(genome["key"]).partition("-")[2]} if "key" in genome else {})


def _pool(
    space: Mapping[str, Gene], measured: Sequence[Candidate], known: Taste, random: np.random.Generator
) -> list[Proposal]:
    """Children of the best works so far, and strangers."""
    worth, _ = known.utility([one.features or {} for one in measured])
    worth = worth + np.array([{"liked": 0.5, "disliked": -0.5}.get(one.verdict or "", 0.0) for one in measured])
    best = [measured[place] for place in np.argsort(-worth)[: max(4, len(measured) // 4)]]
    pool: list[Proposal] = []
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
    return {name: gene.draw(random) for name, gene in space.items()}


def _child(space: Mapping[str, Gene], one: Genome, other: Genome, random: np.random.Generator) -> dict[str, Any]:
    """Genes of both, some of them changed."""
    return {name: gene.child(one[name], other[name], random) for name, gene in space.items()}


def _key(genome: Genome) -> str:
    return json.dumps(dict(genome), sort_keys=True)


def _apart(space: Mapping[str, Gene], one: Genome, other: Genome) -> float:
    """The share of their genes in which two genomes differ."""
    return sum(gene.apart(one[name], other[name]) for name, gene in space.items()) / len(space)


def _spread(
    space: Mapping[str, Gene],
    pool: Sequence[Proposal],
    count: int,
    random: np.random.Generator,
) -> list[Proposal]:
    """As different from one another as can be found: each the farthest from those taken before it."""
    chosen = [int(random.integers(len(pool)))]
    while len(chosen) < count:
        far = [min(_apart(space, one[0], pool[other][0]) for other in chosen) for one in pool]
        chosen.append(int(np.argmax(far)))
    return [pool[number] for number in chosen]
