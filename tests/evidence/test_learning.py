from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from made_up import answers, utterances
from scipy import stats

from repro import paper
from repro.config import Experiment
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
    folds = folds.assign(experiment=[asdict(Experiment())] * len(folds))
    tables = folds, pd.concat(history, ignore_index=True), said
    return Results(*tables, *[pd.DataFrame()] * 3)


def test_how_far_the_networks_got() -> None:
    data = made_up("emodb")
    guess, better = learning.learning(data).to_dict("records")
    assert (guess["variant"], guess["WA"], better["WA"]) == ("2x2", 50, 75)
    assert guess["WA low"] == metrics.majority(data.predictions) == 50 < better["WA low"]
    assert better["loss"] == pytest.approx(np.mean(np.arange(10) / 2))
    assert better["loss of guessing"] == pytest.approx(stats.entropy([0.5, 0.25, 0.25]))
    assert better["steps"] == 400
    assert learning.steps("iemocap", learning.AS_IN_THE_PAPER) == 4950
    shorter = data.history.query("variant != '2x2' or epoch == 1")  # its last epoch is its own
    assert learning.learning(data._replace(history=shorter))["loss"][0] == pytest.approx(4.5)
    [unknown, _] = learning.learning(made_up("somewhere"))["steps"]
    assert np.isnan(unknown)
    few = learning.AS_IN_THE_PAPER["training"] | {"max_segments": 64}
    assert learning.steps("emodb", learning.AS_IN_THE_PAPER | {"training": few}) == paper.EPOCHS
    for change in ("short=drop", "short=drop-training", "tail=pad"):  # give other segments
        other = asdict(Experiment().override(f"front_end.{change}"))
        assert np.isnan(learning.steps("emodb", other))
