"""3×3 convolution + ReLU with frozen weights: one pass over memory forward, and one more convolution backward.

On a CPU a VGG-like network is bound by memory as much as by arithmetic. oneDNN applies the ReLU while a tile of the
output is still in cache; the gradient by the input is again a 3×3 convolution, with the filters flipped, so
both directions use weights laid out for the matrix units once; and only the output is kept for the backward pass (it
says where the ReLU was open). Against `F.relu_(F.conv2d(x, w, b))` this took a style-transfer step
through VGG19 from 0.35 to 0.25 s (`python benchmarks/stylize.py --only vgg`). On other devices it is those two calls.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

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
