"""TIFF, which is a container more than a format: what may be in one, and which of it is a picture.

tifffile reads the structure and imagecodecs the compressed strips; both raise instead of writing to the terminal. A
file passes when its first page is one picture of 1 to 16 bits a channel in grey, palette, RGB or CMYK, all of whose
strips are there; previews and masks beside it are fine, further pages are not.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from danqing.artwork.color import Samples
from danqing.errors import InvalidMedia

MAX_PAGES = 32  # a pyramid of previews has a dozen; what has more is a document

# TIFF 6.0, section 4 to 22: how the colours are stored, and how many channels they have
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3}
_JPEG = 7
# none, fax (three kinds), LZW, JPEG, deflate (two names), PackBits, LZMA, Zstandard
_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, _JPEG, 8, 32946, 32773, 34925, 50000})
_MULTIPLIED, _PLAIN = 1, 2  # two of the meanings of an extra channel: alpha with and without the colours scaled by it


@dataclass(frozen=True)
class Decoded:
    """What a TIFF holds, before any colour management."""

    samples: Samples  # (H, W, C) uint8 or uint16: grey, RGB or CMYK, then alpha where there is one
    full: int  # the sample value of full brightness (255, 65535, or 4095 in a 12-bit file)
    cmyk: bool
    profile: bytes | None  # ICC
    orientation: int  # EXIF, 1 to 8


def decode(path: Path, data: bytes, check_size: Callable[[int, int], None]) -> Decoded:
    """The one picture in a TIFF file. `check_size` gets width and height before anything is decoded.

    Raises InvalidMedia for a TIFF that is no single picture, and whatever tifffile raises for a damaged one.
    """
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages.first
        check_size(page.imagewidth, page.imagelength)
        _check_pages(path, file, page)
        _check_kind(path, page)
        _check_segments(page, data)
        samples = _samples(page)
        orientation = page.tags.valueof(274, 1)
        profile = page.iccprofile
    depth = page.bitspersample
    photometric = int(page.photometric)
    samples, full = _plain(samples, page, photometric, 2**depth - 1)
    return Decoded(
        samples,
        full,
        cmyk=photometric == _CMYK,
        profile=profile if isinstance(profile, bytes) else None,
        orientation=orientation if orientation in range(1, 9) else 1,
    )


def xmp(data: bytes) -> bytes | None:
    """The XMP packet of a TIFF file (tag 700), where it has one."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        packet = file.pages.first.tags.valueof(700)
    if isinstance(packet, str):
        return packet.encode("utf-8", "replace")
    return bytes(packet) if isinstance(packet, (bytes, tuple)) else None  # some declare the bytes as numbers


def _check_pages(path: Path, file: tifffile.TiffFile, page: Any) -> None:
    """Refuses documents and raw photos."""
    if 50706 in page.tags:  # DNGVersion
        raise InvalidMedia(f"{path} is a camera's raw file; develop it to PNG, JPEG or TIFF first")
    if page.is_reduced:
        raise InvalidMedia(f"{path} opens with a preview, not with a picture; save it as a plain TIFF")
    for index in range(1, MAX_PAGES + 1):
        try:
            other: Any = file.pages[index]
        except IndexError:
            return
        if not other.subfiletype & 0b101:  # 1: a smaller version of another page, 4: a mask
            break
    raise InvalidMedia(f"{path} has several pages; save one of them as a picture")


def _check_kind(path: Path, page: Any) -> None:
    """Refuses what is not grey, palette, RGB or CMYK of 1 to 16 bits, and compressions that are not listed."""
    depth = page.bitspersample
    if isinstance(depth, tuple) or isinstance(page.sampleformat, tuple):
        raise InvalidMedia(f"{path} has channels of different depths; save it with 8 or 16 bits a channel")
    if page.sampleformat not in (None, 1) or not 1 <= depth <= 16 or page.imagedepth != 1:
        raise InvalidMedia(f"{path} stores numbers of {depth} bits; save it with 8 or 16 bits a channel")
    photometric, compression = int(page.photometric), int(page.compression)
    colours = _COLOURS.get(photometric, 0)
    if colours == 0 or (photometric == _YCBCR and compression != _JPEG) or (photometric == _PALETTE and depth > 8):
        name = getattr(page.photometric, "name", str(photometric))
        raise InvalidMedia(f"{path} stores its colours as {name} of {depth} bits; save it as RGB or greyscale")
    if not colours <= page.samplesperpixel <= colours + 4:
        raise InvalidMedia(
            f"{path} has {page.samplesperpixel} channels; grey has 1, RGB 3, CMYK 4, and alpha may follow"
        )
    if compression not in _COMPRESSIONS:
        name = getattr(page.compression, "name", str(compression))
        raise InvalidMedia(f"{path} is compressed with {name}; save it with LZW, deflate or no compression")


