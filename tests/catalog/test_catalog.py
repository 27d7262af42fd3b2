from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from danqing.catalog import catalog
from danqing.catalog.catalog import Catalog
from danqing.compute.checkpoint import save_weights, sha256_of
from danqing.errors import BadCard, CorruptWeights, Unavailable, UnknownName

MakeCard = Callable[..., None]


@pytest.fixture
def models(tmp_path: Path, make_card: MakeCard) -> Catalog:
    """A catalog of one model, `tiny`, with real weights and a right card."""
    weights = tmp_path / "weights" / "tiny.safetensors"
    save_weights(weights, {"w": torch.arange(6.0)}, {"config": {"width": 2}})
    make_card("tiny", sha256_of(weights))
    return Catalog(tmp_path, tmp_path / "downloads")


def test_a_card_says_what_the_model_is_and_where_it_came_from(models: Catalog):
    card = models.card("tiny")
    assert (card.rights, card.licence, card.parameters, card.storage) == ("open", "Apache-2.0", 6, "float32")
    assert card.data[0].works == 3
    assert card.made is not None
    assert (card.made.hours, card.made.seed) == (1.0, 7)
    assert card.measured["loss"].value == 0.25
    assert card.architecture == {"blocks": [[2, 1]]}
    assert card.layers == ("relu1_1",)
    assert card.as_dict()["measured"]["loss"]["split"] == "held out"


def test_weights_come_with_their_metadata(models: Catalog):
    tensors, metadata = models.weights("tiny")
    assert torch.equal(tensors["w"], torch.arange(6.0))
    assert metadata == {"config": {"width": 2}}
    assert models.available("tiny")
    assert models.sha256("tiny") == sha256_of(models.path("tiny"))


def test_weights_that_were_changed_are_refused(models: Catalog):
    models.weights("tiny")
    content = bytearray(models.path("tiny").read_bytes())
    content[-1] ^= 1
    models.path("tiny").write_bytes(content)
    with pytest.raises(CorruptWeights, match="is not the file on the card of 'tiny'"):
        models.weights("tiny")


def test_weights_are_hashed_once_per_process(models: Catalog, monkeypatch: pytest.MonkeyPatch):
    calls: list[Path] = []
    real = sha256_of
    monkeypatch.setattr("danqing.compute.checkpoint.sha256_of", lambda path: calls.append(path) or real(path))
    for _ in range(3):
        models.weights("tiny")
    assert len(calls) == 1


def test_missing_weights_and_unknown_models_are_named(models: Catalog):
    with pytest.raises(UnknownName, match=r"model 'tinny' is not known\. Did you mean 'tiny'"):
        models.card("tinny")
    models.path("tiny").unlink()
    assert not models.available("tiny")
    with pytest.raises(Unavailable, match="the weights of 'tiny' are missing"):
        models.weights("tiny")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("rights =", "wrongs ="), "has no 'rights'"),
        (('rights = "open"', 'rights = "free"'), "rights is 'free'; it is one of open, research"),
        (("parameters = 6", 'parameters = "six"'), "parameters is 'six'; it is of type int"),
        (("parameters = 6", "parameters = 0"), "parameters is 0"),
        (("hours = 1\n", ""), r"bad\.toml, made has no 'hours'"),
        (("[made]", "[Made]"), "no card has a field 'Made'"),
        (("works = 3", 'works = 3, size = "L"'), "has no field 'size'"),
        (('sha256 = "0', 'sha256 = "x'), "64 hex digits"),
        (('name = "bad"', 'name = "good"'), "is the card of 'good'"),
        (('name = "bad"', "name = "), "is not TOML"),
        (('licence = "Apache-2.0"', 'licence = "x"\nurl = "http://x/y"'), "also has size_bytes and source"),
    ],
)
def test_a_bad_card_says_which_field_is_wrong(
    tmp_path: Path, make_card: MakeCard, change: tuple[str, str], message: str
):
    make_card("bad", "0" * 64, change)
    with pytest.raises(BadCard, match=message):
        Catalog(tmp_path).cards()


def test_every_card_that_ships_is_whole_and_its_weights_are_the_ones_on_it():
    for card in catalog.cards():
        if not card.url:
            catalog.default().check(card.name)


def test_vgg19_is_known_by_its_hash_and_not_shipped():
    card = catalog.card("vgg19")
    assert card.url.endswith(f"vgg19-{card.sha256[:8]}.pth")  # torchvision's files carry the hash's beginning
    assert card.rights == "research"


def test_listing_the_models_needs_no_torch():
    code = "import sys; from danqing.catalog import catalog; catalog.cards(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
