"""Standard MIDI files: read and written through mido, times as exact fractions of a quarter note.

What MIDI has no event for travels in text events that other programs pass over: chord symbols as markers ("chord:Dm7"),
the composer, and the provenance. A pickup is a first bar of its own metre, as notation programs write it.
"""

from __future__ import annotations

import io
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import lcm
from typing import Any

from danqing.artwork import barlines, pitches
from danqing.artwork.music import ZERO, Chord, Key, Meter, Note, Part, Score, Tempo
from danqing.artwork.pitches import MODES, TONICS
from danqing.artwork.provenance import Provenance
from danqing.errors import BadRequest, InvalidMedia

MAX_EVENTS = 500_000  # mido reads some 300,000 events a second
MAX_QUARTERS = 100_000  # a day of music
TICKS = 480  # a quarter note, unless the score's fractions need others
MAX_TICKS = 32767
DRUM_CHANNEL = 9
RELEASE = 64  # release velocity; one more for each like note that began earlier and goes on
TEXT = "danqing-provenance:"
COMPOSER = "composer:"
CHORD = "chord:"
KEY = "key:"


def decode(data: bytes, name: str) -> Score:
    """The score in a MIDI file of format 0 or 1. `name` is what messages call it. Raises InvalidMedia."""
    import mido

    division = int.from_bytes(data[12:14], "big")
    if len(data) < 22:
        raise InvalidMedia(f"{name} ends after {len(data)} bytes: the file is damaged")
    if int.from_bytes(data[8:10], "big") == 2:
        raise InvalidMedia(f"{name} is MIDI of format 2, loose patterns without an order; save it as format 0 or 1")
    if not 0 < division < 0x8000:
        raise InvalidMedia(f"{name} counts time in film frames, not in beats; save it with ticks per quarter note")
    if len(data) > 4 * MAX_EVENTS:
        raise InvalidMedia(f"{name} holds more than {MAX_EVENTS:,} events; cut it into pieces")
    try:
        file = mido.MidiFile(file=io.BytesIO(data), clip=True)
    except Exception as error:  # mido raises OSError, EOFError, ValueError, KeyError, IndexError and its own
        text = " ".join(str(error).split())[:80] or "it ends too early"
        raise InvalidMedia(f"{name} is damaged MIDI: {text}") from error
    if file.type == 2:
        raise InvalidMedia(f"{name} is MIDI of format 2; save it as format 0 or 1")
    reader = _Reader(file.ticks_per_beat, name)
    for track in file.tracks:
        reader.track(track)
    return reader.score()


def provenance(data: bytes) -> Provenance | None:
    """Ours in a MIDI file; None where there is none."""
    import mido

    try:
        file = mido.MidiFile(file=io.BytesIO(data), clip=True)
        for message in file.tracks[0]:
            if message.type == "text" and message.text.startswith(TEXT):
                return Provenance.from_json(_utf8(message.text[len(TEXT) :]))
    except Exception:  # a damaged file has no provenance that we could trust
        return None
    return None


def _utf8(text: str) -> str:
    """What mido read as Latin-1, in the encoding that it most likely is."""
    try:
        return text.encode("latin-1").decode("utf-8").strip("\0 ")
    except UnicodeError:
        return text.strip("\0 ")


