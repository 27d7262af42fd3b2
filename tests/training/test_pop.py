"""Pop songs from MIDI and beats: onto the beats, into bars; what does not fit together is left out and counted."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pop_songs
import pytest
import tunes

from danqing.artwork import scores
from danqing.artwork.music import Note, Tempo
from danqing.errors import BadRequest
from danqing.training import pop, repertoire

F = Fraction


def test_a_song_comes_onto_its_beats_at_whatever_tempo_it_was_recorded():
    own = pop_songs.score(1)
    played = replace(own, tempos=(Tempo(F(0), 90.0),))  # the file's own quarters are not its beats
    heard = tuple(replace(n, onset=n.onset * F(3, 4), duration=n.duration * F(3, 4)) for n in own.notes)
    found = pop.song(scores.encode_bytes(replace(played, notes=heard), ".mid"), pop_songs.beats(48), "0 9 A:min", "a")
    assert tunes.bag(found) == tunes.bag(own)
    assert (found.meters[0].beats, found.tempos[0].bpm) == (4, 120)
    assert str(found.keys[0]) == "A minor"


def test_a_pickup_stands_in_a_bar_of_its_own():
    own = pop_songs.score(1)
    late = replace(own, notes=tuple(replace(n, onset=n.onset + 1) for n in own.notes))
    early = (Note(F(0), 67, F(1), 0), *late.notes)
    found = pop.song(scores.encode_bytes(late.with_notes(early), ".mid"), pop_songs.beats(60, first=0.5), "", "a")
    assert found.notes[0].onset == 3
    assert found.of(2)[0].onset == 4
    assert len(repertoire.bars_of(found, found.keys, named=True)) == 13


@pytest.mark.parametrize(
    ("beats", "message"),
    [
        ("0.0 1 x", "no numbers"),
        ("0 1 1\n0.5 0 0\n1 0 1\n1.5 0 0\n1.6 0 0\n1.7 0 0\n2 0 0\n2.5 1 1", "bars of other lengths"),
        ("0.0 1 1\n0.5 0 0\n0.4 1 1", "out of order"),
        ("", "no numbers"),
    ],
)
def test_beats_that_make_no_sense_are_refused(beats: str, message: str):
    with pytest.raises(BadRequest, match=message):
        pop.song(scores.encode_bytes(pop_songs.score(1), ".mid"), beats, "", "a")


def test_a_bar_of_another_length_keeps_its_place():
    marks = {0, 4, 6, 10, 14}
    beats = "\n".join(f"{i / 2} 0 {float(i in marks)}" for i in range(18))
    found = pop.song(scores.encode_bytes(pop_songs.score(1, bars=4), ".mid"), beats, "", "a")
    assert [bar - found.bars()[0] for bar in found.bars()[:5]] == [0, 4, 6, 10, 14]


def test_a_collection_counts_what_it_leaves_out(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "songs.zip", "w") as archive:
        for number in range(10):
            pop_songs.write(archive, f"{number:03}", number)
        archive.writestr("010/010.mid", b"MThd")
        archive.writestr("011/011.mid", b"MThd")
        archive.writestr("011/beat_midi.txt", "0 1 1")
    book = pop.load(tmp_path, "songs", tmp_path / "pieces.npz")
    assert len(book.training) + len(book.held) == 10
    assert sum(book.left_out.values()) == 2
    assert book.left_out["no beats"] == 1
    sample, _ = repertoire.window(book.training[0], 0, pop.vocabulary(), 200)
    assert [pop.vocabulary().token(t) for t in sample.tokens[:4]] == ["<pop>", "<key 21>", "<opening>", "<closing 12>"]
