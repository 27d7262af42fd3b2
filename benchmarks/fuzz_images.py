"""Reads tens of thousands of damaged pictures and fails if one of them is anything but read or refused.

    python benchmarks/fuzz_images.py --count 20000 --seed 1

Every format and mode that the reader knows is built in memory, damaged in one or more ways (bits, bytes, lengths,
order of chunks, tags and markers, headers, profiles, names) and read in worker processes. A file passes when `read`
gives a valid picture or raises InvalidMedia with one line that names the file, within 5 s, within the memory bound,
with nothing on stderr and no warning. Everything else is counted, kept under --keep, and makes the exit code 1. The
same seed gives the same files.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import resource
import struct
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from danqing.artwork.color import srgb_profile
from danqing.artwork.image import Picture, encode_bytes, read, read_provenance
from danqing.artwork.provenance import Provenance
from danqing.errors import InvalidMedia

MAX_PIXELS = 4_000_000  # what the workers read at most: large enough for a damaged header to ask for much memory
MEMORY = 1 << 30  # bytes a worker may take beyond what it has when it starts
LIMIT_S = 5.0
NUMBERS = (0, 1, 2, 3, 4, 7, 8, 15, 16, 32, 127, 128, 255, 256, 32767, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1)
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".gif", ".heic", "", ".bin")
SUFFIX_OF = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "tiff": ".tif"}

Seed = tuple[str, bytes]  # format, file


# --- what is damaged --------------------------------------------------------------------------------------------------


def seeds() -> list[Seed]:
    """One small file for each format, mode and feature."""
    rng = np.random.default_rng(0)
    height, width = 22, 26
    eight = rng.integers(0, 256, (height, width, 4)).astype(np.uint8)
    deep = rng.integers(0, 65536, (height, width, 4)).astype(np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    profiles = [imagecodecs.cms_profile("adobergb"), imagecodecs.cms_profile("gray", gamma=1.8), srgb_profile()]
    return [
        *_with_pillow(eight, exif, profiles),
        *_deep_png(deep, profiles),
        *_tiffs(eight, deep, profiles),
        *_ours(),
    ]


def _with_pillow(levels: np.ndarray, exif: Image.Exif, profiles: list[bytes]) -> list[Seed]:
    pictures = {
        "1": Image.fromarray(levels[:, :, 0] > 128),
        "L": Image.fromarray(levels[:, :, 0]),
        "LA": Image.fromarray(levels[:, :, :2], "LA"),
        "P": Image.fromarray(levels[:, :, :3]).quantize(16),
        "RGB": Image.fromarray(levels[:, :, :3]),
        "RGBA": Image.fromarray(levels),
        "CMYK": Image.fromarray(levels, "CMYK"),
        "YCbCr": Image.fromarray(levels[:, :, :3]).convert("YCbCr"),
        "LAB": Image.fromarray(levels[:, :, :3], "LAB"),
        "I": Image.fromarray(levels[:, :, 0].astype(np.int32)),
        "F": Image.fromarray(levels[:, :, 0].astype(np.float32)),
    }
    rgb, out = pictures["RGB"], []

    def add(kind: str, picture: Image.Image, **options: Any) -> None:
        file = io.BytesIO()
        picture.save(file, kind.upper(), **options)
        out.append((kind, file.getvalue()))

    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        add("png", pictures[mode])
    for mode in ("L", "RGB", "CMYK", "YCbCr"):
        add("jpeg", pictures[mode], quality=80)
    for mode in ("RGB", "RGBA"):
        add("webp", pictures[mode])
        add("webp", pictures[mode], lossless=True)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I", "F"):
        add("tiff", pictures[mode])
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        add("tiff", rgb, compression=compression)
    add("tiff", pictures["1"], compression="group4")
    add("png", pictures["P"], transparency=bytes(range(0, 256, 16)))
    add("png", rgb, transparency=(1, 2, 3))
    add("jpeg", rgb, progressive=True, optimize=True)
    for kind in ("png", "jpeg", "webp", "tiff"):
        add(kind, rgb, exif=exif, icc_profile=profiles[0])
        add(kind, rgb, icc_profile=profiles[2])
    for kind in ("png", "jpeg", "tiff"):
        add(kind, pictures["L"], icc_profile=profiles[1], exif=exif)
    for kind in ("png", "webp", "tiff"):
        add(kind, rgb, save_all=True, append_images=[pictures["RGB"].rotate(90), rgb.rotate(180)])
    add("png", Image.new("RGB", (1, 1)))
    add("jpeg", Image.new("L", (1, 1)))
    return out


def _deep_png(levels: np.ndarray, profiles: list[bytes]) -> list[Seed]:
    out = []
    for channels in (1, 2, 3, 4):
        plain = bytes(
            imagecodecs.png_encode(levels[:, :, 0].copy() if channels == 1 else levels[:, :, :channels].copy())
        )
        out.append(("png", plain))
        profile = profiles[1] if channels <= 2 else profiles[0]
        extra = _chunk(b"iCCP", b"icc\0\0" + zlib.compress(profile))
        if channels in (1, 3):
            extra += _chunk(b"tRNS", levels[0, 0, :channels].astype(">u2").tobytes())
        out.append(("png", plain[:33] + extra + plain[33:]))
    return out


def _tiffs(eight: np.ndarray, deep: np.ndarray, profiles: list[bytes]) -> list[Seed]:
    out = []

    def add(levels: np.ndarray, **options: Any) -> None:
        file = io.BytesIO()
        tifffile.imwrite(file, np.ascontiguousarray(levels), metadata=None, **options)
        out.append(("tiff", file.getvalue()))

    for levels in (eight, deep):
        add(levels[:, :, 0])
        add(levels[:, :, 0], photometric="miniswhite", rowsperstrip=5)
        add(levels[:, :, :3], photometric="rgb", compression="zlib", predictor=True, iccprofile=profiles[0])
        add(levels, photometric="rgb", extrasamples=["assocalpha"], compression="lzw")
        add(levels, photometric="rgb", extrasamples=["unassalpha"], byteorder=">", compression="zstd")
        add(levels, photometric="separated", compression="packbits")
        add(np.moveaxis(levels[:, :, :3], 2, 0), photometric="rgb", planarconfig="separate", compression="zlib")
        add(levels[:, :, :3], photometric="rgb", tile=(16, 16), compression="zlib", bigtiff=True)
        add(levels[:, :, :3], photometric="rgb", extratags=[(274, 3, 1, 5, True)], rowsperstrip=4)
    return out


def _ours() -> list[Seed]:
    rng = np.random.default_rng(1)
    pixels, alpha = rng.random((20, 24, 3)).astype(np.float32), rng.random((20, 24)).astype(np.float32)
    made = Provenance("paint", {"prompt": "山 & <water>"}, seed=1)
    return [
        (kind, encode_bytes(Picture(pixels, alpha, bits), suffix, made))
        for kind, suffix in SUFFIX_OF.items()
        for bits in (8, 16)
    ]


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


# --- how it is damaged ------------------------------------------------------------------------------------------------


def damage(index: int, seed: int, files: list[Seed]) -> tuple[str, str, bytes]:
    """File number `index` of a run: its format, its suffix and its bytes."""
    rng = np.random.default_rng([seed, index])
    kind, data = files[int(rng.integers(len(files)))]
    for _ in range(min(4, int(rng.geometric(0.6)))):
        way = WAYS[int(rng.integers(len(WAYS)))]
        data = way(data, kind, rng, files) or data
    if kind == "png" and rng.random() < 0.7:  # or nearly every damaged PNG ends at the first checksum
        data = _join_png(_split_png(data))
    suffix = SUFFIX_OF[kind] if rng.random() < 0.95 else SUFFIXES[int(rng.integers(len(SUFFIXES)))]
    return kind, suffix, data


def _bits(data: bytes, _kind: str, rng: np.random.Generator, _files: list[Seed]) -> bytes:
    out = bytearray(data)
    for place in rng.integers(0, max(1, len(out)), min(24, int(rng.geometric(0.3)))):
        if out:
            out[int(place)] ^= 1 << int(rng.integers(8))
    return bytes(out)


def _numbers(data: bytes, _kind: str, rng: np.random.Generator, _files: list[Seed]) -> bytes:
    """A telling number over a few bytes, mostly near the beginning, where sizes and depths are."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        reach = len(out) if rng.random() < 0.4 else min(len(out), 256)
        size, order = int(rng.choice([1, 2, 4])), rng.choice(["little", "big"])
        value = NUMBERS[int(rng.integers(len(NUMBERS)))] % (1 << (8 * size))
        place = int(rng.integers(0, max(1, reach)))
        out[place : place + size] = value.to_bytes(size, "little" if order == "little" else "big")
    return bytes(out)


