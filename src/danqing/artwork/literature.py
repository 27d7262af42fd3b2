"""Texts: read from .txt, .md and .docx, written there with all that we say about them.

A text file is UTF-8 (with or without a mark at its start) or GB18030, which old Chinese files are in; whatever is
neither, or holds bytes that no text has, is refused as one `InvalidMedia`. A title and an author that stand above the
text are told apart from it, by what people do: `# Title`, 《春望》, a short block of its own, or rows without the
punctuation that all others have.

Written: UTF-8 with one line feed a row. A .docx carries its provenance inside; .txt and .md have no place for it, so it
lies beside them as NAME.txt.json. The same text and provenance give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import unicodedata
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from danqing.artwork import files
from danqing.artwork.provenance import Provenance
from danqing.errors import BadRequest, DanqingError, InvalidMedia

SUFFIXES = (".txt", ".md", ".docx")
MAX_BYTES = 4 * 2**20  # a novel of a million characters; what is longer is no text to appraise or revise
MAX_UNPACKED = 64 * 2**20  # bytes of a .docx once unzipped
SIDECAR = ".json"  # poem.txt.json stands beside poem.txt
CLOSING = "，。！？；、：,.!?;:…—”」』）)\"'’"  # what a line of text ends with, and a title does not
LONGEST_TITLE = 60  # characters

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a ZIP can hold: a work's bytes say nothing of the clock
_RECORD = "/docProps/danqing.json"  # the part of a .docx that holds the provenance
_RECORD_TYPE = "urn:danqing:provenance:1"
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_MARKDOWN = re.compile(r"^(\s*)([#>*+\-=~|]|\d+[.)])")
_AUTHOR = re.compile(
    r"^(?:作者[:：]\s*|by\s+)?(?:[〔［\[(（【]?(?:先秦|汉|漢|魏|晋|晉|南北朝|隋|唐|五代|宋|金|元|明|清)[〕］\])）】]?\s*[·•:：.]?\s*)?",
    re.I,
)


@dataclass(frozen=True)
class Writing:
    """A text: its rows as they stand on the page, "" between stanzas or paragraphs."""

    lines: tuple[str, ...]
    title: str = ""
    author: str = ""  # as it stands under the title: "唐·杜甫"
    form: str = ""  # what it was written as: "七绝", "词:浣溪沙", "sonnet", "story"; empty where nobody said
    language: str = ""  # "zh" or "en"; empty is found from the characters

    def __post_init__(self) -> None:
        object.__setattr__(self, "lines", _tidy(self.lines))
        if not any(self.lines):
            raise BadRequest("a text without a single line is no work; give it some words")
        if not self.language:
            object.__setattr__(self, "language", language_of("".join((self.title, *self.lines))))

    @property
    def text(self) -> str:
        """The rows alone, without title and author."""
        return "\n".join(self.lines)

    @property
    def stanzas(self) -> tuple[tuple[str, ...], ...]:
        """The rows between empty ones."""
        found: list[list[str]] = [[]]
        for line in self.lines:
            if line:
                found[-1].append(line)
            elif found[-1]:
                found.append([])
        return tuple(tuple(stanza) for stanza in found if stanza)

    def __str__(self) -> str:
        head = [part for part in (self.title, self.author) if part]
        return "\n".join([*head, *([""] if head else []), *self.lines])


def language_of(text: str) -> str:
    """ "zh" where a third or more of the letters are Han characters, otherwise "en"."""
    letters = [char for char in text if char.isalpha()]
    return "zh" if letters and sum(1 for c in letters if is_han(c)) * 3 >= len(letters) else "en"


def is_han(char: str) -> bool:
    """Whether it is a Chinese character."""
    return _HAN.match(char) is not None


# --- reading ----------------------------------------------------------------------------------------------------------


def read(path: str | Path) -> Writing:
    """A text from a file, known by its content. Raises InvalidMedia for whatever is no text, in one line."""
    path = Path(path)
    data = files.read(path, max_bytes=MAX_BYTES)
    if data.startswith(b"PK\x03\x04"):
        return _read_docx(path, data)
    text = _decode(path, data)
    rows = [unicodedata.normalize("NFC", row).rstrip() for row in text.splitlines()]
    if path.suffix.lower() == ".md":
        return _from_markdown(path, rows)
    return _from_rows(path, rows)


def read_provenance(path: str | Path) -> Provenance | None:
    """The provenance in a .docx, or in the sidecar of another work; None where there is none, or none of ours."""
    path = Path(path)
    try:
        data = files.read(path, max_bytes=MAX_BYTES)
        if data.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                if _RECORD.lstrip("/") in archive.namelist():
                    return Provenance.from_json(archive.read(_RECORD.lstrip("/")))
        record = json.loads(files.read(sidecar(path), max_bytes=MAX_BYTES))
        if record["sha256"] != hashlib.sha256(data).hexdigest():
            return None  # the text was changed since: the record is of another one
        return Provenance.from_json(json.dumps(record["provenance"]))
    except (DanqingError, zipfile.BadZipFile, KeyError, TypeError, ValueError, NotImplementedError):
        return None


def sidecar(path: Path) -> Path:
    """Where the provenance of a text without a place for it lies: poem.txt → poem.txt.json."""
    return path.with_name(path.name + SIDECAR)


def _decode(path: Path, data: bytes) -> str:
    """The bytes as text: UTF-8, UTF-16 with its mark, GB18030; raises InvalidMedia for anything else."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings: Sequence[str] = ("utf-16",)
    else:
        encodings = ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if _plausible(text, strict=encoding == "gb18030"):
            if not text.strip():
                raise InvalidMedia(f"{path} holds nothing but blanks; give it some words")
            return text
        break
    raise InvalidMedia(
        f"{path} is no text: its bytes are neither UTF-8 nor GB18030. Texts are .txt, .md and .docx; save it as UTF-8"
    )


