"""Any readable sound file as mono 16 kHz samples: what Section 2.1 starts from.

Files are opened with care: whatever a header claims, reading stays within time and memory. Torch is
imported only to resample, since a corpus is listed without waiting for it.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import soundfile

from repro.errors import ReproError
from repro.paper import SAMPLE_RATE

if TYPE_CHECKING:
    from torch import Tensor

# torchaudio's filter bank has about rate * SAMPLE_RATE / gcd² weights: 441 * 160 for 44.1 kHz,
# but gigabytes for a rate such as 11,127 Hz.
LARGEST_FILTER_BANK = 10_000_000
RATES = (4_000, 384_000)  # Hz; beyond lies no recorded speech, and resampling takes gigabytes
LARGEST = 200_000_000  # samples of a channel as they are or at 16 kHz: 75 minutes at 44.1 kHz
BLOCK = 2**20  # samples of all channels that are read at once
LOUDEST = 1e10  # full scale is 1, or 2^31 where whole numbers were written as fractions
SILENCE = 2e-4  # largest distance of two samples in a file that is called silent; 1 is full scale

# What libsndfile notes, and tells in its log alone, of a file that ends before its header says. Of
# RIFF and FORM it is no matter: they also count what follows the sound.
SHORTER = re.compile(
    r"^ *(?:data|SSND|BODY|riff|Riff size|Data Size|Data length) *:? (\d+) \(?should be (\d+)"
    r"|(?:File s|S)eems to be (?:a )?truncated|Last page lacks an end-of-stream bit",
    re.MULTILINE,
)
# Writers that cannot go back to a header leave sizes such as 0x7F000000, 0x7FFFF000 or 0xFFFFFFFF.
UNKNOWN_SIZE = 2_000_000_000


class Sound(NamedTuple):
    """What a sound file holds.

    Args:
        waveform: float32 [frames], the average of its channels.
        rate: in Hz.
        channels: how many there were.
        faults: why it may not be the recording that it should be; empty if nothing is wrong.
    """

    waveform: np.ndarray
    rate: int
    channels: int
    faults: list[str]


def read(path: Path) -> Sound:
    """Return the sound of a file, read block by block, so that many channels need no more memory.

    Raises:
        ReproError: the file is missing, no readable sound file, too long or empty, or holds samples
            that are not finite or louder than any recording.
    """
    with _opened(path) as file:
        waveform = np.empty(file.frames, np.float32)
        low = np.full(file.channels, np.inf, np.float32)
        high = -low
        step = max(1, BLOCK // file.channels)
        for part in np.split(waveform, range(step, len(waveform), step)):
            # Channel by channel, since NumPy is slow along an axis of two.
            block = file.read(len(part), dtype="float32", always_2d=True).T.copy()
            if block.shape[1] != len(part):
                raise ReproError(f"{path}: the sound file is cut off; replace it")
            low, high = np.minimum(low, block.min(axis=1)), np.maximum(high, block.max(axis=1))
            if not np.isfinite([low, high]).all():
                raise ReproError(f"{path}: samples that are not finite; replace the file")
            if max(high.max(), -low.min()) > LOUDEST:
                raise ReproError(
                    f"{path}: samples that no recording has (full scale is 1); replace the file"
                )
            block.mean(axis=0, out=part)
        faults = [_cut_off(path, file)]
        if (high - low).max() < SILENCE:
            faults.append("silent")
        elif np.ptp(waveform) < SILENCE:
            faults.append("its channels cancel each other, so that their average is silent")
        return Sound(waveform, file.samplerate, file.channels, [fault for fault in faults if fault])


def length(path: Path) -> int:
    """Return how many samples a file has at 16 kHz, by its header.

    Raises:
        ReproError: the file is missing, no readable sound file, too long, empty or cut off.
    """
    with _opened(path) as file:
        if fault := _cut_off(path, file):
            raise ReproError(f"{path}: {fault}; replace it")
        return at_16_khz(file.frames, file.samplerate)


def at_16_khz(frames: int, rate: int) -> int:
    """Return how many samples `frames` at a sampling rate are at 16 kHz."""
    return -(-frames * SAMPLE_RATE // rate)


@contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    """Open a sound file whose header asks for nothing out of bounds."""
    if not os.path.isfile(path):  # unlike the method, False for names that the system refuses
        what = ", but a folder; name the files in it" if os.path.isdir(path) else "; check the path"
        raise ReproError(f"{path}: missing: no such sound file{what}")
    try:
        # As bytes, because a name need not be text in any encoding.
        with soundfile.SoundFile(os.fsencode(path) if os.name == "posix" else str(path)) as file:
            # libsndfile cannot seek in some codecs, and in others believes that it can; soundfile
            # seeks at every read unless it is told that this is impossible.
            file.seekable = lambda: False
            low, high = RATES
            if not low <= file.samplerate <= high:
                raise ReproError(
                    f"{path}: a sampling rate of {file.samplerate} Hz; from {low} to {high} is read"
                )
            if max(file.frames, at_16_khz(file.frames, file.samplerate)) > LARGEST:
                minutes = file.frames / file.samplerate / 60
                most = LARGEST / max(file.samplerate, SAMPLE_RATE) / 60
                raise ReproError(
                    f"{path}: {minutes:,.1f} minutes by its header, which is too long; up to "
                    f"{most:.1f} are read at {file.samplerate} Hz: cut it into pieces"
                )
            if not file.frames:
                fault = _cut_off(path, file) or "empty: no samples by its header"
                raise ReproError(f"{path}: {fault}; replace it")
            yield file
    # TypeError: a name that ends in .raw, which promises sound without a header.
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        if not os.access(path, os.R_OK):
            raise ReproError(f"{path}: cannot be read; check its permissions") from error
        reason = " ".join(getattr(error, "error_string", str(error)).split()).rstrip(".")
        advice = "replace it" + ", or convert it to WAV" * (path.suffix.lower() != ".wav")
        raise ReproError(f"{path}: not a readable sound file ({reason}); {advice}") from error


def _cut_off(path: Path, file: soundfile.SoundFile) -> str | None:
    """Say what is missing of a file that is shorter than its header says, if it says so."""
    sizes = [(*found.groups(), "bytes") for found in SHORTER.finditer(file.extra_info)]
    if file.format == "NIST":  # whose header is text that libsndfile compares with nothing
        with open(path, "rb") as start:
            header = start.read(1024).decode("latin-1")
        claims = re.findall(r"sample_count -i (\d+)", header)
        sizes += [(claimed, file.frames, "samples") for claimed in claims]
    for claimed, there, unit in sizes:
        if claimed is None:
            return "cut off"
        if int(there) < int(claimed) < UNKNOWN_SIZE:
            return f"cut off: {int(there):,} of {int(claimed):,} {unit} are left"
    return None


def load(path: str | Path) -> Tensor:
    """Return a sound file's waveform at 16 kHz: float32 [samples], the average of its channels.

    Any format, sampling rate and number of channels will do that soundfile reads.

    Raises:
        ReproError: the file is missing, unreadable, too long or empty, or holds samples that are
            not finite or louder than any recording.
    """
    return resample(read(Path(path)))


def resample(sound: Sound) -> Tensor:
    """Return a sound at 16 kHz: float32 [samples], ceil(frames * 16000 / rate) of them."""
    import torch
    import torchaudio.functional
    from torch.nn import functional as F

    waveform, rate = torch.from_numpy(sound.waveform), sound.rate
    samples = at_16_khz(len(waveform), rate)
    gcd = math.gcd(rate, SAMPLE_RATE)
    if (rate // gcd) * (SAMPLE_RATE // gcd) <= LARGEST_FILTER_BANK:
        # torchaudio counts in float32, and may leave out some of the last: a millisecond of silence
        # more, which is 16 samples, makes up for 8 at most.
        longer = F.pad(waveform, (0, rate // 1000))
        return torchaudio.functional.resample(longer, rate, SAMPLE_RATE)[:samples]
    from scipy.signal import resample_poly  # takes a second to load, and such rates are rare

    return torch.from_numpy(resample_poly(waveform.numpy(), SAMPLE_RATE // gcd, rate // gcd))
