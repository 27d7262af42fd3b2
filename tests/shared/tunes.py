"""Small pieces that were written for these tests, and where the real archives lie."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from danqing.artwork.music import ZERO, Chord, Key, Meter, Note, Part, Score, Tempo
from danqing.artwork.provenance import Parent, Provenance

ARCHIVES = Path(__file__).parents[3] / "shared" / "data" / "music"
F = Fraction
ORIGIN = Provenance(
    "compose",
    {"style": "bach", "prompt": "春江 & <moon>"},
    7,
    {"chorale": "ab" * 32},
    (Parent("melody", "a.mid", "cd" * 32),),
)


def archive(name: str) -> Path:
    """One of the real archives; the test is skipped where they are not."""
    path = ARCHIVES / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return path


def bag(score: Score) -> Counter:
    """What sounds, whoever plays it."""
    return Counter((note.onset, note.pitch, note.duration) for note in score.notes)


def song() -> Score:
    """A melody with a pickup, a tie over a bar line, triplets, a rest, words, chord symbols, a new metre."""
    line = [(0, 67, 1), (1, 72, F(3, 2)), (F(5, 2), 74, F(1, 2)), (3, 76, 3), (6, 72, F(1, 3)), (F(19, 3), 74, F(1, 3)),
            (F(20, 3), 76, F(1, 3)), (7, 77, F(2, 3)), (F(23, 3), 76, F(2, 3)), (F(25, 3), 74, F(2, 3)),
            (10, 66, F(3, 4)), (F(43, 4), 67, F(1, 4)), (11, 70, 2), (13, 69, F(3, 2)), (F(29, 2), 72, F(3, 2)),
            (16, 72, 3)]  # fmt: skip
    words = ["O", "moon-", "light", "on", "the", "ri-", "ver", "so", "white,"]
    notes = [
        Note(F(onset), pitch, F(length), 0, 80, words[place] if place < len(words) else "")
        for place, (onset, pitch, length) in enumerate(line)
    ]
    return Score(
        tuple(notes),
        (Part("Voice", 52),),
        (Tempo(ZERO, 96.0), Tempo(F(13), 84.0)),
        (Meter(ZERO, 4, 4), Meter(F(13), 6, 8)),
        (Key(ZERO, "F", "major"), Key(F(13), "D", "minor")),
        (Chord(ZERO, "C7"), Chord(F(1), "F"), Chord(F(3), "Bbmaj7/D"), Chord(F(9, 2), "N"), Chord(F(13), "F#m7b5")),
        F(1),
        "River song",
        "A. Nobody",
    )


def quartet() -> Score:
    """Four voices, four bars of three quarters, with crossing lengths."""
    soprano = [(72, 1), (74, 1), (76, 1), (77, 2), (76, 1), (74, F(3, 2)), (72, F(1, 2)), (71, 1), (72, 3)]
    alto = [(67, 2), (67, 1), (69, 3), (67, 1), (65, 2), (64, 3)]
    tenor = [(60, 1), (59, 1), (60, 1), (60, F(1, 2)), (62, F(1, 2)), (60, 2), (62, 3), (60, 3)]
    bass = [(48, 3), (53, 3), (55, 2), (43, 1), (48, 3)]
    notes: list[Note] = []
    for part, line in enumerate((soprano, alto, tenor, bass)):
        here = ZERO
        for pitch, length in line:
            notes.append(Note(here, pitch, F(length), part, 72 + 4 * part))
            here += length
    names = ("Soprano", "Alto", "Tenor", "Bass")
    return Score(
        tuple(notes), tuple(Part(name, 52) for name in names), (Tempo(ZERO, 100.0),), (Meter(ZERO, 3, 4),),
        (Key(ZERO, "C", "major"),), (), ZERO, "Four", "",
    )  # fmt: skip


def piano() -> Score:
    """One part over two staves: held chords under a run, a unison between two lines, quintuplets."""
    notes = [Note(F(n, 4), 60 + 12 + n % 8, F(1, 4), 0, 90) for n in range(16)]
    notes += [Note(F(4) + F(n, 5), 79 - n, F(1, 5)) for n in range(10)]
    notes += [Note(F(onset), pitch, F(2)) for onset in (0, 2, 4, 6) for pitch in (43, 48, 52)]
    notes += [Note(F(0), 72, F(7)), Note(F(6), 84, F(2))]
    return Score(tuple(notes), (Part("Piano", 0),), keys=(Key(ZERO, "Eb", "major"),), title="Run")


def band() -> Score:
    """A tune, a bass and drums."""
    notes = [Note(F(n, 2), 64 + n % 5, F(1, 2), 0) for n in range(16)]
    notes += [Note(F(n), 40 + n % 3, F(1), 1) for n in range(8)]
    notes += [Note(F(n, 2), (36, 42, 38, 42)[n % 4], F(1, 4), 2, 100) for n in range(16)]
    return Score(tuple(notes), (Part("Lead", 73), Part("Bass", 33), Part("Drums", 0, True)))


ABC = """X:1
T:The Test
C:Nobody
M:6/8
L:1/8
Q:3/8=100
K:Gdor
D|"Gm"G2B d2^c|=c>B "C7/e"(3GAB G2:|
|:[G,B,D]2 z g3-|g3 ^f2f|{a}!trill!g6-|[M:2/4]g2 F2|"D7"A/B//c// d/>e/|]
w: a b-c d *
"""
KERN = """!!!OTL: A little canon
!!!COM: Nobody, Ann
**kern\t**kern\t**text
*Ibass\t*Isoprn\t*
*clefF4\t*clefG2\t*
*k[b-]\t*k[b-]\t*
*d:\t*d:\t*
*M3/4\t*M3/4\t*
*MM90\t*MM90\t*
4D\t4r\t.
=1\t=1\t=1
2.D[\t4d\tO
.\t8eL\tsing
.\t8ffJ\t.
.\t4a#\t.
=2\t=2\t=2
*^\t*\t*
4D]\t2F 2A\t12dd\t.
.\t.\t12ee\t.
.\t.\t12ff\t.
4E-\t.\t4gg\t.
8D\t4r\t8q g\t.
.\t.\t4aa;\t.
8C\t.\t.\t.
*v\t*v\t*\t*
=3\t=3\t=3
2D\t2dd\t.
==\t==\t==
*-\t*-\t*-
"""
