"""The training loop: budgets, precision, averages, failures, resuming inside one process."""

import json

import pytest
import torch
from torch import nn

from danqing.compute import device
from danqing.errors import BadRequest, Cancelled, TrainingFailed
from danqing.training import engine
from danqing.training.run import Run


def trainee(poison_at=None):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 1))
    compute = device.choose()
    engine.cast(net, compute)
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.01)

    def step(moment):
        x = torch.randn(16, 4, generator=moment.generator).to(compute.dtype)
        loss = (net(x).float() - x.float().sum(1, keepdim=True)).square().mean()
        if moment.index == poison_at:
            loss = loss * float("nan")
        moment.backward(loss)
        moment.update("net", 1.0)
        return {"loss": loss.detach()}

    return engine.Trainee({"net": net}, {"net": optimiser}, step, averaged=("net",))


def fit(folder, steps, resume=False, on_step=lambda s: None, poison_at=None, minutes=10.0):
    run = Run.open(folder, "toy", {"steps": steps}, resume)
    budget = engine.Budget(steps, minutes, log_every=2)
    return run, engine.fit(run, trainee(poison_at), budget, 5, on_step)["net"]


def test_training_learns_and_logs(tmp_path):
    run, _ = fit(tmp_path, 60)
    losses = [m["loss"] for m in run.metrics()]
    assert len(losses) == 30
    assert losses[-1] < 0.5 * losses[0]


def test_a_cancelled_run_resumes_to_the_same_weights_and_metrics(tmp_path):
    whole, expected = fit(tmp_path / "whole", 12)

    def stop(step):
        if step.done == 5:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        fit(tmp_path / "cut", 12, on_step=stop)
    resumed, found = fit(tmp_path / "cut", 12, resume=True)
    for a, b in zip(expected.state_dict().values(), found.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    last = [list(run.metrics())[-1]["loss"] for run in (whole, resumed)]
    assert last[0] == last[1]


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_good_checkpoint(tmp_path):
    fit(tmp_path, 4)
    with pytest.raises(TrainingFailed, match="step 7"):
        fit(tmp_path, 10, resume=True, poison_at=6)
    state = Run.at(tmp_path).load()
    assert state["step"] == 4
    assert all(torch.isfinite(v).all() for v in state["nets"]["net"].values())


def test_masters_keep_updates_that_bf16_would_round_away():
    layer = nn.Linear(1, 1, bias=False).to(torch.bfloat16)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    optimiser = torch.optim.SGD(layer.parameters(), lr=1e-3)
    masters = engine._mastered(optimiser)
    for _ in range(10):  # bf16 has steps of 0.0078 at 1: each single update is lost without masters
        layer.weight.grad = torch.ones_like(layer.weight)
        masters.pull_gradients()
        optimiser.step()
        masters.push_values()
    assert layer.weight.item() == pytest.approx(0.99, abs=0.004)
    assert masters.pairs[0][1].item() == pytest.approx(0.99, abs=1e-6)


def test_the_time_budget_ends_a_run(tmp_path):
    run, _ = fit(tmp_path, 10_000_000, minutes=0.01)
    assert 0 < run.load()["step"] < 10_000_000


def test_another_config_or_recipe_is_refused_but_a_longer_budget_is_not(tmp_path):
    Run.open(tmp_path, "toy", {"steps": 4, "rate": 1}, False)
    with pytest.raises(BadRequest, match="--resume"):
        Run.open(tmp_path, "toy", {"steps": 4, "rate": 1}, False)
    with pytest.raises(BadRequest, match="rate=1, not 2"):
        Run.open(tmp_path, "toy", {"steps": 4, "rate": 2}, True)
    with pytest.raises(BadRequest, match="'toy'"):
        Run.open(tmp_path, "other", {}, True)
    Run.open(tmp_path, "toy", {"steps": 9, "rate": 1}, True)
    with pytest.raises(BadRequest, match="no run folder"):
        Run.at(tmp_path / "nowhere")


def test_a_line_cut_by_a_kill_does_not_spoil_the_metrics(tmp_path):
    run = Run.open(tmp_path, "toy", {}, False)
    run.log(1, {"loss": 1.0})
    run.log(2, {"loss": 0.5})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "lo')
    assert [m["step"] for m in run.metrics()] == [1, 2]
    run.forget_after(1)
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["step"] == 1


def test_an_estimate_counts_and_times_a_few_steps_and_leaves_nothing_behind(tmp_path):
    run = Run.open(tmp_path / "run", "toy", {}, False)
    before = sorted(tmp_path.rglob("*"))
    found = engine.estimate(lambda: engine.fit(run, trainee(), engine.Budget(1000, minutes=5.0), 5))
    assert found.parameters == {"net": 4 * 8 + 8 + 8 + 1}
    # forward 2·16·(4·8 + 8), gradients of the weights as much, of the hidden layer 2·16·8: nobody asks for the input's
    assert found.flops == 2 * 2 * 16 * (4 * 8 + 8) + 2 * 16 * 8
    assert 0 < found.seconds_a_step < 1
    assert found.memory_bytes > 2**20
    assert found.expected_steps == min(1000, int(300 / found.seconds_a_step))
    assert sorted(tmp_path.rglob("*")) == before


def test_what_trains_nothing_has_no_estimate():
    with pytest.raises(BadRequest, match="nothing to estimate"):
        engine.estimate(lambda: None)


def test_a_nan_keeps_the_last_good_checkpoint_and_says_so(tmp_path):
    fit(tmp_path, 4)
    good = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(TrainingFailed, match="checkpoint before it is kept"):
        fit(tmp_path, 8, resume=True, poison_at=6)
    assert (tmp_path / "checkpoint.pt").read_bytes() == good


def test_a_nan_before_the_first_checkpoint_says_that_there_is_none(tmp_path):
    with pytest.raises(TrainingFailed, match="no checkpoint was there yet"):
        fit(tmp_path, 8, poison_at=1)


def test_trouble_stands_behind_the_step_number_while_it_lasts(tmp_path):
    told = []
    run = Run.open(tmp_path, "toy", {}, False)
    toy = trainee()
    toy.watch = lambda nets: {"diversity": 0.1, "diversity_real": 0.5}
    engine.fit(run, toy, engine.Budget(12, log_every=2, sheet_every=2), 5, lambda step: told.append(step.stage))
    assert "collapse" not in told[0]
    assert told[-1] == "toy, step 12, collapse"
