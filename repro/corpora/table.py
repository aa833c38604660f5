"""The utterance table that every corpus gives: who says what, with which emotion, and where."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import soundfile

from repro.errors import ReproError
from repro.paper import SAMPLE_RATE


class Utterance(NamedTuple):
    """One labelled utterance of a corpus; its file may turn out to be missing."""

    utterance: str
    speaker: str
    emotion: str
    path: Path


def require_folder(root: Path) -> None:
    """Raises ReproError unless `root` is a folder."""
    if not root.is_dir():
        raise ReproError(f"{root}: no such folder; give --root the folder that holds the corpus")


def length(path: Path) -> int:
    """Samples that the file has at 16 kHz, by its header.

    Raises:
        ReproError: the file is missing, unreadable or empty.
    """
    if not path.is_file():
        raise ReproError(f"{path}: the corpus labels this utterance, but the file is missing")
    try:
        header = soundfile.info(str(path))
    except (soundfile.SoundFileError, OSError) as error:
        raise ReproError(f"{path}: not a readable sound file; replace it") from error
    if not header.frames:
        raise ReproError(f"{path}: the sound file is empty; replace it")
    return -(-header.frames * SAMPLE_RATE // header.samplerate)


def to_table(name: str, utterances: Iterable[Utterance]) -> pd.DataFrame:
    """The table of `load_corpus`: columns utterance, speaker, emotion, path, samples.

    Raises:
        ReproError: a file is missing, unreadable or empty.
    """
    rows = [(*u[:3], str(u.path), length(u.path)) for u in sorted(utterances)]
    table = pd.DataFrame(rows, columns=["utterance", "speaker", "emotion", "path", "samples"])
    table.attrs["corpus"] = name
    return table


def corpus_hash(table: pd.DataFrame) -> str:
    """12 hex digits that name the content of a table, wherever its files lie on disk."""
    lines = [str(table.attrs.get("corpus", ""))]
    for row in table[["utterance", "speaker", "emotion", "samples"]].itertuples(index=False):
        lines.append("\t".join(map(str, row)))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
