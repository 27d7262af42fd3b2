"""`folk_tuned`: `folk`, taught by reinforcement to write what `training.rewards` counts as good.

Begins with weights that know tunes (`start`). In every step it writes a few tunes to each of a few prompts, drawn from
the headings of the training tunes, under the grammar that is used whenever tunes are written; learns from how they did
against each other (`techniques.policy`: policy gradient, or DPO from the ranked tunes of each prompt); and stays near
what it was, by the KL divergence to `start`. Measured before and after: each reward; notes repeated in excess and leaps
turned back (Jaques et al. 2017, table 1: 63 % → 0.02 % and 77 % → 90 %); how different its tunes are from each other;
and nats per token of held-out tunes, which rise where rewards were had by forgetting music.

Budget: ≤ 30 min on one CPU core, most of it spent writing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from danqing.artwork import pitches
from danqing.artwork.music import ZERO, Key
from danqing.artwork.request import OnStep
from danqing.compute import device
from danqing.encode import tunes
from danqing.errors import BadRequest
from danqing.recipes import Recipe, folk, shipped
from danqing.techniques import decoding, policy, sequence
from danqing.training import engine, language, rewards
from danqing.training.folk import Tunes, fixed
from danqing.training.metrics import cosine
from danqing.training.run import Run

METHODS = ("policy", "dpo")
AS_IT_IS = decoding.Sampling(temperature=1.0, min_p=0.0)  # the policy itself: what is learned from is what was drawn
EMA = 0.9  # of the averaged weights: a run has few steps
PROBES = 60  # held-out tunes that are looked at while training goes on
EACH = 4  # tunes written to a prompt, where a model is measured


@dataclass(frozen=True)
class Config:
    """Settings of one training run."""

    files: str = "nottingham-folk-abc,music21"  # in --data or its `music`; "." is every .abc, .zip and .whl in it
    start: str = "folk"  # a weights file, the name of a model that ships, or "none": a small one that knows nothing
    method: str = "policy"  # | "dpo"
    reward: str = "folk"  # | "harmony" | "motif": a mix of rewards.WEIGHTS
    kl: float = 0.002  # reward that a tune pays for a nat of divergence (policy)
    beta: float = 0.1  # how much a nat away from the prior counts (dpo)
    bars: int = 8  # of a tune
    prompts: int = 2  # in a step
    samples: int = 12  # tunes to a prompt
    judged: int = 128  # tunes by which it is measured, before and after
    steps: int = 200
    minutes: float = 30.0
    checkpoint_s: float = 60.0  # seconds between checkpoints
    rate: float = 3e-4  # peak learning rate
    storage: str = "int8"
    seed: int = 17

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise BadRequest(f"method is {self.method!r}; it is one of {', '.join(METHODS)}")
        if self.reward not in rewards.WEIGHTS or self.reward == "chorale":
            raise BadRequest(f"reward is {self.reward!r}; for tunes it is folk, harmony or motif")
        if self.samples < 2:
            raise BadRequest(f"samples is {self.samples}; a tune is judged against others of its prompt: 2 or more")

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(files=".", start="none", bars=4, prompts=1, samples=3, judged=4, steps=4, checkpoint_s=0)


@dataclass(frozen=True)
class Ask:
    """What a tune is asked to be: the heading of a tune that exists."""

    beats: int
    unit: int
    key: Key
    kind: str
    chords: bool

    @classmethod
    def like(cls, tune: tunes.Tune) -> Ask:
        """The heading of this one."""
        return cls(tune.beats, tune.unit, replace(tune.key, onset=ZERO), tune.kind, tune.has_chords)

    @property
    def prompt(self) -> list[int]:
        """As tokens."""
        tonic = pitches.pitch_class(self.key.tonic)
        return tunes.prompt(self.beats, self.unit, self.key.mode, tonic, self.kind, self.chords)

    def grammar(self, bars: int) -> tunes.Grammar:
        """What a tune of so many bars keeps."""
        return tunes.Grammar(tunes.bar_ticks(self.beats, self.unit), tunes.tonic_of(self.key), self.chords, bars)

    def tune(self, tokens: Sequence[int]) -> tunes.Tune:
        """What was written."""
        return tunes.from_tokens(tokens, self.key, self.beats, self.unit, self.kind)


@dataclass(frozen=True)
class Attempt:
    """A tune that was written."""

    ask: Ask
    tokens: tuple[int, ...]  # with `<end>`, where it came to its end

    @property
    def tune(self) -> tunes.Tune | None:
        """None where it was cut off."""
        return self.ask.tune(self.tokens) if self.tokens[-1:] == (tunes.LAST,) else None


def write(
    model: sequence.Model, asks: Sequence[Ask], count: int, bars: int, generator: torch.Generator
) -> list[Attempt]:
    """`count` tunes to each ask, side by side, as the model draws them under the grammar."""
    model.eval()
    found: list[Attempt] = []
    for ask in asks:
        limit = model.config.context - len(ask.prompt)
        written = decoding.sample(model, ask.prompt, ask.grammar(bars), AS_IT_IS, count, generator, tunes.LAST, limit)
        own = [Attempt(ask, (*one.tokens, tunes.LAST) if one.finished else one.tokens) for one in written]
        found += [own[i % len(own)] for i in range(count)]  # a twin that was given up is what would be drawn again
    return found


def rewarded(attempts: Sequence[Attempt], corpus: rewards.Corpus, mix: str) -> list[float]:
    """The reward of each; 0 where it was cut off."""
    return [
        rewards.mixed(rewards.of_tune(tune, corpus), mix) if (tune := attempt.tune) else 0.0 for attempt in attempts
    ]


def batch_of(attempts: Sequence[Attempt], bars: int) -> policy.Written:
    """The attempts with what was allowed at each of their tokens."""
    prompts = [attempt.ask.prompt for attempt in attempts]
    grammars = [attempt.ask.grammar(bars) for attempt in attempts]
    return policy.gather(prompts, [attempt.tokens for attempt in attempts], grammars, len(tunes.VOCABULARY))


def begun(start: str, seed: int) -> sequence.Model:
    """The weights to begin with, without dropout: what is drawn and what is learned from are one distribution."""
    if start == "none":
        torch.manual_seed(seed)
        return sequence.build(sequence.Config(len(tunes.VOCABULARY), 32, 1, 2, 256))
    found, vocabulary = shipped.language_model(start)
    if vocabulary.to_json() != tunes.VOCABULARY.to_json():
        raise BadRequest(f"{start} does not write tunes; give weights of the recipes folk or folk_lstm")
    model = sequence.build(replace(found.config, dropout=0.0))
    model.load_state_dict(found.state_dict())
    return model


def train(config: Any, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Tune and save. Returns what `evaluate` returns."""
    book = Tunes.load(root, config.files)
    corpus = rewards.Corpus.of(book.training)
    compute = device.choose()
    model, prior = (begun(config.start, config.seed).to(compute.device) for _ in range(2))  # fp32: ratios are small
    prior.requires_grad_(False)

    def step(moment: engine.Moment) -> Mapping[str, Tensor]:
        numbers = torch.randint(len(book.training), (config.prompts,), generator=moment.generator)
        asks = [Ask.like(book.training[int(number)]) for number in numbers]
        attempts = write(model, asks, config.samples, config.bars, moment.generator)
        earned = rewarded(attempts, corpus, config.reward)
        batch = batch_of(attempts, config.bars).to(compute.device)
        own = policy.log_probs(model(batch.tokens[:, :-1]), batch)
        with torch.no_grad():
            old = policy.log_probs(prior(batch.tokens[:, :-1]), batch)
        loss = _loss(config, own, old, torch.tensor(earned, device=compute.device), batch)
        moment.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), language.CLIP)
        moment.update("adam", cosine(moment.progress))
        return {
            "reward": torch.tensor(earned).mean(),
            "nats_from_prior": policy.divergence(own, old).mean(),
            "tokens": batch.written.sum(1).float().mean(),
        }

    def watch(nets: dict[str, nn.Module]) -> Mapping[str, float]:
        net = cast(sequence.Model, nets["model"])
        score = language.score(net, fixed(book.held[:PROBES], net.config.context, told=True))
        return {"nats_per_token_told": score.nats / max(1, score.count)}

    adam = torch.optim.AdamW(model.parameters(), lr=config.rate, betas=(0.9, 0.95), weight_decay=0.0)
    trainee = engine.Trainee({"model": model, "prior": prior}, {"adam": adam}, step, watch=watch, averaged=("model",))
    budget = engine.Budget(
        config.steps, config.minutes, log_every=5, sheet_every=50, checkpoint_every_s=config.checkpoint_s, ema=EMA
    )
    nets = engine.fit(run, trainee, budget, config.seed, on_step)
    language.save(run, cast(sequence.Model, nets["model"].cpu()), tunes.VOCABULARY, {}, config.storage)
    before = judged(cast(sequence.Model, nets["prior"].cpu()), book, corpus, config)
    measured = evaluate(run, root)
    language.report(run, measured, before=before, held_out_sha256=book.fingerprint, judged_tunes=config.judged)
    return measured


