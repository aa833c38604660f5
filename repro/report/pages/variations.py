"""The pages "Readings" and "Protocol": what changes with one setting at a time."""

from __future__ import annotations

from typing import Any

import pandas as pd
from IPython.display import Markdown

from repro import config
from repro.config import READINGS, Experiment
from repro.evidence import effects, metrics
from repro.report.pages import common, poolings, wording
from repro.results import Results
from repro.study import grids


def change_effects(found: pd.DataFrame) -> pd.DataFrame:
    """Lay `effects.table` out for the readings page, with intervals as text."""
    meanings = {name: each.meaning for name, each in grids.changes(Experiment()).items()}
    return pd.DataFrame(
        {
            "change": [grids.short_name(name) for name in found["variant"]],
            "meaning": found["variant"].map(meanings),
            **{
                score: [_effect(row, score) for _, row in found.iterrows()]
                for score in effects.SCORES
            },
            "note": found["note"],
        }
    )


def traps(found: pd.DataFrame) -> pd.DataFrame:
    """Lay `effects.table` out for the protocol page: what a paper that did this would report."""
    return pd.DataFrame(
        {
            "a paper that were to …": [
                f"{grids.TRAPS[name]} ({grids.short_name(name)})" for name in found["variant"]
            ],
            **{
                f"… would report as {score}": [
                    f"{row[score]:.1f}%: {_effect(row, score)}" for _, row in found.iterrows()
                ]
                for score in effects.SCORES
            },
            "note": found["note"],
        }
    )


def training_losses(data: Results) -> pd.DataFrame:
    """Compare what each reading's values end the training at: what the best are chosen by.

    Returns:
        A row per field of which the results hold, on all folds, a value that may be chosen by its
        training loss (`grids.eligible`), with the loss of the last epoch, averaged over the folds
        of seed 0, under the default and under the best other value, and which of the two is chosen.
    """
    losses, folds = _last_losses(data)
    rows: dict[str, dict[str, Any]] = {}
    for variant, of in grids.known("readings").items():
        if (
            not of.change
            or not of.change.eligible
            or not {variant, of.against} <= set(losses.index)
        ):
            continue
        if folds[variant] < folds[of.against]:  # not finished yet
            continue
        default = losses[of.against]
        field, _, value = variant.partition("=")
        row: dict[str, Any] = {"field": field, "default": default, "best alternative": value}
        row |= {"its loss": losses[variant]}
        row |= {"chosen": "alternative" if losses[variant] < default else "default"}
        if field not in rows or losses[variant] < rows[field]["its loss"]:
            rows[field] = row
    columns = ["field", "default", "best alternative", "its loss", "chosen"]
    order = {reading.field: number for number, reading in enumerate(READINGS)}
    return pd.DataFrame(sorted(rows.values(), key=lambda row: order[row["field"]]), columns=columns)


