"""What recipes build upon that is shipped already: the backbone."""

from __future__ import annotations

from pathlib import Path

from danqing.catalog import catalog
from danqing.compute import checkpoint, device
from danqing.techniques.backbone import Backbone, Config, Extractor


def backbone(path: str = "") -> Extractor:
    """The frozen backbone from a weights file, or the one that ships where `path` is empty."""
    tensors, about = checkpoint.load_weights(Path(path)) if path else catalog.weights("perceptual")
    net = Backbone(Config(**about["config"]))
    net.load_state_dict(checkpoint.unpack(tensors))
    return Extractor(net, device.choose())
