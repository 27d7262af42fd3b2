from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from danqing.artwork.image import Picture, read, read_provenance, write
from danqing.artwork.request import Step
from danqing.artwork.shelf import Shelf
from danqing.interfaces import cli

Danqing = Callable[..., tuple[int, str, str]]


def left_behind(folder: Path) -> set[str]:
    """Every file below a folder, hidden ones too."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


# --- the frame --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("argv", [["--help"], ["stylize", "--help"], ["--version"], ["gallery"], ["models"], ["data"]])
def test_help_and_lists_need_no_torch(argv: list[str]):
    code = f"import sys; from danqing.interfaces.cli import main; main({argv!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_help_answers_in_a_third_of_a_second_or_nearly_as_soon_as_a_program_of_one_command():
    smallest = "import typer; app = typer.Typer(); app.command()(lambda: None); app(['--help'])"

    def best(*argv: str) -> float:
        def once() -> float:
            start = time.perf_counter()
            subprocess.run([sys.executable, *argv], capture_output=True, check=True)
            return time.perf_counter() - start

        return min(once() for _ in range(6))  # the best of several: other programs share the machine

    assert best("-m", "danqing", "--help") <= max(0.3, 1.75 * best("-c", smallest))  # slow machines are slow at both


def test_help_lists_every_verb_in_plain_words(danqing: Danqing):
    code, out, err = danqing("--help")
    assert (code, err) == (0, "")
    for verb in ("stylize", "gallery", "show", "models", "data", "doctor"):
        assert verb in out
    assert danqing()[1] == out


def test_the_help_of_stylize_names_its_flags_and_defaults(danqing: Danqing):
    out = danqing("stylize", "--help")[1]
    flags = "--style --mix --method --strength --size --keep-colors --mask --backbone --seed --output --force --preview"
    for flag in (*flags.split(), "--json", "--quiet", "patch|neural|fast", "own|vgg19", "-o", "default: 768"):
        assert flag in out, flag


def test_the_version_is_the_packages(danqing: Danqing):
    import danqing as package

    assert danqing("--version")[1] == f"danqing {package.__version__}\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["stylise"], "danqing: no such command 'stylise'. Did you mean 'stylize'? See: danqing --help"),
        (["stylize"], "danqing: missing argument 'PHOTO'. See: danqing stylize --help"),
        (["stylize", "photo.png"], "danqing: missing option '--style'. See: danqing stylize --help"),
        (["stylize", "photo.png", "--stile", "x"], "danqing: no such option: --stile"),
        (["stylize", "photo.png", "--style", "x", "--size", "big"], "danqing: invalid value for '--size'"),
        (["stylize", "photo.png", "--style", "x", "--method", "magic"], "danqing: invalid value for '--method'"),
        (["stylize", "photo.png", "extra", "--style", "x"], "danqing: got unexpected extra argument"),
        (["gallery", "--limit", "-1"], "danqing: limit is -1"),
        (["show", "ffff"], "danqing: work 'ffff' is not known. See: danqing gallery"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(danqing: Danqing, argv: list[str], message: str):
    code, out, err = danqing(*argv)
    assert code == 2
    assert out == ""
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_errors_are_objects_where_json_was_asked_for(danqing: Danqing):
    code, out, err = danqing("show", "ffff", "--json")
    assert code == 2
    error = json.loads(out)
    assert error["exit_code"] == 2
    assert error["error"]["kind"] == "UnknownName"
    assert err == f"danqing: {error['error']['message']}\n"


def test_what_every_verb_understands_may_stand_before_it(danqing: Danqing):
    assert json.loads(danqing("--json", "gallery")[1])["works"] == []


def test_a_mistake_of_ours_is_one_line_and_with_debug_a_traceback(danqing: Danqing, monkeypatch: pytest.MonkeyPatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("by\nnothing")

    monkeypatch.setattr("danqing.artwork.shelf.Shelf.works", broken)
    code, _, err = danqing("gallery")
    assert (code, err) == (1, "danqing: ZeroDivisionError: by nothing. The traceback: the same with --debug\n")
    assert "Traceback" in danqing("gallery", "--debug")[2]


# --- stylize ----------------------------------------------------------------------------------------------------------


def test_a_photo_becomes_a_work_on_the_shelf_and_its_path_is_printed(danqing: Danqing, photo: Path, painting: Path):
    code, out, err = danqing("stylize", photo, "--style", painting, "--size", 64)
    assert code == 0
    path = Path(out.strip())
    assert path.is_relative_to(Shelf().home)
    assert read(path).pixels.shape == (43, 64, 3)
    assert "photo, in the style of painting, 64×43 px" in err
    provenance = read_provenance(path)
    assert provenance is not None
    assert [parent.name for parent in provenance.parents] == ["photo.png", "painting.png"]


def test_the_same_seed_gives_the_same_bytes(danqing: Danqing, photo: Path, painting: Path):
    for name in ("a.png", "b.png"):
        assert danqing("stylize", photo, "--style", painting, "--size", 64, "--seed", 3, "-o", name)[0] == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


def test_json_is_one_object_that_says_all(danqing: Danqing, photo: Path, painting: Path):
    code, out, err = danqing(
        "stylize", photo, "--style", painting, "--size", 64, "-o", "out.jpg", "--json", "--seed", 5
    )
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert out.count("\n") == 1
    assert (result["path"], result["seed"], result["width"], result["height"]) == ("out.jpg", 5, 64, 43)
    assert Path(result["shelf_path"]).is_file()
    assert result["provenance"]["request"]["styles"][0]["name"] == "painting.png"
    assert result["provenance"]["seed"] == 5


def test_quiet_prints_nothing(danqing: Danqing, photo: Path, painting: Path):
    assert danqing("stylize", photo, "--style", painting, "--size", 64, "--quiet") == (0, "", "")


def test_verbose_says_what_was_chosen(danqing: Danqing, photo: Path, painting: Path):
    err = danqing("stylize", photo, "--style", painting, "--size", 64, "--verbose")[2]
    assert err.startswith("computing on cpu,")


def test_chinese_names_work_everywhere(danqing: Danqing, photo: Path, painting: Path):
    Path("画").mkdir()
    photo.rename("画/照片.png")
    code, out, _ = danqing("stylize", "画/照片.png", "--style", painting, "--size", 64, "-o", "画/成品.png")
    assert (code, out) == (0, f"{Path('画/成品.png')}\n")
    assert "照片" in danqing("gallery")[1]
    assert danqing("gallery", "--search", "照片", "--json")[1].count("照片") > 0
    code, _, err = danqing("stylize", "没有.png", "--style", painting)
    assert code == 2
    assert err.startswith("danqing: 没有.png is not there")


def test_an_output_is_replaced_only_with_force(danqing: Danqing, photo: Path, painting: Path):
    Path("out.png").write_bytes(b"mine")
    code, _, err = danqing("stylize", photo, "--style", painting, "--size", 64, "-o", "out.png")
    assert (code, Path("out.png").read_bytes()) == (2, b"mine")
    assert err == "danqing: out.png is there already; choose another name, or add --force to replace it\n"
    assert Shelf().count() == 0
    assert danqing("stylize", photo, "--style", painting, "--size", 64, "-o", "out.png", "--force")[0] == 0
    assert read("out.png").width == 64


def fake_png(width: int, height: int) -> bytes:
    """A PNG that says how large it is and holds next to nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def bad_photo(kind: str) -> Path:
    path = Path(f"{kind}.png")
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        path.write_bytes(Path("photo.png").read_bytes()[:300])
    elif kind == "text":
        path.write_text("not a picture", encoding="utf-8")
    elif kind == "mislabelled":
        Image.new("RGB", (64, 64)).save(path, "JPEG")
    elif kind == "animated":
        path = path.with_suffix(".webp")
        frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
        frames[0].save(path, save_all=True, append_images=frames[1:])
    elif kind == "one-pixel":
        Image.new("RGB", (1, 1)).save(path)
    elif kind == "thin":
        Image.new("RGB", (2000, 16)).save(path)
    elif kind == "wide":
        path.write_bytes(fake_png(60_000, 60))
    elif kind == "bomb":
        path.write_bytes(fake_png(30_000, 30_000))
    elif kind == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    "kind",
    "missing empty truncated text mislabelled animated one-pixel thin wide bomb folder".split(),  # noqa: SIM905
)
@pytest.mark.parametrize("role", ["photo", "style", "mask"])
def test_a_bad_picture_is_one_line_and_leaves_nothing(
    danqing: Danqing, photo: Path, painting: Path, home: Path, kind: str, role: str
):
    bad = bad_photo(kind)
    before = left_behind(Path.cwd())
    given = {"photo": photo, "style": painting, "mask": None, role: bad}
    if role == "style" and kind == "thin":
        pytest.skip("a long thin picture has a style like any other")
    mask = ["--mask", given["mask"]] if given["mask"] else []
    code, out, err = danqing("stylize", given["photo"], "--style", given["style"], *mask, "--size", 96, "-o", "out.png")
    assert (code, out) == (2, "")
    assert err.startswith("danqing: ")
    assert bad.stem in err
    assert err.count("\n") == 1
    assert left_behind(Path.cwd()) == before
    assert Shelf().count() == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--style", "monnet"], "style 'monnet' is not known."),
        (["--style", "painting.png", "--mix", "1,2"], "--mix has 2 numbers for 1 styles"),
        (["--style", "painting.png", "--mix", "much"], "--mix is 'much'; it is numbers with commas"),
        (["--style", "painting.png", "--mix", "nan"], "--mix is nan"),
        (["--style", "painting.png", "--mix", "0"], "--mix is 0.0"),
        (["--style", "painting.png", "--strength", "1.5"], "--strength is 1.5; it lies between 0"),
        (["--style", "painting.png", "--strength", "nan"], "--strength is nan"),
        (["--style", "painting.png", "--size", "63"], "--size is 63; it lies between 64 and 8192"),
        (["--style", "painting.png", "--size", "9000"], "--size is 9000"),
        (["--style", "painting.png", "--seed", "-1"], "--seed is -1"),
        (["--style", "painting.png", "--backbone", "vgg19"], "--backbone vgg19 goes with --method neural"),
        (["--style", "painting.png", "--mask", "small.png"], "mask small.png is 32×32 px and photo.png 96×64 px"),
        (["--style", "painting.png"] + ["--mask", "photo.png"] * 2, "2 masks for 1 styles"),
        (["--style", "painting.png", "-o", "out.bmp"], "out.bmp names no format that we write"),
        (["--style", "painting.png", "-o", "nowhere/out.png"], "folder nowhere is not there"),
        (["--style", "painting.png", "-o", "painting.png/out.png"], "folder painting.png is not there"),
        (["--style", "painting.png", "--preview", "photo.png"], "photo.png is there already"),
    ],
)
def test_a_bad_request_is_one_line_and_leaves_nothing(
    danqing: Danqing, photo: Path, painting: Path, flags: list[str], message: str
):
    write(Picture(np.zeros((32, 32, 3), np.float32)), "small.png")
    before = left_behind(Path.cwd())
    code, out, err = danqing("stylize", photo, *flags)
    assert (code, out) == (2, "")
    assert err.startswith(f"danqing: {message}")
    assert err.count("\n") == 1
    assert left_behind(Path.cwd()) == before


