"""What the notebooks say beside their figures: notices, tables and where the numbers come from.

Text that holds a number is made here from results, never typed into a page.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from IPython.display import HTML, Markdown
from scipy.stats import binomtest

from repro import (
    bench,
    changes,
    claims,
    config,
    effects,
    metrics,
    paper,
    recovery,
    simulation,
    study,
    trainer,
)
from repro.config import READINGS, Experiment, Protocol
from repro.corpora import emodb, planted
from repro.corpora.check import EMODB, IEMOCAP
from repro.errors import NoResultsError
from repro.model import build_network
from repro.results import ATTENTION_COLUMNS, Results, read
from repro.spectrogram import segment_count

ACCURACY_COLUMNS = metrics.SCORES
INTERVAL = r"(\S) \[(\S+), (\S+)\]"
TITLES = {
    "synthetic": "synthetic speech",
    "iemocap": "IEMOCAP",
    "emodb": "EmoDB",
    "ravdess": "RAVDESS",
}
# Verdicts from the best to the least: a sign and a colour for each, so that neither stands alone.
MARKS = {
    "supported": ("✔", "#1a7f37"),
    "contradicted": ("✘", "#b3261e"),
    "undecided": ("?", "#7a5c00"),
    "not testable here": ("–", "#57606a"),
}
# The paper does not say how many utterances it has; the published release does.
IEMOCAP_UTTERANCES = sum(sum(row[: len(paper.EMOTIONS)]) for row in IEMOCAP.values())


def notice(corpus: str, preset: str = "paper") -> Markdown | None:
    """Say at the top of a page what its numbers may be taken for."""
    lines = []
    if corpus == "synthetic":
        lines.append(
            "**Built-in synthetic corpus.** The speech on this page was made by a synthesiser. "
            "Its numbers show that the machinery works and say nothing about emotion."
        )
    if preset != "paper":
        lines.append(
            f"**Preset `{preset}`, not the paper's protocol.** {_shrunk(config.preset(preset))}"
        )
    if not lines:
        return None
    return Markdown("\n>\n".join(f"> {line}" for line in lines))


def so_far(
    data: Results, corpus: str, root: str | None, only: str | None = None
) -> Markdown | None:
    """Say which variants are not finished, where the results file is all that there is.

    With `only`, speak of this variant and no other.
    """
    if study.at_hand(corpus, root):
        return None
    first = data.folds.iloc[0]
    seeds = data.folds["seed"].max() + 1
    states = []
    for variant, experiment in study.variants(first["study"], first["preset"]).items():
        if only not in (None, variant):
            continue
        planned = _planned_folds(first["corpus"], experiment.protocol)
        for _, held in data.folds[data.folds["variant"] == variant].groupby("corpus"):
            if len(held) < seeds * planned:
                states.append(f"{variant}: {len(held)} of {seeds * planned} folds")
        if planned and variant not in set(data.folds["variant"]):
            states.append(f"{variant}: none of {seeds * planned} folds")
    if not states:
        return None
    return Markdown(f"> **Unfinished.** So far there are, of {'; of '.join(states)}.")


def provenance(corpus: str, preset: str, folds: pd.DataFrame | None = None) -> Markdown:
    """Say at the foot of a page what made it: corpus, preset, seeds, version, device, date."""
    if folds is None:
        # Not the commit or the day: a page of which nothing was trained is the same on both.
        here = study.provenance(trainer.choose_device(), "fp32", seconds=0.0)
        folds = pd.DataFrame([here])[["version", "torch", "seconds"]]
        seeds = "none, as nothing is trained"
    else:
        seeds = str(folds["seed"].nunique())
    facts = {"corpus": corpus, "preset": preset, "seeds": seeds}
    for name in ("version", "commit", "torch", "device", "precision", "threads", "date"):
        if name in folds:
            facts[name] = ", ".join(sorted({str(v) for v in folds[name] if v is not None}))
    if folds["seconds"].sum():
        facts["training time"] = f"{folds['seconds'].sum() / 60:.1f} min"
    return Markdown("*Made from:* " + "; ".join(f"{k} {v}" for k, v in facts.items() if v) + ".")


def table(frame: pd.DataFrame, decimals: int = 1) -> HTML:
    """Show a table: text to the left, numbers rounded and to the right, a dash for none."""
    numbers = list(frame.select_dtypes("number").columns)
    # The identifier that ties a table to its style must differ from table to table, not from run
    # to run.
    identifier = hashlib.sha256(frame.to_csv().encode()).hexdigest()[:8]
    shown = frame.replace(INTERVAL, "\\1\u00a0[\\2,\u00a0\\3]", regex=True)  # in one piece
    style = shown.style.hide(axis="index").set_uuid(identifier)
    style = style.set_table_attributes('class="table"')
    style = style.format(precision=decimals, na_rep="–", subset=numbers)
    style = style.set_properties(subset=numbers, **{"text-align": "right"})
    return HTML(style.to_html() + _download(frame))


def _download(frame: pd.DataFrame) -> str:
    """Link to a table's data as CSV, which are in the link itself."""
    plain = frame.replace(r"<[^>]*>", "", regex=True)  # cells may hold markup
    data = base64.b64encode(plain.to_csv(index=False, float_format="%.6g").encode()).decode()
    link = f'<a download="table.csv" href="data:text/csv;base64,{data}">CSV</a>'
    return f'<p class="csv">{link}</p>'


