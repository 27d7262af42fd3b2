"""How a model writes: what may come next, how a token is drawn, candidates side by side, gaps filled.

Any model that gives logits writes by these rules (`Writes`), whatever its tokens are: characters, pieces of words,
notes. A form or a grammar is a `Constraint`. Narrowings of the distribution: top-k, top-p (Holtzman et al. 2020), min-p
(Nguyen et al. 2025).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from danqing.errors import BadRequest, DanqingError

# --- what may be written ----------------------------------------------------------------------------------------------


class DeadEnd(DanqingError):
    """Nothing that the constraints allow can be written, on any of the ways that were tried."""


class Constraint(Protocol):
    """What may come next. States are never changed, so that every candidate has its own and can go back."""

    def start(self) -> Any:
        """The state before the first token."""
        ...

    def allowed(self, state: Any) -> NDArray[np.bool_]:
        """(V,) bool: the tokens that may come next; none at all where this way leads nowhere."""
        ...

    def advance(self, state: Any, token: int) -> Any:
        """The state after one more token, one of those allowed."""
        ...

    def finished(self, state: Any) -> bool:
        """Whether the work is whole, so that nothing more is written."""
        ...


@dataclass(frozen=True)
class All:
    """Several constraints at once: a token must be allowed by each; finished as soon as one of them is."""

    parts: tuple[Constraint, ...]

    def start(self) -> tuple[Any, ...]:
        """See `Constraint.start`."""
        return tuple(part.start() for part in self.parts)

    def allowed(self, state: tuple[Any, ...]) -> NDArray[np.bool_]:
        """See `Constraint.allowed`."""
        masks = [part.allowed(own) for part, own in zip(self.parts, state, strict=True)]
        together: NDArray[np.bool_] = np.all(masks, axis=0)
        return together

    def advance(self, state: tuple[Any, ...], token: int) -> tuple[Any, ...]:
        """See `Constraint.advance`."""
        return tuple(part.advance(own, token) for part, own in zip(self.parts, state, strict=True))

    def finished(self, state: tuple[Any, ...]) -> bool:
        """See `Constraint.finished`."""
        return any(part.finished(own) for part, own in zip(self.parts, state, strict=True))


@dataclass(frozen=True)
class Without:
    """Some tokens never: controls, the unknown character."""

    vocabulary: int
    tokens: frozenset[int]

    def start(self) -> NDArray[np.bool_]:
        """See `Constraint.start`."""
        mask = np.ones(self.vocabulary, dtype=np.bool_)
        mask[list(self.tokens)] = False
        return mask

    def allowed(self, state: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """See `Constraint.allowed`."""
        return state

    def advance(self, state: NDArray[np.bool_], token: int) -> NDArray[np.bool_]:
        """See `Constraint.advance`."""
        return state

    def finished(self, state: NDArray[np.bool_]) -> bool:
        """See `Constraint.finished`."""
        return False


@dataclass(frozen=True)
class Until:
    """A constraint: another one's, from where it has come to, to the end of a part. Writes a work part by part."""

    rule: Constraint
    begun: Any  # the state of `rule` after what is written
    ends: Callable[[Any, int], bool]  # (the state of `rule`, the last token) → whether the part is whole

    def start(self) -> tuple[Any, int]:
        """Nothing of the part written yet."""
        return self.begun, -1

    def allowed(self, state: tuple[Any, int]) -> NDArray[np.bool_]:
        """What `rule` allows."""
        return self.rule.allowed(state[0])

    def advance(self, state: tuple[Any, int], token: int) -> tuple[Any, int]:
        """As `rule` does."""
        return self.rule.advance(state[0], token), token

    def finished(self, state: tuple[Any, int]) -> bool:
        """Whether the part is whole, or the work."""
        return (state[1] >= 0 and self.ends(*state)) or self.rule.finished(state[0])


