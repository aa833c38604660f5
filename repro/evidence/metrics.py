"""Weighted and unweighted accuracy (Section 3.1), and how sure one can be of them.

Predictions are `repro.results.read(...).predictions`: a row per utterance with its true `emotion`,
the `predicted` one, and the columns that name study, variant, fold and seed.

Utterances of one speaker are not independent. Intervals therefore come from a bootstrap that draws
whole speakers with replacement, each with all seeds of its fold: a seed gives every fold weights of
its own (`crossval.fold_seed`), so seeds are nested in speakers, and what they differ by is part of
what speakers differ by. With ten speakers a plain percentile interval is too narrow; its levels are
widened as for a t-interval (Hesterberg, "What teachers should know about the bootstrap", The
American Statistician 69, 2015). `repro.evidence.simulation` counts how often such intervals hold
the truth.
"""

import warnings
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from repro import paper

EMOTIONS = list(paper.EMOTIONS)
ACCURACIES = ("WA", "UA")
SCORES = [*ACCURACIES, *EMOTIONS]
RUN = ["corpus", "corpus_hash", "preset", "key", "variant"]
LEVEL = 0.95
RESAMPLES = 20_000  # the ends lie so far out that with fewer they would depend on luck
FEWEST_SPEAKERS = 5  # with fewer the bootstrap has too little to draw from: no interval
TABLE_1_PAIRS = (("attention", "gap"), ("gap", "bilinear"), ("attention", "bilinear"))


class Interval(NamedTuple):
    """A value with its 95% interval, in the unit of what is measured (per cent, points, ...).

    The limits are NaN where there is no interval, the value where nothing was measured.
    """

    value: float
    low: float
    high: float


NONE = Interval(np.nan, np.nan, np.nan)


def confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the count of utterances by true emotion (rows) and predicted emotion (columns)."""
    counts = confusion_counts(predictions).sum((0, 1))
    names = (pd.Index(EMOTIONS, name=name) for name in ("emotion", "predicted"))
    return pd.DataFrame(counts, *names)


def speakers(predictions: pd.DataFrame) -> int:
    """Return how many speakers the folds hold out, one each; 0 if the folds are anything else.

    A group of `protocol.folds=speaker-groups` counts as one speaker, as it is held out as one.
    A session or a random tenth of the utterances is no speaker, and what is drawn from such folds
    is no interval over speakers.
    """
    if not set(predictions["held_out"]) <= {"speaker", "speaker-groups"}:
        return 0
    return predictions["fold"].nunique()


def summary(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return accuracies in per cent, with intervals, for each variant, averaged over seeds.

    The utterances of all folds count together, or the folds' accuracies are averaged, as the
    experiment's `protocol.average` has it. Runs on different corpora or with different settings
    never share a row. Where the folds are not speakers there are no intervals, see `speakers`, nor
    are there of an emotion, and of UA, where fewer than `FEWEST_SPEAKERS` have it.

    Returns:
        A row per corpus, preset and variant in the order of the file, with folds, utterances and
        seeds (how many), WA, UA and the four emotions, each score with its `low` and `high`.
    """
    of = ("fold", "utterance", "seed")
    columns = [f"{score}{end}" for score in SCORES for end in ("", " low", " high")]
    rows = []
    for run, group in predictions.groupby(RUN, sort=False):
        values, draws = bootstrap(group)
        numbers = np.stack([values, *percentile_limits(draws, speakers(group))], 1)  # [scores, 3]
        rows.append((*run, *(group[each].nunique() for each in of), *numbers.ravel()))
    table = pd.DataFrame(rows, columns=[*RUN, *(f"{each}s" for each in of), *columns])
    return table.drop(columns=["corpus_hash", "key"])


def majority(predictions: pd.DataFrame) -> float:
    """Return the WA, in per cent, of always naming the commonest emotion."""
    emotions = predictions.drop_duplicates("utterance")["emotion"]
    return 100 * float(emotions.value_counts(normalize=True).max())


def paper_difference(one: str, other: str, score: str) -> float:
    """Return by how many points of WA or UA one pooling of Table 1 is ahead of another."""
    return getattr(paper.TABLE_1[one], score.lower()) - getattr(paper.TABLE_1[other], score.lower())


