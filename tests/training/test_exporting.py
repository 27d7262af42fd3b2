"""ONNX files give the same numbers as the networks they were made of."""

import logging

import numpy as np
import pytest
import torch
from torch import nn

from danqing.errors import TrainingFailed, Unavailable
from danqing.techniques.backbone import Backbone, Config
from danqing.training import exporting

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(autouse=True)
def _no_traces(monkeypatch):
    monkeypatch.setattr(logging.getLogger("torch.__trace"), "disabled", True)  # pytest would keep all it says


class Painter:
    """A small sampler that knows classes and truncation."""

    size = 8

    def __init__(self, classes=("a", "b", "c")):
        torch.manual_seed(0)
        self.classes = classes
        self.modules = nn.ModuleDict({
            "body": nn.Sequential(nn.Linear(5, 48), nn.ReLU(), nn.Unflatten(1, (3, 4, 4)), nn.Upsample(scale_factor=2)),
            "kinds": nn.Embedding(max(1, len(classes)), 5),
        })  # fmt: skip

    def draw(self, count, generator):
        return torch.randn(count, 5, generator=generator)

    def pictures(self, latents, classes=None, truncation=1.0):
        x = latents * truncation
        if classes is not None:
            x = x + self.modules["kinds"](classes)
        return self.modules["body"](x).tanh()


@pytest.mark.parametrize("classes", [("a", "b", "c"), ()])
def test_a_sampler_paints_the_same_in_onnx(tmp_path, classes):
    sampler = Painter(classes)
    found = exporting.export_sampler(sampler, tmp_path / "painter.onnx")
    assert found.error < 1e-5
    session = onnxruntime.InferenceSession(str(tmp_path / "painter.onnx"), providers=["CPUExecutionProvider"])
    latents = sampler.draw(6, torch.Generator().manual_seed(9))
    given = {"latents": latents.numpy(), "truncation": np.array(0.4, np.float32)}
    if classes:
        given["classes"] = np.array([0, 1, 2, 2, 1, 0])
    assert set(found.inputs) == set(given)
    (made,) = session.run(["pictures"], given)
    expected = sampler.pictures(latents, torch.tensor(given["classes"]) if classes else None, 0.4)
    assert np.allclose(made, expected.detach().numpy(), atol=1e-5)


def test_the_backbone_gives_the_same_maps(tmp_path):
    torch.manual_seed(1)
    net = Backbone(Config(blocks=((4, 1), (8, 2))))
    found = exporting.export_backbone(net, tmp_path / "net.onnx", size=16)
    assert found.outputs == ("relu1_1", "relu2_1", "relu2_2")
    assert found.error < 1e-4


def test_a_file_that_does_not_agree_is_not_written(tmp_path, monkeypatch):
    compared = exporting._compared
    monkeypatch.setattr(exporting, "_compared", lambda *given: (compared(*given)[0], 2e-3))
    with pytest.raises(TrainingFailed, match="Nothing was written"):
        exporting.export_sampler(Painter(), tmp_path / "painter.onnx")
    assert not list(tmp_path.iterdir())


def test_without_the_extra_it_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Unavailable, match=r"pip install 'danqing\[export\]'"):
        exporting.export_sampler(Painter(), tmp_path / "painter.onnx")
