"""The gradients are checked against ones worked out by hand over every sequence that a tiny policy can write."""

import itertools

import numpy as np
import pytest
import torch

from danqing.errors import BadRequest
from danqing.techniques import policy
from danqing.techniques.policy import Pair

V, T = 5, 2  # tokens; the length of a work after a prompt of one token


class Odd:
    """After an even token only odd ones may come; at first all but token 4."""

    def start(self):
        return None

    def allowed(self, state):
        if state is None:
            return np.arange(V) != 4
        return np.arange(V) % 2 == 1 if state % 2 == 0 else np.ones(V, bool)

    def advance(self, state, token):
        return token


def works():
    rule = Odd()
    return [w for w in itertools.product(range(V), repeat=T) if rule.allowed(None)[w[0]] and rule.allowed(w[0])[w[1]]]


def table(seed=0):
    """Logits after each token: a Markov policy. (V, V) float64."""
    return torch.randn(V, V, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def batch_of(some):
    return policy.gather([[0]] * len(some), some, [Odd()] * len(some), V)


def logs(logits, batch):
    return policy.log_probs(logits[batch.tokens[:, :-1]], batch)


def exact(logits, prior, rewards, kl):
    """The expected reward minus kl · KL, over every work."""
    batch = batch_of(works())
    own, old = logs(logits, batch).sum(1), logs(prior, batch).sum(1)
    return (own.exp() * (rewards - kl * (own - old))).sum()


def rewards_of(some):
    return torch.tensor([float(w[0] == 1) + 0.5 * float(w[1] == 3) for w in some])


def test_masks_come_back_from_bits():
    masks = np.random.default_rng(1).random((3, 4, 13)) < 0.5
    assert (policy.unpacked(torch.from_numpy(policy.packed(masks)), 13).numpy() == masks).all()


def test_probabilities_are_those_of_what_was_allowed():
    """Over all works that the constraint allows they sum to 1, and what an unmasked model would lose is not lost."""
    found = logs(table(), batch_of(works())).sum(1).exp()
    assert float(found.sum()) == pytest.approx(1.0, abs=1e-5)


def test_prompt_and_padding_count_nothing():
    batch = policy.gather([[0], [0, 2]], [[1, 2], [1]], [Odd(), Odd()], V)
    assert batch.written.tolist() == [[True, True], [False, True]]
    short = policy.gather([[0], [0, 2, 2]], [[1], [1]], [Odd(), Odd()], V)
    found = logs(table(), short)
    assert found[0, 1:].abs().sum() == 0
    assert found[1, :2].abs().sum() == 0


def test_a_work_that_breaks_its_rules_is_refused():
    with pytest.raises(BadRequest, match="token 4 at place 0"):
        policy.trace(Odd(), [4])


@pytest.mark.parametrize("kl", [0.0, 0.3])
def test_the_gradient_is_the_analytic_one(kl):
    """Over every pair of works, each as likely as it is, the estimate's mean is the gradient of the true objective."""
    every = works()
    prior = table(1)
    logits = table(0).requires_grad_()
    exact(logits, prior, rewards_of(every), kl).backward()
    wanted, logits.grad = logits.grad.clone(), None
    pairs = list(itertools.product(every, repeat=2))
    batch = batch_of([work for pair in pairs for work in pair])
    own, old = logs(logits, batch), logs(prior, batch)
    rewards = rewards_of([work for pair in pairs for work in pair])
    share = own.detach().sum(1).exp().view(-1, 2).prod(1).repeat_interleave(2)  # how likely its pair is
    advantage = policy.advantages(rewards, own, old, kl, group=2)
    (policy.policy_loss(own * share[:, None], advantage, batch.written) * len(batch) / 2).backward()
    assert torch.allclose(-logits.grad, wanted, atol=1e-6)


def tuned(kl, steps=200):
    """(expected reward, KL to the prior) after tuning from samples."""
    every, prior = works(), table(1)
    logits = prior.clone().requires_grad_()
    optimiser = torch.optim.Adam([logits], lr=0.05)
    generator = torch.Generator().manual_seed(3)
    full = batch_of(every)
    for _ in range(steps):
        p = logs(logits.detach(), full).sum(1).exp()
        drawn = torch.multinomial(p, 16, replacement=True, generator=generator)
        batch = batch_of([every[i] for i in drawn])
        own = logs(logits, batch)
        rewards = rewards_of([every[i] for i in drawn])
        advantage = policy.advantages(rewards, own, logs(prior, batch), kl, group=8)
        optimiser.zero_grad()
        policy.policy_loss(own, advantage, batch.written).backward()
        optimiser.step()
    p = logs(logits.detach(), full).sum(1)
    return float((p.exp() * rewards_of(every)).sum()), float((p.exp() * (p - logs(prior, full).sum(1))).sum())


def test_reward_rises_and_the_divergence_term_keeps_it_near():
    every = works()
    before = float((logs(table(1), batch_of(every)).sum(1).exp() * rewards_of(every)).sum())
    free, near = tuned(0.0), tuned(1.0)
    assert free[0] > 1.35 > before + 0.3
    assert before + 0.03 < near[0] < free[0] - 0.1
    assert near[1] < free[1] / 3


def test_divergence_is_the_sum_over_what_was_written():
    own, old = torch.tensor([[-1.0, -2.0]]), torch.tensor([[-1.5, -1.0]])
    assert policy.divergence(own, old).tolist() == [pytest.approx(-0.5)]


def test_groups_must_hold_two():
    with pytest.raises(BadRequest, match="two samples"):
        policy.advantages(torch.ones(3), torch.zeros(3, 1), torch.zeros(3, 1), 0.1, group=2)


def test_dpo_prefers_the_preferred_and_starts_at_log_two():
    batch = batch_of([(1, 3), (3, 1)])
    prior = table(1)
    logits = prior.clone().requires_grad_()
    optimiser = torch.optim.Adam([logits], lr=0.05)
    old = logs(prior, batch)
    losses = []
    for _ in range(100):
        loss = policy.dpo_loss(logs(logits, batch), old, [Pair(0, 1)], beta=0.5)
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[0] == pytest.approx(np.log(2), abs=1e-5)
    assert losses[-1] < 0.1
    rise = (logs(logits.detach(), batch) - old).sum(1)
    assert rise[0] > 0 > rise[1]


def test_the_gradient_of_dpo_is_the_papers():
    """−β · σ(−margin) · ∇(log π(chosen) − log π(rejected)), equation 7."""
    batch, prior = batch_of([(1, 3), (3, 1)]), table(1)
    logits = table(0).requires_grad_()
    own, old = logs(logits, batch), logs(prior, batch)
    (gap,) = torch.autograd.grad((own[0] - own[1]).sum(), logits, retain_graph=True)
    margin = 0.2 * ((own - old)[0] - (own - old)[1]).sum()
    (found,) = torch.autograd.grad(policy.dpo_loss(own, old, [Pair(0, 1)], beta=0.2), logits)
    assert torch.allclose(found, -0.2 * torch.sigmoid(-margin).detach() * gap, atol=1e-6)


def test_doubted_pairs_pull_less():
    own, old = torch.tensor([[-1.0], [-3.0]], requires_grad=True), torch.tensor([[-2.0], [-2.0]])
    pulls = []
    for noise in (0.0, 0.3):
        (g,) = torch.autograd.grad(policy.dpo_loss(own, old, [Pair(0, 1)], 1.0, noise), own)
        pulls.append(-float(g[0]))
    assert pulls[0] > 0 > pulls[1], "at 30 % doubt a margin of two nats is already too sure"
    with pytest.raises(BadRequest, match=r"0\.5"):
        policy.dpo_loss(own, old, [Pair(0, 1)], 1.0, 0.5)
    with pytest.raises(BadRequest, match="no pairs"):
        policy.dpo_loss(own, old, [])


def test_ranks_pair_best_with_worst_within_a_prompt():
    assert policy.ranked_pairs([0.1, 0.9, 0.5, 0.4, 7, 7, 7, 7], 4) == [Pair(1, 0), Pair(2, 3)]
    assert policy.ranked_pairs([0.1, 0.9, 0.5, 0.4], 4, margin=0.2) == [Pair(1, 0)]


def test_clicks_become_pairs():
    pairs = policy.clicked_pairs([1, 0, -1], first=10)
    assert [(p.chosen, p.rejected) for p in pairs] == [(10, 11), (10, 12), (11, 12)]
    assert [p.weight for p in pairs] == [0.25, 0.5, 0.25]
    assert policy.clicked_pairs([1, 1]) == policy.clicked_pairs([]) == []
    with pytest.raises(BadRequest, match="a click is 2"):
        policy.clicked_pairs([2])
