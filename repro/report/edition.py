"""The published edition: the book made from the published results, and the README's part of it.

Nothing is trained and no number is typed in: `make edition` writes the pages, and one picture and
one small table for the README.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import pandas as pd
from rich.console import Console

from repro.errors import ReproError
from repro.report import plots
from repro.report.build import (
    at_once,
    begin_book,
    build_book,
    elsewhere,
    enclose,
    find_project,
    list_pages,
    notebooks,
    own_settings,
    private_paths,
    run_notebook,
)
from repro.report.elsewhere import Elsewhere
from repro.report.pages import board
from repro.results.audit import merge


class PageSource(NamedTuple):
    """What a page of the published edition is made from."""

    results: str  # the file, below the project; or a pattern for several
    preset: str
    besides: tuple[str, ...] = ()  # further files or patterns, read as one with the first


EDITION_CORPUS = "emodb"
SPEECH = PageSource("results/emodb/pooling.jsonl", "coarse")
POOLINGS = SPEECH._replace(besides=("results/emodb/paper.jsonl", "results/nemo/pooling*.jsonl"))
SHAPES = PageSource(
    "results/emodb/shapes-torch.jsonl",
    "coarse",
    besides=("results/emodb/shapes.jsonl", "results/nemo/shapes*.jsonl"),
)
CLAIMS = SPEECH._replace(besides=(*POOLINGS.besides, SHAPES.results, *SHAPES.besides))
OTHER_SOURCES = {
    "00_does_it_replicate": CLAIMS,
    "09_how_sure": CLAIMS,
    "02_filter_shapes": SHAPES,
    "03_pooling": POOLINGS,
    "04_attention_maps": POOLINGS,
    "05_readings": SPEECH._replace(results="results/emodb/readings.jsonl"),
    "06_protocol": SPEECH._replace(results="results/emodb/protocol.jsonl"),
    "07_recovery": PageSource("results/planted/quick.jsonl", "quick"),
    "11_how_fast": PageSource(
        "results/bench/*.json",
        "paper",
        besides=tuple(f"results/emodb/{name}.jsonl" for name in ("torch", "bf16", "pooling")),
    ),
}


def build_edition(console: Console | None = None) -> Path:
    """Make the published edition from the published results and put it into `book/report/`.

    Nothing is trained, and EmoDB need not be at hand. Where a study has no results yet its page
    ends by saying so. Each page keeps the checksums of what it was made from, see `made_from`.

    Raises:
        ReproError: There is no book or notebook, a notebook failed, or the book did not build.
    """
    console = console or Console()
    project, out = find_project(), Path("build") / "edition"
    book = begin_book(project, out)

    found = notebooks(project)
    results_of = {notebook: joined(notebook, out / notebook.stem) for notebook in found}

    def make_page(notebook: Path, where: Elsewhere | None = None) -> None:
        source, results = page_source(notebook), results_of[notebook]
        parameters = {
            "corpus": EDITION_CORPUS,
            "root": None,
            "preset": source.preset,
            "results": str(results),
            "device": "cpu",
            "precision": "auto",
            "seeds": 1,
        }
        private, facts = private_paths(None, results, out), made_from(notebook, project)
        if where:
            notebook, parameters = where.run(notebook, out / "notebooks", parameters)
        page = book / "report" / notebook.name
        run_notebook(notebook, page, parameters, private, console, facts, unfinished=True)

    again = [
        (notebook, of)
        for notebook, results in results_of.items()
        for of in elsewhere(notebook, results, EDITION_CORPUS, page_source(notebook).preset)
    ]
    with own_settings():
        at_once(make_page, found, again, console)
        for name in {name for notebook in found for name in files_of(notebook)}:
            enclose(book, name, project / name)
        list_pages(book)
        index = build_book(book, out / "jupyter-book.log", console)
    published = project / "book" / "report"
    shutil.rmtree(published, ignore_errors=True)
    shutil.copytree(book / "report", published)
    shutil.copyfile(book / "_toc.yml", project / "book" / "_toc.yml")
    update_readme(project)
    return index


def page_source(notebook: Path) -> PageSource:
    """Return what the published edition's page of a notebook is made from."""
    return OTHER_SOURCES.get(notebook.stem, SPEECH)


