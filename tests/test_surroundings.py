"""What a run takes for granted: each thing taken away or spoilt, and the command run in earnest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import tiny_corpus

import repro

FAST = [
    *("--preset=smoke", "--device=cpu", "--precision=fp32", "--set=network.stem_channels=2"),
    *("--set=network.trunk=(4,4,4,4)", "--set=network.stride=(8,8)"),
    *("--set=training.max_segments=8", "--set=training.epochs=1"),
]
NAMELESS = """
import pwd

def getpwuid(number):
    raise KeyError(f"getpwuid(): uid not found: {number}")

pwd.getpwuid = getpwuid
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_corpus.write(tmp_path_factory.mktemp("corpus") / "emodb", seconds=[1.5])


def python(
    *arguments: object, cwd: Path, env: dict[str, str], prefix: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run this interpreter with nothing in its environment but what is given."""
    return subprocess.run(
        [*prefix, sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"} | env,
        capture_output=True,
        text=True,
    )


def run_arguments(corpus: Path, results: Path) -> list[object]:
    return [
        *("-m", "repro", "run", "pooling", "--corpus=emodb"),
        *(f"--root={corpus}", f"--results={results}", *FAST),
    ]


def test_a_user_without_a_name_and_a_home_folder(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NAMELESS, encoding="utf-8")
    env = {"PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path)}
    done = python(*run_arguments(corpus, tmp_path / "r.jsonl"), cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"6 folds trained, results in {tmp_path / 'r.jsonl'}\n"
    compiler_and_plots = """
import repro.plots
from torch._inductor.runtime.cache_dir_utils import cache_dir
print(cache_dir())
"""
    done = python("-c", compiler_and_plots, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).parent == tmp_path


def test_a_folder_called_repro_is_not_the_library(tmp_path: Path) -> None:
    (tmp_path / "repro").mkdir()  # as where a checkout was cloned under that name
    done = python("-m", "repro", "--version", cwd=tmp_path, env={})
    assert (done.returncode, done.stdout) == (0, f"{repro.__version__}\n"), done.stderr
