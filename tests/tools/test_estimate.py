import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_corpus
import torch
from conftest import Command

from repro import config, crossval
from repro.errors import ReproError
from repro.study import grids
from repro.study.plan import Run, prepare
from repro.study.run import run
from repro.tools import estimate
from repro.tools.estimate import SEGMENT_BYTES, Estimate, Speed

TINY = ["network.stem_channels=2", "network.trunk=(4,4,4,4)"]
TINY += ["training.max_segments=8", "training.epochs=1"]
Survey = Callable[..., Estimate]
SPEED = Speed(train=0.25, predict=0.5, memory=10**6, precomputed=10)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpus") / "emodb"
    return tiny_corpus.write(root, ["03", "08", "09"], [1.0, 2.5, 4.5])


@pytest.fixture
def fixed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every network takes what `SPEED` says; gives what was measured."""
    measured: list[str] = []

    def measure(experiment: config.Experiment, batch: int, *where: object) -> Speed:
        measured.append(f"{experiment.network.pooling} {batch}")
        return SPEED

    monkeypatch.setattr(estimate, "measure", measure)
    return measured


def asked(corpus: Path, path: Path, study: str, **changes: Any) -> Run:
    preset = tiny_corpus.changed(changes.pop("overrides", TINY))
    settings = {"root": corpus, "device": "cpu", "precision": "fp32"} | changes
    return Run(study, "emodb", preset=preset, results=path, **settings)


@pytest.fixture
def survey(corpus: Path, path: Path, fixed: list[str]) -> Survey:
    """A function that surveys studies on the corpus, with results in `path`."""
    return lambda *names, **how: estimate.survey([asked(corpus, path, n, **how) for n in names])


@pytest.mark.parametrize("scale", ["segment", "training-set"])
def test_time_and_memory_come_from_the_segments_that_are_really_there(
    scale: str, corpus: Path, path: Path, survey: Survey, fixed: list[str]
) -> None:
    overrides = [*TINY[:2], "training.epochs=3", "protocol.max_folds=None"]
    overrides += [f"front_end.scale={scale}"]
    found = survey("pooling", overrides=overrides)

    plan = prepare(asked(corpus, path, "pooling", overrides=overrides))
    [table] = plan.tables.values()
    seconds, memory = 0.0, 0
    for variant in plan.grid.values():
        experiment = variant.experiment
        features = crossval.extract(table, experiment.front_end)
        for fold in crossval.make_folds(table, experiment):
            train = crossval.training_set(features, fold, experiment.training, seed=0)
            test = torch.cat(list(train.test_segments(fold)))
            seconds += 3 * SPEED.train * len(train.rows) + SPEED.predict * len(test)
            held = features.segments.nbytes + SPEED.precomputed * len(features.segments)
            memory = max(memory, SPEED.memory + held)
            assert test[0].nbytes == SEGMENT_BYTES
    [row] = found.rows
    assert (row.variants, row.folds, row.done, row.left) == (3, 9, 0, 9)
    assert row.seconds == pytest.approx(seconds)
    assert found.memory == memory
    assert fixed == ["gap 16", "bilinear 16", "attention 16"]  # each network once


def test_the_best_epoch_on_the_test_speaker_is_scored_after_each(survey: Survey) -> None:
    epochs = ("protocol.epoch=last", "protocol.epoch=best-on-test")
    each = [survey("filter-shapes", overrides=["training.epochs=5", epoch]) for epoch in epochs]
    last, best = (found.rows[0] for found in each)
    # 12 utterances of 1, 2.5 and 4.5 s make 1, 2 and 7 test segments; two speakers, three shapes.
    assert best.seconds - last.seconds == pytest.approx(2 * 3 * 4 * SPEED.predict * 4 * (1 + 2 + 7))


def test_what_the_results_file_holds_is_not_counted_again(
    corpus: Path, path: Path, survey: Survey, fixed: list[str]
) -> None:
    run(asked(corpus, path, "pooling", only="gap"))
    before = path.read_bytes()
    found = survey("pooling", "pooling")
    assert [(row.folds, row.done, row.left) for row in found.rows] == [(6, 2, 4), (6, 6, 0)]
    assert found.rows[1].seconds == 0
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    assert "gap" not in " ".join(fixed)


def test_a_study_is_measured_in_its_own_precision(corpus: Path, path: Path, survey: Survey) -> None:
    run(asked(corpus, path, "pooling", precision="bf16", only="gap"))
    assert survey("pooling", precision="auto").device.endswith(", bf16")
    both = survey("pooling", "filter-shapes", precision="auto")
    assert both.device.endswith(", bf16 and fp32")

    with pytest.raises(ReproError, match="go on with --precision bf16") as surveyed:
        survey("pooling", precision="fp32")
    with pytest.raises(ReproError) as trained:
        run(asked(corpus, path, "pooling"))
    assert str(surveyed.value) == str(trained.value)


def test_maps_are_counted_where_another_study_trained_the_same_network(survey: Survey) -> None:
    found = survey("readings", "pooling")
    assert found.rows[1].left == 0  # the default of `readings` has maps of its own
    found = survey("pooling", "readings")
    assert found.rows[1].done == found.rows[0].left


@pytest.mark.parametrize("name", grids.STUDIES)
def test_every_study_is_surveyed(name: str, survey: Survey, tmp_path: Path) -> None:
    found = survey(name, overrides=())
    [row] = found.rows
    assert row.study == name
    assert 0 < row.left <= row.folds == row.done + row.left
    assert name in found.text() and "nothing was trained" in found.text()
    second = "left out: best readings (chosen once the others are trained)"
    assert (second in found.text()) == (name == "readings")
    assert second not in survey(name, overrides=(), only=next(iter(grids.known(name)))).text()
    assert list(tmp_path.iterdir()) == []


def test_a_network_is_measured() -> None:
    experiment = grids.variants("pooling", ", ".join(["smoke", *TINY]))["attention"].experiment
    speed = estimate.measure(experiment, 8, torch.device("cpu"), "fp32")
    assert 0 < speed.predict < 1 and 0 < speed.train < 1
    assert 10**8 < speed.memory < 10**11


def test_steps_that_fetch_memory_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first step that takes ten times as long as the others does not count."""
    pending = [0.0, 20.0, 6.0, *[2.0] * 10]  # the first is that of two segments
    clock = [0.0]

    def fit(*_: object, **__: object) -> None:
        clock[0] += pending.pop(0)

    monkeypatch.setattr(estimate.trainer, "fit", fit)
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: clock[0])
    experiment = grids.variants("pooling", ", ".join(["smoke", *TINY]))["gap"].experiment
    assert estimate.measure(experiment, 8, torch.device("cpu"), "fp32").train == 2.0 / 8


