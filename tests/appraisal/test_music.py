"""What is said of a piece: keys and cadences by ear, every rule of four parts at its bar, moods with their reasons."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from fractions import Fraction

import music_models
import pytest
from tunes import archive

from danqing.appraisal import counterpoint, music
from danqing.artwork import scores
from danqing.artwork.music import Key, Meter, Note, Part, Score, Tempo
from danqing.encode import melodies
from danqing.encode.melodies import Known, Line
from danqing.encode.origins import Filter

F = Fraction
GOOD = [(72, 67, 64, 48), (71, 67, 62, 43), (72, 67, 64, 48)]  # I V I in C, all by the book
VOICES = ("soprano", "alto", "tenor", "bass")


def chords(*given: tuple[int, ...], beats: int = 2) -> Score:
    """Chords of so many quarters, soprano to bass."""
    notes = [
        Note(F(i * beats), pitch, F(beats), voice) for i, chord in enumerate(given) for voice, pitch in enumerate(chord)
    ]
    return Score(tuple(notes), tuple(Part(name, 52) for name in VOICES), keys=(Key(F(0), "C"),))


def judged(score: Score, key: str = "C") -> counterpoint.Judgement:
    return counterpoint.judge([score.of(v) for v in range(4)], score.bars(), [Key(F(0), key)], False)


def test_what_is_by_the_book_breaks_nothing():
    told = judged(chords(*GOOD))
    assert told.faults == ()
    assert set(told.chances) == set(counterpoint.RULES)
    assert told.chances["parallel-fifths"] > 0


@pytest.mark.parametrize(
    ("pair", "rule", "voices"),
    [
        ([(76, 67, 60, 48), (77, 69, 62, 50)], "parallel-octaves", (2, 3)),
        ([(72, 67, 55, 48), (74, 65, 57, 50)], "parallel-fifths", (2, 3)),
        ([(69, 65, 60, 48), (74, 65, 59, 55)], "hidden", (0, 3)),
        ([(72, 60, 64, 48), (71, 62, 67, 43)], "crossing", (1, 2)),
        ([(79, 64, 60, 48), (79, 64, 60, 48)], "spacing", (0, 1)),
        ([(72, 67, 64, 35), (72, 67, 64, 48)], "range", (3,)),
        ([(60, 59, 55, 48), (74, 62, 55, 47)], "leap", (0,)),
        ([(71, 65, 62, 43), (67, 64, 60, 48)], "leading-note", (0,)),
        ([(71, 62, 59, 43), (72, 64, 60, 48)], "doubled-leading-note", (0, 2)),
    ],
)
def test_each_rule_is_told_where_it_is_broken(pair: list[tuple[int, ...]], rule: str, voices: tuple[int, ...]):
    told = judged(chords(*GOOD, GOOD[0], *pair))
    found = told.broken(rule)
    assert found, [fault.rule for fault in told.faults]
    assert found[0].voices == voices
    assert (found[0].bar, found[0].beat) in ((3, 1.0), (3, 3.0))
    assert found[0].en
    assert found[0].zh


def test_parallel_motion_that_stays_is_none():
    told = judged(chords((72, 67, 60, 48), (72, 67, 60, 48)))
    assert not told.broken("parallel-octaves")
    assert not told.broken("parallel-fifths")


def test_a_cadence_a_key_and_a_form_are_found():
    score = chords(*GOOD, (69, 65, 60, 41), (71, 67, 62, 43), (72, 67, 64, 48))
    report = music.appraise(score)
    assert str(report.key) == "C major"
    assert (report.bars, report.metre) == (3, "4/4")
    assert report.cadences[-1].kind == "authentic"
    assert report.cadences[-1].bar == 3
    assert report.rules is not None
    assert report.parts[0] == ("soprano", 69, 72)
    assert not report.compared


def test_sections_that_come_again_have_the_same_letter():
    one = music_models.line((60, 62, 64, 65, 67, 65, 64, 62) * 2)
    other = music_models.line((72, 71, 69, 67, 72, 69, 65, 60) * 2)
    score = Score(
        (
            *one,
            *(replace(n, onset=n.onset + 16) for n in other),
            *(replace(n, onset=n.onset + 32) for n in one),
        )
    )
    report = music.appraise(score)
    assert report.form == "ABA"
    assert report.melody.returning > 0.5
    assert report.rules is None


def test_a_mood_follows_mode_and_tempo_and_says_why():
    major = chords(*GOOD * 2, beats=1)
    minor = chords(*[(s - (s % 12 == 4), a, t - (t % 12 == 4), b) for s, a, t, b in GOOD] * 2, beats=4)
    fast = music.appraise(replace(major, tempos=(Tempo(F(0), 160.0),))).mood
    slow = music.appraise(replace(minor, tempos=(Tempo(F(0), 50.0),))).mood
    assert (fast.name, slow.name) == ("joyful", "sad")
    assert fast.features["mode"] == 1 == -slow.features["mode"]
    assert set(fast.features) == {*music.VALENCE, *music.AROUSAL}


def test_a_known_passage_is_named_by_its_bars():
    famous = music_models.line(music_models.FAMOUS)
    known = Known({"passages": Filter.of(melodies.entries([Line(famous, F(4))]), 40).bits}, {})
    new = music_models.line((61, 66, 63, 70, 61, 68, 62, 75))
    score = Score((*new, *(replace(n, onset=n.onset + 8, pitch=n.pitch + 2) for n in famous)))
    report = music.appraise(score, known)
    assert report.known == music.Known(3, 6, 4.0)
    assert music.appraise(Score(new), known).known is None


def test_both_languages_say_all_of_it_and_json_holds_it():
    report = music.appraise(chords(*GOOD, (76, 67, 60, 48), (77, 69, 62, 50)))
    english, chinese = report.lines("en"), report.lines("zh")
    assert any("parallel octaves" in line and "bar 3" in line for line in english)
    assert any("平行八度" in line and "第 3 小节" in line for line in chinese)
    assert len(english) == len(chinese)
    plain = json.loads(json.dumps(report.as_dict(), default=str))
    assert plain["key"] == "C major"
    assert plain["rules"]["faults"]


def test_odd_pieces_are_judged_all_the_same():
    for score in (
        Score((Note(F(0), 60, F(1)),)),
        Score((Note(F(0), 40, F(1)),), (Part("drums", 0, True),)),
        Score((Note(F(3), 60, F(1, 3)),), meters=(Meter(F(0), 5, 8),), pickup=F(1, 2)),
        Score(tuple(Note(F(0), pitch, F(4)) for pitch in range(60, 72))),
    ):
        report = music.appraise(score)
        assert report.lines("en")
        assert report.lines("zh")


def test_bach_breaks_few_rules():
    """Ten of his chorales: under three places for each four bars."""
    faults = bars = 0
    with zipfile.ZipFile(archive("bach-kern.zip")) as file:
        for name in sorted(n for n in file.namelist() if n.startswith("chor"))[:10]:
            report = music.appraise(scores.decode(file.read(name), name))
            if report.rules is not None:
                faults, bars = faults + len(report.rules.faults), bars + report.bars
    assert bars > 50
    assert faults / bars < 0.75
