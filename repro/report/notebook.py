"""A page of the report: a notebook run by papermill, without what is of this machine alone.

A results file may hold the study of a page on several corpora and under several settings. Each
further one has a page of its own below that page: the same notebook, without the words and the code
that are true of any.
"""

import os
import re
import sys
import tempfile
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from repro.corpora import name_of, own
from repro.errors import AllDivergedError, NoMapsError, NoResultsError, ReproError
from repro.report.pages import wording

ONCE = "once"  # the tag of a cell that is true of any corpus and setting

PUBLISHED = "published"  # the tag of words about the results that are published with the book

NOT_RUN = "not-run-yet"  # the cell in which a page of the edition ends if there are no results

START = 300  # seconds that a kernel has to start: on a busy machine imports take long


class Page(NamedTuple):
    """A page as it is to be made."""

    notebook: Path
    parameters: dict[str, Any]  # what its cell of parameters is replaced by
    facts: dict[str, Any]  # what it is made from, kept in its metadata
    unfinished: bool  # whether results may be missing
    published: bool = False  # whether its results are those of the published edition


def again(page: Page, corpus: str, setting: str, folder: Path) -> Page:
    """Write a page's notebook for another corpus or setting into a folder; return that page.

    It trains nothing. Words go, but for the headings of what is left, and so does what is tagged
    `ONCE`. Figures and tables get names of their own.
    """
    import nbformat

    read = nbformat.read(page.notebook, as_version=4)
    kept = []
    for cell in read.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown":
            cell.source = headings(cell.source)
        elif ONCE in tags:
            continue
        else:
            cell.metadata["tags"] = sorted({*tags, "remove-input"})
            if figure := cell.metadata.get("mystnb", {}).get("figure"):
                figure["name"] = wording.further(figure["name"], corpus, setting)
        kept.append(cell)
    read.cells = [
        cell
        for cell, after in zip(kept, [*kept[1:], None], strict=True)
        if cell.cell_type == "code" or (cell.source and after and after.cell_type == "code")
    ]
    read.cells[0].source += (
        f": {wording.where(corpus, setting)}\n\n"
        f"*What {{doc}}`{page.notebook.stem}` shows, on another corpus or under other settings. "
        "What figures and tables mean is said there.*"
    )
    target = folder / f"{wording.further(page.notebook.stem, corpus, setting)}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(read, target)
    here = {"preset": setting, "seeds": 0}
    if corpus != name_of(page.parameters["corpus"]):
        here |= {"corpus": corpus, "root": None}
    return page._replace(notebook=target, parameters=page.parameters | here)


def headings(source: str) -> str:
    """Return the headings of a text without its words, but for those that would head nothing."""
    kept: list[str] = []
    for heading in reversed(re.findall(r"^#+ .*$", source, re.MULTILINE)):
        if not kept or heading.index(" ") < kept[0].index(" "):  # of a higher level
            kept.insert(0, heading)
    return "\n\n".join(kept)


