"""Who judges what `paint` made: classifiers that learned from photographs, repainted ones too, and from paintings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from danqing.catalog import catalog
from danqing.encode.image import match_colors, resize
from danqing.recipes import shipped
from danqing.techniques.fast_style import Config, FastStyle, Painter
from danqing.training import data

SCENES = {
    "forest": "forest",
    "mountain": "mountain",
    "sea": "sea",
    "glacier": "glacier",
    "buildings": "town",
    "street": "town",
}
STYLES = ("impressionism", "tonalism", "ukiyo-e", "shin-hanga", "divisionism", "symbolism", "realism")
TITLES = {  # words in a painting's title that name its scene
    "forest": r"\bforest|\bwoods?\b|wooded|woodland|\bgrove\b",
    "mountain": r"mountain|\balps\b|alpine|\bpeaks?\b|\bmount\b|\bfuji",
    "sea": r"\bsea\b|seascape|\bocean|\bwaves?\b|\bshore\b|seashore|\bcoast\b|marine",
    "glacier": r"glacier|\bsnow\b|\bwinter\b|\bice\b",
    "town": r"street|\btown\b|\bcity\b|cityscape|\brue\b|boulevard|rooftops",
}
TITLED = (*STYLES, "naturalism", "landscape-masters", "japonism", "synthetism", "masterpieces", "academicism",
          "biedermeier")  # fmt: skip
LAYERS = ("relu2_1", "relu3_1", "relu4_1", "relu5_1")
MOST = 900  # pictures that a judge learns from; entries are in the order of their hashes
MANNERS = 60  # paintings after which photographs are repainted
COLOURS = 0.7  # how far a repainted photograph takes on its painting's colours
SIDE = 160  # px, of what the judges see
Rows = tuple[np.ndarray, list[str]]  # what is seen of pictures (B, N), and what each of them is
Entries = Sequence[data.Entry]


class Judges:
    """Scenes and styles, in the space of the frozen backbone."""

    def __init__(self, root: Path) -> None:
        self.extractor = shipped.backbone()
        photos = [e for e in data.index(root / "photos") if e.labels.get("label") in SCENES]
        paintings = [e for e in data.index(root / "paintings") if e.labels.get("style") in STYLES]
        learning, known = ([e for e in photos if e.held_out is held][:MOST] for held in (False, True))
        plain, held = self._scenes(learning), self._scenes(known)
        titled = self._titled(data.index(root / "paintings"))
        painted = self._scenes(learning, Manners(self.extractor, [e for e in paintings if not e.held_out]))
        both = (np.concatenate([plain[0], painted[0]]), [*plain[1], *painted[1]])
        self.scene, self.of_photos = Judge(both), Judge(plain)
        self.scene_figures = {
            f"scenes_of_{name}{suffix}": judge.right(rows)
            for suffix, judge in (("", self.scene), ("_by_photos_alone", self.of_photos))
            for name, rows in (("photos", held), ("titled_paintings", titled))
        }
        sides = [self._rows([e for e in paintings if e.held_out is h][:MOST], "style") for h in (False, True)]
        self.style = Judge(sides[0])
        self.style_accuracy = self.style.right(sides[1], 3)
        self.real = sides[1][0][:80]

    def _rows(self, entries: Entries, key: str) -> Rows:
        pixels = data.Pixels(entries, SIDE)
        rows = [self.describe(pixels.centre(at, SIDE)) for at in data.batches(range(len(pixels)), 16)]
        return np.concatenate(rows), [str(e.labels[key]) for e in pixels.entries]

    def _scenes(self, entries: Entries, manners: Manners | None = None) -> Rows:
        if manners is None:
            rows, labels = self._rows(entries, "label")
        else:
            pixels = data.Pixels(entries, SIDE)
            painted = (manners.repainted(pixels.centre([i], SIDE)) for i in range(len(pixels)))
            rows = np.concatenate([self.describe(x) for x in painted])
            labels = [str(e.labels["label"]) for e in pixels.entries]
        return rows, [SCENES[label] for label in labels]

    def _titled(self, entries: Entries) -> Rows:
        """Paintings, of the training part as well since nothing here learned their scenes, whose title names one."""
        named = []
        for entry in entries:
            title = str(entry.labels.get("title") or "").lower()
            scenes = [scene for scene, words in TITLES.items() if re.search(words, title)]
            if entry.labels.get("style") in TITLED and len(scenes) == 1:
                named.append((entry, scenes[0]))
        pixels = data.Pixels([entry for entry, _ in named], SIDE)
        known = {entry.path: scene for entry, scene in named}
        rows = [self.describe(pixels.centre(at, SIDE)) for at in data.batches(range(len(pixels)), 16)]
        return np.concatenate(rows), [known[entry.path] for entry in pixels.entries]

    @torch.no_grad()
    def describe(self, x: Tensor) -> np.ndarray:
        """(B, N): mean and deviation of each channel, of the whole and the mean of its upper and lower half."""
        maps = self.extractor(x, LAYERS)
        parts = []
        for layer in LAYERS:
            m = maps[layer].float()
            half = m.shape[2] // 2
            parts += [m.mean((2, 3)), m.std((2, 3)), m[:, :, :half].mean((2, 3)), m[:, :, half:].mean((2, 3))]
        return torch.cat(parts, 1).numpy()

    def seen(self, picture: Tensor) -> np.ndarray:
        """What is seen of one picture (1, 3, H, W): (1, N)."""
        return self.describe(square(picture, SIDE))

    def scenes(self, asked: Sequence[tuple[str, str, Tensor]]) -> dict[str, Any]:
        """(prompt, scene, picture) of each: how often the scene is told, and which were not."""
        if not asked:
            return self.scene_figures
        rows = np.concatenate([self.seen(picture) for _, _, picture in asked])
        wanted = [scene for _, scene, _ in asked]
        found = [names[0] for names in self.scene.firsts(rows, 1)]
        pairs = zip(asked, found, strict=True)
        missed = [f"{prompt}: {name}" for (prompt, scene, _), name in pairs if name != scene]
        return {
            "scenes_right": self.scene.right((rows, wanted)),
            "scenes_right_by_photos_alone": self.of_photos.right((rows, wanted)),
            "scenes_missed": "; ".join(missed),
            **self.scene_figures,
        }

    def styles(self, asked: Sequence[tuple[str, Tensor]]) -> dict[str, Any]:
        """(style, picture) of each: how often the style is among the first three."""
        if not asked:
            return {"styles_of_paintings": self.style_accuracy}
        rows = np.concatenate([self.seen(picture) for _, picture in asked])
        right = self.style.right((rows, [style for style, _ in asked]), 3)
        return {"styles_in_three": right, "styles_of_paintings": self.style_accuracy}

    def apart(self, groups: Sequence[Sequence[Tensor]]) -> dict[str, Any]:
        """Distances within groups of pictures, as shares of those between real paintings."""
        scale = self.real.std(0) + 1e-6
        found = [pairwise(np.concatenate([self.seen(x) for x in group]) / scale) for group in groups]
        return {"apart_of_real": float(np.mean(found) / pairwise(self.real / scale))}


class Judge:
    """A linear classifier of rows."""

    def __init__(self, rows: Rows) -> None:
        self.scaler = StandardScaler().fit(rows[0])
        self.model = LogisticRegression(C=0.003, max_iter=400, class_weight="balanced")
        self.model.fit(self.scaler.transform(rows[0]), rows[1])

    def firsts(self, rows: np.ndarray, count: int) -> list[list[str]]:
        """The likeliest names of each."""
        odds = self.model.predict_proba(self.scaler.transform(rows))
        return [[str(self.model.classes_[i]) for i in np.argsort(-own)[:count]] for own in odds]

    def right(self, rows: Rows, first: int = 1) -> float:
        """How often the true name is among the first ones."""
        return float(np.mean([name in names for names, name in zip(self.firsts(rows[0], first), rows[1], strict=True)]))


class Manners:
    """Photographs repainted after real paintings, each after another: what they show stays, how it looks does not."""

    def __init__(self, extractor: Any, paintings: Entries) -> None:
        self.generator = torch.Generator().manual_seed(3)
        tensors, about = catalog.weights("fast")
        painter = Painter(Config(**about["config"]))
        painter.load_state_dict(tensors)
        self.model = FastStyle(painter, extractor)
        drawn = torch.randperm(len(paintings), generator=self.generator)[:MANNERS].tolist()
        self.pictures = [data.Pixels([paintings[i]], 256).centre([0], 256) for i in drawn]
        self.styles = [self.model.style_of(picture) for picture in self.pictures]

    def repainted(self, photo: Tensor) -> Tensor:
        """photo (1, 3, S, S) in [0, 1]; returns the like."""
        number = int(torch.randint(len(self.styles), (), generator=self.generator))
        coloured = match_colors(photo, self.pictures[number], amount=COLOURS)
        return self.model.paint(coloured, [self.styles[number]], torch.ones(1, *photo.shape[2:]))


def pairwise(rows: np.ndarray) -> float:
    """Mean distance between two rows."""
    distances = np.sqrt(((rows[:, None] - rows[None]) ** 2).mean(2))
    return float(distances[np.triu_indices(len(rows), 1)].mean())


def square(x: Tensor, side: int) -> Tensor:
    """The middle square of (1, 3, H, W) at this side."""
    short = min(x.shape[2:])
    top, left = (x.shape[2] - short) // 2, (x.shape[3] - short) // 2
    return resize(x[:, :, top : top + short, left : left + short], (side, side)).clamp(0, 1)