def _cut(data: bytes, _kind: str, rng: np.random.Generator, _files: list[Seed]) -> bytes:
    return data[: int(rng.integers(1, len(data) + 1))]


def _block(data: bytes, _kind: str, rng: np.random.Generator, _files: list[Seed]) -> bytes:
    """A block taken out, doubled, or replaced by zeros or noise."""
    start = int(rng.integers(0, len(data) + 1))
    size = int(rng.integers(1, 64))
    block = data[start : start + size]
    instead = [b"", block * 2, bytes(len(block)), rng.bytes(len(block)), block[::-1]][int(rng.integers(5))]
    return data[:start] + instead + data[start + size :]


def _splice(data: bytes, kind: str, rng: np.random.Generator, files: list[Seed]) -> bytes:
    others = [other for of, other in files if of == kind]
    other = others[int(rng.integers(len(others)))]
    return data[: int(rng.integers(0, len(data) + 1))] + other[int(rng.integers(0, len(other))) :]


def _parts(data: bytes, kind: str, rng: np.random.Generator, files: list[Seed]) -> bytes:
    """Chunks, markers or tags moved, doubled, removed, renamed, or brought in from another file of the format."""
    split, join = PARTS[kind]
    parts = split(data)
    if len(parts) < 2:
        return data
    here, there = int(rng.integers(len(parts))), int(rng.integers(len(parts)))
    match int(rng.integers(5)):
        case 0:
            parts[here], parts[there] = parts[there], parts[here]
        case 1:
            parts.insert(there, parts[here])
        case 2:
            del parts[here]
        case 3:
            strangers = split([other for of, other in files if of == kind][int(rng.integers(3))])
            if strangers:
                parts.insert(there, strangers[int(rng.integers(len(strangers)))])
        case _:
            parts[here] = _bits(parts[here], kind, rng, files)
    return join(parts)


