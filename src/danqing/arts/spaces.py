"""A trained generator opened for `explore`: its codes, what they show, where they are kept, how directions are called.

A code is what a picture is made from: of a generator with styles one style vector for each layer, (L, W), of every
other one its latent. Codes are cut by truncation when they are shown, so that one code serves every truncation.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from danqing.artwork import files
from danqing.artwork.request import OnStep, Step, ignore
from danqing.artwork.shelf import default_home
from danqing.compute import checkpoint
from danqing.encode.image import resize
from danqing.errors import BadRequest, CorruptWeights, InvalidMedia, UnknownName
from danqing.techniques import latents
from danqing.training import generators

if TYPE_CHECKING:
    from danqing.catalog.catalog import Catalog

WEIGHTS = "weights.safetensors"  # in a run's folder
BATCH = 16  # pictures made at a time
DRAWN = 512  # latents that directions and spreads are taken from
SEEN = 16  # px, the side at which pictures are compared for directions: composition and colour, not grain
LATENT = "latent"  # what a latent file says it is

Levels = NDArray[np.uint8]


@dataclass(frozen=True)
class Direction:
    """Which direction a name stands for."""

    by: str  # "pca" or "sefa"
    number: int  # from 1


@dataclass(frozen=True)
class Space:
    """An opened generator."""

    sampler: Any  # training.generators.Sampler; styles, from_styles, style_weights and encode where it has them
    name: str
    sha256: str  # of its weights
    names: Path  # the file that holds the names of its directions

    @property
    def styled(self) -> bool:
        """Whether it makes pictures from styles."""
        return hasattr(self.sampler, "from_styles")

    def class_number(self, name: str) -> int | None:
        """The number of a class; without a name the first one, or None where it knows none."""
        known: tuple[str, ...] = self.sampler.classes
        if name and not known:
            raise BadRequest(f"{self.name} was trained without classes; leave --class {name} out")
        if name and name not in known:
            raise UnknownName("class", name, known, see=f"the classes of {self.name} are {', '.join(known)}")
        return known.index(name) if name else 0 if known else None

    # --- codes --------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def codes(self, seeds: Sequence[int], number: int | None) -> Tensor:
        """The code of each seed, (B, …) float32. number: of the class, where there are classes."""
        drawn = torch.cat([self.sampler.draw(1, torch.Generator().manual_seed(seed)) for seed in seeds])
        return self._coded(drawn, _labels(number, len(drawn)))

    @torch.no_grad()
    def mixture(self, shares: Mapping[int, float], number: int | None) -> Tensor:
        """The code of several seeds in one, (1, …) float32. shares: seed → weight, not all 0; only ratios count.

        Squared weights are brought to a sum of 1: a sum of independent normals is then a normal again, so that a
        mixture is as likely a latent as any that was drawn.
        """
        length = math.sqrt(sum(share**2 for share in shares.values()))
        parts = [
            self.sampler.draw(1, torch.Generator().manual_seed(seed)) * (share / length)
            for seed, share in shares.items()
        ]
        return self._coded(torch.stack(parts).sum(dim=0), _labels(number, 1))

    @functools.cached_property
    def _drawn(self) -> tuple[Tensor, Tensor | None]:
        """Always the same latents, (DRAWN, …), and their classes: all of them in turn."""
        classes = torch.arange(DRAWN) % len(self.sampler.classes) if self.sampler.classes else None
        return self.sampler.draw(DRAWN, torch.Generator().manual_seed(0)), classes

    @torch.no_grad()
    def _coded(self, drawn: Tensor, classes: Tensor | None) -> Tensor:
        return self.sampler.styles(drawn, classes) if self.styled else drawn

    @functools.cached_property
    def spread(self) -> float:
        """How far codes (one layer's style) are from their average, as the length of a vector; see `Search.noise`."""
        own = self._coded(*self._drawn)
        own = own.mean(dim=1) if self.styled else own.flatten(1)
        return float((own - own.mean(dim=0)).pow(2).sum(dim=1).mean().sqrt().clamp_max(math.sqrt(512)))

    def pictures(self, codes: Tensor, number: int | None, truncation: float = 1.0) -> Tensor:
        """What codes (B, …) show: (B, 3, S, S) float32 in about [-1, 1]; gradients flow back."""
        classes = _labels(number, len(codes))
        if not self.styled:
            return self.sampler.pictures(codes, classes, truncation)  # type: ignore[no-any-return]
        if truncation != 1:
            with torch.no_grad():
                average = self.sampler.styles(self._drawn[0][:1], None if classes is None else classes[:1], 0.0)
            codes = torch.lerp(average, codes, truncation)
        return self.sampler.from_styles(codes)  # type: ignore[no-any-return]

    @torch.no_grad()
    def show(
        self,
        codes: Tensor,
        numbers: Sequence[int | None],
        side: int,
        truncations: Sequence[float] = (1.0,),
        on_step: OnStep = ignore,
    ) -> Levels:
        """Codes (B, …) as pictures (B, side, side, 3) uint8. numbers, truncations: one for all, or one for each."""
        keys = [
            (numbers[n if len(numbers) > 1 else 0], truncations[n if len(truncations) > 1 else 0])
            for n in range(len(codes))
        ]
        shown = np.empty((len(codes), side, side, 3), np.uint8)
        done = 0
        for key in dict.fromkeys(keys):
            places = [n for n, own in enumerate(keys) if own == key]
            for start in range(0, len(places), BATCH):
                part = places[start : start + BATCH]
                x = resize(((self.pictures(codes[part], *key) + 1) / 2).clamp(0, 1), side)
                shown[part] = x.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
                done += len(part)
                on_step(Step(done, len(codes), "making pictures"))
        return shown

    # --- directions ---------------------------------------------------------------------------------------------------

    def axes(self, by: str, count: int, on_step: OnStep = ignore) -> Tensor:
        """The first directions, (count, …) as steps to add to codes: one is about one standard deviation."""
        if by == "sefa" and not hasattr(self.sampler, "style_weights"):
            raise BadRequest(f"--by sefa takes a generator with styles and {self.name} has none; use --by pca")
        if self.styled:
            own = self._coded(*self._drawn).mean(dim=1)  # (N, W), the mean over the layers
            if by == "pca":
                return latents.principal(own, count).vectors[:, None]
            unit = latents.factorise(self.sampler.style_weights(), count).vectors
            return (unit * ((own - own.mean(dim=0)) @ unit.T).std(dim=0)[:, None])[:, None]
        drawn, classes = self._drawn
        seen = []
        for start in range(0, DRAWN, BATCH):
            part = slice(start, start + BATCH)
            with torch.no_grad():
                made = self.sampler.pictures(drawn[part], None if classes is None else classes[part], 1.0)
            seen.append(resize(((made + 1) / 2).clamp(0, 1), SEEN).flatten(1))
            on_step(Step(start + BATCH, DRAWN, "looking for directions"))
        found = latents.explained_by(drawn, torch.cat(seen), count).vectors
        # In a space of very many numbers, a flow's noise, one step of length 1 would be lost among them.
        return found * max(1.0, math.sqrt(found[0].numel()) / 16)

    def named(self) -> dict[str, Direction]:
        """The names that a person gave; raises BadRequest where they are those of other weights."""
        if not self.names.is_file():
            return {}
        try:
            kept = json.loads(files.read(self.names))
            found = {str(name): Direction(str(d["by"]), int(d["number"])) for name, d in kept["names"].items()}
            digest = str(kept["model"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadRequest(f"{self.names} holds no names of directions; move it away") from error
        if digest != self.sha256:
            raise BadRequest(
                f"the names in {self.names} are of other weights than {self.name} has now; move that file away and "
                "name its directions anew"
            )
        return found

    def rename(self, given: Sequence[tuple[int, str]], by: str) -> None:
        """Give directions names; an empty one takes a direction's names away. A name that is taken is refused."""
        known = self.named()
        for number, name in given:
            direction = Direction(by, number)
            if not name:
                known = {own: other for own, other in known.items() if other != direction}
            elif known.get(name, direction) != direction:
                taken = known[name]
                raise BadRequest(
                    f"{name!r} is direction {taken.number} by {taken.by} already; choose another name, or take it "
                    f"away first: --by {taken.by} --name {taken.number}="
                )
            else:
                known[name] = direction
        plain = {"model": self.sha256, "names": {name: vars(direction) for name, direction in sorted(known.items())}}
        self.names.parent.mkdir(parents=True, exist_ok=True)
        files.write((json.dumps(plain, indent=1, ensure_ascii=False) + "\n").encode(), self.names, force=True)

    # --- codes in files -----------------------------------------------------------------------------------------------

    def encode_code(self, code: Tensor, number: int | None) -> bytes:
        """A latent file of a code (1, …)."""
        name = self.sampler.classes[number] if number is not None else ""
        about = {"kind": LATENT, "model": self.sha256, "name": self.name, "class": name}
        return checkpoint.encode_weights({self._kind: code}, about)

    def read_code(self, path: Path) -> tuple[Tensor, str]:
        """The code (1, …) in a latent file and its class; raises InvalidMedia, BadRequest for another generator's."""
        files.sha256(path)  # says what is wrong with a path
        try:
            tensors, about = checkpoint.load_weights(path)
        except CorruptWeights:
            raise InvalidMedia(f"{path} is no latent file; danqing explore MODEL project PICTURE makes one") from None
        if about.get("kind") != LATENT or set(tensors) not in ({"styles"}, {"latents"}):
            raise InvalidMedia(f"{path} holds no latent; danqing explore MODEL project PICTURE makes such files")
        if about.get("model") != self.sha256 or self._kind not in tensors:
            raise BadRequest(
                f"{path} is a latent of {about.get('name')!r} (weights {str(about.get('model'))[:8]}), not of "
                f"{self.name} ({self.sha256[:8]}); a latent means something to its own generator only"
            )
        return tensors[self._kind].float(), str(about.get("class", ""))

    @property
    def _kind(self) -> str:
        return "styles" if self.styled else "latents"


def _labels(number: int | None, count: int) -> Tensor | None:
    return None if number is None else torch.full((count,), number)


def open_space(model: str, catalog: Catalog) -> Space:
    """The generator that a person means: a run's folder, a .safetensors file, the name of one that ships.

    Raises UnknownName, BadRequest for what is no generator, InvalidMedia for a damaged file.
    """
    from danqing.catalog import own

    mine = own.check(model, "explore") if model.startswith(own.RUN) else None
    path = mine.path.parent if mine else Path(model)
    names = {card.name for card in catalog.cards()}
    if model in names and not path.exists():
        tensors, about = catalog.weights(model)
        digest, name, beside = catalog.sha256(model), model, default_home() / "directions" / f"{model}.json"
    else:
        file = path / WEIGHTS if path.is_dir() else path
        if path.is_dir() and not file.is_file():
            raise BadRequest(
                f"{path} holds no {WEIGHTS}; "
                + (
                    f"go on with the run to its end: danqing train RECIPE --run {path} --resume"
                    if (path / "run.json").exists()
                    else "a generator is a run's folder, a .safetensors file or the name of one that ships"
                )
            )
        if not path.exists() and path.suffix != ".safetensors" and len(path.parts) == 1:
            raise UnknownName("generator", model, names, see="danqing models; or name a run's folder")
        digest = files.sha256(file)
        try:
            tensors, about = checkpoint.load_weights(file)
        except CorruptWeights as error:
            raise InvalidMedia(f"{file} holds no weights: it is damaged, or no .safetensors file") from error
        name = mine.name if mine else path.resolve().name if path.is_dir() else path.stem
        beside = path / "directions.json" if path.is_dir() else path.with_name(f"{path.stem}.directions.json")
    try:
        sampler = generators.restore(tensors, about)
    except BadRequest as error:
        raise BadRequest(f"{model}: {error}") from None
    sampler.modules.requires_grad_(False)
    return Space(sampler, name, digest, beside)
