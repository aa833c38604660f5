"""The report: notebooks run by papermill into a copy of the book, and the book built to HTML.

Nothing here knows what the pages show. The notebooks follow the paper's sections one by one; this
module trains what they need, gives them their parameters, runs them, takes this machine's paths and
times out of what they wrote, and hands the result to Jupyter Book.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

import repro
from repro import config
from repro.corpora import name_of, own
from repro.device import give_back_memory
from repro.errors import NoResultsError, ReproError
from repro.report.elsewhere import Elsewhere, held
from repro.study.plan import Progress as OnEpoch
from repro.study.plan import Run
from repro.study.run import run
from repro.tools.estimate import duration, survey

# What pages train: a study, or one variant of it. Whole studies stand first.
TRAINS = (
    ("00", "filter-shapes", None),
    ("00", "pooling", None),
    ("02", "filter-shapes", None),
    ("03", "pooling", None),
    ("03", "baselines", None),
    ("05", "readings", None),
    ("06", "protocol", None),
    ("07", "recovery", None),
    ("04", "pooling", "attention"),
)

MARK = ".made-by-repro-report"  # an empty file in a book that a later report may replace

NOT_RUN = "not-run-yet"  # the cell in which a page of the edition ends if there are no results

START = 300  # seconds that a kernel has to start: on a busy machine imports take long

ProgressBar = Callable[[], AbstractContextManager[OnEpoch | None]]

_HIDDEN_TAGS = ("parameters", "injected-parameters")


def build_report(
    *,
    corpus: str,
    root: Path | None,
    preset: str,
    results: Path | None,
    out: Path,
    device: str,
    precision: str,
    seeds: int,
    pages: Collection[str] = (),
    console: Console | None = None,
    progress_bar: ProgressBar = nullcontext,
) -> Path:
    """Train what the pages need, run every notebook, build the book and return its first page.

    An earlier book under `out` is replaced; the results file is kept, so that a second report
    trains nothing. With `seeds` 0 nothing is trained: pages show what the results file holds, and
    say what is missing.

    Args:
        corpus: Name of the corpus, or its table.
        root: Its folder; None for the built-in corpus.
        preset: How much is trained, with what is changed of it, see `config.preset`.
        results: The results file; None means `results.jsonl` under `out`.
        out: Folder of the report.
        device: Where to train.
        precision: `fp32`, `bf16` or `auto`, as in `study.run`.
        seeds: How many seeds each variant is trained with.
        pages: Numbers of the pages to train for, such as `02`; the others show what is there. By
            default all.
        console: Where it is said what is done.
        progress_bar: Makes what shows the progress of a study while it is trained.

    Returns:
        The report's `index.html`.

    Raises:
        ReproError: There is no book or notebook, a notebook failed, or the book did not build.
    """
    console = console or Console()
    config.preset(preset)  # refused before anything is made, if it does not fit
    project = find_project()
    results = results or out / "results.jsonl"
    parameters = {
        "corpus": corpus,
        "root": None if root is None else str(root),
        "preset": preset,
        "results": str(results),
        "device": device,
        "precision": precision,
        "seeds": seeds,
    }
    found = notebooks(project)
    pages = chosen(found, pages)
    book = begin_book(project, out)
    try:
        results.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReproError(f"{out}: no report can be written here ({error.strerror})") from error
    private = private_paths(root, results, out)
    if table := own.file_of(corpus):
        private = {str(table): table.name} | private
    facts = {"results": [f"results/{results.name}"]}
    _train(planned(pages, **parameters), console, progress_bar)

    def make_page(notebook: Path, where: Elsewhere | None = None) -> None:
        unfinished = not seeds or notebook.name[:2] not in pages
        how = parameters | {"seeds": 0}  # whatever can be trained has been
        if where:
            notebook, how = where.run(notebook, out / "notebooks", how)
        page = book / "report" / notebook.name
        run_notebook(notebook, page, how, private, console, facts, unfinished=unfinished)

    again = [(n, of) for n in found for of in elsewhere(n, results, name_of(corpus), preset)]
    with own_settings():
        at_once(make_page, found, again, console)
        enclose(book, f"results/{results.name}", results)
        list_pages(book)
        return build_book(book, out / "jupyter-book.log", console)


def notebooks(project: Path) -> list[Path]:
    """Return the notebooks in the order of their numbers."""
    return sorted((project / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def chosen(found: Sequence[Path], pages: Collection[str]) -> list[str]:
    """Return the numbers of the pages that are chosen, in their order; of all if none is.

    Raises:
        ReproError: there is no such page.
    """
    numbers = [notebook.name[:2] for notebook in found]
    if absent := [page for page in pages if page not in numbers]:
        raise ReproError(f"no page {absent[0]}: choose from {', '.join(sorted(numbers))}")
    return [number for number in numbers if number in (pages or numbers)]


def studies(pages: Collection[str]) -> dict[str, str | None]:
    """Return what pages train: studies, and of which of them one variant only."""
    found: dict[str, str | None] = {}
    for page, study, only in TRAINS:
        if page in pages:
            found.setdefault(study, only)
    return found


def elsewhere(notebook: Path, results: Path, corpus: str, setting: str) -> list[Elsewhere]:
    """Return for which further corpora and settings a results file holds what a page shows."""
    shown = studies([notebook.name[:2]])
    if not shown or notebook.name.startswith("00"):  # which sums up all of them itself
        return []
    study, variant = next(iter(shown.items()))
    return held(results, study, variant, corpus, setting)


def at_once(
    make_page: Callable[[Path, Elsewhere | None], None],
    found: Sequence[Path],
    again: Sequence[tuple[Path, Elsewhere]],
    console: Console,
) -> None:
    """Make a page of each notebook, and once more where that is asked for.

    They train nothing, so that none waits for another, and each has a kernel to itself.
    """
    from papermill.iorw import local_file_io_cwd

    pages = [*((notebook, None) for notebook in found), *again]
    # papermill's current folder is one for all threads: each would restore what another had set.
    with local_file_io_cwd(), running("pages", console), ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(make_page, *zip(*pages, strict=True)))


def planned(pages: Collection[str], **parameters: Any) -> list[Run]:
    """Return the runs that pages ask for with some parameters."""
    return [Run(study, only=only, **parameters) for study, only in studies(pages).items()]


def _train(runs: Sequence[Run], console: Console, progress_bar: ProgressBar) -> None:
    """Train what the results file lacks of some studies, if their corpus is at hand.

    Raises:
        ReproError: a fold cannot be trained.
    """
    if not runs or not runs[0].at_hand or not runs[0].seeds:
        return
    with running("estimate", console):
        left = {row.study: row.seconds for row in survey(runs).rows}
    for asked in runs:
        seconds = left.pop(asked.study, 0.0)
        if seconds:
            after = duration(seconds + sum(left.values()))
            line = f"{asked.study:<24}  trains for about {duration(seconds)}, {after} in all"
            console.print(line, highlight=False)
        with _timed(asked.study, console), progress_bar() as progress:
            run(asked, progress)
    give_back_memory()  # the kernels need the room
    torch.cuda.empty_cache()


def find_project() -> Path:
    """Return the folder of `book/` and `notebooks/`: the current one, or the package's parent."""
    for folder in (Path.cwd(), Path(repro.__file__).resolve().parents[1]):
        if (folder / "book" / "_toc.yml").is_file() and (folder / "notebooks").is_dir():
            return folder
    raise ReproError(
        f"{Path.cwd()} has no book/ and notebooks/: run this in a git clone of the project, or in "
        f"its unpacked source archive, repro-{repro.__version__}.tar.gz"
    )


