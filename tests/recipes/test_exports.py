"""Every family of generators as ONNX: the same pictures, in batches of any size."""

import logging

import numpy as np
import pytest
import torch

from danqing import studio
from danqing.compute import checkpoint
from danqing.training import generators

onnxruntime = pytest.importorskip("onnxruntime")
SLOW = pytest.mark.slow
FAMILIES = (
    *("cgan", "stylegan"),
    *(pytest.param(name, marks=SLOW) for name in ("gan", "dcgan", "progan", "r3gan", "projected", "vae")),
)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_paints_the_same_in_onnx(name, tmp_path, monkeypatch):
    monkeypatch.setenv("DANQING_HOME", str(tmp_path))
    monkeypatch.setattr(logging.getLogger("torch.__trace"), "disabled", True)  # pytest would keep all it says
    settings = {"tiny": "yes", "steps": "1", **({"label": "digit"} if name == "cgan" else {})}
    studio.train(name, "digits", tmp_path / "run", settings)
    found = studio.export(tmp_path / "run", tmp_path / "model.onnx")
    assert found.error < 1e-3
    sampler = generators.restore(*checkpoint.load_weights(tmp_path / "run" / "weights.safetensors"))
    latents = sampler.draw(5, torch.Generator().manual_seed(4))
    classes = torch.tensor([0, 1, 2, 3, 0]) % len(sampler.classes) if sampler.classes else None
    given = {"latents": latents.numpy(), "truncation": np.array(1.0, np.float32)}
    if classes is not None:
        given["classes"] = classes.numpy()
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    (made,) = session.run(["pictures"], given)
    with torch.no_grad():
        assert np.allclose(made, sampler.pictures(latents, classes).numpy(), atol=1e-3)


def test_a_flow_goes_the_same_way_step_by_step_in_onnx(tmp_path, monkeypatch):
    monkeypatch.setenv("DANQING_HOME", str(tmp_path))
    monkeypatch.setattr(logging.getLogger("torch.__trace"), "disabled", True)
    studio.train("flow", "digits", tmp_path / "run", {"tiny": "yes", "steps": "1"})
    assert studio.export(tmp_path / "run", tmp_path / "model.onnx").error < 1e-3
    sampler = generators.restore(*checkpoint.load_weights(tmp_path / "run" / "weights.safetensors"))
    latents = sampler.draw(5, torch.Generator().manual_seed(4))
    classes = {"classes": np.arange(5)} if sampler.classes else {}
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    steps = int(session.get_modelmeta().custom_metadata_map["steps"])
    x = latents.numpy()
    for number in range(steps):
        numbers = {"time": np.array(number / steps, np.float32), "length": np.array(1 / steps, np.float32)}
        x, made = session.run(["next", "pictures"], {"latents": x, **numbers, **classes})
    with torch.no_grad():
        expected = sampler.pictures(latents, torch.arange(5) if classes else None)
    assert np.allclose(made, expected.numpy(), atol=1e-3)
