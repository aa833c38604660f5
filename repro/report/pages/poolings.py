"""The page "Poolings": Table 1 here and in the paper (Section 3.3, Table 1)."""

from pathlib import Path

import pandas as pd
from IPython.display import Markdown

from repro import config, paper, results
from repro.corpora import iemocap, name_of
from repro.evidence import metrics, parts
from repro.evidence.learning import last_epochs, learning, loss_of_guessing
from repro.report.pages import wording
from repro.results import Results
from repro.study.baselines import CLASSIFIER
from repro.study.grids import short_name

# The paper does not say how many utterances it has; the published release does.
IEMOCAP_COUNTS = [sum(of) for of in zip(*iemocap.CORPUS.published.values(), strict=True)]
IEMOCAP_UTTERANCES = sum(IEMOCAP_COUNTS)
IEMOCAP_MAJORITY = 100 * max(IEMOCAP_COUNTS) / IEMOCAP_UTTERANCES

# What two ways of training are compared in: the variants whose scores are added, and those whose
# are taken off.
Sides = tuple[tuple[str, ...], tuple[str, ...]]
SIDES: dict[str, Sides] = {name: ((name,), ()) for name in paper.TABLE_1}
SIDES["attention − gap"] = ("attention",), ("gap",)


def table_1(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the paper's poolings and ours below each other (Table 1).

    The paper gives no intervals. Those of its WA follow from the size of its corpus alone, as if
    utterances were independent: true ones are wider. Its UA would need the confusion matrix.
    """
    rows = []
    for row in paper.TABLE_1.values():
        wa = metrics.format_interval(metrics.proportion_interval(row.wa, IEMOCAP_UTTERANCES), 2)
        rows.append(("the paper, IEMOCAP", row.name, wa, f"{row.ua:.2f}"))
    ours = accuracies(predictions)
    published = pd.DataFrame(rows, columns=ours.columns)
    return pd.concat([published, ours], ignore_index=True)


def accuracies(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return what each variant reaches here, in the columns of Table 1."""
    found = metrics.summary(predictions)
    scores = {score: metrics.format_intervals(found, score) for score in metrics.ACCURACIES}
    names = {variant: row.name for variant, row in paper.TABLE_1.items()}
    models = found["variant"].map(short_name).replace(names)
    of = parts.speakers_in_all(predictions)
    source = [
        f"here: {wording.run(predictions)}" + f", {folds} of {of} speakers" * (folds < of)
        for folds in found["folds"]
    ]
    return pd.DataFrame({"source": source, "model": models} | scores)


def without_a_network(plain: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return what the systems without a network reach, and how far each pooling is ahead of one.

    That is of `baselines.CLASSIFIER`, in points, where both were tested on the same folds.
    """
    classifier = plain[plain["variant"] == CLASSIFIER]
    rows = []
    for name, pooled in predictions.groupby("variant", sort=False):
        if set(pooled["fold"]) == set(classifier["fold"]):
            ahead = (metrics.contrast([pooled], [classifier], s) for s in metrics.ACCURACIES)
            points = (metrics.format_interval(each, sign="+") for each in ahead)
            source = f"here: {wording.run(pooled)}"
            rows.append((source, f"{short_name(name)} − {CLASSIFIER}", *points))
    reached = accuracies(plain)
    return pd.concat([reached, pd.DataFrame(rows, columns=reached.columns)], ignore_index=True)


def here_and_in_paper(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return `metrics.beside_paper` with the interval of the paper's WA, and what guessing reaches.

    That is naming the commonest emotion in WA, and guessing in UA: `WA guess` and `UA guess` here,
    `paper WA guess` and `paper UA guess` on IEMOCAP.
    """
    rows = metrics.beside_paper(predictions)
    bounds = [metrics.proportion_interval(wa, IEMOCAP_UTTERANCES) for wa in rows["paper WA"]]
    return rows.assign(
        **{
            "WA guess": metrics.majority(predictions),
            "UA guess": 100 / predictions["emotion"].nunique(),
            "paper WA low": [b.low for b in bounds],
            "paper WA high": [b.high for b in bounds],
            "paper WA guess": IEMOCAP_MAJORITY,
            "paper UA guess": 100 / len(paper.EMOTIONS),
        }
    )


def attention_gain(score: str = "WA") -> float:
    """Return the paper's gain of attention over GAP, in points of WA or of UA."""
    return metrics.paper_difference("attention", "gap", score)


def paired(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the poolings compared two by two, see `metrics.compare_pairs`."""
    found = metrics.compare_pairs(predictions)
    return metrics.in_pairs(found).assign(speakers=found["speakers"])


def by_speaker(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return by how many points of WA one pooling is ahead of another on each speaker.

    Seeds count together. What is held out may be other than a speaker.

    Returns:
        A row per pair of `metrics.TABLE_1_PAIRS` and speaker that both were tested on, with pair,
        speaker and points; the speakers in the order of the first pair, the largest gain first.
    """
    rows = []
    for one, other in metrics.TABLE_1_PAIRS:
        both = predictions[predictions["variant"].isin((one, other))]
        both = metrics.on_common_folds(both, "variant")
        right = (both["predicted"] == both["emotion"]).groupby([both["fold"], both["variant"]])
        if both["variant"].nunique() == 2:
            wa = 100 * right.mean().unstack()
            gains = (wa[one] - wa[other]).sort_values(ascending=False)
            rows += [(f"{one} − {other}", *row) for row in gains.items()]
    return pd.DataFrame(rows, columns=["pair", "speaker", "points"])


def trained_otherwise(results_file: str | None, corpus: str, preset: str) -> pd.DataFrame | None:
    """Return by how many points attention, GAP and their difference change with the training.

    That is from a preset to each setting that changes its fields `training.…` alone, on the same
    speakers and seeds. None where a results file does not hold both under such a setting.
    """
    if results_file is None or not Path(results_file).is_file():
        return None
    found = results.read(results_file, study={"pooling"}, corpus={name_of(corpus)}).predictions
    rows, pair = [], ("attention", "gap")
    for setting in found["preset"].unique():
        name, changes = config.parted(setting)
        if name != preset or not changes or any(not c.startswith("training.") for c in changes):
            continue
        both = found[found["preset"].isin((preset, setting)) & found["variant"].isin(pair)]
        both = metrics.on_common_folds(both, "variant", "preset", "corpus_hash")
        if both.groupby(["variant", "preset"]).ngroups < 2 * len(pair):
            continue
        new, old = (both[both["preset"] == each] for each in (setting, preset))
        for what in (*pair, "attention − gap"):
            changed = (moved(new, old, SIDES[what], score) for score in metrics.ACCURACIES)
            points = (metrics.format_interval(each, sign="+") for each in changed)
            rows.append((what, ", ".join(map(short_name, changes)), *points))
    return pd.DataFrame(rows, columns=["of", "changed", *metrics.ACCURACIES]) if rows else None


def moved(new: pd.DataFrame, old: pd.DataFrame, sides: Sides, score: str) -> metrics.Interval:
    """Return by how many more points one of `SIDES` is ahead in new predictions than in old."""
    (plus, minus), (old_plus, old_minus) = (on_sides(each, sides) for each in (new, old))
    return metrics.contrast(plus + old_minus, minus + old_plus, score)


def on_sides(
    predictions: pd.DataFrame, sides: Sides
) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Return the predictions of the variants on either side, as `metrics.contrast` takes them."""
    of = predictions["variant"]
    plus, minus = ([predictions[of == name] for name in side] for side in sides)
    return plus, minus


def answer(data: Results, plain: Results | None) -> Markdown:
    """Return the order of the poolings here and in the paper, and what is reached without any."""
    published = sorted(paper.TABLE_1.items(), key=lambda row: -row[1].wa)
    theirs = ", ".join(f"{name} ({row.wa:.2f}%)" for name, row in published)
    losses = learning(data).set_index("variant")["loss"].sort_values()
    found = [f"{loss:.2f} ({name})" for name, loss in losses.items()]
    said = [
        order(data.predictions, f"on {wording.title(data.predictions['corpus'].iloc[0])}"),
        f"In the paper it is {theirs}.",
        f"Training ends at a loss, in the median, of {', '.join(found)}.",
        wording.steps(data.folds),
    ]
    if plain and set(data.predictions["fold"]) == set(plain.predictions["fold"]):
        best = metrics.summary(plain.predictions).set_index("variant")["WA"]
        said.insert(2, f"Without a network, {best.idxmax()} reaches {best.max():.1f}%.")
    return Markdown(" ".join(filter(None, said)))


def stuck(data: Results) -> Markdown | None:
    """Return which trainings ended no better than guessing, and what the paper's gain is without.

    None if there is no such training.
    """
    last = last_epochs(data.history)
    failed = last[last["loss"] >= loss_of_guessing(data.predictions)]
    if failed.empty:
        return None
    of_failed, of_all = (
        pd.MultiIndex.from_frame(each[["fold", "seed"]]) for each in (failed, data.predictions)
    )
    found = metrics.in_pairs(metrics.compare_pairs(data.predictions[~of_all.isin(of_failed)]))
    gains = [
        f" Without these folds and seeds, of all poolings, {row.pair} would be {row.WA} in WA and "
        f"{row.UA} in UA. Verdicts leave nothing out."
        for row in found[found["pair"] == "attention − gap"].itertuples()
    ]
    named = [f"{of.variant}, {of.fold} held out, seed {of.seed}" for of in failed.itertuples()]
    more = "; …" * (len(named) > wording.MOST_NAMED)
    return Markdown(
        f"{wording.many(len(failed), 'training')} of {len(last)} ended with a loss no better than "
        f"that of guessing: {'; '.join(named[: wording.MOST_NAMED])}{more}.{''.join(gains)}"
    )


def order(predictions: pd.DataFrame, where: str) -> str:
    """Return the order by WA of the poolings that are furthest, and which differ.

    Where says in words what the order is of, such as `on EmoDB`.
    """
    predictions = metrics.comparable(predictions)
    if predictions["variant"].nunique() < 2:
        return (
            f"There is no order {where} yet, as no two poolings were tested on the same speakers."
        )
    ours, found = metrics.summary(predictions), metrics.compare_pairs(predictions)
    clear = metrics.in_pairs(found[(found["WA low"] > 0) | (found["WA high"] < 0)])
    points = ", ".join(clear["pair"] + " is " + clear["WA"])
    said = [f"By WA the order {where} is {wording.ranking(ours.set_index('variant')['WA'])}."]
    if points:
        said += [f"In points of WA, {points}."]
    elif found["WA low"].notna().any():
        said += ["The 95% interval of every difference in WA holds 0."]
    elif len(found):
        said += [
            f"There is no interval: it needs {metrics.FEWEST_SPEAKERS} speakers, each held out."
        ]
    said += [wording.guessing(ours, predictions)]
    return " ".join(filter(None, said))
