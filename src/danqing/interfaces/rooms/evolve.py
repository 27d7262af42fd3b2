"""The room of rounds: candidates, choices, and what they taught of a person's taste."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from danqing import arts
from danqing.errors import BadRequest, UnknownName
from danqing.interfaces import _requests
from danqing.interfaces.rooms import Refused, Studio, studio

if TYPE_CHECKING:
    from danqing.interfaces._worker import JobContext
    from danqing.sessions.rounds import Session
    from danqing.sessions.taste import Taste

router = APIRouter(tags=["evolve"])
Here = Annotated[Studio, Depends(studio)]


class Begun(BaseModel):
    """What to begin: an art, what is settled of it, how many candidates a round has."""

    model_config = ConfigDict(extra="forbid")

    art: str
    request: dict[str, Any] = {}
    candidates: int = 6


class Between(BaseModel):
    """A slider between two candidates: 1 is all of the one's, 0 all of the other's."""

    model_config = ConfigDict(extra="forbid")

    one: int
    other: int
    share: float


class Chosen(BaseModel):
    """A person's word on a round, by the candidates' numbers."""

    model_config = ConfigDict(extra="forbid")

    liked: list[int] = []
    disliked: list[int] = []
    between: list[Between] = []


@router.get("/evolve")
def known(here: Here, limit: Annotated[int, Query(ge=0, le=100)] = 20) -> dict[str, Any]:
    """The arts that have rounds, and the latest sessions."""
    from danqing.sessions import rounds

    sessions = [
        {**{key: one[key] for key in ("id", "created", "art", "rounds")}, "title": _title(one["art"], one["request"])}
        for one in rounds.recent(here.home, limit)
    ]
    return {"arts": list(rounds.arts_with_rounds()), "sessions": sessions}


@router.post("/evolve", status_code=201)
def begin(begun: Begun, here: Here) -> dict[str, Any]:
    """Begin a session; its first round is made by the job that is named in the answer."""
    from danqing.sessions import rounds

    try:
        rounds.spaces(begun.art)
        session = rounds.begin(here.home, begun.art, _values(begun, here), begun.candidates)
    except UnknownName as error:  # it is in the request that something is not known, not in the address
        raise Refused(400, "UnknownName", str(error)) from error
    return _as_dict(session, _start(session, here))


@router.get("/evolve/{name}")
def one(name: str, here: Here) -> dict[str, Any]:
    """A session with all its rounds."""
    from danqing.sessions import rounds

    return _as_dict(rounds.resume(here.home, name), _under_way(name, here))


@router.post("/evolve/{name}/choices")
def choose(name: str, chosen: Chosen, here: Here) -> dict[str, Any]:
    """Learn from a round and begin the next; where nothing waits to be chosen from, only begin the next."""
    from danqing.sessions import rounds

    session = rounds.resume(here.home, name)
    between = [(pair.one, pair.other, pair.share) for pair in chosen.between]
    if chosen.liked or chosen.disliked or between or _waiting(session):
        session.choose(chosen.liked, chosen.disliked, between)
    return _as_dict(session, _start(session, here))


@router.post("/evolve/{name}/make")
def make(name: str, here: Here) -> dict[str, Any]:
    """Go on making the round that waits for its works."""
    from danqing.sessions import rounds

    session = rounds.resume(here.home, name)
    return _as_dict(session, _under_way(session.id, here) or _start(session, here))


@router.get("/taste")
def taste(here: Here) -> dict[str, Any]:
    """What was learned, of each medium, in numbers and in words."""
    from danqing.sessions.taste import MEDIA, TasteBook

    book = TasteBook(here.home)
    return {"taste": {media: _told(book.taste(media)) for media in MEDIA}}


@router.delete("/taste")
def forget(here: Here) -> dict[str, int]:
    """Forget everything that was learned, and the sessions."""
    from danqing.sessions.taste import TasteBook

    return {"forgotten": TasteBook(here.home).reset()}


@router.get("/taste/export")
def export(here: Here) -> JSONResponse:
    """Everything that was learned as a file."""
    from danqing.sessions.taste import TasteBook

    heads = {"content-disposition": 'attachment; filename="danqing-taste.json"'}
    return JSONResponse(TasteBook(here.home).export(), headers=heads)


@router.post("/taste/import")
def load(exported: dict[str, Any], here: Here) -> dict[str, int]:
    """Add what was exported, here or elsewhere."""
    from danqing.sessions.taste import TasteBook

    return {"added": TasteBook(here.home).load(exported)}


def _values(begun: Begun, here: Studio) -> dict[str, Any]:
    """The settled fields as the art's request takes them; files by upload or work, never by path."""
    known = arts.flags(arts.request_class(begun.art))
    if unknown := sorted(set(begun.request) - set(known)):
        raise BadRequest(f"{begun.art} has no field {unknown[0]!r}; it has {', '.join(known)}")
    _requests._check_named(begun.art, begun.request)
    return {
        name: _requests._value(given, kind, arts.flag_name(name, flag), flag, here.find)
        for name, given in begun.request.items()
        for kind, flag in [known[name]]
        if given not in (None, "", [])
    }


