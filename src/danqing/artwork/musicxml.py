"""MusicXML 4.0: scores as notation programs exchange them, plain (.musicxml, .xml) and zipped (.mxl).

Written are measures, ties, voices, tuplets, beams, keys, metres, tempos, chord symbols, lyrics, clefs by range, and the
instruments; a part that spans both hands, and two keyboard parts of one name that follow each other, stand on a grand
staff. Read is what a `Score` holds: one part for each staff, repeats as they stand, grace and cue notes left out,
transposing instruments as they sound.

The format: https://www.w3.org/2021/06/musicxml40/
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import lcm
from xml.etree import ElementTree as ET

from danqing.artwork import barlines, engraving, files, pitches
from danqing.artwork.engraving import Bar, Sign
from danqing.artwork.music import ZERO, Chord, Key, Meter, Note, Part, Score, Tempo
from danqing.artwork.provenance import Provenance
from danqing.errors import InvalidMedia

MAX_UNPACKED = 64 * 2**20  # bytes of a .mxl once unzipped
FIELD = "danqing-provenance"
ONE_PART = "danqing-one-part"  # which parts on two staves are one part of ours
TYPES = ("breve", "whole", "half", "quarter", "eighth", "16th", "32nd", "64th", "128th", "256th")
MAX_DIVISIONS = 16383
ACCIDENTALS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}
KINDS = {
    "": "major", "m": "minor", "7": "dominant", "maj7": "major-seventh", "m7": "minor-seventh", "dim": "diminished",
    "aug": "augmented", "dim7": "diminished-seventh", "m7b5": "half-diminished", "mMaj7": "major-minor",
    "6": "major-sixth", "m6": "minor-sixth", "9": "dominant-ninth", "maj9": "major-ninth", "m9": "minor-ninth",
    "11": "dominant-11th", "m11": "minor-11th", "13": "dominant-13th", "m13": "minor-13th", "sus4": "suspended-fourth",
    "sus2": "suspended-second", "5": "power",
}  # fmt: skip
_SUFFIXES = {kind: suffix for suffix, kind in KINDS.items()} | {"augmented-seventh": "aug7", "none": "N"}
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_DOCTYPE = (
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
    '"http://www.musicxml.org/dtds/partwise.dtd">\n'
)
_CONTAINER = (
    '<container><rootfiles><rootfile full-path="score.musicxml" '
    'media-type="application/vnd.recordare.musicxml+xml"/></rootfiles></container>'
)
_MODES = {"none": "major", "ionian": "major", "aeolian": "minor"}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same score is the same bytes


# --- reading ----------------------------------------------------------------------------------------------------------


def decode(data: bytes, name: str) -> Score:
    """The score in a MusicXML file. `name` is what messages call it. Raises InvalidMedia."""
    root = _tree(data, name)
    if root.tag == "score-timewise":
        raise InvalidMedia(f"{name} is MusicXML by time; save it as score-partwise, which every program writes")
    if root.tag != "score-partwise":
        raise InvalidMedia(f"{name} is XML but no MusicXML score: it begins with <{root.tag[:40]}>")
    try:
        return _Reader(root).score()
    except InvalidMedia:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError, OverflowError, IndexError) as error:
        raise InvalidMedia(f"{name} is damaged MusicXML: {' '.join(str(error).split())[:80]}") from error


def provenance(data: bytes) -> Provenance | None:
    """Ours in a MusicXML file; None where there is none."""
    try:
        found = _tree(data, "the file").find(f".//miscellaneous-field[@name='{FIELD}']")
        return Provenance.from_json(found.text or "") if found is not None else None
    except ValueError:
        return None


def _tree(data: bytes, name: str) -> ET.Element:
    if data.startswith(b"PK\x03\x04"):
        data = _unzipped(data, name)
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    head = data.decode("utf-16", "replace") if wide else data.decode("utf-8", "replace")
    if "<!ENTITY" in head or ("\0" in head):
        raise InvalidMedia(f"{name} declares XML entities, which no score needs; save it again from a notation program")
    try:
        return ET.fromstring(data)
    except (ET.ParseError, ValueError, LookupError, RecursionError) as error:
        raise InvalidMedia(f"{name} is damaged XML: {error}") from error


def _unzipped(data: bytes, name: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
            if sum(sizes.values()) > MAX_UNPACKED:
                raise InvalidMedia(f"{name} unpacks to more than {files.size_text(MAX_UNPACKED)}")
            inside = [one for one in sizes if one.endswith((".musicxml", ".xml")) and not one.startswith("META-INF")]
            if "META-INF/container.xml" in sizes:
                root = ET.fromstring(archive.read("META-INF/container.xml"))
                named = [node.get("full-path", "") for node in root.iter() if node.tag.endswith("rootfile")]
                inside = [one for one in named if one in sizes] or inside
            if not inside:
                raise InvalidMedia(f"{name} is a ZIP archive without a MusicXML score in it")
            return archive.read(inside[0])
    except InvalidMedia:
        raise
    except Exception as error:  # zipfile and zlib each have their own family of complaints
        raise InvalidMedia(f"{name} is a damaged .mxl: {' '.join(str(error).split())[:80]}") from error


@dataclass
class _PartState:
    """What is in force while the measures of one part are read."""

    index: dict[int, int]  # staff → part of the score
    drums: dict[str, int] = field(default_factory=dict)  # instrument id → MIDI pitch
    divisions: Fraction = Fraction(1)
    transpose: int = 0
    meter: Meter = field(default_factory=lambda: Meter(ZERO, 4, 4))
    here: Fraction = ZERO
    last: Fraction = ZERO  # onset of the note before, for chords
    open: list[Note] = field(default_factory=list)  # tied notes that go on


class _Reader:
    def __init__(self, root: ET.Element) -> None:
        self.root = root
        self.notes: list[Note] = []
        self.parts: list[Part] = []
        self.marks: dict[type, dict[Fraction, Tempo | Meter | Key | Chord]] = {Tempo: {}, Meter: {}, Key: {}, Chord: {}}
        self.lines: list[Fraction] = []
        self.end = ZERO

    def score(self) -> Score:
        listed = {node.get("id", ""): node for node in self.root.findall("part-list/score-part")}
        joined = (self.root.findtext(f".//miscellaneous-field[@name='{ONE_PART}']") or "").split()
        for part in self.root.findall("part"):
            self._part(part, listed.get(part.get("id", "")), part.get("id", "") in joined)
        meters, pickup = barlines.metered(self.lines, self._kept(Meter))
        title = self.root.findtext("work/work-title") or self.root.findtext("movement-title") or ""
        composer = next((c.text or "" for c in self.root.iter("creator") if c.get("type") == "composer"), "")
        return Score(
            tuple(self.notes),
            tuple(self.parts) or (Part(),),
            barlines.from_zero(self._kept(Tempo)),
            meters,
            self._kept(Key),
            self._kept(Chord),
            pickup,
            title.strip(),
            composer.strip(),
            self.end,
        )

    def _kept(self, kind: type) -> tuple:  # type: ignore[type-arg]
        """The marks of a kind in order, without those that change nothing."""
        kept: list = []  # type: ignore[type-arg]
        for mark in sorted(self.marks[kind].values(), key=lambda one: one.onset):
            if kind is Chord or not kept or replace(mark, onset=ZERO) != replace(kept[-1], onset=ZERO):
                kept.append(mark)
        return tuple(kept)

    def _part(self, part: ET.Element, listed: ET.Element | None, joined: bool) -> None:
        staves = [int(text) for node in part.iter("staves") if (text := node.text or "").strip().isdigit()]
        count = 1 if joined else min(max(staves, default=1), 4)
        first = len(self.parts)
        named, drums = _listed(listed)
        self.parts += [named] * count
        state = _PartState({staff: first + (0 if joined else staff - 1) for staff in range(1, 5)}, drums)
        state.index = {staff: min(index, first + count - 1) for staff, index in state.index.items()}
        start = ZERO
        for measure in part.findall("measure"):
            state.here = state.last = furthest = start
            for node in measure:
                self._node(node, state)
                furthest = max(furthest, state.here)
            if furthest == start:  # an empty measure lasts as long as its metre says
                furthest = start + state.meter.bar
            start = furthest
            if first == 0:
                self.lines.append(start)
        self.end = max(self.end, start)
        self.notes += state.open

    def _node(self, node: ET.Element, state: _PartState) -> None:
        if node.tag == "note":
            self._note(node, state)
        elif node.tag == "backup":
            state.here = max(ZERO, state.here - _duration(node, state))
        elif node.tag == "forward":
            state.here += _duration(node, state)
        elif node.tag == "attributes":
            self._attributes(node, state)
        elif node.tag == "harmony":
            name = _harmony(node)
            if name:
                self.marks[Chord][state.here + _offset(node, state)] = Chord(state.here + _offset(node, state), name)
        elif node.tag in ("direction", "sound"):
            bpm = _bpm(node)
            if bpm:
                onset = state.here + _offset(node, state)
                self.marks[Tempo].setdefault(onset, Tempo(onset, bpm))

    def _attributes(self, node: ET.Element, state: _PartState) -> None:
        divisions = node.findtext("divisions")
        if divisions:
            state.divisions = Fraction(divisions.strip())
            if not 0 < state.divisions <= 10**6:
                raise ValueError(f"{divisions} divisions of a quarter note")
        fifths = node.findtext("key/fifths")
        if fifths:
            mode = (node.findtext("key/mode") or "major").strip().lower()
            key = _key(int(fifths), _MODES.get(mode, mode), state.here)
            if not state.transpose and key:
                self.marks[Key].setdefault(state.here, key)
        beats, unit = node.findtext("time/beats"), node.findtext("time/beat-type")
        if beats and unit:
            state.meter = Meter(state.here, sum(int(one) for one in beats.split("+")), int(unit))
            if not (0 < state.meter.beats <= 256 and 0 < state.meter.unit <= 256):
                raise ValueError(f"a time signature of {beats}/{unit}")
            self.marks[Meter].setdefault(state.here, state.meter)
        if node.find("transpose") is not None:
            octave = int(node.findtext("transpose/octave-change") or 0)
            state.transpose = int(node.findtext("transpose/chromatic") or 0) + 12 * octave

    def _note(self, node: ET.Element, state: _PartState) -> None:
        if node.find("grace") is not None:
            return
        duration = _duration(node, state)
        chord = node.find("chord") is not None
        onset = state.last if chord else state.here
        if not chord:
            state.last, state.here = state.here, state.here + duration
        pitch = _pitch(node, state)
        if pitch is None or node.find("cue") is not None or duration <= 0:
            return
        part = state.index.get(int(node.findtext("staff") or 1), max(state.index.values()))
        ties = {tie.get("type") for tie in node.findall("tie")}
        loud = round(float(node.get("dynamics", 80 / 0.9)) * 0.9)
        note = Note(onset, pitch, duration, part, min(max(loud, 1), 127), _lyric(node))
        if "stop" in ties:
            before = next((one for one in state.open if (one.end, one.pitch, one.part) == (onset, pitch, part)), None)
            if before is not None:
                state.open.remove(before)
                note = replace(before, duration=before.duration + duration)
        (state.open if "start" in ties else self.notes).append(note)


def _listed(node: ET.Element | None) -> tuple[Part, dict[str, int]]:
    """A part as the list at the top describes it, and which pitch its drum instruments have."""
    if node is None:
        return Part(), {}
    program = int(node.findtext("midi-instrument/midi-program") or 1) - 1
    drums = {
        one.get("id", ""): int(one.findtext("midi-unpitched") or 39) - 1
        for one in node.findall("midi-instrument")
        if one.find("midi-unpitched") is not None
    }
    channel = (node.findtext("midi-instrument/midi-channel") or "").strip()
    name = (node.findtext("part-name") or "").strip()
    return Part(name, min(max(program, 0), 127), channel == "10"), drums


def _duration(node: ET.Element, state: _PartState) -> Fraction:
    duration = Fraction((node.findtext("duration") or "0").strip()) / state.divisions
    if not 0 <= duration <= 4096:
        raise ValueError(f"a duration of {float(duration):.6g} quarter notes")
    return duration


def _offset(node: ET.Element, state: _PartState) -> Fraction:
    return max(Fraction((node.findtext("offset") or "0").strip()) / state.divisions, -state.here)


def _pitch(node: ET.Element, state: _PartState) -> int | None:
    step = node.findtext("pitch/step")
    if step is None:
        if node.find("unpitched") is None:
            return None
        instrument = node.find("instrument")
        return state.drums.get("" if instrument is None else instrument.get("id", ""), 38)
    alter = round(float(node.findtext("pitch/alter") or 0))
    octave = int(node.findtext("pitch/octave") or 4)
    return 12 * (octave + 1) + pitches.STEPS[step.strip()] + alter + state.transpose


def _key(fifths: int, mode: str, onset: Fraction) -> Key | None:
    if mode not in pitches.MODE_FIFTHS:
        mode = "major"
    tonics = [name for name in pitches.FIFTHS if pitches.signature(name, mode) == fifths]
    return Key(onset, tonics[0], mode) if tonics else None


def _harmony(node: ET.Element) -> str:
    kind = node.find("kind")
    if kind is not None and (kind.text or "").strip() == "none":
        text = str(kind.get("text", ""))
        return "N" if text in ("", "N.C.", "NC") else text
    root = (node.findtext("root/root-step") or "").strip()
    if kind is None or not root:
        return ""
    sign = {-2: "bb", -1: "b", 0: "", 1: "#", 2: "##"}
    name = root + sign.get(round(float(node.findtext("root/root-alter") or 0)), "")
    shown = kind.get("text")
    plain = _SUFFIXES.get((kind.text or "").strip(), "")
    name += shown if shown is not None and kind.get("use-symbols") != "yes" else plain
    bass = (node.findtext("bass/bass-step") or "").strip()
    return name + (f"/{bass}{sign.get(round(float(node.findtext('bass/bass-alter') or 0)), '')}" if bass else "")


def _bpm(node: ET.Element) -> float:
    sound = node if node.tag == "sound" else node.find("sound")
    given = sound.get("tempo") if sound is not None else None
    if given is None:
        unit = (node.findtext("direction-type/metronome/beat-unit") or "").strip()
        minute = (node.findtext("direction-type/metronome/per-minute") or "").strip()
        if unit not in TYPES or not minute.replace(".", "", 1).isdigit():
            return 0.0
        dots = len(node.findall("direction-type/metronome/beat-unit-dot"))
        value = engraving.VALUES[TYPES.index(unit)] * (2 - Fraction(1, 2**dots))
        given = str(float(minute) * float(value))
    bpm = float(given)
    return bpm if 1 <= bpm <= 1000 else 0.0


def _lyric(node: ET.Element) -> str:
    for lyric in node.findall("lyric"):
        if lyric.get("number", "1") in ("1", "part1verse1") and (text := lyric.findtext("text")):
            return text.strip() + ("-" if (lyric.findtext("syllabic") or "") in ("begin", "middle") else "")
    return ""


# --- writing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Staff:
    """One staff as it is printed."""

    bars: list[Bar]
    clef: tuple[str, int]  # sign and line


@dataclass(frozen=True)
class _Group:
    """One <part>: a part of the score, or the two hands of a keyboard."""

    part: Part
    staves: tuple[_Staff, ...]
    one: bool  # its two staves are one part of ours


def encode(score: Score, provenance: Provenance | None = None, *, zipped: bool = False) -> bytes:
    """The score as MusicXML; zipped: as .mxl. The same score and provenance give the same bytes."""
    score = engraving.snapped(score)
    groups = _groups(score)
    divisions = _divisions(groups, score)
    root = ET.Element("score-partwise", version="4.0")
    _head(root, score, groups, provenance)
    for number, group in enumerate(groups, 1):
        part = ET.SubElement(root, "part", id=f"P{number}")
        _Writer(score, group, divisions, number, first=number == 1).write(part)
    ET.indent(root, " ")
    text = _XML + _DOCTYPE + ET.tostring(root, encoding="unicode") + "\n"
    data = text.encode("utf-8", "backslashreplace")
    return _zipped(data) if zipped else data


def _zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (("META-INF/container.xml", (_XML + _CONTAINER).encode()), ("score.musicxml", data)):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, on every system
            archive.writestr(entry, content)
    return out.getvalue()


def _groups(score: Score) -> list[_Group]:
    groups: list[_Group] = []
    number = 0
    while number < len(score.parts):
        part, notes = score.parts[number], score.of(number)
        after = score.parts[number + 1] if number + 1 < len(score.parts) else None
        if part.program < 8 and not part.drums and part.name and after == part:
            staves = (_staff(notes, score), _staff(score.of(number + 1), score))
            groups.append(_Group(part, staves, one=False))
            number += 1
        elif not part.drums and part.program < 8 and _wide(notes):
            upper, lower = engraving.hands(notes)
            groups.append(_Group(part, (_staff(upper, score), _staff(lower, score)), one=True))
        else:
            groups.append(_Group(part, (_staff(notes, score, drums=part.drums),), one=False))
        number += 1
    return groups


def _wide(notes: Sequence[Note]) -> bool:
    """Whether a keyboard part needs two staves: it goes well below and well above middle C."""
    low = sum(1 for note in notes if note.pitch < 55)
    high = sum(1 for note in notes if note.pitch > 64)
    return min(low, high) * 10 > len(notes) and min(low, high) > 1


def _staff(notes: Sequence[Note], score: Score, *, drums: bool = False) -> _Staff:
    middle = sorted(note.pitch for note in notes)[len(notes) // 2] if notes else 67
    clef = ("percussion", 2) if drums else ("F", 4) if middle < 60 else ("G", 2)
    return _Staff(engraving.staff(notes, score), clef)


def _divisions(groups: Sequence[_Group], score: Score) -> int:
    found = {1}
    for group in groups:
        for staff in group.staves:
            for sign in (sign for bar in staff.bars for voice in bar for sign in voice):
                found |= {sign.start.denominator, sign.duration.denominator}
    marks: list[Chord | Tempo] = [*score.chords, *score.tempos]
    found |= {mark.onset.denominator for mark in marks if lcm(*found, mark.onset.denominator) <= MAX_DIVISIONS}
    return min(lcm(*found), MAX_DIVISIONS)


def _text(parent: ET.Element, tag: str, content: object, /, **attributes: str) -> ET.Element:
    node = ET.SubElement(parent, tag, attributes)
    node.text = "".join(c for c in str(content) if c in "\t\n" or c >= " ")
    return node


def _head(root: ET.Element, score: Score, groups: Sequence[_Group], provenance: Provenance | None) -> None:
    if score.title:
        _text(ET.SubElement(root, "work"), "work-title", score.title)
    identification = ET.SubElement(root, "identification")
    if score.composer:
        _text(identification, "creator", score.composer, type="composer")
    encoding = ET.SubElement(identification, "encoding")
    _text(encoding, "software", provenance.software if provenance else "danqing")
    fields = {}
    if provenance is not None:
        fields = {FIELD: provenance.to_json(), "digitalSourceType": provenance.source_type}
    joined = [f"P{number}" for number, group in enumerate(groups, 1) if group.one]
    if joined:
        fields[ONE_PART] = " ".join(joined)
    if fields:
        miscellaneous = ET.SubElement(identification, "miscellaneous")
        for name, text in fields.items():
            _text(miscellaneous, "miscellaneous-field", text, name=name)
    listed = ET.SubElement(root, "part-list")
    for number, group in enumerate(groups, 1):
        _listing(listed, number, group)


def _listing(listed: ET.Element, number: int, group: _Group) -> None:
    node = ET.SubElement(listed, "score-part", id=f"P{number}")
    _text(node, "part-name", group.part.name)
    channel = 10 if group.part.drums else (number - 1) % 15 + 1
    channel += not group.part.drums and channel >= 10
    if group.part.drums:
        for pitch in _drum_pitches(group):
            _text(ET.SubElement(node, "score-instrument", id=f"P{number}-I{pitch + 1}"), "instrument-name", pitch)
    else:
        _text(ET.SubElement(node, "score-instrument", id=f"P{number}-I1"), "instrument-name", group.part.name)
    for pitch in _drum_pitches(group) if group.part.drums else (0,):
        midi = ET.SubElement(node, "midi-instrument", id=f"P{number}-I{pitch + 1}")
        _text(midi, "midi-channel", channel)
        _text(midi, "midi-program", group.part.program + 1)
        if group.part.drums:
            _text(midi, "midi-unpitched", pitch + 1)


def _drum_pitches(group: _Group) -> list[int]:
    signs = (sign for staff in group.staves for bar in staff.bars for voice in bar for sign in voice)
    return sorted({note.pitch for sign in signs for note in sign.notes}) or [38]


class _Writer:
    """Writes the measures of one <part>."""

    def __init__(self, score: Score, group: _Group, divisions: int, number: int, *, first: bool) -> None:
        self.score, self.group, self.divisions, self.number, self.first = score, group, divisions, number, first
        self.starts = score.bars()
        self.printed: set[tuple[Fraction, int]] = (
            set()
        )  # (onset, pitch) of the notes of the bar that bear an accidental
        self.words: dict[tuple[int, int], bool] = {}  # (staff, voice) → whether a word goes on

    def write(self, part: ET.Element) -> None:
        count = max(len(staff.bars) for staff in self.group.staves)
        for place in range(count):
            start = self.starts[place]
            number = place if self.score.pickup else place + 1
            measure = ET.SubElement(part, "measure", number=str(number))
            if place == 0 and self.score.pickup:
                measure.set("implicit", "yes")
            self._attributes(measure, place, start)
            marks = self._marks(start, self.starts[place + 1], place == count - 1) if self.first else []
            written = ZERO
            for staff_number, staff in enumerate(self.group.staves, 1):
                self.printed = self._accidentals(staff.bars[place])
                for voice_number, voice in enumerate(staff.bars[place]):
                    if written:
                        _text(ET.SubElement(measure, "backup"), "duration", self._ticks(written))
                    number_of_voice = 4 * (staff_number - 1) + voice_number + 1
                    self._voice(measure, voice, (place, staff_number, number_of_voice), marks)
                    marks = []
                    written = sum((sign.duration for sign in voice), ZERO)
            if place == count - 1:
                _text(ET.SubElement(measure, "barline", location="right"), "bar-style", "light-heavy")

    def _accidentals(self, bar: Bar) -> set[tuple[Fraction, int]]:
        """Which notes of a staff's bar bear an accidental: those that neither the key nor the bar so far says."""
        heard: dict[tuple[str, int], int] = {}  # (step, octave) → alteration in force
        found = set()
        signs = sorted((sign for voice in bar for sign in voice if sign.notes), key=lambda sign: sign.start)
        for sign in signs:
            for note in sign.notes:
                step, alter, octave = self._spelled(note.pitch, sign.start)
                usual = heard.get((step, octave), _in_signature(step, self._fifths(sign.start)))
                if alter != usual and not sign.tied_from:
                    found.add((sign.start, note.pitch))
                if not sign.tied_from:
                    heard[step, octave] = alter
        return found

    def _fifths(self, onset: Fraction) -> int:
        key = self.score.key_at(onset)
        return pitches.signature(key.tonic, key.mode) if key else 0

    def _spelled(self, pitch: int, onset: Fraction) -> tuple[str, int, int]:
        key = self.score.key_at(onset)
        return pitches.spelled(pitch, self._fifths(onset), minor=key is not None and key.mode == "minor")

    def _ticks(self, length: Fraction) -> int:
        return round(length * self.divisions)

    def _attributes(self, measure: ET.Element, place: int, start: Fraction) -> None:
        stop = self.starts[place + 1]
        node = ET.Element("attributes")
        if place == 0:
            _text(node, "divisions", self.divisions)
        key = next(
            (k for k in reversed(self.score.keys) if start <= k.onset < stop or (place == 0 and k.onset <= 0)), None
        )
        if key is not None or place == 0:
            signature = ET.SubElement(node, "key")
            _text(signature, "fifths", pitches.signature(key.tonic, key.mode) if key else 0)
            if key is not None:
                _text(signature, "mode", key.mode)
        meter = self.score.meter_at(start)
        if place == 0 or meter != self.score.meter_at(self.starts[place - 1]):
            time = ET.SubElement(node, "time")
            _text(time, "beats", meter.beats)
            _text(time, "beat-type", meter.unit)
        if place == 0:
            if len(self.group.staves) > 1:
                _text(node, "staves", len(self.group.staves))
            for number, staff in enumerate(self.group.staves, 1):
                clef = ET.SubElement(node, "clef", {"number": str(number)} if len(self.group.staves) > 1 else {})
                _text(clef, "sign", staff.clef[0])
                if staff.clef[0] != "percussion":
                    _text(clef, "line", staff.clef[1])
        if len(node):
            measure.append(node)

    def _marks(self, start: Fraction, stop: Fraction, last: bool) -> list[tuple[Fraction, ET.Element]]:
        """Tempos and chord symbols of a bar, in order, each as the element that stands before its note."""
        marks: list[Tempo | Chord] = [*self.score.tempos, *self.score.chords]
        found = [
            (mark.onset, _direction(mark) if isinstance(mark, Tempo) else _symbol(mark))
            for mark in marks
            if start <= mark.onset and (mark.onset < stop or last)
        ]
        return sorted(found, key=lambda pair: pair[0])

    def _voice(
        self,
        measure: ET.Element,
        voice: Sequence[Sign],
        where: tuple[int, int, int],
        marks: list[tuple[Fraction, ET.Element]],
    ) -> None:
        """One voice of a measure. where: numbers of bar, staff and voice; marks: taken out as they come."""
        place, staff, number = where
        meter, start = self.score.meter_at(self.starts[place]), self.starts[place]
        beams = _beams(voice, meter, self.score.pickup - meter.bar if place == 0 and self.score.pickup else start)
        whole = len(voice) == 1 and not voice[0].notes
        for sign, beam in zip(voice, beams, strict=True):
            while marks and marks[0][0] < sign.start + sign.duration:
                onset, node = marks.pop(0)
                if onset > sign.start:
                    place = next((i for i, one in enumerate(node) if one.tag in ("staff", "sound")), len(node))
                    offset = ET.Element("offset")
                    offset.text = str(self._ticks(onset - sign.start))
                    node.insert(place, offset)
                measure.append(node)
            if sign.hidden:
                forward = ET.SubElement(measure, "forward")
                _text(forward, "duration", self._ticks(sign.duration))
                continue
            notes: Sequence[Note | None] = sign.notes or (None,)
            for place, note in enumerate(notes):
                self._note(measure, sign, note, place, (staff, number, whole), beam)

    def _note(
        self,
        measure: ET.Element,
        sign: Sign,
        note: Note | None,
        place: int,
        where: tuple[int, int, bool],
        beam: Sequence[str],
    ) -> None:
        staff, voice, whole = where
        node = ET.SubElement(measure, "note")
        if note is not None and note.velocity != 80:
            node.set("dynamics", f"{note.velocity / 0.9:.2f}")
        if place:
            ET.SubElement(node, "chord")
        if note is None:
            ET.SubElement(node, "rest", {"measure": "yes"} if whole else {})
        else:
            self._pitch(node, note, sign.start)
        _text(node, "duration", self._ticks(sign.duration))
        if note is not None:
            for kind in _ties(sign):
                ET.SubElement(node, "tie", type=kind)
            if self.group.part.drums:
                ET.SubElement(node, "instrument", id=f"P{self.number}-I{note.pitch + 1}")
        _text(node, "voice", voice)
        if not (note is None and whole):
            _text(node, "type", TYPES[engraving.VALUES.index(sign.value)])
            for _ in range(sign.dots):
                ET.SubElement(node, "dot")
        if note is not None and not self.group.part.drums and (sign.start, note.pitch) in self.printed:
            _text(node, "accidental", ACCIDENTALS[self._spelled(note.pitch, sign.start)[1]])
        if sign.tuplet:
            modification = ET.SubElement(node, "time-modification")
            _text(modification, "actual-notes", sign.tuplet[0])
            _text(modification, "normal-notes", sign.tuplet[1])
        if len(self.group.staves) > 1:
            _text(node, "staff", staff)
        if place == 0:
            for level, kind in enumerate(beam, 1):
                _text(node, "beam", kind, number=str(level))
        self._notations(node, sign, note, place)
        if note is not None and note.lyric and not sign.tied_from:
            self._lyric(node, note.lyric, (staff, voice))

    def _pitch(self, node: ET.Element, note: Note, onset: Fraction) -> None:
        if self.group.part.drums:
            unpitched = ET.SubElement(node, "unpitched")
            step, octave = _drum_line(note.pitch)
            _text(unpitched, "display-step", step)
            _text(unpitched, "display-octave", octave)
            return
        step, alter, octave = self._spelled(note.pitch, onset)
        pitch = ET.SubElement(node, "pitch")
        _text(pitch, "step", step)
        if alter:
            _text(pitch, "alter", alter)
        _text(pitch, "octave", octave)

    def _notations(self, node: ET.Element, sign: Sign, note: Note | None, place: int) -> None:
        notations = ET.Element("notations")
        if note is not None:
            for kind in _ties(sign):
                ET.SubElement(notations, "tied", type=kind)
        if place == 0 and sign.tuplet:
            if sign.opens:
                ET.SubElement(notations, "tuplet", type="start", number="1")
            if sign.closes:
                ET.SubElement(notations, "tuplet", type="stop", number="1")
        if len(notations):
            node.append(notations)

    def _lyric(self, node: ET.Element, text: str, voice: tuple[int, int]) -> None:
        inside, goes_on = self.words.get(voice, False), text.endswith("-") and len(text) > 1
        lyric = ET.SubElement(node, "lyric", number="1")
        kind = ("middle" if goes_on else "end") if inside else ("begin" if goes_on else "single")
        _text(lyric, "syllabic", kind)
        _text(lyric, "text", text[:-1] if goes_on else text)
        self.words[voice] = goes_on