def _split_png(data: bytes) -> list[bytes]:
    """Signature, then chunks as name and data, without length and checksum."""
    parts, place = [data[:8]], 8
    while place + 8 <= len(data):
        size = struct.unpack(">I", data[place : place + 4])[0]
        parts.append(data[place + 4 : min(place + 8 + size, len(data))])
        place += 12 + size
    return parts


def _join_png(parts: list[bytes]) -> bytes:
    return parts[0] + b"".join(_chunk(part[:4].ljust(4, b"x"), part[4:]) for part in parts[1:])


def _split_jpeg(data: bytes) -> list[bytes]:
    parts, place = [data[:2]], 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        size = struct.unpack(">H", data[place + 2 : place + 4])[0]
        parts.append(data[place : place + 2 + size])
        place += 2 + max(size, 1)
    return [*parts, data[place:]]


def _split_riff(data: bytes) -> list[bytes]:
    parts, place = [data[:12]], 12
    while place + 8 <= len(data):
        size = struct.unpack("<I", data[place + 4 : place + 8])[0]
        end = place + 8 + size + size % 2
        parts.append(data[place:end])
        place = end
    return parts


def _join_riff(parts: list[bytes]) -> bytes:
    body = b"".join(parts[1:])
    return parts[0][:4].ljust(4, b"R") + struct.pack("<I", len(body) + 4) + parts[0][8:12].ljust(4, b"W") + body


def _split_tiff(data: bytes) -> list[bytes]:
    """What stands before the first directory's tags, each tag, and the rest."""
    if len(data) < 16:
        return [data]
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    start = struct.unpack(order + ("Q" if big else "I"), data[8:16] if big else data[4:8])[0]
    head, entry = (8, 20) if big else (2, 12)
    if start + head > len(data):
        return [data]
    count = min(struct.unpack(order + ("Q" if big else "H"), data[start : start + head])[0], 64)
    first = start + head
    tags = [data[first + number * entry : first + (number + 1) * entry] for number in range(count)]
    return [data[:first], *tags, data[first + count * entry :]]


PARTS: dict[str, tuple[Callable[[bytes], list[bytes]], Callable[[list[bytes]], bytes]]] = {
    "png": (_split_png, _join_png),
    "jpeg": (_split_jpeg, b"".join),
    "webp": (_split_riff, _join_riff),
    "tiff": (_split_tiff, b"".join),
}
WAYS = (_bits, _bits, _numbers, _numbers, _cut, _block, _splice, _parts, _parts)


# --- reading them -----------------------------------------------------------------------------------------------------


def judge(path: Path) -> tuple[str, str]:
    """("read" | "refused" | "fault", what happened)."""
    try:
        picture = read(path, max_pixels=MAX_PIXELS)
        read_provenance(path)
    except InvalidMedia as error:
        message = str(error)
        if "\n" in message or path.name not in message:
            return "fault", f"unclear message: {message!r}"
        if isinstance(error.__cause__, MemoryError):
            return "fault", "more memory than the bound"
        return "refused", type(error.__cause__).__name__ if error.__cause__ else "by header or name"
    except BaseException as error:
        return "fault", f"{type(error).__name__}: {error}"
    if picture.width * picture.height > MAX_PIXELS:
        return "fault", "larger than allowed"
    return "read", ""


