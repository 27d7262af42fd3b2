"""What keeps strangers out of the studio, and the studio inside the machine.

Out: a browser will send a request for any page that a person has open, and a name can be made to point at 127.0.0.1.
So a request must name this machine as its host (else DNS rebinding would let a stranger's page read the answers), and a
request that a page of another origin causes is refused (cross-site request forgery). Where the studio listens beyond
this machine everybody must have the token.

Inside: `keep_inside` makes any connection to another machine an error, in the server and in the workers alike.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from danqing.errors import Unavailable

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "danqing-token"
LARGEST_BODY = 4 * 2**20  # bytes of a request that is no upload
CSP = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_SAFE = ("GET", "HEAD", "OPTIONS")


class Guard:
    """The outermost layer of the application: lets a request in or refuses it, and puts the headers on every answer."""

    def __init__(self, app: App, *, host: str = "127.0.0.1", token: str | None = None) -> None:
        self._app, self._token = app, token
        self._names = {"localhost", "127.0.0.1", "::1"} | (
            {host.casefold(), socket.gethostname().casefold()} if token else set()
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        heads = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        sender = _with_headers(send)
        refusal = self._refusal(scope, heads)
        if refusal is not None:
            await _answer(sender, *refusal)
            return
        if self._token is not None:
            query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
            given = dict(query).get("token")
            if given is not None and self._right(given) and scope["method"] == "GET":
                await _move_token(sender, scope, query, given)
                return
            if not self._right(_carried(heads)):
                words = "this studio asks for its token: open the address that it printed, with ?token=…"
                await _answer(sender, 401, "Unauthorized", words)
                return
        limited = receive if scope["path"] == "/api/uploads" else _limited(receive)
        await self._app(scope, limited, sender)

    def _refusal(self, scope: Scope, heads: dict[str, str]) -> tuple[int, str, str] | None:
        host = heads.get("host", "")
        name = _host_name(host)
        if name is None or not (name in self._names or (self._token is not None and _is_address(name))):
            words = f"host {host[:80]!r} is not this studio; open it by the address that it printed"
            return 403, "ForbiddenHost", words
        origin = heads.get("origin")
        if origin is not None and (urlsplit(origin).netloc.casefold() != host.casefold()):
            return 403, "ForbiddenOrigin", f"a page of {origin[:80]!r} may not use this studio"
        site = heads.get("sec-fetch-site", "none")
        landing = heads.get("sec-fetch-mode") == "navigate" and scope["method"] == "GET" and scope["path"] == "/"
        if site in ("cross-site", "same-site") and not landing:  # a link from elsewhere may open the page, no more
            return 403, "ForbiddenOrigin", "another page may not use this studio; open it by its address"
        large = _number(heads.get("content-length")) > LARGEST_BODY
        if large and scope["method"] not in _SAFE and scope["path"] != "/api/uploads":
            return 413, "TooLarge", f"a request has at most {LARGEST_BODY // 2**20} MiB; files go to /api/uploads"
        return None

    def _right(self, given: str) -> bool:
        return self._token is not None and hmac.compare_digest(given.encode(), self._token.encode())


def _host_name(host: str) -> str | None:
    """The name in a Host header, without the port; None where it is none."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    """Whether it is a number: a name could be made to point here, a number only ever is itself."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else 0


def _carried(heads: dict[str, str]) -> str:
    """The token that a request carries: as a header, or in the cookie."""
    scheme, _, bearer = heads.get("authorization", "").partition(" ")
    if scheme.casefold() == "bearer":
        return bearer.strip()
    if "x-danqing-token" in heads:
        return heads["x-danqing-token"]
    try:
        cookie = SimpleCookie(heads.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie else ""


def _limited(receive: Receive) -> Receive:
    """The body, as long as it is not larger than it may be, whatever its header says."""
    had = 0

    async def counted() -> MutableMapping[str, Any]:
        nonlocal had
        message = await receive()
        had += len(message.get("body", b""))
        if had > LARGEST_BODY:
            return {"type": "http.disconnect"}
        return message

    return counted


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message.get("headers", [])}
            own = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in there]
            cache = [] if b"cache-control" in there else [(b"cache-control", b"no-store")]
            message["headers"] = [*message.get("headers", []), *own, *cache]
        await send(message)

    return sending


async def _answer(send: Send, status: int, kind: str, message: str) -> None:
    body = json.dumps({"error": {"kind": kind, "message": message}}, ensure_ascii=False).encode()
    heads = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": heads})
    await send({"type": "http.response.body", "body": body})


async def _move_token(send: Send, scope: Scope, query: list[tuple[str, str]], token: str) -> None:
    """Out of the address, where it would be seen and kept, into a cookie that no script reads."""
    cookie: SimpleCookie = SimpleCookie()
    cookie[COOKIE] = token
    for name, value in {"httponly": True, "samesite": "Strict", "path": "/", "max-age": 30 * 86400}.items():
        cookie[COOKIE][name] = value
    rest = urlencode([(name, value) for name, value in query if name != "token"])
    path = "/" + scope["path"].lstrip("/")  # never //elsewhere
    heads = [
        (b"location", (path + ("?" + rest if rest else "")).encode()),
        (b"set-cookie", cookie[COOKIE].OutputString().encode()),
        (b"content-length", b"0"),
    ]
    await send({"type": "http.response.start", "status": 303, "headers": heads})
    await send({"type": "http.response.body", "body": b""})


def keep_inside() -> None:
    """From now on this process reaches no other machine: looking a name up or connecting raises Unavailable."""

    def watch(event: str, given: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto"):
            address = given[1]
            name = str(address[0]) if isinstance(address, tuple) else ""  # else a socket of the file system
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            name = "" if given[0] is None else _text(given[0])
        else:
            return
        if not _own(name):
            raise Unavailable(f"the studio sends nothing out, and something wanted to reach {name}")

    sys.addaudithook(watch)


def _own(name: str) -> bool:
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return name in ("localhost", "")


def _text(name: Any) -> str:
    return name.decode("latin-1") if isinstance(name, bytes) else str(name)
