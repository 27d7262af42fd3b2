"""Language models from elsewhere, `hf:NAME`, read through the transformers library and written with like our own.

The extra `hub` brings the library. Only safetensors weights are read and no code of a model's is run, so a name can be
tried safely. Constraints that think in characters see a model's tokens through `Pieces`: a token that is one whole
character stands for it, every other token is no character, so that where a form asks for one, only those can come.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from danqing.compute import device
from danqing.errors import BadRequest, Unavailable

PREFIX = "hf:"
INSTALL = "pip install 'danqing[hub]'"


class Pieces:
    """A tokenizer of transformers, with the methods of the vocabularies in `encode.text`."""

    def __init__(self, tokenizer: Any, size: int) -> None:
        """size: width of the model's logits, which may be more than the tokenizer's tokens."""
        self.tokenizer, self.size = tokenizer, size
        special = {int(i) for i in tokenizer.all_special_ids}
        self.special = special | set(range(len(tokenizer), size))
        ends = (tokenizer.eos_token_id, tokenizer.sep_token_id)
        self.end = next((int(i) for i in ends if i is not None), None)

    def __len__(self) -> int:
        return self.size

    def encode(self, text: str) -> list[int]:
        """The text's tokens, no special ones added."""
        return [int(i) for i in self.tokenizer.encode(text, add_special_tokens=False)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text; special tokens are left out. A Chinese model's spaces between its tokens are none of ours."""
        known = [int(i) for i in ids if int(i) not in self.special]
        text = str(self.tokenizer.decode(known, clean_up_tokenization_spaces=False))
        tokens = self.tokenizer.convert_ids_to_tokens(known)
        return "".join(text.split(" ")) if len(known) > 1 and all(map(_bare, tokens)) else text

    def has(self, special: str) -> bool:
        """Whether there is such a token: "<end>", a special token by its own name, or a character."""
        return self._find(special) is not None

    def id(self, special: str) -> int:
        """The token of "<end>", of a special token by its own name, or of a character; KeyError where there is none."""
        found = self._find(special)
        if found is None:
            raise KeyError(special)
        return found

    def token(self, number: int) -> str:
        """The text of one token; of a special one its name."""
        if number in self.special:
            return str(self.tokenizer.convert_ids_to_tokens([number])[0]) if number < len(self.tokenizer) else ""
        return self.decode([number])

    def unknown_in(self, text: str) -> list[str]:
        """The characters of `text` that the tokenizer loses, each once, in order."""
        unknown = self.tokenizer.unk_token_id
        return [c for c in dict.fromkeys(text) if not c.isspace() and unknown in self.encode(c)]

    def beginning(self) -> list[int]:
        """The tokens that begin a text, before anything a person gave; never none."""
        for i in (self.tokenizer.bos_token_id, self.tokenizer.cls_token_id, self.end):
            if i is not None:
                return [int(i)]
        return self.encode("\n") or [0]

    def _find(self, special: str) -> int | None:
        if special == "<end>":
            return self.end
        found = self.tokenizer.convert_tokens_to_ids(special)
        if found is not None and found != self.tokenizer.unk_token_id:
            return int(found)
        alone = self.encode(special)
        return alone[0] if len(alone) == 1 and self.decode(alone) == special else None


def _bare(token: str) -> bool:
    """Whether a token is plain Chinese text, that is with no mark of its own for spaces."""
    return all("\u2e80" <= c <= "\uffef" for c in token)


@dataclass
class _Held:
    """The library's cache, in the shape of `sequence.Memory`."""

    cache: Any  # None before the first token
    length: int = 0

    def pick(self, rows: Sequence[int]) -> _Held:
        self.cache.reorder_cache(torch.tensor(list(rows)))
        return self


class Guest:
    """A causal language model of the library with the interface of `sequence.Model` that sampling asks for."""

    def __init__(self, model: Any) -> None:
        self.model = model.eval().requires_grad_(False)
        limits = (getattr(model.config, name, None) for name in ("max_position_embeddings", "n_positions"))
        self._window = next((int(limit) for limit in limits if limit), None)

    @property
    def window(self) -> int | None:
        """How many tokens fit the memory; None where the model says nothing of it."""
        return self._window

    @property
    def vocabulary(self) -> int:
        """Width of the logits."""
        return int(self.model.get_output_embeddings().weight.shape[0])

    def start(self, batch: int) -> _Held:
        """An empty memory."""
        return _Held(None)

    @torch.inference_mode()
    def step(self, tokens: Tensor, memory: _Held) -> tuple[Tensor, _Held]:
        """Read on: tokens (B, n) int64. Returns the logits after the last one, (B, V), and the memory, grown by n."""
        length = memory.length + tokens.shape[1]
        if self._window is not None and length > self._window:
            raise BadRequest(f"{length} tokens are more than the model's context of {self._window}")
        out = self.model(tokens.to(self.model.device), past_key_values=memory.cache, use_cache=True, logits_to_keep=1)
        return out.logits[:, -1], _Held(out.past_key_values, length)


def load(name: str) -> tuple[Guest, Pieces]:
    """The model and the vocabulary of `hf:NAME`: a name on the hub, or a folder that the library saved.

    Raises BadRequest for a name that cannot be one, Unavailable without the library, the network or such a model.
    """
    given = name.removeprefix(PREFIX).strip()
    if not given or any(c.isspace() for c in given):
        raise BadRequest(f"--model is {name!r}; write hf: and a name as on the hub, such as hf:openai-community/gpt2")
    library = _library()
    compute = device.choose()
    try:
        tokenizer = library.AutoTokenizer.from_pretrained(given, trust_remote_code=False)
        model = library.AutoModelForCausalLM.from_pretrained(
            given, trust_remote_code=False, use_safetensors=True, dtype=compute.dtype
        )
    except Exception as error:  # the library and its network layers raise dozens of kinds; each means: not to be had
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        where = (
            "the folder has no model that can be read" if Path(given).is_dir() else "it could not be fetched or read"
        )
        raise Unavailable(
            f"model {name!r}: {where} ({first}). It needs a network the first time, and a causal language model "
            "with safetensors weights; leave --model out for Danqing's own"
        ) from error
    guest = Guest(model.to(compute.device))
    return guest, Pieces(tokenizer, guest.vocabulary)


def _library() -> Any:
    try:
        library = importlib.import_module("transformers")
    except ImportError as error:
        raise Unavailable(f"models named hf:… need the transformers library, which is not here: {INSTALL}") from error
    logging.getLogger("transformers").setLevel(logging.ERROR)
    return library
