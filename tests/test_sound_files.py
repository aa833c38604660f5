"""Every codec that soundfile can write, whole and damaged as files are on their way.

Each is read as it was, or its fault is told in one line: by `repro corpus check`, and before a
run trains.
"""

import io
import struct
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from repro import audio
from repro.corpora.check import check
from repro.errors import ReproError

RATES = (16_000, 8_000)  # a codec of telephones may have the second only
FRAMES = 40_000
TIME = np.arange(FRAMES) / 16_000
# A voice's fundamental and a formant, faded in, as the telephone's codecs adapt.
SOUND = np.minimum(1, 2 * TIME) * (
    0.3 * np.sin(300 * TIME) + 0.1 * np.sin(2_000 * TIME + np.sin(20 * TIME))
)
LOSS = {"GSM610": 2e-2, "OPUS": 2e-2}  # power of the error as a share of the signal's
LONGEST_BLOCK = 1_100  # samples that a codec keeps together; it fills up the last
# Formats of which libsndfile does not tell how long the sound should be: half is as good as whole.
WITHOUT_LENGTH = ("AVR", "IRCAM", "MAT5", "MPC2K", "PAF", "PVF", "SDS", "XI")


class Sample(NamedTuple):
    form: str
    subtype: str
    damage: str
    content: bytes


def written(form: str, subtype: str) -> bytes | None:
    """The sound in a codec, if soundfile can write it at one of the rates."""
    for rate in RATES:
        file = io.BytesIO()
        try:
            soundfile.write(file, SOUND, rate, format=form, subtype=subtype)
            return file.getvalue()
        except (soundfile.SoundFileError, ValueError):
            continue
    return None


def samples() -> list[Sample]:
    found = []
    # SD2 has its header in another file, which libsndfile would leave here under the name of "._".
    for form in [each for each in soundfile.available_formats() if each != "SD2"]:
        for subtype in soundfile.available_subtypes(form):
            whole = written(form, subtype)
            if whole is None:
                continue
            versions = {"whole": whole, "half": whole[: len(whole) // 2], "start": whole[:144]}
            versions |= {f"size {size:#x}": c for size, c in streamed(form, whole).items()}
            found += [Sample(form, subtype, *version) for version in versions.items()]
    return found


def streamed(form: str, content: bytes) -> dict[int, bytes]:
    """The file as writers leave it that cannot go back to its header, by the size in there."""
    if form not in ("WAV", "WAVEX", "AIFF", "AU"):
        return {}
    order = "<" if form.startswith("WAV") else ">"
    places = [8] if form == "AU" else [4, content.index(b"SSND" if form == "AIFF" else b"data") + 4]
    versions = {}
    for size in (0xFFFFFFFF, 0x7FFFF000, 0):
        changed = bytearray(content)
        for place in places:
            changed[place : place + 4] = struct.pack(f"{order}I", size)
        versions[size] = bytes(changed)
    return versions


def write_all(folder: Path) -> dict[Path, Sample]:
    """Write every sample under a name of EmoDB, whatever its format."""
    files = {}
    for number, sample in enumerate(samples()):
        path = folder / f"03{'abcdefghij'[number // 100]}{number % 100:02d}Na.wav"
        path.write_bytes(sample.content)
        files[path] = sample
    return files


def refusal(read: Callable[[Path], object], path: Path) -> str | None:
    """The one line in which a file is refused, if it is."""
    try:
        read(path)
    except ReproError as error:
        assert str(path) in str(error) and "\n" not in str(error)
        return str(error)
    return None


def test_every_codec_is_read_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = time.perf_counter()
    outcomes: Counter[str] = Counter()
    files = write_all(tmp_path)
    problems = check("emodb", tmp_path).problems
    for path, sample in files.items():
        refused = refusal(audio.read, path)
        faults = [] if refused else audio.read(path).faults
        cut_off = [f"{path}: {fault}; replace it" for fault in faults if "cut off" in fault]
        # What `check` lists is what a run says, and what it refuses before it trains.
        said = [refused] if refused else [f"{path}: {fault}" for fault in faults]
        assert [line for line in problems if str(path) in line and " Hz" not in line] == said
        assert refused or ([refusal(audio.length, path)] == (cut_off or [None]))
        # Nothing can be got out of it, or not without a guess; and: it may be read without a word.
        gone = sample.damage in ("half", "start", "size 0x0") or sample.form == "RAW"
        there = sample.damage not in ("half", "start") or sample.form in WITHOUT_LENGTH
        assert not refused or gone, (sample[:3], refused)
        assert refused or cut_off or there, sample[:3]
        if not refused and sample.damage != "start":
            frames = round((0.35 if sample.damage == "half" else 1) * FRAMES)
            waveform, sound = audio.read(path).waveform, SOUND[:frames]
            assert frames <= len(waveform) < FRAMES + LONGEST_BLOCK, sample[:3]
            error = np.mean((waveform[:frames] - sound) ** 2) / np.mean(sound**2)
            assert error < LOSS.get(sample.subtype, 3e-3), (sample[:3], error)
        outcomes["refused" if refused else "told" if faults else "read"] += 1
    codecs = len({sample[:2] for sample in files.values()})
    damages = len({sample.damage for sample in files.values()} - {"whole"})
    with capsys.disabled():
        print(
            f"\nsound files: {codecs} codecs × {damages} damages and whole, {len(files)} files: "
            f"{outcomes['read']} read, {outcomes['told']} read with a warning, "
            f"{outcomes['refused']} refused in one line, {time.perf_counter() - start:.0f} s"
        )
    assert codecs > 100 and damages == 5
