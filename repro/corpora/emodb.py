"""EmoDB, the Berlin Database of Emotional Speech, from its file names.

A second corpus for the protocol of Section 3.1. `03a01Fa.wav` is speaker 03, sentence a01, emotion
F (Freude, happiness), version a.

F. Burkhardt, A. Paeschke, M. Rolfes, W. Sendlmeier and B. Weiss, "A database of German emotional
speech", Interspeech 2005.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from repro.corpora.table import Utterance, files_in, require_folder
from repro.errors import ReproError

# How well people do, as far as the abstract of the article above says it: its makers chose, for
# phonetic labelling, the utterances whose emotion more than so many per cent of the listeners
# recognised, and which more than so many judged natural. The release holds those.
LISTENERS_RECOGNISED, LISTENERS_NATURAL = 80, 60
EMOTION_OF = {"N": "neutral", "F": "happy", "T": "sad", "W": "angry"}
NAME = re.compile(
    r"(?P<speaker>\d\d)(?P<sentence>[a-z]\d\d)(?P<emotion>[WLEAFTN])(?P<version>[a-z]?)\.wav",
    re.ASCII | re.IGNORECASE,  # a copy made on another system may be in capitals, in part or whole
)


def utterances(root: Path) -> list[Utterance]:
    """Return the utterances of the four emotions, sorted.

    Args:
        root: the folder of the wav files, or the one above it, which holds it as `wav`.

    Raises:
        ReproError: `root` is missing, or no file in it is named as EmoDB names its files.
    """
    require_folder(root)
    for folder in (root / "wav", root):
        files = files_in(folder) if os.path.isdir(folder) else []
        found = []
        for path in files:
            name = NAME.fullmatch(path.name)
            if name and (emotion := EMOTION_OF.get(name["emotion"].upper())):
                of_speaker = name["speaker"] + name["sentence"].lower()
                utterance = of_speaker + name["emotion"].upper() + name["version"].lower()
                found.append(Utterance(utterance, name["speaker"], emotion, path))
        if found:
            return found
    raise ReproError(f"{root}: not EmoDB; give the folder that holds wav/03a01Fa.wav and the rest")
