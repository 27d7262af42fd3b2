"""What training runs and evaluations share: schedules, and measures in a feature space of their own."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def cosine(progress: float, warmup: float = 0.02, floor: float = 0.02) -> float:
    """Learning-rate factor: linear up over `warmup` of the budget, then half a cosine down to `floor`."""
    if progress < warmup:
        return max(progress / warmup, 0.01)
    along = (progress - warmup) / (1 - warmup)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, along)))


class RandomPyramid:
    """A feature space that nothing here was trained or optimised in, to measure style transfer with.

    Random 7×7 filters on four levels of a picture pyramid, rectified. Random filters see edges, colours and textures
    (Ustyuzhaninov et al. 2016, "Texture Synthesis Using Shallow Convolutional Networks with Random Filters"), and no
    method of ours can have learned to please them. Seeded: always the same filters.
    """

    def __init__(self, levels: int = 4, filters: int = 48, seed: int = 20_16) -> None:
        generator = torch.Generator().manual_seed(seed)
        weight = torch.randn(filters, 3, 7, 7, generator=generator)
        weight = weight - weight.mean(dim=(2, 3), keepdim=True)  # local contrast; a level's mean colour is added below
        self.weight = weight / weight.flatten(1).norm(dim=1)[:, None, None, None]
        self.levels = levels
        angles = torch.randn(filters + 3, 64, generator=generator)
        self.directions = angles / angles.norm(dim=0)

    def features(self, x: Tensor) -> list[Tensor]:
        """x (1, 3, H, W) in [0, 1]; returns a map (C, h, w) float32 for each level, fine to coarse."""
        maps = []
        for _ in range(self.levels):
            padded = F.pad(x, (3, 3, 3, 3), mode="reflect")
            maps.append(torch.cat([F.relu(F.conv2d(padded, self.weight)), x], dim=1)[0])
            x = F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)
        return maps

    def style_distance(self, x: Tensor, style: Tensor) -> float:
        """Sliced Wasserstein distance between the two pictures' features, mean over levels; positions do not count.

        x, style: (1, 3, H, W) in [0, 1], of any sizes.
        """
        apart = []
        for one, two in zip(self.features(x), self.features(style), strict=True):
            apart.append((self._quantiles(one) - self._quantiles(two)).square().mean().sqrt())
        return float(torch.stack(apart).mean())

    def _quantiles(self, maps: Tensor) -> Tensor:
        flat = self.directions.T @ maps.flatten(1)  # (64, h·w)
        return torch.quantile(flat[:, :: 1 + flat.shape[1] // 2**18], torch.linspace(0.005, 0.995, 199), dim=1)

    def content_distance(self, x: Tensor, photo: Tensor) -> float:
        """How much structure was lost: 1 - correlation of the rectified responses of the grey pictures, over levels.

        x, photo: (1, 3, H, W) in [0, 1], of one size. 0: the same structure; near 1: none of it.
        """
        grey = [p.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1) for p in (x, photo)]
        lost = []
        for one, two in zip(*(self.features(g) for g in grey), strict=True):
            a, b = one[:-3].flatten(), two[:-3].flatten()
            lost.append(1 - F.cosine_similarity(a - a.mean(), b - b.mean(), dim=0))
        return float(torch.stack(lost[1:]).mean())  # the finest level is brush work or grain, not structure


def sliced_wasserstein(made: Tensor, real: Tensor, directions: int = 128) -> float:
    """How far the small patches of two sets of pictures lie apart, colours included, wherever in a picture they are.

    After Karras et al. 2018, "Progressive Growing of GANs", with patches as they are, not brought to one contrast:
    7×7 px at every size from full to 16 px, seen along seeded random directions, whose quantiles are compared.
    made, real: (B, 3, S, S) in [-1, 1], the same S; returns the root mean square of the quantiles' differences,
    mean over the sizes.
    """
    angles = torch.randn(directions, 3 * 49, generator=torch.Generator().manual_seed(20_18))
    angles = angles / angles.norm(dim=1, keepdim=True)
    places = torch.linspace(0.005, 0.995, 199)

    def quantiles(pictures: Tensor) -> Tensor:
        patches = F.unfold(pictures.float().cpu(), 7, stride=3).movedim(1, 0).flatten(1)  # (147, N)
        return torch.quantile(angles @ patches[:, :: 1 + patches.shape[1] // 2**14], places, dim=1)

    apart = []
    while True:
        apart.append((quantiles(made) - quantiles(real)).square().mean().sqrt())
        if min(made.shape[-2:]) < 32:
            return float(torch.stack(apart).mean())
        made, real = F.avg_pool2d(made, 2), F.avg_pool2d(real, 2)


def diversity(pictures: Tensor) -> float:
    """Mean distance between two pictures of a set, per pixel, at 32 px or less: (B, 3, S, S) in [-1, 1], B of 2 up."""
    side = min(32, pictures.shape[-1])
    small = F.adaptive_avg_pool2d(pictures.float().cpu(), side).flatten(1)
    return float(torch.pdist(small).mean()) / math.sqrt(small.shape[1])
