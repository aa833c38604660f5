"""The published edition: the book made from the published results, and the README's part of it.

Nothing is trained and no number is typed in: `make edition` writes the pages, one picture and the
verdicts in the README.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import pandas as pd
from rich.console import Console

from repro import paper, results
from repro.errors import ReproError
from repro.evidence import claims
from repro.report import plots
from repro.report.build import (
    begin_book,
    build_book,
    enclose,
    find_project,
    notebooks,
    own_settings,
    private_paths,
    run_notebook,
    running,
)
from repro.report.pages import common, first, poolings, speed, wording
from repro.results import Results
from repro.results.audit import merge


class PageSource(NamedTuple):
    """What a page of the published edition is made from."""

    results: str  # the file, below the project; or a pattern for several
    preset: str
    besides: tuple[str, ...] = ()  # further files; those of results are read as one with the first


EDITION_CORPUS = "emodb"
SPEECH = PageSource("results/emodb/coarse.jsonl", "coarse")
OTHER_PRESETS = SPEECH._replace(besides=("results/emodb/paper.jsonl",))
FIRST = SPEECH._replace(besides=(*OTHER_PRESETS.besides, "results/emodb/readings.jsonl"))
BOTH_PRECISIONS = ("results/emodb/coarse.jsonl", "results/emodb/bf16.jsonl")
OTHER_SOURCES = {
    "00_does_it_replicate": FIRST,
    "03_pooling": OTHER_PRESETS,
    "05_readings": PageSource("results/emodb/readings.jsonl", "coarse"),
    "07_recovery": PageSource("results/planted/quick.jsonl", "quick"),
    "11_how_fast": PageSource(
        "results/bench/*.json", "paper", besides=(*BOTH_PRECISIONS, "results/emodb/exact.jsonl")
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

    def make_page(notebook: Path) -> None:
        source = page_source(notebook)
        results = joined(source, project, out / notebook.stem)
        parameters = {
            "corpus": EDITION_CORPUS,
            "root": None,
            "preset": source.preset,
            "results": str(results),
            "device": "cpu",
            "precision": "auto",
            "seeds": 1,
        }
        page = book / "report" / notebook.name
        private, facts = private_paths(None, results, out), made_from(notebook, project)
        run_notebook(notebook, page, parameters, private, console, facts, unfinished=True)

    # Nothing is trained, so that no page waits for another; each has a kernel to itself.
    with own_settings():
        with running("pages", console), ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            list(pool.map(make_page, notebooks(project)))
        for name in {name for notebook in notebooks(project) for name in files_of(notebook)}:
            enclose(book, name, project / name)
        index = build_book(book, out / "jupyter-book.log", console)
    published = project / "book" / "report"
    shutil.rmtree(published, ignore_errors=True)
    shutil.copytree(book / "report", published)
    update_readme(project, FIRST, corpus=EDITION_CORPUS)
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


def joined(source: PageSource, project: Path, folder: Path) -> Path:
    """Return the results file of a source; of several that are there, one that holds them all."""
    main, *others = (project / name for name in (source.results, *source.besides))
    lines = main.is_file() and main.suffix == ".jsonl"
    if not lines or not any(path.is_file() for path in others):
        return Path(os.path.relpath(main))
    target = folder / main.name
    target.unlink(missing_ok=True)
    merge([path for path in (main, *others) if path.is_file()], target)
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
NOTHING = (
    "Not known yet: no result on real speech has been published here. The picture shows what the "
    "paper reports on IEMOCAP, and waits for ours."
)


def update_readme(project: Path, source: PageSource, *, corpus: str) -> None:
    """Draw the picture and write the verdicts into the README of a project, if it has one.

    Args:
        project: its folder.
        source: results on real speech, below the folder, and the preset that counts; the file need
            not exist yet.
        corpus: name of the corpus that counts.

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
    found = published(project, source, corpus)
    readme_picture(found.predictions, project / PICTURE)
    notes = []
    if len(found.folds):
        notes.append(common.fitted(found.where(study="pooling"), corpus))
    for name in source.besides:
        presets = poolings.other_presets(corpus, source.preset, str(project / name))
        notes.append(first.gain_by_preset(presets))
    for name in source.besides:
        wanted = {"study": {"readings"}, "corpus": {corpus}, "preset": {source.preset}}
        notes.append(first.at_its_best(_read(project / name, **wanted)))
    notes.append(speed.gain("precision", *(project / name for name in BOTH_PRECISIONS)))
    shown = readme_verdicts(found.predictions, [note.data for note in notes if note])
    text = f"{before}{begin}\n{shown}\n{end}{after}"
    readme.write_text(text, encoding="utf-8")


def published(project: Path, source: PageSource, corpus: str) -> Results:
    """Return the results that the claims are judged by; empty tables if there are none."""
    studies = {"pooling", "filter-shapes"}
    wanted = {"study": studies, "corpus": {corpus}, "preset": {source.preset}}
    return _read(project / source.results, **wanted)


def _read(file: Path, **wanted: set[str]) -> Results:
    """Return what a results file holds; empty tables if it is not there."""
    if file.is_file():
        return results.read(file, **wanted)
    return Results(*(pd.DataFrame() for _ in Results._fields))


def readme_picture(predictions: pd.DataFrame, path: Path) -> None:
    """Draw Table 1 here and in the paper as SVG, with the same bytes for the same data."""
    ours = predictions[predictions["study"] == "pooling"] if len(predictions) else predictions
    if len(ours):
        rows, label = poolings.here_and_in_paper(ours), _run(ours)
    else:
        published = [(name, row.wa, row.ua) for name, row in paper.TABLE_1.items()]
        rows = pd.DataFrame(published, columns=["variant", "paper WA", "paper UA"])
        rows, label = poolings.with_paper_interval(rows), ""
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context():  # whatever style the caller has set
        matplotlib.rcdefaults()
        plots.use_style()
        plots.poolings(rows, label).savefig(path, metadata={"Date": None})


def readme_verdicts(predictions: pd.DataFrame, notes: Sequence[str] = ()) -> str:
    """Return the verdicts in brief, as Markdown.

    Args:
        predictions: that the claims are judged by.
        notes: what a reader must know beside them, such as the gain under other presets.
    """
    if predictions.empty:
        return NOTHING
    judged = claims.judge(predictions)
    tested = [v for v in judged if v.verdict != "not testable here"]
    run = wording.run_column(predictions, tested)
    corpus = wording.title(predictions["corpus"].iloc[0])
    columns = {
        "claim of the paper": [v.claim.text for v in tested],
        f"on {corpus}" if run else f"on {_run(predictions)}": [v.verdict for v in tested],
        "effect [95% interval]": [
            "; ".join([*map(str, v.parts), *common.reason(v)]) for v in tested
        ],
    } | run
    rows = [columns, ["---"] * len(columns), *zip(*columns.values(), strict=True)]
    text = [first.answer(judged, predictions).data]
    if tested:
        text.append("\n".join(f"| {' | '.join(row)} |" for row in rows))
    text += notes
    if untested := first.untested(judged):
        text.append(untested.data)
    text += [common.about_preset(p, sweep=True) for p in dict.fromkeys(predictions["preset"])]
    return "\n\n".join(filter(None, text))


def _run(predictions: pd.DataFrame) -> str:
    """Return in few words what was run."""
    corpus = wording.title(predictions["corpus"].iloc[0])
    return f"{corpus}, {wording.run_in_full(predictions)}"
