from __future__ import annotations

import io
import struct
import time
import wave

import numpy as np
import pytest
from tunes import ORIGIN, F, band, quartet, song

from danqing.artwork import audio
from danqing.artwork.music import ZERO, Note, Part, Score, Tempo
from danqing.errors import BadRequest, InvalidMedia, OutputExists, Unavailable

PROGRAMS = (0, 4, 6, 11, 19, 24, 33, 40, 46, 48, 52, 56, 68, 73, 90)


def _one(pitch: int, program: int, quarters: int = 2, velocity: int = 80) -> Score:
    return Score((Note(ZERO, pitch, F(quarters), 0, velocity),), (Part("", program),))


def _cents(samples: np.ndarray, wanted: float) -> float:
    """How far the partial nearest to `wanted` Hz lies from it, in cents; by the peak of a padded spectrum."""
    mono = samples.mean(axis=1)[: 2 * audio.RATE // 2 * 1]
    size = 2**19
    spectrum = np.abs(np.fft.rfft(mono * np.hanning(len(mono)), size))
    hertz = np.fft.rfftfreq(size, 1 / audio.RATE)
    near = (hertz > wanted / 1.04) & (hertz < wanted * 1.04)
    return 1200 * np.log2(hertz[near][spectrum[near].argmax()] / wanted)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_instrument_is_in_tune_and_clean(program):
    for pitch in (45, 60, 76):
        samples = audio.render(_one(pitch, program))
        assert samples.dtype == np.float32
        assert np.isfinite(samples).all()
        assert np.abs(samples).max() == pytest.approx(audio.PEAK, abs=1e-3)
        assert np.abs(samples.mean(axis=0)).max() < 1e-3
        assert np.abs(samples[:4]).max() < 0.02  # no click at the front
        assert np.abs(samples[-200:]).max() < 1e-3  # nor at the end
        assert abs(_cents(samples, 440 * 2 ** ((pitch - 69) / 12))) < 12


def test_a_chord_has_its_partials_and_falls_silent():
    notes = tuple(Note(ZERO, pitch, F(2)) for pitch in (60, 64, 67))
    samples = audio.render(Score(notes))
    for pitch in (60, 64, 67):
        assert abs(_cents(samples, 440 * 2 ** ((pitch - 69) / 12))) < 6
    loud = [float(np.sqrt((piece**2).mean())) for piece in np.array_split(samples, 12)]
    assert loud[0] > 3 * loud[3] > 0
    assert loud[-1] < 0.002


def test_loud_notes_are_louder_and_brighter():
    def brightness(velocity: int) -> float:
        spectrum = np.abs(np.fft.rfft(audio.render(_one(60, 0, velocity=velocity)).mean(axis=1)[:22050]))
        return float((spectrum * np.arange(len(spectrum))).sum() / spectrum.sum())

    assert brightness(110) > 1.1 * brightness(40)
    notes = (Note(ZERO, 60, F(2), 0, 110), Note(F(8), 60, F(2), 0, 40))
    samples = audio.render(Score(notes))
    early, late = samples[: audio.RATE], samples[4 * audio.RATE : 5 * audio.RATE]
    assert (early**2).mean() > 3 * (late**2).mean()


def test_parts_stand_side_by_side():
    notes = (Note(ZERO, 72, F(1), 0), Note(F(8), 72, F(1), 1))
    samples = audio.render(Score(notes, (Part("", 0), Part("", 0))))
    left, right = (samples[: audio.RATE] ** 2).mean(axis=0)
    assert left > 1.5 * right
    left, right = (samples[4 * audio.RATE : 5 * audio.RATE] ** 2).mean(axis=0)
    assert right > 1.5 * left


def test_the_same_score_sounds_the_same_and_takes_little_time():
    score = quartet()
    first = audio.render(score)
    begin = time.process_time()
    again = audio.render(score)
    spent = time.process_time() - begin
    assert np.array_equal(first, again)
    assert spent < len(first) / audio.RATE / 5  # 40 times faster than real time on a free core


def test_a_tempo_change_moves_what_follows():
    notes = (Note(ZERO, 60, F(1)), Note(F(4), 60, F(1)))
    score = Score(notes, tempos=(Tempo(ZERO, 60.0), Tempo(F(2), 240.0)))
    assert len(audio.render(score)) == pytest.approx((2 + 0.75 + audio.TAIL_S) * audio.RATE, abs=3)


def test_drums_ring():
    assert np.abs(audio.render(band())).max() == pytest.approx(audio.PEAK, abs=1e-3)
    hits = tuple(Note(F(n), pitch, F(1, 8)) for n, pitch in enumerate(range(35, 82)))
    assert np.isfinite(audio.render(Score(hits, (Part("Kit", 0, True),)))).all()


@pytest.mark.parametrize("suffix", audio.SUFFIXES)
def test_a_file_carries_sound_and_origin(suffix, tmp_path):
    path = tmp_path / f"song{suffix}"
    audio.save(song(), path, ORIGIN)
    data = path.read_bytes()
    assert audio.provenance(data) == ORIGIN
    import soundfile

    heard, rate = soundfile.read(io.BytesIO(data))
    assert rate == audio.RATE
    seconds = song().seconds(song().length) + audio.TAIL_S
    assert len(heard) / rate == pytest.approx(seconds, abs=0.1)
    assert 0.8 < np.abs(heard).max() <= 1.0
    with pytest.raises(OutputExists):
        audio.save(song(), path, ORIGIN)


def test_python_reads_the_wav():
    data = audio.encode(np.zeros((100, 2), np.float32), ".wav", ORIGIN, title="Odd", artist="N")
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, audio.RATE, 100)
    assert b"INAM" in data
    assert int.from_bytes(data[4:8], "little") == len(data) - 8


