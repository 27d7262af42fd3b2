"""Forms are kept whatever a model wants: here it wants anything at all, uniformly."""

from __future__ import annotations

import re

import numpy as np
import pytest

from danqing.encode import forms, patterns
from danqing.encode.prosody import Prosody
from danqing.encode.text import Characters
from danqing.errors import BadRequest, UnknownName

PROSODY = Prosody.load()
MODERN = Prosody.load(book="modern")
# Every character that the table knows in both books: a vocabulary without a model.
CHARS = sorted(c for c in PROSODY.characters() if MODERN.tone(c))
VOCABULARY = Characters(list(dict.fromkeys([*"，。、；鄜啊", *CHARS])))
REGULATED = ("五绝", "七绝", "五律", "七律")


def roll(keeper, rng):
    """A poem of uniformly drawn tokens, and the last state."""
    state, tokens = keeper.start(), []
    while not keeper.finished(state):
        choice = np.flatnonzero(keeper.allowed(state))
        assert len(choice), f"dead end in {keeper.name} after {VOCABULARY.decode(tokens)}"
        tokens.append(int(choice[int(rng.random() * len(choice))]))
        state = keeper.advance(state, tokens[-1])
    end = np.flatnonzero(keeper.allowed(state))
    assert end.tolist() == [VOCABULARY.id("<end>")]
    return VOCABULARY.decode(tokens), state


def cut(text):
    return [part for part in re.split("[，。、；]", text) if part]


def can(char, tone, book=PROSODY):
    return book.tone(char) in (tone, "both")


def keeps_regulated(lines, book=PROSODY):
    """The rules in other words: even places alternate and answer, the level ends rhyme, and the three faults."""
    width = len(lines[0])
    assert {len(line) for line in lines} == {width}
    found = False
    for start in "平仄":
        good = True
        for i, line in enumerate(lines):
            for place in range(1, width - 1, 2):
                flips = (i % 4 in (1, 2)) + place // 2
                tone = start if flips % 2 == 0 else "仄平"[start == "仄"]
                good &= can(line[place], tone, book)
        found |= good
    assert found, lines
    rhymed = [line[-1] for line in lines[1::2]]
    if book.tone(lines[0][-1]) != "仄" and book.usual_tone(lines[0][-1]) != "仄":
        rhymed.insert(0, lines[0][-1])
    assert len(set(rhymed)) == len(rhymed)
    assert frozenset.intersection(*(book.rhymes(c, "平") for c in rhymed))
    for i, line in enumerate(lines):
        if line[-1] not in rhymed:
            assert i % 2 == 0
            assert book.usual_tone(line[-1]) == "仄"
            assert not all(book.tone(c) == "仄" for c in line[-3:])
        else:
            assert not all(book.tone(c) == "平" for c in line[-3:])
            core = line[-5:]
            if book.tone(core[1]) == "平" and book.tone(core[0]) == "仄":
                assert book.tone(core[2]) != "仄"  # 孤平


@pytest.mark.parametrize("form", REGULATED)
def test_regulated_verse_is_always_kept_and_never_stuck(form):
    rng = np.random.default_rng(1)
    keeper = forms.constraint(form, VOCABULARY, PROSODY)
    count, width = patterns.REGULATED[form]
    for _ in range(200):
        text, state = roll(keeper, rng)
        assert re.fullmatch(rf"(\w{{{width}}}，\w{{{width}}}。){{{count // 2}}}", text)
        lines = cut(text)
        keeps_regulated(lines)
        for i, char in enumerate(text):
            if char not in "，。" and text[i - 1] != char:
                assert char not in text[i + 2 :]  # only doubled words return
        assert keeper.template(state)[0] in "平仄"


@pytest.mark.parametrize("rhyme", PROSODY.groups("平"))
def test_every_rhyme_can_be_asked_for(rhyme):
    rng = np.random.default_rng(2)
    keeper = forms.constraint("七律", VOCABULARY, PROSODY, rhyme=rhyme, first_line_rhyme=True)
    for _ in range(7):
        lines = cut(roll(keeper, rng)[0])
        keeps_regulated(lines)
        assert all(rhyme in PROSODY.rhymes(lines[i][-1]) for i in (0, 1, 3, 5, 7))


def test_a_rhyme_with_barely_enough_characters_is_never_used_up():
    """Seven characters of 江, five of them needed: no other place may take the last of these."""
    few = [c for c in CHARS if PROSODY.usual_rhymes(c, "平") == {"三江"}][:7]
    others = [c for c in CHARS if "三江" not in PROSODY.rhymes(c)][::8]
    small = Characters([*"，。、", *few, *others])
    keeper = forms.constraint("七律", small, PROSODY, rhyme="江", first_line_rhyme=True)
    rng = np.random.default_rng(3)
    for _ in range(200):
        state = keeper.start()
        while not keeper.finished(state):
            mask = keeper.allowed(state)
            greedy = [small.id(c) for c in few if mask[small.id(c)]]
            choice = greedy or np.flatnonzero(mask)
            assert len(choice)
            state = keeper.advance(state, int(rng.choice(choice)))
    with pytest.raises(BadRequest, match="too few"):
        forms.constraint("七律", Characters([*"，。、", *few[:3], *others]), PROSODY, rhyme="江")


