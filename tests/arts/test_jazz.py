"""Jazz by a model that knows nothing: the chart is kept, a band plays it, the solo ends on its last chord."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import music_models
import pytest

from danqing.arts import Tools, charts, jazz, rhythm_section
from danqing.arts.compose import Compose, create_all
from danqing.artwork import scores
from danqing.artwork.artwork import Artwork
from danqing.artwork.music import Score
from danqing.catalog.styles import Styles
from danqing.compute import device
from danqing.encode import theory
from danqing.errors import BadRequest

F = Fraction
Works = Callable[..., tuple[Artwork, ...]]
SOLO, PIANO, BASS, DRUMS = range(4)


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Works:
    catalog = music_models.catalog(tmp_path_factory.mktemp("models") / "catalog")
    tools = Tools(device.choose("cpu"), Styles(catalog))
    return lambda **fields: create_all(Compose(**{"seed": 1, "style": "jazz", **fields}), tools)


@pytest.fixture(scope="module")
def cadence(works: Works) -> Score:
    return content(works(bars=8, chart="| Dm7 G7 | Cmaj7 | Am7 D7 | Gmaj7 |", tempo=160.0)[0])


def content(work: Artwork) -> Score:
    assert isinstance(work.content, Score)
    return work.content


def chord_at(score: Score, onset: Fraction) -> theory.Symbol:
    symbol = theory.chord_symbol(next(c.name for c in reversed(score.chords) if c.onset <= onset))
    assert symbol is not None
    return symbol


def test_a_chart_is_played_as_it_is_written_and_comes_again(cadence: Score):
    assert [(c.onset, c.name) for c in cadence.chords[:6]] == [
        (0, "Dm7"), (2, "G7"), (4, "Cmaj7"), (8, "Am7"), (10, "D7"), (12, "Gmaj7"),
    ]  # fmt: skip
    assert (cadence.chords[6].onset, cadence.chords[6].name) == (16, "Dm7")
    assert len(cadence.bars()) - 1 == 8
    assert cadence.tempos[0].bpm == 160


def test_the_solo_is_one_line_within_its_horn_and_ends_on_the_last_chord(cadence: Score):
    solo = cadence.of(SOLO)
    assert all(a.end <= b.onset for a, b in pairwise(solo))
    reach = next(r for part, r in jazz.HORNS.values() if part == cadence.parts[SOLO])
    assert all(reach[0] <= note.pitch <= reach[1] for note in solo[:-1])
    assert solo[-1].onset == 28
    assert solo[-1].pitch % 12 in chord_at(cadence, F(28)).pitch_classes


def test_the_bass_walks_in_quarters_with_each_chords_root_where_it_begins(cadence: Score):
    bass = cadence.of(BASS)
    assert [note.onset for note in bass] == [*range(28), 28]
    for chord in cadence.chords:
        note = next(note for note in bass if note.onset == chord.onset)
        assert note.pitch % 12 == chord_at(cadence, chord.onset).root
    assert all(rhythm_section.LOWEST <= note.pitch <= rhythm_section.HIGHEST for note in bass)
    assert all(a.pitch != b.pitch for a, b in pairwise(bass))


def test_the_piano_plays_thirds_and_sevenths(cadence: Score):
    for name, third, seventh in (("Dm7", 5, 0), ("G7", 11, 5), ("Cmaj7", 4, 11)):
        assert {third, seventh} <= {pitch % 12 for pitch in rhythm_section.voiced(name, (55, 59, 62))}
    assert cadence.parts[DRUMS].drums
    assert cadence.of(DRUMS)


def test_it_swings_where_it_is_heard_and_is_written_even(cadence: Score):
    assert F(1, 2) < cadence.swing < F(3, 4)
    assert {note.onset % 1 for note in cadence.of(DRUMS)} == {F(0), F(1, 2)}
    midi = scores.decode(scores.encode_bytes(cadence, ".mid"), "a.mid")
    off = {note.onset % 1 for note in midi.of(DRUMS)} - {F(0)}
    assert len(off) == 1
    assert abs(off.pop() - cadence.swing) < F(1, 200)
    assert scores.decode(scores.encode_bytes(cadence, ".json"), "a.json").swing == cadence.swing


@pytest.mark.parametrize("kind", list(charts.PROGRESSIONS))
def test_every_chart_of_ours_is_read_and_ends_at_home(kind: str, works: Works):
    mode = charts.PROGRESSIONS[kind][0]
    score = content(works(style=f"jazz:{kind}", key=f"Eb-{mode}", bars=4, tempo=200.0)[0])
    assert chord_at(score, F(12)).root == 3
    assert str(score.keys[0]) == f"Eb {mode}"


def test_the_same_seed_gives_the_same_solo(works: Works):
    assert content(works(bars=4)[0]) == content(works(bars=4)[0])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"chart": "| Dm7 G7 A7 |"}, "3 chords"),
        ({"chart": "| H7 |"}, "no chord"),
        ({"chart": "| % | C |"}, "the bar before"),
        ({"chart": " | | "}, "0 bars"),
        ({"chart": "| C |", "style": "folk"}, "charts go with"),
        ({"style": "jazz:blues", "key": "c-minor"}, "is in major"),
    ],
)
def test_charts_that_make_no_sense_are_refused(fields: dict[str, str], message: str, works: Works):
    with pytest.raises(BadRequest, match=message):
        works(bars=4, **fields)


def test_a_chart_is_read_from_a_file(tmp_path: Path):
    path = tmp_path / "chart.txt"
    path.write_text("| Dm7 G7 | % |\n| Cmaj7 ||\n")
    assert charts.read(str(path)).bars == (("Dm7", "G7"), ("Dm7", "G7"), ("Cmaj7",))
    assert str(charts.read("| Dm7 | G7 | Cmaj7 |").key) == "C major"


def test_notes_on_beats_are_of_the_chords_scale_and_the_line_does_not_jump(cadence: Score):
    solo = cadence.of(SOLO)[:-1]
    on_beats = [note for note in solo if note.onset.denominator == 1]
    assert on_beats
    for note in on_beats:
        name = next(c.name for c in reversed(cadence.chords) if c.onset <= note.onset)
        assert note.pitch % 12 in jazz.stable(name)
    assert sum(abs(b.pitch - a.pitch) > jazz.LEAP for a, b in pairwise(solo)) <= len(solo) / 10
