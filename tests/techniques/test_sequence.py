"""Sequence models: what they may see, and that they learn."""

import pytest
import torch
import torch.nn.functional as F

from danqing.compute import device, seed
from danqing.errors import BadRequest
from danqing.techniques import decoding, sequence
from danqing.techniques.decoding import Sampling
from danqing.techniques.sequence import Config
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
    (found,) = decoding.sample(net, x[0, :4].tolist(), None, Sampling(temperature=0), 1, seed.generator(0), END, 13)
    assert list(found.tokens) == x[0, 4:].tolist()


def test_dropout_is_drawn_in_training_only():
    net, x = model(dropout=0.5), tokens(2, 9)
    assert torch.equal(net(x), net(x))
    net.train()
    assert not torch.equal(net(x), net(x))


MASK = VOCABULARY - 1


def test_a_quick_model_reads_nearly_the_same():
    net, x = model(width=64, vocabulary=VOCABULARY), tokens(4, 12)
    exact, _ = net.step(x, net.start(4))
    net.quick = True
    rounded, _ = net.step(x, net.start(4))
    assert (exact - rounded).abs().max() < 0.1 * exact.abs().max()
    assert (exact.argmax(dim=1) == rounded.argmax(dim=1)).all()
