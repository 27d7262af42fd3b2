"""Pictures and provenance that the tests of this room share."""

from __future__ import annotations

import numpy as np
import pytest

from danqing.artwork.image import Picture
from danqing.artwork.provenance import Parent, Provenance


@pytest.fixture
def make_picture():
    """A maker of pictures with random values that a file of `bits` bits holds exactly."""

    def make(height=13, width=17, bits=8, alpha=False, seed=0) -> Picture:
        rng = np.random.default_rng(seed)
        levels = rng.integers(0, 2**bits, (height, width, 4)).astype(np.float32) / np.float32(2**bits - 1)
        return Picture(np.ascontiguousarray(levels[:, :, :3]), levels[:, :, 3].copy() if alpha else None, bits)

    return make


@pytest.fixture
def provenance() -> Provenance:
    return Provenance(
        "stylize",
        {"prompt": '山水 <&> "quoted" \x00 \udc80', "style": ("ukiyo-e", "monet"), "strength": 0.7},
        seed=7,
        models={"backbone": "ab" * 32},
        parents=(Parent("photo", "harbour.jpg", "cd" * 32),),
        notes=("3 scales",),
    )