def run_notebook(
    source: Path,
    target: Path,
    parameters: dict[str, Any],
    private: dict[str, str],
    console: Console,
    facts: dict[str, Any] | None = None,
    *,
    unfinished: bool = False,
) -> None:
    """Run one notebook with `parameters` and write it, cleaned, to `target`.

    The kernel works in the current folder, so that relative paths mean what the caller meant.
    When a cell fails, the notebook as far as it ran is kept. If it fails for want of results and
    the page may be `unfinished`, the page ends there and says so.

    Args:
        source: The notebook.
        target: Where to write it.
        parameters: What its cell of parameters is replaced by.
        private: See `clean_notebook`.
        console: Where progress goes.
        facts: See `clean_notebook`.
        unfinished: Whether results may be missing.

    Raises:
        ReproError: Naming the notebook, the cell (its number as Jupyter shows it) and the error.
    """
    import papermill
    from nbclient.exceptions import CellControlSignal
    from papermill.exceptions import PapermillException, PapermillExecutionError

    target.parent.mkdir(parents=True, exist_ok=True)
    fault = missing = ""
    with _timed(source.stem, console):
        try:
            papermill.execute_notebook(
                source,
                target,
                parameters=parameters,
                kernel_name="python3",
                progress_bar=False,
                start_timeout=START,
                cwd=os.getcwd(),
                extra_arguments=["--log-level=CRITICAL"],  # the kernel's notes are not the reader's
                coalesce_streams=True,  # where a stream is cut depends on the moment
            )
        except PapermillExecutionError as error:
            reason = _first_line(error.evalue)
            if unfinished and error.ename == NoResultsError.__name__:
                missing = reason
            else:
                fault = f"cell {error.exec_count} failed: {error.ename}: {reason}"
        except (RuntimeError, CellControlSignal) as error:
            fault = f"the kernel died: {_first_line(str(error))}"
        except PapermillException as error:
            fault = f"not run: {_first_line(str(error))}"
        if fault:
            raise ReproError(
                f"notebook {source.stem}, {fault}; the notebook as far as it ran: {target}"
            )
        clean_notebook(target, private, facts, missing)