# --- sampling ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn from the model's distribution. The narrowings are applied in this order."""

    temperature: float = 0.9  # 0 takes the likeliest token
    repetition: float = 0.0  # taken off the logit of every token that the work holds already
    stood: frozenset[int] = frozenset()  # tokens of the work that the prompt holds
    free: frozenset[int] = frozenset()  # tokens that may recur unpunished: punctuation, spaces
    wanted: frozenset[int] = frozenset()  # tokens that are to come in
    wish: float = 0.0  # added to the logit of each of them until it has
    top_k: int = 0  # only the k likeliest; 0: all
    top_p: float = 1.0  # the fewest tokens that together have this probability (Holtzman et al. 2020)
    min_p: float = 0.05  # only tokens at least this likely, as a share of the likeliest (Nguyen et al. 2025)

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 10:
            raise BadRequest(f"temperature is {self.temperature}; it lies between 0 (the likeliest) and 10")
        if self.top_k < 0:
            raise BadRequest(f"top_k is {self.top_k}; it is 0 (all tokens) or the number of tokens to choose from")
        if not 0 < self.top_p <= 1:
            raise BadRequest(f"top_p is {self.top_p}; it lies above 0 and up to 1 (all tokens)")
        if not 0 <= self.min_p <= 1:
            raise BadRequest(f"min_p is {self.min_p}; it lies between 0 (all tokens) and 1")
        if not 0 <= self.repetition <= 100:
            raise BadRequest(f"repetition is {self.repetition}; it lies between 0 (no penalty) and 100")


@dataclass(frozen=True)
class Sample:
    """What was written after the prompt, without the token that ends it."""

    tokens: tuple[int, ...]
    log_likelihood: tuple[float, ...]  # of each token under the model as it is: temperature 1, no constraint
    finished: bool = True  # False: it was cut off at the limit

    @property
    def likelihood(self) -> float:
        """Mean log-likelihood of a token, in nats; 0 where nothing was written."""
        return sum(self.log_likelihood) / max(1, len(self.log_likelihood))


