"""A tuned model learns from tunes that it wrote itself, with the probabilities they were drawn by."""

import numpy as np
import pytest
import torch

from danqing.artwork.music import ZERO, Key
from danqing.encode import tunes
from danqing.errors import BadRequest
from danqing.recipes import folk_tuned
from danqing.recipes.folk_tuned import Ask, Attempt
from danqing.techniques import policy
from danqing.training import language, rewards
from danqing.training.run import Run

REEL = Ask(2, 4, Key(ZERO, "D", "dorian"), "reel", True)


@pytest.fixture(scope="module")
def model():
    return folk_tuned.begun("none", 1)


@pytest.fixture(scope="module")
def attempts(model):
    return folk_tuned.write(model, [REEL], 6, 4, torch.Generator().manual_seed(2))


def test_the_same_generator_writes_the_same_tunes(model, attempts):
    assert len(attempts) == 6
    assert folk_tuned.write(model, [REEL], 6, 4, torch.Generator().manual_seed(2)) == attempts
    assert any(attempt.tune for attempt in attempts)


def test_log_probabilities_are_those_of_the_sampler(model, attempts):
    """Read step by step with the grammar's mask, as the sampler reads, each token has the probability that is learned
    from.
    """
    batch = folk_tuned.batch_of(attempts[:2], 4)
    with torch.no_grad():
        found = policy.log_probs(model(batch.tokens[:, :-1]), batch)
    for row, attempt in enumerate(attempts[:2]):
        grammar = REEL.grammar(4)
        state, total = grammar.start(), []
        logits, memory = model.step(torch.tensor([REEL.prompt]), model.start(1))
        for token in attempt.tokens:
            mask = torch.from_numpy(grammar.allowed(state))
            total.append(float(torch.log_softmax(logits[0].masked_fill(~mask, -torch.inf), 0)[token]))
            state = grammar.advance(state, token)
            logits, memory = model.step(torch.tensor([[token]]), memory)
        own = found[row][batch.written[row]].numpy()
        assert np.allclose(own, total, atol=1e-4)


def test_a_tune_that_is_cut_off_earns_nothing(attempts):
    cut = Attempt(REEL, tuple(token for token in attempts[0].tokens if token != tunes.LAST))
    assert folk_tuned.rewarded([cut], rewards.Corpus.of([]), "folk") == [0.0]
    assert 0 < max(folk_tuned.rewarded(attempts, rewards.Corpus.of([]), "folk")) <= 1


def test_it_begins_with_a_weights_file_without_its_dropout(model, tmp_path):
    taught = folk_tuned.sequence.build(folk_tuned.replace(model.config, dropout=0.3))
    run = Run.open(tmp_path / "run", "folk", {}, resume=False)
    language.save(run, taught, tunes.VOCABULARY, {}, "float32")
    begun = folk_tuned.begun(str(tmp_path / "run" / "weights.safetensors"), 1)
    assert begun.config.dropout == 0
    assert torch.equal(begun.embedding.weight, taught.embedding.weight)
    language.save(run, taught, tunes.Characters("abc"), {}, "float32")
    with pytest.raises(BadRequest, match="does not write tunes"):
        folk_tuned.begun(str(tmp_path / "run" / "weights.safetensors"), 1)


@pytest.mark.parametrize("wrong", [{"method": "ppo"}, {"reward": "chorale"}, {"reward": "jazz"}, {"samples": 1}])
def test_what_cannot_be_asked_is_refused(wrong):
    with pytest.raises(BadRequest):
        folk_tuned.Config(**wrong)


@pytest.mark.parametrize("method", ["policy", "dpo"])
def test_one_step_raises_the_better_tune(method, model, attempts):
    """Against the prompt's others: up the gradient, the best tune's likelihood rises by more than the worst one's."""
    config = folk_tuned.Config(method=method, samples=6)
    batch = folk_tuned.batch_of(attempts, 4)
    earned = torch.linspace(0, 1, 6)
    own = policy.log_probs(model(batch.tokens[:, :-1]), batch)
    model.zero_grad()
    folk_tuned._loss(config, own, own.detach(), earned, batch).backward()
    moved = folk_tuned.begun("none", 1)
    with torch.no_grad():
        size = sum(float(p.grad.square().sum()) for p in model.parameters()) ** 0.5
        for new, old in zip(moved.parameters(), model.parameters(), strict=True):
            new -= 0.01 * old.grad / size
        rise = policy.divergence(policy.log_probs(moved(batch.tokens[:, :-1]), batch), own)
    assert rise[5] > rise[0]
