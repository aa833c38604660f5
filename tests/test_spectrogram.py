import math
from itertools import product
from typing import Any, get_args

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from repro import paper, spectrogram
from repro.config import FrontEnd, Scale

HOPS = (paper.TRAIN_HOP_SECONDS, paper.TEST_HOP_SECONDS)


def noise(samples: int, seed: int = 0) -> Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(seed)) / 10


def scipy_spectrogram(segment: np.ndarray, periodic: bool = False) -> np.ndarray:
    """The magnitudes [400, 200] of one segment, by scipy and from the segment alone."""
    window = scipy.signal.get_window("hamming", 640, fftbins=periodic)
    how = {"nperseg": 640, "noverlap": 480, "nfft": 1600, "boundary": "zeros", "padded": False}
    _, _, spectrum = scipy.signal.stft(segment.astype(np.float64), window=window, **how)
    return np.abs(spectrum[:400, :200]) * window.sum()  # scipy divides by the window's sum


# Eq. 1 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [-1.0, -0.5, 0.0, 0.5, 1.0])
def test_mu_law_is_eq_1(x: float) -> None:
    expected = math.copysign(math.log(1 + 255 * abs(x)) / math.log(1 + 255), x)
    assert spectrogram.mu_law(torch.tensor(x)).item() == pytest.approx(expected, abs=1e-6)


# The spectrum ------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", ["symmetric", "periodic"])
@pytest.mark.parametrize("hop", HOPS)
@pytest.mark.parametrize("samples", [20_001, 32_000, 32_001, 45_677, 64_159, 80_000])
def test_each_segment_is_scipys_stft_of_it_alone(samples: int, hop: float, window: Any) -> None:
    waveform = noise(samples, seed=samples)
    found = spectrogram.magnitudes(waveform, FrontEnd(window=window), hop)
    padded = np.pad(waveform.numpy(), (0, max(0, 32_000 - samples)))
    starts = range(0, len(padded) - 32_000 + 1, round(hop * 16_000))
    assert found.shape == (len(starts), 1, 400, 200)
    for x, start in zip(found[:, 0].numpy(), starts, strict=True):
        segment = padded[start : start + 32_000]
        symmetric, periodic = (scipy_spectrogram(segment, periodic=p) for p in (False, True))
        assert np.abs(symmetric).max() > 1 and np.abs(symmetric - periodic).max() > 1e-3
        expected = periodic if window == "periodic" else symmetric
        np.testing.assert_allclose(x, expected, atol=1e-4, rtol=0)  # magnitudes up to about 10
    if samples < 32_000:
        assert (x[:, 130:] == 0).all()  # windows from 1.28 s on hold padding alone


@settings(deadline=None, max_examples=15)
@given(
    samples=st.integers(1, 70_000),
    hop=st.integers(1, 250).map(lambda frames: frames / 100),
    frames=st.sampled_from(["centred", "whole"]),
)
def test_every_segment_is_cut_where_it_stands(samples: int, hop: float, frames: str) -> None:
    front_end = FrontEnd(frames=frames)
    waveform = noise(samples)
    found = spectrogram.magnitudes(waveform, front_end, hop)
    assert len(found) == spectrogram.segment_count(samples, hop)
    last = (len(found) - 1) * round(hop * 16_000)
    alone = spectrogram.magnitudes(waveform[last : last + 32_000], front_end, 1.0)
    torch.testing.assert_close(found[-1:], alone, atol=1e-5, rtol=1e-5)


# How many segments -------------------------------------------------------------------------------


@pytest.mark.parametrize("hop", [0.0, -1.0, 0.005, 0.4001, 1.0049])
def test_a_hop_between_frames_is_refused(hop: float) -> None:
    with pytest.raises(ValueError, match="multiple of the 10 ms"):
        spectrogram.segments(noise(40_000), FrontEnd(), hop)
    with pytest.raises(ValueError, match="multiple of the 10 ms"):
        spectrogram.segment_count(40_000, hop)


def test_an_empty_waveform_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        spectrogram.segments(torch.zeros(0), FrontEnd(), 1.0)


# Readings of Section 2.1 -------------------------------------------------------------------------


