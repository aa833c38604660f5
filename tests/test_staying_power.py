"""A study that is killed, stopped, run twice at once or out of disk ends as if nothing had been."""

import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import interrupted
import pytest
import tiny_corpus

from repro import results
from repro.study.plan import Run
from repro.study.run import run as train

KILLS = 20
SMALL = [*tiny_corpus.SMALL, "training.max_segments=16", "training.batch_size=4"]
SMALL += ["training.epochs=6", "protocol.epoch=best-on-test"]
FOLDS = [(v, f, s) for s in (0, 1) for v in ("gap", "bilinear", "attention") for f in ("03", "08")]


def command(corpus: Path, path: Path) -> list[object]:
    settings = [f"--set={assignment}" for assignment in SMALL]
    where = ["--corpus=emodb", f"--root={corpus}", f"--results={path}"]
    return ["run", "pooling", *where, "--device=cpu", "--precision=fp32", "--seeds=2", *settings]


def complete(corpus: Path, path: Path, log: Path, setup: Any = interrupted.nothing) -> None:
    """Run the study to its end."""
    run = interrupted.start(command(corpus, path), log, setup)
    run.join(300)
    assert run.exitcode == 0, log.read_text()


def finished(path: Path) -> list[dict[str, Any]]:
    """The folds of a file, each once and all there, without what may differ."""
    assert path.read_bytes().count(b"\n") == len(FOLDS)
    records = results.read_lines(path)
    assert [(r["variant"], r["fold"], r["seed"]) for r in records] == FOLDS
    return [{k: v for k, v in record.items() if k != "provenance"} for record in records]


Whole = tuple[list[dict[str, Any]], float]


@pytest.fixture(scope="module")
def whole(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """What the study gives, and the seconds it takes."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    log = folder / "log"
    interrupted.start(["--version"], log, interrupted.nothing).join(300)  # the server starts
    begun = time.monotonic()
    complete(corpus, folder / "r.jsonl", log)
    seconds = time.monotonic() - begun
    assert sorted(path.name for path in folder.iterdir()) == ["log", "r.jsonl"]
    return finished(folder / "r.jsonl"), seconds


def _written(path: Path) -> set[tuple[str, int]]:
    """The files of a run with their times, which tell when one has been written."""
    found = set()
    for file in [path, *Path(f"{path}.partial").glob("*.safetensors")]:
        with suppress(FileNotFoundError):
            found.add((file.name, file.stat().st_mtime_ns))
    return found


@pytest.mark.slow
def test_twenty_kills_change_nothing(corpus: Path, tmp_path: Path, whole: Whole) -> None:
    expected, seconds = whole
    moments = random.Random(2018)
    log = tmp_path / "log"
    studies = [tmp_path / "0.jsonl"]
    seen: Counter[str] = Counter()
    kills = 0
    while kills < KILLS:
        path = studies[-1]
        run = interrupted.start(command(corpus, path), log, interrupted.keep_every_epoch)
        before = _written(path)
        if kills % 2:  # however busy the machine is, some are met when they have done something
            while run.exitcode is None and _written(path) == before:
                time.sleep(0.001)
        else:
            run.join(moments.uniform(0, 0.5 * seconds))
        if run.exitcode is None:
            run.kill()
            run.join()
        if run.exitcode == 0:  # finished before it could be killed: the next study
            studies.append(tmp_path / f"{len(studies)}.jsonl")
            continue
        assert run.exitcode == -signal.SIGKILL, log.read_text()
        kills += 1
        partial = Path(f"{path}.partial")
        held = path.read_bytes().count(b"\n") if path.exists() else 0
        seen["before any fold" if not held else "between the folds"] += 1
        seen["inside a fold"] += partial.exists() and any(partial.glob("*.safetensors"))
    complete(corpus, studies[-1], log, interrupted.keep_every_epoch)
    for path in studies:
        assert finished(path) == expected
        assert not Path(f"{path}.partial").exists()
    assert "not used" not in log.read_text()  # every checkpoint was a whole one
    assert seen["inside a fold"] and seen["between the folds"], seen
    print(f"{kills} kills in {len(studies)} studies: {dict(seen)}")


# Signals -----------------------------------------------------------------------------------------


# Each with how the command is made to be in the middle of something for a while.
STAGES = [interrupted.read_slowly, interrupted.compute_slowly, interrupted.train_slowly]
STAGES += [interrupted.train_in_one_step, interrupted.swallow_interrupts]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
@pytest.mark.parametrize(
    ("number", "status", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_ends_it_within_two_seconds_and_one_line(
    corpus: Path, tmp_path: Path, stage: Any, number: int, status: int, word: str
) -> None:
    log = tmp_path / "log"
    run = interrupted.start(command(corpus, tmp_path / "r.jsonl"), log, stage)
    interrupted.wait_for(lambda: log.exists() and "HERE" in log.read_text(), run, log)
    assert run.pid is not None
    begun = time.monotonic()
    os.kill(run.pid, number)
    run.join(60)
    assert time.monotonic() - begun < 2
    assert run.exitcode == status, log.read_text()
    last = [line for line in log.read_text().splitlines() if line != "HERE"]
    assert last.pop() == f"repro: {word}; the same command goes on from what was written"
    # Nothing but the progress, and that this is not the published corpus.
    assert all("held out" in line or "the counts differ" in line for line in last), last


@pytest.mark.slow
def test_a_stopped_run_goes_on_inside_its_fold(corpus: Path, tmp_path: Path, whole: Whole) -> None:
    path, log = tmp_path / "r.jsonl", tmp_path / "log"
    partial = tmp_path / "r.jsonl.partial"
    run = interrupted.start(command(corpus, path), log, interrupted.train_slowly)
    interrupted.wait_for(lambda: any(partial.glob("*.safetensors")), run, log)
    run.terminate()
    run.join(60)
    assert len(list(partial.iterdir())) == 1
    trained: list[str] = []
    how: dict[str, Any] = {"device": "cpu", "precision": "fp32", "seeds": 2}
    asked = Run("pooling", "emodb", corpus, tiny_corpus.changed(SMALL), path, **how)
    count = train(asked, lambda label, done, _: trained.append(f"{label} {done}"))
    assert count == len(FOLDS)
    first = [line.rpartition(" ")[2] for line in trained if line.startswith("pooling gap, 03")]
    assert first[0] == "0" and first[1] != "1" and first[-1] != "6", first
    assert trained[-1].endswith(f" {6 * len(FOLDS)}")
    assert finished(path) == whole[0]
    assert not partial.exists()


# Two runs, and a full disk -----------------------------------------------------------------------


@pytest.mark.slow
def test_a_full_disk_loses_no_finished_fold(corpus: Path, tmp_path: Path, whole: Whole) -> None:
    path, log = tmp_path / "r.jsonl", tmp_path / "log"
    run = interrupted.start(command(corpus, path), log, interrupted.fill_the_disk)
    run.join(300)
    assert run.exitcode == 1
    line = log.read_text().splitlines()[-1]
    assert line.startswith(f"repro: {path}: cannot write results (File too large)")
    held = path.read_bytes()
    assert held.endswith(b"\n")  # the part that was written is cut again
    count = len(results.read_lines(path))
    assert 1 <= count < len(FOLDS)
    complete(corpus, path, log)
    assert path.read_bytes().startswith(held)
    assert finished(path) == whole[0]