def test_options_are_kept():
    rng = np.random.default_rng(4)
    for start, tone in (("level", "平"), ("oblique", "仄")):
        for rhymed in (True, False):
            keeper = forms.constraint("七绝", VOCABULARY, PROSODY, start_tone=start, first_line_rhyme=rhymed)
            for _ in range(20):
                lines = cut(roll(keeper, rng)[0])
                assert can(lines[0][1], tone)
                assert can(lines[0][-1], "平" if rhymed else "仄")
                keeps_regulated(lines)


def test_the_modern_book_is_kept_as_well():
    rng = np.random.default_rng(5)
    for form in ("五律", "词:浣溪沙", "古诗"):
        keeper = forms.constraint(form, VOCABULARY, MODERN)
        for _ in range(50):
            lines = cut(roll(keeper, rng)[0])
            if form == "五律":
                keeps_regulated(lines, MODERN)


@pytest.mark.parametrize("form", REGULATED)
def test_an_acrostic_is_kept(form):
    rng = np.random.default_rng(6)
    keeper = forms.constraint(form, VOCABULARY, PROSODY, acrostic="春夏秋冬")
    for _ in range(50):
        lines = cut(roll(keeper, rng)[0])
        assert "".join(line[0] for line in lines[:4]) == "春夏秋冬"
        keeps_regulated(lines)


def test_an_opening_is_kept_and_decides_the_pattern():
    rng = np.random.default_rng(7)
    for opening in ("白日依山尽", "白日依山尽，黄河入海流", "白日依山尽黄河入海流", "白日", "渭城朝雨浥轻尘"):
        form = "七绝" if len(opening) == 7 else "五绝"
        keeper = forms.constraint(form, VOCABULARY, PROSODY, opening=opening)
        assert keeper.notes == ()
        for _ in range(20):
            text, _ = roll(keeper, rng)
            assert text.replace("，", "").startswith(opening.replace("，", ""))
            keeps_regulated(cut(text))


def test_an_opening_that_breaks_the_tones_is_kept_and_told():
    keeper = forms.constraint("五绝", VOCABULARY, PROSODY, opening="清晨入古寺")
    assert len(keeper.notes) >= 1
    assert "line 1" in keeper.notes[0]
    text, _ = roll(keeper, np.random.default_rng(0))
    assert text.startswith("清晨入古寺，")


# --- ci, old-style verse, couplets -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", patterns.tunes())
def test_every_tune_is_kept_two_hundred_times(name):
    keeps_tune(name, 200)


@pytest.mark.parametrize("name", patterns.tunes())
def test_every_tune_is_always_kept_and_never_stuck(name):
    keeps_tune(name, 20)


def keeps_tune(name, count):
    rng = np.random.default_rng(8)
    keeper = forms.constraint(f"词:{name}", VOCABULARY, PROSODY)
    tune = patterns.tune(name)
    wanted = "".join(tune.lines)
    tones = re.sub("[a-z，。、]", "", wanted)
    shape = re.sub("[a-z]", "", wanted)
    for _ in range(count):
        text, _ = roll(keeper, rng)
        assert re.sub("[平仄中]", "字", shape) == re.sub(r"\w", "字", text)
        chars = re.sub("[，。、]", "", text)
        for i, (char, tone) in enumerate(zip(chars, tones, strict=True)):
            assert tone == "中" or i in tune.copies or can(char, tone)
        for later, earlier in tune.copies.items():
            assert chars[later] == chars[earlier]
        sets = {}
        place = 0
        for mark in wanted:
            if mark in "平仄中":
                place += 1
            elif mark.islower():
                sets.setdefault(mark, []).append(place - 1)
        for places in sets.values():
            classes = [{c[:-1] for c in PROSODY.ci_rhymes(chars[p])} for p in places]
            assert set.intersection(*classes)
            once = [chars[p] for p in places if p not in tune.copies]
            assert len(set(once)) == len(once)


def test_there_are_at_least_forty_tunes_and_other_names_are_known():
    assert len(patterns.tunes()) >= 40
    assert patterns.tune("酹江月") == patterns.tune("念奴娇")
    with pytest.raises(UnknownName, match="浣溪沙"):
        patterns.tune("浣溪纱儿")