def _check_segments(page: Any, data: bytes) -> None:
    """Every strip or tile is there and no larger than it says; decoders fill what is missing with black, silently."""
    rows = page.tilelength if page.is_tiled else page.rowsperstrip
    columns = page.tilewidth if page.is_tiled else page.imagewidth
    if rows < 1 or columns < 1 or rows * columns > 4 * page.imagelength * page.imagewidth + 2**22:
        raise ValueError(f"segments of {columns}×{rows}")
    wanted = -(-page.imagelength // rows) * -(-page.imagewidth // columns)
    if page.planarconfig == 2:
        wanted *= page.samplesperpixel
    offsets, counts = page.dataoffsets[:wanted], page.databytecounts[:wanted]
    if len(offsets) < wanted or len(counts) < wanted:
        raise EOFError(f"{len(offsets)} segments of {wanted}: truncated")
    for offset, count in zip(offsets, counts, strict=True):
        if offset < 1 or count < 1 or offset + count > len(data):
            raise EOFError(f"a segment of {count} bytes at {offset}: truncated")
        if int(page.compression) == _JPEG:
            _check_jpeg(data[offset : offset + count], columns, rows)


def _check_jpeg(segment: bytes, width: int, height: int) -> None:
    """A JPEG strip has a size of its own, which is what its decoder allocates."""
    place = 2
    while place + 9 <= len(segment) and segment[place] == 0xFF:
        marker, size = segment[place + 1], struct.unpack(">H", segment[place + 2 : place + 4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of a frame
            tall, wide = struct.unpack(">HH", segment[place + 5 : place + 9])
            if tall > height or wide > width:
                raise ValueError(f"a JPEG of {wide}×{tall} in a strip of {width}×{height}")
            return
        place += 2 + max(size, 1)
    raise ValueError("a JPEG strip without a frame")


def _samples(page: Any) -> Samples:
    """The page as (H, W, C) uint8 or uint16, as stored."""
    samples = np.asarray(page.asarray(maxworkers=1))
    if samples.dtype == np.bool_:
        samples = samples.astype(np.uint8)
    if samples.dtype != (np.uint8 if page.bitspersample <= 8 else np.uint16):
        raise ValueError(f"samples are {samples.dtype}")
    channels, height, width = page.samplesperpixel, page.imagelength, page.imagewidth
    if page.planarconfig == 2 and channels > 1:
        return np.moveaxis(samples.reshape(channels, height, width), 0, 2)
    return samples.reshape(height, width, channels)


def _plain(samples: Samples, page: Any, photometric: int, full: int) -> tuple[Samples, int]:
    """Samples where more is brighter (less ink in CMYK is 0), with plain alpha or none; and the full value."""
    if samples.max() > full:
        raise ValueError("samples beyond their bits")
    colours = _COLOURS[photometric]
    extra = page.extrasamples[0] if page.extrasamples else 0
    alpha = samples[:, :, colours : colours + 1] if extra in (_MULTIPLIED, _PLAIN) else samples[:, :, :0]
    samples = samples[:, :, :colours]
    if photometric == _PALETTE:
        table = (np.asarray(page.colormap) >> 8).astype(np.uint8)  # (3, 2**bits), 16 bits a value
        samples = table.T[samples[:, :, 0]]
        alpha, full = alpha * np.uint8(255 // full), 255
    elif photometric == _WHITE_IS_ZERO:
        samples = (full - samples).astype(samples.dtype)
    if extra == _MULTIPLIED and alpha.shape[2]:
        divided = np.minimum(samples * (full / np.maximum(alpha, 1).astype(np.float32)), full)
        samples = np.rint(divided).astype(samples.dtype)
    return np.concatenate([samples, alpha], axis=2), full
