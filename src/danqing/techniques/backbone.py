"""A VGG-like network: what style transfer, texture synthesis, likeness and evaluation see a picture through.

Simonyan & Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition". `VGG19` is the
published graph; `Config()` is our own slim one (2.5 M parameters; the convolutions of VGG19 have 20 M).
Departures in our own: average pooling (Gatys et al. 2016 found it better for synthesis, and it is what the network is
trained with here, not a later swap); batch normalisation while training, folded into the convolutions when the weights
are shipped, so that the frozen network is convolutions and ReLUs only; classification heads on several label sets at
once (what object, which style, whose hand), since no one of our collections is large.

Layers are named as in VGG: relu2_1 is the first convolution's output of the second block, at half the picture's side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danqing.compute.convolution import FrozenConv
from danqing.compute.device import Compute

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Config:
    """What defines the network; saved in the weights' header and enough to rebuild it."""

    blocks: tuple[tuple[int, int], ...] = ((32, 2), (64, 2), (128, 3), (256, 3), (256, 1))  # (channels, convolutions)
    pooling: str = "avg"  # between blocks: "avg" or "max"
    mean: tuple[float, float, float] = IMAGENET_MEAN  # of sRGB in [0, 1], taken off before the first layer
    std: tuple[float, float, float] = IMAGENET_STD
    heads: Mapping[str, int] = field(default_factory=dict)  # label set → number of classes; only while training

    def __post_init__(self) -> None:
        """Back from JSON, the lists are tuples again."""
        object.__setattr__(self, "blocks", tuple((int(c), int(n)) for c, n in self.blocks))
        object.__setattr__(self, "mean", tuple(self.mean))
        object.__setattr__(self, "std", tuple(self.std))

    @property
    def layers(self) -> tuple[str, ...]:
        """Every layer by name, shallow to deep."""
        return tuple(f"relu{b}_{i}" for b, (_, n) in enumerate(self.blocks, 1) for i in range(1, n + 1))


VGG19 = Config(blocks=((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)), pooling="max")


