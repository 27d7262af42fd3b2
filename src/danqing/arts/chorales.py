"""Music for four voices in the manner of Bach's chorales: new, gone on with, over a melody, with bars written anew.

New music is written step after step (`techniques.chorale.write`), several drafts side by side; the one that breaks the
fewest rules of `appraisal.counterpoint` for each bar is kept; voices under a melody likewise. Passages between others
are filled by Gibbs sampling (`techniques.chorale.fill`). What a person gave is put together again from their own notes:
no grid, no transposition for the network's sake ever touches them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from danqing.appraisal import counterpoint
from danqing.arts import composers, sources
from danqing.arts.compose import bar_length, read_metre
from danqing.arts.composers import Desk
from danqing.arts.sources import Frame, Line
from danqing.artwork.music import ZERO, Key, Note, Part, Score
from danqing.encode import notes as grids
from danqing.encode import theory
from danqing.encode.notes import CHOIR, HIGH, LOW, SILENCE, STEP, VOICES, Grid
from danqing.errors import BadRequest
from danqing.techniques import chorale
from danqing.techniques.chorale import HIDDEN

USUAL_TEMPO = 76.0  # quarter notes a minute
USUAL_BARS = 12
FORMED = 12  # bars from which on the first phrase comes twice
DRAFTS = 4  # written side by side
FILLED = 2  # filled side by side
MENDED = 2  # drafts that are given another ending, where none has one
CONTEXT = 384  # steps before a continuation that are read
OPEN = 4  # steps of the first chord, which says the key to the writer better than the key itself
CLOSE = 4  # steps of the last chord
ASTRAY = 3.0  # what a draft in another key than the one asked for counts, in broken rules for each bar
TONIC_CHORDS = ((0, 4, 7), (0, 3, 7))
Codes = NDArray[np.int64]
Ranges = tuple[tuple[int, int], ...]  # MIDI, lowest and highest of each voice


# --- new pieces -------------------------------------------------------------------------------------------------------


def new(desk: Desk) -> tuple[Score, ...]:
    """New chorales: of twelve bars or more in bar form, the first phrase sung twice."""
    request, key = desk.request, desk.key
    metre = read_metre(request.metre or "4/4")
    bar = int(bar_length(metre) / STEP)
    frame = Frame((request.bars or USUAL_BARS) * bar, 4 if bar == 16 else 0, bar)
    tempo = desk.tempo(USUAL_TEMPO)

    def draw() -> list[Score]:
        found = [_score(grid, key, tempo) for grid in _drafts(desk, frame, key)]
        return sorted(found, key=lambda score: _faults(score, key) + ASTRAY * _astray(score, key))

    def copied(score: Score) -> bool:
        return desk.copied(score.of(0), score.meters[0].bar) is not None

    made = desk.drawn(draw, copied, "chorales")
    return tuple(made)


def _score(grid: Grid, key: Key, tempo: float) -> Score:
    return grids.to_score(grid, key, tempo, f"Chorale in {key}")


def _faults(score: Score, key: Key) -> float:
    """Rules broken in a bar; Bach breaks one in four bars."""
    bars = score.bars()
    judged = counterpoint.judge([score.of(v) for v in range(len(VOICES))], bars, [key], bool(score.pickup))
    return len(judged.faults) / max(1, len(bars) - 1)


def _astray(score: Score, key: Key) -> bool:
    """Whether a piece is heard in another key."""
    return grids.key_number(theory.find_key(score.notes)) != grids.key_number(key)


def _opening(desk: Desk, key: Key) -> Codes:
    """A tonic chord to begin with, of a height that is drawn. (4,) codes."""
    goals = [low + (high - low) * (0.3 + 0.4 * desk.chance()) for low, high in grids.RANGES]
    return np.array(home(np.array(goals, dtype=np.int16), key)) - LOW + 1


def _last_bass(key: Key) -> int:
    """The code of the bass's last note: the tonic, where basses like to end."""
    return next(pitch for pitch in range(43, 55) if pitch % 12 == grids.key_number(key) % 12) - LOW + 1


