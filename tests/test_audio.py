import os

import numpy as np
import pytest
import soundfile
import torch

from repro import audio
from repro.audio import load
from repro.errors import ReproError


def tone(rate: int, seconds: float = 1.0, hertz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)


@pytest.mark.parametrize("rate", [8_000, 11_127, 16_000, 22_050, 44_100, 48_000])
def test_any_rate_becomes_16_khz_with_the_same_tone(tmp_path, rate):
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(rate, 0.7503), rate, subtype="FLOAT")
    waveform = load(path)
    frames = round(rate * 0.7503)
    assert waveform.dtype == torch.float32
    assert waveform.shape == (-(-frames * 16_000 // rate),)
    want = tone(16_000, len(waveform) / 16_000)
    middle = slice(800, -800)  # the filter rings at both ends
    assert np.abs(waveform.numpy()[middle] - want[middle]).max() < 5e-3


@pytest.mark.parametrize("frames", [200_101, 441 * 2**17 + 1])
def test_the_last_sample_is_kept_where_float32_would_round_it_away(tmp_path, frames):
    path = tmp_path / "long.wav"
    soundfile.write(path, np.full(frames, 0.5, np.float32), 44_100, subtype="PCM_16")
    waveform = load(path)
    assert len(waveform) == -(-frames * 16_000 // 44_100)
    assert waveform[-1] != 0


def test_many_channels_are_read_in_blocks_and_no_reason_to_refuse(tmp_path, monkeypatch):
    path = tmp_path / "many.wav"
    values = np.random.default_rng(0).uniform(-1, 1, (2_000, 6)).astype(np.float32)
    soundfile.write(path, values, 16_000, subtype="FLOAT")
    monkeypatch.setattr(audio, "LARGEST", 2_000)
    monkeypatch.setattr(audio, "BLOCK", 999)
    np.testing.assert_allclose(load(path).numpy(), values.mean(axis=1), atol=1e-6)
    soundfile.write(path, values, 8_000, subtype="FLOAT")
    with pytest.raises(ReproError, match=r"up to 0\.0 are read at 8000 Hz: .*cut it into pieces"):
        load(path)


def test_an_hour_of_a_cd_is_not_too_long(tmp_path):
    path = tmp_path / "hour.wav"
    soundfile.write(path, np.zeros((1, 2)), 44_100, subtype="PCM_16")
    head = path.read_bytes()[:44]
    for minutes in (60, 80):
        size = minutes * 60 * 44_100 * 4
        path.write_bytes(head[:40] + size.to_bytes(4, "little"))
        os.truncate(path, 44 + size)  # most file systems store the header only
        if minutes == 60:
            assert audio.length(path) == 60 * 60 * 16_000
    with pytest.raises(ReproError, match=r"80\.0 minutes .* up to 75\.6 are read at 44100 Hz"):
        audio.length(path)


def test_channels_that_cancel_each_other_and_silence_are_told(tmp_path):
    path = tmp_path / "x.wav"
    for values, fault in (
        (np.stack([tone(16_000), -tone(16_000)], axis=1), "its channels cancel each other"),
        (np.full((9_000, 2), 0.25), "silent"),
        (np.zeros(1), "silent"),
    ):
        soundfile.write(path, values, 16_000)
        [told] = audio.read(path).faults
        assert told.startswith(fault)
    soundfile.write(path, np.stack([tone(16_000), -0.9 * tone(16_000)], axis=1), 16_000)
    assert audio.read(path).faults == []


def test_a_16_khz_file_is_read_as_it_is(tmp_path):
    path = tmp_path / "float.wav"
    values = tone(16_000).astype(np.float32)
    soundfile.write(path, values, 16_000, subtype="FLOAT")
    np.testing.assert_array_equal(load(str(path)).numpy(), values)


def test_a_format_that_is_not_read_is_to_be_converted(tmp_path):
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    with pytest.raises(
        ReproError, match=r"a\.m4a: not a readable .*; replace it, or convert it to WAV$"
    ):
        audio.read(tmp_path / "a.m4a")
