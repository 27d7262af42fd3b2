"""Traits are what a musician would count, and do not change where the music does not."""

from fractions import Fraction

import numpy as np
import pytest

from danqing.appraisal import traits
from danqing.appraisal.traits import Traits
from danqing.artwork.music import ZERO, Meter, Note, Part, Score
from danqing.errors import BadRequest

QUARTER = Fraction(1)


def piece(*chords, parts=1, meter=(4, 4), pickup=ZERO):
    """Chords of a quarter each."""
    notes = [Note(Fraction(i), pitch, QUARTER) for i, chord in enumerate(chords) for pitch in chord]
    return Score(tuple(notes), (Part(),) * parts, meters=(Meter(ZERO, *meter),), pickup=pickup)


CADENCE = ((48, 64, 67, 72), (53, 65, 69, 72), (55, 62, 65, 71), (48, 64, 67, 72))


def test_histograms_are_shares_of_what_was_counted():
    found = Traits(piece(*CADENCE))
    assert all(h.sum() == pytest.approx(1) for h in found.histograms.values())
    assert found.intervals[traits.WIDEST + 1] == pytest.approx(1 / 3), "the soprano goes up a semitone once"
    assert found.durations[traits.LENGTHS.index(1.0)] == 1
    assert found.onsets[[0, 6, 12, 18]].tolist() == [0.25] * 4
    assert found.textures[3] == 1
    kinds = dict(zip((*traits.CHORDS, "other"), found.chords, strict=True))
    assert kinds[""] == 0.75
    assert kinds["7"] == 0.25
    assert Traits(piece((48, 50, 52))).chords[-1] == 1, "a cluster is none of them"


def test_a_transposed_piece_has_the_same_traits_but_for_its_height():
    one, other = Traits(piece(*CADENCE)), Traits(piece(*CADENCE).transposed(5))
    for name, histogram in one.histograms.items():
        assert np.allclose(histogram, other.histograms[name]), name
    assert other.numbers["pitch_mean"] == one.numbers["pitch_mean"] + 5
    assert one.moves == other.moves == [-1, 1]


def test_scale_consistency():
    assert Traits(piece(*CADENCE)).scale_consistency == 1
    chromatic = Traits(piece(*[(pitch,) for pitch in range(60, 72)]))
    assert chromatic.scale_consistency == pytest.approx(7 / 12)


def test_self_similarity_knows_a_bar_again_at_another_pitch():
    bar, other = [(60,), (64,), (62,), (65,)], [(67,), (60,), (71,), (59,)]
    again = [(pitch + 2,) for (pitch,) in bar]
    assert Traits(piece(*bar, *again)).self_similarity == 1
    assert Traits(piece(*bar, *other)).self_similarity < 0.5
    assert Traits(piece(*bar)).self_similarity == 0


def test_places_of_a_pickup_are_counted_to_its_bar():
    found = Traits(piece((60,), (62,), (64,), (65,), (67,), pickup=QUARTER))
    assert found.onsets[18] == pytest.approx(2 / 5)


def test_drums_do_not_count():
    score = piece((60,), (62,))
    drums = Score((*score.notes, Note(ZERO, 38, QUARTER, 1)), (Part(), Part(drums=True)))
    assert Traits(drums).textures[0] == 1
    with pytest.raises(BadRequest, match="no pitched notes"):
        Traits(Score((Note(ZERO, 38, QUARTER),), (Part(drums=True),)))


def test_an_excerpt_is_its_bars():
    score = piece(*CADENCE, *CADENCE)
    second = traits.excerpt(score, 1, 1)
    assert second.length == 4
    assert second.notes == piece(*CADENCE).notes
    held = Score((Note(ZERO, 60, Fraction(6)), Note(Fraction(6), 62, Fraction(2))))
    assert traits.excerpt(held, 0, 1).notes == (Note(ZERO, 60, Fraction(4)),)
    with pytest.raises(BadRequest, match="bar 2"):
        traits.excerpt(score, 2, 1)


def test_the_vector_has_one_length_for_all_pieces():
    sizes = {len(Traits(one).vector) for one in (piece(*CADENCE), piece((60,)), piece((60,), (62,), meter=(3, 8)))}
    assert len(sizes) == 1
    assert np.isfinite(Traits(piece((60,))).vector).all()
