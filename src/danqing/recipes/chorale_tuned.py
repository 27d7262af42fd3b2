"""`chorale_tuned`: `chorale`, taught by reinforcement to keep the rules of four parts, to cadence and to stay itself.

Begins with weights that know chorales (`start`). In every step it is handed what `compose` hands it, the first chord,
key, metre and end of a few training pieces, writes several drafts to each and learns from how they did against each
other (`techniques.policy`, rewards of `training.rewards`). Three things keep it from forgetting music for rewards: the
KL divergence to `start` is charged inside the reward, the loss on real pieces is added to each step (Ouyang et al.
2022, "PPO-ptx"), and in the end the weights go back on the straight line to `start` as far as it takes for nats per
note of the validation pieces to be up by `bound` at most (Ramé et al. 2024, "WARP": what lies between two such sets of
weights is as good as what lies on the way that training went).

Measured before and after, and for Bach: each reward; errors in a bar, by the rules that were taught and by those of
`appraisal.counterpoint`, which share no code with them; how different its pieces are from each other; and nats per note
of the test part.

Budget: ≤ 15 min on one CPU core, most of it spent writing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from danqing.appraisal import counterpoint
from danqing.artwork.request import OnStep
from danqing.catalog import catalog
from danqing.compute import checkpoint, device
from danqing.encode import notes as grids
from danqing.encode import theory
from danqing.encode.notes import Grid
from danqing.errors import BadRequest
from danqing.recipes import Recipe
from danqing.recipes import chorale as untuned
from danqing.techniques import chorale, policy
from danqing.techniques.chorale import HIDDEN, Frame, Sampling, Writer
from danqing.training import engine, language, music, rewards
from danqing.training.metrics import cosine
from danqing.training.music import Piece
from danqing.training.run import Run

DRAWN = Sampling(temperature=1.0, min_p=0.0)  # the policy itself: what is learned from is what was drawn
CHORD = 4  # steps of the first chord and of the last bass that are given, as when composing
EMA = 0.9  # of the averaged weights: a run has few steps
PROBES = 24  # validation pieces that are looked at while training goes on
AT_ONCE = 16  # pieces that are written side by side, where a model is measured
HALVINGS = 5  # of the way back to `start`, where the bound is looked for


@dataclass(frozen=True)
class Config:
    """Settings of one training run."""

    files: str = "jsb-chorales-json"  # in --data or its `music`, a .zip or .json
    start: str = "chorale"  # a weights file, the name of a model that ships, or "none": a small one that knows nothing
    kl: float = 0.002  # reward that a piece pays for a nat of divergence
    real: float = 1.0  # what a nat per note of real pieces counts
    bound: float = 0.05  # by how much, as a share, nats per note of the validation pieces may be up in the end
    bars: int = 8  # of a piece that is written
    prompts: int = 2  # in a step, of one metre
    samples: int = 8  # pieces to a prompt
    batch: int = 4  # real pieces in a step
    judged: int = 128  # pieces by which it is measured, before and after
    steps: int = 120
    minutes: float = 30.0
    checkpoint_s: float = 60.0  # seconds between checkpoints
    rate: float = 2e-4  # peak learning rate
    storage: str = "int8"
    seed: int = 19

    def __post_init__(self) -> None:
        if self.samples < 2:
            raise BadRequest(f"samples is {self.samples}; a piece is judged against others of its prompt: 2 or more")
        if not 0 <= self.bound <= 1:
            raise BadRequest(f"bound is {self.bound}; it lies between 0 (no nat may be lost) and 1 (twice as many)")
        if self.bars < 2:
            raise BadRequest(f"bars is {self.bars}; a piece has a beginning and an end: 2 or more")

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(
            files="chorales", start="none", bars=2, prompts=1, samples=3, batch=2, judged=4, steps=4, checkpoint_s=0
        )


@dataclass(frozen=True)
class Ask:
    """What is handed to the writer: the beginning and the end of pieces that exist, all of one metre."""

    given: Tensor  # (N, T, 4) int64: the first chord and the last bass note; HIDDEN elsewhere
    frame: Frame  # N rows
    pickup: int
    bar: int  # steps

    def repeated(self, count: int) -> Ask:
        """Each of them `count` times, side by side."""
        rows = (x.repeat_interleave(count, 0) for x in (self.frame.place, self.frame.beats, self.frame.key))
        return replace(self, given=self.given.repeat_interleave(count, 0), frame=Frame(*rows))


def asked(pieces: Sequence[Piece], count: int, bars: int, generator: torch.Generator) -> Ask:
    """`count` prompts like these pieces, each in a key that its voices allow."""
    first = pieces[int(torch.randint(len(pieces), (), generator=generator))].grid
    alike = [piece for piece in pieces if (piece.grid.pickup, piece.grid.bar) == (first.pickup, first.bar)]
    rows, frames = [], []
    for _ in range(count):
        piece = alike[int(torch.randint(len(alike), (), generator=generator))]
        low, high = piece.room
        shift = int(torch.randint(low, high + 1, (), generator=generator))
        codes = torch.from_numpy(np.where(piece.codes > 0, piece.codes + shift, 0))
        row = torch.full((bars * first.bar, chorale.VOICES), HIDDEN)
        row[:CHORD], row[-CHORD:, 3] = codes[0], codes[-1, 3]
        rows.append(row)
        key = piece.key // 12 * 12 + (piece.key + shift) % 12
        frames.append(chorale.frame(len(row), first.pickup, first.bar, key))
    columns = zip(*((f.place, f.beats, f.key) for f in frames), strict=True)
    return Ask(torch.stack(rows), Frame(*(torch.cat(column) for column in columns)), first.pickup, first.bar)


def write(model: Writer, ask: Ask, sampling: Sampling, generator: torch.Generator) -> Tensor:
    """What the model makes of each: (N, T, 4) int64."""
    return chorale.write(model, ask.given, ask.frame, generator, sampling).clone()  # one that gradients may pass


def grids_of(written: Tensor, ask: Ask) -> list[tuple[Grid, int]]:
    """What was written, to be judged, each with the key that was asked for."""
    rows = zip(written, ask.frame.key[:, 0].tolist(), strict=True)
    return [(grids.from_codes(row.numpy(), ask.pickup, ask.bar), key) for row, key in rows]


def in_order(each: Tensor, model: Writer) -> Tensor:
    """(N, T, 4) as it was written, note after note: (N, 4 T)."""
    return each[..., list(model.config.order)].flatten(1)


def begun(start: str, seed: int) -> Writer:
    """The weights to begin with, without dropout: what is drawn and what is learned from are one distribution."""
    if start == "none":
        torch.manual_seed(seed)
        return cast(Writer, chorale.build(chorale.Config(width=32, depth=1, heads=2, dropout=0.0)))
    ships = any(card.name == start for card in catalog.cards())
    found = music.restore(*(catalog.weights(start) if ships else checkpoint.load_weights(Path(start))))
    if not isinstance(found, Writer):
        raise BadRequest(f"{start} fills gaps; give weights of the recipe chorale, which writes step after step")
    model = Writer(replace(found.config, dropout=0.0, forget=0.0))
    model.load_state_dict(found.state_dict())
    return model


def train(config: Any, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Tune and save. Returns what `evaluate` returns."""
    pieces = music.chorales(root, config.files)
    corpus = rewards.Corpus.of_melodies(piece.melody for piece in pieces.training)
    compute = device.choose()
    model, prior = (begun(config.start, config.seed).to(compute.device) for _ in range(2))  # fp32: ratios are small
    prior.requires_grad_(False)
    stream = music.GridStream(pieces.training, config.batch, config.bars * 16, config.seed)
    probes = pieces.valid[:PROBES]

    def step(moment: engine.Moment) -> Mapping[str, Tensor]:
        ask = asked(pieces.training, config.prompts, config.bars, moment.generator).repeated(config.samples)
        written = write(model, ask, DRAWN, moment.generator)
        each = [rewards.of_grid(grid, corpus, key) for grid, key in grids_of(written, ask)]
        earned = torch.tensor([rewards.mixed(values, "chorale") for values in each])
        own, old = _both(model, prior, written, ask, compute.device)
        open_ = in_order(ask.given == HIDDEN, model).to(compute.device)
        better = policy.advantages(earned.to(compute.device), own, old, config.kl, config.samples)
        nats = _real(model, [x.to(compute.device) for x in stream.draw(moment.index)])
        moment.backward(policy.policy_loss(own, better, open_) + config.real * nats)
        nn.utils.clip_grad_norm_(model.parameters(), language.CLIP)
        moment.update("adam", cosine(moment.progress))
        seen = {f"reward_{name}": torch.tensor([values[name] for values in each]).mean() for name in each[0]}
        return {
            "reward": earned.mean(),
            **seen,
            "nats_from_prior": policy.divergence(own, old).mean(),
            "nats_real": nats.detach(),
        }

    def watch(nets: dict[str, nn.Module]) -> Mapping[str, float]:
        return {"nats_per_note": untuned.nats(cast(Writer, nets["model"]), probes)}

    adam = torch.optim.AdamW(model.parameters(), lr=config.rate, betas=(0.9, 0.95), weight_decay=0.0)
    trainee = engine.Trainee({"model": model, "prior": prior}, {"adam": adam}, step, watch=watch, averaged=("model",))
    budget = engine.Budget(
        config.steps, config.minutes, log_every=5, sheet_every=40, checkpoint_every_s=config.checkpoint_s, ema=EMA
    )
    nets = engine.fit(run, trainee, budget, config.seed, on_step)
    tuned, first = cast(Writer, nets["model"].cpu()), cast(Writer, nets["prior"].cpu())
    final, share = kept_near(tuned, first, pieces.valid, config.bound)
    music.save(run.folder / "weights.safetensors", final, config.storage)
    measured = evaluate(run, root)
    language.report(
        run,
        measured,
        before=judged(first, pieces, config),
        bach=of_grids([(piece.grid, piece.key) for piece in pieces.test], corpus),
        share_of_the_way=share,
        test_sha256=music.fingerprint([p.sha256 for p in pieces.test]),
        parameters=sum(p.numel() for p in final.parameters()),
    )
    return measured


