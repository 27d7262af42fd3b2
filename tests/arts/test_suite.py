import json
import re
import zipfile

import numpy as np
import pytest

from danqing import studio
from danqing.arts import suite as art
from danqing.arts import suite_film, suite_page
from danqing.arts.suite import Suite
from danqing.artwork import lettering
from danqing.artwork.image import Picture
from danqing.artwork.literature import Writing
from danqing.artwork.music import Note, Score
from danqing.artwork.shelf import Shelf
from danqing.errors import BadRequest, OutputExists, UnknownName


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One suite of the smallest size, and its shelf."""
    shelf = Shelf(tmp_path_factory.mktemp("home"))
    steps = []
    works = studio.suite("秋夜江上的孤舟", size=256, seed=1, shelf=shelf, on_step=steps.append)
    return works, shelf, steps


def test_one_idea_gives_a_poem_a_painting_music_and_a_film(made):
    works, shelf, _ = made
    assert [one.work.media for one in works] == ["text", "picture", "music", "video"]
    assert shelf.count() == 4
    assert works[0].artwork.content.title == "秋夜江上的孤舟"


def test_every_work_of_a_suite_names_its_mood_and_those_made_before_it(made):
    works, _, _ = made
    moods = [one.work.provenance.request["suite"]["mood"] for one in works]
    assert all(one == moods[0] for one in moods)
    assert moods[0]["season"] == "autumn"
    for number, one in enumerate(works):
        siblings = [parent.sha256 for parent in one.work.provenance.parents if parent.role == "sibling"]
        assert siblings == [other.work.sha256 for other in works[:number]]
        assert one.work.provenance.source_type.endswith("/trainedAlgorithmicMedia")


def test_leaving_the_prompt_out_leaves_the_idea_out(made):
    works, _, _ = made
    poem = works[0].work.provenance
    assert "孤舟" not in json.dumps(poem.without_prompt().request, ensure_ascii=False)


def test_progress_only_grows_and_ends_at_the_film(made):
    _, _, steps = made
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert {step.stage.split(":")[0] for step in steps} >= {"painting", "film"}


def test_the_film_lasts_as_long_as_its_music_and_has_the_sound(made):
    works, _, _ = made
    import av

    film, music = works[3], works[2].artwork.content
    with av.open(str(film.work.path)) as container:
        kinds = {stream.type for stream in container.streams}
        seconds = container.duration / 1e6
    assert kinds == {"video", "audio"}
    assert abs(seconds - music.seconds(music.length)) < 4


def test_a_suite_is_published_as_a_folder_a_page_and_a_zip(made, tmp_path):
    works, _, _ = made
    parts = art.parts([one.artwork for one in works])
    written = suite_page.publish(parts, tmp_path / "suite")
    assert set(suite_page.NAMES) <= {path.name for path in written}
    page = (tmp_path / "suite" / "index.html").read_text(encoding="utf-8")
    assert "秋夜江上的孤舟" in page
    told = re.sub(r"data:[\w/+.-]+;base64,[\w+/=]+", "", page)  # a picture's letters may spell anything
    assert "http" not in told.replace("http://www.w3.org", "")  # nothing is asked of the network
    assert "<script" not in page
    with zipfile.ZipFile(tmp_path / "suite" / "suite.zip") as archive:
        assert archive.testzip() is None
        assert {"poem.txt", "index.html", "suite.mp4"} <= set(archive.namelist())
    with pytest.raises(OutputExists, match="--force"):
        suite_page.publish(parts, tmp_path / "suite")


def test_the_same_seed_gives_the_same_suite(made, tmp_path):
    works, _, _ = made
    again = studio.suite("秋夜江上的孤舟", size=256, seed=1, shelf=Shelf(tmp_path))
    assert [one.work.sha256 for one in again] == [one.work.sha256 for one in works]


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"idea": " "}, BadRequest, "the idea is empty"),
        ({"idea": "海", "valence": 2.0}, BadRequest, "valence is 2.0; it lies between -1"),
        ({"idea": "海", "size": 100}, BadRequest, "256 to 2048|between 256 and 2048"),
        ({"idea": "海", "season": "monsoon"}, BadRequest, "spring, summer, autumn, winter"),
        ({"idea": "海", "form": "limerick"}, UnknownName, "limerick"),
        ({"idea": "海", "music": "techno"}, UnknownName, "techno"),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is(given, error, words):
    with pytest.raises(error, match=words):
        Suite(**given)


def _film(poem, colours=((0.2, 0.3, 0.6), (0.8, 0.6, 0.3))):
    stages = [Picture(np.full((48, 64, 3), colour, np.float32)) for colour in colours]
    return suite_film.film(stages, poem, Score((Note(0, 60, 4),)), 1)


def test_a_film_begins_on_paper_and_ends_with_the_finished_painting():
    frames = _film(Writing(("白日依山尽",))).video.frames
    inside = (suite_film.HEIGHT // 2, suite_film.MARGIN + 40)
    assert tuple(frames[0][inside]) == suite_film.PAPER
    assert tuple(frames[-1][inside]) == (204, 153, 76)


def test_a_film_leaves_out_lines_that_no_font_can_show_and_says_so(monkeypatch):
    monkeypatch.setattr(lettering, "font", lambda size, text: None)
    made = _film(Writing(("白日依山尽",)))
    assert not made.lettered
    column = made.video.frames[-1][:, -suite_film.COLUMN :]
    assert (column == suite_film.PAPER).all()  # nothing, not a row of boxes


def test_a_font_is_found_only_if_it_has_every_character():
    assert lettering.font(20, "a quiet harbour") is not None
    assert lettering.font(20, "quiet \U0010fff0") is None
