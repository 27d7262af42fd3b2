"""Jazz solos from tables of notes in seconds, as the Weimar Jazz Database's solos come: put onto beats, chords found.

The archive holds df_solos.csv (a row a solo: base_name, avgtempo, instrument, performer, title) and, beside it or in
score_csv.zip, a table `<base_name>_solo.csv` each: pitch, onset in seconds, duration in seconds. It names neither beats
nor chords: those are estimated (`encode.pulse`, `encode.changes`). Solos over one title are on one side of the split.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import re
import zipfile
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from danqing.artwork.music import ZERO, Chord, Meter, Note, Part, Score, Tempo
from danqing.encode import changes, pulse, theory
from danqing.encode.events import STEPS
from danqing.encode.text import Characters
from danqing.errors import BadRequest
from danqing.training import music, repertoire
from danqing.training.repertoire import Piece, Repertoire

LABEL = "jazz"
# Instruments by the database's short names.
INSTRUMENTS = {"ts": "tenor", "as": "alto", "tp": "trumpet", "tb": "trombone", "ss": "soprano", "cor": "trumpet",
               "cl": "clarinet", "bs": "baritone", "vib": "vibraphone", "p": "piano", "g": "guitar"}  # fmt: skip
TABLE, INNER = "df_solos.csv", "score_csv.zip"
FEWEST = 40  # notes of a solo


@functools.cache
def vocabulary() -> Characters:
    """Event tokens, chords, instruments."""
    return repertoire.vocabulary((LABEL,), tuple(dict.fromkeys(INSTRUMENTS.values())), chords=True)


def load(root: Path, files: str, keep: Path) -> Repertoire:
    """From one .zip archive in `root` or its `music`. keep: the file that the tokens are kept in."""
    path = music.find(root, files, (".zip",))

    def read() -> tuple[list[Piece], Mapping[str, int]]:
        pieces, left_out = [], Counter[str]()
        try:
            rows, tables = _opened(path)
        except (OSError, zipfile.BadZipFile, KeyError, UnicodeDecodeError, csv.Error) as error:
            raise BadRequest(f"{path} cannot be read ({error}); fetch or make it again") from None
        for row in rows:
            name = row.get("base_name", "")
            try:
                score = solo(tables.get(name, ""), float(row.get("avgtempo") or 0), name)
                bars = repertoire.bars_of(score, score.keys, chords=True)
                form = INSTRUMENTS.get(row.get("instrument", ""), "")
                pieces.append(Piece(name, LABEL, form, work_of(row.get("title", name)), bars))
            except (BadRequest, ValueError) as error:
                left_out[re.sub(r"\S*\d\S*", "…", str(error))[:60]] += 1
        return pieces, left_out

    return repertoire.kept(keep, hashlib.sha256(path.read_bytes()).hexdigest(), read)


def _opened(path: Path) -> tuple[list[dict[str, str]], dict[str, str]]:
    """The rows about the solos, by name, and each solo's table."""
    with zipfile.ZipFile(path) as archive:
        names = {Path(name).name: name for name in archive.namelist()}
        rows = list(csv.DictReader(io.StringIO(archive.read(names[TABLE]).decode("utf-8"))))
        inner = zipfile.ZipFile(io.BytesIO(archive.read(names[INNER]))) if INNER in names else archive
        tables = {
            Path(name).name.removesuffix("_solo.csv"): inner.read(name).decode("utf-8")
            for name in inner.namelist() if name.endswith("_solo.csv")
        }  # fmt: skip
    return sorted(rows, key=lambda row: row["base_name"]), tables


def work_of(title: str) -> str:
    """What solos over one tune share: its title without the number of the take."""
    return re.sub(r"[^a-z0-9]+", "", re.sub(r"[-(].*$", "", title.casefold()))


def solo(table: str, tempo_bpm: float, name: str) -> Score:
    """A solo on its beats with a chord for each half bar. Raises BadRequest for a table that is none, or too short."""
    rows = read_table(table, name)
    beats = pulse.find_beats(rows[:, 1], tempo_bpm)
    notes = pulse.placed([int(pitch) for pitch in rows[:, 0]], rows[:, 1], rows[:, 2], beats)
    phase, names = changes.find(notes)
    early = changes.BEATS - phase  # beats of the first bar before the first beat
    first = min(note.onset for note in notes) // STEPS + early
    empty = first // changes.BEATS  # bars before the first note
    shift = early - empty * changes.BEATS
    written = tuple(Note(Fraction(n.onset, STEPS) + shift, n.pitch, Fraction(n.length, STEPS)) for n in notes)
    chords = tuple(
        Chord(Fraction(2 * number), name) for number, name in enumerate(names[2 * empty :])
        if number == 0 or name != names[2 * empty + number - 1]
    )  # fmt: skip
    tempo = 60 / float(np.median(np.diff(beats)))
    return Score(
        written, (Part("Solo"),), (Tempo(ZERO, tempo),), (Meter(ZERO, 4, 4),), (theory.find_key(written),), chords
    )


def read_table(text: str, name: str) -> NDArray[np.float64]:
    """Rows of pitch, onset and duration in seconds, by onset: (N, 3)."""
    try:
        rows = np.array([[float(word) for word in line.split(",")[:3]] for line in text.splitlines() if line.strip()])
        rows = rows.reshape(-1, 3)
    except ValueError:
        raise BadRequest(f"{name} has rows that are no three numbers") from None
    if len(rows) < FEWEST:
        raise BadRequest(f"{name} has too few notes: {len(rows)}")
    if not np.isfinite(rows).all() or (rows[:, 0] < 21).any() or (rows[:, 0] > 108).any() or (rows[:, 2] < 0).any():
        raise BadRequest(f"{name} has pitches outside a piano's, or times that make no sense")
    return rows[rows[:, 1].argsort(kind="stable")]
