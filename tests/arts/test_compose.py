"""Music by models that know nothing: what a person gave stays to the note, endings come, copies are withheld."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import music_models
import pytest

from danqing import studio
from danqing.arts import Tools, composers
from danqing.arts.compose import Compose, create_all, read_key
from danqing.artwork import scores
from danqing.artwork.artwork import Artwork
from danqing.artwork.music import Key, Meter, Note, Part, Score, Tempo
from danqing.artwork.provenance import Provenance
from danqing.catalog.catalog import Catalog
from danqing.catalog.styles import Styles
from danqing.compute import device
from danqing.errors import BadRequest, DanqingError, InvalidMedia, Unavailable, UnknownName

F = Fraction
TUNE = (67, 69, 71, 72, 74, 72, 71, 69, 67, 71, 74, 79, 76, 74, 71, 69)  # four bars of quarters on G, and the last note
Make = Callable[..., list[Score]]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return music_models.catalog(tmp_path_factory.mktemp("models") / "catalog")


@pytest.fixture
def works(catalog: Catalog) -> Callable[..., tuple[Artwork, ...]]:
    """Meets a request with these models."""

    def run(**fields: Any) -> tuple[Artwork, ...]:
        return create_all(Compose(**{"seed": 1, **fields}), Tools(device.choose("cpu"), Styles(catalog)))

    return run


@pytest.fixture
def make(works: Callable[..., tuple[Artwork, ...]]) -> Make:
    """The same, and gives the scores."""
    return lambda **fields: [work.content for work in works(**fields)]  # type: ignore[misc]


def keep(score: Score, path: Path) -> Path:
    scores.save(score, path, Provenance("compose"))
    return path


def melody() -> Score:
    """Eight bars with words, a pickup, a triplet, a rest, a loudness of their own."""
    line, here = [], F(0)
    for i, pitch in enumerate((62, *TUNE, 67)):
        length = F(1) if i != 5 else F(1, 3)
        line.append(Note(here, pitch, length, velocity=60 + i, lyric="la" if i < 3 else ""))
        here += F(1) if i != 9 else F(2)
    return Score(
        tuple(line),
        (Part("flute", 73),),
        (Tempo(F(0), 90.0),),
        (Meter(F(0), 4, 4),),
        (Key(F(0), "G"),),
        pickup=F(1),
    )


def four_voices() -> Score:
    """Four bars, two notes to a bar, each voice of its own loudness."""
    chords = [(67, 62, 59, 43), (69, 64, 60, 45), (71, 62, 55, 43), (72, 64, 55, 48)] * 2
    notes = [
        Note(F(2 * i), pitch, F(2), voice, 70 + voice)
        for i, chord in enumerate(chords)
        for voice, pitch in enumerate(chord)
    ]  # fmt: skip
    return Score(tuple(notes), tuple(Part(name) for name in ("a", "b", "c", "d")), keys=(Key(F(0), "G"),))


# --- new pieces -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "metre"), [("g-minor", "4/4"), ("D", "3/4")])
def test_a_chorale_has_the_bars_and_key_asked_for_and_ends_at_home(make: Make, key: str, metre: str):
    (score,) = make(key=key, metre=metre, bars=3, tempo=60.0)
    bar = score.meters[0].bar
    assert (score.length, f"{score.meters[0].beats}/{score.meters[0].unit}") == (3 * bar, metre)
    assert score.keys[0] == read_key(key)
    assert score.tempos[0].bpm == 60
    tonic = {"g-minor": 7, "D": 2}[key]
    last = [max(score.of(voice), key=lambda n: n.end) for voice in range(4)]
    assert all(note.end == score.length for note in last)
    above = {(note.pitch - tonic) % 12 for note in last}
    assert last[3].pitch % 12 == tonic
    assert above <= {0, 3, 7} or above <= {0, 4, 7}
    for voice in range(4):  # nobody falls silent
        assert sum(note.duration for note in score.of(voice)) == score.length


def test_a_chorale_of_twelve_bars_is_in_bar_form(works: Callable[..., tuple[Artwork, ...]]):
    (work,) = works(bars=12, metre="3/4", key="F")
    score = work.content
    assert isinstance(score, Score)
    span = 4 * score.meters[0].bar

    def phrase(start: Fraction) -> set[tuple[Fraction, int, int]]:
        inside = [n for n in score.notes if start < n.onset and n.end < start + span]
        return {(n.onset - start, n.pitch, n.part) for n in inside}

    assert phrase(F(0)) == phrase(span)
    assert any("bar form" in note for note in work.provenance.notes)


def test_the_same_seed_gives_the_same_music_and_another_another(make: Make):
    first, again, other = make(bars=2), make(bars=2), make(bars=2, seed=2)
    assert first == again != other
    one, two = make(style="folk", bars=4, count=2)
    assert one.notes != two.notes


@pytest.mark.parametrize(("style", "metre"), [("folk:jig", (6, 8)), ("waltz", (3, 4)), ("slip-jig", (9, 8))])
def test_a_folk_tune_has_its_bars_and_ends_on_its_tonic(make: Make, style: str, metre: tuple[int, int]):
    (tune,) = make(style=style, bars=8, key="d-dorian")
    assert (tune.meters[0].beats, tune.meters[0].unit) == metre
    assert tune.length == 8 * tune.meters[0].bar
    assert tune.notes[-1].pitch % 12 == 2
    assert tune.notes[-1].end == tune.length
    assert tune.pickup in [chord.onset for chord in tune.chords]  # symbols from the first whole bar on
    rests = [b.onset - a.end for a, b in zip(tune.notes, tune.notes[1:], strict=False)]
    assert max(rests) <= 1


def test_a_tune_of_32_bars_has_sections_that_come_twice(make: Make):
    (tune,) = make(style="reel", bars=32)
    assert tune.length == 32 * tune.meters[0].bar
    half = tune.length / 2
    first = [(n.onset, n.pitch) for n in tune.notes if n.onset < half / 2]
    again = [(n.onset - half / 2, n.pitch) for n in tune.notes if half / 2 <= n.onset < half]
    whole = [(n.onset, n.pitch) for n in tune.notes if n.onset < half]
    later = [(n.onset - half, n.pitch) for n in tune.notes if n.onset >= half]
    assert first == again or whole == later


def test_a_mood_chooses_what_nobody_named(make: Make):
    (sad,) = make(mood="sad", bars=2)
    (glad,) = make(mood="欢喜", bars=2)
    assert (sad.keys[0].mode, glad.keys[0].mode) == ("minor", "major")
    assert sad.tempos[0].bpm < 76 < glad.tempos[0].bpm


# --- pieces that are there --------------------------------------------------------------------------------------------


def test_harmonizing_keeps_the_melody_to_the_note(make: Make, tmp_path: Path):
    given = melody()
    (score,) = make(harmonize=keep(given, tmp_path / "a.json"))
    assert score.of(0) == given.notes
    assert (score.pickup, score.tempos, score.meters, score.keys) == (
        given.pickup,
        given.tempos,
        given.meters,
        given.keys,
    )
    assert len(score.parts) == 4
    for voice in (1, 2, 3):
        assert sum(note.duration for note in score.of(voice)) == score.length
    assert score.of(3)[-1].pitch % 12 == 7  # home, under the last note


@pytest.mark.parametrize("suffix", [".mid", ".musicxml", ".abc"])
def test_melodies_come_from_every_format(make: Make, tmp_path: Path, suffix: str):
    notes = tuple(Note(F(i), pitch, F(1)) for i, pitch in enumerate((*TUNE[:7], 67)))
    path = keep(Score(notes, keys=(Key(F(0), "G"),)), tmp_path / f"a{suffix}")
    (score,) = make(harmonize=path)
    assert [(n.onset, n.pitch, n.duration) for n in score.of(0)] == [(n.onset, n.pitch, n.duration) for n in notes]


def test_a_melody_out_of_range_is_moved_by_octaves_and_it_is_said(
    works: Callable[..., tuple[Artwork, ...]], tmp_path: Path
):
    low = melody().transposed(-24)
    (work,) = works(harmonize=keep(low, tmp_path / "a.json"))
    assert isinstance(work.content, Score)
    assert [n.pitch for n in work.content.of(0)] == [n.pitch + 24 for n in low.notes]
    assert work.provenance.notes == ("the melody was moved up by 2 octaves, into a soprano's range",)
    assert work.provenance.parents[0].name == "a.json"


def test_infilling_touches_nothing_outside(make: Make, tmp_path: Path):
    given = four_voices()
    held = replace(given.notes[0], onset=F(3), duration=F(3), pitch=50, part=3)  # sounds into the passage
    given = given.with_notes([n for n in given.notes if n.part != 3 or n.onset not in (2, 4)] + [held])
    (score,) = make(infill=keep(given, tmp_path / "a.json"), bars_range="2:3")
    inside = [n for n in given.notes if n.onset >= 4 and n.end <= 12]
    outside = [n for n in given.notes if n not in inside]
    assert set(outside) <= set(score.notes)
    new = [n for n in score.notes if n not in outside]
    assert new
    assert all(n.onset >= 4 and n.end <= 12 for n in new)
    assert {n.part for n in new} == {0, 1, 2, 3}
    assert not [n for n in new if n.part == 3 and n.onset < 6]
    assert replace(score, notes=()) == replace(given, notes=())


def test_infilling_a_tune_touches_nothing_outside(make: Make, tmp_path: Path):
    given = melody()
    (score,) = make(infill=keep(given, tmp_path / "a.json"), bars_range="2:3")
    start, stop = F(5), F(13)
    outside = {n for n in given.notes if n.onset < start or n.end > stop}
    assert outside <= set(score.notes)
    new = set(score.notes) - outside
    assert new
    assert all(start <= n.onset and n.end <= stop for n in new)


@pytest.mark.parametrize("voices", [1, 4])
def test_going_on_keeps_what_is_there_and_ends(make: Make, tmp_path: Path, voices: int):
    given = four_voices() if voices == 4 else melody()
    (score,) = make(continue_=keep(given, tmp_path / "a.json"), bars=2)
    assert set(given.notes) <= set(score.notes)
    end = max(n.end for n in given.notes)
    new = [n for n in score.notes if n not in set(given.notes)]
    assert min(n.onset for n in new) >= end
    assert {n.part for n in new} == set(range(voices))
    assert min(new, key=lambda n: (-n.end, n.pitch)).pitch % 12 == 7
    assert score.length > end + 4


def test_restyling_keeps_the_melody(make: Make, tmp_path: Path):
    given = four_voices()
    (score,) = make(restyle=keep(given, tmp_path / "a.json"))
    assert [(n.onset, n.pitch, n.duration) for n in score.of(0)] == [
        (n.onset, n.pitch, n.duration) for n in given.of(0)
    ]
    assert len(score.parts) == 4


# --- copies -----------------------------------------------------------------------------------------------------------


def test_a_copy_is_drawn_again_and_then_refused(catalog: Catalog):
    desk = composers.Desk(Compose(seed=1), Tools(device.choose("cpu"), Styles(catalog)), 1)
    famous = music_models.line(tuple(pitch + 3 for pitch in music_models.FAMOUS))
    assert desk.copied(famous, F(4)) is not None
    assert desk.copied(famous, F(4), since=F(9)) is None
    drafts = iter([["copy"], ["copy", "new"]])
    assert desk.drawn(lambda: next(drafts), lambda one: one == "copy", "tunes") == ["new"]
    assert desk.notes == ["a draft was withheld: more than two bars of melody are a known tune's"]
    with pytest.raises(DanqingError, match="0 of 1 tunes"):
        desk.drawn(lambda: ["copy"], lambda one: True, "tunes")


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"style": "bachh"}, "Did you mean 'bach'"),
        ({"style": "folk:jigg"}, "Did you mean 'jig'"),
        ({"key": "H-moll"}, "--key is 'H-moll'"),
        ({"key": "E#"}, "tonics are C, C#"),
        ({"key": "c-blues"}, "mode 'blues' is not known"),
        ({"style": "chorale", "key": "d-dorian"}, "--key d-dorian and --style chorale contradict"),
        ({"style": "chorale", "metre": "6/8"}, "--metre is '6/8'"),
        ({"style": "jig", "metre": "3/4"}, "a jig is in 6/8"),
        ({"bars": 1}, "--bars is 1; it lies between 2 and 64"),
        ({"bars": 65}, "--bars is 65"),
        ({"tempo": 1.0}, "--tempo is 1"),
        ({"temperature": 0.0}, "--temperature"),
        ({"count": 0}, "--count"),
        ({"seed": -1}, "--seed"),
        ({"mood": "angry"}, "mood 'angry' is not known"),
        ({"bars_range": "2:3"}, "no --infill was given"),
        ({"infill": Path("a.mid")}, "without --bars-range"),
        ({"infill": Path("a.mid"), "bars_range": "two"}, "--bars-range is 'two'"),
        ({"infill": Path("a.mid"), "bars_range": "0:2"}, "counted from 1"),
        ({"infill": Path("a.mid"), "bars_range": "5:3"}, "the first is not after the last"),
        ({"infill": Path("a.mid"), "harmonize": Path("b.mid"), "bars_range": "1:2"}, "--harmonize and --infill"),
        ({"harmonize": Path("a.mid"), "bars": 8}, "--bars is 8"),
        ({"harmonize": Path("a.mid"), "mood": "sad"}, "--mood was given"),
        ({"harmonize": Path("a.mid"), "style": "folk"}, "does not go with --style folk; it goes with --style chorale"),
    ],
)
def test_what_cannot_be_met_is_refused_before_any_work(fields: dict[str, Any], message: str):
    with pytest.raises(BadRequest, match=message) as caught:
        Compose(**fields)
    assert "\n" not in str(caught.value)


def test_files_that_hold_no_music_for_the_task(make: Make, tmp_path: Path):
    binary, empty, chords = tmp_path / "a.mid", tmp_path / "b.mid", tmp_path / "c.abc"
    binary.write_bytes(bytes(range(256)) * 8)
    empty.write_bytes(b"")
    chords.write_text('X:1\nM:4/4\nK:C\n"C"z4|"G"z4|]\n')
    for path, message in ((binary, "is no score"), (empty, "is empty"), (chords, "holds no notes")):
        with pytest.raises(InvalidMedia, match=message):
            make(harmonize=path)
    with pytest.raises(InvalidMedia, match="is not there"):
        make(continue_=tmp_path / "none.mid")
    drums = keep(Score((Note(F(0), 40, F(1)),), (Part("drums", 0, True),)), tmp_path / "d.json")
    with pytest.raises(BadRequest, match="drums only"):
        make(harmonize=drums)


def test_pieces_that_do_not_fit_the_task(make: Make, tmp_path: Path):
    path = keep(four_voices(), tmp_path / "a.json")
    with pytest.raises(BadRequest, match=r"--bars-range is 3:9 and the piece has 4 bars"):
        make(infill=path, bars_range="3:9")
    with pytest.raises(BadRequest, match="for one voice and the piece has 4"):
        make(continue_=path, style="folk")
    long = Score(tuple(Note(F(i), 60 + i % 12, F(1)) for i in range(2400)))  # twenty minutes
    with pytest.raises(BadRequest, match=r"600 bars; up to 160"):
        make(harmonize=keep(long, tmp_path / "long.mid"))
    wide = Score(tuple(Note(F(i), pitch, F(1)) for i, pitch in enumerate((20, 100, 60))))
    with pytest.raises(BadRequest, match="spans 80 semitones"):
        make(harmonize=keep(wide, tmp_path / "wide.mid"))
    cluster = Score(tuple(Note(F(0), pitch, F(4)) for pitch in range(60, 67)))
    with pytest.raises(BadRequest, match="7 notes at once"):
        make(infill=keep(cluster, tmp_path / "cluster.mid"), bars_range="1:1")


def test_block_chords_are_harmonized_by_their_top_notes_and_it_is_said(
    works: Callable[..., tuple[Artwork, ...]], tmp_path: Path
):
    notes = tuple(Note(F(i), 60 + step + i % 3, F(1)) for i in range(8) for step in (0, 4, 7))
    (work,) = works(harmonize=keep(Score(notes), tmp_path / "a.mid"))
    assert isinstance(work.content, Score)
    assert [n.pitch for n in work.content.of(0)] == [67 + i % 3 for i in range(8)]
    assert "holds chords" in work.provenance.notes[0]


def test_a_missing_model_is_named(tmp_path: Path):
    (tmp_path / "cards").mkdir()
    tools = Tools(device.choose("cpu"), Styles(Catalog(tmp_path)))
    with pytest.raises(Unavailable, match="danqing models"):
        create_all(Compose(seed=1, bars=2), tools)
    with pytest.raises(BadRequest, match="create_all"):
        studio.create(Compose(count=2))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("g-minor", ("G", "minor")),
        ("Bb", ("Bb", "major")),
        ("f#m", ("F#", "minor")),
        ("E flat major", ("Eb", "major")),
        ("a-Mixolydian", ("A", "mixolydian")),
        ("降B大调", ("Bb", "major")),
        ("c小调", ("C", "minor")),
    ],
)
def test_keys_are_read_as_people_write_them(text: str, key: tuple[str, str]):
    found = read_key(text)
    assert (found.tonic, found.mode) == key


def test_unknown_names_are_unknown_names():
    with pytest.raises(UnknownName):
        Compose(style="techno")


def test_new_chorales_are_written_by_the_tuned_model_where_it_is_installed(tmp_path: Path):
    own = music_models.catalog(tmp_path / "catalog")
    weights = own.root / "weights"
    (weights / "chorale_tuned.safetensors").write_bytes((weights / "chorale.safetensors").read_bytes())
    music_models.card(own.root, "chorale_tuned")
    tools = Tools(device.choose("cpu"), Styles(Catalog(own.root, own.root / "downloads")))
    asked = Compose(style="bach", bars=2, key="C", seed=1)
    assert set(create_all(asked, tools)[0].provenance.models) >= {"chorale_tuned"}
    going_on = Compose(continue_=keep(four_voices(), tmp_path / "a.json"), bars=2, seed=1)
    assert "chorale_tuned" not in create_all(going_on, tools)[0].provenance.models
