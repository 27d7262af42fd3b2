"""A score as printed music: SVG through verovio, PNG through resvg.

Pages are A4-shaped unless one tall page is asked for. The SVG stands on its own: notes are outlines, and words are set
in whatever serif the reader has. Only our own MusicXML goes into verovio, never a person's file: its C++ ends the whole
process on some of those (docs/decisions/0008-scores.md).
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

from danqing.artwork import files, musicxml
from danqing.artwork import provenance as origin
from danqing.artwork.music import Score
from danqing.artwork.provenance import Provenance
from danqing.errors import BadRequest, Unavailable

SUFFIXES = (".svg", ".png")
PAGE_WIDTH = 2100  # verovio's units, tenths of a millimetre: A4
PAGE_HEIGHT = 2970
MARGIN = 500  # verovio's, in the units of its SVG, a tenth of those above
MAX_HEIGHT = 60_000  # verovio's limit for one page
MAX_SIDE = 16_000  # px of a PNG, either side
SVG = "http://www.w3.org/2000/svg"
MUSIC_FONT = "Leipzig"
FONT_UNITS = 1000  # of the music font's em
SERIFS = "'Times New Roman', 'Liberation Serif', 'DejaVu Serif', Aileron, serif"
_PLAIN = dict.fromkeys("\uea64\ue260\u266d\ued60", "b") | dict.fromkeys("\uea66\ue262\u266f\ued62", "#")
_INHERITED = ("x", "y", "text-anchor", "font-size", "font-family", "font-style", "font-weight")

ET.register_namespace("", SVG)
ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")


@dataclass(frozen=True)
class Layout:
    """How a score is set on paper."""

    one_page: bool = True  # one page as tall as the music; otherwise A4 pages
    scale: float = 1.0  # staff size; 1 is 7 mm from the lowest to the highest line
    width_px: int = 1400  # of a PNG

    def __post_init__(self) -> None:
        if not 0.25 <= self.scale <= 3:
            raise BadRequest(f"scale is {self.scale}; a staff is printed at 0.25 to 3 times its usual size")
        if not 200 <= self.width_px <= 8000:
            raise BadRequest(f"width is {self.width_px} px; a printed score is 200 to 8000 px wide")


def svg_pages(score: Score, layout: Layout | None = None, provenance: Provenance | None = None) -> list[str]:
    """The score as SVG, one text for each page. Raises Unavailable where verovio cannot set it."""
    import verovio

    layout = layout or Layout()
    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions(_options(layout))
    if not toolkit.loadData(musicxml.encode(score).decode("utf-8")):
        raise Unavailable("verovio could not set this score; write it as .musicxml and open it in a notation program")
    pages = (toolkit.renderToSVG(page) for page in range(1, toolkit.getPageCount() + 1))
    return [_standing_alone(page, score, layout, provenance) for page in pages]


def png_pages(score: Score, layout: Layout | None = None, provenance: Provenance | None = None) -> list[bytes]:
    """The score as PNG files, black on white, one for each page."""
    layout = layout or Layout()
    return [_png(text, layout, provenance) for text in svg_pages(score, layout)]


def encode_pages(
    score: Score, suffix: str, provenance: Provenance | None = None, layout: Layout | None = None
) -> list[bytes]:
    """The pages as the bytes of files of this suffix, .svg or .png."""
    suffix = output_format(Path("score" + suffix))
    if suffix == ".png":
        return png_pages(score, layout, provenance)
    return [page.encode("utf-8", "backslashreplace") for page in svg_pages(score, layout, provenance)]


def save(
    score: Score, path: str | Path, provenance: Provenance, *, layout: Layout | None = None, force: bool = False
) -> list[Path]:
    """Prints the score to a file, or, with several pages, to NAME-1.svg, NAME-2.svg, …; returns what was written.

    Raises BadRequest for a suffix that we do not write, OutputExists unless `force`, NotWritable.
    """
    path = Path(path)
    suffix = output_format(path)
    files.check_output(path, force=force)
    pages = encode_pages(score, suffix, provenance, layout)
    paths = [path] if len(pages) == 1 else [path.with_stem(f"{path.stem}-{n}") for n in range(1, len(pages) + 1)]
    for place in paths:
        files.check_output(place, force=force)
    for place, data in zip(paths, pages, strict=True):
        files.write(data, place, force=force)
    return paths


def output_format(path: Path) -> str:
    """The suffix of a file to print to; raises BadRequest for one that we do not write."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise BadRequest(f"{path} ends in {path.suffix or 'no suffix'!r}; a score is printed as {', '.join(SUFFIXES)}")
    return suffix


def _options(layout: Layout) -> dict[str, object]:
    return {
        "pageWidth": round(PAGE_WIDTH / layout.scale),
        "pageHeight": MAX_HEIGHT if layout.one_page else round(PAGE_HEIGHT / layout.scale),
        "adjustPageHeight": layout.one_page,
        "scale": max(1, round(40 * layout.scale)),
        "header": "auto",
        "footer": "none",
        "lyricSize": 3.8,
        "breaks": "auto",
        "svgViewBox": True,
        "smuflTextFont": "none",  # its glyphs are drawn below: no reader has to load a font
        "xmlIdChecksum": True,  # the same score is the same SVG
        "justifyVertically": False,
    }


