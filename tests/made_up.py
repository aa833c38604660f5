"""Predictions of made-up networks, as `results.read` gives them."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from repro import paper

EMOTIONS = list(paper.EMOTIONS)
RUN = {"study": "pooling", "variant": "gap", "key": "k", "seed": 0, "preset": "paper"}
RUN |= {"corpus": "emodb", "corpus_hash": "0", "average": "pooled", "held_out": "speaker"}
OTHER = dict(zip(EMOTIONS, [*EMOTIONS[1:], EMOTIONS[0]], strict=True))


def utterances(speakers: int = 10, per_emotion: int = 20) -> pd.DataFrame:
    """A row for each utterance: speaker (as `fold`), emotion, which of them, and a name."""
    of = product([f"{n:02d}" for n in range(speakers)], EMOTIONS, range(per_emotion))
    table = pd.DataFrame(of, columns=["fold", "emotion", "number"])
    return table.assign(utterance=table.index.astype(str))


def answers(table: pd.DataFrame, right: np.ndarray | pd.Series, **run: Any) -> pd.DataFrame:
    """The utterances with the predictions of one run, where wrong of the next emotion."""
    predicted = table["emotion"].where(right, table["emotion"].map(OTHER))
    return table.assign(predicted=predicted, **(RUN | run))
