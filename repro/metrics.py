"""Weighted and unweighted accuracy, per-emotion accuracy and confusion (Section 3.1).

All functions read predictions as `repro.results.read` gives them: a row per utterance with its
true `emotion`, the `predicted` one, and the columns that name study, variant, fold and seed.
"""

from __future__ import annotations

import pandas as pd

from repro import paper

RUN = ["corpus", "corpus_hash", "preset", "key", "variant"]


def weighted_accuracy(predictions: pd.DataFrame) -> float:
    """Return the share of utterances that are right (WA)."""
    return float((predictions["predicted"] == predictions["emotion"]).mean())


def emotion_accuracy(predictions: pd.DataFrame) -> pd.Series:
    """Return the share of each emotion's utterances that are right; NaN where it has none."""
    right = predictions["predicted"] == predictions["emotion"]
    return right.groupby(predictions["emotion"]).mean().reindex(list(paper.EMOTIONS))


def unweighted_accuracy(predictions: pd.DataFrame) -> float:
    """Return the mean of the accuracies of the emotions that occur (UA)."""
    return float(emotion_accuracy(predictions).mean())


def confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the count of utterances by true emotion (rows) and predicted emotion (columns)."""
    emotions = list(paper.EMOTIONS)
    counts = pd.crosstab(predictions["emotion"], predictions["predicted"])
    return counts.reindex(index=emotions, columns=emotions, fill_value=0)


def accuracies(predictions: pd.DataFrame) -> pd.Series:
    """Return WA, UA and the accuracy of each emotion, all in per cent."""
    overall = {"WA": weighted_accuracy(predictions), "UA": unweighted_accuracy(predictions)}
    return 100 * pd.concat([pd.Series(overall), emotion_accuracy(predictions)])


def summary(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return accuracies in per cent for each variant, averaged over seeds.

    The utterances of all folds count together, or the folds' accuracies are averaged, as the
    experiment's `protocol.average` has it. Runs on different corpora or with different settings
    never share a row.

    Returns:
        A row per corpus, preset and variant in the order of the file: folds, utterances and seeds
        (how many), WA, UA and the four emotions.
    """
    rows = []
    for run, group in predictions.groupby(RUN, sort=False):
        unit = ["seed", "fold"] if group["average"].iloc[0] == "folds" else ["seed"]
        counts = {
            "folds": group["fold"].nunique(),
            "utterances": group["utterance"].nunique(),
            "seeds": group["seed"].nunique(),
        }
        means = pd.DataFrame([accuracies(part) for _, part in group.groupby(unit)]).mean()
        rows.append(dict(zip(RUN, run, strict=True)) | counts | means.to_dict())
    return pd.DataFrame(rows).drop(columns=["corpus_hash", "key"])


def beside_paper(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return `summary` with the paper's WA and UA for the variants of Table 1."""
    table = summary(predictions)
    for score in ("WA", "UA"):
        published = {name: getattr(row, score.lower()) for name, row in paper.TABLE_1.items()}
        table[f"paper {score}"] = table["variant"].map(published)
    return table
