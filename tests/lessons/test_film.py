from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from danqing import lessons
from danqing.artwork.request import ignore
from danqing.errors import BadRequest, OutputExists
from danqing.interfaces.cli import main
from danqing.lessons import film

HERE = Path(film.__file__).parent


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_film_shows_every_frame_and_holds_the_last(language: str):
    frames: list[lessons.Frame] = []
    lessons.run("form", {"form": "对联"}, 3, frames.append)
    video = film.film(frames, language, ignore)
    assert len(video.frames) == len(frames) - 1 + 2 * video.fps
    assert video.frames[0].std() > 1
    assert (video.frames[0] != video.frames[-1]).any()


def test_a_page_holds_the_run_and_asks_for_nothing_from_anywhere():
    frames: list[lessons.Frame] = []
    lesson = lessons.get("attention")
    lessons.run("attention", {}, 3, frames.append)
    page = film.page(lesson, frames, lesson.read({}), 3)
    assert not re.search(r"""(src|href)=["']?https?:|@STAGE@|@TOLD@|\bimport\s|fetch\(""", page)
    inside = re.search(r'<script id="told" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert inside
    assert json.loads(inside[1])["frames"] == frames


def test_every_kind_of_panel_is_drawn_on_the_page_and_in_films():
    kinds = set()
    for name in ("gan", "latent", "reward", "form", "attention"):
        short = {"gan": {"rounds": 200}, "latent": {"steps": 100}, "reward": {"rounds": 40}}.get(name, {})
        frames: list[lessons.Frame] = []

        def first(frame: lessons.Frame, kept: list[lessons.Frame] = frames) -> None:
            kept.append(frame)
            if len(kept) == 3:
                raise InterruptedError

        with pytest.raises(InterruptedError):
            lessons.run(name, short, 1, first)
        kinds |= {panel["kind"] for panel in frames[0]["scene"]["panels"]}
        film._drawn(frames, 2, "en")
    drawn = re.search(r"const DRAWERS = \{ (.*?) \}", (HERE / "stage.js").read_text("utf-8"))
    assert drawn
    assert kinds == set(film._DRAWERS) == set(drawn[1].split(", "))


def test_the_verb_lists_explains_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["lesson", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["lessons"]
    assert [entry["name"] for entry in listed] == list(lessons.names())
    assert main(["lesson", "form", "--set", "form=对联", "--language", "zh"]) == 0
    said = capsys.readouterr().out
    assert "戴着镣铐跳舞" in said
    assert "试一试" in said
    page = tmp_path / "form.html"
    assert main(["lesson", "form", "--set", "form=对联", "--json", "-o", str(page)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["path"] == str(page)
    assert told["controls"]["form"] == "对联"
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert main(["lesson", "form", "-o", str(page)]) == OutputExists.exit_code


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["lesson", "gann"], "Did you mean 'gan'?"),
        (["lesson", "gan", "--set", "rounds"], "KEY=VALUE"),
        (["lesson", "gan", "--set", "rounds=3"], "between 200 and 4000"),
        (["lesson", "gan", "-o", "gan.doc"], ".html, .gif, .mp4"),
    ],
)
def test_the_verb_says_in_one_line_what_is_wrong(words: list[str], line: str, capsys: pytest.CaptureFixture[str]):
    assert main(words) == BadRequest.exit_code
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1


def test_a_film_carries_where_it_came_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from danqing.artwork import video

    out = tmp_path / "form.gif"
    assert main(["lesson", "form", "--set", "form=对联", "--quiet", "-o", str(out)]) == 0
    provenance = video.read_provenance(out)
    assert provenance is not None
    assert provenance.verb == "lesson"
    assert provenance.request["form"] == "对联"
    assert capsys.readouterr().out == ""
