"""Language models as recipes see them: scored exactly, saved with their vocabulary, read back the same."""

import math

import pytest
import torch

from danqing.encode.text import Characters
from danqing.errors import BadRequest
from danqing.techniques import sequence
from danqing.training import language
from danqing.training.run import Run
from danqing.training.texts import Sample, pad


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    return sequence.build(sequence.Config(30, 16, 1, 2, 12)).eval()


def test_perplexity_is_that_of_the_counted_tokens_whatever_the_batches(model):
    rng = torch.Generator().manual_seed(1)
    samples = []
    for length in (4, 9, 6, 12, 3):
        tokens = torch.randint(1, 30, (length,), generator=rng).tolist()
        samples.append(Sample(tokens, [float(i % 2) for i in range(length - 1)]))
    nats, count = 0.0, 0
    for sample in samples:
        logits = model(torch.tensor([sample.tokens[:-1]]))[0].detach().float()
        told = torch.log_softmax(logits, dim=1)[range(len(sample.weights)), sample.tokens[1:]]
        nats -= sum(float(p) * w for p, w in zip(told, sample.weights, strict=True))
        count += int(sum(sample.weights))
    for tokens in (1, 20, 4096):
        score = language.score(model, samples, tokens)
        assert score.count == count
        assert score.nats == pytest.approx(nats, rel=1e-4)
    assert score.perplexity == pytest.approx(math.exp(nats / count), rel=1e-4)


def test_padding_counts_nothing(model):
    short, long = Sample([1, 2, 3], [1.0, 1.0]), Sample([4] * 10, [1.0] * 9)
    tokens, weights = pad([short, long])
    assert tokens.shape == (2, 10)
    assert weights[0].tolist() == [1.0, 1.0] + [0.0] * 7
    alone = language.score(model, [short]).nats + language.score(model, [long]).nats
    assert float(sequence.loss(model, tokens, weights).detach()) * 11 == pytest.approx(alone, rel=1e-3)


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_a_model_is_saved_with_its_vocabulary(model, storage, tmp_path):
    run = Run(tmp_path, "poet", {})
    vocabulary = Characters([chr(0x4E00 + i) for i in range(24)])
    language.save(run, model, vocabulary, {"themes": ["送别"]}, storage)
    again, read, about = language.load(tmp_path / "weights.safetensors")
    assert read.to_json() == vocabulary.to_json()
    assert about["themes"] == ["送别"]
    tokens = torch.arange(8)[None] + 6
    assert torch.allclose(again(tokens), model(tokens), atol=1e-5 if storage == "float32" else 0.05)


def test_weights_of_another_kind_are_refused():
    with pytest.raises(BadRequest, match="'vgg'"):
        language.restore({}, {"architecture": "vgg"})


def test_a_model_goes_on_from_another_with_more_tokens_and_other_depth():
    torch.manual_seed(1)
    known = Characters("春花秋月", ["<poet:李白>", "<poet:杜甫>", "<mask>"])
    wider = Characters("春花秋月何时了", ["<poet:李白>", "<poet:杜甫>", "<poet:王维>", "<mask>"])
    taught = sequence.build(sequence.Config(len(known), width=16, depth=3, heads=2))
    model = sequence.build(sequence.Config(len(wider), width=16, depth=2, heads=2, causal=False))
    fresh = model.embedding.weight[wider.id("了")].clone()
    language.take_over(model, wider, taught, known)
    row = dict(zip(map(known.token, range(len(known))), taught.embedding.weight, strict=True))
    assert torch.equal(model.embedding.weight[wider.id("月")], row["月"])
    assert torch.allclose(
        model.embedding.weight[wider.id("<poet:王维>")], (row["<poet:李白>"] + row["<poet:杜甫>"]) / 2
    )
    assert torch.equal(model.embedding.weight[wider.id("了")], fresh)
    assert torch.equal(model.blocks[1].mix.weight, taught.blocks[1].mix.weight)
    other = sequence.build(sequence.Config(len(known), width=32, depth=2, heads=2))
    with pytest.raises(BadRequest, match="width 32"):
        language.take_over(model, wider, other, known)
