"""What composing and judging music share: the models, the tunes they learned from, what was asked of a piece."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from danqing.artwork.music import ZERO, Key, Note, Score, Tempo
from danqing.artwork.request import Step
from danqing.encode import melodies
from danqing.encode.melodies import Known, Line, Passage
from danqing.errors import DanqingError, Unavailable

if TYPE_CHECKING:
    from danqing.arts import Tools
    from danqing.arts.compose import Compose
    from danqing.catalog.catalog import Catalog
    from danqing.catalog.own import Own
    from danqing.training.repertoire import Heading

CHORALE, ORDERLESS, FOLK, KNOWN = "chorale", "chorale_orderless", "folk", "tune_origins"  # names in the catalog
PHRASES = "phrases"
TUNED = "chorale_tuned"  # the same network as CHORALE, which breaks fewer rules: for new pieces, where it is installed
PIANO, POP, JAZZ = "piano", "pop", "jazz"
SUNG = "song_origins"  # as KNOWN, of the songs and solos that POP and JAZZ learned from
ROUNDS = 4  # times that a piece is drawn again before it is given up
# Keys that a piece may be in where nobody says: (tonic, mode), those that singers and fiddlers like.
USUAL = {
    "major": ("C", "D", "Eb", "F", "G", "A", "Bb"),
    "minor": ("C", "D", "E", "F#", "G", "A", "B"),
}

T = TypeVar("T")


@dataclass
class Desk:
    """One request at work: what was asked, with what, and what is to be told of it afterwards."""

    request: Compose
    tools: Tools
    seed: int
    models: dict[str, str] = field(default_factory=dict)  # name → sha256, of those that were used
    notes: list[str] = field(default_factory=list)

    @cached_property
    def catalog(self) -> Catalog:
        """Where the models are, a person's own in its place."""
        from danqing.catalog import own

        there = self.tools.styles.catalog
        return own.in_place(there, self.own) if self.own else there

    @cached_property
    def own(self) -> Own | None:
        """The model of a person's own that was asked for. Raises BadRequest, UnknownName."""
        from danqing.catalog import own

        return own.check(self.request.model, "compose") if self.request.model else None

    @cached_property
    def generator(self) -> torch.Generator:
        """All chance in this request."""
        from danqing.compute import seed as seeds

        return seeds.generator(self.seed)

    @cached_property
    def source(self) -> Score:
        """The piece that is worked on. Raises InvalidMedia."""
        from danqing.artwork import scores

        assert self.request.source is not None
        return scores.read(self.request.source)

    @cached_property
    def manner(self) -> str:
        """The style: as asked for; of a model of a person's own the first that it writes.

        For a piece that is gone on with or filled in folk where it has one voice, else chorale.
        """
        from danqing.arts import sources
        from danqing.arts.compose import styles_of

        if self.own and not self.request.manner:
            return styles_of(self.own.places[0])[0]
        if self.request.manner or self.request.task not in ("continue_", "infill"):
            return self.request.manner or "chorale"
        return "folk" if len(sources.voices(self.source)) == 1 else "chorale"

    def note(self, text: str) -> None:
        """Tell the person something about the work; once."""
        if text not in self.notes:
            self.notes.append(text)

    def step(self, stage: str) -> Callable[[int, int], None]:
        """Progress of a technique, told under a name."""
        return lambda done, total: self.tools.on_step(Step(done, total, stage))

    def has(self, name: str) -> bool:
        """Whether the catalog has this model."""
        return name in {card.name for card in self.catalog.cards()}

    def model(self, name: str) -> Any:
        """A model of the catalog; its hash goes into the provenance. Raises Unavailable where it is not here."""
        if not self.has(name):
            raise Unavailable(f"the model {name!r} is not in this installation; models that are: danqing models")
        model = _opened(self.catalog, name)
        self.models[name] = self.catalog.sha256(name)
        return model

    def words(self, name: str) -> Any:
        """The vocabulary of a model that writes tokens (`encode.text`)."""
        return _words(self.catalog, name)

    def headings(self, name: str) -> Sequence[Heading]:
        """How the pieces begin that a model learned from; none where its file does not say."""
        return _headings(self.catalog, name)

    def chance(self) -> float:
        """A number in [0, 1)."""
        return float(torch.rand((), generator=self.generator))

    def chosen(self, options: Sequence[T]) -> T:
        """One of these, by chance."""
        return options[int(torch.randint(len(options), (), generator=self.generator))]

    @cached_property
    def key(self) -> Key:
        """The key that was asked for, or one that suits the mood."""
        from danqing.arts.compose import MOODS, read_key

        if self.request.key:
            return read_key(self.request.key)
        mode = MOODS[self.request.feeling][0] if self.request.feeling else self.chosen(("major", "major", "minor"))
        return Key(ZERO, self.chosen(USUAL[mode]), mode)

    def tempo(self, usual: float) -> float:
        """Quarter notes a minute: as asked for, or the usual ones, changed by the mood."""
        from danqing.arts.compose import MOODS

        if self.request.tempo is not None:
            return self.request.tempo
        return round(usual * (MOODS[self.request.feeling][1] if self.request.feeling else 1.0))

    def with_tempo(self, score: Score) -> Score:
        """The piece at the tempo that was asked for, at its own otherwise."""
        given = self.request.tempo
        return score if given is None else replace(score, tempos=(Tempo(ZERO, given),))

    # --- what was there before ------------------------------------------------------------------------------------

    @cached_property
    def known(self) -> Known | None:
        """The tunes that the model of this style learned from; None where they are not at hand."""
        return known(self.catalog, self.manner)

    def copied(self, melody: Iterable[Note], bar: Fraction, since: Fraction = ZERO) -> Passage | None:
        """The longest passage of a melody from `since` on that is one of theirs; None for none."""
        if self.known is None:
            return None
        line = Line(tuple(note for note in melody if note.onset >= since), bar)
        return self.known.longest(melodies.evened(line) if self.manner in (POP, JAZZ) else line)

    def drawn(self, draw: Callable[[], Sequence[T]], copied: Callable[[T], bool], what: str) -> list[T]:
        """As many works as were asked for, the best of each draw that is no copy and that was not drawn before.

        draw: candidates, the best first. Raises DanqingError where ROUNDS draws for one work gave none.
        """
        made: list[T] = []
        withheld = 0
        for _ in range(self.request.count):
            found: T | None = None
            for _ in range(ROUNDS):
                fresh = [one for one in draw() if one not in made]
                new = [one for one in fresh if not copied(one)]
                withheld += len(fresh) - len(new) if not new else 0
                if new:
                    found = new[0]
                    break
            if found is None:
                raise DanqingError(
                    f"{len(made)} of {self.request.count} {what} could be made: every other draw shares more than two "
                    "bars of melody with a tune that the model learned from, or is one already made; try another "
                    "--seed or a higher --temperature"
                )
            made.append(found)
        if withheld:
            drafts = "a draft was" if withheld == 1 else f"{withheld} drafts were"
            self.note(f"{drafts} withheld: more than two bars of melody are a known tune's")
        return made


