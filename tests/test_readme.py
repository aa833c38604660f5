"""The README: its commands run, its links lead somewhere, its numbers are those of the results."""

import re
import shlex
import shutil
from pathlib import Path

import nbformat
import pytest
import tiny_corpus
from conftest import Command
from tiny_notebook import write_notebook, write_project

from repro.corpora import fetch, synthetic
from repro.errors import ReproError
from repro.report import edition

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
IEMOCAP = "/data/IEMOCAP_full_release"
# What a reader would wait hours for, or need a licence or a GPU for, in a small size.
SMALL = {"paper": "smoke", "coarse": "smoke", "cuda": "cpu"}


def commands(text: str) -> list[str]:
    """The command lines of a page, continued lines joined and comments left out."""
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    split = [shlex.split(line, comments=True) for line in lines]
    return [shlex.join(words) for words in split if words]


def test_every_target_of_make_is_run_by_ci() -> None:
    of_make = [line for line in commands(README) if line.startswith("make ")]
    assert of_make[:2] == ["make report", "make test"]
    assert set(of_make) <= set((ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines())


@pytest.mark.slow
def test_every_other_command_runs(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order in which they stand, on a small corpus and a book of one page."""
    folder = write_project(tmp_path / "project", "index")
    (folder / "book" / "index.md").write_text("# A book\n", encoding="utf-8")
    write_notebook(folder / "notebooks" / "01_page.ipynb", "print(corpus, preset, root)")
    monkeypatch.chdir(folder)

    synthetic.make(tmp_path / "iemocap", speakers=2, per_emotion=1, seed=0)
    monkeypatch.setattr(fetch, "fetch", lambda _, folder: tiny_corpus.write(folder))

    ran = []
    for line in commands(README):
        if line.startswith("make "):
            continue
        program, *words = shlex.split(line)
        assert program == ".venv/bin/repro", line
        if words[0] == "predict":
            shutil.copy(next(Path("data/emodb").rglob("*.wav")), "some.wav")
        iemocap = str(tmp_path / "iemocap")
        words = [SMALL.get(word, word.replace(IEMOCAP, iemocap)) for word in words]
        outcome = command(*words)
        # The corpus is not the published one, which `check` says.
        expected = 1 if words[:2] == ["corpus", "check"] else 0
        assert outcome.status == expected, (line, outcome.err)
        ran.append(words[0])
    assert ran == ["corpus", "report", "report", "corpus", "run", "table", "train", "predict"]
    assert Path("build/iemocap/book/_build/html/index.html").is_file()
    assert Path("pooling.jsonl").is_file() and Path("emodb.safetensors").is_file()
    assert Path("maps/some.png").is_file()
    assert "some.wav  " in "\n".join(outcome.out)


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert len(links) > 5
    for link in links:
        assert (ROOT / link).is_file(), link


def test_it_is_short() -> None:
    before, _, rest = README.partition(edition.BEGIN)
    written = before + rest.partition(edition.END)[2]  # the rest grows with the results
    assert len(written.split()) <= 430


def test_papermill_runs_every_notebook_with_parameters_that_it_has() -> None:
    page = (ROOT / "book" / "run.md").read_text(encoding="utf-8")
    [patterns] = re.findall(r"^for page in (.*); do$", page, re.MULTILINE)
    found = [path for pattern in patterns.split() for path in sorted(ROOT.glob(pattern))]
    assert sorted(found) == sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert found[-1].stem == "00_does_it_replicate"
    [line] = [line for line in commands(page) if line.startswith("papermill ")]
    words = shlex.split(line)
    given = dict(zip(words[4::3], words[5::3], strict=True))
    assert words[3::3] == ["-p"] * len(given) and given["preset"] == "paper"
    for path in found:
        cells = nbformat.read(path, as_version=4).cells
        [cell] = (c for c in cells if "parameters" in c.metadata.get("tags", []))
        assert given.keys() <= set(re.findall(r"^(\w+) =", cell.source, re.MULTILINE))


# Numbers and verdicts ----------------------------------------------------------------------------


def test_numbers_and_verdicts_are_those_of_the_published_results(tmp_path: Path) -> None:
    shutil.copy(ROOT / "README.md", tmp_path)
    page = edition.page_of(ROOT / "notebooks" / "00_does_it_replicate.ipynb", tmp_path)
    edition.update_readme(tmp_path, Path(page.parameters["results"]))
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == README, "run `make edition`"


def test_without_results_the_readme_says_so(tmp_path: Path) -> None:
    shutil.copy(ROOT / "README.md", tmp_path)
    edition.update_readme(tmp_path, tmp_path / "none")
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert f"{edition.BEGIN}\n{edition.NOTHING}\n{edition.END}" in text
    edition.update_readme(tmp_path, tmp_path / "none")
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == text


def test_a_readme_without_its_markers_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Mine\n", encoding="utf-8")
    with pytest.raises(ReproError, match=r"README\.md: .*put them back"):
        edition.update_readme(tmp_path, tmp_path / "none")
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
