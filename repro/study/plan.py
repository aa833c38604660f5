"""The folds of a study as tasks: which there are, which are done, and which train alike.

A fold may stand in a results file under another study or variant: the default of `readings` is the
attention network of `pooling`, and leaving short utterances out of the test changes nothing but
whose scores count. What is trained alike would come out the same again, and is not trained twice.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import compress
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import pandas as pd

from repro import crossval, results
from repro.config import Experiment, FrontEnd
from repro.corpora import corpus_hash, load_corpus
from repro.device import Precision, choose_precision
from repro.errors import NoSuchReadingError, ReproError
from repro.model import check_network
from repro.study import grids

Training = tuple[str, str, str, int]  # an experiment's key, a corpus's hash, a fold and a seed
Source = tuple[str | None, str]  # a corpus of the study's own, if any, and `protocol.labels`

# Ways with short utterances that train alike and differ in whose scores count.
SHORT_ALIKE = ("pad", "drop-test"), ("drop-training", "drop")


class Task(NamedTuple):
    """One fold to train."""

    heading: dict[str, Any]  # the start of its line in the results file
    experiment: Experiment
    fold: crossval.Fold

    @property
    def label(self) -> str:
        """Name the task for the progress bar."""
        return "{study} {variant}, {fold} held out, seed {seed}".format(**self.heading)


def plan(
    study: str,
    preset: str,
    grid: dict[str, Experiment],
    tables: dict[Source, pd.DataFrame],
    seeds: int,
) -> list[Task]:
    """Return every fold of every variant and seed of a study, seed by seed.

    Args:
        study: the study's name, for the results file.
        preset: the preset's name with its overrides, for the results file.
        grid: an experiment for each variant.
        tables: the corpus, by `source_of` the variants.
        seeds: how many seeds, counted from 0.
    """
    tasks = []
    for seed in range(seeds):
        for variant, experiment in grid.items():
            table = tables[source_of(variant, experiment)]
            corpus = {"name": table.attrs["corpus"], "hash": corpus_hash(table)}
            for fold in crossval.make_folds(table, experiment):
                heading = {
                    "key": experiment.key,
                    "study": study,
                    "variant": variant,
                    "preset": preset,
                    "experiment": asdict(experiment),
                    "corpus": corpus,
                    "fold": fold.held_out,
                    "seed": seed,
                }
                tasks.append(Task(heading, experiment, fold))
    return tasks


def missing(tasks: Sequence[Task], results_file: str | Path) -> list[Task]:
    """Return the tasks that a results file, which need not exist, does not hold."""
    if not os.path.exists(results_file):
        return list(tasks)
    done = {results.identity(record) for record in results.read_lines(results_file)}
    return [task for task in tasks if results.identity(task.heading) not in done]


def source_of(variant: str, experiment: Experiment) -> Source:
    """Return which table a variant is trained on; None stands for the corpus that is asked for."""
    return grids.corpus_of(variant), experiment.protocol.labels


def input_of(task: Task) -> tuple[Source, FrontEnd]:
    """Return what decides a task's features: the corpus, with its labels, and the front end."""
    return source_of(task.heading["variant"], task.experiment), task.experiment.front_end


def keeps_maps(task: Task) -> bool:
    """Tell whether a task's line also says where its network looks."""
    network, protocol = task.experiment.network, task.experiment.protocol
    # Scores of the best epoch are not those of the network that is left in the end.
    return (
        task.heading["study"] == "pooling"
        and network.pooling == "attention"
        and protocol.epoch == "last"
    )


def once_each(tasks: Sequence[Task]) -> list[list[Task]]:
    """Part the tasks so that those that train alike come one after another, as twins."""
    parts: list[list[Task]] = []
    seen: Counter[frozenset[Training]] = Counter()
    for task in tasks:
        same = frozenset(trained_alike(task))
        if seen[same] == len(parts):
            parts.append([])
        parts[seen[same]].append(task)
        seen[same] += 1
    return parts


