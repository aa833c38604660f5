"""The studies `readings` and `protocol` as they run: rows, refusals, second stage, twins."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_corpus

from repro import config, crossval, results
from repro.config import Experiment
from repro.corpora import load_corpus
from repro.evidence import effects
from repro.study import cluster, fold, grids, read
from repro.study.plan import Task, applicable, plan, second_stage, without_twins
from repro.study.run import run as train

SMALL = [
    "network.stem_channels=2",
    "network.trunk=(4, 4, 4, 4)",
    "network.stride=(8, 8)",
    "training.epochs=1",
    "training.max_segments=8",
    "protocol.max_folds=2",
]
IEMOCAP_ONLY = {"protocol.labels=hap+exc", "protocol.folds=letter", "protocol.folds=session"}


@pytest.fixture(scope="module")
def emodb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_corpus.write(tmp_path_factory.mktemp("corpus") / "emodb")


@pytest.fixture(scope="module")
def iemocap(tmp_path_factory: pytest.TempPathFactory, write_wav: Callable[..., Path]) -> Path:
    """Two sessions of noise; in each, either actor wears the markers once."""
    root = tmp_path_factory.mktemp("corpus") / "iemocap"
    for session in (1, 2):
        for letter in "FM":
            dialogue = f"Ses0{session}{letter}_impro01"
            lines = []
            for sex in "FM":
                for number, label in enumerate(["neu", "hap", "sad", "ang", "exc"]):
                    name = f"{dialogue}_{sex}{number:03}"
                    lines.append(f"[1.0 - 2.0]\t{name}\t{label}\t[2.5, 2.5, 2.5]")
                    folder = root / f"Session{session}" / "sentences" / "wav" / dialogue
                    write_wav(folder / f"{name}.wav", seconds=1.5 + 0.7 * (number % 2))
            file = root / f"Session{session}" / "dialog" / "EmoEvaluation" / f"{dialogue}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n".join(lines), encoding="utf-8")
    return root


def run(root: Path, results_file: Path, name: str, **how: Any) -> int:
    settings: dict[str, Any] = {"corpus": root.name, "root": root, "preset": "coarse"}
    settings |= {"device": "cpu", "precision": "fp32", "overrides": SMALL}
    return train(name, results_file=results_file, **(settings | how))


@pytest.fixture(scope="module")
def readings(emodb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("results") / "r.jsonl"
    run(emodb, path, "readings")
    return path


def variants_in(path: Path) -> list[str]:
    return list(dict.fromkeys(record["variant"] for record in results.read_lines(path)))


# Rows --------------------------------------------------------------------------------------------


def test_readings_runs_every_row_and_then_the_best_together(readings: Path) -> None:
    grid = grids.variants("readings", "coarse", SMALL)
    wanted = [variant for variant in grid if variant not in IEMOCAP_ONLY]
    found = variants_in(readings)
    assert set(found) == {*wanted, *grids.AT_ITS_BEST}
    assert found[-3:] == list(grids.AT_ITS_BEST)
    records = results.read_lines(readings)
    assert len(records) == 2 * len(variants_in(readings))
    found = effects.table(results.read(readings).predictions)
    assert set(found["variant"]) == set(wanted) - set(grids.TO_THE_LETTER)


def test_rows_that_a_corpus_refuses_are_left_out_in_one_line(
    emodb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.jsonl"
    run(emodb, path, "protocol", progress=lambda *_: None)
    [line, counts] = capsys.readouterr().err.splitlines()
    assert "the counts differ from the published release" in counts
    assert all(variant in line for variant in IEMOCAP_ONLY)
    assert "no excited utterances" in line and "IEMOCAP's utterance names" in line
    assert set(variants_in(path)) == {"default", *grids.TRAPS} - IEMOCAP_ONLY
    run(emodb, path, "pooling", progress=lambda *_: None)
    assert capsys.readouterr().err.splitlines() == [counts]


def test_protocol_runs_every_trap_on_a_corpus_of_iemocaps_shape(
    iemocap: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.jsonl"
    every = [*SMALL[:-1], "protocol.max_folds=None"]
    run(iemocap, path, "protocol", overrides=every, progress=lambda *_: None)
    [counts] = capsys.readouterr().err.splitlines()
    assert "the counts differ from the published release" in counts
    assert set(variants_in(path)) == {"default", *grids.TRAPS}
    predictions = results.read(path).predictions
    held_out = {name: set(group["fold"]) for name, group in predictions.groupby("variant")}
    assert held_out["default"] == held_out["protocol.folds=letter"]
    assert held_out["protocol.folds=session"] == {"Ses01", "Ses02"}
    assert len(held_out["protocol.folds=random"]) == 10
    lengths = load_corpus("iemocap", iemocap).set_index("utterance")["samples"]
    for variant in ("front_end.short=drop-test", "front_end.short=drop"):
        tested = predictions.loc[predictions["variant"] == variant, "utterance"]
        assert set(tested) == set(lengths.index[lengths >= 32_000])
    # What is dropped from the test alone leaves the network as it is.
    scores = predictions.set_index(["variant", "utterance"])[["happy", "sad"]]
    dropped = scores.loc["front_end.short=drop-test"]
    assert dropped.equals(scores.loc["default"].loc[dropped.index])
    notes = effects.table(predictions).set_index("variant")["note"]
    assert not notes[
        ["protocol.folds=letter", "protocol.folds=session", "protocol.folds=random"]
    ].any()
    assert "more than the default" in notes["protocol.labels=hap+exc"]


def test_short_utterances_can_be_left_out_of_the_test_alone(emodb: Path) -> None:
    table = load_corpus("emodb", emodb)
    base = config.preset("paper")
    [fold, _] = crossval.make_folds(table, base.override("front_end.short=drop-test"))
    [whole, _] = crossval.make_folds(table, base)
    assert (fold.train == whole.train).all()
    assert (table["samples"].iloc[fold.test] >= 32_000).all() and len(fold.test) == 4


# The second stage --------------------------------------------------------------------------------


def stage(path: Path, emodb: Path) -> dict[str, Experiment]:
    grid, tables, _ = applicable(grids.variants("readings", "coarse", SMALL), "emodb", emodb)
    return second_stage("readings", grid, tables, path)


def rewrite(source: Path, target: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Copy a results file with each line changed in place; lines for which it gives None stay."""
    lines = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    kept = [line for line in lines if change(line) is not False]
    target.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    return target


