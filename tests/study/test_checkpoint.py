import errno
import itertools
import os
import pickle
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pandas as pd
import pytest
import safetensors.torch
import tiny_corpus
import torch
from torch import nn

from repro import crossval, files, results, trainer
from repro.config import Experiment, Network, Protocol, Training
from repro.results import provenance
from repro.study import checkpoint
from repro.study.checkpoint import Checkpoint
from repro.study.ledger import Ledger
from repro.study.run import _discard_finished
from repro.trainer import State

MADE_BY = {"fold": ["pooling", "gap", "0123", "4567", "03", 0], "version": "1", "threads": 1}
TRAINING = Training(epochs=5, batch_size=8, milestones=(3, 5), learning_rate=0.05)
TINY = Experiment(
    network=Network(stem_channels=2, trunk=(4, 4, 4, 4), stride=(8, 8)), training=TRAINING
)


class Killed(BaseException):
    """Not caught by anything, like the end of the process."""


@pytest.fixture
def every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> crossval.Features:
    root = tmp_path_factory.mktemp("corpus") / "emodb"
    table = tiny_corpus.table(tiny_corpus.write(root, ("03", "08", "09"), (1.5, 2.5)))
    return crossval.extract(table, TINY.front_end)


def run_fold(
    features: crossval.Features,
    experiment: Experiment,
    path: Path | None = None,
    killed_in: int | None = None,
) -> tuple[list[float], pd.DataFrame, list[int]]:
    """One fold, with the epochs that were trained; killed at the end of one of them."""
    trained: list[int] = []

    def on_epoch(state: State) -> None:
        epoch = len(state.history)
        trained.append(epoch)
        if epoch == killed_in:
            raise Killed
        if kept and epoch < experiment.training.epochs:
            kept.keep(state)

    fold = crossval.make_folds(features.table, experiment)[1]
    kept = Checkpoint(path, MADE_BY) if path else None
    history, predictions = crossval.run_fold(
        features, fold, experiment, seed=3, resume=kept.restore if kept else None, on_epoch=on_epoch
    )
    return history, predictions, trained


def test_a_parameter_that_is_never_trained_is_kept(tmp_path: Path, every_epoch: None) -> None:
    saved, fresh = state(seed=0, steps=3), state(seed=1, steps=0)
    for each, value in ((saved, 1.0), (fresh, 2.0)):
        each.network.spare = nn.Parameter(torch.full((2,), value))
        each.optimiser.add_param_group({"params": [each.network.spare]})
    kept = Checkpoint(tmp_path / "kept", MADE_BY)
    kept.keep(saved._replace(history=[1.0]))
    Checkpoint(kept.path, MADE_BY).restore(fresh)
    assert fresh.history == [1.0] and fresh.network.spare.tolist() == [1.0, 1.0]


def test_a_training_goes_on_after_a_change_to_what_trains_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    facts = provenance.lasting(torch.device("cpu"), "fp32")
    assert "code" in facts and not {"commit", "plan", "date"} & facts.keys()
    shutil.copytree(provenance.PACKAGE, tmp_path / "repro")
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "repro")

    def code(changed: str) -> str:
        with (tmp_path / "repro" / changed).open("a") as file:
            file.write("# changed\n")
        return provenance._code.__wrapped__()

    before = code("report/plots.py")
    assert code("cli.py") == code("evidence/metrics.py") == code("tools/bench.py") == before
    trains = ("layers.py", "study/fold.py", "tools/recogniser.py")
    assert len({before, *map(code, trains)}) == 1 + len(trains)


# A fold that goes on -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pooling", "epoch"),
    [("gap", "last"), ("bilinear", "last"), ("attention", "last"), ("attention", "best-on-test")],
)
def test_an_interrupted_fold_ends_with_the_very_same_numbers(
    features: crossval.Features, tmp_path: Path, every_epoch: None, pooling: Any, epoch: Any
) -> None:
    experiment = replace(
        TINY, network=replace(TINY.network, pooling=pooling), protocol=Protocol(epoch=epoch)
    )
    history, predictions, trained = run_fold(features, experiment)
    assert trained == [1, 2, 3, 4, 5]
    path = tmp_path / "r.jsonl.partial" / "fold.safetensors"
    for killed_in in (2, 4, 5):  # of which it has kept one epoch less
        with pytest.raises(Killed):
            run_fold(features, experiment, path, killed_in)
    resumed, found, trained = run_fold(features, experiment, path)
    assert trained == [5]
    assert resumed == history
    pd.testing.assert_frame_equal(found, predictions, check_exact=True)


