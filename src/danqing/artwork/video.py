"""Moving pictures: frames written as .mp4 (H.264) or .gif, with all that we say about them inside.

MP4: H.264 through PyAV, 4:2:0, colours coded and tagged as BT.709 with sRGB's transfer, the index before the pictures
so that a browser begins at once; sound, where there is some, as AAC; provenance as XMP in a `uuid` box. GIF: Pillow,
256 colours a frame, shown round and round; provenance as XMP in an application extension (XMP specification, part 3).
As a picture (.png …) a video is a strip of its stills. The same frames and provenance give the same bytes. The library
and why: docs/decisions/0012-video.md.
"""

from __future__ import annotations

import io
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from danqing.artwork import audio, files, image, sheet
from danqing.artwork.image import Picture
from danqing.artwork.provenance import Provenance, from_xmp, to_xmp
from danqing.errors import BadRequest

SUFFIXES = (".mp4", ".gif")
FASTEST = 50  # frames a second; GIF knows hundredths of a second, and players take 1 for 10
MOST_BYTES = 2 * 2**30  # of frames in memory: 3 minutes of 512 px at 15 frames a second
SOUND_BITS = 192_000  # a second
AAC_FRAME = 1024  # samples
QUALITY = 16  # x264's constant rate factor; 18 is called visually lossless, and small pictures are looked at closely

_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # the type of an MP4's XMP box
_EXTENSION = b"\x21\xff\x0bXMP DataXMP"  # of a GIF
_TRAILER = bytes([1, *range(255, -1, -1), 0])  # leads a reader of sub-blocks out of the XMP, wherever it got in


@dataclass(frozen=True, eq=False)
class Video:
    """Frames in memory, and the ones that stand for the whole."""

    frames: NDArray[np.uint8]  # (N, H, W, 3) sRGB
    fps: int  # frames a second
    stills: tuple[int, ...] = (0,)  # numbers of the frames that a strip shows
    sound: NDArray[np.float32] | None = None  # (T, 2) in [-1, 1] at `audio.RATE`; a GIF has none

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.frames.shape[3] != 3 or 0 in self.frames.shape:
            raise BadRequest(f"a video's frames have the shape (N, H, W, 3), not {self.frames.shape}")
        if self.frames.dtype != np.uint8:
            raise BadRequest(f"a video's frames are uint8, not {self.frames.dtype}")
        if not 1 <= self.fps <= FASTEST:
            raise BadRequest(f"a video has 1 to {FASTEST} frames a second, not {self.fps}")
        if self.sound is not None and (self.sound.ndim != 2 or self.sound.shape[1] != 2 or not len(self.sound)):
            raise BadRequest(f"a video's sound has the shape (T, 2), not {self.sound.shape}")
        if not self.stills or not all(0 <= number < len(self.frames) for number in self.stills):
            raise BadRequest(f"a video's stills are numbers of its {len(self.frames)} frames, not {self.stills}")

    @property
    def height(self) -> int:
        """Px."""
        return int(self.frames.shape[1])

    @property
    def width(self) -> int:
        """Px."""
        return int(self.frames.shape[2])

    @property
    def cover(self) -> Picture:
        """The first still as a picture."""
        return Picture(self.frames[self.stills[0]].astype(np.float32) / np.float32(255))


def strip(video: Video) -> Picture:
    """The stills side by side, each with its second under it."""
    captions = [f"{number / video.fps:.1f} s" for number in video.stills]
    return sheet.arrange([video.frames[n] for n in video.stills], len(video.stills), sheet.Labels(captions=captions))


def output_format(path: Path) -> str:
    """The suffix of a file to write a video to; raises BadRequest for one that we do not write."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES and suffix not in image.SUFFIXES:
        raise BadRequest(
            f"{path} ends in {path.suffix or 'no suffix'!r}; a video is written as .mp4 or .gif, a strip of its stills "
            "as .png, .jpg, .webp or .tif"
        )
    return suffix


def check_output(path: Path, *, force: bool = False) -> None:
    """Says before any work is done whether the video can be written."""
    output_format(path)
    files.check_output(path, force=force)


def encode_bytes(video: Video, suffix: str, provenance: Provenance | None = None, *, title: str = "") -> bytes:
    """The video as the bytes of a file of this suffix, provenance inside; of a picture's suffix, its strip."""
    suffix = output_format(Path("video" + suffix))
    if suffix in image.SUFFIXES:
        return image.encode_bytes(strip(video), suffix, provenance)
    return _mp4(video, provenance, title) if suffix == ".mp4" else _gif(video, provenance)