def work(pipe: Connection, seed: int, folder: str) -> None:
    """A worker: reads the files it is told the numbers of, and says what came of each."""
    warnings.simplefilter("error")
    files = seeds()
    log = os.open(Path(folder) / f"stderr-{os.getpid()}", os.O_RDWR | os.O_CREAT)
    os.dup2(log, 2)  # decoders in C write there, past sys.stderr
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    while (index := pipe.recv()) is not None:
        kind, suffix, data = damage(index, seed, files)
        path = Path(folder) / f"{index}{suffix}"
        path.write_bytes(data)
        before = os.lseek(log, 0, os.SEEK_END)
        start = time.perf_counter()
        outcome, why = judge(path)
        taken = time.perf_counter() - start
        if os.lseek(log, 0, os.SEEK_END) != before:
            os.lseek(log, before, os.SEEK_SET)
            outcome, why = "fault", f"on stderr: {os.read(log, 200)!r}"
        path.unlink()
        pipe.send((index, kind, outcome, why, taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


@dataclass
class Worker:
    """A process, its pipe, and what it is reading since when."""

    seed: int
    folder: str
    index: int = -1
    since: float = 0.0
    pipe: Any = None
    process: Any = None

    def start(self) -> None:
        here, there = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self.pipe, self.process = here, context.Process(target=work, args=(there, self.seed, self.folder), daemon=True)
        self.process.start()
        there.close()

    def give(self, index: int) -> None:
        self.index, self.since = index, time.monotonic()
        self.pipe.send(index)

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


@dataclass
class Tally:
    """What came of the files so far."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[int, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    peak: int = 0

    def add(self, index: int, kind: str, outcome: str, why: str, taken: float, peak: int) -> None:
        if taken > LIMIT_S:
            outcome, why = "fault", f"took {taken:.1f} s"
        self.outcomes[kind, outcome] += 1
        self.times.append(taken)
        self.peak = max(self.peak, peak)
        if outcome == "fault":
            self.faults.append((index, why))
        elif outcome == "refused":
            self.causes[why] += 1


def run(count: int, seed: int, workers: int, folder: str) -> Tally:
    """Reads files 0 … count-1 in `workers` processes; one that hangs or dies is counted and replaced."""
    tally, files, pending = Tally(), seeds(), iter(range(count))
    crew = [Worker(seed, folder) for _ in range(workers)]
    for worker in crew:
        worker.start()
        worker.give(next(pending))
        worker.since += 60  # the first answer waits for the imports
    while crew:
        ready = wait([worker.pipe for worker in crew], timeout=0.5)
        for worker in list(crew):
            lost = ""
            if worker.pipe in ready:
                try:
                    tally.add(*worker.pipe.recv())
                except (EOFError, ConnectionError):
                    worker.process.join()
                    lost = f"the process died (exit code {worker.process.exitcode})"
            elif time.monotonic() - worker.since > LIMIT_S:
                lost = f"hung for more than {LIMIT_S:.0f} s"
            else:
                continue
            if lost:
                kind = damage(worker.index, seed, files)[0]
                tally.add(worker.index, kind, "fault", lost, 0.0, 0)
                worker.stop()
                worker.start()
            index = next(pending, None)
            if index is None:
                worker.stop()
                crew.remove(worker)
            else:
                worker.give(index)
                worker.since += 60 if lost else 0
    return tally


def report(tally: Tally, taken: float) -> None:
    print(f"{'format':8}{'read':>8}{'refused':>9}{'faults':>8}")
    for kind in SUFFIX_OF:
        row = [tally.outcomes[kind, outcome] for outcome in ("read", "refused", "fault")]
        print(f"{kind:8}{row[0]:8}{row[1]:9}{row[2]:8}")
    print("refused because of:", ", ".join(f"{why} {number}" for why, number in tally.causes.most_common()))
    times = np.array(tally.times)
    print(
        f"{len(times)} files in {taken:.0f} s; a file took {np.median(times) * 1e3:.1f} ms (median), "
        f"{np.quantile(times, 0.999) * 1e3:.0f} ms (99.9 %), {times.max() * 1e3:.0f} ms at most; "
        f"peak memory of a worker {tally.peak / 1024:.0f} MiB"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=Path("out/fuzz"), help="folder for the files that showed a fault")
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = run(options.count, options.seed, options.workers, folder)
    report(tally, time.monotonic() - start)
    files = seeds()
    for index, why in tally.faults[:50]:
        _, suffix, data = damage(index, options.seed, files)
        options.keep.mkdir(parents=True, exist_ok=True)
        (options.keep / f"{index}{suffix}").write_bytes(data)
        print(f"fault {index}{suffix}: {why}")
    print("no faults" if not tally.faults else f"{len(tally.faults)} faults")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
