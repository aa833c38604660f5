"""Each claim of the paper against the results: a verdict with its evidence (Sections 3.2 to 4).

Every claim of `paper.CLAIMS` has one function here and, beside it, the sentence that states its
test. Both were fixed before any result of its study on real speech was looked at, with exceptions
that page 09 of the book lists. A claim may have several parts, such as WA and UA: it is supported
if all of them are, contradicted if any of them is, undecided otherwise. A claim on filter shapes is
undecided if no shape is better than always naming the commonest emotion (`parts.learnt`).

A claim is not testable here if results that it needs are missing or unfinished, or come from
synthetic sound, a preset made for show, settings that no run of the plan changes (`PLANNED`) or
fewer than five speakers, or if so few have an emotion that counts; if an emotion has no utterances;
or if it sets the published numbers beside another corpus than IEMOCAP.

Accuracies count the utterances of all folds together, and the seeds with equal weight; on nEMO the
first seed decides, by the plan. Intervals are the 95% bootstrap intervals of `metrics`; what is
compared is drawn from the same speakers. A claim that needs all of its parts is not supported by
accident more often than one part is: about 2.5% where gains scatter evenly over ten speakers, less
where a few gain much, but two to three times as often where a few lose much (`simulation.errors`).
The chances that one of its parts contradicts it add up. A part that compares one thing with several
is supported if all of their intervals say so, which needs no correction; the search for one that
contradicts it (a better shape, an emotion worse than happy) is corrected by Holm's method.
Verdicts are not corrected over the claims: where nothing is to be found, expect a definite verdict
on a claim of one part at least once in about twenty.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from repro import config, paper
from repro.corpora import BUILT_IN
from repro.evidence import metrics
from repro.evidence.parts import (
    TAIL,
    Judgement,
    NotTestableError,
    Part,
    StudyScores,
    all_within,
    exceeds,
    require,
    settled,
    trend,
)
from repro.study.grids import known, short_name, variants

Side = Literal["height", "width"]
_SCALES = ("", ", front_end.scale=segment-max")
PLANNED = {  # the settings under which `book/plan.md` runs each study
    "pooling": [f"{preset}{scale}" for preset in ("coarse", "paper") for scale in _SCALES],
    "filter-shapes": [f"coarse{scale}, network.stride=1,1" for scale in _SCALES],
}
# The corpora of the plan: their first seed decides, others are shown beside it, and their sweep is
# judged when all its shapes are trained.
CONFIRMING = ("nemo",)

EQUAL_WA = 2.0  # points of WA that count as no change; the paper calls 2.2 points "slightly worse"
EQUAL_EMOTION = 5.0  # likewise of one emotion's accuracy: a corpus has a quarter the data of it
ABOUT = 0.5  # points: what the paper gives as about 3 is whatever rounds to 3

(HEIGHT, _), (_, WIDTH) = paper.STEM_SHAPES
BEST_EARLIER = {
    "WA": max(row.wa for row in paper.TABLE_1_EARLIER),
    "UA": max(row.ua for row in paper.TABLE_1_EARLIER),
}
WA, NEUTRAL, HAPPY, ANGRY = (
    metrics.SCORES.index(score) for score in ("WA", "neutral", "happy", "angry")
)


Measure = Callable[[StudyScores], list[Part]]


class ClaimTest(NamedTuple):
    """How a claim is tested: on which study, by what stated rule, by which function."""

    study: str
    statement: str
    parts: Measure


@dataclass(frozen=True)
class Verdict:
    """What the results say of one claim.

    Speakers and seeds are those of the study that count, not of the networks that are compared.
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
        number (the effect with its interval and unit), effect, low, high. Claims on published
        numbers are left out. Of several numbers compared, the one furthest from what is claimed is
        shown, as in `judge`.

    Raises:
        ValueError: a corpus has rows of several states or presets, or settings of one variant.
    """
    rows, shown = [], ("what", "number", "effect", "low", "high")
    studies = _studies(predictions)
    for claim, test in TESTS.items():
        if study := studies.get(test.study):
            with suppress(NotTestableError):
                _require_planned(study, test)
                parts = test.parts(study)
                rows += [(claim, *(getattr(part, of) for of in shown)) for part in parts]
    return pd.DataFrame(rows, columns=["claim", *shown])


def deciding(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return what verdicts are made from: `settled` seeds; of `CONFIRMING` corpora, the first."""
    first = (predictions["seed"] == 0) | ~predictions["corpus"].isin(CONFIRMING)
    return settled(predictions[first])


def _studies(predictions: pd.DataFrame) -> dict[str, StudyScores]:
    studies = deciding(predictions).groupby("study")
    return {name: StudyScores(rows) for name, rows in studies if name in PLANNED}


