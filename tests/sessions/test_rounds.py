from itertools import pairwise

import numpy as np
import pytest
import toy_generators as toys

from danqing import studio
from danqing.arts.explore import read_shares
from danqing.artwork.shelf import Shelf
from danqing.errors import BadRequest, UnknownName
from danqing.sessions import rounds
from danqing.sessions.taste import TasteBook


def _made(session, like):
    """Stand-ins of works: what is measured is what the genome says; returns the candidates, made."""
    for one in session.propose():
        warm = 1.0 if one.genome["style"] in like else -1.0
        settings = rounds.settings_of(session.art, session.fixed, one.genome)
        session.made(one.number, f"work{one.number}", {"warmth": warm} | rounds.features.named(settings))
    return session.candidates(session.round)


def test_a_first_round_is_of_different_candidates_that_the_art_would_take(tmp_path):
    session = rounds.begin(tmp_path, "paint", {"prompt": "a lake"}, 6, seed=1)
    proposed = session.propose()
    assert len(proposed) == 6
    assert len({one.genome["style"] for one in proposed}) >= 5
    for one in proposed:
        request = session.request(one)
        assert request.prompt.startswith("a lake")
        assert request.seed == one.genome["seed"]


def test_what_a_person_settled_is_never_varied(tmp_path):
    session = rounds.begin(tmp_path, "paint", {"prompt": "a lake in winter", "style": "monet", "size": 256}, 4, seed=1)
    for one in session.propose():
        request = session.request(one)
        assert (request.style, request.size) == ("monet", 256)
        assert "season" not in one.genome


def test_words_added_to_a_prompt_are_understood(tmp_path):
    from danqing.encode import scenes

    session = rounds.begin(tmp_path, "paint", {"prompt": "湖"}, 12, seed=3)
    for one in session.propose():
        scene = scenes.read(session.request(one).prompt)
        assert scene.unknown == ()
        for name in ("time", "weather", "season"):
            assert getattr(scene, name) == one.genome[name]


@pytest.mark.parametrize(
    ("art", "values"),
    [("compose", {}), ("write", {"topic": "明月"}), ("write", {"topic": "the moon", "language": "en"})],
)
def test_every_proposal_is_a_request_its_art_takes(art, values, tmp_path):
    session = rounds.begin(tmp_path, art, values, 12, seed=5)
    for one in session.propose():
        session.request(one)  # raises where it is not


def test_later_rounds_go_where_the_person_points(tmp_path):
    like = {"monet", "impressionism", "titian"}
    session = rounds.begin(tmp_path, "paint", {"prompt": "a lake"}, 6, seed=2)
    for _ in range(8):
        made = _made(session, like)
        good = [one.number for one in made if one.genome["style"] in like]
        session.choose(good, [one.number for one in made if one.number not in good][:2])
    last = _made(session, like)
    assert sum(one.genome["style"] in like for one in last) >= 3  # of 30 styles; by chance it is 0.6
    assert any(one.parents for one in last)


def test_no_two_candidates_of_a_round_are_alike(tmp_path):
    session = rounds.begin(tmp_path, "paint", {"prompt": "a lake"}, 6, seed=2)
    for _ in range(5):
        made = _made(session, {"monet"})
        session.choose([made[0].number])
    genomes = [one.genome for one in session.propose()]
    for number, one in enumerate(genomes):
        for other in genomes[:number]:
            assert rounds._apart(session.space, one, other) > rounds.ALIKE


def test_a_session_goes_on_where_it_stood(tmp_path):
    session = rounds.begin(tmp_path, "paint", {"prompt": "a lake"}, 4, seed=2)
    proposed = session.propose()
    session.made(proposed[0].number, "abcd", {"warmth": 1.0})
    again = rounds.resume(tmp_path, session.id)
    waiting = again.propose()
    assert [one.genome for one in waiting] == [one.genome for one in proposed]
    assert waiting[0].work == "abcd"
    assert rounds.recent(tmp_path)[0]["id"] == session.id


def test_choices_reach_the_taste_and_only_those_of_the_round_are_taken(tmp_path):
    session = rounds.begin(tmp_path, "paint", {"prompt": "a lake"}, 4, seed=2)
    made = _made(session, {"monet"})
    first, second = made[0].number, made[1].number
    with pytest.raises(BadRequest, match="99 is none of this round"):
        session.choose([99])
    with pytest.raises(BadRequest, match="liked and disliked at once"):
        session.choose([first], [first])
    session.choose([first], between=[(first, second, 0.8)])
    assert TasteBook(tmp_path).taste("picture").count == 4
    with pytest.raises(BadRequest, match="chosen from already"):
        session.choose([first])
    assert {one.verdict for one in session.candidates(1)} == {"liked", "passed"}


@pytest.mark.parametrize(
    ("art", "values", "error", "words"),
    [
        ("translate", {}, BadRequest, "translate has no rounds; evolve goes with paint"),
        ("pant", {}, UnknownName, "Did you mean 'paint'"),
        ("paint", {"size": 1}, BadRequest, "between 128 and 4096"),
        ("paint", {"colour": "red"}, BadRequest, "no field 'colour'"),
    ],
)
def test_what_cannot_be_begun_is_refused(art, values, error, words, tmp_path):
    with pytest.raises(error, match=words):
        rounds.begin(tmp_path, art, values)
    assert rounds.recent(tmp_path) == []


def test_an_unknown_session_is_named(tmp_path):
    with pytest.raises(UnknownName, match="session 'nope'"):
        rounds.resume(tmp_path, "nope")


