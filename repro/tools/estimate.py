"""What a run would train, and what it would cost on this machine: time and memory.

Nothing of what is done here is kept. Each distinct network takes a few steps and predicts once, on
noise of the size of its input. The rest is counting: folds, epochs, segments.
"""

import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import pandas as pd
import torch
from rich.filesize import decimal

from repro import crossval, paper, results, spectrogram, trainer
from repro.config import Experiment, FrontEnd, Network
from repro.device import Precision, choose_device, enough_memory, ready_to_train
from repro.results.provenance import made_by
from repro.study.grids import BEST, STUDIES
from repro.study.ledger import Ledger, open_ledger
from repro.study.plan import Run, Task, missing, prepare

SEGMENT_BYTES = 4 * paper.BINS * paper.FRAMES  # float32
ANY_SCORES: dict[str, list[Any]] = {n: [] for n in (*paper.EMOTIONS, *results.COUNTED)}
ENOUGH = 0.5  # seconds of training to measure, unless one step takes longer


class Cost(NamedTuple):
    """A study, and its folds of all variants and seeds.

    Done is what needs no training: the results file holds it, or another of these studies trains
    the same network. What has no network (`baselines`) takes no time worth measuring.
    """

    study: str
    variants: int  # how many
    folds: int
    done: int  # of these
    left: int  # of these
    seconds: float  # that the rest takes


@dataclass(frozen=True)
class Estimate:
    """What some studies would train, and what it would take."""

    rows: list[Cost]  # one for each study
    memory: int  # bytes on the device, at the most
    left_out: dict[str, str]  # variants that are not counted, and why
    device: str  # its name, and the precision, or both where the studies are not all in one
    memory_there: int  # bytes that the device has in all; 0 if the system does not say

    def text(self) -> str:
        """Return it as a few lines of text."""
        table = pd.DataFrame(self.rows).set_index("study")
        if len(table) > 1:
            table.loc["all"] = table.sum()
        table["time"] = table.pop("seconds").map(duration)
        table = table.rename(columns={"done": "held or shared", "left": "to train"})
        lines = [
            table.rename_axis(None).to_string(),
            f"{self.device}: {decimal(self.memory)} of memory ({decimal(self.memory_there)} there)",
        ]
        lines += [f"left out: {variant} ({reason})" for variant, reason in self.left_out.items()]
        return "\n".join([*lines, "nothing was trained"])


def survey(runs: Sequence[Run], say: Callable[[str], object] = lambda _: None) -> Estimate:
    """Return what is missing of some studies, and what it would take, measured here.

    Args:
        runs: what would run, in this order, into one results file; it need not exist, and is only
            read.
        say: called with a line about what is being measured; by default nobody is told.

    Raises:
        ReproError: something in the corpus, the settings or the results file is wrong.
    """
    where = choose_device(runs[0].device)
    meters: dict[Precision, Meter] = {}
    held = open_ledger(runs[0].file)
    planned = Ledger(held.records)
    rows, memory = [], 0
    left_out: dict[str, str] = {}
    for run in runs:
        plan = prepare(run)
        left_out |= plan.refused
        tasks = plan.tasks()
        how = plan.precision(tasks, held)
        meter = meters.setdefault(how, Meter(where, how, say))
        second = plan.second_stage(held)
        tasks += plan.tasks(second)
        left = missing(tasks, planned)
        if left and STUDIES[run.study].second and not (second or run.only):
            left_out[BEST] = "chosen once the others are trained"
        networks = [task for task in left if not task.variant.system]
        if networks:
            plan.require_statistics(held, where)
        folds, variants = len(tasks), len({task.variant.name for task in tasks})
        costs = [meter.cost(task) for task in networks]
        seconds, memory = sum((s for s, _ in costs), 0.0), max([memory, *(m for _, m in costs)])
        rows.append(Cost(run.study, variants, folds, folds - len(left), len(left), seconds))
        for task in left:  # which a later study need not train again
            maps = {"attention": None} if task.variant.attends else {}
            planned.add(task.heading | {"predictions": ANY_SCORES} | maps)
    device = "{device}, {precision}".format(**made_by(where, " and ".join(meters), 0.0))
    return Estimate(rows, memory, left_out, device, _memory_of(where))


class Speed(NamedTuple):
    """What a network takes: seconds for a segment, bytes to compute with, and for each segment."""

    train: float
    predict: float
    memory: int
    precomputed: int


