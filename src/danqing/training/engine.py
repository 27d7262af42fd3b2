"""The training loop that every recipe shares, and the only file that imports Fabric.

A recipe hands over a `Trainee`: its networks, its optimisers and one function that computes losses from a batch. The
engine owns the rest: devices and processes (Fabric), precision, the clock, checkpoints, resuming, metrics, sheets.

Two rules make a resumed run bit-exact. Every random draw of step n (data order, augmentation, noise, dropout) comes
from a generator seeded by (seed, n, rank), so a step number is the whole random state. And a checkpoint is taken
between steps, with everything a step changes.

Precision: on processors where `compute.device` chose bf16, networks hold bf16 weights, cast once a step from fp32
masters that the optimiser updates (Micikevicius et al. 2018, without loss scaling, which bf16 does not need).
"""

from __future__ import annotations

import copy
import dataclasses
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from danqing.artwork.image import Picture, write
from danqing.artwork.request import OnStep, Step, ignore
from danqing.compute import convolution, device, seed
from danqing.errors import BadRequest, Cancelled
from danqing.training import stability
from danqing.training.run import Run


@dataclass(frozen=True)
class Budget:
    """How long to train and how often to look up. Training ends at `steps` or `minutes`, whichever comes first."""

    steps: int
    minutes: float = 150.0
    log_every: int = 20  # steps
    sheet_every: int = 500  # steps
    checkpoint_every_s: float = 120.0
    ema: float = 0.999  # decay of the averaged weights that are shipped; 0 keeps none


@dataclass
class Trainee:
    """What a recipe trains. `step` gets the batch of that step, its generator and `progress` in [0, 1]."""

    nets: dict[str, nn.Module]
    optimisers: dict[str, torch.optim.Optimizer]
    step: Callable[[Moment], Mapping[str, Tensor]]
    sheet: Callable[[dict[str, nn.Module]], Picture] | None = None  # samples from the averaged networks
    watch: Callable[[dict[str, nn.Module]], Mapping[str, float]] | None = None  # held-out figures, at each sheet
    averaged: tuple[str, ...] = ()  # names of the nets of which an exponential moving average is kept
    lowest: str = ""  # a figure of `watch`: the averaged nets are returned as they were when it was lowest, not as last


class Backward(Protocol):
    """A loss's gradients."""

    def __call__(self, loss: Tensor, *, inputs: Sequence[Tensor] | None = None) -> None:
        """Add them to `inputs`, or to every leaf that the loss was made of. Name them where pictures are leaves too:
        a gradient by pictures that nobody reads is a pass through the first layers for nothing."""
        ...


@dataclass
class Moment:
    """One step as the recipe sees it."""

    index: int
    progress: float  # 0 at the start, 1 at the end of the budget
    generator: torch.Generator
    rank: int  # of this process among `world`
    world: int
    backward: Backward
    update: Callable[[str, float], None]  # (optimiser's name, learning-rate factor): take the step, clear gradients


@dataclass
class Masters:
    """fp32 copies of bf16 parameters; the optimiser holds these, the network holds the bf16 ones."""

    pairs: list[tuple[nn.Parameter, nn.Parameter]] = field(default_factory=list)  # (in the network, master)

    def pull_gradients(self) -> None:
        """Give each master its parameter's gradient in fp32 and clear the parameter's."""
        for worker, master in self.pairs:
            master.grad = None if worker.grad is None else worker.grad.float()
            worker.grad = None

    @torch.no_grad()
    def push_values(self) -> None:
        """Round the masters into the network."""
        for worker, master in self.pairs:
            worker.copy_(master)


def _mastered(optimiser: torch.optim.Optimizer) -> Masters:
    """Swap an optimiser's low-precision parameters for fp32 masters."""
    masters = Masters()
    for group in optimiser.param_groups:
        for i, worker in enumerate(group["params"]):
            if worker.dtype != torch.float32:
                master = nn.Parameter(worker.detach().float().clone())
                masters.pairs.append((worker, master))
                group["params"][i] = master
    return masters


