"""Any nets with any loss: what a run logs, what it learns, what comes back from its weights."""

import dataclasses
import itertools
import json
from pathlib import Path

import pytest
import torch

from danqing import recipes
from danqing.compute import checkpoint, device
from danqing.errors import BadRequest, UnknownName
from danqing.techniques import gan
from danqing.training import adversarial, engine, generators, metrics, pictures
from danqing.training.run import Run

DIGITS = Path("digits")
FP32 = device.Compute(torch.device("cpu"), torch.float32, torch.channels_last, "test")
PRESETS = ("gan", "dcgan", "wgan_gp", "lsgan", "cgan", "progan", "stylegan", "r3gan", "projected")


def trained(folder, name, **changes):
    """A run on digits at 16 px that has ended, and its result."""
    recipe = recipes.get(name)
    config = dataclasses.replace(recipe.config.tiny(), **changes)
    run = Run.open(folder, name, dataclasses.asdict(config), resume=False)
    return run, recipe.train(config, DIGITS, run, lambda step: None)


@pytest.fixture(scope="module")
def digits():
    return pictures.load(DIGITS, 16)


def test_a_run_logs_what_stability_is_judged_by_and_draws_its_sheets(tmp_path):
    run, measured = trained(tmp_path, "dcgan", steps=40, sheet_every=20)
    logged = list(run.metrics())
    assert {"loss_generator", "loss_discriminator", "gradient_generator", "gradient_discriminator"} <= set(logged[0])
    looks = [m for m in logged if "held_diversity" in m]
    assert len(looks) == 3  # at 20, at 40 and at the end
    kinds = ("accuracy_real", "accuracy_made", "diversity", "diversity_real", "sliced_wasserstein")
    assert {f"held_{kind}" for kind in kinds} <= set(looks[-1])
    assert all(0 <= looks[-1][f"held_{kind}"] <= 1 for kind in kinds[:2])
    assert sorted(p.name for p in (tmp_path / "sheets").iterdir()) == ["000020.png", "000040.png"]
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["sliced_wasserstein"] == measured["sliced_wasserstein"]
    assert result["parameters"] > 0


@pytest.mark.parametrize("name", ["cgan", "stylegan", "progan", "projected"])
def test_weights_come_back_as_the_generator_that_was_saved(name, tmp_path):
    run, measured = trained(tmp_path, name, storage="float32")
    assert recipes.get(name).evaluate(run, DIGITS) == measured
    tensors, about = checkpoint.load_weights(tmp_path / "weights.safetensors")
    own = generators.restore(tensors, about)
    assert about["architecture"] == "gan"
    assert own.classes == (tuple("0123456789") if name == "cgan" else ())
    z = own.draw(3, torch.Generator().manual_seed(1)).requires_grad_()
    made = own.pictures(z, torch.tensor([0, 5, -1]) if own.classes else None)
    assert made.shape == (3, 3, own.size, own.size)
    assert made.abs().max() <= 1
    made.sum().backward()
    assert z.grad.abs().sum() > 0
    assert torch.equal(generators.samples(own, 4, seed=2), generators.samples(own, 4, seed=2))


def test_styles_can_be_mixed_and_pulled_to_the_average(tmp_path):
    trained(tmp_path, "stylegan")
    own = generators.restore(*checkpoint.load_weights(tmp_path / "weights.safetensors"))
    z = own.draw(4, torch.Generator().manual_seed(3))
    styles = own.styles(z)
    assert styles.shape == (4, len(own.style_weights()), own.latent)
    assert torch.allclose(own.from_styles(styles), own.pictures(z), atol=1e-6)
    spread = [own.styles(z, truncation=t).std(0).mean() for t in (1.0, 0.5, 0.0)]
    assert spread[0] > spread[1] > spread[2]
    assert float(spread[2]) < 1e-6
    assert metrics.diversity(own.pictures(z, truncation=0.0)) < 1e-3
    mixed = torch.cat([styles[:1, :3], styles[1:2, 3:]], dim=1)
    assert not torch.equal(own.from_styles(mixed), own.from_styles(styles[:1]))


