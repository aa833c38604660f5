"""RAVDESS, the Ryerson Audio-Visual Database of Emotional Speech and Song, from its file names.

A third corpus for the protocol of Section 3.1. `03-01-06-01-02-01-12.wav` is modality, vocal
channel, emotion, intensity, statement, repetition and actor, below `Actor_12`. Kept are speech
(channel 01) and sound alone (modality 03).

S. R. Livingstone and F. A. Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song
(RAVDESS)", PLoS ONE 13(5), 2018.
"""

import re
from functools import partial

from repro.corpora.record import Archive, Corpus
from repro.corpora.table import named_utterances

EMOTION_OF = {"01": "neutral", "03": "happy", "04": "sad", "05": "angry"}
NAME = re.compile(r"03-01-(?P<emotion>\d\d)-\d\d-\d\d-\d\d-(?P<speaker>\d\d)\.(?i:wav)", re.ASCII)


CORPUS = Corpus(
    name="ravdess",
    title="RAVDESS",
    description="two spoken statements, North American English, 24 actors",
    licence="CC BY-NC-SA 4.0",
    read=partial(named_utterances, "RAVDESS", "Actor_*/03-01-01-01-01-01-01.wav", NAME, EMOTION_OF),
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
