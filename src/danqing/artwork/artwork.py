"""A finished work: what it holds, where it came from, what it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from danqing.artwork import files, image, literature, publishing, video
from danqing.artwork.image import Picture
from danqing.artwork.literature import Writing
from danqing.artwork.music import Score
from danqing.artwork.provenance import Provenance
from danqing.artwork.video import Video

Content = Picture | Writing | Score | Video  # the methods of Artwork and the shelf's preview are what asks which


@dataclass(frozen=True, eq=False)
class Artwork:
    """A work and its history. The content stays in memory until `save` or the shelf writes it."""

    content: Content
    provenance: Provenance
    title: str = ""  # a few words for lists: "harbour, in the style of ukiyo-e"
    # Of a picture: what is kept beside it, by what follows its name's stem: {".latent.safetensors": …}
    beside: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def media(self) -> str:
        """What kind of work it is: "picture", "text", "music" or "video"."""
        if isinstance(self.content, Score):
            return "music"
        if isinstance(self.content, Video):
            return "video"
        return "picture" if isinstance(self.content, Picture) else "text"

    def encode(self, suffix: str, *, quality: int = 92) -> bytes:
        """The work as the bytes of a file whose name ends in `suffix`, provenance inside where the format has room."""
        if isinstance(self.content, Picture):
            return image.encode_bytes(self.content, suffix, self.provenance, quality=quality)
        if isinstance(self.content, Score):
            return publishing.encode_bytes(self.content, suffix, self.provenance)
        if isinstance(self.content, Video):
            return video.encode_bytes(self.content, suffix, self.provenance, title=self.title)
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
        (video if isinstance(self.content, Video) else image).output_format(path)
        places = {path.with_name(path.stem + ending): data for ending, data in self.beside.items()}
        for place in (path, *places):
            files.check_output(place, force=force)  # before the encoding, which takes seconds for a large picture
        places[path] = self.encode(path.suffix, quality=quality)  # last, so that it never stands without the others
        written: list[Path] = []
        try:
            for place, data in places.items():
                files.write(data, place, force=force)
                written.append(place)
        except BaseException:
            for place in () if force else written:
                place.unlink(missing_ok=True)
            raise
        return path