def _title(art: str, request: dict[str, Any]) -> str:
    return str(request["model"]) if art == "explore" else _requests.title("", request)


def _start(session: Session, here: Studio) -> str:
    """Queue the making of the round that waits; returns the job's id."""
    named = (session.fixed.get(key) for key in ("prompt", "topic", "model"))
    title = str(next(filter(None, named), session.art))
    job = here.queue.add("evolve", {"session": session.id}, title=title, lane="long", keep=True)
    here.wake()
    return job.id


def _under_way(name: str, here: Studio) -> str | None:
    """The job that makes a session's round now, or waits to."""
    jobs = here.queue.jobs(100, states=("queued", "running"))
    return next((job.id for job in jobs if job.verb == "evolve" and job.request.get("session") == name), None)


def _waiting(session: Session) -> bool:
    """Whether the latest round has works and no word of the person's."""
    latest = session.candidates(session.round)
    return bool(latest) and all(one.verdict is None and one.work is not None for one in latest)


def _as_dict(session: Session, job: str | None) -> dict[str, Any]:
    from danqing.sessions import rounds

    candidates = [
        {
            "number": one.number, "round": one.round, "work": one.work, "verdict": one.verdict,
            "parents": list(one.parents),
            "settings": rounds.settings_of(session.art, session.fixed, one.genome),
        }
        for one in session.candidates()
    ]  # fmt: skip
    return {
        "id": session.id,
        "art": session.art,
        "media": session.media,
        "size": session.size,
        "round": session.round,
        "candidates": candidates,
        "job": job,
        "taste": _told(session.book.taste(session.media)),
    }


def _told(learned: Taste) -> dict[str, Any]:
    from danqing.sessions import features

    sure = [
        {"feature": name, "weight": round(weight, 3), "sureness": round(sureness, 2),
         "en": features.said(name, weight > 0, "en"), "zh": features.said(name, weight > 0, "zh")}
        for name, weight, sureness in learned.sure()
    ]  # fmt: skip
    return {"choices": learned.count, "sure": sure}


def check(request: dict[str, Any]) -> dict[str, Any]:
    """A job's request: which session's round to make."""
    name = request.get("session")
    if not isinstance(name, str) or set(request) != {"session"}:
        raise BadRequest('an evolve job is {"session": ID}; a session is begun by POST /api/evolve')
    return request


def run_job(context: JobContext) -> None:
    """Make the works of a round."""
    from danqing import studio as door
    from danqing.sessions import rounds

    session = rounds.resume(context.home, str(context.request["session"]))
    made = door.make_round(session, on_step=context.on_step, shelf=context.shelf)
    report = {"session": session.id, "round": session.round}
    context.done([one.work for one in made if one.work is not None], report)


JOBS = {"evolve": run_job}
CHECKS = {"evolve": check}
