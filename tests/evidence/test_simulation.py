from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from made_up import answers, utterances

from repro import results
from repro.evidence import metrics, simulation
from repro.report.pages import power


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_intervals_are_those_of_the_results(
    seeds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation, "DRAWS", metrics.RESAMPLES)
    right = np.random.default_rng(0).binomial(20, 0.7, (1, seeds, 10))
    table = utterances(10, 20, ["sad"])
    made = [
        answers(table, table["number"] < np.repeat(of, 20), seed=seed)
        for seed, of in enumerate(right[0])
    ]
    [row] = metrics.summary(pd.concat(made)).to_dict("records")
    [[low], [high]] = simulation._intervals(right, 20)
    assert (low, high) == pytest.approx((row["WA low"], row["WA high"]))


def test_each_training_of_a_speaker_has_luck_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = Mock(wraps=simulation._intervals)
    monkeypatch.setattr(simulation, "_intervals", trained)
    simulation.coverage(speakers=(10,), spreads=(0.0,), runs=400)
    right, per_speaker = trained.call_args.args  # of two seeds
    accuracy = 100 / per_speaker * right
    of_utterances = 100**2 * simulation.ACCURACY * (1 - simulation.ACCURACY) / per_speaker
    assert accuracy.var() == pytest.approx(simulation.LUCK**2 + of_utterances, rel=0.1)
    of_seeds = accuracy[:, 0].ravel(), accuracy[:, 1].ravel()
    assert abs(np.corrcoef(*of_seeds)[0, 1]) < 0.1


def test_only_intervals_over_speakers_keep_their_word_when_speakers_differ() -> None:
    held = simulation.coverage(speakers=(10,), spreads=(0.0, 10.0), runs=400)
    alike, unlike = held.to_dict("records")
    for row in (alike, unlike):
        assert 92 <= row["bootstrap, 1 seed (%)"] <= 98
        assert 92 <= row["bootstrap, 2 seeds (%)"] <= 98
    assert alike["Wilson (%)"] > 85 > 75 > unlike["Wilson (%)"]


def test_a_gain_is_found_the_more_often_the_larger_it_and_the_corpus_are() -> None:
    sizes = {"small": (10, 30), "large": (10, 300)}
    found = simulation.power(sizes, gains=(0.0, 2.0, 8.0), runs=100)
    small, large = (found[found["experiment"] == name] for name in sizes)
    assert small["found"].is_monotonic_increasing and large["found"].is_monotonic_increasing
    assert (large["found"].to_numpy()[1:] >= small["found"].to_numpy()[1:]).all()
    nothing = found[found["gain"] == 0]
    assert (nothing["found"] <= 8).all() and (nothing["wrong"] <= 8).all()
    assert large["found"].iloc[-1] == 100


def test_power_depends_on_how_the_systems_differ() -> None:
    sizes = {"emodb": (10, 34)}
    differing = (simulation.Disagreement(*of) for of in ((0.1, 2.0), (0.3, 2.0), (0.1, 8.0)))
    little, often, unlike = (
        simulation.power(sizes, each, gains=(4.0,), runs=200)["found"].item() for each in differing
    )
    assert little > often + 10 and little > unlike + 10
    alike = simulation.power(sizes, simulation.Disagreement(0, 0), gains=(0.0, 4.0), runs=50)
    assert alike["found"].to_list() == [0, 100]


def test_the_answer_tells_the_gain_of_the_paper_in_utterances() -> None:
    shares = {"bootstrap": [91.0, 95.0, 94.0], "bootstrap, 2 seeds": [92.4, 94.6, 94.0]}
    held = pd.DataFrame({"speakers": [5, 10, 10], "Wilson": [0.0, 1.0, 2.0]} | shares)
    found = pd.DataFrame({"experiment": "IEMOCAP", "gain": [1.0, 2.0], "found": [10.0, 90.0]})
    errors = pd.DataFrame({"experiment": "IEMOCAP", "below 0 (%)": [2.4, 6.5]})
    said = power.answer(held, errors, found).data
    assert "wholly below 0 in 2.4 to 6.5 in a hundred experiments of the size of IEMOCAP;" in said
    assert said.startswith("The paper's gain of attention over average pooling is 0.4 points of WA")
    assert (
        "\n\nOf simulated intervals, 94 to 95 in a hundred with 10 speakers and 91 to 92 in a "
        "hundred with 5 speakers hold the truth. " in said
    )
    assert "between 1 and 2 points" in said and "9 of IEMOCAP's 2,280 utterances" in said


