"""Signatures and names of pitches, as musicians have them."""

import pytest

from danqing.artwork import pitches


@pytest.mark.parametrize(
    ("fifths", "signs"),
    [(0, {}), (2, {"F": 1, "C": 1}), (-3, {"B": -1, "E": -1, "A": -1}), (8, dict.fromkeys("FCGDAEB", 1) | {"F": 2})],
)
def test_a_signature_alters_letters(fifths, signs):
    assert pitches.signs(fifths) == signs


def test_every_tonic_of_a_signature_sounds_as_it_is_named():
    """The scale on a tonic with its signature is the major scale."""
    for tonic, fifths in pitches.FIFTHS.items():
        signs, first = pitches.signs(fifths), "CDEFGAB".index(tonic[0])
        letters = ["CDEFGAB"[(first + i) % 7] for i in range(7)]
        above = [(pitches.STEPS[x] + signs.get(x, 0) - pitches.pitch_class(tonic)) % 12 for x in letters]
        assert above == [0, 2, 4, 5, 7, 9, 11], tonic
