"""RAVDESS, the Ryerson Audio-Visual Database of Emotional Speech and Song, from its file names.

A third corpus for the protocol of Section 3.1. `03-01-06-01-02-01-12.wav` is modality, vocal
channel, emotion, intensity, statement, repetition and actor, below `Actor_12`. Kept are speech
(channel 01) and sound alone (modality 03).

S. R. Livingstone and F. A. Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song
(RAVDESS)", PLoS ONE 13(5), 2018.
"""

from __future__ import annotations

import re
from pathlib import Path

from repro.corpora.record import Archive, Corpus
from repro.corpora.table import Utterance, files_in, require_folder
from repro.errors import ReproError

EMOTION_OF = {"01": "neutral", "03": "happy", "04": "sad", "05": "angry"}
NAME = re.compile(r"03-01-(?P<emotion>\d\d)-\d\d-\d\d-\d\d-(?P<actor>\d\d)\.(?i:wav)", re.ASCII)


def utterances(root: Path) -> list[Utterance]:
    """Return the spoken utterances of the four emotions, sorted.

    Args:
        root: the folder of Actor_01 to Actor_24, the folder above it, or one of the actors.

    Raises:
        ReproError: `root` is missing, or holds no spoken utterance of RAVDESS.
    """
    found = []
    for path in _files(root):
        name = NAME.fullmatch(path.name)
        if name and name["emotion"] in EMOTION_OF:
            emotion = EMOTION_OF[name["emotion"]]
            found.append(Utterance(path.stem, name["actor"], emotion, path))
    if not found:
        raise ReproError(f"{root}: no spoken utterance of RAVDESS; give the folder with Actor_01")
    return sorted(found)


def _files(root: Path) -> list[Path]:
    """Return the wav files of the actors' folders that `root` lies in or holds."""
    require_folder(root)
    top = root.resolve().parent if re.fullmatch(r"Actor_\d\d", root.resolve().name) else root
    # The archive unpacks to actors' folders; some copies hold a second set one level deeper.
    for pattern in ("Actor_??", "*/Actor_??"):
        if found := [path for actor in top.glob(f"{pattern}/") for path in files_in(actor)]:
            return found
    return []


CORPUS = Corpus(
    name="ravdess",
    title="RAVDESS",
    description="two spoken statements, North American English, 24 actors",
    licence="CC BY-NC-SA 4.0",
    read=lambda folder, _: utterances(folder),
    archive=Archive(
        "https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip?download=1",
        NAME,
        checksum="md5:bc696df654c87fed845eb13823edef8a",  # as Zenodo gives it
    ),
    rate=48_000,
    channels=2,  # a few are stereo
    women=frozenset(f"{actor:02d}" for actor in range(2, 25, 2)),
    # Follows from the file names; neutral has one intensity, the others have two.
    published={f"{actor:02d}": (4, 8, 8, 8) for actor in range(1, 25)},
)
