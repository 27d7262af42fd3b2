"""Folk tunes from ABC: what is read, what is left out, how tunes are split and become samples."""

import numpy as np
import pytest

from danqing.artwork.music import ZERO, Key
from danqing.encode import tunes
from danqing.errors import BadRequest
from danqing.training import folk

JIG = """X: 1
T:Invented Jig
R:jig
M:6/8
L:1/8
K:Edor
B|"Em"e2f g2a|b2c' d'2b|"D"a>bc' d'ab|"Em"e3-e2:|
|:B|(3efg a3 z|[eg]2f{a} g2a|1b6|"Em"e3-e2:|2 b3 B3|e3-e2||
"""


def test_keys_metres_chords_triplets_broken_rhythm_ties_and_endings_are_read():
    tune = folk.read_tune(JIG.replace("(3efg a3 z", "(3efg a3 z2 ").replace("z2 |", "z|"), "x")
    assert (tune.beats, tune.unit, tune.key, tune.kind, tune.pickup) == (6, 8, Key(ZERO, "E", "dorian"), "jig", 12)
    first, second, third = tune.sections
    assert first.repeated
    assert not second.repeated
    assert first.ticks == 4 * 72
    assert [e.ticks for e in first.events[9:12]] == [18, 6, 12]
    assert first.events[0].pitch == 71
    assert first.events[1].chord == "Em"
    assert 78 in {e.pitch for e in first.events}, "f is sharp in E dorian"
    assert sum(e.ticks for e in second.events) % 72 == 0
    assert second.events[:3] == third.events[:3]


@pytest.mark.parametrize(
    ("text", "key"),
    [("Ador", "A dorian"), ("E Minor", "E minor"), ("Bb", "Bb major"), ("AMix", "A mixolydian"), ("F#m", "F# minor"),
     ("D % hexatonic", "D major"), ("A Minor", "A minor"), ("Amin", "A minor")],
)  # fmt: skip
def test_keys_are_read(text, key):
    assert str(folk.read_key(text.partition("%")[0].strip())) == key


def test_accidentals_hold_for_their_bar():
    tune = folk.read_tune("X:1\nM:2/4\nL:1/8\nK:G\nf^cc=f|fccf|")
    assert [e.pitch for e in tune.sections[0].events] == [78, 73, 73, 77, 78, 72, 72, 78]


@pytest.mark.parametrize(
    ("body", "why"),
    [("CDEF|CDE|CDEF|CDEF|", "add up"), ("(5CDEFG CD|", "tuplets"), ("", "no notes"), ("C,,,,4|", "tonic")],
)
def test_what_does_not_fit_is_left_out_with_the_reason(body, why):
    with pytest.raises(BadRequest, match=why):
        folk.read_tune(f"X:1\nM:2/4\nL:1/8\nK:C\n{body}\n")


def test_a_tune_that_changes_its_key_is_left_out():
    with pytest.raises(BadRequest, match="2 K:"):
        folk.read_tune("X:1\nM:2/4\nL:1/8\nK:C\nCDEF|\nK:G\nGABc|\n")


def invented(seed):
    rng = np.random.default_rng(seed)
    letters = [str(x) for x in rng.choice(list("CDEFGABcdefg"), 64)]
    bars = ["".join(letters[i : i + 4]) for i in range(0, 64, 4)]
    return f"X:{seed}\nT:Invented {seed}\nR:reel\nM:2/4\nL:1/8\nK:C\n{'|'.join(bars[:8])}:|\n{'|'.join(bars[8:])}||\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.abc").write_text("\n".join(invented(i) for i in range(40)))
    (tmp_path / "b.abc").write_text("\n".join(invented(i) for i in range(30, 60)) + "\nX:99\nM:7/8\nK:C\nCDE|\n")
    return tmp_path


def test_a_collection_is_read_once_split_and_counted(folder):
    book = folk.Tunes.load(folder, ".")
    assert len(book.training) + len(book.held) == 60
    assert 1 <= len(book.held) <= 15
    assert sum(book.left_out.values()) == 1
    assert folk.Tunes.load(folder, "a,b").fingerprint == book.fingerprint


def test_samples_count_what_comes_after_the_controls(folder):
    book = folk.Tunes.load(folder, ".")
    make = folk.Sequencer(book.training, 100)
    (sample,) = make(0, np.random.default_rng(1))
    assert len(sample.tokens) == 101
    assert len(sample.weights) == 100
    names = [tunes.VOCABULARY.token(t) for t in sample.tokens]
    assert names[0] == "<2/4>"
    assert names[sample.weights.index(1.0) + 1] == "<pickup 0>"
    told = folk.fixed(book.held, 100, told=True)[0]
    assert "<reel>" in [tunes.VOCABULARY.token(t) for t in told.tokens]
