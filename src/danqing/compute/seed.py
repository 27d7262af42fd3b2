"""One seed, one stream of random numbers.

A request's seed becomes one `torch.Generator` on the CPU; every draw is made there and moved to the device afterwards,
so that the same seed means the same noise on every device.
"""

from __future__ import annotations

import secrets

import torch

SEED_LIMIT = 2**31


def fresh() -> int:
    """A seed nobody chose, in [0, 2**31): short enough to write down."""
    return secrets.randbelow(SEED_LIMIT)


def generator(seed: int, stream: int = 0) -> torch.Generator:
    """A CPU generator for `seed`; `stream` separates independent uses of one seed (data order, noise, augmentation)."""
    return torch.Generator("cpu").manual_seed((seed * 1_000_003 + stream * 7_919) % 2**63)