def test_old_style_verse_rhymes_at_even_lines():
    rng = np.random.default_rng(9)
    for width, count in ((5, 8), (7, 4)):
        keeper = forms.constraint("古诗", VOCABULARY, PROSODY, width=width, lines=count)
        for _ in range(100):
            lines = cut(roll(keeper, rng)[0])
            assert [len(line) for line in lines] == [width] * count
            ends = [line[-1] for line in lines[1::2]]
            assert len(set(ends)) == len(ends)
            assert PROSODY.shared(ends)


@pytest.mark.parametrize("upper", ["海内存知己", "风声雨声读书声，声声入耳", "天", "两个黄鹂鸣翠柳", "春风大雅能容物"])
def test_a_couplet_is_answered(upper):
    rng = np.random.default_rng(10)
    keeper = forms.constraint("对联", VOCABULARY, PROSODY, upper=upper)
    for _ in range(100):
        text, _ = roll(keeper, rng)
        assert text.startswith(upper)
        lower = text[len(upper) + 1 :]
        assert text.endswith("。")
        assert [len(p) for p in cut(lower)] == [len(p) for p in cut(upper)]
        assert not set(cut(upper)[0]) & set(cut(lower)[0])
        assert can(lower[-2], "平" if PROSODY.tone(upper[-1]) != "平" else "仄")
        if len(cut(upper)) == 1:
            for place in range(1, len(upper) - 1, 2):
                tone = PROSODY.tone(upper[place])
                assert tone == "both" or can(lower[place], {"平": "仄", "仄": "平"}[tone])


def test_a_couplet_that_is_upside_down_is_told_and_mirrored():
    keeper = forms.constraint("对联", VOCABULARY, PROSODY, upper="明月松间照清泉")
    assert "level" in keeper.notes[0]
    lower = cut(roll(keeper, np.random.default_rng(0))[0])[1]
    assert can(lower[-1], "仄")
    for _ in range(50):
        lines = cut(roll(forms.constraint("对联", VOCABULARY, PROSODY), np.random.default_rng(1))[0])
        assert can(lines[0][-1], "仄")
        assert can(lines[1][-1], "平")


def test_an_acrostic_alone_chooses_its_form():
    rng = np.random.default_rng(11)
    for text, count in (("春夏秋冬", 4), ("一二三四五六七八", 8), ("生日快乐啊", 6)):
        lines = cut(roll(forms.constraint("藏头诗", VOCABULARY, PROSODY, acrostic=text), rng)[0])
        assert len(lines) == count
        assert "".join(line[0] for line in lines).startswith(text)


def test_free_verse_keeps_its_bounds():
    small = Characters([*"，。\n", *CHARS[:500]])
    keeper = forms.constraint("自由诗", small, PROSODY, lines=6, width=9)
    rng = np.random.default_rng(12)
    for _ in range(100):
        state, tokens = keeper.start(), []
        while not keeper.finished(state):
            tokens.append(int(rng.choice(np.flatnonzero(keeper.allowed(state)))))
            state = keeper.advance(state, tokens[-1])
        lines = small.decode(tokens).rstrip("\n").split("\n")
        assert len(lines) == 6
        assert all(2 <= len(line) <= 9 for line in lines)


# --- real poems, bad input --------------------------------------------------------------------------------------------

POEMS = {
    "登鹳雀楼": ("五绝", "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。"),
    "相思": ("五绝", "红豆生南国，春来发几枝。愿君多采撷，此物最相思。"),
    "早发白帝城": ("七绝", "朝辞白帝彩云间，千里江陵一日还。两岸猿声啼不住，轻舟已过万重山。"),
    "枫桥夜泊": ("七绝", "月落乌啼霜满天，江枫渔火对愁眠。姑苏城外寒山寺，夜半钟声到客船。"),
    "春望": (
        "五律",
        "国破山河在，城春草木深。感时花溅泪，恨别鸟惊心。烽火连三月，家书抵万金。白头搔更短，浑欲不胜簪。",
    ),
    "登高": (
        "七律",
        "风急天高猿啸哀，渚清沙白鸟飞回。无边落木萧萧下，不尽长江滚滚来。"
        "万里悲秋常作客，百年多病独登台。艰难苦恨繁霜鬓，潦倒新停浊酒杯。",
    ),
    "浣溪沙": (
        "词:浣溪沙",
        "一曲新词酒一杯。去年天气旧亭台。夕阳西下几时回。无可奈何花落去，似曾相识燕归来。小园香径独徘徊。",
    ),
    "西江月": (
        "词:西江月",
        "明月别枝惊鹊，清风半夜鸣蝉。稻花香里说丰年。听取蛙声一片。七八个星天外，两三点雨山前。旧时茅店社林边。路转溪桥忽见。",
    ),
    "卜算子": (
        "词:卜算子",
        "缺月挂疏桐，漏断人初静。谁见幽人独往来，缥缈孤鸿影。惊起却回头，有恨无人省。拣尽寒枝不肯栖，寂寞沙洲冷。",
    ),
}