def _judge(claim: paper.Claim, test: ClaimTest, studies: dict[str, StudyScores]) -> Verdict:
    study = studies.get(test.study)
    if study is None:
        note = f"no results of the study {test.study}"
        return Verdict(claim, "not testable here", (), 0, 0, note)
    try:
        require(study.corpus not in BUILT_IN, "synthetic sound says nothing about emotion")
        preset, overrides = config.parted(study.preset)
        planned = {each for run in PLANNED[test.study] for each in config.parted(run)[1]}
        changed = ", ".join(each for each in overrides if each not in planned)
        require(
            preset not in config.SHOWCASES,
            f"the preset {study.preset} is made to show the machinery, not to test the paper",
        )
        require(not changed, f"settings of the preset {preset} were changed ({changed})")
        _require_planned(study, test)
        parts = tuple(test.parts(study))
    except NotTestableError as reason:
        return Verdict(claim, "not testable here", (), study.speakers, study.seeds, str(reason))
    verdict = _all_of({part.verdict for part in parts})
    note = "; ".join(part.note for part in parts if part.note)
    if test.study == "filter-shapes" and not study.learnt:
        verdict = "undecided"
        note = (
            "no shape is better than always naming the commonest emotion, by the interval of its "
            "WA: the networks have hardly learnt"
        )
    return Verdict(claim, verdict, parts, study.speakers, study.seeds, note)


def _require_planned(study: StudyScores, test: ClaimTest) -> None:
    """Raise NotTestableError if filter shapes of the plan are missing on a corpus of it."""
    corpora = {rows["corpus"].iloc[0] for rows in study.corpora}
    if test.study == "filter-shapes" and corpora & {*CONFIRMING}:
        study.require(variants(test.study, "coarse"))


def sweep(names: Iterable[str], side: Side) -> dict[int, str]:
    """Return the variants along one side of the filter, by its size, the smallest first."""
    grid = known("filter-shapes")
    shapes = {name: grid[name].experiment.network.stems[0] for name in names if name in grid}
    varied, fixed = (0, 1) if side == "height" else (1, 0)
    return dict(sorted((s[varied], v) for v, s in shapes.items() if s[fixed] == paper.SWEEP_FIXED))


TESTS: dict[str, ClaimTest] = {}


# Section 3.2: the sweep of filter shapes ---------------------------------------------------------

_SEARCH = (
    f"one-sided t-test at {TAIL:.1%} with the bootstrap's standard error, Holm's correction over "
    "all that are compared"
)


def _test(claim: str, statement: str) -> Callable[[Measure], ClaimTest]:
    """Return a decorator that makes of a function the test of a claim on filter shapes."""
    return lambda parts: TESTS.setdefault(claim, ClaimTest("filter-shapes", statement, parts))


@_test(
    "height-rises",
    f"Each speaker's Spearman correlation of WA, and of neutral accuracy, with the filter height "
    f"from the lowest to {HEIGHT} is averaged over speakers (seeds counted together); supported "
    "if both bootstrap intervals over speakers lie above 0, contradicted if one lies below. Of two "
    "heights, a correlation is the sign of the change.",
)
def _height_rises(study: StudyScores) -> list[Part]:
    heights = {h: name for h, name in sweep(study.variants, "height").items() if h <= HEIGHT}
    require(HEIGHT in heights and len(heights) > 1, f"needs height {HEIGHT} and a lower one")
    return [trend(study, heights, score, "height", rises=True) for score in (WA, NEUTRAL)]


@_test(
    "height-flattens",
    f"WA at each height above {HEIGHT} minus WA at {HEIGHT}, paired over speakers and seeds; "
    f"supported if all intervals lie within ±{EQUAL_WA:g} points, contradicted if one of the "
    f"differences is further from 0 than that ({_SEARCH}). The paper denies an improvement only: a "
    "fall, too, counts against the claim here. That neutral accuracy flattens is not judged.",
)
def _height_flattens(study: StudyScores) -> list[Part]:
    heights = sweep(study.variants, "height")
    higher = [name for h, name in heights.items() if h > HEIGHT]
    require(HEIGHT in heights and bool(higher), f"needs height {HEIGHT} and a greater one")
    what = f"WA, {{}} − {short_name(heights[HEIGHT])} (claimed: within ±{EQUAL_WA:g})"
    compared = [heights[HEIGHT], *higher]
    return [all_within(study, what, higher, compared, _over_first, -EQUAL_WA, EQUAL_WA)]


