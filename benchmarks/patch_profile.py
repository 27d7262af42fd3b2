"""Where the time of `patch` goes: times whole runs, then lists the dearest operators of one.

    python benchmarks/patch_profile.py [--size 512] [--repeats 3] [--operators 14] [--memory]

The photo is scikit-learn's china.jpg cut to a square, the painting its flower.jpg, so that nothing needs downloading.
"""

from __future__ import annotations

import argparse
import resource
import time

import torch
from sklearn.datasets import load_sample_image
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from danqing.compute.device import choose
from danqing.compute.memory import keep_freed
from danqing.encode.image import resize
from danqing.techniques import patch_style


def picture(name: str, side: int) -> Tensor:
    """A sample photo's middle square at `side` px, (1, 3, side, side)."""
    x = torch.from_numpy(load_sample_image(name).copy()).permute(2, 0, 1)[None].float() / 255
    cut = (x.shape[3] - x.shape[2]) // 2
    return resize(x[..., cut : cut + x.shape[2]], side)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--style-size", type=int, default=768)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--operators", type=int, default=14)
    parser.add_argument("--memory", action="store_true", help="one run, and the memory it came to at most")
    args = parser.parse_args()
    keep_freed()
    photo, painting = picture("china.jpg", args.size), picture("flower.jpg", args.style_size)
    share = torch.ones(1, 1, 1).expand(1, args.size, args.size)

    def once() -> float:
        start = time.perf_counter()
        generator = torch.Generator().manual_seed(0)
        patch_style.stylize(photo, [painting], share, patch_style.Config(), choose(), generator)
        return time.perf_counter() - start

    if args.memory:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        seconds = once()
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{args.size} px: {seconds:.1f} s, {after:.2f} GiB at most ({before:.2f} before it began)")
        return
    times = sorted(once() for _ in range(args.repeats))
    print(f"{args.size} px: least {times[0]:.2f} s, all " + " ".join(f"{t:.2f}" for t in times))
    if args.operators:
        with profile(activities=[ProfilerActivity.CPU]) as found:
            once()
        print(found.key_averages().table(sort_by="self_cpu_time_total", row_limit=args.operators))


if __name__ == "__main__":
    main()