@pytest.mark.parametrize("name", ["gan", "dcgan", "r3gan"])
def test_a_few_seconds_of_training_bring_samples_nearer_to_held_out_pictures(name, tmp_path, digits):
    _, before = trained(tmp_path / "before", name, steps=1)
    changes = {"rate": 2e-3, "rate_discriminator": 2e-3, "steps": 60} if name == "r3gan" else {"steps": 150}
    _, after = trained(tmp_path / "after", name, batch=16, width=16, average=0.9, **changes)
    assert after["sliced_wasserstein"] < 0.75 * before["sliced_wasserstein"]
    assert after["diversity"] > 0.1 * after["diversity_real"]


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "hinge", "augment": "diff"},
        {"loss": "least_squares", "r1": 1.0, "every": 2},
        {"loss": "minimax", "between": 1.0, "norm": False},
        {"loss": "relativistic", "r1": 0.5, "r2": 0.5, "augment": "adaptive"},
    ],
)
def test_parts_can_be_put_together_freely(changes, tmp_path):
    run, measured = trained(tmp_path, "dcgan", **changes)
    assert all(value == value for value in measured.values())
    logged = next(iter(run.metrics()))
    assert ("slope_r1" in logged) == bool(changes.get("r1"))
    assert ("slope_r2" in logged) == bool(changes.get("r2"))
    assert ("penalty" in logged) == bool(changes.get("between"))


@pytest.mark.parametrize("slopes", [{}, {"r1": 0.5, "r2": 0.3}, {"r1": 0.5}, {"between": 2.0}])
def test_real_and_made_pictures_in_one_batch_teach_what_two_batches_do(slopes, monkeypatch):
    """Where each is scored by itself; batch norm is found out, and looking for it leaves no trace."""
    monkeypatch.setattr(device, "choose", lambda: FP32)

    def taught(norm, apart=None):
        torch.manual_seed(0)
        config = gan.Config(size=16, width=4, norm=norm)
        game = adversarial.Game(adversarial.Play(batch=4, **slopes), config, gan.build(config), None)
        game._apart = apart
        real, made = torch.randn(4, 3, 16, 16), torch.randn(4, 3, 16, 16)
        moment = engine.Moment(0, 0.5, torch.Generator().manual_seed(1), 0, 1, torch.Tensor.backward, None)
        found = game.judge(moment, real, made, None)
        net = game.discriminator
        return game, found | {n: p.grad for n, p in net.named_parameters()} | dict(net.named_buffers()), torch.rand(1)

    game, found, drawn = taught(norm=False)
    assert game._apart == (None if "r1" in slopes and "r2" not in slopes else True)
    torch.testing.assert_close(found, taught(norm=False, apart=False)[1])
    if not slopes:
        game, found, drawn = taught(norm=True)
        assert game._apart is False
        _, expected, as_drawn = taught(norm=True, apart=False)
        assert all(torch.equal(found[name], value) for name, value in expected.items())
        assert torch.equal(drawn, as_drawn)


@pytest.mark.parametrize("changes", [{"augment": "adaptive"}, {"augment": "diff", "critics": 2}, {"label": "digit"}])
def test_a_projected_discriminator_plays_by_other_rules_too(changes, tmp_path):
    run, measured = trained(tmp_path, "projected", **changes)
    assert all(value == value for value in measured.values())
    assert next(iter(run.metrics()))["gradient_generator"] > 0


def test_only_some_of_the_pictures_can_be_learned_and_measured(tmp_path):
    run, measured = trained(tmp_path, "dcgan", only="digit=1,7")
    assert json.loads((tmp_path / "result.json").read_text())["training_pictures"] < 400
    assert recipes.get("dcgan").evaluate(run, DIGITS) == measured


