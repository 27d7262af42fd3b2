"""Invented solos in the form of the Weimar Jazz Database's tables: pitch, onset in seconds, duration in seconds."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CHORDS = ((2, 5, 9, 12), (7, 11, 14, 17), (0, 4, 7, 11), (0, 4, 7, 9))  # of each bar: Dm7, G7, Cmaj7, C6


def solo(seed: int, bars: int = 16, tempo: float = 150.0, late: float = 0.62, loose: float = 0.01,
         start: float = 3.0) -> NDArray[np.float64]:  # fmt: skip
    """Swung eighths on chord tones of a cadence, some left out. (N, 3); late: of the second eighth, in beats."""
    rng = np.random.default_rng(seed)
    beat, rows = 60 / tempo, []
    for bar in range(bars):
        for eighth in range(8):
            if eighth % 2 == 1 and rng.random() < 0.35:
                continue
            place = 4 * bar + eighth // 2 + late * (eighth % 2)
            tones = CHORDS[bar % len(CHORDS)]
            pitch = 60 + (tones[0] if eighth == 0 else tones[int(rng.integers(len(tones)))])
            rows.append((pitch, start + place * beat + loose * rng.standard_normal(), 0.45 * beat))
    return np.array(rows)


def table(rows: NDArray[np.float64]) -> str:
    """As a file has it."""
    out = io.StringIO()
    np.savetxt(out, rows, delimiter=",")
    return out.getvalue()


def write(path: Path, count: int) -> None:
    """An archive of so many solos over as many tunes, for tenor and trumpet."""
    rows = [",avgtempo,base_name,instrument,performer,title"]
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            name = f"Nobody_Tune{number}_FINAL"
            rows.append(f"{name},150,{name},{('ts', 'tp')[number % 2]},Nobody,Tune {'abcdefghijklmnop'[number]}")
            archive.writestr(f"{name}_solo.csv", table(solo(number)))
        archive.writestr("df_solos.csv", "\n".join(rows))
