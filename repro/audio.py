"""Any readable sound file as mono 16 kHz samples: what Section 2.1 starts from."""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torchaudio.functional
from torch import Tensor
from torch.nn import functional as F

from repro import soundfiles
from repro.paper import SAMPLE_RATE

# torchaudio's filter bank has about rate * SAMPLE_RATE / gcd² weights: 441 * 160 for 44.1 kHz,
# but gigabytes for a rate such as 11,127 Hz.
LARGEST_FILTER_BANK = 10_000_000


def load(path: str | Path) -> Tensor:
    """Read a sound file, average its channels and resample it to 16 kHz.

    Args:
        path: a file of any format, sampling rate and number of channels that soundfile reads.

    Returns:
        float32 [samples], ceil(frames * 16000 / rate) of them.

    Raises:
        ReproError: the file is missing, unreadable, too long or empty, or holds samples that are
            not finite or louder than any recording.
    """
    return resample(soundfiles.read(Path(path)))


def resample(sound: soundfiles.Sound) -> Tensor:
    """Resample what was read: float32 [samples], ceil(frames * 16000 / rate) of them."""
    waveform, rate = torch.from_numpy(sound.waveform), sound.rate
    samples = soundfiles.at_16_khz(len(waveform), rate)
    gcd = math.gcd(rate, SAMPLE_RATE)
    if (rate // gcd) * (SAMPLE_RATE // gcd) <= LARGEST_FILTER_BANK:
        # torchaudio counts in float32, and may leave out some of the last: a millisecond of silence
        # more, which is 16 samples, makes up for 8 at most.
        longer = F.pad(waveform, (0, rate // 1000))
        return torchaudio.functional.resample(longer, rate, SAMPLE_RATE)[:samples]
    from scipy.signal import resample_poly  # takes a second to load, and such rates are rare

    return torch.from_numpy(resample_poly(waveform.numpy(), SAMPLE_RATE // gcd, rate // gcd))
