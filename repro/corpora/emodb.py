"""EmoDB, the Berlin Database of Emotional Speech, from its file names.

A second corpus for the protocol of Section 3.1. `03a01Fa.wav` is speaker 03, sentence a01, emotion
F (Freude, happiness), version a.

F. Burkhardt, A. Paeschke, M. Rolfes, W. Sendlmeier and B. Weiss, "A database of German emotional
speech", Interspeech 2005.
"""

import re
from functools import partial

from repro.corpora.record import Archive, Corpus
from repro.corpora.table import named_utterances

EMOTION_OF = {"N": "neutral", "F": "happy", "T": "sad", "W": "angry"}
# A copy made on another system may be named in capitals.
NAME = re.compile(
    r"(?P<speaker>\d\d)[a-zA-Z]\d\d(?P<emotion>[WLEAFTN])[a-zA-Z]?\.(?i:wav)", re.ASCII
)


CORPUS = Corpus(
    name="emodb",
    title="EmoDB",
    description="Berlin Database of Emotional Speech, German, ten actors",
    licence="CC0 1.0",
    read=partial(named_utterances, "EmoDB", "wav/03a01Fa.wav", NAME, EMOTION_OF),
    archive=Archive(
        "http://emodb.bilderbar.info/download/download.zip",
        NAME,
        # Of the 535 wav files as first published.
        digest="6dec7e7d536dd1fba897ae935fa4346a157024c3b2271c8befd6eb06ad9613bd",
    ),
    women=frozenset({"08", "09", "13", "14", "16"}),
    published={
        "03": (11, 7, 7, 14),
        "08": (10, 11, 9, 12),
        "09": (9, 4, 4, 13),
        "10": (4, 4, 3, 10),
        "11": (9, 8, 7, 11),
        "12": (4, 2, 4, 12),
        "13": (9, 10, 5, 12),
        "14": (7, 8, 10, 16),
        "15": (11, 6, 4, 13),
        "16": (5, 11, 9, 14),
    },
    training_segments=514,
)
