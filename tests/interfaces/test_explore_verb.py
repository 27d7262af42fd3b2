"""`explore` on the command line: where things go, and one line for whatever cannot be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import toy_generators as toys
from PIL import Image

import danqing as package
from danqing.arts import explore
from danqing.artwork import image, video
from danqing.artwork.shelf import Shelf
from danqing.compute import checkpoint

Danqing = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def generators(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator with styles, one with classes and none, in the folder to work in."""
    toys.known(monkeypatch)
    toys.save(Path("styled.safetensors"), "styled")
    toys.save(Path("runs/plain/weights.safetensors"), "plain", ("moon", "sun"))


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".png"])
def test_a_walk_is_a_video_or_a_strip(danqing: Danqing, suffix: str):
    name = f"walk{suffix}"
    argv = ["explore", "runs/plain", "interpolate", "--from", 1, "--to", 2, "--seconds", 0.2, "-o", name]
    code, out, err = danqing(*argv)
    assert (code, out) == (0, f"{name}\n")
    assert "plain: from seed 1 to seed 2, 256×256 px" in err
    origin = (image if suffix == ".png" else video).read_provenance(name)
    assert origin is not None
    assert (origin.verb, origin.request["to"]) == ("explore", 2)
    before = Path(name).read_bytes()
    code, _, err = danqing(*argv)
    assert (code, err) == (2, f"danqing: {name} is there already; choose another name, or add --force to replace it\n")
    assert Path(name).read_bytes() == before
    assert danqing(*argv, "--force")[0] == 0


def test_json_says_what_was_made_and_the_gallery_shows_it(danqing: Danqing):
    made = json.loads(
        danqing("explore", "styled.safetensors", "interpolate", "--count", 2, "--seconds", 0.2, "--json")[1]
    )
    assert (made["media"], Path(made["path"]).suffix) == ("video", ".mp4")
    assert danqing("show", made["id"])[0] == 0
    assert "256×256 px" in danqing("gallery")[1]


def test_an_edit_keeps_its_latent_beside_it(danqing: Danqing):
    argv = ["explore", "styled.safetensors", "edit", "--along", "1=2", "-o", "e.png"]
    code, out, _ = danqing(*argv)
    assert (code, out) == (0, "e.png\ne.latent.safetensors\n")
    Path("e.png").unlink()
    code, _, err = danqing(*argv)
    assert (code, "e.latent.safetensors is there already" in err, Path("e.png").exists()) == (2, True, False)
    code, out, _ = danqing("explore", "styled.safetensors", "edit", "--along", "1=2", "--json")
    assert (code, Path(json.loads(out)["beside"][0]).is_file()) == (0, True)
    assert (
        danqing("explore", "styled.safetensors", "truncate", "--latent", "e.latent.safetensors", "-o", "t.png")[0] == 0
    )


