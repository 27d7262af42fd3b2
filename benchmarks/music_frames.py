"""Chorales as 88 keys on quarter notes: the protocol of Boulanger-Lewandowski et al. 2012, with a model of its own.

The model of sixteenths hears what happens between the quarters, which this protocol does not tell; so a small network
is trained here on the quarter frames of the official training part and measured on those of the test part. A frame is
the set of keys that sound on a beat, without voices; it is foretold from all earlier frames. Two outputs share a GRU:
keys    each of the 88 keys on or off, independently: what TCN, LSTM and their kin are measured by (Bai et al. 2018:
        8.10 nats a frame; LSTM 8.43), the first frame of a piece not counted.
sets    the keys one after another from the highest down, then an end, each given those before: a likelihood of the
        same 88 bits without the independence, as RNN-NADE's is (5.56).
Training pieces are transposed; the epoch is chosen on the validation part.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from danqing.training.metrics import cosine
from danqing.training.music import Piece

KEYS, LOWEST = 88, 21  # of a piano; MIDI of its lowest
STEPS = 4  # of a sixteenth to a quarter
MOST = 5  # keys of a frame, and its end
WIDTH = 400
DROPOUT = 0.25
SHIFTS = range(-5, 7)
BATCH = 16  # pieces
RATE = 3e-3


class Frames(nn.Module):
    """Foretells a frame from those before it."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(KEYS, WIDTH)
        self.memory = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.keys = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(WIDTH, KEYS))
        self.chosen = nn.Embedding(KEYS + 1, WIDTH)
        self.read = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, KEYS + 1))

    def forward(self, frames: Tensor) -> Tensor:
        """frames (B, T, KEYS) float32 → states (B, T, WIDTH) that know the frames before each."""
        before = F.pad(frames[:, :-1], (0, 0, 1, 0))
        states: Tensor = self.memory(F.dropout(F.relu(self.enter(before)), DROPOUT, self.training))[0]
        return states

    def surprise(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """−log p of every frame in nats by each output: (B, T) twice."""
        states = self(frames)
        keys = F.binary_cross_entropy_with_logits(self.keys(states), frames, reduction="none").sum(-1)
        rank = frames * torch.arange(1, KEYS + 1)  # higher keys first
        order = rank.topk(MOST, dim=-1)
        tokens = torch.where(order.values > 0, order.indices, KEYS)  # (B, T, MOST), KEYS is the end
        sets, shown = torch.zeros_like(keys), torch.zeros_like(states)
        lower = torch.ones(*keys.shape, KEYS + 1, dtype=torch.bool)
        open_ = torch.ones_like(keys, dtype=torch.bool)
        for place in range(MOST):
            token = tokens[..., place]
            logits = self.read(states + shown).masked_fill(~lower, -torch.inf)
            nats = F.cross_entropy(logits.flatten(0, 1), token.flatten(), reduction="none").view_as(keys)
            sets = sets + torch.where(open_, nats, 0.0)
            open_ = open_ & (token < KEYS)
            shown = shown + self.chosen(token)
            lower = torch.arange(KEYS + 1) < token[..., None]
            lower[..., KEYS] = True
        return keys, sets


def frames(piece: Piece) -> NDArray[np.float32]:
    """(T, KEYS) of zeros and ones: what sounds on each quarter."""
    rows = piece.grid.pitches[::STEPS]
    found = np.zeros((len(rows), KEYS), np.float32)
    for row, pitches in zip(found, rows, strict=True):
        row[pitches[pitches > 0] - LOWEST] = 1
    return found


def _batch(pieces: Sequence[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    """(B, T, KEYS), and (B, T) bool: frames that are counted, the first of a piece not."""
    longest = max(map(len, pieces))
    found = np.stack([np.pad(piece, ((0, longest - len(piece)), (0, 0))) for piece in pieces])
    counted = torch.arange(longest) < torch.tensor([len(piece) for piece in pieces])[:, None]
    counted[:, 0] = False
    return torch.from_numpy(found), counted


@torch.no_grad()
def nats(model: Frames, pieces: Sequence[NDArray[np.float32]]) -> tuple[float, float]:
    """Nats of a frame by keys and by sets, a mean over all frames."""
    model.eval()
    ordered, sums, count = sorted(pieces, key=len), np.zeros(2), 0
    for start in range(0, len(ordered), BATCH):
        x, counted = _batch(ordered[start : start + BATCH])
        sums += [float(found[counted].sum()) for found in model.surprise(x)]
        count += int(counted.sum())
    return float(sums[0] / count), float(sums[1] / count)


def _batches(known: Sequence[NDArray[np.float32]], rng: np.random.Generator) -> list[list[NDArray[np.float32]]]:
    """Every piece once, transposed, with others of about its length, so that little is padding."""
    order = np.argsort([len(piece) * rng.uniform(0.8, 1.25) for piece in known])
    moved = [np.roll(known[i], rng.choice(SHIFTS), axis=1) for i in order]
    found = [moved[start : start + BATCH] for start in range(0, len(moved), BATCH)]
    return [found[i] for i in rng.permutation(len(found))]


def measured(
    training: Sequence[Piece], valid: Sequence[Piece], test: Sequence[Piece], minutes: float
) -> dict[str, float]:
    """Train for so many minutes of this process's time; what the test part came to."""
    torch.manual_seed(20)
    rng = np.random.default_rng(20)
    known, watched, unseen = ([frames(piece) for piece in part] for part in (training, valid, test))
    model = Frames()
    adam = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    began, epochs = time.process_time(), 0
    best = {"keys": (np.inf, model), "sets": (np.inf, model)}
    while (done := (time.process_time() - began) / (60 * minutes)) < 1:
        model.train()
        for pieces in _batches(known, rng):
            x, counted = _batch(pieces)
            keys, sets = model.surprise(x)
            loss = keys[counted].mean() + sets[counted].mean()
            adam.param_groups[0]["lr"] = RATE * cosine(done)
            adam.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            adam.step()
        epochs += 1
        for name, value in zip(best, nats(model, watched), strict=True):
            if value < best[name][0]:
                best[name] = (value, copy.deepcopy(model))
    return {
        "frames": float(sum(len(piece) - 1 for piece in unseen)),
        "epochs": float(epochs),
        "keys_nats_per_frame": nats(best["keys"][1], unseen)[0],
        "sets_nats_per_frame": nats(best["sets"][1], unseen)[1],
        "keys_nats_per_frame_valid": best["keys"][0],
        "sets_nats_per_frame_valid": best["sets"][0],
        "parameters": float(sum(p.numel() for p in model.parameters())),
        "cpu_minutes": (time.process_time() - began) / 60,
    }
