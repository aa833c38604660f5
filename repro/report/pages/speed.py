"""The page "How fast, and why": what `repro bench` measured, and how precision moves results."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown

from repro import paper, results
from repro.corpora import CORPORA
from repro.evidence import learning, metrics
from repro.report.pages import common, poolings, wording
from repro.results import Results
from repro.study import grids
from repro.study.grids import short_name
from repro.tools import bench

POOLINGS = "torch", "bf16", "pooling", "paper-bf16", "paper"  # files of results/emodb


def benchmarks(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what `repro bench --json` found on each machine, by the file's name."""
    found = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    return dict(sorted(found.items()))  # float32 before bfloat16


def measured(machines: dict[str, dict[str, Any]]) -> HTML | Markdown:
    """Return what was measured, in a table for each machine and precision.

    Of a machine that was measured in float32 as well, others leave out what has no share of the
    rate of matrix products, and so nothing to do with the precision.
    """
    if not machines:
        return Markdown("> Nothing has been measured yet: `repro bench --json`.")
    parts, of = [], [found["machine"] for found in machines.values()]
    in_fp32 = {machine["device"] for machine in of if machine["precision"] == "fp32"}
    for (name, found), machine in zip(machines.items(), of, strict=True):
        on = "{device}, {threads} threads, {precision}, torch {torch}".format(**machine)
        rows = shown = _shown(found)
        if machine["precision"] != "fp32" and machine["device"] in in_fp32:
            shown = rows[rows["share"].notna() | (rows["way"] == "torch")]
        parts.append(f"<p><b>{name}</b>: {on}</p>{common.table(shown, 2, whole=rows).data}")
    return HTML("".join(parts))


def _shown(found: dict[str, Any]) -> pd.DataFrame:
    rows = pd.DataFrame(found["rows"], columns=bench.COLUMNS)
    rows["low"] = [
        "–" if pd.isna(low) else f"{low:,.{high < 100:d}f} to {high:,.{high < 100:d}f}"
        for low, high in zip(rows["low"], rows["high"], strict=True)
    ]
    rows["error"] = ["–" if pd.isna(error) else _one_digit(error) for error in rows["error"]]
    return rows.drop(columns="high").rename(columns={"low": "middle half"})


def _one_digit(error: float) -> str:
    """Return a number to one digit that counts, such as 0.00004."""
    return np.format_float_positional(error, precision=1, fractional=False, trim="-")


def answer(machines: dict[str, dict[str, Any]]) -> Markdown:
    """Return how long the paper's tables take, extrapolated from the measured rates."""
    segments = CORPORA["iemocap"].training_segments
    work = segments * (paper.FOLDS - 1) * paper.EPOCHS  # of all folds of a network
    lines = [] if machines else ["Not known yet."]
    for found in machines.values():
        rows = {row["what"]: row for row in found["rows"] if row["way"] == bench.TRAINER}
        table = len(paper.TABLE_1) * work / rows[bench.ATTENTION]["value"] / 3600
        mean = statistics.mean(
            1 / rows[bench.ALONE.format(short_name(shape))]["value"] for shape in bench.SWEEP
        )
        figure = len(grids.variants("filter-shapes", "paper")) * work * mean / 3600
        gain = rows[bench.ATTENTION]["ratio"]
        on = "**{device}** ({threads} threads, {precision})".format(**found["machine"])
        lines.append(
            f"On {on} the trainer is {gain:.1f} times as fast as the textbook loop. On a "
            f"corpus of IEMOCAP's size, {table:,.0f} hours would be needed to train all networks "
            f"of the paper's Table 1, and {figure:,.0f} hours for those of its Fig. 2: both "
            "extrapolated from the rates below, neither run. The relative error of a training "
            f"step's gradients is {_one_digit(rows[bench.ATTENTION]['error'])}."
        )
    return Markdown("\n\n".join(lines))


def compared(by: str, new: str, old: str, *files: Path) -> pd.DataFrame | None:
    """Return a comparison of poolings that were trained in two ways, on the same folds.

    Args:
        by: the column of the folds that tells the ways apart, `precision` or `statistics`.
        new: what it says of one way.
        old: what it says of the other, from which differences are taken.
        files: of results; any may be missing.

    Returns:
        A row per score of each pooling, and of what attention gains over GAP, with a column for
        each way and seed, and the difference between the ways on the folds that have both. None if
        nothing was trained in both.
    """
    rows = []
    for _, run in _poolings(files).predictions.groupby("preset"):
        for model, sides in poolings.SIDES.items():
            names = sum(sides, ())
            of_model = run[run["variant"].isin(names)]
            both = _complete(of_model, 2 * len(names), "variant", by)
            if both.empty:
                continue
            how = ["precision", "statistics", "seed"]
            ways = {
                "{}, {}, seed {}".format(*way): found
                for way, of in of_model.groupby(how, sort=False)
                if len(found := _complete(of, len(names), "variant"))
            }
            one, other = (both[both[by] == way] for way in (new, old))
            for score in metrics.ACCURACIES:
                row = {"model": model, "score": score}
                for name, of in ways.items():
                    points = metrics.contrast(*poolings.on_sides(of, sides), score)
                    row[name] = metrics.format_interval(points, sign="+" if sides[1] else "-")
                points = poolings.moved(one, other, sides, score)
                row[f"{new} − {old}"] = metrics.format_interval(points, sign="+")
                rows.append(row)
    return pd.DataFrame(rows).fillna("–") if rows else None


def durations(*files: Path) -> pd.DataFrame | None:
    """Return how many minutes a fold of the poolings took, by device and settings: the median."""
    found = _poolings(files).folds
    if found.empty:
        return None
    by = ["preset", "variant", "device", "threads", "precision", "statistics"]
    seconds = found.groupby(by, sort=False)["seconds"]
    took = (seconds.median() / 60).round(1).rename("minutes a fold").reset_index()
    return took.rename(columns={"variant": "pooling"})


def on_iemocap(*files: Path) -> Markdown | None:
    """Return how long the paper's Table 1 would take on IEMOCAP at the rate of a GPU's folds."""
    found = _poolings(files).folds.query("statistics == 'cudnn' and preset == 'paper'")
    if found.empty:
        return None
    steps = [learning.steps(of.corpus, of.experiment) for of in found.itertuples()]
    per_step = (found["seconds"] / steps).median()
    theirs = learning.steps("iemocap", learning.AS_IN_THE_PAPER)
    hours = len(paper.TABLE_1) * paper.FOLDS * theirs * per_step / 3600
    return Markdown(
        f"The paper's Table 1 on IEMOCAP is {len(paper.TABLE_1) * paper.FOLDS} folds of about "
        f"{theirs:,.0f} steps. At the median rate of the folds under `paper` on "
        f"{wording.listed(found['device'].unique())} ({wording.listed(found['variant'].unique())}) "
        f"they would take {hours:.1f} hours of folds: extrapolated, not run."
    )


def _complete(predictions: pd.DataFrame, groups: int, *by: str) -> pd.DataFrame:
    """Return `metrics.on_common_folds`; nothing if there are fewer groups by these columns."""
    there = predictions.groupby(list(by)).ngroups == groups
    return metrics.on_common_folds(predictions, *by) if there else predictions.iloc[:0]


def _poolings(files: Sequence[Path]) -> Results:
    """Return what results files hold of the poolings; any may be missing."""
    lines = (line for path in files if path.is_file() for line in results.read_lines(path))
    return results.tables(lines, study={"pooling"})
