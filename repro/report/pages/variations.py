"""The pages "Readings" and "Protocol": what changes with one setting at a time."""

import math
from pathlib import Path

import pandas as pd
from IPython.display import Markdown

from repro import config, results
from repro.config import READINGS, Experiment
from repro.corpora import name_of
from repro.evidence import effects, metrics, parts
from repro.evidence.learning import last_epochs, last_losses
from repro.report.pages import poolings, wording
from repro.results import Results
from repro.study import grids

# What changes of the studies `readings` and `protocol` do, in words.
MEANINGS = {name: each.meaning for name, each in grids.changes(Experiment()).items()} | grids.TRAPS


def change_effects(found: pd.DataFrame) -> pd.DataFrame:
    """Return `effects.table` laid out for the readings page, with intervals as text."""
    return pd.DataFrame(
        {
            "change": found["variant"].map(_named),
            **{score: _effects(found, score) for score in metrics.ACCURACIES},
            "note": found["note"],
        }
    )


def traps(found: pd.DataFrame) -> pd.DataFrame:
    """Return `effects.table` laid out for the protocol page: what a paper would report."""
    return pd.DataFrame(
        {
            "way of testing": found["variant"].map(_named),
            **{
                f"{score} with it, and change": [
                    f"{here:.1f}%: {effect}"
                    for here, effect in zip(found[score], _effects(found, score), strict=True)
                ]
                for score in metrics.ACCURACIES
            },
            "note": found["note"],
        }
    )


def attentions(results_file: str | None, corpus: str, preset: str) -> pd.DataFrame | None:
    """Return what attention reaches with other forms of its layer, beside GAP and the default form.

    Those are the settings of the study `pooling` that change a preset in `network.attention_…`
    alone. They are of the first seed, as is the GAP of the preset itself, which has no such layer.
    None where a results file holds no such settings.
    """
    if results_file is None or not Path(results_file).is_file():
        return None
    data = results.read(results_file, study={"pooling"}, corpus={name_of(corpus)}, seed={0})
    ended = pd.concat([data.folds, data.diverged])
    settings = [
        setting
        for setting in ended["preset"].unique()
        if config.parted(setting)[0] == preset
        and all(change.startswith("network.attention_") for change in config.parted(setting)[1])
    ]
    if settings in ([], [preset]):
        return None
    state = ended["corpus_hash"].iloc[-1]  # of the corpus: that of the latest fold
    predictions = data.predictions[data.predictions["corpus_hash"] == state]
    of_preset = predictions[predictions["preset"] == preset]
    others = {"gap": of_preset[of_preset["variant"] == "gap"]}
    others["default"] = of_preset[of_preset["variant"] == "attention"]
    pairs = [("WA", "gap"), ("UA", "gap"), ("WA", "default")]
    rows = []
    for setting in sorted(settings, key=len):
        of = f"preset == {setting!r} and variant == 'attention'"
        found, history = predictions.query(of), data.history.query(of)
        name = ", ".join(map(grids.short_name, config.parted(setting)[1])) or "default"
        row = {"attention": name} | dict.fromkeys(metrics.ACCURACIES, "–")
        row |= dict.fromkeys((f"{score}, this − {other}" for score, other in pairs), "–")
        if len(found):
            summary = metrics.summary(found)
            row |= {s: metrics.format_intervals(summary, s)[0] for s in metrics.ACCURACIES}
            for score, other in pairs[:2] if setting == preset else pairs:
                if metrics.units_of(found) == metrics.units_of(others[other]):
                    ahead = metrics.contrast([found], [others[other]], score)
                    row[f"{score}, this − {other}"] = metrics.format_interval(ahead, sign="+")
        loss = last_epochs(history)["loss"].median() if len(found) else math.nan
        rows.append(row | {"training loss": loss, "diverged": len(data.diverged.query(of))})
    return pd.DataFrame(rows)


def training_losses(data: Results) -> pd.DataFrame:
    """Return the training losses that the best readings are chosen by.

    Returns:
        A row per field of which the results hold, on all folds, a value that may be chosen by its
        training loss (`grids.Change.eligible`), with the loss of the last epoch, averaged over the
        folds of seed 0, under the default and under the best other value, and which is chosen.
    """
    last = _last_losses(data)
    losses, folds = last["mean"], last["size"]
    grid = [
        of
        for name, of in grids.known("readings").items()
        if folds.get(name, 0) >= folds.get(of.against, math.inf)  # is finished
    ]
    chosen = grids.chosen(grid, losses.to_dict())
    rows = [
        (of.change.reading.field, losses[of.against], value, losses[of.name], of.change in chosen)
        for of in grid
        if of.change and of.change.eligible and (value := of.name.partition("=")[2])
    ]
    columns = ["field", "default", "best alternative", "its loss", "chosen"]
    found = pd.DataFrame(rows, columns=columns).sort_values("its loss").drop_duplicates("field")
    found["chosen"] = found["chosen"].map({True: "alternative", False: "default"})
    fields = [reading.field for reading in READINGS]
    return found.sort_values("field", key=lambda of: of.map(fields.index), ignore_index=True)


