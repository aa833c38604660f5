"""The corpora, each as the same table of utterances (Section 3.1: the data and its four emotions).

`load_corpus` is the door, and `CORPORA` has a record of each. `iemocap`, `emodb`, `ravdess`, `nemo`
and `cremad` read what others recorded, and `synthetic` makes a small corpus of its own, so that
everything runs without a download. `planted` makes signals that have nothing to do with speech, for
the study that tests the method of Fig. 2. `own` reads a table of one's own files, such as `my.csv`.
"""

import os
from importlib import import_module
from pathlib import Path

import pandas as pd

from repro.corpora import own, planted
from repro.corpora.record import Corpus
from repro.corpora.table import Utterance, expand, to_table
from repro.corpora.table import corpus_hash as corpus_hash
from repro.errors import NoSuchReadingError, ReproError

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
KNOWN = frozenset(CORPORA)  # to every process; a program may add others to its own
LABELS = ("hap", "hap+exc")


def load_corpus(
    name: str = "synthetic", root: str | Path | None = None, *, labels: str = "hap"
) -> pd.DataFrame:
    """Read the table of a corpus; of the sound files read the headers only.

    Args:
        name: one of `CORPORA`, or a table of one's own, see `own`.
        root: the folder of the corpus; without it, what is built in is made in the cache folder,
            and the paths of a table are relative to its own folder.
        labels: "hap", or "hap+exc" to count IEMOCAP's excited utterances as happy.

    Returns:
        One row an utterance, sorted by utterance, with utterance, speaker, emotion (neutral, happy,
        sad or angry), path, samples (the length at 16 kHz); `attrs` has the
        name as `corpus`, which speakers are `women` where it tells, and in words which utterances
        of a table of one's own were `left_out`.

    Raises:
        ReproError: the name is unknown, the folder is not that corpus, or a file is unusable.
    """
    table = to_table(name_of(name), list_utterances(name, root, labels))
    table.attrs["women"] = record_of(name).women
    table.attrs["left_out"] = own.left_out(name) if own.file_of(name) else ""
    return table


def at_hand(name: str, root: str | Path | None) -> bool:
    """Tell whether a corpus can be read: it is built in, its table is there, its folder named."""
    file = own.file_of(name)
    return name in BUILT_IN or root is not None or bool(file and os.path.exists(file))


def name_of(corpus: str) -> str:
    """Return the name that a corpus has in results: of a table of one's own that of its file."""
    file = own.file_of(corpus)
    return file.name if file else corpus


def record_of(name: str) -> Corpus:
    """Return the record of a corpus.

    Raises:
        ReproError: there is none of this name.
    """
    if own.file_of(name):
        return own.record(name)
    if name not in CORPORA:
        raise ReproError(
            f"unknown corpus {name!r}; choose from {', '.join(CORPORA)}, or name a table of your "
            "own such as my.csv (or .tsv, or .jsonl)"
        )
    return CORPORA[name]


def list_utterances(name: str, root: str | Path | None, labels: str = "hap") -> list[Utterance]:
    """Return the labelled utterances of a corpus, without a look at the sound files.

    Raises:
        ReproError: the name is unknown, or the folder is not that corpus.
    """
    corpus = record_of(name)
    if labels not in LABELS:
        raise ReproError(f"unknown labels {labels!r}; choose from {', '.join(LABELS)}")
    if labels != "hap" and name not in IEMOCAP_SHAPED:
        raise NoSuchReadingError(
            f"{corpus.name} has no excited utterances to merge; use labels 'hap'"
        )
    if root is not None:
        folder = expand(Path(str(root)))  # papermill takes a folder called 2024 for a number
    elif corpus.ensure:
        folder = corpus.ensure()
    else:
        hint = f", or get it with `repro corpus fetch {name} DIR`" if corpus.archive else ""
        raise ReproError(f"where is {name}? Give its folder with --root{hint}")
    return corpus.read(folder, labels)
