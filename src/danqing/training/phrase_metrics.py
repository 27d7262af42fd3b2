"""What a phrase autoencoder is worth: what comes back, what its points hold, its sliders, the way between phrases.

The judge of what lies between two phrases is none of the models measured: a Markov model of the steps of the training
phrases (place in the bar, pitch that sounds, how long it has sounded → token), smoothed by backing off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from danqing.encode import phrases as coding
from danqing.encode.phrases import ATTRIBUTES, HOLD, PLACES, REST, START, TOKENS
from danqing.techniques import music_vae
from danqing.techniques.music_vae import Known, Vae
from danqing.training.phrases import Book, Phrases

BATCH = 512
ACTIVE = 0.01  # variance of the mean above which an axis counts as used (Burda et al. 2016)
SLID = 300  # held-out phrases whose sliders are moved
POSITIONS = (-2.0, -1.0, 0.0, 1.0, 2.0)  # in deviations of the prior
PAIRS = 150  # of held-out phrases
SHARES = np.linspace(0, 1, 9)
LASTING = 9  # steps of a sounding note that the judge tells apart
BACKOFF = 4.0  # observations that a coarser context counts as

Tokens = NDArray[np.int64]


def measure(model: Vae, book: Book) -> dict[str, float]:
    """All figures, on the held-out phrases."""
    held = _some(book.held, SLID)
    return {**rebuilt(model, book.held), **sliders(model, held), **ways(model, book)}


def _some(own: Phrases, count: int) -> Phrases:
    return own.at(np.random.default_rng(0).permutation(len(own))[:count])


# --- what comes back --------------------------------------------------------------------------------------------------


@torch.no_grad()
def rebuilt(model: Vae, own: Phrases) -> dict[str, float]:
    """What is left of phrases that go through the space, and how much of it they use.

    accuracy: share of the steps that come back as they were, written freely from the mean; accuracy_notes: of the steps
    at which a note is struck; accuracy_blind: of all steps, from the middle of the space; nats: −log p of a phrase,
    given its mean and the tokens before; kl: nats of a phrase, kl_largest: of the fullest axis; active: axes in use.
    """
    model.eval()
    right = blind = steps = struck = notes = 0.0
    nats: list[Tensor] = []
    means: list[Tensor] = []
    costs: list[Tensor] = []
    for tokens, known, _, _ in own.batches(BATCH):
        mean, spread = model.encode(tokens, known)
        same = music_vae.write(model, mean, known)[0] == tokens
        right, notes = right + float(same.sum()), notes + float(same[tokens > REST].sum())
        struck += float((tokens > REST).sum())
        blind += float((music_vae.write(model, torch.zeros_like(mean), known)[0] == tokens).sum())
        steps += tokens.numel()
        nats.append(music_vae.surprise(model, tokens, mean, known, torch.zeros_like(tokens, dtype=torch.bool)))
        means.append(mean)
        costs.append(music_vae.divergence(mean, spread))
    cost = torch.cat(costs)
    return {
        "accuracy": right / steps,
        "accuracy_notes": notes / max(1.0, struck),
        "accuracy_blind": blind / steps,
        "nats": float(torch.cat(nats).mean()),
        "kl": float(cost.sum(1).mean()),
        "kl_largest": float(cost.mean(0).max()),
        "active": float((torch.cat(means).var(0) > ACTIVE).sum()) if len(cost) > 1 else 0.0,
    }


# --- sliders ----------------------------------------------------------------------------------------------------------


@torch.no_grad()
def sliders(model: Vae, own: Phrases) -> dict[str, float]:
    """slider_NAME: Spearman's rank correlation of a slider's position with what is measured of the phrase then, mean
    over phrases (0 where nothing moves); gain_NAME: by how much it rises from the first position to the last.
    """
    found: dict[str, float] = {}
    for axis, name in enumerate(ATTRIBUTES):
        columns = [_moved(model, own, axis, by) for by in POSITIONS]
        measured = np.stack(columns, 1)  # (N, positions)
        found[f"slider_{name}"] = float(np.mean([_rank(row) for row in measured]))
        found[f"gain_{name}"] = float((measured[:, -1] - measured[:, 0]).mean())
    return found


def _moved(model: Vae, own: Phrases, axis: int, by: float) -> NDArray[np.float32]:
    values = np.zeros(len(own), np.float32)
    for tokens, known, _, rows in own.batches(BATCH):
        mean, _ = model.encode(tokens, known)
        z = music_vae.slid(mean, (0.0,) * axis + (by,))
        values[rows] = attributes(music_vae.write(model, z, known)[0], known)[:, axis]
    return values


def attributes(tokens: Tensor, known: Known) -> NDArray[np.float32]:
    """See `encode.phrases.attributes`."""
    return coding.attributes(tokens.numpy(), known.places.numpy())


def _rank(values: NDArray[np.float32]) -> float:
    if np.ptp(values) == 0:
        return 0.0
    return float(stats.spearmanr(POSITIONS, values).statistic)


# --- the way from one phrase to another -------------------------------------------------------------------------------


@torch.no_grad()
def ways(model: Vae, book: Book) -> dict[str, float]:
    """From A to B in 9 shares, through the space and by crossfade (each step A's or B's, by chance).

    order_…: Spearman's correlation of the share with how much nearer the phrase is to B than to A, in pitches that
    sound; jump_…: the largest single change on the way, as a share of the steps; judged_…: nats a step under the
    judge, of the three in the middle; judged_real: of held-out phrases.
    """
    model.eval()
    judge = Judge.of(book.training)
    rng = np.random.default_rng(0)
    a, b = _pairs(book.held, rng)
    sums: dict[str, list[float]] = {f"{n}_{k}": [] for n in ("order", "jump", "judged") for k in ("way", "crossfade")}
    real: list[float] = []
    for i in range(len(a)):
        length = int(a.length[i])
        one, two = a.at(np.array([i])), b.at(np.array([i]))
        known = one.known(length).repeated(len(SHARES))
        first, last = one.tokens[0, :length], two.tokens[0, :length]
        ends = [model.encode(x.tokens_of(length), x.known(length))[0] for x in (one, two)]
        share = torch.from_numpy(SHARES).float()
        z = music_vae.between(ends[0].expand(len(SHARES), -1), ends[1].expand(len(SHARES), -1), share)
        through = music_vae.write(model, z, known)[0].numpy()
        chosen = rng.random((len(SHARES), length)) < SHARES[:, None]
        faded = np.where(chosen, last, first)
        real += judge.nats(np.stack([first, last]), known.places[:2].numpy()).tolist()
        for kind, way in (("way", through), ("crossfade", faded)):
            order, jump = _evenness(way)
            sums[f"order_{kind}"].append(order)
            sums[f"jump_{kind}"].append(jump)
            sums[f"judged_{kind}"] += judge.nats(way[3:6], known.places[3:6].numpy()).tolist()
    return {**{name: float(np.mean(values)) for name, values in sums.items()}, "judged_real": float(np.mean(real))}


def _pairs(held: Phrases, rng: np.random.Generator) -> tuple[Phrases, Phrases]:
    """Phrases of one metre, place and mode, two and two."""
    kinds = held.places[:, 0] * coding.MODES + held.mode
    order = rng.permutation(len(held))
    waiting: dict[int, int] = {}
    found: list[tuple[int, int]] = []
    for row in order.tolist():
        other = waiting.pop(int(kinds[row]), None)
        if other is None:
            waiting[int(kinds[row])] = row
        else:
            found.append((other, row))
        if len(found) == PAIRS:
            break
    rows = np.array(found or [(0, 0)], np.int64)
    return held.at(rows[:, 0]), held.at(rows[:, 1])


def sounding(tokens: Tokens) -> Tokens:
    """What sounds in each step: (B, T) tokens → (B, T), REST or the token of the pitch."""
    steps = np.arange(tokens.shape[1])
    last = np.maximum.accumulate(np.where(tokens != HOLD, steps, 0), axis=1)
    heard: Tokens = np.take_along_axis(tokens, last, 1)
    return heard


def _evenness(way: Tokens) -> tuple[float, float]:
    """How steadily the phrases of a way leave the first and near the last, and the largest step between two."""
    heard = sounding(way)
    nearer = (heard != heard[0]).mean(1) - (heard != heard[-1]).mean(1)
    steps = (heard[1:] != heard[:-1]).mean(1)
    order = stats.spearmanr(SHARES, nearer).statistic if np.ptp(nearer) else 0.0
    return float(order), float(steps.max())


@dataclass(frozen=True)
class Judge:
    """A Markov model of steps."""

    counts: Sequence[NDArray[np.float32]]  # fine to coarse; (PLACES, START + 1, LASTING, TOKENS) and sums of it

    @classmethod
    def of(cls, own: Phrases) -> Judge:
        """Counted from phrases."""
        fine = np.zeros((PLACES, START + 1, LASTING, TOKENS), np.float32)
        for length in np.unique(own.length):
            rows = own.at(np.flatnonzero(own.length == length))
            tokens, places = rows.tokens[:, :length], rows.places[:, :length]
            heard, lasting = _context(tokens)
            np.add.at(fine, (places[:, 1:], heard, lasting, tokens[:, 1:]), 1)
        middle = fine.sum(0)
        return cls((fine, middle, middle.sum((0, 1))))

    def nats(self, tokens: Tokens, places: Tokens) -> NDArray[np.float64]:
        """−log p of a step, mean over the steps but the first: (B, T) → (B,)."""
        fine, middle, coarse = self.counts
        heard, lasting = _context(tokens)
        after = tokens[:, 1:]
        p = (coarse[after] + 1) / (coarse.sum() + TOKENS)
        for rows in (middle[heard, lasting], fine[places[:, 1:], heard, lasting]):
            seen = np.take_along_axis(rows, after[..., None], 2)[..., 0]
            p = (seen + BACKOFF * p) / (rows.sum(2) + BACKOFF)
        found: NDArray[np.float64] = -np.log(p.astype(np.float64)).mean(1)
        return found


def _context(tokens: Tokens) -> tuple[Tokens, Tokens]:
    """Of each step but the first: what sounded before it, and for how many steps."""
    steps = np.arange(tokens.shape[1])
    last = np.maximum.accumulate(np.where(tokens != HOLD, steps, 0), axis=1)
    lasting = np.minimum(steps - last, LASTING - 1)
    heard = np.maximum(sounding(tokens), REST)
    return heard[:, :-1], lasting[:, :-1]
