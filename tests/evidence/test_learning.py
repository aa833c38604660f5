import numpy as np
import pandas as pd
import pytest
from made_up import RUN
from scipy import stats

from repro import paper
from repro.evidence import learning, metrics
from repro.results import Results


def made_up(corpus: str) -> Results:
    """Ten speakers, two shapes: one always says sad, the other where the fold is odd."""
    emotions = ["sad", "sad", "neutral", "angry"] * 5
    table = pd.DataFrame({"emotion": emotions, "utterance": range(20)})
    parts, folds, history = [], [], []
    for variant in ("2x2", "10x2"):
        training = {"epochs": 50, "batch_size": 64, "max_segments": None}
        run = RUN | {"corpus": corpus, "variant": variant, "key": variant}
        for fold in range(10):
            where = run | {"fold": f"{fold:02d}"}
            right = variant == "10x2" and fold % 2
            predicted = table["emotion"] if right else "sad"
            utterance = f"{fold}-" + table["utterance"].astype(str)
            parts.append(table.assign(predicted=predicted, **where, utterance=utterance))
            folds.append(where | {"experiment": {"training": training}})
            history += [where | {"epoch": e, "loss": fold / e} for e in (1, 2)]
    tables = pd.DataFrame(folds), pd.DataFrame(history), pd.concat(parts, ignore_index=True)
    return Results(*tables, pd.DataFrame(), pd.DataFrame())


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
    [unknown, _] = learning.learning(made_up("somewhere"))["steps"]
    assert np.isnan(unknown)
    assert learning.steps("emodb", learning.AS_IN_THE_PAPER | {"max_segments": 64}) == paper.EPOCHS
