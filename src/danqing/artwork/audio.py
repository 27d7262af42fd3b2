"""A score as sound: a small synthesiser in numpy, and the player of a person's own soundfont.

Each instrument is a function from a pitch and a loudness to a waveform: pianos are inharmonic partials with two-stage
decay and a hammer's noise (after Fletcher & Rossing 1998, "The Physics of Musical Instruments", ch. 12), plucked
strings are Karplus & Strong 1983 with the tuning of Jaffe & Smith 1983, bowed, blown and sung tones are band-limited
wavetables with vibrato and slightly detuned doubles, drums are sweeps and shaped noise. A wave is made once for each
pitch and loudness of a part and cut for each note, so that a four-part piece takes a fraction of its length. A room
(noise that decays, convolved) goes around it; the loudest sample is at PEAK.

Samples are float32 in [−1, 1], shape (T, 2), left and right. The same score gives the same samples.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from danqing.artwork import files
from danqing.artwork import provenance as origin
from danqing.artwork.music import Note, Score
from danqing.artwork.provenance import Provenance
from danqing.errors import BadRequest, InvalidMedia, Unavailable

Wave = NDArray[np.float32]

SUFFIXES = (".wav", ".mp3")
RATE = 44_100  # samples a second
PEAK = 0.89  # −1 dB below full scale
TAIL_S = 2.5  # what rings on after the last note
MAX_S = 1800.0  # half an hour
MAX_SOUNDFONT = 2 * 2**30
LOUDNESSES = (40, 64, 84, 104)  # velocities that waves are made for
LEVEL = 0.25  # of one note at full velocity, before the mix is normalised
WET = 0.16  # the room's share
ROOM_S = 1.7  # until the room has decayed by 60 dB
TABLE = 2048  # samples of a wavetable


@dataclass(frozen=True)
class Voice:
    """How an instrument's waves are cut into notes."""

    make: Callable[[float, float, float], Wave]  # (Hz, loudness 0 to 1, seconds) → wave
    attack_s: float
    release_s: float
    gain: float = 1.0
    rings: bool = False  # sounds on after the key is up, as a drum does


def render(score: Score, *, soundfont: Path | None = None) -> Wave:
    """The score as (T, 2) samples at RATE. Raises BadRequest for pieces over MAX_S or without notes.

    soundfont: an .sf2 or .sf3 file to play it with; raises Unavailable without tinysoundfont, InvalidMedia for others.
    """
    if not score.notes:
        raise BadRequest("the score holds no notes; there is nothing to hear")
    score = score.played()
    seconds = score.seconds(score.length)
    if seconds > MAX_S:
        raise BadRequest(f"the score lasts {seconds / 60:.0f} minutes; up to {MAX_S / 60:.0f} are rendered")
    if soundfont is not None:
        return _normalised(_from_soundfont(score, soundfont))
    dry = np.zeros((int((seconds + TAIL_S) * RATE) + 1, 2), np.float32)
    times = _clock(score)
    for number in range(len(score.parts)):
        _play(score, number, times, dry)
    return _normalised(_in_a_room(dry))


def encode(
    samples: Wave, suffix: str, provenance: Provenance | None = None, *, title: str = "", artist: str = ""
) -> bytes:
    """Samples (T, 2) float32 in [−1, 1] as the bytes of a .wav (16 bits) or .mp3 (VBR), provenance inside."""
    suffix = output_format(Path("sound" + suffix))
    if suffix == ".wav":
        return _wav(samples, provenance, title, artist)
    return _id3(provenance, title, artist) + _mp3(samples)


def save(
    score: Score, path: str | Path, provenance: Provenance, *, soundfont: Path | None = None, force: bool = False
) -> None:
    """Renders the score to a .wav or .mp3 file; raises as `render` and `files.write` do."""
    path = Path(path)
    suffix = output_format(path)
    files.check_output(path, force=force)
    samples = render(score, soundfont=soundfont)
    files.write(encode(samples, suffix, provenance, title=score.title, artist=score.composer), path, force=force)


