"""English verse is counted and matched by its spelling, and its forms are found."""

from __future__ import annotations

import re

import pytest

from danqing.appraisal.english import judge, off_beat, rhymes
from danqing.encode.english import syllables

SONNET = """Shall I compare thee to a summer's day?
Thou art more lovely and more temperate:
Rough winds do shake the darling buds of May,
And summer's lease hath all too short a date;
Sometime too hot the eye of heaven shines,
And often is his gold complexion dimm'd;
And every fair from fair sometime declines,
By chance or nature's changing course untrimm'd;
But thy eternal summer shall not fade,
Nor lose possession of that fair thou ow'st;
Nor shall death brag thou wander'st in his shade,
When in eternal lines to time thou grow'st:
So long as men can breathe or eyes can see,
So long lives this, and this gives life to thee.""".splitlines()
BALLAD = [
    "Because I could not stop for Death,",
    "He kindly stopped for me;",
    "The carriage held but just ourselves",
    "And Immortality.",
]
HAIKU = ["An old silent pond", "A frog jumps into the pond", "Splash! Silence again"]


@pytest.mark.parametrize(
    ("lines", "name", "marks"),
    [
        (SONNET, "sonnet", "ABABCDCDEFEFGG"),
        (BALLAD, "quatrain", " A A"),
        ([*BALLAD, "", *BALLAD], "ballad", " A A E E"),
        (HAIKU, "haiku", "   "),
    ],
)
def test_known_poems_are_what_they_are(lines: list[str], name: str, marks: str):
    form = judge(lines)
    assert form.name == name
    assert form.kept, form.broken
    assert "".join(mark or " " for mark in form.rhymes) == marks


@pytest.mark.parametrize(
    ("lines", "name", "number", "new", "rule"),
    [
        (SONNET, "sonnet", 3, "Rough winds do shake the buds of all my garden flowers", "syllables"),
        (SONNET, "sonnet", 4, "And short summer has all too early date;", "meter"),
        (BALLAD, "quatrain", 3, "The dark carriage held but a guest", "meter"),
        (SONNET, "sonnet", 14, "So long lives this, and this gives life to all.", "scheme"),
        (BALLAD, "ballad", 4, "And the old garden wall.", "scheme"),
        (HAIKU, "haiku", 2, "A frog jumps", "syllables"),
    ],
)
def test_a_fault_is_found_at_its_line(lines: list[str], name: str, number: int, new: str, rule: str):
    changed = [new if i == number else line for i, line in enumerate(lines, 1)]
    assert (rule, number) in {(finding.rule, finding.line) for finding in judge(changed, form=name).broken}
    assert not judge(lines[:-1], form=name).kept


def test_the_beat_is_heard_word_by_word():
    """Turned feet stand at the beginning and after a pause; words that the lexicon lacks are not judged."""
    assert off_beat("The woods are lovely, dark and deep") == ()
    assert off_beat("Over the meadow comes the morning light") == ()
    assert off_beat("I saw the sea, heavy and grey and cold") == ()
    assert off_beat("I saw the heavy sea, and early light") == ()
    assert off_beat("I saw heavy waters upon the shore") == ("heavy", "waters")
    assert off_beat("The great Zenobia came into the hall") == ()


def test_the_beat_is_reported_in_both_languages_and_only_where_syllables_are_sure():
    changed = [*SONNET[:3], "And short summer has all too early date;", *SONNET[4:]]
    finding = next(f for f in judge(changed).findings if f.rule == "meter" and f.line == 4)
    assert finding.state == "broken"
    assert "summer" in finding.zh
    assert "off the beat" in finding.en
    longer = [*SONNET[:3], "And short summer has all too early a date;", *SONNET[4:]]
    assert next(f for f in judge(longer).findings if f.rule == "meter" and f.line == 4).state == "unknown"
    assert not [f for f in judge(HAIKU).findings if f.rule == "meter"]


PAIRS = """night white,moon tune,sea me,day away,love above,sky eye,stone alone,gold cold,fire desire,rain pane,
air fair,home foam,flower hour,snow go,year near"""


@pytest.mark.parametrize("pair", re.split(r",\s*", PAIRS))
def test_words_that_rhyme(pair: str):
    assert rhymes(*pair.split())


def test_words_that_do_not():
    assert not any(rhymes(*pair.split()) for pair in ("cat dog", "ear bear", "love love", "stone gone", "night day"))


def test_most_syllables_are_counted_right():
    counts = {
        "silent": 2, "garden": 2, "wandered": 2, "waited": 2, "houses": 2, "little": 2, "whispering": 3, "roses": 2,
        "makes": 1, "loved": 1, "table": 2, "lonely": 2, "radiant": 3, "glorious": 3, "queen": 1, "nation": 2,
        "couldn't": 2, "don't": 1, "dying": 2, "angels": 2, "forest": 2, "curious": 3, "beautiful": 3, "created": 3,
    }  # fmt: skip
    assert [word for word, count in counts.items() if syllables(word) != count] == []


def test_prose_and_plays_are_no_verse():
    assert (
        judge(["Once upon a time there was a fox who lived in a wood, and " + "it walked about. " * 20]).name == "story"
    )
    assert judge(["Fox: Who goes there?", "Moon: Only I.", "Fox: Come down."]).name == "script"
    assert judge(["I sing of nothing", "and of everything that passes by the door"]).name == "verse"
