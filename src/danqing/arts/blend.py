"""A new piece that goes from one to another: its first phrase is near the first of A, its last near the last of B.

Both melodies are cut into phrases of two bars, upbeat to upbeat, and each becomes a point (`techniques.music_vae`) that
knows nothing of its key and little of its metre. The new piece follows both from beginning to end at once: where it has
come a third of its way, its phrase lies between the phrases that stand a third of the way into A and into B, and nearer
to A's. So it opens as A opens, ends as B ends, and A's metre and key (or the one asked for) hold throughout. What is
written is kept in the bar, in a singer's or player's range and nearly always in the scale, and ends on the tonic. The
sliders move the points along their axes; span and syncopation, whose axes are weak (see the card), the odds besides.
The melody is set for four voices, as `chorales.harmonize` does it, where either piece has more voices than one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from danqing.arts import chorales, composers, sources
from danqing.arts.compose import SLIDERS
from danqing.arts.composers import Desk
from danqing.artwork import scores
from danqing.artwork.music import ZERO, Key, Meter, Part, Score, Tempo
from danqing.encode import melodies, phrases
from danqing.encode import notes as grids
from danqing.encode.melodies import Line
from danqing.encode.phrases import HOLD, LOWEST, PITCH, REST, START, STEP, TOKENS, Shape
from danqing.errors import BadRequest
from danqing.techniques import music_vae
from danqing.techniques.music_vae import Known, Vae

USUAL_BARS = 16
DRAFTS = 12  # written side by side
COURSE = (0.1, 0.9)  # how far from A to B the first and the last phrase are
TEMPERATURE = 0.6
PULL = 2.0  # deviations of the prior by which a slider at 1 moves a point
WIDER = 0.15  # added to the logits of a pitch for each semitone from the middle of the range, where span is 1
AGAINST = 2.5  # added to those of striking on a weak place and of holding over a strong one, where syncopation is 1
LEAP = 9  # semitones; an octave is allowed besides
FOREIGN = -2.5  # added to the logits of a note outside the scale
ON_THE_BEAT = -0.6  # syncopation of a choir
LONGEST = 12  # steps of a note, but the last
REST_STEPS = 2  # a rest of a melody is no longer; voices of a choir have none
SCALES = {phrases.MAJOR: (0, 2, 4, 5, 7, 9, 11), phrases.MINOR: (0, 2, 3, 5, 7, 8, 10, 11)}
HOMEWARD = (-2, -1, 1, 2, 5, -7)  # semitones by which the tonic is reached: by step, from the dominant
ASTRAY = 0.2  # nats a step that a draft pays for an ending that leaps into the tonic, and for a foreign note in ten
NEVER = float("-inf")
Tokens = NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """One of the two pieces."""

    name: str
    score: Score
    line: sources.Line
    voices: int  # at least
    meter: Meter
    key: Key
    remark: str = ""

    @classmethod
    def read(cls, path: Path) -> Source:
        """Raises InvalidMedia, and BadRequest for drums, for a piece that is too long or in a metre without phrases."""
        score = scores.read(path)
        tune = sources.melody(score)
        meter = sources.meter(score)
        try:
            phrases.shape_of(meter.beats, meter.unit)
        except BadRequest as error:
            raise BadRequest(f"{path.name}: {error}") from None
        sources.Frame.of(score, max(note.end for note in tune.notes))  # long pieces are refused
        voices = len(sources.parts(score)) + bool(tune.remark)  # its melody's part has chords, or lines of its own
        key = sources.key(score, tune.notes)
        return cls(score.title or path.stem, score, tune.notes, voices, meter, key, tune.remark)

    @cached_property
    def shape(self) -> Shape:
        """Of its phrases."""
        return phrases.shape_of(self.meter.beats, self.meter.unit, round(self.score.pickup / STEP))

    @cached_property
    def tokens(self) -> Tokens:
        """Its melody, moved by octaves to lie around the fifth above the tonic."""
        tonic = phrases.tonic_of(self.key)
        shift = -12 * round((float(np.median([note.pitch for note in self.line])) - tonic - 7) / 12)
        moved = [replace(note, pitch=note.pitch + shift) for note in self.line if 0 <= note.pitch + shift <= 127]
        return phrases.lay(moved, int(-(-max(note.end for note in self.line) // STEP)), tonic)

    @cached_property
    def cuts(self) -> list[phrases.Phrase]:
        """Its phrases in order, the last one ending where the piece ends; those without a note left out."""
        mode, size, bar = phrases.mode_of(self.key), self.shape.length, self.shape.bar
        last = max(0, -(-(len(self.tokens) - size) // bar) * bar)
        starts = [*range(0, last, size), last]
        every = [phrases.cut(self.tokens, start, self.shape, mode) for start in starts]
        return [phrase for phrase in every if (phrase.tokens > REST).any()]

    @cached_property
    def reach(self) -> tuple[int, int]:
        """Its lowest and highest pitch, semitones from the tonic."""
        struck = self.tokens[self.tokens > REST] - PITCH
        return int(struck.min()), int(struck.max())


def blend(desk: Desk) -> tuple[Score, ...]:
    """A piece from A to B; for four voices where either has several, or the style says so."""
    assert desk.request.blend is not None
    a, b = (Source.read(path) for path in desk.request.blend)
    key = desk.key if desk.request.key else a.key
    sung = desk.request.manner == "chorale" or (not desk.request.manner and max(a.voices, b.voices) > 1)
    _tell(desk, a, b, key)
    model = desk.model(composers.PHRASES)
    frame = _Frame.of(a, b, key, (desk.request.bars or USUAL_BARS), sung).slid(desk)
    points = _course(desk, model, a, b, frame.count)
    own = melodies.entries([Line(a.line, a.meter.bar), Line(b.line, b.meter.bar)])

    def draw() -> list[Score]:
        return [_score(tokens, frame, a, b) for tokens in _written(desk, model, points, frame)]

    def copied(score: Score) -> bool:
        if desk.known is None:
            return False
        hashes, _ = melodies.passages(Line(score.notes, a.meter.bar))
        return bool((desk.known.filter.has(hashes) & ~np.isin(hashes, own)).any())  # the two themselves are theirs

    made = desk.drawn(draw, copied, "blends")
    return tuple(_set(desk, score) if sung else desk.with_tempo(score) for score in made)


def _tell(desk: Desk, a: Source, b: Source, key: Key) -> None:
    for piece in (a, b):
        if piece.remark:
            desk.note(f"{piece.name}: {piece.remark}")
        if str(piece.key) != str(key):
            desk.note(f"{piece.name} was brought from {piece.key} to {key}")
    if (a.meter.beats, a.meter.unit) != (b.meter.beats, b.meter.unit):
        desk.note(f"{b.name} was brought from {b.meter.beats}/{b.meter.unit} to {a.meter.beats}/{a.meter.unit}")


# --- points -----------------------------------------------------------------------------------------------------------


@torch.no_grad()
def _points(model: Vae, piece: Source) -> torch.Tensor:
    """The point of each phrase of a piece, (N, latent)."""
    if not piece.cuts:
        raise BadRequest(f"{piece.name} holds no melody to blend")
    tokens = torch.from_numpy(np.stack([phrase.tokens for phrase in piece.cuts]))
    mode, before = (torch.tensor([getattr(p, name) for p in piece.cuts]) for name in ("mode", "before"))
    places = torch.from_numpy(piece.shape.places)[None].expand(len(tokens), -1)
    mean, _ = model.encode(tokens, Known(places, mode, before))
    return mean


def _course(desk: Desk, model: Vae, a: Source, b: Source, count: int) -> torch.Tensor:
    """Where each phrase of the new piece lies, (count, latent): see above; then moved by the sliders."""
    along = np.linspace(0, 1, count) if count > 1 else np.array([0.5])
    ends = [_points(model, piece) for piece in (a, b)]
    at = [end[np.round(along * (len(end) - 1)).astype(int)] for end in ends]
    share = torch.from_numpy(COURSE[0] + (COURSE[1] - COURSE[0]) * along).float()
    by = tuple(PULL * (getattr(desk.request, name) or 0.0) for name in SLIDERS)
    return music_vae.slid(music_vae.between(at[0], at[1], share), by)


# --- writing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Frame:
    """What the new piece keeps to."""

    key: Key
    shape: Shape
    steps: int  # in all
    low: int  # semitones from the tonic
    high: int
    rests: int  # steps of the longest rest
    span: float = 0.0  # the sliders that move odds, in [-1, 1]
    syncopation: float = 0.0

    @classmethod
    def of(cls, a: Source, b: Source, key: Key, bars: int, sung: bool) -> _Frame:
        """In A's metre; in a soprano's range where it is sung, else in that of both pieces."""
        low, high = min(a.reach[0], b.reach[0]), max(a.reach[1], b.reach[1])
        if sung:
            least, most = (limit - phrases.tonic_of(key) for limit in grids.RANGES[0])
            low, high = max(low, least), min(high, most)
            low, high = (low, high) if high - low >= 12 else (least, most)
        middle = (low + high) // 2
        low, high = min(low, middle - 6), max(high, middle + 6)  # the tonic has to be within reach
        return cls(key, a.shape, bars * a.shape.bar, low, high, 0 if sung else REST_STEPS)

    def slid(self, desk: Desk) -> _Frame:
        """With the sliders that were asked for; a choir sings on the beat where nobody asked."""
        plain = 0.0 if self.rests else ON_THE_BEAT
        against = desk.request.syncopation
        return replace(self, span=desk.request.span or 0.0, syncopation=plain if against is None else against)

    @property
    def count(self) -> int:
        """Phrases."""
        return -(-self.steps // self.shape.length)

    @property
    def close(self) -> int:
        """Steps of the last note: from the middle of the last bar where a quarter is left of it, else from its line."""
        bar, left = self.shape.bar, self.shape.bar - self.shape.pickup
        half = bar // 2 if phrases.METRES[self.shape.metre] in ((4, 4), (6, 8), (2, 4)) else 0
        return left - half if half and left - half >= 4 else left

    @property
    def scale(self) -> tuple[int, ...]:
        """Semitones above the tonic."""
        return SCALES[phrases.mode_of(self.key)]

    def fitted(self, written: Sequence[Tokens]) -> Tokens:
        """The phrases (B, length) in one row (B, steps): where it is too long, the last but one is broken off."""
        over = self.count * self.shape.length - self.steps
        if len(written) == 1:
            return _begun(written[0], over)
        short = written[-2][:, : self.shape.length - over]
        return np.concatenate([*written[:-2], short, written[-1]], 1)


def _begun(tokens: Tokens, start: int) -> Tokens:
    """The rest of phrases from a step on; what sounds there is struck."""
    own = tokens[:, start:].copy()
    for row, line in zip(own, tokens, strict=True):
        if row[0] == HOLD:
            row[0] = line[: start + 1][line[: start + 1] != HOLD][-1]
    return own


def _written(desk: Desk, model: Vae, points: torch.Tensor, frame: _Frame) -> list[Tokens]:
    """Drafts of the whole melody (steps,), the best first."""
    tell = desk.step("blending")
    places = torch.from_numpy(frame.shape.places)[None].expand(DRAFTS, -1)
    mode = torch.full((DRAFTS,), phrases.mode_of(frame.key))
    before = torch.full((DRAFTS,), START)
    found: list[Tokens] = []
    worth = np.zeros(DRAFTS)
    temperature = desk.request.temperature or TEMPERATURE
    for number, z in enumerate(points):
        rules = _Rules(frame, before.numpy(), number == len(points) - 1)
        known = Known(places, mode, before)
        tokens, likely = music_vae.write(model, z.expand(DRAFTS, -1), known, temperature, desk.generator, rules.bias)
        found.append(tokens.numpy())
        worth += likely.numpy() / len(points)
        before = torch.from_numpy(_last(found[-1], before.numpy()))
        tell(number + 1, len(points))
    whole = frame.fitted(found)
    order = np.argsort(-(worth - np.array([_astray(row, frame) for row in whole])), kind="stable")
    return [whole[i] for i in order]


def _last(tokens: Tokens, before: Tokens) -> Tokens:
    """The token of the pitch heard last in each row."""
    struck = [row[row > REST] for row in tokens]
    return np.array([row[-1] if len(row) else old for row, old in zip(struck, before, strict=True)], np.int64)


def _astray(tokens: Tokens, frame: _Frame) -> float:
    """What a draft pays: an ending that is not reached by step or from the dominant, notes outside the scale."""
    struck = tokens[tokens > REST] - PITCH
    if len(struck) < 2:
        return 1.0
    foreign = float(np.mean(~np.isin(struck % 12, frame.scale)))
    return ASTRAY * (int(struck[-1] - struck[-2]) not in HOMEWARD) + 10 * ASTRAY * foreign


@dataclass(frozen=True)
class _Rules:
    """What may follow at each step of one phrase, for many drafts at once."""

    frame: _Frame
    before: Tokens  # (B,) the tokens heard last before the phrase
    last: bool  # whether the piece ends with this phrase

    @cached_property
    def _always(self) -> NDArray[np.float32]:
        """(TOKENS,): the range and the scale."""
        offsets = np.arange(TOKENS) - PITCH
        found = np.where(np.isin(offsets % 12, self.frame.scale), 0.0, FOREIGN)
        found += self.frame.span * WIDER * (np.abs(offsets - (self.frame.low + self.frame.high) / 2) - 4)
        found[(offsets < self.frame.low) | (offsets > self.frame.high)] = NEVER
        found[[HOLD, REST]] = 0.0, 0.0 if self.frame.rests else NEVER
        return found.astype(np.float32)

    def bias(self, step: int, tokens: torch.Tensor) -> torch.Tensor:
        """See `music_vae.Bias`."""
        own = tokens.numpy()
        rows = np.repeat(self._always[None], len(own), 0)
        if self.frame.syncopation:
            rows += self._against(step, own)
        heard = _last(own, self.before)  # START: nothing yet
        leaps = np.abs(np.arange(TOKENS)[None] - heard[:, None])
        pitched = np.arange(TOKENS)[None] > REST
        rows[pitched & (heard[:, None] < START) & (leaps > LEAP) & (leaps != 12)] = NEVER
        for row, line in zip(rows, own, strict=True):
            changes = np.flatnonzero(line != HOLD)
            since = step - int(changes[-1]) if len(changes) else 0
            silent = bool(len(changes)) and line[changes[-1]] == REST
            if silent or (not step and not self.last and self.frame.rests and heard[0] == START):
                row[REST] = NEVER
            if silent and since >= self.frame.rests:
                row[HOLD] = NEVER
            if not silent and since >= min(LONGEST, self.frame.shape.bar):
                row[HOLD] = NEVER
        if self.last:
            self._cadence(rows, step, heard)
        return torch.from_numpy(rows)

    def _against(self, step: int, tokens: Tokens) -> NDArray[np.float32]:
        """(B, TOKENS): odds of notes that are struck on a weak place and sound on over a stronger one."""
        strength = phrases.STRENGTH[self.frame.shape.places]
        by = AGAINST * self.frame.syncopation
        odds = np.zeros((len(tokens), TOKENS), np.float32)
        later = strength[step + 1 : step + 3]
        if len(later) and later.max() > strength[step]:
            odds[:, REST + 1 :] += by / 2
        for row, line in zip(odds, tokens, strict=True):
            changes = np.flatnonzero(line != HOLD)
            if len(changes) and line[changes[-1]] > REST and strength[step] > strength[changes[-1]]:
                row[HOLD] += by
        return odds

    def _cadence(self, rows: NDArray[np.float32], step: int, heard: Tokens) -> None:
        """The tonic at the end, the one nearest to what was heard, and held; no rest just before it."""
        begins = self.frame.shape.length - self.frame.close
        if begins - 2 <= step < begins:
            rows[:, REST] = NEVER
        elif step > begins:
            rows[:] = NEVER
            rows[:, HOLD] = 0
        elif step == begins:
            tonics = [t for t in range(12 * (LOWEST // 12), 25, 12) if self.frame.low <= t <= self.frame.high]
            for row, token in zip(rows, heard, strict=True):
                near = int(token) - PITCH if token < START else 0
                row[:] = NEVER
                row[PITCH + min(tonics, key=lambda t: abs(t - near))] = 0


# --- scores -----------------------------------------------------------------------------------------------------------


def _score(tokens: Tokens, frame: _Frame, a: Source, b: Source) -> Score:
    """The melody, at the mean of both tempos, played by what plays A's."""
    part = a.score.parts[a.line[0].part]
    tempos = [piece.score.tempos[0].bpm for piece in (a, b)]
    return Score(
        notes=tuple(phrases.notes_of(tokens.tolist(), phrases.tonic_of(frame.key))),
        parts=(Part(part.name or "melody", part.program),),
        tempos=(Tempo(ZERO, round(float(np.sqrt(tempos[0] * tempos[1])), 1)),),
        meters=(replace(a.meter, onset=ZERO),),
        keys=(replace(frame.key, onset=ZERO),),
        pickup=frame.shape.pickup * STEP,
        title=f"{a.name} to {b.name}",
        length=frame.steps * STEP,
    )


def _set(desk: Desk, score: Score) -> Score:
    """The melody with three voices under it."""
    one = replace(desk.request, count=1)
    under = Desk(one, desk.tools, desk.seed, desk.models, desk.notes)
    under.source, under.generator = score, desk.generator
    return chorales.harmonize(under)[0]
