"""Generative adversarial networks: two nets that play against each other, in parts that can be put together.

Goodfellow et al. 2014, "Generative Adversarial Networks" (the fully connected nets, the minimax and non-saturating
losses); Radford et al. 2015, "Unsupervised Representation Learning with Deep Convolutional GANs" (the convolutional
nets); Mao et al. 2017, "Least Squares GAN"; Gulrajani et al. 2017, "Improved Training of Wasserstein GANs" (the
penalty between real and made pictures); Lim & Ye 2017, "Geometric GAN" (hinge); Mescheder et al. 2018, "Which Training
Methods for GANs do actually Converge?" (R1 and R2); Jolicoeur-Martineau 2019, "The relativistic discriminator";
Mirza & Osindero 2014, "Conditional Generative Adversarial Nets"; Miyato & Koyama 2018, "cGANs with Projection
Discriminator".
Departures: pictures lie in [-1, 1] everywhere, so the fully connected generator ends in tanh where the 2014 paper has a
sigmoid; a class is joined to the latent as an embedding and judged by a projection, in every net; one row of each
embedding stands for "no class". Pictures may have any power of two for a side, with 8 times `width` channels at most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from danqing.compute.blocks import Classes
from danqing.errors import BadRequest

SLOPE = 0.2  # of the leaky ReLU below 0
PIECES = 5  # linear pieces of a maxout unit
NETS = ("dense", "conv")


@dataclass(frozen=True)
class Config:
    """What defines the nets; saved in the weights' header and enough to rebuild them."""

    size: int = 64  # picture side, px, a power of two
    latent: int = 100  # numbers that a picture is made from
    width: int = 64  # channels at half the picture's size; of the fully connected nets, a sixteenth of a layer
    classes: int = 0  # that can be asked for; 0: none
    net: str = "conv"  # "conv" (DCGAN) or "dense" (the fully connected nets of 2014)
    norm: bool = True  # batch norm in the discriminator; a critic with a penalty for each picture must have none

    def __post_init__(self) -> None:
        if self.size < 8 or self.size & (self.size - 1):
            raise BadRequest(f"size is {self.size}; a GAN's pictures have 8, 16, 32, 64, 128 … px")
        if min(self.latent, self.width) < 1:
            raise BadRequest("latent and width are whole numbers of 1 or more")
        if self.net not in NETS:
            raise BadRequest(f"net is {self.net!r}; it is one of {', '.join(NETS)}")


class Generator(nn.Module):
    """Latents → pictures, by fully connected layers or by convolutions that double the side."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.classes = Classes(config.classes, config.latent) if config.classes else None
        inputs = config.latent * (2 if config.classes else 1)
        if config.net == "dense":
            self.body = _dense_generator(config, inputs)
        else:
            self.body = _conv_generator(config, inputs)

    def forward(self, z: Tensor, classes: Tensor | None = None) -> Tensor:
        """z (B, latent) standard normal, classes (B,) int64 → (B, 3, S, S) in [-1, 1]."""
        if self.classes is not None:
            z = torch.cat([z, self.classes(classes, z.shape[0]).to(z.dtype)], dim=1)
        pictures: Tensor = self.body(z)
        return pictures


class Discriminator(nn.Module):
    """Pictures → how real each looks, a number without bounds (a logit, or a critic's score)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.body, features = _dense_features(config) if config.net == "dense" else _conv_features(config)
        self.end = nn.Linear(features, 1)
        self.classes = Classes(config.classes, features) if config.classes else None

    def forward(self, pictures: Tensor, classes: Tensor | None = None) -> Tensor:
        """pictures (B, 3, S, S) in [-1, 1], classes (B,) int64 → (B,) float32."""
        h = self.body(pictures)  # (B, F)
        score: Tensor = self.end(h)[:, 0].float()
        if self.classes is not None:
            score = score + (self.classes(classes, len(h)).float() * h.float()).sum(1)
        return score


class Maxout(nn.Module):
    """The largest of several linear functions, for each unit (Goodfellow et al. 2013, "Maxout Networks")."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, units * PIECES)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, inputs) → (B, units)."""
        largest: Tensor = self.linear(x).view(len(x), -1, PIECES).amax(2)
        return largest


def _dense_generator(config: Config, inputs: int) -> nn.Sequential:
    hidden, numbers = 16 * config.width, 3 * config.size**2
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, numbers),
        nn.Tanh(), nn.Unflatten(1, (3, config.size, config.size)),
    )  # fmt: skip


