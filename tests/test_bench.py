"""The benchmark counts and compares rightly; how fast anything is, no test says."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from results_line import RECORD

from repro import bench, config, paper, spectrogram
from repro.errors import ReproError
from repro.pages import speed

CPU = torch.device("cpu")


def test_the_lengths_are_those_that_give_iemocaps_segments() -> None:
    samples = [round(s * paper.SAMPLE_RATE) for s, n in bench.LENGTHS.items() for _ in range(n)]
    assert len(samples) == 2280
    assert sum(spectrogram.segment_count(n, paper.TRAIN_HOP_SECONDS) for n in samples) == 7039
    assert sum(spectrogram.segment_count(n, paper.TEST_HOP_SECONDS) for n in samples) == 15470
    assert sum(samples) / paper.SAMPLE_RATE / 3600 == pytest.approx(2.78, abs=0.05)


def test_the_work_of_a_step_is_that_of_its_convolutions() -> None:
    network = config.Network(pooling="gap", stems=((10, 2),), stem_channels=16, trunk=())
    positions = paper.BINS * paper.FRAMES
    forward = 2 * 16 * 10 * 2 * positions + 2 * 16 * 4
    work = bench.least_work(network)
    # Going back, the filters have a gradient and the input has none; the linear layer has both.
    assert work.operations == 2 * forward + 2 * 16 * 4
    assert work.numbers == 16 * positions


def test_ways_take_turns_and_the_first_round_does_not_count() -> None:
    turns: list[str] = []

    def slow() -> int:
        turns.append("slow")
        time.sleep(0.2 if len(turns) > 2 else 1)
        return 1

    def quick() -> int:
        turns.append("quick")
        time.sleep(0.05)
        return 1

    found = bench.compare({"slow": slow, "quick": quick}, CPU)
    assert turns == ["slow", "slow", "quick", "quick"] * bench.ROUNDS
    assert found["ratio"] == found["quick"] / found["slow"] > 1
    assert found["slow"] <= 5 and found["quick"] <= 20  # sleeps are never shorter
    assert found["spread"]["slow"][0] <= found["slow"] <= found["spread"]["slow"][1]


def test_ways_may_settle_before_they_are_measured_and_rest_afterwards() -> None:
    turns: list[float] = []

    def work() -> int:
        turns.append(0.3 if len(turns) < 3 else 0.01)
        time.sleep(turns[-1])
        return 1

    rests: list[int] = []
    found = bench.compare({"work": work}, CPU, settle=0.7, rest=lambda: rests.append(len(turns)))
    assert rests[0] == 3 + 1 and len(rests) == bench.ROUNDS
    assert found["spread"]["work"][0] > 1 / 0.3


def test_ways_may_work_in_a_process_of_their_own() -> None:
    small = config.Network(stride=(8, 8))
    with bench.elsewhere(bench.usual_ways, small, "cpu", "fp32", True) as (ways, give_back):
        assert give_back() == 0
        assert {name: work() for name, work in ways.items()} == {
            "textbook": paper.BATCH_SIZE,
            "channels last": paper.BATCH_SIZE,
        }
    with pytest.raises(ReproError, match="ended early"), bench.elsewhere(os._exit, 3):
        pass


def test_a_limit_is_the_tighter_of_arithmetic_and_memory() -> None:
    network = config.Network(pooling="gap", stems=((10, 2),), stem_channels=16, trunk=())
    work = bench.least_work(network)
    peaks = {"operations_per_second": 10.0 * work.operations, "bytes_per_second": 1e15}
    assert bench.limit(network, peaks, "fp32", rate=5.0)["share"] == pytest.approx(0.5)
    peaks = {"operations_per_second": 1e15, "bytes_per_second": 20.0 * work.numbers}
    assert bench.limit(network, peaks, "fp32", rate=0.5)["share"] == pytest.approx(0.5)
    assert bench.limit(network, peaks, "bf16", rate=1.0)["share"] == pytest.approx(0.5)


@pytest.mark.parametrize("pooling", ["gap", "bilinear", "attention"])
def test_the_textbook_network_is_the_same_network(pooling: str) -> None:
    """Trained on the same batch, both give the same loss and the same gradients."""
    network = bench.TextbookNetwork(
        config.Network(pooling=pooling, stem_channels=2, trunk=(4, 6, 6, 8))
    ).double()
    x = torch.rand(4, 1, 40, 24, dtype=torch.float64) * 2 - 1
    weights = [p for p in network.parameters() if p.requires_grad]
    found = []
    for module in (network, network.layers):
        scores = module(x)
        loss = torch.nn.functional.cross_entropy(scores, torch.tensor([0, 1, 2, 3]))
        gradients = torch.autograd.grad(loss, weights)
        found.append((scores, *gradients))
    assert max(float(g.abs().max()) for g in found[0][1:]) > 1e-3
    torch.testing.assert_close(*found, atol=1e-7, rtol=1e-7)


def write_poolings(path: Path, precision: str, happy: float, **variants: int) -> Path:
    """Add folds of six speakers to a results file; the happy one gets this score for happy."""
    scores = {"happy": [happy, 0.1], "angry": [0.3, 0.9]}
    for variant, seeds in variants.items():
        for seed, fold in itertools.product(range(seeds), range(6)):
            record = RECORD | {"variant": variant, "seed": seed, "fold": f"{fold:02d}"}
            record |= {"preset": "coarse", "key": variant}
            record["provenance"] = RECORD["provenance"] | {"precision": precision}
            record["predictions"] = RECORD["predictions"] | scores
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
    return path


def test_the_gain_of_attention_is_compared_between_precisions(tmp_path: Path) -> None:
    single, half = tmp_path / "fp32.jsonl", tmp_path / "bf16.jsonl"
    write_poolings(single, "fp32", 0.1, gap=1)
    write_poolings(single, "fp32", 0.9, attention=2)
    write_poolings(half, "bf16", 0.1, attention=1)
    assert speed.gain_by_precision(single) is None
    assert speed.gain_by_precision(single, half) is None
    write_poolings(half, "bf16", 0.9, gap=1)
    said = speed.gain_by_precision(single, half).data
    assert "is +50.0 [+50.0, +50.0] points of WA" in said
    assert "in float32, and −50.0 [−50.0, −50.0] points of WA" in said
    assert "The second minus the first is −100.0 [−100.0, −100.0] points of WA" in said
    assert "1 seed that both have" in said


def test_precisions_are_compared_where_both_were_run(tmp_path: Path) -> None:
    single = write_poolings(tmp_path / "fp32.jsonl", "fp32", 0.9, gap=2, attention=1)
    assert speed.precisions() is None
    assert speed.precisions(single, tmp_path / "none.jsonl") is None
    half = write_poolings(tmp_path / "bf16.jsonl", "bf16", 0.1, gap=1, bilinear=1)
    found = speed.precisions(single, half)
    assert found.to_dict("records") == [
        {
            "model": "gap",
            "score": score,
            "bf16, seed 0": "50.0 [50.0, 50.0]",
            "fp32, seed 0": "100.0 [100.0, 100.0]",
            "fp32, seed 1": "100.0 [100.0, 100.0]",
            "bf16 − fp32": "−50.0 [−50.0, −50.0]",
        }
        for score in ("WA", "UA")
    ]


def test_memory_is_measured_given_back_and_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept: list[bool] = []
    monkeypatch.setattr(bench.trainer, "keep_freed_memory", kept.append)
    small = config.Experiment(network=config.Network(stride=(8, 8)))
    monkeypatch.setattr(
        bench.config, "Experiment", lambda training: replace(small, training=training)
    )
    monkeypatch.setattr(bench, "LENGTHS", {2.0: 10, 3.0: 10})
    bench.fold_of_iemocap("cpu", "fp32")
    assert kept == [False, False, True]  # to extract features; to train twice
    found = json.loads(capsys.readouterr().out)
    assert found["training_segments"] == 10 + 2 * 10
    assert 0 < found["resident_gb"] <= found["resident_kept_gb"] and found["device_gb"] == 0


def test_the_processor_has_a_name() -> None:
    found = bench.machine(CPU, "fp32")
    name, _, instructions = found["device"].partition(" (")
    assert name and instructions == f"{torch.backends.cpu.get_cpu_capability()})"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and "model name" in cpuinfo.read_text():
        assert name in cpuinfo.read_text()
    assert name in speed.measured_on({"here": {"machine": found}}).data


@pytest.mark.slow
def test_everything_is_measured_under_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    small = config.Network(stride=(8, 8))
    alone = replace(small, pooling="gap", stems=((10, 2),), trunk=())
    monkeypatch.setattr(bench, "ROUNDS", 1)
    monkeypatch.setattr(bench, "SETTLED", 0.0)
    # A process of its own would not see what is small here.
    here = contextlib.contextmanager(lambda build, *how: iter([(build(*how), lambda: 0)]))
    monkeypatch.setattr(bench, "elsewhere", here)
    # The compiler cannot read through the checks of shapes that the tests switch on.
    monkeypatch.setattr(bench.trainer, "compiler_works", lambda _: False)
    monkeypatch.setattr(bench.config, "Network", lambda: small)
    monkeypatch.setattr(bench, "SWEEP", ("10x2",))
    monkeypatch.setattr(
        bench.study, "variants", lambda *_: {"10x2": config.Experiment(network=alone)}
    )
    monkeypatch.setattr(bench, "memory", lambda *_: {"resident_gb": 1.0})
    found = bench.run("cpu", "fp32")
    assert list(found) == [
        *("machine", "train", "sweep", "several"),
        *("front_end", "predict", "limit", "memory", "scaling"),
    ]
    assert found["several"]["at once"] > 0
    json.dumps(found)
    assert {"textbook", "repro", "ratio"} < set(found["train"])
    assert len(speed.steps({"here": found})) >= len(["textbook", "layout", "memory", "ours"])
    assert set(found["limit"]) > {"train", "10x2"}
    assert "attention network, training" in bench.text(found)