def without_twins(
    tasks: Sequence[Task], tables: dict[Source, pd.DataFrame], results_file: str | Path
) -> list[Task]:
    """Return the tasks that have to be trained; give the others the numbers of their twins."""
    twins: dict[Training, dict[str, Any]] = {}
    if os.path.exists(results_file):
        twins = {training_of(record): record for record in results.read_lines(results_file)}
    left = []
    for task in tasks:
        table = tables[source_of(task.heading["variant"], task.experiment)]
        tested = set(table["utterance"].iloc[task.fold.test])
        alike = [twins[of] for of in trained_alike(task) if of in twins]
        twin = next((r for r in alike if tested <= set(r["predictions"]["utterance"])), None)
        if twin is None or keeps_maps(task):
            left.append(task)
            continue
        counts = [utterance in tested for utterance in twin["predictions"]["utterance"]]
        predictions = {k: list(compress(v, counts)) for k, v in twin["predictions"].items()}
        same = {name: twin[name] for name in ("history", "provenance")}
        results.append(results_file, task.heading | {"predictions": predictions} | same)
    return left


def training_of(heading: dict[str, Any]) -> Training:
    """Tell which training a fold is, whatever study it is of."""
    return heading["key"], heading["corpus"]["hash"], heading["fold"], heading["seed"]


def trained_alike(task: Task) -> set[Training]:
    """Return the trainings that give a task's network, as settings of the test may differ."""
    drops = task.experiment.front_end.short
    alike = next((pair for pair in SHORT_ALIKE if drops in pair), (drops,))
    if task.experiment.protocol.epoch != "last":  # who is tested decides which epoch counts
        alike = (drops,)
    return {
        training_of(task.heading | {"key": other.with_field("protocol.average", average).key})
        for other in (task.experiment.with_field("front_end.short", short) for short in alike)
        for average in ("pooled", "folds")
    }


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


def precision_of(tasks: Sequence[Task], results_file: str | Path, asked: str) -> Precision:
    """Return in which precision to train folds of which a results file may hold some.

    Folds are compared with each other, so all have that of the first: `auto` takes it.

    Raises:
        ReproError: another one is asked for, or one that is unknown.
    """
    chosen = choose_precision(asked)
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
    return choose_precision(theirs)


def _run_of(heading: dict[str, Any]) -> tuple[str, str, str]:
    return heading["study"], heading["preset"], heading["corpus"]["hash"]


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
    best = grids.best_readings(grid[grids.DEFAULT], means)
    for experiment in best.values():
        check_network(experiment.network)
    return best


# Progress

Progress = Callable[[str, int, int], None]  # what is training, epochs done, epochs in all


class Meter:
    """Count epochs over all tasks, so that a study has one progress and one time left."""

    def __init__(self, tasks: Sequence[Task], progress: Progress):
        self.total = sum(task.experiment.training.epochs for task in tasks)
        self.done = 0
        self.progress = progress

    def start(self, label: str) -> Callable[[int], None]:
        """Announce a task; the function returned is called after each of its epochs."""
        before = self.done
        self.progress(label, before, self.total)

        def on_epoch(epoch: int) -> None:
            self.done = before + epoch  # a fold that goes on does not begin with its first
            self.progress(label, self.done, self.total)

        return on_epoch


class LinePerFold:
    """Progress as plain text: a line on standard error when a fold begins, with the time left."""

    def __init__(self) -> None:
        self.begun = time.perf_counter()
        self.label = ""

    def __call__(self, label: str, done: int, total: int) -> None:
        """Print a line if a new fold begins."""
        if label == self.label:
            return
        self.label = label
        elapsed = time.perf_counter() - self.begun
        left = f", {elapsed / done * (total - done):.0f} s left" if done else ""
        print(f"{100 * done / total:3.0f}% {label}{left}", file=sys.stderr, flush=True)
