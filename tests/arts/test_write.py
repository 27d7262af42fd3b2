"""Texts by models that know nothing: the form is kept all the same, and what cannot be met is refused in one line."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from danqing import studio
from danqing.appraisal import forms
from danqing.arts import Tools, plots, prose, verse, write, writers
from danqing.arts.write import Write, create, create_all
from danqing.artwork.literature import Writing, read
from danqing.artwork.request import Step
from danqing.catalog import styles
from danqing.catalog.catalog import Catalog
from danqing.catalog.styles import Styles
from danqing.compute import checkpoint, device
from danqing.encode import meter
from danqing.encode import origins as encoded
from danqing.encode.cast import ROLES
from danqing.encode.prosody import Prosody
from danqing.encode.script import to_simplified, to_traditional
from danqing.encode.text import Characters, Pieces
from danqing.errors import BadRequest, DanqingError, InvalidMedia, Unavailable
from danqing.techniques import sequence

CARD = """name = "{name}"
purpose = "a model of the tests"
rights = "open"
licence = "Apache-2.0"
data = []
parameters = 1
storage = "float32"
sha256 = "{sha256}"
limits = []
[made]
command = "none"
hours = 0.0
hardware = "none"
seed = 0
"""
SPRING = "国破山河在，城春草木深。\n感时花溅泪，恨别鸟惊心。\n烽火连三月，家书抵万金。\n白头搔更短，浑欲不胜簪。"
KINDS = ("story", "prose", "verse", "script", "opening", "ending")


def vocabulary() -> Characters:
    """Every character of the rhyme book, and the controls of the poet."""
    poem = ["五绝", "七绝", "五律", "七律", "古诗", "词", "对联", "唐", "宋", "level", "oblique", "mask", "poet:李白"]
    known = sorted(c for c in Prosody.load().characters() if to_simplified(to_traditional(c)) == c)
    chars = [*"，。！？、；：“”《》\n", *known]
    return Characters(chars, [f"<{name}>" for name in (*poem, *KINDS)] + [*ROLES])


def ship(root: Path, name: str, tensors: dict[str, Any], header: dict[str, Any]) -> None:
    """Put a file and its card into a catalog."""
    path = root / "weights" / f"{name}.safetensors"
    checkpoint.save_weights(path, tensors, header)
    card = CARD.format(name=name, sha256=checkpoint.sha256_of(path))
    (root / "cards" / f"{name}.toml").write_text(card, encoding="utf-8")


def model(words: Any, *, causal: bool = True, **about: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A tiny model with random weights over a vocabulary: tensors and header."""
    torch.manual_seed(1)
    config = sequence.Config(len(words), width=16, depth=1, heads=2, context=256, causal=causal)
    header = {"architecture": "sequence", "config": dataclasses.asdict(config), "vocabulary": words.to_json(), **about}
    return sequence.build(config).state_dict(), header


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """A poet, a reviser and story models that have learned nothing, and the filters of two poems."""
    root = tmp_path_factory.mktemp("catalog")
    for folder in ("cards", "weights"):
        (root / folder).mkdir()
    chars = vocabulary()
    words = {"topics": ["明月", "秋", "月"], "themes": ["边塞", "欢喜"]}
    ship(root, writers.POET, *model(chars, **words))
    ship(root, writers.REVISER, *model(chars, causal=False))
    people = {"people": {"书生": True, "老人": True, "宋江": False}, "companions": {"书生": ["老人"]}}
    ship(root, writers.STORY["zh"], *model(chars, topics=["狐", "月"], **people))
    tale = ["a fox wanted the moon. it ran and ran, far away. the wolf and the king saw it."] * 4
    pieces = Pieces.learn(tale, 320, [*(f"<{k}>" for k in KINDS), *ROLES])
    people = {"people": {"fox": True, "wolf": True, "king": True}, "companions": {"fox": ["wolf"]}}
    ship(root, writers.STORY["en"], *model(pieces, topics=["fox", "moon"], **people))
    poems = [forms.verses(SPRING), forms.verses("床前明月光，疑是地上霜。举头望明月，低头思故乡。")]
    lines = encoded.hashes([line for poem in poems for line in poem])
    parts = {"lines": lines, "runs": encoded.runs(poems), "verse": lines[:0]}
    tensors = {name: torch.from_numpy(encoded.Filter.of(hashes, 30).bits) for name, hashes in parts.items()}
    ship(root, writers.ORIGINS, tensors, {"architecture": "origins"})
    return Catalog(root, root / "downloads")


