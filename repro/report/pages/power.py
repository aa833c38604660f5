"""The page "How sure are we?": what intervals hold, and what gain an experiment can find."""

from contextlib import suppress

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown

from repro import config, paper
from repro.corpora import emodb, iemocap
from repro.errors import NoResultsError
from repro.evidence import claims, metrics, parts, simulation
from repro.evidence.simulation import Disagreement
from repro.report.pages import board, common, poolings, wording
from repro.study.plan import Run
from repro.study.read import held

POWER = 0.8  # chance of finding a gain that an experiment should have


def differing(
    results_file: str | None, corpus: str, root: str | None, preset: str
) -> Disagreement | None:
    """Return how attention and GAP differ in a results file; None if it does not hold both."""
    with suppress(NoResultsError):
        if results_file is not None:
            found = held(Run("pooling", corpus, root, preset, results_file))
            return simulation.disagreement(parts.settled(found.predictions), "attention", "gap")
    return None


def supposed(measured: Disagreement | None, corpus: str, preset: str) -> Markdown:
    """Return how much the two systems of the simulated experiments differ, and why."""
    share, spread = measured or simulation.ASSUMED
    why = (
        f"Attention and GAP differ so on {wording.where(corpus, preset)}. The spread "
        "includes what the initial weights of each fold do."
        if measured
        else "Both numbers are assumed, as no results are at hand to measure them in."
    )
    return Markdown(
        f"On {100 * share:.0f}% of the utterances only one of the two systems is right. The gain "
        f"of one over the other has a standard deviation of {spread:.0f} points between speakers. "
        f"{why}"
    )


def simulated() -> Markdown:
    """Return how far a share of simulated experiments can be off by chance."""
    near, half = (196 * (p * (1 - p) / simulation.RUNS) ** 0.5 for p in (metrics.LEVEL, 0.5))
    rare = 196 * (parts.TAIL * (1 - parts.TAIL) / simulation.MANY) ** 0.5
    return Markdown(
        f"Each share is counted from {simulation.RUNS} experiments. Chance can move it by "
        f"{near:.0f} points near {100 * metrics.LEVEL:.0f}%, and by {half:.0f} points at a half. "
        f"The errors of a difference are counted from {simulation.MANY}; near "
        f"{100 * parts.TAIL:.1f}% chance can move them by {rare:.1f} points."
    )


def corpus_sizes() -> dict[str, tuple[int, int]]:
    """Return the speakers of EmoDB and IEMOCAP, and how many utterances each has on average."""
    counts = {c.title: [*c.published.values()] for c in (emodb.CORPUS, iemocap.CORPUS)}
    return {title: (len(of), round(np.sum(of) / len(of))) for title, of in counts.items()}


def reach(predictions: pd.DataFrame) -> Markdown | None:
    """Return how wide the intervals of attention over GAP are in `board.gathered`; None without."""
    runs = board.gains(board.evidence(predictions))[1:]
    if runs.empty:
        return None
    half = (runs["WA high"] - runs["WA low"]) / 2
    of_runs = ", ".join(f"{x:.1f} points ({run})" for x, run in zip(half, runs["run"], strict=True))
    return Markdown(
        f"Half the width of the interval of attention − GAP, in WA, is {of_runs}. A gain that is "
        "smaller would be left undecided more often than not by such an experiment."
    )


def on_iemocap(predictions: pd.DataFrame) -> HTML | None:
    """Return what IEMOCAP would show of the poolings, by `board.gathered` of other corpora.

    The paper's own network comes first. The table shows WA, its CSV file UA as well. None where
    there are no results that are evidence, on enough speakers.
    """
    found = parts.settled(board.real(predictions))
    runs = found[found["study"] == "pooling"].groupby(["corpus", "corpus_hash", "preset"])
    utterances = np.array(list(iemocap.CORPUS.published.values()))
    tables = []
    of_paper = sorted(runs, key=lambda run: not board.of_paper(run[0][2]))
    for (corpus, _, preset), rows in of_paper:
        outlook = simulation.outlook(rows, utterances)
        there = wording.where(corpus, preset)
        tables += [] if outlook.empty else [_outlook(outlook, there, parts.speakers_in_all(rows))]
    if not tables:
        return None
    every = pd.concat(tables, ignore_index=True)
    return common.table(every[every["difference"].str.startswith("WA")], whole=every)


