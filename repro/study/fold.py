"""One fold of a study: train it, test it, and say what its line of the results file holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from repro import crossval, results
from repro.device import Precision, enough_memory
from repro.errors import ReproError
from repro.model import SpeechEmotionNetwork
from repro.results.provenance import lasting, made_by
from repro.study import attention, baselines, checkpoint
from repro.study.plan import Progress, Source, Task, input_of, keeps_maps


def run_task(
    task: Task,
    features: crossval.Features,
    device: torch.device,
    precision: Precision,
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
        with enough_memory(device, "training"):
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


def _checkpoint(
    task: Task, device: torch.device, precision: str, path: Path
) -> checkpoint.Checkpoint:
    """Give the checkpoint of a fold: of use only where its line would say the same provenance."""
    fold = {"fold": list(results.identity(task.heading))}
    return checkpoint.Checkpoint(path, lasting(device, precision) | fold)


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
