"""`compose` and the appraisal of music on the command line: every form comes out, one object, one line for an error."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import music_models
import pytest

from danqing import arts
from danqing.arts import compose as art
from danqing.artwork import publishing, scores
from danqing.artwork.artwork import Artwork
from danqing.artwork.music import Key, Score
from danqing.artwork.provenance import Provenance, describe

Danqing = Callable[..., tuple[int, str, str]]
TUNE = Score(
    music_models.line((60, 62, 64, 65, 67, 65, 64, 62, 60, 64, 67, 72, 67, 64, 62, 60)), keys=(Key(Fraction(0), "C"),)
)


@pytest.fixture(autouse=True)
def composer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A composer that knows one tune by heart."""

    def create_all(request: art.Compose, tools: arts.Tools) -> tuple[Artwork, ...]:
        tunes = [TUNE.transposed(number) for number in range(request.count)]
        origin = Provenance("compose", describe(request), request.seed, notes=("a note",))
        return tuple(Artwork(tune, origin, f"Tune {number}") for number, tune in enumerate(tunes, 1))

    monkeypatch.setattr(art, "create_all", create_all)


@pytest.mark.parametrize("suffix", [".mid", ".musicxml", ".abc", ".svg", ".wav"])
def test_the_suffix_says_the_form(danqing: Danqing, suffix: str):
    code, out, err = danqing("compose", "--style", "bach", "--seed", 3, "-o", f"a{suffix}")
    assert (code, out) == (0, f"a{suffix}\n")
    assert err.startswith("a note\nTune 1, music, seed 3")
    found = publishing.read_provenance(f"a{suffix}")
    assert found is not None
    assert found.request["style"] == "bach"
    code, _, err = danqing("compose", "-o", f"a{suffix}")
    assert (code, err.count("\n")) == (2, 1)
    assert "--force" in err


def test_a_blend_takes_two_files(danqing: Danqing, monkeypatch: pytest.MonkeyPatch):
    asked: list[art.Compose] = []
    for name in ("a.mid", "b.mid"):
        scores.save(TUNE, name, Provenance("compose"))
    make = art.create_all
    monkeypatch.setattr(art, "create_all", lambda request, tools: (asked.append(request), make(request, tools))[1])
    code, out, _ = danqing("compose", "--blend", "a.mid", "b.mid", "--density", -0.5, "-o", "c.mid")
    assert (code, out) == (0, "c.mid\n")
    assert (asked[0].blend, asked[0].density) == ((Path("a.mid"), Path("b.mid")), -0.5)


def test_json_says_where_it_is_and_the_gallery_shows_it(danqing: Danqing):
    code, out, err = danqing("compose", "--seed", 1, "--json")
    made = json.loads(out)
    assert (code, err, made["media"], Path(made["path"]).suffix) == (0, "", "music", ".musicxml")
    assert len(scores.read(made["path"]).notes) == 16
    assert "music" in danqing("gallery")[1]
    shown = danqing("show", made["id"])[1]
    assert "Tune 1" in shown
    assert "size       music" in shown


def test_several_works_are_several_files(danqing: Danqing):
    code, out, _ = danqing("compose", "--count", 2, "-o", "a.mid", "--json")
    assert (code, [work["path"] for work in json.loads(out)["works"]]) == (0, ["a-1.mid", "a-2.mid"])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["compose", "-o", "a.txt"], "danqing: a.txt ends in '.txt'; music is written as .mid"),
        (["compose", "--key", "H"], "danqing: --key is 'H'; a key is a tonic and a mode"),
        (["compose", "--style", "bachh"], "danqing: style 'bachh' is not known. Did you mean 'bach'"),
        (["compose", "--style", "ragtme"], "danqing: style 'ragtme' is not known. Did you mean 'ragtime'"),
        (["compose", "--style", "chopin:mazurka", "--metre", "4/4"], "danqing: --metre is 4/4 and a mazurka is in 3/4"),
        (["compose", "--infill", "a.mid"], "danqing: --infill was given without --bars-range"),
        (["compose", "--blend", "a.mid"], "danqing: option '--blend' requires 2 arguments"),
        (["compose", "--density", 0.5], "danqing: --density moves a blend, and no --blend"),
        (["compose", "--blend", "a.mid", "b.mid", "--span", -2], "danqing: --span is -2; it lies between -1"),
        (["compose", "--bars", "many"], "danqing: invalid value for '--bars'"),
        (["appraise", "none.mid"], "danqing: none.mid is not there"),
        (["appraise", "binary.mid"], "danqing: binary.mid is no score"),
        (["appraise", "tune.abc", "--form", "七律"], "danqing: --form is for texts and tune.abc is music"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(danqing: Danqing, argv: list[str], message: str):
    Path("binary.mid").write_bytes(bytes(range(256)))
    scores.save(TUNE, "tune.abc", Provenance("compose"))
    code, out, err = danqing(*argv)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(message)


def test_appraise_judges_music_and_texts_side_by_side(danqing: Danqing):
    scores.save(TUNE, "tune.mid", Provenance("compose"))
    Path("poem.txt").write_text("床前明月光，疑是地上霜。\n举头望明月，低头思故乡。", encoding="utf-8")
    code, out, _ = danqing("appraise", "tune.mid", "poem.txt")
    assert code == 0
    for words in ("key             C major", "melody", "mood", "体裁"):
        assert words in out
    assert "C大调" in danqing("appraise", "tune.mid", "--language", "zh")[1]
    music, text = json.loads(danqing("appraise", "tune.mid", "poem.txt", "--json")[1])["reports"]
    assert (music["key"], text["writing"]["language"]) == ("C major", "zh")


def test_help_needs_no_torch_and_names_every_flag(danqing: Danqing):
    out = danqing("compose", "--help")[1]
    flags = (
        "--style --bars --key --metre --tempo --mood --continue --harmonize --infill --bars-range --restyle --blend "
        "--density --span --syncopation --temperature --count --seed --output --force --json"
    )
    for flag in flags.split():
        assert flag in out, flag
    line = "from danqing.interfaces.cli import main; main(['compose', '--help'])"
    code = f"import sys; {line}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
