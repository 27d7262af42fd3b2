"""Stories: how a plot becomes the first sentence, and who is in it."""

import itertools

import pytest
import torch

from danqing.arts.plots import COURSE, SPEAKERS_MOST, Course, Dialogue, company, first_sentence, who


@pytest.mark.parametrize(
    ("plot", "sentence"),
    [
        ("a fox who wanted the moon", "There was once a fox who wanted the moon."),
        ("A fox who wanted the moon!", "There was once a fox who wanted the moon."),
        ("two brothers and a well", "There were once two brothers and a well."),
        ("the old man and the sea", "This is the story of the old man and the sea."),
        ("a knight loses his sword and finds a friend", "A knight loses his sword and finds a friend."),
        ("a quiet harbour at dusk", "There was once a quiet harbour at dusk."),
        ("sea autumn", ""),
        ("moon", ""),
    ],
)
def test_an_english_plot_is_a_sentence_and_mere_words_are_none(plot, sentence):
    assert first_sentence(plot, "en") == sentence


@pytest.mark.parametrize(
    ("plot", "sentence"),
    [
        ("一只想要月亮的狐狸", "从前有一只想要月亮的狐狸。"),
        ("书生夜遇女鬼", "话说书生夜遇女鬼。"),
        ("月亮", ""),
        ("明月 秋风 送别", ""),
    ],
)
def test_a_chinese_plot_likewise(plot, sentence):
    assert first_sentence(plot, "zh") == sentence


PEOPLE = {"fox": True, "crow": True, "king": True, "Alice": False, "宋江": False, "和尚": True}


@pytest.mark.parametrize(
    ("plot", "names"),
    [
        ("a fox who wanted the moon", ["fox"]),
        ("A fox and a crow", ["fox", "crow"]),
        ("a small robot who wanted to sing", ["robot"]),
        ("two old brothers and a well", ["brothers"]),
        ("Anna and the king", ["Anna", "king"]),
        ("The King's daughter Anna", ["King", "Anna"]),
        ("moon", []),
        ("Winter is coming", []),
        ("Maria finds a ring", ["Maria"]),
        ("The Lighthouse Keeper and the King", ["keeper", "king"]),
    ],
)
def test_who_an_english_plot_is_about(plot, names):
    assert [name.lower() for name in who(plot, PEOPLE, "en")] == [name.lower() for name in names]


@pytest.mark.parametrize(
    ("plot", "names"),
    [
        ("书生夜遇女鬼", ["书生", "女鬼"]),
        ("一只想要月亮的狐狸", ["狐狸"]),
        ("会唱歌的机器人", ["机器人"]),
        ("宋江和小和尚", ["宋江", "和尚"]),
        ("月亮", []),
        ("一个走遍天下的货郎", ["货郎"]),
    ],
)
def test_who_a_chinese_plot_is_about(plot, names):
    assert who(plot, PEOPLE, "zh") == names


def test_company_is_kept_with_those_that_were_seen_together():
    seen = {"fox": ["crow", "wolf"], "king": ["queen"], "cat": ["crow"]}
    assert company(["fox"], seen) == ["crow", "wolf"]
    assert company(["fox", "crow"], seen) == ["wolf"]
    assert set(company(["robot"], seen)) == {"crow", "wolf", "queen"}
    assert company(["robot"], {}) == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_story_takes_its_turns_in_order_each_once(language):
    course = Course(language, torch.Generator().manual_seed(3))
    taken = [(share, words) for share in (0.0, 0.1, 0.35, 0.6, 0.75, 0.8, 0.9) if (words := course.turn(share, "X."))]
    assert [share for share, _ in taken] == [0.0, 0.35, 0.6, 0.75, 0.9]
    assert all(words.strip() in known for (_, words), (_, known) in zip(taken, COURSE[language], strict=True))
    assert course.ended
    assert not course.turn(0.95, "X.")


def test_of_turns_that_were_missed_only_the_last_comes_and_after_a_break_no_space_before_it():
    course = Course("en", torch.Generator().manual_seed(3))
    assert course.turn(0.6, "A long opening.\n") in COURSE["en"][2][1]
    assert not course.turn(0.6, "More.")
    assert course.turn(0.7, "More.").startswith(" ")


def test_in_a_script_those_of_the_plot_speak_first_and_nobody_twice_in_a_row():
    dialogue, spoken = Dialogue(["King", "Fool"], torch.Generator().manual_seed(1)), list[str]()
    for _ in range(40):
        spoken.append(dialogue.turn(spoken))
    assert spoken[:2] == ["King", "Fool"]
    assert set(spoken) == {"King", "Fool"}
    assert all(one != other for one, other in itertools.pairwise(spoken))


def test_without_a_plot_the_model_names_those_who_speak_and_they_are_few():
    dialogue, spoken = Dialogue([], torch.Generator().manual_seed(1)), list[str]()
    for number in range(80):
        spoken.append(dialogue.turn(spoken) or f"new {number}")
    assert 2 <= len(set(spoken)) <= SPEAKERS_MOST
    assert all(one != other for one, other in itertools.pairwise(spoken))
