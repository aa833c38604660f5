import numpy as np
import pandas as pd
import pytest
from made_up import answers, utterances
from scipy import stats

from repro import paper
from repro.evidence import learning, metrics
from repro.results import Results


def made_up(corpus: str) -> Results:
    """Ten speakers, two shapes: one always says sad, the other where the fold is odd."""
    table = utterances(10, 5).replace({"emotion": {"happy": "sad"}})
    every = np.full(len(table), True)
    parts = [answers(table, every, variant=v, key=v, corpus=corpus) for v in ("2x2", "10x2")]
    said = pd.concat(parts, ignore_index=True)
    right = (said["variant"] == "10x2") & (said["fold"].astype(int) % 2 == 1)
    said["predicted"] = said["predicted"].where(right, "sad")
    folds = said.drop_duplicates(["variant", "fold"])
    history = [folds.assign(epoch=e, loss=folds["fold"].astype(int) / e) for e in (1, 2)]
    training = {"epochs": 50, "batch_size": 64, "max_segments": None}
    folds = folds.assign(experiment=[{"training": training}] * len(folds))
    tables = folds, pd.concat(history, ignore_index=True), said
    return Results(*tables, *[pd.DataFrame()] * 3)


def test_how_far_the_networks_got() -> None:
    data = made_up("emodb")
    guess, better = learning.learning(data).to_dict("records")
    assert (guess["variant"], guess["WA"], guess["above"]) == ("2x2", 50, 0)
    assert guess["above low"] == guess["WA low"] - 50 == 0
    assert better["above"] == better["WA"] - metrics.majority(data.predictions) == 25
    assert better["above low"] == better["WA low"] - 50 > 0
    assert better["loss"] == pytest.approx(np.mean(np.arange(10) / 2))
    assert better["loss of guessing"] == pytest.approx(stats.entropy([0.5, 0.25, 0.25]))
    assert (better["steps"], better["steps of the paper"]) == (400, 4950)
    shorter = data.history.query("variant != '2x2' or epoch == 1")  # its last epoch is its own
    assert learning.learning(data._replace(history=shorter))["loss"][0] == pytest.approx(4.5)
    [unknown, _] = learning.learning(made_up("somewhere"))["steps"]
    assert np.isnan(unknown)
    assert learning.steps("emodb", learning.AS_IN_THE_PAPER | {"max_segments": 64}) == paper.EPOCHS
