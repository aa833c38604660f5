"""The page "How fast, and why": what `repro bench` measured, and how precision moves results."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import HTML, Markdown

from repro import paper, results
from repro.evidence import metrics
from repro.report.pages import common, wording
from repro.study import grids
from repro.study.grids import short_name
from repro.tools import bench

IEMOCAP_SEGMENTS = 7_039  # to train on, in all
# By column of the folds: two ways to compute the same training, the newer one first.
NUMERICS = {"precision": ("bf16", "fp32"), "statistics": ("exact", "torch")}
IN_WORDS = {
    "bf16": "in bfloat16",
    "fp32": "in float32",
    "exact": "with exact batch statistics",
    "torch": "with torch's batch statistics",
    "cudnn": "with those of a GPU",
}


def benchmarks(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what `repro bench --json` found on each machine, by the file's name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def measured(machines: dict[str, dict[str, Any]]) -> HTML | Markdown:
    """Return what was measured, in a table for each machine."""
    if not machines:
        return Markdown("> Nothing has been measured yet: `repro bench --json`.")
    parts = []
    for name, found in machines.items():
        on = "{device}, {threads} threads, {precision}, torch {torch}".format(**found["machine"])
        parts.append(f"<p><b>{name}</b>: {on}</p>{common.table(_shown(found), 2).data}")
    return HTML("".join(parts))


def _shown(found: dict[str, Any]) -> pd.DataFrame:
    rows = pd.DataFrame(found["rows"], columns=bench.COLUMNS)
    spread = "{:,.1f} to {:,.1f}".format
    both = zip(rows["low"], rows["high"], strict=True)
    rows["low"] = ["–" if pd.isna(low) else spread(low, high) for low, high in both]
    rows["error"] = ["–" if pd.isna(error) else f"{error:.1g}" for error in rows["error"]]
    return rows.drop(columns="high").rename(columns={"low": "middle half"})


def answer(machines: dict[str, dict[str, Any]]) -> Markdown:
    """Return how long the paper's tables take, extrapolated from the measured rates."""
    work = IEMOCAP_SEGMENTS * (paper.FOLDS - 1) * paper.EPOCHS  # of all folds of a network
    lines = [] if machines else ["Not known yet."]
    for machine, found in machines.items():
        rows = {row["what"]: row for row in found["rows"] if row["way"] == bench.TRAINER}
        table = len(paper.TABLE_1) * work / rows[bench.ATTENTION]["value"] / 3600
        mean = statistics.mean(
            1 / rows[bench.ALONE.format(short_name(shape))]["value"] for shape in bench.SWEEP
        )
        figure = len(grids.variants("filter-shapes", "paper")) * work * mean / 3600
        gain = rows[bench.ATTENTION]["ratio"]
        lines.append(
            f"On **{machine}** the trainer is {gain:.1f} times as fast as the textbook loop. On a "
            f"corpus of IEMOCAP's size, {table:,.0f} hours would be needed to train all networks "
            f"of the paper's Table 1, and {figure:,.0f} hours for those of its Fig. 2: both "
            "extrapolated from the rates above, neither run."
        )
    return Markdown("\n\n".join(lines))


def trained_with(*files: Path) -> Markdown | None:
    """Return how batch statistics were added up in the trainings of results files."""
    found = [*_runs(files)["statistics"].unique()]
    past = ", which were this library's before it had its own" * ("torch" in found)
    ways = " and ".join(IN_WORDS[name] for name in found)
    return Markdown(f"These were trained {ways}{past}.") if found else None


def compared(by: str, *files: Path) -> pd.DataFrame | None:
    """Return a comparison of poolings that were trained in two precisions, on the same folds.

    Args:
        by: the column of the folds that tells them apart, one of `NUMERICS`.
        files: of results; any may be missing.

    Returns:
        A row per pooling and score, with a column for each precision and seed, and the difference
        between the two on the folds that have both. None if no pooling has both.
    """
    new, old = NUMERICS[by]
    rows = []
    for (_, model), predictions in _runs(files).groupby(["preset", "variant"]):
        both = metrics.on_common_folds(predictions.assign(variant=predictions[by]), "variant")
        if both["variant"].nunique() < 2:
            continue
        columns = {
            f"{name}, seed {seed}": metrics.summary(of)
            for (name, seed), of in predictions.groupby([by, "seed"], sort=False)
        }
        for score in metrics.ACCURACIES:
            row = {"model": model, "score": score}
            row |= {name: metrics.format_intervals(of, score)[0] for name, of in columns.items()}
            moved = metrics.difference(both, new, old, score)
            row[f"{new} − {old}"] = metrics.format_interval(moved, sign="+")
            rows.append(row)
    return pd.DataFrame(rows) if rows else None


def gain(by: str, *files: Path) -> Markdown | None:
    """Return what attention gains over GAP in two kinds of training, on the folds that both have.

    None if the two poolings were not trained in both ways. The arguments are those of `compared`.
    """
    new, old = NUMERICS[by]
    pairs = _runs(files)
    pairs = pairs[pairs["variant"].isin(("attention", "gap"))]
    pairs = metrics.on_common_folds(pairs, "variant", by)
    of = {key: rows for key, rows in pairs.groupby([by, "variant"])}
    if len(of) < 4:
        return None
    sides = {
        new: ([of[new, "attention"]], [of[new, "gap"]]),
        old: ([of[old, "attention"]], [of[old, "gap"]]),
        "apart": ([of[new, "attention"], of[old, "gap"]], [of[new, "gap"], of[old, "attention"]]),
    }
    found = {}
    for name, (plus, minus) in sides.items():
        points = (metrics.contrast(plus, minus, score) for score in metrics.ACCURACIES)
        shown = (metrics.format_interval(each, sign="+") for each in points)
        found[name] = "{} points of WA and {} points of UA".format(*shown)
    corpus, preset = pairs[["corpus", "preset"]].iloc[0]
    seeds = wording.many(pairs["seed"].nunique(), "seed")
    return Markdown(
        f"Trained both ways (preset {preset}, {seeds}), attention − GAP on "
        f"{wording.title(corpus)} is {found[old]} {IN_WORDS[old]}, and {found[new]} "
        f"{IN_WORDS[new]}. The second minus the first is {found['apart']}."
    )


def _runs(files: Sequence[Path]) -> pd.DataFrame:
    """Return what results files hold of the poolings."""
    read = (results.read(path, study={"pooling"}) for path in files if path.is_file())
    found = [data.predictions for data in read if len(data.predictions)]
    return pd.concat(found) if found else pd.DataFrame(columns=["preset", "variant", *NUMERICS])
