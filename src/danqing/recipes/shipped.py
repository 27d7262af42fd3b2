"""What recipes build upon that is shipped already: the backbone, and language models to go on from."""

from __future__ import annotations

from pathlib import Path

from danqing.catalog import catalog
from danqing.compute import checkpoint, device
from danqing.encode.text import Vocabulary
from danqing.techniques import sequence
from danqing.techniques.backbone import Backbone, Config, Extractor
from danqing.training import image_metrics, language


def backbone(path: str = "") -> Extractor:
    """The frozen backbone from a weights file, or the one that ships where `path` is empty."""
    tensors, about = checkpoint.load_weights(Path(path)) if path else catalog.weights("perceptual")
    net = Backbone(Config(**about["config"]))
    net.load_state_dict(checkpoint.unpack(tensors))
    return Extractor(net, device.choose())


def space() -> image_metrics.Space:
    """The feature space that generators are measured in: the backbone that ships."""
    return image_metrics.Space("perceptual", catalog.sha256("perceptual"), backbone())


def go_on_from(start: str, model: sequence.Model, vocabulary: Vocabulary) -> None:
    """Give the model the weights of `start`: a weights file, or the name of a language model that ships.

    Tokens are matched by name, see `language.take_over`. Raises BadRequest where the two do not fit.
    """
    language.take_over(model, vocabulary, *language_model(start))


def language_model(start: str) -> tuple[sequence.Model, Vocabulary]:
    """The model and the vocabulary of `start`: a weights file, or the name of a language model that ships."""
    known = (
        catalog.weights(start)
        if any(card.name == start for card in catalog.cards())
        else checkpoint.load_weights(Path(start))
    )
    return language.restore(*known)[:2]
