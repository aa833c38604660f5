"""The corpora, each as the same table of utterances (Section 3.1: the data and its four emotions).

`load_corpus` is the door; `iemocap`, `emodb` and `ravdess` read what others recorded, and
`synthetic` makes a small corpus of its own, so that everything runs without a download. `planted`
makes signals that have nothing to do with speech, for the study that tests the method of Fig. 2.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from repro.corpora import emodb, iemocap, planted, ravdess, synthetic
from repro.corpora.table import Utterance, corpus_hash, expand, to_table
from repro.errors import NoSuchReadingError, ReproError

__all__ = [
    "BUILT_IN",
    "DESCRIPTIONS",
    "IEMOCAP_SHAPED",
    "LABELS",
    "NAMES",
    "READERS",
    "corpus_hash",
    "list_utterances",
    "load_corpus",
]

DESCRIPTIONS = {
    "synthetic": "built in: sentences by eSpeak in the shape of IEMOCAP; needs no download",
    "iemocap": "IEMOCAP, improvised dialogues, English, the paper's corpus; licensed by USC",
    "emodb": "Berlin Database of Emotional Speech, German, CC0; `repro corpus fetch emodb DIR`",
    "ravdess": "RAVDESS, spoken statements, English, CC BY-NC-SA",
    **{
        name: f"built in: no speech; classes differ in a pattern of {scale.text} alone"
        for name, scale in planted.BY_NAME.items()
    },
}
NAMES = tuple(DESCRIPTIONS)
# A reader for each name: from a folder and what counts as happy to the labelled utterances.
READERS: dict[str, Callable[[Path, str], list[Utterance]]] = {
    "synthetic": iemocap.utterances,
    "iemocap": iemocap.utterances,
    "emodb": lambda folder, _: emodb.utterances(folder),
    "ravdess": lambda folder, _: ravdess.utterances(folder),
    **dict.fromkeys(planted.BY_NAME, lambda folder, _: planted.utterances(folder)),
}
# Utterances named as IEMOCAP's are, with its sessions, letters and excited ones.
IEMOCAP_SHAPED = ("iemocap", "synthetic")
BUILT_IN = ("synthetic", *planted.BY_NAME)  # made in the cache folder when they are asked for
LABELS = ("hap", "hap+exc")


def load_corpus(
    name: str = "synthetic", root: str | Path | None = None, *, labels: str = "hap"
) -> pd.DataFrame:
    """Read the table of a corpus; of the sound files read the headers only.

    Args:
        name: synthetic, iemocap, emodb, ravdess, or a planted scale such as planted-40ms.
        root: the folder of the corpus; without it, what is built in is made in the cache folder.
        labels: "hap", or "hap+exc" to count IEMOCAP's excited utterances as happy.

    Returns:
        One row an utterance, sorted by utterance, with utterance, speaker, emotion (neutral, happy,
        sad or angry), path, samples (the length at 16 kHz); `attrs["corpus"]` is the name.

    Raises:
        ReproError: the name is unknown, the folder is not that corpus, or a file is unusable.
    """
    return to_table(name, list_utterances(name, root, labels))


def list_utterances(name: str, root: str | Path | None, labels: str = "hap") -> list[Utterance]:
    """Return the labelled utterances of a corpus, without a look at the sound files.

    Raises:
        ReproError: the name is unknown, or the folder is not that corpus.
    """
    if name not in READERS:
        raise ReproError(f"unknown corpus {name!r}; choose from {', '.join(READERS)}")
    if labels not in LABELS:
        raise ReproError(f"unknown labels {labels!r}; choose from {', '.join(LABELS)}")
    if labels != "hap" and name not in IEMOCAP_SHAPED:
        raise NoSuchReadingError(f"{name} has no excited utterances to merge; use labels 'hap'")
    if root is None and name not in BUILT_IN:
        hint = ", or get it with `repro corpus fetch emodb DIR`" if name == "emodb" else ""
        raise ReproError(f"where is {name}? Give its folder with --root{hint}")

    if root is not None:
        folder = expand(Path(str(root)))  # papermill takes a folder called 2024 for a number
    elif name in planted.BY_NAME:
        folder = planted.ensure(name)
    else:
        folder = synthetic.ensure(synthetic.default_root())
    return READERS[name](folder, labels)
