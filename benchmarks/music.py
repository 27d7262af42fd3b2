"""How good the composers are: every figure of the cards and of the guide on music.

    python benchmarks/music.py --data ../shared/data                    # everything; about half an hour on one core
    python benchmarks/music.py jsb speed --data ../shared/data
    python benchmarks/music.py style classifier --data ../shared/data --count 100

jsb         nats of a note of `chorale` on the official test part (grid of sixteenths), and nats of a frame by the
            quarter-note protocol (88 keys), by a network that is trained for it here: see music_frames.py.
style       for each style that can be asked for: how far pieces that are made overlap with held-out real ones in
            pitch classes, intervals, durations and onsets (MGEval, see music_measures.py) beside real against real;
            scale consistency, self-similarity, the longest row of moves that is in the training part. Of jazz the
            solo alone, in pop the melody, the bridge and the piano.
classifier  a classifier of seven composers by the traits of 16 bars (appraisal.traits), which learned from real pieces
            alone: how often it is right about works it never heard, and about pieces made for a composer.
harmonise   held-out chorale melodies set for four voices: rules broken in a bar, beside Bach's own settings.
struck      the chorales beside their engraved scores: how often a pitch that stays is struck again, by its place in
            the bar, and whether a chorale's length tells its metre and pickup (`encode.notes` goes by both).
speed       seconds, once loaded: 16 bars of four parts, their page as SVG, 30 s of sound.

A model that is not installed is named under "missing" and leaves the rest as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import music_frames
import music_measures as measures
import music_pieces
import numpy as np
import torch
from music_pieces import ARCHIVES, BARS, Data

from danqing.appraisal import music as judge
from danqing.appraisal import traits
from danqing.appraisal.traits import Traits
from danqing.arts import compose
from danqing.arts.compose import Compose
from danqing.artwork import audio, notation, scores
from danqing.artwork.music import ZERO, Score, Tempo
from danqing.artwork.provenance import Provenance
from danqing.catalog import catalog
from danqing.encode import notes
from danqing.errors import BadRequest, Unavailable
from danqing.recipes import chorale as chorale_recipe
from danqing.training import music

HISTOGRAMS = ("pitch_classes", "intervals", "durations", "onsets")
SETTINGS = 50  # melodies that are harmonised
EXCERPTS = 4  # of a real piece, at most
SOUND_S = 30.0


@dataclass(frozen=True)
class Bench:
    """What every section needs."""

    data: Data
    count: int  # pieces of each style
    minutes: float  # of training for the quarter-note protocol


# --- how well chorales are foretold -----------------------------------------------------------------------------------


def jsb(bench: Bench) -> dict[str, object]:
    """See the top of the file."""
    pieces = bench.data.chorales
    found: dict[str, object] = {"test_sha256": music.fingerprint([piece.sha256 for piece in pieces.test])}
    for name in ("chorale", "chorale_tuned"):
        if name not in _installed():
            found.setdefault("missing", []).append(name)  # type: ignore[attr-defined]
            continue
        each = chorale_recipe.surprises(music.restore(*catalog.weights(name)), pieces.test)
        found[f"{name}_nats_per_note"] = sum(nats for nats, _ in each) / sum(count for _, count in each)
    with torch.enable_grad():
        found["quarter_frames"] = music_frames.measured(pieces.training, pieces.valid, pieces.test, bench.minutes)
    return found


def _installed() -> set[str]:
    return {card.name for card in catalog.cards()}


# --- how like real pieces ---------------------------------------------------------------------------------------------


def style(bench: Bench) -> dict[str, object]:
    """See the top of the file."""
    found: dict[str, object] = {}
    for name in ("chorale", "folk", *music_pieces.SUNG, *ARCHIVES):
        if name == "bach":  # the chorales
            continue
        try:
            made, real = music_pieces.made(name, bench.count), bench.data.real(name)
        except Unavailable as error:
            found.setdefault("missing", {})[name] = str(error)  # type: ignore[index]
            continue
        found[name] = _compared(music_pieces.heads(made), real)
    return found


def _compared(made: Sequence[Score], real: music_pieces.Real) -> dict[str, object]:
    """Pieces that were made beside held-out ones: both by their first BARS bars."""
    ours, theirs = [Traits(score) for score in made], [Traits(score) for score in music_pieces.heads(real.held)]
    rng = np.random.default_rng(21)
    found: dict[str, object] = {"made": len(ours), "held_out": len(theirs), "overlap": {}, "overlap_real": {}}
    for name in HISTOGRAMS:
        one, other = (np.stack([getattr(t, name) for t in side]) for side in (theirs, ours))
        found["overlap"][name] = round(measures.likeness(one, other), 3)  # type: ignore[index]
        found["overlap_real"][name] = round(measures.halves(one, rng), 3)  # type: ignore[index]
    for name in ("scale_consistency", "self_similarity", "notes_per_quarter", "step_share"):
        found[name], found[f"{name}_real"] = (_mean([t.numbers[name] for t in side]) for side in (ours, theirs))
    known = measures.Moves([Traits(score).moves for score in real.training])
    for side, label in ((ours, "copied"), (theirs, "copied_real")):
        long = [known.longest(t.moves) for t in side]
        found[label] = {"mean": _mean(long), "most": max(long), "share_over_15": _mean([n > 15 for n in long])}
    return found


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 3)


# --- who wrote it -----------------------------------------------------------------------------------------------------


def classifier(bench: Bench) -> dict[str, object]:
    """See the top of the file."""
    examples = _examples(bench.data)
    told, chances = measures.foretold(examples)
    names = np.unique(examples.composers)
    pieces = np.unique(examples.pieces)
    by_piece = {p: names[chances[examples.pieces == p].mean(axis=0).argmax()] for p in pieces}
    author = dict(zip(examples.pieces, examples.composers, strict=True))
    found: dict[str, object] = {
        "excerpts": dict(Counter(examples.composers.tolist())),
        "held_out_accuracy_excerpts": _mean(told == examples.composers),
        "held_out_accuracy_pieces": _mean([by_piece[p] == author[p] for p in pieces]),
        "held_out_by_composer": {str(name): _mean(told[examples.composers == name] == name) for name in names},
    }
    model = measures.fitted(examples.rows, examples.composers)
    rates: list[float] = []
    for composer in ARCHIVES:
        try:
            made = music_pieces.made(composer, bench.count)
        except Unavailable as error:
            found.setdefault("missing", {})[composer] = str(error)  # type: ignore[index]
            continue
        rows = np.stack([Traits(score).vector for score in music_pieces.heads(made)])
        heard = Counter(model.predict(rows).tolist())  # type: ignore[attr-defined]
        rates.append(heard[composer] / len(rows))
        found[f"made_for_{composer}"] = {"recognised": round(rates[-1], 3), "heard_as": dict(heard.most_common())}
    if rates:
        found["recognised_mean"] = _mean(rates)
    return found


def _examples(data: Data) -> measures.Examples:
    """EXCERPTS stretches of BARS bars of every piece, evenly from its beginning to its end."""
    rows, composers, works, pieces = [], [], [], []
    for composer, own in data.pieces.items():
        for name, score in own.items():
            bars = len(score.bars()) - 1
            starts = np.linspace(0, max(0, bars - BARS), min(EXCERPTS, max(1, bars // BARS))).astype(int)
            for first in sorted(set(starts.tolist())):
                cut = traits.excerpt(score, first, BARS)
                if len(cut.notes) < BARS:
                    continue
                rows.append(Traits(cut).vector)
                composers.append(composer)
                works.append(f"{composer} {music_pieces.work_of(name)}")
                pieces.append(f"{composer} {name}")
    return measures.Examples(np.stack(rows), np.array(composers), np.array(works), np.array(pieces))


# --- four voices under a melody ---------------------------------------------------------------------------------------


def harmonise(bench: Bench) -> dict[str, object]:
    """See the top of the file. Of the test part those pieces come first whose melody is in no other part."""
    pieces = bench.data.chorales
    new = {piece.sha256 for piece in pieces.unheard}
    chosen = sorted(pieces.test, key=lambda piece: piece.sha256 not in new)[: min(SETTINGS, bench.count)]
    ours: list[judge.Report] = []
    theirs: list[judge.Report] = []
    notes_said: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for number, piece in enumerate(chosen, 1):
            whole = notes.to_score(piece.grid, notes.key_of(piece.key))
            path = Path(folder) / "melody.json"
            scores.save(replace(whole, notes=whole.of(0)), path, Provenance("import", {}, 0), force=True)
            work = compose.create(Compose(harmonize=path, seed=number), music_pieces.tools())
            assert isinstance(work.content, Score)
            notes_said.update(work.provenance.notes)
            ours.append(judge.appraise(work.content))
            theirs.append(judge.appraise(whole))
    bars = sum(report.bars for report in theirs)
    found: dict[str, object] = {"melodies": len(chosen), "bars": bars}
    rates = {}
    for label, reports in (("ours", ours), ("bach", theirs)):
        faults = Counter(fault.rule for report in reports if report.rules for fault in report.rules.faults)
        rates[label] = sum(faults.values()) / bars
        found[f"{label}_errors_per_bar"] = round(rates[label], 3)
        found[f"{label}_by_rule"] = {rule: round(count / bars, 3) for rule, count in faults.most_common()}
    found["times_bach"] = round(rates["ours"] / rates["bach"], 2)
    found["remarks"] = dict(notes_said.most_common(5))
    return found


# --- what the grid does not say ---------------------------------------------------------------------------------------


def struck(bench: Bench) -> dict[str, object]:
    """See the top of the file."""
    engraved = _by_melody(bench.data.pieces["bach"].values())
    every = bench.data.chorales
    pairs = [
        (piece.grid, other)
        for piece in (*every.training, *every.valid, *every.test)
        if (other := _same(piece.grid, engraved)) is not None
    ]
    stays: Counter[str] = Counter()
    again: Counter[str] = Counter()
    for _, grid in pairs:
        if grid.bar != 16:
            continue
        names = np.where(grid.places % 4, "between", np.where(grid.places % 8, "beat", "middle")).astype(object)
        names[grid.places == 0] = "bar line"
        for voice, step in zip(*np.nonzero((grid.pitches[1:] == grid.pitches[:-1]).T), strict=True):
            if grid.pitches[step, voice] == notes.SILENCE:
                continue
            for name in (
                names[step + 1],
                *(["bar line, soprano"] if not voice and names[step + 1] == "bar line" else []),
            ):
                stays[name] += 1
                again[name] += not grid.held[step + 1, voice]
    told = [(ours.pickup, ours.bar) == (grid.pickup, grid.bar) for ours, grid in pairs]
    found: dict[str, object] = {"pairs": len(pairs), "metre_and_pickup_told": sum(told)}
    return found | {f"struck_again_{name}": round(again[name] / stays[name], 3) for name in sorted(stays)}


def _by_melody(engraved: Iterable[Score]) -> dict[tuple[int, ...], list[notes.Grid]]:
    """The engraved chorales for four voices, by how their sopranos begin."""
    found: dict[tuple[int, ...], list[notes.Grid]] = {}
    for score in engraved:
        try:
            grid = notes.from_score(score, rounded=True)
        except BadRequest:  # other than four voices, or metres that change
            continue
        found.setdefault(_beginning(grid), []).append(grid)
    return found


def _beginning(grid: notes.Grid) -> tuple[int, ...]:
    return tuple(np.diff(grid.line(0)[:9]).tolist())


def _same(grid: notes.Grid, engraved: Mapping[tuple[int, ...], list[notes.Grid]]) -> notes.Grid | None:
    """The beginning of the engraved chorale, in any key, until the two part, as where one writes a repeat out.

    None where there is none with two bars or more in which nine notes of ten are the same.
    """
    best: notes.Grid | None = None
    for other in engraved.get(_beginning(grid), []):
        length = min(len(grid), len(other))
        apart = (grid.pitches[:length] - other.pitches[:length]).astype(np.int64)
        alike = (apart == np.median(apart[:32])).mean(axis=1)
        bars = [float(alike[start : start + 16].mean()) for start in range(0, length, 16)]
        length = min(length, 16 * next((i for i, share in enumerate(bars) if share < 0.5), len(bars)))
        if length >= 32 and alike[:length].mean() >= 0.9 and length > (len(best) if best else 0):
            best = replace(other, pitches=other.pitches[:length], held=other.held[:length])
    return best


# --- how fast ---------------------------------------------------------------------------------------------------------


def speed(bench: Bench) -> dict[str, object]:
    """See the top of the file. Of five tries the median, and the least: what an idle machine would give."""
    request = Compose(style="bach", bars=BARS, key="g-minor", seed=3)
    piece = compose.create(request, music_pieces.tools()).content
    assert isinstance(piece, Score)
    slow = replace(piece, tempos=(Tempo(ZERO, float(piece.length) * 60 / SOUND_S),))
    tried: dict[str, Callable[[], object]] = {
        "compose_16_bars": lambda: compose.create(request, music_pieces.tools()),
        "score_svg": lambda: notation.svg_pages(piece),
        f"sound_{SOUND_S:.0f}_s": lambda: audio.render(slow),
    }
    found: dict[str, object] = {"threads": torch.get_num_threads(), "load_average": round(os.getloadavg()[0], 1)}
    for name, once in tried.items():
        once()
        clock, used = [], []
        for _ in range(5):
            began, before = time.perf_counter(), time.process_time()
            once()
            clock.append(time.perf_counter() - began)
            used.append(time.process_time() - before)
        found[name] = {
            "seconds": round(statistics.median(clock), 2),
            "least": round(min(clock), 2),
            "processor_seconds": round(min(used), 2),
        }
    return found


SECTIONS: dict[str, Callable[[Bench], dict[str, object]]] = {
    "jsb": jsb,
    "style": style,
    "classifier": classifier,
    "harmonise": harmonise,
    "struck": struck,
    "speed": speed,
}


def main() -> None:
    """Print one JSON object for each section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="section", help=f"of {', '.join(SECTIONS)}; all unless given")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folk-data", type=Path, help="a folder with the folk recipe's files; --data unless given")
    parser.add_argument("--folk-files", default="nottingham-folk-abc,music21")
    parser.add_argument("--keep", type=Path, default=Path("out"), help="a folder for what takes long to read")
    parser.add_argument("--count", type=int, default=50, help="pieces of each style")
    parser.add_argument("--minutes", type=float, default=8.0, help="of training for the quarter-note protocol")
    asked = parser.parse_args()
    if unknown := set(asked.sections) - set(SECTIONS):
        parser.error(f"{', '.join(sorted(unknown))}: sections are {', '.join(SECTIONS)}")
    torch.set_grad_enabled(False)
    data = Data(asked.data, asked.folk_data or asked.data, asked.folk_files, asked.keep)
    bench = Bench(data, asked.count, asked.minutes)
    for name in asked.sections or SECTIONS:
        try:
            found = SECTIONS[name](bench)
        except (BadRequest, Unavailable) as error:
            sys.exit(f"{name}: {error}")
        print(json.dumps({name: found}, ensure_ascii=False, indent=1, default=float), flush=True)


if __name__ == "__main__":
    main()
