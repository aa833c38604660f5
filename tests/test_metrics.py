from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, recall_score

from repro import metrics, paper

EMOTIONS = list(paper.EMOTIONS)


def frame(true: list[str], predicted: list[str], **columns: object) -> pd.DataFrame:
    """Predictions as `results.read` gives them, of one run unless `columns` says otherwise."""
    run = {
        "corpus": "emodb",
        "corpus_hash": "0" * 12,
        "preset": "smoke",
        "key": "k",
        "variant": "gap",
        "fold": "03",
        "seed": 0,
        "average": "pooled",
    }
    names = [f"u{i}" for i in range(len(true))]
    table = pd.DataFrame({"utterance": names, "emotion": true, "predicted": predicted})
    return table.assign(**(run | columns))


def random_frame(rng: np.random.Generator, n: int, **columns: object) -> pd.DataFrame:
    return frame(list(rng.choice(EMOTIONS, n)), list(rng.choice(EMOTIONS, n)), **columns)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_scikit_learn(seed: int) -> None:
    table = random_frame(np.random.default_rng(seed), 200)
    true, predicted = table["emotion"], table["predicted"]
    assert metrics.weighted_accuracy(table) == pytest.approx(accuracy_score(true, predicted))
    assert metrics.unweighted_accuracy(table) == pytest.approx(
        balanced_accuracy_score(true, predicted)
    )
    recall = recall_score(true, predicted, labels=EMOTIONS, average=None)
    assert metrics.emotion_accuracy(table).to_numpy() == pytest.approx(recall)
    counts = metrics.confusion(table)
    assert list(counts.index) == list(counts.columns) == EMOTIONS
    assert (counts.to_numpy() == confusion_matrix(true, predicted, labels=EMOTIONS)).all()


pairs = st.tuples(st.sampled_from(EMOTIONS), st.sampled_from(EMOTIONS))


@settings(deadline=None, max_examples=50)
@given(st.lists(pairs, min_size=1, max_size=30))
def test_accuracies_are_within_bounds_and_agree_with_the_confusion(
    outcome: list[tuple[str, str]],
) -> None:
    table = frame([t for t, _ in outcome], [p for _, p in outcome])
    counts = metrics.confusion(table).to_numpy()
    assert counts.sum() == len(outcome)
    scores = metrics.accuracies(table)
    assert scores["WA"] == pytest.approx(100 * np.trace(counts) / counts.sum())
    per_emotion = scores[EMOTIONS].dropna()
    assert per_emotion.min() - 1e-9 <= scores["WA"] <= per_emotion.max() + 1e-9
    assert scores["UA"] == pytest.approx(per_emotion.mean())


def test_an_emotion_without_utterances_is_left_out_of_ua() -> None:
    table = frame(["sad", "sad", "angry"], ["sad", "happy", "angry"])
    per_emotion = metrics.emotion_accuracy(table)
    assert per_emotion.index.to_list() == EMOTIONS
    assert per_emotion[["neutral", "happy"]].isna().all()
    assert metrics.unweighted_accuracy(table) == pytest.approx(0.75)
    assert metrics.weighted_accuracy(table) == pytest.approx(2 / 3)
    assert metrics.confusion(table).loc["sad", "happy"] == 1


def two_unequal_folds(average: str, seed: int = 0, right: int = 1) -> pd.DataFrame:
    """Fold 03: 1 of 1 right; fold 08: `right` of 3."""
    first = frame(["sad"], ["sad"], fold="03", seed=seed, average=average)
    predicted = ["angry"] * right + ["happy"] * (3 - right)
    second = frame(["angry"] * 3, predicted, fold="08", seed=seed, average=average)
    second["utterance"] = ["v0", "v1", "v2"]
    return pd.concat([first, second], ignore_index=True)


def test_summary_pools_the_folds_or_averages_them() -> None:
    [pooled] = metrics.summary(two_unequal_folds("pooled")).to_dict("records")
    [folds] = metrics.summary(two_unequal_folds("folds")).to_dict("records")
    assert pooled["WA"] == pytest.approx(50)  # 2 of 4
    assert folds["WA"] == pytest.approx(100 * (1 + 1 / 3) / 2)
    assert pooled["UA"] == pytest.approx(100 * (1 + 1 / 3) / 2)
    assert pooled["folds"] == 2 and pooled["utterances"] == 4 and pooled["seeds"] == 1


def test_summary_averages_seeds_with_equal_weight() -> None:
    parts = [two_unequal_folds("pooled", seed, right) for seed, right in ((0, 1), (1, 3))]
    [row] = metrics.summary(pd.concat(parts, ignore_index=True)).to_dict("records")
    assert row["seeds"] == 2 and row["utterances"] == 4
    assert row["WA"] == pytest.approx((50 + 100) / 2)
    assert row["angry"] == pytest.approx((100 / 3 + 100) / 2)


@pytest.mark.parametrize("column", ["corpus", "corpus_hash", "preset", "key", "variant"])
def test_summary_never_mixes_runs(column: str) -> None:
    right = frame(["sad"], ["sad"])
    wrong = frame(["sad"], ["happy"], **{column: "other"})
    table = metrics.summary(pd.concat([right, wrong], ignore_index=True))
    assert table["WA"].to_list() == [100, 0]


def test_beside_paper_knows_the_variants_of_table_1_alone() -> None:
    parts = [frame(["sad"], ["sad"], variant=name) for name in ("attention", "10x2")]
    table = metrics.beside_paper(pd.concat(parts, ignore_index=True)).set_index("variant")
    assert table.loc["attention", ["paper WA", "paper UA"]].to_list() == [71.75, 68.06]
    assert table.loc["10x2", ["paper WA", "paper UA"]].isna().all()