@pytest.fixture
def make(catalog: Catalog) -> Callable[..., list[Writing]]:
    """Meets a request with these models; returns the texts."""

    def run(on_step: Callable[[Step], None] = lambda step: None, **fields: Any) -> list[Writing]:
        tools = Tools(device.choose("cpu"), Styles(catalog), on_step)
        return [work.content for work in create_all(Write(**{"seed": 1, **fields}), tools)]  # type: ignore[misc]

    return run


def judged(writing: Writing, **options: Any) -> forms.Form:
    return forms.judge(
        writing.text, Prosody.load(**options), form=writing.form, title=writing.title, tunes=writers.tunes()
    )


# --- poems ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["五绝", "七绝", "五律", "七律", "对联", "古诗", "词:浣溪沙", "词:菩萨蛮"])
def test_a_poem_keeps_its_form_whatever_the_model(make: Callable[..., list[Writing]], form: str):
    (poem,) = make(form=form, topic="明月")
    told = judged(poem)
    assert poem.form == told.name == form
    assert told.kept, told.broken


def test_couplets_may_be_long_and_several_may_answer_one_line(make: Callable[..., list[Writing]]):
    upper = "风声雨声读书声声声入耳家事国事天下事事事关心古今多少事都付笑谈中"
    known = "".join(char for char in upper if char in vocabulary().characters)
    long = (known * 40)[:32]
    for couplet in make(form="对联", start=long, count=2):
        assert couplet.lines[0] == long
        assert len(couplet.lines[1]) == len(long)


def test_the_default_is_a_quatrain_and_the_same_seed_gives_it_again(make: Callable[..., list[Writing]]):
    first, again, other = make(), make(), make(seed=2)
    assert first[0].form == "七绝"
    assert first == again != other


def test_count_gives_poems_that_differ(make: Callable[..., list[Writing]]):
    poems = make(form="五绝", topic="秋", count=3)
    assert len({poem.lines for poem in poems}) == 3
    for one, other in itertools.combinations(poems, 2):
        assert not set(forms.verses(one.text)) & set(forms.verses(other.text))


def test_acrostics_openings_and_upper_lines_are_kept(make: Callable[..., list[Writing]]):
    (poem,) = make(form="五绝", acrostic="春夏秋冬")
    assert [line[0] for line in forms.verses(poem.text)] == list("春夏秋冬")
    (poem,) = make(form="五绝", start="床前明月光")  # a known line, but the person's own
    assert poem.lines[0].startswith("床前明月光，")
    (couplet,) = make(form="对联", start="海内存知己")
    assert couplet.lines[0] == "海内存知己"
    assert judged(couplet).kept


def test_rhyme_books_and_groups(make: Callable[..., list[Writing]]):
    (poem,) = make(form="七绝", rhyme="东")
    assert set(judged(poem).rhymes) <= {"一东", ""}
    (poem,) = make(form="五绝", rhyme="modern")
    assert judged(poem, book="modern").kept


def test_traditional_characters_come_out_and_may_go_in(make: Callable[..., list[Writing]]):
    (plain,) = make(topic="雲")
    (poem,) = make(topic="雲", script="traditional")
    assert writers.simplified(poem).lines == plain.lines


def test_an_english_topic_for_a_chinese_poem_is_put_into_chinese_and_said(catalog: Catalog):
    work = create(Write(form="五绝", topic="moon", seed=1), Tools(device.choose("cpu"), Styles(catalog)))
    assert work.provenance.notes == ("the topic 'moon' is English, the poem Chinese: written about 月",)
    assert work.title == "月, 五绝"
    assert set(work.provenance.models) == {"poet"}
    assert work.provenance.request["topic"] == "moon"


def test_rows_are_told_as_they_come(make: Callable[..., list[Writing]]):
    rows: list[str] = []
    (poem,) = make(lambda step: rows.append(step.line) if step.line is not None else None, topic="月")
    assert rows == [poem.title, "", *poem.lines]


