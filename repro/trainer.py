"""Train one network on one training set, and score segments with it (Section 3.1).

The segments of a corpus live on the device as one tensor; an epoch is a shuffled walk through the
rows of a training set, without a data loader and without waiting for the device.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from repro import paper
from repro.checkpoint import Checkpoint
from repro.config import Protocol, Training
from repro.errors import ReproError
from repro.model import CLASSES
from repro.shapes import Float, Int

Precision = Literal["fp32", "bf16"]
PREDICT_BATCH = {"cpu": 2, "cuda": 64}  # on a processor, so few that their maps fit the cache
ROOM = 8 * 2**30  # bytes of available memory
MEMINFO = Path("/proc/meminfo")  # on Linux, the only system whose freed memory can be kept
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # from glibc's malloc.h

# Same seed, same result: cuBLAS needs this before CUDA starts, cuDNN must not try algorithms out.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
torch.backends.cudnn.deterministic = True
# By default cuDNN rounds the inputs of float32 convolutions to 11 bits, and so may products of
# matrices, where the environment asks for it; fp32 means float32 here.
torch.backends.cudnn.allow_tf32 = False
torch.backends.cuda.matmul.allow_tf32 = False


def choose_device(name: str = "auto") -> torch.device:
    """Return the device called `auto`, `cpu` or `cuda`; `auto` takes a GPU that torch can use.

    Raises:
        ReproError: the name is unknown, or `cuda` and there is no GPU that torch can use.
    """
    if name not in {"auto", "cpu", "cuda"}:
        raise ReproError(f"no device {name!r}: choose auto, cpu or cuda")
    if name == "cpu":
        return torch.device(name)
    fault = _fault_of_gpu()
    if name == "cuda" and fault:
        raise ReproError(f"--device cuda: {fault}; use --device cpu or auto")
    return torch.device("cpu" if fault else "cuda")


def _fault_of_gpu() -> str:
    """Say why torch cannot use a GPU here; empty if it can."""
    if not torch.cuda.is_available():
        need = f" (this torch needs a driver for CUDA {torch.version.cuda})"
        return f"torch sees no GPU here{need if torch.version.cuda else ''}"
    built_for = [int(re.sub(r"\D", "", name)) for name in torch.cuda.get_arch_list()]
    major, minor = torch.cuda.get_device_capability()
    if built_for and 10 * major + minor < min(built_for):
        name = torch.cuda.get_device_name()
        return (
            f"this torch has no code for {name}, of compute capability {major}.{minor} "
            f"(it begins at {min(built_for) / 10})"
        )
    return ""


def choose_precision(name: str) -> Precision:
    """Return `fp32` or `bf16`; `auto` is float32, in which the paper trained.

    Raises:
        ReproError: the name is unknown.
    """
    if name not in ("auto", "fp32", "bf16"):
        raise ReproError(f"no precision {name!r}: choose auto, fp32 or bf16")
    return "bf16" if name == "bf16" else "fp32"


def fit(
    network: nn.Module,
    segments: Float[Tensor, "n 1 bins frames"],
    labels: Int[Tensor, " n"],
    training: Training,
    *,
    seed: int,
    rows: Int[Tensor, " rows"] | None = None,
    known: tuple[Tensor, ...] = (),
    device: torch.device | str = "cpu",
    precision: Precision = "fp32",
    keep_memory: bool | None = None,
    on_epoch: Callable[[int], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> list[float]:
    """Train a network in place with SGD, Nesterov momentum and a stepped rate.

    Args:
        network: from `model.build_network`; moved to the device.
        segments: [n, 1, 400, 200] network inputs, or 197 frames under `frames="whole"`.
        labels: [n] indices into `paper.EMOTIONS`.
        training: epochs, batch size, rates and the rest of Section 3.1.
        seed: decides the order of the segments.
        rows: which of the segments to train on; by default all.
        known: what the network can know of all segments beforehand, which saves it time.
        device: where to train.
        precision: `bf16` runs the convolutions of stems and trunk in bfloat16; the pooling, and
            all weights, stay in float32.
        keep_memory: on the CPU, see `keep_freed_memory`; by default where there is room.
        on_epoch: called with the number of each finished epoch, from 1.
        checkpoint: where to go on from, if it holds something, and where to keep each epoch's end.

    Returns:
        Mean cross-entropy over the training segments, per epoch.

    Raises:
        ReproError: there are no segments, or the loss is no longer finite.
    """
    if rows is None:
        rows = torch.arange(len(segments))
    if not len(rows):
        raise ReproError("there is no segment to train on")
    device = torch.device(device)
    if device.type == "cpu":
        keep_freed_memory(has_room() if keep_memory is None else keep_memory)
    network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    segments, labels, rows = segments.to(device), labels.to(device), rows.to(device)
    known = tuple(part.to(device) for part in known)
    weights = _class_weights(labels[rows], training)
    optimiser = torch.optim.SGD(
        network.parameters(),
        lr=training.learning_rate,
        momentum=training.momentum,
        nesterov=training.momentum > 0,  # torch refuses it without momentum
        weight_decay=training.weight_decay,
    )
    order = torch.Generator().manual_seed(seed)
    history = checkpoint.restore(network, optimiser, order) if checkpoint else []
    for epoch in range(len(history) + 1, training.epochs + 1):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(epoch, training)
        total = torch.zeros((), device=device)
        shuffled = rows[torch.randperm(len(rows), generator=order).to(device)]
        for batch in shuffled.split(training.batch_size):
            with _autocast(device, precision):
                scores = network(segments[batch], *(part[batch] for part in known))
            loss = F.cross_entropy(scores.float(), labels[batch], weights)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.detach() * len(batch)
        history.append(total.item() / len(rows))
        if not torch.isfinite(total):
            raise ReproError(
                f"training diverged in epoch {epoch}: the loss is {history[-1]}; "
                "lower training.learning_rate"
            )
        if on_epoch:
            on_epoch(epoch)
        if checkpoint and epoch < training.epochs:  # the last one ends as a result at once
            checkpoint.epoch_done(network, optimiser, order, history)
    return history


@torch.no_grad()
def predict(
    network: nn.Module,
    segments: Float[Tensor, "n 1 bins frames"],
    *,
    device: torch.device | str = "cpu",
    precision: Precision = "fp32",
) -> Float[Tensor, "n 4"]:
    """Return the scores (logits) of segments, in float32 on the CPU.

    The network is left in the mode, training or evaluation, that it came in.
    """
    device = torch.device(device)
    was_training = network.training
    network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    scores = []
    for batch in segments.split(PREDICT_BATCH[device.type]):
        with _autocast(device, precision):
            scores.append(network(batch.to(device)).float())
    network.train(was_training)
    return torch.cat(scores).cpu()


def utterance_scores(
    logits: Sequence[Float[Tensor, "_ 4"]], protocol: Protocol
) -> Float[Tensor, "utterances 4"]:
    """Average the scores of the segments of each utterance (Section 2.1).

    Args:
        logits: of the segments of each utterance, from `predict`.
        protocol: says whether a segment's scores are its logits or their softmax.
    """
    if protocol.score == "softmax":
        logits = [of_utterance.softmax(1) for of_utterance in logits]
    return torch.stack([of_utterance.mean(0) for of_utterance in logits])


@contextmanager
def enough_memory(device: torch.device | str, what: str) -> Iterator[None]:
    """Context manager: say in one line that a GPU has too little memory for what is done within.

    Raises:
        ReproError: the device ran out of memory within.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ReproError(
            f"{device} has too little memory for {what}: end what else uses it, use --device cpu, "
            "or, with --ray, raise --gpus-per-fold"
        ) from error


