"""How fast the front end, the trainer and prediction are, beside the usual way and the hardware.

Everything compared runs in turns, so that whatever else the machine does slows both sides alike.
The textbook way is that of public re-implementations: the network written down layer after layer,
float32, eager, contiguous maps, a DataLoader over precomputed features, and memory as the C library
handles it by itself.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import soundfile
import torch
from torch import Tensor, nn
from torch.backends import cudnn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from repro import config, crossval, paper, spectrogram, study, trainer
from repro.changes import short_name
from repro.errors import ReproError
from repro.model import GlobalAveragePooling, build_network

ROUNDS = 3
SWEEP = ("10x2", "2x8", "100x2", "2x80")
SPEECH_SECONDS = 5.0  # length of the utterances of the front end's and prediction's comparisons
MATRIX = 2048
COPIED = 2**26  # float32 numbers
COPIES = 20  # in one measurement: a single one is over too soon for the clock
SCALES = 1, 2, 4
PREDICTED = 8  # utterances at once
RESOLVED = 0.5  # seconds that quick work is repeated for, so that the clock can resolve it
SETTLED = 4.0  # seconds of training until the memory that it needs is there
GIVE_BACK = "give back"
# Utterances of so many seconds that have IEMOCAP's number, segments and, nearly, hours in all.
LENGTHS = {4.0: 689, 4.4: 1392, 5.0: 199}
RATES = ["what", "unit", "usual way", "repro", "ratio", "share of limit"]
Ways = dict[str, Callable[[], int]]  # by name: does some work, returns how much


def run(device: str = "auto", precision: str = "auto") -> dict[str, Any]:
    """Measure everything.

    Returns:
        `train`, `sweep`, `several`, `front_end`, `predict`, `limit`, `memory` and `scaling`, each a
        dict of numbers, with `machine`. Rates are medians over rounds, with `spread`, the smallest
        and the largest. A `ratio` is that of the medians.
    """
    where = trainer.choose_device(device)
    how = trainer.choose_precision(precision, where)
    needed = memory(device, precision)  # first, while this process is small
    peaks = hardware(where, how)
    train = training(config.Network(), where, how, steps=True)
    shapes = study.variants("filter-shapes", "paper")
    sweep = {shape: training(shapes[shape].network, where, how) for shape in SWEEP}
    networks = {"train": config.Network()} | {shape: shapes[shape].network for shape in SWEEP}
    reached = {"train": train["repro"]} | {shape: row["repro"] for shape, row in sweep.items()}
    return {
        "machine": machine(where, how),
        "train": train,
        "sweep": sweep,
        "several": several(where),
        "front_end": front_end(),
        "predict": prediction(where, how),
        "limit": peaks
        | {name: limit(networks[name], peaks, how, rate) for name, rate in reached.items()},
        "memory": needed,
        "scaling": scaling(where, how),
    }


def machine(device: torch.device, precision: str) -> dict[str, Any]:
    """Say what was measured on."""
    on_gpu = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if on_gpu else processor(),
        "threads": torch.get_num_threads(),
        "precision": precision,
        "torch": torch.__version__,
    }


def processor() -> str:
    """Name the processor, and which of its vector instructions torch uses."""
    try:
        facts = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:  # not on Linux
        facts = []
    name = facts[0] if facts else platform.processor() or platform.machine()
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"


def text(found: dict[str, Any]) -> str:
    """Lay out what `run` found as tables."""
    table = rates(found).to_string(index=False, na_rep="–", float_format="{:.2f}".format)
    lines = [", ".join(f"{k} {v}" for k, v in found["machine"].items()), table]
    for name in ("train", "several", "memory", "scaling"):
        facts = {k: v for k, v in found[name].items() if k not in ("spread", "ratio")}
        lines.append(f"{name}: " + ", ".join(f"{k} {v:.3g}" for k, v in facts.items()))
    return "\n\n".join(lines)


def rates(found: dict[str, Any]) -> pd.DataFrame:
    """Set the usual ways and ours side by side, with the share of the machine's limit reached."""
    train = {"attention network": ("train", found["train"])}
    train |= {f"{short_name(shape)} alone": (shape, row) for shape, row in found["sweep"].items()}
    rows = [
        (
            f"{name}, training",
            "segments/s",
            row["textbook"],
            row["repro"],
            row["ratio"],
            found["limit"][key]["share"],
        )
        for name, (key, row) in train.items()
    ]
    rows += [
        (
            f"front end, {name}",
            "s of speech/s",
            row["librosa"],
            row["repro"],
            row["ratio"],
            row["repro"] / row["transforms"],
        )
        for name, row in found["front_end"].items()
    ]
    rows.append(("prediction", "utterances/s", None, found["predict"]["utterances"], None, None))
    return pd.DataFrame(rows, columns=RATES).astype(dict.fromkeys(RATES[2:], float))


