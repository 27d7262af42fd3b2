"""ABC notation: the folk musicians' letters. Read and written after the standard 2.1 (https://abcnotation.com/wiki/abc:standard:v2.1).

Read: header and inline fields, voices and overlays, broken rhythm, tuplets, ties, chords in brackets, chord symbols,
lyrics, rests; repeats and endings as they stand; grace notes, slurs, decorations and annotations are passed over. An
accidental holds for its note's letter in all octaves until the bar ends. Written: one voice for each part, overlays
where a part sounds two lines at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from danqing.artwork import barlines, engraving, pitches
from danqing.artwork.engraving import Sign
from danqing.artwork.music import ZERO, Chord, Key, Meter, Note, Part, Score, Tempo
from danqing.artwork.pitches import MODES
from danqing.artwork.provenance import Provenance
from danqing.errors import BadRequest, InvalidMedia

MARK = "%%danqing-provenance "
MAX_CHARACTERS = 400_000  # of one tune
BARS_A_LINE = 4
LONGEST = Fraction(4096)  # quarter notes of a note
_MODES = {"": "major", "maj": "major", "ion": "major", "m": "minor", "min": "minor", "aeo": "minor", "dor": "dorian",
          "phr": "phrygian", "lyd": "lydian", "mix": "mixolydian", "loc": "locrian"}  # fmt: skip
_SHORT = {"major": "", "minor": "m", "dorian": "dor", "phrygian": "phr", "lydian": "lyd", "mixolydian": "mix",
          "locrian": "loc"}  # fmt: skip
_ACCIDENTALS = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}
_IN_TIME = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}  # (p:q: notes in the time of q; others by the metre
_TOKEN = re.compile(
    r"""(?P<chord>"[^"]*") | (?P<field>\[[A-Za-z]:[^\]]*\]) | (?P<ending>(?<=[|:\]])\s*\[?\d[\d,.\-]*|\[\d[\d,.\-]*)
    | (?P<bar>\.?:*[|\[\]]*\|[|\[\]]*:*|::+|:?\|\]?|\[\|) | (?P<grace>\{[^}]*\})
    | (?P<mark>![^!\s][^!]*!|\+[a-z<>.(){}0-9]+\+) | (?P<tuplet>\(\d+(?::\d*)?(?::\d*)?)
    | (?P<open>\[|\+(?=[\^_=A-Ga-g])) | (?P<note>(?:\^\^?|__?|=)?[A-Ga-gzxZX][,']*(?:\d*/*\d*)-?)
    | (?P<close>[\]+](?:\d*/*\d*)-?) | (?P<broken>[<>]+) | (?P<tie>-) | (?P<overlay>&) | (?P<other>.)""",
    re.X | re.S,
)
_NOTE = re.compile(r"(\^\^?|__?|=)?([A-Ga-gzxZX])([,']*)(\d*)(/*)(\d*)(-?)")
_LENGTH = re.compile(r"[\]+](\d*)(/*)(\d*)(-?)")
_KEY = re.compile(r"([A-G])([#b]?)\s*([A-Za-z]*)(.*)", re.S)


def tunes(text: str) -> list[str]:
    """The tunes of a tune book, each beginning with its X: field; what stands above the first is its header."""
    parts = re.split(r"(?m)^(?=X:)", text)
    if len(parts) == 1:
        return [text]
    shared = "\n".join(line for line in parts[0].splitlines() if re.match(r"[LMK]:", line))
    return [f"{shared}\n{part}" if shared else part for part in parts[1:] if re.search(r"(?m)^K:", part)]


def decode(text: str, name: str) -> Score:
    """The first tune of an ABC file. `name` is what messages call it. Raises InvalidMedia."""
    found = tunes(text.replace("\r\n", "\n").replace("\r", "\n"))
    if not found:
        raise InvalidMedia(f"{name} holds no tune with a key: every ABC tune has a line that begins with K:")
    if len(found[0]) > MAX_CHARACTERS:
        raise InvalidMedia(f"{name} holds a tune of {len(found[0]):,} characters; up to {MAX_CHARACTERS:,} are read")
    try:
        return _Reader(name).read(found[0])
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        if isinstance(error, BadRequest):
            raise
        raise InvalidMedia(f"{name} is damaged ABC: {' '.join(str(error).split())[:80]}") from error


def provenance(data: bytes) -> Provenance | None:
    """Ours in an ABC file; None where there is none."""
    for line in data.decode("utf-8", "replace").splitlines():
        if line.startswith(MARK):
            return Provenance.from_json(line[len(MARK) :])
    return None


@dataclass
class _Voice:
    """Where one voice stands."""

    part: int
    unit: Fraction = Fraction(1, 2)  # L: in quarter notes
    here: Fraction = ZERO
    bar: Fraction = ZERO  # where the bar began
    furthest: Fraction = ZERO  # where the bar's longest overlay ends
    signs: dict[str, int] = field(default_factory=dict)  # the key's: letter → alteration
    accidentals: dict[str, int] = field(default_factory=dict)  # until the bar ends
    factor: Fraction = Fraction(1)  # what broken rhythm makes of the next note
    tuplet: tuple[int, Fraction] = (0, Fraction(1))  # notes left, and what their lengths are multiplied by
    last: list[int] = field(default_factory=list)  # the places of the last note or chord
    ties: list[int] = field(default_factory=list)  # the places of notes that are tied on
    alone: list[int] = field(default_factory=list)  # those of them in a chord that is still open
    line: list[int] = field(default_factory=list)  # the first note of each chord since the last lyrics
    lines: list[Fraction] = field(default_factory=list)  # bar lines
    transpose: int = 0


class _Reader:
    def __init__(self, name: str) -> None:
        self.name = name
        self.notes: list[Note] = []
        self.voices: dict[str, _Voice] = {}
        self.names: dict[str, str] = {}
        self.voice = _Voice(0)
        self.meters: dict[Fraction, Meter] = {}
        self.keys: dict[Fraction, Key] = {}
        self.tempos: dict[Fraction, Tempo] = {}
        self.chords: dict[Fraction, Chord] = {}
        self.title = self.composer = ""
        self.length_given = False
        self.body = False
        self.quarter_bpm: str = ""

    def read(self, text: str) -> Score:
        for raw in text.split("\n"):
            line = raw if raw.startswith("%%") else re.sub(r"(?<!\\)%.*", "", raw)
            if line.startswith("%"):
                continue
            if re.match(r"[A-Za-z]:(?!\|)", line):
                self._field(line[0], line[2:].strip())
            elif self.body:
                self._music(line)
            if len(self.notes) > MAX_CHARACTERS:
                raise InvalidMedia(f"{self.name} holds too many notes")
        return self._score()

    def _score(self) -> Score:
        voices = list(self.voices.values()) or [self.voice]
        end = max(max(voice.here, voice.furthest) for voice in voices)
        lines = max((voice.lines for voice in voices), key=len)
        if not lines or end > lines[-1]:
            lines = [*lines, end]
        meters, pickup = barlines.metered(lines, list(self.meters.values()))
        parts = tuple(Part(self.names.get(name, "")) for name in self.voices) or (Part(),)
        chords = sorted(self.chords.values(), key=lambda chord: chord.onset)
        return Score(
            tuple(note for note in self.notes if note.duration > 0),
            parts,
            barlines.from_zero(self.tempos.values()),
            meters,
            tuple(self.keys.values()),
            tuple(chords),
            pickup,
            self.title,
            self.composer,
            end,
        )

    # fields

    def _field(self, letter: str, text: str) -> None:
        if letter == "T":
            self.title = self.title or text
        elif letter == "C":
            self.composer = self.composer or text
        elif letter == "L":
            self.length_given = True
            self._for_voices(unit=4 * _fraction(text))
        elif letter == "M":
            self._meter(text)
        elif letter == "Q":
            self.quarter_bpm = text
            if self.body:
                self._tempo(text)
        elif letter == "K":
            self._key(text)
        elif letter == "V":
            self._to_voice(text)
        elif letter == "w" and self.body:
            self._words(text)

    def _for_voices(self, **changes: Fraction) -> None:
        for voice in [self.voice] if self.body else {id(v): v for v in (self.voice, *self.voices.values())}.values():
            for key, value in changes.items():
                setattr(voice, key, value)

    def _meter(self, text: str) -> None:
        text = {"C": "4/4", "C|": "2/2"}.get(text, text)
        found = re.match(r"\(?(\d+(?:\s*\+\s*\d+)*)\)?\s*/\s*(\d+)", text)
        if not found:
            return  # none
        beats, unit = sum(int(one) for one in found[1].split("+")), int(found[2])
        if not (0 < beats <= 256 and 0 < unit <= 256):
            raise InvalidMedia(f"{self.name} is damaged ABC: a metre of {text[:20]}")
        self.meters[self.voice.here] = Meter(self.voice.here, beats, unit)
        if not self.length_given and not self.body:
            self._for_voices(unit=Fraction(1, 4) if Fraction(beats, unit) < Fraction(3, 4) else Fraction(1, 2))

    def _tempo(self, text: str) -> None:
        text = re.sub(r'"[^"]*"', "", text).strip()
        found = re.match(r"((?:\d+/\d+\s*)*)\s*=?\s*(\d+(?:\.\d+)?)\s*$", text)
        if not found:
            return
        beats = sum((_fraction(one) for one in found[1].split()), ZERO) * 4 or self.voice.unit
        bpm = float(found[2]) * float(beats)
        if 1 <= bpm <= 1000:
            self.tempos[self.voice.here] = Tempo(self.voice.here, bpm)

    def _key(self, text: str) -> None:
        found = _KEY.match(text)
        signs: dict[str, int] = {}
        rest = text
        if found and not text.startswith(("HP", "Hp")):
            tonic = found[1] + found[2]
            mode = _MODES.get(found[3].lower() if found[3] == "m" else found[3][:3].lower(), "major")
            rest = found[4] if found[3][:3].lower() in _MODES else found[3] + found[4]
            if "exp" not in text and tonic in pitches.FIFTHS:
                signs = pitches.signs(pitches.signature(tonic, mode))
            if tonic in pitches.FIFTHS:
                self.keys[self.voice.here] = Key(self.voice.here, tonic, mode)
        for sign, letter in re.findall(r"(?<![A-Za-z])(\^\^?|__?|=)([A-Ga-g])(?![A-Za-z])", rest):
            signs[letter.upper()] = _ACCIDENTALS[sign]
        moved = re.search(r"transpose=\s*(-?\d{1,3})", text)
        octave = re.search(r"octave=\s*(-?\d)", text)
        shift = (int(moved[1]) if moved else 0) + 12 * (int(octave[1]) if octave else 0)
        for voice in [self.voice] if self.body else {id(v): v for v in (self.voice, *self.voices.values())}.values():
            voice.signs, voice.accidentals = dict(signs), {}
            voice.transpose = shift if moved or octave else voice.transpose
        if not self.body:
            self.body = True
            if self.quarter_bpm:
                self._tempo(self.quarter_bpm)

    def _to_voice(self, text: str) -> None:
        parts = text.split(None, 1)
        if not parts or parts[0] == "*":
            return
        name = parts[0]
        if name not in self.voices:
            first = not self.voices
            fresh = self.voice if first and not self.notes else replace(
                self.voice, here=ZERO, bar=ZERO, furthest=ZERO, accidentals={}, last=[], ties=[], alone=[], line=[],
                lines=[], factor=Fraction(1), tuplet=(0, Fraction(1)),
            )  # fmt: skip
            if first and self.notes:
                self.voices[""] = self.voice
            fresh.part = len(self.voices)
            self.voices[name] = fresh
        if len(self.voices) > 64:
            raise InvalidMedia(f"{self.name} has more than 64 voices: it is damaged")
        called = re.search(r'(?:name|nm)="([^"]*)"', text)
        if called:
            self.names[name] = called[1]
        self.voice = self.voices[name]

    def _words(self, text: str) -> None:
        """Syllables for the notes since the last line of words: - _ * | ~ as the standard has them."""
        line, self.voice.line = self.voice.line, []
        bars = list(self.voice.lines)
        place = 0
        for token in re.findall(r"\\-|[_*|]|-|[^\s_*|\-]+(?:\\-[^\s_*|\-]+)*-?", text):
            if token == "|":
                here = (
                    next((b for b in bars if place and b > self.notes[line[place - 1]].onset), None) if line else None
                )
                while here is not None and place < len(line) and self.notes[line[place]].onset < here:
                    place += 1
                continue
            if place >= len(line):
                break
            if token not in ("_", "*", "-"):
                at = line[place]
                self.notes[at] = replace(self.notes[at], lyric=token.replace("~", " ").replace("\\-", "-"))
            place += 1

    # music

    def _music(self, line: str) -> None:
        chord: list[int] | None = None
        for token in _TOKEN.finditer(line.replace("[+", "[").replace("`", "")):
            kind, text = token.lastgroup, token[0]
            voice = self.voice
            if kind == "note" and chord is not None:
                chord += self._note(text, inside=True)
            elif kind == "note":
                self._note(text)
            elif kind == "open":
                chord = []
            elif kind == "close" and chord is not None:
                self._close(chord, text)
                chord = None
            elif kind == "chord":
                self._symbol(text[1:-1])
            elif kind == "bar" and chord is None:
                self._bar()
            elif kind == "field":
                self._field(text[1], text[3:-1].strip())
            elif kind == "tuplet":
                self._tuplet(text[1:])
            elif kind == "broken":
                self._broken(text)
            elif kind == "tie":
                voice.ties += voice.last
            elif kind == "overlay":
                voice.furthest = max(voice.furthest, voice.here)
                voice.here, voice.accidentals = voice.bar, {}

    def _bar(self) -> None:
        voice = self.voice
        voice.here = max(voice.here, voice.furthest)
        voice.accidentals = {}
        voice.factor, voice.tuplet = Fraction(1), (0, Fraction(1))
        if voice.here > voice.bar:
            voice.ties = [at for at in voice.ties if self.notes[at].end >= voice.here]
            voice.bar = voice.here
            voice.lines.append(voice.here)

    def _symbol(self, text: str) -> None:
        text = text.strip()
        if text and text[0] in "ABCDEFGabcdefg" and not text.startswith(("bar", "end", "D.C", "D.S", "Fine")):
            self.chords[self.voice.here] = Chord(self.voice.here, _chord_name(text))
        elif text.upper() in ("N.C.", "NC", "N"):
            self.chords[self.voice.here] = Chord(self.voice.here, "N")

    def _tuplet(self, text: str) -> None:
        given = [int(one) if one else 0 for one in text.split(":")]
        p = given[0]
        meter = self.meters[max(self.meters)] if self.meters else Meter(ZERO, 4, 4)
        compound = meter.unit == 8 and meter.beats % 3 == 0
        q = (given[1] if len(given) > 1 else 0) or _IN_TIME.get(p, 3 if compound else 2)
        r = (given[2] if len(given) > 2 else 0) or p
        if 0 < p <= 64 and 0 < q <= 64 and 0 < r <= 256:
            self.voice.tuplet = (r, Fraction(q, p))

    def _broken(self, text: str) -> None:
        voice = self.voice
        if not voice.last or len(text) > 4:
            return
        short = Fraction(1, 2 ** len(text))
        first, second = (2 - short, short) if text[0] == ">" else (short, 2 - short)
        onset = self.notes[voice.last[0]].onset
        for at in voice.last:
            self.notes[at] = replace(self.notes[at], duration=self.notes[at].duration * first)
        voice.here = max(self.notes[at].duration for at in voice.last) + onset
        voice.factor = second

    def _note(self, text: str, *, inside: bool = False) -> list[int]:
        found = _NOTE.fullmatch(text)
        if not found:
            return []
        voice = self.voice
        length = _length(found[4], found[5], found[6])
        letter = found[2]
        if letter in "ZX":
            meter = _at(self.meters, voice.here)
            self._advance(meter.bar * min(length, Fraction(1024)), [])
            return []
        duration = length * voice.unit
        if not inside:
            duration = self._measured(duration)
        if letter in "zx":
            if not inside:
                self._advance(duration, [])
            return []
        at = len(self.notes)
        self.notes.append(Note(voice.here, self._pitch(found), max(duration, Fraction(1, 4096)), voice.part))
        if inside:
            if found[7]:
                voice.alone.append(at)  # settled when the chord closes
            return [at]
        self._advance(duration, self._tied([at], bool(found[7])))
        return [at]

    def _measured(self, duration: Fraction) -> Fraction:
        """A written length as it sounds in broken rhythm and tuplets."""
        voice = self.voice
        left, ratio = voice.tuplet
        duration *= voice.factor
        voice.factor = Fraction(1)
        if left:
            duration *= ratio
            voice.tuplet = (left - 1, ratio)
        if duration > LONGEST:
            raise InvalidMedia(f"{self.name} is damaged ABC: a note of {int(duration)} quarter notes")
        return duration

    def _close(self, chord: list[int], text: str) -> None:
        found = _LENGTH.fullmatch(text)
        if not chord or not found:
            return
        scale = self._measured(_length(found[1], found[2], found[3]))
        for at in chord:
            self.notes[at] = replace(self.notes[at], duration=self.notes[at].duration * scale)
        duration = self.notes[chord[0]].duration  # the first note's length is the chord's
        self._advance(duration, self._tied(chord, bool(found[4])))

    def _tied(self, places: list[int], goes_on: bool) -> list[int]:
        """Merges notes with those they are tied to; returns where the sounding ones are."""
        voice, kept = self.voice, []
        alone, voice.alone = voice.alone, []
        for at in places:
            note, notes = self.notes[at], self.notes
            tied = (one for one in voice.ties if notes[one].pitch == note.pitch and notes[one].end == note.onset)
            before = next(tied, at)
            if before != at:
                voice.ties.remove(before)
                notes[before] = replace(notes[before], duration=notes[before].duration + note.duration)
                notes[at] = replace(note, duration=ZERO)  # left out at the end
            kept.append(before)
            if goes_on or at in alone:
                voice.ties.append(before)
        return kept

    def _advance(self, duration: Fraction, sounding: list[int]) -> None:
        voice = self.voice
        voice.here += duration
        voice.last = sounding
        voice.line += sounding[:1]  # a tied note takes a syllable too, usually "_"

    def _pitch(self, found: re.Match[str]) -> int:
        voice, letter = self.voice, found[2].upper()
        if found[1]:
            voice.accidentals[letter] = _ACCIDENTALS[found[1]]
        alter = voice.accidentals.get(letter, voice.signs.get(letter, 0))
        octave = (1 if found[2].islower() else 0) + found[3].count("'") - found[3].count(",")
        pitch = 60 + pitches.STEPS[letter] + 12 * octave + alter + voice.transpose
        if not 0 <= pitch <= 127:
            raise InvalidMedia(f"{self.name} is damaged ABC: {found[0][:20]!r} is beyond what instruments play")
        return pitch


def _at(meters: dict[Fraction, Meter], onset: Fraction) -> Meter:
    return next((meters[at] for at in sorted(meters, reverse=True) if at <= onset), Meter(ZERO, 4, 4))


def _fraction(text: str) -> Fraction:
    found = re.match(r"\s*(\d{1,4})\s*(?:/\s*(\d{1,4}))?", text)
    if not found:
        raise ValueError(f"{text[:20]!r} is no length of a note")
    value = Fraction(int(found[1]), int(found[2] or 1))
    if value <= 0:
        raise ValueError(f"{text[:20]!r} is no length of a note")
    return value


def _length(digits: str, slashes: str, below: str) -> Fraction:
    """ "3/2" → 3/2, "/" → 1/2, "//" → 1/4, "" → 1."""
    if len(digits) > 5 or len(below) > 5 or len(slashes) > 8:
        raise ValueError("a note's length has too many digits")
    above = Fraction(int(digits)) if digits else Fraction(1)
    if not slashes:
        return above
    divisor = int(below) if below else 2 ** len(slashes)
    return above / divisor if divisor else above


def _chord_name(text: str) -> str:
    """A chord symbol in our spelling: "e7/b" → "E7/B"; of the Nottingham books "Gd" → "Gdim", "D/f+" → "D/F#"."""
    text = re.split(r"[\s;(]", text, maxsplit=1)[0]
    head, slash, bass = text.partition("/")
    head = re.sub(r"^([A-Ga-g][#b]?)d$", r"\1dim", head)
    bass = re.sub(r"^([A-Ga-g])\+$", r"\1#", bass)
    return head[:1].upper() + head[1:] + slash + bass[:1].upper() + bass[1:]


# --- writing ----------------------------------------------------------------------------------------------------------


def encode(score: Score, provenance: Provenance | None = None) -> str:
    """The score as one ABC tune; drums, which ABC has no letters for, are refused with BadRequest."""
    if any(part.drums for part in score.parts):
        raise BadRequest("ABC has no letters for drums; write the score as .mid or .musicxml")
    score = engraving.snapped(score)
    meter, key = score.meter_at(ZERO), score.key_at(ZERO)
    unit = Fraction(1, 2)
    head = ["X:1", f"T:{_line(score.title)}"]
    head += [f"C:{_line(score.composer)}"] if score.composer else []
    if provenance is not None:
        record = provenance.to_json().encode("utf-8", "backslashreplace").decode("utf-8")
        head += [MARK + record, f"N:{provenance.software}, {provenance.source_type}"]
    head += [
        f"M:{meter.beats}/{meter.unit}",
        "L:1/8",
        f"Q:1/4={score.tempos[0].bpm:g}" if score.tempos else "Q:1/4=120",
    ]
    several = len(score.parts) > 1
    for number, part in enumerate(score.parts, 1):
        if several:
            head.append(f'V:{number} name="{_line(part.name)}"' + (" clef=bass" if _low(score, number - 1) else ""))
    head.append(f"K:{_key_name(key.tonic, key.mode) if key else 'C'}")
    for number in range(len(score.parts)):
        if several:
            head.append(f"V:{number + 1}")
        head += _Writer(score, number, unit).lines()
    return "\n".join(head) + "\n"


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace('"', "'").replace("%", "")).strip()


def _low(score: Score, part: int) -> bool:
    notes = sorted(note.pitch for note in score.of(part))
    return bool(notes) and notes[len(notes) // 2] < 58


def _key_name(tonic: str, mode: str) -> str:
    return tonic + _SHORT.get(mode if mode in MODES else "major", "")


class _Writer:
    """Writes the bars of one part."""

    def __init__(self, score: Score, part: int, unit: Fraction) -> None:
        self.score, self.part, self.unit = score, part, unit
        self.signs: dict[str, int] = {}
        self.chords = list(score.chords) if part == 0 else []
        self.tempos = list(score.tempos[1:]) if part == 0 else []

    def lines(self) -> list[str]:
        bars = engraving.staff(self.score.of(self.part), self.score, [chord.onset for chord in self.chords])
        starts = self.score.bars()
        words = any(note.lyric for note in self.score.of(self.part))
        lines: list[str] = []
        row, sung = "", []
        for place, bar in enumerate(bars):
            row += self._changes(starts[place], starts[place - 1] if place else None)
            texts = []
            for number, voice in enumerate(bar):
                self.signs = {}
                texts.append(self._voice(voice, number == 0))
                sung += _syllables(voice) if number == 0 else []
            row += " & ".join(texts) + (" |]" if place == len(bars) - 1 else " | ")
            if place % BARS_A_LINE == BARS_A_LINE - 1 or place == len(bars) - 1:
                lines.append(row.strip())
                if words:
                    lines.append("w: " + " ".join(sung))
                row, sung = "", []
        return lines

    def _changes(self, start: Fraction, before: Fraction | None) -> str:
        if before is None:
            return ""
        found = ""
        meter = self.score.meter_at(start)
        if meter != self.score.meter_at(before):
            found += f"[M:{meter.beats}/{meter.unit}]"
        key = self.score.key_at(start)
        if key is not None and key != self.score.key_at(before):
            found += f"[K:{_key_name(key.tonic, key.mode)}]"
        return found

    def _voice(self, voice: Sequence[Sign], first: bool) -> str:
        out: list[str] = []
        key = self.score.key_at(voice[0].start)
        fifths = pitches.signature(key.tonic, key.mode) if key else 0
        beat = None
        for at, sign in enumerate(voice):
            place = sign.start // 1
            if beat is not None and place != beat:
                out.append(" ")
            beat = place
            end = sign.start + sign.duration
            while first and self.tempos and self.tempos[0].onset < end:
                out.append(f"[Q:1/4={self.tempos.pop(0).bpm:g}]")
            symbol = None
            while first and self.chords and self.chords[0].onset < end:
                symbol = self.chords.pop(0)
                if symbol.onset > sign.start:  # changes under a held note: ABC ties what it splits
                    break
            if sign.opens and sign.tuplet:
                count = sum(1 for _ in _until_close(voice[at:]))
                out.append(f"({sign.tuplet[0]}:{sign.tuplet[1]}:{count}")
            if symbol is not None:
                out.append(f'"{_line(symbol.name)}"')
            out.append(self._sign(sign, fifths, key is not None and key.mode == "minor"))
        return "".join(out)

    def _sign(self, sign: Sign, fifths: int, minor: bool) -> str:
        length = sign.value * (2 - Fraction(1, 2**sign.dots)) / self.unit
        if not sign.notes:
            full = sign.duration if sign.duration != sign.value * (2 - Fraction(1, 2**sign.dots)) else None
            length = full / self.unit if full and not sign.tuplet else length
            return ("x" if sign.hidden else "z") + _written(length)
        names = [self._name(note, fifths, minor) for note in sign.notes]
        text = names[0] if len(names) == 1 else f"[{''.join(names)}]"
        return text + _written(length) + ("-" if sign.tied_to else "")

    def _name(self, note: Note, fifths: int, minor: bool) -> str:
        step, alter, octave = pitches.spelled(note.pitch, fifths, minor=minor)
        inherited = self.signs.get(step, pitches.signs(fifths).get(step, 0))
        sign = ""
        if alter != inherited:
            sign = {1: "^", -1: "_", 0: "=", 2: "^^", -2: "__"}[alter]
            self.signs[step] = alter
        letter = step if octave < 5 else step.lower()
        return sign + letter + "'" * max(octave - 5, 0) + "," * max(4 - octave, 0)


def _until_close(signs: Sequence[Sign]) -> Sequence[Sign]:
    for place, sign in enumerate(signs):
        if sign.closes:
            return signs[: place + 1]
    return signs


def _written(length: Fraction) -> str:
    if length == 1:
        return ""
    if length.denominator == 1:
        return str(length.numerator)
    above = "" if length.numerator == 1 else str(length.numerator)
    return f"{above}/{'' if length.denominator == 2 else length.denominator}"


def _syllables(voice: Sequence[Sign]) -> list[str]:
    found = []
    for sign in voice:
        if sign.notes and not sign.tied_from:
            lyric = next((note.lyric for note in sign.notes if note.lyric), "")
            word = lyric.removesuffix("-")
            safe = re.sub(r"[_*|]", "", word).replace("-", "\\-").replace(" ", "~")
            found.append((safe + ("-" if lyric.endswith("-") and word else "")) or "*")
        elif sign.notes:
            found.append("_")
    return found
