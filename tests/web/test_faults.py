"""In a Chinese page what goes wrong is told in Chinese: whatever a person can provoke, and every kind of error."""

from __future__ import annotations

import inspect
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from danqing import errors
from danqing.artwork.artwork import Artwork
from danqing.artwork.image import Picture
from danqing.artwork.provenance import Provenance
from danqing.interfaces import _guard, _uploads, _worker, api, rooms
from danqing.sessions.jobs import Lost

LIB = Path(__file__).parents[2] / "web" / "src" / "lib"
TYPESCRIPT = LIB.parents[1] / "node_modules" / "typescript"
CHINESE = re.compile(r"[\u4e00-\u9fff]")
ENGLISH = re.compile(r"\b[a-z]{2,}(?: [a-z]{2,}){2,}")  # three words in a row
SPEAK = """
import { readFileSync } from "node:fs";
const [typescript, folder] = process.argv.slice(1);
const ts = (await import(typescript + "/lib/typescript.js")).default;
const compilerOptions = { module: "esnext", target: "es2022" };
const load = (name) => {
  const { outputText } = ts.transpileModule(readFileSync(`${folder}/${name}.ts`, "utf8"), { compilerOptions });
  return import("data:text/javascript;base64," + Buffer.from(outputText).toString("base64"));
};
const { inChinese, KINDS } = await load("faults");
const { titleInChinese } = await load("titles");
const asked = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify({
  kinds: KINDS,
  faults: asked.faults.map(({ kind, message }) => inChinese(kind, message, (name) => name)),
  titles: asked.titles.map((title) => titleInChinese(title, (name) => name)),
}));
"""
Fault = dict[str, str]


def speak(faults: list[Fault], titles: list[str]) -> dict[str, Any]:
    node = shutil.which("node")
    if node is None or not TYPESCRIPT.is_dir():
        pytest.skip("the page's sentences are read where Node is and `npm ci` was run in web/")
    done = subprocess.run(
        [node, "--input-type=module", "-e", SPEAK, str(TYPESCRIPT), str(LIB)],
        input=json.dumps({"faults": faults, "titles": titles}), capture_output=True, text=True, encoding="utf-8",
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def png(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 120, np.uint8)).save(out, "PNG")
    return out.getvalue()


REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("paint", {"size": 5}),
    ("paint", {"size": "large"}),
    ("paint", {"colour": "red"}),
    ("paint", {"style": "monett"}),
    ("paint", {"style": "qqq"}),
    ("paint", {"like": "/etc/passwd"}),
    ("paint", {"like": {"upload": "0" * 24}}),
    ("paint", {"like": {"work": "ffffffff"}}),
    ("paint", {"model": "hf:some/model", "prompt": "a lake"}),
    ("paint", {"prompt": " "}),
    ("paint", {"prompt": "湖" * 2000}),
    ("paint", {"count": 99}),
    ("paint", {"seed": -1}),
    ("stylize", {"styles": ["monet"]}),
    ("stylize", {"photo": {"upload": "PHOTO"}, "styles": []}),
    ("stylize", {"photo": {"upload": "PHOTO"}, "styles": ["monet"], "mix": [0.5, 0.5]}),
    ("stylize", {"photo": {"upload": "PHOTO"}, "styles": ["monet"], "strength": 2}),
    ("stylize", {"photo": {"upload": "PHOTO"}, "styles": ["monet"], "backbone": "vgg19"}),
    ("stylize", {"photo": {"upload": "PHOTO"}, "styles": ["monet"], "size": 0}),
    ("translate", {"image": {"upload": "PHOTO"}, "to": "monett"}),
    ("write", {"language": "fr"}),
    ("write", {"lines": "2"}),
    ("write", {"form": "no such"}),
    ("write", {"form": "词"}),
    ("write", {"form": "词:no such"}),
    ("write", {"form": "五绝", "acrostic": "春夏秋冬梅兰竹菊"}),
    ("write", {"form": "五绝", "language": "en"}),
    ("write", {"form": "五绝", "length": 40}),
    ("write", {"form": "五绝", "topic": ""}),
    ("write", {"form": "五绝", "topic": "山" * 3000}),
    ("write", {"form": "story", "length": 9}),
    ("write", {"temperature": 9}),
    ("write", {"mood": "hungry"}),
    ("write", {"lines": [2]}),
    ("compose", {"style": "abba"}),
    ("compose", {"style": "folk:tango"}),
    ("compose", {"bars": 999}),
    ("compose", {"tempo": 1}),
    ("compose", {"key": "H"}),
    ("compose", {"metre": "7/8", "style": "chorale"}),
    ("compose", {"bars_range": "5:8"}),
    ("compose", {"density": 0.5}),
    ("suite", {"idea": ""}),
    ("suite", {"idea": "秋夜江上的孤舟", "size": 9}),
    ("appraise", {"files": []}),
    ("destroy", {}),
    ("lesson", {"name": "no such"}),
]
FILES = [
    ("a.png", b""),
    ("a.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 200),
    ("a.png", png(50, 40)[:-60]),
    ("a.exe", b"MZ" + b"\0" * 100),
    ("a.html", b"<html></html>"),
    ("a.mid", b"MThd but no more"),
    ("a.docx", b"PK\x03\x04 no archive"),
    ("a.zip", b"PK\x03\x04 no archive"),
]


@pytest.fixture(scope="module")
def provoked(tmp_path_factory: pytest.TempPathFactory) -> list[Fault]:
    """What the server says to a person who asks for what cannot be."""
    home = tmp_path_factory.mktemp("home")
    app = api.create_app(home, workers=False)
    here, found = app.state.studio, []

    def told(answer: Any) -> None:
        assert answer.status_code >= 400, (answer.request.url, answer.text)
        found.append(answer.json()["error"])

    with TestClient(app, base_url="http://127.0.0.1:7373") as client, pytest.MonkeyPatch.context() as patch:
        photo = client.post("/api/uploads?name=photo.png", content=png(50, 40)).json()["id"]
        for verb, request in REQUESTS:
            filled = json.loads(json.dumps(request).replace('"PHOTO"', json.dumps(photo)))
            answer = client.post("/api/jobs", json={"verb": verb, "request": filled})
            if answer.status_code == 201:  # it is found out when it is made
                found.append(failed(here, _worker.run_art))
            else:
                told(answer)
        for name, body in FILES:
            told(client.post("/api/uploads", files={"file": (name, body)}))
        work = here.shelf.add(Artwork(Picture(np.zeros((12, 16, 3), np.float32)), Provenance("paint", {}, 1), "x"))
        for path in ("works/ffffffff", "jobs/0000000000000000", f"works/{work.id}/file?format=.mid", "nothing"):
            told(client.get(f"/api/{path}"))
        told(client.post("/api/works/export", json={"ids": []}))
        for change in ({"rating": 9}, {"tags": ["x" * 99]}):
            told(client.patch(f"/api/works/{work.id}", json=change))
        job = client.post("/api/jobs", json={"verb": "write", "request": {"form": "五绝"}}).json()["id"]
        told(client.delete(f"/api/jobs/{job}"))
        told(client.get(f"/api/jobs/{job}/preview"))
        client.post(f"/api/jobs/{job}/cancel")
        told(client.post(f"/api/jobs/{job}/cancel"))
        patch.setattr(_uploads, "PICTURE_BYTES", 1000)
        told(client.post("/api/uploads?name=a.png", content=png(50, 40) + b"\0" * 2000))
        for run in (full, memory, mistake):
            here.queue.add("write", {})
            found.append(failed(here, run))
    died = here.queue.add("write", {}, lane="quick")
    for _ in range(2):
        here.queue.claim("quick", "w")
        here.queue.recover(())
    return [*found, dict(here.queue.get(died.id).error or {})]


def failed(here: rooms.Studio, run: Callable[[Any], None]) -> Fault:
    """What is written down of the next job, which fails."""
    job = here.queue.claim("long", "w")
    assert job is not None
    _worker.run(here.queue, job, "w", {job.verb: run})
    ended = here.queue.get(job.id)
    assert ended.error is not None, ended
    return dict(ended.error)


def full(context: Any) -> None:
    raise errors.WriteFailed("the shelf cannot be written: database or disk is full")


def memory(context: Any) -> None:
    raise MemoryError


def mistake(context: Any) -> None:
    raise KeyError("what nobody thought of")


def test_whatever_a_person_can_provoke_is_told_in_chinese(provoked: list[Fault]) -> None:
    said = speak(provoked, [])
    general = set(said["kinds"].values())
    wanting = [
        (fault["message"], words)
        for fault, words in zip(provoked, said["faults"], strict=True)
        if not CHINESE.search(words) or ENGLISH.search(words)
        or (words in general and fault["kind"] not in ("NotFound", "MemoryError"))
    ]  # fmt: skip
    assert wanting == []
    assert "undefined" not in "".join(said["faults"])


def test_every_kind_of_error_has_a_chinese_sentence() -> None:
    kinds = {one.__name__ for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, Exception)}
    sources = [Path(inspect.getfile(_guard)), Path(inspect.getfile(api)), *Path(rooms.__path__[0]).glob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    kinds |= set(re.findall(r'(?:Refused\(|return |_answer\(sender, )\d{3}, "(\w+)"', text))
    kinds |= {Lost.__name__, "WorkerDied", "MemoryError", "Http", "NotAllowed", "Unreachable"}
    assert {"TooLarge", "ForbiddenHost", "Unauthorized", "NotFound"} <= kinds
    said = speak([], [])["kinds"]
    assert sorted(kinds - set(said)) == []
    assert [kind for kind, words in said.items() if not CHINESE.search(words)] == []


def test_what_the_arts_call_their_works_is_put_into_chinese_and_what_a_person_wrote_is_left() -> None:
    titles = {
        "Chorale in G minor": "G 小调众赞歌",
        "Nocturne in Bb minor": "降 B 小调夜曲",
        "Blues solo in F major": "F 大调布鲁斯独奏",
        "Slip jig in D dorian": "D 多利亚调式滑步吉格",
        "photo, in the style of monet and ukiyo-e": "photo，monet、ukiyo-e画风",
        "a walk in A forest": "a walk in A forest",
        "春江": "春江",
    }
    assert dict(zip(titles, speak([], list(titles))["titles"], strict=True)) == titles
