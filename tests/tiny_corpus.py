"""A corpus of a second or three of noise per utterance, named as EmoDB names its files.

Speakers and emotions differ in level and colour, so that there is something to learn.
"""

import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile

from repro import config
from repro.corpora import load_corpus

LETTERS = "NFTW"  # neutral, happy, sad, angry
# Settings with which a network is trained on it in a second.
SMALL = ["network.stem_channels=2", "network.trunk=4,4,4,4", "network.stride=8,8"]
SMALL += ["training.max_segments=8"]


def changed(overrides: Iterable[str] = SMALL, preset: str = "smoke") -> str:
    """A preset with overrides behind its name, as results files name it."""
    return config.spelled(", ".join([preset, *overrides]))


def write(
    root: Path, speakers: Iterable[str] = ("03", "08"), seconds: Iterable[float] = (1.5, 2.5)
) -> Path:
    """Writes one utterance per speaker, emotion and length."""
    (root / "wav").mkdir(parents=True)
    for speaker in speakers:
        for letter in LETTERS:
            for sentence, length in enumerate(seconds, 1):
                rng = np.random.default_rng([int(speaker), LETTERS.index(letter), sentence])
                sound = rng.normal(size=round(length * 16_000))
                sound = np.convolve(sound, np.ones(1 + 3 * LETTERS.index(letter)), "same")
                name = f"{speaker}a{sentence:02d}{letter}a.wav"
                soundfile.write(root / "wav" / name, 0.2 * sound / np.abs(sound).max(), 16_000)
    return root


def zipped(members: Mapping[Any, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive of files by their names, or by what else it says of them."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return content.getvalue()


def table(root: Path) -> pd.DataFrame:
    return load_corpus("emodb", root)
