import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.stats.proportion
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_up import EMOTIONS, RUN, predictions, utterances
from scipy import stats
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, recall_score

from repro import results
from repro.evidence import metrics


def frame(true: list[str], predicted: list[str], **columns: object) -> pd.DataFrame:
    """Predictions as `results.read` gives them, of one run unless `columns` says otherwise."""
    names = [f"u{i}" for i in range(len(true))]
    table = pd.DataFrame({"utterance": names, "emotion": true, "predicted": predicted})
    return table.assign(**(RUN | {"fold": "03"} | columns))


def random_frame(rng: np.random.Generator, n: int, **columns: object) -> pd.DataFrame:
    return frame(list(rng.choice(EMOTIONS, n)), list(rng.choice(EMOTIONS, n)), **columns)


pairs = st.tuples(st.sampled_from(EMOTIONS), st.sampled_from(EMOTIONS))


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@settings(deadline=None, max_examples=50)
@given(st.lists(pairs, min_size=1, max_size=60))
@example([("sad", "sad"), ("sad", "happy"), ("angry", "angry")])  # two emotions are not there
def test_scores_agree_with_scikit_learn(outcome: list[tuple[str, str]]) -> None:
    true, predicted = map(list, zip(*outcome, strict=True))
    table = frame(true, predicted)
    scores = metrics.summary(table).iloc[0][metrics.SCORES].astype(float)
    assert scores["WA"] == pytest.approx(100 * accuracy_score(true, predicted))
    assert scores["UA"] == pytest.approx(100 * balanced_accuracy_score(true, predicted))
    how = {"labels": EMOTIONS, "average": None, "zero_division": np.nan}
    recall = 100 * recall_score(true, predicted, **how)
    assert scores[EMOTIONS].to_numpy() == pytest.approx(recall, nan_ok=True)
    counts = metrics.confusion(table)
    assert list(counts.index) == list(counts.columns) == EMOTIONS
    assert (counts.to_numpy() == confusion_matrix(true, predicted, labels=EMOTIONS)).all()


def test_draws_of_speakers_who_lack_an_emotion_have_no_ua() -> None:
    values, draws = metrics.bootstrap(angry_of(5))
    ua, angry = (metrics.SCORES.index(name) for name in ("UA", "angry"))
    assert values[ua] == pytest.approx(200 / 3)
    there = np.isfinite(draws[:, angry])
    assert 0.0005 < (~there).mean() < 0.002  # (5/10)¹⁰
    assert (np.isfinite(draws[:, ua]) == there)[np.isfinite(draws[:, 0])].all()
    assert np.nanmax(draws[:, ua]) == pytest.approx(200 / 3)


def angry_of(speakers: int, average: str = "pooled") -> pd.DataFrame:
    """So many of ten speakers have angry utterances, none of them recognised; all else is."""
    others = [frame(["sad", "happy"], ["sad", "happy"], fold=f"0{n}") for n in range(10)]
    angry = [frame(["angry"] * 2, ["sad"] * 2, fold=f"0{n}") for n in range(speakers)]
    table = pd.concat([*others, *angry], ignore_index=True)
    return table.assign(utterance=[f"u{n}" for n in range(len(table))], average=average)


@pytest.mark.parametrize("average", ["pooled", "folds"])
def test_an_emotion_of_few_speakers_has_no_interval(average: str) -> None:
    few, enough, none = (metrics.summary(angry_of(n, average)) for n in (4, 5, 0))
    for score in ("UA", "angry"):
        assert np.isfinite(few[score][0]) and np.isnan(few[f"{score} low"][0])
    for score in ("WA", "sad"):
        assert np.isfinite(few[f"{score} low"][0])
    assert np.isfinite(enough[["UA low", "angry high"]].to_numpy()).all()
    assert np.isfinite(none["UA low"][0]), "of the emotions that there are"


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
    assert folds["sad"] == 100 and folds["angry"] == pytest.approx(100 / 3), "of who has it"
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


def speakers(rng: np.random.Generator, chances: np.ndarray, **run: object) -> pd.DataFrame:
    """One run with a speaker for each chance of being right; half of the utterances are sad."""
    table = utterances(len(chances), 10, ("sad", "angry"))
    return predictions(table, {"gap": 0.0}, rng=rng, ease=np.repeat(chances, 20), **run)


def test_the_interval_narrows_with_speakers_and_widens_with_the_luck_of_training() -> None:
    rng = np.random.default_rng(0)

    def width(table: pd.DataFrame) -> float:
        [row] = metrics.summary(table).to_dict("records")
        return row["WA high"] - row["WA low"]

    few, many = (speakers(rng, rng.normal(0.7, 0.1, n)) for n in (6, 60))
    assert width(many) < width(few) / 2
    steady, unsteady = (
        pd.concat([speakers(rng, rng.normal(0.7, luck, 10), seed=s) for s in range(3)])
        for luck in (0.0, 0.15)
    )
    assert width(unsteady) > 1.2 * width(steady)


