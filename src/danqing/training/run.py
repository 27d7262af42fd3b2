"""A run folder: what one training run is, how far it came, and everything needed to go on after a kill.

run.json           recipe, config, seed, data fingerprint, versions: written once, at the start
metrics.jsonl      one line per logged step
checkpoint.pt      the last good state, replaced atomically
sheets/000400.png  fixed-seed samples as training goes
weights.safetensors, result.json   the finished model and how it was measured
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from danqing.compute import checkpoint
from danqing.errors import BadRequest, TrainingFailed


def write_atomically(path: Path, content: bytes) -> None:
    """The whole content or the old file, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with checkpoint.replacing(path) as file:
        file.write(content)


def data_of(run: Run | None, folder: Path, wanted: str) -> str:
    """What the run in `folder` was begun with, for going on without naming it again.

    Raises BadRequest where there is no such run, or where it does not say. wanted: what the recipe takes.
    """
    if run is None:
        raise BadRequest(f"no --data was given, and {folder} holds no run to go on with; give --data: {wanted}")
    data = str(run.about.get("data", ""))
    if not data:
        raise BadRequest(f"{folder} does not say what it was begun with; give --data: {wanted}")
    return data


@dataclass
class Run:
    """One run on disk. `open` starts it or, with `resume`, picks it up where its last checkpoint stands."""

    folder: Path
    recipe: str
    config: dict[str, Any]
    about: dict[str, Any] = field(default_factory=dict)  # seed, data fingerprint, versions, command

    @classmethod
    def open(cls, folder: Path, recipe: str, config: dict[str, Any], resume: bool, **about: object) -> Run:
        """Start or resume. A folder that holds another recipe, or the same with another config, is refused."""
        manifest = folder / "run.json"
        if not manifest.exists():
            run = cls(folder, recipe, config, dict(about))
            text = json.dumps({"recipe": recipe, "config": config, **about}, indent=1, ensure_ascii=False)
            write_atomically(manifest, text.encode())
            return run
        known = json.loads(manifest.read_text("utf-8"))
        if known["recipe"] != recipe:
            raise BadRequest(f"{folder} holds a run of {known['recipe']!r}, not of {recipe!r}; choose another --run")
        if not resume:
            raise BadRequest(f"{folder} already holds a run; go on with it by --resume, or choose another --run")
        now = json.loads(json.dumps(config))
        changed = [k for k in {*now, *known["config"]} if now.get(k) != known["config"].get(k)]
        # A longer budget is the one change that leaves the run the same run.
        if left := sorted(set(changed) - {"steps", "minutes"}):
            key = left[0]
            raise BadRequest(
                f"{folder} was begun with {key}={known['config'].get(key)}, not {now.get(key)}; "
                f"resume with the same settings (steps and minutes may grow) or choose another --run"
            )
        about = {k: v for k, v in known.items() if k not in ("recipe", "config")}
        return cls(folder, recipe, config, about)

    @classmethod
    def at(cls, folder: Path) -> Run:
        """An existing run, to look at or evaluate."""
        manifest = folder / "run.json"
        if not manifest.exists():
            raise BadRequest(f"{folder} is no run folder: it has no run.json. Runs are made by: danqing train")
        known = json.loads(manifest.read_text("utf-8"))
        about = {k: v for k, v in known.items() if k not in ("recipe", "config")}
        return cls(folder, known["recipe"], known["config"], about)

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint. state: nested dicts of tensors, numbers and strings."""
        checkpoint.save_torch(self.folder / "checkpoint.pt", state)

    def load(self) -> dict[str, Any] | None:
        """The last checkpoint, or None where there is none yet."""
        path = self.folder / "checkpoint.pt"
        return checkpoint.load_torch(path) if path.exists() else None

    def refuse_nonfinite(self, step: int, values: Mapping[str, float]) -> None:
        """Stop the run where a figure is not finite: what was saved before stays good."""
        for name, value in values.items():
            if not math.isfinite(value):
                kept = (
                    f"the checkpoint before it is kept in {self.folder}. Lower the learning rate (rate=…) in a new "
                    f"run, or go on from that checkpoint with --resume"
                    if (self.folder / "checkpoint.pt").exists()
                    else "no checkpoint was there yet. Lower the learning rate (rate=…) in a new run"
                )
                raise TrainingFailed(f"{name} became {value} at step {step}; {kept}")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Append one line to metrics.jsonl."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")

    def forget_after(self, step: int) -> None:
        """Drop metrics logged after the checkpoint's step: a resumed run writes them again."""
        path = self.folder / "metrics.jsonl"
        if path.exists():
            lines = [json.dumps(m) for m in self.metrics() if m["step"] <= step]
            write_atomically(path, "".join(f"{line}\n" for line in lines).encode())

    def metrics(self) -> Iterator[dict[str, float]]:
        """Every whole line of metrics.jsonl; a line cut by a kill is passed over."""
        path = self.folder / "metrics.jsonl"
        if path.exists():
            for line in path.read_text("utf-8").splitlines():
                try:
                    yield json.loads(line)
                except json.JSONDecodeError:
                    continue
