"""The folds of a study, spread over the machines and GPUs of a Ray cluster.

The machine that runs the command reads the corpus and alone writes the results file. What a fold
needs is put into the cluster's object store once: the sounds by this machine, the network inputs
by whichever worker is the first to be free. Each fold is a task of its own; one that is lost with
its machine runs again on another. A fold's numbers depend on its name and its seed alone, so they
come out as in one process on the same hardware, in whatever order the folds finish. (Where the
memory of a GPU is nearly full, cuDNN may take an algorithm that rounds otherwise.)
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

import repro
from repro import audio, crossval
from repro.config import FrontEnd
from repro.device import Precision, choose_device, enough_memory
from repro.errors import ReproError
from repro.study.fold import run_task
from repro.study.ledger import Ledger, Record
from repro.study.plan import Plan, Progress, Task

PATIENCE = 20.0  # seconds that a cluster has to answer
RETRIES = 10  # of a fold whose machine or process was lost
GPU_SHARE = 0.25  # four folds of small networks keep one GPU busy, one of a large one
SOFTWARE = f"repro {repro.__version__} and torch {torch.__version__}"

# Reports home otherwise. Read by Ray when it is imported, and by what it starts.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
# Ray goes on trying to reach a cluster that is not there, and tells so on the screen: let a
# process do that which can be stopped.
KNOCK = f"import sys, ray; ray.init(sys.argv[1], **{QUIET})"


class Recordings(NamedTuple):
    """A corpus as it travels: arrays, which the workers of a machine share without a copy."""

    table: pd.DataFrame
    waveforms: list[np.ndarray]


Inputs = tuple[np.ndarray, ...]  # segments, utterance and labels of `crossval.Features`, likewise


class Worker(NamedTuple):
    """What a worker is told about how to compute."""

    device: str
    precision: Precision
    threads: int
    software: str

    def prepare(self) -> torch.device:
        """Set the process up as one that trains alone would be; return the device.

        Raises:
            ReproError: the software of this machine is not that of the command's, or it has no GPU.
        """
        if self.software != SOFTWARE:
            raise ReproError(
                f"{socket.gethostname()} has {SOFTWARE}, but the command was given with "
                f"{self.software}: install the same on every machine"
            )
        torch.set_num_threads(self.threads)
        return choose_device(self.device)


def require_ray() -> None:
    """Find out whether Ray is installed.

    Raises:
        ReproError: it is not.
    """
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise ReproError(
            "--ray needs Ray, an extra: pip install '.[cluster]' in a checkout"
        ) from error


def train(
    plan: Plan, tasks: Sequence[Task], held: Ledger, precision: Precision, progress: Progress
) -> Generator[tuple[Task, Record | ReproError], None, None]:
    """Train folds on a cluster; give each as it comes back, see `run.Train`.

    The address of the cluster, `plan.run.ray`, is `auto` for the one that runs on this machine,
    `local` for one that lasts as long as the command, or HOST:PORT of a cluster's head; the workers
    choose their device by the run's. `progress` is told once beforehand of folds and machines.

    Raises:
        ReproError: the cluster cannot be reached, or lacks what was asked for.
    """
    asked = plan.run
    assert asked.ray is not None
    with _connected(asked.ray):
        import ray

        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = _gpus(machines, asked.device, asked.gpus_per_fold)
        # Where the GPU computes, the number of threads changes no result: one lets folds share.
        threads = 1 if gpus else torch.get_num_threads()
        _require_cpus(machines, threads)
        resources: dict[str, Any] = {"num_cpus": threads, "num_gpus": gpus, "max_retries": RETRIES}
        # Not `auto`: a worker would take what torch finds there, whatever Ray has booked for it.
        worker = Worker("cuda" if gpus else "cpu", precision, threads, SOFTWARE)
        plan.require_statistics(held, torch.device(worker.device))
        waiting = _submit(tasks, worker, **resources)
        done, total = 0, sum(task.epochs for task in tasks)
        progress(f"{len(tasks)} folds, machines: {len(machines)}", done, total)
        while waiting:
            for reference in ray.wait(list(waiting), timeout=1.0)[0]:  # wake up for Ctrl-C
                task = waiting.pop(reference)
                yield task, _get(reference, task.label)
                done += task.epochs
                progress(task.label, done, total)


def _submit(tasks: Sequence[Task], worker: Worker, **resources: Any) -> dict[Any, Task]:
    """Hand all folds to the cluster; return what each will be, by a reference to its line."""
    import ray

    extract, train = ray.remote(**resources)(_extract), ray.remote(**resources)(_train)
    corpora: dict[Any, Any] = {}
    inputs: dict[Any, Any] = {}
    waiting = {}
    for task in tasks:
        source, _ = task.inputs
        if source not in corpora:
            waveforms = [audio.load(path).numpy() for path in task.table["path"]]
            corpora[source] = ray.put(Recordings(task.table, waveforms))
        if task.inputs not in inputs:
            front_end = task.experiment.front_end
            # A result of a task, unlike what is put, is made again if it is lost with its machine.
            inputs[task.inputs] = extract.remote(corpora[source], front_end, worker)
        alone = task._replace(table=pd.DataFrame())  # the corpus is sent once, and not with each
        waiting[train.remote(alone, corpora[source], inputs[task.inputs], worker)] = task
    return waiting


def _extract(corpus: Recordings, front_end: FrontEnd, worker: Worker) -> Inputs:
    """Compute the network inputs of a corpus, on a worker."""
    device = worker.prepare()
    waveforms = [torch.from_numpy(waveform) for waveform in corpus.waveforms]
    features = crossval.extract(corpus.table, front_end, device, waveforms)
    tensors = features.segments, features.utterance, features.labels
    return tuple(tensor.cpu().numpy() for tensor in tensors)


def _train(task: Task, corpus: Recordings, inputs: Inputs, worker: Worker) -> dict[str, Any]:
    """Train and test one fold on a worker and return its line of the results file."""
    device = worker.prepare()
    with enough_memory(device, "the segments of the corpus"):
        segments, utterance, labels = (torch.from_numpy(array).to(device) for array in inputs)
        features = crossval.Features(
            corpus.table,
            task.experiment.front_end,
            lambda row: torch.from_numpy(corpus.waveforms[row]),
            segments,
            utterance,
            labels,
        )
    return run_task(task, features, device, worker.precision)


@contextmanager
def _connected(address: str) -> Iterator[None]:
    """Connect to a cluster, or start one; in the end leave it, which stops what still runs there.

    Raises:
        ReproError: the cluster cannot be reached.
    """
    import ray

    local = address == "local"
    if not local:
        _knock(address)
    handler = signal.getsignal(signal.SIGTERM)  # Ray sets its own
    try:
        # Ray puts the current folder before all others on the workers' path: let it be the one
        # that this package is imported from, so that they import the same.
        with chdir(Path(repro.__file__).parents[1]):
            ray.init(address, include_dashboard=False if local else None, **QUIET)
    except Exception as error:  # among them bare ones, of a machine too busy to start in time
        remedy = "; set RAY_TMPDIR to a folder of a shorter name" if "AF_UNIX" in str(error) else ""
        raise ReproError(f"--ray {address}: {error}{remedy}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise ReproError if no cluster lets this machine in before `PATIENCE` is over."""
    if "://" in address:
        raise ReproError(
            f"--ray {address}: run the command on a machine of the cluster, with --ray auto"
        )
    command = [sys.executable, "-c", KNOCK, address]
    try:
        subprocess.run(
            command, check=True, timeout=PATIENCE, input="", capture_output=True, text=True
        )
    except subprocess.TimeoutExpired:
        reason = f"no Ray cluster answers within {PATIENCE:.0f} s"
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or ["the connection failed"])[-1]
    else:
        return
    raise ReproError(f"--ray {address}: {reason.rstrip('.')}; see `ray status`, or use --ray local")


def _gpus(machines: list[dict[str, float]], device: str, per_fold: float | None) -> float:
    """Return the share of a GPU that a fold gets; 0 where none is used."""
    if device == "cpu":
        return 0.0
    if not any(machine.get("GPU") for machine in machines):
        if device == "cuda":
            raise ReproError("--device cuda: no machine of the cluster has a GPU")
        return 0.0
    return GPU_SHARE if per_fold is None else per_fold


def _require_cpus(machines: list[dict[str, float]], threads: int) -> None:
    """Raise ReproError if no machine can run a fold: Ray would wait for one for ever."""
    most = int(max(machine.get("CPU", 0) for machine in machines))
    if most < threads:
        raise ReproError(
            f"a fold would use {threads} threads, as it does on this machine, but no machine of "
            f"the cluster has more than {most} CPUs; set OMP_NUM_THREADS={max(most, 1)}"
        )


def _get(reference: Any, label: str) -> Record | ReproError:
    """Return what a fold came to; the others do not wait for one that was lost time and again."""
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        return ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, ReproError):
            return error.cause
        raise
    except RayError as error:
        reason = str(error).strip().splitlines()[0]
        return ReproError(f"{label}: lost by the cluster ({reason})")
