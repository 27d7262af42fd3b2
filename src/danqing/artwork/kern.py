"""Humdrum **kern: read only; each spine is a part, the last (highest on the page) first.

Spines may split, join, swap, begin and end (`*^ *v *x *+ *-`); what they split into stays in the part. Rhythms are read
as reciprocals with dots, `%` ratios and breves; grace notes are left out, repeats stay as they stand. **text and
**silbe spines are the lyrics of the **kern spine to their left; others are passed over.

The format: https://www.humdrum.org/guide/ and Huron, The Humdrum Toolkit: Reference Manual (1994).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from fractions import Fraction

from danqing.artwork import barlines, pitches
from danqing.artwork.music import ZERO, Key, Meter, Note, Part, Score, Tempo
from danqing.artwork.pitches import MODES
from danqing.errors import InvalidMedia

MAX_SPINES = 256
_RHYTHM = re.compile(r"(\d+)(?:%(\d+))?(\.*)")
_PITCH = re.compile(r"([a-gA-G])\1*")
_METER = re.compile(r"\*M(\d+)/(\d+)")
_TEMPO = re.compile(r"\*MM(\d+(?:\.\d+)?)")
_KEY = re.compile(r"\*([a-gA-G])([#-]?):(\w*)")
_SIGNATURE = re.compile(r"\*k\[((?:[a-g](?:#|-|n)*)*)\]")
_MODES = {"ion": "major", "dor": "dorian", "phr": "phrygian", "lyd": "lydian", "mix": "mixolydian", "aeo": "minor",
          "loc": "locrian"}  # fmt: skip
_PROGRAMS = {"piano": 0, "clavi": 6, "cemba": 6, "hrpsi": 6, "organ": 19, "vox": 52, "soprn": 52, "alto": 52,
             "tenor": 52, "bass": 52, "violn": 40, "viola": 41, "cello": 42, "cbass": 43, "flt": 73, "oboe": 68,
             "clars": 71, "fagot": 70, "cor": 60, "tromp": 56, "guitr": 24, "harp": 46}  # fmt: skip


@dataclass
class _Spine:
    """One column of the file."""

    kind: str  # "**kern" and others
    part: int  # number of the **kern column that it began as or, for lyrics, stands beside; −1 for none
    end: Fraction = ZERO  # when what it sounds ends


@dataclass
class _Reader:
    name: str
    spines: list[_Spine] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    open: list[Note] = field(default_factory=list)  # tied notes that go on
    keys: dict[Fraction, Key] = field(default_factory=dict)
    named: set[Fraction] = field(default_factory=set)  # where a key, not only a signature, is given
    meters: dict[Fraction, Meter] = field(default_factory=dict)
    tempos: dict[Fraction, Tempo] = field(default_factory=dict)
    lines: list[Fraction] = field(default_factory=list)
    here: Fraction = ZERO  # the time of the last row with data
    records: dict[str, str] = field(default_factory=dict)

    def row(self, line: str) -> None:
        """Reads one line of the file."""
        if line.startswith("!!!"):
            key, _, text = line[3:].partition(":")
            self.records.setdefault(key.split("@")[0].strip(), text.strip())
        if not line or line.startswith("!"):
            return
        tokens = line.split("\t")
        if not self.spines:
            if line.startswith("**"):
                self._begin(tokens)
            return
        if len(tokens) != len(self.spines):
            raise InvalidMedia(
                f"{self.name} is damaged **kern: a row has {len(tokens)} columns where {len(self.spines)} are open"
            )
        if line.startswith("*"):
            self._interpretations(tokens)
        elif line.startswith("="):
            self._bar(tokens[0])
        else:
            self._data(tokens)

    def _begin(self, tokens: list[str]) -> None:
        if len(tokens) > MAX_SPINES:
            raise InvalidMedia(f"{self.name} has {len(tokens)} columns; up to {MAX_SPINES} are read")
        for kind in tokens:
            if kind == "**kern":
                self.parts.append(Part())
            self.spines.append(_Spine(kind, len(self.parts) - 1))

    def _bar(self, token: str) -> None:
        self.here = max([self.here, *(spine.end for spine in self.spines if spine.kind == "**kern")])
        for spine in self.spines:
            spine.end = self.here
        if not token.startswith("=-") and self.lines[-1:] != [self.here]:
            self.lines.append(self.here)

    def _data(self, tokens: list[str]) -> None:
        starting = [
            spine.end
            for spine, token in zip(self.spines, tokens, strict=True)
            if spine.kind == "**kern" and token != "." and "q" not in token and _RHYTHM.search(token)
        ]
        onset = max([self.here, *starting])
        if starting:
            self.here = onset
        words = {
            spine.part: token
            for spine, token in zip(self.spines, tokens, strict=True)
            if spine.kind in ("**text", "**silbe") and token not in (".", "", "_", "|")
        }
        for spine, token in zip(self.spines, tokens, strict=True):
            if spine.kind == "**kern" and token != ".":
                self._token(spine, token, onset, words)

    def _token(self, spine: _Spine, token: str, onset: Fraction, words: dict[int, str]) -> None:
        longest, before = ZERO, ZERO
        for text in token.split(" "):
            if "q" in text:
                continue
            rhythm = _RHYTHM.search(text)
            duration = _duration(rhythm) if rhythm else before  # later notes of a chord may leave their rhythm out
            before = duration
            if duration > 4096:
                raise InvalidMedia(f"{self.name} is damaged **kern: {token[:20]!r} lasts {int(duration)} quarter notes")
            longest = max(longest, duration)
            pitch = _pitch(text)
            if pitch is None or not duration:
                continue
            sung = words.pop(spine.part, "")
            self._note(Note(onset, pitch, duration, spine.part, 80, _syllable(sung)), text)
        if longest:
            spine.end = onset + longest

    def _note(self, note: Note, text: str) -> None:
        if "]" in text or "_" in text:
            wanted = (note.onset, note.pitch, note.part)
            before = next((one for one in self.open if (one.end, one.pitch, one.part) == wanted), None)
            if before is not None:
                self.open.remove(before)
                note = replace(before, duration=before.duration + note.duration)
        (self.open if "[" in text or "_" in text else self.notes).append(note)

    def _interpretations(self, tokens: list[str]) -> None:
        now = max([self.here, *(spine.end for spine in self.spines if spine.kind == "**kern")])
        if any(token in ("*^", "*v", "*x", "*+", "*-") or token.startswith("**") for token in tokens):
            self._shape(tokens)
            return
        for spine, token in zip(self.spines, tokens, strict=True):
            if spine.kind != "**kern" or token == "*":
                continue
            if found := _METER.fullmatch(token):
                beats, unit = int(found[1]), int(found[2])
                if not (0 < beats <= 256 and 0 < unit <= 256):
                    raise InvalidMedia(f"{self.name} is damaged **kern: a time signature of {beats}/{unit}")
                self.meters.setdefault(now, Meter(now, beats, unit))
            elif found := _TEMPO.fullmatch(token):
                if 1 <= float(found[1]) <= 1000:
                    self.tempos.setdefault(now, Tempo(now, float(found[1])))
            elif found := _KEY.fullmatch(token):
                self._key(found, now)
            elif found := _SIGNATURE.fullmatch(token):
                self._signature(found[1], now)
            elif token.startswith('*I"'):
                self.parts[spine.part] = replace(self.parts[spine.part], name=token[3:].strip())
            elif token.startswith("*I") and (program := _PROGRAMS.get(token[2:].lower())) is not None:
                part = self.parts[spine.part]
                name = part.name or token[2:].capitalize()
                self.parts[spine.part] = replace(part, program=program, name=name)

    def _key(self, found: re.Match[str], now: Fraction) -> None:
        tonic = found[1].upper() + found[2].replace("-", "b")
        mode = _MODES.get(found[3], "major" if found[1].isupper() else "minor")
        if tonic in pitches.FIFTHS and mode in MODES and now not in self.named:
            self.keys[now] = Key(now, tonic, mode)
            self.named.add(now)

    def _signature(self, signs: str, now: Fraction) -> None:
        fifths = signs.count("#") - signs.count("-")
        tonic = next((name for name, place in pitches.FIFTHS.items() if place == fifths), None)
        if tonic is not None and now not in self.named:
            self.keys.setdefault(now, Key(now, tonic))

    def _shape(self, tokens: list[str]) -> None:
        """Spines that split, join, swap, begin or end."""
        spines: list[_Spine] = []
        swapped: list[int] = []
        joining = False
        for spine, token in zip(self.spines, tokens, strict=True):
            if token == "*v" and joining and spines[-1].kind == spine.kind:
                spines[-1].end = max(spines[-1].end, spine.end)
                continue
            joining = token == "*v"
            if token == "*-":
                continue
            if token.startswith("**"):
                if token == "**kern":
                    self.parts.append(Part())
                spine = _Spine(token, len(self.parts) - 1, self.here)
            spines.append(spine)
            if token in ("*^", "*+"):
                spines.append(replace(spine) if token == "*^" else _Spine("", spine.part, self.here))
            elif token == "*x":
                swapped.append(len(spines) - 1)
        for a, b in zip(swapped[::2], swapped[1::2], strict=False):
            spines[a], spines[b] = spines[b], spines[a]
        if len(spines) > MAX_SPINES:
            raise InvalidMedia(f"{self.name} splits into more than {MAX_SPINES} columns: it is damaged")
        self.spines = spines

    def score(self) -> Score:
        """All that was read, parts from the highest on the page down."""
        if not self.parts:
            raise InvalidMedia(f"{self.name} holds no **kern column")
        self._bar("=-")
        count = len(self.parts)
        notes = [replace(note, part=count - 1 - note.part) for note in (*self.notes, *self.open)]
        meters, pickup = barlines.metered(
            self.lines if self.lines[-1:] == [self.here] else [*self.lines, self.here], list(self.meters.values())
        )
        return Score(
            tuple(notes),
            tuple(reversed(self.parts)),
            barlines.from_zero(self.tempos.values()),
            meters,
            _changes(self.keys),
            (),
            pickup,
            self.records.get("OTL", ""),
            self.records.get("COM", ""),
            self.here,
        )


def decode(text: str, name: str) -> Score:
    """The score in a **kern file. `name` is what messages call it. Raises InvalidMedia."""
    reader = _Reader(name)
    for line in text.splitlines():
        reader.row(line.rstrip())
    return reader.score()


def _duration(found: re.Match[str]) -> Fraction:
    """Quarter notes of a rhythm: 4 → 1, 8. → 3/4, 3%2 → 8/3, 0 → 8, 00 → 16."""
    digits = found[1]
    if len(digits) > 6:
        return ZERO
    base = Fraction(8) * 2 ** (len(digits) - 1) if not int(digits) else Fraction(4 * int(found[2] or 1), int(digits))
    dots = min(len(found[3]), 4)
    return base * (2 - Fraction(1, 2**dots))


def _pitch(text: str) -> int | None:
    """MIDI number of a note: c is 60, cc 72, C 48, CC 36; None for a rest."""
    if "r" in text:
        return None
    found = _PITCH.search(text)
    if not found:
        return None
    letter, count = found[1], len(found[0])
    octave = 4 + (count - 1) if letter.islower() else 4 - count
    after = text[found.end() :]
    alter = 0
    for char in after:
        if char not in "#-":
            break
        alter += 1 if char == "#" else -1
    pitch = 12 * (octave + 1) + pitches.STEPS[letter.upper()] + alter
    return pitch if 0 <= pitch <= 127 else None


def _syllable(text: str) -> str:
    """ "-men" and "A-" are parts of a word; only what follows matters."""
    return text.lstrip("-").replace("|", "")


def _changes(keys: dict[Fraction, Key]) -> tuple[Key, ...]:
    kept: list[Key] = []
    for key in keys.values():
        if not kept or str(key) != str(kept[-1]):
            kept.append(key)
    return tuple(kept)
