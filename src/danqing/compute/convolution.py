"""3×3 convolutions that cost less than their parts: with frozen weights and a ReLU, or of maps that were doubled.

On a CPU a VGG-like network is bound by memory as much as by arithmetic. For `FrozenConv`, oneDNN applies the ReLU while
a tile of the output is still in cache; the gradient by the input is again a 3×3 convolution, with the filters flipped,
so both directions use weights laid out for the matrix units once; and only the output is kept for the backward pass (it
says where the ReLU was open). Against `F.relu_(F.conv2d(x, w, b))` this took a style-transfer step
through VGG19 from 0.35 to 0.25 s (`python benchmarks/stylize.py --only vgg`). On other devices it is those two calls.

`doubled` is a convolution behind an enlargement by nearest neighbours. Each of its outputs reads four places at most,
so it is a transposed convolution with a 4×4 kernel, and the enlarged maps are never made (`benchmarks/generators.py`).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danqing.compute.device import Compute

_ONE = [1, 1]


class FrozenConv:
    """A 3×3 convolution, zero-padded by one, followed by ReLU; its weights take no gradient."""

    def __init__(self, weight: Tensor, bias: Tensor, compute: Compute) -> None:
        """weight (O, I, 3, 3), bias (O,), any float dtype."""
        self.weight = compute.tensor(weight.detach())
        self.bias = bias.detach().to(compute.device, compute.dtype)
        onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        self.fused = onednn and compute.device.type == "cpu"
        if self.fused:
            flipped = compute.tensor(self.weight.flip(2, 3).transpose(0, 1))
            self._there, self._back = _laid_out(self.weight), _laid_out(flipped)

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, I, H, W) in the compute dtype; returns (B, O, H, W), ≥ 0."""
        if not self.fused:
            return F.relu(F.conv2d(x, self.weight, self.bias, padding=1), inplace=True)
        if torch.is_grad_enabled() and x.requires_grad:
            return cast(Tensor, _Fused.apply(x, self))  # type: ignore[no-untyped-call]
        return self.forward(x)

    def forward(self, x: Tensor) -> Tensor:
        """The fused forward pass, outside autograd."""
        return _convolution(x, self._there, self.bias, "relu")

    def backward(self, g: Tensor) -> Tensor:
        """The gradient with respect to the input. g (B, O, H, W), already zero where the ReLU was shut."""
        return _convolution(g, self._back, None, "none")


class _Fused(torch.autograd.Function):
    """oneDNN's convolution + ReLU forward, convolution with the flipped filters backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, conv: FrozenConv) -> Tensor:
        y = conv.forward(x)
        ctx.save_for_backward(y)
        ctx.conv = conv
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        conv = cast(FrozenConv, ctx.conv)
        return conv.backward(cast(Tensor, torch.ops.aten.threshold_backward(gradients[0], y, 0))), None


def _laid_out(weight: Tensor) -> Tensor:
    """The weights in the blocked layout that oneDNN would otherwise make anew at each call."""
    side = 512 if weight.shape[1] <= 64 else 128  # the layout is chosen for a typical picture at this depth
    layout = torch.ops.mkldnn._reorder_convolution_weight
    return cast(Tensor, layout(weight, _ONE, _ONE, _ONE, 1, [1, weight.shape[1], side, side]))


def _convolution(x: Tensor, weight: Tensor, bias: Tensor | None, after: str) -> Tensor:
    x = x.contiguous(memory_format=torch.channels_last)
    run = torch.ops.mkldnn._convolution_pointwise
    return cast(Tensor, run(x, weight, bias, _ONE, _ONE, _ONE, 1, after, [], ""))


# --- a convolution of doubled maps ------------------------------------------------------------------------------------


class Doubled(nn.Module):
    """`nn.Upsample(scale_factor=2)` and a 3×3 convolution in one; its parameters are the convolution's."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias

    def forward(self, x: Tensor) -> Tensor:
        """x (B, I, H, W) → (B, O, 2H, 2W)."""
        return doubled(x, self.weight, self.bias)


def fold(net: nn.Module) -> None:
    """Put a `Doubled` in the place of each enlargement by nearest neighbours that a plain 3×3 convolution follows.

    Only where both stand in one `nn.Sequential`; the parameters and their names stay as they were.
    """
    for sequence in [m for m in net.modules() if type(m) is nn.Sequential]:
        for number, (before, conv) in enumerate(pairwise(list(sequence))):
            if _doubles(before) and _plain(conv):
                sequence[number], sequence[number + 1] = nn.Identity(), Doubled(cast(nn.Conv2d, conv))


def _doubles(module: nn.Module) -> bool:
    return type(module) is nn.Upsample and module.mode == "nearest" and module.scale_factor == 2 and not _hooked(module)


def _plain(module: nn.Module) -> bool:
    if type(module) is not nn.Conv2d or _hooked(module):
        return False
    ones = module.stride == module.dilation == (1, 1) and module.groups == 1
    return ones and module.kernel_size == (3, 3) and module.padding == (1, 1) and module.padding_mode == "zeros"


def _hooked(module: nn.Module) -> bool:
    return bool(module._forward_pre_hooks or module._forward_hooks or module._backward_hooks)


def doubled(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 3×3 convolution, zero-padded by one, of maps that nearest neighbours have doubled.

    x (B, I, H, W), weight (O, I, 3, 3), bias (O,); returns (B, O, 2H, 2W). Differentiable any number of times. Weights
    that meet on one place are added in fp32 and rounded once, so in bf16 the last bits differ from those of two calls.
    """
    exact = torch.promote_types(weight.dtype, torch.float32)
    kernel = weight.transpose(0, 1).flip(2, 3).to(exact)  # (I, O, 3, 3)
    kernel = F.pad(kernel, (0, 1)) + F.pad(kernel, (1, 0))
    kernel = F.pad(kernel, (0, 0, 0, 1)) + F.pad(kernel, (0, 0, 1, 0))  # (I, O, 4, 4)
    kernel = kernel.to(weight.dtype)
    if x.dtype == torch.bfloat16:  # contiguous maps, as they come out of a linear layer, are several times slower
        x, kernel = (t.contiguous(memory_format=torch.channels_last) for t in (x, kernel))
    return cast(Tensor, _Doubling.apply(x, kernel, bias))  # type: ignore[no-untyped-call]


class _Doubling(torch.autograd.Function):
    """`F.conv_transpose2d(x, kernel, bias, 2, 1)`, whose own gradient by the bias takes longer than all the rest."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, kernel)
        return F.conv_transpose2d(x, kernel, bias, 2, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (g,), (x, kernel) = gradients, ctx.saved_tensors
        asked = ctx.needs_input_grad
        by_x, by_kernel, _ = torch.ops.aten.convolution_backward(
            g, x, kernel, None, [2, 2], _ONE, _ONE, True, [0, 0], 1, [asked[0], asked[1], False]
        )
        return by_x, by_kernel, g.sum((0, 2, 3)) if asked[2] else None
