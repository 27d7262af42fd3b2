from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tunes import ORIGIN, F, band, piano, quartet, song

from danqing.artwork import engraving, musicxml, notation
from danqing.artwork.music import ZERO, Key, Note, Score
from danqing.errors import BadRequest, OutputExists


@pytest.mark.parametrize("piece", [song, quartet, piano, band])
def test_a_score_is_printed_with_all_its_notes(piece):
    score = piece()
    (page,) = notation.svg_pages(score)
    ET.fromstring(page)
    signs = sum(
        len(sign.notes) for part in range(len(score.parts))
        for bar in engraving.staff(score.of(part), score) for voice in bar for sign in voice
    )  # fmt: skip
    assert len(re.findall(r'class="note"', page)) == signs
    assert "nan" not in page
    assert page == notation.svg_pages(score)[0]


def test_the_title_the_chords_and_the_words_are_on_the_page():
    page = notation.svg_pages(song())[0]
    for words in ("River song", "A. Nobody", "maj7/D", "moon"):
        assert words in page
    assert "font-face" not in page


def test_svg_and_png_carry_their_origin(tmp_path):
    notation.save(quartet(), tmp_path / "a.svg", ORIGIN)
    assert notation.provenance((tmp_path / "a.svg").read_bytes()) == ORIGIN
    (path,) = notation.save(quartet(), tmp_path / "a.png", ORIGIN)
    with Image.open(path) as image:
        assert "TrainedAlgorithmicMedia" in image.info["XML:com.adobe.xmp"]
    with pytest.raises(OutputExists):
        notation.save(quartet(), path, ORIGIN)


def test_a_png_shows_staves_and_ink():
    picture = np.asarray(Image.open(io.BytesIO(notation.png_pages(quartet(), notation.Layout(width_px=1000))[0])))
    assert picture.shape[1] == 1000
    assert 0.01 < (picture < 128).mean() < 0.2
    rows = (picture < 200).mean(axis=1)
    assert (rows > 0.35).sum() >= 20  # the lines of four staves


def test_a_long_score_fills_several_pages_where_that_is_asked(tmp_path):
    notes = tuple(Note(F(n), 60 + n % 12, F(1)) for n in range(800))
    pages = notation.save(Score(notes), tmp_path / "long.svg", ORIGIN, layout=notation.Layout(one_page=False))
    assert len(pages) > 1
    assert pages[0].name == "long-1.svg"
    assert len(notation.svg_pages(Score(notes))) == 1


def test_other_suffixes_and_sizes_are_refused():
    with pytest.raises(BadRequest, match="svg"):
        notation.output_format(__import__("pathlib").Path("a.pdf"))
    with pytest.raises(BadRequest, match="width"):
        notation.Layout(width_px=10)


def test_accidentals_are_printed_where_key_and_bar_do_not_say_them():
    notes = [Note(F(n), pitch, F(1)) for n, pitch in enumerate((66, 65, 65, 66, 66, 70, 71, 70))]
    text = musicxml.encode(Score(tuple(notes), keys=(Key(ZERO, "G"),))).decode()
    assert re.findall(r"<accidental>(\w+)<", text) == ["natural", "sharp", "flat", "natural", "flat"]


def test_values_are_cut_where_a_reader_looks_for_beats():
    notes = (Note(F(1, 2), 60, F(1)), Note(F(3, 2), 62, F(1)), Note(F(5, 2), 64, F(11, 2)))
    bars = engraving.staff(notes, Score(notes))
    values = [[(sign.value * (2 - F(1, 2**sign.dots)), bool(sign.notes)) for sign in bar[0]] for bar in bars]
    assert values == [
        [(F(1, 2), False), (F(1), True), (F(1, 2), True), (F(1, 2), True), (F(3, 2), True)],
        [(F(4), True)],
    ]


@pytest.mark.parametrize("parts", [3, 5, 6, 7, 9, 12])
def test_any_division_of_a_beat_is_a_tuplet(parts):
    notes = tuple(Note(F(n, parts), 60 + n, F(1, parts)) for n in range(4 * parts))
    signs = [sign for bar in engraving.staff(notes, Score(notes)) for sign in bar[0]]
    assert len(signs) == len(notes)
    assert all(sign.tuplet for sign in signs)
    assert sum(sign.opens for sign in signs) == sum(sign.closes for sign in signs)
    for sign in signs:
        written = sign.value * (2 - F(1, 2**sign.dots))
        assert written * sign.tuplet[1] / sign.tuplet[0] == sign.duration


def test_every_bar_is_full():
    score = song()
    starts = score.bars()
    for bar, start, stop in zip(engraving.staff(score.notes, score), starts, starts[1:], strict=False):
        assert bar[0][0].start == start
        assert sum(sign.duration for sign in bar[0]) == stop - start
    assert engraving.snapped(score) is score
    assert engraving.snapped(replace(score, title="x")).title == "x"


@pytest.mark.parametrize(
    ("pitch", "key", "name"),
    [(64, ("F", "minor"), "E"), (68, ("A", "minor"), "G1"), (66, ("C", "minor"), "F1"), (70, ("C", "major"), "B-1")],
)
def test_notes_outside_the_key_are_spelled_as_musicians_do(pitch, key, name):
    text = musicxml.encode(Score((Note(ZERO, pitch, F(1)),), keys=(Key(ZERO, *key),))).decode()
    step, alter = re.search(r"<step>(.)</step>\s*(?:<alter>(-?\d)</alter>)?", text).groups()
    assert step + (alter or "") == name