# Comparisons -------------------------------------------------------------------------------------


def training(
    network: config.Network,
    device: torch.device,
    precision: trainer.Precision,
    *,
    steps: bool = False,
) -> dict[str, Any]:
    """Compare the textbook loop with the trainer: segments per second at the paper's batch size.

    With `steps`, also what lies between the two, each with all that stands before it: maps that
    lie channels last, memory that is kept, bfloat16, our network. What the trainer adds after them
    is to do without a loader, and to compile where that pays; last, the trainer that compiles where
    it would not, or the other way round, if there is a compiler.

    Memory that one side keeps, or gives back, would change how the other gets its own. So each has
    a process of its own.
    """
    trainer.give_back_memory()
    others = steps and trainer.compiler_works(device.type)
    common = network, str(device), precision, steps
    with (
        elsewhere(usual_ways, *common) as (usual, _),
        elsewhere(kept_ways, *common, others) as (kept, give_back),
    ):
        found = compare(usual | kept, device, settle=SETTLED, rest=give_back)
    return found | {"ratio": found["repro"] / found["textbook"]}


def usual_ways(
    network: config.Network, device: str, precision: trainer.Precision, steps: bool
) -> Ways:
    """Give the ways to train that leave memory to the C library."""
    ways = {"textbook": loop(network, device)}
    if steps:
        ways["channels last"] = loop(network, device, layout=torch.channels_last)
    return ways


def kept_ways(
    network: config.Network, device: str, precision: trainer.Precision, steps: bool, others: bool
) -> Ways:
    """Give the ways to train for which freed memory is kept."""
    ways: Ways = {}
    if steps:
        last: dict[str, Any] = {"layout": torch.channels_last, "keep": True}
        ways["memory kept"] = loop(network, device, **last)
        if half := precision == "bf16":
            ways["bfloat16"] = loop(network, device, half=True, **last)
        ways["network"] = loop(network, device, build=build_network, half=half, **last)
    segments, labels = (part.to(device) for part in batches(device))
    trained = build_network(network)
    settings = replace(config.Training(), epochs=1, milestones=())
    pays = trainer.compiling_pays(config.Experiment(), trainer.COMPILE_FROM, torch.device(device))

    def one_epoch(compiled: bool = pays) -> int:
        trainer.fit(
            trained,
            segments,
            labels,
            settings,
            seed=0,
            device=device,
            precision=precision,
            compiled=compiled,
        )
        synchronise(torch.device(device))
        return len(labels)

    ways["repro"] = one_epoch
    if others:
        ways["not compiled" if pays else "compiled"] = lambda: one_epoch(not pays)
    return ways


def loop(
    network: config.Network,
    device: str,
    *,
    build: Callable[[config.Network], nn.Module] | None = None,
    layout: torch.memory_format = torch.contiguous_format,
    half: bool = False,
    keep: bool = False,
) -> Callable[[], int]:
    """Give the textbook loop, a step at each call, with some of its parts changed."""
    where = torch.device(device)
    module = (build or TextbookNetwork)(network)
    steps = textbook(module, TensorDataset(*batches(device)), where, layout, half)

    def one_step() -> int:
        if keep:
            trainer.keep_freed_memory(True)
        # As torch has them by itself; the trainer has set them otherwise.
        with cudnn.flags(enabled=True, deterministic=False, allow_tf32=True):
            done = next(steps)
        synchronise(where)
        return done

    return one_step