def corpus_counts(table: pd.DataFrame) -> pd.DataFrame:
    """Count utterances by speaker and emotion, with the segments that they give."""
    counts = pd.crosstab(table["speaker"], table["emotion"]).reindex(
        columns=list(paper.EMOTIONS), fill_value=0
    )
    by_speaker = table.groupby("speaker")["samples"]
    counts["all"] = by_speaker.size()
    counts["minutes"] = by_speaker.sum() / paper.SAMPLE_RATE / 60
    counts["under 2 s"] = by_speaker.agg(
        lambda n: int((n < paper.SEGMENT_SECONDS * paper.SAMPLE_RATE).sum())
    )
    for name, hop in (
        ("training", paper.TRAIN_HOP_SECONDS),
        ("test", paper.TEST_HOP_SECONDS),
    ):
        counts[name] = by_speaker.agg(lambda n, hop=hop: sum(segment_count(s, hop) for s in n))
    total = counts.sum().to_frame("all").T.astype(counts.dtypes)
    counts = pd.concat([counts, total]).rename_axis("speaker").reset_index()
    return counts.rename_axis(columns=None)


def stand_in(corpus: str, shown: pd.DataFrame) -> Markdown:
    """Say that a page shows another corpus than the one that the report is about."""
    return Markdown(
        f"> **Built-in synthetic corpus.** The recordings of {TITLES[corpus]} are not at hand. "
        f"The {len(shown)} utterances that this page shows and counts were made by a synthesiser; "
        f"the other pages are about {TITLES[corpus]}."
    )


def held_in(results: str | None, corpus: str, root: str | None) -> HTML | None:
    """Count the utterances of a corpus that is not at hand, from the folds of a results file."""
    if study.at_hand(corpus, root) or results is None or not Path(results).exists():
        return None
    held = read(results, corpus={corpus}).predictions
    if held.empty:
        return None
    held = held.drop_duplicates("utterance")
    counts = pd.crosstab(held["fold"], held["emotion"], margins=True, margins_name="all")
    columns = [*paper.EMOTIONS, "all"]
    counts = counts.reindex(columns=columns, fill_value=0).rename_axis("speaker").reset_index()
    shown = table(counts.rename_axis(columns=None))
    return HTML(f"<p>And those of {TITLES[corpus]} that the results hold:</p>{shown.data}")


def with_intervals(summary: pd.DataFrame, scores: Sequence[str]) -> pd.DataFrame:
    """Turn scores and their bounds into text such as `65.0 [58.1, 71.9]`."""
    table = summary[["variant"]].copy()
    for score in scores:
        columns = summary[[score, f"{score} low", f"{score} high"]]
        table[score] = [_text(*row) for row in columns.itertuples(index=False)]
    return table


def table_1(predictions: pd.DataFrame) -> pd.DataFrame:
    """Set the earlier systems, the paper's and ours below each other (Table 1).

    The paper gives no intervals. Those of its WA follow from the size of its corpus alone, as if
    utterances were independent: true ones are wider. Its UA would need the confusion matrix.
    """
    rows = [
        (
            source,
            row.name,
            _text(*metrics.proportion_interval(row.wa, IEMOCAP_UTTERANCES), 2),
            f"{row.ua:.2f}",
        )
        for source, published in (
            ("earlier work, as the paper cites it", paper.TABLE_1_EARLIER),
            ("the paper, IEMOCAP", paper.TABLE_1.values()),
        )
        for row in published
    ]
    summary = metrics.summary(predictions)
    ours = with_intervals(summary, ["WA", "UA"])
    for variant, wa, ua in ours.itertuples(index=False):
        rows.append((f"here, {_run(predictions)}", paper.TABLE_1[variant].name, wa, ua))
    return pd.DataFrame(rows, columns=["source", "model", "WA", "UA"])


def verdicts(predictions: pd.DataFrame) -> HTML:
    """Judge the claims that a study's predictions bear on."""
    rows = claims.table(_judged(predictions))
    return table(rows[["claim", "section", "verdict", "effect"]])


def tests(predictions: pd.DataFrame) -> Markdown:
    """State how each claim that a study bears on is tested."""
    judged = _judged(predictions)
    return Markdown("\n".join(f"- *{v.claim.text}*: {v.test}" for v in judged))


def gain_needed() -> Markdown:
    """Say what the paper's gain of attention over GAP amounts to on its own corpus."""
    points = paper.TABLE_1["attention"].wa - paper.TABLE_1["gap"].wa
    gain = points / 100 * IEMOCAP_UTTERANCES
    example = 0.1
    return Markdown(
        f"The paper's gain of attention over GAP is {points:.2f} points of WA: {gain:.0f} of "
        f"{IEMOCAP_UTTERANCES:,} utterances. McNemar's test could tell a net gain of that size "
        f"from chance only if the two networks disagreed in being right on fewer than "
        f"{metrics.most_discordant(gain):.0f} utterances in all. If they disagree on "
        f"{100 * example:.0f}% of utterances, it takes about "
        f"{metrics.utterances_needed(points, example):,.0f} utterances to see such a gain four "
        "times out of five."
    )


