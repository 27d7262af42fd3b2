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

from danqing.artwork.image import Picture, write

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


def test_a_folder_that_is_no_run_is_refused(danqing: Danqing, works: Path):
    code, _, err = danqing("evaluate", works, "--data", works)
    assert code == 2
    assert "no run folder" in err
