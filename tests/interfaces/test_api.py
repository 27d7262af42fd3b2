"""What the studio's routes promise, without workers: who may come in, what is refused, what is kept."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import socket
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from danqing import arts
from danqing.artwork.artwork import Artwork
from danqing.artwork.image import Picture
from danqing.artwork.literature import Writing
from danqing.artwork.provenance import Provenance
from danqing.errors import BadRequest, InvalidMedia, WriteFailed
from danqing.interfaces import _isolated, _uploads, api
from danqing.interfaces._desk import Wish
from danqing.interfaces.rooms import Refused, Studio
from danqing.interfaces.rooms import works as works_room
from danqing.sessions.jobs import Job

TUNE = Path(__file__).parents[2] / "docs" / "gallery" / "compose" / "bach-1.mid"
BASE = "http://127.0.0.1:7373"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DANQING_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def app(home):
    return api.create_app(home, workers=False)


@pytest.fixture
def client(app):
    with TestClient(app, base_url=BASE) as client:
        yield client


def png(side: int = 40) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((side, side + 10, 3), 120, np.uint8)).save(out, "PNG")
    return out.getvalue()


def painted(app, number: int, title: str = "harbour"):
    pixels = np.full((12, 16, 3), number / 255, np.float32)
    shelf = app.state.studio.shelf
    return shelf.add(Artwork(Picture(pixels), Provenance("paint", {"prompt": "港 harbour"}, seed=number), title))


def refused(answer, status: int, kind: str | None = None) -> str:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"kind", "message"}
    assert "\n" not in error["message"]
    assert kind in (None, error["kind"])
    return error["message"]


# --- who may come in --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7373", "127.0.0.1.evil.example", "", "10.0.0.7", "[::"])
def test_a_name_that_is_not_this_machine_is_refused(client, host):
    refused(client.get("/api/about", headers={"host": host}), 403, "ForbiddenHost")


@pytest.mark.parametrize("host", ["localhost:7373", "127.0.0.1:9000", "[::1]:7373", "LOCALHOST"])
def test_this_machine_may_come_in_by_each_of_its_own_names(client, host):
    assert client.get("/api/about", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/jobs/clear"), ("GET", "/api/works"), ("DELETE", "/api/trash")]
)
def test_another_page_may_cause_nothing_and_read_nothing(client, headers, method, path):
    refused(client.request(method, path, headers=headers), 403, "ForbiddenOrigin")


def test_our_own_page_may(client):
    headers = {"origin": BASE, "sec-fetch-site": "same-origin"}
    assert client.post("/api/jobs/clear", headers=headers).json() == {"removed": 0}


def test_every_answer_says_what_a_browser_may_do_with_it(client):
    for path in ("/", "/api/about", "/api/nothing", "/api/works/zz"):
        heads = client.get(path).headers
        assert "frame-ancestors 'none'" in heads["content-security-policy"]
        assert "unsafe" not in heads["content-security-policy"]
        assert heads["x-content-type-options"] == "nosniff"
        assert heads["referrer-policy"] == "no-referrer"


def test_with_a_token_nobody_comes_in_without_it(home):
    app = api.create_app(home, workers=False, host="0.0.0.0", token="correct-horse-battery")
    with TestClient(app, base_url="http://192.168.1.5:7373", follow_redirects=False) as client:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"cookie": "danqing-token=wrong"}):
            refused(client.get("/api/about", headers=headers), 401, "Unauthorized")
            refused(client.get("/", headers=headers), 401, "Unauthorized")
        for headers in (
            {"authorization": "Bearer correct-horse-battery"},
            {"x-danqing-token": "correct-horse-battery"},
        ):
            assert client.get("/api/about", headers=headers).json()["host_only"] is False
        refused(client.get("/?token=wrong"), 401)
        refused(client.post("/api/jobs/clear?token=correct-horse-battery"), 401)  # only a page is opened that way
        moved = client.get("/?token=correct-horse-battery&room=gallery")
        assert (moved.status_code, moved.headers["location"]) == (303, "/?room=gallery")
        cookie = moved.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert client.get("/api/about").status_code == 200  # the cookie came along
        assert (
            client.get("http://192.168.1.5:7373//evil.example/?token=correct-horse-battery").headers["location"]
            == "/evil.example/"
        )
        refused(client.get("/api/about", headers={"host": "evil.example"}), 403)


def test_what_is_too_large_is_refused_whatever_its_header_says(client):
    refused(client.post("/api/jobs", content=b" " * (5 * 2**20)), 413, "TooLarge")

    def endless():
        for _ in range(6):
            yield b" " * 2**20

    assert client.post("/api/jobs", content=endless()).status_code >= 400


# --- forms ------------------------------------------------------------------------------------------------------------


def test_every_art_can_be_asked_for_by_its_form(client):
    found = {art["verb"]: art for art in client.get("/api/arts").json()["arts"]}
    assert set(found) == {*arts.REQUESTS, *arts.REPORTS, *arts.SUITES}
    kinds = {"text", "int", "float", "bool", "choice", "file", "files", "names", "ints", "floats"}
    for art in found.values():
        assert art["help"]
        for field in art["fields"]:
            assert field["kind"] in kinds
            assert field["help"]
            assert (field["kind"] == "choice") == (field["choices"] is not None)
            assert not (field["required"] and field["default"] is not None)
    stylize = {field["name"]: field for field in found["stylize"]["fields"]}
    assert (stylize["photo"]["kind"], stylize["photo"]["required"], stylize["photo"]["flag"]) == ("file", True, "PHOTO")
    assert (stylize["styles"]["kind"], stylize["styles"]["flag"], stylize["styles"]["file"]) == (
        "names",
        "--style",
        True,
    )
    assert stylize["method"]["choices"] == ["patch", "neural", "fast"]
    assert stylize["strength"]["default"] == 1.0
    assert found["appraise"]["result"] == "report"


def test_styles_have_names_in_both_languages_and_pictures(client):
    styles = client.get("/api/styles").json()["styles"]
    assert len(styles) > 20
    for style in styles:
        assert style["title"]["en"]
        assert any("\u4e00" <= char <= "\u9fff" for char in style["title"]["zh"])
    shown = client.get(styles[0]["thumbnail"])
    assert shown.headers["content-type"] == "image/webp"
    assert shown.content[8:12] == b"WEBP"
    refused(client.get("/api/styles/monett/thumbnail"), 404, "UnknownName")


# --- jobs -------------------------------------------------------------------------------------------------------------


def test_a_job_is_kept_with_a_seed_and_survives_the_server(client, home):
    answer = client.post("/api/jobs", json={"verb": "paint", "request": {"prompt": "a quiet harbour", "size": 128}})
    assert answer.status_code == 201
    job = answer.json()
    assert (job["state"], job["position"], job["title"], job["lane"]) == ("queued", 1, "a quiet harbour", "long")
    assert 0 <= job["request"]["seed"] < 2**31
    with TestClient(api.create_app(home, workers=False), base_url=BASE) as another:
        assert another.get(f"/api/jobs/{job['id']}").json() == job
        assert another.get("/api/jobs").json()["jobs"] == [job]


@pytest.mark.parametrize(
    ("verb", "request_", "word"),
    [
        ("paint", {"size": 5}, "128"),
        ("paint", {"size": "large"}, "whole number"),
        ("paint", {"size": True}, "whole number"),
        ("paint", {"colour": "red"}, "no field 'colour'"),
        ("paint", {"style": "monett"}, "Did you mean 'monet'"),
        ("paint", {"style": "/etc/passwd"}, "not known"),
        ("paint", {"like": "/etc/passwd"}, "upload"),
        ("paint", {"like": {"upload": "../../../etc"}}, "not known"),
        ("paint", {"like": {"work": "%"}}, "not known"),
        ("paint", {"like": {"path": "/etc/passwd"}}, "not known"),
        ("paint", {"prompt": "a lake", "model": "hf:some/model"}, "sends nothing out"),
        ("stylize", {"styles": ["monet"]}, "PHOTO"),
        ("write", {"language": "fr"}, "zh, en"),
        ("write", {"lines": "2"}, "list"),
        ("explore", {"model": "/tmp/run", "what": "samples"}, "not known"),
        ("compose", {"style": "abba"}, "abba"),
        ("destroy", {}, "not known"),
    ],
)
def test_what_cannot_be_met_is_refused_at_once(client, verb, request_, word):
    message = refused(client.post("/api/jobs", json={"verb": verb, "request": request_}), 400)
    assert word in message
    assert client.get("/api/jobs").json() == {"jobs": []}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"verb": 3}', b'{"request": {}}', b'{"verb": "paint", "home": "/"}']
)
def test_what_is_no_request_is_refused_in_one_line(client, body):
    refused(client.post("/api/jobs", content=body, headers={"content-type": "application/json"}), 400, "BadRequest")


def test_jobs_are_moved_cancelled_tried_again_and_cleared(client):
    ids = [client.post("/api/jobs", json={"verb": "write", "request": {"form": "五绝"}}).json()["id"] for _ in range(3)]
    assert client.post(f"/api/jobs/{ids[2]}/move", json={"before": ids[0]}).json()["position"] == 1
    assert client.post(f"/api/jobs/{ids[2]}/move", json={"before": None}).json()["position"] == 3
    assert client.post(f"/api/jobs/{ids[1]}/cancel").json()["state"] == "cancelled"
    refused(client.post(f"/api/jobs/{ids[1]}/cancel"), 409, "Unavailable")
    refused(client.delete(f"/api/jobs/{ids[0]}"), 409)
    assert client.post(f"/api/jobs/{ids[1]}/retry").json()["state"] == "queued"
    client.post(f"/api/jobs/{ids[1]}/cancel")
    client.post(f"/api/jobs/{ids[0]}/cancel")
    assert client.delete(f"/api/jobs/{ids[0]}").json() == {"id": ids[0]}
    assert client.post("/api/jobs/clear").json() == {"removed": 1}
    assert [job["id"] for job in client.get("/api/jobs").json()["jobs"]] == [ids[2]]
    refused(client.get(f"/api/jobs/{ids[0]}"), 404, "UnknownName")
    refused(client.get(f"/api/jobs/{ids[2]}/preview"), 404)
    assert client.get(f"/api/jobs/{ids[2]}/frames?from=0").json() == {"frames": []}


def test_those_who_ask_at_once_wait_for_the_disk_together_and_each_has_its_own_answer(home, monkeypatch):
    here, taken = Studio(home), []
    add_all = here.queue.add_all
    monkeypatch.setattr(here.queue, "add_all", lambda asked: taken.append(len(asked)) or add_all(asked))
    wishes = [Wish("write", {"form": "五绝", "seed": seed}) for seed in range(30)]
    wishes[7] = Wish("write", {"form": "no such form"})

    async def ask() -> list[Job | BaseException]:
        return await asyncio.gather(*(here.desk.add(wish) for wish in wishes), return_exceptions=True)

    answers = asyncio.run(ask())
    assert isinstance(answers.pop(7), Refused | BadRequest)
    assert [job.request["seed"] for job in answers] == [seed for seed in range(30) if seed != 7]
    assert answers == [here.queue.get(job.id) for job in answers]
    assert taken == [29]


def test_a_full_disk_is_told_to_everyone_who_asks_and_the_next_one_is_served(client, app, monkeypatch):
    queue = app.state.studio.queue

    def full(asked):
        raise WriteFailed("the queue cannot be written: database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(queue, "add_all", full)
        refused(client.post("/api/jobs", json={"verb": "write", "request": {"form": "五绝"}}), 503, "WriteFailed")
    assert client.post("/api/jobs", json={"verb": "write", "request": {"form": "五绝"}}).status_code == 201


def test_a_room_brings_jobs_of_its_own_and_checks_them(client):
    job = client.post("/api/jobs", json={"verb": "lesson", "request": {"name": "form"}}).json()
    assert (job["verb"], job["state"], job["title"]) == ("lesson", "queued", "form")
    refused(client.post("/api/jobs", json={"verb": "lesson", "request": {"name": "no such"}}), 400, "UnknownName")


def test_asking_for_jobs_and_works_loads_no_pytorch(home):
    program = (
        "import sys\nfrom fastapi.testclient import TestClient\nfrom danqing.interfaces import api\n"
        f"with TestClient(api.create_app(workers=False), base_url={BASE!r}) as client:\n"
        "    for verb, request in (('write', {'form': '七绝'}), ('paint', {'style': 'monet'}), ('compose', {}),\n"
        "                          ('lesson', {'name': 'form'})):\n"
        "        answer = client.post('/api/jobs', json={'verb': verb, 'request': request})\n"
        "        assert answer.status_code == 201, answer.text\n"
        "    for path in ('arts', 'styles', 'works', 'jobs', 'lessons', 'about', 'models', 'runs', 'recipes'):\n"
        "        assert client.get('/api/' + path).status_code == 200, path\n"
        "assert 'torch' not in sys.modules, 'the server would be slow to start and large'\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


# --- uploads ----------------------------------------------------------------------------------------------------------


def test_a_picture_is_taken_as_a_form_or_as_it_is_and_named_safely(client, app):
    body = png()
    kept = client.post("/api/uploads", files={"file": ("../../my <photo>.PNG", body)}).json()
    assert (kept["name"], kept["media"], kept["width"], kept["height"]) == ("my photo.png", "picture", 50, 40)
    assert client.get(kept["url"]).content == body
    assert client.get(kept["url"]).headers["content-type"] == "image/png"
    assert client.get(kept["preview"]).content[8:12] == b"WEBP"
    assert client.post("/api/uploads?name=my%20photo.png", content=body).json() == kept
    job = client.post(
        "/api/jobs", json={"verb": "translate", "request": {"image": {"upload": kept["id"]}, "to": "monet"}}
    )
    assert job.status_code == 201
    place = app.state.studio.find({"upload": kept["id"]})
    assert place.is_relative_to(app.state.studio.home / "uploads")
    assert not [left for left in (app.state.studio.home / "uploads").iterdir() if left.name.startswith(".")]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.png", b""),
        ("a.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 200),
        ("a.png", png()[:-60]),
        ("a.exe", b"MZ" + b"\0" * 100),
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"),
        ("a.html", b"<html><script>alert(1)</script></html>"),
        ("a.png", b"<html><script>alert(1)</script></html>"),
        ("a.mid", b"MThd but no more"),
        ("a.docx", b"PK\x03\x04 no archive"),
        ("a.zip", b"PK\x03\x04 no archive"),
        ("passwd", b"root:x:0:0"),
    ],
)
def test_what_is_none_of_the_formats_is_refused_and_not_kept(client, app, name, body):
    message = refused(client.post("/api/uploads", files={"file": (name, body)}), 400)
    assert str(app.state.studio.home) not in message
    assert list((app.state.studio.home / "uploads").iterdir()) == []


def test_music_and_texts_are_taken(client):
    kept = client.post("/api/uploads", files={"file": ("bach.mid", TUNE.read_bytes())}).json()
    assert (kept["media"], kept["preview"], kept["width"]) == ("music", None, None)
    kept = client.post("/api/uploads", files={"file": ("春望.txt", "国破山河在\n城春草木深\n".encode())}).json()
    assert (kept["media"], kept["name"]) == ("text", "春望.txt")


def test_a_picture_that_would_fill_the_memory_is_refused(client):
    out = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(out, "PNG")  # 900 megapixels in 100 kB
    assert "megapixels" in refused(client.post("/api/uploads", files={"file": ("bomb.png", out.getvalue())}), 400)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a task is forked where there is fork")
def test_what_looks_at_files_at_once_refuses_what_one_that_is_started_refuses(tmp_path):
    good, bad, endless = tmp_path / "good.png", tmp_path / "bad.png", tmp_path / "endless.png"
    good.write_bytes(png())
    bad.write_bytes(png()[:60])
    os.mkfifo(endless)

    def told(path: Path) -> Any:
        try:
            return _isolated._run(["inspect", str(path), str(path.with_suffix(".webp"))], path.name, 2)
        except InvalidMedia as error:
            return str(error)

    started = told(good), told(bad)
    with _isolated.at_hand():
        assert _isolated._parent is not None
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(told, [good, bad] * 8)) == [*started] * 8
        assert "takes more than 2 s" in told(endless)
        _isolated._parent.shutdown(socket.SHUT_RDWR)  # as if it had fallen
        assert (told(good), told(bad)) == started
    assert _isolated._parent is None


def test_a_file_is_bounded_while_it_comes(client, app, monkeypatch):
    monkeypatch.setattr(_uploads, "PICTURE_BYTES", 1000)
    monkeypatch.setattr(_uploads, "LARGEST", 1000)
    refused(client.post("/api/uploads?name=a.png", content=png() + b"\0" * 2000), 413, "TooLarge")
    refused(client.post("/api/uploads", files={"file": ("a.png", png() + b"\0" * 200_000)}), 413, "TooLarge")
    assert list((app.state.studio.home / "uploads").iterdir()) == []


def test_a_collection_is_unpacked_under_names_of_our_own(client, app):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in ("../../evil.png", "/abs/b.png", "c.PNG", "deep/er/d.png", "run.sh", "__MACOSX/x.png"):
            archive.writestr(name, png())
    kept = client.post("/api/uploads", files={"file": ("mine.zip", out.getvalue())}).json()
    assert kept["media"] == "collection"
    folder = app.state.studio.find({"upload": kept["id"]})
    assert sorted(path.name for path in folder.iterdir()) == [
        "00000-evil.png",
        "00001-b.png",
        "00002-c.png",
        "00003-d.png",
    ]
    refused(client.get(kept["url"]), 409)


@pytest.mark.parametrize("name", ["..", "0" * 24, "%2e%2e%2f%2e%2e", "x" * 24, "facts.json"])
def test_only_ids_that_were_given_out_name_an_upload(client, name):
    for tail in ("", "/preview"):
        assert client.get(f"/api/uploads/{name}{tail}").status_code == 404


# --- works ------------------------------------------------------------------------------------------------------------


def test_works_are_listed_narrowed_rated_and_tagged(client, app):
    kept = [painted(app, number, f"No {number}") for number in range(3)]
    listed = client.get("/api/works?limit=2").json()
    assert (listed["total"], [work["seed"] for work in listed["works"]]) == (3, [2, 1])
    changed = client.patch(f"/api/works/{kept[0].id}", json={"rating": 4, "tags": ["boats", "港"]}).json()
    assert (changed["rating"], changed["tags"]) == (4, ["boats", "港"])
    assert client.get("/api/works?tag=%E6%B8%AF&rating=4&media=picture").json()["total"] == 1
    assert client.get("/api/works?rating=5").json()["total"] == 0
    assert client.get("/api/tags").json() == {"tags": [{"name": "boats", "works": 1}, {"name": "港", "works": 1}]}
    for body in ({"rating": 9}, {"tags": [""]}, {"title": "x"}, {"rating": "many"}):
        refused(client.patch(f"/api/works/{kept[0].id}", json=body), 400)
    assert client.get(f"/api/works/{kept[0].id}").json() == changed


def test_a_work_thrown_away_is_brought_back(client, app):
    kept = painted(app, 1)
    assert client.delete(f"/api/works/{kept.id}").json() == {"id": kept.id}
    refused(client.get(f"/api/works/{kept.id}"), 404, "UnknownName")
    assert client.get("/api/works").json()["total"] == 0
    assert [work["id"] for work in client.get("/api/trash").json()["works"]] == [kept.id]
    assert client.post(f"/api/works/{kept.id}/restore").json()["id"] == kept.id
    client.delete(f"/api/works/{kept.id}")
    assert client.delete("/api/trash").json() == {"removed": 1}
    refused(client.post(f"/api/works/{kept.id}/restore"), 404)


def test_a_work_is_had_in_each_format_that_its_kind_has(client, app):
    kept = painted(app, 7, "港 at dusk")
    own = client.get(f"/api/works/{kept.id}/file")
    assert own.content == kept.path.read_bytes()
    assert own.headers["content-type"] == "image/png"
    assert "sandbox" in own.headers["content-security-policy"]
    jpeg = client.get(f"/api/works/{kept.id}/file?format=jpg&download=1")
    assert jpeg.content[:3] == b"\xff\xd8\xff"
    assert jpeg.headers["content-disposition"].startswith("attachment")
    assert b"trainedAlgorithmicMedia" in jpeg.content
    assert client.get(f"/api/works/{kept.id}/preview").content[8:12] == b"WEBP"
    for wrong in (".mid", ".exe", "../../x", ".png/../../x"):
        refused(client.get(f"/api/works/{kept.id}/file", params={"format": wrong}), 400)
    refused(client.get("/api/works/..%2f..%2fetc/file"), 404)


def test_a_poem_shows_its_words_and_comes_as_a_document(client, app):
    poem = Artwork(
        Writing(("床前明月光", "疑是地上霜"), title="静夜思"), Provenance("write", {"form": "五绝"}, 1), "静夜思"
    )
    kept = app.state.studio.shelf.add(poem)
    assert "床前明月光" in client.get(f"/api/works/{kept.id}").json()["text"]
    assert client.get(f"/api/works/{kept.id}/file?format=.docx").content[:2] == b"PK"


def test_music_is_printed_and_heard(client, app):
    from danqing.artwork import scores

    score = scores.read(TUNE)
    kept = app.state.studio.shelf.add(Artwork(score, Provenance("compose", {}, 1), "chorale"))
    printed = client.get(f"/api/works/{kept.id}/file?format=.svg")
    assert printed.headers["content-type"] == "image/svg+xml"
    assert "sandbox" in printed.headers["content-security-policy"]
    assert b"<svg" in printed.content
    heard = client.get(f"/api/works/{kept.id}/file?format=.wav", headers={"range": "bytes=0-3"})
    assert (heard.status_code, heard.content) == (206, b"RIFF")
    cached = works_room._made(app.state.studio.home, kept, ".wav")
    assert cached.is_relative_to(app.state.studio.home / "cache")


def test_works_go_into_one_archive_with_their_records(client, app):
    kept = [painted(app, number) for number in range(3)]
    answer = client.post("/api/works/export", json={"ids": [work.id for work in kept]})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(names) == 6
        assert archive.read(names[0]) == kept[0].path.read_bytes()
        assert json.loads(archive.read(names[1]))["verb"] == "paint"
    refused(client.post("/api/works/export", json={"ids": []}), 400)
    refused(client.post("/api/works/export", json={"ids": ["ffffffff"]}), 404)


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_comes_compressed_and_what_the_browser_has_is_not_sent_again(client):
    page = client.get("/", headers={"accept-encoding": "gzip"})
    assert (page.headers["cache-control"], page.headers["content-encoding"]) == ("no-cache", "gzip")
    assets = re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.text)
    assert assets
    for path in assets:
        plain = client.get(path, headers={"accept-encoding": "identity"})
        packed = client.get(path, headers={"accept-encoding": "br, gzip;q=0.8"})
        assert plain.content == packed.content == (api.PAGE / path.lstrip("/")).read_bytes()
        assert "content-encoding" not in plain.headers
        assert int(packed.headers["content-length"]) < len(plain.content) / 2
        assert packed.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert packed.headers["vary"] == "accept-encoding"
        assert packed.headers["etag"] != plain.headers["etag"]
        again = client.get(path, headers={"accept-encoding": "gzip", "if-none-match": packed.headers["etag"]})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", packed.headers["etag"])
        assert client.get(path, headers={"accept-encoding": "gzip", "if-none-match": '"other"'}).status_code == 200
    refused = client.get(assets[0], headers={"accept-encoding": "gzip;q=0, identity"})
    assert "content-encoding" not in refused.headers
    assert client.head(assets[0]).content == b""


def test_the_routes_are_described_by_a_page_of_our_own(client):
    answer = client.get("/api/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert re.search(r"<style|\sstyle=|<script(?![^>]*\bsrc=\"/)|\son\w+=|https?://", answer.text) is None
    told = client.get("/api/openapi.json").json()
    silent = [
        f"{way} {path}"
        for path, ways in told["paths"].items()
        for way, one in ways.items()
        if not one.get("description")
    ]
    assert silent == []


# --- the rest ---------------------------------------------------------------------------------------------------------


def test_what_is_not_there_is_told_in_the_same_form(client):
    refused(client.get("/api/nothing/here"), 404, "NotFound")
    refused(client.put("/api/jobs"), 404)
    refused(client.get("/no-such-page"), 404)
    refused(client.get("/..%2f..%2fetc%2fpasswd"), 404)
    assert client.get("/api/openapi.json").json()["info"]["title"] == "Danqing"


def test_without_a_built_page_it_says_how_to_build_it(home, monkeypatch, tmp_path):
    monkeypatch.setattr(api, "PAGE", tmp_path)
    with TestClient(api.create_app(home, workers=False), base_url=BASE) as client:
        answer = client.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    assert "npm run build" in answer.text
