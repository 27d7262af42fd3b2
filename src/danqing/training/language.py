"""Training and measuring a language model, whatever it reads: the loop's step, perplexities, the weights file.

Hidden matrices are trained with Muon, which makes each update orthogonal; embeddings and gains, and every weight of a
recurrent network, with AdamW.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from danqing.artwork.request import OnStep
from danqing.compute import checkpoint, device
from danqing.encode import text
from danqing.errors import BadRequest
from danqing.techniques import sequence
from danqing.training import data, engine, texts
from danqing.training.metrics import cosine
from danqing.training.muon import Muon
from danqing.training.run import Run, write_atomically
from danqing.training.texts import Sample

CLIP = 1.0  # norm that the gradients are cut to


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train; the fields of a recipe's config that the loop reads."""

    steps: int
    minutes: float
    checkpoint_s: float  # seconds between checkpoints
    rate: float  # peak learning rate
    seed: int
    watch_every: int = 500  # steps
    ema: float = 0.999  # decay of the averaged weights; a run of few steps wants a shorter memory


def plan(config: Any) -> Plan:
    """The plan in a recipe's config."""
    return Plan(config.steps, config.minutes, config.checkpoint_s, config.rate, config.seed)


M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Lesson(Generic[M]):
    """What is learned: batches, each a function of its step alone; the loss of one; what to look at now and then."""

    draw: Callable[[int], tuple[Tensor, ...]]
    loss: Callable[[M, tuple[Tensor, ...]], Tensor]
    watch: Callable[[M], Mapping[str, float]]
    lowest: str = ""  # the figure of `watch` by which the model to keep is chosen; without one it is the last


@dataclass(frozen=True)
class Score:
    """How well a model foretells texts: Σ −log p in nats over what was counted."""

    nats: float
    count: int  # tokens, or characters, that the nats are shared among

    @property
    def perplexity(self) -> float:
        """e to the mean; of one token in this many, it was as unsure as that."""
        return math.exp(self.nats / max(1, self.count))


def fit(run: Run, model: M, lesson: Lesson[M], plan: Plan, on_step: OnStep) -> M:
    """Train until the budget ends: any model whose hidden layers are its `blocks`. Returns the averaged one, fp32,
    at its best where the lesson says by what."""
    compute = device.choose()
    engine.cast(model, compute)
    optimisers = _optimisers(model, plan.rate, compute.dtype)
    ahead: data.Prefetch[tuple[Tensor, ...]] | None = None

    def step(moment: engine.Moment) -> Mapping[str, Tensor]:
        nonlocal ahead
        ahead = ahead or data.Prefetch(lambda i: lesson.draw(i * moment.world + moment.rank), moment.index)
        value = lesson.loss(model, tuple(t.to(compute.device) for t in ahead.get(moment.index)))
        moment.backward(value)
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        for name in optimisers:
            moment.update(name, cosine(moment.progress))
        return {"loss": value.detach()}

    def look(nets: dict[str, nn.Module]) -> Mapping[str, float]:
        return lesson.watch(cast(M, nets["model"]))

    trainee = engine.Trainee({"model": model}, optimisers, step, watch=look, averaged=("model",), lowest=lesson.lowest)
    budget = engine.Budget(
        plan.steps, plan.minutes, sheet_every=plan.watch_every, checkpoint_every_s=plan.checkpoint_s, ema=plan.ema
    )
    return cast(M, engine.fit(run, trainee, budget, plan.seed, on_step)["model"].cpu())


def _optimisers(model: nn.Module, rate: float, dtype: torch.dtype) -> dict[str, torch.optim.Optimizer]:
    """Muon, computing in `dtype`, for a Transformer's hidden matrices; AdamW for the rest."""
    named = dict(model.named_parameters())
    hidden = [p for n, p in named.items() if n.startswith("blocks.") and p.ndim == 2]
    chosen = {id(p) for p in hidden}
    rest = [p for p in named.values() if id(p) not in chosen]
    found: dict[str, torch.optim.Optimizer] = {
        "adam": torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.95), weight_decay=0.01)
    }
    if hidden:
        found["muon"] = Muon(hidden, lr=rate, dtype=dtype)
    return found