def _outlook(found: pd.DataFrame, there: str, of: int) -> pd.DataFrame:
    """Lay out what `simulation.outlook` found on some of so many speakers."""
    shown = {
        "measured on": [
            f"{there}, {number} of {of} speakers" if number < of else there
            for number in found["speakers"]
        ],
        "difference": found["score"] + ", " + found["one"] + " − " + found["other"],
        "measured": metrics.format_intervals(found, "here", sign="+"),
        "in the paper": metrics.format_intervals(found, "paper", 2, "+"),
        "spread": found["spread"].round(1),
        "needed": [f"±{x:.1f}" for x in found["needed"]],
    }
    for truth, name in (("paper", "if the paper is right"), ("here", "if what was measured is")):
        shown[f"% ahead / behind {name}"] = [
            f"{above:.0f} / {below:.0f}"
            for above, below in zip(found[f"{truth} above"], found[f"{truth} below"], strict=True)
        ]
    return pd.DataFrame(shown, index=found.index)


def together(predictions: pd.DataFrame) -> HTML | None:
    """Return what the claims rest on over all corpora of `board.gathered` at once.

    That is, over those that have all of it under the same settings. None where there are no two
    such corpora.
    """
    found = board.real(predictions)
    tables = []
    # Two names may stand for the same settings, as a preset and another one with changes.
    named = found["preset"].map({each: config.shortest(each) for each in set(found["preset"])})
    for (setting, _), rows in found.groupby([named, "study"], sort=False):
        states = rows.groupby("corpus")["corpus_hash"].transform("nunique")
        rows = rows[states == 1]  # of a corpus that changed no mean can be taken
        if rows["corpus"].nunique() < 2:
            continue
        rows = rows.assign(preset=setting)
        rows = rows.drop_duplicates(["corpus", "corpus_hash", "key", "fold", "seed", "utterance"])
        over = _parts(rows)
        shown = over[["what", "number"]].set_axis(["effect", "over all"], axis=1)
        for corpus, of_corpus in rows.groupby("corpus"):
            alone = _parts(of_corpus).reindex(over.index)
            # Of several that are compared, another one may be furthest from what is claimed.
            named = " (" + alone["what"].str.split(" (", regex=False).str[0] + ")"
            other = named.where(alone["what"] != over["what"], "")
            shown = shown.assign(**{wording.title(corpus): alone["number"] + other})
        shown = shown.replace(" points", "", regex=True)
        tables.append(shown.drop_duplicates().assign(preset=setting))  # claims may share an effect
    every = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    return None if every.empty else common.table(every)


def _parts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return `claims.together`, indexed by claim and which of its parts it is."""
    found = claims.together(rows)
    return found.set_index(["claim", found.groupby("claim").cumcount()])


def answer(held: pd.DataFrame, errors: pd.DataFrame, found: pd.DataFrame) -> Markdown:
    """Return how often intervals hold the truth, and what gain is found four times out of five.

    The first is from `simulation.coverage` and `simulation.errors`, the second from
    `simulation.power`.
    """
    enough = 100 * POWER
    points, every = poolings.attention_gain(), poolings.IEMOCAP_UTTERANCES
    hold = []
    for speakers in (paper.FOLDS, metrics.FEWEST_SPEAKERS):
        ours = held[held["speakers"] == speakers].filter(like="bootstrap")
        share = f"{ours.min(axis=None):.0f} to {ours.max(axis=None):.0f} in a hundred"
        hold.append(f"{share} with {speakers} speakers")
    ends = errors.groupby("experiment", sort=False)["below 0 (%)"].agg(["min", "max"])
    wrong = [
        f"{low:.1f} to {high:.1f} in a hundred experiments of the size of {name}"
        for name, low, high in ends.itertuples()
    ]
    needed = []
    for name, rows in found.groupby("experiment", sort=False):
        at_least = rows.loc[rows["found"] >= enough, "gain"].min()
        below = rows.loc[~(rows["gain"] >= at_least), "gain"].max()
        size = f"reach a size between {below:g} and {at_least:g}"
        size = size if at_least >= 0 else f"exceed {below:g}"
        needed.append(f"{size} points in an experiment of the size of {name}")
    return Markdown(
        f"The paper's gain of attention over average pooling is {points:.1f} points of WA: "
        f"{points / 100 * every:.0f} of IEMOCAP's {every:,} utterances. To be found "
        f"{enough:.0f} times in a hundred, a gain must {' and '.join(needed)}.\n\n"
        f"Of simulated intervals, {' and '.join(hold)} hold the truth. Where two systems are alike "
        f"on average, that of their difference lies wholly below 0 in {' and '.join(wrong)}; "
        f"{100 * parts.TAIL:.1f} would be right."
    )
