"""The text-to-speech child of `synthetic`: JSON orders on stdin, sounds on stdout.

eSpeak keeps some state from one utterance to the next, so that the same order gives other samples
the second time. A fresh process for each list of orders makes its sounds the same for ever. This
file is run by its path and imports nothing of the package, so it starts fast. The sounds keep
eSpeak's own rate, 22,050 Hz: Praat's resampling takes four times as long as the speech itself.
"""

import io
import json
import sys

import numpy as np
from parselmouth.praat import call


def speak(
    accent: str, variant: str, pitch: float, pitch_range: float, words_per_minute: int, text: str
) -> np.ndarray:
    """float32 [samples] of one sentence; pitch and its range are multiples of the voice's own."""
    voice = call("Create SpeechSynthesizer", accent, variant)
    settings = (22_050, 0.01, pitch, pitch_range, words_per_minute, "IPA")
    call(voice, "Speech output settings...", *settings)
    sound = call(voice, "To Sound", text, "no")
    sound = sound[0] if isinstance(sound, list) else sound
    return sound.values[0].astype(np.float32)


def main() -> None:
    """Answer every order, in turn, with one array in NumPy's format."""
    for order in json.load(sys.stdin):
        answer = io.BytesIO()
        np.save(answer, speak(**order))
        sys.stdout.buffer.write(answer.getvalue())


if __name__ == "__main__":
    main()
