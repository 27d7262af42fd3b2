"""`origins`: filters of every line and every eight characters in a row of the poems, so that no copy passes for new.

Data: the poems that the poet learned from and those that were held out, and the English verse. Nothing is learned; the
filters are filled, and their false alarms are counted: lines and runs whose characters were shuffled, asked about where
they are in no poem.

Budget: a few minutes on one CPU core.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from danqing.artwork.request import OnStep, Step
from danqing.compute import checkpoint
from danqing.encode import origins
from danqing.encode.origins import GRAM, SHORTEST, Filter, Origins
from danqing.recipes import Recipe
from danqing.training import texts
from danqing.training.run import Run, write_atomically

PARTS = ("lines", "runs", "verse")
ASKED = 200_000  # shuffled lines and runs at most


@dataclass(frozen=True)
class Config:
    """Settings of one run."""

    files: str = "tang-shi,song-shi-regulated,song-ci"  # in --data or its `text`; "." is every text in it
    verse: str = "english-verse"  # English verse; "" for none
    bits: float = 12.0  # of a filter for each entry
    seed: int = 9

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(files=".", verse="")


def train(config: Config, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Fill the filters and save them. Returns what `evaluate` returns."""
    state = run.load() or {"step": 0, "filters": {}, "entries": {}}
    poems, verses = _read(config, root)
    for number, part in enumerate(PARTS):
        if number >= state["step"]:
            entries = np.unique(_entries(part, poems, verses))
            state["filters"][part] = torch.from_numpy(Filter.of(entries, config.bits).bits)
            state["entries"][part] = len(entries)
            state["step"] = number + 1
            run.save(state)
            run.log(number + 1, {part: float(len(entries))})
        on_step(Step(number + 1, len(PARTS), part))
    about = {"architecture": "origins", "config": asdict(config), "entries": state["entries"]}
    checkpoint.save_weights(run.folder / "weights.safetensors", state["filters"], about)
    measured = evaluate(run, root)
    size = sum(len(bits) for bits in state["filters"].values())
    report = {**measured, "entries": state["entries"], "bytes": size, "poems": len(poems)}
    write_atomically(run.folder / "result.json", json.dumps(report, indent=1).encode())
    return measured


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """The share of false alarms among shuffled lines and runs, and of misses among those that are there (none)."""
    config = Config(**run.config)
    filters, about = checkpoint.load_weights(run.folder / "weights.safetensors")
    known = Origins({name: bits.numpy() for name, bits in filters.items()}, about)
    poems, _ = _read(config, root)
    rng = np.random.default_rng(config.seed)
    lines = [line for poem in poems for line in poem if len(line) >= SHORTEST]
    joined = ["".join(poem) for poem in poems]
    grams = [text[i : i + GRAM] for text in joined for i in (0, 5, 11) if len(text) >= i + GRAM]
    missed = ~known.lines.has(origins.hashes(lines[:ASKED]))
    return {
        "false_alarms_lines": _false_alarms(known.lines, lines, _entries("lines", poems, []), rng),
        "false_alarms_runs": _false_alarms(known.runs, grams, _entries("runs", poems, []), rng),
        "missed_lines": float(missed.mean()),
    }


def _read(config: Config, root: Path) -> tuple[list[list[str]], list[str]]:
    """(poems as lines without marks, lines of English verse)."""
    poems = [poem.segments for poem in texts.poems(texts.find(root, config.files))]
    if not config.verse:
        return poems, []
    works = [work for path in texts.find(root, config.verse) for work in texts.works(path, least=1)]
    lines = {origins.english_line(line) for work in works for p in work.paragraphs for line in p.split("\n")}
    return poems, sorted(line for line in lines if line.count(" ") >= 3)


def _entries(part: str, poems: Sequence[Sequence[str]], verses: Sequence[str]) -> NDArray[np.uint64]:
    if part == "runs":
        return origins.runs(poems)
    lines = [line for poem in poems for line in poem if len(line) >= SHORTEST]
    return origins.hashes(verses if part == "verse" else lines)


def _false_alarms(known: Filter, texts_: Sequence[str], entries: NDArray[np.uint64], rng: np.random.Generator) -> float:
    """The share of shuffled texts that the filter takes for known, of those that are not."""
    chosen = rng.choice(len(texts_), min(ASKED, len(texts_)), replace=False)
    shuffled = ["".join(rng.permutation(list(texts_[i]))) for i in chosen]
    asked = origins.hashes(shuffled)
    asked = asked[~np.isin(asked, entries)]
    return float(known.has(asked).mean()) if len(asked) else 0.0


RECIPE = Recipe(
    name="origins",
    purpose="Knows every line of the poems and of the English verse, so that no copy is handed out as new",
    data="a folder with tang-shi, song-shi-regulated, song-ci and english-verse (.xz), or files=. verse= for one's own",
    config=Config,
    train=train,
    evaluate=evaluate,
)
