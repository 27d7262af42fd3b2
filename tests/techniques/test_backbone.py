"""The backbone: layers by name, folding and equalising keep what they promise, VGG19's weights find their places."""

import pytest
import torch

from danqing.compute import device, seed
from danqing.techniques import backbone

SMALL = backbone.Config(blocks=((8, 2), (16, 1), (16, 1)))


def picture(size=32, batch=2):
    return torch.rand(batch, 3, size, size, generator=seed.generator(0))


def test_layers_have_vgg_names_and_halve_from_block_to_block():
    net = backbone.Backbone(SMALL)
    maps = net(picture(), ["relu1_1", "relu2_1", "relu3_1"])
    assert {k: tuple(v.shape) for k, v in maps.items()} == {
        "relu1_1": (2, 8, 32, 32),
        "relu2_1": (2, 16, 16, 16),
        "relu3_1": (2, 16, 8, 8),
    }
    with pytest.raises(ValueError, match="relu9_1"):
        net(picture(), ["relu9_1"])


def test_vgg19_has_the_published_graph():
    with torch.device("meta"):
        net = backbone.Backbone(backbone.VGG19)
    assert sum(p.numel() for p in net.parameters()) == 20_024_384  # the convolutions of torchvision's vgg19
    assert backbone.VGG19.layers[-1] == "relu5_4"


def test_torchvision_names_become_ours_in_order():
    numbers = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]
    state = {f"features.{n}.{part}": torch.tensor(float(n)) for n in numbers for part in ("weight", "bias")}
    state["classifier.0.weight"] = torch.tensor(0.0)
    names = backbone.from_torchvision(state)
    assert len(names) == 32
    assert names["convs.1_1.weight"] == 0
    assert names["convs.5_4.bias"] == 34
    with pytest.raises(ValueError, match="not VGG19"):
        backbone.from_torchvision({"features.0.weight": torch.tensor(0.0)})


def test_folding_changes_nothing_that_the_trained_network_computes():
    torch.manual_seed(1)
    net = backbone.Backbone(backbone.Config(blocks=SMALL.blocks, heads={"style": 3}), norm=True)
    for _ in range(5):
        net.classify(torch.rand(8, 3, 32, 32))  # moves the running statistics
    net.eval()
    folded = backbone.fold(net)
    x = picture()
    for layer in SMALL.layers:
        assert torch.allclose(net(x, [layer])[layer], folded(x, [layer])[layer], atol=1e-4)


def test_equalising_brings_every_layer_to_a_mean_of_one_and_keeps_its_proportions():
    torch.manual_seed(2)
    net = backbone.Backbone(SMALL)
    x = picture(batch=4)
    before = net(x, SMALL.layers)
    after = backbone.equalise(net, x)(x, SMALL.layers)
    for layer in SMALL.layers:
        assert after[layer].mean().item() == pytest.approx(1, abs=1e-3)
        assert torch.allclose(after[layer] * before[layer].mean(), before[layer], atol=1e-3)


def test_the_frozen_extractor_sees_what_the_network_sees_and_passes_gradients():
    torch.manual_seed(3)
    net = backbone.Backbone(SMALL)
    x = picture(33, batch=1).requires_grad_()
    expected = net(x, ["relu2_1"])["relu2_1"]
    compute = device.choose()
    found = backbone.Extractor(net, compute)(x, ["relu2_1"])["relu2_1"]
    assert found.dtype == compute.dtype
    assert torch.allclose(found.float(), expected, atol=0.05, rtol=0.05)
    (gradient,) = torch.autograd.grad(found.float().square().sum(), x)
    (wanted,) = torch.autograd.grad(expected.square().sum(), x)
    assert torch.nn.functional.cosine_similarity(gradient.flatten(), wanted.flatten(), dim=0) > 0.99
