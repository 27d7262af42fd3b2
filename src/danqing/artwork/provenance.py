"""Where a work came from: the request, the seed, the models and the files it was made of.

A provenance holds no time and no path of the machine, so the same request with the same seed gives the same bytes;
when a work was made is written on the shelf. It travels inside the file as one XMP packet: our own JSON under a name of
ours, and IPTC's digital source type, which tells every reader of the standard that a machine had a hand in the picture
(https://cv.iptc.org/newscodes/digitalsourcetype/).
"""

from __future__ import annotations

import dataclasses
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from danqing.artwork import files
from danqing.errors import BadRequest

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
NAMESPACE = "urn:danqing:provenance:1#"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
REFERENCES = frozenset({"style", "like", "mask", "sibling"})  # roles that are no part of what a work shows
WORDS = frozenset({"prompt", "topic", "idea", "start", "acrostic", "text", "title"})  # what a person wrote themselves

# XML 1.0 cannot write these, not even escaped; JSON can. Lone surrogates come from file names that are not UTF-8.
_NOT_XML = re.compile("[\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@cache
def _software() -> str:
    """The name and version that made a work: "danqing 0.1.0"."""
    return f"danqing {metadata.version('danqing')}"


@dataclass(frozen=True)
class Parent:
    """A file or an earlier work that this one was made from."""

    role: str  # "photo", "style", "mask", "drawing", …
    name: str  # file name without its folder
    sha256: str  # of the file's bytes, 64 hex digits


@dataclass(frozen=True)
class Provenance:
    """What made a work. `request` holds JSON values only; `describe` makes one from a request dataclass."""

    verb: str
    request: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    models: Mapping[str, str] = field(default_factory=dict)  # name → SHA-256 of its weights
    parents: tuple[Parent, ...] = ()
    notes: tuple[str, ...] = ()  # what the method did that the request does not say: "backbone: own, 3 scales"
    software: str = field(default_factory=_software)

    def __post_init__(self) -> None:
        try:  # through JSON and back, so that what is read from a file equals what was written into it
            request = json.loads(_json(dict(self.request)))
        except (TypeError, ValueError) as error:
            raise BadRequest(f"the request of a provenance holds JSON values only: {error}") from error
        object.__setattr__(self, "request", request)
        object.__setattr__(self, "models", dict(self.models))
        object.__setattr__(self, "parents", tuple(self.parents))
        object.__setattr__(self, "notes", tuple(self.notes))

    @property
    def source_type(self) -> str:
        """IPTC's digital source type: made from a given picture, or made from nothing but words and numbers."""
        shown = any(parent.role not in REFERENCES for parent in self.parents)
        return SOURCE_TYPES + ("compositeWithTrainedAlgorithmicMedia" if shown else "trainedAlgorithmicMedia")

    def without_prompt(self) -> Provenance:
        """The same without the words a person wrote; the origin stays."""
        kept = {key: value for key, value in self.request.items() if key not in WORDS}
        return dataclasses.replace(self, request=kept)

    def to_json(self) -> str:
        """One line of JSON with sorted keys: the same provenance is always the same text."""
        return _NOT_XML.sub(lambda match: f"\\u{ord(match[0]):04x}", _json(dataclasses.asdict(self)))

    @classmethod
    def from_json(cls, text: str | bytes) -> Provenance:
        """What `to_json` wrote; fields that a later version added are passed over. Raises BadRequest for other text."""
        try:
            raw = json.loads(text)
            known = {entry.name for entry in dataclasses.fields(cls)}
            values = {key: value for key, value in raw.items() if key in known}
            values["parents"] = tuple(
                Parent(str(one["role"]), str(one["name"]), str(one["sha256"])) for one in values.get("parents", ())
            )
            values.setdefault("software", "unknown")
            provenance = cls(**values)
            if not isinstance(provenance.verb, str) or not isinstance(provenance.software, str):
                raise TypeError("verb and software are text")
        except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
            raise BadRequest(f"this is no provenance of a work: {error}") from error
        return provenance


def describe(request: object) -> dict[str, Any]:
    """The fields of a request dataclass as JSON; a file becomes its name and SHA-256, never its place on disk."""
    if not dataclasses.is_dataclass(request) or isinstance(request, type):
        raise BadRequest(f"a request is a dataclass, not {type(request).__name__}")
    return {entry.name: _plain(getattr(request, entry.name)) for entry in dataclasses.fields(request)}


def parent(role: str, path: Path) -> Parent:
    """The record of a file that a work is made from. Raises InvalidMedia when it cannot be read."""
    return Parent(role, path.name, files.sha256(path))


def to_xmp(provenance: Provenance) -> bytes:
    """One XMP packet in UTF-8 with the provenance, the digital source type and the software."""
    text = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description rdf:about=""
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool={quoteattr(provenance.software)}
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 Iptc4xmpExt:DigitalSourceType="{provenance.source_type}"
 xmlns:danqing="{NAMESPACE}"><danqing:provenance>{escape(provenance.to_json())}</danqing:provenance>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""
    return text.encode("utf-8")


def from_xmp(packet: bytes) -> Provenance | None:
    """The provenance in an XMP packet; None where there is none of ours, or none that can be read."""
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:  # XMP has neither; both are ways to blow a parser up
        return None
    try:
        text = ET.fromstring(packet.decode("utf-8").strip("\ufeff\0 \r\n\t")).findtext(f".//{{{NAMESPACE}}}provenance")
        return Provenance.from_json(text) if text else None
    except (ET.ParseError, UnicodeDecodeError, ValueError, RecursionError):  # BadRequest is a ValueError
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return {"name": value.name, "sha256": files.sha256(value)}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