@pytest.mark.parametrize("hop", HOPS)
@pytest.mark.parametrize("frames", ["centred", "whole"])
@pytest.mark.parametrize(("samples", "more"), [(31_000, 0), (48_000, 0), (50_001, 1), (32_001, 1)])
def test_a_padded_tail_is_one_more(samples: int, more: int, frames: str, hop: float) -> None:
    waveform = noise(samples)
    front_end = FrontEnd(frames=frames, tail="pad")
    found = spectrogram.magnitudes(waveform, front_end, hop)
    whole = spectrogram.magnitudes(waveform, FrontEnd(frames=frames), hop)
    more = more or (samples > 32_000 and (samples - 32_000) % round(hop * 16_000) > 0)
    assert len(found) == len(whole) + more
    assert len(found) == spectrogram.segment_count(samples, hop, front_end)
    # All but the very last window of a segment that whole segments end with stays as it was.
    torch.testing.assert_close(found[: len(whole)], whole, atol=1e-5, rtol=1e-5)
    if more:
        tail = waveform[len(whole) * round(hop * 16_000) :]
        alone = spectrogram.magnitudes(tail, FrontEnd(frames=frames), hop)
        torch.testing.assert_close(found[-1:], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("samples", "changes", "same"),
    [
        (20_000, {"short": "repeat", "tail": "pad"}, {"short": "repeat"}),
        (40_000, {"short": "repeat", "tail": "pad"}, {"tail": "pad"}),
        *((40_000, {"short": short}, {}) for short in ("repeat", "drop", "drop-training")),
    ],
)
def test_a_short_utterance_is_repeated_or_dropped_and_a_longer_one_is_not(
    samples: int, changes: dict[str, Any], same: dict[str, Any]
) -> None:
    one, other = (FrontEnd(**settings) for settings in (changes, same))
    for hop, values in product(HOPS, (spectrogram.magnitudes, spectrogram.segments)):
        assert torch.equal(values(noise(samples), one, hop), values(noise(samples), other, hop))


def test_power_is_the_square_of_the_magnitude() -> None:
    waveform = noise(50_000)
    magnitude = spectrogram.magnitudes(waveform, FrontEnd(), 0.4)
    power = spectrogram.magnitudes(waveform, FrontEnd(magnitude="power"), 0.4)
    torch.testing.assert_close(power, magnitude**2)


def test_bins_1_to_400_are_one_row_lower() -> None:
    waveform = noise(50_000)
    low = spectrogram.magnitudes(waveform, FrontEnd(), 1.0)
    high = spectrogram.magnitudes(waveform, FrontEnd(bins="1-400"), 1.0)
    assert torch.equal(high[:, :, :-1], low[:, :, 1:])
    assert not torch.equal(high[:, :, -1], low[:, :, -1])


def test_197_windows_fit_whole() -> None:
    waveform = noise(50_000)
    whole = spectrogram.magnitudes(waveform, FrontEnd(frames="whole"), 0.4)
    centred = spectrogram.magnitudes(waveform, FrontEnd(), 0.4)
    assert whole.shape == (3, 1, 400, 197)
    # A whole window from 0 ms is centred on 20 ms.
    torch.testing.assert_close(whole, centred[..., 2:-1], atol=1e-5, rtol=1e-5)


def test_a_short_utterance_is_repeated_where_that_is_the_reading() -> None:
    waveform = noise(11_111)
    repeated = torch.cat([waveform] * 3)[:32_000]
    found = spectrogram.magnitudes(waveform, FrontEnd(short="repeat"), 1.0)
    assert torch.equal(found, spectrogram.magnitudes(repeated, FrontEnd(), 1.0))


# What lies more than 80 dB below the maximum is cut off after the logarithm.
@pytest.mark.parametrize(
    ("scale", "x", "expected"),
    [
        ("segment", [[1, 2, 5], [10, 10.5, 12]], [[-1, -0.5, 1], [-1, -0.5, 1]]),
        ("segment-max", [[1, 2, 4], [5, 0, 10]], [[0.25, 0.5, 1], [0.5, 0, 1]]),
        ("segment-log", [[1e-3, 1e-1, 10]], [[-1, 0, 1]]),
        ("segment-log", [[0, 1e-9, 1e-2, 1]], [[-1, -1, 0, 1]]),
    ],
)
def test_each_segment_is_scaled_by_itself(scale: Any, x: list, expected: list) -> None:
    scaled = spectrogram.scale(torch.tensor(x)[:, None, None].float(), FrontEnd(scale=scale))
    torch.testing.assert_close(scaled[:, 0, 0], torch.tensor(expected).float())