def test_seeds_that_agree_leave_the_interval_of_one() -> None:
    rng = np.random.default_rng(0)
    one = speakers(rng, rng.normal(0.7, 0.1, 10))
    twice = pd.concat([one, one.assign(seed=1)])
    ends = [metrics.summary(table)[["WA low", "WA high"]].to_numpy() for table in (one, twice)]
    np.testing.assert_allclose(*ends)


def test_the_ends_of_an_interval_hardly_depend_on_luck(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    counts = metrics.confusion_counts(speakers(rng, rng.normal(0.7, 0.1, 10)))
    generator, ends = np.random.default_rng, []
    for seed in range(10):
        monkeypatch.setattr(np.random, "default_rng", lambda _, seed=seed: generator(seed))
        draws = metrics.scores_of(metrics.resample(counts))[:, 0]
        ends.append(metrics.percentile_limits(draws, 10))
    assert np.ptp(ends, axis=0).max() < 0.5


def test_limits_of_normal_draws_are_those_of_a_t_interval() -> None:
    draws = 3 * np.random.default_rng(0).standard_normal(400_000)
    reach = 3 * np.sqrt(10 / 9) * stats.t.ppf(0.975, 9)
    np.testing.assert_allclose(metrics.percentile_limits(draws, 10), [-reach, reach], rtol=0.01)


def test_fewer_than_five_speakers_give_no_interval() -> None:
    rng = np.random.default_rng(0)
    four, five = (metrics.summary(speakers(rng, np.full(n, 0.7))).iloc[0] for n in (4, 5))
    assert np.isnan(four["WA low"]) and np.isnan(four["UA high"]) and 0 < four["WA"] < 100
    assert five["WA low"] < five["WA"] < five["WA high"]
    assert np.isnan(five["happy"]) and np.isnan(five["happy low"])  # nobody was happy


def test_a_paired_difference_is_narrower_than_the_scores_it_comes_from() -> None:
    rng = np.random.default_rng(0)
    worse = speakers(rng, rng.uniform(0.3, 0.9, 10), variant="gap")
    better = worse.assign(variant="attention")
    wrong = np.flatnonzero(better["predicted"] != better["emotion"])[::4]
    better.loc[wrong, "predicted"] = better.loc[wrong, "emotion"]
    both = pd.concat([worse, better], ignore_index=True)
    gain = metrics.difference(both, "attention", "gap")
    assert gain.value == pytest.approx(100 * len(wrong) / len(worse))
    assert 0 < gain.low < gain.value < gain.high
    [_, row] = metrics.summary(both).to_dict("records")
    assert gain.high - gain.low < (row["WA high"] - row["WA low"]) / 2
    back = metrics.difference(both, "gap", "attention")
    assert back == pytest.approx((-gain.value, -gain.high, -gain.low))
    nothing = metrics.difference(pd.concat([worse, worse.assign(variant="b")]), "gap", "b")
    assert nothing == (0, 0, 0)


def test_a_difference_needs_the_same_folds_and_seeds() -> None:
    rng = np.random.default_rng(0)
    parts = [speakers(rng, np.full(n, 0.7), variant=v) for n, v in ((6, "gap"), (7, "attention"))]
    with pytest.raises(ValueError, match="same folds and seeds"):
        metrics.difference(pd.concat(parts), "attention", "gap")
    [row] = metrics.compare_pairs(pd.concat(parts)).to_dict("records")
    common = pd.concat([part[part["fold"] < "06"] for part in parts])
    assert row["WA"] == metrics.difference(common, "attention", "gap").value
    assert row["speakers"] == 6
    # A fold counts with the seeds that all variants have of it.
    made = predictions(utterances(6, 5), {"gap": 0.6, "attention": 0.7}, rng=rng, seeds=2)
    common = made[(made["seed"] == 0) | (made["fold"] != "03")]
    begun = made[made.index.isin(common.index) | (made["variant"] == "attention")]
    [row] = metrics.compare_pairs(begun).to_dict("records")
    assert row["WA"] == metrics.difference(common, "attention", "gap").value


@pytest.mark.parametrize("held_out", ["random", "letter"])
def test_folds_that_are_not_speakers_give_no_interval(held_out: str) -> None:
    rng = np.random.default_rng(0)
    of_speakers = pd.concat(
        [speakers(rng, np.full(10, c), variant=v) for c, v in ((0.6, "gap"), (0.8, "attention"))]
    )
    assert metrics.speakers(of_speakers) == 10
    assert metrics.speakers(of_speakers.assign(held_out="speaker-groups")) == 10
    assert metrics.speakers(results.tables([]).predictions) == 0
    of_parts = of_speakers.assign(held_out=held_out)
    bounds = ["WA low", "WA high", "UA low", "UA high"]
    for table in (of_parts, of_speakers.assign(held_out="session", variant="s", key="s")):
        assert metrics.speakers(table) == 0
        assert metrics.summary(table)[bounds].isna().all(axis=None)
    assert metrics.compare_pairs(of_parts)[bounds].isna().all(axis=None)
    gains = [metrics.compare_pairs(table)["WA"].item() for table in (of_parts, of_speakers)]
    assert gains[0] == gains[1]
    assert np.isnan(metrics.mean(of_parts.assign(x=1.0), "x").low)
    assert metrics.summary(of_speakers)[bounds].notna().all(axis=None)


def test_the_poolings_of_table_1_are_compared_in_pairs() -> None:
    rng = np.random.default_rng(0)
    chances = {"gap": 0.7, "bilinear": 0.5, "attention": 0.8}
    of = itertools.product(chances, range(2))
    parts = [speakers(rng, np.full(6, chances[v]), variant=v, seed=seed) for v, seed in of]
    table = pd.concat(parts, ignore_index=True)
    rows = metrics.compare_pairs(table)
    pairs = list(zip(rows["one"], rows["other"], strict=True))
    assert pairs == list(metrics.TABLE_1_PAIRS)
    for (one, other), row in zip(pairs, rows.to_dict("records"), strict=True):
        for score in ("WA", "UA"):
            found = [row[score], row[f"{score} low"], row[f"{score} high"]]
            assert found == list(metrics.difference(table, one, other, score))
        assert row["speakers"] == 6
    missing = metrics.compare_pairs(table[table["variant"] != "bilinear"])
    assert missing.to_dict("records") == rows[:1].to_dict("records")
    assert list(metrics.compare_pairs(table[:0])) == list(rows)


@pytest.mark.parametrize(
    ("numbers", "how", "text"),
    [
        ((65.04, 58.1, 71.9), {}, "65.0 [58.1, 71.9]"),
        ((7.38, -0.01, 14.8), {"sign": "+"}, "+7.4 [0.0, +14.8]"),
        ((-0.04, np.nan, np.nan), {"sign": "+"}, "0.0"),
        ((0.074, -0.02, 0.15), {"decimals": 2}, "0.07 [−0.02, 0.15]"),
        ([41.7], {"decimals": 0}, "42"),
        ((np.nan, np.nan, np.nan), {}, "–"),
    ],
)
def test_a_number_is_written_with_its_interval(
    numbers: Sequence[float], how: dict[str, Any], text: str
) -> None:
    assert metrics.format_interval(numbers, **how) == text


@pytest.mark.parametrize("score", ["WA", "UA", "sad"])
def test_exchanging_two_variants_speaker_by_speaker(score: str) -> None:
    rng = np.random.default_rng(3)
    each_fold = itertools.product(("a", "b"), range(5), range(2))
    parts = [random_frame(rng, 20, variant=v, fold=f"{n:02d}", seed=s) for v, n, s in each_fold]
    table = pd.concat(parts, ignore_index=True)

    def gain(exchanged: tuple[bool, ...]) -> float:
        """Exchange the names of the two for some speakers, and score them anew."""
        folds = [f"{fold:02d}" for fold, swap in enumerate(exchanged) if swap]
        other = table["fold"].isin(folds)
        names = table["variant"].mask(other, table["variant"].map({"a": "b", "b": "a"}))
        rows = metrics.summary(table.assign(variant=names)).set_index("variant")
        return rows.loc["a", score] - rows.loc["b", score]

    gains = np.array([gain(each) for each in itertools.product([False, True], repeat=5)])
    expected = np.mean(np.abs(gains) >= np.abs(gains[0]) - 1e-9)
    assert metrics.exchange_test(table, "a", "b", score) == pytest.approx(expected)
    for last in ("a", "b"):
        lacking = table[(table["variant"] != last) | (table["fold"] != "04")]
        with pytest.raises(ValueError, match="not run on the same folds"):
            metrics.exchange_test(lacking, "a", "b", score)


def test_the_wilson_interval_agrees_with_statsmodels() -> None:
    published = metrics.proportion_interval(71.75, 2280)
    expected = statsmodels.stats.proportion.proportion_confint(1636, 2280, method="wilson")
    assert published[1:] == pytest.approx([100 * bound for bound in expected])


def test_the_majority_is_that_of_the_utterances_not_of_the_rows() -> None:
    once = frame(["sad", "sad", "angry"], ["sad"] * 3)
    again = pd.concat([once, once.assign(seed=1), once.head(1).assign(variant="b")])
    assert metrics.majority(again) == pytest.approx(200 / 3)


def test_the_mean_of_what_is_right_is_wa_with_its_interval() -> None:
    rng = np.random.default_rng(0)
    of = itertools.product(range(8), range(2))
    parts = [random_frame(rng, 12 + n, fold=f"{n:02d}", seed=seed) for n, seed in of]
    table = pd.concat(parts, ignore_index=True)
    right = table.assign(right=100.0 * (table["predicted"] == table["emotion"]))
    (row,) = metrics.summary(table).to_dict("records")
    expected = metrics.Interval(row["WA"], row["WA low"], row["WA high"])
    assert metrics.mean(right, "right") == pytest.approx(expected)


def test_the_mean_is_of_what_was_measured() -> None:
    table = random_frame(np.random.default_rng(0), 4).assign(x=[1.0, np.nan, 3.0, np.nan])
    assert metrics.mean(table, "x") == pytest.approx((2.0, np.nan, np.nan), nan_ok=True)
    assert np.isnan(metrics.mean(table.assign(x=np.nan), "x").value)
    assert np.isnan(metrics.mean(results.tables([]).predictions.assign(x=1.0), "x").value)
