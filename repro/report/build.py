"""The report: notebooks run by papermill into a copy of the book, and the book built to HTML.

The notebooks follow the paper's sections one by one. This module trains what they need (`TRAINS`),
gives them their parameters, has them run and hands what they wrote to Jupyter Book.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

import repro
from repro import config, files
from repro.corpora import BUILT_IN, CORPORA, name_of
from repro.device import give_back_memory
from repro.errors import ReproError
from repro.report import notebook
from repro.report.notebook import Page
from repro.results import has_diverged, read_lines
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

ProgressBar = Callable[[], AbstractContextManager[OnEpoch | None]]

CONSOLE = Console()  # where it is said what is done


def build_report(
    out: Path,
    pages: Collection[str] = (),
    progress_bar: ProgressBar = nullcontext,
    **parameters: Any,
) -> Path:
    """Train what the pages need, run every notebook, build the book and return its first page.

    An earlier book under `out` is replaced; the results file is kept, so that a second report
    trains nothing. With `seeds` 0 nothing is trained: pages show what the results file holds, and
    say what is missing.

    Args:
        out: Folder of the report.
        pages: Numbers of the pages to train for, such as `02`; the others show what is there. By
            default all.
        progress_bar: Makes what shows the progress of a study while it is trained.
        parameters: What is trained and where it is kept, as every notebook is told it: corpus,
            root, preset, results, device, precision and seeds, see `study.plan.Run`.

    Raises:
        ReproError: There is no book or notebook, a notebook failed, or the book did not build.
    """
    config.preset(parameters["preset"])  # refused before anything is made, if it does not fit
    parameters["preset"] = config.spelled(parameters["preset"])
    project, results = find_project(), Path(parameters["results"])
    found = notebooks(project)
    pages = chosen(found, pages)
    require_own(project, out)
    with files.refused(f"{out}: no report can be written here"):
        results.parent.mkdir(parents=True, exist_ok=True)
    _train(planned(pages, **parameters), progress_bar)
    begin_book(project, out)  # not before: an earlier book outlives a training that ends in a fault
    paths = {name: str(path) for name in ("root", "results") if (path := parameters[name])}
    told = parameters | paths | {"seeds": 0}  # whatever can be trained has been
    trained = pages if parameters["seeds"] else ()
    name = f"results/{results.name}"
    made = [Page(n, told, {"results": [name]}, n.name[:2] not in trained) for n in found]
    return make_book(out, made, {name: results})


def make_book(out: Path, pages: Sequence[Page], results: Mapping[str, Path]) -> Path:
    """Run the notebooks of pages, build the book that was begun under `out`, return its first page.

    What a page shows is shown again for each further corpus and setting that its results hold.

    Args:
        out: Folder of the report.
        pages: They train nothing, so that none waits for another.
        results: The results files that pages link to, by their names in the book; those that are
            there are put into it.

    Raises:
        ReproError: A notebook failed, or the book did not build.
    """
    from papermill.iorw import local_file_io_cwd

    book = out / "book"

    def make_page(page: Page) -> None:
        with _timed(page.notebook.stem):
            private = notebook.private_paths(page.parameters, out)
            notebook.run(page, book / "report" / page.notebook.name, private)

    pages = [with_results(page) for page in pages]
    every = [
        *pages,
        *(notebook.again(page, *of, out / "notebooks") for page in pages for of in elsewhere(page)),
    ]
    every = [page._replace(facts=page.facts | {"shown": _shown(page, results)}) for page in every]
    with own_settings():
        # papermill's current folder is one for all threads: each would restore what another set.
        with local_file_io_cwd(), running("pages"), ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(make_page, every))
        for name, path in results.items():
            if path.is_file():
                (book / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, book / name)
        list_pages(book)
        return build_book(book, out / "jupyter-book.log")


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
        raise ReproError(f"no page {absent[0]}: choose from {', '.join(numbers)}")
    return [number for number in numbers if number in (pages or numbers)]


def studies(pages: Collection[str]) -> dict[str, str | None]:
    """Return what pages train: studies, and of which of them one variant only."""
    found: dict[str, str | None] = {}
    for page, study, only in TRAINS:
        if page in pages:
            found.setdefault(study, only)
    return found


def with_results(page: Page) -> Page:
    """Return a page under its preset or, if nothing was run under it, under one that was.

    Raises:
        ReproError: the results file cannot be read.
    """
    corpus, preset = _where(page)
    presets = [setting for name, setting in _compared(page) if name == corpus]
    if not presets or preset in presets:
        return page
    first = min(presets, key=lambda of: (config.parted(of)[0] in config.SHOWCASES, of))
    return page._replace(parameters=page.parameters | {"preset": first})


def elsewhere(page: Page) -> list[tuple[str, str]]:
    """Return for which further corpora and settings a page's results file holds what it shows.

    Synthetic sound is not among them, nor is a corpus that is known by a table of one's own alone.

    Raises:
        ReproError: the results file cannot be read.
    """
    here = _where(page)
    known = ({here[0]} | CORPORA.keys()) - {*BUILT_IN}
    return [of for of in _compared(page) if of != here and of[0] in known]


def _shown(page: Page, results: Mapping[str, Path]) -> list[str]:
    """Return the names of the results files of a page that hold what it shows, or of all."""
    names = [name for name in page.facts["results"] if results[name].is_file()]
    if _sums_up(page) or page.notebook.name[:2] == "05":  # which shows two studies
        return names
    shown = studies([page.notebook.name[:2]])
    return [name for name in names if _where(page) in _held(results[name], shown)] or names


def _where(page: Page) -> tuple[str, str]:
    """Return the corpus and the setting of which a page shows results."""
    return name_of(page.parameters["corpus"]), page.parameters["preset"]


def _sums_up(page: Page) -> bool:
    """Return whether a page shows all that its results hold, or trains nothing."""
    number = page.notebook.name[:2]
    return number == "00" or not studies([number])


def _compared(page: Page) -> list[tuple[str, str]]:
    """Return the corpora and settings of which a results file holds what a page compares."""
    results = Path(page.parameters["results"])
    if _sums_up(page) or not results.is_file():
        return []
    study, variant = next(iter(studies([page.notebook.name[:2]]).items()))
    return _held(results, {study: variant})


def _held(results: Path, of: Mapping[str, str | None]) -> list[tuple[str, str]]:
    """Return the corpora and settings of which a results file holds one of some studies."""
    found = (
        (record["corpus"]["name"], record["preset"])
        for record in read_lines(results)
        if record["study"] in of and of[record["study"]] in (None, record["variant"])
        if not has_diverged(record)
    )
    return list(dict.fromkeys(found))


def planned(pages: Collection[str], **parameters: Any) -> list[Run]:
    """Return the runs that pages ask for with some parameters."""
    return [Run(study, only=only, **parameters) for study, only in studies(pages).items()]


def _train(runs: Sequence[Run], progress_bar: ProgressBar) -> None:
    """Train what the results file lacks of some studies, if their corpus is at hand.

    Raises:
        ReproError: a fold cannot be trained.
    """
    if not runs or not runs[0].at_hand or not runs[0].seeds:
        return
    with running("estimate"):
        left = {row.study: row.seconds for row in survey(runs).rows}
    for asked in runs:
        seconds = left.pop(asked.study, 0.0)
        if seconds:
            after = duration(seconds + sum(left.values()))
            line = f"{asked.study:<24}  trains for about {duration(seconds)}, {after} in all"
            CONSOLE.print(line, highlight=False)
        with _timed(asked.study), progress_bar() as progress:
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


def list_pages(book: Path) -> None:
    """Put the pages made for further corpora and settings into the table of contents of a book.

    The page that they stand below leads to them too.
    """
    toc = yaml.safe_load((book / "_toc.yml").read_text(encoding="utf-8"))
    for part in toc.get("parts", ()):
        for chapter in part["chapters"]:
            if chapter["file"].startswith("report/"):
                chapter.pop("sections", None)
                if further := sorted(p.stem for p in book.glob(f"{chapter['file']}_*.ipynb")):
                    chapter["sections"] = [{"file": f"report/{name}"} for name in further]
                    notebook.lead_to(book / f"{chapter['file']}.ipynb", further)
    (book / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")


def build_book(book: Path, log: Path) -> Path:
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
    with _timed("book"), running("book"):
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        log.write_text(done.stdout, encoding="utf-8")
        if done.returncode != 0 or not index.is_file():
            CONSOLE.print(done.stdout, markup=False, highlight=False)
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


def running(name: str) -> Progress:
    """Return a spinner with the time gone by, on a terminal; nothing elsewhere."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    hidden = not CONSOLE.file.isatty()  # FORCE_COLOR makes rich take anything for a terminal
    progress = Progress(*columns, console=CONSOLE, transient=True, disable=hidden)
    progress.add_task(f"{name}  running", total=None)
    return progress


