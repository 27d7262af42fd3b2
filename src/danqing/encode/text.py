"""Text as numbers: characters for classical Chinese, byte-level pieces for prose, and the controls before a poem.

A sequence is made of control tokens, what the person asked for, and the text itself:

    <七绝> <唐> <poet:李白> <level> <rhyme:一东> <topic> 明 月 <topic> 秋 <title> 静 夜 思 <text> 床 前 … <end>

Every control but the form may be missing. A control in angle brackets is one token; what follows `<topic>` and
`<title>` is written in the vocabulary's own characters, so any word can be a topic.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

from danqing.errors import BadRequest

PAD, UNKNOWN, END, TEXT, TITLE, TOPIC = "<pad>", "<unknown>", "<end>", "<text>", "<title>", "<topic>"
COMMON = (PAD, UNKNOWN, END, TEXT, TITLE, TOPIC)  # the first tokens of every vocabulary, in this order
PUNCTUATION = "，。？！、；：“”‘’《》（）—…·"


class Characters:
    """One token for each character, after the special tokens."""

    def __init__(self, characters: Sequence[str], specials: Sequence[str] = ()) -> None:
        """characters: each once, one code point; specials: names in angle brackets, those of COMMON are put first."""
        self.specials = (*COMMON, *(s for s in specials if s not in COMMON))
        self.characters = tuple(characters)
        self._ids = {name: i for i, name in enumerate((*self.specials, *self.characters))}
        if len(self._ids) != len(self):
            raise ValueError("a vocabulary holds a character or a special token twice")

    def __len__(self) -> int:
        return len(self.specials) + len(self.characters)

    def id(self, special: str) -> int:
        """The token of a special such as "<end>" or of one character; KeyError where there is none."""
        return self._ids[special]

    def has(self, special: str) -> bool:
        """Whether this special token, or this character, is in the vocabulary."""
        return special in self._ids

    def encode(self, text: str) -> list[int]:
        """One token for each character; `<unknown>` for those that are not in the vocabulary (see `unknown_in`)."""
        unknown = self._ids[UNKNOWN]
        return [self._ids.get(c, unknown) for c in text]

    def decode(self, ids: Iterable[int]) -> str:
        """The characters; special tokens are left out."""
        first = len(self.specials)
        return "".join(self.characters[i - first] for i in ids if i >= first)

    def token(self, number: int) -> str:
        """A token as it is written: a character or a special's name."""
        first = len(self.specials)
        return self.specials[number] if number < first else self.characters[number - first]

    def unknown_in(self, text: str) -> list[str]:
        """The characters of `text` that have no token, each once, in order."""
        return list(dict.fromkeys(c for c in text if c not in self._ids))

    def to_json(self) -> dict[str, Any]:
        """Everything needed to build it again; saved in the weights' header."""
        return {"kind": "characters", "specials": list(self.specials), "characters": "".join(self.characters)}


