"""Music in every form that a person can ask for: as notes, printed, heard; the suffix says which.

Notes: `scores` (.mid .musicxml .mxl .abc .json); printed: `notation` (.svg .png); heard: `audio` (.wav .mp3). Whoever
writes music goes through this file and need not know which of the three it was.
"""

from __future__ import annotations

from pathlib import Path

from danqing.artwork import audio, files, notation, scores
from danqing.artwork.music import Score
from danqing.artwork.provenance import Provenance
from danqing.errors import BadRequest

NOTES = (".mid", ".midi", ".musicxml", ".xml", ".mxl", ".abc", ".json")
WRITTEN = (*NOTES, *notation.SUFFIXES, *audio.SUFFIXES)


def output_format(path: Path) -> str:
    """The suffix of a file to write music to; raises BadRequest for one that we do not write."""
    suffix = path.suffix.lower()
    if suffix not in WRITTEN:
        raise BadRequest(f"{path} ends in {path.suffix or 'no suffix'!r}; music is written as {', '.join(WRITTEN)}")
    return suffix


def check_output(path: Path, *, force: bool = False) -> None:
    """Says before any work is done whether the music, and its sidecar where it has one, can be written."""
    if output_format(path) in NOTES:
        scores.check_output(path, force=force)
    else:
        files.check_output(path, force=force)


def encode_bytes(score: Score, suffix: str, provenance: Provenance | None = None) -> bytes:
    """The music as the bytes of a file of this suffix, provenance inside.

    Raises BadRequest where it does not fit one page of print, or is longer than what is rendered as sound.
    """
    suffix = output_format(Path("music" + suffix))
    if suffix in NOTES:
        return scores.encode_bytes(score, suffix, provenance)
    if suffix in notation.SUFFIXES:
        pages = notation.encode_pages(score, suffix, provenance)
        if len(pages) > 1:
            raise BadRequest(f"the score is printed on {len(pages)} pages, a file each; save it to a path instead")
        return pages[0]
    return audio.encode(audio.render(score), suffix, provenance, title=score.title, artist=score.composer)


def save(score: Score, path: Path, provenance: Provenance, *, force: bool = False) -> Path:
    """Write the music, whole or not at all; returns the path, the first page's where it is printed on several.

    Notes have their provenance inside and, in NAME.mid.json, beside them as well. Raises BadRequest for a suffix that
    we do not write, OutputExists unless `force`, NotWritable.
    """
    check_output(path, force=force)
    suffix = output_format(path)
    if suffix in NOTES:
        scores.save(score, path, provenance, force=force)
    elif suffix in notation.SUFFIXES:
        return notation.save(score, path, provenance, force=force)[0]
    else:
        audio.save(score, path, provenance, force=force)
    return path


def read_provenance(path: str | Path) -> Provenance | None:
    """The provenance in a file that `save` wrote, or beside it; None where there is none of ours."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".png":
        from danqing.artwork import image

        return image.read_provenance(path)
    if suffix in (".svg", *audio.SUFFIXES):
        data = files.read(path)
        return notation.provenance(data) if suffix == ".svg" else audio.provenance(data)
    return scores.read_provenance(path)
