"""IEMOCAP from its original folders: the improvised dialogues that Section 3.1 uses.

`SessionN/dialog/EmoEvaluation/<dialogue>.txt`
    a line for each turn: `[start - end] TAB utterance TAB label TAB …`
`SessionN/sentences/wav/<dialogue>/<utterance>.wav`
    what is said in it

`Ses01F_impro04_M003` is said by the man of session 1: the letter after the dialogue's name tells
who speaks. The letter before the first underscore tells who wore the motion-capture markers;
folds built from it would put the same voice on both sides.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from repro import files
from repro.corpora.record import Corpus
from repro.corpora.table import Utterance, files_in, require_folder
from repro.errors import ReproError

EMOTION_OF = {"neu": "neutral", "hap": "happy", "sad": "sad", "ang": "angry"}
# Also keeps out AppleDouble files, `._Ses….txt`.
DIALOGUE = re.compile(r"(?P<session>Ses\d\d)[FM]_impro\w+\.(?i:txt)", re.ASCII)
LINE = re.compile(r"\[[\d.]+ - [\d.]+\]\t(?P<utterance>\S+)\t(?P<label>\w{1,20})\t", re.ASCII)
TURN = re.compile(r"_(?P<sex>[FM])\w{1,20}", re.ASCII)  # follows the dialogue's name
WOMEN = frozenset(f"Ses{session:02d}F" for session in range(1, 6))


def utterances(root: Path, labels: str = "hap") -> list[Utterance]:
    """Return the labelled utterances of the improvised dialogues below `root`, sorted.

    Args:
        root: the folder of Session1 to Session5, the folder above it, or one of the sessions.
        labels: "hap", or "hap+exc" to count excited as happy.

    Raises:
        ReproError: `root` is missing or has no such utterance, or an evaluation file cannot be
            read as one or contradicts another.
    """
    emotion_of = EMOTION_OF | ({"exc": "happy"} if labels == "hap+exc" else {})
    labelled: dict[str, str] = {}
    found = {}
    for session in _sessions(root):
        for file in files_in(session / "dialog" / "EmoEvaluation", ".txt"):
            if not (dialogue := DIALOGUE.fullmatch(file.name)):
                continue
            wavs = session / "sentences" / "wav" / file.stem
            # A copy made on another system may have its names in capitals.
            there = files_in(wavs) if os.path.isdir(wavs) else []
            present = {path.name.lower(): path for path in there}
            for turn, label in _lines(file):
                utterance = f"{file.stem}{turn[0]}"
                if labelled.setdefault(utterance, label) != label:
                    raise ReproError(
                        f"{file}: {utterance} is labelled {label}, and {labelled[utterance]} "
                        "before; replace the file that is wrong"
                    )
                if label in emotion_of:
                    path = wavs / f"{utterance}.wav"
                    path = present.get(path.name.lower(), path)
                    name = dialogue["session"] + turn["sex"]
                    found[utterance] = Utterance(utterance, name, emotion_of[label], path)
    if not found:
        raise ReproError(f"{root}: no improvised utterance of IEMOCAP is labelled in this folder")
    return [found[utterance] for utterance in sorted(found)]


def _sessions(root: Path) -> list[Path]:
    """Return the session folders of the release that `root` lies in or holds."""
    require_folder(root)
    top = root.resolve().parent if re.fullmatch(r"Session\d", root.resolve().name) else root
    for pattern in ("Session[1-5]", "*/Session[1-5]"):
        found = [folder.parent.parent for folder in top.glob(f"{pattern}/dialog/EmoEvaluation")]
        if found:
            return sorted(found)
    raise ReproError(f"{root}: not IEMOCAP; give the folder with Session1/dialog/EmoEvaluation")


def _lines(file: Path) -> Iterator[tuple[re.Match[str], str]]:
    """Return what follows the dialogue's name, and the label, of each turn in an evaluation file.

    Raises:
        ReproError: the file cannot be read, has no turn, or one that is cut off or another's.
    """
    turns, text = 0, files.read(file, "replace it").decode("utf-8-sig", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("["):
            continue  # the heading, and what single evaluators said
        match = LINE.match(line)
        name = match["utterance"] if match else ""
        turn = TURN.fullmatch(name.removeprefix(file.stem))
        if not match or not turn or not name.startswith(file.stem):
            raise ReproError(
                f"{file}, line {number}: not a turn of this dialogue; replace the file"
            )
        turns += 1
        yield turn, match["label"]
    if not turns:
        raise ReproError(f"{file}: no turn of a dialogue in this file; replace it")


CORPUS = Corpus(
    name="iemocap",
    title="IEMOCAP",
    description="improvised dialogues of ten actors, English, the paper's corpus",
    licence="its makers' release form",
    read=utterances,
    women=WOMEN,
    published={
        "Ses01F": (119, 18, 43, 37),
        "Ses01M": (104, 15, 61, 25),
        "Ses02F": (90, 25, 63, 7),
        "Ses02M": (127, 29, 37, 15),
        "Ses03F": (95, 39, 108, 22),
        "Ses03M": (103, 21, 82, 68),
        "Ses04F": (51, 10, 41, 47),
        "Ses04M": (123, 21, 40, 37),
        "Ses05F": (151, 56, 73, 18),
        "Ses05M": (136, 50, 60, 13),
    },
    training_segments=7_039,
)
