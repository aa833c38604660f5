"""The grids of the paper's experiments, and the loop that fills a results file with their folds.

`filter-shapes`
    one stem of one shape, GAP (Section 3.2, Fig. 2)
`pooling`
    the full network under its three poolings (Section 3.3, Table 1)
`readings`
    one change at a time of what the paper leaves open, then the best together
`protocol`
    one change at a time of how speakers, epochs and utterances are chosen (Section 3.1)
`recovery`
    the sweep of Fig. 2 over signals in which the right answer is planted (Section 3.2)
`baselines`
    no network: the commonest emotion, and a plain classifier of prosody and spectrum
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from repro import (
    attention,
    baselines,
    changes,
    checkpoint,
    config,
    crossval,
    files,
    paper,
    recovery,
    results,
    trainer,
)
from repro.config import Experiment, Shape
from repro.corpora import BUILT_IN, corpus_hash, load_corpus
from repro.corpora.check import remarks
from repro.errors import NoResultsError, NoSuchReadingError, ReproError, warn
from repro.model import SpeechEmotionNetwork, check_network
from repro.progress import LinePerFold, Meter, Progress
from repro.provenance import lasting, made_by
from repro.tasks import (
    Source,
    Task,
    input_of,
    keeps_maps,
    missing,
    once_each,
    plan,
    source_of,
    training_of,
    without_twins,
)

# Heights at the fixed width and widths at the fixed height.
SWEEPS = {
    "smoke": ((2, 10), (2, 8)),
    "demo": ((2, 10, 40), (2, 8, 30)),
    "coarse": ((2, 10, 40, 100), (2, 8, 30, 80)),
    "quick": ((2, 10, 40, 100), (2, 8, 30, 80)),
    "paper": (paper.SWEEP_HEIGHTS, paper.SWEEP_WIDTHS),
}


def filter_shapes(preset: str, base: Experiment) -> dict[str, Experiment]:
    """One stem of 16 channels, no trunk, GAP: heights at width 2, then widths at height 2.

    Where a preset lets Conv1 skip positions, it skips no more than the smallest filter covers: if
    it did, a larger filter would be better for seeing rows or frames that a smaller one never sees.
    """
    heights, widths = SWEEPS[preset]
    stride = base.network.stride
    if preset not in config.SHOWCASES:
        stride = min(stride[0], paper.SWEEP_FIXED), min(stride[1], paper.SWEEP_FIXED)
    shapes: list[Shape] = [(h, paper.SWEEP_FIXED) for h in heights]
    shapes += [(paper.SWEEP_FIXED, w) for w in widths]
    return {
        f"{height}x{width}": replace(
            base,
            network=replace(
                base.network,
                pooling="gap",
                stems=((height, width),),
                stem_channels=paper.SWEEP_CHANNELS,
                trunk=(),
                stride=stride,
            ),
        )
        for height, width in shapes
    }


STUDIES: dict[str, Callable[[str, Experiment], dict[str, Experiment]]] = {
    "filter-shapes": filter_shapes,
    "pooling": lambda _, base: changes.poolings(base),
    "readings": changes.readings,
    "protocol": changes.protocol,
    "recovery": recovery.grid,
    "baselines": baselines.grid,
}


def variants(study: str, preset: str, overrides: Sequence[str] = ()) -> dict[str, Experiment]:
    """Return what a study compares: an experiment for each variant, by name.

    Raises:
        ReproError: there is no such study or preset, or an override does not fit.
    """
    if study not in STUDIES:
        raise ReproError(f"no study {study!r}: choose one of {', '.join(STUDIES)}")

    def changed(experiment: Experiment) -> Experiment:
        for assignment in overrides:
            experiment = experiment.override(assignment)
        return experiment

    grid = STUDIES[study](preset, changed(config.preset(preset)))
    if study == "recovery":  # which sets training and folds itself
        grid = {variant: changed(experiment) for variant, experiment in grid.items()}
    if study != "baselines":
        for variant in grid.values():
            check_network(variant.network)
    return grid


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
        from repro import cluster  # which imports this module: its workers run the same tasks

        cluster.require_ray()
    where = trainer.choose_device("cpu" if ray else device)  # the workers choose for themselves
    grid = variants(study, preset, overrides)
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

    def train(grid: dict[str, Experiment], how: trainer.Precision) -> int:
        tasks = missing(plan(study, name, grid, tables, seeds), results_file)
        if tasks:
            results.require_writable(results_file)
            for remark in remarks(unseen):
                warn(remark)
            unseen.clear()
        checkpoint.discard_finished(results_file)
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


def check_options(
    study: str,
    corpus: str,
    root: str | Path | None,
    ray: str | None = None,
    gpus_per_fold: float | None = None,
) -> None:
    """Refuse what a run would have to ignore; the arguments are those of `run`.

    Raises:
        ReproError: the study has no use for one of them, or the run is not on a cluster.
    """
    if study == "recovery" and (corpus != "synthetic" or root is not None):
        raise ReproError("recovery makes signals of its own: omit --corpus and --root")
    if study == "baselines" and ray:
        raise ReproError("baselines take a minute on one machine: omit --ray")
    if gpus_per_fold is not None and not ray:
        raise ReproError("--gpus-per-fold shares out the GPUs of a Ray cluster: give --ray as well")


def precision_of(tasks: Sequence[Task], results_file: str | Path, asked: str) -> trainer.Precision:
    """Return in which precision to train folds of which a results file may hold some.

    Folds are compared with each other, so all have that of the first: `auto` takes it.

    Raises:
        ReproError: another one is asked for, or one that is unknown.
    """
    chosen = trainer.choose_precision(asked)
    if not os.path.exists(results_file):
        return chosen
    runs, trainings = (
        {of(task.heading) for task in tasks} for of in (_run_of, lambda r: training_of(r)[:2])
    )
    held = {
        record["provenance"]["precision"]
        for record in results.read_lines(results_file)
        if _run_of(record) in runs or training_of(record)[:2] in trainings
    }
    if len(held) != 1 or chosen in held:
        return chosen
    [theirs] = held
    if asked != "auto":
        raise ReproError(
            f"{results_file}: holds folds of this study that were trained in {theirs}: go on with "
            f"--precision {theirs}, or name another file for {asked}"
        )
    return trainer.choose_precision(theirs)


def _run_of(heading: dict[str, Any]) -> tuple[str, str, str]:
    return heading["study"], heading["preset"], heading["corpus"]["hash"]


def _train_here(
    tasks: Sequence[Task],
    tables: dict[Source, pd.DataFrame],
    results_file: Path,
    device: torch.device,
    precision: trainer.Precision,
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


def applicable(
    grid: dict[str, Experiment], corpus: str, root: str | Path | None
) -> tuple[dict[str, Experiment], dict[Source, pd.DataFrame], dict[str, str]]:
    """Read a corpus and keep the variants that it can be split and labelled for.

    Returns:
        The grid without variants that the corpus refuses; the corpus, by `source_of` the variants;
        and why, by name, the others were refused.

    Raises:
        ReproError: the corpus refuses the first variant, on which a study stands.
    """
    kept: dict[str, Experiment] = {}
    tables: dict[Source, pd.DataFrame] = {}
    refused: dict[str, str] = {}
    for variant, experiment in grid.items():
        own, labels = source = source_of(variant, experiment)
        try:
            if source not in tables:
                tables[source] = load_corpus(own or corpus, None if own else root, labels=labels)
            crossval.make_folds(tables[source], experiment)
            kept[variant] = experiment
        except NoSuchReadingError as reason:
            if not kept:
                raise
            refused[variant] = str(reason)
    return kept, tables, refused


def second_stage(
    study: str,
    grid: dict[str, Experiment],
    tables: dict[Source, pd.DataFrame],
    results_file: str | Path,
) -> dict[str, Experiment]:
    """Return the variants that a study decides on by the training losses of its others.

    Only `readings` has any, and only when the results file holds the first seed of the others.
    """
    first = plan(study, "", grid, tables, seeds=1) if study == "readings" else []
    if not first or missing(first, results_file):
        return {}
    losses: dict[str, list[float]] = {variant: [] for variant in grid}
    history = {results.identity(r): r["history"] for r in results.read_lines(results_file)}
    for task in first:
        losses[task.heading["variant"]].append(history[results.identity(task.heading)][-1])
    means = {variant: fmean(each) for variant, each in losses.items()}
    best = changes.best_readings(grid[changes.DEFAULT], means)
    for experiment in best.values():
        check_network(experiment.network)
    return best


def read(
    study: str, *, corpus: str, root: str | Path | None, preset: str, results_file: str | Path
) -> results.Results:
    """Read from a results file what `run` with these arguments trains.

    A file may also hold other studies, other settings, and earlier states of the corpus. Equal
    settings that were trained under the name of another preset are the same experiment: here they
    have the name that is asked for.

    Raises:
        ReproError: the corpus or the results file cannot be read.
    """
    grid, tables, _ = applicable(variants(study, preset), corpus, root)
    grid |= second_stage(study, grid, tables, results_file)
    found = results.read(
        results_file,
        study={study},
        key={experiment.key for experiment in grid.values()},
        corpus_hash={corpus_hash(table) for table in tables.values()},
    )
    return results.Results(*(t if t.empty else t.assign(preset=preset) for t in found))


def collect(
    study: str,
    *,
    corpus: str,
    root: str | Path | None,
    preset: str,
    results_file: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    seeds: int = 1,
    only: str | None = None,
) -> results.Results:
    """Give a study's results: train what is missing, and read them.

    A corpus that needs a folder and has none (`root` is None) is not at hand: then what the results
    file holds under the name of the preset is all there is, finished or not. Without a results
    file, results go to a folder that is removed again. The other arguments are those of `run`.

    Raises:
        NoResultsError: the corpus is not at hand, and the file holds no fold of the study.
        ReproError: something in the corpus, the settings or the results file is wrong; or, without
            the corpus, the file holds the study on two states of it or with two settings.
    """
    with tempfile.TemporaryDirectory() as folder:
        if results_file is None or at_hand(corpus, root):
            if study == "recovery":
                corpus, root = "synthetic", None
            results_file = results_file or Path(folder) / "results.jsonl"
            run(
                study,
                corpus=corpus,
                root=root,
                preset=preset,
                results_file=results_file,
                device=device,
                precision=precision,
                seeds=seeds,
                only=only,
            )
        found = held(study, corpus=corpus, root=root, preset=preset, results_file=results_file)
    return found if only is None else found.where(variant=only)


def at_hand(corpus: str, root: str | Path | None) -> bool:
    """Tell whether a corpus can be read: it is built in, or its folder is named."""
    return corpus in BUILT_IN or root is not None


def held(
    study: str, *, corpus: str, root: str | Path | None, preset: str, results_file: str | Path
) -> results.Results:
    """Give what a results file holds of a study, as `collect` does, but train nothing.

    Raises:
        NoResultsError: the corpus is not at hand, and the file holds no fold of the study.
        ReproError: the corpus or the results file cannot be read; or, without the corpus, the file
            holds the study on two states of it or with two settings.
    """
    if at_hand(corpus, root):
        return read(study, corpus=corpus, root=root, preset=preset, results_file=results_file)
    return _read_alone(study, corpus, preset, Path(results_file))


def _read_alone(study: str, corpus: str, preset: str, results_file: Path) -> results.Results:
    """Read a study from a results file where its corpus is not at hand to compare with."""
    wanted: dict[str, set[str]] = {"study": {study}, "preset": {preset}}
    if study != "recovery":  # which has corpora of its own
        wanted["corpus"] = {corpus}
    found = results.read(results_file, **wanted) if os.path.exists(results_file) else None
    if found is None or found.folds.empty:
        on, options = f" on {corpus}", f" --corpus {corpus} --root DIR"
        if study == "recovery":
            on = options = ""
        command = f"`repro run {study}{options} --preset {preset} --results {study}.jsonl`"
        raise NoResultsError(
            f"The study `{study}` has not been run{on} with the preset `{preset}`: {command} runs "
            f"it, and `repro results merge` puts it together with {results_file}"
        )
    labels = [each["protocol"]["labels"] for each in found.folds["experiment"]]
    folds = found.folds.assign(labels=labels)
    for what, run in (("corpus_hash", ["corpus", "labels"]), ("key", ["corpus", "variant"])):
        if (folds.groupby(run)[what].nunique() > 1).any():
            mixed = "states of the corpus" if what == "corpus_hash" else "settings of one variant"
            raise ReproError(
                f"{results_file}: {study}, {preset}, holds folds of several {mixed}; move those "
                "that should not count out of the file"
            )
    return found


def run_task(
    task: Task,
    features: crossval.Features,
    device: torch.device,
    precision: trainer.Precision,
    on_epoch: Callable[[int], None] | None = None,
    partial: Path | None = None,
) -> dict[str, Any]:
    """Train and test one fold and return its line of the results file.

    With a path for its checkpoint, `partial`, a fold that was interrupted goes on from there.

    Raises:
        ReproError: training diverged, or memory is short; the fold is named.
    """
    start = time.perf_counter()
    kept = _checkpoint(task, device, precision, partial) if partial else None
    seen: dict[str, Any] = {}

    def look(
        network: SpeechEmotionNetwork, test: Iterator[Tensor], predictions: pd.DataFrame
    ) -> None:
        waveforms = [features.waveform(int(row)) for row in task.fold.test]
        seen["attention"] = attention.measure(network, test, waveforms, predictions, device)

    try:
        with trainer.enough_memory(device, "training"):
            history, predictions = crossval.run_fold(
                features,
                task.fold,
                task.experiment,
                seed=task.heading["seed"],
                device=device,
                precision=precision,
                on_epoch=on_epoch,
                checkpoint=kept,
                on_scored=look if keeps_maps(task) else None,
            )
    except ReproError as error:
        raise ReproError(f"{task.label}: {error}") from error
    seconds = kept.seconds if kept else time.perf_counter() - start
    return task.heading | {
        "history": [round(loss, 6) for loss in history],
        "predictions": predictions.round(6).to_dict("list"),
        "provenance": made_by(device, precision, seconds),
        **seen,
    }


def fit_baselines(
    tasks: Sequence[Task],
    tables: dict[Source, pd.DataFrame],
    results_file: str | Path,
    progress: Progress,
) -> int:
    """Fit the systems without a network and append their lines; return how many."""
    features: dict[Source, np.ndarray] = {}
    for done, task in enumerate(tasks):
        progress(task.label, done, len(tasks))
        start = time.perf_counter()
        source, _ = input_of(task)
        variant = task.heading["variant"]
        if source not in features and variant != baselines.MAJORITY:
            features[source] = baselines.functionals(tables[source])
        predictions = baselines.predict(variant, tables[source], features.get(source), task.fold)
        seconds = time.perf_counter() - start
        record = {
            "history": [],
            "predictions": predictions.round(6).to_dict("list"),
            "provenance": made_by(torch.device("cpu"), "fp64", seconds),
        }
        results.append(results_file, task.heading | record)
    return len(tasks)


def _checkpoint(
    task: Task, device: torch.device, precision: str, path: Path
) -> checkpoint.Checkpoint:
    """Give the checkpoint of a fold: of use only where its line would say the same provenance."""
    fold = {"fold": list(results.identity(task.heading))}
    return checkpoint.Checkpoint(path, lasting(device, precision) | fold)
