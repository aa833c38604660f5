"""How fast the trainer, the front end and prediction are beside the usual ways, and how exact.

Everything compared runs in turns, so that whatever else the machine does slows all sides alike. The
textbook loop is the network written down layer after layer, in float32, with contiguous maps, a
DataLoader over precomputed features, and memory as the C library handles it by itself; only the
trainer is measured in bfloat16, if that is asked for.
"""

import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache, partial
from multiprocessing import get_context, parent_process
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.backends import cudnn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from repro import config, crossval, paper, spectrogram, trainer
from repro.device import (
    Precision,
    choose_device,
    choose_precision,
    enough_memory,
    keep_freed_memory,
    processor,
    ready_to_train,
)
from repro.errors import ReproError
from repro.model import GlobalAveragePooling, SpeechEmotionNetwork, build_network
from repro.study.grids import short_name, variants

ROUNDS = 7  # so that each step from the textbook loop to the trainer is resolved
RESOLVED = 0.5  # seconds that work is repeated for, so that the clock can resolve it
SWEEP = ("10x2", "2x80")
FEW = 8  # segments of the step whose gradients are compared: float64 needs much memory
SPEECH_SECONDS = 5.0  # of the utterances that the front end and prediction are measured on
PREDICTED = 8  # utterances at once
MATRIX = 2048  # rows and columns

COLUMNS = ["what", "way", "unit", "value", "low", "high", "ratio", "error", "share"]
ATTENTION, ALONE = "training, attention network", "training, {} alone"
TEXTBOOK, TRAINER, LIMIT = "textbook loop", "trainer", "limit"
# Loops, each with its batch, and whether it has our layers and keeps memory.
LOOPS = {
    TEXTBOOK: (paper.BATCH_SIZE, False, False),
    "public loop": (32, False, False),
    "+ our layers": (32, True, False),
    "+ memory kept": (32, True, True),
}
Row = dict[str, Any]
Rate = Callable[[], float]  # measures one
Pools = tuple[ProcessPoolExecutor, ProcessPoolExecutor]


class Where(NamedTuple):
    """What is computed on, and how."""

    device: torch.device
    precision: Precision


def run(device: str = "auto", precision: str = "auto") -> dict[str, Any]:
    """Return how fast everything is on this machine.

    Returns:
        `machine`, what was measured on, and `rows`. Each is a dict of what was measured, in which
        way and unit; its `value`, the median over rounds; `low` and `high`, between which the
        middle half of the rounds lie; and, where there are any, `ratio`, to the first way to do the
        same; `error`, see `errors`; and `share`, of the rate of matrix products, in [0, 1].

    Raises:
        ReproError: there is no such device or precision, librosa is missing, or memory is short.
    """
    where = Where(choose_device(device), choose_precision(precision))
    with enough_memory(where.device, "the benchmark"):
        limit = matrices(where)
        rows = compare("product of matrices", "GFLOP/s", {"torch": limit})
        rows += [*front_end(), prediction(where, limit)]
        alone = variants("filter-shapes", "paper")
        with processes() as pools:
            train = partial(training, where, limit, pools)
            rows += train(ATTENTION, config.Network(), [*LOOPS, TRAINER])
            for shape in SWEEP:
                title = ALONE.format(short_name(shape))
                rows += train(title, alone[shape].experiment.network, [TEXTBOOK, TRAINER])
    machine = {
        "device": torch.cuda.get_device_name() if where.device.type == "cuda" else processor(),
        "threads": torch.get_num_threads(),
        "precision": where.precision,
        "torch": torch.__version__,
    }
    return {"machine": machine, "rows": rows}


def text(found: dict[str, Any]) -> str:
    """Return what `run` found as a table in plain text."""
    table = pd.DataFrame(found["rows"], columns=COLUMNS)
    shown = table.to_string(index=False, na_rep="–", float_format="{:.3g}".format)
    return ", ".join(f"{k} {v}" for k, v in found["machine"].items()) + f"\n\n{shown}"


# Training ----------------------------------------------------------------------------------------