@pytest.mark.parametrize("title", POEMS)
def test_famous_poems_keep_their_form(title):
    form, text = POEMS[title]
    assert forms.deviations(form, text, VOCABULARY, PROSODY) == ()


KNOWN = {  # where famous poems do leave the rules, as commentaries say
    "山居秋暝": (
        "五律",
        "空山新雨后，天气晚来秋。明月松间照，清泉石上流。竹喧归浣女，莲动下渔舟。随意春芳歇，王孙自可留。",
        0,
    ),
    "黄鹤楼": (
        "七律",
        "昔人已乘黄鹤去，此地空余黄鹤楼。黄鹤一去不复返，白云千载空悠悠。"
        "晴川历历汉阳树，芳草萋萋鹦鹉洲。日暮乡关何处是，烟波江上使人愁。",
        2,
    ),
    "八阵图": ("五绝", "功盖三分国，名成八阵图。江流石不转，遗恨失吞吴。", 1),  # 石不转: three oblique tones
    "静夜思": ("五绝", "床前明月光，疑是地上霜。举头望明月，低头思故乡。", 2),
    "月夜": (
        "五律",
        "今夜鄜州月，闺中只独看。遥怜小儿女，未解忆长安。香雾云鬟湿，清辉玉臂寒。何时倚虚幌，双照泪痕干。",
        3,  # 平平仄平仄 twice, the exception that poets allowed themselves
    ),
}


@pytest.mark.parametrize("title", KNOWN)
def test_where_famous_poems_leave_the_rules_is_reported(title):
    form, text, least = KNOWN[title]
    found = forms.deviations(form, text, VOCABULARY, PROSODY)
    assert len(found) >= least
    assert bool(found) == bool(least)


@pytest.mark.parametrize(
    ("form", "asked", "names"),
    [
        ("五绝", {"acrostic": "春夏秋冬春"}, ["acrostic", "五绝"]),
        ("五绝", {"opening": "渭城朝雨浥轻尘"}, ["opening", "五绝"]),
        ("五绝", {"opening": "天" * 10_000}, ["10,000", "五绝"]),
        ("五绝", {"opening": "白日依山尽，黄河入海流", "rhyme": "东"}, ["opening", "东"]),
        ("五绝", {"opening": "白日依山尽", "acrostic": "红"}, ["opening", "acrostic"]),
        ("五绝", {"opening": "白日依山尽", "first_line_rhyme": True}, ["opening", "first-line rhyme"]),
        ("五绝", {"opening": "白日依山尽", "start_tone": "level"}, ["opening", "start tone"]),
        ("五绝", {"opening": "hello"}, ["h e l o"]),
        ("五绝", {"rhyme": "一屋"}, ["一屋", "五绝"]),
        ("五绝", {"tune": "浣溪沙"}, ["浣溪沙", "五绝"]),
        ("五绝", {"upper": "海内存知己"}, ["upper", "五绝"]),
        ("对联", {"upper": "海内存知己", "opening": "天"}, ["upper", "opening"]),
        ("对联", {"upper": "天" * 10_000}, ["10,000"]),
        ("对联", {"rhyme": "东"}, ["东", "对联"]),
        ("词:满江红", {"rhyme": "七阳"}, ["七阳", "满江红"]),
        ("词:更漏子", {"acrostic": "天"}, ["acrostic", "更漏子"]),
        ("词", {}, ["tune"]),
        ("古诗", {"lines": 7}, ["7"]),
        ("古诗", {"start_tone": "level"}, ["start tone", "古诗"]),
    ],
)
def test_what_contradicts_is_refused_by_name(form, asked, names):
    with pytest.raises(BadRequest) as caught:
        forms.constraint(form, VOCABULARY, PROSODY, **asked)
    for name in names:
        assert name in str(caught.value)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="七绝"):
        forms.constraint("七绝句", VOCABULARY, PROSODY)
    with pytest.raises(UnknownName, match="浣溪沙"):
        forms.constraint("词:浣溪水", VOCABULARY, PROSODY)
    with pytest.raises(UnknownName, match="rhyme"):
        forms.constraint("五绝", VOCABULARY, PROSODY, rhyme="二十东")


def test_masks_are_quick_and_states_are_shared():
    """States are values: advancing one leaves it as it was."""
    keeper = forms.constraint("七律", VOCABULARY, PROSODY)
    state = keeper.start()
    before = keeper.allowed(state).copy()
    keeper.advance(state, int(np.flatnonzero(before)[0]))
    assert state == keeper.start()
    assert (keeper.allowed(state) == before).all()
    assert hash(state) == hash(keeper.start())
