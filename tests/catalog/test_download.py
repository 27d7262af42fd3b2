"""Downloads are tried against a server on the loopback address; nothing leaves the machine."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from danqing.artwork.request import Step
from danqing.catalog import download
from danqing.catalog.download import Wanted, fetch
from danqing.errors import Cancelled, CorruptWeights, Unavailable

CONTENT = bytes(range(256)) * 40


@dataclass
class Host:
    """A file server that can be told to misbehave."""

    url: str = ""
    content: bytes = CONTENT
    ranges: list[str | None] = field(default_factory=list)  # the Range header of each request
    break_after: int | None = None  # bytes of an answer after which the connection ends
    ignore_range: bool = False
    status: int = 200

    def wanted(self, **changes: object) -> Wanted:
        whole = Wanted("vgg-test", self.url, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
        return replace(whole, **changes)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "CHUNK_BYTES", 1000)
    host = Host()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.headers.get("Range")
            host.ranges.append(asked)
            if host.status != 200:
                self.send_error(host.status)
                return
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and not host.ignore_range else 0
            body = host.content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(host.content) - 1}/{len(host.content)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: host.break_after])

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    host.url = f"http://127.0.0.1:{server.server_port}/file-00000000.pth"
    yield host
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_file_is_fetched_and_its_progress_told(host: Host, tmp_path: Path):
    steps: list[Step] = []
    target = fetch(host.wanted(), tmp_path / "home" / "file.pth", steps.append)
    assert target.read_bytes() == CONTENT
    assert (steps[0].done, steps[-1].done, steps[-1].total) == (0, len(CONTENT), len(CONTENT))
    assert [path.name for path in target.parent.iterdir()] == ["file.pth"]


def test_a_broken_download_goes_on_where_it_ended(host: Host, tmp_path: Path):
    host.break_after = 4000
    assert fetch(host.wanted(), tmp_path / "file.pth").read_bytes() == CONTENT
    assert host.ranges == [None, "bytes=4000-", "bytes=8000-"]


def test_a_cancelled_download_is_resumed_by_the_next_run(host: Host, tmp_path: Path):
    def stop(step: Step) -> None:
        if step.done >= 3000:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        fetch(host.wanted(), tmp_path / "file.pth", stop)
    assert not (tmp_path / "file.pth").exists()
    assert fetch(host.wanted(), tmp_path / "file.pth").read_bytes() == CONTENT
    assert host.ranges[-1] == "bytes=3000-"


def test_a_host_that_knows_no_ranges_is_asked_for_the_whole_file(host: Host, tmp_path: Path):
    (tmp_path / "file.pth.part").write_bytes(b"something else entirely")
    host.ignore_range = True
    assert fetch(host.wanted(), tmp_path / "file.pth").read_bytes() == CONTENT


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"!", CONTENT + b"!"])
def test_a_file_of_another_hash_is_thrown_away(host: Host, tmp_path: Path, content: bytes):
    host.content = content
    if len(content) > len(CONTENT):
        (tmp_path / "file.pth.part").write_bytes(content)
    with pytest.raises(CorruptWeights, match="is not vgg-test: its sha256 begins"):
        fetch(host.wanted(), tmp_path / "file.pth")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_ends_too_early_says_so(host: Host, tmp_path: Path):
    host.break_after = 0
    with pytest.raises(Unavailable, match="the connection ended at 0 of 10,240 bytes"):
        fetch(host.wanted(), tmp_path / "file.pth")


def test_an_unreachable_host_gives_one_line_that_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("no_proxy", "*")
    wanted = Wanted("vgg19", "http://127.0.0.1:9/vgg19.pth", "0" * 64, 575_000_000)
    with pytest.raises(Unavailable) as caught:
        fetch(wanted, tmp_path / "vgg19.pth")
    message = str(caught.value)
    assert "\n" not in message
    for part in ("vgg19 (575 MB)", wanted.url, str(tmp_path / "vgg19.pth"), "--backbone own", "refused"):
        assert part in message


def test_a_host_without_the_file_is_quoted(host: Host, tmp_path: Path):
    host.status = 404
    with pytest.raises(Unavailable, match="the host answered 404"):
        fetch(host.wanted(), tmp_path / "file.pth")


def test_a_disk_too_full_is_named_before_anything_is_fetched(host: Host, tmp_path: Path):
    with pytest.raises(Unavailable, match="MB are free"):
        fetch(host.wanted(size_bytes=10**18), tmp_path / "file.pth")
    assert host.ranges == []