class Backbone(nn.Module):
    """The network. `norm` adds batch normalisation, for training; `fold` takes it away again."""

    def __init__(self, config: Config, norm: bool = False) -> None:
        super().__init__()
        self.config = config
        self.convs = nn.ModuleDict()
        self.norms = nn.ModuleDict()
        before = 3
        for b, (channels, count) in enumerate(config.blocks, 1):
            for i in range(1, count + 1):
                self.convs[f"{b}_{i}"] = nn.Conv2d(before, channels, 3, padding=1, bias=not norm)
                if norm:
                    self.norms[f"{b}_{i}"] = nn.BatchNorm2d(channels)
                before = channels
        self.heads = nn.ModuleDict({name: nn.Linear(before, classes) for name, classes in config.heads.items()})
        for conv in self.convs.values():
            assert isinstance(conv, nn.Conv2d)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)
        # A plain attribute pair, not buffers: they are config, and stay exact when the module is cast to bf16.
        self.scale = [1.0 / s for s in config.std]
        self.shift = [-m / s for m, s in zip(config.mean, config.std, strict=True)]

    def forward(self, x: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Feature maps. x (B, 3, H, W) sRGB in [0, 1]; returns {layer: (B, C, h, w)}, no deeper than was asked for."""
        x = x * x.new_tensor(self.scale).view(1, 3, 1, 1) + x.new_tensor(self.shift).view(1, 3, 1, 1)
        return _descend({name: partial(self._layer, name) for name in self.convs}, self.config, x, layers)

    def _layer(self, name: str, x: Tensor) -> Tensor:
        x = self.convs[name](x)
        if name in self.norms:
            x = self.norms[name](x)
        return F.relu(x, inplace=True)

    def classify(self, x: Tensor) -> dict[str, Tensor]:
        """Logits of every head, fp32. x (B, 3, H, W) sRGB in [0, 1]; returns {head: (B, classes)}."""
        last = self.config.layers[-1]
        pooled = self.forward(x, [last])[last].mean(dim=(2, 3))  # (B, C)
        return {name: head(pooled).float() for name, head in self.heads.items()}


@torch.no_grad()
def fold(model: Backbone) -> Backbone:
    """The same function without batch normalisation and heads: each norm's scale and shift go into its convolution."""
    config = Config(**{**vars(model.config), "heads": {}})
    folded = Backbone(config)
    for name, conv in model.convs.items():
        target = folded.convs[name]
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(target, nn.Conv2d)
        assert target.bias is not None
        weight, bias = conv.weight.float(), torch.zeros(conv.out_channels)
        if conv.bias is not None:
            bias = conv.bias.float()
        if name in model.norms:
            norm = model.norms[name]
            assert isinstance(norm, nn.BatchNorm2d)
            assert norm.running_mean is not None
            assert norm.running_var is not None
            gain = norm.weight.float() / (norm.running_var.float() + norm.eps).sqrt()
            weight = weight * gain.view(-1, 1, 1, 1)
            bias = (bias - norm.running_mean.float()) * gain + norm.bias.float()
        target.weight.copy_(weight)
        target.bias.copy_(bias)
    return folded.eval()


@torch.no_grad()
def equalise(model: Backbone, pictures: Tensor) -> Backbone:
    """Scale each layer so that its mean activation over `pictures` is 1; changes no ratio within a layer.

    Gatys et al. did this to VGG19 so that one style weight serves all layers. ReLU and average pooling are positively
    homogeneous, so a layer's gain is undone by the next layer's weights. pictures (B, 3, H, W) in [0, 1].
    """
    means = {name: value.float().mean() for name, value in model(pictures, model.config.layers).items()}
    before = torch.tensor(1.0)
    for name, conv in model.convs.items():
        assert isinstance(conv, nn.Conv2d)
        assert conv.bias is not None
        gain = 1.0 / means[f"relu{name}"].clamp_min(1e-6)
        conv.weight.mul_(gain / before)
        conv.bias.mul_(gain)
        before = gain
    return model


def from_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """VGG19's published weights under our names: `features.0.weight` becomes `convs.1_1.weight`, classifiers are left.

    state: {name: tensor} as in torchvision's vgg19 file.
    """
    places = [f"{b}_{i}" for b, (_, n) in enumerate(VGG19.blocks, 1) for i in range(1, n + 1)]
    numbers = sorted({int(k.split(".")[1]) for k in state if k.startswith("features.")})
    if len(numbers) != len(places):
        raise ValueError(f"these are not VGG19's weights: {len(numbers)} convolutions, {len(places)} expected")
    return {
        f"convs.{place}.{part}": state[f"features.{number}.{part}"]
        for number, place in zip(numbers, places, strict=True)
        for part in ("weight", "bias")
    }


class Extractor:
    """A frozen backbone as `compute.blocks.Features`: cast and laid out once, asked by layer name."""

    def __init__(self, backbone: Backbone, compute: Compute) -> None:
        self.compute = compute
        self.config = backbone.config
        self.layers = backbone.config.layers
        self._convs: dict[str, FrozenConv] = {}
        for name, conv in backbone.convs.items():
            assert isinstance(conv, nn.Conv2d)
            assert conv.bias is not None  # shipped networks are folded
            self._convs[name] = FrozenConv(conv.weight, conv.bias, compute)
        self._scale = torch.tensor(backbone.scale, device=compute.device).view(1, 3, 1, 1)
        self._shift = torch.tensor(backbone.shift, device=compute.device).view(1, 3, 1, 1)

    def __call__(self, x: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Feature maps in the compute dtype. x (B, 3, H, W) sRGB in [0, 1]; returns {layer: (B, C, h, w)}."""
        # Normalised before the cast: bf16 has eight bits, and pictures have eight bits around their mean as well.
        x = self.compute.tensor(torch.addcmul(self._shift, x.to(self.compute.device).float(), self._scale))
        return _descend(self._convs, self.config, x, layers)


def _descend(
    convs: Mapping[str, Callable[[Tensor], Tensor]], config: Config, x: Tensor, layers: Sequence[str]
) -> dict[str, Tensor]:
    """Run the graph as deep as `layers` need. convs: place → convolution with its norm and ReLU."""
    wanted = set(layers)
    if unknown := wanted - set(config.layers):
        raise ValueError(f"no layers {sorted(unknown)}; there are {', '.join(config.layers)}")
    found: dict[str, Tensor] = {}
    for name, conv in convs.items():
        block, _, place = name.partition("_")
        if place == "1" and block != "1":
            x = F.avg_pool2d(x, 2) if config.pooling == "avg" else F.max_pool2d(x, 2)
        x = conv(x)
        if f"relu{name}" in wanted:
            found[f"relu{name}"] = x
            if len(found) == len(wanted):
                break
    return found