def test_what_cannot_be_heard_is_refused(tmp_path):
    with pytest.raises(BadRequest, match="no notes"):
        audio.render(Score(()))
    with pytest.raises(BadRequest, match="minutes"):
        audio.render(Score((Note(F(9000), 60, F(1)),)))
    with pytest.raises(BadRequest, match="mp3"):
        audio.encode(np.zeros((1, 2), np.float32), ".ogg")
    fake = tmp_path / "a.sf2"
    fake.write_bytes(b"RIFFxxxxWAVE")
    with pytest.raises((InvalidMedia, Unavailable)):
        audio.render(song(), soundfont=fake)


def _chunk(name, data):
    return name + len(data).to_bytes(4, "little") + data + b"\0" * (len(data) % 2)


def _list(kind, *chunks):
    return _chunk(b"LIST", kind + b"".join(chunks))


def _soundfont():
    """A whole soundfont of one preset, one instrument and one looped second of a sine at middle C."""
    wave_ = (np.sin(2 * np.pi * 261.63 * np.arange(audio.RATE) / audio.RATE) * 20000).astype("<i2").tobytes()
    shdr = struct.pack("<20s5IBbHH", b"sine", 0, audio.RATE, 169, audio.RATE - 169, audio.RATE, 60, 0, 0, 1)
    shdr += struct.pack("<20s5IBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0)
    phdr = struct.pack("<20sHHHIII", b"sine", 0, 0, 0, 0, 0, 0) + struct.pack("<20sHHHIII", b"EOP", 0, 0, 1, 0, 0, 0)
    inst = struct.pack("<20sH", b"sine", 0) + struct.pack("<20sH", b"EOI", 1)
    pgen = struct.pack("<HH", 41, 0) + struct.pack("<HH", 0, 0)  # the instrument
    igen = struct.pack("<HH", 54, 1) + struct.pack("<HH", 53, 0) + struct.pack("<HH", 0, 0)  # looped; the sample
    empty = struct.pack("<HHhHH", 0, 0, 0, 0, 0)
    info = _list(b"INFO", _chunk(b"ifil", struct.pack("<HH", 2, 1)), _chunk(b"INAM", b"Tiny\0\0"))
    samples = _list(b"sdta", _chunk(b"smpl", wave_ + bytes(92)))
    parts = {
        b"phdr": phdr, b"pbag": struct.pack("<4H", 0, 0, 1, 0), b"pmod": empty, b"pgen": pgen,
        b"inst": inst, b"ibag": struct.pack("<4H", 0, 0, 2, 0), b"imod": empty, b"igen": igen, b"shdr": shdr,
    }  # fmt: skip
    presets = _list(b"pdta", *(_chunk(name, data) for name, data in parts.items()))
    return _chunk(b"RIFF", b"sfbk" + info + samples + presets)


def test_a_soundfont_plays_the_notes_at_their_times_and_pitches(tmp_path):
    pytest.importorskip("tinysoundfont", reason="pip install --no-deps tinysoundfont")
    font = tmp_path / "tiny.sf2"
    font.write_bytes(_soundfont())
    score = Score((Note(F(1), 60, F(1)), Note(F(2), 72, F(1))), tempos=(Tempo(ZERO, 60.0),))
    heard = audio.render(score, soundfont=font)
    assert heard.shape[1] == 2
    assert heard.dtype == np.float32
    assert np.abs(heard).max() == pytest.approx(audio.PEAK, abs=1e-3)
    assert not np.abs(heard[: audio.RATE - 100]).max() > 1e-4, "silence before the first note"
    for second, hertz in ((1, 261.63), (2, 523.25)):
        cut = heard[int((second + 0.2) * audio.RATE) : int((second + 0.8) * audio.RATE), 0]
        peak = np.abs(np.fft.rfft(cut * np.hanning(len(cut)))).argmax() * audio.RATE / len(cut)
        assert peak == pytest.approx(hertz, abs=2)
    assert np.array_equal(audio.render(score, soundfont=font), heard)
    font.write_bytes(_soundfont()[:-300])
    with pytest.raises(InvalidMedia, match="damaged"):
        audio.render(score, soundfont=font)