def _plausible(text: str, *, strict: bool) -> bool:
    """Whether a person writes such characters. `strict`: for an encoding that makes something of almost any byte."""
    if any(unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn") and char not in "\t\n\r\f\v\x1a" for char in text):
        return False
    if not strict:
        return True
    foreign = [char for char in text if ord(char) > 127]
    common = sum(1 for char in foreign if "\u4e00" <= char <= "\u9fff" or char in "，。！？；、：“”‘’《》（）…—·　")
    return common * 10 >= len(foreign) * 9


def _read_docx(path: Path, data: bytes) -> Writing:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if "word/document.xml" not in archive.namelist():
                raise InvalidMedia(f"{path} is a ZIP archive, not a text; texts are .txt, .md and .docx")
            if sum(entry.file_size for entry in archive.infolist()) > MAX_UNPACKED:
                raise InvalidMedia(
                    f"{path} unpacks to more than {files.size_text(MAX_UNPACKED)}; save its text as .txt"
                )
        import docx

        paragraphs = docx.Document(io.BytesIO(data)).paragraphs
        styled = [(str(getattr(p.style, "name", "")), p.text) for p in paragraphs]
    except DanqingError:
        raise
    except Exception as error:  # zipfile, lxml and python-docx each have their own family of complaints
        raise InvalidMedia(f"{path} is a damaged .docx: {' '.join(str(error).split())[:80]}") from error
    title = next((text for style, text in styled if style == "Title"), "")
    author = next((text for style, text in styled if style == "Subtitle"), "")
    rows: list[str] = []
    for style, text in styled:
        if style not in ("Title", "Subtitle"):
            rows += [row.rstrip() for row in text.splitlines()] or [""]
            if "\n" in text:  # a paragraph with line breaks is a stanza
                rows.append("")
    if not any(rows):
        raise InvalidMedia(f"{path} holds no text")
    if title:
        return Writing(tuple(rows), title=title.strip(), author=author.strip())
    return _from_rows(path, rows)


def _from_markdown(path: Path, rows: list[str]) -> Writing:
    title = author = ""
    body: list[str] = []
    for row in rows:
        if row.startswith("#") and not title and not any(body):
            title = row.lstrip("#").strip()
        elif title and not author and not any(body) and re.fullmatch(r"\*[^*]+\*", row.strip()):
            author = row.strip().strip("*")
        else:
            body.append(re.sub(r"\\([#>*+\-=~|.)\\])", r"\1", row.removesuffix("\\").rstrip()))
    if not any(body):
        raise InvalidMedia(f"{path} holds no text below its title")
    return Writing(tuple(body), title=title, author=author) if title else _from_rows(path, body)


def _from_rows(path: Path, rows: Sequence[str]) -> Writing:
    """The text with the rows above it taken as title and author, where they are no part of it."""
    rows = _tidy(row.strip("\u3000 ") if row.strip() else "" for row in rows)
    if not rows:
        raise InvalidMedia(f"{path} holds nothing but blanks; give it some words")
    count = _head(rows)
    head, body = [row for row in rows[:count] if row], rows[count:]
    title, author = (head[0] if head else ""), (head[1] if len(head) > 1 else "")
    named = re.match(r"^《(.+?)》\s*(.*)$", title)
    if named:
        title, author = named[1], author or named[2]
    elif title and not author and len(parts := title.split()) == 2 and all(map(is_han, "".join(parts))):
        title, author = parts  # 春望 杜甫
    return Writing(tuple(body), title=title, author=_AUTHOR.sub("", author, count=1) or author)


def _head(rows: Sequence[str]) -> int:
    """How many rows at the top are title and author; 0 to 3, never all of them."""
    top = rows[: rows.index("")] if "" in rows else rows[:2]
    rest = [row for row in rows[len(top) :] if row]
    body = [row for row in rows if row]
    closed = [row[-1] in CLOSING for row in body]
    if any(closed):  # the text is punctuated: what stands above it is not
        bare = closed.index(True)
        if (
            1 <= bare <= 2
            and all(len(row) <= LONGEST_TITLE for row in body[:bare])
            and sum(closed[bare:]) * 2 > len(closed[bare:])
        ):
            if language_of("".join(body)) == "zh":
                return rows.index(body[bare])
            # An English line of verse may end in no mark: only what an empty line parts from the poem is above it.
            byline = len(top) == 1 and bare == 2 and re.match(r"(?i)by ", body[1]) and rows[2:4] == [body[1], ""]
            return 3 if byline else len(top) if "" in rows and len(top) <= bare else 0
    if rest and re.match(r"^《.+?》", rows[0]):
        return len(top) if "" in rows and len(top) <= 2 else 1
    if "" in rows and rest and len(top) <= 2 and all(len(row) <= LONGEST_TITLE for row in top):
        if language_of("".join(body)) == "en":
            return len(top) if len(rest) > len(top) and top[-1][-1] not in CLOSING else 0
        return len(top) if len({len(row) for row in rest}) < len({len(row) for row in body}) else 0
    for count in (1, 2):  # 静夜思 above four rows of five, nothing in between
        if "" not in rows and len(rows) - count >= 4 and len({len(row) for row in rows[count:]}) == 1:
            return count if len(rows[0]) != len(rows[-1]) and language_of("".join(rows)) == "zh" else 0
    return 0


def _tidy(rows: Any) -> tuple[str, ...]:
    """Rows without blanks at their ends, no empty ones at the ends of the text, at most one in a row."""
    kept: list[str] = []
    for row in rows:
        row = row.rstrip()
        if row or (kept and kept[-1]):
            kept.append(row)
    while kept and not kept[-1]:
        kept.pop()
    return tuple(kept)


# --- writing ----------------------------------------------------------------------------------------------------------


def output_format(path: Path) -> str:
    """The suffix of a file to write a text to; raises BadRequest for one that we do not write."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise BadRequest(f"{path} ends in {path.suffix or 'no suffix'!r}; a text is written as {', '.join(SUFFIXES)}")
    return suffix


def encode_bytes(writing: Writing, suffix: str, provenance: Provenance | None = None) -> bytes:
    """The text as the bytes of a file of this suffix; only a .docx holds the provenance itself."""
    suffix = output_format(Path("text" + suffix))
    if suffix == ".docx":
        return _encode_docx(writing, provenance)
    return (_markdown(writing) if suffix == ".md" else str(writing) + "\n").encode("utf-8")


def encode_sidecar(data: bytes, suffix: str, provenance: Provenance) -> bytes | None:
    """What lies beside a text file with these bytes; None where the file itself holds its provenance."""
    if suffix.lower() == ".docx":
        return None
    record = {
        "digitalSourceType": provenance.source_type,
        "provenance": json.loads(provenance.to_json()),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return (json.dumps(record, ensure_ascii=False, sort_keys=True, indent=1) + "\n").encode("utf-8", "backslashreplace")


def save(writing: Writing, path: Path, provenance: Provenance, *, force: bool = False) -> None:
    """Write the text and, where its format needs one, the sidecar: both or neither.

    Raises BadRequest for a suffix that we do not write, OutputExists unless `force`, NotWritable.
    """
    suffix = output_format(path)
    data = encode_bytes(writing, suffix, provenance)
    beside = encode_sidecar(data, suffix, provenance)
    check_output(path, force=force)
    write_both(data, beside, path, force=force)


def write_both(data: bytes, beside: bytes | None, path: Path, *, force: bool = False) -> None:
    """Writes a work and what lies beside it, where something does: both or neither. Raises as `files.write`."""
    if beside is None:
        files.write(data, path, force=force)
        return
    record = sidecar(path)
    before = record.read_bytes() if record.exists() else None
    files.write(beside, record, force=force)  # first, so that a work never stands without its origin
    try:
        files.write(data, path, force=force)
    except BaseException:
        record.unlink(missing_ok=True)
        if before is not None:
            files.write(before, record)
        raise


def check_output(path: Path, *, force: bool = False) -> None:
    """Says before any work is done whether the text and its sidecar can be written; raises as `files.check_output`."""
    files.check_output(path, force=force)
    if output_format(path) != ".docx":
        files.check_output(sidecar(path), force=force)


def _markdown(writing: Writing) -> str:
    head = [f"# {writing.title}", ""] if writing.title else []
    if writing.author:
        head += [f"*{writing.author}*", ""]
    stanzas = []
    for stanza in writing.stanzas:
        rows = [_MARKDOWN.sub(_escape, row) for row in stanza]
        stanzas.append("\\\n".join(rows))  # a backslash keeps the line break that Markdown would swallow
    return "\n".join([*head, "\n\n".join(stanzas)]) + "\n"


def _escape(match: re.Match[str]) -> str:
    mark = match[2]
    return f"{match[1]}{mark[:-1]}\\{mark[-1]}"


def _encode_docx(writing: Writing, provenance: Provenance | None) -> bytes:
    import docx
    from docx.opc.packuri import PackURI
    from docx.opc.part import Part

    document = docx.Document()
    if writing.title:
        document.add_paragraph(writing.title, style="Title")
    if writing.author:
        document.add_paragraph(writing.author, style="Subtitle")
    for stanza in writing.stanzas:
        document.add_paragraph("\n".join(stanza))
    core = document.core_properties
    moment = datetime(*_EPOCH, tzinfo=UTC).replace(tzinfo=None)
    core.title, core.author, core.language = writing.title[:255], writing.author[:255], writing.language
    core.created = core.modified = core.last_printed = moment
    core.last_modified_by, core.revision, core.comments = "", 1, ""
    if provenance is not None:
        core.comments = _short(provenance)
        core.keywords = provenance.source_type[:255]
        package = document.part.package
        record = provenance.to_json().encode("utf-8", "backslashreplace")
        if package is not None:
            part = Part(PackURI(_RECORD), "application/json", record, package)
            package.relate_to(part, _RECORD_TYPE)
    out = io.BytesIO()
    document.save(out)
    return _repacked(out.getvalue())


def _short(provenance: Provenance) -> str:
    """Who made it, in the 255 characters that a document's comment has."""
    models = ", ".join(f"{name} {digest[:8]}" for name, digest in provenance.models.items())
    return f"{provenance.software} {provenance.verb}, seed {provenance.seed}; models: {models or 'none'}"[:255]


def _repacked(data: bytes) -> bytes:
    """The same archive with no time in it: the same content is the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            plain = zipfile.ZipInfo(entry.filename, _EPOCH)
            plain.compress_type = zipfile.ZIP_DEFLATED
            plain.create_system = 3  # Unix, on every system
            plain.external_attr = 0o644 << 16
            new.writestr(plain, old.read(entry.filename))
    return out.getvalue()


def in_script(writing: Writing, convert: Any) -> Writing:
    """The same text with every character through `convert` (simplified ↔ traditional)."""
    return replace(
        writing,
        lines=tuple(convert(line) for line in writing.lines),
        title=convert(writing.title),
        author=convert(writing.author),
    )