def batches(device: str) -> tuple[Tensor, Tensor]:
    """Give noise to train on, and labels: a batch, or eight of them for a GPU."""
    generator = torch.Generator().manual_seed(0)
    count = paper.BATCH_SIZE * (8 if device.startswith("cuda") else 1)
    segments = torch.rand(count, 1, paper.BINS, paper.FRAMES, generator=generator) * 2 - 1
    return segments, torch.arange(count) % len(paper.EMOTIONS)


@contextmanager
def elsewhere(
    build: Callable[..., Ways], *arguments: Any
) -> Iterator[tuple[Ways, Callable[[], int]]]:
    """Context manager: the ways that `build` makes, in a process of their own.

    And what makes that process give back the memory that it has kept.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, build, arguments), daemon=True)
    process.start()
    there.close()

    def answer() -> Any:
        try:
            return here.recv()
        except EOFError as error:
            raise ReproError("a measurement of training ended early: is memory short?") from error

    def work(name: str) -> int:
        here.send(name)
        done: int = answer()
        return done

    try:
        yield {name: partial(work, name) for name in answer()}, partial(work, GIVE_BACK)
    finally:
        here.close()
        process.join()


def _serve(pipe: Connection, build: Callable[..., Ways], arguments: tuple[Any, ...]) -> None:
    ways = build(*arguments)
    pipe.send(list(ways))

    def give_back() -> int:
        trainer.give_back_memory()
        return 0

    ways[GIVE_BACK] = give_back
    with suppress(EOFError):  # nothing more is asked
        while True:
            pipe.send(ways[pipe.recv()]())


class TextbookNetwork(nn.Module):
    """The layers of `build_network` as the paper names them, one after another."""

    def __init__(self, network: config.Network):
        super().__init__()
        self.layers = build_network(network)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores that `build_network` gives, up to rounding."""
        stems, trunk, pooling = self.layers.stems, self.layers.trunk, self.layers.pooling
        maps = [conv(F.pad(x, pad)) for conv, pad in zip(stems.convs, stems.pads, strict=True)]
        x = F.relu(stems.norm(torch.cat(maps, 1)))
        for conv, norm, pooled in zip(trunk.convs, trunk.norms, trunk.pooled, strict=True):
            x = F.relu(norm(conv(x)))
            if pooled:
                x = F.max_pool2d(x, paper.POOL_WINDOW)
        if isinstance(pooling, GlobalAveragePooling):
            return pooling.classify(x.mean((2, 3)))
        return pooling(x)


def textbook(
    network: nn.Module,
    data: TensorDataset,
    device: torch.device,
    layout: torch.memory_format = torch.contiguous_format,
    half: bool = False,
) -> Iterator[int]:
    """Train as public re-implementations do; gives the size of each batch after its step."""
    loader = DataLoader(data, batch_size=paper.BATCH_SIZE, shuffle=True)
    network = network.to(device, memory_format=layout).train()  # type: ignore[call-overload]
    optimiser = torch.optim.SGD(
        network.parameters(),
        lr=paper.LEARNING_RATE,
        momentum=paper.MOMENTUM,
        nesterov=True,
        weight_decay=paper.WEIGHT_DECAY,
    )
    while True:
        for segments, labels in loader:
            optimiser.zero_grad()
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                scores = network(segments.to(device))
            loss = F.cross_entropy(scores.float(), labels.to(device))
            loss.backward()
            optimiser.step()
            loss.item()  # as they do, for the running loss
            yield len(segments)


