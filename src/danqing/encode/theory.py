"""What musicians call things: keys, chords and their symbols, roman numerals, voices. numpy and scipy, no torch.

Keys are found by correlating how long each pitch class sounds with key profiles (Krumhansl & Kessler 1982; Temperley
1999; Temperley 2007 from the Kostka-Payne corpus), and by what the piece ends on. Voices are separated by the cheapest
assignment of notes to lines at each onset (after Chew & Wu 2004: near in pitch, without crossing).
Measured: docs/decisions/0008-scores.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from danqing.artwork import pitches
from danqing.artwork.music import ZERO, Chord, Key, Note, Score
from danqing.errors import BadRequest

PROFILES = {  # how well each pitch class above the tonic belongs to the key: major, minor
    "krumhansl": (  # Krumhansl & Kessler 1982, probe-tone ratings
        (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
        (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
    ),
    "temperley": (  # Temperley 1999, "What's Key for Key?"
        (5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0),
        (5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0),
    ),
    "kostka-payne": (  # Temperley 2007, Music and Probability, table 6.1
        (0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400),
        (0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330),
    ),
}
ENDING = 0.1  # what a piece's last bass note adds to the keys that it is the tonic of, in units of correlation
HOME = 1.0  # how much a voice's range counts beside the leap, when notes are dealt to voices
QUALITIES = {  # suffix → semitones above the root; the order is preference where two fit alike
    "": (0, 4, 7), "m": (0, 3, 7), "7": (0, 4, 7, 10), "m7": (0, 3, 7, 10), "maj7": (0, 4, 7, 11), "dim": (0, 3, 6),
    "m7b5": (0, 3, 6, 10), "dim7": (0, 3, 6, 9), "aug": (0, 4, 8), "sus4": (0, 5, 7), "sus2": (0, 2, 7),
    "mMaj7": (0, 3, 7, 11), "7sus4": (0, 5, 7, 10), "6": (0, 4, 7, 9), "m6": (0, 3, 7, 9), "9": (0, 2, 4, 7, 10),
    "m9": (0, 2, 3, 7, 10), "maj9": (0, 2, 4, 7, 11), "add9": (0, 2, 4, 7), "7b9": (0, 1, 4, 7, 10),
    "aug7": (0, 4, 8, 10), "7b5": (0, 4, 6, 10), "5": (0, 7),
}  # fmt: skip
_SYMBOL = re.compile(
    r"(?P<minor>min|mi|m(?!aj)|-)?(?P<seventh>maj|Maj|M|j|Δ)?(?P<shape>dim|o|°|ø|aug|\+)?(?P<number>69|6/9|13|11|9|7|6|5)?"
    r"(?P<sus>sus[24]?)?(?P<rest>(?:\(?(?:add|no|b|#|\+|-)\d{1,2}\)?,?)*)$"
)
_DEGREES = ("I", "II", "III", "IV", "V", "VI", "VII")
_SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10), "dorian": (0, 2, 3, 5, 7, 9, 10),
           "phrygian": (0, 1, 3, 5, 7, 8, 10), "lydian": (0, 2, 4, 6, 7, 9, 11), "mixolydian": (0, 2, 4, 5, 7, 9, 10),
           "locrian": (0, 1, 3, 5, 6, 8, 10)}  # fmt: skip


@dataclass(frozen=True)
class Symbol:
    """A chord symbol, understood."""

    root: int  # pitch class, 0 is C
    intervals: tuple[int, ...]  # semitones above the root, 0 to 11, ascending
    bass: int  # pitch class of the lowest note
    suffix: str  # what stands behind the root: "m7"

    @property
    def pitch_classes(self) -> frozenset[int]:
        """All that sound, the bass included."""
        return frozenset({(self.root + interval) % 12 for interval in self.intervals} | {self.bass})


# --- keys -------------------------------------------------------------------------------------------------------------


def pitch_weights(notes: Iterable[Note]) -> NDArray[np.float64]:
    """How long each pitch class sounds, in quarter notes: (12,) float64, C first."""
    weights = np.zeros(12)
    for note in notes:
        weights[note.pitch % 12] += float(note.duration)
    return weights


def rank_keys(notes: Sequence[Note], profile: str = "kostka-payne", *, ending: bool = True) -> list[tuple[Key, float]]:
    """All 24 major and minor keys, the likeliest first, with their scores (correlations of −1 to 1, and ENDING).

    ending: whether the notes end a piece, so that the last bass note counts as a tonic.
    """
    if profile not in PROFILES:
        raise BadRequest(f"profile {profile!r} is not known; there are {', '.join(PROFILES)}")
    weights = pitch_weights(notes)
    last = _last_bass(notes) if ending else None
    found = []
    for mode, levels in zip(("major", "minor"), PROFILES[profile], strict=True):
        for tonic in range(12):
            score = _correlation(weights, np.roll(np.asarray(levels), tonic))
            score += ENDING if last == tonic else 0.0
            found.append((Key(ZERO, pitches.moved("C", tonic, mode), mode), score))
    return sorted(found, key=lambda pair: -pair[1])


def find_key(notes: Sequence[Note], profile: str = "kostka-payne", *, ending: bool = True) -> Key:
    """The likeliest major or minor key. Raises BadRequest where there are no notes."""
    if not notes:
        raise BadRequest("no notes, no key; give a passage with notes")
    return rank_keys(notes, profile, ending=ending)[0][0]


def local_keys(score: Score, bars: int = 4, stay: float = 0.15) -> list[Key]:
    """The key of each bar, from a window of so many bars, staying where a change gains less than `stay` (Viterbi)."""
    starts = score.bars()
    names = [key for key, _ in sorted(rank_keys(score.notes), key=lambda pair: str(pair[0]))]
    rows = []
    for place in range(len(starts) - 1):
        first = starts[max(0, place - bars // 2)]
        after = starts[min(len(starts) - 1, place + (bars + 1) // 2)]
        ranked = {str(key): value for key, value in rank_keys(score.between(first, after), ending=False)}
        rows.append([ranked[str(key)] for key in names])
    best, back = np.zeros(len(names)), []
    for row in rows:
        moved = best.max() - stay > best
        back.append(np.where(moved, best.argmax(), np.arange(len(names))))
        best = np.where(moved, best.max() - stay, best) + np.asarray(row)
    path = [int(best.argmax())]
    for step in reversed(back[1:]):
        path.append(int(step[path[-1]]))
    return [replace(names[at], onset=start) for at, start in zip(reversed(path), starts, strict=False)]


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size else 0.0


def _last_bass(notes: Sequence[Note]) -> int | None:
    if not notes:
        return None
    end = max(note.end for note in notes)
    return min((note for note in notes if note.end == end), key=lambda note: note.pitch).pitch % 12


# --- chords -----------------------------------------------------------------------------------------------------------


@lru_cache(4096)
def chord_symbol(name: str) -> Symbol | None:
    """What a chord symbol means: "Dm7", "G7/B", "F#ø", "Bbmaj9"; None for "N". Raises BadRequest for others."""
    if name in ("N", "N.C.", "NC"):
        return None
    found = re.match(r"([A-G](?:##|bb|#|b)?)(.*)$", name.strip())
    if not found:
        raise BadRequest(f"chord {name!r} does not begin with a note; chords are written like Dm7, G7/B, Bbmaj7")
    suffix, slash, bass = found[2].rpartition("/")
    if not slash or not re.fullmatch(r"[A-G](##|bb|#|b)?", bass):
        suffix, bass = found[2], ""
    root = pitches.pitch_class(found[1])
    return Symbol(root, _intervals(suffix, name), pitches.pitch_class(bass) if bass else root, suffix)


def _intervals(suffix: str, name: str) -> tuple[int, ...]:
    if suffix in QUALITIES:
        return tuple(sorted(QUALITIES[suffix]))
    found = _SYMBOL.match(suffix)
    if not found:
        raise BadRequest(f"chord {name!r} has an ending that is not known; chords are written like Dm7, G7/B, Bbmaj7")
    shape, number = found["shape"] or "", found["number"] or ""
    third = 3 if found["minor"] or shape in ("dim", "o", "°", "ø") else 4
    fifth = 6 if shape in ("dim", "o", "°", "ø") else 8 if shape in ("aug", "+") else 7
    tones = {0, third, fifth}
    if number == "5":
        tones = {0, 7}
    if number in ("6", "69", "6/9"):
        tones |= {9, 2} if number != "6" else {9}
    if number in ("7", "9", "11", "13") or shape == "ø":
        tones.add(11 if found["seventh"] else 9 if shape in ("dim", "o", "°") else 10)
        tones |= {2} if number in ("9", "11", "13") else set()
        tones |= {5} if number == "11" else {9} if number == "13" else set()
    elif found["seventh"] and found["seventh"] in ("j", "Δ"):
        tones.add(11)
    if found["sus"]:
        tones = (tones - {3, 4}) | {2 if found["sus"] == "sus2" else 5}
    for kind, degree in re.findall(r"(add|no|b|#|\+|-)(\d{1,2})", found["rest"] or ""):
        _alter(tones, kind, int(degree))
    return tuple(sorted(tones))


def _alter(tones: set[int], kind: str, degree: int) -> None:
    """Changes a chord's tones as "b9", "#5", "add9" or "no3" says."""
    tone = _SCALES["major"][(degree - 1) % 7]
    if kind == "no":
        tones -= {tone, tone - 1} if degree == 3 else {tone}
        return
    if kind in ("b", "-", "#", "+"):
        if degree == 5:
            tones.discard(tone)
        tone += 1 if kind in ("#", "+") else -1
    tones.add(tone % 12)


