"""Painting models from elsewhere, `hf:NAME`, through the diffusers library: for those who are online.

The extra `hub` brings the library. Only safetensors weights are read and no code of a model's is run. Progress and
cancellation go through the same callback as with our own.
"""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from danqing.artwork.request import OnStep, Step
from danqing.compute.device import Compute
from danqing.errors import BadRequest, Unavailable

PREFIX = "hf:"
INSTALL = "pip install 'danqing[hub]'"
MULTIPLE = 8  # px: sides that the latents of such models stand for
STEPS = 25


def load(name: str, compute: Compute) -> Any:
    """The text-to-image pipeline of `hf:NAME`: a name on the hub, or a folder that the library saved.

    Raises BadRequest for a name that cannot be one, Unavailable without the library, the network or such a model.
    """
    given = name.removeprefix(PREFIX).strip()
    if not name.startswith(PREFIX) or not given or any(c.isspace() for c in given):
        raise BadRequest(f"--model is {name!r}; write hf: and a name as on the hub, such as hf:segmind/tiny-sd")
    library = _library()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library's own, of what will change in it
            pipeline = library.AutoPipelineForText2Image.from_pretrained(
                given, use_safetensors=True, torch_dtype=compute.dtype
            )
    except Exception as error:  # the library and its network layers raise dozens of kinds; each means: not to be had
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        where = "the folder has no model that can be read" if Path(given).is_dir() else "it could not be fetched"
        raise Unavailable(
            f"model {name!r}: {where} ({first}). It needs a network the first time, and a text-to-image model with "
            "safetensors weights; leave --model out for Danqing's own"
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(compute.device)


def paint(pipeline: Any, prompt: str, size: tuple[int, int], generator: torch.Generator, on_step: OnStep) -> Tensor:
    """The pipeline's picture of a prompt. size: (height, width), px; the model is asked for the next multiples of 8.

    Returns (1, 3, height, width) float32 in [0, 1]. Raises Cancelled through `on_step`.
    """
    height, width = (-(-side // MULTIPLE) * MULTIPLE for side in size)

    def told(pipe: Any, index: int, timestep: Any, kept: Mapping[str, Any]) -> Mapping[str, Any]:
        on_step(Step(index + 1, STEPS, "denoising"))
        return kept

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = pipeline(
            prompt,
            height=height,
            width=width,
            num_inference_steps=STEPS,
            generator=generator,
            callback_on_step_end=told,
            output_type="pt",
        ).images
    picture: Tensor = made[:1, :, : size[0], : size[1]].float().cpu().clamp(0, 1)
    return picture


def _library() -> Any:
    try:
        library = importlib.import_module("diffusers")
    except ImportError as error:
        raise Unavailable(f"models named hf:… need the diffusers library, which is not here: {INSTALL}") from error
    logging.getLogger("diffusers").setLevel(logging.ERROR)
    return library