def test_a_preview_is_drawn_while_the_work_is_made(
    danqing: Danqing, photo: Path, painting: Path, monkeypatch: pytest.MonkeyPatch
):
    from danqing.arts import stylize

    real = stylize.create

    def telling(request, tools):
        tools.on_step(Step(1, 2, "half", lambda: Picture(np.zeros((20, 30, 3), np.float32))))
        assert read("now.png").width == 30
        return real(request, tools)

    monkeypatch.setattr(stylize, "create", telling)
    code, _, err = danqing("stylize", photo, "--style", painting, "--size", 64, "--preview", "now.png", "-o", "out.png")
    assert code == 0
    assert "preview: now.png" in err


SLOW = """
import sys, time, numpy as np
from danqing.arts import stylize
from danqing.artwork.image import Picture
from danqing.artwork.request import Step
from danqing.interfaces.cli import main

def slow(request, tools):
    for done in range(1000):
        tools.on_step(Step(done, 1000, "waiting", lambda: Picture(np.zeros((20, 30, 3), np.float32))))
        if done == 0:
            print("begun", flush=True)
        time.sleep(0.02)

stylize.create = slow
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_nothing(photo: Path, painting: Path, home: Path, number: signal.Signals):
    before = left_behind(Path.cwd())
    argv = ["stylize", str(photo), "--style", str(painting), "-o", "out.png", "--preview", "now.png"]
    process = subprocess.Popen([sys.executable, "-c", SLOW, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.decode().splitlines()[-1] == "danqing: stopped; nothing was left half-written"
    assert b"Traceback" not in err
    assert left_behind(Path.cwd()) == before
    assert Shelf().count() == 0


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("swallowed", ["pass", "raise SystemError('a library made another error of it')"])
def test_a_ctrl_c_that_was_swallowed_stops_the_next_step(photo: Path, painting: Path, home: Path, swallowed: str):
    program = SLOW.replace(
        "        time.sleep(0.02)",
        f"""
        try:
            time.sleep(0.02)
        except KeyboardInterrupt:
            {swallowed}