def parameters(grid: dict[str, Experiment]) -> pd.DataFrame:
    """Count the parameters of each variant's network."""
    counts = {
        variant: sum(p.numel() for p in build_network(experiment.network).parameters())
        for variant, experiment in grid.items()
    }
    return pd.DataFrame(counts.items(), columns=["variant", "parameters"])


def readings(*fields: str) -> pd.DataFrame:
    """List the sentences that can be read in more than one way, for fields with these starts.

    Without any start it lists them all.
    """
    chosen = [r for r in READINGS if r.field.startswith(fields or "")]
    return pd.DataFrame(
        {
            "field": [r.field for r in chosen],
            "section": [r.section for r in chosen],
            "the paper says": [r.says for r in chosen],
            "here": [r.default for r in chosen],
            "could also be": ["; ".join(text for _, text in r.alternatives) for r in chosen],
        }
    )


def pooling_answer(predictions: pd.DataFrame) -> Markdown:
    """Answer the question of the pooling page: the order of the poolings here and in the paper."""
    ours = metrics.summary(predictions).set_index("variant")
    here = ours["WA"].sort_values(ascending=False)
    published = sorted(paper.TABLE_1, key=lambda name: -paper.TABLE_1[name].wa)
    return Markdown(
        f"By WA the order here is {_ranking(here)}; in the paper it is "
        f"{', '.join(f'{name} ({paper.TABLE_1[name].wa:.2f}%)' for name in published)}. "
        f"{_weight(ours, predictions)}"
    )


def filter_shapes_answer(predictions: pd.DataFrame) -> Markdown:
    """Answer the question of the filter page: the best height and width here and in the paper."""
    ours = metrics.summary(predictions).set_index("variant")
    fixed = paper.SWEEP_FIXED
    best = {}
    for side, pattern in (("height", rf"^\d+x{fixed}$"), ("width", rf"^{fixed}x\d+$")):
        sweep = ours.loc[ours.index.str.match(pattern), "WA"]
        best[side] = f"{sweep.idxmax()} ({sweep.max():.1f}%, worst {sweep.min():.1f}%)"
    paper_height, paper_width = (f"{h}x{w}" for h, w in paper.STEM_SHAPES)
    return Markdown(
        f"The best WA is at {best['height']} when the height varies and at {best['width']} when "
        f"the width does; the paper chose {paper_height} and {paper_width}. "
        f"{_weight(ours, predictions)}"
    )


def replicates(predictions: pd.DataFrame) -> Markdown:
    """Answer the question of the first page in one sentence."""
    main = "attention-best"
    judged = claims.judge(predictions)
    of_main = next(v for v in judged if v.claim.id == main)
    counts: Counter[str] = Counter(v.verdict for v in judged)
    if counts["not testable here"] == len(judged):
        return Markdown(f"**That is not answered here**: {_why_untested(judged)}.")
    listed = ", ".join(f"{counts[name]} {name}" for name in MARKS if counts[name])
    corpus, preset = predictions[["corpus", "preset"]].iloc[0]
    size = f"{_many(predictions['fold'].nunique(), 'speaker')}, " + _many(
        predictions["seed"].nunique(), "seed"
    )
    evidence = "; ".join(map(str, of_main.parts)) or of_main.note
    return Markdown(
        f"**On {TITLES[corpus]} (preset {preset}, {size}), of the paper's {len(judged)} claims: "
        f"{listed}.** The main one, that {of_main.claim.text}, is {of_main.verdict} ({evidence})."
    )


def marks(predictions: pd.DataFrame) -> HTML:
    """Show every claim with a coloured mark for its verdict, and the effect that decides it."""
    judged = claims.judge(predictions)
    rows = pd.DataFrame(
        {
            "verdict": [_mark(v.verdict) for v in judged],
            "claim": [v.claim.text for v in judged],
            "effect [95% interval]": [
                _unbroken(str(v.deciding).partition(": ")[2]) if v.parts else v.note for v in judged
            ],
        }
    )
    return table(rows)


