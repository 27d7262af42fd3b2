"""Two bars of chorale by three families of models beside Bach's: MuseGAN's figures of each.

    python benchmarks/music_families.py --data ../shared/data --gan runs/pianoroll_gan [--count 256] [--seed 1]

Rows: the test part, the training part; as many passages by the shipped Transformer (`chorale`, written from nothing in
C major and C minor), by the GAN of a run, and of notes drawn one by one as often as each voice sings them, which tells
what a figure is worth. The VAE writes one voice: its figures are on the card of `phrases`. The tonal distance and the
polyphony need several voices. Everything is in four quarters on the tonic C.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from danqing.catalog import catalog
from danqing.compute import checkpoint
from danqing.techniques import chorale, pianoroll_gan
from danqing.techniques.pianoroll_gan import STEPS
from danqing.training import music, pianorolls
from danqing.training.pianorolls import Passages

BATCH = 16


def transformer(training: Passages, count: int, seed: int) -> Passages:
    """Passages by the shipped writer, half of them in C minor, each begun with a tonic chord for a beat.

    So does `compose`. The chord is one of those that begin a passage of the training part: no model is told more than
    the key.
    """
    model = music.restore(*catalog.weights("chorale"))
    assert isinstance(model, chorale.Writer)
    generator, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    chords = [tonic_chords(training, third) for third in (4, 3)]
    made = []
    for start in range(0, count, BATCH):
        hidden = torch.full((BATCH, STEPS, 4), chorale.HIDDEN)
        hidden[:, :4] = torch.from_numpy(rng.choice(chords[start // BATCH % 2], BATCH))[:, None]
        known = chorale.frame(STEPS, 0, 16, 0 if start // BATCH % 2 else 12, ends=False)
        made.append(chorale.write(model, hidden, known, generator, chorale.WRITING, lambda *_: None))
    return pianorolls.pitches(torch.cat(made)[:count])


def tonic_chords(training: Passages, third: int) -> Passages:
    """Codes of the chords on C that begin a passage and have this third: (N, 4)."""
    first = training[:, 0]
    fits = np.isin(first % 12, (0, third, 7)).all(1) & (first[:, 3] % 12 == 0) & (first % 12 == third).any(1)
    found: Passages = pianorolls.codes(first[fits]).numpy()
    return found


def gan(run: Path, count: int, seed: int) -> Passages:
    """Passages by the GAN of a run."""
    model = pianorolls.restore(*checkpoint.load_weights(run / "weights.safetensors"))
    return pianorolls.pitches(pianoroll_gan.sample(model, count, torch.Generator().manual_seed(seed)))


def shuffled(real: Passages, count: int, seed: int) -> Passages:
    """Notes drawn one by one, as often as each voice sings them."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.choice(real[:, :, voice].ravel(), (count, STEPS)) for voice in range(4)], 2)


def copied(made: Passages, training: Passages) -> float:
    """The share of passages of which a bar, all voices, stands in the training part."""
    seen = {bar.tobytes() for passage in training for bar in passage.reshape(-1, 16, 4)}
    return float(np.mean([any(bar.tobytes() in seen for bar in passage.reshape(-1, 16, 4)) for passage in made]))


def varied(made: Passages) -> float:
    """The share of the voices' beats, all passages together, that are different."""
    beats = made.reshape(-1, 4, 4)
    return len(np.unique(beats.reshape(len(beats), -1), axis=0)) / len(beats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--gan", type=Path, required=True)
    parser.add_argument("--count", type=int, default=256)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    training, test, _ = pianorolls.split(given.data, "jsb-chorales-json")
    rng = np.random.default_rng(given.seed)
    makers = {
        "Bach, test part": lambda: test[rng.permutation(len(test))[: given.count]],
        "Bach, training part": lambda: training[rng.permutation(len(training))[: given.count]],
        "Transformer": lambda: transformer(training, given.count, given.seed),
        "GAN": lambda: gan(given.gan, given.count, given.seed),
        "shuffled": lambda: shuffled(training, given.count, given.seed),
    }
    for name, make in makers.items():
        began = time.process_time()
        made = make()
        cost = time.process_time() - began
        figures = {**pianorolls.measure(made), "varied_beats": varied(made), "copied": copied(made, training)}
        print(json.dumps({"from": name, **{k: round(v, 4) for k, v in figures.items()}, "cpu_s": round(cost, 2)}))


if __name__ == "__main__":
    main()
