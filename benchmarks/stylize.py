"""Measures style transfer: ours and the reference side by side in one run, ratios printed.

    python benchmarks/stylize.py [--only SECTION] [--json] [--photo FILE --style FILE] [--out FOLDER]

vgg      one step of Gatys' optimisation through VGG19's graph at 512×512: features, losses, gradient, Adam.
         The reference is a plain PyTorch loop (fp32, default layout); both run in processes of their own, in turn, so
         that neither warms or starves the other. Random weights: speed does not depend on their values.
neural   a whole `neural` style transfer at 512 px with our backbone: seconds, loss by scale, and how much the picture
         still changes when it is given twice the steps.
patch    a whole `patch` style transfer of a square, 512 px a side.
fast     a pass of the shipped painter, loaded, at 512 and 1024 px a side.
large    the whole way from file to file at 4096 px by each method, in processes of their own: seconds, peak memory.
         Takes minutes; only when asked for.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

VGG_BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 1))  # to relu5_1, as far as Gatys' layers go
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT_LAYER = "relu4_2"

Result = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=tuple(SECTIONS), action="append", help="this section; repeat for several")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--photo", type=Path, help="the photo to paint; scikit-learn's china.jpg unless given")
    parser.add_argument("--style", type=Path, help="the painting; scikit-learn's flower.jpg unless given")
    parser.add_argument("--weights", type=Path, help="a backbone's weights; those of the catalog unless given")
    parser.add_argument("--size", type=int, default=512, help="px, longer side")
    parser.add_argument("--rounds", type=int, default=4, help="turns that each side takes")
    parser.add_argument("--out", type=Path, help="a folder for the pictures made")
    options = parser.parse_args()
    machine = {"cores": torch.get_num_threads(), "processor": platform.processor(), "torch": torch.__version__}
    results: dict[str, Any] = {"machine": machine}
    for name in options.only or (section for section in SECTIONS if section != "large"):
        results[name] = SECTIONS[name](options)
        if not options.json:
            show(name, results[name])
    if options.json:
        print(json.dumps(results, indent=1))


def show(name: str, result: Result) -> None:
    print(f"\n{name}")
    for key, value in result.items():
        print(f"  {key:<34}{value:.3f}" if isinstance(value, float) else f"  {key:<34}{value}")


# --- one step through VGG19 -------------------------------------------------------------------------------------------


def vgg(options: argparse.Namespace) -> Result:
    """Seconds a step, the reference and ours in turn."""
    sides = {"plain fp32": plain_steps, "ours": our_steps}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    memory_mb = {}
    with contextlib.ExitStack() as stack:
        workers = {name: stack.enter_context(worker(steps, options.size)) for name, steps in sides.items()}
        for _ in range(options.rounds):
            for name, ask in workers.items():
                seconds[name] += ask("3" if name == "plain fp32" else "10")
        memory_mb = {name: ask("memory")[0] for name, ask in workers.items()}
    best = {name: min(values) for name, values in seconds.items()}
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "size, px": options.size,
        **{f"{name}, best s": best[name] for name in sides},
        **{f"{name}, median s": middle[name] for name in sides},
        **{f"{name}, peak MB": round(memory_mb[name]) for name in sides},
        "times faster, best": best["plain fp32"] / best["ours"],
        "times faster, median": middle["plain fp32"] / middle["ours"],
        "ours, GFLOP/s": 2 * forward_gflop(options.size) / best["ours"],
    }


def forward_gflop(side: int) -> float:
    """Arithmetic of VGG19's convolutions to relu5_1, forward, in GFLOP."""
    total, before = 0.0, 3
    for block, (channels, count) in enumerate(VGG_BLOCKS):
        for _ in range(count):
            total += 2 * 9 * before * channels * (side >> block) ** 2 / 1e9
            before = channels
    return total


