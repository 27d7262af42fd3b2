"""Pop songs from MIDI files with their beats, as POP909 has them: a melody, a bridge and a piano to each.

NNN/NNN.mid holds the parts MELODY, BRIDGE and PIANO, played by people; NNN/beat_midi.txt says when the beats are and
which of them begin bars, NNN/key_audio.txt the key, NNN/chord_midi.txt the chords. Notes and chords are put onto the
beats, notes in sixteenths or triplets; where a song has no file of chords, they are found in its notes. Songs with bars
of five beats and the like, or whose files do not fit together, are left out and counted.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import hashlib
import re
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from danqing.artwork import midi
from danqing.artwork.music import ZERO, Chord, Key, Meter, Note, Part, Score, Tempo
from danqing.encode import pulse, theory
from danqing.encode.events import STEPS
from danqing.encode.text import Characters
from danqing.errors import BadRequest, InvalidMedia
from danqing.training import music, repertoire
from danqing.training.repertoire import Piece, Repertoire

LABEL = "pop"
BAND = (Part("Melody"), Part("Bridge"), Part("Piano"))
_NAMES = tuple(part.name.upper() for part in BAND)
_SUFFIXES = {"min": "m", "min7": "m7", "7": "7", "maj7": "maj7", "dim": "dim7", "hdim7": "m7b5", "dim7": "dim7",
             "aug": "aug", "sus4": "sus4", "min6": "m7", "minmaj7": "m"}  # fmt: skip
_OTHERS = ("beat_midi", "key_audio", "chord_midi")
SIXTEENTH = STEPS // 4
READING = "in sixteenths"  # of the songs: tokens that were kept from another reading are made anew


@functools.cache
def vocabulary() -> Characters:
    """Event tokens, chords and the one label."""
    return repertoire.vocabulary((LABEL,), chords=True)


def load(root: Path, files: str, keep: Path) -> Repertoire:
    """From one .zip archive in `root` or its `music`. keep: the file that the tokens are kept in."""
    path = music.find(root, files, (".zip",))

    def read() -> tuple[list[Piece], Mapping[str, int]]:
        pieces, left_out = [], Counter[str]()
        try:
            with zipfile.ZipFile(path) as archive:
                names = set(archive.namelist())
                for name in sorted(n for n in names if n.endswith(".mid")):
                    others = [
                        str(Path(name).parent / f"{other}.txt") for other in ("beat_midi", "key_audio", "chord_midi")
                    ]
                    if others[0] not in names:
                        left_out["no beats"] += 1
                        continue
                    beats, key, chords = (
                        archive.read(other).decode("utf-8", "replace") if other in names else "" for other in others
                    )
                    try:
                        score = song(archive.read(name), beats, key, name, chords)
                        bars = repertoire.bars_of(score, score.keys, named=True, chords=True)
                        pieces.append(Piece(Path(name).stem, LABEL, "", name, bars))
                    except (BadRequest, InvalidMedia) as error:
                        left_out[re.sub(r"\S*\d\S*", "…", str(error))[:60]] += 1
        except (OSError, zipfile.BadZipFile) as error:
            raise BadRequest(f"{path} cannot be read ({error}); fetch or make it again") from None
        return pieces, left_out

    return repertoire.kept(keep, f"{READING} {hashlib.sha256(path.read_bytes()).hexdigest()}", read)


def song(data: bytes, beats: str, key: str, name: str, chords: str = "") -> Score:
    """A song on its beats, a beat being a quarter note. Raises InvalidMedia and BadRequest for what cannot be used.

    beats: a line a beat, "seconds … downbeat"; key: "start stop Gb:maj" a line, of which the first counts; chords:
    "start stop Gb:maj7/3" a line.
    """
    played = midi.decode(data, name)
    names = [part.name.strip().upper() for part in played.parts]
    if not all(wanted in names for wanted in _NAMES):
        raise BadRequest(f"{name} lacks a part: melody, bridge and piano are used")
    times, marks = _beats(beats, name)
    lengths = np.diff(marks).tolist()
    early = lengths[0] - int(marks[0])  # the first mark begins the second bar: a pickup stands in a whole one
    own = [(part, note) for part, wanted in enumerate(_NAMES) for note in played.of(names.index(wanted))]
    steps = pulse.together(np.array([_beat(played.seconds(note.onset), times) for _, note in own]))
    notes = []
    for part in range(len(_NAMES)):
        struck = [
            (step, note, _beat(played.seconds(note.end), times))
            for step, (whose, note) in zip(steps.tolist(), own, strict=True)
            if whose == part
        ]
        notes += [replace(note, onset=note.onset + early, part=part) for note in _held(struck)]
    notes = [note for note in notes if note.onset >= 0]
    if not notes:
        raise BadRequest(f"{name} holds no notes on its beats")
    bars = [(0, lengths[0]), *((int(mark) + early, beats) for mark, beats in zip(marks, lengths, strict=False))]
    first = max(place for place, _ in bars if place <= min(note.onset for note in notes))  # bars before it are empty
    tempo = 60 / float(np.median(np.diff(times)))
    named = [(_place(time, times) + early - first, chord) for time, chord in read_chords(chords)]
    found = Score(
        tuple(replace(note, onset=note.onset - first) for note in notes),
        BAND, (Tempo(ZERO, tempo),),
        tuple(Meter(Fraction(place - first), beats, 4) for place, beats in bars if place >= first), read_key(key),
        tuple(Chord(max(ZERO, Fraction(round(onset))), chord) for onset, chord in sorted(named)),
    )  # fmt: skip
    return found if named else replace(found, chords=theory.find_chords(found))


def _beats(text: str, name: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """When the beats are, in seconds, and which of them begin bars."""
    try:
        rows = np.array([[float(word) for word in line.split()] for line in text.splitlines() if line.strip()])
        times, marks = rows[:, 0], np.flatnonzero(rows[:, -1] > 0)
    except (ValueError, IndexError):
        raise BadRequest(f"{name} has beats that are no numbers") from None
    if len(marks) < 2 or (np.diff(times) <= 0).any():
        raise BadRequest(f"{name} has beats out of order, or no two bars")
    if marks[0] > marks[1] - marks[0] or not set(np.diff(marks).tolist()) <= {2, 3, 4, 6}:
        raise BadRequest(f"{name} has bars of other lengths than 2, 3, 4 and 6 beats")
    return times, marks


def _place(time: float, times: NDArray[np.float64]) -> Fraction:
    """A time in beats from the first one, to the nearest step."""
    return Fraction(round(_beat(time, times) * STEPS), STEPS)


def _beat(time: float, times: NDArray[np.float64]) -> float:
    """A time in beats from the first one; before the first and after the last at their speed."""
    i = int(np.clip(np.searchsorted(times, time, side="right") - 1, 0, len(times) - 2))
    return float(i + (time - times[i]) / (times[i + 1] - times[i]))


def _held(struck: Sequence[tuple[int, Note, float]]) -> list[Note]:
    """The notes of a part, given where they begin in steps and end in beats, with lengths in sixteenths.

    A rest shorter than one is the way of playing, not a rest.
    """
    onsets = sorted({step for step, _, _ in struck})
    found = []
    for step, note, stop in struck:
        place = bisect.bisect_right(onsets, step)
        after = onsets[place] if place < len(onsets) else step + 4 * STEPS
        end = max(step + SIXTEENTH, SIXTEENTH * round(stop * STEPS / SIXTEENTH))
        end = after if abs(after - end) < SIXTEENTH else end
        found.append(replace(note, onset=Fraction(step, STEPS), duration=Fraction(end - step, STEPS)))
    return found


def read_key(text: str) -> tuple[Key, ...]:
    """The first key of "0.3 180.2 Gb:maj" lines; none where it is not understood."""
    found = re.search(r"([A-G][#b]?):(maj|min)", text)
    return (Key(ZERO, found[1], {"maj": "major", "min": "minor"}[found[2]]),) if found else ()


def read_chords(text: str) -> list[tuple[float, str]]:
    """When chords begin, in seconds, and their symbols without a bass: a line "2.7 4.1 B:min7/b7" → (2.7, "Bm7")."""
    found = []
    for line in text.splitlines():
        words = line.split()
        root, _, quality = words[2].partition(":") if len(words) == 3 else ("", "", "")
        quality = quality.partition("/")[0].partition("(")[0]
        with contextlib.suppress(ValueError, IndexError):
            name = f"{root}{_SUFFIXES.get(quality, '')}" if root != "N" else "N"
            found.append((float(words[0]), name))
    return found
