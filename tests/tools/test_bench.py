"""The benchmark counts and compares rightly; how fast anything is, no test says."""

import json
import os
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pandas as pd
import pytest
import torch
from conftest import python
from made_up import FP32, write_results

from repro import config, paper
from repro.device import Precision, processor
from repro.errors import ReproError
from repro.model import build_network
from repro.report.pages import speed
from repro.study.grids import Variant
from repro.tools import bench
from repro.tools.bench import Where

CPU = torch.device("cpu")
ALONE = config.Network(pooling="gap", stems=((10, 2),), stem_channels=16, trunk=())


def test_the_work_of_a_step_is_that_of_its_convolutions() -> None:
    positions = paper.BINS * paper.FRAMES
    forward = 2 * 16 * 10 * 2 * positions + 2 * 16 * 4
    # Going back, the filters have a gradient and the input has none; the linear layer has both.
    assert bench.operations(ALONE) == pytest.approx((2 * forward + 2 * 16 * 4) / 1e9)
    assert bench.operations(ALONE, training=False) == pytest.approx(forward / 1e9)


def test_ways_take_turns_and_the_median_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = iter([4.0, 10.0, 1.0, 30.0, 2.0, 20.0])
    monkeypatch.setattr(bench, "ROUNDS", 3)
    slow, quick = bench.compare("run", "km/h", dict.fromkeys(["slow", "quick"], rates.__next__))
    assert slow == {"what": "run", "way": "slow", "unit": "km/h"} | dict(value=2, low=1.5, high=3)
    assert (quick["value"], quick["low"], quick["high"], quick["ratio"]) == (20, 15, 25, 10)


def test_a_rate_is_taken_over_as_many_repetitions_as_the_clock_resolves() -> None:
    work = Mock(side_effect=lambda: time.sleep(0.2))  # never shorter
    assert 0 < bench.rate(work, 3) <= 3 / 0.2
    assert work.call_count <= 3  # fewer on a machine that is held up


