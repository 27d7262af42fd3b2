"""Texts for training: read, refused where broken, split by content, drawn the same for the same step."""

import json
import lzma

import numpy as np
import pytest

from danqing.errors import BadRequest
from danqing.training import prose, texts, verse
from danqing.training.texts import Poem, Sample

QUIET_NIGHT = ["床前明月光，疑是地上霜。", "举头望明月，低头思故乡。"]


def invented(count, form="五绝"):
    """Poems of random characters, each with lines of its own."""
    rng = np.random.default_rng(3)
    characters = [chr(0x4E00 + i) for i in range(300)]
    poems = []
    for _ in range(count):
        parts = ["".join(rng.choice(characters, 5)) for _ in range(4)]
        poems.append(Poem((f"{parts[0]}，{parts[1]}。", f"{parts[2]}，{parts[3]}。"), form, "秋夜", "李白", "唐"))
    return poems


def save(path, poems):
    rows = [{"title": p.title, "author": p.author, "dynasty": p.dynasty, "lines": list(p.lines)} for p in poems]
    path.write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in rows), "utf-8")


def test_poems_are_read_from_lines_of_json_compressed_or_not_and_once_each(tmp_path):
    row = json.dumps({"title": "静夜思", "author": "李白", "form": "五绝", "lines": QUIET_NIGHT}, ensure_ascii=False)
    (tmp_path / "a.jsonl").write_text(row + "\n\n", "utf-8")
    (tmp_path / "b.jsonl.xz").write_bytes(lzma.compress(row.encode()))
    (poem,) = texts.poems(texts.find(tmp_path, "."))
    assert (poem.title, poem.form, poem.segments[0]) == ("静夜思", "五绝", "床前明月光")


def test_poems_are_read_from_plain_text_with_or_without_titles_and_marks(tmp_path):
    bare = "空山不见人\n但闻人语响\n返景入深林\n复照青苔上"
    (tmp_path / "mine.txt").write_text("静夜思\n" + "\n".join(QUIET_NIGHT) + "\n\n\n" + bare + "\n", "utf-8")
    read = {poem.title: poem for poem in texts.poems(texts.find(tmp_path, "."))}
    assert read["静夜思"].lines == tuple(QUIET_NIGHT)
    assert read[""].text == "空山不见人，但闻人语响。返景入深林，复照青苔上。"
    assert {poem.form for poem in read.values()} == {"五绝"}


@pytest.mark.parametrize("line", ['{"lines": 3}', '{"title": "x"}', "[]", "{", '{"lines": [1]}'])
def test_a_broken_line_is_named_with_its_number(line, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"lines": ["床前明月光，疑是地上霜。"]}\n' + line, "utf-8")
    with pytest.raises(BadRequest, match=r"a\.jsonl line 2"):
        texts.poems(texts.find(tmp_path, "."))


def test_what_cannot_be_read_is_refused_with_the_reason(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00x")
    with pytest.raises(BadRequest, match="not UTF-8"):
        texts.read(tmp_path / "a.txt")
    (tmp_path / "b.txt.xz").write_bytes(lzma.compress(b"text" * 99)[:-20])
    with pytest.raises(BadRequest, match="decompressed"):
        texts.read(tmp_path / "b.txt.xz")
    with pytest.raises(BadRequest, match="holds no tang-shi"):
        texts.find(tmp_path, "tang-shi")
    with pytest.raises(BadRequest, match="neither a folder nor a file"):
        texts.find(tmp_path / "nowhere", ".")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadRequest, match="holds no texts"):
        texts.find(tmp_path / "empty", ".")


def test_the_split_follows_from_the_text_alone():
    poems = invented(2000)
    training, held = texts.split(poems)
    assert 0.03 < len(held) / len(poems) < 0.07
    renamed = Poem(held[0].lines, "古诗", "another title", "someone")
    assert texts.held_out(renamed)
    assert texts.fingerprint(held) == texts.fingerprint(held[::-1])
    assert texts.fingerprint(held) != texts.fingerprint(training)


def test_held_out_poems_that_share_a_line_with_training_are_left_out():
    training = [Poem(tuple(QUIET_NIGHT), "五绝")]
    same = Poem((QUIET_NIGHT[0], "空山不见人，但闻人语响。"), "五绝")
    other = Poem(("返景入深林，复照青苔上。",), "古诗")
    assert texts.apart([same, other], training) == [other]


def test_batches_follow_from_the_step_and_an_epoch_shows_every_item():
    def make(number, rng):
        length = 3 + int(rng.integers(30))
        return [Sample([number + 1] * length, [1.0] * (length - 1))]

    one, two = (texts.Stream(make, 200, 300, 7, pool=100) for _ in range(2))
    order = [3, 0, 5, 1]
    drawn = {step: one.batch(step) for step in order}
    for step in sorted(order):
        tokens, weights = two.batch(step)
        assert (tokens == drawn[step][0]).all()
        assert (weights == drawn[step][1]).all()
        assert weights.shape == (len(tokens), tokens.shape[1] - 1)
    steps = round(one.steps_per_epoch)
    seen = {int(n) for step in range(steps) for n in one.batch(step)[0][:, 0]}
    assert seen == set(range(1, 201))
    padded = sum(int((one.batch(s)[0] == 0).sum()) for s in range(steps))
    total = sum(one.batch(s)[0].numel() for s in range(steps))
    assert padded / total < 0.25
    assert total / steps == pytest.approx(300, rel=0.35)


