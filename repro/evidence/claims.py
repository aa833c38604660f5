"""Each claim of the paper against the results: a verdict with its evidence (Sections 3.2 to 4).

Every claim of `paper.CLAIMS` has one function here and, beside it, the sentence that states its
test. Both were fixed before any result of its study on real speech was looked at, with exceptions
that page 09 of the book lists. A claim may have several parts, such as WA and UA: it is supported
if all of them are, contradicted if any of them is, undecided otherwise. A claim on filter shapes is
undecided if no shape is better than always naming the commonest emotion (`learnt`).

A claim is not testable here if results that it needs are missing or unfinished, or come from
synthetic sound, a preset made for show, settings that the plan does not change (`PLANNED`) or fewer
than five speakers; if an emotion has no utterances; or if it sets the published numbers beside
another corpus than IEMOCAP.

Accuracies count the utterances of all folds together, and the seeds with equal weight; on nEMO the
first seed decides, by the plan. Intervals are the 95% bootstrap intervals of `metrics`; what is
compared is drawn from the same speakers. A claim that needs all of its parts is not supported by
accident more often than one part is (2.5%, with ten speakers a little more), but the chances that
one of them contradicts it add up. A part that compares one thing with several is supported if all
of their intervals say so, which needs no correction; the search for one that contradicts it (a
better shape, an emotion worse than happy) is corrected by Holm's method.
Verdicts are not corrected over the claims: where nothing is to be found, expect a definite verdict
on a claim of one part once in about twenty.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from scipy import stats

from repro import config, paper
from repro.corpora import BUILT_IN, CORPORA
from repro.evidence import metrics
from repro.study.grids import known, short_name, variants

Side = Literal["height", "width"]
PLANNED = {  # what `book/plan.md` lets a run change of its preset
    "pooling": {"front_end.scale=segment-max"},
    "filter-shapes": {"front_end.scale=segment-max", "network.stride=1,1"},
}
# The corpora of the plan: their first seed decides, others are shown beside it, and their sweep is
# judged when all its shapes are trained.
CONFIRMING = ("nemo",)
Judgement = Literal["supported", "contradicted", "undecided", "not testable here"]

EQUAL_WA = 2.0  # points of WA that count as no change; the paper calls 2.2 points "slightly worse"
EQUAL_EMOTION = 5.0  # likewise of one emotion's accuracy: a corpus has a quarter the data of it
ABOUT = 0.5  # points: what the paper gives as about 3 is whatever rounds to 3
TAIL = (1 - metrics.LEVEL) / 2  # the one-sided level: the error on either side of an interval

(HEIGHT, _), (_, WIDTH) = paper.STEM_SHAPES
BEST_EARLIER = {
    "WA": max(row.wa for row in paper.TABLE_1_EARLIER),
    "UA": max(row.ua for row in paper.TABLE_1_EARLIER),
}
WA, NEUTRAL, HAPPY, ANGRY = (
    metrics.SCORES.index(score) for score in ("WA", "neutral", "happy", "angry")
)


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

    @property
    def number(self) -> str:
        """The effect with its interval and unit."""
        digits = 1 if self.unit == "points" else 2
        number = metrics.format_interval((self.effect, self.low, self.high), digits, "+")
        return f"{number} {self.unit}"

    def __str__(self) -> str:
        """Return what was measured, and the remark."""
        return f"{self.what}: {self.number}" + (f", {self.remark}" if self.remark else "")


@dataclass(frozen=True)
class Verdict:
    """What the results say of one claim.

    Speakers and seeds are those of the study so far, not of the networks that the claim compares.
    """

    claim: paper.Claim
    verdict: Judgement
    parts: tuple[Part, ...]
    speakers: int
    seeds: int
    note: str = ""


def judge(predictions: pd.DataFrame) -> list[Verdict]:
    """Return a verdict on every claim, in the order of `paper.CLAIMS`.

    Args:
        predictions: of `filter-shapes`, of `pooling`, or of both, as
            `repro.results.read(...).predictions`. Rows of other studies are judged by no claim.

    Raises:
        ValueError: a study has rows of more than one corpus, state of it or preset, or of several
            settings of one variant.
    """
    studies = _studies(predictions)
    if any(len(study.corpora) > 1 for study in studies.values()):
        raise ValueError("predictions of more than one corpus: see `together`")
    return [_judge(claim, TESTS[claim.id], studies) for claim in paper.CLAIMS]


def together(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return what each claim rests on over several corpora at once, without verdicts.

    Every score is the mean of those of the corpora, each with the same weight; the plan leaves the
    weight open. The corpora are fixed: speakers are drawn within each.
    Intervals are widened as for the corpus with the fewest speakers, which is on the safe side.

    Args:
        predictions: as for `judge`, of several corpora, each of them under one preset.

    Returns:
        A row for each part of each claim that all corpora can tell of, with claim (its id), what,
        number (the effect with its interval and unit), effect, low, high, corpora. Claims on
        published numbers are left out. Of several numbers compared, the one furthest from what is
        claimed is shown, as in `judge`.

    Raises:
        ValueError: a corpus has rows of several states or presets, or settings of one variant.
    """
    rows, shown = [], ("what", "number", "effect", "low", "high")
    studies = _studies(predictions)
    for claim, test in TESTS.items():
        if study := studies.get(test.study):
            with suppress(_NotTestableError):
                parts = test.parts(study)
                rows += [(claim, *(getattr(p, of) for of in shown), study.corpus) for p in parts]
    return pd.DataFrame(rows, columns=["claim", *shown, "corpora"])


