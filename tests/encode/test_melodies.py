"""Melodies are known again in any key, by two bars or more of intervals and rhythm, and by nothing less."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from music_models import FAMOUS, line

from danqing.artwork.music import Note
from danqing.encode import melodies
from danqing.encode.melodies import Known, Line
from danqing.encode.origins import Filter

BAR = Fraction(4)


@pytest.fixture(scope="module")
def known() -> Known:
    return Known({"passages": Filter.of(melodies.entries([Line(line(FAMOUS), BAR)]), 40).bits}, {})


def moved(notes: tuple[Note, ...], semitones: int, later: int = 0) -> tuple[Note, ...]:
    return tuple(replace(n, pitch=n.pitch + semitones, onset=n.onset + later) for n in notes)


@pytest.mark.parametrize("semitones", [-7, 0, 5])
def test_a_tune_is_known_in_every_key_and_at_every_place(known: Known, semitones: int):
    passage = known.longest(Line(moved(line(FAMOUS), semitones, later=8), BAR))
    assert passage is not None
    assert (passage.start, passage.stop) == (8, 24)


def test_two_bars_are_too_little_and_a_note_more_is_enough(known: Known):
    other = tuple(60 + (7 * i * i) % 11 for i in range(8))
    for count, hit in ((8, False), (9, True), (12, True)):
        notes = (*line(FAMOUS[:count]), *moved(line(other), 3, later=count))
        assert bool(known.within(Line(notes, BAR))) is hit


def test_another_rhythm_is_another_tune(known: Known):
    doubled = line(FAMOUS, duration=2)
    assert known.longest(Line(doubled, BAR)) is None


def test_repeated_notes_count_once(known: Known):
    halves = tuple(
        Note(n.onset + half, n.pitch, Fraction(1, 2)) for n in line(FAMOUS) for half in (Fraction(0), Fraction(1, 2))
    )
    assert known.longest(Line(halves, BAR)) is not None


def test_a_line_of_few_notes_has_no_passages():
    assert melodies.passages(Line(line(FAMOUS[:8]), BAR))[1] == []
    assert not len(melodies.entries([]))


def test_chance_finds_little(known: Known):
    rng = np.random.default_rng(1)
    lines = [Line(line(tuple(rng.integers(55, 80, 40).tolist())), BAR) for _ in range(100)]
    assert sum(known.longest(one) is not None for one in lines) <= 3
