"""Scenes drawn as underpaintings: what a prompt asks for, in perspective, light and colour, from back to front.

Landscape painters block a picture in before they paint it: sky, far hills paler and bluer than near ones (aerial
perspective), water that mirrors what stands above it, trees and houses against the light. This file does that by rules
and chance, so that each seed is another composition and every thing that was asked for is in it. No picture was used.
The shapes are those of procedural landscapes: fractal noise and ridges (Musgrave 1993, "Methods for Realistic
Landscape Imaging"), branching trees (Honda 1971). Beside the colours it gives a label for each pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from danqing.encode.canvas import Canvas
from danqing.encode.scenes import Rgb, Scene

REGIONS = (
    *("sky", "cloud", "light", "mountain", "tree", "ground", "water", "snow", "sand", "building"),
    *("boat", "flower", "object", "rock", "cloth", "roof", "sail"),
)
_LABEL = {name: number for number, name in enumerate(REGIONS)}
WATERS = ("sea", "lake", "river", "harbour", "waterfall")


@dataclass(frozen=True)
class _Air:
    """The light of a time of day."""

    zenith: Rgb
    horizon: Rgb
    tint: Rgb  # what white becomes in it
    strength: float
    disc: Rgb  # of the sun or the moon


_TIMES = {
    "dawn": _Air((0.46, 0.56, 0.76), (0.98, 0.81, 0.68), (1.0, 0.91, 0.84), 0.94, (1.0, 0.92, 0.72)),
    "day": _Air((0.32, 0.53, 0.80), (0.80, 0.88, 0.93), (1.0, 1.0, 0.97), 1.0, (1.0, 0.97, 0.82)),
    "dusk": _Air((0.34, 0.33, 0.54), (0.97, 0.63, 0.38), (1.0, 0.80, 0.62), 0.76, (1.0, 0.80, 0.48)),
    "night": _Air((0.07, 0.10, 0.24), (0.20, 0.27, 0.44), (0.58, 0.68, 0.98), 0.42, (0.97, 0.96, 0.88)),
}
_VEILS = {"cloudy": 0.45, "rain": 0.7, "storm": 0.78, "fog": 0.75, "snow": 0.7}  # how much of the sky is grey
_HAZE = {"fog": 0.92, "rain": 0.65, "snow": 0.7, "storm": 0.55}  # how much of the farthest things is air; else 0.5
_GREY = {
    "dawn": (0.70, 0.68, 0.70),
    "day": (0.66, 0.69, 0.73),
    "dusk": (0.50, 0.45, 0.48),
    "night": (0.15, 0.18, 0.26),
}
_GRASS = {
    "spring": (0.54, 0.67, 0.32),
    "summer": (0.42, 0.57, 0.26),
    "autumn": (0.70, 0.56, 0.28),
    "winter": (0.62, 0.56, 0.42),
}
_LEAVES = {
    "spring": (0.46, 0.62, 0.30),
    "summer": (0.24, 0.42, 0.20),
    "autumn": (0.78, 0.44, 0.16),
    "winter": (0.44, 0.38, 0.32),
}
_SNOW: Rgb = (0.93, 0.95, 0.98)
_SAND: Rgb = (0.87, 0.77, 0.56)
_BARK: Rgb = (0.29, 0.22, 0.17)
_PINK: Rgb = (0.94, 0.72, 0.78)
_ROCK: Rgb = (0.46, 0.44, 0.42)


class _Stage:
    """A canvas with a scene, its light, and what has been decided about both."""

    def __init__(self, scene: Scene, canvas: Canvas) -> None:
        self.scene, self.canvas = scene, canvas
        time = scene.time or ("night" if "stars" in scene.things else "night" if "moon" in scene.things else "day")
        self.time = time
        self.air = _TIMES[time]
        self.weather = scene.weather or "clear"
        winter = self.weather == "snow" or "snowfield" in scene.places
        self.season = scene.season or ("winter" if winter else "spring" if "blossom" in scene.things else "summer")
        self.snowy = winter or (self.season == "winter" and canvas.chance(0.7))
        self.zenith, self.horizon_colour = self._sky()
        self.tint = torch.tensor(self.air.tint)
        self.far = 0.6 * self.horizon_colour + 0.4 * self.zenith
        self.disc: tuple[float, float] | None = None  # where the sun or moon stands

    def _sky(self) -> tuple[Tensor, Tensor]:
        """Colours above and at the horizon."""
        zenith, horizon = torch.tensor(self.air.zenith), torch.tensor(self.air.horizon)
        veil = _VEILS.get(self.weather, 0.0)
        grey = torch.tensor(_GREY[self.time]) * {"storm": 0.66, "fog": 1.15}.get(self.weather, 1.0)
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
        return torch.lerp(near, self.far, nearer * _HAZE.get(self.weather, 0.5))

    def textured(self, colour: Tensor, *by: Tensor) -> Tensor:
        """A colour (3,) made lighter and darker by maps (H, W) around 0: (3, H, W)."""
        return colour[:, None, None] * (1 + sum(by, torch.zeros(()))).clamp(0.2, 1.9)

    def has(self, *names: str) -> bool:
        """Whether one of these was asked for."""
        return any(name in self.scene.places or name in self.scene.things for name in names)

    def may(self, name: str, share: float) -> bool:
        """Whether a thing is there: asked for, or by chance where it was not ruled out."""
        return name in self.scene.things or (name not in self.scene.without and self.canvas.chance(share))


def compose(scene: Scene, height: int, width: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw a scene. Returns colours (1, 3, H, W) float32 sRGB in [0, 1] and labels (H, W) int64 into REGIONS."""
    stage = _Stage(scene, Canvas(height, width, generator))
    if stage.has("still-life", "fruit", "vase") and not _outdoors(scene):
        _still_life(stage)
    else:
        _landscape(stage)
    _tint(stage)
    _by_hand(stage.canvas)
    return stage.canvas.colours.clamp(0, 1)[None], stage.canvas.labels


