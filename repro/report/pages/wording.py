"""Words that several pages share: what was run, and on what an answer rests."""

import re
from collections.abc import Iterable

import pandas as pd
from scipy.stats import binomtest

from repro import config
from repro.corpora import CORPORA, name_of
from repro.evidence import effects, learning, metrics
from repro.study.grids import short_name

MOST_NAMED = 6  # of what is listed for want of something


def title(corpus: str) -> str:
    """Return the name of a corpus in prose."""
    return CORPORA[corpus].title if corpus in CORPORA else name_of(corpus)


def where(corpus: str, setting: str) -> str:
    """Return the name of a corpus and of the settings under which it was run."""
    return f"{title(corpus)}, {config.shortest(setting)}"


def further(name: str, corpus: str, setting: str) -> str:
    """Return what a page, figure or table is called on a further corpus or under other settings."""
    return f"{name}_" + re.sub(r"\W+", "-", f"{corpus}, {setting}")


def begun(text: str) -> str:
    """Return a text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def many(number: int, noun: str) -> str:
    """Return a number of things, such as `1 seed` or `10 speakers`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(things: Iterable[str]) -> str:
    """Return things in words, such as `a, b and c`."""
    *most, last = things
    return " and ".join(filter(None, [", ".join(most), last]))


def ranking(scores: pd.Series) -> str:
    """Return scores (%), the best first, with the names of those that have them."""
    names = scores.groupby(scores.round(1)).agg(lambda of: " and ".join(of.index))
    return ", ".join(f"{name} ({value:.1f}%)" for value, name in names[::-1].items())


def run(predictions: pd.DataFrame) -> str:
    """Return the corpus and the preset that predictions share, and how many seeds they have."""
    corpus, preset = predictions[["corpus", "preset"]].iloc[0]
    return f"{where(corpus, preset)}, {many(predictions['seed'].nunique(), 'seed')}"


def steps(folds: pd.DataFrame) -> str:
    """Return for how many steps networks were trained on each corpus; empty if it is not known."""
    of_folds = [
        (title(fold.corpus), learning.steps(fold.corpus, fold.experiment))
        for fold in folds.drop_duplicates(["corpus", "preset"]).itertuples()
    ]
    trained = [f"{number:,.0f} on {corpus}" for corpus, number in of_folds if number > 0]
    if not trained:
        return ""
    theirs = learning.steps("iemocap", learning.AS_IN_THE_PAPER)
    return (
        f"Steps of training: about {', '.join(dict.fromkeys(trained))}; about {theirs:,.0f} in the "
        "paper, if it used all of IEMOCAP's improvised utterances of these emotions."
    )


def guessing(summary: pd.DataFrame, predictions: pd.DataFrame) -> str:
    """Return a warning of networks that do no better than always naming the commonest emotion.

    Those are the ones whose interval of WA reaches down to what that would give; where there are
    too few speakers for an interval, those that a binomial test cannot tell from it.
    """
    chance = metrics.majority(predictions) / 100
    names = [
        short_name(row["variant"])
        for _, row in summary.iterrows()
        if row["WA low"] <= 100 * chance or (pd.isna(row["WA low"]) and _by_chance(row, chance))
    ]
    if not names:
        return ""
    return (
        "Not shown to be better than always naming the commonest emotion "
        f"({100 * chance:.1f}%): {', '.join(names)}."
    )


def _by_chance(row: pd.Series, chance: float) -> bool:
    """Return whether utterances recognised at random might reach a WA."""
    right, of = round(row["WA"] / 100 * row["utterances"]), int(row["utterances"])
    return bool(binomtest(right, of, chance, alternative="greater").pvalue > effects.ALPHA / 2)
