"""Stories: how a plot becomes the first sentence."""

import pytest

from danqing.arts.prose import first_sentence


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
