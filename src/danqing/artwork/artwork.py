"""A finished work: what it holds, where it came from, what it is called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from danqing.artwork import files, image, literature, publishing
from danqing.artwork.image import Picture
from danqing.artwork.literature import Writing
from danqing.artwork.music import Score
from danqing.artwork.provenance import Provenance

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
            return publishing.encode_bytes(self.content, suffix, self.provenance)
        return literature.encode_bytes(self.content, suffix, self.provenance)

    def save(self, path: str | Path, *, force: bool = False, quality: int = 92) -> Path:
        """Writes the work, whole or not at all, in the format of the suffix; returns the path.

        A text in .txt or .md and music as notes have their provenance beside them, in NAME.txt.json.
        Raises BadRequest for a suffix that we do not write, OutputExists unless `force`, NotWritable.
        """
        path = Path(path)
        if isinstance(self.content, Writing):
            literature.save(self.content, path, self.provenance, force=force)
            return path
        if isinstance(self.content, Score):
            return publishing.save(self.content, path, self.provenance, force=force)
        image.output_format(path)
        files.check_output(path, force=force)  # before the encoding, which takes seconds for a large picture
        files.write(self.encode(path.suffix, quality=quality), path, force=force)
        return path
