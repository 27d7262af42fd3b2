"""Scores as files: read and written as MIDI, MusicXML, ABC and our own JSON; read as **kern.

A format is known by its content, so a mislabelled file is still read; whatever holds no score is refused as one
`InvalidMedia`. JSON loses nothing. Every format holds its provenance inside and, as texts do, has it beside it as well
(NAME.mid.json), with the SHA-256 of the file it belongs to.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from danqing.artwork import abc, files, kern, literature, midi, musicxml
from danqing.artwork.music import EVEN, ZERO, Chord, Key, Meter, Note, Part, Score, Tempo
from danqing.artwork.pitches import MODES, TONICS
from danqing.artwork.provenance import Provenance
from danqing.errors import BadRequest, InvalidMedia

READ = (".mid", ".midi", ".musicxml", ".xml", ".mxl", ".abc", ".krn", ".json")
WRITTEN = (".mid", ".midi", ".musicxml", ".xml", ".mxl", ".abc", ".json")
MAX_BYTES = 16 * 2**20  # the largest symphony in MusicXML; a larger file is no score that a person made
MAX_NOTES = 200_000
FORMAT = "danqing-score"
VERSION = 1


# --- reading ----------------------------------------------------------------------------------------------------------


def read(path: str | Path) -> Score:
    """The score in a file, known by its content; of an ABC tune book, the first tune. Raises InvalidMedia."""
    path = Path(path)
    return decode(files.read(path, max_bytes=MAX_BYTES), str(path))


def read_all(path: str | Path) -> list[Score]:
    """Every score in a file: the tunes of an ABC tune book, or the one that other formats hold."""
    path = Path(path)
    data = files.read(path, max_bytes=MAX_BYTES)
    if _kind(data, str(path)) != "abc":
        return [decode(data, str(path))]
    name = str(path)
    tunes = abc.tunes(_text(data, name))
    return [_checked(abc.decode(tune, f"{name}, tune {number}"), name) for number, tune in enumerate(tunes, 1)]


def decode(data: bytes, name: str) -> Score:
    """The score in the bytes of a file. `name` is what messages call it. Raises InvalidMedia."""
    kind = _kind(data, name)
    try:
        if kind == "midi":
            score = midi.decode(data, name)
        elif kind == "musicxml":
            score = musicxml.decode(data, name)
        elif kind == "kern":
            score = kern.decode(_text(data, name), name)
        elif kind == "abc":
            score = abc.decode(_text(data, name), name)
        else:
            score = _from_json(data, name)
    except InvalidMedia:
        raise
    except (BadRequest, RecursionError, MemoryError, OverflowError) as error:
        raise InvalidMedia(f"{name} holds no score that makes sense: {str(error)[:120]}") from error
    return _checked(score, name)


def read_provenance(path: str | Path) -> Provenance | None:
    """The provenance in a score's file, or beside it; None where there is none, or none of ours."""
    path = Path(path)
    try:
        data = files.read(path, max_bytes=MAX_BYTES)
        kind = _kind(data, str(path))
        inside: dict[str, Callable[[bytes], Provenance | None]] = {
            "midi": midi.provenance, "musicxml": musicxml.provenance, "abc": abc.provenance, "json": _json_provenance,
        }  # fmt: skip
        found = inside[kind](data) if kind in inside else None
    except (BadRequest, ValueError):
        return None
    return found or literature.read_provenance(path)


def _kind(data: bytes, name: str) -> str:
    """Which format the bytes are in; raises InvalidMedia for none."""
    suffix = Path(name.partition(",")[0]).suffix.lower()
    head = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"MThd"):
        return "midi"
    if data.startswith(b"PK\x03\x04") or head.startswith(b"<") or data.startswith((b"\xff\xfe<", b"\xfe\xff\0<")):
        return "musicxml"
    if head.startswith((b"{", b"[")) and suffix not in (".abc", ".krn"):
        return "json"
    text = data[:65536]
    if b"\0" not in text:
        if b"**kern" in data and not (suffix == ".abc" or b"\nK:" in text):
            return "kern"
        if b"\nK:" in data or head.startswith(b"K:") or b"\rK:" in data:
            return "abc"
    known = ", ".join(READ)
    if suffix in READ:
        raise InvalidMedia(f"{name} is no score of its kind: the content is not what {suffix} files hold")
    raise InvalidMedia(f"{name} is no score that we read; scores are {known}")


