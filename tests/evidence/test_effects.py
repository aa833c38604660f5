from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_up import OTHER, predictions, utterances
from scipy import stats

from repro import paper
from repro.errors import ReproError
from repro.evidence import effects, metrics
from repro.report import plots
from repro.report.pages import variations
from repro.study import grids


def outcome(
    table: pd.DataFrame, variant: str, chance: float, seed: int = 0, **columns: Any
) -> pd.DataFrame:
    """Predictions that are right with a chance; what is drawn depends on the utterance's rank."""
    run = {"study": "readings", "preset": "coarse", "seed": seed}
    run["held_out"] = variant.partition("protocol.folds=")[2] or "speaker"
    return predictions(table, {variant: chance}, rng=[seed, len(table)], **(run | columns))


SCALES = [f"front_end.scale={name}" for name in ("segment-max", "segment-log", "training-set")]
CHANGES = [*SCALES, "network.padding=silence", "network.padding=none", "front_end.bins=1-400"]


def study(chances: Mapping[str, float], **how: Any) -> pd.DataFrame:
    table = utterances(**how)
    return pd.concat([outcome(table, name, chance) for name, chance in chances.items()])


def row(found: pd.DataFrame, variant: str) -> pd.Series:
    return found.set_index("variant").loc[variant]


# Effects -----------------------------------------------------------------------------------------


def test_a_planted_effect_is_found_and_its_absence_too() -> None:
    better, same, worse = SCALES
    found = effects.table(study({"default": 0.5, better: 0.7, same: 0.5, worse: 0.3}))
    assert set(found["variant"]) == {better, same, worse}
    assert found["variant"].iloc[-1] == same
    for variant, effect in ((better, 20), (worse, -20)):
        of = row(found, variant)
        for score in metrics.ACCURACIES:
            assert of[f"{score} effect low"] < effect < of[f"{score} effect high"]
            assert of[f"{score} effect low"] * effect > 0
            assert of[f"{score} p"] < 0.001
    of = row(found, same)
    assert of["WA effect"] == 0 and of["WA effect low"] == of["WA effect high"] == 0
    assert of["WA p"] == 1.0


def test_effects_on_the_same_folds_are_those_of_metrics() -> None:
    table = study({"default": 0.5, "network.padding=none": 0.6})
    of = row(effects.table(table), "network.padding=none")
    for score in metrics.ACCURACIES:
        names = [f"{score} effect", f"{score} effect low", f"{score} effect high"]
        expected = metrics.difference(table, "network.padding=none", "default", score)
        assert tuple(of[names]) == pytest.approx(tuple(expected))


def test_only_changes_have_effects_and_the_bilinear_norm_its_own_default() -> None:
    norm = "network.bilinear_norm=sqrt-l2"
    names = [*grids.TO_THE_LETTER, *grids.AT_ITS_BEST]
    chances = dict.fromkeys(names, 0.5) | {"bilinear": 0.3, norm: 0.5}
    [of] = effects.table(study(chances)).to_dict("records")
    assert (of["variant"], of["against"]) == (norm, "bilinear")
    assert of["WA effect"] > 10


