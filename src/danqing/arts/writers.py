"""What writing and judging share: the models with their vocabularies, the filters, the tunes, scripts and topics."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from danqing.appraisal import imagery
from danqing.artwork.literature import Writing, language_of
from danqing.encode.script import to_simplified, to_traditional
from danqing.encode.text import END, Controls, prompt
from danqing.errors import BadRequest, Unavailable, UnknownName

if TYPE_CHECKING:
    from danqing.appraisal.forms import Tune
    from danqing.appraisal.literature import Report
    from danqing.arts import Tools
    from danqing.arts.write import Write
    from danqing.catalog.catalog import Catalog
    from danqing.catalog.own import Own
    from danqing.encode.origins import Origins
    from danqing.techniques.decoding import Sample

POET, LSTM, REVISER, ORIGINS = "poet", "poet_lstm", "reviser", "origins"  # names in the catalog
STORY = {"zh": "story_zh", "en": "story_en"}
TUNES = Path(__file__).parents[1] / "catalog" / "tunes.toml"
MOST_TOPICS = 4
DYNASTIES = {"tang": "唐", "song": "宋", "唐": "唐", "宋": "宋", "唐代": "唐", "宋代": "宋", "唐朝": "唐", "宋朝": "宋"}


@dataclass(frozen=True)
class Writer:
    """A language model that is ready to write."""

    name: str
    model: Any  # sequence.Model, or hub.Guest
    vocabulary: Any  # encode.text.Characters or Pieces, or hub.Pieces
    about: dict[str, Any]  # the header of its weights
    guest: bool = False  # from elsewhere: it knows no controls

    @property
    def end(self) -> int:
        """The token that ends a text; one that never comes where the model has none."""
        return int(self.vocabulary.id(END)) if self.vocabulary.has(END) else -1

    @property
    def never(self) -> frozenset[int]:
        """The tokens that are no text: controls, the unknown character."""
        v = self.vocabulary
        special = v.special if self.guest else {v.id(name) for name in v.specials}
        return frozenset(special) - {self.end}

    def before(self, controls: Controls, lead: str = "") -> list[int]:
        """What the text follows: controls for our own models, for others the words themselves."""
        if self.guest:
            return [*self.vocabulary.beginning(), *self.vocabulary.encode(lead)]
        return prompt(self.vocabulary, controls)

    def gains(self, lead: Sequence[int], ways: Sequence[Sample]) -> list[float]:
        """How much likelier each way is where it was written than after `lead` alone, in nats a token; guests say 0."""
        from danqing.techniques import decoding

        if self.guest:
            return [0.0] * len(ways)
        alone = decoding.likelihoods(self.model, lead, [way.tokens for way in ways])
        return [way.likelihood - single for way, single in zip(ways, alone, strict=True)]


@dataclass
class Desk:
    """One request at work: what was asked, with what, and what is to be told of it afterwards."""

    request: Write
    tools: Tools
    seed: int
    models: dict[str, str] = field(default_factory=dict)  # name → sha256, of those that were used
    notes: list[str] = field(default_factory=list)

    @functools.cached_property
    def catalog(self) -> Catalog:
        """Where the models are, a person's own in its place."""
        from danqing.catalog import own

        there = self.tools.styles.catalog
        return own.in_place(there, self.own) if self.own else there

    @functools.cached_property
    def own(self) -> Own | None:
        """The model of a person's own that was asked for. Raises BadRequest, UnknownName."""
        from danqing.catalog import own

        name = self.request.model
        return None if name in ("own", "lstm") or name.startswith("hf:") else own.check(name, "write")

    def note(self, text: str) -> None:
        """Tell the person something about the work; once."""
        if text not in self.notes:
            self.notes.append(text)

    def writer(self, name: str) -> Writer:
        """A model of the catalog, or the one from elsewhere that was asked for; its hash goes into the provenance."""
        if self.request.model.startswith("hf:"):
            writer = _fetched(self.request.model)
            self.models[writer.name] = writer.about["commit"]
            return writer
        _check_there(self.catalog, name)
        writer = _opened(self.catalog, name)
        self.models[name] = self.catalog.sha256(name)
        return writer

    def words(self, text: str | None) -> str:
        """What the person wrote, in simplified characters, without blanks at its ends."""
        return to_simplified((text or "").strip())