@contextlib.contextmanager
def worker(steps: Callable[[int], Iterator[float]], side: int) -> Iterator[Callable[[str], list[float]]]:
    """A process of its own that takes steps when it is asked to, and answers with the seconds of each."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there, steps, side), daemon=True)
    process.start()

    def ask(what: str) -> list[float]:
        here.send(what)
        return list(here.recv())

    try:
        ask("2")  # warm up
        yield ask
    finally:
        here.send("stop")
        process.join()


def serve(pipe: Connection, steps: Callable[[int], Iterator[float]], side: int) -> None:
    running = steps(side)
    while (what := pipe.recv()) != "stop":
        if what == "memory":
            pipe.send([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024])
        else:
            pipe.send([next(running) for _ in range(int(what))])


def plain_steps(side: int) -> Iterator[float]:
    """The loop that a tutorial teaches: fp32, default layout, autograd through everything, torch's Adam."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    before, style_at, content_at = 3, [], 0
    for block, (channels, count) in enumerate(VGG_BLOCKS, 1):
        if block > 1:
            layers.append(nn.MaxPool2d(2))
        for i in range(1, count + 1):
            layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU(inplace=True)]
            before = channels
            if i == 1:
                style_at.append(len(layers) - 1)
            if f"relu{block}_{i}" == CONTENT_LAYER:
                content_at = len(layers) - 1
    net = nn.Sequential(*layers).requires_grad_(False)
    mean, std = (
        torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1),
        torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1),
    )

    def look(x: Tensor) -> tuple[list[Tensor], Tensor]:
        grams, content, x = [], x, (x - mean) / std
        for i, layer in enumerate(net):
            x = layer(x)
            if i in style_at:
                flat = x.flatten(2)[0]
                grams.append(flat @ flat.T / flat.shape[1])
            if i == content_at:
                content = x
        return grams, content

    photo, painting = torch.rand(2, 1, 3, side, side)
    with torch.no_grad():
        style, content = look(painting)[0], look(photo)[1]
    x = photo.clone().requires_grad_()
    optimiser = torch.optim.Adam([x], lr=0.03)
    while True:
        start = time.perf_counter()
        optimiser.zero_grad()
        grams, features = look(x)
        loss = F.mse_loss(features, content) / content.square().mean()
        for g, target in zip(grams, style, strict=True):
            loss = loss + (g - target).square().sum() / target.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        with torch.no_grad():
            x.clamp_(0, 1)
        yield time.perf_counter() - start


def our_steps(side: int) -> Iterator[float]:
    """The same graph, layers and losses through `techniques.style_transfer`."""
    from danqing.compute import device, seed
    from danqing.techniques import style_transfer as st
    from danqing.techniques.backbone import VGG19, Backbone, Extractor

    compute = device.choose()
    torch.manual_seed(0)
    features = Extractor(Backbone(VGG19), compute)
    config = st.Config(content_layers=((CONTENT_LAYER, 1.0),), style_layers=tuple((name, 1.0) for name in STYLE_LAYERS))
    photo, painting = torch.rand(2, 1, 3, side, side)
    generator = seed.generator(0)
    goal = st.set_goal(photo, [painting], torch.ones(1, side, side), features, config, generator)
    x = photo.clone(memory_format=torch.channels_last)
    walk = st.adam(x, lambda picture: st.gradient(picture, goal, features, generator), 10**6, config)
    while True:
        start = time.perf_counter()
        next(walk)
        yield time.perf_counter() - start


# --- a whole picture --------------------------------------------------------------------------------------------------