def _both(model: Writer, prior: Writer, written: Tensor, ask: Ask, where: torch.device) -> tuple[Tensor, Tensor]:
    """log p of every note that was written, (N, 4 T), of the model, with gradient, and of the prior."""
    notes, given, frame = written.to(where), ask.given.to(where), ask.frame.to(where)
    own = chorale.log_probs(model, notes, given, frame, DRAWN)
    with torch.no_grad():
        old = chorale.log_probs(prior, notes, given, frame, DRAWN)
    return in_order(own, model), in_order(old, model)


def _real(model: Writer, batch: Sequence[Tensor]) -> Tensor:
    """Nats per note of real pieces."""
    notes, place, beats, key, valid = batch
    return (chorale.surprise(model, notes, Frame(place, beats, key)) * valid).sum() / valid.sum()


def kept_near(tuned: Writer, first: Writer, pieces: Sequence[Piece], bound: float) -> tuple[Writer, float]:
    """The weights between `first` and `tuned` that lie furthest on the way and foretell these pieces nearly as well.

    Nearly: with nats per note up by `bound`, a share, at most. Returns them and how much of the way was gone.
    """
    most = (1 + bound) * untuned.nats(first, pieces)
    if untuned.nats(tuned, pieces) <= most:
        return tuned, 1.0
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        half = (low + high) / 2
        low, high = (half, high) if untuned.nats(between(first, tuned, half), pieces) <= most else (low, half)
    return between(first, tuned, low), low


