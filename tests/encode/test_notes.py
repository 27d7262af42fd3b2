"""Chorales on the grid: JSON and scores there and back, repeated notes, ranges, keys."""

from fractions import Fraction

import numpy as np
import pytest

from danqing.artwork.music import ZERO, Key, Meter, Note, Part, Score
from danqing.encode import notes
from danqing.errors import BadRequest


def chorale(seed=1, steps=68):
    """Invented frames: each voice moves every four steps, within its range."""
    rng = np.random.default_rng(seed)
    beats = [[int(rng.integers(low, high + 1)) for low, high in notes.RANGES] for _ in range(steps // 4)]
    return [beat for beat in beats for _ in range(4)]


def test_frames_come_back_and_a_quarter_more_than_whole_bars_is_a_pickup():
    frames = chorale()
    grid = notes.from_frames(frames)
    assert notes.to_frames(grid) == frames
    assert (grid.pickup, grid.bar) == (4, 16)
    assert notes.from_frames(frames[:64]).pickup == 0
    assert notes.from_frames(frames[:60]).bar == 12


def test_codes_come_back_and_leave_silence_apart():
    grid = notes.from_frames([[60, 55, -1, 40]] * 16)
    numbers = notes.codes(grid.pitches)
    assert numbers.min() == 0
    assert numbers.max() < notes.CODES
    assert (notes.pitches_of(numbers) == grid.pitches).all()
    with pytest.raises(BadRequest, match="transpose"):
        notes.codes(np.full((4, 4), 90, np.int16))


def test_a_score_on_the_grid_comes_back_note_by_note():
    grid = notes.from_frames(chorale(seed=3))
    score = notes.to_score(grid, Key(ZERO, "G", "minor"))
    again = notes.from_score(score)
    assert (again.pitches == grid.pitches).all()
    assert (again.held == grid.held).all()
    assert (again.pickup, again.bar) == (grid.pickup, grid.bar)
    assert notes.to_score(again, Key(ZERO, "G", "minor")) == score
    assert score.bars()[1] == 1


def test_repeated_notes_are_struck_at_bar_lines_and_held_in_the_last_chord():
    held = notes.struck(np.full((64, 4), 60, np.int16))
    assert not held[0].any()
    assert held[1:].all(), "one chord from the beginning to the end is the last chord"
    pitches = np.array([[60] * 4] * 32 + [[62] * 4] * 32, np.int16)
    held = notes.struck(pitches)
    assert np.flatnonzero(~held[:, 0]).tolist() == [0, 8, 16, 24, 32]


def test_a_melody_alone_is_a_grid_with_three_silent_voices():
    score = Score((Note(ZERO, 67, Fraction(1)), Note(Fraction(1), 69, Fraction(3))), (Part("tune"),))
    grid = notes.from_score(score, {0: 0})
    assert grid.pitches[:, 0].tolist() == [67] * 4 + [69] * 12
    assert (grid.pitches[:, 1:] == notes.SILENCE).all()
    assert np.flatnonzero(~grid.held[:, 0]).tolist() == [0, 4]


def test_notes_between_steps_are_refused_or_rounded():
    score = Score((Note(Fraction(1, 3), 67, Fraction(1)),), (Part("tune"),))
    with pytest.raises(BadRequest, match="between sixteenths"):
        notes.from_score(score, {0: 0})
    assert notes.from_score(score, {0: 0}, rounded=True).pitches[:5, 0].tolist() == [notes.SILENCE] + [67] * 4


def test_a_score_without_four_parts_or_with_changing_metre_is_refused():
    one = Score((Note(ZERO, 67, Fraction(1)),))
    with pytest.raises(BadRequest, match="1 parts"):
        notes.from_score(one)
    two = Score((Note(ZERO, 67, Fraction(8)),), meters=(Meter(ZERO, 4, 4), Meter(Fraction(4), 3, 4)))
    with pytest.raises(BadRequest, match="metre"):
        notes.from_score(two, {0: 0})


def test_bars_are_counted_from_one_without_the_pickup():
    grid = notes.from_frames(chorale(steps=68))
    assert grid.steps(1, 1) == slice(4, 20)
    assert grid.steps(2, 4) == slice(20, 68)
    with pytest.raises(BadRequest, match="piece of 4 bars"):
        grid.steps(3, 5)
    assert grid.places[:6].tolist() == [12, 13, 14, 15, 0, 1]


@pytest.mark.parametrize(("low", "high", "shift"), [(62, 74, 0), (50, 62, 10), (80, 90, -9), (60, 81, 0)])
def test_the_least_shift_brings_a_melody_into_range(low, high, shift):
    assert notes.shift_into(np.array([low, high], np.int16), 0) == shift


def test_a_melody_wider_than_the_voice_is_refused():
    with pytest.raises(BadRequest, match="spans"):
        notes.shift_into(np.array([40, 81], np.int16), 0)


@pytest.mark.parametrize("number", range(notes.KEYS))
def test_keys_come_back(number):
    assert notes.key_number(notes.key_of(number)) == number


def test_the_key_of_a_chorale_is_heard_from_its_last_bass_note_and_its_thirds():
    major = [[67, 64, 60, 48]] * 8 + [[67, 62, 59, 43]] * 8 + [[72, 64, 60, 48]] * 8
    minor = [[67, 63, 60, 48]] * 8 + [[67, 62, 59, 43]] * 8 + [[72, 64, 60, 48]] * 8  # the last third is raised
    assert notes.final_key(np.array(major, np.int16)) == 0
    assert notes.final_key(np.array(minor, np.int16)) == 12


def test_a_filled_passage_leaves_every_note_outside_it_as_it_was():
    rng = np.random.default_rng(4)
    grid = notes.from_frames(chorale(seed=9))
    held = grid.held.copy()
    held[24] = grid.pitches[24] == grid.pitches[23]
    grid = notes.Grid(grid.pitches, held, grid.pickup, grid.bar)
    open_ = notes.gaps(grid, grid.steps(2, 3), (1, 2, 3))
    assert not open_[:, 0].any()
    assert not open_[: grid.steps(2, 3).start].any()
    numbers = np.where(open_, rng.integers(20, 30, open_.shape), 0)
    numbers[grid.steps(2, 3).start] = notes.codes(grid.pitches)[grid.steps(2, 3).start - 1]  # might be joined
    done = notes.filled(grid, numbers, open_)
    before, after = notes.to_score(grid), notes.to_score(done)
    inside = grid.steps(2, 3)

    def outside(score):
        span = (inside.start * notes.STEP, inside.stop * notes.STEP)
        return [n for n in score.notes if n.part == 0 or not (span[0] <= n.onset and n.end <= span[1])]

    assert outside(before) == outside(after)
    assert (done.pitches[open_] != grid.pitches[open_]).any()


def test_a_note_that_sounds_into_a_passage_is_no_gap():
    grid = notes.Grid(np.full((48, 4), 60, np.int16), np.arange(48)[:, None].repeat(4, 1) % 12 != 0)
    open_ = notes.gaps(grid, slice(16, 40))
    assert np.flatnonzero(open_[:, 2]).tolist() == list(range(24, 36))