def output_format(path: Path) -> str:
    """The suffix of a file to write sound to; raises BadRequest for one that we do not write."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise BadRequest(f"{path} ends in {path.suffix or 'no suffix'!r}; sound is written as {', '.join(SUFFIXES)}")
    return suffix


# --- the mix ----------------------------------------------------------------------------------------------------------


def _clock(score: Score) -> Callable[[Fraction], int]:
    """Quarter notes → samples; each time is asked for often."""
    return lru_cache(None)(lambda onset: round(score.seconds(onset) * RATE))


def _play(score: Score, number: int, times: Callable[[Fraction], int], out: Wave) -> None:
    """Adds one part to the mix."""
    part, notes = score.parts[number], score.of(number)
    voice = instrument(part.program)
    spread = (number / (len(score.parts) - 1) - 0.5) * 0.9 if len(score.parts) > 1 else 0.0
    groups: dict[tuple[int, int], list[Note]] = {}
    for note in notes:
        groups.setdefault((note.pitch, int(np.argmin([abs(note.velocity - v) for v in LOUDNESSES]))), []).append(note)
    for (pitch, layer), same in groups.items():
        if part.drums:
            voice = drum(pitch)
        lengths = [times(note.end) - times(note.onset) for note in same]
        release = int(voice.release_s * RATE)
        longest = (max(lengths) + release) / RATE
        hertz = 440.0 * 2 ** ((pitch - 69) / 12)
        wave = voice.make(hertz, LOUDNESSES[layer] / 127, longest)
        pan = spread + (0.0 if len(score.parts) > 1 else (pitch - 62) / 62 * 0.35)
        angle = (min(max(pan, -1.0), 1.0) + 1) * np.pi / 4
        sides = np.array([np.cos(angle), np.sin(angle)], np.float32)
        for note, length in zip(same, lengths, strict=True):
            loud = LEVEL * voice.gain * (note.velocity / 100) ** 1.6
            _add(out, wave, (times(note.onset), length), voice, loud * sides)


def _add(out: Wave, wave: Wave, when: tuple[int, int], voice: Voice, sides: Wave) -> None:
    """Cuts one note out of a wave: attack at its front, release at its end, no step anywhere."""
    start, length = when
    release = int(voice.release_s * RATE)
    whole = len(wave) if voice.rings else min(length + release, len(wave))
    whole = min(whole, len(out) - start)
    if whole <= 0:
        return
    note = wave[:whole].copy()
    attack = min(max(int(voice.attack_s * RATE), 8), whole)
    note[:attack] *= _rise(attack)
    if not voice.rings:
        fade = min(release, whole)
        note[whole - fade :] *= _fall(fade)
    note[-min(64, whole) :] *= _fall(min(64, whole))
    out[start : start + whole] += note[:, None] * sides


@lru_cache(256)
def _rise(count: int) -> Wave:
    rise: Wave = (0.5 - 0.5 * np.cos(np.linspace(0, np.pi, count))).astype(np.float32)
    return rise


@lru_cache(256)
def _fall(count: int) -> Wave:
    """A release: exponential, brought to nothing at its end."""
    place = np.linspace(0, 1, count)
    return (np.exp(-5 * place) * (1 - place)).astype(np.float32)


def _in_a_room(dry: Wave) -> Wave:
    from scipy.signal import oaconvolve

    room = _room()
    wet = np.stack([oaconvolve(dry[:, side], room[:, side])[: len(dry)] for side in (0, 1)], axis=1)
    loud = float(np.sqrt(np.mean(dry**2))) / max(float(np.sqrt(np.mean(wet**2))), 1e-9)
    mix: Wave = (dry + WET * 2 * loud * wet).astype(np.float32)
    return mix


@lru_cache(1)
def _room() -> Wave:
    """An impulse response: a few early reflections, then noise that decays and loses its treble. (T, 2)"""
    from scipy.signal import lfilter

    chance = np.random.default_rng(60)
    count = int(ROOM_S * RATE)
    time = np.arange(count) / RATE
    noise = chance.standard_normal((count, 2))
    bright = noise * np.exp(-time * 6.9 / (0.45 * ROOM_S))[:, None]
    dark = lfilter([0.12], [1, -0.88], noise, axis=0) * 2.2 * np.exp(-time * 6.9 / ROOM_S)[:, None]
    tail = 0.35 * bright + dark
    tail[: int(0.018 * RATE)] = 0
    tail[int(0.018 * RATE) : int(0.03 * RATE)] *= np.linspace(0, 1, int(0.03 * RATE) - int(0.018 * RATE))[:, None]
    for delay, loud in ((0.011, 5.0), (0.017, 4.0), (0.023, 3.2), (0.031, 2.4), (0.043, 1.8)):
        for side in (0, 1):
            tail[int((delay + 0.0013 * side) * RATE), side] += loud * (1 if (side + int(delay * 1000)) % 2 else -1)
    room: Wave = (tail / np.sqrt(np.sum(tail**2))).astype(np.float32)
    return room


def _normalised(samples: Wave) -> Wave:
    """Without what lies below hearing, faded out at the end, the loudest sample at PEAK."""
    from scipy.signal import lfilter

    pole = float(np.exp(-2 * np.pi * 20 / RATE))
    mix = lfilter([1.0, -1.0], [1.0, -pole], samples.astype(np.float64), axis=0)
    fade = min(int(0.4 * RATE), len(mix))
    mix[len(mix) - fade :] *= np.linspace(1, 0, fade)[:, None] ** 2
    peak = float(np.max(np.abs(mix)))
    normalised: Wave = (mix * (PEAK / peak if peak > 0 else 1.0)).astype(np.float32)
    return normalised


# --- the instruments --------------------------------------------------------------------------------------------------


def instrument(program: int) -> Voice:
    """The instrument nearest to a General MIDI program, 0 to 127."""
    families = (
        (4, PIANO), (6, ELECTRIC_PIANO), (8, HARPSICHORD), (16, MALLETS), (24, ORGAN), (32, GUITAR), (40, BASS),
        (45, STRINGS), (47, HARP), (48, MALLETS), (52, STRINGS), (55, CHOIR), (64, BRASS), (72, REED), (80, FLUTE),
        (88, REED), (104, PAD), (112, GUITAR), (120, MALLETS), (128, PAD),
    )  # fmt: skip
    return next(voice for limit, voice in families if program < limit)


def _piano(hertz: float, loud: float, seconds: float) -> Wave:
    """Two strings a note, a few tenths of a cent apart; treble decays sooner, loud notes are brighter."""
    time = np.arange(int(seconds * RATE), dtype=np.float32) / np.float32(RATE)
    stiff = 0.00035 * (hertz / 262) ** 1.4
    longest = 13.0 * (hertz / 262) ** -0.75  # seconds until the first partial has lost 60 dB
    count = int(min(28, 11_000 / hertz))
    wave = np.zeros_like(time)
    bright = 900 + 4200 * loud**1.7
    for n in range(1, count + 1):
        tone = n * hertz * np.sqrt(1 + stiff * n * n)
        if tone > 0.42 * RATE:
            break
        struck = abs(np.sin(np.pi * n / 7.6)) + 0.12  # the hammer meets the string at an eighth
        level = struck / n**0.75 * np.exp(-tone / bright)
        if level < 2e-4:
            continue
        rate = 6.9 / (longest / (1 + 0.14 * (n - 1)))
        live = min(len(time), int(RATE * 8.5 / rate) + 1)  # what follows is below −70 dB
        t = time[:live]
        envelope = 0.68 * np.exp(-3.4 * rate * t) + 0.32 * np.exp(-rate * t)
        phase = np.float32(2 * np.pi * tone) * t
        beat = np.float32(2 * np.pi * 0.14 * (1 + 0.13 * n)) * t
        wave[:live] += level * envelope * (np.sin(phase) * (0.86 + 0.14 * np.cos(beat)))
    chance = np.random.default_rng(int(hertz))
    knock = min(len(time), int(0.05 * RATE))
    noise = np.cumsum(chance.standard_normal(knock)) * np.exp(-np.arange(knock) / (0.006 * RATE))
    wave[:knock] += (0.0035 + 0.012 * loud**2) * (noise - noise.mean()).astype(np.float32)
    return _even(wave)


def _electric_piano(hertz: float, loud: float, seconds: float) -> Wave:
    """Frequency modulation with a fading index, after Chowning 1973, and a tine an octave and more above."""
    time = np.arange(int(seconds * RATE)) / RATE
    index = (0.4 + 2.2 * loud) * np.exp(-time * 3.0)
    body = np.sin(2 * np.pi * hertz * time + index * np.sin(2 * np.pi * hertz * time))
    tine = 0.22 * loud * np.sin(2 * np.pi * 14 * hertz * time) * np.exp(-time * 14) if 14 * hertz < RATE / 2.2 else 0
    return _even((body * np.exp(-time * (0.7 + hertz / 900)) + tine).astype(np.float32))


def _plucked(hertz: float, loud: float, seconds: float, soft: float = 0.5, sustain_s: float = 4.0) -> Wave:
    """A noise burst in a loop of one period that loses treble at each turn; tuned by a second, all-pass-like tap."""
    from scipy.signal import lfilter

    count = int(seconds * RATE)
    period = RATE / hertz - soft  # the averaging below delays by `soft` of a sample
    whole = int(period)
    part = period - whole
    chance = np.random.default_rng(int(hertz * 7))
    burst = chance.uniform(-1, 1, whole)
    burst -= burst.mean()
    dull = np.exp(-2 * np.pi * (hertz * 2 + 500 + 3500 * loud) / RATE)  # a fingertip, twice
    for _ in range(2):
        burst = lfilter([1 - dull], [1, -dull], np.tile(burst, 3))[2 * whole :]
    at = max(1, int(0.18 * whole))  # plucked at a fifth: a comb
    burst = burst - 0.7 * np.roll(burst, at)
    driven = np.zeros(count)
    driven[: min(whole, count)] = (burst - burst.mean())[:count]
    loss = 10 ** (-3 / (hertz * sustain_s * (330 / max(hertz, 82)) ** 0.4))
    loop = np.zeros(whole + 3)
    for tap, share in ((0, (1 - soft) * (1 - part)), (1, (1 - soft) * part + soft * (1 - part)), (2, soft * part)):
        loop[whole + tap] = -loss * share
    loop[0] = 1.0
    return _even(lfilter([1.0], loop, driven).astype(np.float32))


def _bass(hertz: float, loud: float, seconds: float) -> Wave:
    time = np.arange(int(seconds * RATE)) / RATE
    bright = _cycle(hertz, tuple(1 / n**1.1 for n in range(1, 17)))
    dark = _cycle(hertz, (1.0, 0.35, 0.12, 0.04))
    phase = hertz * time
    edge = (0.35 + 0.5 * loud) * np.exp(-time * 7)
    wave = edge * _look(bright, phase) + (1 - 0.3 * edge) * _look(dark, phase)
    return _even((wave * (0.75 * np.exp(-time * 1.1) + 0.25 * np.exp(-time * 9))).astype(np.float32))


def _bell(hertz: float, loud: float, seconds: float) -> Wave:
    """A struck bar: partials at 1, 4, 9.9 (Fletcher & Rossing, ch. 19)."""
    time = np.arange(int(seconds * RATE)) / RATE
    wave = np.zeros_like(time)
    for ratio, level, speed in ((1, 1.0, 1.0), (3.93, 0.35 * loud + 0.08, 3.0), (9.54, 0.2 * loud, 8.0)):
        if ratio * hertz < 0.45 * RATE:
            wave += level * np.sin(2 * np.pi * ratio * hertz * time) * np.exp(-time * speed * (1.2 + hertz / 700))
    return _even(wave.astype(np.float32))


def _steady(shape: Callable[[int, float, float], float], doubles: int, vibrato: float, breath: float = 0.0) -> Any:
    """A tone that lasts: `shape(n, Hz of the partial, loudness)` is the level of each partial.

    doubles: how many players, a few cents apart; vibrato: depth in cents; breath: share of noise.
    """

    def make(hertz: float, loud: float, seconds: float) -> Wave:
        time = np.arange(int(seconds * RATE), dtype=np.float64) / RATE
        table = _cycle(hertz, tuple(shape(n, n * hertz, loud) for n in range(1, 41)))
        chance = np.random.default_rng(int(hertz * 3))
        wave = np.zeros(len(time), np.float32)
        for player in range(doubles):
            cents = 0.0 if doubles == 1 else (player / (doubles - 1) - 0.5) * 14
            speed, turn = 4.9 + 0.5 * player, chance.uniform(0, 1)
            swing = vibrato * (1 - np.exp(-time * 3)) / 1200 * np.log(2) / (2 * np.pi * speed)
            moved = time * 2 ** (cents / 1200) + swing * (np.sin(2 * np.pi * (speed * time + turn)))
            wave += _look(table, hertz * moved + chance.uniform(0, 1))
        if breath:
            noise = np.diff(chance.standard_normal(len(time) + 1)).astype(np.float32)
            wave += breath * noise * (0.5 + np.exp(-12 * time)).astype(np.float32) * float(np.std(wave))
        drift = 1 + 0.05 * np.sin(2 * np.pi * 0.7 * time + chance.uniform(0, 6))
        return _even((wave * drift).astype(np.float32))

    return make


@lru_cache(1024)
def _cycle(hertz: float, levels: tuple[float, ...]) -> Wave:
    """One period of a tone with these partials, those beyond hearing left out, plus its first sample again."""
    spectrum = np.zeros(TABLE // 2 + 1, np.complex128)
    for n, level in enumerate(levels, 1):
        if n * hertz < 0.45 * RATE:
            spectrum[n] = level * np.exp(2.4j * n * n)  # spread phases: no peak in the period
    cycle = np.fft.irfft(spectrum, TABLE)
    return np.append(cycle, cycle[0]).astype(np.float32)


def _look(table: Wave, phase: NDArray[np.float64]) -> Wave:
    """A wavetable at phases in periods, with linear interpolation."""
    place = (phase % 1.0) * TABLE
    index = place.astype(np.int32)
    between = (place - index).astype(np.float32)
    low = table[index]
    found: Wave = low + between * (table[index + 1] - low)
    return found


def _even(wave: Wave) -> Wave:
    """At a loudness that all instruments share: the RMS of the first 0.4 s, where a note is judged."""
    head = wave[: int(0.4 * RATE)]
    loud = float(np.sqrt(np.mean(head**2))) if len(head) else 0.0
    return (wave * (0.25 / loud)).astype(np.float32) if loud > 0 else wave


def _string_shape(n: int, tone: float, loud: float) -> float:
    body = 1 + 0.8 * np.exp(-(((tone - 500) / 300) ** 2)) + 0.5 * np.exp(-(((tone - 2600) / 900) ** 2))
    return float(body / n**1.15 * np.exp(-tone / (2500 + 5000 * loud)))


def _choir_shape(n: int, tone: float, loud: float) -> float:
    """An "ah" between "oh" and "ah": formants after Peterson & Barney 1952."""
    formants = ((620, 110, 1.0), (1080, 140, 0.5), (2600, 240, 0.09 + 0.1 * loud), (3200, 300, 0.05))
    voice = sum(level * np.exp(-(((tone - centre) / (2 * width)) ** 2)) for centre, width, level in formants)
    return float((voice + 0.05 * np.exp(-tone / 900)) / n**0.4 + (0.5 if n == 1 else 0.0))


def _organ_shape(n: int, tone: float, loud: float) -> float:
    stops = {1: 1.0, 2: 0.75, 3: 0.28, 4: 0.45, 6: 0.18, 8: 0.22, 12: 0.06, 16: 0.06}
    return stops.get(n, 0.02 / n) * float(np.exp(-tone / 9000))


def _brass_shape(n: int, tone: float, loud: float) -> float:
    return float(np.exp(-(((np.log(max(tone, 1) / 900)) / 1.3) ** 2)) * np.exp(-tone / (1200 + 4500 * loud**1.5)))


def _reed_shape(n: int, tone: float, loud: float) -> float:
    return float((1.0 if n % 2 else 0.35) / n**1.1 * np.exp(-tone / (2500 + 2500 * loud)))


def _flute_shape(n: int, tone: float, loud: float) -> float:
    return (1.0, 0.35 + 0.2 * loud, 0.12, 0.05, 0.02)[n - 1] if n <= 5 else 0.0


def _pad_shape(n: int, tone: float, loud: float) -> float:
    return float(1 / n**1.4 * np.exp(-tone / 2500))


PIANO = Voice(_piano, 0.002, 0.28, 1.25)
ELECTRIC_PIANO = Voice(_electric_piano, 0.003, 0.2)
HARPSICHORD = Voice(lambda hz, loud, s: _plucked(hz, 0.95, s, 0.28, 3.0), 0.001, 0.12, 0.85)
GUITAR = Voice(lambda hz, loud, s: _plucked(hz, loud, s), 0.001, 0.2)
HARP = Voice(lambda hz, loud, s: _plucked(hz, loud * 0.7, s, 0.5, 6.0), 0.002, 0.9)
BASS = Voice(_bass, 0.004, 0.12, 1.2)
MALLETS = Voice(_bell, 0.001, 0.7)
ORGAN = Voice(_steady(_organ_shape, 2, 2.0, 0.01), 0.03, 0.12, 0.75)
STRINGS = Voice(_steady(_string_shape, 3, 11.0, 0.015), 0.09, 0.28, 0.85)
CHOIR = Voice(_steady(_choir_shape, 4, 14.0, 0.02), 0.1, 0.3, 0.85)
BRASS = Voice(_steady(_brass_shape, 1, 6.0), 0.04, 0.12, 0.8)
REED = Voice(_steady(_reed_shape, 1, 7.0, 0.01), 0.035, 0.1, 0.75)
FLUTE = Voice(_steady(_flute_shape, 1, 10.0, 0.06), 0.05, 0.12, 0.8)
PAD = Voice(_steady(_pad_shape, 4, 8.0), 0.25, 0.6, 0.7)


def drum(pitch: int) -> Voice:
    """The drum of a General MIDI kit nearest to a key number."""
    if pitch in (35, 36):
        return _struck(2.0, _skin, 120.0, 47.0, 0.32, 0.03)
    if pitch in (37, 38, 39, 40):
        return _struck(1.1, _skin, 230.0, 180.0, 0.2, 0.75)
    if pitch in (42, 44, 54, 69, 70, 82):
        return _struck(0.4, _metal, 0.07, 7000.0)
    if pitch == 46:
        return _struck(0.45, _metal, 0.45, 6500.0)
    if pitch in (49, 51, 52, 53, 55, 57, 59):
        return _struck(0.5, _metal, 1.4, 4000.0)
    if 41 <= pitch <= 50:
        return _struck(1.3, _skin, 95.0 + 14 * (pitch - 41), 70.0 + 12 * (pitch - 41), 0.4, 0.08)
    return _struck(0.7, _skin, 500.0 + 20 * (pitch % 12), 420.0 + 20 * (pitch % 12), 0.12, 0.1)


def _struck(gain: float, make: Callable[..., Wave], *shape: float) -> Voice:
    """A drum: its wave is the same for every pitch and length, and rings out."""
    return Voice(lambda hertz, loud, seconds: make(*shape), 0.0005, 0.05, gain, rings=True)


@lru_cache(64)
def _skin(high: float, low: float, seconds: float, snares: float) -> Wave:
    """A tone that falls from high to low Hz, with a share of noise."""
    time = np.arange(int(seconds * 1.6 * RATE)) / RATE
    falling = low + (high - low) * np.exp(-time * 28)
    tone = np.sin(2 * np.pi * np.cumsum(falling) / RATE) * np.exp(-time * 6.9 / seconds)
    noise = np.random.default_rng(int(high)).standard_normal(len(time))
    rattle = np.diff(noise, prepend=0.0) * np.exp(-time * 9 / seconds)
    return _even(((1 - snares) * tone + 0.5 * snares * rattle).astype(np.float32))


@lru_cache(64)
def _metal(seconds: float, lowest: float) -> Wave:
    """Noise above `lowest` Hz: cymbals and hats."""
    from scipy.signal import butter, sosfilt

    time = np.arange(int(seconds * 1.5 * RATE)) / RATE
    noise = np.random.default_rng(int(lowest + 10 * seconds)).standard_normal(len(time))
    shaped = sosfilt(butter(3, lowest, "highpass", fs=RATE, output="sos"), noise)
    return _even((shaped * np.exp(-time * 6.9 / seconds)).astype(np.float32))


# --- soundfonts -------------------------------------------------------------------------------------------------------


def _from_soundfont(score: Score, path: Path) -> Wave:
    """The score played with a soundfont through tinysoundfont, with the room that the soundfont brings."""
    try:
        import tinysoundfont
    except ImportError:
        raise Unavailable(
            "a soundfont is played by tinysoundfont, which is not installed: pip install --no-deps tinysoundfont"
        ) from None
    data = files.read(path, max_bytes=MAX_SOUNDFONT)
    if data[:4] != b"RIFF" or data[8:12] != b"sfbk":
        raise InvalidMedia(f"{path} is no soundfont; soundfonts are .sf2 and .sf3")
    synth = tinysoundfont.Synth(samplerate=RATE)
    try:
        font = synth.sfload(data)
    except Exception as error:  # the C++ underneath raises what it likes
        raise InvalidMedia(f"{path} is a damaged soundfont: {str(error)[:80]}") from error
    events: list[tuple[int, int, int, int, int]] = []  # sample, 0 off or 1 on, channel, pitch, velocity
    channels = [channel for channel in range(16) if channel != 9]
    for number, part in enumerate(score.parts):
        channel = 9 if part.drums else channels[number % len(channels)]
        synth.program_select(channel, font, 128 if part.drums else 0, 0 if part.drums else part.program, part.drums)
        for note in score.of(number):
            start, stop = round(score.seconds(note.onset) * RATE), round(score.seconds(note.end) * RATE)
            events += [(start, 1, channel, note.pitch, note.velocity), (stop, 0, channel, note.pitch, 0)]
    pieces, here = [], 0
    for sample, on, channel, pitch, velocity in sorted(events):
        if sample > here:
            pieces.append(np.frombuffer(bytes(synth.generate(sample - here)), np.float32))
            here = sample
        if on:
            synth.noteon(channel, pitch, velocity)
        else:
            synth.noteoff(channel, pitch)
    pieces.append(np.frombuffer(bytes(synth.generate(int(TAIL_S * RATE))), np.float32))
    return np.concatenate(pieces).reshape(-1, 2)


# --- files ------------------------------------------------------------------------------------------------------------


def provenance(data: bytes) -> Provenance | None:
    """Ours in a .wav or .mp3; None where there is none."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        place = 12
        while place + 8 <= len(data):
            size = int.from_bytes(data[place + 4 : place + 8], "little")
            if data[place : place + 4] == b"_PMX":
                return origin.from_xmp(data[place + 8 : place + 8 + size])
            place += 8 + size + size % 2
        return None
    start = data.find(b"PRIV", 0, 65536)
    if data[:3] == b"ID3" and start > 0:
        size = _safe_size(data[start + 4 : start + 8])
        return origin.from_xmp(data[start + 10 + 4 : start + 10 + size])
    return None