def read_provenance(path: str | Path) -> Provenance | None:
    """The provenance in an .mp4 or .gif that we wrote; None where there is none of ours."""
    data = files.read(Path(path))
    if data.startswith(b"GIF8"):
        start = data.find(_EXTENSION)
        end = data.find(_TRAILER, start)
        packet = data[start + len(_EXTENSION) : end] if 0 <= start < end else None
    else:
        packet = _xmp_box(data)
    return from_xmp(packet) if packet else None


def _xmp_box(data: bytes) -> bytes | None:
    """The XMP packet among the boxes at the top of an MP4."""
    place = 0
    while place + 8 <= len(data):
        size, kind, head = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8], 8
        if size == 1:  # the size follows in 64 bits
            size, head = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        if size < head:
            return None
        if kind == b"uuid" and data[place + head : place + head + 16] == _BOX:
            return data[place + head + 16 : place + size]
        place += size
    return None


def _mp4(video: Video, provenance: Provenance | None, title: str) -> bytes:
    import av  # 0.2 s, and only films need it

    has_sound = video.sound is not None
    height, width = video.height + video.height % 2, video.width + video.width % 2  # 4:2:0 has a colour for 2×2 pixels
    with tempfile.TemporaryDirectory() as folder:  # the muxer goes back in its file to put the index first
        path = Path(folder) / "video.mp4"
        options = {"movflags": "+faststart", "fflags": "+bitexact"}  # bitexact: no version, no time
        with av.open(str(path), "w", format="mp4", options=options) as container:
            if title:
                container.metadata["title"] = title
            if provenance:
                container.metadata["comment"] = f"{provenance.software} {provenance.verb}; {provenance.source_type}"
            stream = cast(Any, container.add_stream("libx264", rate=video.fps))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.options = {"crf": str(QUALITY), "preset": "medium"}
            voice = cast(Any, container.add_stream("aac", rate=audio.RATE, layout="stereo")) if has_sound else None
            context = stream.codec_context
            context.thread_count = 1  # with more, the bytes depend on how many
            context.color_primaries, context.color_trc, context.colorspace, context.color_range = 1, 13, 1, 1
            for number, levels in enumerate(video.frames):
                even = np.pad(levels, ((0, height - video.height), (0, width - video.width), (0, 0)), "edge")
                frame = av.VideoFrame.from_ndarray(even, format="rgb24")
                frame = frame.reformat(format="yuv420p", dst_colorspace=1, dst_color_range=1)  # BT.709, limited
                frame.pts, frame.time_base = number, Fraction(1, video.fps)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
            if voice is not None:
                _add_sound(container, voice, video)
        data = path.read_bytes()
    if provenance:
        packet = _BOX + to_xmp(provenance)
        data += (8 + len(packet)).to_bytes(4, "big") + b"uuid" + packet
    return data


def _add_sound(container: Any, stream: Any, video: Video) -> None:
    """Samples as AAC, no longer than the pictures."""
    import av

    stream.bit_rate = SOUND_BITS
    assert video.sound is not None
    samples = video.sound[: round(len(video.frames) * audio.RATE / video.fps)]
    for place in range(0, len(samples), AAC_FRAME):
        planes = np.ascontiguousarray(samples[place : place + AAC_FRAME].T)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = audio.RATE, place, Fraction(1, audio.RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def _gif(video: Video, provenance: Provenance | None) -> bytes:
    # Durations are whole hundredths of a second: each frame ends at the hundredth nearest to where it should.
    ends = [round(100 * (n + 1) / video.fps) for n in range(len(video.frames))]
    durations = [10 * (end - start) for start, end in zip([0, *ends], ends, strict=False)]
    pictures = [_in_256_colours(levels) for levels in video.frames]
    out = io.BytesIO()
    pictures[0].save(
        out, "GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0, disposal=1, optimize=False
    )
    data = out.getvalue()
    if provenance:
        palette = 3 * 2 ** ((data[10] & 7) + 1) if data[10] & 0x80 else 0
        head = 13 + palette  # signature, screen and the palette of all frames; extensions come after
        data = data[:head] + _EXTENSION + to_xmp(provenance) + _TRAILER + data[head:]
    return data


def _in_256_colours(levels: NDArray[np.uint8]) -> Image.Image:
    """A frame (H, W, 3) with a palette of its own: an octree's of every other pixel, and the rest dithered."""
    some = Image.fromarray(np.ascontiguousarray(levels[::2, ::2]))
    palette = some.quantize(256, Image.Quantize.FASTOCTREE)  # 9 times as fast as the median cut of as many pixels
    return Image.fromarray(levels).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
