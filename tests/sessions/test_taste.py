import json

import numpy as np
import pytest

from danqing.errors import BadRequest, Unavailable
from danqing.sessions.taste import Choice, Taste, TasteBook, choices_of


def _works(count, seed=0):
    random = np.random.default_rng(seed)
    return [
        {"warmth": float(a), "fineness": float(b), "horizon": float(c)} for a, b, c in random.normal(size=(count, 3))
    ]


def _choices(count, weights, seed=0):
    works = _works(2 * count, seed)
    pairs = zip(works[::2], works[1::2], strict=True)

    def worth(work):
        return sum(weights[name] * work[name] for name in weights)

    return [Choice(a, b, float(worth(a) > worth(b))) for a, b in pairs]


def test_what_a_person_likes_is_learned_and_said_in_both_languages():
    taste = Taste(_choices(60, {"warmth": 2.0, "fineness": -2.0, "horizon": 0.0}))
    assert "warmer colours" in taste.words("en")
    assert "fewer strokes" in taste.words("en")
    assert "更暖的色彩" in taste.words("zh")
    assert not any("horizon" in word for word in taste.words("en"))


def test_nothing_is_said_where_nothing_is_sure():
    assert Taste([]).words("en") == []
    one, other = _works(2)
    assert Taste([Choice(one, other)]).words("zh") == []


def test_uncertainty_shrinks_with_choices_and_is_large_for_what_was_never_seen():
    weights = {"warmth": 1.0, "fineness": 0.0, "horizon": 0.0}
    work = {"warmth": 1.0}
    few = Taste(_choices(3, weights)).utility([work])[1][0]
    many = Taste(_choices(80, weights)).utility([work])[1][0]
    assert many < few
    assert Taste(_choices(80, weights)).utility([{"style:monet": 1.0}])[1][0] > many


def test_a_slider_in_the_middle_says_that_two_are_liked_alike():
    one, other = {"warmth": 1.0}, {"warmth": -1.0}
    assert abs(Taste([Choice(one, other, 0.5)] * 10).mean[0]) < 1e-6
    leaning, sure = (Taste([Choice(one, other, share)] * 10).mean[0] for share in (0.7, 1.0))
    assert 0 < leaning < sure


def test_a_round_says_that_the_liked_go_before_all_and_all_before_the_disliked():
    shown = {n: {"warmth": float(n)} for n in range(1, 5)}
    pairs = {(c.one["warmth"], c.other["warmth"]) for c in choices_of(shown, liked=[4], disliked=[1])}
    assert pairs == {(4, 3), (4, 2), (4, 1), (3, 1), (2, 1)}


def test_thompson_draws_agree_with_the_posterior():
    taste = Taste(_choices(40, {"warmth": 1.0, "fineness": 0.5, "horizon": 0.0}))
    draws = np.array([taste.draw(np.random.default_rng(seed)) for seed in range(2000)])
    assert np.abs(draws.mean(0) - taste.mean).max() < 0.05
    assert np.abs(np.cov(draws.T) - taste.covariance).max() < 0.05


def test_expected_improvement_prefers_the_better_and_the_less_known():
    taste = Taste(_choices(60, {"warmth": 2.0, "fineness": 0.0, "horizon": 0.0}))
    good, bad, unknown = taste.expected_improvement([{"warmth": 2.0}, {"warmth": -2.0}, {"style:monet": 2.0}], 0.0)
    assert good > unknown > bad >= 0


def test_taste_is_kept_exported_imported_and_forgotten(tmp_path):
    book = TasteBook(tmp_path / "one")
    book.learn("picture", "s", _choices(60, {"warmth": 2.0, "fineness": 0.0, "horizon": 0.0}))
    before = TasteBook(tmp_path / "one").taste("picture")
    assert before.words("en") == ["warmer colours"]
    assert book.taste("music").count == 0
    exported = json.loads(json.dumps(book.export()))
    other = TasteBook(tmp_path / "other")
    assert other.load(exported) == 60
    assert np.array_equal(other.taste("picture").mean, before.mean)
    assert book.reset() == 60
    assert book.taste("picture").count == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        [],
        {"danqing_taste": 1},
        {"danqing_taste": 1, "choices": [{"media": "smell", "one": {}, "other": {}, "share": 1, "weight": 1}]},
        {"danqing_taste": 1, "choices": [{"media": "text", "one": {"a": "x"}, "other": {}, "share": 1, "weight": 1}]},
        {"danqing_taste": 1, "choices": [{"media": "text", "one": {}, "other": {}, "share": 7, "weight": 1}]},
    ],
)
def test_a_damaged_export_is_refused_whole(wrong, tmp_path):
    book = TasteBook(tmp_path)
    with pytest.raises(BadRequest):
        book.load(wrong)
    assert book.taste("text").count == 0


def test_a_file_of_a_newer_danqing_is_left_alone(tmp_path):
    import sqlite3

    TasteBook(tmp_path)
    with sqlite3.connect(tmp_path / "taste.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(Unavailable, match="newer Danqing"):
        TasteBook(tmp_path)
