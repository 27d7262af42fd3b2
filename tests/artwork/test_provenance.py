"""A provenance comes back as it went in, says no more than it should, and never breaks a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from danqing.artwork.provenance import SOURCE_TYPES, Parent, Provenance, describe, from_xmp, parent, to_xmp
from danqing.errors import BadRequest, InvalidMedia


@dataclass(frozen=True)
class Stylize:
    photo: Path
    styles: tuple[str, ...]
    masks: tuple[Path, ...] = ()
    strength: float = 0.5


def test_json_and_xmp_round_trips(provenance):
    assert Provenance.from_json(provenance.to_json()) == provenance
    assert from_xmp(to_xmp(provenance)) == provenance
    ElementTree.fromstring(to_xmp(provenance).decode("utf-8"))  # well-formed, whatever the prompt holds


def test_json_is_stable_and_readable(provenance):
    again = Provenance(
        provenance.verb,
        dict(reversed(provenance.request.items())),
        provenance.seed,
        provenance.models,
        provenance.parents,
        provenance.notes,
    )
    assert again.to_json() == provenance.to_json()
    assert "山水" in provenance.to_json()


def test_fields_of_a_later_version_are_passed_over(provenance):
    raw = json.loads(provenance.to_json())
    raw["mood"] = "calm"
    raw["parents"][0]["licence"] = "public domain"
    assert Provenance.from_json(json.dumps(raw)) == provenance


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"verb": 3}', '{"verb": "x", "parents": [1]}', "[" * 5000])
def test_other_text_is_no_provenance(text):
    with pytest.raises(BadRequest, match="no provenance"):
        Provenance.from_json(text)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\xff\xfe",
        b"<x:xmpmeta/>",
        b"<a><b></a>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b'<a xmlns:d="urn:danqing:provenance:1#"><d:provenance>{}</d:provenance></a>',
    ],
)
def test_packets_of_others_hold_none(packet):
    assert from_xmp(packet) is None


def test_origin_is_told_by_what_a_work_was_made_from():
    photo, style = Parent("photo", "a.jpg", "0"), Parent("style", "b.jpg", "1")
    assert Provenance("paint").source_type == SOURCE_TYPES + "trainedAlgorithmicMedia"
    assert Provenance("paint", parents=(style,)).source_type == SOURCE_TYPES + "trainedAlgorithmicMedia"
    assert Provenance("stylize", parents=(photo, style)).source_type == (
        SOURCE_TYPES + "compositeWithTrainedAlgorithmicMedia"
    )


def test_the_prompt_can_be_left_out_but_not_the_origin(provenance):
    bare = provenance.without_prompt()
    assert "prompt" not in bare.request
    assert bare.request["strength"] == 0.7
    assert (bare.parents, bare.models, bare.seed) == (provenance.parents, provenance.models, provenance.seed)


def test_files_are_named_by_content_not_by_place(tmp_path):
    photo = tmp_path / "harbour.jpg"
    photo.write_bytes(b"abc")
    request = describe(Stylize(photo, ("monet",), (photo,)))
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert request == {
        "photo": {"name": "harbour.jpg", "sha256": digest},
        "styles": ["monet"],
        "masks": [{"name": "harbour.jpg", "sha256": digest}],
        "strength": 0.5,
    }
    assert parent("photo", photo) == Parent("photo", "harbour.jpg", digest)
    assert str(tmp_path) not in Provenance("stylize", request).to_json()
    with pytest.raises(InvalidMedia):
        describe(Stylize(tmp_path / "missing.jpg", ()))


def test_only_json_values_are_taken():
    with pytest.raises(BadRequest, match="JSON values only"):
        Provenance("paint", {"photo": Path("a.jpg")})
    with pytest.raises(BadRequest, match="JSON values only"):
        Provenance("paint", {"strength": float("nan")})
