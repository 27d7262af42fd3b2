"""Letters on pictures: a font of this system that has every character of a text, or none at all.

Pillow's own font has Latin letters only. Chinese ones are looked for by the names that systems usually keep them under,
book faces before plain ones; whether a face has a character is looked up by drawing it, so no empty box is ever shown.
"""

from __future__ import annotations

import contextlib
from functools import lru_cache

from PIL import ImageFont

Font = ImageFont.FreeTypeFont

_SIMPLIFIED = 2  # which face of Noto's collections is for the mainland's characters
_HAN = (
    ("NotoSerifCJK-Regular.ttc", _SIMPLIFIED), ("NotoSerifCJK-Medium.ttc", _SIMPLIFIED),
    ("NotoSerifSC-Regular.otf", 0), ("SourceHanSerifSC-Regular.otf", 0), ("Songti.ttc", 0), ("STSong.ttf", 0),
    ("simsun.ttc", 0), ("NotoSerifCJK-Bold.ttc", _SIMPLIFIED), ("NotoSansCJK-Regular.ttc", _SIMPLIFIED),
    ("NotoSansSC-Regular.otf", 0), ("PingFang.ttc", 0), ("Hiragino Sans GB.ttc", 0), ("msyh.ttc", 0),
    ("simhei.ttf", 0), ("wqy-microhei.ttc", 0),
)  # fmt: skip
_LATIN = ("Georgia.ttf", "LiberationSerif-Regular.ttf", "times.ttf", "Times New Roman.ttf", "DejaVuSerif.ttf")
_NOWHERE = "\U0010fffd"  # a private character that no face has: how it is drawn is how a lack is drawn


def font(size: int, text: str) -> Font | None:
    """A face of `size` px that has every character of the text, a book face if there is one; None where none has."""
    han = any(ord(char) >= 0x2E80 for char in text)
    faces = _HAN if han else tuple((name, 0) for name in _LATIN)
    for name, index in faces:
        found = _face(name, index, size)
        if found is not None and covers(found, text):
            return found
    if not han:
        plain = ImageFont.load_default(size)
        if isinstance(plain, ImageFont.FreeTypeFont) and covers(plain, text):
            return plain
    return None


def covers(face: Font, text: str) -> bool:
    """Whether a face has every character of a text."""
    lack = _drawn(face, _NOWHERE)
    return all(_drawn(face, char) != lack for char in set(text) if not char.isspace())


def _drawn(face: Font, char: str) -> tuple[tuple[int, int], bytes]:
    mask = face.getmask(char)
    return mask.size, bytes(mask)


@lru_cache(64)
def _face(name: str, index: int, size: int) -> Font | None:
    with contextlib.suppress(OSError):  # not on this system, or a collection without such a face
        return ImageFont.truetype(name, size, index=index)
    return None
