"""Piano music from **kern files: who wrote it, what form it is in, which pieces are editions of one work.

The composer is the first word of an archive's name (`chopin-first-editions-kern`), the form comes from the file's `AGN`
record or its name. Only solo piano music on two staves is used; what is left out is counted.
"""

from __future__ import annotations

import functools
import hashlib
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from danqing.artwork import kern
from danqing.artwork.music import Key, Score
from danqing.encode import theory
from danqing.encode.text import Characters
from danqing.errors import BadRequest, InvalidMedia
from danqing.training import music, repertoire
from danqing.training.repertoire import Piece, Repertoire

FILES = (
    "beethoven-kern,mozart-kern,haydn-kern,scarlatti-kern,joplin-kern,chopin-kern,chopin-preludes-kern,"
    "chopin-first-editions-kern"
)
COMPOSERS = ("mozart", "beethoven", "chopin", "haydn", "scarlatti", "joplin")
FORMS = (
    *("sonata", "mazurka", "nocturne", "prelude", "etude", "waltz", "polonaise", "rag", "ballade", "scherzo"),
    *("impromptu", "rondo", "variations", "march", "dance", "fantasia"),
)
_WORDS = {"valse": "waltz", "concert waltz": "waltz", "two step": "march", "two-step": "march", "krakowiak": "dance",
          "bolero": "dance", "tarantelle": "dance", "ecossaise": "dance", "fantasie": "fantasia",
          "fantaisie": "fantasia"}  # fmt: skip
NOT_SOLO = re.compile(r"trio|concert(o|ant)|song|violin|violoncell|secondo|primo|krakowiak|quartet", re.IGNORECASE)
_HOME = re.compile(r"(?:^|\t)\*[A-Ga-g][#-]?:", re.MULTILINE)  # a file that names its keys


@functools.cache
def vocabulary() -> Characters:
    """Event tokens, composers, forms."""
    return repertoire.vocabulary(COMPOSERS, FORMS)


def load(root: Path, files: str, keep: Path) -> Repertoire:
    """From .zip archives of .krn files, joined by commas, in `root` or its `music`; "." is every archive there.

    keep: the file that the tokens are kept in, since reading takes minutes.
    """
    paths = sorted(root.glob("*.zip")) if files == "." else [music.find(root, n, (".zip",)) for n in files.split(",")]
    if not paths:
        raise BadRequest(f"{root} holds no .zip of .krn files")
    source = hashlib.sha256(b"".join(hashlib.sha256(p.read_bytes()).digest() for p in paths)).hexdigest()

    def read() -> tuple[list[Piece], Mapping[str, int]]:
        pieces, left_out = [], Counter[str]()
        for path in paths:
            composer = path.stem.partition("-")[0]
            for name, text in _files(path):
                try:
                    pieces.append(piece(text, name, composer if composer in COMPOSERS else ""))
                except (BadRequest, InvalidMedia) as error:
                    left_out[_reason(str(error))] += 1
        return pieces, left_out

    return repertoire.kept(keep, source, read)


def _files(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(".krn"):
                    yield Path(name).stem, archive.read(name).decode("utf-8", errors="replace")
    except (OSError, zipfile.BadZipFile) as error:
        raise BadRequest(f"{path} cannot be read ({error}); fetch or make it again") from None


def _reason(message: str) -> str:
    for word in ("solo", "staves", "damaged", "no piano"):
        if word in message:
            return word
    return re.sub(r"\d+", "…", message)[:60]


def piece(text: str, name: str, composer: str) -> Piece:
    """One file. Raises InvalidMedia for a damaged one, BadRequest for one that is no solo piano music of two staves."""
    score = kern.decode(text, name)
    genre = " ".join(re.findall(r"^!!!(?:AGN|OTL): *(.*)$", text, re.MULTILINE))
    if NOT_SOLO.search(f"{name} {genre}"):
        raise BadRequest(f"{name} is no solo piano music")
    sounding = [i for i in range(len(score.parts)) if score.of(i)]
    if len(sounding) != 2:
        raise BadRequest(f"{name} has {len(sounding)} staves that sound; two are used")
    bars = repertoire.bars_of(score, _keys(score, named=_HOME.search(text) is not None))
    return Piece(name, composer, form_of(f"{genre} {name}"), work_of(name, composer), bars)


def _keys(score: Score, named: bool) -> list[Key]:
    """The keys in the file; where it has signatures alone, major or the relative minor, as its notes speak for."""
    if named or not score.keys:
        return list(score.keys)
    stops = [*(key.onset for key in score.keys[1:]), score.length]
    found = []
    for key, stop in zip(score.keys, stops, strict=True):
        notes = score.between(key.onset, stop)
        number = repertoire.key_number(key)
        both = {number, (number + 9) % 12 + 12}
        ranks = [k for k, _ in theory.rank_keys(notes) if repertoire.key_number(k) in both] if notes else []
        found.append(Key(key.onset, ranks[0].tonic, ranks[0].mode) if ranks else key)
    return found


def form_of(text: str) -> str:
    """One of FORMS by a word of the file's records or its name; "" where none tells."""
    text = text.casefold().replace("mazourka", "mazurka").replace("preludium", "prelude")
    for word in (*FORMS, *_WORDS):
        if re.search(rf"\b{word}", text):
            return _WORDS.get(word, word)
    return ""


def work_of(name: str, composer: str) -> str:
    """What names of editions and movements of one work share: composer and opus, or the number of the sonata."""
    found = re.match(r"([A-Za-z]*?)-?0*(\d+)", name)
    if composer == "chopin" and found:
        return f"chopin {found[2]}" if found[1] in ("", "mazurka", "prelude") and "a-5" not in name else name
    if composer in ("mozart", "beethoven", "haydn") and found:
        return f"{composer} {found[1]} {found[2]}"
    return f"{composer} {name}"
