"""English syllables, rhymes and forms: counted by ear, kept by decoding whatever a model wants."""

from __future__ import annotations

import numpy as np
import pytest

from danqing.appraisal import english as judge
from danqing.encode import english, meter, stress
from danqing.encode.text import Pieces
from danqing.errors import BadRequest, UnknownName

# Any byte-pair vocabulary will do: this one is learned from the lexicon's own words.
WORDS = [w for listed in english.table()["words"].values() for w in listed.split()]
VOCABULARY = Pieces.learn([" ".join(WORDS[i::50]) + ".\n" for i in range(50)], 1500)


def roll(keeper, rng):
    state, tokens = keeper.start(), []
    while not keeper.finished(state):
        choice = np.flatnonzero(keeper.allowed(state))
        assert len(choice), f"dead end after {VOCABULARY.decode(tokens)!r}"
        tokens.append(int(choice[int(rng.random() * len(choice))]))
        state = keeper.advance(state, tokens[-1])
    assert np.flatnonzero(keeper.allowed(state)).tolist() == [VOCABULARY.id("<end>")]
    return VOCABULARY.decode(tokens)


def beats(line):
    """Whether a line is iambic, by syllables: / is stressed, x is not, "," may have a weak beat, o and . any."""
    marks = ""
    for word in english.words(line):
        count, place = english.word_syllables(word), stress.place(word)
        light = "x" if word.lower() in stress.faint() else "," if word.lower() in stress.weak() else "o"
        marks += light if count == 1 else "." * count if not place else "x/x/x/x"[place % 2 :][:count]
    turned = marks[:2] in ("/x", "ox") or marks[:3] == "/x/"  # heavy the, out of the, wonderful
    inner = marks[3 if turned else 0 :]
    even = inner[0::2] if turned else inner[1::2]
    odd = inner[1::2] if turned else inner[0::2]
    if any(marks[i : i + 2] == ",o" for i in range(1, len(marks), 2)):
        return False
    return "x" not in even and "/" not in odd and ",," not in even and not (turned and even[:1] == ",")


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("Shall I compare thee to a summer's day", 10),
        ("Because I could not stop for Death", 8),
        ("He kindly stopped for me", 6),
        ("Tyger Tyger burning bright", 7),
        ("Once upon a midnight dreary, while I pondered, weak and weary", 16),
        ("The woods are lovely, dark and deep", 8),
        ("makes walked wanted houses little lonely", 10),
        ("", 0),
    ],
)
def test_syllables_are_counted(line, count):
    assert english.syllables(line) == count


def test_rhymes_are_heard_and_not_seen():
    for one, other in (("night", "white"), ("late", "weight"), ("day", "weigh"), ("dead", "said"), ("there", "care"),
                       ("love", "above"), ("stone", "alone"), ("weary", "dreary"), ("falling", "calling"),
                       ("moon", "June"), ("walked", "talked"), ("seas", "breeze"), ("eternity", "sea")):  # fmt: skip
        assert english.rhyme_key(one) == english.rhyme_key(other), (one, other)
    for one, other in (("love", "move"), ("bear", "ear"), ("cow", "know"), ("night", "not"), ("weary", "sorry")):
        assert english.rhyme_key(one) != english.rhyme_key(other), (one, other)
    assert english.rhyme_key("--") == ""


def test_words_that_sound_the_same_are_no_rhyme():
    for one, other in (("sea", "see"), ("rain", "reign"), ("known", "unknown"), ("whole", "hole"), ("cell", "sell"),
                       ("night", "Knight"), ("I", "eye"), ("two", "TWO")):  # fmt: skip
        assert english.onset(one) == english.onset(other), (one, other)
    for one, other in (("air", "lair"), ("sea", "three"), ("queen", "seen"), ("weary", "dreary"), ("white", "quite")):
        assert english.onset(one) != english.onset(other), (one, other)


@pytest.mark.parametrize("name", [n for n, f in meter.FORMS.items() if f.lines[0].syllables])
def test_english_forms_are_always_kept_and_never_stuck(name):
    rng = np.random.default_rng(1)
    form = meter.form(name)
    keeper = meter.Meter(form, VOCABULARY)
    for _ in range(200 if len(form.lines) < 6 else 40):
        lines = [line for line in roll(keeper, rng).split("\n") if line]
        assert len(lines) == len(form.lines)
        ends = {}
        for line, wanted in zip(lines, form.lines, strict=True):
            assert line[0].isupper()
            assert english.syllables(line) == wanted.syllables
            assert not wanted.iambic or beats(line)
            if wanted.rhyme:
                ends.setdefault(wanted.rhyme, []).append(english.words(line)[-1])
        for words in ends.values():
            assert len({english.rhyme_key(word) for word in words}) == 1
            assert len({english.onset(word) for word in words}) == len(words)
        assert meter.faults(lines, form) == ()
        assert judge.judge(lines, form=name).broken == ()
    assert (("\n\n") in roll(keeper, rng)) == any(line.gap for line in form.lines)


