"""Two-bar passages of chorales brought to the tonic C; and MuseGAN's measures of such passages, whoever wrote them.

Measures: Dong et al. 2018, section 5.2. Tonal distance: Harte et al. 2006, between voices, a beat at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from danqing.compute import checkpoint
from danqing.encode.notes import HIGH, LOW, SILENCE, VOICES
from danqing.errors import BadRequest
from danqing.techniques import pianoroll_gan
from danqing.techniques.pianoroll_gan import STEPS, Generator
from danqing.training import data, music
from danqing.training.music import Piece

BAR = 16  # steps
BEAT = 4  # steps
SHORT = 2  # steps; a note of fewer is not "qualified"
Passages = NDArray[np.int64]  # (N, STEPS, 4) MIDI, SILENCE where a voice is silent


def passages(pieces: Iterable[Piece]) -> Passages:
    """Two bars from each bar line on, of the pieces in four quarters; transposed so that the tonic is C.

    A piece that would leave LOW to HIGH either way is passed over. Raises BadRequest where none is left.
    """
    found = [cut for piece in pieces for cut in _cuts(piece)]
    if not found:
        raise BadRequest("no chorale in four quarters with two whole bars; give more of them")
    return np.stack(found)


def _cuts(piece: Piece) -> list[NDArray[np.int64]]:
    grid = piece.grid
    if grid.bar != BAR:
        return []
    sounding = grid.pitches[grid.pitches != SILENCE]
    shifts = [s for s in range(-6, 6) if (piece.key + s) % 12 == 0]
    fits = [s for s in shifts if sounding.min() + s >= LOW and sounding.max() + s <= HIGH]
    if not fits:
        return []
    pitches = np.where(grid.pitches != SILENCE, grid.pitches + fits[0], SILENCE).astype(np.int64)
    return [pitches[start : start + STEPS] for start in range(grid.pickup, len(pitches) - STEPS + 1, BAR)]


def codes(found: Passages) -> Tensor:
    """See `encode.notes.codes`."""
    return torch.from_numpy(np.where(found == SILENCE, 0, found - LOW + 1))


def pitches(numbers: Tensor) -> Passages:
    """The opposite of `codes`."""
    numpy = numbers.numpy()
    return np.where(numpy == 0, SILENCE, numpy + LOW - 1)


def draw(found: Passages, batch: int, step: int, seed: int) -> Tensor:
    """The rolls of one step, which follow from its number alone: (batch, CHANNELS, STEPS)."""
    return pianoroll_gan.rolled(codes(found[data.draw_order(len(found), batch, step, seed)]))


# --- measures ---------------------------------------------------------------------------------------------------------


def measure(found: Passages) -> dict[str, float]:
    """MuseGAN's figures of passages.

    empty_bars: share of bars in which a voice is silent; pitch_classes: used in a bar of a voice; qualified: share of
    notes of an eighth or more; polyphonic: share of steps with three pitches or more; tonal_distance: between two
    voices, mean over pairs; in_scale: share of sounding steps in C major or, where it fits better, C minor (harmonic
    and melodic degrees included).
    """
    bars = found.reshape(-1, BAR, len(VOICES)).transpose(0, 2, 1).reshape(-1, BAR)  # one voice, one bar each
    used = [len(set(bar[bar != SILENCE] % 12)) for bar in bars]
    lengths = np.concatenate([_lengths(line) for passage in found for line in passage.T])
    steps = found.reshape(-1, len(VOICES))
    return {
        "empty_bars": float((bars == SILENCE).all(1).mean()),
        "pitch_classes": float(np.mean(used)),
        "qualified": float((lengths >= SHORT).mean()) if len(lengths) else 0.0,
        "polyphonic": float(np.mean([len(set(step[step != SILENCE])) >= 3 for step in steps])),
        "tonal_distance": tonal_distance(found),
        "in_scale": float(np.mean([_in_scale(passage) for passage in found])),
    }


def _lengths(line: NDArray[np.int64]) -> NDArray[np.int64]:
    """Steps of each stretch of one pitch."""
    changes = np.append(0, np.flatnonzero(line[1:] != line[:-1]) + 1)
    spans = np.diff(np.append(changes, len(line)))
    kept: NDArray[np.int64] = spans[line[changes] != SILENCE]
    return kept


def _in_scale(passage: NDArray[np.int64]) -> float:
    sounding = passage[passage != SILENCE] % 12
    scales = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 9, 10, 11))
    return max((float(np.isin(sounding, scale).mean()) for scale in scales), default=0.0) if len(sounding) else 0.0


def tonal_distance(found: Passages) -> float:
    """Mean distance of the voices' tonal centroids, beat by beat, over pairs of voices; beats with silence left out."""
    centroids = [_centroids(found[:, :, voice]) for voice in range(len(VOICES))]
    apart = [np.linalg.norm(a - b, axis=-1) for a, b in combinations(centroids, 2)]
    every = np.stack(apart)
    return float(np.nanmean(every)) if not np.isnan(every).all() else 0.0


def _centroids(lines: NDArray[np.int64]) -> NDArray[np.float64]:
    """Lines (N, T) → (N, T / BEAT, 6): the mean place of a beat's pitch classes on the circles of fifths and thirds."""
    classes = np.arange(12)
    circles = [(7, 1.0), (3, 1.0), (4, 0.5)]  # steps of a twelfth (fifths), of a quarter and a third; radii of Harte
    table = np.concatenate(
        [[r * np.sin(classes * k * np.pi / 6), r * np.cos(classes * k * np.pi / 6)] for k, r in circles]
    ).T
    places = np.where((lines == SILENCE)[..., None], np.nan, table[lines % 12])
    beats = places.reshape(len(lines), -1, BEAT, 6)
    found: NDArray[np.float64] = beats.mean(2)
    return found


# --- weights ----------------------------------------------------------------------------------------------------------


def save(path: Path, model: Generator, storage: str = "int8") -> None:
    """Write a weights file: the generator's weights, and in the header its config."""
    about = {"architecture": "pianoroll_gan", "config": asdict(model.config)}
    checkpoint.save_weights(path, checkpoint.pack(model.state_dict(), storage), about)


def restore(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> Generator:
    """The generator of a weights file, in evaluation mode, fp32."""
    if about.get("architecture") != "pianoroll_gan":
        raise BadRequest(f"these weights are of {about.get('architecture')!r}, not of a piano-roll GAN")
    model, _ = pianoroll_gan.build(pianoroll_gan.Config(**about["config"]))
    model.load_state_dict(checkpoint.unpack(tensors))
    return model.eval()


def split(root: Path, name: str) -> tuple[Passages, Passages, str]:
    """Passages to learn from and those of the test part, and the test part's fingerprint."""
    pieces = music.chorales(root, name)
    return passages(pieces.training), passages(pieces.test), music.fingerprint([p.sha256 for p in pieces.test])
