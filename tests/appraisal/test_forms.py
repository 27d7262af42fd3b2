"""The judge: real poems are what they are, and every fault put into one is found at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from danqing.appraisal import forms
from danqing.appraisal.forms import Tune, judge, read_tunes
from danqing.encode.prosody import Prosody

SPRING = "国破山河在，城春草木深。感时花溅泪，恨别鸟惊心。烽火连三月，家书抵万金。白头搔更短，浑欲不胜簪。"
SECOND, THIRD = "感时花溅泪，恨别鸟惊心。", "烽火连三月，家书抵万金。"
HEIGHT = (
    "风急天高猿啸哀，渚清沙白鸟飞回。无边落木萧萧下，不尽长江滚滚来。万里悲秋常作客，百年多病独登台。"
    "艰难苦恨繁霜鬓，潦倒新停浊酒杯。"
)
AUTUMN = "空山新雨后，天气晚来秋。明月松间照，清泉石上流。竹喧归浣女，莲动下渔舟。随意春芳歇，王孙自可留。"
LAKE = "水光潋滟晴方好，山色空蒙雨亦奇。欲把西湖比西子，淡妆浓抹总相宜。"
MOUNTAIN = "横看成岭侧成峰，远近高低各不同。不识庐山真面目，只缘身在此山中。"
TOWER = "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。"
DEER = "空山不见人，但闻人语响。返景入深林，复照青苔上。"
SAND = "一曲新词酒一杯，去年天气旧亭台。夕阳西下几时回？无可奈何花落去，似曾相识燕归来。小园香径独徘徊。"
TUNE = Tune(
    "浣溪沙",
    ("中仄平平中仄平", "中平中仄仄平平", "中平中仄仄平平", "中仄中平平仄仄", "中平中仄仄平平", "中平中仄仄平平"),
    ("a", "a", "a", "", "a", "a"),
)


@pytest.fixture(scope="module")
def sounds() -> Prosody:
    return Prosody.load()


@pytest.mark.parametrize(
    ("text", "name", "opening"),
    [
        (SPRING, "五律", "仄起首句不入韵"),
        (HEIGHT, "七律", "仄起首句入韵"),
        (AUTUMN, "五律", "平起首句不入韵"),
        (LAKE, "七绝", "平起首句不入韵"),
        (MOUNTAIN, "七绝", "平起首句入韵"),  # 峰 is borrowed from the neighbouring 二冬
        (TOWER, "五绝", "仄起首句不入韵"),
    ],
)
def test_regulated_poems_by_the_masters_keep_every_rule(sounds: Prosody, text: str, name: str, opening: str):
    form = judge(text, sounds)
    assert form.name == name
    assert form.kept, form.broken
    assert opening in [finding.zh for finding in form.findings]
    assert len(form.tones) == len(form.lines) == len(form.pattern)
    for tones, pattern in zip(form.tones, form.pattern, strict=True):
        assert all(
            (t, p) not in {("○", "仄"), ("●", "平")} or text == LAKE for t, p in zip(tones, pattern, strict=True)
        )


def test_rhymes_are_named_where_they_stand(sounds: Prosody):
    assert judge(SPRING, sounds).rhymes == ("", "十二侵", "", "十二侵", "", "十二侵", "", "十二侵")
    assert judge(HEIGHT, sounds).rhymes[0] == "十灰"


@pytest.mark.parametrize(
    ("poem", "old", "new", "rule", "line"),
    [
        (SPRING, "草木深", "草木长", "rhyme", 2),  # 长 is in 七阳
        (SPRING, "鸟惊心", "鸟惊梦", "rhyme", 4),  # 梦 is oblique
        (SPRING, "万金", "万深", "rhyme-repeated", 6),
        (SPRING, "感时花", "感事花", "alternation", 3),
        (SPRING, "连三月", "连三秋", "ending", 5),
        (SPRING, "国破山河在", "山川春尚在", "opposition", 2),
        (
            SPRING,
            "感时花溅泪，恨别鸟惊心。烽火连三月，家书抵万金",
            "烽火连三月，家书抵万金。感时花溅泪，恨别鸟惊心",
            "agreement",
            3,
        ),
        (SPRING, "家书抵万金", "一书抵万金", "lone-level", 6),
        (SPRING, "草木深", "草山深", "alternation", 2),
        (AUTUMN, "清泉石上流", "清泉石上", "length", 4),
        (AUTUMN, "王孙自可留。", "", "lines", 0),
        (HEIGHT, "渚清沙白鸟飞回", "渚清沙白人飞回", "three-level", 2),
        (HEIGHT, "滚滚来", "滚滚愁", "rhyme", 4),
        (HEIGHT, "繁霜鬓", "繁霜风", "ending", 7),
    ],
)  # fmt: skip
def test_every_fault_is_found_at_its_line(sounds: Prosody, poem: str, old: str, new: str, rule: str, line: int):
    assert old in poem
    broken = judge(poem.replace(old, new), sounds, form=judge(poem, sounds).name).broken
    assert (rule, line) in [(finding.rule, finding.line) for finding in broken]
    assert all(finding.zh and finding.en for finding in broken)


def test_a_fault_spoils_one_line_and_no_other(sounds: Prosody):
    broken = judge(SPRING.replace("抵万金", "抵千金"), sounds).broken
    assert [(finding.rule, finding.line) for finding in broken] == [("alternation", 6)]
    assert judge(SPRING.replace("草木深", "草木长"), sounds).name == "五律"  # a 五律 with a fault is still one


def test_a_licensed_line_is_no_fault(sounds: Prosody):
    """欲把西湖比西子 ends 平仄平仄, which stands for 平平仄仄."""
    assert not [f for f in judge(LAKE, sounds).broken if f.line == 3]


def test_ancient_verse_is_not_held_to_rules_it_does_not_have(sounds: Prosody):
    form = judge(DEER, sounds)
    assert form.name == "古诗"
    assert form.kept
    assert form.rhymes[1] == form.rhymes[3] != ""


def test_couplets(sounds: Prosody):
    good = judge("海内存知己，天涯若比邻。", sounds)
    assert good.name == "对联"
    assert good.kept
    for lower, rule in (
        ("天涯若比海", "shared"),
        ("天涯若比户", "ending"),
        ("万里若比邻", "mirror"),
        ("天涯邻", "length"),
    ):
        broken = judge(f"海内存知己，{lower}。", sounds, form="对联").broken
        assert rule in {finding.rule for finding in broken}, lower


def test_ci_is_held_against_its_tune(sounds: Prosody, tmp_path: Path):
    tunes = {"浣溪沙": TUNE}
    form = judge(SAND, sounds, tunes=tunes)
    assert form.name == "词:浣溪沙"
    assert form.kept, form.broken
    assert judge(SAND, sounds, title="浣溪沙·春恨", tunes=tunes).name == "词:浣溪沙"
    for old, new, rule, line in (
        ("酒一杯", "酒一壶", "rhyme", 1),
        ("花落去", "花落来", "pattern", 4),
        ("燕归来", "燕来", "length", 5),
    ):
        broken = judge(SAND.replace(old, new), sounds, form="词:浣溪沙", tunes=tunes).broken
        assert (rule, line) in [(finding.rule, finding.line) for finding in broken]
    assert not judge(SAND[:-8], sounds, form="词:浣溪沙", tunes=tunes).kept
    table = tmp_path / "tunes.toml"
    table.write_text(
        '["浣溪沙"]\nlines = ["中仄平平中仄平a，", "中平中仄仄平平a。"]\naliases = ["小庭花"]\n', encoding="utf-8"
    )
    assert read_tunes(table)["小庭花"].rhymes == ("a", "a")


def test_the_modern_book_judges_by_todays_speech():
    """入 tones are gone: 国破山河在 has other tones, and the poem as a whole is no longer regulated without faults."""
    form = judge(SPRING, Prosody.load(book="modern"), form="五律")
    assert form.broken


def test_what_is_no_verse_is_told_as_such(sounds: Prosody):
    assert judge("no Chinese here", sounds).name == "verse"
    assert judge("今天天气很好，我们一起去公园里散步。后来下雨了。", sounds).name == "verse"


def test_the_judge_shares_no_code_with_the_writer():
    source = Path(forms.__file__).read_text(encoding="utf-8")
    assert "danqing.encode" not in source.replace("danqing.encode.forms) ", "").split('"""', 2)[2]