def files_of(notebook: Path) -> list[str]:
    """Return the results files of the published edition's page of a notebook."""
    source, project = page_source(notebook), notebook.parent.parent
    found: list[str] = []
    for name in (source.results, *source.besides):
        several = sorted(path.relative_to(project).as_posix() for path in project.glob(name))
        found += several if "*" in name else [name]
    return found


def joined(notebook: Path, folder: Path) -> Path:
    """Return the results file of a page; of several that are there, one that holds them all."""
    source, project = page_source(notebook), notebook.parent.parent
    main = project / source.results
    files = [path for name in files_of(notebook) if (path := project / name).is_file()]
    if main.suffix != ".jsonl" or len(files) < 2:
        return Path(os.path.relpath(main))
    target = folder / main.name
    target.unlink(missing_ok=True)
    merge(files, target)
    return target


def made_from(notebook: Path, project: Path) -> dict[str, Any]:
    """Return checksums of what a published page is made from: its notebook and its results.

    Args:
        notebook: As under version control, without outputs.
        project: The folder above `results/`.

    Returns:
        `notebook`, SHA-256 over the cells' kinds, sources and metadata; `results`, the names of the
        files below the project; and `results sha256`, of each, None for one that is not there.
    """
    import nbformat

    read = nbformat.read(notebook, as_version=4)
    cells = json.dumps([(c.cell_type, c.source, c.metadata) for c in read.cells], sort_keys=True)
    files = files_of(notebook)
    sums = [_sha256(path.read_bytes()) if (path := project / n).is_file() else None for n in files]
    return {"notebook": _sha256(cells.encode()), "results": files, "results sha256": sums}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# README

BEGIN = "<!-- verdicts: written by make edition -->"
END = "<!-- end of verdicts -->"
PICTURE = Path("book") / "_static" / "readme.svg"
NOTHING = "Not known yet: no result on real speech has been published here."


def update_readme(project: Path) -> None:
    """Draw the verdict board and write the verdicts on poolings into a project's README, if any.

    Args:
        project: its folder; the results that the first page is made from may be missing.

    Raises:
        ReproError: the README has lost its markers.
    """
    readme = project / "README.md"
    if not readme.is_file():
        return
    before, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ReproError(f"{readme}: it must hold the lines {BEGIN} and {END}; put them back")
    found = board.evidence(published(project))
    if found:
        readme_picture(found, project / PICTURE)
    shown = readme_verdicts(found) if found else NOTHING
    readme.write_text(f"{before}{begin}\n{shown}\n{end}{after}", encoding="utf-8")


def published(project: Path) -> pd.DataFrame:
    """Return the predictions that the claims are judged by; an empty table if there are none."""
    files = files_of(project / "notebooks" / "00_does_it_replicate.ipynb")
    return pd.concat(
        [pd.DataFrame(), *(board.predictions({}, str(project / name)) for name in files)]
    )


def readme_picture(found: Sequence[board.Evidence], path: Path) -> None:
    """Draw the verdict board as SVG, with the same bytes for the same data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context():  # whatever style the caller has set
        plots.use_style()
        plots.board(board.rows(found)).savefig(path, metadata={"Date": None})


def readme_verdicts(found: Sequence[board.Evidence]) -> str:
    """Return the answer, and the verdicts on the claims about poolings, as Markdown."""
    rows = board.rows(found).query("section == '3.3'")
    rows = rows.assign(cell=rows["verdict"] + " (`" + rows["preset"] + "`)")
    cells = rows.groupby(["claim", "corpus"], sort=False)["cell"]
    table = cells.agg(lambda each: ", ".join(dict.fromkeys(each))).unstack(fill_value="–")
    table = table.loc[rows["claim"].drop_duplicates()]
    lines = [["claim of the paper", *table], ["---"] * (1 + table.shape[1]), *table.itertuples()]
    return f"**{board.answer(found)}**\n\n" + "\n".join(f"| {' | '.join(r)} |" for r in lines)