def beside_paper(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return `summary` with the paper's WA and UA for the variants of Table 1."""
    table = summary(predictions)
    for score in ACCURACIES:
        published = {name: getattr(row, score.lower()) for name, row in paper.TABLE_1.items()}
        table[f"paper {score}"] = table["variant"].map(published)
    return table


def difference(predictions: pd.DataFrame, better: str, worse: str, score: str = "WA") -> Interval:
    """Return by how many points one variant beats another on the same speakers and seeds.

    The score is one of `SCORES`. Of several corpora it is the mean difference, each with the same
    weight, see `evidence.claims.together`.

    Raises:
        ValueError: the variants were not run on the same folds and seeds.
    """
    ours, theirs = _both(predictions, better, worse)
    return contrast([ours], [theirs], score)


def contrast(plus: Sequence[pd.DataFrame], minus: Sequence[pd.DataFrame], score: str) -> Interval:
    """Return a score summed over some predictions minus that over others, in points.

    Args:
        plus: predictions whose score counts as positive, each of one variant.
        minus: likewise, as negative; all of the same speakers. Seeds count together.
        score: one of `SCORES`.
    """
    everything, column = [*plus, *minus], SCORES.index(score)
    signs = np.repeat([1, -1], [len(plus), len(minus)])
    values, draws = zip(*map(bootstrap, everything), strict=True)  # the same draws for all
    value, drawn = (np.tensordot(signs, each, 1)[..., column] for each in (values, draws))
    fewest = min(speakers(rows) for each in everything for _, rows in each.groupby("corpus"))
    return Interval(float(value), *percentile_limits(drawn, fewest))


def exchange_test(predictions: pd.DataFrame, one: str, other: str, score: str = "WA") -> float:
    """Return the two-sided p-value of a paired permutation test of two variants.

    If the two are alike, every exchange of all that they say of a speaker is as likely as what was
    found. Up to 13 speakers every combination counts, and the test is exact; of more, a sample
    does. Seeds count together. The predictions are of one corpus, the score is one of `SCORES`.

    Raises:
        ValueError: the variants were not run on the same folds and seeds.
    """
    both = map(confusion_counts, _both(predictions, one, other))
    counts = np.concatenate([each.sum(0) for each in both])  # a row for each fold
    rows, column = np.arange(len(counts)), SCORES.index(score)

    def gain(of_one: np.ndarray, of_other: np.ndarray, axis: int) -> np.ndarray:
        sums = (counts[chosen].sum(-3) for chosen in (of_one, of_other))
        # Rounded, as what float64 adds up in another order is no other difference.
        return np.round(np.subtract(*map(scores_of, sums)), 9)[..., column]

    test = stats.permutation_test(
        np.split(rows, 2), gain, permutation_type="samples", vectorized=True, axis=-1, rng=0
    )
    return float(test.pvalue)


def units_of(predictions: pd.DataFrame) -> set[tuple[str, int]]:
    """Return the folds and seeds that were run."""
    return set(zip(predictions["fold"], predictions["seed"], strict=True))


def _both(predictions: pd.DataFrame, one: str, other: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the predictions of two variants; ValueError if they are not on the same folds."""
    ours, theirs = (predictions[predictions["variant"] == name] for name in (one, other))
    if units_of(ours) != units_of(theirs):
        raise ValueError(f"{one} and {other} were not run on the same folds and seeds")
    return ours, theirs


def compare_pairs(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return how the poolings of Table 1 compare two by two, on the folds and seeds of both.

    The predictions are of one study on one corpus with one preset.

    Returns:
        A row per pair that has common folds, with one, other; WA, WA low, WA high, UA, UA low, UA
        high (points that `one` is ahead of `other`, see `difference`); speakers.
    """
    columns = ["one", "other", "WA", "WA low", "WA high", "UA", "UA low", "UA high", "speakers"]
    rows = []
    for pair in TABLE_1_PAIRS:
        both = on_common_folds(predictions[predictions["variant"].isin(pair)], "variant")
        if both["variant"].nunique() == len(pair):
            points = (x for score in ACCURACIES for x in difference(both, *pair, score))
            rows.append((*pair, *points, speakers(both)))
    return pd.DataFrame(rows, columns=columns)


def in_pairs(found: pd.DataFrame) -> pd.DataFrame:
    """Return what `compare_pairs` found of each pair as text: pair, WA, UA."""
    scores = {score: format_intervals(found, score, sign="+") for score in ACCURACIES}
    return pd.DataFrame({"pair": found["one"] + " − " + found["other"]} | scores)


def on_common_folds(predictions: pd.DataFrame, *by: str) -> pd.DataFrame:
    """Return the rows of those folds and seeds that all groups by some columns have."""
    group = predictions.groupby(list(by)).ngroup()
    having = group.groupby([predictions["fold"], predictions["seed"]]).transform("nunique")
    return predictions[having == group.nunique()]


def comparable(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the variants that are furthest, all tested on the same folds and seeds."""
    units = {name: units_of(rows) for name, rows in predictions.groupby("variant")}
    most = max(units.values(), key=len, default=set())
    return predictions[predictions["variant"].map(units) == most]


def mean(measures: pd.DataFrame, column: str) -> Interval:
    """Return the mean of what was measured on utterances, over all that have it.

    Args:
        measures: a row per utterance, with `fold`, `seed` and the column; may be empty.
        column: numbers, NaN where there is none.
    """
    known = measures.dropna(subset=[column])
    if known.empty:
        return NONE
    cells = known.pivot_table(index="seed", columns="fold", values=column, aggfunc=["sum", "count"])
    sums, counts = (cells[name].fillna(0).to_numpy() for name in ("sum", "count"))
    with np.errstate(invalid="ignore"):  # a draw may have left out all who have it
        draws = resample(sums) / resample(counts)
    return Interval(sums.sum() / counts.sum(), *percentile_limits(draws, speakers(known)))


def proportion_interval(per_cent: float, utterances: int) -> Interval:
    """Return the Wilson interval of a published accuracy, as if utterances were independent.

    NaN, where nothing was published, has none.
    """
    if np.isnan(per_cent):
        return NONE
    right = round(per_cent / 100 * utterances)
    low, high = stats.binomtest(right, utterances).proportion_ci(LEVEL, method="wilson")
    return Interval(per_cent, 100 * low, 100 * high)


def confusion_counts(predictions: pd.DataFrame) -> np.ndarray:
    """Return counts of utterances: [seeds, speakers, true emotion, predicted emotion]."""
    codes = [
        pd.factorize(predictions["seed"], sort=True)[0],
        pd.factorize(predictions["fold"], sort=True)[0],
        pd.Categorical(predictions["emotion"], EMOTIONS).codes,
        pd.Categorical(predictions["predicted"], EMOTIONS).codes,
    ]
    shape = (codes[0].max() + 1, codes[1].max() + 1, len(EMOTIONS), len(EMOTIONS))
    counts = np.zeros(shape, int)
    np.add.at(counts, tuple(codes), 1)
    return counts


def bootstrap(predictions: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of one variant [scores], and draws of them [draws, scores].

    They are counted over all utterances, or averaged over folds, as the experiment's
    `protocol.average` has it. Of several corpora it is the mean, each with the same weight.
    """
    of_corpora = [rows for _, rows in predictions.groupby("corpus")]
    each = [_bootstrap(rows, number) for number, rows in enumerate(of_corpora)]
    values, draws = zip(*each, strict=True)
    return np.mean(values, axis=0), np.mean(draws, axis=0)


def _bootstrap(predictions: pd.DataFrame, stream: int) -> tuple[np.ndarray, np.ndarray]:
    counts = confusion_counts(predictions)
    if predictions["average"].iloc[0] == "pooled":
        values, draws = scores_of(counts.sum((0, 1))), scores_of(resample(counts, stream=stream))
        lacking = np.isnan(draws[:, np.isfinite(values)]).any(1)  # no drawn speaker has an emotion
        draws[lacking, SCORES.index("UA")] = np.nan  # which would be the mean of the others
    else:
        scores = scores_of(counts)  # [seeds, speakers, scores]
        some = np.isfinite(scores)  # a speaker may have no utterance of an emotion
        scores = np.where(some, scores, 0)
        sums, numbers = (resample(each, stream=stream) for each in (scores, some))
        with np.errstate(invalid="ignore"):
            values, draws = scores.sum((0, 1)) / some.sum((0, 1)), sums / numbers
    having = (counts.sum((0, 3)) > 0).sum(0)  # how many speakers, by emotion
    few = (having > 0) & (having < FEWEST_SPEAKERS)
    draws[:, len(ACCURACIES) :][:, few] = np.nan
    if few.any():
        draws[:, SCORES.index("UA")] = np.nan
    return values, draws


def scores_of(counts: np.ndarray) -> np.ndarray:
    """Return `SCORES` in per cent [..., 6] from confusion counts [..., 4, 4]."""
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    with np.errstate(invalid="ignore"):  # an emotion without utterances has no accuracy
        emotions = right / counts.sum(-1)
        wa = right.sum(-1) / counts.sum((-2, -1))
    ua = np.nansum(emotions, -1) / np.isfinite(emotions).sum(-1)
    return 100 * np.concatenate([wa[..., None], ua[..., None], emotions], -1)


def resample(values: np.ndarray, resamples: int | None = None, stream: int = 0) -> np.ndarray:
    """Return sums [draws, ...] of values [seeds, speakers, ...] over seeds and drawn speakers.

    The draws are the same in every call with one `stream`, so that differences of variants are
    paired. Each of several corpora has a stream of its own, as its speakers are drawn apart.
    """
    rng = np.random.default_rng(stream)
    speakers = values.shape[1]
    drawn = rng.multinomial(speakers, np.full(speakers, 1 / speakers), resamples or RESAMPLES)
    # In float64, where sums of counts are exact and fast.
    return np.tensordot(drawn.astype(float), values.sum(0).astype(float), 1)


def holm(chances: Sequence[float] | np.ndarray) -> list[float]:
    """Return p-values corrected for their number by Holm's method."""
    p = np.asarray(chances, float)
    order = np.argsort(p)
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    return corrected.tolist()


def format_interval(numbers: Iterable[float], decimals: int = 1, sign: str = "-") -> str:
    """Return a number with its interval, if it has one, such as `65.0 [58.1, 71.9]`.

    Args:
        numbers: the number, then its lower and upper limit, if any; a dash stands for NaN.
        decimals: digits behind the point.
        sign: `+` for differences, `-` for numbers that need a sign only below 0.
    """

    def text(x: float) -> str:
        digits = f"{x:{sign}.{decimals}f}"
        return digits.replace("-", "−") if float(digits) else f"{0:.{decimals}f}"

    value, *limits = numbers
    if np.isnan(value):
        return "–"
    shown = limits and not np.isnan(limits).any()
    return text(value) + (f" [{', '.join(map(text, limits))}]" if shown else "")


def format_intervals(
    table: pd.DataFrame, column: str, decimals: int = 1, sign: str = "-"
) -> list[str]:
    """Return `format_interval` of each number in a column, with its `low` and `high`, if any."""
    names = [name for name in (column, f"{column} low", f"{column} high") if name in table]
    return [format_interval(row, decimals, sign) for row in table[names].to_numpy(float)]


def t_values(values: np.ndarray, draws: np.ndarray, speakers: int) -> np.ndarray:
    """Return values [numbers] by the standard errors of their draws [draws, numbers]; 0 stays 0."""
    with warnings.catch_warnings(action="ignore"):  # as below
        error = np.nanstd(draws, axis=0) * np.sqrt(speakers / (speakers - 1))
    with np.errstate(divide="ignore", invalid="ignore"):  # all speakers may be alike
        return np.where(values == 0, 0, values / error)


def percentile_limits(draws: np.ndarray, speakers: int) -> np.ndarray:
    """Return expanded percentile intervals [2, ...] of bootstrap draws (Hesterberg 2015).

    The levels are widened, for the number of speakers, as for a t-interval.

    Args:
        draws: [draws, ...] from `resample`; NaN counts as not drawn.
        speakers: how many the draws are made from; with fewer than `FEWEST_SPEAKERS` limits are
            NaN, as they are where all draws are.
    """
    if speakers < FEWEST_SPEAKERS:
        return np.full((2, *draws.shape[1:]), np.nan)
    widest = np.sqrt(speakers / (speakers - 1)) * stats.t.ppf((1 + LEVEL) / 2, speakers - 1)
    tail = stats.norm.cdf(-widest)
    with warnings.catch_warnings(action="ignore"):  # of draws that are all NaN
        return np.nanquantile(draws, [tail, 1 - tail], axis=0)