class Meter:
    """Measures each network once, and multiplies."""

    def __init__(self, device: torch.device, precision: Precision, say: Callable[[str], object]):
        self.device, self.precision, self.say = device, precision, say
        self.speeds: dict[tuple[Network, int], Speed] = {}

    def cost(self, task: Task) -> tuple[float, int]:
        """Return the seconds and, on the device, the bytes that a task takes.

        To read the corpus takes little time. It lies on the device as segments, with what is
        precomputed of them, beside what the network computes with.
        """
        train, test = _segments(task)
        speed, experiment = self.speed(task, train), task.experiment
        epochs = experiment.training.epochs
        scored = 1 if experiment.protocol.epoch == "last" else epochs
        corpus = _count(task.table["samples"], paper.TRAIN_HOP_SECONDS, experiment.front_end)
        seconds = speed.train * train * epochs + speed.predict * test * scored
        return seconds, speed.memory + (SEGMENT_BYTES + speed.precomputed) * corpus

    def speed(self, task: Task, segments: int) -> Speed:
        """Return what a task's network takes, measured once with batches of its size."""
        batch = task.experiment.training.batch_size
        key = task.experiment.network, batch
        if key not in self.speeds:
            self.say("measuring {study} {variant}".format(**task.heading))
            size = min(batch, segments)
            with enough_memory(self.device, task.label):
                self.speeds[key] = measure(task.experiment, size, self.device, self.precision)
        return self.speeds[key]


def measure(
    experiment: Experiment, batch: int, device: torch.device, precision: Precision
) -> Speed:
    """Return what a network takes, by a few steps and a prediction on noise."""
    ready_to_train(device)
    network = crossval.initial_network(experiment.network, seed=0)
    many = max(batch, trainer.PREDICT_BATCH[device.type])
    noise = torch.rand(many, 1, paper.BINS, paper.FRAMES, device=device)
    # Where one scale serves all segments, they are scaled batch by batch.
    precomputed = () if experiment.front_end.one_scale else network.precompute(noise)
    how: dict[str, Any] = {"device": device, "precision": precision}
    labels = torch.zeros(many, dtype=torch.int64, device=device)

    def steps(number: int, size: int = batch) -> float:
        # At a rate of 0, which is as fast as any and cannot diverge. An epoch is one step.
        training = replace(experiment.training, epochs=number, learning_rate=0.0)
        given = tuple(part[:size] for part in precomputed)
        start = time.perf_counter()
        trainer.fit(
            network, noise[:size], labels[:size], training, seed=0, precomputed=given, **how
        )
        return time.perf_counter() - start

    def predict(segments: torch.Tensor) -> float:
        start = time.perf_counter()
        trainer.predict(network, segments, **how)
        return time.perf_counter() - start

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    steps(1, 2)  # what happens only once in a run is not measured
    step, before = steps(1), math.inf
    while step < 0.8 * before:  # the first ones fetch the memory that the others keep
        step, before = steps(1), step
    if step < ENOUGH:
        number = int(ENOUGH / step) + 1
        step = steps(number) / number
    predict(noise[: trainer.PREDICT_BATCH[device.type]])
    of_segment = sum(part[0].nbytes for part in precomputed)
    return Speed(step / batch, predict(noise) / many, _peak(device) - noise.nbytes, of_segment)


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def _segments(task: Task) -> tuple[int, int]:
    """Count the segments that a task trains on and those that it is tested on."""
    front_end, most = task.experiment.front_end, task.experiment.training.max_segments
    train = _count(task.table["samples"].iloc[task.fold.train], paper.TRAIN_HOP_SECONDS, front_end)
    test = _count(task.table["samples"].iloc[task.fold.test], paper.TEST_HOP_SECONDS, front_end)
    return min(train, most or train), test


def _count(samples: pd.Series, hop: float, front_end: FrontEnd) -> int:
    count = cache(lambda n: spectrogram.segment_count(n, hop, front_end))
    return sum(map(count, samples))


def _peak(device: torch.device) -> int:
    """Return the most bytes so far: on a GPU of tensors, else of the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        from resource import RUSAGE_SELF, getrusage
    except ImportError:  # on Windows
        return 0
    return getrusage(RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _memory_of(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1]
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on every system
        return 0
