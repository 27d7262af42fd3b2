"""Tensors in files: weights in safetensors, training state through PyTorch, nothing ever half-written.

This is the one file that calls `torch.load`, always with `weights_only=True`: both the training checkpoints and the
VGG19 file from PyTorch's download host come through here, so that no pickle of ours or anyone's can run code.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from danqing.errors import CorruptWeights, Unavailable

METADATA_KEY = "danqing"  # one key, because safetensors writes several in an order that changes from run to run
SCALE_SUFFIX = ".int8_scale"
STORAGES = ("float32", "bfloat16", "int8")


def save_weights(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write tensors of any dtype to a safetensors file, whole or not at all.

    metadata: anything JSON can hold (the architecture's config, the classes); the same input gives the same bytes.
    """
    data = encode_weights(tensors, metadata)
    with replacing(path) as file:
        file.write(data)


def encode_weights(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> bytes:
    """The file that `save_weights` would write."""
    own = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    header = {METADATA_KEY: json.dumps(dict(metadata), sort_keys=True, ensure_ascii=False)}
    return safetensors.torch.save(own, header)


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a safetensors file on the CPU in the dtype they were stored in, and its metadata.

    Raises Unavailable when there is no such file, CorruptWeights when it is truncated or not safetensors.
    """
    _must_exist(path)
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        metadata = json.loads(header[METADATA_KEY]) if METADATA_KEY in header else dict(header)
    except (safetensors.SafetensorError, json.JSONDecodeError, OSError) as error:
        raise _unreadable(path, "a safetensors file", error) from error
    return tensors, metadata


def save_torch(path: Path, state: object) -> None:
    """Write a training state (tensors, numbers, strings, containers of them) with `torch.save`, whole or not at all."""
    with replacing(path) as file:
        torch.save(state, file)


def load_torch(path: Path) -> Any:
    """What `torch.save` wrote, on the CPU; only tensors, numbers, strings and containers of these are let in.

    Raises Unavailable when there is no such file, CorruptWeights when it is truncated, no PyTorch file or holds code.
    """
    _must_exist(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, zipfile.BadZipFile, OSError, ValueError) as error:
        raise _unreadable(path, "a PyTorch file of plain tensors", error) from error


def sha256_of(path: Path) -> str:
    """The file's sha256 as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes `path`'s place when the block ends well, and leaves no trace when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def quantise_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round a weight to int8, one scale for each output channel.

    weight: (O, …) float. Returns (O, …) int8 in [-127, 127] and (O, 1, …) float32 scales; weight ≈ int8 × scale.
    """
    rows = weight.detach().float().flatten(1)
    scale = rows.abs().amax(dim=1).clamp_min(torch.finfo(torch.float32).tiny) / 127
    shape = (-1,) + (1,) * (weight.ndim - 1)
    scale = scale.view(shape)
    return (weight.detach().float() / scale).round().clamp(-127, 127).to(torch.int8), scale


def pack(tensors: Mapping[str, Tensor], storage: str) -> dict[str, Tensor]:
    """Float tensors made small for shipping: "float32", "bfloat16" or "int8".

    int8 takes only weights with two or more axes; vectors (biases, norms) stay float32: they are few and they matter.
    """
    if storage not in STORAGES:
        raise ValueError(f"storage {storage!r} is not known; it is one of {', '.join(STORAGES)}")
    packed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            packed[name] = tensor
        elif storage == "int8":
            if tensor.ndim < 2:
                packed[name] = tensor.float()
            else:
                packed[name], packed[name + SCALE_SUFFIX] = quantise_int8(tensor)
        else:
            packed[name] = tensor.to(getattr(torch, storage))
    return packed


def unpack(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The opposite of `pack`: every float tensor as float32, int8 weights multiplied out by their scales."""
    plain: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(SCALE_SUFFIX):
            continue
        scale = tensors.get(name + SCALE_SUFFIX)
        if scale is not None:
            plain[name] = tensor.float() * scale.float()
        else:
            plain[name] = tensor.float() if tensor.is_floating_point() else tensor
    return plain


def _must_exist(path: Path) -> None:
    if not path.is_file():
        raise Unavailable(f"weights file {path} is not there")


def _unreadable(path: Path, expected: str, error: Exception) -> CorruptWeights:
    reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
    size = path.stat().st_size if path.exists() else 0
    return CorruptWeights(f"{path} ({size:,} bytes) cannot be read as {expected}: {reason}. Fetch or make it again.")


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut; Windows neither needs nor allows it."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
