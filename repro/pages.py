"""What the notebooks say beside their figures: notices, tables and where the numbers come from.

Text that holds a number is made here from results, never typed into a page.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import pandas as pd
import torch
from IPython.display import HTML, Markdown
from scipy.stats import binomtest

from repro import claims, config, metrics, paper, study, trainer
from repro.config import READINGS, Experiment, Protocol
from repro.corpora.check import EMODB, IEMOCAP
from repro.model import build_network
from repro.results import ATTENTION_COLUMNS, Results, read
from repro.spectrogram import segment_count

ACCURACY_COLUMNS = metrics.SCORES
# Verdicts from the best to the least: a sign and a colour for each, so that neither stands alone.
MARKS = {
    "supported": ("✔", "#1a7f37"),
    "contradicted": ("✘", "#b3261e"),
    "undecided": ("?", "#7a5c00"),
    "not testable here": ("–", "#57606a"),
}
# The paper does not say how many utterances it has; the published release does.
IEMOCAP_UTTERANCES = sum(sum(row[: len(paper.EMOTIONS)]) for row in IEMOCAP.values())


def notice(corpus: str, preset: str = "paper") -> Markdown:
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
        return Markdown("")
    return Markdown("\n>\n".join(f"> {line}" for line in lines))


def so_far(data: Results, corpus: str, root: str | None) -> Markdown:
    """Say which variants are not finished, where the results file is all that there is."""
    if study.at_hand(corpus, root):
        return Markdown("")
    first = data.folds.iloc[0]
    seeds = data.folds["seed"].max() + 1
    states = []
    for variant, experiment in study.variants(first["study"], first["preset"]).items():
        planned = _planned_folds(first["corpus"], experiment.protocol)
        for _, held in data.folds[data.folds["variant"] == variant].groupby("corpus"):
            if len(held) < seeds * planned:
                states.append(f"{variant}: {len(held)} of {seeds * planned} folds")
        if planned and variant not in set(data.folds["variant"]):
            states.append(f"{variant}: none of {seeds * planned} folds")
    if not states:
        return Markdown("")
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
    style = frame.style.hide(axis="index").set_uuid(identifier)
    style = style.set_table_attributes('class="table"')
    style = style.format(precision=decimals, na_rep="–", subset=numbers)
    style = style.set_properties(subset=numbers, **{"text-align": "right"})
    return HTML(style.to_html())


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
    """List the sentences that can be read in more than one way, for fields with these starts."""
    chosen = [r for r in READINGS if r.field.startswith(fields)]
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
    seeds = of_main.seeds or max(v.seeds for v in judged)
    evidence = "; ".join(map(str, of_main.parts)) or of_main.note
    return Markdown(
        f"**Of the paper's {len(judged)} claims, on {_run(predictions)} ({_many(seeds, 'seed')}): "
        f"{listed}.** Its main one, that {of_main.claim.text}, is {of_main.verdict} ({evidence})."
    )


def marks(predictions: pd.DataFrame) -> HTML:
    """Show every claim with a coloured mark for its verdict, the effect and its interval."""
    rows = claims.table(claims.judge(predictions))
    rows["verdict"] = [_mark(verdict) for verdict in rows["verdict"]]
    return table(rows[["verdict", "claim", "section", "effect"]])


def beside_paper(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return Table 1 here and in the paper, with the interval of the paper's WA, see `table_1`."""
    rows = metrics.beside_paper(predictions)
    bounds = [metrics.proportion_interval(wa, IEMOCAP_UTTERANCES) for wa in rows["paper WA"]]
    return rows.assign(
        **{"paper WA low": [b.low for b in bounds], "paper WA high": [b.high for b in bounds]}
    )


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


def corpus_of(results: str, corpus: str) -> pd.DataFrame:
    """Count a corpus's utterances by speaker and emotion from the folds of a results file."""
    held = read(results, corpus={corpus}).predictions.drop_duplicates("utterance")
    counts = pd.crosstab(held["fold"], held["emotion"]).reindex(
        columns=list(paper.EMOTIONS), fill_value=0
    )
    counts["all"] = counts.sum(axis=1)
    total = counts.sum().to_frame("all").T
    return pd.concat([counts, total]).rename_axis("speaker").reset_index().rename_axis(columns=None)


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
    return "Changed: " + "; ".join(changes) + "."
