from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

CARD = """
name = "{name}"
purpose = "Tests"
rights = "open"
licence = "Apache-2.0"
data = [{{ name = "Noise", works = 3, rights = "public domain" }}]
parameters = 6
storage = "float32"
sha256 = "{sha256}"
layers = ["relu1_1"]
limits = ["knows nothing"]
[architecture]
blocks = [[2, 1]]
[made]
command = "danqing train tiny seed=7"
hours = 1
hardware = "2 CPU cores"
seed = 7
[measured]
loss = {{ value = 0.25, split = "held out", command = "danqing evaluate tiny" }}
"""


@pytest.fixture
def make_card(tmp_path: Path) -> Callable[..., None]:
    """Writes the card of a model into the catalog at tmp_path; `change` replaces a piece of its text."""

    def make(name: str, sha256: str, change: tuple[str, str] = ("", "")) -> None:
        text = CARD.format(name=name, sha256=sha256)
        assert change[0] in text
        (tmp_path / "cards").mkdir(exist_ok=True)
        changed = text.replace(*change) if change[0] else text
        (tmp_path / "cards" / f"{name}.toml").write_text(changed, encoding="utf-8")

    return make
