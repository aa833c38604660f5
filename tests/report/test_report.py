import io
import json
import re
import shutil
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import nbformat
import pytest
from made_up import file_of, record
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from rich.console import Console
from tiny_notebook import KERNEL, write_notebook, write_project

import repro
from repro.errors import ReproError
from repro.report import build as report
from repro.report import notebook
from repro.report.notebook import Page

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project: the real configuration and bibliography around two pages."""
    folder = write_project(tmp_path / "project", "index")
    (folder / "book" / "index.md").write_text("# A book\n", encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(autouse=True)
def said(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is said of what is done."""
    said = io.StringIO()
    monkeypatch.setattr(report, "CONSOLE", Console(file=said, width=200))
    return said


def build(
    *, out: Path = Path("build/report"), pages: Collection[str] = (), corpus: str = "emodb"
) -> Path:
    how: dict[str, Any] = {"corpus": corpus, "root": Path("emodb").resolve(), "preset": "quick"}
    how |= {"results": out / "results.jsonl", "device": "cpu", "precision": "fp32", "seeds": 2}
    return report.build_report(out=out, pages=pages, **how)


def test_report_runs_the_notebooks_and_builds_the_book(project: Path, said: io.StringIO) -> None:
    write_notebook(
        project / "notebooks" / "01_page.ipynb",
        "import os\nfrom pathlib import Path",
        "print(corpus, root, preset, device, precision, seeds, results, os.getcwd())",
    )
    index = build()

    assert index == Path("build/report/book/_build/html/index.html")
    assert re.search(r"^01_page +done +\d+\.\d s$", said.getvalue(), re.MULTILINE)
    page = (index.parent / "report" / "01_page.html").read_text(encoding="utf-8")
    assert "emodb &lt;corpus&gt; quick cpu fp32 0 build/report/results.jsonl ." in page
    assert "# Parameters" not in page, "the cells of parameters are hidden"
    assert not (index.parents[2] / "report" / "old.ipynb").exists()
    assert (project / "book" / "report" / "old.ipynb").exists(), "only the edition is published"

    # Nothing that a browser loads by itself lies elsewhere; MathJax lies beside the pages.
    assert not re.findall(r'<(?:script|img|link|iframe)\b[^>]*(?:src|href)="(?:https?:)?//', page)
    (mathjax,) = re.findall(r'src="([^"]*tex-chtml\.js)"', page)
    assert (index.parent / "report" / mathjax).resolve().is_file()
    assert list(index.parent.glob("_static/mathjax/**/*.woff"))

    text = (index.parents[2] / "report" / "01_page.ipynb").read_text(encoding="utf-8")
    assert str(project) not in text
    assert "nbformat" in text and "papermill" not in text


