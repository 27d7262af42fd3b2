"""Sequence models: what they may see, that they learn, and that what they write keeps every rule."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from danqing.compute import device, seed
from danqing.errors import BadRequest
from danqing.techniques import sequence
from danqing.techniques.sequence import All, Config, DeadEnd, Sampling, Without
from danqing.training import engine

WRITERS = ("transformer", "lstm", "gru")
VOCABULARY, END = 40, 0


def model(architecture="transformer", **changes):
    torch.manual_seed(3)
    config = Config(**{"vocabulary": VOCABULARY, "width": 32, "depth": 2, "heads": 2, "context": 32} | changes)
    net = sequence.build(Config(**vars(config) | {"architecture": architecture}))
    with torch.no_grad():
        net.embedding.weight.mul_(8)  # untrained, but it has opinions
    return net.eval()


def tokens(*shape, number=0):
    return torch.randint(1, VOCABULARY, shape, generator=seed.generator(number))


# --- what a model sees ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", WRITERS)
def test_a_later_token_changes_nothing_before_it(architecture):
    net, x = model(architecture), tokens(3, 12)
    y = x.clone()
    y[:, 7] = (y[:, 7] + 1) % VOCABULARY
    before, after = net(x), net(y)
    assert torch.equal(before[:, :7], after[:, :7])
    assert (before[:, 7:] - after[:, 7:]).abs().amax(dim=(1, 2)).min() > 1e-4


def test_the_masked_model_sees_both_sides_but_no_padding():
    net, x = model(causal=False), tokens(2, 10)
    valid = torch.ones(2, 10, dtype=torch.bool)
    valid[1, 6:] = False
    first = net(x, valid)
    later, behind = x.clone(), x.clone()
    later[0, 9] += 1
    behind[1, 6:] = 5
    assert (net(later % VOCABULARY, valid)[0, 0] - first[0, 0]).abs().max() > 1e-4
    assert torch.allclose(net(behind, valid)[1, :6], first[1, :6], atol=1e-6)
    assert torch.allclose(net(x[1:, :6])[0], first[1, :6], atol=1e-5)


@pytest.mark.parametrize("architecture", WRITERS)
@pytest.mark.parametrize("parts", [(12,), (1,) * 12, (5, 1, 1, 4, 1)])
def test_reading_step_by_step_gives_the_logits_of_the_whole(architecture, parts):
    net, x = model(architecture), tokens(3, 12)
    whole, memory, at = net(x), net.start(3), 0
    for n in parts:
        logits, memory = net.step(x[:, at : at + n], memory)
        at += n
        assert memory.length == at
        assert torch.allclose(logits, whole[:, at - 1], atol=1e-4)


@pytest.mark.parametrize("architecture", WRITERS)
def test_writing_follows_the_weights_in_bf16_too(architecture):
    net, x = model(architecture).bfloat16(), tokens(3, 12)
    for _ in range(2):
        whole = net(x)[:, -1].float()
        _, memory = net.step(x[:, :7], net.start(3))
        logits, _ = net.step(x[:, 7:], memory)
        assert (logits.float() - whole).abs().max() < 0.05 * whole.abs().max()
        with torch.no_grad():
            net.embedding.weight.copy_(net.embedding.weight.flip(0))  # another model: nothing old may remain


@pytest.mark.parametrize("architecture", WRITERS)
def test_rows_of_a_memory_can_be_picked_in_any_order(architecture):
    net, x = model(architecture), tokens(3, 6)
    _, memory = net.step(x[:, :5], net.start(3))
    logits, _ = net.step(x[[2, 0, 0], 5:], memory.pick([2, 0, 0]))
    assert torch.allclose(logits, net(x[[2, 0, 0]])[:, -1], atol=1e-4)


def test_what_does_not_fit_the_context_is_refused():
    net = model()
    with pytest.raises(BadRequest, match="33 tokens are more than the model's context of 32"):
        net(tokens(1, 33))
    _, memory = net.step(tokens(1, 30), net.start(1))
    with pytest.raises(BadRequest, match="context of 32"):
        net.step(tokens(1, 3), memory)


@pytest.mark.parametrize(
    "bad",
    [
        {"architecture": "perceptron"},
        {"width": 30, "heads": 4},
        {"width": 6, "heads": 2},
        {"vocabulary": 0},
        {"dropout": 1.0},
        {"architecture": "lstm", "causal": False},
    ],
)
def test_a_config_that_cannot_be_built_is_refused(bad):
    with pytest.raises(BadRequest):
        Config(**{"vocabulary": 10, **bad})


# --- learning ---------------------------------------------------------------------------------------------------------


def plain_attention(block, x, causal):
    b, t, _ = x.shape
    q, k, v = block.mix(F.rms_norm(x, x.shape[-1:], eps=1e-5)).view(b, t, 3, block.heads, -1).permute(2, 0, 3, 1, 4)
    d = q.shape[-1]
    angle = torch.arange(t)[:, None] * 10_000.0 ** (-torch.arange(0, d, 2) / d)
    cos, sin = angle.cos().double(), angle.sin().double()

    def turn(y):
        left, right = y[..., : d // 2], y[..., d // 2 :]
        return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)

    y = F.scaled_dot_product_attention(turn(q), turn(k), v, is_causal=causal)
    return block.out(y.transpose(1, 2).reshape(b, t, -1))


def plain_loss(net, x, weights):
    """The loss by PyTorch's own layers and autograd alone."""
    h = F.rms_norm(net.embedding(x[:, :-1]), (net.config.width,), eps=1e-5)
    for block in net.blocks:
        h = h + plain_attention(block, h, net.config.causal)
        gate, up = block.up(F.rms_norm(h, h.shape[-1:], eps=1e-5)).chunk(2, dim=-1)
        h = h + block.down(F.silu(gate) * up)
    logits = F.rms_norm(h, h.shape[-1:], eps=1e-5) * net.gain @ net.embedding.weight.T
    each = F.cross_entropy(logits.flatten(0, 1), x[:, 1:].flatten(), reduction="none")
    return (each * weights.flatten()).sum() / weights.sum()


