"""Names of pitches: moving a tonic or a chord symbol, spelling a note in a key."""

from __future__ import annotations

import re

TONICS = ("C", "C#", "Db", "D", "D#", "Eb", "E", "F", "F#", "Gb", "G", "G#", "Ab", "A", "A#", "Bb", "B", "Cb")
MODES = ("major", "minor", "dorian", "phrygian", "lydian", "mixolydian", "locrian")
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
SIGNS = {"": 0, "#": 1, "b": -1, "##": 2, "bb": -2}
# Fifths above C of each tonic, as a major key; how many fifths a mode's signature lies from the major one's.
FIFTHS = {"Cb": -7, "Gb": -6, "Db": -5, "Ab": -4, "Eb": -3, "Bb": -2, "F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4,
          "B": 5, "F#": 6, "C#": 7, "G#": 8, "D#": 9, "A#": 10}  # fmt: skip
MODE_FIFTHS = {"lydian": 1, "major": 0, "mixolydian": -1, "dorian": -2, "minor": -3, "phrygian": -4, "locrian": -5}
_NAME = re.compile(r"([A-G])(##|bb|#|b)?")


def pitch_class(name: str) -> int:
    """0 to 11 of a note's name: "F#" → 6."""
    found = _NAME.match(name)
    if not found:
        raise ValueError(f"{name!r} is no name of a note")
    return (STEPS[found[1]] + SIGNS[found[2] or ""]) % 12


def signature(tonic: str, mode: str) -> int:
    """Sharps (above 0) or flats (below 0) in front of the staff."""
    return FIFTHS[tonic] + MODE_FIFTHS[mode]


def signs(fifths: int) -> dict[str, int]:
    """What a signature does to letters: 2 → {"F": 1, "C": 1}; −1 → {"B": −1}; beyond seven they are altered twice."""
    found: dict[str, int] = {}
    for place in range(abs(fifths)):
        letter = ("FCGDAEB" if fifths > 0 else "BEADGCF")[place % 7]
        found[letter] = found.get(letter, 0) + (1 if fifths > 0 else -1)
    return found


def moved(tonic: str, semitones: int, mode: str = "major") -> str:
    """The tonic so many semitones higher, spelled with the fewest sharps or flats."""
    wanted = (pitch_class(tonic) + semitones) % 12
    names = [name for name in FIFTHS if pitch_class(name) == wanted]
    return min(names, key=lambda name: (abs(signature(name, mode)), name))


def moved_chord(name: str, semitones: int) -> str:
    """A chord symbol so many semitones higher: root and bass move, the rest stays."""
    if not _NAME.match(name):
        return name
    root = _NAME.sub(lambda m: moved(m[0], semitones), name, count=1)
    head, slash, bass = root.rpartition("/")
    return f"{head}/{moved(bass, semitones)}" if slash and _NAME.fullmatch(bass) else root


def spelled(pitch: int, fifths: int, *, minor: bool = False) -> tuple[str, int, int]:
    """How a pitch is written in a key: (step C to B, alteration −1 to 1, octave of scientific notation).

    fifths: the key's sharps, or flats below 0. Of the notes outside a major key the raised fourth, first and fifth (the
    leading note of the relative minor) are sharps, the lowered seventh and third are flats. minor: its sixth and
    seventh degrees are raised, so that the leading note of G minor is F sharp.
    """
    centre = fifths + (3.5 if minor else 2.5)
    best = min(
        ((step, sign) for step in STEPS for sign in (-1, 0, 1) if (STEPS[step] + sign - pitch) % 12 == 0),
        key=lambda name: abs(_place(*name) - centre),
    )
    return best[0], best[1], (pitch - best[1] - STEPS[best[0]]) // 12 - 1


def _place(step: str, sign: int) -> int:
    """On the line of fifths, C being 0."""
    return {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}[step] + 7 * sign