@_test(
    "width-peaks",
    f"WA at width {WIDTH} minus WA at each other width, paired over speakers and seeds; supported "
    "if the intervals for the narrowest and the widest lie above 0, and those for the widths "
    f"between them, none of which need be worse, above −{EQUAL_WA:g} points; contradicted if one "
    f"of the differences is below that bound ({_SEARCH}: the two ends, and those between them).",
)
def _width_peaks(study: StudyScores) -> list[Part]:
    widths = sweep(study.variants, "width")
    require(
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
    require(len(widths) > 1, "needs two widths")
    return [trend(study, widths, ANGRY, "width", rises=False)]


@_test(
    "happy-worst",
    "Averaged over all shapes, each other emotion's accuracy minus happy's: supported if all "
    "bootstrap intervals over speakers lie above 0, contradicted if another emotion's "
    f"accuracy is lower ({_SEARCH}, here and in each sweep by itself). And happy's accuracy at "
    "each size of a sweep minus its mean over the sweep: supported if all intervals lie within "
    f"±{EQUAL_EMOTION / 2:g} points, so that no two sizes differ by {EQUAL_EMOTION:g}; "
    "contradicted if one of these differences is further from 0 than that (by the same test).",
)
def _happy_worst(study: StudyScores) -> list[Part]:
    sides = {side: sweep(study.variants, side) for side in get_args(Side)}
    require(all(len(sizes) > 1 for sizes in sides.values()), "needs two heights and two widths")
    shapes = sorted({name for sizes in sides.values() for name in sizes.values()})
    changes = [_happy_changes(study, side, sizes.values()) for side, sizes in sides.items()]
    return [_happy_below(study, shapes), *changes]


@_test(
    "best-shapes",
    f"WA of {HEIGHT}×2 minus that of every other height, and WA of 2×{WIDTH} minus that of every "
    "other width, paired over speakers and seeds; supported if all intervals lie above "
    f"−{EQUAL_WA:g} points, contradicted if another shape of either sweep is better by more than "
    f"that ({_SEARCH}, in each sweep by itself).",
)
def _best_shapes(study: StudyScores) -> list[Part]:
    sweeps = [(sweep(study.variants, "height"), HEIGHT), (sweep(study.variants, "width"), WIDTH)]
    for sizes, best in sweeps:
        require(best in sizes and len(sizes) > 1, f"needs size {best} and another of its sweep")
    return [_ahead(study, sizes.pop(best), sizes.values(), -EQUAL_WA) for sizes, best in sweeps]


# Sections 3.3 and 4: the three poolings ----------------------------------------------------------

_IN_WORDS = {"gap": "GAP", "bilinear": "bilinear pooling", "attention": "attention pooling"}


def _beats(better: str, worse: str, remark: str = "") -> ClaimTest:
    """Return the test of a claim that one pooling is better than another in WA and in UA."""
    return ClaimTest(
        "pooling",
        f"WA and UA of {_IN_WORDS[better]} minus those of {_IN_WORDS[worse]}, paired over speakers "
        "and seeds; supported if both bootstrap intervals lie above 0, contradicted if one lies "
        f"below{remark}.",
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
    "bilinear-below-gap": _beats("gap", "bilinear", "; how slightly is not judged"),
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
    what = f"{better} − {worse}"
    part = exceeds(study, score, what, [better, worse], lambda s: s[..., 0] - s[..., 1])
    if len(study.corpora) > 1:  # the exact test is of one corpus
        return part
    p = metrics.exchange_test(study.predictions, better, worse, score)
    shown = "p < 0.001" if p < 0.001 else f"p = {p:.{2 if p >= 0.1 else 3}f}"
    return replace(part, remark=shown.replace(" ", "\N{NO-BREAK SPACE}"), p=p)


def _over_earlier(study: StudyScores, variant: str, score: str, least: float) -> Part:
    """Return by how much a variant exceeds the best earlier one, claimed to be above a bound."""
    require(study.corpus == "iemocap", "the published numbers are of IEMOCAP")
    best, what = BEST_EARLIER[score], f"{variant} − best earlier"
    return exceeds(study, score, what, [variant], lambda s: s[..., 0] - best, least)


def _happy_below(study: StudyScores, shapes: Sequence[str]) -> Part:
    """Return how far happy, averaged over shapes, lies below the other emotions."""
    others = [emotion for emotion in metrics.EMOTIONS if emotion != "happy"]
    columns = [metrics.SCORES.index(emotion) for emotion in others]

    def leads(scores: np.ndarray) -> np.ndarray:
        return (scores[..., columns] - scores[..., [HAPPY]]).mean(-2)

    return all_within(study, "{} − happy", others, shapes, leads)


def _happy_changes(study: StudyScores, side: str, shapes: Collection[str]) -> Part:
    """Return how far happy's accuracy at each size lies from its mean over that sweep."""
    most = EQUAL_EMOTION / 2
    what = f"happy, {{}} − mean over {side} (claimed: within ±{most:g})"

    def changes(scores: np.ndarray) -> np.ndarray:
        return scores[..., HAPPY] - scores[..., HAPPY].mean(-1, keepdims=True)

    part = all_within(study, what, shapes, shapes, changes, -most, most)
    recognised = study.bootstrap(shapes)[0][:, HAPPY].any()
    return part if recognised else replace(part, remark="happy is never recognised")


def _ahead(study: StudyScores, name: str, others: Collection[str], least: float = 0.0) -> Part:
    """Return how far the WA of one shape is ahead of that of others, claimed to be behind it."""
    bound = f" (claimed: above {least:g})".replace("-", "−") if least else ""
    what = f"WA, {short_name(name)} − {{}}{bound}"
    return all_within(study, what, others, [name, *others], lambda s: -_over_first(s), least)


def _over_first(scores: np.ndarray) -> np.ndarray:
    """Return by how much the WA of each variant but the first is above the first's."""
    return scores[..., 1:, WA] - scores[..., :1, WA]


def _all_of(verdicts: set[Judgement]) -> Judgement:
    """Return the verdict on a claim: any part contradicts it, only all of them support it."""
    if "contradicted" in verdicts:
        return "contradicted"
    return "supported" if verdicts == {"supported"} else "undecided"
