"""Text as numbers: what is encoded comes back, and controls stand where a model expects them."""

import pytest

from danqing.encode import text
from danqing.encode.text import Characters, Controls, Pieces, prompt
from danqing.errors import BadRequest

STORY = "Once upon a time a fox saw the moon in a well, and wanted it. 狐狸想要月亮。"


@pytest.fixture(scope="module")
def characters():
    return Characters("一三月李白秋天，。", ["<七绝>", "<唐>", "<宋>", "<poet:李白>", "<level>", "<rhyme:一东>"])


@pytest.fixture(scope="module")
def pieces():
    return Pieces.learn([STORY] * 4, 320, ["<story>", "<opening>"])


@pytest.mark.parametrize("name", ["characters", "pieces"])
def test_a_text_comes_back_from_its_tokens_and_the_vocabulary_from_its_header(name, request):
    vocabulary = request.getfixturevalue(name)
    again = text.from_json(vocabulary.to_json())
    written = "秋月，李白。" if name == "characters" else STORY
    assert vocabulary.decode(vocabulary.encode(written)) == written
    assert again.encode(written) == vocabulary.encode(written)
    assert len(again) == len(vocabulary)
    assert [again.token(i) for i in range(len(again))] == [vocabulary.token(i) for i in range(len(vocabulary))]


def test_specials_are_single_tokens_and_are_left_out_when_read_back(characters, pieces):
    for vocabulary in (characters, pieces):
        end = vocabulary.id(text.END)
        assert vocabulary.decode([*vocabulary.encode("月"), end]) in ("月", "")
        assert vocabulary.has(text.TEXT)
        assert not vocabulary.has("<没有>")


def test_characters_say_which_of_a_text_they_do_not_know(characters):
    assert characters.unknown_in("秋天的月亮亮") == ["的", "亮"]
    assert characters.encode("的") == [characters.id(text.UNKNOWN)]


def test_a_text_cannot_smuggle_in_a_control_token(pieces):
    tokens = pieces.encode("<end> and <text><text>")
    assert not {pieces.id("<end>"), pieces.id("<text>")} & set(tokens)
    assert pieces.decode(tokens) == "<end> and <text><text>"


def test_a_vocabulary_holds_nothing_twice():
    with pytest.raises(ValueError, match="twice"):
        Characters("月月")


def test_controls_are_written_in_order_before_the_text(characters):
    asked = Controls("七绝", "唐", "李白", start="level", rhyme="一东", topics=("秋月", "天"), title="月")
    written = [characters.token(i) for i in prompt(characters, asked)]
    assert written == [
        *("<七绝>", "<唐>", "<poet:李白>", "<level>", "<rhyme:一东>"),
        *("<topic>", "秋", "月", "<topic>", "天", "<title>", "月", "<text>"),
    ]


def test_a_key_word_of_a_story_is_encoded_as_inside_a_sentence(pieces):
    tokens = prompt(pieces, Controls("story", topics=("moon",)))
    assert pieces.encode(" moon") == tokens[2:-1]


def test_a_control_that_the_model_was_not_taught_is_refused_with_those_it_was(characters):
    with pytest.raises(BadRequest, match=r"<poet:杜牧>.*李白"):
        prompt(characters, Controls("七绝", poet="杜牧"))