def test_no_line_of_the_collection_is_handed_out(catalog: Catalog):
    known = writers.origins(catalog)
    lines = forms.verses(SPRING)
    assert verse.copied(lines, known)
    assert not verse.copied(lines, known, given=SPRING)
    assert not verse.copied(["山河破国在", "草木城春深"], known)
    assert verse.copied(["山破山河在城", "春草木深"], known) == verse.copied(["山破山河在城春草木深"], known)


# --- revising ---------------------------------------------------------------------------------------------------------


def test_only_the_named_lines_change(make: Callable[..., list[Writing]], tmp_path: Path):
    path = tmp_path / "spring.txt"
    path.write_text(f"春望\n杜甫\n\n{SPRING}\n", encoding="utf-8")
    (poem,) = make(revise=path, lines=(2, 5))
    before, after = forms.verses(SPRING), forms.verses(poem.text)
    assert [n for n, (a, b) in enumerate(zip(before, after, strict=True), 1) if a != b] == [2, 5]
    assert (poem.title, poem.author) == ("春望", "杜甫")
    assert [row[5::6] for row in poem.lines] == ["，。"] * 4
    assert judged(dataclasses.replace(poem, form="五律")).kept


def test_without_names_the_lines_that_break_a_rule_are_revised(make: Callable[..., list[Writing]], tmp_path: Path):
    path = tmp_path / "spring.md"
    path.write_text(SPRING.replace("草木深", "草木長").replace("万金", "萬金"), encoding="utf-8")
    (poem,) = make(revise=path)
    after = forms.verses(poem.text)
    assert after[1] != "城春草木長"
    assert after[5] == "家书抵萬金"  # as the person wrote it
    assert judged(dataclasses.replace(writers.simplified(poem), form="五律")).kept


def test_what_cannot_be_revised(make: Callable[..., list[Writing]], tmp_path: Path):
    binary, english, spring = tmp_path / "a.txt", tmp_path / "b.txt", tmp_path / "c.txt"
    binary.write_bytes(bytes(range(256)) * 4)
    english.write_text("A rose is a rose.\nIs it not so?", encoding="utf-8")
    spring.write_text(SPRING, encoding="utf-8")
    with pytest.raises(InvalidMedia, match="is no text"):
        make(revise=binary)
    with pytest.raises(BadRequest, match="is English"):
        make(revise=english)
    with pytest.raises(BadRequest, match=r"names line 9 and .* has 8"):
        make(revise=spring, lines=(9,))
    with pytest.raises(BadRequest, match="breaks no rule of 五律; say which lines"):
        make(revise=spring)
    with pytest.raises(InvalidMedia, match="is not there"):
        make(revise=tmp_path / "none.txt")


# --- prose ------------------------------------------------------------------------------------------------------------


def test_a_story_has_the_length_asked_for_and_goes_on_from_its_start(make: Callable[..., list[Writing]]):
    rows: list[str] = []

    def hear(step: Step) -> None:
        if step.line is not None:
            rows.append(step.line)

    (story,) = make(hear, form="story", language="en", topic="a fox who wanted the moon", length=60)
    assert (story.form, story.language, story.title) == ("story", "en", "A fox who wanted the moon")
    assert "\n".join(rows).startswith("A fox who wanted the moon\n\n")
    assert [row for row in rows[2:] if row.strip()] == [line for line in story.lines if line]
    (story,) = make(form="story", start="从前有一只狐。", length=50)
    assert story.text.startswith("从前有一只狐。")
    assert story.language == "zh"


def test_those_of_the_plot_are_in_a_story_and_whom_they_may_meet_and_nobody_else(make: Callable[..., list[Writing]]):
    (story,) = make(form="story", language="en", topic="a fox who wanted the moon", length=120)
    rest = story.text.partition("moon.")[2]
    assert " fox" in rest or " wolf" in rest
    assert " king" not in rest
    (story,) = make(form="story", topic="书生夜遇女鬼", length=150)
    assert story.text.startswith("话说书生夜遇女鬼。")
    assert "宋江" not in story.text