def test_what_is_best_follows_the_training_losses(
    readings: Path, emodb: Path, tmp_path: Path
) -> None:
    def low_for_power(line: dict[str, Any]) -> None:
        line["history"] = [0.5 if line["variant"] == "front_end.magnitude=power" else 1.0]

    best = stage(rewrite(readings, tmp_path / "a.jsonl", low_for_power), emodb)
    base = grids.variants("readings", "coarse", SMALL)["default"]
    assert best["best readings, attention"] == base.override("front_end.magnitude=power")


def test_what_is_best_never_depends_on_predictions(
    readings: Path, emodb: Path, tmp_path: Path
) -> None:
    def all_wrong_or_right(line: dict[str, Any]) -> None:
        predictions = line["predictions"]
        for emotion in ("neutral", "happy", "sad", "angry"):
            right = line["variant"] == "front_end.bins=1-400"
            predictions[emotion] = [
                float((true == emotion) == right) for true in predictions["emotion"]
            ]

    changed = rewrite(readings, tmp_path / "a.jsonl", all_wrong_or_right)
    assert stage(changed, emodb) == stage(readings, emodb)


def test_nothing_is_best_before_every_fold_of_the_first_seed_is_there(
    readings: Path, emodb: Path, tmp_path: Path
) -> None:
    lines = len(results.read_lines(readings))
    gone = iter(range(lines))
    first_lost = rewrite(readings, tmp_path / "a.jsonl", lambda line: next(gone) != 10)
    assert len(results.read_lines(first_lost)) == lines - 1
    assert stage(first_lost, emodb) == {}
    assert stage(tmp_path / "none.jsonl", emodb) == {}


def test_more_seeds_do_not_change_what_is_best(readings: Path, emodb: Path, tmp_path: Path) -> None:
    chosen = stage(readings, emodb)
    other = rewrite(readings, tmp_path / "b.jsonl", lambda line: line.update(seed=1, history=[0.0]))
    both = tmp_path / "a.jsonl"
    both.write_bytes(readings.read_bytes() + other.read_bytes())
    assert stage(both, emodb) == chosen


def test_an_interrupted_study_goes_on_to_the_same_end(
    readings: Path, emodb: Path, tmp_path: Path
) -> None:
    lost = {"front_end.bins=1-400", "best readings, gap", "best readings, bilinear"}
    part = rewrite(readings, tmp_path / "a.jsonl", lambda line: line["variant"] not in lost)
    run(emodb, part, "readings")

    def content(path: Path) -> list[Any]:
        records = sorted(results.read_lines(path), key=results.identity)
        return [(results.identity(r), r["history"], r["predictions"]) for r in records]

    assert content(part) == content(readings)
    assert run(emodb, part, "readings") == 0


