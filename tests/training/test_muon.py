"""The optimiser of hidden matrices."""

import pytest
import torch
from torch import nn

from danqing.training.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(48, 16), (16, 48), (24, 24)])
def test_updates_are_nearly_orthogonal(shape):
    values = torch.linalg.svdvals(orthogonal(torch.randn((2, *shape), generator=torch.Generator().manual_seed(1))))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_it_takes_the_steps_that_pytorchs_own_takes():
    torch.manual_seed(2)
    ours = nn.Parameter(torch.randn(40, 24))
    theirs = nn.Parameter(ours.detach().clone())
    start = ours.detach().clone()
    one = Muon([ours], lr=0.01)
    other = torch.optim.Muon([theirs], lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        ours.grad = torch.randn(40, 24)
        theirs.grad = ours.grad.clone()
        one.step()
        other.step()
    moved = (ours - start).norm()
    assert (ours - theirs).norm() < 0.01 * moved  # theirs is rounded to bf16


def test_a_matrix_without_gradient_stays():
    matrix = nn.Parameter(torch.ones(4, 4))
    Muon([matrix], lr=0.1).step()
    assert torch.equal(matrix.detach(), torch.ones(4, 4))
