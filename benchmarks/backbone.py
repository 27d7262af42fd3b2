"""Compares backbones by the style transfer that they serve, not by how well they classify.

    python benchmarks/backbone.py --data DIR labels=FILE.safetensors contrast=FILE.safetensors …

Held-out photographs take on held-out paintings by the neural method, once with each network and each of several style
weights; `random` is our graph with the weights it begins with, the control that says what training is worth. The result
is measured in the random-filter pyramid, which no network had a part in. A network that weighs style more gives more
style and loses more structure, so the figures of one network form a curve; the last column reads each curve at the same
structure lost, by linear interpolation.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from danqing.compute import device
from danqing.compute.seed import generator
from danqing.recipes import shipped
from danqing.techniques import backbone, style_transfer
from danqing.training import data
from danqing.training.metrics import RandomPyramid


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder with `photos` and `paintings`")
    parser.add_argument("--size", type=int, default=224, help="px, side of the photograph")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--weights", type=float, nargs="+", default=[3.0, 30.0], help="style weights")
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("networks", nargs="+", metavar="NAME=FILE")
    options = parser.parse_args()
    pairs = held_pairs(options.data, options.pairs, options.size)
    networks = {"random": random_backbone()}
    for entry in options.networks:
        name, _, file = entry.partition("=")
        networks[name] = shipped.backbone(file)
    curves = {}
    print(f"{'network':<12}{'style weight':>13}{'structure lost':>16}{'style left':>12}")
    for name, features in networks.items():
        curves[name] = [measure(features, pairs, weight, options.iterations) for weight in options.weights]
        for weight, (lost, left) in zip(options.weights, curves[name], strict=True):
            print(f"{name:<12}{weight:>13g}{lost:>16.3f}{left:>12.3f}", flush=True)
    low = max(min(lost for lost, _ in curve) for curve in curves.values())
    high = min(max(lost for lost, _ in curve) for curve in curves.values())
    at = (low + high) / 2
    note = "" if low <= high else " (the curves do not overlap there: nearest ends)"
    print(f"\nstyle left at structure lost {at:.3f}{note}")
    for name, curve in curves.items():
        lost, left = np.array(sorted(curve)).T
        print(f"{name:<12}{np.interp(at, lost, left):.3f}")


def held_pairs(root: Path, count: int, size: int) -> list[tuple[Tensor, Tensor]]:
    """(photograph, painting), both held out from every training run, drawn evenly over their labels' order."""
    photos, paintings = (data.split(data.index(root / name))[1] for name in ("photos", "paintings"))
    order = np.random.default_rng(0)
    first, second = (order.permutation(len(entries))[:count] for entries in (photos, paintings))
    one = data.Pixels([photos[i] for i in first], size)
    two = data.Pixels([paintings[i] for i in second], 256)
    return [
        (one.centre([i], size), torch.from_numpy(two.pixels[i].copy()).permute(2, 0, 1)[None].float() / 255)
        for i in range(count)
    ]


def random_backbone() -> backbone.Extractor:
    """The graph as it is before training, its layers equalised like the trained ones'."""
    torch.manual_seed(0)
    net = backbone.Backbone(backbone.Config())
    sample = torch.rand(8, 3, 128, 128, generator=generator(0))
    return backbone.Extractor(backbone.equalise(net, sample), device.choose())


def measure(
    features: backbone.Extractor, pairs: list[tuple[Tensor, Tensor]], weight: float, iterations: int
) -> tuple[float, float]:
    """(structure lost, style distance left as a share of the photograph's), means over the pairs."""
    pyramid, rows = RandomPyramid(), []
    config = style_transfer.Config(style_weight=weight, iterations=iterations)
    for photo, style in pairs:
        share = torch.ones(1, *photo.shape[-2:])
        made = style_transfer.stylize(photo, [style], share, features, config, generator(0))
        left = pyramid.style_distance(made, style) / pyramid.style_distance(photo, style)
        rows.append((pyramid.content_distance(made, photo), left))
    lost, left = np.array(rows).mean(axis=0)
    return float(lost), float(left)


if __name__ == "__main__":
    main()
