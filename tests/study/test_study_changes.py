"""The studies `readings` and `protocol` as they run: rows, second stage, what is shared."""

import json
from collections.abc import Callable
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import tiny_corpus
import tiny_iemocap
from made_up import record

from repro import config, crossval, paper, results
from repro.config import Experiment
from repro.corpora import load_corpus
from repro.errors import DivergedError
from repro.evidence import effects
from repro.report.pages import variations
from repro.study import cluster, fold, grids
from repro.study.ledger import Ledger, open_ledger
from repro.study.plan import Plan, Run, Task, missing, prepare
from repro.study.read import held, study_lines
from repro.study.run import run as train

SMALL = [*tiny_corpus.SMALL, "training.epochs=1", "protocol.max_folds=2"]
PRESET = tiny_corpus.changed(SMALL, "coarse")
IEMOCAP_ONLY = {"protocol.labels=hap+exc", "protocol.folds=letter", "protocol.folds=session"}


@pytest.fixture(scope="module")
def iemocap(tmp_path_factory: pytest.TempPathFactory, write_wav: Callable[..., Path]) -> Path:
    """Two sessions of noise; in each, either actor wears the markers once."""
    root = tmp_path_factory.mktemp("corpus") / "iemocap"
    labels = enumerate(["neu", "hap", "sad", "ang", "exc"])
    turns = [
        (f"Ses0{session}{letter}_impro01_{sex}{number:03}", label)
        for (number, label), session, letter, sex in product(labels, (1, 2), "FM", "FM")
    ]
    for path in tiny_iemocap.write(root, turns):
        write_wav(path, seconds=1.5 + 0.7 * (int(path.stem[-1]) % 2))
    return root


def asked(root: Path, path: Path, name: str, **how: Any) -> Run:
    preset = tiny_corpus.changed(how.pop("overrides", SMALL), "coarse")
    settings = {"device": "cpu", "precision": "fp32"} | how
    return Run(name, root.name, root, preset, path, **settings)


def silent(*_: object) -> None:
    """No line for each fold."""


Train = Callable[..., int]


@pytest.fixture
def run(corpus: Path, path: Path) -> Train:
    """A function that trains a study on the tiny corpus, with results in `path`."""
    return lambda name, path=path, **how: train(asked(corpus, path, name, **how), silent)


