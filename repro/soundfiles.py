"""Sound files, opened with care: whatever a header claims, reading stays within time and memory.

Kept apart from `repro.audio` because a corpus is listed without waiting for torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from repro.errors import ReproError
from repro.paper import SAMPLE_RATE

RATES = (4_000, 384_000)  # Hz; beyond lies no recorded speech, and resampling takes gigabytes
LARGEST = 200_000_000  # values of a file as it is or at 16 kHz: three hours of mono at 16 kHz
LOUDEST = 1e10  # full scale is 1, or 2^31 where whole numbers were written as fractions


def read(path: Path) -> tuple[np.ndarray, int]:
    """Return float32 [frames, channels] and the sampling rate.

    Raises:
        ReproError: the file is no readable sound file, or too long.
    """
    with _opened(path) as file:
        frames = file.read(dtype="float32", always_2d=True)
        if len(frames) != file.frames:
            raise ReproError(f"{path}: the sound file is cut off; replace it")
        return frames, file.samplerate


def length(path: Path) -> int:
    """Return how many samples a file has at 16 kHz, by its header.

    Raises:
        ReproError: the file is no readable sound file, or too long.
    """
    with _opened(path) as file:
        return _at_16_khz(file)


def fault(frames: np.ndarray) -> str | None:
    """Say why samples cannot be used, if they cannot."""
    if not np.isfinite(frames).all():
        return "samples that are not finite"
    if frames.size and max(frames.max(), -frames.min()) > LOUDEST:
        return "samples that no recording has (full scale is 1)"
    return None


@contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    """Open a sound file whose header asks for nothing out of bounds."""
    try:
        # As bytes, because a name need not be text in any encoding.
        with soundfile.SoundFile(os.fsencode(path) if os.name == "posix" else str(path)) as file:
            low, high = RATES
            if not low <= file.samplerate <= high:
                raise ReproError(
                    f"{path}: a sampling rate of {file.samplerate} Hz; from {low} to {high} is read"
                )
            if max(file.frames * file.channels, _at_16_khz(file)) > LARGEST:
                raise ReproError(
                    f"{path}: {file.frames} samples by its header, which is too long; "
                    "replace it, or cut it into pieces"
                )
            yield file
    # TypeError: a name that ends in .raw, which promises sound without a header.
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        reason = " ".join(getattr(error, "error_string", str(error)).split()).rstrip(".")
        raise ReproError(f"{path}: not a readable sound file ({reason}); replace it") from error


def _at_16_khz(file: soundfile.SoundFile) -> int:
    return -(-file.frames * SAMPLE_RATE // file.samplerate)
