"""Folk tunes from ABC files, ready for training: read, checked, split by tune and its variants, written as tokens.

A narrow reader for collections: single melodies with chord symbols, keys, metres, repeats, endings, triplets and broken
rhythm. Grace notes, slurs, decorations and lyrics are passed over, of notes at once the highest is kept. A tune whose
bars do not add up, whose key or metre changes on the way or whose rhythm has no tokens is left out and counted.
"""

from __future__ import annotations

import importlib.util
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np

from danqing.artwork import pitches
from danqing.artwork.music import ZERO, Key
from danqing.artwork.pitches import MODES
from danqing.encode import tunes
from danqing.encode.tunes import TICKS, Event, Section, Tune
from danqing.errors import BadRequest
from danqing.training import music
from danqing.training.texts import Sample

TOLD = 0.6  # share of training samples that are told their tonic, and their kind
_KINDS = (
    ("slip", "slip jig"), ("jig", "jig"), ("hornpipe", "hornpipe"), ("hpps", "hornpipe"), ("strathspey", "strathspey"),
    ("polka", "polka"), ("reel", "reel"), ("waltz", "waltz"), ("march", "march"), ("quickstep", "march"),
    ("xmas", "carol"), ("air", "air"), ("song", "air"), ("ashover", ""), ("playford", ""), ("morris", ""),
)  # fmt: skip
_ITEM = re.compile(
    r"""(?P<chord>"[^"]*")|(?P<skip>\{[^}]*\}|![^!\n]*!|\[[A-Za-z]:[^\]]*\]|\\)
    |(?P<bar>:*\|*\[?\|+\]?:*(?:\[?[12](?![\d/]))?|::|\[[12])|\((?P<tuplet>\d)(?::\d?)*
    |\[(?P<many>[^\]|]+)\](?P<manylength>\d*/*\d*)|(?P<note>[_^=]*[A-Ga-gzx][,']*)(?P<length>\d*/*\d*)
    |(?P<broken>[<>]+)|(?P<tie>-)|(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


T = TypeVar("T")


class _Unfit(Exception):
    """This tune is left out; the message says why."""


# --- reading ABC ------------------------------------------------------------------------------------------------------


@dataclass
class _Heard:
    """A note as it is read: its length may still change by broken rhythm."""

    ticks: Fraction
    pitch: int | None
    chord: str = ""
    tied: bool = False  # by a tie from the note before


@dataclass
class _Bar:
    notes: list[_Heard] = field(default_factory=list)
    mark: str = ""  # what stands after it


def split_file(text: str) -> list[str]:
    """The tunes of an ABC file, each from its X: on."""
    return re.split(r"(?m)^(?=X:)", text.replace("\r", ""))[1:]


def read_tune(text: str, hint: str = "") -> Tune:
    """One tune. hint: a file name or the like that may tell its kind. Raises BadRequest for one that is left out."""
    try:
        return _Reader(text, hint).tune()
    except _Unfit as error:
        raise BadRequest(f"this tune is left out: {error}") from None


class _Reader:
    def __init__(self, text: str, hint: str) -> None:
        lines = [line.partition("%")[0].rstrip() for line in text.splitlines()]
        fields: dict[str, list[str]] = {}
        body: list[str] = []
        for line in lines:
            if re.match(r"[A-Za-z]:", line) and not line.startswith("|"):
                fields.setdefault(line[0], []).append(line[2:].strip())
            elif line.strip() and "K" in fields:
                body.append(line)
        self.body = "\n".join(body)
        self.title = (fields.get("T") or [""])[0]
        self.key = self._one(fields, "K", read_key)
        self.beats, self.unit = self._one(fields, "M", read_metre)
        self.bar = tunes.bar_ticks(self.beats, self.unit)
        short = Fraction(1, 16 if Fraction(self.beats, self.unit) < Fraction(3, 4) else 8)
        self.default = (self._one(fields, "L", Fraction) if "L" in fields else short) * 4 * TICKS
        self.kind = kind_of(" ".join([*fields.get("R", []), hint, self.title]), self.beats, self.unit)
        self.sharps = pitches.signs(tunes.signature(self.key))

    @staticmethod
    def _one(fields: dict[str, list[str]], name: str, read: Callable[[str], T]) -> T:
        try:
            values = {read(value) for value in fields.get(name, [])}
        except (ValueError, ZeroDivisionError):
            raise _Unfit(f"{name}: is not understood") from None
        if len(values) != 1:
            raise _Unfit(f"it has {len(values)} {name}:")
        return values.pop()

    def tune(self) -> Tune:
        sections = _sections(self._bars())
        why = _Unfit("its bars do not add up")
        for pickup in self._pickups(sections):
            try:
                done = tuple(Section(self._fitted(bars, pickup), repeated) for bars, repeated in sections)
                tune = Tune(self.beats, self.unit, self.key, done, pickup, self.kind, self.title)
                tunes.to_tokens(tune)
                return tune
            except (_Unfit, BadRequest) as error:
                why = _Unfit(str(error))
        raise why

    def _pickups(self, sections: Sequence[tuple[list[_Bar], bool]]) -> list[int]:
        """What the pickup may be: the first bar where it is short, else what later sections begin with or leave."""
        lengths = [[sum((n.ticks for n in bar.notes), ZERO) for bar in bars] for bars, _ in sections]
        found = [own[0] % self.bar for own in lengths]
        found += [-sum(own, ZERO) % self.bar for own in lengths]
        return list(dict.fromkeys(int(ticks) for ticks in found if ticks.denominator == 1))[:4]

    def _bars(self) -> list[_Bar]:
        bars, sharps = [_Bar()], dict(self.sharps)
        chord, tuplet, broken, tie = "", 0, 0, False
        for item in _ITEM.finditer(self.body):
            if item["chord"]:
                chord = item["chord"].strip('"') if item["chord"][1] not in "^_<>@" else chord
            elif item["bar"]:
                bars[-1].mark += item["bar"]
                bars.append(_Bar())
                sharps = dict(self.sharps)
            elif item["tuplet"]:
                if item["tuplet"] != "3":
                    raise _Unfit("it has tuplets other than triplets")
                tuplet = 3
            elif item["broken"]:
                broken = len(item["broken"]) * (1 if item["broken"][0] == ">" else -1)
            elif item["tie"]:
                tie = True
            elif item["note"] or item["many"]:
                note = self._note(item, sharps)
                if tuplet:
                    note.ticks, tuplet = note.ticks * 2 / 3, tuplet - 1
                before = next((b.notes[-1] for b in reversed(bars) if b.notes), None)
                if broken and before:
                    share = Fraction(1, 2 ** abs(broken))
                    less, more = share, 2 - share
                    before.ticks *= more if broken > 0 else less
                    note.ticks *= less if broken > 0 else more
                note.tied = bool(tie and before and before.pitch == note.pitch and note.pitch is not None)
                note.chord, chord, broken, tie = chord, "", 0, False
                bars[-1].notes.append(note)
        return bars

    def _note(self, item: re.Match[str], sharps: dict[str, int]) -> _Heard:
        if item["note"]:
            return _Heard(self.default * read_length(item["length"]), _pitch(item["note"], sharps))
        inner = re.findall(r"([_^=]*[A-Ga-g][,']*)(\d*/*\d*)", item["many"].replace("+", ""))
        if not inner:
            raise _Unfit("it has brackets without notes")
        ticks = self.default * read_length(inner[0][1]) * read_length(item["manylength"])
        return _Heard(ticks, max(p for note, _ in inner if (p := _pitch(note, sharps)) is not None))

    def _fitted(self, bars: Sequence[_Bar], pickup: int) -> tuple[Event, ...]:
        """A section's notes, mended where its pickup or its last bar is not as long as the others'."""
        events: list[Event] = []
        lengths = [sum((note.ticks for note in bar.notes), ZERO) for bar in bars]
        if lengths[0] < self.bar or pickup:  # it begins with a shorter pickup, or without: with a rest
            early = pickup - lengths[0] % self.bar
            if early < 0 or early.denominator != 1 or not pickup:
                raise _Unfit("its bars do not add up")
            events += [Event(int(early))] if early else []
        for number, bar in enumerate(bars):
            if number and not self._line(events, pickup):
                raise _Unfit("its bars do not add up")
            for note in bar.notes:
                if note.ticks.denominator != 1:
                    raise _Unfit("its rhythm has no ticks")
                if note.tied and events and not note.chord and not self._line(events, pickup):
                    events[-1] = replace(events[-1], ticks=events[-1].ticks + int(note.ticks))
                else:
                    tied = note.tied and bool(events)
                    events.append(Event(int(note.ticks), None if tied else note.pitch, tied, note.chord))
        over = sum(e.ticks for e in events) % self.bar
        if over > pickup and self.bar - over > pickup:
            raise _Unfit("its bars do not add up")
        if over > pickup:  # the last bar is short
            events[-1] = replace(events[-1], ticks=events[-1].ticks + self.bar - over)
        while 0 < over <= pickup and events:  # its last bar is full, or holds what leads back to the beginning
            last = events.pop()
            over -= last.ticks
            if over < 0:
                events.append(replace(last, ticks=-over))
        return tuple(self._split(events, pickup))

    def _line(self, events: Sequence[Event], pickup: int) -> bool:
        return (sum(e.ticks for e in events) - pickup) % self.bar == 0

    def _split(self, events: Iterable[Event], pickup: int) -> Iterator[Event]:
        """Notes that sound on over a bar line, cut there."""
        here = 0
        for event in events:
            for start, stop, goes_on in tunes._cut(here, here + event.ticks, pickup, self.bar):
                if goes_on:
                    yield Event(stop - start, None, event.pitch is not None or event.tied)
                else:
                    yield replace(event, ticks=stop - start)
            here += event.ticks


def _sections(bars: Sequence[_Bar]) -> list[tuple[list[_Bar], bool]]:
    """Bars between section marks, and whether they are repeated; first and second endings written out."""
    found: list[tuple[list[_Bar], bool]] = []
    own: list[_Bar] = []
    common: list[_Bar] | None = None  # of a section with two endings, what both share
    for bar in bars:
        if bar.notes:
            own.append(bar)
        mark = bar.mark
        if mark.endswith("1"):
            common, own = own, []
        elif mark.endswith("2") and common is not None:
            found.append((common + own, False))
            own, common = list(common), None
        elif (":" in mark or "||" in mark or "]" in mark) and own:
            found.append((own, mark.startswith(":") and common is None))
            own, common = [], None
    if own:
        found.append((own, False))
    if not found:
        raise _Unfit("it has no notes")
    return found


def read_key(text: str) -> Key:
    """K: "Ador", "E Minor", "Bb". Raises ValueError for what is none."""
    found = re.match(r"([A-G])([#b]?)\s*([A-Za-z]*)", text)
    if not found:
        raise ValueError(text)
    word = found[3].lower()
    modes = {"": "major", "m": "minor", "ma": "major", "ae": "minor", "io": "major"} | {m[:3]: m for m in MODES}
    mode = modes.get(word[:3]) or modes.get("" if word == "n" else word[:2]) or modes.get(word)
    if mode is None:
        raise ValueError(text)
    return Key(ZERO, found[1] + found[2], mode)


def read_metre(text: str) -> tuple[int, int]:
    """M: "6/8", "C|"; cut time is 4/4. Raises ValueError for one without a token."""
    text = text.split()[0] if text.split() else text
    if text in ("C", "C|", "2/2"):
        return 4, 4
    beats, _, unit = text.partition("/")
    metre = int(beats), int(unit)
    if metre not in tunes.METRES:
        raise ValueError(text)
    return metre


def read_length(text: str) -> Fraction:
    """A note's length as a share of L: "", "2", "/", "3/2", "//"."""
    above, slashes, below = re.fullmatch(r"(\d*)(/*)(\d*)", text).groups()  # type: ignore[union-attr]
    if slashes and not below:
        return Fraction(int(above or 1), 2 ** len(slashes))
    return Fraction(int(above or 1), int(below or 1)) if int(below or 1) else Fraction(1)


def kind_of(text: str, beats: int, unit: int) -> str:
    """One of `tunes.KINDS`, by words of its heading or its file; "" where none tells."""
    text = text.lower()
    kind = next((kind for word, kind in _KINDS if word in text), "")
    fits = {"jig": (6, 8), "slip jig": (9, 8), "waltz": (3, 4)}
    if kind == "jig" and (beats, unit) == (9, 8):
        return "slip jig"
    return kind if fits.get(kind, (beats, unit)) == (beats, unit) else ""


def _pitch(text: str, sharps: dict[str, int]) -> int | None:
    """MIDI of "^c'"; an accidental is written into `sharps`, which holds for the bar. None for a rest."""
    found = re.fullmatch(r"([_^=]*)([A-Ga-gzx])([,']*)", text)
    assert found
    sign, letter, octaves = found.groups()
    if letter in "zx":
        return None
    if sign:
        sharps[letter.upper()] = sign.count("^") - sign.count("_")
    octave = 5 + letter.islower() + octaves.count("'") - octaves.count(",")
    return 12 * octave + pitches.pitch_class(letter.upper()) + sharps.get(letter.upper(), 0)


# --- a collection -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tunes:
    """Every tune once, split by the tune behind its variants."""

    training: tuple[Tune, ...]
    held: tuple[Tune, ...]
    left_out: dict[str, int]  # why, and how many

    @classmethod
    def load(cls, root: Path, names: str) -> Tunes:
        """From .abc files and .zip or .whl files of them. names: without endings, joined by commas, in `root` or its
        `music`; "." is every such file in the folder. Raises BadRequest where something is missing or nothing is left.
        """
        found: dict[tuple[object, ...], Tune] = {}
        reasons: Counter[str] = Counter()
        for hint, text in _texts(root, names):
            try:
                tune = read_tune(text, hint)
            except BadRequest as error:
                reasons[re.sub(r"[\d+<>-]+", "…", str(error).partition(": ")[2])[:60]] += 1
                continue
            if len(tune.melody) > 2 * music.GRAM:
                found.setdefault((tune.beats, tune.unit, tune.key, tune.sections), tune)
        if not found:
            raise BadRequest(f"no tune of {root} can be used; ABC files hold tunes that begin with X:")
        tunes_ = sorted(found.values(), key=lambda t: (t.melody, t.title))
        names_ = music.families([t.melody for t in tunes_])
        out = [music.held_out(name) for name in names_]
        held = tuple(t for t, o in zip(tunes_, out, strict=True) if o)
        kept = tuple(t for t, o in zip(tunes_, out, strict=True) if not o)
        if not held or not kept:
            raise BadRequest(f"{len(found)} tunes are too few to hold a tenth back; give more")
        return cls(kept, held, dict(reasons))

    @cached_property
    def fingerprint(self) -> str:
        """Of the held-out tunes."""
        return music.fingerprint([",".join(map(str, tunes.to_tokens(t))) for t in self.held])


def _texts(root: Path, names: str) -> Iterator[tuple[str, str]]:
    """(name of the file, text of a tune)."""
    for path in _paths(root, names):
        try:
            if path.suffix == ".abc":
                files = [(path.name, path.read_bytes())]
            else:
                with zipfile.ZipFile(path) as archive:
                    files = [(n, archive.read(n)) for n in sorted(archive.namelist()) if _wanted(n)]
        except (OSError, zipfile.BadZipFile) as error:
            raise BadRequest(f"{path} cannot be read ({error}); fetch or make it again") from None
        for name, raw in files:
            for tune in split_file(raw.decode("utf-8", errors="replace")):
                yield Path(name).stem, tune


def _paths(root: Path, names: str) -> list[Path]:
    kinds = (".zip", ".whl", ".abc")
    if names == "." and root.is_dir():
        return sorted(p for p in root.rglob("*") if p.suffix in kinds)
    found: list[Path] = []
    for name in names.split(","):
        wheels = [p for folder in (root, root / "music") for p in sorted(folder.glob(f"{name}-*.whl"))]
        if name == "music21" and not wheels:
            spec = importlib.util.find_spec(name)
            if spec is None or spec.origin is None:
                raise BadRequest(
                    f"music21 is neither installed nor is its wheel in {root}; get it by: pip download music21 "
                    "--no-deps -d DATA, or leave it out: files=nottingham-folk-abc"
                )
            found += [p for p in sorted(Path(spec.origin).parent.glob("corpus/**/*.abc")) if _wanted(str(p))]
        else:
            found += wheels[-1:] or [music.find(root, name, kinds)]
    return found


def _wanted(name: str) -> bool:
    """Of music21's wheel the dance tunes; the Essen collection is songs."""
    return name.endswith(".abc") and "essen" not in name.lower()


# --- sequences --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sequencer:
    """Makes training samples of tunes: controls, some of them hidden, then the tune, cut to the context."""

    tunes: tuple[Tune, ...]
    context: int

    def __call__(self, number: int, rng: np.random.Generator) -> list[Sample]:
        """One tune, with or without its chords, its tonic and its kind."""
        tune = self.tunes[number]
        chords = tune.has_chords and rng.random() < 0.7
        tonic = pitches.pitch_class(tune.key.tonic) if rng.random() < TOLD else None
        kind = tune.kind if rng.random() < TOLD else ""
        return [self.sample(tune, tonic, kind, chords)]

    def sample(self, tune: Tune, tonic: int | None, kind: str, chords: bool) -> Sample:
        """The tokens of a tune; only what comes after the controls counts."""
        if not chords:
            bare = tuple(replace(s, events=tuple(replace(e, chord="") for e in s.events)) for s in tune.sections)
            tune = replace(tune, sections=bare)
        head = tunes.prompt(tune.beats, tune.unit, tune.key.mode, tonic, kind, chords)
        tokens = (head + tunes.to_tokens(tune))[: self.context + 1]
        return Sample(tokens, [0.0] * (len(head) - 1) + [1.0] * (len(tokens) - len(head)))


def fixed(held: Sequence[Tune], context: int, told: bool) -> list[Sample]:
    """Each tune once, as it is; told: with its tonic and kind."""
    make = Sequencer(tuple(held), context)
    return [
        make.sample(t, pitches.pitch_class(t.key.tonic) if told else None, t.kind if told else "", t.has_chords)
        for t in held
    ]