def several(device: torch.device) -> dict[str, Any]:
    """Compare networks of one shape trained in turn and all at once: segments per second.

    At once, `torch.func` takes the gradients of all networks in one call, where their convolutions
    become one with groups. Folds or seeds of one network could be trained like that.
    """
    number = 8 if device.type == "cuda" else 2
    shape = study.variants("filter-shapes", "paper")[SWEEP[0]].network
    networks = [
        build_network(shape).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        for _ in range(number)
    ]
    segments = torch.rand(number, paper.BATCH_SIZE, 1, paper.BINS, paper.FRAMES, device=device)
    labels = torch.arange(paper.BATCH_SIZE, device=device) % len(paper.EMOTIONS)
    state = stack_module_state(networks)

    def loss(parameters: Any, buffers: Any, segments: Tensor) -> Tensor:
        scores = functional_call(networks[0], (parameters, buffers), (segments,))
        return F.cross_entropy(scores, labels)

    def in_turn() -> int:
        for network, own in zip(networks, segments, strict=True):
            network.zero_grad()
            F.cross_entropy(network(own), labels).backward()
        return number * paper.BATCH_SIZE

    def at_once() -> int:
        vmap(grad(loss))(*state, segments)
        return number * paper.BATCH_SIZE

    return compare({"in turn": in_turn, "at once": at_once}, device)