class Pieces:
    """Byte-level byte-pair encoding: any text at all, in pieces of one byte to one word.

    Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units", on bytes as in GPT-2.
    """

    def __init__(self, tokenizer: Tokenizer, specials: Sequence[str]) -> None:
        self.specials = tuple(specials)
        self._tokenizer = tokenizer
        self._ids: dict[str, int] = {}
        for special in self.specials:
            number = tokenizer.token_to_id(special)
            if number is None:
                raise ValueError(f"the special token {special} is not in the tokenizer")
            self._ids[special] = number
        self._special_ids = frozenset(self._ids.values())

    @classmethod
    def learn(cls, texts: Iterable[str], size: int, specials: Sequence[str] = ()) -> Pieces:
        """Learn `size` pieces, specials and the 256 bytes included; the same texts give the same pieces."""
        from tokenizers import decoders, models, pre_tokenizers, trainers

        names = [*COMMON, *(s for s in specials if s not in COMMON)]
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=max(size, len(names) + 256),
            special_tokens=names,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
            max_token_length=16,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer, names)

    def __len__(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    def id(self, special: str) -> int:
        """The token of a special such as "<end>"; KeyError where there is none."""
        return self._ids[special]

    def has(self, special: str) -> bool:
        """Whether this special token is in the vocabulary."""
        return special in self._ids

    def encode(self, text: str) -> list[int]:
        """The pieces of `text`. The name of a special token inside it is text like any other, never that token."""
        return [int(i) for part in _without_specials(text, self.specials) for i in self._tokenizer.encode(part).ids]

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` for texts of a corpus, faster; they must not hold the names of special tokens."""
        return [e.ids for e in self._tokenizer.encode_batch(list(texts))]

    def decode(self, ids: Iterable[int]) -> str:
        """The text; special tokens are left out, and bytes that are no whole character become U+FFFD."""
        return str(self._tokenizer.decode([i for i in ids if i not in self._special_ids], skip_special_tokens=False))

    def token(self, number: int) -> str:
        """A token as the tokenizer writes it."""
        return str(self._tokenizer.id_to_token(number))

    def unknown_in(self, text: str) -> list[str]:
        """Nothing: every text can be written in bytes."""
        return []

    def to_json(self) -> dict[str, Any]:
        """Everything needed to build it again; saved in the weights' header."""
        model = json.loads(self._tokenizer.to_str())["model"]
        merges = [" ".join(m) if not isinstance(m, str) else m for m in model["merges"]]
        pieces = sorted(model["vocab"], key=model["vocab"].__getitem__)
        return {"kind": "pieces", "specials": list(self.specials), "pieces": pieces, "merges": merges}


def _without_specials(text: str, specials: Sequence[str]) -> list[str]:
    """`text`, cut inside every name of a special, so that the tokenizer sees no such name."""
    parts = [text]
    for name in specials:
        cut: list[str] = []
        for part in parts:
            pieces = part.split(name)
            for i, piece in enumerate(pieces):
                last = i == len(pieces) - 1
                head = (name[1:] if i else "") + piece + ("" if last else name[0])
                cut.append(head)
        parts = cut
    return [p for p in parts if p]


Vocabulary = Characters | Pieces


def from_json(about: Mapping[str, Any]) -> Vocabulary:
    """The vocabulary that `to_json` described."""
    if about["kind"] == "characters":
        return Characters(about["characters"], about["specials"])
    from tokenizers import AddedToken, decoders, models, pre_tokenizers

    vocab = {piece: i for i, piece in enumerate(about["pieces"])}
    merges = [tuple(m.split(" ")) for m in about["merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in about["specials"]])
    return Pieces(tokenizer, about["specials"])


def extended(vocabulary: Vocabulary, specials: Sequence[str]) -> Vocabulary:
    """The same vocabulary with these special tokens too. The tokens it had keep their names, not their numbers."""
    new = [special for special in specials if not vocabulary.has(special)]
    about = vocabulary.to_json()
    about["specials"] = [*about["specials"], *new]
    if "pieces" in about:
        about["pieces"] = [*about["pieces"], *new]
    return from_json(about)


@dataclass(frozen=True)
class Controls:
    """What stands before a text. Empty fields are left out; all but the form may be empty."""

    form: str  # "七绝", "词", "story", … : the token <form>
    dynasty: str = ""  # "唐" or "宋"
    poet: str = ""
    tune: str = ""  # of a ci: "浣溪沙"
    # "level" or "oblique", the tone of the second character of line 1; of a story: "opening" or "ending"
    start: str = ""
    rhyme: str = ""  # rhyme group: "一东"
    cast: tuple[str, ...] = ()  # of a story: who stands in it as <1>, <2> … (`encode.cast`)
    topics: tuple[str, ...] = ()
    title: str = ""

    def specials(self) -> list[str]:
        """The names of the control tokens, in the order in which they are written."""
        names = [self.form, self.dynasty]
        names += [f"poet:{self.poet}" if self.poet else "", f"tune:{self.tune}" if self.tune else "", self.start]
        names.append(f"rhyme:{self.rhyme}" if self.rhyme else "")
        return [f"<{name}>" for name in names if name]


def prompt(vocabulary: Vocabulary, controls: Controls) -> list[int]:
    """The tokens before a text, `<text>` included.

    Raises BadRequest for a control that the vocabulary has no token for, naming those of its kind that it has.
    """
    ids = []
    for name in controls.specials():
        if not vocabulary.has(name):
            kind = name.partition(":")[0] + ":" if ":" in name else "<"
            like = [s.strip("<>").partition(":")[2] or s for s in vocabulary.specials if s.startswith(kind)][:12]
            raise BadRequest(f"the model knows no {name}; among those it knows: {', '.join(like)}")
        ids.append(vocabulary.id(name))
    space = " " if isinstance(vocabulary, Pieces) else ""  # inside a sentence a word's piece begins with its space
    for number, name in enumerate(controls.cast, 1):
        ids += [vocabulary.id(f"<{number}>"), *vocabulary.encode(space + name)]
    for topic in controls.topics:
        ids += [vocabulary.id(TOPIC), *vocabulary.encode(space + topic)]
    if controls.title:
        ids += [vocabulary.id(TITLE), *vocabulary.encode(space + controls.title)]
    return [*ids, vocabulary.id(TEXT)]
