"""Scenes that nobody asked for: drawn at random from the words of `scenes.toml`, to learn and to measure with."""

from __future__ import annotations

import torch

from danqing.encode.scenes import Scene, lexicon

# What goes together: a scene has one of these sets of places.
PLACES = (
    *(("field",), ("sea",), ("lake",), ("river",), ("mountain",), ("forest",), ("garden",), ("town",), ("village",)),
    *(
        ("harbour",),
        ("beach",),
        ("lake", "mountain"),
        ("river", "mountain"),
        ("river", "village"),
        ("field", "mountain"),
    ),
    *(("desert",), ("waterfall",), ("snowfield",), ("still-life",), ("river", "forest"), ()),
)
THINGS = (
    "clouds",
    "moon",
    "sun",
    "boat",
    "tree",
    "blossom",
    "flowers",
    "house",
    "tower",
    "bridge",
    "path",
    "rocks",
    "reeds",
)
TIMES = ("", "day", "dawn", "dusk", "night")
WEATHERS = ("", "", "clear", "cloudy", "fog", "rain", "storm", "snow")
SEASONS = ("", "spring", "summer", "autumn", "winter")
REGIONS = ("sky", "water", "mountain", "tree", "ground", "building", "cloud")


def scene(generator: torch.Generator) -> Scene:
    """A scene at random."""

    def choose(names: tuple[str, ...]) -> str:
        return names[int(torch.randint(len(names), (), generator=generator))]

    places = PLACES[int(torch.randint(len(PLACES), (), generator=generator))]
    count = int(torch.randint(4, (), generator=generator))
    things = tuple(dict.fromkeys(choose(THINGS) for _ in range(count)))
    time = "" if "moon" in things else choose(TIMES)
    palette = [word.rgb for word in lexicon().values() if word.rgb is not None]
    told = {}
    for _ in range(int(torch.randint(3, (), generator=generator))):
        told[choose(REGIONS)] = palette[int(torch.randint(len(palette), (), generator=generator))]
    return Scene(places, things, time, choose(WEATHERS), choose(SEASONS), colours=told)
