"""Damaged scores: each is read or refused in one clear line, and nothing else happens.

    python benchmarks/fuzz_scores.py --count 10000

Small pieces in every format are mutated (bytes flipped, cut out, repeated, numbers made huge, tokens swapped) from one
seed and read. A fault is any exception but InvalidMedia, a message of several lines, or a file that takes over
SLOW_S. Faults are kept in --keep. Pass --archives FOLDER to mutate a sample of real files as well.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "shared"))
import tunes

from danqing.artwork import scores
from danqing.errors import InvalidMedia

SLOW_S = 10.0
LARGEST = 60_000  # bytes of a seed file


def seeds(archives: Path | None) -> list[tuple[str, bytes]]:
    """Whole files to damage: (name, bytes)."""
    found = [("a.abc", tunes.ABC.encode()), ("a.krn", tunes.KERN.encode())]
    for piece in (tunes.song(), tunes.quartet(), tunes.piano(), tunes.band()):
        drums = any(part.drums for part in piece.parts)
        suffixes = (".mid", ".musicxml", ".mxl", ".json") + (() if drums else (".abc",))
        found += [("a" + suffix, scores.encode_bytes(piece, suffix, tunes.ORIGIN)) for suffix in suffixes]
    if archives is not None:
        for path in sorted(archives.glob("*.zip")):
            with zipfile.ZipFile(path) as packed:
                names = [e.filename for e in packed.infolist() if e.filename.endswith((".krn", ".abc", ".mid"))]
                found += [(name, packed.read(name)[:LARGEST]) for name in names[:: max(1, len(names) // 3)][:3]]
    return found


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The same bytes with one to eight wounds."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        if not out:
            break
        at = chance.randrange(len(out))
        span = chance.randint(1, min(64, len(out)))
        kind = chance.randrange(8)
        if kind == 0:
            out[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            out[at] = chance.randrange(256)
        elif kind == 2:
            del out[at : at + span]
        elif kind == 3:
            out[at:at] = out[at : at + span] * chance.randint(1, 20)
        elif kind == 4:
            del out[at:]
        elif kind == 5:
            out[at:at] = str(chance.choice([0, -1, 10**3, 10**6, 10**12, 10**30, "1/0", "nan", "1e999"])).encode()
        elif kind == 6:
            other = chance.randrange(len(out))
            out[at : at + span], out[other : other + span] = out[other : other + span], out[at : at + span]
        else:
            digits = [place for place, byte in enumerate(out) if 48 <= byte <= 57]
            if digits:
                out[chance.choice(digits)] = 48 + chance.randrange(10)
    return bytes(out)


def main() -> int:
    """Runs it; 1 where there were faults."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000, help="damaged files in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for the files that caused faults")
    parser.add_argument("--archives", type=Path)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    whole = seeds(given.archives)
    read = faults = 0
    slowest = 0.0
    for number in range(given.count):
        name, data = whole[number % len(whole)]
        wounded = damaged(data, chance)
        start = time.perf_counter()
        fault = ""
        try:
            scores.decode(wounded, name)
            read += 1
        except InvalidMedia as error:
            fault = "several lines" if "\n" in str(error) else ""
        except Exception as error:  # that is what is looked for
            fault = f"{type(error).__name__}: {error}"
        took = time.perf_counter() - start
        slowest = max(slowest, took)
        if took > SLOW_S:
            fault = fault or f"took {took:.1f} s"
        if fault:
            faults += 1
            print(f"{number} {name}: {fault}"[:300])
            if given.keep:
                (given.keep / f"{number}-{Path(name).name}").write_bytes(wounded)
    print(f"{given.count} damaged files: {read} still read, slowest {slowest:.2f} s, {faults or 'no'} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
