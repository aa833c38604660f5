from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny_corpus
from made_up import file_of, predictions, utterances

from repro import config, crossval, paper, results
from repro.report.pages import poolings
from repro.study import baselines, grids
from repro.study.plan import Run
from repro.study.read import held
from repro.study.run import run as train

RATE = paper.SAMPLE_RATE


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_corpus.write(tmp_path_factory.mktemp("corpus") / "emodb", ["03", "08", "09"])


@pytest.fixture(scope="module")
def fitted(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("results") / "r.jsonl"
    assert run(corpus, path) == 6
    return path


def run(corpus: Path, path: Path, **changes: Any) -> int:
    settings = {"corpus": "emodb", "root": corpus, "preset": "quick", "results": path}
    return train(Run("baselines", **(settings | changes)))


def voice(hertz: float, seconds: float = 1.0, level: float = 0.1) -> np.ndarray:
    """A buzz with the harmonics of a voice."""
    t = np.arange(round(seconds * RATE)) / RATE
    harmonics = np.arange(1, int(4000 / hertz))[:, None]
    return level * (np.sin(2 * np.pi * harmonics * hertz * t) / harmonics).sum(0)


# Statistics --------------------------------------------------------------------------------------


def test_statistics_measure_what_they_are_called() -> None:
    low, high = (baselines.statistics(voice(hertz)) for hertz in (110, 220))
    assert low["duration"] == pytest.approx(1.0) and low["voiced"] > 0.8
    assert low["pitch mean"] == pytest.approx(12 * np.log2(110), abs=0.1)
    assert high["pitch mean"] - low["pitch mean"] == pytest.approx(12, abs=0.1)
    assert low["pitch deviation"] < 0.1 and low["jitter"] < 0.01 and low["shimmer"] < 0.05
    louder = baselines.statistics(voice(110, level=0.2))
    twice = louder["loudness mean"] - low["loudness mean"]
    assert twice == pytest.approx(20 * np.log10(2), abs=0.1)
    noise = np.random.default_rng(0).normal(0, 0.1, RATE)
    dull = np.convolve(noise, np.ones(16) / 16, "same")
    assert baselines.statistics(dull)["tilt"] > baselines.statistics(noise)["tilt"] + 10
    assert baselines.statistics(noise)["harmonicity mean"] < 5 < low["harmonicity mean"]


def test_a_pause_has_no_loudness_and_is_no_change_of_pitch() -> None:
    low, high, pause = voice(110), voice(220), np.zeros(RATE // 2)
    alone, found = map(baselines.statistics, (low, np.concatenate([low, pause, high])))
    # The edges of the pause fade; digital silence would weigh -300 dB.
    assert found["loudness mean"] == pytest.approx(alone["loudness mean"], abs=3)
    assert found["pitch range"] > 11 and found["pitch change range"] < 0.1
    assert found["pitch change deviation"] < 0.1, "an octave was counted as one step of 10 ms"


@pytest.mark.parametrize("sound", [np.zeros(RATE), np.zeros(1), voice(200, 0.02), np.ones(RATE)])
def test_silence_and_shreds_have_the_same_statistics_some_of_them_none(sound: np.ndarray) -> None:
    found = baselines.statistics(sound)
    assert list(found) == list(baselines.statistics(voice(150)))
    assert all(np.isnan(value) or np.isfinite(value) for value in found.values())
    assert found["duration"] == len(sound) / RATE


# Systems -----------------------------------------------------------------------------------------


def made_up(emotions: list[str]) -> pd.DataFrame:
    names = [f"u{i:02d}" for i in range(len(emotions))]
    return pd.DataFrame({"utterance": names, "emotion": emotions})


def test_the_majority_is_that_of_the_training_speakers() -> None:
    table = made_up(["sad", "sad", "angry", "neutral", "neutral", "neutral"])
    fold = crossval.Fold("x", np.array([0, 1, 2]), np.array([3, 4, 5]))
    features = np.arange(6.0)[:, None]  # which it has no use for
    found = baselines.predict(baselines.MAJORITY, table, features, fold)
    assert found["utterance"].to_list() == ["u03", "u04", "u05"]
    assert found[list(paper.EMOTIONS)].idxmax(axis=1).unique() == ["sad"]
    assert found[list(paper.EMOTIONS)].iloc[0].to_list() == pytest.approx([0, 0, 2 / 3, 1 / 3])


def test_the_classifier_learns_from_the_training_speakers_alone() -> None:
    emotions = ["neutral", "sad"] * 20
    table = made_up(emotions)
    features = np.random.default_rng(0).normal(size=(40, 3))
    features[:, 1] += [5.0 * (emotion == "sad") for emotion in emotions]
    features[3, 0] = np.nan
    fold = crossval.Fold("x", np.arange(30), np.arange(30, 40))
    found = baselines.predict(baselines.CLASSIFIER, table, features, fold)
    scores = found[list(paper.EMOTIONS)]
    assert (scores.idxmax(axis=1) == found["emotion"]).all()
    assert np.allclose(scores.sum(axis=1), 1) and (scores[["happy", "angry"]] == 0).all(axis=None)
    # The labels of the test speaker are not looked at.
    blind = table.assign(emotion=emotions[:30] + ["angry"] * 10)
    again = baselines.predict(baselines.CLASSIFIER, blind, features, fold)
    assert again[list(paper.EMOTIONS)].equals(scores)


# The study ---------------------------------------------------------------------------------------


def test_lines_are_those_of_a_study(fitted: Path, corpus: Path) -> None:
    records = results.read_lines(fitted)
    folds = list(product((baselines.MAJORITY, baselines.CLASSIFIER), ("03", "08", "09")))
    assert [(r["variant"], r["fold"]) for r in records] == folds
    table = tiny_corpus.table(corpus)
    for record in records:
        assert record["history"] == []
        tested = table[table["speaker"] == record["fold"]]
        assert record["predictions"]["utterance"] == tested["utterance"].to_list()
        assert record["experiment"]["network"]["stems"] == []
    tables = results.read(fitted)
    assert len(tables.predictions) == 2 * len(table) and tables.history.empty
    right = tables.predictions.eval("predicted == emotion")
    accuracy = right.groupby(tables.predictions["variant"]).mean()
    assert accuracy[baselines.MAJORITY] == 0.25 and accuracy[baselines.CLASSIFIER] > 0.5


def test_a_second_run_fits_nothing_and_one_variant_is_no_stand_in_for_the_other(
    fitted: Path, corpus: Path, path: Path
) -> None:
    assert run(corpus, fitted) == 0
    records = results.read_lines(fitted)
    file_of(path, *records[:3])
    assert run(corpus, path) == 3
    scores = [record["predictions"] for record in results.read_lines(path)]
    assert scores == [record["predictions"] for record in records]


@pytest.mark.parametrize(
    ("setting", "tested"),
    [
        ("front_end.short=drop", 12),
        ("front_end.short=drop-test", 12),
        ("protocol.score=logits", 24),
    ],
)
def test_what_is_counted_is_fit_once(corpus: Path, path: Path, setting: str, tested: int) -> None:
    how: dict[str, Any] = {"only": baselines.MAJORITY, "preset": f"quick, {setting}"}
    assert [run(corpus, path, **how) for _ in range(2)] == [3, 0]
    found = held(Run("baselines", "emodb", corpus, results=path, **how))
    assert len(found.predictions) == tested


def test_a_second_seed_is_the_first_again(fitted: Path, corpus: Path, path: Path) -> None:
    run(corpus, path, seeds=2)
    lines = {results.identity(r): r["predictions"] for r in results.read_lines(path)}
    assert len(lines) == 12
    for record, seed in product(results.read_lines(fitted), (0, 1)):
        assert lines[*results.identity(record)[:-1], seed] == record["predictions"]


def test_no_network_shares_a_key_with_a_baseline() -> None:
    for preset in config.PRESETS:
        ours = {v.experiment.key for v in grids.variants("baselines", preset).values()}
        theirs = {v.experiment.key for v in grids.variants("pooling", preset).values()}
        assert not ours & theirs


def test_the_folds_are_those_of_the_preset(corpus: Path, path: Path) -> None:
    assert run(corpus, path, preset="smoke") == 4
    grid = grids.variants("baselines", "smoke, front_end.short=drop")
    assert {v.experiment.front_end.short for v in grid.values()} == {"drop"}
    assert {v.experiment.protocol.max_folds for v in grid.values()} == {2}


# Pages -------------------------------------------------------------------------------------------


def test_the_page_shows_them_in_the_columns_of_table_1(fitted: Path) -> None:
    table = poolings.accuracies(results.read(fitted).predictions)
    assert list(table) == ["source", "model", "WA", "UA"]
    assert table["model"].to_list() == [baselines.MAJORITY, baselines.CLASSIFIER]
    assert table["source"].unique() == ["here: EmoDB, quick, 1 seed, 3 of 10 speakers"]
    assert table["WA"].iloc[0] == "25.0"


def test_a_pooling_is_ahead_of_the_classifier_on_its_own_folds_only() -> None:
    table = utterances()
    plain = predictions(table, dict.fromkeys(baselines.SYSTEMS, 0.0), study="baselines")
    pooled = predictions(table, {"gap": 1.0, "attention": 0.0}, seeds=2)
    begun = pooled.query("variant != 'attention' or fold != '00'")
    found = poolings.without_a_network(plain, begun)
    assert found["model"].to_list() == [*baselines.SYSTEMS, "gap − prosody+spectrum"]
    assert found["WA"].iloc[-1] == "+100.0 [+100.0, +100.0]"
    assert len(poolings.without_a_network(plain, pooled)) == 4


@pytest.mark.parametrize("change", ["protocol.folds=random", "front_end.short=drop"])
def test_what_decides_folds_sets_baselines_apart(corpus: Path, tmp_path: Path, change: str) -> None:
    together, alone = tmp_path / "together.jsonl", tmp_path / "alone.jsonl"
    only = {"only": baselines.MAJORITY}
    run(corpus, together, **only)
    assert run(corpus, together, **only, preset="quick, training.epochs=3") == 0
    asked = only | {"preset": f"quick, {change}"}
    assert run(corpus, together, **asked) == run(corpus, alone, **asked) > 0
    of_both = (
        held(Run("baselines", "emodb", corpus, results=p, **asked)) for p in (together, alone)
    )
    one, other = (found.predictions.reset_index(drop=True) for found in of_both)
    pd.testing.assert_frame_equal(one, other)
