"""How models write: constraints, draws, candidates, gaps."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from danqing.compute import seed
from danqing.errors import BadRequest
from danqing.techniques import decoding, sequence
from danqing.techniques.decoding import All, DeadEnd, Sampling, Without
from danqing.techniques.sequence import Config
from danqing.training import engine

WRITERS = ("transformer", "lstm", "gru")
VOCABULARY, END = 40, 0
MASK = VOCABULARY - 1


def model(architecture="transformer", **changes):
    torch.manual_seed(3)
    config = Config(**{"vocabulary": VOCABULARY, "width": 32, "depth": 2, "heads": 2, "context": 32} | changes)
    net = sequence.build(Config(**vars(config) | {"architecture": architecture}))
    with torch.no_grad():
        net.embedding.weight.mul_(8)  # untrained, but it has opinions
    return net.eval()


def tokens(*shape, number=0):
    return torch.randint(1, VOCABULARY, shape, generator=seed.generator(number))


def train(net, draw, steps, rate=3e-3):
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    masters = engine._mastered(optimiser)
    net.train()
    for number in range(steps):
        value = draw(number)
        value.backward()
        masters.pull_gradients()
        optimiser.step()
        optimiser.zero_grad()
        masters.push_values()
    net.eval()
    return value.item()


# --- writing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counted:
    """`length` tokens, none twice, rising in steps of at most `step`; then it is whole."""

    length: int
    step: int = VOCABULARY

    def start(self):
        return ()

    def allowed(self, state):
        mask = np.zeros(VOCABULARY, dtype=bool)
        last = state[-1] if state else 0
        mask[last + 1 : last + 1 + self.step] = True
        return mask

    def advance(self, state, token):
        return (*state, token)

    def finished(self, state):
        return len(state) == self.length


@dataclass(frozen=True)
class Trap(Counted):
    """After token 5, which is tempting, nothing may come."""

    def allowed(self, state):
        if 5 in state:
            return np.zeros(VOCABULARY, dtype=bool)
        mask = np.ones(VOCABULARY, dtype=bool)
        mask[END] = False
        return mask


OPTIONS = [
    Sampling(),
    Sampling(temperature=3.0, min_p=0),
    Sampling(top_k=1, min_p=0),
    Sampling(top_k=3, top_p=0.5),
    Sampling(top_p=0.01, min_p=0),
    Sampling(min_p=1.0),
    Sampling(repetition=5.0, free=frozenset({3, 4})),
]


@pytest.mark.parametrize("architecture", WRITERS)
@pytest.mark.parametrize("sampling", OPTIONS)
def test_no_sampling_option_breaks_a_constraint(architecture, sampling):
    written = decoding.sample(
        model(architecture), [1], Counted(6, step=5), sampling, 5, seed.generator(4), END, limit=20
    )
    assert 1 <= len(written) <= 5
    for one in written:
        steps = np.diff([0, *one.tokens])
        assert one.finished
        assert len(one.tokens) == len(one.log_likelihood) == 6
        assert steps.min() >= 1
        assert steps.max() <= 5


@pytest.mark.parametrize("architecture", WRITERS)
def test_the_same_seed_writes_the_same_and_another_seed_something_else(architecture):
    net = model(architecture)

    def write(number):
        return decoding.sample(net, [1, 2], None, Sampling(), 4, seed.generator(number), END, limit=12)

    assert write(1) == write(1)
    assert write(1) != write(2)


def test_candidates_are_distinct_even_where_few_are_possible():
    net = model()
    with torch.no_grad():
        net.gain.zero_()
    written = decoding.sample(net, [1], Counted(2, step=2), Sampling(min_p=0), 4, seed.generator(0), END, limit=9)
    found = [one.tokens for one in written]
    assert len(set(found)) == len(found)
    assert set(found) <= {(1, 2), (1, 3), (2, 3), (2, 4)}
    assert len(found) >= 3


def test_each_candidate_can_have_a_constraint_of_its_own():
    rules = [Counted(3), None, Counted(5, step=1)]
    written = decoding.sample(model(), [1], rules, Sampling(), 3, seed.generator(1), END, limit=7)
    assert len(written[0].tokens) == 3
    assert written[2].tokens == (1, 2, 3, 4, 5)
    with pytest.raises(BadRequest, match="3 constraints were given for 2 candidates"):
        decoding.sample(model(), [1], rules, Sampling(), 2, seed.generator(1), END, limit=7)


def test_all_takes_what_every_part_allows_and_ends_with_the_first():
    both = All((Counted(4), Without(VOCABULARY, frozenset({1, 2, 3}))))
    for one in decoding.sample(model(), [1], both, Sampling(), 6, seed.generator(2), END, limit=9):
        assert len(one.tokens) == 4
        assert min(one.tokens) > 3


def test_a_candidate_goes_back_from_a_dead_end():
    net = model()
    with torch.no_grad():
        net.gain.zero_()  # every token as likely as any other: 1 in 39 falls into the trap
    heard = []
    written = decoding.sample(
        net,
        [1],
        Trap(20),
        Sampling(),
        8,
        seed.generator(0),
        END,
        limit=30,
        on_token=lambda number, tokens: heard.append((number, len(tokens))),
    )
    assert len(written) == 8
    assert all(len(one.tokens) == 20 and 5 not in one.tokens[:-1] for one in written)
    lengths = [n for number, n in heard if number == heard[0][0]]
    assert lengths[0] == 1
    assert any(later <= earlier for number in range(8) for earlier, later in _pairs(heard, number))


def _pairs(heard, number):
    lengths = [n for candidate, n in heard if candidate == number]
    return itertools.pairwise(lengths)


def test_where_no_way_leads_on_it_says_so():
    with pytest.raises(DeadEnd, match="none of 3 candidates"):
        decoding.sample(model(), [1], Counted(50, step=1), Sampling(), 3, seed.generator(0), END, limit=90)
    nothing = Without(VOCABULARY, frozenset(range(VOCABULARY)))
    with pytest.raises(DeadEnd):
        decoding.sample(model(), [1], nothing, Sampling(), 3, seed.generator(0), END, limit=9)


def test_the_end_token_ends_and_the_limit_cuts():
    net, x = model(), [3, 4, 5, END]
    train(net, lambda _: sequence.loss(net, torch.tensor([[1, *x]])), 100, rate=1e-2)
    (whole,) = decoding.sample(net, [1], None, Sampling(temperature=0), 1, seed.generator(0), END, limit=9)
    assert (whole.tokens, whole.finished) == ((3, 4, 5), True)
    (cut,) = decoding.sample(net, [1], None, Sampling(temperature=0), 1, seed.generator(0), END, limit=2)
    assert (cut.tokens, cut.finished) == ((3, 4), False)


@pytest.mark.parametrize("architecture", WRITERS)
def test_a_text_may_be_longer_than_the_context(architecture):
    net = model(architecture)
    free = Without(VOCABULARY, frozenset({END}))
    written = decoding.sample(net, [1] * 40, free, Sampling(), 2, seed.generator(0), END, limit=100)
    assert [len(one.tokens) for one in written] == [100, 100]


def test_likelihoods_are_those_of_the_model_whatever_the_sampling_was():
    net = model()
    rules, sampling = Counted(6), Sampling(temperature=2, repetition=3, top_k=7)
    for one in decoding.sample(net, [1, 2], rules, sampling, 3, seed.generator(5), END, limit=9):
        text = torch.tensor([[1, 2, *one.tokens]])
        exact = torch.log_softmax(net(text[:, :-1])[0, 1:], dim=1).gather(1, text[0, 2:, None])[:, 0]
        assert torch.allclose(torch.tensor(one.log_likelihood), exact.detach(), atol=1e-4)
        assert one.likelihood == pytest.approx(exact.mean().item(), abs=1e-4)


def test_likelihoods_of_given_rows_are_those_they_were_written_with():
    net, free = model(), Without(VOCABULARY, frozenset({END}))
    written = decoding.sample(net, [1, 2], free, Sampling(), 4, seed.generator(1), END, limit=6)
    rows = [one.tokens[: 3 + number] for number, one in enumerate(written)]
    again = decoding.likelihoods(net, [1, 2], [*rows, ()])
    for one, row, value in zip(written, rows, again, strict=False):
        assert value == pytest.approx(sum(one.log_likelihood[: len(row)]) / len(row), abs=1e-4)
    assert again[-1] == 0


def test_likelihoods_read_the_whole_lead_where_it_fits_and_its_head_where_it_does_not():
    net, row = model(), [5, 6, 7]
    for length in (20, 29, 60):  # of 32: both fit, just so, and not at all
        lead = [1, *[2] * (length - 1)]
        (told,), (other,) = (decoding.likelihoods(net, one, [row]) for one in (lead, [9, *lead[1:]]))
        assert told != other
        if length + len(row) <= 32:
            exact = torch.log_softmax(net(torch.tensor([[*lead, *row[:-1]]]))[0, length - 1 :], dim=1)
            assert told == pytest.approx(exact.gather(1, torch.tensor(row)[:, None]).mean().item(), abs=1e-4)


LOGITS = torch.tensor([[0.5, 0.25, 0.15, 0.07, 0.03]]).log()


@pytest.mark.parametrize(
    ("sampling", "kept"),
    [
        (Sampling(1.0, min_p=0), 5),
        (Sampling(1.0, min_p=0, top_k=2), 2),
        (Sampling(1.0, min_p=0, top_k=99), 5),
        (Sampling(1.0, min_p=0, top_p=0.5), 1),
        (Sampling(1.0, min_p=0, top_p=0.51), 2),
        (Sampling(1.0, min_p=0, top_p=0.9), 3),
        (Sampling(1.0, min_p=0.13), 4),
        (Sampling(1.0, min_p=0.4), 2),
        (Sampling(1.0, min_p=1.0), 1),
        (Sampling(0.5, min_p=0.2), 2),
    ],
)
def test_narrowing_keeps_the_likeliest_tokens(sampling, kept):
    p = decoding.narrowed(LOGITS, sampling)
    assert (p > 0).tolist() == [[i < kept for i in range(5)]]
    assert float(p.sum()) == pytest.approx(1)
    assert torch.allclose(p[0, :kept] / p[0, 0], ((LOGITS - LOGITS[0, 0]) / sampling.temperature).exp()[0, :kept])


def test_draws_follow_the_probabilities():
    rules = decoding._Rules(Sampling(1.0, min_p=0), seed.generator(0), END, 1, decoding.heedless)
    drawn = decoding._draw(LOGITS.expand(20_000, -1), [None] * 20_000, None, rules)
    shares = torch.bincount(drawn, minlength=5) / 20_000
    assert torch.allclose(shares, LOGITS[0].exp(), atol=0.01)


def test_what_was_used_is_less_likely_unless_it_is_free():
    net = model()
    plain = Without(VOCABULARY, frozenset({END}))

    def repeats(sampling):
        written = decoding.sample(net, [1], plain, sampling, 6, seed.generator(3), END, limit=25)
        return sum(len(one.tokens) - len(set(one.tokens)) for one in written)

    assert repeats(Sampling(repetition=100)) == 0
    assert repeats(Sampling(repetition=100, free=frozenset(range(VOCABULARY)))) == repeats(Sampling()) > 0


def test_what_is_wished_for_comes_in_once():
    net, wanted = model(), frozenset({7})
    wish = Sampling(temperature=0.5, wanted=wanted, wish=30.0, repetition=30.0)
    for number in range(5):
        (one,) = decoding.sample(
            net, [3, 4], Without(VOCABULARY, frozenset({END})), wish, 1, seed.generator(number), END, 8
        )
        assert one.tokens[0] == 7
        assert one.tokens.count(7) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": []}, "prompt is empty"),
        ({"count": 0}, "count is 0"),
        ({"limit": 0}, "limit 0"),
        ({"sampling": Sampling(temperature=0), "count": 2}, "ask for one, or warmer"),
    ],
)
def test_what_cannot_be_sampled_is_refused(change, message):
    asked = {"prompt": [1], "sampling": Sampling(), "count": 1, "limit": 5} | change
    with pytest.raises(BadRequest, match=message):
        decoding.sample(model(), constraints=None, generator=seed.generator(0), end=END, **asked)


@pytest.mark.parametrize(
    "bad", [{"temperature": -1}, {"top_k": -1}, {"top_p": 0}, {"top_p": 1.1}, {"min_p": 2}, {"repetition": -1}]
)
def test_sampling_options_out_of_range_are_refused(bad):
    with pytest.raises(BadRequest, match=next(iter(bad))):
        Sampling(**bad)


# --- filling gaps ---------------------------------------------------------------------------------------------------


def test_the_masked_model_learns_to_fill_and_keeps_to_what_is_allowed():
    net = model(causal=False)
    x = tokens(4, 12) % MASK
    holes = [3, 4, 9]

    def draw(number):
        masked = torch.zeros(4, 12, dtype=torch.bool)
        masked[:, holes] = torch.rand(4, 3, generator=seed.generator(number)) < 0.7
        masked[:, holes[number % 3]] = True
        return sequence.masked_loss(net, x, masked, MASK)

    assert train(net, draw, 200) < 0.2
    torn = x[1].tolist()
    filled = decoding.fill(net, torn, holes, MASK, Sampling(temperature=0), seed.generator(0))
    assert list(filled.tokens) == torn
    assert len(filled.log_likelihood) == 3

    others = [t for t in range(1, MASK) if t not in torn][:3]

    def allowed(text, hole):
        assert text[hole] == MASK
        mask = np.zeros(VOCABULARY, dtype=bool)
        mask[others] = True
        mask[[t for t in text if t != MASK]] = False
        return mask

    for number in range(5):
        kept = decoding.fill(net, torn, holes, MASK, Sampling(2.0), seed.generator(number), allowed)
        assert {kept.tokens[h] for h in holes} <= set(others)
        assert len({kept.tokens[h] for h in holes}) == 3
        assert [t for i, t in enumerate(kept.tokens) if i not in holes] == [
            t for i, t in enumerate(torn) if i not in holes
        ]
    with pytest.raises(DeadEnd, match="position 3"):
        decoding.fill(net, torn, [3], MASK, Sampling(), seed.generator(0), lambda *_: np.zeros(VOCABULARY, dtype=bool))


def test_writing_and_filling_ask_for_their_own_kind_of_model():
    with pytest.raises(BadRequest, match="causal=False"):
        sequence.masked_loss(model(), tokens(1, 4), torch.ones(1, 4, dtype=torch.bool), MASK)
    with pytest.raises(BadRequest, match="causal=False"):
        decoding.fill(model(), [1, 2], [0], MASK, Sampling(), seed.generator(0))
    with pytest.raises(BadRequest, match="fills gaps"):
        model(causal=False).start(1)
    with pytest.raises(BadRequest, match="different positions"):
        decoding.fill(model(causal=False), [1, 2], [0, 5], MASK, Sampling(), seed.generator(0))


def test_guidance_draws_away_from_what_the_model_writes_untold():
    """Weight 1 is the model as it is; the logits grow by what the head of the prompt changes."""
    net, prompt = model(), tokens(1, 6)
    told = net.step(prompt, net.start(1))[0]
    untold = net.step(prompt[:, 1:], net.start(1))[0]
    for weight in (1.0, 2.5):
        guided = decoding.Guided(net, weight)
        logits, memory = guided.step(prompt, guided.start(1))
        assert torch.allclose(logits, untold + weight * (told - untold), atol=1e-5)
        more, _ = guided.step(prompt[:, :1], memory.pick([0]))
        longer = torch.cat([prompt, prompt[:, :1]], dim=1)
        both = [net.step(rows, net.start(1))[0] for rows in (longer, longer[:, 1:])]
        assert torch.allclose(more, both[1] + weight * (both[0] - both[1]), atol=1e-4)


def test_a_guided_text_may_be_longer_than_the_context():
    guided = decoding.Guided(model(), 1.5)
    found = decoding.sample(guided, [3, 4], None, Sampling(), 2, seed.generator(1), END, 50)
    assert all(len(one.tokens) == 50 or one.finished for one in found)