def wash(shares: Tensor, names: Sequence[str], scene: Scene, generator: torch.Generator) -> Tensor:
    """A map of regions in the colours of a scene's light. Returns (1, 3, H, W) float32 sRGB in [0, 1].

    shares (R, H, W) in [0, 1]: how much of each pixel each region has; names: the regions, of REGIONS.
    """
    height, width = shares.shape[1:]
    stage = _Stage(scene, Canvas(height, width, generator))
    canvas = stage.canvas
    sky = shares[list(names).index("sky")] if "sky" in names else torch.zeros(height, width)
    rows = torch.nonzero(sky.mean(1) > 0.2)
    horizon = (int(rows[-1]) + 1) / height if len(rows) else 0.5
    _sky(stage, horizon)
    ground = {"tree": _LEAVES[stage.season], "ground": _GRASS[stage.season], "water": (0.24, 0.40, 0.50)}
    usual: dict[str, Rgb] = {
        **{"cloud": (0.96, 0.96, 0.95), "light": stage.air.disc, "mountain": (0.42, 0.46, 0.50), **ground},
        **{"snow": _SNOW, "sand": _SAND, "building": (0.80, 0.66, 0.54), "boat": (0.34, 0.23, 0.18)},
        **{"flower": (0.86, 0.38, 0.46), "rock": _ROCK, "object": (0.70, 0.40, 0.24), "cloth": (0.72, 0.66, 0.56)},
    }
    for name, share in zip(names, shares, strict=True):
        if name != "sky":
            far = 0.6 if name == "mountain" else 0.15
            colour = stage.lit(stage.colour(name, usual[name]), far if name not in ("light", "cloud") else 0.0)
            canvas.lay(share, stage.textured(colour, 0.12 * canvas.noise(9, 6, 5)), _LABEL[name])
    _tint(stage)
    return canvas.colours.clamp(0, 1)[None]


def _outdoors(scene: Scene) -> bool:
    return any(place != "still-life" for place in scene.places)


def _landscape(stage: _Stage) -> None:
    canvas = stage.canvas
    horizon = _horizon(stage)
    _sky(stage, horizon)
    if stage.has("mountain", "glacier", "snowcap", "waterfall"):
        _mountains(stage, horizon, 3, 1.5)
    elif not stage.has("sea", "beach", "desert") and canvas.chance(0.55):
        _mountains(stage, horizon, 2, 0.4)
    if stage.has(*WATERS, "beach"):
        _waterside(stage, horizon)
    elif stage.has("forest"):
        _woods(stage, horizon)
    elif stage.has("town", "village"):
        _settlement(stage, horizon)
    else:
        _open_land(stage, horizon)
    if stage.weather == "fog":  # banks of it lie where land and sky meet
        bank = torch.exp(-((canvas.y - horizon) / 0.2).square()) * torch.sigmoid(canvas.noise(4, 1.5, 4) + 1)
        canvas.lay(0.6 * bank, stage.far)
    if stage.may("birds", 0.12) and stage.time != "night":
        _birds(stage, horizon)
    if stage.weather == "snow" and canvas.chance(0.7):
        _snowfall(stage)
    if stage.weather in ("rain", "storm") and (stage.weather == "rain" or canvas.chance(0.4)):
        _rainfall(stage)


def _horizon(stage: _Stage) -> float:
    """Where sky and land meet, as a share of the height."""
    canvas, composition = stage.canvas, stage.scene.composition
    if "low-horizon" in composition:
        return canvas.uniform(0.70, 0.82)
    if "high-horizon" in composition:
        return canvas.uniform(0.22, 0.32)
    skyward = stage.has("sky", "clouds", "stars") and not stage.scene.places
    if skyward:
        return canvas.uniform(0.62, 0.78)
    if stage.has("forest"):
        return canvas.uniform(0.5, 0.62)
    if stage.has("mountain", "glacier", "snowcap", "waterfall"):
        return canvas.uniform(0.54, 0.66)
    return canvas.uniform(0.42, 0.60)


# --- sky --------------------------------------------------------------------------------------------------------------


def _sky(stage: _Stage, horizon: float) -> None:
    canvas = stage.canvas
    down = ((canvas.y / horizon).clamp(0, 1) + 0.05 * canvas.noise(2, 2, 3)).clamp(0, 1) ** 1.3
    canvas.colours = torch.lerp(stage.zenith[:, None, None], stage.horizon_colour[:, None, None], down[None])
    canvas.labels[:] = _LABEL["sky"]
    asked = stage.has("moon", "sun")
    if asked or (stage.time in ("dusk", "dawn") and stage.weather == "clear" and canvas.chance(0.8)):
        _disc(stage, horizon)
    if stage.has("stars") or (stage.time == "night" and stage.weather == "clear"):
        stars = (torch.rand(canvas.height, canvas.width, generator=canvas.generator) > 0.9988).float()
        stars = F.max_pool2d(F.pad(stars[None, None], (0, 1, 0, 1)), 2, 1)[0, 0] * (canvas.y < horizon)
        canvas.lay(0.8 * stars, torch.tensor((0.97, 0.96, 0.86)))
    if stage.may("clouds", 0.6 if stage.weather == "clear" and stage.time != "night" else 0.2) or stage.weather in (
        "cloudy", "storm", "rain"
    ):  # fmt: skip
        _clouds(stage, horizon)


def _disc(stage: _Stage, horizon: float) -> None:
    """The sun or the moon with its glow."""
    canvas = stage.canvas
    low = stage.time in ("dusk", "dawn") and not stage.has("moon")
    x = canvas.uniform(0.22, 0.78) * canvas.wide
    y = horizon * (canvas.uniform(0.66, 0.86) if low else canvas.uniform(0.2, 0.42))
    stage.disc = (x, y)
    colour = stage.colour("light", _TIMES["night"].disc if stage.has("moon") else stage.air.disc)
    distance = ((canvas.x - x).square() + (canvas.y - y).square()).sqrt()
    glow = torch.exp(-distance / (0.3 if low else 0.17)) * (0.62 if low else 0.36)
    canvas.lay(glow, colour)
    radius = canvas.uniform(0.035, 0.055)
    canvas.lay(torch.sigmoid((radius - distance) * 240), colour, _LABEL["light"])


