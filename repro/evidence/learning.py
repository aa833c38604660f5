"""How far the networks of a study got, in test and in training, and in how many steps."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from repro.config import Experiment
from repro.corpora import CORPORA
from repro.evidence import metrics
from repro.results import Results

AS_IN_THE_PAPER = asdict(Experiment())


def learning(data: Results) -> pd.DataFrame:
    """Return how far the networks of each variant got.

    Args:
        data: of one study on one corpus with one preset.

    Returns:
        `metrics.summary`, a row per variant, with loss (training loss of the last epoch, in nats:
        the median over trainings), loss min and loss max, and loss of guessing (by how common each
        emotion is); and steps (of training, of one network), NaN where they are not known.
    """
    table = metrics.summary(data.predictions)
    experiments = data.folds.drop_duplicates("variant").set_index("variant")["experiment"]
    corpus, losses = str(data.folds["corpus"].iloc[0]), last_losses(data.history)
    for column, of in {"loss": "median", "loss min": "min", "loss max": "max"}.items():
        table[column] = table["variant"].map(losses[of])
    table["loss of guessing"] = loss_of_guessing(data.predictions)
    table["steps"] = [steps(corpus, experiments[name]) for name in table["variant"]]
    return table


def last_losses(history: pd.DataFrame) -> pd.DataFrame:
    """Return the loss of the last epoch by variant: over trainings, and how many (size)."""
    losses = last_epochs(history).groupby("variant")["loss"]
    return losses.agg(["mean", "median", "min", "max", "size"])


def last_epochs(history: pd.DataFrame) -> pd.DataFrame:
    """Return the last row of each training."""
    return history.loc[history.groupby(["variant", "fold", "seed"])["epoch"].idxmax()]


def loss_of_guessing(predictions: pd.DataFrame) -> float:
    """Return the loss, in nats, of guessing by how common each emotion is among utterances.

    Training counts segments, among which long utterances weigh more.
    """
    shares = predictions.drop_duplicates("utterance")["emotion"].value_counts(normalize=True)
    return float(stats.entropy(shares))


def steps(corpus: str, experiment: Mapping[str, Any]) -> float:
    """Return in how many steps a network is trained, about: folds differ in their segments.

    Args:
        corpus: its name.
        experiment: as a line of results has it.

    Returns:
        The steps; NaN where the number of segments is not known: of other corpora than those of
        `CORPORA`, and where short utterances or what is left over give other segments.
    """
    front_end, training = experiment["front_end"], experiment["training"]
    others = front_end["short"] in ("drop", "drop-training") or front_end["tail"] == "pad"
    if corpus not in CORPORA or others or not (n := CORPORA[corpus].training_segments):
        return np.nan
    of_a_fold = n * (1 - 1 / len(CORPORA[corpus].published))
    batches = min(of_a_fold, training["max_segments"] or math.inf) / training["batch_size"]
    return float(training["epochs"] * math.ceil(batches))
