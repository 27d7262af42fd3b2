"""A tuned writer learns from chorales that it wrote itself, with the probabilities they were drawn by."""

import numpy as np
import pytest
import torch

from danqing.encode.notes import CODES, from_codes
from danqing.errors import BadRequest
from danqing.recipes import chorale_tuned
from danqing.techniques import chorale, policy
from danqing.techniques.chorale import HIDDEN
from danqing.training import music
from danqing.training.music import Piece


@pytest.fixture(scope="module")
def model():
    found = chorale_tuned.begun("none", 1)
    torch.nn.init.normal_(found.output, std=0.3, generator=torch.Generator().manual_seed(1))
    return found.eval()


@pytest.fixture(scope="module")
def pieces():
    """Invented ones in two metres: a voice keeps its note for a beat."""
    rng = np.random.default_rng(3)
    found = []
    for i in range(6):
        beats = np.stack([rng.integers(low, low + 10, 16 + i % 2) for low in (62, 55, 48, 40)], axis=1)
        found.append(Piece(from_codes(np.repeat(beats, 4, 0) - 35, 4 * (i % 2))))
    return tuple(found)


@pytest.fixture(scope="module")
def ask(pieces):
    return chorale_tuned.asked(pieces, 2, 2, torch.Generator().manual_seed(4)).repeated(3)


@pytest.fixture(scope="module")
def written(model, ask):
    return chorale_tuned.write(model, ask, chorale_tuned.DRAWN, torch.Generator().manual_seed(5))


def test_prompts_are_the_beginning_and_the_end_of_pieces(ask):
    assert ask.given.shape == (6, 32, 4)
    open_ = ask.given == HIDDEN
    assert not open_[:, :4].any()
    assert open_[:, 4:-4].all()
    assert open_[:, -4:, :3].all()
    assert not open_[:, -4:, 3].any()
    assert torch.equal(ask.given[0], ask.given[1])
    assert not torch.equal(ask.given[0], ask.given[3])


def test_what_was_given_stays(ask, written):
    given = ask.given != HIDDEN
    assert torch.equal(written[given], ask.given[given])
    assert int(written.max()) < CODES


def test_log_probabilities_are_those_of_the_sampler(model, ask, written, monkeypatch):
    """Caught where `write` draws: the same probability for every note that was drawn, and none for what was given."""
    drawn, inner = [], chorale._draw

    def watched(logits, allowed, temperature, min_p, generator):
        found = inner(logits, allowed, temperature, min_p, generator)
        p = torch.log_softmax(logits.masked_fill(~allowed, -torch.inf), -1)
        drawn.append(p.gather(-1, found[:, None])[:, 0])
        return found

    monkeypatch.setattr(chorale, "_draw", watched)
    assert torch.equal(chorale_tuned.write(model, ask, chorale_tuned.DRAWN, torch.Generator().manual_seed(5)), written)
    found = chorale.log_probs(model, written, ask.given, ask.frame, chorale_tuned.DRAWN)
    open_ = ask.given == HIDDEN
    assert not found[~open_].any()
    wide = chorale_tuned.in_order(found, model)
    columns = [wide[:, i] for i in range(wide.shape[1]) if chorale_tuned.in_order(open_, model)[0, i]]
    assert torch.allclose(torch.stack(drawn), torch.stack(columns), atol=1e-4)


@pytest.mark.parametrize("other", [{"temperature": 0.0}, {"guidance": 2.0}])
def test_only_what_the_model_itself_draws_has_a_probability(model, ask, written, other):
    with pytest.raises(BadRequest, match="temperature"):
        chorale.log_probs(model, written, ask.given, ask.frame, chorale.Sampling(**other))


def test_one_step_raises_the_better_piece(model, ask, written):
    own, old = chorale_tuned._both(model, model, written, ask, torch.device("cpu"))
    earned = torch.tensor([0.0, 0.5, 1.0, 0.2, 0.2, 0.2])
    better = policy.advantages(earned, own, old, 0.0, 3)
    model.zero_grad()
    policy.policy_loss(own, better, chorale_tuned.in_order(ask.given == HIDDEN, model)).backward()
    moved = chorale_tuned.begun("none", 1)
    moved.load_state_dict(model.state_dict())
    with torch.no_grad():
        size = sum(float(p.grad.square().sum()) for p in model.parameters()) ** 0.5
        for new, was in zip(moved.parameters(), model.parameters(), strict=True):
            new -= 0.01 * was.grad / size
    rise = policy.divergence(chorale_tuned._both(moved, model, written, ask, torch.device("cpu"))[0], own)
    assert rise[2] > rise[0]


def test_it_goes_back_as_far_as_the_bound_asks(pieces, model):
    """A model that forgot everything is brought back between the two; one that did not stays as it is."""
    spoiled = chorale_tuned.begun("none", 1)
    spoiled.load_state_dict(model.state_dict())
    with torch.no_grad():
        spoiled.output.mul_(-6.0)
    first, worst = (chorale_tuned.untuned.nats(net, pieces) for net in (model, spoiled))
    kept, share = chorale_tuned.kept_near(spoiled, model, pieces, 0.05)
    assert worst > 1.05 * first
    assert 0 <= share < 1
    assert chorale_tuned.untuned.nats(kept, pieces) <= 1.05 * first
    assert chorale_tuned.kept_near(model, model, pieces, 0.0)[1] == 1.0


def test_it_begins_with_a_weights_file_of_a_writer(model, tmp_path):
    music.save(tmp_path / "a.safetensors", model, "float32")
    assert torch.equal(chorale_tuned.begun(str(tmp_path / "a.safetensors"), 1).output, model.output)
    filler = chorale.build(chorale.Config("filler", width=16, depth=1, heads=2))
    music.save(tmp_path / "b.safetensors", filler, "float32")
    with pytest.raises(BadRequest, match="fills gaps"):
        chorale_tuned.begun(str(tmp_path / "b.safetensors"), 1)


def test_progressions_are_those_of_the_key():
    """C: I V I, and the same a tone higher."""
    chords = [[72, 67, 64, 48], [71, 67, 62, 55], [72, 67, 64, 48]]
    codes = np.repeat(np.array(chords), 4, 0) - 35
    found = chorale_tuned.progression(from_codes(codes))
    assert found == [(0, 0, 4, 7), (7, 2, 7, 11), (0, 0, 4, 7)]
    assert chorale_tuned.progression(from_codes(codes + 2)) == found
    assert chorale_tuned.faults_per_bar(from_codes(codes)) == 0.0


@pytest.mark.parametrize("wrong", [{"samples": 1}, {"bound": -0.1}, {"bars": 1}])
def test_what_cannot_be_asked_is_refused(wrong):
    with pytest.raises(BadRequest):
        chorale_tuned.Config(**wrong)
