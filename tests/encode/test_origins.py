"""Filters of known lines: nothing that is there is missed, and the guard forbids exactly what would complete it."""

import numpy as np
import pytest

from danqing.encode import origins
from danqing.encode.origins import Filter, NoCopies, Origins
from danqing.encode.text import Characters

POEMS = [["床前明月光", "疑是地上霜", "举头望明月", "低头思故乡"], ["故人西辞黄鹤楼", "烟花三月下扬州"]]


def origin_of(poems, verses=()):
    lines = [line for poem in poems for line in poem]
    filters = {
        "lines": Filter.of(origins.hashes(lines), 40).bits,
        "runs": Filter.of(np.unique(origins.runs(poems)), 40).bits,
        "verse": Filter.of(origins.hashes([origins.english_line(v) for v in verses]), 40).bits,
    }
    return Origins(filters, {})


@pytest.fixture(scope="module")
def known():
    return origin_of(POEMS, ["Once upon a midnight dreary, while I pondered,"])


def test_a_filter_misses_nothing_and_takes_little_else_for_known():
    texts = [f"第{i}行的字" for i in range(20_000)]
    known = Filter.of(origins.hashes(texts[:10_000]), 12)
    assert known.has(origins.hashes(texts[:10_000])).all()
    assert known.has(origins.hashes(texts[10_000:])).mean() < 0.01


def test_lines_are_known_with_and_without_marks(known):
    assert known.has_line("床前明月光，")
    assert not known.has_line("床前明月夜")
    assert not known.has_line("明月光")


def test_runs_across_lines_are_known_unless_they_hold_a_whole_line(known):
    assert known.has_gram("前明月光疑是地上")
    assert not known.has_gram("床前明月光疑是地")  # its first line is known as a line
    assert not known.has_gram("前明月光低头思故")


def test_runs_end_with_the_poem():
    alone = origins.runs([POEMS[0]])
    both = origins.runs(POEMS)
    assert set(alone) < set(both)
    assert len(both) == len(alone) + len(origins.runs([POEMS[1]]))


def test_english_lines_are_compared_by_their_words(known):
    assert known.has_verse("once upon a MIDNIGHT dreary while I pondered")
    assert not known.has_verse("once upon a midnight")
    assert not known.has_verse("midnight")


def test_what_is_copied_is_marked_character_by_character(known):
    marked = known.copied(["空山不见人，", "床前明月光。"])
    assert marked.tolist() == [False] * 5 + [True] * 5


def test_the_guard_forbids_only_what_would_complete_a_known_line_or_run(known):
    vocabulary = Characters(sorted(set("".join("".join(p) for p in POEMS) + "空山新雨，。")), ["<七绝>"])
    guard = NoCopies(vocabulary, known)

    def forbidden(written):
        state = guard.start()
        for token in vocabulary.encode(written):
            state = guard.advance(state, token)
        return {vocabulary.token(i) for i in np.nonzero(~guard.allowed(state))[0]}

    assert forbidden("床前明月") == {"光"}
    assert forbidden("床前明") == set()
    assert forbidden("床前新月") == set()
    assert forbidden("新前明月光，疑是地") == {"上"}  # eight in a row: 前明月光疑是地上
    assert "，" not in forbidden("床前明月")


def test_a_line_that_the_person_gave_may_be_written(known):
    vocabulary = Characters(sorted(set("".join(POEMS[0]) + "，。")), [])
    guard = NoCopies(vocabulary, known, given=("床前明月光",))
    state = guard.start()
    for token in vocabulary.encode("床前明月"):
        state = guard.advance(state, token)
    assert guard.allowed(state)[vocabulary.id("光")]