def front_end() -> dict[str, Any]:
    """Compare librosa, segment by segment, with the front end: seconds of speech per second.

    The limit of the front end are its `transforms`: those of an utterance and of its segments'
    edges, as if all else took no time.
    """
    try:
        import librosa
    except ImportError as error:
        raise ReproError(
            "repro bench compares with librosa, which is not here: pip install librosa"
        ) from error

    trainer.keep_freed_memory(False)  # as where features are extracted; librosa gains by it too
    waveform = torch.randn(round(SPEECH_SECONDS * paper.SAMPLE_RATE)) / 10
    window = np.hamming(spectrogram.WINDOW)

    def usual(hop_seconds: float) -> Callable[[], int]:
        hop = round(hop_seconds * paper.SAMPLE_RATE)
        samples = waveform.numpy()

        def each_segment() -> int:
            for start in range(0, len(samples) - spectrogram.SEGMENT + 1, hop):
                part = samples[start : start + spectrogram.SEGMENT]
                stft = librosa.stft(
                    part,
                    n_fft=paper.DFT_POINTS,
                    hop_length=spectrogram.SHIFT,
                    win_length=spectrogram.WINDOW,
                    window=window,
                )
                x = np.abs(stft[: paper.BINS, : paper.FRAMES])
                x = 2 * (x - x.min()) / (x.max() - x.min()) - 1
                librosa.mu_compress(x, mu=paper.MU, quantize=False)
            return 1

        return each_segment

    def ours(hop_seconds: float) -> Callable[[], int]:
        def whole_utterance() -> int:
            spectrogram.segments(waveform, config.FrontEnd(), hop_seconds)
            return 1

        return whole_utterance

    def transforms(hop_seconds: float) -> Callable[[], int]:
        edges = 3 * spectrogram.segment_count(len(waveform), hop_seconds)
        frames = torch.rand(1 + len(waveform) // spectrogram.SHIFT + edges, spectrogram.WINDOW)

        def all_frames() -> int:
            torch.fft.rfft(frames, n=paper.DFT_POINTS)
            return 1

        return all_frames

    found = {}
    for name, hop in (("training", paper.TRAIN_HOP_SECONDS), ("test", paper.TEST_HOP_SECONDS)):
        ways = {
            "librosa": repeated(usual(hop)),
            "repro": repeated(ours(hop)),
            "transforms": repeated(transforms(hop)),
        }
        found[name] = compare(ways, torch.device("cpu"), unit=SPEECH_SECONDS)
    return found


def prediction(device: torch.device, precision: trainer.Precision) -> dict[str, Any]:
    """Measure utterances per second at test overlap, from waveform to scores."""
    network = build_network(config.Network())
    waveform = torch.randn(round(SPEECH_SECONDS * paper.SAMPLE_RATE)) / 10

    def utterances() -> int:
        parts = [
            spectrogram.segments(waveform.to(device), config.FrontEnd(), paper.TEST_HOP_SECONDS)
            for _ in range(PREDICTED)
        ]
        trainer.predict(network, torch.cat(parts), device=device, precision=precision)
        return PREDICTED

    return compare({"utterances": utterances}, device) | {"seconds_each": SPEECH_SECONDS}


def scaling(device: torch.device, precision: trainer.Precision) -> dict[str, Any]:
    """Measure seconds per epoch with 1, 2 and 4 times the data: linear if `slope` is 1."""
    seconds = {}
    for times in (SCALES[0], *SCALES):  # the first warms up
        count = times * paper.BATCH_SIZE * (16 if device.type == "cuda" else 1)
        segments = torch.rand(count, 1, paper.BINS, paper.FRAMES, device=device)
        labels = torch.arange(count) % len(paper.EMOTIONS)
        network = build_network(config.Network())
        settings = replace(config.Training(), epochs=1, milestones=())
        trainer.give_back_memory()
        start = time.perf_counter()
        trainer.fit(network, segments, labels, settings, seed=0, device=device, precision=precision)
        seconds[times] = time.perf_counter() - start
    slope = np.polyfit(np.log(list(seconds)), np.log(list(seconds.values())), 1)[0]
    return {f"{times}x": value for times, value in seconds.items()} | {"slope": float(slope)}


def compare(
    ways: Ways,
    device: torch.device,
    unit: float = 1.0,
    settle: float = 0.0,
    rest: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """Let ways of doing the same take turns; give work per second of each, and their ratio.

    Each works at least twice in its turn, and the last time is measured.

    Args:
        ways: the second is compared with the first.
        device: what to wait for before the clock is read.
        unit: what one piece of work counts as.
        settle: seconds that each works at least in its turn before it is measured.
        rest: called after each turn.
    """
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for name in [*ways] * ROUNDS:
        turn = time.perf_counter()
        ways[name]()  # compiles; takes back the memory and caches that the other's turn left
        while time.perf_counter() - turn < settle:
            ways[name]()
        gc.collect()
        synchronise(device)
        start = time.perf_counter()
        done = ways[name]()
        synchronise(device)
        rates[name].append(unit * done / (time.perf_counter() - start))
        rest()
    medians = {name: statistics.median(rounds) for name, rounds in rates.items()}
    spread = {name: [min(rounds), max(rounds)] for name, rounds in rates.items()}
    found: dict[str, Any] = medians | {"spread": spread}
    if len(ways) > 1:
        first, second, *_ = medians.values()
        found["ratio"] = second / first
    return found


def repeated(work: Callable[[], int]) -> Callable[[], int]:
    """Repeat quick work until the clock can resolve it."""

    def repeat() -> int:
        done, start = 0, time.perf_counter()
        while time.perf_counter() - start < RESOLVED:
            done += work()
        return done

    return repeat


def synchronise(device: torch.device) -> None:
    """Wait for a GPU to finish."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


# Limits ------------------------------------------------------------------------------------------


def hardware(device: torch.device, precision: trainer.Precision) -> dict[str, float]:
    """Measure the best rates of a matrix product (operations/s) and of a copy (bytes/s).

    Of products in the precision of the network.
    """
    size = 4 * MATRIX if device.type == "cuda" else MATRIX
    source = torch.randn(COPIED, device=device)
    target = torch.empty_like(source)

    def product(dtype: torch.dtype) -> float:
        a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))

        def multiply() -> int:
            torch.mm(a, b)
            return 2 * size**3

        return compare({"rate": multiply}, device)["spread"]["rate"][1]

    def copy() -> int:
        for _ in range(COPIES):
            target.copy_(source)
        return COPIES * 2 * source.nbytes

    return {
        "operations_per_second": product(torch.bfloat16 if precision == "bf16" else torch.float32),
        "bytes_per_second": compare({"rate": copy}, device)["spread"]["rate"][1],
    }


def limit(
    network: config.Network, peaks: dict[str, float], precision: trainer.Precision, rate: float
) -> dict[str, float]:
    """Give the rate that this machine's arithmetic and memory would allow, and the share reached.

    The operations are those of the forward and backward convolutions and products. The least bytes
    are those of the maps that convolutions write: each is written and read going forward, read
    again going back, and its gradient written and read.
    """
    work = least_work(network)
    least_bytes = 5 * (2 if precision == "bf16" else 4) * work.numbers
    arithmetic = peaks["operations_per_second"] / work.operations
    traffic = peaks["bytes_per_second"] / least_bytes
    return {
        "operations": float(work.operations),
        "bytes": float(least_bytes),
        "arithmetic_limit": arithmetic,
        "memory_limit": traffic,
        "share": rate / min(arithmetic, traffic),
    }


class Work(NamedTuple):
    """What one segment costs in training."""

    operations: int  # multiplications and additions
    numbers: int  # in the maps that convolutions write


def least_work(network: config.Network) -> Work:
    """Count the work of one training step on one segment."""
    module = TextbookNetwork(network)
    numbers = 0

    def count(_: nn.Module, __: Any, output: Tensor) -> None:
        nonlocal numbers
        numbers += output[0].numel()

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    with FlopCounterMode(display=False) as counter:
        scores = module(torch.zeros(2, 1, paper.BINS, paper.FRAMES))
        F.cross_entropy(scores, torch.tensor([0, 1])).backward()
    return Work(counter.get_total_flops() // 2, numbers)


# Memory ------------------------------------------------------------------------------------------


def memory(device: str, precision: str) -> dict[str, float]:
    """Measure the peak memory, in GB, of a fold with as many segments as IEMOCAP gives.

    In a process of its own. Every segment is there, but only two batches are trained on, as more
    steps need no more memory.

    Returns:
        `resident_gb`, where memory is short; `resident_kept_gb`, where there is so much that the
        trainer keeps what is freed (`trainer.keep_freed_memory`); `device_gb`, on the GPU; and
        `training_segments`.
    """
    code = "import sys; from repro import bench; bench.fold_of_iemocap(*sys.argv[1:])"
    command = [sys.executable, "-c", code, device, precision]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReproError(f"the measurement of memory failed: {done.stderr.strip()[-300:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def fold_of_iemocap(device: str, precision: str) -> None:
    """Run a fold of IEMOCAP's size on noise and print its peak memory as JSON."""
    import resource

    def peak() -> float:
        # Kilobytes on Linux, bytes on a Mac.
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9

    where = trainer.choose_device(device)
    how = trainer.choose_precision(precision, where)
    seconds = [length for length, count in LENGTHS.items() for _ in range(count)]
    samples = [round(length * paper.SAMPLE_RATE) for length in seconds]
    table = pd.DataFrame(
        {
            "utterance": [f"u{i}" for i in range(len(samples))],
            "speaker": [f"s{i % paper.FOLDS}" for i in range(len(samples))],
            "emotion": [paper.EMOTIONS[i % len(paper.EMOTIONS)] for i in range(len(samples))],
            "samples": samples,
        }
    )
    experiment = config.Experiment(
        training=config.Training(epochs=1, milestones=(), max_segments=2 * paper.BATCH_SIZE)
    )
    with tempfile.TemporaryDirectory() as folder:
        files = {length: Path(folder) / f"{length}.wav" for length in set(samples)}
        for length, file in files.items():
            soundfile.write(
                file, np.random.default_rng(0).normal(0, 0.1, length), paper.SAMPLE_RATE
            )
        table["path"] = [str(files[length]) for length in samples]
        features = crossval.extract(table, experiment.front_end, where)
        fold = crossval.make_folds(table, experiment)[0]
        crossval.run_fold(
            features, fold, experiment, seed=0, device=where, precision=how, keep_memory=False
        )
    lean = peak()
    crossval.fit(
        build_network(experiment.network),
        crossval.training_set(features, fold, experiment.training, seed=0),
        experiment,
        seed=0,
        device=where,
        precision=how,
        keep_memory=True,
    )
    on_gpu = where.type == "cuda"
    found = {
        "resident_gb": lean,
        "resident_kept_gb": peak(),
        "device_gb": torch.cuda.max_memory_allocated() / 1e9 if on_gpu else 0.0,
        "training_segments": len(features.segments),
    }
    print(json.dumps(found))
