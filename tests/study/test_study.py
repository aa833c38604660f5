import copy
import hashlib
import tempfile
import weakref
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from made_up import file_of, record
from tiny_corpus import SMALL, changed

import repro
from repro import config, crossval, files, paper, results, trainer
from repro.config import Experiment
from repro.corpora import corpus_hash, load_corpus
from repro.errors import AllDivergedError, DivergedError, NoResultsError, ReproError
from repro.report.pages import common
from repro.results import audit
from repro.study import checkpoint, grids
from repro.study.plan import Progress, Run
from repro.study.read import collect, held
from repro.study.run import line_per_fold
from repro.study.run import run as train

Lines = list[dict[str, Any]]


def run(
    corpus: Path, path: Path, name: str = "pooling", progress: Progress | None = None, **how: Any
) -> int:
    settings = {"device": "cpu", "precision": "fp32", "preset": changed()} | how
    return train(Run(name, "emodb", corpus, results=path, **settings), progress)


@pytest.fixture(scope="module")
def uninterrupted(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Lines:
    path = tmp_path_factory.mktemp("results") / "r.jsonl"
    assert run(corpus, path) == 6  # three poolings, two folds
    return results.read_lines(path)


# Grids -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "names"),
    [
        ("smoke", "2x2 10x2 2x8"),
        ("demo", "2x2 10x2 40x2 2x8 2x30"),
        ("quick", "2x2 10x2 40x2 100x2 2x8 2x30 2x80"),
        (
            "paper",
            "2x2 4x2 6x2 8x2 10x2 15x2 20x2 30x2 40x2 60x2 80x2 100x2 "
            "2x4 2x6 2x8 2x10 2x15 2x20 2x30 2x40 2x60 2x80",
        ),
    ],
)
def test_filter_shapes_varies_one_side_at_a_time(preset: str, names: str) -> None:
    grid = grids.variants("filter-shapes", preset)
    assert list(grid) == names.split()
    for name, variant in grid.items():
        network = variant.experiment.network
        assert network.stems == (tuple(map(int, name.split("x"))),)
        assert (network.trunk, network.pooling, network.stem_channels) == ((), "gap", 16)
    assert len({variant.experiment.key for variant in grid.values()}) == len(grid)


@pytest.mark.parametrize("preset", list(config.PRESETS))
def test_pooling_varies_the_pooling_alone(preset: str) -> None:
    grid = grids.variants("pooling", preset)
    assert list(grid) == ["gap", "bilinear", "attention"] == list(paper.TABLE_1)
    base = config.preset(preset)
    for name, variant in grid.items():
        assert variant.experiment == base.override(f"network.pooling={name}")
    assert grid["attention"].experiment == base


@pytest.mark.parametrize("name", ["filter-shapes", "pooling", "readings", "protocol", "recovery"])
def test_overrides_reach_every_variant(name: str) -> None:
    overrides = "training.epochs=3, front_end.magnitude=power, protocol.max_folds=2"
    for variant in grids.variants(name, f"quick, {overrides}").values():
        training, protocol = variant.experiment.training, variant.experiment.protocol
        assert (training.epochs, protocol.max_folds) == (3, 2)
        assert variant.experiment.front_end.magnitude == "power"
        assert training.batch_size == (16 if name == "recovery" else 64)


@pytest.mark.parametrize(
    ("name", "change", "is_ignored"),
    [
        ("filter-shapes", "network.stem_channels=32", True),
        ("filter-shapes", "network.stem_channels=16", False),
        ("filter-shapes", "network.stride=8,8", True),
        ("filter-shapes", "network.stride=1,8", False),  # of which the first step is taken
        ("pooling", "network.pooling=gap", True),
        ("protocol", "network.pooling=gap", False),
        ("readings", "front_end.scale=segment", False),  # as it is already
        ("recovery", "network.stems=((4,4),)", True),
        ("recovery", "training.epochs=3", False),
        ("baselines", "training.epochs=3", True),
        ("baselines", "front_end.short=drop", False),
        ("pooling", "training.epochs=3, training.epochs=4", False),  # the last one counts
    ],
)
def test_what_a_study_sets_it_keeps_and_says_so(name: str, change: str, is_ignored: bool) -> None:
    setting = f"coarse, {change}"
    grid = grids.variants(name, setting)
    assert grids.ignored(name, setting, grid.values()) == [change] * is_ignored
    if is_ignored:
        assert grid == grids.variants(name, "coarse")