def between(first: Writer, tuned: Writer, share: float) -> Writer:
    """The weights at this share of the straight way from the one to the other."""
    found, goal = Writer(first.config), tuned.state_dict()
    found.load_state_dict({name: torch.lerp(x, goal[name], share) for name, x in first.state_dict().items()})
    return found.eval()


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """What pieces written to beginnings of test pieces are worth, by the saved weights; nats per note of both parts."""
    config = Config(**run.config)
    model = music.restore(*checkpoint.load_weights(run.folder / "weights.safetensors"))
    return judged(cast(Writer, model), music.chorales(root, config.files), config)


def judged(model: Writer, pieces: music.Chorales, config: Any) -> dict[str, float]:
    """What `evaluate` returns, of a model: the same prompts and the same seed for each model that is measured.

    Pieces are drawn as `compose` draws a draft: at its temperature, ranges kept, no parallels.
    """
    corpus = rewards.Corpus.of_melodies(piece.melody for piece in pieces.training)
    generator = torch.Generator().manual_seed(config.seed)
    written: list[tuple[Grid, int]] = []
    while len(written) < config.judged:
        ask = asked(pieces.test, min(AT_ONCE, config.judged - len(written)), config.bars, generator)
        written += grids_of(write(model, ask, chorale.WRITING, generator), ask)
    return of_grids(written, corpus) | {
        "nats_per_note": untuned.nats(model, pieces.test),
        "nats_per_note_valid": untuned.nats(model, pieces.valid),
    }


