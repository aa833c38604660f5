"""The examples of the page on extending: run as they stand there, in programs of their own."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import python

import repro
from repro.paper import EMOTIONS

PAGE = (Path(__file__).resolve().parent.parent / "book" / "extend.md").read_text(encoding="utf-8")
CORPUS, ENDING, POOLING, STUDY, RUN = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.search(r"```bash\n(.*?)```", PAGE, re.DOTALL)[1].splitlines()  # type: ignore[index]
SPEAKERS = ("ada", "ben", "cleo", "dan", "eve")
SMALL = ("--set", "training.epochs=1", "--set", "protocol.max_folds=1")


@pytest.fixture
def folder(tmp_path: Path, write_wav: Callable[..., Path]) -> Path:
    """A folder with recordings as the page has them."""
    for speaker in SPEAKERS:
        for emotion in EMOTIONS:
            write_wav(tmp_path / "recordings" / speaker / f"{emotion}-1.wav", 1.0)
    return tmp_path


def said(folder: Path, *words: str) -> str:
    done = python(*words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("example", [CORPUS, POOLING, STUDY])
def test_an_example_takes_about_ten_lines(example: str) -> None:
    lines = [line for line in example.splitlines() if line and not line.startswith(("from", "imp"))]
    assert len(lines) <= 10


@pytest.mark.slow
def test_a_corpus_of_ones_own_is_checked_and_trained_on(folder: Path) -> None:
    (folder / "mine.py").write_text(CORPUS + ENDING, encoding="utf-8")
    check, run = (shlex.split(command)[1:] for command in COMMANDS)
    found = said(folder, *check)
    assert all(speaker in found for speaker in SPEAKERS)
    said(folder, *(word.replace("quick", "smoke") for word in run), *SMALL)
    assert (folder / "mine.jsonl").read_text(encoding="utf-8").count('"name": "mine"') == 3


def test_in_the_package_a_corpus_is_a_module_and_a_line(folder: Path) -> None:
    package = folder / "repro"
    shutil.copytree(Path(repro.__file__).parent, package, ignore=shutil.ignore_patterns("*.pyc"))
    module = CORPUS.replace("from repro.corpora import CORPORA\n", "").replace(
        'CORPORA["mine"] =', "CORPUS ="
    )
    (package / "corpora" / "mine.py").write_text(module, encoding="utf-8")
    names = package / "corpora" / "__init__.py"
    text = names.read_text(encoding="utf-8")
    last = '    "cremad",\n'
    assert last in text
    names.write_text(text.replace(last, f'{last}    "mine",\n'), encoding="utf-8")
    assert "mine" in said(folder, "-m", "repro", "corpus", "list")
    found = said(folder, "-m", "repro", "corpus", "check", "mine", "recordings")
    assert all(speaker in found for speaker in SPEAKERS)


TAKES_THE_MAXIMUM = """
from dataclasses import replace
from repro import config, model
network = model.build_network(replace(config.preset("smoke").network, pooling="max")).eval()
features = network.features(torch.rand(2, 1, 400, 200))
scores = network.pooling.classify(features.flatten(2).max(2).values)
assert scores.shape == (2, 4) and torch.allclose(network.pooling(features), scores)
"""


@pytest.mark.slow
def test_a_pooling_and_a_study_of_ones_own(folder: Path) -> None:
    parts = (CORPUS, POOLING, STUDY, TAKES_THE_MAXIMUM, RUN.replace("quick", "smoke"))
    (folder / "mine.py").write_text("\n".join(parts), encoding="utf-8")
    last = said(folder, "mine.py").splitlines()[-3:]
    assert [line.split()[1] for line in last] == ["gap", "max", "attention"]
