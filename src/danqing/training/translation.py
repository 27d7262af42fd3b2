"""What picture-to-picture recipes train on and are measured by: unpaired domains, made pairs, and trained translators.

A domain is a folder of pictures, or the part of it that metadata.jsonl says belongs to it, in one or more named kinds:
`monet:artist=claude-monet|artist=MONET, Claude;ukiyo-e:style=ukiyo-e|style=shin-hanga` names two kinds, each of the
pictures for which any one of its KEY=VALUE holds. Pairs are made from one collection by a degradation of each picture,
so that no drawings have to be collected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danqing.artwork.image import Picture
from danqing.compute import checkpoint, device
from danqing.encode.image import luminance, to_picture
from danqing.errors import BadRequest, UnknownName
from danqing.techniques import cycle
from danqing.training import data
from danqing.training.pictures import Pictures

INPUTS = ("edges", "layout")  # what pix2pix can be given
ZOOM = 1.25  # by which a picture is enlarged or made smaller at most before it is cropped
LAYOUT = 8  # mean colours a side
A_TO_B, B_TO_A = "a_to_b", "b_to_a"


# --- domains ----------------------------------------------------------------------------------------------------------


def kinds(text: str) -> dict[str, list[tuple[str, str]]]:
    """`NAME:KEY=VALUE|KEY=VALUE;NAME:…` as {name: [(key, value), …]}."""
    found: dict[str, list[tuple[str, str]]] = {}
    for part in text.split(";"):
        name, colon, rules = part.partition(":")
        pairs = [tuple(p.strip() for p in rule.split("=", 1)) for rule in rules.split("|")]
        if not colon or not name.strip() or any(len(p) != 2 for p in pairs):
            raise BadRequest(f"{part!r} names no pictures; write NAME:KEY=VALUE|KEY=VALUE, several such parted by ;")
        found[name.strip()] = cast(list[tuple[str, str]], pairs)
    return found


@dataclass(frozen=True)
class Domain:
    """Pictures of one side; `Pictures.numbers` says of which kind each is."""

    names: tuple[str, ...]  # of the kinds
    crop: int  # px, side of the training crops
    training: Pictures
    held: Pictures

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Random crops, each kind as often as another: (count, 3, crop, crop) in [-1, 1], (count,) int64 kinds.

        The pictures' short side is their `size` px, larger or smaller by up to a quarter. A kind of eight paintings is
        seen as often as one of a hundred; its pictures come back sooner.
        """
        draws = torch.rand(2, count, generator=generator, dtype=torch.float64)
        wanted = (draws[0] * len(self.names)).long()
        numbers = []
        for kind, place in zip(wanted.tolist(), draws[1].tolist(), strict=True):
            members = [i for i, k in enumerate(self.training.numbers) if k == kind]
            numbers.append(members[int(place * len(members))])
        share = self.crop / self.training.size
        scale = (min(1.0, share / ZOOM), min(1.0, share * ZOOM))
        return self.training.pixels.batch(numbers, self.crop, scale, generator).mul_(2).sub_(1), wanted


def domain(folder: Path, rules: str, name: str, sides: tuple[int, int]) -> Domain:
    """The pictures of a folder that `rules` (see `kinds`) name; no rules: all of it, as one kind called `name`.

    sides: short side of the pictures, side of the training crops, px. Raises BadRequest where a kind has no picture to
    train on, or the domain none to hold back.
    """
    size, crop = sides
    if not 16 <= crop <= size:
        raise BadRequest(f"crop is {crop} px; it lies between 16 and the pictures' size, {size}")
    wanted: Mapping[str, list[tuple[str, str]]] = kinds(rules) if rules else {name: []}
    names = tuple(wanted)

    def kind(entry: data.Entry) -> int:
        for number, pairs in enumerate(wanted.values()):
            if not pairs or any(str(entry.labels.get(key)) == value for key, value in pairs):
                return number
        return -1

    parts = []
    for entries in data.split([e for e in data.index(folder) if kind(e) >= 0]):
        if not entries:
            raise BadRequest(f"{folder} has too few pictures of {', '.join(names)}; some are held back from training")
        pixels = data.Pixels(entries, round(size * ZOOM))
        parts.append(Pictures(pixels, tuple(kind(e) for e in pixels.entries), size, 1 / ZOOM))
    for number, missing in enumerate(names):
        if number not in parts[0].numbers:
            raise BadRequest(f"{folder} has no pictures for {missing!r}; look at the values in its metadata.jsonl")
    return Domain(names, crop, parts[0], parts[1])


# --- pairs ------------------------------------------------------------------------------------------------------------