def test_the_best_epoch_is_remembered_over_an_interruption(
    features: crossval.Features, tmp_path: Path, every_epoch: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first epoch is made the best one, and is long over when the fold goes on."""
    count = len(features.table) // 3
    labels = features.labels.new_tensor(
        [list("NFTW").index(name[5]) for name in features.table["utterance"][count : 2 * count]]
    )
    right = nn.functional.one_hot(labels, 4).float().repeat(1, 2)  # and those by logits
    scores = itertools.chain([right], itertools.repeat(right.roll(1, 1)))
    monkeypatch.setattr(crossval, "_utterance_scores", lambda *a, **k: next(scores))
    experiment = replace(TINY, protocol=Protocol(epoch="best-on-test"))
    path = tmp_path / "fold.safetensors"
    with pytest.raises(Killed):
        run_fold(features, experiment, path, killed_in=4)
    _, predictions, trained = run_fold(features, experiment, path)
    assert trained == [4, 5]
    assert (
        predictions[["neutral", "happy", "sad", "angry"]].to_numpy() == right[:, :4].numpy()
    ).all()


def test_the_seconds_of_all_runs_count(tmp_path: Path, every_epoch: None) -> None:
    path = tmp_path / "fold.safetensors"
    first = Checkpoint(path, MADE_BY)
    first.begun -= 100.0
    first.keep(state(history=[1.0]))
    second = Checkpoint(path, MADE_BY)
    assert second.seconds < 50
    second.restore(state(seed=1))
    assert 100 <= second.seconds < 150


# A small state -----------------------------------------------------------------------------------


def state(
    seed: int = 0,
    steps: int = 2,
    momentum: float = 0.9,
    channels: int = 2,
    history: Sequence[float] = (),
) -> State:
    """A network of convolution and batch norm after some steps, its optimiser and its order."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(2, channels, 3), nn.BatchNorm2d(channels), nn.Flatten(), nn.LazyLinear(4)
    )
    segments = torch.rand(4, 2, 5, 4)
    network(segments)  # makes the lazy layer
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=momentum)
    order = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        optimiser.zero_grad()
        network(segments[torch.randperm(4, generator=order)]).square().mean().backward()
        optimiser.step()
    return State(network, optimiser, order, [*history], {})


def tensors_of(state: State) -> list:
    network, optimiser, order, _, _ = state
    momenta = [optimiser.state[p].get("momentum_buffer") for p in network.parameters()]
    return [*network.state_dict().values(), *momenta, order.get_state()]


def assert_same(one: State, other: State) -> None:
    exactly: dict[str, Any] = {"rtol": 0, "atol": 0, "check_stride": True}
    torch.testing.assert_close(tensors_of(one), tensors_of(other), **exactly)


@pytest.fixture
def kept(tmp_path: Path, every_epoch: None) -> Path:
    path = tmp_path / "r.jsonl.partial" / "fold.safetensors"
    Checkpoint(path, MADE_BY).keep(state(history=[1.5, 1.25]))
    return path


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_everything_is_put_back(tmp_path: Path, every_epoch: None, momentum: float) -> None:
    saved = state(momentum=momentum, history=[1.5, 1.25])
    fresh = state(seed=1, steps=0, momentum=momentum)
    with pytest.raises(AssertionError):
        assert_same(saved, fresh)
    first = Checkpoint(tmp_path / "fold.safetensors", MADE_BY)
    saved.kept["best"] = torch.rand(3, 4)
    first.keep(saved)
    second = Checkpoint(first.path, MADE_BY)
    second.restore(fresh)
    assert fresh.history == [1.5, 1.25]
    assert_same(saved, fresh)
    assert torch.equal(fresh.kept["best"], saved.kept["best"])


def test_checkpoints_are_seconds_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(checkpoint.time, "perf_counter", lambda: now)
    written: list[float] = []
    monkeypatch.setattr(files, "write_whole", lambda path, content: written.append(now))
    each = Checkpoint(tmp_path / "fold.safetensors", MADE_BY)
    parts = state(history=[1.0])
    for _ in range(20):  # epochs of 2 s
        now += 2
        each.keep(parts)
    assert written == [1006, 1012, 1018, 1024, 1030, 1036]
    now += 60  # a long epoch is kept at its end
    each.keep(parts)
    assert written[-1] == now


# Faults: the fold begins anew --------------------------------------------------------------------


def refused(path: Path, capsys: Any, made_by: dict[str, Any] = MADE_BY) -> str:
    """Restores and returns the one line that says why not; nothing has changed."""
    fresh = state(seed=1, steps=0)
    each = Checkpoint(path, made_by)
    each.restore(fresh)
    assert fresh.history == []
    assert_same(fresh, state(seed=1, steps=0))
    assert fresh.kept == {}
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"repro: {path}: not used (")
    assert not path.is_file()
    return line


class Harmful:
    def __reduce__(self) -> Any:
        return Path("/nonexistent/harm").touch, ()


