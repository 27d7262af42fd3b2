"""Picks the device, the precision and the memory layout that were measured fastest there, once, for every room.

On x86 with AMX or AVX512-BF16, convolutions in bfloat16 with channels-last memory are four to five times faster than
fp32 in the default layout (`python benchmarks/stylize.py --only vgg`); casting the weights once beats autocast, which
casts them again at every call. On processors without bf16 instructions bf16 is emulated and slow, so fp32 stays.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from danqing.compute import memory
from danqing.errors import BadRequest

DEVICES = ("cpu", "cuda", "mps")


@dataclass(frozen=True)
class Compute:
    """A device with the dtype and layout that convolutional networks run fastest in there."""

    device: torch.device
    dtype: torch.dtype
    layout: torch.memory_format
    why: str

    def tensor(self, x: Tensor) -> Tensor:
        """A picture batch (B, C, H, W) of any float dtype, moved to this device, dtype and layout."""
        return x.to(self.device, self.dtype).contiguous(memory_format=self.layout)

    def frozen(self, module: nn.Module) -> nn.Module:
        """The module in evaluation mode, its weights cast once and taking no gradient."""
        module = module.eval().requires_grad_(False)
        module.to(device=self.device, dtype=self.dtype, memory_format=self.layout)  # type: ignore[call-overload]
        return module

    def __str__(self) -> str:
        layout = "channels-last" if self.layout == torch.channels_last else "contiguous"
        return f"{self.device.type}, {str(self.dtype).removeprefix('torch.')}, {layout} ({self.why})"


def cpu_flags() -> frozenset[str]:
    """The processor's instruction sets as Linux names them; empty where the system does not say."""
    info = Path("/proc/cpuinfo")
    if platform.system() != "Linux" or not info.exists():
        return frozenset()
    for line in info.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("flags"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


def choose(device: str | None = None) -> Compute:
    """The compute for `device`, or for $DANQING_DEVICE, or for the best that is here: CUDA, then MPS, then the CPU."""
    memory.keep_freed()
    name = device or os.environ.get("DANQING_DEVICE") or _best()
    if name not in DEVICES:
        raise BadRequest(f"device {name!r} is not known; it is one of {', '.join(DEVICES)}")
    if name == "cuda":
        if not torch.cuda.is_available():
            raise BadRequest("device 'cuda' was asked for, but PyTorch sees no CUDA device here; leave --device out")
        # bf16 halves memory traffic and needs no loss scaling; Volta and older have no bf16 units.
        fast = torch.cuda.get_device_capability()[0] >= 8
        dtype = torch.bfloat16 if fast else torch.float32
        return Compute(torch.device("cuda"), dtype, torch.channels_last, torch.cuda.get_device_name())
    if name == "mps":
        if not torch.backends.mps.is_available():
            raise BadRequest("device 'mps' was asked for, but PyTorch sees no Apple GPU here; leave --device out")
        return Compute(torch.device("mps"), torch.float32, torch.contiguous_format, "Apple GPU")
    return _cpu()


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _cpu() -> Compute:
    flags = cpu_flags()
    for flag, why in (("amx_bf16", "AMX bf16 tiles"), ("avx512_bf16", "AVX512-BF16")):
        if flag in flags:
            return Compute(torch.device("cpu"), torch.bfloat16, torch.channels_last, why)
    return Compute(torch.device("cpu"), torch.float32, torch.channels_last, "no bf16 instructions")
