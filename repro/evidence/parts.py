"""What a claim's test is made of: the scores of a study, and parts measured from them.

A part is one effect with its 95% bootstrap interval over speakers (`metrics`) and a verdict of its
own: an effect claimed to be above a bound, several claimed to lie within bounds, or a trend.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from repro.corpora import CORPORA
from repro.evidence import metrics
from repro.study.grids import short_name

Judgement = Literal["supported", "contradicted", "undecided", "not testable here"]
TAIL = (1 - metrics.LEVEL) / 2  # the one-sided level: the error on either side of an interval


@dataclass(frozen=True)
class Part:
    """One measured quantity that a claim rests on, with a verdict of its own.

    The remark is what a reader of the effect must know beside it; the note says what decided.
    """

    what: str
    unit: Literal["points", "rank correlation"]
    effect: float
    low: float
    high: float
    verdict: Judgement
    note: str = ""
    remark: str = ""
    p: float = np.nan  # of an exact test beside the interval, where there is one
    score: str = ""  # WA or UA, where a claim on poolings has a part for each

    @property
    def number(self) -> str:
        """The effect with its interval and unit."""
        digits = 1 if self.unit == "points" else 2
        number = metrics.format_interval((self.effect, self.low, self.high), digits, "+")
        return f"{number} {self.unit}"

    def __str__(self) -> str:
        """Return what was measured, and the remark."""
        return f"{self.what}: {self.number}" + (f", {self.remark}" if self.remark else "")


class NotTestableError(Exception):
    """The results at hand cannot answer; the text says why."""


class StudyScores:
    """The scores of one study on one corpus or, as their mean, on several: see `together`."""

    def __init__(self, predictions: pd.DataFrame):
        self.corpora = [rows for _, rows in predictions.groupby("corpus")]
        for rows in self.corpora:
            runs = rows[["corpus_hash", "preset", "variant", "key"]].drop_duplicates()
            states = runs[["corpus_hash", "preset"]].drop_duplicates()
            if runs["variant"].duplicated().any() or len(states) > 1:
                raise ValueError("predictions of more than one state of a corpus or preset")
        self.predictions = predictions
        self.corpus = ", ".join(rows["corpus"].iloc[0] for rows in self.corpora)
        self.preset = str(predictions["preset"].iloc[0])
        self.speakers = min(map(metrics.speakers, self.corpora))  # of the smallest corpus
        self.seeds = predictions["seed"].nunique()
        self.variants = dict(list(predictions.groupby("variant")))
        folds = predictions.drop_duplicates(["variant", "corpus", "fold", "seed"])
        planned = sum(speakers_in_all(rows) * rows["seed"].nunique() for rows in self.corpora)
        self.finished = {
            name for name, n in folds["variant"].value_counts().items() if n == planned
        }
        # Several claims read the same variants.
        self._bootstrap = cache(lambda name: metrics.bootstrap(self.variants[name]))

    def require(self, variants: Collection[str]) -> None:
        """Raise NotTestableError unless there are these variants of all speakers, and enough.

        Every emotion must have utterances, too.
        """
        missing = [name for name in variants if name not in self.variants]
        require(not missing, f"no results of {', '.join(map(short_name, missing))}")
        require(
            self.speakers >= metrics.FEWEST_SPEAKERS,
            f"too few speakers ({self.speakers}): an interval needs {metrics.FEWEST_SPEAKERS}",
        )
        for name in variants:
            require(name in self.finished, f"{short_name(name)} lacks folds")
        there = all({*metrics.EMOTIONS} <= {*rows["emotion"]} for rows in self.corpora)
        require(there, "an emotion has no utterances")

    def bootstrap(self, variants: Collection[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores of variants [variants, scores], and draws [draws, variants, scores].

        Raises:
            NotTestableError: as `require` does.
        """
        self.require(variants)
        values, draws = zip(*map(self._bootstrap, variants), strict=True)
        return np.stack(values), np.stack(draws, axis=1)

    @cached_property
    def learnt(self) -> bool:
        """Whether a finished variant is better than always naming the commonest emotion."""
        return learnt(self.predictions[self.predictions["variant"].isin(self.finished)])


def speakers_in_all(rows: pd.DataFrame) -> int:
    """Return how many speakers a corpus has to hold out, of which no variant may have all yet.

    That is what its release has or, of a corpus of one's own that is at hand, what `study.read` has
    found there. Otherwise those that were held out are taken for all.
    """
    begun, corpus = metrics.speakers(rows), CORPORA.get(rows["corpus"].iloc[0])
    if corpus is not None and set(rows["held_out"]) == {"speaker"}:
        return max(begun, len(corpus.published))
    planned = rows["folds_of_a_seed"].max() if begun and "folds_of_a_seed" in rows else 0
    return int(max(begun, planned))  # in this order, as it may be NaN