def test_only_some_pages_are_trained_for(
    project: Path, said: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacks = "from repro.errors import NoResultsError\nraise NoResultsError(corpus)"
    for number, says in {"00": lacks, "02": "print('shown')", "04": "print('shown')"}.items():
        write_notebook(project / "notebooks" / f"{number}_page.ipynb", says)
    corpus = f"{project / 'my.csv'}[joy=sad]"
    rows = [Mock(study="filter-shapes", seconds=60.0), Mock(study="pooling", seconds=600.0)]
    trained: list[tuple[str, str | None]] = []
    monkeypatch.setattr(report, "survey", lambda _: Mock(rows=rows))
    monkeypatch.setattr(report, "run", lambda asked, _: trained.append((asked.study, asked.only)))
    monkeypatch.setattr(report, "build_book", lambda book, *_: book)
    there = {"variant": "attention", "corpus": {"name": "nemo", "hash": "1" * 12}}
    Path("build/report").mkdir(parents=True)
    file_of(Path("build/report/results.jsonl"), record(**there))
    book = build(pages=["04", "02"], corpus=corpus)
    assert trained == [("filter-shapes", None), ("pooling", "attention")]
    lines = [line for line in said.getvalue().splitlines() if "trains" in line]
    assert [" ".join(line.split()) for line in lines] == [
        "filter-shapes trains for about 60 s, 11.0 min in all",
        "pooling trains for about 10.0 min, 10.0 min in all",
    ]
    not_run = "> **Not run yet.** my.csv[joy=sad]."
    for number, ends in {"00": not_run, "02": says, "04": says}.items():
        cells = nbformat.read(book / "report" / f"{number}_page.ipynb", as_version=4).cells
        assert "seeds = 0" in cells[2].source, "whatever can be trained has been"
        assert 'corpus = "my.csv[joy=sad]"' in cells[2].source
        assert cells[-1].source == ends
    [again] = book.glob("report/*_page_*.ipynb")
    assert again.stem == "04_page_nemo-smoke"
    cells = nbformat.read(again, as_version=4).cells
    assert cells[0].source.startswith("# A page: nEMO, smoke") and cells[-1].source == says
    assert 'corpus = "nemo"\nroot = None\npreset = "smoke"' in cells[2].source
    trained.clear()
    with pytest.raises(ReproError, match="00_page, cell 3 failed: NoResultsError"):
        build()
    assert trained == [("filter-shapes", None), ("pooling", None)]
    assert Path("build/report/results.jsonl").is_file(), "a second report keeps the results"
    with pytest.raises(ReproError, match="no page 13: choose from 00, 02, 04"):
        build(pages=["13"])
    # Of the best epoch, for one, no maps are kept, however much is trained.
    lacks = lacks.replace("NoResultsError", "NoMapsError")
    write_notebook(project / "notebooks" / "04_page.ipynb", lacks)
    book = build(pages=["04"], corpus=corpus)
    [*_, cell] = nbformat.read(book / "report" / "04_page.ipynb", as_version=4).cells
    assert cell.source == "> **No maps.** my.csv[joy=sad]."
    # What diverged is a result, whoever trained it.
    lost = lacks.replace("NoMapsError", "AllDivergedError")
    write_notebook(project / "notebooks" / "04_page.ipynb", lost)
    book = build(pages=["04"], corpus=corpus)
    [*_, cell] = nbformat.read(book / "report" / "04_page.ipynb", as_version=4).cells
    assert cell.source == "> **Diverged.** my.csv[joy=sad]."
    # A training that ends in a fault costs nobody the book that is there.
    monkeypatch.setattr(report, "run", Mock(side_effect=ReproError("out of memory")))
    with pytest.raises(ReproError, match="out of memory"):
        build(pages=["04"], corpus=corpus)
    assert (book / "report" / "04_page.ipynb").exists()


def test_failing_cell_is_named_and_its_notebook_kept(project: Path, said: io.StringIO) -> None:
    says = "import time\nfor word in ('so', 'far'):\n    print(word, flush=True); time.sleep(0.3)"
    write_notebook(project / "notebooks" / "01_page.ipynb", says, "undefined_name + 1")
    with pytest.raises(ReproError) as caught:
        build()
    # Parameters and what papermill injects are cells 1 and 2.
    assert str(caught.value) == (
        "notebook 01_page, cell 4 failed: NameError: name 'undefined_name' is not defined; "
        "the notebook as far as it ran: build/report/book/report/01_page.ipynb"
    )
    assert re.search(r"^01_page +failed", said.getvalue(), re.MULTILINE)
    kept = nbformat.read("build/report/book/report/01_page.ipynb", as_version=4)
    texts = [output.get("text") for cell in kept.cells for output in cell.get("outputs", [])]
    assert "so\nfar\n" in texts  # in one piece, whatever the moments it was written in


def test_dying_kernel_is_named(project: Path) -> None:
    write_notebook(project / "notebooks" / "01_page.ipynb", "import os\nos._exit(3)")
    with pytest.raises(ReproError, match=r"notebook 01_page, the kernel died.*01_page\.ipynb"):
        build()


def test_pages_run_in_this_interpreter_and_import_this_package(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = project / "kernels" / "python3" / "kernel.json"
    foreign.parent.mkdir(parents=True)
    spec = {"argv": ["false", "{connection_file}"], "display_name": "", "language": "python"}
    foreign.write_text(json.dumps(spec), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(project))
    (project / "repro").mkdir()
    (project / "repro" / "__init__.py").write_text("another = True", encoding="utf-8")
    page = Page(project / "notebooks" / "01_page.ipynb", {}, {}, unfinished=False)
    write_notebook(page.notebook, "import sys, repro\nprint(sys.executable, repro.__file__)")
    with pytest.raises(ReproError, match="notebook 01_page, the kernel died"):
        notebook.run(page, project / "page.ipynb", {})
    with report.own_settings():
        notebook.run(page, project / "page.ipynb", {})
    [*_, cell] = nbformat.read(project / "page.ipynb", as_version=4).cells
    assert cell.outputs[0].text == f"{sys.executable} {repro.__file__}\n"


@pytest.mark.parametrize("out", [".", "mine"])
def test_a_book_that_no_report_made_is_left_alone(project: Path, out: str) -> None:
    write_notebook(project / "notebooks" / "01_page.ipynb")
    own = project / out / "book" / "chapter.md"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text("mine", encoding="utf-8")
    with pytest.raises(ReproError, match="not a report made here"):
        build(out=Path(out))
    assert own.read_text(encoding="utf-8") == "mine"
    assert (project / "book" / "index.md").is_file()


def test_a_folder_that_cannot_be_written_is_named(project: Path) -> None:
    write_notebook(project / "notebooks" / "01_page.ipynb")
    (project / "file").write_text("", encoding="utf-8")
    with pytest.raises(ReproError, match="file: no report can be written here"):
        build(out=Path("file"))


def test_a_warning_of_the_builder_is_an_error(project: Path, said: io.StringIO) -> None:
    (project / "book" / "index.md").write_text("# A book\n\n{doc}`nowhere`\n", encoding="utf-8")
    shutil.rmtree(project / "book" / "report")
    write_notebook(project / "notebooks" / "01_page.ipynb")
    with pytest.raises(ReproError, match=r"the book did not build.*jupyter-book\.log"):
        build()
    assert "nowhere" in said.getvalue()
    assert "nowhere" in Path("build/report/jupyter-book.log").read_text(encoding="utf-8")


def test_outside_a_checkout_a_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert report.find_project() == ROOT, "an editable install finds its checkout"
    monkeypatch.setattr(repro, "__file__", str(tmp_path / "site-packages/repro/__init__.py"))
    with pytest.raises(ReproError, match=re.escape(str(tmp_path)) + ".*git clone.*archive"):
        report.find_project()


def test_cleaning_replaces_paths_but_not_encoded_data(tmp_path: Path) -> None:
    sound = "data:audio/wav;base64,UklGR/home/ada/xyz/home/ada"
    outputs = [
        new_output("stream", name="stderr", text="/home/ada/venv/lib/a.py:1: UserWarning: slow\n"),
        new_output("display_data", data={"text/html": f"<audio src='{sound}'> in /home/ada"}),
        new_output("display_data", data={"image/png": "/home/ada"}),
        new_output("execute_result", data={"text/plain": "'/home/adam'"}),
    ]
    cell = new_code_cell("1", outputs=outputs, metadata={"execution": {}, "papermill": {}})
    page = new_notebook(cells=[cell], metadata={"papermill": {}, "kernelspec": KERNEL})
    path = tmp_path / "page.ipynb"
    nbformat.write(page, path)

    notebook.clean(path, {"/home/ada/venv": "<python>", "/home/ada": "~"}, {})

    cleaned = nbformat.read(path, as_version=4)
    (cell,) = cleaned.cells
    stream, audio, picture, other = cell.outputs
    assert stream.text == "<python>/lib/a.py:1: UserWarning: slow\n"
    assert audio.data["text/html"] == f"<audio src='{sound}'> in ~"
    assert picture.data["image/png"] == "/home/ada"
    assert other.data["text/plain"] == "'/home/adam'"
    assert set(cleaned.metadata) == {"kernelspec", "language_info", "repro"}
    assert "version" not in cleaned.metadata["language_info"]
    assert not cell.metadata


@pytest.mark.parametrize("published", [False, True])
def test_words_on_the_published_results_stay_with_these(tmp_path: Path, published: bool) -> None:
    tagged = new_markdown_cell("EmoDB loses.", metadata={"tags": ["published"]})
    cells = [tagged, new_markdown_cell("What was done.")]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": KERNEL}), tmp_path / "p.ipynb")
    notebook.clean(tmp_path / "p.ipynb", {}, {}, published=published)
    kept = [cell.source for cell in nbformat.read(tmp_path / "p.ipynb", as_version=4).cells]
    assert kept == ["EmoDB loses."] * published + ["What was done."]


def test_bibliography_holds_what_the_pages_cite() -> None:
    known = set(
        re.findall(r"^@\w+\{(\w+),", (ROOT / "book" / "references.bib").read_text(), re.MULTILINE)
    )
    pages = [*(ROOT / "book").glob("*.md"), *(ROOT / "notebooks").glob("*.py")]
    cited = {
        key.strip()
        for page in pages
        for keys in re.findall(r"\{cite:\w+\}`([^`]+)`", page.read_text(encoding="utf-8"))
        for key in keys.split(",")
    }
    assert "li2018attention" in cited
    assert cited <= known
