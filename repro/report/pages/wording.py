"""Words that several pages share: numbers with intervals, what was run, what an answer rests on."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from scipy.stats import binomtest

from repro.corpora import CORPORA
from repro.evidence import claims, effects, metrics
from repro.study.grids import short_name

PRECISIONS = {"fp32": "float32", "bf16": "bfloat16"}


def title(corpus: str) -> str:
    """Give the name of a corpus in prose."""
    return CORPORA[corpus].title if corpus in CORPORA else corpus


def many(number: int, noun: str) -> str:
    """Give a number of things, such as `1 seed` or `10 speakers`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def number(value: float, low: float, high: float, decimals: int = 1) -> str:
    """Give a number with its interval, where it has one: `65.0 [58.1, 71.9]`."""
    if pd.isna(value):
        return "–"
    value, low, high = (round(x, decimals) + 0.0 for x in (value, low, high))  # no minus zero
    bounds = "" if pd.isna(low) else f" [{low:.{decimals}f}, {high:.{decimals}f}]"
    return f"{value:.{decimals}f}{bounds}".replace("-", "−")


def difference(value: float, low: float, high: float) -> str:
    """Give a difference with its sign and its interval, where it has one: `+7.4 [+1.1, +14.8]`."""
    bounds = "" if pd.isna(low) else f" [{metrics.signed(low)}, {metrics.signed(high)}]"
    return f"{metrics.signed(value)}{bounds}"


def precision(folds: pd.DataFrame) -> str:
    """Name the precision in which the folds of `repro.results.read(...).folds` were trained."""
    return " and ".join(PRECISIONS[name] for name in folds["precision"].unique())


def ranking(scores: pd.Series) -> str:
    """List scores (%) in the order in which they come, with their names."""
    return ", ".join(f"{name} ({value:.1f}%)" for name, value in scores.items())


def run(predictions: pd.DataFrame) -> str:
    """Name the corpus and the preset of predictions that share both, and count their seeds."""
    corpus, preset = predictions[["corpus", "preset"]].iloc[0]
    return f"{title(corpus)}, {preset}, {many(predictions['seed'].nunique(), 'seed')}"


def runs(predictions: pd.DataFrame) -> dict[str, str]:
    """Say of each study with what preset, on how many speakers and by how many seeds it was run."""
    found = {}
    for study, rows in predictions.groupby("study", sort=False):
        fold = "speaker" if set(rows["held_out"]) == {"speaker"} else "fold"
        folds, seeds = many(rows["fold"].nunique(), fold), many(rows["seed"].nunique(), "seed")
        found[str(study)] = f"preset {rows['preset'].iloc[0]}, {folds}, {seeds}"
    return found


def run_in_full(predictions: pd.DataFrame) -> str:
    """Say what `runs` says: once for all studies that were run alike, else study by study."""
    found = runs(predictions)
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return "; ".join(f"{study}: {text}" for study, text in found.items())


def run_column(predictions: pd.DataFrame, judged: Sequence[claims.Verdict]) -> dict[str, list[str]]:
    """Return a column `run` for a table of verdicts; empty if all studies were run alike."""
    found = runs(predictions) if len(predictions) else {}
    if len(set(found.values())) < 2:
        return {}
    return {"run": [found.get(claims.TESTS[v.claim.id].study, "–") for v in judged]}


def weight(summary: pd.DataFrame, predictions: pd.DataFrame) -> str:
    """Say what an answer rests on, and what it may not be taken for."""
    rests_on = f"The numbers here come from {size(summary)}. "
    return rests_on + learnt(summary, predictions) + _caution(predictions)


def size(summary: pd.DataFrame) -> str:
    """Say how much stands behind the variant that has least, from `metrics.summary`."""
    folds, utterances, seeds = map(int, summary[["folds", "utterances", "seeds"]].min())
    return f"{folds} folds, {utterances} utterances and {many(seeds, 'seed')}"


def learnt(summary: pd.DataFrame, predictions: pd.DataFrame) -> str:
    """Warn of networks that do no better by WA than always naming the commonest emotion.

    That is, whose interval holds what that would reach; where there are too few speakers for an
    interval, those that a binomial test cannot tell from it.
    """
    chance = metrics.majority(predictions) / 100
    guessing = [
        short_name(str(variant))
        for variant, row in summary.iterrows()
        if row["WA low"] <= 100 * chance or (pd.isna(row["WA low"]) and _by_chance(row, chance))
    ]
    if not guessing:
        return ""
    return (
        "Not distinguishable from always naming the commonest emotion "
        f"({100 * chance:.1f}%), and so of no use for a ranking: {', '.join(guessing)}. "
    )


def _by_chance(row: pd.Series, chance: float) -> bool:
    """Tell whether utterances recognised at random might reach a WA."""
    right, of = round(row["WA"] / 100 * row["utterances"]), int(row["utterances"])
    return bool(binomtest(right, of, chance, alternative="greater").pvalue > effects.SIGNIFICANT)


def _caution(predictions: pd.DataFrame) -> str:
    if predictions["corpus"].iloc[0] == "synthetic":
        return "On synthetic speech the order means nothing for the paper's claim."
    if (predictions["study"] == "filter-shapes").all() and claims.never_recognised(predictions):
        return "An order of these numbers is no evidence, and no claim is judged by them."
    return "An order of these numbers is no evidence yet: the verdicts on this page judge it."
