"""The flat shapes of a drawing: where they are, what colour they have, how they look. And the strokes upon them.

Whoever draws with a brush of one colour, fills with a bucket or cuts paper makes areas that hardly vary. They are found
by their colours; the half-covered pixels of their borders go to the nearest. What fits no area and no border between
two is a stroke. A line drawing has no colours: its shapes are what its lines enclose.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from danqing.encode.image import to_oklab

PAPER = 0.985  # OKLab lightness of paper that nobody touched
FLAT = 12 / 255  # the most that a channel varies over 3 × 3 px of an area
FLATTEST = 0.55  # share of a drawing's pixels that are flat
COLOURS = 28  # more than these, and it is a picture, not a drawing of shapes
EXPLAINED = 0.94  # share of the flat pixels that have one of them
ALIKE = 0.045  # OKLab distance below which two colours are one
REACH = 7  # px on either side of a border that are half covered
STROKE, FAINT = 0.13, 0.07  # OKLab distance of a line from what a border explains, at its darkest and at its ends
SMALLEST, SHORTEST = 12, 7  # px of a shape, of a line
GAP = 5  # px over which a line that almost closes is closed
LONG, NEAR = 0.5, 0.12  # shares of the width: a skyline's length, and how far it may end from the sides
BRIGHT, BETWEEN = 0.85, 0.2  # lightness of paper half covered; share that each of two areas has around it
SLIVER = 4  # px: what is thinner than twice this at an edge
FRAME = 0.2  # share of its box that a frame has at most
LEAST = 0.0012  # share of the picture that an enclosed shape has

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Shape:
    """A connected area. mask (H, W); colour sRGB (3,) in [0, 1], None where only its outline was drawn.

    shades (3, H, W): where its colour changes gently from place to place, by what to multiply `colour` there.
    """

    mask: Mask
    colour: Tensor | None = None
    shades: Tensor | None = None

    @cached_property
    def share(self) -> float:
        """Of the picture."""
        return float(np.mean(self.mask))

    @cached_property
    def box(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) as shares of the picture's sides."""
        rows, columns = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        height, width = self.mask.shape
        return columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height

    @property
    def wide(self) -> float:
        """Share of the picture's width that it spans."""
        return self.box[2] - self.box[0]

    @property
    def tall(self) -> float:
        """Share of the picture's height that it spans."""
        return self.box[3] - self.box[1]

    @cached_property
    def aspect(self) -> float:
        """Width over height, in pixels."""
        height, width = self.mask.shape
        return float(self.wide * width / (self.tall * height))

    @cached_property
    def fill(self) -> float:
        """Share of its box that it covers, holes as well: 1 a rectangle, 0.79 an ellipse, 0.5 a triangle."""
        part = self.mask[self._rows(0), self._columns(0)]
        return float(ndimage.binary_fill_holes(part).mean())  # windows do not make a house less of a block

    @cached_property
    def peaked(self) -> float:
        """How much wider its lower third is than its upper third: 1 a rectangle or a disc, 5 a triangle that stands."""
        rows = np.flatnonzero(self.mask.any(1))
        widths = self.mask[rows[0] : rows[-1] + 1].sum(1)
        third = max(1, len(widths) // 3)
        return float(widths[-third:].mean() / max(1.0, widths[:third].mean()))

    @cached_property
    def line(self) -> NDArray[np.float64]:
        """Its upper border: the share of the picture's height at which it begins, for each of its columns."""
        found: NDArray[np.float64] = self.mask.argmax(0)[self.mask.any(0)] / self.mask.shape[0]
        return found

    @cached_property
    def edges(self) -> dict[str, float]:
        """Share of each side of the picture that it touches: top, bottom, left, right."""
        mask = self.mask
        sides = {"top": mask[:2], "bottom": mask[-2:], "left": mask[:, :2].T, "right": mask[:, -2:].T}
        return {name: float(side.any(0).mean()) for name, side in sides.items()}

    def near(self, other: Mask, reach: int = 3) -> float:
        """Share of its border that lies within `reach` px of the other area."""
        part = self._rows(reach), self._columns(reach)
        own = self.mask[part]
        ring = grown(own, reach) & ~own
        return float((ring & other[part]).sum() / max(1, ring.sum()))

    def _rows(self, more: int) -> slice:
        found = np.flatnonzero(self.mask.any(1))
        return slice(max(0, int(found[0]) - more), int(found[-1]) + 1 + more)

    def _columns(self, more: int) -> slice:
        found = np.flatnonzero(self.mask.any(0))
        return slice(max(0, int(found[0]) - more), int(found[-1]) + 1 + more)


@dataclass(frozen=True)
class Drawing:
    """shapes: largest first, they part the picture; strokes (H, W): pixels of lines that lie upon them."""

    shapes: tuple[Shape, ...]
    strokes: Mask


def grown(mask: Mask, reach: int) -> Mask:
    """The area and what lies within `reach` px of it."""
    grow: Mask = ndimage.binary_dilation(mask, iterations=reach)
    return grow


def parts(mask: Mask) -> list[Shape]:
    """The connected parts of an area, but for specks."""
    numbers, count = ndimage.label(mask)
    sizes = np.bincount(numbers.ravel(), minlength=count + 1)
    return [Shape(numbers == number) for number in range(1, count + 1) if sizes[number] >= SMALLEST]


def of_colours(picture: Tensor) -> Drawing | None:
    """The shapes of a drawing in flat colours, None where it has none. picture (1, 3, H, W) float32 sRGB in [0, 1]."""
    padded = F.pad(picture, (1, 1, 1, 1), mode="replicate")
    spread = (F.max_pool2d(padded, 3, 1) + F.max_pool2d(-padded, 3, 1)).amax(1)[0]
    flat = (spread < FLAT).numpy()
    if flat.mean() < FLATTEST:
        return None
    lab = to_oklab(picture)[0].permute(1, 2, 0).numpy()
    centres = _centres(lab[flat])
    if centres is None:
        return None
    nearest = np.linalg.norm(lab[:, :, None] - centres, axis=-1).argmin(2)
    away = np.stack([_from(flat & (nearest == k)) for k in range(len(centres))], 2)
    order = away.argsort(2)
    first, second = order[..., 0], order[..., min(1, len(centres) - 1)]
    beside = np.where((np.take_along_axis(away, second[..., None], 2)[..., 0] <= REACH), second, first)
    apart = np.where(flat, 0, _from_segment(lab, centres[first], centres[beside]))
    areas = []
    for group in _gradients(nearest, flat, lab, len(centres)):
        area = np.isin(first, group)
        thin = _slivers(area, first, paper=bool(centres[group[0], 0] > PAPER))
        areas += [(part.mask, len(group) > 1) for part in parts(area & ~thin)]
    if not areas:
        return None
    strokes = _strokes(apart, first, lab[..., 0])
    shapes = []
    for mask, shaded in areas:
        own = mask & flat
        colour = picture[0][:, torch.from_numpy(own if own.any() else mask)].mean(1)
        shapes.append(Shape(mask, colour, _shades(picture[0], mask & ~strokes, colour) if shaded else None))
    return Drawing(tuple(sorted(_parting(shapes), key=lambda s: -s.share)), strokes)


def of_lines(strokes: Tensor) -> tuple[Shape, ...]:
    """What the lines of a drawing enclose, largest first; fewer than two where they enclose nothing.

    strokes (1, 1, H, W) in [0, 1]: 1 is a line. The shapes part the picture: a line's pixels go to the nearest.
    """
    drawn = _reaching(strokes[0, 0].numpy() > 0.35)
    numbers, count = ndimage.label(~drawn)
    rim = np.ones_like(drawn)
    rim[1:-1, 1:-1] = False
    numbers[np.isin(numbers, np.unique(numbers[rim]))] = 0  # what is closed is closed; gaps are looked for elsewhere
    closed = ndimage.binary_closing(np.pad(drawn, GAP), iterations=GAP)[GAP:-GAP, GAP:-GAP]
    free = ~drawn & (numbers == 0)
    outer, _ = ndimage.label(free & ~closed)
    if outer.any():
        rows, columns = ndimage.distance_transform_edt(outer == 0, return_distances=False, return_indices=True)
        numbers[free] = count + outer[rows, columns][free]
    sizes = np.bincount(numbers.ravel())
    small = sizes < LEAST * numbers.size
    for number, place in enumerate(ndimage.find_objects(numbers), 1):  # a frame around the sheet is nothing drawn
        span = np.prod([s.stop - s.start for s in place]) if place else 0
        small[number] |= span > 0.25 * numbers.size and sizes[number] < FRAME * span
    numbers[small[numbers]] = 0
    if not numbers.any():
        return ()
    rows, columns = ndimage.distance_transform_edt(numbers == 0, return_distances=False, return_indices=True)
    whole = numbers[rows, columns]
    shapes = _healed([Shape(whole == number) for number in np.unique(whole)])
    return tuple(sorted(shapes, key=lambda s: -s.share))


def _healed(shapes: list[Shape]) -> list[Shape]:
    """What a horizon was drawn through is one again: halves as wide, one upon the other, that make a round whole."""
    for upper in shapes:
        for lower in shapes:
            sides = [abs(upper.box[k] - lower.box[k]) for k in (0, 2)]
            if upper is lower or max(sides) > 0.014 or abs(upper.box[3] - lower.box[1]) > 0.03:
                continue
            whole = Shape(upper.mask | lower.mask)
            if upper.peaked < 2.2 and whole.share < 0.2 and whole.fill > 0.74 and 0.5 < whole.aspect < 1.8:
                return _healed([*(s for s in shapes if s is not upper and s is not lower), whole])
    return shapes


def _reaching(lines: Mask) -> Mask:
    """Long lines that almost reach a side of the picture go on to it."""
    numbers, count = ndimage.label(lines, np.ones((3, 3)))
    wide = lines.shape[1]
    reaching = lines.copy()
    for number in range(1, count + 1):
        rows, columns = np.nonzero(numbers == number)
        if columns.max() - columns.min() > LONG * wide:
            ends = (columns.argmin(), 0, columns.min()), (columns.argmax(), columns.max(), wide)
            for end, start, stop in ends:
                if stop - start < NEAR * wide:
                    reaching[rows[end], start:stop] = True
    return reaching


def _centres(points: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """The few colours that nearly all points (N, 3) have, most frequent first; None where they are not few."""
    cells, counts = np.unique((points / (ALIKE / 2)).round().astype(np.int32), axis=0, return_counts=True)
    centres: list[NDArray[np.float32]] = []
    explained = 0
    for cell, count in sorted(zip(cells.astype(np.float32) * (ALIKE / 2), counts, strict=True), key=lambda c: -c[1]):
        if all(np.linalg.norm(cell - c) > ALIKE for c in centres):
            if count < SMALLEST or len(centres) == COLOURS:
                continue
            centres.append(cell)
        explained += int(count)
    if not centres or explained < EXPLAINED * len(points):
        return None
    return np.stack(centres)


def _gradients(nearest: NDArray[np.int64], flat: Mask, lab: NDArray[np.float32], count: int) -> list[list[int]]:
    """Colours that pass into each other without a border belong together."""
    smooth, whole = np.zeros((count, count)), np.zeros((count, count))
    for axis in (0, 1):
        here = (slice(-1),) if axis == 0 else (slice(None), slice(-1))
        there = (slice(1, None),) if axis == 0 else (slice(None), slice(1, None))
        one, other = nearest[here], nearest[there]
        soft = flat[here] & flat[there] & (np.linalg.norm(np.diff(lab, axis=axis), axis=-1) < ALIKE / 2)
        borders = one != other
        np.add.at(whole, (one[borders], other[borders]), 1)
        np.add.at(smooth, (one[borders], other[borders]), soft[borders])
    smooth, whole = smooth + smooth.T, whole + whole.T
    joined = (whole >= SMALLEST) & (smooth > 0.5 * whole)
    number, groups = connected_components(csr_array(joined), directed=False)
    return [np.flatnonzero(groups == k).tolist() for k in range(number)]


def _slivers(area: Mask, nearest: NDArray[np.int64], paper: bool) -> Mask:
    """What a brush did not quite reach: strips along the picture's edges, and of paper level ones between two areas."""
    numbers, _ = ndimage.label(area & ~ndimage.binary_opening(area, iterations=SLIVER))
    height, width = area.shape
    thin = np.zeros_like(area)
    for number, (rows, columns) in enumerate(ndimage.find_objects(numbers), 1):
        tall, wide = rows.stop - rows.start, columns.stop - columns.start
        level, upright = tall <= 2 * SLIVER, wide <= 2 * SLIVER
        at_rim = (level and (rows.start == 0 or rows.stop == height)) or (
            upright and (columns.start == 0 or columns.stop == width)
        )
        strip = numbers == number
        if at_rim or (paper and wide >= max(6 * SLIVER, 3 * tall) and _between(strip, nearest)):
            thin |= strip
    return thin


def _between(line: Mask, nearest: NDArray[np.int64]) -> bool:
    """Whether it lies between two areas rather than upon one."""
    around = np.sort(np.bincount(nearest[grown(line, 2) & ~line]))
    return len(around) > 1 and bool(around[-2] > BETWEEN * around.sum())


def _strokes(apart: NDArray[np.float32], nearest: NDArray[np.int64], light: NDArray[np.float32]) -> Mask:
    """Of the pixels that fit nowhere those that make lines: no ragged border, no paper that shows between two areas.

    apart: how far each pixel is from what areas explain; nearest: which area it belongs to; light: of OKLab.
    """
    odd = apart > FAINT
    odd[:SLIVER], odd[-SLIVER:], odd[:, :SLIVER], odd[:, -SLIVER:] = False, False, False, False
    numbers, count = ndimage.label(odd, np.ones((3, 3)))
    for number in range(1, count + 1):
        line = numbers == number
        faint = line.sum() < SHORTEST or apart[line].max() < STROKE
        if faint or (light[line].mean() > BRIGHT and _between(line, nearest)):
            odd &= ~line
    return odd


def _parting(shapes: list[Shape]) -> list[Shape]:
    """The shapes with every pixel that has none given to the nearest."""
    owner = np.zeros(shapes[0].mask.shape, np.int64)
    for number, shape in enumerate(shapes, 1):
        owner[shape.mask] = number
    rows, columns = ndimage.distance_transform_edt(owner == 0, return_distances=False, return_indices=True)
    owner = owner[rows, columns]
    return [replace(shape, mask=owner == number) for number, shape in enumerate(shapes, 1)]


def _shades(picture: Tensor, mask: Mask, colour: Tensor) -> Tensor:
    """The picture (3, H, W) within an area, smoothed, over its mean colour; 1 elsewhere."""
    share = torch.from_numpy(mask).float()[None, None]
    side = 9
    cover = F.avg_pool2d(share, side, 1, side // 2).clamp_min(1e-3)
    seen = F.avg_pool2d(picture[None] * share, side, 1, side // 2) / cover
    shades = (seen[0] / colour[:, None, None].clamp_min(0.02)).clamp(0.3, 3)
    return torch.where(cover[0] > 0.02, shades, torch.ones(()))


def _from(mask: Mask) -> NDArray[np.float32]:
    """How far each pixel lies from an area, px."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    away: NDArray[np.float32] = ndimage.distance_transform_edt(~mask).astype(np.float32)
    return away


def _from_segment(
    lab: NDArray[np.float32], one: NDArray[np.float32], other: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How far colours (H, W, 3) are from every mixture of the two beside them."""
    along = other - one
    square = np.maximum((along**2).sum(-1), 1e-9)
    share = np.clip(((lab - one) * along).sum(-1) / square, 0, 1)
    away: NDArray[np.float32] = np.linalg.norm(lab - one - share[..., None] * along, axis=-1)
    return away