def clean_notebook(
    path: Path, private: dict[str, str], facts: dict[str, Any] | None = None, missing: str = ""
) -> None:
    """Take times, papermill's notes and this machine's paths out of an executed notebook.

    Cells that hold parameters are hidden from the page: the page states what it was made from.

    Args:
        path: The notebook, rewritten in place.
        private: What each path of this machine is replaced by.
        facts: What the page was made from, kept in its metadata.
        missing: Which results a cell failed for want of; the page ends before that cell.
    """
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = {
        key: notebook.metadata[key] for key in ("kernelspec",) if key in notebook.metadata
    } | {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    if facts:
        notebook.metadata["repro"] = facts
    if missing:
        failed = [
            any(o.output_type == "error" for o in c.get("outputs", [])) for c in notebook.cells
        ]
        notebook.cells = [
            cell
            for cell in notebook.cells[: failed.index(True)]
            if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])
        ]
        note = nbformat.v4.new_markdown_cell(
            f"> **Not run yet.** {_neutral(missing, private)}.", id=NOT_RUN
        )
        notebook.cells.append(note)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        tags = cell.metadata.get("tags", [])
        if any(tag in tags for tag in _HIDDEN_TAGS):
            cell.metadata["tags"] = sorted({*tags, "remove-cell"})
        if "injected-parameters" in tags:
            cell["id"] = "injected-parameters"  # papermill draws a new one in every run
            cell.source = _neutral(cell.source, private)
        if "remove-output" in tags:
            cell.outputs = []  # progress, with its times
        for output in cell.get("outputs", []):
            _clean_output(output, private)
    nbformat.write(notebook, path)