@contextmanager
def _timed(name: str) -> Iterator[None]:
    """Context manager: print whether something was done or failed, and how long it took."""
    started, state = time.monotonic(), "stopped"  # by a signal
    try:
        yield
        state = "done"
    except Exception:
        state = "failed"
        raise
    finally:
        seconds = time.monotonic() - started
        CONSOLE.print(f"{name:<24}  {state}  {seconds:6.1f} s", highlight=False)


def require_own(project: Path, out: Path) -> None:
    """Make sure that a book may be put where one is, if there is one.

    Raises:
        ReproError: it is a folder that no report made.
    """
    target = out / "book"
    ours = target.resolve() != (project / "book").resolve() and (target / MARK).is_file()
    if target.exists() and not ours:
        raise ReproError(f"{target}: not a report made here; give --out another folder")


def begin_book(project: Path, out: Path) -> Path:
    """Return a copy of the book without its pages; the link to `_config.yml` becomes a file.

    Raises:
        ReproError: the target cannot be written, or is a folder that no report made; it is left as
            it is.
    """
    source, target = project / "book", out / "book"
    with files.refused(f"{out}: no report can be written here"):
        require_own(project, out)
        if target.exists():
            shutil.rmtree(target)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("_build", "report"))
        for folder in (target, *target.rglob("*/")):
            folder.chmod(0o755)  # those of a read-only checkout are copied as they are
        (target / MARK).touch()
    return target