class TextbookNetwork(nn.Module):
    """The layers of `build_network` as the paper names them, one after another."""

    def __init__(self, layers: SpeechEmotionNetwork):
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores that `build_network` gives, up to rounding."""
        stems, trunk, pooling = self.layers.stems, self.layers.trunk, self.layers.pooling
        maps = [conv(F.pad(x, pad)) for conv, pad in zip(stems.convs, stems.pads, strict=True)]
        x = F.relu(stems.norm(torch.cat(maps, 1)))
        for conv, norm, pooled in zip(trunk.convs, trunk.norms, trunk.pooled, strict=True):
            x = F.relu(norm(conv(x)))
            x = F.max_pool2d(x, paper.POOL_WINDOW) if pooled else x
        if isinstance(pooling, GlobalAveragePooling):
            return pooling.classify(x.mean((2, 3)))
        return pooling(x)


def training(
    where: Where, limit: Rate, pools: Pools, title: str, network: config.Network, ways: list[str]
) -> list[Row]:
    """Return the rows of ways to train a network; the limit is the rate of matrix products.

    Memory that one way keeps would change how another gets its own: the second process is for those
    that keep it.
    """

    def measure(way: str) -> float:
        keeps = way == TRAINER or LOOPS[way][2]
        return pools[keeps].submit(_segments_per_second, way, network, where).result()

    rates = {way: partial(measure, way) for way in ways} | {LIMIT: limit}
    *rows, most = compare(title, "segments/s", rates)
    for row, error in zip(rows, errors(ways, network, where), strict=True):
        row["error"] = error
    rows[-1]["share"] = rows[-1]["value"] * operations(network) / most["value"]
    return rows


@contextmanager
def processes() -> Iterator[Pools]:
    """Context manager: two processes, each with memory of its own."""
    first, second = (ProcessPoolExecutor(1, get_context("spawn"), _like_parent) for _ in range(2))
    try:
        with first, second:
            yield first, second
    except BrokenProcessPool as error:
        raise ReproError("a process that measures ended early: is memory short?") from error


def _like_parent() -> None:
    """Let a process end when its parent does, however that ends, and without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=[parent_process()], daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _segments_per_second(*what: Any) -> float:
    steps, segments = _training(*what)
    return rate(partial(next, steps), segments)


@cache
def _training(way: str, network: config.Network, where: Where) -> tuple[Iterator[None], int]:
    """Return a training that goes on and on, and how many segments each of its steps has."""
    data = noise(paper.BATCH_SIZE * (8 if where.device.type == "cuda" else 1))
    steps = train(way, crossval.initial_network(network, seed=0), *data, where)
    return steps, len(data[0]) if way == TRAINER else LOOPS[way][0]


def train(
    way: str, network: SpeechEmotionNetwork, segments: Tensor, labels: Tensor, where: Where
) -> Iterator[None]:
    """Train a network in one of the ways, a step of a loop or an epoch of the trainer at a time."""
    device = where.device
    if way == TRAINER:
        ready_to_train(device)
        segments, once = segments.to(device), config.Training(epochs=1, milestones=())
        precomputed = network.to(device).precompute(segments)
        while True:
            trainer.fit(
                network, segments, labels, once, seed=0, precomputed=precomputed, **where._asdict()
            )
            yield
    batch, ours, keep = LOOPS[way]
    if keep:
        keep_freed_memory(True)
    module = network if ours else TextbookNetwork(network)
    layout = torch.channels_last if ours else torch.contiguous_format
    module.to(device, memory_format=layout).train()  # type: ignore[call-overload]
    optimiser = trainer.sgd(module, config.Training())
    order, data = torch.Generator().manual_seed(0), TensorDataset(segments, labels)
    while True:
        for inputs, targets in DataLoader(data, batch, shuffle=True, generator=order):
            # As torch has them by itself; the trainer has set them otherwise.
            with cudnn.flags(enabled=True, deterministic=False, allow_tf32=True):
                optimiser.zero_grad()
                loss = F.cross_entropy(module(inputs.to(device)), targets.to(device))
                loss.backward()
                optimiser.step()
                loss.item()  # for the running loss
            yield


@cache
def noise(count: int) -> tuple[Tensor, Tensor]:
    """Return segments of noise, most of it as near to -1 as most of a spectrogram, and labels."""
    generator = torch.Generator().manual_seed(0)
    segments = torch.rand(count, 1, paper.BINS, paper.FRAMES, generator=generator) ** 4 * 2 - 1
    return segments, torch.arange(count) % len(paper.EMOTIONS)


