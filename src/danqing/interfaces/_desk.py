"""Where jobs are asked for: each request is checked, and all that came meanwhile go into the queue at once.

Fifty pages that ask at the same time wait for the disk together, not one after another, and one thread is enough for
them. An answer still comes only when the job is on the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from danqing import arts
from danqing.errors import UnknownName
from danqing.interfaces import _requests, rooms
from danqing.sessions.jobs import Asked, Job

if TYPE_CHECKING:
    from danqing.interfaces.rooms import Studio


@dataclass(frozen=True)
class Wish:
    """What a page asks for, not checked yet."""

    verb: str
    request: Mapping[str, Any]
    lane: str | None = None  # the one for its kind unless given
    keep: bool = True


class Desk:
    """Takes wishes in. It is used from one event loop."""

    def __init__(self, here: Studio) -> None:
        self._here = here
        self._waiting: list[tuple[Wish, asyncio.Future[Job]]] = []
        self._work: asyncio.Task[None] | None = None

    async def add(self, wish: Wish) -> Job:
        """Queue a job; it is on the disk when this returns. Raises what `check` and `Queue.add` raise."""
        answer: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
        self._waiting.append((wish, answer))
        if self._work is None:
            self._work = asyncio.create_task(self._take())
        return await answer

    async def _take(self) -> None:
        try:
            while self._waiting:
                taken, self._waiting = self._waiting, []
                try:
                    found: Sequence[Job | Exception] = await asyncio.to_thread(self._add, [wish for wish, _ in taken])
                except Exception as error:  # the disk is full, for example: all of them are told
                    found = [error] * len(taken)
                for (_, answer), told in zip(taken, found, strict=True):
                    if answer.done():  # who asked has gone
                        continue
                    if isinstance(told, Exception):
                        answer.set_exception(told)
                    else:
                        answer.set_result(told)
                self._here.wake()
        finally:
            self._work = None

    def _add(self, wishes: Sequence[Wish]) -> list[Job | Exception]:
        checked: list[Asked | Exception] = []
        for wish in wishes:
            try:
                checked.append(check(wish, self._here))
            except Exception as error:  # it is this one's answer, and no other's
                checked.append(error)
        added = iter(self._here.queue.add_all([one for one in checked if isinstance(one, Asked)]))
        return [next(added) if isinstance(one, Asked) else one for one in checked]


def check(wish: Wish, here: Studio) -> Asked:
    """What goes into the queue for a wish. Raises BadRequest where it cannot be met."""
    checks, given = rooms.job_checks(), dict(wish.request)
    try:
        if wish.verb in checks:
            request = checks[wish.verb](given)
        elif wish.verb in rooms.job_kinds():
            request = given
        else:
            arts.request_class(wish.verb)  # raises UnknownName
            request = _requests.with_seed(wish.verb, given)
            _requests.build(wish.verb, request, here.find)
    except UnknownName as error:  # it is in the request that something is not known, not in the address
        raise rooms.Refused(400, "UnknownName", str(error)) from error
    title = _requests.title(wish.verb, request) or str(request.get("name") or request.get("run") or "")
    return Asked(wish.verb, request, title, wish.lane or ("training" if wish.verb == "train" else "long"), wish.keep)