def list_pages(book: Path) -> None:
    """Put the pages made for further corpora and settings into the table of contents of a book."""
    toc = yaml.safe_load((book / "_toc.yml").read_text(encoding="utf-8"))
    for part in toc.get("parts", ()):
        for chapter in part["chapters"]:
            if chapter["file"].startswith("report/"):
                chapter.pop("sections", None)
                if further := sorted(p.stem for p in book.glob(f"{chapter['file']}_*.ipynb")):
                    chapter["sections"] = [{"file": f"report/{name}"} for name in further]
    (book / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")


def build_book(book: Path, log: Path, console: Console) -> Path:
    """Return the first page of `book` built to HTML; a warning is an error.

    What the builder said goes to `log`.

    Raises:
        ReproError: The book did not build; what the builder said has then been printed.
    """
    command = [
        *(sys.executable, "-c", "from jupyter_book.cli.main import main; main()"),
        *("build", str(book), "-W", "--keep-going"),
    ]
    index = book / "_build" / "html" / "index.html"
    with _timed("book", console), running("book", console):
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        log.write_text(done.stdout, encoding="utf-8")
        if done.returncode != 0 or not index.is_file():
            console.print(done.stdout, markup=False, highlight=False)
            raise ReproError(f"the book did not build; what Jupyter Book said is in {log}")
    return index


@contextmanager
def own_settings() -> Iterator[None]:
    """Context manager: keep the machine's kernels, settings and current folder out of the pages.

    A kernel called python3 may be another interpreter's, and the home folder, where Jupyter,
    IPython and matplotlib keep their files, may be read-only or hold settings of the user's own.
    """
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="repro-") as folder:
        kernel = Path(folder) / "kernels" / "python3" / "kernel.json"
        kernel.parent.mkdir(parents=True)
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = {"argv": argv, "display_name": "Python 3", "language": "python"}
        kernel.write_text(json.dumps(spec), encoding="utf-8")
        names = ("JUPYTER_PATH", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR")
        os.environ.update(dict.fromkeys(names, folder) | {"PYTHONSAFEPATH": "1"})
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def running(name: str, console: Console) -> Progress:
    """Return a spinner with the time gone by, on a terminal; nothing elsewhere."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    hidden = not console.file.isatty()  # FORCE_COLOR makes rich take anything for a terminal
    progress = Progress(*columns, console=console, transient=True, disable=hidden)
    progress.add_task(f"{name}  running", total=None)
    return progress


@contextmanager
def _timed(name: str, console: Console) -> Iterator[None]:
    """Context manager: print whether something was done or failed, and how long it took."""
    started, state = time.monotonic(), "failed"
    try:
        yield
        state = "done"
    finally:
        seconds = time.monotonic() - started
        console.print(f"{name:<24}  {state}  {seconds:6.1f} s", highlight=False)


def begin_book(project: Path, out: Path) -> Path:
    """Return a copy of the book without its pages; the link to `_config.yml` becomes a file.

    Raises:
        ReproError: the target cannot be written, or is a folder that no report made; it is left as
            it is.
    """
    source, target = project / "book", out / "book"
    try:
        if target.exists():
            if target.resolve() == source.resolve() or not (target / MARK).is_file():
                raise ReproError(f"{target}: not a report made here; give --out another folder")
            shutil.rmtree(target)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("_build", "report"))
        for folder in (target, *target.rglob("*/")):
            folder.chmod(0o755)  # those of a read-only checkout are copied as they are
        (target / MARK).touch()
    except OSError as error:
        raise ReproError(f"{out}: no report can be written here ({error.strerror})") from error
    return target


def enclose(book: Path, name: str, results: Path) -> None:
    """Put the results file, if there is one, into the book, whose pages link to it."""
    if results.is_file():
        (book / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(results, book / name)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""


def private_paths(root: Path | None, results: Path, out: Path) -> dict[str, str]:
    """Return what must not stand on a page, with what stands there instead; the longest first."""
    paths = {
        str(results.resolve().parent): ".",
        str(out.resolve()): ".",
        str(Path.cwd()): ".",
        sys.prefix: "<python>",
        sys.base_prefix: "<python>",
        tempfile.gettempdir(): "<tmp>",
        str(Path.home()): "~",
    }
    if root is not None:
        paths[str(root)] = paths[str(root.resolve())] = "<corpus>"
    longest_first = sorted(paths, key=len, reverse=True)
    return {path: paths[path] for path in longest_first if os.path.isabs(path) and path != "/"}


def _neutral(text: str, private: dict[str, str]) -> str:
    """Replace the paths where they stand as paths, never inside encoded audio or pictures."""
    for path, word in private.items():
        text = re.sub(rf"(?<![\w+/.]){re.escape(path)}(?![\w+-])", word, text)
    return text


def _clean_output(output: dict[str, Any], private: dict[str, str]) -> None:
    """Replace private paths in an output's texts."""
    if "text" in output:
        output["text"] = _neutral(output["text"], private)
    if "traceback" in output:
        output["traceback"] = [_neutral(line, private) for line in output["traceback"]]
    data = output.get("data", {})
    for kind, text in data.items():
        if kind.startswith("text/") and isinstance(text, str):
            data[kind] = _neutral(text, private)
