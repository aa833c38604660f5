"""The benchmark counts and compares rightly; how fast anything is, no test says."""

from __future__ import annotations

import json
import time

import pytest
import torch

from repro import bench, config, paper, spectrogram

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


def test_a_limit_is_the_tighter_of_arithmetic_and_memory() -> None:
    network = config.Network(pooling="gap", stems=((10, 2),), stem_channels=16, trunk=())
    work = bench.least_work(network)
    peaks = {"operations_per_second": 10.0 * work.operations, "bytes_per_second": 1e15}
    assert bench.limit(network, peaks, "fp32", rate=5.0)["share"] == pytest.approx(0.5)
    peaks = {"operations_per_second": 1e15, "bytes_per_second": 5.0 * 4 * work.numbers}
    assert bench.limit(network, peaks, "fp32", rate=0.5)["share"] == pytest.approx(0.5)
    assert bench.limit(network, peaks, "bf16", rate=0.5)["share"] == pytest.approx(0.25)


@pytest.mark.slow
def test_everything_is_measured_under_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    small = config.Network(stride=(8, 8))
    monkeypatch.setattr(bench, "ROUNDS", 1)
    monkeypatch.setattr(bench.config, "Network", lambda: small)
    monkeypatch.setattr(bench, "SWEEP", ("10x2",))
    monkeypatch.setattr(
        bench.study, "variants", lambda *_: {"10x2": config.Experiment(network=small)}
    )
    monkeypatch.setattr(bench, "memory", lambda *_: {"resident_gb": 1.0})
    found = bench.run("cpu", "fp32")
    assert list(found) == [
        *("machine", "train", "sweep", "front_end", "predict", "limit", "memory", "scaling")
    ]
    json.dumps(found)
    assert {"textbook", "repro", "ratio", "channels last", "memory kept"} < set(found["train"])
    assert found["front_end"]["test"]["ratio"] > 1
    assert set(found["limit"]) > {"train", "10x2"}
    assert "attention network, training" in bench.text(found)
