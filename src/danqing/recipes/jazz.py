"""`jazz`: solos over chords, by a small Transformer over events; it is told two chords a bar before the bar's notes.

Data: the solos of the Weimar Jazz Database whose average tempo is told, 264 of its 299, as notes in seconds. Beats, bar
lines and chords are estimated from the notes (`training.jazz`): no table in the data names them. Solos over one title
are on one side of the split, a tenth of the titles is held out; the tunes and the recordings are in copyright, so the
tier is `research`. What is trained and measured: see `piano`. Measured besides: nats of one token of the notes over
their chords and over chords half an octave off: what the chords tell.

Budget: ≤ 25 min on one CPU core; the larger variant (width=256 depth=6 heads=4 tokens=32768 steps=2000) ≤ 10 min on one
data-centre GPU.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from danqing.artwork import pitches
from danqing.artwork.request import OnStep
from danqing.encode import events
from danqing.recipes import Recipe, piano
from danqing.training import jazz, language, repertoire
from danqing.training.repertoire import Bar, Piece, Repertoire
from danqing.training.run import Run

WRONG = 6  # semitones that the chords are moved by, to see what the right ones tell


@dataclass(frozen=True)
class Config:
    """Settings of one training run: the fields of `piano.Config`, which mean the same."""

    files: str = "jazz-solos"  # a .zip archive in --data or its `music`
    width: int = 128
    depth: int = 4
    heads: int = 2
    context: int = 384
    dropout: float = 0.1
    tokens: int = 4096  # of a batch
    steps: int = 800
    minutes: float = 30.0
    checkpoint_s: float = 120.0  # seconds between checkpoints
    rate: float = 5e-3  # peak learning rate
    storage: str = "int8"
    seed: int = 19

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(files="solos", width=32, depth=1, heads=2, context=128, tokens=512, steps=4, checkpoint_s=0)


def train(config: Any, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Train and save. Returns what `evaluate` returns."""
    book = jazz.load(root, config.files, run.folder / "pieces.npz")
    return piano.taught(config, book, jazz.vocabulary(), run, on_step, _without)


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """Nats of one token of the held-out solos, over their chords and over wrong ones, from the saved weights."""
    book = jazz.load(root, run.config["files"], run.folder / "pieces.npz")
    return piano.measure(run, book, jazz.vocabulary()) | _without(run, book)


def _without(run: Run, book: Repertoire) -> dict[str, float]:
    """{"nats_per_note_token", "nats_per_note_token_wrong_chords"}: tokens of the notes alone."""
    model, words, _ = language.load(run.folder / "weights.safetensors")
    found = {}
    for name, pieces in (("", book.held), ("_wrong_chords", [_moved(piece) for piece in book.held])):
        samples = repertoire.fixed(pieces, words, run.config["context"], most=piano.MEASURED)
        own = [
            replace(
                s, weights=[w * (events.kind_of(t)[0] != "chord") for w, t in zip(s.weights, s.tokens[1:], strict=True)]
            )
            for s in samples
        ]
        score = language.score(model, own)
        found[f"nats_per_note_token{name}"] = score.nats / max(1, score.count)
    return found


def _moved(piece: Piece) -> Piece:
    """The piece over chords half an octave off."""

    def bar(own: Bar) -> Bar:
        size = events.HALVES
        names = [events.chord_name(token) for token in own.tokens[:size]]
        return replace(
            own, tokens=(*(events.chord_token(pitches.moved_chord(n, WRONG)) for n in names), *own.tokens[size:])
        )

    return replace(piece, bars=tuple(map(bar, piece.bars)))


RECIPE = Recipe(
    name="jazz",
    purpose="Jazz solos over a chart of chords",
    data="a folder with jazz-solos.zip: df_solos.csv and tables <name>_solo.csv of pitch, onset s, duration s",
    config=Config,
    train=train,
    evaluate=evaluate,
)
