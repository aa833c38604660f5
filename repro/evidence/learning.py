"""How far the networks of a study got, in test and in training, and in how many steps."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from repro import paper
from repro.corpora import CORPORA
from repro.evidence import metrics
from repro.results import Results

AS_IN_THE_PAPER = {"epochs": paper.EPOCHS, "batch_size": paper.BATCH_SIZE, "max_segments": None}


def learning(data: Results) -> pd.DataFrame:
    """Return how far the networks of each variant got.

    Args:
        data: of one study on one corpus with one preset.

    Returns:
        `metrics.beside_majority`, a row per variant, with loss (training loss of the last epoch, in
        nats: the median over trainings), loss min and loss max, and loss of guessing (by how common
        each emotion is); steps (of training, of
        one network) and steps of the paper (on IEMOCAP). Steps are NaN for a corpus whose size is
        not known.
    """
    table = metrics.beside_majority(data.predictions)
    training = data.folds.drop_duplicates("variant").set_index("variant")["experiment"]
    corpus, losses = str(data.folds["corpus"].iloc[0]), last_losses(data.history)
    return table.assign(
        **{
            "loss": table["variant"].map(losses["median"]),
            **{f"loss {end}": table["variant"].map(losses[end]) for end in ("min", "max")},
            "loss of guessing": loss_of_guessing(data.predictions),
            "steps": [steps(corpus, training[name]["training"]) for name in table["variant"]],
            "steps of the paper": steps("iemocap", AS_IN_THE_PAPER),
        }
    )


def last_losses(history: pd.DataFrame) -> pd.DataFrame:
    """Return the loss of the last epoch by variant: over trainings, and how many (size)."""
    return (
        last_epochs(history)
        .groupby("variant")["loss"]
        .agg(["mean", "median", "min", "max", "size"])
    )


def last_epochs(history: pd.DataFrame) -> pd.DataFrame:
    """Return the last row of each training."""
    return history.loc[history.groupby(["variant", "fold", "seed"])["epoch"].idxmax()]


def loss_of_guessing(predictions: pd.DataFrame) -> float:
    """Return the loss, in nats, of guessing by how common each emotion is."""
    shares = predictions.drop_duplicates("utterance")["emotion"].value_counts(normalize=True)
    return float(stats.entropy(shares))


def steps(corpus: str, training: Mapping[str, Any]) -> float:
    """Return in how many steps a network is trained, about: folds differ in their segments.

    Args:
        corpus: its name; NaN is returned for one whose number of segments is not known.
        training: settings by name, as a line of results has them.
    """
    if corpus not in CORPORA or not (segments := CORPORA[corpus].training_segments):
        return np.nan
    of_a_fold = segments * (1 - 1 / len(CORPORA[corpus].published))
    batches = min(of_a_fold, training["max_segments"] or math.inf) / training["batch_size"]
    return float(training["epochs"] * math.ceil(batches))
