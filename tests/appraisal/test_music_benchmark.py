"""The measures of benchmarks/music.py measure what they say."""

from __future__ import annotations

import importlib.util
import itertools
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def opened(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def measures() -> ModuleType:
    return opened("music_measures")


def test_sets_from_one_source_overlap_and_others_do_not(measures):
    rng = np.random.default_rng(1)
    one, same = rng.normal(0, 1, (60, 4)), rng.normal(0, 1, (60, 4))
    assert measures.likeness(one, same) > 0.9
    assert measures.likeness(one, same + 20) < 0.01
    assert measures.likeness(one, np.zeros((60, 4))) < 0.8, "all alike is not alike to the real ones"
    assert measures.halves(one, rng) > 0.85


def test_the_longest_row_of_moves_that_is_known(measures):
    known = measures.Moves([[1, 2, 3, 4, 5], [7, 7, 7]])
    assert known.longest([9, 2, 3, 4, 9]) == 3
    assert known.longest([7, 7]) == 2
    assert known.longest([9, 9]) == 0
    assert known.longest([]) == 0


def test_a_composer_is_told_from_works_of_his_that_were_not_learned(measures):
    rng = np.random.default_rng(2)
    composers = np.repeat(np.array(["a", "b"]), 40)
    rows = rng.normal(0, 1, (80, 5)) + 3 * (composers == "b")[:, None]
    works = np.array([f"{name}{i // 4}" for i, name in enumerate(composers)])
    told, chances = measures.foretold(measures.Examples(rows, composers, works, works))
    assert (told == composers).mean() > 0.9
    assert np.allclose(chances.sum(axis=1), 1)


def test_what_sets_of_keys_are_given_sums_to_one(monkeypatch):
    """Over every set of three keys of a keyboard of that size."""
    frames = opened("music_frames")
    for name, value in {"KEYS": 3, "MOST": 3, "WIDTH": 8}.items():
        monkeypatch.setattr(frames, name, value)
    torch.manual_seed(1)
    model = frames.Frames().eval()
    sets = torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)))[:, None]  # (8, 1, 3): the first frame of a piece
    with torch.no_grad():
        keys, chosen = model.surprise(sets)
    assert float((-keys).exp().sum()) == pytest.approx(1, abs=1e-5)
    assert float((-chosen).exp().sum()) == pytest.approx(1, abs=1e-5)


def test_a_section_that_is_not_there_is_named():
    command = [sys.executable, str(BENCHMARKS / "music.py"), "sped", "--data", "."]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "sped: sections are jsb, style" in done.stderr
