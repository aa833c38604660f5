"""IEMOCAP's folders with the turns that a test makes up."""

from collections.abc import Iterable
from pathlib import Path

DIALOGUE = "Ses01F_impro04"
HEAD = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
RATINGS = "C-E2:\tNeutral;\t()\nA-E3:\tval 3; act 2; dom  2;\t()\n\n"


def turn(utterance: str = f"{DIALOGUE}_M003", label: str = "neu") -> str:
    """The line of an utterance, without what each rater said of it."""
    return f"[6.2901 - 8.2357]\t{utterance}\t{label}\t[2.5000, 2.5000, 2.5000]\n"


def label_file(root: Path, session: int | str = 1, dialogue: str = DIALOGUE) -> Path:
    """Where the evaluation of a dialogue lies; its folder is made."""
    folder = root / f"Session{session}" / "dialog" / "EmoEvaluation"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{dialogue}.txt"


def write(root: Path, turns: Iterable[tuple[str, str]]) -> list[Path]:
    """Writes the evaluation files of (utterance, label) turns; gives the paths of their sound."""
    texts: dict[Path, str] = {}
    wavs = []
    for utterance, label in turns:
        dialogue = utterance.rpartition("_")[0]
        file = label_file(root, dialogue[4], dialogue)
        texts[file] = texts.get(file, HEAD) + turn(utterance, label) + RATINGS
        sounds = root / f"Session{dialogue[4]}" / "sentences" / "wav"
        wavs.append(sounds / dialogue / f"{utterance}.wav")
    for file, text in texts.items():
        file.write_text(text, encoding="utf-8")
    return wavs
