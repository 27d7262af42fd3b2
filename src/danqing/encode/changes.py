"""The chords under a single line, estimated from the line: a hidden Markov model over keys and chords.

A state is a key and a chord that is usual in it; it gives the pitch classes of half a bar, weighed by how long they
sound: chord tones are likely, the rest of the key less, others little. Chords like to stay through a bar, to fall by
fifths and to come home; keys stay. Solved by Viterbi. Where bars begin is the phase under which all this is likeliest,
since chords change at bar lines. A solo over chords implies them; what the band played may differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from danqing.artwork import pitches
from danqing.artwork.music import Key
from danqing.encode import theory
from danqing.encode.pulse import STEPS, Placed

Floats = NDArray[np.float64]

BEATS = 4  # of a bar
USUAL = {  # chords of a key: semitones above the tonic, suffix, how usual
    "major": (
        (0, "maj7", 3.0), (2, "m7", 3.0), (4, "m7", 1.0), (5, "maj7", 1.5), (7, "7", 3.0), (9, "m7", 1.5),
        (0, "7", 1.0), (5, "7", 1.0), (2, "7", 0.7), (9, "7", 0.7), (5, "m7", 0.4), (10, "7", 0.4), (11, "m7b5", 0.3),
        (1, "dim7", 0.2),
    ),
    "minor": (
        (0, "m7", 3.0), (2, "m7b5", 2.0), (7, "7", 2.5), (5, "m7", 1.5), (8, "maj7", 0.8), (3, "maj7", 1.0),
        (10, "7", 0.8), (8, "7", 0.5), (11, "dim7", 0.3),
    ),
}  # fmt: skip
# Triads under a tune, by semitones above the tonic, how usual; "7" on the fifth degree of minor is the common one too.
TRIADS = {
    "major": ((0, "", 4.0), (2, "m", 1.5), (4, "m", 1.0), (5, "", 3.0), (7, "", 3.5), (9, "m", 2.5)),
    "minor": ((0, "m", 4.0), (3, "", 2.0), (5, "m", 2.0), (7, "", 2.5), (8, "", 2.5), (10, "", 2.5)),
}
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10, 11)}
HELD, HELD_OVER = 0.8, 0.2  # chance that a chord stays in the middle of a bar, and over a bar line
HELD_TUNE = 0.65  # in the middle of a bar, under a tune
MODULATES = 0.02
TRUST = 1.2  # of the notes: their log-likelihoods are weighed with it against the smoothness


@lru_cache(maxsize=2)
def _model(triads: bool = False) -> tuple[list[str], Floats, Floats, Floats]:
    """Chord names (S,), log P(pitch class | state) (S, 12), log of changes between chords (S, S), keys (S,)."""
    table: Any = TRIADS if triads else USUAL
    states = [
        (mode, tonic, (tonic + above) % 12, suffix, usual)
        for mode in ("major", "minor") for tonic in range(12) for above, suffix, usual in table[mode]
    ]  # fmt: skip
    names, rows = [], []
    for mode, tonic, root, suffix, _ in states:
        names.append(f"{pitches.moved('C', root)}{suffix}")
        chances = np.full(12, 0.02)
        chances[[(tonic + step) % 12 for step in SCALES[mode]]] = 0.07
        chances[[(root + step) % 12 for step in theory.QUALITIES[suffix]]] = 0.17
        rows.append(np.log(chances / chances.sum()))
    roots = np.array([root for _, _, root, _, _ in states])
    keys = np.array([tonic + 12 * (mode == "minor") for mode, tonic, *_ in states])
    usual = np.array([usual for *_, usual in states])
    moves = np.ones((len(states), len(states))) * usual[None, :]
    moves[(roots[:, None] - roots[None, :]) % 12 == 7] *= 4.0  # a falling fifth
    moves[(roots[:, None] - roots[None, :]) % 12 == 1] *= 1.5
    moves[:, roots == keys % 12] *= 1.3
    same = keys[:, None] == keys[None, :]
    moves *= ~np.eye(len(states), dtype=bool)
    within = moves * same / (moves * same).sum(1, keepdims=True)
    beyond = moves * ~same / (moves * ~same).sum(1, keepdims=True)
    return names, np.array(rows), np.log((1 - MODULATES) * within + MODULATES * beyond + 1e-12), keys


def estimate(notes: Sequence[Placed], phase: int) -> tuple[float, list[str]]:
    """How likely the best chords are, in nats, and a chord for each half bar from beat `phase` − BEATS on.

    phase: the first beat, 0 to BEATS − 1, that begins a bar.
    """
    names, rows, moves, _ = _model()
    given = TRUST * _weights(notes, (phase - BEATS) * STEPS) @ rows.T  # (T, S)
    likelihood, path = _solved(given, moves, HELD, HELD_OVER)
    return likelihood, [names[i] for i in path]


def under(notes: Sequence[Placed], key: Key) -> list[str]:
    """Triads of a key under a tune, one for each half bar; the first bar begins at step 0. The last is the tonic."""
    names, rows, moves, keys = _model(triads=True)
    given = TRUST * _weights(notes, 0) @ rows.T
    minor = key.mode in ("minor", "dorian", "phrygian", "locrian")
    number = pitches.pitch_class(key.tonic) + 12 * minor
    given[:, keys != number] = -1e6
    home = [i for i, name in enumerate(names) if keys[i] == number and name == _home(key, minor=minor)]
    given[0, home] += 1.0
    given[-1, home] += 1e3
    return [names[i] for i in _solved(given, moves, HELD_TUNE, HELD_OVER)[1]]


def _home(key: Key, *, minor: bool) -> str:
    return f"{pitches.moved('C', pitches.pitch_class(key.tonic))}{'m' if minor else ''}"


def _solved(given: Floats, moves: Floats, held: float, over: float) -> tuple[float, list[int]]:
    """Viterbi. given (T, S), moves (S, S) in nats; held, over: the chance to stay inside a bar, and over its line."""
    size = given.shape[1]
    best, came = given[0] - np.log(size), np.zeros((len(given), size), dtype=np.int64)
    diagonal = np.arange(size)
    for half in range(1, len(given)):
        stay = held if half % 2 else over
        change = best[:, None] + moves + np.log(1 - stay)
        change[diagonal, diagonal] = best + np.log(stay)
        came[half] = change.argmax(axis=0)
        best = change[came[half], diagonal] + given[half]
    state = int(best.argmax())
    path = [state]
    for half in range(len(given) - 1, 0, -1):
        state = int(came[half, state])
        path.append(state)
    return float(best.max()), path[::-1]


def _weights(notes: Sequence[Placed], start: int) -> Floats:
    """How much each pitch class sounds in each half bar from a step on: (T, 12); a quarter note is 1, on a beat 1.3."""
    half = BEATS * STEPS // 2
    count = 2 * -(-(max(note.onset + note.length for note in notes) - start) // (2 * half))
    found = np.zeros((count, 12))
    for note in notes:
        strong = 1.3 if note.onset % STEPS == 0 else 1.0
        here, left = note.onset - start, min(note.length, 2 * STEPS)
        while left > 0 and here // half < count:
            part = min(left, half - here % half)
            found[here // half, note.pitch % 12] += strong * (part / STEPS) ** 0.7
            here, left = here + part, left - part
    return found


def find(notes: Sequence[Placed]) -> tuple[int, list[str]]:
    """The likeliest phase, and its chords; see `estimate`."""
    found = [(*estimate(notes, phase), phase) for phase in range(BEATS)]
    _, chords, phase = max(found, key=lambda row: row[0])
    return phase, chords
