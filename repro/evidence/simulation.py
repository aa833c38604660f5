"""How sure the intervals are: experiments made up by a computer, whose truth is known.

Each simulated experiment has speakers who differ in how well they are recognised, and utterances
that are recognised or not by chance. `metrics` gives its interval, and the truth is in it or
it is not. Nothing here is about speech; the numbers say what an experiment of some size can tell.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from repro.evidence import metrics

ACCURACY = 0.7  # of the simulated systems: about what the paper reports
PER_SPEAKER = 50  # utterances
LUCK = 5.0  # points: standard deviation of a fold's WA between trainings of different seeds
SEEDS = (1, 2)  # how often everything is trained
RUNS = 500  # experiments per row
MANY = 2000  # likewise, where what is counted is rare
DRAWS = 4000  # for each of them; what their luck does to an interval's ends averages out


class Disagreement(NamedTuple):
    """How two systems differ that are tested on the same utterances.

    Args:
        discordant: share of utterances, in [0, 1], on which only one of them is right.
        spread: standard deviation, in points, of the true gain between speakers.
    """

    discordant: float
    spread: float


ASSUMED = Disagreement(0.1, 2.0)  # where nothing has been measured


def coverage(
    speakers: Sequence[int] = (5, 10, 20),
    spreads: Sequence[float] = (0.0, 5.0, 10.0),
    runs: int = RUNS,
) -> pd.DataFrame:
    """Return how often 95% intervals of WA hold the truth.

    Args:
        speakers: how many there are.
        spreads: by how many points speakers differ (standard deviation).
        runs: experiments per row.

    Returns:
        A row for each number of speakers and spread, with the share, in per cent, of intervals that
        hold the truth: from the bootstrap, a column for each number of seeds, and from the
        utterances of one seed alone.
    """
    rows = []
    for count in speakers:
        for spread in spreads:
            held = []
            for trainings in SEEDS:
                rng = np.random.default_rng(0)
                chances = ACCURACY + spread / 100 * rng.standard_normal((runs, 1, count))
                luck = LUCK / 100 * rng.standard_normal((runs, trainings, count))
                right = rng.binomial(PER_SPEAKER, (chances + luck).clip(0, 1))
                held.append(_share_holding(_intervals(right, PER_SPEAKER)))
                of_one = right[:, 0].sum(1)
            by_utterances = _share_holding(_wilson(of_one, count * PER_SPEAKER))
            rows.append((count, spread, *held, by_utterances))
    by_seeds = [f"bootstrap, {n} seed{'' if n == 1 else 's'} (%)" for n in SEEDS]
    columns = ["speakers", "SD between speakers (points)", *by_seeds, "Wilson (%)"]
    return pd.DataFrame(rows, columns=columns)


def disagreement(predictions: pd.DataFrame, one: str, other: str) -> Disagreement | None:
    """Return how two variants differ, utterance by utterance.

    Speakers' gains scatter more than the true ones do, since each is measured on few utterances:
    the variance that this alone explains is taken off. What is left holds also what the initial
    weights of each fold do. Seeds are measured one by one and averaged. All is of one study on one
    corpus with one preset.

    Returns:
        None where a variant is missing, or fewer speakers have both than an interval needs.
    """
    there = {one, other} <= set(predictions["variant"])
    if not there or metrics.speakers(predictions) < metrics.FEWEST_SPEAKERS:
        return None
    rows = predictions[predictions["variant"].isin((one, other))]
    rows = rows.assign(right=100.0 * (rows["predicted"] == rows["emotion"]))
    right = rows.pivot(index=["seed", "fold", "utterance"], columns="variant", values="right")
    gain = (right[one] - right[other]).dropna()  # of utterances that both were tested on
    speakers = gain.reset_index().groupby("seed")["fold"].nunique()
    enough = speakers.index[speakers >= metrics.FEWEST_SPEAKERS]
    gain = gain[gain.index.isin(enough, level="seed")]
    if gain.empty:
        return None
    of_speaker = gain.groupby(["seed", "fold"]).agg(["mean", "var", "count"])
    by_chance = of_speaker["var"] / of_speaker["count"]
    scatter = of_speaker["mean"].groupby("seed").var() - by_chance.groupby("seed").mean()
    return Disagreement(float(gain.ne(0).mean()), float(max(0, scatter.mean()) ** 0.5))


def power(
    sizes: dict[str, tuple[int, int]],
    differing: Disagreement = ASSUMED,
    gains: Sequence[float] = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0),
    runs: int = RUNS,
) -> pd.DataFrame:
    """Return how often the interval of a difference of two systems leaves out 0.

    Args:
        sizes: speakers, and utterances of each, by the name of the experiment.
        differing: how the two systems differ, from `disagreement` where results are at hand.
        gains: by how many points of WA one system is truly better.
        runs: experiments per row.

    Returns:
        A row for each experiment and gain, with `experiment`, `gain`, and how often the better
        system is found to be better (`found`) and to be worse (`wrong`), in per cent.
    """
    rows = []
    for name, (speakers, utterances) in sizes.items():
        for gain in gains:
            _, low, high = differences(np.full((speakers, 1), utterances), differing, gain, runs)
            found, wrong = (low > 0).mean(), (high < 0).mean()
            rows.append((name, gain, 100 * found, 100 * wrong))
    return pd.DataFrame(rows, columns=["experiment", "gain", "found", "wrong"])


def errors(
    sizes: dict[str, tuple[int, int]],
    differing: Disagreement = ASSUMED,
    runs: int = MANY,
) -> pd.DataFrame:
    """Return how often the interval of a difference leaves out 0 where there is none on average.

    Args:
        sizes: speakers, and utterances of each, by the name of the experiment.
        differing: how the two systems differ. The gains of speakers scatter evenly, or a few gain
            much and the others lose a little.
        runs: experiments per row.

    Returns:
        A row for each experiment and way to scatter, with how often, in per cent, the interval lies
        above 0 and below it.
    """
    rows = []
    for name, (speakers, utterances) in sizes.items():
        for scatter, skewed in (("evenly", False), ("a few far above", True)):
            of_all = np.full((speakers, 1), utterances)
            _, low, high = differences(of_all, differing, 0.0, runs, skewed)
            shares = [100 * float(part.mean()) for part in (low > 0, high < 0)]
            rows.append((name, scatter, *shares))
    columns = ["experiment", "gains of speakers", "above 0 (%)", "below 0 (%)"]
    return pd.DataFrame(rows, columns=columns)


def differences(
    utterances: np.ndarray,
    differing: Disagreement,
    gain: float,
    runs: int = RUNS,
    skewed: bool = False,
) -> np.ndarray:
    """Return the difference of two systems, with its interval, in simulated experiments.

    Args:
        utterances: how many there are [speakers, groups]. The accuracies of all groups count alike:
            WA is of one group, UA of a group for each emotion.
        differing: how the two systems differ, in each group alike.
        gain: by how many points one of them is truly better, in each group alike.
        runs: experiments.
        skewed: the gains of speakers scatter exponentially above the lowest, instead of evenly.

    Returns:
        Values, lower and upper limits in points: [3, runs].
    """
    rng = np.random.default_rng(0)
    speakers = len(utterances)
    shape = (runs, speakers, 1)
    scatter = rng.standard_exponential(shape) - 1 if skewed else rng.standard_normal(shape)
    gains = ((gain + differing.spread * scatter) / 100).clip(-1, 1)
    # Systems that differ in accuracy disagree on as many utterances at least.
    discordant = np.maximum(np.abs(gains), max(differing.discordant, 1e-9))
    apart = rng.binomial(utterances, discordant)  # [runs, speakers, groups]
    ahead = 2 * rng.binomial(apart, (1 + gains / discordant) / 2) - apart
    values = (ahead.sum(1) / utterances.sum(0)).mean(-1)
    drawn = metrics.resample(ahead.transpose(1, 0, 2)[None], DRAWS)  # [draws, runs, groups]
    of = metrics.resample(utterances[None], DRAWS)[:, None]
    return 100 * np.stack([values, *metrics.percentile_limits((drawn / of).mean(-1), speakers)])


def outlook(predictions: pd.DataFrame, utterances: np.ndarray, runs: int = RUNS) -> pd.DataFrame:
    """Return what an experiment of another size would make of each difference of Table 1.

    The poolings are taken to disagree there as they do here, see `disagreement`; trained once.

    Args:
        predictions: of the study `pooling` on one corpus with one preset.
        utterances: of the other corpus [speakers, emotions].
        runs: simulated experiments per truth.

    Returns:
        A row per pair and score (WA, UA) with one, other, score; speakers (of both, here); spread
        (see `Disagreement`); paper, and here with here low and here high (points that `one` is
        ahead of `other`); needed (points by which it must be found ahead for its interval to lie
        above 0, in half of all experiments); and how often, in per cent, its interval would lie
        above and below 0: paper above and paper below if what the paper found is true, here above
        and here below if what is seen here is. Pairs that have not been run on five speakers are
        left out.
    """
    rows = []
    sizes = {"WA": utterances.sum(1, keepdims=True), "UA": utterances}
    for pair in metrics.compare_pairs(predictions).to_dict("records"):
        one, other = pair["one"], pair["other"]
        differing = disagreement(predictions, one, other)
        if differing is None:
            continue
        for score in metrics.ACCURACIES:
            row = {"one": one, "other": other, "score": score, "speakers": pair["speakers"]}
            row["spread"] = differing.spread
            row["paper"] = metrics.paper_difference(one, other, score)
            row |= {f"here{end}": pair[f"{score}{end}"] for end in ("", " low", " high")}
            for truth in ("paper", "here"):
                found = differences(sizes[score], differing, row[truth], runs)
                row[f"{truth} above"] = 100 * (found[1] > 0).mean()
                row[f"{truth} below"] = 100 * (found[2] < 0).mean()
                row.setdefault("needed", np.median(found[0] - found[1]))
            rows.append(row)
    return pd.DataFrame(rows)


def _intervals(right: np.ndarray, utterances: int) -> np.ndarray:
    """Return the bootstrap's intervals, in per cent: [2, experiments]."""
    seeds, speakers = right.shape[1:]  # [experiments, seeds, speakers]
    drawn = metrics.resample(right.transpose(1, 2, 0), DRAWS)  # [draws, experiments]
    return metrics.percentile_limits(100 * drawn / (seeds * speakers * utterances), speakers)


def _wilson(right: np.ndarray, utterances: int) -> np.ndarray:
    """Return the intervals [2, experiments] as if utterances were independent."""
    known = {n: metrics.proportion_interval(100 * n / utterances, utterances) for n in set(right)}
    return np.transpose([(known[n].low, known[n].high) for n in right])


def _share_holding(intervals: np.ndarray) -> float:
    (low, high), truth = intervals, 100 * ACCURACY
    return 100 * float(((low <= truth) & (truth <= high)).mean())
