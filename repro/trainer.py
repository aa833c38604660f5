"""Train one network on one training set, and score segments with it (Section 3.1).

The segments of a corpus live on the device as one tensor; an epoch is a shuffled walk through the
rows of a training set, without a data loader and without waiting for the device.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from repro import paper
from repro.config import Score, Training
from repro.device import Precision
from repro.errors import DivergedError, ReproError
from repro.model import CLASSES

PREDICT_BATCH = {"cpu": 2, "cuda": 64}  # on a processor, so few that their maps fit the cache


class State(NamedTuple):
    """All that the coming epochs of a training depend on.

    Args:
        network: as far as it has been trained.
        optimiser: with its momenta.
        order: shuffles the segments.
        history: mean loss of each epoch so far.
        kept: tensors of whoever trains, which go on with the rest.
    """

    network: nn.Module
    optimiser: torch.optim.Optimizer
    order: torch.Generator
    history: list[float]
    kept: dict[str, Tensor]


def fit(
    network: nn.Module,
    segments: Float[Tensor, "n 1 bins frames"],
    labels: Int[Tensor, " n"],
    training: Training,
    *,
    seed: int,
    rows: Int[Tensor, " rows"] | None = None,
    precomputed: tuple[Tensor, ...] = (),
    scale: Callable[[Tensor], Tensor] | None = None,
    device: torch.device | str = "cpu",
    precision: Precision = "fp32",
    resume: Callable[[State], None] | None = None,
    on_epoch: Callable[[State], None] | None = None,
) -> list[float]:
    """Train a network in place by SGD with Nesterov momentum.

    Args:
        network: from `model.build_network`; moved to the device.
        segments: [n, 1, 400, 200] network inputs, or 197 frames under `frames="whole"`.
        labels: [n] indices into `paper.EMOTIONS`.
        training: epochs, batch size, rates and the rest of Section 3.1. Of `max_segments` it takes
            no notice: `rows` says which count, see `crossval.training_set`.
        seed: decides the order of the segments.
        rows: which of the segments to train on; by default all.
        precomputed: tensors [n, …] that `network.precompute(segments)` gave, passed to `forward`
            batch by batch; only the network of Section 3.2 has any (moments of the patches).
        scale: brings a batch of segments to the scale that the network reads; by default they are.
        device: where to train.
        precision: `bf16` runs the convolutions of stems and trunk in bfloat16; the pooling, and
            all weights, stay in float32. So does the network of Section 3.2, which is faster so.
        resume: called before the first epoch; may put back the state of an interrupted training.
        on_epoch: called with the state after each epoch.

    Returns:
        Mean cross-entropy over the training segments, per epoch. With class weights, the mean over
            batches, weighted by their sizes, of their class-weighted means.

    Raises:
        DivergedError: the loss is no longer finite.
        ReproError: there are no segments.
    """
    if rows is None:
        rows = torch.arange(len(segments))
    if not len(rows):
        raise ReproError("there is no segment to train on")
    device = torch.device(device)
    network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    segments, labels, rows = segments.to(device), labels.to(device), rows.to(device)
    precomputed = tuple(part.to(device) for part in precomputed)
    weights = _class_weights(labels[rows], training)
    optimiser = sgd(network, training)
    order = torch.Generator().manual_seed(seed)
    history: list[float] = []
    state = State(network, optimiser, order, history, {})
    if resume:
        resume(state)
    for epoch in range(len(history) + 1, training.epochs + 1):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(epoch, training)
        total = torch.zeros((), device=device)
        shuffled = rows[torch.randperm(len(rows), generator=order).to(device)]
        for batch in shuffled.split(training.batch_size):
            inputs = scale(segments[batch]) if scale else segments[batch]
            with _autocast(device, precision):
                scores = network(inputs, *(part[batch] for part in precomputed))
            loss = F.cross_entropy(scores.float(), labels[batch], weights)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.detach() * len(batch)
        mean = total.item() / len(rows)
        if not math.isfinite(mean):
            raise DivergedError(
                f"training diverged in epoch {epoch}: the loss is {mean}; "
                "lower training.learning_rate"
            )
        history.append(mean)
        if on_epoch:
            on_epoch(state)
    return history


def predict(
    network: nn.Module,
    segments: Float[Tensor, "n 1 bins frames"],
    *,
    device: torch.device | str = "cpu",
    precision: Precision = "fp32",
) -> Float[Tensor, "n 4"]:
    """Return the scores (logits) of segments in float32, see `in_batches`."""
    with _autocast(torch.device(device), precision):
        [scores] = in_batches(network, segments, device, lambda batch: [network(batch)])
    return scores.float()


@torch.no_grad()
def in_batches(
    network: nn.Module,
    segments: Float[Tensor, "n 1 bins frames"],
    device: torch.device | str,
    compute: Callable[[Tensor], Sequence[Tensor]],
) -> list[Tensor]:
    """Return, on the CPU, what is computed of segments by a network in evaluation, a few at a time.

    The network is moved to the device, and left in the mode, training or evaluation, that it came
    in.
    """
    device, was_training = torch.device(device), network.training
    network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    parts = [compute(batch.to(device)) for batch in segments.split(PREDICT_BATCH[device.type])]
    network.train(was_training)
    return [torch.cat(part).cpu() for part in zip(*parts, strict=True)]


def utterance_score(logits: Float[Tensor, "_ 4"], score: Score) -> Float[Tensor, " 4"]:
    """Return the mean over an utterance's segments of their logits, or softmax (Section 2.1)."""
    return (logits.softmax(1) if score == "softmax" else logits).mean(0)


def sgd(network: nn.Module, training: Training) -> torch.optim.SGD:
    """Return the optimiser of Section 3.1: SGD with Nesterov momentum and weight decay."""
    return torch.optim.SGD(
        network.parameters(),
        lr=training.learning_rate,
        momentum=training.momentum,
        nesterov=training.momentum > 0,  # torch refuses it without momentum
        weight_decay=training.weight_decay,
    )


def learning_rate(epoch: int, training: Training) -> float:
    """Return the rate in an epoch counted from 1: cut tenfold from each milestone on."""
    cuts = sum(epoch >= milestone for milestone in training.milestones)
    return training.learning_rate * paper.RATE_CUT**cuts


def _class_weights(labels: Tensor, training: Training) -> Tensor | None:
    if training.class_weights == "none":
        return None
    counts = labels.bincount(minlength=CLASSES)
    return len(labels) / (CLASSES * counts.clamp_min(1))


def _autocast(device: torch.device, precision: Precision) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
