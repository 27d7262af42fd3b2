"""A suite as a folder: each work as a file, a page that shows all of it, one ZIP with everything.

The page is one file that needs nothing else: picture, sound, score and film are inside, so it can be sent as it is. Its
words are in both languages; its colours are the painting's. Nothing in it is run: it is a page to look at.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from PIL import Image

from danqing.artwork import audio, files, image, notation
from danqing.encode import mood as moods
from danqing.errors import NotWritable, OutputExists

if TYPE_CHECKING:
    from danqing.artwork.artwork import Artwork
    from danqing.artwork.image import Picture
    from danqing.artwork.literature import Writing
    from danqing.artwork.music import Score
    from danqing.artwork.video import Video

NAMES = ("poem.txt", "painting.png", "music.mid", "music.wav", "score.svg", "suite.mp4", "index.html", "suite.zip")
_OLDEST = (1980, 1, 1, 0, 0, 0)  # a ZIP's dates begin here: the same suite gives the same bytes
_SIDE = 1280  # px, of the painting inside the page
_LABELS = {
    "poem": ("Poem", "诗"), "painting": ("Painting", "画"), "music": ("Music", "乐"), "film": ("Film", "影"),
    "mood": ("Mood", "意境"), "score": ("Score", "谱"), "palette": ("Palette", "设色"),
    "valence": ("sorrow – joy", "悲 – 喜"), "arousal": ("still – stirred", "静 – 动"),
    "density": ("bare – full", "疏 – 密"),
    "season": ("season", "季节"), "time": ("time of day", "时辰"),
}  # fmt: skip
_STYLE = """
:root{color-scheme:light dark;--paper:#f8f4ec;--ink:#2c2825;--faint:#857d74;--line:#ddd5c8;--seal:#b23a2e}
@media(prefers-color-scheme:dark){:root{--paper:#211e1b;--ink:#e9e2d7;--faint:#9a9187;--line:#3d3833;--seal:#d4604f}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:17px/1.7 "Noto Serif CJK SC","Songti SC",Georgia,"Times New Roman",serif}
main{max-width:1080px;margin:0 auto;padding:clamp(28px,6vw,88px) clamp(20px,5vw,56px)}
h1{font-size:clamp(1.7rem,4.4vw,2.7rem);font-weight:500;line-height:1.3;margin:0 0 .2em;letter-spacing:.02em}
h2{font:500 .82rem/1 system-ui,sans-serif;color:var(--faint);letter-spacing:.09em;margin:0 0 1.2em}
.lead{color:var(--faint);margin:0 0 3rem}
.pair{display:grid;grid-template-columns:minmax(0,1.75fr) minmax(0,1fr);gap:clamp(24px,5vw,64px);align-items:center}
figure{margin:0}img,video{display:block;width:100%;height:auto}
.palette{display:flex;height:14px;margin-top:14px}.palette svg{width:100%;height:14px}
.zh{writing-mode:vertical-rl;letter-spacing:.22em;line-height:2.1;font-size:1.28rem;margin:0 auto;width:max-content;
max-width:100%;max-height:30em}
.poem b{font-weight:500;color:var(--seal)}.poem p{margin:0}.poem .gap{height:1em;width:1em}
section{margin-top:clamp(48px,8vw,104px)}
audio{width:100%;margin-bottom:1.4rem}
.score{background:#fffdf8;padding:18px;border:1px solid var(--line)}.score svg{display:block;width:100%;height:auto}
dl{display:grid;grid-template-columns:auto 1fr auto;gap:.7em 1.4em;align-items:center;margin:0;max-width:640px}
dt{color:var(--faint);font:.9rem system-ui,sans-serif}dd{margin:0}dd.word{text-align:right}
dl svg{display:block;width:100%;height:14px}
footer{margin-top:5rem;padding-top:1.4rem;border-top:1px solid var(--line);color:var(--faint);
font:.8rem/1.7 system-ui,sans-serif}
@media(max-width:720px){.pair{grid-template-columns:1fr}dl{grid-template-columns:1fr auto}dl svg{grid-column:1/-1}}
"""


def publish(works: Mapping[str, Artwork], folder: Path, *, force: bool = False) -> list[Path]:
    """Write a suite's works into a folder, whole or not at all; returns the files. works: by role.

    Raises OutputExists where the folder holds a file of these names, unless `force`; NotWritable.
    """
    check_folder(folder, force=force)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".danqing-", dir=folder.parent) as place:
            made = _write(works, Path(place))
            folder.mkdir(exist_ok=True)
            for path in made:
                shutil.move(path, folder / path.name)
    except OSError as error:
        raise NotWritable(f"{folder} cannot be written: {error.strerror or error}; choose another with -o") from error
    return [folder / path.name for path in made]


def check_folder(folder: Path, *, force: bool = False) -> None:
    """Says before any work is done whether a suite can be put into a folder."""
    if folder.exists() and not folder.is_dir():
        raise OutputExists(f"{folder} is a file; a suite goes into a folder: choose another with -o")
    there = [name for name in NAMES if (folder / name).exists()]
    if there and not force:
        raise OutputExists(f"{folder} holds {there[0]} already; choose another folder with -o or replace with --force")


def _write(works: Mapping[str, Artwork], place: Path) -> list[Path]:
    works["poem"].save(place / "poem.txt")
    works["painting"].save(place / "painting.png")
    for name in ("music.mid", "music.wav", "score.svg"):
        works["music"].save(place / name)
    works["film"].save(place / "suite.mp4")
    files.write(page(works, (place / "suite.mp4").read_bytes()).encode("utf-8"), place / "index.html")
    made = sorted(place.iterdir())
    with zipfile.ZipFile(place / "suite.zip", "w") as archive:
        for path in made:
            packed = zipfile.ZIP_STORED if path.suffix in (".png", ".mp4") else zipfile.ZIP_DEFLATED
            about = zipfile.ZipInfo(path.name, _OLDEST)
            about.external_attr = 0o644 << 16
            archive.writestr(about, path.read_bytes(), packed)
    return [*made, place / "suite.zip"]


def page(works: Mapping[str, Artwork], film: bytes) -> str:
    """The page. film: the film's file."""
    poem = cast("Writing", works["poem"].content)
    painting = cast("Picture", works["painting"].content)
    told = works["poem"].provenance.request["suite"]
    language = poem.language
    mood = moods.Mood(**{name: told["mood"][name] for name in (*moods.NUMBERS, "season", "time")})
    idea = html.escape(works["poem"].provenance.request["idea"])
    lead = html.escape(f"{mood.sentence(language)} · {mood.sentence(_other(language))}")
    picture = _url(image.encode_bytes(_within(painting), ".jpg", works["painting"].provenance), "image/jpeg")
    cover = cast("Video", works["film"].content).cover
    poster = _url(image.encode_bytes(cover, ".jpg", works["film"].provenance), "image/jpeg")
    return f"""<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{idea}</title><meta name="generator" content="{html.escape(works["poem"].provenance.software)}">
<style>{_STYLE}</style></head><body><main>
<h1>{idea}</h1><p class="lead">{lead}</p>
<div class="pair"><figure><img alt="{idea}" src="{picture}">
<div class="palette" title="{_label("palette", language)}">{_palette(painting)}</div></figure>
{_poem(poem)}</div>
<section><h2>{_label("film", language)}</h2><video controls preload="metadata" poster="{poster}"
src="{_url(film, "video/mp4")}"></video></section>
<section><h2>{_label("music", language)}</h2>{_music(works["music"])}</section>
<section><h2>{_label("mood", language)}</h2>{_mood(mood, language)}</section>
<footer>{html.escape(_about(works))}</footer>
</main></body></html>
"""


def palette(picture: Picture, count: int = 6) -> list[tuple[int, int, int]]:
    """The main colours of a picture, sRGB, from dark to light."""
    levels = np.rint(picture.pixels * np.float32(255)).astype(np.uint8)
    small = Image.fromarray(levels).resize((96, 96), Image.Resampling.BOX)
    few = small.quantize(count, Image.Quantize.MEDIANCUT)
    flat = (few.getpalette() or [])[: 3 * count]
    colours = {(flat[n], flat[n + 1], flat[n + 2]) for n in range(0, len(flat) - 2, 3)}
    return sorted(colours, key=lambda rgb: 0.3 * rgb[0] + 0.59 * rgb[1] + 0.11 * rgb[2])


def _within(picture: Picture) -> Picture:
    """The picture, no larger than a page needs."""
    if max(picture.width, picture.height) <= _SIDE:
        return picture
    scale = _SIDE / max(picture.width, picture.height)
    size = (round(picture.width * scale), round(picture.height * scale))
    levels = np.rint(picture.pixels * np.float32(255)).astype(np.uint8)
    small = Image.fromarray(levels).resize(size, Image.Resampling.LANCZOS)
    return type(picture)(np.asarray(small, np.float32) / np.float32(255))


def _url(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _other(language: str) -> str:
    return "en" if language == "zh" else "zh"


def _label(name: str, language: str) -> str:
    english, chinese = _LABELS[name]
    return f"{chinese} · {english}" if language == "zh" else f"{english} · {chinese}"


def _palette(picture: Picture) -> str:
    colours = palette(picture)
    width = 100 / len(colours)
    bands = "".join(
        f'<rect x="{n * width:.2f}" width="{width + 0.1:.2f}" height="10" fill="#{r:02x}{g:02x}{b:02x}"/>'
        for n, (r, g, b) in enumerate(colours)
    )
    return f'<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">{bands}</svg>'


def _poem(poem: Writing) -> str:
    rows = [f"<p>{html.escape(line)}</p>" if line else '<div class="gap"></div>' for line in poem.lines]
    upright = " zh" if poem.language == "zh" else ""
    return f'<div class="poem{upright}" lang="{poem.language}">{"".join(rows)}</div>'


def _music(work: Artwork) -> str:
    score = cast("Score", work.content)
    sound = audio.encode(audio.render(score), ".mp3", work.provenance, title=score.title)
    pages = [re.sub(r"^\s*<\?xml[^>]*>\s*|<!DOCTYPE[^>]*>", "", text) for text in notation.svg_pages(score)]
    printed = "".join(f'<div class="score">{text}</div>' for text in pages)
    return f'<audio controls preload="none" src="{_url(sound, "audio/mpeg")}"></audio>{printed}'


def _mood(mood: moods.Mood, language: str) -> str:
    told, other = mood.words(language), mood.words(_other(language))
    rows = []
    for name in moods.NUMBERS:
        at = 50 + 50 * getattr(mood, name)
        bar = (
            '<svg viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">'
            '<rect y="6.5" width="100" height="1" fill="var(--line)"/>'
            f'<rect x="{min(at, 98.5):.1f}" y="1" width="1.5" height="12" fill="var(--seal)"/></svg>'
        )
        rows.append((name, bar, f"{told[name]} · {other[name]} {getattr(mood, name):+.2f}"))
    rows += [(name, "", f"{told[name]} · {other[name]}") for name in ("season", "time")]
    return (
        "<dl>"
        + "".join(f'<dt>{_label(n, language)}</dt><dd>{bar}</dd><dd class="word">{word}</dd>' for n, bar, word in rows)
        + "</dl>"
    )


def _about(works: Mapping[str, Artwork]) -> str:
    origin = works["poem"].provenance
    told: Sequence[Any] = [
        f"{origin.software}, seed {origin.seed}",
        *(
            f"{role}: {json.dumps(_settings(work), ensure_ascii=False)}"
            for role, work in works.items()
            if role != "film"
        ),
    ]
    return " · ".join(map(str, told))


def _settings(work: Artwork) -> dict[str, Any]:
    kept = ("form", "topic", "mood", "prompt", "style", "key", "metre", "tempo", "bars")
    return {key: value for key, value in work.provenance.request.items() if key in kept and value}