def _standing_alone(text: str, score: Score, layout: Layout, provenance: Provenance | None) -> str:
    """verovio's SVG with its words flattened, its note signs drawn, the composer and the provenance added."""
    root = ET.fromstring(text)
    for head in root.iter(f"{{{SVG}}}g"):
        if "pgHead" in head.get("class", "") and score.composer:
            where = {"x": str(round(PAGE_WIDTH / layout.scale * 10) - 2 * MARGIN), "y": "415", "font-size": "405px"}
            composer = ET.SubElement(head, f"{{{SVG}}}text", where | {"text-anchor": "end"})
            composer.text = score.composer
    for parent in list(root.iter()):
        for number, child in enumerate(list(parent)):
            if child.tag == f"{{{SVG}}}text":
                parent[number] = _flat(child)
    title = ET.Element(f"{{{SVG}}}title")
    title.text = score.title or "score"
    root.insert(0, title)
    whole = ET.tostring(root, encoding="unicode")
    if provenance is not None:
        packet = origin.to_xmp(provenance).decode("utf-8")
        inside = packet[packet.index("?>") + 2 : packet.rindex("<?xpacket")].strip()
        whole = whole.replace("</title>", f"</title><metadata>{inside}</metadata>", 1)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + whole + "\n"


def provenance(data: bytes) -> Provenance | None:
    """Ours in an SVG; None where there is none."""
    found = re.search(rb"<(?:\w+:)?xmpmeta.*?</(?:\w+:)?xmpmeta>", data, re.S)
    return origin.from_xmp(found[0]) if found else None


def _flat(text: ET.Element) -> ET.Element:
    """One <text> a line with plain <tspan>s, instead of the nested ones of no size that few programs draw."""
    group = ET.Element(f"{{{SVG}}}g")
    line: ET.Element | None = None
    place: tuple[str, str] | None = None
    before = 400.0  # the size of the words before
    shift = 0.0  # how far drawn signs have come
    for style, words in _runs(text, {}):
        here = (style.get("x", "0"), style.get("y", "0"))
        if here != place:
            place, line, shift = here, None, 0.0
        size = float(style.get("font-size", "400px").removesuffix("px"))
        if style.get("font-family") == MUSIC_FONT and line is not None:
            words = "".join(_PLAIN.get(char, "") for char in words)  # inside words nobody knows how far those have come
            size = before
        elif style.get("font-family") == MUSIC_FONT:
            for char in words.strip():
                shift += _sign(group, char, (float(here[0]) + shift, float(here[1])), size)
            line = None
            continue
        if line is None:
            x = str(round(float(here[0]) + shift, 1))
            line = ET.SubElement(
                group, f"{{{SVG}}}text", {"x": x, "y": here[1], "font-family": SERIFS, "xml:space": "preserve"}
            )
            if "text-anchor" in style:
                line.set("text-anchor", style["text-anchor"])
        before = size
        span = ET.SubElement(line, f"{{{SVG}}}tspan", {"font-size": f"{size:g}px"})
        span.text = words
        for key in ("font-style", "font-weight"):
            if key in style:
                span.set(key, style[key])
    return group


def _runs(node: ET.Element, above: Mapping[str, str]) -> Iterator[tuple[dict[str, str], str]]:
    """The words in a <text> with the style that each inherits."""
    style = dict(above) | {key: node.attrib[key] for key in _INHERITED if key in node.attrib}
    if node.tag.endswith("}title"):
        return
    if node.text and "\n" not in node.text:
        yield style, node.text
    for child in node:
        yield from _runs(child, style)


def _sign(group: ET.Element, char: str, place: tuple[float, float], size: float) -> float:
    """Draws a sign of the music font; returns its width."""
    outline, width = _glyph(f"{ord(char):04X}")
    scale = size / FONT_UNITS
    if outline:
        move = f"translate({place[0]:.1f},{place[1]:g}) scale({scale:g},{-scale:g})"
        ET.SubElement(group, f"{{{SVG}}}path", {"transform": move, "d": outline})
    return width * scale


@cache
def _glyph(code: str) -> tuple[str, float]:
    """Outline and width of a sign in the music font that comes with verovio, in font units."""
    import verovio

    folder = Path(verovio.__file__).parent / "data"
    try:
        outline = re.search(r' d="([^"]+)"', (folder / MUSIC_FONT / f"{code}.xml").read_text())
        width = re.search(rf'c="{code}"[^>]*h-a-x="(\d+)"', (folder / f"{MUSIC_FONT}.xml").read_text())
    except OSError:
        return "", 0.0
    return (outline[1] if outline else ""), (float(width[1]) if width else FONT_UNITS / 3)


def _png(svg: str, layout: Layout, provenance: Provenance | None) -> bytes:
    """The page as pixels. Words are set in the system's serif, or in the plain font that Pillow carries."""
    import resvg_py
    from PIL import Image, PngImagePlugin

    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    width = layout.width_px
    if size and width * float(size[2]) / float(size[1]) > MAX_SIDE:
        width = max(1, int(MAX_SIDE * float(size[1]) / float(size[2])))
    with tempfile.TemporaryDirectory() as folder:
        font = Path(folder) / "plain.ttf"
        font.write_bytes(_plain_font())
        drawn = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=width, background="white", font_files=[str(font)]))
    info = PngImagePlugin.PngInfo()
    if provenance is not None:
        info.add_itxt("XML:com.adobe.xmp", origin.to_xmp(provenance).decode("utf-8"))
    out = io.BytesIO()
    with Image.open(io.BytesIO(drawn)) as image:
        image.convert("L").save(out, "PNG", pnginfo=info)
    return out.getvalue()


@cache
def _plain_font() -> bytes:
    from PIL import ImageFont

    return bytes(getattr(ImageFont.load_default(12), "font_bytes", b""))
