"""`write` and `appraise` on the command line: the text is printed, one object is printed, one line is printed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from danqing import arts
from danqing.arts import write as art
from danqing.artwork.artwork import Artwork
from danqing.artwork.literature import Writing, read, read_provenance
from danqing.artwork.provenance import Provenance, describe
from danqing.artwork.request import Step

Danqing = Callable[..., tuple[int, str, str]]
SPRING = "国破山河在，城春草木深。\n感时花溅泪，恨别鸟惊心。\n烽火连三月，家书抵万金。\n白头搔更短，浑欲不胜簪。"


@pytest.fixture(autouse=True)
def writer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that knows one poem by heart."""

    def create_all(request: art.Write, tools: arts.Tools) -> tuple[Artwork, ...]:
        made = []
        for number in range(request.count):
            rows = ("白日依山尽，黄河入海流。", f"欲穷千里目，更上{'一二三'[number]}层楼。")
            for row in ("登楼", "", *rows):
                tools.on_step(Step(1, 2, "writing", line=row))
            provenance = Provenance("write", describe(request), request.seed, notes=("a note",))
            made.append(Artwork(Writing(rows, "登楼", form="五绝"), provenance, "登楼, 五绝"))
        return tuple(made)

    monkeypatch.setattr(art, "create_all", create_all)


def test_the_text_goes_to_the_standard_output_and_all_else_beside_it(danqing: Danqing):
    code, out, err = danqing("write", "--form", "五绝", "--seed", 1)
    assert (code, out) == (0, "登楼\n\n白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。\n")
    assert err.startswith("a note\n")
    assert "登楼, 五绝, seed 1" in err
    assert danqing("write", "--quiet")[1:] == ("", "")


def test_json_holds_the_text(danqing: Danqing):
    code, out, err = danqing("write", "--seed", 1, "--json", "-o", "a.md")
    result = json.loads(out)
    assert (code, err, result["media"], result["path"]) == (0, "", "text", "a.md")
    assert result["text"].startswith("登楼\n\n白日")
    assert read_provenance("a.md") is not None


def test_several_works_are_several_files(danqing: Danqing):
    code, out, _ = danqing("write", "--count", 2, "-o", "out.txt", "--json")
    assert code == 0
    assert [work["path"] for work in json.loads(out)["works"]] == ["out-1.txt", "out-2.txt"]
    assert read("out-1.txt").lines != read("out-2.txt").lines
    code, _, err = danqing("write", "--count", 2, "-o", "out.txt")
    assert (code, err.count("\n")) == (2, 1)
    assert "out-1.txt is there already" in err


def test_the_shelf_shows_the_text(danqing: Danqing):
    made = json.loads(danqing("write", "--json", "--seed", 4)[1])
    assert "text" in danqing("gallery")[1]
    shown = danqing("show", made["id"])[1]
    assert "欲穷千里目" in shown
    assert json.loads(danqing("show", made["id"], "--json")[1])["text"].startswith("登楼")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["write", "--topic", ""], "danqing: --topic is empty"),
        (["write", "-o", "poem.png"], "danqing: poem.png ends in '.png'; a text is written as .txt, .md, .docx"),
        (["write", "--form", "五绝", "--language", "en"], "danqing: --form 五绝 is Chinese and --language is en"),
        (["write", "--language", "fr"], "danqing: invalid value for '--language'"),
        (["write", "--lines", "two"], "danqing: --lines is 'two'; it is numbers"),
        (["appraise"], "danqing: missing argument"),
        (["appraise", "none.txt"], "danqing: none.txt is not there"),
        (["appraise", "binary.txt"], "danqing: binary.txt is no text"),
        (["appraise", "spring.txt", "--form", "五言"], "danqing: form '五言' is not known"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(danqing: Danqing, argv: list[str], message: str):
    Path("binary.txt").write_bytes(bytes(range(256)))
    Path("spring.txt").write_text(SPRING, encoding="utf-8")
    code, out, err = danqing(*argv)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(message)


def test_appraise_reports_a_poem_by_du_fu(danqing: Danqing):
    Path("spring.txt").write_text(f"春望\n唐·杜甫\n\n{SPRING}\n", encoding="utf-8")
    code, out, _ = danqing("appraise", "spring.txt")
    assert code == 0
    for words in ("春望 杜甫", "五律，仄起首句不入韵", "国 破 山 河 在", "●  ●  ○  ○  ●", "十二侵", "粘"):
        assert words in out
    assert "opens oblique" in danqing("appraise", "spring.txt", "--language", "en")[1]
    (report,) = json.loads(danqing("appraise", "spring.txt", "--json")[1])["reports"]
    assert (report["form"]["name"], report["form"]["kept"]) == ("五律", True)


def test_help_needs_no_torch_and_names_every_flag(danqing: Danqing):
    out = danqing("write", "--help")[1]
    flags = (
        "--form --topic --start --acrostic --revise --lines --language --length --temperature --poet --dynasty --mood "
        "--rhyme --script --model --count --seed --output --force --json"
    )
    for flag in flags.split():
        assert flag in out, flag
    line = "from danqing.interfaces.cli import main; main(['write', '--help'])"
    code = f"import sys; {line}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
