"""Models from elsewhere: the same sampling and the same constraints. A tiny one is made here; nothing is fetched."""

import builtins
import sys
import warnings

import numpy as np
import pytest
import torch

from danqing.compute import seed
from danqing.errors import BadRequest, Unavailable
from danqing.techniques import decoding, hub

CHARACTERS = "春夏秋冬明月山水花鸟风云一二三，。"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A GPT-2 of a few thousand weights with a tokenizer of characters and two-character words, as saved on disk."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers = pytest.importorskip("transformers")
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers

        pieces = ["[UNK]", "[CLS]", "[SEP]", *CHARACTERS, "明月", "春风"]
        words = Tokenizer(
            models.BPE({p: i for i, p in enumerate(pieces)}, [("明", "月"), ("春", "风")], unk_token="[UNK]")
        )
        words.pre_tokenizer = pre_tokenizers.Split("\n", "isolated")
        words.decoder = decoders.Fuse()
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_object=words, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
        )
        torch.manual_seed(0)
        config = transformers.GPT2Config(
            vocab_size=len(pieces) + 3, n_embd=32, n_layer=2, n_head=2, n_positions=24, bos_token_id=1, eos_token_id=2
        )
        path = tmp_path_factory.mktemp("guest")
        tokenizer.save_pretrained(path)
        transformers.GPT2LMHeadModel(config).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def loaded(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hub.load(f"hf:{folder}")


def test_a_guests_vocabulary_speaks_of_characters(loaded):
    model, pieces = loaded
    assert len(pieces) == model.vocabulary == len(CHARACTERS) + 8
    assert pieces.decode(pieces.encode("明月山水，春风。")) == "明月山水，春风。"
    assert pieces.decode([pieces.id("明月")]) == "明月"
    assert pieces.token(pieces.id("秋")) == "秋"
    assert pieces.id("<end>") == 2
    assert pieces.has("<end>")
    assert pieces.has("秋")
    assert not pieces.has("<poet:李白>")
    assert pieces.unknown_in("秋龘月龘") == ["龘"]
    assert pieces.decode([1, len(pieces) - 1]) == ""
    assert pieces.beginning() == [1]
    with pytest.raises(KeyError):
        pieces.id("<topic>")


def test_a_guest_reads_on_as_it_reads_whole(loaded):
    model, _ = loaded
    x = torch.randint(3, 20, (3, 10), generator=seed.generator(0))
    whole, _ = model.step(x, model.start(3))
    _, memory = model.step(x[:, :6], model.start(3))
    logits, memory = model.step(x[[2, 0], 6:], memory.pick([2, 0]))
    assert memory.length == 10
    assert torch.allclose(logits.float(), whole[[2, 0]].float(), atol=0.02)
    with pytest.raises(BadRequest, match="context of 24"):
        model.step(torch.ones(2, 20, dtype=torch.int64), memory)


def test_a_constraint_on_characters_holds_for_a_guest(loaded):
    model, pieces = loaded

    class FiveThenComma:
        mark = pieces.id("，")
        single = np.array([len(pieces.decode([i])) == 1 for i in range(len(pieces))])

        def start(self):
            return 0

        def allowed(self, state):
            mask = self.single.copy()
            if state % 6 == 5:
                mask[:] = False
            mask[self.mark] = state % 6 == 5
            return mask

        def advance(self, state, token):
            return state + 1

        def finished(self, state):
            return state == 36  # beyond the window, so the guest reads again on the way

    prompt = [*pieces.beginning(), *pieces.encode("明月")]

    def write(number):
        return decoding.sample(
            model, prompt, FiveThenComma(), decoding.Sampling(), 3, seed.generator(number), pieces.id("<end>"), limit=40
        )

    written = write(1)
    assert len(written) == 3
    for one in written:
        lines = pieces.decode(one.tokens).split("，")
        assert [len(line) for line in lines] == [5] * 6 + [0]
    assert write(1) == written


@pytest.mark.parametrize("name", ["hf:", "hf: ", "hf:two words"])
def test_a_name_that_cannot_be_one_is_refused(name):
    with pytest.raises(BadRequest, match="hf:openai-community/gpt2"):
        hub.load(name)


def test_a_folder_without_a_model_says_so(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises(Unavailable, match="the folder has no model that can be read"):
        hub.load(f"hf:{tmp_path}")


def test_without_the_library_it_says_how_to_get_it(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "transformers"]:
        monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.partition(".")[0] == "transformers":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.setitem(sys.modules, "transformers", None)  # what import_module looks at
    with pytest.raises(Unavailable, match=r"danqing\[hub\]"):
        hub.load("hf:anyone/anything")