def _dense_features(config: Config) -> tuple[nn.Sequential, int]:
    hidden = 4 * config.width
    return nn.Sequential(
        nn.Flatten(), Maxout(3 * config.size**2, hidden), nn.Dropout(), Maxout(hidden, hidden), nn.Dropout()
    ), hidden


def channels(config: Config, side: int) -> int:
    """Channels of the convolutional nets' maps of `side` px."""
    return config.width * min(8, config.size // (2 * side))


def _conv_generator(config: Config, inputs: int) -> nn.Sequential:
    wide = channels(config, 4)
    layers: list[nn.Module] = [
        nn.Linear(inputs, wide * 16, bias=False), nn.Unflatten(1, (wide, 4, 4)), nn.BatchNorm2d(wide), nn.ReLU()
    ]  # fmt: skip
    side = 4
    while side < config.size // 2:
        here, there = channels(config, side), channels(config, 2 * side)
        layers += [nn.ConvTranspose2d(here, there, 4, 2, 1, bias=False), nn.BatchNorm2d(there), nn.ReLU()]
        side *= 2
    layers += [nn.ConvTranspose2d(channels(config, side), 3, 4, 2, 1), nn.Tanh()]
    return _as_radford(nn.Sequential(*layers))


def _conv_features(config: Config) -> tuple[nn.Sequential, int]:
    side = config.size // 2
    layers: list[nn.Module] = [nn.Conv2d(3, channels(config, side), 4, 2, 1), nn.LeakyReLU(SLOPE)]
    while side > 4:
        here, there = channels(config, side), channels(config, side // 2)
        layers.append(nn.Conv2d(here, there, 4, 2, 1, bias=not config.norm))
        layers += [nn.BatchNorm2d(there), nn.LeakyReLU(SLOPE)] if config.norm else [nn.LeakyReLU(SLOPE)]
        side //= 2
    return _as_radford(nn.Sequential(*layers, nn.Flatten())), channels(config, 4) * 16


def _as_radford(net: nn.Sequential) -> nn.Sequential:
    """Weights from N(0, 0.02), gains of the norms from N(1, 0.02)."""
    for module in net:
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
    return net


def build(config: Config) -> tuple[Generator, Discriminator]:
    """Both nets with fresh weights from PyTorch's global generator, fp32, in training mode."""
    return Generator(config), Discriminator(config)


# --- losses -----------------------------------------------------------------------------------------------------------
# Each takes the scores (B,) float32 of real and of made pictures and returns a scalar, to be made small.


@dataclass(frozen=True)
class Loss:
    """What each of the two is after."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    middle: float | None  # the score between real and made; None: scores only mean something beside one another
    paired: bool = False  # whether the generator's loss looks at the real pictures' scores


def _logistic(real: Tensor, made: Tensor) -> Tensor:
    return F.softplus(-real).mean() + F.softplus(made).mean()


def _nonsaturating(real: Tensor, made: Tensor) -> Tensor:
    return F.softplus(-made).mean()


def _minimax(real: Tensor, made: Tensor) -> Tensor:
    return -F.softplus(made).mean()


def _least_squares(real: Tensor, made: Tensor) -> Tensor:
    return 0.5 * ((real - 1).square().mean() + made.square().mean())


def _toward_one(real: Tensor, made: Tensor) -> Tensor:
    return 0.5 * (made - 1).square().mean()


def _hinge(real: Tensor, made: Tensor) -> Tensor:
    return F.relu(1 - real).mean() + F.relu(1 + made).mean()


def _distance(real: Tensor, made: Tensor) -> Tensor:
    return made.mean() - real.mean()


def _higher(real: Tensor, made: Tensor) -> Tensor:
    return -made.mean()


def _relativistic(real: Tensor, made: Tensor) -> Tensor:
    return F.softplus(made - real).mean()


def _turned(real: Tensor, made: Tensor) -> Tensor:
    return F.softplus(real - made).mean()


LOSSES = {
    "nonsaturating": Loss(_logistic, _nonsaturating, 0.0),
    "minimax": Loss(_logistic, _minimax, 0.0),
    "least_squares": Loss(_least_squares, _toward_one, 0.5),
    "hinge": Loss(_hinge, _higher, 0.0),
    "wasserstein": Loss(_distance, _higher, None),
    "relativistic": Loss(_relativistic, _turned, None, paired=True),
}


def correct(loss: Loss, real: Tensor, made: Tensor) -> Tensor:
    """The decisions on real pictures: (B,), 1 where right and -1 where wrong.

    Where scores only mean something beside one another, each real picture is held against a made one.
    """
    return (real - (made if loss.middle is None else loss.middle)).sign()


# --- regularisers -----------------------------------------------------------------------------------------------------


def steepness(scores: Tensor, pictures: Tensor) -> Tensor:
    """Squared norm of the scores' gradient by the pictures: R1 at real ones, R2 at made ones (mean over the batch).

    scores (B,) computed from pictures (B, 3, S, S), which must require a gradient; returns a scalar float32.
    """
    return steepness_each(scores, pictures).mean()


def steepness_each(scores: Tensor, pictures: Tensor) -> Tensor:
    """The same for each picture, (B,) float32; with several at once, none may have a say in another's score."""
    (slope,) = torch.autograd.grad(scores.sum(), pictures, create_graph=True)
    return slope.float().square().sum((1, 2, 3))


def penalty_between(score: Callable[[Tensor], Tensor], real: Tensor, made: Tensor, share: Tensor) -> Tensor:
    """Mean squared distance from 1 of the critic's slope on the way from real to made pictures.

    real, made (B, 3, S, S); share (B,) in [0, 1]: how far along; returns a scalar float32.
    """
    at = share.view(-1, 1, 1, 1).to(real.dtype)
    mixed = torch.lerp(real, made, at).detach().requires_grad_()
    with _Bends():
        scores = score(mixed)
    (slope,) = torch.autograd.grad(scores.sum(), mixed, create_graph=True)
    off: Tensor = slope.float().flatten(1).norm(dim=1) - 1
    return off.square().mean()


class _Bends(TorchFunctionMode):
    """Tells autograd that ReLUs have no second derivative.

    PyTorch writes it as zeros, and the gradient of a slope then carries them back through every layer: a pass as dear
    as any other. With these the gradient is the same and the pass is left out, where nothing else in it is curved.
    """

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        return _BENT.get(func, func)(*args, **(kwargs or {}))


class _Bend(torch.autograd.Function):
    """(Leaky) ReLU whose gradient is linear to autograd: which side of the bend a number lies on is given."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float, inplace: bool) -> Tensor:
        y = F.leaky_relu(x, slope, inplace)
        if inplace:
            ctx.mark_dirty(x)
        ctx.save_for_backward(y)
        ctx.slope = slope
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (y,) = ctx.saved_tensors
        bent: Tensor = torch.ops.aten.leaky_relu_backward(gradients[0], y.detach(), ctx.slope, True)
        return bent, None, None


def _relu(input: Tensor, inplace: bool = False) -> Any:
    return _Bend.apply(input, 0.0, inplace)  # type: ignore[no-untyped-call]


def _leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    return _Bend.apply(input, negative_slope, inplace)  # type: ignore[no-untyped-call]


_BENT: dict[Any, Callable[..., Any]] = {F.relu: _relu, F.leaky_relu: _leaky_relu}  # as PyTorch declares them


def apart(score: Callable[[Tensor], Tensor], pictures: Tensor) -> bool:
    """Whether each picture's score is its own: no gradient of the first one's reaches another picture.

    Batch norm and looks at a whole batch are seen by it. pictures (B, 3, S, S), B ≥ 2.
    """
    x = pictures.detach().requires_grad_()
    (slope,) = torch.autograd.grad(score(x)[0], x)
    return not slope[1:].any()