def table_1_again(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return Table 1 with the defaults, and under the readings that train best."""
    again = poolings.accuracies(_poolings(predictions, grids.TO_THE_LETTER))
    best = _poolings(predictions, grids.AT_ITS_BEST)
    if best.empty:
        return again
    more = poolings.accuracies(best)
    more["source"] += f", {grids.BEST}"
    return pd.concat([again, more], ignore_index=True)


def luck(data: Results) -> str:
    """Return how many of the choices are smaller than what training again does to the loss.

    Empty where what is trained as the default is has not been trained apart from it.
    """
    losses = _last_losses(data)["mean"]
    default, twin = (losses.get(of, math.nan) for of in (grids.DEFAULT, grids.TRAINED_AS_DEFAULT))
    again = abs(twin - default)
    if not again > 0:  # not trained again, or one training, counted in two ways
        return ""
    found = training_losses(data).query("chosen == 'alternative'")
    if found.empty:
        return ""
    small = int((found["default"] - found["its loss"] < again).sum())
    return (
        f"When the default was trained again, the loss changed by {again:.3f}: {small} of these "
        f"{len(found)} readings lower it by less, and may have been chosen by luck."
    )


def readings_answer(found: pd.DataFrame, predictions: pd.DataFrame) -> Markdown:
    """Return which effects are significant, and what the readings do to the order of poolings."""
    # What tests other utterances has another commonest emotion.
    tested = set(predictions.loc[predictions["variant"] == grids.DEFAULT, "utterance"])
    alike = predictions.groupby("variant").filter(lambda rows: set(rows["utterance"]) == tested)
    said = [_significant(found), wording.guessing(metrics.summary(alike), alike)]
    reach = ((found["WA effect high"] - found["WA effect low"]) / 2).median()
    if reach > 0:  # there are intervals
        said.append(
            "That an effect is not significant does not show it to be small: half of the "
            f"intervals of WA reach more than {reach:.1f} points to either side, and the paper's "
            f"gain of attention over GAP is {poolings.attention_gain():.1f}."
        )
    orders = (
        poolings.order(_poolings(predictions, names), where)
        for where, names in (
            ("with the defaults", grids.TO_THE_LETTER),
            ("under the readings that train best", grids.AT_ITS_BEST),
        )
    )
    return Markdown(f"{' '.join(filter(None, said))}\n\n{' '.join(orders)}")


def protocol_answer(found: pd.DataFrame, predictions: pd.DataFrame) -> Markdown:
    """Return the accuracy of the paper's protocol, and which departures from it are significant."""
    shown = predictions[predictions["variant"] == grids.DEFAULT]
    if shown.empty:
        return Markdown("The default has not been run yet.")
    ours = metrics.summary(shown)
    said = [
        f"By default WA is {ours['WA'][0]:.1f}% and UA {ours['UA'][0]:.1f}%.",
        _significant(found),
        _largest(found),
        wording.guessing(ours, shown),
    ]
    return Markdown(" ".join(filter(None, said)))


def _largest(found: pd.DataFrame) -> str:
    """Return which trap changes WA most, and by how much."""
    if found["WA effect"].isna().all():
        return ""
    most = found.loc[[found["WA effect"].abs().idxmax()]]
    [text], [name] = metrics.format_intervals(most, "WA effect", sign="+"), most["variant"]
    return f"What changes WA most is to {MEANINGS[name]}: {text} points."


def _last_losses(data: Results) -> pd.DataFrame:
    """Return `last_losses` of the first seed, without variants of which a training diverged."""
    diverged = set(data.diverged.query("seed == 0")["variant"])
    history = data.history.query("seed == 0")
    return last_losses(history[~history["variant"].isin(diverged)])


def _named(variant: str) -> str:
    """Return what a change does, and below it what it is called, as HTML."""
    return f"{MEANINGS[variant]}<br><code>{grids.short_name(variant)}</code>"


def _effects(found: pd.DataFrame, score: str) -> list[str]:
    """Return effects with their intervals, and a star where they are significant."""
    texts = metrics.format_intervals(found, f"{score} effect", sign="+")
    stars = found[f"{score} p"] < effects.ALPHA
    return [text + "\N{NO-BREAK SPACE}*" * star for text, star in zip(texts, stars, strict=True)]


def _significant(found: pd.DataFrame) -> str:
    """Return which effects are significant, of how many."""
    if found.empty:
        return "No change has been run yet."
    p = found[[f"{score} p" for score in metrics.ACCURACIES]]
    tested = int(p.notna().to_numpy().sum())
    if not tested:
        few = metrics.FEWEST_SPEAKERS
        return f"Nothing is significant here: an interval needs {few} speakers, each held out."
    significant = p < effects.ALPHA
    texts = pd.DataFrame(
        {s: metrics.format_intervals(found, f"{s} effect", sign="+") for s in metrics.ACCURACIES},
        found.index,
    )
    listed = []
    for row in found.index[significant.any(axis=1)]:
        scores = [s for s in metrics.ACCURACIES if significant.loc[row, f"{s} p"]]
        numbers = ", ".join(f"{score} {texts.loc[row, score]}" for score in scores)
        name = found.loc[row, "variant"]
        listed.append(f"{MEANINGS[name]} (`{grids.short_name(name)}`), {numbers}")
    return (
        f"{len(listed) or 'None'} of {p.notna().any(axis=1).sum()} changes "
        f"{'move' if len(listed) > 1 else 'moves'} WA or UA significantly, after Holm's correction "
        f"over all {tested} effects{': ' if listed else ''}{'; '.join(listed)}."
    )


def _poolings(predictions: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Return some variants, under the names that Table 1 has for them and in its order."""
    order = list(names).index
    taken = predictions[predictions["variant"].isin(names)]
    taken = taken.sort_values("variant", key=lambda column: column.map(order), kind="stable")
    return parts.settled(taken.assign(variant=taken["variant"].map(names)))
