"""A training run in a process of its own, which can be killed; the processes come from one that has PyTorch already."""

import dataclasses
import multiprocessing
import os
import signal
import traceback
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")  # importing PyTorch and Fabric anew takes longer than the training
CONTEXT.set_forkserver_preload(["torch", "lightning_fabric", "danqing.training.engine", "danqing.recipes.shipped"])


def run(name: str, root: Path, folder: Path, kill: int) -> None:
    """Train a recipe's tiny config, going on where the folder has a checkpoint; killed after step `kill`."""
    import torch

    from danqing import recipes
    from danqing.training.run import Run

    torch.set_num_threads(1)
    recipe = recipes.get(name)
    config = recipe.config.tiny()
    record = Run.open(folder, name, dataclasses.asdict(config), resume=True)

    def on_step(step):
        if step.done == kill:
            os.kill(os.getpid(), signal.SIGKILL)

    recipe.train(config, root, record, on_step)


def _guarded(name: str, root: Path, folder: Path, kill: int, errors: Path) -> None:
    try:
        run(name, root, folder, kill)
    except BaseException:
        errors.write_text(traceback.format_exc(), "utf-8")
        raise SystemExit(1) from None


def train(name: str, root: Path, folder: Path, kill: int = -1):
    """A training run that has begun."""
    errors = folder.parent / f"{folder.name}.errors"
    process = CONTEXT.Process(target=_guarded, args=(name, root, folder, kill, errors))
    process.errors = errors
    process.start()
    return process


def finish(process) -> tuple[int | None, str]:
    """(exit code, the traceback of what went wrong)."""
    try:
        process.join(timeout=180)
    finally:
        process.kill()
        process.join()
    return process.exitcode, process.errors.read_text("utf-8") if process.errors.exists() else ""