@pytest.mark.parametrize("scale", ["segment", "training-set"])
def test_moments_of_patches_cost_memory_where_training_is_given_them(
    scale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[torch.Tensor, ...]] = []
    monkeypatch.setattr(
        estimate.trainer, "fit", lambda *_, precomputed, **__: given.append(precomputed)
    )
    monkeypatch.setattr(estimate, "ENOUGH", 0)
    setting = f"smoke, front_end.scale={scale}"
    experiment = grids.variants("filter-shapes", setting)["2x2"].experiment
    speed = estimate.measure(experiment, 8, torch.device("cpu"), "fp32")
    assert bool(speed.precomputed) == any(given) == (scale == "segment")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (119.0, "119 s"), (150.0, "2.5 min"), (9000.0, "2.5 h"), (216_000.0, "2.5 d")],
)
def test_duration(seconds: float, text: str) -> None:
    assert estimate.duration(seconds) == text


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("words", [["run", "pooling", "--results"], ["report", "--out"]])
def test_a_dry_run_says_what_and_writes_nothing(
    words: list[str],
    corpus: Path,
    tmp_path: Path,
    precision: str,
    fixed: list[str],
    command: Command,
) -> None:
    how = ["--preset=smoke", "--device=cpu", f"--precision={precision}", "--dry-run"]
    place = tmp_path / "new" / "place"
    outcome = command(*words, place, "--corpus=emodb", f"--root={corpus}", *how)
    assert outcome.status == 0
    shown = "\n".join(outcome.out)
    assert re.search(r"pooling +3 +6 +0 +6 ", shown)
    every = words[0] == "report"
    both = "fp32 and bf16" if every and precision == "bf16" else precision  # Section 3.2 in float32
    assert re.search(rf", {both}: [\d.]+ MB of memory \([\d.]+ GB there\)$", shown, re.M)
    assert ("recovery" in shown) == every
    assert list(tmp_path.iterdir()) == []


def test_faults_are_told_as_when_training(path: Path, survey: Survey) -> None:
    with pytest.raises(ReproError, match="no-such-folder"):
        survey("pooling", root=path.parent / "no-such-folder")
    path.write_text(json.dumps("Dear diary") + "\n")
    with pytest.raises(ReproError, match=str(path)):
        survey("pooling")