def _text(data: bytes, name: str) -> str:
    """A text file's characters: UTF-8, or the Latin-1 that old archives are in."""
    if b"\0" in data:
        raise InvalidMedia(f"{name} holds bytes that no text has: the file is damaged")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _checked(score: Score, name: str) -> Score:
    if not score.notes:
        raise InvalidMedia(f"{name} holds no notes")
    if len(score.notes) > MAX_NOTES:
        raise InvalidMedia(f"{name} holds {len(score.notes):,} notes; scores up to {MAX_NOTES:,} are read")
    if score.length > midi.MAX_QUARTERS:
        raise InvalidMedia(f"{name} runs for {int(score.length):,} quarter notes; up to {midi.MAX_QUARTERS:,} are read")
    return score


# --- writing ----------------------------------------------------------------------------------------------------------


def output_format(path: Path) -> str:
    """The suffix of a file to write a score to; raises BadRequest for one that we do not write."""
    suffix = path.suffix.lower()
    if suffix not in WRITTEN:
        raise BadRequest(f"{path} ends in {path.suffix or 'no suffix'!r}; a score is written as {', '.join(WRITTEN)}")
    return suffix


def encode_bytes(score: Score, suffix: str, provenance: Provenance | None = None) -> bytes:
    """The score as the bytes of a file of this suffix, provenance inside; the same input gives the same bytes."""
    suffix = output_format(Path("score" + suffix))
    if suffix in (".mid", ".midi"):
        return midi.encode(score, provenance)
    if suffix == ".abc":
        return abc.encode(score, provenance).encode("utf-8", "backslashreplace")
    if suffix == ".json":
        return _to_json(score, provenance)
    return musicxml.encode(score, provenance, zipped=suffix == ".mxl")


def save(score: Score, path: str | Path, provenance: Provenance, *, force: bool = False) -> None:
    """Writes the score and its sidecar: both or neither.

    Raises BadRequest for a suffix that we do not write, OutputExists unless `force`, NotWritable.
    """
    path = Path(path)
    suffix = output_format(path)
    check_output(path, force=force)
    data = encode_bytes(score, suffix, provenance)
    beside = literature.encode_sidecar(data, suffix, provenance)
    literature.write_both(data, beside, path, force=force)


def check_output(path: Path, *, force: bool = False) -> None:
    """Says before any work is done whether the score and its sidecar can be written; as `files.check_output`."""
    files.check_output(path, force=force)
    output_format(path)
    files.check_output(literature.sidecar(path), force=force)


# --- our own JSON -----------------------------------------------------------------------------------------------------