def _loss(config: Any, own: Tensor, old: Tensor, earned: Tensor, batch: policy.Written) -> Tensor:
    if config.method == "policy":
        advantage = policy.advantages(earned, own, old, config.kl, config.samples)
        return policy.policy_loss(own, advantage, batch.written)
    pairs = policy.ranked_pairs(earned.tolist(), config.samples)
    return policy.dpo_loss(own, old, pairs, config.beta) if pairs else 0.0 * own.sum()


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """The rewards of tunes that the saved weights write to headings of held-out tunes, and nats of held-out tunes."""
    config = Config(**run.config)
    book = Tunes.load(root, config.files)
    model, _, _ = language.load(run.folder / "weights.safetensors")
    return judged(model, book, rewards.Corpus.of(book.training), config)


def judged(model: sequence.Model, book: Tunes, corpus: rewards.Corpus, config: Any) -> dict[str, float]:
    """What `evaluate` returns, of a model: the same prompts and the same draws for each model that is measured."""
    generator = torch.Generator().manual_seed(config.seed)
    numbers = torch.randint(len(book.held), (max(1, config.judged // EACH),), generator=generator)
    attempts = write(model, [Ask.like(book.held[int(n)]) for n in numbers], EACH, config.bars, generator)
    written = [tune for attempt in attempts if (tune := attempt.tune)]
    each = [rewards.of_tune(tune, corpus) for tune in written]
    leaps = [rewards.leaps_turned(tune) for tune in written]
    found = {"reward": float(np.mean(rewarded(attempts, corpus, config.reward)))}
    found |= {f"reward_{name}": float(np.mean([values[name] for values in each])) for name in each[0]} if each else {}
    found["repeated"] = float(np.mean([rewards.repeated(tune) for tune in written])) if written else 0.0
    found["leaps_turned"] = sum(turned for turned, _ in leaps) / max(1, sum(count for _, count in leaps))
    found["distinct"] = rewards.distinct(written)
    found["finished"] = len(written) / len(attempts)
    return found | folk.nats(model, book.held, model.config.context)


RECIPE = Recipe(
    name="folk_tuned",
    purpose="Folk tunes by `folk`, tuned by reinforcement learning towards harmony, motifs and novelty",
    data=folk.RECIPE.data,
    config=Config,
    train=train,
    evaluate=evaluate,
)
