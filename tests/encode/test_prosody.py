"""Tones and rhymes as the books have them, and the estimates where they lack a character."""

from __future__ import annotations

import pytest

from danqing.encode.prosody import CI_CLASSES, Prosody
from danqing.errors import BadRequest, UnknownName


@pytest.fixture(scope="module")
def old():
    return Prosody.load()


@pytest.fixture(scope="module")
def new():
    return Prosody.load(book="modern")


def test_tones_are_those_of_the_old_book(old):
    for char in "天山人秋东":
        assert old.tone(char) == "平"
    for char in "月日国白北":  # 入声 among them
        assert old.tone(char) == "仄"
    for char in "看思过听教":
        assert old.tone(char) == old.usual_tone(char) == "both"
    assert old.tone("A") is None
    assert old.confidence("A") == 0


def test_both_scripts_are_known(old):
    for simple, traditional in zip("东风与梦飞", "東風與夢飛", strict=True):
        assert old.tone(simple) is not None
        assert old.rhymes(traditional) <= old.rhymes(simple)


def test_rare_readings_are_known_but_not_used(old):
    assert old.tone("不") == "both"  # 尤 lists it
    assert old.usual_tone("不") == "仄"
    assert "十一尤" not in old.usual_rhymes("不")
    for char in old.characters():
        assert old.usual_rhymes(char) <= old.rhymes(char)
        assert old.usual_tone(char) in (old.tone(char), "平", "仄")
        if old.tone(char) != "both":
            assert old.usual_tone(char) == old.tone(char)


def test_rhymes_are_groups_of_one_tone(old):
    assert old.rhymes("东") == {"一东"}
    assert "十四寒" in old.rhymes("看", "平")
    assert old.rhymes("看", "仄") == {"十五翰"}
    assert len(old.groups()) == 106
    assert len(old.groups("平")) == 30
    assert old.group("东") == old.group("一东") == old.group("东韵") == "一东"
    with pytest.raises(UnknownName, match="rhyme"):
        old.group("一董东")


def test_a_poem_shares_a_rhyme(old):
    assert "十一尤" in old.shared("流楼", "平")
    assert not old.shared("流山", "平")
    assert old.shared("") == frozenset()


def test_what_the_book_lacks_is_estimated_with_a_confidence(old):
    for char, tone in (("啼", "平"), ("迹", "仄"), ("昂", "平")):
        assert old.tone(char) == tone
        assert 0.9 <= old.confidence(char) <= 1
    assert old.rhymes("啼") == {"八齐"}
    assert old.about["measured"]["tone_agreement"] > 0.99
    assert old.about["measured"]["level_rhyme_agreement"] > 0.95


def test_ci_rhymes_more_widely(old):
    assert old.ci_rhymes("东") == old.ci_rhymes("冬") == {"第1部平"}
    assert old.usual_ci_rhymes("来") == {"第5部平"}
    assert old.usual_ci_rhymes("杯") == {"第3部平"}
    assert old.ci_rhymes("回", "平") == old.ci_rhymes("来", "平") == {"第3部平", "第5部平"}
    assert old.usual_ci_rhymes("魂") == {"第6部平"}
    assert old.usual_ci_rhymes("原") == {"第7部平"}
    assert old.ci_rhymes("月") == old.ci_rhymes("雪") == {"第18部入"}
    listed = [g.rstrip("*") for groups in CI_CLASSES.values() for g in groups.split()]
    assert set(listed) == set(old.groups())


def test_the_modern_book_has_todays_tones(new):
    assert new.tone("国") == "平"
    assert new.tone("月") == "仄"
    assert new.tone("看") == "both"
    assert new.rhymes("诗") == {"十三支"}
    assert new.rhymes("东") == new.rhymes("风") == {"十一庚"}
    assert len(new.groups()) == 14


def test_unknown_books_and_broken_tables_are_refused(tmp_path):
    with pytest.raises(UnknownName, match="modern"):
        Prosody.load(book="modem")
    (tmp_path / "t.json").write_text("{}", "utf-8")
    with pytest.raises(BadRequest, match=r"t\.json"):
        Prosody.load(tmp_path / "t.json")
