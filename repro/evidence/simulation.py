"""How sure the intervals are: experiments made up by a computer, whose truth is known.

Each simulated experiment has speakers who differ in how well they are recognised, and utterances
that are recognised or not by chance. `metrics` gives its interval, and the truth is in it or
it is not. Nothing here is about speech; the numbers say what an experiment of some size can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from repro.evidence import metrics

ACCURACY = 0.7  # of the simulated systems: about what the paper reports
PER_SPEAKER = 50  # utterances
LUCK = 5.0  # points: what initial weights and the order of segments do to the WA of one fold
RUNS = 500  # experiments per row
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
    seeds: Sequence[int] = (1, 2),
    runs: int = RUNS,
) -> pd.DataFrame:
    """Return how often 95% intervals of WA hold the truth.

    Args:
        speakers: how many there are.
        spreads: by how many points speakers differ (standard deviation).
        seeds: how often everything is trained. Each training of a fold adds luck of its own, with a
            standard deviation of `LUCK` points.
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
            for trainings in seeds:
                rng = np.random.default_rng(0)
                chances = ACCURACY + spread / 100 * rng.standard_normal((runs, 1, count))
                luck = LUCK / 100 * rng.standard_normal((runs, trainings, count))
                right = rng.binomial(PER_SPEAKER, (chances + luck).clip(0, 1))
                held.append(_share_holding(100 * ACCURACY, _intervals(right, PER_SPEAKER)))
                of_one = right[:, 0].sum(1)
            by_utterances = _wilson(of_one, count * PER_SPEAKER)
            rows.append((count, spread, *held, _share_holding(100 * ACCURACY, by_utterances)))
    by_seeds = [f"bootstrap, {n} seed{'' if n == 1 else 's'} (%)" for n in seeds]
    columns = ["speakers", "SD between speakers (points)", *by_seeds, "Wilson (%)"]
    return pd.DataFrame(rows, columns=columns)


def disagreement(predictions: pd.DataFrame, one: str, other: str) -> Disagreement | None:
    """Return how two variants differ, utterance by utterance.

    Speakers' gains scatter more than the true ones do, since each is measured on few utterances:
    the variance that this alone explains is taken off. What is left holds also what the initial
    weights of each fold do. Seeds are measured one by one and averaged.

    Args:
        predictions: of one study on one corpus with one preset.
        one: a variant.
        other: the variant it is compared with.

    Returns:
        None where a variant is missing, or fewer speakers have both than an interval needs.
    """
    if not {one, other} <= set(predictions.get("variant", ())):
        return None
    if metrics.speakers(predictions) < metrics.FEWEST_SPEAKERS:
        return None
    right = metrics.right(predictions, [one, other]).astype(int)
    gain = 100 * (right[one] - right[other])
    of_speaker = gain.groupby(["seed", "fold"]).agg(["mean", "var", "count"])
    by_chance = of_speaker["var"] / of_speaker["count"]
    speakers = by_chance.groupby("seed").count()
    if speakers.empty or speakers.min() < metrics.FEWEST_SPEAKERS:
        return None
    scatter = of_speaker["mean"].groupby("seed").var() - by_chance.groupby("seed").mean()
    return Disagreement(float(gain.ne(0).mean()), float(max(0, scatter.mean()) ** 0.5))


def power(
    sizes: dict[str, tuple[int, int]],
    differing: Disagreement = ASSUMED,
    gains: Sequence[float] = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0),
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
            rng = np.random.default_rng(0)
            gains_of = gain + differing.spread * rng.standard_normal((runs, speakers))
            gains_of = (gains_of / 100).clip(-1, 1)
            # Systems that differ in accuracy disagree on as many utterances at least.
            discordant = np.maximum(np.abs(gains_of), max(differing.discordant, 1e-9))
            apart = rng.binomial(utterances, discordant)
            better = rng.binomial(apart, (1 + gains_of / discordant) / 2)
            bounds = np.array(_intervals((2 * better - apart)[:, None], utterances))
            found, wrong = (bounds[:, 0] > 0).mean(), (bounds[:, 1] < 0).mean()
            rows.append((name, gain, 100 * found, 100 * wrong))
    return pd.DataFrame(rows, columns=["experiment", "gain", "found", "wrong"])


def _intervals(right: np.ndarray, utterances: int) -> list[tuple[float, float]]:
    """Return the bootstrap's interval, in per cent, for each experiment [runs, seeds, speakers]."""
    seeds, speakers = right.shape[1:]
    drawn = metrics.resample(right.transpose(1, 2, 0), DRAWS)  # [draws, runs]
    draws = 100 * drawn / (seeds * speakers * utterances)
    return [metrics.percentile_limits(each, speakers) for each in draws.T]


def _wilson(right: np.ndarray, utterances: int) -> list[tuple[float, float]]:
    """Return the interval of each experiment as if its utterances were independent."""
    known = {n: metrics.proportion_interval(100 * n / utterances, utterances) for n in set(right)}
    return [(known[n].low, known[n].high) for n in right]


def _share_holding(truth: float, intervals: Sequence[tuple[float, float]]) -> float:
    return 100 * float(np.mean([low <= truth <= high for low, high in intervals]))
