"""IEMOCAP's folders with the turns that a test makes up."""

from collections.abc import Iterable
from pathlib import Path


def write(root: Path, turns: Iterable[tuple[str, str]]) -> list[Path]:
    """Writes the evaluation files of (utterance, label) turns; gives the paths of their sound."""
    texts: dict[Path, str] = {}
    wavs = []
    for utterance, label in turns:
        dialogue = utterance.rpartition("_")[0]
        session = root / f"Session{dialogue[4]}"
        file = session / "dialog" / "EmoEvaluation" / f"{dialogue}.txt"
        head = texts.get(file, "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n")
        line = f"[6.2901 - 8.2357]\t{utterance}\t{label}\t[2.5000, 2.5000, 2.5000]\n"
        texts[file] = head + line + "C-E2:\tNeutral;\t()\nA-E3:\tval 3; act 2; dom  2;\t()\n\n"
        wavs.append(session / "sentences" / "wav" / dialogue / f"{utterance}.wav")
    for file, text in texts.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return wavs
