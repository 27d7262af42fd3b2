"""Files are written whole or not at all, whatever happens in between."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from danqing.artwork import files
from danqing.errors import InvalidMedia, NotWritable, OutputExists, WriteFailed


def test_a_written_file_has_the_usual_permissions_and_leaves_nothing_else(tmp_path):
    old = os.umask(0o027)
    try:
        files.write(b"work", tmp_path / "a.png")
    finally:
        os.umask(old)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("moment", ["os.fsync", "os.link"])
def test_a_full_disk_or_ctrl_c_leaves_nothing_behind(tmp_path, monkeypatch, error, moment):
    def interrupted(*_):
        raise error

    monkeypatch.setattr(moment, interrupted)
    if moment == "os.link":  # the way without hard links is taken on OSError; let that one fail as well
        monkeypatch.setattr("pathlib.Path.replace", interrupted)
    with pytest.raises(WriteFailed if isinstance(error, OSError) else KeyboardInterrupt):
        files.write(b"work", tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_an_old_file_survives_a_failed_replacement(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(WriteFailed, match="no space left"):
        files.write(b"new", tmp_path / "a.png", force=True)
    assert (tmp_path / "a.png").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1
    assert (WriteFailed.exit_code, NotWritable.exit_code) == (1, 2)  # the disk failed, or the request did


def test_a_name_taken_while_writing_is_kept(tmp_path, monkeypatch):
    """Another program creates the file after we looked: it wins."""
    monkeypatch.setattr(files, "check_output", lambda *_, **__: (tmp_path / "a.png").write_bytes(b"theirs"))
    with pytest.raises(OutputExists):
        files.write(b"ours", tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == b"theirs"
    assert len(list(tmp_path.iterdir())) == 1


def test_file_systems_without_hard_links(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", unsupported)
    files.write(b"work", tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == b"work"
    monkeypatch.setattr(files, "check_output", lambda *_, **__: None)
    with pytest.raises(OutputExists):
        files.write(b"again", tmp_path / "a.png")


def test_a_killed_process_never_leaves_half_a_file(tmp_path):
    """SIGKILL at many moments of one long write loop: the name always holds one whole version."""
    program = (
        "import sys, pathlib; from danqing.artwork import files\n"
        "path = pathlib.Path(sys.argv[1]); print('on', flush=True)\n"
        "while True:\n"
        "    for letter in b'ab':\n"
        "        files.write(bytes([letter]) * 300_000, path, force=True)\n"
    )
    path = tmp_path / "a.png"
    for delay in (0.01, 0.03, 0.06):
        process = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
        process.stdout.readline()
        deadline = time.monotonic() + delay
        while time.monotonic() < deadline or not path.exists():
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        data = path.read_bytes()
        assert len(data) == 300_000
        assert len(set(data)) == 1


def test_hash_of_a_file_and_of_none(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert files.sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(InvalidMedia, match="is not there"):
        files.sha256(tmp_path / "b")


def test_files_that_are_too_large_are_not_read(tmp_path):
    (tmp_path / "a").write_bytes(bytes(1_500_000))
    with pytest.raises(InvalidMedia, match=r"is 1\.5 MB; files up to 1\.0 MB are read"):
        files.read(tmp_path / "a", max_bytes=1_000_000)


@pytest.mark.parametrize(
    ("size", "text"), [(12, "12 bytes"), (340_000, "340 kB"), (1_250_000, "1.2 MB"), (2e9, "2.0 GB")]
)
def test_sizes_are_said_as_people_say_them(size, text):
    assert files.size_text(int(size)) == text
