"""The utterance table that every corpus gives: who says what, with which emotion, and where."""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from glob import glob
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from repro import audio, files
from repro.errors import ReproError
from repro.paper import EMOTIONS
from repro.results import is_text

ANY_EMOTION = f"{', '.join(EMOTIONS[:-1])} or {EMOTIONS[-1]}"


class Utterance(NamedTuple):
    """One labelled utterance of a corpus; its file may turn out to be missing."""

    utterance: str
    speaker: str
    emotion: str
    path: Path


def require_folder(root: Path) -> None:
    """Raise ReproError unless `root` is a folder."""
    if not os.path.isdir(root):  # unlike the method, False for names that the system refuses
        raise ReproError(f"{root}: no such folder; name the one that holds the corpus")


def expand(folder: Path) -> Path:
    """Return the folder with a `~` or `~user` at its start replaced by that user's home folder.

    Raises:
        ReproError: there is no such user, or their home folder is not known.
    """
    try:
        return folder.expanduser()
    except RuntimeError as error:
        raise ReproError(f"{folder}: unknown home folder; check the path") from error


def files_in(folder: Path, suffix: str = ".wav") -> list[Path]:
    """Return the entries of a folder whose names end so, in capitals or not, sorted.

    Raises:
        ReproError: the folder cannot be listed, where `glob` would give none.
    """
    with files.refused(f"{folder}: the folder cannot be read", "; check its permissions"):
        return sorted(path for path in folder.iterdir() if path.suffix.lower() == suffix)


def named_utterances(
    title: str,
    example: str,
    name: re.Pattern[str],
    emotion_of: Mapping[str, str],
    root: Path,
    labels: str,
) -> list[Utterance]:
    """Return the utterances of a corpus, sorted, whose file names tell speaker and emotion.

    Args:
        title: of the corpus.
        example: one of its files and its folder, such as `wav/03a01Fa.wav`. A star in the
            folder stands for anything.
        name: the pattern of a file's name, with groups `speaker` and `emotion`.
        emotion_of: the emotion for that group; utterances of others are left out.
        root: the folder of the wav files, or one or two levels above it.
        labels: what a corpus without excited utterances has no use for.

    Raises:
        ReproError: `root` is missing or cannot be read, or no file has such a name.
    """
    require_folder(root)
    inside = Path(example).parent
    # One after the other, since some copies of RAVDESS hold a second set one level deeper.
    below, deeper = (glob(f"{up}{inside}/", root_dir=root) for up in ("", "*/"))
    for folders in (below, ["."], deeper):
        found = [
            Utterance(path.stem, match["speaker"], emotion_of[match["emotion"]], path)
            for folder in sorted(folders)
            for path in files_in(root / folder)
            if (match := name.fullmatch(path.name)) and match["emotion"] in emotion_of
        ]
        if found:
            return sorted(found)
    raise ReproError(f"{root}: not {title}; give the folder that holds {example} and the rest")


def to_table(name: str, utterances: Iterable[Utterance]) -> pd.DataFrame:
    """Return the table of `load_corpus`: columns utterance, speaker, emotion, path, samples.

    Raises:
        ReproError: the name is no text, a row has one of `faults`, or a file one that
            `audio.length` refuses.
    """
    if not is_text(name):
        raise ReproError(f"{name}: cannot be written to a results file; name the table in UTF-8")
    utterances = list(utterances)
    if found := faults(utterances):
        raise ReproError(found[0])
    rows = [(*u[:3], str(u.path), audio.length(u.path)) for u in sorted(utterances)]
    table = pd.DataFrame(rows, columns=["utterance", "speaker", "emotion", "path", "samples"])
    table.attrs["corpus"] = name
    return table


def faults(utterances: Iterable[Utterance]) -> list[str]:
    """List what is wrong with a reader's rows, a line for each fault; empty if nothing is.

    A row with a fault could not be trained on, or its scores not be kept.
    """
    found = []
    first: dict[str, Path] = {}
    for utterance, speaker, emotion, path in utterances:
        if not is_text(utterance) or not is_text(speaker):
            found.append(
                f"{path}: {utterance!r} by {speaker!r} cannot be written to a results file; "
                "give both names as text"
            )
        if emotion not in EMOTIONS:
            found.append(
                f"{path}: {utterance!r} is labelled {emotion!r}; "
                f"leave it out, or label it {ANY_EMOTION}"
            )
        if (other := first.setdefault(utterance, path)) is not path:
            found.append(f"{path}: {utterance!r} is also the name of {other}; remove one of them")
    return found


def corpus_hash(table: pd.DataFrame) -> str:
    """Return 12 hex digits that name the content of a table, wherever its files lie on disk."""
    lines = [str(table.attrs.get("corpus", ""))]
    for row in table[["utterance", "speaker", "emotion", "samples"]].itertuples(index=False):
        lines.append("\t".join(map(str, row)))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
