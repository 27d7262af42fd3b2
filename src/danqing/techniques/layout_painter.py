"""A colour layout, with lines where there are some, turned into a painting in one forward pass.

Image-to-image translation with an adversary (Isola et al. 2017, "Image-to-Image Translation with Conditional
Adversarial Networks"), conditioned on a style. Departures: the network changes the layout instead of painting anew, so
that colours stay where they were put; no normalisation, which would wash flat shapes out (Park et al. 2019), but
residual blocks that begin as nothing; the style comes in as the statistics of feature maps that `fast_style` uses, as
gains and shifts; noise at every depth, so that a seed is a way of painting (Karras et al. 2019); the adversary looks at
the picture alone, so that drawn layouts without a painting can be learned from as well, with a projection of the style
(Miyato & Koyama 2018), and through a frozen network (Sauer et al. 2021, "Projected GANs Converge Faster"): one that had
to learn to see knew nothing after 300 steps; hinge loss. It works at half the size, four pixels to a place (Shi et al.
2016), which makes it four times as fast as at full size and costs no sharpness that strokes would not cover.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danqing.errors import BadRequest

SLOPE = 0.2  # of the leaky ReLU below 0
FOLD = 2  # pixels of a side that make a place
FINE = 16  # channels at full size
DARK = 0.2  # how much of its change a black place gets
MULTIPLE = 16  # sides of what the network is given; `paint` pads to it


@dataclass(frozen=True)
class Config:
    """What defines the painter; saved in the weights' header and enough to rebuild it."""

    widths: tuple[int, ...] = (40, 80, 160)  # channels, from half the size down
    blocks: tuple[int, ...] = (1, 2, 3)  # residual blocks at each, on the way down and on the way up
    numbers: int = 960  # that describe a style
    code: int = 128  # the style as the network reads it

    def __post_init__(self) -> None:
        """Back from JSON, the lists are tuples again."""
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "blocks", tuple(self.blocks))
        if len(self.widths) != len(self.blocks) or not 2 <= len(self.widths) <= 5:
            raise BadRequest("widths and blocks of a layout painter are of one length, between 2 and 5")