ORPHAN = """
import os
from repro.tools import bench
if __name__ == "__main__":
    with bench.processes() as (first, second):
        print(first.submit(os.getpid).result(), flush=True)
        os._exit(0)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_process_that_measures_ends_with_the_command(tmp_path: Path) -> None:
    (tmp_path / "orphan.py").write_text(ORPHAN)
    worker = int(python(tmp_path / "orphan.py", timeout=60).stdout)
    deadline = time.monotonic() + 60
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(worker, 0)
            time.sleep(0.1)


def test_a_process_that_ends_early_is_one_line() -> None:
    with pytest.raises(ReproError, match="ended early"), bench.processes() as pools:
        pools[0].submit(os._exit, 3).result()


@pytest.mark.parametrize("pooling", ["gap", "bilinear", "attention"])
def test_the_textbook_network_is_the_same_network(pooling: str) -> None:
    """Trained on the same batch, both give the same loss and the same gradients."""
    layers = build_network(config.Network(pooling=pooling, stem_channels=2, trunk=(4, 6, 6, 8)))
    network = bench.TextbookNetwork(layers.double())
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


@pytest.mark.parametrize(("precision", "low", "high"), [("fp32", 0, 2e-4), ("bf16", 5e-3, 0.5)])
def test_the_error_of_each_way_is_found(precision: Precision, low: float, high: float) -> None:
    ways, network = [*bench.LOOPS, bench.TRAINER], config.Network(stride=(8, 8))
    found = dict(zip(ways, bench.errors(ways, network, Where(CPU, precision)), strict=True))
    assert low < found[bench.TRAINER] < high
    assert 0 < found["+ our layers"] == found["+ memory kept"] < 2e-4


few = partial(write_results, speakers=6, per_emotion=2)
HALF = FP32 | {"precision": "bf16"}


def even(table: pd.DataFrame) -> pd.Series:
    """Of each emotion, one of two is right."""
    return table["number"] % 2 == 0


def test_the_gain_of_attention_is_compared_between_precisions(tmp_path: Path) -> None:
    single, half = tmp_path / "fp32.jsonl", tmp_path / "bf16.jsonl"
    few(single, {"gap": even})
    few(single, {"attention": 1.0}, seeds=2)
    few(half, {"attention": even}, provenance=HALF)
    assert speed.compared("precision", "bf16", "fp32", single) is None
    few(half, {"gap": 1.0}, provenance=HALF)
    moved = speed.compared("precision", "bf16", "fp32", single, half)
    found = moved.set_index(["model", "score"])
    gain = found.loc[("attention − gap", "WA")]
    assert gain["fp32, exact, seed 0"] == "+50.0 [+50.0, +50.0]"
    assert gain["bf16, exact, seed 0"] == "−50.0 [−50.0, −50.0]"
    assert gain["bf16 − fp32"] == "−100.0 [−100.0, −100.0]"
    assert gain["fp32, exact, seed 1"] == "–"  # of which there is no GAP
    assert set(found.loc["gap", "fp32, exact, seed 1"]) == {"–"}


@pytest.mark.parametrize(
    ("by", "new", "old"), [("precision", "bf16", "fp32"), ("statistics", "exact", "torch")]
)
def test_arithmetics_are_compared_if_both_ran(tmp_path: Path, by: str, new: str, old: str) -> None:
    before, after = FP32 | {by: old}, FP32 | {by: new}
    first = few(tmp_path / "old.jsonl", {"gap": 1.0}, seeds=2, provenance=before)
    few(first, {"attention": 1.0}, provenance=before)
    assert speed.compared(by, new, old) is None
    assert speed.compared(by, new, old, first, tmp_path / "none.jsonl") is None
    second = few(tmp_path / "new.jsonl", {"gap": even, "bilinear": even}, provenance=after)
    found = speed.compared(by, new, old, first, second)
    one, other = ("{precision}, {statistics}".format(**way) for way in (before, after))
    columns = [f"{one}, seed 0", f"{one}, seed 1", f"{other}, seed 0", f"{new} − {old}"]
    assert list(found) == ["model", "score", *columns]
    cells = ["100.0 [100.0, 100.0]"] * 2 + ["50.0 [50.0, 50.0]", "−50.0 [−50.0, −50.0]"]
    assert found.to_numpy().tolist() == [["gap", score, *cells] for score in ("WA", "UA")]


def test_a_file_that_is_half_done_is_compared_on_the_folds_that_it_has(tmp_path: Path) -> None:
    old = FP32 | {"statistics": "torch"}
    first = few(tmp_path / "old.jsonl", {"gap": 1.0}, provenance=old)
    second = few(tmp_path / "new.jsonl", {"gap": even}, speakers=3)
    moved = speed.compared("statistics", "exact", "torch", first, second)
    assert set(moved["exact − torch"]) == {"−50.0"}


def test_what_folds_took_is_their_median_by_device(tmp_path: Path) -> None:
    assert speed.durations(tmp_path / "none.jsonl") is None
    files = [tmp_path / f"{seconds}.jsonl" for seconds in (30, 60, 120)]
    for path in files:
        made = FP32 | {"device": "GPU", "threads": 4, "seconds": int(path.stem)}
        few(path, {"gap": 1.0}, speakers=1, provenance=made)
    [row] = speed.durations(*files).to_dict("records")
    assert (row["pooling"], row["device"], row["minutes a fold"]) == ("gap", "GPU", 1.0)
    assert speed.on_iemocap(*files) is None, "of another network"
    made |= {"statistics": "cudnn", "seconds": 40}  # for 400 steps
    path = few(tmp_path / "paper.jsonl", {"gap": 1.0}, speakers=1, preset="paper", provenance=made)
    assert "on GPU (gap) they would take 4.1 hours of folds" in speed.on_iemocap(path).data


def test_the_processor_has_a_name() -> None:
    name, _, instructions = processor().partition(" (")
    assert name and instructions == f"{torch.backends.cpu.get_cpu_capability()})"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and "model name" in cpuinfo.read_text():
        assert name in cpuinfo.read_text()


def test_a_page_without_measurements_says_so(tmp_path: Path) -> None:
    machines = speed.benchmarks(tmp_path)
    assert "Nothing has been measured" in speed.measured(machines).data
    assert speed.answer(machines).data == "Not known yet."


@pytest.mark.slow
def test_all_is_measured_under_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = config.Network(stride=(8, 8))
    monkeypatch.setattr(bench, "ROUNDS", 1)
    monkeypatch.setattr(bench, "RESOLVED", 0.01)
    monkeypatch.setattr(bench, "MATRIX", 64)  # bfloat16 without units for it takes minutes
    # A process of its own unpickles the settings as those of the class.
    here = SimpleNamespace(**vars(config) | {"Network": lambda: small})
    monkeypatch.setattr(bench, "config", here)
    shape_alone = replace(ALONE, stride=(8, 8))
    experiment = config.Experiment(network=shape_alone)
    alone = {shape: Variant(shape, experiment) for shape in bench.SWEEP}
    monkeypatch.setattr(bench, "variants", lambda *_: alone)
    found = bench.run("cpu", "bf16")
    (tmp_path / "here.json").write_text(json.dumps(found))
    rows = pd.DataFrame(found["rows"])
    assert (rows["value"] > 0).all()
    assert rows.groupby("what")["way"].agg(list)[bench.ATTENTION] == [*bench.LOOPS, bench.TRAINER]
    trained = rows["unit"] == "segments/s"
    assert (rows["error"] > 0).equals(trained)
    ours = (rows["way"] == bench.TRAINER) | (rows["what"] == "prediction")
    assert (rows["share"] > 0).equals(ours)
    assert "prediction" in bench.text(found) and found["machine"]["device"] in bench.text(found)
    machines = speed.benchmarks(tmp_path)
    assert speed.measured(machines).data.count("<table") == 1
    in_fp32 = {"fp32": found | {"machine": found["machine"] | {"precision": "fp32"}}}
    both = speed.measured(in_fp32 | machines).data
    assert (both.count(">librosa<"), both.count(f">{bench.TRAINER}<")) == (2, 6)
    assert f"On **{found['machine']['device']}** (" in speed.answer(machines).data