@pytest.mark.parametrize("seed", range(3))
def test_a_story_ends_with_its_last_turn(seed: int):
    asked = Write(form="story", language="en", topic="a fox who wanted the moon", length=60, seed=seed)
    story = create(asked, Tools(device.choose("cpu"), styles.shipped())).content
    assert isinstance(story, Writing)
    end = max(story.text.rfind(words) for words in plots.COURSE["en"][-1][1])
    assert end > 0
    assert len(prose.SENTENCE.findall(story.text[end:])) <= 1


def test_no_turn_breaks_into_a_sentence_that_was_begun(make: Callable[..., list[Writing]]):
    begun = "The fox looked at the moon and wanted"
    (story,) = make(form="story", language="en", start=begun, length=60)
    after = story.text.removeprefix(begun)
    assert not any(after.startswith(f" {words}") for words in plots.COURSE["en"][0][1])


def test_who_is_called_by_a_word_for_speech_may_be_named(catalog: Catalog):
    writer = writers.Desk(Write(), Tools(device.choose("cpu"), Styles(catalog)), 0).writer(writers.STORY["zh"])
    assert writer.vocabulary.id(ROLES[0]) not in prose._speech(writer.vocabulary)


@pytest.mark.parametrize(("form", "lines"), [("haiku", 3), ("quatrain", 4), ("sonnet", 14)])
def test_an_english_poem_keeps_its_meter(make: Callable[..., list[Writing]], form: str, lines: int):
    rows: list[str] = []

    def hear(step: Step) -> None:
        if step.line is not None:
            rows.append(step.line)

    (poem,) = make(hear, form=form, topic="the moon")
    assert "\n".join(rows).strip() == f"The moon\n\n{poem.text}"
    filled = [line for line in poem.lines if line]
    assert len(filled) == lines
    assert (poem.form, poem.language) == (form, "en")
    assert not meter.faults(poem.lines, meter.form(form))
    if form == "haiku":
        (poem,) = make(form=form, acrostic="FOG")
        assert [line[0].lower() for line in poem.lines] == list("fog")


@pytest.mark.parametrize(("topic", "start"), [("月", "月亮很好"), ("the moon", "I saw the moon")])
def test_free_verse_has_the_lines_asked_for(make: Callable[..., list[Writing]], topic: str, start: str):
    (poem,) = make(form="verse", topic=topic, length=6)
    assert len([line for line in poem.lines if line]) == 6
    (poem,) = make(form="verse", start=start, length=4)
    assert poem.lines[0] == start
    assert len([line for line in poem.lines if line]) == 4


@pytest.mark.parametrize("start", [None, "书生：你是谁", "：你是谁", "夜里下雨"])
def test_in_a_script_nobody_answers_himself(make: Callable[..., list[Writing]], start: str | None):
    (script,) = make(form="script", topic="书生夜遇女鬼", start=start, length=120)
    assert script.text.startswith(start or "书生：")
    rows = [line for line in script.lines[1 if start else 0 :] if line]
    speakers = [line.partition("：")[0] for line in rows]
    assert len(speakers) > 1
    assert all(one != other for one, other in itertools.pairwise(speakers))


def test_those_who_speak_are_called_by_their_names_alone():
    said = "那妇人：请坐。\n妇人应：我不去。\n武松：好。\n先生：请。\n叫花子：不。"
    assert prose._cleaned(said, "zh") == "妇人：请坐。\n妇人：我不去。\n武松：好。\n先生：请。\n叫花子：不。"
    assert prose._cleaned("King Richard Iii: Ay, I\nHenry V: no", "en") == "King Richard III: Ay, I\nHenry V: no"


