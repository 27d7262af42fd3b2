"""A catalog with music models that have learned nothing, for tests that need one."""

from __future__ import annotations

from pathlib import Path

import torch

from danqing.artwork.music import Note
from danqing.catalog.catalog import Catalog
from danqing.compute import checkpoint
from danqing.encode import melodies, tunes
from danqing.encode.melodies import Line
from danqing.encode.origins import Filter
from danqing.techniques import chorale, music_vae, sequence
from danqing.training import jazz, music, phrases, piano, pop, repertoire

CARD = """name = "{name}"
purpose = "a model of the tests"
rights = "open"
licence = "Apache-2.0"
data = []
parameters = 1
storage = "float32"
sha256 = "{sha256}"
limits = []
[made]
command = "none"
hours = 0.0
hardware = "none"
seed = 0
"""
# A tune that the models are said to have learned from: four bars of quarters in C.
FAMOUS = (60, 64, 62, 65, 64, 67, 65, 69, 67, 71, 69, 72, 71, 67, 65, 60)


def line(pitches: tuple[int, ...], duration: int = 1) -> tuple[Note, ...]:
    from fractions import Fraction

    return tuple(Note(Fraction(i * duration), pitch, Fraction(duration)) for i, pitch in enumerate(pitches))


def card(root: Path, name: str) -> None:
    """The card of a weights file that is there."""
    sha256 = checkpoint.sha256_of(root / "weights" / f"{name}.safetensors")
    (root / "cards" / f"{name}.toml").write_text(CARD.format(name=name, sha256=sha256), encoding="utf-8")


HEADINGS = {  # how the pieces began that the models are said to have learned from
    "piano": [("haydn", "sonata", 6, 15, 92.0), ("haydn", "sonata", 1, 7, 0.0), ("chopin", "etude", 2, 1, 176.0)],
    "pop": [("pop", "", 2, 10, 69.0)],
}


def catalog(root: Path) -> Catalog:
    """chorale, chorale_orderless, folk, phrases, piano, pop, jazz and the filters of FAMOUS."""
    import dataclasses

    for folder in ("cards", "weights"):
        (root / folder).mkdir(parents=True)
    torch.manual_seed(3)
    for name, kind in (("chorale", "writer"), ("chorale_orderless", "filler")):
        net = chorale.build(chorale.Config(kind, width=16, depth=1, heads=2, reader=1))
        torch.nn.init.normal_(net.output, std=0.3)
        music.save(root / "weights" / f"{name}.safetensors", net, "float32")
        card(root, name)
    for name, words in (
        ("folk", tunes.VOCABULARY),
        ("piano", piano.vocabulary()),
        ("pop", pop.vocabulary()),
        ("jazz", jazz.vocabulary()),
    ):
        config = sequence.Config(len(words), width=16, depth=1, heads=2, context=512)
        header = {
            "architecture": "sequence",
            "config": dataclasses.asdict(config),
            "vocabulary": words.to_json(),
            repertoire.HEADINGS: HEADINGS.get(name, []),
        }
        checkpoint.save_weights(root / "weights" / f"{name}.safetensors", sequence.build(config).state_dict(), header)
        card(root, name)
    vae = music_vae.build(music_vae.Config(latent=8, encoder=8, decoder=16))
    phrases.save(root / "weights" / "phrases.safetensors", vae, "float32")
    card(root, "phrases")
    from fractions import Fraction

    known = melodies.entries([Line(line(FAMOUS), Fraction(4))])
    bits = torch.from_numpy(Filter.of(known, 40).bits)
    for name in ("tune_origins", "song_origins"):
        path = root / "weights" / f"{name}.safetensors"
        checkpoint.save_weights(path, {"passages": bits}, {"architecture": "tune_origins"})
        card(root, name)
    return Catalog(root, root / "downloads")
