"""Pictures turned into pictures of another kind: CycleGAN, which needs no pairs, and pix2pix, which has them.

Zhu et al. 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks"; Isola et al. 2017,
"Image-to-Image Translation with Conditional Adversarial Networks". Departures, for training in minutes on a CPU:
- Narrow nets (24 to 32 channels at full size, the papers have 64) with fewer residual blocks.
- The picture is enlarged by nearest neighbour and then convolved, where the papers use transposed convolutions, which
  leave checkerboards (Odena et al. 2016, "Deconvolution and Checkerboard Artifacts").
- A CycleGAN generator answers with the change to its input (`residual`), so that it begins near the identity, which
  is most of what cycle and identity losses ask for; pix2pix, whose input is no picture yet, answers with the picture.
- One generator serves several targets (painters, schools): every instance norm has a scale and a shift for each of
  them (Dumoulin et al. 2017, "A Learned Representation for Artistic Style"), and the discriminator a last channel for
  each (as in Choi et al. 2020, "StarGAN v2"). With one target this is CycleGAN's plain pair.
- Cycle and identity losses are squared near 0 (`returned`).
- Discriminators may look through a frozen backbone (`FeatureDiscriminator`), which makes far fewer steps do; and what
  a kind of pictures has everywhere can be asked for directly (`Manner`).
Any height and width will do: pictures are padded at the far edges to what the strides need, and cut again.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danqing.compute.blocks import Features
from danqing.encode.image import luminance
from danqing.errors import BadRequest

NETWORKS = ("resnet", "unet")
SLOPE = 0.2  # of the leaky ReLU below 0
SPREAD = 0.02  # standard deviation of fresh weights, in both papers


@dataclass(frozen=True)
class Config:
    """What defines a generator; saved in the weights' header and enough to rebuild it."""

    network: str = "resnet"  # or "unet", whose skips carry the input's lines to the output
    width: int = 24  # channels at full size
    blocks: int = 6  # residual blocks at a quarter of the size; of a U-Net, how often it halves the picture
    targets: int = 1  # kinds of pictures it can be asked for
    residual: bool = True  # answers with the change to its input
    tint: float = 0.0  # px, over which a residual one's change of colour is blurred, and of brightness not; 0: neither
    dropout: float = 0.0  # of a U-Net's two deepest layers upwards, while training: pix2pix's only noise

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise BadRequest(f"network is {self.network!r}; it is one of {', '.join(NETWORKS)}")
        if min(self.width, self.blocks, self.targets) < 1:
            raise BadRequest("width, blocks and targets are whole numbers of 1 or more")
        if not 0 <= self.tint <= 32:
            raise BadRequest(f"tint is {self.tint:g} px; it lies between 0 and 32")

    @property
    def stride(self) -> int:
        """Sides are padded to multiples of this, px."""
        return 4 if self.network == "resnet" else 2**self.blocks


class Norm(nn.Module):
    """Instance normalisation with a scale and a shift for each target."""

    def __init__(self, channels: int, targets: int) -> None:
        super().__init__()
        # Several targets begin a little apart: from one place they would drift as one for a long time.
        spread = 0.0 if targets == 1 else 0.2
        self.scale = nn.Parameter(1 + spread * torch.randn(targets, channels))
        self.shift = nn.Parameter(spread * torch.randn(targets, channels))

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """x (B, C, H, W) of two places or more, target (B,) int64."""
        scale, shift = self.scale[target][:, :, None, None], self.shift[target][:, :, None, None]
        return torch.addcmul(shift, F.instance_norm(x), scale)


class Layer(nn.Module):
    """Convolution, norm and ReLU; the picture mirrored beyond its edges, or enlarged twice before."""

    def __init__(
        self, ins: int, outs: int, kernel: int, targets: int, *, stride: int = 1, enlarge: bool = False
    ) -> None:
        super().__init__()
        self.enlarge = enlarge
        self.conv = nn.Conv2d(ins, outs, kernel, stride, padding=kernel // 2, padding_mode="reflect", bias=False)
        self.norm = Norm(outs, targets)

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """x (B, C, H, W); half, same or twice the size."""
        if self.enlarge:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return F.relu(self.norm(self.conv(x), target))


class Residual(nn.Module):
    """Two convolutions beside a shortcut; no ReLU after the sum."""

    def __init__(self, channels: int, targets: int) -> None:
        super().__init__()
        self.first = Layer(channels, channels, 3, targets)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=False)
        self.norm = Norm(channels, targets)

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """x (B, C, H, W), and so the result."""
        changed: Tensor = self.norm(self.conv(self.first(x, target)), target)
        return x + changed