def test_a_path_length_can_be_asked_of_styles(tmp_path):
    run, _ = trained(tmp_path, "stylegan", path=2.0)
    assert next(iter(run.metrics()))["path"] >= 0


def test_adaptive_augmentation_grows_on_a_collection_that_is_learned_by_heart(tmp_path):
    run, _ = trained(tmp_path, "dcgan", augment="adaptive", steps=60, ramp=500.0, target=0.1)
    assert max(m.get("augmentation", 0.0) for m in run.metrics()) > 0.02


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"family": "biggan"}, "family is 'biggan'"),
        ({"loss": "l2"}, "loss is 'l2'"),
        ({"augment": "much"}, "augment is 'much'"),
        ({"size": 48}, "size is 48"),
        ({"critics": 0}, "critics"),
        ({"path": 1.0}, "stylegan"),
        ({"family": "projected", "r1": 1.0}, "leave them at 0"),
        ({"storage": "int4"}, "storage is 'int4'"),
        ({"minutes": 0}, "minutes"),
    ],
)
def test_settings_that_make_no_game_are_refused_before_anything_runs(wrong, said):
    with pytest.raises(BadRequest, match=said):
        dataclasses.replace(recipes.get("dcgan").config(), **wrong)


def test_weights_of_an_unknown_family_are_refused():
    with pytest.raises(BadRequest, match="'biggan'"):
        adversarial.restore({}, {"family": "biggan"})


def test_presets_are_found_by_either_spelling_and_know_their_settings():
    assert recipes.get("wgan-gp") is recipes.get("wgan_gp")
    assert recipes.get("wgan_gp").config().critics == 5
    configured = recipes.configure(recipes.get("dcgan"), {"size": "32", "loss": "hinge", "decay": "yes"})
    assert (configured.size, configured.loss, configured.decay) == (32, "hinge", True)
    assert all(recipes.meanings(recipes.get("r3gan")).values())
    with pytest.raises(UnknownName, match="'dcgan'"):
        recipes.get("dcgann")
    with pytest.raises(UnknownName, match="latent"):
        recipes.configure(recipes.get("dcgan"), {"latents": "3"})


def test_diversity_and_distance_are_zero_for_the_same_and_grow_with_difference():
    same = torch.rand(1, 3, 16, 16).expand(6, -1, -1, -1)
    assert metrics.diversity(same) == pytest.approx(0, abs=1e-3)
    black, white = -torch.ones(6, 3, 16, 16), torch.ones(6, 3, 16, 16)
    assert metrics.diversity(torch.cat([black[:1], white[:1]])) == pytest.approx(2)
    assert metrics.sliced_wasserstein(black, black) == 0
    assert metrics.sliced_wasserstein(black, white) > metrics.sliced_wasserstein(black, 0 * white) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains_its_budget_without_collapse(name, tmp_path):
    """Two minutes on digits: figures stay finite, pictures differ from one another and come near the held-out ones."""
    small = {"batch": 32, "width": 16, "latent": 32, "steps": 100_000, "minutes": 2.0, "sheet_every": 200}
    _, before = trained(tmp_path / "before", name, **small | {"steps": 1})
    run, after = trained(tmp_path / "after", name, checkpoint_s=60.0, average=0.99, **small)
    losses = [m[k] for m in run.metrics() for k in gan_losses(m)]
    assert losses
    assert all(abs(value) < 1e4 for value in losses)
    assert after["sliced_wasserstein"] < 0.5 * before["sliced_wasserstein"]
    assert after["diversity"] > 0.6 * after["diversity_real"]
    late = list(itertools.islice((m["held_diversity"] for m in run.metrics() if "held_diversity" in m), 1, None))
    assert min(late, default=1.0) > 0.2 * after["diversity_real"]


def gan_losses(metrics):
    return [k for k in metrics if k.startswith(("loss_", "gradient_"))]
