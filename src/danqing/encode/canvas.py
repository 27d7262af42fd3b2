"""A canvas to draw an underpainting on: layers of colour behind soft masks, and a label for what each pixel shows.

Coordinates: x and y in units of the picture's height, the origin at the upper left; so y lies in [0, 1] and x in
[0, width / height]. All randomness comes from the canvas's generator, so that a seed is a picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

SUPERSAMPLED = 2  # polygons are drawn this much larger, for smooth borders


class Canvas:
    """Colours (3, H, W) float32 sRGB in [0, 1] and labels (H, W) int64."""

    def __init__(self, height: int, width: int, generator: torch.Generator) -> None:
        self.height, self.width, self.generator = height, width, generator
        self.wide = width / height
        self.y = ((torch.arange(height) + 0.5) / height)[:, None].expand(height, width)
        self.x = ((torch.arange(width) + 0.5) / height)[None].expand(height, width)
        self.colours = torch.zeros(3, height, width)
        self.labels = torch.zeros(height, width, dtype=torch.int64)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """A number drawn between the two."""
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def chance(self, share: float) -> bool:
        """True in that share of cases."""
        return self.uniform() < share

    def noise(self, rows: float, columns: float, octaves: int = 5, gain: float = 0.55) -> Tensor:
        """Clouds: (H, W) of mean 0 and about unit variance; rows, columns: waves of the coarsest octave."""
        total = torch.zeros(self.height, self.width)
        power = 0.0
        for octave in range(octaves):
            high, wide = (max(2, round(n * 2**octave) + 2) for n in (rows, columns))
            if high > self.height or wide > 2 * self.width:
                break
            grid = torch.randn(1, 1, high, wide, generator=self.generator)
            layer = F.interpolate(grid, (self.height, self.width), mode="bicubic", align_corners=True)[0, 0]
            total += layer * gain**octave
            power += gain ** (2 * octave)
        return total / math.sqrt(max(power, 1e-9))

    def curve(self, waves: float, octaves: int = 6, gain: float = 0.5) -> Tensor:
        """A skyline: (W,) of mean 0 and about unit variance."""
        total = torch.zeros(self.width)
        power = 0.0
        for octave in range(octaves):
            count = round(waves * 2**octave) + 2
            if count > self.width:
                break
            points = torch.randn(1, 1, count, generator=self.generator)
            total += F.interpolate(points, self.width, mode="linear", align_corners=True)[0, 0] * gain**octave
            power += gain ** (2 * octave)
        return total / math.sqrt(max(power, 1e-9))

    def below(self, line: Tensor | float, sharpness: float = 1.0) -> Tensor:
        """1 below a line, y of each column (W,) or one number; 0 above it: (H, W)."""
        level = line if isinstance(line, Tensor) else torch.full((self.width,), line)
        return torch.sigmoid((self.y - level[None]) * self.height * sharpness)

    def polygon(self, points: Sequence[tuple[float, float]]) -> Tensor:
        """1 within a polygon of (x, y): (H, W)."""
        scale = self.height * SUPERSAMPLED
        image = Image.new("L", (self.width * SUPERSAMPLED, scale))
        ImageDraw.Draw(image).polygon([(x * scale, y * scale) for x, y in points], fill=255)
        small = image.resize((self.width, self.height), Image.Resampling.BOX)
        return torch.from_numpy(np.asarray(small, np.float32) / 255)

    def figure(self, x: float, y: float, size: float, outline: Sequence[tuple[float, float]]) -> Tensor:
        """1 within an outline of (right, up) in units of `size` from the point (x, y): (H, W)."""
        return self.polygon([(x + size * right, y - size * up) for right, up in outline])

    def box(self, x: float, y: float, half: float, tall: float) -> Tensor:
        """1 within an upright rectangle that stands on (x, y): (H, W)."""
        return self.polygon([(x - half, y), (x - half, y - tall), (x + half, y - tall), (x + half, y)])

    def ellipse(self, x: float, y: float, across: float, down: float, soft: float = 0.1) -> Tensor:
        """1 within an ellipse with these half axes: (H, W); soft: how wide its border is."""
        distance = ((self.x - x) / across).square() + ((self.y - y) / down).square()
        return torch.sigmoid((1 - distance) / soft)

    def lay(self, mask: Tensor, colour: Tensor, label: int | None = None) -> None:
        """Lay a colour, (3,) or (3, H, W), behind a mask (H, W); what it covers by more than half gets the label."""
        over = colour[:, None, None] if colour.ndim == 1 else colour
        self.colours = torch.lerp(self.colours, over.expand_as(self.colours), mask[None])
        if label is not None:
            self.labels[mask > 0.5] = label