def beside_paper(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return Table 1 here and in the paper, with the interval of the paper's WA, see `table_1`."""
    return with_paper_interval(metrics.beside_paper(predictions))


def with_paper_interval(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the interval of the paper's WA, see `table_1`."""
    bounds = [metrics.proportion_interval(wa, IEMOCAP_UTTERANCES) for wa in rows["paper WA"]]
    return rows.assign(
        **{"paper WA low": [b.low for b in bounds], "paper WA high": [b.high for b in bounds]}
    )


def with_maps(data: Results) -> Results:
    """Return results that hold attention maps.

    Raises:
        NoResultsError: they do not.
    """
    if data.attention.empty:
        raise NoResultsError(
            "The results hold no attention maps, as they were made by a version that kept none: "
            "run pooling into a new file"
        )
    return data


def map_size(preset: str) -> Markdown:
    """Say how large the attention maps are, and what one of their points covers."""
    experiment = config.preset(preset)
    network = build_network(experiment.network).eval()
    with torch.device("meta"):
        segment = torch.empty(1, 1, paper.BINS, paper.FRAMES)
    rows, columns = network.to("meta").features(segment).shape[2:]
    return Markdown(
        f"Here a map has {rows} rows by {columns} columns, so that one point stands for about "
        f"{paper.HIGHEST_HZ / rows:.0f} Hz by {1000 * paper.SEGMENT_SECONDS / columns:.0f} ms."
    )


def attention_table(attention: pd.DataFrame) -> pd.DataFrame:
    """Average what was measured on attention maps, for all utterances and for groups of them.

    Returns:
        A row per group and measure: `group`, `utterances`, `measure`, and `value`, `low`, `high`.
        The measures `bottom_up_more` and `top_down_more` are by how much a map agrees more with
        energy than with pitch.
    """
    measured = attention.assign(
        bottom_up_more=attention["bottom_up_energy"] - attention["bottom_up_pitch"],
        top_down_more=attention["top_down_energy"] - attention["top_down_pitch"],
    )
    right = measured["predicted"] == measured["emotion"]
    groups = {"all": measured}
    groups |= {name: measured[measured["emotion"] == name] for name in paper.EMOTIONS}
    groups |= {"recognised": measured[right], "mistaken": measured[~right]}
    return pd.DataFrame(
        {"group": name, "utterances": group["utterance"].nunique(), "measure": measure}
        | metrics.mean(group, measure)._asdict()
        for name, group in groups.items()
        for measure in (*ATTENTION_COLUMNS, "bottom_up_more", "top_down_more")
    )


def attention_shown(averages: pd.DataFrame, map_name: str) -> pd.DataFrame:
    """Lay `attention_table` out for one map, `bottom_up` or `top_down`, with intervals as text."""
    titles = {
        f"{map_name}_energy": "with energy",
        f"{map_name}_pitch": "with pitch",
        f"{map_name}_more": "energy − pitch",
    }
    if map_name == "bottom_up":
        titles["spread"] = "spread"
    texts = [
        _text(value, low, high, 2)
        for value, low, high in averages[["value", "low", "high"]].itertuples(index=False)
    ]
    wide = averages.assign(text=texts).pivot(index="group", columns="measure", values="text")
    counts = averages.drop_duplicates("group").set_index("group")["utterances"]
    wide = wide.loc[counts.index, list(titles)].rename(columns=titles)
    wide.insert(0, "utterances", counts)
    return wide.rename_axis(columns=None).reset_index()


def attention_answer(averages: pd.DataFrame, attention: pd.DataFrame) -> Markdown:
    """Answer the question of the attention page: does attention follow energy, or pitch?"""
    every = averages[averages["group"] == "all"].set_index("measure")
    if every["low"].isna().all():
        verdict = f"With fewer than {metrics.FEWEST_SPEAKERS} speakers nothing can be said for sure"
    else:
        verdict = "; ".join(
            [
                *(_follows(every.loc[f"bottom_up_{name}"], name) for name in ("energy", "pitch")),
                _more(every.loc["bottom_up_more"]),
            ]
        )
        verdict = f"The bottom-up map {verdict}"
    spread = every.loc["spread", "value"]
    size = (
        f"{_many(attention['fold'].nunique(), 'speaker')} and "
        f"{_many(attention['seed'].nunique(), 'seed')}"
    )
    caution = (
        " On synthetic speech this says nothing about emotion."
        if attention["corpus"].iloc[0] == "synthetic"
        else ""
    )
    return Markdown(
        f"{verdict}. Its entropy is {100 * spread:.0f}% of the largest possible, where 100% would "
        f"be a plain average over all positions. The numbers come from {size}.{caution}"
    )


def change_effects(found: pd.DataFrame) -> pd.DataFrame:
    """Lay `effects.table` out for the readings page, with intervals as text."""
    meanings = {name: each.meaning for name, each in changes.changes(Experiment()).items()}
    return pd.DataFrame(
        {
            "change": [changes.short_name(name) for name in found["variant"]],
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
            "a paper that would …": found["variant"].map(changes.TRAPS),
            **{
                f"… would report of {score}": [
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
        A row per field that has an eligible value in the results, with the loss of the last epoch,
        averaged over the folds of the first seed, under the default and under its best value.
    """
    first = data.history[data.history["seed"] == 0]
    last = first.loc[first.groupby(["variant", "fold"])["epoch"].idxmax()]
    losses = last.groupby("variant")["loss"].mean()
    rows: dict[str, dict[str, Any]] = {}
    for variant in losses.index.intersection([*changes.changes(Experiment())]):
        default = losses.get(changes.against(variant))
        if default is None or not changes.eligible(variant):
            continue
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
    """Return Table 1 to the letter, and under the readings that train best, see `table_1`."""
    again = table_1(_poolings(predictions, changes.TO_THE_LETTER))
    best = _poolings(predictions, changes.AT_ITS_BEST)
    if best.empty:
        return again
    more = table_1(best)
    more = more[more["source"].str.startswith("here")]
    return pd.concat(
        [again, more.assign(source=f"{more['source'].iloc[0]}, {changes.BEST}")], ignore_index=True
    )


def readings_answer(found: pd.DataFrame, predictions: pd.DataFrame) -> Markdown:
    """Answer the question of the readings page."""
    ours = metrics.summary(predictions).set_index("variant")
    letter, best = (
        _ranking(
            ours.loc[ours.index.intersection([*names]), "WA"]
            .rename(names)
            .sort_values(ascending=False)
        )
        for names in (changes.TO_THE_LETTER, changes.AT_ITS_BEST)
    )
    again = f"To the letter the order of the poolings by WA is {letter}; "
    again += (
        f"under the readings that train best it is {best}. "
        if best
        else "the readings that train best have not been put together yet. "
    )
    shown = ours[[not effects.is_change(str(name)) for name in ours.index]]
    predictions = predictions[predictions["variant"].isin(shown.index)]
    return Markdown(
        f"{_told_apart(found)}{again}The numbers here come from {_size(shown)}. "
        f"{_learnt(shown, predictions)}{_no_evidence(predictions)}"
    )


def protocol_answer(found: pd.DataFrame, predictions: pd.DataFrame) -> Markdown:
    """Answer the question of the protocol page."""
    ours = metrics.summary(predictions).set_index("variant")
    ours = ours[ours.index == changes.DEFAULT]
    if ours.empty:
        return Markdown("The default has not been run yet.")
    default = ours.loc[changes.DEFAULT]
    predictions = predictions[predictions["variant"] == changes.DEFAULT]
    return Markdown(
        f"With held-out speakers, the last epoch and every utterance, WA is {default['WA']:.1f}% "
        f"and UA {default['UA']:.1f}%. {_told_apart(found)}The numbers here come from "
        f"{_size(ours)}. {_learnt(ours, predictions)}{_no_evidence(predictions)}"
    )


def _effect(row: pd.Series, score: str) -> str:
    """Give an effect with its sign, its interval, and a star where it is told apart from none."""
    values = (row[f"{score} {what}"] for what in ("effect", "effect low", "effect high"))
    value, low, high = (f"{x:+.1f}".replace("-", "−") for x in values)
    bounds = "" if pd.isna(row[f"{score} effect low"]) else f" [{low}, {high}]"
    return f"{value}{bounds}{' *' if row[f'{score} p'] < effects.SIGNIFICANT else ''}"


def _told_apart(found: pd.DataFrame) -> str:
    """Say which effects are told apart from none, of how many."""
    tested = int(found[[f"{score} p" for score in effects.SCORES]].notna().to_numpy().sum())
    if not tested:
        return (
            "Nothing can be told apart from chance here: an interval needs "
            f"{metrics.FEWEST_SPEAKERS} speakers. "
        )
    stand_out = [
        f"{changes.short_name(row['variant'])} ({score} {_effect(row, score).rstrip(' *')})"
        for _, row in found.iterrows()
        for score in effects.SCORES
        if row[f"{score} p"] < effects.SIGNIFICANT
    ]
    listed = f": {', '.join(stand_out)}" if stand_out else ""
    return (
        f"Of {tested} effects, on WA and on UA, {len(stand_out) or 'none'} "
        f"{'is' if len(stand_out) < 2 else 'are'} told apart from no effect at all, by Holm's "
        f"correction over all of them{listed}. "
    )


def _poolings(predictions: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Take some variants out, under the names that Table 1 has for them and in its order."""
    order = list(names).index
    taken = predictions[predictions["variant"].isin(names)]
    taken = taken.sort_values("variant", key=lambda column: column.map(order), kind="stable")
    return taken.assign(variant=taken["variant"].map(names))


def _no_evidence(predictions: pd.DataFrame) -> str:
    if predictions["corpus"].iloc[0] == "synthetic":
        return "On synthetic speech this says nothing about emotion."
    preset = predictions["preset"].iloc[0].split(",")[0]
    if preset in changes.SHOWCASES:
        return f"The preset {preset} is made to show the machinery: its effects are no evidence."
    return ""


def _planned_folds(corpus: str, protocol: Protocol) -> int:
    """Return how many folds a corpus gives; 0 for one that it cannot be split or labelled for."""
    if corpus == "emodb" and (protocol.labels != "hap" or protocol.folds in ("letter", "session")):
        return 0
    folds = len(EMODB) if corpus == "emodb" and protocol.folds == "speaker" else paper.FOLDS
    return min(folds, protocol.max_folds or folds)


def _why_untested(judged: list[claims.Verdict]) -> str:
    notes = list(dict.fromkeys(v.note for v in judged))
    return "; ".join(notes)


def _mark(verdict: str) -> str:
    sign, colour = MARKS[verdict]
    return (
        f'<span style="background:{colour};color:white;border-radius:3px;padding:0 0.4em;'
        f'white-space:nowrap">{sign} {verdict}</span>'
    )


def _unbroken(text: str) -> str:
    return f'<span style="white-space:nowrap">{text}</span>'


def _follows(row: pd.Series, name: str) -> str:
    text = f"({_text(row['value'], row['low'], row['high'], 2)})"
    if row["low"] > 0:
        return f"rises and falls with {name} {text}"
    if row["high"] < 0:
        return f"runs against {name} {text}"
    return f"shows no clear relation to {name} {text}"


def _more(row: pd.Series) -> str:
    text = f"(difference {_text(row['value'], row['low'], row['high'], 2)})"
    if row["low"] > 0:
        return f"it agrees more with energy than with pitch {text}"
    if row["high"] < 0:
        return f"it agrees more with pitch than with energy {text}"
    return f"which of the two it agrees with more cannot be told {text}"


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def baselines(predictions: pd.DataFrame) -> pd.DataFrame:
    """Show what systems without a network reach, in the columns of Table 1."""
    rows = with_intervals(metrics.summary(predictions), ["WA", "UA"])
    rows.insert(0, "source", f"here, {_run(predictions)}")
    return rows.rename(columns={"variant": "model"})


def listeners(corpus: str) -> Markdown | None:
    """Say how well people recognise the emotions of a corpus, where its makers published it."""
    if corpus != "emodb":
        return None
    return Markdown(
        "People do well on EmoDB because it was made so: its makers published the utterances whose "
        f"emotion more than {emodb.LISTENERS_RECOGNISED}% of their listeners recognised and that "
        f"more than {emodb.LISTENERS_NATURAL}% judged natural (Burkhardt et al., Interspeech 2005)."
    )


def recovery_notice(preset: str) -> Markdown:
    """Say what the numbers of the recovery page may be taken for, and how they were made."""
    grid = study.variants("recovery", preset)
    reference = config.preset("paper")
    first = next(iter(grid.values()))
    theirs, ours = reference.training, first.training
    changes = [
        f"batches of {ours.batch_size} instead of the paper's {theirs.batch_size}",
        f"{ours.epochs} epochs, the paper has {theirs.epochs}",
        f"{first.protocol.max_folds or 'all'} of {planted.SPEAKERS} draws held out in turn",
    ]
    if max(first.network.stride) > 1:
        changes.append(
            f"Conv1 skips to every {max(first.network.stride)}th position along the axis that is "
            "not swept"
        )
    return Markdown(
        "> **Planted signals, no speech.** The four classes bear the names of the emotions because "
        "the network has these four outputs. The numbers on this page are about the method and say "
        "nothing about emotion.\n>\n"
        f"> **Preset `{preset}`.** In this study: {'; '.join(changes)}."
    )


def recovered(predictions: pd.DataFrame) -> pd.DataFrame:
    """Set the scale that each sweep gives away beside the one that was planted."""
    found = recovery.recovered(predictions)
    return pd.DataFrame(
        {
            "planted": found["scale"],
            "recovered": [_recovered(row) for row in found.itertuples()],
            "recovered / planted": [
                "–" if pd.isna(row.recovered) else f"{row.recovered / row.planted:.2f}"
                for row in found.itertuples()
            ],
            "best WA": [
                f"{row[0]:.1f} at {row[1]} {row[2]}"
                for row in zip(found["best WA"], found["best reach"], found["unit"], strict=True)
            ],
            "WA at half the stretch or less": found["half WA"],
            "chance": found["chance"],
        }
    )


def recovery_answer(predictions: pd.DataFrame) -> Markdown:
    """Answer the question of the recovery page."""
    found = recovery.recovered(predictions)
    sentences = []
    for unit, axis in (("ms", "time"), ("Hz", "frequency")):
        rows = list(found[found["unit"] == unit].itertuples())
        if rows:
            pairs = ", ".join(f"{_recovered(row)} where {row.scale} was planted" for row in rows)
            sentences.append(f"Along {axis} the sweep points to {pairs}.")
    early = list(found.loc[found["early"], "scale"])
    if early:
        sentences.append(
            f"At {', '.join(early)} even a filter that reaches no further than half of what was "
            "planted does better than chance: there the method claims more than it can see."
        )
    else:
        sentences.append(
            "At no scale does a filter that reaches no further than half of what was planted do "
            "better than chance."
        )
    lost = list(found.loc[found["recovered"].isna(), "scale"])
    if lost:
        sentences.append(f"At {', '.join(lost)} no filter does better than chance.")
    ordered = found.dropna(subset="recovered").groupby("unit", sort=False)["recovered"]
    monotone = all(group.is_monotonic_increasing for _, group in ordered)
    held = [row.scale for row in found.itertuples() if row.low <= row.planted <= row.high]
    sentences.append(
        f"Larger planted scales {'always' if monotone else 'do not always'} give larger recovered "
        f"ones. The 95% interval holds the planted scale at {', '.join(held) or 'none of them'}."
    )
    speakers, seeds = found["speakers"].min(), found["seeds"].min()
    sentences.append(
        f"The numbers come from {speakers} held-out draws of the signals and {seeds} "
        f"seed{'s' if seeds > 1 else ''} at each scale."
    )
    if found["low"].isna().all():
        sentences.append("That is too few for intervals.")
    return Markdown(" ".join(sentences))


def _recovered(row: Any) -> str:
    """Give a recovered scale with its interval and unit."""
    if pd.isna(row.recovered):
        return "none"
    bound = "at most " if row.at_most else ""
    return f"{bound}{_text(row.recovered, row.low, row.high, 0)} {row.unit}"


def settings(experiment: Experiment) -> pd.DataFrame:
    """List the settings of training and test, as a reader would say them."""
    training, protocol = experiment.training, experiment.protocol
    cuts = ", ".join(str(epoch) for epoch in training.milestones)
    rows = {
        "folds": f"{paper.FOLDS}: one {protocol.folds} held out in each",
        "segments": f"{paper.SEGMENT_SECONDS:g} s, {paper.TRAIN_HOP_SECONDS:g} s apart in training "
        f"and {paper.TEST_HOP_SECONDS:g} s in test",
        "optimiser": f"Nesterov momentum {training.momentum:g}, "
        f"weight decay {training.weight_decay:g}",
        "batch": f"{training.batch_size} segments",
        "epochs": f"{training.epochs}, tested after the {protocol.epoch}",
        "learning rate": f"{training.learning_rate:g}, times {paper.RATE_CUT:g} at epochs {cuts}",
        "class weights": training.class_weights,
    }
    return pd.DataFrame(rows.items(), columns=["setting", "value"])


def published() -> pd.DataFrame:
    """List the published accuracies of Table 1, the lowest UA first."""
    rows = [("earlier work", p.name, p.wa, p.ua) for p in paper.TABLE_1_EARLIER]
    rows += [("the paper", p.name, p.wa, p.ua) for p in paper.TABLE_1.values()]
    return pd.DataFrame(rows, columns=["source", "model", "WA", "UA"]).sort_values("UA")


def claimed() -> pd.DataFrame:
    """List the claims of the paper that can be tested."""
    return pd.DataFrame([(c.section, c.text) for c in paper.CLAIMS], columns=["section", "claim"])


def simulated() -> Markdown:
    """Say how far a share of simulated experiments can be off by chance."""
    error = 196 * (metrics.LEVEL * (1 - metrics.LEVEL) / simulation.RUNS) ** 0.5
    return Markdown(
        f"Each share is counted from {simulation.RUNS} experiments, and so up to {error:.0f} "
        "points off by chance."
    )


def corpus_sizes() -> dict[str, tuple[int, int]]:
    """Give the speakers of EmoDB and IEMOCAP, and how many utterances each has on average."""
    sizes = {}
    for name, counts in (("EmoDB", EMODB), ("IEMOCAP", IEMOCAP)):
        total = sum(sum(row[: len(paper.EMOTIONS)]) for row in counts.values())
        sizes[name] = (len(counts), round(total / len(counts)))
    return sizes


def attention_gain() -> float:
    """Give the paper's gain of attention over GAP, in points of WA."""
    return paper.TABLE_1["attention"].wa - paper.TABLE_1["gap"].wa


def power_answer(held: pd.DataFrame, found: pd.DataFrame) -> Markdown:
    """Say how often intervals hold the truth, and what gain is found four times out of five.

    Args:
        held: from `simulation.coverage`.
        found: from `simulation.power`.
    """
    enough = 80
    ours, plain = held["bootstrap over speakers (%)"], held["Wilson (%)"]
    sentences = []
    for name, rows in found.groupby("experiment", sort=False):
        at_least = rows.loc[rows["found"] >= enough, "gain"]
        least = f"{at_least.min():g} points" if len(at_least) else "more than was tried"
        sentences.append(f"{least} with as many speakers and utterances as {name}")
    return Markdown(
        f"Of the intervals over speakers, {ours.min():.0f} to {ours.max():.0f} in a hundred hold "
        f"the truth; of those that take utterances as independent, {plain.min():.0f} to "
        f"{plain.max():.0f}. The smallest gain tried that is found at least {enough} times in a "
        f"hundred is "
        f"{' and '.join(sentences)}. The paper's gain of attention over average pooling is "
        f"{attention_gain():.1f} points."
    )


def left_open() -> Markdown:
    """List every reading, with the command-line setting that takes each of the others."""
    lines = []
    for reading in READINGS:
        others = "; ".join(
            f"{text} (`--set {assignment(reading.field, value)}`)"
            for value, text in reading.alternatives
        )
        lines.append(
            f"- **Section {reading.section}, `{reading.field}`.** The paper says: {reading.says}. "
            f"Here: {reading.default}. Or else: {others}."
        )
    return Markdown("\n".join(lines))


def assignment(field: str, value: Any) -> str:
    """Write a field and its value as `--set` takes them."""
    if isinstance(value, tuple):
        value = ",".join(str(part) for part in value)
    return f"{field}={str(value).lower() if isinstance(value, bool) else value}"


def left_open_answer() -> Markdown:
    """Count the decisions and the experiments that they allow."""
    choices = [1 + len(reading.alternatives) for reading in READINGS]
    return Markdown(
        f"{len(READINGS)} places leave a choice. Taken together they allow {math.prod(choices):,} "
        "experiments, all of which one could call the paper's."
    )


# Speed -------------------------------------------------------------------------------------------


def benchmarks(folder: Path) -> dict[str, dict[str, Any]]:
    """Read what `repro bench --json` found on each machine, by the file's name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def bench_machines(machines: dict[str, dict[str, Any]]) -> Markdown:
    """Say what was measured on."""
    if not machines:
        return Markdown("> Nothing has been measured yet: `repro bench --json`.")
    return Markdown(
        "\n".join(
            "- **{name}**: {device}, {threads} threads, {precision}, torch {torch}".format(
                name=name, **found["machine"]
            )
            for name, found in machines.items()
        )
    )


def speeds(machines: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Set the usual ways and ours side by side, with the share of the machine's limit reached."""
    frames = [bench.rates(found).assign(machine=name) for name, found in machines.items()]
    columns = ["machine", *bench.RATES]
    return pd.concat(frames)[columns] if frames else pd.DataFrame(columns=columns)


def speed_steps(machines: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Give the speed of training after each step from the usual loop to the trainer."""
    rows = []
    for machine, found in machines.items():
        train = found["train"]
        for name in ("textbook", "channels last", "memory kept", "bfloat16", "repro"):
            if name in train:
                low, high = train["spread"][name]
                rows.append((machine, name, train[name], f"{low:.1f} to {high:.1f}"))
    return pd.DataFrame(rows, columns=["machine", "step", "segments per second", "spread"])


def speed_needs(machines: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Give the peak memory of a fold of IEMOCAP's size, and how time grows with data."""
    columns = ["machine", "memory, GB", "GPU memory, GB", "s at 1×", "s at 2×", "s at 4×", "slope"]
    rows = [
        (
            machine,
            found["memory"]["resident_gb"],
            found["memory"]["device_gb"],
            *(found["scaling"][f"{times}x"] for times in bench.SCALES),
            found["scaling"]["slope"],
        )
        for machine, found in machines.items()
    ]
    return pd.DataFrame(rows, columns=columns)


def speed_answer(machines: dict[str, dict[str, Any]]) -> Markdown:
    """Say how long the paper's tables take, extrapolated from the measured rates."""
    training_segments = sum(
        count * segment_count(round(seconds * paper.SAMPLE_RATE), paper.TRAIN_HOP_SECONDS)
        for seconds, count in bench.LENGTHS.items()
    )
    lines = []
    for machine, found in machines.items():
        epochs, folds = paper.EPOCHS, paper.FOLDS
        steps = training_segments * (folds - 1) / folds * epochs * folds
        table = len(paper.TABLE_1) * steps / found["train"]["repro"] / 3600
        mean = statistics.mean(1 / row["repro"] for row in found["sweep"].values())
        shapes = len(study.variants("filter-shapes", "paper"))
        figure = shapes * steps * mean / 3600
        lines.append(
            f"On **{machine}** the trainer is {found['train']['ratio']:.1f} times as fast as the "
            f"usual loop. Training Table 1 on a corpus of IEMOCAP's size would take "
            f"{table:,.1f} hours and Fig. 2 {figure:,.1f} hours: both extrapolated from the rates "
            "above, neither run."
        )
    return Markdown("\n\n".join(lines))


def _judged(predictions: pd.DataFrame) -> list[claims.Verdict]:
    studies = set(predictions["study"])
    return [v for v in claims.judge(predictions) if claims.TESTS[v.claim.id].study in studies]


def _run(predictions: pd.DataFrame) -> str:
    """Name the corpus and the preset of predictions that share both."""
    return ", ".join(predictions[name].iloc[0] for name in ("corpus", "preset"))


def _text(value: float, low: float, high: float, decimals: int = 1) -> str:
    if pd.isna(value):
        return "–"
    bounds = "" if pd.isna(low) else f" [{low:.{decimals}f}, {high:.{decimals}f}]"
    return f"{value:.{decimals}f}{bounds}"


def _ranking(scores: pd.Series) -> str:
    return ", ".join(f"{name} ({value:.1f}%)" for name, value in scores.items())


def _weight(summary: pd.DataFrame, predictions: pd.DataFrame) -> str:
    """Say what an answer rests on, and what it may not be taken for."""
    rests_on = f"The numbers here come from {_size(summary)}. "
    return rests_on + _learnt(summary, predictions) + _caution(predictions)


def _size(summary: pd.DataFrame) -> str:
    folds, utterances = summary["folds"].min(), summary["utterances"].min()
    seeds = summary["seeds"].min()
    return f"{folds} folds, {utterances} utterances and {seeds} seed{'s' if seeds > 1 else ''}"


def _learnt(summary: pd.DataFrame, predictions: pd.DataFrame) -> str:
    """Warn of networks that do no better by WA than always naming the commonest emotion."""
    chance = metrics.majority(predictions) / 100
    guessing = [
        str(row.Index)
        for row in summary.itertuples()
        if binomtest(
            round(row.WA / 100 * row.utterances), row.utterances, chance, alternative="greater"
        ).pvalue
        > 0.05
    ]
    if not guessing:
        return ""
    return (
        "Not distinguishable from always naming the commonest emotion "
        f"({100 * chance:.1f}%), and so of no use for an order: {', '.join(guessing)}. "
    )


def _caution(predictions: pd.DataFrame) -> str:
    if predictions["corpus"].iloc[0] == "synthetic":
        return "On synthetic speech the order means nothing for the paper's claim."
    return "An order of these numbers is no evidence yet: the verdicts on this page judge it."


def _shrunk(experiment: Experiment) -> str:
    """List what a preset changes against the paper's protocol."""
    reference = config.preset("paper")
    changes = []
    for name in config.FIELDS:
        section, leaf = name.split(".")
        value, theirs = (getattr(getattr(e, section), leaf) for e in (experiment, reference))
        if value != theirs:
            changes.append(f"`{name}` is {value} instead of {'all' if theirs is None else theirs}")
    said = "Changed: " + "; ".join(changes) + "."
    skipped = math.prod(experiment.network.stride)
    if skipped > 1:
        said += (
            f" The first layer computes one position in {skipped}: it is another, coarser network."
        )
    return said