def lead_to(path: Path, pages: Sequence[str]) -> None:
    """Let an executed notebook lead to other pages beside it, by their names."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    links = ", ".join(f"{{doc}}`{name}`" for name in pages)
    said = f"*On other corpora or under other settings:* {links}."
    notebook.cells.insert(1, nbformat.v4.new_markdown_cell(said, id="elsewhere"))
    nbformat.write(notebook, path)


def run(page: Page, target: Path, private: dict[str, str]) -> None:
    """Run the notebook of a page and write it, cleaned, to `target`.

    The kernel works in the current folder, so that relative paths mean what the caller meant.
    When a cell fails, the notebook as far as it ran is kept. If it fails for want of results and
    the page may be unfinished, or for want of maps that are not kept, the page ends there and says
    so. What is private, see `clean`.

    Raises:
        ReproError: Naming the notebook, the cell (its number as Jupyter shows it) and the error.
    """
    import papermill
    from nbclient.exceptions import CellControlSignal
    from papermill.exceptions import PapermillException, PapermillExecutionError

    target.parent.mkdir(parents=True, exist_ok=True)
    fault = said = ""
    missing = None
    try:
        papermill.execute_notebook(
            page.notebook,
            target,
            parameters=page.parameters,
            kernel_name="python3",
            progress_bar=False,
            start_timeout=START,
            cwd=os.getcwd(),
            extra_arguments=["--log-level=CRITICAL"],  # the kernel's notes are not the reader's
            coalesce_streams=True,  # where a stream is cut depends on the moment
        )
    except PapermillExecutionError as error:
        ends = {NoMapsError.__name__: "No maps", AllDivergedError.__name__: "Diverged"}
        ends |= {NoResultsError.__name__: "Not run yet"} if page.unfinished else {}
        if what := ends.get(error.ename):
            missing = what, error.evalue.partition("\n")[0]
        else:
            fault, said = f"cell {error.exec_count} failed: {error.ename}", error.evalue
    except (RuntimeError, CellControlSignal) as error:
        fault, said = "the kernel died", str(error)
    except PapermillException as error:
        fault, said = "not run", str(error)
    if fault:
        first_line = said.strip().partition("\n")[0]
        raise ReproError(
            f"notebook {page.notebook.stem}, {fault}: {first_line}; the notebook as far as it ran: "
            f"{target}"
        )
    clean(target, private, page.facts, missing, published=page.published)


def clean(
    path: Path,
    private: dict[str, str],
    facts: dict[str, Any],
    missing: tuple[str, str] | None = None,
    published: bool = False,
) -> None:
    """Take times, papermill's notes and this machine's paths out of an executed notebook.

    Cells that hold parameters are hidden from the page: the page states what it was made from.

    Args:
        path: The notebook, rewritten in place.
        private: What each path of this machine is replaced by.
        facts: What the page was made from, kept in its metadata.
        missing: In short and at length, what a cell failed for want of; the page ends before it.
        published: Whether to keep words about the published results.
    """
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    if not published:
        cells = notebook.cells
        notebook.cells = [c for c in cells if PUBLISHED not in c.metadata.get("tags", [])]
    notebook.metadata = {
        "kernelspec": notebook.metadata["kernelspec"],
        "language_info": {"name": "python", "pygments_lexer": "ipython3"},
        "repro": facts,
    }
    if missing:
        ran = takewhile(lambda cell: not _failed(cell), notebook.cells)
        said = f"> **{missing[0]}.** {_neutral(missing[1], private)}."
        notebook.cells = [
            *(c for c in ran if "papermill-error-cell-tag" not in c.metadata.get("tags", [])),
            nbformat.v4.new_markdown_cell(said, id=NOT_RUN),
        ]
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        tags = cell.metadata.get("tags", [])
        if {"parameters", "injected-parameters"} & {*tags}:
            cell.metadata["tags"] = sorted({*tags, "remove-cell"})
        if "injected-parameters" in tags:
            cell["id"] = "injected-parameters"  # papermill draws a new one in every run
            cell.source = _neutral(cell.source, private)
        if "remove-output" in tags:
            cell.outputs = []  # progress, with its times
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = _neutral(output["text"], private)
            for kind, text in output.get("data", {}).items():
                if kind.startswith("text/"):
                    output["data"][kind] = _neutral(text, private)
    nbformat.write(notebook, path)


def private_paths(parameters: dict[str, Any], out: Path) -> dict[str, str]:
    """Return what must not stand on a page, with what stands there instead; the longest first."""
    paths = {
        str(Path(parameters["results"]).resolve().parent): ".",
        str(out.resolve()): ".",
        str(Path.cwd()): ".",
        sys.prefix: "<python>",
        sys.base_prefix: "<python>",
        tempfile.gettempdir(): "<tmp>",
        str(Path.home()): "~",
    }
    if root := parameters["root"]:
        paths[root] = paths[str(Path(root).resolve())] = "<corpus>"
    longest_first = sorted(paths, key=len, reverse=True)
    private = {path: paths[path] for path in longest_first if os.path.isabs(path) and path != "/"}
    table = own.file_of(parameters["corpus"])
    return ({str(table): table.name} if table else {}) | private


def _neutral(text: str, private: dict[str, str]) -> str:
    """Replace the paths where they stand as paths, never inside encoded audio or pictures."""
    for path, word in private.items():
        text = re.sub(rf"(?<![\w+/.]){re.escape(path)}(?![\w+-])", word, text)
    return text


def _failed(cell: dict[str, Any]) -> bool:
    return any(output["output_type"] == "error" for output in cell.get("outputs", []))