def test_the_logarithm_of_the_power_is_cut_off_at_the_same_depth() -> None:
    x = torch.tensor([1e-5, 1e-3, 0.1, 1.0]).reshape(1, 1, 1, 4)
    power = FrontEnd(scale="segment-log", magnitude="power")
    expected = spectrogram.scale(x, FrontEnd(scale="segment-log"))
    torch.testing.assert_close(spectrogram.scale(x**2, power), expected)


def test_scale_by_the_training_set_clamps_what_lies_outside() -> None:
    front_end = FrontEnd(scale="training-set")
    x = torch.tensor([0.0, 2.0, 4.0, 6.0, 9.0]).reshape(1, 1, 1, 5)
    scaled = spectrogram.scale(x, front_end, (2.0, 6.0)).flatten()
    torch.testing.assert_close(scaled, torch.tensor([-1.0, -1.0, 0.0, 1.0, 1.0]))
    divided = spectrogram.scale(x, FrontEnd(scale="training-set-max"), (2.0, 6.0)).flatten()
    torch.testing.assert_close(divided, torch.tensor([0.0, 2.0, 4.0, 6.0, 6.0]) / 6)
    with pytest.raises(ValueError, match="limits"):
        spectrogram.segments(noise(100), front_end, 1.0)


@pytest.mark.parametrize("scale", get_args(Scale))
@settings(deadline=None, max_examples=20)
@given(
    samples=st.integers(1, 70_000),
    exponent=st.floats(-45, 38.5),
    shape=st.sampled_from(["noise", "DC", "impulse", "mixed", "alternating"]),
    hop=st.sampled_from(HOPS),
    magnitude=st.sampled_from(["magnitude", "power"]),
    frames=st.sampled_from(["centred", "whole"]),
)
@example(40_000, 0.0, "silence", 0.4, "magnitude", "centred")
@example(1, 0.0, "silence", 0.4, "power", "centred")
@example(40_000, 38.5, "noise", 0.4, "power", "centred")
@example(40_000, 38.5, "DC", 1.0, "magnitude", "whole")
def test_any_finite_waveform_gives_inputs_in_the_range(
    scale: Any, samples: int, exponent: float, shape: str, hop: float, magnitude: Any, frames: Any
) -> None:
    unit = {
        "noise": noise(samples),
        "DC": torch.ones(samples),
        "impulse": torch.arange(samples) == samples // 2,
        "mixed": torch.logspace(-45, 0, samples),
        "alternating": 1 - 2 * (torch.arange(samples) % 2),
        "silence": torch.zeros(samples),
    }[shape]
    waveform = (unit.double() * 10.0**exponent).clamp(-3.4e38, 3.4e38).float()
    front_end = FrontEnd(magnitude=magnitude, scale=scale, frames=frames)
    limits = (0.0, 300.0) if scale.startswith("training-set") else None
    x = spectrogram.segments(waveform, front_end, hop, limits)
    count = 1 + max(0, samples - 32_000) // round(hop * 16_000)
    assert x.shape == (count, 1, 400, 200 if frames == "centred" else 197)
    assert x.dtype == torch.float32 and x.isfinite().all()
    low = 0.0 if scale.endswith("max") else -1.0
    assert x.min() >= low - 1e-6 and x.max() <= 1 + 1e-6
    assert shape != "silence" or (x == low).all()


def test_loudness_changes_no_segment() -> None:
    power = FrontEnd(magnitude="power")
    quiet, loud = (spectrogram.segments(noise(40_000) * 2.0**n, power, 0.4) for n in (0, 120))
    torch.testing.assert_close(quiet, loud, atol=1e-4, rtol=0)


def test_the_network_input_is_the_mu_law_of_the_scaled_magnitudes() -> None:
    waveform = noise(50_000)
    x = spectrogram.magnitudes(waveform, FrontEnd(), 0.4).double().numpy()
    low, high = x.min((1, 2, 3), keepdims=True), x.max((1, 2, 3), keepdims=True)
    linear = 2 * (x - low) / (high - low) - 1
    expected = np.sign(linear) * np.log(1 + 255 * np.abs(linear)) / np.log(256)
    found = spectrogram.segments(waveform, FrontEnd(), 0.4).numpy()
    # The µ-law is steep around 0, so compare where its slope is moderate and bound the rest.
    moderate = np.abs(linear) > 0.01
    np.testing.assert_allclose(found[moderate], expected[moderate], atol=1e-4)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert found.min() == -1 and found.max() == 1
