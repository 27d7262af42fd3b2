"""The phrase autoencoder: shapes, its losses by hand, rules that hold while it writes, the ways through its space."""

from __future__ import annotations

import pytest
import torch

from danqing.encode import phrases
from danqing.encode.phrases import HOLD, PITCH, REST, START, TOKENS
from danqing.errors import BadRequest
from danqing.techniques import music_vae
from danqing.techniques.music_vae import Config, Known, Vae

SHAPE = phrases.shape_of(4, 4, 4)
LINES = torch.full((8, SHAPE.length), HOLD)  # phrases of two to sixteen notes
for _row in range(8):
    LINES[_row, :: 32 // 2 ** (_row // 2 + 1)] = PITCH + _row


def known(rows: int) -> Known:
    places = torch.from_numpy(SHAPE.places)[None].expand(rows, -1)
    return Known(places, torch.zeros(rows, dtype=torch.int64), torch.full((rows,), START))


def tokens(rows: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    found = torch.randint(PITCH, PITCH + 12, (rows, SHAPE.length), generator=generator)
    found[:, 1::2] = HOLD
    return found


@pytest.fixture(scope="module")
def model() -> Vae:
    torch.manual_seed(1)
    return music_vae.build(Config(latent=6, encoder=12, decoder=24)).eval()


@pytest.fixture(scope="module")
def taught() -> Vae:
    """One that has learned eight phrases by heart, of one to eight notes, with the sliders' loss."""
    torch.manual_seed(2)
    net = music_vae.build(Config(latent=8, encoder=24, decoder=64))
    measured = torch.from_numpy(phrases.attributes(LINES.numpy(), known(8).places.numpy()))
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    generator = torch.Generator().manual_seed(3)
    hidden = torch.zeros_like(LINES, dtype=torch.bool)
    for _ in range(150):
        mean, spread = net.encode(LINES, known(8))
        z = music_vae.sample(mean, spread, torch.randn(mean.shape, generator=generator))
        nats = music_vae.surprise(net, LINES, z, known(8), hidden).mean()
        cost = music_vae.divergence(mean, spread).sum(1).mean()
        (nats + 0.2 * cost + 10 * music_vae.regularised(z, measured)).backward()
        optimiser.step()
        optimiser.zero_grad()
    return net.eval()


def test_shapes(model: Vae):
    mean, spread = model.encode(tokens(3), known(3))
    assert mean.shape == spread.shape == (3, 6)
    assert model.decode(tokens(3), mean, known(3)).shape == (3, 32, TOKENS)
    written, likely = music_vae.write(model, mean, known(3))
    assert written.shape == (3, 32)
    assert likely.shape == (3,)
    assert (written[:, 0] != HOLD).all()


def test_writing_step_by_step_is_reading_at_once(model: Vae):
    z = torch.randn(2, 6, generator=torch.Generator().manual_seed(1))
    written, likely = music_vae.write(model, z, known(2))
    logits = torch.log_softmax(model.decode(written, z, known(2)), 2)
    told = logits.gather(2, written[..., None])[..., 0]
    first = told[:, 0] - (1 - logits[:, 0, HOLD].exp()).log()  # a phrase cannot begin by holding
    assert likely == pytest.approx(((told[:, 1:].sum(1) + first) / 32).detach(), abs=1e-5)


def test_divergence_is_that_of_two_normals():
    mean, spread = torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([[0.0, 0.0, 1.0]])
    assert music_vae.divergence(mean, spread)[0].tolist() == pytest.approx([0, 0.5, 0.5 * (torch.e - 2)])


def test_hidden_tokens_do_not_reach_the_decoder(model: Vae):
    z = torch.zeros(1, 6)
    one, two = tokens(1, 1), tokens(1, 1)
    two[:, 8] = PITCH + 11 if one[0, 8] != PITCH + 11 else PITCH
    hidden = torch.zeros_like(one, dtype=torch.bool)
    hidden[:, 8] = True

    def later(line: torch.Tensor, hide: torch.Tensor) -> torch.Tensor:
        return model.decode(line.masked_fill(hide, music_vae.BLANK), z, known(1))[:, 9:]

    assert torch.equal(later(one, hidden), later(two, hidden))
    assert not torch.equal(later(one, ~hidden & False), later(two, ~hidden & False))


def test_the_sliders_loss_is_least_where_the_order_is_right():
    attributes = torch.tensor([[0.0], [1.0], [2.0]])
    right, wrong = torch.tensor([[-5.0], [0.0], [5.0]]), torch.tensor([[5.0], [0.0], [-5.0]])
    assert float(music_vae.regularised(right, attributes)) < 0.01
    assert float(music_vae.regularised(wrong, attributes)) > 1


def test_the_ends_of_a_way_are_the_phrases_themselves_and_its_length_changes_evenly(model: Vae):
    generator = torch.Generator().manual_seed(4)
    a, b = torch.randn(1, 6, generator=generator), 2 * torch.randn(1, 6, generator=generator)
    share = torch.tensor([0.0, 0.5, 1.0])
    way = music_vae.between(a.expand(3, -1), b.expand(3, -1), share)
    ends = music_vae.write(model, torch.cat([a, b]), known(2))[0]
    assert torch.equal(music_vae.write(model, way, known(3))[0][[0, 2]], ends)
    assert float(way[1].norm()) == pytest.approx(float(a.norm() + b.norm()) / 2, rel=1e-4)
    opposite = music_vae.between(a, -a, torch.tensor([0.25]))
    assert torch.isfinite(opposite).all()


def test_a_phrase_comes_back_and_a_slider_moves_what_it_is_named_after(taught: Vae):
    mean, _ = taught.encode(LINES, known(8))
    assert (music_vae.write(taught, mean, known(8))[0] == LINES).float().mean() > 0.9

    anywhere = torch.randn(64, 8, generator=torch.Generator().manual_seed(5))

    def density(by: float) -> float:
        written = music_vae.write(taught, music_vae.slid(anywhere, (by,)), known(64))[0]
        return float(phrases.attributes(written.numpy(), known(64).places.numpy())[:, 0].mean())

    assert density(-2) < density(0) < density(2)


def test_rules_hold_at_any_temperature_and_chance_comes_from_the_generator(model: Vae):
    def rule(step: int, so_far: torch.Tensor) -> torch.Tensor:
        bias = torch.full((len(so_far), TOKENS), float("-inf"))
        bias[:, [HOLD, PITCH]] = 0
        if step == 31:
            bias[:, HOLD] = float("-inf")
        return bias

    z = torch.zeros(4, 6)
    first = music_vae.write(model, z, known(4), 2.0, torch.Generator().manual_seed(1), rule)[0]
    again = music_vae.write(model, z, known(4), 2.0, torch.Generator().manual_seed(1), rule)[0]
    assert torch.equal(first, again)
    assert set(first.unique().tolist()) <= {HOLD, PITCH}
    assert (first[:, 31] == PITCH).all()
    assert REST not in first
    with pytest.raises(BadRequest, match="needs a generator"):
        music_vae.write(model, z, known(4), 1.0)


def test_a_space_without_room_for_its_sliders_is_refused():
    with pytest.raises(BadRequest, match="number of sliders"):
        Config(latent=4)
