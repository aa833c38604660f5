"""What several tests share: where the recorded corpora are, a sound file, programs."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile

# Threads of one tiny network wait for each other longer than they compute, above all where tests
# share the processors. Set before torch is imported; child processes inherit it.
os.environ["OMP_NUM_THREADS"] = "1"

SHARED = Path(__file__).parents[2] / "shared"


def missing(what: object) -> None:
    """Skip a test that cannot run here; where CI promises to have all it needs, fail."""
    stop = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
    stop(f"{what} is needed")


def _shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        missing(path)
    return path


@pytest.fixture(scope="session")
def emodb_root() -> Path:
    """EmoDB as published, read-only."""
    return _shared("emodb")


@pytest.fixture(scope="session")
def nemo_root() -> Path:
    """A sample of nEMO, read-only."""
    return _shared("nemo")


@pytest.fixture(scope="session")
def iemocap_manifest() -> Path:
    """Names, labels and lengths of IEMOCAP's utterances."""
    return _shared("iemocap_manifest.csv")


@pytest.fixture(scope="session")
def write_wav() -> Callable[..., Path]:
    """A function that writes a noise of some seconds to a path, folders and all."""

    def write(path: Path, seconds: float = 1.0, rate: int = 16_000, channels: int = 1) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, (round(seconds * rate), channels))
        soundfile.write(path, noise, rate, subtype="PCM_16")
        return path

    return write


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny corpus of two speakers, to read only."""
    import tiny_corpus

    return tiny_corpus.write(tmp_path_factory.mktemp("corpus") / "emodb")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a results file may be written."""
    return tmp_path / "r.jsonl"


@pytest.fixture
def own_corpus(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that enters a corpus of some utterances under the name `mine`."""
    from repro.corpora import CORPORA, Corpus

    def enter(*utterances: tuple[str, str, str, Path]) -> None:
        mine = Corpus(
            name="mine", title="ours", description="", licence="", read=lambda *_: list(utterances)
        )
        monkeypatch.setitem(CORPORA, "mine", mine)

    return enter


class Outcome(NamedTuple):
    """What a command leaves: its exit status, and the lines of both streams."""

    status: int
    out: list[str]
    err: list[str]


Command = Callable[..., Outcome]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """The `repro` command in this process, which saves the seconds that importing torch takes."""

    def run(*arguments: object) -> Outcome:
        from repro import cli

        monkeypatch.setattr(sys, "argv", ["repro", *map(str, arguments)])
        capsys.readouterr()
        status: object = 0
        try:
            cli.main()
        except SystemExit as stop:
            status = stop.code
        captured = capsys.readouterr()
        if isinstance(status, str):  # what the interpreter makes of sys.exit("text")
            captured = captured._replace(err=captured.err + status + "\n")
            status = 1
        assert status is None or isinstance(status, int)
        return Outcome(status or 0, captured.out.splitlines(), captured.err.splitlines())

    return run


def python(
    *arguments: object, env: dict[str, str] | None = None, prefix: Sequence[str] = (), **how: Any
) -> subprocess.CompletedProcess[str]:
    """Run this interpreter; with `env`, of its environment nothing is left but what is given."""
    if env is not None:
        how["env"] = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"} | env
    command = [*prefix, sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **how)
