"""Teaching a model that writes to write what is rewarded, or preferred, without forgetting what it knew.

Policy gradient (Williams 1992, REINFORCE) with the mean reward of the other samples of a prompt as baseline (Kool et
al. 2019; RLOO, Ahmadian et al. 2024), and the KL divergence to the model's own past, the prior, charged token by token
inside the reward (Jaques et al. 2017, "Sequence Tutor"). DPO: Rafailov et al. 2023, "Direct Preference Optimization",
with label noise after Mitchell 2023 (conservative DPO), since a person's clicks are not always right.
Departures: a token is credited with what comes after it only, so its baseline is what the other samples still had
before them at that place; it stays unbiased, since it knows nothing of the sample it is taken off.

Everything works on log-probabilities of tokens, whatever network gave them: N sequences of T tokens each, padded,
`written` saying which tokens count. Where writing is constrained the policy is the *masked* distribution: what was
allowed at each place goes with the sample (`trace`, `packed`), and its probabilities are recomputed under the same
masks (`log_probs`), else the gradient would be that of another policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from danqing.errors import BadRequest

# --- masks ------------------------------------------------------------------------------------------------------------


class Allows(Protocol):
    """What may come next; `decoding.Constraint` is one."""

    def start(self) -> Any:
        """The state before the first token."""
        ...

    def allowed(self, state: Any) -> NDArray[np.bool_]:
        """(V,) bool."""
        ...

    def advance(self, state: Any, token: int) -> Any:
        """The state after one more token."""
        ...


def trace(constraint: Allows, tokens: Sequence[int]) -> NDArray[np.uint8]:
    """What was allowed at each of these tokens, by going the way once more: (T, ⌈V / 8⌉) uint8, see `packed`.

    Raises BadRequest for a token that was not allowed: no policy under this constraint wrote it.
    """
    state, rows = constraint.start(), []
    for place, token in enumerate(tokens):
        mask = constraint.allowed(state)
        if not mask[token]:
            raise BadRequest(f"token {token} at place {place} is not one that the constraint allows there")
        rows.append(packed(mask))
        state = constraint.advance(state, token)
    return np.stack(rows) if rows else np.zeros((0, 0), dtype=np.uint8)


def packed(masks: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(…, V) bool → (…, ⌈V / 8⌉) uint8: a bit for each token, an eighth of the memory."""
    return np.packbits(masks, axis=-1)


def unpacked(bits: Tensor, vocabulary: int) -> Tensor:
    """The opposite of `packed`: (…, ⌈V / 8⌉) uint8 → (…, V) bool, on the same device."""
    powers = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=bits.device)
    return (bits[..., None] & powers).ne(0).flatten(-2)[..., :vocabulary]


# --- samples ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """Sequences as they were written: prompt, then tokens, padded to the right."""

    tokens: Tensor  # (N, T + 1) int64
    written: Tensor  # (N, T) bool, of the targets tokens[:, 1:]: False in the prompt and in the padding
    masks: Tensor  # (N, T, ⌈V / 8⌉) uint8, what was allowed at each target; everything where nothing was written

    def to(self, device: torch.device) -> Written:
        """On a device."""
        return Written(self.tokens.to(device), self.written.to(device), self.masks.to(device))

    def __len__(self) -> int:
        return len(self.tokens)