def test_a_projection_is_shown_while_it_is_searched(danqing: Danqing, photo: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(explore, "CANDIDATES", 2)
    argv = ["explore", "styled.safetensors", "project", photo, "--steps", 2, "--starts", 1, "--preview", "now.png"]
    code, out, _ = danqing(*argv, "-o", "p.png")
    assert (code, out) == (0, "p.png\np.latent.safetensors\n")
    assert image.read("now.png").width == 256
    assert json.loads(danqing("gallery", "--json")[1])["works"][0]["title"] == "photo in styled"


def test_one_call_in_python(home: Path):
    work = package.explore("runs/plain", "samples", how_many=2, class_="sun")
    assert work.work.title == "plain: samples"
    assert work.save("s.png") == Path("s.png")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nowhere", "samples"], "generator 'nowhere' is not known"),
        (["runs/none", "samples"], "runs/none is not there"),
        (["none.safetensors", "samples"], "none.safetensors is not there"),
        (["text.safetensors", "samples"], "text.safetensors holds no weights"),
        (["other.safetensors", "samples"], "other.safetensors: these are weights of 'backbone', not of a generator"),
        (["perceptual", "samples"], "perceptual: these are weights of 'backbone', not of a generator"),
        (["runs", "samples"], "runs holds no weights.safetensors; a generator is a run's folder"),
        (["runs/begun", "samples"], "runs/begun holds no weights.safetensors; go on with the run"),
        (["runs/plain", "sample"], "invalid value for"),
        (["runs/plain", "mix"], "plain has no styles to mix"),
        (["runs/plain", "samples", "--class", "sum"], "class 'sum' is not known. Did you mean 'sun'"),
        (["styled.safetensors", "samples", "--class", "sun"], "styled was trained without classes"),
        (["runs/plain", "project"], "project looks for a picture, and none was given"),
        (["runs/plain", "project", "text.png"], "text.png holds no picture that we know"),
        (["runs/plain", "project", "none.png"], "none.png is not there"),
        (["runs/plain", "edit"], "edit moves along directions, and none was given"),
        (["runs/plain", "edit", "--along", "warmth=1"], "direction 'warmth' is not known"),
        (["runs/plain", "edit", "--along", "0=1"], "direction '0' is not known"),
        (["runs/plain", "edit", "--along", "999=1"], "999 directions were asked for; in this space there are 1 to"),
        (["runs/plain", "edit", "--along", "warmth"], "--along is 'warmth'; it is a direction and how far"),
        (["runs/plain", "edit", "--along", "1=nan"], "--along is '1=nan'"),
        (["runs/plain", "directions", "--name", "warmth"], "--name is 'warmth'; it is a direction's number"),
        (["runs/plain", "directions", "--by", "sefa"], "--by sefa takes a generator with styles"),
        (["runs/plain", "samples", "--along", "1=1"], "--along goes with edit, and samples was asked for"),
        (["runs/plain", "samples", "--count", 0], "--count is 0; it lies between 1 and 256"),
        (["runs/plain", "samples", "--truncation", "nan"], "--truncation is nan; it lies between 0 and 2"),
        (["runs/plain", "samples", "--seeds", "1,x"], "--seeds is '1,x'; it is numbers with commas"),
        (["runs/plain", "samples", "--seeds", "1,-2"], "seed -2 was asked for"),
        (["runs/plain", "samples", "--size", 9], "--size is 9; it lies between 16"),
        (["runs/plain", "interpolate", "--from", 1], "--from and --to go together"),
        (["runs/plain", "interpolate", "--seeds", "1"], "a walk goes from one picture to another"),
        (["runs/plain", "interpolate", "--size", 2048, "--seconds", 60, "--fps", 50], "a walk of 180 s at 50 frames"),
        (["runs/plain", "interpolate", "--from", 1, "--to", 2, "-o", "w.avi"], "w.avi ends in '.avi'"),
        (["runs/plain", "samples", "-o", "s.mp4"], "s.mp4 names no format that we write"),
        (["styled.safetensors", "mix", "--layers", "3"], "--layers is '3'; it is the first and the last layer"),
        (["styled.safetensors", "mix", "--count", 1], "mix takes two pictures or more"),
        (["runs/plain", "samples", "--latent", "none.safetensors"], "none.safetensors is not there"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(danqing: Danqing, argv: list[object], message: str):
    Path("text.safetensors").write_text("no weights", encoding="utf-8")
    Path("text.png").write_text("no picture", encoding="utf-8")
    Path("runs/begun").mkdir()
    Path("runs/begun/run.json").write_text("{}", encoding="utf-8")
    checkpoint.save_weights(Path("other.safetensors"), {}, {"architecture": "backbone"})
    before = sorted(Path().rglob("*"))
    code, out, err = danqing("explore", *argv)
    assert err.startswith(f"danqing: {message}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert sorted(Path().rglob("*")) == before
    assert Shelf().count() == 0


def test_a_sheet_is_a_picture_with_paper_around(danqing: Danqing):
    assert danqing("explore", "runs/plain", "samples", "--count", 4, "-o", "s.png")[0] == 0
    with Image.open("s.png") as sheet:
        assert sheet.getpixel((2, 2)) == (250, 248, 244)
        assert sheet.width > 2 * 128


def test_help_needs_no_torch_and_names_every_flag(danqing: Danqing):
    out = danqing("explore", "--help")[1]
    flags = (
        "--count --seed --seeds --from --to --latent --truncation --values --class --layers --seconds --fps --loop "
        "--by --name --along --starts --steps --size --output --force --json"
    )
    for flag in flags.split():
        assert flag in out, flag
    line = "from danqing.interfaces.cli import main; main(['explore', '--help'])"
    code = f"import sys; {line}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