def errors(ways: Sequence[str], network: config.Network, where: Where) -> list[float]:
    """Return how far the gradients of a training step are from those in float64, in each way.

    That is the largest relative error (Frobenius norms) of any parameter, over `FEW` segments of
    noise. Parameters whose true gradient is zero, as that of a bias before a norm is, do not count.
    """
    segments, labels = noise(FEW)

    def gradients(way: str, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        module = crossval.initial_network(network, seed=0).to(dtype)
        next(train(way, module, segments.to(dtype), labels, where))
        return {n: p.grad.double() for n, p in module.named_parameters() if p.grad is not None}

    true = {n: g for n, g in gradients(TEXTBOOK, torch.float64).items() if g.norm() > 1e-12}
    found = map(gradients, ways)
    return [max(float((of[n] - g).norm() / g.norm()) for n, g in true.items()) for of in found]


def operations(network: config.Network, *, training: bool = True) -> float:
    """Return the billions of multiplications and additions on one segment, to train or predict."""
    segments, labels = noise(2)
    with FlopCounterMode(display=False) as counter:
        scores = TextbookNetwork(build_network(network))(segments)
        if training:
            F.cross_entropy(scores, labels).backward()
    return counter.get_total_flops() / len(segments) / 1e9


# Everything else ---------------------------------------------------------------------------------


def matrices(where: Where) -> Rate:
    """Return what measures the rate of matrix products, in the precision of the network.

    A processor slows down as it warms up, so the limit is measured beside what is set against it.
    """
    size = MATRIX * (4 if where.device.type == "cuda" else 1)
    dtype = torch.bfloat16 if where.precision == "bf16" else torch.float32
    a, b = (torch.randn(size, size, device=where.device, dtype=dtype) for _ in range(2))
    return partial(rate, partial(torch.mm, a, b), 2 * size**3 / 1e9)


def front_end() -> list[Row]:
    """Return the rates of librosa, segment by segment, and of the front end."""
    keep_freed_memory(False)  # librosa gains by it too
    waveform = torch.randn(round(SPEECH_SECONDS * paper.SAMPLE_RATE)) / 10
    rows = []
    for name, hop in (("training", paper.TRAIN_HOP_SECONDS), ("test", paper.TEST_HOP_SECONDS)):
        ways: dict[str, Callable[[], object]] = {
            "librosa": partial(with_librosa, waveform.numpy(), hop),
            "repro": partial(spectrogram.segments, waveform, config.FrontEnd(), hop),
        }
        rates = {way: partial(rate, work, SPEECH_SECONDS) for way, work in ways.items()}
        rows += compare(f"front end, {name} overlap", "s of speech/s", rates)
    return rows


def with_librosa(samples: np.ndarray, hop: float) -> None:
    """Compute the segments of an utterance one after another."""
    try:
        import librosa
    except ImportError as error:
        raise ReproError(
            "repro bench compares with librosa, which is not here: pip install librosa"
        ) from error
    for second in np.arange(spectrogram.segment_count(len(samples), hop)) * hop:
        start = round(second * paper.SAMPLE_RATE)
        stft = librosa.stft(
            samples[start : start + spectrogram.SEGMENT],
            n_fft=paper.DFT_POINTS,
            hop_length=spectrogram.SHIFT,
            win_length=spectrogram.WINDOW,
            window=np.hamming(spectrogram.WINDOW),
        )
        x = np.abs(stft[: paper.BINS, : paper.FRAMES])
        x = 2 * (x - x.min()) / (x.max() - x.min()) - 1
        librosa.mu_compress(x, mu=paper.MU, quantize=False)


def prediction(where: Where, limit: Rate) -> Row:
    """Return the utterances of 5 s per second at test overlap, from waveform to scores."""
    network, samples = build_network(config.Network()), round(SPEECH_SECONDS * paper.SAMPLE_RATE)
    waveforms = torch.randn(PREDICTED, samples, device=where.device) / 10

    def utterances() -> None:
        cut = partial(spectrogram.segments, hop_seconds=paper.TEST_HOP_SECONDS)
        segments = torch.cat([cut(waveform, config.FrontEnd()) for waveform in waveforms])
        trainer.predict(network, segments, **where._asdict())

    rates: dict[str, Rate] = {"repro": partial(rate, utterances, PREDICTED), LIMIT: limit}
    row, most = compare("prediction", "utterances/s", rates)
    work = operations(config.Network(), training=False)
    work *= spectrogram.segment_count(samples, paper.TEST_HOP_SECONDS)
    return row | {"share": row["value"] * work / most["value"]}


def compare(what: str, unit: str, ways: Mapping[str, Rate]) -> list[Row]:
    """Return the rows of ways of doing the same, whose rates are measured in turns."""
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for way in [*ways] * ROUNDS:
        rates[way].append(ways[way]())
    rows: list[Row] = []
    for way, found in rates.items():
        low, value, high = np.quantile(found, (0.25, 0.5, 0.75)).tolist()
        row = {"what": what, "way": way, "unit": unit, "value": value, "low": low, "high": high}
        rows.append(row | ({"ratio": value / rows[0]["value"]} if rows else {}))
    return rows


def rate(work: Callable[[], object], amount: int | float) -> float:
    """Return how much is done in a second by work that does so much at a time.

    It is repeated until the clock can resolve it.
    """
    gc.collect()
    times, passed, start = 0, 0.0, time.perf_counter()
    while passed < RESOLVED:
        work()
        times += 1
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        passed = time.perf_counter() - start
    return times * amount / passed