def gather(
    prompts: Sequence[Sequence[int]], works: Sequence[Sequence[int]], constraints: Sequence[Allows], vocabulary: int
) -> Written:
    """What was written after each prompt, under each constraint, side by side."""
    length = max(len(p) + len(w) for p, w in zip(prompts, works, strict=True))
    tokens = torch.zeros(len(works), length, dtype=torch.int64)
    written = torch.zeros(len(works), length - 1, dtype=torch.bool)
    masks = np.full((len(works), length - 1, -(-vocabulary // 8)), 255, dtype=np.uint8)
    for row, (prompt, work, constraint) in enumerate(zip(prompts, works, constraints, strict=True)):
        tokens[row, : len(prompt) + len(work)] = torch.tensor([*prompt, *work])
        place = slice(len(prompt) - 1, len(prompt) - 1 + len(work))
        written[row, place] = True
        if work:
            masks[row, place] = trace(constraint, work)
    return Written(tokens, written, torch.from_numpy(masks))


def log_probs(logits: Tensor, batch: Written, temperature: float = 1.0) -> Tensor:
    """Of each written token under the policy that is drawn from: softmax over what was allowed, at this temperature.

    logits (N, T, V) of any float dtype, at the places before the targets. Returns (N, T) float32, 0 where nothing was
    written.
    """
    allowed = unpacked(batch.masks, logits.shape[-1])
    scaled = (logits.float() / temperature).masked_fill(~allowed, -torch.inf)
    found = torch.log_softmax(scaled, dim=-1).gather(-1, batch.tokens[:, 1:, None])[..., 0]
    return found.masked_fill(~batch.written, 0.0)


# --- policy gradient --------------------------------------------------------------------------------------------------


def divergence(policy: Tensor, prior: Tensor) -> Tensor:
    """An estimate of the KL divergence of policy from prior in nats of each sequence: (N, T) twice → (N,).

    Its mean over samples of the policy is the divergence; of one sample it may be below 0.
    """
    return (policy - prior).detach().sum(dim=1)


def advantages(rewards: Tensor, policy: Tensor, prior: Tensor, kl: float, group: int) -> Tensor:
    """By how much each token did better than the other samples of its prompt: (N, T) float32, without gradient.

    rewards (N,), any scale, paid at the end; policy, prior (N, T): log-probabilities of the tokens, 0 where none was
    written; kl: reward units paid for a nat of divergence; group: samples to a prompt, two or more, side by side in
    the batch. What is still to come at token t is reward − kl · Σ_{s ≥ t} (log policy − log prior); the baseline is the
    mean of that over the prompt's other samples.
    """
    if group < 2 or len(rewards) % group:
        raise BadRequest(f"{len(rewards)} samples in groups of {group}: a prompt needs two samples or more, all alike")
    apart = (policy - prior).detach().float()
    to_come = rewards[:, None].float() - kl * apart.flip(1).cumsum(1).flip(1)
    grouped = to_come.view(-1, group, to_come.shape[1])
    others = (grouped.sum(dim=1, keepdim=True) - grouped) / (group - 1)
    return (grouped - others).view_as(to_come)


def policy_loss(policy: Tensor, advantage: Tensor, written: Tensor) -> Tensor:
    """Its gradient is minus that of the expected reward, KL and all; its value means nothing.

    policy (N, T), with gradient; advantage (N, T); written (N, T) bool. A mean over sequences of sums over tokens:
    dividing by each one's length would favour long bad ones and short good ones (Liu et al. 2025, "Dr. GRPO").
    """
    return -(advantage.detach() * policy * written).sum() / len(policy)


# --- preferences ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """One work preferred to another, by their places in a batch."""

    chosen: int
    rejected: int
    weight: float = 1.0


def dpo_loss(policy: Tensor, prior: Tensor, pairs: Sequence[Pair], beta: float = 0.1, noise: float = 0.0) -> Tensor:
    """−log σ(β · (how much more than the prior the policy likes the chosen one − the same of the rejected one)).

    policy, prior (N, T): log-probabilities of tokens, 0 where none was written; beta: how much a nat away from the
    prior counts, small lets it go far; noise: the share of pairs that are thought to be the wrong way round, below ½.
    Returns the mean over the pairs by weight, a scalar.
    """
    if not pairs:
        raise BadRequest("there are no pairs to learn from; give two works, one of them preferred")
    if not 0 <= noise < 0.5:
        raise BadRequest(f"noise is {noise}; it lies between 0 (every pair is right) and 0.5 (nothing is known)")
    liking = beta * (policy - prior.detach()).sum(dim=1)  # (N,), the implied reward
    margin = liking[[p.chosen for p in pairs]] - liking[[p.rejected for p in pairs]]
    weights = torch.tensor([p.weight for p in pairs], dtype=margin.dtype, device=margin.device)
    each = -(1 - noise) * F.logsigmoid(margin) - noise * F.logsigmoid(-margin)
    return (weights * each).sum() / weights.sum()


def ranked_pairs(rewards: Sequence[float], group: int, margin: float = 0.0) -> list[Pair]:
    """The best of each prompt's samples with its worst, the second best with the second worst, and so on inwards.

    rewards: of samples, `group` to a prompt, side by side; margin: pairs that lie no further apart are left out.
    """
    pairs = []
    for start in range(0, len(rewards), group):
        order = sorted(range(start, start + group), key=lambda i: -rewards[i])
        for better, worse in zip(order[: group // 2], reversed(order), strict=False):
            if rewards[better] - rewards[worse] > margin:
                pairs.append(Pair(better, worse))
    return pairs


def clicked_pairs(clicks: Sequence[int], first: int = 0) -> list[Pair]:
    """What one round of a person's clicks prefers: liked (1) over disliked (−1), both against those passed by (0).

    clicks: one for each work that was shown in the round; first: the place of the round's first work in the batch. A
    pass says less than a dislike, so such a pair weighs half; the weights of a round sum to 1, so that no long round
    outvotes the others. Empty where nothing was told apart.
    """
    if bad := sorted(set(clicks) - {-1, 0, 1}):
        raise BadRequest(f"a click is {bad[0]}; it is 1 (liked), 0 (passed by) or -1 (disliked)")
    found = [
        (better, worse, 1.0 if clicks[better] - clicks[worse] == 2 else 0.5)
        for better in range(len(clicks))
        for worse in range(len(clicks))
        if clicks[better] > clicks[worse]
    ]
    total = sum(weight for _, _, weight in found)
    return [Pair(first + better, first + worse, weight / total) for better, worse, weight in found]