@dataclass
class _Reader:
    ticks: int
    name: str
    notes: list[Note] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    tempos: dict[Fraction, Tempo] = field(default_factory=dict)
    meters: dict[Fraction, Meter] = field(default_factory=dict)
    keys: dict[Fraction, Key] = field(default_factory=dict)
    chords: dict[Fraction, Chord] = field(default_factory=dict)
    title: str = ""
    composer: str = ""
    end: Fraction = ZERO
    tracks: int = 0

    def track(self, track: Any) -> None:
        """Reads one track: each channel in it is a part."""
        sounding: dict[tuple[int, int], deque[tuple[Fraction, int]]] = defaultdict(deque)
        found: dict[int, list[Note]] = defaultdict(list)
        programs: dict[int, int] = {}
        lyrics: dict[Fraction, str] = {}
        label, tick = "", 0
        onset = ZERO
        for message in track:
            if message.time:
                tick += message.time
                onset = Fraction(tick, self.ticks)
                if message.time < 0 or onset > MAX_QUARTERS:
                    raise InvalidMedia(f"{self.name} runs for more than {MAX_QUARTERS:,} quarter notes: it is damaged")
            kind = message.type
            if kind == "note_on" and message.velocity:
                sounding[message.channel, message.note].append((onset, message.velocity))
            elif kind in ("note_on", "note_off"):
                queue = sounding[message.channel, message.note]
                if queue:
                    place = message.velocity - RELEASE if kind == "note_off" else 0
                    place = place if 0 <= place < len(queue) else 0
                    start = queue[place]
                    del queue[place]
                    _end(found[message.channel], message.note, start, onset)
            elif kind == "program_change":
                programs.setdefault(message.channel, message.program)
            elif kind == "lyrics":
                lyrics[onset] = _utf8(message.text)
            elif kind == "track_name":
                label = label or _utf8(message.name)
            else:
                self._meta(message, kind, onset)
        for (channel, pitch), queue in sounding.items():
            for start in queue:
                _end(found[channel], pitch, start, onset)
        self.end = max(self.end, onset)
        self._parts(found, programs, lyrics, label)

    def _meta(self, message: Any, kind: str, onset: Fraction) -> None:
        if kind == "set_tempo" and message.tempo > 0:
            bpm = _bpm(message.tempo)
            if 1 <= bpm <= 2000:
                self.tempos[onset] = Tempo(onset, bpm)
        elif kind == "time_signature" and 0 < message.numerator <= 128 and message.denominator <= 128:
            self.meters[onset] = Meter(onset, message.numerator, message.denominator)
        elif kind == "key_signature":
            minor = message.key.endswith("m")
            self.keys[onset] = Key(onset, message.key.removesuffix("m"), "minor" if minor else "major")
        elif kind == "marker" and message.text.startswith(CHORD):
            self.chords[onset] = Chord(onset, _utf8(message.text[len(CHORD) :]))
        elif kind == "marker" and message.text.startswith(KEY):
            tonic, _, mode = message.text[len(KEY) :].partition(" ")
            if tonic in TONICS and mode in MODES:
                self.keys[onset] = Key(onset, tonic, mode)
        elif kind == "text" and message.text.startswith(COMPOSER):
            self.composer = _utf8(message.text[len(COMPOSER) :])

    def _parts(
        self, found: dict[int, list[Note]], programs: dict[int, int], lyrics: dict[Fraction, str], label: str
    ) -> None:
        first = self.tracks == 0
        self.tracks += 1
        for channel in sorted(channel for channel, notes in found.items() if notes):
            part = len(self.parts)
            self.parts.append(Part(label, programs.get(channel, 0), channel == DRUM_CHANNEL))
            seen: set[Fraction] = set()
            for note in found[channel]:
                sung = lyrics.get(note.onset, "") if note.onset not in seen else ""
                seen.add(note.onset)
                self.notes.append(replace(note, part=part, lyric=sung))
        if first and not any(found.values()):
            self.title = label

    def score(self) -> Score:
        """What all tracks make together."""
        if not self.notes:
            raise InvalidMedia(f"{self.name} holds no notes; it is an empty MIDI file")
        meters, pickup = _pickup(sorted(self.meters.values(), key=lambda meter: meter.onset))
        return Score(
            tuple(self.notes),
            tuple(self.parts),
            barlines.from_zero(self.tempos.values()),
            meters,
            tuple(sorted(self.keys.values(), key=lambda key: key.onset)),
            tuple(sorted(self.chords.values(), key=lambda chord: chord.onset)),
            pickup,
            self.title,
            self.composer,
            self.end,
        )


def _bpm(microseconds: int) -> float:
    """Quarter notes a minute, by the shortest number that means these microseconds."""
    exact = 60e6 / microseconds
    short = (round(exact, digits) for digits in range(4))
    return next((bpm for bpm in short if bpm and round(60e6 / bpm) == microseconds), round(exact, 4))


def _end(notes: list[Note], pitch: int, start: tuple[Fraction, int], onset: Fraction) -> None:
    if onset > start[0]:  # a note of no length sounds nowhere
        notes.append(Note(start[0], pitch, onset - start[0], 0, start[1]))


def _pickup(meters: list[Meter]) -> tuple[tuple[Meter, ...], Fraction]:
    """The metres and the pickup: one short first bar of its own is one."""
    if not meters or meters[0].onset > 0:
        meters.insert(0, Meter(ZERO, 4, 4))
    if len(meters) > 1 and meters[0].bar == meters[1].onset and meters[0].bar < meters[1].bar:
        return (replace(meters[1], onset=ZERO), *meters[2:]), meters[0].bar
    return tuple(meters), ZERO


# --- writing ----------------------------------------------------------------------------------------------------------


def encode(score: Score, provenance: Provenance | None = None) -> bytes:
    """The score as MIDI of format 1: a first track of tempos and marks, then one for each part.

    Raises BadRequest where a score has more parts than MIDI has channels and they cannot share.
    """
    import mido

    score = score.played()
    ticks = _resolution(score)
    file = mido.MidiFile(type=1, ticks_per_beat=ticks, charset="utf-8")
    file.tracks.append(_conductor(score, ticks, provenance))
    channels = [channel for channel in range(16) if channel != DRUM_CHANNEL]
    programs: dict[int, int] = {}
    for number, part in enumerate(score.parts):
        channel = DRUM_CHANNEL if part.drums else programs.get(part.program, -1)
        if channel < 0 or (not part.drums and len(score.parts) <= len(channels)):
            if not channels:
                raise BadRequest(f"{len(score.parts)} parts need more than MIDI's 16 channels; merge some of them")
            channel = channels.pop(0)
            programs[part.program] = channel
        file.tracks.append(_track(score, number, channel, ticks))
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