def _wav(samples: Wave, provenance: Provenance | None, title: str, artist: str) -> bytes:
    """16-bit PCM with the words as an INFO list and the provenance as XMP, where Adobe's programs look for it."""
    chance = np.random.default_rng(16)
    dither = chance.random(samples.shape, np.float32) - chance.random(samples.shape, np.float32)
    levels = np.clip(np.rint(samples * 32767 + 0.5 * dither), -32768, 32767).astype("<i2")
    data = levels.tobytes()
    form = struct.pack("<HHIIHH", 1, samples.shape[1], RATE, RATE * 2 * samples.shape[1], 2 * samples.shape[1], 16)
    words = {b"INAM": title, b"IART": artist}
    if provenance is not None:
        words |= {b"ISFT": provenance.software, b"ICMT": provenance.source_type}
    info = b"INFO" + b"".join(
        _chunk(key, text.encode("utf-8", "replace") + b"\0") for key, text in words.items() if text
    )
    body = b"WAVE" + _chunk(b"fmt ", form) + (_chunk(b"LIST", info) if len(info) > 4 else b"")
    if provenance is not None:
        body += _chunk(b"_PMX", origin.to_xmp(provenance))
    return _chunk(b"RIFF", body + _chunk(b"data", data))


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + len(data).to_bytes(4, "little") + data + b"\0" * (len(data) % 2)


def _mp3(samples: Wave) -> bytes:
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, samples, RATE, format="MP3", subtype="MPEG_LAYER_III", compression_level=0.25)
    return out.getvalue()


def _id3(provenance: Provenance | None, title: str, artist: str) -> bytes:
    """An ID3v2.4 tag: title, artist, software, and the provenance as XMP in a private frame."""
    texts = {b"TIT2": title, b"TPE1": artist, b"TSSE": provenance.software if provenance else ""}
    frames = b"".join(_frame(key, b"\3" + text.encode("utf-8", "replace")) for key, text in texts.items() if text)
    if provenance is not None:
        frames += _frame(b"PRIV", b"XMP\0" + origin.to_xmp(provenance))
    return b"ID3\4\0\0" + _safe(len(frames)) + frames if frames else b""


def _frame(name: bytes, data: bytes) -> bytes:
    return name + _safe(len(data)) + b"\0\0" + data


def _safe(size: int) -> bytes:
    """A size in ID3's seven bits a byte."""
    return bytes((size >> shift) & 127 for shift in (21, 14, 7, 0))


def _safe_size(data: bytes) -> int:
    return sum((byte & 127) << shift for byte, shift in zip(data, (21, 14, 7, 0), strict=True))
