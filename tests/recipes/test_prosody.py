"""The tables of tones, rhymes and tunes are what the poems say."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from danqing import recipes
from danqing.encode.prosody import Prosody
from danqing.recipes import lexicon, scansion, tunes
from danqing.recipes import prosody as making
from danqing.training.texts import Poem

PROSODY = Prosody.load()


def poem(text, tune=""):
    return Poem(tuple(part + "。" for part in text.split("。") if part), "词" if tune else "七绝", tune=tune)


def test_the_recipe_is_found_by_name():
    recipe = recipes.get("prosody")
    assert recipe.name == "prosody"
    assert recipe.config.tiny().tune_poems < recipe.config().tune_poems


def test_a_character_that_the_book_lacks_is_estimated_from_those_around_it():
    """朝辞白帝彩云间 … with 山 unknown: its place and its rhymes give it away."""
    table = making.Table()
    for char in "朝辞白帝彩云间千里江陵一日还两岸猿声啼不住轻舟已过万重":
        table.readings[char] = {(t, g) for t in "平仄" for g in PROSODY.usual_rhymes(char, t)}
    table.groups = {g: "平" if g in PROSODY.groups("平") else "仄" for g in PROSODY.groups()}
    lines = ["朝辞白帝彩云间", "千里江陵一日还", "两岸猿声啼不住", "轻舟已过万重山"]
    voted, total = making.count_tones(table, [lines] * 10)
    assert (voted, total) == (10, 10)
    making.count_rhymes(table, [["间", "还", "山"]] * 10)
    tone, confidence, groups = making.estimates(table)["山"]
    assert (tone, confidence, groups) == ("平", 1.0, ["十五删"])


def test_a_tune_is_derived_from_its_poems():
    text = (
        "一曲新词酒一杯。去年天气旧亭台。夕阳西下几时回。无可奈何花落去，似曾相识燕归来。小园香径独徘徊。",
        "簌簌衣巾落枣花。村南村北响缫车。牛衣古柳卖黄瓜。酒困路长惟欲睡，日高人渴漫思茶。敲门试问野人家。",
        "麻叶层层檾叶光。谁家煮茧一村香。隔篱娇语络丝娘。垂白杖藜抬醉眼，捋青捣麨软饥肠。问言豆叶几时黄。",
    )
    found = tunes.derive([poem(t, "浣沙溪・浣溪沙") for t in text], PROSODY, least=3)
    entry = found["浣溪沙"]
    assert entry["aliases"] == ["浣沙溪"]
    assert entry["poems"] == 3
    assert [line[-2] == "a" for line in entry["lines"]] == [True, True, True, False, True, True]
    assert [len(line.strip("a，。").rstrip("a")) for line in entry["lines"]] == [7] * 6
    assert "[" in tunes.as_toml(found)


def test_shapes_are_compared_by_sentences():
    song = tunes.Song(("明月几时有", "把酒问青天"), "，。")
    assert song.sentences == (10,)
    assert song.cut((4, 6), "，。").segments == ("明月几时", "有把酒问青天")


def test_english_words_are_listed_with_what_they_rhyme_by():
    verse = ["The sun is bright", "upon the sea", "and all the night", "is come to me"] * 20
    table = lexicon.derive([verse], [verse], least=2)
    assert "bright" in table["words"]["1"].split()
    assert "upon" in table["words"]["2"].split()
    assert json.loads(making.as_json(table)) == table


# Lines of eight syllables; `morrel` and `zalore` are no words, and no rule of spelling knows the stress of the second.
IAMBIC = [
    "The morning came across the sea",
    "And all the golden meadow slept",
    "The morrel sings above the sea",
    "I saw the light zalore the sea",
]


def test_stress_is_heard_in_iambic_verse():
    known, shares = scansion.derive([IAMBIC * 20], [])
    assert known["morrel"] == known["golden"] == 1
    assert known["zalore"] == known["across"] == 2
    assert shares["the"] == 0


def test_a_word_that_poets_set_both_ways_is_free():
    both = ["I saw the zalore on the sea", "I saw the light zalore the sea"]
    assert scansion.derive([IAMBIC[:3] * 40 + both * 20], [])[0]["zalore"] == 0


def test_verse_without_the_beat_does_not_vote():
    trochees = [
        "Golden meadows, silver rivers",
        "Morning, evening, autumn, summer",
        "Zalore, morning, golden river",
    ] * 20
    votes = scansion.count([scansion.lines(trochees)], {"golden": 1, "meadows": 1, "rivers": 1, "silver": 1})
    assert not votes.odd
    assert not votes.even


def test_a_table_keeps_only_what_rules_do_not_say():
    table = lexicon.derive([IAMBIC * 20], [IAMBIC * 20], least=2)
    assert "zalore" in table["stress"]["2"].split()
    assert "golden" not in " ".join(table["stress"].values())
    assert set(table["beats"]) == {"faint", "weak"}


def test_modern_readings_leave_out_what_words_hardly_use():
    found = making.modern("不看国诗")
    where = Counter(char for tones in found.values() for chars in tones.values() for char in chars)
    assert where["国"] == where["诗"] == 1
    assert "诗" in found["十三支"]["平"]
    assert where["看"] == 2


HALVES = [("ai", [3, 5], 5), ("uei", [3, 5], 3), ("uan", [6, 7], 7), ("uen", [6, 7], 6), ("ua", [5, 10], 10)]


@pytest.mark.parametrize(("final", "numbers", "number"), HALVES)
def test_halves_of_shared_groups_are_told_by_todays_finals(final, numbers, number):
    assert making._half(final, numbers) == number
