"""Which family of generators paints best from one collection in the same time? Equal CPU minutes, several seeds.

    python benchmarks/generator_families.py --data DIR --minutes 10 --seeds 3 --recipes dcgan,r3gan --runs runs/families

Trains each recipe `minutes` at `size` px with each seed, measures 1,000 pictures of each against the held-out ones and
prints KID (with the floor and its distance to a blurred control; beside it KID in an untrained space and the sliced
Wasserstein distance, which do not flatter a generator that was judged through our backbone), precision, recall,
coverage, near-copies and the pictures seen, mean ± spread over the seeds; sheets of the first seed go into
`RUNS/sheets`. Runs that are finished are not trained again, runs that were cut off go on, so it can be run in parts;
`--only-table` trains nothing.
"""

import argparse
import json
import shutil
import statistics
import time
from pathlib import Path

from danqing import studio
from danqing.training import engine
from danqing.training.run import Run

COLUMNS = ("kid", "kid_untrained", "sliced_wasserstein", "frechet", "precision", "recall", "coverage", "near_copies")


def folder_of(runs: Path, recipe: str, seed: int) -> Path:
    return runs / f"{recipe}-{seed}"


def train(recipe: str, seed: int, asked: argparse.Namespace) -> None:
    folder = folder_of(asked.runs, recipe, seed)
    if not (folder / "weights.safetensors").exists():
        settings = {"size": str(asked.size), "minutes": str(asked.minutes), "seed": str(seed), "steps": "100000000"}
        settings |= dict(word.split("=", 1) for word in asked.settings)
        print(f"training {recipe}, seed {seed}, {asked.minutes} min in {folder}", flush=True)
        studio.train(recipe, asked.data, folder, settings, resume=folder.exists())
    judged = (folder / "evaluation" / "evaluation.json").exists()
    if not judged and studio.judge(folder, asked.data, asked.count) is None:
        raise SystemExit(f"{recipe} is no generator of pictures")


def images_seen(run: Run) -> int:
    """Steps × batch, by the run's log and config."""
    steps = max((int(row["step"]) for row in run.metrics()), default=0)
    return steps * int(run.config.get("batch", 0))


def row(recipe: str, asked: argparse.Namespace) -> dict[str, object] | None:
    found = []
    for seed in range(asked.seeds):
        folder = folder_of(asked.runs, recipe, seed)
        path = folder / "evaluation" / "evaluation.json"
        if path.exists():
            run = Run.at(folder)
            found.append({**json.loads(path.read_text())["measured"], "images": images_seen(run)})
            if seed == 0:
                sheets = asked.runs / "sheets"
                sheets.mkdir(parents=True, exist_ok=True)
                for name in ("samples", "nearest"):
                    shutil.copyfile(folder / "evaluation" / f"{name}.png", sheets / f"{recipe}-{name}.png")
    if not found:
        return None
    means: dict[str, object] = {"recipe": recipe, "seeds": len(found)}
    for name in (*COLUMNS, "kid_floor", "kid_blurred", "images"):
        values = [float(f[name]) for f in found]
        means[name] = statistics.mean(values)
        means[f"{name}_spread"] = statistics.stdev(values) if len(values) > 1 else 0.0
    return means


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder, a .zip, or digits")
    parser.add_argument("--recipes", required=True, help="names with commas between them")
    parser.add_argument("--runs", type=Path, default=Path("runs/families"))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--count", type=int, default=1000, help="pictures that are measured")
    parser.add_argument("--only-table", action="store_true")
    parser.add_argument("settings", nargs="*", help="KEY=VALUE for every recipe")
    asked = parser.parse_args()
    engine.clock = time.process_time  # minutes of the processor, whatever else runs on this machine
    names = asked.recipes.split(",")
    # Seeds outside, recipes inside: wherever it is stopped, all families have had about as many runs.
    for seed in range(0 if asked.only_table else asked.seeds):
        for recipe in names:
            train(recipe, seed, asked)
    rows = [found for recipe in names if (found := row(recipe, asked))]
    rows.sort(key=lambda r: float(str(r["kid"])))
    print(f"{'recipe':12} seeds {'images':>10}" + "".join(f"{name:>18}" for name in COLUMNS))
    for r in rows:
        cells = "".join(f"{r[n]:>10.3g} ± {r[f'{n}_spread']:<5.2g}" for n in COLUMNS)
        print(f"{r['recipe']:12} {r['seeds']:>5} {r['images']:>10.0f}{cells}")
    if rows:
        print(
            f"KID of real training pictures {rows[0]['kid_floor']:.3g}, of these blurred {rows[0]['kid_blurred']:.3g}"
        )
        (asked.runs / "families.json").write_text(json.dumps(rows, indent=1), "utf-8")


if __name__ == "__main__":
    main()
