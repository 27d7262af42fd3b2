import pytest
import torch
import torch.nn.functional as F
from torch import nn

from danqing.compute.convolution import FrozenConv, doubled, fold
from danqing.compute.device import Compute

FP32 = Compute(torch.device("cpu"), torch.float32, torch.channels_last, "test")
BF16 = Compute(torch.device("cpu"), torch.bfloat16, torch.channels_last, "test")


# Where the processor cannot multiply bf16, `device.choose` takes fp32 and this path is never gone.
in_bf16 = pytest.mark.skipif(not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="the processor has no bf16")


@pytest.mark.parametrize(("compute", "tolerance"), [(FP32, 1e-5), pytest.param(BF16, 3e-2, marks=in_bf16)])
@pytest.mark.parametrize(("channels", "height", "width"), [((3, 8), 9, 17), ((16, 32), 32, 5), ((32, 16), 1, 1)])
def test_it_is_convolution_and_relu_forward_and_backward(compute, tolerance, channels, height, width):
    torch.manual_seed(0)
    weight, bias = torch.randn(channels[1], channels[0], 3, 3) / 5, torch.randn(channels[1])
    x = torch.randn(2, channels[0], height, width)
    ours, theirs = (compute.tensor(x).requires_grad_() for _ in range(2))

    y = FrozenConv(weight, bias, compute)(ours)
    expected = F.relu(F.conv2d(theirs, weight.to(compute.dtype), bias.to(compute.dtype), padding=1))
    slope = compute.tensor(torch.randn(y.shape))
    y.backward(slope)
    expected.backward(slope)

    assert y.dtype == compute.dtype
    assert ours.grad is not None
    assert theirs.grad is not None
    torch.testing.assert_close(y, expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(ours.grad.float(), theirs.grad.float(), rtol=tolerance, atol=tolerance * 3)


def test_without_gradients_it_gives_the_same_values():
    conv = FrozenConv(torch.randn(8, 3, 3, 3), torch.randn(8), FP32)
    x = torch.randn(1, 3, 16, 16, requires_grad=True)
    with torch.no_grad():
        plain = conv(x)
    torch.testing.assert_close(plain, conv(x))
    assert not plain.requires_grad


def of_two_calls(x, weight, bias):
    return F.conv2d(F.interpolate(x, scale_factor=2.0), weight, bias, padding=1)


def test_a_convolution_of_doubled_maps_is_that_of_two_calls_and_differentiable_twice():
    torch.manual_seed(0)
    shapes = ((2, 3, 4, 5), (6, 3, 3, 3), (6,))
    x, weight, bias = (torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes)
    torch.testing.assert_close(doubled(x, weight, bias), of_two_calls(x, weight, bias))
    torch.testing.assert_close(doubled(x, weight), of_two_calls(x, weight, None))
    assert torch.autograd.gradcheck(doubled, (x, weight, bias))
    assert torch.autograd.gradgradcheck(doubled, (x, weight, bias))


@in_bf16
def test_in_bf16_it_is_as_near_to_the_exact_result_as_two_calls_are():
    torch.manual_seed(0)
    x, weight, bias = torch.randn(4, 64, 8, 8).bfloat16(), (torch.randn(32, 64, 3, 3) / 24).bfloat16(), torch.zeros(32)
    exact = of_two_calls(x.double(), weight.double(), bias.double())
    ours, theirs = (f(x, weight, bias.bfloat16()).double() for f in (doubled, of_two_calls))
    assert (ours - exact).square().mean() < 2 * (theirs - exact).square().mean()


def test_folding_changes_neither_results_nor_names_and_only_what_it_may():
    torch.manual_seed(0)
    up, conv = nn.Upsample(scale_factor=2), nn.Conv2d(3, 3, 3, padding=1)
    others = (nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"))
    net = nn.Sequential(nn.Sequential(up, conv, nn.ReLU()), others[0], nn.Conv2d(3, 3, 3, padding=1), up, others[1])
    x = torch.randn(1, 3, 4, 4)
    names, before = list(net.state_dict()), net(x)
    fold(net)
    assert list(net.state_dict()) == names
    assert net[0][1].weight is conv.weight
    assert [type(m) for m in net[1:]] == [nn.Upsample, nn.Conv2d, nn.Upsample, nn.Conv2d]
    torch.testing.assert_close(net(x), before)
