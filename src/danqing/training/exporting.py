"""Networks as ONNX, for programs that know nothing of PyTorch; each is run by onnxruntime and compared before it stays.

A sampler takes `latents` (as many as one likes), `truncation` (a number) and, where it knows classes, `classes`; it
gives `pictures` in [-1, 1]. One that paints in steps (a flow) is written as one step, since the whole way would be a
graph of 32 copies of the network: `latents`, `time` and `length` in, `next` and `pictures` out; feed `next` back until
time 1, and look at the last pictures. `steps` in the file's metadata says how many it was measured with.

The backbone takes `pictures` in [0, 1] of its side and gives one output for each layer.
"""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from danqing.compute import checkpoint
from danqing.errors import TrainingFailed, Unavailable
from danqing.techniques.backbone import Backbone
from danqing.training.generators import Sampler

TOLERANCE = 1e-3  # largest difference from PyTorch, of a range of 2, that a file may have
PROBES = (1, 3)  # batch sizes that are compared


@dataclass(frozen=True)
class Exported:
    """What was written."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    error: float  # largest absolute difference between onnxruntime's numbers and PyTorch's


class _Paints(nn.Module):
    """A sampler as a network of tensors only."""

    def __init__(self, sampler: Sampler) -> None:
        super().__init__()
        self.networks = sampler.modules
        self.sampler = sampler

    def forward(self, latents: Tensor, truncation: Tensor, classes: Tensor | None = None) -> Tensor:
        return self.sampler.pictures(latents, classes, truncation)  # type: ignore[arg-type]


@runtime_checkable
class Stepping(Protocol):
    """A sampler that begins at its latents and goes `steps` steps of 1 / steps."""

    steps: int

    def step(self, latents: Tensor, time: Tensor, length: Tensor, classes: Tensor | None = None) -> Tensor:
        """The latents one step later."""
        ...

    def seen(self, latents: Tensor) -> Tensor:
        """The pictures of latents at the end of the way."""
        ...


class _Steps(nn.Module):
    """One step of such a sampler."""

    def __init__(self, sampler: Stepping, networks: nn.Module) -> None:
        super().__init__()
        self.networks = networks
        self.sampler = sampler

    def forward(
        self, latents: Tensor, time: Tensor, length: Tensor, classes: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        after = self.sampler.step(latents, time, length, classes)
        return after, self.sampler.seen(after)


class _Sees(nn.Module):
    def __init__(self, net: Backbone) -> None:
        super().__init__()
        self.net = net

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        maps = self.net(pictures, self.net.config.layers)
        return tuple(maps[layer] for layer in self.net.config.layers)


def export_sampler(sampler: Sampler, path: Path) -> Exported:
    """Write a generator. Raises Unavailable without the extra, TrainingFailed where the two do not agree."""

    def inputs(count: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(count)
        found = {"latents": sampler.draw(count, generator), **numbers}
        if sampler.classes:
            found["classes"] = torch.arange(count) % len(sampler.classes)
        return found

    if isinstance(sampler, Stepping):
        numbers = {"time": torch.tensor(0.25), "length": torch.tensor(1 / sampler.steps)}
        probes = [inputs(n) for n in PROBES]
        return _export(
            _Steps(sampler, sampler.modules), probes, ("next", "pictures"), path,
            still=tuple(numbers), metadata={"steps": str(sampler.steps)},
        )  # fmt: skip
    numbers = {"truncation": torch.tensor(0.7)}
    return _export(_Paints(sampler), [inputs(n) for n in PROBES], ("pictures",), path, still=("truncation",))


def export_backbone(net: Backbone, path: Path, size: int = 64) -> Exported:
    """Write a backbone; its pictures are (B, 3, size, size)."""
    generator = torch.Generator().manual_seed(0)
    probes = [{"pictures": torch.rand(n, 3, size, size, generator=generator)} for n in PROBES]
    return _export(_Sees(net), probes, net.config.layers, path)


def _export(
    net: nn.Module,
    probes: Sequence[dict[str, Tensor]],
    outputs: Sequence[str],
    path: Path,
    still: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
) -> Exported:
    """probes: inputs of several batch sizes, 2 pictures or more in the last. still: inputs that have no batch."""
    if missing := [name for name in ("onnx", "onnxruntime", "onnxscript") if importlib.util.find_spec(name) is None]:
        raise Unavailable(f"ONNX export needs {', '.join(missing)}; install it by: pip install 'danqing[export]'")
    net = net.eval().requires_grad_(False)
    batch = torch.export.Dim("batch", min=1)
    shapes: dict[str, Any] = {name: None if name in still else {0: batch} for name in probes[-1]}
    # The exporter speaks of its own future, and of torchvision, which nothing here needs.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            net, kwargs=dict(probes[-1]), dynamo=True, dynamic_shapes=shapes, output_names=list(outputs), verbose=False
        )
        assert program is not None
        # Where torch.export cannot follow a batch's size (len(x), chunk), the exporter quietly fixes it.
        if fixed := [v.name for v in program.model.graph.inputs if v.name not in still and isinstance(_first(v), int)]:
            raise TrainingFailed(f"this network takes {fixed[0]} of one number only, so it cannot be written as ONNX")
        program.model.metadata_props.update(metadata or {})
        content = program.model_proto.SerializeToString()
        names, error = _compared(net, content, probes)
    if not error <= TOLERANCE:
        raise TrainingFailed(
            f"onnxruntime's numbers are up to {error:.2g} off PyTorch's; {TOLERANCE:g} is allowed. Nothing was written"
        )
    with checkpoint.replacing(path) as file:
        file.write(content)
    return Exported(names, tuple(outputs), error)


def _first(value: Any) -> object:
    """The first axis of an ONNX value: a number, or the name of a size that may differ."""
    return value.shape[0] if value.shape else None


def _compared(net: nn.Module, content: bytes, probes: Sequence[dict[str, Tensor]]) -> tuple[tuple[str, ...], float]:
    """The inputs' names, and the largest absolute difference over all outputs of all probes."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = tuple(entry.name for entry in session.get_inputs())
    error = 0.0
    for probe in probes:
        expected = net(**probe)
        expected = (expected,) if isinstance(expected, Tensor) else expected
        found = session.run(None, {name: probe[name].numpy() for name in names})
        for one, other in zip(found, expected, strict=True):
            error = max(error, float((torch.from_numpy(one) - other).abs().max()))
    return names, error