def deciding(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return what verdicts are made from: of `CONFIRMING` corpora, the first seed."""
    if predictions.empty:
        return predictions
    return predictions[(predictions["seed"] == 0) | ~predictions["corpus"].isin(CONFIRMING)]


def _studies(predictions: pd.DataFrame) -> dict[str, StudyScores]:
    groups = [] if predictions.empty else deciding(predictions).groupby("study")
    return {name: StudyScores(rows) for name, rows in groups if name in PLANNED}


def _judge(claim: paper.Claim, test: ClaimTest, studies: dict[str, StudyScores]) -> Verdict:
    study = studies.get(test.study)
    if study is None:
        note = f"no results of the study {test.study}"
        return Verdict(claim, "not testable here", (), 0, 0, note)
    verdict: Judgement = "not testable here"
    parts: tuple[Part, ...] = ()
    try:
        _require(study.corpus not in BUILT_IN, "synthetic sound says nothing about emotion")
        preset, overrides = config.parted(study.preset)
        changed = ", ".join(each for each in overrides if each not in PLANNED[test.study])
        _require(
            preset not in config.SHOWCASES,
            f"the preset {study.preset} is made to show the machinery, not to test the paper",
        )
        _require(not changed, f"settings of the preset {preset} were changed ({changed})")
        if test.study == "filter-shapes" and study.corpus in CONFIRMING:
            study.require(variants(test.study, "coarse"))  # the shapes of the plan
        parts = tuple(test.parts(study))
    except _NotTestableError as reason:
        note = str(reason)
    else:
        verdict = _all_of({part.verdict for part in parts})
        note = "; ".join(part.note for part in parts if part.note)
        if test.study == "filter-shapes" and not study.learnt:
            verdict = "undecided"
            note = (
                "no shape is better than always naming the commonest emotion, by the interval of "
                "its WA: the networks have hardly learnt"
            )
    return Verdict(claim, verdict, parts, study.speakers, study.seeds, note)


def learnt(predictions: pd.DataFrame) -> bool:
    """Return whether a variant is better than always naming the commonest emotion by its interval.

    That is, whether the lower end of an interval of WA lies above that emotion's share.
    """
    return bool((metrics.beside_majority(predictions)["above low"] > 0).any())


def sweep(variants: Iterable[str], side: Side) -> dict[int, str]:
    """Return the variants along one side of the filter, by its size, the smallest first."""
    grid = known("filter-shapes")
    shapes = {name: grid[name].experiment.network.stems[0] for name in variants if name in grid}
    varied, fixed = (0, 1) if side == "height" else (1, 0)
    return dict(sorted((s[varied], v) for v, s in shapes.items() if s[fixed] == paper.SWEEP_FIXED))


# What a test reads -------------------------------------------------------------------------------


class _NotTestableError(Exception):
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

    def require(self, variants: Iterable[str]) -> None:
        """Raise _NotTestableError unless there are these variants of all speakers, and enough."""
        missing = [name for name in variants if name not in self.variants]
        _require(not missing, f"no results of {', '.join(missing)}")
        _require(
            self.speakers >= metrics.FEWEST_SPEAKERS,
            f"{self.speakers} speakers are too few: an interval needs {metrics.FEWEST_SPEAKERS}",
        )
        for name in variants:
            _require(name in self.finished, f"{name} is not finished")

    def bootstrap(self, variants: Collection[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores of variants [variants, scores], and draws [draws, variants, scores].

        Raises:
            _NotTestableError: as `require` does.
        """
        self.require(variants)
        values, draws = zip(*map(self._bootstrap, variants), strict=True)
        return np.stack(values), np.stack(draws, axis=1)

    @cached_property
    def learnt(self) -> bool:
        """Whether a finished variant is better than always naming the commonest emotion."""
        return learnt(self.predictions[self.predictions["variant"].isin(self.finished)])


def speakers_in_all(rows: pd.DataFrame) -> int:
    """Return how many speakers a corpus has to hold out, of which no variant may have all yet."""
    begun, corpus = metrics.speakers(rows), CORPORA.get(rows["corpus"].iloc[0])
    whole = corpus is not None and set(rows["held_out"]) == {"speaker"}
    return max(begun, len(corpus.published)) if whole else begun  # type: ignore[union-attr]


Measure = Callable[[StudyScores], list[Part]]


class ClaimTest(NamedTuple):
    """How a claim is tested: on which study, by what stated rule, by which function."""

    study: str
    statement: str
    parts: Measure


TESTS: dict[str, ClaimTest] = {}


# Section 3.2: the sweep of filter shapes ---------------------------------------------------------

_SEARCH = (
    f"one-sided t-test at {TAIL:.1%} with the bootstrap's standard error, Holm's correction over "
    "all that are compared"
)


def _test(claim: str, statement: str) -> Callable[[Measure], Measure]:
    """Return a decorator that registers a function as the test of a claim on filter shapes."""

    def register(function: Measure) -> Measure:
        TESTS[claim] = ClaimTest("filter-shapes", statement, function)
        return function

    return register


@_test(
    "height-rises",
    f"Each speaker's Spearman correlation of WA, and of neutral accuracy, with the filter height "
    f"from the lowest to {HEIGHT} is averaged over speakers (seeds counted together); supported "
    "if both bootstrap intervals over speakers lie above 0, contradicted if one lies below.",
)
def _height_rises(study: StudyScores) -> list[Part]:
    heights = {h: name for h, name in sweep(study.variants, "height").items() if h <= HEIGHT}
    _require(HEIGHT in heights and len(heights) > 1, f"needs height {HEIGHT} and a lower one")
    return [_trend(study, heights, score, "height", rises=True) for score in (WA, NEUTRAL)]


@_test(
    "height-flattens",
    f"WA at each height above {HEIGHT} minus WA at {HEIGHT}, paired over speakers and seeds; "
    f"supported if all intervals lie within ±{EQUAL_WA:g} points, contradicted if one of the "
    f"differences is further from 0 than that ({_SEARCH}).",
)
def _height_flattens(study: StudyScores) -> list[Part]:
    heights = sweep(study.variants, "height")
    higher = [name for h, name in heights.items() if h > HEIGHT]
    _require(HEIGHT in heights and bool(higher), f"needs height {HEIGHT} and a greater one")
    what = f"WA, {{}} − {short_name(heights[HEIGHT])} (claimed: within ±{EQUAL_WA:g})"
    variants = [heights[HEIGHT], *higher]
    return [_all_within(study, what, higher, variants, _over_first, -EQUAL_WA, EQUAL_WA)]


@_test(
    "width-peaks",
    f"WA at width {WIDTH} minus WA at each other width, paired over speakers and seeds; supported "
    "if the intervals for the narrowest and the widest lie above 0, and those for the widths "
    f"between them, none of which need be worse, above −{EQUAL_WA:g} points; contradicted if one "
    f"of the differences is below that bound ({_SEARCH}: the two ends, and those between them).",
)
def _width_peaks(study: StudyScores) -> list[Part]:
    widths = sweep(study.variants, "width")
    _require(
        WIDTH in widths and min(widths) < WIDTH < max(widths),
        f"needs width {WIDTH}, a smaller one and a greater one",
    )
    peak = widths.pop(WIDTH)
    parts = [_ahead(study, peak, [widths.pop(min(widths)), widths.pop(max(widths))])]
    return [*parts, _ahead(study, peak, widths.values(), -EQUAL_WA)] if widths else parts


@_test(
    "angry-falls",
    "Each speaker's Spearman correlation of angry accuracy with the filter width is averaged over "
    "speakers (seeds counted together); supported if the bootstrap interval over speakers lies "
    "below 0, contradicted if it lies above; how quickly it falls is not judged.",
)
def _angry_falls(study: StudyScores) -> list[Part]:
    widths = sweep(study.variants, "width")
    _require(len(widths) > 1, "needs two widths")
    return [_trend(study, widths, ANGRY, "width", rises=False)]


@_test(
    "happy-worst",
    "Averaged over all shapes, each other emotion's accuracy minus happy's: supported if all "
    "bootstrap intervals over speakers lie above 0, contradicted if another emotion's "
    f"accuracy is lower ({_SEARCH}). And happy's accuracy at each size of a sweep minus its mean "
    f"over the sweep: supported if all intervals lie within ±{EQUAL_EMOTION / 2:g} points, so that "
    f"no two sizes differ by {EQUAL_EMOTION:g}; contradicted if one of these differences is "
    "further from 0 than that (by the same test).",
)
def _happy_worst(study: StudyScores) -> list[Part]:
    sides = {side: sweep(study.variants, side) for side in get_args(Side)}
    _require(all(len(sizes) > 1 for sizes in sides.values()), "needs two heights and two widths")
    shapes = sorted({name for sizes in sides.values() for name in sizes.values()})
    changes = [_happy_changes(study, side, sizes.values()) for side, sizes in sides.items()]
    return [_happy_below(study, shapes), *changes]


@_test(
    "best-shapes",
    f"WA of {HEIGHT}×2 minus that of every other height, and WA of 2×{WIDTH} minus that of every "
    "other width, paired over speakers and seeds; supported if all intervals lie above "
    f"−{EQUAL_WA:g} points, contradicted if another shape of either sweep is better by more than "
    f"that ({_SEARCH}).",
)
def _best_shapes(study: StudyScores) -> list[Part]:
    sweeps = [(sweep(study.variants, "height"), HEIGHT), (sweep(study.variants, "width"), WIDTH)]
    for sizes, best in sweeps:
        _require(best in sizes and len(sizes) > 1, f"needs size {best} and another of its sweep")
    return [_ahead(study, sizes.pop(best), sizes.values(), -EQUAL_WA) for sizes, best in sweeps]


# Sections 3.3 and 4: the three poolings ----------------------------------------------------------

_IN_WORDS = {"gap": "GAP", "bilinear": "bilinear pooling", "attention": "attention pooling"}


def _beats(better: str, worse: str) -> ClaimTest:
    """Return the test of a claim that one pooling is better than another in WA and in UA."""
    return ClaimTest(
        "pooling",
        f"WA and UA of {_IN_WORDS[better]} minus those of {_IN_WORDS[worse]}, paired over speakers "
        "and seeds; supported if both bootstrap intervals lie above 0, contradicted if one lies "
        "below.",
        lambda study: [_difference(study, score, better, worse) for score in metrics.ACCURACIES],
    )


def _beats_earlier(pooling: str, least: Mapping[str, float], rule: str) -> ClaimTest:
    """Return the test of a claim that a pooling exceeds the best earlier WA and UA by some."""
    return ClaimTest(
        "pooling",
        "Tested on IEMOCAP alone, where the published numbers come from; they count as exact, as "
        f"nothing but their values is known. {rule}",
        lambda study: [_over_earlier(study, pooling, *each) for each in least.items()],
    )


_EARLIER = f"WA minus {BEST_EARLIER['WA']:.2f} and its UA minus {BEST_EARLIER['UA']:.2f}"
_MARGINS = {"WA": paper.MARGIN_WA - ABOUT, "UA": paper.MARGIN_UA - ABOUT}
TESTS |= {
    "gap-beats-earlier": _beats_earlier(
        "gap",
        dict.fromkeys(metrics.ACCURACIES, 0.0),
        f"GAP's {_EARLIER}, the best earlier ones: supported if both bootstrap intervals over "
        "speakers lie above 0, contradicted if one lies below.",
    ),
    "bilinear-below-gap": _beats("gap", "bilinear"),
    "attention-above-gap": _beats("attention", "gap"),
    "attention-above-bilinear": _beats("attention", "bilinear"),
    "attention-margin": _beats_earlier(
        "attention",
        _MARGINS,
        f"Attention's {_EARLIER}: supported if both bootstrap intervals over speakers lie above "
        f"what rounds to {paper.MARGIN_WA:g} and {paper.MARGIN_UA:g} points, that is "
        f"{_MARGINS['WA']:g} and {_MARGINS['UA']:g}; contradicted if one ends below. With ten "
        "speakers an interval reaches further than half a point, so that a result just like the "
        "paper's stays undecided.",
    ),
}


# Parts -------------------------------------------------------------------------------------------


def _difference(study: StudyScores, score: str, better: str, worse: str) -> Part:
    """Return by how many points one variant beats another, claimed to be above 0."""
    column, what = metrics.SCORES.index(score), f"{score}, {better} − {worse}"
    part = _exceeds(study, what, [better, worse], lambda s: s[..., 0, column] - s[..., 1, column])
    if len(study.corpora) > 1:  # the exact test is of one corpus
        return part
    p = metrics.exchange_test(study.predictions, better, worse, score)
    shown = f"p = {metrics.format_p(p)}".replace("= <", "< ")
    return replace(part, remark=shown.replace(" ", "\N{NO-BREAK SPACE}"), p=p)


def _over_earlier(study: StudyScores, variant: str, score: str, least: float) -> Part:
    """Return by how much a variant exceeds the best earlier one, claimed to be above a bound."""
    _require(study.corpus == "iemocap", "the published numbers are of IEMOCAP")
    column, what = metrics.SCORES.index(score), f"{score}, {variant} − best earlier"
    return _exceeds(
        study, what, [variant], lambda s: s[..., 0, column] - BEST_EARLIER[score], least
    )


def _exceeds(
    study: StudyScores,
    what: str,
    variants: Sequence[str],
    number: Callable[[np.ndarray], np.ndarray],  # of scores [..., variants, scores]: [...]
    least: float = 0.0,
) -> Part:
    """Return a number made from the scores of variants, claimed to be above a bound."""
    value, draws = map(number, study.bootstrap(variants))
    gain = metrics.Interval(float(value), *metrics.percentile_limits(draws, study.speakers))
    return Part(what, "points", *gain, _above(gain, least))


def _happy_below(study: StudyScores, shapes: Sequence[str]) -> Part:
    """Return how far happy, averaged over shapes, lies below the other emotions."""
    others = [emotion for emotion in metrics.EMOTIONS if emotion != "happy"]
    columns = [metrics.SCORES.index(emotion) for emotion in others]

    def leads(scores: np.ndarray) -> np.ndarray:
        return (scores[..., columns] - scores[..., [HAPPY]]).mean(-2)

    return _all_within(study, "{} − happy", others, shapes, leads)


def _happy_changes(study: StudyScores, side: str, shapes: Collection[str]) -> Part:
    """Return how far happy's accuracy at each size lies from its mean over that sweep."""
    most = EQUAL_EMOTION / 2
    what = f"happy, {{}} − mean over {side} (claimed: within ±{most:g})"

    def changes(scores: np.ndarray) -> np.ndarray:
        return scores[..., HAPPY] - scores[..., HAPPY].mean(-1, keepdims=True)

    return _all_within(study, what, shapes, shapes, changes, -most, most)


def _trend(
    study: StudyScores, sizes: dict[int, str], score: int, side: str, *, rises: bool
) -> Part:
    """Return the mean over speakers of a score's correlation with filter size (seeds together)."""
    study.require(sizes.values())
    means, draws, fewest = [], [], study.speakers
    for number, rows in enumerate(study.corpora):
        of_shapes = (rows[rows["variant"] == name] for name in sizes.values())
        counts = np.stack([metrics.confusion_counts(each).sum(0) for each in of_shapes], 1)
        blocks = metrics.scores_of(counts)[..., score]  # [speakers, sizes]
        known = blocks[np.isfinite(blocks).all(1)]  # speakers who have that emotion
        _require(
            len(known) >= metrics.FEWEST_SPEAKERS,
            f"{len(known)} speakers with {metrics.SCORES[score]} utterances are too few",
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
    return Part(what, "rank correlation", *mean, _above(claimed))


def _rank_correlation(scores: np.ndarray) -> float:
    """Return Spearman's correlation of scores with their order; 0 if they do not change."""
    return stats.spearmanr(scores, range(len(scores))).statistic if np.ptp(scores) else 0.0


def _ahead(study: StudyScores, name: str, others: Collection[str], least: float = 0.0) -> Part:
    """Return how far the WA of one shape is ahead of that of others, claimed to be behind it."""
    bound = f" (claimed: above {least:g})".replace("-", "−") if least else ""
    what = f"WA, {short_name(name)} − {{}}{bound}"
    return _all_within(study, what, others, [name, *others], lambda s: -_over_first(s), least)


def _over_first(scores: np.ndarray) -> np.ndarray:
    """Return by how much the WA of each variant but the first is above the first's."""
    return scores[..., 1:, WA] - scores[..., :1, WA]


def _all_within(
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
    _require(bool(np.isfinite(values).all()), "an emotion has no utterances")
    low, high = metrics.percentile_limits(draws, study.speakers)
    reach = np.maximum(least - low, high - most)  # of the intervals, beyond the bounds
    error = metrics.standard_error(draws, study.speakers)
    outside = np.maximum(least - values, values - most)
    with np.errstate(divide="ignore", invalid="ignore"):  # all speakers may be alike
        t = np.where(outside == 0, 0, outside / error)
    chances = metrics.holm(stats.t.sf(t, study.speakers - 1))
    against = [short_name(name) for name, p in zip(names, chances, strict=True) if p < TAIL]
    inside = bool((reach < 0).all())
    verdict: Judgement = "contradicted" if against else "supported" if inside else "undecided"
    shown = int(t.argmax() if against else reach.argmax())
    estimate = metrics.Interval(float(values[shown]), float(low[shown]), float(high[shown]))
    note = f"{what.format('…')}: contradicted by {', '.join(against)}" if against else ""
    beyond = estimate.high < least or estimate.low > most
    remark = "not enough after Holm's correction" if beyond and not against else ""
    return Part(
        what.format(short_name([*names][shown])), "points", *estimate, verdict, note, remark
    )


# Rules -------------------------------------------------------------------------------------------


def _above(estimate: metrics.Interval, least: float = 0.0) -> Judgement:
    """Return the verdict on an effect that is claimed to be above a bound."""
    if estimate.low > least:
        return "supported"
    return "contradicted" if estimate.high < least else "undecided"


def _all_of(verdicts: set[Judgement]) -> Judgement:
    """Return the verdict on a claim: any part contradicts it, only all of them support it."""
    if "contradicted" in verdicts:
        return "contradicted"
    return "supported" if verdicts == {"supported"} else "undecided"


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise _NotTestableError(reason)