def neural(options: argparse.Namespace) -> Result:
    """Seconds of a style transfer with our backbone, and what twice the steps would still change."""
    from danqing.compute import seed
    from danqing.techniques import style_transfer as st

    features = our_backbone(options.weights)
    photo, painting = pictures(options)
    share = torch.ones(1, photo.shape[2], photo.shape[3])
    result: Result = {"size, px": f"{photo.shape[3]}×{photo.shape[2]}"}
    made = {}
    for label, config in (
        ("default", st.Config()),
        ("twice the steps", st.Config(iterations=2 * st.Config().iterations)),
    ):
        start = time.perf_counter()
        made[label] = st.stylize(photo, [painting], share, features, config, seed.generator(1))
        result[f"{label}, s"] = time.perf_counter() - start
        goal = st.set_goal(photo, [painting], share, features, config, seed.generator(1))
        result[f"{label}, loss"] = st.gradient(made[label], goal, features, seed.generator(1))[0]
        keep(options.out, f"neural-{label.replace(' ', '-')}.png", made[label])
    # From other beginnings strokes settle elsewhere, as good but not the same: so two figures. What a person who waits
    # would still see is the first, half as many steps again from the finished picture.
    config = st.Config()
    goal = st.set_goal(photo, [painting], share, features, config, seed.generator(1))
    more = config.iterations // 2
    further = st._optimise(made["default"], goal, more, features, config, seed.generator(2), lambda i, x: None)
    result["half as many steps again, loss"] = st.gradient(further, goal, features, seed.generator(1))[0]
    result["and change of the picture, of 255"] = rms(further, made["default"])
    result["twice the steps, change, of 255"] = rms(made["twice the steps"], made["default"])
    result["peak MB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return result


def rms(one: Tensor, two: Tensor) -> float:
    """Root mean square difference of two pictures in [0, 1], in levels of 255."""
    return float((one - two).square().mean().sqrt()) * 255


def patch(options: argparse.Namespace) -> Result:
    """Seconds of a `patch` style transfer of a square."""
    from danqing.compute import device, seed
    from danqing.compute.memory import keep_freed
    from danqing.encode.image import resize
    from danqing.techniques import patch_style

    keep_freed()
    photo, painting = pictures(options)
    square = resize(photo[..., : min(photo.shape[-2:]), : min(photo.shape[-2:])], options.size)
    share = torch.ones(1, options.size, options.size)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        made = patch_style.stylize(square, [painting], share, patch_style.Config(), device.choose(), seed.generator(1))
        seconds.append(time.perf_counter() - start)
    keep(options.out, "patch.png", made)
    return {
        "size, px": f"{options.size}×{options.size}",
        "best s": min(seconds),
        "median s": statistics.median(seconds),
    }


def fast(options: argparse.Namespace) -> Result:
    """Seconds of a pass of the shipped painter, once loaded."""
    from danqing.catalog import catalog
    from danqing.compute.checkpoint import unpack
    from danqing.compute.memory import keep_freed
    from danqing.encode.image import resize
    from danqing.techniques.fast_style import Config, FastStyle, Painter

    keep_freed()
    tensors, about = catalog.weights("fast")
    painter = Painter(Config(**about["config"]))
    painter.load_state_dict(unpack(tensors))
    artist = FastStyle(painter, our_backbone(None))
    photo, painting = pictures(options)
    style = artist.style_of(painting)
    result: Result = {}
    for side in (512, 1024):
        square = resize(photo[..., : min(photo.shape[-2:]), : min(photo.shape[-2:])], side)
        seconds = []
        for _ in range(6):
            start = time.perf_counter()
            made = artist.paint(square, [style], torch.ones(1, side, side))
            seconds.append(time.perf_counter() - start)
        result[f"{side}×{side}, best s"] = min(seconds)
        result[f"{side}×{side}, median s"] = statistics.median(seconds)
        keep(options.out, f"fast-{side}.png", made)
    return result


def large(options: argparse.Namespace) -> Result:
    """The command at 4096 px: seconds and peak memory of its process."""
    import subprocess
    import sys
    import tempfile

    import sklearn.datasets

    photo = options.photo or Path(sklearn.datasets.__file__).parent / "images" / "china.jpg"
    result: Result = {}
    with tempfile.TemporaryDirectory() as folder:
        for method in ("fast", "patch", "neural"):
            words = ["stylize", str(photo), "--style", str(options.style or "van-gogh"), "--method", method]
            words += ["--size", "4096", "--seed", "7", "--quiet", "-o", f"{options.out or folder}/large-{method}.png"]
            program = (
                "import resource, sys; from danqing.interfaces import cli; code = cli.main(sys.argv[1:]); "
                "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"
            )
            start = time.perf_counter()
            done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
            result[f"{method}, s"] = time.perf_counter() - start
            result[f"{method}, peak GB"] = int(done.stdout.split()[-1]) / 2**20
    return result


def our_backbone(weights: Path | None) -> Any:
    """The features of our backbone: those of the file, or of the shipped one."""
    from danqing.catalog import catalog
    from danqing.compute import device
    from danqing.compute.checkpoint import load_weights, unpack
    from danqing.techniques.backbone import Backbone, Config, Extractor

    compute = device.choose()
    tensors, about = load_weights(weights) if weights else catalog.weights("perceptual")
    network = Backbone(Config(**about["config"]))
    network.load_state_dict(unpack(tensors))
    return Extractor(network, compute)


def pictures(options: argparse.Namespace) -> tuple[Tensor, Tensor]:
    """Photo and painting, (1, 3, H, W) in [0, 1]; the photo at the asked size."""
    from danqing.artwork import image
    from danqing.encode.image import fit, to_tensor

    def sample(path: Path | None, name: str) -> Tensor:
        if path:
            return to_tensor(image.read(path))
        from sklearn.datasets import load_sample_image

        return torch.from_numpy(load_sample_image(name).astype(np.float32) / 255).permute(2, 0, 1)[None].contiguous()

    return fit(sample(options.photo, "china.jpg"), options.size), sample(options.style, "flower.jpg")


def keep(folder: Path | None, name: str, x: Tensor) -> None:
    """Write a picture as a PNG if a folder was given."""
    if folder is None:
        return
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    pixels = (x[0].clamp(0, 1).permute(1, 2, 0) * 255).round().to(torch.uint8)
    Image.fromarray(pixels.numpy()).save(folder / name)


SECTIONS: dict[str, Callable[[argparse.Namespace], Result]] = {
    "vgg": vgg,
    "neural": neural,
    "patch": patch,
    "fast": fast,
    "large": large,
}


if __name__ == "__main__":
    main()
