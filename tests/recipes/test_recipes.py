"""What holds for every recipe: it trains, survives a kill, makes weights that load, and says what it needs."""

import dataclasses
import json
import signal
import time
import zipfile

import jazz_solos
import numpy as np
import pop_songs
import pytest
from PIL import Image
from training_process import finish, train

from danqing import recipes
from danqing.compute import checkpoint
from danqing.errors import UnknownName
from danqing.training.run import Run

GENERATORS = (
    *("gan", "dcgan", "wgan_gp", "lsgan", "cgan", "progan", "stylegan", "r3gan", "projected"),
    *("vae", "autoencoder", "flow", "cyclegan", "pix2pix", "sketch"),
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(1)
    rows = []
    for i in range(60):
        base = np.full((48, 56, 3), 60 + 100 * (i % 2), dtype=np.uint8)
        Image.fromarray(base + rng.integers(0, 60, base.shape, dtype=np.uint8)).save(folder / f"{i}.png")
        rows.append(json.dumps({"file_name": f"{i}.png", "style": ["dark", "light", "dim", "pale"][i % 4]}))
    (folder / "metadata.jsonl").write_text("\n".join(rows), "utf-8")
    return folder


@pytest.fixture(scope="module")
def poems(tmp_path_factory):
    """Invented poems in both kinds of files: the form is right, the characters are drawn at random."""
    folder = tmp_path_factory.mktemp("poems")
    rng = np.random.default_rng(2)
    characters = [chr(0x4E00 + i) for i in range(200)]
    written = [["".join(rng.choice(characters, 5 + 2 * (i % 2))) for _ in range(8)] for i in range(120)]
    couplets = [[f"{p[k]}，{p[k + 1]}。" for k in range(0, 8, 2)] for p in written]
    rows = [json.dumps({"lines": lines, "title": "秋", "author": "李白", "dynasty": "唐"}) for lines in couplets[:80]]
    (folder / "a.jsonl").write_text("\n".join(rows), "utf-8")
    (folder / "b.txt").write_text("\n\n".join("\n".join(lines) for lines in couplets[80:]), "utf-8")
    return folder


@pytest.fixture(scope="module")
def stories(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stories")
    rng = np.random.default_rng(4)
    words = [
        "fox",
        "crow",
        "moon",
        "river",
        "king",
        "bread",
        "asked",
        "gave",
        "saw",
        "wanted",
        "the",
        "and",
        "of",
        "an",
        "old",
        "young",
    ]
    chapters = []
    for i in range(40):
        paragraphs = [" ".join(rng.choice(words, 25)).capitalize() + "." for _ in range(6)]
        chapters.append(f"## Chapter {i}\n\n" + "\n\n".join(paragraphs))
    (folder / "a.txt").write_text("\n\n".join(chapters), "utf-8")
    return folder


@pytest.fixture(scope="module")
def grids(tmp_path_factory):
    """Invented chorales: a voice keeps its note for a beat, and ends on a chord of C."""
    folder = tmp_path_factory.mktemp("grids")
    rng = np.random.default_rng(5)

    def piece():
        beats = [[int(rng.integers(low, low + 12)) for low in (62, 55, 48, 40)] for _ in range(16)]
        return [beat for beat in [*beats, [72, 64, 55, 48]] for _ in range(4)]

    sides = {side: [piece() for _ in range(count)] for side, count in (("train", 12), ("valid", 3), ("test", 3))}
    (folder / "chorales.json").write_text(json.dumps(sides))
    return folder


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Invented tunes in ABC."""
    folder = tmp_path_factory.mktemp("songs")
    rng = np.random.default_rng(6)
    bars = [["".join(rng.choice(list("CDEFGABcde"), 4)) for _ in range(16)] for _ in range(60)]
    tunes = [f'X:{i}\nM:2/4\nL:1/8\nK:C\n"C"{"|".join(b[:8])}:|\n{"|".join(b[8:])}||\n' for i, b in enumerate(bars)]
    (folder / "songs.abc").write_text("\n".join(tunes))
    return folder


@pytest.fixture(scope="module")
def kern(tmp_path_factory):
    """Invented sonatas for two hands by two composers, a staff to a hand."""
    folder = tmp_path_factory.mktemp("kern")
    rng = np.random.default_rng(8)
    for composer in ("mozart", "haydn"):
        with zipfile.ZipFile(folder / f"{composer}-kern.zip", "w") as archive:
            for number in range(6):
                rows = ["**kern\t**kern", "*M3/4\t*M3/4", "*G:\t*G:"]
                for bar in range(16):
                    rows.append(f"={bar}\t={bar}")
                    rows += ["\t".join(f"4{rng.choice(list(names))}" for names in ("CDEFGAB", "cdefgab"))
                             for _ in range(3)]  # fmt: skip
                archive.writestr(f"sonata{number}.krn", "\n".join([*rows, "*-\t*-"]))
    return folder


@pytest.fixture(scope="module")
def hits(tmp_path_factory):
    """Invented songs as POP909 has them: MIDI and beats."""
    folder = tmp_path_factory.mktemp("hits")
    with zipfile.ZipFile(folder / "songs.zip", "w") as archive:
        for number in range(12):
            pop_songs.write(archive, f"{number:03}", number)
    return folder


@pytest.fixture(scope="module")
def solos(tmp_path_factory):
    """Invented solos as the Weimar Jazz Database has them: tables of notes in seconds."""
    folder = tmp_path_factory.mktemp("solos")
    jazz_solos.write(folder / "solos.zip", 10)
    return folder


@pytest.fixture
def material(name, request):
    """Data that the recipe can be trained on."""
    kind = {"story": "stories"} | dict.fromkeys(("poet", "poet_lstm", "reviser", "origins"), "poems")
    kind |= dict.fromkeys(("chorale", "chorale_orderless", "chorale_tuned", "tune_origins"), "grids")
    kind |= dict.fromkeys(("phrases", "pianoroll_gan"), "grids")
    kind |= {"piano": "kern", "pop": "hits", "jazz": "solos"}
    kind |= dict.fromkeys(("folk", "folk_lstm", "folk_tuned"), "songs")
    return request.getfixturevalue(kind.get(name, "pictures"))


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_survives_a_kill(name, material, tmp_path):
    """Two steps, SIGKILL, resume: the same weights as four steps without a break."""
    unbroken = train(name, material, tmp_path / "whole")  # runs beside the other, on the other core
    try:
        assert finish(train(name, material, tmp_path / "cut", kill=3))[0] == -signal.SIGKILL
    except BaseException:
        unbroken.kill()
        raise
    assert not (tmp_path / "cut" / "weights.safetensors").exists()
    state = Run.at(tmp_path / "cut").load()
    assert 1 <= state["step"] <= 3
    for code, errors in (finish(train(name, material, tmp_path / "cut")), finish(unbroken)):
        assert code == 0, errors
    weights = [(tmp_path / which / "weights.safetensors").read_bytes() for which in ("whole", "cut")]
    assert weights[0] == weights[1]
    tensors, about = checkpoint.load_weights(tmp_path / "cut" / "weights.safetensors")
    assert tensors
    assert about["architecture"]
    result = json.loads((tmp_path / "cut" / "result.json").read_text())
    measured = recipes.get(name).evaluate(Run.at(tmp_path / "cut"), material)
    assert measured == pytest.approx({k: result[k] for k in measured}, rel=0.05, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_survives_fifty_kills_at_any_moment(name, request, tmp_path):
    """Killed from outside after a random time, be it in a step, in a checkpoint or before: always the same weights."""
    pictures = request.getfixturevalue("pictures")
    whole = train(name, pictures, tmp_path / "whole")
    began = time.monotonic()
    assert finish(whole)[0] == 0
    lasted = time.monotonic() - began
    weights = (tmp_path / "whole" / "weights.safetensors").read_bytes()
    rng = np.random.default_rng(9)
    for number in range(50):
        folder = tmp_path / f"cut{number}"
        process = train(name, pictures, folder)
        process.join(timeout=float(rng.uniform(0, lasted)))
        process.kill()
        finish(process)
        assert finish(train(name, pictures, folder)) == (0, "")
        assert (folder / "weights.safetensors").read_bytes() == weights, number


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_says_what_it_is_and_what_data_it_takes(name):
    recipe = recipes.get(name)
    assert recipe.name == name
    assert recipe.purpose
    assert recipe.data
    assert dataclasses.is_dataclass(recipe.config.tiny())


def test_an_unknown_recipe_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownName, match="'perceptual'"):
        recipes.get("perceptal")
