"""Models in the studio: the cards of those that ship, and one's own: recipes, training jobs, runs to look at.

The server itself has no PyTorch in it: what a recipe's settings are is asked of another process, once. A run is read
from its folder's own files (`training.run`), so that runs of the command line under DANQING_HOME/runs are seen as well.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse

from danqing.artwork.request import Step
from danqing.artwork.shelf import default_home
from danqing.catalog import own
from danqing.catalog.own import NAME, RUNS
from danqing.errors import BadRequest, DanqingError, UnknownName
from danqing.interfaces.rooms import Studio, studio

if TYPE_CHECKING:
    from danqing.interfaces._worker import JobContext
    from danqing.recipes import Recipe

router = APIRouter(tags=["models"])
Here = Annotated[Studio, Depends(studio)]

DIGITS = "digits"
# Recipes that learn from any pictures, so that a page can offer them; `described` says so of each, and a test compares.
TRAINABLE = (
    "gan",
    "dcgan",
    "wgan_gp",
    "lsgan",
    "cgan",
    "progan",
    "stylegan",
    "r3gan",
    "projected",
    "vae",
    "autoencoder",
    "flow",
)
WORD = re.compile(r"[A-Za-z0-9_,+-]*")  # a setting that is no number; nothing that could be a path
FILES = ("backbone", "latents", "start", "files")  # settings that name files, where they are text
POINTS = 400  # of a curve that is sent
# The settings that a beginner is asked for, where a recipe has them; the others are folded away.
FIRST = ("minutes", "steps", "size", "batch", "rate", "seed")


# --- what ships -------------------------------------------------------------------------------------------------------


@router.get("/models")
def models() -> dict[str, Any]:
    """The cards of all models, each with its size on disk and whether it is here."""
    from danqing.catalog import catalog

    known = catalog.default()
    found = []
    for card in known.cards():
        path = known.path(card.name)
        here = path.is_file()
        found.append({**card.as_dict(), "here": here, "bytes": path.stat().st_size if here else card.size_bytes})
    return {"models": found}


@router.get("/models/own")
def mine(here: Here) -> dict[str, Any]:
    """One's own finished models, by the name that requests take: the recipe, the art, the music styles.

    `generators` are those that ship, for the art that cannot do without one.
    """
    from danqing.arts.compose import styles_of
    from danqing.catalog import catalog

    found = [
        {"name": one.name, "recipe": one.recipe, "art": one.art, "language": one.config.get("language", ""),
         "styles": styles_of(one.places[0]) if one.art == "compose" else ()}
        for one in own.listed(here.home)
    ]  # fmt: skip
    made = [card.name for card in catalog.cards() if card.architecture.get("architecture") in ("gan", "vae", "flow")]
    return {"models": found, "generators": made}


@router.get("/data")
def data() -> dict[str, Any]:
    """The collections that the models learned from, and which models did."""
    from danqing.catalog import catalog

    found: dict[str, dict[str, Any]] = {}
    for card in catalog.cards():
        for source in card.data:
            entry = found.setdefault(source.name, {**asdict(source), "models": []})
            entry["models"].append(card.name)
    return {"data": list(found.values())}


# --- recipes ----------------------------------------------------------------------------------------------------------


@router.get("/recipes")
def recipes() -> dict[str, Any]:
    """Every recipe: what it is for, what data it takes, its settings with defaults and meanings."""
    return {"recipes": _recipes()}


@functools.cache
def _recipes() -> list[dict[str, Any]]:
    command = [sys.executable, "-c", "from danqing.interfaces.rooms.models import tell; tell()"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise DanqingError(f"the recipes cannot be read: {last[0]}")
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def tell() -> None:
    """Print the recipes as JSON: what the other process is asked to do."""
    from danqing import recipes as kept

    sys.stdout.write(json.dumps([described(kept.get(name)) for name in kept.names()], ensure_ascii=False))


def described(recipe: Recipe) -> dict[str, Any]:
    """A recipe as JSON."""
    from danqing import recipes as kept

    defaults = recipe.config()
    fields = []
    for name, meaning in kept.meanings(recipe).items():
        value = getattr(defaults, name)
        kind = {bool: "bool", int: "int", float: "float"}.get(type(value), "text")
        if kind == "text" and name in FILES:
            continue  # the command line takes files; a page does not
        fields.append({"name": name, "kind": kind, "default": _shown(value) if kind == "text" else value,
                       "meaning": meaning, "first": name in FIRST})  # fmt: skip
    pictures = DIGITS in recipe.data
    return {"name": recipe.name, "purpose": recipe.purpose, "data": recipe.data, "pictures": pictures, "fields": fields}


def _shown(value: Any) -> str:
    """A setting that is no number as the command line has it."""
    if isinstance(value, tuple):
        return ",".join("x".join(map(str, part)) if isinstance(part, tuple) else str(part) for part in value)
    return str(value)


# --- runs -------------------------------------------------------------------------------------------------------------


@router.get("/runs")
def runs(here: Here) -> dict[str, Any]:
    """Every run, the one that was touched last first."""
    folders = [path.parent for path in (here.home / RUNS).glob("*/run.json") if NAME.fullmatch(path.parent.name)]
    found = [_summary(folder) for folder in folders]
    return {"runs": sorted(found, key=lambda run: str(run["touched"]), reverse=True)}


@router.get("/runs/{name}")
def run(name: str, here: Here) -> dict[str, Any]:
    """One run: its settings, its figures as curves, what goes wrong in words, its sheets of samples."""
    from danqing.training import stability

    folder = _folder(here.home, name)
    about = _read(folder / "run.json")
    rows = list(_rows(folder))
    warnings = [asdict(warning) for warning in stability.warnings(rows)]
    settings = {key: value for key, value in about.get("config", {}).items() if not isinstance(value, dict)}
    sheets = sorted(int(path.stem) for path in (folder / "sheets").glob("*.png") if path.stem.isdigit())
    return {**_summary(folder), "settings": settings, "series": _series(rows), "warnings": warnings, "sheets": sheets,
            "measured": _read(folder / "result.json"), "folder": str(folder)}  # fmt: skip


@router.get("/runs/{name}/sheet")
def sheet(name: str, here: Here, step: int | None = None) -> FileResponse:
    """A sheet of samples: of a step, else the latest."""
    folder = _folder(here.home, name) / "sheets"
    sheets = sorted(folder.glob("*.png")) if step is None else [folder / f"{step:06d}.png"]
    if not sheets or not sheets[-1].is_file():
        raise UnknownName("sheet", "latest" if step is None else str(step), (), f"GET /api/runs/{name}")
    return FileResponse(sheets[-1], media_type="image/png")


def _folder(home: Path, name: str) -> Path:
    """The folder of a run; raises UnknownName. A name is never a path."""
    folder = home / RUNS / name
    if not NAME.fullmatch(name) or not (folder / "run.json").is_file():
        known = [path.parent.name for path in (home / RUNS).glob("*/run.json")]
        raise UnknownName("run", name, known, "GET /api/runs")
    return folder


def _summary(folder: Path) -> dict[str, Any]:
    about = _read(folder / "run.json")
    last: dict[str, Any] = {}
    for row in _rows(folder):
        last |= row
    touched = max(path.stat().st_mtime for path in folder.iterdir())
    sheets = sorted((folder / "sheets").glob("*.png"))
    finished = (folder / "weights.safetensors").is_file() and (folder / "result.json").is_file()
    return {
        "name": folder.name,
        "recipe": about.get("recipe", ""),
        "data": str(about.get("data", "")),
        "state": "finished" if finished else "stopped",
        "art": own.art_of(str(about.get("recipe", ""))) if finished else "",
        "checkpoint": (folder / "checkpoint.pt").is_file(),
        "step": int(last.get("step", 0)),
        "steps": about.get("config", {}).get("steps"),
        "minutes": round(float(last.get("elapsed_s", 0)) / 60, 2),
        "touched": datetime.fromtimestamp(touched, UTC).isoformat(),
        "sheet": f"/api/runs/{folder.name}/sheet?step={int(sheets[-1].stem)}" if sheets else None,
    }


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; an empty one where there is none, or where it is being written."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _rows(folder: Path) -> Iterator[dict[str, float]]:
    """Every whole row of a run's log."""
    try:
        lines = (folder / "metrics.jsonl").read_text("utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:  # cut by a kill
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            yield row


def _series(rows: list[dict[str, float]]) -> dict[str, list[list[float]]]:
    """Each figure as [[step, value] …], thinned to what a curve can show."""
    found: dict[str, list[list[float]]] = {}
    for row in rows:
        for name, value in row.items():
            if name != "step" and isinstance(value, int | float) and math.isfinite(value):
                found.setdefault(name, []).append([row["step"], value])
    for name, points in found.items():
        if len(points) > POINTS:
            found[name] = [points[round(i * (len(points) - 1) / (POINTS - 1))] for i in range(POINTS)]
    return found


# --- jobs -------------------------------------------------------------------------------------------------------------


def check(request: dict[str, Any]) -> dict[str, Any]:
    """A training's request with nothing left open; raises BadRequest, UnknownName. Reads no recipe."""
    recipe, name = str(request.get("recipe", "")), str(request.get("run") or request.get("recipe", ""))
    if recipe not in TRAINABLE:
        raise UnknownName("recipe", recipe, TRAINABLE, f"the recipes for pictures: {', '.join(TRAINABLE)}")
    if not NAME.fullmatch(name):
        raise BadRequest(f"run is {name!r}; it is a name of letters, digits, dots and hyphens, no path")
    settings = request.get("settings") or {}
    if not isinstance(settings, dict):
        raise BadRequest(f"settings is {settings!r}; it is an object of the recipe's settings, {{'steps': 500}}")
    resume = bool(request.get("resume", False))
    began = (default_home() / RUNS / name / "run.json").exists()
    if began and not resume and request.get("verb") != "estimate":
        raise BadRequest(f"run {name!r} is there already; go on with it (resume), or choose another name")
    if resume and not began:
        raise BadRequest(f"run {name!r} is not there, so there is nothing to go on with; leave resume out")
    given = request.get("data") or (None if resume else DIGITS)
    if given is not None and given != DIGITS and not (isinstance(given, dict) and given.get("upload")):
        raise BadRequest(f"data is {given!r}; it is 'digits' or an uploaded .zip of pictures: {{'upload': id}}")
    words = {key: _written(key, value) for key, value in settings.items()}
    return {"recipe": recipe, "run": name, "data": given, "settings": words, "resume": resume}


def _written(key: str, value: Any) -> str:
    """A setting as it is written on the command line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float | str):
        raise BadRequest(f"setting {key} is {value!r}; it is a number, a word, or true or false")
    text = f"{value:g}" if isinstance(value, float) else str(value)
    with contextlib.suppress(ValueError):
        float(text)
        return text
    if not WORD.fullmatch(text) or (text and key in FILES):
        raise BadRequest(f"setting {key} is {text!r}; the page takes numbers and plain words, no files: danqing train")
    return text


def train_job(context: JobContext) -> None:
    """Train, or go on training. Cancelled, it leaves a checkpoint; the latest sheet is the job's preview."""
    from danqing import studio
    from danqing.artwork import image

    # A worker that died, or a job that was tried again, goes on where the run stands.
    began = (context.home / RUNS / str(context.request.get("run", "")) / "run.json").exists()
    asked = check({**context.request, "resume": began})
    folder = context.home / RUNS / asked["run"]
    shown: list[Path] = []

    def on_step(step: Step) -> None:
        sheets = sorted((folder / "sheets").glob("*.png"))[-1:]
        if sheets and sheets != shown:
            shown[:] = sheets
            context.preview(image.read(sheets[0]))
        context.on_step(step)

    source = _source(context, asked["data"], folder)
    measured = studio.train(asked["recipe"], source, folder, asked["settings"], resume=asked["resume"], on_step=on_step)
    warnings = [asdict(warning) for warning in studio.warnings(folder)]
    context.done(report={"run": asked["run"], "measured": measured, "warnings": warnings})


def estimate_job(context: JobContext) -> None:
    """What a training would cost, measured over a few steps; leaves nothing behind."""
    from danqing import studio

    asked = check({**context.request, "verb": "estimate", "resume": False})
    context.on_step(Step(0, 1, "measuring"))
    source = _source(context, asked["data"] or DIGITS, context.home / RUNS / asked["run"])
    found = studio.estimate(asked["recipe"], source, asked["settings"])
    context.done(report={"recipe": asked["recipe"], **found.as_dict()})


def _source(context: JobContext, given: Any, folder: Path) -> Path:
    """What to learn from: `digits`, an uploaded file, or what the run was begun with."""
    if given == DIGITS:
        return Path(DIGITS)
    if given is None:
        return Path(str(_read(folder / "run.json").get("data", DIGITS)))
    return context.upload(str(given["upload"]))


JOBS = {"train": train_job, "estimate": estimate_job}
CHECKS = {"train": check, "estimate": lambda request: check({**request, "verb": "estimate", "resume": False})}