def cast(net: nn.Module, compute: device.Compute) -> nn.Module:
    """The network on the device, weights in its dtype; norms keep fp32 parameters and statistics, which they need.

    On a CPU, an enlargement by nearest neighbours and the convolution behind it become one (`convolution.fold`), and
    batch norms lay their maps out as the convolutions want them: what comes out of a linear layer is not.
    """
    net = net.to(device=compute.device, dtype=compute.dtype, memory_format=compute.layout)  # type: ignore[call-overload]
    on_cpu = compute.device.type == "cpu" and compute.layout == torch.channels_last
    if on_cpu:
        convolution.fold(net)
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase | nn.GroupNorm | nn.LayerNorm):
            module.float()
        if on_cpu and isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(_channels_last)
    return net


def _channels_last(module: nn.Module, inputs: tuple[Tensor]) -> Tensor:
    return inputs[0].contiguous(memory_format=torch.channels_last)


class _Average:
    """Exponential moving average of a network's floating-point state, in fp32."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {k: v.detach().float().clone() for k, v in net.state_dict().items()}

    @torch.no_grad()
    def follow(self, values: Mapping[str, Tensor], step: int) -> None:
        # Early on the average must not be held back by the initial weights.
        decay = min(self.decay, (1 + step) / (10 + step))
        names = list(self.state)
        new = [values[n].detach().float() for n in names]
        torch._foreach_lerp_([self.state[n] for n in names], new, 1 - decay)


@dataclass(frozen=True)
class Estimate:
    """What a training would cost, measured over a few of its steps on this machine."""

    parameters: Mapping[str, int]  # of each network
    flops: float  # floating-point operations of one step, forward and backward; a multiply-add counts as two
    seconds_a_step: float
    memory_bytes: int  # the most that was held: by this process on a CPU, by tensors on a GPU
    device: str
    steps: int  # the budget's
    minutes: float  # the budget's

    @property
    def expected_steps(self) -> int:
        """How many steps the budget allows: all of them, or as many as the minutes do."""
        return min(self.steps, int(60 * self.minutes / self.seconds_a_step))

    @property
    def expected_minutes(self) -> float:
        """How long they take, without sheets and checkpoints."""
        return self.expected_steps * self.seconds_a_step / 60

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {
            **dataclasses.asdict(self),
            "expected_steps": self.expected_steps,
            "expected_minutes": round(self.expected_minutes, 2),
        }


class _Estimated(Exception):
    def __init__(self, estimate: Estimate) -> None:
        super().__init__()
        self.estimate = estimate


_dry: ContextVar[bool] = ContextVar("dry", default=False)
TIMED_STEPS = 3
clock = time.monotonic  # what a budget's minutes are taken from; benchmarks count the processor's instead


def estimate(train: Callable[[], object]) -> Estimate:
    """Run a recipe's train() as far as its fit(), measure a few steps there, and stop. Writes nothing.

    Where a recipe fits several times, this is about the first one.
    """
    token = _dry.set(True)
    try:
        train()
    except _Estimated as found:
        return found.estimate
    finally:
        _dry.reset(token)
    raise BadRequest("this recipe trains nothing step by step, so there is nothing to estimate")


def _measure(loop: _Loop) -> Estimate:
    """One step that is counted (and warms everything up), then a few that are timed."""
    from torch.utils.flop_counter import FlopCounterMode

    here = next(next(iter(loop.trainee.nets.values())).parameters()).device
    with FlopCounterMode(display=False) as counter:
        _one_step(loop)
    began = time.perf_counter()
    for _ in range(TIMED_STEPS):
        sum(float(value) for value in _one_step(loop).values())  # waits for a GPU
    seconds = (time.perf_counter() - began) / TIMED_STEPS
    parameters = {n: sum(p.numel() for p in net.parameters()) for n, net in loop.trainee.nets.items()}
    memory = torch.cuda.max_memory_allocated() if here.type == "cuda" else _peak_bytes()
    budget = loop.budget
    return Estimate(
        parameters,
        float(counter.get_total_flops()),
        seconds,
        memory,
        str(device.choose()),
        budget.steps,
        budget.minutes,
    )


def _peak_bytes() -> int:
    """The most memory this process has held so far; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class _Loop:
    """The state of one fit: nets and optimisers set up, averages, the clock."""

    def __init__(self, run: Run, trainee: Trainee, budget: Budget, run_seed: int) -> None:
        self.run, self.trainee, self.budget, self.seed = run, trainee, budget, run_seed
        from lightning_fabric import (
            Fabric,
        )  # here, since it takes a second, and who only reads weights needs none of it

        compute = device.choose()
        accelerator = {"cuda": "cuda", "mps": "mps", "cpu": "cpu"}[compute.device.type]
        self.fabric = Fabric(accelerator=accelerator, devices="auto" if accelerator == "cuda" else 1)
        self.fabric.launch()
        self.masters: dict[str, Masters] = {}
        for optimiser_name, optimiser in trainee.optimisers.items():
            self.masters[optimiser_name] = _mastered(optimiser)
        self.rates = {n: [g["lr"] for g in o.param_groups] for n, o in trainee.optimisers.items()}
        self.averages = {n: _Average(trainee.nets[n], budget.ema) for n in trainee.averaged if budget.ema}
        self.best: tuple[float, dict[str, dict[str, Tensor]]] | None = None  # the lowest figure, the averages then
        self.step, self.elapsed_s = 0, 0.0

    def state(self) -> dict[str, Any]:
        """Everything that a step changes."""
        return {
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "nets": {n: net.state_dict() for n, net in self.trainee.nets.items()},
            "optimisers": {n: o.state_dict() for n, o in self.trainee.optimisers.items()},
            "masters": {n: [m.detach() for _, m in masters.pairs] for n, masters in self.masters.items()},
            "averages": {n: a.state for n, a in self.averages.items()},
            "best": self.best,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put everything back."""
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]
        for name, net in self.trainee.nets.items():
            net.load_state_dict(state["nets"][name])
        for name, optimiser in self.trainee.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        with torch.no_grad():
            for name, masters in self.masters.items():
                for (_, master), value in zip(masters.pairs, state["masters"][name], strict=True):
                    master.copy_(value)
        for name, average in self.averages.items():
            average.state = state["averages"][name]
        self.best = state.get("best")

    def parameters(self, name: str) -> list[Tensor]:
        """The network's own parameters that the optimiser `name` trains."""
        workers = {id(master): worker for worker, master in self.masters[name].pairs}
        held = [p for group in self.trainee.optimisers[name].param_groups for p in group["params"]]
        return [workers.get(id(p), p) for p in held]

    def update(self, name: str, factor: float) -> None:
        """One optimiser's step at `factor` times its own learning rate."""
        optimiser, masters = self.trainee.optimisers[name], self.masters[name]
        for group, rate in zip(optimiser.param_groups, self.rates[name], strict=True):
            group["lr"] = rate * factor
        masters.pull_gradients()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        masters.push_values()

    def follow(self) -> None:
        """Let the averages follow the masters (or, where there are none, the weights themselves)."""
        exact = {id(w): m for masters in self.masters.values() for w, m in masters.pairs}
        for name, average in self.averages.items():
            net = self.trainee.nets[name]
            values = dict(net.state_dict(keep_vars=True))
            average.follow({k: exact.get(id(v), v) for k, v in values.items()}, self.step)

    def averaged_nets(self) -> dict[str, nn.Module]:
        """Every net; those with an average as fp32 copies that hold it."""
        nets = dict(self.trainee.nets)
        for name, average in self.averages.items():
            twin = copy.deepcopy(nets[name]).float()
            twin.load_state_dict(average.state)
            nets[name] = twin.eval()
        return nets

    def judge(self, figures: Mapping[str, float]) -> None:
        """Keep the averages where the figure that decides has never been as low."""
        value = figures.get(self.trainee.lowest)
        if value is not None and (self.best is None or value < self.best[0]):
            self.best = (value, {n: {k: v.clone() for k, v in a.state.items()} for n, a in self.averages.items()})

    def chosen_nets(self) -> dict[str, nn.Module]:
        """What training gives: the averaged nets, at their best where one figure decides."""
        nets = self.averaged_nets()
        if self.best is not None:
            for name, state in self.best[1].items():
                nets[name].load_state_dict(state)
        return nets

    def progress(self) -> float:
        """How much of the budget is used, in [0, 1]."""
        return min(1.0, max(self.step / self.budget.steps, self.elapsed_s / (60 * self.budget.minutes)))

    def save(self) -> None:
        """Write the checkpoint, on the first process only."""
        if self.fabric.global_rank == 0:
            self.run.save(self.state())
        self.fabric.barrier()


def fit(run: Run, trainee: Trainee, budget: Budget, run_seed: int, on_step: OnStep = ignore) -> dict[str, nn.Module]:
    """Train until the budget ends; resumes by itself where the run has a checkpoint. Returns the (averaged) nets,
    those of the look with the lowest figure where the trainee names one.

    Cancelled by `on_step`, it leaves a checkpoint of the step it stood at and raises on.
    """
    loop = _Loop(run, trainee, budget, run_seed)
    if state := run.load():
        loop.restore(state)
        run.forget_after(loop.step)
    nets = trainee.nets
    for net in nets.values():
        net.train()
    if _dry.get():
        raise _Estimated(_measure(loop))
    trouble = _trouble(run)
    began, saved = clock() - loop.elapsed_s, time.monotonic()
    sums: dict[str, float] = {}
    count = 0
    try:
        while loop.step < budget.steps and loop.elapsed_s < 60 * budget.minutes:
            losses = {name: float(value) for name, value in _one_step(loop).items()}
            run.refuse_nonfinite(loop.step, losses)  # before any checkpoint could keep what it spoiled
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value
            count += 1
            loop.elapsed_s = clock() - began
            if loop.step % budget.log_every == 0 or loop.step == budget.steps:
                means = {name: total / count for name, total in sums.items()}
                run.log(loop.step, {**means, "elapsed_s": round(loop.elapsed_s, 2)})
                sums, count = {}, 0
            if loop.step % budget.sheet_every == 0:
                _look(loop)
                trouble = _trouble(run)
            if time.monotonic() - saved > budget.checkpoint_every_s:
                loop.save()
                saved = time.monotonic()
            on_step(Step(loop.step, budget.steps, f"{run.recipe}, step {loop.step}{trouble}"))
    except Cancelled:  # raised by on_step, so between two steps; an interrupt inside a step keeps the last checkpoint
        loop.save()
        raise
    _look(loop)
    loop.save()
    return loop.chosen_nets()


def _trouble(run: Run) -> str:
    """What goes wrong at present, in a word, to stand behind the step's number: the bar shows it as long as it does."""
    return "".join(f", {warning.name}" for warning in stability.warnings(run.metrics()))


def _one_step(loop: _Loop) -> Mapping[str, Tensor]:
    rank, world = loop.fabric.global_rank, loop.fabric.world_size
    generator = seed.generator(loop.seed, stream=1 + loop.step * world + rank)
    torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))  # for dropout, which knows no generators

    def backward(loss: Tensor, *, inputs: Sequence[Tensor] | None = None) -> None:
        loop.fabric.backward(loss, inputs=inputs)

    def update(name: str, factor: float = 1.0) -> None:
        if world > 1:
            for parameter in loop.parameters(name):
                if parameter.grad is not None:
                    parameter.grad = loop.fabric.all_reduce(parameter.grad, reduce_op="mean")  # type: ignore[assignment]
        loop.update(name, factor)

    moment = Moment(loop.step, loop.progress(), generator, rank, world, backward, update)
    losses = loop.trainee.step(moment)
    loop.step += 1
    loop.follow()
    return losses


def _look(loop: _Loop) -> None:
    """Write the sheet and the held-out figures. The networks' mode is put back as it was."""
    if loop.fabric.global_rank != 0 or not (loop.trainee.sheet or loop.trainee.watch):
        return
    nets = loop.averaged_nets()
    if loop.trainee.watch:
        figures = loop.trainee.watch(nets)
        loop.run.log(loop.step, {f"held_{k}": v for k, v in figures.items()})
        loop.judge(figures)
    if loop.trainee.sheet:
        path = loop.run.folder / "sheets" / f"{loop.step:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write(loop.trainee.sheet(nets), path, force=True)
    for net in loop.trainee.nets.values():
        net.train()
