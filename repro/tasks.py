"""The folds of a study as tasks: which there are, which are done, and which train alike.

A fold may stand in a results file under another study or variant: the default of `readings` is the
attention network of `pooling`, and leaving short utterances out of the test changes nothing but
whose scores count. What is trained alike would come out the same again, and is not trained twice.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from repro import crossval, recovery, results
from repro.config import Experiment, FrontEnd
from repro.corpora import corpus_hash

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
    return recovery.corpus_of(variant), experiment.protocol.labels


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