def chord_pitches(name: str) -> frozenset[int]:
    """The pitch classes of a chord symbol, 0 to 11; none for "N". Raises BadRequest for what is no chord."""
    symbol = chord_symbol(name)
    return symbol.pitch_classes if symbol else frozenset()


def name_chord(sounding: Iterable[int], weights: Sequence[float] | None = None, key: Key | None = None) -> str:
    """What a set of MIDI pitches is called: "Dm7", "G7/B"; "N" for none. The lowest is the bass.

    weights: how much each counts, 1 unless given; key: how roots are spelled.
    """
    given = list(sounding)
    if not given:
        return "N"
    profile = np.zeros(12)
    for pitch, weight in zip(given, weights or [1.0] * len(given), strict=True):
        profile[pitch % 12] += weight
    return _named(profile / profile.sum(), min(given) % 12, key)


def _named(profile: NDArray[np.float64], bass: int, key: Key | None) -> str:
    """The chord that explains a distribution over pitch classes best."""
    fits = _TEMPLATES @ profile  # (qualities · 12,) the share that each chord explains
    present = np.minimum(profile / 0.08, 1.0)
    missing = _SIZES - _TEMPLATES @ present
    value = fits - 0.17 * missing - _RARITY
    roots = np.tile(np.arange(12), len(QUALITIES))
    value = value + 0.06 * (roots == bass) - 0.12 * (_TEMPLATES[:, bass] == 0)
    best = int(np.argmax(value))
    root, suffix = best % 12, list(QUALITIES)[best // 12]
    fifths = pitches.signature(key.tonic, key.mode) if key else 0
    minor = key is not None and key.mode == "minor"
    name = _spelled(root, fifths, minor)
    inside = _TEMPLATES[best, bass] > 0
    return name + suffix + (f"/{_spelled(bass, fifths, minor)}" if bass != root and inside else "")


def _spelled(pitch_class: int, fifths: int, minor: bool) -> str:
    step, sign, _ = pitches.spelled(60 + pitch_class, fifths - 1, minor=minor)  # roots lie on the flat side
    return step + {1: "#", -1: "b", 0: ""}[sign]


def _templates() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    rows, sizes, rarity = [], [], []
    for order, intervals in enumerate(QUALITIES.values()):
        for root in range(12):
            row = np.zeros(12)
            row[[(root + interval) % 12 for interval in intervals]] = 1
            rows.append(row)
            sizes.append(len(intervals))
            rarity.append(0.009 * order)
    return np.stack(rows), np.asarray(sizes, float), np.asarray(rarity)


_TEMPLATES, _SIZES, _RARITY = _templates()


def find_chords(score: Score, step: Fraction | None = None) -> tuple[Chord, ...]:
    """A chord symbol where the harmony changes, looked for at every `step` quarter notes (a bar unless given).

    A stretch is named by how long each pitch sounds in it, its lowest pitch being the bass; drums do not count.
    """
    grid = _grid(score, step)
    drums = {number for number, part in enumerate(score.parts) if part.drums}
    notes = [note for note in score.notes if note.part not in drums]
    found: list[Chord] = []
    sounding: list[Note] = []
    place = 0
    for start, stop in pairwise(grid):
        while place < len(notes) and notes[place].onset < stop:
            sounding.append(notes[place])
            place += 1
        sounding = [note for note in sounding if note.end > start]
        if not sounding:
            continue
        shares = [float(min(note.end, stop) - max(note.onset, start)) for note in sounding]
        name = name_chord([note.pitch for note in sounding], shares, score.key_at(start))
        if not found or found[-1].name != name:
            found.append(Chord(start, name))
    return tuple(found)


def _grid(score: Score, step: Fraction | None) -> list[Fraction]:
    bars = score.bars()
    if step is None:
        return bars
    if step <= 0:
        raise BadRequest(f"step is {step}; chords are looked for at steps above 0 quarter notes")
    grid: list[Fraction] = []
    for start, stop in pairwise(bars):
        count = int((stop - start) / step) + 1
        grid += [start + step * n for n in range(count) if start + step * n < stop]
    return [*grid, bars[-1]]


def roman(name: str, key: Key) -> str:
    """A chord in a key as a roman numeral: "V7", "ii65", "bVII", "vii°7", "V7/V"; "–" for "N"."""
    symbol = chord_symbol(name)
    if symbol is None:
        return "–"
    scale = _SCALES[key.mode]
    tonic = pitches.pitch_class(key.tonic)
    above = (symbol.root - tonic) % 12
    diatonic = {(tonic + tone) % 12 for tone in scale} | ({(tonic + 11) % 12} if key.mode == "minor" else set())
    third = next((tone for tone in (4, 3) if tone in symbol.intervals), None)
    figures = _figures(symbol)
    if third == 4 and above != 7 and not symbol.pitch_classes <= diatonic and 8 not in symbol.intervals:
        target = (symbol.root + 5 - tonic) % 12
        if target in scale and target != 0 and (third + symbol.root) % 12 not in diatonic:
            return f"V{figures}/{_degree(target, scale, upper=_is_major(target, scale))}"
    return _degree(above, scale, upper=third != 3) + _mark(symbol) + figures


def _mark(symbol: Symbol) -> str:
    tones = set(symbol.intervals)
    if {3, 6} <= tones and 7 not in tones:
        return "ø" if 10 in tones else "°"
    if {4, 8} <= tones and 7 not in tones:
        return "+"
    return "maj" if 11 in tones else ""


def _figures(symbol: Symbol) -> str:
    """The figured bass of the inversion: "" "6" "64", with a seventh "7" "65" "43" "42"."""
    above = (symbol.bass - symbol.root) % 12
    seventh = bool({10, 11} & set(symbol.intervals)) or symbol.intervals == (0, 3, 6, 9)
    place = 0 if above == 0 else 1 if above in (3, 4) else 2 if above in (6, 7, 8) else 3
    if seventh:
        return ("7", "65", "43", "42")[place]
    return ("", "6", "64", "")[place]


def _degree(above: int, scale: Sequence[int], *, upper: bool) -> str:
    if above in scale:
        sign, degree = "", scale.index(above)
    elif above == 11:  # the leading note of a minor key needs no sign
        sign, degree = "", 6
    elif (above + 1) % 12 in scale and above != 6:
        sign, degree = "b", scale.index((above + 1) % 12)
    else:
        sign, degree = "#", scale.index((above - 1) % 12)
    numeral = _DEGREES[degree]
    return sign + (numeral if upper else numeral.lower())


def _is_major(degree: int, scale: Sequence[int]) -> bool:
    """Whether the triad on this degree of the scale is major."""
    return (degree + 4) % 12 in scale


# --- voices -----------------------------------------------------------------------------------------------------------


def skyline(notes: Iterable[Note]) -> tuple[Note, ...]:
    """The top line: of the notes that begin together the highest, cut where a later one covers it."""
    line: list[Note] = []
    for _, group in groupby(sorted(notes), key=lambda note: note.onset):
        top = max(group, key=lambda note: note.pitch)
        if line and line[-1].end > top.onset:
            if line[-1].pitch > top.pitch:
                continue
            line[-1] = replace(line[-1], duration=top.onset - line[-1].onset)
        line.append(top)
    return tuple(line)


def separate(notes: Iterable[Note], count: int | None = None) -> list[tuple[Note, ...]]:
    """Polyphony as monophonic voices, the highest first; each note in exactly one.

    count: how many voices; the most notes that ever sound at once unless given. Where more sound, the inner ones are
    left out.
    """
    from scipy.optimize import linear_sum_assignment

    ordered = sorted(notes)
    needed = _polyphony(ordered)
    count = needed if count is None else count
    if count < 1:
        if not ordered:
            return []
        raise BadRequest(f"count is {count}; there is at least one voice")
    voices: list[list[Note]] = [[] for _ in range(count)]
    homes = _homes(ordered, count)
    for onset, group in groupby(ordered, key=lambda note: note.onset):
        chord = sorted(group, key=lambda note: -note.pitch)
        free = [v for v in range(count) if not voices[v] or voices[v][-1].end <= onset]
        while len(chord) > len(free):
            chord.pop(len(chord) // 2)
        if not chord:
            continue
        held = {v: voices[v][-1].pitch for v in range(count) if v not in free}
        costs = np.array([[_cost(note, v, voices[v], held, homes) for v in free] for note in chord])
        for row, column in zip(*linear_sum_assignment(costs), strict=True):
            voices[free[column]].append(chord[row])
    return [tuple(voice) for voice in voices]


def _cost(note: Note, voice: int, line: Sequence[Note], held: dict[int, int], homes: Sequence[float]) -> float:
    """What it costs a voice to take a note: the leap, the silence before, distance from its range, crossings."""
    cost = HOME * abs(note.pitch - homes[voice])
    if line:
        cost += abs(note.pitch - line[-1].pitch) + 0.4 * min(float(note.onset - line[-1].end), 8.0)
    for other, pitch in held.items():
        if (other < voice and pitch < note.pitch) or (other > voice and pitch > note.pitch):
            cost += 10.0
    return cost


def _homes(notes: Sequence[Note], count: int) -> list[float]:
    """Where each voice lives: the mean pitch at its rank in the chords that have a note for every voice."""
    full = []
    for note in notes:
        chord = sorted((n.pitch for n in _sounding(notes, note.onset)), reverse=True)
        if len(chord) == count:
            full.append(chord)
        if len(full) >= 400:
            break
    if full:
        return [float(mean) for mean in np.mean(full, axis=0)]
    known = sorted((note.pitch for note in notes), reverse=True) or [60]
    return [float(known[min(len(known) - 1, (2 * v + 1) * len(known) // (2 * count))]) for v in range(count)]


def _sounding(notes: Sequence[Note], onset: Fraction, reach: int = 24) -> list[Note]:
    """The notes that sound at a moment, looked for among `reach` neighbours on either side."""
    low, high = 0, len(notes)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if notes[middle].onset < onset else (low, middle)
    near = notes[max(0, low - reach) : low + reach]
    return [note for note in near if note.onset <= onset < note.end]


def _polyphony(notes: Sequence[Note]) -> int:
    """The most notes that sound at once."""
    edges = sorted([(note.onset, 1) for note in notes] + [(note.end, 0) for note in notes])
    most = now = 0
    for _, begins in edges:
        now += 1 if begins else -1
        most = max(most, now)
    return most