def test_a_setting_of_the_variants_that_are_asked_for_is_not_ignored() -> None:
    setting = "coarse, network.pooling=gap"
    [gap, *others] = grids.variants("pooling", setting).values()
    assert grids.ignored("pooling", setting, [gap]) == []
    assert grids.ignored("pooling", setting, others) == ["network.pooling=gap"]


def test_a_setting_that_another_one_needs_is_not_ignored() -> None:
    setting = "smoke, network.trunk=8,8,8,8,8,8,8,8, network.pools=2,9"
    [first, *_] = grids.variants("pooling", setting).values()
    assert grids.ignored("pooling", setting, [first]) == []
    assert grids.ignored("baselines", setting, grids.variants("baselines", setting).values()) == [
        "network.pools=2,9"
    ]


def test_an_unknown_study_is_a_fault() -> None:
    with pytest.raises(ReproError, match="filter-shapes, pooling"):
        grids.variants("poolings", "smoke")


# What a run leaves -------------------------------------------------------------------------------


def test_a_fold_is_a_line_that_says_all(corpus: Path, uninterrupted: Lines) -> None:
    table = load_corpus("emodb", corpus)
    grid = grids.variants("pooling", ", ".join(["smoke", *SMALL]))
    assert [(r["variant"], r["fold"]) for r in uninterrupted] == [
        (variant, fold) for variant in grid for fold in ("03", "08")
    ]
    for line in uninterrupted:
        experiment = config.from_dict(line["experiment"])
        assert experiment == grid[line["variant"]].experiment
        assert line["key"] == experiment.key
        assert line["study"] == "pooling" and line["seed"] == 0
        assert line["preset"] == ", ".join(["smoke", *SMALL])
        assert line["corpus"] == {"name": "emodb", "hash": corpus_hash(table)}
        assert len(line["history"]) == experiment.training.epochs == 2
        tested = table[table["speaker"] == line["fold"]]
        assert line["predictions"]["utterance"] == tested["utterance"].to_list()
        assert line["predictions"]["emotion"] == tested["emotion"].to_list()
        assert all(len(line["predictions"][emotion]) == 8 for emotion in paper.EMOTIONS)
        provenance = line["provenance"]
        assert provenance["precision"] == "fp32" and provenance["device"].startswith("cpu")
        assert provenance["seconds"] > 0 and provenance["threads"] >= 1
        assert {"version", "commit", "torch", "date"} <= set(provenance)
        plan = (Path(repro.__file__).parents[1] / "book" / "plan.md").read_bytes()
        assert provenance["plan"] == hashlib.sha256(plan).hexdigest()[:12]
        assert provenance["statistics"] == "exact"


def test_a_second_run_computes_nothing(
    corpus: Path, path: Path, uninterrupted: Lines, monkeypatch: Any
) -> None:
    file_of(path, *uninterrupted)
    content = path.read_bytes()
    for name in ("extract", "run_fold"):
        monkeypatch.setattr(crossval, name, Mock(side_effect=AssertionError))
    assert run(corpus, path) == 0
    assert path.read_bytes() == content


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("pooling", []),
        ("filter-shapes", []),
        ("pooling", ["front_end.scale=training-set-max", "protocol.epoch=best-on-test"]),
        ("pooling", ["training.class_weights=inverse-frequency"]),
    ],
)
def test_a_study_on_a_gpu_repeats_itself(
    corpus: Path, tmp_path: Path, name: str, more: list[str], precision: str
) -> None:
    lines = []
    for path in (tmp_path / "one.jsonl", tmp_path / "other.jsonl"):
        run(corpus, path, name, device="cuda", precision=precision, preset=changed([*SMALL, *more]))
        lines.append([line | {"provenance": None} for line in results.read_lines(path)])
    assert lines[0] == lines[1]


def test_more_seeds_add_folds(corpus: Path, path: Path, uninterrupted: Lines) -> None:
    file_of(path, *uninterrupted)
    seen: list[tuple[str, int, int]] = []
    assert run(corpus, path, progress=lambda *what: seen.append(what), seeds=2) == 6
    assert seen[0] == ("pooling gap, 03 held out, seed 1", 0, 12)
    assert seen[-1] == ("pooling attention, 08 held out, seed 1", 12, 12)
    assert sorted({done for _, done, _ in seen}) == list(range(13))
    records = results.read_lines(path)
    assert records[:6] == uninterrupted
    assert [record["seed"] for record in records[6:]] == [1] * 6
    first = results.read(path).predictions.groupby("seed")["neutral"].sum()
    assert first[0] != first[1]