def _resolution(score: Score) -> int:
    """Ticks a quarter note: a multiple of TICKS that holds every fraction of the score, where there is one."""
    needed = lcm(*{time.denominator for note in score.notes for time in (note.onset, note.end)}, 1)
    for base in (TICKS, 1):
        if lcm(base, needed) <= MAX_TICKS:
            return lcm(base, needed)
    return 30240  # 2^5 · 3^3 · 5 · 7: no file needs finer steps


def _conductor(score: Score, ticks: int, provenance: Provenance | None) -> Any:
    from mido import MetaMessage

    events: list[tuple[Fraction, int, Any]] = []
    if score.title:
        events.append((ZERO, 0, MetaMessage("track_name", name=score.title)))
    if score.composer:
        events.append((ZERO, 1, MetaMessage("text", text=COMPOSER + score.composer)))
    if provenance is not None:
        record = provenance.to_json().encode("utf-8", "backslashreplace").decode("utf-8")
        events.append((ZERO, 1, MetaMessage("text", text=TEXT + record)))
        events.append((ZERO, 1, MetaMessage("text", text=f"digitalSourceType:{provenance.source_type}")))
    meters = list(score.meters)
    if score.pickup:
        short = _as_meter(score.pickup, meters[0].unit)
        if short is not None:
            meters = [short, replace(meters[0], onset=score.pickup), *meters[1:]]
    for meter in meters:
        beats, unit = meter.beats, meter.unit
        if unit & (unit - 1) == 0 and beats <= 255:
            events.append((meter.onset, 2, MetaMessage("time_signature", numerator=beats, denominator=unit)))
    for key in score.keys:
        events.append((key.onset, 3, MetaMessage("key_signature", key=_signature(key))))
        if key.mode not in ("major", "minor"):
            events.append((key.onset, 4, MetaMessage("marker", text=f"{KEY}{key.tonic} {key.mode}")))
    for tempo in score.tempos:
        microseconds = min(max(round(60e6 / tempo.bpm), 1), 0xFFFFFF)
        events.append((tempo.onset, 4, MetaMessage("set_tempo", tempo=microseconds)))
    events += [(chord.onset, 5, MetaMessage("marker", text=CHORD + chord.name)) for chord in score.chords]
    return _as_track(events, ticks, score.length)


def _as_meter(length: Fraction, unit: int) -> Meter | None:
    while (length * unit / 4).denominator > 1 and unit < 64:
        unit *= 2
    beats = length * unit / 4
    return Meter(ZERO, int(beats), unit) if beats.denominator == 1 else None


def _signature(key: Key) -> str:
    """What MIDI can say of a key: major or minor with up to seven signs; a mode becomes the major key of its signs."""
    fifths = pitches.signature(key.tonic, key.mode)
    fifths = fifths - 12 if fifths > 7 else fifths + 12 if fifths < -7 else fifths
    mode = key.mode if key.mode in ("major", "minor") else "major"
    return next(t for t in pitches.FIFTHS if pitches.signature(t, mode) == fifths) + ("m" if mode == "minor" else "")


def _track(score: Score, number: int, channel: int, ticks: int) -> Any:
    from mido import Message, MetaMessage

    part = score.parts[number]
    events: list[tuple[Fraction, int, Any]] = []
    if part.name:
        events.append((ZERO, 0, MetaMessage("track_name", name=part.name)))
    if not part.drums:
        events.append((ZERO, 1, Message("program_change", channel=channel, program=part.program)))
    for note in score.of(number):
        if note.lyric:
            events.append((note.onset, 3, MetaMessage("lyrics", text=note.lyric)))
        events.append((note.onset, 4, Message("note_on", channel=channel, note=note.pitch, velocity=note.velocity)))
    for note, place in _endings(score.of(number)):
        off = Message("note_off", channel=channel, note=note.pitch, velocity=min(RELEASE + place, 127))
        events.append((note.end, 2, off))
    return _as_track(events, ticks, score.length)


def _endings(notes: Sequence[Note]) -> list[tuple[Note, int]]:
    """Notes in the order they end, each with how many of its pitch began before it and still sound.

    MIDI cannot name the note that ends; other programs take the first that began, ours is told by the release velocity.
    """
    found: list[tuple[Note, int]] = []
    sounding: dict[int, list[Note]] = {}
    edges = [(note.onset, 1, place) for place, note in enumerate(notes)]
    edges += [(note.end, 0, place) for place, note in enumerate(notes)]
    for _, begins, place in sorted(edges):
        note = notes[place]
        queue = sounding.setdefault(note.pitch, [])
        if begins:
            queue.append(note)
        else:
            at = next(number for number, one in enumerate(queue) if one is note)
            found.append((note, at))
            del queue[at]
    return found


def _as_track(events: list[tuple[Fraction, int, Any]], ticks: int, length: Fraction) -> Any:
    """Events (onset, order among those of one moment, message) as a track of differences in ticks."""
    from mido import MetaMessage, MidiTrack

    track, before = MidiTrack(), 0
    for onset, _, message in sorted(events, key=lambda event: event[:2]):
        tick = round(onset * ticks)
        track.append(message.copy(time=tick - before))
        before = tick
    track.append(MetaMessage("end_of_track", time=max(round(length * ticks) - before, 0)))
    return track