@pytest.fixture(scope="module")
def readings(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("results") / "r.jsonl"
    train(asked(corpus, path, "readings"), silent)
    return path


def as_counted(path: Path, name: str, overrides: list[str] = SMALL) -> list[dict[str, Any]]:
    return study_lines(open_ledger(path), name, tiny_corpus.changed(overrides, "coarse"))


def variants_in(path: Path, name: str, overrides: list[str] = SMALL) -> list[str]:
    return list(dict.fromkeys(line["variant"] for line in as_counted(path, name, overrides)))


# Rows --------------------------------------------------------------------------------------------


def test_readings_runs_every_row_and_then_the_best_together(readings: Path) -> None:
    grid = grids.variants("readings", PRESET)
    wanted = [variant for variant in grid if variant not in IEMOCAP_ONLY]
    found = variants_in(readings, "readings")
    assert set(found) == {*wanted, *grids.AT_ITS_BEST}
    assert found[-3:] == list(grids.AT_ITS_BEST)
    lines = as_counted(readings, "readings")
    assert len(lines) == 2 * len(found)
    found = effects.table(results.tables(lines).predictions)
    assert set(found["variant"]) == set(wanted) - set(grids.TO_THE_LETTER)


def test_rows_that_a_corpus_refuses_are_left_out_in_one_line(
    path: Path, run: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    run("protocol")
    [line, counts] = capsys.readouterr().err.splitlines()
    assert "the counts differ from the published release" in counts
    assert all(variant in line for variant in IEMOCAP_ONLY)
    assert "no excited utterances" in line and "IEMOCAP's utterance names" in line
    assert set(variants_in(path, "protocol")) == {"default", *grids.TRAPS} - IEMOCAP_ONLY
    run("pooling")
    assert capsys.readouterr().err.splitlines() == [counts]


def test_protocol_runs_every_trap_on_a_corpus_of_iemocaps_shape(
    iemocap: Path, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    every = [*SMALL[:-1], "protocol.max_folds=None"]
    train(asked(iemocap, path, "protocol", overrides=every), silent)
    [counts] = capsys.readouterr().err.splitlines()
    assert "the counts differ from the published release" in counts
    assert set(variants_in(path, "protocol", every)) == {"default", *grids.TRAPS}
    predictions = results.tables(as_counted(path, "protocol", every)).predictions
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
    said = "tested on 32 of the default's 32 utterances and 8 others"
    assert notes["protocol.labels=hap+exc"] == said


# The second stage --------------------------------------------------------------------------------


Change = Callable[[dict[str, Any]], Any]


@pytest.fixture
def changed(readings: Path, tmp_path: Path) -> Callable[[Change], Path]:
    """A function that copies the results with each line changed; False leaves a line out."""

    def copy(change: Change, source: Path = readings) -> Path:
        lines = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
        kept = [json.dumps(line) + "\n" for line in lines if change(line) is not False]
        (tmp_path / "changed.jsonl").write_text("".join(kept), encoding="utf-8")
        return tmp_path / "changed.jsonl"

    return copy


Stage = Callable[..., dict[str, Experiment]]


@pytest.fixture
def second_stage(corpus: Path) -> Stage:
    """A function that gives what the second stage trains after the results of a file."""

    def stage(path: Path, **how: bool) -> dict[str, Experiment]:
        plan = prepare(asked(corpus, path, "readings"))
        second = plan.second_stage(open_ledger(path), **how)
        return {variant.name: variant.experiment for variant in second}

    return stage


def test_what_is_best_follows_the_training_losses(changed: Any, second_stage: Stage) -> None:
    def low_for_power(line: dict[str, Any]) -> None:
        low = line["variant"] == "front_end.magnitude=power"
        line["history"] = [9.0, 0.5] if low else [0.1, 1.0]  # the last epoch counts

    best = second_stage(changed(low_for_power))["best readings, attention"]
    base = grids.variants("readings", PRESET)["default"].experiment
    assert best == base.override("front_end.magnitude=power")


def test_what_is_best_depends_on_no_prediction_and_on_no_later_seed(
    readings: Path, changed: Any, second_stage: Stage
) -> None:
    def all_wrong_or_right(line: dict[str, Any]) -> None:
        right = line["variant"] == "front_end.bins=1-400"
        predictions = line["predictions"]
        for emotion in paper.EMOTIONS:
            predictions[emotion] = [float((e == emotion) == right) for e in predictions["emotion"]]

    chosen = second_stage(readings)
    assert second_stage(changed(all_wrong_or_right)) == chosen
    both = changed(lambda line: line.update(seed=1, history=[0.0]))
    both.write_bytes(readings.read_bytes() + both.read_bytes())
    assert second_stage(both) == chosen


LOST = "training.class_weights=inverse-frequency", "08"  # a fold of what cannot be chosen


def test_nothing_is_best_before_every_fold_of_the_first_seed_has_been_tried(
    readings: Path, tmp_path: Path, changed: Any, second_stage: Stage
) -> None:
    def of_the_first_stage(line: dict[str, Any]) -> bool:
        return line["variant"] not in grids.AT_ITS_BEST and (line["variant"], line["fold"]) != LOST

    one_less, best = changed(of_the_first_stage), second_stage(readings)
    assert second_stage(one_less) == second_stage(tmp_path / "none.jsonl") == {}
    assert second_stage(one_less, tried=True) == best and best
    assert second_stage(tmp_path / "none.jsonl", tried=True) == {}


def test_what_is_best_stays_so_once_it_is_being_trained(
    readings: Path, changed: Any, second_stage: Stage
) -> None:
    part = changed(lambda line: (line["variant"], line["fold"]) != LOST)
    assert second_stage(part) == second_stage(readings) != {}


def test_what_diverged_has_been_tried(
    readings: Path, corpus: Path, changed: Any, second_stage: Stage
) -> None:
    def one_diverged(line: dict[str, Any]) -> bool:
        if (line["variant"], line["fold"]) == LOST:
            line["diverged"], line["predictions"] = True, {n: [] for n in line["predictions"]}
        return line["variant"] not in grids.AT_ITS_BEST

    part = changed(one_diverged)
    assert second_stage(part) == second_stage(readings)
    found = held(asked(corpus, part, "readings", seeds=0))
    assert {*grids.AT_ITS_BEST} <= found.planned.keys() - {*found.folds["variant"]}
    assert found.planned[LOST[0]] == 2 and len(found.diverged) == 1
    assert set(found.predictions["folds_of_a_seed"]) == {2}
    losses = variations.training_losses(found)
    assert LOST[0].rpartition("=")[0] not in losses["field"].to_list()


def test_what_diverges_or_is_new_does_not_cancel_what_is_best(
    corpus: Path,
    changed: Any,
    run: Train,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    part = changed(lambda line: (line["variant"], line["fold"]) != LOST)
    monkeypatch.setattr(crossval, "run_fold", Mock(side_effect=DivergedError("the loss is nan")))
    assert run("readings", part) == 1
    said = capsys.readouterr().err
    assert "best readings, gap: chosen without training.class_weights" in said
    assert "frequency, 08 held out, seed 0: training diverged" in said
    found = held(asked(corpus, part, "readings", seeds=0)).folds
    assert found.groupby("variant").size()[[*grids.AT_ITS_BEST]].to_list() == [2, 2, 2]


def test_an_interrupted_study_ends_the_same(readings: Path, changed: Any, run: Train) -> None:
    lost = {"front_end.bins=1-400", "best readings, gap", "best readings, bilinear"}
    part = changed(lambda line: line["variant"] not in lost)
    run("readings", part)

    def content(path: Path) -> list[Any]:
        records = sorted(results.read_lines(path), key=results.identity)
        return [(results.identity(r), r["history"], r["predictions"]) for r in records]

    assert content(part) == content(readings)
    assert run("readings", part) == 0


def test_reading_takes_the_second_stage_with_the_first(
    readings: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smallest = config.preset(PRESET)
    monkeypatch.setitem(config.PRESETS, "coarse", smallest)
    for seeds in (0, 1):
        found = held(Run("readings", "emodb", corpus, "coarse", readings, seeds=seeds))
        assert list(dict.fromkeys(found.folds["variant"])) == variants_in(readings, "readings")
        assert set(grids.AT_ITS_BEST) <= set(found.folds["variant"])


# What is trained alike ---------------------------------------------------------------------------


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The variants of the folds that have been trained, as they are trained."""
    trained: list[str] = []
    run_task = fold.run_task

    def spy(task: Task, *args: Any, **kwargs: Any) -> dict[str, Any]:
        trained.append(task.variant.name)
        return run_task(task, *args, **kwargs)

    monkeypatch.setattr(fold, "run_task", spy)
    return trained


def test_a_fold_that_another_study_has_trained_is_not_trained_again(
    readings: Path, corpus: Path, path: Path, run: Train, trained: list[str], changed: Any
) -> None:
    path.write_bytes(readings.read_bytes())
    for name in ("protocol", "pooling"):
        assert run(name) == 0 and not trained
    before = {line["variant"]: line for line in as_counted(readings, "readings")}
    shared = held(asked(corpus, path, "protocol", seeds=0))  # as pages read it
    assert set(shared.folds["variant"]) == {"default", *grids.TRAPS} - IEMOCAP_ONLY
    for name in ("default", "protocol.folds=random", "front_end.short=drop"):
        [key] = shared.folds.loc[shared.folds["variant"] == name, "key"].unique()
        assert key == before[name]["key"] == config.from_dict(before[name]["experiment"]).key
    pooled = held(asked(corpus, path, "pooling", seeds=0))
    assert set(pooled.attention["variant"]) == {"attention"}
    # A line without maps, as an earlier version wrote it for this study, is not enough for them.
    without = changed(lambda line: line.pop("attention", None) and None, path)
    run("pooling", without)
    assert trained == ["attention"] * 2


@pytest.mark.parametrize(
    ("study", "name"),
    [
        ("readings", "protocol.score=logits"),
        ("readings", "protocol.average=folds"),
        ("protocol", "front_end.short=drop-test"),
    ],
)
def test_what_only_counts_scores_differently_is_trained_once(
    study: str, name: str, corpus: Path, path: Path, run: Train, trained: list[str]
) -> None:
    alone = path.with_name("alone.jsonl")
    run(study, only="default")
    assert run(study, only=name) == 0
    assert run(study, alone, only=name) == 2
    assert run(study, alone, only="default") == 2  # for its attention maps
    assert trained == [each for each in ("default", name, "default") for _ in range(2)]
    default = held(asked(corpus, path, study, only="default")).predictions
    grid = grids.variants(study, PRESET)
    for each in (path, alone):
        found = held(asked(corpus, each, study, only=name)).predictions
        assert set(found["key"]) == {grid[name].experiment.key}
        assert set(found["variant"]) == {name}
        emotions = list(paper.EMOTIONS)
        if name == "protocol.score=logits":
            assert not np.allclose(found[emotions].sum(axis=1), 1)
        else:
            same = default.set_index("utterance").loc[found["utterance"], emotions]
            assert found[emotions].to_numpy().tolist() == same.to_numpy().tolist()
        assert (len(found) < len(default)) == (name == "front_end.short=drop-test")
        assert set(found["average"]) == {"folds" if "average" in name else "pooled"}


def test_baselines_are_there_whatever_networks_read(path: Path, run: Train) -> None:
    run("baselines", only="majority")
    other = [*SMALL, "front_end.scale=segment-max"]
    assert variants_in(path, "baselines", other) == ["majority"]


def test_where_the_test_chooses_the_epoch_all_is_trained(run: Train, trained: list[str]) -> None:
    best = [*SMALL, "protocol.epoch=best-on-test"]
    for name in ("default", "front_end.short=drop-test"):
        run("protocol", overrides=best, only=name)
    assert trained == ["default"] * 2 + ["front_end.short=drop-test"] * 2


def test_one_reading_alone_brings_no_second_stage(path: Path, run: Train) -> None:
    assert run("readings", only="front_end.scale=segment-log") == 2
    assert run("readings", only="default") == 2
    lines = [line["variant"] for line in results.read_lines(path)]
    assert lines == ["front_end.scale=segment-log"] * 2 + ["default"] * 2


def test_settings_nested_too_deep_are_those_of_another_version() -> None:
    line = record(experiment=asdict(config.Experiment()))
    line["experiment"]["network"]["stems"] = json.loads("[" * 900 + "]" * 900)
    assert Ledger([line]).records == [line]


def test_of_two_that_are_trained_alike_the_one_with_maps_is_trained(
    corpus: Path, path: Path
) -> None:
    plan = prepare(asked(corpus, path, "readings"))
    twins = ["protocol.score=logits", "default"]
    for order in (twins, twins[::-1]):
        left = missing(plan.tasks([plan.grid[name] for name in order]), Ledger())
        assert [task.variant.name for task in left] == ["default"] * 2


def test_seeds_that_are_not_asked_for_do_not_count() -> None:
    gap = grids.variants("pooling", "smoke")["gap"]
    trained = {"corpus": {"name": "emodb", "hash": "0"}, "experiment": asdict(gap.experiment)}
    ledger = Ledger(record(**trained, seed=seed) for seed in range(3))
    found = ledger.of("pooling", "smoke", gap, {"0"}, {0, 2})
    assert [line["seed"] for line in found] == [0, 2]


def test_two_seconds_stay_where_shorter_ones_are_left_out_of_the_test() -> None:
    trained = Experiment()
    wanted = grids.Variant("dropped", trained.override("front_end.short=drop-test"))
    columns = {"utterance": ["a", "b"], "samples": [31_999, 32_000]}
    line = record(experiment=asdict(trained), predictions=columns)
    found = Ledger([line]).find(line, wanted)
    assert found and found["predictions"]["utterance"] == ["b"]


def test_another_seed_corpus_or_setting_is_another_training(readings: Path, corpus: Path) -> None:
    held = open_ledger(readings)
    plan = prepare(asked(corpus, readings, "pooling", only="gap", seeds=2))
    assert [task.heading["seed"] for task in missing(plan.tasks(), held)] == [1, 1]
    moved = Ledger(line | {"corpus": {"name": "emodb", "hash": "0"}} for line in held.records)
    assert len(missing(plan.tasks(), moved)) == 4
    other = prepare(asked(corpus, readings, "pooling", overrides=[*SMALL, "training.epochs=2"]))
    assert len(missing(other.tasks(), held)) == 6


def test_on_a_cluster_the_second_stage_follows_too(
    readings: Path, changed: Any, run: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    lost = ("best readings", "network.padding")
    part = changed(lambda line: not line["variant"].startswith(lost))
    whole = {results.identity(record): record for record in results.read_lines(readings)}
    sent: list[list[str]] = []

    def on_cluster(plan: Plan, tasks: list[Task], held: Ledger, *how: Any) -> list[str]:
        sent.append([task.variant.name for task in tasks])
        for task in tasks:
            yield task, whole[results.identity(task.heading)]

    monkeypatch.setattr(cluster, "train", on_cluster)
    run("readings", part, ray="local")
    values = ("symmetric", "silence", "none")
    assert sent[0] == [f"network.padding={value}" for value in values for _ in "ab"]
    assert set(sent[1]) <= set(grids.AT_ITS_BEST)
    assert set(variants_in(part, "readings")) == set(variants_in(readings, "readings"))
