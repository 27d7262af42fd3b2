"""Each reward on a case whose answer is plain, and all of them together on real pieces beside shuffled ones."""

from dataclasses import replace

import numpy as np
import pytest
from tunes import archive

from danqing.artwork.music import ZERO, Key
from danqing.encode.notes import Grid, struck
from danqing.encode.tunes import Event, Section, Tune
from danqing.errors import BadRequest
from danqing.training import folk, music, rewards


def tune(pitches, ticks=24, mode="major", chords=(), pickup=0):
    """4/4 in C, notes of one length; chords: {number of the note: symbol}."""
    chords = dict(chords)
    events = tuple(Event(ticks, p, chord=chords.get(i, "")) for i, p in enumerate(pitches))
    return Tune(4, 4, Key(ZERO, "C", mode), (Section(events),), pickup)


SCALE = [60, 62, 64, 65, 67, 69, 71, 72]


def grid(*chords):
    pitches = np.repeat(np.asarray(chords, dtype=np.int16), 4, axis=0)
    return Grid(pitches, struck(pitches))


def test_notes_of_the_key():
    assert rewards.in_key(tune(SCALE)) == 1.0
    assert rewards.in_key(tune([60, 61, 63, 66])) == 0.25
    assert rewards.in_key(tune([60, 63, 68, 71, 69, 70], mode="minor")) == 1.0, "both sixths and sevenths"


def test_chord_tones_on_beats():
    told = {0: "C", 4: "G7"}
    assert rewards.chord_tones(tune([60, 64, 67, 64, 67, 71, 65, 62], chords=told)) == 1.0
    assert rewards.chord_tones(tune([61, 66, 68, 70, 60, 60, 60, 60], chords=told)) == 0.0
    assert rewards.chord_tones(tune([60, 61, 67, 61, 67, 61, 65, 61], ticks=12, chords={0: "C"})) == pytest.approx(
        0.75 / 0.8
    ), "what lies between beats does not count"
    assert rewards.chord_tones(tune([60, 61, 61, 61, 62, 61, 61, 61])) == pytest.approx(0.5 / 0.7), "first of each bar"


def test_chords_for_every_note_cost_what_they_gain():
    calm = tune([60, 64, 67, 64] * 2, chords={0: "C"})
    busy = tune([60, 64, 67, 64] * 2, chords={i: "CG"[i % 2] for i in range(8)})
    strange = tune([60, 64, 67, 64] * 2, chords={0: "Db"})
    assert rewards.accompaniment(calm) == 1.0
    assert rewards.accompaniment(busy) == pytest.approx(2.5 / 3)
    assert rewards.accompaniment(strange) == pytest.approx(2 / 3)
    assert rewards.accompaniment(tune(SCALE)) == 1.0
    assert rewards.accompaniment(tune(SCALE, chords={0: "D.C."})) == 1.0, "a remark is no chord"


def test_endings():
    assert rewards.ending(tune([64, 62, 60])) == 1.0
    assert rewards.ending(tune([64, 67, 60])) == 1.0
    assert rewards.ending(tune([64, 69, 60])) == 0.75
    assert rewards.ending(tune([60, 64, 62])) == 0.5
    assert rewards.ending(tune([64, 62, 60, 60], ticks=12)) == 0.75, "between beats"


def test_leaps():
    assert rewards.leaps_resolved(tune([60, 67, 65])) == 1.0
    assert rewards.leaps_resolved(tune([60, 67, 69])) == 0.0
    assert rewards.leaps_resolved(tune([60, 67, 60])) == 0.0, "back by a leap is no step"
    assert rewards.leaps_turned(tune([60, 67, 60])) == (2 - 1, 1)
    assert rewards.leaps_resolved(tune(SCALE)) == 1.0
    assert rewards.stepwise(tune(SCALE)) == 1.0
    assert rewards.stepwise(tune([60, 67, 60, 67])) == 0.0


def test_repeated_notes_count_from_the_third():
    assert rewards.repeated(tune([60, 60, 60, 60, 62])) == pytest.approx(2 / 3)
    assert rewards.unrepeated(tune([60, 60, 62, 62])) == 1.0
    assert rewards.unrepeated(tune([60, 60, 60, 60, 62])) == 0.0


def test_span_and_metre():
    assert rewards.span(tune(SCALE)) == 1.0
    assert rewards.span(tune([60, 62])) == 0.0
    assert rewards.metre(tune(SCALE)) == 1.0
    assert rewards.metre(tune([60] * 4, ticks=48)) == pytest.approx(0.5 / 0.85)


def test_a_motif_is_heard_in_any_place_and_a_copy_is_no_variety():
    one, other = [60, 62, 64, 62], [65, 67, 69, 67]
    assert rewards.motif(tune(one + other)) == 1.0
    assert rewards.variety(tune(one + other)) == 1.0
    assert rewards.variety(tune(one * 8)) == pytest.approx(0.125 / 0.6)
    assert rewards.motif(tune([60, 62, 64, 62, 72, 55, 71, 50])) < 0.75


def test_novelty_is_of_intervals_in_any_key():
    known = tune(np.random.default_rng(1).permutation(np.arange(55, 80)).tolist())
    corpus = rewards.Corpus.of([known, tune(SCALE)])
    moved = replace(known, sections=(Section(tuple(replace(e, pitch=e.pitch + 3) for e in known.sections[0].events)),))
    assert rewards.novelty(moved, corpus) == 0.0
    assert rewards.novelty(tune(np.arange(55, 80)[::-1].tolist()), corpus) == 1.0
    assert rewards.novelty(tune([60, 62]), corpus) == 0.0, "too short to tell"
    assert rewards.novelty(known, rewards.Corpus.of([])) == 1.0


