"""How sure the intervals are: experiments made up by a computer, whose truth is known.

Each simulated experiment has speakers who differ in how well they are recognised, and utterances
that are recognised or not by chance. `repro.metrics` gives its interval, and the truth is in it or
it is not. Nothing here is about speech; the numbers say what an experiment of some size can tell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from repro import metrics

ACCURACY = 0.7  # of the simulated systems: about what the paper reports
RUNS = 500  # experiments per row


def coverage(
    speakers: Sequence[int] = (5, 10, 20),
    spreads: Sequence[float] = (0.0, 5.0, 10.0),
    utterances: int = 50,
    runs: int = RUNS,
) -> pd.DataFrame:
    """Count how often 95% intervals of WA hold the truth.

    Args:
        speakers: how many there are.
        spreads: by how many points speakers differ (standard deviation).
        utterances: of each speaker.
        runs: experiments per row.

    Returns:
        A row for each number of speakers and spread: the share, in per cent, of intervals that hold
        the truth, from the bootstrap over speakers and from the utterances alone.
    """
    rows = []
    for count in speakers:
        for spread in spreads:
            rng = np.random.default_rng(0)
            chances = ACCURACY + spread / 100 * rng.standard_normal((runs, count))
            right = rng.binomial(utterances, chances.clip(0, 1))
            by_speakers = _intervals(right, utterances)
            by_utterances = _wilson(right.sum(1), count * utterances)
            held = (_share_holding(100 * ACCURACY, kind) for kind in (by_speakers, by_utterances))
            rows.append((count, spread, *held))
    columns = ["speakers", "they differ by (points)", "bootstrap over speakers (%)", "Wilson (%)"]
    return pd.DataFrame(rows, columns=columns)


def power(
    sizes: dict[str, tuple[int, int]],
    gains: Sequence[float] = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0),
    discordant: float = 0.1,
    spread: float = 2.0,
    runs: int = RUNS,
) -> pd.DataFrame:
    """Count how often the interval of a difference of two systems leaves out 0.

    Args:
        sizes: speakers, and utterances of each, by the name of the experiment.
        gains: by how many points of WA one system is truly better.
        discordant: share of utterances on which only one of them is right.
        spread: by how many points the gain differs between speakers (standard deviation).
        runs: experiments per row.

    Returns:
        A row for each experiment and gain: `experiment`, `gain`, and how often the better system is
        found to be better (`found`) and to be worse (`wrong`), in per cent.
    """
    rows = []
    for name, (speakers, utterances) in sizes.items():
        for gain in gains:
            rng = np.random.default_rng(0)
            gains_of = (gain + spread * rng.standard_normal((runs, speakers))) / 100
            chances = ((discordant + gains_of) / 2).clip(0, discordant)
            apart = rng.binomial(utterances, discordant, (runs, speakers))
            better = rng.binomial(apart, chances / discordant)
            bounds = np.array(_intervals(2 * better - apart, utterances))
            found, wrong = (bounds[:, 0] > 0).mean(), (bounds[:, 1] < 0).mean()
            rows.append((name, gain, 100 * found, 100 * wrong))
    return pd.DataFrame(rows, columns=["experiment", "gain", "found", "wrong"])


def _intervals(right: np.ndarray, utterances: int) -> list[tuple[float, float]]:
    """Return the bootstrap's interval, in per cent, for each experiment [runs, speakers]."""
    speakers = right.shape[1]
    draws = 100 * metrics.resample(right.T[None]) / (speakers * utterances)  # [draws, runs]
    return [metrics.interval(drawn, speakers) for drawn in draws.T]


def _wilson(right: np.ndarray, utterances: int) -> list[tuple[float, float]]:
    """Return the interval of each experiment as if its utterances were independent."""
    known = {n: metrics.proportion_interval(100 * n / utterances, utterances) for n in set(right)}
    return [(known[n].low, known[n].high) for n in right]


def _share_holding(truth: float, intervals: Sequence[tuple[float, float]]) -> float:
    return 100 * float(np.mean([low <= truth <= high for low, high in intervals]))
