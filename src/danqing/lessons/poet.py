"""The shipped poet, as lessons borrow it."""

from __future__ import annotations

import functools
from typing import Any

from danqing.catalog import catalog
from danqing.encode.text import Characters
from danqing.errors import Unavailable
from danqing.techniques import sequence

POET = "poet"


@functools.cache
def opened() -> tuple[sequence.Model, Characters]:
    """The model, ready to write, and its vocabulary; raises Unavailable where it is not installed."""
    from danqing.training import language

    if POET not in {card.name for card in catalog.cards()}:
        raise Unavailable(f"the model {POET!r} is not in this installation; models that are: danqing models")
    model, vocabulary, _ = language.restore(*catalog.weights(POET))
    found: Any = vocabulary
    return model, found
