"""Do the rounds find what a person likes? Eight hidden tastes, ten rounds of six: python benchmarks/taste.py

Simulated: the persons. Each has a hidden linear taste, random weights on the measured features (and half as large ones
on names of styles, light and weather), likes the best two of a round and dislikes the worst two; with noise, what it
sees is its own utility plus a normal error of 0.5 standard deviations of utility over random works.
Real: requests, works and features. To make 8 × 60 × 4 pictures in minutes they are not finished paintings but the
underpaintings that `paint` begins with (`techniques.scenery`, 64 px, colours moved to the style's), measured by
`sessions.features`; brush strokes are not there, so fineness is that of forms.

Score: the percentile of the works that a person chose in the last round among 800 works of random requests, by the
hidden taste without noise. Beside the rounds: random search (each round strangers, the same choices), and the naive way
(candidates nearest to the mean of the features of what was liked, foreseen by the same means).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from danqing.sessions import features, rounds
from danqing.sessions.rounds import Candidate
from danqing.sessions.taste import Taste, choices_of

PROMPT = "the sea, no trees, no houses"
ROUNDS, SIZE, TASTES, RANDOM = 10, 6, 8, 800
NOISE = 0.5


class World:
    """Requests → features of real underpaintings, remembered."""

    def __init__(self) -> None:
        from danqing.catalog import styles

        self.space = rounds._free("paint", {"prompt": PROMPT})
        self.styles = styles.shipped()
        self.exemplars: dict[str, Any] = {}
        self.seen: dict[str, dict[str, float]] = {}

    def measure(self, genome: rounds.Genome) -> dict[str, float]:
        key = rounds._key(genome)
        if key not in self.seen:
            self.seen[key] = self._made(genome)
        return self.seen[key]

    def _made(self, genome: rounds.Genome) -> dict[str, float]:
        from danqing.artwork import image
        from danqing.compute.seed import generator
        from danqing.encode import scenes
        from danqing.encode.image import fit, match_colors, to_picture, to_tensor
        from danqing.techniques import scenery

        request = rounds.request_of("paint", {"prompt": PROMPT}, genome)
        scene = scenes.read(request.prompt)
        layout, _ = scenery.compose(scene, 48, 64, generator(request.seed, stream=10))
        if request.style not in self.exemplars:
            self.exemplars[request.style] = fit(to_tensor(image.read(self.styles.exemplar(request.style))), 96)
        toned = match_colors(layout, self.exemplars[request.style], amount=0.4)
        raw = features.picture(to_picture(toned))
        return features.scaled(raw) | features.named(rounds.settings_of("paint", {"prompt": PROMPT}, genome))


def hidden(world: World, crowd: list[dict[str, float]], random: np.random.Generator) -> Callable[[Any], float]:
    """A linear taste with standard deviation 1 over random works."""
    names = sorted({name for work in crowd for name in work})
    weights = {name: random.normal() * (0.5 if ":" in name else 1.0) for name in names}
    values = np.array([sum(weights[n] * v for n, v in work.items()) for work in crowd])
    middle, spread = values.mean(), values.std()
    return lambda work: float((sum(weights.get(n, 0.0) * v for n, v in work.items()) - middle) / spread)


def ours(space: Any, past: list[Candidate], random: np.random.Generator, choices: list[Any]) -> list[Any]:
    return rounds.propose(space, past, Taste(choices), SIZE, random)


def by_chance(space: Any, past: list[Candidate], random: np.random.Generator, choices: list[Any]) -> list[Any]:
    return [(rounds._stranger(space, random), ()) for _ in range(SIZE)]


def naive(space: Any, past: list[Candidate], random: np.random.Generator, choices: list[Any]) -> list[Any]:
    liked = [one for one in past if one.verdict == "liked"]
    if not liked:
        return by_chance(space, past, random, choices)
    names = sorted({name for one in past for name in one.features or {}})
    centre = {name: float(np.mean([(one.features or {}).get(name, 0.0) for one in liked])) for name in names}
    pool = [rounds._stranger(space, random) for _ in range(72)]
    pool += [
        rounds._child(space, liked[int(random.integers(len(liked)))].genome,
                      liked[int(random.integers(len(liked)))].genome, random)
        for _ in range(168)
    ]  # fmt: skip
    far = [
        sum((foreseen.get(name, 0.0) - centre[name]) ** 2 for name in names)
        for foreseen in rounds.foresight(space, past)(pool)
    ]
    return [(pool[place], ()) for place in np.argsort(far)[:SIZE]]


def run(world: World, like: Callable[[Any], float], how: Any, noise: float, seed: int) -> tuple[list[float], Taste]:
    """Ten rounds; the utilities of what was chosen in the last one, and what was learned."""
    random = np.random.default_rng(seed)
    past: list[Candidate] = []
    choices: list[Any] = []
    for number in range(1, ROUNDS + 1):
        shown = {}
        for place, (genome, parents) in enumerate(how(world.space, past, random, choices)):
            own = len(past) + place + 1
            shown[own] = Candidate(own, number, genome, tuple(parents), str(own), world.measure(genome))
        seen = {own: like(one.features) + noise * random.normal() for own, one in shown.items()}
        order = sorted(seen, key=lambda own: -seen[own])
        liked, disliked = order[:2], order[-2:]
        choices += choices_of({own: one.features for own, one in shown.items()}, liked, disliked)
        for own, one in shown.items():
            verdict = "liked" if own in liked else "disliked" if own in disliked else "passed"
            past.append(Candidate(**{**vars(one), "verdict": verdict}))
    return [like(one.features) for one in past[-SIZE:] if one.verdict == "liked"], Taste(choices)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--tastes", type=int, default=TASTES)
    asked.add_argument("--seed", type=int, default=7)
    given = asked.parse_args()
    start = time.perf_counter()
    world = World()
    random = np.random.default_rng(given.seed)
    crowd = [world.measure(rounds._stranger(world.space, random)) for _ in range(RANDOM)]
    print(f"{RANDOM} random works in {time.perf_counter() - start:.0f} s")
    columns = {name: [crowd_work.get(name, 0.0) for crowd_work in crowd] for name in crowd[0] if ":" not in name}
    print(
        "spread on the common scale: " + ", ".join(f"{n} {np.mean(c):+.1f}±{np.std(c):.1f}" for n, c in columns.items())
    )
    results: dict[str, Any] = {}
    for noise in (0.0, NOISE):
        for name, how in (("rounds", ours), ("naive", naive), ("random", by_chance)):
            scores = []
            for person in range(given.tastes):
                like = hidden(world, crowd, np.random.default_rng([given.seed, person]))
                everyone = np.array([like(work) for work in crowd])
                chosen, _ = run(world, like, how, noise, 1000 * given.seed + person)
                scores.append(float(np.mean([(everyone < value).mean() for value in chosen])) * 100)
            results[f"{name}, noise {noise}"] = scores
            top = sum(score >= 95 for score in scores)
            print(
                f"noise {noise}: {name:8} percentile of the chosen {np.mean(scores):5.1f} "
                f"(worst {min(scores):.1f}), in the top 5 %: {top} of {len(scores)} tastes"
            )
    print(f"{time.perf_counter() - start:.0f} s")
    print(json.dumps({name: [round(v, 1) for v in scores] for name, scores in results.items()}))


if __name__ == "__main__":
    main()
