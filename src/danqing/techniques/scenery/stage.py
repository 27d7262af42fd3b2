"""The canvas of a scene, its light, and the colours that its light gives to things."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from danqing.encode.canvas import Canvas
from danqing.encode.scenes import Rgb, Scene

REGIONS = (
    *("sky", "cloud", "light", "mountain", "tree", "ground", "water", "snow", "sand", "building"),
    *("boat", "flower", "object", "rock", "cloth", "roof", "sail"),
)
LABEL = {name: number for number, name in enumerate(REGIONS)}
KINDS = ("pine", "birch", "bamboo", "willow")  # of trees
WATERS = ("sea", "lake", "river", "harbour", "waterfall")


@dataclass(frozen=True)
class Air:
    """The light of a time of day."""

    zenith: Rgb
    horizon: Rgb
    tint: Rgb  # what white becomes in it
    strength: float
    disc: Rgb  # of the sun or the moon


TIMES = {
    "dawn": Air((0.46, 0.56, 0.76), (0.98, 0.81, 0.68), (1.0, 0.91, 0.84), 0.94, (1.0, 0.92, 0.72)),
    "day": Air((0.32, 0.53, 0.80), (0.80, 0.88, 0.93), (1.0, 1.0, 0.97), 1.0, (1.0, 0.97, 0.82)),
    "dusk": Air((0.34, 0.33, 0.54), (0.97, 0.63, 0.38), (1.0, 0.80, 0.62), 0.76, (1.0, 0.80, 0.48)),
    "night": Air((0.07, 0.10, 0.24), (0.20, 0.27, 0.44), (0.58, 0.68, 0.98), 0.42, (0.97, 0.96, 0.88)),
}
VEILS = {"cloudy": 0.45, "rain": 0.7, "storm": 0.78, "fog": 0.75, "snow": 0.7}  # how much of the sky is grey
HAZE = {"fog": 0.92, "rain": 0.65, "snow": 0.7, "storm": 0.55}  # how much of the farthest things is air; else 0.5
GREY = {
    "dawn": (0.70, 0.68, 0.70),
    "day": (0.66, 0.69, 0.73),
    "dusk": (0.50, 0.45, 0.48),
    "night": (0.15, 0.18, 0.26),
}
GRASS = {
    "spring": (0.54, 0.67, 0.32),
    "summer": (0.42, 0.57, 0.26),
    "autumn": (0.70, 0.56, 0.28),
    "winter": (0.62, 0.56, 0.42),
}
LEAVES = {
    "spring": (0.46, 0.62, 0.30),
    "summer": (0.24, 0.42, 0.20),
    "autumn": (0.78, 0.44, 0.16),
    "winter": (0.44, 0.38, 0.32),
}
HELD = 0.5  # share of a colour that was asked for which light and air leave as it is
SNOW: Rgb = (0.93, 0.95, 0.98)
SAND: Rgb = (0.87, 0.77, 0.56)
BARK: Rgb = (0.29, 0.22, 0.17)
BARKS: Mapping[str, Rgb] = {"birch": (0.86, 0.85, 0.81), "bamboo": (0.45, 0.57, 0.26), "pine": (0.40, 0.26, 0.19)}
PINE: Rgb = (0.15, 0.28, 0.21)
BAMBOO: Rgb = (0.42, 0.56, 0.24)
PINK: Rgb = (0.94, 0.72, 0.78)
ROCK: Rgb = (0.46, 0.44, 0.42)


class Stage:
    """A canvas with a scene, its light, and what has been decided about both."""

    def __init__(self, scene: Scene, canvas: Canvas) -> None:
        if "waves" in scene.things and not {*WATERS, "beach"} & {*scene.places}:
            scene = replace(scene, places=(*scene.places, "sea"))
        self.scene, self.canvas = scene, canvas
        time = scene.time or ("night" if "stars" in scene.things else "night" if "moon" in scene.things else "day")
        self.time = time
        self.air = TIMES[time]
        self.weather = scene.weather or "clear"
        winter = self.weather == "snow" or "snowfield" in scene.places
        self.season = scene.season or ("winter" if winter else "spring" if "blossom" in scene.things else "summer")
        self.snowy = winter or (self.season == "winter" and canvas.chance(0.7))
        self.zenith, self.horizon_colour = self._sky()
        self.tint = torch.tensor(self.air.tint)
        self.far = 0.6 * self.horizon_colour + 0.4 * self.zenith
        self.disc: tuple[float, float] | None = None  # where the sun or moon stands
        self.built: float | None = None  # where a tower or a pagoda stands that was asked for
        self.kind = ""  # of the tree that is drawn: one of KINDS, or whichever
        self.another()

    def _sky(self) -> tuple[Tensor, Tensor]:
        """Colours above and at the horizon."""
        zenith, horizon = torch.tensor(self.air.zenith), torch.tensor(self.air.horizon)
        veil = VEILS.get(self.weather, 0.0)
        grey = torch.tensor(GREY[self.time]) * {"storm": 0.66, "fog": 1.15}.get(self.weather, 1.0)
        zenith, horizon = torch.lerp(zenith, grey, veil), torch.lerp(horizon, grey * 1.12, veil)
        if "sky" in self.scene.colours:
            told = torch.tensor(self.scene.colours["sky"])
            dark = 0.45 if self.time == "night" else 1.0
            zenith, horizon = told * dark, torch.lerp(told * dark, horizon, 0.3)
        return zenith.clamp(0, 1), horizon.clamp(0, 1)

    def colour(self, region: str, otherwise: Rgb) -> Tensor:
        """What was asked for, or else this."""
        return torch.tensor(self.scene.colours.get(region, otherwise))

    def lit(self, colour: Tensor | Rgb, depth: float = 0.0) -> Tensor:
        """A colour in this light, `depth` from 0 (near) to 1 (far): the farther, the more air lies before it."""
        near = torch.as_tensor(colour) * self.tint * self.air.strength
        nearer = depth**0.5 if self.weather == "fog" else depth  # in fog the air is thick close by
        return torch.lerp(near, self.far, nearer * HAZE.get(self.weather, 0.5))

    def shown(self, region: str, otherwise: Rgb, depth: float = 0.0) -> Tensor:
        """A region's colour in this light. One that was asked for stays half as it is, whatever light and air do."""
        colour = self.colour(region, otherwise)
        return torch.lerp(self.lit(colour, depth), colour, HELD * self.told(region))

    def another(self) -> None:
        """The next tree is of the next kind that was asked for, where there are several."""
        asked = [name for name in KINDS if name in self.scene.things]
        if asked:
            self.kind = asked[(asked.index(self.kind) + 1) % len(asked)] if self.kind else asked[0]

    @property
    def evergreen(self) -> bool:
        """Whether its trees keep their leaves in winter."""
        return self.kind in ("pine", "bamboo")

    @property
    def cold(self) -> bool:
        """Whether snow or ice lies there, where flowers stand only if they were asked for."""
        return self.snowy or self.has("glacier", "snowfield")

    def told(self, region: str) -> bool:
        """Whether its colour was asked for."""
        return region in self.scene.colours

    def textured(self, colour: Tensor, *by: Tensor) -> Tensor:
        """A colour (3,) made lighter and darker by maps (H, W) around 0: (3, H, W)."""
        return colour[:, None, None] * (1 + sum(by, torch.zeros(()))).clamp(0.2, 1.9)

    def has(self, *names: str) -> bool:
        """Whether one of these was asked for."""
        return any(name in self.scene.places or name in self.scene.things for name in names)

    def without(self, name: str) -> bool:
        """Whether it was ruled out."""
        return name in self.scene.without

    def may(self, name: str, share: float) -> bool:
        """Whether a thing is there: asked for, or by chance where it was not ruled out."""
        return name in self.scene.things or (name not in self.scene.without and self.canvas.chance(share))
