import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import get_args, get_type_hints
from unittest.mock import Mock

import numpy as np
import pytest
import soundfile
import tiny_corpus
import typer
from conftest import Command, Outcome, python
from made_up import write_results

from repro import cli, config, paper, results
from repro.corpora import CORPORA
from repro.evidence import metrics
from repro.model import build_network
from repro.report import build as report
from repro.study import grids
from repro.tools import recogniser

FAST = ["--device=cpu", "--precision=fp32", "--set=training.epochs=1"]
FAST += [f"--set={override}" for override in tiny_corpus.SMALL]


@pytest.fixture
def run_on(command: Command, tmp_path: Path) -> Command:
    """`repro run pooling` on a folder, with results in `r.jsonl`."""
    study = ("run", "pooling", "--corpus=emodb", f"--results={tmp_path / 'r.jsonl'}", *FAST)
    return lambda root, *more: command(*study, f"--root={root}", *more)


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("results") / "r.jsonl"
    return write_results(path, dict.fromkeys(paper.TABLE_1, 0.5), speakers=2)


def assert_one_line(outcome: Outcome, *words: str) -> None:
    """A fault that is explained: status 1 and one line that holds all the words."""
    assert outcome.status == 1, outcome
    assert len(outcome.err) == 1, outcome.err
    assert outcome.err[0].startswith("repro: ")
    assert outcome.out == []
    for word in words:
        assert word in outcome.err[0]


# What works --------------------------------------------------------------------------------------


def test_run_and_table(corpus: Path, tmp_path: Path, command: Command) -> None:
    path = tmp_path / "new" / "r.jsonl"
    arguments = ["run", "pooling", "--corpus=emodb", f"--root={corpus}", "--preset=smoke", *FAST]
    first = command(*arguments, "--results", path)
    assert first.status == 0
    assert first.out == [f"6 folds trained, results in {path}"]
    assert len(first.err) == 7 and "03 held out" in first.err[1]  # a line per fold
    assert first.err[0].startswith("repro: emodb: the counts differ from the published release (sp")
    assert path.read_bytes().count(b"\n") == 6
    second = command(*arguments, "--results", path)
    assert (second.status, second.out) == (0, [f"0 folds trained, results in {path}"])
    assert second.err == []

    shown = command("table", "pooling", "--results", path)
    assert shown.status == 0 and shown.err == []
    for word in ("WA", "UA", "neutral", "happy", "sad", "angry", "paper WA"):
        assert word in shown.out[0]
    published = [line.split()[-2:] for line in shown.out[1:4]]
    assert published == [["71.35", "67.54"], ["69.17", "64.16"], ["71.75", "68.06"]]
    assert shown.out[5].startswith("emodb, smoke, ") and "points" in shown.out[5]
    pairs = [" ".join(line.split()[:3]) for line in shown.out[7:]]
    assert pairs == ["attention − gap", "gap − bilinear", "attention − bilinear"]
    rows = json.loads("\n".join(command("table", "pooling", "--results", path, "--json").out))
    assert [row["variant"] for row in rows] == ["gap", "bilinear", "attention"]
    assert [row["paper UA"] for row in rows] == [67.54, 64.16, 68.06]
    assert all(0 <= row["WA"] <= 100 and row["utterances"] == 16 for row in rows)


def test_a_table_tells_states_of_a_corpus_apart(tmp_path: Path, command: Command) -> None:
    path = write_results(tmp_path / "r.jsonl", {"gap": 0.5}, corpus=("my.csv", "0" * 12))
    write_results(path, {"gap": 0.6}, corpus=("my.csv", "1" * 12))
    shown = "\n".join(command("table", "pooling", "--results", path).out)
    assert f"my.csv ({'0' * 12})" in shown and f"my.csv ({'1' * 12})" in shown


@pytest.mark.parametrize("study", ["readings", "protocol"])
def test_a_table_of_changes_shows_their_effects(
    study: str, tmp_path: Path, command: Command
) -> None:
    change = "protocol.epoch=best-on-test"
    chances = {"default": 0.5, change: 0.7}
    path = write_results(tmp_path / "r.jsonl", chances, study_name=study)
    shown = command("table", study, "--results", path)
    assert shown.status == 0 and shown.err == []
    assert "WA effect" in shown.out[0] and change in "".join(shown.out[2:])
    rows = json.loads("\n".join(command("table", study, "--results", path, "--json").out))
    effects = {row["variant"]: row["WA effect low"] for row in rows}
    assert effects["default"] is None and effects[change] > 0
    assert "-0.0 " not in "".join(shown.out), "what changes nothing"


