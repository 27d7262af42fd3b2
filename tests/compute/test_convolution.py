import pytest
import torch
import torch.nn.functional as F

from danqing.compute.convolution import FrozenConv
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