def test_distinct_tunes():
    assert rewards.distinct([tune(SCALE)], 2) == pytest.approx(3 / 6)
    assert rewards.distinct([tune(SCALE)] * 2, 2) == pytest.approx(3 / 12)


def test_ties_make_one_note_and_silence_earns_nothing():
    events = (Event(24, 60), Event(24, None, tied=True), Event(24), Event(24, 62))
    line = rewards.Line.of(Tune(4, 4, Key(ZERO, "C"), (Section(events),)))
    assert line.ticks.tolist() == [48, 24]
    assert line.onset.tolist() == [0, 72]
    silent = Tune(4, 4, Key(ZERO, "C"), (Section((Event(96),)),))
    assert set(rewards.of_tune(silent, rewards.Corpus.of([])).values()) == {0.0}


def test_errors_of_voices_are_counted_by_rule():
    errors = rewards.voice_errors(grid([72, 67, 64, 48], [74, 69, 65, 50], [72, 67, 64, 48]))
    assert errors["octaves"] == 2, "soprano and bass"
    assert errors["fifths"] == 2, "alto and bass"
    assert rewards.voice_errors(grid([64, 67, 60, 48]))["crossing"] == 1
    assert rewards.voice_errors(grid([76, 62, 60, 48]))["spacing"] == 1
    assert rewards.voice_errors(grid([67, 64, 60, 48], [76, 69, 60, 48]))["overlap"] == 1
    cadence = [[71, 67, 62, 55], [72, 67, 64, 48]]
    assert rewards.voice_errors(grid(*cadence))["leading"] == 0
    assert rewards.voice_errors(grid(cadence[0], [67, 64, 60, 48]))["leading"] == 1
    assert rewards.errors_per_bar(grid(*cadence * 2)) == sum(rewards.voice_errors(grid(*cadence * 2)).values())


def test_consonance_and_cadences():
    assert rewards.consonance(grid([72, 67, 64, 48])) == 1.0
    assert rewards.consonance(grid([73, 67, 66, 48])) < 0.6
    assert rewards.cadence(grid([71, 67, 62, 55], [72, 67, 64, 48])) == 1.0
    assert rewards.cadence(grid([72, 69, 65, 53], [72, 67, 64, 52])) == 0.0


def test_a_piece_is_at_home_in_the_key_that_was_asked_for():
    cadence = grid([72, 67, 64, 48], [72, 69, 65, 53], [71, 67, 62, 55], [72, 67, 64, 48])
    assert rewards.at_home(cadence, 0) == 1.0
    near, far = rewards.at_home(cadence, 7), rewards.at_home(cadence, 6)
    assert 1.0 > near > far == 0.0, "G major is nearer than F sharp major"
    assert rewards.of_grid(cadence, key=7)["at_home"] == near
    assert rewards.of_grid(cadence)["at_home"] == 1.0


def test_voices_that_stay_earn_no_movement_and_known_melodies_no_novelty():
    moving = grid(*[[72 - i, 67 - i, 64 - i, 48 + i] for i in range(8)])
    assert rewards.movement(moving) == 1.0
    assert rewards.movement(grid(*[[72, 67, 64, 48]] * 8)) == 0.0
    line = [60, 62, 64, 65, 67, 69, 71, 72, 71, 69, 67, 65]
    sung = grid(*[[pitch, 55, 52, 48] for pitch in line])
    assert rewards.of_grid(sung, rewards.Corpus.of_melodies([[p + 2 for p in line]]))["novelty"] == 0.0
    assert rewards.of_grid(sung, rewards.Corpus.of_melodies([line[::-1]]))["novelty"] == 1.0


def test_mixes():
    assert rewards.mixed({"motif": 1.0, "variety": 0.5}, "motif") == pytest.approx(2.5 / 3)
    with pytest.raises(BadRequest, match="one of folk"):
        rewards.mixed({}, "jazz")
    with pytest.raises(BadRequest, match="none of the rewards"):
        rewards.mixed({}, "folk")
    names = {*rewards.FOLK, *rewards.CHORALE, "novelty", "at_home"}
    assert all(set(mix) <= names for mix in rewards.WEIGHTS.values())


def test_bach_keeps_the_rules_and_shuffled_bach_does_not():
    pieces = music.chorales(archive("jsb-chorales-json.zip")).test[:20]
    rng = np.random.default_rng(1)
    for piece in pieces:
        real = rewards.of_grid(piece.grid)
        order = (4 * rng.permutation(len(piece.grid) // 4)[:, None] + np.arange(4)).ravel()
        pitches = piece.grid.pitches[order]
        shuffled = rewards.of_grid(Grid(pitches, struck(pitches)))
        assert rewards.mixed(real, "chorale") > rewards.mixed(shuffled, "chorale")
    assert np.mean([rewards.errors_per_bar(piece.grid) for piece in pieces]) < 0.8


def test_tunes_earn_more_than_the_same_notes_in_any_order():
    book = folk.Tunes.load(archive("nottingham-folk-abc.zip"), ".")
    rng = np.random.default_rng(1)
    won = []
    for real in book.held:
        events = [e for section in real.sections for e in section.events]
        order = rng.permutation([e.pitch for e in events if e.pitch is not None]).tolist()
        mixed = tuple(e if e.pitch is None else replace(e, pitch=order.pop()) for e in events)
        control = replace(real, sections=(Section(mixed),))
        each = [rewards.mixed(rewards.of_tune(t), "folk") for t in (real, control)]
        won.append(each[0] > each[1])
        assert 0 <= min(rewards.of_tune(control).values()) <= max(rewards.of_tune(control).values()) <= 1
    assert np.mean(won) > 0.85