class Writes(Protocol):
    """A model that writes one token after another: `sequence.Model`, or one from elsewhere."""

    @property
    def window(self) -> int | None:
        """How many tokens fit the memory; None where there is no limit."""
        ...

    def start(self, batch: int) -> Any:
        """An empty memory for `batch` rows."""
        ...

    def step(self, tokens: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """Read on: tokens (B, n) int64. Returns the logits after the last one, (B, V), and the memory."""
        ...


@dataclass
class _Both:
    told: Any
    untold: Any

    @property
    def length(self) -> int:
        """Tokens that the half which reads all of them has read."""
        return int(self.told.length)

    def pick(self, rows: Sequence[int]) -> _Both:
        return _Both(self.told.pick(rows), self.untold.pick(rows))


@dataclass(frozen=True)
class Guided:
    """A model guided toward what the head of its prompt asks for: `Writes` (after Ho and Salimans 2022).

    Logits are untold + weight · (told − untold), where `untold` are those without the prompt's first tokens, which
    training hid now and then. Weight 1 is the model as it is; above 1 it obeys more and varies less.
    """

    model: Writes
    weight: float
    hidden: int = 1  # tokens at the head of the prompt that the second reading is not given

    @property
    def window(self) -> int | None:
        """See `Writes.window`."""
        return self.model.window

    def start(self, batch: int) -> _Both:
        """See `Writes.start`."""
        return _Both(self.model.start(batch), self.model.start(batch))

    def step(self, tokens: Tensor, memory: _Both) -> tuple[Tensor, _Both]:
        """See `Writes.step`."""
        rest = tokens if memory.length else tokens[:, self.hidden :]
        told, memory.told = self.model.step(tokens, memory.told)
        untold, memory.untold = self.model.step(rest, memory.untold)
        return untold + self.weight * (told - untold), memory


OnToken = Callable[[int, Sequence[int]], None]  # (candidate, its tokens so far: fewer than before where it went back)
ATTEMPTS = 8  # times that a candidate may go back before it is given up
BACK = 4  # tokens given back at the first dead end; twice as many at each that follows


def heedless(candidate: int, tokens: Sequence[int]) -> None:
    """The on_token of those who do not watch."""


@dataclass
class _Draft:
    """A candidate as it grows."""

    number: int
    constraint: Constraint | None
    tokens: list[int] = field(default_factory=list)
    log_likelihood: list[float] = field(default_factory=list)
    states: list[Any] = field(default_factory=list)  # one more than tokens
    attempts: int = 0
    stuck: bool = False
    whole: bool = False

    def mask(self) -> NDArray[np.bool_] | None:
        """What may come next."""
        return None if self.constraint is None else self.constraint.allowed(self.states[-1])

    def add(self, token: int, log_likelihood: float) -> None:
        self.tokens.append(token)
        self.log_likelihood.append(log_likelihood)
        if self.constraint is not None:
            self.states.append(self.constraint.advance(self.states[-1], token))
            self.whole = self.constraint.finished(self.states[-1])

    def go_back(self) -> bool:
        """Forget some tokens to try another way; False when that was done often enough."""
        if self.attempts == ATTEMPTS or not self.tokens:
            return False
        left = max(0, len(self.tokens) - BACK * 2**self.attempts)
        self.attempts += 1
        self.stuck = self.whole = False
        del self.tokens[left:], self.log_likelihood[left:], self.states[left + 1 :]
        return True


def sample(  # noqa: PLR0913 - the one call that every art of words and notes makes; the last four have their names
    model: Writes,
    prompt: Sequence[int],
    constraints: Constraint | Sequence[Constraint | None] | None,
    sampling: Sampling,
    count: int,
    generator: torch.Generator,
    end: int,
    limit: int,
    on_token: OnToken = heedless,
) -> list[Sample]:
    """Write `count` candidates, no two the same, after the prompt, in one batch.

    prompt: at least one token; constraints: one for all, or one for each candidate (None: free); end: the token that
    ends a work, where it is allowed; limit: tokens at most. What does not fit the model's window is read from its
    beginning and its end. A candidate that meets a dead end, or has become another's twin, goes back and tries another
    way; one that fails again and again is left out. Raises DeadEnd when none is left, BadRequest for what cannot be
    asked. The same arguments and generator give the same candidates, in the order in which they were started.
    """
    drafts = _drafts(constraints, count)
    _check(prompt, sampling, count, limit)
    done: dict[tuple[int, ...], _Draft] = {}
    waiting = [draft for draft in drafts if not draft.whole]
    for draft in drafts:
        if draft.whole:
            done.setdefault((), draft)
    while waiting:
        length = len(waiting[0].tokens)
        group = [draft for draft in waiting if len(draft.tokens) == length]
        _grow(model, list(prompt), group, _Rules(sampling, generator, end, limit, on_token))
        for draft in group:
            if not draft.stuck and tuple(draft.tokens) not in done:
                done[tuple(draft.tokens)] = draft
            elif draft.go_back():
                continue
            waiting.remove(draft)
    if not done:
        raise DeadEnd(
            f"none of {count} candidates found a way to go on that every rule allows; "
            "ask for less at once: another rhyme, a shorter opening or acrostic, more candidates"
        )
    chosen = sorted(done.values(), key=lambda draft: draft.number)
    return [Sample(tuple(d.tokens), tuple(d.log_likelihood), d.whole) for d in chosen]


@dataclass(frozen=True)
class _Rules:
    sampling: Sampling
    generator: torch.Generator
    end: int
    limit: int
    on_token: OnToken


def _drafts(constraints: Constraint | Sequence[Constraint | None] | None, count: int) -> list[_Draft]:
    if constraints is None or hasattr(constraints, "allowed"):
        each: list[Any] = [constraints] * count
    else:
        each = list(cast(Sequence[Any], constraints))
        if len(each) != count:
            raise BadRequest(f"{len(each)} constraints were given for {count} candidates; give one, or one for each")
    drafts = [_Draft(number, constraint) for number, constraint in enumerate(each)]
    for draft in drafts:
        if draft.constraint is not None:
            draft.states = [draft.constraint.start()]
            draft.whole = draft.constraint.finished(draft.states[0])
    return drafts


def _check(prompt: Sequence[int], sampling: Sampling, count: int, limit: int) -> None:
    if not len(prompt):
        raise BadRequest("the prompt is empty; it holds at least the token that begins a text")
    if count < 1 or limit < 1:
        raise BadRequest(f"count is {count} and limit {limit}; both are 1 or more")
    if sampling.temperature == 0 and count > 1:
        raise BadRequest(f"temperature is 0 and count {count}: the likeliest text is one; ask for one, or warmer")


@torch.inference_mode()
def _grow(model: Writes, prompt: list[int], drafts: list[_Draft], rules: _Rules) -> None:
    """Write drafts of one length on, side by side, until each is whole, stuck or at its limit."""
    live = list(drafts)
    logits, memory = _read(model, prompt, live)
    used = _used(live, logits.shape[1], rules.sampling)
    while live:
        masks = [draft.mask() for draft in live]
        for draft, mask in zip(live, masks, strict=True):
            draft.stuck = mask is not None and not mask.any()
        going = [i for i, draft in enumerate(live) if not draft.stuck]
        if len(going) < len(live):
            live, masks = [live[i] for i in going], [masks[i] for i in going]
            if not live:
                return
            logits, used, memory = logits[going], used if used is None else used[going], memory.pick(going)
        tokens = _draw(logits, masks, used, rules)
        likely = torch.log_softmax(logits, dim=-1).gather(1, tokens[:, None])[:, 0].tolist()
        if used is not None:
            used.scatter_(1, tokens[:, None], rules.sampling.repetition)
            used[:, list(rules.sampling.free)] = 0
        for draft, token, value in zip(live, tokens.tolist(), likely, strict=True):
            if token == rules.end:
                draft.whole = True
                continue
            draft.add(token, value)
            rules.on_token(draft.number, draft.tokens)
        going = [i for i, d in enumerate(live) if not d.whole and len(d.tokens) < rules.limit]
        live = [live[i] for i in going]
        if not live:
            return
        if len(going) < len(tokens):
            tokens, used, memory = tokens[going], used if used is None else used[going], memory.pick(going)
        if memory.length == model.window:
            logits, memory = _read(model, prompt, live)
        else:
            logits, memory = model.step(tokens[:, None], memory)
            logits = logits.float().cpu()


def _read(model: Writes, prompt: list[int], drafts: list[_Draft]) -> tuple[Tensor, Any]:
    """Logits (R, V) float32 on the CPU after prompt and drafts, and the memory of them."""
    rows = [prompt + draft.tokens for draft in drafts]
    window = model.window
    if window is not None and len(rows[0]) >= window:
        head = prompt[: window // 4]
        rows = [head + row[-(window // 2) :] for row in rows]
    if all(row == rows[0] for row in rows):
        logits, memory = model.step(torch.tensor(rows[:1]), model.start(1))
        logits, memory = logits.expand(len(rows), -1), memory.pick([0] * len(rows))
    else:
        logits, memory = model.step(torch.tensor(rows), model.start(len(rows)))
    return logits.float().cpu(), memory


def _used(drafts: list[_Draft], vocabulary: int, sampling: Sampling) -> Tensor | None:
    """(R, V): what is taken off each logit because the draft holds the token already, or, below 0, given for a wish."""
    if not sampling.repetition and not sampling.wish:
        return None
    used = torch.zeros(len(drafts), vocabulary)
    used[:, list(sampling.wanted)] = -sampling.wish
    used[:, list(sampling.stood - sampling.free)] = sampling.repetition
    for row, draft in zip(used, drafts, strict=True):
        row[[token for token in draft.tokens if token not in sampling.free]] = sampling.repetition
        row[[token for token in draft.tokens if token in sampling.free]] = 0
    return used


def _draw(logits: Tensor, masks: Sequence[NDArray[np.bool_] | None], used: Tensor | None, rules: _Rules) -> Tensor:
    """One token for each row of logits (R, V) float32: (R,) int64."""
    if used is not None:
        logits = logits - used
    if any(mask is not None for mask in masks):
        whole = np.ones(logits.shape[1], dtype=np.bool_)
        allowed = torch.from_numpy(np.stack([whole if mask is None else mask for mask in masks]))
        logits = logits.masked_fill(~allowed, -torch.inf)
    if rules.sampling.temperature == 0:
        return logits.argmax(dim=1)
    shares = narrowed(logits, rules.sampling).double().cumsum_(dim=1)
    total = shares[:, -1:]
    point = torch.rand(len(logits), 1, generator=rules.generator, dtype=torch.float64) * total
    # The first token whose share reaches beyond the point: never one of probability 0.
    return torch.searchsorted(shares, torch.minimum(point, total.nextafter(-total)), right=True)[:, 0]


def narrowed(logits: Tensor, sampling: Sampling) -> Tensor:
    """The probabilities that are drawn from: temperature, then top-k, top-p and min-p. logits (R, V) float32.

    −inf is a token that may not come. Returns (R, V) float32, rows summing to 1; temperature must be above 0.
    """
    x = logits / sampling.temperature
    if 0 < sampling.top_k < x.shape[1]:
        least = x.topk(sampling.top_k, dim=1).values[:, -1:]
        x = x.masked_fill(x < least, -torch.inf)
    if sampling.top_p < 1:
        p, order = torch.softmax(x, dim=1).sort(dim=1, descending=True, stable=True)
        before = p.cumsum(dim=1) - p
        out = torch.zeros_like(p, dtype=torch.bool).scatter_(1, order, before >= sampling.top_p)
        x = x.masked_fill(out, -torch.inf)
    p = torch.softmax(x, dim=1)
    if sampling.min_p:
        p = p.masked_fill(p < sampling.min_p * p.amax(dim=1, keepdim=True), 0)
        p = p / p.sum(dim=1, keepdim=True)
    return p


class Reads(Protocol):
    """A model that reads texts whole: `sequence.Model`."""

    @property
    def window(self) -> int | None:
        """How many tokens it reads; None where there is no limit."""
        ...

    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits of what follows every place: tokens (B, T) int64 → (B, T, V)."""
        ...


@torch.inference_mode()
def likelihoods(model: Reads, lead: Sequence[int], rows: Sequence[Sequence[int]]) -> list[float]:
    """Mean log-likelihood of a token of each row after the same lead, in nats; 0 for an empty row.

    lead: one token or more. What does not fit the model's window is left out: of the lead its middle, where controls
    stand at its head, down to half of the window; of a row its end.
    """
    if model.window:
        room = max(model.window // 2, model.window + 1 - max(map(len, rows), default=0))
        if len(lead) > room:
            lead = [*lead[: room // 2], *lead[len(lead) - (room - room // 2) :]]
        rows = [row[: model.window + 1 - len(lead)] for row in rows]
    tokens = pad_sequence([torch.tensor([*lead, *row]) for row in rows], batch_first=True)
    told = torch.log_softmax(model(tokens[:, :-1]).float(), dim=-1)
    of = told.gather(2, tokens[:, 1:, None])[..., 0][:, len(lead) - 1 :]
    return [float(of[i, : len(row)].mean()) if row else 0.0 for i, row in enumerate(rows)]


# --- filling gaps -----------------------------------------------------------------------------------------------------


class Sees(Protocol):
    """A model that sees both sides of a gap: `sequence.Model` with causal=False."""

    def see(self, tokens: Tensor) -> Tensor:
        """Logits of every place: tokens (B, T) int64 → (B, T, V) float32 on the CPU."""
        ...


Allowed = Callable[[Sequence[int], int], NDArray[np.bool_]]  # (tokens with `mask` in the open holes, hole) → (V,) bool


@torch.inference_mode()
def fill(
    model: Sees,
    tokens: Sequence[int],
    holes: Sequence[int],
    mask: int,
    sampling: Sampling,
    generator: torch.Generator,
    allowed: Allowed | None = None,
) -> Sample:
    """Fill the holes of a text with a masked model, the one it is surest of first, each seeing those filled before.

    tokens: the whole text, anything standing in the holes; holes: positions in it; mask: the token that the model knows
    as a gap; allowed: what may stand in a hole, asked again for every open hole each time. Returns the whole text; the
    likelihoods are those of the holes, in the order of `holes`. Raises DeadEnd when a hole allows nothing.
    """
    bad = [hole for hole in holes if not 0 <= hole < len(tokens)]
    if bad or len(set(holes)) < len(holes):
        raise BadRequest(f"holes are different positions from 0 to {len(tokens) - 1}; {list(holes)} were given")
    text, found = list(tokens), dict.fromkeys(holes, 0.0)
    for hole in holes:
        text[hole] = mask
    rules = _Rules(sampling, generator, end=-1, limit=len(holes), on_token=heedless)
    left = list(holes)
    while left:
        logits = model.see(torch.tensor([text]))[0, left].clone()
        logits[:, mask] = -torch.inf
        open_ = [None if allowed is None else allowed(text, hole) for hole in left]
        for hole, one in zip(left, open_, strict=True):
            if one is not None and not one.any():
                raise DeadEnd(f"nothing may stand at position {hole}; free another position or another rule")
        row = _surest(logits, open_)
        token = _draw(logits[row : row + 1], open_[row : row + 1], None, rules)
        found[left[row]] = float(torch.log_softmax(logits[row], dim=0)[token[0]])
        text[left.pop(row)] = int(token[0])
    return Sample(tuple(text), tuple(found[hole] for hole in holes))


def _surest(logits: Tensor, masks: Sequence[NDArray[np.bool_] | None]) -> int:
    """The row with the least entropy among what it allows."""
    x = logits.clone()
    for row, mask in zip(x, masks, strict=True):
        if mask is not None:
            row[torch.from_numpy(~mask)] = -torch.inf
    return int(torch.special.entr(torch.softmax(x, dim=1)).sum(dim=1).argmin())
