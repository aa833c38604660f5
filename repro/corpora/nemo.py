"""nEMO, emotional speech in Polish, from its file names.

It has more utterances than the corpus of Section 3.1, and about half as many training segments.
Nine actors say the same ninety sentences in every emotion. `EB0_anger_1.wav` is speaker EB0, anger,
sentence 1.

I. Christop, "nEMO: Dataset of Emotional Speech in Polish", LREC-COLING 2024.
"""

import re
from functools import partial

from repro.corpora.record import Archive, Corpus
from repro.corpora.table import named_utterances

EMOTION_OF = {"neutral": "neutral", "happiness": "happy", "sadness": "sad", "anger": "angry"}
NAME = re.compile(r"(?P<speaker>[A-Z]{2}\d)_(?P<emotion>[a-z]{1,9})_\d\d?\.(?i:wav)", re.ASCII)


CORPUS = Corpus(
    name="nemo",
    title="nEMO",
    description="ninety sentences in every emotion, Polish, nine actors",
    licence="CC BY-NC-SA 4.0",
    read=partial(named_utterances, "nEMO", "samples/EB0_anger_1.wav", NAME, EMOTION_OF),
    archive=Archive(
        "https://github.com/amu-cai/nEMO/archive/66de9999a8f2f605eb5f64841790aa5cb0877782.zip",
        NAME,
        # Of all 4,481 recordings; GitHub may pack them anew at any time.
        digest="be0b63be2fd413cb3f5fee93294dd49f192893eb7e8ba059539fb6616d8f2fbb",
    ),
    rate=24_000,
    women=frozenset({"EB0", "IC0", "KD0", "MK0"}),
    published={
        "EB0": (90, 90, 90, 90),
        "IC0": (90, 90, 90, 90),
        "KD0": (90, 90, 90, 90),
        "KS0": (90, 90, 90, 90),
        "MK0": (90, 90, 90, 90),
        "MP0": (90, 30, 49, 29),
        "SM0": (90, 89, 90, 90),
        "TP0": (90, 90, 90, 90),
        "WR0": (89, 90, 90, 90),
    },
    training_segments=3_760,
)