def test_poolings_of_several_settings_are_not_compared(tmp_path: Path, command: Command) -> None:
    path = write_results(tmp_path / "r.jsonl", {"attention": 0.5}, speakers=6)
    write_results(path, {"gap": 0.5}, speakers=3)
    other = config.preset("coarse, network.pooling=gap, training.epochs=3")
    write_results(path, {"gap": 0.9}, speakers=6, key=other.key, experiment=asdict(other))
    shown = command("table", "pooling", "--results", path)
    assert len(shown.out) == 4 and not any("−" in line for line in shown.out)
    assert shown.err == [f"repro: {path}: several settings of one pooling, which are not compared"]


def test_a_table_of_a_mix_says_so(tmp_path: Path, command: Command) -> None:
    path = write_results(tmp_path / "r.jsonl", {"gap": 0.5})
    how = {"precision": "bf16", "statistics": "exact"}
    write_results(path, {"attention": 0.5}, provenance=how)
    assert command("table", "pooling", "--results", path).err == [
        f"repro: {path}: pooling (coarse, emodb): folds of different precisions, 10 in fp32 and 10 "
        "in bf16; they cannot be compared"
    ]


def test_a_report_is_made_as_asked_for(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[object]] = []
    names = ("precision", "seeds", "pages")
    monkeypatch.setattr(report, "build_report", lambda **how: asked.append([how[n] for n in names]))
    assert command("report", "--seeds=0").status == 0
    assert command("report", "--precision=fp32", "--pages=2, 03").status == 0
    nothing = command("report", "--pages=10", "--dry-run")
    assert nothing.status == 0 and nothing.out == ["these pages train nothing"]
    assert command("report", "--pages=03,").status == 0
    assert asked == [["auto", 0, []], ["fp32", 1, ["02", "03"]], ["auto", 1, ["03", ""]]]
    assert_one_line(
        command("report", "--seeds=0", "--results=typo.jsonl"), "typo.jsonl: no such results file"
    )
    monkeypatch.setitem(CORPORA, "mine", CORPORA["emodb"])
    assert_one_line(command("report", "--corpus=mine"), "mine: this program knows it, but not")


