"""The loop that fills a results file with the folds of a study."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import pandas as pd
import torch

from repro import crossval, results
from repro.config import Experiment
from repro.corpora.check import remarks
from repro.device import Precision, choose_device
from repro.errors import ReproError, warn
from repro.results import files
from repro.study import checkpoint, grids
from repro.study.fold import fit_baselines, run_task
from repro.study.plan import (
    LinePerFold,
    Meter,
    Progress,
    Source,
    Task,
    applicable,
    check_options,
    input_of,
    missing,
    once_each,
    plan,
    precision_of,
    second_stage,
    without_twins,
)


def run(
    study: str,
    *,
    corpus: str = "synthetic",
    root: str | Path | None = None,
    preset: str = "smoke",
    results_file: str | Path,
    device: str = "auto",
    precision: str = "auto",
    seeds: int = 1,
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
    only: str | None = None,
    ray: str | None = None,
    gpus_per_fold: float | None = None,
) -> int:
    """Train every fold of a study that the results file does not hold yet.

    Args:
        study: one of `STUDIES`.
        corpus: name of the corpus; `root` is its folder, unless it is the built-in one. The study
            `recovery` has corpora of its own and takes neither.
        root: see `corpus`.
        preset: one of `config.PRESETS`.
        results_file: JSON Lines file to append to; a killed run goes on from what it holds.
        device: `cpu`, `cuda`, or `auto`: a GPU if torch can use one.
        precision: `fp32`, `bf16`, or `auto`: that of the folds which the file holds already; if it
            holds none, float32.
        seeds: how many seeds, counted from 0.
        overrides: `FIELD=VALUE` texts that change the preset.
        progress: called as a fold begins and after each of its epochs, with the fold's label, the
            epochs done and the epochs in all (on a cluster, as each fold comes back; of
            `baselines`, folds are counted); by default a line on standard error for each fold.
        only: train this variant and no other.
        ray: spread the folds over this cluster, see `cluster.run`; by default they run here.
        gpus_per_fold: on a cluster, the share of a GPU that a fold gets; by default a quarter.

    Returns:
        How many folds were trained.

    Raises:
        ReproError: something in the corpus, the settings or the results file is wrong; or, after
            all others were trained, folds that could not be.
    """
    check_options(study, corpus, root, ray, gpus_per_fold)
    results_file = Path(results_file)
    if os.path.exists(results_file):
        with files.locked(results_file):
            pass  # a second run is refused here, before the corpus is read
    if ray:
        from repro.study import (
            cluster,  # which imports this module: its workers run the same tasks
        )

        cluster.require_ray()
    where = choose_device("cpu" if ray else device)  # the workers choose for themselves
    grid = grids.variants(study, preset, overrides)
    if only is not None:
        grid = {only: grid[only]}
    grid, tables, refused = applicable(grid, corpus, root)
    if refused:
        reasons = "; ".join(f"{variant} ({reason})" for variant, reason in refused.items())
        print(f"left out, as {corpus} has no such reading: {reasons}", file=sys.stderr, flush=True)
    name = ", ".join([preset, *overrides])
    planned = [] if study == "baselines" else plan(study, name, grid, tables, seeds)
    failed: list[str] = []
    unseen = dict(tables)  # whose sound files are still to be looked at

    def train(grid: dict[str, Experiment], how: Precision) -> int:
        tasks = missing(plan(study, name, grid, tables, seeds), results_file)
        if tasks:
            results.require_writable(results_file)
            for remark in remarks(unseen):
                warn(remark)
            unseen.clear()
        discard_finished(results_file)
        report = progress or LinePerFold()
        if study == "baselines":
            return fit_baselines(tasks, tables, results_file, report)
        trained = 0
        for part in once_each(tasks):
            part = without_twins(part, tables, results_file)
            if not part:  # no cluster need be reached for nothing
                continue
            before = len(failed)
            if ray:
                cluster.run(
                    ray,
                    part,
                    tables,
                    results_file,
                    device=device,
                    precision=how,
                    gpus_per_fold=gpus_per_fold,
                    progress=report,
                    failed=failed,
                )
            else:
                _train_here(part, tables, results_file, where, how, report, failed)
            trained += len(part) - (len(failed) - before)
        return trained

    with files.locked(results_file):
        how = precision_of(planned, results_file, precision)
        trained = train(grid, how)
        if only is None:
            trained += train(second_stage(study, grid, tables, results_file), how)
    if failed:
        others = f"; {len(failed) - 1} more failed" if failed[1:] else ""
        raise ReproError(f"{failed[0]}{others}; every other fold is in {results_file}")
    return trained


def _train_here(
    tasks: Sequence[Task],
    tables: dict[Source, pd.DataFrame],
    results_file: Path,
    device: torch.device,
    precision: Precision,
    progress: Progress,
    failed: list[str],
) -> None:
    """Train folds one after another in this process, and append each to the results file.

    A fold that cannot be trained, as when its loss diverges, would fail again, and the others do
    not wait for it: what was wrong is added to `failed`.
    """
    meter = Meter(tasks, progress)
    for (source, front_end), group in groupby(tasks, input_of):
        features = crossval.extract(tables[source], front_end, device)
        for task in group:
            partial = checkpoint.path_of(results_file, results.identity(task.heading))
            on_epoch = meter.start(task.label)
            try:
                record = run_task(task, features, device, precision, on_epoch, partial)
            except ReproError as error:
                failed.append(str(error))
                continue
            results.append(results_file, record)
            checkpoint.discard(partial)
        del features  # the next ones need the room


def discard_finished(results_file: Path) -> None:
    """Remove the checkpoint of a fold whose run was killed right after its line was written."""
    if os.path.exists(f"{results_file}.partial"):
        for record in results.read_lines(results_file):
            checkpoint.discard(checkpoint.path_of(results_file, results.identity(record)))