@functools.lru_cache(maxsize=4)
def _opened(catalog: Catalog, name: str) -> Any:
    """Reading and checking the weights takes longer than a piece: they are kept."""
    from danqing.training import language, music, phrases

    tensors, about = catalog.weights(name)
    if about.get("architecture") == "music_vae":
        return phrases.restore(tensors, about)
    if about.get("architecture") == "chorale":
        return music.restore(tensors, about)
    return language.restore(tensors, about)[0]


@functools.lru_cache(maxsize=4)
def _words(catalog: Catalog, name: str) -> Any:
    from danqing.encode import text

    return text.from_json(catalog.weights(name)[1]["vocabulary"])


@functools.lru_cache(maxsize=4)
def _headings(catalog: Catalog, name: str) -> Sequence[Heading]:
    from danqing.training import repertoire

    return [repertoire.Heading(*row) for row in catalog.weights(name)[1].get(repertoire.HEADINGS, ())]


def known(catalog: Catalog, manner: str = "") -> Known | None:
    """The passages of the tunes that the models of a style learned from; None where they are not at hand."""
    name = SUNG if manner in (POP, JAZZ) else KNOWN
    return _filter(catalog, name) if name in {card.name for card in catalog.cards()} else None


@functools.lru_cache(maxsize=2)
def _filter(catalog: Catalog, name: str) -> Known:
    tensors, about = catalog.weights(name)
    return Known({name: bits.numpy() for name, bits in tensors.items()}, about)
