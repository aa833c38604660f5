"""How far a study is: epochs over all of its folds, told to whoever shows it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from repro.tasks import Task

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
