"""Is training going well? Warnings in plain language, each with what to do, read from a run's log alone.

Everything is judged from the rows of metrics.jsonl, so a run that was killed and resumed, or that ended weeks ago,
gives the same warnings as one that is watched. Figures that a recipe does not log are not judged. The names are those
that every generator recipe logs: gradient_generator, gradient_discriminator and, at each look, held_accuracy_real,
held_accuracy_made, held_diversity, held_diversity_real.

The thresholds are rules of thumb, wide enough that a run which ends well stays silent: a discriminator that is right on
95 of 100 held-out and made pictures three looks in a row leaves the generator little to learn from; pictures half as
different from one another as real ones are have lost some of what there is to paint; a gradient a hundred times its
usual size undoes what was learned.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a log is judged without it: the studio's server has no PyTorch in it
    from torch import Tensor

WINS = 0.95  # accuracy of the discriminator, on held-out and on made pictures alike
LOOKS = 3  # in a row
MEMORISED = 0.25  # accuracy on held-out pictures of one that knows only training pictures
COLLAPSED = 0.5  # diversity as a share of the real one
EXPLODED = 100.0  # gradient norm over the median before it
VANISHED = 1e-3  # gradient norm over the largest median of any earlier stretch
STRETCH = 10  # log rows that a median is taken over


@dataclass(frozen=True)
class Warning:
    """Something that goes wrong: in a word, since when, in a sentence, and what to do."""

    name: str  # "discriminator wins", "memorises", "collapse", "exploding gradients", "vanishing gradients"
    step: int  # of the log row where it showed first
    text: str
    advice: str

    def __str__(self) -> str:
        return f"step {self.step}: {self.text}. {self.advice}"


def diversity(pictures: Tensor) -> float:
    """Mean distance between two of these pictures, root mean square over the pixels. (B ≥ 2, 3, S, S) in [-1, 1].

    Taken at 16 px: grain makes pictures differ without making them different.
    """
    import torch
    import torch.nn.functional as F

    x = pictures.float()
    if x.shape[-1] > 16:
        x = F.interpolate(x, size=(16, 16), mode="bilinear", antialias=True)
    flat = x.flatten(1)
    return float(torch.pdist(flat).mean()) / math.sqrt(flat.shape[1])


def warnings(rows: Iterable[Mapping[str, float]]) -> list[Warning]:
    """What a log shows, each kind once, at the step where it showed first; the earliest first.

    What a run recovers from (the last looks are well) is no warning, but for exploding gradients.
    """
    known = list(rows)
    judged = (_wins(known), _memorises(known), _collapse(known), *_gradients(known))
    return sorted((w for w in judged if w is not None), key=lambda w: w.step)


def _column(rows: Sequence[Mapping[str, float]], *names: str) -> list[tuple[int, tuple[float, ...]]]:
    """(step, values) of the rows that have all of these names."""
    return [(int(r["step"]), tuple(float(r[n]) for n in names)) for r in rows if all(n in r for n in names)]


def _since(looks: Sequence[tuple[int, bool]], least: int) -> int | None:
    """Since which step every look has been bad, if the last `least` or more have been."""
    bad: list[int] = []
    for step, is_bad in reversed(looks):
        if not is_bad:
            break
        bad.append(step)
    return bad[-1] if len(bad) >= least else None


def _wins(rows: Sequence[Mapping[str, float]]) -> Warning | None:
    looks = _column(rows, "held_accuracy_real", "held_accuracy_made")
    step = _since([(s, min(values) >= WINS) for s, values in looks], LOOKS)
    if step is None:
        return None
    real, made = looks[-1][1]
    return Warning(
        "discriminator wins", step,
        f"the discriminator wins: it is right on {real:.0%} of held-out and {made:.0%} of made pictures, so the "
        f"generator learns little from it",
        "Give the generator a larger learning rate, or the discriminator a smaller one, more augmentation, or a "
        "stronger gradient penalty",
    )  # fmt: skip


def _memorises(rows: Sequence[Mapping[str, float]]) -> Warning | None:
    looks = _column(rows, "held_accuracy_real", "held_accuracy_made")
    step = _since([(s, real <= MEMORISED and made >= WINS) for s, (real, made) in looks], LOOKS)
    if step is None:
        return None
    return Warning(
        "memorises", step,
        f"the discriminator knows the training pictures by heart: it takes {1 - looks[-1][1][0]:.0%} of the held-out "
        f"pictures, which are real, for made ones",
        "Use more augmentation or more pictures, or stop here: what comes now is copied",
    )  # fmt: skip


def _collapse(rows: Sequence[Mapping[str, float]]) -> Warning | None:
    looks = _column(rows, "held_diversity", "held_diversity_real")
    # The first look of all may be of an untrained network, which paints everything alike.
    step = _since([(s, made < COLLAPSED * real) for s, (made, real) in looks[1:]], LOOKS)
    if step is None:
        return None
    made, real = looks[-1][1]
    return Warning(
        "collapse", step,
        f"the generator has collapsed: its pictures differ from one another only {made / real:.0%} as much as real "
        f"ones do",
        "Go back to an earlier checkpoint or begin anew with a smaller learning rate, a larger batch, a stronger "
        "gradient penalty, or another loss (r3gan, wgan_gp)",
    )  # fmt: skip


def _gradients(rows: Sequence[Mapping[str, float]]) -> list[Warning | None]:
    found: list[Warning | None] = []
    for name in ("generator", "discriminator"):
        norms = [(step, value) for step, (value,) in _column(rows, f"gradient_{name}")]
        for i in range(STRETCH, len(norms)):
            step, value = norms[i]
            usual = median(v for _, v in norms[i - STRETCH : i])
            if value > EXPLODED * usual > 0:
                found.append(Warning(
                    "exploding gradients", step,
                    f"the gradients of the {name} exploded: {value:.3g}, {value / usual:.0f} times what they were",
                    "Lower the learning rate (rate=…); if pictures have not recovered, go back to an earlier run",
                ))  # fmt: skip
                break
    found.append(_vanishing(_column(rows, "gradient_generator")))
    return found


def _vanishing(norms: Sequence[tuple[int, tuple[float, ...]]]) -> Warning | None:
    stretches = [norms[i : i + STRETCH] for i in range(0, len(norms) - STRETCH + 1, STRETCH)]
    medians = [median(v for _, (v,) in part) for part in stretches]
    if len(medians) < 2 or not medians[-1] < VANISHED * max(medians[:-1]):
        return None
    largest = max(medians[:-1])
    first = next(part for part, m in zip(stretches, medians, strict=True) if m < VANISHED * largest)
    return Warning(
        "vanishing gradients", first[0][0],
        f"the gradients of the generator have vanished: {medians[-1]:.2g}, where they were {largest:.2g}",
        "The discriminator says nothing that the generator could learn from: use another loss (r3gan, wgan_gp), a "
        "gradient penalty or a smaller learning rate of the discriminator",
    )  # fmt: skip
