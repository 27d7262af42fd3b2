"""What is refused: a short list of words with their reasons, `policy.toml`, which a person may replace with their own.

It is a list and not a model, so that anyone can read what is refused and change it. It reads words, not intentions: it
stops what is asked for plainly and nothing else.
"""

from __future__ import annotations

import importlib.resources
import re
import tomllib
import unicodedata
from pathlib import Path

import platformdirs

from danqing.errors import BadRequest


def own_list() -> Path:
    """Where a person's own list is looked for."""
    return platformdirs.user_config_path("danqing") / "policy.toml"


def check(prompt: str) -> None:
    """Raises BadRequest with the reason where the prompt asks for something on the list."""
    text = unicodedata.normalize("NFKC", prompt).lower()
    path = own_list()
    written = path.read_text("utf-8") if path.is_file() else _shipped()
    try:
        rules = tomllib.loads(written)
        entries = [(str(rule["reason"]), [str(word).lower() for word in rule["words"]]) for rule in rules.values()]
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise BadRequest(f"{path} is no list of refusals ({error}); mend it or take it away") from None
    for reason, words in entries:
        for word in words:
            pattern = rf"\b{re.escape(word)}\b" if word.isascii() else re.escape(word)
            if re.search(pattern, text):
                raise BadRequest(f"the prompt says {word!r}, and {reason}. The list: {path} or Danqing's own")


def _shipped() -> str:
    return importlib.resources.files("danqing.arts").joinpath("policy.toml").read_text("utf-8")
