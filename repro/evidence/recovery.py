"""The recovery study: does the method of Section 3.2, Fig. 2, measure what it is read to measure?

The paper sweeps one side of a filter and takes the size where accuracy stops rising for the stretch
of time, or of frequency, over which emotion shows itself. Here the sweep is made over signals whose
classes differ only in a pattern of a known stretch (`repro.corpora.planted`). If the method works,
accuracy rises when the filter reaches that stretch, and not before.

The network is that of Section 3.2: one layer of 16 filters, GAP. `grids.recovery` says how it is
trained.
"""

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from repro import paper
from repro.corpora import planted
from repro.corpora.planted import Scale
from repro.evidence import metrics
from repro.study.grids import known

WA = metrics.SCORES.index("WA")
STEP = {"ms": round(1000 * paper.SHIFT_SECONDS), "Hz": paper.BIN_HZ}  # one step of a filter's side
# By how much a filter touches more of the signal than its size says: what the window smears, less
# the step that its size counts already.
BEYOND_SIZE = {unit: round(planted.SMEAR[unit]) - step for unit, step in STEP.items()}


def scale_of(variant: str) -> Scale:
    """Return what is planted for a variant of the study."""
    return planted.BY_NAME[str(known("recovery")[variant].corpus)]


def reach_of(variant: str) -> int:
    """Return how far the filter of a variant of the study reaches, in ms or Hz, see `sweeps`."""
    [(height, width)] = known("recovery")[variant].experiment.network.stems
    unit = scale_of(variant).unit
    return STEP[unit] * (width if unit == "ms" else height)


def sweeps(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return `metrics.summary` with what each variant's filter and planted scale are.

    Further columns: scale (such as `40 ms`), unit, planted (ms or Hz), reach (of the filter, in the
    same unit: its size times the step of 10 ms or 10 Hz, as the paper counts).
    """
    table = metrics.summary(predictions)
    scales = [scale_of(variant) for variant in table["variant"]]
    return table.assign(
        scale=[scale.text for scale in scales],
        unit=[scale.unit for scale in scales],
        planted=[scale.size for scale in scales],
        reach=[reach_of(variant) for variant in table["variant"]],
    )


def recovered(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return which scale the sweep over each planted scale gives away.

    The recovered scale is where accuracy has risen halfway from chance to the best of the sweep:
    the first such point, on straight lines between the sizes measured, over the logarithm of size.
    A sweep that is halfway up at its smallest size gives that size, `at_most` being true; one whose
    best size does no better than chance (one-sided binomial test on the first seed, corrected for
    the number of sizes) gives none. The interval comes from the bootstrap over speakers.

    Args:
        predictions: of the study, on one set of settings.

    Returns:
        A row per planted scale, with scale, unit, planted, recovered, low, high (ms or Hz),
        at_most; best reach and best WA, and at_least, whether that is the largest size, so that a
        larger one might do better still; smallest reach, that of the smallest filter that is not
        significantly worse than the best (95% interval of the difference); half reach and half WA,
        those of the largest filter that reaches no further than half of what is planted, and early,
        whether even that one does better than chance by the same test; chance (per cent), speakers.
    """
    rows = []
    scales = {variant: scale_of(variant) for variant in predictions["variant"].unique()}
    for scale in dict.fromkeys(scales.values()):
        sizes = [variant for variant, of in scales.items() if of == scale]
        # Of sizes that lack folds yet nothing can be said beside the others.
        of_scale = metrics.comparable(predictions[predictions["variant"].isin(sizes)])
        by_reach = {reach_of(v): p for v, p in of_scale.groupby("variant")}
        reaches = np.array(sorted(by_reach))
        counts = [metrics.confusion_counts(by_reach[reach]) for reach in reaches]
        accuracy = np.array([metrics.scores_of(c.sum((0, 1)))[WA] for c in counts])
        draws = np.stack([metrics.scores_of(metrics.resample(c))[:, WA] for c in counts], 1)
        chance, speakers = metrics.majority(of_scale), metrics.speakers(of_scale)
        above = [_above_chance(c, chance, len(counts)) for c in counts]
        best, half = int(accuracy.argmax()), int((reaches <= scale.size / 2).sum()) - 1
        found = low = high = level = np.nan
        if above[best]:
            found = float(half_rise(reaches, accuracy, chance))
            low, high = metrics.percentile_limits(half_rise(reaches, draws, chance), speakers)
            behind, _ = metrics.percentile_limits(draws[:, [best]] - draws, speakers)
            if np.isfinite(behind).all():
                level = reaches[np.argmax(behind <= 0)]
        rows.append(
            {
                "scale": scale.text,
                "unit": scale.unit,
                "planted": scale.size,
                "recovered": found,
                "low": low,
                "high": high,
                "at_most": bool(np.isclose(found, reaches[0])),
                "best reach": reaches[best],
                "best WA": accuracy[best],
                "at_least": best == len(reaches) - 1,
                "smallest reach": level,
                "half reach": reaches[half] if half >= 0 else np.nan,
                "half WA": accuracy[half] if half >= 0 else np.nan,
                "early": half >= 0 and above[half],
                "chance": chance,
                "speakers": speakers,
            }
        )
    return pd.DataFrame(rows)


def half_rise(reaches: np.ndarray, accuracy: np.ndarray, chance: float) -> np.ndarray:
    """Return where accuracy [..., sizes] first is halfway from chance to its best: [...].

    See `recovered`; what is halfway up at the first size has its half rise there, and what is never
    above chance has none (NaN).
    """
    best = accuracy.max(-1, keepdims=True)
    half = (chance + best) / 2
    after = np.argmax(accuracy >= half, -1, keepdims=True)
    before = np.maximum(after - 1, 0)
    low, high = (np.take_along_axis(accuracy, at, -1) for at in (before, after))
    share = np.divide(half - low, high - low, out=np.zeros(half.shape), where=after > before)
    left, right = np.log(reaches)[before], np.log(reaches)[after]
    return np.where(best > chance, np.exp(left + (right - left) * share), np.nan)[..., 0]


def _above_chance(counts: np.ndarray, chance: float, tests: int) -> bool:
    """Return whether one size does better than chance, being one of so many that are tested."""
    confusion = counts[0].sum(0)  # the first seed's: utterances count once
    right, total = int(np.trace(confusion)), int(confusion.sum())
    p = binomtest(right, total, chance / 100, alternative="greater").pvalue
    return bool(p < (1 - metrics.LEVEL) / tests)