def degrade(pictures: Tensor, kind: str) -> Tensor:
    """What a picture is to be made from again. pictures (B, 3, H, W) in [-1, 1], 16 px or more; returns the like.

    "edges": dark lines on white, as a person would draw them: the extended difference of Gaussians (Winnemöller et al.
    2012, "XDoG"), its gain set by each picture's own contrast. "layout": LAYOUT × LAYOUT mean colours, as blocks.
    """
    if kind == "layout":
        small = F.adaptive_avg_pool2d(pictures, LAYOUT)
        return F.interpolate(small, size=pictures.shape[-2:], mode="nearest")
    if kind != "edges":
        raise UnknownName("input", kind, INPUTS, f"inputs are {', '.join(INPUTS)}")
    grey = luminance((pictures + 1) / 2)  # (B, 1, H, W)
    sigma = max(0.6, min(pictures.shape[-2:]) / 128)
    ridge = _blur(grey, sigma) - _blur(grey, 1.6 * sigma)  # below 0 on the dark side of an edge
    scale = ridge.std(dim=(1, 2, 3), keepdim=True).clamp_min(1e-3)  # a picture without lines gets none
    ink = torch.tanh((-ridge / scale - 0.5).clamp_min(0) * 2)
    return (1 - 2 * ink).expand(-1, 3, -1, -1).contiguous()


def _blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (B, 1, H, W)."""
    reach = max(1, min(round(3 * sigma), min(x.shape[-2:]) - 1))
    places = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    weights = torch.exp(-(places**2) / (2 * sigma**2))
    weights = weights / weights.sum()
    x = F.conv2d(F.pad(x, (reach, reach, 0, 0), mode="reflect"), weights.view(1, 1, 1, -1))
    return F.conv2d(F.pad(x, (0, 0, reach, reach), mode="reflect"), weights.view(1, 1, -1, 1))


# --- trained translators ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Translator:
    """The generators of a weights file, in evaluation mode, fp32."""

    forth: cycle.Generator  # to any of `targets`
    back: cycle.Generator | None  # to `source`; None: it was trained one way (pix2pix)
    targets: tuple[str, ...]
    source: str  # the name of what is translated: "photo", "edges", "layout"
    size: int  # px, side of what it was trained on: pictures much larger than that are unlike anything it saw

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that a picture can be translated to."""
        return self.targets if self.back is None else (*self.targets, self.source)

    @torch.no_grad()
    def translate(self, pictures: Tensor, to: str) -> Tensor:
        """pictures (B, 3, H, W) float32 in [-1, 1] of any size; returns the like, on the networks' device."""
        pictures = pictures.to(next(self.forth.parameters()).device)
        if to not in self.names:
            raise UnknownName("target", to, self.names, f"targets are {', '.join(self.names)}")
        if to == self.source and self.back is not None:
            made: Tensor = self.back(pictures)
            return cycle.within(made)
        wanted = torch.full((len(pictures),), self.targets.index(to), device=pictures.device)
        made = self.forth(pictures, wanted)
        return cycle.within(made)


def save(path: Path, translator: Translator, storage: str) -> None:
    """Both directions in one weights file, the tensors of each under its name. storage: see `checkpoint.pack`."""
    nets: dict[str, cycle.Generator] = {A_TO_B: translator.forth}
    if translator.back is not None:
        nets[B_TO_A] = translator.back
    about = {
        "architecture": "cycle",
        "config": {name: asdict(net.config) for name, net in nets.items()},
        "targets": list(translator.targets),
        "source": translator.source,
        "size": translator.size,
    }
    tensors = {f"{name}.{key}": value for name, net in nets.items() for key, value in net.state_dict().items()}
    checkpoint.save_weights(path, checkpoint.pack(tensors, storage), about)


def restore(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> Translator:
    """The translator of a weights file's content. Raises BadRequest where it is another's."""
    if about.get("architecture") != "cycle":
        raise BadRequest(f"these weights are of {about.get('architecture')!r}, not of a translator of pictures")
    plain = checkpoint.unpack(tensors)
    nets: dict[str, cycle.Generator] = {}
    for name, config in about["config"].items():
        net = cycle.Generator(cycle.Config(**config))
        net.load_state_dict({k.partition(".")[2]: v for k, v in plain.items() if k.startswith(f"{name}.")})
        nets[name] = net.eval().requires_grad_(False)
    return Translator(nets[A_TO_B], nets.get(B_TO_A), tuple(about["targets"]), about["source"], about["size"])


# --- training and looking ---------------------------------------------------------------------------------------------


def compute() -> device.Compute:
    """Where and how to train. In fp32 on a CPU instance norms and mirrored edges cost more in channels-last layout.

    A generator's forward and backward pass over two pictures of 96 px takes 0.26 s plain, 0.31 s channels-last.
    """
    chosen = device.choose()
    plain = chosen.device.type == "cpu" and chosen.dtype == torch.float32
    return replace(chosen, layout=torch.contiguous_format) if plain else chosen


def sheet(rows: Sequence[Tensor]) -> Picture:
    """Rows of pictures under each other: each (B, 3, S, S) in [-1, 1], the same B."""
    lines = [torch.cat(list(row), dim=-1) for row in rows]
    return to_picture((torch.cat(lines, dim=-2)[None].float().cpu().clamp(-1, 1) + 1) / 2)


def gradient_norm(net: nn.Module) -> Tensor:
    """Euclidean norm of all gradients of a net after a backward pass: scalar float32."""
    grads = [p.grad.float() for p in net.parameters() if p.grad is not None]
    return torch.stack([g.norm() for g in grads]).norm() if grads else torch.zeros(())
