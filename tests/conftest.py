"""What several tests share: where the recorded corpus is, and how to write a sound file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

# Threads of one tiny network wait for each other longer than they compute, above all where tests
# share the processors. Set before torch is imported; child processes inherit it.
os.environ["OMP_NUM_THREADS"] = "1"

SHARED = Path(__file__).parents[2] / "shared"


def _shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        # Where the material is promised, a skipped test would pass for a passed one.
        stop = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        stop(f"{path} is needed")
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
def own_corpus(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that enters a corpus of some utterances under the name `mine`."""
    from repro.corpora import CORPORA, Corpus

    def enter(*utterances: tuple[str, str, str, Path]) -> None:
        mine = Corpus(
            name="mine", title="ours", description="", licence="", read=lambda *_: list(utterances)
        )
        monkeypatch.setitem(CORPORA, "mine", mine)

    return enter