class ResNet(nn.Module):
    """Johnson et al. 2016's network for style transfer: to a quarter of the size, residual blocks, and back."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        w, t = config.width, config.targets
        self.layers = nn.ModuleList(
            [
                Layer(3, w, 7, t),
                Layer(w, 2 * w, 3, t, stride=2),
                Layer(2 * w, 4 * w, 3, t, stride=2),
                *(Residual(4 * w, t) for _ in range(config.blocks)),
                Layer(4 * w, 2 * w, 3, t, enlarge=True),
                Layer(2 * w, w, 3, t, enlarge=True),
            ]
        )
        self.output = nn.Conv2d(w, 3, 7, padding=3, padding_mode="reflect")

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """x (B, 3, H, W) with sides that are multiples of 4; returns the like, not yet squashed."""
        for layer in self.layers:
            x = layer(x, target)
        out: Tensor = self.output(x)
        return out


class UNet(nn.Module):
    """Ronneberger et al. 2015's network as pix2pix has it: a layer up also sees the one of its size on the way down."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        t = config.targets
        widths = [min(8, 2**level) * config.width for level in range(config.blocks + 1)]  # full size to smallest
        self.first = Layer(3, widths[0], 3, t)
        self.down = nn.ModuleList(Layer(a, b, 3, t, stride=2) for a, b in itertools.pairwise(widths))
        self.up = nn.ModuleList(
            Layer(b if level == 0 else 2 * b, a, 3, t, enlarge=True)
            for level, (a, b) in enumerate(zip(widths[-2::-1], widths[:0:-1], strict=True))
        )
        self.output = nn.Conv2d(2 * widths[0], 3, 3, padding=1, padding_mode="reflect")
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """x (B, 3, H, W) with sides that are multiples of the stride; returns the like, not yet squashed."""
        seen = [self.first(x, target)]
        for layer in self.down:
            seen.append(layer(seen[-1], target))
        x = seen.pop()
        for level, layer in enumerate(self.up):
            x = layer(x, target)
            if level < 2:
                x = self.dropout(x)
            x = torch.cat([x, seen.pop()], dim=1)
        out: Tensor = self.output(x)
        return out


