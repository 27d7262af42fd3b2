"""What is above: the sky, the sun and the moon, clouds, birds, what falls."""

from __future__ import annotations

from collections.abc import Collection

import torch
import torch.nn.functional as F

from danqing.techniques.scenery.stage import LABEL, SNOW, TIMES, Stage


def paint(stage: Stage, horizon: float, drawn: Collection[str] = ()) -> None:
    """The sky with what stands in it. drawn: regions that a person drew; they are not drawn once more."""
    canvas = stage.canvas
    down = ((canvas.y / horizon).clamp(0, 1) + 0.05 * canvas.noise(2, 2, 3)).clamp(0, 1) ** 1.3
    canvas.colours = torch.lerp(stage.zenith[:, None, None], stage.horizon_colour[:, None, None], down[None])
    canvas.labels[:] = LABEL["sky"]
    asked = stage.has("moon", "sun")
    low = stage.time in ("dusk", "dawn") and stage.weather == "clear" and not drawn
    if "light" not in drawn and (asked or (low and canvas.chance(0.8))):
        disc(stage, horizon)
    if stage.has("stars") or (stage.time == "night" and stage.weather == "clear"):
        stars(stage, horizon)
    likely = 0.6 if stage.weather == "clear" and stage.time != "night" else 0.2
    if "cloud" not in drawn and (stage.weather in ("cloudy", "storm", "rain") or stage.may("clouds", likely)):
        clouds(stage, horizon)


def stars(stage: Stage, horizon: float) -> None:
    """Stars above the horizon."""
    canvas = stage.canvas
    dots = (torch.rand(canvas.height, canvas.width, generator=canvas.generator) > 0.9988).float()
    dots = F.max_pool2d(F.pad(dots[None, None], (0, 1, 0, 1)), 2, 1)[0, 0] * (canvas.y < horizon)
    canvas.lay(0.8 * dots, torch.tensor((0.97, 0.96, 0.86)))


def disc(stage: Stage, horizon: float) -> None:
    """The sun or the moon with its glow."""
    canvas = stage.canvas
    low = stage.time in ("dusk", "dawn") and not stage.has("moon")
    x = canvas.uniform(0.22, 0.78) * canvas.wide
    y = horizon * (canvas.uniform(0.66, 0.86) if low else canvas.uniform(0.2, 0.42))
    stage.disc = (x, y)
    colour = stage.colour("light", TIMES["night"].disc if stage.has("moon") else stage.air.disc)
    distance = ((canvas.x - x).square() + (canvas.y - y).square()).sqrt()
    glow = torch.exp(-distance / (0.3 if low else 0.17)) * (0.62 if low else 0.36)
    canvas.lay(glow, colour)
    radius = canvas.uniform(0.035, 0.055)
    canvas.lay(torch.sigmoid((radius - distance) * 240), colour, LABEL["light"])


def clouds(stage: Stage, horizon: float) -> None:
    """Clouds, as many as the weather has."""
    canvas = stage.canvas
    heavy = stage.weather in ("storm", "rain")
    cover = {"storm": -0.6, "rain": -0.5, "cloudy": -0.15}.get(stage.weather, 0.2 if stage.has("clouds") else 0.7)
    flat = heavy or canvas.chance(0.35)
    field = canvas.noise(5, 1.6, 6) if flat else canvas.noise(3.4, 2.6, 6, 0.58)
    field = field - (canvas.y / horizon - canvas.uniform(0.3, 0.55)).abs() * 0.9
    density = torch.sigmoid((field - cover) * 5) * (1 - canvas.below(horizon + 0.02))
    fair = {"day": (1.0, 1.0, 0.99), "night": (0.46, 0.52, 0.68)}.get(stage.time, (1.0, 0.83, 0.70))
    light = stage.colour("cloud", fair)
    if heavy and not stage.told("cloud"):
        light = light * (0.62 if stage.weather == "storm" else 0.78)
    shift = max(1, canvas.height // 26)
    above = torch.cat([field[:1].expand(shift, -1), field[:-shift]])  # what is above throws its shade
    shade = torch.sigmoid((above - field) * 2.4)
    told = stage.told("cloud")  # then its shades are of that colour as well
    dark = 0.92 * light + 0.05 * stage.zenith if told else 0.66 * light + 0.26 * stage.zenith
    colour = torch.lerp(dark[:, None, None], light[:, None, None], shade[None])
    canvas.lay(density, colour, LABEL["cloud"])


def birds(stage: Stage, horizon: float) -> None:
    """A few birds far away."""
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


def snowfall(stage: Stage) -> None:
    """Snow in the air."""
    canvas = stage.canvas
    for count, radius in ((90, 0.003), (40, 0.006)):
        for _ in range(count):
            x, y = canvas.uniform(0, canvas.wide), canvas.uniform()
            canvas.lay(0.75 * canvas.ellipse(x, y, radius, radius, 0.5), torch.tensor(SNOW))


def rainfall(stage: Stage) -> None:
    """Rain in the air."""
    canvas = stage.canvas
    streaks = torch.sigmoid((canvas.noise(5, 70, 2) - 1.25) * 6)
    canvas.lay(0.16 * streaks, stage.horizon_colour)
