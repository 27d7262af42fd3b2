from __future__ import annotations

from pathlib import Path

import pytest

from danqing.arts import Tools
from danqing.catalog.catalog import Catalog
from danqing.catalog.styles import Styles
from danqing.compute import device


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    """Tools with a catalog that holds nothing yet, at tmp_path / "catalog"."""
    (tmp_path / "catalog").mkdir()
    return Tools(device.choose("cpu"), Styles(Catalog(tmp_path / "catalog", tmp_path / "downloads")))
