"""The verb `studio`: the browser's door, on this machine unless a token is set."""

from __future__ import annotations

import errno
import ipaddress
import logging
import secrets
import socket
import webbrowser
from dataclasses import dataclass
from typing import Annotated

from danqing.arts import Flag
from danqing.errors import BadRequest, NotWritable, Unavailable
from danqing.interfaces import _stop
from danqing.interfaces._verbs import Voice, verb

PORT = 7373
SHORTEST_TOKEN = 12  # characters


@dataclass(frozen=True)
class Opened:
    """Where the studio is opened."""

    host: Annotated[str, Flag("where it listens; any address but this machine's own needs --token", "HOST")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Flag("the port, 0 takes one that is free", "N")] = PORT
    token: Annotated[
        str | None, Flag("who knows this may enter, 12 characters or more; auto makes one and prints it", "TOKEN|auto")
    ] = None
    open: Annotated[bool, Flag("open the page in the browser", name="--open/--no-open")] = True

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise BadRequest(f"--port is {self.port}; it lies between 0 (any free one) and 65535")
        if self.token is not None and self.token != "auto" and (
            len(self.token) < SHORTEST_TOKEN or not self.token.isascii() or not self.token.isprintable()
            or set(self.token) & set(' "\\,;')
        ):  # fmt: skip
            raise BadRequest(
                f"--token is {SHORTEST_TOKEN} or more letters and digits without spaces; --token auto makes a good one"
            )
        if self.token is None and not is_own(self.host):
            raise BadRequest(
                f"--host {self.host} lets others in; add --token auto, so that only those who know it may enter"
            )


def is_own(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def register() -> None:
    """Add the verb."""

    @verb("studio", Opened, help="All of it in the browser, on this machine. Ctrl-C closes it; nothing is lost.")
    def run(voice: Voice, asked: Opened) -> None:
        serve(voice, asked)


def serve(voice: Voice, asked: Opened) -> None:
    """Open the studio and stay until the person closes it. Raises NotWritable, Unavailable, BadRequest at the start."""
    from danqing.artwork.shelf import default_home
    from danqing.interfaces._crew import Home

    home = default_home().absolute()
    try:
        Home(home).close()  # says at once if another studio is open there
    except OSError as error:
        raise NotWritable(f"{home} cannot be made: {error.strerror}; set DANQING_HOME to a folder of yours") from error
    door = _door(asked.host, asked.port)
    token = secrets.token_urlsafe(24) if asked.token == "auto" else asked.token
    address = _address(asked.host, door.getsockname()[1])
    whole = address + (f"?token={token}" if token else "")
    import uvicorn

    from danqing.interfaces import _guard, api

    logging.basicConfig(filename=home / "studio.log", format="%(asctime)s %(process)d %(message)s", level="WARNING")
    _guard.keep_inside()

    def ready() -> None:
        voice.result({"address": whole, "home": str(home)}, lambda: voice.say(f"Danqing 丹青: {whole}"))
        voice.note("Ctrl-C closes it; what is being made goes on when it is opened again")
        if asked.open and not (voice.common.json or voice.common.quiet):
            webbrowser.open(whole)

    app = api.create_app(home, host=asked.host, token=token, ready=ready)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, timeout_graceful_shutdown=2, server_header=False, lifespan="on",
        timeout_keep_alive=30,
    )  # fmt: skip
    server = uvicorn.Server(config)
    try:
        server.run(sockets=[door])
    except KeyboardInterrupt:
        pass
    finally:
        door.close()
    _stop.asked.clear()  # closing it is how it ends, not a failure
    if not server.started:
        raise Unavailable(f"the studio could not begin; what happened is in {home / 'studio.log'}")
    voice.note("closed; what waits or was being made goes on when it is opened again")


def _door(host: str, port: int) -> socket.socket:
    """A listening socket. Raises Unavailable where the port is taken, BadRequest where the host is none of ours."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror:
        raise BadRequest(f"--host {host!r} is no address of this machine; leave it out to keep others out") from None
    door = socket.socket(family, kind, protocol)
    try:
        if hasattr(socket, "SO_REUSEADDR") and not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # on Windows it would share
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(address)
        door.listen(128)
    except OSError as error:
        door.close()
        if error.errno == errno.EADDRINUSE:
            raise Unavailable(f"port {port} is taken; add --port {port + 1}, or --port 0 for any free one") from None
        if error.errno == errno.EACCES:
            raise BadRequest(f"port {port} is the system's; choose one above 1023") from None
        raise BadRequest(f"--host {host} cannot be listened on: {error.strerror}") from None
    return door


def _address(host: str, port: int) -> str:
    """What a person types into the browser."""
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
