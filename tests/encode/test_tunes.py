"""Tunes as tokens: round trips, and a grammar whose every walk decodes."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from danqing.artwork.music import ZERO, Key, Note, Score
from danqing.encode import tunes
from danqing.encode.tunes import Event, Grammar, Section, Tune
from danqing.errors import BadRequest
from danqing.techniques import decoding, sequence

D = Key(ZERO, "D")


def jig():
    """Nine bars, repeated, and eight, with a pickup and chords, a tie over a bar line and a triplet."""
    first = [Event(12, 74), Event(12, 69, chord="D"), *[Event(12, 62 + 2 * i) for i in range(4)], Event(12, 74)]
    middle = [Event(12, None, tied=True, chord="A7"), Event(36, 69), Event(8, 66), Event(8, 67), Event(8, 69)]
    bars = [e for _ in range(6) for e in [Event(36, 69, chord="G"), Event(36, 62)]]
    section = Section((*first, *middle, *bars, Event(60, 62, chord="D")), repeated=True)
    return Tune(6, 8, D, (section, Section((Event(12, 62), *bars, *bars[:2], Event(60, 62)))), 12, "jig", "Invented")


def test_a_tune_comes_back_from_its_tokens():
    tune = jig()
    tokens = tunes.to_tokens(tune)
    assert tunes.from_tokens(tokens, D, 6, 8, "jig", "Invented") == tune
    names = [tunes.VOCABULARY.token(t) for t in tokens]
    assert names[:6] == ["<pickup 12>", "<+12>", "<12>", "<bar>", "<chord 0 >", "<+7>"]
    assert names[-2:] == ["<double>", "<end>"]


def test_the_tokens_of_a_tune_are_what_its_grammar_allows():
    tune = jig()
    grammar = Grammar.of(tune)
    state = grammar.start()
    for token in tunes.to_tokens(tune):
        assert grammar.allowed(state)[token], tunes.VOCABULARY.token(token)
        state = grammar.advance(state, token)
    assert grammar.finished(state)


def test_a_tune_reads_the_same_in_another_key():
    score = tunes.to_score(jig())
    up = Score(
        tuple(Note(n.onset, n.pitch + 2, n.duration) for n in score.notes),
        meters=score.meters,
        keys=(Key(ZERO, "E"),),
        pickup=score.pickup,
        length=score.length,
    )
    bare = tunes.from_score(Score(score.notes, meters=score.meters, keys=(D,), pickup=score.pickup))
    assert tunes.to_tokens(tunes.from_score(up)) == tunes.to_tokens(bare)


def test_a_score_of_a_tune_comes_back_with_its_repeats_written_out():
    tune = jig()
    score = tunes.to_score(tune)
    assert score.length == Fraction((9 + 9 + 8) * 72, tunes.TICKS)
    assert score.pickup == Fraction(1, 2)
    again = tunes.from_score(score)
    bare = [(e.ticks, e.pitch, e.tied) for e in tune.unrolled().sections[0].events]
    assert [(e.ticks, e.pitch, e.tied) for e in again.sections[0].events] == bare
    assert tunes.to_score(again) == Score(**{**vars(score), "title": again.title})


@pytest.mark.parametrize("metre", tunes.METRES)
@pytest.mark.parametrize("bars", [1, 3, 8, 16])
def test_every_walk_through_the_grammar_ends_and_decodes(metre, bars):
    """Tokens drawn at random among those allowed: exact bars, in range, as long as asked, home at the end."""
    bar = tunes.bar_ticks(*metre)
    for seed in range(6):
        rng = np.random.default_rng([seed, bars, bar])
        tonic = 60 + seed
        grammar = Grammar(bar, tonic, chords=bool(seed % 2), bars=bars)
        state, tokens = grammar.start(), []
        while not grammar.finished(state):
            may = np.flatnonzero(grammar.allowed(state))
            assert len(may), state
            tokens.append(int(rng.choice(may)))
            state = grammar.advance(state, tokens[-1])
            assert len(tokens) < 200 * bars
        key = Key(ZERO, tunes._SHARPS[tonic % 12])
        tune = tunes.from_tokens(tokens, key, *metre)
        assert sum(s.ticks for s in tune.sections) == bars * bar
        assert all(s.ticks % bar == 0 for s in tune.sections)
        pitches = [e.pitch for s in tune.sections for e in s.events if e.pitch is not None]
        assert all(tunes.RANGE[0] <= p <= tunes.RANGE[1] for p in pitches)
        assert pitches[-1] % 12 == tonic % 12
        close = next(i for i, e in enumerate(reversed(tune.sections[-1].events)) if not e.tied) + 1
        assert sum(e.ticks for e in tune.sections[-1].events[-close:]) >= min(tunes.TICKS, bar - tune.pickup)
        assert tunes.to_tokens(tune) == tokens
        score = tunes.to_score(tune)
        assert score.length == Fraction(sum(s.ticks * (1 + s.repeated) for s in tune.sections), tunes.TICKS)


def test_what_has_no_tokens_is_refused():
    with pytest.raises(BadRequest, match="metre"):
        tunes.prompt(5, 4, "major")
    with pytest.raises(BadRequest, match="mode"):
        tunes.prompt(4, 4, "mayor")
    with pytest.raises(BadRequest, match="kind"):
        tunes.prompt(4, 4, "major", kind="tango")
    odd = Tune(4, 4, D, (Section((Event(97, 62),)),))
    with pytest.raises(BadRequest, match="whole number of bars"):
        tunes.to_tokens(odd)
    crossing = Tune(4, 4, D, (Section((Event(48, 62), Event(96, 64), Event(48, 62))),))
    with pytest.raises(BadRequest, match="tied"):
        tunes.to_tokens(crossing)
    broken = Tune(4, 4, D, (Section((Event(8, 62), Event(16, 64), Event(72, 62))),))
    with pytest.raises(BadRequest, match="triplet"):
        tunes.to_tokens(broken)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("D", (0, "")), ("F#m", (4, "m")), ("A7/c#", (7, "7")), ("Em7", (2, "m7")), ("Gmaj7", (5, "")),
        ("Bb", (8, "")), ("Gd", (5, "dim")), ("N", None), ("", None), ("From A. Train's song", None),
    ],
)  # fmt: skip
def test_chord_symbols_are_read_as_root_and_quality(name, code):
    assert tunes.chord_code(name, 62) == code


def test_keys_have_their_signatures():
    assert tunes.signature(Key(ZERO, "D")) == 2
    assert tunes.signature(Key(ZERO, "E", "dorian")) == 2
    assert tunes.signature(Key(ZERO, "G", "minor")) == -2
    assert tunes.chord_name(8, "", Key(ZERO, "D", "minor")) == "Bb"


def test_an_untaught_model_writes_tunes_that_decode():
    """The grammar through `decoding.sample`: whatever the weights, what comes is a tune of so many bars."""
    torch.manual_seed(1)
    model = sequence.build(sequence.Config(len(tunes.VOCABULARY), width=32, depth=1, heads=2, context=512)).eval()
    grammar = Grammar(72, 62, chords=True, bars=4)
    prompt = tunes.prompt(6, 8, "dorian", 2, "jig", chords=True)
    generator = torch.Generator().manual_seed(3)
    found = decoding.sample(model, prompt, grammar, decoding.Sampling(1.0), 3, generator, tunes.LAST, 400)
    assert len(found) == 3
    for one in found:
        assert one.finished
        tune = tunes.from_tokens(one.tokens, Key(ZERO, "D", "dorian"), 6, 8)
        assert sum(s.ticks for s in tune.sections) == 4 * 72
        assert tunes.to_score(tune).notes[-1].pitch % 12 == 2