def keep_freed_memory(keep: bool) -> None:
    """Let the C library keep what is freed, or give large blocks back to the system as it likes.

    glibc by itself gives every large block back at once, and each training step on a processor
    then spends a third of its time on getting zeroed pages for the same maps again. What is kept
    does not always fit the next step: the process grows to one and a half times its size. Blocks of
    the size of an utterance's segments are kept either way, up to 64 MB of them.
    """
    if libc := _glibc():
        # Otherwise, what glibc's limits grow to by themselves when large blocks come and go.
        libc.mallopt(M_MMAP_MAX, 0 if keep else 65536)
        libc.mallopt(M_MMAP_THRESHOLD, 2**25)
        libc.mallopt(M_TRIM_THRESHOLD, -1 if keep else 2**26)


def give_back_memory() -> None:
    """Give back to the system what was kept for an earlier network, and does not fit the next."""
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """Return the C library if it is glibc, as on most Linux systems."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return libc if hasattr(libc, "malloc_trim") else None


def learning_rate(epoch: int, training: Training) -> float:
    """Return the rate in an epoch counted from 1: cut tenfold from each milestone on."""
    cuts = sum(epoch >= milestone for milestone in training.milestones)
    return training.learning_rate * paper.RATE_CUT**cuts


@cache
def has_room() -> bool:
    """Tell whether much memory was available when this process began to train.

    What the system keeps of files that were read counts as available; of free memory alone there is
    little wherever a corpus has been read.
    """
    try:
        [available] = re.findall(r"^MemAvailable: +(\d+) kB$", MEMINFO.read_text(), re.MULTILINE)
    except (OSError, ValueError):  # the system does not say
        return False
    return 1024 * int(available) >= ROOM


def _class_weights(labels: Tensor, training: Training) -> Tensor | None:
    if training.class_weights == "none":
        return None
    counts = labels.bincount(minlength=CLASSES)
    return len(labels) / (CLASSES * counts.clamp_min(1))


def _autocast(device: torch.device | str, precision: Precision) -> torch.autocast:
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16")
