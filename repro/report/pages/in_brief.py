"""The page "The paper in one page": its settings, its accuracies and its claims as tables."""

from __future__ import annotations

import pandas as pd

from repro import paper
from repro.config import Experiment


def settings(experiment: Experiment) -> pd.DataFrame:
    """List the settings of training and test, as a reader would say them."""
    training, protocol = experiment.training, experiment.protocol
    cuts = ", ".join(str(epoch) for epoch in training.milestones)
    rows = {
        "folds": f"{paper.FOLDS}: one {protocol.folds} held out in each",
        "segments": f"{paper.SEGMENT_SECONDS:g} s, {paper.TRAIN_HOP_SECONDS:g} s apart in training "
        f"and {paper.TEST_HOP_SECONDS:g} s in test",
        "optimiser": f"Nesterov momentum {training.momentum:g}, "
        f"weight decay {training.weight_decay:g}",
        "batch": f"{training.batch_size} segments",
        "epochs": f"{training.epochs}, tested after the {protocol.epoch}",
        "learning rate": f"{training.learning_rate:g}, times {paper.RATE_CUT:g} at epochs {cuts}",
        "class weights": training.class_weights,
    }
    return pd.DataFrame(rows.items(), columns=["setting", "value"])


def published() -> pd.DataFrame:
    """List the published accuracies of Table 1, the lowest UA first."""
    rows = [("earlier work", p.name, p.wa, p.ua) for p in paper.TABLE_1_EARLIER]
    rows += [("the paper", p.name, p.wa, p.ua) for p in paper.TABLE_1.values()]
    return pd.DataFrame(rows, columns=["source", "model", "WA", "UA"]).sort_values("UA")


def claimed() -> pd.DataFrame:
    """List the claims of the paper that can be tested."""
    return pd.DataFrame([(c.section, c.text) for c in paper.CLAIMS], columns=["section", "claim"])
