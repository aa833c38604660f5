"""Any readable sound file as mono 16 kHz samples: what Section 2.1 starts from."""

from __future__ import annotations

import math
import os
from pathlib import Path

import torch
import torchaudio.functional
from torch import Tensor
from torch.nn import functional as F

from repro import soundfiles
from repro.errors import ReproError
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
    path = Path(path)
    if not os.path.isfile(path):  # unlike the method, False for names that the system refuses
        raise ReproError(f"{path}: no such sound file; check the path")
    frames, rate = soundfiles.read(path)  # [frames, channels]
    if not len(frames):
        raise ReproError(f"{path}: the sound file is empty; replace it")
    if fault := soundfiles.fault(frames):
        raise ReproError(f"{path}: {fault}; replace the file")
    return _resample(torch.from_numpy(frames).mean(dim=1), rate)


def _resample(waveform: Tensor, rate: int) -> Tensor:
    """[frames] at `rate` to [samples] at 16 kHz."""
    samples = -(-len(waveform) * SAMPLE_RATE // rate)
    gcd = math.gcd(rate, SAMPLE_RATE)
    if (rate // gcd) * (SAMPLE_RATE // gcd) <= LARGEST_FILTER_BANK:
        # torchaudio counts in float32, and may leave out some of the last: a millisecond of silence
        # more, which is 16 samples, makes up for 8 at most.
        longer = F.pad(waveform, (0, rate // 1000))
        return torchaudio.functional.resample(longer, rate, SAMPLE_RATE)[:samples]
    from scipy.signal import resample_poly  # takes a second to load, and such rates are rare

    return torch.from_numpy(resample_poly(waveform.numpy(), SAMPLE_RATE // gcd, rate // gcd))