class Block(nn.Module):
    """x plus what two convolutions make of it, told the style and given noise; at first that is nothing."""

    def __init__(self, width: int, code: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.style = nn.Linear(code, 2 * width)
        self.noise = nn.Parameter(torch.full((width,), 0.05))
        nn.init.kaiming_normal_(self.first.weight, a=SLOPE)
        nn.init.zeros_(self.second.weight)
        nn.init.normal_(self.style.weight, std=0.02)
        for bias in (self.first.bias, self.second.bias, self.style.bias):
            assert bias is not None
            nn.init.zeros_(bias)

    def forward(self, x: Tensor, code: Tensor, noise: Tensor) -> Tensor:
        """x (B, C, H, W), code (B, M), noise (B, 1, H, W) → (B, C, H, W)."""
        gain, shift = self.style(code)[:, :, None, None].chunk(2, dim=1)
        h = self.first(F.leaky_relu(x, SLOPE))
        h = h * (1 + gain) + shift + noise * self.noise[:, None, None]
        out: Tensor = x + self.second(F.leaky_relu(h, SLOPE))
        return out


class LayoutPainter(nn.Module):
    """A U-Net from layout, lines and style to a painting."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.mean = nn.Buffer(torch.zeros(config.numbers))  # of the numbers over many paintings
        self.deviation = nn.Buffer(torch.ones(config.numbers))
        self.read = nn.Sequential(
            nn.Linear(config.numbers, config.code), nn.LeakyReLU(SLOPE), nn.Linear(config.code, config.code)
        )
        self.begin = nn.Conv2d(4 * FOLD**2, widths[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in itertools.pairwise(widths))
        self.going_down = nn.ModuleList(self._blocks(w, n) for w, n in zip(widths, config.blocks, strict=True))
        self.up = nn.ModuleList(nn.Conv2d(b + a, a, 3, padding=1) for a, b in itertools.pairwise(widths))
        self.going_up = nn.ModuleList(self._blocks(w, n) for w, n in zip(widths[:-1], config.blocks, strict=False))
        self.unfold = nn.Conv2d(widths[0], FINE * FOLD**2, 3, padding=1)
        self.end = nn.Conv2d(FINE, 3, 3, padding=1)
        row = torch.tensor([0.25, 0.5, 0.25])
        self.smooth = nn.Buffer(torch.outer(row, row).expand(3, 1, 3, 3).clone(), persistent=False)
        # The four pixels of a place begin alike (Aitken et al. 2017), or they would show as a lattice.
        kernel = torch.empty(FINE, widths[0], 3, 3)
        nn.init.kaiming_normal_(kernel, a=SLOPE)
        self.unfold.weight.data.copy_(kernel.repeat_interleave(FOLD**2, 0))
        nn.init.normal_(self.end.weight, std=1e-3)
        assert self.end.bias is not None
        nn.init.zeros_(self.end.bias)

    def _blocks(self, width: int, count: int) -> nn.ModuleList:
        return nn.ModuleList(Block(width, self.config.code) for _ in range(count))

    def code(self, numbers: Tensor) -> Tensor:
        """A style's statistics (B, numbers) → what the blocks are told, (B, code)."""
        told: Tensor = self.read(((numbers - self.mean) / self.deviation).to(self.begin.weight.dtype))
        return told

    def forward(self, layout: Tensor, lines: Tensor, numbers: Tensor, noise: list[Tensor]) -> Tensor:
        """The painting (B, 3, H, W), about [0, 1], not clamped.

        layout (B, 3, H, W) in [0, 1], lines (B, 1, H, W) in [0, 1], zeros where none are told; numbers (B, N): the
        style; noise: of `draw_noise`. H and W are multiples of MULTIPLE.
        """
        code = self.code(numbers)
        x = self.begin(F.pixel_unshuffle(torch.cat([layout * 2 - 1, lines], 1), FOLD))
        kept = []
        for depth, blocks in enumerate(self.going_down):
            for block in blocks:  # type: ignore[attr-defined]
                x = block(x, code, noise[depth])
            if depth < len(self.down):
                kept.append(x)
                x = self.down[depth](F.leaky_relu(x, SLOPE))
        for depth in reversed(range(len(self.up))):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.up[depth](F.leaky_relu(torch.cat([x, kept[depth]], 1), SLOPE))
            for block in self.going_up[depth]:  # type: ignore[attr-defined]
                x = block(x, code, noise[depth])
        fine = F.pixel_shuffle(self.unfold(F.leaky_relu(x, SLOPE)), FOLD)
        change: Tensor = self.end(F.leaky_relu(fine, SLOPE))
        # The four pixels of a place would still show, as a lattice two pixels wide: what is that fine is taken out.
        change = F.conv2d(F.pad(change, (1, 1, 1, 1), mode="replicate"), self.smooth, groups=3)
        # Paint in the dark has little contrast. Without this, night skies came out as glowing weave.
        light = layout.mean(1, keepdim=True)
        return layout + change * (DARK + (1 - DARK) * light.clamp(0, 1).sqrt())


class Critic(nn.Module):
    """Whether places of a picture look painted, and in this style, seen through a frozen network's layers."""

    def __init__(self, config: Config, channels: Mapping[str, int], width: int = 48) -> None:
        """channels: {layer: how many it has}, of the layers that `forward` is given."""
        super().__init__()
        self.heads = nn.ModuleDict()
        self.styles = nn.ModuleDict()
        self.read = nn.Sequential(nn.Linear(config.numbers, config.code), nn.LeakyReLU(SLOPE))
        for layer, count in channels.items():
            self.heads[layer] = nn.Sequential(
                nn.Conv2d(count, width, 3, padding=1),
                nn.LeakyReLU(SLOPE),
                nn.Conv2d(width, 2 * width, 4, 2, 1),
                nn.LeakyReLU(SLOPE),
            )
            self.heads[f"{layer}_end"] = nn.Conv2d(2 * width, 1, 3, padding=1)
            self.styles[layer] = nn.Linear(config.code, 2 * width, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=SLOPE)

    def forward(self, maps: Mapping[str, Tensor], numbers: Tensor) -> Tensor:
        """maps: {layer: (B, C, h, w)}; numbers (B, N) normalised → (B, P), a score for each place, above 0: painted."""
        told = self.read(numbers.to(next(self.parameters()).dtype))
        scores = []
        for layer, style in self.styles.items():
            x = self.heads[layer](maps[layer].to(told.dtype))  # (B, C, h, w)
            wanted = style(told)[:, :, None, None]
            scores.append((self.heads[f"{layer}_end"](x) + (x * wanted).mean(1, keepdim=True)).flatten(1))
        return torch.cat([s.float() for s in scores], 1)


def draw_noise(config: Config, count: int, height: int, width: int, generator: torch.Generator) -> list[Tensor]:
    """The noise of `count` pictures, one map (count, 1, h, w) for each depth."""
    return [
        torch.randn(count, 1, height // (FOLD * 2**depth), width // (FOLD * 2**depth), generator=generator)
        for depth in range(len(config.widths))
    ]


def critic_loss(real: Tensor, made: Tensor) -> Tensor:
    """Hinge: real patches above 1, made ones below −1. Scores of any shape; a scalar."""
    return F.relu(1 - real.float()).mean() + F.relu(1 + made.float()).mean()


def painter_loss(made: Tensor) -> Tensor:
    """The painter's part: the critic's scores of what it made, to be raised. A scalar."""
    return -made.float().mean()


@torch.no_grad()
def paint(
    model: LayoutPainter, layout: Tensor, lines: Tensor | None, numbers: Tensor, generator: torch.Generator
) -> Tensor:
    """Paint a layout of any size. layout (1, 3, H, W) float32 in [0, 1]; lines (1, 1, H, W) or None; numbers (N,).

    Returns (1, 3, H, W) float32 in [0, 1].
    """
    height, width = layout.shape[2:]
    down, right = -height % MULTIPLE, -width % MULTIPLE
    drawn = torch.zeros(1, 1, height, width) if lines is None else lines
    layout, drawn = (F.pad(x, (0, right, 0, down), mode="replicate") for x in (layout, drawn))
    noise = draw_noise(model.config, 1, height + down, width + right, generator)
    dtype = model.begin.weight.dtype
    out = model(layout.to(dtype), drawn.to(dtype), numbers[None], [n.to(dtype) for n in noise])
    painted: Tensor = out[..., :height, :width].float().clamp(0, 1)
    return painted