def test_the_same_seed_and_choices_propose_the_same(tmp_path):
    def run(name):
        session = rounds.begin(tmp_path / name, "paint", {"prompt": "a lake"}, 4, seed=9)
        for _ in range(2):
            made = _made(session, {"monet"})
            session.choose([made[0].number])
        return [one.genome for one in session.propose()]

    assert run("a") == run("b")


def test_what_a_work_will_measure_is_foreseen_from_its_neighbours():
    space = rounds.spaces("paint")
    random = np.random.default_rng(0)
    genome = rounds._stranger(space, random)
    known = [rounds.Candidate(1, 1, genome, (), "w", {"warmth": 2.0})]
    foreseen = rounds.foresight(space, known)
    assert foreseen([genome])[0]["warmth"] > 1.4
    far = {
        **genome,
        **{name: next(n for n in gene.names if n != genome[name]) for name, gene in space.items() if gene.names},
    }
    assert abs(foreseen([far | {rounds.SEED: genome[rounds.SEED] + 1}])[0]["warmth"]) < 0.2


def test_what_a_style_does_is_foreseen_in_works_that_share_nothing_else():
    space = rounds.spaces("paint")
    random = np.random.default_rng(0)
    strangers = [rounds._stranger(space, random) for _ in range(40)]
    known = [
        rounds.Candidate(n, 1, one | {"style": ("monet", "durer")[n % 2]}, (), "w", {"warmth": (1.0, -1.0)[n % 2]})
        for n, one in enumerate(strangers)
    ]
    fresh = rounds._stranger(space, random)
    warm, cold = rounds.foresight(space, known)([fresh | {"style": "monet"}, fresh | {"style": "durer"}])
    assert warm["warmth"] - cold["warmth"] > 0.4


@pytest.mark.parametrize(("art", "says"), [("stylize", "stylize needs PHOTO"), ("explore", "explore needs MODEL")])
def test_what_an_art_cannot_do_without_is_asked_for(art, says, tmp_path):
    with pytest.raises(BadRequest, match=says):
        rounds.begin(tmp_path, art, {}, 4)


# --- a generator's latents --------------------------------------------------------------------------------------------


def _vector(text, seeds):
    weights = read_shares(text)
    return np.array([weights.get(seed, 0.0) for seed in seeds])


def test_leaning_between_two_latents_goes_along_the_arc():
    gene = rounds.Latent()
    way = [_vector(gene.between("1=1", "2=1", share), (1, 2)) for share in (0, 0.25, 0.5, 0.75, 1)]
    angles = [np.degrees(np.arctan2(one[0], one[1])) for one in way]
    assert np.allclose(angles, [0, 22.5, 45, 67.5, 90], atol=0.05)
    assert np.allclose([np.linalg.norm(one) for one in way], 1, atol=1e-3)


def test_children_of_latents_are_near_their_parents_and_never_too_long_to_write_down():
    gene, random = rounds.Latent(), np.random.default_rng(0)
    strangers = [gene.draw(random) for _ in range(20)]
    far = np.mean([gene.apart(one, other) for one, other in pairwise(strangers)])
    children = [gene.child("1=1", "2=1", random) for _ in range(50)]
    assert far == 1
    assert max(min(gene.apart(child, parent) for parent in ("1=1", "2=1")) for child in children) < 0.85
    line = "1=1"
    for _ in range(60):
        line = gene.child(line, gene.draw(random), random)
    assert len(read_shares(line)) <= rounds.MOST_SEEDS
    assert np.linalg.norm(list(read_shares(line).values())) == pytest.approx(1, abs=1e-3)


@pytest.fixture
def generator(monkeypatch, tmp_path):
    toys.known(monkeypatch)
    monkeypatch.setenv("DANQING_HOME", str(tmp_path / "home"))
    return str(toys.save(tmp_path / "runs" / "mine" / "weights.safetensors", "plain").parent)


def test_rounds_of_a_generator_find_what_is_liked_and_each_work_can_be_made_again(generator, tmp_path):
    session = rounds.begin(tmp_path / "home", "explore", {"model": generator}, 6, seed=1)
    means, first = [], []
    for number in range(5):
        made = studio.make_round(session)
        warmth = {one.number: one.features["warmth"] for one in made}
        means.append(np.mean(list(warmth.values())))
        order = sorted(warmth, key=lambda n: -warmth[n])
        lean = [(order[0], order[1], 0.5)] if number == 0 else []
        session.choose(order[:2], order[-2:], lean)
        if number == 1:
            assert set(made[0].parents) == set(first)  # stands where the person leaned
        first = order[:2]
    assert means[-1] > max(means[0], 0) + 0.25
    work = Shelf().get(made[0].work)
    facts = work.provenance.request
    assert work.provenance.models
    assert facts["model"] == "mine"  # no place on this machine
    again = studio.explore(generator, "picture", of=facts["of"], truncation=facts["truncation"])
    assert again.work.sha256 == work.sha256


def test_what_a_generator_shows_is_measured_before_it_is_proposed(generator, tmp_path):
    session = rounds.begin(tmp_path / "home", "explore", {"model": generator}, 4, seed=2)
    made = studio.make_round(session)
    told = rounds._looked_at(session.fixed, [one.genome for one in made])
    for one, seen in zip(made, told, strict=True):
        for name, value in seen.items():
            assert abs(value - one.features[name]) < 0.35, name
