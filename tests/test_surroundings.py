"""What a run takes for granted: each thing taken away or spoilt, and the command run in earnest."""

import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
import tiny_corpus
from conftest import python
from nbformat.v4 import new_code_cell, new_notebook
from tiny_notebook import KERNEL

import repro

FAST = ["--preset=smoke", "--device=cpu", "--precision=fp32", "--set=training.epochs=1"]
FAST += [f"--set={override}" for override in tiny_corpus.SMALL]
NAMELESS = """
import pwd

def getpwuid(number):
    raise KeyError(f"getpwuid(): uid not found: {number}")

pwd.getpwuid = getpwuid
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_corpus.write(tmp_path_factory.mktemp("corpus") / "emodb", seconds=[1.5])


def run_arguments(corpus: Path, results: Path) -> list[object]:
    study = ("-m", "repro", "run", "pooling", "--corpus=emodb")
    return [*study, f"--root={corpus}", f"--results={results}", *FAST]


@pytest.fixture(scope="module")
def plain() -> tuple[str, ...]:
    """What to put before a command so that permissions bind it, though the tests run as root."""
    prefix = ("unshare", "--user", "--map-user=12345", "--map-group=12345")
    if not shutil.which("unshare") or subprocess.run([*prefix, "true"]).returncode:
        pytest.skip("this system lets nobody be another user")
    return prefix


@pytest.fixture
def read_only(tmp_path: Path) -> Path:
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o555)
    return folder


@pytest.fixture
def odd(tmp_path: Path, read_only: Path) -> dict[str, str]:
    """An environment in which nothing is as on a laptop, but all can be done."""
    temporary = tmp_path / ("x" * 100)  # too long a name for a socket in it
    temporary.mkdir()
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nbackend: TkAgg\n")
    folders = {"HOME": read_only, "MATPLOTLIBRC": tmp_path, "TMPDIR": temporary}
    return {"LC_ALL": "C", "FORCE_COLOR": "1"} | {k: str(path) for k, path in folders.items()}


def test_a_user_without_a_name_and_a_home_folder(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NAMELESS, encoding="utf-8")
    env = {"PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path)}
    done = python(*run_arguments(corpus, tmp_path / "r.jsonl"), cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"6 folds trained, results in {tmp_path / 'r.jsonl'}\n"
    compiler_and_plots = """
import repro.report.plots
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


def test_a_run_in_odd_surroundings(
    corpus: Path, tmp_path: Path, plain: tuple[str, ...], odd: dict[str, str]
) -> None:
    results = tmp_path / "é.jsonl"
    closed = ("sh", "-c", 'exec "$@" >&-', "sh", *plain)  # standard output
    done = python(*run_arguments(corpus, results), cwd=tmp_path, env=odd, prefix=closed)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    counts, *lines = done.stderr.splitlines()
    assert counts.startswith("repro: emodb: the counts differ")
    assert len(lines) == 6 and all(line.lstrip()[0].isdigit() for line in lines), lines
    assert results.read_bytes().count(b"\n") == 6


CELL = """
from repro.corpora import load_corpus
from repro.report import plots

plots.use_style()
fig = plots.Drawing()
fig.subplots().set_title("$x$")
plots.svg(fig)
print(len(load_corpus("emodb", root)), "utterances")
"""
PAGE = """
import json
import sys
from pathlib import Path

import nbformat
from matplotlib.figure import Figure
from repro.report import build as report
from repro.report import notebook, plots
from repro.report.pages import prediction

project = Path(sys.argv[1])
out = Path("out")
report.begin_book(project, out)
book = report.begin_book(project, out)  # in its place
page = notebook.Page(project / "page.ipynb", {"root": 2024}, {}, unfinished=False)
with report.own_settings():
    notebook.run(page, book / "page.ipynb", {})
cell = nbformat.read(book / "page.ipynb", as_version=4).cells[-1]
print(cell.outputs[0].text)


def drawn(*_: object, **__: object) -> Figure:
    figure = Figure()
    figure.text(0, 0, "$x$")
    return figure


plots.attention = drawn
prediction._draw(None, Path("plot.png"), power=False)
"""


def test_a_page_in_odd_surroundings(
    corpus: Path, tmp_path: Path, plain: tuple[str, ...], odd: dict[str, str], read_only: Path
) -> None:
    read_only.chmod(0o755)
    (read_only / "book" / "_static").mkdir(parents=True)
    (tmp_path / "2024").symlink_to(corpus)
    parameters = new_code_cell("root = None", metadata={"tags": ["parameters"]})
    cells = [parameters, new_code_cell(CELL)]
    notebook = new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    nbformat.write(notebook, read_only / "page.ipynb")
    for folder in (read_only / "book" / "_static", read_only / "book", read_only):
        folder.chmod(0o555)
    done = python("-c", PAGE, read_only, cwd=tmp_path, env=odd, prefix=plain)
    assert (done.returncode, done.stdout) == (0, "8 utterances\n\n"), done.stderr
    assert (tmp_path / "plot.png").is_file()


def one_line(tmp_path: Path, env: dict[str, str]) -> str:
    """What a run prints that must end in one line."""
    done = python("-m", "repro", "run", "pooling", cwd=tmp_path, env=env)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    return line


def test_a_stray_module_is_named(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("x = 1", encoding="utf-8")
    line = one_line(tmp_path, {"PYTHONPATH": str(tmp_path)})
    assert line.startswith(f"repro: {tmp_path / 'torch.py'}: imported in place of a library")


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = one_line(tmp_path, {"XDG_CACHE_HOME": str(tmp_path / "file")})
    assert line.endswith("set XDG_CACHE_HOME to another folder")


FULL = (">/dev/full", 1, "repro: standard output: No space left on device; make room\n")


@pytest.mark.parametrize(("where", "status", "told"), [("| true", 0, ""), (">&-", 0, ""), FULL])
def test_an_output_that_takes_nothing(where: str, status: int, told: str, tmp_path: Path) -> None:
    if where == FULL[0] and not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    shell = ("sh", "-c", f'"$@" {where}', "sh")
    done = python("-m", "repro", "corpus", "list", cwd=tmp_path, env={}, prefix=shell)
    assert (done.returncode, done.stderr) == (status, told)


def test_a_closed_stream_leaves_its_number_to_no_file(tmp_path: Path) -> None:
    program = """
import os, sys
os.close(1)
sys.stdout = None
from repro import cli
sys.argv = ["repro", "--version"]
try:
    cli.main()
finally:
    print(os.path.samestat(os.fstat(1), os.stat(os.devnull)), file=sys.stderr)
"""
    done = python("-c", program, cwd=tmp_path, env={})
    assert (done.returncode, done.stderr) == (0, "True\n")
