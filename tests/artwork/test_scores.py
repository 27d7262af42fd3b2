from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace

import pytest
from tunes import ABC, KERN, ORIGIN, F, archive, bag, band, piano, quartet, song

from danqing.artwork import abc, engraving, kern, literature, scores
from danqing.artwork.music import ZERO, Key, Meter, Note, Part, Score, Tempo
from danqing.errors import BadRequest, InvalidMedia, OutputExists

PIECES = (song, quartet, piano, band)
SUFFIXES = (".mid", ".musicxml", ".mxl", ".json", ".abc")
KNOWN = ("notes", "tempos", "meters", "keys", "chords", "pickup", "title", "composer")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("piece", PIECES)
def test_what_is_written_is_read_again(piece, suffix):
    score = piece()
    if suffix == ".abc" and piece is band:
        with pytest.raises(BadRequest, match="drums"):
            scores.encode_bytes(score, suffix)
        return
    data = scores.encode_bytes(score, suffix, ORIGIN)
    assert data == scores.encode_bytes(score, suffix, ORIGIN)
    again = scores.decode(data, "work" + suffix)
    assert bag(again) == bag(score)
    assert again.parts == score.parts or suffix == ".abc"
    wanted = [name for name in KNOWN[1:] if not (piece in (piano, band) and name in ("keys", "title"))]
    for name in wanted:
        assert getattr(again, name) == getattr(score, name), name
    if suffix in (".json", ".mid", ".musicxml", ".mxl"):
        assert again.notes == score.notes
    if suffix == ".json":
        assert again == score


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_words_survive(suffix):
    again = scores.decode(scores.encode_bytes(song(), suffix), "song" + suffix)
    assert [note.lyric for note in again.notes] == [note.lyric for note in song().notes]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_saved_score_carries_its_origin(suffix, tmp_path):
    path = tmp_path / f"work{suffix}"
    scores.save(quartet(), path, ORIGIN)
    assert scores.read_provenance(path) == ORIGIN
    assert literature.read_provenance(path) == ORIGIN  # beside it
    literature.sidecar(path).unlink()
    assert scores.read_provenance(path) == ORIGIN  # inside it
    with pytest.raises(OutputExists):
        scores.save(quartet(), path, ORIGIN)
    scores.save(song(), path, ORIGIN, force=True)
    assert bag(scores.read(path)) == bag(song())
    assert not [one for one in tmp_path.iterdir() if one.name.startswith(".")]


def test_a_performance_is_printed_on_a_grid_and_kept_exact_in_midi():
    notes = tuple(Note(F(n) + F(7 * n % 23, 480), 60 + n % 12, F(431, 480)) for n in range(24))
    score = Score(notes, (Part("Piano"),))
    assert scores.decode(scores.encode_bytes(score, ".mid"), "p.mid").notes == notes
    printed = scores.decode(scores.encode_bytes(score, ".musicxml"), "p.musicxml")
    assert [note.onset for note in printed.notes] == [F(n) for n in range(24)]


def test_abc_is_read_as_the_standard_says():
    score = abc.decode(ABC, "test.abc")
    assert (score.title, score.composer, score.pickup) == ("The Test", "Nobody", F(1, 2))
    assert score.keys == (Key(ZERO, "G", "dorian"),)
    assert score.tempos == (Tempo(ZERO, 150.0),)
    assert [(chord.onset, chord.name) for chord in score.chords] == [
        (F(1, 2), "Gm"), (F(9, 2), "C7/E"), (F(35, 2), "D7"),
    ]  # fmt: skip
    heard = [(note.onset, note.pitch, note.duration) for note in score.notes]
    assert heard[:5] == [
        (ZERO, 62, F(1, 2)), (F(1, 2), 67, F(1)), (F(3, 2), 70, F(1, 2)), (F(2), 74, F(1)), (F(3), 73, F(1, 2)),
    ]  # fmt: skip
    assert heard[5:7] == [(F(7, 2), 72, F(3, 4)), (F(17, 4), 70, F(1, 4))]
    assert heard[7:10] == [(F(9, 2), 67, F(1, 3)), (F(29, 6), 69, F(1, 3)), (F(31, 6), 70, F(1, 3))]
    assert (F(8), 79, F(3)) in heard  # tied over the bar line
    assert [pitch for onset, pitch, _ in heard if F(11) <= onset < F(25, 2)].count(78) == 2  # ^f holds for the bar


