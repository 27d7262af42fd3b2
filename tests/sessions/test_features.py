import re
from fractions import Fraction

import numpy as np
import pytest

from danqing.artwork.artwork import Artwork
from danqing.artwork.image import Picture
from danqing.artwork.literature import Writing
from danqing.artwork.music import Note, Score, Tempo
from danqing.artwork.provenance import Provenance
from danqing.sessions import features


def _flat(colour):
    return Picture(np.full((60, 80, 3), colour, np.float32))


@pytest.mark.parametrize("name", features.FEATURES)
def test_every_feature_is_said_in_both_directions_and_both_languages(name):
    words = [features.said(name, more, language) for more in (True, False) for language in ("en", "zh")]
    assert len(set(words)) == 4
    for word in words[1::2]:
        assert re.search("[\u4e00-\u9fff]", word)


def test_settings_are_said_by_their_own_names():
    assert features.said("style:monet", True, "en") == "in the style monet"
    assert features.said("style:monet", True, "zh") == "莫奈风格"
    assert features.said("weather:fog", False, "zh").startswith("不要")


def test_a_warm_bright_picture_measures_warmer_and_brighter_than_a_cold_dark_one():
    warm, cold = features.picture(_flat((0.9, 0.7, 0.5))), features.picture(_flat((0.1, 0.2, 0.4)))
    assert warm["warmth"] > 0 > cold["warmth"]
    assert warm["brightness"] > cold["brightness"]


def test_strokes_symmetry_and_horizon_are_seen():
    pixels = np.full((60, 80, 3), 0.8, np.float32)
    pixels[40:] = 0.2
    plain = features.picture(Picture(pixels))
    noisy = features.picture(Picture(np.random.default_rng(0).uniform(size=(60, 80, 3)).astype(np.float32)))
    assert noisy["fineness"] > plain["fineness"]
    assert plain["symmetry"] > noisy["symmetry"]
    assert abs(plain["horizon"] - 40 / 60) < 0.08
    assert plain["sky"] > 0


def _scale(pitches, bpm):
    notes = tuple(Note(Fraction(n), pitch, Fraction(1)) for n, pitch in enumerate(pitches * 4))
    return Score(notes, tempos=(Tempo(Fraction(0), bpm),))


def test_major_and_minor_fast_and_slow_are_told_apart():
    major = features.music(_scale((60, 62, 64, 65, 67, 69, 71, 72), 140.0))
    minor = features.music(_scale((57, 59, 60, 62, 64, 65, 68, 69), 60.0))
    assert (major["major"], minor["major"]) == (1.0, -1.0)
    assert major["tempo"] > minor["tempo"]
    assert major["notes"] > minor["notes"]


def test_glad_and_sad_poems_are_told_apart():
    glad = features.text(Writing(("春风得意花千树，歌舞欢声满酒楼。",)))
    sad = features.text(Writing(("孤舟寒雨愁人泪，白发无人断肠声。",)))
    assert glad["gladness"] > sad["gladness"]
    assert glad["stir"] > sad["stir"]


def test_every_medium_is_measured_on_the_common_scale():
    works = (_flat((0.5, 0.5, 0.5)), _scale((60, 64, 67), 100.0), Writing(("明月松间照",)))
    for content in works:
        found = features.measure(Artwork(content, Provenance("paint")), {"style": "monet"})
        assert found.pop("style:monet") == 1.0
        assert found
        assert all(abs(value) <= features.FARTHEST for value in found.values())
