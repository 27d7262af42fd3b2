"""Phrases: notes to tokens and back, upbeats, octaves, and attributes counted by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from danqing.artwork.music import ZERO, Key, Note
from danqing.encode import phrases
from danqing.encode.phrases import HOLD, LENGTH, PITCH, REST, START
from danqing.errors import BadRequest

F = Fraction
LINE = (Note(F(0), 62, F(1)), Note(F(1), 64, F(1, 2)), Note(F(2), 64, F(5)), Note(F(7), 69, F(1)))


def test_a_line_goes_to_tokens_and_back():
    tokens = phrases.lay(LINE, 40, 62)
    assert tokens[[0, 4, 6, 8, 28, 32]].tolist() == [PITCH, PITCH + 2, REST, PITCH + 2, PITCH + 7, REST]
    assert phrases.notes_of(tokens.tolist(), 62) == list(LINE)


def test_pitches_far_from_the_tonic_are_brought_near_by_octaves():
    tokens = phrases.lay([Note(F(0), 20, F(1)), Note(F(1), 127, F(1))], 8, 60)
    assert (tokens[[0, 4]] - PITCH).tolist() == [-4, 19]


@pytest.mark.parametrize(("metre", "length", "bar"), [((4, 4), 32, 16), ((3, 4), 24, 12), ((6, 8), 24, 12),
                                                      ((2, 4), 32, 8), ((3, 8), 24, 6), ((2, 2), 32, 16)])  # fmt: skip
def test_phrases_are_two_bars_or_four_short_ones(metre: tuple[int, int], length: int, bar: int):
    shape = phrases.shape_of(*metre, 2)
    assert (shape.length, shape.bar, len(shape.places)) == (length, bar, length)
    assert shape.length <= LENGTH
    assert (shape.places[2] - shape.places.min(), shape.places[0] - shape.places.min()) == (0, bar - 2)
    with pytest.raises(BadRequest, match="not in 5/4"):
        phrases.shape_of(5, 4)


def test_a_phrase_takes_what_sounds_into_it_and_knows_what_was_heard():
    tokens = phrases.lay(LINE, 40, 62)
    shape = phrases.shape_of(3, 4)
    first, second = (phrases.cut(tokens, start, shape) for start in (0, 12))
    assert first.before == START
    assert second.before == PITCH + 2
    assert second.tokens[0] == PITCH + 2  # held from before, struck here
    assert second.tokens[16] == PITCH + 7
    last = phrases.cut(tokens, 28, shape)
    assert last.tokens[[0, 4, 12]].tolist() == [PITCH + 7, REST, REST]


def test_attributes_by_hand():
    shape = phrases.shape_of(4, 4)
    plain = np.full(32, HOLD)
    plain[::4] = PITCH + np.array([0, 2, 4, 5, 7, 5, 4, 2])
    odd = np.full(32, HOLD)
    odd[0], odd[2], odd[6] = PITCH, PITCH + 12, PITCH  # an eighth, a quarter against the beat, then held over 8 (3)
    silent = np.full(32, HOLD)
    silent[0] = REST
    found = phrases.attributes(np.stack([plain, odd, silent]), np.stack([shape.places] * 3))
    assert found[0].tolist() == pytest.approx([1, 7, 0, 29 / 8])
    assert found[1].tolist() == pytest.approx([3 / 8, 12, (1 + 3) / 8, 48 / 32])
    assert found[2].tolist() == [0, 0, 0, 0]


def test_modes_by_their_third_and_the_tonic_of_a_key():
    thirds = {mode: phrases.mode_of(Key(ZERO, "D", mode)) for mode in ("major", "mixolydian", "minor", "dorian")}
    assert list(thirds.values()) == [phrases.MAJOR, phrases.MAJOR, phrases.MINOR, phrases.MINOR]
    assert phrases.tonic_of(Key(ZERO, "Bb")) == 70
    with pytest.raises(BadRequest, match="the first a pitch or a rest"):
        phrases.Phrase(np.full(32, HOLD))
