from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from danqing.compute import checkpoint
from danqing.errors import CorruptWeights, Unavailable


def some_weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "conv.weight": torch.randn(8, 3, 3, 3, generator=generator),
        "conv.bias": torch.randn(8, generator=generator),
        "half": torch.randn(4, 4, generator=generator).bfloat16(),
        "steps": torch.tensor(7),
    }


def test_weights_come_back_as_they_were_saved(tmp_path: Path):
    path = tmp_path / "画" / "model.safetensors"
    metadata = {"config": {"width": 32, "names": ["浮世绘", "monet"]}, "seed": 7}
    checkpoint.save_weights(path, some_weights(), metadata)
    tensors, read = checkpoint.load_weights(path)
    assert read == metadata
    assert tensors.keys() == some_weights().keys()
    for name, tensor in some_weights().items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


def test_the_same_weights_give_the_same_bytes(tmp_path: Path):
    metadata = {f"key{i}": i for i in range(12)}
    for name in ("a", "b"):
        checkpoint.save_weights(tmp_path / name, some_weights(), metadata)
    assert checkpoint.sha256_of(tmp_path / "a") == checkpoint.sha256_of(tmp_path / "b")
    assert checkpoint.sha256_of(tmp_path / "a") == hashlib.sha256((tmp_path / "a").read_bytes()).hexdigest()


def test_channels_last_and_shared_tensors_can_be_saved(tmp_path: Path):
    weight = torch.randn(4, 3, 3, 3).contiguous(memory_format=torch.channels_last)
    checkpoint.save_weights(tmp_path / "w", {"a": weight, "tied": weight, "slice": weight[:2]}, {})
    tensors, _ = checkpoint.load_weights(tmp_path / "w")
    assert torch.equal(tensors["tied"], weight)
    assert torch.equal(tensors["slice"], weight[:2])


@pytest.mark.parametrize("keep", [0, 5, 60, -1])
def test_a_truncated_weights_file_is_named_as_damaged(tmp_path: Path, keep: int):
    path = tmp_path / "model.safetensors"
    checkpoint.save_weights(path, some_weights(), {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CorruptWeights, match=r"model\.safetensors \(.* bytes\) cannot be read as a safetensors file"):
        checkpoint.load_weights(path)


def test_a_missing_weights_file_is_named(tmp_path: Path):
    with pytest.raises(Unavailable, match=r"none\.safetensors is not there"):
        checkpoint.load_weights(tmp_path / "none.safetensors")
    with pytest.raises(Unavailable, match="is not there"):
        checkpoint.load_torch(tmp_path / "none.pt")


def test_a_file_that_is_not_safetensors_is_refused(tmp_path: Path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"GIF89a and so on, nothing like weights")
    with pytest.raises(CorruptWeights):
        checkpoint.load_weights(path)


def test_training_state_comes_back_as_it_was_saved(tmp_path: Path):
    path = tmp_path / "last.ckpt"
    checkpoint.save_torch(path, {"model": some_weights(), "step": 12, "names": ["a"], "loss": 0.5})
    state = checkpoint.load_torch(path)
    assert (state["step"], state["names"], state["loss"]) == (12, ["a"], 0.5)
    assert torch.equal(state["model"]["half"], some_weights()["half"])


def test_a_pickle_that_holds_code_is_refused(tmp_path: Path):
    path = tmp_path / "evil.pt"
    torch.save({"x": Path("/")}, path)
    with pytest.raises(CorruptWeights, match="plain tensors"):
        checkpoint.load_torch(path)


@pytest.mark.parametrize("keep", [0, 100, -10])
def test_a_truncated_training_state_is_named_as_damaged(tmp_path: Path, keep: int):
    path = tmp_path / "last.ckpt"
    checkpoint.save_torch(path, {"model": some_weights()})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CorruptWeights):
        checkpoint.load_torch(path)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    path = tmp_path / "model.safetensors"
    checkpoint.save_weights(path, some_weights(), {})
    before = path.read_bytes()
    with pytest.raises(TypeError), checkpoint.replacing(path) as file:
        file.writelines([b"half", "not bytes"])
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.safetensors"]


def test_int8_keeps_weights_within_half_a_step_of_their_channel():
    weight = some_weights()["conv.weight"]
    weight[3] = 0
    rounded, scale = checkpoint.quantise_int8(weight)
    assert rounded.dtype == torch.int8
    assert scale.shape == (8, 1, 1, 1)
    error = (rounded.float() * scale - weight).abs()
    assert bool((error <= scale * 0.5001).all())


@pytest.mark.parametrize(("storage", "tolerance"), [("float32", 0.0), ("bfloat16", 0.02), ("int8", 0.02)])
def test_packed_weights_unpack_close_to_what_they_were(tmp_path: Path, storage: str, tolerance: float):
    path = tmp_path / "w"
    checkpoint.save_weights(path, checkpoint.pack(some_weights(), storage), {})
    back = checkpoint.unpack(checkpoint.load_weights(path)[0])
    assert back.keys() == some_weights().keys()
    for name, tensor in some_weights().items():
        assert torch.allclose(back[name].float(), tensor.float(), atol=tolerance * 2)
    assert back["conv.weight"].dtype == torch.float32