def _clouds(stage: _Stage, horizon: float) -> None:
    canvas = stage.canvas
    heavy = stage.weather in ("storm", "rain")
    cover = {"storm": -0.6, "rain": -0.5, "cloudy": -0.15}.get(stage.weather, 0.2 if stage.has("clouds") else 0.7)
    flat = heavy or canvas.chance(0.35)
    field = canvas.noise(5, 1.6, 6) if flat else canvas.noise(3.4, 2.6, 6, 0.58)
    field = field - (canvas.y / horizon - canvas.uniform(0.3, 0.55)).abs() * 0.9
    density = torch.sigmoid((field - cover) * 5) * (1 - canvas.below(horizon + 0.02))
    fair = {"day": (1.0, 1.0, 0.99), "night": (0.46, 0.52, 0.68)}.get(stage.time, (1.0, 0.83, 0.70))
    light = stage.colour("cloud", fair)
    if heavy and "cloud" not in stage.scene.colours:
        light = light * (0.62 if stage.weather == "storm" else 0.78)
    shift = max(1, canvas.height // 26)
    above = torch.cat([field[:1].expand(shift, -1), field[:-shift]])  # what is above throws its shade
    shade = torch.sigmoid((above - field) * 2.4)
    told = "cloud" in stage.scene.colours  # then its shades are of that colour as well
    dark = 0.86 * light + 0.08 * stage.zenith if told else 0.66 * light + 0.26 * stage.zenith
    colour = torch.lerp(dark[:, None, None], light[:, None, None], shade[None])
    canvas.lay(density, colour, _LABEL["cloud"])


def _birds(stage: _Stage, horizon: float) -> None:
    canvas = stage.canvas
    x, y = canvas.uniform(0.2, 0.7) * canvas.wide, horizon * canvas.uniform(0.2, 0.55)
    for number in range(int(canvas.uniform(3, 8))):
        cx, cy = x + number * 0.045 + canvas.uniform(-0.02, 0.02), y + canvas.uniform(-0.05, 0.05)
        s = canvas.uniform(0.010, 0.018)
        for side in (-1, 1):
            wing = [
                (cx, cy),
                (cx + side * s, cy - 0.6 * s),
                (cx + side * 1.8 * s, cy - 0.2 * s),
                (cx + side * s, cy - 0.35 * s),
            ]
            canvas.lay(canvas.polygon(wing), torch.tensor((0.16, 0.16, 0.2)))


def _snowfall(stage: _Stage) -> None:
    canvas = stage.canvas
    for count, radius in ((90, 0.003), (40, 0.006)):
        for _ in range(count):
            x, y = canvas.uniform(0, canvas.wide), canvas.uniform()
            canvas.lay(0.75 * canvas.ellipse(x, y, radius, radius, 0.5), torch.tensor(_SNOW))


def _rainfall(stage: _Stage) -> None:
    canvas = stage.canvas
    streaks = torch.sigmoid((canvas.noise(5, 70, 2) - 1.25) * 6)
    canvas.lay(0.16 * streaks, stage.horizon_colour)


# --- land -------------------------------------------------------------------------------------------------------------


def _mountains(stage: _Stage, horizon: float, count: int, steep: float) -> None:
    canvas = stage.canvas
    usual = (0.50, 0.40, 0.36) if stage.season == "autumn" else (0.40, 0.44, 0.46)
    base = stage.colour("mountain", usual)
    white = stage.has("snowcap", "glacier") or stage.snowy
    for number in range(count):
        nearness = (number + 1) / count
        depth = (1.05 - 0.75 * nearness) * (0.5 if "mountain" in stage.scene.colours else 1.0)
        line = canvas.curve(1.6 + 0.8 * number, 7, 0.52)
        if steep > 1:
            line = 1.1 - line.abs()  # ridges: sharp above, round below
        height = 0.13 * steep * (1.35 - 0.75 * nearness) * canvas.uniform(0.8, 1.25)
        top = horizon + 0.01 - height * (1.0 + 0.55 * line)
        mask = canvas.below(top, 0.9)
        under = ((canvas.y - top[None]) / 0.3).clamp(0, 1)
        slope = F.avg_pool1d(torch.gradient(top)[0][None, None], 7, 1, 3)[0, 0] * canvas.width * 0.9
        relief = canvas.noise(5, 8, 6, 0.6)
        light = 0.17 * torch.tanh(0.9 * relief + slope[None].clamp(-1, 1)) * (0.35 + 0.65 * nearness)
        colour = stage.textured(stage.lit(base, depth), light - 0.06)
        if white:
            snow = torch.sigmoid((0.42 - under + 0.14 * relief) * 12)
            bright = stage.textured(stage.lit(_SNOW, 0.6 * depth), 0.8 * light)
            colour = torch.lerp(colour, bright, snow[None])
        mist = 0.45 * under * (0.4 + 0.6 * depth) * (0.5 if "mountain" in stage.scene.colours else 1.0)
        canvas.lay(mask, torch.lerp(colour, stage.far[:, None, None].expand_as(colour), mist[None]), _LABEL["mountain"])


def _floor(stage: _Stage) -> tuple[Tensor, int]:
    """The colour and the label of the ground."""
    if stage.has("beach", "desert"):
        return stage.colour("sand", _SAND), _LABEL["sand"]
    if stage.has("town") and not stage.snowy and not stage.has(*WATERS, "field", "garden"):
        return stage.colour("ground", (0.66, 0.60, 0.53)), _LABEL["ground"]
    if stage.snowy or stage.has("glacier"):
        return stage.colour("snow", _SNOW), _LABEL["snow"]
    return stage.colour("ground", _GRASS[stage.season]), _LABEL["ground"]


def _ground(stage: _Stage, top: float, wavy: float = 0.02, depth: float = 0.45, near: bool = False) -> None:
    """Land from a wavy line on down to the lower edge, darker and with larger features the nearer it is."""
    canvas = stage.canvas
    base, label = _floor(stage)
    line = top + wavy * canvas.curve(1.3, 5)
    mask = canvas.below(line)
    away = ((1 - canvas.y) / max(1e-3, 1 - top)).clamp(0, 1)
    ripple = 0.5 * canvas.noise(9, 3.5, 5, 0.6) + 0.5 * canvas.noise(18, 3, 3)
    front, back = stage.lit(base) * (0.72 if near else 0.86), stage.lit(base, depth) * 1.06
    colour = torch.lerp(front[:, None, None], back[:, None, None], away[None])
    other = stage.lit(base * torch.tensor((0.82, 0.84, 0.78)) + 0.03, 0.15)
    patches = 0.5 * torch.sigmoid(canvas.noise(6, 2.2, 5) * 3 - 0.8)
    colour = torch.lerp(colour, other[:, None, None].expand_as(colour), patches[None])
    canvas.lay(mask, colour * (1 + (0.07 if label == _LABEL["snow"] else 0.15) * ripple), label)


def _dunes(stage: _Stage, horizon: float) -> None:
    for number in range(4):
        _ground(stage, horizon + 0.13 * number, wavy=0.035 + 0.012 * number, depth=0.5 - 0.13 * number)


def _path(stage: _Stage, top: float) -> None:
    canvas = stage.canvas
    start, end = (canvas.uniform(0.3, 0.7) * canvas.wide for _ in range(2))
    swing = canvas.uniform(-0.22, 0.22)
    left, right = [], []
    for step in range(15):
        t = step / 14
        x = end + (start - end) * t + swing * math.sin(3.1 * t)
        half = 0.006 + 0.15 * t**1.5
        left.append((x - half, top + (1.03 - top) * t))
        right.append((x + half, top + (1.03 - top) * t))
    colour = stage.lit(_SNOW if stage.snowy else (0.78, 0.69, 0.54), 0.05) * (0.88 if stage.snowy else 1.0)
    canvas.lay(0.85 * canvas.polygon([*left, *right[::-1]]), stage.textured(colour, 0.1 * canvas.noise(22, 8, 4)))


def _flowers(stage: _Stage, top: float, dense: bool) -> None:
    canvas = stage.canvas
    told = "flower" in stage.scene.colours
    kinds = [(0.86, 0.26, 0.26), (0.95, 0.82, 0.36), (0.95, 0.92, 0.92), (0.62, 0.44, 0.74), (0.93, 0.62, 0.70)]
    chosen = [stage.colour("flower", kind) for kind in kinds] if not told else [stage.colour("flower", kinds[0])]
    drift = canvas.noise(4, 3, 3)
    for _ in range(420 if dense else 200):
        near = canvas.uniform() ** 1.6
        x, y = canvas.uniform(0, canvas.wide), top + 0.02 + (1 - top) * near
        row, column = min(canvas.height - 1, int(y * canvas.height)), min(canvas.width - 1, int(x * canvas.height))
        if float(drift[row, column]) < -0.2:
            continue
        radius = 0.004 + 0.013 * near
        colour = stage.lit(chosen[int(canvas.uniform(0, len(chosen) - 0.01))], 0.3 * (1 - near))
        canvas.lay(canvas.ellipse(x, y, 1.2 * radius, radius, 0.3), colour, _LABEL["flower"])


def _rocks(stage: _Stage, low: float, high: float, count: int) -> None:
    canvas = stage.canvas
    for _ in range(count):
        y = canvas.uniform(low, high)
        size = 0.03 + 0.11 * (y - low) / max(0.05, 1 - low) * canvas.uniform(0.6, 1.2)
        x = canvas.uniform(0, canvas.wide)
        points = [
            (
                x + size * math.cos(a) * canvas.uniform(0.7, 1.2),
                y + 0.55 * size * math.sin(a) * canvas.uniform(0.7, 1.1),
            )
            for a in (k * math.tau / 9 for k in range(9))
        ]
        mask = canvas.polygon(points)
        relief = 0.3 * canvas.noise(14, 14, 4) + 1.4 * (y - canvas.y) / size * 0.3
        canvas.lay(
            mask, stage.textured(stage.lit(stage.colour("rock", _ROCK)), relief.clamp(-0.45, 0.5)), _LABEL["rock"]
        )


# --- water ------------------------------------------------------------------------------------------------------------


def _water(stage: _Stage, top: float, bottom: float = 1.2) -> None:
    """Water from `top` to `bottom`: a mirror of what is above, broken by ripples, over its own colour."""
    canvas = stage.canvas
    first = max(1, int(top * canvas.height))
    rows = canvas.height - first
    steps = torch.linspace(0, 1, rows)[:, None]
    mirror = canvas.colours[:, :first].flip(1)[:, (torch.arange(rows) * 0.85).long().clamp(max=first - 1)]
    mirror = F.avg_pool2d(F.pad(mirror[None], (2, 2, 6, 6), mode="replicate"), (13, 5), 1)[0]
    rough = 2.0 if stage.weather == "storm" or "dramatic" in stage.scene.moods else 1.0
    sway = (canvas.noise(24, 3, 3)[first:] * 6 * rough * (0.3 + 1.2 * steps)).long()
    across = (torch.arange(canvas.width)[None] + sway).clamp(0, canvas.width - 1)
    mirror = torch.gather(mirror, 2, across[None].expand(3, -1, -1))
    own = stage.lit(stage.colour("water", (0.20, 0.37, 0.46)))
    share = 0.7 if "water" in stage.scene.colours else 0.36 if rough == 1 else 0.6
    ripples = canvas.noise(34, 4, 4, 0.7)[first:]
    colour = torch.lerp(mirror, own[:, None, None].expand_as(mirror), share)
    colour = colour * (1 + 0.10 * rough * ripples * (0.5 + 0.8 * steps)) * (1.03 - 0.2 * steps)
    crests = 0.34 * rough * torch.sigmoid((ripples - 1.35) * 6)
    foam = stage.lit(_SNOW, 0.2) if stage.has("sea") else stage.horizon_colour
    colour = torch.lerp(colour, foam[:, None, None].expand_as(colour), crests.clamp(0, 0.9)[None])
    line = bottom + 0.03 * canvas.curve(1.2, 4)
    mask = torch.zeros(canvas.height, canvas.width)
    mask[first:] = 1
    if bottom < 1:
        mask = mask * (1 - canvas.below(line))
    layer = canvas.colours.clone()
    layer[:, first:] = colour
    if stage.disc:
        away = (canvas.x - stage.disc[0]).abs() / (0.03 + 0.12 * (canvas.y - top).clamp_min(0))
        streak = 0.72 * torch.exp(-away) * torch.sigmoid(canvas.noise(45, 6, 3) * 4 - 0.2)
        disc = stage.colour("light", stage.air.disc)
        layer = torch.lerp(layer, disc[:, None, None].expand_as(layer), streak[None])
    canvas.lay(mask, layer, _LABEL["water"])
    if bottom < 1 and stage.has("sea", "beach"):  # the last wave runs out in foam
        edge = torch.exp(-((canvas.y - line[None] + 0.012).abs() / 0.012)) * (canvas.y > top)
        canvas.lay(0.7 * edge, stage.lit(_SNOW))


def _boats(stage: _Stage, top: float, bottom: float) -> None:
    canvas = stage.canvas
    for number in range(1 + int(canvas.uniform(0, 3.4))):
        near = (number + canvas.uniform()) / 4
        if stage.has("boat", "sail"):  # then it is what the picture is about
            near = 0.4 + 0.6 * near
        y, size = top + 0.05 + 0.8 * (bottom - top) * near, 0.06 + 0.2 * near
        _boat(stage, canvas.uniform(0.15, 0.85) * canvas.wide, y, size, 0.5 * (1 - near))


def _boat(stage: _Stage, x: float, y: float, size: float, depth: float) -> None:
    canvas = stage.canvas
    hull = stage.lit(stage.colour("boat", (0.34, 0.23, 0.18)), depth)
    sail = stage.lit(stage.colour("sail", (0.94, 0.89, 0.79)), depth)
    side = 1 if canvas.chance(0.5) else -1
    shapes = [
        ([(-0.012, 0.1), (-0.012, 1.1), (0.012, 1.1), (0.012, 0.1)], 0.8 * hull, "boat"),
        ([(-0.5, 0.2), (-0.38, 0), (0.38, 0), (0.55, 0.22)], hull, "boat"),
    ]
    if canvas.chance(0.75) or stage.has("sail"):
        shapes.append(([(0.03 * side, 1.08), (0.05 * side, 0.22), (0.5 * side, 0.26)], sail, "sail"))
    if canvas.chance(0.4):
        shapes.append(([(-0.02 * side, 0.9), (-0.04 * side, 0.26), (-0.34 * side, 0.3)], 0.94 * sail, "sail"))
    row = min(canvas.height - 1, int(y * canvas.height))
    for outline, colour, name in shapes:
        mask = canvas.figure(x, y, size, outline)
        mirrored = torch.zeros_like(mask)
        below = mask[:row].flip(0)[: canvas.height - row]
        mirrored[row : row + len(below)] = below
        canvas.lay(0.4 * mirrored * torch.sigmoid(canvas.noise(40, 4, 3) * 3 + 0.6), 0.8 * colour)
        canvas.lay(mask, colour, _LABEL[name])


def _waterfall(stage: _Stage, horizon: float) -> None:
    canvas = stage.canvas
    x, wide = canvas.uniform(0.35, 0.65) * canvas.wide, canvas.uniform(0.05, 0.09)
    tall = canvas.uniform(0.24, 0.34)
    foot = horizon + 0.03
    jagged = [(-1.5, 0.0), (-1.3, 0.6), (-0.9, 0.75), (-0.4, 1.1), (0.3, 1.05), (0.7, 0.8), (1.2, 0.7), (1.5, 0.0)]
    outline = [(a + canvas.uniform(-0.12, 0.12), b * canvas.uniform(0.9, 1.1)) for a, b in jagged]
    relief = 0.25 * canvas.noise(6, 22, 5)
    canvas.lay(canvas.figure(x, foot, tall, outline), stage.textured(stage.lit(_ROCK, 0.25), relief), _LABEL["rock"])
    sides = [(x - wide, foot), (x - 0.6 * wide, foot - tall), (x + 0.6 * wide, foot - tall), (x + wide, foot)]
    streaks = 0.12 * canvas.noise(4, 60, 3)
    canvas.lay(canvas.polygon(sides), stage.textured(stage.lit(_SNOW, 0.1), streaks), _LABEL["water"])
    canvas.lay(0.6 * canvas.ellipse(x, foot, 2.2 * wide, 0.05, 0.9), stage.lit(_SNOW, 0.3))


def _reeds(stage: _Stage, base: float) -> None:
    canvas = stage.canvas
    colour = stage.lit(stage.colour("tree", (0.52, 0.50, 0.28)))
    for _ in range(70):
        x, foot, tall = canvas.uniform(0, canvas.wide), base + canvas.uniform(-0.02, 0.1), canvas.uniform(0.08, 0.2)
        lean = canvas.uniform(-0.04, 0.04)
        blade = [(x - 0.003, foot), (x + lean, foot - tall), (x + 0.004, foot)]
        canvas.lay(canvas.polygon(blade), colour * canvas.uniform(0.7, 1.2), _LABEL["tree"])


# --- trees ------------------------------------------------------------------------------------------------------------


def _foliage(stage: _Stage, blobs: Sequence[tuple[float, float, float]], colour: Tensor, rough: float = 0.2) -> None:
    """Leaves around points (x, y, radius): ragged, lighter above, with the sky seen through."""
    canvas = stage.canvas
    cover = torch.zeros(canvas.height, canvas.width)
    tone = torch.zeros_like(cover)
    for x, y, radius in blobs:
        blob = canvas.ellipse(x, y, 1.25 * radius, radius, 0.5)
        lit = (canvas.uniform(-0.16, 0.16) + 0.28 * (y - canvas.y) / max(radius, 1e-3)).clamp(-0.4, 0.4)
        tone = torch.lerp(tone, lit, blob)
        cover = torch.maximum(cover, blob)
    leaves = canvas.noise(30, 30 * canvas.wide, 4, 0.8)
    mask = torch.sigmoid((cover - 0.5 + rough * leaves) * 11) * (cover > 0.12)
    canvas.lay(mask, stage.textured(colour, tone, 0.2 * leaves), _LABEL["tree"])
    if stage.snowy:
        canvas.lay(mask * torch.sigmoid((tone + 0.3 * leaves - 0.12) * 9) * 0.8, stage.lit(_SNOW))


def _leaf(stage: _Stage) -> Tensor:
    usual = _PINK if stage.has("blossom") else _LEAVES[stage.season]
    return stage.colour("tree", usual)


def _treeline(stage: _Stage, base: float, height: float, depth: float, gaps: float) -> None:
    """A row of trees that stand on `base`, seen from afar."""
    canvas = stage.canvas
    leaf = _leaf(stage) if canvas.chance(0.8) or "tree" in stage.scene.colours else torch.tensor(_LEAVES["summer"])
    pointed = 0.7 if stage.snowy or stage.has("mountain", "snowcap") else 0.2
    blobs: list[tuple[float, float, float]] = []
    cones = []
    x = -0.05
    while x < canvas.wide + 0.05:
        tall = height * canvas.uniform(0.5, 1.25)
        foot = base + canvas.uniform(-0.008, 0.012)
        if not canvas.chance(gaps):
            if canvas.chance(pointed):
                cones.append((x, foot, tall))
            elif canvas.chance(0.15):  # a poplar
                blobs += [(x, foot - tall * k / 8, 0.13 * tall * (1.1 - k / 14)) for k in range(1, 12)]
            else:
                blobs += [
                    (
                        x + tall * canvas.uniform(-0.3, 0.3),
                        foot - tall * canvas.uniform(0.2, 0.75),
                        tall * canvas.uniform(0.18, 0.34),
                    )
                    for _ in range(4)
                ]
        x += tall * canvas.uniform(0.25, 0.9) * (1 + gaps)
    for x, foot, tall in cones:
        _fir(stage, x, foot, tall, depth)
    if blobs:
        _foliage(stage, blobs, stage.lit(leaf, depth), 0.16)


def _fir(stage: _Stage, x: float, foot: float, tall: float, depth: float) -> None:
    canvas = stage.canvas
    colour = stage.lit(stage.colour("tree", (0.20, 0.32, 0.24)), depth)
    for tier in range(4):
        half, top, low = 0.1 + 0.07 * tier, 1 - 0.2 * tier, 0.62 - 0.2 * tier
        boughs = [(0.0, top), (-half, low), (-0.3 * half, low + 0.03), (0.3 * half, low + 0.03), (half, low)]
        canvas.lay(canvas.figure(x, foot, tall, boughs), colour * canvas.uniform(0.85, 1.15), _LABEL["tree"])
        if stage.snowy:
            snow = canvas.figure(x, foot, tall, [(0.0, top), (-0.7 * half, low + 0.12), (0.4 * half, low + 0.14)])
            canvas.lay(0.8 * snow, stage.lit(_SNOW, depth))


def _tree(stage: _Stage, x: float, foot: float, tall: float, lean: float) -> None:
    """A tree near by: a trunk that branches (Honda 1971), and leaves at the ends of its twigs."""
    canvas = stage.canvas
    bark = stage.lit(_BARK)
    tips: list[tuple[float, float, float]] = []

    def branch(x: float, y: float, angle: float, length: float, width: float, left: int) -> None:
        x1, y1 = x + length * math.sin(angle), y - length * math.cos(angle)
        end = 0.68 * width
        canvas.lay(
            canvas.polygon([(x - width, y), (x1 - end, y1), (x1 + end, y1), (x + width, y)]),
            bark * canvas.uniform(0.85, 1.15),
            _LABEL["tree"],
        )
        if left == 0:
            tips.append((x1, y1, tall * canvas.uniform(0.06, 0.11)))
            return
        if left <= 2:
            tips.append((x1, y1, tall * canvas.uniform(0.05, 0.09)))
        for side in (-1, 1):
            spread = canvas.uniform(0.25, 0.62)
            branch(x1, y1, angle * 0.75 + side * spread, length * canvas.uniform(0.62, 0.82), end, left - 1)

    branch(x, foot, lean, 0.34 * tall, 0.026 * tall, 4)
    if stage.season != "winter" or stage.has("blossom"):
        _foliage(stage, [tip for tip in tips if canvas.chance(0.85)], stage.lit(_leaf(stage)), 0.3)


def _willow(stage: _Stage, x: float, foot: float, tall: float) -> None:
    """A trunk, a crown, and strands of leaves that hang from it."""
    canvas = stage.canvas
    trunk = [(-0.03, 0.0), (-0.012, 0.7), (0.012, 0.7), (0.035, 0.0)]
    canvas.lay(canvas.figure(x, foot, tall, trunk), stage.lit(_BARK), _LABEL["tree"])
    colour = stage.lit(_leaf(stage))
    crown = []
    for _ in range(26):
        side = canvas.uniform(-1, 1)
        top = (x + 0.3 * tall * side, foot - tall * (0.9 - 0.3 * side * side))
        reach = tall * canvas.uniform(0.3, 0.7)
        crown += [(top[0] + 0.05 * tall * side * t, top[1] + reach * t, 0.034 * tall) for t in (0, 0.3, 0.6, 0.9)]
    _foliage(stage, crown, colour, 0.45)


def _near_trees(stage: _Stage, share: float) -> None:
    """One or two trees at the sides, partly outside the picture, as painters frame a view."""
    canvas = stage.canvas
    if not stage.may("tree", share) and not stage.has("blossom"):
        return
    sides = [-1, 1] if canvas.chance(0.2) else [1 if canvas.chance(0.5) else -1]
    if stage.disc and stage.has("moon", "sun"):  # not before what was asked for
        sides = [-1 if stage.disc[0] > canvas.wide / 2 else 1]
    willows = stage.has(*WATERS) and stage.season in ("spring", "summer") and not stage.has("blossom")
    for number, side in enumerate(sides):
        x = canvas.wide * (0.5 + side * canvas.uniform(0.34, 0.5))
        foot, tall = canvas.uniform(0.86, 1.02), canvas.uniform(0.6, 0.95)
        if willows and not number and canvas.chance(0.3):
            _willow(stage, x, foot, tall)
        else:
            _tree(stage, x, foot, tall, -side * canvas.uniform(0.0, 0.22))


# --- what people build ------------------------------------------------------------------------------------------------


def _houses(stage: _Stage, base: float, count: int, size: float, depth: float, narrow: bool = False) -> None:
    canvas = stage.canvas
    for place in sorted(canvas.uniform(0.04, 0.96) for _ in range(count)):
        _house(
            stage,
            place * canvas.wide,
            base + canvas.uniform(-0.01, 0.02),
            size * canvas.uniform(0.7, 1.3),
            depth,
            narrow,
        )


def _house(stage: _Stage, x: float, foot: float, size: float, depth: float, narrow: bool) -> None:
    canvas = stage.canvas
    tone = canvas.uniform(0.82, 1.1)
    wall = stage.lit((stage.colour("building", (0.88, 0.81, 0.70)) * tone).clamp(0, 1), depth)
    tiles = _SNOW if stage.snowy else (0.66, 0.38, 0.28) if canvas.chance(0.6) else (0.40, 0.40, 0.45)
    roof = stage.lit(tiles, depth)
    tall = size * (canvas.uniform(1.1, 1.9) if narrow else 0.62)
    half = 0.5 * size * (canvas.uniform(0.6, 0.85) if narrow else canvas.uniform(0.9, 1.45))
    peak = tall + 0.42 * size
    part = canvas.uniform(0.1, 0.35) * half

    def block(x0: float, x1: float, y0: float, y1: float, colour: Tensor, name: str = "building") -> None:
        canvas.lay(canvas.polygon([(x0, y0), (x0, y1), (x1, y1), (x1, y0)]), colour, _LABEL[name])

    block(x - half, x + half, foot, foot - tall, wall)
    block(x + part, x + half, foot, foot - tall, 0.74 * wall)
    ridge = 0.45 * half
    eaves = foot - 0.97 * tall
    gable = [(x - 1.12 * half, eaves), (x - ridge, foot - peak), (x + ridge, foot - peak), (x + 1.12 * half, eaves)]
    canvas.lay(canvas.polygon(gable), roof, _LABEL["roof"])
    if canvas.chance(0.5):
        block(x + 0.3 * half, x + 0.46 * half, foot - 0.9 * peak, foot - 1.15 * peak, 0.8 * roof, "roof")
    glows = stage.time in ("night", "dusk")
    pane = torch.tensor((1.0, 0.82, 0.46)) if glows else 0.45 * wall
    for row in range(2 if narrow else 1):
        for column in range(2):
            x0 = x - 0.75 * half + 0.55 * column * half
            y0 = foot - tall * (0.3 + 0.4 * row)
            if not glows or canvas.chance(0.7):
                block(x0, x0 + 0.22 * half, y0, y0 - 0.2 * min(tall, size), pane, "object")


def _tower(stage: _Stage, foot: float, tall: float, depth: float) -> None:
    canvas = stage.canvas
    x = canvas.uniform(0.3, 0.7) * canvas.wide
    wall = stage.lit(stage.colour("building", (0.84, 0.79, 0.70)), depth)
    shaft, shade = (0.1, 0.65), [(0.03, 0.0), (0.03, 0.65), (0.1, 0.65), (0.1, 0.0)]
    canvas.lay(canvas.box(x, foot, shaft[0] * tall, shaft[1] * tall), wall, _LABEL["building"])
    canvas.lay(canvas.figure(x, foot, tall, shade), 0.75 * wall, _LABEL["building"])
    spire = canvas.figure(x, foot, tall, [(-0.12, 0.64), (0.0, 1.0), (0.12, 0.64)])
    canvas.lay(spire, stage.lit((0.42, 0.42, 0.48), depth), _LABEL["building"])


def _pagoda(stage: _Stage, foot: float, tall: float, depth: float) -> None:
    canvas = stage.canvas
    x = canvas.uniform(0.25, 0.75) * canvas.wide
    wall = stage.lit(stage.colour("building", (0.70, 0.34, 0.24)), depth)
    roof = stage.lit((0.26, 0.27, 0.30), depth)
    for tier in range(5):
        half, low = 0.17 - 0.022 * tier, 0.172 * tier
        canvas.lay(canvas.box(x, foot - low * tall, 0.7 * half * tall, 0.12 * tall), wall, _LABEL["building"])
        right = [(1.35 * half, low + 0.135), (0.9 * half, low + 0.1)]  # eaves that curve upward
        right = [(0.4 * half, low + 0.195), (half, low + 0.15), *right]
        outline = [*right, *[(-a, b) for a, b in reversed(right)]]
        canvas.lay(canvas.figure(x, foot, tall, outline), roof, _LABEL["building"])
    canvas.lay(canvas.figure(x, foot, tall, [(-0.008, 0.86), (0.0, 1.02), (0.008, 0.86)]), roof, _LABEL["building"])


def _bridge(stage: _Stage, y: float) -> None:
    """A stone bridge from side to side, lightly bent, the water seen through its arches."""
    canvas = stage.canvas
    colour = stage.lit(stage.colour("building", (0.66, 0.60, 0.52)), 0.15)
    count, bend, tall = int(canvas.uniform(2, 4.99)), canvas.uniform(0.02, 0.06), canvas.uniform(0.09, 0.13)
    across = torch.linspace(-1, 1, canvas.width)
    deck = y - tall - bend * (1 - across.square())
    body = canvas.below(deck) * (1 - canvas.below(y))
    span = canvas.wide / count
    for arch in range(count):
        opening = canvas.ellipse((arch + 0.5) * span, y, 0.4 * span, 0.85 * tall, 0.05)
        body = body * (1 - opening)
    canvas.lay(body, stage.textured(colour, 0.12 * canvas.noise(20, 20, 3)), _LABEL["building"])
    canvas.lay(canvas.below(deck - 0.018) * (1 - canvas.below(deck + 0.006)), 0.78 * colour, _LABEL["building"])


# --- whole views ------------------------------------------------------------------------------------------------------


def _waterside(stage: _Stage, horizon: float) -> None:
    canvas = stage.canvas
    open_sea = stage.has("sea", "beach") and not stage.has("harbour", "town", "village")
    shore = horizon + 0.012
    if not open_sea:
        _ground(stage, horizon - 0.018, depth=0.7)
        if "tree" not in stage.scene.without:
            _treeline(stage, horizon + 0.008, canvas.uniform(0.06, 0.12), 0.6, 0.2)
        if stage.has("town", "village", "harbour", "house"):
            _houses(stage, shore, 7 if stage.has("town", "harbour") else 4, 0.07, 0.35, stage.has("town"))
    _built(stage, shore, 0.35)
    if stage.has("waterfall"):
        _waterfall(stage, horizon)
    land = stage.has("river", "beach") or canvas.chance(0.3 if stage.has("sea") else 0.5)
    bottom = canvas.uniform(0.78, 0.88) if land else 1.2
    _water(stage, shore, bottom)
    if land:
        _shore(stage, bottom)
    if stage.has("bridge"):
        _bridge(stage, horizon + 0.16)
    if stage.has("boat", "sail", "harbour") or (stage.may("boat", 0.25)):
        _boats(stage, shore, min(bottom, 0.98))
    if stage.has("rocks") or (stage.has("sea") and canvas.chance(0.3)):
        _rocks(stage, 0.84, 1.0, 5)
    if stage.has("reeds"):
        _reeds(stage, 0.93)
    if stage.has("flowers", "garden"):
        _flowers(stage, max(bottom + 0.03, 0.85) if land else 0.9, True)
    _near_trees(stage, 0.05 if open_sea else 0.4)


def _shore(stage: _Stage, bottom: float) -> None:
    """The near bank: what the water does not cover."""
    canvas = stage.canvas
    bank = (canvas.labels != _LABEL["water"]) & (canvas.y > bottom - 0.12)
    base, label = _floor(stage)
    relief = 0.12 * canvas.noise(10, 4, 5, 0.6)
    canvas.lay(bank.float(), stage.textured(0.86 * stage.lit(base), relief), label)


def _woods(stage: _Stage, horizon: float) -> None:
    canvas = stage.canvas
    _ground(stage, horizon - 0.02)
    rows = 5
    for row in range(rows):
        near = row / (rows - 1)
        _treeline(stage, horizon + 0.02 + 0.17 * near, 0.28 + 0.2 * near, 0.8 - 0.65 * near, 0.02 + 0.2 * near)
    if stage.may("path", 0.5):
        _path(stage, horizon + 0.14)
    if stage.has("house"):
        _house(stage, canvas.uniform(0.35, 0.65) * canvas.wide, horizon + 0.22, 0.13, 0.1, False)
    _built(stage, horizon + 0.15, 0.2)
    if stage.may("flowers", 0.15):
        _flowers(stage, horizon + 0.25, False)
    for side in (-1, 1):
        for _ in range(1 + canvas.chance(0.5)):
            x = canvas.wide * (0.5 + side * canvas.uniform(0.3, 0.52))
            _tree(stage, x, canvas.uniform(0.85, 1.02), canvas.uniform(0.7, 1.05), -side * canvas.uniform(0, 0.12))


def _settlement(stage: _Stage, horizon: float) -> None:
    town = stage.has("town")
    _ground(stage, horizon)
    _treeline(stage, horizon + 0.015, 0.1, 0.55, 0.3)
    _houses(stage, horizon + 0.035, 11 if town else 6, 0.09, 0.4, town)
    _built(stage, horizon + 0.05, 0.3)
    if town:
        _street(stage, horizon)
    else:
        _houses(stage, horizon + 0.14, 4, 0.15, 0.12)
        _path(stage, horizon + 0.08)
    if stage.has("flowers", "garden"):
        _flowers(stage, horizon + 0.2, True)
    _near_trees(stage, 0.15 if town else 0.5)


def _street(stage: _Stage, horizon: float) -> None:
    """Two rows of houses that run toward a point on the horizon, the far ones first."""
    canvas = stage.canvas
    end = canvas.uniform(0.38, 0.62) * canvas.wide
    road = stage.lit(_SNOW if stage.snowy else (0.62, 0.57, 0.52)) * (0.9 if stage.snowy else 1.0)
    corners = [(end - 0.02, horizon + 0.03), (end + 0.02, horizon + 0.03), (end + 0.62, 1.02), (end - 0.62, 1.02)]
    canvas.lay(canvas.polygon(corners), stage.textured(road, 0.1 * canvas.noise(20, 8, 4)), _LABEL["ground"])
    for step in range(7):
        near = (step / 6) ** 1.7
        for side in (-1, 1):
            x = end + side * (0.06 + 0.62 * near) * canvas.uniform(0.95, 1.1)
            foot = horizon + 0.03 + 0.33 * near
            _house(stage, x, foot, (0.06 + 0.22 * near) * canvas.uniform(0.85, 1.2), 0.5 * (1 - near), True)


def _open_land(stage: _Stage, horizon: float) -> None:
    canvas = stage.canvas
    if stage.has("desert"):
        _dunes(stage, horizon)
        return
    _ground(stage, horizon)
    if "tree" not in stage.scene.without:
        _treeline(stage, horizon + 0.012, canvas.uniform(0.05, 0.13), 0.6, canvas.uniform(0.1, 0.5))
    _built(stage, horizon + 0.03, 0.3)
    if stage.may("house", 0.2):
        _houses(stage, horizon + 0.05, 1 + int(canvas.uniform(0, 2.5)), 0.1, 0.25)
    if stage.may("path", 0.3):
        _path(stage, horizon + 0.02)
    if stage.may("flowers", 0.2) or stage.has("garden"):
        _flowers(stage, horizon + 0.08, stage.has("garden", "flowers"))
    if stage.may("rocks", 0.1):
        _rocks(stage, 0.8, 1.0, 4)
    _near_trees(stage, 0.45)


def _built(stage: _Stage, foot: float, depth: float) -> None:
    """Towers and pagodas that were asked for."""
    for name, draw in (("tower", _tower), ("pagoda", _pagoda)):
        if stage.has(name):
            build: Callable[[_Stage, float, float, float], None] = draw
            build(stage, foot + 0.01, stage.canvas.uniform(0.24, 0.36), depth)


def _still_life(stage: _Stage) -> None:
    """A table with fruit and a vase before a wall, the light from one side."""
    canvas = stage.canvas
    wall = stage.colour("sky", (0.46, 0.42, 0.36))
    canvas.colours = stage.textured(wall, 0.14 * canvas.noise(3, 3, 5), 0.25 * (0.6 - canvas.x / canvas.wide))
    canvas.labels[:] = _LABEL["sky"]
    edge = canvas.uniform(0.58, 0.68)
    cloth = stage.colour("cloth", (0.78, 0.72, 0.62) if canvas.chance(0.5) else (0.50, 0.34, 0.24))
    folds = 0.12 * canvas.noise(3, 7, 4)
    canvas.lay(canvas.below(edge), stage.textured(cloth, folds), _LABEL["cloth"])
    if stage.may("vase", 0.6) or stage.has("flowers"):
        _vase(stage, canvas.uniform(0.3, 0.6) * canvas.wide, edge + 0.12)
    if stage.may("fruit", 0.8):
        kinds = [(0.80, 0.24, 0.18), (0.92, 0.66, 0.22), (0.62, 0.68, 0.26), (0.90, 0.50, 0.24)]
        for _ in range(4 + int(canvas.uniform(0, 5))):
            x, y, r = (
                canvas.uniform(0.15, 0.85) * canvas.wide,
                canvas.uniform(edge + 0.1, 0.9),
                canvas.uniform(0.05, 0.075),
            )
            _ball(stage, x, y, r, stage.colour("object", kinds[int(canvas.uniform(0, 3.99))]))


def _ball(stage: _Stage, x: float, y: float, radius: float, colour: Tensor) -> None:
    canvas = stage.canvas
    canvas.lay(
        0.45 * canvas.ellipse(x + 0.5 * radius, y + 0.85 * radius, 1.3 * radius, 0.3 * radius, 0.6),
        torch.tensor((0.12, 0.09, 0.08)),
    )
    light = 0.35 - 1.1 * ((canvas.x - x + 0.4 * radius).square() + (canvas.y - y + 0.4 * radius).square()).sqrt() / (
        2 * radius
    )
    canvas.lay(canvas.ellipse(x, y, radius, 0.95 * radius, 0.08), stage.textured(colour, light), _LABEL["object"])


def _vase(stage: _Stage, x: float, foot: float) -> None:
    canvas = stage.canvas
    tall = canvas.uniform(0.22, 0.3)
    colour = stage.colour("object", (0.34, 0.46, 0.58))
    profile = [(0.10, 0), (0.26, 0.25), (0.30, 0.5), (0.16, 0.8), (0.12, 0.92), (0.18, 1.0)]
    left = [(x - w * tall, foot - h * tall) for w, h in profile]
    right = [(x + w * tall, foot - h * tall) for w, h in reversed(profile)]
    light = (0.3 - 1.6 * (canvas.x - x + 0.1 * tall).abs() / tall).clamp(-0.5, 0.3)
    canvas.lay(canvas.polygon([*left, *right]), stage.textured(colour, light), _LABEL["object"])
    if stage.may("flowers", 0.75):
        blooms = [(0.86, 0.30, 0.32), (0.95, 0.82, 0.42), (0.95, 0.92, 0.90), (0.72, 0.52, 0.78)]
        mouth = foot - tall
        spots = [(x + canvas.uniform(-0.2, 0.2), mouth - canvas.uniform(0.02, 0.26)) for _ in range(16)]
        _foliage(stage, [(px, py + 0.02, 0.06) for px, py in spots], torch.tensor((0.26, 0.40, 0.22)), 0.3)
        for px, py in spots:
            bloom = stage.colour("flower", blooms[int(canvas.uniform(0, 3.99))])
            size = canvas.uniform(0.022, 0.045)
            canvas.lay(canvas.ellipse(px, py, size, size, 0.4), bloom * canvas.uniform(0.85, 1.1), _LABEL["flower"])


def _by_hand(canvas: Canvas) -> None:
    """No straight line stays quite straight: everything is moved by smooth noise, a hundredth of the height at most."""
    moved = [0.0035 * canvas.noise(9, 9 * canvas.wide, 3) for _ in range(2)]
    across = (canvas.x + moved[0]) / canvas.wide * 2 - 1
    down = (canvas.y + moved[1]) * 2 - 1
    grid = torch.stack([across, down], -1)[None]
    both = torch.cat([canvas.colours, canvas.labels[None].float()])[None]
    smooth = F.grid_sample(both[:, :3], grid, mode="bilinear", padding_mode="border", align_corners=False)
    exact = F.grid_sample(both[:, 3:], grid, mode="nearest", padding_mode="border", align_corners=False)
    canvas.colours, canvas.labels = smooth[0], exact[0, 0].long()


def _tint(stage: _Stage) -> None:
    """Moods and a colour that was asked for as such shift the whole picture a little."""
    canvas, moods = stage.canvas, stage.scene.moods
    colours = canvas.colours
    grey = colours.mean(0, keepdim=True)
    saturation = 1.0 + 0.22 * ("joyful" in moods) - 0.3 * ("melancholy" in moods) - 0.12 * ("dreamy" in moods)
    colours = grey + (colours - grey) * saturation
    warmth = 0.05 * ("warm" in moods) - 0.05 * ("cool" in moods)
    colours = colours + warmth * torch.tensor((1.0, 0.2, -1.0))[:, None, None]
    contrast = 1.0 + 0.2 * ("dramatic" in moods) - 0.15 * ("dreamy" in moods)
    colours = 0.5 + (colours - 0.5) * contrast + 0.05 * ("dreamy" in moods) - 0.05 * ("melancholy" in moods)
    if "" in stage.scene.colours:
        told = torch.tensor(stage.scene.colours[""])
        light = colours.mean(0, keepdim=True)
        colours = torch.lerp(colours, light * told[:, None, None] / told.mean().clamp_min(0.2), 0.45)
    canvas.colours = colours
