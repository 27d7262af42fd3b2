"""Pictures: read from files with all that the files say about them, written with all that we say about them.

Read: PNG, JPEG, WebP and TIFF, known by their content. The size is checked in the header before a pixel is decoded;
EXIF orientation is applied; an ICC profile is converted to sRGB; alpha and 16 bits a channel are kept; whatever a
decoder raises becomes one `InvalidMedia`. A name that claims another format than the content is refused, because one of
the two is a mistake and only the person knows which; a name that claims nothing (`photo`, `photo.download`) is fine.

Written: sRGB with its profile, provenance as one XMP packet, nothing of the source's own metadata (no place, no
camera). The same picture and provenance give the same bytes. The libraries and why: docs/decisions/0002-image-io.md.
"""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from danqing.artwork import files, tiff
from danqing.artwork.color import Samples, srgb_profile, to_srgb
from danqing.artwork.provenance import Provenance, from_xmp, to_xmp
from danqing.errors import BadRequest, DanqingError, InvalidMedia

MAX_PIXELS = 2 * 8192 * 8192  # 134 megapixels: 1.6 GB once decoded, twice the largest work that we make
MAX_SIDE = 32_768  # px; a longer side is a mistake or an attack, whatever the area

Array = NDArray[np.float32]
T = TypeVar("T")

SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WebP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
# Formats that we know by sight and do not read, so that the message can name them.
_OTHERS = (
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"8BPS", "Photoshop"),
    (b"%PDF", "PDF"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"v/1\x01", "OpenEXR"),
    (b"<svg", "SVG"),
    (b"<?xml", "XML"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
)
_OTHER_SUFFIXES = {
    suffix: name
    for name, suffixes in {
        "GIF": ".gif",
        "BMP": ".bmp",
        "HEIC": ".heic .heif",
        "AVIF": ".avif",
        "Photoshop": ".psd",
        "PDF": ".pdf",
        "SVG": ".svg",
        "JPEG XL": ".jxl",
        "JPEG 2000": ".jp2 .j2k",
        "OpenEXR": ".exr",
        "a camera's raw format": ".dng .nef .cr2 .cr3 .arw .orf .rw2 .raf",
    }.items()
    for suffix in suffixes.split()
}
_READ = "PNG, JPEG, WebP and TIFF are read"

# Both log what they make of odd files; a library stays silent unless the program asks for its log.
for _name in ("tifffile", "imagecodecs"):
    logging.getLogger(_name).addHandler(logging.NullHandler())


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture in memory: upright, sRGB, alpha not multiplied into the colours."""

    pixels: Array  # (H, W, 3) float32 sRGB in [0, 1]
    alpha: Array | None = None  # (H, W) float32 in [0, 1]; None where every pixel is opaque
    bits: int = 8  # bits a channel of the source, and of a file made from it: 8 or 16

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or 0 in self.pixels.shape:
            raise BadRequest(f"a picture's pixels have the shape (H, W, 3), not {self.pixels.shape}")
        if self.alpha is not None and self.alpha.shape != self.pixels.shape[:2]:
            raise BadRequest(f"alpha has the shape {self.alpha.shape}, the pixels {self.pixels.shape[:2]}")
        for name, values in (("pixels", self.pixels), ("alpha", self.alpha)):
            if values is None:
                continue
            if values.dtype != np.float32:
                raise BadRequest(f"a picture's {name} are float32, not {values.dtype}")
            if not (values.min() >= 0 and values.max() <= 1):  # a NaN fails both
                raise BadRequest(f"a picture's {name} lie in [0, 1], not [{values.min()}, {values.max()}]")
        if self.bits not in (8, 16):
            raise BadRequest(f"a picture has 8 or 16 bits a channel, not {self.bits}")

    @property
    def height(self) -> int:
        """Px."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Px."""
        return int(self.pixels.shape[1])


# --- reading --------------------------------------------------------------------------------------------------------