def test_random_words_never_get_stuck():
    """Neither in any of many poems, nor with any letter that an acrostic may have, nor in a vocabulary of letters."""
    rng = np.random.default_rng(5)
    for name in ("sonnet", "couplet"):
        keeper = meter.Meter(meter.form(name), VOCABULARY)
        for _ in range(60):
            roll(keeper, rng)
    for start in range(0, 26, 4):
        letters = "abcdefghijklmnopqrstuvwyzabcd"[start : start + 4]
        keeper = meter.Meter(meter.form("quatrain"), VOCABULARY, acrostic=letters)
        assert [line[0].lower() for line in roll(keeper, rng).split("\n")] == list(letters)
    letters = Pieces.learn([" ".join(WORDS[i::50]) + ".\n" for i in range(50)], 290)
    keeper = meter.Meter(meter.form("sonnet"), letters)
    state = keeper.start()
    while not keeper.finished(state):
        choice = np.flatnonzero(keeper.allowed(state))
        assert len(choice)
        state = keeper.advance(state, int(choice[int(rng.random() * len(choice))]))


def test_a_piece_that_is_a_word_is_not_made_into_another():
    """Where `the` may not stand, its piece may not begin `theory`: a model that wants the article gets another word."""
    keeper = meter.Meter(meter.form("sonnet"), VOCABULARY)
    lexicon = keeper.lexicon
    number = {word: i for i, word in enumerate(lexicon.words)}
    some = next(i for i, k in enumerate(lexicon.inside.within) if k == number["the"])
    good = np.ones(len(lexicon.words), bool)
    assert lexicon.inside.sincere(good)[some]
    good[number["the"]] = False
    assert not lexicon.inside.sincere(good)[some]


@pytest.mark.parametrize(
    ("word", "place"),
    [
        ("autumn", 1), ("above", 2), ("remember", 2), ("melody", 1), ("nation", 1), ("imagination", 4),
        ("eternity", 2), ("romantic", 2), ("wandering", 1), ("believed", 2), ("understand", 3),
        ("the", 1), ("into", 0), ("Forgotten", 2),
    ],
)  # fmt: skip
def test_stress_is_known(word, place):
    assert stress.place(word) == place


def test_function_words_are_weak():
    assert {"the", "a", "my"} <= stress.faint() <= stress.weak()
    assert {"of", "and", "to"} <= stress.weak() - stress.faint()
    assert not {"sea", "night", "great"} & stress.weak()
    assert stress.is_known("summer's")
    assert not stress.is_known("Zenobia")


def test_a_line_off_the_beat_is_said():
    wanted = meter.Requirement(10, iambic=True)
    assert meter.fits("Shall I compare thee to a summer's day", wanted) == ()
    assert meter.fits("Heavy the autumn lies upon the sea", wanted) == ()  # a turned first foot
    assert "autumn" in meter.fits("The long autumn lies heavy on the sea", wanted)[0]
    assert meter.fits("The long autumn lies heavy on the sea", meter.Requirement(10)) == ()


def test_an_acrostic_begins_the_lines():
    keeper = meter.Meter(meter.form("quatrain"), VOCABULARY, acrostic="Rose")
    rng = np.random.default_rng(2)
    for _ in range(20):
        assert [line[0] for line in roll(keeper, rng).split("\n")] == list("ROSE")
    with pytest.raises(BadRequest, match="acrostic"):
        meter.Meter(meter.form("haiku"), VOCABULARY, acrostic="roses")
    with pytest.raises(BadRequest, match="1"):
        meter.Meter(meter.form("haiku"), VOCABULARY, acrostic="a1")


def test_what_leaves_a_form_is_said():
    stanza = ["Because I could not stop for Death", "He kindly stopped for me",
              "The Carriage held but just Ourselves", "And Immortality"]  # fmt: skip
    assert meter.faults(stanza, meter.form("quatrain")) == ()
    assert any(
        "rhyme" in fault for fault in meter.faults([*stanza[:3], "And then the evening came"], meter.form("quatrain"))
    )
    assert any("syllables" in fault for fault in meter.faults(["old pond", *stanza[1:]], meter.form("quatrain")))
    assert "lines" in meter.faults(stanza[:2], meter.form("quatrain"))[0]


def test_unknown_and_formless_forms_are_refused():
    with pytest.raises(UnknownName, match="sonnet"):
        meter.form("sonet")
    with pytest.raises(BadRequest, match="verse"):
        meter.Meter(meter.form("verse"), VOCABULARY)