@pytest.mark.skipif(os.name != "posix", reason="names of files are text")
def test_a_folder_whose_name_is_no_text_holds_checkpoints(kept: Path, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    folder.mkdir()
    fresh = state(seed=1, steps=0)
    Checkpoint(kept.rename(folder / kept.name), MADE_BY).restore(fresh)
    assert fresh.history


def test_what_is_no_checkpoint(kept: Path, capsys: Any, tmp_path: Path) -> None:
    torch.save({"order": torch.zeros(3)}, tmp_path / "weights.pt")
    whole = kept.read_bytes()
    contents = [b"", b"\0", b"Dear diary", b"\xff" * 1000, whole[:8], whole[:-1], whole + b"\0"]
    contents += [pickle.dumps(Harmful()), (tmp_path / "weights.pt").read_bytes()]
    contents += [safetensors.torch.save({"order": torch.zeros(3)})]
    contents += [safetensors.torch.save({}, {"state": "{}", "sha256": "0"})]
    for content in contents:
        kept.write_bytes(content)
        refused(kept, capsys)
    kept.mkdir()
    refused(kept, capsys)


def test_a_full_disk_costs_the_checkpoint_alone(
    tmp_path: Path, every_epoch: None, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(files.os, "fsync", Mock(side_effect=full))
    each = Checkpoint(tmp_path / "new" / "fold.safetensors", MADE_BY)
    for _ in range(2):
        each.keep(state(history=[1.0]))
    [line] = capsys.readouterr().err.splitlines()  # not one for each epoch
    assert "No space left" in line
    assert list((tmp_path / "new").iterdir()) == []


def test_no_damaged_byte_goes_unnoticed(kept: Path, capsys: Any) -> None:
    whole = kept.read_bytes()
    saved = state()
    header = int.from_bytes(whole[:8], "little")
    positions = [*range(0, header + 8, 3), *range(header + 8, len(whole), 41)]
    fresh = state(seed=1, steps=0)
    for position in positions:
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        kept.write_bytes(damaged)
        Checkpoint(kept, MADE_BY).restore(fresh)
        if fresh.history:
            assert_same(fresh, saved)  # such as the order of two names in the header
            fresh = state(seed=1, steps=0)
    assert_same(fresh, state(seed=1, steps=0))
    assert len(capsys.readouterr().err.splitlines()) > 0.99 * len(positions)


@pytest.mark.parametrize(
    "change", [{"version": "2"}, {"threads": 2}, {"fold": ["pooling"]}, {"device": "cuda"}]
)
def test_another_version_device_or_fold(kept: Path, capsys: Any, change: dict[str, Any]) -> None:
    assert "other code, another device or fold" in refused(kept, capsys, MADE_BY | change)


def test_a_network_of_another_shape(kept: Path, every_epoch: None, capsys: Any) -> None:
    Checkpoint(kept, MADE_BY).keep(state(channels=3, history=[1.0]))
    assert "another network" in refused(kept, capsys)
    Checkpoint(kept, MADE_BY).keep(state(momentum=0.0, history=[1.0]))
    assert "another network" in refused(kept, capsys)


# Where -------------------------------------------------------------------------------------------


def test_each_fold_has_a_file_of_its_own_beside_the_results(tmp_path: Path) -> None:
    identity = ("pooling", "gap", "0123", "4567", "03", 0)
    path = checkpoint.path_of(tmp_path / "r.jsonl", identity)
    assert path.parent == tmp_path / "r.jsonl.partial"
    assert path == checkpoint.path_of(str(tmp_path / "r.jsonl"), identity)
    others = [(*identity[:i], "x", *identity[i + 1 :]) for i in range(6)]
    assert (
        len({checkpoint.path_of(tmp_path / "r.jsonl", each) for each in [identity, *others]}) == 7
    )


def test_a_finished_fold_leaves_nothing(kept: Path, tmp_path: Path) -> None:
    other = kept.with_name("other.safetensors")
    shutil.copy(kept, other)
    kept.with_name("fold.safetensors.123.tmp").write_bytes(b"torn")
    checkpoint.discard(kept)
    assert list(kept.parent.iterdir()) == [other]
    checkpoint.discard(kept)  # a second time
    checkpoint.discard(other)
    assert list(tmp_path.iterdir()) == []


def test_a_run_killed_after_its_line_leaves_nothing_to_the_next(path: Path) -> None:
    names = {"study": "pooling", "variant": "gap", "key": "k", "corpus": {"hash": "h"}, "seed": 0}
    record: dict[str, Any] = names | {"fold": "03", "experiment": None}
    held = Ledger([record])
    _discard_finished(path, held)  # without a folder
    done, left = (
        checkpoint.path_of(path, results.identity(record | {"fold": fold})) for fold in ("03", "08")
    )
    done.parent.mkdir()
    done.touch()
    left.touch()
    _discard_finished(path, held)
    assert list(done.parent.iterdir()) == [left]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_fold_goes_on_on_a_gpu(tmp_path: Path, every_epoch: None) -> None:
    torch.manual_seed(0)
    segments, labels = torch.rand(16, 1, 24, 16), torch.arange(16) % 4

    def fit(kept: Checkpoint | None, killed_in: int = 0) -> list[float]:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten())
        network.append(nn.Linear(4 * 22 * 14, 4))

        def on_epoch(state: State) -> None:
            if len(state.history) == killed_in:
                raise Killed
            if kept:
                kept.keep(state)

        resume = kept.restore if kept else None
        return trainer.fit(
            network, segments, labels, TRAINING, seed=0, device="cuda", resume=resume,
            on_epoch=on_epoch,
        )  # fmt: skip

    path = tmp_path / "fold.safetensors"
    with pytest.raises(Killed):
        fit(Checkpoint(path, MADE_BY), killed_in=3)
    assert fit(Checkpoint(path, MADE_BY)) == fit(None)
