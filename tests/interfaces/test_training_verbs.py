"""Training and measuring from the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from danqing.artwork.image import Picture, write
from danqing.compute import checkpoint
from danqing.training import generators
from danqing.training.run import Run

Danqing = Callable[..., tuple[int, str, str]]


@pytest.fixture
def works(home: Path) -> Path:
    """A folder of 60 labelled pictures."""
    Path("works").mkdir()
    rng = np.random.default_rng(5)
    rows = []
    for i in range(60):
        pixels = (rng.random((40, 48, 3), np.float32) + i % 2) / 2
        write(Picture(pixels), Path("works") / f"{i}.png")
        rows.append(json.dumps({"file_name": f"{i}.png", "style": ["dark", "light"][i % 2]}))
    Path("works/metadata.jsonl").write_text("\n".join(rows), "utf-8")
    return Path("works")


def test_a_model_is_trained_and_measured_again(danqing: Danqing, works: Path):
    code, out, err = danqing("train", "perceptual", "tiny=yes", "steps=2", "--data", works, "--run", "run", "--json")
    assert code == 0, err
    measured = json.loads(out)["measured"]
    assert Path("run/weights.safetensors").exists()
    code, out, err = danqing("evaluate", "run", "--data", works, "--json")
    assert code == 0, err
    assert json.loads(out)["measured"] == pytest.approx(measured, abs=0.02)


def test_settings_are_listed(danqing: Danqing):
    code, out, _ = danqing("train", "fast", "--settings")
    assert code == 0
    assert "style_weight" in out
    assert "Gram matrices" in out


def test_every_setting_says_what_it_is_for(danqing: Danqing):
    code, out, _ = danqing("train", "fast", "--settings", "--json")
    assert code == 0
    assert all(entry["meaning"] for entry in json.loads(out)["settings"].values())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["perceptual"], "--data"),
        (["perceptal", "--data", "works"], "'perceptual'"),
        (["perceptual", "stesp=4", "--data", "works"], "'steps'"),
        (["perceptual", "steps=many", "--data", "works"], "steps is 'many'"),
        (["perceptual", "steps", "--data", "works"], "KEY=VALUE"),
        (["perceptual", "--data", "nowhere"], "not a folder"),
    ],
)
def test_a_wrong_training_request_is_one_line_and_exit_code_2(
    danqing: Danqing, works: Path, words: list[str], message: str
):
    code, out, err = danqing("train", *words)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert out == ""


def test_ctrl_c_saves_a_checkpoint_and_resume_goes_on(works: Path, danqing: Danqing):
    words = ["train", "perceptual", "tiny=yes", "steps=100000", "checkpoint_s=9999", "--data", "works", "--run", "run"]
    command = [sys.executable, "-m", "danqing", *words]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 60
    while not Path("run/metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "--resume" in err
    assert Path("run/checkpoint.pt").exists()
    code, _, err = danqing("train", "perceptual", "steps=1", *words[5:], "--resume")  # all else is the run's own
    assert code == 0, err


def test_a_run_goes_on_with_the_data_it_was_begun_with(danqing: Danqing):
    words = ["train", "dcgan", "tiny=yes", "--run", "run"]
    code, _, err = danqing(*words, "--resume")  # before there is a run
    assert code == 2
    assert "run holds no run to go on with; give --data" in err
    assert not Path("run").exists()
    assert danqing(*words, "steps=1", "--data", "digits")[0] == 0
    code, _, err = danqing("train", "dcgan", "--run", "run", "steps=2", "--resume")
    assert code == 0, err
    assert max(int(row["step"]) for row in Run.at(Path("run")).metrics()) == 2


def test_a_folder_that_is_no_run_is_refused(danqing: Danqing, works: Path):
    code, _, err = danqing("evaluate", works, "--data", works)
    assert code == 2
    assert "no run folder" in err


def test_a_dry_run_says_what_it_would_cost_and_leaves_nothing(danqing: Danqing, works: Path):
    words = ["train", "perceptual", "tiny=yes", "steps=500", "--data", works, "--run", "run", "--dry-run"]
    code, out, err = danqing(*words, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert sum(found["parameters"].values()) > 1000
    assert found["flops"] > 1e6
    assert found["expected_steps"] == 500
    assert found["expected_minutes"] > 0
    assert not Path("run").exists()
    code, out, _ = danqing(*words)
    assert code == 0
    assert "floating-point operations a step" in out


def test_settings_are_searched_and_the_search_goes_on(danqing: Danqing, works: Path):
    words = ["tune", "perceptual", "tiny=yes", "steps=2", "rate=1e-4..1e-2", "--data", works, "--study", "s.db"]
    words += ["--metric", "accuracy_style", "--json"]
    code, out, err = danqing(*words, "--trials", "1")
    assert code == 0, err
    first = json.loads(out)["trials"]
    code, out, err = danqing(*words, "--trials", "2")
    assert code == 0, err
    found = json.loads(out)
    assert found["trials"][:1] == first
    assert len(found["trials"]) == 2
    assert 1e-4 <= float(found["best"]["settings"]["rate"]) <= 1e-2


def test_a_search_over_what_the_recipe_has_not_is_refused_before_anything_is_trained(danqing: Danqing, works: Path):
    code, _, err = danqing("tune", "perceptual", "rtae=1e-4..1e-2", "--data", works, "--study", "s.db")
    assert code == 2
    assert "'rate'" in err
    assert not Path("s").exists()


class Brush:
    """A sampler of coloured squares."""

    classes = ()
    size = 32
    modules = torch.nn.Module()

    def draw(self, count: int, generator: torch.Generator) -> torch.Tensor:
        return torch.randn(count, 3, 4, 4, generator=generator)

    def pictures(self, latents: torch.Tensor, classes: object = None, truncation: float = 1.0) -> torch.Tensor:
        return torch.nn.functional.interpolate(latents, size=(32, 32)).tanh()


@pytest.fixture
def generator_run(works: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run of a generator whose pictures have become too alike."""
    run = Run.open(Path("painter"), "dcgan", {"size": 32}, False)
    checkpoint.save_weights(run.folder / "weights.safetensors", {"w": torch.zeros(1)}, {"architecture": "gan"})
    for step in range(5):
        run.log(step, {"held_diversity": 0.1, "held_diversity_real": 0.4})
    monkeypatch.setattr(generators, "restore", lambda tensors, about: Brush())
    return run.folder


