"""The first page, "Does it replicate?": the answer in one sentence, and a verdict on each claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd
from IPython.display import HTML, Markdown

from repro import claims, effects, metrics, paper
from repro.pages import common, poolings, variations, wording
from repro.results import Results

ATTENTION_GAP = poolings.VERSUS.join(("attention", "gap"))


def answer(judged: Sequence[claims.Verdict], predictions: pd.DataFrame) -> Markdown:
    """Answer the question of the first page in one sentence, from all verdicts on predictions."""
    main = "attention-above-gap"
    of_main = next(v for v in judged if v.claim.id == main)
    counts: Counter[str] = Counter(v.verdict for v in judged)
    if counts["not testable here"] == len(judged):
        return Markdown(f"**That is not answered here**: {_why_untested(judged)}.")
    listed = ", ".join(f"{counts[name]} {name}" for name in common.MARKS if counts[name])
    corpus = wording.title(predictions["corpus"].iloc[0])
    evidence = "; ".join(map(str, of_main.parts)) or of_main.note
    return Markdown(
        f"**On {corpus} ({wording.run_in_full(predictions)}), of {len(judged)} claims of the "
        f"paper: {listed}.** The main one, that {of_main.claim.text}, is {of_main.verdict} "
        f"({evidence}).{_close_call(of_main)}"
    )


def marks(judged: Sequence[claims.Verdict], predictions: pd.DataFrame) -> HTML | None:
    """Show every claim that can be tested, with a mark for its verdict and what it rests on.

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
    """List the claims that cannot be tested, and why. None if there are none."""
    reasons: dict[str, list[str]] = {}
    for v in judged:
        if v.verdict == "not testable here":
            reasons.setdefault(v.note, []).append(v.claim.text)
    if not reasons:
        return None
    listed = "\n".join(f"- {note}: {'; '.join(texts)}." for note, texts in reasons.items())
    return Markdown(f"Not testable here, and why:\n\n{listed}")


def other_presets(others: dict[str, Results]) -> Markdown | None:
    """Say what attention gains over GAP under other presets, see `poolings.other_presets`.

    None where too few speakers are finished for an interval.
    """
    pairs = poolings.pairs_by_preset(others)
    of_both = pairs["pair"] == ATTENTION_GAP
    gains = pairs[of_both & pairs["WA"].str.contains("[", regex=False)]
    if gains.empty:
        return None
    said = []
    for row in gains.to_dict("records"):
        preset, verdict = row["preset"], row[poolings.JUDGED]
        faithful = "" if common.about_preset(preset) else "; the paper's own protocol"
        said.append(
            f"Under the preset `{preset}` ({wording.many(row['speakers'], 'speaker')}, "
            f"{wording.many(others[preset].folds['seed'].nunique(), 'seed')}{faithful}) "
            f"attention − GAP is {row['WA']} points of WA and {row['UA']} of UA: "
            + (
                "not judged before all folds are there."
                if verdict == "unfinished"
                else f"the claim is {verdict}."
            )
        )
    return Markdown(" ".join(said))


def at_its_best(readings: pd.DataFrame) -> Markdown | None:
    """Say what becomes of the claims on poolings under the readings that train best.

    None where they have not been run, or where nothing is judged by what was.

    Args:
        readings: predictions of that study.
    """
    if readings.empty or (best := variations.at_its_best(readings)).empty:
        return None
    pairs = poolings.judged_pairs(best)
    pairs = pairs[pairs[poolings.JUDGED] != "not testable here"]
    if pairs.empty:
        return None
    texts = {claim.id: claim.text for claim in paper.CLAIMS}
    claimed = {poolings.VERSUS.join(pair): texts[name] for pair, name in poolings.CLAIMED.items()}
    said = [
        f"that {claimed[row['pair']]} is {row[poolings.JUDGED]} ({row['pair']}: {row['WA']} points "
        f"of WA, {row['UA']} of UA)"
        for row in pairs.to_dict("records")
    ]
    accuracies = metrics.summary(best).set_index("variant")["WA"].sort_values(ascending=False)
    return Markdown(
        "That is the paper as this book reads it. Its sentences can be read in other ways, and "
        f"under the readings that train best ({wording.run(best)}) the order by WA is "
        f"{wording.ranking(accuracies)}; {'; '.join(said)}."
    )


def _close_call(judged: claims.Verdict) -> str:
    """Warn of a definite verdict that the exact test beside the intervals does not bear out."""
    decisive = [part.p for part in judged.parts if part.verdict == judged.verdict]
    if judged.verdict == "contradicted":
        p = min(decisive)  # one part is enough
    elif judged.verdict == "supported":
        p = max(decisive)
    else:
        return ""
    if p < effects.SIGNIFICANT:
        return ""
    return (
        " That is a close call: an exact test, which exchanges the two speaker by speaker, gives "
        f"p = {p:.2f}."
    )


def _why_untested(judged: Sequence[claims.Verdict]) -> str:
    notes = list(dict.fromkeys(v.note for v in judged))
    return "; ".join(notes)
