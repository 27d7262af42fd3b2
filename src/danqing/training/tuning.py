"""A search for good settings: each trial is a training of its own, a study remembers them all.

Tree-structured Parzen estimator (Bergstra et al. 2011) and median pruning, both Optuna's. The study is a SQLite file,
so a search that was stopped goes on where it stood; a trial that was cut off goes on from its run's checkpoint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from danqing.errors import BadRequest, Cancelled, DanqingError, TrainingFailed

LARGER_IS_BETTER = ("accuracy", "precision", "recall", "density", "coverage", "diversity", "in_key", "share")
STARTUP = 4  # trials before the search leans on what it has seen, and before anything is pruned
WARMUP = 2  # looks of a trial before it may be pruned


@dataclass(frozen=True)
class Range:
    """What a setting may be: a list of words, or numbers between two ends."""

    words: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    whole: bool = False  # only whole numbers

    def suggest(self, trial: Any, name: str) -> str:
        """A value for this trial, as it is written on the command line."""
        if self.words:
            return str(trial.suggest_categorical(name, list(self.words)))
        wide = self.low > 0 and self.high / self.low >= 10  # the search goes by factors there
        if self.whole:
            return str(trial.suggest_int(name, int(self.low), int(self.high), log=wide))
        return repr(trial.suggest_float(name, self.low, self.high, log=wide))


def parse(key: str, text: str) -> Range | None:
    """`1e-4..1e-2` is a range, `16,32,64` a choice, and a single value neither."""
    low, dots, high = text.partition("..")
    if dots:
        try:
            ends = (float(low), float(high))
        except ValueError:
            raise BadRequest(
                f"{key} is searched over {text!r}; a range is written LOW..HIGH, as in 1e-4..1e-2"
            ) from None
        if not ends[0] < ends[1]:
            raise BadRequest(f"{key} is searched over {text!r}; the lower end comes first")
        return Range(low=ends[0], high=ends[1], whole=all(part.lstrip("-").isdigit() for part in (low, high)))
    if "," in text:
        return Range(words=tuple(text.split(",")))
    return None


def default_space(config: object) -> dict[str, str]:
    """What is searched where nothing is named: the config's own `tunable`, else its learning rate, four times each way.

    `tunable` is a class variable of a recipe's config: {"rate": "1e-4..1e-2", "batch": "16,32"}.
    """
    own = getattr(type(config), "tunable", None)
    if own is not None:
        return dict(own)
    rates = [name for name in vars(config) if name == "rate" or name.startswith("rate_")]
    return {name: f"{getattr(config, name) / 4:.3g}..{getattr(config, name) * 4:.3g}" for name in rates}


@dataclass(frozen=True)
class Trial:
    """One training of a study."""

    number: int
    state: str  # "complete", "pruned", "failed", "running"
    value: float | None  # of the metric
    settings: Mapping[str, str]


@dataclass(frozen=True)
class Study:
    """What a search has found so far."""

    trials: tuple[Trial, ...]
    best: Trial | None


class Objective(Protocol):
    """Trains with these settings in this folder; returns what was measured."""

    def __call__(
        self, settings: Mapping[str, str], folder: Path, look: Callable[[int, float], None]
    ) -> Mapping[str, float]:
        """look(step, value) is told a held-out figure on the way, and raises Pruned where it is not worth going on."""
        ...


class Pruned(DanqingError):
    """A trial that is worse than most were at its step."""


def larger_is_better(metric: str) -> bool:
    """Whether a figure is better when it is larger, by its name."""
    return any(word in metric for word in LARGER_IS_BETTER)


def search(file: Path, name: str, space: Mapping[str, Range], metric: str, trials: int, objective: Objective) -> Study:
    """Bring the study in `file` to this many finished trials.

    name: of the study, the recipe's. Raises BadRequest where the metric is not measured.
    """
    import optuna

    if trials < 1:
        raise BadRequest(f"trials is {trials}; a study has 1 or more")
    if not space:
        raise BadRequest(f"nothing of {name} is searched unless it is named: rate=1e-4..1e-2 or batch=16,32")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    file.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{file}",
        study_name=f"{name}, {metric}",
        load_if_exists=True,
        direction="maximize" if larger_is_better(metric) else "minimize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=0, n_min_trials=WARMUP),
    )
    # Seeded by what is known already, or a resumed search would draw its first trials again.
    study.sampler = optuna.samplers.TPESampler(seed=len(study.trials), n_startup_trials=STARTUP)
    states = optuna.trial.TrialState
    for cut in study.get_trials(states=(states.RUNNING,)):  # nobody else works on it: they were killed
        study.enqueue_trial(cut.params)
        study.tell(cut.number, state=states.FAIL)

    def run(trial: Any) -> float:
        settings = {key: part.suggest(trial, key) for key, part in space.items()}
        trial.set_user_attr("settings", settings)
        words = json.dumps(settings, sort_keys=True)
        folder = file.with_suffix("") / hashlib.sha256(words.encode()).hexdigest()[:12]

        def look(step: int, value: float) -> None:
            trial.report(value, step)
            if trial.should_prune():
                raise Pruned("worse than most at this step")

        try:
            measured = objective(settings, folder, look)
        except Pruned:
            raise optuna.TrialPruned from None
        except (Cancelled, KeyboardInterrupt):
            study.enqueue_trial(trial.params)  # the first to go on with
            raise
        if metric not in measured:
            raise BadRequest(f"{name} does not measure {metric!r}; choose by --metric one of: {', '.join(measured)}")
        return float(measured[metric])

    finished, failed = (states.COMPLETE, states.PRUNED), (states.FAIL,)
    before = len(study.get_trials(deepcopy=False, states=failed))
    while len(study.get_trials(deepcopy=False, states=finished)) < trials:
        study.optimize(run, n_trials=1, catch=(TrainingFailed,))
        if len(study.get_trials(deepcopy=False, states=failed)) - before > trials:
            raise TrainingFailed(f"most trainings of {file} fail; narrow the ranges, as in rate=1e-5..1e-4")
    return _study(study, states)


def _study(study: Any, states: Any) -> Study:
    words = {states.COMPLETE: "complete", states.PRUNED: "pruned", states.FAIL: "failed"}
    found = [
        Trial(t.number, words.get(t.state, "running"), t.value, t.user_attrs.get("settings", {}))
        for t in study.get_trials(states=tuple(words))
    ]
    best = _best([t for t in found if t.state == "complete" and t.value is not None], study)
    return Study(tuple(found), best)


def _best(done: Sequence[Trial], study: Any) -> Trial | None:
    number = study.best_trial.number if done else None
    return next((t for t in done if t.number == number), None)
