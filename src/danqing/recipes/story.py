"""`story`: stories, plays and free verse, in English (pieces of words) or Chinese (characters); one model a language.

Data: for English english-stories, english-verse and tinyshakespeare; for Chinese chinese-novels and luxun (.txt.xz in
the folder or its `text`); or files=. for every .txt of one's own folder, or files=name:kind,… with the kinds story,
prose, verse, script. What a sequence looks like: `training.prose`. One work in twenty is held out by its content: a
book where a file has many, else a chapter. Perplexity is of one piece (English) or one character (Chinese).

Budget: ≤ 40 min on one CPU core for each language; the larger variant (width=512 depth=12 heads=8 tokens=32768
steps=8000) ≤ 25 min on one data-centre GPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from danqing.artwork.request import OnStep
from danqing.encode import text
from danqing.recipes import Recipe, shipped
from danqing.techniques import sequence
from danqing.training import language, prose, texts
from danqing.training.run import Run
from danqing.training.texts import Sample

FILES = {
    "en": "english-stories:story,english-verse:verse,tinyshakespeare:script",
    "zh": "chinese-novels:story,luxun:prose",
}
EMA = 0.99  # of the averaged weights: a run has few steps
PROBES = 40  # held-out passages of each kind that are looked at while training goes on
MEASURED = 250  # and that are measured at the end


@dataclass(frozen=True)
class Config:
    """Settings of one training run."""

    language: str = "en"  # | "zh"
    files: str = ""  # name:kind,… in --data or its `text`; "" is the language's own; "." every .txt as stories
    pieces: int = 6000  # of the English vocabulary
    start: str = ""  # weights to go on from: a file, or the name of a model that ships
    architecture: str = "transformer"  # | "lstm" | "gru"
    width: int = 256
    depth: int = 4
    heads: int = 4
    context: int = 256
    plain: float = 0.6  # share of the passages of stories that is read: those of the commonest words
    dropout: float = 0.0
    tokens: int = 4096  # of a batch
    steps: int = 2500
    minutes: float = 40.0
    checkpoint_s: float = 120.0  # seconds between checkpoints
    rate: float = 6e-3  # peak learning rate
    storage: str = "int8"
    seed: int = 6

    @classmethod
    def tiny(cls) -> Config:
        """A few seconds on a CPU, for tests."""
        return cls(files=".", pieces=400, width=32, depth=2, heads=2, context=64, tokens=256, steps=4, checkpoint_s=0)


def train(config: Config, root: Path, run: Run, on_step: OnStep) -> dict[str, float]:
    """Train and save. Returns what `evaluate` returns."""
    library = _library(config, root)
    if config.start:  # what it was taught is known by the names of its tokens
        _, known = shipped.language_model(config.start)
        library = replace(library, vocabulary=text.extended(known, prose.SPECIALS))
    torch.manual_seed(config.seed)
    model = sequence.build(
        sequence.Config(
            len(library.vocabulary),
            config.width,
            config.depth,
            config.heads,
            config.context,
            architecture=config.architecture,
            dropout=config.dropout,
        )
    )
    if config.start:
        shipped.go_on_from(config.start, model, library.vocabulary)
    reader = prose.Sequencer(library, library.training, config.context, config.plain)
    stream = texts.Stream(reader, len(reader.places), config.tokens, config.seed, pool=512)
    probes = [s for kind in passages(library, config.context, PROBES, roles=True).values() for s in kind]

    def loss(net: sequence.Model, batch: tuple[Tensor, ...]) -> Tensor:
        return sequence.loss(net, batch[0], batch[1])

    def watch(net: sequence.Model) -> Mapping[str, float]:
        return {"perplexity": language.score(net, probes).perplexity}

    plan = replace(language.plan(config), ema=EMA)
    final = language.fit(run, model, language.Lesson(stream.batch, loss, watch), plan, on_step)
    about = {
        "language": config.language,
        "topics": sorted(library.words),
        "people": library.people,
        "companions": reader.companions(),
    }
    language.save(run, final, library.vocabulary, about, config.storage)
    measured = evaluate(run, root)
    works = [work for part in library.held for work in part.works]
    language.report(
        run,
        measured,
        held_out_sha256=texts.fingerprint(works),
        held_out_works=len(works),
        parameters=sum(p.numel() for p in final.parameters()),
    )
    return measured


def evaluate(run: Run, root: Path) -> dict[str, float]:
    """Held-out perplexity per token for each kind of text, and bits per character over all, from the saved weights.

    `…_told`: of the passages that have people, with their people named before and standing as roles in them.
    """
    config = Config(**run.config)
    model, vocabulary, _ = language.load(run.folder / "weights.safetensors")
    library = replace(_library(config, root), vocabulary=vocabulary)
    measured, nats, characters = {}, 0.0, 0
    for kind, samples in passages(library, config.context, MEASURED).items():
        score = language.score(model, samples)
        measured[f"perplexity_{kind}"] = score.perplexity
        nats += score.nats
        characters += sum(_length(vocabulary, sample) for sample in samples)
    told = passages(library, config.context, MEASURED, roles=True)
    measured |= {
        f"perplexity_{kind}_told": language.score(model, told[kind]).perplexity for kind in told if kind in prose.TOLD
    }
    return {**measured, "bits_per_character": nats / max(1, characters) / float(np.log(2))}


def passages(library: prose.Library, context: int, count: int, roles: bool = False) -> dict[str, list[Sample]]:
    """kind → up to `count` held-out passages without key words, evenly from everything that was held out."""
    found: dict[str, list[Sample]] = {}
    for part in library.held:
        reader = prose.Sequencer(library, [part], context)
        places = list(dict.fromkeys(reader.places))
        every = places[:: max(1, len(places) // count)][:count]
        if every:
            found[part.kind] = [reader.sample(work, paragraph, (), roles=roles) for work, paragraph in every]
    return found


def _library(config: Config, root: Path) -> prose.Library:
    files = config.files or FILES.get(config.language, "")
    return prose.Library.load(root, files, config.language, config.pieces)


def _length(vocabulary: text.Vocabulary, sample: Sample) -> int:
    """Characters of the text that the sample's weights count."""
    kept: Iterable[int] = (t for t, w in zip(sample.tokens[1:], sample.weights, strict=True) if w)
    return len(vocabulary.decode(kept))


RECIPE = Recipe(
    name="story",
    purpose="Stories, plays and free verse in English (language=en) or Chinese (language=zh)",
    data="a folder with english-stories, english-verse and tinyshakespeare, or chinese-novels and luxun (.txt.xz); "
    "or files=. for .txt of one's own",
    config=Config,
    train=train,
    evaluate=evaluate,
)