def made_up(
    differing: simulation.Disagreement, speakers: int, per_speaker: int, seeds: int = 1
) -> pd.DataFrame:
    """Predictions of two systems, of which one is 5 points better."""
    rng = np.random.default_rng(0)
    table, parts = utterances(speakers, per_speaker, ["sad"]), []
    for seed in range(seeds):
        gains = 0.05 + differing.spread / 100 * rng.standard_normal(speakers)
        draws = rng.random(len(table))
        better = draws < (differing.discordant + np.repeat(gains, per_speaker)) / 2
        worse = ~better & (draws < differing.discordant)
        parts += [answers(table, ~worse, variant="a", seed=seed)]
        parts += [answers(table, ~better, variant="b", seed=seed)]
    return pd.concat(parts).sample(frac=1, random_state=0)


def test_the_differences_of_made_up_experiments_are_those_of_the_results() -> None:
    differing = simulation.Disagreement(0.3, 4.0)
    sizes = np.full((60, 1), 60)
    values, low, high = simulation.differences(sizes, differing, 5.0, runs=200)
    assert values.mean() == pytest.approx(5.0, abs=0.5)
    assert 0.9 <= ((low < 5) & (high > 5)).mean() <= 0.99
    table = made_up(differing, 60, 60)
    seen = metrics.difference(table, "b", "a")
    assert (high - low).mean() == pytest.approx(seen.high - seen.low, rel=0.25)
    # A rare emotion counts in UA as much as a common one does.
    uneven = np.tile([120, 40, 40, 8], (10, 1))
    of_ua, of_wa = (
        np.subtract(*simulation.differences(each, differing, 5.0, runs=100)[2:0:-1]).mean()
        for each in (uneven, uneven.sum(1, keepdims=True))
    )
    assert of_ua > 1.2 * of_wa


def test_what_would_be_found_elsewhere() -> None:
    parts = [
        made_up(simulation.Disagreement(0.2, 2.0), 10, 200).replace({"variant": names})
        for names in ({"a": "attention", "b": "gap"}, {"a": "other", "b": "bilinear"})
    ]
    table = pd.concat(parts).query("variant != 'other'")
    found = simulation.outlook(table, np.full((10, 4), 50), runs=100)
    assert len(found) == 6
    wa = found.iloc[0]
    assert (wa["one"], wa["other"], wa["score"]) == ("attention", "gap", "WA")
    assert wa["paper"] == pytest.approx(0.40) and found["paper"][1] == pytest.approx(0.52)
    seen = metrics.difference(table, "attention", "gap")
    assert tuple(wa[["here", "here low", "here high"]]) == pytest.approx(tuple(seen))
    assert wa["here above"] > 60 > 10 > wa["paper above"] and wa["here below"] == 0
    # What is needed is found in half of all experiments in which it is the truth.
    differing = simulation.disagreement(table, "attention", "gap")
    assert differing is not None
    _, low, _ = simulation.differences(np.full((10, 1), 200), differing, wa["needed"], runs=400)
    assert (low > 0).mean() == pytest.approx(0.5, abs=0.1)
    larger = simulation.outlook(table, np.full((40, 4), 50), runs=100)
    assert (larger["needed"] < found["needed"]).all()
    assert simulation.outlook(table[table["fold"] < "04"], np.full((10, 4), 50)).empty


def test_gains_of_a_few_speakers_are_missed_more_often_than_an_interval_says() -> None:
    found = simulation.errors({"large": (10, 400)}, simulation.Disagreement(0.2, 8.0), runs=1000)
    assert list(found["gains of speakers"]) == ["evenly", "a few far above"]
    even, skewed = found.iloc[0, 2:], found.iloc[1, 2:]
    assert ((even > 1) & (even < 4.5)).all()
    assert skewed["below 0 (%)"] > 4.5 and skewed["above 0 (%)"] < 2


@pytest.mark.parametrize("spread", [0.0, 4.0, 8.0])
def test_disagreement_is_measured_without_what_chance_adds(spread: float) -> None:
    truth = simulation.Disagreement(0.3, spread)
    found = simulation.disagreement(made_up(truth, 100, 40, seeds=2), "a", "b")
    assert found is not None
    assert found.discordant == pytest.approx(0.3, abs=0.02)
    assert found.spread == pytest.approx(spread, abs=2.5 if spread == 0 else 1.5)


def test_nothing_is_measured_where_there_is_too_little() -> None:
    table = made_up(simulation.ASSUMED, 5, 20)
    assert simulation.disagreement(table, "a", "b") is not None
    for less in (
        results.tables([]).predictions,
        table[table["variant"] == "a"],
        table[table["fold"] < "04"],
        table[(table["variant"] == "a") | (table["fold"] < "04")],  # one is not finished
        table.groupby(["variant", "fold"]).head(1),
        table.assign(held_out="random"),
    ):
        assert simulation.disagreement(less, "a", "b") is None
