"""CREMA-D, the Crowd-sourced Emotional Multimodal Actors Dataset, from its file names.

A corpus of many speakers for the protocol of Section 3.1, see `protocol.folds=speaker-groups`.
`1001_DFA_ANG_XX.wav` is actor 1001, sentence DFA, emotion ANG (anger), intensity XX (unspecified).

H. Cao, D. G. Cooper, M. K. Keutmann, R. C. Gur, A. Nenkova and R. Verma, "CREMA-D: Crowd-sourced
Emotional Multimodal Actors Dataset", IEEE Transactions on Affective Computing 5(4), 2014.
"""

import re
from functools import partial

from repro.corpora.record import Corpus
from repro.corpora.table import named_utterances

EMOTION_OF = {"NEU": "neutral", "HAP": "happy", "SAD": "sad", "ANG": "angry"}
NAME = re.compile(
    r"(?P<speaker>1\d{3})_[A-Z]{3}_(?P<emotion>[A-Z]{3})_[A-Z]{1,2}\.(?i:wav)", re.ASCII
)
# Of the 91 actors, as the makers' table of demographics has it.
WOMEN = (
    "1002 1003 1004 1006 1007 1008 1009 1010 1012 1013 1018 1020 1021 1024 1025 1028 1029 1030 "
    "1037 1043 1046 1047 1049 1052 1053 1054 1055 1056 1058 1060 1061 1063 1072 1073 1074 1075 "
    "1076 1078 1079 1082 1084 1089 1091"
)
# As the file names of the makers' repository have it: twelve sentences, one of them also at three
# intensities; five actors have fewer.
PUBLISHED = {str(actor): (12, 14, 14, 14) for actor in range(1001, 1092)}
PUBLISHED |= dict.fromkeys(("1008", "1009", "1019"), (11, 13, 13, 13))
PUBLISHED |= dict.fromkeys(("1002", "1076"), (11, 14, 14, 14))


CORPUS = Corpus(
    name="cremad",
    title="CREMA-D",
    description="twelve sentences, American English, 91 actors",
    licence="ODbL 1.0",
    read=partial(named_utterances, "CREMA-D", "AudioWAV/1001_DFA_ANG_XX.wav", NAME, EMOTION_OF),
    women=frozenset(WOMEN.split()),
    published=PUBLISHED,
)
