"""Muon: momentum whose update is made orthogonal before it is applied (Jordan et al. 2024), for matrices.

Departures: the rate is scaled to the size that AdamW's updates have, 0.2 √max(rows, columns) (Liu et al. 2025, "Muon is
Scalable for LLM Training"), so that one rate serves both; and the iteration runs in the precision that the processor
multiplies fastest. PyTorch's own Muon always takes bf16, which processors without bf16 instructions emulate: there it
spent 10.9 of a step's 13.5 seconds (6 layers of 256, 4,096 tokens, one core with AVX2), in fp32 it takes 0.3.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

A, B, C = 3.4445, -4.7750, 2.0315  # of the quintic iteration; steepest at 0, so that five rounds are enough
ROUNDS = 5
TINY = 1e-7


class Muon(torch.optim.Optimizer):
    """For parameters (O, I) alone; embeddings, gains and recurrent weights are AdamW's."""

    def __init__(
        self,
        matrices: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.1,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """dtype: what `orthogonal` computes in; float32 or bfloat16."""
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient, with Nesterov's momentum; those of one shape side by side."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    alike[p.shape].append(p)
            for shape, parameters in alike.items():
                updates = orthogonal(torch.stack([self._moved(p, group["momentum"]) for p in parameters]))
                for p, update in zip(parameters, updates, strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.add_(update, alpha=-group["lr"] * 0.2 * max(shape) ** 0.5)

    def _moved(self, p: nn.Parameter, momentum: float) -> Tensor:
        """The gradient with its momentum, in the dtype of the iteration."""
        assert p.grad is not None
        state = self.state[p]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(p.grad)
        held: Tensor = state["momentum_buffer"].lerp_(p.grad, 1 - momentum)
        return p.grad.lerp(held, momentum).to(self.dtype)


def orthogonal(matrices: Tensor) -> Tensor:
    """Nearly U Vᵀ of each matrix's U S Vᵀ: all singular values pushed to between 0.7 and 1.2. (N, O, I) → (N, O, I).

    matrices: float32 or bfloat16, any values; a matrix of zeros stays one. Together, since one small product leaves
    cores idle: training went from 2.1 to 2.6 times the plain loop's speed (`benchmarks/sequence.py train`, AMX).
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT.contiguous() if tall else matrices
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp_min(TINY)
    for _ in range(ROUNDS):
        gram = torch.bmm(x, x.mT)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=B, alpha=C), x, beta=A)
    return x.mT if tall else x
