"""The first page, "Does it replicate?": the answer in one sentence, and a verdict on each claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd
from IPython.display import HTML, Markdown

from repro.evidence import claims, effects, metrics
from repro.report.pages import common, poolings, variations, wording
from repro.results import Results

MAIN = "attention-above-gap"


def answer(judged: Sequence[claims.Verdict], predictions: pd.DataFrame) -> Markdown:
    """Return the answer of the first page in one sentence, from all verdicts on predictions."""
    of_main = _main(judged)
    counts: Counter[str] = Counter(v.verdict for v in judged)
    if counts["not testable here"] == len(judged):
        why = "; ".join(dict.fromkeys(v.note for v in judged))
        return Markdown(f"**That is not answered here**: {why}.")
    listed = ", ".join(f"{counts[name]} {name}" for name in common.MARKS if counts[name])
    corpus = wording.title(predictions["corpus"].iloc[0])
    evidence = "; ".join(map(str, of_main.parts)) or of_main.note
    return Markdown(
        f"**On {corpus} ({wording.run_in_full(predictions)}), of {len(judged)} claims of the "
        f"paper: {listed}.** The main one, that {of_main.claim.text}, is {of_main.verdict} "
        f"({evidence}).{_close_call(of_main)}{_first_seed(predictions)}"
    )


def marks(judged: Sequence[claims.Verdict], predictions: pd.DataFrame) -> HTML | None:
    """Return every claim that can be tested, with a mark for its verdict and what it rests on.

    Those that the results decide come first. Where studies were run in different ways, a column
    says how the one behind each verdict was run. None if no claim can be tested.
    """
    order = list(common.MARKS)
    tested = [v for v in judged if v.verdict != "not testable here"]
    tested.sort(key=lambda v: order.index(v.verdict))
    if not tested:
        return None
    rows = common.verdict_rows(tested)
    return common.table(rows.assign(**wording.run_column(predictions, tested)))


def untested(judged: Sequence[claims.Verdict]) -> Markdown | None:
    """Return the claims that cannot be tested, and why. None if there are none."""
    reasons: dict[str, list[str]] = {}
    for v in judged:
        if v.verdict == "not testable here":
            reasons.setdefault(v.note, []).append(v.claim.text)
    if not reasons:
        return None
    listed = "\n".join(f"- {note}: {'; '.join(texts)}." for note, texts in reasons.items())
    return Markdown(f"Not testable here, and why:\n\n{listed}")


def gain_by_preset(others: dict[str, Results]) -> Markdown | None:
    """Return what attention gains over GAP under other presets, see `poolings.other_presets`.

    None where too few speakers are finished for an interval.
    """
    said = []
    for preset, data in others.items():
        found = metrics.compare_pairs(data.predictions, [("attention", "gap")])
        if found["WA low"].isna().all():
            continue
        [gain] = poolings.in_pairs(found).to_dict("records")
        verdict = poolings.judged(data)["attention", "gap"]
        settings = "" if common.about_preset(preset) else "the paper's own settings, "
        said.append(
            f"Under the preset `{preset}` ({settings}{wording.precision(data.folds)}, "
            f"{wording.many(found['speakers'].item(), 'speaker')}, "
            f"{wording.many(data.folds['seed'].nunique(), 'seed')}) attention − GAP is "
            f"{gain['WA']} points of WA and {gain['UA']} of UA: "
            + (
                "not judged before all folds are there."
                if verdict == "unfinished"
                else f"the claim is {verdict}."
            )
        )
    return Markdown(" ".join(said)) if said else None


def at_its_best(readings: Results | None) -> Markdown | None:
    """Return how the poolings compare under the readings that train best.

    None where they have not been run on enough speakers, or are no evidence.

    Args:
        readings: results of that study on one corpus with one preset.
    """
    if readings is None or readings.folds.empty:
        return None
    corpus, preset = readings.predictions[["corpus", "preset"]].iloc[0]
    if corpus == "synthetic" or common.is_showcase(preset):
        return None
    best = variations.under_best_readings(readings.predictions)
    found = metrics.compare_pairs(best)
    if found.empty or found["WA low"].isna().any():
        return None
    said = [
        f"{row['pair']} is {row['WA']} points of WA and {row['UA']} of UA"
        for row in poolings.in_pairs(found).to_dict("records")
    ]
    accuracies = metrics.summary(best).set_index("variant")["WA"].sort_values(ascending=False)
    return Markdown(
        "That is the paper as this book reads it. Its sentences can be read in other ways. An "
        "exploratory look, which no claim is judged by, takes those under which the attention "
        f"network ends training with the lowest loss ({wording.run(best)}: "
        f"{', '.join(variations.chosen_readings(readings))}). The order by WA is then "
        f"{wording.ranking(accuracies)}; {'; '.join(said)}. {variations.luck(readings)}"
    )


def _main(judged: Sequence[claims.Verdict]) -> claims.Verdict:
    return next(v for v in judged if v.claim.id == MAIN)


def _first_seed(predictions: pd.DataFrame) -> str:
    """Return what the first of several seeds gives alone: the others may have been added later."""
    pooling = predictions[predictions["study"] == claims.TESTS[MAIN].study]
    if pooling["seed"].nunique() < 2:
        return ""
    alone = _main(claims.judge(pooling[pooling["seed"] == pooling["seed"].min()]))
    if not alone.parts:
        return ""
    return f" By the first seed alone it is {alone.verdict} ({'; '.join(map(str, alone.parts))})."


def _close_call(judged: claims.Verdict) -> str:
    """Return a warning of a definite verdict that the exact test does not bear out."""
    decisive = [part.p for part in judged.parts if part.verdict == judged.verdict]
    if judged.verdict not in ("supported", "contradicted"):
        return ""
    # One part is enough to contradict; all must support.
    p = min(decisive) if judged.verdict == "contradicted" else max(decisive)
    if p < effects.SIGNIFICANT:
        return ""
    return (
        " That is a close call: an exact test, which exchanges the two speaker by speaker, gives "
        f"p = {p:.2f}."
    )
