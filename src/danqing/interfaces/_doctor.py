"""What this machine offers Danqing, what is missing, and whether everything that shipped is still whole."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from danqing.artwork.shelf import Shelf
from danqing.catalog.catalog import Catalog
from danqing.compute.device import Compute, choose, cpu_flags
from danqing.errors import DanqingError

TELLING_FLAGS = ("amx_bf16", "amx_tile", "avx512_bf16", "avx512f", "avx2", "fma")  # those that decide our speed on x86
GB = 1e9
LOW_DISK_GB = 1.0
LOW_MEMORY_GB = 4.0
MEASURE_S = 0.35  # for each of the two matrix products


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    name: str
    value: str
    state: str = "ok"  # ok, note (works, could be better), broken
    advice: str = ""


def examine(catalog: Catalog, home: Path) -> Iterator[Finding]:
    """Everything there is to say, as it is found. Takes a few seconds: it measures and it hashes."""
    compute = choose()
    yield Finding("python", f"{platform.python_version()} ({sys.executable})")
    yield Finding("system", f"{platform.system()} {platform.release()}, {platform.machine()}")
    yield Finding("torch", torch.__version__)
    yield Finding("device", str(compute))
    yield _instructions()
    yield Finding("cores", f"{_cores()} usable, {torch.get_num_threads()} threads in use")
    yield from _products(compute)
    yield _memory()
    yield _disk(home)
    yield _shelf(home)
    yield from _models(catalog)


def _instructions() -> Finding:
    flags = cpu_flags()
    if not flags:
        return Finding("instructions", "this system does not list them")
    have = [flag for flag in TELLING_FLAGS if flag in flags]
    if not flags & {"amx_bf16", "avx512_bf16"}:
        return Finding(
            "instructions", ", ".join(have) or "none of note", "note", "no bf16: networks run in fp32, slower"
        )
    return Finding("instructions", ", ".join(have))


def _cores() -> int:
    """How many cores this process may use, which a container can set lower than the machine has."""
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _products(compute: Compute) -> Iterator[Finding]:
    speeds = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        try:
            speeds[name] = matmul_gflops(compute.device, dtype)
        except RuntimeError as error:
            yield Finding(f"matrix product, {name}", "does not run here", "note", str(error).splitlines()[0])
    for name, speed in speeds.items():
        yield Finding(f"matrix product, {name}", f"{speed:,.0f} GFLOP/s")


def matmul_gflops(device: torch.device, dtype: torch.dtype, side: int = 1024) -> float:
    """The best of several square matrix products, in GFLOP/s; takes about MEASURE_S seconds."""
    a = torch.ones(side, side, dtype=dtype, device=device)
    best, begin = float("inf"), time.perf_counter()
    while time.perf_counter() - begin < MEASURE_S or best == float("inf"):
        start = time.perf_counter()
        float((a @ a)[0, 0])  # reading one number back waits for the device
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best / 1e9


def _memory() -> Finding:
    total, free = memory_bytes()
    if not total:
        return Finding("memory", "this system does not say")
    text = f"{total / GB:.1f} GB" + (f", {free / GB:.1f} GB free" if free else "")
    if free and free < LOW_MEMORY_GB * GB:
        return Finding("memory", text, "note", "little is free: pictures above 2048 px may not fit")
    return Finding("memory", text)


def memory_bytes() -> tuple[int, int]:
    """The machine's memory and how much of it is free; 0 for what the system does not say."""
    info = Path("/proc/meminfo")
    if info.exists():
        fields = dict(line.split(":", 1) for line in info.read_text(encoding="ascii").splitlines() if ":" in line)
        total, free = (int(fields.get(key, "0 kB").split()[0]) * 1024 for key in ("MemTotal", "MemAvailable"))
        return total, free
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), 0
    return 0, 0


def _disk(home: Path) -> Finding:
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    text = f"{free / GB:.1f} GB free at {home}"
    if free < LOW_DISK_GB * GB:
        return Finding("disk", text, "note", "make room, or set $DANQING_HOME to another disk")
    return Finding("disk", text)


def _shelf(home: Path) -> Finding:
    if not (home / "shelf.db").exists():
        return Finding("shelf", f"no works yet; they will be kept in {home}")
    try:
        shelf = Shelf(home)
        lost = [work.id for work in shelf.works(limit=shelf.count()) if not work.path.is_file()]
        count = shelf.count()
    except DanqingError as error:
        return Finding("shelf", "cannot be used", "broken", str(error))
    if lost:
        return Finding("shelf", f"{count} works, the files of {len(lost)} are gone", "broken", ", ".join(lost[:5]))
    return Finding("shelf", f"{count} works in {home}")


def _models(catalog: Catalog) -> Iterator[Finding]:
    for card in catalog.cards():
        if card.url and not catalog.available(card.name):
            size = f"{card.size_bytes / 1e6:.0f} MB"
            yield Finding(
                f"model {card.name}", "not on this machine", "note", f"optional; {size} are fetched when asked for"
            )
            continue
        try:
            path = catalog.check(card.name)
        except DanqingError as error:
            yield Finding(f"model {card.name}", "damaged or missing", "broken", str(error))
        else:
            yield Finding(f"model {card.name}", f"whole, {path.stat().st_size / 1e6:.1f} MB")