def of_grids(written: Sequence[tuple[Grid, int]], corpus: rewards.Corpus) -> dict[str, float]:
    """Rewards, errors and variety of several pieces, each with its key."""
    each = [rewards.of_grid(grid, corpus, key) for grid, key in written]
    found = {"reward": float(np.mean([rewards.mixed(values, "chorale") for values in each]))}
    found |= {f"reward_{name}": float(np.mean([values[name] for values in each])) for name in each[0]}
    found["errors_per_bar"] = float(np.mean([rewards.errors_per_bar(grid) for grid, _ in written]))
    found["faults_per_bar"] = float(np.mean([faults_per_bar(grid) for grid, _ in written]))
    found["in_key"] = float(np.mean([heard_key(grid) == key for grid, key in written]))
    found["distinct"] = rewards.different([np.diff(grid.line(0)).tolist() for grid, _ in written], 5)
    found["distinct_chords"] = rewards.different([progression(grid) for grid, _ in written], 3)
    return found


def heard_key(grid: Grid) -> int:
    """The key that a listener finds; see `theory.find_key`."""
    return grids.key_number(theory.find_key(grids.to_score(grid).notes))


def faults_per_bar(grid: Grid) -> float:
    """Places where `appraisal.counterpoint` finds a rule broken, in a bar of four quarters."""
    key = grids.key_of(grids.final_key(grid.pitches))
    score = grids.to_score(grid, key)
    lines = [score.of(voice) for voice in range(chorale.VOICES)]
    return len(counterpoint.judge(lines, score.bars(), [key], bool(grid.pickup)).faults) / max(1.0, len(grid) / 16)


def progression(grid: Grid) -> list[tuple[int, ...]]:
    """What sounds on each beat as semitones above the tonic, the bass's first, the others' in order; changes alone."""
    tonic = grids.final_key(grid.pitches) % 12
    found: list[tuple[int, ...]] = []
    for row in grid.pitches[grid.pickup % 4 :: 4]:
        sounding = [int(pitch - tonic) % 12 for pitch in row if pitch != grids.SILENCE]
        chord = (*sounding[-1:], *sorted(set(sounding)))
        if chord and (not found or found[-1] != chord):
            found.append(chord)
    return found


RECIPE = Recipe(
    name="chorale_tuned",
    purpose="Four-part chorales by `chorale`, tuned by reinforcement learning towards the rules of four parts",
    data=untuned.RECIPE.data,
    config=Config,
    train=train,
    evaluate=evaluate,
)