@pytest.mark.parametrize("parts", [10, 5])
def test_other_folds_of_the_same_utterances_are_paired_by_who_speaks(parts: int) -> None:
    table = utterances()
    default = outcome(table, "default", 0.5)
    order = np.random.default_rng(1).permutation(len(table)) % parts
    dealt = outcome(table, "protocol.folds=random", 0.5).assign(fold=[f"part{n}" for n in order])
    dealt = dealt.assign(predicted=dealt["predicted"].where(order < parts // 2, dealt["emotion"]))
    of = row(effects.table(pd.concat([default, dealt])), "protocol.folds=random")
    on_speakers = dealt.assign(
        fold=default["fold"].to_numpy(), variant="on speakers", held_out="speaker"
    )
    expected = metrics.difference(pd.concat([default, on_speakers]), "on speakers", "default")
    names = ["WA effect", "WA effect low", "WA effect high"]
    assert tuple(of[names]) == pytest.approx(tuple(expected))
    assert of["WA effect"] > 15
    assert of["note"] == "its speakers share the luck of a training: the interval is too narrow"


def test_wrong_names_of_speakers_are_not_taken_for_them() -> None:
    table = utterances()
    default = outcome(table, "default", 0.5)
    swapped = table.assign(fold=np.roll(table["fold"], 40))  # the same names, half of each moved
    letter = outcome(swapped, "protocol.folds=letter", 0.5)
    found = row(effects.table(pd.concat([default, letter])), "protocol.folds=letter")
    assert found["WA effect"] == found["WA effect low"] == found["WA effect high"] == 0


def test_fewer_or_more_utterances_are_compared_on_the_same_speakers_and_said() -> None:
    table = utterances()
    long = table[~table["utterance"].str.endswith("0")]
    more = pd.concat([table, table[:60].assign(utterance=[f"exc{n}" for n in range(60)])])
    default = outcome(table, "default", 0.5)
    kept = default[default["utterance"].isin(long["utterance"])].assign(
        variant="front_end.short=drop", key="k"
    )
    merged = outcome(more, "protocol.labels=hap+exc", 0.6, corpus_hash="1")
    found = effects.table(pd.concat([default, kept, merged]))
    dropped = row(found, "front_end.short=drop")
    of_kept, of_default = (metrics.summary(each)["WA"].item() for each in (kept, default))
    assert dropped["WA effect"] == pytest.approx(of_kept - of_default)
    assert dropped["WA effect low"] <= dropped["WA effect"] <= dropped["WA effect high"]
    kept, every = len(long), len(table)
    assert dropped["note"] == f"tested on {kept} of the default's {every} utterances"
    of = row(found, "protocol.labels=hap+exc")
    assert np.isfinite(of["WA effect low"])
    assert of["note"] == f"tested on {every} of the default's {every} utterances and 60 others"


def test_speakers_that_cannot_be_told_leave_no_interval() -> None:
    table = utterances()
    default = outcome(table[table["fold"] < "06"], "default", 0.5)
    other = outcome(table[table["fold"] > "02"], "protocol.folds=random", 0.5)
    other = other.assign(fold="part1")
    of = row(effects.table(pd.concat([default, other])), "protocol.folds=random")
    assert np.isfinite(of["WA effect"]) and np.isnan(of["WA effect low"])
    assert "no interval" in of["note"]


def test_an_unfinished_change_is_compared_on_the_speakers_that_it_has() -> None:
    default = outcome(utterances(), "default", 0.5)
    hard = default["fold"] < "04"
    default.loc[hard, "predicted"] = default.loc[hard, "emotion"].map(OTHER)
    unfinished = default[~hard].assign(variant="network.padding=none", key="k")
    of = row(effects.table(pd.concat([default, unfinished])), "network.padding=none")
    assert (of["WA effect"], of["WA effect low"], of["WA effect high"]) == (0, 0, 0)
    assert (of["speakers"], of["note"]) == (6, "on 6 of 10 speakers, as the others have no scores")
    other_speakers = outcome(utterances(), "network.padding=none", 0.5)[~hard]
    assert effects.table(pd.concat([default[hard], other_speakers])).empty


def test_a_default_whose_folds_are_not_speakers_leaves_no_interval() -> None:
    table = study({"default": 0.5, "network.padding=none": 0.6})
    found = effects.table(table.assign(held_out="random"))
    assert np.isfinite(found["WA effect"]).all()
    assert found[["WA effect low", "WA effect high", "WA p"]].isna().all(axis=None)
    assert found["note"].item() == "the default's folds are not speakers: no interval"
    assert found["speakers"].item() == 0


def test_few_speakers_leave_no_interval() -> None:
    found = effects.table(study({"default": 0.5, "network.padding=none": 0.9}, speakers=4))
    assert found[["WA effect low", "WA p", "UA p"]].isna().all(axis=None)
    assert found["WA effect"].item() > 20


def test_averaging_the_folds_is_measured_as_it_is_reported() -> None:
    table = utterances()
    table = table[(table["fold"] != "00") | table["utterance"].str.endswith("1")]  # a small fold
    default = outcome(table, "default", 0.5)
    hard = (default["fold"] == "00") & (default["emotion"] != "sad")
    default = default.assign(predicted=default["predicted"].mask(hard, "sad"))
    averaged = default.assign(variant="protocol.average=folds", key="k", average="folds")
    both = pd.concat([default, averaged])
    of = row(effects.table(both), "protocol.average=folds")
    wa = metrics.summary(both).set_index("variant")["WA"]
    assert of["WA effect"] == pytest.approx(wa["protocol.average=folds"] - wa["default"])
    assert of["WA effect low"] < of["WA effect"] < of["WA effect high"]
    assert of["WA effect"] < -1


def test_only_seeds_that_both_have_are_compared() -> None:
    table = utterances()
    both = pd.concat(
        [
            outcome(table, "default", 0.5),
            outcome(table, "default", 0.9, seed=1),
            outcome(table, "network.padding=none", 0.5),
            outcome(table, "network.attention_bn=True", 0.5, seed=2),
        ]
    )
    [of] = effects.table(both).to_dict("records")
    assert of["variant"] == "network.padding=none"
    assert (of["WA effect"], of["seeds"]) == (0, 1)


def test_p_values_are_corrected_over_all_of_them() -> None:
    table = study({"default": 0.5} | {name: 0.5 + n / 50 for n, name in enumerate(CHANGES)})
    found = effects.table(table)
    raw = []
    for variant in found["variant"]:
        for score in metrics.ACCURACIES:
            a, b = (
                metrics.scores_of(metrics.resample(metrics.confusion_counts(group)))
                for group in (table[table["variant"] == v] for v in (variant, "default"))
            )
            column = metrics.SCORES.index(score)
            effect = metrics.difference(table, variant, "default", score).value
            error = (a - b)[:, column].std() * np.sqrt(10 / 9)
            raw.append(2 * stats.t.sf(abs(effect) / error, 9) if error else 1.0)
    expected = np.reshape(metrics.holm(raw), (-1, 2))
    np.testing.assert_allclose(found[["WA p", "UA p"]].to_numpy(float), expected)


@pytest.mark.slow
def test_no_effect_is_called_one_about_as_often_as_allowed() -> None:
    false_alarms = 0
    for trial in range(200):
        table = utterances(per_emotion=10)
        default = outcome(table, "default", 0.5, seed=2 * trial).assign(seed=0)
        other = outcome(table, "network.padding=none", 0.5, seed=2 * trial + 1).assign(seed=0)
        found = effects.table(pd.concat([default, other]))
        false_alarms += bool((found["WA p"] < 0.05).any())
    assert false_alarms <= 20  # 5% would be 10; more than 20 has a chance of 0.1%


def test_several_settings_are_refused() -> None:
    table = study({"default": 0.5, "network.padding=none": 0.5})
    other = table.assign(key=table["key"] + " changed")
    elsewhere = [{"preset": "quick"}, {"corpus": "iemocap"}, {"corpus_hash": "f" * 12}]
    for mixed in (other, *(table.assign(**change) for change in elsewhere)):
        with pytest.raises(ReproError, match="choose one"):
            effects.table(pd.concat([table, mixed]))


def test_nothing_to_compare_is_an_empty_table() -> None:
    found = effects.table(study({"default": 0.5}))
    assert found.empty and list(found) == effects.TABLE_COLUMNS


def test_scores_and_effects_stand_side_by_side_for_every_preset() -> None:
    one, other, _ = SCALES
    table = study({"default": 0.5, one: 0.6, other: 0.8})
    both = pd.concat([table, table.assign(preset="paper")])
    rows = effects.beside_scores(both)
    assert set(effects.NARROW) <= set(rows)
    for preset in ("coarse", "paper"):
        of = rows[rows["preset"] == preset]
        assert list(of["variant"]) == ["default", other, one]
        assert of["WA effect"].isna().to_list() == [True, False, False]
    with pytest.raises(ReproError, match="choose one"):
        effects.beside_scores(pd.concat([table, table.assign(key="other")]))


# Figure and pages --------------------------------------------------------------------------------


def test_the_forest_shows_each_effect_and_fills_what_stands_out() -> None:
    names = ["front_end.scale=segment-log", "network.padding=none"]
    found = effects.table(study({"default": 0.5, names[0]: 0.8, names[1]: 0.5}))
    fig = plots.forest(found)
    assert fig.get_size_inches()[0] <= plots.WIDTH  # no wider than a page
    for ax, score in zip(fig.axes, metrics.ACCURACIES, strict=True):
        lines = {line.get_label(): line for line in ax.lines}
        filled, hollow = lines["differs significantly from 0"], lines["does not"]
        assert filled.get_xdata() == pytest.approx([found[f"{score} effect"][0]])
        assert hollow.get_xdata() == pytest.approx([found[f"{score} effect"][1]])
    labels = [text.get_text() for text in fig.axes[0].get_yticklabels()]
    assert labels == ["scale=segment-log", "padding=none"]
    assert fig.axes[0].yaxis_inverted()
    plots.forest(effects.table(study({"default": 0.5})))  # nothing to show is no fault


def test_the_answer_names_what_stands_out_and_nothing_else() -> None:
    chances = {"default": 0.5, "front_end.scale=segment-log": 0.8, "network.padding=none": 0.5}
    table = study(chances)
    found = effects.table(table)
    text = str(variations.readings_answer(found, table).data)
    assert "1 of 2 changes moves WA or UA significantly, after Holm's correction over all 4" in text
    assert "to [−1, 1] (`scale=segment-log`), WA +" in text and "padding=none" not in text
    assert "Not shown to be better" not in text
    assert "There is no order under the readings that train best yet" in text
    shown = variations.change_effects(found).set_index("change")["WA"]
    assert shown.filter(like="<code>scale=segment-log</code>").item().endswith("*")
    assert not shown.filter(like="<code>padding=none</code>").item().endswith("*")
    assert shown.filter(like="logarithm first").index.to_list() == shown.index[:1].to_list()
    low = study(chances | {"network.padding=none": 0.1})
    text = str(variations.readings_answer(effects.table(low), low).data)
    assert "commonest emotion (25.0%): padding=none. That an effect is not" in text
    merged = {"variant": "protocol.labels=hap+exc", "key": "merged"}
    excited = low[low["variant"] == "default"].assign(**merged)
    more = excited[excited["emotion"] == "happy"]
    more = more.assign(utterance="excited " + more["utterance"])
    low = pd.concat([low, excited, more])  # where more are happy, as nowhere else
    text = str(variations.readings_answer(effects.table(low), low).data)
    assert "commonest emotion (25.0%): padding=none. That an effect is not" in text


def test_the_answer_follows_the_results() -> None:
    best = dict.fromkeys(grids.AT_ITS_BEST, 0.5)
    letter = {"default": 0.8, "gap": 0.6, "bilinear": 0.4}
    table = study(letter | best | {"best readings, gap": 0.9})
    text = str(variations.readings_answer(effects.table(table), table).data)
    assert text.startswith("No change has been run yet.\n\n")
    first, second = text.split("By WA the order under the readings that train best is")
    assert first.index("attention (") < first.index("gap (") < first.index("bilinear (")
    assert second.strip().startswith("gap (") and "gap − bilinear is +" in second
    ours = variations.table_1_again(table)
    assert ours["source"].value_counts().to_list() == [3, 3]
    assert ours["source"].str.endswith("best readings").sum() == 3
    assert ours["model"].to_list() == [row.name for row in paper.TABLE_1.values()] * 2


def test_traps_are_said_in_points_that_a_paper_would_have_reported() -> None:
    table = study({"default": 0.5, "protocol.folds=random": 0.7, "front_end.short=drop-test": 0.4})
    table = table.assign(study="protocol")
    found = effects.table(table)
    rows = variations.traps(found)
    random = f"{grids.TRAPS['protocol.folds=random']}<br><code>folds=random</code>"
    assert rows.iloc[0, 0] == random
    assert rows.iloc[0, 1].startswith("69.") and ": +" in rows.iloc[0, 1]
    assert "\N{MINUS SIGN}" in rows.iloc[1, 1]
    answer = str(variations.protocol_answer(found, table).data)
    assert "WA is 5" in answer and "not by speaker (`folds=random`), WA +" in answer