def test_kern_is_read_with_splits_ties_triplets_and_words():
    score = kern.decode(KERN, "canon.krn")
    assert (score.title, score.composer, score.pickup) == ("A little canon", "Nobody, Ann", F(1))
    assert score.keys == (Key(ZERO, "D", "minor"),)
    assert score.meters == (Meter(ZERO, 3, 4),)
    assert [part.name for part in score.parts] == ["Soprn", "Bass"]
    upper = [(note.onset, note.pitch, note.duration) for note in score.of(0)]
    assert upper[0] == (F(1), 62, F(1))
    assert upper[4:7] == [(F(4), 74, F(1, 3)), (F(13, 3), 76, F(1, 3)), (F(14, 3), 77, F(1, 3))]
    lower = [(note.onset, note.pitch, note.duration) for note in score.of(1)]
    assert (F(1), 50, F(4)) in lower
    assert (F(4), 53, F(2)) in lower
    assert [note.lyric for note in score.of(0)][:2] == ["O", "sing"]


def test_a_tune_book_gives_all_its_tunes(tmp_path):
    path = tmp_path / "book.abc"
    path.write_text("L:1/8\n\n" + ABC + "\n" + ABC.replace("X:1", "X:2").replace("The Test", "Again"))
    assert [score.title for score in scores.read_all(path)] == ["The Test", "Again"]
    assert scores.read(path).title == "The Test"


def test_irregular_bars_keep_their_places():
    text = "X:1\nM:4/4\nL:1/4\nK:C\nC|CDEF|G2 E:|F|CDEF|C D|E F|GAB|c4|]\n"
    score = abc.decode(text, "x.abc")
    assert score.pickup == 1
    assert score.bars() == [F(n) for n in (0, 1, 5, 9, 13, 17, 20, 24)]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.mid", b"MThd\0\0\0\6\0\2\0\1\1\xe0MTrk\0\0\0\4\0\xff\x2f\0", "format 2"),
        ("a.mid", b"MThd\0\0\0\6\0\1\0\1\xe7\x28MTrk\0\0\0\4\0\xff\x2f\0", "film frames"),
        ("a.mid", b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk\0\0\0\4\0\xff\x2f\0", "no notes"),
        ("a.mid", b"MThd\0\0\0\6\0\1", "damaged"),
        ("a.mid", b"\x89PNG\r\n\x1a\n\0\0\0", "content is not what .mid"),
        ("a.musicxml", b"<!DOCTYPE a [<!ENTITY b 'c'>]><score-partwise/>", "entities"),
        ("a.musicxml", b"<html></html>", "no MusicXML"),
        ("a.musicxml", b"<score-partwise>", "damaged XML"),
        ("a.mxl", b"PK\3\4nothing", "damaged .mxl"),
        ("a.abc", b"X:1\nT:nothing\nK:C\n", "no notes"),
        ("a.krn", b"**kern\n4c\td\n*-\n", "columns"),
        ("a.json", b'{"format": "other"}', "no score of ours"),
        ("a.txt", b"words", "no score that we read"),
    ],
)
def test_what_is_no_score_is_refused_in_one_line(name, data, words):
    with pytest.raises(InvalidMedia, match=words) as caught:
        scores.decode(data, name)
    assert "\n" not in str(caught.value)


def test_a_bomb_is_not_unpacked():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive_:
        archive_.writestr("a.musicxml", b" " * (70 * 2**20))
    with pytest.raises(InvalidMedia, match="unpacks"):
        scores.decode(out.getvalue(), "bomb.mxl")


