"""The corpora, each as the same table of utterances (Section 3.1: the data and its four emotions).

`load_corpus` is the door, and `CORPORA` has a record of each. `iemocap`, `emodb`, `ravdess`, `nemo`
and `cremad` read what others recorded, and `synthetic` makes a small corpus of its own, so that
everything runs without a download. `planted` makes signals that have nothing to do with speech, for
the study that tests the method of Fig. 2.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pandas as pd

from repro.corpora import planted
from repro.corpora.record import Corpus
from repro.corpora.table import Utterance, corpus_hash, expand, to_table
from repro.errors import NoSuchReadingError, ReproError

__all__ = [
    "BUILT_IN",
    "CORPORA",
    "IEMOCAP_SHAPED",
    "LABELS",
    "Corpus",
    "at_hand",
    "corpus_hash",
    "list_utterances",
    "load_corpus",
]

# Modules of this package, each with a record called CORPUS.
MODULES = (
    "synthetic",
    "iemocap",
    "emodb",
    "ravdess",
    "nemo",
    "cremad",
)
RECORDS = [import_module(f"{__name__}.{module}").CORPUS for module in MODULES]
CORPORA: dict[str, Corpus] = {corpus.name: corpus for corpus in (*RECORDS, *planted.CORPORA)}
# Utterances named as IEMOCAP's are, with its sessions, letters and excited ones.
IEMOCAP_SHAPED = ("iemocap", "synthetic")
BUILT_IN = tuple(name for name, corpus in CORPORA.items() if corpus.ensure)
LABELS = ("hap", "hap+exc")


def load_corpus(
    name: str = "synthetic", root: str | Path | None = None, *, labels: str = "hap"
) -> pd.DataFrame:
    """Read the table of a corpus; of the sound files read the headers only.

    Args:
        name: one of `CORPORA`.
        root: the folder of the corpus; without it, what is built in is made in the cache folder.
        labels: "hap", or "hap+exc" to count IEMOCAP's excited utterances as happy.

    Returns:
        One row an utterance, sorted by utterance, with utterance, speaker, emotion (neutral, happy,
        sad or angry), path, samples (the length at 16 kHz); `attrs` has the
        name as `corpus`, and which speakers are `women` where it tells.

    Raises:
        ReproError: the name is unknown, the folder is not that corpus, or a file is unusable.
    """
    table = to_table(name, list_utterances(name, root, labels))
    table.attrs["women"] = CORPORA[name].women
    return table


def at_hand(name: str, root: str | Path | None) -> bool:
    """Tell whether a corpus can be read: it is built in, or its folder is named."""
    return name in BUILT_IN or root is not None


def list_utterances(name: str, root: str | Path | None, labels: str = "hap") -> list[Utterance]:
    """Return the labelled utterances of a corpus, without a look at the sound files.

    Raises:
        ReproError: the name is unknown, or the folder is not that corpus.
    """
    if name not in CORPORA:
        raise ReproError(f"unknown corpus {name!r}; choose from {', '.join(CORPORA)}")
    if labels not in LABELS:
        raise ReproError(f"unknown labels {labels!r}; choose from {', '.join(LABELS)}")
    if labels != "hap" and name not in IEMOCAP_SHAPED:
        raise NoSuchReadingError(f"{name} has no excited utterances to merge; use labels 'hap'")
    corpus = CORPORA[name]
    if root is not None:
        folder = expand(Path(str(root)))  # papermill takes a folder called 2024 for a number
    elif corpus.ensure:
        folder = corpus.ensure()
    else:
        hint = f", or get it with `repro corpus fetch {name} DIR`" if corpus.archive else ""
        raise ReproError(f"where is {name}? Give its folder with --root{hint}")
    return corpus.read(folder, labels)