def settled(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the seeds that count: with which no variant lacks speakers.

    A further seed that is still being trained would weigh on the speakers that it has. Variants
    that have all speakers with no seed yet are not waited for. If the first seed lacks any of the
    others, all rows count.
    """
    kept = []
    for _, rows in predictions.groupby(["study", "corpus", "corpus_hash", "preset"], sort=False):
        folds = rows.groupby(["variant", "seed"])["fold"].nunique().unstack(fill_value=0)
        whole = folds >= (speakers_in_all(rows) or np.inf)
        seeds = folds.columns[whole[whole.any(axis=1)].all()]
        kept.append(rows[rows["seed"].isin(seeds)] if folds.columns[0] in seeds else rows)
    return pd.concat(kept) if kept else predictions


def learnt(predictions: pd.DataFrame) -> bool:
    """Return whether a variant is better than always naming the commonest emotion by its interval.

    That is, whether the lower end of an interval of WA lies above that emotion's share.
    """
    chance = metrics.majority(predictions)
    return bool((metrics.summary(predictions)["WA low"] > chance).any())


def exceeds(
    study: StudyScores,
    score: str,
    what: str,
    variants: Sequence[str],
    number: Callable[[np.ndarray], np.ndarray],  # of one score [..., variants]: [...]
    least: float = 0.0,
) -> Part:
    """Return a number made from one score of variants, claimed to be above a bound."""
    column = metrics.SCORES.index(score)
    value, draws = (number(scores[..., column]) for scores in study.bootstrap(variants))
    gain = metrics.Interval(float(value), *_limits(study, draws))
    return Part(f"{score}, {what}", "points", *gain, above(gain, least), score=score)


def all_within(
    study: StudyScores,
    what: str,  # names a number, with a place for the name of what is compared
    names: Collection[str],  # of what is compared, one for each number
    variants: Collection[str],  # whose scores the numbers are made from
    numbers: Callable[[np.ndarray], np.ndarray],  # of scores [..., variants, scores]: [..., names]
    least: float = 0.0,
    most: float = np.inf,
) -> Part:
    """Return whether all numbers of one kind lie within bounds, with the one that decides.

    It is supported if all intervals lie within, contradicted if a number lies outside, by a t-test
    after Holm's correction. If neither is so, the interval that reaches out furthest is shown.
    """
    values, draws = map(numbers, study.bootstrap(variants))
    low, high = _limits(study, draws)
    reach = np.maximum(least - low, high - most)  # of the intervals, beyond the bounds
    outside = np.maximum(least - values, values - most)
    t = metrics.t_values(outside, draws, study.speakers)
    alone = stats.t.sf(t, study.speakers - 1)
    chances = metrics.holm(alone)
    against = [short_name(name) for name, p in zip(names, chances, strict=True) if p < TAIL]
    inside = bool((reach < 0).all())
    verdict: Judgement = "contradicted" if against else "supported" if inside else "undecided"
    shown = int(t.argmax() if against else reach.argmax())
    estimate = metrics.Interval(float(values[shown]), float(low[shown]), float(high[shown]))
    note = f"{what.format('…')}: contradicted by {', '.join(against)}" if against else ""
    beyond = estimate.high < least or estimate.low > most
    short = "after Holm's correction" if alone[shown] < TAIL else "by the t-test"
    remark = f"not enough {short}" if beyond and not against else ""
    widest = (high - low).max() / 2
    if verdict == "undecided" and not remark and 2 * widest > most - least:
        remark = (
            f"intervals up to ±{widest:.1f} wide, which no result could bring within the bounds"
        )
    return Part(
        what.format(short_name([*names][shown])), "points", *estimate, verdict, note, remark
    )


def _limits(study: StudyScores, draws: np.ndarray) -> np.ndarray:
    """Return `metrics.percentile_limits`; NotTestableError where there are none."""
    limits = metrics.percentile_limits(draws, study.speakers)
    enough = bool(np.isfinite(limits).all())
    require(enough, f"fewer than {metrics.FEWEST_SPEAKERS} speakers have one of the emotions")
    return limits


def trend(study: StudyScores, sizes: dict[int, str], score: int, side: str, *, rises: bool) -> Part:
    """Return the mean over speakers of a score's correlation with filter size (seeds together)."""
    study.require(sizes.values())
    means, draws, fewest = [], [], study.speakers
    for number, rows in enumerate(study.corpora):
        of_shapes = (rows[rows["variant"] == name] for name in sizes.values())
        counts = np.stack([metrics.confusion_counts(each).sum(0) for each in of_shapes], 1)
        blocks = metrics.scores_of(counts)[..., score]  # [speakers, sizes]
        known = blocks[np.isfinite(blocks).all(1)]  # speakers who have that emotion
        require(
            len(known) >= metrics.FEWEST_SPEAKERS,
            f"too few speakers with {metrics.SCORES[score]} utterances ({len(known)})",
        )
        each = np.array([_rank_correlation(block) for block in known])
        rng = np.random.default_rng(number)
        draws.append(each[rng.integers(len(each), size=(metrics.RESAMPLES, len(each)))].mean(1))
        means.append(each.mean())
        fewest = min(fewest, len(each))
    low, high = metrics.percentile_limits(np.mean(draws, axis=0), fewest)
    mean = metrics.Interval(float(np.mean(means)), low, high)
    claimed = mean if rises else metrics.Interval(-mean.value, -high, -low)
    what = f"{metrics.SCORES[score]} over {len(sizes)} {side}s from {min(sizes)} to {max(sizes)}"
    return Part(what, "rank correlation", *mean, above(claimed))


def _rank_correlation(scores: np.ndarray) -> float:
    """Return Spearman's correlation of scores with their order; 0 if they do not change."""
    return stats.spearmanr(scores, range(len(scores))).statistic if np.ptp(scores) else 0.0


def above(estimate: metrics.Interval, least: float = 0.0) -> Judgement:
    """Return the verdict on an effect that is claimed to be above a bound."""
    if estimate.low > least:
        return "supported"
    return "contradicted" if estimate.high < least else "undecided"


def require(condition: bool, reason: str) -> None:
    """Raise NotTestableError, with a reason, unless a condition holds."""
    if not condition:
        raise NotTestableError(reason)
