"""A finished work: what it holds, where it came from, what it is called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from danqing.artwork import audio, files, image, literature, notation, scores
from danqing.artwork.image import Picture
from danqing.artwork.literature import Writing
from danqing.artwork.music import Score
from danqing.artwork.provenance import Provenance
from danqing.errors import BadRequest

Content = Picture | Writing | Score  # the methods of Artwork and the shelf's preview are what asks which


@dataclass(frozen=True, eq=False)
class Artwork:
    """A work and its history. The content stays in memory until `save` or the shelf writes it."""

    content: Content
    provenance: Provenance
    title: str = ""  # a few words for lists: "harbour, in the style of ukiyo-e"

    @property
    def media(self) -> str:
        """What kind of work it is: "picture", "text" or "music"."""
        if isinstance(self.content, Score):
            return "music"
        return "picture" if isinstance(self.content, Picture) else "text"

    def encode(self, suffix: str, *, quality: int = 92) -> bytes:
        """The work as the bytes of a file whose name ends in `suffix`, provenance inside where the format has room."""
        if isinstance(self.content, Picture):
            return image.encode_bytes(self.content, suffix, self.provenance, quality=quality)
        if isinstance(self.content, Score):
            return _encode_score(self.content, suffix, self.provenance)
        return literature.encode_bytes(self.content, suffix, self.provenance)

    def save(self, path: str | Path, *, force: bool = False, quality: int = 92) -> Path:
        """Writes the work, whole or not at all, in the format of the suffix; returns the path.

        A text in .txt or .md, and a score as notes, has its provenance beside it, in NAME.txt.json.
        Raises BadRequest for a suffix that we do not write, OutputExists unless `force`, NotWritable.
        """
        path = Path(path)
        if isinstance(self.content, Writing):
            literature.save(self.content, path, self.provenance, force=force)
            return path
        if isinstance(self.content, Score):
            _save_score(self.content, path, self.provenance, force=force)
            return path
        image.output_format(path)
        files.check_output(path, force=force)  # before the encoding, which takes seconds for a large picture
        files.write(self.encode(path.suffix, quality=quality), path, force=force)
        return path


def _encode_score(score: Score, suffix: str, provenance: Provenance) -> bytes:
    """A score as notes, as a printed page or as sound, by the suffix."""
    kind = _score_suffix(Path("score" + suffix))
    if kind in notation.SUFFIXES:
        return notation.encode_pages(score, kind, provenance)[0]
    if kind in audio.SUFFIXES:
        return audio.encode(audio.render(score), kind, provenance, title=score.title, artist=score.composer)
    return scores.encode_bytes(score, kind, provenance)


def _save_score(score: Score, path: Path, provenance: Provenance, *, force: bool) -> None:
    kind = _score_suffix(path)
    if kind in notation.SUFFIXES:
        notation.save(score, path, provenance, force=force)
    elif kind in audio.SUFFIXES:
        audio.save(score, path, provenance, force=force)
    else:
        scores.save(score, path, provenance, force=force)


def _score_suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    known = (*scores.WRITTEN, *notation.SUFFIXES, *audio.SUFFIXES)
    if suffix not in known:
        raise BadRequest(f"{path} ends in {path.suffix or 'no suffix'!r}; music is written as {', '.join(known)}")
    return suffix
