"""Piano music by a model that knows nothing: plans, endings, two hands; what a person gave stays to the note."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any

import music_models
import pytest

from danqing.arts import Tools, pianism, piano
from danqing.arts.compose import Compose, create_all, read_key
from danqing.artwork import scores
from danqing.artwork.artwork import Artwork
from danqing.artwork.music import ZERO, Key, Meter, Note, Part, Score, Tempo
from danqing.artwork.provenance import Provenance
from danqing.catalog.styles import Styles
from danqing.compute import device
from danqing.encode import events
from danqing.errors import BadRequest

F = Fraction
Works = Callable[..., tuple[Artwork, ...]]


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Works:
    catalog = music_models.catalog(tmp_path_factory.mktemp("models") / "catalog")
    tools = Tools(device.choose("cpu"), Styles(catalog))
    return lambda **fields: create_all(Compose(**{"seed": 1, **fields}), tools)


def waltz(path: Path) -> Path:
    """Eight bars for two hands, saved."""
    upper = [Note(F(i), 67 + (0, 2, 4, 5, 7, 5, 4, 2)[i % 8], F(1), 0, 70 + i) for i in range(24)]
    lower = [Note(F(3 * i), 43 + 5 * (i % 2), F(3), 1, 60) for i in range(8)]
    score = Score((*upper, *lower), (Part("up"), Part("down")), (Tempo(ZERO, 140.0),), (Meter(ZERO, 3, 4),),
                  (Key(ZERO, "G"),))  # fmt: skip
    scores.save(score, path, Provenance("compose"))
    return path


def content(work: Artwork) -> Score:
    assert isinstance(work.content, Score)
    return work.content


def of_bar(score: Score, number: int) -> set[tuple[Fraction, int, int]]:
    bar = score.meters[0].bar
    return {(n.onset % bar, n.pitch, n.part) for n in score.notes if int(n.onset / bar) == number}


def test_a_piece_has_the_bars_key_metre_and_tempo_asked_for_and_ends_at_home(works: Works):
    (work,) = works(style="chopin:mazurka", bars=12, key="f-minor", tempo=99.0)
    score = content(work)
    assert score.meters[0].bar == 3
    assert len(score.bars()) - 1 == 12
    assert score.tempos[0].bpm == 99
    assert score.keys[0] == read_key("f-minor")
    assert pianism.ends_at_home(score, score.keys[0])
    assert all(of_bar(score, number) for number in range(12))  # no bar is silent
    assert score.title == "Mazurka in F minor"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"style": "haydn", "metre": "3/8"}, ("Sonata in D# minor", "3/8", 92)),
        ({"style": "haydn", "mood": "joyful"}, ("Sonata in G major", "3/4", 139)),  # no tempo said: the usual one
        ({"style": "haydn", "metre": "4/4", "key": "A", "tempo": 100.0}, ("Sonata in A major", "4/4", 100)),
        ({"style": "chopin", "mood": "sad"}, (None, "4/4", 94)),  # his pieces are all in major here, and fast
        ({"style": "chopin"}, ("Etude in Db major", "4/4", 176)),
        ({"style": "chopin:waltz"}, (None, "3/4", 160)),  # he wrote etudes alone here
        ({"style": "joplin:rag"}, (None, "2/4", 84)),  # nothing is known of his pieces here
        ({"style": "pop"}, ("Song in Bb major", "4/4", 69)),
    ],
)
def test_what_nobody_asked_for_is_as_in_a_piece_that_was_learned_from(
    works: Works, fields: dict[str, Any], expected: tuple[str | None, str, float]
):
    (work,) = works(bars=2, **fields)
    score = content(work)
    title, metre, tempo = expected
    assert title is None or score.title == title
    assert (f"{score.meters[0].beats}/{score.meters[0].unit}", score.tempos[0].bpm) == (metre, tempo)


def test_phrases_come_again_as_the_plan_says(works: Works):
    (work,) = works(style="ragtime", bars=16)
    score = content(work)
    assert any("AABB" in note for note in work.provenance.notes)
    assert [of_bar(score, n) for n in range(4)] == [of_bar(score, n + 4) for n in range(4)]
    assert [of_bar(score, n) for n in (8, 9)] == [of_bar(score, n + 4) for n in (8, 9)]


@pytest.mark.parametrize(("bars", "plan"), [(2, (2, "A")), (8, (4, "AB")), (16, (4, "AABA")), (24, (8, "ABA")),
                                            (32, (8, "AABA")), (64, (8, "AABACABA"))])  # fmt: skip
def test_the_plan_fits_the_bars(bars: int, plan: tuple[int, str]):
    assert piano.planned(bars) == plan


def test_no_hand_plays_what_it_cannot_hold(works: Works):
    score = content(works(style="beethoven", bars=4)[0])
    for part in (0, 1):
        for _, group in groupby(score.of(part), key=lambda note: note.onset):
            struck = [note.pitch for note in group]
            assert len(struck) <= pianism.FINGERS
            assert max(struck) - min(struck) <= pianism.SPAN


def test_the_same_seed_gives_the_same_piece_and_another_another(works: Works):
    one, again, other = (content(works(style="haydn", bars=2, seed=seed)[0]).notes for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_a_piece_is_gone_on_with_and_stays_as_it_is(works: Works, tmp_path: Path):
    path = waltz(tmp_path / "a.mid")
    source, score = scores.read(path), content(works(style="chopin", continue_=path, bars=4)[0])
    assert [n for n in score.notes if n.onset < 24] == list(source.notes)
    assert len(score.bars()) - 1 == 12
    assert pianism.ends_at_home(score, Key(ZERO, "G"))


def test_filling_in_leaves_every_other_note_as_it_is(works: Works, tmp_path: Path):
    path = waltz(tmp_path / "a.mid")
    source, score = scores.read(path), content(works(style="mozart", infill=path, bars_range="3:4")[0])
    outside = [n for n in source.notes if not 6 <= n.onset < 12]
    assert [n for n in score.notes if not 6 <= n.onset < 12] == outside
    inside = [n for n in score.notes if 6 <= n.onset < 12]
    assert inside
    assert all(n.end <= 12 for n in inside)
    assert inside != [n for n in source.notes if 6 <= n.onset < 12]


@pytest.mark.parametrize("task", ["restyle", "harmonize"])
def test_a_melody_is_set_and_stays_to_the_note(works: Works, tmp_path: Path, task: str):
    path = waltz(tmp_path / "a.mid")
    source, score = scores.read(path), content(works(style="joplin", **{task: path})[0])
    assert score.of(0) == source.of(0)
    assert score.of(1)
    assert score.of(1) != source.of(1)
    assert max(n.end for n in score.notes) <= source.length


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"style": "chopin:rag"}, "kind of chopin 'rag' is not known"),
        ({"style": "joplin:rag", "metre": "3/4"}, "a rag is in 2/4"),
        ({"style": "chopin", "key": "d-dorian"}, "a chopin is in major or minor"),
    ],
)
def test_what_a_style_does_not_have_is_refused(fields: dict[str, Any], message: str):
    with pytest.raises(BadRequest, match=message):
        Compose(**fields)


def test_a_piece_in_a_metre_without_tokens_is_refused(works: Works, tmp_path: Path):
    score = Score(tuple(Note(F(i), 60 + i, F(1)) for i in range(10)), meters=(Meter(ZERO, 5, 4),))
    scores.save(score, tmp_path / "five.mid", Provenance("compose"))
    with pytest.raises(BadRequest, match="the piece is in 5/4"):
        works(style="chopin", continue_=tmp_path / "five.mid")


def test_bars_keep_their_places_where_some_are_empty():
    bar = events.BAR
    assert pianism._measures([7, bar, bar, 8, 9, bar], 3) == [(7,), (), (8, 9)]
    assert pianism._measures([7], 3) == [(7,), (), ()]


def test_a_hand_lets_go_of_what_it_cannot_hold_beside_a_new_note():
    long = [Note(F(0), pitch, F(8), 1) for pitch in (40, 47)]
    new = Note(F(4), 64, F(1), 1)
    assert pianism._let_go([*long, new]) == [Note(F(0), 40, F(4), 1), long[1], new]


@pytest.mark.parametrize(
    ("onset", "length", "metre", "home"),
    [(3, 1, (4, 4), True), (F(15, 4), F(1, 4), (4, 4), False), (3, F(1, 4), (4, 4), False),
     (F(3, 2), F(3, 2), (6, 8), True), (1, 2, (6, 8), False), (F(1, 2), 1, (3, 8), True)],
)  # fmt: skip
def test_an_end_is_struck_on_a_beat_and_held(onset: Fraction, length: Fraction, metre: tuple[int, int], home: bool):
    chord = tuple(Note(F(onset), pitch, F(length), 0) for pitch in (48, 64, 67))
    first = Note(ZERO, 72, F(1, 4), 0)
    score = Score((first, *chord), (Part("piano"),), meters=(Meter(ZERO, *metre),))
    assert pianism.ends_at_home(score, Key(ZERO, "C")) is home
