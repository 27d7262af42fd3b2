"""Solos from tables in seconds: onto beats, over chords; titles stay together; what cannot be used is counted."""

from __future__ import annotations

import zipfile
from pathlib import Path

import jazz_solos
import pytest

from danqing.encode import theory
from danqing.errors import BadRequest
from danqing.training import jazz, repertoire


def test_a_solo_has_beats_bars_chords_and_one_note_at_a_time():
    score = jazz.solo(jazz_solos.table(jazz_solos.solo(3)), 150.0, "a")
    assert abs(score.tempos[0].bpm - 150) < 3
    assert len(score.bars()) - 1 in (16, 17)
    assert all(a.end <= b.onset for a, b in zip(score.notes, score.notes[1:], strict=False))
    right = [
        note.pitch % 12 in theory.chord_pitches(next(c.name for c in reversed(score.chords) if c.onset <= note.onset))
        for note in score.notes
    ]
    assert sum(right) / len(right) > 0.75


@pytest.mark.parametrize(
    ("table", "message"),
    [("1,2,x", "no three numbers"), ("60,1,1", "too few notes"), ("60,1,1\n" * 50 + "200,1,1", "outside a piano")],
)
def test_tables_that_make_no_sense_are_refused(table: str, message: str):
    with pytest.raises(BadRequest, match=message):
        jazz.solo(table, 120.0, "a")


def test_takes_of_one_tune_are_on_one_side_of_the_split():
    assert jazz.work_of("Body and Soul-1") == jazz.work_of("Body And Soul (alternate take)") == "bodyandsoul"


def test_a_collection_counts_what_it_leaves_out_and_windows_begin_with_chords(tmp_path: Path):
    path = tmp_path / "solos.zip"
    jazz_solos.write(path, 8)
    with zipfile.ZipFile(path) as archive:
        rows = archive.read("df_solos.csv").decode() + "\nLost,150,Lost,ts,Nobody,Lost"
        tables = {name: archive.read(name) for name in archive.namelist() if name.endswith("_solo.csv")}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("df_solos.csv", rows)
        for name, data in tables.items():
            archive.writestr(name, data)
    book = jazz.load(tmp_path, "solos", tmp_path / "pieces.npz")
    assert len(book.training) + len(book.held) == 8
    assert sum(book.left_out.values()) == 1
    sample, _ = repertoire.window(book.training[0], 0, jazz.vocabulary(), 200)
    names = [jazz.vocabulary().token(token) for token in sample.tokens]
    bar = names.index("<bar>")
    assert [name.split()[0] for name in names[bar : bar + 5]] == ["<bar>", "<metre", "<tempo", "<chord", "<chord"]


def test_an_archive_that_is_none_is_named(tmp_path: Path):
    (tmp_path / "solos.zip").write_bytes(b"PK")
    with pytest.raises(BadRequest, match="cannot be read"):
        jazz.load(tmp_path, "solos", tmp_path / "pieces.npz")
