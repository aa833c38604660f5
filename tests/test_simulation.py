from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from repro import metrics, simulation


def test_the_intervals_are_those_of_the_results() -> None:
    rng = np.random.default_rng(0)
    right = rng.binomial(20, 0.7, (1, 10))
    rows = [
        {"fold": f"{speaker:02d}", "utterance": f"{speaker}-{i}", "predicted": answer}
        for speaker, count in enumerate(right[0])
        for i, answer in enumerate(["sad"] * count + ["angry"] * (20 - count))
    ]
    run = {"corpus": "c", "corpus_hash": "0", "preset": "p", "key": "k", "variant": "v"}
    table = pd.DataFrame(rows).assign(**run, emotion="sad", seed=0, average="pooled")
    [row] = metrics.summary(table).to_dict("records")
    [(low, high)] = simulation._intervals(right, 20)
    assert (low, high) == pytest.approx((row["WA low"], row["WA high"]))


def test_only_intervals_over_speakers_keep_their_word_when_speakers_differ() -> None:
    held = simulation.coverage(speakers=(10,), spreads=(0.0, 10.0), runs=200)
    alike, unlike = held.to_dict("records")
    for row in (alike, unlike):
        assert 90 <= row["bootstrap over speakers (%)"] <= 99
    assert alike["Wilson (%)"] > 90 > 80 > unlike["Wilson (%)"]


def test_a_gain_is_found_the_more_often_the_larger_it_and_the_corpus_are() -> None:
    sizes = {"small": (10, 30), "large": (10, 300)}
    found = simulation.power(sizes, gains=(0.0, 2.0, 8.0), runs=100)
    small, large = (found[found["experiment"] == name] for name in sizes)
    assert small["found"].is_monotonic_increasing and large["found"].is_monotonic_increasing
    assert (large["found"].to_numpy()[1:] >= small["found"].to_numpy()[1:]).all()
    nothing = found[found["gain"] == 0]
    assert (nothing["found"] <= 8).all() and (nothing["wrong"] <= 8).all()
    assert large["found"].iloc[-1] == 100
