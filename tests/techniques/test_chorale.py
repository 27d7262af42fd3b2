"""The chorale networks: what each may see, that sampling keeps what is given, ranges, determinism, losses."""

import pytest
import torch

from danqing.encode.notes import CODES, LOW, RANGES
from danqing.errors import BadRequest
from danqing.techniques import chorale
from danqing.techniques.chorale import HIDDEN, Config, Filler, Sampling, Writer

TINY = {"width": 32, "depth": 2, "heads": 2, "reach": 24}


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


def model(kind, relative=False):
    torch.manual_seed(3)
    net = chorale.build(Config(kind, relative=relative, **TINY)).eval()
    with torch.no_grad():
        for head in (net.output, *((net.move, net.apart, net.scale) if relative else ())):
            head.normal_(std=0.3)
    return net


def piece(steps=32, rows=2):
    low = torch.tensor([low - LOW + 1 for low, _ in RANGES])
    beats = low + torch.randint(0, 12, (rows, steps // 4, 4), generator=generator(5))
    return beats.repeat_interleave(4, dim=1)


@pytest.fixture(params=[False, True], ids=["pitches", "relative"])
def writer(request):
    return model("writer", request.param)


@pytest.fixture
def filler():
    return model("filler")


def test_each_kind_is_built_and_an_unknown_one_refused():
    assert isinstance(model("writer"), Writer)
    assert isinstance(model("filler"), Filler)
    with pytest.raises(BadRequest, match="writer, filler"):
        Config("reader")
    with pytest.raises(BadRequest, match="order"):
        Config(order=(0, 1, 2, 2))
    with pytest.raises(BadRequest, match="writer's"):
        Config("filler", relative=True)


def test_the_writer_sees_earlier_steps_and_the_voices_before_in_its_own_step(writer):
    notes, known = piece(), chorale.frame(32, 4, 16)
    base = writer(notes, known)
    changed = notes.clone()
    changed[:, 20, 3] = (notes[:, 20, 3] + 1) % CODES  # the bass is written second
    moved = (writer(changed, known) - base).abs().amax((0, 3)) > 1e-6
    assert not moved[:20].any()
    assert moved[20].tolist() == [False, True, True, False]  # alto and tenor come after it
    assert moved[21:].any()


def test_the_filler_sees_everything_but_what_is_hidden(filler):
    notes, known = piece(), chorale.frame(32, 0, 16)
    hidden = torch.zeros_like(notes, dtype=torch.bool)
    hidden[:, 10:20, 1] = True
    base = filler(notes.masked_fill(hidden, HIDDEN), known)
    inside = notes.clone()
    inside[:, 12, 1] = 1
    assert torch.equal(filler(inside.masked_fill(hidden, HIDDEN), known), base)
    outside = notes.clone()
    outside[:, 25, 0] = 1
    assert not torch.allclose(filler(outside.masked_fill(hidden, HIDDEN), known)[:, 12, 1], base[:, 12, 1])


def test_holds_count_the_steps_that_a_note_has_stood():
    notes = torch.tensor([5, 5, 5, 7, 7, 5])[None, :, None].expand(1, 6, 4)
    assert chorale.Heard.of(notes).holds[0, :, 2].tolist() == [0, 1, 2, 0, 1, 0]


def test_a_voice_remembers_the_move_by_which_it_came_to_its_note():
    notes = torch.tensor([5, 5, 7, 7, 0, 0, 4, 30])[None, :, None].expand(1, 8, 4)
    none = 0
    expected = [none, none, chorale.LEAP + 3, chorale.LEAP + 3, none, none, none, 2 * chorale.LEAP + 1]
    assert chorale.Heard.of(notes).came[0, :, 1].tolist() == expected


def test_stepping_on_is_reading_at_once():
    notes = piece()
    last = chorale.Heard.none(len(notes))
    for step in range(notes.shape[1]):
        last = last.then(notes[:, step : step + 1])
    whole = chorale.Heard.of(notes).last()
    assert all(torch.equal(getattr(last, n), getattr(whole, n)) for n in ("notes", "holds", "came"))


def test_with_pitches_left_out_a_relative_writer_hears_transposed_music_as_the_same():
    net, known = model("writer", relative=True), chorale.frame(32, 4, 16)
    with torch.no_grad():
        net.pitch.zero_()
        net.output.zero_()
    notes = piece()
    low, high = (net(x, known) for x in (notes, notes + 3))
    inside = slice(1, CODES - 3)
    assert torch.allclose(low[:, 1:, :, inside], high[:, 1:, :, 4:CODES], atol=1e-5)


def test_in_a_known_key_a_pitch_is_a_degree_of_major_or_minor():
    table = chorale._degrees()
    c, a = 60 - LOW + 1, 69 - LOW + 1
    assert table[0, [c, a]].tolist() == [0, 9]  # in C major
    assert table[21, [c, a]].tolist() == [15, 12]  # in A minor
    assert table[24, c] == table[3, 0] == table[3, HIDDEN] == 24


def test_writing_step_by_step_draws_from_what_the_whole_pass_says(writer):
    """With every note given, the memory grows as in one pass: the likeliest last note is the same."""
    notes, known = piece(steps=40, rows=1), chorale.frame(40, 0, 16)
    logits = writer(notes, known)[0, -1, writer.config.order[0]]
    asked = notes.clone()
    asked[0, -1, writer.config.order[0]] = HIDDEN
    everything = Sampling(temperature=0, ranges=((36, 81),) * 4, silence=True)
    out = chorale.write(writer, asked, known, generator(), everything)
    assert out[0, -1, writer.config.order[0]] == logits.argmax()
    assert torch.equal(out[0, :-1], notes[0, :-1])


@pytest.mark.parametrize("lead", [1, 12, 30])
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_beginning_that_is_given_is_read_at_once_and_goes_on_as_if_it_had_been_written(writer, lead, guidance):
    hidden, known = torch.full((2, 36, 4), HIDDEN), chorale.frame(36, 4, 16, 3)
    surest = Sampling(temperature=0, guidance=guidance)
    whole = chorale.write(writer, hidden, known, generator(), surest)
    hidden[:, :lead] = whole[:, :lead]
    assert torch.equal(chorale.write(writer, hidden, known, generator(), surest), whole)


def test_guidance_counts_what_key_and_end_change(writer):
    """0 is as if they were not told; 3 adds three times what they change, foretold in one pass."""
    notes, known = piece(steps=24, rows=2), chorale.frame(24, 0, 16, key=3)
    nothing = torch.full_like(notes, HIDDEN)
    untold = chorale.write(writer, nothing, known.unknown(), generator(1), Sampling())
    assert torch.equal(chorale.write(writer, nothing, known, generator(1), Sampling(guidance=0)), untold)
    first = writer.config.order[0]
    asked = notes.clone()
    asked[:, -1, first] = HIDDEN
    everything = Sampling(temperature=0, ranges=((36, 81),) * 4, silence=True, parallels=True, guidance=3)
    frames = [chorale.Frame(*(x.expand(2, -1) for x in (f.place, f.beats, f.key))) for f in (known, known.unknown())]
    told, plain = (writer(notes, one)[:, -1, first] for one in frames)
    out = chorale.write(writer, asked, known, generator(), everything)
    assert torch.equal(out[:, -1, first], (plain + 3 * (told - plain)).argmax(-1))
    assert torch.equal(out[:, :-1], notes[:, :-1])


@pytest.mark.parametrize("kind", chorale.KINDS)
def test_what_is_given_stays_and_what_is_new_is_in_range(kind):
    net, make = model(kind), {"writer": chorale.write, "filler": chorale.fill}[kind]
    notes = piece()
    asked = notes.clone()
    asked[:, 8:24, 1:] = HIDDEN
    known = chorale.frame(32, 4, 16, key=3)
    out = make(net, asked, known, generator(2), Sampling(rounds=6))
    assert (out != HIDDEN).all()
    kept = asked != HIDDEN
    assert torch.equal(out[kept], notes[kept])
    for voice, (low, high) in enumerate(RANGES):
        new = out[..., voice][~kept[..., voice]]
        assert ((new >= low - LOW + 1) & (new <= high - LOW + 1)).all()
    assert torch.equal(out, make(net, asked, known, generator(2), Sampling(rounds=6)))
    assert not torch.equal(out, make(net, asked, known, generator(4), Sampling(rounds=6)))


def test_parallel_fifths_and_octaves_are_known_both_ways():
    c = {name: midi - LOW + 1 for name, midi in {"c3": 48, "d3": 50, "g3": 55, "a3": 57, "b3": 59, "d4": 62}.items()}
    before = torch.tensor([HIDDEN, HIDDEN, c["g3"], c["c3"]])
    now = torch.tensor([HIDDEN, HIDDEN, HIDDEN, c["d3"]])
    bad = chorale.parallel(before, now, voice=2)
    assert bad[c["a3"]]
    assert not bad[c["b3"]]
    assert not bad[c["g3"]]
    assert not bad[c["d3"]], "a fifth goes down where the other goes up"
    upper = torch.tensor([HIDDEN, HIDDEN, c["a3"], HIDDEN])
    assert chorale.parallel(before, upper, voice=3)[c["d3"]]


@pytest.mark.parametrize("seed", range(3))
def test_what_is_written_has_no_parallels(writer, seed):
    known = chorale.frame(48, 0, 16)
    out = chorale.write(writer, torch.full((2, 48, 4), HIDDEN), known, generator(seed), Sampling(temperature=1.5))
    for voice in range(4):
        bad = chorale.parallel(out[:, :-1], out[:, 1:], voice)
        assert not bad.gather(-1, out[:, 1:, voice, None]).any()


def test_where_only_parallels_are_left_one_is_sung(writer):
    notes = torch.full((1, 12, 4), HIDDEN)
    notes[0, :, 0] = torch.arange(30, 42)
    narrow = Sampling(ranges=((60, 81), (55, 55), (50, 50), (40, 40)))
    out = chorale.write(writer, notes, chorale.frame(12, 0, 16), generator(), narrow)
    assert set(out[0, :, 1].tolist()) == {55 - LOW + 1}


def test_losses_are_those_of_the_logits(writer, filler):
    notes, known = piece(), chorale.frame(32, 0, 16).unknown()
    found = chorale.surprise(writer, notes, known).detach()
    logits = writer(notes, known).detach()
    assert found.shape == notes.shape
    assert found[1, 7, 2] == pytest.approx(float(-logits.log_softmax(-1)[1, 7, 2, notes[1, 7, 2]]), abs=1e-5)
    hidden = torch.zeros_like(notes, dtype=torch.bool)
    hidden[0, 3] = True
    masked = chorale.masked_surprise(filler, notes, hidden, known)
    assert (masked[~hidden] == 0).all()
    assert (masked[hidden] > 0).all()


def test_orderless_masks_have_every_count_and_leave_padding_alone():
    valid = torch.ones(400, 6, 4, dtype=torch.bool)
    valid[:, 5] = False
    hidden = chorale.orderless(valid, generator())
    assert not hidden[:, 5].any()
    counts = hidden.flatten(1).sum(1)
    assert set(counts.tolist()) == set(range(1, 21))


def test_masks_of_what_is_asked_show_a_voice_or_what_is_outside_a_passage():
    valid = torch.ones(60, 64, 4, dtype=torch.bool)
    hidden = chorale.asked(valid, generator())
    shown_voice = (~hidden).all(dim=1).any(dim=1)
    shown_ends = ~hidden[:, 0].any(dim=1) | ~hidden[:, -1].any(dim=1)
    assert (shown_voice | shown_ends).float().mean() > 0.9
    assert hidden.flatten(1).any(dim=1).float().mean() > 0.9


def test_a_frame_tells_the_place_in_the_bar_and_the_beats_that_are_left():
    known = chorale.frame(20, 4, 16, key=5)
    assert known.place[0, :6].tolist() == [12, 13, 14, 15, 0, 1]
    assert known.beats[0, [0, -5, -1]].tolist() == [4, 1, 0]
    assert (known.unknown().beats == chorale.BEATS).all()
    assert chorale.frame(20, 0, 12).place.max() < chorale.PLACES


def test_what_cannot_be_asked_is_refused(writer):
    with pytest.raises(BadRequest, match="temperature"):
        Sampling(temperature=-1)
    with pytest.raises(BadRequest, match="ranges"):
        Sampling(ranges=((60, 50),) * 4)
    with pytest.raises(BadRequest, match="rounds"):
        Sampling(rounds=0)
    with pytest.raises(BadRequest, match="guidance"):
        Sampling(guidance=-1)
    with pytest.raises(BadRequest, match="frame has 8"):
        chorale.write(writer, piece(), chorale.frame(8, 0, 16), generator())
