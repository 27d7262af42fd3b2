"""The shelf loses nothing, keeps nothing twice, and finds a work by a few letters of its name."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import pytest

from danqing.artwork import shelf as shelf_module
from danqing.artwork.artwork import Artwork
from danqing.artwork.image import Picture, read, read_provenance
from danqing.artwork.provenance import Provenance
from danqing.artwork.shelf import Shelf, default_home
from danqing.errors import BadRequest, NotWritable, OutputExists, Unavailable, UnknownName


def work(number: int, verb: str = "paint", title: str = "") -> Artwork:
    pixels = np.full((6, 8, 3), number / 255, np.float32)
    return Artwork(Picture(pixels), Provenance(verb, {"prompt": f"mountain {number} 山"}, seed=number), title)


@pytest.fixture
def shelf(tmp_path) -> Shelf:
    return Shelf(tmp_path / "home")


def test_a_work_is_saved_with_its_provenance(tmp_path):
    artwork = work(1)
    path = artwork.save(tmp_path / "a.png")
    assert read_provenance(path) == artwork.provenance
    with pytest.raises(OutputExists):
        artwork.save(path)
    with pytest.raises(BadRequest):
        artwork.save(tmp_path / "a.xyz")


def test_what_is_added_is_found_again(shelf):
    artwork = work(3, title="a mountain")
    kept = shelf.add(artwork)
    found = shelf.get(kept.id)
    assert found == kept
    assert (found.width, found.height, found.seed, found.verb, found.title) == (8, 6, 3, "paint", "a mountain")
    assert found.provenance == artwork.provenance
    assert np.array_equal(read(found.path).pixels, artwork.content.pixels)
    assert hashlib.sha256(found.path.read_bytes()).hexdigest() == found.sha256
    assert read(found.preview).width == 8
    assert found.created.utcoffset().total_seconds() == 0


def test_a_preview_is_small(shelf):
    kept = shelf.add(
        Artwork(Picture(np.zeros((30, 1000, 3), np.float32), np.ones((30, 1000), np.float32)), Provenance("p"))
    )
    preview = read(kept.preview)
    assert (preview.width, preview.height) == (384, 12)
    assert preview.alpha is None or preview.alpha.min() == 1


def test_the_same_work_twice_is_one(shelf):
    first, second = shelf.add(work(1)), shelf.add(work(1))
    assert first == second
    assert shelf.count() == 1
    assert len(list(shelf.home.glob("files/*/*"))) == 1


def test_lists_are_latest_first_and_can_be_narrowed(shelf):
    for number in range(4):
        shelf.add(work(number, verb="paint" if number % 2 else "dream", title=f"No. {number} 100%"))
    assert [kept.seed for kept in shelf.works()] == [3, 2, 1, 0]
    assert [kept.seed for kept in shelf.works(limit=2, offset=1)] == [2, 1]
    assert [kept.seed for kept in shelf.works(verb="dream")] == [2, 0]
    assert [kept.seed for kept in shelf.works(search="MOUNTAIN 2")] == [2]
    assert len(shelf.works(search="山")) == 4
    assert len(shelf.works(search="100%")) == 4
    assert not shelf.works(search="1_0%")
    with pytest.raises(BadRequest):
        shelf.works(limit=-1)


def test_an_id_given_out_stays_good(shelf, monkeypatch):
    monkeypatch.setattr(shelf_module, "SHORT", 1)  # so that ids grow, and one begins another
    kept = [shelf.add(work(number)) for number in range(20)]
    assert len({one.id for one in kept}) == 20
    assert [shelf.get(one.id) for one in kept] == kept


def test_names_that_are_not_there_or_not_one(shelf):
    kept = [shelf.add(work(number)) for number in range(17)]
    with pytest.raises(UnknownName, match=f"Did you mean '{kept[3].id}'"):
        shelf.get(kept[3].id[:7] + "z")
    assert shelf.get(kept[3].sha256.upper()) == kept[3]
    digits = [one.id[0] for one in kept]
    shared = next(digit for digit in digits if digits.count(digit) > 1)  # 17 works, 16 digits
    with pytest.raises(BadRequest, match=r"begins several works: .* \(paint\), .*; add digits"):
        shelf.get(shared)
    for empty in ("", "  ", "%"):
        with pytest.raises(BadRequest):
            shelf.get(empty)


def test_a_removed_work_is_gone_with_its_files(shelf):
    kept = shelf.add(work(1))
    assert shelf.remove(kept.id) == kept
    assert not kept.path.exists()
    assert not kept.preview.exists()
    with pytest.raises(UnknownName):
        shelf.get(kept.id)
    assert shelf.add(work(1)).sha256 == kept.sha256


def test_a_crash_between_file_and_row_leaves_only_what_sweep_removes(shelf, monkeypatch):
    kept = shelf.add(work(1))

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(shelf_module, "_short_name", crash)
    with pytest.raises(KeyboardInterrupt):
        shelf.add(work(2))
    monkeypatch.undo()
    assert shelf.count() == 1
    (shelf.home / "files" / kept.sha256[:2] / ".danqing-1234.part").write_bytes(b"half")
    assert shelf.sweep() == 0  # too young: perhaps another process is in the middle of adding it
    old = time.time() - 7200
    for path in [*shelf.home.glob("files/*/*"), *shelf.home.glob("previews/*/*")]:
        os.utime(path, (old, old))
    assert shelf.sweep() == 3
    assert kept.path.exists()
    assert kept.preview.exists()
    assert shelf.add(work(2)).seed == 2


def test_a_file_deleted_by_hand_comes_back_when_the_work_is_made_again(shelf):
    kept = shelf.add(work(1))
    kept.path.unlink()
    assert shelf.add(work(1)).path.is_file()


def test_processes_that_add_at_once_lose_nothing(tmp_path):
    program = (
        "import sys, pathlib, numpy as np\n"
        "from danqing.artwork.artwork import Artwork; from danqing.artwork.image import Picture\n"
        "from danqing.artwork.provenance import Provenance; from danqing.artwork.shelf import Shelf\n"
        "shelf = Shelf(pathlib.Path(sys.argv[1]))\n"
        "for number in range(int(sys.argv[2]), int(sys.argv[2]) + 15):\n"
        "    picture = Picture(np.full((6, 8, 3), number / 255, np.float32))\n"
        "    shelf.add(Artwork(picture, Provenance('paint', seed=number)))\n"
    )
    home = tmp_path / "home"
    # The ranges overlap, so that some works are added by two processes; and all three create the shelf.
    running = [subprocess.Popen([sys.executable, "-c", program, str(home), str(start)]) for start in (0, 10, 20)]
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
    shelf = Shelf(home)
    assert sorted(kept.seed for kept in shelf.works(100)) == list(range(35))
    assert all(kept.path.is_file() and kept.preview.is_file() for kept in shelf.works(100))
    assert len(list(home.glob("files/*/*"))) == 35


def test_a_shelf_opens_again_and_refuses_a_newer_one(tmp_path):
    home = tmp_path / "home"
    kept = Shelf(home).add(work(5))
    assert Shelf(home).get(kept.id) == kept
    with closing(sqlite3.connect(home / "shelf.db")) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(Unavailable, match="newer"):
        Shelf(home)


def test_an_older_shelf_is_upgraded_and_keeps_its_works(tmp_path, monkeypatch):
    home = tmp_path / "home"
    kept = Shelf(home).add(work(5))
    later = (*shelf_module._MIGRATIONS, ("ALTER TABLE works ADD COLUMN framed INTEGER",))
    monkeypatch.setattr(shelf_module, "_MIGRATIONS", later)
    assert Shelf(home).get(kept.id) == kept
    Shelf(home)  # and the second time there is nothing left to do
    with closing(sqlite3.connect(home / "shelf.db")) as database:
        assert "framed" in {row[1] for row in database.execute("PRAGMA table_info(works)")}


def test_a_shelf_from_before_tags_and_ratings_gains_them(tmp_path, monkeypatch):
    home = tmp_path / "home"
    with monkeypatch.context() as patch:
        patch.setattr(shelf_module, "_MIGRATIONS", shelf_module._MIGRATIONS[:1])
        Shelf(home)  # as the first version made it
    with closing(sqlite3.connect(home / "shelf.db")) as database, database:
        values = ("ab" * 32, "abababab", "2026-01-01T00:00:00.000000+00:00", "paint", "old", "picture", ".png", 8, 6, 1)
        database.execute(
            "INSERT INTO works (sha256, id, created, verb, title, media, suffix, width, height, seed, provenance) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, Provenance("paint").to_json()),
        )
    kept = Shelf(home).get("abababab")
    assert (kept.title, kept.rating, kept.tags, kept.trashed) == ("old", 0, (), None)
    assert Shelf(home).rate("abababab", 4).rating == 4


def test_ratings_and_tags_stay_and_narrow_a_list(shelf):
    works = [shelf.add(work(number)) for number in range(4)]
    assert shelf.rate(works[0].id, 5).rating == 5
    assert shelf.rate(works[1].id, 3).rating == 3
    tagged = shelf.tag(works[0].id, ["winter", " quiet   lake ", "winter", "雪"])
    assert tagged.tags == ("quiet lake", "winter", "雪")
    shelf.tag(works[1].id, ["winter"])
    assert shelf.get(works[0].id) == tagged
    assert [kept.seed for kept in shelf.works(tag="winter")] == [1, 0]
    assert [kept.seed for kept in shelf.works(rating=4)] == [0]
    assert [kept.seed for kept in shelf.works(search="LAKE")] == [0]
    assert [kept.seed for kept in shelf.works(media="picture", tag="winter", rating=3, limit=1)] == [1]
    assert not shelf.works(media="music")
    assert (shelf.count(tag="winter"), shelf.count(rating=4), shelf.count(media="text")) == (2, 1, 0)
    assert shelf.tags() == {"quiet lake": 1, "winter": 2, "雪": 1}
    assert shelf.tag(works[0].id, []).tags == ()
    assert shelf.tags() == {"winter": 1}
    for wrong in (6, -1, True, "5"):
        with pytest.raises(BadRequest, match="rating"):
            shelf.rate(works[0].id, wrong)
    for wrong in ("", "  ", "x" * 61, "two\nlines\x00"):
        with pytest.raises(BadRequest, match="tag"):
            shelf.tag(works[0].id, [wrong])
    with pytest.raises(BadRequest, match="up to"):
        shelf.tag(works[0].id, [str(number) for number in range(33)])


def test_what_is_thrown_away_comes_back_whole_until_the_trash_is_emptied(shelf):
    kept, other = shelf.add(work(1)), shelf.add(work(2))
    shelf.rate(kept.id, 4)
    shelf.tag(kept.id, ["winter"])
    thrown = shelf.discard(kept.id)
    assert thrown.trashed is not None
    assert [one.id for one in shelf.works()] == [other.id]
    assert shelf.count() == 1
    assert shelf.tags() == {}
    with pytest.raises(UnknownName):
        shelf.get(kept.id)
    assert [one.id for one in shelf.trash()] == [kept.id]
    assert shelf.sweep(0) == 0
    back = shelf.restore(kept.id)
    assert (back.rating, back.tags, back.trashed) == (4, ("winter",), None)
    assert back == shelf.get(kept.id)
    shelf.discard(kept.id)
    assert shelf.empty_trash() == 1
    assert not kept.path.exists()
    with pytest.raises(UnknownName):
        shelf.restore(kept.id)
    assert shelf.empty_trash() == 0
    assert [one.id for one in shelf.works()] == [other.id]


def test_a_work_made_again_comes_out_of_the_trash(shelf):
    kept = shelf.add(work(1))
    shelf.discard(kept.id)
    assert shelf.add(work(1)).id == kept.id
    assert not shelf.trash()


def test_a_place_that_is_no_shelf(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotWritable, match="DANQING_HOME"):
        Shelf(tmp_path / "file")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "shelf.db").write_bytes(b"not a database" * 100)
    with pytest.raises(NotWritable, match=r"shelf\.db cannot be used"):
        Shelf(tmp_path / "home")


def test_home_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("DANQING_HOME", str(tmp_path / "mine"))
    assert default_home() == tmp_path / "mine"
    monkeypatch.delenv("DANQING_HOME")
    assert default_home().name == "danqing"
