"""The page "How sure are we?": what intervals hold, and what gain an experiment can find."""

from __future__ import annotations

import os

import pandas as pd
from IPython.display import Markdown

from repro.corpora import emodb, iemocap
from repro.errors import NoResultsError
from repro.evidence import claims, metrics, simulation
from repro.evidence.simulation import Disagreement
from repro.report.pages import poolings, wording
from repro.study.plan import Run
from repro.study.read import held


def differing(
    results: str | None, corpus: str, root: str | None, preset: str
) -> Disagreement | None:
    """Measure how attention and GAP differ in a results file; None if it does not hold both."""
    if results is None or not os.path.exists(results):
        return None
    try:
        found = held(Run("pooling", corpus, root, preset, results))
    except NoResultsError:
        return None
    return simulation.disagreement(found.predictions, "attention", "gap")


def supposed(measured: Disagreement | None, corpus: str, preset: str) -> Markdown:
    """Say how much the two systems of the simulated experiments differ, and why."""
    share, spread = measured or simulation.ASSUMED
    if measured is None:
        why = "That is assumed, as no results are at hand to measure it in."
    else:
        why = (
            f"That is how attention and GAP differ on {wording.title(corpus)} (preset {preset}); "
            "the spread includes what the initial weights of each fold do."
        )
    return Markdown(
        f"Of the utterances, {100 * share:.0f}% are recognised by one of the two systems alone, "
        f"and the gain of one over the other differs by {spread:.0f} points (standard deviation) "
        f"between speakers. {why}"
    )


def simulated() -> Markdown:
    """Say how far a share of simulated experiments can be off by chance."""
    near, half = (196 * (p * (1 - p) / simulation.RUNS) ** 0.5 for p in (metrics.LEVEL, 0.5))
    return Markdown(
        f"Each share is counted from {simulation.RUNS} experiments, and so off by chance: up to "
        f"{near:.0f} points near {100 * metrics.LEVEL:.0f}%, and more below, up to {half:.0f} "
        "points at a half."
    )


def corpus_sizes() -> dict[str, tuple[int, int]]:
    """Give the speakers of EmoDB and IEMOCAP, and how many utterances each has on average."""
    sizes = {}
    for corpus in (emodb.CORPUS, iemocap.CORPUS):
        speakers = len(corpus.published)
        total = sum(map(sum, corpus.published.values()))
        sizes[corpus.title] = (speakers, round(total / speakers))
    return sizes


def changed_later() -> Markdown:
    """List what was changed in the tests of claims after results on real speech had been seen."""
    return Markdown("\n".join(f"- {change}" for change in claims.CHANGED_LATER))


def answer(held: pd.DataFrame, found: pd.DataFrame) -> Markdown:
    """Say how often intervals hold the truth, and what gain is found four times out of five.

    Args:
        held: from `simulation.coverage`.
        found: from `simulation.power`.
    """
    enough = 100 * metrics.POWER
    ours, plain = held.filter(like="bootstrap"), held["Wilson (%)"]
    fewest = held.loc[ours.min(axis=1).idxmin(), "speakers"]
    needed: dict[str, list[str]] = {}
    for name, rows in found.groupby("experiment", sort=False):
        at_least = rows.loc[rows["found"] >= enough, "gain"].min()
        too_small = rows.loc[rows["gain"].lt(at_least) | pd.isna(at_least), "gain"].max()
        most = f"larger than {too_small:g} points, the largest tried,"
        least = most if pd.isna(at_least) else f"{too_small:g} to {at_least:g} points"
        needed.setdefault(least, []).append(str(name))
    sentences = [
        f"{least} with the speakers and utterances of {' or of '.join(names)}"
        for least, names in needed.items()
    ]
    return Markdown(
        f"Of the simulated intervals over speakers, {ours.min(axis=None):.0f} to "
        f"{ours.max(axis=None):.0f} in a "
        f"hundred hold the truth, the fewest with {fewest} speakers; of those that take utterances "
        f"as independent, {plain.min():.0f} to {plain.max():.0f}. If two systems differ as is "
        f"assumed here, a gain that is to be found {enough:.0f} times in a hundred must be "
        f"{' and '.join(sentences)}. The paper's gain of attention over average pooling is "
        f"{poolings.attention_gain():.1f} points."
    )
