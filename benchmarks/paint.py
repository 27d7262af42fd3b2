"""Measures `paint`: what was asked against what was painted, over sixty fixed prompts (benchmarks/paint_prompts.toml).

    python benchmarks/paint.py --data DIR [--count 60] [--size 512] [--out FOLDER] [--json]

DIR holds `paintings` and `photos` (of which nothing is used but for the judges). The first result of each prompt, seed
1, is painted, judged and, with --out, laid on a contact sheet.

colours  the asked colour in the asked region: the mean over the pixels that the underpainting labels with the region
         is nearer to the asked colour than to any of the eleven others, in OKLab, or has its hue within 25°.
scene    a classifier of photographs (forest, mountain, sea, glacier, town) in the space of the frozen backbone. It
         learned from each photograph as it is and once more repainted after a real painting (`fast`), as Geirhos et al.
         2019 do it, since one that saw photographs alone takes most paintings for towns. Both are printed, with how
         often they are right about held-out photographs and about real paintings whose title names one such scene.
style    a classifier trained on real paintings only, for seven styles; the asked one among its first three; its
         accuracy on held-out paintings beside it.
realism  KID against held-out paintings of landscape styles, in the backbone's space, with the floor (other real
         paintings), the underpaintings alone, and blurred paintings beside it; the rate of near-copies. The painter
         learned with losses in this very backbone, so the figure flatters it.
apart    mean pairwise distance of four seeds of ten prompts after the first pass, as a share of that of real paintings.
speed    seconds for one painting, models loaded; the first pass of `sketch` at 256 px.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
import tomllib
from pathlib import Path
from typing import Any

import torch
from paint_judges import Judges, square
from torch import Tensor

from danqing.arts import Tools, brushwork, paint
from danqing.arts.paint import Paint
from danqing.artwork.image import write
from danqing.catalog import styles
from danqing.compute import device
from danqing.encode import scenes
from danqing.encode.image import resize, to_oklab, to_picture, to_tensor
from danqing.recipes import shipped, sketch
from danqing.techniques import scenery
from danqing.training import image_metrics, pictures

COLOURFUL = 0.035  # OKLab chroma below which a colour has no hue
Result = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder with `paintings` and `photos`")
    parser.add_argument("--count", type=int, default=60, help="of the prompts")
    parser.add_argument("--size", type=int, default=512, help="px, longer side")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="a folder for the pictures and their contact sheet")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    options = parser.parse_args()
    prompts = tomllib.loads(Path(__file__).with_name("paint_prompts.toml").read_text("utf-8"))["prompts"][
        : options.count
    ]
    tools = Tools(device.choose(), styles.shipped())
    made = [one(prompt, options, tools) for prompt in prompts]
    judges = Judges(options.data)
    asked = [(p, w["picture"]) for p, w in zip(prompts, made, strict=True)]
    result = {
        **colour_figures(prompts, made),
        **judges.scenes([(p["text"], p["scene"], x) for p, x in asked if "scene" in p]),
        **judges.styles([(p["style"], x) for p, x in asked if "style" in p]),
        **realism(made, options.data),
        **judges.apart([[first_pass(p, options.seed + n, tools) for n in range(4)] for p in prompts[:10]]),
        "seconds_a_painting": statistics.median(one["seconds"] for one in made),
        "seconds_sketch_256": sketch_seconds(tools),
    }
    if options.out:
        sheet(made, options.out)
    if options.json:
        print(json.dumps(result, indent=1, ensure_ascii=False))
    else:
        for key, value in result.items():
            print(f"{key:<34}{value:.3f}" if isinstance(value, float) else f"{key:<34}{value}")


def one(prompt: Result, options: argparse.Namespace, tools: Tools) -> Result:
    """A prompt painted, with the labels of its underpainting at the size of the picture."""
    request = Paint(prompt["text"], size=options.size, seed=options.seed)
    start = time.perf_counter()
    (work,) = paint.create_all(request, tools)
    seconds = time.perf_counter() - start
    picture = to_tensor(work.content)
    scene = paint.understood(request, tools)
    height, width = (round(brushwork.SHORT_SIDE * side / min(picture.shape[2:])) for side in picture.shape[2:])
    layout, labels = scenery.compose(scene, height, width, paint.composing(request, options.seed))
    small = resize(picture, (height, width))
    return {"picture": small, "large": picture, "layout": layout, "labels": labels, "seconds": seconds}


def first_pass(prompt: Result, seed: int, tools: Tools) -> Tensor:
    """What the layout painter makes of a prompt at 256 px, before strokes are laid."""
    request = Paint(prompt["text"], seed=seed)
    scene = paint.understood(request, tools)
    label = scene.styles[0] if scene.styles else brushwork.USUAL_STYLE
    brush = brushwork.Brush(tools, brushwork.choose(label, tools), seed)
    layout, _ = paint._layout(request, scene, False, brush, 0.75)
    return brush.blocked_in(layout)


# --- colours ----------------------------------------------------------------------------------------------------------


def colour_figures(prompts: list[Result], made: list[Result]) -> Result:
    palette = {w.name: w.rgb for w in scenes.lexicon().values() if w.rgb is not None}
    names = list(palette)
    known = lab(torch.tensor(list(palette.values())))
    right, missed = 0, []
    for prompt, work in zip(prompts, made, strict=True):
        for region, asked in prompt.get("colours", {}).items():
            mask = work["labels"] == scenery.REGIONS.index(region)
            found = lab(work["picture"][0][:, mask].mean(1)[None])[0] if mask.any() else None
            if found is not None and fits(found, known, names, asked):
                right += 1
            else:
                missed.append(f"{prompt['text']}: {region}")
    asked_for = right + len(missed)
    return {"colours_right": right / max(1, asked_for), "colours_asked": asked_for, "colours_missed": "; ".join(missed)}


def lab(rgb: Tensor) -> Tensor:
    """(N, 3) sRGB → OKLab."""
    return to_oklab(rgb.T[None, :, :, None].float())[0, :, :, 0].T


def fits(found: Tensor, known: Tensor, names: list[str], asked: str) -> bool:
    nearest = names[int((known - found).norm(dim=1).argmin())]
    return nearest == asked or same_hue(found, known[names.index(asked)])


def same_hue(found: Tensor, asked: Tensor) -> bool:
    if min(float(c[1:].norm()) for c in (found, asked)) < COLOURFUL:
        return False
    angles = [math.atan2(float(c[2]), float(c[1])) for c in (found, asked)]
    return abs((angles[0] - angles[1] + math.pi) % math.tau - math.pi) < math.radians(25)


# --- how real, how fast -----------------------------------------------------------------------------------------------


def realism(made: list[Result], root: Path) -> Result:
    """Made pictures and their underpaintings among real ones, as middle squares of 128 px."""
    collection = pictures.load(root / "paintings", 128, only=f"style={sketch.STYLES}")
    reference = image_metrics.Reference.of(collection, shipped.space(), len(made))
    found = {}
    for name in ("picture", "layout"):
        squares = torch.cat([square(work[name], 128) for work in made]) * 2 - 1
        found[name] = image_metrics.measure(squares, reference)
    flat = found["picture"].flat()
    kept = ("kid", "kid_error", "kid_floor", "kid_blurred", "near_copies", "near_copies_floor")
    return {**{name: flat[name] for name in kept}, "kid_of_underpaintings": found["layout"].flat()["kid"]}


def sketch_seconds(tools: Tools) -> float:
    """Seconds of the first pass of `sketch` at 256 px, the model loaded."""
    brush = brushwork.Brush(tools, brushwork.choose("impressionism", tools), 1)
    layout = torch.rand(1, 3, 256, 256)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        brush.blocked_in(layout)
        times.append(time.perf_counter() - start)
    return min(times)


def sheet(made: list[Result], folder: Path, columns: int = 6) -> None:
    """The pictures, and a sheet of them in the order of the prompts."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, work in enumerate(made, 1):
        write(to_picture(work["large"]), folder / f"{number:02}.jpg", force=True)
    cell = (240, 320)
    tiles = []
    for work in made:
        x = work["large"]
        factor = min(cell[0] / x.shape[2], cell[1] / x.shape[3])
        small = resize(x, (round(x.shape[2] * factor), round(x.shape[3] * factor)))
        tile = torch.ones(1, 3, *cell)
        top, left = (cell[0] - small.shape[2]) // 2, (cell[1] - small.shape[3]) // 2
        tile[:, :, top : top + small.shape[2], left : left + small.shape[3]] = small
        tiles.append(torch.nn.functional.pad(tile, (4, 4, 4, 4), value=1.0))
    tiles += [torch.ones_like(tiles[0])] * (-len(tiles) % columns)
    rows = [torch.cat(tiles[i : i + columns], 3) for i in range(0, len(tiles), columns)]
    write(to_picture(torch.cat(rows, 2)), folder / "sheet.jpg", force=True)


if __name__ == "__main__":
    main()
