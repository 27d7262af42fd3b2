"""A small share of the fuzzing run that benchmarks/fuzz_scores.py does in full."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_damaged_scores_are_read_or_refused_and_nothing_else(tmp_path):
    script = Path(__file__).parents[2] / "benchmarks" / "fuzz_scores.py"
    command = [sys.executable, str(script), "--count", "600", "--keep", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no faults" in done.stdout