def test_a_generator_is_measured_beside_its_floor_and_controls(danqing: Danqing, works: Path, generator_run: Path):
    code, out, err = danqing("evaluate", generator_run, "--data", works, "--count", "24")
    assert code == 0, err
    assert out.split()[:5] == ["figure", "made", "floor", "blurred", "noised"]
    assert "sha256" in out
    assert "near_copies" in out
    assert "the generator has collapsed" in err
    folder = generator_run / "evaluation"
    assert {p.name for p in folder.iterdir()} == {"samples.png", "nearest.png", "evaluation.json"}
    figures = json.loads((folder / "evaluation.json").read_text())["measured"]
    code, out, _ = danqing("evaluate", generator_run, "--data", works, "--count", "24", "--json")
    assert json.loads(out)["measured"] == figures


def test_the_backbone_is_exported(danqing: Danqing):
    pytest.importorskip("onnxruntime")
    code, out, err = danqing("export", "perceptual", "-o", "eyes.onnx", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["max_abs_error"] <= 1e-3
    assert Path("eyes.onnx").stat().st_size > 2**20
    code, _, err = danqing("export", "perceptual", "-o", "eyes.onnx")
    assert code == 2
    assert "--force" in err


def test_a_model_that_paints_nothing_is_not_exported(danqing: Danqing):
    code, _, err = danqing("export", "poet", "-o", "poet.onnx")
    assert code == 2
    assert "generators and the backbone" in err
