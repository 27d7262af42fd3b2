from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from danqing.catalog import styles as shipped
from danqing.catalog.catalog import Catalog
from danqing.catalog.styles import Styles
from danqing.compute.checkpoint import save_weights, sha256_of
from danqing.errors import BadCard, Unavailable, UnknownName

STYLES = """
[ukiyo-e]
zh = "浮世绘"
title = "Ukiyo-e"
aliases = ["japanese woodblock"]
painters = ["Katsushika Hokusai", "Utagawa Hiroshige"]
years = [1760, 1860]
works = 12
rights = "public domain"
[monet]
zh = "莫奈"
title = "Claude Monet"
aliases = ["impressionist", "印象派"]
painters = ["Claude Monet"]
years = [1865, 1926]
works = 40
rights = "public domain"
"""


def small_styles(root: Path, text: str = STYLES) -> Styles:
    (root / "styles.toml").write_text(text, encoding="utf-8")
    return Styles(Catalog(root, root / "downloads"))


@pytest.mark.parametrize(
    "label", ["monet", "Monet", "Claude  Monet", "claude_monet", "莫奈", "印象派", "IMPRESSIONIST"]
)
def test_a_style_is_found_by_any_of_its_names(tmp_path: Path, label: str):
    assert small_styles(tmp_path).style(label).name == "monet"
    assert small_styles(tmp_path).knows(label)


def test_an_unknown_style_is_answered_with_the_nearest(tmp_path: Path):
    styles = small_styles(tmp_path)
    assert not styles.knows("monnet")
    with pytest.raises(
        UnknownName, match=r"style 'monnet' is not known\. Did you mean 'monet'\? See: danqing models --st"
    ):
        styles.style("monnet")


def test_a_style_says_what_it_was_learned_from(tmp_path: Path):
    style = small_styles(tmp_path).style("浮世绘")
    assert (style.name, style.works, style.years, style.rights) == ("ukiyo-e", 12, (1760, 1860), "public domain")
    assert style.painters[0] == "Katsushika Hokusai"


def test_the_exemplar_is_a_file_or_a_clear_error(tmp_path: Path):
    styles = small_styles(tmp_path)
    with pytest.raises(Unavailable, match="the exemplar of style '莫奈' is missing"):
        styles.exemplar("莫奈")
    (tmp_path / "exemplars").mkdir()
    (tmp_path / "exemplars" / "monet.webp").write_bytes(b"RIFF")
    assert styles.exemplar("莫奈").name == "monet.webp"


def test_statistics_are_the_numbers_under_the_styles_name(tmp_path: Path, make_card: Callable[..., None]):
    weights = tmp_path / "weights" / "styles.safetensors"
    save_weights(weights, {"monet": torch.ones(4).bfloat16()}, {})
    make_card("styles", sha256_of(weights))
    styles = small_styles(tmp_path)
    assert torch.equal(styles.statistics("印象派"), torch.ones(4))
    with pytest.raises(Unavailable, match="style 'ukiyo-e' has no statistics"):
        styles.statistics("ukiyo-e")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[monet]", "[Monet]"), "English in lower case"),
        (("works = 40", "works = '40'"), "monet.works is '40'; it is of type int"),
        (("works = 40", "work = 40"), "monet has no field 'work'"),
        (("years = [1865, 1926]", "years = [1926, 1865]"), "the earliest and the latest year"),
        (('"impressionist"', '"浮世绘"'), "stands for both"),
    ],
)
def test_a_bad_style_says_which_field_is_wrong(tmp_path: Path, change: tuple[str, str], message: str):
    assert change[0] in STYLES
    with pytest.raises(BadCard, match=message):
        small_styles(tmp_path, STYLES.replace(*change)).style("ukiyo-e")


def test_every_style_that_ships_has_its_exemplar():
    for style in shipped.styles():
        assert shipped.shipped().exemplar(style.name).stat().st_size > 0
