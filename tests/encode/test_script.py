"""Both scripts, there and back."""

from __future__ import annotations

import pytest

from danqing.encode import script
from danqing.errors import UnknownName


def test_scripts_are_converted_by_words():
    assert script.to_simplified("學而時習之") == "学而时习之"
    assert script.to_traditional("头发") == "頭髮"
    assert script.to_traditional("出发") == "出發"
    assert script.to_script("明月", "traditional") == "明月"
    assert script.to_script("國", "simplified") == "国"
    with pytest.raises(UnknownName, match="traditional"):
        script.to_script("明月", "traditionell")