def table_1_again(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return Table 1 with the defaults, and under the readings that train best, see `table_1`."""
    again = poolings.table_1(_poolings(predictions, grids.TO_THE_LETTER))
    best = at_its_best(predictions)
    if best.empty:
        return again
    more = poolings.table_1(best)
    more = more[more["source"].str.startswith("here")]
    return pd.concat(
        [again, more.assign(source=f"{more['source'].iloc[0]}, {grids.BEST}")], ignore_index=True
    )


def chosen(data: Results) -> list[str]:
    """Name the readings that end training with a lower loss than the default, and were chosen."""
    found = _chosen(data)
    return [
        grids.short_name(f"{field}={value}")
        for field, value in zip(found["field"], found["best alternative"], strict=True)
    ]


def luck(data: Results) -> str:
    """Say how many of the choices are smaller than what training again does to the loss.

    Empty where what is trained as the default is has not been run.
    """
    losses, _ = _last_losses(data)
    if not {grids.DEFAULT, grids.TRAINED_AS_DEFAULT} <= set(losses.index):
        return ""
    again = abs(losses[grids.TRAINED_AS_DEFAULT] - losses[grids.DEFAULT])
    found = _chosen(data)
    small = int((found["default"] - found["its loss"] < again).sum())
    return (
        f"When the default was trained again, the loss changed by {again:.3f}: {small} of these "
        f"{len(found)} readings lower it by less, and may have been chosen by luck."
    )


def pairs_again(predictions: pd.DataFrame) -> pd.DataFrame:
    """Compare the poolings in pairs with the defaults, and under the readings that train best."""
    tables = {
        "defaults": _poolings(predictions, grids.TO_THE_LETTER),
        grids.BEST: at_its_best(predictions),
    }
    found = []
    for name, each in tables.items():
        pairs = poolings.compared(each)
        rows = poolings.in_pairs(pairs).assign(speakers=pairs["speakers"])
        rows.insert(0, "readings", name)
        found.append(rows)
    return pd.concat(found, ignore_index=True)


def at_its_best(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return what the poolings predict under the readings that train best."""
    return _poolings(predictions, grids.AT_ITS_BEST)


def readings_answer(found: pd.DataFrame, predictions: pd.DataFrame) -> Markdown:
    """Answer the question of the readings page."""
    ours = metrics.summary(predictions).set_index("variant")
    letter, best = (
        wording.ranking(
            ours.loc[ours.index.intersection([*names]), "WA"]
            .rename(names)
            .sort_values(ascending=False)
        )
        for names in (grids.TO_THE_LETTER, grids.AT_ITS_BEST)
    )
    again = f"With the defaults the order of the poolings by WA is {letter}; "
    again += (
        f"under the readings that train best it is {best}. "
        if best
        else "the readings that train best have not been put together yet. "
    )
    changed = effects.changed_of(predictions)
    shown = ours[~ours.index.isin([*changed])]
    corpus, preset = predictions[["corpus", "preset"]].iloc[0]
    has = common.available(corpus, "readings", preset.split(",")[0])
    every = sum(has[name] and name in changed for name in has)
    so_far = f"{len(found)} of {every} changes have been measured. " if len(found) < every else ""
    predictions = predictions[predictions["variant"].isin(shown.index)]
    return Markdown(
        f"{so_far}{_told_apart(found)}{again}The numbers here come from {wording.size(shown)}. "
        f"{wording.learnt(shown, predictions)}{no_evidence(predictions)}"
    )


def protocol_answer(found: pd.DataFrame, predictions: pd.DataFrame) -> Markdown:
    """Answer the question of the protocol page."""
    ours = metrics.summary(predictions).set_index("variant")
    ours = ours[ours.index == grids.DEFAULT]
    if ours.empty:
        return Markdown("The default has not been run yet.")
    default = ours.loc[grids.DEFAULT]
    predictions = predictions[predictions["variant"] == grids.DEFAULT]
    return Markdown(
        f"With held-out speakers, the last epoch and every utterance, WA is {default['WA']:.1f}% "
        f"and UA {default['UA']:.1f}%. {_largest(found)}{_told_apart(found)}The numbers here come "
        "from "
        f"{wording.size(ours)}. {wording.learnt(ours, predictions)}{no_evidence(predictions)}"
    )


def _chosen(data: Results) -> pd.DataFrame:
    """Return the rows of `training_losses` of which the alternative is chosen."""
    found = training_losses(data)
    return found[found["chosen"] == "alternative"]


def _last_losses(data: Results) -> tuple[pd.Series, pd.Series]:
    """Return the loss of the last epoch by variant, averaged over the folds of seed 0; how many."""
    first = data.history[data.history["seed"] == 0]
    last = first.loc[first.groupby(["variant", "fold"])["epoch"].idxmax()]
    losses, folds = (last.groupby("variant")["loss"].agg(how) for how in ("mean", "size"))
    return losses, folds


def _effect(row: pd.Series, score: str) -> str:
    """Give what `_points` gives, and a star where the effect is told apart from none."""
    star = "\N{NO-BREAK SPACE}*" if row[f"{score} p"] < effects.SIGNIFICANT else ""
    return _points(row, score) + star


def _points(row: pd.Series, score: str) -> str:
    """Give an effect with its sign and its interval."""
    return wording.difference(
        *(row[f"{score} {what}"] for what in ("effect", "effect low", "effect high"))
    )


def _largest(found: pd.DataFrame) -> str:
    """Name the change that moves WA or UA most, which is the first."""
    if found.empty:
        return ""
    most = found.iloc[0]
    return (
        f"The largest change comes from {grids.short_name(most['variant'])}: "
        f"WA {_points(most, 'WA')} and UA {_points(most, 'UA')} points. "
    )


def _told_apart(found: pd.DataFrame) -> str:
    """Say which effects are told apart from none, of how many."""
    tested = int(found[[f"{score} p" for score in effects.SCORES]].notna().to_numpy().sum())
    if not tested:
        return (
            "Nothing can be told apart from chance here: an interval needs "
            f"{metrics.FEWEST_SPEAKERS} speakers. "
        )
    stand_out = [
        f"{grids.short_name(row['variant'])} ({score} {_points(row, score)})"
        for _, row in found.iterrows()
        for score in effects.SCORES
        if row[f"{score} p"] < effects.SIGNIFICANT
    ]
    listed = f": {', '.join(stand_out)}" if stand_out else ""
    return (
        f"Of {tested} effects, on WA and on UA, {len(stand_out) or 'none'} "
        f"{'differ' if len(stand_out) > 1 else 'differs'} significantly from zero after Holm's "
        f"correction over all of them{listed}. "
    )


def _poolings(predictions: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Take some variants out, under the names that Table 1 has for them and in its order."""
    order = list(names).index
    taken = predictions[predictions["variant"].isin(names)]
    taken = taken.sort_values("variant", key=lambda column: column.map(order), kind="stable")
    return taken.assign(variant=taken["variant"].map(names))


def no_evidence(predictions: pd.DataFrame) -> str:
    """Say why results are no evidence, where they come from synthetic sound or a showcase."""
    if predictions["corpus"].iloc[0] == "synthetic":
        return "On synthetic speech this says nothing about emotion."
    preset = predictions["preset"].iloc[0].split(",")[0]
    if preset in config.SHOWCASES:
        return f"The preset {preset} is made to show the machinery: its effects are no evidence."
    return ""