def test_a_file_of_another_run_is_refused_before_the_corpus_is_read(path: Path) -> None:
    with files.locked(path), pytest.raises(ReproError, match=r"r\.jsonl: another run"):
        run(path.with_name("no-such-corpus"), path)


def test_without_a_bar_each_fold_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    report = line_per_fold()
    for done, label in enumerate(["a", "a", "b", "b"]):
        report(label, done, 4)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0] == "  0% a"
    assert lines[1].startswith(" 50% b, ") and lines[1].endswith(" s left")


def test_memory_is_made_ready(corpus: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    parts = {"extract": "crossval.keep_freed_memory", "train": "study.fold.ready_to_train"}
    for name, of in parts.items():
        monkeypatch.setattr(f"repro.{of}", lambda *_, n=name: made.append(n))
    run(corpus, path, only="gap")
    assert made == ["extract", "train", "train"]


# A part of a study ------------------------------------------------------------------------------


def test_a_run_warns_of_what_its_study_sets_itself(
    corpus: Path, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preset = changed([*SMALL, "network.pooling=bilinear"])
    run(corpus, path, "filter-shapes", only="2×2", preset=preset)
    said = "repro: filter-shapes ignores --set network.pooling=bilinear: it sets this, "
    assert said in capsys.readouterr().err


def test_what_is_not_trained_is_said_to_be_missing(corpus: Path, path: Path) -> None:
    whole = Run("pooling", "emodb", corpus, results=path, preset=changed(), device="cpu", seeds=0)
    with pytest.raises(NoResultsError, match="has not been run on emodb"):
        collect(whole)
    assert run(corpus, path, only="gap,attention") == 4
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    found = collect(whole)
    assert found.folds.groupby("variant").size().to_dict() == {"attention": 1, "gap": 2}
    said = common.state(found)
    assert said is not None
    assert "Folds so far: `attention` 1 of 2. Not run yet: `bilinear`." in said.data
    trained = collect(replace(whole, seeds=1, precision="fp32"))
    assert common.state(trained) is None


def test_variants_are_chosen_by_their_names() -> None:
    both = "80 ms, 2x2,100 Hz, 20x2"  # a comma within a name has a space behind it
    assert list(Run("recovery", only=both).grid()) == ["80 ms, 2x2", "100 Hz, 20x2"]
    shown = both.replace("x", "×")
    assert Run("recovery", only=shown).grid() == Run("recovery", only=both).grid()
    [name] = Run("readings", only="scale=segment-log").grid()
    assert name == "front_end.scale=segment-log"
    with pytest.raises(
        ReproError, match=r"no variant 'max' .* choose from gap, bilinear, attention"
    ):
        Run("pooling", only="gap,max").grid()


# Reading -----------------------------------------------------------------------------------------


def test_results_without_a_file_leave_nothing_behind(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.optim.SGD([torch.zeros(1)])  # torch's compiler comes with it, and makes a folder, once
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = collect(Run("pooling", "emodb", corpus, device="cpu", preset=changed(), only="gap"))
    assert set(found.predictions["variant"]) == {"gap"}
    assert list(tmp_path.iterdir()) == []


def test_read_takes_what_run_trains_and_nothing_else(corpus: Path, path: Path) -> None:
    experiment = grids.variants("pooling", "smoke")["gap"].experiment
    corpus_of = {"name": "emodb", "hash": corpus_hash(load_corpus("emodb", corpus))}
    ours = {"key": experiment.key, "experiment": asdict(experiment), "corpus": corpus_of}
    ours["preset"] = "the same settings under another label"
    others = ({"key": "0" * 12}, {"corpus": corpus_of | {"hash": "0" * 12}})
    changes = ({}, *others, {"study": "filter-shapes"})
    file_of(path, *(record(**ours | each) for each in changes))
    table = held(Run("pooling", "emodb", corpus, results=path))
    assert table.folds["preset"].to_list() == ["smoke"]
    assert table.predictions["preset"].to_list() == ["smoke"] * 2  # utterances


@pytest.mark.parametrize("preset", [name for name in grids.SWEEPS if name not in config.SHOWCASES])
def test_every_shape_of_the_sweep_sees_every_row_and_frame(preset: str) -> None:
    for name, variant in grids.variants("filter-shapes", preset).items():
        network = variant.experiment.network
        [shape] = network.stems
        for step, size in zip(network.stride, shape, strict=True):
            assert step <= size, name


def test_what_is_left_out_of_the_test_is_left_out_of_the_attention_maps(
    corpus: Path, path: Path, uninterrupted: Lines
) -> None:
    lines = copy.deepcopy(uninterrupted[4:])  # those of attention
    del lines[0]["attention"]["examples"][1:]  # the first is of a short utterance
    file_of(path, *lines)
    how: dict[str, Any] = {"results": path, "only": "attention"}
    whole = held(Run("pooling", "emodb", corpus, preset=changed(), **how))
    longer = [*SMALL, "front_end.short=drop-test"]
    left = held(Run("pooling", "emodb", corpus, preset=changed(longer), **how))
    columns = ["utterance", *results.ATTENTION_COLUMNS]
    tested = left.predictions["utterance"]
    assert 0 < len(tested) < len(whole.predictions)
    of = whole.attention.set_index("utterance").loc[tested].reset_index()
    assert left.attention[columns].equals(of[columns])
    assert set(left.examples["utterance"]) == {*whole.examples["utterance"]} & {*tested}


def test_a_run_leaves_nothing_beside_its_results(
    corpus: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)
    kept: list[int] = []
    partial = path.with_name(f"{path.name}.partial")
    assert run(corpus, path, progress=lambda *_: kept.append(len([*partial.glob("*")]))) == 6
    assert max(kept) == 1 and not partial.exists()


def test_that_results_can_be_written_is_known_before_the_first_training(
    corpus: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse = Mock(side_effect=ReproError("cannot write results"))
    monkeypatch.setattr(results, "require_writable", refuse)
    monkeypatch.setattr(crossval, "extract", Mock(side_effect=AssertionError))
    with pytest.raises(ReproError, match="cannot write results"):
        run(corpus, path)


# Faults of one fold, and precision ---------------------------------------------------------------


def test_a_fold_that_cannot_be_trained_does_not_stop_the_others(
    corpus: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = crossval.run_fold

    def fail(features: Any, fold: Any, experiment: Experiment, **settings: Any) -> Any:
        if fold.held_out == "03" and experiment.network.pooling != "attention":
            raise ReproError("out of memory")
        return whole(features, fold, experiment, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(crossval, "run_fold", fail)
        progress: list[int] = []
        with pytest.raises(ReproError) as caught:
            run(corpus, path, progress=lambda _, done, total: progress.extend((done, total)))
    assert progress[::2] == sorted(progress[::2]) and progress[-2] == progress[-1]
    assert str(caught.value) == (
        "pooling gap, 03 held out, seed 0: out of memory; 1 more failed; "
        f"every other fold is in {path}"
    )
    done = [(r["variant"], r["fold"]) for r in results.read_lines(path)]
    assert done == [("gap", "08"), ("bilinear", "08"), ("attention", "03"), ("attention", "08")]
    assert run(corpus, path) == 2


def test_a_fold_that_cannot_be_trained_leaves_its_memory_to_the_next(
    corpus: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[weakref.ref] = []

    def fail(*data: Any, **settings: Any) -> Any:
        assert not kept or kept[-1]() is None
        maps = torch.zeros(3)
        kept.append(weakref.ref(maps))
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(trainer, "fit", fail)
    with pytest.raises(ReproError, match=r"too little memory .*; 5 more failed"):
        run(corpus, path)
    assert len(kept) == 6


def test_a_fold_that_diverges_is_a_result_without_scores(
    corpus: Path, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = trainer.fit

    def diverge(network: Any, *data: Any, **settings: Any) -> Any:
        if network.settings.pooling == "gap":
            raise DivergedError("the loss is nan")
        return whole(network, *data, **settings)

    monkeypatch.setattr(trainer, "fit", diverge)
    assert run(corpus, path) == 6 and run(corpus, path) == 0
    said = "repro: pooling gap, 03 held out, seed 0, and 1 more: training diverged"
    assert capsys.readouterr().err.count(said) == 1

    found = held(Run("pooling", "emodb", corpus, changed(), path))
    assert found.diverged[["variant", "fold"]].to_numpy().tolist() == [["gap", "03"], ["gap", "08"]]
    for table in (found.folds, found.history, found.predictions):
        assert set(table["variant"]) == {"bilinear", "attention"}
    note = common.state(found)
    assert note and "**Diverged.**" in note.data and "are no scores: 2 of `gap`." in note.data
    assert "Unfinished" not in note.data
    outcome = audit.check(path)
    assert outcome.ok and "gap          2 folds (2 diverged), seeds: 0" in outcome.text()


def test_a_fold_that_diverges_after_an_interruption_keeps_all_its_losses(
    corpus: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: str, done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    how: dict[str, Any] = {"preset": changed([*SMALL, "training.epochs=4"]), "only": "gap"}
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)
    with pytest.raises(KeyboardInterrupt):
        run(corpus, path, progress=stop, **how)
    monkeypatch.setattr(trainer, "learning_rate", lambda epoch, training: 1e30)
    assert run(corpus, path, **how) == 2
    first, second = results.read_lines(path)
    assert results.has_diverged(first) and results.has_diverged(second)
    assert len(first["history"]) > 2 and len(second["history"]) == 1


def test_a_study_of_which_all_diverges_says_so(corpus: Path, path: Path) -> None:
    preset = changed([*SMALL, "protocol.max_folds=2", "training.learning_rate=1e30"])
    assert run(corpus, path, only="gap", preset=preset) == 2
    assert [len(record["history"]) for record in results.read_lines(path)] == [1, 1]
    assert not [*Path(f"{path}.partial").glob("*")]
    for root in (corpus, None):
        with pytest.raises(AllDivergedError, match="Every training of the study `pooling`"):
            held(Run("pooling", "emodb", root, preset, path))
    with pytest.raises(AllDivergedError, match="Every training of `gap` in the study `pooling`"):
        held(Run("pooling", "emodb", corpus, preset, path, only="gap"))


@pytest.mark.parametrize(("first", "other"), [("fp32", "bf16"), ("bf16", "fp32")])
def test_a_study_goes_on_in_the_precision_that_it_began_in(
    first: str, other: str, corpus: Path, path: Path
) -> None:
    assert run(corpus, path, only="gap", precision=first) == 2
    assert run(corpus, path, only="bilinear", precision="auto") == 2
    for only in ("attention", None):
        with pytest.raises(ReproError, match=f"holds .* {first}: go on with --precision {first}, "):
            run(corpus, path, only=only, precision=other)
    assert {r["provenance"]["precision"] for r in results.read_lines(path)} == {first}


def test_a_line_names_the_precision_of_its_training(corpus: Path, tmp_path: Path) -> None:
    histories = []
    for precision in ("fp32", "bf16"):
        run(corpus, tmp_path / precision, only="gap", precision=precision)
        histories.append([r["history"] for r in results.read_lines(tmp_path / precision)])
    assert all(one != other for one, other in zip(*histories, strict=True))


def test_a_run_without_a_results_file_says_that_it_needs_one() -> None:
    for call in (train, held):
        with pytest.raises(ReproError, match=r"^pooling: name a results file"):
            call(Run("pooling", device="cpu"))


def test_a_fold_that_only_another_version_can_read_is_not_trained_again(
    corpus: Path, path: Path, uninterrupted: Lines
) -> None:
    lines = copy.deepcopy(uninterrupted)
    lines[0]["experiment"]["network"]["of a later version"] = True
    file_of(path, *lines)
    with pytest.raises(ReproError, match=r"^pooling gap, 03 .* as another version of repro"):
        run(corpus, path)
    assert len(results.read_lines(path)) == len(lines)


@pytest.mark.parametrize("seeds", [-1, 1001, True])
def test_a_number_of_seeds_that_is_none_is_refused(seeds: int) -> None:
    with pytest.raises(ReproError, match=rf"^seeds {seeds}: give a whole number from 0 to 1000"):
        Run("pooling", seeds=seeds)


def test_section_3_2_is_computed_in_float32_and_says_so(corpus: Path, path: Path) -> None:
    how: dict[str, Any] = {"name": "filter-shapes", "only": "2x2", "precision": "bf16"}
    assert [run(corpus, path, **how) for _ in range(2)] == [2, 0]
    assert {r["provenance"]["precision"] for r in results.read_lines(path)} == {"fp32"}


def test_a_study_does_not_go_on_with_batch_statistics_of_another_kind(
    corpus: Path, path: Path, uninterrupted: Lines
) -> None:
    lines = copy.deepcopy(uninterrupted)
    for line in lines:
        del line["provenance"]["statistics"]  # of version 0.1
    file_of(path, *lines[1:])
    with pytest.raises(ReproError, match=r"another kind \(torch, here they are exact\): name"):
        run(corpus, path)
    results.append(path, lines[0])
    assert run(corpus, path) == 0
    path.unlink()
    file_of(path, *(line for line in lines if line["variant"] == "gap"))
    with pytest.raises(ReproError, match="another kind"):
        run(corpus, path, only="bilinear")