@torch.no_grad()
def score(model: sequence.Model, samples: Iterable[Sample], tokens: int = 4096) -> Score:
    """Σ weight · −log p over samples whose weights are 0 or 1, in batches of one length. The model reads in fp32."""
    model.eval()
    nats, count = 0.0, 0
    ordered = sorted(samples, key=lambda s: len(s.tokens))
    start = 0
    while start < len(ordered):
        stop = start + 1
        while stop < len(ordered) and len(ordered[stop].tokens) * (stop + 1 - start) <= tokens:
            stop += 1
        ids, weights = texts.pad(ordered[start:stop])
        here = int(weights.sum())
        if here:
            nats += float(sequence.loss(model, ids, weights)) * here
            count += here
        start = stop
    return Score(nats, count)


def save(
    run: Run, model: sequence.Model, vocabulary: text.Vocabulary, about: Mapping[str, Any], storage: str = "int8"
) -> None:
    """Write the run's `weights.safetensors`: the weights, the model's config and the vocabulary in the header."""
    header = {
        "architecture": "sequence",
        "config": asdict(model.config),
        "vocabulary": vocabulary.to_json(),
        **about,
    }
    checkpoint.save_weights(run.folder / "weights.safetensors", checkpoint.pack(model.state_dict(), storage), header)


def load(path: Path) -> tuple[sequence.Model, Any, dict[str, Any]]:
    """A model and its vocabulary from a weights file, in evaluation mode, fp32; and the header."""
    return restore(*checkpoint.load_weights(path))


def restore(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> tuple[sequence.Model, Any, dict[str, Any]]:
    """The same from tensors and header, as `catalog.weights` gives them."""
    if about.get("architecture") != "sequence":
        raise BadRequest(f"these weights are of {about.get('architecture')!r}, not of a sequence model")
    model = sequence.build(sequence.Config(**about["config"]))
    model.load_state_dict(checkpoint.unpack(tensors))
    return model.eval(), text.from_json(about["vocabulary"]), dict(about)


@torch.no_grad()
def take_over(
    model: sequence.Model, vocabulary: text.Vocabulary, taught: sequence.Model, known: text.Vocabulary
) -> None:
    """Begin with the weights of a model that was taught already: its blocks, and its embedding token by token.

    What a character means is the same in both directions and at any depth, so the two may differ in depth and mask, not
    in width. A special token that `known` lacks begins as the mean of its kind (<poet:…>), a character as it is.
    Raises BadRequest where widths or the kind of the vocabulary differ.
    """
    own, other = model.state_dict(), taught.state_dict()
    taken = {name: value for name, value in other.items() if name in own and name != "embedding.weight"}
    if any(own[name].shape != value.shape for name, value in taken.items()) or not (
        taught.config.width == model.config.width and type(known) is type(vocabulary)
    ):
        raise BadRequest(
            f"start has width {taught.config.width}, other layers or another kind of vocabulary, this model width "
            f"{model.config.width}; give the same width and language, or leave start out"
        )
    rows = {known.token(i): row for i, row in enumerate(other["embedding.weight"])}
    kinds: dict[str, list[Tensor]] = {}
    for name, row in rows.items():
        kinds.setdefault(name.partition(":")[0], []).append(row)
    embedding = own["embedding.weight"].clone()
    for i in range(len(vocabulary)):
        name = vocabulary.token(i)
        kin = kinds.get(name.partition(":")[0], []) if ":" in name and name.startswith("<") else []
        if name in rows:
            embedding[i] = rows[name]
        elif kin:
            embedding[i] = torch.stack(kin).mean(dim=0)
    model.load_state_dict(own | taken | {"embedding.weight": embedding})


def report(run: Run, measured: Mapping[str, float], **more: object) -> None:
    """Write `result.json`."""
    write_atomically(
        run.folder / "result.json", json.dumps({**measured, **more}, indent=1, ensure_ascii=False).encode()
    )


def keep_samples(run: Run, step: object, written: Sequence[str]) -> None:
    """Write what the model wrote at this step to `samples/`."""
    write_atomically(run.folder / "samples" / f"{step}.txt", "\n\n".join(written).encode())