def test_the_rows_that_a_free_poem_begins_with_stay_as_they_are(make: Callable[..., list[Writing]]):
    (poem,) = make(form="verse", start="I saw the moon\n\nThe moon saw me", length=4)
    assert poem.lines[:3] == ("I saw the moon", "", "The moon saw me")
    assert len([line for line in poem.lines if line]) == 4


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"topic": ""}, "--topic is empty"),
        ({"topic": "луна"}, "Cyrillic"),
        ({"topic": "☺"}, "give it words"),
        ({"start": "月" * 10_000}, "10,000 characters"),
        ({"form": "五绝", "acrostic": "春夏秋冬梅"}, "5 characters and 五绝 4 lines"),
        ({"form": "五绝", "language": "en"}, "--form 五绝 is Chinese and --language is en"),
        ({"form": "sonnet", "language": "zh"}, "--form sonnet is English and --language is zh"),
        ({"form": "sonet"}, "Did you mean 'sonnet'"),
        ({"form": "词:浣溪砂"}, "Did you mean '浣溪"),
        ({"form": "词"}, "names no tune"),
        ({"acrostic": "春夏", "start": "秋天"}, "--start begins with 秋 and --acrostic with 春"),
        ({"form": "sonnet", "start": "The moon"}, "--start and --form sonnet"),
        ({"form": "story", "acrostic": "ab"}, "--acrostic and --form story"),
        ({"acrostic": "SEA", "topic": "the moon"}, "--acrostic and free verse"),
        ({"form": "story", "rhyme": "东"}, "--rhyme goes with"),
        ({"form": "story", "poet": "李白"}, "--poet goes with Chinese poems, not with --form story"),
        ({"form": "七绝", "length": 8}, "--length is 8 and --form 七绝 has its own"),
        ({"form": "story", "length": 5}, "between 50 and"),
        ({"temperature": 0.0}, "--temperature"),
        ({"count": 0}, "--count"),
        ({"count": 21}, "--count"),
        ({"seed": -1}, "--seed"),
        ({"lines": (2,)}, "no --revise"),
        ({"revise": Path("x.txt"), "start": "春"}, "--revise keeps the poem .* and --start"),
        ({"revise": Path("x.txt"), "lines": (0,)}, "counted from 1"),
        ({"mood": "angry"}, "mood 'angry'"),
        ({"model": "gpt"}, "a run's folder, its weights.safetensors or run:NAME"),
        ({"model": "lstm", "form": "story"}, "--model lstm writes Chinese poems"),
        ({"language": "fr"}, "--language is 'fr'; it is one of zh, en"),
        ({"dynasty": "ming"}, "唐"),
        ({"poet": "李黑"}, "Did you mean '李白'"),
        ({"rhyme": "饕餮"}, "rhyme '饕餮'"),
        ({"form": "五绝", "rhyme": "屋"}, "contradict"),
        ({"topic": "𪚥"}, "𪚥, which the poet has never seen"),
        ({"start": "𪚥山"}, "--start holds 𪚥"),
        ({"form": "五绝", "start": "一二三四五六七八九十" * 5}, "start|opening"),
        ({"form": "七绝", "topic": "unobtainium"}, "name it in Chinese"),
        ({"form": "story", "language": "en", "topic": "月"}, "Chinese and the text English"),
    ],
)
def test_what_cannot_be_met_is_refused_before_any_work(
    make: Callable[..., list[Writing]], fields: dict[str, Any], message: str
):
    with pytest.raises(BadRequest, match=message) as caught:
        make(**fields)
    assert "\n" not in str(caught.value)


def test_a_model_that_is_not_there_is_said(make: Callable[..., list[Writing]]):
    with pytest.raises(Unavailable, match="danqing models"):
        make(model="lstm")


def test_create_makes_one_and_create_all_several():
    with pytest.raises(BadRequest, match="create_all"):
        studio.create(Write(count=2))
    assert write.FORMS


def test_texts_that_cannot_be_found_are_an_error(make: Callable[..., list[Writing]], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verse, "ROUNDS", 1)
    monkeypatch.setattr(verse, "copied", lambda *args: True)
    with pytest.raises(DanqingError, match="0 of 1 poems"):
        make()


def test_gaps_are_filled_by_tone_and_rhyme():
    v, sounds = vocabulary(), Prosody.load()
    form = forms.judge(SPRING, sounds)
    tokens: Sequence[int] = v.encode(SPRING.replace("\n", ""))
    mask = verse._Holes(v, sounds, form, {10: (1, 4), 9: (1, 3)})(tokens, 10)
    kept = [v.token(int(i)) for i in np.flatnonzero(mask)]
    assert kept
    assert all("十二侵" in sounds.rhymes(char, "平") for char in kept)
    assert not set(kept) & set(SPRING)


def test_a_saved_poem_is_read_again(make: Callable[..., list[Writing]], tmp_path: Path):
    (poem,) = make(topic="月")
    (tmp_path / "p.txt").write_text(str(poem), encoding="utf-8")
    assert read(tmp_path / "p.txt").lines == poem.lines