def test_reading_takes_the_second_stage_with_the_first(
    readings: Path, emodb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smallest = config.preset("coarse")
    for assignment in SMALL:
        smallest = smallest.override(assignment)
    monkeypatch.setitem(config.PRESETS, "coarse", smallest)
    found = read.read(
        "readings", corpus="emodb", root=emodb, preset="coarse", results_file=readings
    )
    assert list(dict.fromkeys(found.folds["variant"])) == variants_in(readings)
    assert set(grids.AT_ITS_BEST) <= set(found.folds["variant"])


# Twins -------------------------------------------------------------------------------------------


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The variants of the folds that have been trained, as they are trained."""
    trained: list[str] = []
    run_task = fold.run_task

    def spy(task: Task, *args: Any, **kwargs: Any) -> dict[str, Any]:
        trained.append(task.heading["variant"])
        return run_task(task, *args, **kwargs)

    monkeypatch.setattr("repro.study.run.run_task", spy)
    return trained


def test_a_fold_that_another_study_has_trained_is_not_trained_again(
    readings: Path, emodb: Path, tmp_path: Path, trained: list[str]
) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(readings.read_bytes())
    before = {(r["variant"], r["fold"]): r for r in results.read_lines(path)}
    assert run(emodb, path, "protocol") == 0 and not trained
    for record in results.read_lines(path):
        if record["study"] == "protocol" and (record["variant"], record["fold"]) in before:
            twin = before[record["variant"], record["fold"]]
            assert record["predictions"] == twin["predictions"]
            assert record["key"] == twin["key"] == config.from_dict(record["experiment"]).key
    # Maps are kept with the study of poolings alone, so its attention network is trained for them.
    trained.clear()
    run(emodb, path, "pooling")
    assert trained == ["attention"] * 2


def test_what_differs_in_its_test_alone_is_trained_once(
    emodb: Path, tmp_path: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = grids.variants("protocol", "coarse", SMALL)
    grid = {name: grid[name] for name in ("default", "front_end.short=drop-test")}
    grid["protocol.average=folds"] = grid["default"].override("protocol.average=folds")
    monkeypatch.setattr(grids, "variants", lambda *_: grid)
    assert run(emodb, tmp_path / "together.jsonl", "protocol") == 2
    assert trained == ["default"] * 2
    # The same as when each is trained by itself; what was tested on less is no twin of the default.
    for number, name in enumerate(reversed(grid)):
        run(emodb, tmp_path / f"{number}.jsonl", "protocol", only=name)
    alone = [r for n in range(3) for r in results.read_lines(tmp_path / f"{n}.jsonl")]
    assert trained == ["default"] * 2 + [r["variant"] for r in alone]
    scores = {results.identity(r): r["predictions"] for r in alone}
    together = results.read_lines(tmp_path / "together.jsonl")
    assert {results.identity(r): r["predictions"] for r in together} == scores
    run(emodb, tmp_path / "1.jsonl", "protocol", only="default")
    assert trained[-2:] == ["default"] * 2
    lengths = {len(r["predictions"]["utterance"]) for r in together}
    assert len(lengths) > 1


def test_where_the_test_chooses_the_epoch_another_test_is_no_twin(
    emodb: Path, tmp_path: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = grids.variants("protocol", "coarse", [*SMALL, "protocol.epoch=best-on-test"])
    grid = {name: grid[name] for name in ("default", "front_end.short=drop-test")}
    monkeypatch.setattr(grids, "variants", lambda *_: grid)
    assert run(emodb, tmp_path / "r.jsonl", "protocol") == 4
    assert trained == [name for name in grid for _ in range(2)]


def test_one_reading_alone_brings_no_second_stage(emodb: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    assert run(emodb, path, "readings", only="front_end.scale=segment-log") == 2
    assert run(emodb, path, "readings", only="default") == 2
    assert variants_in(path) == ["front_end.scale=segment-log", "default"]


def test_another_seed_or_corpus_is_no_twin(readings: Path, emodb: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(readings.read_bytes())
    grid, tables, _ = applicable(
        {"gap": grids.variants("pooling", "coarse", SMALL)["gap"]}, "emodb", emodb
    )
    tasks = plan("pooling", "x", grid, tables, seeds=2)
    left = without_twins(tasks, tables, path)
    assert [task.heading["seed"] for task in left] == [1, 1]


def test_on_a_cluster_the_second_stage_follows_too(
    readings: Path, emodb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    lost = ("best readings", "network.padding")
    part = rewrite(readings, tmp_path / "a.jsonl", lambda r: not r["variant"].startswith(lost))
    whole = {results.identity(record): record for record in results.read_lines(readings)}
    sent: list[list[str]] = []

    def on_cluster(address: str, tasks: Any, tables: Any, path: Path, **how: Any) -> None:
        sent.append([task.heading["variant"] for task in tasks])
        for task in tasks:
            results.append(path, whole[results.identity(task.heading)])

    monkeypatch.setattr(cluster, "run", on_cluster)
    run(emodb, part, "readings", ray="local")
    assert sent[0] == [f"network.padding={value}" for value in ("silence", "none") for _ in "ab"]
    assert set(sent[1]) <= set(grids.AT_ITS_BEST)
    assert set(variants_in(part)) == set(variants_in(readings))