def to_dict(score: Score) -> dict[str, Any]:
    """The score as JSON values; times are whole numbers or texts like "3/2"."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": score.title,
        "composer": score.composer,
        "pickup": _time(score.pickup),
        "length": _time(score.length),
        **({"swing": _time(score.swing)} if score.swing != EVEN else {}),
        "parts": [{"name": part.name, "program": part.program, "drums": part.drums} for part in score.parts],
        "tempos": [[_time(tempo.onset), tempo.bpm] for tempo in score.tempos],
        "meters": [[_time(meter.onset), meter.beats, meter.unit] for meter in score.meters],
        "keys": [[_time(key.onset), key.tonic, key.mode] for key in score.keys],
        "chords": [[_time(chord.onset), chord.name] for chord in score.chords],
        "notes": [
            [_time(n.onset), n.pitch, _time(n.duration), n.part, n.velocity, *([n.lyric] if n.lyric else [])]
            for n in score.notes
        ],
    }


def from_dict(record: Any) -> Score:
    """What `to_dict` made. Raises BadRequest for anything else."""
    try:
        if record["format"] != FORMAT or record["version"] > VERSION:
            raise BadRequest(f"this is {record['format']} {record['version']}; we read {FORMAT} up to {VERSION}")
        score = Score(
            tuple(
                Note(_fraction(n[0]), int(n[1]), _fraction(n[2]), int(n[3]), int(n[4]), str(n[5]) if n[5:] else "")
                for n in record["notes"]
            ),
            tuple(Part(str(p["name"]), int(p["program"]), bool(p["drums"])) for p in record["parts"]),
            tuple(Tempo(_fraction(onset), float(bpm)) for onset, bpm in record["tempos"]),
            tuple(Meter(_fraction(onset), int(beats), int(unit)) for onset, beats, unit in record["meters"]),
            tuple(Key(_fraction(onset), str(tonic), str(mode)) for onset, tonic, mode in record["keys"]),
            tuple(Chord(_fraction(onset), str(name)) for onset, name in record["chords"]),
            _fraction(record["pickup"]),
            str(record["title"]),
            str(record["composer"]),
            _fraction(record["length"]),
            _fraction(record.get("swing", "1/2")),
        )
    except BadRequest:
        raise
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError, AttributeError) as error:
        raise BadRequest(f"this is no {FORMAT}: {str(error)[:80]}") from error
    _sensible(score)
    return score


def _sensible(score: Score) -> None:
    """Raises BadRequest where marks hold what no file of ours does."""
    if any(not (0 < meter.beats <= 4096 and 0 < meter.unit <= 256) for meter in score.meters):
        raise BadRequest("a time signature has 1 to 4096 beats of 1/1 to 1/256")
    if any(not 1 <= tempo.bpm <= 10_000 for tempo in score.tempos):
        raise BadRequest("a tempo lies between 1 and 10,000 quarter notes a minute")
    if any(key.tonic not in TONICS or key.mode not in MODES for key in score.keys):
        raise BadRequest(f"a key has a tonic of {', '.join(TONICS)} and a mode of {', '.join(MODES)}")
    marks: list[Tempo | Meter | Key | Chord] = [*score.tempos, *score.meters, *score.keys, *score.chords]
    if score.pickup < 0 or any(mark.onset < 0 for mark in marks):
        raise BadRequest("a time lies before the beginning")
    if any(not (1 <= note.velocity <= 127) for note in score.notes):
        raise BadRequest("a velocity lies between 1 and 127")
    if any(not 0 <= part.program <= 127 for part in score.parts):
        raise BadRequest("a General MIDI program lies between 0 and 127")


def _to_json(score: Score, provenance: Provenance | None) -> bytes:
    record = to_dict(score)
    if provenance is not None:
        record["provenance"] = json.loads(provenance.to_json())
        record["digitalSourceType"] = provenance.source_type
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    return (text + "\n").encode("utf-8", "backslashreplace")


def _from_json(data: bytes, name: str) -> Score:
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidMedia(f"{name} is damaged JSON: {str(error)[:80]}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InvalidMedia(f'{name} is JSON but no score of ours; ours begin with {{"format": "{FORMAT}"}}')
    return from_dict(record)


def _json_provenance(data: bytes) -> Provenance | None:
    record = json.loads(data)
    return Provenance.from_json(json.dumps(record["provenance"])) if "provenance" in record else None


def _time(time: Fraction) -> int | str:
    return time.numerator if time.denominator == 1 else f"{time.numerator}/{time.denominator}"


def _fraction(value: Any) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, (int, str)) or (isinstance(value, str) and len(value) > 40):
        raise ValueError(f"{str(value)[:40]!r} is no time; times are whole numbers or texts like '3/2'")
    found = Fraction(value)
    return found if found else ZERO
