import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import tiny_corpus
from made_up import file_of

from repro import results
from repro.errors import ReproError
from repro.study import cluster
from repro.study.plan import Run
from repro.study.run import run as train

MEGABYTES = 2**20


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_corpus.write(tmp_path_factory.mktemp("corpus") / "emodb", ["03", "08", "10", "16"])


def run(corpus: Path, results_file: Path, **changes: Any) -> int:
    settings: dict[str, Any] = {"device": "cpu", "precision": "fp32"}
    settings["preset"] = tiny_corpus.changed([*tiny_corpus.SMALL, "protocol.max_folds=4"])
    progress = changes.pop("progress", None)
    asked = Run("pooling", "emodb", corpus, results=results_file, **settings | changes)
    return train(asked, progress)


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a results file but for their provenance, whatever order they came in."""
    content = path.read_text(encoding="utf-8")
    assert content.count("\n") == len(results.read_lines(path)), "a fold is there twice"
    records = sorted(results.read_lines(path), key=results.identity)
    return [{k: v for k, v in record.items() if k != "provenance"} for record in records]


@pytest.fixture(scope="module")
def serial(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("results") / "r.jsonl"
    assert run(corpus, path) == 12
    return path


# Several machines --------------------------------------------------------------------------------


class Pair:
    """Two machines of one processor each, the second of which can be switched off."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        small = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 100 * MEGABYTES}
        head = small | {"include_dashboard": False}
        self.cluster = Cluster(initialize_head=True, head_node_args=head)
        self.second = self.cluster.add_node(**small)
        self.address = self.cluster.address

    def second_is_busy(self) -> bool:
        from ray._private.state import available_resources_per_node

        return available_resources_per_node()[self.second.node_id].get("CPU", 0) == 0

    def switch_off_the_second(self) -> None:
        deadline = time.monotonic() + 60
        while not self.second_is_busy():
            assert time.monotonic() < deadline, "the second machine has nothing to do"
            time.sleep(0.05)
        self.cluster.remove_node(self.second, allow_graceful=False)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.cluster.shutdown()


@pytest.mark.slow
def test_a_machine_that_dies_costs_no_fold_and_changes_no_number(
    corpus: Path, serial: Path, pair: Pair, path: Path
) -> None:
    seen: list[tuple[str, int, int]] = []

    def progress(label: str, done: int, total: int) -> None:
        seen.append((label, done, total))
        if len(seen) == 3:  # two folds are back
            pair.switch_off_the_second()

    assert run(corpus, path, ray=pair.address, progress=progress) == 12
    assert lines(path) == lines(serial)
    assert all(r["provenance"]["threads"] == 1 for r in results.read_lines(path))
    assert [done for _, done, _ in seen] == list(range(0, 25, 2))
    assert seen[0] == ("12 folds, machines: 2", 0, 24)
    assert {label for label, _, _ in seen[1:]} == {
        f"pooling {r['variant']}, {r['fold']} held out, seed {r['seed']}" for r in lines(serial)
    }


@pytest.mark.slow
def test_faults_of_workers_and_of_the_cluster_are_one_line(
    corpus: Path, pair: Pair, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(cluster, "_knock", lambda address: None)  # seconds, and seen to above
    hot = [*tiny_corpus.SMALL, "protocol.max_folds=2", "training.learning_rate=1e30"]
    diverged = path.with_name("diverged.jsonl")
    assert run(corpus, diverged, ray=pair.address, preset=tiny_corpus.changed(hot)) == 6
    assert all(map(results.has_diverged, results.read_lines(diverged)))
    with monkeypatch.context() as patch:
        patch.setattr(cluster, "SOFTWARE", "repro 0")
        with pytest.raises(ReproError, match=r"given with repro 0: .* more failed") as caught:
            run(corpus, path, ray=pair.address)
    assert type(caught.value) is ReproError
    with pytest.raises(ReproError, match="no machine of the cluster has a GPU"):
        run(corpus, path, ray=pair.address, device="cuda")
    with monkeypatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: 3)
        with pytest.raises(ReproError, match=r"3 threads.*more than 1 CPUs.*OMP_NUM_THREADS=1"):
            run(corpus, path, ray=pair.address)
    assert path.read_bytes() == b""


@pytest.mark.slow
def test_a_cluster_of_one_command(
    corpus: Path, serial: Path, tmp_path: Path, capfd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    (tmp_path / "repro").mkdir()  # another checkout, which the workers must not import
    (tmp_path / "repro" / "__init__.py").write_text("raise ImportError", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    path = file_of(tmp_path / "r.jsonl", *results.read_lines(serial)[2:])
    assert run(corpus, path, ray="local") == 2
    assert lines(path) == lines(serial)
    assert not ray.is_initialized()
    shown = capfd.readouterr()
    assert shown.out == ""
    counts, start, *others = shown.err.splitlines()
    assert counts.startswith("repro: emodb: the counts differ") and len(others) == 2
    assert start.startswith("  0% 2 folds, machines: 1")


def test_a_worker_computes_on_what_is_booked_for_it(
    corpus: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices: list[str] = []
    monkeypatch.setattr(cluster, "_connected", lambda _: nullcontext())
    monkeypatch.setattr(cluster, "_submit", lambda _, to, **__: devices.append(to.device) or {})
    for machine in ({"CPU": 1.0}, {"CPU": 1.0, "GPU": 1.0}):
        monkeypatch.setattr("ray.nodes", lambda has=machine: [{"Resources": has, "Alive": True}])
        run(corpus, path, ray="auto", device="auto")
    assert devices == ["cpu", "cuda"]


# Faults ------------------------------------------------------------------------------------------


Fail = Callable[[str], ReproError]


@pytest.fixture
def failing(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fail:
    monkeypatch.setattr(cluster, "PATIENCE", 4.0)

    def fail(address: str) -> ReproError:
        with pytest.raises(ReproError) as caught:
            run(corpus, tmp_path / "r.jsonl", ray=address)
        return caught.value

    return fail


def test_without_the_extra_a_hint(failing: Fail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install '.[cluster]'" in str(failing("local"))


def test_a_folder_whose_name_is_too_long_for_sockets(
    failing: Fail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(long))
    assert "set RAY_TMPDIR to a folder of a shorter name" in str(failing("local"))


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nonsense"])
def test_a_cluster_that_is_not_there(address: str, failing: Fail) -> None:
    begun = time.monotonic()
    message = str(failing(address))
    assert message.startswith(f"--ray {address}: ") and "\n" not in message
    assert time.monotonic() - begun < 20


def test_a_client_address_is_refused(failing: Fail) -> None:
    assert "on a machine of the cluster" in str(failing("ray://127.0.0.1:10001"))


def test_a_machine_with_other_software_is_refused() -> None:
    worker = cluster.Worker("cpu", "fp32", 1, "repro 0.0 and torch 2")
    with pytest.raises(ReproError, match=r"given with repro 0\.0 and torch 2: install"):
        worker.prepare()


def test_a_finished_study_needs_no_cluster(corpus: Path, serial: Path) -> None:
    assert run(corpus, serial, ray="127.0.0.1:9") == 0