@functools.lru_cache(maxsize=4)
def _opened(catalog: Catalog, name: str) -> Writer:
    """Reading and checking the weights takes longer than a poem: they are kept."""
    from danqing.training import language

    model, vocabulary, about = language.restore(*catalog.weights(name))
    model.quick = True
    return Writer(name, model, vocabulary, about)


@functools.lru_cache(maxsize=1)
def _fetched(name: str) -> Writer:
    from danqing.techniques import hub

    guest, pieces = hub.load(name)
    commit = str(getattr(guest.model.config, "_commit_hash", None) or "unknown")
    return Writer(name, guest, pieces, {"commit": commit}, guest=True)


def _check_there(catalog: Catalog, name: str) -> None:
    """Raises Unavailable where this installation has no such model."""
    if name not in {card.name for card in catalog.cards()}:
        raise Unavailable(f"the model {name!r} is not in this installation; models that are: danqing models")


# --- scripts and forms ------------------------------------------------------------------------------------------------


def in_script(writing: Writing, script: str) -> Writing:
    """The text in "simplified" or "traditional" characters; English stays as it is."""
    if script == "simplified" or writing.language != "zh":
        return writing
    lines = to_traditional("\n".join(writing.lines)).split("\n")  # as a whole: a word's sense depends on its neighbours
    title, author = to_traditional(writing.title), to_traditional(writing.author)
    return dataclasses.replace(writing, lines=tuple(lines), title=title, author=author)


def simplified(writing: Writing) -> Writing:
    """The text in simplified characters, which all tables are in."""
    lines = to_simplified("\n".join(writing.lines)).split("\n")
    return dataclasses.replace(
        writing, lines=tuple(lines), title=to_simplified(writing.title), author=to_simplified(writing.author)
    )


@functools.cache
def tunes() -> dict[str, Tune]:
    """Every tune whose pattern is known, by its name and its other names."""
    from danqing.appraisal.forms import read_tunes

    return read_tunes(TUNES) if TUNES.is_file() else {}


def known_form(form: str) -> str:
    """The form as the judge knows it; raises UnknownName with the nearest."""
    from danqing.arts.write import FORMS

    kind = "词" if form.startswith("词") else form
    if kind not in FORMS:
        raise UnknownName("form", form, FORMS, see="danqing appraise --help")
    return f"词:{known_tune(form.removeprefix('词').lstrip(':：'))}" if len(form) > 1 and kind == "词" else form


def known_tune(name: str) -> str:
    """The tune's usual name, for it or another of its names; raises UnknownName with the nearest."""
    if not name:
        raise BadRequest("--form 词 names no tune; write 词:浣溪沙, or another of " + " ".join(_tune_names()))
    if name not in tunes():
        raise UnknownName(
            "tune", name, tunes(), see=f"the {len(_tune_names())} tunes: {' '.join(_tune_names()[:12])} …"
        )
    return tunes()[name].name


def _tune_names() -> list[str]:
    return list(dict.fromkeys(tune.name for tune in tunes().values()))


# --- topics -----------------------------------------------------------------------------------------------------------