""",
    )
    argv = ["stylize", str(photo), "--style", str(painting), "-o", "out.png"]
    process = subprocess.Popen([sys.executable, "-c", program, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.decode().splitlines()[-1] == "danqing: stopped; nothing was left half-written"


# --- what there is ----------------------------------------------------------------------------------------------------


def test_the_gallery_lists_the_latest_first_and_show_tells_all(danqing: Danqing, photo: Path, painting: Path):
    for seed in (1, 2):
        assert danqing("stylize", photo, "--style", painting, "--size", 64, "--seed", seed)[0] == 0
    listed = json.loads(danqing("gallery", "--json")[1])
    assert listed["total"] == 2
    assert [work["seed"] for work in listed["works"]] == [2, 1]
    assert len(json.loads(danqing("gallery", "--json", "--limit", 1)[1])["works"]) == 1
    name = listed["works"][0]["id"]
    code, out, _ = danqing("show", name)
    assert code == 0
    for part in (name, "photo, in the style of painting", "seed       2", "style: painting.png", "strength = 1.0"):
        assert part in out
    shown = json.loads(danqing("show", name, "--json")[1])
    assert shown == listed["works"][0]


def test_models_and_data_list_cards_with_their_rights(danqing: Danqing):
    models = json.loads(danqing("models", "--json")[1])["models"]
    vgg19 = next(model for model in models if model["name"] == "vgg19")
    assert (vgg19["rights"], vgg19["here"]) == ("research", False)
    assert "vgg19" in danqing("models")[1]
    assert any(source["name"] == "ImageNet-1k" for source in json.loads(danqing("data", "--json")[1])["data"])
    assert isinstance(json.loads(danqing("models", "--styles", "--json")[1])["styles"], list)


def test_doctor_says_what_the_machine_offers(danqing: Danqing):
    code, out, _ = danqing("doctor", "--json")
    report = json.loads(out)
    assert (code, report["healthy"]) == (0, True)
    names = {finding["name"] for finding in report["findings"]}
    assert {"python", "torch", "device", "cores", "memory", "disk", "shelf", "matrix product, bf16"} <= names
    assert "device: cpu" in danqing("doctor")[1]


def test_doctor_finds_a_shelf_whose_files_are_gone(danqing: Danqing, photo: Path, painting: Path):
    path = Path(danqing("stylize", photo, "--style", painting, "--size", 64)[1].strip())
    path.unlink()
    code, out, _ = danqing("doctor", "--json")
    shelf = next(finding for finding in json.loads(out)["findings"] if finding["name"] == "shelf")
    assert (code, shelf["state"]) == (1, "broken")


def test_every_command_has_a_help_of_its_own():
    for command in cli.app.registered_commands:
        assert command.help


def test_a_log_file_is_told_now_and_then_how_far_it_is(
    danqing: Danqing, photo: Path, painting: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("danqing.interfaces._progress.LINE_EVERY_S", 0.0)
    assert "%\n" in danqing("stylize", photo, "--style", painting, "--size", 64)[2]