def test_the_hand_written_backward_passes_give_autograds_gradients():
    net, x = model().double(), tokens(3, 12)
    weights = torch.rand(3, 11, generator=seed.generator(1)).double()
    weights[weights < 0.3] = 0
    sequence.loss(net, x, weights).backward()
    ours = {name: p.grad.clone() for name, p in net.named_parameters()}
    net.zero_grad()
    expected = plain_loss(net, x, weights)
    expected.backward()
    assert sequence.loss(net, x, weights).item() == pytest.approx(expected.item(), abs=1e-5)
    for name, p in net.named_parameters():
        assert torch.allclose(ours[name], p.grad, atol=2e-6), name


@pytest.mark.parametrize("rows", [1, 5, 511, 513])
def test_the_loss_is_the_same_however_its_rows_fall_into_chunks(rows):
    net = model()
    x = tokens(rows, 3)
    expected = F.cross_entropy(net(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten())
    assert sequence.loss(net, x).item() == pytest.approx(expected.item(), abs=1e-4)
    with torch.no_grad():
        assert sequence.loss(net, x).item() == pytest.approx(expected.item(), abs=1e-5)


def test_positions_of_weight_zero_teach_nothing():
    net, x = model(), tokens(2, 9)
    weights = torch.ones(2, 8)
    weights[1, 4:] = 0
    padded = x.clone()
    padded[1, 5:] = 7
    assert torch.equal(sequence.loss(net, x, weights), sequence.loss(net, padded, weights))
    nothing = sequence.loss(net, x, torch.zeros(2, 8))
    nothing.backward()
    assert nothing.item() == 0
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


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


@pytest.mark.parametrize("architecture", WRITERS)
@pytest.mark.parametrize("bf16", [False, True])
def test_a_small_text_is_learnt_by_heart(architecture, bf16):
    net = model(architecture)
    if bf16:
        net = engine.cast(net, device.Compute(torch.device("cpu"), torch.bfloat16, torch.contiguous_format, "asked"))
    x = tokens(4, 17)
    assert train(net, lambda _: sequence.loss(net, x), 150, rate=1e-2) < 0.5
    (found,) = sequence.sample(net, x[0, :4].tolist(), None, Sampling(temperature=0), 1, seed.generator(0), END, 13)
    assert list(found.tokens) == x[0, 4:].tolist()


def test_dropout_is_drawn_in_training_only():
    net, x = model(dropout=0.5), tokens(2, 9)
    assert torch.equal(net(x), net(x))
    net.train()
    assert not torch.equal(net(x), net(x))


MASK = VOCABULARY - 1


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
    filled = sequence.fill(net, torn, holes, MASK, Sampling(temperature=0), seed.generator(0))
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
        kept = sequence.fill(net, torn, holes, MASK, Sampling(2.0), seed.generator(number), allowed)
        assert {kept.tokens[h] for h in holes} <= set(others)
        assert len({kept.tokens[h] for h in holes}) == 3
        assert [t for i, t in enumerate(kept.tokens) if i not in holes] == [
            t for i, t in enumerate(torn) if i not in holes
        ]
    with pytest.raises(DeadEnd, match="position 3"):
        sequence.fill(net, torn, [3], MASK, Sampling(), seed.generator(0), lambda *_: np.zeros(VOCABULARY, dtype=bool))


def test_writing_and_filling_ask_for_their_own_kind_of_model():
    with pytest.raises(BadRequest, match="causal=False"):
        sequence.masked_loss(model(), tokens(1, 4), torch.ones(1, 4, dtype=torch.bool), MASK)
    with pytest.raises(BadRequest, match="causal=False"):
        sequence.fill(model(), [1, 2], [0], MASK, Sampling(), seed.generator(0))
    with pytest.raises(BadRequest, match="fills gaps"):
        model(causal=False).start(1)
    with pytest.raises(BadRequest, match="different positions"):
        sequence.fill(model(causal=False), [1, 2], [0, 5], MASK, Sampling(), seed.generator(0))


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
    written = sequence.sample(
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
        return sequence.sample(net, [1, 2], None, Sampling(), 4, seed.generator(number), END, limit=12)

    assert write(1) == write(1)
    assert write(1) != write(2)


def test_candidates_are_distinct_even_where_few_are_possible():
    net = model()
    with torch.no_grad():
        net.gain.zero_()
    written = sequence.sample(net, [1], Counted(2, step=2), Sampling(min_p=0), 4, seed.generator(0), END, limit=9)
    found = [one.tokens for one in written]
    assert len(set(found)) == len(found)
    assert set(found) <= {(1, 2), (1, 3), (2, 3), (2, 4)}
    assert len(found) >= 3


def test_each_candidate_can_have_a_constraint_of_its_own():
    rules = [Counted(3), None, Counted(5, step=1)]
    written = sequence.sample(model(), [1], rules, Sampling(), 3, seed.generator(1), END, limit=7)
    assert len(written[0].tokens) == 3
    assert written[2].tokens == (1, 2, 3, 4, 5)
    with pytest.raises(BadRequest, match="3 constraints were given for 2 candidates"):
        sequence.sample(model(), [1], rules, Sampling(), 2, seed.generator(1), END, limit=7)


def test_all_takes_what_every_part_allows_and_ends_with_the_first():
    both = All((Counted(4), Without(VOCABULARY, frozenset({1, 2, 3}))))
    for one in sequence.sample(model(), [1], both, Sampling(), 6, seed.generator(2), END, limit=9):
        assert len(one.tokens) == 4
        assert min(one.tokens) > 3


def test_a_candidate_goes_back_from_a_dead_end():
    net = model()
    with torch.no_grad():
        net.gain.zero_()  # every token as likely as any other: 1 in 39 falls into the trap
    heard = []
    written = sequence.sample(
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
        sequence.sample(model(), [1], Counted(50, step=1), Sampling(), 3, seed.generator(0), END, limit=90)
    nothing = Without(VOCABULARY, frozenset(range(VOCABULARY)))
    with pytest.raises(DeadEnd):
        sequence.sample(model(), [1], nothing, Sampling(), 3, seed.generator(0), END, limit=9)


def test_the_end_token_ends_and_the_limit_cuts():
    net, x = model(), [3, 4, 5, END]
    train(net, lambda _: sequence.loss(net, torch.tensor([[1, *x]])), 100, rate=1e-2)
    (whole,) = sequence.sample(net, [1], None, Sampling(temperature=0), 1, seed.generator(0), END, limit=9)
    assert (whole.tokens, whole.finished) == ((3, 4, 5), True)
    (cut,) = sequence.sample(net, [1], None, Sampling(temperature=0), 1, seed.generator(0), END, limit=2)
    assert (cut.tokens, cut.finished) == ((3, 4), False)


@pytest.mark.parametrize("architecture", WRITERS)
def test_a_text_may_be_longer_than_the_context(architecture):
    net = model(architecture)
    free = Without(VOCABULARY, frozenset({END}))
    written = sequence.sample(net, [1] * 40, free, Sampling(), 2, seed.generator(0), END, limit=100)
    assert [len(one.tokens) for one in written] == [100, 100]


def test_likelihoods_are_those_of_the_model_whatever_the_sampling_was():
    net = model()
    rules, sampling = Counted(6), Sampling(temperature=2, repetition=3, top_k=7)
    for one in sequence.sample(net, [1, 2], rules, sampling, 3, seed.generator(5), END, limit=9):
        text = torch.tensor([[1, 2, *one.tokens]])
        exact = torch.log_softmax(net(text[:, :-1])[0, 1:], dim=1).gather(1, text[0, 2:, None])[:, 0]
        assert torch.allclose(torch.tensor(one.log_likelihood), exact.detach(), atol=1e-4)
        assert one.likelihood == pytest.approx(exact.mean().item(), abs=1e-4)


def test_ranked_puts_the_likeliest_first_unless_told_what_else_is_worth():
    samples = [sequence.Sample((1,), (-2.0,)), sequence.Sample((2, 3), (-1.0, -0.5)), sequence.Sample((4,), (-1.0,))]
    assert [one.tokens[0] for one in sequence.ranked(samples)] == [2, 4, 1]
    assert sequence.ranked(samples, lambda one: float(one.tokens == (1,)) * 9)[0].tokens == (1,)


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
    p = sequence.narrowed(LOGITS, sampling)
    assert (p > 0).tolist() == [[i < kept for i in range(5)]]
    assert float(p.sum()) == pytest.approx(1)
    assert torch.allclose(p[0, :kept] / p[0, 0], ((LOGITS - LOGITS[0, 0]) / sampling.temperature).exp()[0, :kept])


def test_draws_follow_the_probabilities():
    rules = sequence._Rules(Sampling(1.0, min_p=0), seed.generator(0), END, 1, sequence.heedless)
    drawn = sequence._draw(LOGITS.expand(20_000, -1), [None] * 20_000, None, rules)
    shares = torch.bincount(drawn, minlength=5) / 20_000
    assert torch.allclose(shares, LOGITS[0].exp(), atol=0.01)


def test_what_was_used_is_less_likely_unless_it_is_free():
    net = model()
    plain = Without(VOCABULARY, frozenset({END}))

    def repeats(sampling):
        written = sequence.sample(net, [1], plain, sampling, 6, seed.generator(3), END, limit=25)
        return sum(len(one.tokens) - len(set(one.tokens)) for one in written)

    assert repeats(Sampling(repetition=100)) == 0
    assert repeats(Sampling(repetition=100, free=frozenset(range(VOCABULARY)))) == repeats(Sampling()) > 0


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
        sequence.sample(model(), constraints=None, generator=seed.generator(0), end=END, **asked)


@pytest.mark.parametrize(
    "bad", [{"temperature": -1}, {"top_k": -1}, {"top_p": 0}, {"top_p": 1.1}, {"min_p": 2}, {"repetition": -1}]
)
def test_sampling_options_out_of_range_are_refused(bad):
    with pytest.raises(BadRequest, match=next(iter(bad))):
        Sampling(**bad)
