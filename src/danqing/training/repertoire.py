"""Pieces as bars of event tokens, ready for training: split by work, transposed, cut into windows by step.

A sequence is controls and a window of a piece that begins at a bar, where metre and tempo are said anew:

    <chopin> <mazurka> <key 21> <opening> <text> <bar> <metre 3/4> <tempo 132> <at 0> <part 0> <note 69> …

`<key n>` is the key at the window's head (tonic, + 12 in minor), `<opening>` stands where the piece begins,
`<closing n>` where it has n bars left. Controls are hidden at random, the first one so that a model can be guided
toward it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from danqing.artwork import pitches
from danqing.artwork.music import ZERO, Key, Score
from danqing.encode import events, theory
from danqing.encode.text import TEXT, Characters
from danqing.errors import BadRequest
from danqing.training import music, texts
from danqing.training.texts import Sample

HELD_OUT = 0.1  # share of the works of each label
SHIFTS = range(-5, 7)  # semitones
HIDDEN = {"label": 0.15, "form": 0.3, "key": 0.2, "place": 0.3}  # how often a control is left out in training
CLOSING = 16  # bars that `<closing n>` counts down from
ENDS = 0.2  # share of windows that are a piece's beginning, and as many that hold its end
OPENING = "<opening>"
HEADINGS = "headings"  # in the header of a weights file: those of what was learned from
KEYS = tuple(f"<key {n}>" for n in range(24))
ENDINGS = tuple(f"<closing {n}>" for n in range(1, CLOSING + 1))


def vocabulary(labels: Sequence[str], forms: Sequence[str] = (), chords: bool = False) -> Characters:
    """Event tokens and the controls. chords: whether bars begin with their chords."""
    own = [f"<{name}>" for name in (*labels, *forms)]
    return events.vocabulary((*own, *KEYS, OPENING, *ENDINGS), chords)


def key_number(key: Key) -> int:
    """Its number in KEYS; modes with a minor third count as minor."""
    return pitches.pitch_class(key.tonic) + 12 * (key.mode in ("minor", "dorian", "phrygian", "locrian"))


@dataclass(frozen=True)
class Bar:
    """One bar of a piece."""

    metre: int  # in events.METRES
    tempo: int  # its token
    key: int  # in KEYS
    tokens: tuple[int, ...]  # see `events.bars`


@dataclass(frozen=True)
class Piece:
    """A piece of one edition."""

    name: str
    label: str  # a composer or a style; "" where it is not known
    form: str
    work: str  # what editions and movements of one work have in common
    bars: tuple[Bar, ...]

    @cached_property
    def size(self) -> int:
        """Its tokens, about."""
        return sum(len(bar.tokens) + 1 for bar in self.bars)

    @cached_property
    def melody(self) -> tuple[int, ...]:
        """The highest pitch of the first part that plays, at every place."""
        found = []
        for bar in self.bars:
            top, part = -1, 0
            for kind, value in (*map(events.kind_of, bar.tokens), ("at", 0)):
                if kind == "at":
                    found += [top] if top >= 0 else []
                    top, part = -1, 0
                elif kind == "part":
                    part = value
                elif kind == "note" and part == 0:
                    top = max(top, value)
        return tuple(found)


class Heading(NamedTuple):
    """How a piece begins, without its notes."""

    label: str
    form: str
    metre: int  # in events.METRES, the one of most of its bars
    key: int  # in KEYS
    tempo: float  # quarter notes a minute; 0 where the piece does not say

    @property
    def mode(self) -> str:
        """Major or minor."""
        return "minor" if self.key > 11 else "major"

    @property
    def named(self) -> Key:
        """The key, spelled with the fewest sharps or flats."""
        return Key(ZERO, pitches.moved("C", self.key % 12, self.mode), self.mode)


def headings(pieces: Iterable[Piece], unsaid: float = events.UNSAID) -> list[Heading]:
    """Of these pieces, editions of one piece that begin alike once.

    unsaid: the tempo of pieces that do not say theirs; 0 where all do.
    """
    found = set()
    for piece in pieces:
        metre = Counter(bar.metre for bar in piece.bars).most_common(1)[0][0]
        tempo = float(events.TEMPOS[events.kind_of(piece.bars[0].tempo)[1]])
        own = Heading(piece.label, piece.form, metre, piece.bars[0].key, 0.0 if tempo == unsaid else tempo)
        found.add((piece.work, own))
    return sorted(own for _, own in found)


def bars_of(score: Score, keys: Sequence[Key] = (), named: bool = False, chords: bool = False) -> tuple[Bar, ...]:
    """The bars of a score whose metre has a token; others are left out. keys: those named in the file, by onset.

    named: parts are named even where one alone sounds; chords: bars begin with those of the score. A pickup is a whole
    bar that begins with silence. Raises
    BadRequest for what `events.bars` cannot write.
    """
    starts = score.bars()
    spans, marks = [], []
    for number, (start, stop) in enumerate(itertools.pairwise(starts)):
        meter = score.meter_at(start)
        if (meter.beats, meter.unit) not in events.METRES:
            continue
        early = meter.bar - score.pickup if number == 0 and score.pickup else 0
        tempo = next((t.bpm for t in reversed(score.tempos) if t.onset <= start), events.UNSAID)
        spans.append((start - early, stop))
        marks.append((events.METRES.index((meter.beats, meter.unit)), events.tempo_token(tempo), start))
    home = [(key.onset, key_number(key)) for key in keys] or [(ZERO, key_number(theory.find_key(score.notes)))]
    written = events.bars(score, spans, named)
    if chords:
        written = [halves(score, *span) + own for span, own in zip(spans, written, strict=True)]
    return tuple(
        Bar(metre, tempo, next((k for onset, k in reversed(home) if onset <= start), home[0][1]), tuple(tokens))
        for (metre, tempo, start), tokens in zip(marks, written, strict=True)
    )


def halves(score: Score, start: Fraction, stop: Fraction) -> list[int]:
    """The tokens of the chords in the two halves of a bar from start to stop: those in force where a half begins."""
    places = [start + (stop - start) * half / events.HALVES for half in range(events.HALVES)]
    names = [next((c.name for c in reversed(score.chords) if c.onset <= place), "N") for place in places]
    return [events.chord_token(name) for name in names]


def to_score(piece: Piece) -> Score:
    """The piece as a score, all notes of one loudness."""
    tokens: list[int] = []
    metre = -1
    for bar in piece.bars:
        tokens += [events.BAR, *([events.metre_token(bar.metre)] if bar.metre != metre else []), *bar.tokens]
        metre = bar.metre
    return events.to_score(tokens)


# --- collections ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Repertoire:
    """Every piece, split by the work."""

    training: tuple[Piece, ...]
    held: tuple[Piece, ...]  # one edition of each movement
    left_out: Mapping[str, int]  # why, and how many

    @classmethod
    def of(cls, pieces: Sequence[Piece], left_out: Mapping[str, int]) -> Repertoire:
        """Split: of each label a tenth of its works, at least one, chosen by their content.

        Pieces belong together where `work` is the same or their melodies are variants of one (`music.families`).
        """
        ordered = sorted((p for p in pieces if len(p.melody) > 2 * music.GRAM), key=lambda p: (p.label, p.name))
        kin = _joined([p.work for p in ordered], music.families([p.melody for p in ordered]))
        by_label: dict[str, dict[str, list[Piece]]] = defaultdict(lambda: defaultdict(list))
        for piece, name in zip(ordered, kin, strict=True):
            by_label[piece.label][name].append(piece)
        training: list[Piece] = []
        held: list[Piece] = []
        for works in by_label.values():
            names = sorted(works, key=lambda name: hashlib.sha256(name.encode()).digest())
            count = max(1, round(HELD_OUT * len(names))) if len(names) > 1 else 0
            for name in names[count:]:
                training += works[name]
            for name in names[:count]:
                held += {tuple(p.melody[:40]): p for p in reversed(works[name])}.values()
        if not training or not held:
            raise BadRequest(f"{len(pieces)} pieces could be read, too few works to hold a tenth back; give more")
        return cls(tuple(training), tuple(sorted(held, key=lambda p: (p.label, p.name))), dict(left_out))

    @property
    def fingerprint(self) -> str:
        """Of the held-out pieces."""
        return music.fingerprint([",".join(map(str, piece.melody)) for piece in self.held])


def _joined(works: Sequence[str], families: Sequence[str]) -> list[str]:
    """A name for what hangs together by its work or its family: the least family name in it."""
    names = list(families)
    while True:
        least: dict[str, str] = {}
        for group in (works, families):
            for own, name in zip(group, names, strict=True):
                least[own] = min(name, least.get(own, name))
        fresh = [min(least[w], least[f]) for w, f in zip(works, families, strict=True)]
        if fresh == names:
            return names
        names = fresh


def kept(path: Path, source: str, read: Callable[[], tuple[list[Piece], Mapping[str, int]]]) -> Repertoire:
    """A collection that is read once and kept in a file. source: what it was read from, so that it is read anew."""
    if path.exists():
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            if about["source"] == source:
                return Repertoire.of(_unpacked(arrays["tokens"], arrays["bars"], about), about["left_out"])
    pieces, left_out = read()
    bars = [bar for piece in pieces for bar in piece.bars]
    about = {
        "source": source,
        "left_out": dict(left_out),
        "pieces": [[p.name, p.label, p.form, p.work, len(p.bars)] for p in pieces],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp.npz")
    np.savez_compressed(
        temporary,
        tokens=np.array([t for bar in bars for t in bar.tokens], np.uint16),
        bars=np.array([[bar.metre, bar.tempo, bar.key, len(bar.tokens)] for bar in bars], np.int32).reshape(-1, 4),
        about=np.array(json.dumps(about)),
    )
    temporary.replace(path)
    return Repertoire.of(pieces, left_out)


def _unpacked(tokens: NDArray[np.uint16], rows: NDArray[np.int32], about: Mapping[str, object]) -> list[Piece]:
    flat, here = tokens.tolist(), 0
    bars = []
    for metre, tempo, key, count in rows.tolist():
        bars.append(Bar(metre, tempo, key, tuple(flat[here : here + count])))
        here += count
    pieces, first = [], 0
    for name, label, form, work, count in about["pieces"]:  # type: ignore[attr-defined]
        pieces.append(Piece(name, label, form, work, tuple(bars[first : first + count])))
        first += count
    return pieces


# --- windows ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hidden:
    """Which controls a window is not told."""

    label: bool = False
    form: bool = False
    key: bool = False
    place: bool = False


def head(words: Characters, label: str = "", form: str = "", key: int = -1, opening: bool = False,
         left: int = 0) -> list[int]:  # fmt: skip
    """The controls before a window, those that are given, and `<text>`. left: bars to the end; 0: not told."""
    names = [f"<{name}>" for name in (label, form) if name and words.has(f"<{name}>")]
    names += [KEYS[key]] if key >= 0 else []
    names += [OPENING] if opening else []
    names += [ENDINGS[left - 1]] if 0 < left <= CLOSING else []
    return [words.id(name) for name in (*names, TEXT)]


def window(piece: Piece, start: int, words: Characters, most: int, shift: int = 0,
           hidden: Hidden | None = None) -> tuple[Sample, int]:  # fmt: skip
    """A piece from bar `start` on, at most `most` tokens, moved by `shift` semitones; and the first bar cut off.

    What comes after the controls counts. Raises BadRequest where a note leaves the keyboard.
    """
    hidden = hidden or Hidden()
    first, left = piece.bars[start], len(piece.bars) - start
    key = (first.key + shift) % 12 + first.key // 12 * 12
    controls = head(
        words,
        "" if hidden.label else piece.label,
        "" if hidden.form else piece.form,
        -1 if hidden.key else key,
        start == 0 and not hidden.place,
        0 if hidden.place else left,
    )
    tokens: list[int] = []
    metre, tempo, room = -1, -1, most - len(controls)
    number = start
    while number < len(piece.bars) and len(tokens) < room:
        bar = piece.bars[number]
        tokens.append(events.BAR)
        tokens += [events.metre_token(bar.metre)] if bar.metre != metre else []
        tokens += [bar.tempo] if bar.tempo != tempo else []
        tokens += bar.tokens
        metre, tempo, number = bar.metre, bar.tempo, number + 1
    if number == len(piece.bars):
        tokens.append(events.LAST)
    after = number if len(tokens) <= room else number - 1
    written = events.moved(np.array(tokens[:room]), shift).tolist()
    return Sample([*controls, *written], [0.0] * (len(controls) - 1) + [1.0] * len(written)), after


class Windows:
    """Batches of windows, each a function of its step alone.

    A label is drawn by the root of its tokens, a work of it by its size, one of its editions evenly.
    """

    def __init__(self, pieces: Sequence[Piece], words: Characters, context: int, tokens: int, run_seed: int) -> None:
        """context: tokens that the model sees; tokens: of a batch."""
        self.words, self.context, self.seed = words, context, run_seed
        self.rows = max(1, tokens // context)
        works: dict[tuple[str, str], list[Piece]] = defaultdict(list)
        for piece in pieces:
            works[piece.label, f"{piece.work}:{piece.melody[:12]}"].append(piece)
        self.works = list(works.values())
        sizes = np.array([np.mean([p.size for p in own]) for own in self.works])
        labels = [own[0].label for own in self.works]
        sums = {label: sizes[[other == label for other in labels]].sum() for label in set(labels)}
        chances = np.array([size / sums[label] ** 0.5 for size, label in zip(sizes, labels, strict=True)])
        self.chances = chances / chances.sum()
        self.tokens = float(sizes.sum())

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """tokens (B, T + 1) int64 padded with 0, weights (B, T) float32, 0 where nothing is to be learned."""
        rng = np.random.default_rng([self.seed, 22, step])
        return texts.pad([self._draw(rng) for _ in range(self.rows)])

    def _draw(self, rng: np.random.Generator) -> Sample:
        own = self.works[rng.choice(len(self.works), p=self.chances)]
        piece = own[rng.integers(len(own))]
        hidden = Hidden(*(rng.random() < HIDDEN[name] for name in ("label", "form", "key", "place")))
        where, count = rng.random(), len(piece.bars)
        if where < ENDS:
            start = 0
        elif where < 2 * ENDS:
            start = max(0, count - int(rng.integers(2, CLOSING + 1)))
        else:
            start = int(rng.integers(count))
        for shift in rng.permutation(list(SHIFTS)).tolist():
            try:
                return window(piece, start, self.words, self.context + 1, shift, hidden)[0]
            except BadRequest:
                continue
        return window(piece, start, self.words, self.context + 1, 0, hidden)[0]


def fixed(pieces: Sequence[Piece], words: Characters, context: int, hidden: Hidden | None = None,
          most: int = 0) -> list[Sample]:  # fmt: skip
    """Each piece once as it is, in windows one after the other. most: windows of a piece; 0: all."""
    found = []
    for piece in pieces:
        start, count = 0, 0
        while start < len(piece.bars) and (not most or count < most):
            sample, after = window(piece, start, words, context + 1, 0, hidden)
            found.append(sample)
            start, count = max(start + 1, after), count + 1
    return found
