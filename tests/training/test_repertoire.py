"""Pieces of event tokens: read once, split by work, transposed, cut into windows that the grammar accepts."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import tunes

from danqing.artwork.music import ZERO, Key, Meter, Note, Part, Score
from danqing.encode import events
from danqing.encode.events import Grammar, kind_of
from danqing.errors import BadRequest
from danqing.training import piano, repertoire
from danqing.training.repertoire import Hidden, Piece, Repertoire, Windows

F = Fraction
WORDS = piano.vocabulary()


def score(seed: int = 0, bars: int = 20) -> Score:
    """Two hands in three quarters: eighths over a bass note a bar."""
    rng = np.random.default_rng(seed)
    upper = [Note(F(i, 2), 60 + int(rng.integers(0, 20)), F(1, 2), 0) for i in range(6 * bars)]
    lower = [Note(F(3 * i), 36 + int(rng.integers(0, 12)), F(3), 1) for i in range(bars)]
    return Score((*upper, *lower), (Part("r"), Part("l")), meters=(Meter(ZERO, 3, 4),), keys=(Key(ZERO, "A", "minor"),))


def piece(seed: int = 0, label: str = "mozart", work: str = "") -> Piece:
    own = score(seed)
    return Piece(f"p{seed}", label, "sonata", work or f"w{seed}", repertoire.bars_of(own, own.keys))


def test_a_window_says_who_wrote_it_and_the_grammar_accepts_it():
    sample, after = repertoire.window(piece(), 4, WORDS, 400)
    head = [WORDS.token(t) for t in sample.tokens[:7]]
    assert head == ["<mozart>", "<sonata>", "<key 21>", "<closing 16>", "<text>", "<bar>", "<metre 3/4>"]
    assert sample.weights[:4] == [0.0] * 4
    assert set(sample.weights[4:]) == {1.0}
    assert after <= 20
    grammar = Grammar(len(WORDS), bars=16, parts=2)
    state = grammar.start()
    for token in sample.tokens[5:]:
        assert grammar.allowed(state)[token], WORDS.token(token)
        state = grammar.advance(state, token)


def test_a_whole_piece_comes_back_from_its_windows():
    own = piece()
    sample, after = repertoire.window(own, 0, WORDS, 10_000)
    assert after == 20
    back = events.to_score(sample.tokens[sample.tokens.index(events.BAR) :])
    assert tunes.bag(back) == tunes.bag(score())


def test_headings_say_how_each_piece_begins_and_count_editions_that_agree_once():
    slow = replace(piece(3), bars=tuple(replace(bar, tempo=events.tempo_token(60)) for bar in piece(3).bars))
    found = repertoire.headings([piece(1), replace(piece(1), name="again"), piece(2), slow])
    assert len(found) == 3
    assert {row.tempo for row in found} == {0.0, 60.0}
    assert (found[0].label, found[0].form, events.METRES[found[0].metre]) == ("mozart", "sonata", (3, 4))
    assert str(found[0].named) == "A minor"
    assert found[0].mode == "minor"


def test_a_window_is_transposed_with_its_key_and_stays_on_the_keyboard():
    plain, up = (repertoire.window(piece(), 0, WORDS, 200, shift)[0].tokens for shift in (0, 5))
    assert WORDS.token(up[2]) == "<key 14>"  # A minor, five semitones up: D minor
    notes = [[kind_of(t)[1] for t in row if kind_of(t)[0] == "note"] for row in (plain, up)]
    assert notes[1] == [pitch + 5 for pitch in notes[0]]
    with pytest.raises(BadRequest, match="leave the piano's keys"):
        repertoire.window(piece(), 0, WORDS, 200, 40)


def test_hidden_controls_are_not_told():
    sample, _ = repertoire.window(piece(), 0, WORDS, 200, 0, Hidden(True, True, True, True))
    assert WORDS.token(sample.tokens[0]) == "<text>"


def test_editions_and_movements_of_a_work_are_on_one_side_of_the_split():
    pieces = [piece(seed, work=f"opus {seed // 2}") for seed in range(40)]
    copies = [replace(one, name=f"copy of {one.name}", work=f"another {one.work}") for one in pieces[:10]]
    book = Repertoire.of([*pieces, *copies], {})
    assert book.held
    works = [{p.work.removeprefix("another ") for p in side} for side in (book.training, book.held)]
    assert not works[0] & works[1]
    melodies = [{p.melody for p in side} for side in (book.training, book.held)]
    assert not melodies[0] & melodies[1]
    assert len(melodies[1]) == len(book.held)  # an edition each


def test_every_composer_has_something_held_back():
    pieces = [piece(10 * i + seed, label) for i, label in enumerate(("mozart", "haydn")) for seed in range(4)]
    assert {p.label for p in Repertoire.of(pieces, {}).held} == {"mozart", "haydn"}


def test_a_batch_is_a_function_of_its_step():
    pieces = [piece(seed) for seed in range(4)]
    one, again = (Windows(pieces, WORDS, 128, 512, 3) for _ in range(2))
    assert all((a == b).all() for a, b in zip(one.batch(7), again.batch(7), strict=True))
    assert one.batch(8)[0].tolist() != one.batch(7)[0].tolist()
    assert one.batch(7)[0].shape[0] == 4


KERN = """!!!AGN: Mazurka
**kern	**kern
*M3/4	*M3/4
*a:	*a:
{rows}
*-	*-
"""


def archive(path: Path, count: int) -> None:
    rng = np.random.default_rng(5)
    with zipfile.ZipFile(path, "w") as out:
        for number in range(count):
            rows = []
            for bar in range(10):
                rows.append(f"={bar}\t={bar}")
                rows += [f"4{rng.choice(list('CDEFGAB'))}\t4{rng.choice(list('cdefgab'))}" for _ in range(3)]
            out.writestr(f"mazurka{number:02}-1.krn", KERN.format(rows="\n".join(rows)))
        out.writestr("trio.krn", "!!!AGN: Trio\n**kern\n4c\n*-\n")
        out.writestr("broken.krn", "**kern\t**kern\n4c\n")


def test_archives_are_read_once_and_what_is_left_out_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    archive(tmp_path / "chopin-kern.zip", 12)
    book = piano.load(tmp_path, "chopin-kern", tmp_path / "run" / "pieces.npz")
    assert sum(book.left_out.values()) == 2
    assert book.left_out["solo"] == 1
    assert {(p.label, p.form) for p in book.training} == {("chopin", "mazurka")}
    assert len(book.training) + len(book.held) == 12
    monkeypatch.setattr(piano, "piece", None)  # not read again
    assert piano.load(tmp_path, ".", tmp_path / "run" / "pieces.npz") == book


@pytest.mark.parametrize(
    ("names", "same"),
    [
        (("mazurka06-1", "006-1-KI-001"), True),
        (("prelude28-02", "028_1-12-1a-C-002"), True),
        (("mazurka06-1", "mazurka07-1"), False),
    ],
)
def test_two_collections_name_the_same_opus(names: tuple[str, str], same: bool):
    assert (piano.work_of(names[0], "chopin") == piano.work_of(names[1], "chopin")) == same


@pytest.mark.parametrize(
    ("text", "form"),
    [("Mazourka No. 5", "mazurka"), ("Grande Valse", "waltz"), ("Maple Leaf Rag Rag", "rag"), ("X", "")],
)
def test_forms_are_told_by_their_names(text: str, form: str):
    assert piano.form_of(text) == form
