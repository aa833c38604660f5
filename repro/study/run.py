"""The loop that fills a results file with the folds of a study."""

import os
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import groupby
from pathlib import Path

import torch

from repro import files, results
from repro.corpora import name_of
from repro.corpora.check import remarks
from repro.device import Precision, choose_device
from repro.errors import ReproError, warn
from repro.study import checkpoint, fold
from repro.study.grids import ignored
from repro.study.ledger import Ledger, Record, open_ledger
from repro.study.plan import Plan, Progress, Run, Task, missing, prepare

# Each fold as it ends, with its line of the results file or why it could not be trained.
Finished = Generator[tuple[Task, Record | ReproError], None, None]
Train = Callable[[Plan, Sequence[Task], Ledger, Precision, Progress], Finished]


def run(asked: Run, progress: Progress | None = None) -> int:
    """Train every fold of a study that its results file does not hold yet; return how many.

    Args:
        asked: what to train.
        progress: called as a fold begins and after each of its epochs, with the fold's label, the
            epochs done and the epochs in all (on a cluster, as each fold comes back); by default a
            line on standard error for each fold.

    Raises:
        ReproError: something in the corpus, the settings or the results file is wrong; or, after
            all others were trained, folds that could not be.
    """
    path = asked.file
    train: Train
    if asked.ray:
        from repro.study import cluster

        cluster.require_ray()
        train = cluster.train  # whose workers choose their devices
    else:
        train = partial(_train_here, choose_device(asked.device))
    with files.locked(path):
        plan = prepare(asked)
        if plan.refused:
            reasons = "; ".join(f"{name} ({reason})" for name, reason in plan.refused.items())
            corpus = name_of(asked.corpus)
            print(f"left out, as {corpus} has no such reading: {reasons}", file=sys.stderr)
        held = open_ledger(path)
        _discard_finished(path, held)
        first, before = plan.tasks(), len(held.records)
        precision = plan.precision(first, held)
        failed: list[str] = []
        diverged: list[str] = []
        told = False
        for stage in _stages(first, plan, held):
            tasks = missing(stage, held)
            if not tasks:  # no cluster need be reached for nothing
                continue
            if not told:
                results.require_writable(path)
                for remark in remarks(plan.tables):
                    warn(remark)
                for change in ignored(asked.study, asked.preset, plan.grid.values()):
                    warn(f"{asked.study} ignores --set {change}: it sets this, or needs it not")
                told = True
            trained = train(plan, tasks, held, precision, progress or line_per_fold())
            with closing(trained):  # what trains stops at once if a line cannot be written
                for task, line in trained:
                    if isinstance(line, ReproError):
                        failed.append(str(line))
                        del line  # whose traceback holds tensors: the next fold needs the room
                        continue
                    if results.has_diverged(line):
                        diverged.append(task.label)
                    results.append(path, line)
                    held.add(line)
                    checkpoint.discard(checkpoint.path_of(path, results.identity(task.heading)))
    if diverged:
        others = f", and {len(diverged) - 1} more" if diverged[1:] else ""
        warn(
            f"{diverged[0]}{others}: training diverged, so that there are no scores; lower "
            "training.learning_rate"
        )
    if failed:
        others = f"; {len(failed) - 1} more failed" if failed[1:] else ""
        raise ReproError(f"{failed[0]}{others}; every other fold is in {path}")
    return len(held.records) - before


def _stages(first: list[Task], plan: Plan, held: Ledger) -> Iterator[list[Task]]:
    """Give a study's first folds; once all have been tried, those that it decides on by them."""
    yield first
    found = plan.second_stage(held, tried=True)
    if found and (without := plan.grid.keys() - plan.losses(held).keys()):
        names = ", ".join(sorted(without))
        warn(f"{found[0].name}: chosen without {names}, which could not be trained")
    yield plan.tasks(found)


def _train_here(
    device: torch.device,
    plan: Plan,
    tasks: Sequence[Task],
    held: Ledger,
    precision: Precision,
    progress: Progress,
) -> Finished:
    """Train folds one after another in this process.

    The others do not wait for a fold that cannot be trained, as when memory is short.
    """
    plan.require_statistics(held, device)
    done, total = 0, sum(task.epochs for task in tasks)
    for _, group in groupby(tasks, lambda task: task.inputs):
        alike = list(group)
        shared = fold.inputs(alike[0], device)
        for task in alike:

            def on_epoch(epoch: int, label: str = task.label, before: int = done) -> None:
                progress(label, before + epoch, total)

            on_epoch(0)
            kept = checkpoint.path_of(plan.run.file, results.identity(task.heading))
            try:
                yield task, fold.run_task(task, shared, device, precision, on_epoch, kept)
            except ReproError as error:
                yield task, error
            done += task.epochs
        del shared  # the next ones need the room


def _discard_finished(path: Path, held: Ledger) -> None:
    """Remove the checkpoint of a fold whose run was killed right after its line was written."""
    if os.path.exists(f"{path}.partial"):
        for record in held.records:
            checkpoint.discard(checkpoint.path_of(path, results.identity(record)))


def line_per_fold() -> Progress:
    """Return what prints a line on standard error when a fold begins, with the time left."""
    begun, shown = time.perf_counter(), ""

    def report(label: str, done: int, total: int) -> None:
        nonlocal shown
        if label != shown:
            shown, elapsed = label, time.perf_counter() - begun
            left = f", {elapsed / done * (total - done):.0f} s left" if done else ""
            print(f"{100 * done / total:3.0f}% {label}{left}", file=sys.stderr, flush=True)

    return report