def test_unknown_suffixes_are_named():
    with pytest.raises(BadRequest, match="musicxml"):
        scores.encode_bytes(song(), ".doc")


def test_json_says_what_it_is_and_refuses_nonsense():
    record = json.loads(scores.encode_bytes(song(), ".json"))
    assert record["format"] == scores.FORMAT
    assert scores.from_dict(record) == song()
    for change in (
        {"meters": [[0, 0, 4]]},
        {"notes": [[0, 300, 1, 0, 80]]},
        {"keys": [[0, "H", "major"]]},
        {"pickup": "1/0"},
    ):
        with pytest.raises(BadRequest):
            scores.from_dict(record | change)


def test_two_hands_of_a_piano_stay_two_parts():
    notes = (Note(ZERO, 72, F(4), 0), Note(ZERO, 40, F(4), 1))
    score = Score(notes, (Part("Piano"), Part("Piano")))
    data = scores.encode_bytes(score, ".musicxml")
    assert data.count(b"<score-part ") == 1
    assert scores.decode(data, "p.musicxml").notes == score.notes
    assert (
        scores.decode(scores.encode_bytes(replace(piano()), ".musicxml"), "p.musicxml").parts == piano().parts
    )  # one wide part


# --- real files -------------------------------------------------------------------------------------------------------


def _sample(name: str, suffix: str, count: int) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(archive(name)) as packed:
        names = sorted(entry for entry in packed.namelist() if entry.endswith(suffix))
        return [(entry, packed.read(entry)) for entry in names[:: max(1, len(names) // count)][:count]]


def _comes_back(score: Score, *suffixes: str) -> None:
    for suffix in suffixes:
        assert bag(scores.decode(scores.encode_bytes(score, suffix), "x" + suffix)) == bag(score), suffix


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "bach",
        "beethoven",
        "chopin",
        "chopin-preludes",
        "chopin-first-editions",
        "haydn",
        "joplin",
        "mozart",
        "scarlatti",
    ],
)
def test_real_kern_comes_back_through_every_format(name):
    for entry, data in _sample(f"{name}-kern.zip", ".krn", 4):
        score = scores.decode(data, entry)
        assert score.bars()[-1] >= score.length
        _comes_back(score, ".mid", ".json")
        printed = engraving.snapped(score)  # a cadenza of 37 in the time of 24 is moved to a grid
        assert sum((bag(score) - bag(printed)).values()) < 0.05 * len(score.notes)
        assert bag(scores.decode(scores.encode_bytes(score, ".musicxml"), "x.musicxml")) == bag(printed)


@pytest.mark.slow
def test_real_folk_tunes_come_back():
    count = 0
    for entry, data in _sample("nottingham-folk-abc.zip", ".abc", 14):
        for text in abc.tunes(data.decode("latin-1"))[::6]:
            score = abc.decode(text, entry)
            _comes_back(score, ".abc", ".mid", ".musicxml", ".json")
            assert scores.decode(scores.encode_bytes(score, ".abc"), "x.abc").chords == score.chords
            count += 1
    assert count > 150


@pytest.mark.slow
def test_real_pop_songs_come_back():
    for entry, data in _sample("pop909-pop.zip", ".mid", 6):
        score = scores.decode(data, entry)
        assert [part.name for part in score.parts] == ["MELODY", "BRIDGE", "PIANO"]
        _comes_back(score, ".mid", ".json")
        assert scores.decode(scores.encode_bytes(score, ".musicxml"), "x.musicxml").notes


@pytest.mark.slow
def test_real_chorales_on_a_grid_come_back():
    for _, data in _sample("jsb-chorales-json.zip", ".json", 1):
        for rows in json.loads(data)["valid"][:10]:
            notes = [
                Note(F(step, 4), pitch, F(1, 4), part)
                for step, row in enumerate(rows)
                for part, pitch in enumerate(row)
                if pitch > 0
            ]
            _comes_back(
                Score(tuple(notes), (Part("S"), Part("A"), Part("T"), Part("B"))), ".mid", ".musicxml", ".abc", ".json"
            )
