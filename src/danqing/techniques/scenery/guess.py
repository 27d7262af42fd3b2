"""What the shapes of a drawing are meant to be, guessed from colour, form and place, as one reads a child's drawing.

What reaches along the upper edge is sky, what reaches along the lower one land or water; a yellow disc up there is the
sun, a blue oval down here a pond, a wide peak on the horizon a mountain. The rules are few and can be told to a person;
what they do not know is an object, and stays the shape that it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from danqing.encode.image import to_oklab
from danqing.encode.scenes import Scene
from danqing.encode.shapes import PAPER, Mask, Shape
from danqing.techniques.scenery.stage import WATERS

BLANK = 0.2  # share of a picture that blank paper has at least
ROUND = (0.68, 1.5)  # aspects of a disc
SMALL, LARGE, TINY = 0.03, 0.08, 0.006  # shares of the picture: the sun at most, a full moon's disc, a flower at most
LUMINOUS = frozenset({"yellow", "orange", "red", "white", "sand", ""})  # what sun and moon are
LIGHTS, DARK = 2, 0.45  # more of them than this, and they are none; OKLab lightness of a night sky at most
FLAT, PEAKS = 0.09, 0.055  # deviation of a land's upper line at most, of a mountain range's at least
JOINT = 0.06  # share of the height over which one thing still stands on another
OPEN = 0.68  # where the horizon lies under an empty sky


@dataclass(frozen=True)
class Named:
    """A shape and what it is: one of REGIONS, or `trunk`."""

    name: str
    shape: Shape

    @property
    def colour(self) -> Tensor | None:
        """What a person gave it, sRGB (3,) in [0, 1]; None where nobody did."""
        return self.shape.colour


def hue(colour: Tensor | None) -> str:
    """The everyday name of a colour (3,): white, grey, black, red, orange, brown, sand, yellow, green, blue, purple.

    None gives "": whichever.
    """
    if colour is None:
        return ""
    light, a, b = to_oklab(colour[None, :, None, None].float())[0, :, 0, 0].tolist()
    chroma, angle = float(np.hypot(a, b)), float(np.degrees(np.arctan2(b, a)) % 360)
    if chroma < 0.035 or light < 0.2:
        return "white" if light > 0.88 else "black" if light < 0.28 else "grey"
    if 75 <= angle < 115 and light > 0.8 and chroma > 0.11:
        return "yellow"
    if 35 <= angle < 110:
        if light < 0.6 and (chroma < 0.13 or light < 0.5):
            return "brown"
        return "sand" if chroma < 0.11 and light > 0.68 else "orange" if angle < 75 else "yellow"
    if angle < 110 or angle >= 345:
        return "brown" if light < 0.35 else "red"
    return "green" if angle < 180 else "blue" if angle < 290 else "purple"


def named(shapes: Sequence[Shape], scene: Scene) -> list[Named]:
    """Every shape with its name, in the order of `ordered`."""
    return ordered(_View(list(shapes), scene).named) if shapes else []


def ordered(shapes: Sequence[Named]) -> list[Named]:
    """Those first that others may lie upon: what is far, then what is large."""
    return sorted(shapes, key=lambda one: (_DEPTHS.get(one.name, 5), -one.shape.share))


_DEPTHS = {"sky": 0, "light": 1, "cloud": 2, "mountain": 3, "ground": 4, "snow": 4, "sand": 4, "water": 4.5}


class _View:
    """The shapes of one drawing, named one after another, the large ones first."""

    def __init__(self, shapes: list[Shape], scene: Scene) -> None:
        self.scene = scene
        self.named: list[Named] = []
        self._boats: list[Shape] | None = None  # what may be one, once land and water are named
        self.sky: Mask = np.zeros_like(shapes[0].mask)
        self.horizon = self.skyline = 0.0  # where land begins; where the sky itself ends
        rest = self._above(shapes)
        self.skyline = self.horizon
        floors = [shape for shape in rest if self._spread(shape)]
        if floors:
            self.horizon = min(float(np.median(shape.line)) for shape in floors)
        for shape in floors:
            self._lay_floor(shape)
        later = [shape for shape in rest if not any(shape is floor for floor in floors)]
        for shape in later:
            self._add(self._like(shape) or self._thing(shape, later), shape)
        self._many_lights()

    def _many_lights(self) -> None:
        """There is one sun. Many bright discs are flowers by day; by night they are stars and lamps."""
        lights = [one for one in self.named if one.name == "light"]
        skies = [one for one in self.named if one.name == "sky"]
        if len(lights) > LIGHTS and skies and _light(skies[0].colour) > DARK:
            self.named = [Named("flower", one.shape) if one.name == "light" else one for one in self.named]

    def _like(self, shape: Shape) -> str:
        """What a larger shape of the same colour is, where this may be a part of it that something cut off."""
        _, top, _, bottom = shape.box
        for one in self.named:
            land = one.name in ("ground", "water", "snow", "sand") and top > self.horizon - 0.03
            hill = one.name == "mountain" and top < self.horizon and bottom < self.horizon + 0.08
            if (land or hill) and _alike(one.colour, shape.colour):
                return one.name
        return ""

    def _lay_floor(self, shape: Shape) -> None:
        """Land, water or mountains; before mountains that are but a line, there is land."""
        name, height = self._floor(shape), shape.mask.shape[0]
        if name == "mountain" and shape.colour is None:
            near = shape.mask.copy()
            near[: round((0.45 * float(np.median(shape.line)) + 0.55) * height)] = False
            shape = Shape(shape.mask & ~near)
            if near.any():
                self._add(self._floor(Shape(near)), Shape(near))
        self._add(name, shape)

    def _spread(self, shape: Shape) -> bool:
        """Whether it lies there as land or water does."""
        edges = shape.edges
        if self.sky.any() and float(np.median(shape.line)) < self.horizon - 0.08:
            return edges["bottom"] > 0.5
        across = shape.wide > 0.75 and float(shape.line.std()) < FLAT
        corner = edges["bottom"] > 0.15 and shape.wide > 0.3 and (edges["left"] > 0.05 or edges["right"] > 0.05)
        return across or corner or (edges["bottom"] > 0.4 and shape.wide > 0.5)

    def _add(self, name: str, shape: Shape) -> None:
        self.named.append(Named(name, shape))

    def _above(self, shapes: list[Shape]) -> list[Shape]:
        """Name the sky; what reaches from above to below is parted. Returns the other shapes."""
        wide = [s for s in shapes if s.edges["top"] > 0.25 and hue(s.colour) not in ("green", "brown")]
        wide = wide or [s for s in shapes if s.share > 0.08 and s.box[1] < 0.35 and _light(s.colour) > 0.82]
        if not wide:
            return shapes
        first = max(wide, key=lambda s: s.edges["top"])
        seen = [s for s in shapes if s.box[1] < 0.6 and _alike(s.colour, first.colour)]  # between branches, too
        skies = wide if first.colour is None else [first, *(s for s in seen if s is not first)]
        rest = [s for s in shapes if not any(s is sky for sky in skies)]
        height = first.mask.shape[0]
        for shape in skies:
            self.sky |= shape.mask
        lowest = height - self.sky[::-1].argmax(0)[self.sky.any(0)]  # of each column that has sky
        self.horizon = float(np.quantile(lowest, 0.85)) / height  # mountains hide it here and there
        through = first.edges["bottom"] > 0.3 and self.horizon > 0.9
        if through:
            self.horizon = _standing(rest)
            line = round(self.horizon * height)
            below = self.sky.copy()
            below[:line] = False
            self.sky = self.sky & ~below
            floor = Shape(below, None if _blank(first) else first.colour, first.shades)
            self._add(self._floor(floor), floor)
        self._add("sky", Shape(self.sky, None if _blank(first) else first.colour, first.shades))
        return rest

    def _floor(self, shape: Shape) -> str:
        """What kind of land or water."""
        colour, scene = shape.colour, self.scene
        seen = hue(colour)
        if (
            seen in ("", "grey", "purple", "blue")
            and float(shape.line.std()) > PEAKS
            and shape.box[1] < self.skyline - 0.05
        ):
            return "mountain"
        if seen == "":
            cold = scene.season == "winter" or scene.weather == "snow" or "snowfield" in scene.places
            return (
                "water" if set(WATERS) & set(scene.places)
                else "sand" if {"beach", "desert"} & set(scene.places)
                else "snow" if cold else "ground"
            )  # fmt: skip
        if seen in ("blue", "purple"):
            return (
                "snow" if _light(colour) > 0.82 and seen == "blue" and not set(WATERS) & set(scene.places) else "water"
            )
        if seen in ("white", "grey") and _light(colour) > 0.8:
            return "snow"
        if seen in ("orange", "red", "black") and set(WATERS) & set(scene.places):
            return "water"
        return "sand" if seen == "sand" else "ground"

    def _thing(self, shape: Shape, others: list[Shape]) -> str:
        seen = hue(shape.colour)
        _, top, _, bottom = shape.box
        disc = ROUND[0] < shape.aspect < ROUND[1] and shape.fill > 0.68
        above, beside = bottom < self.horizon + 0.04, shape.near(self.sky)
        rising = disc or (shape.aspect < 2.4 and shape.fill > 0.65 and bottom > self.horizon - 0.04)
        bright = shape.share < SMALL and seen in ("yellow", "orange", "red") and not _stemmed(shape, others)
        if above and beside > 0.2 and rising and bright:
            return "light"  # though a mountain may hide part of it
        aloft = beside > 0.8 and above
        if aloft:
            return self._aloft(shape, seen, disc, others)
        if shape.near(self._masks("building")) > 0.6:
            return "building"  # its doors and windows
        if shape.peaked > 1.3 and _roofs(shape, others) and seen not in ("green", "blue"):
            return "roof"
        if shape.fill > 0.7 and _roofed(shape, others):
            return "building"
        trunk = shape.aspect < 0.5 and shape.share < SMALL
        if trunk and seen in ("brown", "black", "grey", "") and _crowned(shape, others):
            return "trunk"
        if shape.aspect < 0.35 and shape.tall > 0.3 and shape.wide < 0.08 and seen in ("brown", "black", "grey"):
            return "trunk"
        if top < self.horizon - 0.06:
            return self._upright(shape, seen, others)
        return self._lying(shape, seen)

    def _aloft(self, shape: Shape, seen: str, disc: bool, others: list[Shape]) -> str:
        if seen == "green" or (shape.share > 0.004 and _stemmed(shape, others)):
            return "tree"
        exact = 0.9 < shape.aspect < 1.1 and shape.fill > 0.72
        if disc and shape.share < (LARGE if exact else SMALL) and seen in LUMINOUS:
            return "light"
        if shape.peaked > 2 and shape.wide > 0.2 and shape.aspect < 4:
            return "mountain"
        pale = _light(shape.colour) > 0.6 and seen in ("white", "grey", "sand", "blue", "purple", "")
        if self._aboard(shape, others):
            return "sail"
        return "cloud" if pale or (shape.aspect > 1.8 and seen in ("red", "orange", "yellow", "grey")) else "object"

    def _upright(self, shape: Shape, seen: str, others: list[Shape]) -> str:
        """What stands before the sky."""
        top = shape.box[1]
        if shape.fill < 0.3 or (shape.near(self.sky) < 0.02 and shape.share < 1.5 * TINY):
            return "object"  # a rainbow's band, a button
        if self._aboard(shape, others) and seen in ("white", "sand", "red", "orange", "yellow", ""):
            return "sail"
        ends = shape.edges["left"] > 0.02 or shape.edges["right"] > 0.02
        if seen == "blue" and ends and shape.wide > 0.3 and top > self.skyline - 0.05:
            return "water"
        if seen != "green" and shape.wide > 0.22 and (shape.peaked > 1.7 or (ends and shape.wide > 0.4)):
            if seen in ("red", "yellow"):
                return "ground" if shape.edges["bottom"] > 0.1 else "object"
            return "sand" if seen == "sand" else "mountain"
        if seen == "green":
            hills = shape.wide > 0.4 and shape.peaked > 1.7 and shape.fill < 0.75
            return "mountain" if hills else "ground" if shape.edges["bottom"] > 0.1 and shape.wide > 0.2 else "tree"
        if _stemmed(shape, others):
            return "tree"
        rounded = 0.6 < shape.fill < 0.86 and shape.peaked < 1.5 and shape.aspect < 2.5
        if rounded and seen in ("", "orange", "yellow", "red", "brown"):
            return "tree"
        walls = shape.fill > 0.84 or (shape.fill > 0.62 and shape.peaked > 1.25)
        return "building" if walls else "mountain" if shape.wide > 0.22 and not rounded else "object"

    def _lying(self, shape: Shape, seen: str) -> str:
        """What lies on land or water."""
        afloat = shape.near(self._masks("water")) > 0.55
        if afloat:
            if seen == "green":
                return "ground" if shape.aspect > 1.6 else "tree"
            if seen == "white" and shape.peaked > 1.6:
                return "sail"
            if seen in ("white", "yellow", "sand") or (seen == "grey" and _light(shape.colour) > 0.75):
                return "object"  # light upon the water
            if seen == "grey":
                return "rock"
            return "boat" if shape.aspect > 1.2 and shape.wide < 0.5 else "object"
        if seen == "blue" and (shape.aspect > 1.3 or shape.fill < 0.6 or shape.edges["bottom"] > 0.1):
            return "water"
        if seen == "green":
            return "tree" if shape.tall > 0.08 and shape.aspect < 1.8 else "ground"
        if shape.share < TINY and seen in ("red", "orange", "yellow", "purple", "white"):
            return "flower"
        if shape.edges["bottom"] > 0.05 and shape.peaked > 1.4:
            return "ground"  # a path
        if seen == "" and shape.aspect > 1.5:
            return "water"
        if seen in ("grey", "black"):
            return "rock"
        if seen == "white":
            return "snow" if shape.aspect > 1.4 else "building" if shape.fill > 0.86 else "rock"
        if shape.fill > 0.84:
            return "building"
        if seen in ("sand", "brown", "orange") and shape.aspect > 2:
            return "ground"
        return "object"

    def _masks(self, *names: str) -> Mask:
        mask: Mask = np.zeros_like(self.sky)
        for one in self.named:
            if one.name in names:
                mask |= one.shape.mask
        return mask

    def _aboard(self, shape: Shape, others: list[Shape]) -> bool:
        """Whether it is right above something on the water that may be a boat."""
        if self._boats is None:
            water = self._masks("water")
            self._boats = [s for s in others if s.aspect > 1.5 and s.wide < 0.5 and s.near(water) > 0.4]
        return any(_upon(shape, boat) for boat in self._boats)


def _upon(upper: Shape, lower: Shape) -> bool:
    """Whether one stands on the upper border of the other, the middle of the narrower within the wider."""
    narrow, wide = sorted((upper, lower), key=lambda s: s.wide)
    middle = (narrow.box[0] + narrow.box[2]) / 2
    inside = wide.box[0] - 0.02 < middle < wide.box[2] + 0.02
    return upper is not lower and inside and abs(upper.box[3] - lower.box[1]) < JOINT


def _crowned(shape: Shape, others: list[Shape]) -> bool:
    """Whether something wider that may be leaves lies upon it."""
    return any(_upon(s, shape) and s.wide > 1.5 * shape.wide for s in others)


def _stemmed(shape: Shape, others: list[Shape]) -> bool:
    """Whether it stands on a stem."""
    stems = [s for s in others if s.aspect < 0.5 and hue(s.colour) in ("brown", "black", "grey", "")]
    return any(_upon(shape, stem) and stem.wide < 0.6 * shape.wide for stem in stems)


def _roofed(shape: Shape, others: list[Shape]) -> bool:
    """Whether a roof lies upon it."""
    roofs = [s for s in others if s.peaked > 1.3 and hue(s.colour) not in ("green", "blue")]
    return any(_upon(s, shape) and 0.85 * shape.wide < s.wide < 1.8 * shape.wide for s in roofs)


def _roofs(shape: Shape, others: list[Shape]) -> bool:
    """Whether it lies upon something nearly as wide that stands upright."""
    walls = [s for s in others if s.fill > 0.7 and hue(s.colour) != "green"]
    return shape.wide < 0.6 and any(_upon(shape, s) and 0.5 * shape.wide < s.wide < 1.15 * shape.wide for s in walls)


def _standing(rest: list[Shape]) -> float:
    """Where the horizon lies behind what stands before one backdrop."""
    things = [s for s in rest if s.box[3] > 0.5 and s.tall > 0.08]
    if not things:
        return OPEN
    _, top, _, bottom = max(things, key=lambda s: s.share).box
    share = 0.5 if bottom > 0.95 else 0.74
    return float(np.clip(top + share * (bottom - top), 0.4, 0.82))


def _alike(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return False
    return float(torch.linalg.vector_norm(one - other)) < 0.06


def _light(colour: Tensor | None) -> float:
    return 1.0 if colour is None else float(to_oklab(colour[None, :, None, None].float())[0, 0, 0, 0])


def _blank(shape: Shape) -> bool:
    """Whether it is paper that nobody painted."""
    return hue(shape.colour) == "white" and _light(shape.colour) > PAPER and shape.share > BLANK
