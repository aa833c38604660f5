"""One fold of a study: its inputs, and what its line of the results file holds."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from repro import crossval, results
from repro.crossval import Features
from repro.device import Precision, enough_memory, ready_to_train
from repro.errors import DivergedError, ReproError
from repro.model import SpeechEmotionNetwork
from repro.results.provenance import lasting, made_by
from repro.study import attention, baselines
from repro.study.checkpoint import Checkpoint
from repro.study.plan import Task
from repro.trainer import State


def inputs(task: Task, device: torch.device) -> Features | np.ndarray | None:
    """Return what the folds of a task's corpus, and front end or system, share."""
    if task.variant.system:
        return baselines.measure(task.variant.system, task.table)
    return crossval.extract(task.table, task.experiment.front_end, device)


def run_task(
    task: Task,
    shared: Features | np.ndarray | None,
    device: torch.device,
    precision: Precision,
    on_epoch: Callable[[int], None] = lambda epoch: None,
    partial: Path | None = None,
) -> dict[str, Any]:
    """Return the line of a fold in the results file, once it is trained and tested.

    What its folds share comes from `inputs`. `on_epoch` is called with the number of each finished
    epoch of a network, from 1. With the path of its checkpoint, `partial`, a fold that was
    interrupted goes on from there. Of one that diverges there is nothing but the losses before.

    Raises:
        ReproError: memory is short, or a sound file is gone; the fold is named.
    """
    start = time.perf_counter()
    if not isinstance(shared, Features):
        assert task.variant.system
        predictions = baselines.predict(task.variant.system, task.table, shared, task.fold)
        predictions["samples"] = task.table["samples"].iloc[task.fold.test].to_numpy()
        seconds = time.perf_counter() - start
        return _line(task, [], predictions, made_by(torch.device("cpu"), "fp64", seconds))
    made = lasting(device, precision) | {"fold": list(results.identity(task.heading))}
    checkpoint = Checkpoint(partial, made)
    seen: dict[str, Any] = {}

    def epoch_done(state: State) -> None:
        epoch = len(state.history)
        on_epoch(epoch)
        if epoch < task.epochs:  # the last one ends as a result at once
            checkpoint.keep(state)

    def look(
        network: SpeechEmotionNetwork, test: Iterator[Tensor], predictions: pd.DataFrame
    ) -> None:
        waveforms = [shared.waveform(int(row)) for row in task.fold.test]
        seen["attention"] = attention.measure(network, test, waveforms, predictions, device)

    ready_to_train(device)
    try:
        with enough_memory(device, "training"):
            _, predictions = crossval.run_fold(
                shared,
                task.fold,
                task.experiment,
                seed=task.heading["seed"],
                device=device,
                precision=precision,
                resume=checkpoint.restore,
                on_epoch=epoch_done,
                on_scored=look if task.variant.attends else None,
            )
    except DivergedError:
        seen["diverged"] = True
        predictions = pd.DataFrame(columns=[*results.PREDICTION_COLUMNS, *results.COUNTED])
    except ReproError as error:
        raise ReproError(f"{task.label}: {error}") from error
    made = made_by(device, precision, checkpoint.seconds)
    return _line(task, checkpoint.history, predictions, made) | seen


def _line(
    task: Task, history: list[float], predictions: pd.DataFrame, made: dict[str, Any]
) -> dict[str, Any]:
    return task.heading | {
        "history": [round(loss, 6) for loss in history],
        "predictions": predictions.round(6).to_dict("list"),
        "provenance": made,
    }