class Generator(nn.Module):
    """A picture in, a picture of the wanted kind out, of the same size."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.net = ResNet(config) if config.network == "resnet" else UNet(config)
        _begin(self)
        if config.residual:
            nn.init.zeros_(self.net.output.weight)  # begins as the identity

    def forward(self, pictures: Tensor, targets: Tensor | None = None) -> Tensor:
        """pictures (B, 3, H, W) in [-1, 1] of any size → the like; a residual one may leave [-1, 1] by a little.

        targets: (B,) int64 in [0, config.targets); None is the first for all.
        """
        if targets is None:
            targets = torch.zeros(len(pictures), dtype=torch.int64, device=pictures.device)
        height, width = pictures.shape[-2:]
        # Twice the stride at least: mirroring and instance norm need two places at the smallest size.
        right, below = (max(2 * self.config.stride, -(-n // self.config.stride) * self.config.stride) - n
                        for n in (width, height))  # fmt: skip
        x = F.pad(pictures, (0, right, 0, below), mode="replicate") if right or below else pictures
        made = self.net(x, targets)[..., :height, :width]
        if not self.config.residual:
            return torch.tanh(made)
        return pictures + (tinted(made, self.config.tint) if self.config.tint else made)


def tinted(change: Tensor, sigma: float) -> Tensor:
    """A change (B, 3, H, W) whose colour is blurred by a Gaussian, sigma in px, and whose brightness is left sharp.

    A cycle can be closed by hiding the photo in coloured fringes along every edge (Chu et al. 2017, "CycleGAN, a Master
    of Steganography"), and it was: pink and green ones. Painters put light upon lines and colour upon areas.
    """
    grey = luminance(change)
    reach = max(1, round(2.5 * sigma))
    places = torch.arange(-reach, reach + 1, device=change.device, dtype=torch.float32)
    row = torch.exp(-places.square() / (2 * sigma**2))
    row = (row / row.sum()).repeat(3, 1, 1, 1)
    # In fp32: torch 2.13 takes minutes for a depthwise convolution of bf16 maps with their channels last.
    colour = F.pad((change - grey).float(), (reach,) * 4, mode="replicate")
    colour = F.conv2d(F.conv2d(colour, row, groups=3), row.transpose(2, 3), groups=3)
    return grey + colour.to(change.dtype)


def within(pictures: Tensor) -> Tensor:
    """(B, 3, H, W) brought into [-1, 1], paler where it must be: a channel that is cut alone turns skies pink."""
    grey = luminance(pictures).clamp(-1, 1)
    colour = pictures - grey
    room = torch.where(colour > 0, 1 - grey, 1 + grey) / colour.abs().clamp_min(1e-6)
    return (grey + colour * room.amin(1, keepdim=True).clamp_max(1)).clamp(-1, 1)  # of what rounding leaves over


class Discriminator(nn.Module):
    """Judges overlapping patches, each on its own: 34 px wide with two halvings, 70 px with three.

    inputs: 3 for a picture; 6 for pix2pix, which judges a picture together with the input that it was made from.
    """

    def __init__(self, width: int = 32, halvings: int = 3, targets: int = 1, inputs: int = 3) -> None:
        super().__init__()
        widths = [min(8, 2**level) * width for level in range(halvings + 1)]
        self.first = nn.Conv2d(inputs, widths[0], 4, 2, padding=1)
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 4, 2 if level < halvings - 1 else 1, padding=1, bias=False)
            for level, (a, b) in enumerate(itertools.pairwise(widths))
        )
        self.norms = nn.ModuleList(Norm(b, 1) for b in widths[1:])
        self.last = nn.Conv2d(widths[-1], targets, 4, padding=1)
        _begin(self)

    def forward(self, pictures: Tensor, targets: Tensor | None = None) -> Tensor:
        """pictures (B, inputs, H, W) in [-1, 1], 32 px or more → a map of scores (B, h, w), around 1 for real patches.

        targets: (B,) int64, the kind that it should be; None is the first for all.
        """
        if targets is None:
            targets = torch.zeros(len(pictures), dtype=torch.int64, device=pictures.device)
        alike = torch.zeros_like(targets)
        x = F.leaky_relu(self.first(pictures), SLOPE)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x), alike), SLOPE)
        scores: Tensor = self.last(x)
        return scores[torch.arange(len(scores), device=scores.device), targets]


class FeatureDiscriminator(nn.Module):
    """Judges pictures through a frozen network that knows paintings already; only small heads on its layers learn.

    Sauer et al. 2021, "Projected GANs Converge Faster", without their random mixing of layers. With a few thousand
    steps to spend, a discriminator that begins with nothing does not even tell photos from woodcuts (measured: 400
    steps of the patch discriminator left it near chance, and the generator at the identity).
    """

    LAYERS = ("relu1_2", "relu2_2", "relu3_3")
    GRID = 8  # scores a side, of every layer

    def __init__(self, features: Features, width: int = 32, targets: int = 1) -> None:
        super().__init__()
        self.features = features  # no module: it is frozen, and no checkpoint needs it
        with torch.no_grad():
            maps = features(torch.zeros(1, 3, 32, 32), self.LAYERS)
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(maps[layer].shape[1], 2 * width, 1),
                nn.LeakyReLU(SLOPE),
                nn.Conv2d(2 * width, 2 * width, 3, 2, padding=1),
                nn.LeakyReLU(SLOPE),
                nn.Conv2d(2 * width, targets, 1),
            )
            for layer in self.LAYERS
        )

    def forward(self, pictures: Tensor, targets: Tensor | None = None) -> Tensor:
        """pictures (B, 3, H, W) in [-1, 1], 32 px or more → scores (B, layers · GRID, GRID), around 1 for real ones.

        targets: (B,) int64, the kind that it should be; None is the first for all.
        """
        if targets is None:
            targets = torch.zeros(len(pictures), dtype=torch.int64, device=pictures.device)
        maps = self.features((pictures + 1) / 2, self.LAYERS)
        rows = torch.arange(len(pictures), device=pictures.device)
        scores = []
        for layer, head in zip(self.LAYERS, self.heads, strict=True):
            own: Tensor = head(maps[layer].to(head[0].weight.dtype))  # type: ignore[index]
            scores.append(F.adaptive_avg_pool2d(own[rows, targets], self.GRID))
        return torch.cat(scores, dim=1)


class Manner:
    """How far pictures are from what a kind of pictures has everywhere, whatever it shows: its colours and its strokes.

    Gram matrices of a frozen network's layers (Gatys et al. 2016), averaged over pictures of the kind. Nothing is asked
    beyond what those pictures keep themselves: half of them are farther from their average than pictures that cost
    nothing. A discriminator learns the same and more, but in a hundred times the steps.
    """

    LAYERS = FeatureDiscriminator.LAYERS

    def __init__(self, features: Features, examples: Sequence[Tensor]) -> None:
        """examples: of each kind some pictures, (N, 3, S, S) in [-1, 1]."""
        self.features = features
        self.wanted: list[dict[str, Tensor]] = []
        self.usual: list[float] = []
        with torch.no_grad():
            for pictures in examples:
                grams = [self._grams(one) for one in torch.split(pictures, 8)]
                own = {layer: torch.cat([g[layer] for g in grams]) for layer in self.LAYERS}
                self.wanted.append({layer: g.mean(dim=0) for layer, g in own.items()})
                self.usual.append(float(self._away(own, len(self.wanted) - 1).median()))

    def content(self, made: Tensor, original: Tensor) -> Tensor:
        """How far pictures show something else than their originals: squared distance of the deepest layer's features.

        Both (B, 3, H, W) in [-1, 1]; over the originals' energy, scalar fp32. A cycle alone keeps whatever can be
        undone, blots and patterns as well (after Chen et al. 2018, "CartoonGAN", which has this loss and no cycle).
        """
        deepest = self.LAYERS[-1]
        with torch.no_grad():
            wanted = self.features((original + 1) / 2, (deepest,))[deepest].float()
        found = self.features((made + 1) / 2, (deepest,))[deepest].float()
        return (found - wanted).square().mean() / wanted.square().mean().clamp_min(1e-6)

    def _grams(self, pictures: Tensor) -> dict[str, Tensor]:
        maps = self.features((pictures + 1) / 2, self.LAYERS)
        rows = {layer: maps[layer].float().flatten(2) for layer in self.LAYERS}  # (B, C, places)
        return {layer: row @ row.transpose(1, 2) / row.shape[2] for layer, row in rows.items()}

    def _away(self, grams: Mapping[str, Tensor], kind: int) -> Tensor:
        each = [
            (grams[layer] - wanted).square().sum(dim=(1, 2)) / wanted.square().sum()
            for layer, wanted in self.wanted[kind].items()
        ]
        return torch.stack(each).mean(dim=0)

    def __call__(self, pictures: Tensor, targets: Tensor | None = None) -> Tensor:
        """pictures (B, 3, H, W) in [-1, 1], targets (B,) int64 or None for the first kind; mean distance, scalar fp32.

        0 for pictures as near to their kind as half of its own are.
        """
        kinds = [0] * len(pictures) if targets is None else targets.tolist()
        grams = self._grams(pictures)
        away = [
            F.relu(self._away({layer: g[i : i + 1] for layer, g in grams.items()}, kind) - self.usual[kind])
            for i, kind in enumerate(kinds)
        ]
        return torch.cat(away).mean()


def _begin(net: nn.Module) -> None:
    """Both papers' fresh weights, from PyTorch's global generator."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0.0, SPREAD)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class Replay(nn.Module):
    """Shows the discriminator some older pictures of the generator (Shrivastava et al. 2017), so that it forgets none.

    Its pictures are buffers, so that a checkpoint holds them and a resumed run goes on exactly.
    """

    pictures: Tensor  # (capacity, C, S, S) float32
    targets: Tensor  # (capacity,) int64
    count: Tensor  # () int64, how many are there yet

    def __init__(self, capacity: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("pictures", torch.zeros(capacity, *shape))
        self.register_buffer("targets", torch.zeros(capacity, dtype=torch.int64))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def exchange(self, made: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """New pictures in, as many out: each is kept while there is room; then half are swapped for older ones.

        made (B, C, S, S), targets (B,); returns the like, in `made`'s dtype and place.
        """
        shown, kinds = made.detach().clone(), targets.clone()
        for i in range(len(made)):
            swap, place = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
            filled = int(self.count)
            if filled < len(self.pictures):
                self.pictures[filled], self.targets[filled] = made[i].float(), targets[i]
                self.count += 1
            elif swap < 0.5:
                old = int(place * filled)
                shown[i], kinds[i] = self.pictures[old].to(made.dtype), self.targets[old]
                self.pictures[old], self.targets[old] = made[i].float(), targets[i]
        return shown, kinds


# --- losses -----------------------------------------------------------------------------------------------------------


def fooled(scores: Tensor) -> Tensor:
    """The generator's least-squares loss (Mao et al. 2017): mean squared distance of its scores from 1; scalar fp32."""
    return (scores.float() - 1).square().mean()


def judged(real: Tensor, made: Tensor) -> Tensor:
    """The discriminator's: half the mean squared distance of real scores from 1 and of made ones from 0; scalar."""
    return 0.5 * ((real.float() - 1).square().mean() + made.float().square().mean())


def apart(one: Tensor, two: Tensor) -> Tensor:
    """Mean absolute difference: pix2pix's loss, and what cycles and identities are measured by; scalar fp32."""
    return (one.float() - two.float()).abs().mean()


def returned(made: Tensor, wanted: Tensor) -> Tensor:
    """The cycle and identity loss: squared where pictures differ by less than 0.5, absolute beyond; scalar fp32.

    Zhu et al. take the absolute difference. Its pull is as strong on the smallest change as on the largest, and a
    generator that begins at the identity never left it (measured: the change fell to 0.001 within 200 steps).
    """
    return F.smooth_l1_loss(made.float(), wanted.float(), beta=0.5)