def topics(desk: Desk, writer: Writer) -> tuple[str, ...]:
    """What the poem is to be about, as words that the poet knows: of the topic, then of the mood.

    Raises BadRequest for an English topic that cannot be put into Chinese and for characters the poet has never seen.
    """
    from danqing.arts.write import MOODS, MOODS_ZH

    found = []
    text = desk.words(desk.request.topic)
    if text and language_of(text) == "en":
        found += _translated(desk, text)
    elif text:
        known = frozenset((*writer.about.get("topics", ()), *writer.about.get("themes", ())))
        for part in re.split(r"[\s,，、。；;！!？?]+", text):
            found += _words(part, known)
        _check_known(writer, "topic", "".join(found))
    mood = desk.request.mood
    if mood:
        found.append(MOODS[MOODS_ZH.get(mood, mood)][0])
    return tuple(dict.fromkeys(found))[: MOST_TOPICS + bool(mood)]


def _translated(desk: Desk, text: str) -> list[str]:
    """English words as Chinese ones by the lexicon of images."""
    found = imagery.translated(text)
    if not found:
        raise BadRequest(
            f"--topic {text!r} is English and the poem is Chinese; name it in Chinese, or add --language en"
        )
    desk.note(f"the topic {text!r} is English, the poem Chinese: written about {'、'.join(found)}")
    return found


def _words(part: str, known: frozenset[str]) -> list[str]:
    """A phrase as the longest words the poet was taught, from the left; characters that say nothing are passed over."""
    if part in known or not known or len(part) == 1:
        return [part] if part else []
    words, i = list[str](), 0
    while i < len(part):
        word = next((part[i : i + n] for n in (4, 3, 2, 1) if part[i : i + n] in known), "")
        if word:
            words.append(word)
        i += len(word) or 1
    return words or [part]


def _check_known(writer: Writer, flag: str, text: str) -> None:
    """Raises BadRequest naming the characters that the model has never seen."""
    unknown = [char for char in writer.vocabulary.unknown_in(text) if not char.isspace()]
    if unknown:
        raise BadRequest(
            f"--{flag} holds {'、'.join(unknown)}, which the poet has never seen; write around "
            f"{'it' if len(unknown) == 1 else 'them'}"
        )


def check_known(writer: Writer, flag: str, text: str) -> None:
    """Raises BadRequest naming the flag and the characters of its text that the model has never seen."""
    _check_known(writer, flag, text)


# --- judging ----------------------------------------------------------------------------------------------------------


def origins(catalog: Catalog) -> Origins | None:
    """The filters of lines and runs of the training poems; None where they are not at hand."""
    if ORIGINS not in {card.name for card in catalog.cards()}:
        return None
    return _filters(catalog)


@functools.lru_cache(maxsize=2)
def _filters(catalog: Catalog) -> Origins:
    from danqing.encode.origins import Origins

    tensors, about = catalog.weights(ORIGINS)
    return Origins({name: bits.numpy() for name, bits in tensors.items()}, about)


def perplexity(catalog: Catalog, report: Report) -> float | None:
    """Of a character under the poet, given the form alone; None for English and where there is no poet."""
    known = {card.name for card in catalog.cards()}
    if report.writing.language != "zh" or POET not in known:
        return None
    from danqing.training import language
    from danqing.training.texts import Sample

    writer = _opened(catalog, POET)
    kind = report.form.name.partition(":")[0]
    before = prompt(writer.vocabulary, Controls(kind if writer.vocabulary.has(f"<{kind}>") else "古诗"))
    text = punctuated(report.form.lines)
    tokens = [*before, *writer.vocabulary.encode(text)][: writer.model.config.context + 1]
    marks = set(writer.vocabulary.encode("，。"))
    unknown = writer.vocabulary.id("<unknown>")
    weights = [0.0 if t in marks or t == unknown else 1.0 for t in tokens[1:]]
    weights[: len(before) - 1] = [0.0] * (len(before) - 1)
    if not any(weights):
        return None
    return language.score(writer.model, [Sample(tokens, weights)]).perplexity


def punctuated(lines: Sequence[str]) -> str:
    """Lines of verse as the collections have them: a comma after the first of two, a full stop after the second."""
    return "".join(line + "，。"[number % 2] for number, line in enumerate(lines))
