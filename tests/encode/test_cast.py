"""Who acts in a story: found by speaking, named once, standing in it as roles."""

import numpy as np
import pytest

from danqing.encode import cast
from danqing.encode.text import Characters, Pieces, extended

TALE = [
    'There was a Fox. "Good day," said the Fox. The old fox saw a crow.',
    '"Good day," said the crow, "who are you?" said the fox.',
    '"I am hungry," cried the Fox. "So am I," replied the old crow, and Alice laughed.',
    '"Go away," said the crow. "Why?" asked Alice. "Because," answered Alice, "I say so," said Alice.',
    '"It is time," said the other. "It is," said the other. "So," said the other.',
]
NOVEL = [
    "宋江道：“兄弟们坐。”武松笑道：“哥哥请。”那和尚道：“阿弥陀佛。”",
    "宋江问道：“怎地好？”武松道：“走。”那和尚说道：“施主留步。”",
    "宋江大喜道：“好。”武松喝道：“来。”那和尚道：“且慢。”那和尚便去了。",
    "宋江寻思道：“怎地好？”宋江寻思道：“怎地好？”宋江寻思道：“怎地好？”",
]


@pytest.fixture
def english():
    return Pieces.learn(TALE, 400, (*cast.ROLES, "<story>"))


@pytest.fixture
def chinese():
    characters = sorted({c for text in [*NOVEL, *cast.CALLED, "书生夜遇女鬼。一见大惊"] for c in text})
    return Characters(characters, (*cast.ROLES, "<story>"))


def test_those_who_speak_are_people_and_what_they_are_called_is_told_from_names():
    assert cast.people(TALE, "en") == {"fox": True, "crow": True, "Alice": False}
    found = cast.people(NOVEL, "zh")
    assert found["宋江"] is found["武松"] is False
    assert found["和尚"] is True
    assert "宋江寻思" not in found


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("There was once a fox who met a crow.", ["fox", "crow"]),
        ('"Fox," said the crow, "foxes are sly." The Fox went.', ["fox", "crow"]),
        ("A Fox, and a crow's nest.\n\nFox and Crow.", ["fox", "crow"]),
        ('He said: "Alice, come here!" and (Alice) came.', ["Alice"]),
        ("Nobody is here.", ["fox"]),
    ],
)
def test_a_text_comes_back_as_it_was_but_for_capitals(english, text, names):
    spelled = cast.Cast(english, names)
    tokens = spelled.encode(text)
    assert spelled.decode(tokens).lower() == text.lower()
    assert {english.id(role) for role in cast.ROLES[: len(names)]} & set(tokens) or "Nobody" in text


def test_other_names_for_the_roles_make_the_story_theirs(english, chinese):
    tokens = cast.Cast(english, ["fox", "crow"]).encode("A fox saw a crow. The crow saw the fox.")
    assert cast.Cast(english, ["mouse", "king"]).decode(tokens) == "A mouse saw a king. The king saw the mouse."
    tokens = cast.Cast(chinese, ["书生", "女鬼"]).encode("书生夜遇女鬼。女鬼一见书生大惊。")
    assert cast.Cast(chinese, ["宋江", "和尚"]).decode(tokens) == "宋江夜遇和尚。和尚一见宋江大惊。"


def test_a_sentence_begins_with_a_capital_though_a_role_begins_it(english):
    spelled = cast.Cast(english, ["fox"])
    role = english.id("<1>")
    assert spelled.decode([role, *english.encode(" ran. "), role]) == "Fox ran. Fox"


def test_nobody_is_named_who_is_not_in_the_cast(chinese):
    others = cast.Others(cast.Cast(chinese, ["书生"]), {"宋江": False, "武松": False, "和尚": True})

    def allowed(text, token):
        state = others.start()
        for one in chinese.encode(text):
            state = others.advance(state, one)
        return others.allowed(state)[token]

    song, river, role2 = chinese.id("宋"), chinese.id("江"), chinese.id("<2>")
    assert allowed("一见", song)
    assert not allowed("一见宋", river)
    assert allowed("一见大", river)
    assert not allowed("", role2)
    assert allowed("", chinese.id("<1>"))


def test_english_words_that_are_somebody_are_not_written_and_others_are(english):
    others = cast.Others(cast.Cast(english, ["fox"]), {"fox": True, "crow": True})
    allowed = others.allowed(others.start())
    (crow,) = english.encode(" crow")
    assert not allowed[crow]
    assert allowed[english.encode(" old")[0]]


@pytest.mark.parametrize(
    ("before", "fox", "owl", "alice"),
    [
        ("He saw", False, False, True),
        ("He saw the", True, True, False),
        ("He saw a", True, False, False),
        ("He saw an", False, True, False),
        ("He saw the old", True, True, True),
        ("The", True, True, False),
    ],
)
def test_an_article_stands_before_who_has_no_name(before, fox, owl, alice):
    v = Pieces.learn(
        [*TALE, "the a an owl the a an old old He saw The a an He saw the a an The owl"] * 3, 420, cast.ROLES
    )
    others = cast.Others(cast.Cast(v, ["fox", "owl", "Alice"]), ())
    state = others.start()
    for token in v.encode(before):
        state = others.advance(state, token)
    allowed = others.allowed(state)
    assert [bool(allowed[v.id(role)]) for role in cast.ROLES] == [fox, owl, alice, False]


def test_names_that_end_alike_are_one_person():
    names = ["林黛玉", "黛玉", "fox", "ox"]
    assert cast.kin(names) == [1, 1, 2, 3]


def test_company_is_who_stands_together_more_often_than_chance_would_have_it():
    passages = [[0, 1]] * 6 + [[2, 3]] * 6 + [[0, 3]] + [[4]] * 10
    found = cast.companions(passages, {0: True, 1: True, 2: True, 3: True, 4: True})
    assert found[0] == [1]
    assert found[2] == [3]
    assert 4 not in found


@pytest.mark.parametrize("which", ["english", "chinese"])
def test_a_vocabulary_is_extended_by_specials_and_keeps_its_tokens(which, request):
    known = request.getfixturevalue(which)
    more = extended(known, ["<new>", "<story>"])
    assert len(more) == len(known) + 1
    assert {known.token(i) for i in range(len(known))} < {more.token(i) for i in range(len(more))}
    assert more.decode(more.encode("一见大惊 fox")) == known.decode(known.encode("一见大惊 fox"))
    assert np.unique([more.id(s) for s in more.specials]).size == len(more.specials)