def _in_signature(step: str, fifths: int) -> int:
    """How a key signature of so many sharps (flats below 0) alters a step."""
    place = "FCGDAEB".index(step)
    if fifths > 0:
        return (fifths - place + 6) // 7
    return -((-fifths - (6 - place) + 6) // 7)


def _ties(sign: Sign) -> Iterator[str]:
    if sign.tied_from:
        yield "stop"
    if sign.tied_to:
        yield "start"


def _drum_line(pitch: int) -> tuple[str, int]:
    """Where a drum stands on its staff: the customary places of the kit, by General MIDI number."""
    places = {35: ("F", 4), 36: ("F", 4), 37: ("C", 5), 38: ("C", 5), 40: ("C", 5), 41: ("A", 4), 43: ("A", 4),
              42: ("G", 5), 44: ("D", 4), 46: ("G", 5), 45: ("D", 5), 47: ("D", 5), 48: ("E", 5), 50: ("E", 5),
              49: ("A", 5), 57: ("A", 5), 51: ("F", 5), 59: ("F", 5)}  # fmt: skip
    return places.get(pitch, ("B", 4))


def _direction(tempo: Tempo) -> ET.Element:
    node = ET.Element("direction", placement="above")
    metronome = ET.SubElement(ET.SubElement(node, "direction-type"), "metronome")
    _text(metronome, "beat-unit", "quarter")
    _text(metronome, "per-minute", f"{tempo.bpm:g}")
    ET.SubElement(node, "sound", tempo=f"{tempo.bpm:.6g}")
    return node


def _symbol(chord: Chord) -> ET.Element:
    node = ET.Element("harmony")
    head, slash, bass = chord.name.rpartition("/")
    name, bass = (head, bass) if slash and bass[:1] in pitches.STEPS else (chord.name, "")
    if name[:1] not in pitches.STEPS:
        root = ET.SubElement(node, "root")
        _text(root, "root-step", "C", text="")
        _text(node, "kind", "none", text="N.C." if chord.name == "N" else chord.name)
        return node
    signs = len(name[1:3]) if name[1:3] in ("##", "bb") else int(name[1:2] in ("#", "b"))
    _root(ET.SubElement(node, "root"), "root", name[: signs + 1])
    suffix = name[signs + 1 :]
    _text(node, "kind", KINDS.get(suffix, "other"), text=suffix)
    if bass:
        _root(ET.SubElement(node, "bass"), "bass", bass)
    return node


def _root(node: ET.Element, tag: str, name: str) -> None:
    _text(node, f"{tag}-step", name[0])
    if name[1:]:
        _text(node, f"{tag}-alter", {"#": 1, "b": -1, "##": 2, "bb": -2}.get(name[1:], 0))


def _beams(voice: Sequence[Sign], meter: Meter, zero: Fraction) -> list[list[str]]:
    """The beams over each sign, outermost first: "begin", "continue", "end", or a hook of its own."""
    compound = meter.unit >= 8 and meter.beats % 3 == 0 and meter.beats > 3
    beat = Fraction(3, 2) if compound else Fraction(1)
    flags = [max(0, engraving.VALUES.index(s.value) - 3) if s.notes and not s.hidden else 0 for s in voice]
    groups: dict[tuple[int, int], list[int]] = {}
    run = 0
    for place, sign in enumerate(voice):
        if not flags[place]:
            run += 1
            continue
        groups.setdefault(((sign.start - zero) // beat, run), []).append(place)
    beams: list[list[str]] = [[] for _ in voice]
    for group in groups.values():
        if len(group) < 2:
            continue
        for level in range(1, max(flags[i] for i in group) + 1):
            for at, place in enumerate(group):
                if flags[place] < level:
                    continue
                before = at > 0 and flags[group[at - 1]] >= level
                after = at + 1 < len(group) and flags[group[at + 1]] >= level
                alone = "forward hook" if at == 0 else "backward hook"
                beams[place].append(
                    "continue" if before and after else "end" if before else "begin" if after else alone
                )
    return beams