def read(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """The picture in a PNG, JPEG, WebP or TIFF file.

    `max_pixels` bounds width × height, checked before decoding; each side is at least 1 and at most MAX_SIDE (what an
    art makes of a 1×1 picture is the art's to say). Memory stays below 50 bytes a pixel: 20 for a plain photo, 48 for
    16-bit RGBA with a profile and on its side.
    Raises InvalidMedia for a file that is missing, unreadable, of another format, mislabelled, animated or of several
    pages, damaged, cut short or too large.
    """
    path = Path(path)
    data = files.read(path)
    kind = _kind(path, data)
    return _guarded(path, data, kind, lambda: _decode(path, data, kind, max_pixels))


def read_mask(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Array:
    """A mask: how bright (Rec. 709 luma) times how opaque each pixel is. Returns (H, W) float32 in [0, 1]."""
    picture = read(path, max_pixels=max_pixels)
    luma = picture.pixels @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    np.clip(luma, 0, 1, out=luma)
    return luma if picture.alpha is None else luma * picture.alpha


def read_provenance(path: str | Path) -> Provenance | None:
    """What made the picture in a file, where the file carries it; None for a picture that we did not make.

    Raises InvalidMedia for what `read` refuses by name, content or header.
    """
    path = Path(path)
    data = files.read(path)
    kind = _kind(path, data)
    packet = _guarded(path, data, kind, lambda: tiff.xmp(data) if kind == "TIFF" else _xmp(data, kind))
    return from_xmp(packet) if packet else None


def _xmp(data: bytes, kind: str) -> bytes | None:
    with _open(data, kind) as image:
        packet = image.info.get("xmp")
    return packet.encode("utf-8", "replace") if isinstance(packet, str) else packet


def _kind(path: Path, data: bytes) -> str:
    """The format by content: PNG, JPEG, WebP or TIFF. Raises InvalidMedia for another one, or one the name denies."""
    kind = _sniff(data)
    suffix = path.suffix.lower()
    if kind is None:
        other = _other(data)
        what = f"holds {other}" if other else "holds no picture that we know"
        raise InvalidMedia(f"{path} {what}; {_READ}")
    claimed = SUFFIXES.get(suffix) or _OTHER_SUFFIXES.get(suffix)
    if claimed is not None and claimed != kind:
        better = path.with_suffix(next(name for name, of in SUFFIXES.items() if of == kind)).name
        raise InvalidMedia(
            f"{path} is named as {claimed} but holds {kind}; if that is what you meant, name it {better}"
        )
    return kind


def _sniff(data: bytes) -> str | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0")):
        return "TIFF"
    return None


def _other(data: bytes) -> str | None:
    if data[4:8] == b"ftyp":
        return {b"avif": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC"}.get(data[8:12], "a film")
    return next((name for magic, name in _OTHERS if data[:64].lstrip().startswith(magic)), None)


def _guarded(path: Path, data: bytes, kind: str, work: Callable[[], T]) -> T:
    """Runs a decoder; whatever it raises becomes one InvalidMedia, whatever it warns of is dropped."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work()
    except DanqingError:
        raise
    except MemoryError as error:
        raise InvalidMedia(f"{path} needs more memory than there is; make it smaller first") from error
    except Exception as error:  # decoders raise anything: SyntaxError, struct.error, zlib.error, OverflowError, …
        raise InvalidMedia(f"{path} {_damage(data, kind, error)}. Nothing was written.") from error


def _damage(data: bytes, kind: str, error: Exception) -> str:
    """What is wrong with a file that its decoder gave up on."""
    there = files.size_text(len(data))
    if kind == "WebP" and len(data) >= 8 and (promised := struct.unpack("<I", data[4:8])[0] + 8) > len(data):
        return f"ends after {there} of {files.size_text(promised)}: the file is damaged"
    end = {"PNG": b"IEND", "JPEG": b"\xff\xd9"}.get(kind)
    words = str(error).lower()
    if (end is not None and end not in data[-64:]) or any(word in words for word in ("truncated", "too small", "eof")):
        return f"ends early, after {there}: the file is damaged"
    return f"cannot be decoded: its {kind} data is damaged"


def _check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise InvalidMedia(f"{path} has no pixels ({width}×{height})")
    if max(width, height) > MAX_SIDE:
        raise InvalidMedia(f"{path} is {width}×{height} px; a side is at most {MAX_SIDE:,} px. Make it smaller first.")
    if width * height > max_pixels:
        raise InvalidMedia(
            f"{path} is {width}×{height} px, {width * height / 1e6:.0f} megapixels; "
            f"at most {max_pixels / 1e6:.0f} are read. Make it smaller first."
        )


def _decode(path: Path, data: bytes, kind: str, max_pixels: int) -> Picture:
    if kind == "TIFF":
        found = tiff.decode(path, data, lambda width, height: _check_size(path, width, height, max_pixels))
        return _upright(_split(found.samples, found.profile, cmyk=found.cmyk, full=found.full), found.orientation)
    with _open(data, kind) as image:  # reads the header only
        _check_size(path, image.width, image.height, max_pixels)
        if getattr(image, "n_frames", 1) > 1:
            raise InvalidMedia(f"{path} is animated ({image.n_frames} frames); save one frame as a picture")
        if kind == "PNG" and data[24] == 16:  # bit depth in IHDR; Pillow would drop the lower byte
            samples = np.atleast_3d(imagecodecs.png_decode(data))
            return _upright(_split(samples, image.info.get("icc_profile")), _orientation(image))
        return _from_pillow(path, image)


def _open(data: bytes, kind: str) -> Any:
    """Pillow's reader for one format; Image.open would raise on size in its own words, without the sides."""
    readers: dict[str, Callable[[io.BytesIO], Any]] = {
        "PNG": PngImagePlugin.PngImageFile,
        "JPEG": JpegImagePlugin.JpegImageFile,
        "WebP": WebPImagePlugin.WebPImageFile,
    }
    return readers[kind](io.BytesIO(data))


def _from_pillow(path: Path, image: Any) -> Picture:
    """Decodes an open Pillow image of 8 bits a channel or fewer."""
    image.load()
    orientation = _orientation(image)  # after load: a PNG may keep its EXIF behind the pixels
    profile = image.info.get("icc_profile")
    if "transparency" in image.info or image.mode in ("PA", "La", "RGBa"):
        image = image.convert("RGBA")
    elif image.mode in ("P", "YCbCr", "RGBX"):
        image = image.convert("RGB")
    elif image.mode == "1":
        image = image.convert("L")
    if image.mode not in ("L", "LA", "RGB", "RGBA", "CMYK"):
        raise InvalidMedia(f"{path} stores its colours as {image.mode!r}; save it as RGB or greyscale of 8 or 16 bits")
    return _upright(_split(np.atleast_3d(np.asarray(image)), profile, cmyk=image.mode == "CMYK"), orientation)


def _orientation(image: Any) -> int:
    """EXIF orientation, 1 to 8; 1 where there is none or it cannot be read."""
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # damaged EXIF says nothing about the pixels
        return 1
    return value if value in range(1, 9) else 1


def _upright(picture: Picture, orientation: int) -> Picture:
    """The picture as EXIF's orientation tag says it is to be seen (EXIF 2.32, 4.6.4 A, tag 274)."""
    if orientation == 1:
        return picture

    def turn(values: Array) -> Array:
        if orientation >= 5:  # 5 to 8 are stored with rows for columns
            values = values.swapaxes(0, 1)
        if orientation in (2, 3, 6, 7):
            values = values[:, ::-1]
        if orientation in (3, 4, 7, 8):
            values = values[::-1]
        return np.ascontiguousarray(values)

    return Picture(turn(picture.pixels), None if picture.alpha is None else turn(picture.alpha), picture.bits)


def _split(samples: Samples, profile: bytes | None, *, cmyk: bool = False, full: int | None = None) -> Picture:
    """Colours and alpha out of (H, W, C) samples: grey, grey + alpha, RGB, RGBA, CMYK (0 is no ink), CMYK + alpha.

    `full` is the sample value of full brightness where that is not the largest of the type (12-bit TIFF).
    """
    colours = 4 if cmyk else (1 if samples.shape[2] <= 2 else 3)
    full = full or int(np.iinfo(samples.dtype).max)
    alpha = None
    if samples.shape[2] > colours:
        alpha = samples[:, :, colours].astype(np.float32)
        alpha /= full
    bits = 8 if samples.dtype == np.uint8 else 16
    return Picture(to_srgb(np.ascontiguousarray(samples[:, :, :colours]), profile, full), alpha, bits)


# --- writing --------------------------------------------------------------------------------------------------------


def write(
    picture: Picture,
    path: str | Path,
    *,
    provenance: Provenance | None = None,
    quality: int = 92,
    force: bool = False,
) -> None:
    """Writes a picture in the format of its suffix, whole or not at all.

    Raises BadRequest for a suffix or size that cannot be, OutputExists unless `force`, NotWritable where the folder or
    the disk says no.
    """
    path = Path(path)
    output_format(path)
    files.check_output(path, force=force)
    files.write(encode_bytes(picture, path.suffix, provenance, quality=quality), path, force=force)


def output_format(path: Path) -> str:
    """The format that a file of this name is written in. Raises BadRequest for a suffix that we do not write."""
    known = SUFFIXES.get(path.suffix.lower())
    if known is None:
        given = f"its suffix is {path.suffix!r}" if path.suffix else "it has no suffix"
        raise BadRequest(f"{path} names no format that we write ({given}); use .png, .jpg, .webp or .tif")
    return known


def encode_bytes(picture: Picture, suffix: str, provenance: Provenance | None = None, *, quality: int = 92) -> bytes:
    """The file that `write` would make: `suffix` is ".png", ".jpg", ".webp" or ".tif".

    `quality` (1 to 100) is for JPEG and WebP. PNG and TIFF keep 16 bits where the picture has them; JPEG and WebP have
    8. JPEG has no alpha: the picture is laid on white. The same arguments give the same bytes.
    """
    kind = output_format(Path(f"out{suffix}"))
    if not 1 <= quality <= 100:
        raise BadRequest(f"quality is {quality}; it lies between 1 and 100")
    xmp = to_xmp(provenance) if provenance else None
    if kind == "PNG":
        return _encode_png(picture, xmp)
    if kind == "TIFF":
        return _encode_tiff(picture, xmp)
    return _encode_jpeg(picture, xmp, quality) if kind == "JPEG" else _encode_webp(picture, xmp, quality)


def _levels(picture: Picture, bits: int, *, alpha: bool = True) -> Samples:
    """(H, W, 3 or 4) integers of 8 or 16 bits, rounded to the nearest."""
    full, dtype = (65535, np.uint16) if bits == 16 else (255, np.uint8)
    channels = 4 if alpha and picture.alpha is not None else 3
    levels = np.empty((picture.height, picture.width, channels), dtype)
    levels[:, :, :3] = np.rint(picture.pixels * np.float32(full))
    if channels == 4 and picture.alpha is not None:
        levels[:, :, 3] = np.rint(picture.alpha * np.float32(full))
    return levels


def _encode_png(picture: Picture, xmp: bytes | None) -> bytes:
    # Level 4 is three times as fast as zlib's usual 6 and its files are 4 % larger (paintings of 2 megapixels).
    plain = bytes(imagecodecs.png_encode(_levels(picture, picture.bits), level=4))
    chunks = _png_chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(srgb_profile(), 9))
    if xmp:
        chunks += _png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)  # not compressed, as the XMP standard asks
    header = 8 + 25  # signature and IHDR; both chunks belong before the pixels
    return plain[:header] + chunks + plain[header:]


def _png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _encode_tiff(picture: Picture, xmp: bytes | None) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(
        out,
        _levels(picture, picture.bits),
        photometric="rgb",
        extrasamples=["unassalpha"] if picture.alpha is not None else None,
        compression="zlib",
        predictor=True,
        iccprofile=srgb_profile(),
        extratags=[(700, 1, len(xmp), xmp, True)] if xmp else [],
        metadata=None,  # no description, software or date of tifffile's own
        software=False,
    )
    return out.getvalue()


def _encode_jpeg(picture: Picture, xmp: bytes | None, quality: int) -> bytes:
    if picture.alpha is not None:
        alpha = picture.alpha[:, :, None]
        picture = Picture(np.clip(picture.pixels * alpha + (1 - alpha), 0, 1))
    if xmp and len(xmp) > 65_000:  # an APP1 segment holds 65,533 bytes
        raise BadRequest("the provenance is too long for a JPEG file; save the work as .png, .webp or .tif")
    out = io.BytesIO()
    image = Image.fromarray(_levels(picture, 8, alpha=False))
    sampling = 0 if quality >= 90 else 2  # full colour resolution where quality was asked for: brush strokes are colour
    options: dict[str, Any] = {"xmp": xmp} if xmp else {}
    image.save(out, "JPEG", quality=quality, subsampling=sampling, optimize=True, icc_profile=srgb_profile(), **options)
    return out.getvalue()


def _encode_webp(picture: Picture, xmp: bytes | None, quality: int) -> bytes:
    if max(picture.width, picture.height) > 16_383:
        raise BadRequest(f"WebP holds at most 16,383 px a side, not {picture.width}×{picture.height}; use .png or .tif")
    out = io.BytesIO()
    image = Image.fromarray(_levels(picture, 8))
    image.save(out, "WEBP", quality=quality, method=4, exact=True, icc_profile=srgb_profile(), xmp=xmp or b"")
    return out.getvalue()
