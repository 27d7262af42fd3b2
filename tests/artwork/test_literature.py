"""Texts come in whole or are refused in one line; they go out with their origin, or not at all."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from danqing.artwork import literature
from danqing.artwork.artwork import Artwork
from danqing.artwork.literature import Writing, encode_bytes, read, read_provenance
from danqing.artwork.provenance import Provenance
from danqing.artwork.shelf import Shelf
from danqing.errors import BadRequest, InvalidMedia, OutputExists

SPRING = (
    "国破山河在，城春草木深。",
    "感时花溅泪，恨别鸟惊心。",
    "烽火连三月，家书抵万金。",
    "白头搔更短，浑欲不胜簪。",
)
POEM = Writing(SPRING, title="春望", author="唐·杜甫", form="五律")
MADE = Provenance("write", {"topic": "春", "form": "五律"}, seed=3, models={"poet": "ab" * 32})
ODD = "# not a heading\n- 1. *x*\n"


def put(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
    return path


def test_a_text_knows_its_stanzas_and_language():
    text = Writing(("", "one line  ", "", "", "two", ""))
    assert text.lines == ("one line", "", "two")
    assert text.stanzas == (("one line",), ("two",))
    assert text.language == "en"
    assert POEM.language == "zh"
    assert str(POEM).startswith("春望\n唐·杜甫\n\n国破")
    with pytest.raises(BadRequest):
        Writing(("", "  "))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_every_usual_encoding_is_read(tmp_path: Path, encoding: str):
    found = read(put(tmp_path / "poem.txt", "\r\n".join(["春望", "杜甫", *SPRING]).encode(encoding)))
    assert (found.title, found.author, found.lines) == ("春望", "杜甫", SPRING)


@pytest.mark.parametrize(
    ("head", "title", "author"),
    [
        ("春望\n唐·杜甫\n\n", "春望", "杜甫"),
        ("《春望》\n作者：杜甫\n", "春望", "杜甫"),
        ("《春望》 [唐] 杜甫\n\n", "春望", "杜甫"),
        ("春望 杜甫\n", "春望", "杜甫"),
        ("春望\n", "春望", ""),
        ("", "", ""),
        ("\ufeff\n\n", "", ""),
    ],
)
def test_what_stands_above_a_poem_is_its_title(tmp_path: Path, head: str, title: str, author: str):
    found = read(put(tmp_path / "poem.txt", head + "\n".join(SPRING)))
    assert (found.title, found.author, found.lines) == (title, author, SPRING)


def test_bare_rows_and_couplets_and_english(tmp_path: Path):
    bare = read(put(tmp_path / "a.txt", "静夜思\n床前明月光\n疑是地上霜\n举头望明月\n低头思故乡"))
    assert (bare.title, len(bare.lines)) == ("静夜思", 4)
    assert read(put(tmp_path / "b.txt", "海内存知己\n天涯若比邻")).lines == ("海内存知己", "天涯若比邻")
    sick = read(
        put(tmp_path / "c.txt", "The Sick Rose\nby William Blake\n\nO Rose thou art sick.\nThe invisible worm,")
    )
    assert (sick.title, sick.author, len(sick.lines)) == ("The Sick Rose", "William Blake", 2)
    story = read(put(tmp_path / "d.txt", "Once there was a fox.\n\nIt wanted the moon, and said so."))
    assert (story.title, len(story.stanzas)) == ("", 2)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "is no text"),
        ("b.txt", b"MZ\x90\0\x03\0\0\0", "is no text"),
        ("c.txt", bytes(range(128, 256)) * 8, "is no text"),
        ("d.txt", b"", "is empty"),
        ("e.txt", b" \n\t\n", "nothing but blanks"),
        ("f.docx", b"PK\x03\x04" + b"\1" * 100, "damaged"),
        ("g.md", b"# only a title\n", "no text below"),
    ],
)
def test_what_is_no_text_is_refused_in_one_line(tmp_path: Path, name: str, data: bytes, message: str):
    with pytest.raises(InvalidMedia, match=message) as caught:
        read(put(tmp_path / name, data))
    assert "\n" not in str(caught.value)
    assert read_provenance(tmp_path / name) is None


def test_archives_are_looked_into_before_they_are_unpacked(tmp_path: Path):
    for name, member, size in (("a.docx", "word/document.xml", literature.MAX_UNPACKED + 1), ("b.docx", "x", 5)):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(member, b"a" * size)
        with pytest.raises(InvalidMedia, match=r"unpacks to more|ZIP archive"):
            read(put(tmp_path / name, out.getvalue()))


@pytest.mark.parametrize("suffix", [".txt", ".md", ".docx"])
@pytest.mark.parametrize("text", [POEM, Writing(("# no heading", "- no list", "", "1. *star*"), title="Odd")])
def test_what_is_written_is_read_again(tmp_path: Path, suffix: str, text: Writing):
    path = Artwork(text, MADE).save(tmp_path / f"poem{suffix}")
    found = read(path)
    assert (found.title, found.lines) == (text.title, text.lines)
    assert read_provenance(path) == MADE
    assert (tmp_path / f"poem{suffix}.json").exists() == (suffix != ".docx")


def test_the_same_text_is_the_same_bytes_whenever_it_is_written(monkeypatch: pytest.MonkeyPatch):
    first = {suffix: encode_bytes(POEM, suffix, MADE) for suffix in literature.SUFFIXES}
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setattr("time.localtime", lambda *_: (2033, 5, 18, 3, 33, 20, 2, 138, 0))
    assert {suffix: encode_bytes(POEM, suffix, MADE) for suffix in literature.SUFFIXES} == first


def test_a_documents_properties_say_who_made_it():
    import docx

    core = docx.Document(io.BytesIO(encode_bytes(POEM, ".docx", MADE))).core_properties
    assert (core.title, core.author) == ("春望", "唐·杜甫")
    assert "write, seed 3; models: poet abababab" in core.comments
    assert core.keywords.endswith("trainedAlgorithmicMedia")


def test_neither_the_text_nor_its_record_is_overwritten_or_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    work = Artwork(POEM, MADE)
    put(tmp_path / "poem.txt.json", "mine")
    with pytest.raises(OutputExists):
        work.save(tmp_path / "poem.txt")
    assert not (tmp_path / "poem.txt").exists()
    work.save(tmp_path / "poem.txt", force=True)
    record = json.loads((tmp_path / "poem.txt.json").read_text(encoding="utf-8"))
    assert record["provenance"]["seed"] == 3
    with pytest.raises(OutputExists):
        work.save(tmp_path / "poem.txt")
    with pytest.raises(BadRequest, match="written as"):
        work.save(tmp_path / "poem.png")

    real = literature.files.write

    def full(data: bytes, path: Path, *, force: bool = False) -> None:
        if path.suffix == ".txt":
            raise OSError("disk full")
        real(data, path, force=force)

    monkeypatch.setattr(literature.files, "write", full)
    with pytest.raises(OSError, match="full"):
        work.save(tmp_path / "new.txt")
    assert not (tmp_path / "new.txt.json").exists()


def test_a_changed_text_has_lost_its_record(tmp_path: Path):
    path = Artwork(POEM, MADE).save(tmp_path / "poem.txt")
    path.write_text("changed", encoding="utf-8")
    assert read_provenance(path) is None


def test_the_shelf_keeps_texts_beside_pictures(tmp_path: Path):
    shelf = Shelf(tmp_path / "home")
    work = Artwork(POEM, MADE, "春望")
    kept = shelf.add(work)
    assert (kept.media, kept.width, kept.height, kept.preview) == ("text", None, None, None)
    assert read(kept.path).lines == SPRING
    assert read_provenance(kept.path) == MADE
    assert shelf.get(kept.id) == shelf.add(work) == kept
    assert shelf.sweep(older_than_s=-1) == 0
    shelf.remove(kept.id)
    assert not [path for path in (tmp_path / "home" / "files").rglob("*") if path.is_file()]


def test_an_english_line_without_a_mark_is_no_author(tmp_path):
    path = tmp_path / "poem.txt"
    path.write_text("The sea in autumn\n\nI walk a few and many\nIn all the sea,\nAnd all is well and long,\nI see.\n")
    poem = read(path)
    assert (poem.title, poem.author) == ("The sea in autumn", "")
    assert poem.lines[0] == "I walk a few and many"
