"""Charts: the chords of a piece bar by bar, as musicians write them; those that come with the house.

    | Dm7 G7 | Cmaj7 | % |

A bar has one chord, or two that share it; "%" is the bar before. A chart shorter than the piece comes again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from danqing.artwork import pitches
from danqing.artwork.music import ZERO, Chord, Key, Note
from danqing.encode import events, theory
from danqing.errors import BadRequest, InvalidMedia

MOST = 128  # bars of a chart
LARGEST = 20_000  # bytes of a file
HOW = 'a chart is bars of one or two chord names between lines: "| Dm7 G7 | Cmaj7 |", or a text file of that'

# In C, or in C minor; each stands in the common stock of its style.
PROGRESSIONS = {
    "blues": ("major", "C7 | F7 | C7 | Gm7 C7 | F7 | F7 | C7 | Em7b5 A7 | Dm7 | G7 | C7 A7 | Dm7 G7"),
    "minor-blues": ("minor", "Cm7 | Fm7 | Cm7 | C7 | Fm7 | Fm7 | Cm7 | Cm7 | Ab7 | G7 | Cm7 | Dm7b5 G7"),
    "rhythm": (
        "major",
        "Cmaj7 A7 | Dm7 G7 | Em7 A7 | Dm7 G7 | Gm7 C7 | F7 Fm7 | Em7 A7 | Dm7 G7 | "
        "Cmaj7 A7 | Dm7 G7 | Em7 A7 | Dm7 G7 | Gm7 C7 | F7 Fm7 | Dm7 G7 | Cmaj7 | "
        "E7 | E7 | A7 | A7 | D7 | D7 | G7 | G7 | "
        "Cmaj7 A7 | Dm7 G7 | Em7 A7 | Dm7 G7 | Gm7 C7 | F7 Fm7 | Dm7 G7 | Cmaj7",
    ),
    "cycle": (
        "major",
        "Dm7 | G7 | Cmaj7 | Cmaj7 | Cm7 | F7 | Bbmaj7 | Bbmaj7 | "
        "Bm7b5 | E7 | Am7 | Am7 | Dm7 | G7 | Cmaj7 A7 | Dm7 G7",
    ),
    "modal": (
        "minor",
        "Cm7 | % | % | % | % | % | % | % | Cm7 | % | % | % | % | % | % | % | "
        "Dbm7 | % | % | % | % | % | % | % | Cm7 | % | % | % | % | % | % | %",
    ),
    "minor": (
        "minor",
        "Fm7 | Bb7 | Ebmaj7 | Abmaj7 | Dm7b5 | G7 | Cm7 | Cm7 | "
        "Dm7b5 | G7 | Cm7 | C7 | Fm7 Bb7 | Ebmaj7 Abmaj7 | Dm7b5 G7 | Cm7",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Chart:
    """Chords by bars: one or two names each."""

    bars: tuple[tuple[str, ...], ...]

    def names(self, count: int) -> list[tuple[str, ...]]:
        """So many bars of it, from the beginning, over and over."""
        return [self.bars[i % len(self.bars)] for i in range(count)]

    def tokens(self, count: int) -> list[tuple[int, ...]]:
        """The same as tokens of `encode.events`, one for each half of a bar."""
        return [halves(bar) for bar in self.names(count)]

    def moved(self, semitones: int) -> Chart:
        """Every chord so many semitones higher."""
        return Chart(tuple(tuple(pitches.moved_chord(name, semitones) for name in bar) for bar in self.bars))

    @property
    def key(self) -> Key:
        """The likeliest key of its chords, the last of them counting as home."""
        notes = [
            Note(Fraction(4 * number), 48 + (tone - 48) % 12, Fraction(4, len(bar)))
            for number, bar in enumerate(self.bars)
            for name in bar
            if theory.chord_symbol(name)
            for tone in sorted(theory.chord_pitches(name))
        ]
        return theory.find_key(notes) if notes else Key(ZERO, "C")


def halves(bar: Sequence[str]) -> tuple[int, ...]:
    """A bar's one or two chords as tokens, one for each half."""
    names = [bar[0], bar[-1]]
    return tuple(events.chord_token(name) for name in names[: events.HALVES])


def read(given: str) -> Chart:
    """A chart as it is written, or the text file that holds it. Raises BadRequest, InvalidMedia."""
    text = given
    if "|" not in given and Path(given).suffix and Path(given).is_file():
        data = Path(given).read_bytes()[: LARGEST + 1]
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidMedia(f"{given} is no text; {HOW}") from None
        if len(data) > LARGEST:
            raise BadRequest(f"{given} is longer than {LARGEST} bytes; {HOW}")
    bars: list[tuple[str, ...]] = []
    for part in text.replace("\n", "|").replace(",", " ").replace("||", "|").split("|"):
        names = part.strip(" :[]\t\r").split()
        if not names:
            continue
        if names == ["%"]:
            if not bars:
                raise BadRequest('--chart begins with "%", which is the bar before; give its first chord')
            bars.append(bars[-1])
            continue
        if len(names) > events.HALVES:
            raise BadRequest(f"a bar of --chart has {len(names)} chords: {' '.join(names)[:60]!r}; {HOW}")
        bars.append(tuple(_known(name) for name in names))
    if not 1 <= len(bars) <= MOST:
        raise BadRequest(f"--chart has {len(bars)} bars; it has 1 to {MOST}: {HOW}")
    return Chart(tuple(bars))


def _known(name: str) -> str:
    """The name where it is one. Raises BadRequest."""
    try:
        theory.chord_symbol(name)
    except BadRequest:
        raise BadRequest(
            f"--chart has {name[:30]!r}, which is no chord; chords are C, Dm7, G7, Bbmaj7, F#m7b5"
        ) from None
    return name


def progression(name: str, key: Key | None) -> tuple[Chart, Key]:
    """One of PROGRESSIONS in a key; where the key is of the other mode, its tonic counts."""
    mode, text = PROGRESSIONS[name]
    tonic = key.tonic if key else "C"
    chart = read(text).moved(pitches.pitch_class(tonic))
    return chart, Key(ZERO, tonic, mode)


def marks(chart: Sequence[Sequence[str]], bar: Fraction) -> tuple[Chord, ...]:
    """The chord symbols of these bars, where they change."""
    found: list[Chord] = []
    for number, names in enumerate(chart):
        for place, name in enumerate(names):
            if not found or found[-1].name != name:
                found.append(Chord(bar * number + bar * place / len(names), name))
    return tuple(found)
