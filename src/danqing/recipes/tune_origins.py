"""`tune_origins`: a filter of every two bars of the melodies that the music models learned from, whatever their key.

Data: the JSB chorales' melodies, the folk tunes and the top lines of the piano music's right hands, those that were
held out as well; in a filter of their own (pop= and jazz=), the songs' melodies and the solos. Nothing is learned; the
filter is filled, and two things are counted: false alarms, on melodies whose pitches were shuffled; and how many of the
held-out tunes, which people made, share more than two bars with the training part: what to expect of music that copies
nobody.

Budget: a few minutes on one CPU core, nearly all of it for reading the tunes.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from danqing.artwork.request import OnStep, Step
from danqing.compute import checkpoint
from danqing.encode import melodies, notes, theory, tunes
from danqing.encode.melodies import Known, Line
from danqing.encode.origins import Filter
from danqing.encode.tunes import Tune
from danqing.recipes import Recipe
from danqing.training import folk, jazz, music, piano, pop, repertoire
from danqing.training.run import Run, write_atomically

PARTS = ("chorales", "folk", "piano", "pop", "jazz", "filter")
COLLECTIONS = PARTS[:-1]
ASKED = 1500  # shuffled melodies at most


@dataclass(frozen=True)
class Config:
    """Settings of one run."""

    chorales: str = "jsb-chorales-json"  # in --data or its `music`, a .zip or .json; "" for none
    folk: str = "nottingham-folk-abc,music21"  # ABC, as for the folk recipe; "" for none
    piano: str = piano.FILES  # .zip archives of **kern, as for the piano recipe; "" for none
    pop: str = ""  # songs, as for the pop recipe; "" for none
    jazz: str = ""  # solos, as for the jazz recipe; "" for none
    bits: float = 14.0  # of the filter for each passage
    seed: int = 14

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(chorales="chorales", folk="", piano="")


def train(config: Config, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Fill the filter and save it. Returns what `evaluate` returns."""
    state = run.load() or {"step": 0, "entries": {}, "bits": None}
    for number, part in enumerate(PARTS):
        if number >= state["step"]:
            if part == "filter":
                every = np.unique(np.concatenate([found.numpy() for found in state["entries"].values()]))
                state["bits"] = torch.from_numpy(Filter.of(every.view(np.uint64), config.bits).bits)
            else:
                training, held = _lines(part, getattr(config, part), root, run.folder)
                state["entries"][part] = torch.from_numpy(melodies.entries([*training, *held]).view(np.int64))
            state["step"] = number + 1
            run.save(state)
            run.log(number + 1, {part: float(len(state["entries"].get(part, ())))})
        on_step(Step(number + 1, len(PARTS), part))
    counts = {part: len(found) for part, found in state["entries"].items()}
    about = {"architecture": "tune_origins", "config": asdict(config), "entries": counts}
    checkpoint.save_weights(run.folder / "weights.safetensors", {"passages": state["bits"]}, about)
    measured = evaluate(run, root)
    report = {**measured, "entries": counts, "bytes": len(state["bits"])}
    sides = [_lines(part, getattr(config, part), root, run.folder) for part in COLLECTIONS]
    report["tunes"] = sum(len(training) + len(held) for training, held in sides)
    write_atomically(run.folder / "result.json", json.dumps(report, indent=1).encode())
    return measured


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """False alarms, misses (none), and the share of held-out tunes that share a passage with the training part."""
    config = Config(**run.config)
    filters, about = checkpoint.load_weights(run.folder / "weights.safetensors")
    known = Known({name: bits.numpy() for name, bits in filters.items()}, about)
    sides = {part: _lines(part, getattr(config, part), root, run.folder) for part in COLLECTIONS}
    every = [line for training, held in sides.values() for line in (*training, *held)]
    inside = melodies.entries(every)
    rng = np.random.default_rng(config.seed)
    chosen = rng.choice(len(every), min(ASKED, len(every)), replace=False)
    asked = melodies.entries([_shuffled(every[i], rng) for i in chosen])
    asked = asked[~np.isin(asked, inside)]
    measured = {
        "false_alarms": float(known.filter.has(asked).mean()) if len(asked) else 0.0,
        "missed": float((~known.filter.has(inside)).mean()),
    }
    for part, (training, held) in sides.items():
        if held:
            own = [melodies.passages(line)[0] for line in held]
            hits = np.isin(np.concatenate(own), melodies.entries(training))
            share = np.mean([found.any() for found in np.split(hits, np.cumsum([len(o) for o in own])[:-1])])
            measured[f"held_out_known_{part}"] = float(share)
    return measured


@functools.lru_cache(maxsize=len(COLLECTIONS))
def _lines(part: str, names: str, root: Path, folder: Path) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """The melodies of the training part and those held out: of chorales, test pieces with a melody that is new.

    folder: the run's, where the piano music is kept once it is read.
    """
    if not names:
        return (), ()
    if part == "chorales":
        pieces = music.chorales(root, names)
        return tuple(map(_soprano, (*pieces.training, *pieces.valid))), tuple(map(_soprano, pieces.unheard))
    if part in ("pop", "jazz"):
        load = pop.load if part == "pop" else jazz.load
        sung = load(root, names, folder / f"{part}.npz")
        sides = [tuple(melodies.evened(_top(piece)) for piece in side) for side in (sung.training, sung.held)]
        return sides[0], sides[1]
    if part == "piano":
        played = piano.load(root, names, folder / "pieces.npz")
        own = {piece.melody[:40]: piece for piece in reversed(played.training)}
        return tuple(map(_top, own.values())), tuple(map(_top, played.held))
    book = folk.Tunes.load(root, names)
    return tuple(map(_line, book.training)), tuple(map(_line, book.held))


def _soprano(piece: music.Piece) -> Line:
    score = notes.to_score(piece.grid)
    return Line(score.of(0), score.meters[0].bar)


def _line(tune: Tune) -> Line:
    score = tunes.to_score(tune)
    return Line(score.notes, score.meters[0].bar)


def _top(piece: repertoire.Piece) -> Line:
    score = repertoire.to_score(piece)
    return Line(theory.skyline(score.of(0)), score.meters[0].bar)


def _shuffled(line: Line, rng: np.random.Generator) -> Line:
    """The rhythm of a melody with its pitches in another order."""
    pitches: Sequence[int] = rng.permutation([note.pitch for note in line.notes]).tolist()
    return replace(line, notes=tuple(replace(n, pitch=p) for n, p in zip(line.notes, pitches, strict=True)))


RECIPE = Recipe(
    name="tune_origins",
    purpose="Knows every two bars of the tunes that the music models learned from, in any key",
    data="a folder with jsb-chorales-json and nottingham-folk-abc, music21 installed or its wheel there; chorales=, "
    "folk= and piano= name others, pop= and jazz= songs and solos",
    config=Config,
    train=train,
    evaluate=evaluate,
)