def test_results_have_a_place_of_their_own_by_default(
    corpus: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = command(
        "run", "filter-shapes", "--corpus=emodb", f"--root={corpus}", *FAST, "--only=2x2"
    )
    assert outcome.status == 0
    path = tmp_path / "build" / "results" / "emodb" / "filter-shapes.jsonl"
    assert outcome.out == [f"2 folds trained, results in {path.relative_to(tmp_path)}"]
    assert {record["variant"] for record in results.read_lines(path)} == {"2x2"}


def test_the_choices_are_those_of_the_library() -> None:
    assert list(get_args(cli.StudyName)) == list(grids.STUDIES)
    assert list(get_args(cli.Preset)) == list(config.PRESETS)


def test_results_check_and_merge(pooled: Path, tmp_path: Path, command: Command) -> None:
    outcome = command("results", "check", pooled)
    assert (outcome.status, outcome.err) == (0, [])
    assert outcome.out[0] == f"{pooled}: 6 finished folds"
    outcome = command("results", "check", pooled, "--json")
    found = json.loads("\n".join(outcome.out))
    assert found["ok"] and found["folds"] == 6
    assert [row["variant"] for row in found["tallies"]] == ["gap", "bilinear", "attention"]

    lines = pooled.read_bytes().splitlines(keepends=True)
    parts = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    parts[0].write_bytes(b"".join(lines[:3]))
    parts[1].write_bytes(b"".join(lines[2:]))
    outcome = command("results", "check", parts[0], "--json")
    assert outcome.status == 1 and not json.loads("\n".join(outcome.out))["ok"]
    whole = tmp_path / "whole.jsonl"
    outcome = command("results", "merge", *parts, "-o", whole)
    assert outcome == Outcome(0, [f"6 folds in {whole}"], [])
    assert whole.read_bytes() == pooled.read_bytes()
    assert_one_line(command("results", "check", tmp_path / "none"), "name a file that `repro run`")


def test_a_home_folder_is_found_behind_the_sign_of_an_option(
    pooled: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(pooled.parent)
    outcome = command("results", "merge", pooled.name, "--out=~/merged.jsonl")
    assert outcome == Outcome(0, [f"6 folds in {tmp_path / 'merged.jsonl'}"], [])
    assert command("results", "merge", "~/merged.jsonl", "--out=~/again.jsonl").status == 0
    assert command("table", "pooling", "--results=~/again.jsonl").status == 0


@pytest.mark.parametrize("app", [cli.app, cli.corpus_app, cli.results_app])
def test_every_path_that_is_asked_for_may_begin_in_the_home_folder(app: typer.Typer) -> None:
    every = (get_type_hints(c.callback, include_extras=True) for c in app.registered_commands)
    hints = [h for hints in every for h in hints.values() if "Path" in str(get_args(h)[:1])]
    assert hints and all(hint.__metadata__[0].parser is cli._path for hint in hints)


def test_corpus_list_names_every_corpus(command: Command) -> None:
    outcome = command("corpus", "list")
    assert outcome.status == 0
    assert {line.split()[0] for line in outcome.out} == set(CORPORA)


@pytest.mark.parametrize("arguments", [(), ("run",), ("table",), ("report",), ("corpus", "synth")])
def test_help(arguments: tuple[str, ...], command: Command) -> None:
    outcome = command(*arguments, "--help")
    assert outcome.status == 0
    assert "Usage: repro" in "\n".join(outcome.out)


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys; from repro.cli import app; app(['--help'], standalone_mode=False)"
    code += "; sys.exit('torch' in sys.modules)"
    assert python("-c", code).returncode == 0


# Wrong usage: status 2 ---------------------------------------------------------------------------


WRONG = """train-everything / run / run poolings / run pooling --preset fast /
run pooling --device tpu / run pooling --precision fp16 / run pooling --seeds 0 /
run pooling --seeds many / run pooling --unknown / table pooling / table --results r.jsonl /
corpus synth / corpus synth x --speakers 1 / corpus check emodb / run pooling --root= /
results check / results merge a.jsonl / results merge -o c.jsonl"""


@pytest.mark.parametrize("arguments", ["", *(each.strip() for each in WRONG.split("/"))])
def test_wrong_usage(
    arguments: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = command(*arguments.split())
    assert outcome.status == 2
    assert not any("Traceback" in line for line in outcome.err)
    assert list(tmp_path.iterdir()) == []


# Faults: status 1 and one line -------------------------------------------------------------------


FAULTS = """report --corpus iemocp: unknown corpus 'iemocp' /
report --corpus emodb --root nowhere: nowhere: no such folder /
corpus check nowhere: unknown corpus 'nowhere' /
train --out .: is a folder; name a file in it /
table pooling --results none: name a file that `repro run` /
run pooling --ray=auto --dry-run: --dry-run measures this machine, not a Ray cluster: omit --ray /
run recovery --corpus=emodb: recovery makes signals of its own: omit --corpus and --root /
run recovery --root=x: recovery makes signals of its own: omit --corpus and --root /
run baselines --ray=local: omit --ray /
run pooling --only=: no variant '' /
run pooling --set=training.epochs=3 --set=foo: --set foo: no such field /
run pooling --gpus-per-fold=0.5: give --ray, and not --device cpu /
run pooling --ray=auto --device=cpu --gpus-per-fold=0.5: give --ray, and not --device cpu"""


@pytest.mark.parametrize("fault", [each.strip() for each in FAULTS.split("/")])
def test_what_is_mistyped_is_named_before_anything_is_done(
    fault: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, _, said = fault.partition(": ")
    for dry in ([], ["--dry-run"])[: 1 + arguments.startswith("run")]:
        assert_one_line(command(*arguments.split(), *dry), said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep a folder that is in use")
def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    code = "import os, sys; os.rmdir(os.getcwd()); from repro.cli import main; main()"
    done = python("-c", code, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        *(1, "repro: the current folder is gone; change to another\n"),
    )


@pytest.mark.parametrize(("left", "advice"), [(0, "; replace it"), (100, "")])
def test_a_recording_that_is_cut_off_is_refused_before_training(
    left: int, advice: str, tmp_path: Path, command: Command, run_on: Command
) -> None:
    root = tiny_corpus.write(tmp_path / "emodb", seconds=[1.0])
    sound = root / "wav" / "03a01Na.wav"
    sound.write_bytes(sound.read_bytes()[: 44 + left])
    fault = f"{sound}: cut off: {left} of 32,000 bytes are left"
    assert_one_line(run_on(root), fault)
    outcome = command("corpus", "check", "emodb", root)
    assert outcome.status == 1 and f"  {fault}{advice}" in outcome.out
    assert not (tmp_path / "r.jsonl").exists()


def test_a_recording_that_breaks_off_inside_is_refused(tmp_path: Path, run_on: Command) -> None:
    root = tiny_corpus.write(tmp_path / "emodb", seconds=[1.0])
    sound = root / "wav" / "08a01Wa.wav"
    soundfile.write(sound, soundfile.read(sound)[0], 16_000, format="FLAC")
    sound.write_bytes(sound.read_bytes()[:-9000])  # its header says nothing of bytes
    assert_one_line(run_on(root), f"{sound}: not a readable sound file")  # and no fold


def test_a_run_says_what_check_lists(tmp_path: Path, command: Command, run_on: Command) -> None:
    root = tiny_corpus.write(tmp_path / "emodb")
    wav = root / "wav"
    noise = soundfile.read(wav / "03a01Fa.wav")[0]
    for name in ("03a01Fa", "03a02Fa", "08a01Ta"):
        soundfile.write(wav / f"{name}.wav", np.zeros(9000), 16_000)
    soundfile.write(wav / "08a01Na.wav", np.stack([noise, -noise], 1), 16_000)
    # Of GSM610, the telephone's, libsndfile cannot find a place but the start.
    soundfile.write(wav / "08a01Wa.wav", noise, 16_000, format="WAV", subtype="GSM610")
    (wav / "08a02Wa.wav").rename(wav / "08a02Wa.WAV")
    faults = [
        f"{wav}/03a01Fa.wav: silent",
        f"{wav}/08a01Na.wav: its channels cancel each other, so that their average is silent",
        f"{wav}/08a01Na.wav: 2 channels, not 1",
    ]
    outcome = run_on(root)
    assert outcome.out == [f"6 folds trained, results in {tmp_path / 'r.jsonl'}"]
    counts, silent, *others = outcome.err[:4]
    assert counts.startswith("repro: emodb: the counts differ") and "check emodb DIR" in counts
    assert silent == f"repro: {faults[0]}; 2 more"
    assert others == [f"repro: {fault}" for fault in faults[1:]]
    assert len(outcome.err) == 4 + 6
    assert all(f"  {fault}" in command("corpus", "check", "emodb", root).out for fault in faults)


def test_predict_says_what_may_be_wrong_with_a_recording(
    tmp_path: Path, command: Command, write_wav: Callable[..., Path]
) -> None:
    experiment = config.preset("smoke").override("network.stride=(40,40)")
    model = recogniser.Recogniser(build_network(experiment.network), experiment, None, {})
    recogniser.save(model, tmp_path / "m.safetensors")
    half = write_wav(tmp_path / "half.wav", 2.5)
    os.truncate(half, 40_022)
    outcome = command("predict", tmp_path / "m.safetensors", half, "--json")
    assert outcome.status == 0 and len(outcome.out) == 1
    assert outcome.err == [f"repro: {half}: cut off: 39,978 of 80,000 bytes are left"]


@pytest.mark.parametrize("assignment", ["network.stride=(400,200)", "network.stems=((500,2),)"])
def test_settings_that_no_network_can_have(assignment: str, corpus: Path, run_on: Command) -> None:
    outcome = run_on(corpus, "--set=network.padding=none", f"--set={assignment}")
    assert outcome.status == 1
    said = r" *\d+% |repro: emodb: the counts differ"
    assert len([line for line in outcome.err if not re.match(said, line)]) == 1


def test_a_study_of_which_every_training_diverges(
    corpus: Path, tmp_path: Path, command: Command, run_on: Command
) -> None:
    results = f"--results={tmp_path / 'r.jsonl'}"
    outcome = run_on(corpus, results, "--set=training.learning_rate=1e30")
    assert outcome.status == 0 and len([line for line in outcome.err if "diverged" in line]) == 1
    outcome = command("table", "pooling", results)
    assert outcome.status == 1 and "every training of pooling in it diverged" in outcome.err[-1]
    assert sum("folds, whose training diverged" in line for line in outcome.err) == 3


def test_settings_that_no_table_can_mix(pooled: Path, path: Path, command: Command) -> None:
    [first, *_] = results.read_lines(pooled)
    for key in ("one", "other"):
        results.append(path, first | {"study": "readings", "variant": "default", "key": key})
    outcome = command("table", "readings", "--results", path)
    assert_one_line(outcome, "more than one", "choose one", "repro results check")


def test_a_bug_in_the_scores_is_not_told_as_a_fault_of_the_file(
    pooled: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "beside_paper", Mock(side_effect=ValueError("a bug")))
    with pytest.raises(ValueError, match="a bug"):
        command("table", "pooling", "--results", pooled)


def test_a_results_file_without_the_study(pooled: Path, path: Path, command: Command) -> None:
    path.touch()
    for file, held in ((pooled, "pooling"), (path, "no finished fold")):
        outcome = command("table", "filter-shapes", "--results", file)
        assert_one_line(outcome, f"{file}: holds {held}, not filter-shapes")


def test_signals_are_as_before_when_the_command_has_ended(command: Command) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    threads = set(threading.enumerate())
    assert command("corpus", "list").status == 0
    assert [signal.getsignal(number) for number in numbers] == before
    deadline = time.monotonic() + 10
    while not set(threading.enumerate()) <= threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= threads


def test_what_is_ignored_stays_ignored(
    corpus: Path, run_on: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `nohup` and shells have it for what runs in the background."""
    look = Mock(side_effect=lambda *_, **__: seen.append(signal.getsignal(signal.SIGINT)) or 0)
    seen: list[object] = []
    monkeypatch.setattr("repro.study.run.run", look)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert run_on(corpus).status == 0
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIG_IGN]