def _drafts(desk: Desk, frame: Frame, key: Key) -> list[Grid]:
    """Several pieces of this length, each with an ending."""
    model = desk.model(composers.TUNED if desk.has(composers.TUNED) else composers.CHORALE)
    sampling = replace(chorale.WRITING, temperature=desk.request.temperature or chorale.WRITING.temperature)
    hidden = torch.full((DRAFTS, frame.length, len(VOICES)), HIDDEN)
    for draft in range(DRAFTS):
        hidden[draft, :OPEN] = torch.from_numpy(_opening(desk, key))
    hidden[:, -CLOSE:, 3] = _last_bass(key)
    bars = frame.length // frame.bar
    phrase = max(4, bars // 8 * 2) * frame.bar if bars >= FORMED else 0
    if phrase:
        first = _write(desk, model, hidden[:, :phrase], replace(frame, length=phrase), key, sampling, "first phrase")
        hidden[:, :phrase] = hidden[:, phrase : 2 * phrase] = first
        count = phrase // frame.bar
        desk.note(f"bar form: bars 1 to {count} come again as bars {count + 1} to {2 * count}")
    written = _write(desk, model, hidden, frame, key, sampling, "writing")
    return [_ended(desk, one, frame, key) for one in _at_home(written.numpy(), key)]


def _at_home(codes: Codes, key: Key) -> list[Codes]:
    """The drafts that end on the tonic chord; where none does, the first few, whose ending is to be written anew."""
    tonic = grids.key_number(key) % 12
    ended = [one for one in codes if _is_home(grids.pitches_of(one[-1:])[0], tonic)]
    return ended or list(codes[:MENDED])


def _write(
    desk: Desk, model: Any, notes: torch.Tensor, frame: Frame, key: Key, sampling: chorale.Sampling, stage: str
) -> torch.Tensor:
    known = chorale.frame(frame.length, frame.pickup, frame.bar, grids.key_number(key))
    return chorale.write(model, notes, known, desk.generator, sampling, desk.step(stage))


def _ended(desk: Desk, codes: Codes, frame: Frame, key: Key, since: int = 0) -> Grid:
    """The piece with a last chord on the tonic; where it has none, its last bar from `since` on is filled anew."""
    tonic = grids.key_number(key) % 12
    last = grids.pitches_of(codes[-1:])[0]
    if not _is_home(last, tonic):
        codes = codes.copy()
        close = min(CLOSE, len(codes) - since)
        chord = home(last, key)
        codes[-close:] = [pitch - LOW + 1 for pitch in chord]
        open_ = np.zeros(codes.shape, np.bool_)
        open_[max(since, len(codes) - frame.bar - CLOSE) : -close] = True
        if open_.any():
            codes = _fill(desk, codes[None], open_, frame, key, "ending")[0]
    return grids.from_codes(codes, frame.pickup, frame.bar)


def _is_home(chord: NDArray[np.int16], tonic: int) -> bool:
    above = {(int(pitch) - tonic) % 12 for pitch in chord if pitch != SILENCE}
    return int(chord[3]) % 12 == tonic and any(above <= set(tones) for tones in TONIC_CHORDS)


def home(before: NDArray[np.int16], key: Key) -> tuple[int, ...]:
    """The tonic chord, soprano to bass, root in the bass and whole, that is nearest to a chord. (4,) MIDI."""
    tonic = grids.key_number(key) % 12
    tones = [(tonic + tone) % 12 for tone in TONIC_CHORDS[grids.key_number(key) >= 12]]
    goals = [int(p) if p != SILENCE else sum(r) // 2 for p, r in zip(before, grids.RANGES, strict=True)]
    inside = [range(low, high + 1) for low, high in grids.RANGES]
    best, cost = (0, 0, 0, 0), np.inf
    for bass in (p for p in inside[3] if p % 12 == tonic):
        for tenor in (p for p in inside[2] if p % 12 in tones and p >= bass):
            for alto in (p for p in inside[1] if p % 12 in tones and tenor <= p <= tenor + 12):
                for soprano in (p for p in inside[0] if p % 12 in tones and alto <= p <= alto + 12):
                    chord = (soprano, alto, tenor, bass)
                    if not {tones[0], tones[1]} <= {p % 12 for p in chord}:
                        continue
                    moved = sum(
                        abs(p - goal) * (2 if v == 0 else 1)
                        for v, (p, goal) in enumerate(zip(chord, goals, strict=True))
                    )
                    if moved < cost:
                        best, cost = chord, moved
    return best


def _fill(
    desk: Desk,
    codes: Codes,
    open_: NDArray[np.bool_],
    frame: Frame,
    key: Key,
    stage: str,
    ranges: Ranges = grids.RANGES,
) -> Codes:
    """The gaps of several pieces filled: codes (B, T, 4), open_ (T, 4). Returns (B, T, 4).

    By the model that sees both sides of a gap; where it is not installed by `_follow`.
    """
    if not desk.has(composers.ORDERLESS):
        desk.note("written from left to right: the model that sees both sides of a gap is not installed")
        return _follow(desk, codes, open_, frame, key, stage, ranges)
    notes, known, sampling = _gaps(desk, codes, open_, frame, key, replace(chorale.FILLING, ranges=ranges))
    model = desk.model(composers.ORDERLESS)
    return _numbers(chorale.fill(model, notes, known, desk.generator, sampling, desk.step(stage)))


def _follow(
    desk: Desk,
    codes: Codes,
    open_: NDArray[np.bool_],
    frame: Frame,
    key: Key,
    stage: str,
    ranges: Ranges = grids.RANGES,
) -> Codes:
    """The same by the model that writes from left to right, which hears what is there when it comes to it."""
    notes, known, sampling = _gaps(desk, codes, open_, frame, key, replace(chorale.WRITING, ranges=ranges))
    model = desk.model(composers.CHORALE)
    return _numbers(chorale.write(model, notes, known, desk.generator, sampling, desk.step(stage)))


def _gaps(
    desk: Desk, codes: Codes, open_: NDArray[np.bool_], frame: Frame, key: Key, usual: chorale.Sampling
) -> tuple[torch.Tensor, chorale.Frame, chorale.Sampling]:
    notes = torch.from_numpy(np.where(open_, HIDDEN, codes))
    known = chorale.frame(frame.length, frame.pickup, frame.bar, grids.key_number(key))
    return notes, known, replace(usual, temperature=desk.request.temperature or usual.temperature)


def _numbers(notes: torch.Tensor) -> Codes:
    found: Codes = notes.numpy()
    return found


# --- a melody for four voices -----------------------------------------------------------------------------------------


def harmonize(desk: Desk) -> tuple[Score, ...]:
    """The melody of a piece, note for note, with three voices under it."""
    return _set(desk, sources.melody(desk.source), lambda codes, frame: None)


def restyle(desk: Desk) -> tuple[Score, ...]:
    """A piece for four voices: its melody note for note, its bass where a half bar begins, all else written anew."""
    source = desk.source
    tune = sources.melody(source)
    others = [note for part in sources.parts(source) for note in source.of(part) if note not in tune.notes]
    desk.note("kept: the melody, and the bass at the beginnings of half bars" if others else "kept: the melody")

    def keep(codes: Codes, frame: Frame) -> None:
        low, high = grids.RANGES[3]
        half = max(1, frame.bar // 2)
        for step in range(frame.pickup % half, frame.length, half):
            sounding = [note.pitch for note in others if note.onset <= step * STEP < note.end]
            if sounding:
                bass = min(sounding)
                same = (pitch for pitch in range(low, high + 1) if (pitch - bass) % 12 == 0)
                codes[step, 3] = min(same, key=lambda pitch: abs(pitch - bass)) - LOW + 1

    return _set(desk, tune, keep)


def _set(desk: Desk, tune: sources.Melody, keep: Callable[[Codes, Frame], None]) -> tuple[Score, ...]:
    """The melody with three voices under it. keep: writes what else is to stay into (T, 4) codes, HIDDEN elsewhere."""
    source = desk.source
    shift, told = sources.singable(tune.notes)
    for remark in (tune.remark, told):
        if remark:
            desk.note(remark)
    line = tuple(replace(note, pitch=note.pitch + shift, part=0) for note in tune.notes)
    end = max(note.end for note in line)
    frame = Frame.of(source, end)
    key = _key(desk, source, tune.notes, shift)
    codes = np.full((frame.length, len(VOICES)), HIDDEN, dtype=np.int64)
    codes[:, 0] = grids.codes(sources.laid([line], frame.length))[:, 0]
    _cadence(codes, line[-1], key)
    keep(codes, frame)
    open_ = codes == HIDDEN
    name = source.parts[tune.notes[0].part].name or VOICES[0]
    parts = (Part(name, CHOIR), *(Part(voice, CHOIR) for voice in VOICES[1:]))

    def draw() -> list[Score]:
        filled = _follow(desk, np.repeat(codes[None], FILLED, 0), open_, frame, key, "harmonising")
        found = []
        for one in filled:
            pitches = grids.pitches_of(one)
            held = grids.struck(pitches, frame.pickup, frame.bar)
            under = [
                note for v in (1, 2, 3)
                for note in sources.struck_notes(pitches[:, v], held[:, v], np.ones(frame.length, np.bool_), v)
            ]  # fmt: skip
            under = [replace(n, duration=min(n.end, end) - n.onset) for n in under if n.onset < end]
            moved = source.transposed(shift) if shift else source
            found.append(replace(moved, notes=(*line, *under), parts=parts, chords=(), length=ZERO))
        return sorted(found, key=lambda score: _faults(score, key))

    made = desk.drawn(draw, lambda score: False, "settings")
    return tuple(_named(desk, score, key, desk.source.title or "Chorale") for score in made)


def _cadence(codes: Codes, last: Note, key: Key) -> None:
    """Puts the tonic in the bass under the melody's last note where that is of the tonic chord. codes (T, 4)."""
    tonic = grids.key_number(key) % 12
    tones = TONIC_CHORDS[grids.key_number(key) >= 12]
    if (last.pitch - tonic) % 12 in tones:
        codes[max(round(last.onset / STEP), len(codes) - CLOSE) :, 3] = _last_bass(key)


def _key(desk: Desk, score: Score, notes: Sequence[Note], shift: int = 0) -> Key:
    """The key that was asked for, of the piece as it was given; else its own."""
    key = desk.key if desk.request.key else sources.key(score, notes)
    if not shift:
        return key
    from danqing.artwork import pitches

    return replace(key, tonic=pitches.moved(key.tonic, shift, key.mode))


def _named(desk: Desk, score: Score, key: Key, title: str) -> Score:
    keys = score.keys if score.keys and not desk.request.key else (key,)
    return desk.with_tempo(replace(score, title=title, keys=keys))


# --- pieces that are there --------------------------------------------------------------------------------------------


def continue_(desk: Desk) -> tuple[Score, ...]:
    """The piece, and after it more bars that end it."""
    source = desk.source
    lines = _all_four(sources.voices(source))
    bar = sources.meter(source).bar
    end = Fraction(-(-max(note.end for note in source.notes) // STEP)) * STEP
    frame = Frame.of(source, end + (desk.request.bars or 8) * bar)
    key = _key(desk, source, source.notes)
    shift = sources.octaves(lines)
    past = int(end / STEP)
    codes = np.full((frame.length, len(VOICES)), HIDDEN, dtype=np.int64)
    codes[:past] = grids.codes(sources.laid(lines, past, shift))
    codes[-CLOSE:, 3] = _last_bass(key)
    start = max(0, (past - CONTEXT - frame.pickup) // frame.bar * frame.bar + frame.pickup)
    cut = Frame(frame.length - start, frame.pickup if not start else 0, frame.bar)
    model = desk.model(composers.CHORALE)
    sampling = replace(chorale.WRITING, temperature=desk.request.temperature or chorale.WRITING.temperature)
    given = torch.from_numpy(codes[start:])[None].repeat(DRAFTS, 1, 1)
    fresh = np.zeros((frame.length, len(VOICES)), np.bool_)
    fresh[past:, [voice for voice, line in enumerate(lines) if line]] = True  # as many voices as it has

    def draw() -> list[Score]:
        written = _write(desk, model, given, cut, key, sampling, "going on").numpy()
        found = []
        for one in _at_home(written, key):
            grid = _ended(desk, one, cut, key, past - start)
            pitches = np.concatenate([np.full((start, 4), SILENCE, np.int16), grid.pitches])
            held = np.concatenate([np.zeros((start, 4), np.bool_), grid.held])
            found.append(_joined(source, lines, pitches, held, fresh, shift))
        return sorted(found, key=lambda score: _faults_of(score, key))

    def copied(score: Score) -> bool:
        return desk.copied(sources.melody(score).notes, bar, since=end) is not None

    made = desk.drawn(draw, copied, "continuations")
    return tuple(desk.with_tempo(replace(score, title=score.title or f"Chorale in {key}")) for score in made)


def infill(desk: Desk) -> tuple[Score, ...]:
    """The piece with the notes that lie wholly inside some bars written anew; every other note stays as it is."""
    source = desk.source
    first, last = desk.request.range
    start, stop = sources.bar_span(source, first, last)
    lines = sources.voices(source)
    frame = Frame.of(source, source.length)
    key = _key(desk, source, source.notes)
    kept = [tuple(n for n in line if n.onset < start or n.end > stop) for line in lines]
    shift = sources.octaves(lines)
    open_ = np.zeros((frame.length, len(VOICES)), np.bool_)
    steps = slice(-(-start // STEP), int(stop // STEP))
    order = _places(len(lines))
    open_[steps, order] = True
    spread: list[Sequence[Note]] = [()] * len(VOICES)
    for voice, line in zip(order, kept, strict=True):
        spread[voice] = line
        for note in line:
            a, b = sources.reach(note)
            open_[a:b, voice] = False
    if not open_.any():
        raise BadRequest(
            f"--bars-range is {desk.request.bars_range}, and notes from outside sound through all of it; give more bars"
        )
    codes = grids.codes(sources.laid(spread, frame.length, shift))
    absent = [v for v in range(len(VOICES)) if v not in order]
    hidden = open_.copy()
    hidden[:, absent] = True  # voices that the piece has not are thought of, not written
    ranges = _ranges(lines, order, shift)

    def draw() -> list[Score]:
        filled = _fill(desk, np.repeat(codes[None], FILLED, 0), hidden, frame, key, "filling", ranges)
        found = []
        for one in filled:
            pitches = grids.pitches_of(one)
            held = grids.struck(pitches, frame.pickup, frame.bar)
            held[1:] &= open_[:-1]
            found.append(_joined(source, spread, pitches, held, open_, shift))
        return sorted(found, key=lambda score: _faults_of(score, key))

    def copied(score: Score) -> bool:
        new = [note for note in score.between(start, stop) if note not in source.notes]
        return desk.copied(theory.skyline(new), sources.meter(source).bar) is not None

    return tuple(desk.with_tempo(score) for score in desk.drawn(draw, copied, "fillings"))


def _all_four(lines: Sequence[Line]) -> list[Line]:
    """Four lines, those that are missing empty: what the writer goes on from has all voices, silent ones too."""
    found: list[Line] = [()] * len(VOICES)
    for voice, line in zip(_places(len(lines)), lines, strict=True):
        found[voice] = line
    return found


def _places(count: int) -> list[int]:
    """Which voices so many lines are: the outer ones first."""
    return {1: [0], 2: [0, 3], 3: [0, 1, 3], 4: [0, 1, 2, 3]}[count]


def _ranges(lines: Sequence[Line], order: Sequence[int], shift: int) -> Ranges:
    """What each voice may sing: a choir's range, and what its line covers anyway."""
    found = list(grids.RANGES)
    for voice, line in zip(order, lines, strict=True):
        pitches = [sources.folded(note.pitch + shift) for note in line]
        if not pitches:
            continue
        choir = grids.RANGES[voice]
        low, high = max(LOW, min(pitches) - 2), min(HIGH, max(pitches) + 2)
        inside = choir[0] <= min(pitches) and max(pitches) <= choir[1]
        found[voice] = choir if inside else (min(low, high - 7), max(high, low + 7))
    return tuple((max(LOW, low), min(HIGH, high)) for low, high in found)


def _joined(
    source: Score,
    lines: Sequence[Sequence[Note]],
    pitches: NDArray[np.int16],
    held: NDArray[np.bool_],
    open_: NDArray[np.bool_],
    shift: int,
) -> Score:
    """The piece's own notes that are in `lines`, and new ones in the open steps of each voice."""
    notes: list[Note] = [note for line in lines for note in line]
    sounding = sources.parts(source)
    for voice, line in enumerate(lines):
        like = line[-1] if line else None
        part = like.part if like else sounding[min(voice, len(sounding) - 1)]
        new = sources.struck_notes(pitches[:, voice], held[:, voice], open_[:, voice], part, like)
        notes += [replace(note, pitch=note.pitch - shift) for note in new]
    drums = [note for note in source.notes if source.parts[note.part].drums]
    return replace(source, notes=(*notes, *drums))


def _faults_of(score: Score, key: Key) -> float:
    """As `_faults`, for pieces of any number of voices; 0 where there are not four."""
    lines = [score.of(i) for i in sources.parts(score)]
    if len(lines) != len(VOICES):
        return 0.0
    bars = score.bars()
    lines.sort(key=lambda line: -sum(note.pitch for note in line) / len(line))
    return len(counterpoint.judge(lines, bars, [key], bool(score.pickup)).faults) / max(1, len(bars) - 1)
