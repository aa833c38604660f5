"""IEMOCAP from its original folders: the improvised dialogues that Section 3.1 uses.

    SessionN/dialog/EmoEvaluation/<dialogue>.txt         [start - end] TAB utterance TAB label TAB …
    SessionN/sentences/wav/<dialogue>/<utterance>.wav

`Ses01F_impro04_M003` is said by the man of session 1: the letter after the dialogue's name tells
who speaks. The letter before the first underscore tells who wore the motion-capture markers;
folds built from it would put the same voice on both sides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from repro.corpora.table import Utterance, require_folder
from repro.errors import ReproError

EMOTION_OF = {"neu": "neutral", "hap": "happy", "sad": "sad", "ang": "angry"}
DIALOGUE = re.compile(r"Ses\d\d[FM]_impro\w+")  # also keeps out AppleDouble files, `._Ses….txt`
LINE = re.compile(r"\[[\d.]+ - [\d.]+\]\t(?P<utterance>\S+)\t(?P<label>\w+)\t")
SPEAKER = re.compile(r"(?P<session>Ses\d\d)[FM]_impro\w+_(?P<sex>[FM])\w+")


def utterances(root: Path, labels: str = "hap") -> list[Utterance]:
    """The labelled utterances of the improvised dialogues below `root`, sorted.

    Args:
        root: the folder of Session1 to Session5, the folder above it, or one of the sessions.
        labels: "hap", or "hap+exc" to count excited as happy.

    Raises:
        ReproError: `root` is missing, or has no such utterance.
    """
    emotion_of = EMOTION_OF | ({"exc": "happy"} if labels == "hap+exc" else {})
    found = {}
    for session in _sessions(root):
        for file in sorted((session / "dialog" / "EmoEvaluation").glob("*.txt")):
            if not DIALOGUE.fullmatch(file.stem):
                continue
            for utterance, label in _lines(file):
                speaker = SPEAKER.fullmatch(utterance)
                if speaker and label in emotion_of:
                    path = session / "sentences" / "wav" / file.stem / f"{utterance}.wav"
                    name = speaker["session"] + speaker["sex"]
                    found[utterance] = Utterance(utterance, name, emotion_of[label], path)
    if not found:
        raise ReproError(f"{root}: no improvised utterance of IEMOCAP is labelled in this folder")
    return [found[utterance] for utterance in sorted(found)]


def _sessions(root: Path) -> list[Path]:
    """The session folders of the release that `root` lies in or holds."""
    require_folder(root)
    top = root.resolve().parent if re.fullmatch(r"Session\d", root.resolve().name) else root
    for pattern in ("Session[1-5]", "*/Session[1-5]"):
        found = [folder.parent.parent for folder in top.glob(f"{pattern}/dialog/EmoEvaluation")]
        if found:
            return sorted(found)
    raise ReproError(f"{root}: not IEMOCAP; give the folder with Session1/dialog/EmoEvaluation")


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    """(utterance, label) of each turn in an evaluation file."""
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        if match := LINE.match(line):
            yield match["utterance"], match["label"]