def test_prose_is_cut_into_works_at_its_headings_and_into_blocks_without_any(tmp_path):
    story = "A fox saw the moon in a well and wanted it for her own.\n\n" * 5
    (tmp_path / "a.txt").write_text(f"# Title: Fables\n## Author: Nobody\n\n## THE FOX\n{story}## THE CROW\n{story}")
    found = texts.works(tmp_path / "a.txt")
    assert [work.title for work in found] == ["THE FOX", "THE CROW"]
    assert len(found[0].paragraphs) == 5
    (tmp_path / "b.txt").write_text(story * 200)
    blocks = texts.works(tmp_path / "b.txt")
    assert len(blocks) == 3
    assert sum(len(b.paragraphs) for b in blocks) == 1000


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    folder = tmp_path_factory.mktemp("poems")
    save(folder / "a.jsonl", invented(400))
    return verse.Anthology.load(folder, ".")


def test_a_poem_is_learned_after_its_controls_and_counts_only_after_them(book):
    make = verse.Sequencer(book, 64)
    poem = book.training[0]
    controls = make.controls(poem)
    sample = make.sample(controls, poem.lines)
    v = book.vocabulary
    begins = sample.tokens.index(v.id("<text>"))
    assert v.decode(sample.tokens[begins:]) == poem.text
    assert sample.tokens[-1] == v.id("<end>")
    assert controls.poet == "李白"
    title = sample.tokens.index(v.id("<title>"))
    assert set(sample.weights[:title]) == {0.0}
    assert set(sample.weights[title:begins]) == {0.2}
    assert set(sample.weights[begins:]) == {1.0}


def test_a_poem_that_is_too_long_is_cut_at_a_line_and_does_not_end(book):
    sample = verse.Sequencer(book, 20).sample(verse.Controls("五绝"), ["床前明月光，疑是地上霜。"] * 4)
    assert len(sample.tokens) <= 21
    assert book.vocabulary.id("<end>") not in sample.tokens


def test_topics_come_from_the_poem_and_controls_are_dropped_at_random(book):
    make = verse.Sequencer(book, 64)
    poem = book.training[1]
    rng = np.random.default_rng(1)
    drawn = [make.topics(poem.text, poem.title, verse.themes_of(poem), rng) for _ in range(40)]
    assert {len(d) for d in drawn} >= {0, 1, 2}
    known = set(verse.THEMES) | set(verse.words_of(poem.text, book.words)) | set(verse.words_of("秋夜", book.words))
    assert {word for d in drawn for word in d} <= known
    thinned = {make.thinned(make.controls(poem), rng).poet for _ in range(40)}
    assert thinned == {"", "李白"}


def test_perplexity_counts_chinese_characters_only(book):
    for controlled in (False, True):
        (sample,) = verse.fixed(book, book.held[:1], 64, controlled)
        counted = [t for t, w in zip(sample.tokens[1:], sample.weights, strict=True) if w]
        assert book.vocabulary.decode(counted) == "".join(book.held[0].segments)


def test_the_middle_couplets_of_a_regulated_poem_are_couplets():
    lines = tuple(f"{a * 5}，{b * 5}。" for a, b in ("一二", "三四", "五六", "七八"))
    assert verse.couplets(Poem(lines, "五律")) == [lines[1], lines[2]]
    assert verse.couplets(Poem(lines[:2], "五绝")) == []


def test_passages_of_prose_have_their_key_words_before_them(tmp_path):
    story = [f"The {a} asked the {b} for bread beside the river." for a in ("fox", "crow") for b in ("miller", "king")]
    (tmp_path / "a.txt").write_text("\n\n".join(story * 60))
    library = prose.Library.load(tmp_path, ".", "en", 400)
    make = prose.Sequencer(library, library.training, 40)
    v = library.vocabulary
    sample = make.sample(0, 0, ("miller",))
    assert sample.tokens[0] == v.id("<story>")
    assert v.decode(sample.tokens[sample.tokens.index(v.id("<text>")) :]).startswith("The fox asked")
    assert len(sample.tokens) <= 41
    rng = np.random.default_rng(0)
    words = {w for _ in range(30) for w in make.draw_words(0, 0, rng)}
    assert words <= {"fox", "crow", "miller", "king"}
    with pytest.raises(BadRequest, match="language"):
        prose.Library.load(tmp_path, ".", "fr", 400)
    with pytest.raises(BadRequest, match="kind 'poem'"):
        prose.Library.load(tmp_path, "a:poem", "en", 400)
