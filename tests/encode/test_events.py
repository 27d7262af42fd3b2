"""Music as events: scores there and back, and a grammar whose every walk decodes."""

from fractions import Fraction

import numpy as np
import pytest

from danqing.artwork.music import ZERO, Meter, Note, Part, Score, Tempo
from danqing.encode import events
from danqing.encode.events import Grammar
from danqing.errors import BadRequest

SIZE = len(events.vocabulary())


def piece(parts=2, bars=4):
    """Invented notes on the grid of sixteenths, no two of one pitch and part at once."""
    rng = np.random.default_rng(parts)
    notes = []
    for part in range(parts):
        for quarter in range(3 * bars):
            onset = Fraction(quarter) + Fraction(int(rng.integers(0, 2)), 2)
            pitch = int(rng.integers(40, 80))
            notes.append(Note(onset, pitch, Fraction(1, int(rng.integers(2, 5))), part, 74))
    return Score(
        tuple(notes),
        tuple(Part(str(i)) for i in range(parts)),
        tempos=(Tempo(ZERO, 92.0),),
        meters=(Meter(ZERO, 3, 4),),
        length=Fraction(3 * bars),
    )


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_a_score_on_the_grid_comes_back(parts):
    score = piece(parts)
    tokens = events.from_score(score)
    again = events.to_score(tokens, score.parts)
    assert again == score
    assert events.from_score(again) == tokens


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_the_tokens_of_a_score_are_what_the_grammar_allows(parts):
    grammar = Grammar(SIZE, 4, parts)
    state = grammar.start()
    for token in events.from_score(piece(parts)):
        assert grammar.allowed(state)[token], events.kind_of(token)
        state = grammar.advance(state, token)
    assert grammar.finished(state)


def test_a_metre_and_a_tempo_that_change_and_a_note_over_the_bar_line_come_back():
    score = Score(
        (Note(ZERO, 60, Fraction(5)), Note(Fraction(5), 62, Fraction(2)), Note(Fraction(7), 60, Fraction(3))),
        tempos=(Tempo(ZERO, 120.0), Tempo(Fraction(4), 60.0)),
        meters=(Meter(ZERO, 4, 4), Meter(Fraction(4), 3, 4)),
    )
    again = events.to_score(events.from_score(score))
    assert (again.meters, again.tempos, again.length) == (score.meters, score.tempos, Fraction(10))
    assert [(n.onset, n.pitch, n.duration) for n in again.notes] == [
        (n.onset, n.pitch, n.duration) for n in score.notes
    ]


def test_a_note_struck_again_ends_there_and_times_go_to_the_nearest_step():
    score = Score((Note(ZERO, 60, Fraction(2)), Note(Fraction(1), 60, Fraction(1)), Note(Fraction(49, 24), 64, ONE)))
    again = events.to_score(events.from_score(score))
    assert [(n.onset, n.duration) for n in again.notes if n.pitch == 60] == [(ZERO, ONE), (ONE, ONE)]
    assert again.notes[-1].onset in (Fraction(2), Fraction(25, 12))


ONE = Fraction(1)


def test_a_pickup_becomes_a_bar_that_begins_with_silence():
    score = Score((Note(ZERO, 60, ONE), Note(ONE, 62, Fraction(4))), pickup=ONE)
    again = events.to_score(events.from_score(score))
    assert [n.onset for n in again.notes] == [3, 4]


@pytest.mark.parametrize("metre", [-1, 2, 7])
@pytest.mark.parametrize("parts", [1, 3])
def test_every_walk_through_the_grammar_ends_and_decodes(metre, parts):
    """Tokens drawn at random, kinds evenly: as many bars as asked, nothing struck while it sounds."""
    for seed in range(5):
        rng = np.random.default_rng([seed, parts, metre + 1])
        grammar = Grammar(SIZE, 6, parts, metre)
        state, tokens = grammar.start(), []
        while not grammar.finished(state):
            may = np.flatnonzero(grammar.allowed(state))
            assert len(may), state
            kinds = sorted({events.kind_of(int(t))[0] for t in may})
            kind = kinds[int(rng.integers(len(kinds)))]
            tokens.append(int(rng.choice([t for t in may if events.kind_of(int(t))[0] == kind])))
            state = grammar.advance(state, tokens[-1])
        assert tokens.count(events.BAR) == 6
        score = events.to_score(tokens)
        assert len(score.bars()) == 7
        assert score.notes
        for one, other in zip(score.notes, score.notes[1:], strict=False):
            assert not ((one.part, one.pitch) == (other.part, other.pitch) and other.onset < one.end)
        written = [t for t in events.from_score(score) if events.kind_of(t)[0] == "note"]
        assert len(written) == len(score.notes)


def test_controls_stand_beside_the_tokens_and_mean_nothing_to_a_score():
    vocabulary = events.vocabulary(("<bach>",), chords=True)
    assert len(vocabulary) == SIZE + events.CHORDS + 1
    token = vocabulary.id("<bach>")
    assert events.kind_of(token)[0] == "control"
    assert events.to_score([events.vocabulary(("<bach>",)).id("<bach>"), *events.from_score(piece())]).chords == ()
    assert events.to_score([token, *events.from_score(piece())], piece().parts) == piece()


def test_what_has_no_tokens_is_refused():
    with pytest.raises(BadRequest, match="5/4"):
        events.from_score(Score((Note(ZERO, 60, ONE),), meters=(Meter(ZERO, 5, 4),)))
    with pytest.raises(BadRequest, match="no piano"):
        events.from_score(Score((Note(ZERO, 12, ONE),)))
    many = Score(tuple(Note(ZERO, 60 + i, ONE, i) for i in range(5)), tuple(Part() for _ in range(5)))
    with pytest.raises(BadRequest, match="5 parts"):
        events.from_score(many)
    with pytest.raises(BadRequest, match="at least one bar"):
        Grammar(SIZE, 0)
