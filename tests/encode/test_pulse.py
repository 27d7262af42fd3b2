"""Beats found in swung notes, and notes put onto them."""

from __future__ import annotations

import jazz_solos
import numpy as np
import pytest

from danqing.encode import changes, pulse
from danqing.encode.pulse import STEPS, Placed
from danqing.errors import BadRequest


@pytest.mark.parametrize("tempo", [90.0, 150.0, 220.0])
def test_swung_eighths_come_onto_their_beats_and_are_written_even(tempo: float):
    rows = jazz_solos.solo(1, tempo=tempo)
    true = (rows[:, 1] - 3.0) * tempo / 60
    beats = pulse.find_beats(rows[:, 1], tempo * 1.01)  # the average tempo is told about
    found = pulse.placed(rows[:, 0].astype(int).tolist(), rows[:, 1], rows[:, 2], beats)
    wanted = np.floor(true + 0.12) * STEPS + 6 * ((true + 0.12) % 1 > 0.4)
    shift = found[0].onset - wanted[0]
    assert shift % STEPS == 0
    assert np.mean(np.array([note.onset for note in found]) == wanted + shift) > 0.95
    assert abs(pulse.swing(pulse.places(rows[:, 1], beats)) - 0.62) < 0.03


def test_a_tempo_that_drifts_is_followed():
    rows = jazz_solos.solo(2)
    rows[:, 1] = 3 + (rows[:, 1] - 3) * (1 + 0.001 * (rows[:, 1] - 3))  # slower by and by, some two beats in all
    beats = pulse.find_beats(rows[:, 1], 148.0)
    inside = pulse.places(rows[:, 1], beats) % 1
    assert np.mean((inside < 0.1) | (inside > 0.9) | (abs(inside - 0.62) < 0.1)) > 0.9


@pytest.mark.parametrize(("onsets", "tempo"), [([1.0], 120), ([1.0, 2.0], 0), ([1.0, 2.0], 900)])
def test_what_has_no_beats_is_refused(onsets: list[float], tempo: float):
    with pytest.raises(BadRequest, match="two onsets"):
        pulse.find_beats(np.array(onsets), tempo)


def test_triplets_and_sixteenths_keep_their_places():
    inside = [0.0, 1 / 3, 2 / 3, 1.0, 1.25, 1.5, 1.75, 2.0]
    beats = np.arange(6.0)
    notes = pulse.placed([60 + i for i in range(8)], np.array(inside), np.full(8, 0.2), beats)
    assert [note.onset for note in notes] == [0, 4, 8, 12, 15, 18, 21, 24]


def test_the_chords_of_a_cadence_are_found_under_a_line_that_spells_them():
    tones = {"Dm7": (62, 65, 69, 72), "G7": (67, 71, 74, 77), "Cmaj7": (60, 64, 67, 71)}
    notes = []
    for bar, name in enumerate(("Dm7", "G7", "Cmaj7", "Cmaj7") * 4):
        notes += [Placed((4 * bar + i) * STEPS, tones[name][i], STEPS) for i in range(4)]
    _, chords = changes.estimate(notes, 0)
    named = chords[2:]  # the bar before the first beat is empty
    assert sum(a == b for a, b in zip(named[::2], ("Dm7", "G7", "Cmaj7", "Cmaj7") * 4, strict=False)) >= 12


def test_players_together_are_put_onto_sixteenths_or_a_triplet():
    rng = np.random.default_rng(4)
    written = np.array([0, 0, 3, 6, 9, 12, 16, 20, 24, 24, 30, 36]) / 12
    played = written + rng.uniform(-0.04, 0.04, len(written))
    assert pulse.together(played).tolist() == [0, 0, 3, 6, 9, 12, 16, 20, 24, 24, 30, 36]
    assert pulse.together(np.array([])).tolist() == []
