"""Files come in whole or are refused; files go out whole or not at all.

Reading looks at what a path is before it opens it, so that a folder, a pipe or a device never hangs the studio. Writing
goes to a hidden file in the same folder, which is flushed to disk and then takes the name in one step of the file
system: at every moment the name holds either what was there before or the finished work.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from pathlib import Path

from danqing.errors import BadRequest, InvalidMedia, NotWritable, OutputExists, WriteFailed

MAX_BYTES = 2**30  # no file larger than this is read into memory: a 134-megapixel TIFF of 16 bits a channel is 0.8 GiB
PART_PREFIX = ".danqing-"  # what an unfinished file is called, so that one left by a power cut can be told and swept
PART_SUFFIX = ".part"
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)  # what no other name or permission would mend


def read(path: Path, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The whole of a regular file. Raises InvalidMedia for everything else, whatever the reason."""
    try:
        info = path.stat()
        if stat.S_ISDIR(info.st_mode):
            raise InvalidMedia(f"{path} is a folder; name one file in it")
        if not stat.S_ISREG(info.st_mode):
            raise InvalidMedia(f"{path} is a pipe or a device, not a file; save what it gives to a file first")
        if info.st_size == 0:
            raise InvalidMedia(f"{path} is empty (0 bytes)")
        if info.st_size > max_bytes:
            raise InvalidMedia(f"{path} is {size_text(info.st_size)}; files up to {size_text(max_bytes)} are read")
        return path.read_bytes()
    except InvalidMedia:  # is a ValueError as well
        raise
    except FileNotFoundError:
        raise InvalidMedia(f"{path} is not there; check the name and the folder ({Path.cwd()})") from None
    except PermissionError:
        raise InvalidMedia(f"{path} may not be read by this user; change its permissions") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InvalidMedia(f"{str(path)!r} cannot be read: {_reason(error)}") from error


def sha256(path: Path) -> str:
    """The SHA-256 of a file as 64 hex digits; any size, read in pieces. Raises InvalidMedia as `read` does."""
    try:
        if not path.is_file():
            read(path)  # says what is wrong with it
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except InvalidMedia:
        raise
    except (OSError, ValueError) as error:
        raise InvalidMedia(f"{str(path)!r} cannot be read: {_reason(error)}") from error


def check_output(path: Path, *, force: bool = False) -> None:
    """Says before any work is done whether `path` can be written: OutputExists, NotWritable or BadRequest if not."""
    folder = path.parent
    try:
        if not folder.is_dir():
            raise NotWritable(f"folder {folder} is not there; create it or choose another place for {path.name}")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise NotWritable(f"folder {folder} may not be written by this user; choose another place for {path.name}")
        if path.is_dir():
            raise BadRequest(f"{path} is a folder; name the file to write, {path / 'out.png'} for example")
        if os.path.lexists(path):
            if path.exists() and not path.is_file():
                raise BadRequest(f"{path} is a pipe or a device; a work is written to a file")
            if not force:
                raise OutputExists(f"{path} is there already; choose another name, or add --force to replace it")
    except (OSError, ValueError) as error:
        if isinstance(error, BadRequest):
            raise
        raise NotWritable(f"{str(path)!r} cannot be written: {_reason(error)}") from error


def write(data: bytes, path: Path, *, force: bool = False) -> None:
    """Writes all of `data` to `path`, or nothing.

    Raises what `check_output` raises, and WriteFailed when the disk is full or fails. Without `force` a file that
    appears under the name while this one is being written is kept, not replaced.
    """
    check_output(path, force=force)
    part = path.parent / f"{PART_PREFIX}{secrets.token_hex(8)}{PART_SUFFIX}"
    try:
        try:
            # O_EXCL: never through somebody else's link; mode 0666 leaves the permissions to the person's umask.
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _take_name(part, path, force=force)
        except FileExistsError:
            raise OutputExists(f"{path} is there already; choose another name, or add --force to replace it") from None
        except OSError as error:
            kind = WriteFailed if error.errno in _DISK else NotWritable
            raise kind(f"{path} cannot be written: {_reason(error)}. Nothing was written.") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    _flush_folder(path.parent)


def _take_name(part: Path, path: Path, *, force: bool) -> None:
    """Gives the finished file its name in one step; FileExistsError where the name is taken and `force` is off."""
    if not force:
        try:
            os.link(part, path)  # the one call that fails when the name is taken: no gap between looking and naming
            return
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links (FAT, some network folders): look, then rename
            if os.path.lexists(path):
                raise FileExistsError(str(path)) from None
    part.replace(path)


def _flush_folder(folder: Path) -> None:
    """Makes the new name survive a power cut, where the system lets a folder be flushed."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def size_text(size: int) -> str:
    """A number of bytes as a person would say it: 340 kB, 1.2 MB."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= limit:
            return f"{size / limit:.{0 if size >= 10 * limit else 1}f} {unit}"
    return f"{size} bytes"


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:]
